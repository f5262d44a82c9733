/*
 * The races and half-done changes of contract 09, section 2, with every row of a table written slowly (SLOW), or not at
 * all (FAIL): what luck would show now and then, a trigger shows each time. Postgres only, alone on its instance.
 */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(slow, .timeout = 240);

/* ---- SLOW and FAIL ----------------------------------------------------------------------------------------------- */

static void end_all(void)
{
	sql("DROP FUNCTION IF EXISTS public.test_slow() CASCADE");
	sql("DROP FUNCTION IF EXISTS public.test_fail() CASCADE");
}

static void prepare(void)
{
	if (!on_postgres())
		cr_skip_test("flat files write under one lock");
	end_all();
	sql("CREATE FUNCTION public.test_slow() RETURNS trigger LANGUAGE plpgsql AS"
	    " $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$");
	sql("CREATE FUNCTION public.test_fail() RETURNS trigger LANGUAGE plpgsql AS"
	    " $$ BEGIN RAISE EXCEPTION 'FAIL' USING ERRCODE = 'XX000'; END $$");
	atexit(end_all);
	admin();
}

static void slow(const char *table)
{
	sql("CREATE TRIGGER a_test_slow BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION test_slow()",
	    table);
}

/* when: a condition over NEW or OLD. */
static void fail_when(const char *table, const char *events, const char *when)
{
	sql("CREATE TRIGGER a_test_fail BEFORE %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION test_fail()", events,
	    table, when);
}

static struct node wide_node(int capacity)
{
	struct node n = enroll_node("Slow");

	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":%d}}", capacity), 200);
	return n;
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

struct calls {
	const char *method, *path, *token, *body;
	int count[600]; /* answers by status */
};

static void call(int index, void *arg)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	struct calls *c = arg;
	const char *body = c->body;
	struct response r =
	    http(c->method, c->path, c->token, body != NULL ? json : NULL, body, body != NULL ? strlen(body) : 0);

	(void)index;
	__atomic_add_fetch(&c->count[r.status], 1, __ATOMIC_RELAXED);
}

static void expect_one(struct calls *c, int won, int lost, const char *what)
{
	parallel(8, call, c);
	cr_expect_eq(c->count[won], 1, "%s: %d won", what, c->count[won]);
	cr_expect_eq(c->count[lost], 7, "%s: %d lost", what, c->count[lost]);
}

/* D-16 */
Test(slow, claims)
{
	struct node n;

	prepare();
	n = wide_node(4);
	for (int by_id = 0; by_id < 2; by_id++) {
		struct take t = start_recording(&n);
		struct calls c = {.method = "POST", .token = n.token};

		c.path = by_id ? fmt("%s/claim", t.job_path) : fmt("%s/recording-jobs/claim-next", n.path);
		slow("recording_jobs");
		expect_one(&c, 200, by_id ? 409 : 204, by_id ? "by id" : "next");
		sql("DROP TRIGGER a_test_slow ON recording_jobs");
		must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	}
}

/* D-17 */
Test(slow, starts)
{
	struct calls c = {.method = "POST", .path = "/api/v1/recordings", .token = admin()};
	struct node n;

	prepare();
	n = wide_node(2);
	c.body = fmt("{\"nodeId\":\"%s\"}", n.id);
	slow("recordings");
	parallel(8, call, &c);
	cr_expect_eq(c.count[202], 2, "%d started", c.count[202]);
	cr_expect_eq(c.count[409], 6, "%d refused", c.count[409]);
}

/* D-18 */
Test(slow, retries)
{
	struct calls c = {.method = "POST", .token = admin()};
	struct node n;
	struct take t;

	prepare();
	n = wide_node(4);
	t = start_recording(&n);
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	c.path = fmt("%s/retry", t.job_path);
	slow("recording_jobs");
	expect_one(&c, 201, 409, "retry");
	cr_expect_str_eq(sql("SELECT count(*) FROM recording_jobs WHERE recording_id = '%s'", t.recording_id), "2");
}

struct expiry {
	const struct node *node;
	const struct take *take;
	int late;
};

static void beat_or_list(int index, void *arg)
{
	struct expiry *e = arg;
	struct response r = index % 2 ? post(fmt("%s/heartbeat", e->take->job_path), e->node->token, NULL)
	                              : get("/api/v1/recording-jobs", admin());

	__atomic_add_fetch(&e->late, r.status == 409, __ATOMIC_RELAXED);
}

/* D-19, D-20 */
Test(slow, leases)
{
	struct expiry e;
	struct node n;
	struct take t;

	prepare();
	n = wide_node(4);
	t = start_recording(&n);
	e = (struct expiry){.node = &n, .take = &t};
	cr_assert_str_eq(claim_next(&n), t.job_id);
	sql("UPDATE recording_jobs SET lease_expires_at = now() - interval '1 hour' WHERE id = '%s'", t.job_id);
	slow("recording_jobs");
	parallel(8, beat_or_list, &e);
	cr_expect_eq(e.late, 4);
	cr_expect_str_eq(sql("SELECT status FROM recording_jobs WHERE id = '%s'", t.job_id), "failed");
	cr_expect_str_eq(sql("SELECT count(*) FROM health_events WHERE recording_id = '%s' AND type ="
	                     " 'controller.recording.job_failed'",
	                     t.recording_id),
	                 "1");
}

static void edit_or_beat(int index, void *arg)
{
	const struct node *n = arg;
	struct response r;

	if (index == 0)
		r = patch(n->path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":7}}");
	else
		r = post(fmt("%s/heartbeat", n->path), n->token,
		         "{\"agentVersion\":\"1.%d\",\"hostname\":\"h\",\"ipAddresses\":[],\"runtime\":"
		         "{\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":%d}}",
		         index, index);
	cr_expect_eq(r.status, index == 0 ? 200 : 202, "%s: %d %s", r.asked, r.status, r.body);
}

/* D-23 */
Test(slow, edits_among_heartbeats)
{
	struct node n;

	prepare();
	n = wide_node(2);
	slow("nodes");
	for (int round = 0; round < 5; round++) {
		must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":2}}"), 200);
		parallel(17, edit_or_beat, &n);
		cr_expect_eq(j_int(get(n.path, admin()).json, "data.recordingCapacity.maxConcurrentRecordings"), 7);
	}
}

/* D-25 */
Test(slow, accounts)
{
	struct calls c = {.method = "POST", .path = "/api/v1/auth/users", .token = admin()};
	const char *form =
	    "{\"email\":\"slow%s-%d@example.org\",\"name\":\"N\",\"password\":\"a password 12\",\"roles\":"
	    "[\"viewer\"]}";

	prepare();
	c.body = fmt(form, "", (int)getpid());
	slow("users");
	expect_one(&c, 201, 409, "one e-mail");
	must(post(c.path, admin(), "%s", fmt(form, "-after", (int)getpid())), 201);
}

/* ---- half-done --------------------------------------------------------------------------------------------------- */

/* D-28 */
Test(slow, a_failing_grant_changes_no_right)
{
	struct user u;
	struct response r;

	prepare();
	u = create_user("operator", "[{\"resourceType\":\"node\",\"resourceId\":\"n1\"}]");
	fail_when("user_resource_grants", "INSERT", fmt("NEW.user_id = '%s'", u.id));
	r = patch(fmt("/api/v1/auth/users/%s/access", u.id), admin(),
	          "{\"roles\":[\"viewer\"],\"resourceGrants\":[{\"resourceType\":\"node\",\"resourceId\":\"n2\"}]}");
	cr_expect_eq(r.status, 503, "%d %s", r.status, r.body);
	r = get(fmt("/api/v1/auth/users/%s", u.id), admin());
	cr_expect_str_eq(j_str(r.json, "data.user.roles.0"), "operator");
	cr_expect_str_eq(j_str(r.json, "data.user.resourceGrants.0.resourceId"), "n1");
}

/* D-29 */
Test(slow, a_failing_policy_leaves_the_list)
{
	const char *before;
	struct response r;

	prepare();
	before = sql("SELECT count(*) FROM access_policies");
	fail_when("access_policies", "INSERT", "NEW.resource_id = 'fails'");
	r = patch("/api/v1/auth/access-policies", admin(),
	          "{\"policies\":[{\"effect\":\"deny\",\"subjectType\":\"everyone\",\"resourceType\":\"node\","
	          "\"resourceId\":\"x\"},{\"effect\":\"deny\",\"subjectType\":\"everyone\",\"resourceType\":\"node\","
	          "\"resourceId\":\"fails\"}]}");
	cr_expect_geq(r.status, 500, "%d %s", r.status, r.body);
	cr_expect_str_eq(sql("SELECT count(*) FROM access_policies"), before);
}

/* D-30 */
Test(slow, bulk_operations_are_whole)
{
	struct take t[3];
	struct response r;
	struct node n;

	prepare();
	n = wide_node(4);
	for (int i = 0; i < 3; i++) {
		t[i] = start_recording(&n);
		must(post(fmt("%s/failed", t[i].job_path), n.token, NULL), 200);
	}
	fail_when("recordings", "DELETE", fmt("OLD.id = '%s'", t[1].recording_id));
	r = post("/api/v1/recordings/bulk-delete", admin(), "{\"recordingIds\":[\"%s\",\"%s\",\"%s\"]}",
	         t[0].recording_id, t[1].recording_id, t[2].recording_id);
	cr_expect_geq(r.status, 500, "%d %s", r.status, r.body);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(get(t[i].recording_path, admin()).status, 200, "recording %d is gone", i);
	fail_when("recording_jobs", "INSERT", fmt("NEW.recording_id = '%s'", t[1].recording_id));
	r = post("/api/v1/recording-jobs/bulk-retry", admin(), "{\"jobIds\":[\"%s\",\"%s\"]}", t[0].job_id,
	         t[1].job_id);
	cr_expect_geq(r.status, 500, "%d %s", r.status, r.body);
	r = get(fmt("/api/v1/recording-jobs?nodeId=%s", n.id), admin());
	cr_expect_eq(j_count(r.json, "data"), 3, "a job of half a retry");
	cr_expect_str_eq(j_str(get(t[0].recording_path, admin()).json, "data.status"), "failed");
}
