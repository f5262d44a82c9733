/* What hangs together: the expansion of a scope target (contract 01 11.2) and the health of a recording (03 3.14). */
#include "store/file/file.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

/* The tables that a target can lead to, read when first needed. */
struct expansion {
	struct file_store *store;
	const void *ctx;
	struct targets *targets;
};

static status find(const struct expansion *x, const struct model *m, const char *id, json_object **doc)
{
	struct table *t;
	const struct element *e;

	*doc = NULL;
	if (id == NULL)
		return ST_OK;
	TRY(collection_read(x->store, collection_of(x->store, m), &t));
	e = table_find(t, id);
	if (e != NULL)
		*doc = e->doc;
	return ST_OK;
}

static void add(const struct expansion *x, const char *type, const char *id)
{
	targets_add(x->ctx, x->targets, type, id == NULL ? NULL : mem_strdup(x->ctx, id));
}

static void add_node(const struct expansion *x, json_object *node)
{
	json_object *location = json_object_at(node, "location");
	const char *site = json_str_or(location, "site", ""), *room = json_str_or(location, "room", "");

	if (node == NULL)
		return;
	add(x, "node", json_str(node, "id"));
	add(x, "site", site);
	add(x, "room", room);
	if (site[0] != '\0' && room[0] != '\0')
		add(x, "room", mem_printf(x->ctx, "%s/%s", site, room));
}

static status expand_node(const struct expansion *x, const char *id)
{
	json_object *node;

	TRY(find(x, &model_nodes, id, &node));
	add_node(x, node);
	return ST_OK;
}

static status expand_schedule(const struct expansion *x, const char *id)
{
	json_object *schedule;

	TRY(find(x, &model_schedules, id, &schedule));
	if (schedule == NULL)
		return ST_OK;
	add(x, "schedule", json_str(schedule, "id"));
	add(x, "room", json_str(schedule, "room"));
	return expand_node(x, json_str(schedule, "nodeId"));
}

static status expand_recording(const struct expansion *x, const char *id)
{
	json_object *recording;

	TRY(find(x, &model_recordings, id, &recording));
	if (recording == NULL)
		return ST_OK;
	add(x, "recording", json_str(recording, "id"));
	TRY(expand_schedule(x, json_str(recording, "scheduleId")));
	return expand_node(x, json_str(recording, "nodeId"));
}

static status expand_job(const struct expansion *x, const char *id)
{
	json_object *job;

	TRY(find(x, &model_jobs, id, &job));
	if (job == NULL)
		return ST_OK;
	TRY(expand_recording(x, json_str(job, "recordingId")));
	return expand_node(x, json_str(job, "nodeId"));
}

static status expand_event(const struct expansion *x, const char *id)
{
	json_object *event, *recording;

	TRY(find(x, &model_health_events, id, &event));
	if (event == NULL && text_is_uuid(id))
		TRY(find(x, &model_health_events, text_lower(x->ctx, id), &event));
	if (event == NULL)
		return ST_OK;
	add(x, "recording", json_str(event, "recordingId"));
	TRY(find(x, &model_recordings, json_str(event, "recordingId"), &recording));
	TRY(expand_schedule(x, json_str(recording, "scheduleId")));
	TRY(expand_schedule(x, json_str(event, "scheduleId")));
	TRY(expand_node(x, json_str(recording, "nodeId")));
	return expand_node(x, json_str(event, "nodeId"));
}

/* True if id is "<interface>:<index>" or "<node>:<interface>:<index>" of channel. */
static bool names_channel(const struct expansion *x, const char *id, json_object *node, json_object *interface,
                          json_object *channel)
{
	char *shorter =
	    mem_printf(x->ctx, "%s:%lld", json_str_or(interface, "id", ""), (long long)json_int(channel, "index", 0));

	return strcmp(id, shorter) == 0 ||
	       strcmp(id, mem_printf(x->ctx, "%s:%s", json_str_or(node, "id", ""), shorter)) == 0;
}

/* The channel of interface that id names, or NULL. */
static json_object *channel_named(const struct expansion *x, const char *id, json_object *node, json_object *interface)
{
	const char *interface_id = json_str(interface, "id");
	json_object *channels = json_array(interface, "channels");

	if (interface_id == NULL || strstr(id, interface_id) == NULL)
		return NULL;
	for (size_t i = 0; channels != NULL && i < json_object_array_length(channels); i++) {
		json_object *channel = json_object_array_get_idx(channels, i);

		if (names_channel(x, id, node, interface, channel))
			return channel;
	}
	return NULL;
}

/* True if the target (an interface, or a channel of one) is of this node; then its targets are added. */
static bool expand_in_node(const struct expansion *x, bool is_channel, const char *id, json_object *node)
{
	json_object *interfaces = json_array(node, "interfaces");

	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++) {
		json_object *interface = json_object_array_get_idx(interfaces, i), *channel = NULL;
		const char *interface_id = json_str(interface, "id");

		if (is_channel)
			channel = channel_named(x, id, node, interface);
		if (is_channel ? channel == NULL : !text_equal(interface_id, id))
			continue;
		if (channel != NULL)
			add(x, "channel",
			    mem_printf(x->ctx, "%s:%lld", interface_id, (long long)json_int(channel, "index", 0)));
		add(x, "interface", interface_id);
		add_node(x, node);
		return true;
	}
	return false;
}

/* The first node in list order that has it. */
static status expand_part(const struct expansion *x, bool is_channel, const char *id)
{
	struct collection *c = collection_of(x->store, &model_nodes);
	void *tmp = talloc_new(NULL);
	struct selection rows;
	struct query q;
	struct table *t;
	status st;

	query_init(&q);
	st = collection_read(x->store, c, &t);
	if (st == ST_OK)
		st = select_places(x->store, tmp, c, t, &q, &rows);
	for (size_t i = 0; st == ST_OK && i < rows.count; i++)
		if (expand_in_node(x, is_channel, id, t->at[rows.places[i]]->doc))
			break;
	talloc_free(tmp);
	return st;
}

status file_expand(void *b, const void *ctx, const char *type, const char *id, struct targets *t)
{
	const struct expansion x = {.store = file_enter(b), .ctx = ctx, .targets = t};

	add(&x, mem_strdup(ctx, type), id);
	if (id == NULL || id[0] == '\0')
		return ST_OK;
	if (strcmp(type, "node") == 0)
		return expand_node(&x, id);
	if (strcmp(type, "schedule") == 0)
		return expand_schedule(&x, id);
	if (strcmp(type, "recording") == 0)
		return expand_recording(&x, id);
	if (strcmp(type, "recording_job") == 0)
		return expand_job(&x, id);
	if (strcmp(type, "health_event") == 0)
		return expand_event(&x, id);
	if (strcmp(type, "interface") == 0 || strcmp(type, "channel") == 0)
		return expand_part(&x, type[0] == 'c', id);
	return ST_OK;
}

/* ---- health ------------------------------------------------------------------------------------- */

/* Unresolved events of the recording decide; acknowledged and suppressed ones count too (09 D-94). */
static const char *health_of(const struct table *events, const char *recording_id)
{
	const char *health = "healthy";

	for (size_t i = 0; i < events->count; i++) {
		json_object *event = events->at[i]->doc;
		const char *severity = json_str_or(event, "severity", "");

		if (events->at[i]->hidden || !text_equal(json_str(event, "recordingId"), recording_id) ||
		    text_equal(json_str(event, "status"), "resolved"))
			continue;
		if (strcmp(severity, "critical") == 0)
			return "critical";
		if (strcmp(severity, "warning") == 0)
			health = "warning";
	}
	return health;
}

status file_health_sync(void *b, const void *ctx, const char *recording_id, json_object **doc)
{
	struct file_store *s = file_enter(b);
	struct collection *recordings = collection_of(s, &model_recordings);
	struct table *t, *events;
	struct element *e;
	const char *health;

	TRY(unit_begin(s));
	TRY(collection_read(s, collection_of(s, &model_health_events), &events));
	TRY(collection_read(s, recordings, &t));
	e = table_find(t, recording_id);
	if (e == NULL)
		return ST_NOT_FOUND;
	health = health_of(events, recording_id);
	if (!text_equal(json_str(e->doc, "healthStatus"), health)) {
		json_object *patch = json_new_object(ctx);

		json_set_str(patch, "healthStatus", health);
		TRY(document_change(recordings, table_place(t, e), patch, NULL));
		e = table_find(recordings->work, recording_id);
	}
	if (doc != NULL)
		*doc = element_out(ctx, recordings, e);
	return ST_OK;
}
