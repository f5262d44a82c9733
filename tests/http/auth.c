/* Login, logout, me, sessions, the permission guard, OIDC while it is off (contract 01 8 - 10, 14). */
#include "http/harness.h"

#include <stdio.h>
#include <string.h>

static struct response sign_in(const char *email, const char *password)
{
	return post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
}

static struct response me(const char *token)
{
	return get("/api/v1/auth/me", token);
}

static void expect_body(const struct response *r, int code, const char *body)
{
	cr_expect_eq(r->status, code, "%s: %d", r->asked, r->status);
	cr_expect_str_eq(r->body, body, "%s", r->asked);
}

/* The newest event of an action that has this name as its target. */
static json_object *event_named(const char *action, const char *name)
{
	struct response r = get(fmt("/api/v1/audit-events?limit=500&action=%s&target=%s", action, name), admin());

	must(r, 200);
	cr_assert_gt(j_count(r.json, "data"), 0, "no %s for %s", action, name);
	return j_at(r.json, "data.0");
}

Test(auth, login_answers_a_session)
{
	struct user u = create_user("auditor", NULL);
	struct response r = sign_in(u.email, u.password);
	const char *token = j_str(r.json, "data.token");
	json_object *event;
	char hash[65];

	must(r, 200);
	cr_expect_eq(strlen(token), 49);
	cr_expect_eq(strncmp(token, "rakkr_", 6), 0);
	snprintf(hash, sizeof(hash), "%s", sha256(token, strlen(token)));
	hash[16] = '\0';
	cr_expect_str_eq(j_str(r.json, "data.sessionId"), hash);
	cr_expect_eq(strlen(j_str(r.json, "data.expiresAt")), 24);
	cr_expect_str_eq(j_str(r.json, "data.user.email"), u.email);
	cr_expect_eq(j_count(r.json, "data.user.permissions"), 4);
	cr_expect_not(j_has(r.json, "data.user.passwordHash"));
	cr_expect_not(j_has(r.json, "data.user.disabledAt"));
	event = audit_last("auth.login.succeeded", u.id);
	cr_expect_str_eq(j_str(event, "actor.id"), u.id);
	cr_expect_str_eq(j_str(event, "actorContext.sessionId"), hash);
	cr_expect_str_eq(j_str(event, "target.name"), u.email);
	cr_expect_not(j_has(event, "permission"));
	cr_expect_str_eq(j_str(event, "details.path"), "/api/v1/auth/login");
}

Test(auth, e_mail_of_a_login_is_folded)
{
	struct user u = create_user("viewer", NULL);
	char upper[200];
	size_t i = 0;

	for (; u.email[i] != '\0'; i++)
		upper[i] = (char)(u.email[i] >= 'a' && u.email[i] <= 'z' ? u.email[i] - 32 : u.email[i]);
	upper[i] = '\0';
	must(sign_in(upper, u.password), 200);
}

Test(auth, login_bodies_that_are_refused)
{
	static const char *const bodies[] = {"{}",
	                                     "[]",
	                                     "null",
	                                     "nonsense",
	                                     "{\"email\":\"x\",\"password\":\"y\"}",
	                                     "{\"email\":\" a@b.org\",\"password\":\"y\"}",
	                                     "{\"email\":\"a@b.org\",\"password\":\"\"}",
	                                     "{\"email\":\"a@b.org\",\"password\":1}",
	                                     "{\"email\":\"a@b.org\"}"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = post("/api/v1/auth/login", NULL, "%s", bodies[i]);

		expect_body(&r, 400, "{\"error\":\"Invalid login request\"}");
	}
	cr_expect_str_eq(j_str(audit_last("auth.login.failed", NULL), "target.type"), "user");
}

Test(auth, login_refusals_look_alike)
{
	struct user u = create_user("viewer", NULL);
	const char *unknown = fmt("nobody-%s", u.email);
	struct response r;
	json_object *event;

	r = sign_in(u.email, "wrong password");
	expect_body(&r, 401, "{\"error\":\"Invalid credentials\"}");
	event = event_named("auth.login.failed", u.email);
	cr_expect_str_eq(j_str(event, "reason"), "invalid_credentials");
	cr_expect_str_eq(j_str(event, "outcome"), "failed");
	cr_expect_str_eq(j_str(event, "actor.id"), "anonymous");
	cr_expect_str_eq(j_str(event, "details.email"), u.email);
	r = sign_in(unknown, "wrong password");
	expect_body(&r, 401, "{\"error\":\"Invalid credentials\"}");
	cr_expect_str_eq(j_str(event_named("auth.login.failed", unknown), "reason"), "invalid_credentials");
	must(patch(fmt("/api/v1/auth/users/%s/status", u.id), admin(), "{\"disabled\":true}"), 200);
	r = sign_in(u.email, u.password);
	expect_body(&r, 401, "{\"error\":\"Invalid credentials\"}");
	cr_expect_str_eq(j_str(event_named("auth.login.failed", u.email), "reason"), "user_disabled");
	r = sign_in("admin@rakkr.local", "rakkr-local-dev-password");
	cr_expect_eq(r.status, 401, "the published password opens nothing");
}

static void ask(const char *email, const char *password, double *fastest)
{
	struct response r = sign_in(email, password);

	cr_expect_eq(r.status, 401);
	if (r.seconds < *fastest)
		*fastest = r.seconds;
}

/* The fastest of several tries, in turn: other tests run beside this one. A missing derivation is a factor of ten. */
Test(auth, login_takes_as_long_for_unknown_accounts)
{
	struct user u = create_user("viewer", NULL), gone = create_user("viewer", NULL);
	double known = 99, unknown = 99, disabled = 99;

	must(patch(fmt("/api/v1/auth/users/%s/status", gone.id), admin(), "{\"disabled\":true}"), 200);
	for (int i = 0; i < 10; i++) {
		ask(u.email, "wrong password", &known);
		ask(fmt("nobody-%s", u.email), "wrong password", &unknown);
		ask(gone.email, gone.password, &disabled);
	}
	cr_expect_gt(unknown, known / 4, "known %f unknown %f", known, unknown);
	cr_expect_gt(known, unknown / 4, "known %f unknown %f", known, unknown);
	cr_expect_gt(disabled, known / 4, "known %f disabled %f", known, disabled);
}

Test(auth, me_tells_who_is_signed_in)
{
	struct user u = create_user("viewer", "[{\"resourceType\":\"room\",\"resourceId\":\"R\"}]");
	struct response r = me(u.token);
	json_object *event;

	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), u.id);
	cr_expect_str_eq(j_str(r.json, "data.resourceGrants.0.resourceId"), "R");
	event = audit_last("auth.me.read.succeeded", u.id);
	cr_expect_str_eq(j_str(event, "actor.id"), u.id);
	cr_expect_eq(strlen(j_str(event, "actorContext.sessionId")), 36);
	r = me(NULL);
	expect_body(&r, 401, "{\"error\":\"Unauthorized\"}");
	r = me("rakkr_unknown");
	expect_body(&r, 401, "{\"error\":\"Unauthorized\"}");
	event = audit_last("auth.me.read.failed", NULL);
	cr_expect_str_eq(j_str(event, "outcome"), "denied");
	cr_expect_str_eq(j_str(event, "reason"), "unauthorized");
}

Test(auth, bearer_forms)
{
	struct user u = create_user("viewer", NULL);
	struct {
		const char *header;
		int want;
	} cases[] = {
	    {fmt("Authorization: bearer %s", u.token), 200},   {fmt("Authorization: BEARER %s", u.token), 200},
	    {fmt("Authorization: Bearer %s x", u.token), 200}, {fmt("Authorization: Bearer  %s", u.token), 401},
	    {fmt("Authorization: Basic %s", u.token), 401},    {fmt("Authorization: %s", u.token), 401},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const headers[] = {cases[i].header, NULL};

		cr_expect_eq(http("GET", "/api/v1/auth/me", NULL, headers, NULL, 0).status, cases[i].want, "case %zu",
		             i);
	}
}

Test(auth, logout_ends_one_session)
{
	struct user u = create_user("viewer", NULL);
	const char *other = login(u.email, u.password);
	struct response r = post("/api/v1/auth/logout", u.token, NULL);

	must(r, 204);
	cr_expect_eq(r.len, 0);
	cr_expect_str_eq(header(&r, "Set-Cookie"), "rakkr_oidc_state=; Max-Age=0; Path=/api/v1/auth/oidc/callback; "
	                                           "HttpOnly; SameSite=Lax");
	cr_expect_str_eq(j_str(audit_last("auth.logout.succeeded", u.id), "target.name"), u.email);
	cr_expect_eq(me(u.token).status, 401);
	cr_expect_eq(me(other).status, 200);
	must(post("/api/v1/auth/logout", u.token, NULL), 204);
	must(post("/api/v1/auth/logout", NULL, NULL), 204);
	must(post("/api/v1/auth/logout", "rakkr_unknown", "{broken"), 204);
}

Test(auth, tokens_are_stored_as_hashes_only)
{
	struct user u = create_user("viewer", NULL);

	if (!on_postgres())
		cr_skip_test();
	cr_expect_str_eq(sql("select count(*) from auth_sessions where token_hash = '%s'", sha256(u.token, 49)), "1");
	cr_expect_str_eq(sql("select count(*) from auth_sessions where token_hash like 'rakkr_%%'"), "0");
	cr_expect_eq(strncmp(sql("select password_hash from users where id = '%s'", u.id), "$argon2id$", 10), 0);
}

/* 09 D-69: what the store says counts with the next request. */
Test(auth, the_store_decides_at_once)
{
	struct user u = create_user("viewer", NULL);
	const char *token = login(u.email, u.password);

	if (!on_postgres())
		cr_skip_test();
	sql("update auth_sessions set revoked_at = now() where token_hash = '%s' returning 1", sha256(u.token, 49));
	cr_expect_eq(me(u.token).status, 401);
	cr_expect_eq(me(token).status, 200);
	sql("update users set disabled_at = now() where id = '%s' returning 1", u.id);
	cr_expect_eq(me(token).status, 401);
	sql("update users set disabled_at = null where id = '%s' returning 1", u.id);
	sql("update auth_sessions set expires_at = now() - interval '1 s' where token_hash = '%s' returning 1",
	    sha256(token, 49));
	cr_expect_eq(me(token).status, 401);
}

/* A grant without a role gives nothing (01 T9), an OIDC user without password cannot sign in with one. */
Test(auth, rows_without_rights)
{
	struct user u = create_user("viewer", "[{\"resourceType\":\"room\",\"resourceId\":\"R\"}]");
	struct response r;

	if (!on_postgres())
		cr_skip_test();
	sql("delete from user_roles where user_id = '%s' returning 1", u.id);
	r = me(u.token);
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.roles"), 0);
	cr_expect_eq(j_count(r.json, "data.permissions"), 0);
	sql("update users set provider = 'oidc', password_hash = null where id = '%s' returning 1", u.id);
	r = sign_in(u.email, u.password);
	expect_body(&r, 401, "{\"error\":\"Invalid credentials\"}");
	/* malformed hashes (09 D-62), and the form of the existing controller */
	sql("update users set password_hash = 'scrypt$0$8$1$x$y' where id = '%s' returning 1", u.id);
	cr_expect_eq(sign_in(u.email, u.password).status, 401);
	sql("update users set password_hash = "
	    "'scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQ"
	    "HBHg24p02eiWA4RXhL5Tbq2J-NXPXDrJbLObnPw0lrG7Skde5o4g' where id = '%s' returning 1",
	    u.id);
	cr_expect_eq(sign_in(u.email, "correct horse").status, 200);
}

Test(auth, the_guard_answers_401_and_403)
{
	struct user u = create_user("viewer", NULL);
	struct response r = get("/api/v1/auth/users", NULL);
	json_object *event;

	expect_body(&r, 401, "{\"error\":\"Unauthorized\",\"permission\":\"auth:manage\"}");
	r = get("/api/v1/auth/users", u.token);
	expect_body(&r, 403, "{\"error\":\"Forbidden\",\"permission\":\"auth:manage\"}");
	event = event_named("auth.users.read", "auth");
	cr_expect_str_eq(j_str(event, "action"), "auth.users.read");
	r = get(fmt("/api/v1/audit-events?limit=500&actor=%s&action=auth.users.read", u.id), admin());
	cr_assert_eq(j_count(r.json, "data"), 1);
	event = j_at(r.json, "data.0");
	cr_expect_str_eq(j_str(event, "outcome"), "denied");
	cr_expect_str_eq(j_str(event, "reason"), "missing_permission");
	cr_expect_str_eq(j_str(event, "permission"), "auth:manage");
	cr_expect_str_eq(j_str(event, "details.requiredPermission"), "auth:manage");
	cr_expect_str_eq(j_str(event, "details.resourceScope.type"), "auth");
	cr_expect_not(j_has(event, "details.resourceScopeDecision"));
	cr_expect_str_eq(j_str(event, "details.roles.0"), "viewer");
}

/* 01 T27: a node credential is nobody on a user route. */
Test(auth, node_tokens_are_no_user_tokens)
{
	struct node n = enroll_node("Booth");

	cr_expect_eq(me(n.token).status, 401);
	cr_expect_eq(get("/api/v1/auth/users", n.token).status, 401);
}

/* The instance under test has no OIDC settings. */
Test(auth, oidc_off)
{
	static const char config[] =
	    "{\"data\":{\"configured\":false,\"enabled\":false,\"loginAvailable\":false,"
	    "\"missingFields\":[],\"provider\":\"azure_ad\",\"scopes\":[\"openid\",\"profile\","
	    "\"email\"]}}";
	struct response r = get("/api/v1/auth/oidc/config", admin());
	json_object *event;

	expect_body(&r, 200, config);
	event = audit_last("auth.oidc.config.read.succeeded", NULL);
	cr_expect_str_eq(j_str(event, "actor.id"), "anonymous");
	cr_expect(j_has(event, "details.loginAvailable"));
	r = get("/api/v1/auth/oidc/actions", NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.login.reason"), "oidc_disabled");
	cr_expect_not(j_has(r.json, "data.actions.login.permission"));
	cr_expect_str_eq(j_str(r.json, "data.actions.config.href"), "/api/v1/auth/oidc/config");
	cr_expect_str_eq(j_str(r.json, "data.links.discoveryActions"), "/api/v1/auth/oidc/discovery/actions");
	r = get("/api/v1/auth/oidc/login?returnTo=%2F", NULL);
	expect_body(&r, 404, "{\"error\":\"OIDC login unavailable\",\"reason\":\"oidc_disabled\"}");
	cr_expect_str_eq(j_str(audit_last("auth.oidc.login.failed", NULL), "reason"), "oidc_disabled");
	r = get("/api/v1/auth/oidc/callback?state=x&code=y", NULL);
	expect_body(&r, 400, "{\"error\":\"OIDC callback state is invalid\",\"reason\":\"oidc_state_invalid\"}");
	cr_expect_not_null(header(&r, "Set-Cookie"));
	cr_expect_str_eq(j_str(audit_last("auth.oidc.callback.failed", NULL), "reason"), "oidc_state_invalid");
	r = get("/api/v1/auth/oidc/discovery", admin());
	expect_body(&r, 404, "{\"error\":\"OIDC is disabled\",\"reason\":\"oidc_disabled\"}");
	cr_expect_str_eq(j_str(audit_last("auth.oidc.discovery.read.failed", NULL), "permission"), "auth:manage");
	r = get("/api/v1/auth/oidc/discovery/actions", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.discovery.reason"), "oidc_disabled");
	cr_expect_eq(get("/api/v1/auth/oidc/discovery", NULL).status, 401);
}
