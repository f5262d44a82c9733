/* SQL text out of the model tables: fields, conditions, order. Only names of the constant tables get into a text. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The contract's text order and case folding (03 3.0.5), whatever collation the database was created with. */
#define ROOT " COLLATE \"und-x-icu\""

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

/* The field as a value of sql_type(), alias t. A stored member of another JSON type is NULL. */
static void put_value(struct sql *s, const struct model_field *f)
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
	put_value(s, f);
	if (f->type != M_TEXT)
		sql_put(s, "::text");
}

void sql_field_array(struct sql *s, const struct model_field *f)
{
	sql_put(s, "CASE WHEN jsonb_typeof(");
	put_value(s, f);
	sql_put(s, ") = 'array' THEN ");
	put_value(s, f);
	sql_put(s, " ELSE '[]' END");
}

/* ---- conditions -------------------------------------------------------------------------------------------------- */

/* The parameter text of a filter value; NULL if no stored value can be equal to it. */
static const char *filter_value(const void *ctx, const struct model_field *f, const char *value)
{
	int64_t ms;
	char *end;

	value = param_text(ctx, value);
	switch (f->type) {
	case M_ENUM:
		for (const char *const *v = f->values; v != NULL && *v != NULL; v++)
			if (strcmp(*v, value) == 0)
				return value;
		return f->values == NULL ? value : NULL;
	case M_INT:
		errno = 0;
		strtoll(value, &end, 10);
		return errno == 0 && end != value && *end == '\0' ? value : NULL;
	case M_BOOL:
		return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ? value : NULL;
	case M_TIME:
		return clock_parse(value, CLOCK_LENIENT, &ms) ? param_time(ctx, ms) : NULL;
	case M_UUID:
		return param_uuid(value);
	default:
		return value;
	}
}

/* Opens the next condition. */
static void condition(struct sql *s, bool *any)
{
	sql_put(s, *any ? " AND " : " WHERE ");
	*any = true;
}

/* Documents hold times cut to milliseconds, columns may hold microseconds: bounds are put so that both agree. */
static void put_time(struct sql *s, const struct model_field *f, enum query_op op, const char *value)
{
	int n = param_add(&s->params, value);

	if (op == Q_EQ || op == Q_NE) {
		sql_put(s, "(");
		put_value(s, f);
		sql_printf(s, " >= $%d::timestamptz AND ", n);
		put_value(s, f);
		sql_printf(s, " < $%d::timestamptz + interval '1 ms')%s", n, op == Q_NE ? " IS NOT TRUE" : "");
		return;
	}
	put_value(s, f);
	sql_printf(s, " %s $%d::timestamptz%s", op == Q_LT || op == Q_LE ? "<" : ">=", n,
		   op == Q_LE || op == Q_GT ? " + interval '1 ms'" : "");
}

static void put_comparison(struct sql *s, const struct model_field *f, enum query_op op, const char *value)
{
	static const char *const signs[] = {[Q_EQ] = " = ",  [Q_NE] = " IS DISTINCT FROM ", [Q_LT] = " < ",
					    [Q_LE] = " <= ", [Q_GT] = " > ",		    [Q_GE] = " >= "};
	const char *text = filter_value(s->text.ctx, f, value);

	if (text == NULL) {
		sql_put(s, op == Q_NE ? "true" : "false");
		return;
	}
	if (f->type == M_TIME && strcmp(sql_type(f), "timestamptz") == 0) {
		put_time(s, f, op, text);
		return;
	}
	if (f->type == M_JSON || f->type == M_TEXTS) {
		sql_field_text(s, f);
		sql_put(s, signs[op]);
		sql_param(s, text, "text");
		return;
	}
	put_value(s, f);
	if (op != Q_EQ && op != Q_NE && strcmp(sql_type(f), "text") == 0)
		sql_put(s, " COLLATE \"C\""); /* ranges of texts go by bytes, as in the flat files */
	sql_put(s, signs[op]);
	sql_param(s, text, sql_type(f));
}

static void put_membership(struct sql *s, const struct model_field *f, const struct filter *filter)
{
	const void *ctx = s->text.ctx;
	const char **values = mem_array(ctx, const char *, filter->value_count);
	size_t n = 0;

	for (size_t i = 0; i < filter->value_count; i++) {
		const char *v = filter_value(ctx, f, filter->values[i]);

		if (v != NULL)
			values[n++] = v;
	}
	if (n == 0) {
		sql_put(s, filter->op == Q_IN ? "false" : "true");
		return;
	}
	sql_put(s, "(");
	put_value(s, f);
	sql_put(s, " = ANY (");
	sql_param(s, param_array(ctx, values, n), sql_type(f));
	sql_printf(s, "[]))%s", filter->op == Q_NOT_IN ? " IS NOT TRUE" : "");
}

/* ILIKE pattern of a literal substring (D-102). */
static const char *contains_pattern(const void *ctx, const char *value)
{
	struct buf b;

	buf_init(&b, ctx);
	buf_putc(&b, '%');
	for (const char *c = param_text(ctx, value); *c != '\0'; c++) {
		if (*c == '\\' || *c == '%' || *c == '_')
			buf_putc(&b, '\\');
		buf_putc(&b, *c);
	}
	buf_putc(&b, '%');
	return b.data;
}

/* The field, or an element of it, contains parameter n without regard to case. */
static void put_contains(struct sql *s, const struct model_field *f, int n)
{
	if (f->type == M_TEXTS) {
		sql_put(s, "EXISTS (SELECT 1 FROM jsonb_array_elements(");
		sql_field_array(s, f);
		sql_printf(s, ") e WHERE jsonb_typeof(e) = 'string' AND (e #>> '{}')" ROOT " ILIKE $%d::text)", n);
		return;
	}
	sql_put(s, "(");
	sql_field_text(s, f);
	sql_printf(s, ")" ROOT " ILIKE $%d::text", n);
}

static void put_has(struct sql *s, const struct model_field *f, const char *value)
{
	sql_put(s, "EXISTS (SELECT 1 FROM jsonb_array_elements(");
	sql_field_array(s, f);
	sql_put(s, ") e WHERE jsonb_typeof(e) = 'string' AND lower((e #>> '{}')" ROOT ") = lower(");
	sql_param(s, param_text(s->text.ctx, value), "text" ROOT);
	sql_put(s, "))");
}

static void put_filter(struct sql *s, const struct model *m, const struct filter *filter)
{
	const struct model_field *f = model_field_find(m, filter->field);

	if (f == NULL || (f->column == NULL && f->expr == NULL)) {
		sql_put(s, filter->op == Q_ABSENT || filter->op == Q_NE || filter->op == Q_NOT_IN ? "true" : "false");
		return;
	}
	switch (filter->op) {
	case Q_IN:
	case Q_NOT_IN:
		put_membership(s, f, filter);
		break;
	case Q_CONTAINS:
		put_contains(s, f, param_add(&s->params, contains_pattern(s->text.ctx, filter->value)));
		break;
	case Q_HAS_CI:
		put_has(s, f, filter->value);
		break;
	case Q_ABSENT:
	case Q_PRESENT:
		put_value(s, f);
		sql_put(s, filter->op == Q_ABSENT ? " IS NULL" : " IS NOT NULL");
		break;
	default:
		put_comparison(s, f, filter->op, filter->value);
	}
}

static void put_any(struct sql *s, const struct model *m, const struct any_contains *any)
{
	int n = param_add(&s->params, contains_pattern(s->text.ctx, any->value));

	sql_put(s, "(false");
	for (size_t i = 0; i < any->count; i++) {
		const struct model_field *f = model_field_find(m, any->fields[i]);

		if (f == NULL)
			continue;
		sql_put(s, " OR ");
		put_contains(s, f, n);
	}
	sql_put(s, ")");
}

static void put_search(struct sql *s, const struct model *m, const char *text)
{
	int n = param_add(&s->params, contains_pattern(s->text.ctx, text));

	sql_put(s, "(false");
	for (size_t i = 0; i < m->count; i++) {
		if (!(m->fields[i].flags & M_SEARCH))
			continue;
		sql_put(s, " OR ");
		put_contains(s, &m->fields[i], n);
	}
	sql_put(s, ")");
}

/* A user sees no job whose recording is gone, whatever he may see (03 3.0.2). */
static void put_scope(struct sql *s, const struct model *m, const struct row_scope *scope)
{
	if (m == &model_recordings) {
		sql_row_scope(s, scope, "t");
		return;
	}
	sql_put(s, "EXISTS (SELECT 1 FROM recordings r WHERE r.id = t.recording_id AND ");
	sql_row_scope(s, scope, "r");
	sql_put(s, ")");
}

void sql_constant(struct sql *s, const struct model *m, const char *separator)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->fields[i].constant == NULL)
			continue;
		sql_printf(s, "%st.%s = ", separator, m->fields[i].column);
		sql_param(s, m->fields[i].constant, "text");
		separator = " AND ";
	}
}

void sql_where(struct sql *s, const struct model *m, const struct query *q)
{
	size_t begun = s->text.len;
	bool any;

	sql_constant(s, m, " WHERE ");
	any = s->text.len > begun;
	for (size_t i = 0; i < q->filter_count; i++) {
		condition(s, &any);
		put_filter(s, m, &q->filters[i]);
	}
	for (size_t i = 0; i < q->any_count; i++) {
		condition(s, &any);
		put_any(s, m, &q->any[i]);
	}
	if (q->search != NULL) {
		condition(s, &any);
		put_search(s, m, q->search);
	}
	if (q->scope != NULL) {
		condition(s, &any);
		put_scope(s, m, q->scope);
	}
}

/* ---- order, page, locks ------------------------------------------------------------------------------------------ */

static void put_order(struct sql *s, const struct model *m, const char *name, bool desc, bool by_index, bool *any)
{
	const struct model_field *f = model_field_find(m, name);

	sql_put(s, *any ? ", " : " ORDER BY ");
	*any = true;
	if ((f->type == M_TEXT || f->type == M_ENUM) && !by_index) {
		sql_field_text(s, f);
		sql_put(s, ROOT);
	} else {
		put_value(s, f);
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
