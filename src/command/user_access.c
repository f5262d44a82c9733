#include "command/user_access.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static bool has_text(json_object *list, const char *text)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (text_equal(json_object_get_string(json_object_array_get_idx(list, i)), text))
			return true;
	return false;
}

static bool is_named(const struct words *w, const char *text)
{
	for (size_t i = 0; i < w->count; i++)
		if (text_equal(w->at[i], text))
			return true;
	return false;
}

/* `present` (texts) with the named ones added, or taken away. */
static json_object *changed_texts(const struct access_change *c, json_object *present, const struct words *w)
{
	json_object *out = json_new_array(c->ctx);

	for (size_t i = 0; i < json_object_array_length(present); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(present, i));

		if (!c->revoke || !is_named(w, text))
			json_push_str(out, text);
	}
	for (size_t i = 0; i < w->count && !c->revoke; i++)
		if (!has_text(out, w->at[i]))
			json_push_str(out, w->at[i]);
	return out;
}

/* A grant as the option writes it. */
static const char *grant_text(const struct access_change *c, json_object *grant)
{
	return mem_printf(c->ctx, "%s:%s", json_str_or(grant, "resourceType", ""),
	                  json_str_or(grant, "resourceId", ""));
}

static json_object *grant_of(const struct access_change *c, const char *text)
{
	const char *colon = strchr(text, ':');
	json_object *grant = json_new_object(c->ctx);

	json_set_str(grant, "resourceId", colon != NULL ? colon + 1 : "");
	json_set_str(grant, "resourceType", colon != NULL ? mem_strndup(c->ctx, text, (size_t)(colon - text)) : text);
	return grant;
}

/* Those that are there stay as they are; the route drops repetitions. */
static json_object *changed_grants(const struct access_change *c, json_object *present)
{
	json_object *out = json_new_array(c->ctx);

	for (size_t i = 0; present != NULL && i < json_object_array_length(present); i++) {
		json_object *grant = json_object_array_get_idx(present, i);

		if (!c->revoke || !is_named(&c->grants, grant_text(c, grant)))
			json_push_ref(out, grant);
	}
	for (size_t i = 0; i < c->grants.count && !c->revoke; i++)
		json_push_ref(out, grant_of(c, c->grants.at[i]));
	return out;
}

static json_object *group_ids(const struct access_change *c, json_object *groups)
{
	json_object *out = json_new_array(c->ctx);

	for (size_t i = 0; groups != NULL && i < json_object_array_length(groups); i++)
		json_push_str(out, json_str_or(json_object_array_get_idx(groups, i), "id", ""));
	return out;
}

json_object *access_changed(const struct access_change *c, json_object *wire)
{
	json_object *body = json_new_object(c->ctx), *roles = json_array(wire, "roles");

	json_set_ref(body, "roles", changed_texts(c, roles != NULL ? roles : json_new_array(c->ctx), &c->roles));
	json_set_ref(body, "groupIds", changed_texts(c, group_ids(c, json_array(wire, "groups")), &c->groups));
	json_set_ref(body, "resourceGrants", changed_grants(c, json_array(wire, "resourceGrants")));
	return body;
}
