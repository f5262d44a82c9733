#include "access/expand.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static const char demo_id[] = "node_x32_test";

void expand_node(const void *ctx, struct targets *t, json_object *node)
{
	json_object *location = json_object_at(node, "location");
	const char *site = json_str_or(location, "site", ""), *room = json_str_or(location, "room", "");

	targets_add(ctx, t, "node", json_str(node, "id"));
	targets_add(ctx, t, "site", site);
	targets_add(ctx, t, "room", room);
	if (site[0] != '\0' && room[0] != '\0')
		targets_add(ctx, t, "room", mem_printf(ctx, "%s/%s", site, room));
}

bool expand_has_parents(const char *type)
{
	static const char *const types[] = {"node",      "interface",     "channel",     "schedule",
	                                    "recording", "recording_job", "health_event"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* ---- the demo node, which the database does not know ------------------------------------------------------------- */

static json_object *demo_document(const void *ctx)
{
	json_object *nodes = json_new_array(ctx);

	if (model_nodes.seed != NULL)
		model_nodes.seed(nodes, true);
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		json_object *node = json_object_array_get_idx(nodes, i);

		if (text_equal(json_str(node, "id"), demo_id))
			return node;
	}
	return NULL;
}

status expand_demo_node(const void *ctx, struct store *s, const struct principal *p, json_object **node)
{
	json_object *row;
	status st;

	*node = NULL;
	if (!p->demo_node)
		return ST_OK;
	st = store_get(s, ctx, &model_nodes, demo_id, &row);
	if (st == ST_NOT_FOUND) {
		*node = demo_document(ctx);
		return ST_OK;
	}
	return st;
}

json_object *expand_interface(json_object *node, const char *id)
{
	json_object *list = json_array(node, "interfaces");

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *one = json_object_array_get_idx(list, i);

		if (text_equal(json_str(one, "id"), id))
			return one;
	}
	return NULL;
}

bool expand_channel(const void *ctx, struct targets *t, json_object *node, const char *id)
{
	json_object *list = json_array(node, "interfaces");
	const char *node_id = json_str_or(node, "id", "");

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *one = json_object_array_get_idx(list, i), *channels = json_array(one, "channels");
		const char *interface_id = json_str_or(one, "id", "");

		for (size_t k = 0; channels != NULL && k < json_object_array_length(channels); k++) {
			json_object *channel = json_object_array_get_idx(channels, k);
			const char *name =
			    mem_printf(ctx, "%s:%lld", interface_id, (long long)json_int(channel, "index", 0));

			if (strcmp(id, name) != 0 && strcmp(id, mem_printf(ctx, "%s:%s", node_id, name)) != 0)
				continue;
			targets_add(ctx, t, "channel", name);
			targets_add(ctx, t, "interface", interface_id);
			return true;
		}
	}
	return false;
}

static status schedule_uses_demo(const void *ctx, struct store *s, const char *id, bool *uses);

/* True if the document, its recording or its schedule belongs to the demo node. */
static status document_uses_demo(const void *ctx, struct store *s, const struct model *m, const char *id, bool *uses)
{
	json_object *doc;
	status st = store_get(s, ctx, m, id, &doc);

	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st != ST_OK)
		return st;
	if (text_equal(json_str(doc, "nodeId"), demo_id)) {
		*uses = true;
		return ST_OK;
	}
	if (m != &model_schedules && json_str(doc, "scheduleId") != NULL)
		TRY(schedule_uses_demo(ctx, s, json_str(doc, "scheduleId"), uses));
	if (!*uses && m != &model_recordings && json_str(doc, "recordingId") != NULL)
		return document_uses_demo(ctx, s, &model_recordings, json_str(doc, "recordingId"), uses);
	return ST_OK;
}

static status schedule_uses_demo(const void *ctx, struct store *s, const char *id, bool *uses)
{
	return document_uses_demo(ctx, s, &model_schedules, id, uses);
}

static status uses_demo(const void *ctx, struct store *s, const char *type, const char *id, bool *uses)
{
	if (strcmp(type, "schedule") == 0)
		return schedule_uses_demo(ctx, s, id, uses);
	if (strcmp(type, "recording") == 0)
		return document_uses_demo(ctx, s, &model_recordings, id, uses);
	if (strcmp(type, "recording_job") == 0)
		return document_uses_demo(ctx, s, &model_jobs, id, uses);
	if (strcmp(type, "health_event") == 0)
		return document_uses_demo(ctx, s, &model_health_events, id, uses);
	return ST_OK;
}

static bool has_node(const struct targets *t)
{
	for (size_t i = 1; i < t->count; i++)
		if (strcmp(t->at[i].type, "node") == 0)
			return true;
	return false;
}

/* What the store cannot know: parents of the demo node. */
static status add_demo(const void *ctx, struct store *s, const struct principal *p, const char *type, const char *id,
                       struct targets *t)
{
	json_object *node;
	bool uses = false;

	TRY(expand_demo_node(ctx, s, p, &node));
	if (node == NULL)
		return ST_OK;
	if (strcmp(type, "node") == 0)
		uses = strcmp(id, demo_id) == 0;
	else if (strcmp(type, "interface") == 0)
		uses = !has_node(t) && expand_interface(node, id) != NULL;
	else if (strcmp(type, "channel") == 0)
		uses = !has_node(t) && expand_channel(ctx, t, node, id);
	else
		TRY(uses_demo(ctx, s, type, id, &uses));
	if (uses)
		expand_node(ctx, t, node);
	return ST_OK;
}

status expand_target(const void *ctx, struct store *s, const struct principal *p, const char *type, const char *id,
                     struct targets *t)
{
	targets_add(ctx, t, type, id);
	if (!expand_has_parents(type))
		return ST_OK;
	TRY(store_expand(s, ctx, type, id, t));
	if (!p->demo_node)
		return ST_OK;
	return add_demo(ctx, s, p, type, id, t);
}
