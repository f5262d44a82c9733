/*
 * GET /metrics (contract 06 9). Recordings are shown one by one: a few are an ordinary reply, many are produced while
 * they are sent, in two passes over one state of the store, so that memory does not grow with them. The event of the
 * scrape holds the sum of the file sizes; it is written behind the last recording, before the end of the answer.
 */
#include "api/metrics.h"

#include "api/route.h"
#include "base/mem.h"
#include "engine/exposition.h"
#include "engine/tally.h"
#include "transfer/cache.h"

#include <string.h>

#define SHORT 2000        /* recordings that are answered from memory */
#define PIECE (64 * 1024) /* bytes that are gathered before they are sent */

#define CONTROLLER TARGET("controller", NULL, NULL)

static const struct {
	const char *name, *help;
} recording_families[] = {
    {"rakkr_recording_duration_seconds", "Recording duration by recording."},
    {"rakkr_recording_bytes_written", "Controller cached recording bytes by recording."},
};
#define PASSES 2

struct exposition {
	struct request *r;
	struct scrape scrape;
	struct cache_sizes *sizes;
	struct buf out;
	bool (*put)(struct request *r, const char *data, size_t n); /* NULL: everything is kept in out */
	bool gone;                                                  /* nobody listens any more */
	int pass;
	int64_t count, bytes; /* of recordings */
};

/* ---- recordings -------------------------------------------------------------------------------------------------- */

static bool send_gathered(struct exposition *e)
{
	e->gone = e->gone || !e->put(e->r, e->out.data, e->out.len);
	e->out.len = 0;
	return !e->gone;
}

static void begin_pass(struct exposition *e)
{
	exposition_family(&e->out, recording_families[e->pass].name, "gauge", recording_families[e->pass].help);
	e->pass++;
}

static bool add_recording(void *state, int pass, const struct metrics_recording *r)
{
	struct exposition *e = state;
	const struct exposition_label labels[] = {
	    {"node_id", r->node_id}, {"recording_id", r->id}, {"source", r->source}, {"status", r->status}};
	int64_t value = r->duration_seconds;

	while (e->pass <= pass)
		begin_pass(e);
	if (pass > 0) {
		value = cache_size(e->sizes, r->cache_path);
		e->bytes += value;
		e->count++;
	}
	exposition_count(&e->out, recording_families[pass].name, labels, 4, value);
	return e->put == NULL || e->out.len < PIECE || send_gathered(e);
}

static status add_recordings(struct exposition *e)
{
	e->sizes = cache_sizes_open(e->r->mem, config_str(e->r->config, CFG_RECORDING_CACHE_DIR));
	TRY(store_metrics_recordings(e->r->store, e->scrape.scope, PASSES, add_recording, e));
	while (e->pass < PASSES) /* there was none */
		begin_pass(e);
	return ST_OK;
}

/* ---- the event --------------------------------------------------------------------------------------------------- */

/* Jobs of visible nodes; whoever sees everything sees those of nodes that are gone. */
static int64_t job_count(const void *ctx, const struct scrape *s)
{
	json_object *ids = json_new_object(ctx);
	int64_t n = 0;
	size_t count;
	struct tally_row *rows = tally_rows(ctx, s->jobs, &count);

	for (size_t i = 0; s->nodes != NULL && i < json_object_array_length(s->nodes); i++)
		json_set_bool(ids, json_str_or(json_object_array_get_idx(s->nodes, i), "id", ""), true);
	for (size_t i = 0; i < count; i++)
		if (s->all_time || json_has(ids, rows[i].labels[0]))
			n += rows[i].n;
	return n;
}

static void audit_scrape(struct exposition *e)
{
	const struct scrape *s = &e->scrape;

	audit_add(e->r, &(struct audit){
	                    .target = CONTROLLER,
	                    .no_session = true,
	                    .details =
	                        details(e->r, "auditEventCount", J_INT, tally_sum(s->audit), "healthEventCount", J_INT,
	                                tally_sum(s->health), "listenMonitorChunkCount", J_INT, (int64_t)s->chunk_count,
	                                "meterFrameCount", J_INT, (int64_t)s->frame_count, "nodeCount", J_INT,
	                                s->nodes != NULL ? (int64_t)json_object_array_length(s->nodes) : (int64_t)0,
	                                "recordingCacheBytes", J_INT, e->bytes, "recordingCount", J_INT, e->count,
	                                "recordingJobCount", J_INT, job_count(e->r->mem, s), "uploadQueueItemCount",
	                                J_INT, tally_sum(s->uploads), NULL),
	                });
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* All of it but the event; a part that is not needed any more may have been sent. */
static status render(struct exposition *e)
{
	status st;

	families_before_recordings(e->r, &e->scrape, &e->out);
	st = add_recordings(e);
	if (st == ST_OK)
		families_after_recordings(&e->scrape, &e->out);
	return st;
}

/* The head has been sent: what goes wrong now breaks the answer off. */
static bool produce(struct request *r, bool (*put)(struct request *r, const char *data, size_t n))
{
	struct exposition *e = r->reply.produce_state;

	e->put = put;
	r->audit = NULL; /* the guard's event is stored */
	if (render(e) != ST_OK || e->gone)
		return false;
	audit_scrape(e);
	if (store_commit(r->store, r->audit, false) != ST_OK)
		return false;
	return send_gathered(e);
}

static bool discard(struct request *r, const char *data, size_t n)
{
	(void)r;
	(void)data;
	(void)n;
	return true;
}

static status answer(struct exposition *e)
{
	struct request *r = e->r;
	bool head = strcmp(r->method, "HEAD") == 0;

	if (tally_sum(e->scrape.recordings) > SHORT && !head) {
		reply_bytes(r, 200, EXPOSITION_TYPE, "", 0);
		r->reply.kind = REPLY_PRODUCED;
		r->reply.produce = produce;
		r->reply.produce_state = e;
		return ST_OK;
	}
	e->put = head ? discard : NULL;
	TRY(render(e));
	audit_scrape(e);
	return reply_bytes(r, 200, EXPOSITION_TYPE, e->out.data, head ? 0 : e->out.len);
}

/* The database is away, but it is known who asks (09 D-96). */
static status answer_without(struct request *r)
{
	struct buf out;

	store_rollback(r->store);
	buf_init(&out, r->mem);
	family_started(r, &out);
	family_database(true, &out);
	audit_add(r, &(struct audit){.target = CONTROLLER,
	                             .no_session = true,
	                             .details = details(r, "databaseUnavailable", J_BOOL, true, NULL)});
	return reply_bytes(r, 200, EXPOSITION_TYPE, out.data, out.len);
}

static status metrics(struct request *r)
{
	struct exposition *e = mem_new(r->mem, struct exposition);
	status st;

	e->r = r;
	buf_init(&e->out, r->mem);
	st = scrape_gather(r, &e->scrape);
	if (st == ST_OK)
		st = answer(e);
	if (st == ST_UNAVAILABLE && store_is_database(r->store))
		return answer_without(r);
	return st;
}

const struct route metrics_routes[] = {
    {"GET", "/metrics", GUARD_USER, PERM_METRICS_READ, "metrics.read", .target_type = "controller", .handler = metrics},
    {.method = NULL},
};
