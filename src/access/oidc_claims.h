/* Who the claims of an ID token describe (contract 01 14.4 step 9, 14.6; 09 D-103, D-104). */
#ifndef RAKKR_ACCESS_OIDC_CLAIMS_H
#define RAKKR_ACCESS_OIDC_CLAIMS_H

#include "base/json.h"

struct oidc_identity {
	const char *subject; /* unique over tenants, at most 320 characters */
	const char *email;   /* lower case, at most 320 characters */
	const char *name;    /* at most 160 characters */
	json_object *roles;  /* array of known roles, each once */
	json_object *groups; /* array of {id,name}, each once */
};

/*
 * Reads claims; issuer is the provider's. Everything is owned by ctx. NULL, or the reason of the refusal:
 * "oidc_claims_invalid", or "unknown_oidc_error" when there is no e-mail claim at all (01 T23).
 */
const char *oidc_identity_read(const void *ctx, json_object *claims, const char *issuer, struct oidc_identity *id);

#endif
