/*
 * Live data in memory shared by all processes: latest meter frame and listen chunk of each node, listen sessions, last
 * known node credentials, counters (contract 02 11, 12, 16; 07 2.20). Lost on restart, kept over a reload.
 * Robust process-shared locks: a process killed inside leaves the data usable.
 */
#ifndef RAKKR_STORE_LIVE_H
#define RAKKR_STORE_LIVE_H

#include "base/json.h"
#include "base/status.h"

#define LIVE_FRAME_MAX (256 * 1024)
#define LIVE_CHUNK_MAX 524288

struct live;

/* Maps the shared memory for at most max_nodes nodes; NULL on failure. Called by the master before it forks. */
struct live *live_create(int64_t max_nodes);

int64_t live_started_ms(const struct live *l); /* start of the controller */

/* Meter frames: frame is the compact JSON of the wire, kept verbatim. ST_TOO_LARGE over LIVE_FRAME_MAX. */
status live_meter_put(struct live *l, const char *node_id, const char *frame, size_t n, int64_t received_ms);
/* Latest frame of a node, copied into ctx; ST_NOT_FOUND. */
status live_meter_get(struct live *l, const void *ctx, const char *node_id, char **frame, int64_t *received_ms);

struct live_chunk {
	char *audio;
	size_t size;
	char captured_at[64]; /* verbatim */
	int64_t duration_ms;
	int64_t received_ms;
};
status live_chunk_put(struct live *l, const char *node_id, const struct live_chunk *c);
status live_chunk_get(struct live *l, const void *ctx, const char *node_id, struct live_chunk *c);

/* Listen sessions: a JSON document by session id; get renews it; evicted after ttl_seconds without use (D-108). */
status live_listen_put(struct live *l, const char *session_id, const char *json, size_t n);
status live_listen_get(struct live *l, const void *ctx, const char *session_id, int64_t ttl_seconds, json_object **doc);
status live_listen_remove(struct live *l, const char *session_id);

/*
 * Last known credentials and nodes, so that an agent is answered while the database is away (08 Trap 1):
 * token hash -> node id; node id -> its record as compact JSON (may be NULL to keep).
 */
void live_credential_put(struct live *l, const char *token_hash, const char *node_id);
bool live_credential_get(struct live *l, const char *token_hash, char node_id[161]);
void live_credential_forget_node(struct live *l, const char *node_id);

/* Monotonic counters by index; see enum. */
enum live_counter { LIVE_REQUESTS, LIVE_SPOOLED, LIVE_DATABASE_DOWN, LIVE_COUNTERS };
void live_count(struct live *l, enum live_counter c, int64_t delta);
void live_set(struct live *l, enum live_counter c, int64_t value);
int64_t live_read(const struct live *l, enum live_counter c);

#endif
