/*
 * Leases of recording jobs: a running job whose node has been silent for RAKKR_RECORDING_JOB_LEASE_SECONDS fails, a
 * stop that nobody confirmed within that time is a cancellation (contract 03 3.11.1, 3.11.2, 3.11.4). Every row is
 * changed by a guarded update, and its consequences follow only from rows that this call changed, so any number of
 * processes may do this at once (09 D-19, D-20).
 */
#ifndef RAKKR_RUNNER_LEASE_H
#define RAKKR_RUNNER_LEASE_H

#include "store/app.h"

/* Length of a lease in ms. */
int64_t lease_ms(const struct config *c);

/* True if the job (running or stop_requested) has outlived its lease at now_ms. */
bool lease_over(const struct config *c, json_object *job, int64_t now_ms);

/*
 * Ends one job if its lease is over, with all consequences; part of the caller's unit of work. *ended tells whether
 * this call did it.
 */
status lease_expire(struct store *s, const struct config *c, const void *ctx, int64_t now_ms, json_object *job,
                    bool *ended);

/*
 * Ends every job whose lease is over, *ended of them. One indexed read when there is none. Part of the caller's unit of
 * work.
 */
status lease_expire_all(struct store *s, const struct config *c, const void *ctx, int64_t now_ms, size_t *ended);

/* The same, but at most once a second in this process: for routes that show jobs. */
status lease_expire_often(struct store *s, const struct config *c, const void *ctx, int64_t now_ms);

/* One pass of the runner process: a unit of work of its own, committed here. Also removes remains of killed uploads. */
status lease_tick(struct app *app);

#endif
