/* Conditions: a query over a model as a WHERE clause (query.h), with the same meaning as over loaded documents. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* Compared as their text. */
static bool is_json(const struct model_field *f)
{
	return f->type == M_JSON || f->type == M_TEXTS;
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
		sql_value(s, f);
		sql_printf(s, " >= $%d::timestamptz AND ", n);
		sql_value(s, f);
		sql_printf(s, " < $%d::timestamptz + interval '1 ms')%s", n, op == Q_NE ? " IS NOT TRUE" : "");
		return;
	}
	sql_value(s, f);
	sql_printf(s, " %s $%d::timestamptz%s", op == Q_LT || op == Q_LE ? "<" : ">=", n,
	           op == Q_LE || op == Q_GT ? " + interval '1 ms'" : "");
}

static void put_comparison(struct sql *s, const struct model_field *f, enum query_op op, const char *value)
{
	static const char *const signs[] = {
	    [Q_EQ] = " = ", [Q_NE] = " IS DISTINCT FROM ", [Q_LT] = " < ", [Q_LE] = " <= ", [Q_GT] = " > ",
	    [Q_GE] = " >= "};
	const char *text = filter_value(s->text.ctx, f, value);

	if (text == NULL) {
		sql_put(s, op == Q_NE ? "true" : "false");
		return;
	}
	if (f->type == M_TIME && strcmp(sql_type(f), "timestamptz") == 0) {
		put_time(s, f, op, text);
		return;
	}
	if (is_json(f)) {
		sql_field_text(s, f);
		sql_put(s, signs[op]);
		sql_param(s, text, "text");
		return;
	}
	sql_value(s, f);
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
	if (is_json(f))
		sql_field_text(s, f);
	else
		sql_value(s, f);
	sql_put(s, " = ANY (");
	sql_param(s, param_array(ctx, values, n), is_json(f) ? "text" : sql_type(f));
	sql_printf(s, "[]))%s", filter->op == Q_NOT_IN ? " IS NOT TRUE" : "");
}

/*
 * A substring looked for without regard to case (D-102): both sides in full lower case. Folding all of Unicode in the
 * server is slow; for an ASCII needle folding ASCII gives the same answer, but for the two other characters whose lower
 * case has an ASCII letter (the Kelvin sign, and I with dot above).
 */
struct needle {
	const char *value;          /* as given */
	const char *pattern;        /* for LIKE */
	int param;                  /* number of the parameter that holds it, 0 = none yet */
	const char *before, *after; /* what folds an expression put between them */
};

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

const char *like_pattern(const void *ctx, const char *value)
{
	const char *lower = text_lower(ctx, param_text(ctx, value));
	struct buf b;

	buf_init(&b, ctx);
	buf_putc(&b, '%');
	for (const char *c = lower; *c != '\0'; c++) {
		if (*c == '\\' || *c == '%' || *c == '_')
			buf_putc(&b, '\\');
		buf_putc(&b, *c);
	}
	buf_putc(&b, '%');
	return b.data;
}

static struct needle needle_of(struct sql *s, const char *value)
{
	const char *lower = text_lower(s->text.ctx, param_text(s->text.ctx, value));
	struct needle n = {.value = value, .before = "lower((", .after = ")" SQL_ROOT ")"};

	n.pattern = like_pattern(s->text.ctx, value);
	if (is_ascii(lower) && strpbrk(lower, "ik") == NULL) {
		n.after = ") COLLATE \"C\")";
	} else if (is_ascii(lower)) {
		n.before = "lower(replace(replace((";
		n.after = "), chr(8490), 'k'), chr(304), 'i' || chr(775)) COLLATE \"C\")";
	}
	return n;
}

/* " LIKE $n": a parameter is only made where it is used, or Postgres could not tell its type. */
static void put_like(struct sql *s, struct needle *n)
{
	if (n->param == 0)
		n->param = param_add(&s->params, n->pattern);
	sql_printf(s, "%s LIKE $%d::text", n->after, n->param);
}

/* "(<some element of the array meets> ": the caller adds a condition on the text e.v and "))". */
static void open_elements(struct sql *s, const struct model_field *f, struct needle *n)
{
	sql_put(s, "(");
	/* JSON text holds the elements as they are, but for escapes: most rows can be told by one comparison. */
	if (strpbrk(n->value, "\"\\") == NULL) {
		sql_put(s, n->before);
		sql_field_text(s, f);
		put_like(s, n);
		sql_put(s, " AND ");
	}
	sql_put(s, "EXISTS (SELECT 1 FROM (SELECT x #>> '{}' AS v FROM jsonb_array_elements(");
	sql_field_array(s, f);
	sql_put(s, ") x WHERE jsonb_typeof(x) = 'string') e WHERE ");
}

/* The field, or an element of it, contains the needle. */
static void put_contains(struct sql *s, const struct model_field *f, struct needle *n)
{
	if (f->type == M_TEXTS) {
		open_elements(s, f, n);
		sql_printf(s, "%se.v", n->before);
		put_like(s, n);
		sql_put(s, "))");
		return;
	}
	sql_put(s, n->before);
	sql_field_text(s, f);
	put_like(s, n);
}

static void put_has(struct sql *s, const struct model_field *f, const char *value)
{
	struct needle n = needle_of(s, value);
	bool array = is_json(f);

	if (array)
		open_elements(s, f, &n);
	sql_put(s, n.before);
	if (array)
		sql_put(s, "e.v");
	else
		sql_field_text(s, f);
	sql_printf(s, "%s = ", n.after);
	sql_param(s, text_lower(s->text.ctx, param_text(s->text.ctx, value)), "text");
	sql_put(s, array ? "))" : "");
}

static void put_filter(struct sql *s, const struct model *m, const struct filter *filter)
{
	const struct model_field *f = model_field_find(m, filter->field);
	struct needle n;

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
		n = needle_of(s, filter->value);
		put_contains(s, f, &n);
		break;
	case Q_HAS_CI:
		put_has(s, f, filter->value);
		break;
	case Q_ABSENT:
	case Q_PRESENT:
		sql_value(s, f);
		sql_put(s, filter->op == Q_ABSENT ? " IS NULL" : " IS NOT NULL");
		break;
	default:
		put_comparison(s, f, filter->op, filter->value);
	}
}

static void put_any(struct sql *s, const struct model *m, const struct any_contains *any)
{
	struct needle n = needle_of(s, any->value);

	sql_put(s, "(false");
	for (size_t i = 0; i < any->count; i++) {
		const struct model_field *f = model_field_find(m, any->fields[i]);

		if (f == NULL)
			continue;
		sql_put(s, " OR ");
		put_contains(s, f, &n);
	}
	sql_put(s, ")");
}

/* Single values are looked through as one text, put together with a character that no search holds. */
static void put_search(struct sql *s, const struct model *m, const char *text)
{
	struct needle n = needle_of(s, text);

	sql_printf(s, "(%sconcat_ws(chr(1), ''", n.before);
	for (size_t i = 0; i < m->count; i++) {
		if (!(m->fields[i].flags & M_SEARCH) || m->fields[i].type == M_TEXTS)
			continue;
		sql_put(s, ", ");
		sql_field_text(s, &m->fields[i]);
	}
	sql_put(s, ")");
	put_like(s, &n);
	for (size_t i = 0; i < m->count; i++) {
		if (!(m->fields[i].flags & M_SEARCH) || m->fields[i].type != M_TEXTS)
			continue;
		sql_put(s, " OR ");
		put_contains(s, &m->fields[i], &n);
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

static void put_conditions(struct sql *s, const struct model *m, const struct query *q, bool any)
{
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
		if (!sql_text_search(s, m, q->search))
			put_search(s, m, q->search);
	}
	if (q->scope != NULL) {
		condition(s, &any);
		put_scope(s, m, q->scope);
	}
}

void sql_where(struct sql *s, const struct model *m, const struct query *q)
{
	size_t begun = s->text.len;

	sql_constant(s, m, " WHERE ");
	put_conditions(s, m, q, s->text.len > begun);
}

void sql_and(struct sql *s, const struct model *m, const struct query *q)
{
	sql_constant(s, m, " AND ");
	put_conditions(s, m, q, true);
}
