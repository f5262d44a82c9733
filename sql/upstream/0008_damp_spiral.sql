-- Node credentials.
CREATE TABLE public.node_credentials (
	created_at timestamptz DEFAULT now() NOT NULL,
	created_by_user_id uuid,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	last_used_at timestamptz,
	node_id uuid NOT NULL,
	revoked_at timestamptz,
	token_hash text NOT NULL,
	token_prefix varchar(48) NOT NULL,
	CONSTRAINT node_credentials_pkey PRIMARY KEY (id),
	CONSTRAINT node_credentials_token_hash_unique UNIQUE (token_hash),
	CONSTRAINT node_credentials_created_by_user_id_users_id_fk FOREIGN KEY (created_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL,
	CONSTRAINT node_credentials_node_id_nodes_id_fk FOREIGN KEY (node_id)
		REFERENCES public.nodes (id) ON DELETE CASCADE
);
CREATE INDEX node_credentials_node_idx ON public.node_credentials (node_id);
CREATE INDEX node_credentials_token_prefix_idx ON public.node_credentials (token_prefix);
