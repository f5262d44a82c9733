/*
 * The row scope of a user: grants and policies reduced to sets of recording, schedule and node ids, so that the store
 * filters lists itself. Exact for R(recording) = itself + S(its schedule) + N(its node) (contract 01 11.2): a rule
 * matches a recording if it names it, or matches something that its schedule or its node stands for.
 */
#include "access/world.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static void set_add(const void *ctx, struct id_set *set, const char *id)
{
	if (set->count % 16 == 0)
		set->ids = mem_grow(ctx, set->ids, const char *, set->count + 16);
	set->ids[set->count++] = mem_strdup(ctx, id);
}

/* A rule as it applies to the recording target itself. */
static void direct_rule(const void *ctx, struct row_scope *out, bool deny, const char *type, const char *id)
{
	if (strcmp(type, "recording") != 0 && strcmp(type, "*") != 0)
		return;
	if (strcmp(id, "*") != 0)
		set_add(ctx, deny ? &out->deny_recordings : &out->allow_recordings, id);
	else if (deny)
		out->deny_all = true;
	else
		out->allow_all = true;
}

/* True if rules of other types than "recording" exist: nodes and schedules matter. */
static bool parents_matter(const struct scope_subject *s)
{
	for (size_t i = 0; i < s->policy_count; i++)
		if (strcmp(s->policies[i].type, "recording") != 0)
			return true;
	for (size_t i = 0; i < s->grant_count; i++)
		if (strcmp(s->grants[i].type, "recording") != 0)
			return true;
	return false;
}

static void judge(const void *ctx, const struct scope_subject *s, const struct targets *t, const char *id,
                  struct id_set *allow, struct id_set *deny)
{
	switch (scope_decide(s, t->at, t->count)) {
	case SCOPE_ALLOWED:
		set_add(ctx, allow, id);
		break;
	case SCOPE_POLICY_DENIED:
		set_add(ctx, deny, id);
		break;
	case SCOPE_UNAUTHENTICATED:
	case SCOPE_MISSING:
		break;
	}
}

static void judge_parents(const void *ctx, const struct world *w, const struct scope_subject *s, struct row_scope *out)
{
	for (size_t i = 0; i < json_object_array_length(w->nodes); i++) {
		const char *id = json_str_or(json_object_array_get_idx(w->nodes, i), "id", "");
		struct targets t = {0};

		world_node(ctx, w, id, &t);
		judge(ctx, s, &t, id, &out->allow_nodes, &out->deny_nodes);
	}
	for (size_t i = 0; i < json_object_array_length(w->schedules); i++) {
		const char *id = json_str_or(json_object_array_get_idx(w->schedules, i), "id", "");
		struct targets t = {0};

		world_schedule(ctx, w, id, &t);
		judge(ctx, s, &t, id, &out->allow_schedules, &out->deny_schedules);
	}
}

status principal_row_scope(const void *ctx, struct store *s, const struct principal *p, const struct row_scope **out)
{
	struct row_scope *rows;
	struct scope_subject restricted = p->scope;
	struct world world;

	*out = NULL;
	if (scope_is_total(&p->scope))
		return ST_OK;
	rows = mem_new(ctx, struct row_scope);
	*out = rows;
	if (!p->scope.known) {
		rows->deny_all = true;
		return ST_OK;
	}
	rows->allow_all = p->scope.unrestricted;
	restricted.unrestricted = false; /* what is allowed by role needs no set */
	for (size_t i = 0; i < restricted.policy_count; i++)
		direct_rule(ctx, rows, restricted.policies[i].deny, restricted.policies[i].type,
		            restricted.policies[i].id);
	for (size_t i = 0; i < restricted.grant_count; i++)
		direct_rule(ctx, rows, false, restricted.grants[i].type, restricted.grants[i].id);
	if (!parents_matter(&restricted))
		return ST_OK;
	TRY(world_open(ctx, s, p, &world));
	judge_parents(ctx, &world, &restricted, rows);
	return ST_OK;
}
