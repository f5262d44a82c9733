/* The Postgres store as a backend: what does not fit elsewhere, and the table of its functions. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "store/address.h"

#include <string.h>

static status pg_ping(void *backend, const char **reason)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add_once(&b, "SELECT 1");
	p->deadline_ms = clock_mono_ms() + PG_PING_MS;
	st = pg_run(p, &b);
	p->deadline_ms = 0;
	*reason = st == ST_OK ? NULL : "database_unavailable";
	talloc_free(ctx);
	return st;
}

static void pg_rollback(void *backend)
{
	struct pg *p = backend;

	pg_unit_rollback(p);
	backend_file.rollback(p->inner);
	stale_settle(p);
}

static bool pg_dirty(void *backend)
{
	const struct pg *p = backend;

	return p->unit || p->failed != ST_OK || p->deferred.count > 0 || backend_file.dirty(p->inner);
}

/* Reads whose answers are kept for when the database is away; those of pg_get() are, wherever it is called. */

static status read_list(void *backend, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	struct pg *p = backend;
	status st;

	p->outage.reading = q->lock ? TOPICS_NONE : topics_of_query(m, q);
	st = pg_list(p, ctx, m, q, out);
	p->outage.reading = TOPICS_NONE;
	return st;
}

static status read_count_by(void *backend, const void *ctx, const struct model *m, const struct query *q,
                            const char *field, json_object **out)
{
	struct pg *p = backend;
	status st;

	p->outage.reading = topics_of_query(m, q);
	st = pg_count_by(p, ctx, m, q, field, out);
	p->outage.reading = TOPICS_NONE;
	return st;
}

static status read_expand(void *backend, const void *ctx, const char *type, const char *id, struct targets *t)
{
	struct pg *p = backend;
	status st;

	p->outage.reading = topic_of(&model_nodes) | topic_of(&model_schedules) | topic_of(&model_recordings) |
	                    topic_of(&model_jobs) | topic_of(&model_health_events);
	st = pg_expand(p, ctx, type, id, t);
	p->outage.reading = TOPICS_NONE;
	return st;
}

/* The lock belongs to the connection: a lost one drops p->runner, and the lock must be won again. */
static bool pg_runner_lock(void *backend)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	struct batch b;

	batch_init(&b, ctx);
	batch_add_once(&b, "SELECT 1");
	if (p->runner && (pg_run(p, &b) != ST_OK || !p->runner))
		p->runner = false;
	if (!p->runner) {
		batch_init(&b, ctx);
		batch_add_once(&b, "SELECT pg_try_advisory_lock(hashtextextended('rakkr runner', 0))");
		if (pg_run(p, &b) == ST_OK)
			p->runner = strcmp(batch_cell(&b, 0, 0, 0), "t") == 0;
	}
	talloc_free(ctx);
	return p->runner;
}

const struct backend backend_pg = {
    .name = "postgres",
    .database = true,
    .attach = pg_attach,
    .ping = pg_ping,
    .get = pg_get,
    .hint = pg_hint,
    .list = read_list,
    .count_by = read_count_by,
    .counts = pg_counts,
    .insert = pg_insert,
    .update = pg_update,
    .remove = pg_remove,
    .lock = pg_lock,
    .session_find = pg_session_find,
    .session_create = pg_session_create,
    .session_revoke = pg_session_revoke,
    .sessions_revoke_user = pg_sessions_revoke_user,
    .access_write = pg_access_write,
    .user_create = pg_user_create,
    .policies_replace = pg_policies_replace,
    .expand = read_expand,
    .credential_find = pg_credential_find,
    .node_enroll = pg_node_enroll,
    .node_heartbeat = pg_node_heartbeat,
    .interface_update = pg_interface_update,
    .credential_rotate = pg_credential_rotate,
    .health_sync = pg_health_sync,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .dirty = pg_dirty,
    .audit_maintain = pg_audit_maintain,
    .audit_prune = pg_audit_prune,
    .each = pg_each,
    .runner_lock = pg_runner_lock,
    .metrics = pg_metrics,
    .metrics_recordings = pg_metrics_recordings,
};

static int pg_close(struct pg *p)
{
	if (p->conn != NULL)
		PQfinish(p->conn);
	if (p->attempt.conn != NULL)
		PQfinish(p->attempt.conn);
	spool_close(&p->spool);
	return 0;
}

void *pg_open(const void *ctx, const struct config *c, const char **error)
{
	struct pg *p = mem_new(ctx, struct pg);

	p->config = c;
	p->url = config_str(c, CFG_DATABASE_URL);
	spool_init(&p->spool, p, c);
	talloc_set_destructor(p, pg_close);
	if (!address_valid(p->url)) {
		*error = address_invalid;
		talloc_free(p);
		return NULL;
	}
	p->cache = statement_cache_new(p);
	p->access = access_cache_new(p);
	p->inner = file_open(p, c, error);
	if (p->inner == NULL) {
		*error = *error == NULL ? NULL : mem_strdup(ctx, *error);
		talloc_free(p);
		return NULL;
	}
	return p;
}
