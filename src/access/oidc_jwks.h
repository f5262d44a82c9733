/* Signatures of ID tokens, and the provider's keys that they are checked with (contract 01 14.4 step 7). */
#ifndef RAKKR_ACCESS_OIDC_JWKS_H
#define RAKKR_ACCESS_OIDC_JWKS_H

#include "access/oidc_discovery.h"

enum oidc_signature {
	OIDC_SIGNATURE_GOOD,
	OIDC_SIGNATURE_REFUSED, /* no key could make it good: form, algorithm, critical header */
	OIDC_SIGNATURE_NO_KEY   /* made with none of these keys: they may be out of date */
};

/*
 * Checks the signature of a compact token with keys (array of JWK). Its algorithm must be one of RS, PS, ES 256, 384,
 * 512 and in allowed (array; NULL = RS256 alone). *claims: the payload, owned by ctx. *why says what was wrong.
 */
enum oidc_signature oidc_signature_check(const void *ctx, const char *token, json_object *keys, json_object *allowed,
                                         json_object **claims, const char **why);

/*
 * The same with the provider's keys, which this process remembers for an hour. When none of them fits they are fetched
 * once more, at most twice a minute: keys get replaced, but a wrong token must not make us a load on the provider.
 */
bool oidc_token_verify(const void *ctx, struct oidc_visit *v, const struct oidc_provider *p, const char *token,
                       json_object **claims, const char **why);

#endif
