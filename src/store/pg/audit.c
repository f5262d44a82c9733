/*
 * The end of a unit of work: writes and audit events committed together; events kept on disk while the database is
 * away and moved in later (contract 01 15.2, 07 2.12; 09 D-66: audit never fails the request).
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "model/enums.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOVE_BATCH 100

/* ---- one event --------------------------------------------------------------------------------------------------- */

enum { EVENT_PARAMS = 19, EVENT_ACTOR_USER = 7, EVENTS_MOST = 4 };

/*
 * The INSERT of n events. Its text is made once for each n: the statements of the requests' usual one or two events are
 * prepared once a connection. checked: a reference to a user that is gone is stored as null; without, the foreign key
 * refuses it (23503), which saves a look-up for the usual case, an actor who has just been authenticated.
 */
static const char *insert_sql(size_t n, bool checked)
{
	static const char *const casts[EVENT_PARAMS] = {
	    "$%u::uuid",
	    "$%u::timestamptz",
	    "$%u::text",
	    "$%u::text",
	    "$%u::text",
	    "$%u::text",
	    "coalesce($%u::jsonb, '[]')",
	    "(SELECT u.id FROM users u WHERE u.id = $%u::uuid FOR KEY SHARE)",
	    "coalesce($%u::jsonb, '{}')",
	    "$%u::jsonb",
	    "$%u::jsonb",
	    "coalesce($%u::jsonb, '{}')",
	    "coalesce($%u::jsonb, '{}')",
	    "$%u::audit_outcome",
	    "$%u::text",
	    "$%u::text",
	    "$%u::text",
	    "$%u::text",
	    "$%u::text"};
	static char *made[2][EVENTS_MOST + 1];
	struct buf text;

	if (made[checked][n] != NULL)
		return made[checked][n];
	buf_init(&text, NULL);
	buf_puts(&text, "INSERT INTO audit_events (id, created_at, action, actor_type, actor_id, actor_display_name,"
	                " actor_roles, actor_user_id, actor_context, after, before, correlation_ids, details, outcome,"
	                " permission_id, reason, target_id, target_name, target_type) VALUES ");
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < EVENT_PARAMS; k++) {
			char number[16];
			const char *cast = k == EVENT_ACTOR_USER && !checked ? "$%u::uuid" : casts[k];
			const char *at = strstr(cast, "%u");

			snprintf(number, sizeof(number), "%u", i * EVENT_PARAMS + k + 1);
			buf_puts(&text, k > 0 ? ", " : i > 0 ? ", (" : "(");
			buf_add(&text, cast, (size_t)(at - cast));
			buf_puts(&text, number);
			buf_puts(&text, at + 2);
			if (k + 1 == EVENT_PARAMS)
				buf_putc(&text, ')');
		}
	buf_puts(&text, " ON CONFLICT (id) DO NOTHING");
	made[checked][n] = text.data;
	return text.data;
}

static const char *event_time(const void *ctx, json_object *event)
{
	const char *given = json_str(event, "createdAt");
	int64_t ms;

	if (given == NULL || !clock_parse(given, CLOCK_LENIENT, &ms))
		return param_time(ctx, clock_now_ms());
	/* imported rows of the earlier controller have microseconds */
	return strlen(given) >= CLOCK_ISO_SIZE ? param_text(ctx, given) : param_time(ctx, ms);
}

static const char *event_id(const void *ctx, json_object *event)
{
	const char *id = param_uuid(json_str(event, "id"));
	char fresh[UUID_SIZE];

	if (id != NULL)
		return id;
	uuid_v7(fresh, clock_now_ms());
	return mem_strdup(ctx, fresh);
}

/* The parameters of one event. Texts are cut to the width of their column (09 17.1). */
static void event_values(const void *ctx, json_object *event, const char *v[EVENT_PARAMS])
{
	json_object *actor = json_object_at(event, "actor"), *target = json_object_at(event, "target");
	const char *outcome = json_str_or(event, "outcome", "");
	const char *values[EVENT_PARAMS] = {
	    event_id(ctx, event),
	    event_time(ctx, event),
	    param_cut(ctx, json_str_or(event, "action", "unknown"), 160),
	    param_cut(ctx, json_str_or(actor, "type", "user"), 40),
	    param_cut(ctx, json_str(actor, "id"), 160),
	    param_cut(ctx, json_str(actor, "name"), 160),
	    param_json(ctx, json_array(actor, "roles")),
	    param_uuid(json_str(actor, "id")),
	    param_json(ctx, json_object_at(event, "actorContext")),
	    param_json(ctx, json_object_at(event, "after")),
	    param_json(ctx, json_object_at(event, "before")),
	    param_json(ctx, json_object_at(event, "correlationIds")),
	    param_json(ctx, json_object_at(event, "details")),
	    enum_has(enum_audit_outcome, outcome) ? outcome : "failed",
	    param_cut(ctx, json_str(event, "permission"), 120),
	    param_text(ctx, json_str(event, "reason")),
	    param_cut(ctx, json_str(target, "id"), 160),
	    param_cut(ctx, json_str(target, "name"), 160),
	    param_cut(ctx, json_str(target, "type"), 160),
	};

	memcpy(v, values, sizeof(values));
}

void audit_add_inserts(struct batch *batch, json_object *const *events, size_t n, bool checked)
{
	for (size_t i = 0; i < n;) {
		size_t some = n - i < EVENTS_MOST ? n - i : EVENTS_MOST;
		const char **values = mem_array(batch->ctx, const char *, EVENT_PARAMS *EVENTS_MOST);
		bool users = false; /* else there is nothing to check */

		for (size_t k = 0; k < some; k++) {
			event_values(batch->ctx, events[i + k], values + k * EVENT_PARAMS);
			users = users || values[k * EVENT_PARAMS + EVENT_ACTOR_USER] != NULL;
		}
		batch_add(batch, insert_sql(some, checked && users), values, (int)(some * EVENT_PARAMS));
		i += some;
	}
}

/* All elements of an array of events. */
static void add_events(struct batch *batch, json_object *events, bool checked)
{
	size_t n = json_object_array_length(events);
	json_object **list = mem_array(batch->ctx, json_object *, n);

	for (size_t i = 0; i < n; i++)
		list[i] = json_object_array_get_idx(events, i);
	audit_add_inserts(batch, list, n, checked);
}

static size_t event_count(json_object *events)
{
	return json_object_is_type(events, json_type_array) ? json_object_array_length(events) : 0;
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

/* The user that an event refers to was deleted a moment ago. */
static bool actor_is_gone(const struct batch *b)
{
	return strcmp(b->state, "23503") == 0;
}

/* Commits the writes of the open transaction, whose events were refused: they go to the spool, or in without actor. */
static status commit_without(struct pg *p, const void *ctx, json_object *events, bool actor_gone)
{
	struct batch b;
	status st;

	if (!actor_gone)
		TRY(spool_append(&p->spool, events));
	batch_init(&b, ctx);
	batch_add_once(&b, "ROLLBACK TO SAVEPOINT audit");
	if (actor_gone)
		add_events(&b, events, true);
	b.commit = true;
	return batch_exchange(p, &b, &st) == EXCHANGE_OK ? ST_OK : st;
}

/* Ends the open transaction with its events. Whatever comes out of it, it is over then. */
static status commit_writes(struct pg *p, const void *ctx, json_object *events)
{
	size_t n = event_count(events);
	enum exchange outcome;
	struct batch b;
	status st;

	batch_init(&b, ctx);
	if (n > 0) {
		batch_add(&b, "SAVEPOINT audit", NULL, 0);
		add_events(&b, events, false);
	}
	b.commit = true;
	outcome = batch_exchange(p, &b, &st);
	if (outcome == EXCHANGE_ERROR && b.failed_at > 0 && b.failed_at < b.count)
		st = commit_without(p, ctx, events, actor_is_gone(&b));
	if (outcome == EXCHANGE_LOST)
		connection_drop(p);
	if (st == ST_OK) {
		p->unit = false;
		return ST_OK;
	}
	pg_unit_rollback(p);
	return st;
}

/* Events alone: one transaction, waited for only if durable. Should it fail, they are kept on disk. */
static status commit_events(struct pg *p, const void *ctx, json_object *events, bool durable)
{
	struct batch b;

	if (event_count(events) == 0)
		return ST_OK;
	for (int checked = 0; checked < 2; checked++) {
		batch_init(&b, ctx);
		add_events(&b, events, checked);
		b.begin = b.commit = durable;
		if (pg_run(p, &b) == ST_OK)
			return ST_OK;
		if (!actor_is_gone(&b))
			break;
	}
	return spool_append(&p->spool, events);
}

/*
 * A write that was put off until now (heartbeat, which makes its commit durable) with its events: all in one round trip
 * and one implicit transaction. Events that are refused go to the spool, as always, and the write is sent again without
 * them.
 */
static status commit_deferred(struct pg *p, const void *ctx, json_object *events)
{
	struct batch b = p->deferred;
	size_t writes = b.count;
	status st;

	b.ctx = ctx;
	b.calls = mem_array(ctx, struct call, writes);
	b.cap = writes;
	memcpy(b.calls, p->deferred.calls, writes * sizeof(*b.calls));
	if (event_count(events) > 0)
		add_events(&b, events, true);
	st = pg_run(p, &b);
	if (st != ST_OK && st != ST_UNAVAILABLE && b.failed_at >= writes && b.failed_at < b.count) {
		TRY(spool_append(&p->spool, events));
		b.count = writes;
		st = pg_run(p, &b);
	}
	return st;
}

static status commit_inner(struct pg *p)
{
	return backend_file.dirty(p->inner) ? backend_file.commit(p->inner, NULL, true) : ST_OK;
}

/* Files and their events, while the database is away: no room for the events means no write (D-72). */
static status commit_files_spooled(struct pg *p, json_object *events)
{
	status st = spool_append(&p->spool, events);

	if (st == ST_OK)
		st = commit_inner(p);
	if (st != ST_OK)
		spool_take_back(&p->spool);
	return st;
}

/* Files and their events: the events wait in an open transaction until the files are on disk. */
static status commit_files(struct pg *p, const void *ctx, json_object *events)
{
	struct batch b;
	status st;

	if (event_count(events) == 0)
		return commit_inner(p);
	batch_init(&b, ctx);
	add_events(&b, events, true);
	b.begin = true;
	if (pg_run(p, &b) != ST_OK)
		return commit_files_spooled(p, events);
	st = commit_inner(p);
	if (st != ST_OK)
		return st;
	if (commit_writes(p, ctx, NULL) != ST_OK && spool_append(&p->spool, events) != ST_OK)
		log_error("files were written, but the audit events of it are lost");
	return ST_OK;
}

/*
 * Files and database cannot commit as one. With writes in both, the database goes first: it is the one that may
 * refuse.
 */
static status commit_all(struct pg *p, const void *ctx, json_object *events, bool durable)
{
	status st = p->failed;

	if (st == ST_OK && !p->unit && p->deferred.count > 0 && !backend_file.dirty(p->inner)) {
		st = commit_deferred(p, ctx, events);
		deferred_drop(p);
		return st;
	}
	if (st == ST_OK && p->unit) {
		st = commit_writes(p, ctx, events);
		if (st == ST_OK)
			return commit_inner(p);
	} else if (st == ST_OK) {
		st = backend_file.dirty(p->inner) ? commit_files(p, ctx, events)
		                                  : commit_events(p, ctx, events, durable);
		if (st == ST_OK)
			return ST_OK;
	}
	pg_unit_rollback(p);
	backend_file.rollback(p->inner);
	return st;
}

status pg_commit(void *backend, json_object *events, bool durable)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	status st;

	hint_drop(p);
	st = commit_all(p, ctx, events, durable);
	stale_settle(p);
	talloc_free(ctx);
	return st;
}

/* ---- moving the spool in ----------------------------------------------------------------------------------------- */

struct line {
	char *text; /* with its line feed */
	json_object *event;
};

static status insert_lines(struct pg *p, const void *ctx, const struct line *lines, size_t n)
{
	json_object *events[MOVE_BATCH];
	struct batch b;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (lines[i].event != NULL)
			events[count++] = lines[i].event;
	batch_init(&b, ctx);
	audit_add_inserts(&b, events, count, true);
	b.begin = b.commit = true;
	return b.count == 0 ? ST_OK : pg_run(p, &b);
}

static bool is_refused(status st)
{
	return st == ST_INVALID || st == ST_CONFLICT;
}

/* Moves lines in; one that the database will never take must not hold up the others. */
static status move_lines(struct pg *p, const void *ctx, const struct line *lines, size_t n, int64_t *moved)
{
	status st = insert_lines(p, ctx, lines, n);

	if (!is_refused(st)) {
		if (st == ST_OK)
			*moved += (int64_t)n;
		return st;
	}
	for (size_t i = 0; i < n; i++) {
		st = insert_lines(p, ctx, &lines[i], 1);
		if (is_refused(st))
			TRY(spool_reject(&p->spool, lines[i].text, strlen(lines[i].text)));
		else if (st != ST_OK)
			return st;
		else
			(*moved)++;
	}
	return ST_OK;
}

/* Reads up to MOVE_BATCH lines. A last line without line feed was never acknowledged; one that is no event is kept. */
static status read_lines(struct pg *p, const void *ctx, FILE *f, struct line lines[MOVE_BATCH], size_t *n)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	*n = 0;
	while (*n < MOVE_BATCH && (len = getline(&text, &size, f)) > 0) {
		struct line *l = &lines[*n];

		if (text[len - 1] != '\n')
			break;
		l->text = mem_strndup(ctx, text, (size_t)len);
		if (json_parse(ctx, text, (size_t)len - 1, &l->event) && param_uuid(json_str(l->event, "id")) != NULL) {
			(*n)++;
			continue;
		}
		if (spool_reject(&p->spool, text, (size_t)len) != ST_OK) {
			free(text);
			return ST_UNAVAILABLE;
		}
	}
	free(text);
	return ST_OK;
}

static status move_file(struct pg *p, const char *path, int64_t *moved)
{
	FILE *f = fopen(path, "re");
	status st = ST_OK;
	size_t n = 1;

	if (f == NULL) {
		log_warn("cannot read %s", path);
		return ST_UNAVAILABLE;
	}
	while (st == ST_OK && n > 0) {
		void *ctx = talloc_new(NULL);
		struct line lines[MOVE_BATCH];

		st = read_lines(p, ctx, f, lines, &n);
		if (st == ST_OK && n > 0)
			st = move_lines(p, ctx, lines, n, moved);
		talloc_free(ctx);
	}
	if (st == ST_OK && !ferror(f))
		spool_done(path);
	fclose(f);
	return st;
}

status pg_audit_maintain(void *backend, int64_t *moved)
{
	struct pg *p = backend;
	void *ctx = talloc_new(NULL);
	status st = ST_OK;
	char *path;
	int lock;

	*moved = 0;
	outside_look(p);
	hosts_look(p);
	lock = p->unit ? -1 : spool_lock(&p->spool);
	while (lock >= 0 && st == ST_OK && (path = spool_next(&p->spool, ctx)) != NULL)
		st = move_file(p, path, moved);
	if (*moved > 0)
		log_info("%lld audit events moved from the spool into the database", (long long)*moved);
	if (lock >= 0)
		close(lock);
	if (st == ST_OK)
		audit_fold(p);
	if (st == ST_OK)
		short_count(p);
	talloc_free(ctx);
	return st;
}
