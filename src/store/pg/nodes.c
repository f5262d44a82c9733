/* Nodes with their interfaces, channels and credentials; the health badge of recordings (contract 02 3, 4, 8, 10.4). */
#include "store/pg/pg.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

/* ---- credentials ------------------------------------------------------------------------------------------------- */

status pg_credential_find(void *backend, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	static const char touch[] = "UPDATE node_credentials SET last_used_at = $2::timestamptz"
	                            " WHERE id IN (SELECT id FROM node_credentials WHERE token_hash = $1::text"
	                            " AND revoked_at IS NULL"
	                            " AND (last_used_at IS NULL OR last_used_at < $3::timestamptz)"
	                            " FOR UPDATE SKIP LOCKED)";
	struct pg *p = backend;
	const char *values[] = {hash, param_time(ctx, now_ms), param_time(ctx, now_ms - PG_TOUCH_MS)};
	const char *look_up[] = {values[0], values[2]};
	struct batch b;
	size_t call;

	*out = NULL;
	batch_init(&b, ctx);
	call =
	    batch_add(&b,
	              "SELECT id, node_id, last_used_at IS NULL OR last_used_at < $2::timestamptz FROM node_credentials"
	              " WHERE token_hash = $1::text AND revoked_at IS NULL",
	              look_up, 2);
	TRY(pg_read(p, &b));
	if (batch_rows(&b, call) == 0)
		return ST_NOT_FOUND;
	*out = json_new_object(ctx);
	json_set_str(*out, "id", batch_cell(&b, call, 0, 0));
	json_set_str(*out, "nodeId", batch_cell(&b, call, 0, 1));
	if (strcmp(batch_cell(&b, call, 0, 2), "t") == 0)
		pg_touch(p, ctx, touch, values, 3);
	return ST_OK;
}

static status add_credential(struct batch *b, json_object *credential, const char *node_id)
{
	json_object *row = json_clone(b->ctx, credential);
	struct sql s;

	json_set_str(row, "nodeId", node_id);
	sql_init(&s, b->ctx);
	TRY(insert_build(&s, &model_credentials, row));
	batch_add(b, s.text.data, s.params.values, s.params.count);
	return ST_OK;
}

status pg_credential_rotate(void *backend, const void *ctx, const char *node_id, json_object *credential,
                            int64_t now_ms)
{
	const char *values[] = {param_text(ctx, node_id), param_time(ctx, now_ms)};
	struct batch b;
	size_t node;

	/* The lock comes with the round trip that tells whether there is such a node: only then the rest makes sense.
	 */
	batch_init(&b, ctx);
	node = batch_add(&b, "SELECT 1 FROM nodes WHERE id = $1::text FOR NO KEY UPDATE", values, 1);
	b.changes = TOPICS_NONE;
	TRY(pg_write(backend, &b));
	if (batch_rows(&b, node) == 0)
		return ST_NOT_FOUND;
	batch_init(&b, ctx);
	batch_add(&b,
	          "UPDATE node_credentials SET revoked_at = $2::timestamptz"
	          " WHERE node_id = $1::text AND revoked_at IS NULL",
	          values, 2);
	TRY(add_credential(&b, credential, values[0]));
	b.changes = TOPICS_NONE;
	return pg_write(backend, &b);
}

/* ---- enrollment -------------------------------------------------------------------------------------------------- */

static const char interfaces_sql[] =
    "INSERT INTO audio_interfaces (id, node_id, alias, backend, channel_count, sample_rates, system_name,"
    " system_ref, hardware_path, serial_number, created_at, updated_at)"
    " SELECT coalesce(i.v->>'id', gen_random_uuid()::text)::uuid, $1::text, i.v->>'alias',"
    " coalesce(i.v->>'backend', 'unknown'), (i.v->>'channelCount')::integer,"
    " coalesce(nullif(i.v->'sampleRates', 'null'), '[]'), i.v->>'systemName',"
    " coalesce(i.v->>'systemRef', i.v->>'systemName'), i.v->>'hardwarePath', i.v->>'serialNumber',"
    " $3::timestamptz + i.n * interval '1 microsecond', $3::timestamptz" /* listed in this order (02 3.5) */
    " FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS i(v, n)";

static const char channels_sql[] =
    "INSERT INTO audio_channels (interface_id, alias, channel_index)"
    " SELECT (i.v->>'id')::uuid, c.v->>'alias', (c.v->>'index')::integer"
    " FROM jsonb_array_elements($1::jsonb) AS i(v), jsonb_array_elements(i.v->'channels') AS c(v)"
    " WHERE jsonb_typeof(i.v->'channels') = 'array'";

/* Interfaces and channels of a node; every interface has an id. */
void node_add_interfaces(struct batch *b, const char *node_id, json_object *interfaces, const char *now)
{
	const char **values = mem_array(b->ctx, const char *, 4);

	if (!json_object_is_type(interfaces, json_type_array) || json_object_array_length(interfaces) == 0)
		return;
	values[0] = node_id;
	values[1] = param_json(b->ctx, interfaces);
	values[2] = now;
	values[3] = values[1];
	batch_add(b, interfaces_sql, values, 3);
	batch_add(b, channels_sql, values + 3, 1);
}

status pg_node_enroll(void *backend, const void *ctx, json_object *node, json_object *credential, json_object **stored)
{
	const char *id = json_str(node, "id");
	struct batch b;
	struct sql s;
	size_t call;

	*stored = NULL;
	sql_init(&s, ctx);
	TRY(insert_build(&s, &model_nodes, node));
	batch_init(&b, ctx);
	batch_add(&b, s.text.data, s.params.values, s.params.count);
	node_add_interfaces(&b, id, json_get(node, "interfaces"),
	                    json_str_or(node, "createdAt", param_time(ctx, clock_now_ms())));
	TRY(add_credential(&b, credential, id));
	if (!get_add(&b, &model_nodes, id, false, &call))
		return ST_INVALID;
	b.changes = topic_of(&model_nodes);
	TRY(pg_write(backend, &b));
	*stored = row_document(ctx, &model_nodes, b.calls[call].result, 0, 0);
	return ST_OK;
}

/* ---- heartbeat, interfaces --------------------------------------------------------------------------------------- */

/* A document with a beat in it, as the row will read back. */
static json_object *beaten(const void *ctx, json_object *node, json_object *beat, int64_t now_ms)
{
	json_object *after = json_shallow(ctx, node);

	json_merge(after, beat, false);
	json_set_iso(after, "lastSeenAt", now_ms);
	json_set_iso(after, "updatedAt", now_ms);
	model_nodes.repair(after);
	return after;
}

/*
 * The columns of a beat and nothing else (D-23); runtime keeps what it was when none is given. It asks for a durable
 * commit itself: a statement for that would be a fifth of what a beat costs the server.
 */
static const char beat_sql[] =
    "UPDATE nodes SET agent_version = $2::text, hostname = $3::text, network ="
    " (CASE WHEN jsonb_typeof(network) = 'object' THEN network ELSE '{}' END)"
    " || jsonb_build_object('ipAddresses', $4::jsonb), status = $5::node_status, metadata = CASE WHEN $6::jsonb IS NULL"
    " THEN metadata ELSE (CASE WHEN jsonb_typeof(metadata) = 'object' THEN metadata ELSE '{}' END)"
    " || jsonb_build_object('runtime', $6::jsonb) END, last_seen_at = $7::timestamptz, updated_at = $7::timestamptz"
    " WHERE id = $1::text AND set_config('synchronous_commit', 'on', true) = 'on'";

/* Puts the UPDATE off until commit; false if a value does not fit, which the usual way will say clearly. */
static bool defer_beat(struct pg *p, const char *node_id, json_object *beat, int64_t now_ms)
{
	static const char *const names[] = {"agentVersion", "hostname", "ipAddresses", "status"};
	const char **values;
	status st = ST_OK;

	deferred_drop(p);
	p->deferred_ctx = talloc_new(p);
	values = mem_array(p->deferred_ctx, const char *, 7);
	values[0] = param_text(p->deferred_ctx, node_id);
	for (size_t i = 0; i < 4 && st == ST_OK; i++)
		st = param_value(p->deferred_ctx, model_field_find(&model_nodes, names[i]), json_get(beat, names[i]),
		                 &values[i + 1]);
	values[5] = json_has(beat, "runtime") ? param_json(p->deferred_ctx, json_get(beat, "runtime")) : NULL;
	values[6] = param_time(p->deferred_ctx, now_ms);
	if (st != ST_OK || values[1] == NULL || values[2] == NULL || values[3] == NULL || values[4] == NULL) {
		deferred_drop(p);
		return false;
	}
	batch_init(&p->deferred, p->deferred_ctx);
	batch_add(&p->deferred, beat_sql, values, 7);
	return true;
}

/* A beat that says something new makes what was last known of nodes outdated; a mere sign of life does not. */
static void note_beat(struct pg *p, json_object *before, json_object *after)
{
	static const char *const names[] = {"agentVersion", "hostname", "ipAddresses", "status"};
	bool same = true;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		same = same && json_same(json_get(before, names[i]), json_get(after, names[i]));
	if (!same)
		stale_changed(p, topic_of(&model_nodes));
}

/*
 * A beat of a node whose record was announced (store_hint) and came along with the credential needs no round trip of
 * its own: the UPDATE travels with the commit.
 */
status pg_node_heartbeat(void *backend, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                         json_object **before, json_object **after)
{
	static const char *const names[] = {"agentVersion", "hostname", "ipAddresses", "status", "runtime"};
	struct pg *p = backend;
	const struct hint *known = p->unit ? NULL : hint_find(p, &model_nodes, node_id);
	json_object *patch = json_new_object(ctx), *earlier;
	struct query q;
	struct page page;

	*before = *after = NULL;
	if (known != NULL && known->doc == NULL)
		return ST_NOT_FOUND;
	if (known != NULL && defer_beat(p, node_id, beat, now_ms)) {
		*before = json_shallow(ctx, known->doc);
		*after = beaten(ctx, known->doc, beat, now_ms);
		note_beat(p, *before, *after);
		return ST_OK;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_set_ref(patch, names[i], json_get(beat, names[i]));
	json_set_iso(patch, "lastSeenAt", now_ms);
	json_set_iso(patch, "updatedAt", now_ms);
	query_init(&q);
	query_where(&q, "id", Q_EQ, node_id);
	TRY(pg_update(backend, ctx, &model_nodes, &q, patch, &page, &earlier));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*before = json_object_array_get_idx(earlier, 0);
	*after = json_object_array_get_idx(page.docs, 0);
	note_beat(p, *before, *after);
	return ST_OK;
}

/* "SET ..." of the columns that patch names; ST_INVALID for a value that does not fit. */
static status put_interface_changes(struct sql *s, json_object *patch, const char *now)
{
	static const struct model_field columns[] = {
	    {.name = "alias", .column = "alias", .type = M_TEXT, .max = 160, .flags = M_REQUIRED},
	    {.name = "hardwarePath", .column = "hardware_path", .type = M_TEXT, .max = 500},
	    {.name = "sampleRates", .column = "sample_rates", .type = M_TEXTS, .flags = M_REQUIRED},
	    {.name = "serialNumber", .column = "serial_number", .type = M_TEXT, .max = 255},
	    {.name = "systemName", .column = "system_name", .type = M_TEXT, .max = 255, .flags = M_REQUIRED},
	    {.name = "systemRef", .column = "system_ref", .type = M_TEXT, .max = 255, .flags = M_REQUIRED},
	};

	sql_put(s, "SET updated_at = ");
	sql_param(s, now, "timestamptz");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const struct model_field *f = &columns[i];
		const char *text;

		if (!json_has(patch, f->name))
			continue;
		TRY(param_value(s->text.ctx, f, json_get(patch, f->name), &text));
		if (text == NULL && (f->flags & M_REQUIRED))
			return ST_INVALID;
		sql_printf(s, ", %s = ", f->column);
		sql_param(s, text, sql_type(f));
	}
	return ST_OK;
}

/* The last of several entries for one index wins (02 8.3). */
static const char rename_sql[] =
    "UPDATE audio_channels c SET alias = x.alias FROM (SELECT DISTINCT ON (v->>'index')"
    " (v->>'index')::integer AS index, v->>'alias' AS alias"
    " FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS e(v, n) ORDER BY v->>'index', n DESC) x,"
    " audio_interfaces i WHERE i.id = $1::uuid AND i.node_id = $2::text AND c.interface_id = i.id"
    " AND c.channel_index = x.index";

status pg_interface_update(void *backend, const void *ctx, const char *node_id, const char *interface_id,
                           json_object *patch, int64_t now_ms, json_object **after)
{
	const char *values[] = {param_uuid(interface_id), param_text(ctx, node_id), NULL};
	struct batch b;
	struct sql s;
	size_t changed, node;

	*after = NULL;
	if (values[0] == NULL)
		return ST_NOT_FOUND;
	sql_init(&s, ctx);
	sql_put(&s, "UPDATE audio_interfaces ");
	TRY(put_interface_changes(&s, patch, param_time(ctx, now_ms)));
	sql_put(&s, " WHERE id = ");
	sql_param(&s, values[0], "uuid");
	sql_put(&s, " AND node_id = ");
	sql_param(&s, values[1], "text");
	batch_init(&b, ctx);
	changed = batch_add(&b, s.text.data, s.params.values, s.params.count);
	if (json_array(patch, "channels") != NULL) {
		values[2] = param_json(ctx, json_array(patch, "channels"));
		batch_add(&b, rename_sql, values, 3);
	}
	if (!get_add(&b, &model_nodes, node_id, false, &node))
		return ST_NOT_FOUND;
	b.changes = topic_of(&model_nodes);
	TRY(pg_write(backend, &b));
	if (batch_affected(&b, changed) == 0 || batch_rows(&b, node) == 0)
		return ST_NOT_FOUND;
	*after = row_document(ctx, &model_nodes, b.calls[node].result, 0, 0);
	return ST_OK;
}

/* ---- recordings -------------------------------------------------------------------------------------------------- */

/* The lock first: the events are looked at when nobody else can be about to write the badge (D-94). */
static const char lock_recording_sql[] = "SELECT 1 FROM recordings WHERE id = $1::text FOR NO KEY UPDATE";

static const char badge_sql[] =
    "UPDATE recordings t SET health_status = x.health FROM (SELECT CASE"
    " WHEN EXISTS (SELECT 1 FROM health_events e WHERE e.recording_id = $1::text AND e.severity = 'critical'"
    " AND e.status <> 'resolved') THEN 'critical'"
    " WHEN EXISTS (SELECT 1 FROM health_events e WHERE e.recording_id = $1::text AND e.severity = 'warning'"
    " AND e.status <> 'resolved') THEN 'warning' ELSE 'healthy' END AS health) x"
    " WHERE t.id = $1::text AND t.health_status IS DISTINCT FROM x.health";

status pg_health_sync(void *backend, const void *ctx, const char *recording_id, json_object **doc)
{
	const char *values[] = {param_text(ctx, recording_id)};
	struct batch b;
	size_t call;

	batch_init(&b, ctx);
	batch_add(&b, lock_recording_sql, values, 1);
	batch_add(&b, badge_sql, values, 1);
	if (!get_add(&b, &model_recordings, recording_id, false, &call))
		return ST_NOT_FOUND;
	b.changes = topic_of(&model_recordings);
	TRY(pg_write(backend, &b));
	if (batch_rows(&b, call) == 0)
		return ST_NOT_FOUND;
	if (doc != NULL)
		*doc = row_document(ctx, &model_recordings, b.calls[call].result, 0, 0);
	return ST_OK;
}
