-- Upload providers.
CREATE TABLE public.upload_providers (
	credential_ref text,
	display_name varchar(160) NOT NULL,
	enabled boolean DEFAULT false NOT NULL,
	provider varchar(32) NOT NULL,
	target text,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT upload_providers_pkey PRIMARY KEY (provider)
);
