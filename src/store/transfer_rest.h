/*
 * What a row of the database says and its document in a flat file does not: members of jsonb columns that no field
 * names, values that were mended on reading, microseconds, columns and tables without a field. An export writes it
 * beside the files (TRANSFER_BOOKKEEPING, JSON lines), an import puts it back as far as the files still say the same.
 *
 * Lines: {"store","id","members":{bookkeeping members of the document},"columns":{column: value of to_jsonb},
 * "was":{field: value that the document had},"rows":{table: rows}} and, for tables without documents,
 * {"table","row"}.
 */
#ifndef RAKKR_STORE_TRANSFER_REST_H
#define RAKKR_STORE_TRANSFER_REST_H

#include "store/pg/pg.h"

#include <stdio.h>

/* A table without documents. */
struct bare_table {
	const char *name;
	const char *key;   /* columns of its primary key */
	const char *where; /* rows that belong to no document, or NULL: all */
	const char *put;   /* puts row $1 (jsonb) back where it is missing */
	bool first;        /* documents refer to it */
	bool part;         /* only completes rows that documents brought; others are none of them any more */
};
extern const struct bare_table bare_tables[]; /* ends with a name NULL */

/* ---- export ------------------------------------------------------------------------------------------------------ */

/* Further columns for pg_each_row() of m. */
const char *rest_columns(const void *ctx, const struct model *m);

/* Puts "columns", "was" and "rows" into line; more: the cells of rest_columns(). Nothing when doc says everything. */
void rest_note(json_object *line, const struct model *m, json_object *doc, const char *const *more);

/* The members that an import could not place, owned by ctx, or NULL. */
json_object *rest_unplaced(const void *ctx, const char *const *more);

/* ---- import ------------------------------------------------------------------------------------------------------ */

/* The lines of a file, found by store and id without being in memory. */
struct rest_file {
	FILE *in; /* NULL: there is none */
	struct rest_place *places;
	size_t count;
};

struct rest_file *rest_open(const void *ctx, const char *path);

/* The line of a document, owned by ctx; NULL if it has none. */
json_object *rest_find(struct rest_file *f, const void *ctx, const char *store, const char *id);

/* Gives every row of a table without documents to each, until it fails. */
status rest_rows(struct rest_file *f, const char *table, status (*each)(void *state, json_object *row), void *state);

/* The rows of table that line carries, if the document still has field as it was when they were written; else NULL. */
json_object *rest_child_rows(json_object *line, const struct model *m, json_object *doc, const char *field,
                             const char *table);

/* Gives the columns of the row of doc, just inserted, back what line says. */
status rest_apply(struct pg *p, const void *ctx, const struct model *m, json_object *doc, json_object *line);

/* Keeps the members of doc that have no column. */
status rest_keep_unplaced(struct pg *p, const void *ctx, const struct model *m, json_object *doc);

#endif
