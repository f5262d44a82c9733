#include "api/meters.h"

#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/meter_demo.h"

#include <string.h>

status meter_stored(const void *ctx, const struct app *app, const char *node_id, json_object **frame)
{
	char *text;
	int64_t received;

	TRY(live_meter_get(app->live, ctx, node_id, &text, &received));
	return json_parse(ctx, text, strlen(text), frame) ? ST_OK : ST_NOT_FOUND;
}

status meter_latest(const void *ctx, const struct app *app, const char *node_id, int64_t now_ms, json_object **frame)
{
	status st = meter_stored(ctx, app, node_id, frame);
	double level;

	if (st != ST_NOT_FOUND || strcmp(node_id, NODE_DEMO_ID) != 0)
		return st;
	if (meter_demo_override(config_str(app->config, CFG_DEMO_METER_DBFS), &level))
		*frame = meter_demo_frame(ctx, now_ms, &level);
	else
		*frame = meter_demo_frame(ctx, now_ms, NULL);
	return ST_OK;
}

/* ---- GET /nodes/:nodeId/meters ----------------------------------------------------------------------------------- */

static status meters_read(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node, *frame, *levels;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, id), NULL);
	TRY(st);
	struct target target = TARGET("node", id, json_str(node, "alias"));
	st = meter_latest(r->mem, r->app, id, r->now_ms, &frame);
	if (st == ST_NOT_FOUND)
		return fail(r, 409, "Meter data unavailable", "meter_node_mismatch", target, NULL);
	TRY(st);
	levels = json_array(frame, "levels");
	audit_ok(r, target,
	         details(r, "capturedAt", J_STR, json_str(frame, "capturedAt"), "interfaceId", J_STR,
	                 json_str(frame, "interfaceId"), "levelCount", J_INT,
	                 levels != NULL ? (int64_t)json_object_array_length(levels) : (int64_t)0, NULL));
	return reply_data(r, 200, frame);
}

/* ---- GET /meter-events ------------------------------------------------------------------------------------------- */

/* What a stream remembers of the request that opened it. */
struct meter_stream {
	const char *token;
	uint64_t ticks;
};

/*
 * The events of all nodes, made once for all streams of a process (whose ticks come one after the other): a thousand
 * nodes must not be listed again for each of fifty viewers. A frame may be seen this much later for it.
 */
#define SHARED_MS 500

static struct {
	void *mem;
	int64_t made_ms; /* monotonic */
	size_t count;
	struct node_event {
		json_object *node;
		const char *text;
		size_t len;
	} * events;
} shared;

/* The frame's JSON as it was received; the demo node has one always. NULL: no frame. */
static const char *frame_text(const void *ctx, const struct app *app, const char *id, int64_t now_ms)
{
	json_object *frame;
	char *text;

	if (live_meter_get(app->live, ctx, id, &text, NULL) == ST_OK)
		return text;
	return meter_latest(ctx, app, id, now_ms, &frame) == ST_OK ? json_compact(ctx, frame, NULL) : NULL;
}

static void share_event(const struct app *app, json_object *node, int64_t now_ms)
{
	const char *frame = frame_text(shared.mem, app, json_str(node, "id"), now_ms);
	struct node_event *e = &shared.events[shared.count];

	if (frame == NULL)
		return;
	e->node = node;
	e->text = mem_printf(shared.mem, "event: meter\ndata: %s\n\n", frame);
	e->len = strlen(e->text);
	shared.count++;
}

static status share_events(const struct app *app)
{
	int64_t mono_ms = clock_mono_ms(), now_ms = clock_now_ms();
	json_object *nodes;
	status st;

	if (shared.mem != NULL && mono_ms - shared.made_ms < SHARED_MS)
		return ST_OK;
	talloc_free(shared.mem);
	shared.mem = talloc_new(NULL);
	shared.count = 0;
	st = node_list(shared.mem, app, now_ms, &nodes);
	if (st != ST_OK) {
		talloc_free(shared.mem);
		shared.mem = NULL;
		return st;
	}
	shared.events = mem_array(shared.mem, struct node_event, json_object_array_length(nodes) + 1);
	for (size_t i = 0; i < json_object_array_length(nodes); i++)
		share_event(app, json_object_array_get_idx(nodes, i), now_ms);
	shared.made_ms = mono_ms;
	return ST_OK;
}

/* The frames of all nodes in the scope of p. */
static status add_events(const void *ctx, struct app *app, const struct principal *p, struct buf *out)
{
	bool all = scope_is_total(&p->scope);

	TRY(share_events(app));
	for (size_t i = 0; i < shared.count; i++)
		if (all || node_in_scope(ctx, &p->scope, shared.events[i].node))
			buf_add(out, shared.events[i].text, shared.events[i].len);
	return ST_OK;
}

/*
 * One tick. Session, permission and scope are read anew each time: a revoked session or a removed grant ends the
 * frames at once (09 D-110). While the store is away, and what was last known is too old, nothing
 * is sent, for nothing can be decided.
 */
static bool stream_tick(struct app *app, void *state, struct buf *out)
{
	struct meter_stream *s = state;
	void *ctx = talloc_new(NULL);
	struct principal p;
	bool allowed;
	status st;

	store_degrade_begin(app->store, true);
	st = principal_from_session(ctx, app->store, app->config, s->token, clock_now_ms(), &p);
	allowed = st != ST_OK || principal_may(&p, PERM_NODE_READ);

	if (st == ST_OK && allowed)
		st = add_events(ctx, app, &p, out);
	if (st != ST_OK)
		log_debug("meter stream: no frames in tick %llu: %s", (unsigned long long)s->ticks, status_name(st));
	store_degrade_begin(app->store, false);
	s->ticks++;
	talloc_free(ctx);
	return allowed;
}

static status meter_events(struct request *r)
{
	struct meter_stream *s = mem_new(r->mem, struct meter_stream);

	s->token = bearer_token(r->mem, req_header(r, "authorization"));
	r->reply.kind = REPLY_STREAM;
	r->reply.status = 200;
	r->reply.content_type = "text/event-stream";
	reply_header(r, "Cache-Control", "no-cache");
	reply_header(r, "X-Accel-Buffering", "no");
	r->reply.stream = stream_tick;
	r->reply.stream_state = s;
	return ST_OK;
}

const struct route meters_routes[] = {
    {"GET", "/api/v1/nodes/:nodeId/meters", GUARD_USER, PERM_NODE_READ, "meters.read", .target_type = "node",
     .target_param = "nodeId", .handler = meters_read, .prefetch = &model_nodes, .prefetch_param = "nodeId"},
    {"GET", "/api/v1/meter-events", GUARD_USER, PERM_NODE_READ, "meters.stream", .target_type = "controller",
     .handler = meter_events, .stream = true},
    {.method = NULL},
};
