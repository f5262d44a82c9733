#include "api/cache_attach.h"

#include "api/job_lookup.h"
#include "api/recording_lookup.h"
#include "api/recording_unlink.h"
#include "base/log.h"
#include "base/text.h"
#include "transfer/upload_enqueue.h"

#include <string.h>

/*
 * True if doc has this very file already, or had it before it was uploaded and removed: a repeated upload, which must
 * not undo what has happened since (09 D-10). Another planned length makes it a change.
 */
static bool same_file(struct request *r, const struct attach *w, json_object *doc)
{
	char *file, *relative;
	const char *reason;
	int64_t size;

	if (!text_equal(json_str(doc, "checksum"), cache_upload_checksum(w->upload)) ||
	    (w->duration >= 0 && w->duration != json_int(doc, "durationSeconds", -1)))
		return false;
	if (json_str(doc, "cachePath") == NULL)
		return text_equal(json_str(doc, "status"), "uploaded");
	return text_equal(json_str(doc, "cachePath"), w->path) &&
	       cache_locate(r->mem, config_str(r->config, CFG_RECORDING_CACHE_DIR), w->path, &file, &relative, &size,
	                    &reason) &&
	       size == cache_upload_size(w->upload);
}

static void analyse(struct request *r, struct attach *w)
{
	analyse_file(r->mem, r->config, cache_upload_file(w->upload), w->wav, r->now_ms, &w->analysis);
}

void attach_analyse(struct request *r, struct attach *w)
{
	w->same = same_file(r, w, w->recording);
	if (!w->same)
		analyse(r, w);
}

/* ---- job --------------------------------------------------------------------------------------------------------- */

/*
 * The job that this file ends, out of those of the recording and node, newest first: the one of the header; without a
 * header one that records, else one that has ended, never one that waits to be claimed (03 T12).
 */
static json_object *choose_job(struct request *r, const struct attach *w, json_object *jobs)
{
	json_object *ended = NULL;

	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i);

		if (w->job_header != NULL) {
			if (text_equal(json_str(job, "id"), w->job_header))
				return job;
			continue;
		}
		if (!text_equal(json_str(job, "nodeId"), r->who.id))
			continue;
		if (job_is(job, "running", "stop_requested"))
			return job;
		if (ended == NULL && !job_is(job, "queued", NULL))
			ended = job;
	}
	return ended;
}

/* True if another job of the recording is on its way: its file will replace this one. */
static bool another_active(json_object *jobs, json_object *chosen)
{
	for (size_t i = 0; i < json_object_array_length(jobs); i++) {
		json_object *job = json_object_array_get_idx(jobs, i);

		if (job != chosen && (job_is(job, "queued", "running") || job_is(job, "stop_requested", NULL)))
			return true;
	}
	return false;
}

/* Completes the job if one of the two forms of guard holds; cancelled, failed and queued jobs stay as they are. */
static status complete_job(struct request *r, json_object *job, bool *completed)
{
	static const char *const under_way[] = {"running", "stop_requested"};
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	*completed = job_is(job, "completed", NULL);
	json_set_iso(patch, "completedAt", r->now_ms);
	json_set_str(patch, "status", "completed");
	for (int i = 0; i < 2 && !*completed; i++) {
		query_init(&q);
		query_where(&q, "id", Q_EQ, json_str_or(job, "id", ""));
		if (i == 0) {
			query_where_in(&q, "status", under_way, 2);
		} else { /* the agent is silent while it renders and uploads (08 Trap 4) */
			query_where(&q, "status", Q_EQ, "failed");
			query_where(&q, "failureReason", Q_EQ, "lease_expired");
		}
		TRY(store_update(r->store, r->mem, &model_jobs, &q, patch, &page, NULL));
		*completed = page.count > 0;
	}
	return ST_OK;
}

static status end_job(struct request *r, struct attach *w, bool *superseded)
{
	json_object *job;
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, w->id);
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	job = choose_job(r, w, page.docs);
	*superseded = another_active(page.docs, job);
	w->job_completed = false;
	return job != NULL ? complete_job(r, job, &w->job_completed) : ST_OK;
}

/* ---- recording --------------------------------------------------------------------------------------------------- */

static json_object *new_values(struct request *r, struct attach *w, bool superseded)
{
	json_object *patch = json_new_object(r->mem);
	int64_t old = json_int(w->before, "durationSeconds", 0), seconds = w->duration;

	if (!superseded && !(w->same && text_equal(json_str(w->before, "status"), "uploaded")))
		json_set_str(patch, "status", "cached");
	if (w->same)
		return patch;
	if (seconds < 0)
		seconds = w->analysis.seconds > 0 ? w->analysis.seconds : old > 1 ? old : 1;
	json_set_bool(patch, "cached", true);
	json_set_str(patch, "cachePath", w->path);
	json_set_str(patch, "checksum", cache_upload_checksum(w->upload));
	json_set_int(patch, "durationSeconds", seconds);
	if (w->analysis.waveform != NULL)
		json_set_ref(patch, "waveformPreview", w->analysis.waveform);
	else
		json_set_null(patch, "waveformPreview");
	return patch;
}

/* The recording as it is now that the lock is held. */
static status read_locked(struct request *r, struct attach *w)
{
	struct query q;
	struct page page;

	TRY(recording_lock_one(r, w->id));
	recording_guard(&q, w->id, NULL, 0);
	TRY(store_list(r->store, r->mem, &model_recordings, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	w->before = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

status attach_rows(struct request *r, struct attach *w)
{
	json_object *patch;
	struct query q;
	struct page page;
	bool superseded;

	TRY(read_locked(r, w));
	if (w->same && !same_file(r, w, w->before)) { /* it has changed while the body was on its way */
		w->same = false;
		analyse(r, w);
	}
	TRY(end_job(r, w, &superseded));
	patch = new_values(r, w, superseded);
	w->after = w->before;
	if (json_object_object_length(patch) == 0)
		return ST_OK;
	recording_guard(&q, w->id, NULL, 0);
	TRY(store_update(r->store, r->mem, &model_recordings, &q, patch, &page, NULL));
	if (page.count == 0)
		return ST_NOT_FOUND;
	w->after = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* ---- queue, health, afterwards ----------------------------------------------------------------------------------- */

status attach_queue(struct request *r, struct attach *w)
{
	TRY(upload_policy_of(r->store, r->mem, w->after, &w->policy));
	if (!w->same)
		TRY(upload_supersede(r->store, r->mem, r->now_ms, w->after));
	if (!text_equal(json_str(w->after, "status"), "cached") || !json_flag(w->policy, "enabled", false) ||
	    !text_equal(json_str(w->policy, "trigger"), "on_recording_cached"))
		return ST_OK;
	return upload_enqueue(r->store, r->mem, r->now_ms, w->after, w->policy, "policy_on_recording_cached", &w->item);
}

status attach_sync(struct request *r, struct attach *w)
{
	json_object *stored;

	TRY(store_health_sync(r->store, r->mem, w->id, &stored));
	w->after = model_public(r->mem, &model_recordings, stored);
	return ST_OK;
}

bool attach_is_stored(struct request *r, const struct attach *w)
{
	json_object *doc;

	return recording_find(r, w->id, &doc) == ST_OK &&
	       text_equal(json_str(doc, "checksum"), cache_upload_checksum(w->upload)) &&
	       text_equal(json_str(doc, "cachePath"), json_str(w->after, "cachePath"));
}

/* The file of before, if it lies elsewhere. */
static struct unlink_list old_file(struct request *r, const struct attach *w)
{
	const char *old = json_str(w->before, "cachePath");
	struct unlink_list files = {0};

	if (old != NULL && !w->same && strcmp(old, w->path) != 0)
		unlink_add(r, &files, w->id, old);
	return files;
}

void attach_note_old_file(struct request *r, const struct attach *w)
{
	struct unlink_list files = old_file(r, w);

	unlink_note(r, &files);
}

void attach_forget_old_file(struct request *r, const struct attach *w)
{
	struct unlink_list files = old_file(r, w);

	unlink_now(r, &files);
}
