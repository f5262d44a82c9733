/*
 * What GET /metrics counts, in Postgres: one round trip of a fixed number of statements, each a GROUP BY, and one
 * statement whose rows are given on as they arrive (sql/0006_metrics.sql).
 */
#include "store/metrics.h"

#include "engine/tally.h"
#include "store/pg/pg.h"

#include <stdlib.h>

/* What mending makes of it (model/recordings.c). */
#define CACHED                                                                                                         \
	"(coalesce(t.cache_path, '') <> '' OR t.status = 'cached' OR (t.status <> 'uploaded' AND"                      \
	" t.metadata->'cached' = 'true'))"
#define MS "floor(extract(epoch FROM t.next_attempt_at) * 1000)::bigint"
#define COUNTED(name_) " FROM rakkr_fcgi.counted c WHERE c.name = '" name_ "'"

/* ---- the questions ----------------------------------------------------------------------------------------------- */

static void put_recordings(struct sql *s, const struct query *q)
{
	sql_put(s, "SELECT coalesce(t.node_id, ''), " CACHED "::text, count(*) FROM recordings t");
	sql_where(s, &model_recordings, q);
	sql_put(s, " GROUP BY 1, 2");
}

static void put_active(struct sql *s, const struct query *recordings, const struct query *jobs)
{
	sql_put(s,
	        "SELECT coalesce(a.node_id, ''), count(DISTINCT a.id) FROM (SELECT t.node_id, t.id FROM recordings t");
	sql_where(s, &model_recordings, recordings);
	sql_put(s, " UNION ALL SELECT t.node_id, t.recording_id FROM recording_jobs t");
	sql_where(s, &model_jobs, jobs);
	sql_put(s, ") a GROUP BY 1");
}

static void put_jobs(struct sql *s, const struct query *q)
{
	sql_put(s, "SELECT coalesce(t.node_id, ''), t.status::text, count(*) FROM recording_jobs t");
	sql_where(s, &model_jobs, q);
	sql_put(s, " GROUP BY 1, 2");
}

static void put_health(struct sql *s, const struct metrics_question *q)
{
	if (!q->parts) {
		sql_put(s, "SELECT t.type, t.severity::text, t.status,"
		           " CASE WHEN t.type = 'watchdog.node_offline' THEN t.node_id END, count(*)"
		           " FROM health_events t GROUP BY 1, 2, 3, 4");
		return;
	}
	sql_put(s, "SELECT t.type, t.severity::text, t.status, t.node_id, t.schedule_id, CASE WHEN t.id::text = ANY (");
	sql_param(s, param_array(s->text.ctx, q->named_events, q->named_count), "text[]");
	sql_put(
	    s,
	    ") OR coalesce(nullif(t.recording_id, ''), nullif(t.schedule_id, ''), nullif(t.node_id, '')) IS NULL"
	    " THEN t.id::text END, t.recording_id, r.schedule_id, r.node_id, count(*)"
	    " FROM health_events t LEFT JOIN recordings r ON r.id = t.recording_id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9");
}

/* Items by provider and, if labels is not "", by what else; with parts by recording. */
static void put_uploads(struct sql *s, const struct metrics_question *q, const char *labels, const char *number,
                        bool waiting)
{
	sql_printf(s, "SELECT rakkr_fcgi.upload_provider(t.provider)%s%s, %s FROM upload_queue_items t", labels,
	           q->parts ? ", t.recording_id, r.schedule_id, r.node_id" : "", number);
	if (q->parts)
		sql_put(s, " LEFT JOIN recordings r ON r.id = t.recording_id");
	if (waiting)
		sql_put(s, " WHERE t.status IN ('queued', 'retrying')");
	sql_put(s, " GROUP BY 1");
	for (int column = 2, columns = 1 + (labels[0] != '\0') + (q->parts ? 3 : 0); column <= columns; column++)
		sql_printf(s, ", %d", column);
}

#define AUDIT_LABELS                                                                                                   \
	"rakkr_fcgi.audit_labels(e.action, e.actor_type, e.outcome, e.permission_id, e.target_type, e.target_id)"

/* What is folded, what is not, and what came late. */
static void put_audit(struct sql *s)
{
	sql_put(s,
	        "SELECT labels[1], labels[2], labels[3], labels[4], labels[5], sum(n)::bigint FROM ("
	        "SELECT c.labels, c.n" COUNTED(
	            "audit") " UNION ALL SELECT " AUDIT_LABELS ", count(*) FROM audit_events e"
	                     " WHERE e.created_at > (SELECT upto FROM rakkr_fcgi.audit_folded) GROUP BY 1"
	                     " UNION ALL SELECT " AUDIT_LABELS ", count(*) FROM rakkr_fcgi.audit_waiting e GROUP BY 1"
	                     ") x GROUP BY 1, 2, 3, 4, 5");
}

static void put_recent(struct sql *s)
{
	sql_put(s,
	        "SELECT e.action, e.actor_type, e.outcome::text, e.permission_id, e.target_type, e.target_id, count(*)"
	        " FROM (SELECT * FROM audit_events WHERE target_id <> '' AND target_type = ANY (");
	sql_param(s, param_array(s->text.ctx, metrics_about, METRICS_ABOUT_TYPES), "text[]");
	sql_printf(s, ") ORDER BY created_at DESC LIMIT %d) e GROUP BY 1, 2, 3, 4, 5, 6", METRICS_RECENT);
}

/* False if q does not ask for it. */
static bool put_question(struct sql *s, enum metrics_tally which, const struct metrics_question *q)
{
	static const char *const active_jobs[] = {"running", "stop_requested"};
	static const struct row_scope everything = {.allow_all = true};
	struct query recordings, jobs;

	query_init(&recordings);
	recordings.scope = q->recordings;
	query_init(&jobs);
	jobs.scope = q->recordings != NULL ? q->recordings : &everything; /* the recording must be there */
	switch (which) {
	case METRICS_RECORDINGS:
		put_recordings(s, &recordings);
		return true;
	case METRICS_ACTIVE:
		query_where(&recordings, "status", Q_EQ, "recording");
		query_where_in(&jobs, "status", active_jobs, 2);
		put_active(s, &recordings, &jobs);
		return true;
	case METRICS_JOBS:
		put_jobs(s, &jobs);
		return true;
	case METRICS_HEALTH:
		put_health(s, q);
		return true;
	case METRICS_UPLOADS:
		put_uploads(s, q, ", t.status", "count(*)", false);
		return true;
	case METRICS_UPLOAD_DUE:
		put_uploads(s, q, ", t.status", "min(" MS ")", true);
		return true;
	case METRICS_UPLOAD_TRIES:
		put_uploads(s, q, "", "sum(rakkr_fcgi.upload_tries(t.status, t.attempt_count, t.last_error))::bigint",
		            false);
		return q->parts;
	case METRICS_HEALTH_EVER:
		sql_put(s, "SELECT c.labels[1], c.labels[2], c.labels[3], sum(c.n)::bigint" COUNTED(
		               "health") " GROUP BY 1, 2, 3");
		return !q->parts;
	case METRICS_UPLOAD_FAILURES:
		sql_put(s, "SELECT c.labels[1], sum(c.n)::bigint" COUNTED("upload_failures") " GROUP BY 1");
		return !q->parts;
	case METRICS_AUDIT:
		put_audit(s);
		return true;
	case METRICS_AUDIT_RECENT:
		put_recent(s);
		return q->parts;
	case METRICS_TALLIES:
		break;
	}
	return false;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Rows of labels and, in the last column, a number. */
static json_object *take_tally(const void *ctx, const struct batch *b, size_t call)
{
	json_object *tally = json_new_object(ctx);
	int columns = b->calls[call].result != NULL ? PQnfields(b->calls[call].result) : 0;

	for (int row = 0; row < batch_rows(b, call); row++) {
		const char *labels[TALLY_LABELS] = {NULL}, *n = batch_cell(b, call, row, columns - 1);

		for (int i = 0; i < columns - 1 && i < TALLY_LABELS; i++)
			labels[i] = batch_cell(b, call, row, i);
		tally_add(tally, labels, (size_t)columns - 1, n != NULL ? strtoll(n, NULL, 10) : 0);
	}
	return tally;
}

/* Asks the questions from first up to end together. */
static status ask(struct pg *p, const void *ctx, const struct metrics_question *q, int first, int end,
                  json_object *out[])
{
	size_t calls[METRICS_TALLIES];
	bool asked[METRICS_TALLIES];
	struct batch b;

	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	for (int i = first; i < end; i++) {
		struct sql s;

		sql_init(&s, ctx);
		asked[i] = put_question(&s, (enum metrics_tally)i, q);
		if (asked[i])
			calls[i] = batch_add(&b, s.text.data, s.params.values, s.params.count);
	}
	TRY(pg_run(p, &b));
	for (int i = first; i < end; i++)
		out[i] = asked[i] ? take_tally(ctx, &b, calls[i]) : NULL;
	return ST_OK;
}

status pg_metrics(void *backend, const void *ctx, const struct metrics_question *q, json_object *out[])
{
	struct pg *p = backend;
	status st = ask(p, ctx, q, 0, METRICS_TALLIES, out);
	bool some = false;

	if (st == ST_OK || p->unit || p->conn == NULL)
		return st;
	/* One of them is refused: what can be counted is (09 D-96). */
	for (int i = 0; i < METRICS_TALLIES && p->conn != NULL; i++) {
		out[i] = NULL;
		some = ask(p, ctx, q, i, i + 1, out) == ST_OK || some;
	}
	return some && p->conn != NULL ? ST_OK : st;
}

/* ---- recordings one by one --------------------------------------------------------------------------------------- */

struct passing {
	bool (*each)(void *state, int pass, const struct metrics_recording *r);
	void *state;
	bool enough;
};
struct pass {
	struct passing *all;
	int number;
};

static void take_recording(void *state, const PGresult *r)
{
	const struct pass *p = state;
	const struct metrics_recording recording = {
	    .id = PQgetvalue(r, 0, 0),
	    .node_id = PQgetvalue(r, 0, 1), /* "" for NULL */
	    .source = PQgetvalue(r, 0, 2),
	    .status = PQgetvalue(r, 0, 3),
	    .duration_seconds = strtoll(PQgetvalue(r, 0, 4), NULL, 10),
	    .cache_path = PQgetvalue(r, 0, 5),
	};

	p->all->enough = p->all->enough || !p->all->each(p->all->state, p->number, &recording);
}

static status pass_all(struct pg *p, const void *ctx, const struct row_scope *scope, int passes, struct passing *all)
{
	struct pass *pass = mem_array(ctx, struct pass, (size_t)passes);
	struct query q;
	struct batch b;
	struct sql s;

	query_init(&q);
	q.scope = scope;
	sql_init(&s, ctx);
	sql_put(&s, "SELECT t.id, t.node_id, t.source, t.status, t.duration_seconds, t.cache_path FROM recordings t");
	sql_where(&s, &model_recordings, &q);
	sql_order(&s, &model_recordings, &q);
	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	batch_add_once(&b, "SET LOCAL statement_timeout TO '10min'"); /* as slow as the reader of a million lines */
	for (int i = 0; i < passes; i++) {
		pass[i] = (struct pass){all, i};
		batch_add_stream(&b, s.text.data, s.params.values, s.params.count, take_recording, &pass[i]);
	}
	return pg_run(p, &b);
}

status pg_metrics_recordings(void *backend, const struct row_scope *scope, int passes,
                             bool (*each)(void *state, int pass, const struct metrics_recording *r), void *state)
{
	struct pg *p = backend;
	struct passing all = {each, state, false};
	bool own = !p->unit;
	void *ctx;
	status st;

	if (own)
		TRY(pg_snapshot(p));
	ctx = talloc_new(NULL);
	st = pass_all(p, ctx, scope, passes, &all);
	talloc_free(ctx);
	if (own)
		pg_unit_rollback(p);
	return st;
}
