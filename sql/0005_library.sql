-- The library at a million recordings: numbers kept by triggers, texts to search in, and an index for every filter and
-- order of the lists. The existing controller writes through the triggers and sees nothing of it.
--
-- Numbers. A row of recording_cells stands for all recordings that agree in everything that lists are filtered by
-- without looking at the time; it has the columns of "recordings" that such filters look at, so that the same condition
-- fits both. Writers do not touch it: they append what they add and take away to recording_changes, for which nobody
-- waits and which a rollback undoes. A number is the sum over both. Now and then a writer folds the changes into the
-- cells; whoever reads sees all of that or nothing of it.

CREATE TABLE rakkr_fcgi.recording_changes (
	key uuid NOT NULL, -- of the cell
	folder text NOT NULL,
	tags jsonb NOT NULL,
	status public.recording_status NOT NULL,
	source public.recording_source NOT NULL,
	health_status text NOT NULL,
	node_id text,
	schedule_id text,
	cache_path text NOT NULL, -- 'x' with a file, '' without
	metadata jsonb NOT NULL,  -- cached, recordingProfileId, uploadPolicyId
	words text NOT NULL,      -- see recording_words()
	labels text NOT NULL,     -- the tags in lower case, each between two chr(1)
	track_group text,
	day date NOT NULL,        -- UTC
	n bigint NOT NULL,
	newest timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_threshold = 2000);

CREATE TABLE rakkr_fcgi.recording_cells (
	key uuid PRIMARY KEY, -- see cell_key()
	folder text NOT NULL,
	tags jsonb NOT NULL,
	status public.recording_status NOT NULL,
	source public.recording_source NOT NULL,
	health_status text NOT NULL,
	node_id text,
	schedule_id text,
	cache_path text NOT NULL,
	metadata jsonb NOT NULL,
	words text NOT NULL,
	labels text NOT NULL,
	n bigint NOT NULL,
	newest timestamptz NOT NULL -- no recording of the cell is newer; it may have been deleted since
) WITH (fillfactor = 70);
CREATE INDEX recording_cells_node ON rakkr_fcgi.recording_cells (node_id);
CREATE INDEX recording_cells_schedule ON rakkr_fcgi.recording_cells (schedule_id);

-- The same by UTC day, by group of tracks, and by value of what is shown as facets.
CREATE TABLE rakkr_fcgi.recording_days (
	day date PRIMARY KEY,
	n bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE rakkr_fcgi.recording_tracks (
	key uuid PRIMARY KEY,
	track_group text NOT NULL,
	node_id text,
	schedule_id text,
	n bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE rakkr_fcgi.recording_facets (
	facet text NOT NULL, -- as the program calls the field
	value text NOT NULL,
	n bigint NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX recording_facets_key ON rakkr_fcgi.recording_facets (facet, md5(value));

-- A text without the signs between its words. The trigrams of "rack 12" are those of "rack" and of " 12": every sixth text
-- of a library has them, and all of those would have to be read. Whatever contains "rack 12" contains "rack12" in this
-- form, and "ck1" and "k12" are rare. So the trigram indexes (0008_searches.sql) are over texts in this form.
CREATE FUNCTION rakkr_fcgi.packed(content text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT translate(content, e' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', '')
$$;

-- What searches look in: the recording's texts in lower case (full Unicode folding, as the program folds what is looked
-- for), each between two chr(1).
CREATE TABLE rakkr_fcgi.recording_texts (
	id varchar(160) PRIMARY KEY,
	recorded_at timestamptz NOT NULL,
	cell uuid NOT NULL,
	common text NOT NULL, -- what many recordings share, and the name
	own text NOT NULL,    -- id, group of tracks, notes, snippets
	common_packed text GENERATED ALWAYS AS (rakkr_fcgi.packed(common)) STORED,
	own_packed text GENERATED ALWAYS AS (rakkr_fcgi.packed(own)) STORED
);
CREATE INDEX recording_texts_list ON rakkr_fcgi.recording_texts (recorded_at DESC, id);
CREATE INDEX recording_texts_cell ON rakkr_fcgi.recording_texts (cell);

CREATE FUNCTION rakkr_fcgi.text_list(list jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT string_agg(e #>> '{}', chr(1)) FROM jsonb_array_elements(CASE WHEN jsonb_typeof(list) = 'array' THEN list
		ELSE '[]' END) AS x(e) WHERE jsonb_typeof(e) = 'string'
$$;

CREATE FUNCTION rakkr_fcgi.common_text(name text, folder text, node_id text, schedule_id text,
		source public.recording_source, status public.recording_status, tags jsonb, metadata jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT lower(chr(1) || concat_ws(chr(1), name, folder, node_id, metadata->>'recordingProfileId', schedule_id, source,
		status, metadata->>'uploadPolicyId', rakkr_fcgi.text_list(tags)) || chr(1) COLLATE "und-x-icu")
$$;

-- common_text() with every digit of the name replaced by chr(2): few texts, and for whoever looks for something without
-- digits as good as the original.
CREATE FUNCTION rakkr_fcgi.recording_words(name text, folder text, node_id text, schedule_id text,
		source public.recording_source, status public.recording_status, tags jsonb, metadata jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT rakkr_fcgi.common_text(translate(name, '0123456789', repeat(chr(2), 10)), folder, node_id, schedule_id, source,
		status, tags, metadata)
$$;

CREATE FUNCTION rakkr_fcgi.own_text(id text, metadata jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT lower(chr(1) || concat_ws(chr(1), id, metadata->>'trackGroupId', metadata->>'notes',
		rakkr_fcgi.text_list(metadata->'transcriptSnippets')) || chr(1) COLLATE "und-x-icu")
$$;

CREATE FUNCTION rakkr_fcgi.label_text(tags jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT lower(chr(1) || coalesce(rakkr_fcgi.text_list(tags) || chr(1), '') COLLATE "und-x-icu")
$$;

-- The members of metadata that a cell is told apart by.
CREATE FUNCTION rakkr_fcgi.cell_metadata(metadata jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('cached', metadata->'cached', 'recordingProfileId',
		metadata->'recordingProfileId', 'uploadPolicyId', metadata->'uploadPolicyId'))
$$;

-- What a recording's cell has beside its own columns.
CREATE FUNCTION rakkr_fcgi.cell_of(name text, folder text, tags jsonb, status public.recording_status,
	source public.recording_source, health_status text, node_id text, schedule_id text, cache_path text, metadata jsonb,
	OUT key uuid, OUT has_file text, OUT facts jsonb, OUT words text, OUT labels text) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
	SELECT md5(ROW(folder, tags, status, source, health_status, node_id, schedule_id, x.f, x.m, x.w)::text)::uuid,
		x.f, x.m, x.w, rakkr_fcgi.label_text(tags)
	FROM (SELECT CASE WHEN coalesce(cache_path, '') <> '' THEN 'x' ELSE '' END, rakkr_fcgi.cell_metadata(metadata),
		rakkr_fcgi.recording_words(name, folder, node_id, schedule_id, source, status, tags, metadata)
		OFFSET 0) AS x(f, m, w) -- each computed once
$$;

-- Folds what is committed of recording_changes. One at a time; others go on without.
CREATE FUNCTION rakkr_fcgi.fold_recordings() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed'
			OR NOT pg_try_advisory_xact_lock(hashtextextended('rakkr recordings fold', 0)) THEN
		RETURN;
	END IF;
	WITH taken AS (
		DELETE FROM rakkr_fcgi.recording_changes RETURNING *
	), cells AS (
		INSERT INTO rakkr_fcgi.recording_cells AS c
			SELECT key, folder, tags, status, source, health_status, node_id, schedule_id, cache_path, metadata, words,
				labels, sum(n), max(newest)
			FROM taken
			GROUP BY key, folder, tags, status, source, health_status, node_id, schedule_id, cache_path, metadata, words,
				labels
		ON CONFLICT (key) DO UPDATE SET n = c.n + excluded.n, newest = greatest(c.newest, excluded.newest)
	), tracks AS (
		INSERT INTO rakkr_fcgi.recording_tracks AS c
			SELECT md5(ROW(track_group, node_id, schedule_id)::text)::uuid, track_group, node_id, schedule_id, sum(n)
			FROM taken WHERE track_group IS NOT NULL GROUP BY track_group, node_id, schedule_id
		ON CONFLICT (key) DO UPDATE SET n = c.n + excluded.n
	), facets AS (
		INSERT INTO rakkr_fcgi.recording_facets AS c
			SELECT f.facet, f.value, sum(t.n)
			FROM taken t CROSS JOIN LATERAL rakkr_fcgi.facet_values(t.folder, t.node_id, t.status, t.source,
				t.health_status, t.cache_path, t.tags, t.metadata, t.track_group) f
			GROUP BY f.facet, f.value
		ON CONFLICT (facet, md5(value)) DO UPDATE SET n = c.n + excluded.n
	)
	INSERT INTO rakkr_fcgi.recording_days AS c SELECT day, sum(n) FROM taken GROUP BY day
		ON CONFLICT (day) DO UPDATE SET n = c.n + excluded.n;
	DELETE FROM rakkr_fcgi.recording_cells WHERE n = 0;
	DELETE FROM rakkr_fcgi.recording_tracks WHERE n = 0;
	DELETE FROM rakkr_fcgi.recording_facets WHERE n = 0;
	DELETE FROM rakkr_fcgi.recording_days WHERE n = 0;
END
$$;

-- What one recording counts under.
CREATE FUNCTION rakkr_fcgi.facet_values(folder text, node_id text, status public.recording_status,
	source public.recording_source, health_status text, cache_path text, tags jsonb, metadata jsonb, track_group text,
	OUT facet text, OUT value text) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
	SELECT * FROM (VALUES ('folder', folder), ('nodeId', node_id), ('status', status::text), ('source', source::text),
		('healthStatus', health_status), ('hasFile', (cache_path <> '')::text),
		('recordingProfileId', metadata->>'recordingProfileId'),
		('uploadPolicyId', metadata->>'uploadPolicyId'), ('trackGroupId', track_group),
		('cached', CASE WHEN jsonb_typeof(metadata->'cached') = 'boolean' THEN metadata->>'cached' END)) AS v(f, w)
		WHERE w IS NOT NULL
	UNION ALL
	SELECT 'tags', e #>> '{}' FROM jsonb_array_elements(CASE WHEN jsonb_typeof(tags) = 'array' THEN tags ELSE '[]' END)
		AS x(e) WHERE jsonb_typeof(e) = 'string'
$$;

-- What a write changes; definer's rights, as for the tally. After a load the planner is told at once how large things are
-- now: statistics of an empty table make it walk a whole index for every job of a list.
CREATE FUNCTION rakkr_fcgi.note_recordings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changes bigint;
BEGIN
	IF TG_OP = 'INSERT' THEN
		WITH seen AS MATERIALIZED (
			SELECT r.*, c.*, rakkr_fcgi.common_text(r.name, r.folder, r.node_id, r.schedule_id, r.source, r.status, r.tags,
				r.metadata) AS common
			FROM added r CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source, r.health_status,
				r.node_id, r.schedule_id, r.cache_path, r.metadata) c
		), texts AS (
			INSERT INTO rakkr_fcgi.recording_texts AS t
				SELECT id, recorded_at, key, common, rakkr_fcgi.own_text(id, metadata) FROM seen
				ON CONFLICT (id) DO UPDATE SET recorded_at = excluded.recorded_at, cell = excluded.cell,
					common = excluded.common, own = excluded.own
				WHERE (t.recorded_at, t.cell, t.common, t.own) IS DISTINCT FROM
					(excluded.recorded_at, excluded.cell, excluded.common, excluded.own)
		)
		INSERT INTO rakkr_fcgi.recording_changes
			SELECT key, folder, tags, status, source, health_status, node_id, schedule_id, has_file, facts, words, labels,
				metadata->>'trackGroupId', (recorded_at AT TIME ZONE 'UTC')::date, count(*), max(recorded_at)
			FROM seen
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14;
		GET DIAGNOSTICS changes = ROW_COUNT;
		IF (SELECT count(*) FROM added) >= 5000 THEN
			ANALYZE (SKIP_LOCKED) public.recordings, rakkr_fcgi.recording_texts;
		END IF;
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO rakkr_fcgi.recording_changes
			SELECT c.key, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, c.has_file, c.facts,
				c.words, c.labels, r.metadata->>'trackGroupId', (r.recorded_at AT TIME ZONE 'UTC')::date, -count(*),
				max(r.recorded_at)
			FROM removed r CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source,
				r.health_status, r.node_id, r.schedule_id, r.cache_path, r.metadata) c
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14;
		GET DIAGNOSTICS changes = ROW_COUNT;
		DELETE FROM rakkr_fcgi.recording_texts t USING removed r WHERE t.id = r.id;
	ELSIF TG_OP = 'UPDATE' THEN
		INSERT INTO rakkr_fcgi.recording_changes
			SELECT c.key, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, c.has_file, c.facts,
				c.words, c.labels, r.metadata->>'trackGroupId', (r.recorded_at AT TIME ZONE 'UTC')::date, sum(r.n),
				max(r.recorded_at)
			FROM (
				SELECT r.name, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, r.cache_path,
					r.metadata, r.recorded_at, 1 FROM added r
				UNION ALL
				SELECT r.name, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, r.cache_path,
					r.metadata, r.recorded_at, -1 FROM removed r
			) AS r(name, folder, tags, status, source, health_status, node_id, schedule_id, cache_path, metadata,
				recorded_at, n)
			CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id,
				r.schedule_id, r.cache_path, r.metadata) c
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
			HAVING sum(r.n) <> 0 OR max(r.recorded_at) <> min(r.recorded_at);
		GET DIAGNOSTICS changes = ROW_COUNT;
		DELETE FROM rakkr_fcgi.recording_texts t USING removed r
			WHERE t.id = r.id AND NOT EXISTS (SELECT FROM added a WHERE a.id = r.id);
		INSERT INTO rakkr_fcgi.recording_texts AS t
			SELECT r.id, r.recorded_at, c.key, rakkr_fcgi.common_text(r.name, r.folder, r.node_id, r.schedule_id, r.source,
				r.status, r.tags, r.metadata), rakkr_fcgi.own_text(r.id, r.metadata)
			FROM added r CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source, r.health_status,
				r.node_id, r.schedule_id, r.cache_path, r.metadata) c
			ON CONFLICT (id) DO UPDATE SET recorded_at = excluded.recorded_at, cell = excluded.cell,
				common = excluded.common, own = excluded.own
			WHERE (t.recorded_at, t.cell, t.common, t.own) IS DISTINCT FROM
				(excluded.recorded_at, excluded.cell, excluded.common, excluded.own);
	ELSE
		DELETE FROM rakkr_fcgi.recording_changes;
		DELETE FROM rakkr_fcgi.recording_cells;
		DELETE FROM rakkr_fcgi.recording_tracks;
		DELETE FROM rakkr_fcgi.recording_facets;
		DELETE FROM rakkr_fcgi.recording_days;
		DELETE FROM rakkr_fcgi.recording_texts;
		RETURN NULL;
	END IF;
	IF changes > 100 OR changes > 0 AND random() < 0.01 THEN
		PERFORM rakkr_fcgi.fold_recordings();
	END IF;
	RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION rakkr_fcgi.fold_recordings(), rakkr_fcgi.note_recordings() FROM PUBLIC;
GRANT SELECT ON rakkr_fcgi.recording_changes, rakkr_fcgi.recording_cells, rakkr_fcgi.recording_days,
	rakkr_fcgi.recording_tracks, rakkr_fcgi.recording_facets, rakkr_fcgi.recording_texts TO PUBLIC;

-- What is there already; nothing may slip in before the triggers.
LOCK TABLE public.recordings IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO rakkr_fcgi.recording_changes
	SELECT c.key, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, c.has_file, c.facts,
		c.words, c.labels, r.metadata->>'trackGroupId', (r.recorded_at AT TIME ZONE 'UTC')::date, count(*),
		max(r.recorded_at)
	FROM public.recordings r CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source,
		r.health_status, r.node_id, r.schedule_id, r.cache_path, r.metadata) c
	GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14;
INSERT INTO rakkr_fcgi.recording_texts AS t
	SELECT r.id, r.recorded_at, c.key, rakkr_fcgi.common_text(r.name, r.folder, r.node_id, r.schedule_id, r.source,
		r.status, r.tags, r.metadata), rakkr_fcgi.own_text(r.id, r.metadata)
	FROM public.recordings r CROSS JOIN LATERAL rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source,
		r.health_status, r.node_id, r.schedule_id, r.cache_path, r.metadata) c;
SELECT rakkr_fcgi.fold_recordings();

CREATE TRIGGER rakkr_fcgi_note_insert AFTER INSERT ON public.recordings
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_recordings();
CREATE TRIGGER rakkr_fcgi_note_update AFTER UPDATE ON public.recordings
	REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_recordings();
CREATE TRIGGER rakkr_fcgi_note_delete AFTER DELETE ON public.recordings
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_recordings();
CREATE TRIGGER rakkr_fcgi_note_truncate AFTER TRUNCATE ON public.recordings
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_recordings();

-- Jobs are searched in one text (contract 03 3.12.1); heartbeats do not change it and pay nothing.
CREATE TABLE rakkr_fcgi.job_texts (
	id varchar(120) PRIMARY KEY,
	text text NOT NULL,
	text_packed text GENERATED ALWAYS AS (rakkr_fcgi.packed(text)) STORED
);

CREATE FUNCTION rakkr_fcgi.job_text(claimed_by text, command jsonb, failure_reason text, id text, node_id text,
		recording_id text, status public.recording_job_status) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT lower(concat_ws(' ', nullif(claimed_by, ''), nullif(command->>'captureBackend', ''),
		nullif(command->>'captureDevice', ''), nullif(command->>'captureFormat', ''),
		nullif(command->>'captureInterfaceId', ''), nullif(command->'channelMap'->>'templateName', ''),
		nullif(command->>'outputFileName', ''), nullif(failure_reason, ''), id, nullif(node_id, ''),
		nullif(recording_id, ''), status) COLLATE "und-x-icu")
$$;

CREATE FUNCTION rakkr_fcgi.note_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_LEVEL = 'ROW' THEN
		DELETE FROM rakkr_fcgi.job_texts WHERE id = OLD.id AND OLD.id <> NEW.id;
		INSERT INTO rakkr_fcgi.job_texts VALUES (NEW.id, rakkr_fcgi.job_text(NEW.claimed_by, NEW.command,
				NEW.failure_reason, NEW.id, NEW.node_id, NEW.recording_id, NEW.status))
			ON CONFLICT (id) DO UPDATE SET text = excluded.text;
	ELSIF TG_OP = 'INSERT' THEN
		INSERT INTO rakkr_fcgi.job_texts
			SELECT id, rakkr_fcgi.job_text(claimed_by, command, failure_reason, id, node_id, recording_id, status) FROM added
			ON CONFLICT (id) DO UPDATE SET text = excluded.text;
		IF (SELECT count(*) FROM added) >= 5000 THEN
			ANALYZE (SKIP_LOCKED) public.recording_jobs, rakkr_fcgi.job_texts;
		END IF;
	ELSIF TG_OP = 'DELETE' THEN
		DELETE FROM rakkr_fcgi.job_texts t USING removed r WHERE t.id = r.id;
	ELSE
		DELETE FROM rakkr_fcgi.job_texts;
	END IF;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION rakkr_fcgi.note_jobs() FROM PUBLIC;
GRANT SELECT ON rakkr_fcgi.job_texts TO PUBLIC;

LOCK TABLE public.recording_jobs IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO rakkr_fcgi.job_texts
	SELECT id, rakkr_fcgi.job_text(claimed_by, command, failure_reason, id, node_id, recording_id, status)
	FROM public.recording_jobs;

CREATE TRIGGER rakkr_fcgi_note_insert AFTER INSERT ON public.recording_jobs
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_jobs();
CREATE TRIGGER rakkr_fcgi_note_update AFTER UPDATE ON public.recording_jobs FOR EACH ROW
	WHEN ((OLD.claimed_by, OLD.command, OLD.failure_reason, OLD.id, OLD.node_id, OLD.recording_id, OLD.status)
		IS DISTINCT FROM (NEW.claimed_by, NEW.command, NEW.failure_reason, NEW.id, NEW.node_id, NEW.recording_id, NEW.status))
	EXECUTE FUNCTION rakkr_fcgi.note_jobs();
CREATE TRIGGER rakkr_fcgi_note_delete AFTER DELETE ON public.recording_jobs
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_jobs();
CREATE TRIGGER rakkr_fcgi_note_truncate AFTER TRUNCATE ON public.recording_jobs
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.note_jobs();

-- Filters, each in the usual order.
CREATE INDEX rakkr_fcgi_recordings_node ON public.recordings (node_id, recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_schedule ON public.recordings (schedule_id, recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_status ON public.recordings (status, recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_health ON public.recordings (health_status, recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_file ON public.recordings ((coalesce(cache_path, '') <> ''), recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_profile ON public.recordings ((metadata->>'recordingProfileId'), recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_policy ON public.recordings ((metadata->>'uploadPolicyId'), recorded_at DESC, id);
CREATE INDEX rakkr_fcgi_recordings_track ON public.recordings ((metadata->>'trackGroupId'), recorded_at DESC, id)
	WHERE metadata->>'trackGroupId' IS NOT NULL;

-- Orders, each with the id behind it in the contract's order of texts; a second index where many recordings are equal and
-- the first one backwards would have the ids backwards too. Texts count with their first 400 characters, because an index
-- entry has a greatest size; enums by the rank of their word.
CREATE INDEX rakkr_fcgi_recordings_by_name
	ON public.recordings (left(name, 400) COLLATE "und-x-icu", id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_folder
	ON public.recordings (left(folder, 400) COLLATE "und-x-icu", id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_folder_desc
	ON public.recordings (left(folder, 400) COLLATE "und-x-icu" DESC, id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_duration ON public.recordings (duration_seconds, id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_duration_desc ON public.recordings (duration_seconds DESC, id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_health
	ON public.recordings ((health_status::text) COLLATE "und-x-icu", id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_health_desc
	ON public.recordings ((health_status::text) COLLATE "und-x-icu" DESC, id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_status ON public.recordings ((CASE status WHEN 'cached' THEN 0 WHEN 'completed' THEN 1
	WHEN 'failed' THEN 2 WHEN 'queued' THEN 3 WHEN 'recording' THEN 4 WHEN 'uploaded' THEN 5 END), id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_status_desc ON public.recordings ((CASE status WHEN 'cached' THEN 0
	WHEN 'completed' THEN 1 WHEN 'failed' THEN 2 WHEN 'queued' THEN 3 WHEN 'recording' THEN 4 WHEN 'uploaded' THEN 5 END)
	DESC, id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_source
	ON public.recordings ((CASE source WHEN 'ad_hoc' THEN 0 WHEN 'schedule' THEN 1 END), id COLLATE "und-x-icu");
CREATE INDEX rakkr_fcgi_recordings_by_source_desc
	ON public.recordings ((CASE source WHEN 'ad_hoc' THEN 0 WHEN 'schedule' THEN 1 END) DESC, id COLLATE "und-x-icu");

-- Jobs: those of a node or in a state, in the usual order.
CREATE INDEX rakkr_fcgi_jobs_node ON public.recording_jobs (node_id, created_at DESC, id);
CREATE INDEX rakkr_fcgi_jobs_status ON public.recording_jobs (status, created_at DESC, id);

ANALYZE public.recordings;
ANALYZE rakkr_fcgi.recording_cells;
ANALYZE rakkr_fcgi.recording_texts;
ANALYZE public.recording_jobs;
ANALYZE rakkr_fcgi.job_texts;
