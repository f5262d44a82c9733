/*
 * The pure rules of an OpenID Connect sign-in: addresses, signatures, claims (contract 01 14, 16 T21, T23; 09 D-104).
 */
#include "access/oidc_claims.h"
#include "access/oidc_http.h"
#include "access/oidc_request.h"
#include "access/oidc_token.h"
#include "base/mem.h"

#include <cjose/cjose.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000)

static void *mem;

static void start(void)
{
	mem = talloc_new(NULL);
}

static void stop(void)
{
	talloc_free(mem);
}

TestSuite(oidc, .init = start, .fini = stop);

static json_object *parsed(const char *text)
{
	json_object *o;
	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

/* ---- addresses
 * ------------------------------------------------------------------------------------------------------- */

Test(oidc, return_urls_stay_in_the_console)
{
	static const struct {
		const char *wanted, *url;
	} cases[] = {
	    {NULL, "https://console.test/"},
	    {"", "https://console.test/"},
	    {"/", "https://console.test/"},
	    {"/recordings?x=1&y=%20#z", "https://console.test/recordings?x=1&y=%20#z"},
	    {"https://console.test", "https://console.test/"},
	    {"https://CONSOLE.test:443/a?b#c", "https://console.test/a?b#c"},
	    {"HTTPS://console.test/a", "https://console.test/a"},
	    {" \t/a\n", "https://console.test/a"},
	    {"/a b\"<>", "https://console.test/a%20b%22%3C%3E"},
	    {"/\xc3\xbc", "https://console.test/%C3%BC"},
	    {"/a\r\nSet-Cookie: x=y", "https://console.test/aSet-Cookie:%20x=y"},
	    {"https://console.test?a=\\b", "https://console.test/?a=%5Cb"},
	    {"http://console.test/a", "https://console.test/"},
	    {"https://console.test:444/a", "https://console.test/"},
	    {"https://evil.test/a", "https://console.test/"},
	    {"//evil.test", "https://console.test/"},
	    {"/\\evil.test", "https://console.test/"},
	    {"\\\\evil.test", "https://console.test/"},
	    {"\\/evil.test", "https://console.test/"},
	    {"/\t/evil.test", "https://console.test/"},
	    {"https:\\\\evil.test", "https://console.test/"},
	    {"https:evil.test", "https://console.test/"},
	    {"https:///evil.test", "https://console.test/"},
	    {"https://console.test\\@evil.test/", "https://console.test/@evil.test/"},
	    {"https://console.test@evil.test/", "https://console.test/"},
	    {"https://x:y@console.test/", "https://console.test/"},
	    {"https://console.test.evil.test/", "https://console.test/"},
	    {"https://evil.test#https://console.test/", "https://console.test/"},
	    {"javascript:alert(1)", "https://console.test/"},
	    {"javascript://console.test/%0aalert(1)", "https://console.test/"},
	    {"recordings", "https://console.test/"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(oidc_return_url(mem, "https://console.test", cases[i].wanted), cases[i].url,
		                 "%s -> %s", cases[i].wanted,
		                 oidc_return_url(mem, "https://console.test", cases[i].wanted));
	char *big = mem_printf(mem, "/%02100d", 1);
	cr_expect_str_eq(oidc_return_url(mem, "https://console.test", big), "https://console.test/");
	cr_expect_str_eq(oidc_return_url(mem, "http://localhost:5173", "/a"), "http://localhost:5173/a");
	cr_expect_str_eq(oidc_return_url(mem, "http://localhost:5173", "http://localhost:5173/b?c"),
	                 "http://localhost:5173/b?c");
	cr_expect_null(oidc_return_url(mem, "*", "/a"));
}

Test(oidc, the_session_goes_into_the_hash)
{
	cr_expect_str_eq(oidc_return_with_token(mem, "https://console.example.org/recordings?x=1#old", "rakkr_A-_",
	                                        "2026-03-02T21:15:04.120Z"),
	                 "https://console.example.org/recordings?x=1#rakkr_expires_at=2026-03-02T21%3A15%3A04.120Z"
	                 "&rakkr_provider=oidc&rakkr_token=rakkr_A-_");
}

static struct oidc configured(void)
{
	return (struct oidc){
	    .client_id = "app 1", .redirect_uri = "https://r/cb", .scopes = parsed("[\"openid\",\"a+b\"]")};
}

Test(oidc, authorization_url)
{
	/* the pair of RFC 7636, appendix B */
	struct oidc_secrets s = {"S", "N", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"};
	struct oidc o = configured();
	const char *query =
	    "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&nonce=N"
	    "&redirect_uri=https%3A%2F%2Fr%2Fcb&scope=openid+a%2Bb&state=S&client_id=app+1"
	    "&response_type=code";
	static const char *const endpoints[][2] = {{"https://p/auth", "https://p/auth?"},
	                                           {"https://p/auth?x=1", "https://p/auth?x=1&"},
	                                           {"https://p/auth?", "https://p/auth?"},
	                                           {"https://p/auth#x", "https://p/auth?"}};
	for (size_t i = 0; i < 4; i++)
		cr_expect_str_eq(oidc_authorization_url(mem, &o, endpoints[i][0], &s),
		                 mem_printf(mem, "%s%s", endpoints[i][1], query));
	oidc_secrets_make(mem, &s);
	cr_expect(strlen(s.state) == 43 && strlen(s.nonce) == 43 && strlen(s.verifier) == 43);
	cr_expect(strcmp(s.state, s.nonce) != 0 && strcmp(s.nonce, s.verifier) != 0);
}

Test(oidc, only_tls_or_this_machine)
{
	struct oidc strict = {.allow_insecure = false}, lax = {.allow_insecure = true};
	static const struct {
		const char *url;
		bool strict, lax;
	} cases[] = {{"https://p/x", true, true},
	             {"HTTPS://p/x", true, true},
	             {"http://p/x", false, false},
	             {"http://127.0.0.1:80/", false, true},
	             {"http://localhost/", false, true},
	             {"http://LOCALHOST:1/", false, true},
	             {"http://[::1]:3/", false, true},
	             {"http://127.0.0.1.evil.test/", false, false},
	             {"http://localhost@evil/", false, false},
	             {"file:///etc/passwd", false, false},
	             {"ftp://localhost/", false, false},
	             {"localhost", false, false}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(oidc_url_allowed(&strict, cases[i].url), cases[i].strict, "%s", cases[i].url);
		cr_expect_eq(oidc_url_allowed(&lax, cases[i].url), cases[i].lax, "%s", cases[i].url);
	}
}

Test(oidc, discovery_documents)
{
	static const char *const bad[] = {
	    "{}",
	    "{\"issuer\":\"https://i\",\"authorization_endpoint\":\"https://a\",\"token_endpoint\":\"https://t\"}",
	    "{\"issuer\":\"https://i\",\"authorization_endpoint\":\"a\",\"token_endpoint\":\"https://t\",\"jwks_uri\":"
	    "\"https://k\"}",
	    "{\"issuer\":\"https://i\",\"authorization_endpoint\":\"https://a\",\"token_endpoint\":\"https://"
	    "t\",\"jwks_uri\":"
	    "\"https://k\",\"userinfo_endpoint\":1}"};
	struct oidc_provider p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(oidc_provider_parse(mem, parsed(bad[i]), &p), "%s", bad[i]);
	cr_expect(oidc_provider_parse(mem,
	                              parsed("{\"issuer\":\"https://i/\",\"authorization_endpoint\":\"https://a\","
	                                     "\"token_endpoint\":\"https://t\",\"jwks_uri\":\"https://k\","
	                                     "\"authorization_response_iss_parameter_supported\":true}"),
	                              &p));
	cr_expect_str_eq(p.issuer, "https://i/");
	cr_expect_null(p.algorithms);
	cr_expect(p.sends_issuer);
}

/* ---- signatures
 * --------------------------------------------------------------------------------------------------------- */

static cjose_jwk_t *rsa(size_t bits, const char *kid)
{
	static const uint8_t exponent[] = {1, 0, 1};
	cjose_err err;
	cjose_jwk_t *k = cjose_jwk_create_RSA_random(bits, exponent, sizeof(exponent), &err);
	cr_assert(k != NULL && cjose_jwk_set_kid(k, kid, strlen(kid), &err));
	return k;
}

static json_object *public_part(cjose_jwk_t *k)
{
	cjose_err err;
	return parsed(cjose_jwk_to_json(k, false, &err));
}

/* kid NULL: none in the header. */
static const char *sign(cjose_jwk_t *k, const char *alg, const char *kid, const char *payload)
{
	cjose_err err;
	cjose_header_t *h = cjose_header_new(&err);
	const char *text = NULL;
	cr_assert(cjose_header_set(h, "alg", alg, &err));
	if (kid != NULL)
		cr_assert(cjose_header_set(h, "kid", kid, &err));
	cjose_jws_t *jws = cjose_jws_sign(k, h, (const uint8_t *)payload, strlen(payload), &err);
	cr_assert(jws != NULL && cjose_jws_export(jws, &text, &err), "%s", alg);
	return text;
}

static enum oidc_signature check(const char *token, json_object *keys, const char *allowed)
{
	json_object *claims;
	const char *why;
	return oidc_signature_check(mem, token, keys, allowed == NULL ? NULL : parsed(allowed), &claims, &why);
}

static json_object *key_set(json_object *a, json_object *b)
{
	json_object *keys = json_new_array(mem);
	json_push_ref(keys, a);
	if (b != NULL)
		json_push_ref(keys, b);
	return keys;
}

Test(oidc, allowed_algorithms)
{
	static const struct {
		const char *alg, *allowed;
		int key; /* 0 = RSA, 256, 384, 521 = EC */
		enum oidc_signature result;
	} cases[] = {
	    {"RS256", NULL, 0, OIDC_SIGNATURE_GOOD},
	    {"RS384", NULL, 0, OIDC_SIGNATURE_REFUSED},
	    {"RS256", "[\"RS384\"]", 0, OIDC_SIGNATURE_REFUSED},
	    {"RS384", "[\"RS256\",\"RS384\"]", 0, OIDC_SIGNATURE_GOOD},
	    {"RS512", "[\"RS512\"]", 0, OIDC_SIGNATURE_GOOD},
	    {"PS256", "[\"PS256\"]", 0, OIDC_SIGNATURE_GOOD},
	    {"PS384", "[\"PS384\"]", 0, OIDC_SIGNATURE_GOOD},
	    {"PS512", "[\"PS512\"]", 0, OIDC_SIGNATURE_GOOD},
	    {"ES256", "[\"ES256\"]", 256, OIDC_SIGNATURE_GOOD},
	    {"ES384", "[\"ES384\"]", 384, OIDC_SIGNATURE_GOOD},
	    {"ES512", "[\"ES512\"]", 521, OIDC_SIGNATURE_GOOD},
	    {"ES384", "[\"ES384\"]", 256, OIDC_SIGNATURE_NO_KEY},
	};
	static const cjose_jwk_ec_curve curves[] = {CJOSE_JWK_EC_P_256, CJOSE_JWK_EC_P_384, CJOSE_JWK_EC_P_521};
	cjose_err err;
	cjose_jwk_t *keys[4] = {rsa(2048, "k")};
	for (int i = 0; i < 3; i++)
		keys[i + 1] = cjose_jwk_create_EC_random(curves[i], &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cjose_jwk_t *k = keys[cases[i].key == 0 ? 0 : cases[i].key == 256 ? 1 : cases[i].key == 384 ? 2 : 3];
		cr_expect_eq(check(sign(k, cases[i].alg, NULL, "{}"), key_set(public_part(k), NULL), cases[i].allowed),
		             cases[i].result, "%zu %s", i, cases[i].alg);
	}
}

Test(oidc, a_shared_secret_is_no_signature)
{
	cjose_err err;
	cjose_jwk_t *k = rsa(2048, "k"), *secret;
	const char *text = json_compact(mem, public_part(k), NULL);
	secret = cjose_jwk_create_oct_spec((const uint8_t *)text, strlen(text), &err);
	const char *token = sign(secret, "HS256", "k", "{}"), *all = "[\"HS256\",\"none\",\"RS256\"]";
	cr_expect_eq(check(token, key_set(public_part(k), NULL), all), OIDC_SIGNATURE_REFUSED);
	/* not even with a key set that has the secret in it */
	cr_expect_eq(check(token, key_set(parsed(cjose_jwk_to_json(secret, true, &err)), NULL), all),
	             OIDC_SIGNATURE_REFUSED);
	/* {"alg":"none"} */
	cr_expect_eq(check("eyJhbGciOiJub25lIn0.e30.", key_set(public_part(k), NULL), all), OIDC_SIGNATURE_REFUSED);
	cr_expect_eq(check("", key_set(public_part(k), NULL), all), OIDC_SIGNATURE_REFUSED);
	cr_expect_eq(check("..", key_set(public_part(k), NULL), all), OIDC_SIGNATURE_REFUSED);
	cr_expect_eq(check("a.b.c.d.e", key_set(public_part(k), NULL), all), OIDC_SIGNATURE_REFUSED);
}

Test(oidc, the_key_must_be_meant)
{
	cjose_jwk_t *k = rsa(2048, "k"), *other = rsa(2048, "o"), *weak = rsa(1024, "w");
	const char *token = sign(k, "RS256", "k", "{\"a\":1}");
	json_object *claims, *keys = key_set(public_part(other), public_part(k)), *key = public_part(k);
	const char *why;
	cr_expect_eq(oidc_signature_check(mem, token, keys, NULL, &claims, &why), OIDC_SIGNATURE_GOOD);
	cr_expect_eq(json_int(claims, "a", 0), 1);
	cr_expect_eq(check(sign(k, "RS256", NULL, "{}"), keys, NULL), OIDC_SIGNATURE_GOOD,
	             "no kid: every key is tried");
	cr_expect_eq(check(sign(k, "RS256", "x", "{}"), keys, NULL), OIDC_SIGNATURE_NO_KEY);
	cr_expect_eq(check(sign(k, "RS256", "o", "{}"), keys, NULL), OIDC_SIGNATURE_NO_KEY);
	cr_expect_eq(check(sign(weak, "RS256", "w", "{}"), key_set(public_part(weak), NULL), NULL),
	             OIDC_SIGNATURE_NO_KEY);
	cr_expect_eq(check(sign(k, "RS256", "k", "[]"), keys, NULL), OIDC_SIGNATURE_REFUSED, "payload");
	static const char *const wrong[][2] = {
	    {"use", "\"enc\""}, {"alg", "\"RS512\""}, {"key_ops", "[\"encrypt\"]"}, {"kty", "\"EC\""}, {"n", "\"\""}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_object *copy = json_clone(mem, key);
		json_set_ref(copy, wrong[i][0], parsed(wrong[i][1]));
		cr_expect_eq(check(token, key_set(copy, NULL), NULL), OIDC_SIGNATURE_NO_KEY, "%s", wrong[i][0]);
	}
	cr_expect_eq(check(token, key_set(parsed("1"), parsed("{\"kid\":\"k\"}")), NULL), OIDC_SIGNATURE_NO_KEY);
}

/* ---- claims
 * ------------------------------------------------------------------------------------------------------------- */

Test(oidc, claims_of_this_sign_in)
{
	static const struct {
		const char *patch;
		bool good;
	} cases[] = {
	    {"{}", true},
	    {"{\"aud\":[\"app\"]}", true},
	    {"{\"aud\":[\"app\",\"b\"],\"azp\":\"app\"}", true},
	    {"{\"aud\":[\"app\",\"b\"]}", false},
	    {"{\"aud\":[\"app\",\"app\"]}", false},
	    {"{\"aud\":\"App\"}", false},
	    {"{\"aud\":{\"app\":1}}", false},
	    {"{\"aud\":\"app\\u0000x\"}", false},
	    {"{\"iss\":\"https://i/\"}", false},
	    {"{\"nonce\":\"n2\"}", false},
	    {"{\"exp\":1799999970}", false},
	    {"{\"exp\":1799999970.5}", true},
	    {"{\"exp\":1799999971}", true},
	    {"{\"exp\":\"1800000100\"}", false},
	    {"{\"nbf\":1800000030}", true},
	    {"{\"nbf\":1800000031}", false},
	    {"{\"nbf\":null}", false},
	    {"{\"iat\":0}", true},
	    {"{\"iat\":true}", false},
	    {"{\"sub\":1}", false},
	    {"{\"auth_time\":0}", true},
	    {"{\"auth_time\":\"0\"}", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *claims =
		    parsed("{\"iss\":\"https://i\",\"aud\":\"app\",\"exp\":1800000100,\"iat\":1800000000,"
		           "\"sub\":\"s\",\"nonce\":\"n\"}");
		json_merge(claims, parsed(cases[i].patch), false);
		const char *refusal = oidc_claims_refusal(claims, "https://i", "app", "n", NOW_MS);
		cr_expect_eq(refusal == NULL, cases[i].good, "%s: %s", cases[i].patch, refusal);
	}
}

Test(oidc, issuer_with_a_tenant)
{
	static const char *const base = "{\"iss\":\"https://l/%s/v2.0\",\"aud\":\"app\",\"exp\":1800000100,\"iat\":1,"
	                                "\"sub\":\"s\",\"nonce\":\"n\"%s}";
	static const struct {
		const char *iss, *tid;
		bool good;
	} cases[] = {{"t-1", ",\"tid\":\"t-1\"", true},
	             {"t-1", ",\"tid\":\"t-2\"", false},
	             {"t-1", "", false},
	             {"t-1", ",\"tid\":1", false}};
	for (size_t i = 0; i < 4; i++) {
		char text[400];
		snprintf(text, sizeof(text), base, cases[i].iss, cases[i].tid);
		const char *refusal =
		    oidc_claims_refusal(parsed(text), "https://l/{tenantid}/v2.0", "app", "n", NOW_MS);
		cr_expect_eq(refusal == NULL, cases[i].good, "%s", text);
	}
}

Test(oidc, who_it_is)
{
	struct oidc_identity id;
	cr_expect_null(oidc_identity_read(
	    mem,
	    parsed(
	        "{\"sub\":\" s \",\"email\":\"Ann@Example.ORG\",\"name\":\" Ann \",\"roles\":[\"viewer\",\" admin \","
	        "\"viewer\",\"root\",\"Owner\"],\"groups\":[\"g\",\"g\",\" h \"],\"more\":[1]}"),
	    "https://i", &id));
	cr_expect_str_eq(id.subject, "https://i#s");
	cr_expect_str_eq(id.email, "ann@example.org");
	cr_expect_str_eq(id.name, "Ann");
	cr_expect(json_same(id.roles, parsed("[\"viewer\",\"admin\"]")), "%s", json_object_get_string(id.roles));
	cr_expect(json_same(id.groups, parsed("[{\"id\":\"g\",\"name\":\"g\"},{\"id\":\"h\",\"name\":\"h\"}]")));
	cr_expect_null(oidc_identity_read(mem, parsed("{\"sub\":\"s\",\"oid\":\"o\",\"tid\":\"t\",\"upn\":\"a@b.cd\"}"),
	                                  "https://i", &id));
	cr_expect_str_eq(id.subject, "t#o");
	cr_expect_str_eq(id.name, "a@b.cd");
	cr_expect_eq(json_object_array_length(id.roles), 0);
	char *big = mem_printf(mem, "{\"sub\":\"%0400d\",\"email\":\"a@b.cd\"}", 1);
	cr_expect_null(oidc_identity_read(mem, parsed(big), "https://i", &id));
	cr_expect_eq(strlen(id.subject), 71);
}

Test(oidc, claims_schema)
{
	static const struct {
		const char *claims, *reason;
	} cases[] = {
	    {"{\"sub\":\"s\"}", "unknown_oidc_error"},
	    {"{\"sub\":\"s\",\"email\":\"x\"}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":null}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"x\",\"upn\":\"a@b.cd\"}", NULL},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"preferred_username\":\"ann\",\"upn\":7}", NULL},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"email_verified\":\"false\"}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"email_verified\":\"true\"}", NULL},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\\u0000.evil\"}", "oidc_claims_invalid"},
	    {"{\"sub\":\"\",\"email\":\"a@b.cd\"}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"oid\":\"\"}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"tid\":null}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"groups\":[\"\"]}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"roles\":{}}", "oidc_claims_invalid"},
	    {"{\"sub\":\"s\",\"email\":\"a@b.cd\",\"roles\":[null]}", "oidc_claims_invalid"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct oidc_identity id;
		const char *reason = oidc_identity_read(mem, parsed(cases[i].claims), "https://i", &id);
		cr_expect(reason == cases[i].reason ||
		              (reason && cases[i].reason && strcmp(reason, cases[i].reason) == 0),
		          "%s: %s", cases[i].claims, reason);
	}
}
