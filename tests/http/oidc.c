/* Sign-in with OpenID Connect (contract 01 14, 16 T6, T7, T10, T21-T23; 09 D-103 - D-105), against a provider that
 * lies. */
#include "http/harness.h"
#include "http/oidc_provider.h"

#include <libpq-fe.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define OIDC "/api/v1/auth/oidc"
#define CONSOLE "https://console.example.org"

static void start(void)
{
	instance_start(NULL, NULL);
}

TestSuite(oidc, .init = start, .fini = instance_stop, .timeout = 120);
TestSuite(oidc_special, .fini = instance_stop, .timeout = 120);

/* ---- a browser
 * ------------------------------------------------------------------------------------------------------- */

struct attempt {
	const char *location, *state, *nonce, *challenge, *cookie;
};

/* Value of a parameter of a URL, still encoded; fails the test if there is none. */
static const char *parameter(const char *url, const char *name)
{
	char *at = strstr(url, fmt("&%s=", name));
	if (at == NULL)
		at = strstr(url, fmt("?%s=", name));
	if (at == NULL)
		at = strstr(url, fmt("#%s=", name));
	cr_assert_not_null(at, "%s in %s", name, url);
	at += strlen(name) + 2;
	return fmt("%.*s", (int)strcspn(at, "&#"), at);
}

static struct attempt begin(const char *query)
{
	struct response r = get(fmt(OIDC "/login%s", query), NULL);
	must(r, 302);
	struct attempt a = {.location = header(&r, "location")};
	const char *set = header(&r, "set-cookie");
	cr_assert(a.location != NULL && set != NULL);
	a.state = parameter(a.location, "state");
	a.nonce = parameter(a.location, "nonce");
	a.challenge = parameter(a.location, "code_challenge");
	a.cookie = fmt("Cookie: other=1; %.*s", (int)strcspn(set, ";"), set);
	return a;
}

static struct response come_back(const struct attempt *a, const char *query)
{
	const char *headers[] = {a->cookie, NULL};
	return http("GET", fmt(OIDC "/callback?state=%s%s", a->state, query), NULL, headers, NULL, 0);
}

/* ---- tokens
 * ------------------------------------------------------------------------------------------------------------ */

static int serial(void)
{
	static int n;
	return __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED);
}

/* The claims of an honest token, changed by patch (JSON object text; null takes a member away). */
static json_object *claims_for(const struct attempt *a, const char *patch)
{
	int64_t now = (int64_t)time(NULL);
	json_object *o = json_tokener_parse(fmt(
	    "{\"iss\":\"%s\",\"aud\":\"rakkr-test\",\"exp\":%lld,\"iat\":%lld,\"nonce\":\"%s\",\"sub\":\"subject-1\","
	    "\"email\":\"Ann@Example.org\",\"name\":\"Ann\",\"roles\":[\"viewer\"],\"groups\":[\"av-team\"]}",
	    provider_issuer(), (long long)now + 300, (long long)now, a->nonce));
	json_object *p = json_tokener_parse(patch == NULL ? "{}" : patch);
	cr_assert_not_null(p, "%s", patch);
	json_object_object_foreach(p, key, value)
	{
		/* "+N" stands for N seconds from now */
		const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
		if (value == NULL)
			json_object_object_del(o, key);
		else if ((text[0] == '+' || text[0] == '-') && text[1] >= '0' && text[1] <= '9')
			json_object_object_add(o, key, json_object_new_int64(now + atoi(text)));
		else
			json_object_object_add(o, key, json_object_get(value));
	}
	return o;
}

/* The whole way with an honest token but for patch. */
static struct response sign_in(const char *patch)
{
	struct attempt a = begin("");
	const char *code = fmt("code-%d", serial());
	provider_code(code, token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, patch)), (struct says){0});
	return come_back(&a, fmt("&code=%s", code));
}

static const char *token_of(const struct response *r)
{
	must(*r, 302);
	return parameter(header(r, "location"), "rakkr_token");
}

static void must_refuse(const struct response *r, int status, const char *reason, const char *what)
{
	const char *set = header(r, "set-cookie");
	cr_expect_eq(r->status, status, "%s: %d: %s", what, r->status, r->body);
	cr_expect_str_eq(j_str(r->json, "reason"), reason, "%s: %s", what, r->body);
	cr_expect_str_eq(j_str(r->json, "error"),
	                 strcmp(reason, "oidc_state_invalid") == 0 ? "OIDC callback state is invalid"
	                                                           : "OIDC callback failed",
	                 "%s", what);
	cr_expect_str_eq(j_str(audit_last("auth.oidc.callback.failed", NULL), "reason"), reason, "%s", what);
	cr_expect(set != NULL &&
	              strcmp(set, "rakkr_oidc_state=; Max-Age=0; Path=" OIDC "/callback; HttpOnly; SameSite=Lax") == 0,
	          "%s: %s", what, set);
}

/* True if the instance's log has this text. */
static bool logged(const char *text)
{
	static char log[1 << 20];
	FILE *f = fopen(fmt("%s/log/rakkr.log", instance_dir()), "r");
	cr_assert_not_null(f);
	log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
	fclose(f);
	return strstr(log, text) != NULL;
}

/* ---- the honest way
 * ---------------------------------------------------------------------------------------------------- */

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

/* ---- state
 * --------------------------------------------------------------------------------------------------------------- */

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

/* ---- accounts
 * ------------------------------------------------------------------------------------------------------------ */

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

/* ---- tokens that lie
 * ------------------------------------------------------------------------------------------------------- */

Test(oidc, claims_are_checked)
{
	static const struct {
		const char *what, *patch;
		int status;
		const char *reason;
	} cases[] = {
	    {"issuer", "{\"iss\":\"http://127.0.0.1\"}", 502, "oidc_authorization_failed"},
	    {"issuer with a slash", "{\"iss\":\"http://127.0.0.1:1/\"}", 502, "oidc_authorization_failed"},
	    {"no issuer", "{\"iss\":null}", 502, "oidc_authorization_failed"},
	    {"audience", "{\"aud\":\"another\"}", 502, "oidc_authorization_failed"},
	    {"no audience", "{\"aud\":null}", 502, "oidc_authorization_failed"},
	    {"audiences", "{\"aud\":[\"rakkr-test\",\"another\"]}", 502, "oidc_authorization_failed"},
	    {"audiences, other party", "{\"aud\":[\"rakkr-test\",\"x\"],\"azp\":\"x\"}", 502,
	     "oidc_authorization_failed"},
	    {"audiences and party", "{\"aud\":[\"rakkr-test\",\"x\"],\"azp\":\"rakkr-test\"}", 302, NULL},
	    {"one audience", "{\"aud\":[\"rakkr-test\"]}", 302, NULL},
	    {"empty audience", "{\"aud\":[]}", 502, "oidc_authorization_failed"},
	    {"nonce", "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", 502, "oidc_authorization_failed"},
	    {"no nonce", "{\"nonce\":null}", 502, "oidc_authorization_failed"},
	    {"nonce number", "{\"nonce\":1}", 502, "oidc_authorization_failed"},
	    {"expired", "{\"exp\":\"-40\"}", 502, "oidc_authorization_failed"},
	    {"expired just now", "{\"exp\":\"-10\"}", 302, NULL},
	    {"no expiry", "{\"exp\":null}", 502, "oidc_authorization_failed"},
	    {"expiry text", "{\"exp\":\"never\"}", 502, "oidc_authorization_failed"},
	    {"not yet", "{\"nbf\":\"+90\"}", 502, "oidc_authorization_failed"},
	    {"almost", "{\"nbf\":\"+10\"}", 302, NULL},
	    {"no iat", "{\"iat\":null}", 502, "oidc_authorization_failed"},
	    {"iat text", "{\"iat\":\"now\"}", 502, "oidc_authorization_failed"},
	    {"no subject", "{\"sub\":null}", 502, "oidc_authorization_failed"},
	    {"subject number", "{\"sub\":5}", 502, "oidc_authorization_failed"},
	    {"auth_time", "{\"auth_time\":-1}", 502, "oidc_authorization_failed"},
	    {"blank subject", "{\"sub\":\" \"}", 401, "oidc_claims_invalid"},
	    {"NUL in a claim", "{\"oid\":\"a\\u0000b\"}", 401, "oidc_claims_invalid"},
	    {"no e-mail", "{\"email\":null}", 502, "unknown_oidc_error"},
	    {"e-mail is none", "{\"email\":\"ann\"}", 401, "oidc_claims_invalid"},
	    {"unverified", "{\"email_verified\":false}", 401, "oidc_claims_invalid"},
	    {"verified", "{\"email_verified\":true}", 302, NULL},
	    {"blank name", "{\"name\":\" \"}", 401, "oidc_claims_invalid"},
	    {"name number", "{\"name\":1}", 401, "oidc_claims_invalid"},
	    {"roles text", "{\"roles\":\"owner\"}", 401, "oidc_claims_invalid"},
	    {"group number", "{\"groups\":[1]}", 401, "oidc_claims_invalid"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response r = sign_in(cases[i].patch);
		if (cases[i].status == 302)
			cr_expect_eq(r.status, 302, "%s: %s", cases[i].what, r.body);
		else
			must_refuse(&r, cases[i].status, cases[i].reason, cases[i].what);
	}
}

/* A token by name of the case. */
static const char *forged(const char *what, json_object *claims)
{
	if (strcmp(what, "none") == 0)
		return token_none(claims);
	if (strcmp(what, "hmac") == 0)
		return token_hmac(claims);
	if (strcmp(what, "stranger") == 0)
		return token_sign(KEY_STRANGER, "RS256", NULL, claims);
	if (strcmp(what, "unknown kid") == 0)
		return token_sign(KEY_RSA, "RS256", "{\"kid\":\"other\"}", claims);
	if (strcmp(what, "crit") == 0)
		return token_sign(KEY_RSA, "RS256", "{\"crit\":[\"x\"],\"x\":\"y\"}", claims);
	if (strcmp(what, "not announced") == 0)
		return token_sign(KEY_RSA, "PS256", NULL, claims);
	if (strcmp(what, "RS512") == 0)
		return token_sign(KEY_RSA, "RS512", NULL, claims);
	if (strcmp(what, "ES256") == 0)
		return token_sign(KEY_EC, "ES256", NULL, claims);
	const char *good = token_sign(KEY_RSA, "RS256", NULL, claims);
	if (strcmp(what, "two parts") == 0)
		return fmt("%.*s", (int)(strrchr(good, '.') - good), good);
	if (strcmp(what, "five parts") == 0)
		return fmt("%s.a.b", good);
	if (strcmp(what, "no signature") == 0)
		return fmt("%.*s", (int)(strrchr(good, '.') - good) + 1, good);
	if (strcmp(what, "other payload") == 0) {
		json_object_object_add(claims, "sub", json_object_new_string("somebody"));
		const char *other = token_sign(KEY_STRANGER, "RS256", NULL, claims);
		return fmt("%.*s%s", (int)(strrchr(other, '.') - other), other, strrchr(good, '.'));
	}
	cr_assert_str_eq(what, "garbage");
	return "garbage";
}

Test(oidc, signatures_are_checked)
{
	static const struct {
		const char *what;
		bool good;
	} cases[] = {{"RS512", true},        {"none", false},       {"hmac", false},         {"stranger", false},
	             {"unknown kid", false}, {"crit", false},       {"ES256", true},         {"not announced", false},
	             {"two parts", false},   {"five parts", false}, {"no signature", false}, {"other payload", false},
	             {"garbage", false}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct attempt a = begin("");
		provider_code(fmt("c%zu", i), forged(cases[i].what, claims_for(&a, NULL)), (struct says){0});
		struct response r = come_back(&a, fmt("&code=c%zu", i));
		if (cases[i].good)
			cr_expect_eq(r.status, 302, "%s: %s", cases[i].what, r.body);
		else
			must_refuse(&r, 502, "oidc_authorization_failed", cases[i].what);
	}
	/* three workers: each fetched the keys once, and once more for the first token that none fitted */
	cr_expect_leq(provider_asked(KEYS), 6);
}

Test(oidc, keys_are_replaced)
{
	struct response r = sign_in(NULL);
	token_of(&r);
	provider_rotate();
	struct attempt a = begin("");
	provider_code("n", token_sign(KEY_NEXT, "RS256", NULL, claims_for(&a, NULL)), (struct says){0});
	r = come_back(&a, "&code=n");
	token_of(&r);
	cr_expect_geq(provider_asked(KEYS), 2);
}

/* ---- answers that lie
 * ------------------------------------------------------------------------------------------------------ */

Test(oidc, the_token_endpoint_is_not_believed)
{
	static const struct {
		const char *what;
		struct says says;
	} cases[] = {
	    {"500", {.status = 500}},
	    {"201", {.status = 201}},
	    {"redirect", {.status = 307, .location = "/token"}},
	    {"text", {.type = "text/html"}},
	    {"not JSON", {.body = "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"id_tok"}},
	    {"array", {.body = "[]"}},
	    {"no ID token", {.body = "{\"access_token\":\"a\",\"token_type\":\"Bearer\"}"}},
	    {"ID token number", {.body = "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"id_token\":1}"}},
	    {"huge", {.huge = true}},
	    {"empty", {.body = ""}},
	};
	static const char *const members[] = {"\"token_type\":\"mac\"", "\"token_type\":1",     "\"access_token\":null",
	                                      "\"expires_in\":-1",      "\"expires_in\":\"1\"", "\"scope\":1",
	                                      "\"refresh_token\":[]"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct attempt a = begin("");
		const char *code = fmt("c%zu", i);
		provider_code(code, token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL)), cases[i].says);
		struct response r = come_back(&a, fmt("&code=%s", code));
		must_refuse(&r, 502, "oidc_authorization_failed", cases[i].what);
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct attempt a = begin("");
		const char *code = fmt("m%zu", i), *token = token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL));
		provider_code(
		    code, NULL,
		    (struct says){.body =
		                      fmt("{\"access_token\":\"a\",\"token_type\":\"bearer\",\"id_token\":\"%s\",%s}",
		                          token, members[i])});
		struct response r = come_back(&a, fmt("&code=%s", code));
		must_refuse(&r, 502, "oidc_authorization_failed", members[i]);
	}
	struct response r = sign_in(NULL);
	token_of(&r);
}

Test(oidc, the_callback_is_not_believed)
{
	static const char *const queries[] = {"",
	                                      "&code=",
	                                      "&error=access_denied",
	                                      "&code=c&error=x",
	                                      "&code=c&iss=http%3A%2F%2Fother",
	                                      "&code=c&code=d",
	                                      "&code=c&id_token=x",
	                                      "&code=c&token=x",
	                                      "&code=c&response=x",
	                                      "&code=unknown"};
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct attempt a = begin("");
		provider_code("c", token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL)), (struct says){0});
		struct response r = come_back(&a, queries[i]);
		must_refuse(&r, 502, "oidc_authorization_failed", queries[i]);
		r = come_back(&a, "&code=c");
		must_refuse(&r, 400, "oidc_state_invalid", queries[i]);
	}
	struct attempt a = begin("");
	provider_code("d", token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, NULL)), (struct says){0});
	struct response r = come_back(&a, fmt("&code=d&session_state=1&iss=%s", provider_issuer()));
	token_of(&r);
}

struct slow {
	struct attempt a[6];
	double seconds[7];
	int status[7];
};

static void slow_callback(int i, void *arg)
{
	struct slow *s = arg;
	struct response r;
	if (i == 6) {
		struct timespec t = {.tv_sec = 2};
		nanosleep(&t, NULL);
		r = get("/api/v1/auth/oidc/config", NULL);
	} else {
		r = come_back(&s->a[i], "&code=c");
	}
	s->seconds[i] = r.seconds;
	s->status[i] = r.status;
}

Test(oidc, a_provider_that_hangs_holds_nobody_up)
{
	struct slow s;
	for (int i = 0; i < 6; i++)
		s.a[i] = begin("");
	provider_says(TOKEN, (struct says){.drips = true, .body = fmt("%0500d", 1)});
	parallel(7, slow_callback, &s);
	for (int i = 0; i < 6; i++) {
		cr_expect_eq(s.status[i], 502);
		cr_expect_lt(s.seconds[i], 16.0, "%f", s.seconds[i]);
	}
	cr_expect_eq(s.status[6], 200);
	cr_expect_lt(s.seconds[6], 8.0, "%f", s.seconds[6]);
	provider_says(TOKEN, (struct says){0});
	struct response r = sign_in(NULL);
	token_of(&r);
}

/* ---- discovery
 * --------------------------------------------------------------------------------------------------------------- */

Test(oidc, discovery_for_the_administrator)
{
	struct response r = get(OIDC "/discovery", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.issuer"), provider_issuer());
	cr_expect_str_eq(j_str(r.json, "data.jwksUri"), fmt("%s/keys", provider_issuer()));
	cr_expect_not(j_has(r.json, "data.userinfoEndpoint"));
	json_object *event = audit_last("auth.oidc.discovery.read.succeeded", NULL);
	cr_expect(j_true(event, "details.hasJwksUri"));
	cr_expect_str_eq(j_str(event, "details.issuer"), provider_issuer());
	static const struct {
		struct says says;
		int status;
		const char *error, *reason;
	} cases[] = {
	    {{.status = 503}, 502, "OIDC discovery returned HTTP 503", "oidc_discovery_failed"},
	    {{.status = 302, .location = "/moved", .body = "{}"}, 200, NULL, NULL},
	    {{.status = 302, .location = "http://192.0.2.1/x", .body = "{}"},
	     502,
	     "the provider's address is not an https URL",
	     "oidc_discovery_failed"},
	    {{.status = 302, .location = "/.well-known/openid-configuration"},
	     502,
	     "too many redirects",
	     "oidc_discovery_failed"},
	    {{.huge = true}, 502, "the answer is too large", "oidc_discovery_failed"},
	    {{.body = "<html>"}, 502, "OIDC discovery failed", "unknown_oidc_error"},
	    {{.body = "{}"}, 502, "OIDC discovery document is invalid", "oidc_invalid_discovery_document"},
	    {{.body = "{\"issuer\":\"https://other.example\",\"authorization_endpoint\":\"https://x/a\","
	              "\"token_endpoint\":\"https://x/t\",\"jwks_uri\":\"https://x/k\"}"},
	     502,
	     "OIDC discovery document is invalid",
	     "oidc_invalid_discovery_document"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		provider_says(DISCOVERY, cases[i].says);
		r = get(OIDC "/discovery", admin());
		cr_expect_eq(r.status, cases[i].status, "%zu: %s", i, r.body);
		if (cases[i].reason == NULL)
			continue;
		cr_expect_str_eq(j_str(r.json, "error"), cases[i].error, "%zu: %s", i, r.body);
		cr_expect_str_eq(j_str(r.json, "reason"), cases[i].reason, "%zu: %s", i, r.body);
		cr_expect_str_eq(j_str(audit_last("auth.oidc.discovery.read.failed", NULL), "reason"), cases[i].reason);
	}
	must(get(OIDC "/discovery", NULL), 401);
}

/* 01 T22: what failed is not remembered. */
Test(oidc, discovery_is_tried_again_after_a_failure)
{
	static const struct says lies[] = {
	    {.status = 500},
	    {.status = 302, .location = "/moved"},
	    {.type = "text/plain"},
	    {.body = "{\"issuer\":"},
	    {.huge = true},
	    {.body = "{\"issuer\":\"https://other.example\",\"authorization_endpoint\":\"https://x/a\","
	             "\"token_endpoint\":\"https://x/t\",\"jwks_uri\":\"https://x/k\"}"},
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		provider_says(DISCOVERY, lies[i]);
		struct response r = get(OIDC "/login", NULL);
		must(r, 502);
		cr_expect_str_eq(j_str(r.json, "reason"), "unknown_oidc_error");
		cr_expect_str_eq(j_str(r.json, "error"), "OIDC login unavailable");
		cr_expect_null(header(&r, "set-cookie"));
		cr_expect_str_eq(j_str(audit_last("auth.oidc.login.failed", NULL), "reason"), "unknown_oidc_error");
	}
	provider_says(DISCOVERY,
	              (struct says){.body = fmt("{\"issuer\":\"%s\",\"authorization_endpoint\":\"%s/a\","
	                                        "\"token_endpoint\":\"http://192.0.2.1/t\",\"jwks_uri\":\"%s/k\"}",
	                                        provider_issuer(), provider_issuer(), provider_issuer())});
	must(get(OIDC "/login", NULL), 502);
	provider_says(DISCOVERY, (struct says){0});
	int before = provider_asked(DISCOVERY);
	for (int i = 0; i < 12; i++)
		begin("");
	cr_expect_leq(provider_asked(DISCOVERY) - before, 3, "each worker remembers a success");
}

Test(oidc_special, off_and_not_configured)
{
	instance_start(NULL, (const char *const[]){"RAKKR_OIDC_ENABLED=0", "RAKKR_OIDC_CLIENT_ID=", NULL});
	struct response r = get(OIDC "/login", NULL);
	must(r, 404);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_disabled");
	cr_expect_str_eq(j_str(audit_last("auth.oidc.login.failed", NULL), "reason"), "oidc_disabled");
	r = get(OIDC "/callback?state=x&code=y", NULL);
	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_state_invalid");
	r = get(OIDC "/discovery", admin());
	must(r, 404);
	cr_expect_eq(provider_asked(DISCOVERY), 0);
}

Test(oidc_special, a_provider_without_tls_is_refused)
{
	instance_start(NULL, (const char *const[]){"RAKKR_OIDC_ALLOW_INSECURE=0", NULL});
	must(get(OIDC "/login", NULL), 502);
	struct response r = get(OIDC "/discovery", admin());
	must(r, 502);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_discovery_failed");
	cr_expect_eq(provider_asked(DISCOVERY), 0);
}

/*
 * The instance is its own provider: nginx serves the document from the console's folder, with a certificate of its own.
 */
static void publish_document(void)
{
	const char *folder = fmt("%s/console/.well-known", instance_dir());
	mkdir(folder, 0755);
	FILE *f = fopen(fmt("%s/openid-configuration", folder), "w");
	cr_assert_not_null(f);
	fprintf(f,
	        "{\"issuer\":\"%s\",\"authorization_endpoint\":\"https://x/a\",\"token_endpoint\":\"https://x/t\","
	        "\"jwks_uri\":\"https://x/k\"}",
	        test_url());
	fclose(f);
}

Test(oidc_special, a_certificate_that_nobody_vouches_for)
{
	instance_start(NULL, (const char *const[]){"RAKKR_OIDC_ISSUER=@URL@", NULL});
	publish_document();
	struct response r = get(OIDC "/discovery", admin());
	must(r, 502);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_discovery_failed");
	cr_expect_not_null(strstr(j_str(r.json, "error"), "certificate"), "%s", r.body);
	must(get(OIDC "/login", NULL), 502);
}

Test(oidc_special, a_certificate_of_a_named_authority)
{
	instance_start(NULL,
	               (const char *const[]){"RAKKR_OIDC_ISSUER=@URL@", "RAKKR_OIDC_CA_FILE=@DIR@/tls/cert.pem", NULL});
	publish_document();
	struct response r = get(OIDC "/discovery", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.issuer"), test_url());
}
