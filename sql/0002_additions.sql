-- Our own additions: a schema of ours, indexes for the orders in which lists are read, and one rule that the tables could
-- not express. The existing controller neither sees nor needs any of it.

CREATE SCHEMA IF NOT EXISTS rakkr_fcgi;

-- One row a file of this directory that was applied; the checksum tells when a file was changed afterwards.
CREATE TABLE rakkr_fcgi.migrations (
	version integer PRIMARY KEY,
	name text NOT NULL,
	sha256 text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);

-- What a new installation was given once and does not get again when it is deleted.
CREATE TABLE rakkr_fcgi.seeded (
	name text PRIMARY KEY,
	seeded_at timestamptz NOT NULL DEFAULT now()
);

-- Counts every change of what decides about users, so that a process can keep what it read until it changes.
CREATE TABLE rakkr_fcgi.access_generation (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	n bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 20);
INSERT INTO rakkr_fcgi.access_generation DEFAULT VALUES;

CREATE FUNCTION rakkr_fcgi.access_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE rakkr_fcgi.access_generation SET n = n + 1;
	RETURN NULL;
END
$$;

CREATE TRIGGER rakkr_fcgi_access AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.user_roles
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.access_changed();
CREATE TRIGGER rakkr_fcgi_access AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.user_resource_grants
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.access_changed();
CREATE TRIGGER rakkr_fcgi_access AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.user_access_groups
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.access_changed();
CREATE TRIGGER rakkr_fcgi_access AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.access_groups
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.access_changed();
CREATE TRIGGER rakkr_fcgi_access AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.access_policies
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.access_changed();

-- Numbers of rows, kept exact by triggers, so that a total costs no scan. The number of `name` is the sum over its
-- buckets; there are several so that writers do not wait for each other.
CREATE TABLE rakkr_fcgi.tally (
	name text NOT NULL,
	bucket integer NOT NULL,
	n bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (name, bucket)
) WITH (fillfactor = 50);

-- Adds d to the number of tally_name. Takes a bucket that no open transaction holds, so that it never waits (and never
-- deadlocks) unless all are held.
CREATE FUNCTION rakkr_fcgi.tally_add(tally_name text, d bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own integer := pg_backend_pid() % 16;
	free integer;
BEGIN
	IF d = 0 THEN
		RETURN;
	END IF;
	SELECT t.bucket INTO free FROM rakkr_fcgi.tally t WHERE t.name = tally_name
		ORDER BY t.bucket = own DESC, t.bucket LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
	INSERT INTO rakkr_fcgi.tally AS t (name, bucket, n) VALUES (tally_name, coalesce(free, own), d)
		ON CONFLICT (name, bucket) DO UPDATE SET n = t.n + excluded.n;
END
$$;

-- Definer's rights: whoever may write the table need not know this schema.
CREATE FUNCTION rakkr_fcgi.tally_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM rakkr_fcgi.tally_add(TG_TABLE_NAME, (SELECT count(*) FROM added));
	ELSIF TG_OP = 'DELETE' THEN
		PERFORM rakkr_fcgi.tally_add(TG_TABLE_NAME, -(SELECT count(*) FROM removed));
	ELSE
		UPDATE rakkr_fcgi.tally SET n = 0 WHERE name = TG_TABLE_NAME;
	END IF;
	RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION rakkr_fcgi.access_changed(), rakkr_fcgi.tally_add(text, bigint), rakkr_fcgi.tally_rows()
	FROM PUBLIC;
GRANT USAGE ON SCHEMA rakkr_fcgi TO PUBLIC;
GRANT SELECT ON rakkr_fcgi.migrations, rakkr_fcgi.tally, rakkr_fcgi.access_generation TO PUBLIC;

-- No insert or delete may slip in between the count and the triggers.
LOCK TABLE public.recordings IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO rakkr_fcgi.tally (name, bucket, n)
	SELECT 'recordings', b, CASE b WHEN 0 THEN (SELECT count(*) FROM public.recordings) ELSE 0 END
	FROM generate_series(0, 15) AS b;

CREATE TRIGGER rakkr_fcgi_tally_insert AFTER INSERT ON public.recordings
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.tally_rows();
CREATE TRIGGER rakkr_fcgi_tally_delete AFTER DELETE ON public.recordings
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.tally_rows();
CREATE TRIGGER rakkr_fcgi_tally_truncate AFTER TRUNCATE ON public.recordings
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.tally_rows();

-- The total orders of lists (contract 09 D-101), and the look-ups of the hot paths.
CREATE INDEX rakkr_fcgi_recordings_list ON public.recordings (recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_jobs_list ON public.recording_jobs (created_at DESC, id);
CREATE INDEX rakkr_fcgi_jobs_queued ON public.recording_jobs (node_id, created_at) WHERE status = 'queued';
CREATE INDEX rakkr_fcgi_health_list ON public.health_events (opened_at DESC, id);
CREATE INDEX rakkr_fcgi_health_recording ON public.health_events (recording_id) WHERE status <> 'resolved';
CREATE INDEX rakkr_fcgi_health_node ON public.health_events (node_id, type) WHERE status <> 'resolved';

-- One valid token a node (contract 09 D-107): the newest one stays valid, older ones left by parallel rotations do not.
LOCK TABLE public.node_credentials IN SHARE ROW EXCLUSIVE MODE;
UPDATE public.node_credentials AS c SET revoked_at = now()
	WHERE c.revoked_at IS NULL AND EXISTS (
		SELECT FROM public.node_credentials AS newer
		WHERE newer.node_id = c.node_id AND newer.revoked_at IS NULL
			AND (newer.created_at, newer.id) > (c.created_at, c.id));
CREATE UNIQUE INDEX rakkr_fcgi_credentials_active ON public.node_credentials (node_id) WHERE revoked_at IS NULL;
