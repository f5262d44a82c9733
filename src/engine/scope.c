#include "engine/scope.h"

#include "base/mem.h"

#include <string.h>

/* Targets grow in steps of this many entries; a recording expands to eight at most. */
#define TARGETS_STEP 8

static bool has_text(const char *s)
{
	return s != NULL && s[0] != '\0';
}

const char *scope_reason(enum scope_verdict v)
{
	switch (v) {
	case SCOPE_ALLOWED:
		return NULL;
	case SCOPE_UNAUTHENTICATED:
		return "unauthenticated";
	case SCOPE_POLICY_DENIED:
		return "access_policy_denied";
	case SCOPE_MISSING:
		break;
	}
	return "missing_resource_scope";
}

/* 01 11.4: exact, case-sensitive, "*" is any value; no prefixes. */
static bool rule_matches(const char *type, const char *id, const struct target *t)
{
	return (strcmp(type, "*") == 0 || strcmp(type, t->type) == 0) &&
	       (strcmp(id, "*") == 0 || strcmp(id, t->id) == 0);
}

static bool rule_matches_any(const char *type, const char *id, const struct target *expanded, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (has_text(expanded[i].id) && rule_matches(type, id, &expanded[i]))
			return true;
	return false;
}

static bool any_policy_matches(const struct scope_subject *s, bool deny, const struct target *expanded, size_t count)
{
	for (size_t i = 0; i < s->policy_count; i++) {
		const struct policy *p = &s->policies[i];

		if (p->deny == deny && rule_matches_any(p->type, p->id, expanded, count))
			return true;
	}
	return false;
}

static bool any_grant_matches(const struct scope_subject *s, const struct target *expanded, size_t count)
{
	for (size_t i = 0; i < s->grant_count; i++)
		if (rule_matches_any(s->grants[i].type, s->grants[i].id, expanded, count))
			return true;
	return false;
}

enum scope_verdict scope_decide(const struct scope_subject *s, const struct target *expanded, size_t count)
{
	if (!s->known)
		return SCOPE_UNAUTHENTICATED;
	if (count == 0)
		return SCOPE_ALLOWED;
	if (any_policy_matches(s, true, expanded, count))
		return SCOPE_POLICY_DENIED;
	if (s->unrestricted || any_policy_matches(s, false, expanded, count) || any_grant_matches(s, expanded, count))
		return SCOPE_ALLOWED;
	return SCOPE_MISSING;
}

bool scope_is_total(const struct scope_subject *s)
{
	if (!s->known || !s->unrestricted)
		return false;
	for (size_t i = 0; i < s->policy_count; i++)
		if (s->policies[i].deny)
			return false;
	return true;
}

void targets_add(const void *ctx, struct targets *t, const char *type, const char *id)
{
	if (!has_text(id))
		return;
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->at[i].type, type) == 0 && strcmp(t->at[i].id, id) == 0)
			return;
	if (t->count % TARGETS_STEP == 0)
		t->at = mem_grow(ctx, t->at, struct target, t->count + TARGETS_STEP);
	t->at[t->count++] = (struct target){.type = mem_strdup(ctx, type), .id = mem_strdup(ctx, id)};
}

bool policy_subject_matches(const char *subject_type, const char *subject_id, const char *user_id, const char *email,
                            const char *const *group_ids, size_t groups)
{
	if (subject_type == NULL)
		return false;
	if (strcmp(subject_type, "everyone") == 0)
		return true;
	if (!has_text(subject_id))
		return false;
	if (strcmp(subject_type, "user") == 0)
		return (user_id != NULL && strcmp(subject_id, user_id) == 0) ||
		       (email != NULL && strcmp(subject_id, email) == 0);
	if (strcmp(subject_type, "group") != 0)
		return false;
	for (size_t i = 0; i < groups; i++)
		if (strcmp(subject_id, group_ids[i]) == 0)
			return true;
	return false;
}
