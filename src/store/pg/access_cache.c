/*
 * What decides about a user (roles, grants, groups, policies whose subject he is) is read once and kept until it
 * changes: triggers count every change of those tables in rakkr_fcgi.access_generation, and the number comes with each
 * request's session row. Whoever changes access, by whatever program, is seen by the next request (contract 09 D-69).
 */
#include "store/pg/pg.h"

#include <string.h>

#define ENTRIES 32

struct entry {
	char *user_id, *email;
	char *generation;
	json_object *access;
	uint64_t used; /* for replacing the one not used for longest */
};

struct access_cache {
	struct entry entries[ENTRIES];
	uint64_t clock;
};

static int access_cache_free(struct access_cache *c)
{
	for (size_t i = 0; i < ENTRIES; i++)
		json_object_put(c->entries[i].access);
	return 0;
}

struct access_cache *access_cache_new(const void *ctx)
{
	struct access_cache *c = mem_new(ctx, struct access_cache);

	talloc_set_destructor(c, access_cache_free);
	return c;
}

/* The generation is read by the same statement, that is, from the same snapshot. */
static const char access_sql[] =
    "SELECT (SELECT g.n FROM rakkr_fcgi.access_generation g),"
    " (SELECT jsonb_agg(r.role_id ORDER BY array_position("
    "ARRAY['owner', 'admin', 'operator', 'viewer', 'auditor'], r.role_id::text), r.role_id)"
    " FROM user_roles r WHERE r.user_id = $1::uuid),"
    " (SELECT jsonb_agg(jsonb_build_object('resourceType', g.resource_type, 'resourceId', g.resource_id)"
    " ORDER BY g.created_at, g.resource_type, g.resource_id) FROM user_resource_grants g WHERE g.user_id = $1::uuid),"
    " (SELECT jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.id)"
    " FROM user_access_groups m JOIN access_groups g ON g.id = m.group_id WHERE m.user_id = $1::uuid),"
    " EXISTS (SELECT 1 FROM access_policies),"
    " (SELECT jsonb_agg(jsonb_build_object('effect', p.effect, 'resourceType', p.resource_type,"
    " 'resourceId', p.resource_id) ORDER BY p.created_at, p.id) FROM access_policies p"
    " WHERE p.subject_type = 'everyone'"
    " OR (p.subject_type = 'user' AND p.subject_id IN ($1::text, $2::text))"
    " OR (p.subject_type = 'group' AND p.subject_id <> '' AND EXISTS (SELECT 1 FROM user_access_groups m"
    " WHERE m.user_id = $1::uuid AND m.group_id = p.subject_id)))";

/* Sets key to the JSON array of a cell, [] if there is none. */
static void set_array(const void *ctx, json_object *o, const char *key, const char *text)
{
	json_object *array = row_json(ctx, text);

	json_set_ref(o, key, array != NULL ? array : json_new_array(ctx));
}

static struct entry *find(struct access_cache *c, const char *user_id, const char *email)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &c->entries[i];

		if (e->user_id != NULL && strcmp(e->user_id, user_id) == 0 && strcmp(e->email, email) == 0)
			return e;
	}
	return NULL;
}

static void keep(struct access_cache *c, const char *user_id, const char *email, const char *generation,
                 json_object *access)
{
	struct entry *e = find(c, user_id, email);

	for (size_t i = 0; e == NULL && i < ENTRIES; i++)
		if (c->entries[i].user_id == NULL)
			e = &c->entries[i];
	if (e == NULL) {
		e = &c->entries[0];
		for (size_t i = 1; i < ENTRIES; i++)
			if (c->entries[i].used < e->used)
				e = &c->entries[i];
	}
	talloc_free(e->user_id);
	talloc_free(e->email);
	talloc_free(e->generation);
	json_object_put(e->access);
	*e = (struct entry){.user_id = mem_strdup(c, user_id),
	                    .email = mem_strdup(c, email),
	                    .generation = mem_strdup(c, generation),
	                    .access = json_object_get(access),
	                    .used = ++c->clock};
}

status access_find(struct pg *p, const void *ctx, const char *user_id, const char *email, const char *generation,
                   json_object **access)
{
	const char *values[] = {user_id, email};
	struct entry *e = find(p->access, user_id, email);
	json_object *out;
	struct batch b;
	size_t call;

	if (e != NULL && generation != NULL && strcmp(e->generation, generation) == 0) {
		e->used = ++p->access->clock;
		*access = json_own(ctx, json_object_get(e->access));
		return ST_OK;
	}
	batch_init(&b, ctx);
	call = batch_add(&b, access_sql, values, 2);
	TRY(pg_run(p, &b));
	out = json_new_object(ctx);
	json_set_bool(out, "roleRows", batch_cell(&b, call, 0, 1) != NULL || batch_cell(&b, call, 0, 2) != NULL);
	set_array(ctx, out, "roles", batch_cell(&b, call, 0, 1));
	set_array(ctx, out, "resourceGrants", batch_cell(&b, call, 0, 2));
	set_array(ctx, out, "groups", batch_cell(&b, call, 0, 3));
	json_set_bool(out, "policiesStored", strcmp(batch_cell(&b, call, 0, 4), "t") == 0);
	set_array(ctx, out, "policies", batch_cell(&b, call, 0, 5));
	if (batch_cell(&b, call, 0, 0) != NULL)
		keep(p->access, user_id, email, batch_cell(&b, call, 0, 0), out);
	*access = out;
	return ST_OK;
}
