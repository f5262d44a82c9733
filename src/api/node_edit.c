#include "api/node_edit.h"

#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_PREFIX_CHARS 24
#define CHANNEL_MAX 256

/* ---- body rules -------------------------------------------------------------------------------------------------- */

#define TEXT(name_, flags_, max_)                                                                                      \
	{                                                                                                              \
		.name = (name_), .type = V_STR, .flags = S_TRIM | (flags_), .min = 1, .max = (max_)                    \
	}
#define UNTRIMMED(name_)                                                                                               \
	{                                                                                                              \
		.name = (name_), .type = V_STR, .min = 1                                                               \
	}

static const char *const backends[] = {"alsa", "jack", "pipewire", "unknown", NULL};
static const char *const capture_backends[] = {"alsa", "jack", "pipewire", NULL};
const char *const node_statuses[] = {"online", "offline", "degraded", "recording", "alerting", NULL};

static const struct schema_field backend_item = {.type = V_ENUM, .values = backends};
static const struct schema_field runtime_fields[] = {
    UNTRIMMED("architecture"),
    {.name = "audioBackends", .type = V_ARRAY, .item = &backend_item, .dflt = "[]"},
    UNTRIMMED("kernelRelease"),
    UNTRIMMED("osName"),
    {.name = "uptimeSeconds", .type = V_INT, .min = 0},
};
const struct schema node_runtime_schema = SCHEMA(runtime_fields, 0, NULL);

static const struct schema_field audio_fields[] = {
    TEXT("captureArgsTemplate", 0, 1000),
    {.name = "captureBackend", .type = V_ENUM, .values = capture_backends},
    {.name = "captureChannels", .type = V_INT, .min = 1, .max = 256},
    TEXT("captureCommand", 0, 255),
    TEXT("captureDevice", 0, 255),
    TEXT("captureFormat", 0, 80),
    {.name = "captureSampleRate", .type = V_INT, .min = 1, .max = 384000},
    TEXT("meterArgsTemplate", 0, 1000),
};
static const struct schema audio_schema = SCHEMA(audio_fields, 0, NULL);

static const struct schema_field capacity_fields[] = {
    {.name = "maxConcurrentRecordings", .type = V_INT, .flags = S_REQUIRED, .min = 1, .max = 128},
};
static const struct schema capacity_schema = SCHEMA(capacity_fields, 0, NULL);

static const struct schema_field channel_fields[] = {
    TEXT("alias", S_REQUIRED, 160),
    {.name = "index", .type = V_INT, .flags = S_REQUIRED | S_COERCE, .min = 1, .max = CHANNEL_MAX},
};
static const struct schema channel_schema = SCHEMA(channel_fields, 0, NULL);
static const struct schema_field channel_item = {.type = V_OBJECT, .sub = &channel_schema};
static const struct schema_field rate_item = {.type = V_INT, .flags = S_COERCE | S_POSITIVE};
static const struct schema_field tag_item = TEXT("", 0, 48);
const struct schema_field node_address_item = TEXT("", 0, 120);

static const struct schema_field interface_fields[] = {
    TEXT("alias", S_REQUIRED, 160),
    {.name = "backend", .type = V_ENUM, .values = backends, .dflt = "\"unknown\""},
    {.name = "channelCount", .type = V_INT, .flags = S_REQUIRED | S_COERCE, .min = 0, .max = 256},
    /* The reference has no limit here; each is a row, so there must be one. */
    {.name = "channels", .type = V_ARRAY, .max = 1024, .item = &channel_item, .dflt = "[]"},
    TEXT("hardwarePath", 0, 500),
    {.name = "sampleRates", .type = V_ARRAY, .max = 16, .item = &rate_item, .dflt = "[]"},
    TEXT("serialNumber", 0, 255),
    TEXT("systemName", S_REQUIRED, 255),
    TEXT("systemRef", 0, 255),
};
static const struct schema interface_schema = SCHEMA(interface_fields, 0, NULL);
static const struct schema_field interface_item = {.type = V_OBJECT, .sub = &interface_schema};

static const struct schema_field location_fields[] = {
    TEXT("building", 0, 120),
    TEXT("floor", 0, 80),
    TEXT("room", S_REQUIRED, 160),
    TEXT("site", S_REQUIRED, 160),
};
static const struct schema location_schema = SCHEMA(location_fields, 0, NULL);

static const struct schema_field enroll_fields[] = {
    {.name = "agentVersion", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 80, .dflt = "\"unknown\""},
    TEXT("alias", S_REQUIRED, 160),
    TEXT("hostname", S_REQUIRED, 255),
    {.name = "interfaces", .type = V_ARRAY, .max = 32, .item = &interface_item, .dflt = "[]"},
    {.name = "ipAddresses", .type = V_ARRAY, .max = 16, .item = &node_address_item, .dflt = "[]"},
    {.name = "location", .type = V_OBJECT, .flags = S_REQUIRED, .sub = &location_schema},
    {.name = "notes", .type = V_STR, .flags = S_TRIM, .max = 2000},
    {.name = "audioDefaults", .type = V_OBJECT, .sub = &audio_schema},
    {.name = "recordingCapacity", .type = V_OBJECT, .sub = &capacity_schema},
    {.name = "runtime", .type = V_OBJECT, .sub = &node_runtime_schema},
    {.name = "tags", .type = V_ARRAY, .max = 32, .item = &tag_item, .dflt = "[]"},
};
const struct schema node_enroll_schema = SCHEMA(enroll_fields, S_STRICT, NULL);

static const struct schema_field moved_fields[] = {
    TEXT("building", S_NULLABLE, 120),
    TEXT("floor", S_NULLABLE, 80),
    TEXT("room", 0, 160),
    TEXT("site", 0, 160),
};
static const struct schema moved_schema = SCHEMA(moved_fields, S_STRICT, NULL);

static const char *some_node_field(json_object *patch)
{
	json_object *location = json_object_at(patch, "location");
	int named = json_object_object_length(patch);

	if (location != NULL && json_object_object_length(location) == 0)
		named--;
	return named > 0 ? NULL : "At least one node field is required";
}

static const struct schema_field update_fields[] = {
    TEXT("alias", 0, 160),
    TEXT("hostname", 0, 255),
    {.name = "ipAddresses", .type = V_ARRAY, .max = 16, .item = &node_address_item},
    {.name = "location", .type = V_OBJECT, .sub = &moved_schema},
    {.name = "notes", .type = V_STR, .flags = S_TRIM | S_NULLABLE, .max = 2000},
    {.name = "audioDefaults", .type = V_OBJECT, .sub = &audio_schema},
    {.name = "recordingCapacity", .type = V_OBJECT, .sub = &capacity_schema},
    {.name = "tags", .type = V_ARRAY, .max = 32, .item = &tag_item},
};
static const struct schema update_schema = SCHEMA(update_fields, S_STRICT, some_node_field);

static const char *some_interface_field(json_object *patch)
{
	return json_object_object_length(patch) > 0 ? NULL : "At least one interface field is required";
}

static const struct schema_field interface_update_fields[] = {
    TEXT("alias", 0, 160),
    {.name = "channels", .type = V_ARRAY, .max = 256, .item = &channel_item},
    TEXT("hardwarePath", S_NULLABLE, 500),
    {.name = "sampleRates", .type = V_ARRAY, .max = 16, .item = &rate_item},
    TEXT("serialNumber", S_NULLABLE, 255),
    TEXT("systemName", 0, 255),
    TEXT("systemRef", 0, 255),
};
static const struct schema interface_update_schema = SCHEMA(interface_update_fields, S_STRICT, some_interface_field);

/* ---- common parts ------------------------------------------------------------------------------------------------ */

/* Reason of an event for a store that failed (02 6). */
static const char *store_reason(status st, const char *otherwise)
{
	return st == ST_UNAVAILABLE ? "database_unavailable" : otherwise;
}

json_object *node_snapshot(const void *ctx, json_object *node)
{
	static const char *const keys[] = {"agentVersion", "alias", "audioDefaults", "hostname", "ipAddresses",
	                                   "location",     "notes", "runtime",       "status",   "tags"};
	json_object *o = json_new_object(ctx), *interfaces = json_array(node, "interfaces");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_set_ref(o, keys[i], json_get(node, keys[i]));
	json_set_int(o, "interfaces", interfaces != NULL ? (int64_t)json_object_array_length(interfaces) : 0);
	json_set_ref(o, "recordingCapacity", node_capacity(ctx, node));
	return o;
}

json_object *node_new_credential(const void *ctx, int64_t now_ms, const char *node_id, const char *created_by,
                                 json_object **envelope)
{
	json_object *doc = json_new_object(ctx);
	const char *token = crypto_token(ctx, "rakkr_node_");
	char hash[SHA256_HEX_SIZE], id[UUID_SIZE];

	crypto_sha256_hex(hash, token, strlen(token));
	uuid_v4(id);
	json_set_iso(doc, "createdAt", now_ms);
	json_set_str(doc, "id", id);
	json_set_str(doc, "nodeId", node_id);
	json_set_str(doc, "tokenPrefix", mem_strndup(ctx, token, TOKEN_PREFIX_CHARS));
	*envelope = json_clone(ctx, doc);
	json_set_str(*envelope, "token", token);
	json_set_str(doc, "tokenHash", hash);
	if (created_by != NULL && text_is_uuid(created_by))
		json_set_str(doc, "createdByUserId", created_by);
	return doc;
}

static json_object *new_credential(struct request *r, const char *node_id, json_object **envelope)
{
	return node_new_credential(r->mem, r->now_ms, node_id, r->who.id, envelope);
}

/* 201 {"data":{"credential","node"}}. */
static status reply_credential(struct request *r, json_object *envelope, json_object *node)
{
	json_object *data = json_new_object(r->mem);

	json_set_ref(data, "credential", envelope);
	json_set_ref(data, "node", node);
	return reply_data(r, 201, data);
}

static json_object *credential_details(struct request *r, json_object *envelope)
{
	return details(r, "credentialId", J_STR, json_str(envelope, "id"), "tokenPrefix", J_STR,
	               json_str(envelope, "tokenPrefix"), NULL);
}

/* ---- enroll ------------------------------------------------------------------------------------------------------ */

static json_object *numbered_channels(int64_t count)
{
	json_object *channels = json_object_new_array();

	for (int64_t i = 1; i <= count; i++) {
		json_object *c = json_object_new_object();
		char alias[32];

		snprintf(alias, sizeof(alias), "Channel %lld", (long long)i);
		json_set_str(c, "alias", alias);
		json_set_int(c, "index", i);
		json_object_array_add(channels, c);
	}
	return channels;
}

/* Copy ordered by index; channels of one index keep their order. */
static json_object *ordered_channels(json_object *channels)
{
	json_object *ordered = json_object_new_array();
	size_t n = json_object_array_length(channels);

	for (int64_t index = 1; index <= CHANNEL_MAX; index++) {
		for (size_t i = 0; i < n; i++) {
			json_object *c = json_object_array_get_idx(channels, i);

			if (json_int(c, "index", 0) == index)
				json_push_ref(ordered, c);
		}
	}
	return ordered;
}

/* Completes a checked interface in place: id, systemRef, channels. */
static void complete_interface(json_object *interface)
{
	json_object *channels = json_array(interface, "channels");
	char id[UUID_SIZE];

	uuid_v4(id);
	json_set_str(interface, "id", id);
	if (!json_has(interface, "systemRef"))
		json_set_str(interface, "systemRef", json_str(interface, "systemName"));
	if (json_object_array_length(channels) > 0)
		channels = ordered_channels(channels);
	else
		channels = numbered_channels(json_int(interface, "channelCount", 0));
	json_object_object_add(interface, "channels", channels);
}

json_object *node_new(const void *ctx, int64_t now_ms, json_object *input)
{
	json_object *node = json_clone(ctx, input), *interfaces = json_array(node, "interfaces");
	json_object *audio = json_object_at(node, "audioDefaults");

	for (size_t i = 0; i < json_object_array_length(interfaces); i++)
		complete_interface(json_object_array_get_idx(interfaces, i));
	if (audio != NULL && json_object_object_length(audio) == 0)
		json_object_object_del(node, "audioDefaults");
	json_set_iso(node, "createdAt", now_ms);
	json_set_iso(node, "enrolledAt", now_ms);
	json_set_iso(node, "updatedAt", now_ms);
	json_set_str(node, "id", id_new(ctx, "node_"));
	json_set_str(node, "status", "offline");
	return node;
}

status node_enroll(struct request *r)
{
	json_object *body, *input, *issues, *envelope, *stored;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &node_enroll_schema, body, &input, &issues))
		return fail_issues(r, "Invalid node enrollment", issues, "invalid_request", TARGET("node", NULL, NULL),
		                   NULL);
	json_object *node = node_new(r->mem, r->now_ms, input);
	json_object *credential = new_credential(r, json_str(node, "id"), &envelope);
	const char *alias = json_str(node, "alias");
	status st = store_node_enroll(r->store, r->mem, node, credential, &stored);

	if (st != ST_OK)
		return fail(r, 503, "Node enrollment unavailable",
		            st == ST_NOT_FOUND ? "node_not_found" : store_reason(st, "node_enrollment_failed"),
		            TARGET("node", NULL, alias), NULL);
	node = node_wire(r->mem, r->app, r->now_ms, stored);
	audit_add(r, &(struct audit){.target = TARGET("node", json_str(node, "id"), alias),
	                             .after = node_snapshot(r->mem, node),
	                             .details = credential_details(r, envelope)});
	return reply_credential(r, envelope, node);
}

/* ---- update ------------------------------------------------------------------------------------------------------ */

/* The location after the edit; the row stays locked, so that two edits of different parts both hold. */
static status merged_location(struct request *r, const char *id, json_object *edit, json_object **location)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	q.lock = true;
	TRY(store_list(r->store, r->mem, &model_nodes, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*location = json_clone(r->mem, json_object_at(json_object_array_get_idx(page.docs, 0), "location"));
	json_merge(*location, edit, true);
	return ST_OK;
}

/* What the store has to change; audioDefaults {} clears them (02 T6). */
static status node_patch(struct request *r, const char *id, json_object *input, json_object **patch)
{
	json_object *audio = json_object_at(input, "audioDefaults"), *edit = json_object_at(input, "location");
	json_object *location;

	*patch = json_clone(r->mem, input);
	if (audio != NULL && json_object_object_length(audio) == 0)
		json_set_null(*patch, "audioDefaults");
	if (edit == NULL)
		return ST_OK;
	TRY(merged_location(r, id, edit, &location));
	json_set_ref(*patch, "location", location);
	return ST_OK;
}

static status store_node_patch(struct request *r, const char *id, json_object *input, json_object **before,
                               json_object **after)
{
	json_object *patch, *old;
	struct query q;
	struct page page;

	TRY(node_patch(r, id, input, &patch));
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	TRY(store_update(r->store, r->mem, &model_nodes, &q, patch, &page, &old));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*before = node_wire(r->mem, r->app, r->now_ms, json_object_array_get_idx(old, 0));
	*after = node_wire(r->mem, r->app, r->now_ms, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

status node_update(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *body, *input, *issues, *before, *after;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &update_schema, body, &input, &issues))
		return fail_issues(r, "Invalid node update", issues, "invalid_request", TARGET("node", id, id), NULL);
	status st = node_find_visible(r, id, &before);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, id), NULL);
	TRY(st);
	struct target target = TARGET("node", id, json_str(before, "alias"));
	st = store_node_patch(r, id, input, &before, &after);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", target, NULL);
	if (st != ST_OK)
		return fail(r, 503, "Node update unavailable", store_reason(st, "node_update_failed"), target, NULL);
	target.name = json_str(after, "alias");
	audit_add(r, &(struct audit){.target = target,
	                             .before = node_snapshot(r->mem, before),
	                             .after = node_snapshot(r->mem, after)});
	return reply_data(r, 200, after);
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* Of several renames of one channel the last one holds. */
static void drop_earlier_renames(json_object *patch)
{
	json_object *channels = json_array(patch, "channels"), *kept, *newest[CHANNEL_MAX + 1] = {NULL};

	if (channels == NULL)
		return;
	for (size_t i = 0; i < json_object_array_length(channels); i++) {
		json_object *c = json_object_array_get_idx(channels, i);

		newest[json_int(c, "index", 0)] = c;
	}
	kept = json_object_new_array();
	for (size_t i = 0; i <= CHANNEL_MAX; i++)
		if (newest[i] != NULL)
			json_push_ref(kept, newest[i]);
	json_object_object_add(patch, "channels", kept);
}

status node_interface_edit(struct request *r)
{
	const char *id = req_param(r, "nodeId"), *interface_id = req_param(r, "interfaceId");
	json_object *body, *patch, *issues, *node, *before, *after;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &interface_update_schema, body, &patch, &issues))
		return fail_issues(r, "Invalid node interface update", issues, "invalid_request",
		                   TARGET("interface", interface_id, interface_id), NULL);
	status st = node_find_visible(r, id, &node);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("interface", interface_id, id), NULL);
	TRY(st);
	before = node_interface(node, interface_id);
	if (before == NULL)
		return fail(r, 404, "Interface not found", "interface_not_found",
		            TARGET("interface", interface_id, json_str(node, "alias")), NULL);
	struct target target = TARGET("interface", interface_id, json_str(before, "alias"));
	drop_earlier_renames(patch);
	st = store_interface_update(r->store, r->mem, id, interface_id, patch, r->now_ms, &node);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Interface not found", "interface_not_found", target, NULL);
	if (st != ST_OK)
		return fail(r, 503, "Node interface update unavailable", store_reason(st, "interface_update_failed"),
		            target, NULL);
	node = node_wire(r->mem, r->app, r->now_ms, node);
	after = node_interface(node, interface_id);
	target.name = json_str(after, "alias");
	audit_add(r, &(struct audit){.target = target,
	                             .before = before,
	                             .after = after,
	                             .details = details(r, "nodeAlias", J_STR, json_str(node, "alias"), "nodeId", J_STR,
	                                                id, NULL)});
	return reply_data(r, 200, node);
}

/* ---- rotation ---------------------------------------------------------------------------------------------------- */

/*
 * The old token must not be taken from memory either while the database is away. It is good until the commit, and a
 * call with it is remembered: so it is forgotten after that, not before.
 */
static status commit_rotation(struct request *r, const char *node_id)
{
	json_object *events = r->audit;
	status st;

	r->audit = NULL;
	st = store_commit(r->store, events, true);
	live_credential_forget_node(r->live, node_id);
	return st;
}

status node_rotate(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	struct target unknown = TARGET("node", NULL, id);
	json_object *node, *envelope;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", unknown, NULL);
	TRY(st);
	st = store_credential_rotate(r->store, r->mem, id, new_credential(r, id, &envelope), r->now_ms);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", unknown, NULL);
	if (st != ST_OK)
		return fail(r, 503, "Node credential rotation unavailable",
		            store_reason(st, "credential_rotation_failed"), unknown, NULL);
	audit_add(r, &(struct audit){.target = TARGET("node", id, json_str(node, "alias")),
	                             .before = node_snapshot(r->mem, node),
	                             .after = node_snapshot(r->mem, node),
	                             .details = credential_details(r, envelope)});
	TRY(commit_rotation(r, id));
	return reply_credential(r, envelope, node);
}
