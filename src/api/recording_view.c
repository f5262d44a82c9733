/* One recording with what belongs to it, and what can be done with it (contract 03 3.3.4, 3.3.5). */
#include "api/job_lookup.h"
#include "api/recording_lookup.h"
#include "api/recordings.h"
#include "base/mem.h"
#include "runner/lease.h"

#define HEALTH_MAX 100

static status find(struct request *r, json_object **doc)
{
	const char *id = req_param(r, "recordingId");
	status s = recording_find(r, id, doc);

	if (s != ST_NOT_FOUND)
		return s;
	*doc = NULL;
	return recording_missing(r, id);
}

/* Documents of a model that carry the recording's id, in wire form. */
static status related(struct request *r, const struct model *m, const char *id, int64_t limit, json_object **out)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, id);
	q.limit = limit;
	TRY(store_list(r->store, r->mem, m, &q, &page));
	*out = json_new_array(r->mem);
	for (size_t i = 0; i < page.count; i++)
		json_push_ref(*out, model_public(r->mem, m, json_object_array_get_idx(page.docs, i)));
	return ST_OK;
}

/* The recording's jobs, newest first, after the end of those whose lease is over. */
static status jobs_of(struct request *r, const char *id, json_object **jobs)
{
	bool changed = false;

	TRY(related(r, &model_jobs, id, -1, jobs));
	for (size_t i = 0; i < json_object_array_length(*jobs); i++) {
		bool ended;

		TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, json_object_array_get_idx(*jobs, i), &ended));
		changed = changed || ended;
	}
	return changed ? related(r, &model_jobs, id, -1, jobs) : ST_OK;
}

status recording_context(struct request *r)
{
	const char *id = req_param(r, "recordingId");
	json_object *doc, *health, *jobs, *items;

	TRY(find(r, &doc));
	if (doc == NULL)
		return ST_OK;
	TRY(jobs_of(r, id, &jobs));
	TRY(recording_find(r, id, &doc));
	TRY(related(r, &model_health_events, id, HEALTH_MAX, &health));
	TRY(related(r, &model_upload_queue, id, -1, &items));
	audit_ok(r, recording_target(doc),
	         details(r, "healthEventCount", J_INT, (int64_t)json_object_array_length(health), "jobCount", J_INT,
	                 (int64_t)json_object_array_length(jobs), "uploadQueueItemCount", J_INT,
	                 (int64_t)json_object_array_length(items), NULL));
	return reply_data(r, 200,
	                  details(r, "healthEvents", J_REF, health, "jobs", J_REF, jobs, "recording", J_REF, doc,
	                          "uploadQueueItems", J_REF, items, NULL));
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

struct related_jobs {
	json_object *latest, *active, *retryable; /* NULL if none */
};

static struct related_jobs sort_out(json_object *jobs)
{
	struct related_jobs j = {NULL, NULL, NULL};

	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i);

		if (j.latest == NULL)
			j.latest = job;
		if (j.active == NULL && (job_is(job, "queued", "running") || job_is(job, "stop_requested", NULL)))
			j.active = job;
		if (j.retryable == NULL && job_is(job, "cancelled", "failed"))
			j.retryable = job;
	}
	if (j.active != NULL)
		j.retryable = NULL;
	return j;
}

static const char *retry_url(struct request *r, const struct related_jobs *j)
{
	if (j->retryable == NULL)
		return NULL;
	return mem_printf(r->mem, "/api/v1/recording-jobs/%s/retry", json_str_or(j->retryable, "id", ""));
}

static json_object *links(struct request *r, const char *url, const struct related_jobs *j)
{
	static const char *const parts[] = {"download", "file", "metadata", "playback", "stop", "stream"};
	json_object *o = json_new_object(r->mem);

	json_set_str(o, "delete", url);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		json_set_str(o, parts[i], mem_printf(r->mem, "%s/%s", url, parts[i]));
	json_set_str(o, "uploadQueue", mem_printf(r->mem, "%s/upload-queue", url));
	json_set_str_opt(o, "retryJob", retry_url(r, j));
	return o;
}

static json_object *states(struct request *r, json_object *doc, const char *url, const struct related_jobs *j)
{
	const char *not_cached = "recording_not_cached";
	bool file = recording_has_file(doc), active = recording_is_active(doc);
	const struct {
		const char *name;
		enum permission permission;
		const char *method, *tail;
		bool ready;
		const char *reason;
	} rows[] = {
	    {"delete", PERM_RECORDING_DELETE, "DELETE", "", !active, "recording_active"},
	    {"download", PERM_RECORDING_DOWNLOAD, "POST", "/download", file, not_cached},
	    {"editMetadata", PERM_RECORDING_EDIT, "PATCH", "/metadata", true, NULL},
	    {"playback", PERM_RECORDING_PLAYBACK, "POST", "/playback", file, not_cached},
	    {"queueUpload", PERM_RECORDING_CONTROL, "POST", "/upload-queue", file, not_cached},
	    {"stop", PERM_RECORDING_CONTROL, "POST", "/stop", active || j->active != NULL, "recording_not_active"},
	};
	json_object *o = json_new_object(r->mem);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_set_ref(o, rows[i].name,
		             action_state(r, rows[i].permission, rows[i].method,
		                          mem_printf(r->mem, "%s%s", url, rows[i].tail), rows[i].ready, rows[i].reason,
		                          NULL));
	json_set_ref(o, "retryJob",
	             action_state(r, PERM_RECORDING_CONTROL, "POST", retry_url(r, j), j->retryable != NULL,
	                          j->active != NULL ? "active_job_exists" : "recording_job_not_retryable", NULL));
	return o;
}

status recording_actions(struct request *r)
{
	const char *id = req_param(r, "recordingId");
	const char *url = mem_printf(r->mem, "/api/v1/recordings/%s", id);
	json_object *doc, *jobs, *items;
	struct related_jobs j;

	TRY(find(r, &doc));
	if (doc == NULL)
		return ST_OK;
	TRY(jobs_of(r, id, &jobs));
	TRY(recording_find(r, id, &doc));
	TRY(related(r, &model_upload_queue, id, -1, &items));
	j = sort_out(jobs);
	audit_add(r, &(struct audit){
	                 .target = recording_target(doc),
	                 .no_session = true,
	                 .details = details(
	                     r, "activeJobAvailable", J_BOOL, j.active != NULL, "cached", J_BOOL,
	                     recording_has_file(doc), "relatedJobCount", J_INT, (int64_t)json_object_array_length(jobs),
	                     "retryableJobAvailable", J_BOOL, j.retryable != NULL, "uploadQueueCount", J_INT,
	                     (int64_t)json_object_array_length(items), "visibleActionCount", J_INT, (int64_t)7, NULL)});
	return reply_data(r, 200,
	                  details(r, "actions", J_REF, states(r, doc, url, &j), "jobs", J_REF,
	                          details(r, "active", J_REF, j.active, "latest", J_REF, j.latest, "retryable", J_REF,
	                                  j.retryable, NULL),
	                          "links", J_REF, links(r, url, &j), "recording", J_REF, doc, "uploadQueueItems", J_REF,
	                          items, NULL));
}
