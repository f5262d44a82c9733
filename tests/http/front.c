/*
 * What happens before any handler: paths and methods, CORS, header sizes, tokens (contract 01 2.1, 2.2, 8, 10; 02 5).
 */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- routing ----------------------------------------------------------------------------------------------------- */

static void expect_no_route(const char *method, const char *path)
{
	struct response r = http(method, path, admin(), NULL, NULL, 0);
	must(r, 404);
	cr_expect_str_eq(r.body, strcmp(method, "HEAD") == 0 ? "" : "404 Not Found", "%s", r.asked);
	cr_expect_str_eq(header(&r, "Content-Type"), "text/plain; charset=UTF-8", "%s", r.asked);
}

Test(front, unknown_paths_and_methods)
{
	static const char *const routes[][2] = {
	    {"GET", "/api/v1/nope"},
	    {"GET", "/api/v1/nodes/"},
	    {"GET", "/api/v1/Nodes"},
	    {"GET", "/api/v1//nodes"},
	    {"PUT", "/api/v1/nodes"},
	    {"DELETE", "/api/v1/nodes"},
	    {"GET", "/api/"},
	    {"POST", "/api/v1/auth/me"},
	    {"HEAD", "/api/v1/nope"},
	    {"PATCH", "/api/v1/status"},
	    {"GET", "/api/v1/nodes/a/b/c"},
	    {"GET", "/api/v1/auth/login"},
	};
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		expect_no_route(routes[i][0], routes[i][1]);
	struct response r = get("/api/v1/nope", NULL);
	must(r, 404);
}

Test(front, ids_with_odd_characters)
{
	static const char *const ids[] = {"a%2Fb", "..%2f..%2fetc", "%2e%2e", "..",           ".",   "a%25b", "a%3Fb",
	                                  "a%23b", "a%20b",         "%C3%A4", "%F0%9F%8E%A4", "a'b", "a%22b", "a;b",
	                                  "a%5Cb", "%25s%25n",      "a%0Ab"};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct response r = get(fmt("/api/v1/recordings/%s", ids[i]), admin());
		must(r, 404);
		cr_expect_str_eq(j_str(r.json, "error"), "Recording not found", "%s: %s", ids[i], r.body);
		r = get(fmt("/api/v1/nodes/%s", ids[i]), admin());
		must(r, 404);
		cr_expect_str_eq(j_str(r.json, "error"), "Node not found", "%s: %s", ids[i], r.body);
	}
	cr_expect_not_null(audit_find("nodes.detail.read", "a/b"), "an encoded slash is part of the id");
	struct response r = get("/api/v1/nodes/%00", admin());
	cr_expect(r.status == 404 || r.status == 400, "%d", r.status);
	r = get("/api/v1/nodes/%zz", admin());
	cr_expect(r.status == 404 || r.status == 400, "%d", r.status);
	must(get("/api/v1/nodes/%ff%fe", admin()), 404);
	must(get("/api/v1/auth/me", admin()), 200);
}

/* 01 2.1: which route it is, is decided on the decoded path; only reserved characters stay as they are. */
Test(front, letters_may_be_encoded)
{
	struct response r = get("/%61pi/v1/auth/m%65", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(audit_last("auth.me.read.succeeded", NULL), "details.path"), "/api/v1/auth/me");
	must(get("/api/v1/recordin%67s/%6eope", admin()), 404);
	cr_expect_not_null(audit_find("recordings.detail.read", "nope"));
	must(get("/api/v1/auth/%2575sers", admin()), 404);
	expect_no_route("GET", "/api/v1/auth%2Fme");
}

Test(front, head_is_get_without_a_body)
{
	struct node n = enroll_node("Head");
	struct response full = get(n.path, admin());
	struct response r = http("HEAD", n.path, admin(), NULL, NULL, 0);
	must(r, 200);
	cr_expect_eq(r.len, 0);
	cr_expect_str_eq(header(&r, "Content-Type"), header(&full, "Content-Type"));
	cr_expect_str_eq(header(&full, "Content-Type"), "application/json");
	cr_expect_str_eq(j_str(audit_last("nodes.detail.read.succeeded", n.id), "details.method"), "HEAD");
}

Test(front, health_of_the_service)
{
	struct response r = get("/healthz", NULL);
	must(r, 200);
	cr_expect(j_true(r.json, "ok"));
	cr_expect_str_eq(j_str(r.json, "service"), "rakkr-api");
	cr_expect_null(header(&r, "Access-Control-Allow-Credentials"));
	must(get("/readyz", NULL), 200);
	must(get("/api/v1/status", NULL), 401);
	must(get("/api/v1/status", admin()), 200);
}

/* ---- the console's files (08 B1, Trap 40) ------------------------------------------------------------------------ */

static void console_file(const char *name, const char *text)
{
	const char *path = fmt("%s/console/%s", instance_dir(), name);
	FILE *f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	fputs(text, f);
	fclose(f);
	chmod(path, 0644);
}

Test(front, files_of_the_console)
{
	static const char *const pages[] = {"/", "/nodes", "/schedules/sched_1", "/index.html", "/access?x=1"};
	struct response r;

	mkdir(fmt("%s/console/assets", instance_dir()), 0755);
	console_file("assets/app-1a2b.js", "let a;");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		r = get(pages[i], NULL);
		must(r, 200);
		cr_expect_not_null(strstr(r.body, "<!doctype html>"), "%s", pages[i]);
		cr_expect_str_eq(header(&r, "Cache-Control"), "no-cache", "%s", pages[i]);
	}
	r = get("/assets/app-1a2b.js", NULL);
	must(r, 200);
	cr_expect_str_eq(r.body, "let a;");
	cr_expect_not_null(strstr(header(&r, "Cache-Control"), "immutable"));
	must(get("/assets/app-0000.js", NULL), 404); /* no page in place of a script */
	must(get("/assets/", NULL), 404);
}

/* ---- CORS -------------------------------------------------------------------------------------------------------- */

Test(front, preflight)
{
	static const char *const paths[] = {"/api/v1/nodes", "/api/v1/nope", "/api/v1/nodes/x/y/z"};
	static const char *const origin[] = {"Origin: https://elsewhere.example", "Access-Control-Request-Method: PUT",
	                                     NULL};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct response r = http("OPTIONS", paths[i], NULL, origin, NULL, 0);
		must(r, 204);
		cr_expect_eq(r.len, 0);
		cr_expect_null(header(&r, "Access-Control-Allow-Origin"));
		cr_expect_str_eq(header(&r, "Access-Control-Allow-Credentials"), "true");
		cr_expect_str_eq(header(&r, "Access-Control-Allow-Methods"), "GET,POST,PUT,PATCH,DELETE,OPTIONS");
		cr_expect_str_eq(header(&r, "Access-Control-Allow-Headers"), "Content-Type,Authorization");
		cr_expect_null(header(&r, "Content-Type"));
		cr_expect_null(header(&r, "Access-Control-Max-Age"));
	}
	must(http("OPTIONS", "/healthz", NULL, origin, NULL, 0), 404);
}

Test(front, cors_headers_on_every_answer)
{
	const char *const foreign[] = {"Origin: https://elsewhere.example", NULL};
	const char *web_origin = getenv("RAKKR_WEB_ORIGIN");
	const char *const own[] = {fmt("Origin: %s", web_origin != NULL ? web_origin : "http://localhost:5173"), NULL};
	static const char *const paths[] = {"/api/v1/auth/me", "/api/v1/nope", "/api/v1/nodes"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct response r = http("GET", paths[i], NULL, foreign, NULL, 0);
		cr_expect_null(header(&r, "Access-Control-Allow-Origin"), "%s", paths[i]);
		cr_expect_str_eq(header(&r, "Access-Control-Allow-Credentials"), "true", "%s", paths[i]);
		cr_expect_str_eq(header(&r, "Vary"), "Origin", "%s", paths[i]);
		cr_expect_null(header(&r, "Access-Control-Allow-Methods"));
		r = http("GET", paths[i], NULL, own, NULL, 0);
		cr_expect_str_eq(header(&r, "Access-Control-Allow-Origin"), own[0] + strlen("Origin: "), "%s",
		                 paths[i]);
	}
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

static char *long_text(size_t n)
{
	char *text = malloc(n + 1);
	memset(text, 'x', n);
	text[n] = '\0';
	return text;
}

Test(front, header_sizes)
{
	must(get("/api/v1/auth/me", long_text(7000)), 401);
	struct response r = get("/api/v1/auth/me", long_text(200000));
	cr_expect(r.status >= 400 && r.status < 500, "%d", r.status);
	must(get(fmt("/api/v1/nodes/%s", long_text(200000)), admin()), 414);
	const char *const agent[] = {fmt("User-Agent: %s", long_text(6000)), NULL};
	must(http("GET", "/api/v1/auth/me", admin(), agent, NULL, 0), 200);

	struct node n = enroll_node("Reason");
	struct take t = start_recording(&n);
	const char *const reason[] = {fmt("x-rakkr-reason: %s", long_text(6000)), NULL};
	r = http("POST", fmt("%s/failed", t.job_path), n.token, reason, NULL, 0);
	must(r, 200);
	cr_expect_eq(strlen(j_str(r.json, "data.failureReason")), 500);
	must(get("/api/v1/auth/me", admin()), 200);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static struct response with_authorization(const char *method, const char *path, const char *value)
{
	const char *const headers[] = {fmt("Authorization: %s", value), NULL};
	return http(method, path, NULL, headers, NULL, 0);
}

Test(front, tokens_that_are_none)
{
	static const char *const values[] = {
	    "Bearer rakkr_wrong", "Bearer", "Basic YWRtaW46YWRtaW4=", "Bearer  x", "rakkr_x", "Bearer ' OR 1=1 --"};
	struct node n = enroll_node("Tokens");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct response r = with_authorization("GET", "/api/v1/nodes", values[i]);
		must(r, 401);
		cr_expect_str_eq(j_str(r.json, "error"), "Unauthorized", "%s", values[i]);
		cr_expect_str_eq(j_str(r.json, "permission"), "node:read", "%s", values[i]);
		r = with_authorization("GET", fmt("%s/config", n.path), values[i]);
		must(r, 401);
	}
	struct response r = with_authorization("GET", fmt("%s/config", n.path), "Bearer  x");
	cr_expect_str_eq(j_str(r.json, "error"), "Node credential required");
	must(with_authorization("GET", "/api/v1/auth/me", fmt("bEARER %s", admin())), 200);
}

Test(front, each_kind_of_token_only_opens_its_own_doors)
{
	struct node n = enroll_node("Kinds");
	struct response r = get("/api/v1/nodes", n.token);
	must(r, 401);
	must(get("/api/v1/auth/me", n.token), 401);
	r = get(fmt("%s/config", n.path), admin());
	must(r, 401);
	cr_expect_str_eq(j_str(r.json, "error"), "Invalid node credential");
}

Test(front, another_nodes_token)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct take t = start_recording(&other);
	struct response r = get(fmt("%s/config", other.path), mine.token);
	must(r, 403);
	cr_expect_str_eq(j_str(r.json, "error"), "Node credential cannot access this node");
	cr_expect_str_eq(j_str(audit_last("nodes.config.read.failed", other.id), "reason"), "node_scope_denied");
	must(post(fmt("%s/heartbeat", other.path), mine.token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}"), 403);
	must(post(fmt("%s/recording-jobs/claim-next", other.path), mine.token, NULL), 403);
	r = post(fmt("%s/claim", t.job_path), mine.token, NULL);
	must(r, 403);
	cr_expect_str_eq(j_str(r.json, "error"), "Node credential cannot access this job");
	must(get(t.job_path, mine.token), 403);
	must(post(fmt("%s/heartbeat", t.job_path), mine.token, NULL), 403);
	must(post(fmt("%s/failed", t.job_path), mine.token, NULL), 403);
	must(post(fmt("%s/cancelled", t.job_path), mine.token, NULL), 403);
	r = http("PUT", fmt("%s/cache-file", t.recording_path), mine.token, NULL, "RIFF", 4);
	must(r, 403);
	cr_expect_str_eq(j_str(r.json, "error"), "Node credential cannot access this recording");
	r = get(t.job_path, other.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "queued");
}

Test(front, revoked_tokens)
{
	struct user u = create_user("viewer", NULL);
	must(get("/api/v1/auth/me", u.token), 200);
	must(post("/api/v1/auth/logout", u.token, NULL), 204);
	must(get("/api/v1/auth/me", u.token), 401);
	must(post("/api/v1/auth/logout", u.token, NULL), 204);

	const char *again = login(u.email, u.password);
	must(patch(fmt("/api/v1/auth/users/%s/status", u.id), admin(), "{\"disabled\":true}"), 200);
	must(get("/api/v1/auth/me", again), 401);
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", u.email, u.password), 401);

	struct node n = enroll_node("Rotate");
	struct response r = post(fmt("%s/credentials/rotate", n.path), admin(), NULL);
	must(r, 201);
	must(get(fmt("%s/config", n.path), n.token), 401);
	must(get(fmt("%s/config", n.path), j_str(r.json, "data.credential.token")), 200);
}

Test(front, expired_sessions)
{
	if (!on_postgres())
		cr_skip_test("the expiry of a session can only be moved in a database");
	struct user u = create_user("viewer", NULL);
	must(get("/api/v1/auth/me", u.token), 200);
	sql("UPDATE auth_sessions SET expires_at = now() - interval '1 second' WHERE user_id = '%s'", u.id);
	must(get("/api/v1/auth/me", u.token), 401);
}

Test(front, sign_in_with_nonsense)
{
	static const char *const bodies[] = {"{}",
	                                     "{\"email\":5,\"password\":\"x\"}",
	                                     "{\"email\":\"x\",\"password\":\"x\"}",
	                                     "{\"email\":\"a@b.cc\",\"password\":\"\"}",
	                                     "[]",
	                                     "{\"email\":\"a@b.cc\"}"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = post("/api/v1/auth/login", NULL, "%s", bodies[i]);
		must(r, 400);
		cr_expect_str_eq(r.body, "{\"error\":\"Invalid login request\"}");
	}
	struct response r = post("/api/v1/auth/login", NULL, "{\"email\":\"nobody@example.org\",\"password\":\"x\"}");
	must(r, 401);
	cr_expect_str_eq(r.body, "{\"error\":\"Invalid credentials\"}");
}
