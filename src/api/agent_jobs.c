/*
 * Jobs as recorder nodes see them: next, claim, heartbeat, read, cancelled, failed (contract 03 3.11.5 to 3.11.9).
 * Every transition is one guarded update, so of any number of callers exactly one makes it (09 D-16, D-19).
 */
#include "api/job_lookup.h"
#include "api/recording_lookup.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "runner/job_terminal.h"
#include "runner/lease.h"

#define REASON_MAX 500

/* ---- gates ------------------------------------------------------------------------------------------------------- */

static struct target job_target(const char *id)
{
	return TARGET("recording_job", id, NULL);
}

/* The job of the path, if it is this node's. *job NULL when the request has been answered. */
static status job_gate(struct request *r, json_object **job)
{
	const char *id = req_param(r, "jobId");
	status s = job_find(r, id, job);

	if (s == ST_NOT_FOUND) {
		*job = NULL;
		return fail(r, 404, "Recording job not found", "job_not_found", job_target(id), NULL);
	}
	if (s == ST_OK && !text_equal(json_str(*job, "nodeId"), r->who.id)) {
		*job = NULL;
		return fail(r, 403, "Node credential cannot access this job", "node_scope_denied", job_target(id),
		            NULL);
	}
	return s;
}

/* The recording of a job, if it is this node's. *recording NULL when the request has been answered. */
static status recording_gate(struct request *r, json_object *job, json_object **recording)
{
	const char *id = json_str_or(job, "recordingId", "");
	status s = recording_find(r, id, recording);

	if (s == ST_NOT_FOUND) {
		*recording = NULL;
		return fail(r, 404, "Recording not found", "recording_not_found", TARGET("recording", id, NULL), NULL);
	}
	if (s == ST_OK && !text_equal(json_str(*recording, "nodeId"), r->who.id)) {
		struct target target = recording_target(*recording);

		*recording = NULL;
		return fail(r, 403, "Node credential cannot access this recording", "node_scope_denied", target, NULL);
	}
	return s;
}

static json_object *job_ids(struct request *r, json_object *job)
{
	return details(r, "recordingId", J_STR, json_str(job, "recordingId"), "recordingJobId", J_STR,
	               json_str(job, "id"), NULL);
}

/* {nodeId, recordingId}, the details of most events here. */
static json_object *job_origin(struct request *r, json_object *job)
{
	return details(r, "nodeId", J_STR, json_str(job, "nodeId"), "recordingId", J_STR, json_str(job, "recordingId"),
	               NULL);
}

/* ---- next and claim ---------------------------------------------------------------------------------------------- */

/* The node's queued jobs in claim order (03 3.11.6), one of them. */
static void claim_order(struct query *q, const char *node_id)
{
	query_init(q);
	query_where(q, "nodeId", Q_EQ, node_id);
	query_where(q, "status", Q_EQ, "queued");
	query_sort(q, "createdAt", false);
	query_sort(q, "trackIndex", false);
	query_sort(q, "id", false);
	q->limit = 1;
}

/* *job NULL if nothing waits. */
static status next_job(struct request *r, json_object **job)
{
	struct query q;
	struct page page;

	*job = NULL;
	claim_order(&q, r->who.id);
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	if (page.count > 0)
		*job = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

static status next(struct request *r)
{
	struct target target = TARGET("node", r->who.id, NULL);
	json_object *job;

	TRY(next_job(r, &job));
	if (job == NULL) {
		audit_ok(r, target, details(r, "queued", J_BOOL, false, NULL));
		return reply_empty(r, 204);
	}
	audit_add(r, &(struct audit){.target = target,
	                             .correlation = job_ids(r, job),
	                             .details =
	                                 details(r, "queued", J_BOOL, true, "recordingId", J_STR,
	                                         json_str(job, "recordingId"), "recordingJobId", J_STR,
	                                         json_str(job, "id"), "status", J_STR, json_str(job, "status"), NULL)});
	return reply_data(r, 200, job);
}

/* Makes the job(s) of q running; *job NULL if none matched. */
static status claim_where(struct request *r, const struct query *q, json_object **job)
{
	json_object *patch = json_new_object(r->mem);
	struct page page;

	*job = NULL;
	json_set_str(patch, "claimedBy", r->who.id);
	json_set_iso(patch, "lastHeartbeatAt", r->now_ms);
	json_set_iso(patch, "leaseExpiresAt", r->now_ms + lease_ms(r->config));
	json_set_iso(patch, "startedAt", r->now_ms);
	json_set_str(patch, "status", "running");
	TRY(store_update(r->store, r->mem, &model_jobs, q, patch, &page, NULL));
	if (page.count > 0)
		*job = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* A claimed job's recording records, unless its file is safe already. It nearly always says so already. */
static status mark_recording(struct request *r, json_object *recording)
{
	static const char *const startable[] = {"queued", "completed", "failed"};
	json_object *patch;
	struct query q;
	struct page page;

	if (text_equal(json_str(recording, "status"), "recording"))
		return ST_OK;
	patch = json_new_object(r->mem);
	json_set_str(patch, "status", "recording");
	recording_guard(&q, json_str_or(recording, "id", ""), startable, sizeof(startable) / sizeof(startable[0]));
	return store_update(r->store, r->mem, &model_recordings, &q, patch, &page, NULL);
}

static status reply_claimed(struct request *r, json_object *job, json_object *recording)
{
	TRY(mark_recording(r, recording));
	audit_ok(r, job_target(json_str(job, "id")), job_origin(r, job));
	return reply_data(r, 200, job);
}

/*
 * A job whose recording is gone or belongs to another node can never run: it fails, so that it does not stand in front
 * of all later jobs of the node for ever (03 T26, 09 D-36).
 */
static status bury(struct request *r, json_object *job)
{
	static const char *const of_the_claim[] = {"claimedBy", "lastHeartbeatAt", "leaseExpiresAt", "startedAt"};
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(job, "id", ""));
	json_set_iso(patch, "completedAt", r->now_ms);
	json_set_str(patch, "failureReason", "recording_not_found");
	for (size_t i = 0; i < sizeof(of_the_claim) / sizeof(of_the_claim[0]); i++)
		json_set_null(patch, of_the_claim[i]);
	json_set_str(patch, "status", "failed");
	return store_update(r->store, r->mem, &model_jobs, &q, patch, &page, NULL);
}

static status claim_next(struct request *r)
{
	json_object *job, *recording;
	struct query q;
	status s;

	TRY(next_job(r, &job)); /* an idle node asks every second: nothing is locked or written for it */
	claim_order(&q, r->who.id);
	q.skip_locked = true;
	while (job != NULL) {
		TRY(claim_where(r, &q, &job));
		if (job == NULL)
			break;
		s = recording_find(r, json_str_or(job, "recordingId", ""), &recording);
		if (s == ST_OK && text_equal(json_str(recording, "nodeId"), r->who.id))
			return reply_claimed(r, job, recording);
		if (s != ST_OK && s != ST_NOT_FOUND)
			return s;
		TRY(bury(r, job));
	}
	audit_ok(r, TARGET("node", r->who.id, NULL), details(r, "claimed", J_BOOL, false, NULL));
	return reply_empty(r, 204);
}

static status claim(struct request *r)
{
	json_object *job, *recording, *claimed;
	struct query q;

	TRY(job_gate(r, &job));
	if (job == NULL)
		return ST_OK;
	TRY(recording_gate(r, job, &recording));
	if (recording == NULL)
		return ST_OK;
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(job, "id", ""));
	query_where(&q, "status", Q_EQ, "queued");
	TRY(claim_where(r, &q, &claimed));
	if (claimed == NULL)
		return fail(r, 409, "Recording job is not claimable", "job_not_claimable",
		            job_target(json_str(job, "id")), NULL);
	return reply_claimed(r, claimed, recording);
}

/* ---- heartbeat and read ------------------------------------------------------------------------------------------ */

/* Renews the lease of a job that this node runs; *beat NULL if it does not (any more). */
static status renew(struct request *r, json_object *job, json_object **beat)
{
	const char *claimed_by = json_str(job, "claimedBy");
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	*beat = NULL;
	if (!job_is(job, "running", NULL) || (claimed_by != NULL && !text_equal(claimed_by, r->who.id)))
		return ST_OK;
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(job, "id", ""));
	query_where(&q, "status", Q_EQ, "running");
	json_set_str(patch, "claimedBy", r->who.id);
	json_set_iso(patch, "lastHeartbeatAt", r->now_ms);
	json_set_iso(patch, "leaseExpiresAt", r->now_ms + lease_ms(r->config));
	TRY(store_update(r->store, r->mem, &model_jobs, &q, patch, &page, NULL));
	if (page.count > 0)
		*beat = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* Commits the end of a job before a refusal, which drops what the request has written. */
static status keep_expiry(struct request *r, json_object *job, bool *ended)
{
	TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, job, ended));
	return *ended ? store_commit(r->store, NULL, true) : ST_OK;
}

static status heartbeat(struct request *r)
{
	json_object *job, *beat = NULL;
	bool ended;

	TRY(job_gate(r, &job));
	if (job == NULL)
		return ST_OK;
	TRY(keep_expiry(r, job, &ended));
	if (!ended)
		TRY(renew(r, job, &beat));
	if (beat == NULL)
		return fail(r, 409, "Recording job is not heartbeatable", "job_not_heartbeatable",
		            job_target(json_str(job, "id")), NULL);
	audit_ok(r, job_target(json_str(job, "id")), job_origin(r, beat));
	return reply_data(r, 200, beat);
}

static status read_one(struct request *r)
{
	json_object *job;
	bool ended;

	TRY(job_gate(r, &job));
	if (job == NULL)
		return ST_OK;
	TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, job, &ended));
	if (ended)
		TRY(job_find(r, json_str_or(job, "id", ""), &job));
	audit_add(r, &(struct audit){.target = job_target(json_str(job, "id")),
	                             .correlation = job_ids(r, job),
	                             .details = details(r, "nodeId", J_STR, json_str(job, "nodeId"), "recordingId",
	                                                J_STR, json_str(job, "recordingId"), "status", J_STR,
	                                                json_str(job, "status"), NULL)});
	return reply_data(r, 200, job);
}

/* ---- cancelled and failed ---------------------------------------------------------------------------------------- */

static const char *reason_of(struct request *r, const char *fallback)
{
	const char *given = req_header(r, "x-rakkr-reason");

	if (text_blank(given))
		return fallback;
	return text_cut(r->mem, text_no_controls(r->mem, given), REASON_MAX);
}

/* Ends the job unless it has ended; *ended NULL then. */
static status end_job(struct request *r, json_object *job, const char *state, const char *reason, json_object **ended)
{
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	*ended = NULL;
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(job, "id", ""));
	query_where_in(&q, "status", job_active_states, 3);
	json_set_iso(patch, "completedAt", r->now_ms);
	json_set_str(patch, "failureReason", reason);
	json_set_str(patch, "status", state);
	TRY(store_update(r->store, r->mem, &model_jobs, &q, patch, &page, NULL));
	if (page.count > 0)
		*ended = job_wire(r, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/*
 * The agent needs a 2xx whatever state the job is in, and may say the same twice: a job that has ended stays as it is
 * and opens no second event (09 D-19; 08 Trap 17).
 */
static status terminal(struct request *r, const char *state, const char *fallback)
{
	const char *reason = reason_of(r, fallback);
	struct job_terminal result;
	json_object *job, *recording, *ended;

	TRY(job_gate(r, &job));
	if (job == NULL)
		return ST_OK;
	TRY(recording_gate(r, job, &recording));
	if (recording == NULL)
		return ST_OK;
	result = (struct job_terminal){.recording_status = json_str(recording, "status")};
	TRY(end_job(r, job, state, reason, &ended));
	if (ended != NULL)
		TRY(job_terminal(r->store, r->mem, r->now_ms, ended, &result));
	else
		TRY(job_find(r, json_str_or(job, "id", ""), &ended));
	audit_ok(r, job_target(json_str(job, "id")),
	         details(r, "nodeId", J_STR, json_str(job, "nodeId"), "recordingId", J_STR,
	                 json_str(job, "recordingId"), "healthEventId", J_STR, result.health_event_id, "reason", J_STR,
	                 reason, "recordingStatus", J_STR, result.recording_status, NULL));
	return reply_data(r, 200, ended);
}

static status cancelled(struct request *r)
{
	return terminal(r, "cancelled", "agent_cancelled");
}

static status failed(struct request *r)
{
	return terminal(r, "failed", "agent_failed");
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

/* Neither row leaves anything behind when nothing waits; a claim is a write, and durable as such. */
#define NODE_ROW(m, tail, act, fn)                                                                                     \
	{                                                                                                              \
		.method = (m), .path = "/api/v1/nodes/:nodeId/recording-jobs" tail, .guard = GUARD_NODE,               \
		.permission = PERM_RECORDING_CONTROL, .action = (act), .target_type = "node",                          \
		.target_param = "nodeId", .handler = (fn), .telemetry = true                                           \
	}
#define JOB_ROW(m, tail, who, act, fn)                                                                                 \
	{                                                                                                              \
		.method = (m), .path = "/api/v1/recording-jobs/:jobId" tail, .guard = (who),                           \
		.permission = PERM_RECORDING_CONTROL, .action = (act), .target_type = "recording_job",                 \
		.target_param = "jobId", .handler = (fn), .prefetch = &model_jobs, .prefetch_param = "jobId"           \
	}

const struct route agent_jobs_routes[] = {
    NODE_ROW("GET", "/next", "recording_jobs.next", next),
    NODE_ROW("POST", "/claim-next", "recording_jobs.claim_next", claim_next),
    JOB_ROW("POST", "/claim", GUARD_NODE, "recording_jobs.claim", claim),
    JOB_ROW("POST", "/heartbeat", GUARD_NODE, "recording_jobs.heartbeat", heartbeat),
    JOB_ROW("GET", "", GUARD_DUAL, "recording_jobs.read_one", read_one),
    JOB_ROW("POST", "/cancelled", GUARD_NODE, "recording_jobs.cancelled", cancelled),
    JOB_ROW("POST", "/failed", GUARD_NODE, "recording_jobs.failed", failed),
    {0},
};
