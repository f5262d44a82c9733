#include "api/listen.h"

#include "api/meters.h"
#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/liveness.h"
#include "engine/preview.h"

#include <string.h>

#define MODE_CHUNK "agent_audio_chunk"
#define MODE_PREVIEW "controller_meter_preview"

static status fresh_chunk(struct request *r, const char *node_id, struct live_chunk *c)
{
	int64_t captured;

	TRY(live_chunk_get(r->live, r->mem, node_id, c));
	if (!clock_parse(c->captured_at, CLOCK_ISO_Z, &captured) || !liveness_chunk_fresh(captured, r->now_ms))
		return ST_NOT_FOUND;
	return ST_OK;
}

status monitor_find(struct request *r, const char *node_id, struct monitor *m)
{
	status st = fresh_chunk(r, node_id, &m->chunk);

	m->source = MONITOR_NONE;
	if (st == ST_OK) {
		m->source = MONITOR_CHUNK;
		m->captured_at = m->chunk.captured_at;
		return ST_OK;
	}
	if (st != ST_NOT_FOUND)
		return st;
	st = meter_stored(r->mem, r->app, node_id, &m->frame);
	if (st == ST_OK) {
		m->source = MONITOR_FRAME;
		m->captured_at = json_str(m->frame, "capturedAt");
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- POST /nodes/:nodeId/listen ---------------------------------------------------------------------------------- */

static json_object *session_document(struct request *r, const char *node_id)
{
	const char *id = id_new(r->mem, "listen_");
	const char *node_part = text_uri_component(r->mem, node_id), *id_part = text_uri_component(r->mem, id);
	json_object *doc = json_new_object(r->mem);
	struct live_chunk chunk;
	bool heard = fresh_chunk(r, node_id, &chunk) == ST_OK;

	json_set_str(doc, "mode", heard ? MODE_CHUNK : MODE_PREVIEW);
	json_set_str(doc, "nodeId", node_id);
	json_set_str(doc, "sessionId", id);
	json_set_iso(doc, "startedAt", r->now_ms);
	json_set_str(doc, "stopUrl", mem_printf(r->mem, "/api/v1/nodes/%s/listen/%s", node_part, id_part));
	json_set_str(doc, "streamUrl",
	             mem_printf(r->mem, "/api/v1/nodes/%s/listen/stream?sessionId=%s", node_part, id_part));
	json_set_int(doc, "targetLatencyMs", heard ? chunk.duration_ms : PREVIEW_MS);
	return doc;
}

static json_object *session_correlation(struct request *r, const char *session_id)
{
	return details(r, "listenSessionId", J_STR, session_id, NULL);
}

static status listen_start(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node, *doc;
	status st = node_find_visible(r, id, &node);
	size_t n;

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, id), NULL);
	TRY(st);
	doc = session_document(r, id);
	const char *text = json_compact(r->mem, doc, &n);

	TRY(live_listen_put(r->live, json_str(doc, "sessionId"), text, n));
	audit_add(r, &(struct audit){
	                 .target = TARGET("node", id, json_str(node, "alias")),
	                 .correlation = session_correlation(r, json_str(doc, "sessionId")),
	                 .details = details(r, "mode", J_STR, json_str(doc, "mode"), "stopUrl", J_STR,
	                                    json_str(doc, "stopUrl"), "streamUrl", J_STR, json_str(doc, "streamUrl"),
	                                    "targetLatencyMs", J_INT, json_int(doc, "targetLatencyMs", 0), NULL),
	             });
	return reply_data(r, 202, doc);
}

/* The session called id if it is one of this node; using it renews it. */
static status session_find(struct request *r, const char *node_id, const char *id, json_object **doc)
{
	TRY(live_listen_get(r->live, r->mem, id, config_int(r->config, CFG_LISTEN_SESSION_TTL), doc));
	return text_equal(json_str(*doc, "nodeId"), node_id) ? ST_OK : ST_NOT_FOUND;
}

/* ---- GET /nodes/:nodeId/listen/stream ---------------------------------------------------------------------------- */

static status reply_wav(struct request *r, const char *node_id, const void *data, size_t n)
{
	reply_header(r, "Cache-Control", "no-store");
	reply_header(r, "Content-Disposition", mem_printf(r->mem, "inline; filename=\"%s-monitor.wav\"", node_id));
	return reply_bytes(r, 200, "audio/wav", data, n);
}

static void audit_stream(struct request *r, struct target target, const char *session_id, const char *mode,
                         int64_t duration_ms, const char *captured_at)
{
	audit_add(r, &(struct audit){
	                 .target = target,
	                 .correlation = session_correlation(r, session_id),
	                 .details = details(r, "durationMs", J_INT, duration_ms, "mode", J_STR, mode,
	                                    "sourceCapturedAt", J_STR, captured_at, NULL),
	             });
}

/* The node's sound for a valid session. */
static status stream_sound(struct request *r, struct target target, const char *session_id)
{
	struct live_chunk chunk;
	json_object *frame;
	unsigned char *wav;
	status st = fresh_chunk(r, target.id, &chunk);

	if (st == ST_OK) {
		audit_stream(r, target, session_id, MODE_CHUNK, chunk.duration_ms, chunk.captured_at);
		return reply_wav(r, target.id, chunk.audio, chunk.size);
	}
	st = meter_latest(r->mem, r->app, target.id, r->now_ms, &frame);
	if (st == ST_NOT_FOUND)
		return fail(r, 409, "Monitor data unavailable", "meter_frame_not_found", target, NULL);
	TRY(st);
	wav = mem_array(r->mem, unsigned char, PREVIEW_BYTES);
	preview_wav(wav, preview_peak(frame));
	audit_stream(r, target, session_id, MODE_PREVIEW, PREVIEW_MS, json_str(frame, "capturedAt"));
	return reply_wav(r, target.id, wav, PREVIEW_BYTES);
}

static status listen_stream(struct request *r)
{
	const char *id = req_param(r, "nodeId"), *session_id = req_query(r, "sessionId");
	json_object *node, *doc;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, id), NULL);
	TRY(st);
	struct target target = TARGET("node", id, json_str(node, "alias"));
	if (session_id == NULL || *session_id == '\0')
		return fail(r, 400, "Listen session not found", "session_required", target, NULL);
	st = session_find(r, id, session_id, &doc);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Listen session not found", "session_not_found", target, NULL);
	TRY(st);
	return stream_sound(r, target, session_id);
}

/* ---- DELETE /nodes/:nodeId/listen/:sessionId --------------------------------------------------------------------- */

static status listen_stop(struct request *r)
{
	const char *id = req_param(r, "nodeId"), *session_id = req_param(r, "sessionId");
	json_object *node, *doc;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, id), NULL);
	TRY(st);
	struct target target = TARGET("node", id, json_str(node, "alias"));
	st = session_find(r, id, session_id, &doc);
	if (st == ST_OK)
		st = live_listen_remove(r->live, session_id);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Listen session not found", "session_not_found", target, NULL);
	TRY(st);
	json_set_iso(doc, "endedAt", r->now_ms);
	audit_add(r,
	          &(struct audit){
	              .target = target,
	              .correlation = session_correlation(r, session_id),
	              .details = details(r, "endedAt", J_STR, json_str(doc, "endedAt"), "mode", J_STR,
	                                 json_str(doc, "mode"), "startedAt", J_STR, json_str(doc, "startedAt"), NULL),
	          });
	return reply_data(r, 200, doc);
}

#define ROW(method_, path_, action_, handler_)                                                                         \
	{                                                                                                              \
		(method_), (path_), GUARD_USER, PERM_LISTEN_MONITOR, (action_),                                        \
		    .target_type = "node", .target_param = "nodeId", .handler = (handler_), .prefetch = &model_nodes,  \
		    .prefetch_param = "nodeId"                                                                         \
	}

const struct route listen_routes[] = {
    ROW("POST", "/api/v1/nodes/:nodeId/listen", "listen.monitor.start", listen_start),
    ROW("GET", "/api/v1/nodes/:nodeId/listen/stream", "listen.monitor.stream", listen_stream),
    ROW("DELETE", "/api/v1/nodes/:nodeId/listen/:sessionId", "listen.monitor.stop", listen_stop),
    {.method = NULL},
};
