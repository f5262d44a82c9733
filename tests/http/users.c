/* Users, groups, access, life cycle, access policies (contract 01 12, 13; 09 D-25, D-28, D-29, D-48, D-59). */
#include "http/harness.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USERS "/api/v1/auth/users"
#define POLICIES "/api/v1/auth/access-policies"
#define ADMIN_ID "00000000-0000-4000-8000-000000000001"

static const char *unused_email(void)
{
	return fmt("x%s", create_user("viewer", NULL).email);
}

static void expect_failed(const char *action, const char *target_id, const char *reason)
{
	json_object *event = audit_last(action, target_id);

	cr_expect_str_eq(j_str(event, "outcome"), "failed", "%s", action);
	cr_expect_str_eq(j_str(event, "reason"), reason, "%s", action);
	cr_expect_str_eq(j_str(event, "permission"), "auth:manage", "%s", action);
}

static const char *path_of(const struct user *u, const char *rest)
{
	return fmt(USERS "/%s%s", u->id, rest);
}

static const char *in_capitals(const char *id)
{
	char *s = fmt("%s", id);

	for (char *c = s; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return s;
}

/* n copies of c. */
static const char *run_of(char c, size_t n)
{
	char *s = fmt("%*s", (int)n, "");

	memset(s, c, n);
	return s;
}

Test(users, list_groups_and_actions)
{
	struct user u = create_user("viewer", NULL);
	struct response r = get(USERS, admin());
	json_object *mine;

	must(r, 200);
	mine = j_find(r.json, "data", "id", u.id);
	cr_assert_not_null(mine);
	cr_expect_str_eq(j_str(mine, "email"), u.email);
	cr_expect_not_null(j_find(r.json, "data", "id", ADMIN_ID));
	cr_expect_null(strstr(r.body, "argon2"));
	cr_expect_eq(j_int(audit_last("auth.users.read.succeeded", NULL), "details.count") > 1, 1);
	must(patch(path_of(&u, "/access"), admin(), "{\"roles\":[\"viewer\"],\"groupIds\":[\"choir\"]}"), 200);
	r = get("/api/v1/auth/groups", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(j_find(r.json, "data", "id", "choir"), "name"), "choir");
	r = get("/api/v1/auth/actions", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.updatePolicies.href"), POLICIES);
	cr_expect_str_eq(j_str(r.json, "data.links.accessPolicyActions"), POLICIES "/actions");
	cr_expect_eq(j_int(audit_last("auth.actions.read.succeeded", NULL), "details.visibleActionCount"), 5);
}

Test(users, create)
{
	const char *email = unused_email();
	struct response r = post(USERS, admin(),
	                         "{\"email\":\"%s\",\"name\":\"  Ann \",\"password\":\"12345678\","
	                         "\"roles\":[\"viewer\",\"auditor\",\"viewer\"],\"groupIds\":[\" g1 \",\"g1\"],"
	                         "\"resourceGrants\":[{\"resourceId\":\"R\",\"resourceType\":\"room\",\"x\":1},"
	                         "{\"resourceId\":\"R\",\"resourceType\":\"room\"}]}",
	                         email);
	json_object *event;

	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.name"), "Ann");
	cr_expect_str_eq(j_str(r.json, "data.provider"), "local");
	cr_expect_eq(j_count(r.json, "data.roles"), 2);
	cr_expect_eq(j_count(r.json, "data.groups"), 1);
	cr_expect_eq(j_count(r.json, "data.resourceGrants"), 1);
	cr_expect_eq(strlen(j_str(r.json, "data.id")), 36);
	event = audit_last("auth.users.create.succeeded", j_str(r.json, "data.id"));
	cr_expect_str_eq(j_str(event, "target.name"), email);
	cr_expect_str_eq(j_str(event, "details.email"), email);
	cr_expect_str_eq(j_str(event, "details.provider"), "local");
	cr_expect_eq(j_count(event, "after.roles"), 2);
	cr_expect_not(j_has(event, "before"));
	r = post(USERS, admin(), "{\"email\":\"%s\",\"name\":\"B\",\"password\":\"12345678\",\"roles\":[\"owner\"]}",
	         email);
	must(r, 409);
	cr_expect_str_eq(r.body, "{\"error\":\"Local user already exists\"}");
	event = audit_last("auth.users.create.failed", NULL);
	cr_expect(j_has(event, "reason"));
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"12345678\"}", email), 200);
}

Test(users, create_bodies_that_are_refused)
{
	const char *ok = "\"email\":\"a@b.org\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"viewer\"]";
	const struct {
		const char *body, *code, *first;
	} cases[] = {
	    {"{}", "invalid_type", "roles"},
	    {"nonsense", "invalid_type", "roles"},
	    {fmt("{%s,\"extra\":1}", ok), "unrecognized_keys", NULL},
	    {fmt("{%s,\"groupIds\":[\"\"]}", ok), "too_small", "groupIds"},
	    {fmt("{%s,\"groupIds\":[\"%s\"]}", ok, run_of('g', 121)), "too_big", "groupIds"},
	    {fmt("{%s,\"resourceGrants\":[{\"resourceId\":\"%s\",\"resourceType\":\"room\"}]}", ok, run_of('r', 161)),
	     "too_big", "resourceGrants"},
	    {fmt("{%s,\"resourceGrants\":[{\"resourceId\":\"x\",\"resourceType\":\"%s\"}]}", ok, run_of('r', 81)),
	     "too_big", "resourceGrants"},
	    {"{\"email\":\"a@b.org\",\"name\":\"A\",\"password\":\"1234567\",\"roles\":[\"viewer\"]}", "too_small",
	     "password"},
	    {"{\"email\":\"a@b.org\",\"name\":\" \",\"password\":\"12345678\",\"roles\":[\"viewer\"]}", "too_small",
	     "name"},
	    {"{\"email\":\"a@b.org\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[]}", "too_small", "roles"},
	    {"{\"email\":\"a@b.org\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"root\"]}", "invalid_value",
	     "roles"},
	    {"{\"email\":\"a@b\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"viewer\"]}", "invalid_format",
	     "email"},
	    {fmt("{\"email\":\"%s@b.org\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"viewer\"]}",
	         run_of('a', 427)),
	     "too_big", "email"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response r = post(USERS, admin(), "%s", cases[i].body);

		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid local user", "case %zu", i);
		cr_expect_str_eq(j_str(r.json, "issues.0.code"), cases[i].code, "case %zu: %s", i, r.body);
		if (cases[i].first != NULL)
			cr_expect_str_eq(j_str(r.json, "issues.0.path.0"), cases[i].first, "case %zu", i);
	}
	cr_expect_str_eq(j_str(audit_last("auth.users.create.failed", NULL), "outcome"), "failed");
}

Test(users, two_thousand_grants_and_no_more)
{
	const char *email = unused_email();
	char *grants = fmt("%*s", 2001 * 48, "");

	for (int count = 2001; count >= 2000; count--) {
		char *at = grants;
		struct response r;

		for (int i = 0; i < count; i++)
			at += sprintf(at, "%s{\"resourceType\":\"node\",\"resourceId\":\"n%d\"}", i ? "," : "", i);
		r = post(USERS, admin(),
		         "{\"email\":\"%s\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"viewer\"],"
		         "\"resourceGrants\":[%s]}",
		         email, grants);
		must(r, count == 2001 ? 400 : 201);
	}
}

static void create_same(int index, void *arg)
{
	int *status = arg;

	status[index + 1] = post(USERS, admin(),
	                         "{\"email\":\"par%d-%ld@example.org\",\"name\":\"P\",\"password\":\"12345678\","
	                         "\"roles\":[\"viewer\"]}",
	                         status[0], (long)getpid())
	                        .status;
}

/* 09 D-25 */
Test(users, one_of_eight_creations_wins)
{
	int status[9] = {1}, created = 0, conflict = 0;

	admin();
	parallel(8, create_same, status);
	for (int i = 1; i < 9; i++) {
		created += status[i] == 201;
		conflict += status[i] == 409;
	}
	cr_expect_eq(created, 1);
	cr_expect_eq(conflict, 7);
	create_user("viewer", NULL);
}

Test(users, detail_and_actions)
{
	struct user u = create_user("viewer", NULL);
	struct response r = get(path_of(&u, ""), admin()), again = get(path_of(&u, "/actions"), admin());

	must(r, 200);
	must(again, 200);
	cr_expect_str_eq(r.body, again.body);
	cr_expect_str_eq(j_str(r.json, "data.user.id"), u.id);
	cr_expect_str_eq(j_str(r.json, "data.actions.delete.href"), path_of(&u, ""));
	cr_expect(j_true(r.json, "data.actions.disable.payload.disabled"));
	cr_expect_str_eq(j_str(r.json, "data.actions.enable.reason"), "user_already_enabled");
	cr_expect_str_eq(j_str(r.json, "data.links.password"), path_of(&u, "/password"));
	cr_expect_str_eq(j_str(audit_last("auth.users.detail.read.succeeded", u.id), "target.name"), u.email);
	r = get(USERS "/" ADMIN_ID, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.delete.reason"), "self_delete_denied");
	cr_expect_str_eq(j_str(r.json, "data.actions.disable.reason"), "self_disable_denied");
	r = get(USERS "/nobody", admin());
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"User not found\"}");
	expect_failed("auth.users.detail.read.failed", "nobody", "user_not_found");
	must(get(USERS "/6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b/actions", admin()), 404);
}

Test(users, an_admin_cannot_touch_the_local_admin)
{
	struct user u = create_user("admin", NULL);
	struct response r = get(USERS "/" ADMIN_ID, u.token);

	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.delete.reason"), "local_admin_delete_denied");
	cr_expect_str_eq(j_str(r.json, "data.actions.disable.reason"), "local_admin_disable_denied");
	r = del(USERS "/" ADMIN_ID, u.token);
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Cannot delete the bootstrap local admin\"}");
	expect_failed("auth.users.delete.failed", ADMIN_ID, "local_admin_delete_denied");
	r = patch(USERS "/" ADMIN_ID "/status", u.token, "{\"disabled\":true}");
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Cannot disable the bootstrap local admin\"}");
	must(patch(USERS "/" ADMIN_ID "/status", u.token, "{\"disabled\":false}"), 200);
}

Test(users, access_update)
{
	struct user u = create_user("operator", "[{\"resourceType\":\"node\",\"resourceId\":\"n1\"}]");
	struct response r = patch(path_of(&u, "/access"), admin(),
	                          "{\"roles\":[\"admin\",\"admin\"],\"groupIds\":[\" av \",\"av\"],"
	                          "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"R\"}]}");
	json_object *event;

	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.roles"), 1);
	cr_expect_str_eq(j_str(r.json, "data.groups.0.id"), "av");
	event = audit_last("auth.users.access.update.succeeded", u.id);
	cr_expect_str_eq(j_str(event, "before.roles.0"), "operator");
	cr_expect_str_eq(j_str(event, "before.resourceGrants.0.resourceId"), "n1");
	cr_expect_str_eq(j_str(event, "after.roles.0"), "admin");
	cr_expect_str_eq(j_str(event, "target.name"), u.email);
	cr_expect_eq(get(USERS, u.token).status, 200, "a live session sees the change at once");
	r = patch(path_of(&u, "/access"), u.token, "{\"roles\":[\"operator\"]}");
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Local access manager must keep auth:manage\"}");
	expect_failed("auth.users.access.update.failed", u.id, "self_auth_manage_required");
	must(patch(path_of(&u, "/access"), u.token, "{\"roles\":[\"owner\"]}"), 200);
	r = get(path_of(&u, ""), admin());
	cr_expect_eq(j_count(r.json, "data.user.groups"), 0, "omitted groups are cleared");
	cr_expect_eq(j_count(r.json, "data.user.resourceGrants"), 0);
}

/* 01 T25: the same id in other letters is the same user. */
Test(users, upper_case_ids_do_not_get_around)
{
	struct user u = create_user("owner", NULL);
	const char *upper = in_capitals(u.id);

	must(del(fmt(USERS "/%s", upper), u.token), 400);
	must(patch(fmt(USERS "/%s/status", upper), u.token, "{\"disabled\":true}"), 400);
	must(patch(fmt(USERS "/%s/access", upper), u.token, "{\"roles\":[\"viewer\"]}"), 400);
	must(get(fmt(USERS "/%s", upper), u.token), 200);
}

/* 09 D-28 */
Test(users, a_refused_access_update_changes_nothing)
{
	struct user u = create_user("operator", "[{\"resourceType\":\"node\",\"resourceId\":\"n1\"}]");
	struct response r;

	must(patch(path_of(&u, "/access"), admin(),
	           "{\"roles\":[\"operator\"],\"groupIds\":[\"g\"],\"resourceGrants\":[{\"resourceType\":\"node\","
	           "\"resourceId\":\"n1\"}]}"),
	     200);
	r = patch(path_of(&u, "/access"), admin(),
	          "{\"roles\":[\"viewer\"],\"resourceGrants\":[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]}",
	          run_of('n', 200));
	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "error"), "Invalid access update");
	expect_failed("auth.users.access.update.failed", u.id, "invalid_request");
	r = get(path_of(&u, ""), admin());
	cr_expect_str_eq(j_str(r.json, "data.user.roles.0"), "operator");
	cr_expect_eq(j_count(r.json, "data.user.resourceGrants"), 1);
	cr_expect_eq(j_count(r.json, "data.user.groups"), 1);
	must(patch(USERS "/6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b/access", admin(), "{\"roles\":[\"viewer\"]}"), 404);
}

Test(users, password_reset)
{
	struct user u = create_user("viewer", NULL);
	struct response r = patch(path_of(&u, "/password"), admin(), "{\"password\":\"short\"}");
	json_object *event;

	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "error"), "Invalid password reset");
	cr_expect_str_eq(j_str(r.json, "issues.0.code"), "too_small");
	expect_failed("auth.users.password.reset.failed", u.id, "invalid_request");
	r = patch(path_of(&u, "/password"), admin(), "{\"password\":\"a new password\"}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), u.id);
	event = audit_last("auth.users.password.reset.succeeded", u.id);
	cr_expect(j_true(event, "details.sessionsRevoked"));
	cr_expect(j_has(event, "before.roles"));
	cr_expect_eq(get("/api/v1/auth/me", u.token).status, 401);
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", u.email, u.password), 401);
	login(u.email, "a new password");
	login(u.email, "a new password");
	must(patch(USERS "/nobody/password", admin(), "{\"password\":\"12345678\"}"), 404);
}

Test(users, status)
{
	struct user u = create_user("viewer", NULL);
	struct response r = patch(path_of(&u, "/status"), admin(), "{}");
	json_object *event;

	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "error"), "Invalid user status");
	for (int i = 0; i < 2; i++) {
		r = patch(path_of(&u, "/status"), admin(), "{\"disabled\":true}");
		must(r, 200);
		cr_expect_eq(strlen(j_str(r.json, "data.disabledAt")), 24);
	}
	event = audit_last("auth.users.status.update.succeeded", u.id);
	cr_expect(j_true(event, "details.disabled"));
	cr_expect(j_true(event, "details.sessionsRevoked"));
	cr_expect(j_has(event, "after.disabledAt"));
	cr_expect_eq(get("/api/v1/auth/me", u.token).status, 401);
	r = get(path_of(&u, ""), admin());
	cr_expect_str_eq(j_str(r.json, "data.actions.disable.reason"), "user_already_disabled");
	cr_expect_not(j_true(r.json, "data.actions.enable.payload.disabled"));
	r = patch(path_of(&u, "/status"), admin(), "{\"disabled\":false}");
	must(r, 200);
	cr_expect_not(j_has(r.json, "data.disabledAt"));
	cr_expect_eq(get("/api/v1/auth/me", u.token).status, 401, "enabling brings no session back");
	login(u.email, u.password);
	r = patch(USERS "/" ADMIN_ID "/status", admin(), "{\"disabled\":true}");
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Cannot disable the current user\"}");
	must(patch(USERS "/nobody/status", admin(), "{\"disabled\":true}"), 404);
	expect_failed("auth.users.status.update.failed", "nobody", "user_not_found");
}

Test(users, delete)
{
	struct user u = create_user("viewer", "[{\"resourceType\":\"room\",\"resourceId\":\"R\"}]");
	struct response r = del(path_of(&u, ""), admin());
	json_object *event;

	must(r, 204);
	cr_expect_eq(r.len, 0);
	event = audit_last("auth.users.delete.succeeded", u.id);
	cr_expect_str_eq(j_str(event, "details.email"), u.email);
	cr_expect(j_true(event, "details.sessionsRevoked"));
	cr_expect(j_has(event, "before.roles"));
	cr_expect_not(j_has(event, "after"));
	cr_expect_eq(get("/api/v1/auth/me", u.token).status, 401);
	must(get(path_of(&u, ""), admin()), 404);
	must(del(path_of(&u, ""), admin()), 404);
	expect_failed("auth.users.delete.failed", u.id, "user_not_found");
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", u.email, u.password), 401);
	r = del(USERS "/" ADMIN_ID, admin());
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Cannot delete the current user\"}");
	must(post(USERS, admin(), "{\"email\":\"%s\",\"name\":\"A\",\"password\":\"12345678\",\"roles\":[\"viewer\"]}",
	          u.email),
	     201);
}

/* ---- policies: one test, since there is one list ----------------------------------------------------------------- */

static void policies_are_checked(void)
{
	static const char *const bodies[] = {
	    "nonsense",
	    "[]",
	    "{\"policies\":{}}",
	    "{\"policies\":[{}]}",
	    "{\"policies\":[{\"effect\":\"maybe\",\"resourceId\":\"x\",\"resourceType\":\"node\",\"subjectType\":"
	    "\"user\"}]}",
	    "{\"policies\":[{\"effect\":\"deny\",\"resourceId\":\"\",\"resourceType\":\"node\",\"subjectType\":"
	    "\"user\"}]}",
	};
	struct response r;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		r = patch(POLICIES, admin(), "%s", bodies[i]);
		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid access policies");
		cr_expect_gt(j_count(r.json, "issues"), 0);
	}
	r = patch(POLICIES, admin(), NULL);
	must(r, 400);
	expect_failed("auth.access_policies.update.failed", NULL, "invalid_request");
}

static void policies_are_replaced(const struct user *u)
{
	struct response r =
	    patch(POLICIES, admin(),
	          "{\"policies\":[{\"effect\":\"deny\",\"reason\":\"1\",\"resourceId\":\"%s\","
	          "\"resourceType\":\"user\",\"subjectId\":\"%s\",\"subjectType\":\"user\"},"
	          "{\"effect\":\"allow\",\"resourceId\":\"HQ\",\"resourceType\":\"site\",\"subjectId\":\"%s\","
	          "\"subjectType\":\"user\"},"
	          "{\"effect\":\"deny\",\"reason\":\"sealed\",\"resourceId\":\"%s\","
	          "\"resourceType\":\"user\",\"subjectId\":\"%s\",\"subjectType\":\"user\"}]}",
	          u->id, u->id, u->email, u->id, u->id);

	must(r, 200);
	cr_assert_eq(j_count(r.json, "data"), 2);
	cr_expect_str_eq(j_str(r.json, "data.0.reason"), "sealed");
	cr_expect_eq(strncmp(j_str(r.json, "data.0.id"), "policy_", 7), 0);
	r = get(POLICIES, admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 2);
	r = get(POLICIES "/actions", admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.policies"), 2);
	cr_expect_str_eq(j_str(r.json, "data.actions.update.method"), "PATCH");
	cr_expect_eq(j_int(audit_last("auth.access_policies.actions.read.succeeded", NULL), "details.policyCount"), 2);
	cr_expect_eq(j_count(audit_last("auth.access_policies.update.succeeded", NULL), "after.policies"), 2);
}

/* Deny beats owner on an id, never on a route without one (01 T13). */
static void policies_decide(const struct user *u)
{
	struct response r = get(path_of(u, ""), u->token);

	must(r, 403);
	r = get(fmt("/api/v1/audit-events?limit=10&actor=%s&action=auth.users.detail.read", u->id), admin());
	cr_expect_str_eq(j_str(r.json, "data.0.reason"), "access_policy_denied");
	cr_expect_str_eq(j_str(r.json, "data.0.details.resourceScopeDecision"), "access_policy_denied");
	must(get(USERS, u->token), 200);
	must(get(POLICIES, u->token), 200);
	must(get(path_of(u, ""), admin()), 200);
	/* a user is the same in other letters (01 T25), and so is what is denied */
	must(get(fmt(USERS "/%s", in_capitals(u->id)), u->token), 403);
	must(patch(fmt(USERS "/%s/password", in_capitals(u->id)), u->token, "{\"password\":\"12345678\"}"), 403);
	cr_expect_str_eq(j_str(audit_last("auth.users.password.reset", u->id), "reason"), "access_policy_denied");
}

/*
 * 09 15.1: rules by e-mail outlive the account, and apply to the next one with that address; its deletion names them.
 */
static void policies_outlive_their_user(void)
{
	struct user u = create_user("owner", NULL), plain = create_user("owner", NULL);
	struct response r = patch(POLICIES, admin(),
	                          "{\"policies\":[{\"effect\":\"deny\",\"resourceId\":\"%s\",\"resourceType\":\"user\","
	                          "\"subjectId\":\"%s\",\"subjectType\":\"user\"},{\"effect\":\"allow\",\"resourceId\":"
	                          "\"x\",\"resourceType\":\"node\",\"subjectId\":\"%s\",\"subjectType\":\"group\"}]}",
	                          plain.id, u.email, u.email);

	must(r, 200);
	must(get(path_of(&plain, ""), u.token), 403);
	must(del(path_of(&u, ""), admin()), 204);
	cr_expect_eq(j_count(audit_last("auth.users.delete.succeeded", u.id), "details.accessPolicyIds"), 1);
	must(post(USERS, admin(), "{\"email\":\"%s\",\"name\":\"A\",\"password\":\"%s\",\"roles\":[\"owner\"]}",
	          u.email, u.password),
	     201);
	must(get(path_of(&plain, ""), login(u.email, u.password)), 403);
	must(del(path_of(&plain, ""), admin()), 204);
	cr_expect_not(j_has(audit_last("auth.users.delete.succeeded", plain.id), "details.accessPolicyIds"));
	/* a real empty object clears the list (01 T2) */
	r = patch(POLICIES, admin(), "{}");
	must(r, 200);
	cr_expect_str_eq(r.body, "{\"data\":[]}");
}

Test(users, policies)
{
	struct user u = create_user("owner", NULL);
	struct response r;

	policies_are_checked();
	policies_are_replaced(&u);
	policies_decide(&u);
	/* 09 D-29: a list that is refused leaves the old one in force */
	r = patch(POLICIES, admin(),
	          "{\"policies\":[{\"effect\":\"deny\",\"resourceId\":\"%s\",\"resourceType\":\"node\","
	          "\"subjectType\":\"everyone\"}]}",
	          run_of('x', 200));
	must(r, 400);
	must(get(path_of(&u, ""), u.token), 403);
	r = patch(POLICIES, u.token, "{\"policies\":[]}");
	must(r, 200);
	cr_expect_str_eq(r.body, "{\"data\":[]}");
	must(get(path_of(&u, ""), u.token), 200);
	policies_outlive_their_user();
}
