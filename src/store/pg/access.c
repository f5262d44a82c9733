/* Roles, grants, groups of user rows; the policy list (contract 07 2.3, 2.4). */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"
#include "model/permission.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_ID_MAX 120
#define GROUP_NAME_MAX 160
#define RESOURCE_TYPE_MAX 80
#define RESOURCE_ID_MAX 160

/* A list of texts that becomes one array parameter. */
struct texts {
	const void *ctx;
	const char **at;
	size_t count, cap;
};

static void texts_add(struct texts *t, const char *s)
{
	if (t->count == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->at = mem_grow(t->ctx, t->at, const char *, t->cap);
	}
	t->at[t->count++] = s;
}

static const char *texts_param(const struct texts *t)
{
	return param_array(t->ctx, t->at, t->count);
}

/* Adds a call with up to three text parameters. */
static size_t add_call(struct batch *b, const char *sql, int count, const char *first, const char *second,
                       const char *third)
{
	const char **values = mem_array(b->ctx, const char *, 3);

	values[0] = first;
	values[1] = second;
	values[2] = third;
	return batch_add(b, sql, values, count);
}

static size_t length(json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

/* ---- the catalogue, which nothing reads but the foreign keys (01 4.1) -------------------------------------------- */

/*
 * Every part of name between colons with its first letter in upper case, joined by blanks: "audit:read" "Audit Read".
 */
static const char *display_name(const void *ctx, const char *name)
{
	char *out = mem_strdup(ctx, name);

	for (char *c = out; *c != '\0'; c++) {
		if (c == out || c[-1] == ' ')
			*c = (char)toupper((unsigned char)*c);
		if (*c == ':')
			*c = ' ';
	}
	return out;
}

static void add_catalogue(struct batch *b)
{
	struct texts roles = {.ctx = b->ctx}, role_names = {.ctx = b->ctx}, permissions = {.ctx = b->ctx},
	             permission_names = {.ctx = b->ctx}, pair_roles = {.ctx = b->ctx},
	             pair_permissions = {.ctx = b->ctx};

	for (int r = 0; r < ROLE_COUNT; r++) {
		texts_add(&roles, role_name((enum role)r));
		texts_add(&role_names, display_name(b->ctx, role_name((enum role)r)));
		for (int p = 0; p < PERM_COUNT; p++) {
			if (!(role_permissions((enum role)r) & (1u << p)))
				continue;
			texts_add(&pair_roles, role_name((enum role)r));
			texts_add(&pair_permissions, permission_name((enum permission)p));
		}
	}
	for (int p = 0; p < PERM_COUNT; p++) {
		texts_add(&permissions, permission_name((enum permission)p));
		texts_add(&permission_names, display_name(b->ctx, permission_name((enum permission)p)));
	}
	add_call(b, "INSERT INTO roles (id, name) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
	         2, texts_param(&roles), texts_param(&role_names), NULL);
	add_call(b,
	         "INSERT INTO permissions (id, name) SELECT * FROM unnest($1::text[], $2::text[])"
	         " ON CONFLICT DO NOTHING",
	         2, texts_param(&permissions), texts_param(&permission_names), NULL);
	add_call(b,
	         "INSERT INTO role_permissions (role_id, permission_id) SELECT * FROM unnest($1::text[], $2::text[])"
	         " ON CONFLICT DO NOTHING",
	         2, texts_param(&pair_roles), texts_param(&pair_permissions), NULL);
}

/* ---- roles, grants, groups --------------------------------------------------------------------------------------- */

#define FOR_USER " FROM users u"
#define IF_USER " WHERE u.id = $1::uuid ON CONFLICT DO NOTHING"

static void add_roles(struct batch *b, const char *user_id, json_object *roles)
{
	struct texts ids = {.ctx = b->ctx};

	for (size_t i = 0; i < length(roles); i++) {
		json_object *role = json_object_array_get_idx(roles, i);

		if (json_is_str(role) && role_parse(json_object_get_string(role)) != ROLE_COUNT)
			texts_add(&ids, json_object_get_string(role));
	}
	if (ids.count > 0)
		add_call(b,
		         "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id" FOR_USER
		         ", unnest($2::text[]) AS r(id)" IF_USER,
		         2, user_id, texts_param(&ids), NULL);
}

/* ST_INVALID for a text that does not fit its column. */
static status fitting(const void *ctx, const char *s, size_t max)
{
	return s != NULL && *s != '\0' && strcmp(text_cut(ctx, s, max), s) == 0 ? ST_OK : ST_INVALID;
}

status access_add_grants(struct batch *b, const char *user_id, json_object *grants)
{
	struct texts types = {.ctx = b->ctx}, ids = {.ctx = b->ctx};

	for (size_t i = 0; i < length(grants); i++) {
		json_object *grant = json_object_array_get_idx(grants, i);

		TRY(fitting(b->ctx, json_str(grant, "resourceType"), RESOURCE_TYPE_MAX));
		TRY(fitting(b->ctx, json_str(grant, "resourceId"), RESOURCE_ID_MAX));
		texts_add(&types, json_str(grant, "resourceType"));
		texts_add(&ids, json_str(grant, "resourceId"));
	}
	if (ids.count > 0)
		add_call(b,
		         "INSERT INTO user_resource_grants (user_id, resource_type, resource_id)"
		         " SELECT u.id, g.type, g.id" FOR_USER
		         ", unnest($2::text[], $3::text[]) AS g(type, id)" IF_USER,
		         3, user_id, texts_param(&types), texts_param(&ids));
	return ST_OK;
}

/* Id and name of a group, which may be given as its bare id; NULL if it is not to be stored (09 17.1). */
static const char *group_of(const void *ctx, json_object *group, const char **name)
{
	const char *id = json_is_str(group) ? json_object_get_string(group) : json_str(group, "id");

	if (fitting(ctx, id, GROUP_ID_MAX) != ST_OK) {
		log_warn("a group without id, or with more than %d characters, is left out", GROUP_ID_MAX);
		return NULL;
	}
	*name = param_cut(ctx, json_is_str(group) ? id : json_str_or(group, "name", id), GROUP_NAME_MAX);
	return id;
}

/* Collects groups without repetition; the last name wins. */
static void collect_groups(json_object *groups, struct texts *ids, struct texts *names)
{
	for (size_t i = 0; i < length(groups); i++) {
		const char *name, *id = group_of(ids->ctx, json_object_array_get_idx(groups, i), &name);
		size_t k = 0;

		if (id == NULL)
			continue;
		while (k < ids->count && strcmp(ids->at[k], id) != 0)
			k++;
		if (k == ids->count) {
			texts_add(ids, id);
			texts_add(names, name);
		}
		names->at[k] = name;
	}
}

void access_add_groups(struct batch *b, const char *user_id, json_object *groups)
{
	struct texts ids = {.ctx = b->ctx}, names = {.ctx = b->ctx};

	collect_groups(groups, &ids, &names);
	if (ids.count == 0)
		return;
	/* In one order, so that two logins with the same groups do not wait for each other crosswise. */
	add_call(b,
	         "INSERT INTO access_groups AS g (id, name) SELECT n.id, n.name"
	         " FROM unnest($1::text[], $2::text[]) AS n(id, name) ORDER BY n.id"
	         " ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now()"
	         " WHERE g.name IS DISTINCT FROM excluded.name",
	         2, texts_param(&ids), texts_param(&names), NULL);
	add_call(b,
	         "INSERT INTO user_access_groups (user_id, group_id) SELECT u.id, g.id" FOR_USER
	         ", unnest($2::text[]) AS g(id)" IF_USER,
	         2, user_id, texts_param(&ids), NULL);
}

static status add_access(struct batch *b, const char *user_id, json_object *roles, json_object *grants,
                         json_object *groups)
{
	add_catalogue(b);
	add_roles(b, user_id, roles);
	TRY(access_add_grants(b, user_id, grants));
	access_add_groups(b, user_id, groups);
	return ST_OK;
}

status pg_access_write(void *backend, const void *ctx, const char *user_id, json_object *roles, json_object *grants,
                       json_object *groups)
{
	static const char *const clear[] = {"DELETE FROM user_roles WHERE user_id = $1::uuid",
	                                    "DELETE FROM user_resource_grants WHERE user_id = $1::uuid",
	                                    "DELETE FROM user_access_groups WHERE user_id = $1::uuid"};
	struct batch b;
	size_t user;

	if (param_uuid(user_id) == NULL)
		return ST_NOT_FOUND;
	batch_init(&b, ctx);
	/* Locks the row: two rewrites of one user must not mix. */
	user = add_call(&b, "UPDATE users SET updated_at = $2::timestamptz WHERE id = $1::uuid", 2, user_id,
	                param_time(ctx, clock_now_ms()), NULL);
	for (size_t i = 0; i < sizeof(clear) / sizeof(clear[0]); i++)
		add_call(&b, clear[i], 1, user_id, NULL, NULL);
	TRY(add_access(&b, user_id, roles, grants, groups));
	b.changes = TOPICS_NONE;
	TRY(pg_write(backend, &b));
	stale_revoke(backend, REVOKED_USER, user_id);
	return batch_affected(&b, user) > 0 ? ST_OK : ST_NOT_FOUND;
}

status pg_user_create(void *backend, const void *ctx, json_object *doc, json_object **stored)
{
	json_object *row = json_clone(ctx, doc);
	char id[UUID_SIZE];
	struct batch b;
	size_t call = 0;

	if (param_uuid(json_str(row, "id")) == NULL) {
		uuid_v4(id);
		json_set_str(row, "id", id);
	}
	TRY(pg_insert(backend, ctx, &model_users, row, NULL));
	batch_init(&b, ctx);
	TRY(add_access(&b, json_str(row, "id"), json_get(doc, "roles"), json_get(doc, "resourceGrants"),
	               json_get(doc, "groups")));
	if (stored != NULL)
		get_add(&b, &model_users, json_str(row, "id"), false, &call);
	b.changes = TOPICS_NONE;
	TRY(pg_write(backend, &b));
	if (stored != NULL)
		*stored = row_document(ctx, &model_users, b.calls[call].result, 0, 0);
	return ST_OK;
}

/* ---- policies ---------------------------------------------------------------------------------------------------- */

/* Rows are listed by time: a microsecond apart, in the order given. */
static const char *place_time(const void *ctx, int64_t now_ms, size_t place)
{
	char iso[CLOCK_ISO_SIZE];

	clock_iso(iso, now_ms + (int64_t)(place / 1000));
	iso[strlen(iso) - 1] = '\0';
	return mem_printf(ctx, "%s%03zuZ", iso, place % 1000);
}

static status add_policy(struct batch *b, json_object *policy, const char *created_by, const char *created_at)
{
	static const char sql[] =
	    "INSERT INTO access_policies (effect, subject_type, subject_id, resource_type, resource_id, reason,"
	    " created_at, created_by_user_id) VALUES ($1::access_policy_effect, $2::access_policy_subject_type,"
	    " $3::text, $4::text, $5::text, $6::text, $7::timestamptz,"
	    " (SELECT u.id FROM users u WHERE u.id = $8::uuid FOR KEY SHARE))";
	static const char *const names[] = {"effect",       "subjectType", "subjectId",
	                                    "resourceType", "resourceId",  "reason"};
	const char **values = mem_array(b->ctx, const char *, 8);

	for (size_t i = 0; i < 6; i++)
		TRY(param_value(b->ctx, model_field_find(&model_access_policies, names[i]), json_get(policy, names[i]),
		                &values[i]));
	values[6] = created_at;
	values[7] = param_uuid(created_by);
	batch_add(b, sql, values, 8);
	return ST_OK;
}

status pg_policies_replace(void *backend, const void *ctx, json_object *policies, const char *created_by)
{
	int64_t now_ms = clock_now_ms();
	struct batch b;

	batch_init(&b, ctx);
	batch_add(&b, "SELECT pg_advisory_xact_lock(hashtextextended('access_policies', 0))", NULL, 0);
	batch_add(&b, "DELETE FROM access_policies", NULL, 0);
	for (size_t i = 0; i < length(policies); i++)
		TRY(add_policy(&b, json_object_array_get_idx(policies, i), created_by, place_time(ctx, now_ms, i)));
	b.changes = TOPICS_NONE;
	TRY(pg_write(backend, &b));
	stale_revoke(backend, REVOKED_ALL, NULL);
	return ST_OK;
}
