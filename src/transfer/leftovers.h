/*
 * Cache files that are about to lose their recording: <RAKKR_DATA_DIR>/leftover-files.jsonl, one line each. A line is
 * written before the commit that makes a file nobody's, so that neither a failed unlink nor a killed worker leaves a
 * file behind for ever: the runner looks again until it is gone (contract 09 D-06, D-87).
 */
#ifndef RAKKR_TRANSFER_LEFTOVERS_H
#define RAKKR_TRANSFER_LEFTOVERS_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

struct leftover {
	const char *id;   /* of the recording that had the file */
	const char *path; /* its cachePath */
	int64_t at_ms;    /* when it was noted */
};

/* Notes n files, durably. False if that is not possible (logged): whoever deletes goes on all the same. */
bool leftovers_add(const struct config *c, const struct leftover *files, size_t n);

/*
 * Gives each noted file to settled, which returns true when nothing is left to do about it; those are forgotten. Only
 * one process may do this at a time; others may add meanwhile. False if the list cannot be read or written (logged).
 */
bool leftovers_settle(const struct config *c, bool (*settled)(void *arg, const struct leftover *file), void *arg);

#endif
