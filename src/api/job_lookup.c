#include "api/job_lookup.h"

#include "api/recording_lookup.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/text.h"
#include "runner/job_terminal.h"
#include "runner/lease.h"

const char *const job_active_states[3] = {"queued", "running", "stop_requested"};

json_object *job_wire(struct request *r, json_object *stored)
{
	return model_public(r->mem, &model_jobs, stored);
}

status job_find(struct request *r, const char *id, json_object **job)
{
	json_object *stored;

	TRY(store_get(r->store, r->mem, &model_jobs, id, &stored));
	*job = job_wire(r, stored);
	return ST_OK;
}

bool job_is(json_object *job, const char *a, const char *b)
{
	const char *state = json_str(job, "status");

	return text_equal(state, a) || text_equal(state, b);
}

status job_route_target(struct request *r, struct target *t)
{
	const char *id = req_param(r, "jobId");
	json_object *job;
	status s = job_find(r, id, &job);

	if (s == ST_NOT_FOUND)
		*t = TARGET("recording_job", id, NULL);
	else if (s == ST_OK)
		*t = TARGET("recording", json_str(job, "recordingId"), NULL);
	else
		return s;
	return ST_OK;
}

status job_scope(struct request *r, const struct row_scope **scope)
{
	static const struct row_scope everything = {.allow_all = true};

	TRY(recording_scope(r, scope));
	if (*scope == NULL)
		*scope = &everything;
	return ST_OK;
}

status job_expire_all(struct request *r)
{
	size_t ended;

	TRY(lease_expire_all(r->store, r->config, r->mem, r->now_ms, &ended));
	return ended > 0 ? store_commit(r->store, NULL, true) : ST_OK;
}

status job_active(struct request *r, const char *recording_id, const char *except, json_object **job)
{
	struct query q;
	struct page page;

	*job = NULL;
	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, recording_id);
	query_where(&q, "id", Q_NE, except);
	query_where_in(&q, "status", job_active_states, 3);
	q.limit = 1;
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	if (page.count > 0)
		*job = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* ---- stop -------------------------------------------------------------------------------------------------------- */

static status update_one(struct request *r, const char *id, const char *state, json_object *patch, json_object **after)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	query_where(&q, "status", Q_EQ, state);
	TRY(store_update(r->store, r->mem, &model_jobs, &q, patch, &page, NULL));
	if (page.count == 0)
		return ST_CONFLICT;
	*after = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* Nobody works on it, so there is nobody to wait for. The caller still hears "stop_requested". */
static status cancel_queued(struct request *r, const char *id, json_object **after)
{
	json_object *patch = json_new_object(r->mem);

	json_set_iso(patch, "completedAt", r->now_ms);
	json_set_str(patch, "failureReason", JOB_STOPPED);
	json_set_str(patch, "status", "cancelled");
	json_set_iso(patch, "stopRequestedAt", r->now_ms);
	TRY(update_one(r, id, "queued", patch, after));
	json_set_str(*after, "status", "stop_requested");
	json_object_object_del(*after, "completedAt");
	json_object_object_del(*after, "failureReason");
	return ST_OK;
}

status job_stop(struct request *r, json_object *job, json_object **after)
{
	const char *id = json_str_or(job, "id", "");
	json_object *patch = json_new_object(r->mem);
	bool ended;
	status s;

	TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, job, &ended));
	if (ended)
		return ST_CONFLICT;
	s = cancel_queued(r, id, after);
	if (s != ST_CONFLICT)
		return s;
	json_set_str(patch, "status", "stop_requested");
	json_set_iso(patch, "stopRequestedAt", r->now_ms);
	return update_one(r, id, "running", patch, after);
}

status job_stop_recording(struct request *r, const char *recording_id, json_object **after)
{
	static const char *const open_states[] = {"queued", "recording"};
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;
	int64_t seconds;

	TRY(recording_find(r, recording_id, after));
	if (!recording_is_active(*after))
		return ST_OK;
	seconds = json_int(*after, "durationSeconds", 0);
	json_set_int(patch, "durationSeconds", seconds > 1 ? seconds : 1);
	json_set_str(patch, "status", "completed");
	recording_guard(&q, recording_id, open_states, 2);
	TRY(store_update(r->store, r->mem, &model_recordings, &q, patch, &page, NULL));
	if (page.count == 0)
		return recording_find(r, recording_id, after);
	*after = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* ---- retry ------------------------------------------------------------------------------------------------------- */

/* The recording as if it had just been started, for the new job. */
static status reset_recording(struct request *r, const char *id, json_object **recording, const char **file)
{
	static const char *const cleared[] = {"cachePath", "checksum", "waveformPreview"};
	json_object *patch = json_new_object(r->mem), *before;
	struct query q;
	struct page page;

	json_set_bool(patch, "cached", false);
	for (size_t i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++)
		json_set_null(patch, cleared[i]);
	json_set_int(patch, "durationSeconds", 0);
	json_set_str(patch, "healthStatus", "unknown");
	json_set_iso(patch, "recordedAt", r->now_ms);
	json_set_str(patch, "status", "recording");
	recording_guard(&q, id, NULL, 0);
	TRY(store_update(r->store, r->mem, &model_recordings, &q, patch, &page, &before));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*file = json_str(json_object_array_get_idx(before, 0), "cachePath");
	*recording = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* The old file must not be uploaded in the new one's name. */
static status cancel_uploads(struct request *r, const char *recording_id)
{
	static const char *const unsettled[] = {"queued", "retrying", "failed"};
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, recording_id);
	query_where_in(&q, "status", unsettled, sizeof(unsettled) / sizeof(unsettled[0]));
	json_set_str(patch, "status", "cancelled");
	json_set_iso(patch, "updatedAt", r->now_ms);
	return store_update(r->store, r->mem, &model_upload_queue, &q, patch, &page, NULL);
}

/* The job as it is now that the recording's lock is held. */
static status read_again(struct request *r, const char *id, json_object **job)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*job = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

status job_retry(struct request *r, const char *job_id, json_object **new_job, json_object **recording,
                 json_object **other, const char **reason, const char **file)
{
	json_object *job, *again = json_new_object(r->mem);
	const char *recording_id;

	*other = NULL;
	*file = NULL;
	TRY(job_find(r, job_id, &job));
	recording_id = json_str_or(job, "recordingId", "");
	TRY(recording_lock_one(r, recording_id));
	TRY(read_again(r, job_id, &job));
	*reason = "job_not_retryable";
	if (!job_is(job, "failed", "cancelled"))
		return ST_CONFLICT;
	*reason = "active_job_exists";
	TRY(job_active(r, recording_id, job_id, other));
	if (*other != NULL)
		return ST_CONFLICT;
	json_set_copy(again, "command", json_get(job, "command"));
	json_set_iso(again, "createdAt", r->now_ms);
	json_set_str(again, "id", id_new(r->mem, "job_"));
	json_set_str_opt(again, "nodeId", json_str(job, "nodeId"));
	json_set_str(again, "recordingId", recording_id);
	json_set_str(again, "status", "queued");
	TRY(store_insert(r->store, r->mem, &model_jobs, again, NULL));
	TRY(cancel_uploads(r, recording_id));
	*new_job = again;
	return reset_recording(r, recording_id, recording, file);
}
