/* The audit log: list, exports, facets, detail (contract 01 15; rows 63-68). */
#include "api/audit_csv.h"
#include "api/audit_events.h"
#include "api/route.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/schema.h"

#include <stdlib.h>
#include <string.h>

#define CONTROLLER TARGET("controller", NULL, NULL)
#define LIST_LIMIT 100
#define LIMIT_MAX 500
#define ID_MAX 160

static const char *const permission_names[] = {"audit:read",         "auth:manage",
                                               "health:acknowledge", "health:read",
                                               "listen:monitor",     "metrics:read",
                                               "node:control",       "node:manage",
                                               "node:read",          "recording:control",
                                               "recording:create",   "recording:delete",
                                               "recording:download", "recording:edit",
                                               "recording:playback", "recording:read",
                                               "schedule:manage",    "schedule:read",
                                               "settings:manage",    "settings:read",
                                               "system:admin",       NULL};
static const char date_message[] = "Expected an ISO date/time value";

#define TEXT_FILTER(name_)                                                                                             \
	{                                                                                                              \
		.name = name_, .type = V_STR, .flags = S_TRIM | S_BLANK_ABSENT, .max = ID_MAX                          \
	}
static const struct schema_field filter_fields[] = {
    TEXT_FILTER("action"),
    TEXT_FILTER("actor"),
    {.name = "from", .type = V_DATE, .flags = S_TRIM | S_BLANK_ABSENT, .message = date_message},
    TEXT_FILTER("id"),
    {.name = "limit", .type = V_INT, .flags = S_BLANK_ABSENT, .min = 1, .max = LIMIT_MAX},
    {.name = "outcome", .type = V_ENUM, .flags = S_TRIM | S_BLANK_ABSENT, .values = enum_audit_outcome},
    {.name = "permission", .type = V_ENUM, .flags = S_TRIM | S_BLANK_ABSENT, .values = permission_names},
    TEXT_FILTER("reason"),
    TEXT_FILTER("target"),
    {.name = "to", .type = V_DATE, .flags = S_TRIM | S_BLANK_ABSENT, .message = date_message},
};
static const struct schema filter_schema = SCHEMA(filter_fields, 0, NULL);

static int64_t length_of(json_object *array)
{
	return (int64_t)json_object_array_length(array);
}

/*
 * A list shows the M event of its own request as its first entry (01 15.6). The dispatcher writes events when the
 * request ends, so these routes, which write nothing else, write theirs before they read.
 */
static status write_own_event(struct request *r)
{
	TRY(store_commit(r->store, r->audit, false));
	r->audit = NULL;
	return ST_OK;
}

/* Checks the filters and finds the events; *answered when the filters were refused. */
static status filtered_events(struct request *r, int64_t default_limit, json_object **events, bool *answered)
{
	json_object *filters, *issues;

	*answered = !schema_check_query(r->mem, &filter_schema, r->query, &filters, &issues);
	if (*answered)
		return fail_issues(r, "Invalid audit filters", issues, "invalid_filters", CONTROLLER, NULL);
	TRY(write_own_event(r));
	return audit_events_find(r, filters, json_int(filters, "limit", default_limit), events);
}

static status audit_list(struct request *r)
{
	json_object *events;
	bool answered;

	TRY(filtered_events(r, LIST_LIMIT, &events, &answered));
	if (answered)
		return ST_OK;
	audit_ok(r, CONTROLLER, details(r, "returnedCount", J_INT, length_of(events), NULL));
	return reply_data(r, 200, events);
}

/* ---- exports ----------------------------------------------------------------------------------------------------- */

static status reply_csv(struct request *r, json_object *events)
{
	struct buf *out = mem_new(r->mem, struct buf);
	struct csv csv;

	buf_init(out, r->mem);
	csv_init(&csv, out, CSV_QUOTE_ALWAYS);
	audit_csv_header(&csv);
	for (size_t i = 0; i < json_object_array_length(events); i++)
		audit_csv_row(&csv, r->mem, json_object_array_get_idx(events, i));
	return csv_reply(r, csv_file_name(r, "rakkr-audit-events", false), out, false);
}

static status audit_export(struct request *r)
{
	json_object *events;
	bool answered;

	TRY(filtered_events(r, LIST_LIMIT, &events, &answered));
	if (answered)
		return ST_OK;
	audit_ok(r, CONTROLLER, details(r, "exportedCount", J_INT, length_of(events), NULL));
	return reply_csv(r, events);
}

static const struct schema_field id_item = {.type = V_STR, .flags = S_TRIM, .min = 1, .max = ID_MAX};
static const struct schema_field selection_fields[] = {
    {.name = "eventIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = LIMIT_MAX, .item = &id_item},
};
static const struct schema selection_schema = SCHEMA(selection_fields, S_STRICT, NULL);

static json_object *unique_ids(struct request *r, json_object *ids)
{
	json_object *out = json_new_array(r->mem), *seen = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));

		if (json_has(seen, id))
			continue;
		json_set_bool(seen, id, true);
		json_push_str(out, id);
	}
	return out;
}

static status selection_missing(struct request *r, json_object *ids, const char *missing)
{
	audit_add(r, &(struct audit){.outcome = "failed",
	                             .reason = "audit_event_not_found",
	                             .target = CONTROLLER,
	                             .details = details(r, "eventIds", J_REF, ids, "missingId", J_STR, missing, NULL)});
	return reply_json(r, 404, details(r, "error", J_STR, "Audit event not found", "eventId", J_STR, missing, NULL));
}

static json_object *numbered_ids(struct request *r, json_object *ids)
{
	json_object *o = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(ids); i++)
		json_set_ref(o, mem_printf(r->mem, "auditEventId%zu", i + 1), json_object_array_get_idx(ids, i));
	return o;
}

static status audit_export_selected(struct request *r)
{
	json_object *body, *input, *issues, *ids, *events;
	const char *missing;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &selection_schema, body, &input, &issues))
		return fail_issues(r, "Invalid audit export request", issues, "invalid_request", CONTROLLER, NULL);
	ids = unique_ids(r, json_array(input, "eventIds"));
	TRY(write_own_event(r));
	TRY(audit_events_pick(r, ids, &events, &missing));
	if (missing != NULL)
		return selection_missing(r, ids, missing);
	audit_add(r, &(struct audit){.target = CONTROLLER,
	                             .correlation = numbered_ids(r, ids),
	                             .details = details(r, "exportedCount", J_INT, length_of(events), "requestedCount",
	                                                J_INT, length_of(json_array(input, "eventIds")), NULL)});
	return reply_csv(r, events);
}

/* ---- facets ------------------------------------------------------------------------------------------------------ */

struct facet {
	const char *value;
	int64_t count;
};

static int by_count(const void *a, const void *b)
{
	const struct facet *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return text_collate(x->value, y->value);
}

/* Counts the values of member `key` of the part `part` of each event (part NULL: of the event itself). */
static json_object *facet_of(struct request *r, json_object *events, const char *part, const char *key)
{
	json_object *counts = json_new_object(r->mem), *out = json_new_array(r->mem);
	struct facet *list;
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i);
		const char *value = json_str(part != NULL ? json_object_at(event, part) : event, key);

		if (value != NULL && value[0] != '\0')
			json_set_int(counts, value, json_int(counts, value, 0) + 1);
	}
	list = mem_array(r->mem, struct facet, (size_t)json_object_object_length(counts) + 1);
	json_object_object_foreach(counts, value, count)
	{
		list[n++] = (struct facet){.value = value, .count = json_object_get_int64(count)};
	}
	qsort(list, n, sizeof(list[0]), by_count);
	for (size_t i = 0; i < n; i++)
		json_push_ref(out, details(r, "count", J_INT, list[i].count, "value", J_STR, list[i].value, NULL));
	return out;
}

static status audit_facets(struct request *r)
{
	json_object *events, *facets = json_new_object(r->mem);
	bool answered;

	TRY(filtered_events(r, LIMIT_MAX, &events, &answered));
	if (answered)
		return ST_OK;
	json_set_ref(facets, "actions", facet_of(r, events, NULL, "action"));
	json_set_ref(facets, "actorTypes", facet_of(r, events, "actor", "type"));
	json_set_ref(facets, "outcomes", facet_of(r, events, NULL, "outcome"));
	json_set_ref(facets, "permissions", facet_of(r, events, NULL, "permission"));
	json_set_ref(facets, "reasons", facet_of(r, events, NULL, "reason"));
	json_set_ref(facets, "targetTypes", facet_of(r, events, "target", "type"));
	json_set_int(facets, "total", length_of(events));
	audit_ok(r, CONTROLLER, details(r, "returnedCount", J_INT, length_of(events), NULL));
	return reply_data(r, 200, facets);
}

/* ---- detail ------------------------------------------------------------------------------------------------------ */

static json_object *read_action(struct request *r, const char *href)
{
	return action_state(r, PERM_AUDIT_READ, "GET", href, true, NULL, NULL);
}

/* Both detail and actions: the answers are identical. */
static status audit_detail(struct request *r)
{
	const char *id = req_param(r, "eventId"), *encoded, *self, *export;
	json_object *event, *data = json_new_object(r->mem);
	status st = write_own_event(r);

	if (st == ST_OK)
		st = audit_event_find(r, id, &event);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Audit event not found", "audit_event_not_found", CONTROLLER,
		            details(r, "eventId", J_STR, id, NULL));
	TRY(st);
	encoded = text_uri_component(r->mem, json_str(event, "id"));
	self = mem_printf(r->mem, "/api/v1/audit-events/%s", encoded);
	export = mem_printf(r->mem, "/api/v1/audit-events/export?id=%s", encoded);
	json_set_ref(data, "actions",
	             details(r, "detail", J_REF, read_action(r, self), "export", J_REF, read_action(r, export), NULL));
	json_set_ref(data, "event", event);
	json_set_ref(data, "links",
	             details(r, "actions", J_STR, mem_printf(r->mem, "%s/actions", self), "detail", J_STR, self,
	                     "export", J_STR, export, NULL));
	audit_ok(r, CONTROLLER, details(r, "eventId", J_STR, id, NULL));
	return reply_data(r, 200, data);
}

#define AUDIT_ROUTE(method_, path_, action_, handler_)                                                                 \
	{                                                                                                              \
		.method = method_, .path = "/api/v1/audit-events" path_, .guard = GUARD_USER,                          \
		.permission = PERM_AUDIT_READ, .action = action_, .target_type = "controller", .handler = handler_     \
	}

const struct route audit_routes[] = {
    AUDIT_ROUTE("GET", "/export", "audit.events.export", audit_export),
    AUDIT_ROUTE("POST", "/export", "audit.events.export_selected", audit_export_selected),
    AUDIT_ROUTE("GET", "/facets", "audit.events.facets.read", audit_facets),
    AUDIT_ROUTE("GET", "/:eventId/actions", "audit.events.actions.read", audit_detail),
    AUDIT_ROUTE("GET", "/:eventId", "audit.events.detail.read", audit_detail),
    AUDIT_ROUTE("GET", "", "audit.events.read", audit_list),
    {.method = NULL},
};
