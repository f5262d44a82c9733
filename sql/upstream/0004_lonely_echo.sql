-- Resource grants.
CREATE TABLE public.user_resource_grants (
	created_at timestamptz DEFAULT now() NOT NULL,
	granted_by_user_id uuid,
	resource_id varchar(160) NOT NULL,
	resource_type varchar(80) NOT NULL,
	user_id uuid NOT NULL,
	CONSTRAINT user_resource_grants_user_id_resource_type_resource_id_pk PRIMARY KEY (user_id, resource_type, resource_id),
	CONSTRAINT user_resource_grants_granted_by_user_id_users_id_fk FOREIGN KEY (granted_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL,
	CONSTRAINT user_resource_grants_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX user_resource_grants_resource_idx ON public.user_resource_grants (resource_type, resource_id);
CREATE INDEX user_resource_grants_user_idx ON public.user_resource_grants (user_id);
