/* Scope decisions about many targets in one request: remembered, and asked of the store in batches. */
#ifndef RAKKR_ACCESS_SCOPE_CACHE_H
#define RAKKR_ACCESS_SCOPE_CACHE_H

#include "access/principal.h"

struct scope_cache;

/* Owned by ctx; s and p must live as long. */
struct scope_cache *scope_cache_new(const void *ctx, struct store *s, const struct principal *p);

/*
 * Decides verdicts[i] for targets[i], as principal_scope() would. tmp is for what is not needed afterwards. However
 * many targets, at most three queries, and those for nodes and schedules the first time. Errors: those of the store.
 */
status scope_cache_decide(struct scope_cache *c, const void *tmp, const struct target *targets, size_t count,
                          enum scope_verdict *verdicts);

#endif
