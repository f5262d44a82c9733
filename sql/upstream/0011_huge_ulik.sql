-- Users can be disabled.
ALTER TABLE public.users
	ADD COLUMN disabled_at timestamptz;
