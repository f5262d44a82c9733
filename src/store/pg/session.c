/* Login sessions (contract 01 8, 07 2.5): who a token belongs to, with everything that decides what he may do. */
#include "store/pg/pg.h"

#include "base/clock.h"

#include <string.h>

/* Session and user, and the generation of everything else that decides (access_cache.c). */
static const char find_sql[] =
    "SELECT s.id, u.id, u.email, u.name, u.provider, s.last_seen_at < $3::timestamptz,"
    " (SELECT g.n FROM rakkr_fcgi.access_generation g), s.expires_at"
    " FROM auth_sessions s JOIN users u ON u.id = s.user_id"
    " WHERE s.token_hash = $1::text AND s.revoked_at IS NULL AND s.expires_at > $2::timestamptz"
    " AND u.disabled_at IS NULL";

/* Rarely, and never waiting for a lock: it may not hold the request up. */
static const char touch_sql[] = "UPDATE auth_sessions SET last_seen_at = $2::timestamptz"
                                " WHERE id IN (SELECT id FROM auth_sessions WHERE token_hash = $1::text"
                                " AND revoked_at IS NULL AND last_seen_at < $3::timestamptz"
                                " FOR UPDATE SKIP LOCKED)";

/* What access_cache.c knows is shared between requests: its arrays are referred to, never changed. */
static json_object *session_document(const void *ctx, const struct batch *b, size_t call, json_object *access)
{
	static const char *const of_user[] = {"roles", "resourceGrants", "groups"};
	static const char *const of_session[] = {"roleRows", "policiesStored", "policies"};
	json_object *out = json_new_object(ctx), *user = json_new_object(ctx);
	const char *provider = batch_cell(b, call, 0, 4);

	json_set_str(user, "id", batch_cell(b, call, 0, 1));
	json_set_str(user, "email", batch_cell(b, call, 0, 2));
	json_set_str(user, "name", batch_cell(b, call, 0, 3));
	json_set_str(user, "provider", strcmp(provider, "oidc") == 0 ? "oidc" : "local");
	for (size_t i = 0; i < sizeof(of_user) / sizeof(of_user[0]); i++)
		json_set_ref(user, of_user[i], json_get(access, of_user[i]));
	json_set_str(out, "sessionId", batch_cell(b, call, 0, 0));
	json_set_ref(out, "user", user);
	for (size_t i = 0; i < sizeof(of_session) / sizeof(of_session[0]); i++)
		json_set_ref(out, of_session[i], json_get(access, of_session[i]));
	return out;
}

static status session_read(struct pg *p, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	uint64_t asked = stale_session_clock(p);
	const char *values[] = {hash, param_time(ctx, now_ms), param_time(ctx, now_ms - PG_TOUCH_MS)};
	json_object *access;
	struct batch b;
	size_t call;

	*out = NULL;
	batch_init(&b, ctx);
	call = batch_add(&b, find_sql, values, 3);
	TRY(pg_read(p, &b));
	if (batch_rows(&b, call) == 0) {
		stale_session_gone(p, hash);
		return ST_NOT_FOUND;
	}
	TRY(access_find(p, ctx, batch_cell(&b, call, 0, 1), batch_cell(&b, call, 0, 2), batch_cell(&b, call, 0, 6),
	                &access));
	*out = session_document(ctx, &b, call, access);
	stale_session_keep(p, hash, *out, batch_cell(&b, call, 0, 7), asked);
	if (strcmp(batch_cell(&b, call, 0, 5), "t") == 0)
		pg_touch(p, ctx, touch_sql, values, 3);
	return ST_OK;
}

status pg_session_find(void *backend, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	status st = session_read(backend, ctx, hash, now_ms, out);

	if (st != ST_UNAVAILABLE)
		return st;
	outside_look(backend);
	return stale_session_recall(backend, ctx, hash, now_ms, out) ? ST_OK : st;
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
	b.changes = TOPICS_NONE;
	TRY(pg_write(backend, &b));
	stale_revoke(backend, REVOKED_USER, user_id); /* what is known of his access may have changed */
	*id = mem_strdup(ctx, batch_cell(&b, call, 0, 0));
	return ST_OK;
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static status revoke(struct pg *p, const char *sql, int what, const char *key, int64_t now_ms)
{
	void *ctx = talloc_new(NULL);
	const char *values[] = {key, param_time(ctx, now_ms)};
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add(&b, sql, values, 2);
	b.changes = TOPICS_NONE;
	st = pg_write(p, &b);
	stale_revoke(p, what, key);
	talloc_free(ctx);
	return st;
}

status pg_session_revoke(void *backend, const char *hash, int64_t now_ms)
{
	return revoke(backend, "UPDATE auth_sessions SET revoked_at = $2::timestamptz WHERE token_hash = $1::text",
	              REVOKED_TOKEN, hash, now_ms);
}

status pg_sessions_revoke_user(void *backend, const char *user_id, int64_t now_ms)
{
	if (param_uuid(user_id) == NULL)
		return ST_OK;
	return revoke(backend, "UPDATE auth_sessions SET revoked_at = $2::timestamptz WHERE user_id = $1::uuid",
	              REVOKED_USER, user_id, now_ms);
}
