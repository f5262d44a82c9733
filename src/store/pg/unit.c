/* The unit of work: what opens a transaction, what happens when a statement in it fails, documents announced ahead. */
#include "store/pg/pg.h"

#include "base/log.h"

#include <string.h>

#define RACES_MOST 3 /* D-66: a transaction that lost a race is tried again this often */

/* Sends ROLLBACK; a connection that does not take it is given up. */
static void send_rollback(struct pg *p)
{
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add_once(&b, "ROLLBACK");
	if (p->conn != NULL && batch_exchange(p, &b, &st) != EXCHANGE_OK)
		connection_drop(p);
	talloc_free(ctx);
}

/*
 * One batch, with what may be repeated repeated: nothing of it has taken effect when the connection is lost or the
 * race is lost, because it is one transaction that was not committed; the INSERTs of audit events, which commit by
 * themselves, are harmless twice. In an open unit of work nothing is repeated: the earlier writes are gone.
 */
status pg_run(struct pg *p, struct batch *b)
{
	bool inside = p->unit;

	if (p->failed != ST_OK)
		return p->failed;
	for (int lost = 0, races = 0;;) {
		enum exchange outcome;
		status st;

		TRY(connection_open(p));
		outcome = batch_exchange(p, b, &st);
		if (outcome == EXCHANGE_OK) {
			connection_good(p);
			p->unit = (inside || b->begin) && !b->commit;
			return ST_OK;
		}
		if (outcome == EXCHANGE_LOST) {
			connection_drop(p);
			if (p->timed_out)
				connection_rest(p);
			if (inside || p->timed_out || lost++ > 0)
				return ST_UNAVAILABLE;
			continue;
		}
		if (inside) {
			p->failed = st;
			return st;
		}
		if (b->begin && !b->commit)
			send_rollback(p);
		if (outcome != EXCHANGE_AGAIN || races++ == RACES_MOST)
			return st;
	}
}

void deferred_drop(struct pg *p)
{
	talloc_free(p->deferred_ctx);
	p->deferred_ctx = NULL;
	p->deferred = (struct batch){0};
}

/* What was put off comes first when there is more to write than that. */
static status deferred_flush(struct pg *p)
{
	struct batch b = p->deferred;
	status st;

	if (b.count == 0)
		return ST_OK;
	b.begin = !p->unit;
	st = pg_run(p, &b);
	deferred_drop(p);
	return st;
}

status pg_write(struct pg *p, struct batch *b)
{
	status st;

	hint_drop(p);
	if (!stale_may_write(p))
		return ST_UNAVAILABLE;
	TRY(deferred_flush(p));
	b->begin = !p->unit;
	if (!p->unit)
		outside_mark(p);
	p->outage.wrote = true;
	st = pg_run(p, b);
	stale_changed(p, b->changes);
	return st;
}

void pg_touch(struct pg *p, const void *ctx, const char *sql, const char *const *values, int count)
{
	struct batch b;

	if (p->unit)
		return;
	batch_init(&b, ctx);
	batch_add_optional(&b, sql, values, count);
	if (pg_run(p, &b) != ST_OK)
		log_debug("database: last use not noted");
}

void pg_unit_rollback(struct pg *p)
{
	hint_drop(p);
	deferred_drop(p);
	if (p->unit)
		send_rollback(p);
	p->unit = false;
	p->failed = ST_OK;
}

status pg_lock(void *backend, const char *name)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	const char *values[] = {param_text(ctx, name)};
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add(&b, "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))", values, 1);
	b.changes = TOPICS_NONE;
	st = pg_write(p, &b);
	talloc_free(ctx);
	return st;
}

/* ---- documents announced ahead ----------------------------------------------------------------------------------- */

void pg_hint(void *backend, const struct model *m, const char *id)
{
	struct pg *p = backend;

	if (m->table == NULL || p->unit || p->hint_count == PG_HINTS)
		return;
	if (p->hint_ctx == NULL)
		p->hint_ctx = talloc_new(p);
	p->hints[p->hint_count++] = (struct hint){.model = m, .id = mem_strdup(p->hint_ctx, id)};
}

void hint_drop(struct pg *p)
{
	talloc_free(p->hint_ctx);
	p->hint_ctx = NULL;
	p->hint_count = 0;
}

const struct hint *hint_find(const struct pg *p, const struct model *m, const char *id)
{
	for (size_t i = 0; i < p->hint_count; i++)
		if (p->hints[i].fetched && p->hints[i].model == m && strcmp(p->hints[i].id, id) == 0)
			return &p->hints[i];
	return NULL;
}

/* Keeps what the announced documents came back as; one whose SELECT failed stays unknown. */
static void keep_hints(struct pg *p, const struct batch *b, const size_t calls[PG_HINTS])
{
	for (size_t i = 0; i < p->hint_count; i++) {
		struct hint *h = &p->hints[i];
		const struct call *c;

		if (calls[i] == 0)
			continue;
		c = &b->calls[calls[i] - 1];
		if (c->result == NULL)
			continue;
		h->fetched = true;
		if (PQntuples(c->result) > 0)
			h->doc = row_document(p->hint_ctx, h->model, c->result, 0, 0);
	}
}

status pg_read(struct pg *p, struct batch *b)
{
	size_t calls[PG_HINTS] = {0}; /* call + 1; 0 = none */
	uint64_t asked = stale_clock(p);
	status st;

	/* Inside a transaction a failing hint would break it. */
	for (size_t i = 0; i < p->hint_count && !p->unit; i++) {
		size_t call;

		if (!p->hints[i].fetched && get_add(b, p->hints[i].model, p->hints[i].id, true, &call))
			calls[i] = call + 1;
	}
	st = pg_run(p, b);
	if (st == ST_OK) {
		keep_hints(p, b, calls);
		stale_keep(p, b, asked);
	} else if (st == ST_UNAVAILABLE) {
		outside_look(p);
		st = stale_recall(p, b) ? ST_OK : st;
	}
	return st;
}
