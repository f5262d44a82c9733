/* Users, their access and their life cycle (contract 01 12, 13; rows 50-55, 59). */
#include "api/access_schema.h"
#include "api/route.h"
#include "api/user_lifecycle.h"
#include "api/user_lookup.h"
#include "access/password.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/schema.h"

#include <string.h>

#define NAME_MAX_CHARS 160
#define EMAIL_MAX 320

#define AUTH TARGET("auth", NULL, NULL)
#define USERS_PATH "/api/v1/auth/users"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static json_object *users_list_data(struct request *r, json_object *docs)
{
	json_object *list = json_new_array(r->mem);
	bool admin_has_row = false;

	for (size_t i = 0; i < json_object_array_length(docs); i++)
		if (user_is_local_admin(r, json_str_or(json_object_array_get_idx(docs, i), "id", "")))
			admin_has_row = true;
	if (!admin_has_row)
		json_push_ref(list, user_wire(r->mem, r->config, local_admin(r->mem, r->config)));
	for (size_t i = 0; i < json_object_array_length(docs); i++)
		json_push_ref(list, user_wire(r->mem, r->config, json_object_array_get_idx(docs, i)));
	return list;
}

static status users_read(struct request *r)
{
	struct query q;
	struct page page;
	json_object *list;

	query_init(&q);
	TRY(store_list(r->store, r->mem, &model_users, &q, &page));
	list = users_list_data(r, page.docs);
	audit_ok(r, AUTH, details(r, "count", J_INT, (int64_t)json_object_array_length(list), NULL));
	return reply_data(r, 200, list);
}

static status groups_read(struct request *r)
{
	json_object *list = json_new_array(r->mem), *source;
	struct query q;
	struct page page;

	query_init(&q);
	TRY(store_list(r->store, r->mem, &model_access_groups, &q, &page));
	source = page.count > 0 ? page.docs : local_admin_groups(r->mem, r->config);
	for (size_t i = 0; i < json_object_array_length(source); i++) {
		json_object *group = json_object_array_get_idx(source, i), *wire = json_object_new_object();

		json_set_str_opt(wire, "id", json_str(group, "id"));
		json_set_str_opt(wire, "name", json_str(group, "name"));
		json_object_array_add(list, wire);
	}
	audit_ok(r, AUTH, details(r, "count", J_INT, (int64_t)json_object_array_length(list), NULL));
	return reply_data(r, 200, list);
}

static void add_action(struct request *r, json_object *actions, const char *name, const char *method, const char *href)
{
	json_set_ref(actions, name, action_state(r, PERM_AUTH_MANAGE, method, href, true, NULL, NULL));
}

static status auth_actions(struct request *r)
{
	json_object *data = json_new_object(r->mem), *actions = json_new_object(r->mem), *links;

	add_action(r, actions, "createUser", "POST", USERS_PATH);
	add_action(r, actions, "groups", "GET", "/api/v1/auth/groups");
	add_action(r, actions, "listUsers", "GET", USERS_PATH);
	add_action(r, actions, "policies", "GET", POLICIES_PATH);
	add_action(r, actions, "updatePolicies", "PATCH", POLICIES_PATH);
	links = details(r, "accessPolicies", J_STR, POLICIES_PATH, "accessPolicyActions", J_STR,
	                POLICIES_PATH "/actions", "createUser", J_STR, USERS_PATH, "groups", J_STR,
	                "/api/v1/auth/groups", "users", J_STR, USERS_PATH, NULL);
	json_set_ref(data, "actions", actions);
	json_set_ref(data, "links", links);
	audit_ok(r, AUTH, details(r, "visibleActionCount", J_INT, (int64_t)5, NULL));
	return reply_data(r, 200, data);
}

/* ---- access: roles, grants, groups ------------------------------------------------------------------------------- */

static const char *const role_names[] = {"owner", "admin", "operator", "viewer", "auditor", NULL};

static const struct schema_field group_item = {.type = V_STR, .flags = S_TRIM, .min = 1, .max = 120};
static const struct schema_field role_item = {.type = V_ENUM, .values = role_names};
static const struct schema_field grant_fields[] = {
    {.name = "resourceId", .type = V_STR, .flags = S_REQUIRED, .min = 1, .max = RESOURCE_ID_MAX},
    {.name = "resourceType", .type = V_STR, .flags = S_REQUIRED, .min = 1, .max = RESOURCE_TYPE_MAX},
};
static const struct schema grant_schema = SCHEMA(grant_fields, 0, NULL);
static const struct schema_field grant_item = {.type = V_OBJECT, .sub = &grant_schema};

#define ACCESS_FIELDS                                                                                                  \
	{.name = "groupIds", .type = V_ARRAY, .max = 64, .item = &group_item, .dflt = "[]"},                           \
	    {.name = "resourceGrants", .type = V_ARRAY, .max = RULES_MAX, .item = &grant_item, .dflt = "[]"},          \
	{                                                                                                              \
		.name = "roles", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .item = &role_item                    \
	}

static const struct schema_field access_fields[] = {ACCESS_FIELDS};
static const struct schema access_schema = SCHEMA(access_fields, S_STRICT, NULL);

/* Copy of a list of texts without repetitions, first one kept. */
static json_object *unique_texts(struct request *r, json_object *list)
{
	json_object *out = json_new_array(r->mem), *seen = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(list, i));

		if (json_has(seen, text))
			continue;
		json_set_bool(seen, text, true);
		json_push_str(out, text);
	}
	return out;
}

static json_object *unique_grants(struct request *r, json_object *list)
{
	json_object *out = json_new_array(r->mem), *seen = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *grant = json_object_array_get_idx(list, i);
		const char *key =
		    mem_printf(r->mem, "%s:%s", json_str(grant, "resourceType"), json_str(grant, "resourceId"));

		if (json_has(seen, key))
			continue;
		json_set_bool(seen, key, true);
		json_push_ref(out, grant);
	}
	return out;
}

/* A group exists by being named: its name is its id. */
static json_object *groups_of_ids(struct request *r, json_object *ids)
{
	json_object *out = json_new_array(r->mem);

	ids = unique_texts(r, ids);
	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));

		json_push_ref(out, details(r, "id", J_STR, id, "name", J_STR, id, NULL));
	}
	return out;
}

static void set_access(struct request *r, json_object *user, json_object *input)
{
	json_set_ref(user, "roles", unique_texts(r, json_array(input, "roles")));
	json_set_ref(user, "groups", groups_of_ids(r, json_array(input, "groupIds")));
	json_set_ref(user, "resourceGrants", unique_grants(r, json_array(input, "resourceGrants")));
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static const struct schema_field create_fields[] = {
    ACCESS_FIELDS,
    {.name = "email", .type = V_EMAIL, .flags = S_REQUIRED, .max = EMAIL_MAX},
    {.name = "name", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = NAME_MAX_CHARS},
    {.name = "password", .type = V_STR, .flags = S_REQUIRED, .min = PASSWORD_MIN, .max = PASSWORD_MAX},
};
static const struct schema create_schema = SCHEMA(create_fields, S_STRICT, NULL);

static json_object *new_user(struct request *r, json_object *input)
{
	json_object *user = json_new_object(r->mem);
	char id[UUID_SIZE];

	uuid_v4(id);
	json_set_str(user, "id", id);
	json_set_str(user, "email", text_lower(r->mem, json_str(input, "email")));
	json_set_str(user, "name", json_str(input, "name"));
	json_set_str(user, "provider", "local");
	json_set_str(user, "passwordHash", password_hash(r->mem, r->config, json_str(input, "password")));
	json_set_iso(user, "createdAt", r->now_ms);
	set_access(r, user, input);
	return user;
}

static status user_create(struct request *r)
{
	json_object *body, *input, *issues, *user, *stored, *wire;
	struct target target;
	status st;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &create_schema, body, &input, &issues))
		return fail_issues(r, "Invalid local user", issues, "invalid_request", TARGET("user", NULL, NULL),
		                   NULL);
	user = new_user(r, input);
	target = TARGET("user", NULL, json_str(user, "email"));
	st = store_user_create(r->store, r->mem, user, &stored);
	if (st == ST_CONFLICT)
		return fail(r, 409, "Local user already exists", "user_exists", target, NULL);
	if (st != ST_OK)
		return user_storage_failed(r, st, "Local user unavailable", "unknown_user_create_error", target);
	wire = user_wire(r->mem, r->config, stored);
	audit_add(r, &(struct audit){.target = user_target(wire),
	                             .after = user_snapshot(r, wire),
	                             .details = details(r, "email", J_STR, json_str(wire, "email"), "provider", J_STR,
	                                                json_str(wire, "provider"), NULL)});
	return reply_data(r, 201, wire);
}

/* ---- detail ------------------------------------------------------------------------------------------------------ */

static void user_action(struct request *r, json_object *actions, const char *name, const char *method, const char *href,
                        const char *reason, json_object *payload)
{
	json_set_ref(actions, name, action_state(r, PERM_AUTH_MANAGE, method, href, reason == NULL, reason, payload));
}

static const char *delete_refusal(struct request *r, json_object *user)
{
	if (user_is_caller(r, json_str(user, "id")))
		return "self_delete_denied";
	return user_is_local_admin(r, json_str(user, "id")) ? "local_admin_delete_denied" : NULL;
}

static const char *disable_refusal(struct request *r, json_object *user)
{
	if (user_is_caller(r, json_str(user, "id")))
		return "self_disable_denied";
	if (user_is_local_admin(r, json_str(user, "id")))
		return "local_admin_disable_denied";
	return json_str(user, "disabledAt") != NULL ? "user_already_disabled" : NULL;
}

static json_object *user_actions(struct request *r, json_object *user, const char *base)
{
	json_object *actions = json_new_object(r->mem);
	const char *status_path = mem_printf(r->mem, "%s/status", base);
	bool local = text_equal(json_str(user, "provider"), "local");

	user_action(r, actions, "delete", "DELETE", base, delete_refusal(r, user), NULL);
	user_action(r, actions, "detail", "GET", base, NULL, NULL);
	user_action(r, actions, "disable", "PATCH", status_path, disable_refusal(r, user),
	            details(r, "disabled", J_BOOL, 1, NULL));
	user_action(r, actions, "enable", "PATCH", status_path,
	            json_str(user, "disabledAt") == NULL ? "user_already_enabled" : NULL,
	            details(r, "disabled", J_BOOL, 0, NULL));
	user_action(r, actions, "resetPassword", "PATCH", mem_printf(r->mem, "%s/password", base),
	            local ? NULL : "non_local_user_password_unavailable", NULL);
	user_action(r, actions, "updateAccess", "PATCH", mem_printf(r->mem, "%s/access", base), NULL, NULL);
	return actions;
}

/* Both detail and actions: the answers are identical (01 12.5). */
static status user_detail(struct request *r)
{
	json_object *user, *data = json_new_object(r->mem);
	const char *base;
	bool has_row;
	status st = user_find(r, user_id_asked(r), &user, &has_row);

	if (st == ST_NOT_FOUND)
		return user_not_found(r, NULL);
	TRY(st);
	user = user_wire(r->mem, r->config, user);
	base = mem_printf(r->mem, USERS_PATH "/%s", json_str(user, "id"));
	json_set_ref(data, "actions", user_actions(r, user, base));
	json_set_ref(data, "links",
	             details(r, "access", J_STR, mem_printf(r->mem, "%s/access", base), "actions", J_STR,
	                     mem_printf(r->mem, "%s/actions", base), "delete", J_STR, base, "detail", J_STR, base,
	                     "password", J_STR, mem_printf(r->mem, "%s/password", base), "status", J_STR,
	                     mem_printf(r->mem, "%s/status", base), NULL));
	json_set_ref(data, "user", user);
	audit_ok(r, user_target(user), NULL);
	return reply_data(r, 200, data);
}

/* ---- access update ----------------------------------------------------------------------------------------------- */

static bool grants_auth_manage(json_object *roles)
{
	for (size_t i = 0; i < json_object_array_length(roles); i++) {
		enum role role = role_parse(json_object_get_string(json_object_array_get_idx(roles, i)));

		if ((role_permissions(role) & (1u << PERM_AUTH_MANAGE)) != 0)
			return true;
	}
	return false;
}

/* In flat files the local admin gets its row here; in a database it has one after its first login only (01 12.7). */
static status access_write(struct request *r, json_object *user, bool has_row, json_object *input)
{
	json_object *access = json_clone(r->mem, user), *stored;

	set_access(r, access, input);
	if (!has_row && !store_is_database(r->store)) {
		json_set_iso(access, "createdAt", r->now_ms);
		return store_user_create(r->store, r->mem, access, &stored);
	}
	return store_access_write(r->store, r->mem, json_str(user, "id"), json_array(access, "roles"),
	                          json_array(access, "resourceGrants"), json_array(access, "groups"));
}

static status access_update(struct request *r)
{
	json_object *body, *input, *issues, *user, *before, *after;
	bool has_row;
	status st;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &access_schema, body, &input, &issues))
		return fail_issues(r, "Invalid access update", issues, "invalid_request", user_target_asked(r), NULL);
	if (user_is_caller(r, user_id_asked(r)) && !grants_auth_manage(json_array(input, "roles")))
		return fail(r, 400, "Local access manager must keep auth:manage", "self_auth_manage_required",
		            user_target_asked(r), NULL);
	st = user_find_to_change(r, user_id_asked(r), &user, &has_row);
	if (st == ST_NOT_FOUND)
		return user_not_found(r, NULL);
	if (st == ST_OK) {
		before = user_wire(r->mem, r->config, user);
		st = access_write(r, user, has_row, input);
	}
	if (st == ST_OK)
		st = user_find(r, user_id_asked(r), &user, &has_row);
	if (st != ST_OK)
		return user_storage_failed(r, st, "Local user access unavailable", "unknown_access_update_error",
		                           user_target_asked(r));
	after = user_wire(r->mem, r->config, user);
	audit_add(r, &(struct audit){.target = user_target(after),
	                             .before = user_snapshot(r, before),
	                             .after = user_snapshot(r, after)});
	return reply_data(r, 200, after);
}

#define COLLECTION_ROUTE(method_, path_, action_, handler_)                                                            \
	{                                                                                                              \
		.method = method_, .path = path_, .guard = GUARD_USER, .permission = PERM_AUTH_MANAGE,                 \
		.action = action_, .target_type = "auth", .handler = handler_                                          \
	}
#define USER_ROUTE(method_, path_, action_, handler_)                                                                  \
	{                                                                                                              \
		.method = method_, .path = USERS_PATH "/:userId" path_, .guard = GUARD_USER,                           \
		.permission = PERM_AUTH_MANAGE, .action = action_, .target_type = "user",                              \
		.target = user_target_of_route, .handler = handler_                                                    \
	}

/* Rows 56-58, the policies, stand between these in contract 01 1; no path of theirs matches one of these. */
const struct route users_routes[] = {
    COLLECTION_ROUTE("GET", "/api/v1/auth/actions", "auth.actions.read", auth_actions),
    COLLECTION_ROUTE("GET", "/api/v1/auth/groups", "auth.groups.read", groups_read),
    COLLECTION_ROUTE("GET", USERS_PATH, "auth.users.read", users_read),
    COLLECTION_ROUTE("POST", USERS_PATH, "auth.users.create", user_create),
    USER_ROUTE("GET", "", "auth.users.detail.read", user_detail),
    USER_ROUTE("GET", "/actions", "auth.users.actions.read", user_detail),
    USER_ROUTE("PATCH", "/access", "auth.users.access.update", access_update),
    USER_ROUTE("PATCH", "/password", "auth.users.password.reset", user_password_reset),
    USER_ROUTE("PATCH", "/status", "auth.users.status.update", user_status_update),
    USER_ROUTE("DELETE", "", "auth.users.delete", user_delete),
    {.method = NULL},
};
