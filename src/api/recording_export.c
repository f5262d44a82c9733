/* Recordings as CSV: by filter, or a selection (contract 03 3.4). */
#include "api/csv.h"
#include "api/recording_lookup.h"
#include "api/recordings.h"
#include "api/selection.h"
#include "base/mem.h"

#define SNIPPET_SEPARATOR " | "
#define TAG_SEPARATOR ";"

static const char *const columns[] = {"id",
                                      "name",
                                      "notes",
                                      "transcriptSnippets",
                                      "folder",
                                      "tags",
                                      "status",
                                      "healthStatus",
                                      "source",
                                      "recordedAt",
                                      "durationSeconds",
                                      "nodeId",
                                      "scheduleId",
                                      "recordingProfileId",
                                      "uploadPolicyId",
                                      "watchdogPolicyId",
                                      "trackGroupId",
                                      "trackIndex",
                                      "trackTotal",
                                      "cached",
                                      "cachePath",
                                      "checksum"};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
enum { SNIPPETS_COLUMN = 3, TAGS_COLUMN = 5 };

static void add_row(struct csv *csv, const void *ctx, json_object *doc)
{
	csv_row(csv);
	for (size_t k = 0; k < COLUMNS; k++) {
		if (k == SNIPPETS_COLUMN || k == TAGS_COLUMN)
			csv_joined(csv, ctx, json_array(doc, columns[k]),
			           k == TAGS_COLUMN ? TAG_SEPARATOR : SNIPPET_SEPARATOR);
		else
			csv_member(csv, ctx, doc, columns[k]);
	}
}

static status reply_csv(struct request *r, json_object *docs)
{
	struct buf *out = mem_new(r->mem, struct buf);
	struct csv csv;

	buf_init(out, r->mem);
	csv_init(&csv, out, CSV_QUOTE_NEEDED);
	csv_header(&csv, columns, COLUMNS);
	for (size_t i = 0; i < json_object_array_length(docs); i++)
		add_row(&csv, r->mem, json_object_array_get_idx(docs, i));
	return csv_reply(r, csv_file_name(r, "rakkr-recordings", true), out, false);
}

static bool stream_row(void *state, json_object *doc)
{
	struct csv_stream *s = state;
	void *ctx = talloc_new(NULL);

	add_row(&s->csv, ctx, doc);
	talloc_free(ctx);
	return csv_stream_row(s);
}

static status stream_rows(struct csv_stream *s, void *query)
{
	return store_each(s->r->store, &model_recordings, query, stream_row, s);
}

/* The library may be of any size: it is counted for the audit event, then read while it is sent. */
status recording_export(struct request *r)
{
	json_object *filters, *issues;
	struct query *q = mem_new(r->mem, struct query), counting;
	struct page page;

	if (!recording_filters(r, &filters, &issues))
		return reply_issues(r, "Invalid recording filters", issues);
	TRY(recording_query(r, filters, q));
	counting = *q;
	counting.limit = 0;
	counting.want_total = true;
	TRY(store_list(r->store, r->mem, &model_recordings, &counting, &page));
	audit_ok(r, RECORDING_COLLECTION,
	         details(r, "exportedCount", J_INT, page.total, "filters", J_REF, filters, NULL));
	return csv_stream_reply(r, csv_file_name(r, "rakkr-recordings", true), false, CSV_QUOTE_NEEDED, columns,
	                        COLUMNS, stream_rows, q);
}

static const struct schema_field body_fields[] = {
    {.name = "recordingIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = 200, .item = &selection_id},
};
static const struct schema body_schema = SCHEMA(body_fields, S_STRICT, NULL);

status recording_export_selected(struct request *r)
{
	const struct row_scope *scope;
	json_object *body, *clean, *issues;
	struct selection sel;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &body_schema, body, &clean, &issues))
		return fail_issues(r, "Invalid recording export request", issues, "invalid_request",
		                   RECORDING_COLLECTION, NULL);
	TRY(recording_scope(r, &scope));
	TRY(selection_load(r, &model_recordings, scope, json_get(clean, "recordingIds"), false, &sel));
	if (json_object_array_length(sel.hidden) > 0)
		return recording_hidden(r, &sel);
	audit_add(r, &(struct audit){.target = RECORDING_COLLECTION,
	                             .correlation = selection_numbered(r, "recordingId", sel.ids),
	                             .details =
	                                 details(r, "exportedCount", J_INT, (int64_t)json_object_array_length(sel.docs),
	                                         "requestedCount", J_INT, sel.requested, NULL)});
	return reply_csv(r, sel.docs);
}
