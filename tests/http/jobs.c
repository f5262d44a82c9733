/* Recording jobs over HTTP: the state machine, as the agent and the console see it (contract 03 3.11, 3.12). */
#include "http/harness.h"

#include <string.h>

static struct response say(const struct node *n, const struct take *t, const char *what, const char *reason)
{
	const char *const headers[] = {fmt("x-rakkr-reason: %s", reason), NULL};
	return http("POST", fmt("%s/%s", t->job_path, what), n->token, headers, NULL, 0);
}

static const char *job_status(const struct node *n, const struct take *t)
{
	struct response r = get(t->job_path, n->token);
	must(r, 200);
	return j_str(r.json, "data.status");
}

static const char *recording_field(const struct take *t, const char *field)
{
	struct response r = get(t->recording_path, admin());
	must(r, 200);
	return j_str(r.json, fmt("data.%s", field));
}

static struct node wide_node(const char *alias)
{
	struct node n = enroll_node(alias);
	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":8}}"), 200);
	return n;
}

/* ---- agent ------------------------------------------------------------------------------------------------------- */

static const char *const agent_rows[][4] = {
    {"GET", "/api/v1/nodes/%s/recording-jobs/next", "recording_jobs.next.failed", "node"},
    {"POST", "/api/v1/nodes/%s/recording-jobs/claim-next", "recording_jobs.claim_next.failed", "node"},
    {"POST", "/api/v1/recording-jobs/%s/claim", "recording_jobs.claim.failed", "recording_job"},
    {"POST", "/api/v1/recording-jobs/%s/heartbeat", "recording_jobs.heartbeat.failed", "recording_job"},
    {"GET", "/api/v1/recording-jobs/%s", "recording_jobs.read_one.failed", "recording_job"},
    {"POST", "/api/v1/recording-jobs/%s/cancelled", "recording_jobs.cancelled.failed", "recording_job"},
    {"POST", "/api/v1/recording-jobs/%s/failed", "recording_jobs.failed.failed", "recording_job"},
};

/* The paths above with an id in them; the format is one of the constants. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static const char *agent_path(size_t row, const char *id)
{
	return fmt(agent_rows[row][1], id);
}

Test(jobs, agent_routes_need_their_node)
{
	struct node n = enroll_node("Owner"), other = enroll_node("Stranger");
	struct take t = start_recording(&n);
	for (size_t i = 0; i < sizeof(agent_rows) / sizeof(agent_rows[0]); i++) {
		bool node_row = strcmp(agent_rows[i][3], "node") == 0;
		const char *path = agent_path(i, node_row ? n.id : t.job_id);
		struct response r = http(agent_rows[i][0], path, NULL, NULL, NULL, 0);
		must(r, 401);
		cr_expect_str_eq(r.body, "{\"error\":\"Node credential required\"}");
		json_object *event = audit_last(agent_rows[i][2], node_row ? n.id : t.job_id);
		cr_expect_str_eq(j_str(event, "reason"), "missing_node_token");
		cr_expect_str_eq(j_str(event, "target.type"), agent_rows[i][3]);
		r = http(agent_rows[i][0], path, "rakkr_node_wrong", NULL, NULL, 0);
		must(r, 401);
		if (i != 4) /* a wrong token may be a user's there */
			cr_expect_str_eq(r.body, "{\"error\":\"Invalid node credential\"}");
		r = http(agent_rows[i][0], path, other.token, NULL, NULL, 0);
		must(r, 403);
		expect_audited(agent_rows[i][2], node_row ? n.id : t.job_id, "node_scope_denied");
		if (!node_row)
			must(http(agent_rows[i][0], agent_path(i, "job_none"), n.token, NULL, NULL, 0), 404);
	}
	cr_expect_str_eq(job_status(&n, &t), "queued");
}

Test(jobs, claim_heartbeat_and_refusals)
{
	struct node n = enroll_node("Lease");
	struct take t = start_recording(&n);
	struct response r = post(fmt("%s/heartbeat", t.job_path), n.token, NULL);
	must(r, 409);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job is not heartbeatable\"}");
	r = post(fmt("%s/claim", t.job_path), n.token, NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running");
	cr_expect_str_eq(j_str(r.json, "data.startedAt"), j_str(r.json, "data.lastHeartbeatAt"));
	cr_expect_str_gt(j_str(r.json, "data.leaseExpiresAt"), j_str(r.json, "data.startedAt"));
	const char *lease = j_str(r.json, "data.leaseExpiresAt");
	r = post(fmt("%s/claim", t.job_path), n.token, NULL);
	must(r, 409);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job is not claimable\"}");
	r = post(fmt("%s/heartbeat", t.job_path), n.token, NULL);
	must(r, 200);
	cr_expect_str_gt(j_str(r.json, "data.leaseExpiresAt"), lease);
	cr_expect(j_has(r.json, "data.command.outputFileName"));
	must(say(&n, &t, "failed", "x"), 200);
	must(post(fmt("%s/heartbeat", t.job_path), n.token, NULL), 409);
	must(post(fmt("%s/claim", t.job_path), n.token, NULL), 409);
}

Test(jobs, claims_come_in_order_of_creation)
{
	struct node n = wide_node("Order");
	struct take t[4];
	for (int i = 0; i < 4; i++)
		t[i] = start_recording(&n);
	struct response r = get(fmt("%s/recording-jobs/next", n.path), n.token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), t[0].job_id);
	cr_expect(j_true(audit_last("recording_jobs.next.succeeded", n.id), "details.queued"));
	for (int i = 0; i < 4; i++)
		cr_expect_str_eq(claim_next(&n), t[i].job_id);
	cr_expect_str_eq(claim_next(&n), "");
	must(get(fmt("%s/recording-jobs/next", n.path), n.token), 204);
	cr_expect_not(j_true(audit_last("recording_jobs.claim_next.succeeded", n.id), "details.claimed"));
}

struct claims {
	const struct node *node;
	const char *got[8];
};

static void claim_any(int index, void *arg)
{
	struct claims *c = arg;
	struct response r = post(fmt("%s/recording-jobs/claim-next", c->node->path), c->node->token, NULL);
	c->got[index] = j_str(r.json, "data.id");
	cr_expect(r.status == 200 || r.status == 204, "%d", r.status);
}

Test(jobs, parallel_claims_never_share_a_job)
{
	struct node n = wide_node("Shared");
	struct claims c = {.node = &n};
	for (int i = 0; i < 6; i++)
		start_recording(&n);
	parallel(8, claim_any, &c);
	int jobs = 0;
	for (int i = 0; i < 8; i++) {
		jobs += c.got[i][0] != '\0';
		for (int k = 0; k < i; k++)
			cr_expect(c.got[i][0] == '\0' || strcmp(c.got[i], c.got[k]) != 0, "%s twice", c.got[i]);
	}
	while (claim_next(&n)[0] != '\0')
		jobs++;
	cr_expect_eq(jobs, 6);
}

/* 09 D-36 */
Test(jobs, a_job_without_recording_does_not_block)
{
	if (!on_postgres())
		cr_skip_test("a recording only vanishes from under its job in a database");
	struct node n = wide_node("Dead"), other = enroll_node("Elsewhere");
	struct take gone = start_recording(&n), moved = start_recording(&n), good = start_recording(&n);
	sql("DELETE FROM recordings WHERE id = '%s'", gone.recording_id);
	sql("UPDATE recordings SET node_id = '%s' WHERE id = '%s'", other.id, moved.recording_id);
	must(post(fmt("%s/claim", gone.job_path), n.token, NULL), 404);
	must(post(fmt("%s/claim", moved.job_path), n.token, NULL), 403);
	cr_expect_str_eq(claim_next(&n), good.job_id);
	struct response r = get(gone.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "recording_not_found");
	cr_expect_not(j_has(r.json, "data.claimedBy"));
	cr_expect_str_eq(job_status(&n, &moved), "failed");
	must(get(gone.job_path, admin()), 404);
}

/* Terminal calls: from every state, and twice (09 D-19). */
Test(jobs, terminal_calls)
{
	struct node n = wide_node("Terminal");
	struct take t = start_recording(&n);
	struct response r = say(&n, &t, "cancelled", "");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "agent_cancelled");
	cr_expect_str_eq(recording_field(&t, "status"), "completed");
	cr_expect_str_eq(recording_field(&t, "healthStatus"), "warning");
	const char *completed = j_str(r.json, "data.completedAt");
	const char *event = j_str(audit_last("recording_jobs.cancelled.succeeded", t.job_id), "details.healthEventId");
	cr_expect_str_neq(event, "");
	r = say(&n, &t, "failed", "late");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "cancelled");
	cr_expect_str_eq(j_str(r.json, "data.completedAt"), completed);
	cr_expect_not(j_has(audit_last("recording_jobs.failed.succeeded", t.job_id), "details.healthEventId"));
	cr_expect_str_eq(recording_field(&t, "healthStatus"), "warning");

	t = start_recording(&n);
	r = say(&n, &t, "failed", "");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "agent_failed");
	cr_expect_str_eq(recording_field(&t, "status"), "failed");
	cr_expect_str_eq(recording_field(&t, "healthStatus"), "critical");
	r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_eq(j_count(r.json, "data.healthEvents"), 1);
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.details.source"), "recording_job_terminal");
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.details.terminalState"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.details.jobId"), t.job_id);
	must(say(&n, &t, "failed", "again"), 200);
	r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_eq(j_count(r.json, "data.healthEvents"), 1);

	t = start_recording(&n);
	r = say(&n, &t, "failed", fmt("%05000d\x01 x", 7));
	must(r, 200);
	cr_expect_eq(strlen(j_str(r.json, "data.failureReason")), 500);
}

struct expiry {
	const struct node *node;
	const struct take *take;
	int beats_ok, beats_late, other;
};

static void beat_or_list(int index, void *arg)
{
	struct expiry *e = arg;
	if (index % 2 == 1) {
		get(fmt("/api/v1/recording-jobs?nodeId=%s", e->node->id), admin());
		return;
	}
	struct response r = post(fmt("%s/heartbeat", e->take->job_path), e->node->token, NULL);
	int *count = r.status == 200 ? &e->beats_ok : r.status == 409 ? &e->beats_late : &e->other;
	__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

/* 09 D-19, D-20: one expiry, one event, and no heartbeat that revives the job */
Test(jobs, a_lease_ends_once)
{
	if (!on_postgres())
		cr_skip_test("a lease can only be moved in a database");
	struct node n = wide_node("Expiry");
	struct take t = start_recording(&n);
	struct expiry e = {.node = &n, .take = &t};
	cr_assert_str_eq(claim_next(&n), t.job_id);
	admin();
	sql("UPDATE recording_jobs SET lease_expires_at = now() - interval '1 hour' WHERE id = '%s'", t.job_id);
	parallel(8, beat_or_list, &e);
	cr_expect_eq(e.beats_late, 4, "%d accepted, %d other", e.beats_ok, e.other);
	struct response r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "lease_expired");
	r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_eq(j_count(r.json, "data.healthEvents"), 1, "%s", r.body);
	cr_expect_str_eq(j_str(r.json, "data.recording.status"), "failed");
}

static bool is_cancelled(void *arg)
{
	const struct take *t = arg;
	const char *status = sql("SELECT status FROM recording_jobs WHERE id = '%s'", t->job_id);
	return strcmp(status, "cancelled") == 0;
}

Test(jobs, the_runner_ends_leases_by_itself)
{
	if (!on_postgres())
		cr_skip_test("a lease can only be moved in a database");
	struct node n = enroll_node("Runner");
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	sql("UPDATE recording_jobs SET stop_requested_at = now() - interval '1 hour' WHERE id = '%s'", t.job_id);
	cr_assert(wait_until(is_cancelled, &t, 15000));
	struct response r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_str_eq(j_str(r.json, "data.jobs.0.failureReason"), "stop_request_lease_expired");
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.type"), "controller.recording.job_cancelled");
	cr_expect_str_eq(j_str(r.json, "data.recording.status"), "completed");
	cr_expect_str_eq(j_str(r.json, "data.recording.healthStatus"), "warning");
}

/* ---- console ----------------------------------------------------------------------------------------------------- */

Test(jobs, list_and_filters)
{
	struct node n = wide_node("Listed");
	struct take a = start_recording(&n), b = start_recording(&n);
	must(say(&n, &a, "failed", "Broken Pipe"), 200);
	const char *base = fmt("/api/v1/recording-jobs?nodeId=%s", n.id);
	struct response r = get(base, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.0.id"), b.job_id, "newest first");
	cr_expect_eq(j_count(r.json, "data"), 2);
	cr_expect_not(j_has(r.json, "meta"));
	static const struct {
		const char *query;
		size_t count;
	} cases[] = {{"&status=failed", 1},
	             {"&status=running", 0},
	             {"&captureBackend=alsa", 2},
	             {"&captureBackend=jack", 0},
	             {"&search=broken%20pipe", 1},
	             {"&search=s16_le%20", 2},
	             {"&createdFrom=2001-01-01T00:00Z", 2},
	             {"&createdTo=2001-01-01T00:00:00%2B01:00", 0},
	             {"&captureInterfaceId=none", 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = get(fmt("%s%s", base, cases[i].query), admin());
		must(r, 200);
		cr_expect_eq(j_count(r.json, "data"), cases[i].count, "%s", cases[i].query);
	}
	r = get(fmt("%s&captureInterfaceId=%s", base, n.interface_id), admin());
	cr_expect_eq(j_count(r.json, "data"), 2);
	static const char *const bad[] = {"status=done", "createdFrom=2001-01-01",
	                                  "createdTo=2001-01-01T00:00:00%2B0100", "captureBackend=oss"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = get(fmt("/api/v1/recording-jobs?%s", bad[i]), admin());
		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid recording job filters");
	}
	struct user u = create_user("operator", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));
	r = get("/api/v1/recording-jobs", u.token);
	cr_expect_eq(j_count(r.json, "data"), 2);
}

Test(jobs, detail_and_actions)
{
	struct node n = wide_node("Detail");
	struct take t = start_recording(&n);
	struct response r = get(t.job_path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), t.job_id);
	cr_expect_str_eq(j_str(audit_last("recording_jobs.detail.read.succeeded", t.job_id), "details.status"),
	                 "queued");
	r = get("/api/v1/recording-jobs/job_none", admin());
	must(r, 404);
	r = get(fmt("%s/actions", t.job_path), admin());
	must(r, 200);
	cr_expect(j_true(r.json, "data.actions.stop.enabled"));
	cr_expect_str_eq(j_str(r.json, "data.actions.stop.payload.jobIds.0"), t.job_id);
	cr_expect_str_eq(j_str(r.json, "data.actions.retry.reason"), "recording_job_not_retryable");
	cr_expect_str_eq(j_str(r.json, "data.links.detail"), t.job_path);
	cr_expect_str_eq(j_str(r.json, "data.recording.id"), t.recording_id);
	must(say(&n, &t, "failed", "x"), 200);
	r = get(fmt("%s/actions", t.job_path), admin());
	cr_expect(j_true(r.json, "data.actions.retry.enabled"));
	cr_expect_str_eq(j_str(r.json, "data.actions.stop.reason"), "recording_job_not_stoppable");
	must(get("/api/v1/recording-jobs/job_none/actions", admin()), 404);
}

static void retry_once(int index, void *arg)
{
	int *counts = arg;
	const char *path = *(const char **)(counts + 2);
	(void)index;
	struct response r = post(path, admin(), NULL);
	__atomic_add_fetch(&counts[r.status == 201 ? 0 : 1], 1, __ATOMIC_RELAXED);
}

/* 09 D-18 */
Test(jobs, one_of_eight_retries_wins)
{
	struct node n = wide_node("Retries");
	struct take t = start_recording(&n);
	struct {
		int won, lost;
		const char *path;
	} c = {.path = fmt("%s/retry", t.job_path)};
	must(say(&n, &t, "failed", "x"), 200);
	admin();
	parallel(8, retry_once, &c);
	cr_expect_eq(c.won, 1);
	cr_expect_eq(c.lost, 7);
	struct response r = post(c.path, admin(), NULL);
	must(r, 409);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job cannot be retried\",\"reason\":\"active_job_exists\"}");
	r = get(fmt("/api/v1/recording-jobs?nodeId=%s", n.id), admin());
	cr_expect_eq(j_count(r.json, "data"), 2);
	cr_expect_str_eq(recording_field(&t, "status"), "recording");
	cr_expect_str_eq(recording_field(&t, "healthStatus"), "unknown");
}

Test(jobs, retry_after_a_file)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = wide_node("Second take");
	struct take t = start_recording(&n);
	const char *const wav_name[] = {"x-rakkr-file-name: x.wav", NULL};
	must(say(&n, &t, "failed", "x"), 200);
	must(http("PUT", fmt("%s/cache-file", t.recording_path), n.token, wav_name, file.data, file.len), 201);
	struct response r = post(fmt("%s/retry", t.job_path), admin(), NULL);
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.status"), "queued");
	cr_expect_str_eq(j_str(r.json, "data.recordingId"), t.recording_id);
	cr_expect_str_neq(j_str(r.json, "data.id"), t.job_id);
	cr_expect_str_eq(recording_field(&t, "cachePath"), "");
	cr_expect_str_eq(recording_field(&t, "checksum"), "");
	must(get(fmt("%s/file", t.recording_path), admin()), 409);
	/* a late file of the first take, with a job waiting: kept, the job still to be done (D-10) */
	must(http("PUT", fmt("%s/cache-file", t.recording_path), n.token, wav_name, file.data, file.len), 201);
	cr_expect_str_eq(recording_field(&t, "status"), "recording");
	must(get(fmt("%s/file", t.recording_path), admin()), 200);
	cr_expect_str_eq(claim_next(&n), j_str(r.json, "data.id"));
	/* the same bytes from the second take end it */
	must(http("PUT", fmt("%s/cache-file", t.recording_path), n.token, wav_name, file.data, file.len), 201);
	cr_expect_str_eq(recording_field(&t, "status"), "cached");
	r = get(fmt("/api/v1/recording-jobs/%s", j_str(r.json, "data.id")), n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
	must(post("/api/v1/recording-jobs/job_none/retry", admin(), NULL), 404);
}

Test(jobs, bulk_retry)
{
	struct node n = wide_node("Bulk retry");
	struct take a = start_recording(&n), b = start_recording(&n);
	const char *path = "/api/v1/recording-jobs/bulk-retry";
	const char *both = fmt("{\"jobIds\":[\"%s\",\"%s\"]}", a.job_id, b.job_id);
	must(say(&n, &a, "failed", "x"), 200);
	struct response r = post(path, admin(), "%s", both);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "One or more recording jobs cannot be retried");
	must(say(&n, &b, "cancelled", "x"), 200);
	r = post(path, admin(), "%s", both);
	must(r, 201);
	cr_expect_eq(j_int(r.json, "meta.retriedCount"), 2);
	json_object *event = audit_last("recording_jobs.bulk_retry.succeeded", "recording_job_collection");
	cr_expect_str_eq(j_str(event, "correlationIds.retryJobId2"), j_str(r.json, "data.1.id"));
	r = post(path, admin(), "%s", both);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "One or more recordings already have active jobs");
	must(post(path, admin(), "{\"jobIds\":[\"nope\"]}"), 404);
	must(post(path, admin(), "{\"jobIds\":[]}"), 400);
}

Test(jobs, bulk_stop)
{
	struct node n = wide_node("Bulk stop");
	struct take a = start_recording(&n), b = start_recording(&n);
	const char *path = "/api/v1/recording-jobs/bulk-stop";
	cr_assert_str_eq(claim_next(&n), a.job_id);
	struct response r = post(path, admin(), "{\"jobIds\":[\"%s\",\"%s\"]}", a.job_id, b.job_id);
	must(r, 200);
	cr_expect_eq(j_int(r.json, "meta.stoppedCount"), 2);
	cr_expect_str_eq(j_str(r.json, "data.0.status"), "stop_requested");
	cr_expect_str_eq(j_str(r.json, "data.1.status"), "stop_requested");
	cr_expect_str_eq(job_status(&n, &a), "stop_requested");
	cr_expect_str_eq(job_status(&n, &b), "cancelled");
	cr_expect_str_eq(recording_field(&b, "status"), "completed");
	r = post(path, admin(), "{\"jobIds\":[\"%s\"]}", a.job_id);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "One or more recording jobs cannot be stopped");
}

/* 03 T1: the node's door comes first, whatever the last segment says */
Test(jobs, exports)
{
	struct node n = wide_node("Job export");
	struct take t = start_recording(&n);
	struct response r = get("/api/v1/recording-jobs/export", NULL);
	must(r, 401);
	cr_expect_str_eq(r.body, "{\"error\":\"Node credential required\"}");
	r = get("/api/v1/recording-jobs/export", n.token);
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job not found\"}");
	r = get(fmt("/api/v1/recording-jobs/export?nodeId=%s", n.id), admin());
	must(r, 200);
	cr_expect_eq(strncmp(r.body, "id,recordingId,nodeId,status,claimedBy,", 39), 0);
	cr_expect_not_null(strstr(r.body, fmt("\n%s,%s,%s,queued,,20", t.job_id, t.recording_id, n.id)), "%s", r.body);
	cr_expect_not_null(strstr(r.body, fmt(",mp3,128,true,%s.mp3", t.recording_id)), "%s", r.body);
	r = post("/api/v1/recording-jobs/export", admin(), "{\"jobIds\":[\"%s\"]}", t.job_id);
	must(r, 200);
	cr_expect_not_null(strstr(header(&r, "Content-Disposition"), "filename=\"rakkr-recording-jobs-20"));
	must(post("/api/v1/recording-jobs/export", admin(), "{\"jobIds\":[\"nope\"]}"), 404);
	must(get("/api/v1/recording-jobs/export?status=x", admin()), 400);
}
