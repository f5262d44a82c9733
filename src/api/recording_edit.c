/* Metadata of recordings, one or many (contract 03 3.5; 09 D-12, D-30: only the fields given are written). */
#include "api/recording_lookup.h"
#include "api/recordings.h"
#include "api/route.h"
#include "api/selection.h"
#include "base/mem.h"
#include "base/text.h"

#define ONE_FIELD "Expected at least one metadata field"

static const struct schema_field tag = {.name = "tag", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 48};
static const struct schema_field snippet = {.name = "snippet", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 500};

#define TAG_LIST(n)                                                                                                    \
	{                                                                                                              \
		.name = (n), .type = V_ARRAY, .max = 32, .item = &tag                                                  \
	}

static const char *check_some(json_object *body)
{
	return json_object_object_length(body) > 0 ? NULL : ONE_FIELD;
}

static const struct schema_field one_fields[] = {
    {.name = "folder", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 240},
    {.name = "name", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 240},
    {.name = "notes", .type = V_STR, .flags = S_TRIM | S_NULLABLE, .max = 2000},
    TAG_LIST("tags"),
    {.name = "transcriptSnippets", .type = V_ARRAY, .flags = S_NULLABLE, .max = 20, .item = &snippet},
};
static const struct schema one_schema = SCHEMA(one_fields, S_STRICT, check_some);

/* What an edit may change, for before and after. */
static json_object *snapshot(struct request *r, json_object *doc, bool with_id)
{
	json_object *o = json_new_object(r->mem);

	if (with_id)
		json_set_copy(o, "id", json_get(doc, "id"));
	json_set_copy(o, "folder", json_get(doc, "folder"));
	json_set_copy(o, "name", json_get(doc, "name"));
	json_set_copy(o, "notes", json_get(doc, "notes"));
	json_set_copy(o, "tags", json_get(doc, "tags"));
	json_set_copy(o, "transcriptSnippets", json_get(doc, "transcriptSnippets"));
	return o;
}

/* Names of the members of body, in the order of the list. */
static json_object *given_fields(struct request *r, json_object *body, const char *const *names, size_t count)
{
	json_object *out = json_new_array(r->mem);

	for (size_t i = 0; i < count; i++)
		if (json_has(body, names[i]))
			json_push_str(out, names[i]);
	return out;
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

/* A list of the body as it is stored: without repetition; an empty or null one removes the field unless kept. */
static void put_list(struct request *r, json_object *patch, json_object *body, const char *key, bool keep_empty)
{
	json_object *list = json_array(body, key);

	if (!json_has(body, key))
		return;
	if (list != NULL && (keep_empty || json_object_array_length(list) > 0))
		json_set_ref(patch, key, recording_unique(r, list));
	else
		json_set_null(patch, key);
}

static json_object *edit_patch(struct request *r, json_object *body)
{
	json_object *patch = json_new_object(r->mem);
	const char *notes = json_str_or(body, "notes", "");

	json_set_str_opt(patch, "folder", json_str(body, "folder"));
	json_set_str_opt(patch, "name", json_str(body, "name"));
	if (json_has(body, "notes") && notes[0] != '\0')
		json_set_str(patch, "notes", notes);
	else if (json_has(body, "notes"))
		json_set_null(patch, "notes");
	put_list(r, patch, body, "tags", true);
	put_list(r, patch, body, "transcriptSnippets", false);
	return patch;
}

status recording_edit(struct request *r)
{
	static const char *const names[] = {"folder", "name", "notes", "tags", "transcriptSnippets"};
	const char *id = req_param(r, "recordingId");
	json_object *body, *clean, *issues, *before, *doc;
	struct query q;
	struct page page;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &one_schema, body, &clean, &issues))
		return fail_issues(r, "Invalid recording metadata", issues, "invalid_request",
		                   TARGET("recording", id, NULL), NULL);
	recording_guard(&q, id, NULL, 0);
	TRY(store_update(r->store, r->mem, &model_recordings, &q, edit_patch(r, clean), &page, &before));
	if (page.count == 0)
		return recording_missing(r, id);
	doc = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	audit_add(r, &(struct audit){.target = recording_target(doc),
	                             .before = snapshot(r, json_object_array_get_idx(before, 0), false),
	                             .after = snapshot(r, doc, false),
	                             .details = details(r, "fields", J_REF, given_fields(r, clean, names, 5), NULL)});
	return reply_data(r, 200, doc);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

static const char *check_bulk(json_object *body)
{
	bool replace = json_has(body, "replaceTags"),
	     change = json_has(body, "addTags") || json_has(body, "removeTags");

	if (!replace && !change && !json_has(body, "folder"))
		return ONE_FIELD;
	return replace && change ? "replaceTags cannot be combined with addTags or removeTags" : NULL;
}

static const struct schema_field bulk_fields[] = {
    TAG_LIST("addTags"),
    {.name = "folder", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 240},
    {.name = "recordingIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = 100, .item = &selection_id},
    TAG_LIST("removeTags"),
    TAG_LIST("replaceTags"),
};
static const struct schema bulk_schema = SCHEMA(bulk_fields, S_STRICT, check_bulk);

static bool holds_ci(json_object *array, const char *text)
{
	size_t n = array != NULL ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++)
		if (text_equal_ci(json_object_get_string(json_object_array_get_idx(array, i)), text))
			return true;
	return false;
}

static void append(json_object *out, json_object *array, json_object *but)
{
	size_t n = array != NULL ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(array, i));

		if (!holds_ci(but, text))
			json_push_str(out, text);
	}
}

static json_object *bulk_patch(struct request *r, json_object *body, json_object *doc)
{
	json_object *patch = json_new_object(r->mem), *tags = json_new_array(r->mem);

	json_set_str_opt(patch, "folder", json_str(body, "folder"));
	if (json_has(body, "replaceTags")) {
		append(tags, json_array(body, "replaceTags"), NULL);
	} else if (json_has(body, "addTags") || json_has(body, "removeTags")) {
		append(tags, json_array(doc, "tags"), json_array(body, "removeTags"));
		append(tags, json_array(body, "addTags"), NULL);
	} else {
		return patch;
	}
	json_set_ref(patch, "tags", recording_unique(r, tags));
	return patch;
}

static json_object *snapshots(struct request *r, json_object *docs)
{
	json_object *list = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(docs); i++)
		json_push_ref(list, snapshot(r, json_object_array_get_idx(docs, i), true));
	return details(r, "recordings", J_REF, list, NULL);
}

/* All or nothing: one unit of work. */
static status apply(struct request *r, json_object *body, const struct selection *sel, json_object *after)
{
	for (size_t i = 0; i < json_object_array_length(sel->docs); i++) {
		json_object *doc = json_object_array_get_idx(sel->docs, i);
		struct query q;
		struct page page;

		recording_guard(&q, json_str_or(doc, "id", ""), NULL, 0);
		TRY(store_update(r->store, r->mem, &model_recordings, &q, bulk_patch(r, body, doc), &page, NULL));
		if (page.count > 0)
			json_push_ref(after,
			              model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0)));
	}
	return ST_OK;
}

status recording_bulk_edit(struct request *r)
{
	static const char *const names[] = {"folder", "addTags", "removeTags", "replaceTags"};
	json_object *body, *clean, *issues, *after = json_new_array(r->mem), *reply = json_new_object(r->mem);
	const struct row_scope *scope;
	struct selection sel;
	int64_t updated;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &bulk_schema, body, &clean, &issues))
		return fail_issues(r, "Invalid recording bulk metadata", issues, "invalid_request",
		                   RECORDING_COLLECTION, NULL);
	TRY(recording_scope(r, &scope));
	TRY(selection_load(r, &model_recordings, scope, json_get(clean, "recordingIds"), true, &sel));
	if (json_object_array_length(sel.hidden) > 0)
		return recording_hidden(r, &sel);
	TRY(apply(r, clean, &sel, after));
	updated = (int64_t)json_object_array_length(after);
	audit_add(r, &(struct audit){.target = RECORDING_COLLECTION,
	                             .before = snapshots(r, sel.docs),
	                             .after = snapshots(r, after),
	                             .correlation = selection_numbered(r, "recordingId", sel.ids),
	                             .details =
	                                 details(r, "fields", J_REF, given_fields(r, clean, names, 4), "requestedCount",
	                                         J_INT, sel.requested, "updatedCount", J_INT, updated, NULL)});
	json_set_ref(reply, "data", after);
	json_set_ref(reply, "meta", details(r, "updatedCount", J_INT, updated, NULL));
	return reply_json(r, 200, reply);
}
