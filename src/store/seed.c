/* Rows that a new installation starts with (contract 07 3.13, 4.2, 4.3; README of the contract). */
#include "base/buf.h"
#include "base/mem.h"
#include "model/model.h"
#include "store/migrate.h"

#include <string.h>

/* The value of f in the document $1 (jsonb, alias d). */
static void put_value(struct buf *sql, const struct model_field *f)
{
	static const char *const casts[] = {[M_TEXT] = "",
	                                    [M_ENUM] = "",
	                                    [M_INT] = "::integer",
	                                    [M_BOOL] = "::boolean",
	                                    [M_TIME] = "::timestamptz",
	                                    [M_UUID] = "::uuid"};
	if (f->type == M_JSON || f->type == M_TEXTS)
		buf_printf(sql, "d->'%s'", f->name);
	else if (f->pg_type != NULL)
		buf_printf(sql, "(d->>'%s')::%s", f->name, f->pg_type);
	else
		buf_printf(sql, "(d->>'%s')%s", f->name, casts[f->type]);
}

/* All members of one jsonb column. */
static void put_members(struct buf *sql, const struct model *m, const char *column)
{
	const char *separator = "";
	buf_puts(sql, "jsonb_strip_nulls(jsonb_build_object(");
	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		if (f->key == NULL || strcmp(f->column, column) != 0)
			continue;
		buf_printf(sql, "%s'%s', d->'%s'", separator, f->key, f->name);
		separator = ", ";
	}
	buf_puts(sql, "))");
}

/* True if an earlier field has the same column. */
static bool seen(const struct model *m, size_t field)
{
	for (size_t i = 0; i < field; i++)
		if (m->fields[i].column != NULL && strcmp(m->fields[i].column, m->fields[field].column) == 0)
			return true;
	return false;
}

/* INSERT of the document $1 with the columns that it has values for. */
static const char *insert_sql(const void *ctx, const struct model *m, json_object *doc)
{
	struct buf columns, values;
	buf_init(&columns, ctx);
	buf_init(&values, ctx);
	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		if (f->column == NULL || (f->key == NULL && !json_has(doc, f->name)) || seen(m, i))
			continue;
		buf_printf(&columns, "%s%s", columns.len > 0 ? ", " : "", f->column);
		if (values.len > 0)
			buf_puts(&values, ", ");
		if (f->key != NULL)
			put_members(&values, m, f->column);
		else
			put_value(&values, f);
	}
	return mem_printf(ctx,
	                  "INSERT INTO public.%s (%s) SELECT %s FROM (SELECT $1::jsonb AS d) AS s "
	                  "ON CONFLICT DO NOTHING",
	                  m->table, columns.data, values.data);
}

/* Runs sql with one parameter (or none); -1 after a line on out, else the rows that it changed or gave. */
static int run(PGconn *db, const char *sql, const char *value, FILE *out)
{
	PGresult *r = PQexecParams(db, sql, value != NULL, NULL, &value, NULL, NULL, 0);
	ExecStatusType kind = PQresultStatus(r);
	int n = kind == PGRES_TUPLES_OK ? PQntuples(r) : 0;
	if (kind != PGRES_TUPLES_OK && kind != PGRES_COMMAND_OK) {
		fprintf(out, "first rows: %s", PQresultErrorMessage(r));
		n = -1;
	}
	PQclear(r);
	return n;
}

static bool seed_model(PGconn *db, const void *ctx, const struct model *m, bool demo, FILE *out)
{
	int rows = run(db, mem_printf(ctx, "SELECT FROM public.%s LIMIT 1", m->table), NULL, out);
	if (rows != 0)
		return rows > 0;
	json_object *docs = json_new_array(ctx);
	m->seed(docs, demo);
	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *doc = json_object_array_get_idx(docs, i);
		if (run(db, insert_sql(ctx, m, doc), json_compact(ctx, doc, NULL), out) < 0)
			return false;
	}
	return true;
}

/* Demo rows are offered once: whoever deletes them does not get them back at the next start (07 Trap 26). */
static bool seed_demo(PGconn *db, const void *ctx, FILE *out)
{
	int done = run(db, "SELECT FROM rakkr_fcgi.seeded WHERE name = $1", "demo", out);
	if (done != 0)
		return done > 0;
	return seed_model(db, ctx, &model_schedules, true, out) && seed_model(db, ctx, &model_recordings, true, out) &&
	       run(db, "INSERT INTO rakkr_fcgi.seeded (name) VALUES ($1)", "demo", out) == 0;
}

int migrate_seed(PGconn *db, bool demo, FILE *out)
{
	void *mem = talloc_new(NULL);
	bool good = run(db, "BEGIN", NULL, out) == 0 && seed_model(db, mem, &model_profiles, false, out) &&
	            seed_model(db, mem, &model_watchdog_policies, false, out) && (!demo || seed_demo(db, mem, out)) &&
	            run(db, "COMMIT", NULL, out) == 0;
	if (!good)
		PQclear(PQexec(db, "ROLLBACK"));
	talloc_free(mem);
	return good ? MIGRATE_OK : MIGRATE_FAILED;
}
