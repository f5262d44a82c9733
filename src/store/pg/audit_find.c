/*
 * Filtered lists of audit events at any number of them, out of what the background process folds (sql/0004_audit.sql).
 * Two round trips: the ids of the newest folded events that fit; then these and what is too new to be folded.
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define AGAIN_MS 60000 /* how long what is missing is taken for missing */
#define FOLD_MOST 10000
#define FOLD_MS 2000        /* a pass of the background process may spend on folding, */
#define FOLD_EVERY_MS 10000 /* and is made that often */

/* The parameters of audit_page(), in its order. */
enum { P_ACTION, P_ACTOR, P_TARGET, P_REASON, P_OUTCOME, P_PERMISSION, P_SINCE, P_BEFORE, P_MOST, P_COUNT };

/* A pattern over folded texts; false for a text that could reach over the sign that parts them. */
static bool take_pattern(const void *ctx, const char **slot, const char *value)
{
	if (*slot != NULL || strchr(value, '\001') != NULL)
		return false;
	*slot = like_pattern(ctx, value);
	return true;
}

static bool take_value(const char **slot, const char *value)
{
	if (*slot != NULL)
		return false;
	*slot = value;
	return true;
}

static bool take_time(const void *ctx, const char **slot, const char *value)
{
	int64_t ms;

	return *slot == NULL && clock_parse(value, CLOCK_LENIENT, &ms) && take_value(slot, param_time(ctx, ms));
}

static bool take_filter(const void *ctx, const char *v[P_COUNT], const struct filter *f)
{
	if (f->op == Q_CONTAINS && strcmp(f->field, "action") == 0)
		return take_pattern(ctx, &v[P_ACTION], f->value);
	if (f->op == Q_CONTAINS && strcmp(f->field, "reason") == 0)
		return take_pattern(ctx, &v[P_REASON], f->value);
	if (f->op == Q_EQ && strcmp(f->field, "outcome") == 0)
		return take_value(&v[P_OUTCOME], param_text(ctx, f->value));
	if (f->op == Q_EQ && strcmp(f->field, "permission") == 0)
		return take_value(&v[P_PERMISSION], param_text(ctx, f->value));
	if (f->op == Q_GE && strcmp(f->field, "createdAt") == 0)
		return take_time(ctx, &v[P_SINCE], f->value);
	/* a walk in batches adds a second bound, at or before the first */
	if (f->op == Q_LT && strcmp(f->field, "createdAt") == 0) {
		v[P_BEFORE] = NULL;
		return take_time(ctx, &v[P_BEFORE], f->value);
	}
	return false;
}

static bool take_any(const void *ctx, const char *v[P_COUNT], const struct any_contains *any)
{
	if (strcmp(any->fields[0], "actor.id") == 0 && any->count == 2)
		return take_pattern(ctx, &v[P_ACTOR], any->value);
	if (strcmp(any->fields[0], "target.id") == 0 && any->count == 3)
		return take_pattern(ctx, &v[P_TARGET], any->value);
	return false;
}

/* True if audit_page() can answer for all conditions of q, and there is one that times alone do not settle. */
static bool page_arguments(const void *ctx, const struct query *q, const char *v[P_COUNT])
{
	for (size_t i = 0; i < q->filter_count; i++)
		if (!take_filter(ctx, v, &q->filters[i]))
			return false;
	for (size_t i = 0; i < q->any_count; i++)
		if (!take_any(ctx, v, &q->any[i]))
			return false;
	if (v[P_ACTION] == NULL && v[P_ACTOR] == NULL && v[P_TARGET] == NULL && v[P_REASON] == NULL &&
	    v[P_OUTCOME] == NULL && v[P_PERMISSION] == NULL)
		return false;
	v[P_MOST] = mem_printf(ctx, "%lld", (long long)(q->limit + q->offset));
	return true;
}

/* What audit_page() says: nothing, the ids as an array and up to when they are all, or to go through the table. */
enum finding { FIND_FAILED, FIND_IDS, FIND_WALK };

static enum finding find_ids(struct pg *p, const void *ctx, const char *const v[P_COUNT], const char **ids,
                             const char **upto)
{
	const char **found;
	struct batch b;
	size_t call, n;

	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	call = batch_add(&b,
	                 "SELECT id, upto FROM rakkr_fcgi.audit_page($1::text, $2::text, $3::text, $4::text, $5::text,"
	                 " $6::text, $7::timestamptz, $8::timestamptz, $9::bigint)",
	                 v, P_COUNT);
	if (pg_read(p, &b) != ST_OK) {
		p->no_finds_until_ms = clock_mono_ms() + AGAIN_MS;
		return FIND_FAILED;
	}
	*upto = batch_cell(&b, call, 0, 1);
	if (*upto == NULL)
		return FIND_WALK;
	n = (size_t)batch_rows(&b, call);
	found = mem_array(ctx, const char *, n);
	for (size_t i = 1; i < n; i++)
		found[i - 1] = batch_cell(&b, call, (int)i, 0);
	*ids = param_array(ctx, found, n - 1);
	return FIND_IDS;
}

static void add_bound(struct sql *s, const char *condition, const char *time)
{
	if (time == NULL)
		return;
	sql_printf(s, " AND created_at %s ", condition);
	sql_param(s, time, "timestamptz");
}

/*
 * The newest events that fit q, later than a time (NULL: all), gone through from the newest on. OFFSET keeps the
 * planner to that: it takes what a pattern meets for rare, and would look through the whole table and sort.
 */
static void add_walk(struct sql *s, const struct model *m, const struct query *q, const char *const v[P_COUNT],
                     const char *after)
{
	sql_put(s, " FROM (SELECT * FROM audit_events WHERE true");
	add_bound(s, ">", after);
	add_bound(s, ">=", v[P_SINCE]);
	add_bound(s, "<", v[P_BEFORE]);
	sql_put(s, " ORDER BY created_at DESC, id DESC OFFSET 0) t");
	sql_where(s, m, q);
	sql_limit(s, q);
}

static size_t add_whole_walk(struct batch *b, const struct model *m, const struct query *q,
                             const char *const v[P_COUNT])
{
	struct sql s;

	sql_init(&s, b->ctx);
	sql_put(&s, "SELECT ");
	sql_columns(&s, m, NULL);
	add_walk(&s, m, q, v, NULL);
	return batch_add(b, s.text.data, s.params.values, s.params.count);
}

/* The events with these ids, what is too new to be folded, and what came late. */
static size_t add_page(struct batch *b, const struct model *m, const struct query *q, const char *const v[P_COUNT],
                       const char *ids, const char *upto)
{
	struct query newest = *q;
	struct sql s;

	newest.limit = q->limit + q->offset;
	newest.offset = 0;
	sql_init(&s, b->ctx);
	sql_put(&s, "SELECT ");
	sql_columns(&s, m, NULL);
	sql_put(&s, " FROM (SELECT * FROM audit_events WHERE id = ANY (");
	sql_param(&s, ids, "uuid[]");
	sql_put(&s, ") UNION ALL (SELECT t.*");
	add_walk(&s, m, &newest, v, upto);
	sql_put(&s, ") UNION ALL (SELECT t.* FROM (SELECT DISTINCT id FROM rakkr_fcgi.audit_late) l"
	            " JOIN audit_events t ON t.id = l.id");
	sql_where(&s, m, &newest);
	sql_put(&s, " AND t.created_at <= ");
	sql_param(&s, upto, "timestamptz");
	sql_put(&s, " AND t.id <> ALL (");
	sql_param(&s, ids, "uuid[]");
	sql_put(&s, "))) t");
	sql_order(&s, m, q);
	sql_limit(&s, q);
	return batch_add(b, s.text.data, s.params.values, s.params.count);
}

bool audit_find_list(struct pg *p, const void *ctx, const struct model *m, const struct query *q, struct page *out,
                     status *result)
{
	const char *v[P_COUNT] = {NULL}, *ids, *upto;
	enum finding finding;
	struct batch b;
	size_t list;

	if (m != &model_audit_events || p->unit || q->limit < 0 || q->lock || q->want_total || q->sort_count > 0 ||
	    q->search != NULL || clock_mono_ms() < p->no_finds_until_ms || !page_arguments(ctx, q, v))
		return false;
	finding = find_ids(p, ctx, v, &ids, &upto);
	if (finding == FIND_FAILED)
		return false;
	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	list = finding == FIND_WALK ? add_whole_walk(&b, m, q, v) : add_page(&b, m, q, v, ids, upto);
	*result = pg_read(p, &b);
	if (*result != ST_OK)
		return true;
	out->docs = row_documents(ctx, m, b.calls[list].result, 0);
	out->count = json_object_array_length(out->docs);
	return true;
}

/* ---- folding ----------------------------------------------------------------------------------------------------- */

/* One step, a transaction of its own; the number of events folded, 0 also on failure. */
static int64_t fold_some(struct pg *p)
{
	void *ctx = talloc_new(NULL);
	const char *most = mem_printf(ctx, "%d", FOLD_MOST), *cell;
	int64_t folded = 0;
	struct batch b;
	size_t call;

	batch_init(&b, ctx);
	b.changes = TOPICS_NONE;
	call = batch_add(&b, "SELECT rakkr_fcgi.audit_fold($1::integer)", &most, 1);
	if (pg_run(p, &b) != ST_OK)
		p->no_finds_until_ms = clock_mono_ms() + AGAIN_MS;
	else if ((cell = batch_cell(&b, call, 0, 0)) != NULL)
		folded = strtoll(cell, NULL, 10);
	talloc_free(ctx);
	return folded;
}

void audit_fold(struct pg *p)
{
	int64_t now_ms = clock_mono_ms();

	if (p->unit || now_ms < p->no_finds_until_ms || now_ms < p->fold_at_ms)
		return;
	p->fold_at_ms = now_ms + FOLD_EVERY_MS;
	while (fold_some(p) >= FOLD_MOST)
		if (clock_mono_ms() > now_ms + FOLD_MS)
			return;
}
