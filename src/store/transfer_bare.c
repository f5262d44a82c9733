/* Rows of tables without documents, out of the lines that an export wrote beside the files. */
#include "store/transfer_import.h"

#include "base/mem.h"

struct bare_import {
	struct import *im;
	const struct bare_table *table;
	struct transfer_count *n;
};

static status put_row(void *state, json_object *row)
{
	const struct bare_import *bare = state;
	const struct bare_table *t = bare->table;
	void *ctx = talloc_new(NULL);
	const char *values[] = {param_json(ctx, row)};
	struct batch b;
	size_t put, there;
	status st;

	batch_init(&b, ctx);
	put = batch_add(&b, t->put, values, 1);
	there = batch_add(&b,
	                  mem_printf(ctx,
	                             "SELECT to_jsonb(t) = $1::jsonb FROM %s t WHERE (%s) ="
	                             " (SELECT %s FROM jsonb_populate_record(NULL::%s, $1::jsonb))",
	                             t->name, t->key, t->key, t->name),
	                  values, 1);
	b.begin = b.commit = true;
	st = pg_run(bare->im->to, &b);
	if (st == ST_OK) {
		bool found = batch_rows(&b, there) > 0, same = found && *batch_cell(&b, there, 0, 0) == 't';

		bare->n->source += found || !t->part;
		bare->n->target += found;
		bare->n->added += batch_affected(&b, put);
		bare->n->different += found && !same;
		if (found && !same)
			transfer_complain(bare->im->t, t->name, values[0],
			                  "is there with other contents; left as it is");
	}
	talloc_free(ctx);
	return st;
}

static status note_role(void *state, json_object *row)
{
	if (json_str(row, "id") != NULL)
		json_set_bool(state, json_str(row, "id"), true);
	return ST_OK;
}

bool import_bare(struct import *im, bool before)
{
	for (const struct bare_table *t = bare_tables; t->name != NULL; t++) {
		struct bare_import bare = {.im = im, .table = t};
		status st;

		if (t->first != before || im->rest->in == NULL)
			continue;
		bare.n = transfer_store(im->t, t->name);
		st = rest_rows(im->rest, t->name, put_row, &bare);
		if (st != ST_OK)
			return transfer_fail(im->t, t->name, status_name(st));
	}
	return true;
}

bool import_rest(struct import *im, const void *ctx)
{
	im->rest = rest_open(ctx, mem_printf(ctx, "%s/%s", im->from->folder, TRANSFER_BOOKKEEPING));
	im->roles = json_new_object(ctx);
	return rest_rows(im->rest, "roles", note_role, im->roles) == ST_OK;
}
