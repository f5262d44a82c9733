/*
 * Cache files without a recording (contract 09 D-06, D-87). Two passes of the runner:
 *
 * - leftovers: files whose recording was deleted, retried or given another file, and whose removal failed or was cut
 * off; removed as soon as that works.
 * - sweep: every file of the cache whose recording does not exist, or has another file, and that is older than
 *   RAKKR_ORPHAN_AGE_SECONDS. RAKKR_ORPHAN_SWEEP says whether it is only logged ("log"), removed ("remove"), or not
 *   looked for ("off").
 */
#ifndef RAKKR_RUNNER_ORPHANS_H
#define RAKKR_RUNNER_ORPHANS_H

#include "store/app.h"

/* Leftovers, when they are due. The list is in RAKKR_DATA_DIR, so every host has to look at its own. */
status leftovers_tick(struct app *app);

/* The sweep, when it is due. The caller holds the runner lock. */
status orphans_tick(struct app *app);

#endif
