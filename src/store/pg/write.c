/* Documents of any model inserted, changed, removed: always one conditional statement. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

static bool is_written(const struct model_field *f)
{
	return f->column != NULL && !(f->flags & M_DERIVED);
}

/* True if fields[i] is the first of m that is a member of its jsonb column. */
static bool heads_column(const struct model *m, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (is_written(&m->fields[j]) && m->fields[j].key != NULL &&
		    strcmp(m->fields[j].column, m->fields[i].column) == 0)
			return false;
	return true;
}

bool insert_heads_column(const struct model *m, size_t i)
{
	return is_written(&m->fields[i]) && (m->fields[i].key == NULL || heads_column(m, i));
}

/*
 * References to users that are not demanded are null when the user has no row (07 Trap 35): such columns are called
 * <something>_user_id. The lock keeps the user from going before the foreign key is checked.
 */
static bool is_user_reference(const struct model_field *f)
{
	size_t n = strlen(f->column);

	return f->type == M_UUID && !(f->flags & M_REQUIRED) && n > 8 && strcmp(f->column + n - 8, "_user_id") == 0;
}

static void put_written(struct sql *s, const struct model_field *f, const char *text)
{
	if (is_user_reference(f)) {
		sql_put(s, "(SELECT u.id FROM users u WHERE u.id = ");
		sql_param(s, text, "uuid");
		sql_put(s, " FOR KEY SHARE)");
		return;
	}
	sql_param(s, text, sql_type(f));
}

/* ---- insert ------------------------------------------------------------------------------------------------------ */

json_object *insert_members(const void *ctx, const struct model *m, size_t head, json_object *doc)
{
	json_object *o = json_new_object(ctx);

	for (size_t i = head; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];

		if (is_written(f) && f->key != NULL && strcmp(f->column, m->fields[head].column) == 0)
			json_set_ref(o, f->key, model_value(doc, f));
	}
	return o;
}

/* What doc puts into the column of fields[i]; *put is false if the column is left to its default. */
static status insert_value(const void *ctx, const struct model *m, size_t i, json_object *doc, const char **text,
                           bool *put)
{
	const struct model_field *f = &m->fields[i];

	*put = false;
	if (!is_written(f))
		return ST_OK;
	if (f->constant != NULL) {
		*text = f->constant;
		*put = true;
		return ST_OK;
	}
	if (f->key != NULL) {
		*put = heads_column(m, i);
		*text = *put ? param_json(ctx, insert_members(ctx, m, i, doc)) : NULL;
		return ST_OK;
	}
	TRY(param_value(ctx, f, model_value(doc, f), text));
	*put = *text != NULL;
	return *put || !(f->flags & M_REQUIRED) || (f->flags & M_DEFAULT) ? ST_OK : ST_INVALID;
}

status insert_build(struct sql *s, const struct model *m, json_object *doc)
{
	struct sql values;
	const char *separator = "";

	sql_init(&values, s->text.ctx);
	sql_printf(s, "INSERT INTO %s AS t (", m->table);
	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		const char *text;
		bool put;
		status st = insert_value(s->text.ctx, m, i, doc, &text, &put);

		if (st != ST_OK) {
			log_warn("database: %s.%s cannot hold the value given", m->table, f->column);
			return st;
		}
		if (!put)
			continue;
		sql_printf(s, "%s%s", separator, f->column);
		sql_put(&values, separator);
		if (f->key != NULL)
			sql_param(&values, text, "jsonb");
		else
			put_written(&values, f, text);
		separator = ", ";
	}
	sql_printf(s, ") VALUES (%s)", values.text.data);
	s->params = values.params;
	return ST_OK;
}

status pg_insert(void *backend, const void *ctx, const struct model *m, json_object *doc, json_object **stored)
{
	struct pg *p = backend;
	struct batch b;
	struct sql s;
	size_t call;

	if (stored != NULL)
		*stored = NULL;
	if (m->table == NULL)
		return backend_file.insert(p->inner, ctx, m, doc, stored);
	sql_init(&s, ctx);
	TRY(insert_build(&s, m, doc));
	sql_put(&s, " ON CONFLICT DO NOTHING RETURNING ");
	sql_columns(&s, m, NULL);
	batch_init(&b, ctx);
	call = batch_add(&b, s.text.data, s.params.values, s.params.count);
	b.changes = topic_of(m);
	TRY(pg_write(p, &b));
	if (batch_rows(&b, call) == 0)
		return ST_CONFLICT;
	if (m == &model_access_policies)
		stale_revoke(p, REVOKED_ALL, NULL);
	if (stored != NULL)
		*stored = row_document(ctx, m, b.calls[call].result, 0, 0);
	return ST_OK;
}

/* ---- update ------------------------------------------------------------------------------------------------------ */

static bool is_changeable(const struct model_field *f)
{
	return is_written(f) && !(f->flags & M_FIXED) && f->constant == NULL;
}

/* column = (what is there - every key of the patch) || its new values; members that we do not know stay (D-13). */
static bool put_members(struct sql *s, const struct model *m, size_t head, json_object *patch, const char *separator)
{
	const void *ctx = s->text.ctx;
	const char *column = m->fields[head].column;
	const char **keys = mem_array(ctx, const char *, m->count);
	json_object *set = json_new_object(ctx);
	size_t n = 0;

	for (size_t i = head; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *v;

		if (!is_changeable(f) || f->key == NULL || strcmp(f->column, column) != 0 || !model_has(patch, f, &v))
			continue;
		keys[n++] = f->key;
		json_set_ref(set, f->key, v);
	}
	if (n == 0)
		return false;
	sql_printf(s, "%s%s = (CASE WHEN jsonb_typeof(t.%s) = 'object' THEN t.%s ELSE '{}' END - ", separator, column,
	           column, column);
	sql_param(s, param_array(ctx, keys, n), "text[]");
	sql_put(s, ") || ");
	sql_param(s, param_json(ctx, set), "jsonb");
	return true;
}

static status put_change(struct sql *s, const struct model_field *f, json_object *value, const char *separator)
{
	const char *text;

	if (param_value(s->text.ctx, f, value, &text) != ST_OK ||
	    (text == NULL && (f->flags & M_REQUIRED) && !(f->flags & M_DEFAULT))) {
		log_warn("database: %s cannot hold the value given", f->column);
		return ST_INVALID;
	}
	sql_printf(s, "%s%s = ", separator, f->column);
	if (text == NULL && (f->flags & M_REQUIRED))
		sql_put(s, "DEFAULT");
	else
		put_written(s, f, text);
	return ST_OK;
}

/* "SET ..." of patch; columns called updated_at and the like follow the clock unless patch gives them. */
static status put_changes(struct sql *s, const struct model *m, json_object *patch)
{
	const struct model_field *id = model_field_find(m, m->id);
	const char *separator = "SET ";

	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *v;

		if (!is_changeable(f))
			continue;
		if (f->key != NULL) {
			if (heads_column(m, i) && put_members(s, m, i, patch, separator))
				separator = ", ";
			continue;
		}
		if (model_has(patch, f, &v)) {
			TRY(put_change(s, f, v, separator));
		} else if (f->flags & M_TOUCH) {
			sql_printf(s, "%s%s = ", separator, f->column);
			sql_param(s, param_time(s->text.ctx, clock_now_ms()), "timestamptz");
		} else {
			continue;
		}
		separator = ", ";
	}
	if (strcmp(separator, "SET ") == 0) /* nothing to change, but the rows are wanted */
		sql_printf(s, "SET %s = t.%s", id->column, id->column);
	return ST_OK;
}

/* One statement that changes whatever the conditions find when it gets the row. */
static status build_update(struct sql *s, const struct model *m, const struct query *q, json_object *patch)
{
	sql_printf(s, "UPDATE %s t ", m->table);
	TRY(put_changes(s, m, patch));
	sql_where(s, m, q);
	sql_put(s, " RETURNING ");
	sql_columns(s, m, NULL);
	return ST_OK;
}

/*
 * The same for the first rows of an order, or with the documents as they were: rows are picked under lock, which
 * looks at the conditions again once it has a row, and then changed.
 */
static status build_picked_update(struct sql *s, const struct model *m, const struct query *q, json_object *patch,
                                  bool before)
{
	const char *id = model_field_find(m, m->id)->column;

	sql_printf(s, "WITH picked AS MATERIALIZED (SELECT t.%s AS pk", id);
	if (before) {
		sql_put(s, ", ");
		sql_columns(s, m, "b");
	}
	sql_printf(s, " FROM %s t", m->table);
	sql_where(s, m, q);
	sql_order(s, m, q);
	sql_limit(s, q);
	sql_lock(s, m, q);
	sql_put(s, "), numbered AS (SELECT *, row_number() OVER () AS n FROM picked), ");
	sql_printf(s, "changed AS (UPDATE %s t ", m->table);
	TRY(put_changes(s, m, patch));
	sql_printf(s, " FROM numbered p WHERE t.%s = p.pk RETURNING p.n AS n, ", id);
	if (before) {
		sql_column_names(s, m, "p.b");
		sql_put(s, ", ");
	}
	sql_columns(s, m, "a");
	sql_put(s, ") SELECT ");
	if (before) {
		sql_column_names(s, m, "b");
		sql_put(s, ", ");
	}
	sql_column_names(s, m, "a");
	sql_put(s, " FROM changed ORDER BY n");
	return ST_OK;
}

static bool needs_picking(const struct query *q)
{
	return q->limit >= 0 || q->offset > 0 || q->sort_count > 0 || q->skip_locked;
}

status pg_update(void *backend, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                 struct page *out, json_object **before)
{
	struct pg *p = backend;
	struct batch b;
	struct sql s;
	size_t call;

	*out = (struct page){.total = -1};
	if (before != NULL)
		*before = NULL;
	if (m->table == NULL)
		return backend_file.update(p->inner, ctx, m, q, patch, out, before);
	TRY(query_check(m, q));
	sql_init(&s, ctx);
	if (before != NULL || needs_picking(q))
		TRY(build_picked_update(&s, m, q, patch, before != NULL));
	else
		TRY(build_update(&s, m, q, patch));
	batch_init(&b, ctx);
	call = batch_add(&b, s.text.data, s.params.values, s.params.count);
	b.changes = topics_of_patch(m, patch);
	TRY(pg_write(p, &b));
	if (before != NULL)
		*before = row_documents(ctx, m, b.calls[call].result, 0);
	out->docs = row_documents(ctx, m, b.calls[call].result, before != NULL ? sql_column_count(m) : 0);
	out->count = json_object_array_length(out->docs);
	stale_revoke_documents(p, m, out->docs);
	return ST_OK;
}

/* ---- remove ------------------------------------------------------------------------------------------------------ */

status pg_remove(void *backend, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	struct pg *p = backend;
	const char *id = model_field_find(m, m->id)->column;
	struct batch b;
	struct sql s;
	size_t call;

	*out = (struct page){.total = -1};
	if (m->table == NULL)
		return backend_file.remove(p->inner, ctx, m, q, out);
	TRY(query_check(m, q));
	sql_init(&s, ctx);
	sql_printf(&s, "DELETE FROM %s t", m->table);
	if (needs_picking(q)) {
		sql_printf(&s, " WHERE t.%s IN (SELECT t.%s FROM %s t", id, id, m->table);
		sql_where(&s, m, q);
		sql_order(&s, m, q);
		sql_limit(&s, q);
		sql_lock(&s, m, q);
		sql_put(&s, ")");
	} else {
		sql_where(&s, m, q);
	}
	sql_put(&s, " RETURNING ");
	sql_columns(&s, m, NULL);
	batch_init(&b, ctx);
	call = batch_add(&b, s.text.data, s.params.values, s.params.count);
	b.changes = topic_of(m);
	TRY(pg_write(p, &b));
	out->docs = row_documents(ctx, m, b.calls[call].result, 0);
	out->count = json_object_array_length(out->docs);
	stale_revoke_documents(p, m, out->docs);
	return ST_OK;
}
