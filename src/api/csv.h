/*
 * CSV exports (contract 01 15.7, 02 7.6, 03 3.4, 04 4.2, 06 3.3): cells joined by commas, rows by LF, no newline at the
 * end, no byte order mark. A cell that a spreadsheet would take for a formula gets one ' in front (09 D-76).
 */
#ifndef RAKKR_API_CSV_H
#define RAKKR_API_CSV_H

#include "api/request.h"

enum csv_quoting {
	CSV_QUOTE_NEEDED, /* only cells that hold " , CR or LF */
	CSV_QUOTE_ALWAYS, /* every cell, header too */
};

struct csv {
	struct buf *out;
	enum csv_quoting quoting;
	bool row_empty;
};

/* Starts a document at the end of out. */
void csv_init(struct csv *c, struct buf *out, enum csv_quoting quoting);

/* Starts the next row. */
void csv_row(struct csv *c);

/* One cell of the current row; NULL is an empty cell. */
void csv_cell(struct csv *c, const char *text);

/* The same for a number and for true / false. */
void csv_int(struct csv *c, int64_t value);
void csv_bool(struct csv *c, bool value);

/* A member of doc: strings as they are, absent and null empty, everything else as compact JSON. */
void csv_member(struct csv *c, const void *ctx, json_object *doc, const char *key);

/* An array of strings as one cell, joined by separator; NULL is empty. */
void csv_joined(struct csv *c, const void *ctx, json_object *array, const char *separator);

/* A row of the given cells: the header line. */
void csv_header(struct csv *c, const char *const *names, size_t count);

/*
 * 200 with the document as attachment called file_name (no quotes or control characters in it). no_store adds
 * Cache-Control: no-store. The body is not copied: it must live in r->mem.
 */
status csv_reply(struct request *r, const char *file_name, const struct buf *document, bool no_store);

/* "<stem>-<now>.csv", every ':' of the ISO time replaced by '-', and the '.' too if dot_too; owned by r->mem. */
const char *csv_file_name(struct request *r, const char *stem, bool dot_too);

#endif
