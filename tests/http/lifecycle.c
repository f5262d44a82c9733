/*
 * Lifecycle actions on nodes and the runner that carries them out (contract 02 9), against tests/tools/ansible_runner,
 * which tests/run starts: RAKKR_TEST_RUNS is the folder of the requests it got.
 */
#include "http/harness.h"
#include "http/instance.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Runs keep workers busy, and their number is limited: these tests go one after the other, whatever Criterion does. */
static void alone(void)
{
	int fd = open(fmt("%s/lifecycle-test", instance_dir()), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	cr_assert_not_null(getenv("RAKKR_TEST_RUNS"), "these tests need the runner that tests/run starts");
}

TestSuite(lifecycle, .init = alone, .timeout = 120);

static struct response run(const struct node *n, const char *action, const char *options)
{
	return post(fmt("%s/lifecycle/%s", n->path, action), admin(), "%s", options);
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	if (f == NULL)
		return NULL;
	text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
	fclose(f);
	return text;
}

/* ---- a run that works -------------------------------------------------------------------------------------------- */

Test(lifecycle, a_run_succeeds)
{
	struct node n = enroll_node("Runs well");
	struct response r = run(&n, "restart_service", "{\"agentVersion\":\" 0.4.2 \"}");
	must(r, 202);
	json_object *job = j_at(r.json, "data");
	cr_expect_eq(strncmp(j_str(job, "id"), "node_lifecycle_", 15), 0);
	cr_expect_str_eq(j_str(job, "action"), "restart_service");
	cr_expect_str_eq(j_str(job, "nodeAlias"), n.alias);
	cr_expect_str_eq(j_str(job, "nodeId"), n.id);
	cr_expect_str_eq(j_str(job, "requestedBy"), j_str(get("/api/v1/auth/me", admin()).json, "data.id"));
	cr_expect_str_eq(j_str(job, "requestedAt"), j_str(job, "startedAt"));
	cr_expect_str_eq(j_str(job, "status"), "succeeded");
	cr_expect_str_eq(j_str(job, "targetHost"), "10.9.9.9", "the runner's answer overrides the node's address");
	cr_expect(strcmp(j_str(job, "completedAt"), j_str(job, "startedAt")) >= 0);
	cr_expect_eq(j_int(job, "exitCode"), 0);
	cr_expect_str_eq(j_str(job, "runnerRunId"), "ansible_77a0");
	cr_expect_str_eq(j_str(job, "stdout"), "PLAY RECAP");
	cr_expect_str_eq(j_str(job, "stderr"), "warned");
	cr_expect_not(j_has(job, "error"));

	json_object *event = audit_last("nodes.lifecycle.restart_service.succeeded", n.id);
	cr_expect_str_eq(j_str(event, "outcome"), "succeeded");
	cr_expect_str_eq(j_str(event, "permission"), "node:manage");
	cr_expect_str_eq(j_str(event, "correlationIds.nodeLifecycleJobId"), j_str(job, "id"));
	cr_expect_str_eq(j_str(event, "details.action"), "restart_service");
	cr_expect_eq(j_int(event, "details.exitCode"), 0);
	cr_expect_str_eq(j_str(event, "details.runnerRunId"), "ansible_77a0");
	cr_expect_str_eq(j_str(event, "details.status"), "succeeded");
	cr_expect_str_eq(j_str(event, "details.targetHost"), "10.9.9.9");
	cr_expect_str_eq(j_str(event, "target.name"), n.alias);
	cr_expect_str_eq(j_str(audit_last("nodes.lifecycle.run", n.id), "outcome"), "allowed");

	r = get(fmt("%s/lifecycle-jobs", n.path), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 1);
	cr_expect(json_object_equal(j_at(r.json, "data.0"), job), "%s", r.body);
	cr_expect_eq(j_int(audit_last("nodes.lifecycle_jobs.read.succeeded", n.id), "details.jobCount"), 1);
}

/* What the stock runner needs: the exact path, Content-Length, no chunks; sshUser only if it was given. */
Test(lifecycle, the_request_is_the_protocol_s)
{
	struct node n = enroll_node("Wire");
	must(run(&n, "smoke_check", ""), 202);
	char *request = read_file(fmt("%s/%s", getenv("RAKKR_TEST_RUNS"), n.id));
	cr_assert_not_null(request);
	const char *body = strstr(request, "\r\n\r\n") + 4;
	cr_expect_eq(strncmp(request, "POST /runs HTTP/1.1\r\n", 21), 0, "%s", request);
	cr_expect_not_null(strstr(request, "\r\nContent-Type: application/json\r\n"), "%s", request);
	cr_expect_not_null(strstr(request, "\r\nAuthorization: Bearer runner-secret\r\n"), "%s", request);
	cr_expect_not_null(strstr(request, fmt("\r\nContent-Length: %zu\r\n", strlen(body))), "%s", request);
	cr_expect_null(strcasestr(request, "transfer-encoding"), "%s", request);
	cr_expect_null(strcasestr(request, "expect:"), "%s", request);
	cr_expect_str_eq(body, fmt("{\"action\":\"smoke_check\",\"options\":{},\"target\":{\"host\":\"192.0.2.7\","
	                           "\"nodeAlias\":\"Wire\",\"nodeId\":\"%s\"}}",
	                           n.id));

	must(patch(n.path, admin(), "{\"ipAddresses\":[]}"), 200);
	must(run(&n, "rotate_trust", "{\"sshUser\":\"pi\",\"agentVersion\":\"1\"}"), 202);
	body = strstr(read_file(fmt("%s/%s", getenv("RAKKR_TEST_RUNS"), n.id)), "\r\n\r\n") + 4;
	cr_expect_not_null(strstr(body, "\"options\":{\"agentVersion\":\"1\",\"sshUser\":\"pi\"}"), "%s", body);
	cr_expect_not_null(strstr(body, "\"host\":\"rec-1\""), "without an address the host name: %s", body);
}

/* ---- runs that do not -------------------------------------------------------------------------------------------- */

static const struct {
	const char *answer;
	const char *error; /* NULL: none, the runner answered with data */
	int exit_code;     /* -1: none */
} failures[] = {
    {"exit-4", NULL, 4},
    {"no-exit-code", NULL, -1},
    {"exit-text", NULL, -1},
    {"odd-data", NULL, -1},
    {"status-400", "ssh_key_file_not_found", -1},
    {"status-404", "not_found", -1},
    {"status-500", "ansible_runner_500", -1},
    {"status-302", "ansible_runner_302", -1},
    {"no-data", "ansible_runner_200", -1},
    {"empty", "ansible_runner_200", -1},
    {"error-with-200", "unsupported_lifecycle_action", -1},
    {"reset", "fetch failed", -1},
    {"cut-body", "ansible_runner_200", -1},
    {"slow-body", "ansible_runner_200", -1},
    {"slow", "The operation was aborted due to timeout", -1},
};

static void expect_failure(const struct node *n, const struct response *r, const char *error, int exit_code)
{
	cr_assert_eq(r->status, 502, "%s: %d: %s", error, r->status, r->body);
	json_object *job = j_at(r->json, "data"), *event = audit_last("nodes.lifecycle.update_binary.failed", n->id);

	cr_expect_str_eq(j_str(job, "status"), "failed");
	cr_expect_str_eq(j_str(job, "error"), error != NULL ? error : "", "%s", r->body);
	cr_expect_eq(j_has(job, "error"), error != NULL);
	cr_expect_eq(j_int(job, "exitCode"), exit_code, "%s", r->body);
	cr_expect_str_neq(j_str(job, "completedAt"), "");
	cr_expect_str_eq(j_str(event, "outcome"), "failed");
	cr_expect_str_eq(j_str(event, "reason"), error != NULL ? error : "ansible_lifecycle_failed");
	cr_expect_str_eq(j_str(event, "correlationIds.nodeLifecycleJobId"), j_str(job, "id"));
	struct response list = get(fmt("%s/lifecycle-jobs", n->path), admin());
	cr_expect(json_object_equal(j_at(list.json, "data.0"), job), "the newest is first: %s", list.body);
}

Test(lifecycle, every_failure_has_its_text)
{
	struct node n = enroll_node("Fails");

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct response r = run(&n, "update_binary", fmt("{\"sshUser\":\"%s\"}", failures[i].answer));

		expect_failure(&n, &r, failures[i].error, failures[i].exit_code);
	}
	struct response list = get(fmt("%s/lifecycle-jobs", n.path), admin());
	cr_expect_eq(j_count(list.json, "data"), sizeof(failures) / sizeof(failures[0]));
}

Test(lifecycle, long_output_is_cut_between_characters)
{
	struct node n = enroll_node("Talks");
	struct response r = run(&n, "install_dependencies", "{\"sshUser\":\"long-output\"}");
	must(r, 202);
	const char *out = j_str(r.json, "data.stdout"), *err = j_str(r.json, "data.stderr");
	cr_expect_eq(strlen(err), 64 * 1024);
	cr_expect(strlen(out) <= 64 * 1024 && strlen(out) > 64 * 1024 - 4);
	cr_expect_eq(strncmp(out, "ü", 2), 0, "not inside of a character");
	cr_expect_str_eq(out + strlen(out) - 3, "END", "the end says how it went");
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(lifecycle, refusals)
{
	static const char *const bodies[] = {
	    "{\"agentVersion\":\"\"}", "{\"sshUser\":3}", "{\"other\":1}", "[]", "{\"sshUser\":null}", "null"};
	struct node n = enroll_node("Refused");
	struct response r = run(&n, "reboot", "{}");
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Invalid node lifecycle request\"}");
	cr_expect_str_eq(j_str(audit_last("nodes.lifecycle.run.failed", n.id), "reason"), "invalid_request");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		must(run(&n, "smoke_check", bodies[i]), 400);

	r = post("/api/v1/nodes/node_nobody/lifecycle/smoke_check", admin(), "{}");
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"Node not found\"}");
	cr_expect_str_eq(j_str(audit_last("nodes.lifecycle.run.failed", "node_nobody"), "reason"), "node_not_found");
	must(post("/api/v1/nodes/node_nobody/lifecycle/reboot", admin(), "{}"), 400);
	must(post(fmt("%s/lifecycle/smoke_check", n.path), NULL, "{}"), 401);
	struct user operator= create_user("operator", "[{\"resourceType\":\"node\",\"resourceId\":\"*\"}]");
	must(post(fmt("%s/lifecycle/smoke_check", n.path), operator.token, "{}"), 403);
	cr_expect_eq(j_count(get(fmt("%s/lifecycle-jobs", n.path), admin()).json, "data"), 0);
	cr_expect_null(read_file(fmt("%s/%s", getenv("RAKKR_TEST_RUNS"), n.id)), "the runner must not have been asked");
}

Test(lifecycle, output_is_for_those_who_may_run)
{
	struct node n = enroll_node("Output");
	must(run(&n, "smoke_check", "{}"), 202);
	struct user viewer = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));
	struct response r = get(fmt("%s/lifecycle-jobs", n.path), viewer.token);
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 1);
	cr_expect_str_eq(j_str(r.json, "data.0.status"), "succeeded");
	cr_expect_not(j_has(r.json, "data.0.stdout"));
	cr_expect_not(j_has(r.json, "data.0.stderr"));
}

/* ---- while it runs ----------------------------------------------------------------------------------------------- */

static bool is_running(void *arg)
{
	const struct node *n = arg;
	return strcmp(j_str(get(fmt("%s/lifecycle-jobs", n->path), admin()).json, "data.0.status"), "running") == 0;
}

static int answers[3];

/* Two slow runs; then a third one and a sign of life while both are under way. */
static void crowd(int index, void *arg)
{
	struct node *nodes = arg;

	if (index < 2) {
		answers[index] = run(&nodes[index], "smoke_check", "{\"sshUser\":\"slow\"}").status;
		return;
	}
	cr_expect(wait_until(is_running, &nodes[0], 2000) && wait_until(is_running, &nodes[1], 2000));
	answers[2] = run(&nodes[2], "smoke_check", "{}").status;
	struct response r =
	    post(fmt("%s/heartbeat", nodes[2].path), nodes[2].token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}");
	must(r, 202);
	cr_expect_lt(r.seconds, 1.0, "a heartbeat waits for nobody's run");
}

Test(lifecycle, runs_leave_a_worker_for_the_nodes)
{
	struct node nodes[3] = {enroll_node("Slow 1"), enroll_node("Slow 2"), enroll_node("Third")};

	parallel(3, crowd, nodes);
	cr_expect_eq(answers[0], 502);
	cr_expect_eq(answers[1], 502);
	cr_expect_eq(answers[2], 503);
	cr_expect_str_eq(j_str(audit_last("nodes.lifecycle.run.failed", nodes[2].id), "reason"), "lifecycle_busy");
	must(run(&nodes[2], "smoke_check", "{}"), 202);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

Test(lifecycle, the_file_is_the_contract_s)
{
	struct node n = enroll_node("File");
	must(run(&n, "smoke_check", "{}"), 202);
	must(run(&n, "rotate_trust", "{}"), 202);
	char *text = read_file(fmt("%s/data/node-lifecycle-jobs.json", instance_dir()));
	cr_assert_not_null(text);
	json_object *file = json_tokener_parse(text);
	cr_expect_eq(j_int(file, "version"), 1);
	cr_expect_str_neq(j_str(file, "updatedAt"), "");
	cr_expect_eq(strncmp(text, "{\n  \"jobs\": [\n    {\n", 20), 0, "%.60s", text);
	cr_expect_eq(text[strlen(text) - 1], '\n');
	json_object *mine = j_find(file, "jobs", "nodeId", n.id); /* the first one in the file */
	cr_expect_str_eq(j_str(mine, "action"), "rotate_trust", "the newest is at the front");
}

/* ---- instances of their own -------------------------------------------------------------------------------------- */

static void nap(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

Test(lifecycle, without_a_runner)
{
	unsetenv("RAKKR_ANSIBLE_RUNNER_URL");
	own_start(false);
	struct node n = enroll_node("Unconfigured");
	struct response r = run(&n, "update_binary", "{}");
	expect_failure(&n, &r, "ansible_runner_unconfigured", -1);
	own_stop();

	setenv("RAKKR_ANSIBLE_RUNNER_URL", "http://127.0.0.1:1", 1); /* nobody listens there */
	own_start(false);
	r = run(&n, "update_binary", "{}");
	expect_failure(&n, &r, "fetch failed", -1);
	own_stop();

	setenv("RAKKR_ANSIBLE_RUNNER_URL", "file:///etc", 1);
	own_start(false);
	r = run(&n, "update_binary", "{}");
	must(r, 502);
	cr_expect_str_neq(j_str(r.json, "data.error"), "");
	own_end();
}

/* The pool's process and all of its children, at once. */
static void kill_pool(void)
{
	int pool = atoi(read_file(fmt("%s/pid/pool", own_dir())));
	DIR *proc = opendir("/proc");

	kill(pool, SIGSTOP); /* so that it starts no new ones */
	for (struct dirent *e; (e = readdir(proc)) != NULL;) {
		char *stat = read_file(fmt("/proc/%s/stat", e->d_name)),
		     *end = stat != NULL ? strrchr(stat, ')') : NULL;
		int parent = 0;

		if (end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 && parent == pool)
			kill(atoi(e->d_name), SIGKILL);
	}
	closedir(proc);
	kill(pool, SIGKILL);
}

static void slow_or_killed(int index, void *arg)
{
	struct node *n = arg;

	if (index == 0) {
		run(n, "smoke_check", "{\"sshUser\":\"slow\"}");
		return;
	}
	cr_expect(wait_until(is_running, n, 5000));
	kill_pool();
}

static bool is_failed(void *arg)
{
	const struct node *n = arg;
	return strcmp(j_str(get(fmt("%s/lifecycle-jobs", n->path), admin()).json, "data.0.status"), "failed") == 0;
}

Test(lifecycle, a_run_cut_by_a_crash_is_failed_at_the_start)
{
	setenv("RAKKR_ANSIBLE_RUNNER_TIMEOUT_MS", "60000", 1);
	own_start(false);
	struct node n = enroll_node("Killed");
	parallel(2, slow_or_killed, &n);
	nap(100);
	own_stop();
	own_start(false);
	cr_assert(wait_until(is_failed, &n, 10000));
	json_object *job = j_at(get(fmt("%s/lifecycle-jobs", n.path), admin()).json, "data.0");
	cr_expect_str_eq(j_str(job, "error"), "controller_interrupted");
	cr_expect_str_neq(j_str(job, "completedAt"), "");
	json_object *event = audit_last("nodes.lifecycle.smoke_check.failed", n.id);
	cr_expect_str_eq(j_str(event, "actor.id"), "system:lifecycle-runner");
	cr_expect_str_eq(j_str(event, "correlationIds.nodeLifecycleJobId"), j_str(job, "id"));
	own_end();
}
