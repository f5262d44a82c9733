/*
 * Searches of all recordings for one or two characters, in the usual order (sql/0008_searches.sql). The number of hits
 * of a day is kept, but for days that changed since: those are looked through. So the total is a sum over the days, and
 * the page comes from the few days that it is made of.
 */
#include "store/pg/library.h"

#include "base/clock.h"

#define COUNT_EVERY_MS 2000 /* one day is counted anew that often: about 100 ms of the server's time */

/* "CROSS JOIN LATERAL (hits of a day, the newest first) x": gone through in the order of their index, day by day. */
static void put_hits_of(struct sql *s, const struct text_needle *n, const char *day)
{
	sql_printf(
	    s,
	    " CROSS JOIN LATERAL (SELECT x.id, x.recorded_at AS k0, x.id AS k1 FROM rakkr_fcgi.recording_texts x"
	    " WHERE x.recorded_at >= rakkr_fcgi.day_begin(%s) AND x.recorded_at < rakkr_fcgi.day_begin(%s + 1) AND ",
	    day, day);
	sql_recording_has(s, n, false);
	sql_put(s, " ORDER BY x.recorded_at DESC, x.id");
}

/* "d AS (days that did not change, with the number of hits), h AS (hits of the others), s AS (total), ". */
static void put_counts(struct sql *s, const struct text_needle *n)
{
	sql_put(s, "d AS MATERIALIZED (SELECT g.day, (g.counts->>");
	sql_param(s, n->gram, "text");
	sql_put(s, ")::bigint AS n FROM rakkr_fcgi.recording_grams g WHERE NOT EXISTS"
	           " (SELECT FROM rakkr_fcgi.recording_days_changed c WHERE c.day = g.day)),"
	           " h AS MATERIALIZED (SELECT c.day, x.* FROM"
	           " (SELECT DISTINCT day FROM rakkr_fcgi.recording_days_changed) c");
	put_hits_of(s, n, "c.day");
	sql_put(s, " OFFSET 0) x), s AS MATERIALIZED (SELECT (coalesce((SELECT sum(n) FROM d), 0)"
	           " + (SELECT count(*) FROM h))::bigint AS total), ");
}

/* "w AS (the newest days that have as many hits as the page and what is before it), ". */
static void put_days(struct sql *s, const struct query *q)
{
	sql_put(s,
	        "w AS MATERIALIZED (SELECT day, kept FROM (SELECT day, kept, n, sum(n) OVER (ORDER BY day DESC) AS upto"
	        " FROM (SELECT day, true AS kept, n FROM d WHERE n > 0"
	        " UNION ALL SELECT day, false, count(*) FROM h GROUP BY day) u) v");
	if (q->limit >= 0) {
		sql_put(s, " WHERE upto - n < ");
		sql_page_end(s, q);
	}
	sql_put(s, "), ");
}

void short_search(struct sql *s, const struct text_needle *n, const struct query *q)
{
	put_counts(s, n);
	put_days(s, q);
	sql_put(s,
	        "hits AS MATERIALIZED (SELECT h.id, h.k0, h.k1 FROM h WHERE h.day IN (SELECT day FROM w WHERE NOT kept)"
	        " UNION ALL SELECT x.* FROM (SELECT day FROM w WHERE kept) w");
	put_hits_of(s, n, "w.day");
	if (q->limit >= 0) {
		sql_put(s, " LIMIT ");
		sql_page_end(s, q);
	} else {
		sql_put(s, " OFFSET 0");
	}
	sql_put(s, ") x)");
}

void short_count(struct pg *p)
{
	int64_t now_ms = clock_mono_ms();
	struct batch b;
	void *ctx;

	if (!library_there(p) || now_ms < p->count_at_ms)
		return;
	p->count_at_ms = now_ms + COUNT_EVERY_MS;
	ctx = talloc_new(NULL);
	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	batch_add(&b, "SELECT rakkr_fcgi.count_grams(1)", NULL, 0);
	if (pg_run(p, &b) != ST_OK)
		p->count_at_ms = now_ms + KEPT_AGAIN_MS;
	talloc_free(ctx);
}
