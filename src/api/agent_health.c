#include "api/agent_health.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/schema.h"

#include <string.h>

/* The watchdog finds its own events by type: a node must not be able to make one (09 D-42). */
static const char *own_type_only(json_object *value)
{
	const char *type = json_object_get_string(value);

	if (strncmp(type, "controller.", 11) == 0 || strncmp(type, "watchdog.", 9) == 0)
		return "Reserved for the controller";
	return NULL;
}

#define ID(name_)                                                                                                      \
	{                                                                                                              \
		.name = (name_), .type = V_STR, .flags = S_TRIM, .min = 1, .max = 160                                  \
	}

static const char *const severities[] = {"info", "warning", "critical", NULL};
static const struct schema_field event_fields[] = {
    {.name = "details", .type = V_ANY_OBJECT, .dflt = "{}"},
    ID("id"),
    {.name = "openedAt", .type = V_DATE, .flags = S_TRIM, .message = "Expected ISO date/time"},
    ID("recordingId"),
    ID("scheduleId"),
    {.name = "severity", .type = V_ENUM, .flags = S_REQUIRED, .values = severities},
    {.name = "type", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = 160, .rule = own_type_only},
};
static const struct schema event_schema = SCHEMA(event_fields, S_STRICT, NULL);

/*
 * Checks that the recording or schedule called id exists and belongs to the node. Sets *answered when the refusal was
 * sent. id NULL: nothing to check.
 */
static status check_owner(struct request *r, const struct model *m, const char *type, const char *id, bool *answered)
{
	bool recording = m == &model_recordings;
	struct target target = TARGET(type, id, NULL);
	json_object *doc;
	status st;

	if (*answered || id == NULL)
		return ST_OK;
	st = store_get(r->store, r->mem, m, id, &doc);
	if (st != ST_OK && st != ST_NOT_FOUND)
		return st;
	*answered = true;
	if (st == ST_NOT_FOUND)
		return fail(r, 404, recording ? "Recording not found" : "Schedule not found",
		            recording ? "recording_not_found" : "schedule_not_found", target, NULL);
	if (!text_equal(json_str(doc, "nodeId"), req_param(r, "nodeId")))
		return fail(r, 403, mem_printf(r->mem, "Node credential cannot access this %s", type),
		            "node_scope_denied", target, NULL);
	*answered = false;
	return ST_OK;
}

/* The document to be stored; localEventId in the details is the controller's word, whatever the node put there. */
static json_object *new_event(struct request *r, json_object *input)
{
	static const char *const empty_times[] = {"acknowledgedAt", "resolvedAt", "suppressedAt", "suppressedUntil"};
	json_object *event = json_new_object(r->mem), *details_ = json_clone(r->mem, json_get(input, "details"));
	char id[UUID_SIZE];

	json_object_object_del(details_, "localEventId");
	json_set_str_opt(details_, "localEventId", json_str(input, "id"));
	for (size_t i = 0; i < sizeof(empty_times) / sizeof(empty_times[0]); i++)
		json_set_null(event, empty_times[i]);
	json_set_ref(event, "details", details_);
	uuid_v4(id);
	json_set_str(event, "id", store_is_database(r->store) ? id : mem_printf(r->mem, "health_%s", id));
	json_set_str(event, "nodeId", req_param(r, "nodeId"));
	if (json_has(input, "openedAt"))
		json_set_ref(event, "openedAt", json_get(input, "openedAt"));
	else
		json_set_iso(event, "openedAt", r->now_ms);
	json_set_ref(event, "recordingId", json_get(input, "recordingId"));
	json_set_ref(event, "scheduleId", json_get(input, "scheduleId"));
	json_set_ref(event, "severity", json_get(input, "severity"));
	json_set_str(event, "status", "open");
	json_set_ref(event, "type", json_get(input, "type"));
	return event;
}

/* Stores the event and brings the recording's health up to date with it. */
static status store_event(struct request *r, json_object *event, json_object **stored)
{
	const char *recording_id = json_str(event, "recordingId");

	TRY(store_insert(r->store, r->mem, &model_health_events, event, stored));
	return recording_id != NULL ? store_health_sync(r->store, r->mem, recording_id, NULL) : ST_OK;
}

static void audit_event(struct request *r, json_object *event, const char *local_id)
{
	const char *id = json_str(event, "id"), *type = json_str(event, "type");

	audit_add(r, &(struct audit){.target = TARGET("health_event", id, type),
	                             .after = details(r, "healthEventId", J_STR, id, "recordingId", J_STR,
	                                              json_str(event, "recordingId"), "scheduleId", J_STR,
	                                              json_str(event, "scheduleId"), "severity", J_STR,
	                                              json_str(event, "severity"), "type", J_STR, type, NULL),
	                             .details = details(r, "localEventId", J_STR, local_id, NULL)});
}

static status agent_health_event(struct request *r)
{
	json_object *body, *input, *issues, *stored;
	bool answered = false;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &event_schema, body, &input, &issues))
		return fail_issues(r, "Invalid node health event", issues, "invalid_request",
		                   TARGET("node", req_param(r, "nodeId"), NULL), NULL);
	TRY(check_owner(r, &model_recordings, "recording", json_str(input, "recordingId"), &answered));
	TRY(check_owner(r, &model_schedules, "schedule", json_str(input, "scheduleId"), &answered));
	if (answered)
		return ST_OK;
	TRY(store_event(r, new_event(r, input), &stored));
	audit_event(r, stored, json_str(input, "id"));
	return reply_data(r, 201, model_public(r->mem, &model_health_events, stored));
}

const struct route agent_health_routes[] = {
    {"POST", "/api/v1/nodes/:nodeId/health-events", GUARD_NODE, PERM_HEALTH_ACKNOWLEDGE, "nodes.health_events.sync",
     .target_type = "node", .target_param = "nodeId", .handler = agent_health_event},
    {.method = NULL},
};
