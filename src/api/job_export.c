/* Recording jobs as CSV: by filter, or a selection (contract 03 3.12.4). */
#include "api/csv.h"
#include "api/job_lookup.h"
#include "api/jobs.h"
#include "base/mem.h"
#include "runner/lease.h"

/* Members of the job, then of its command. */
static const char *const job_columns[] = {
    "id",        "recordingId",     "nodeId",         "status",          "claimedBy",   "createdAt",
    "startedAt", "lastHeartbeatAt", "leaseExpiresAt", "stopRequestedAt", "completedAt", "failureReason"};
static const char *const command_columns[] = {
    "captureBackend",  "captureDevice", "captureInterfaceId", "captureFormat", "captureSampleRate", "captureChannels",
    "durationSeconds", "outputCodec",   "outputBitrateKbps",  "outputVbr",     "outputFileName"};
#define JOB_COLUMNS (sizeof(job_columns) / sizeof(job_columns[0]))
#define COMMAND_COLUMNS (sizeof(command_columns) / sizeof(command_columns[0]))

static void add_job(const void *ctx, struct csv *csv, json_object *job)
{
	json_object *command = json_object_at(job, "command");

	csv_row(csv);
	for (size_t i = 0; i < JOB_COLUMNS; i++)
		csv_member(csv, ctx, job, job_columns[i]);
	csv_cell(csv, json_str_or(command, command_columns[0], "alsa"));
	for (size_t i = 1; i < COMMAND_COLUMNS; i++)
		csv_member(csv, ctx, command, command_columns[i]);
}

static void all_columns(const char *names[JOB_COLUMNS + COMMAND_COLUMNS])
{
	for (size_t i = 0; i < JOB_COLUMNS; i++)
		names[i] = job_columns[i];
	for (size_t i = 0; i < COMMAND_COLUMNS; i++)
		names[JOB_COLUMNS + i] = command_columns[i];
}

static status reply_csv(struct request *r, json_object *jobs)
{
	const char *names[JOB_COLUMNS + COMMAND_COLUMNS];
	struct buf *out = mem_new(r->mem, struct buf);
	struct csv csv;

	all_columns(names);
	buf_init(out, r->mem);
	csv_init(&csv, out, CSV_QUOTE_NEEDED);
	csv_header(&csv, names, JOB_COLUMNS + COMMAND_COLUMNS);
	for (size_t i = 0; i < json_object_array_length(jobs); i++)
		add_job(r->mem, &csv, json_object_array_get_idx(jobs, i));
	return csv_reply(r, csv_file_name(r, "rakkr-recording-jobs", false), out, false);
}

static bool stream_row(void *state, json_object *job)
{
	struct csv_stream *s = state;
	void *ctx = talloc_new(NULL);

	add_job(ctx, &s->csv, job);
	talloc_free(ctx);
	return csv_stream_row(s);
}

static status stream_rows(struct csv_stream *s, void *query)
{
	return store_each(s->r->store, &model_jobs, query, stream_row, s);
}

status job_export(struct request *r)
{
	const char *names[JOB_COLUMNS + COMMAND_COLUMNS];
	json_object *filters, *issues;
	struct query *q = mem_new(r->mem, struct query), counting;
	struct page page;

	if (!job_filters(r, &filters, &issues))
		return reply_issues(r, "Invalid recording job filters", issues);
	TRY(lease_expire_often(r->store, r->config, r->mem, r->now_ms));
	TRY(job_query(r, filters, q));
	counting = *q;
	counting.limit = 0;
	counting.want_total = true;
	TRY(store_list(r->store, r->mem, &model_jobs, &counting, &page));
	audit_ok(r, JOB_COLLECTION, details(r, "exportedCount", J_INT, page.total, "filters", J_REF, filters, NULL));
	all_columns(names);
	return csv_stream_reply(r, csv_file_name(r, "rakkr-recording-jobs", false), false, CSV_QUOTE_NEEDED, names,
	                        JOB_COLUMNS + COMMAND_COLUMNS, stream_rows, q);
}

status job_export_selected(struct request *r)
{
	struct selection sel;
	bool good;

	TRY(job_selection(r, "Invalid recording job export request", &sel, &good));
	if (!good)
		return ST_OK;
	audit_add(r, &(struct audit){.target = JOB_COLLECTION,
	                             .correlation = selection_numbered(r, "jobId", sel.ids),
	                             .details =
	                                 details(r, "exportedCount", J_INT, (int64_t)json_object_array_length(sel.docs),
	                                         "requestedCount", J_INT, sel.requested, NULL)});
	return reply_csv(r, sel.docs);
}
