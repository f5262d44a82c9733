-- Users of an identity provider.
ALTER TABLE public.users
	ADD COLUMN provider varchar(16) DEFAULT 'local' NOT NULL;
