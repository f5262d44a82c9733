/* Sign-in with OpenID Connect (contract 01 14, 16 T6, T7, T10, T21-T23; 09 D-103 - D-105): a provider that lies. */
#include "http/oidc_browser.h"

#include <libpq-fe.h>
#include <openssl/sha.h>
#include <sys/stat.h>

static void start(void)
{
	instance_start(NULL, NULL);
}

TestSuite(oidc_lies, .init = start, .fini = instance_stop, .timeout = 120);
TestSuite(oidc_discovery, .fini = instance_stop, .timeout = 120);

/* ---- tokens that lie --------------------------------------------------------------------------------------------- */

Test(oidc_lies, claims_are_checked)
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

Test(oidc_lies, signatures_are_checked)
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

Test(oidc_lies, keys_are_replaced)
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

/* ---- answers that lie -------------------------------------------------------------------------------------------- */

Test(oidc_lies, the_token_endpoint_is_not_believed)
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

Test(oidc_lies, the_callback_is_not_believed)
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

Test(oidc_lies, a_provider_that_hangs_holds_nobody_up)
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

/* ---- discovery --------------------------------------------------------------------------------------------------- */

Test(oidc_lies, discovery_for_the_administrator)
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
Test(oidc_lies, discovery_is_tried_again_after_a_failure)
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

Test(oidc_discovery, off_and_not_configured)
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

Test(oidc_discovery, a_provider_without_tls_is_refused)
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

Test(oidc_discovery, a_certificate_that_nobody_vouches_for)
{
	instance_start(NULL, (const char *const[]){"RAKKR_OIDC_ISSUER=@URL@", NULL});
	publish_document();
	struct response r = get(OIDC "/discovery", admin());
	must(r, 502);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_discovery_failed");
	cr_expect_not_null(strstr(j_str(r.json, "error"), "certificate"), "%s", r.body);
	must(get(OIDC "/login", NULL), 502);
}

Test(oidc_discovery, a_certificate_of_a_named_authority)
{
	instance_start(NULL,
	               (const char *const[]){"RAKKR_OIDC_ISSUER=@URL@", "RAKKR_OIDC_CA_FILE=@DIR@/tls/cert.pem", NULL});
	publish_document();
	struct response r = get(OIDC "/discovery", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.issuer"), test_url());
}
