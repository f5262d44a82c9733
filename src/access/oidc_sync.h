/* The account of whoever signed in at the provider (contract 01 14.6; 09 D-103, D-105). */
#ifndef RAKKR_ACCESS_OIDC_SYNC_H
#define RAKKR_ACCESS_OIDC_SYNC_H

#include "access/oidc_claims.h"
#include "base/config.h"
#include "store/store.h"

/*
 * Finds the account by its subject, else adopts an account of the provider with the same e-mail that no subject has
 * claimed, else makes one; then brings e-mail, name, roles and groups in line with the claims, and takes grants away.
 * *user: the stored document, owned by ctx. *refusal: NULL, or why there is no sign-in ("user_disabled",
 * "oidc_email_conflict"); the caller rolls back then. ST_CONFLICT: an account of this e-mail appeared meanwhile; roll
 * back and try again.
 */
status oidc_sync(const void *ctx, struct store *s, const struct config *c, const struct oidc_identity *id,
                 json_object **user, const char **refusal);

#endif
