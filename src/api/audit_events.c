/* Finding audit events that a user may see (contract 01 15.4, 15.5). */
#include "api/audit_events.h"

#include "access/scope_cache.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/metrics.h"

#include <stdio.h>
#include <string.h>

/*
 * Rows looked at in one request of a user who does not see all of them. A worker must come free again even when nearly
 * everything is hidden; whoever needs more narrows the filters.
 */
#define BATCH 500
#define SCAN_MAX 50000

/* 9999-12-31T23:59:59.999Z, the last time there is. */
#define LAST_MS INT64_C(253402300799999)

/* ---- visibility (01 15.5) ---------------------------------------------------------------------------------------- */

static bool is_resource_type(const char *type)
{
	for (size_t i = 0; metrics_about[i] != NULL; i++)
		if (strcmp(type, metrics_about[i]) == 0)
			return true;
	return false;
}

/* True if the event is visible whatever the scope of its target. */
static bool visible_anyway(const struct request *r, json_object *event)
{
	json_object *actor = json_object_at(event, "actor"), *target = json_object_at(event, "target");

	if (json_str_or(target, "id", "")[0] == '\0' || !is_resource_type(json_str_or(target, "type", "unknown")))
		return true;
	return text_equal(json_str(actor, "type"), "user") && text_equal(json_str(actor, "id"), r->who.id);
}

/* visible[i] for each of the events; tmp is for what is not needed afterwards. */
static status events_visible(const struct request *r, struct scope_cache *scope, const void *tmp, json_object *events,
                             bool *visible)
{
	size_t count = json_object_array_length(events);
	struct target *targets = mem_array(tmp, struct target, count + 1);
	enum scope_verdict *verdicts = mem_array(tmp, enum scope_verdict, count + 1);

	for (size_t i = 0; i < count; i++) {
		json_object *event = json_object_array_get_idx(events, i), *target = json_object_at(event, "target");

		targets[i].type = json_str_or(target, "type", "unknown");
		if (!visible_anyway(r, event))
			targets[i].id = json_str(target, "id");
	}
	TRY(scope_cache_decide(scope, tmp, targets, count, verdicts));
	for (size_t i = 0; i < count; i++)
		visible[i] = verdicts[i] == SCOPE_ALLOWED;
	return ST_OK;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

static const char *next_ms(const void *ctx, const char *iso)
{
	int64_t ms = 0;

	if (!clock_parse(iso, CLOCK_LENIENT, &ms) || ms >= LAST_MS)
		return iso;
	return clock_iso_dup(ctx, ms + 1);
}

static void where_any(struct query *q, const char *value, const char *a, const char *b, const char *c)
{
	if (value == NULL)
		return;
	q->any[q->any_count++] = (struct any_contains){.fields = {a, b, c}, .count = c != NULL ? 3 : 2, .value = value};
}

static void query_of_filters(struct request *r, json_object *f, struct query *q)
{
	const char *to = json_str(f, "to");

	query_init(q);
	query_where(q, "id", Q_EQ, json_str(f, "id"));
	query_where(q, "action", Q_CONTAINS, json_str(f, "action"));
	query_where(q, "reason", Q_CONTAINS, json_str(f, "reason"));
	query_where(q, "outcome", Q_EQ, json_str(f, "outcome"));
	query_where(q, "permission", Q_EQ, json_str(f, "permission"));
	query_where(q, "createdAt", Q_GE, json_str(f, "from"));
	/* Rows of an existing installation have microseconds that no client sees (01 T15): up to the end of the ms. */
	query_where(q, "createdAt", Q_LT, to != NULL ? next_ms(r->mem, to) : NULL);
	where_any(q, json_str(f, "actor"), "actor.id", "actor.name", NULL);
	where_any(q, json_str(f, "target"), "target.id", "target.name", "target.type");
}

/* A walk over the matching events, newest first. */
struct walk {
	struct request *r;
	struct scope_cache *scope; /* the same few nodes fill most of a log */
	int64_t limit;
	json_object *events;     /* what was found */
	json_object *ids;        /* of what was found */
	int64_t read;            /* rows read so far, */
	int64_t same;            /* of them in the last millisecond, */
	char at[CLOCK_ISO_SIZE]; /* which is this one */
};

static int64_t found(const struct walk *w)
{
	return (int64_t)json_object_array_length(w->events);
}

static void advance(struct walk *w, json_object *event)
{
	const char *at = json_str_or(event, "createdAt", "");

	if (strcmp(w->at, at) != 0) {
		snprintf(w->at, sizeof(w->at), "%s", at);
		w->same = 0;
	}
	w->same++;
	w->read++;
}

/*
 * Where the next batch starts. In a database a bound on the time uses the index however far the walk has come. A file
 * is in the order of commits, so there only the count is sound; events that came meanwhile show some rows again.
 */
static void resume(const struct walk *w, const void *ctx, struct query *q)
{
	if (w->read == 0)
		return;
	q->offset = w->read;
	if (store_is_database(w->r->store)) {
		query_where(q, "createdAt", Q_LT, next_ms(ctx, w->at));
		q->offset = w->same;
	}
}

static void keep(struct walk *w, json_object *event)
{
	const char *id = json_str_or(event, "id", "");

	if (json_has(w->ids, id))
		return;
	json_set_bool(w->ids, id, true);
	json_push_ref(w->events, model_public(w->r->mem, &model_audit_events, event));
}

/* Reads one batch of at most q.limit; *end when there is nothing after it. */
static status walk_batch(struct walk *w, const void *ctx, struct query q, bool *end)
{
	struct page page;
	bool *visible;

	resume(w, ctx, &q);
	TRY(store_list(w->r->store, ctx, &model_audit_events, &q, &page));
	visible = mem_array(ctx, bool, page.count + 1);
	TRY(events_visible(w->r, w->scope, ctx, page.docs, visible));
	for (size_t i = 0; i < page.count && found(w) < w->limit; i++) {
		json_object *event = json_object_array_get_idx(page.docs, i);

		advance(w, event);
		if (visible[i])
			keep(w, event);
	}
	*end = (int64_t)page.count < q.limit || found(w) >= w->limit;
	return ST_OK;
}

/*
 * The newest `limit` events that match the filters and that the caller may see: visibility comes before the limit
 * (D-77), so batches are read until enough are found. Each batch has an arena of its own.
 */
status audit_events_find(struct request *r, json_object *filters, int64_t limit, json_object **events)
{
	struct walk w = {.limit = limit, .events = json_new_array(r->mem), .ids = json_new_object(r->mem)};
	struct query q;
	bool end = false;

	w.r = r;
	w.scope = scope_cache_new(r->mem, r->store, &r->who);
	query_of_filters(r, filters, &q);
	q.limit = scope_is_total(&r->who.scope) ? limit : BATCH;
	for (int64_t scanned = 0; !end && scanned < SCAN_MAX; scanned += q.limit) {
		void *mem = talloc_new(r->mem);
		status st = walk_batch(&w, mem, q, &end);

		talloc_free(mem);
		TRY(st);
	}
	*events = w.events;
	return ST_OK;
}

/* ---- by id ------------------------------------------------------------------------------------------------------- */

/* The events of ids that are visible, by their id. */
static status visible_by_id(struct request *r, json_object *ids, json_object **by_id)
{
	size_t count = json_object_array_length(ids);
	const char **values = mem_array(r->mem, const char *, count);
	struct query q;
	struct page page;
	bool *visible;

	for (size_t i = 0; i < count; i++)
		values[i] = json_object_get_string(json_object_array_get_idx(ids, i));
	query_init(&q);
	query_where_in(&q, "id", values, count);
	TRY(store_list(r->store, r->mem, &model_audit_events, &q, &page));
	visible = mem_array(r->mem, bool, page.count + 1);
	TRY(events_visible(r, scope_cache_new(r->mem, r->store, &r->who), r->mem, page.docs, visible));
	*by_id = json_new_object(r->mem);
	for (size_t i = 0; i < page.count; i++) {
		json_object *event = json_object_array_get_idx(page.docs, i);

		if (visible[i])
			json_set_ref(*by_id, json_str(event, "id"), model_public(r->mem, &model_audit_events, event));
	}
	return ST_OK;
}

status audit_events_pick(struct request *r, json_object *ids, json_object **events, const char **missing)
{
	json_object *by_id;

	*events = json_new_array(r->mem);
	*missing = NULL;
	TRY(visible_by_id(r, ids, &by_id));
	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		json_object *event = json_get(by_id, text_lower(r->mem, id));

		if (event == NULL) {
			*missing = id;
			return ST_OK;
		}
		json_push_ref(*events, event);
	}
	return ST_OK;
}

status audit_event_find(struct request *r, const char *id, json_object **event)
{
	struct target target;
	enum scope_verdict verdict;

	TRY(store_get(r->store, r->mem, &model_audit_events, id, event));
	if (!visible_anyway(r, *event)) {
		json_object *t = json_object_at(*event, "target");

		target = TARGET(json_str_or(t, "type", "unknown"), json_str(t, "id"), NULL);
		TRY(principal_scope(r->mem, r->store, &r->who, &target, &verdict));
		if (verdict != SCOPE_ALLOWED)
			return ST_NOT_FOUND;
	}
	*event = model_public(r->mem, &model_audit_events, *event);
	return ST_OK;
}
