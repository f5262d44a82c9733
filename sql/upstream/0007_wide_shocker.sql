-- Groups and access policies.
CREATE TYPE public.access_policy_effect AS ENUM ('allow', 'deny');
CREATE TYPE public.access_policy_subject_type AS ENUM ('user', 'group', 'everyone');

CREATE TABLE public.access_groups (
	created_at timestamptz DEFAULT now() NOT NULL,
	description text,
	id varchar(120) NOT NULL,
	name varchar(160) NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT access_groups_pkey PRIMARY KEY (id)
);

CREATE TABLE public.user_access_groups (
	group_id varchar(120) NOT NULL,
	user_id uuid NOT NULL,
	CONSTRAINT user_access_groups_user_id_group_id_pk PRIMARY KEY (user_id, group_id),
	CONSTRAINT user_access_groups_group_id_access_groups_id_fk FOREIGN KEY (group_id)
		REFERENCES public.access_groups (id) ON DELETE CASCADE,
	CONSTRAINT user_access_groups_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX user_access_groups_group_idx ON public.user_access_groups (group_id);

CREATE TABLE public.access_policies (
	created_at timestamptz DEFAULT now() NOT NULL,
	created_by_user_id uuid,
	effect public.access_policy_effect NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	reason text,
	resource_id varchar(160) NOT NULL,
	resource_type varchar(80) NOT NULL,
	subject_id varchar(160),
	subject_type public.access_policy_subject_type NOT NULL,
	CONSTRAINT access_policies_pkey PRIMARY KEY (id),
	CONSTRAINT access_policies_created_by_user_id_users_id_fk FOREIGN KEY (created_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX access_policies_resource_idx ON public.access_policies (resource_type, resource_id);
CREATE INDEX access_policies_subject_idx ON public.access_policies (subject_type, subject_id);
