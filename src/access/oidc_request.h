/* The addresses that a sign-in sends the browser to (contract 01 14.3 steps 1 and 5, 14.5). */
#ifndef RAKKR_ACCESS_OIDC_REQUEST_H
#define RAKKR_ACCESS_OIDC_REQUEST_H

#include "access/oidc.h"
#include "base/buf.h"

/* Appends "name=value" in form encoding, behind '&' unless it is the first. */
void oidc_form_add(struct buf *b, const char *name, const char *value);

/*
 * Where the browser goes after the sign-in: wanted if it lies in the console's origin, else the console. NULL if
 * web_origin is no URL. wanted may be NULL. The host of the result is always that of web_origin. Owned by ctx.
 */
char *oidc_return_url(const void *ctx, const char *web_origin, const char *wanted);

/* url with its hash replaced by the session (14.5); owned by ctx. */
char *oidc_return_with_token(const void *ctx, const char *url, const char *token, const char *expires_at);

/* The secrets of one sign-in, 43 characters each. */
struct oidc_secrets {
	const char *state, *nonce, *verifier;
};
void oidc_secrets_make(const void *ctx, struct oidc_secrets *s);

/* The authorization request at endpoint, whose own query is kept; owned by ctx. */
char *oidc_authorization_url(const void *ctx, const struct oidc *o, const char *endpoint, const struct oidc_secrets *s);

#endif
