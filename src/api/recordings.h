/* Handlers of the recording library that live in other files than the route table (contract 03 3.3 to 3.7). */
#ifndef RAKKR_API_RECORDINGS_H
#define RAKKR_API_RECORDINGS_H

#include "api/request.h"

#define RECORDING_COLLECTION TARGET("recording_collection", "recording_collection", NULL)

/* Filters of list and export out of the query; false with the issues set. */
bool recording_filters(struct request *r, json_object **filters, json_object **issues);
/* The query that these filters mean, within the caller's scope; paging is left out. */
status recording_query(struct request *r, json_object *filters, struct query *q);

/* 404 with the audit event of the route's action. */
status recording_missing(struct request *r, const char *id);

struct selection;
/* 404 for a selection that holds ids the caller cannot see (outcome denied). */
status recording_hidden(struct request *r, const struct selection *sel);

/* recording_files.c */
status recording_playback(struct request *r);
status recording_download(struct request *r);
status recording_stream(struct request *r);
status recording_file(struct request *r);

/* recording_export.c */
status recording_export(struct request *r);
status recording_export_selected(struct request *r);

/* recording_view.c */
status recording_context(struct request *r);
status recording_actions(struct request *r);

/* recording_edit.c */
status recording_edit(struct request *r);
status recording_bulk_edit(struct request *r);

/* recording_delete.c */
status recording_delete(struct request *r);
status recording_bulk_delete(struct request *r);

#endif
