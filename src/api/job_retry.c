/* Retry and stop of jobs, one or many (contract 03 3.12.5 to 3.12.8; 09 D-05, D-18, D-30). */
#include "api/job_lookup.h"
#include "api/jobs.h"
#include "api/recording_lookup.h"
#include "api/recording_unlink.h"
#include "api/route.h"
#include "base/mem.h"
#include "base/text.h"

static const struct schema_field body_fields[] = {
    {.name = "jobIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = 200, .item = &selection_id},
};
static const struct schema body_schema = SCHEMA(body_fields, S_STRICT, NULL);

status job_selection(struct request *r, const char *invalid, struct selection *sel, bool *good)
{
	const struct row_scope *scope;
	json_object *body, *clean, *issues;

	*good = false;
	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &body_schema, body, &clean, &issues))
		return fail_issues(r, invalid, issues, "invalid_request", JOB_COLLECTION, NULL);
	TRY(job_expire_all(r));
	TRY(job_scope(r, &scope));
	TRY(selection_load(r, &model_jobs, scope, json_get(clean, "jobIds"), false, sel));
	*good = json_object_array_length(sel->hidden) == 0;
	if (*good)
		return ST_OK;
	audit_add(r, &(struct audit){.action = mem_printf(r->mem, "%s.failed", r->route->action),
	                             .outcome = "denied",
	                             .reason = "recording_job_not_visible",
	                             .target = JOB_COLLECTION,
	                             .details =
	                                 details(r, "hiddenIds", J_REF, sel->hidden, "jobIds", J_REF, sel->ids, NULL)});
	r->rollback = true;
	return reply_error(r, 404, "One or more recording jobs are not visible");
}

/* ---- retry one --------------------------------------------------------------------------------------------------- */

static status refuse_retry(struct request *r, int code, const char *reason, struct target target, json_object *d)
{
	fail(r, code, "", reason, target, d);
	return reply_json(r, code,
	                  details(r, "error", J_STR, "Recording job cannot be retried", "reason", J_STR, reason, NULL));
}

/* The job and its recording, before anything happens; *job NULL when the request has been answered. */
static status find_visible(struct request *r, json_object **job, json_object **recording)
{
	const char *id = req_param(r, "jobId");
	status s = job_find(r, id, job);

	if (s == ST_OK)
		s = recording_find(r, json_str_or(*job, "recordingId", ""), recording);
	if (s != ST_NOT_FOUND)
		return s;
	*job = NULL;
	audit_add(r, &(struct audit){.action = "recording_jobs.retry.failed",
	                             .outcome = "denied",
	                             .reason = "recording_job_not_visible",
	                             .target = TARGET("recording_job", id, NULL)});
	r->rollback = true;
	return reply_error(r, 404, "Recording job not found");
}

static void audit_retry(struct request *r, json_object *job, json_object *before, json_object *again,
                        json_object *recording)
{
	json_object *command = json_object_at(again, "command");

	audit_add(r, &(struct audit){.target = recording_target(recording),
	                             .before = details(r, "jobId", J_STR, json_str(job, "id"), "recordingStatus", J_STR,
	                                               json_str(before, "status"), "status", J_STR,
	                                               json_str(job, "status"), NULL),
	                             .after = details(r, "jobId", J_STR, json_str(again, "id"), "recordingStatus",
	                                              J_STR, "recording", "status", J_STR, "queued", NULL),
	                             .correlation = details(r, "recordingId", J_STR, json_str(again, "recordingId"),
	                                                    "retryJobId", J_STR, json_str(again, "id"), "sourceJobId",
	                                                    J_STR, json_str(job, "id"), NULL),
	                             .details = details(r, "captureDevice", J_STR, json_str(command, "captureDevice"),
	                                                "nodeId", J_STR, json_str(again, "nodeId"), "outputFileName",
	                                                J_STR, json_str(command, "outputFileName"), NULL)});
}

status job_retry_one(struct request *r)
{
	json_object *job, *before, *again, *recording, *other;
	struct unlink_list files = {0};
	const char *reason, *file;
	status s;

	TRY(job_expire_all(r));
	TRY(find_visible(r, &job, &before));
	if (job == NULL)
		return ST_OK;
	s = job_retry(r, json_str_or(job, "id", ""), &again, &recording, &other, &reason, &file);
	if (s == ST_NOT_FOUND)
		return refuse_retry(r, 404, "job_not_found", recording_target(before), NULL);
	if (s == ST_CONFLICT)
		return refuse_retry(r, 409, reason, recording_target(before),
		                    details(r, "activeJobId", J_STR, json_str(other, "id"), "sourceJobStatus", J_STR,
		                            json_str(job, "status"), NULL));
	if (s != ST_OK)
		return s;
	audit_retry(r, job, before, again, recording);
	unlink_add(r, &files, json_str_or(job, "recordingId", ""), file);
	TRY(unlink_with_commit(r, &files));
	return reply_data(r, 201, again);
}

/* ---- retry many -------------------------------------------------------------------------------------------------- */

/* Ids of the selected jobs that are neither a nor b. */
static json_object *ineligible(struct request *r, const struct selection *sel, const char *a, const char *b)
{
	json_object *ids = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(sel->docs); i++) {
		json_object *job = json_object_array_get_idx(sel->docs, i);

		if (!job_is(job, a, b))
			json_push_str(ids, json_str_or(job, "id", ""));
	}
	return ids;
}

/* Recordings that more than one of the selected jobs belongs to. */
static json_object *shared_recordings(struct request *r, json_object *jobs)
{
	json_object *seen = json_new_object(r->mem), *shared = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		const char *id = json_str_or(json_object_array_get_idx(jobs, i), "recordingId", "");
		int64_t count = json_int(seen, id, 0) + 1;

		json_set_int(seen, id, count);
		if (count == 2)
			json_push_str(shared, id);
	}
	return shared;
}

/* Active jobs of the selected jobs' recordings. */
static status active_jobs(struct request *r, json_object *jobs, json_object **ids)
{
	*ids = json_new_array(r->mem);
	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i), *active;

		TRY(job_active(r, json_str_or(job, "recordingId", ""), json_str(job, "id"), &active));
		if (active != NULL)
			json_push_str(*ids, json_str_or(active, "id", ""));
	}
	return ST_OK;
}

static status refuse_bulk(struct request *r, const struct selection *sel, const char *text, const char *reason,
                          const char *key, json_object *ids)
{
	return fail(r, 409, text, reason, JOB_COLLECTION, details(r, key, J_REF, ids, "jobIds", J_REF, sel->ids, NULL));
}

/* Conditions 3 to 5 of 03 3.12.7; *good false when the request has been answered. */
static status check_bulk(struct request *r, const struct selection *sel, bool *good)
{
	json_object *ids = ineligible(r, sel, "failed", "cancelled");

	*good = false;
	if (json_object_array_length(ids) > 0)
		return refuse_bulk(r, sel, "One or more recording jobs cannot be retried",
		                   "recording_job_not_retryable", "ineligibleIds", ids);
	ids = shared_recordings(r, sel->docs);
	if (json_object_array_length(ids) > 0)
		return refuse_bulk(r, sel, "Only one retry job per recording can be created at once",
		                   "duplicate_recording_selection", "duplicateRecordingIds", ids);
	TRY(active_jobs(r, sel->docs, &ids));
	if (json_object_array_length(ids) > 0)
		return refuse_bulk(r, sel, "One or more recordings already have active jobs", "active_job_exists",
		                   "activeJobIds", ids);
	*good = true;
	return ST_OK;
}

/* {jobs:[{jobId, recordingId, status}]} */
static json_object *job_list(struct request *r, json_object *jobs)
{
	json_object *list = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i);

		json_push_ref(list,
		              details(r, "jobId", J_STR, json_str(job, "id"), "recordingId", J_STR,
		                      json_str(job, "recordingId"), "status", J_STR, json_str(job, "status"), NULL));
	}
	return details(r, "jobs", J_REF, list, NULL);
}

/* One unit of work; *failed and *reason tell which job it ended at. */
static status retry_all(struct request *r, const struct selection *sel, json_object *again, struct unlink_list *files,
                        const char **failed, const char **reason)
{
	for (size_t i = 0; i < json_object_array_length(sel->ids); i++) {
		json_object *job, *recording, *other;
		const char *file;

		*reason = "job_not_found";
		*failed = json_object_get_string(json_object_array_get_idx(sel->ids, i));
		TRY(job_retry(r, *failed, &job, &recording, &other, reason, &file));
		json_push_ref(again, job);
		unlink_add(r, files, json_str_or(job, "recordingId", ""), file);
	}
	return ST_OK;
}

status job_bulk_retry(struct request *r)
{
	json_object *again = json_new_array(r->mem), *reply = json_new_object(r->mem);
	struct unlink_list files = {0};
	const char *failed = NULL, *reason = NULL;
	struct selection sel;
	int64_t count;
	bool good;
	status s;

	TRY(job_selection(r, "Invalid recording job retry request", &sel, &good));
	if (good)
		TRY(check_bulk(r, &sel, &good));
	if (!good)
		return ST_OK;
	TRY(recording_lock(r, selection_members(r, sel.docs, "recordingId")));
	s = retry_all(r, &sel, again, &files, &failed, &reason);
	if (s == ST_CONFLICT || s == ST_NOT_FOUND) {
		fail(r, 409, "", reason, JOB_COLLECTION,
		     details(r, "jobIds", J_REF, sel.ids, "sourceJobId", J_STR, failed, NULL));
		return reply_json(r, 409,
		                  details(r, "error", J_STR, "Recording jobs could not all be retried", "reason", J_STR,
		                          reason, NULL));
	}
	if (s != ST_OK)
		return s;
	count = (int64_t)json_object_array_length(again);
	audit_add(r,
	          &(struct audit){.target = JOB_COLLECTION,
	                          .before = job_list(r, sel.docs),
	                          .after = job_list(r, again),
	                          .correlation = selection_numbered(r, "retryJobId", selection_members(r, again, "id")),
	                          .details = details(r, "requestedCount", J_INT, sel.requested, "retriedCount", J_INT,
	                                             count, "sourceJobIds", J_REF, sel.ids, NULL)});
	TRY(unlink_with_commit(r, &files));
	json_set_ref(reply, "data", again);
	json_set_ref(reply, "meta", details(r, "retriedCount", J_INT, count, NULL));
	return reply_json(r, 201, reply);
}

/* ---- stop many --------------------------------------------------------------------------------------------------- */

static json_object *stop_entry(struct request *r, json_object *job, json_object *recording)
{
	return details(r, "jobId", J_STR, json_str(job, "id"), "recordingId", J_STR, json_str(job, "recordingId"),
	               "recordingStatus", J_STR, json_str(recording, "status"), "status", J_STR,
	               json_str(job, "status"), NULL);
}

struct stop_result {
	json_object *jobs, *before, *after;
	const char *failed;
};

static status stop_all(struct request *r, const struct selection *sel, struct stop_result *out)
{
	for (size_t i = 0; i < json_object_array_length(sel->docs); i++) {
		json_object *job = json_object_array_get_idx(sel->docs, i), *stopped, *old, *recording;
		const char *recording_id = json_str_or(job, "recordingId", "");

		out->failed = json_str(job, "id");
		TRY(recording_find(r, recording_id, &old));
		TRY(job_stop(r, job, &stopped));
		TRY(job_stop_recording(r, recording_id, &recording));
		json_push_ref(out->jobs, stopped);
		json_push_ref(out->before, stop_entry(r, job, old));
		json_push_ref(out->after, stop_entry(r, stopped, recording));
	}
	return ST_OK;
}

status job_bulk_stop(struct request *r)
{
	struct stop_result out = {json_new_array(r->mem), json_new_array(r->mem), json_new_array(r->mem), NULL};
	json_object *ids, *reply = json_new_object(r->mem);
	struct selection sel;
	int64_t count;
	bool good;
	status s;

	TRY(job_selection(r, "Invalid recording job stop request", &sel, &good));
	if (!good)
		return ST_OK;
	ids = ineligible(r, &sel, "queued", "running");
	if (json_object_array_length(ids) > 0)
		return refuse_bulk(r, &sel, "One or more recording jobs cannot be stopped",
		                   "recording_job_not_stoppable", "ineligibleIds", ids);
	s = stop_all(r, &sel, &out);
	if (s == ST_CONFLICT || s == ST_NOT_FOUND)
		return fail(r, 409, "Recording jobs could not all be stopped", "recording_job_not_stoppable",
		            JOB_COLLECTION,
		            details(r, "jobIds", J_REF, sel.ids, "sourceJobId", J_STR, out.failed, NULL));
	if (s != ST_OK)
		return s;
	count = (int64_t)json_object_array_length(out.jobs);
	audit_add(r, &(struct audit){.target = JOB_COLLECTION,
	                             .before = details(r, "jobs", J_REF, out.before, NULL),
	                             .after = details(r, "jobs", J_REF, out.after, NULL),
	                             .correlation = selection_numbered(r, "jobId", sel.ids),
	                             .details = details(r, "requestedCount", J_INT, sel.requested, "stoppedCount",
	                                                J_INT, count, NULL)});
	json_set_ref(reply, "data", out.jobs);
	json_set_ref(reply, "meta", details(r, "stoppedCount", J_INT, count, NULL));
	return reply_json(r, 200, reply);
}
