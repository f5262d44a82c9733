/* SQL text out of the model tables: fields, order, page. Only names of the constant tables get into a text. */
#include "store/pg/pg.h"

#include <inttypes.h>

void sql_init(struct sql *s, const void *ctx)
{
	buf_init(&s->text, ctx);
	s->params = (struct params){.ctx = ctx};
}

void sql_put(struct sql *s, const char *text)
{
	buf_puts(&s->text, text);
}

void sql_printf(struct sql *s, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(s->text.ctx, fmt, ap);
	va_end(ap);
	buf_puts(&s->text, text);
}

void sql_param(struct sql *s, const char *value, const char *type)
{
	sql_printf(s, "$%d::%s", param_add(&s->params, value), type);
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

const char *sql_type(const struct model_field *f)
{
	bool member = f->key != NULL && f->expr == NULL;

	switch (f->type) {
	case M_ENUM:
		return f->pg_type != NULL && !member ? f->pg_type : "text";
	case M_INT:
		return "bigint";
	case M_BOOL:
		return "boolean";
	case M_TIME:
		return member ? "text" : "timestamptz";
	case M_UUID:
		return member ? "text" : "uuid";
	case M_TEXTS:
	case M_JSON:
		return "jsonb";
	default:
		return "text";
	}
}

void sql_value(struct sql *s, const struct model_field *f)
{
	if (f->expr != NULL) {
		sql_printf(s, "(%s)", f->expr);
	} else if (f->key == NULL) {
		sql_printf(s, "t.%s", f->column);
	} else if (f->type == M_INT || f->type == M_BOOL) {
		sql_printf(s, "CASE WHEN jsonb_typeof(t.%s->'%s') = '%s' THEN (t.%s->>'%s')::%s END", f->column, f->key,
		           f->type == M_INT ? "number" : "boolean", f->column, f->key,
		           f->type == M_INT ? "numeric" : "boolean");
	} else if (f->type == M_JSON || f->type == M_TEXTS) {
		sql_printf(s, "nullif(t.%s->'%s', 'null')", f->column, f->key);
	} else {
		sql_printf(s, "(t.%s->>'%s')", f->column, f->key);
	}
}

void sql_field_text(struct sql *s, const struct model_field *f)
{
	if (f->key != NULL && f->expr == NULL) {
		sql_printf(s, "(t.%s->>'%s')", f->column, f->key);
		return;
	}
	sql_value(s, f);
	if (f->type != M_TEXT)
		sql_put(s, "::text");
}

void sql_field_array(struct sql *s, const struct model_field *f)
{
	sql_put(s, "CASE WHEN jsonb_typeof(");
	sql_value(s, f);
	sql_put(s, ") = 'array' THEN ");
	sql_value(s, f);
	sql_put(s, " ELSE '[]' END");
}

/* ---- order, page, locks ------------------------------------------------------------------------------------------ */

static void put_order(struct sql *s, const struct model *m, const char *name, bool desc, bool by_index, bool *any)
{
	const struct model_field *f = model_field_find(m, name);

	sql_put(s, *any ? ", " : " ORDER BY ");
	*any = true;
	if ((f->type == M_TEXT || f->type == M_ENUM) && !by_index) {
		sql_field_text(s, f);
		sql_put(s, SQL_ROOT);
	} else {
		sql_value(s, f);
	}
	sql_put(s, desc ? " DESC" : "");
}

void sql_order(struct sql *s, const struct model *m, const struct query *q)
{
	bool any = false;

	for (size_t i = 0; i < q->sort_count; i++)
		put_order(s, m, q->sort[i].field, q->sort[i].desc, false, &any);
	/* In the usual order the id only parts equals (D-101): as it stands in the index of that order. */
	for (size_t i = 0; q->sort_count == 0 && i < sizeof(m->order) / sizeof(m->order[0]); i++)
		if (m->order[i] != NULL)
			put_order(s, m, m->order[i] + (m->order[i][0] == '-'), m->order[i][0] == '-', i > 0, &any);
}

void sql_limit(struct sql *s, const struct query *q)
{
	if (q->limit >= 0) {
		sql_put(s, " LIMIT ");
		sql_param(s, mem_printf(s->text.ctx, "%" PRId64, q->limit), "bigint");
	}
	if (q->offset > 0) {
		sql_put(s, " OFFSET ");
		sql_param(s, mem_printf(s->text.ctx, "%" PRId64, q->offset), "bigint");
	}
}

void sql_lock(struct sql *s, const struct query *q)
{
	sql_put(s, " FOR UPDATE OF t");
	if (q->skip_locked)
		sql_put(s, " SKIP LOCKED");
}
