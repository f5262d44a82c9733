-- Indexes that searches look into, and numbers for those that no index helps.

-- Trigrams make any substring an indexed search; without the extension it is a scan of the texts. Tried again whenever the
-- schema is looked after, until somebody has created the extension. True if the indexes are there. Texts of the audit log
-- go into theirs at once: what waits to be put in would be read from end to end by every search.
CREATE FUNCTION rakkr_fcgi.index_texts() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place text;
	wanted text[];
BEGIN
	FOREACH wanted SLICE 1 IN ARRAY ARRAY[
			['recording_texts', 'common_packed', 'recording_texts_common_packed', 'on'],
			['recording_texts', 'own_packed', 'recording_texts_own_packed', 'on'],
			['recording_cells', 'words', 'recording_cells_words', 'on'],
			['job_texts', 'text_packed', 'job_texts_text_packed', 'on'],
			['audit_words', 'folded', 'audit_words_trigrams', 'off']] LOOP
		CONTINUE WHEN to_regclass('rakkr_fcgi.' || wanted[3]) IS NOT NULL;
		IF place IS NULL THEN
			CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA rakkr_fcgi;
			SELECT quote_ident(n.nspname) INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
				WHERE e.extname = 'pg_trgm';
		END IF;
		EXECUTE format('CREATE INDEX %I ON rakkr_fcgi.%I USING gin (%I %s.gin_trgm_ops) WITH (fastupdate = %s)',
			wanted[3], wanted[1], wanted[2], place, wanted[4]);
	END LOOP;
	RETURN true;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR lock_not_available THEN
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION rakkr_fcgi.index_texts() FROM PUBLIC;
SELECT rakkr_fcgi.index_texts();

-- Searches for one or two characters. No trigram helps them, and looking through the texts of a million recordings takes a
-- third of a second. So for every day it is kept how many of its recordings contain which character and which pair of
-- them: the sum is the number of hits, and tells which days a page is made of.
--
-- Writers do not touch these numbers. They append the days of the texts that they change, and such a day is looked
-- through as before until it has been counted again, by rakkr_fcgi.count_grams().

CREATE TABLE rakkr_fcgi.recording_grams (
	day date PRIMARY KEY,  -- UTC
	counts jsonb NOT NULL  -- by character or pair: recordings
);
ALTER TABLE rakkr_fcgi.recording_grams ALTER counts SET STORAGE EXTERNAL; -- unpacking would take longer than reading

CREATE TABLE rakkr_fcgi.recording_days_changed (
	day date NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_threshold = 2000);

CREATE FUNCTION rakkr_fcgi.utc_day(at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT (at AT TIME ZONE 'UTC')::date
$$;

CREATE FUNCTION rakkr_fcgi.day_begin(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT day::timestamp AT TIME ZONE 'UTC'
$$;

CREATE FUNCTION rakkr_fcgi.note_texts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		INSERT INTO rakkr_fcgi.recording_days_changed SELECT DISTINCT rakkr_fcgi.utc_day(recorded_at) FROM added;
	END IF;
	IF TG_OP IN ('DELETE', 'UPDATE') THEN
		INSERT INTO rakkr_fcgi.recording_days_changed SELECT DISTINCT rakkr_fcgi.utc_day(recorded_at) FROM removed;
	END IF;
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM rakkr_fcgi.recording_days_changed;
		DELETE FROM rakkr_fcgi.recording_grams;
	ELSIF random() < 0.01 AND pg_try_advisory_xact_lock(hashtextextended('rakkr recordings grams', 0)) THEN
		DELETE FROM rakkr_fcgi.recording_days_changed c WHERE EXISTS (
			SELECT FROM rakkr_fcgi.recording_days_changed o WHERE o.day = c.day AND o.ctid < c.ctid);
	END IF;
	RETURN NULL;
END
$$;

-- Each character of a text and each pair, once. Fields are divided by chr(1): no pair reaches over it.
CREATE FUNCTION rakkr_fcgi.grams_of(content text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT DISTINCT g FROM (
		SELECT c, lead(c) OVER (ORDER BY i) AS d
		FROM unnest(string_to_array(content, NULL)) WITH ORDINALITY AS x(c, i)
	) AS x CROSS JOIN LATERAL (VALUES (c), (c || d)) AS v(g)
	WHERE c <> chr(1) AND g IS NOT NULL AND right(g, 1) <> chr(1)
$$;

-- Counts up to `most` days anew, the oldest first. Those of today and yesterday still change, and are few to look
-- through: they wait. One at a time; what is written meanwhile leaves its day changed. Returns the days counted.
CREATE FUNCTION rakkr_fcgi.count_grams(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	counted integer := 0;
	next date;
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed'
			OR NOT pg_try_advisory_xact_lock(hashtextextended('rakkr recordings grams', 0)) THEN
		RETURN 0;
	END IF;
	FOR next IN SELECT DISTINCT c.day FROM rakkr_fcgi.recording_days_changed c
			WHERE c.day < rakkr_fcgi.utc_day(now()) - 1 ORDER BY 1 LIMIT most LOOP
		WITH gone AS (
			DELETE FROM rakkr_fcgi.recording_days_changed WHERE day = next
		)
		INSERT INTO rakkr_fcgi.recording_grams
			SELECT next, coalesce(jsonb_object_agg(g, n), '{}') FROM (
				SELECT g, count(*) AS n
				FROM rakkr_fcgi.recording_texts t CROSS JOIN LATERAL rakkr_fcgi.grams_of(t.common || t.own) AS g
				WHERE t.recorded_at >= rakkr_fcgi.day_begin(next) AND t.recorded_at < rakkr_fcgi.day_begin(next + 1)
				GROUP BY g
			) AS x
			ON CONFLICT (day) DO UPDATE SET counts = excluded.counts;
		counted := counted + 1;
	END LOOP;
	RETURN counted;
END
$$;

REVOKE ALL ON FUNCTION rakkr_fcgi.note_texts(), rakkr_fcgi.count_grams(integer) FROM PUBLIC;
GRANT SELECT ON rakkr_fcgi.recording_grams, rakkr_fcgi.recording_days_changed TO PUBLIC;

LOCK TABLE rakkr_fcgi.recording_texts IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO rakkr_fcgi.recording_days_changed
	SELECT DISTINCT rakkr_fcgi.utc_day(recorded_at) FROM rakkr_fcgi.recording_texts;

CREATE TRIGGER rakkr_fcgi_note_insert AFTER INSERT ON rakkr_fcgi.recording_texts
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_texts();
CREATE TRIGGER rakkr_fcgi_note_update AFTER UPDATE ON rakkr_fcgi.recording_texts
	REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_texts();
CREATE TRIGGER rakkr_fcgi_note_delete AFTER DELETE ON rakkr_fcgi.recording_texts
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_texts();
CREATE TRIGGER rakkr_fcgi_note_truncate AFTER TRUNCATE ON rakkr_fcgi.recording_texts
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_texts();
