/* The audit log (contract 01 15; 09 D-50, D-51, D-76, D-77). */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS "/api/v1/audit-events"

/* A user whose name is found nowhere else, with a few events of its own. */
static struct user busy_user(const char *role, const char *grants)
{
	struct user u = create_user(role, grants);

	for (int i = 0; i < 3; i++)
		must(get("/api/v1/auth/me", u.token), 200);
	return u;
}

Test(audit, a_list_begins_with_its_own_event)
{
	struct user u = busy_user("auditor", NULL);
	struct response r = get(fmt(EVENTS "?actor=%s", u.id), u.token);
	json_object *event;

	must(r, 200);
	cr_expect_not(j_has(r.json, "meta"));
	event = j_at(r.json, "data.0");
	cr_expect_str_eq(j_str(event, "action"), "audit.events.read");
	cr_expect_str_eq(j_str(event, "outcome"), "allowed");
	cr_expect_str_eq(j_str(event, "permission"), "audit:read");
	cr_expect_str_eq(j_str(event, "actor.id"), u.id);
	cr_expect_str_eq(j_str(event, "actor.roles.0"), "auditor");
	cr_expect_str_eq(j_str(event, "details.method"), "GET");
	cr_expect_str_eq(j_str(event, "details.path"), EVENTS);
	cr_expect_str_eq(j_str(event, "target.type"), "controller");
	cr_expect_eq(strlen(j_str(event, "id")), 36);
	cr_expect(j_has(event, "correlationIds"));
	cr_expect_not(j_has(event, "actorUserId"));
	cr_expect_eq(j_count(r.json, "data"), 5, "login, three times me, this list: %s", r.body);
	r = get(fmt(EVENTS "?actor=%s&action=audit.events.read.succeeded", u.id), u.token);
	cr_expect_eq(j_int(r.json, "data.0.details.returnedCount"), 5);
}

/* Flat files keep the order of commits, which among requests at the same time is not that of their times. */
Test(audit, newest_first)
{
	struct user u = busy_user("viewer", NULL);
	struct response r = get(on_postgres() ? EVENTS "?limit=200" : fmt(EVENTS "?actor=%s", u.id), admin());
	const char *last = "9999";

	must(r, 200);
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		const char *at = j_str(r.json, fmt("data.%zu.createdAt", i));

		cr_expect(strcmp(at, last) <= 0, "%s after %s", at, last);
		last = at;
	}
}

static size_t found(const struct user *u, const char *filter)
{
	struct response r = get(fmt(EVENTS "?limit=500&actor=%s&%s", u->id, filter), admin());

	must(r, 200);
	return j_count(r.json, "data");
}

Test(audit, filters)
{
	struct user u = busy_user("viewer", NULL);
	const char *id = j_str(audit_last("auth.login.succeeded", u.id), "id");

	must(get("/api/v1/auth/users", u.token), 403);
	cr_expect_eq(found(&u, "action=ME.Read"), 3);
	cr_expect_eq(found(&u, "action=me%5C"), 0);
	cr_expect_eq(found(&u, "action=%25"), 0, "a percent sign is no pattern");
	cr_expect_eq(found(&u, "action=%20%20"), found(&u, ""), "blank is absent");
	cr_expect_eq(found(&u, "outcome=denied"), 1);
	cr_expect_eq(found(&u, "reason=missing_per"), 1);
	cr_expect_eq(found(&u, "permission=auth:manage"), 1);
	cr_expect_eq(found(&u, fmt("target=%s", u.email)), 4);
	cr_expect_eq(found(&u, fmt("id=%s", id)), 1);
	cr_expect_eq(found(&u, "id=audit_x"), 0);
	cr_expect_eq(found(&u, "from=2000"), found(&u, ""));
	cr_expect_eq(found(&u, "from=2999-01-01"), 0);
	cr_expect_eq(found(&u, "to=2000-01-01T00:00:00"), 0);
	cr_expect_eq(found(&u, "limit=2"), found(&u, ""), "the first limit counts");
	cr_expect_eq(j_count(get(fmt(EVENTS "?actor=%s&limit=2", u.id), admin()).json, "data"), 2);
}

/* 01 T15: an event is found by the time that it shows. */
Test(audit, bounds_of_time_are_inclusive)
{
	struct user u = busy_user("viewer", NULL);
	json_object *event = audit_last("auth.login.succeeded", u.id);
	const char *at = j_str(event, "createdAt");

	cr_expect_eq(found(&u, fmt("from=%s&to=%s&action=login", at, at)), 1);
}

/* A line of the log as a machine writes it whose clock is not set yet. */
static void append_of_long_ago(json_object *event)
{
	FILE *log = fopen(fmt("%s/data/audit-events.jsonl", instance_dir()), "a");

	cr_assert_not_null(log);
	json_object_object_add(event, "id", json_object_new_string("00000000-0000-7000-8000-000000000001"));
	json_object_object_add(event, "createdAt", json_object_new_string("2001-01-01T00:00:00.000Z"));
	fprintf(log, "%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN));
	fclose(log);
}

Test(audit, an_event_with_a_wrong_time_hides_no_others)
{
	struct user u = busy_user("viewer", NULL);
	json_object *event = audit_last("auth.login.succeeded", u.id);
	const char *from = fmt("from=%s", j_str(event, "createdAt"));
	size_t before = found(&u, from);

	if (on_postgres())
		cr_skip("about the order of a file");
	append_of_long_ago(event);
	must(get("/api/v1/auth/me", u.token), 200);
	cr_expect_eq(found(&u, from), before + 1);
	cr_expect_eq(found(&u, ""), before + 2);
}

Test(audit, filters_that_are_refused)
{
	static const struct {
		const char *query, *path, *message;
	} cases[] = {
	    {"from=yesterday", "from", "Expected an ISO date/time value"},
	    {"to=2026-13-01", "to", "Expected an ISO date/time value"},
	    {"from=%2B275000-01-01T00:00:00Z", "from", "Expected an ISO date/time value"},
	    {"limit=0", "limit", "Too small: expected number to be >=1"},
	    {"limit=501", "limit", "Too big: expected number to be <=500"},
	    {"limit=x", "limit", "Invalid input: expected number, received NaN"},
	    {"limit=1.5", "limit", "Invalid input: expected int, received number"},
	    {"outcome=fine", "outcome", NULL},
	    {"permission=all", "permission", NULL},
	};
	static const char *const routes[] = {EVENTS, EVENTS "/export", EVENTS "/facets"};

	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct response r = get(fmt("%s?%s", routes[k], cases[i].query), admin());

			must(r, 400);
			cr_expect_str_eq(j_str(r.json, "error"), "Invalid audit filters");
			cr_expect_eq(j_count(r.json, "issues"), 1);
			cr_expect_str_eq(j_str(r.json, "issues.0.path.0"), cases[i].path);
			if (cases[i].message != NULL)
				cr_expect_str_eq(j_str(r.json, "issues.0.message"), cases[i].message);
		}
	}
	cr_expect_str_eq(j_str(audit_last("audit.events.read.failed", NULL), "reason"), "invalid_filters");
	cr_expect_str_eq(j_str(audit_last("audit.events.export.failed", NULL), "reason"), "invalid_filters");
	cr_expect_str_eq(j_str(audit_last("audit.events.facets.read.failed", NULL), "reason"), "invalid_filters");
}

static const char csv_head[] =
    "\"createdAt\",\"actorType\",\"actorId\",\"actorName\",\"actorRoles\",\"action\",\"permission\",\"targetType\","
    "\"targetId\",\"targetName\",\"outcome\",\"reason\",\"correlationIds\",\"details\",\"before\",\"after\"\n";

static size_t lines(const char *s)
{
	size_t n = 1;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

Test(audit, export)
{
	struct user u = busy_user("viewer", NULL);
	struct response r = get(fmt(EVENTS "/export?actor=%s", u.id), admin());

	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Type"), "text/csv; charset=utf-8");
	cr_expect_not_null(strstr(header(&r, "Content-Disposition"), "attachment; filename=\"rakkr-audit-events-20"));
	cr_expect_eq(strncmp(r.body, csv_head, strlen(csv_head)), 0, "%.300s", r.body);
	cr_expect_eq(lines(r.body), 5);
	cr_expect_not_null(strstr(r.body, ",\"viewer\",\"auth.me.read.succeeded\",\"\",\"user\","));
	cr_expect_not_null(strstr(r.body, ",\"{}\",\"{\"\""));
	cr_expect_neq(r.body[r.len - 1], '\n');
	cr_expect(j_has(audit_last("audit.events.export.succeeded", NULL), "details.exportedCount"));
}

/* 09 D-76 */
Test(audit, formulas_are_disarmed)
{
	struct user u = create_user("viewer", NULL);
	struct response r;

	/* the id of a target may be anything that was asked for */
	must(get(fmt("/api/v1/auth/users/%%3Dcmd%s", u.id), admin()), 404);
	r = get(fmt(EVENTS "/export?target=%%3Dcmd%s", u.id), admin());
	must(r, 200);
	cr_expect_not_null(strstr(r.body, fmt("\"'=cmd%s\"", u.id)), "%s", r.body);
	cr_expect_null(strstr(r.body, ",\"=cmd"));
}

Test(audit, export_of_selected_events)
{
	struct user u = busy_user("viewer", NULL);
	struct response r = get(fmt(EVENTS "?actor=%s", u.id), admin()), csv;
	const char *a = j_str(r.json, "data.0.id"), *b = j_str(r.json, "data.1.id");
	json_object *event;
	char *second;

	csv = post(EVENTS "/export", admin(), "{\"eventIds\":[\"%s\",\" %s \",\"%s\"]}", b, a, b);
	must(csv, 200);
	cr_expect_eq(lines(csv.body), 3);
	second = strchr(csv.body + strlen(csv_head), '\n');
	cr_assert_not_null(second);
	cr_expect_eq(strncmp(csv.body + strlen(csv_head) + 1, j_str(r.json, "data.1.createdAt"), 24), 0);
	cr_expect_eq(strncmp(second + 2, j_str(r.json, "data.0.createdAt"), 24), 0);
	event = audit_last("audit.events.export_selected.succeeded", NULL);
	cr_expect(j_has(event, "correlationIds.auditEventId1"));
	cr_expect(j_has(event, "details.requestedCount"));
	csv = post(EVENTS "/export", admin(), "{\"eventIds\":[\"%s\",\"nothing\"]}", a);
	must(csv, 404);
	cr_expect_str_eq(csv.body, "{\"error\":\"Audit event not found\",\"eventId\":\"nothing\"}");
	event = audit_last("audit.events.export_selected.failed", NULL);
	cr_expect_str_eq(j_str(event, "outcome"), "failed");
}

Test(audit, selections_that_are_refused)
{
	static const char *const bodies[] = {"{}",
	                                     "[]",
	                                     "nonsense",
	                                     "{\"eventIds\":[]}",
	                                     "{\"eventIds\":[\" \"]}",
	                                     "{\"eventIds\":[1]}",
	                                     "{\"eventIds\":[\"x\"],\"more\":1}"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = post(EVENTS "/export", admin(), "%s", bodies[i]);

		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid audit export request");
		cr_expect_gt(j_count(r.json, "issues"), 0);
	}
}

Test(audit, facets)
{
	struct user u = busy_user("viewer", NULL);
	struct response r;
	json_object *actions;

	must(get("/api/v1/auth/users", u.token), 403);
	r = get(fmt(EVENTS "/facets?actor=%s", u.id), admin());
	must(r, 200);
	cr_expect_eq(j_int(r.json, "data.total"), 5);
	actions = j_find(r.json, "data.actions", "value", "auth.me.read.succeeded");
	cr_expect_eq(j_int(actions, "count"), 3);
	cr_expect_str_eq(j_str(r.json, "data.actions.0.value"), "auth.me.read.succeeded");
	cr_expect_str_eq(j_str(r.json, "data.actions.1.value"), "auth.login.succeeded");
	cr_expect_str_eq(j_str(r.json, "data.actions.2.value"), "auth.users.read");
	cr_expect_eq(j_int(j_find(r.json, "data.outcomes", "value", "denied"), "count"), 1);
	cr_expect_eq(j_int(j_find(r.json, "data.permissions", "value", "auth:manage"), "count"), 1);
	cr_expect_eq(j_count(r.json, "data.permissions"), 1, "events without a permission are not counted");
	cr_expect_eq(j_int(j_find(r.json, "data.reasons", "value", "missing_permission"), "count"), 1);
	cr_expect_eq(j_int(j_find(r.json, "data.targetTypes", "value", "user"), "count"), 4);
	cr_expect_eq(j_int(j_find(r.json, "data.actorTypes", "value", "user"), "count"), 5);
}

Test(audit, detail)
{
	struct user u = create_user("auditor", NULL);
	const char *id = j_str(audit_last("auth.login.succeeded", u.id), "id");
	struct response r = get(fmt(EVENTS "/%s", id), u.token), again = get(fmt(EVENTS "/%s/actions", id), u.token);

	must(r, 200);
	must(again, 200);
	cr_expect_str_eq(r.body, again.body);
	cr_expect_str_eq(j_str(r.json, "data.event.id"), id);
	cr_expect_str_eq(j_str(r.json, "data.links.export"), fmt(EVENTS "/export?id=%s", id));
	cr_expect_str_eq(j_str(r.json, "data.actions.detail.href"), fmt(EVENTS "/%s", id));
	cr_expect(j_true(r.json, "data.actions.export.enabled"));
	r = get(EVENTS "/audit_x", u.token);
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"Audit event not found\"}");
	cr_expect_str_eq(j_str(audit_last("audit.events.detail.read.failed", NULL), "reason"), "audit_event_not_found");
	must(get(EVENTS "/6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b/actions", u.token), 404);
}

/* 01 15.5, 09 D-77: what is hidden does not count against the limit. */
Test(audit, hidden_events_do_not_use_up_the_limit, .timeout = 120)
{
	struct node seen = enroll_node("Seen"), hidden = enroll_node("Hidden");
	struct user u = create_user("auditor", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", seen.id));
	struct response r;

	for (int i = 0; i < 3; i++)
		must(get(seen.path, admin()), 200);
	for (int i = 0; i < 600; i++) /* more than a page, and than a batch that is looked at */
		must(get(hidden.path, admin()), 200);
	r = get(EVENTS "?action=nodes.detail.read.succeeded&target=node_&limit=3", u.token);
	must(r, 200);
	cr_assert_eq(j_count(r.json, "data"), 3);
	for (int i = 0; i < 3; i++)
		cr_expect_str_eq(j_str(r.json, fmt("data.%d.target.id", i)), seen.id);
	r = get(fmt(EVENTS "?target=%s", hidden.id), u.token);
	cr_expect_eq(j_count(r.json, "data"), 0, "%s", r.body);
	must(get(fmt(EVENTS "/%s", j_str(audit_last("nodes.detail.read.succeeded", hidden.id), "id")), u.token), 404);
	must(get(fmt(EVENTS "/%s", j_str(audit_last("nodes.detail.read.succeeded", seen.id), "id")), u.token), 200);
	r = post(EVENTS "/export", u.token, "{\"eventIds\":[\"%s\"]}",
	         j_str(audit_last("nodes.detail.read.succeeded", hidden.id), "id"));
	must(r, 404);
}

Test(audit, only_with_permission)
{
	struct user u = create_user("viewer", NULL);

	must(get(EVENTS, u.token), 403);
	must(get(EVENTS "/facets", u.token), 403);
	must(get(EVENTS "/export", NULL), 401);
	must(post(EVENTS "/export", u.token, "{}"), 403);
}

/* Events that are a transaction of their own are durable without a word of the server's about how they came. */
Test(audit, events_leave_no_warning_in_the_log_of_the_database)
{
	if (!on_postgres())
		cr_skip_test("flat files");
	const char *log = fmt("%s/log/postgres.log", instance_dir());
	cr_assert_eq(access(log, R_OK), 0, "%s", log);
	must(get("/api/v1/nodes/node_no", admin()), 404);
	must(get("/api/v1/nodes", "no token"), 401);
	must(get("/api/v1/nodes?status=", admin()), 400);
	cr_expect_neq(system(fmt("grep 'WARNING:  SET LOCAL' '%s' >&2", log)), 0);
}
