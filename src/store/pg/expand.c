/* What a target stands for (contract 01 11.2), in one statement whatever its type. */
#include "store/pg/pg.h"

#include "base/text.h"

#include <ctype.h>
#include <string.h>

/*
 * Every statement yields rows (kind, id, text, json): recordings by id, schedules with their room, nodes with their
 * location, and ids of the type asked for. $1 is the id.
 *
 * DERIVED needs the tables r (id, schedule_id, node_id: the recording), sref (id: more schedules), nref (id: more
 * nodes).
 */
#define DERIVED                                                                                                        \
	", s AS (SELECT id, room, node_id FROM schedules WHERE id IN (SELECT schedule_id FROM r UNION ALL"             \
	" SELECT id FROM sref))"                                                                                       \
	" SELECT 'recording', id, NULL, NULL::jsonb FROM r"                                                            \
	" UNION ALL SELECT 'schedule', id, room, NULL FROM s"                                                          \
	" UNION ALL SELECT 'node', id, NULL, location FROM nodes WHERE id IN (SELECT node_id FROM r UNION ALL"         \
	" SELECT node_id FROM s UNION ALL SELECT id FROM nref)"

#define NO_REF "SELECT NULL::text AS id WHERE false"
#define NO_RECORDING "SELECT NULL::text AS id, NULL::text AS schedule_id, NULL::text AS node_id WHERE false"
#define RECORDING "SELECT id, schedule_id, node_id FROM recordings WHERE id"

static const char node_sql[] = "SELECT 'node', id, NULL, location FROM nodes WHERE id = $1::text";

static const char schedule_sql[] =
    "WITH r AS (" NO_RECORDING "), sref AS (SELECT $1::text AS id), nref AS (" NO_REF ")" DERIVED;

static const char recording_sql[] =
    "WITH r AS (" RECORDING " = $1::text), sref AS (" NO_REF "), nref AS (" NO_REF ")" DERIVED;

static const char job_sql[] = "WITH j AS (SELECT recording_id, node_id FROM recording_jobs WHERE id = $1::text),"
                              " r AS (" RECORDING " IN (SELECT recording_id FROM j)), sref AS (" NO_REF
                              "), nref AS (SELECT node_id AS id FROM j)" DERIVED;

/* The recording of an event counts even if it is gone. */
static const char event_sql[] =
    "WITH e AS (SELECT recording_id, schedule_id, node_id FROM health_events WHERE id = $1::uuid),"
    " r AS (" RECORDING " IN (SELECT recording_id FROM e)), sref AS (SELECT schedule_id AS id FROM e),"
    " nref AS (SELECT node_id AS id FROM e)" DERIVED
    " UNION ALL SELECT 'recording', recording_id, NULL, NULL FROM e WHERE recording_id IS NOT NULL";

static const char interface_sql[] =
    "SELECT 'node', n.id, NULL, n.location FROM audio_interfaces i JOIN nodes n ON n.id = i.node_id"
    " WHERE i.id = $1::uuid AND i.id::text = $1::text";

/* $1 interface, $2 channel index as text, $3 node or null. */
static const char channel_sql[] =
    "SELECT 'node', n.id, NULL, n.location FROM audio_interfaces i JOIN nodes n ON n.id = i.node_id"
    " WHERE i.id = $1::uuid AND i.id::text = $1::text AND ($3::text IS NULL OR i.node_id = $3::text)"
    " AND EXISTS (SELECT 1 FROM audio_channels c WHERE c.interface_id = i.id AND c.channel_index::text = $2::text)";

/* N(node): node, site, room, site/room. */
static void add_node(const void *ctx, struct targets *t, const char *id, json_object *location)
{
	const char *site = json_str(location, "site"), *room = json_str(location, "room");

	if (text_blank(site))
		site = "Unknown Site";
	if (text_blank(room))
		room = "Unknown Room";
	targets_add(ctx, t, "node", id);
	targets_add(ctx, t, "site", mem_strdup(ctx, site));
	targets_add(ctx, t, "room", mem_strdup(ctx, room));
	targets_add(ctx, t, "room", mem_printf(ctx, "%s/%s", site, room));
}

/* Adds what the rows name; they are gone when the batch is, so texts are copied. */
static void add_rows(const void *ctx, struct targets *t, const struct batch *b, size_t call)
{
	for (int row = 0; row < batch_rows(b, call); row++) {
		const char *kind = batch_cell(b, call, row, 0);
		const char *id = mem_strdup(ctx, batch_cell(b, call, row, 1));
		const char *room = batch_cell(b, call, row, 2);

		if (strcmp(kind, "node") == 0) {
			add_node(ctx, t, id, row_json(ctx, batch_cell(b, call, row, 3)));
			continue;
		}
		targets_add(ctx, t, mem_strdup(ctx, kind), id);
		if (room != NULL)
			targets_add(ctx, t, "room", mem_strdup(ctx, room));
	}
}

/* Splits "<interface>:<index>" or "<node>:<interface>:<index>"; false if id has another form. */
static bool split_channel(const void *ctx, const char *id, const char **node, const char **interface,
                          const char **index)
{
	const char *end = strrchr(id, ':');
	char *head, *colon;

	if (end == NULL || end[1] == '\0' || strspn(end + 1, "0123456789") != strlen(end + 1))
		return false;
	head = mem_strndup(ctx, id, (size_t)(end - id));
	colon = strrchr(head, ':');
	*index = end + 1;
	*node = NULL;
	*interface = head;
	if (colon != NULL) {
		*colon = '\0';
		*node = head;
		*interface = colon + 1;
	}
	return text_is_uuid(*interface);
}

static status expand_channel(struct pg *p, const void *ctx, const char *id, struct targets *t)
{
	const char *values[3];
	struct batch b;
	size_t call;

	if (!split_channel(ctx, id, &values[2], &values[0], &values[1]))
		return ST_OK;
	batch_init(&b, ctx);
	call = batch_add(&b, channel_sql, values, 3);
	TRY(pg_read(p, &b));
	if (batch_rows(&b, call) == 0)
		return ST_OK;
	targets_add(ctx, t, "channel", mem_printf(ctx, "%s:%s", values[0], values[1]));
	targets_add(ctx, t, "interface", values[0]);
	add_rows(ctx, t, &b, call);
	return ST_OK;
}

static const char *statement_for(const char *type, const char *id)
{
	static const struct {
		const char *type, *sql;
		bool uuid;
	} known[] = {{"node", node_sql, false},         {"interface", interface_sql, true},
	             {"schedule", schedule_sql, false}, {"recording", recording_sql, false},
	             {"recording_job", job_sql, false}, {"health_event", event_sql, true}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].type, type) == 0)
			return known[i].uuid && !text_is_uuid(id) ? NULL : known[i].sql;
	return NULL;
}

status pg_expand(void *backend, const void *ctx, const char *type, const char *id, struct targets *t)
{
	const char *sql = statement_for(type, id);
	const char *values[] = {id};
	struct batch b;
	size_t call;

	targets_add(ctx, t, type, id);
	if (!text_valid_utf8(id, strlen(id)))
		return ST_OK;
	if (strcmp(type, "channel") == 0)
		return expand_channel(backend, ctx, id, t);
	if (sql == NULL)
		return ST_OK;
	batch_init(&b, ctx);
	call = batch_add(&b, sql, values, 1);
	TRY(pg_read(backend, &b));
	add_rows(ctx, t, &b, call);
	return ST_OK;
}
