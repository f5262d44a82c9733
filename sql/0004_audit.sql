-- Finding audit events among any number of them. The INSERT of an event must stay cheap, so nothing is kept while events
-- are written: the controller's background process folds those that are a minute old into the tables below. What is not
-- folded yet is little, and looked through by time. The existing controller neither sees nor needs any of it.

-- The texts that events are looked for by, each once. What is looked for together stands together, parted by chr(1):
-- an actor is id and name, a target id, name and type.
CREATE TABLE rakkr_fcgi.audit_words (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind "char" NOT NULL, -- 'a' action, 'c' actor, 't' target, 'r' reason, 'o' outcome, 'p' permission
	value text COLLATE "C" NOT NULL,
	folded text COLLATE "C" NOT NULL, -- in lower case
	n bigint NOT NULL DEFAULT 0, -- events that are folded with it
	newest timestamptz NOT NULL, -- none of them is newer; after a deletion it may be later than the newest that is left
	UNIQUE (kind, value)
) WITH (fillfactor = 70);

-- One narrow row an event.
CREATE TABLE rakkr_fcgi.audit_finds (
	created_at timestamptz NOT NULL,
	id uuid NOT NULL,
	action integer NOT NULL,
	actor integer NOT NULL,
	target integer NOT NULL,
	reason integer,
	outcome integer NOT NULL,
	permission integer,
	rare boolean NOT NULL -- its outcome is neither allowed nor succeeded, which nearly all are
);
CREATE INDEX audit_finds_action ON rakkr_fcgi.audit_finds (action, created_at);
CREATE INDEX audit_finds_actor ON rakkr_fcgi.audit_finds (actor, created_at);
CREATE INDEX audit_finds_target ON rakkr_fcgi.audit_finds (target, created_at);
CREATE INDEX audit_finds_reason ON rakkr_fcgi.audit_finds (reason, created_at) WHERE reason IS NOT NULL;
CREATE INDEX audit_finds_outcome ON rakkr_fcgi.audit_finds (outcome, created_at) WHERE rare;
CREATE INDEX audit_finds_permission ON rakkr_fcgi.audit_finds (permission, created_at) WHERE permission IS NOT NULL;

-- Everything up to this time is folded, but for the late ones.
CREATE TABLE rakkr_fcgi.audit_folded (
	upto timestamptz NOT NULL,
	n bigint NOT NULL
);
INSERT INTO rakkr_fcgi.audit_folded VALUES ('-infinity', 0);

-- Events that were written long after the time they bear: long uploads, events kept while the database was away. They are
-- looked through one by one. A folded one stays until the next time, for whoever looked for folded ones a moment before.
CREATE TABLE rakkr_fcgi.audit_late (
	id uuid NOT NULL,
	folded boolean NOT NULL DEFAULT false
);

CREATE FUNCTION rakkr_fcgi.audit_note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO rakkr_fcgi.audit_late VALUES (NEW.id);
	RETURN NULL;
END
$$;
CREATE TRIGGER rakkr_fcgi_audit_late AFTER INSERT ON public.audit_events FOR EACH ROW
	WHEN (NEW.created_at < clock_timestamp() - interval '30 seconds') EXECUTE FUNCTION rakkr_fcgi.audit_note_late();

-- What is deleted for its age is forgotten. (One that is deleted while it is folded leaves a row that leads nowhere.)
CREATE FUNCTION rakkr_fcgi.audit_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	words integer[];
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM rakkr_fcgi.audit_finds;
		DELETE FROM rakkr_fcgi.audit_words;
		UPDATE rakkr_fcgi.audit_folded SET n = 0;
		RETURN NULL;
	END IF;
	WITH gone AS (
		DELETE FROM rakkr_fcgi.audit_finds f USING removed r, rakkr_fcgi.audit_words w
		WHERE w.kind = 'a' AND w.value = r.action::text AND f.action = w.id AND f.created_at = r.created_at AND f.id = r.id
		RETURNING f.action, f.actor, f.target, f.reason, f.outcome, f.permission),
	less AS (
		SELECT v.word, count(*) AS n
		FROM gone g, LATERAL (VALUES (g.action), (g.actor), (g.target), (g.reason), (g.outcome), (g.permission)) v (word)
		WHERE v.word IS NOT NULL
		GROUP BY v.word),
	fewer AS (
		UPDATE rakkr_fcgi.audit_folded t SET n = t.n - (SELECT count(*) FROM gone) WHERE EXISTS (SELECT FROM gone)),
	changed AS (
		UPDATE rakkr_fcgi.audit_words w SET n = w.n - l.n FROM less l WHERE w.id = l.word RETURNING w.id)
	SELECT array_agg(id) INTO words FROM changed;
	DELETE FROM rakkr_fcgi.audit_words WHERE id = ANY (words) AND n <= 0;
	RETURN NULL;
END
$$;
CREATE TRIGGER rakkr_fcgi_audit_delete AFTER DELETE ON public.audit_events
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.audit_forget();
CREATE TRIGGER rakkr_fcgi_audit_truncate AFTER TRUNCATE ON public.audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION rakkr_fcgi.audit_forget();

-- What an event is found by.
CREATE VIEW rakkr_fcgi.audit_parts AS
	SELECT e.created_at, e.id, e.action::text AS action,
		coalesce(e.actor_id, '') || chr(1) || coalesce(e.actor_display_name, '') AS actor,
		coalesce(e.target_id, '') || chr(1) || coalesce(e.target_name, '') || chr(1) || coalesce(e.target_type, '')
			AS target,
		e.reason, e.outcome::text AS outcome, e.permission_id::text AS permission
	FROM public.audit_events e;

-- Folds the events of a time (since excluded) and those with these ids: words that are new, then the rows. The caller
-- holds the lock.
CREATE FUNCTION rakkr_fcgi.audit_fold_these(since timestamptz, bound timestamptz, ids uuid[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	folded bigint;
BEGIN
	INSERT INTO rakkr_fcgi.audit_words AS k (kind, value, folded, n, newest)
		SELECT w.kind, w.value, lower(w.value COLLATE "und-x-icu"), count(*), max(p.created_at)
		FROM rakkr_fcgi.audit_parts p, LATERAL (VALUES ('a'::"char", p.action), ('c', p.actor), ('t', p.target),
			('r', p.reason), ('o', p.outcome), ('p', p.permission)) w (kind, value)
		WHERE ((p.created_at > since AND p.created_at <= bound) OR p.id = ANY (ids)) AND w.value IS NOT NULL
		GROUP BY w.kind, w.value
		ORDER BY w.kind, w.value
		ON CONFLICT (kind, value) DO UPDATE SET n = k.n + excluded.n, newest = greatest(k.newest, excluded.newest);
	-- Each word is looked up in the index: no plan of joins depends on what the statistics say of a growing table.
	INSERT INTO rakkr_fcgi.audit_finds
		SELECT p.created_at, p.id,
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 'a' AND w.value = p.action),
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 'c' AND w.value = p.actor),
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 't' AND w.value = p.target),
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 'r' AND w.value = p.reason),
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 'o' AND w.value = p.outcome),
			(SELECT w.id FROM rakkr_fcgi.audit_words w WHERE w.kind = 'p' AND w.value = p.permission),
			p.outcome NOT IN ('allowed', 'succeeded')
		FROM rakkr_fcgi.audit_parts p
		WHERE (p.created_at > since AND p.created_at <= bound) OR p.id = ANY (ids);
	GET DIAGNOSTICS folded = ROW_COUNT;
	RETURN folded;
END
$$;

-- Folds at most about `most` events that are a minute old, the oldest first, and the late ones before them. Returns their
-- number; 0 when there are none, or when somebody else is at it.
CREATE FUNCTION rakkr_fcgi.audit_fold(most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	since timestamptz;
	bound timestamptz := clock_timestamp() - interval '1 minute';
	nth timestamptz;
	late uuid[];
	done bigint;
BEGIN
	IF NOT pg_try_advisory_xact_lock(x'72616b6b7261'::bigint) THEN -- "rakkra"
		RETURN 0;
	END IF;
	SELECT s.upto INTO since FROM rakkr_fcgi.audit_folded s;
	-- A late one after `since` comes with its time. One that was folded before it was noted is there already.
	DELETE FROM rakkr_fcgi.audit_late l WHERE l.folded;
	WITH taken AS (
		UPDATE rakkr_fcgi.audit_late SET folded = true
		WHERE ctid = ANY (ARRAY(SELECT ctid FROM rakkr_fcgi.audit_late LIMIT most))
		RETURNING id)
	SELECT array_agg(e.id) INTO late FROM (SELECT DISTINCT id FROM taken) t JOIN public.audit_events e USING (id)
	WHERE e.created_at <= since AND NOT EXISTS (
		SELECT FROM rakkr_fcgi.audit_words a JOIN rakkr_fcgi.audit_finds f ON f.action = a.id
		WHERE a.kind = 'a' AND a.value = e.action::text AND f.created_at = e.created_at AND f.id = e.id);
	SELECT created_at INTO nth FROM public.audit_events WHERE created_at > since AND created_at <= bound
		ORDER BY created_at OFFSET most - 1 LIMIT 1;
	bound := coalesce(nth, bound);
	done := rakkr_fcgi.audit_fold_these(since, bound, late);
	UPDATE rakkr_fcgi.audit_folded s SET upto = greatest(s.upto, bound), n = s.n + done;
	RETURN done;
END
$$;

-- The newest `most` folded events with one of these words in a column, and further conditions on the row f, to which the
-- patterns are $5. The words stand in the order of `newest`, the latest first. Events from a time on are events of the
-- words whose newest is not before it; usually as many words as events are wanted settle the page. The indexes have the
-- order that is wanted; nothing may be gathered first and sorted then, whatever the planner thinks of how often a word
-- occurs.
CREATE FUNCTION rakkr_fcgi.audit_newest(of_column text, words integer[], newest timestamptz[], conditions text,
	patterns text[], since timestamptz, before timestamptz, most bigint)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off SET jit = off AS $$
DECLARE
	number bigint := least(most, cardinality(words));
	earliest timestamptz;
	ids uuid[];
BEGIN
	LOOP
		earliest := CASE WHEN number < cardinality(words) THEN newest[number] ELSE '-infinity' END;
		WHILE number < cardinality(words) AND newest[number + 1] = earliest LOOP
			number := number + 1;
		END LOOP;
		EXECUTE format(
			'SELECT array_agg(p.id ORDER BY p.created_at DESC, p.id DESC) FROM (
				SELECT x.id, x.created_at FROM unnest($1) w CROSS JOIN LATERAL (
					SELECT f.id, f.created_at FROM rakkr_fcgi.audit_finds f
					WHERE f.%I = w AND f.created_at >= $2%s%s
					ORDER BY f.created_at DESC, f.id DESC LIMIT $4) x
				ORDER BY x.created_at DESC, x.id DESC LIMIT $4) p',
			of_column, CASE WHEN before IS NOT NULL THEN ' AND f.created_at < $3' END, conditions)
			INTO ids USING words[1:number], greatest(earliest, since), before, most, patterns;
		EXIT WHEN cardinality(ids) >= most OR number >= cardinality(words) OR earliest < since;
		number := least(number * 8, cardinality(words));
	END LOOP;
	RETURN QUERY SELECT unnest(ids);
END
$$;

-- Words (the latest first, with their times) and their number of events: up to `most` of those that meet a condition. If
-- there are that many or more, they come in no order, and the number is an estimate for all: where the last one found
-- stands tells how much of the table was looked through.
CREATE FUNCTION rakkr_fcgi.audit_words_of(of_kind "char", pattern text, most bigint, OUT words integer[],
	OUT times timestamptz[], OUT number bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	last tid;
BEGIN
	IF of_kind IN ('o', 'p') THEN
		SELECT array_agg(w.id), array_agg(w.newest), sum(w.n) INTO words, times, number
			FROM rakkr_fcgi.audit_words w WHERE w.kind = of_kind AND w.value = pattern;
	ELSE
		SELECT array_agg(w.id), array_agg(w.newest), sum(w.n), max(w.ctid) INTO words, times, number, last
			FROM (SELECT x.id, x.newest, x.n, x.ctid FROM rakkr_fcgi.audit_words x
				WHERE x.kind = of_kind AND x.folded LIKE pattern LIMIT most) w;
		IF cardinality(words) >= most THEN
			number := number * (pg_relation_size('rakkr_fcgi.audit_words') / current_setting('block_size')::bigint)
				/ ((last::text::point)[0]::bigint + 1);
		ELSE
			SELECT array_agg(w.id), array_agg(w.newest) INTO words, times
				FROM (SELECT u.id, u.newest FROM unnest(words, times) u (id, newest) ORDER BY u.newest DESC) w;
		END IF;
	END IF;
	words := coalesce(words, '{}');
	number := coalesce(number, 0);
END
$$;

-- The newest `most` folded events that meet every condition given: patterns of LIKE over folded texts, outcome and
-- permission by their value, times. The first row is no event: its `upto` tells up to when that is the truth. If it is
-- NULL, so many events meet the conditions that going through all of them from the newest on is the shorter way (or so
-- many texts do that they cannot be gone through one by one).
-- The words that lead to the events are not looked for in each of them once more: a long list of them would be gone
-- through for each word. Where more words meet a condition than can be listed, the events that another one leads to are
-- looked at one by one; and if there is no other, those words are listed after all, unless their events are many.
CREATE FUNCTION rakkr_fcgi.audit_page(action_like text, actor_like text, target_like text, reason_like text,
	outcome_is text, permission_is text, since timestamptz, before timestamptz, most bigint)
RETURNS TABLE (id uuid, upto timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
	names constant text[] := ARRAY['action', 'actor', 'target', 'reason', 'outcome', 'permission'];
	kinds constant "char"[] := ARRAY['a', 'c', 't', 'r', 'o', 'p']::"char"[];
	wanted constant text[] := ARRAY[action_like, actor_like, target_like, reason_like, outcome_is, permission_is];
	words_most constant integer := 2000;
	walk_most constant integer := 2000; -- so many events are looked at faster than words are
	total bigint;
	found record;
	best record;
	best_at integer;
	best_number bigint;
	broad_at integer;
	broad_number bigint;
	conditions text[];
BEGIN
	SELECT s.upto, s.n INTO upto, total FROM rakkr_fcgi.audit_folded s;
	FOR i IN 1..6 LOOP
		CONTINUE WHEN wanted[i] IS NULL;
		SELECT * INTO found FROM rakkr_fcgi.audit_words_of(kinds[i], wanted[i], words_most + 1);
		IF cardinality(found.words) > words_most THEN
			conditions[i] := format(
				' AND (SELECT k.folded LIKE $5[%s] FROM rakkr_fcgi.audit_words k WHERE k.id = f.%I)', i, names[i]);
			IF broad_at IS NULL OR found.number < broad_number THEN
				broad_at := i;
				broad_number := found.number;
			END IF;
			CONTINUE;
		END IF;
		IF (best_at IS NULL OR found.number < best_number) AND wanted[i] NOT IN ('allowed', 'succeeded') THEN
			best_at := i;
			best := found;
			best_number := found.number;
		END IF;
		-- numbers of our own making, put in as text: the plan depends on them
		conditions[i] := format(' AND f.%I = ANY (%L::integer[])', names[i], found.words);
	END LOOP;
	IF best_at IS NULL AND broad_at IS NOT NULL AND most * total / broad_number >= walk_most THEN
		best_at := broad_at;
		SELECT * INTO best FROM rakkr_fcgi.audit_words_of(kinds[best_at], wanted[best_at], NULL);
		best_number := best.number;
	END IF;
	IF best_at IS NULL OR (best_number > 0 AND most * total / best_number < walk_most) THEN
		upto := NULL;
	END IF;
	RETURN NEXT;
	IF upto IS NULL OR best_number = 0 THEN
		RETURN;
	END IF;
	conditions[best_at] := CASE WHEN names[best_at] = 'outcome' THEN ' AND f.rare' END;
	RETURN QUERY SELECT x, NULL::timestamptz FROM rakkr_fcgi.audit_newest(names[best_at], best.words, best.times,
		array_to_string(conditions, ''), wanted, since, before, most) x;
END
$$;

REVOKE ALL ON FUNCTION rakkr_fcgi.audit_note_late(), rakkr_fcgi.audit_forget(),
	rakkr_fcgi.audit_fold_these(timestamptz, timestamptz, uuid[]),
	rakkr_fcgi.audit_fold(integer) FROM PUBLIC;
