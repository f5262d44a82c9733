/* Recordings as handlers use them: found in their wire form, judged, shown to the audit log (contract 03 3.1.1). */
#ifndef RAKKR_API_RECORDING_LOOKUP_H
#define RAKKR_API_RECORDING_LOOKUP_H

#include "api/request.h"

/*
 * The recording called id in its wire form; ST_NOT_FOUND. Scope is not looked at: routes with a recording target were
 * decided by the dispatcher. Owned by r->mem.
 */
status recording_find(struct request *r, const char *id, json_object **doc);

/* HASFILE of 03 3.1.1: there is a cachePath and the recording counts as cached. */
bool recording_has_file(json_object *doc);

/* True while it waits or records: status queued or recording. */
bool recording_is_active(json_object *doc);

/* Audit target of a recording, with its name. */
struct target recording_target(json_object *doc);

/* Row scope of the caller for recordings (NULL = everything). */
status recording_scope(struct request *r, const struct row_scope **scope);

/* A query by id and, if count > 0, status in states. */
void recording_guard(struct query *q, const char *id, const char *const *states, size_t count);

/*
 * Takes the locks of recordings (array of ids) until the end of the unit of work, always in the same order, so that two
 * requests never wait for each other. Uploads, retries and deletions of one recording come one after the other.
 */
status recording_lock(struct request *r, json_object *ids);
status recording_lock_one(struct request *r, const char *id);

/* Copy of an array of texts without repetition, case aside: first spelling, first position (03 3.5). */
json_object *recording_unique(struct request *r, json_object *texts);

/*
 * Commits the unit of work together with the audit events queued so far. The dispatcher does this for ordinary
 * handlers; those that remove or replace a file need to know that the rows are safe before they do (09 D-07, D-15).
 */
status recording_commit(struct request *r);

#endif
