/* From the code of a callback to the claims of an ID token (contract 01 14.4 steps 5 to 8). */
#ifndef RAKKR_ACCESS_OIDC_TOKEN_H
#define RAKKR_ACCESS_OIDC_TOKEN_H

#include "access/oidc_jwks.h"

#define OIDC_LEEWAY_SECONDS 30

/*
 * Exchanges the code for an ID token, owned by ctx. False: *why says what was wrong. Neither the code nor a token is
 * part of it.
 */
bool oidc_exchange(const void *ctx, struct oidc_visit *v, const struct oidc_provider *p, const char *code,
                   const char *verifier, const char **id_token, const char **why);

/*
 * NULL if the claims of an ID token are those of a sign-in that this client began with nonce, else what is wrong.
 * issuer is the provider's; "{tenantid}" in it stands for the token's tid. now_ms since the epoch.
 */
const char *oidc_claims_refusal(json_object *claims, const char *issuer, const char *client_id, const char *nonce,
                                int64_t now_ms);

#endif
