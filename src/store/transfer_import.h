/* Flat files into Postgres, inside: what its files have in common. */
#ifndef RAKKR_STORE_TRANSFER_IMPORT_H
#define RAKKR_STORE_TRANSFER_IMPORT_H

#include "store/file/installation.h"
#include "store/transfer.h"
#include "store/transfer_rest.h"

struct import {
	struct transfer *t;
	struct file_store *from;
	struct pg *to;
	struct rest_file *rest; /* what an export wrote beside the files */
	json_object *roles;     /* names of roles that it carries */
};

/* ---- transfer_document.c ----------------------------------------------------------------------------------------- */

/* A text of document o as the UUID that always stands for it, if it is none. */
void import_adapt_id(json_object *o, const char *key);

/*
 * The document of e made fit for the database, owned by ctx. newest_ms and place, of e in its file, order documents
 * that say no time. *line: what the export wrote about it, or NULL.
 */
json_object *import_adapted(const struct import *im, const void *ctx, const struct collection *c,
                            const struct element *e, int64_t newest_ms, size_t place, json_object **line);

/* Inserts it with all rows that belong to it. */
status import_insert(struct pg *p, const void *ctx, const struct model *m, json_object *doc, json_object *line);

/* ---- transfer_bare.c --------------------------------------------------------------------------------------------- */

/* Opens what an export wrote beside the files. */
bool import_rest(struct import *im, const void *ctx);

/* Rows of tables without documents: those that documents refer to (before), or the others. */
bool import_bare(struct import *im, bool before);

#endif
