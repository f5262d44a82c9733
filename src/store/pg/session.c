/* Login sessions (contract 01 8, 07 2.5): who a token belongs to, with everything that decides what he may do. */
#include "store/pg/pg.h"

#include "base/clock.h"

#include <string.h>

/* One row: session, user, access, and the policies whose subject matches the user (01 11.3). */
static const char find_sql[] =
    "SELECT s.id, u.id, u.email, u.name, u.provider,"
    " (SELECT jsonb_agg(r.role_id ORDER BY array_position("
    "ARRAY['owner', 'admin', 'operator', 'viewer', 'auditor'], r.role_id::text), r.role_id)"
    " FROM user_roles r WHERE r.user_id = u.id),"
    " (SELECT jsonb_agg(jsonb_build_object('resourceType', g.resource_type, 'resourceId', g.resource_id)"
    " ORDER BY g.created_at, g.resource_type, g.resource_id) FROM user_resource_grants g WHERE g.user_id = u.id),"
    " (SELECT jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.id)"
    " FROM user_access_groups m JOIN access_groups g ON g.id = m.group_id WHERE m.user_id = u.id),"
    " EXISTS (SELECT 1 FROM access_policies),"
    " (SELECT jsonb_agg(jsonb_build_object('effect', p.effect, 'resourceType', p.resource_type,"
    " 'resourceId', p.resource_id) ORDER BY p.created_at, p.id) FROM access_policies p"
    " WHERE p.subject_type = 'everyone'"
    " OR (p.subject_type = 'user' AND p.subject_id IN (u.id::text, u.email))"
    " OR (p.subject_type = 'group' AND p.subject_id <> '' AND EXISTS (SELECT 1 FROM user_access_groups m"
    " WHERE m.user_id = u.id AND m.group_id = p.subject_id))),"
    " s.last_seen_at < $3::timestamptz"
    " FROM auth_sessions s JOIN users u ON u.id = s.user_id"
    " WHERE s.token_hash = $1::text AND s.revoked_at IS NULL AND s.expires_at > $2::timestamptz"
    " AND u.disabled_at IS NULL";

/* Rarely, and never waiting for a lock: it may not hold the request up. */
static const char touch_sql[] = "UPDATE auth_sessions SET last_seen_at = $2::timestamptz"
                                " WHERE id IN (SELECT id FROM auth_sessions WHERE token_hash = $1::text"
                                " AND revoked_at IS NULL AND last_seen_at < $3::timestamptz"
                                " FOR UPDATE SKIP LOCKED)";

/* Sets key to the JSON array of a cell, [] if there is none. */
static void set_array(const void *ctx, json_object *o, const char *key, const char *text)
{
	json_object *array = row_json(ctx, text);

	json_set_ref(o, key, array != NULL ? array : json_new_array(ctx));
}

static json_object *session_document(const void *ctx, const struct batch *b, size_t call)
{
	json_object *out = json_new_object(ctx), *user = json_new_object(ctx);
	const char *provider = batch_cell(b, call, 0, 4);
	bool rows_of_access = batch_cell(b, call, 0, 5) != NULL || batch_cell(b, call, 0, 6) != NULL;

	json_set_str(user, "id", batch_cell(b, call, 0, 1));
	json_set_str(user, "email", batch_cell(b, call, 0, 2));
	json_set_str(user, "name", batch_cell(b, call, 0, 3));
	json_set_str(user, "provider", strcmp(provider, "oidc") == 0 ? "oidc" : "local");
	set_array(ctx, user, "roles", batch_cell(b, call, 0, 5));
	set_array(ctx, user, "resourceGrants", batch_cell(b, call, 0, 6));
	set_array(ctx, user, "groups", batch_cell(b, call, 0, 7));
	json_set_str(out, "sessionId", batch_cell(b, call, 0, 0));
	json_set_ref(out, "user", user);
	json_set_bool(out, "roleRows", rows_of_access);
	json_set_bool(out, "policiesStored", strcmp(batch_cell(b, call, 0, 8), "t") == 0);
	set_array(ctx, out, "policies", batch_cell(b, call, 0, 9));
	return out;
}

status pg_session_find(void *backend, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	struct pg *p = backend;
	const char *values[] = {hash, param_time(ctx, now_ms), param_time(ctx, now_ms - PG_TOUCH_MS)};
	struct batch b;
	size_t call;

	*out = NULL;
	batch_init(&b, ctx);
	call = batch_add(&b, find_sql, values, 3);
	TRY(pg_read(p, &b));
	if (batch_rows(&b, call) == 0)
		return ST_NOT_FOUND;
	*out = session_document(ctx, &b, call);
	if (strcmp(batch_cell(&b, call, 0, 10), "t") == 0)
		pg_touch(p, ctx, touch_sql, values, 3);
	return ST_OK;
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

/* The row of the user, made if there is none; the hash is written with a new row only (07 Trap 9). */
static void add_user(struct batch *b, json_object *user, const char *now)
{
	const char **values = mem_array(b->ctx, const char *, 6);
	const char *provider = json_str_or(user, "provider", "local");

	values[0] = json_str(user, "id");
	values[1] = param_text(b->ctx, json_str(user, "email"));
	values[2] = param_cut(b->ctx, json_str(user, "name"), PG_USER_NAME_MAX);
	values[3] = strcmp(provider, "oidc") == 0 ? "oidc" : "local";
	values[4] = param_text(b->ctx, json_str(user, "passwordHash"));
	values[5] = now;
	batch_add(b,
	          "INSERT INTO users AS u (id, email, name, provider, password_hash, created_at, updated_at)"
	          " VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::timestamptz, $6::timestamptz)"
	          " ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name,"
	          " provider = excluded.provider, updated_at = excluded.updated_at"
	          " WHERE (u.email, u.name, u.provider) IS DISTINCT FROM"
	          " (excluded.email, excluded.name, excluded.provider)",
	          values, 6);
}

static size_t add_session(struct batch *b, json_object *session, const char *now)
{
	const char **values = mem_array(b->ctx, const char *, 6);

	values[0] = json_str(session, "tokenHash");
	values[1] = json_str(session, "userId");
	values[2] = json_str(session, "expiresAt");
	values[3] = param_cut(b->ctx, json_str(session, "ipAddress"), PG_SESSION_IP_MAX);
	values[4] = param_cut(b->ctx, json_str(session, "userAgent"), PG_SESSION_AGENT_MAX);
	values[5] = now;
	return batch_add(b,
	                 "INSERT INTO auth_sessions (token_hash, user_id, expires_at, ip_address, user_agent,"
	                 " created_at, last_seen_at) VALUES ($1::text, $2::uuid, $3::timestamptz, $4::text, $5::text,"
	                 " $6::timestamptz, $6::timestamptz) RETURNING id",
	                 values, 6);
}

status pg_session_create(void *backend, const void *ctx, json_object *user, json_object *session, const char **id)
{
	const char *user_id = json_str(user, "id");
	const char *now = param_time(ctx, clock_now_ms());
	struct batch b;
	size_t call;

	*id = NULL;
	if (param_uuid(user_id) == NULL || param_uuid(json_str(session, "userId")) == NULL)
		return ST_INVALID;
	batch_init(&b, ctx);
	add_user(&b, user, now);
	TRY(access_add_grants(&b, user_id, json_get(user, "resourceGrants")));
	access_add_groups(&b, user_id, json_get(user, "groups"));
	call = add_session(&b, session, now);
	TRY(pg_write(backend, &b));
	*id = mem_strdup(ctx, batch_cell(&b, call, 0, 0));
	return ST_OK;
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static status revoke(struct pg *p, const char *sql, const char *key, int64_t now_ms)
{
	void *ctx = talloc_new(NULL);
	const char *values[] = {key, param_time(ctx, now_ms)};
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add(&b, sql, values, 2);
	st = pg_write(p, &b);
	talloc_free(ctx);
	return st;
}

status pg_session_revoke(void *backend, const char *hash, int64_t now_ms)
{
	return revoke(backend, "UPDATE auth_sessions SET revoked_at = $2::timestamptz WHERE token_hash = $1::text",
	              hash, now_ms);
}

status pg_sessions_revoke_user(void *backend, const char *user_id, int64_t now_ms)
{
	if (param_uuid(user_id) == NULL)
		return ST_OK;
	return revoke(backend, "UPDATE auth_sessions SET revoked_at = $2::timestamptz WHERE user_id = $1::uuid",
	              user_id, now_ms);
}
