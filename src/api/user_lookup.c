#include "api/user_lookup.h"

#include "access/user_row.h"
#include "base/text.h"

bool user_is_local_admin(struct request *r, const char *id)
{
	return text_equal_ci(id, local_admin_id(r->mem, r->config));
}

bool user_is_caller(struct request *r, const char *id)
{
	return text_equal_ci(id, r->who.id);
}

const char *user_id_asked(struct request *r)
{
	const char *id = req_param(r, "userId");

	return text_is_uuid(id) ? text_lower(r->mem, id) : id;
}

status user_target_of_route(struct request *r, struct target *t)
{
	t->id = user_id_asked(r);
	return ST_OK;
}

static status find(struct request *r, const char *id, bool lock, json_object **user, bool *has_row)
{
	status st = ST_NOT_FOUND;

	if (text_is_uuid(id)) {
		id = text_lower(r->mem, id);
		st = lock ? user_row_lock(r->mem, r->store, id, user)
		          : store_get(r->store, r->mem, &model_users, id, user);
	}
	*has_row = st == ST_OK;
	if (st == ST_NOT_FOUND && user_is_local_admin(r, id)) {
		*user = local_admin(r->mem, r->config);
		return ST_OK;
	}
	return st;
}

status user_find(struct request *r, const char *id, json_object **user, bool *has_row)
{
	return find(r, id, false, user, has_row);
}

status user_find_to_change(struct request *r, const char *id, json_object **user, bool *has_row)
{
	return find(r, id, true, user, has_row);
}

struct target user_target_asked(struct request *r)
{
	return TARGET("user", user_id_asked(r), NULL);
}

struct target user_target(json_object *user)
{
	return TARGET("user", json_str(user, "id"), json_str(user, "email"));
}

json_object *user_snapshot(struct request *r, json_object *wire)
{
	json_object *o = json_new_object(r->mem);

	json_set_str_opt(o, "disabledAt", json_str(wire, "disabledAt"));
	json_set_copy(o, "groups", json_get(wire, "groups"));
	json_set_copy(o, "resourceGrants", json_get(wire, "resourceGrants"));
	json_set_copy(o, "roles", json_get(wire, "roles"));
	return o;
}

status user_not_found(struct request *r, const char *name)
{
	return fail(r, 404, "User not found", "user_not_found", TARGET("user", user_id_asked(r), name), NULL);
}

status user_storage_failed(struct request *r, status st, const char *text, const char *other, struct target t)
{
	return fail(r, 503, text, st == ST_UNAVAILABLE ? "database_unavailable" : other, t, NULL);
}
