/* The built-in administrator, as the environment describes it (contract 01 3.2, 6). */
#include "access/principal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

/* Widths of the columns that these values end up in (09 17.1). */
#define NAME_MAX_CHARS 160
#define GROUP_MAX 120
#define RESOURCE_TYPE_MAX 80
#define RESOURCE_ID_MAX 160

static const char default_id[] = "00000000-0000-4000-8000-000000000001";

const char *local_admin_id(const void *ctx, const struct config *c)
{
	const char *id = config_str(c, CFG_LOCAL_ADMIN_ID);

	return id != NULL && text_is_uuid(id) ? text_lower(ctx, id) : default_id;
}

const char *local_admin_role(const struct config *c)
{
	const char *role = config_str(c, CFG_LOCAL_ADMIN_ROLE);
	enum role r = role != NULL ? role_parse(role) : ROLE_COUNT;

	return role_name(r != ROLE_COUNT ? r : ROLE_OWNER);
}

static void add_group(const void *ctx, json_object *groups, const char *text)
{
	char *id = text_trim(ctx, text);
	json_object *group;

	if (id[0] == '\0')
		return;
	if (text_utf16_len(id) > GROUP_MAX) {
		log_warn("RAKKR_LOCAL_ADMIN_GROUPS: a group longer than %d characters is left out", GROUP_MAX);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(groups); i++)
		if (text_equal(json_str(json_object_array_get_idx(groups, i), "id"), id))
			return;
	group = json_object_new_object();
	json_set_str(group, "id", id);
	json_set_str(group, "name", id);
	json_object_array_add(groups, group);
}

static void groups_from_json(const void *ctx, json_object *groups, const char *text)
{
	static bool warned;
	json_object *parsed;

	if (!json_parse(ctx, text, strlen(text), &parsed) || !json_object_is_type(parsed, json_type_array)) {
		if (!warned)
			log_warn("RAKKR_LOCAL_ADMIN_GROUPS is no JSON array: ignored");
		warned = true;
		return;
	}
	for (size_t i = 0; i < json_object_array_length(parsed); i++) {
		json_object *item = json_object_array_get_idx(parsed, i);

		if (json_is_str(item))
			add_group(ctx, groups, json_object_get_string(item));
	}
}

json_object *local_admin_groups(const void *ctx, const struct config *c)
{
	json_object *groups = json_new_array(ctx);
	const char *text = config_str(c, CFG_LOCAL_ADMIN_GROUPS);
	char *list, *save = NULL;

	if (text == NULL)
		return groups;
	list = text_trim(ctx, text);
	if (list[0] == '[') {
		groups_from_json(ctx, groups, list);
		return groups;
	}
	for (char *item = strtok_r(list, ",", &save); item != NULL; item = strtok_r(NULL, ",", &save))
		add_group(ctx, groups, item);
	return groups;
}

static void add_grant(json_object *grants, const char *type, json_object *id)
{
	json_object *grant;

	if (!json_is_str(id) || json_object_get_string_len(id) == 0)
		return;
	if (text_utf16_len(type) > RESOURCE_TYPE_MAX || text_utf16_len(json_object_get_string(id)) > RESOURCE_ID_MAX) {
		log_warn("RAKKR_LOCAL_RESOURCE_GRANTS: an over-long grant is left out");
		return;
	}
	grant = json_object_new_object();
	json_set_str(grant, "resourceId", json_object_get_string(id));
	json_set_str(grant, "resourceType", type);
	json_object_array_add(grants, grant);
}

json_object *local_admin_grants(const void *ctx, const struct config *c)
{
	static bool warned;
	json_object *grants = json_new_array(ctx), *parsed;
	const char *text = config_str(c, CFG_LOCAL_RESOURCE_GRANTS);

	if (text_blank(text))
		return grants;
	if (!json_parse(ctx, text, strlen(text), &parsed) || !json_object_is_type(parsed, json_type_object)) {
		if (!warned)
			log_warn("RAKKR_LOCAL_RESOURCE_GRANTS is no JSON object: ignored");
		warned = true;
		return grants;
	}
	json_object_object_foreach(parsed, type, ids)
	{
		if (!json_object_is_type(ids, json_type_array))
			continue;
		for (size_t i = 0; i < json_object_array_length(ids); i++)
			add_grant(grants, type, json_object_array_get_idx(ids, i));
	}
	return grants;
}

json_object *local_admin(const void *ctx, const struct config *c)
{
	json_object *user = json_new_object(ctx), *roles = json_object_new_array();

	json_set_str(user, "id", local_admin_id(ctx, c));
	json_set_str(user, "email", config_str(c, CFG_LOCAL_ADMIN_EMAIL));
	json_set_str(user, "name", text_cut(ctx, config_str(c, CFG_LOCAL_ADMIN_NAME), NAME_MAX_CHARS));
	json_set_str(user, "provider", "local");
	json_push_str(roles, local_admin_role(c));
	json_object_object_add(user, "roles", roles);
	json_set_ref(user, "groups", local_admin_groups(ctx, c));
	json_set_ref(user, "resourceGrants", local_admin_grants(ctx, c));
	return user;
}
