/* OpenID Connect as configured (contract 01 3.3, 14.1). */
#ifndef RAKKR_ACCESS_OIDC_H
#define RAKKR_ACCESS_OIDC_H

#include "base/config.h"
#include "base/json.h"

#define OIDC_STATE_SECONDS 600 /* how long a sign-in may take */

struct oidc {
	bool enabled;
	const char *issuer;        /* normalised URL without a trailing slash; NULL = missing */
	const char *discovery_url; /* NULL without an issuer */
	const char *client_id;     /* NULL = missing */
	const char *client_secret; /* NULL = public client */
	const char *redirect_uri;  /* as issuer */
	json_object *scopes;       /* array, never empty */
	json_object *missing;      /* names of what is missing, in contract order; empty while disabled */
	bool configured;           /* enabled and nothing missing */
	bool allow_insecure;       /* http to this machine is allowed */
	const char *ca_file;       /* NULL = the system's */
};

/* Everything owned by ctx. */
void oidc_load(const void *ctx, const struct config *c, struct oidc *o);

/* NULL when configured, else "oidc_disabled" or "oidc_not_configured". */
const char *oidc_unavailable(const struct oidc *o);

/* The public object of 14.1; the secret is never in it. */
json_object *oidc_public(const void *ctx, const struct oidc *o);

/* The value of a JSON string; NULL for anything else, and for one with a NUL character in it. */
const char *oidc_text(json_object *v);

/*
 * An absolute http(s) URL as browsers write it: scheme and host in lower case, no default port, and one trailing slash
 * removed. NULL if it is none. Owned by ctx.
 */
char *oidc_url(const void *ctx, const char *text);

#endif
