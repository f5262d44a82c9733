/*
 * A whole installation moved between flat files and Postgres (contract 07): `rakkr-fcgi import` and `export`.
 *
 * Documents that are there already are compared, never overwritten, so that an interrupted run is just repeated. Only
 * rows that are still the built-in ones give way. Both end with a table of counts, one line a store.
 *
 * Nothing is lost on the way: what one side has no place for is kept beside its documents (transfer_rest.h). Ids of
 * other forms than the database has become UUIDs, always the same ones.
 */
#ifndef RAKKR_STORE_TRANSFER_H
#define RAKKR_STORE_TRANSFER_H

#include "base/config.h"
#include "model/model.h"

#include <stdio.h>

/* One line of the table. */
struct transfer_count {
	const char *store;
	int64_t source;    /* documents to be moved */
	int64_t expected;  /* the same, as far as it is known before; 0 = source. For lines of progress */
	int64_t target;    /* those of them that are at the other side afterwards, counted there */
	int64_t added;     /* in this run */
	int64_t different; /* there before, with other contents; left alone */
	int64_t refused;   /* cannot be kept at the other side */
	int64_t left;      /* elements of the file that no controller accepts; they stay where they are */
	bool in_place;     /* both sides are one file */
};

struct transfer {
	FILE *out; /* progress and problems */
	struct transfer_count counts[32];
	size_t count;
	int64_t shown_ms;  /* monotonic; of the last line of progress */
	size_t complaints; /* lines about single documents */
	bool failed;       /* it could not be finished */
};

/*
 * Moves the installation of folder dir into the database of c (DATABASE_URL), whose schema is brought up to date.
 * Only files under their usual names count. False: not everything is there; t->out says what.
 */
bool transfer_import(struct transfer *t, const struct config *c, const char *dir);

/* Writes the database of c as an installation of flat files into folder dir, which is empty or of an earlier run. */
bool transfer_export(struct transfer *t, const struct config *c, const char *dir);

/* ---- shared by both ---------------------------------------------------------------------------------------------- */

/* File of an export that holds what the rows have and the files have not (transfer_rest.h): JSON lines. */
#define TRANSFER_BOOKKEEPING "bookkeeping.jsonl"

struct transfer_count *transfer_store(struct transfer *t, const char *store);
/* Shows how far a store is, now and then. */
void transfer_progress(struct transfer *t, const struct transfer_count *n, int64_t done);
/* One line about a document, the first hundred of them. */
void transfer_complain(struct transfer *t, const char *store, const char *id, const char *what);
/* False, after a line on t->out. */
bool transfer_fail(struct transfer *t, const char *what, const char *why);
/* True if every store is complete: all there, none different, none refused. */
bool transfer_complete(const struct transfer *t);
void transfer_write_table(const struct transfer *t, FILE *out);

/* A text as the UUID that always stands for it: the one it ends with ("health_<uuid>"), or one made from it. */
void transfer_uuid(char out[37], const char *text);

/*
 * True if both documents of m say the same. Members that one of them lacks and that have a default, or are bookkeeping,
 * do not count; roles, groups and grants are sets.
 */
bool transfer_same_value(const struct model *m, const struct model_field *f, json_object *a, json_object *b);
bool transfer_same(const struct model *m, json_object *a, json_object *b);

#endif
