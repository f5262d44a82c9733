/* SQL text out of the model tables: fields, order, page. Only names of the constant tables get into a text. */
#include "store/pg/pg.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>

#define SQL_WORDS_MAX 32      /* no enum has more */
#define SQL_ORDER_WIDTH "400" /* characters of a text without a width of its own that orders look at */

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
	talloc_free(text);
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

static int compare_words(const void *a, const void *b)
{
	return text_collate(*(const char *const *)a, *(const char *const *)b);
}

/* An enum of Postgres by the rank of its word in the contract's order of texts: a number that an index can hold. */
static void put_rank(struct sql *s, const struct model_field *f)
{
	const char *words[SQL_WORDS_MAX];
	size_t n = 0;

	for (; f->values[n] != NULL && n < SQL_WORDS_MAX; n++)
		words[n] = f->values[n];
	qsort(words, n, sizeof(words[0]), compare_words);
	sql_printf(s, "CASE t.%s", f->column);
	for (size_t i = 0; i < n; i++)
		sql_printf(s, " WHEN '%s' THEN %zu", words[i], i);
	sql_put(s, " END");
}

static void add_key(struct order_keys *keys, const struct model *m, const char *name, bool desc, bool plain)
{
	keys->at[keys->count++] = (struct order_key){.field = model_field_find(m, name), .desc = desc, .plain = plain};
}

struct order_keys sql_order_keys(const struct model *m, const struct query *q)
{
	struct order_keys keys = {0};

	for (size_t i = 0; i < q->sort_count; i++)
		add_key(&keys, m, q->sort[i].field, q->sort[i].desc, false);
	/* In the usual order the id only parts equals (D-101): as it stands in the index of that order. */
	for (size_t i = 0; q->sort_count == 0 && i < sizeof(m->order) / sizeof(m->order[0]); i++)
		if (m->order[i] != NULL)
			add_key(&keys, m, m->order[i] + (m->order[i][0] == '-'), m->order[i][0] == '-', i > 0);
	return keys;
}

void sql_order_value(struct sql *s, const struct order_key *key)
{
	const struct model_field *f = key->field;

	if (f->type == M_ENUM && f->pg_type != NULL && f->expr == NULL && f->key == NULL) {
		put_rank(s, f);
	} else if (f->type == M_TEXT && f->max == 0 && f->expr == NULL && f->key == NULL && !key->plain) {
		sql_printf(s, "left(t.%s, " SQL_ORDER_WIDTH ")" SQL_ROOT, f->column); /* what an index holds */
	} else if ((f->type == M_TEXT || f->type == M_ENUM) && !key->plain) {
		sql_field_text(s, f);
		sql_put(s, SQL_ROOT);
	} else {
		sql_value(s, f);
	}
}

void sql_order(struct sql *s, const struct model *m, const struct query *q)
{
	struct order_keys keys = sql_order_keys(m, q);

	for (size_t i = 0; i < keys.count; i++) {
		sql_put(s, i > 0 ? ", " : " ORDER BY ");
		sql_order_value(s, &keys.at[i]);
		sql_put(s, keys.at[i].desc ? " DESC" : "");
	}
}

static void put_number(struct sql *s, int64_t n)
{
	sql_param(s, mem_printf(s->text.ctx, "%" PRId64, n), "bigint");
}

void sql_limit(struct sql *s, const struct query *q)
{
	if (q->limit >= 0) {
		sql_put(s, " LIMIT ");
		put_number(s, q->limit);
	}
	if (q->offset > 0) {
		sql_put(s, " OFFSET ");
		put_number(s, q->offset);
	}
}

void sql_page_end(struct sql *s, const struct query *q)
{
	put_number(s, q->limit);
	sql_put(s, " + ");
	put_number(s, q->offset);
}

void sql_lock(struct sql *s, const struct model *m, const struct query *q)
{
	/*
	 * The event of every request refers to the row of who asks. That must not wait for a change of the account: two
	 * administrators who change each other would stop each other.
	 */
	sql_put(s, m == &model_users ? " FOR NO KEY UPDATE OF t" : " FOR UPDATE OF t");
	if (q->skip_locked)
		sql_put(s, " SKIP LOCKED");
}
