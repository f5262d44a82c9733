/* Recording jobs as handlers use them (contract 03 3.1.2, 3.11.1, 3.12.5). */
#ifndef RAKKR_API_JOB_LOOKUP_H
#define RAKKR_API_JOB_LOOKUP_H

#include "api/request.h"

#define JOB_COLLECTION TARGET("recording_collection", "recording_job_collection", NULL)

/* queued, running, stop_requested: the states that occupy a node's capacity. */
extern const char *const job_active_states[3];

/* The job called id in its wire form; ST_NOT_FOUND. Scope is not looked at. Owned by r->mem. */
status job_find(struct request *r, const char *id, json_object **job);

/* A stored job in its wire form. */
json_object *job_wire(struct request *r, json_object *stored);

/* True if the job's status is a or b. */
bool job_is(json_object *job, const char *a, const char *b);

/* Target resolver of user routes with :jobId (01 1 "job"): the job's recording if the job exists. */
status job_route_target(struct request *r, struct target *t);

/*
 * The caller's visible jobs: those of visible recordings; a job whose recording is gone is nobody's. *scope is never
 * NULL: it makes stores look for the recording.
 */
status job_scope(struct request *r, const struct row_scope **scope);

/*
 * Ends the jobs whose lease is over before a route decides by their states (03 3.11.2). Committed here, for a refusal
 * would drop it with the rest of what the request has written.
 */
status job_expire_all(struct request *r);

/* The first active job of a recording, newest first, but for the job called except (may be NULL); *job NULL if none. */
status job_active(struct request *r, const char *recording_id, const char *except, json_object **job);

/*
 * Asks a queued or running job to stop; part of the request's unit of work. *after is the job as clients see it,
 * "stop_requested"; a job that nobody had claimed is in fact cancelled at once, without an incident (09 D-34).
 * ST_CONFLICT: it is neither queued nor running any more.
 */
status job_stop(struct request *r, json_object *job, json_object **after);

/*
 * What a stop does to the recording: completed with at least one second, if it was still open (09 D-11). *after is the
 * recording afterwards; ST_NOT_FOUND.
 */
status job_stop_recording(struct request *r, const char *recording_id, json_object **after);

/*
 * A new queued job with the command of a failed or cancelled one, and its recording reset for it (03 3.12.5; 09 D-05,
 * D-18); part of the request's unit of work. ST_CONFLICT with *reason ("job_not_retryable", "active_job_exists") and,
 * for the latter, *other; ST_NOT_FOUND. *file is the cachePath whose file nobody owns afterwards, or NULL.
 */
status job_retry(struct request *r, const char *job_id, json_object **new_job, json_object **recording,
                 json_object **other, const char **reason, const char **file);

#endif
