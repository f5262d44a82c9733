/*
 * Batches: several statements in one round trip (libpq pipeline mode), each text prepared once a connection.
 * SQLSTATEs are judged here and nowhere else (contract 09 D-66).
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CACHE_SLOTS (PG_STATEMENTS * 2)

struct cached {
	char *sql;
	uint64_t hash;
	bool ready; /* the server said so */
};

/* Open addressing; a statement's name is its slot. Single entries are never removed, only all of them. */
struct statement_cache {
	struct cached slots[CACHE_SLOTS];
	size_t used;
	bool stale; /* the server still holds statements that we forgot */
};

/* What the server answers, in order. */
enum answer { ANSWER_PLAIN, ANSWER_PREPARED, ANSWER_CALL, ANSWER_COMMIT };
struct expected {
	enum answer kind;
	size_t index; /* call, or slot of the prepared statement */
};
struct plan {
	struct expected *at;
	size_t count;
};

/* ---- prepared statements ----------------------------------------------------------------------------------------- */

struct statement_cache *statement_cache_new(const void *ctx)
{
	return mem_new(ctx, struct statement_cache);
}

static void forget_all(struct statement_cache *c)
{
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		talloc_free(c->slots[i].sql);
		c->slots[i] = (struct cached){0};
	}
	c->used = 0;
}

void statement_cache_reset(struct pg *p)
{
	forget_all(p->cache);
	p->cache->stale = false;
}

static uint64_t hash_text(const char *s)
{
	uint64_t h = 14695981039346656037u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

/* The slot of sql; takes a new one if it is not known. */
static size_t cache_slot(struct statement_cache *c, const char *sql)
{
	uint64_t hash = hash_text(sql);
	size_t i = (size_t)(hash % CACHE_SLOTS);

	while (c->slots[i].sql != NULL) {
		if (c->slots[i].hash == hash && strcmp(c->slots[i].sql, sql) == 0)
			return i;
		i = (i + 1) % CACHE_SLOTS;
	}
	c->slots[i].sql = mem_strdup(c, sql);
	c->slots[i].hash = hash;
	c->used++;
	return i;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

struct result_holder {
	PGresult *r;
};

static int free_result(struct result_holder *h)
{
	PQclear(h->r);
	return 0;
}

PGresult *keep_result(const void *ctx, PGresult *r)
{
	struct result_holder *h = mem_new(ctx, struct result_holder);

	h->r = r;
	talloc_set_destructor(h, free_result);
	return r;
}

void batch_init(struct batch *b, const void *ctx)
{
	*b = (struct batch){.ctx = ctx, .changes = TOPICS_ALL};
}

size_t batch_add(struct batch *b, const char *sql, const char *const *values, int count)
{
	if (b->count == b->cap) {
		b->cap = b->cap == 0 ? 8 : b->cap * 2;
		b->calls = mem_grow(b->ctx, b->calls, struct call, b->cap);
	}
	b->calls[b->count] = (struct call){.sql = sql, .values = values, .count = count};
	return b->count++;
}

size_t batch_add_once(struct batch *b, const char *sql)
{
	size_t i = batch_add(b, sql, NULL, 0);

	b->calls[i].once = true;
	return i;
}

size_t batch_add_optional(struct batch *b, const char *sql, const char *const *values, int count)
{
	size_t i = batch_add(b, sql, values, count);

	b->calls[i].optional = true;
	return i;
}

size_t batch_add_stream(struct batch *b, const char *sql, const char *const *values, int count,
                        void (*row)(void *state, const PGresult *one), void *state)
{
	size_t i = batch_add(b, sql, values, count);

	b->calls[i].row = row;
	b->calls[i].row_state = state;
	return i;
}

int batch_rows(const struct batch *b, size_t call)
{
	return b->calls[call].result == NULL ? 0 : PQntuples(b->calls[call].result);
}

int64_t batch_affected(const struct batch *b, size_t call)
{
	const char *n = b->calls[call].result == NULL ? "" : PQcmdTuples(b->calls[call].result);

	return strtoll(n, NULL, 10);
}

const char *batch_cell(const struct batch *b, size_t call, int row, int column)
{
	const PGresult *r = b->calls[call].result;

	if (r == NULL || row >= PQntuples(r) || PQgetisnull(r, row, column))
		return NULL;
	return PQgetvalue(r, row, column);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void expect(struct plan *plan, enum answer kind, size_t index)
{
	plan->at[plan->count++] = (struct expected){kind, index};
}

static bool send_plain(struct pg *p, struct plan *plan, const char *sql, enum answer kind, size_t index)
{
	if (!PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0))
		return false;
	expect(plan, kind, index);
	return true;
}

/* Sends a statement by its prepared name, preparing it first if this connection has not yet. */
static bool send_prepared(struct pg *p, struct plan *plan, const struct call *c, enum answer kind, size_t index)
{
	char name[24];
	size_t slot = cache_slot(p->cache, c->sql);

	snprintf(name, sizeof(name), "s%zu", slot);
	if (!p->cache->slots[slot].ready) {
		if (!PQsendPrepare(p->conn, name, c->sql, 0, NULL))
			return false;
		expect(plan, ANSWER_PREPARED, slot);
		/* Later calls of this batch use it; if it fails, everything behind it fails with it. */
		p->cache->slots[slot].ready = true;
	}
	if (!PQsendQueryPrepared(p->conn, name, c->count, c->values, NULL, NULL, 0))
		return false;
	expect(plan, kind, index);
	return true;
}

static bool send_call(struct pg *p, struct plan *plan, const struct call *c, size_t index)
{
	return c->once ? send_plain(p, plan, c->sql, ANSWER_CALL, index)
	               : send_prepared(p, plan, c, ANSWER_CALL, index);
}

/* BEGIN and the like are prepared as well: parsing them is a good part of what they cost. */
static bool send_word(struct pg *p, struct plan *plan, const char *sql, enum answer kind, size_t index)
{
	return send_prepared(p, plan, &(struct call){.sql = sql}, kind, index);
}

/* Makes room in the statement cache for a batch. */
static bool send_forget(struct pg *p, struct plan *plan, const struct batch *b)
{
	size_t wanted = 0;

	for (size_t i = 0; i < b->count; i++)
		wanted += !b->calls[i].once;
	if (wanted > 0 && p->cache->used + wanted + 3 > PG_STATEMENTS) {
		forget_all(p->cache);
		p->cache->stale = true;
	}
	/* Not in front of a lone ROLLBACK: a broken transaction takes nothing else. */
	if (wanted == 0 || !p->cache->stale)
		return true;
	p->cache->stale = false;
	return send_plain(p, plan, "DEALLOCATE ALL", ANSWER_PLAIN, 0);
}

/*
 * Makes the commit of this transaction wait for the disk. Without BEGIN it is for the server no transaction that SET
 * LOCAL is meant for: it would obey, and write a warning into its log each time. Behind BEGIN there may be a SET
 * TRANSACTION to come, which takes no query before it.
 */
static bool send_durable(struct pg *p, struct plan *plan, const struct batch *b)
{
	return send_word(p, plan,
	                 b->commit ? "SELECT set_config('synchronous_commit', 'on', true)"
	                           : "SET LOCAL synchronous_commit TO on",
	                 ANSWER_PLAIN, 0);
}

static bool send_all(struct pg *p, struct plan *plan, const struct batch *b)
{
	if (!send_forget(p, plan, b))
		return false;
	/* A batch that is a transaction from its first statement to its last needs no words for that. */
	if (b->begin && !b->commit && !send_word(p, plan, "BEGIN", ANSWER_PLAIN, 0))
		return false;
	if (b->begin && !send_durable(p, plan, b))
		return false;
	for (size_t i = 0; i < b->count; i++)
		if (!send_call(p, plan, &b->calls[i], i))
			return false;
	if (b->commit && !b->begin && !send_word(p, plan, "COMMIT", ANSWER_COMMIT, b->count))
		return false;
	return PQpipelineSync(p->conn) == 1;
}

/* Writes what is buffered, reading meanwhile, so that neither side waits for the other. */
static bool flush_all(struct pg *p, int64_t until)
{
	int left;

	while ((left = PQflush(p->conn)) == 1) {
		if (!connection_wait(p, POLLIN | POLLOUT, until) || !PQconsumeInput(p->conn))
			return false;
	}
	return left == 0;
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

/* The next result; *r NULL ends the results of one statement. False: the connection is of no use any more. */
static bool next_result(struct pg *p, PGresult **r, int64_t until)
{
	while (PQisBusy(p->conn)) {
		if (!connection_wait(p, POLLIN, until)) {
			log_warn("database: no answer in time");
			p->timed_out = true;
			return false;
		}
		if (!PQconsumeInput(p->conn))
			return false;
	}
	*r = PQgetResult(p->conn);
	return true;
}

static bool state_is(const char *state, const char *prefix)
{
	return strncmp(state, prefix, strlen(prefix)) == 0;
}

/* What a SQLSTATE means (D-66). */
static enum exchange judge(const char *state, const char *place, status *st)
{
	*st = ST_UNAVAILABLE;
	if (state_is(state, "53100")) {
		*st = ST_NO_SPACE;
		return EXCHANGE_ERROR;
	}
	if (state[0] == '\0' || state_is(state, "08") || state_is(state, "57P0") || state_is(state, "53"))
		return EXCHANGE_LOST;
	/* Prepared statements that the server does not have, or whose tables were changed (told by the place in the
	   server, for messages are in its language): start afresh. A server that became a standby: another one may
	   answer at the same address. */
	if (state_is(state, "26000") || state_is(state, "42P05") || state_is(state, "25006") ||
	    (state_is(state, "0A000") && strcmp(place, "RevalidateCachedQuery") == 0))
		return EXCHANGE_LOST;
	if (state_is(state, "40001") || state_is(state, "40P01"))
		return EXCHANGE_AGAIN;
	/* Time-outs; input or output errors; not (yet) migrated. */
	if (state_is(state, "57014") || state_is(state, "55P03") || state_is(state, "58") || state_is(state, "42P01") ||
	    state_is(state, "3F000"))
		return EXCHANGE_ERROR;
	if (state_is(state, "23505"))
		*st = ST_CONFLICT;
	else if (state_is(state, "22") || state_is(state, "23"))
		*st = ST_INVALID;
	else
		*st = ST_INTERNAL;
	return EXCHANGE_ERROR;
}

/* Notes the first failure of a batch. */
static enum exchange note_failure(struct batch *b, size_t at, const PGresult *r, status *st)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *place = PQresultErrorField(r, PG_DIAG_SOURCE_FUNCTION);
	bool optional = at < b->count && b->calls[at].optional;

	if (state == NULL)
		state = "";
	if (text == NULL)
		text = "connection lost";
	if (!optional) {
		b->failed_at = at;
		snprintf(b->state, sizeof(b->state), "%s", state);
	}
	if (!optional || !state_is(state, "42P01"))
		log_warn("database: %s %s", state, text);
	return judge(state, place == NULL ? "" : place, st);
}

struct reading {
	enum exchange outcome;
	status st;
	bool failed; /* the rest of the pipeline is skipped by the server */
};

/* True if r is one row of a call that wants its rows one by one. */
static bool take_row(const struct batch *b, const struct expected *e, PGresult *r)
{
	const struct call *c;

	if (PQresultStatus(r) != PGRES_SINGLE_TUPLE)
		return false;
	c = &b->calls[e->index];
	c->row(c->row_state, r);
	PQclear(r);
	return true;
}

/* Judges one result that belongs to e. */
static void take_result(struct pg *p, struct batch *b, const struct expected *e, PGresult *r, struct reading *x,
                        size_t at)
{
	ExecStatusType kind = PQresultStatus(r);
	bool good = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK;

	if (good && e->kind == ANSWER_COMMIT && strcmp(PQcmdStatus(r), "COMMIT") != 0) {
		x->outcome = EXCHANGE_ERROR; /* it was rolled back */
		x->st = ST_INTERNAL;
		b->failed_at = b->count;
	}
	if (good && e->kind == ANSWER_CALL) {
		b->calls[e->index].result = keep_result(b->ctx, r);
		return;
	}
	if (!good && e->kind == ANSWER_PREPARED)
		p->cache->slots[e->index].ready = false;
	if (!good && !x->failed) {
		status st;
		enum exchange outcome = note_failure(b, at, r, &st);

		x->failed = true;
		if (outcome == EXCHANGE_LOST || at == b->count || !b->calls[at].optional) {
			x->outcome = outcome;
			x->st = st;
		}
	}
	PQclear(r);
}

/* The call that an answer belongs to: a prepared statement counts as the call that follows it. */
static size_t call_of(const struct plan *plan, size_t i, const struct batch *b)
{
	while (i < plan->count && plan->at[i].kind != ANSWER_CALL && plan->at[i].kind != ANSWER_COMMIT)
		i++;
	return i < plan->count ? plan->at[i].index : b->count;
}

/* When the next answer must have begun. */
static int64_t answer_deadline(const struct pg *p)
{
	int64_t until = clock_mono_ms() + PG_EXCHANGE_MS;

	return p->deadline_ms != 0 && p->deadline_ms < until ? p->deadline_ms : until;
}

static bool receive_all(struct pg *p, struct batch *b, const struct plan *plan, struct reading *x, int64_t until)
{
	PGresult *r;

	for (size_t i = 0; i < plan->count; i++) {
		const struct expected *e = &plan->at[i];

		if (e->kind == ANSWER_CALL && b->calls[e->index].row != NULL)
			PQsetSingleRowMode(p->conn);
		for (;;) {
			if (!next_result(p, &r, until))
				return false;
			if (r == NULL)
				break;
			if (take_row(b, e, r)) {
				until = answer_deadline(p); /* however long the rows took */
				continue;
			}
			take_result(p, b, e, r, x, call_of(plan, i, b));
			if (PQstatus(p->conn) == CONNECTION_BAD)
				return false;
		}
	}
	if (!next_result(p, &r, until) || r == NULL)
		return false;
	if (PQresultStatus(r) != PGRES_PIPELINE_SYNC)
		x->outcome = EXCHANGE_LOST;
	PQclear(r);
	return true;
}

enum exchange batch_exchange(struct pg *p, struct batch *b, status *st)
{
	/* two for each call, BEGIN, SET LOCAL and COMMIT; DEALLOCATE */
	struct plan plan = {.at = mem_array(b->ctx, struct expected, b->count * 2 + 7)};
	struct reading x = {.outcome = EXCHANGE_OK, .st = ST_OK};
	int64_t until = answer_deadline(p);

	p->timed_out = false;
	b->failed_at = b->count;
	b->state[0] = '\0';
	for (size_t i = 0; i < b->count; i++)
		b->calls[i].result = NULL;
	if (!send_all(p, &plan, b) || !flush_all(p, until) || !receive_all(p, b, &plan, &x, until)) {
		*st = ST_UNAVAILABLE;
		return EXCHANGE_LOST;
	}
	*st = x.st;
	return x.outcome;
}

bool session_begin(struct pg *p)
{
	static const char sql[] = "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),"
	                          " set_config('synchronous_commit', 'off', false),"
	                          /* whatever the role or the database says: our tables, and rows as they are now */
	                          " set_config('search_path', 'public', false),"
	                          " set_config('default_transaction_isolation', 'read committed', false),"
	                          " set_config('statement_timeout', '15s', false),"
	                          " set_config('lock_timeout', '5s', false),"
	                          /* a host that is gone without a word must not keep its locks from the others */
	                          " set_config('tcp_keepalives_idle', '15', false),"
	                          " set_config('tcp_keepalives_interval', '5', false),"
	                          " set_config('tcp_keepalives_count', '3', false),"
	                          " set_config('idle_in_transaction_session_timeout', '60s', false),"
	                          " set_config('client_min_messages', 'error', false),"
	                          /* compiling a plan costs more than any of our statements gains by it */
	                          " set_config('jit', 'off', false),"
	                          /* nor are they long enough to wait for processes that help */
	                          " set_config('max_parallel_workers_per_gather', '0', false),"
	                          /* A large block once: from then on glibc keeps the top of the server process's memory
	                             instead of giving it back and taking it again with each of our transactions. */
	                          " length(repeat(' ', 1000000))";
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;
	bool ok;

	batch_init(&b, ctx);
	batch_add_once(&b, sql);
	ok = batch_exchange(p, &b, &st) == EXCHANGE_OK;
	talloc_free(ctx);
	return ok;
}
