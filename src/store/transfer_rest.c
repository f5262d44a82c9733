#include "store/transfer_rest.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/transfer.h"

#include <stdlib.h>
#include <string.h>

#define PUT(table)                                                                                                     \
	"INSERT INTO " table " SELECT (jsonb_populate_record(NULL::" table ", $1::jsonb)).* ON CONFLICT DO NOTHING"

const struct bare_table bare_tables[] = {
    {.name = "roles", .key = "id", .put = PUT("roles"), .first = true},
    {.name = "permissions", .key = "id", .put = PUT("permissions"), .first = true},
    {.name = "role_permissions", .key = "role_id, permission_id", .put = PUT("role_permissions"), .first = true},
    {.name = "user_resource_grants",
     .key = "user_id, resource_type, resource_id",
     .where = "granted_by_user_id IS NOT NULL",
     .put = "UPDATE user_resource_grants g SET granted_by_user_id = u.id FROM users u,"
            " jsonb_populate_record(NULL::user_resource_grants, $1::jsonb) r WHERE u.id = r.granted_by_user_id AND"
            " (g.user_id, g.resource_type, g.resource_id) = (r.user_id, r.resource_type, r.resource_id) AND"
            " g.granted_by_user_id IS NULL",
     .part = true},
    {.name = "template_assignments",
     .key = "id",
     .where = "template_kind <> 'channel_map'",
     .put = "INSERT INTO template_assignments (assigned_at, assigned_by_user_id, id, metadata, target_id, target_type,"
            " template_id, template_kind) SELECT r.assigned_at, u.id, r.id, coalesce(r.metadata, 'null'), r.target_id,"
            " r.target_type, r.template_id, r.template_kind"
            " FROM jsonb_populate_record(NULL::template_assignments, $1::jsonb) r"
            " LEFT JOIN users u ON u.id = r.assigned_by_user_id ON CONFLICT DO NOTHING"},
    {.name = NULL},
};

/* Tables whose rows are part of a document: what they have beyond it comes along with the row of the document. */
static const struct child {
	const struct model *model;
	const char *field, *table, *rows;
} children[] = {
    {&model_users, "roles", "user_roles",
     "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.role_id) FROM user_roles c WHERE c.user_id = t.id"},
    {&model_users, "resourceGrants", "user_resource_grants",
     "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.created_at) FROM user_resource_grants c WHERE c.user_id = t.id"},
    {&model_nodes, "interfaces", "audio_interfaces",
     "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id) FROM audio_interfaces c WHERE c.node_id = t.id"},
    {&model_nodes, "interfaces", "audio_channels",
     "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id) FROM audio_channels c JOIN audio_interfaces i"
     " ON i.id = c.interface_id WHERE i.node_id = t.id"},
};
#define CHILDREN (sizeof(children) / sizeof(children[0]))

/* ---- export ------------------------------------------------------------------------------------------------------ */

const char *rest_columns(const void *ctx, const struct model *m)
{
	struct buf b;

	buf_init(&b, ctx);
	buf_printf(&b,
	           "to_jsonb(t), (SELECT u.members FROM rakkr_fcgi.unplaced_members u WHERE u.store = '%s'"
	           " AND u.id = t.%s::text)",
	           m->name, model_field_find(m, m->id)->column);
	for (size_t i = 0; i < CHILDREN; i++)
		if (children[i].model == m)
			buf_printf(&b, ", (%s)", children[i].rows);
	return b.data;
}

json_object *rest_unplaced(const void *ctx, const char *const *more)
{
	return row_json(ctx, more[1]);
}

/* True if the digits behind the milliseconds of a time are nothing. */
static bool whole_ms(const char *s)
{
	const char *dot = strchr(s, '.');
	size_t digits = dot == NULL ? 0 : strspn(dot + 1, "0123456789");

	return digits <= 3 || strspn(dot + 4, "0") >= digits - 3;
}

static bool same_value(const struct model_field *f, json_object *raw, json_object *value)
{
	int64_t a, b;

	if (f->type != M_TIME || !json_is_str(raw) || !json_is_str(value))
		return json_same(raw, value);
	return whole_ms(json_object_get_string(raw)) && clock_parse(json_object_get_string(raw), CLOCK_LENIENT, &a) &&
	       clock_parse(json_object_get_string(value), CLOCK_LENIENT, &b) && a == b;
}

static bool of_column(const struct model_field *f, const char *column)
{
	return f->column != NULL && (f->flags & M_DERIVED) == 0 && strcmp(f->column, column) == 0;
}

static json_object *child_of(json_object *o, const char *key)
{
	json_object *there = json_object_at(o, key);

	if (there != NULL)
		return there;
	json_object_object_add(o, key, json_object_new_object());
	return json_object_at(o, key);
}

static void note_column(json_object *line, const struct model *m, size_t i, json_object *doc, json_object *raw)
{
	const char *column = m->fields[i].column;

	json_object_object_add(child_of(line, "columns"), column, json_object_get(raw));
	for (size_t k = i; k < m->count; k++)
		if (of_column(&m->fields[k], column))
			json_set_ref(child_of(line, "was"), m->fields[k].name, model_value(doc, &m->fields[k]));
}

void rest_note(json_object *line, const struct model *m, json_object *doc, const char *const *more)
{
	void *ctx = talloc_new(NULL);
	json_object *row = row_json(ctx, more[0]);
	size_t cell = 2;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *raw, *stored;

		if (!insert_heads_column(m, i) || f->constant != NULL || strcmp(f->name, m->id) == 0 ||
		    (m == &model_audit_events && strcmp(f->name, "actorUserId") == 0)) /* follows actor.id */
			continue;
		raw = json_get(row, f->column);
		stored = f->key != NULL ? insert_members(ctx, m, i, doc) : model_value(doc, f);
		if (!same_value(f, raw, stored))
			note_column(line, m, i, doc, raw);
	}
	for (size_t i = 0; i < CHILDREN; i++) {
		json_object *rows = children[i].model == m ? row_json(ctx, more[cell++]) : NULL;

		if (rows == NULL)
			continue;
		json_set_ref(child_of(line, "was"), children[i].field, json_get(doc, children[i].field));
		json_set_ref(child_of(line, "rows"), children[i].table, rows);
	}
	talloc_free(ctx);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

struct rest_place {
	uint64_t hash;
	off_t at;
};

static uint64_t hash_of(const char *store, const char *id)
{
	uint64_t h = 14695981039346656037u;

	for (; *store != '\0'; store++)
		h = (h ^ (unsigned char)*store) * 1099511628211u;
	h = (h ^ '\n') * 1099511628211u;
	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 1099511628211u;
	return h;
}

static int compare_places(const void *a, const void *b)
{
	const struct rest_place *x = a, *y = b;

	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->at > y->at) - (x->at < y->at);
}

/* The next line as an object owned by ctx; NULL at the end. A torn or foreign line is an empty object. */
static json_object *next_line(struct rest_file *f, const void *ctx, char **line, size_t *room)
{
	ssize_t n = getline(line, room, f->in);
	json_object *o;

	if (n <= 0)
		return NULL;
	if (!json_parse(ctx, *line, (size_t)n, &o) || !json_object_is_type(o, json_type_object))
		return json_new_object(ctx);
	return o;
}

static int rest_close(struct rest_file *f)
{
	if (f->in != NULL)
		fclose(f->in);
	return 0;
}

struct rest_file *rest_open(const void *ctx, const char *path)
{
	struct rest_file *f = mem_new(ctx, struct rest_file);
	size_t room = 0, cap = 64;
	char *line = NULL;

	talloc_set_destructor(f, rest_close);
	f->in = fopen(path, "re");
	f->places = mem_array(f, struct rest_place, cap);
	while (f->in != NULL) {
		void *tmp = talloc_new(NULL);
		off_t at = ftello(f->in);
		json_object *o = next_line(f, tmp, &line, &room);
		bool more = o != NULL;

		if (json_str(o, "store") != NULL) {
			if (f->count == cap)
				f->places = mem_grow(f, f->places, struct rest_place, cap *= 2);
			f->places[f->count++] =
			    (struct rest_place){hash_of(json_str(o, "store"), json_str_or(o, "id", "")), at};
		}
		talloc_free(tmp);
		if (!more)
			break;
	}
	free(line);
	qsort(f->places, f->count, sizeof(*f->places), compare_places);
	return f;
}

json_object *rest_find(struct rest_file *f, const void *ctx, const char *store, const char *id)
{
	uint64_t hash = hash_of(store, id);
	size_t low = 0, high = f->count, room = 0;
	json_object *found = NULL;
	char *line = NULL;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (f->places[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; found == NULL && low < f->count && f->places[low].hash == hash; low++) {
		if (fseeko(f->in, f->places[low].at, SEEK_SET) == 0)
			found = next_line(f, ctx, &line, &room);
		if (!text_equal(json_str(found, "store"), store) || !text_equal(json_str(found, "id"), id))
			found = NULL;
	}
	free(line);
	return found;
}

status rest_rows(struct rest_file *f, const char *table, status (*each)(void *state, json_object *row), void *state)
{
	char *line = NULL;
	size_t room = 0;
	status st = ST_OK;

	if (f->in == NULL)
		return ST_OK;
	rewind(f->in);
	for (bool more = true; more && st == ST_OK;) {
		void *ctx = talloc_new(NULL);
		json_object *o = next_line(f, ctx, &line, &room);

		more = o != NULL;
		if (text_equal(json_str(o, "table"), table) && json_object_at(o, "row") != NULL)
			st = each(state, json_object_at(o, "row"));
		talloc_free(ctx);
	}
	free(line);
	return st;
}

/* ---- import ------------------------------------------------------------------------------------------------------ */

static bool is_as_it_was(json_object *line, const struct model *m, const struct model_field *f, json_object *doc)
{
	return transfer_same_value(m, f, model_value(doc, f), json_get(json_object_at(line, "was"), f->name));
}

json_object *rest_child_rows(json_object *line, const struct model *m, json_object *doc, const char *field,
                             const char *table)
{
	json_object *rows = json_array(json_object_at(line, "rows"), table);

	return rows != NULL && is_as_it_was(line, m, model_field_find(m, field), doc) ? rows : NULL;
}

/* Takes the members that fields of m name out of a jsonb value: what is left nobody but the database knew. */
static void drop_known(const struct model *m, const char *column, json_object *raw)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->fields[i].key != NULL && of_column(&m->fields[i], column))
			json_object_object_del(raw, m->fields[i].key);
}

/* Adds "column = ..." for the column of fields[i] and its value to values; false if the document has another by now. */
static bool put_back(struct sql *s, const struct model *m, size_t i, json_object *doc, json_object *line,
                     json_object *values, const char *separator)
{
	const char *column = m->fields[i].column;
	json_object *raw, *columns = json_object_at(line, "columns");
	bool same = true;

	if (!insert_heads_column(m, i) || !json_has(columns, column))
		return false;
	raw = json_get(columns, column);
	for (size_t k = i; k < m->count; k++)
		if (of_column(&m->fields[k], column))
			same = same && is_as_it_was(line, m, &m->fields[k], doc);
	if (same && raw == NULL && (m->fields[i].key != NULL || (m->fields[i].flags & M_REQUIRED))) {
		/* never SQL NULL, which is what a record makes of JSON null */
		sql_printf(s, "%s%s = 'null'", separator, column);
		return true;
	}
	if (same) {
		sql_printf(s, "%s%s = r.%s", separator, column, column);
		json_object_object_add(values, column, json_object_get(raw));
		return true;
	}
	if (m->fields[i].key == NULL || !json_object_is_type(raw, json_type_object))
		return false;
	raw = json_clone(s->text.ctx, raw);
	drop_known(m, column, raw);
	sql_printf(s, "%s%s = r.%s || t.%s", separator, column, column, column);
	json_object_object_add(values, column, json_object_get(raw));
	return true;
}

status rest_apply(struct pg *p, const void *ctx, const struct model *m, json_object *doc, json_object *line)
{
	const struct model_field *id = model_field_find(m, m->id);
	json_object *values = json_new_object(ctx);
	const char *separator = " SET ";
	struct batch b;
	struct sql s;

	if (json_object_at(line, "columns") == NULL)
		return ST_OK;
	sql_init(&s, ctx);
	sql_printf(&s, "UPDATE %s t", m->table);
	for (size_t i = 0; i < m->count; i++)
		if (put_back(&s, m, i, doc, line, values, separator))
			separator = ", ";
	if (separator[0] == ' ')
		return ST_OK;
	sql_printf(&s, " FROM jsonb_populate_record(NULL::%s, ", m->table);
	sql_param(&s, param_json(ctx, values), "jsonb");
	sql_printf(&s, ") r WHERE t.%s = ", id->column);
	sql_param(&s, json_str(doc, m->id), sql_type(id));
	batch_init(&b, ctx);
	batch_add(&b, s.text.data, s.params.values, s.params.count);
	b.changes = TOPICS_NONE;
	return pg_write(p, &b);
}

status rest_keep_unplaced(struct pg *p, const void *ctx, const struct model *m, json_object *doc)
{
	json_object *unknown = model_unknown(ctx, m, doc);
	const char *values[] = {m->name, json_str_or(doc, m->id, ""),
	                        unknown == NULL ? NULL : param_json(ctx, unknown)};
	struct batch b;

	if (unknown == NULL)
		return ST_OK;
	batch_init(&b, ctx);
	batch_add(&b,
	          "INSERT INTO rakkr_fcgi.unplaced_members (store, id, members) VALUES ($1::text, $2::text, $3::jsonb)"
	          " ON CONFLICT (store, id) DO UPDATE SET members = excluded.members",
	          values, 3);
	b.changes = TOPICS_NONE;
	return pg_write(p, &b);
}
