-- Whose account a subject of the OpenID provider is. An account is not found by its e-mail, which the provider may give
-- to somebody else; the existing controller, which does that, neither sees nor needs this table.

CREATE TABLE rakkr_fcgi.external_identities (
	user_id uuid PRIMARY KEY REFERENCES public.users (id) ON DELETE CASCADE,
	subject varchar(320) NOT NULL UNIQUE
);
