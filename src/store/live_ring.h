/*
 * A ring of records in a fixed piece of (shared) memory: a new record takes the place of the oldest ones. The caller
 * guards it with a lock; a writer that dies inside leaves an empty ring.
 */
#ifndef RAKKR_STORE_LIVE_RING_H
#define RAKKR_STORE_LIVE_RING_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct live_ring {
	volatile uint32_t count; /* records; 0 = nothing, whatever the rest says */
	uint32_t head;           /* where the next record goes */
	uint32_t used;           /* bytes of all records */
};

/* Forgets everything. */
void live_ring_reset(struct live_ring *r);

/*
 * Appends n bytes; at most `most` records stay (1 or more). area has size bytes, and is the same in every call.
 * ST_TOO_LARGE if the record alone does not fit.
 */
status live_ring_add(struct live_ring *r, char *area, uint32_t size, const void *data, size_t n, uint32_t most);

/* Calls each(arg, data, n) for at most limit records, the newest first; data is valid during the call. */
void live_ring_each(const struct live_ring *r, const char *area, uint32_t size, uint32_t limit,
                    void (*each)(void *arg, const void *data, size_t n), void *arg);

#endif
