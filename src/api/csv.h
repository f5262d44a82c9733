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
	bool begun; /* rows were written that are not in out any more */
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

/* Empties out, whose contents have been sent; the document goes on. */
void csv_sent(struct csv *c);

/*
 * 200 with a document as attachment whose rows are made while it is sent, so that it may be of any length (09 D-78).
 * rows is called once, when everything of the request is committed, and writes all rows behind the header to csv, with
 * csv_stream_row() after each; its status other than ST_OK breaks the answer off.
 */
struct csv_stream {
	struct csv csv;
	struct buf out;
	struct request *r;
	bool (*put)(struct request *r, const char *data, size_t n);
	status (*rows)(struct csv_stream *s, void *state);
	void *state; /* owned by r->mem */
	bool gone;   /* nobody listens any more */
};
status csv_stream_reply(struct request *r, const char *file_name, bool no_store, enum csv_quoting quoting,
                        const char *const *names, size_t count, status (*rows)(struct csv_stream *s, void *state),
                        void *state);
/* Sends what has gathered, now and then; false when the client is gone. */
bool csv_stream_row(struct csv_stream *s);

/*
 * 200 with the document as attachment called file_name (no quotes or control characters in it). no_store adds
 * Cache-Control: no-store. The body is not copied: it must live in r->mem.
 */
status csv_reply(struct request *r, const char *file_name, const struct buf *document, bool no_store);

/* "<stem>-<now>.csv", every ':' of the ISO time replaced by '-', and the '.' too if dot_too; owned by r->mem. */
const char *csv_file_name(struct request *r, const char *stem, bool dot_too);

#endif
