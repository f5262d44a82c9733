-- Counters that never fall (GET /metrics). Whoever counts only appends a row, so that nobody waits and a rollback undoes
-- it; the controller's background process folds the rows into one a counter. A number is the sum over both tables.
-- Audit events are counted when they are folded (0004), which costs their INSERT nothing; what is not folded yet is
-- counted when somebody asks.

CREATE TABLE rakkr_fcgi.counters (
	name text NOT NULL,
	labels text[] NOT NULL,
	n bigint NOT NULL,
	PRIMARY KEY (name, labels)
) WITH (fillfactor = 50);

CREATE TABLE rakkr_fcgi.counter_changes (
	name text NOT NULL,
	labels text[] NOT NULL,
	n bigint NOT NULL
);

CREATE VIEW rakkr_fcgi.counted AS
	SELECT name, labels, n FROM rakkr_fcgi.counters UNION ALL SELECT name, labels, n FROM rakkr_fcgi.counter_changes;

-- Folds what is committed. The caller holds the lock of the audit fold, or nobody else can be at it.
CREATE FUNCTION rakkr_fcgi.counters_fold() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	WITH taken AS (DELETE FROM rakkr_fcgi.counter_changes RETURNING name, labels, n)
	INSERT INTO rakkr_fcgi.counters AS c SELECT name, labels, sum(n) FROM taken GROUP BY name, labels
		ON CONFLICT (name, labels) DO UPDATE SET n = c.n + excluded.n
$$;

-- ---- audit events: action, type of the actor, outcome, permission, whether it is about a resource with a scope --------

CREATE FUNCTION rakkr_fcgi.audit_labels(action text, actor_type text, outcome public.audit_outcome, permission text,
	target_type text, target_id text) RETURNS text[]
LANGUAGE sql STABLE AS $$
	SELECT ARRAY[action, actor_type, outcome::text, coalesce(permission, ''),
		CASE WHEN target_id <> '' AND target_type IN ('channel', 'channel_map_assignment_plan', 'channel_map_template',
			'health_event', 'interface', 'node', 'recording', 'recording_job', 'recording_profile', 'retention_policy',
			'room', 'schedule', 'upload_policy', 'upload_provider', 'watchdog_policy') THEN 'resource' ELSE '' END]
$$;

-- Late events (0004) that are not folded yet, though the time that they bear is.
CREATE VIEW rakkr_fcgi.audit_waiting AS
	SELECT e.* FROM (SELECT DISTINCT id FROM rakkr_fcgi.audit_late WHERE NOT folded) l JOIN public.audit_events e USING (id)
	WHERE e.created_at <= (SELECT upto FROM rakkr_fcgi.audit_folded) AND NOT EXISTS (
		SELECT FROM rakkr_fcgi.audit_words a JOIN rakkr_fcgi.audit_finds f ON f.action = a.id
		WHERE a.kind = 'a' AND a.value = e.action::text AND f.created_at = e.created_at AND f.id = e.id);

-- Folding, and counting of what is folded.
ALTER FUNCTION rakkr_fcgi.audit_fold_these(timestamptz, timestamptz, uuid[]) RENAME TO audit_find_these;
CREATE FUNCTION rakkr_fcgi.audit_fold_these(since timestamptz, bound timestamptz, ids uuid[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO rakkr_fcgi.counters AS c (name, labels, n)
		SELECT 'audit', rakkr_fcgi.audit_labels(e.action, e.actor_type, e.outcome, e.permission_id, e.target_type,
			e.target_id), count(*)
		FROM public.audit_events e
		WHERE (e.created_at > since AND e.created_at <= bound) OR e.id = ANY (ids)
		GROUP BY 2
		ON CONFLICT (name, labels) DO UPDATE SET n = c.n + excluded.n;
	PERFORM rakkr_fcgi.counters_fold();
	RETURN rakkr_fcgi.audit_find_these(since, bound, ids);
END
$$;
REVOKE ALL ON FUNCTION rakkr_fcgi.audit_fold_these(timestamptz, timestamptz, uuid[]) FROM PUBLIC;

-- Events that go before they were folded are counted as they go. (One that goes while it is folded counts twice: better
-- than not at all.) The trigger's name puts it before the one of 0004.
CREATE FUNCTION rakkr_fcgi.audit_count_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		INSERT INTO rakkr_fcgi.counter_changes
			SELECT 'audit', rakkr_fcgi.audit_labels(e.action, e.actor_type, e.outcome, e.permission_id, e.target_type,
				e.target_id), count(*)
			FROM public.audit_events e WHERE e.created_at > (SELECT upto FROM rakkr_fcgi.audit_folded) GROUP BY 2;
		RETURN NULL;
	END IF;
	INSERT INTO rakkr_fcgi.counter_changes
		SELECT 'audit', rakkr_fcgi.audit_labels(r.action, r.actor_type, r.outcome, r.permission_id, r.target_type,
			r.target_id), count(*)
		FROM removed r
		WHERE r.created_at > (SELECT upto FROM rakkr_fcgi.audit_folded)
			OR r.id IN (SELECT l.id FROM rakkr_fcgi.audit_late l WHERE NOT l.folded)
		GROUP BY 2;
	RETURN NULL;
END
$$;
CREATE TRIGGER rakkr_fcgi_audit_count AFTER DELETE ON public.audit_events
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.audit_count_removed();
CREATE TRIGGER rakkr_fcgi_audit_count_all BEFORE TRUNCATE ON public.audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.audit_count_removed();

-- What was folded before this file.
SELECT pg_advisory_xact_lock(x'72616b6b7261'::bigint); -- "rakkra", as in 0004
INSERT INTO rakkr_fcgi.counters
	SELECT 'audit', rakkr_fcgi.audit_labels(e.action, e.actor_type, e.outcome, e.permission_id, e.target_type,
		e.target_id), count(*)
	FROM public.audit_events e
	WHERE e.created_at <= (SELECT upto FROM rakkr_fcgi.audit_folded)
		AND e.id NOT IN (SELECT id FROM rakkr_fcgi.audit_waiting)
	GROUP BY 2;

-- ---- health events: severity, status, type; status '' counts the events, the others how often one came into it --------

CREATE FUNCTION rakkr_fcgi.count_health() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO rakkr_fcgi.counter_changes VALUES ('health', ARRAY[NEW.severity::text, NEW.status::text, NEW.type::text], 1);
	IF TG_OP = 'INSERT' THEN
		INSERT INTO rakkr_fcgi.counter_changes VALUES ('health', ARRAY[NEW.severity::text, '', NEW.type::text], 1);
	ELSIF (OLD.severity, OLD.type) IS DISTINCT FROM (NEW.severity, NEW.type) THEN
		INSERT INTO rakkr_fcgi.counter_changes VALUES ('health', ARRAY[NEW.severity::text, '', NEW.type::text], 1);
	END IF;
	RETURN NULL;
END
$$;

LOCK TABLE public.health_events IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO rakkr_fcgi.counters
	SELECT 'health', ARRAY[e.severity::text, v.status, e.type::text], count(*)
	FROM public.health_events e, LATERAL (VALUES (''), (e.status::text)) v (status) GROUP BY 2;
CREATE TRIGGER rakkr_fcgi_count_insert AFTER INSERT ON public.health_events FOR EACH ROW
	EXECUTE FUNCTION rakkr_fcgi.count_health();
CREATE TRIGGER rakkr_fcgi_count_update AFTER UPDATE ON public.health_events FOR EACH ROW
	WHEN ((OLD.severity, OLD.status, OLD.type) IS DISTINCT FROM (NEW.severity, NEW.status, NEW.type))
	EXECUTE FUNCTION rakkr_fcgi.count_health();

-- ---- failed upload attempts, by provider (src/store/metrics.h has the rule) --------------------------------------------

CREATE FUNCTION rakkr_fcgi.upload_provider(provider text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN provider IN ('smb', 's3') THEN provider ELSE 'stub' END
$$;

CREATE FUNCTION rakkr_fcgi.upload_tries(status text, attempts bigint, last_error text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN status = 'failed' THEN greatest(attempts, 1)
		WHEN status = 'retrying' AND last_error IS NOT NULL THEN attempts ELSE 0 END
$$;

CREATE FUNCTION rakkr_fcgi.count_upload() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	tries bigint := 1;
BEGIN
	IF TG_OP = 'INSERT' THEN
		tries := rakkr_fcgi.upload_tries(NEW.status::text, NEW.attempt_count, NEW.last_error);
	END IF;
	INSERT INTO rakkr_fcgi.counter_changes
		SELECT 'upload_failures', ARRAY[rakkr_fcgi.upload_provider(NEW.provider::text)], tries WHERE tries > 0;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION rakkr_fcgi.counters_fold(), rakkr_fcgi.audit_count_removed(), rakkr_fcgi.count_health(),
	rakkr_fcgi.count_upload() FROM PUBLIC;
GRANT SELECT ON rakkr_fcgi.counters, rakkr_fcgi.counter_changes, rakkr_fcgi.counted TO PUBLIC;

LOCK TABLE public.upload_queue_items IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO rakkr_fcgi.counters
	SELECT 'upload_failures', ARRAY[rakkr_fcgi.upload_provider(u.provider::text)],
		sum(rakkr_fcgi.upload_tries(u.status::text, u.attempt_count, u.last_error))
	FROM public.upload_queue_items u GROUP BY 2;
CREATE TRIGGER rakkr_fcgi_count_insert AFTER INSERT ON public.upload_queue_items FOR EACH ROW
	EXECUTE FUNCTION rakkr_fcgi.count_upload();
CREATE TRIGGER rakkr_fcgi_count_update AFTER UPDATE ON public.upload_queue_items FOR EACH ROW
	WHEN (NEW.last_error IS NOT NULL AND NEW.attempt_count >= 1
		AND (NEW.attempt_count = OLD.attempt_count AND OLD.last_error IS NULL
			OR NEW.attempt_count > OLD.attempt_count AND NEW.last_error <> 'provider_not_configured'))
	EXECUTE FUNCTION rakkr_fcgi.count_upload();
