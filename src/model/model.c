#include "model/model.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

const struct model *const models[] = {
    &model_users,
    &model_access_groups,
    &model_external_identities,
    &model_access_policies,
    &model_sessions,
    &model_oidc_states,
    &model_nodes,
    &model_credentials,
    &model_recordings,
    &model_jobs,
    &model_schedules,
    &model_health_events,
    &model_audit_events,
    &model_profiles,
    &model_watchdog_policies,
    &model_channel_map_templates,
    &model_channel_map_assignments,
    &model_channel_map_plans,
    &model_upload_providers,
    &model_upload_policies,
    &model_upload_queue,
    &model_retention_policies,
    &model_lifecycle_jobs,
    NULL,
};

/* The longest object part of a dotted name, with room to spare. */
#define PARENT_MAX 64

const struct model_field *model_field_find(const struct model *m, const char *name)
{
	for (size_t i = 0; name != NULL && i < m->count; i++)
		if (strcmp(m->fields[i].name, name) == 0)
			return &m->fields[i];
	return NULL;
}

/* Splits a dotted name: writes the object part to parent and returns the member; returns name and "" without a dot. */
static const char *split_name(const char *name, char parent[PARENT_MAX])
{
	const char *dot = strchr(name, '.');
	if (dot == NULL || dot - name >= PARENT_MAX) {
		parent[0] = '\0';
		return name;
	}
	memcpy(parent, name, (size_t)(dot - name));
	parent[dot - name] = '\0';
	return dot + 1;
}

/* The object that holds the member of f; NULL if there is none. *member is its key there. */
static json_object *holder(json_object *doc, const struct model_field *f, const char **member)
{
	char parent[PARENT_MAX];
	*member = split_name(f->name, parent);
	if (parent[0] == '\0')
		return json_object_is_type(doc, json_type_object) ? doc : NULL;
	return json_object_at(doc, parent);
}

bool model_has(json_object *doc, const struct model_field *f, json_object **value)
{
	const char *member;
	json_object *o = holder(doc, f, &member);
	*value = NULL;
	return o != NULL && json_object_object_get_ex(o, member, value);
}

json_object *model_value(json_object *doc, const struct model_field *f)
{
	json_object *value;
	model_has(doc, f, &value);
	return value;
}

/* The object that a field is to be changed in, made if it is missing. Others may hold it: it becomes a copy of doc's own. */
static json_object *own_holder(json_object *doc, const struct model_field *f, const char **member)
{
	char parent[PARENT_MAX];
	json_object *o, *own;
	*member = split_name(f->name, parent);
	if (parent[0] == '\0')
		return doc;
	void *ctx = talloc_new(NULL);
	o = json_object_at(doc, parent);
	own = json_object_get(o == NULL ? json_new_object(ctx) : json_shallow(ctx, o));
	talloc_free(ctx);
	json_object_object_add(doc, parent, own);
	return own;
}

void model_set(json_object *doc, const struct model_field *f, json_object *value)
{
	const char *member;
	json_object *o = own_holder(doc, f, &member);
	json_object_object_add(o, member, value);
}

void model_unset(json_object *doc, const struct model_field *f)
{
	const char *member;
	json_object *o = holder(doc, f, &member);
	if (o == NULL || !json_has(o, member))
		return;
	o = own_holder(doc, f, &member);
	json_object_object_del(o, member);
	if (o != doc && json_object_object_length(o) == 0) {
		char parent[PARENT_MAX];
		split_name(f->name, parent);
		json_object_object_del(doc, parent);
	}
}

json_object *model_public(const void *ctx, const struct model *m, json_object *doc)
{
	json_object *copy = json_shallow(ctx, doc);
	for (size_t i = 0; i < m->count; i++)
		if (m->fields[i].flags & M_HIDDEN)
			model_unset(copy, &m->fields[i]);
	return copy;
}

json_object *model_unknown(const void *ctx, const struct model *m, json_object *doc)
{
	json_object *rest = json_shallow(ctx, doc);
	for (size_t i = 0; i < m->count; i++)
		if ((m->fields[i].flags & (M_DERIVED | M_HIDDEN)) != (M_DERIVED | M_HIDDEN)) /* else no member of documents */
			model_unset(rest, &m->fields[i]);
	return json_object_object_length(rest) == 0 ? NULL : rest;
}

void model_add_unknown(json_object *doc, json_object *unknown)
{
	if (unknown == NULL)
		return;
	json_object_object_foreach(unknown, key, value)
	{
		json_object *there = json_object_at(doc, key);

		if (!json_has(doc, key))
			json_object_object_add(doc, key, json_object_get(value));
		else if (there != NULL && json_object_is_type(value, json_type_object))
			model_add_unknown(there, value);
	}
}

json_object *model_builtin(const void *ctx, const struct model *m, const char *id)
{
	if (m->seed == NULL)
		return NULL;
	json_object *docs = json_object_new_array();
	m->seed(docs, true);
	json_object *found = NULL;
	for (size_t i = 0; i < json_object_array_length(docs) && found == NULL; i++) {
		json_object *doc = json_object_array_get_idx(docs, i);
		const char *doc_id = json_str(doc, m->id);
		if (id == NULL || (doc_id != NULL && strcmp(doc_id, id) == 0))
			found = json_object_get(doc);
	}
	json_object_put(docs);
	return found == NULL ? NULL : json_own(ctx, found);
}
