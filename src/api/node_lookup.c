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

status node_list(const void *ctx, const struct app *app, int64_t now_ms, json_object **array)
{
	struct query q;
	struct page page;
	json_object *demo = NULL;

	query_init(&q);
	query_sort(&q, "createdAt", false);
	query_sort(&q, "id", false);
	TRY(store_list(app->store, ctx, &model_nodes, &q, &page));
	*array = json_new_array(ctx);
	for (size_t i = 0; i < page.count; i++) {
		json_object *stored = json_object_array_get_idx(page.docs, i);

		json_object *node = node_wire(ctx, app, now_ms, stored);

		if (has_demo_id(node))
			demo = node;
		else
			json_push_ref(*array, node);
	}
	if (demo == NULL && demo_shown(app))
		demo = node_demo(ctx, app);
	if (demo != NULL)
		json_push_ref(*array, demo);
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

status node_list_visible(struct request *r, json_object **array)
{
	json_object *all;

	TRY(node_list_all(r, &all));
	*array = json_new_array(r->mem);
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		json_object *node = json_object_array_get_idx(all, i);

		if (node_in_scope(r->mem, &r->who.scope, node))
			json_push_ref(*array, node);
	}
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
