/*
 * What triggers keep of recordings (sql/0005_library.sql), inside: cells as a source of conditions, and lists whose
 * rows are found first. See library.c.
 */
#ifndef RAKKR_STORE_PG_LIBRARY_H
#define RAKKR_STORE_PG_LIBRARY_H

#include "store/pg/pg.h"

#define KEPT_AGAIN_MS 60000 /* how long what is missing is taken for missing */

/* Recordings by cell, alias t, under the names that conditions use. */
#define CELL_COLUMNS                                                                                                   \
	"key, folder, tags, status, source, health_status, node_id, schedule_id, cache_path, metadata, words, "        \
	"labels, n,"                                                                                                   \
	" newest"
#define CELLS                                                                                                          \
	"(SELECT " CELL_COLUMNS " FROM rakkr_fcgi.recording_cells UNION ALL SELECT " CELL_COLUMNS                      \
	" FROM rakkr_fcgi.recording_changes) t"

/* True if cells know everything that the filters of q ask for. */
bool filters_in_cells(const struct query *q);

/* " WHERE ..." of q (without a search) over CELLS. */
void cells_where(struct sql *s, const struct query *q);

/*
 * A scope may name recordings, which cells do not know: they are counted by the rest of it, and the few recordings that
 * it names are put right one by one.
 */
struct named {
	struct query query; /* as asked, without the search */
	struct query rest;  /* the same without the recordings that its scope names */
	struct row_scope scope;
	const char **ids; /* those */
	size_t count;
};
void named_init(struct named *n, const void *ctx, const struct query *q);

/* "(SELECT * of those named) t WHERE ..." as q (the query or the rest of n) sees them. */
void named_source(struct sql *s, const struct named *n, const struct query *q);

/* " + those that only the whole query matches - those that only the rest matches"; needle: of a search, or NULL. */
void named_correction(struct sql *s, const struct named *n, const struct text_needle *needle);

/* True if q is such a list; then it answers it. */
bool find_list(struct pg *p, const void *ctx, const struct query *q, struct page *out, struct batch *b, status *result);

/* "..., hits AS (id, k0, k1 of the hits that the page of q is among)", behind WITH; the total is in s. See short.c. */
void short_search(struct sql *s, const struct text_needle *n, const struct query *q);

#endif
