/*
 * The row scope of a user: grants and policies reduced to sets of recording, schedule and node ids, so that the store
 * filters lists itself. Exact for R(recording) = itself + S(its schedule) + N(its node) (contract 01 11.2): a rule
 * matches a recording if it names it, or matches something that its schedule or its node stands for.
 */
#include "access/expand.h"
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

static status list_all(const void *ctx, struct store *s, const struct model *m, json_object **docs)
{
	struct query q;
	struct page page;

	query_init(&q);
	TRY(store_list(s, ctx, m, &q, &page));
	*docs = page.docs;
	return ST_OK;
}

/* Judges every node; by_id gets the documents by id. */
static status judge_nodes(const void *ctx, struct store *s, const struct principal *p, const struct scope_subject *subj,
                          struct row_scope *out, json_object *by_id)
{
	json_object *nodes, *demo;

	TRY(list_all(ctx, s, &model_nodes, &nodes));
	TRY(expand_demo_node(ctx, s, p, &demo));
	if (demo != NULL)
		json_push_ref(nodes, demo);
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		json_object *node = json_object_array_get_idx(nodes, i);
		struct targets t = {0};

		json_set_ref(by_id, json_str(node, "id"), node);
		expand_node(ctx, &t, node);
		judge(ctx, subj, &t, json_str(node, "id"), &out->allow_nodes, &out->deny_nodes);
	}
	return ST_OK;
}

static status judge_schedules(const void *ctx, struct store *s, const struct scope_subject *subj, struct row_scope *out,
                              json_object *nodes_by_id)
{
	json_object *schedules;

	TRY(list_all(ctx, s, &model_schedules, &schedules));
	for (size_t i = 0; i < json_object_array_length(schedules); i++) {
		json_object *schedule = json_object_array_get_idx(schedules, i);
		json_object *node = json_get(nodes_by_id, json_str_or(schedule, "nodeId", ""));
		struct targets t = {0};

		targets_add(ctx, &t, "schedule", json_str(schedule, "id"));
		targets_add(ctx, &t, "room", json_str(schedule, "room"));
		if (node != NULL)
			expand_node(ctx, &t, node);
		judge(ctx, subj, &t, json_str(schedule, "id"), &out->allow_schedules, &out->deny_schedules);
	}
	return ST_OK;
}

status principal_row_scope(const void *ctx, struct store *s, const struct principal *p, const struct row_scope **out)
{
	struct row_scope *rows;
	struct scope_subject restricted = p->scope;
	json_object *nodes_by_id;

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
	nodes_by_id = json_new_object(ctx);
	TRY(judge_nodes(ctx, s, p, &restricted, rows, nodes_by_id));
	return judge_schedules(ctx, s, &restricted, rows, nodes_by_id);
}
