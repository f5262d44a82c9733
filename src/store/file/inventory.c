/* Nodes and their credentials (contract 02 3, 4, 8, 10.4; 07 2.7). */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- credentials -------------------------------------------------------------------------------- */

/* Last use is not noted: it would rewrite the file with every agent call, and nothing shows it. */
status file_credential_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	struct file_store *s = file_enter(b);
	const struct element *e;
	struct table *t;

	(void)now_ms;
	TRY(collection_read(s, collection_of(s, &model_credentials), &t));
	e = table_find_key(t, hash);
	if (e == NULL || json_get(e->doc, "revokedAt") != NULL)
		return ST_NOT_FOUND;
	*out = json_new_object(ctx);
	json_set_str(*out, "id", e->id);
	json_set_copy(*out, "nodeId", json_get(e->doc, "nodeId"));
	return ST_OK;
}

/* created_by_user_id refers to a user: null when there is no such row. */
static status add_credential(struct file_store *s, const void *ctx, json_object *credential)
{
	json_object *copy = json_clone(ctx, credential);
	const char *by = json_str(credential, "createdByUserId");
	struct table *users;

	if (by != NULL) {
		TRY(collection_read(s, collection_of(s, &model_users), &users));
		if (!text_is_uuid(by) || table_find(users, text_lower(ctx, by)) == NULL)
			json_object_object_del(copy, "createdByUserId");
	}
	return document_add(s, &model_credentials, copy, NULL);
}

status file_credential_rotate(void *b, const void *ctx, const char *node_id, json_object *credential, int64_t now_ms)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_credentials);
	json_object *patch = json_new_object(ctx);
	struct table *nodes, *t;

	json_set_iso(patch, "revokedAt", now_ms);
	TRY(unit_begin(s));
	TRY(collection_read(s, collection_of(s, &model_nodes), &nodes));
	if (table_find(nodes, node_id) == NULL)
		return ST_NOT_FOUND;
	TRY(collection_read(s, c, &t));
	for (size_t i = 0; i < t->count; i++) {
		json_object *doc = t->at[i]->doc;

		if (t->at[i]->hidden || json_get(doc, "revokedAt") != NULL ||
		    !text_equal(json_str(doc, "nodeId"), node_id))
			continue;
		TRY(document_change(c, i, patch, NULL));
		t = c->work;
	}
	return add_credential(s, ctx, credential);
}

/* ---- nodes -------------------------------------------------------------------------------------- */

/* Ids for interfaces that came without; system_ref defaults to the system name, channels to "Channel 1".. (02 8.1). */
static void complete_interface(json_object *interface)
{
	json_object *channels = json_array(interface, "channels");
	char id[UUID_SIZE];

	if (json_str(interface, "id") == NULL) {
		uuid_v4(id);
		json_set_str(interface, "id", id);
	}
	if (json_str(interface, "systemRef") == NULL)
		json_set_copy(interface, "systemRef", json_get(interface, "systemName"));
	if (channels != NULL && json_object_array_length(channels) > 0)
		return;
	channels = json_object_new_array();
	for (int64_t i = 1; i <= json_int(interface, "channelCount", 0); i++) {
		json_object *channel = json_object_new_object();
		char *alias = mem_printf(NULL, "Channel %lld", (long long)i);

		json_set_str(channel, "alias", alias);
		json_set_int(channel, "index", i);
		json_object_array_add(channels, channel);
		talloc_free(alias);
	}
	json_object_object_add(interface, "channels", channels);
}

status file_node_enroll(void *b, const void *ctx, json_object *node, json_object *credential, json_object **stored)
{
	struct file_store *s = file_enter(b);
	json_object *copy = json_clone(ctx, node), *interfaces = json_array(copy, "interfaces"), *added;

	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++)
		complete_interface(json_object_array_get_idx(interfaces, i));
	TRY(document_add(s, &model_nodes, copy, &added));
	*stored = document_out(ctx, &model_nodes, added);
	return add_credential(s, ctx, credential);
}

/* The node's place in the table for a change of it; the unit of work is open afterwards. */
static status node_place(struct file_store *s, const char *node_id, struct table **t, size_t *place)
{
	struct element *e;

	TRY(unit_begin(s));
	TRY(collection_read(s, collection_of(s, &model_nodes), t));
	e = table_find(*t, node_id);
	if (e == NULL)
		return ST_NOT_FOUND;
	*place = table_place(*t, e);
	return ST_OK;
}

status file_node_heartbeat(void *b, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                           json_object **before, json_object **after)
{
	static const char *const members[] = {"agentVersion", "hostname", "ipAddresses", "runtime", "status"};
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_nodes);
	json_object *patch = json_new_object(ctx), *doc;
	struct table *t;
	size_t place;

	TRY(node_place(s, node_id, &t, &place));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_set_ref(patch, members[i], json_get(beat, members[i]));
	json_set_iso(patch, "lastSeenAt", now_ms);
	*before = document_out(ctx, &model_nodes, t->at[place]->doc);
	TRY(document_change(c, place, patch, &doc));
	*after = document_out(ctx, &model_nodes, doc);
	return ST_OK;
}

/* Renames the channels that exist; of several names for one index the last counts (02 8.3). */
static void rename_channels(json_object *interface, json_object *names)
{
	json_object *channels = json_array(interface, "channels");

	for (size_t i = 0; names != NULL && channels != NULL && i < json_object_array_length(names); i++) {
		json_object *name = json_object_array_get_idx(names, i);

		for (size_t k = 0; k < json_object_array_length(channels); k++) {
			json_object *channel = json_object_array_get_idx(channels, k);

			if (json_int(channel, "index", -1) == json_int(name, "index", -2))
				json_set_copy(channel, "alias", json_get(name, "alias"));
		}
	}
}

static void patch_interface(json_object *interface, json_object *patch)
{
	static const char *const members[] = {"alias",        "hardwarePath", "sampleRates",
	                                      "serialNumber", "systemName",   "systemRef"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (json_get(patch, members[i]) != NULL)
			json_set_copy(interface, members[i], json_get(patch, members[i]));
		else if (json_has(patch, members[i]))
			json_object_object_del(interface, members[i]);
	}
	rename_channels(interface, json_array(patch, "channels"));
}

status file_interface_update(void *b, const void *ctx, const char *node_id, const char *interface_id,
                             json_object *patch, int64_t now_ms, json_object **after)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_nodes);
	json_object *changes = json_new_object(ctx), *interfaces, *doc;
	struct table *t;
	size_t place;
	bool found = false;

	(void)now_ms; /* updatedAt touches itself */
	TRY(node_place(s, node_id, &t, &place));
	json_set_copy(changes, "interfaces", json_get(t->at[place]->doc, "interfaces"));
	interfaces = json_array(changes, "interfaces");
	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++) {
		json_object *interface = json_object_array_get_idx(interfaces, i);

		if (!text_equal(json_str(interface, "id"), interface_id))
			continue;
		found = true;
		patch_interface(interface, patch);
	}
	if (!found)
		return ST_NOT_FOUND;
	TRY(document_change(c, place, changes, &doc));
	*after = document_out(ctx, &model_nodes, doc);
	return ST_OK;
}
