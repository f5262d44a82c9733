/* The recording library: list, facets, detail (contract 03 3.3), and the routes of the whole family. */
#include "api/recordings.h"

#include "api/list_reply.h"
#include "api/recording_lookup.h"
#include "api/route.h"
#include "api/selection.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/schema.h"

#include <stdlib.h>
#include <string.h>

/* ---- filters ----------------------------------------------------------------------------------------------------- */

static const char *const cache_states[] = {"cached", "missing", NULL};
static const char *const sort_orders[] = {"asc", "desc", NULL};
static const char *const sort_fields[] = {"durationSeconds", "folder", "healthStatus", "name",
                                          "recordedAt",      "source", "status",       NULL};

static const char *check_limit(json_object *value)
{
	int64_t limit = json_object_get_int64(value);

	return limit >= 1 && limit <= 200 ? NULL : "Expected limit between 1 and 200";
}

/* The text stays as it was given: audit events show what somebody asked for. */
static const char *check_date(json_object *value)
{
	int64_t ms;

	return clock_parse(json_object_get_string(value), CLOCK_LENIENT, &ms) ? NULL : "Expected ISO date-time";
}

#define FILTER_TEXT(n)                                                                                                 \
	{                                                                                                              \
		.name = (n), .type = V_STR, .flags = S_TRIM | S_BLANK_ABSENT, .max = 240                               \
	}
#define FILTER_DATE(n)                                                                                                 \
	{                                                                                                              \
		.name = (n), .type = V_STR, .flags = S_TRIM | S_BLANK_ABSENT, .rule = check_date                       \
	}
#define FILTER_WORD(n, words)                                                                                          \
	{                                                                                                              \
		.name = (n), .type = V_ENUM, .flags = S_BLANK_ABSENT, .values = (words)                                \
	}

static const struct schema_field filter_fields[] = {
    FILTER_WORD("cacheState", cache_states),
    FILTER_TEXT("folder"),
    FILTER_WORD("healthStatus", enum_recording_health),
    {.name = "limit", .type = V_INT, .flags = S_BLANK_ABSENT, .rule = check_limit},
    FILTER_TEXT("nodeId"),
    {.name = "offset", .type = V_INT, .flags = S_BLANK_ABSENT},
    FILTER_DATE("recordedFrom"),
    FILTER_DATE("recordedTo"),
    FILTER_TEXT("recordingProfileId"),
    FILTER_TEXT("scheduleId"),
    FILTER_TEXT("search"),
    FILTER_WORD("sortBy", sort_fields),
    FILTER_WORD("sortOrder", sort_orders),
    FILTER_WORD("status", enum_recording_status),
    FILTER_TEXT("tag"),
    FILTER_TEXT("trackGroupId"),
    FILTER_TEXT("uploadPolicyId"),
};
static const struct schema filter_schema = SCHEMA(filter_fields, 0, NULL);

bool recording_filters(struct request *r, json_object **filters, json_object **issues)
{
	return schema_check_query(r->mem, &filter_schema, r->query, filters, issues);
}

/* A lenient date as the ISO form that stores compare. */
static const char *filter_time(struct request *r, json_object *filters, const char *key)
{
	const char *text = json_str(filters, key);
	int64_t ms;

	return text != NULL && clock_parse(text, CLOCK_LENIENT, &ms) ? clock_iso_dup(r->mem, ms) : NULL;
}

static void add_sort(json_object *filters, struct query *q)
{
	const char *by = json_str(filters, "sortBy");
	const char *order = json_str(filters, "sortOrder");
	bool desc;

	if (by == NULL)
		return;
	desc = text_equal(by, "durationSeconds") || text_equal(by, "recordedAt");
	if (order != NULL)
		desc = text_equal(order, "desc");
	query_sort(q, by, desc);
	query_sort(q, "id", false);
}

status recording_query(struct request *r, json_object *filters, struct query *q)
{
	static const char *const exact[] = {"healthStatus", "nodeId",       "recordingProfileId", "scheduleId",
	                                    "status",       "trackGroupId", "uploadPolicyId"};
	const char *cache = json_str(filters, "cacheState");

	query_init(q);
	if (cache != NULL)
		query_where(q, "hasFile", Q_EQ, text_equal(cache, "cached") ? "true" : "false");
	query_where(q, "folder", Q_CONTAINS, json_str(filters, "folder"));
	query_where(q, "recordedAt", Q_GE, filter_time(r, filters, "recordedFrom"));
	query_where(q, "recordedAt", Q_LE, filter_time(r, filters, "recordedTo"));
	query_where(q, "tags", Q_HAS_CI, json_str(filters, "tag"));
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
		query_where(q, exact[i], Q_EQ, json_str(filters, exact[i]));
	q->search = json_str(filters, "search");
	add_sort(filters, q);
	return recording_scope(r, &q->scope);
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static json_object *page_meta(struct request *r, const struct query *q, int64_t offset, int64_t total, int64_t returned)
{
	json_object *meta = json_new_object(r->mem);

	json_set_bool(meta, "hasNextPage", q->limit >= 0 && offset + returned < total);
	json_set_bool(meta, "hasPreviousPage", offset > 0);
	if (q->limit >= 0)
		json_set_int(meta, "limit", q->limit);
	json_set_int(meta, "offset", offset);
	json_set_int(meta, "returned", returned);
	json_set_int(meta, "total", total);
	return meta;
}

static status list(struct request *r)
{
	struct query *q = mem_new(r->mem, struct query);
	json_object *filters, *issues;
	struct list_reply page;
	int64_t offset;

	if (!recording_filters(r, &filters, &issues))
		return fail_issues(r, "Invalid recording filters", issues, "invalid_filters", RECORDING_COLLECTION,
		                   details(r, "issueCount", J_INT, (int64_t)json_object_array_length(issues), NULL));
	TRY(recording_query(r, filters, q));
	offset = json_int(filters, "offset", 0);
	q->limit = json_int(filters, "limit", -1);
	if (q->limit >= 0)
		q->offset = offset; /* without a limit everything is returned (03 3.18 T2) */
	TRY(list_read(r, &model_recordings, q, &page));
	audit_ok(r, RECORDING_COLLECTION,
	         details(r, "filters", J_REF, filters, "returnedCount", J_INT, page.count, "totalCount", J_INT,
	                 page.total, NULL));
	return list_send(r, &page, page_meta(r, q, offset, page.total, page.count));
}

/* ---- facets ------------------------------------------------------------------------------------------------------ */

static const struct facet {
	const char *name, *field;
} facets[] = {
    {"folders", "folder"},
    {"nodes", "nodeId"},
    {"recordingProfiles", "recordingProfileId"},
    {"tags", "tags"},
    {"trackGroups", "trackGroupId"},
    {"uploadPolicies", "uploadPolicyId"},
};
#define FACETS (sizeof(facets) / sizeof(facets[0]))

static int compare_facets(const void *a, const void *b)
{
	json_object *left = *(json_object *const *)a, *right = *(json_object *const *)b;
	int64_t counts = json_int(right, "count", 0) - json_int(left, "count", 0);

	if (counts != 0)
		return counts < 0 ? -1 : 1;
	return text_collate(json_str_or(left, "value", ""), json_str_or(right, "value", ""));
}

static status read_facets(struct request *r)
{
	json_object *data = json_new_object(r->mem), *values[FACETS];
	const char *fields[FACETS];
	struct query q;
	struct page page;

	query_init(&q);
	TRY(recording_scope(r, &q.scope));
	for (size_t i = 0; i < FACETS; i++)
		fields[i] = facets[i].field;
	TRY(store_counts(r->store, r->mem, &model_recordings, &q, fields, FACETS, values));
	for (size_t i = 0; i < FACETS; i++) {
		json_object_array_sort(values[i], compare_facets);
		json_set_ref(data, facets[i].name, values[i]);
	}
	q.limit = 0;
	q.want_total = true;
	TRY(store_list(r->store, r->mem, &model_recordings, &q, &page));
	audit_ok(r, RECORDING_COLLECTION,
	         details(r, "folderCount", J_INT, (int64_t)json_object_array_length(json_get(data, "folders")),
	                 "nodeCount", J_INT, (int64_t)json_object_array_length(json_get(data, "nodes")),
	                 "recordingCount", J_INT, page.total, "tagCount", J_INT,
	                 (int64_t)json_object_array_length(json_get(data, "tags")), NULL));
	return reply_data(r, 200, data);
}

/* ---- detail ------------------------------------------------------------------------------------------------------ */

status recording_missing(struct request *r, const char *id)
{
	return fail(r, 404, "Recording not found", "recording_not_found", TARGET("recording", id, NULL), NULL);
}

status recording_hidden(struct request *r, const struct selection *sel)
{
	audit_add(r, &(struct audit){.action = mem_printf(r->mem, "%s.failed", r->route->action),
	                             .outcome = "denied",
	                             .reason = "recording_not_visible",
	                             .target = RECORDING_COLLECTION,
	                             .details = details(r, "hiddenIds", J_REF, sel->hidden, "recordingIds", J_REF,
	                                                sel->ids, NULL)});
	r->rollback = true;
	return reply_error(r, 404, "One or more recordings are not visible");
}

static status detail(struct request *r)
{
	const char *id = req_param(r, "recordingId");
	json_object *doc;
	status s = recording_find(r, id, &doc);

	if (s == ST_NOT_FOUND)
		return recording_missing(r, id);
	if (s != ST_OK)
		return s;
	audit_ok(r, recording_target(doc),
	         details(r, "healthStatus", J_STR, json_str(doc, "healthStatus"), "source", J_STR,
	                 json_str(doc, "source"), "status", J_STR, json_str(doc, "status"), NULL));
	return reply_data(r, 200, doc);
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

#define LIBRARY(m, tail, perm, act, fn)                                                                                \
	{                                                                                                              \
		.method = (m), .path = "/api/v1/recordings" tail, .guard = GUARD_USER, .permission = (perm),           \
		.action = (act), .target_type = "controller", .handler = (fn)                                          \
	}
#define COLLECTION(m, tail, perm, act, fn)                                                                             \
	{                                                                                                              \
		.method = (m), .path = "/api/v1/recordings" tail, .guard = GUARD_USER, .permission = (perm),           \
		.action = (act), .target_type = "recording_collection", .target_id = "recording_collection",           \
		.handler = (fn)                                                                                        \
	}
#define ONE(m, tail, perm, act, fn)                                                                                    \
	{                                                                                                              \
		.method = (m), .path = "/api/v1/recordings/:recordingId" tail, .guard = GUARD_USER,                    \
		.permission = (perm), .action = (act), .target_type = "recording", .target_param = "recordingId",      \
		.handler = (fn), .prefetch = &model_recordings, .prefetch_param = "recordingId"                        \
	}

const struct route recordings_routes[] = {
    COLLECTION("GET", "/export", PERM_RECORDING_READ, "recordings.export", recording_export),
    COLLECTION("POST", "/export", PERM_RECORDING_READ, "recordings.export_selected", recording_export_selected),
    LIBRARY("GET", "", PERM_RECORDING_READ, "recordings.read", list),
    LIBRARY("GET", "/facets", PERM_RECORDING_READ, "recordings.facets.read", read_facets),
    ONE("GET", "", PERM_RECORDING_READ, "recordings.detail.read", detail),
    ONE("GET", "/context", PERM_RECORDING_READ, "recordings.context.read", recording_context),
    ONE("GET", "/actions", PERM_RECORDING_READ, "recordings.actions.read", recording_actions),
    ONE("POST", "/playback", PERM_RECORDING_PLAYBACK, "recordings.playback.start", recording_playback),
    ONE("POST", "/download", PERM_RECORDING_DOWNLOAD, "recordings.download.prepare", recording_download),
    ONE("GET", "/stream", PERM_RECORDING_PLAYBACK, "recordings.playback.stream", recording_stream),
    ONE("GET", "/file", PERM_RECORDING_DOWNLOAD, "recordings.download.file", recording_file),
    COLLECTION("PATCH", "/bulk-metadata", PERM_RECORDING_EDIT, "recordings.metadata.bulk_update", recording_bulk_edit),
    COLLECTION("POST", "/bulk-delete", PERM_RECORDING_DELETE, "recordings.bulk_delete", recording_bulk_delete),
    ONE("PATCH", "/metadata", PERM_RECORDING_EDIT, "recordings.metadata.update", recording_edit),
    ONE("DELETE", "", PERM_RECORDING_DELETE, "recordings.delete", recording_delete),
    {0},
};
