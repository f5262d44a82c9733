/* A query over one model, evaluated in SQL or over the loaded collection with the same meaning. */
#ifndef RAKKR_STORE_QUERY_H
#define RAKKR_STORE_QUERY_H

#include "model/model.h"

enum query_op {
	Q_EQ,
	Q_NE,
	Q_IN, /* value is one of values */
	Q_NOT_IN,
	Q_LT,
	Q_LE,
	Q_GT,
	Q_GE,
	Q_CONTAINS, /* case-insensitive substring; % _ \ are literal (D-102) */
	Q_HAS_CI,   /* M_TEXTS holds an element equal without case */
	Q_ABSENT,   /* null */
	Q_PRESENT,
};

/* Values are text in the document's form: ISO times, decimal numbers, "true"/"false". */
struct filter {
	const char *field;
	enum query_op op;
	const char *value;
	const char *const *values; /* Q_IN, Q_NOT_IN */
	size_t value_count;
};

/* Substring search over the alternatives of one parameter (audit "actor": id or name). */
struct any_contains {
	const char *fields[4];
	size_t count;
	const char *value;
};

#define QUERY_MAX_FILTERS 24

/*
 * Which recordings (or jobs by their recording) a scoped user may see, reduced to sets (contract 01 11, 03 3.0.2):
 * a row is visible if no deny set matches and (allow_all or some allow set matches).
 */
struct id_set {
	bool all; /* every id, present ones only */
	const char **ids;
	size_t count;
};
struct row_scope {
	bool allow_all;
	bool deny_all;
	struct id_set allow_recordings, allow_schedules, allow_nodes;
	struct id_set deny_recordings, deny_schedules, deny_nodes;
};

struct query {
	struct filter filters[QUERY_MAX_FILTERS];
	size_t filter_count;
	struct any_contains any[2];
	size_t any_count;
	const char *search; /* substring of any M_SEARCH field (arrays: of any element) */
	struct {
		const char *field;
		bool desc;
	} sort[3]; /* sort_count 0 = the model's order; text by root collation */
	size_t sort_count;
	int64_t limit; /* -1 = all */
	int64_t offset;
	bool want_total;               /* page.total = matching rows before limit and offset */
	bool lock;                     /* lock the returned rows until the end of the unit of work */
	bool skip_locked;              /* with lock or in an update: rows locked by others are skipped */
	const struct row_scope *scope; /* NULL = no restriction; models recordings and jobs only */
};

struct page {
	json_object *docs; /* array, owned by the call's ctx */
	size_t count;
	int64_t total; /* -1 unless want_total */
};

/* Starts a query: everything, model order, no limit. */
void query_init(struct query *q);
/* Adds a filter; nothing happens when value is NULL. */
void query_where(struct query *q, const char *field, enum query_op op, const char *value);
void query_where_in(struct query *q, const char *field, const char *const *values, size_t count);
void query_where_not_in(struct query *q, const char *field, const char *const *values, size_t count);
void query_sort(struct query *q, const char *field, bool desc);

#endif
