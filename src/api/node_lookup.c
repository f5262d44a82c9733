#include "api/node_lookup.h"

#include "access/expand.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/liveness.h"
#include "store/beats.h"

#include <string.h>

static bool has_demo_id(json_object *node)
{
	return text_equal(json_str(node, "id"), NODE_DEMO_ID);
}

/* The demo node of flat files is a document of the store; a row of that id in a database is a node like any other. */
static bool is_stored_demo(const struct app *app, json_object *node)
{
	return has_demo_id(node) && !store_is_database(app->store);
}

/* Without a database the demo node is always there; with one RAKKR_SEED_DEMO_DATA decides (02 13.1). */
static bool demo_shown(const struct app *app)
{
	return !store_is_database(app->store) || config_on(app->config, CFG_SEED_DEMO_DATA);
}

bool node_is_stale(const struct app *app, int64_t now_ms, json_object *node)
{
	const char *seen = json_str(node, "lastSeenAt");
	int64_t ms;

	return seen != NULL && clock_parse(seen, CLOCK_ISO_OFFSET, &ms) &&
	       liveness_stale(ms, now_ms, config_int(app->config, CFG_NODE_OFFLINE_AFTER));
}

json_object *node_wire(const void *ctx, const struct app *app, int64_t now_ms, json_object *stored)
{
	return node_wire_of_beat(ctx, app, now_ms, beats_current(app, ctx, stored));
}

json_object *node_wire_of_beat(const void *ctx, const struct app *app, int64_t now_ms, json_object *current)
{
	json_object *node = model_public(ctx, &model_nodes, current);

	if (is_stored_demo(app, node))
		json_set_iso(node, "lastSeenAt", live_started_ms(app->live));
	else if (node_is_stale(app, now_ms, node))
		json_set_str(node, "status", "offline");
	return node;
}

/* ---- the demo node ----------------------------------------------------------------------------------------------- */

/* The built-in demo node in its wire form; its lastSeenAt is the start of the controller (02 13.2). */
static json_object *node_demo(const void *ctx, const struct app *app)
{
	json_object *seeds = json_new_array(ctx);

	model_nodes.seed(seeds, true);
	for (size_t i = 0; i < json_object_array_length(seeds); i++) {
		json_object *node = json_object_array_get_idx(seeds, i);

		if (!has_demo_id(node))
			continue;
		node = model_public(ctx, &model_nodes, node);
		json_set_iso(node, "lastSeenAt", live_started_ms(app->live));
		return node;
	}
	return NULL;
}

/* ---- scope ------------------------------------------------------------------------------------------------------- */

bool node_in_scope(const void *ctx, const struct scope_subject *subject, json_object *node)
{
	struct targets t = {NULL, 0};

	if (scope_is_total(subject))
		return true;
	expand_node(ctx, &t, node);
	return scope_decide(subject, t.at, t.count) == SCOPE_ALLOWED;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

status node_find(struct request *r, const char *id, json_object **node)
{
	json_object *stored;
	status st = store_get(r->store, r->mem, &model_nodes, id, &stored);

	if (st == ST_OK) {
		*node = node_wire(r->mem, r->app, r->now_ms, stored);
		return ST_OK;
	}
	if (st == ST_NOT_FOUND && strcmp(id, NODE_DEMO_ID) == 0 && demo_shown(r->app)) {
		*node = node_demo(r->mem, r->app);
		return ST_OK;
	}
	return st;
}

static void in_list_order(struct query *q)
{
	query_init(q);
	query_sort(q, "createdAt", false);
	query_sort(q, "id", false);
}

/* Wire forms of stored nodes, the demo node last. */
static json_object *wire_list(const void *ctx, const struct app *app, int64_t now_ms, const struct page *page)
{
	json_object *array = json_new_array(ctx), *demo = NULL;

	for (size_t i = 0; i < page->count; i++) {
		json_object *node = node_wire(ctx, app, now_ms, json_object_array_get_idx(page->docs, i));

		if (has_demo_id(node))
			demo = node;
		else
			json_push_ref(array, node);
	}
	if (demo == NULL && demo_shown(app))
		demo = node_demo(ctx, app);
	if (demo != NULL)
		json_push_ref(array, demo);
	return array;
}

status node_list(const void *ctx, const struct app *app, int64_t now_ms, json_object **array)
{
	struct query q;
	struct page page;

	in_list_order(&q);
	TRY(store_list(app->store, ctx, &model_nodes, &q, &page));
	*array = wire_list(ctx, app, now_ms, &page);
	return ST_OK;
}

status node_list_all(struct request *r, json_object **array)
{
	return node_list(r->mem, r->app, r->now_ms, array);
}

status node_find_visible(struct request *r, const char *id, json_object **node)
{
	TRY(node_find(r, id, node));
	return node_in_scope(r->mem, &r->who.scope, *node) ? ST_OK : ST_NOT_FOUND;
}

static json_object *visible(struct request *r, json_object *nodes)
{
	json_object *array = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		json_object *node = json_object_array_get_idx(nodes, i);

		if (node_in_scope(r->mem, &r->who.scope, node))
			json_push_ref(array, node);
	}
	return array;
}

status node_list_visible(struct request *r, json_object **array)
{
	TRY(node_list_all(r, array));
	*array = visible(r, *array);
	return ST_OK;
}

status node_list_visible_few(struct request *r, int64_t most, json_object **array)
{
	struct query q;
	struct page page;

	*array = NULL;
	in_list_order(&q);
	q.limit = most + 1;
	TRY(store_list(r->store, r->mem, &model_nodes, &q, &page));
	if ((int64_t)page.count <= most)
		*array = visible(r, wire_list(r->mem, r->app, r->now_ms, &page));
	return ST_OK;
}

status node_list_visible_among(struct request *r, json_object *ids, json_object **array)
{
	size_t n = json_object_array_length(ids);
	const char **list = mem_array(r->mem, const char *, n + 1);
	struct query q;
	struct page page;

	for (size_t i = 0; i < n; i++)
		list[i] = json_object_get_string(json_object_array_get_idx(ids, i));
	in_list_order(&q);
	query_where_in(&q, "id", list, n);
	TRY(store_list(r->store, r->mem, &model_nodes, &q, &page));
	*array = visible(r, wire_list(r->mem, r->app, r->now_ms, &page));
	return ST_OK;
}

struct each_visible {
	struct request *r;
	document_fn each;
	void *state;
	json_object *demo; /* comes last */
	bool stopped;
};

static bool give(struct each_visible *e, const void *ctx, json_object *node)
{
	e->stopped = node_in_scope(ctx, &e->r->who.scope, node) && !e->each(e->state, node);
	return !e->stopped;
}

static bool give_stored(void *state, json_object *stored)
{
	struct each_visible *e = state;
	void *ctx = talloc_new(NULL);
	json_object *node = node_wire(ctx, e->r->app, e->r->now_ms, stored);
	bool more = true;

	if (has_demo_id(node))
		e->demo = json_clone(e->r->mem, node);
	else
		more = give(e, ctx, node);
	talloc_free(ctx);
	return more;
}

status node_each_visible(struct request *r, document_fn each, void *state)
{
	struct each_visible e = {.r = r, .each = each, .state = state};
	struct query q;

	in_list_order(&q);
	TRY(store_each(r->store, &model_nodes, &q, give_stored, &e));
	if (e.demo == NULL && demo_shown(r->app))
		e.demo = node_demo(r->mem, r->app);
	if (e.demo != NULL && !e.stopped)
		give(&e, r->mem, e.demo);
	return ST_OK;
}

/* ---- parts of a node --------------------------------------------------------------------------------------------- */

json_object *node_interface(json_object *node, const char *id)
{
	json_object *interfaces = json_array(node, "interfaces");

	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++) {
		json_object *interface = json_object_array_get_idx(interfaces, i);

		if (text_equal(json_str(interface, "id"), id))
			return interface;
	}
	return NULL;
}

json_object *node_capacity(const void *ctx, json_object *node)
{
	json_object *capacity = json_object_at(node, "recordingCapacity");

	if (capacity == NULL) {
		capacity = json_new_object(ctx);
		json_set_int(capacity, "maxConcurrentRecordings", 1);
	}
	return capacity;
}
