/* What the provider says about itself (contract 01 14.2, 14.3 step 3). */
#ifndef RAKKR_ACCESS_OIDC_DISCOVERY_H
#define RAKKR_ACCESS_OIDC_DISCOVERY_H

#include "access/oidc_http.h"

struct oidc_provider {
	const char *issuer; /* as in the document */
	const char *authorization_endpoint, *token_endpoint, *jwks_uri;
	const char *userinfo_endpoint; /* NULL if there is none */
	json_object *algorithms;       /* array of ID token algorithms, NULL if the document has none */
	bool sends_issuer;             /* authorization responses carry "iss" */
};

/*
 * Reads the provider from a discovery document; strings are owned by ctx. False unless the four addresses are valid
 * URLs (and userinfo_endpoint, if there is one).
 */
bool oidc_provider_parse(const void *ctx, json_object *document, struct oidc_provider *p);

/*
 * Fetches the document for an administrator (row 46): afresh, following redirects. NULL, or the reason of the refusal;
 * *text is then its error text.
 */
const char *oidc_discovery_read(const void *ctx, struct oidc_visit *v, struct oidc_provider *p, const char **text);

/*
 * The provider for a sign-in: remembered by this process for an hour after a success, never after a failure. When it
 * cannot be had again an older document goes on being used for a day. Valid until the next call. False, logged.
 */
bool oidc_provider_get(const void *ctx, struct oidc_visit *v, const struct oidc_provider **p);

#endif
