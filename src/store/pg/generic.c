/* Documents of any model read by id, listed, counted. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static status unknown_field(const struct model *m, const char *name)
{
	log_error("query of %s: no field %s", m->name, name);
	return ST_INTERNAL;
}

status query_check(const struct model *m, const struct query *q)
{
	for (size_t i = 0; i < q->filter_count; i++)
		if (model_field_find(m, q->filters[i].field) == NULL)
			return unknown_field(m, q->filters[i].field);
	for (size_t i = 0; i < q->sort_count; i++)
		if (model_field_find(m, q->sort[i].field) == NULL)
			return unknown_field(m, q->sort[i].field);
	for (size_t i = 0; i < q->any_count; i++)
		for (size_t k = 0; k < q->any[i].count; k++)
			if (model_field_find(m, q->any[i].fields[k]) == NULL)
				return unknown_field(m, q->any[i].fields[k]);
	return ST_OK;
}

/* ---- one document ------------------------------------------------------------------------------------------------ */

/* The SELECT of one document of m, whose id is the first parameter; made once. */
static const struct sql *get_sql(const struct model *m, const struct model_field *id)
{
	static struct {
		const struct model *model;
		struct sql sql;
	} made[64];
	size_t i = 0;
	struct sql *s;

	while (made[i].model != NULL && made[i].model != m)
		i++;
	s = &made[i].sql;
	if (made[i].model == m)
		return s;
	made[i].model = m;
	sql_init(s, NULL);
	sql_put(s, "SELECT ");
	sql_columns(s, m, NULL);
	sql_printf(s, " FROM %s t WHERE t.%s = ", m->table, id->column);
	sql_param(s, "", sql_type(id));
	sql_constant(s, m, " AND ");
	return s;
}

bool get_add(struct batch *batch, const struct model *m, const char *id, bool optional, size_t *call)
{
	const struct model_field *f = model_field_find(m, m->id);
	const char *text = param_text(batch->ctx, id);
	const char **values;
	const struct sql *s;

	/* No row has an id with bytes that are no UTF-8, which is what a changed text means. */
	if (strcmp(text, id) != 0 || (f->type == M_UUID && param_uuid(id) == NULL))
		return false;
	s = get_sql(m, f);
	values = mem_array(batch->ctx, const char *, (size_t)s->params.count);
	memcpy(values, s->params.values, (size_t)s->params.count * sizeof(*values));
	values[0] = text;
	*call = optional ? batch_add_optional(batch, s->text.data, values, s->params.count)
	                 : batch_add(batch, s->text.data, values, s->params.count);
	batch->calls[*call].reads = topic_of(m);
	return true;
}

status pg_get(void *backend, const void *ctx, const struct model *m, const char *id, json_object **doc)
{
	struct pg *p = backend;
	const struct hint *hint;
	struct batch b;
	size_t call;

	*doc = NULL;
	if (m->table == NULL)
		return backend_file.get(p->inner, ctx, m, id, doc);
	hint = hint_find(p, m, id);
	if (hint != NULL) {
		*doc = hint->doc == NULL ? NULL : json_clone(ctx, hint->doc);
		return hint->doc == NULL ? ST_NOT_FOUND : ST_OK;
	}
	batch_init(&b, ctx);
	if (!get_add(&b, m, id, false, &call))
		return ST_NOT_FOUND;
	TRY(pg_read(p, &b));
	if (batch_rows(&b, call) == 0)
		return ST_NOT_FOUND;
	*doc = row_document(ctx, m, b.calls[call].result, 0, 0);
	return ST_OK;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static size_t add_select(struct batch *b, const struct model *m, const struct query *q, bool texts)
{
	struct sql s;

	sql_init(&s, b->ctx);
	s.texts = texts;
	sql_put(&s, "SELECT ");
	sql_columns(&s, m, NULL);
	sql_printf(&s, " FROM %s t", m->table);
	sql_where(&s, m, q);
	sql_order(&s, m, q);
	sql_limit(&s, q);
	if (q->lock)
		sql_lock(&s, m, q);
	return batch_add(b, s.text.data, s.params.values, s.params.count);
}

static size_t add_count(struct batch *b, const struct model *m, const struct query *q, bool texts)
{
	struct sql s;

	sql_init(&s, b->ctx);
	s.texts = texts;
	sql_printf(&s, "SELECT count(*) FROM %s t", m->table);
	sql_where(&s, m, q);
	return batch_add(b, s.text.data, s.params.values, s.params.count);
}

static int64_t cell_int(const struct batch *b, size_t call)
{
	const char *text = batch_cell(b, call, 0, 0);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

status pg_list(void *backend, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	struct pg *p = backend;
	bool counts = q->want_total && (q->limit >= 0 || q->offset > 0), texts = library_there(p);
	struct batch b;
	size_t list, total = 0;
	status st;

	*out = (struct page){.total = -1};
	if (m->table == NULL)
		return backend_file.list(p->inner, ctx, m, q, out);
	TRY(query_check(m, q));
	if (library_list(p, ctx, m, q, out, &st) || audit_find_list(p, ctx, m, q, out, &st))
		return st;
	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	list = add_select(&b, m, q, texts);
	if (counts)
		total = add_count(&b, m, q, texts);
	st = q->lock ? pg_write(p, &b) : pg_read(p, &b);
	if (texts && q->search != NULL && library_missing(p, &b, st))
		return pg_list(backend, ctx, m, q, out);
	if (st != ST_OK)
		return st;
	out->docs = row_documents(ctx, m, b.calls[list].result, 0);
	out->count = json_object_array_length(out->docs);
	if (q->want_total)
		out->total = counts ? cell_int(&b, total) : (int64_t)out->count;
	return ST_OK;
}

/* ---- counts by value --------------------------------------------------------------------------------------------- */

static void put_counted(struct sql *s, const struct model *m, const struct model_field *f)
{
	if (f->type != M_TEXTS) {
		sql_field_text(s, f);
		sql_printf(s, " AS v FROM %s t", m->table);
		return;
	}
	sql_printf(s,
	           "CASE WHEN jsonb_typeof(e) = 'string' THEN e #>> '{}' END AS v FROM %s t"
	           " CROSS JOIN LATERAL jsonb_array_elements(",
	           m->table);
	sql_field_array(s, f);
	sql_put(s, ") e");
}

status pg_count_by(void *backend, const void *ctx, const struct model *m, const struct query *q, const char *field,
                   json_object **out)
{
	struct pg *p = backend;
	const struct model_field *f = model_field_find(m, field);
	struct batch b;
	struct sql s;
	size_t call;
	status st;

	if (m->table == NULL)
		return backend_file.count_by(p->inner, ctx, m, q, field, out);
	if (f == NULL)
		return unknown_field(m, field);
	TRY(query_check(m, q));
	if (library_counts(p, ctx, m, q, &field, 1, out, &st))
		return st;
	sql_init(&s, ctx);
	sql_put(&s, "SELECT v, count(*) FROM (SELECT ");
	put_counted(&s, m, f);
	sql_where(&s, m, q);
	sql_put(&s, ") x WHERE v IS NOT NULL GROUP BY v");
	batch_init(&b, ctx);
	call = batch_add(&b, s.text.data, s.params.values, s.params.count);
	TRY(pg_read(p, &b));
	*out = row_counts(ctx, &b, call);
	return ST_OK;
}

status pg_counts(void *backend, const void *ctx, const struct model *m, const struct query *q,
                 const char *const *fields, size_t n, json_object **out)
{
	status st;

	if (m->table != NULL && library_counts(backend, ctx, m, q, fields, n, out, &st))
		return st;
	for (size_t i = 0; i < n; i++)
		TRY(pg_count_by(backend, ctx, m, q, fields[i], &out[i]));
	return ST_OK;
}
