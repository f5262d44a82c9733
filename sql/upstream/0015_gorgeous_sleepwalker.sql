-- Channel-map templates and their assignments.
CREATE TABLE public.channel_map_templates (
	channel_mode varchar(64) NOT NULL,
	created_at timestamptz DEFAULT now() NOT NULL,
	entries jsonb DEFAULT '[]' NOT NULL,
	id varchar(160) NOT NULL,
	name varchar(160) NOT NULL,
	tags jsonb DEFAULT '[]' NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT channel_map_templates_pkey PRIMARY KEY (id)
);

CREATE TABLE public.template_assignments (
	assigned_at timestamptz DEFAULT now() NOT NULL,
	assigned_by_user_id uuid,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	target_id varchar(160) NOT NULL,
	target_type varchar(40) NOT NULL,
	template_id varchar(160) NOT NULL,
	template_kind varchar(80) NOT NULL,
	CONSTRAINT template_assignments_pkey PRIMARY KEY (id),
	CONSTRAINT template_assignments_assigned_by_user_id_users_id_fk FOREIGN KEY (assigned_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX template_assignments_target_idx ON public.template_assignments (template_kind, target_type, target_id);
CREATE INDEX template_assignments_template_idx ON public.template_assignments (template_kind, template_id);
