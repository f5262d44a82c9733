/* When a silent node counts as offline (contract 02 3.4, 06 6). */
#ifndef RAKKR_ENGINE_LIVENESS_H
#define RAKKR_ENGINE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* Whole seconds since the node was seen; never negative (a clock set back must not make a node old). */
int64_t liveness_age_seconds(int64_t last_seen_ms, int64_t now_ms);

/* True once the age exceeds limit seconds; at exactly the limit the node is still fresh. limit 0 = never. */
bool liveness_stale(int64_t last_seen_ms, int64_t now_ms, int64_t limit_seconds);

/* A monitor chunk is fresh within 5 s of the controller's clock, in both directions (contract 02 12.5). */
bool liveness_chunk_fresh(int64_t captured_ms, int64_t now_ms);

#endif
