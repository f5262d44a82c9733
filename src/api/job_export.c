/* Recording jobs as CSV: by filter, or a selection (contract 03 3.12.4). */
#include "api/csv.h"
#include "api/job_lookup.h"
#include "api/jobs.h"
#include "base/mem.h"

/* Members of the job, then of its command. */
static const char *const job_columns[] = {
    "id",        "recordingId",     "nodeId",         "status",          "claimedBy",   "createdAt",
    "startedAt", "lastHeartbeatAt", "leaseExpiresAt", "stopRequestedAt", "completedAt", "failureReason"};
static const char *const command_columns[] = {
    "captureBackend",  "captureDevice", "captureInterfaceId", "captureFormat", "captureSampleRate", "captureChannels",
    "durationSeconds", "outputCodec",   "outputBitrateKbps",  "outputVbr",     "outputFileName"};
#define JOB_COLUMNS (sizeof(job_columns) / sizeof(job_columns[0]))
#define COMMAND_COLUMNS (sizeof(command_columns) / sizeof(command_columns[0]))

static void add_job(struct request *r, struct csv *csv, json_object *job)
{
	json_object *command = json_object_at(job, "command");

	csv_row(csv);
	for (size_t i = 0; i < JOB_COLUMNS; i++)
		csv_member(csv, r->mem, job, job_columns[i]);
	csv_cell(csv, json_str_or(command, command_columns[0], "alsa"));
	for (size_t i = 1; i < COMMAND_COLUMNS; i++)
		csv_member(csv, r->mem, command, command_columns[i]);
}

static status reply_csv(struct request *r, json_object *jobs)
{
	const char *names[JOB_COLUMNS + COMMAND_COLUMNS];
	struct buf *out = mem_new(r->mem, struct buf);
	struct csv csv;

	for (size_t i = 0; i < JOB_COLUMNS; i++)
		names[i] = job_columns[i];
	for (size_t i = 0; i < COMMAND_COLUMNS; i++)
		names[JOB_COLUMNS + i] = command_columns[i];
	buf_init(out, r->mem);
	csv_init(&csv, out, CSV_QUOTE_NEEDED);
	csv_header(&csv, names, JOB_COLUMNS + COMMAND_COLUMNS);
	for (size_t i = 0; i < json_object_array_length(jobs); i++)
		add_job(r, &csv, json_object_array_get_idx(jobs, i));
	return csv_reply(r, csv_file_name(r, "rakkr-recording-jobs", false), out, false);
}

status job_export(struct request *r)
{
	json_object *filters, *issues;
	struct query q;
	struct page page;

	if (!job_filters(r, &filters, &issues))
		return reply_issues(r, "Invalid recording job filters", issues);
	TRY(job_query(r, filters, &q));
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	audit_ok(r, JOB_COLLECTION,
	         details(r, "exportedCount", J_INT, (int64_t)page.count, "filters", J_REF, filters, NULL));
	return reply_csv(r, page.docs);
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
