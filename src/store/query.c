#include "store/query.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

void query_init(struct query *q)
{
	memset(q, 0, sizeof(*q));
	q->limit = -1;
}

static struct filter *next_filter(struct query *q)
{
	if (q->filter_count == QUERY_MAX_FILTERS) { /* a programming error: queries are built from constant tables */
		log_error("query has more than %d filters", QUERY_MAX_FILTERS);
		abort();
	}
	return &q->filters[q->filter_count++];
}

void query_where(struct query *q, const char *field, enum query_op op, const char *value)
{
	if (value == NULL && op != Q_ABSENT && op != Q_PRESENT)
		return;
	*next_filter(q) = (struct filter){.field = field, .op = op, .value = value};
}

void query_where_in(struct query *q, const char *field, const char *const *values, size_t count)
{
	*next_filter(q) = (struct filter){.field = field, .op = Q_IN, .values = values, .value_count = count};
}

void query_where_not_in(struct query *q, const char *field, const char *const *values, size_t count)
{
	*next_filter(q) = (struct filter){.field = field, .op = Q_NOT_IN, .values = values, .value_count = count};
}

void query_sort(struct query *q, const char *field, bool desc)
{
	if (q->sort_count == sizeof(q->sort) / sizeof(q->sort[0]))
		abort();
	q->sort[q->sort_count].field = field;
	q->sort[q->sort_count++].desc = desc;
}
