/* Resource scope: pure decision over expanded targets (contract 01 11). */
#ifndef RAKKR_ENGINE_SCOPE_H
#define RAKKR_ENGINE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
	const char *type;
	const char *id;   /* NULL or "" = no id */
	const char *name; /* optional, only for audit */
};

struct targets {
	struct target *at;
	size_t count;
};

struct grant {
	const char *type, *id;
};

struct policy { /* only those whose subject matches the user */
	bool deny;
	const char *type, *id;
};

struct scope_subject {
	bool known;        /* false = anonymous */
	bool unrestricted; /* role owner or admin */
	const struct grant *grants;
	size_t grant_count;
	const struct policy *policies;
	size_t policy_count;
};

enum scope_verdict { SCOPE_ALLOWED, SCOPE_UNAUTHENTICATED, SCOPE_POLICY_DENIED, SCOPE_MISSING };

/* NULL for SCOPE_ALLOWED, else "unauthenticated", "access_policy_denied", "missing_resource_scope". */
const char *scope_reason(enum scope_verdict v);

/* Decides over the already expanded targets; count 0 = a target without id = allowed for every known user. */
enum scope_verdict scope_decide(const struct scope_subject *s, const struct target *expanded, size_t count);

/* True if the decision cannot depend on the expansion: unrestricted without any deny policy. */
bool scope_is_total(const struct scope_subject *s);

/* Appends (type,id) unless id is empty or the pair is there already; memory from ctx. */
void targets_add(const void *ctx, struct targets *t, const char *type, const char *id);

/* True if the subject matches a policy: everyone; user by id or email; group by id (01 11.3). */
bool policy_subject_matches(const char *subject_type, const char *subject_id, const char *user_id, const char *email,
                            const char *const *group_ids, size_t groups);

#endif
