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
	b.begin = true;
	st = pg_run(p, &b);
	talloc_free(ctx);
	return st;
}

static status declare(struct pg *p, void *ctx, const struct model *m, const struct query *q)
{
	struct batch b;
	struct sql s;

	sql_init(&s, ctx);
	s.texts = clock_mono_ms() >= p->no_tally_until_ms;
	sql_put(&s, "DECLARE each NO SCROLL CURSOR FOR SELECT ");
	sql_columns(&s, m, NULL);
	sql_printf(&s, " FROM %s t", m->table);
	sql_where(&s, m, q);
	sql_order(&s, m, q);
	if (m != &model_audit_events)
		sql_limit(&s, q);
	batch_init(&b, ctx);
	batch_add(&b, s.text.data, s.params.values, s.params.count);
	return pg_run(p, &b);
}

/* The next rows; *more is false after the last, or when each has had enough. */
static status fetch(struct pg *p, const struct model *m, document_fn each, void *state, bool *more)
{
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;
	int rows;

	batch_init(&b, ctx);
	batch_add_once(&b, "FETCH " FETCH " FROM each");
	st = pg_run(p, &b);
	rows = st == ST_OK ? batch_rows(&b, 0) : 0;
	*more = rows == atoi(FETCH);
	for (int i = 0; i < rows; i++) {
		void *row = talloc_new(NULL);
		bool wanted = each(state, row_document(row, m, b.calls[0].result, i, 0));

		talloc_free(row);
		if (!wanted) {
			*more = false;
			break;
		}
	}
	talloc_free(ctx);
	return st;
}

static status read_all(struct pg *p, void *ctx, const struct model *m, const struct query *q, document_fn each,
                       void *state)
{
	bool more = true;
	struct batch b;

	TRY(declare(p, ctx, m, q));
	while (more)
		TRY(fetch(p, m, each, state, &more));
	batch_init(&b, ctx);
	batch_add_once(&b, "CLOSE each");
	return pg_run(p, &b);
}

status pg_each(void *backend, const struct model *m, const struct query *q, document_fn each, void *state)
{
	struct pg *p = backend;
	bool own = !p->unit;
	void *ctx;
	status st;

	if (m->table == NULL)
		return backend_file.each(p->inner, m, q, each, state);
	TRY(query_check(m, q));
	if (own)
		TRY(pg_snapshot(p));
	ctx = talloc_new(NULL);
	st = read_all(p, ctx, m, q, each, state);
	talloc_free(ctx);
	if (own)
		pg_unit_rollback(p);
	return st;
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
