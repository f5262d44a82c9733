#include "api/agent.h"

#include "api/node_edit.h"
#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/schema.h"
#include "store/beats.h"

#include <stdio.h>
#include <string.h>

#define ADDRESSES_KEPT 16

static status node_missing(struct request *r)
{
	return fail(r, 404, "Node not found", "node_not_found", TARGET("node", req_param(r, "nodeId"), NULL), NULL);
}

/* ---- GET config -------------------------------------------------------------------------------------------------- */

/* A limit as the agent decodes it: an integer, or null. */
static void set_limit(json_object *o, const char *key, json_object *policy)
{
	int64_t limit = json_int(policy, key, -1);

	if (limit >= 0)
		json_set_int(o, key, limit);
	else
		json_set_null(o, key);
}

static json_object *cache_policy(json_object *policy)
{
	static const char *const limits[] = {"maxAgeDays", "maxBytes", "minFreeDiskPercent"};
	json_object *o = json_object_new_object();
	bool limited = false;

	for (size_t i = 0; i < 3; i++)
		limited = limited || json_int(policy, limits[i], -1) >= 0;
	json_set_bool(o, "deleteAfterUpload", !limited);
	for (size_t i = 0; i < 3; i++)
		set_limit(o, limits[i], policy);
	json_set_str(o, "policyId", json_str(policy, "id"));
	return o;
}

/* Every node gets the same policies, by name. */
static status cache_policies(struct request *r, json_object **policies)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "enabled", Q_EQ, "true");
	query_where(&q, "scope", Q_EQ, "recorder_cache");
	query_where(&q, "action", Q_EQ, "delete_cache");
	query_sort(&q, "name", false);
	query_sort(&q, "id", false);
	TRY(store_list(r->store, r->mem, &model_retention_policies, &q, &page));
	*policies = json_new_array(r->mem);
	for (size_t i = 0; i < page.count; i++)
		json_object_array_add(*policies, cache_policy(json_object_array_get_idx(page.docs, i)));
	return ST_OK;
}

static status agent_config(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node, *policies, *data = json_new_object(r->mem);
	status st = node_find(r, id, &node);

	if (st == ST_NOT_FOUND)
		return node_missing(r);
	TRY(st);
	TRY(cache_policies(r, &policies));
	json_object *audio = json_object_at(node, "audioDefaults"), *capacity = node_capacity(r->mem, node);

	json_set_ref(data, "audioDefaults", audio);
	json_set_ref(data, "recorderCachePolicies", policies);
	json_set_ref(data, "recordingCapacity", capacity);
	audit_ok(r, TARGET("node", id, NULL),
	         details(r, "audioDefaultsConfigured", J_BOOL, (int)(audio != NULL), "recorderCachePolicyCount", J_INT,
	                 (int64_t)json_object_array_length(policies), "recordingCapacity", J_REF, capacity, NULL));
	return reply_data(r, 200, data);
}

/* ---- GET channel-map-assignments --------------------------------------------------------------------------------- */

/* Ids that an assignment of this node may name: its own, then those of its interfaces. */
static const char **node_target_ids(struct request *r, json_object *node, size_t *count)
{
	json_object *interfaces = json_array(node, "interfaces");
	size_t n = interfaces != NULL ? json_object_array_length(interfaces) : 0;
	const char **ids = mem_array(r->mem, const char *, n + 1);

	ids[0] = json_str(node, "id");
	for (size_t i = 0; i < n; i++)
		ids[i + 1] = json_str_or(json_object_array_get_idx(interfaces, i), "id", "");
	*count = n + 1;
	return ids;
}

static bool assigned_to(json_object *assignment, json_object *node)
{
	const char *type = json_str_or(assignment, "targetType", ""), *id = json_str(assignment, "targetId");

	if (strcmp(type, "node") == 0)
		return text_equal(id, json_str(node, "id"));
	return strcmp(type, "interface") == 0 && node_interface(node, id) != NULL;
}

/* Joins each assignment with its template; one whose template is gone is left out. */
static status join_templates(struct request *r, const struct page *assignments, json_object *node, json_object *out)
{
	for (size_t i = 0; i < assignments->count; i++) {
		json_object *assignment = json_object_array_get_idx(assignments->docs, i), *template, *pair;

		if (!assigned_to(assignment, node))
			continue;
		status st = store_get(r->store, r->mem, &model_channel_map_templates,
		                      json_str_or(assignment, "templateId", ""), &template);
		if (st == ST_NOT_FOUND)
			continue;
		TRY(st);
		pair = json_object_new_object();
		json_set_ref(pair, "assignment", model_public(r->mem, &model_channel_map_assignments, assignment));
		json_set_ref(pair, "template", model_public(r->mem, &model_channel_map_templates, template));
		json_object_array_add(out, pair);
	}
	return ST_OK;
}

static status agent_channel_maps(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node, *data = json_new_array(r->mem);
	struct query q;
	struct page page;
	status st = node_find(r, id, &node);

	if (st == ST_NOT_FOUND)
		return node_missing(r);
	TRY(st);
	size_t count;
	const char **ids = node_target_ids(r, node, &count);

	query_init(&q);
	query_where_in(&q, "targetId", ids, count);
	TRY(store_list(r->store, r->mem, &model_channel_map_assignments, &q, &page));
	TRY(join_templates(r, &page, node, data));
	audit_ok(r, TARGET("node", id, NULL),
	         details(r, "assignmentCount", J_INT, (int64_t)json_object_array_length(data), NULL));
	return reply_data(r, 200, data);
}

/* ---- POST heartbeat ---------------------------------------------------------------------------------------------- */

static const struct schema_field beat_fields[] = {
    {.name = "agentVersion", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = 80},
    {.name = "hostname", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = 255},
    {.name = "ipAddresses", .type = V_ARRAY, .max = ADDRESSES_KEPT, .item = &node_address_item, .dflt = "[]"},
    {.name = "runtime", .type = V_OBJECT, .sub = &node_runtime_schema},
    {.name = "status", .type = V_ENUM, .values = node_statuses, .dflt = "\"online\""},
};
static const struct schema beat_schema = SCHEMA(beat_fields, 0, NULL);

static const struct schema_field loose_runtime_fields[] = {{.name = "runtime", .type = V_ANY_OBJECT}};
static const struct schema loose_runtime_schema = SCHEMA(loose_runtime_fields, 0, NULL);

/*
 * A sign of life is not refused for a cosmetic field (09 D-49, D-95): a host with many container networks keeps its
 * first addresses, and U+0000 in the runtime is left out.
 */
static json_object *lenient_beat(struct request *r, json_object *body)
{
	json_object *beat, *runtime, *addresses = json_array(body, "ipAddresses");
	size_t n = addresses != NULL ? json_object_array_length(addresses) : 0;

	if (!json_object_is_type(body, json_type_object))
		return body;
	beat = json_clone(r->mem, body);
	if (n > ADDRESSES_KEPT)
		json_object_array_del_idx(json_array(beat, "ipAddresses"), ADDRESSES_KEPT, n - ADDRESSES_KEPT);
	if (schema_check(r->mem, &loose_runtime_schema, body, &runtime, NULL))
		json_set_ref(beat, "runtime", json_object_at(runtime, "runtime"));
	return beat;
}

/* What of a node a heartbeat may change. */
static json_object *beat_snapshot(struct request *r, json_object *node)
{
	static const char *const keys[] = {"agentVersion", "hostname", "ipAddresses", "runtime", "status"};
	json_object *o = json_new_object(r->mem);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_set_ref(o, keys[i], json_get(node, keys[i]));
	return o;
}

/* The record of a node of which only its heartbeat is known. */
static json_object *record_of_beat(struct request *r, const char *id, json_object *beat)
{
	json_object *node = json_new_object(r->mem), *location = json_object_new_object();

	json_set_ref(node, "agentVersion", json_get(beat, "agentVersion"));
	json_set_ref(node, "alias", json_get(beat, "hostname"));
	json_set_ref(node, "hostname", json_get(beat, "hostname"));
	json_set_str(node, "id", id);
	json_object_object_add(node, "interfaces", json_object_new_array());
	json_set_ref(node, "ipAddresses", json_get(beat, "ipAddresses"));
	json_set_iso(node, "lastSeenAt", r->now_ms);
	json_set_str(location, "room", "Unknown Room");
	json_set_str(location, "site", "Unknown Site");
	json_object_object_add(node, "location", location);
	json_set_ref(node, "runtime", json_get(beat, "runtime"));
	json_set_ref(node, "status", json_get(beat, "status"));
	json_object_object_add(node, "tags", json_object_new_array());
	return node;
}

/*
 * The credential was good, but the store cannot take the beat. A refusal would make the agent cut a running recording
 * short (08 Trap 1), so it is accepted; the next one is stored.
 */
static status accept_unstored(struct request *r, const char *id, json_object *beat, status st)
{
	audit_add(r, &(struct audit){.action = "nodes.heartbeat.succeeded",
	                             .outcome = "partial",
	                             .reason = st == ST_UNAVAILABLE ? "database_unavailable" : "node_update_failed",
	                             .target = TARGET("node", id, NULL),
	                             .details = details(r, "changed", J_BOOL, 0, "runtime", J_REF,
	                                                json_get(beat, "runtime"), NULL)});
	r->rollback = true;
	return reply_data(r, 202, record_of_beat(r, id, beat));
}

static void audit_beat(struct request *r, json_object *before, json_object *after)
{
	json_object *was = beat_snapshot(r, before), *is = beat_snapshot(r, after);
	bool changed = !json_same(was, is);

	audit_add(r, &(struct audit){.target = TARGET("node", json_str(after, "id"), json_str(after, "alias")),
	                             .before = changed ? was : NULL,
	                             .after = changed ? is : NULL,
	                             .details = details(r, "changed", J_BOOL, (int)changed, "runtime", J_REF,
	                                                json_get(after, "runtime"), NULL)});
}

static status agent_heartbeat(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *body, *beat, *issues, *before, *after;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &beat_schema, lenient_beat(r, body), &beat, &issues))
		return fail_issues(r, "Invalid node heartbeat", issues, "invalid_request", TARGET("node", id, NULL),
		                   NULL);
	if (text_equal(json_str(beat, "status"), "offline")) /* only the controller says so (09 D-43) */
		json_set_str(beat, "status", "online");
	status st = beats_take(r->app, r->mem, id, beat, r->now_ms, &before, &after);
	if (st == ST_NOT_FOUND)
		return node_missing(r);
	if (st != ST_OK)
		return accept_unstored(r, id, beat, st);
	before = node_wire_of_beat(r->mem, r->app, r->now_ms, before);
	after = node_wire_of_beat(r->mem, r->app, r->now_ms, after);
	audit_beat(r, before, after);
	return reply_data(r, 202, after);
}

/* ---- POST meter-frame -------------------------------------------------------------------------------------------- */

#define SCORE(name_, flags_)                                                                                           \
	{                                                                                                              \
		.name = (name_), .type = V_NUM, .flags = (flags_), .min = 0, .max = 1                                  \
	}
#define DECIBEL(name_, flags_, min_, max_)                                                                             \
	{                                                                                                              \
		.name = (name_), .type = V_NUM, .flags = (flags_), .min = (min_), .max = (max_)                        \
	}
#define NAME(name_)                                                                                                    \
	{                                                                                                              \
		.name = (name_), .type = V_STR, .flags = S_REQUIRED, .min = 1                                          \
	}
#define CHANNEL(name_)                                                                                                 \
	{                                                                                                              \
		.name = (name_), .type = V_INT, .flags = S_REQUIRED | S_POSITIVE                                       \
	}
#define SWITCH(name_)                                                                                                  \
	{                                                                                                              \
		.name = (name_), .type = V_BOOL, .flags = S_REQUIRED                                                   \
	}

static const char *const phases[] = {"same", "inverted", NULL};
static const struct schema_field correlation_fields[] = {
    CHANNEL("peerChannelIndex"),
    {.name = "phase", .type = V_ENUM, .flags = S_REQUIRED, .values = phases},
    DECIBEL("score", S_REQUIRED, -1, 1),
};
static const struct schema correlation_schema = SCHEMA(correlation_fields, 0, NULL);

static const struct schema_field quality_fields[] = {
    {.name = "channelCorrelation", .type = V_OBJECT, .sub = &correlation_schema},
    SCORE("broadbandNoiseScore", 0),
    DECIBEL("crestFactorDb", S_REQUIRED, 0, 80),
    DECIBEL("estimatedSnrDb", 0, 0, 80),
    SCORE("humScore", 0),
    SCORE("intelligibilityScore", 0),
    SCORE("noiseScore", S_REQUIRED),
    SWITCH("speechLike"),
    SCORE("speechScore", S_REQUIRED),
    SCORE("staticScore", 0),
    SCORE("zeroCrossingRate", S_REQUIRED),
};
static const struct schema quality_schema = SCHEMA(quality_fields, 0, NULL);

static const struct schema_field level_fields[] = {
    CHANNEL("channelIndex"),
    SWITCH("clipping"),
    NAME("label"),
    DECIBEL("peakDbfs", S_REQUIRED, -160, 24),
    {.name = "quality", .type = V_OBJECT, .sub = &quality_schema},
    DECIBEL("rmsDbfs", S_REQUIRED, -160, 24),
};
static const struct schema level_schema = SCHEMA(level_fields, 0, NULL);
static const struct schema_field level_item = {.type = V_OBJECT, .sub = &level_schema};

static const struct schema_field frame_fields[] = {
    NAME("capturedAt"),
    NAME("interfaceId"),
    {.name = "levels", .type = V_ARRAY, .flags = S_REQUIRED, .max = 512, .item = &level_item}, /* 09 D-56 */
    NAME("nodeId"),
};
static const struct schema frame_schema = SCHEMA(frame_fields, 0, NULL);

static void audit_frame(struct request *r, const char *id, json_object *frame, const char *received_at)
{
	json_object *levels = json_array(frame, "levels");
	int64_t count = (int64_t)json_object_array_length(levels), clipping = 0, quality = 0;

	for (size_t i = 0; i < (size_t)count; i++) {
		json_object *level = json_object_array_get_idx(levels, i);

		clipping += json_flag(level, "clipping", false);
		quality += json_has(level, "quality");
	}
	audit_ok(r, TARGET("node", id, NULL),
	         details(r, "capturedAt", J_STR, json_str(frame, "capturedAt"), "clippingCount", J_INT, clipping,
	                 "interfaceId", J_STR, json_str(frame, "interfaceId"), "levelCount", J_INT, count,
	                 "qualityLevelCount", J_INT, quality, "receivedAt", J_STR, received_at, NULL));
}

/* Checks the body; false after the 400 or 403 was answered. */
static bool frame_accepted(struct request *r, const char *id, json_object *body, json_object **frame)
{
	json_object *issues;

	if (!schema_check(r->mem, &frame_schema, body, frame, &issues)) {
		fail_issues(r, "Invalid meter frame", issues, "invalid_request", TARGET("node", id, NULL), NULL);
		return false;
	}
	if (!text_equal(json_str(*frame, "nodeId"), id)) {
		fail(r, 403, "Meter frame node mismatch", "node_scope_denied",
		     TARGET("node", json_str(*frame, "nodeId"), NULL), NULL);
		return false;
	}
	return true;
}

static status agent_meter_frame(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *body, *frame;
	char received_at[CLOCK_ISO_SIZE];
	size_t n;

	TRY(req_json(r, &body, NULL));
	if (!frame_accepted(r, id, body, &frame))
		return ST_OK;
	const char *text = json_compact(r->mem, frame, &n), *reply;

	if (live_meter_put(r->live, id, text, n, r->now_ms) != ST_OK) { /* longer than a slot */
		json_object *issues = json_new_array(r->mem);

		schema_custom_issue(issues, "levels", "Too big: the frame does not fit");
		return fail_issues(r, "Invalid meter frame", issues, "invalid_request", TARGET("node", id, NULL), NULL);
	}
	TRY(live_meter_remember(r->live, id, frame, r->now_ms));
	clock_iso(received_at, r->now_ms);
	audit_frame(r, id, frame, received_at);
	reply = mem_printf(r->mem, "{\"data\":{\"frame\":%s,\"receivedAt\":\"%s\"}}", text, received_at);
	return reply_bytes(r, 202, "application/json", reply, strlen(reply));
}

/* ---- POST listen/chunk ------------------------------------------------------------------------------------------- */

#define CHUNK_MIN 44

static const char *const chunk_types[] = {"audio/wav", NULL};

static const char *captured_at_fits(json_object *value)
{
	return json_object_get_string_len(value) < (int)sizeof(((struct live_chunk *)NULL)->captured_at) ? NULL
	                                                                                                 : "Too long";
}

static const struct schema_field chunk_fields[] = {
    {.name = "capturedAt", .type = V_ISO, .flags = S_ZULU, .rule = captured_at_fits},
    {.name = "contentType", .type = V_LITERAL, .flags = S_REQUIRED, .values = chunk_types},
    {.name = "durationMs", .type = V_INT, .flags = S_REQUIRED | S_COERCE, .min = 1, .max = 10000},
};
static const struct schema chunk_schema = SCHEMA(chunk_fields, 0, NULL);

/* The headers as an object of the schema above. */
static json_object *chunk_headers(struct request *r)
{
	json_object *o = json_new_object(r->mem);
	const char *type = req_header(r, "content-type");

	json_set_str_opt(o, "capturedAt", req_header(r, "x-rakkr-captured-at"));
	if (type != NULL)
		json_set_str(o, "contentType",
		             text_lower(r->mem, text_trim(r->mem, mem_strndup(r->mem, type, strcspn(type, ";")))));
	json_set_str_opt(o, "durationMs", req_header(r, "x-rakkr-duration-ms"));
	return o;
}

static status chunk_stored(struct request *r, const char *id, const struct live_chunk *c)
{
	char received_at[CLOCK_ISO_SIZE];

	clock_iso(received_at, c->received_ms);
	audit_ok(r, TARGET("node", id, NULL),
	         details(r, "capturedAt", J_STR, c->captured_at, "durationMs", J_INT, c->duration_ms, "receivedAt",
	                 J_STR, received_at, "sizeBytes", J_INT, (int64_t)c->size, "source", J_STR, "agent_audio_chunk",
	                 NULL));
	return reply_data(r, 202,
	                  details(r, "capturedAt", J_STR, c->captured_at, "durationMs", J_INT, c->duration_ms, "nodeId",
	                          J_STR, id, "receivedAt", J_STR, received_at, "source", J_STR, "agent_audio_chunk",
	                          NULL));
}

static status agent_chunk(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	struct live_chunk chunk = {.received_ms = r->now_ms};
	json_object *headers, *issues;

	if (!schema_check(r->mem, &chunk_schema, chunk_headers(r), &headers, &issues))
		return fail_issues(r, "Invalid monitor chunk headers", issues, "invalid_request",
		                   TARGET("node", id, NULL), NULL);
	status st = req_bytes(r, LIVE_CHUNK_MAX, &chunk.audio, &chunk.size);
	if (st == ST_TOO_LARGE || (st == ST_OK && chunk.size < CHUNK_MIN))
		return fail(r, 400, "Invalid monitor chunk size", "invalid_request", TARGET("node", id, NULL), NULL);
	TRY(st);
	clock_iso(chunk.captured_at, r->now_ms);
	if (json_has(headers, "capturedAt"))
		snprintf(chunk.captured_at, sizeof(chunk.captured_at), "%s", json_str(headers, "capturedAt"));
	chunk.duration_ms = json_int(headers, "durationMs", 0);
	TRY(live_chunk_put(r->live, id, &chunk));
	return chunk_stored(r, id, &chunk);
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

#define NODE_ROW(method_, path_, action_, handler_, ...)                                                               \
	{                                                                                                              \
		(method_), (path_), GUARD_NODE, PERM_NODE_CONTROL, (action_),                                          \
		    .target_type = "node", .target_param = "nodeId", .handler = (handler_), __VA_ARGS__                \
	}

#define READS_NODE .prefetch = &model_nodes, .prefetch_param = "nodeId"

const struct route agent_routes[] = {
    NODE_ROW("POST", "/api/v1/nodes/:nodeId/listen/chunk", "nodes.listen_monitor.chunk.ingest", agent_chunk,
             .telemetry = true),
    NODE_ROW("GET", "/api/v1/nodes/:nodeId/config", "nodes.config.read", agent_config, READS_NODE),
    NODE_ROW("POST", "/api/v1/nodes/:nodeId/meter-frame", "nodes.meter_frame.ingest", agent_meter_frame,
             .telemetry = true),
    NODE_ROW("GET", "/api/v1/nodes/:nodeId/channel-map-assignments", "nodes.channel_map_assignments.read",
             agent_channel_maps, READS_NODE),
    NODE_ROW("POST", "/api/v1/nodes/:nodeId/heartbeat", "nodes.heartbeat", agent_heartbeat, READS_NODE,
             .telemetry = true, .unfailing = true),
    {.method = NULL},
};
