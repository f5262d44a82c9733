/* Rows read back as documents. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

bool row_has_field(const struct model_field *f)
{
	if (f->constant != NULL)
		return false;
	return (f->flags & (M_DERIVED | M_HIDDEN)) != (M_DERIVED | M_HIDDEN);
}

json_object *row_json(const void *ctx, const char *text)
{
	json_object *o = NULL;

	if (text != NULL && !json_parse(ctx, text, strlen(text), &o))
		log_warn("database: a stored JSON value cannot be read");
	return o;
}

/* The value of a cell as a new reference; NULL if it cannot be read. */
static json_object *cell_value(const void *ctx, const struct model_field *f, const char *text)
{
	char iso[CLOCK_ISO_SIZE];
	int64_t ms;

	switch (f->type) {
	case M_INT:
		return json_object_new_int64(strtoll(text, NULL, 10));
	case M_BOOL:
		return json_object_new_boolean(text[0] == 't');
	case M_TIME:
		if (!clock_parse_pg(text, &ms))
			return NULL;
		return json_object_new_string(clock_iso(iso, ms));
	case M_TEXTS:
	case M_JSON:
		return json_object_get(row_json(ctx, text));
	default:
		return json_object_new_string(text);
	}
}

/* True if f is read out of a whole jsonb column that is fetched once for all its members. */
static bool is_member(const struct model_field *f)
{
	return f->key != NULL && f->expr == NULL;
}

/* Index of the earlier field of m whose column is the same whole jsonb column; i itself if it is the first. */
static size_t first_member(const struct model *m, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (row_has_field(&m->fields[j]) && is_member(&m->fields[j]) &&
		    strcmp(m->fields[j].column, m->fields[i].column) == 0)
			return j;
	return i;
}

/* Puts one item of the SELECT list. */
static void put_column(struct sql *s, const struct model_field *f)
{
	if (f->expr != NULL)
		sql_printf(s, "(%s)", f->expr);
	else
		sql_printf(s, "t.%s", f->column);
}

void sql_columns(struct sql *s, const struct model *m, const char *prefix)
{
	int n = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];

		if (!row_has_field(f) || (is_member(f) && first_member(m, i) != i))
			continue;
		sql_put(s, n > 0 ? ", " : "");
		put_column(s, f);
		if (prefix != NULL)
			sql_printf(s, " AS %s%d", prefix, n);
		n++;
	}
}

int sql_column_count(const struct model *m)
{
	int n = 0;

	for (size_t i = 0; i < m->count; i++)
		n += row_has_field(&m->fields[i]) && !(is_member(&m->fields[i]) && first_member(m, i) != i);
	return n;
}

void sql_column_names(struct sql *s, const struct model *m, const char *prefix)
{
	for (int i = 0; i < sql_column_count(m); i++)
		sql_printf(s, "%s%s%d", i > 0 ? ", " : "", prefix, i);
}

/* Sets a member of an already parsed jsonb column. */
static void set_member(json_object *doc, const struct model_field *f, json_object *column)
{
	json_object *v = json_get(column, f->key);

	if (v != NULL)
		model_set(doc, f, json_object_get(v));
	else if (f->flags & M_NULL)
		model_set(doc, f, NULL);
}

static void set_cell(const void *ctx, json_object *doc, const struct model_field *f, const char *text)
{
	json_object *v = text == NULL ? NULL : cell_value(ctx, f, text);

	if (v != NULL || (f->flags & M_NULL))
		model_set(doc, f, v);
}

json_object *row_document(const void *ctx, const struct model *m, const PGresult *r, int row, int first)
{
	json_object *doc = json_new_object(ctx);
	/* parsed jsonb columns, by their first member; also the arena of everything that is only read in passing */
	json_object **columns = mem_array(ctx, json_object *, m->count);
	int column = first;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		size_t head = i;

		if (!row_has_field(f))
			continue;
		if (is_member(f))
			head = first_member(m, i);
		if (head == i) {
			const char *text = PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);

			column++;
			if (!is_member(f)) {
				set_cell(columns, doc, f, text);
				continue;
			}
			columns[i] = row_json(columns, text);
		}
		set_member(doc, f, columns[head]);
	}
	talloc_free(columns);
	if (m->repair != NULL)
		m->repair(doc);
	return doc;
}

json_object *row_documents(const void *ctx, const struct model *m, const PGresult *r, int first)
{
	json_object *docs = json_new_array(ctx);

	for (int row = 0; row < PQntuples(r); row++)
		json_push_ref(docs, row_document(ctx, m, r, row, first));
	return docs;
}

json_object *row_counts(const void *ctx, const struct batch *b, size_t call)
{
	json_object *out = json_new_array(ctx);

	for (int row = 0; row < batch_rows(b, call); row++) {
		json_object *item = json_object_new_object();

		json_set_str(item, "value", batch_cell(b, call, row, 0));
		json_set_int(item, "count", strtoll(batch_cell(b, call, row, 1), NULL, 10));
		json_object_array_add(out, item);
	}
	return out;
}
