/* Recording jobs as the console sees them: list, detail, actions, and the routes of the family (contract 03 3.12). */
#include "api/jobs.h"

#include "api/job_lookup.h"
#include "api/list_reply.h"
#include "api/recording_lookup.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/schema.h"
#include "runner/lease.h"

/* ---- filters ----------------------------------------------------------------------------------------------------- */

#define FILTER_TEXT(n)                                                                                                 \
	{                                                                                                              \
		.name = (n), .type = V_STR, .flags = S_TRIM | S_BLANK_ABSENT, .max = 160                               \
	}
#define FILTER_WORD(n, words)                                                                                          \
	{                                                                                                              \
		.name = (n), .type = V_ENUM, .flags = S_BLANK_ABSENT, .values = (words)                                \
	}
#define FILTER_TIME(n)                                                                                                 \
	{                                                                                                              \
		.name = (n), .type = V_ISO, .flags = S_BLANK_ABSENT                                                    \
	}

static const struct schema_field filter_fields[] = {
    FILTER_WORD("captureBackend", enum_capture_backend),
    FILTER_TEXT("captureInterfaceId"),
    FILTER_TIME("createdFrom"),
    FILTER_TIME("createdTo"),
    FILTER_TEXT("nodeId"),
    FILTER_TEXT("search"),
    FILTER_WORD("status", enum_job_status),
};
static const struct schema filter_schema = SCHEMA(filter_fields, 0, NULL);

bool job_filters(struct request *r, json_object **filters, json_object **issues)
{
	return schema_check_query(r->mem, &filter_schema, r->query, filters, issues);
}

static const char *filter_time(struct request *r, json_object *filters, const char *key)
{
	const char *text = json_str(filters, key);
	int64_t ms;

	return text != NULL && clock_parse(text, CLOCK_ISO_OFFSET, &ms) ? clock_iso_dup(r->mem, ms) : NULL;
}

status job_query(struct request *r, json_object *filters, struct query *q)
{
	static const char *const exact[] = {"captureBackend", "captureInterfaceId", "nodeId", "status"};

	query_init(q);
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
		query_where(q, exact[i], Q_EQ, json_str(filters, exact[i]));
	query_where(q, "createdAt", Q_GE, filter_time(r, filters, "createdFrom"));
	query_where(q, "createdAt", Q_LE, filter_time(r, filters, "createdTo"));
	q->search = json_str(filters, "search");
	return job_scope(r, &q->scope);
}

/* ---- list and detail --------------------------------------------------------------------------------------------- */

static status list(struct request *r)
{
	struct query *q = mem_new(r->mem, struct query);
	json_object *filters, *issues;
	struct list_reply jobs;

	if (!job_filters(r, &filters, &issues))
		return fail_issues(r, "Invalid recording job filters", issues, "invalid_filters", JOB_COLLECTION,
		                   details(r, "issueCount", J_INT, (int64_t)json_object_array_length(issues), NULL));
	TRY(lease_expire_often(r->store, r->config, r->mem, r->now_ms));
	TRY(job_query(r, filters, q));
	TRY(list_read(r, &model_jobs, q, &jobs));
	audit_ok(r, JOB_COLLECTION, details(r, "filters", J_REF, filters, "returnedCount", J_INT, jobs.count, NULL));
	return list_send(r, &jobs, NULL);
}

/*
 * The job of the path with its recording: visible, because the dispatcher judged the recording, unless that is gone.
 * *job NULL when the request has been answered.
 */
static status find_visible(struct request *r, json_object *missing_details, json_object **job, json_object **recording)
{
	const char *id = req_param(r, "jobId");
	bool ended;
	status s = job_find(r, id, job);

	if (s == ST_OK)
		s = recording_find(r, json_str_or(*job, "recordingId", ""), recording);
	if (s == ST_NOT_FOUND) {
		*job = NULL;
		return fail(r, 404, "Recording job not found", "recording_job_not_found",
		            TARGET("recording_job", id, NULL), missing_details);
	}
	if (s != ST_OK)
		return s;
	TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, *job, &ended));
	if (!ended)
		return ST_OK;
	TRY(recording_find(r, json_str_or(*job, "recordingId", ""), recording));
	return job_find(r, id, job);
}

static status detail(struct request *r)
{
	const char *id = req_param(r, "jobId");
	json_object *job, *recording;

	TRY(find_visible(r, details(r, "jobId", J_STR, id, NULL), &job, &recording));
	if (job == NULL)
		return ST_OK;
	audit_add(r,
	          &(struct audit){.target = TARGET("recording_job", id, NULL),
	                          .correlation = details(r, "recordingId", J_STR, json_str(job, "recordingId"), NULL),
	                          .details = details(r, "nodeId", J_STR, json_str(job, "nodeId"), "recordingId", J_STR,
	                                             json_str(job, "recordingId"), "status", J_STR,
	                                             json_str(job, "status"), NULL)});
	return reply_data(r, 200, job);
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

#define JOBS_URL "/api/v1/recording-jobs"

static json_object *selection(struct request *r, const char *id)
{
	json_object *ids = json_new_array(r->mem);

	json_push_str(ids, id);
	return details(r, "jobIds", J_REF, ids, NULL);
}

static json_object *action_states(struct request *r, json_object *job, const char *detail_url, const char *retry_url,
                                  bool conflict)
{
	const char *id = json_str_or(job, "id", "");
	bool over = job_is(job, "cancelled", "failed");
	json_object *o = json_new_object(r->mem);

	json_set_ref(o, "detail", action_state(r, PERM_RECORDING_READ, "GET", detail_url, true, NULL, NULL));
	json_set_ref(o, "exportSelected",
	             action_state(r, PERM_RECORDING_READ, "POST", JOBS_URL "/export", true, NULL, selection(r, id)));
	json_set_ref(o, "retry",
	             action_state(r, PERM_RECORDING_CONTROL, "POST", retry_url, over && !conflict,
	                          over ? "active_job_exists" : "recording_job_not_retryable", NULL));
	json_set_ref(o, "stop",
	             action_state(r, PERM_RECORDING_CONTROL, "POST", JOBS_URL "/bulk-stop",
	                          job_is(job, "queued", "running"), "recording_job_not_stoppable", selection(r, id)));
	return o;
}

static status actions(struct request *r)
{
	const char *id = req_param(r, "jobId"), *detail_url, *retry_url;
	json_object *job, *recording, *conflict, *data = json_new_object(r->mem);

	TRY(find_visible(r, NULL, &job, &recording));
	if (job == NULL)
		return ST_OK;
	TRY(job_active(r, json_str_or(job, "recordingId", ""), id, &conflict));
	detail_url = mem_printf(r->mem, JOBS_URL "/%s", id);
	retry_url = mem_printf(r->mem, "%s/retry", detail_url);
	json_set_ref(data, "actions", action_states(r, job, detail_url, retry_url, conflict != NULL));
	json_set_ref(data, "job", job);
	json_set_ref(data, "links",
	             details(r, "bulkRetry", J_STR, JOBS_URL "/bulk-retry", "bulkStop", J_STR, JOBS_URL "/bulk-stop",
	                     "detail", J_STR, detail_url, "exportSelected", J_STR, JOBS_URL "/export", "retry", J_STR,
	                     retry_url, NULL));
	json_set_ref(data, "recording", recording);
	json_set_ref(data, "retryConflict", conflict);
	audit_add(r, &(struct audit){
	                 .target = TARGET("recording_job", id, NULL),
	                 .no_session = true,
	                 .correlation = details(r, "recordingId", J_STR, json_str(job, "recordingId"), NULL),
	                 .details = details(r, "activeConflictAvailable", J_BOOL, conflict != NULL,
	                                    "recordingAvailable", J_BOOL, true, "status", J_STR,
	                                    json_str(job, "status"), "visibleActionCount", J_INT, (int64_t)4, NULL)});
	return reply_data(r, 200, data);
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

#define COLLECTION(m, tail, perm, act, fn)                                                                             \
	{                                                                                                              \
		.method = (m), .path = JOBS_URL tail, .guard = GUARD_USER, .permission = (perm), .action = (act),      \
		.target_type = "recording_collection", .target_id = "recording_job_collection", .handler = (fn)        \
	}
#define ONE(m, tail, perm, act, fn)                                                                                    \
	{                                                                                                              \
		.method = (m), .path = JOBS_URL "/:jobId" tail, .guard = GUARD_USER, .permission = (perm),             \
		.action = (act), .target = job_route_target, .handler = (fn), .prefetch = &model_jobs,                 \
		.prefetch_param = "jobId"                                                                              \
	}

const struct route jobs_routes[] = {
    ONE("GET", "/actions", PERM_RECORDING_READ, "recording_jobs.actions.read", actions),
    {.method = "GET",
     .path = JOBS_URL,
     .guard = GUARD_USER,
     .permission = PERM_RECORDING_READ,
     .action = "recording_jobs.read",
     .target_type = "controller",
     .handler = list},
    COLLECTION("GET", "/export", PERM_RECORDING_READ, "recording_jobs.export", job_export),
    COLLECTION("POST", "/export", PERM_RECORDING_READ, "recording_jobs.export_selected", job_export_selected),
    ONE("GET", "", PERM_RECORDING_READ, "recording_jobs.detail.read", detail),
    COLLECTION("POST", "/bulk-retry", PERM_RECORDING_CONTROL, "recording_jobs.bulk_retry", job_bulk_retry),
    COLLECTION("POST", "/bulk-stop", PERM_RECORDING_CONTROL, "recording_jobs.bulk_stop", job_bulk_stop),
    ONE("POST", "/retry", PERM_RECORDING_CONTROL, "recording_jobs.retry", job_retry_one),
    {0},
};
