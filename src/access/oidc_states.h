/*
 * Sign-ins at an OpenID provider that are under way: what the callback has to know of the browser it comes from
 * (contract 01 14.3, 14.4). Anybody can begin one, so their number is bounded (RAKKR_OIDC_STATES_MAX).
 */
#ifndef RAKKR_ACCESS_OIDC_STATES_H
#define RAKKR_ACCESS_OIDC_STATES_H

#include "access/oidc_request.h"
#include "base/config.h"
#include "store/store.h"

/* Keeps a state, and forgets those that are out of date and, if there are too many, the oldest. */
status oidc_state_save(const void *ctx, struct store *s, const struct config *c, const struct oidc_secrets *secrets,
                       const char *return_to, int64_t now_ms);

/*
 * Takes a state out of the store and commits: it is used up whatever follows, also when it has expired, and nothing is
 * held while the provider is asked. ST_NOT_FOUND: none in force.
 */
status oidc_state_take(const void *ctx, struct store *s, const char *state, int64_t now_ms, json_object **saved);

/* Removes what is out of date; the caller commits. */
status oidc_states_purge(const void *ctx, struct store *s, int64_t now_ms);

#endif
