/* A document of a flat file on its way into Postgres: made fit for it, and inserted with all that belongs to it. */
#include "store/transfer_import.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/permission.h"

#include <string.h>

/* ---- documents made fit for the database ------------------------------------------------------------------------- */

void import_adapt_id(json_object *o, const char *key)
{
	const char *id = json_str(o, key);
	char uuid[UUID_SIZE];

	if (id == NULL || text_is_uuid(id))
		return;
	transfer_uuid(uuid, id);
	json_set_str(o, key, uuid);
}

/* Interfaces as their rows will read: every one has a UUID and a system reference. */
static void adapt_interfaces(json_object *node)
{
	json_object *list = json_array(node, "interfaces");

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *o = json_object_array_get_idx(list, i);
		char *name = mem_printf(NULL, "%s/%zu", json_str_or(node, "id", ""), i);

		if (json_str(o, "id") == NULL)
			json_set_str(o, "id", name);
		import_adapt_id(o, "id");
		if (json_str(o, "systemRef") == NULL)
			json_set_copy(o, "systemRef", json_get(o, "systemName"));
		talloc_free(name);
	}
}

/* Roles that do not exist vanish, as they do when they are read. */
static bool is_role(const struct import *im, json_object *item)
{
	return json_is_str(item) && (role_parse(json_object_get_string(item)) != ROLE_COUNT ||
	                             json_has(im->roles, json_object_get_string(item)));
}

static void adapt_roles(const struct import *im, json_object *user)
{
	json_object *kept = json_object_new_array(), *roles = json_array(user, "roles");

	for (size_t i = 0; roles != NULL && i < json_object_array_length(roles); i++)
		if (is_role(im, json_object_array_get_idx(roles, i)))
			json_object_array_add(kept, json_object_get(json_object_array_get_idx(roles, i)));
	json_object_object_add(user, "roles", kept);
}

/* The contract's files keep their order by the place of an element: newest first. */
static void adapt_order(const struct model *m, json_object *doc, int64_t newest_ms, size_t place)
{
	const struct model_field *f = model_field_find(m, "createdAt");

	if (f != NULL && (f->flags & M_HIDDEN) && json_get(doc, "createdAt") == NULL)
		json_set_iso(doc, "createdAt", newest_ms - (int64_t)place);
}

json_object *import_adapted(const struct import *im, const void *ctx, const struct collection *c,
                            const struct element *e, int64_t newest_ms, size_t place, json_object **line)
{
	const struct model *m = c->model;
	json_object *doc = element_document(ctx, c, e);
	const struct model_field *id = model_field_find(m, m->id);

	if (id->type == M_UUID)
		import_adapt_id(doc, m->id);
	*line = rest_find(im->rest, ctx, m->name, json_str_or(doc, m->id, ""));
	if (json_object_at(*line, "members") != NULL)
		json_merge(doc, json_object_at(*line, "members"), false);
	if (m == &model_nodes)
		adapt_interfaces(doc);
	if (m == &model_users)
		adapt_roles(im, doc);
	adapt_order(m, doc, newest_ms, place);
	return doc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Adds a statement about rows that a line of the export carries; $1 the rows, $2 the id of their owner. */
static void add_child_rows(struct batch *b, const char *sql, json_object *rows, const char *owner)
{
	const char **values = mem_array(b->ctx, const char *, 2);

	if (rows == NULL)
		return;
	values[0] = param_json(b->ctx, rows);
	values[1] = owner;
	batch_add(b, sql, values, 2);
}

static status run_some(struct pg *p, struct batch *b)
{
	b->changes = TOPICS_NONE;
	return b->count == 0 ? ST_OK : pg_write(p, b);
}

static status insert_user(struct pg *p, const void *ctx, json_object *doc, json_object *line)
{
	const struct model *m = &model_users;
	const char *id = json_str(doc, "id");
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;
	struct batch b;

	TRY(pg_insert(p, ctx, m, doc, NULL));
	TRY(pg_access_write(p, ctx, id, json_get(doc, "roles"), json_get(doc, "resourceGrants"),
	                    json_get(doc, "groups")));
	batch_init(&b, ctx);
	add_child_rows(&b,
	               "INSERT INTO user_roles SELECT r.* FROM jsonb_populate_recordset(NULL::user_roles, $1::jsonb) r"
	               " JOIN roles x ON x.id = r.role_id WHERE r.user_id = $2::uuid ON CONFLICT DO NOTHING",
	               rest_child_rows(line, m, doc, "roles", "user_roles"), id);
	add_child_rows(
	    &b,
	    "UPDATE user_resource_grants g SET created_at = r.created_at"
	    " FROM jsonb_populate_recordset(NULL::user_resource_grants, $1::jsonb) r"
	    " WHERE g.user_id = $2::uuid AND (g.resource_type, g.resource_id) = (r.resource_type, r.resource_id)",
	    rest_child_rows(line, m, doc, "resourceGrants", "user_resource_grants"), id);
	TRY(run_some(p, &b));
	if (json_get(doc, "updatedAt") == NULL)
		return ST_OK;
	json_set_ref(patch, "updatedAt", json_get(doc, "updatedAt"));
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	return pg_update(p, ctx, m, &q, patch, &page, NULL);
}

static status insert_node(struct pg *p, const void *ctx, json_object *doc, json_object *line)
{
	const struct model *m = &model_nodes;
	const char *id = json_str(doc, "id");
	json_object *interfaces = rest_child_rows(line, m, doc, "interfaces", "audio_interfaces");
	struct batch b;

	TRY(pg_insert(p, ctx, m, doc, NULL));
	batch_init(&b, ctx);
	if (interfaces == NULL)
		node_add_interfaces(&b, id, json_get(doc, "interfaces"),
		                    json_str_or(doc, "createdAt", param_time(ctx, clock_now_ms())));
	add_child_rows(
	    &b,
	    "INSERT INTO audio_interfaces (alias, backend, channel_count, created_at, id, node_id, sample_rates,"
	    " system_name, system_ref, updated_at, hardware_path, serial_number) SELECT r.alias, r.backend,"
	    " r.channel_count, r.created_at, r.id, r.node_id, coalesce(r.sample_rates, 'null'), r.system_name,"
	    " r.system_ref, r.updated_at, r.hardware_path, r.serial_number FROM"
	    " jsonb_populate_recordset(NULL::audio_interfaces, $1::jsonb) r WHERE r.node_id = $2::text",
	    interfaces, id);
	add_child_rows(
	    &b,
	    "INSERT INTO audio_channels (alias, id, channel_index, interface_id, metadata) SELECT r.alias, r.id,"
	    " r.channel_index, r.interface_id, coalesce(r.metadata, 'null') FROM"
	    " jsonb_populate_recordset(NULL::audio_channels, $1::jsonb) r"
	    " JOIN audio_interfaces i ON i.id = r.interface_id WHERE i.node_id = $2::text",
	    rest_child_rows(line, m, doc, "interfaces", "audio_channels"), id);
	return run_some(p, &b);
}

status import_insert(struct pg *p, const void *ctx, const struct model *m, json_object *doc, json_object *line)
{
	if (m == &model_users)
		TRY(insert_user(p, ctx, doc, line));
	else if (m == &model_nodes)
		TRY(insert_node(p, ctx, doc, line));
	else
		TRY(pg_insert(p, ctx, m, doc, NULL));
	return rest_keep_unplaced(p, ctx, m, doc);
}
