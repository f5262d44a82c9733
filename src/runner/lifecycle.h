/*
 * Lifecycle jobs whose run nobody waits for any more (contract 02 T17): the process that asked the runner is gone, so
 * the job would say "running" for ever.
 */
#ifndef RAKKR_RUNNER_LIFECYCLE_H
#define RAKKR_RUNNER_LIFECYCLE_H

#include "store/app.h"

#define LIFECYCLE_INTERRUPTED "controller_interrupted"

/*
 * True for a running job that was requested before this controller started, or so long ago that its time is over. A
 * process that finishes it all the same overwrites the job: what the runner said is the truth.
 */
bool lifecycle_lost(json_object *job, int64_t started_ms, int64_t timeout_ms, int64_t now_ms);

/* Marks the lost ones failed, with an audit event each. */
status lifecycle_tick(struct app *app);

#endif
