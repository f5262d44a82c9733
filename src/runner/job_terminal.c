#include "runner/job_terminal.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

/* The states that the end of a job may change. */
static const char *const open_states[] = {"queued", "recording"};

status health_report(struct store *s, const void *ctx, int64_t now_ms, const struct health_report *h, const char **id)
{
	static const char *const unset[] = {"acknowledgedAt", "resolvedAt", "suppressedAt", "suppressedUntil"};
	json_object *event = json_new_object(ctx);

	/* The column is a uuid; without a database the id has a prefix (contract 07 2.11). */
	*id = id_new(ctx, store_is_database(s) ? "" : "health_");
	json_set_ref(event, "details", h->details);
	json_set_str(event, "id", *id);
	json_set_str_opt(event, "nodeId", json_str(h->recording, "nodeId"));
	json_set_iso(event, "openedAt", now_ms);
	json_set_str_opt(event, "recordingId", json_str(h->recording, "id"));
	if (h->with_schedule)
		json_set_str_opt(event, "scheduleId", json_str(h->recording, "scheduleId"));
	json_set_str(event, "severity", h->severity);
	json_set_str(event, "status", "open");
	json_set_str(event, "type", h->type);
	for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++)
		json_set_null(event, unset[i]);
	return store_insert(s, ctx, &model_health_events, event, NULL);
}

static status report_end(struct store *s, const void *ctx, int64_t now_ms, json_object *job, json_object *recording,
                         bool failed, const char **id)
{
	json_object *d = json_new_object(ctx);

	json_set_str_opt(d, "jobId", json_str(job, "id"));
	json_set_str_opt(d, "reason", json_str(job, "failureReason"));
	json_set_str(d, "source", "recording_job_terminal");
	json_set_str(d, "terminalState", failed ? "failed" : "cancelled");
	return health_report(
	    s, ctx, now_ms,
	    &(struct health_report){
	        .type = failed ? "controller.recording.job_failed" : "controller.recording.job_cancelled",
	        .severity = failed ? "critical" : "warning",
	        .recording = recording,
	        .with_schedule = true,
	        .details = d,
	    },
	    id);
}

/* Ends a recording that is still open; one that is secured, stopped or failed stays as it is. */
static status close_recording(struct store *s, const void *ctx, const char *id, bool failed)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	query_where_in(&q, "status", open_states, sizeof(open_states) / sizeof(open_states[0]));
	json_set_str(patch, "status", failed ? "failed" : "completed");
	return store_update(s, ctx, &model_recordings, &q, patch, &page, NULL);
}

status job_terminal(struct store *s, const void *ctx, int64_t now_ms, json_object *job, struct job_terminal *out)
{
	const char *id = json_str_or(job, "recordingId", "");
	bool failed = text_equal(json_str(job, "status"), "failed");
	bool stopped = !failed && text_equal(json_str(job, "failureReason"), JOB_STOPPED);
	json_object *recording;
	const char *state;
	status result;
	bool secured;

	*out = (struct job_terminal){0};
	result = store_get(s, ctx, &model_recordings, id, &recording);
	if (result == ST_NOT_FOUND)
		return ST_OK;
	if (result != ST_OK)
		return result;
	state = json_str_or(recording, "status", "");
	secured = text_equal(state, "cached") || text_equal(state, "uploaded");
	if (!stopped && !(failed && secured))
		TRY(report_end(s, ctx, now_ms, job, recording, failed, &out->health_event_id));
	TRY(close_recording(s, ctx, id, failed));
	TRY(store_health_sync(s, ctx, id, &recording));
	out->recording_status = json_str(recording, "status");
	return ST_OK;
}
