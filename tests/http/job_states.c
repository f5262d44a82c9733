/*
 * The state machine of recording jobs as one table (contract 03 3.11.1, 3.9, 3.12.5, 3.13.1; 09 D-10, D-34): every
 * state met by every event, with the answer, the job's state afterwards, and the recording's.
 */
#include "http/harness.h"

#include <string.h>

enum state { QUEUED, RUNNING, STOPPING, CANCELLED, COMPLETED, FAILED, EXPIRED, STATES };

/* EXPIRED is a failed job whose lease was over. */
static const char *const words[STATES] = {"queued",    "running", "stop_requested", "cancelled",
                                          "completed", "failed",  "failed"};

enum event {
	CLAIM,
	CLAIM_NEXT,
	HEARTBEAT,
	AGENT_CANCELLED,
	AGENT_FAILED,
	STOP,
	BULK_STOP,
	RETRY,
	BULK_RETRY,
	UPLOAD,         /* with the job's header */
	UPLOAD_NO_JOB,  /* without */
	STRANGERS_CALL, /* each agent route with another node's credential */
	LEASE_OVER,     /* only in a database, where times can be moved */
	EVENTS
};

static const char *const event_names[EVENTS] = {
    "claim", "claim-next", "heartbeat", "cancelled",          "failed",    "stop",      "bulk-stop",
    "retry", "bulk-retry", "upload",    "upload without job", "strangers", "lease over"};

/* Status of the answer, state afterwards, status of the recording afterwards. */
struct cell {
	int code;
	const char *job, *recording;
};

/* clang-format off */
static const struct cell table[EVENTS][STATES] = {
	[CLAIM] = {
		{200, "running", "recording"}, {409, "running", "recording"}, {409, "stop_requested", "completed"},
		{409, "cancelled", "completed"}, {409, "completed", "cached"}, {409, "failed", "failed"}, {409, "failed", "failed"}},
	[CLAIM_NEXT] = {
		{200, "running", "recording"}, {204, "running", "recording"}, {204, "stop_requested", "completed"},
		{204, "cancelled", "completed"}, {204, "completed", "cached"}, {204, "failed", "failed"}, {204, "failed", "failed"}},
	[HEARTBEAT] = {
		{409, "queued", "recording"}, {200, "running", "recording"}, {409, "stop_requested", "completed"},
		{409, "cancelled", "completed"}, {409, "completed", "cached"}, {409, "failed", "failed"}, {409, "failed", "failed"}},
	[AGENT_CANCELLED] = {
		{200, "cancelled", "completed"}, {200, "cancelled", "completed"}, {200, "cancelled", "completed"},
		{200, "cancelled", "completed"}, {200, "completed", "cached"}, {200, "failed", "failed"}, {200, "failed", "failed"}},
	[AGENT_FAILED] = {
		/* a recording that was stopped stays so (09 D-11) */
		{200, "failed", "failed"}, {200, "failed", "failed"}, {200, "failed", "completed"},
		{200, "cancelled", "completed"}, {200, "completed", "cached"}, {200, "failed", "failed"}, {200, "failed", "failed"}},
	[STOP] = {
		{200, "cancelled", "completed"}, {200, "stop_requested", "completed"}, {200, "stop_requested", "completed"},
		{200, "cancelled", "completed"}, {200, "completed", "cached"}, {200, "failed", "failed"}, {200, "failed", "failed"}},
	[BULK_STOP] = {
		{200, "cancelled", "completed"}, {200, "stop_requested", "completed"}, {409, "stop_requested", "completed"},
		{409, "cancelled", "completed"}, {409, "completed", "cached"}, {409, "failed", "failed"}, {409, "failed", "failed"}},
	[RETRY] = {
		{409, "queued", "recording"}, {409, "running", "recording"}, {409, "stop_requested", "completed"},
		{201, "cancelled", "recording"}, {409, "completed", "cached"}, {201, "failed", "recording"},
		{201, "failed", "recording"}},
	[BULK_RETRY] = {
		{409, "queued", "recording"}, {409, "running", "recording"}, {409, "stop_requested", "completed"},
		{201, "cancelled", "recording"}, {409, "completed", "cached"}, {201, "failed", "recording"},
		{201, "failed", "recording"}},
	[UPLOAD] = {
		{201, "queued", "cached"}, {201, "completed", "cached"}, {201, "completed", "cached"},
		{201, "cancelled", "cached"}, {201, "completed", "cached"}, {201, "failed", "cached"}, {201, "completed", "cached"}},
	[UPLOAD_NO_JOB] = {
		/* the job that waits will bring a file of its own (09 D-10) */
		{201, "queued", "recording"}, {201, "completed", "cached"}, {201, "completed", "cached"},
		{201, "cancelled", "cached"}, {201, "completed", "cached"}, {201, "failed", "cached"}, {201, "completed", "cached"}},
	[STRANGERS_CALL] = {
		{403, "queued", "recording"}, {403, "running", "recording"}, {403, "stop_requested", "completed"},
		{403, "cancelled", "completed"}, {403, "completed", "cached"}, {403, "failed", "failed"}, {403, "failed", "failed"}},
	[LEASE_OVER] = {
		{200, "queued", "recording"}, {200, "failed", "failed"}, {200, "cancelled", "completed"},
		{200, "cancelled", "completed"}, {200, "completed", "cached"}, {200, "failed", "failed"}, {200, "failed", "failed"}},
};
/* clang-format on */

static struct blob sound(void)
{
	static struct blob file;
	if (file.data == NULL)
		file = wav(1, 8000, 1);
	return file;
}

static struct response upload(const struct node *n, const struct take *t, bool with_job)
{
	const char *headers[] = {"x-rakkr-file-name: a.wav", NULL, NULL};
	if (with_job)
		headers[1] = fmt("x-rakkr-recording-job-id: %s", t->job_id);
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, sound().data, sound().len);
}

static const char *field(const char *path, const char *name)
{
	struct response r = get(path, admin());
	must(r, 200);
	return j_str(r.json, fmt("data.%s", name));
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

static void end_lease(const struct take *t)
{
	sql("UPDATE recording_jobs SET lease_expires_at = lease_expires_at - interval '1 day', stop_requested_at = "
	    "stop_requested_at - interval '1 day' WHERE id = '%s'",
	    t->job_id);
}

static struct take make(enum state s, const struct node *n)
{
	struct take t = start_recording(n);
	if (s == QUEUED)
		return t;
	cr_assert_str_eq(claim_next(n), t.job_id);
	if (s == STOPPING)
		must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	else if (s == CANCELLED)
		must(post(fmt("%s/cancelled", t.job_path), n->token, NULL), 200);
	else if (s == FAILED)
		must(post(fmt("%s/failed", t.job_path), n->token, NULL), 200);
	else if (s == COMPLETED)
		must(upload(n, &t, true), 201);
	else if (s == EXPIRED)
		end_lease(&t);
	cr_assert_str_eq(field(t.job_path, "status"), words[s]);
	return t;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static struct response agent(const struct node *n, const struct take *t, const char *what)
{
	return post(fmt("%s/%s", t->job_path, what), n->token, NULL);
}

/* All of them must refuse; the answer is the last one's. */
static struct response strangers(const struct take *t)
{
	static const char *const calls[] = {"claim", "heartbeat", "cancelled", "failed"};
	struct node other = enroll_node("Stranger");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		must(agent(&other, t, calls[i]), 403);
	must(get(t->job_path, other.token), 403);
	return upload(&other, t, true);
}

static struct response happen(enum event e, const struct node *n, const struct take *t)
{
	switch (e) {
	case CLAIM:
		return agent(n, t, "claim");
	case CLAIM_NEXT:
		return post(fmt("%s/recording-jobs/claim-next", n->path), n->token, NULL);
	case HEARTBEAT:
		return agent(n, t, "heartbeat");
	case AGENT_CANCELLED:
		return agent(n, t, "cancelled");
	case AGENT_FAILED:
		return agent(n, t, "failed");
	case STOP:
		return post(fmt("%s/stop", t->recording_path), admin(), NULL);
	case BULK_STOP:
		return post("/api/v1/recording-jobs/bulk-stop", admin(), "{\"jobIds\":[\"%s\"]}", t->job_id);
	case RETRY:
		return post(fmt("%s/retry", t->job_path), admin(), NULL);
	case BULK_RETRY:
		return post("/api/v1/recording-jobs/bulk-retry", admin(), "{\"jobIds\":[\"%s\"]}", t->job_id);
	case UPLOAD:
		return upload(n, t, true);
	case UPLOAD_NO_JOB:
		return upload(n, t, false);
	case STRANGERS_CALL:
		return strangers(t);
	default:
		end_lease(t);
		return get(t->job_path, admin());
	}
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Jobs of the recording by state; a retry has made one more. */
static void check_jobs(const struct take *t, const char *where, bool retried)
{
	struct response r = get(fmt("%s/context", t->recording_path), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.jobs"), retried ? 2 : 1, "%s", where);
	if (!retried)
		return;
	cr_expect_str_eq(j_str(r.json, "data.jobs.0.status"), "queued", "%s: %s", where, r.body);
	cr_expect_str_neq(j_str(r.json, "data.jobs.0.id"), t->job_id, "%s", where);
}

static void check(enum state s, enum event e)
{
	const struct cell *want = &table[e][s];
	const char *where = fmt("%s%s, %s", words[s], s == EXPIRED ? " (lease)" : "", event_names[e]);
	struct node n = enroll_node("States");
	struct take t = make(s, &n);
	const char *ended = field(t.job_path, "completedAt");
	struct response r = happen(e, &n, &t);
	cr_expect_eq(r.status, want->code, "%s: %d %.300s", where, r.status, r.body);
	cr_expect_str_eq(field(t.job_path, "status"), want->job, "%s: job %s", where, field(t.job_path, "status"));
	cr_expect_str_eq(field(t.recording_path, "status"), want->recording, "%s: recording %s", where,
	                 field(t.recording_path, "status"));
	check_jobs(&t, where, (e == RETRY || e == BULK_RETRY) && want->code == 201);
	/* Whoever comes later does not move the end of a job that had ended (09 15.1), but for the late file of a
	 * lease. */
	if (*ended != '\0' && strcmp(want->job, words[s]) == 0)
		cr_expect_str_eq(field(t.job_path, "completedAt"), ended, "%s", where);
	cr_expect_eq(*field(t.job_path, "completedAt") != '\0',
	             strcmp(want->job, "cancelled") == 0 || strcmp(want->job, "completed") == 0 ||
	                 strcmp(want->job, "failed") == 0,
	             "%s", where);
}

static void check_all(enum state s)
{
	for (enum event e = 0; e < EVENTS; e++)
		if (e != LEASE_OVER || on_postgres())
			check(s, e);
}

Test(job_states, queued)
{
	check_all(QUEUED);
}

Test(job_states, running)
{
	check_all(RUNNING);
}

Test(job_states, stop_requested)
{
	check_all(STOPPING);
}

Test(job_states, cancelled)
{
	check_all(CANCELLED);
}

Test(job_states, completed)
{
	check_all(COMPLETED);
}

Test(job_states, failed)
{
	check_all(FAILED);
}

Test(job_states, lease_over)
{
	if (!on_postgres())
		cr_skip_test("a lease can only be moved in a database");
	check_all(EXPIRED);
}

/* A reason of the agent, then others: the first word counts, and there is one incident. */
Test(job_states, the_first_end_counts)
{
	struct node n = enroll_node("First");
	struct take t = make(RUNNING, &n);
	const char *const reason[] = {"x-rakkr-reason: disk_full", NULL};
	must(http("POST", fmt("%s/failed", t.job_path), n.token, reason, NULL, 0), 200);
	const char *ended = field(t.job_path, "completedAt");
	for (int i = 0; i < 3; i++)
		must(agent(&n, &t, i == 1 ? "cancelled" : "failed"), 200);
	cr_expect_str_eq(field(t.job_path, "status"), "failed");
	cr_expect_str_eq(field(t.job_path, "failureReason"), "disk_full");
	cr_expect_str_eq(field(t.job_path, "completedAt"), ended);
	struct response r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_eq(j_count(r.json, "data.healthEvents"), 1, "%s", r.body);
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.severity"), "critical");
}

/* A stop that the agent confirms is no incident; the same call out of another reason is one. */
Test(job_states, a_confirmed_stop_is_no_incident)
{
	static const struct {
		const char *reason;
		size_t events;
	} rows[] = {{"controller_stop_requested", 0}, {"agent_shutdown", 1}};
	const char *headers[] = {NULL, NULL};
	for (size_t i = 0; i < 2; i++) {
		struct node n = enroll_node("Confirmed");
		struct take t = make(STOPPING, &n);
		headers[0] = fmt("x-rakkr-reason: %s", rows[i].reason);
		must(http("POST", fmt("%s/cancelled", t.job_path), n.token, headers, NULL, 0), 200);
		struct response r = get(fmt("%s/context", t.recording_path), admin());
		cr_expect_eq(j_count(r.json, "data.healthEvents"), rows[i].events, "%s: %s", rows[i].reason, r.body);
		cr_expect_str_eq(j_str(r.json, "data.recording.status"), "completed");
	}
}
