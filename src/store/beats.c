#include "store/beats.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* The first ones only a beat changes, the others users may edit, too. */
static const char *const members[] = {"agentVersion", "lastSeenAt", "runtime", "status", "hostname", "ipAddresses"};

#define MEMBERS (sizeof(members) / sizeof(members[0]))
#define OWN_MEMBERS 4

static int64_t time_of(json_object *o, const char *key)
{
	int64_t ms;

	return clock_parse(json_str_or(o, key, ""), CLOCK_ISO_OFFSET, &ms) ? ms : 0;
}

/*
 * The beat that waits for a node, NULL if there is none or it is stored already. What was edited after it holds until
 * the next one.
 */
static json_object *waiting(const struct app *app, const void *ctx, json_object *stored)
{
	json_object *beat;
	char *text;

	if (live_beat_get(app->live, ctx, json_str_or(stored, "id", ""), &text) != ST_OK ||
	    !json_parse(ctx, text, strlen(text), &beat))
		return NULL;
	if (time_of(beat, "lastSeenAt") <= time_of(stored, "lastSeenAt"))
		return NULL;
	for (size_t i = OWN_MEMBERS; i < MEMBERS && time_of(beat, "lastSeenAt") <= time_of(stored, "updatedAt"); i++)
		json_object_object_del(beat, members[i]);
	return beat;
}

/* A beat without runtime leaves the old one. */
static void apply(json_object *node, json_object *beat)
{
	for (size_t i = 0; i < MEMBERS; i++)
		json_set_ref(node, members[i], json_get(beat, members[i]));
}

json_object *beats_current(const struct app *app, const void *ctx, json_object *stored)
{
	json_object *beat, *node = stored;

	if (store_is_database(app->store))
		return stored;
	beat = waiting(app, ctx, stored);
	if (beat != NULL) {
		node = json_shallow(ctx, stored);
		apply(node, beat);
	}
	return node;
}

/* Keeps the state after a beat; false if there is no room. */
static bool keep(const struct app *app, const void *ctx, const char *node_id, json_object *node)
{
	json_object *beat = json_new_object(ctx);
	const char *text;
	size_t n;

	for (size_t i = 0; i < MEMBERS; i++)
		json_set_ref(beat, members[i], json_get(node, members[i]));
	text = json_compact(ctx, beat, &n);
	return live_beat_put(app->live, node_id, text, n) == ST_OK;
}

status beats_take(const struct app *app, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                  json_object **before, json_object **after)
{
	json_object *stored;

	if (store_is_database(app->store))
		return store_node_heartbeat(app->store, ctx, node_id, beat, now_ms, before, after);
	TRY(store_get(app->store, ctx, &model_nodes, node_id, &stored));
	*before = beats_current(app, ctx, stored);
	*after = json_shallow(ctx, *before);
	apply(*after, beat);
	json_set_iso(*after, "lastSeenAt", now_ms);
	/* A beat stored in the future (the clock was set back) would win over this one. */
	if (now_ms > time_of(stored, "lastSeenAt") && keep(app, ctx, node_id, *after))
		return ST_OK;
	return store_node_heartbeat(app->store, ctx, node_id, beat, now_ms, &stored, after);
}

static status flush_node(const struct app *app, const void *ctx, json_object *stored)
{
	json_object *beat = waiting(app, ctx, stored);
	struct query q;
	struct page page;

	if (beat == NULL)
		return ST_OK;
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(stored, "id"));
	return store_update(app->store, ctx, &model_nodes, &q, beat, &page, NULL);
}

static status flush_all(const struct app *app, const void *ctx)
{
	struct query q;
	struct page page;

	query_init(&q);
	TRY(store_list(app->store, ctx, &model_nodes, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		void *step = talloc_new(ctx);
		status st = flush_node(app, step, json_object_array_get_idx(page.docs, i));

		talloc_free(step);
		if (st != ST_OK)
			return st;
	}
	return store_dirty(app->store) ? store_commit(app->store, NULL, true) : ST_OK;
}

status beats_flush(const struct app *app)
{
	void *ctx;
	status st;

	if (store_is_database(app->store))
		return ST_OK;
	ctx = talloc_new(NULL);
	st = flush_all(app, ctx);
	if (st != ST_OK)
		store_rollback(app->store);
	talloc_free(ctx);
	return st;
}
