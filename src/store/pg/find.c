/*
 * Lists whose rows are found first: a search, or a filter that no index of the table serves (part of a folder, a tag).
 * The rows are found in one of two ways, chosen by the server in the same statement, by their number, which the cells
 * tell beforehand:
 *
 *   few:  all those of the cells that match, and what the texts hit beside them; they are sorted;
 *   many: in the order of the list from the newest possible one on, until the page is full.
 *
 * Cells know the words of a recording but for the digits of its name. A search with digits is answered by the texts
 * alone: all hits are found. One for one or two characters goes by the numbers of the days (short.c).
 */
#include "store/pg/library.h"

#include <stdlib.h>
#include <string.h>

#define FEW "5000"

struct finder {
	const void *ctx;
	const struct query *q;
	struct named named; /* with q without the search */
	struct order_keys keys;
	struct text_needle needle; /* of the search */
	bool cells;                /* the cells can tell how many there are */
	bool brief;                /* the numbers of the days can (short.c) */
};

/* True if q needs this, and cells can tell what it asks for. */
static bool wants_cells(const struct query *q)
{
	for (size_t i = 0; i < q->filter_count; i++) {
		const struct filter *f = &q->filters[i];

		if ((strcmp(f->field, "folder") == 0 && f->op == Q_CONTAINS) ||
		    (strcmp(f->field, "tags") == 0 && f->op == Q_HAS_CI))
			return filters_in_cells(q) && q->limit >= 0;
	}
	return false;
}

/* True if the search is all that there is to look at, and the texts hold the order too. */
static bool texts_suffice(const struct finder *f)
{
	return f->q->search != NULL && f->q->filter_count == 0 && f->q->any_count == 0 && f->q->scope == NULL &&
	       f->q->sort_count == 0;
}

static bool finder_init(struct finder *f, const void *ctx, const struct query *q)
{
	if (q->search == NULL && !wants_cells(q))
		return false;
	*f = (struct finder){.ctx = ctx, .q = q, .keys = sql_order_keys(&model_recordings, q), .cells = true};
	named_init(&f->named, ctx, q);
	if (q->search == NULL)
		return true;
	f->needle = text_needle(ctx, q->search);
	f->brief = texts_suffice(f) && f->needle.gram != NULL;
	f->cells = filters_in_cells(q) && strpbrk(q->search, "0123456789\002") == NULL;
	return true;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

/* ", value AS k0, ...": what the order goes by, of t or of the text x. */
static void put_keys(struct sql *s, const struct finder *f, bool of_text)
{
	for (size_t i = 0; i < f->keys.count; i++) {
		sql_put(s, ", ");
		if (of_text)
			sql_printf(s, "x.%s", f->keys.at[i].field->column);
		else
			sql_order_value(s, &f->keys.at[i]);
		sql_printf(s, " AS k%zu", i);
	}
}

/* ", k0, ...": the same, made further inside. */
static void put_key_names(struct sql *s, const struct finder *f)
{
	for (size_t i = 0; i < f->keys.count; i++)
		sql_printf(s, ", k%zu", i);
}

static void put_order(struct sql *s, const struct finder *f)
{
	for (size_t i = 0; i < f->keys.count; i++)
		sql_printf(s, "%sk%zu%s", i > 0 ? ", " : " ORDER BY ", i, f->keys.at[i].desc ? " DESC" : "");
}

/* " AND the filters hold for the text's cell": looked up for each hit, instead of its recording. */
static void put_in_cells(struct sql *s, const struct finder *f)
{
	size_t begun;

	sql_put(s, " AND EXISTS (SELECT FROM " CELLS);
	begun = s->text.len;
	cells_where(s, &f->named.rest);
	sql_put(s, s->text.len > begun ? " AND " : " WHERE ");
	sql_put(s, "t.key = x.cell OFFSET 0)");
}

/*
 * True if the filters are better asked of the cells than of the recordings: if an index finds the texts. Where it does
 * not, the server would go through all texts of those cells, one cell after the other.
 */
static bool filtered_by_cells(const struct finder *f)
{
	return f->needle.packed != NULL && f->named.count == 0 && f->q->sort_count == 0 && filters_in_cells(f->q);
}

/* "SELECT id, keys FROM the texts that match, with the recording if something else of it is asked for". */
static void put_texts(struct sql *s, const struct finder *f, bool own_only)
{
	bool alone = texts_suffice(f), by_cells = !alone && filtered_by_cells(f), text = alone || by_cells;

	sql_printf(s, "SELECT %s.id", text ? "x" : "t");
	put_keys(s, f, text);
	sql_put(s, " FROM rakkr_fcgi.recording_texts x");
	sql_put(s, text ? "" : " JOIN recordings t ON t.id = x.id");
	sql_put(s, " WHERE ");
	if (own_only) {
		sql_text_has(s, "own", &f->needle, true);
		sql_put(s, " AND NOT (");
		sql_text_has(s, "common", &f->needle, false);
		sql_put(s, ")");
	} else {
		sql_recording_has(s, &f->needle, true);
	}
	if (by_cells)
		put_in_cells(s, f);
	else
		sql_and(s, &model_recordings, &f->named.query);
}

/* "c AS (the cells that match), o AS (hits that cells cannot see), s AS (how many there are), ". */
static void put_total(struct sql *s, const struct finder *f)
{
	size_t begun;

	sql_put(s, "c AS MATERIALIZED (SELECT t.key, t.n, t.newest FROM " CELLS);
	begun = s->text.len;
	cells_where(s, &f->named.rest);
	if (f->q->search != NULL) {
		sql_put(s, s->text.len > begun ? " AND t.words LIKE " : " WHERE t.words LIKE ");
		sql_param(s, f->needle.pattern, "text");
		sql_put(s, "), o AS MATERIALIZED (");
		put_texts(s, f, true);
	}
	sql_put(s, "), s AS MATERIALIZED (SELECT ((SELECT coalesce(sum(n), 0) FROM c)");
	named_correction(s, &f->named, f->q->search != NULL ? &f->needle : NULL);
	sql_put(s, f->q->search != NULL ? " + (SELECT count(*) FROM o)" : "");
	sql_put(s, ")::bigint AS total), ");
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

static void put_text_walk(struct sql *s, const struct finder *f)
{
	sql_put(s, "SELECT x.id");
	put_keys(s, f, true);
	sql_put(s, " FROM rakkr_fcgi.recording_texts x WHERE (SELECT total FROM s) > " FEW " AND ");
	sql_recording_has(s, &f->needle, false);
}

/* The conditions stand outside of the ordered rows, or the server might sort all that meet them. */
static void put_recording_walk(struct sql *s, const struct finder *f)
{
	bool bound = f->q->search == NULL && f->named.count == 0; /* nothing but recordings of these cells */

	sql_put(s, "SELECT t.id");
	put_key_names(s, f);
	sql_put(s, " FROM (SELECT t.*");
	put_keys(s, f, false);
	sql_put(s, " FROM recordings t WHERE (SELECT total FROM s) > " FEW);
	sql_put(s, bound ? " AND t.recorded_at <= (SELECT max(newest) FROM c)" : "");
	put_order(s, f);
	sql_put(s, " OFFSET 0) t WHERE true");
	sql_and(s, &model_recordings, &f->named.query);
	if (f->q->search == NULL)
		return;
	sql_put(s, " AND EXISTS (SELECT FROM rakkr_fcgi.recording_texts x WHERE x.id = t.id AND ");
	sql_recording_has(s, &f->needle, false);
	sql_put(s, ")");
}

static void put_walk(struct sql *s, const struct finder *f)
{
	sql_put(s, "(");
	if (texts_suffice(f))
		put_text_walk(s, f);
	else
		put_recording_walk(s, f);
	put_order(s, f);
	if (f->q->limit >= 0) {
		sql_put(s, " LIMIT ");
		sql_page_end(s, f->q);
	}
	sql_put(s, ")");
}

/* ---- few --------------------------------------------------------------------------------------------------------- */

/* Recordings of the cells that match; and those that the scope names, whatever cell they are in. */
static void put_cells(struct sql *s, const struct finder *f)
{
	bool named = f->named.count > 0, text = f->q->sort_count == 0;

	sql_put(s, "(SELECT x.id");
	put_keys(s, f, text);
	sql_put(s, " FROM rakkr_fcgi.recording_texts x");
	sql_put(s, named || !text ? " JOIN recordings t ON t.id = x.id" : "");
	sql_put(s, " WHERE (SELECT total FROM s) <= " FEW " AND (x.cell = ANY (ARRAY(SELECT key FROM c))");
	if (named) {
		sql_put(s, " OR x.id = ANY (");
		sql_param(s, param_array(s->text.ctx, f->named.ids, f->named.count), "text[]");
		sql_put(s, ")");
	}
	sql_put(s, ")");
	if (named && f->q->search != NULL) {
		sql_put(s, " AND ");
		sql_text_has(s, "common", &f->needle, false);
	}
	if (named)
		sql_and(s, &model_recordings, &f->named.query);
	sql_put(s, ")");
}

/* ---- the statement ----------------------------------------------------------------------------------------------- */

static void put_hits(struct sql *s, const struct finder *f)
{
	if (f->brief) {
		short_search(s, &f->needle, f->q);
		return;
	}
	if (f->cells)
		put_total(s, f);
	sql_put(s, "hits AS MATERIALIZED (");
	if (!f->cells) {
		put_texts(s, f, false);
	} else {
		put_walk(s, f);
		sql_put(s, " UNION ALL ");
		put_cells(s, f);
		sql_put(s, f->q->search != NULL ? " UNION ALL (SELECT * FROM o WHERE (SELECT total FROM s) <= " FEW ")"
		                                : "");
	}
	sql_put(s, ")");
}

/* Total in column 0, the page's documents behind column 1; one row without a document if the page is empty. */
static void put_statement(struct sql *s, const struct finder *f)
{
	sql_put(s, "WITH ");
	put_hits(s, f);
	sql_put(s, ", page AS MATERIALIZED (SELECT * FROM hits");
	put_order(s, f);
	sql_limit(s, f->q);
	sql_printf(s, ") SELECT (SELECT %s), t.id, ", f->cells || f->brief ? "total FROM s" : "count(*) FROM hits");
	sql_columns(s, &model_recordings, NULL);
	sql_put(s, " FROM (SELECT 1) one LEFT JOIN (page JOIN recordings t ON t.id = page.id) ON true");
	put_order(s, f);
}

static status run(struct pg *p, const struct finder *f, struct page *out, struct batch *b)
{
	struct sql s;
	size_t call;

	sql_init(&s, f->ctx);
	put_statement(&s, f);
	call = batch_add(b, s.text.data, s.params.values, s.params.count);
	TRY(pg_read(p, b));
	if (batch_cell(b, call, 0, 1) != NULL)
		out->docs = row_documents(f->ctx, &model_recordings, b->calls[call].result, 2);
	else
		out->docs = json_new_array(f->ctx);
	out->count = json_object_array_length(out->docs);
	if (f->q->want_total)
		out->total = strtoll(batch_cell(b, call, 0, 0), NULL, 10);
	return ST_OK;
}

bool find_list(struct pg *p, const void *ctx, const struct query *q, struct page *out, struct batch *b, status *result)
{
	struct finder f;

	if (!finder_init(&f, ctx, q))
		return false;
	*result = run(p, &f, out, b);
	return true;
}
