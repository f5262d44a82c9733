/* Which recordings a scoped user may see, as a condition on id, schedule_id and node_id (query.h, contract 01 11). */
#include "store/pg/pg.h"

/* Set "all" means every recording that has such a parent at all; an id of a parent that is gone is not one. */
static void put_set(struct sql *s, const struct id_set *set, const char *alias, const char *column, const char *table,
                    const char **separator)
{
	if (!set->all && set->count == 0)
		return;
	sql_put(s, *separator);
	*separator = " OR ";
	if (!set->all) {
		sql_printf(s, "%s.%s = ANY (", alias, column);
		sql_param(s, param_array(s->text.ctx, set->ids, set->count), "text[]");
		sql_put(s, ")");
	} else if (table == NULL) {
		sql_put(s, "true");
	} else {
		sql_printf(s, "EXISTS (SELECT 1 FROM %s p WHERE p.id = %s.%s)", table, alias, column);
	}
}

static void put_sets(struct sql *s, const struct id_set *recordings, const struct id_set *schedules,
                     const struct id_set *nodes, const char *alias)
{
	const char *separator = "";

	put_set(s, recordings, alias, "id", NULL, &separator);
	put_set(s, schedules, alias, "schedule_id", "schedules", &separator);
	put_set(s, nodes, alias, "node_id", "nodes", &separator);
	if (*separator == '\0')
		sql_put(s, "false");
}

void sql_row_scope(struct sql *s, const struct row_scope *scope, const char *alias)
{
	if (scope->deny_all) {
		sql_put(s, "false");
		return;
	}
	sql_put(s, "(");
	put_sets(s, &scope->deny_recordings, &scope->deny_schedules, &scope->deny_nodes, alias);
	sql_put(s, ") IS NOT TRUE AND (");
	if (scope->allow_all)
		sql_put(s, "true");
	else
		put_sets(s, &scope->allow_recordings, &scope->allow_schedules, &scope->allow_nodes, alias);
	sql_put(s, ")");
}
