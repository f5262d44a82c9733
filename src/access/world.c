#include "access/world.h"

#include "access/expand.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static status list_all(const void *ctx, struct store *s, const struct model *m, json_object **docs)
{
	struct query q;
	struct page page;

	query_init(&q);
	TRY(store_list(s, ctx, m, &q, &page));
	*docs = page.docs;
	return ST_OK;
}

static json_object *by_id(const void *ctx, json_object *docs)
{
	json_object *map = json_new_object(ctx);

	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *doc = json_object_array_get_idx(docs, i);

		json_set_ref(map, json_str_or(doc, "id", ""), doc);
	}
	return map;
}

static status world_read(const void *ctx, struct store *s, const struct principal *p, struct world *w)
{
	json_object *demo;

	memset(w, 0, sizeof(*w));
	TRY(list_all(ctx, s, &model_nodes, &w->nodes));
	TRY(expand_demo_node(ctx, s, p, &demo));
	if (demo != NULL)
		json_push_ref(w->nodes, demo);
	TRY(list_all(ctx, s, &model_schedules, &w->schedules));
	w->nodes_by_id = by_id(ctx, w->nodes);
	w->schedules_by_id = by_id(ctx, w->schedules);
	w->recordings = json_new_object(ctx);
	w->jobs = json_new_object(ctx);
	w->events = json_new_object(ctx);
	return ST_OK;
}

status world_open(const void *ctx, struct store *s, const struct principal *p, struct world *w)
{
	bool before = store_degrade_access(s, true);
	status st = world_read(ctx, s, p, w);

	store_degrade_access(s, before);
	return st;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* The documents whose ids are the keys of `wanted`, by id. */
static status fetch(const void *ctx, struct store *s, const struct model *m, json_object *wanted, json_object **found)
{
	size_t count = (size_t)json_object_object_length(wanted), n = 0;
	const char **ids = mem_array(ctx, const char *, count + 1);
	struct query q;
	struct page page;

	*found = json_new_object(ctx);
	if (count == 0)
		return ST_OK;
	json_object_object_foreach(wanted, id, unused)
	{
		(void)unused;
		ids[n++] = id;
	}
	query_init(&q);
	query_where_in(&q, "id", ids, count);
	TRY(store_list(s, ctx, m, &q, &page));
	*found = by_id(ctx, page.docs);
	return ST_OK;
}

static void want_recordings_of(json_object *docs, json_object *wanted)
{
	json_object_object_foreach(docs, id, doc)
	{
		(void)id;
		if (json_str(doc, "recordingId") != NULL)
			json_set_bool(wanted, json_str(doc, "recordingId"), true);
	}
}

static status load(const void *ctx, struct store *s, struct world *w, const struct target *targets, size_t count)
{
	json_object *recordings = json_new_object(ctx), *jobs = json_new_object(ctx), *events = json_new_object(ctx);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(targets[i].type, "recording") == 0)
			json_set_bool(recordings, targets[i].id, true);
		else if (strcmp(targets[i].type, "recording_job") == 0)
			json_set_bool(jobs, targets[i].id, true);
		else if (strcmp(targets[i].type, "health_event") == 0)
			json_set_bool(events, text_lower(ctx, targets[i].id), true);
	}
	TRY(fetch(ctx, s, &model_jobs, jobs, &w->jobs));
	TRY(fetch(ctx, s, &model_health_events, events, &w->events));
	want_recordings_of(w->jobs, recordings);
	want_recordings_of(w->events, recordings);
	return fetch(ctx, s, &model_recordings, recordings, &w->recordings);
}

status world_load(const void *ctx, struct store *s, struct world *w, const struct target *targets, size_t count)
{
	bool before = store_degrade_access(s, true);
	status st = load(ctx, s, w, targets, count);

	store_degrade_access(s, before);
	return st;
}

/* ---- expansion --------------------------------------------------------------------------------------------------- */

/* The member called id of a map; NULL for no id. */
static json_object *lookup(json_object *map, const char *id)
{
	return id != NULL ? json_get(map, id) : NULL;
}

void world_node(const void *ctx, const struct world *w, const char *id, struct targets *t)
{
	json_object *node = lookup(w->nodes_by_id, id);

	if (node != NULL)
		expand_node(ctx, t, node);
}

void world_schedule(const void *ctx, const struct world *w, const char *id, struct targets *t)
{
	json_object *schedule = lookup(w->schedules_by_id, id);

	if (schedule == NULL)
		return;
	targets_add(ctx, t, "schedule", id);
	targets_add(ctx, t, "room", json_str(schedule, "room"));
	world_node(ctx, w, json_str(schedule, "nodeId"), t);
}

void world_recording(const void *ctx, const struct world *w, const char *id, struct targets *t)
{
	json_object *recording = lookup(w->recordings, id);

	if (recording == NULL)
		return;
	targets_add(ctx, t, "recording", id);
	world_schedule(ctx, w, json_str(recording, "scheduleId"), t);
	world_node(ctx, w, json_str(recording, "nodeId"), t);
}

static void expand_job(const void *ctx, const struct world *w, const char *id, struct targets *t)
{
	json_object *job = lookup(w->jobs, id);

	world_recording(ctx, w, json_str(job, "recordingId"), t);
	world_node(ctx, w, json_str(job, "nodeId"), t);
}

/* The recording of an event counts even if it is gone. */
static void expand_event(const void *ctx, const struct world *w, const char *id, struct targets *t)
{
	json_object *event = lookup(w->events, text_lower(ctx, id));

	targets_add(ctx, t, "recording", json_str(event, "recordingId"));
	world_recording(ctx, w, json_str(event, "recordingId"), t);
	world_schedule(ctx, w, json_str(event, "scheduleId"), t);
	world_node(ctx, w, json_str(event, "nodeId"), t);
}

/* The first node of the list that has the interface or channel. */
static void expand_part(const void *ctx, const struct world *w, bool channel, const char *id, struct targets *t)
{
	for (size_t i = 0; i < json_object_array_length(w->nodes); i++) {
		json_object *node = json_object_array_get_idx(w->nodes, i);

		if (channel ? expand_channel(ctx, t, node, id) : expand_interface(node, id) != NULL) {
			expand_node(ctx, t, node);
			return;
		}
	}
}

void world_expand(const void *ctx, const struct world *w, const char *type, const char *id, struct targets *t)
{
	targets_add(ctx, t, type, id);
	if (strcmp(type, "node") == 0)
		world_node(ctx, w, id, t);
	else if (strcmp(type, "schedule") == 0)
		world_schedule(ctx, w, id, t);
	else if (strcmp(type, "recording") == 0)
		world_recording(ctx, w, id, t);
	else if (strcmp(type, "recording_job") == 0)
		expand_job(ctx, w, id, t);
	else if (strcmp(type, "health_event") == 0)
		expand_event(ctx, w, id, t);
	else if (strcmp(type, "interface") == 0 || strcmp(type, "channel") == 0)
		expand_part(ctx, w, type[0] == 'c', id, t);
}
