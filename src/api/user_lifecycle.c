/* Password reset, enable and disable, delete (contract 01 13; rows 60-62). */
#include "api/user_lifecycle.h"
#include "api/user_lookup.h"
#include "access/password.h"
#include "base/text.h"
#include "model/schema.h"

/* Storage failures of these routes (07 2.21). */
static const char lifecycle_unavailable[] = "Local user lifecycle update unavailable";
static const char unknown_error[] = "unknown_user_lifecycle_error";

/* Changes the row; ST_NOT_FOUND without one (the local admin before its first login). */
static status user_patch(struct request *r, json_object *user, json_object *patch, json_object **after)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user, "id"));
	TRY(store_update(r->store, r->mem, &model_users, &q, patch, &page, NULL));
	if (page.count == 0)
		return ST_NOT_FOUND;
	return store_get(r->store, r->mem, &model_users, json_str(user, "id"), after);
}

/* The user of the path, locked; *answered if it is not there or cannot be read. */
static status user_of_path(struct request *r, json_object **user, bool *answered)
{
	bool has_row;
	status st = user_find_to_change(r, user_id_asked(r), user, &has_row);

	*answered = st != ST_OK;
	if (st == ST_NOT_FOUND)
		return user_not_found(r, NULL);
	if (st != ST_OK)
		return user_storage_failed(r, st, lifecycle_unavailable, unknown_error, user_target_asked(r));
	return ST_OK;
}

static status lifecycle_failed(struct request *r, status st, json_object *user)
{
	if (st == ST_NOT_FOUND)
		return user_not_found(r, json_str(user, "email"));
	return user_storage_failed(r, st, lifecycle_unavailable, unknown_error, user_target(user));
}

static const struct schema_field password_fields[] = {
    {.name = "password", .type = V_STR, .flags = S_REQUIRED, .min = PASSWORD_MIN, .max = PASSWORD_MAX},
};
static const struct schema password_schema = SCHEMA(password_fields, 0, NULL);

status user_password_reset(struct request *r)
{
	json_object *body, *input, *issues, *user, *after, *before, *patch = json_new_object(r->mem);
	bool answered;
	status st;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &password_schema, body, &input, &issues))
		return fail_issues(r, "Invalid password reset", issues, "invalid_request", user_target_asked(r), NULL);
	/* takes long: before anything is locked */
	json_set_str(patch, "passwordHash", password_hash(r->mem, r->config, json_str(input, "password")));
	TRY(user_of_path(r, &user, &answered));
	if (answered)
		return ST_OK;
	before = user_wire(r->mem, r->config, user);
	st = user_patch(r, user, patch, &after);
	if (st == ST_OK)
		st = store_sessions_revoke_user(r->store, json_str(user, "id"), r->now_ms);
	if (st != ST_OK)
		return lifecycle_failed(r, st, user);
	after = user_wire(r->mem, r->config, after);
	audit_add(r, &(struct audit){.target = user_target(after),
	                             .before = user_snapshot(r, before),
	                             .after = user_snapshot(r, after),
	                             .details = details(r, "sessionsRevoked", J_BOOL, 1, NULL)});
	return reply_data(r, 200, after);
}

static const struct schema_field status_fields[] = {{.name = "disabled", .type = V_BOOL, .flags = S_REQUIRED}};
static const struct schema status_schema = SCHEMA(status_fields, 0, NULL);

/* What the status route refuses before it looks at the user. */
static bool disable_denied(struct request *r, status *answer)
{
	const char *id = user_id_asked(r);

	if (user_is_caller(r, id))
		*answer =
		    fail(r, 400, "Cannot disable the current user", "self_disable_denied", user_target_asked(r), NULL);
	else if (user_is_local_admin(r, id))
		*answer = fail(r, 400, "Cannot disable the bootstrap local admin", "local_admin_disable_denied",
		               user_target_asked(r), NULL);
	else
		return false;
	return true;
}

status user_status_update(struct request *r)
{
	json_object *body, *input, *issues, *user, *after, *before, *patch = json_new_object(r->mem);
	bool answered, disabled;
	status st;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &status_schema, body, &input, &issues))
		return fail_issues(r, "Invalid user status", issues, "invalid_request", user_target_asked(r), NULL);
	disabled = json_flag(input, "disabled", false);
	if (disabled && disable_denied(r, &st))
		return st;
	TRY(user_of_path(r, &user, &answered));
	if (answered)
		return ST_OK;
	before = user_wire(r->mem, r->config, user);
	if (disabled)
		json_set_iso(patch, "disabledAt", r->now_ms);
	else
		json_set_null(patch, "disabledAt");
	st = user_patch(r, user, patch, &after);
	if (st == ST_OK && disabled)
		st = store_sessions_revoke_user(r->store, json_str(user, "id"), r->now_ms);
	if (st != ST_OK)
		return lifecycle_failed(r, st, user);
	after = user_wire(r->mem, r->config, after);
	audit_add(r, &(struct audit){.target = user_target(after),
	                             .before = user_snapshot(r, before),
	                             .after = user_snapshot(r, after),
	                             .details = details(r, "disabled", J_BOOL, disabled, "sessionsRevoked", J_BOOL,
	                                                disabled, NULL)});
	return reply_data(r, 200, after);
}

/*
 * Ids of the stored policies that name the user by id or e-mail: they stay, and would apply to whoever gets that
 * address next (09 15.1). NULL if there are none.
 */
static status policies_naming(struct request *r, json_object *user, json_object **ids)
{
	const char *names[] = {json_str(user, "id"), json_str(user, "email")};
	struct query q;
	struct page page;

	*ids = NULL;
	query_init(&q);
	query_where(&q, "subjectType", Q_EQ, "user");
	query_where_in(&q, "subjectId", names, 2);
	TRY(store_list(r->store, r->mem, &model_access_policies, &q, &page));
	if (page.count == 0)
		return ST_OK;
	*ids = json_new_array(r->mem);
	for (size_t i = 0; i < page.count; i++)
		json_push_str(*ids, json_str_or(json_object_array_get_idx(page.docs, i), "id", ""));
	return ST_OK;
}

static status user_remove(struct request *r, json_object *user)
{
	struct query q;
	struct page page;

	TRY(store_sessions_revoke_user(r->store, json_str(user, "id"), r->now_ms));
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user, "id"));
	TRY(store_remove(r->store, r->mem, &model_users, &q, &page));
	return page.count == 0 ? ST_NOT_FOUND : ST_OK;
}

status user_delete(struct request *r)
{
	const char *id = user_id_asked(r);
	json_object *user, *wire, *policies, *seen;
	bool answered;
	status st;

	if (user_is_caller(r, id))
		return fail(r, 400, "Cannot delete the current user", "self_delete_denied", user_target_asked(r), NULL);
	if (user_is_local_admin(r, id))
		return fail(r, 400, "Cannot delete the bootstrap local admin", "local_admin_delete_denied",
		            user_target_asked(r), NULL);
	TRY(user_of_path(r, &user, &answered));
	if (answered)
		return ST_OK;
	wire = user_wire(r->mem, r->config, user);
	st = user_remove(r, user);
	if (st == ST_OK)
		st = policies_naming(r, wire, &policies);
	if (st != ST_OK)
		return lifecycle_failed(r, st, user);
	seen = details(r, "email", J_STR, json_str(wire, "email"), "sessionsRevoked", J_BOOL, 1, NULL);
	json_set_ref(seen, "accessPolicyIds", policies);
	audit_add(r, &(struct audit){.target = user_target(wire), .before = user_snapshot(r, wire), .details = seen});
	return reply_empty(r, 204);
}
