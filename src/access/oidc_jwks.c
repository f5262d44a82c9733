#include "access/oidc_jwks.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <cjose/cjose.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MS (INT64_C(60) * 60 * 1000)
#define AGAIN_MS (INT64_C(30) * 1000)
#define KEYS_MAX 64 /* of a key set; more are not looked at */
#define RSA_BITS_MIN 2048
#define TOKEN_MAX (64 * 1024)

/* ---- algorithms and keys ----------------------------------------------------------------------------------------- */

static const struct algorithm {
	const char *name;
	cjose_jwk_kty_t type;
	size_t bits; /* EC: the curve's */
} algorithms[] = {
    {"RS256", CJOSE_JWK_KTY_RSA, 0},  {"RS384", CJOSE_JWK_KTY_RSA, 0},  {"RS512", CJOSE_JWK_KTY_RSA, 0},
    {"PS256", CJOSE_JWK_KTY_RSA, 0},  {"PS384", CJOSE_JWK_KTY_RSA, 0},  {"PS512", CJOSE_JWK_KTY_RSA, 0},
    {"ES256", CJOSE_JWK_KTY_EC, 256}, {"ES384", CJOSE_JWK_KTY_EC, 384}, {"ES512", CJOSE_JWK_KTY_EC, 521},
};

static bool listed(json_object *texts, const char *text)
{
	for (size_t i = 0; texts != NULL && i < json_object_array_length(texts); i++)
		if (text_equal(oidc_text(json_object_array_get_idx(texts, i)), text))
			return true;
	return false;
}

/* NULL unless name is an algorithm that we take and that the provider uses. */
static const struct algorithm *algorithm_find(const char *name, json_object *allowed)
{
	if (name == NULL || (allowed == NULL ? strcmp(name, "RS256") != 0 : !listed(allowed, name)))
		return NULL;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

/* True if the key is meant for signatures of this algorithm and has the name that the token asks for. */
static bool key_meant(json_object *key, const struct algorithm *a, const char *kid)
{
	const char *use = oidc_text(json_get(key, "use")), *name = oidc_text(json_get(key, "alg"));
	json_object *operations = json_array(key, "key_ops");

	if (kid != NULL && !text_equal(oidc_text(json_get(key, "kid")), kid))
		return false;
	if (use != NULL && strcmp(use, "sig") != 0)
		return false;
	if (operations != NULL && !listed(operations, "verify"))
		return false;
	return name == NULL || strcmp(name, a->name) == 0;
}

static bool key_strong(const cjose_jwk_t *jwk, const struct algorithm *a)
{
	cjose_err err;
	size_t bits = cjose_jwk_get_keysize(jwk, &err);

	if (cjose_jwk_get_kty(jwk, &err) != a->type)
		return false;
	return a->type == CJOSE_JWK_KTY_RSA ? bits >= RSA_BITS_MIN : bits == a->bits;
}

static bool key_verifies(const void *ctx, cjose_jws_t *jws, json_object *key, const struct algorithm *a)
{
	size_t n;
	const char *text = json_compact(ctx, key, &n);
	cjose_err err;
	cjose_jwk_t *jwk = cjose_jwk_import(text, n, &err);
	bool good = jwk != NULL && key_strong(jwk, a) && cjose_jws_verify(jws, jwk, &err);

	cjose_jwk_release(jwk);
	return good;
}

/* ---- a token ----------------------------------------------------------------------------------------------------- */

/* Header and payload are taken from the library alone: two parsers could see two things. */
static enum oidc_signature check_jws(const void *ctx, cjose_jws_t *jws, json_object *keys, json_object *allowed,
                                     const char **why)
{
	cjose_err err;
	cjose_header_t *header = cjose_jws_get_protected(jws);
	char *critical = cjose_header_get_raw(header, "crit", &err);
	const char *kid = cjose_header_get(header, CJOSE_HDR_KID, &err);
	const struct algorithm *a = algorithm_find(cjose_header_get(header, CJOSE_HDR_ALG, &err), allowed);
	bool has_critical = critical != NULL;

	free(critical);
	*why = has_critical ? "the header has critical extensions" : "the algorithm is not allowed";
	if (has_critical || a == NULL)
		return OIDC_SIGNATURE_REFUSED;
	*why = "no key of the provider verifies the signature";
	for (size_t i = 0; i < json_object_array_length(keys) && i < KEYS_MAX; i++) {
		json_object *key = json_object_array_get_idx(keys, i);

		if (json_object_is_type(key, json_type_object) && key_meant(key, a, kid) &&
		    key_verifies(ctx, jws, key, a))
			return OIDC_SIGNATURE_GOOD;
	}
	return OIDC_SIGNATURE_NO_KEY;
}

static bool three_parts(const char *token)
{
	size_t dots = 0;

	for (const char *p = token; *p != '\0'; p++)
		dots += *p == '.';
	return dots == 2;
}

enum oidc_signature oidc_signature_check(const void *ctx, const char *token, json_object *keys, json_object *allowed,
                                         json_object **claims, const char **why)
{
	enum oidc_signature result;
	cjose_err err;
	cjose_jws_t *jws;
	uint8_t *payload;
	size_t n;

	*claims = NULL;
	*why = "it is no signed token";
	if (!three_parts(token) || strlen(token) > TOKEN_MAX)
		return OIDC_SIGNATURE_REFUSED;
	jws = cjose_jws_import(token, strlen(token), &err);
	if (jws == NULL)
		return OIDC_SIGNATURE_REFUSED;
	result = check_jws(ctx, jws, keys, allowed, why);
	if (result == OIDC_SIGNATURE_GOOD &&
	    (!cjose_jws_get_plaintext(jws, &payload, &n, &err) || !json_parse(ctx, (const char *)payload, n, claims) ||
	     !json_object_is_type(*claims, json_type_object))) {
		*why = "its payload is no JSON object";
		result = OIDC_SIGNATURE_REFUSED;
	}
	cjose_jws_release(jws);
	return result;
}

/* ---- the provider's keys ----------------------------------------------------------------------------------------- */

/* Of this process. */
static struct {
	void *mem; /* NULL = nothing is remembered */
	char *uri;
	json_object *keys;
	int64_t fetched_ms, again_ms; /* monotonic; again_ms: not before that because of a token */
} cache;

/* NULL when there are new keys, else why not. */
static const char *keys_fetch(const void *ctx, struct oidc_visit *v, const char *uri)
{
	struct oidc_answer a;
	json_object *keys;

	if (!oidc_call(ctx, v, uri, NULL, 0, &a))
		return mem_printf(ctx, "keys at %s: %s", uri, a.error);
	keys = json_array(oidc_answer_json(ctx, &a), "keys");
	if (keys == NULL)
		return mem_printf(ctx, "keys at %s: no key set, HTTP status %ld", uri, a.status);
	talloc_free(cache.mem);
	cache.mem = talloc_named_const(NULL, 0, "oidc keys");
	cache.uri = mem_strdup(cache.mem, uri);
	cache.keys = json_clone(cache.mem, keys);
	cache.fetched_ms = clock_mono_ms();
	return NULL;
}

bool oidc_token_verify(const void *ctx, struct oidc_visit *v, const struct oidc_provider *p, const char *token,
                       json_object **claims, const char **why)
{
	enum oidc_signature result;

	if (cache.mem == NULL || strcmp(cache.uri, p->jwks_uri) != 0 || clock_mono_ms() - cache.fetched_ms > FRESH_MS) {
		*why = keys_fetch(ctx, v, p->jwks_uri);
		if (*why != NULL)
			return false;
	}
	result = oidc_signature_check(ctx, token, cache.keys, p->algorithms, claims, why);
	if (result == OIDC_SIGNATURE_NO_KEY && clock_mono_ms() >= cache.again_ms) {
		cache.again_ms = clock_mono_ms() + AGAIN_MS;
		*why = keys_fetch(ctx, v, p->jwks_uri);
		if (*why != NULL)
			return false;
		result = oidc_signature_check(ctx, token, cache.keys, p->algorithms, claims, why);
	}
	return result == OIDC_SIGNATURE_GOOD;
}
