/* Sign-in with OpenID Connect (contract 01 14, 16 T6, T7, T10, T21-T23; 09 D-103 - D-105), against a provider of
 * the test's own. */
#include "http/oidc_browser.h"

#include <libpq-fe.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void start(void)
{
	instance_start(NULL, NULL);
}

TestSuite(oidc, .init = start, .fini = instance_stop, .timeout = 120);
TestSuite(oidc_special, .fini = instance_stop, .timeout = 120);

/* ---- the honest way ---------------------------------------------------------------------------------------------- */

static const char *challenge_of(const char *verifier)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char d[SHA256_DIGEST_LENGTH + 1] = {0};
	char *out = calloc(1, 44);
	SHA256((const unsigned char *)verifier, strlen(verifier), d);
	for (int i = 0; i < 43; i++) {
		int bit = i * 6;
		out[i] = digits[((d[bit / 8] << 8 | d[bit / 8 + 1]) >> (10 - bit % 8)) & 63];
	}
	return out;
}

Test(oidc, login_redirects_to_the_provider)
{
	struct response r = get(OIDC "/login?returnTo=%2Frecordings%3Fx%3D1%23old", NULL);
	must(r, 302);
	const char *location = header(&r, "location"), *set = header(&r, "set-cookie");
	const char *state = parameter(location, "state");
	cr_expect_eq(strlen(state), 43);
	cr_expect_str_eq(location,
	                 fmt("%s/authorize?realm=x&code_challenge=%s&code_challenge_method=S256&nonce=%s"
	                     "&redirect_uri=https%%3A%%2F%%2F127.0.0.1%%3A%s%%2Fapi%%2Fv1%%2Fauth%%2Foidc%%2Fcallback"
	                     "&scope=openid+profile+email&state=%s&client_id=rakkr-test&response_type=code",
	                     provider_issuer(), parameter(location, "code_challenge"), parameter(location, "nonce"),
	                     strrchr(test_url(), ':') + 1, state));
	cr_expect_str_eq(
	    set,
	    fmt("rakkr_oidc_state=%s; Max-Age=600; Path=" OIDC "/callback; HttpOnly; Secure; SameSite=Lax", state));
	json_object *event = audit_last("auth.oidc.login.started", NULL);
	cr_expect_str_eq(j_str(event, "outcome"), "succeeded");
	cr_expect_str_eq(j_str(event, "details.issuer"), provider_issuer());
	cr_expect_eq(provider_asked(KEYS) + provider_asked(TOKEN), 0);
}

Test(oidc, the_whole_way)
{
	struct attempt a = begin("?returnTo=https%3A%2F%2Fconsole.example.org%2Frecordings%3Fx%3D1%23old");
	provider_code("the-code", token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL)), (struct says){0});
	struct response r = come_back(&a, "&code=the-code");
	const char *token = token_of(&r), *location = header(&r, "location");
	cr_expect_eq(strncmp(location, CONSOLE "/recordings?x=1#rakkr_expires_at=20", 44), 0, "%s", location);
	cr_expect_not_null(strstr(location, "Z&rakkr_provider=oidc&rakkr_token=rakkr_"), "%s", location);
	/* 01 T6: the configured redirect URI; the secret in the body; PKCE */
	const char *form = provider_form(), *verifier = parameter(form, "code_verifier");
	cr_expect_eq(strncmp(form,
	                     fmt("redirect_uri=https%%3A%%2F%%2F127.0.0.1%%3A%s%%2Fapi%%2Fv1%%2Fauth%%2Foidc%%2F"
	                         "callback&code=the-code&code_verifier=",
	                         strrchr(test_url(), ':') + 1),
	                     100),
	             0, "%s", form);
	cr_expect_not_null(strstr(form, "&grant_type=authorization_code&client_id=rakkr-test"
	                                "&client_secret=a+secret+%26+more"),
	                   "%s", form);
	cr_expect_str_eq(challenge_of(verifier), a.challenge);
	struct response me = get("/api/v1/auth/me", token);
	must(me, 200);
	cr_expect_str_eq(j_str(me.json, "data.email"), "ann@example.org");
	cr_expect_str_eq(j_str(me.json, "data.provider"), "oidc");
	cr_expect_str_eq(j_str(me.json, "data.roles.0"), "viewer");
	cr_expect_str_eq(j_str(me.json, "data.groups.0.id"), "av-team");
	json_object *event = audit_last("auth.oidc.callback.succeeded", j_str(me.json, "data.id"));
	cr_expect_str_eq(j_str(event, "actor.id"), j_str(me.json, "data.id"));
	cr_expect_str_eq(j_str(event, "target.name"), "ann@example.org");
	cr_expect_not(logged("a secret"));
	cr_expect_not(logged("the-code"));
	cr_expect_not(logged(token));
	cr_expect_not(logged(verifier));
	/* single use: back button, a stolen address */
	struct response again = come_back(&a, "&code=the-code");
	must_refuse(&again, 400, "oidc_state_invalid", "used up");
}

Test(oidc, claims_rule_at_every_sign_in)
{
	struct response r =
	    sign_in("{\"roles\":[\"operator\",\"viewer\",\"operator\",\"root\"],\"groups\":[\"a\",\"b\"]}");
	struct response me = get("/api/v1/auth/me", token_of(&r));
	const char *id = j_str(me.json, "data.id");
	cr_expect_eq(j_count(me.json, "data.roles"), 2);
	cr_expect_eq(j_count(me.json, "data.groups"), 2);
	must(patch(fmt("/api/v1/auth/users/%s/access", id), admin(),
	           "{\"roles\":[\"admin\"],\"groupIds\":[\"x\"],\"resourceGrants\":[{\"resourceType\":\"node\","
	           "\"resourceId\":\"n\"}]}"),
	     200);
	/* 01 T7: no role is no error; the same subject with a new e-mail is the same account (09 D-103) */
	r = sign_in("{\"roles\":null,\"groups\":null,\"email\":\"ann.new@example.org\"}");
	me = get("/api/v1/auth/me", token_of(&r));
	must(me, 200);
	cr_expect_str_eq(j_str(me.json, "data.id"), id);
	cr_expect_str_eq(j_str(me.json, "data.email"), "ann.new@example.org");
	cr_expect_eq(j_count(me.json, "data.roles") + j_count(me.json, "data.groups") +
	                 j_count(me.json, "data.resourceGrants") + j_count(me.json, "data.permissions"),
	             0, "%s", me.body);
	must(
	    post(
	        "/api/v1/auth/users", admin(),
	        "{\"email\":\"local@example.org\",\"name\":\"L\",\"password\":\"long enough\",\"roles\":[\"viewer\"]}"),
	    201);
}

Test(oidc, claims_that_do_not_fit)
{
	char *name = fmt("%0300d", 7), *group = fmt("%0200d", 7), *email = fmt("%0320d@example.org", 7);
	struct response r = sign_in(fmt("{\"name\":\"%s\",\"groups\":[\"%s\",\"fits\"]}", name, group));
	struct response me = get("/api/v1/auth/me", token_of(&r));
	must(me, 200);
	cr_expect_eq(strlen(j_str(me.json, "data.name")), 160);
	cr_expect_eq(j_count(me.json, "data.groups"), 1);
	cr_expect_str_eq(j_str(me.json, "data.groups.0.id"), "fits");
	r = sign_in(fmt("{\"email\":\"%s\"}", email));
	must_refuse(&r, 401, "oidc_claims_invalid", "long e-mail");
	/* 01 T21 */
	r = sign_in("{\"preferred_username\":\"ann\",\"upn\":\"DOMAIN\\\\ann\",\"sub\":\"subject-1\"}");
	token_of(&r);
	must(
	    post(
	        "/api/v1/auth/users", admin(),
	        "{\"email\":\"local@example.org\",\"name\":\"L\",\"password\":\"long enough\",\"roles\":[\"viewer\"]}"),
	    201);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

Test(oidc, a_state_belongs_to_one_browser)
{
	struct attempt a = begin(""), stranger = begin("");
	provider_code("c", token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL)), (struct says){0});
	struct attempt wrong = a;
	wrong.cookie = stranger.cookie;
	struct response r = come_back(&wrong, "&code=c");
	must_refuse(&r, 400, "oidc_state_invalid", "another browser's cookie");
	wrong.cookie = "X-None: 1";
	r = come_back(&wrong, "&code=c");
	must_refuse(&r, 400, "oidc_state_invalid", "no cookie");
	r = http("GET", OIDC "/callback?code=c", NULL, (const char *const[]){a.cookie, NULL}, NULL, 0);
	must_refuse(&r, 400, "oidc_state_invalid", "no state");
	const char *made_up = "rakkr_oidc_state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	struct attempt unknown = {.state = strchr(made_up, '=') + 1, .cookie = fmt("Cookie: %s", made_up)};
	r = come_back(&unknown, "&code=c");
	must_refuse(&r, 400, "oidc_state_invalid", "unknown state");
	cr_expect_eq(provider_asked(TOKEN), 0);
	r = come_back(&a, "&code=c");
	token_of(&r); /* none of these used it up */
	if (!on_postgres())
		return;
	sql("update oidc_login_states set expires_at = now() - interval '1 s'");
	r = come_back(&stranger, "&code=c");
	must_refuse(&r, 400, "oidc_state_invalid", "expired");
	cr_expect_str_eq(sql("select count(*) from oidc_login_states"), "0");
}

static struct attempt shared, attempts[4];
static int statuses[8];

static void use_state(int i, void *arg)
{
	(void)arg;
	statuses[i] = come_back(&shared, "&code=c").status;
}

Test(oidc, a_state_is_used_once_even_in_a_race)
{
	shared = begin("");
	provider_code("c", token_sign(KEY_RSA, "RS256", NULL, claims_for(&shared, NULL)), (struct says){0});
	parallel(8, use_state, NULL);
	int good = 0, bad = 0;
	for (int i = 0; i < 8; i++) {
		good += statuses[i] == 302;
		bad += statuses[i] == 400;
	}
	cr_expect_eq(good, 1);
	cr_expect_eq(bad, 7);
	cr_expect_eq(provider_asked(TOKEN), 1);
}

static struct response first[4];

static void first_login(int i, void *arg)
{
	const char *const *codes = arg;
	struct attempt *a = &attempts[i];
	first[i] = come_back(a, fmt("&code=%s", codes[i]));
}

Test(oidc, first_sign_ins_at_once_make_one_account)
{
	static const char *const codes[] = {"c-0", "c-1", "c-2", "c-3"};
	const char *id = NULL;
	for (int i = 0; i < 4; i++) {
		attempts[i] = begin("");
		provider_code(codes[i], token_sign(KEY_RSA, "RS256", NULL, claims_for(&attempts[i], NULL)),
		              (struct says){0});
	}
	parallel(4, first_login, (void *)codes);
	for (int i = 0; i < 4; i++) {
		struct response me = get("/api/v1/auth/me", token_of(&first[i]));
		must(me, 200);
		cr_expect(id == NULL || strcmp(id, j_str(me.json, "data.id")) == 0, "%s", me.body);
		id = j_str(me.json, "data.id");
	}
	struct response users = get("/api/v1/auth/users", admin());
	cr_expect_eq(j_count(users.json, "data"), 2, "%s", users.body);
}

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

Test(oidc, local_accounts_are_not_taken_over)
{
	struct user local = create_user("operator", NULL);
	const char *cases[] = {getenv("RAKKR_TEST_ADMIN_EMAIL"), "ADMIN@rakkr.local", local.email};
	for (size_t i = 0; i < 3; i++) {
		struct response r = sign_in(fmt("{\"sub\":\"thief\",\"email\":\"%s\"}", cases[i]));
		must_refuse(&r, 401, "oidc_email_conflict", cases[i]);
	}
	struct response me = get("/api/v1/auth/me", local.token);
	must(me, 200);
	cr_expect_str_eq(j_str(me.json, "data.provider"), "local");
	cr_expect_str_eq(j_str(me.json, "data.roles.0"), "operator");
	me = get("/api/v1/auth/me", login(getenv("RAKKR_TEST_ADMIN_EMAIL"), getenv("RAKKR_TEST_ADMIN_PASSWORD")));
	cr_expect_str_eq(j_str(me.json, "data.provider"), "local");
	cr_expect_str_eq(j_str(me.json, "data.roles.0"), "owner");
	/* nor is that of another subject */
	struct response r = sign_in(NULL);
	token_of(&r);
	r = sign_in("{\"sub\":\"subject-2\"}");
	must_refuse(&r, 401, "oidc_email_conflict", "another subject");
	r = sign_in("{\"sub\":\"subject-2\",\"email\":\"bob@example.org\"}");
	token_of(&r);
	r = sign_in("{\"sub\":\"subject-2\"}");
	must_refuse(&r, 401, "oidc_email_conflict", "another's e-mail later");
	/* a tenant's object is one person, whatever the subject */
	r = sign_in("{\"sub\":\"s-a\",\"oid\":\"o\",\"tid\":\"t\",\"email\":\"carl@example.org\"}");
	token_of(&r);
	r = sign_in("{\"sub\":\"s-b\",\"oid\":\"o\",\"tid\":\"t\",\"email\":\"carl@example.org\"}");
	token_of(&r);
	r = sign_in("{\"sub\":\"s-a\",\"oid\":\"o\",\"tid\":\"u\",\"email\":\"carl@example.org\"}");
	must_refuse(&r, 401, "oidc_email_conflict", "another tenant");
}

Test(oidc, disabled_accounts_stay_out)
{
	struct response r = sign_in(NULL), me = get("/api/v1/auth/me", token_of(&r));
	const char *path = fmt("/api/v1/auth/users/%s", j_str(me.json, "data.id"));
	must(patch(fmt("%s/status", path), admin(), "{\"disabled\":true}"), 200);
	r = sign_in("{\"name\":\"Changed\"}");
	must_refuse(&r, 401, "user_disabled", "disabled");
	cr_expect_str_eq(j_str(get(path, admin()).json, "data.user.name"), "Ann", "nothing was written");
	must(patch(fmt("%s/status", path), admin(), "{\"disabled\":false}"), 200);
	r = sign_in(NULL);
	token_of(&r);
	/* a deleted one is made anew */
	must(del(path, admin()), 204);
	r = sign_in(NULL);
	must(get("/api/v1/auth/me", token_of(&r)), 200);
}

struct late {
	PGconn *disabling; /* has changed the account and not committed yet */
	struct response answer;
};

static bool somebody_waits(void *arg)
{
	(void)arg;
	return strcmp(sql("select count(*) from pg_stat_activity where datname = current_database()"
	                  " and wait_event_type = 'Lock'"),
	              "0") != 0;
}

static void sign_in_or_commit(int i, void *arg)
{
	struct late *late = arg;
	if (i == 0) {
		late->answer = sign_in("{\"name\":\"Late\"}");
		return;
	}
	cr_assert(wait_until(somebody_waits, NULL, 10000));
	PQclear(PQexec(late->disabling, "commit"));
}

/* Its session would be one that the revocation of all sessions did not see. */
Test(oidc, an_account_that_is_just_being_disabled)
{
	struct response r = sign_in(NULL), me = get("/api/v1/auth/me", token_of(&r));
	const char *id = j_str(me.json, "data.id");
	if (!on_postgres())
		cr_skip("with files the first look is behind the lock");
	struct late late = {.disabling = PQconnectdb(getenv("RAKKR_TEST_DATABASE_URL"))};
	PQclear(PQexec(late.disabling, "begin"));
	PGresult *changed =
	    PQexec(late.disabling, fmt("update users set disabled_at = now() where id = '%s' returning id", id));
	cr_assert_eq(PQntuples(changed), 1, "%s", PQerrorMessage(late.disabling));
	parallel(2, sign_in_or_commit, &late);
	must_refuse(&late.answer, 401, "user_disabled", "late");
	me = get(fmt("/api/v1/auth/users/%s", id), admin());
	cr_expect_str_eq(j_str(me.json, "data.user.name"), "Ann", "nothing was written");
}

Test(oidc_special, accounts_of_the_earlier_controller_are_adopted_once)
{
	static const struct account accounts[] = {{"ann@example.org", "Old Ann", "oidc", NULL, NULL}, {0}};
	instance_start(accounts, NULL);
	struct response users = get("/api/v1/auth/users", admin());
	const char *id = j_str(j_find(users.json, "data", "email", "ann@example.org"), "id");
	struct response r = sign_in(NULL), me = get("/api/v1/auth/me", token_of(&r));
	cr_expect_str_eq(j_str(me.json, "data.id"), id);
	r = sign_in("{\"sub\":\"subject-2\"}");
	must_refuse(&r, 401, "oidc_email_conflict", "adopted already");
}
