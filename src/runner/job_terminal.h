/*
 * What the end of a job means for its recording (contract 03 3.11.3; 09 D-11): a health event, the recording's status,
 * its health. Used by the routes that end jobs and by the lease pass; part of the caller's unit of work.
 */
#ifndef RAKKR_RUNNER_JOB_TERMINAL_H
#define RAKKR_RUNNER_JOB_TERMINAL_H

#include "store/store.h"

#define JOB_STOPPED "controller_stop_requested" /* the reason that is no incident */

struct job_terminal {
	const char *health_event_id;  /* NULL: none was opened */
	const char *recording_status; /* NULL: the recording is gone */
};

/*
 * job has just become "failed" or "cancelled" with failureReason. Only a recording that is still waiting or recording
 * changes its status; a failed job of one whose file is safe opens no event. Results belong to ctx.
 */
status job_terminal(struct store *s, const void *ctx, int64_t now_ms, json_object *job, struct job_terminal *out);

struct health_report {
	const char *type, *severity;
	json_object *recording; /* its id, nodeId and scheduleId go into the event */
	bool with_schedule;     /* scheduleId too */
	json_object *details;
};

/* Opens a health event about a recording; *id belongs to ctx. */
status health_report(struct store *s, const void *ctx, int64_t now_ms, const struct health_report *h, const char **id);

#endif
