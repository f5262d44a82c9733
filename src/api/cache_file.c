/*
 * The upload of a recording's file by its node (contract 03 3.13, 3.15; 09 D-10, D-14, D-15, D-57).
 *
 * The slow part, receiving and analysing, happens before anything is written. Then, under the recording's lock: rows,
 * file, commit. The bytes are never refused because of a job's state: the agent has no second copy to offer.
 */
#include "api/cache_attach.h"
#include "api/job_lookup.h"
#include "api/recording_lookup.h"
#include "api/route.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/format.h"
#include "runner/job_terminal.h"
#include "transfer/upload_enqueue.h"

#include <math.h>
#include <string.h>

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static json_object *job_details(struct request *r, const struct attach *w, const char *event_id)
{
	return details(r, "healthEventId", J_STR, event_id, "jobId", J_STR, w->job_header, NULL);
}

/* A failure that the recording's health has to show: event, health, audit. The reply is the caller's. */
static status report(struct request *r, const struct attach *w, const char *severity, const char *reason)
{
	json_object *d = details(r, "jobId", J_STR, w->job_header, "reason", J_STR, reason, "source", J_STR,
	                         "cache_file_attach", NULL);
	struct health_report h = {
	    .type = "controller.recording.cache_file_failed",
	    .severity = severity,
	    .recording = w->recording,
	    .details = d,
	};
	const char *event_id;

	TRY(health_report(r->store, r->mem, r->now_ms, &h, &event_id));
	TRY(store_health_sync(r->store, r->mem, w->id, NULL));
	audit_add(r, &(struct audit){.outcome = "failed",
	                             .reason = reason,
	                             .target = recording_target(w->recording),
	                             .details = job_details(r, w, event_id)});
	return ST_OK;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static status missing(struct request *r, const struct attach *w)
{
	return fail(r, 404, "Recording not found", "recording_not_found", TARGET("recording", w->id, NULL), NULL);
}

static status check_recording(struct request *r, struct attach *w)
{
	status s = recording_find(r, w->id, &w->recording);

	if (s == ST_NOT_FOUND)
		return missing(r, w);
	if (s == ST_OK && !text_equal(json_str(w->recording, "nodeId"), r->who.id))
		return fail(r, 403, "Node credential cannot access this recording", "node_scope_denied",
		            recording_target(w->recording), NULL);
	return s;
}

static status check_job(struct request *r, struct attach *w)
{
	struct target target = TARGET("recording_job", w->job_header, NULL);
	status s;

	if (w->job_header == NULL)
		return ST_OK;
	s = job_find(r, w->job_header, &w->job);
	if (s == ST_NOT_FOUND)
		return fail(r, 404, "Recording job not found", "recording_job_not_found", target,
		            job_details(r, w, NULL));
	if (s != ST_OK)
		return s;
	if (!text_equal(json_str(w->job, "nodeId"), r->who.id))
		return fail(r, 403, "Node credential cannot access this job", "node_scope_denied", target,
		            job_details(r, w, NULL));
	if (!text_equal(json_str(w->job, "recordingId"), w->id))
		return fail(r, 403, "Recording job does not match this recording", "recording_job_scope_denied", target,
		            job_details(r, w, NULL));
	return ST_OK;
}

/* x-rakkr-duration-seconds: whole seconds, -1 if not given; false if it is no length at all. */
static bool read_duration(struct request *r, int64_t *seconds)
{
	const char *text = req_header(r, "x-rakkr-duration-seconds");
	double value;

	*seconds = -1;
	if (text == NULL || text[0] == '\0')
		return true;
	if (!js_number(text, &value) || !isfinite(value) || value < 0)
		return false;
	value = floor(value + 0.5);
	*seconds = value < INT32_MAX ? (int64_t)value : INT32_MAX;
	return true;
}

static status refuse_duration(struct request *r, const struct attach *w)
{
	TRY(report(r, w, "warning", "invalid_duration"));
	return reply_error(r, 400, "Invalid x-rakkr-duration-seconds header");
}

static status refuse_empty(struct request *r, const struct attach *w)
{
	TRY(report(r, w, "critical", "empty_file"));
	return reply_error(r, 400, "Recording cache file cannot be empty");
}

static status refuse_size(struct request *r, const struct attach *w)
{
	return fail(r, 413, "Recording cache file exceeds the maximum size", "file_too_large",
	            recording_target(w->recording), job_details(r, w, NULL));
}

static status refuse_broken_off(struct request *r, const struct attach *w)
{
	return fail(r, 400, "Recording cache file was not received completely", "upload_interrupted",
	            recording_target(w->recording), job_details(r, w, NULL));
}

/* The file could not be stored. */
static status refuse_storage(struct request *r, const struct attach *w, status s, const char *reason)
{
	TRY(report(r, w, "critical", reason != NULL ? reason : "cache_write_failed"));
	if (s == ST_NO_SPACE)
		return reply_error(r, 507, "Not enough storage space for the recording cache file");
	return reply_text(r, 500, "Internal Server Error");
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

static long read_body(void *arg, void *buf, size_t n)
{
	struct request *r = arg;

	return r->read(r, buf, n);
}

/* Receives the body; replies when that fails. */
static status receive(struct request *r, struct attach *w)
{
	const struct cache_reader reader = {.read = read_body, .arg = r};
	const char *reason = CACHE_OUTSIDE_ROOT;
	status s = ST_INTERNAL;

	r->body_read = true;
	if (w->path != NULL)
		s = cache_receive(r->mem, config_str(r->config, CFG_RECORDING_CACHE_DIR),
		                  config_str(r->config, CFG_SOCKET_GROUP), w->path, &reader,
		                  config_int(r->config, CFG_MAX_UPLOAD_BYTES), &w->upload, &reason);
	if (s == ST_TOO_LARGE)
		return refuse_size(r, w);
	if (s == ST_INVALID)
		return refuse_broken_off(r, w);
	if (s != ST_OK)
		return refuse_storage(r, w, s, reason);
	if (r->content_length > 0 && cache_upload_size(w->upload) != r->content_length)
		return refuse_broken_off(r, w);
	return cache_upload_size(w->upload) == 0 ? refuse_empty(r, w) : ST_OK;
}

static bool answered(const struct request *r)
{
	return r->reply.status != 0;
}

/* Everything that can be known before the body is read, then the body. */
static status take_in(struct request *r, struct attach *w)
{
	bool good_duration = read_duration(r, &w->duration);
	const char *extension =
	    cache_extension(r->mem, req_header(r, "x-rakkr-file-name"), req_header(r, "content-type"));

	w->path = cache_path(r->mem, text_equal(json_str(w->recording, "source"), "schedule"), w->id, extension);
	w->wav = strcmp(extension, ".wav") == 0;
	if (r->content_length > config_int(r->config, CFG_MAX_UPLOAD_BYTES))
		return refuse_size(r, w);
	if (r->content_length > 0 && !good_duration)
		return refuse_duration(r, w);
	TRY(receive(r, w));
	if (!answered(r) && !good_duration)
		return refuse_duration(r, w);
	return ST_OK;
}

/* ---- reply ------------------------------------------------------------------------------------------------------- */

static json_object *snapshot(struct request *r, json_object *doc)
{
	json_object *o =
	    details(r, "cachePath", J_STR, json_str(doc, "cachePath"), "cached", J_BOOL,
	            json_flag(doc, "cached", false), "checksum", J_STR, json_str(doc, "checksum"), "durationSeconds",
	            J_INT, json_int(doc, "durationSeconds", 0), "status", J_STR, json_str(doc, "status"), NULL);
	json_object *peaks = json_array(json_get(doc, "waveformPreview"), "peaks");

	if (peaks != NULL)
		json_set_int(o, "waveformPeaks", (int64_t)json_object_array_length(peaks));
	return o;
}

static json_object *file_object(struct request *r, const struct attach *w, const char *name)
{
	json_object *waveform = w->same ? json_get(w->after, "waveformPreview") : w->analysis.waveform;
	json_object *file = details(r, "cachePath", J_STR, w->path, "checksum", J_STR, cache_upload_checksum(w->upload),
	                            "fileName", J_STR, name, "mimeType", J_STR, cache_mime(w->path), "size", J_INT,
	                            cache_upload_size(w->upload), NULL);

	if (w->same)
		json_set_copy(file, "durationSeconds", json_get(w->after, "durationSeconds"));
	else if (w->duration >= 0)
		json_set_int(file, "durationSeconds", w->duration);
	else if (w->analysis.seconds > 0)
		json_set_int(file, "durationSeconds", w->analysis.seconds);
	json_set_ref(file, "waveformPreview", waveform);
	return file;
}

static void audit_queue(struct request *r, const struct attach *w)
{
	json_object *d = details(r, "provider", J_STR, json_str(w->policy, "provider"), "target", J_STR,
	                         json_str(w->policy, "target"), "trigger", J_STR, json_str(w->policy, "trigger"),
	                         "uploadPolicyId", J_STR, json_str(w->policy, "id"), NULL);

	audit_add(r, &(struct audit){.action = "recordings.upload_queue.auto_enqueue.succeeded",
	                             .target = recording_target(w->after),
	                             .correlation = details(r, "recordingId", J_STR, w->id, "uploadQueueItemId", J_STR,
	                                                    json_str(w->item, "id"), NULL),
	                             .details = d});
}

static void audit_attached(struct request *r, const struct attach *w, const char *name)
{
	json_object *after = snapshot(r, w->after);
	json_object *d =
	    details(r, "cachePath", J_STR, w->path, "checksum", J_STR, cache_upload_checksum(w->upload), "fileName",
	            J_STR, name, "jobId", J_STR, w->job_header, "jobStatus", J_STR,
	            w->job_completed ? "completed" : NULL, "mimeType", J_STR, cache_mime(w->path), "size", J_INT,
	            cache_upload_size(w->upload), "uploadQueueItemId", J_STR, json_str(w->item, "id"), NULL);

	json_set_copy(d, "waveformPeaks", json_get(after, "waveformPeaks"));
	if (w->item != NULL)
		audit_queue(r, w);
	audit_add(r, &(struct audit){.target = recording_target(w->after),
	                             .before = snapshot(r, w->before),
	                             .after = after,
	                             .details = d});
}

static status reply_attached(struct request *r, const struct attach *w)
{
	const char *name = cache_file_name(r->mem, json_str_or(w->after, "name", ""), w->id, w->path);

	audit_attached(r, w, name);
	return reply_data(r, 201,
	                  details(r, "file", J_REF, file_object(r, w, name), "recording", J_REF, w->after,
	                          "uploadQueueItem", J_REF, w->item, NULL));
}

/* ---- storing ----------------------------------------------------------------------------------------------------- */

/* The queue refused the item, not the database the request: the file is attached without it (03 3.15 step 5). */
static status report_queue(struct request *r, struct attach *w)
{
	const char *reason = "upload_queue_auto_enqueue_failed", *event_id;
	json_object *d = details(r, "reason", J_STR, reason, "source", J_STR, "cache_file_attach", "uploadPolicyId",
	                         J_STR, json_str(w->policy, "id"), NULL);
	struct health_report h = {
	    .type = "controller.recording.upload_queue_failed",
	    .severity = "warning",
	    .recording = w->after,
	    .details = d,
	};

	TRY(health_report(r->store, r->mem, r->now_ms, &h, &event_id));
	TRY(attach_sync(r, w));
	audit_add(r, &(struct audit){.action = "recordings.upload_queue.auto_enqueue.failed",
	                             .outcome = "failed",
	                             .reason = reason,
	                             .target = recording_target(w->after),
	                             .details = details(r, "healthEventId", J_STR, event_id, "uploadPolicyId", J_STR,
	                                                json_str(w->policy, "id"), NULL)});
	return ST_OK;
}

/* All rows of an attached file, in one unit of work. */
static status write_rows(struct request *r, struct attach *w)
{
	status s;

	TRY(attach_rows(r, w));
	s = attach_queue(r, w);
	if (s == ST_OK)
		return attach_sync(r, w);
	if (s == ST_UNAVAILABLE)
		return s;
	store_rollback(r->store);
	w->item = NULL;
	TRY(attach_rows(r, w));
	return report_queue(r, w);
}

/*
 * Rows, file and commit. When the answer to the commit is lost, the database is asked what became of it; if it cannot
 * say, a first file stays (its bytes exist nowhere else) and a replaced one comes back.
 */
static status store(struct request *r, struct attach *w)
{
	const char *reason = NULL;
	bool replaces;
	status s;

	s = write_rows(r, w);
	if (s == ST_NOT_FOUND) /* deleted while the body was on its way */
		return missing(r, w);
	if (s != ST_OK)
		return s;
	replaces = json_str(w->before, "cachePath") != NULL;
	if (!w->same) {
		s = cache_publish(w->upload, &reason);
		if (s != ST_OK) {
			store_rollback(r->store);
			return refuse_storage(r, w, s, reason);
		}
	}
	TRY(reply_attached(r, w));
	attach_note_old_file(r, w);
	s = recording_commit(r);
	if (s != ST_OK && attach_is_stored(r, w))
		s = ST_OK;
	cache_settle(w->upload, s == ST_OK || (s == ST_UNAVAILABLE && !replaces));
	if (s == ST_OK)
		attach_forget_old_file(r, w);
	return s;
}

static status attach(struct request *r)
{
	const char *job_id = req_header(r, "x-rakkr-recording-job-id");
	struct attach w = {.id = req_param(r, "recordingId")};

	if (job_id != NULL && job_id[0] != '\0')
		w.job_header = job_id;
	TRY(check_recording(r, &w));
	if (!answered(r))
		TRY(check_job(r, &w));
	if (!answered(r))
		TRY(take_in(r, &w));
	if (answered(r))
		return ST_OK;
	attach_analyse(r, &w);
	return store(r, &w);
}

const struct route cache_file_routes[] = {
    {.method = "PUT",
     .path = "/api/v1/recordings/:recordingId/cache-file",
     .guard = GUARD_NODE,
     .permission = PERM_RECORDING_CONTROL,
     .action = "recordings.cache_file.attach",
     .target_type = "recording",
     .target_param = "recordingId",
     .handler = attach,
     .prefetch = &model_recordings,
     .prefetch_param = "recordingId"},
    {0},
};
