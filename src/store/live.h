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
#define LIVE_HISTORY_MAX (512 * 1024) /* bytes of meter history a node: 600 frames of 16 channels */

struct live;

/* Maps the shared memory for at most max_nodes nodes; NULL on failure. Called by the master before it forks. */
struct live *live_create(int64_t max_nodes);

int64_t live_started_ms(const struct live *l); /* start of the controller */

/* Meter frames: frame is the compact JSON of the wire, kept verbatim. ST_TOO_LARGE over LIVE_FRAME_MAX. */
status live_meter_put(struct live *l, const char *node_id, const char *frame, size_t n, int64_t received_ms);
/* Latest frame of a node, copied into ctx; ST_NOT_FOUND. */
status live_meter_get(struct live *l, const void *ctx, const char *node_id, char **frame, int64_t *received_ms);

/*
 * What a node's last beat made of it, compact JSON (beats.h). ST_TOO_LARGE also while there are more nodes than places:
 * a beat must not be lost with the place of a node that was not heard of for longest.
 */
#define LIVE_BEAT_MAX 4096
status live_beat_put(struct live *l, const char *node_id, const char *json, size_t n);
status live_beat_get(struct live *l, const void *ctx, const char *node_id, char **json);

/*
 * Meter history: what engine/meter_summary.h keeps of the last frames of a node, as many as live_history_limit() said
 * (600 before) and fit into LIVE_HISTORY_MAX. frame: the checked frame. ST_TOO_LARGE if it alone does not fit.
 */
status live_meter_remember(struct live *l, const char *node_id, json_object *frame, int64_t received_ms);
/* An array of at most limit summaries, the newest first, owned by ctx; empty if nothing is known of the node. */
json_object *live_meter_history(struct live *l, const void *ctx, const char *node_id, size_t limit);
void live_history_limit(struct live *l, int64_t frames);

struct live_chunk {
	char *audio;
	size_t size;
	char captured_at[64]; /* verbatim */
	int64_t duration_ms;
	int64_t received_ms;
};
status live_chunk_put(struct live *l, const char *node_id, const struct live_chunk *c);
status live_chunk_get(struct live *l, const void *ctx, const char *node_id, struct live_chunk *c);
/* The same without the sound (audio NULL). */
status live_chunk_look(struct live *l, const char *node_id, struct live_chunk *c);

/* Listen sessions: a JSON document by session id; get renews it; evicted after ttl_seconds without use (D-108). */
status live_listen_put(struct live *l, const char *session_id, const char *json, size_t n);
status live_listen_get(struct live *l, const void *ctx, const char *session_id, int64_t ttl_seconds, json_object **doc);
status live_listen_remove(struct live *l, const char *session_id);

/*
 * Last known credentials and nodes, so that an agent is answered while the database is away (08 Trap 1):
 * token hash -> node id; node id -> its record as compact JSON (may be NULL to keep).
 */
void live_credential_put(struct live *l, const char *token_hash, const char *node_id);
/* *verified_ms: monotonic time of the last live_credential_put(). */
bool live_credential_get(struct live *l, const char *token_hash, char node_id[161], int64_t *verified_ms);
void live_credential_forget_node(struct live *l, const char *node_id);
void live_credential_forget_all(struct live *l);

/*
 * Attempts (sign-ins, ...) under a key, in windows of window_ms that begin with the first: 0 = counted, fewer than
 * limit were there before; else not counted, and the milliseconds until the window ends. The 16384 keys used last are
 * kept.
 */
int64_t live_attempt(struct live *l, const char *key, int64_t limit, int64_t window_ms);
/* One attempt less; all attempts of key forgotten. */
void live_attempt_return(struct live *l, const char *key);
void live_attempt_forget(struct live *l, const char *key);

/* Running means of what checking a password takes, in microseconds of processor time, by kind of stored hash. */
enum live_cost { LIVE_COST_CURRENT, LIVE_COST_SCRYPT, LIVE_COST_ARGON2, LIVE_COST_CRYPT, LIVE_COSTS };
void live_cost_note(struct live *l, enum live_cost kind, int64_t us);
int64_t live_cost(const struct live *l, enum live_cost kind); /* 0 = none was checked yet */

/* Monotonic counters by index; see enum. */
enum live_counter {
	LIVE_REQUESTS,
	LIVE_SPOOLED,
	LIVE_DATABASE_DOWN,       /* 1 while the database cannot be used, else 0 (rakkr_database_unavailable) */
	LIVE_DATABASE_DOWN_SINCE, /* wall clock, ms; the last time it became 1 */
	LIVE_DATABASE_TOLD,       /* wall clock, ms; the last time that was logged */
	LIVE_OUTSIDE_MARK,        /* of the last change by a command that is known here (pg/outside.c) */
	LIVE_HOST_NUMBER,         /* of this host among those on one database (pg/hosts.c) */
	LIVE_ALONE_SINCE,         /* monotonic, ms; since when no other host has been there, INT64_MAX: one is */
	LIVE_DEGRADED,            /* requests answered from what was last known */
	LIVE_COUNTERS
};
void live_count(struct live *l, enum live_counter c, int64_t delta);
void live_set(struct live *l, enum live_counter c, int64_t value);
int64_t live_read(const struct live *l, enum live_counter c);
/* Sets a counter and returns what it was: of several processes that set it, one sees the change. */
int64_t live_swap(struct live *l, enum live_counter c, int64_t value);

/*
 * What was last known of the database (recall.h): answers in answer_bytes of memory (0: none), and verified sessions.
 * live_recall_open() is called before the first fork; without it, or without memory, the other two are NULL.
 */
struct recall;
void live_recall_open(struct live *l, size_t answer_bytes);
struct recall *live_answers(const struct live *l);
struct recall *live_sessions(const struct live *l);

/* A place in which one process at a time may wait for the database; false if it is taken. */
bool live_waiting_begin(struct live *l);
void live_waiting_end(struct live *l);

#endif
