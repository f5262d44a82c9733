#include "access/user_row.h"

status user_row_lock(const void *ctx, struct store *s, const char *id, json_object **row)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	q.lock = true;
	TRY(store_list(s, ctx, &model_users, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	/* Groups and grants in the answer of a query that had to wait are those from before it waited. */
	return store_get(s, ctx, &model_users, id, row);
}
