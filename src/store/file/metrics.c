/* What GET /metrics counts, in flat files: all of it is in memory, but for the audit log (audit_totals.c). */
#include "store/metrics.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/tally.h"
#include "store/file/file.h"

#include <string.h>

struct counting {
	struct file_store *store;
	const void *ctx;
	void *tmp;
	const struct metrics_question *q;
};

/* Every document of m in scope (where m has one): the element's own, not to be changed. */
static status each_document(const struct counting *c, const struct model *m, const struct row_scope *scope,
                            void (*take)(const struct counting *c, json_object *doc, void *state), void *state)
{
	const struct collection *from = collection_of(c->store, m);
	struct selection rows;
	struct query q;
	struct table *t;

	query_init(&q);
	q.scope = scope;
	TRY(collection_read(c->store, collection_of(c->store, m), &t));
	TRY(select_places(c->store, c->tmp, from, t, &q, &rows));
	for (size_t i = 0; i < rows.count; i++)
		take(c, t->at[rows.places[i]]->doc, state);
	return ST_OK;
}

/* ---- recordings and jobs ----------------------------------------------------------------------------------------- */

struct library {
	json_object *recordings, *active, *jobs;
	json_object *seen; /* node and recording of those that are active: each counts once */
};

static void add_active(struct library *l, const char *node, const char *recording)
{
	const char *pair[] = {node, recording};

	if (tally_get(l->seen, pair, 2) == 0)
		tally_add(l->active, pair, 1, 1);
	tally_add(l->seen, pair, 2, 1);
}

static void take_recording(const struct counting *c, json_object *doc, void *state)
{
	struct library *l = state;
	const char *labels[] = {json_str(doc, "nodeId"), json_flag(doc, "cached", false) ? "true" : "false"};

	(void)c;
	tally_add(l->recordings, labels, 2, 1);
	if (text_equal(json_str(doc, "status"), "recording"))
		add_active(l, labels[0], json_str(doc, "id"));
}

static void take_job(const struct counting *c, json_object *doc, void *state)
{
	struct library *l = state;
	const char *labels[] = {json_str(doc, "nodeId"), json_str(doc, "status")};

	(void)c;
	tally_add(l->jobs, labels, 2, 1);
	if (text_equal(labels[1], "running") || text_equal(labels[1], "stop_requested"))
		add_active(l, labels[0], json_str(doc, "recordingId"));
}

static void count_library(const struct counting *c, json_object *out[])
{
	static const struct row_scope everything = {.allow_all = true}; /* the recording must be there */
	const struct row_scope *jobs = c->q->recordings != NULL ? c->q->recordings : &everything;
	struct library l = {json_new_object(c->ctx), json_new_object(c->ctx), json_new_object(c->ctx),
	                    json_new_object(c->tmp)};

	if (each_document(c, &model_recordings, c->q->recordings, take_recording, &l) != ST_OK)
		return;
	out[METRICS_RECORDINGS] = l.recordings;
	if (each_document(c, &model_jobs, jobs, take_job, &l) != ST_OK)
		return;
	out[METRICS_ACTIVE] = l.active;
	out[METRICS_JOBS] = l.jobs;
}

/* ---- health events and uploads ----------------------------------------------------------------------------------- */

/* The recording called id, or NULL. */
static json_object *recording_of(const struct counting *c, const char *id)
{
	struct element *e;
	struct table *t;

	if (id == NULL || collection_read(c->store, collection_of(c->store, &model_recordings), &t) != ST_OK)
		return NULL;
	e = table_find(t, id);
	return e != NULL ? e->doc : NULL;
}

/* Appends recording, and schedule and node of the recording, if parts are wanted; the number of labels then. */
static size_t add_parts(const struct counting *c, const char **labels, size_t n, const char *recording_id)
{
	json_object *recording;

	if (!c->q->parts)
		return n;
	recording = recording_of(c, recording_id);
	labels[n++] = recording_id;
	labels[n++] = json_str(recording, "scheduleId");
	labels[n++] = json_str(recording, "nodeId");
	return n;
}

static bool is_named(const struct metrics_question *q, const char *id)
{
	for (size_t i = 0; i < q->named_count; i++)
		if (text_equal(q->named_events[i], id))
			return true;
	return false;
}

static bool blank(const char *s)
{
	return s == NULL || s[0] == '\0';
}

static void take_event(const struct counting *c, json_object *doc, void *state)
{
	const char *labels[TALLY_LABELS] = {json_str(doc, "type"), json_str(doc, "severity"), json_str(doc, "status"),
	                                    json_str(doc, "nodeId")};
	const char *id = json_str(doc, "id"), *recording = json_str(doc, "recordingId");
	size_t n = 4;

	if (c->q->parts) {
		labels[n++] = json_str(doc, "scheduleId");
		labels[n++] =
		    is_named(c->q, id) || (blank(recording) && blank(labels[3]) && blank(labels[4])) ? id : NULL;
	} else if (!text_equal(labels[0], "watchdog.node_offline")) {
		labels[3] = NULL;
	}
	n = add_parts(c, labels, n, recording);
	tally_add(state, labels, n, 1);
}

struct queue {
	json_object *items, *due, *tries;
};

static void take_item(const struct counting *c, json_object *doc, void *state)
{
	const struct queue *u = state;
	const char *labels[TALLY_LABELS] = {json_str(doc, "provider"), json_str(doc, "status")};
	bool waits = text_equal(labels[1], "queued") || text_equal(labels[1], "retrying");
	size_t n = add_parts(c, labels, 2, json_str(doc, "recordingId"));
	const char *parts[] = {labels[0], labels[2], labels[3], labels[4]};
	int64_t due, known = tally_get(u->due, labels, n);

	tally_add(u->items, labels, n, 1);
	if (waits && clock_parse(json_str(doc, "nextAttemptAt"), CLOCK_LENIENT, &due) && (known == 0 || due < known))
		tally_add(u->due, labels, n, due - known);
	tally_add(u->tries, parts, n - 1,
	          metrics_upload_tries(json_str(doc, "status"), json_int(doc, "attemptCount", 0),
	                               json_str(doc, "lastError")));
}

static void count_health(const struct counting *c, json_object *out[])
{
	json_object *health = json_new_object(c->ctx);

	if (each_document(c, &model_health_events, NULL, take_event, health) == ST_OK)
		out[METRICS_HEALTH] = health;
	if (!c->q->parts && counters_read(c->store, c->ctx, COUNTER_HEALTH, &out[METRICS_HEALTH_EVER]) != ST_OK)
		out[METRICS_HEALTH_EVER] = NULL;
}

static void count_uploads(const struct counting *c, json_object *out[])
{
	struct queue u = {json_new_object(c->ctx), json_new_object(c->ctx), json_new_object(c->ctx)};

	if (each_document(c, &model_upload_queue, NULL, take_item, &u) == ST_OK) {
		out[METRICS_UPLOADS] = u.items;
		out[METRICS_UPLOAD_DUE] = u.due;
		out[METRICS_UPLOAD_TRIES] = c->q->parts ? u.tries : NULL;
	}
	if (!c->q->parts && counters_read(c->store, c->ctx, COUNTER_UPLOADS, &out[METRICS_UPLOAD_FAILURES]) != ST_OK)
		out[METRICS_UPLOAD_FAILURES] = NULL;
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

struct recent {
	json_object *tally;
	int count;
};

static bool take_recent(void *state, json_object *event)
{
	struct recent *r = state;
	json_object *target = json_object_at(event, "target");
	const char *labels[6];

	metrics_audit_labels(event, labels);
	if (text_equal(labels[4], METRICS_ABOUT)) {
		labels[4] = json_str(target, "type");
		labels[5] = json_str(target, "id");
		tally_add(r->tally, labels, 6, 1);
		r->count++;
	}
	return r->count < METRICS_RECENT;
}

static void count_audit(const struct counting *c, json_object *out[])
{
	struct recent recent = {json_new_object(c->ctx), 0};
	json_object *totals;
	struct query q;

	if (audit_totals(c->store, &totals) == ST_OK) {
		out[METRICS_AUDIT] = json_new_object(c->ctx);
		tally_merge(out[METRICS_AUDIT], totals);
	}
	query_init(&q);
	if (c->q->parts && audit_scan(c->store, &q, take_recent, &recent) == ST_OK)
		out[METRICS_AUDIT_RECENT] = recent.tally;
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

status file_metrics(void *b, const void *ctx, const struct metrics_question *q, json_object *out[])
{
	const struct counting c = {file_enter(b), ctx, talloc_new(NULL), q};

	memset(out, 0, METRICS_TALLIES * sizeof(out[0]));
	count_library(&c, out);
	count_health(&c, out);
	count_uploads(&c, out);
	count_audit(&c, out);
	talloc_free(c.tmp);
	return ST_OK;
}

static bool give(const struct element *e, int pass,
                 bool (*each)(void *state, int pass, const struct metrics_recording *r), void *state)
{
	const struct metrics_recording r = {
	    .id = json_str_or(e->doc, "id", ""),
	    .node_id = json_str_or(e->doc, "nodeId", ""),
	    .source = json_str_or(e->doc, "source", ""),
	    .status = json_str_or(e->doc, "status", ""),
	    .cache_path = json_str_or(e->doc, "cachePath", ""),
	    .duration_seconds = json_int(e->doc, "durationSeconds", 0),
	};

	return each(state, pass, &r);
}

status file_metrics_recordings(void *b, const struct row_scope *scope, int passes,
                               bool (*each)(void *state, int pass, const struct metrics_recording *r), void *state)
{
	struct file_store *s = file_enter(b);
	const struct collection *c = collection_of(s, &model_recordings);
	struct selection rows;
	struct table *t;
	struct query q;
	void *tmp;
	status st;

	query_init(&q);
	q.scope = scope;
	TRY(collection_read(s, collection_of(s, &model_recordings), &t));
	tmp = talloc_new(NULL);
	st = select_places(s, tmp, c, t, &q, &rows);
	for (int pass = 0; st == ST_OK && pass < passes; pass++)
		for (size_t i = 0; i < rows.count && give(t->at[rows.places[i]], pass, each, state); i++)
			continue;
	talloc_free(tmp);
	return st;
}
