/*
 * The rows behind an uploaded file: recording, job, upload queue (contract 03 3.13.1 steps 8 to 11, 3.15; 09 D-10).
 * Used by cache_file.c in this order: attach_analyse, then in one unit of work attach_rows, attach_queue, attach_sync.
 */
#ifndef RAKKR_API_CACHE_ATTACH_H
#define RAKKR_API_CACHE_ATTACH_H

#include "api/request.h"
#include "transfer/analysis.h"
#include "transfer/cache.h"

struct attach {
	const char *id;         /* of the recording */
	const char *job_header; /* NULL if not given */
	json_object *recording; /* as first seen */
	json_object *job;       /* of the header */
	const char *path;       /* new cachePath; NULL if the id cannot be a file name */
	bool wav;
	int64_t duration; /* of the header; -1 = none */
	struct cache_upload *upload;
	struct analysis analysis;
	bool same; /* the very file that is there already: nothing is replaced */
	/* results */
	json_object *before, *after; /* the recording */
	bool job_completed;
	json_object *policy; /* upload policy */
	json_object *item;   /* upload-queue item, NULL if none */
};

/* Decides whether the file is new, and if so analyses it. */
void attach_analyse(struct request *r, struct attach *w);

/* Takes the recording's lock, ends the job, updates the recording. Sets before and after. ST_NOT_FOUND: it is gone. */
status attach_rows(struct request *r, struct attach *w);

/* Renews waiting upload items for the new file; queues one if the policy says so. Sets policy and item. */
status attach_queue(struct request *r, struct attach *w);

/* Health of the recording; renews after. */
status attach_sync(struct request *r, struct attach *w);

/* True if the recording's row holds this file now: what became of a commit whose answer was lost. */
bool attach_is_stored(struct request *r, const struct attach *w);

/* Before and after the commit: notes and removes the file that the recording had under another name. */
void attach_note_old_file(struct request *r, const struct attach *w);
void attach_forget_old_file(struct request *r, const struct attach *w);

#endif
