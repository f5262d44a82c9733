/*
 * Lists and counts of recordings at any number of them, out of what triggers keep (sql/0005_library.sql): totals and
 * facets from the cells, searches in the texts (find.c). A list and its total are always one statement or one batch:
 * one state of the database, one round trip.
 */
#include "store/pg/library.h"

#include "base/clock.h"
#include "model/enums.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS (86400 * INT64_C(1000))

#define TRACKS                                                                                                         \
	"(SELECT track_group, node_id, schedule_id, n FROM rakkr_fcgi.recording_tracks UNION ALL SELECT track_group,"  \
	" node_id, schedule_id, n FROM rakkr_fcgi.recording_changes WHERE track_group IS NOT NULL) t"

/* ---- what cells can tell ----------------------------------------------------------------------------------------- */

static const char *const cell_fields[] = {"folder", "healthStatus",  "nodeId",  "scheduleId",
                                          "status", "source",        "hasFile", "recordingProfileId",
                                          "tags",   "uploadPolicyId"};

static bool in_cells(const char *field)
{
	for (size_t i = 0; i < sizeof(cell_fields) / sizeof(cell_fields[0]); i++)
		if (strcmp(cell_fields[i], field) == 0)
			return true;
	return false;
}

bool filters_in_cells(const struct query *q)
{
	for (size_t i = 0; i < q->filter_count; i++)
		if (!in_cells(q->filters[i].field))
			return false;
	return q->any_count == 0;
}

/* A whole tag, looked for in the labels: they are divided by chr(1). */
static bool is_label(const struct filter *f)
{
	return strcmp(f->field, "tags") == 0 && f->op == Q_HAS_CI && strchr(f->value, '\001') == NULL;
}

/* The words of a cell hold its labels and its folder: an index on them leaves few cells to look at. */
static void put_words(struct sql *s, const char *value, const char **separator)
{
	if (!like_indexable(value))
		return;
	sql_printf(s, "%st.words LIKE ", *separator);
	sql_param(s, like_pattern(s->text.ctx, value), "text");
	*separator = " AND ";
}

void cells_where(struct sql *s, const struct query *q)
{
	struct query others = *q;
	size_t begun = s->text.len;
	const char *separator;

	others.filter_count = 0;
	for (size_t i = 0; i < q->filter_count; i++)
		if (!is_label(&q->filters[i]))
			others.filters[others.filter_count++] = q->filters[i];
	sql_where(s, &model_recordings, &others);
	separator = s->text.len > begun ? " AND " : " WHERE ";
	for (size_t i = 0; i < q->filter_count; i++) {
		const struct filter *f = &q->filters[i];
		const char *label = is_label(f) ? mem_printf(s->text.ctx, "\001%s\001", f->value) : NULL;

		if (label != NULL) {
			sql_printf(s, "%st.labels LIKE ", separator);
			sql_param(s, like_pattern(s->text.ctx, label), "text");
			separator = " AND ";
			put_words(s, label, &separator);
		} else if (f->op == Q_CONTAINS && strcmp(f->field, "folder") == 0) {
			put_words(s, f->value, &separator);
		}
	}
}

static void take_ids(const void *ctx, struct named *n, struct id_set *set)
{
	if (set->all || set->count == 0)
		return;
	n->ids = mem_grow(ctx, n->ids, const char *, n->count + set->count);
	memcpy(n->ids + n->count, set->ids, set->count * sizeof(n->ids[0]));
	n->count += set->count;
	set->count = 0;
}

void named_init(struct named *n, const void *ctx, const struct query *q)
{
	*n = (struct named){.query = *q, .rest = *q};
	n->query.search = n->rest.search = NULL;
	if (q->scope == NULL)
		return;
	n->scope = *q->scope;
	take_ids(ctx, n, &n->scope.allow_recordings);
	take_ids(ctx, n, &n->scope.deny_recordings);
	n->rest.scope = &n->scope;
}

void named_source(struct sql *s, const struct named *n, const struct query *q)
{
	sql_put(s, "(SELECT t.* FROM recordings t WHERE t.id = ANY (");
	sql_param(s, param_array(s->text.ctx, n->ids, n->count), "text[]");
	sql_put(s, ")) t");
	sql_where(s, &model_recordings, q);
}

static void put_named_count(struct sql *s, const struct named *n, const struct query *q,
                            const struct text_needle *needle)
{
	sql_put(s, "(SELECT count(*) FROM ");
	named_source(s, n, q);
	if (needle != NULL) {
		sql_put(s, " AND EXISTS (SELECT FROM rakkr_fcgi.recording_texts x WHERE x.id = t.id AND ");
		sql_text_has(s, "common", needle, false);
		sql_put(s, ")");
	}
	sql_put(s, ")");
}

void named_correction(struct sql *s, const struct named *n, const struct text_needle *needle)
{
	if (n->count == 0)
		return;
	sql_put(s, " + ");
	put_named_count(s, n, &n->query, needle);
	sql_put(s, " - ");
	put_named_count(s, n, &n->rest, needle);
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

static void put_cells_total(struct sql *s, const struct query *q)
{
	struct named n;

	named_init(&n, s->text.ctx, q);
	sql_put(s, "(SELECT coalesce(sum(t.n), 0) FROM " CELLS);
	cells_where(s, &n.rest);
	sql_put(s, ")");
	named_correction(s, &n, NULL);
}

/* Bounds of a query that asks for nothing but a time: [from, before) in ms; false if it asks for more. */
static bool only_time(const struct query *q, int64_t *from, int64_t *before)
{
	*from = INT64_MIN;
	*before = INT64_MAX;
	if (q->filter_count == 0 || q->any_count > 0 || q->scope != NULL)
		return false;
	for (size_t i = 0; i < q->filter_count; i++) {
		const struct filter *f = &q->filters[i];
		int64_t ms;

		if (strcmp(f->field, "recordedAt") != 0 || (f->op != Q_GE && f->op != Q_LE) ||
		    !clock_parse(f->value, CLOCK_LENIENT, &ms))
			return false;
		if (f->op == Q_GE && ms > *from)
			*from = ms;
		if (f->op == Q_LE && ms + 1 < *before)
			*before = ms + 1;
	}
	return true;
}

static void put_between(struct sql *s, int64_t from, int64_t before)
{
	sql_put(s, "(SELECT count(*) FROM recordings t WHERE t.recorded_at >= ");
	sql_param(s, param_time(s->text.ctx, from), "timestamptz");
	sql_put(s, " AND t.recorded_at < ");
	sql_param(s, param_time(s->text.ctx, before), "timestamptz");
	sql_put(s, ")");
}

static int64_t floor_day(int64_t ms)
{
	int64_t rest = ms % DAY_MS;

	return ms - (rest < 0 ? rest + DAY_MS : rest);
}

/* Whole days from the tally of days, what is left at both ends row by row. */
static void put_days_total(struct sql *s, int64_t from, int64_t before)
{
	int64_t first = from == INT64_MIN ? INT64_MIN : floor_day(from - 1) + DAY_MS;
	int64_t end = before == INT64_MAX ? INT64_MAX : floor_day(before);
	const char *separator = " WHERE ";

	if (first != INT64_MIN && end != INT64_MAX && first >= end) {
		put_between(s, from, before > from ? before : from);
		return;
	}
	sql_put(s, "(SELECT coalesce(sum(d.n), 0) FROM (SELECT day, n FROM rakkr_fcgi.recording_days UNION ALL SELECT"
	           " day, n FROM rakkr_fcgi.recording_changes) d");
	if (first != INT64_MIN) {
		sql_printf(s, "%sd.day >= (", separator);
		sql_param(s, param_time(s->text.ctx, first), "timestamptz");
		sql_put(s, " AT TIME ZONE 'UTC')::date");
		separator = " AND ";
	}
	if (end != INT64_MAX) {
		sql_printf(s, "%sd.day < (", separator);
		sql_param(s, param_time(s->text.ctx, end), "timestamptz");
		sql_put(s, " AT TIME ZONE 'UTC')::date");
	}
	sql_put(s, ")");
	if (first != INT64_MIN) {
		sql_put(s, " + ");
		put_between(s, from, first);
	}
	if (end != INT64_MAX) {
		sql_put(s, " + ");
		put_between(s, end, before);
	}
}

/* True if q asks for nothing but one value of a facet. */
static bool one_facet(const struct query *q)
{
	static const char *const fields[] = {"nodeId",  "status",         "healthStatus", "recordingProfileId",
	                                     "hasFile", "uploadPolicyId", "source"};
	const struct filter *f = &q->filters[0];
	const struct model_field *field;
	bool known = false;

	if (q->filter_count != 1 || q->any_count > 0 || q->scope != NULL || f->op != Q_EQ)
		return false;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i], f->field) == 0)
			known = true;
	field = model_field_find(&model_recordings, f->field);
	return known && (field->values == NULL || enum_has(field->values, f->value));
}

static void put_facet_total(struct sql *s, const struct query *q)
{
	const char *value = param_text(s->text.ctx, q->filters[0].value);
	int n = param_add(&s->params, value);

	sql_put(s, "(SELECT coalesce(sum(n), 0) FROM rakkr_fcgi.recording_facets WHERE facet = ");
	sql_param(s, q->filters[0].field, "text");
	sql_printf(s, " AND md5(value) = md5($%d::text) AND value = $%d::text)", n, n);
	sql_put(s, " + (SELECT coalesce(sum(t.n), 0) FROM rakkr_fcgi.recording_changes t");
	cells_where(s, q);
	sql_put(s, ")");
}

/* The number of recordings that q (without a search) matches; false if only the rows can tell. */
static bool put_total(struct sql *s, const struct query *q)
{
	int64_t from, before;

	if (q->filter_count == 0 && q->any_count == 0 && q->scope == NULL)
		sql_put(s, "(SELECT coalesce(sum(n), 0) FROM rakkr_fcgi.tally WHERE name = 'recordings')");
	else if (one_facet(q))
		put_facet_total(s, q);
	else if (filters_in_cells(q))
		put_cells_total(s, q);
	else if (only_time(q, &from, &before))
		put_days_total(s, from, before);
	else
		return false;
	return true;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static status list_and_total(struct pg *p, const void *ctx, const struct query *q, struct sql *total, struct page *out,
                             struct batch *b)
{
	struct sql s;
	size_t list, sum;

	sql_init(&s, ctx);
	sql_put(&s, "SELECT ");
	sql_columns(&s, &model_recordings, NULL);
	sql_put(&s, " FROM recordings t");
	sql_where(&s, &model_recordings, q);
	sql_order(&s, &model_recordings, q);
	sql_limit(&s, q);
	list = batch_add(b, s.text.data, s.params.values, s.params.count);
	sum = batch_add(b, total->text.data, total->params.values, total->params.count);
	TRY(pg_read(p, b));
	out->docs = row_documents(ctx, &model_recordings, b->calls[list].result, 0);
	out->count = json_object_array_length(out->docs);
	out->total = strtoll(batch_cell(b, sum, 0, 0), NULL, 10);
	return ST_OK;
}

bool library_there(const struct pg *p)
{
	return !p->unit && clock_mono_ms() >= p->no_tally_until_ms;
}

bool library_missing(struct pg *p, const struct batch *b, status st)
{
	if (st == ST_OK || (strcmp(b->state, "42P01") != 0 && strcmp(b->state, "3F000") != 0))
		return false;
	p->no_tally_until_ms = clock_mono_ms() + KEPT_AGAIN_MS;
	return true;
}

static bool usable(const struct pg *p, const struct model *m, const struct query *q)
{
	return m == &model_recordings && !q->lock && library_there(p);
}

bool library_list(struct pg *p, const void *ctx, const struct model *m, const struct query *q, struct page *out,
                  status *result)
{
	bool counts = q->want_total && (q->limit >= 0 || q->offset > 0);
	struct batch b;
	struct sql total;

	if (!usable(p, m, q) || (q->search != NULL && strchr(q->search, '\001') != NULL))
		return false; /* the texts are divided by that character */
	batch_init(&b, ctx);
	if (find_list(p, ctx, q, out, &b, result))
		return !library_missing(p, &b, *result);
	sql_init(&total, ctx);
	sql_put(&total, "SELECT ");
	if (!counts || !put_total(&total, q))
		return false;
	*result = list_and_total(p, ctx, q, &total, out, &b);
	return !library_missing(p, &b, *result);
}

/* ---- counts by value --------------------------------------------------------------------------------------------- */

/* Values of facets of all recordings: kept as they are shown. */
static void put_facets(struct sql *s, const char *const *fields, size_t n)
{
	const char *names = param_array(s->text.ctx, fields, n);

	sql_put(s, "SELECT facet, v, sum(n) FROM (SELECT facet, value AS v, n FROM rakkr_fcgi.recording_facets"
	           " WHERE facet = ANY (");
	sql_param(s, names, "text[]");
	sql_put(
	    s,
	    ") UNION ALL SELECT f.facet, f.value, c.n FROM rakkr_fcgi.recording_changes c CROSS JOIN LATERAL"
	    " rakkr_fcgi.facet_values(c.folder, c.node_id, c.status, c.source, c.health_status, c.cache_path, c.tags,"
	    " c.metadata, c.track_group) f WHERE f.facet = ANY (");
	sql_param(s, names, "text[]");
	sql_put(s, ")) x GROUP BY facet, v HAVING sum(n) <> 0");
}

/* "SELECT value AS v, weight AS n FROM ": the values of field f in the rows of a source. */
static void put_values(struct sql *s, const struct model_field *f, const char *weight)
{
	if (f->type == M_TEXTS) {
		sql_printf(s, "SELECT CASE WHEN jsonb_typeof(e) = 'string' THEN e #>> '{}' END AS v, %s AS n FROM ",
		           weight);
		return;
	}
	sql_put(s, "SELECT ");
	sql_field_text(s, f);
	sql_printf(s, " AS v, %s AS n FROM ", weight);
}

static void put_elements(struct sql *s, const struct model_field *f)
{
	if (f->type != M_TEXTS)
		return;
	sql_put(s, " CROSS JOIN LATERAL jsonb_array_elements(");
	sql_field_array(s, f);
	sql_put(s, ") e");
}

/* The same for those that the scope names: +1 by all of it, -1 by the rest of it. */
static void put_named_values(struct sql *s, const struct model_field *f, const struct named *n, const struct query *q,
                             const char *weight)
{
	sql_put(s, " UNION ALL ");
	put_values(s, f, weight);
	sql_put(s, "(SELECT t.* FROM ");
	named_source(s, n, q);
	sql_put(s, ") t");
	put_elements(s, f);
}

static bool is_track(const struct model_field *f)
{
	return strcmp(f->name, "trackGroupId") == 0;
}

/* One facet out of the cells of the CTE c. */
static void put_counted(struct sql *s, const struct model_field *f, const struct named *n)
{
	sql_put(s, "SELECT ");
	sql_param(s, f->name, "text");
	sql_put(s, ", v, sum(n) FROM (");
	if (is_track(f)) {
		sql_put(s, "SELECT t.track_group AS v, t.n AS n FROM " TRACKS);
		sql_where(s, &model_recordings, &n->rest);
	} else {
		put_values(s, f, "t.n");
		sql_put(s, "c t");
		put_elements(s, f);
	}
	if (n->count > 0) {
		put_named_values(s, f, n, &n->query, "1");
		put_named_values(s, f, n, &n->rest, "-1");
	}
	sql_put(s, ") x WHERE v IS NOT NULL GROUP BY v HAVING sum(n) <> 0");
}

/* True if the kept numbers know the values of f under the filters of q. */
static bool counted(const struct query *q, const struct model_field *f)
{
	if (f == NULL || q->search != NULL || !filters_in_cells(q))
		return false;
	if (is_track(f))
		return q->filter_count == 0;
	return strcmp(f->name, "cached") == 0 || (in_cells(f->name) && strcmp(f->name, "hasFile") != 0);
}

static void put_counts(struct sql *s, const struct query *q, const char *const *fields, size_t n)
{
	struct named named;

	if (q->filter_count == 0 && q->scope == NULL) {
		put_facets(s, fields, n);
		return;
	}
	named_init(&named, s->text.ctx, q);
	sql_put(s, "WITH c AS MATERIALIZED (SELECT t.* FROM " CELLS);
	cells_where(s, &named.rest);
	sql_put(s, ") ");
	for (size_t i = 0; i < n; i++) {
		sql_put(s, i > 0 ? " UNION ALL " : "");
		put_counted(s, model_field_find(&model_recordings, fields[i]), &named);
	}
}

/* Distributes rows (field, value, number) to the arrays of their fields. */
static void take_counts(const void *ctx, const struct batch *b, size_t call, const char *const *fields, size_t n,
                        json_object **out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = json_new_array(ctx);
	for (int row = 0; row < batch_rows(b, call); row++) {
		json_object *item = json_object_new_object();
		size_t i = 0;

		while (strcmp(fields[i], batch_cell(b, call, row, 0)) != 0)
			i++;
		json_set_str(item, "value", batch_cell(b, call, row, 1));
		json_set_int(item, "count", strtoll(batch_cell(b, call, row, 2), NULL, 10));
		json_object_array_add(out[i], item);
	}
}

bool library_counts(struct pg *p, const void *ctx, const struct model *m, const struct query *q,
                    const char *const *fields, size_t n, json_object **out, status *result)
{
	struct batch b;
	struct sql s;
	size_t call;

	for (size_t i = 0; i < n; i++)
		if (!usable(p, m, q) || !counted(q, model_field_find(m, fields[i])))
			return false;
	sql_init(&s, ctx);
	put_counts(&s, q, fields, n);
	batch_init(&b, ctx);
	call = batch_add(&b, s.text.data, s.params.values, s.params.count);
	*result = pg_read(p, &b);
	if (library_missing(p, &b, *result))
		return false;
	if (*result == ST_OK)
		take_counts(ctx, &b, call, fields, n, out);
	return true;
}
