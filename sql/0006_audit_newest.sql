-- Pages of the audit log that are looked for by a text which very many texts contain ("council 17"): with the time of
-- each text's newest event beside it, only the few texts that the page is made of have to be looked into.

-- None of its folded events is newer. (After a deletion it may be later than the newest that is left.)
ALTER TABLE rakkr_fcgi.audit_words ADD COLUMN newest timestamptz NOT NULL DEFAULT '-infinity';
UPDATE rakkr_fcgi.audit_words w SET newest = coalesce(CASE w.kind
	WHEN 'a' THEN (SELECT max(f.created_at) FROM rakkr_fcgi.audit_finds f WHERE f.action = w.id)
	WHEN 'c' THEN (SELECT max(f.created_at) FROM rakkr_fcgi.audit_finds f WHERE f.actor = w.id)
	WHEN 't' THEN (SELECT max(f.created_at) FROM rakkr_fcgi.audit_finds f WHERE f.target = w.id)
	WHEN 'r' THEN (SELECT max(f.created_at) FROM rakkr_fcgi.audit_finds f WHERE f.reason = w.id)
	WHEN 'p' THEN (SELECT max(f.created_at) FROM rakkr_fcgi.audit_finds f WHERE f.permission = w.id)
	ELSE (SELECT upto FROM rakkr_fcgi.audit_folded) END, '-infinity');

CREATE OR REPLACE FUNCTION rakkr_fcgi.audit_fold_these(since timestamptz, bound timestamptz, ids uuid[]) RETURNS bigint
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

-- The newest `most` folded events with one of these words in a column, and further conditions on the row f, to which the
-- patterns are $5. The words stand in the order of `newest`, the latest first. Events from a time on are events of the
-- words whose newest is not before it; usually as many words as events are wanted settle the page. The indexes have the order that is wanted;
-- nothing may be gathered first and sorted then, whatever the planner thinks of how often a word occurs.
DROP FUNCTION rakkr_fcgi.audit_newest(text, integer[], text, timestamptz, timestamptz, bigint);
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

-- As before (0004_audit.sql), but:
-- The words that lead to the events are not looked for in each of them once more: a long list of them would be gone
-- through for each word.
-- Where more words meet a condition than can be listed, the events that another one leads to are looked at one by one;
-- and if there is no other, those words are listed after all, unless their events are many.
CREATE OR REPLACE FUNCTION rakkr_fcgi.audit_page(action_like text, actor_like text, target_like text, reason_like text,
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

REVOKE ALL ON FUNCTION rakkr_fcgi.audit_fold_these(timestamptz, timestamptz, uuid[]) FROM PUBLIC;
