-- Sessions.
CREATE TABLE public.auth_sessions (
	created_at timestamptz DEFAULT now() NOT NULL,
	expires_at timestamptz NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	ip_address varchar(120),
	last_seen_at timestamptz DEFAULT now() NOT NULL,
	revoked_at timestamptz,
	token_hash text NOT NULL,
	user_agent text,
	user_id uuid NOT NULL,
	CONSTRAINT auth_sessions_pkey PRIMARY KEY (id),
	CONSTRAINT auth_sessions_token_hash_unique UNIQUE (token_hash),
	CONSTRAINT auth_sessions_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX auth_sessions_expires_at_idx ON public.auth_sessions (expires_at);
CREATE INDEX auth_sessions_token_hash_idx ON public.auth_sessions (token_hash);
CREATE INDEX auth_sessions_user_idx ON public.auth_sessions (user_id);
