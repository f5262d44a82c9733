/*
 * Audit events older than RAKKR_AUDIT_RETENTION_DAYS are deleted, a batch a second, oldest first. Each pass leaves one
 * event, which is stored together with the first batch: nothing is deleted that the log does not tell of.
 */
#ifndef RAKKR_RUNNER_AUDIT_RETENTION_H
#define RAKKR_RUNNER_AUDIT_RETENTION_H

#include "store/app.h"

#define AUDIT_RETENTION_BATCH 5000

/* Where the runner is; starts zeroed. */
struct audit_retention {
	int64_t older_than_ms; /* of the pass under way; 0 = none */
	int64_t next_pass_ms;  /* monotonic */
};

/* One batch, if one is due. */
status audit_retention_tick(struct app *app, struct audit_retention *state);

#endif
