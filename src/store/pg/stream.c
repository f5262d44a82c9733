/* Reading without an end, and removing what is old: memory and transactions stay small however large a table is. */
#include "store/pg/pg.h"

#include "base/clock.h"

#include <stdlib.h>

#define FETCH "500"

/* ---- one state of the database, read piece by piece -------------------------------------------------------------- */

status pg_snapshot(struct pg *p)
{
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;

	hint_drop(p);
	batch_init(&b, ctx);
	batch_add_once(&b, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
	/* whoever reads what is made of it may be slow; nobody waits for its locks */
	batch_add_once(&b, "SET LOCAL idle_in_transaction_session_timeout TO 0");
	b.begin = true;
	st = pg_run(p, &b);
	talloc_free(ctx);
	return st;
}

struct reading {
	struct pg *p;
	const struct model *model;
	const char *more; /* columns behind those of the document, or NULL */
	row_fn row;       /* NULL: each */
	document_fn each;
	void *state;
};

static status declare(const struct reading *r, void *ctx, const struct query *q)
{
	const struct model *m = r->model;
	struct pg *p = r->p;
	struct batch b;
	struct sql s;

	sql_init(&s, ctx);
	s.texts = clock_mono_ms() >= p->no_tally_until_ms;
	sql_put(&s, "DECLARE each NO SCROLL CURSOR FOR SELECT ");
	sql_columns(&s, m, NULL);
	if (r->more != NULL)
		sql_printf(&s, ", %s", r->more);
	sql_printf(&s, " FROM %s t", m->table);
	sql_where(&s, m, q);
	sql_order(&s, m, q);
	if (m != &model_audit_events)
		sql_limit(&s, q);
	batch_init(&b, ctx);
	batch_add(&b, s.text.data, s.params.values, s.params.count);
	return pg_run(p, &b);
}

static bool give(const struct reading *r, const PGresult *rows, int row)
{
	void *ctx = talloc_new(NULL);
	json_object *doc = row_document(ctx, r->model, rows, row, 0);
	int first = sql_column_count(r->model), count = PQnfields(rows);
	const char **more = mem_array(ctx, const char *, (size_t)(count - first) + 1);
	bool wanted;

	for (int i = first; i < count; i++)
		more[i - first] = PQgetisnull(rows, row, i) ? NULL : PQgetvalue(rows, row, i);
	wanted = r->row != NULL ? r->row(r->state, doc, more) : r->each(r->state, doc);
	talloc_free(ctx);
	return wanted;
}

/* The next rows; *more is false after the last, or when the reader has had enough. */
static status fetch(const struct reading *r, bool *more)
{
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;
	int rows;

	batch_init(&b, ctx);
	batch_add_once(&b, "FETCH " FETCH " FROM each");
	st = pg_run(r->p, &b);
	rows = st == ST_OK ? batch_rows(&b, 0) : 0;
	*more = rows == atoi(FETCH);
	for (int i = 0; i < rows; i++)
		if (!give(r, b.calls[0].result, i)) {
			*more = false;
			break;
		}
	talloc_free(ctx);
	return st;
}

static status read_rows(const struct reading *r, void *ctx, const struct query *q)
{
	bool more = true;
	struct batch b;

	TRY(declare(r, ctx, q));
	while (more)
		TRY(fetch(r, &more));
	batch_init(&b, ctx);
	batch_add_once(&b, "CLOSE each");
	return pg_run(r->p, &b);
}

static status read_all(const struct reading *r, const struct query *q)
{
	bool own = !r->p->unit;
	void *ctx;
	status st;

	TRY(query_check(r->model, q));
	if (own)
		TRY(pg_snapshot(r->p));
	ctx = talloc_new(NULL);
	st = read_rows(r, ctx, q);
	talloc_free(ctx);
	if (own)
		pg_unit_rollback(r->p);
	return st;
}

status pg_each(void *backend, const struct model *m, const struct query *q, document_fn each, void *state)
{
	struct pg *p = backend;
	const struct reading r = {.p = p, .model = m, .each = each, .state = state};

	return m->table == NULL ? backend_file.each(p->inner, m, q, each, state) : read_all(&r, q);
}

status pg_each_row(struct pg *p, const struct model *m, const struct query *q, const char *columns, row_fn each,
                   void *state)
{
	const struct reading r = {.p = p, .model = m, .more = columns, .row = each, .state = state};

	return read_all(&r, q);
}

/* ---- old audit events -------------------------------------------------------------------------------------------- */

status pg_audit_prune(void *backend, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	const char *values[] = {param_time(ctx, before_ms), mem_printf(ctx, "%lld", (long long)limit)};
	struct batch b;
	status st;

	*removed = 0;
	batch_init(&b, ctx);
	batch_add(&b,
	          "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events"
	          " WHERE created_at < $1::timestamptz ORDER BY created_at LIMIT $2::bigint)",
	          values, 2);
	b.changes = topic_of(&model_audit_events);
	st = pg_write(p, &b);
	if (st == ST_OK)
		*removed = batch_affected(&b, 0);
	if (st == ST_OK && *removed > 0)
		st = pg_commit(p, events, true);
	else
		pg_unit_rollback(p);
	if (st != ST_OK)
		*removed = 0;
	talloc_free(ctx);
	return st;
}
