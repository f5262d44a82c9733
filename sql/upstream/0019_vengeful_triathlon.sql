-- Login states of the identity provider.
CREATE TABLE public.oidc_login_states (
	code_verifier text NOT NULL,
	consumed_at timestamptz,
	created_at timestamptz DEFAULT now() NOT NULL,
	expires_at timestamptz NOT NULL,
	nonce text NOT NULL,
	return_to text,
	state_hash text NOT NULL,
	CONSTRAINT oidc_login_states_pkey PRIMARY KEY (state_hash)
);
CREATE INDEX oidc_login_states_expires_at_idx ON public.oidc_login_states (expires_at);
