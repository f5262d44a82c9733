/*
 * Deleting recordings, one or many (contract 03 3.6; 09 D-06, D-07, D-30): rows first, in one unit of work with the
 * jobs and uploads that lose their purpose; files after the commit.
 */
#include "api/job_lookup.h"
#include "api/recording_lookup.h"
#include "api/recording_unlink.h"
#include "api/recordings.h"
#include "api/route.h"
#include "api/selection.h"
#include "base/mem.h"
#include "base/text.h"
#include "transfer/cache.h"

#define ACTIVE_TEXT "Active recordings cannot be deleted"

static const char *cache_root(struct request *r)
{
	return config_str(r->config, CFG_RECORDING_CACHE_DIR);
}

/* True if the recording's file is there to be removed. */
static bool file_exists(struct request *r, json_object *doc)
{
	char *file, *relative;
	const char *reason;
	int64_t size;

	return recording_has_file(doc) &&
	       cache_locate(r->mem, cache_root(r), json_str(doc, "cachePath"), &file, &relative, &size, &reason);
}

static void add_file(struct request *r, json_object *doc, struct unlink_list *files)
{
	unlink_add(r, files, json_str_or(doc, "id", ""), json_str(doc, "cachePath"));
}

static status end_all(struct request *r, const struct model *m, const char *id, const char *const *states, size_t count,
                      json_object *patch)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, id);
	query_where_in(&q, "status", states, count);
	return store_update(r->store, r->mem, m, &q, patch, &page, NULL);
}

/* Jobs and uploads of a recording that is gone would only stand in others' way. */
static status end_dependents(struct request *r, const char *id)
{
	static const char *const unsettled[] = {"queued", "retrying", "failed"};
	json_object *job = json_new_object(r->mem), *item = json_new_object(r->mem);

	json_set_iso(job, "completedAt", r->now_ms);
	json_set_str(job, "failureReason", "recording_deleted");
	json_set_str(job, "status", "cancelled");
	TRY(end_all(r, &model_jobs, id, job_active_states, 3, job));
	json_set_str(item, "status", "cancelled");
	json_set_iso(item, "updatedAt", r->now_ms);
	return end_all(r, &model_upload_queue, id, unsettled, 3, item);
}

/* Removes the row unless it is active; ST_CONFLICT then, ST_NOT_FOUND if it is gone. *doc is the removed recording. */
static status remove_row(struct request *r, const char *id, json_object **doc)
{
	static const char *const active[] = {"queued", "recording"};
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	query_where_not_in(&q, "status", active, 2);
	TRY(recording_lock_one(r, id));
	TRY(end_dependents(r, id));
	TRY(store_remove(r->store, r->mem, &model_recordings, &q, &page));
	if (page.count == 0) {
		TRY(recording_find(r, id, doc));
		return ST_CONFLICT;
	}
	*doc = model_public(r->mem, &model_recordings, json_object_array_get_idx(page.docs, 0));
	return ST_OK;
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

status recording_delete(struct request *r)
{
	const char *id = req_param(r, "recordingId");
	struct unlink_list files = {0};
	json_object *doc;
	status s = recording_find(r, id, &doc);

	if (s == ST_OK && recording_is_active(doc))
		s = ST_CONFLICT;
	if (s == ST_OK)
		s = remove_row(r, id, &doc);
	if (s == ST_NOT_FOUND)
		return recording_missing(r, id);
	if (s == ST_CONFLICT)
		return fail(r, 409, ACTIVE_TEXT, "recording_active", recording_target(doc), NULL);
	if (s != ST_OK)
		return s;
	audit_add(r,
	          &(struct audit){.target = recording_target(doc),
	                          .before = details(r, "recording", J_REF, doc, NULL),
	                          .details = details(r, "cacheDeleted", J_BOOL, file_exists(r, doc), "cached", J_BOOL,
	                                             recording_has_file(doc), "source", J_STR, json_str(doc, "source"),
	                                             "status", J_STR, json_str(doc, "status"), NULL)});
	add_file(r, doc, &files);
	TRY(unlink_with_commit(r, &files));
	return reply_empty(r, 204);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

static const struct schema_field body_fields[] = {
    {.name = "recordingIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = 200, .item = &selection_id},
};
static const struct schema body_schema = SCHEMA(body_fields, S_STRICT, NULL);

static json_object *active_ids(struct request *r, json_object *docs)
{
	json_object *ids = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *doc = json_object_array_get_idx(docs, i);

		if (recording_is_active(doc))
			json_push_str(ids, json_str_or(doc, "id", ""));
	}
	return ids;
}

static status refuse_active(struct request *r, const struct selection *sel, json_object *active)
{
	return fail(r, 409, ACTIVE_TEXT, "recording_active", RECORDING_COLLECTION,
	            details(r, "activeIds", J_REF, active, "recordingIds", J_REF, sel->ids, NULL));
}

/* Removes all rows; *failed is the id at which it ended otherwise. */
static status remove_rows(struct request *r, const struct selection *sel, json_object *removed, const char **failed)
{
	for (size_t i = 0; i < json_object_array_length(sel->ids); i++) {
		json_object *doc;

		*failed = json_object_get_string(json_object_array_get_idx(sel->ids, i));
		TRY(remove_row(r, *failed, &doc));
		json_push_ref(removed, doc);
	}
	return ST_OK;
}

static status reply_deleted(struct request *r, const struct selection *sel, json_object *removed)
{
	int64_t count = (int64_t)json_object_array_length(removed), files = 0;
	json_object *reply = json_new_object(r->mem);
	struct unlink_list paths = {0};

	for (size_t i = 0; i < json_object_array_length(removed); i++) {
		json_object *doc = json_object_array_get_idx(removed, i);

		files += file_exists(r, doc);
		add_file(r, doc, &paths);
	}
	audit_add(r, &(struct audit){.target = RECORDING_COLLECTION,
	                             .before = details(r, "recordings", J_REF, removed, NULL),
	                             .correlation = selection_numbered(r, "recordingId", sel->ids),
	                             .details = details(r, "cacheDeletedCount", J_INT, files, "requestedCount", J_INT,
	                                                sel->requested, "deletedCount", J_INT, count, NULL)});
	TRY(unlink_with_commit(r, &paths));
	json_set_ref(reply, "data", removed);
	json_set_ref(reply, "meta", details(r, "cacheDeletedCount", J_INT, files, "deletedCount", J_INT, count, NULL));
	return reply_json(r, 200, reply);
}

status recording_bulk_delete(struct request *r)
{
	json_object *body, *clean, *issues, *active, *removed = json_new_array(r->mem);
	const struct row_scope *scope;
	const char *failed = NULL;
	struct selection sel;
	status s;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &body_schema, body, &clean, &issues))
		return fail_issues(r, "Invalid recording bulk delete", issues, "invalid_request", RECORDING_COLLECTION,
		                   NULL);
	TRY(recording_scope(r, &scope));
	TRY(selection_load(r, &model_recordings, scope, json_get(clean, "recordingIds"), false, &sel));
	if (json_object_array_length(sel.hidden) > 0)
		return recording_hidden(r, &sel);
	active = active_ids(r, sel.docs);
	if (json_object_array_length(active) > 0)
		return refuse_active(r, &sel, active);
	TRY(recording_lock(r, sel.ids));
	s = remove_rows(r, &sel, removed, &failed);
	if (s == ST_NOT_FOUND)
		return fail(r, 404, "One or more recordings were not found", "recording_not_found",
		            RECORDING_COLLECTION,
		            details(r, "failedRecordingId", J_STR, failed, "recordingIds", J_REF, sel.ids, NULL));
	if (s == ST_CONFLICT) { /* started again since it was looked at */
		json_push_str(active, failed);
		return refuse_active(r, &sel, active);
	}
	return s != ST_OK ? s : reply_deleted(r, &sel, removed);
}
