#include "store/beats.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/*
 * A beat is written at once when the stored one is older than this, or than half of what makes a node offline: also
 * with more nodes than live memory has room for, or without a runner, nobody is taken for dead who lives.
 */
#define STORED_AGE_MS 30000

static int64_t seen_ms(json_object *node)
{
	int64_t ms;

	return clock_parse(json_str_or(node, "lastSeenAt", ""), CLOCK_ISO_OFFSET, &ms) ? ms : 0;
}

static bool stored_is_old(const struct app *app, json_object *stored, int64_t now_ms)
{
	int64_t half_ms = config_int(app->config, CFG_NODE_OFFLINE_AFTER) * 500;
	int64_t limit_ms = half_ms > 0 && half_ms < STORED_AGE_MS ? half_ms : STORED_AGE_MS;

	return now_ms - seen_ms(stored) > limit_ms || seen_ms(stored) > now_ms;
}

static bool same_runtime(const void *ctx, json_object *a, json_object *b)
{
	a = json_clone(ctx, a);
	b = json_clone(ctx, b);
	if (a == NULL || b == NULL)
		return a == b;
	json_object_object_del(a, "uptimeSeconds");
	json_object_object_del(b, "uptimeSeconds");
	return json_same(a, b);
}

/* True if more than the time and the uptime would change. */
static bool is_news(const void *ctx, json_object *node, json_object *beat)
{
	static const char *const members[] = {"agentVersion", "hostname", "ipAddresses", "status"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (!json_same(json_get(node, members[i]), json_get(beat, members[i])))
			return true;
	return json_has(beat, "runtime") && !same_runtime(ctx, json_get(node, "runtime"), json_get(beat, "runtime"));
}

/* Keeps what the beat changed of the node; false if it does not fit. */
static bool keep(const struct app *app, const void *ctx, const char *node_id, json_object *node)
{
	json_object *change = json_new_object(ctx);
	const char *text;
	size_t n;

	json_set_ref(change, "lastSeenAt", json_get(node, "lastSeenAt"));
	json_set_ref(change, "runtime", json_get(node, "runtime"));
	text = json_compact(ctx, change, &n);
	return live_beat_put(app->live, node_id, text, n) == ST_OK;
}

void beats_overlay(const struct app *app, json_object *node)
{
	void *ctx;
	json_object *change;
	char *text;

	if (store_is_database(app->store))
		return;
	ctx = talloc_new(NULL);
	if (live_beat_get(app->live, ctx, json_str_or(node, "id", ""), &text) == ST_OK &&
	    json_parse(ctx, text, strlen(text), &change) && seen_ms(change) > seen_ms(node)) {
		json_set_copy(node, "lastSeenAt", json_get(change, "lastSeenAt"));
		json_set_copy(node, "runtime", json_get(change, "runtime"));
	}
	talloc_free(ctx);
}

status beats_take(const struct app *app, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                  json_object **before, json_object **after)
{
	json_object *stored;

	if (store_is_database(app->store))
		return store_node_heartbeat(app->store, ctx, node_id, beat, now_ms, before, after);
	TRY(store_get(app->store, ctx, &model_nodes, node_id, &stored));
	*before = json_clone(ctx, stored);
	beats_overlay(app, *before);
	*after = json_clone(ctx, *before);
	json_set_iso(*after, "lastSeenAt", now_ms);
	json_set_copy(*after, "runtime", json_get(beat, "runtime"));
	if (!stored_is_old(app, stored, now_ms) && !is_news(ctx, stored, beat) && keep(app, ctx, node_id, *after))
		return ST_OK;
	return store_node_heartbeat(app->store, ctx, node_id, beat, now_ms, &stored, after);
}

static status flush_node(const struct app *app, const void *ctx, json_object *stored)
{
	json_object *node = json_clone(ctx, stored), *patch;
	struct query q;
	struct page page;

	beats_overlay(app, node);
	if (seen_ms(node) == seen_ms(stored))
		return ST_OK;
	patch = json_new_object(ctx);
	json_set_ref(patch, "lastSeenAt", json_get(node, "lastSeenAt"));
	json_set_ref(patch, "runtime", json_get(node, "runtime"));
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(node, "id"));
	return store_update(app->store, ctx, &model_nodes, &q, patch, &page, NULL);
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
