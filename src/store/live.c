/*
 * One anonymous shared mapping, made before the first fork, so every process sees it at the same address. Untouched
 * pages cost nothing: tables grow from the front, and a slot is set up only when it is first used.
 *
 * A process may be killed at any instruction. Locks are robust; what a dead owner may have left half done is told by
 * flags that are set before a change and cleared after it (`changing`) and by sizes that are 0 while bytes are copied:
 * a torn value therefore reads as absent.
 */
#include "store/live.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "engine/meter_summary.h"
#include "store/live_ring.h"
#include "store/live_table.h"
#include "store/recall.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NODES_LIMIT 65536
#define LISTEN_SESSIONS 4096
#define LISTEN_JSON_MAX 4088
#define CREDENTIALS_PER_NODE 4
#define HISTORY_LIMIT 600
#define SESSION_BYTES (1024 * 1024) /* verified sessions: about a thousand */
#define ATTEMPT_KEYS 16384

/* Guarded by lock, which is only taken while the table's lock is held (it may be kept longer). */
struct node_slot {
	pthread_mutex_t lock;
	_Atomic uint32_t frame_size; /* 0 = no frame */
	int64_t frame_received_ms;
	_Atomic uint32_t chunk_size; /* 0 = no chunk */
	int64_t chunk_duration_ms;
	int64_t chunk_received_ms;
	char chunk_captured_at[64];
	struct live_ring history;
	_Atomic uint32_t beat_size; /* 0 = no beat */
	char beat[LIVE_BEAT_MAX];
};

struct listen_slot {
	_Atomic uint32_t size; /* 0 = no document */
	char json[LISTEN_JSON_MAX];
};

struct credential_slot {
	int64_t verified_ms; /* monotonic */
	char node_id[LIVE_KEY_SIZE];
};

/* Attempts counted under a key since the first of its window. */
struct attempt_slot {
	int64_t began_ms; /* monotonic */
	int64_t count;
};

struct live {
	int64_t started_ms;
	uint32_t seed;
	_Atomic uint32_t history_limit;
	_Atomic int64_t counters[LIVE_COUNTERS];
	struct live_table nodes, credentials, listens, attempts;
	_Atomic int64_t costs[LIVE_COSTS];
	struct node_slot *node_slots;
	struct credential_slot *credential_slots;
	struct listen_slot *listen_slots;
	struct attempt_slot *attempt_slots;
	char *frames;    /* LIVE_FRAME_MAX each */
	char *chunks;    /* LIVE_CHUNK_MAX each */
	char *histories; /* LIVE_HISTORY_MAX each */
	pthread_mutex_t waiting;
	struct recall *answers, *sessions; /* mappings of their own */
};

/* ---- the mapping ------------------------------------------------------------------------------------------------- */

/* Lays everything out; base NULL: returns only the size needed. */
static size_t live_carve(char *base, uint32_t max_nodes)
{
	struct live unplaced = {0};
	size_t at = 0;
	struct live *l = live_reserve(base, &at, sizeof *l);
	if (l == NULL)
		l = &unplaced;
	live_table_carve(&l->nodes, max_nodes, base, &at);
	live_table_carve(&l->credentials, max_nodes * CREDENTIALS_PER_NODE, base, &at);
	live_table_carve(&l->listens, LISTEN_SESSIONS, base, &at);
	live_table_carve(&l->attempts, ATTEMPT_KEYS, base, &at);
	l->node_slots = live_reserve(base, &at, max_nodes * sizeof *l->node_slots);
	l->credential_slots =
	    live_reserve(base, &at, (size_t)max_nodes * CREDENTIALS_PER_NODE * sizeof *l->credential_slots);
	l->listen_slots = live_reserve(base, &at, LISTEN_SESSIONS * sizeof *l->listen_slots);
	l->attempt_slots = live_reserve(base, &at, ATTEMPT_KEYS * sizeof *l->attempt_slots);
	l->frames = live_reserve(base, &at, (size_t)max_nodes * LIVE_FRAME_MAX);
	l->chunks = live_reserve(base, &at, (size_t)max_nodes * LIVE_CHUNK_MAX);
	l->histories = live_reserve(base, &at, (size_t)max_nodes * LIVE_HISTORY_MAX);
	return at;
}

struct live *live_create(int64_t max_nodes)
{
	if (max_nodes < 1)
		max_nodes = 1;
	if (max_nodes > NODES_LIMIT)
		max_nodes = NODES_LIMIT;
	uint32_t nodes = (uint32_t)max_nodes;
	size_t size = live_carve(NULL, nodes);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	/* Room audio does not belong into core dumps. */
	madvise(map, size, MADV_DONTDUMP);
	live_carve(map, nodes);
	struct live *l = map;
	if (!live_lock_init(&l->waiting) || !live_lock_init(&l->nodes.lock) || !live_lock_init(&l->credentials.lock) ||
	    !live_lock_init(&l->listens.lock) || !live_lock_init(&l->attempts.lock)) {
		munmap(map, size);
		return NULL;
	}
	crypto_random(&l->seed, sizeof l->seed);
	l->started_ms = clock_now_ms();
	l->history_limit = HISTORY_LIMIT;
	return l;
}

int64_t live_started_ms(const struct live *l)
{
	return l->started_ms;
}

/* ---- meter frames and listen chunks ------------------------------------------------------------------------------ */

/* Locks the slot of node_id; LIVE_NO_SLOT if it has none and create is not set. */
static uint32_t node_slot_lock(struct live *l, const char *node_id, bool create)
{
	struct live_table *t = &l->nodes;
	uint32_t hash = live_key_hash(l->seed, node_id);
	live_table_lock(t);
	uint32_t slot = live_table_find(t, hash, node_id);
	if (slot != LIVE_NO_SLOT) {
		live_table_touch(t, slot);
		live_lock_take(&l->node_slots[slot].lock);
	} else if (create) {
		slot = live_table_free_slot(t);
		struct node_slot *n = &l->node_slots[slot];
		if (slot == t->high && !live_lock_init(&n->lock))
			abort();
		live_lock_take(&n->lock);
		LIVE_FIRST(n->frame_size = 0);
		LIVE_FIRST(n->chunk_size = 0);
		live_ring_reset(&n->history);
		n->beat_size = 0;
		live_table_insert(t, slot, hash, node_id);
	}
	live_table_unlock(t);
	return slot;
}

status live_meter_put(struct live *l, const char *node_id, const char *frame, size_t n, int64_t received_ms)
{
	if (!live_key_fits(node_id) || n == 0)
		return ST_INVALID;
	if (n > LIVE_FRAME_MAX)
		return ST_TOO_LARGE;
	uint32_t slot = node_slot_lock(l, node_id, true);
	struct node_slot *s = &l->node_slots[slot];
	LIVE_FIRST(s->frame_size = 0);
	memcpy(l->frames + (size_t)slot * LIVE_FRAME_MAX, frame, n);
	s->frame_received_ms = received_ms;
	s->frame_size = (uint32_t)n;
	pthread_mutex_unlock(&s->lock);
	return ST_OK;
}

status live_meter_get(struct live *l, const void *ctx, const char *node_id, char **frame, int64_t *received_ms)
{
	uint32_t slot = live_key_fits(node_id) ? node_slot_lock(l, node_id, false) : LIVE_NO_SLOT;
	if (slot == LIVE_NO_SLOT)
		return ST_NOT_FOUND;
	struct node_slot *s = &l->node_slots[slot];
	size_t n = s->frame_size;
	if (n > 0) {
		*frame = mem_strndup(ctx, l->frames + (size_t)slot * LIVE_FRAME_MAX, n);
		if (received_ms != NULL)
			*received_ms = s->frame_received_ms;
	}
	pthread_mutex_unlock(&s->lock);
	return n > 0 ? ST_OK : ST_NOT_FOUND;
}

status live_beat_put(struct live *l, const char *node_id, const char *json, size_t n)
{
	if (!live_key_fits(node_id) || n == 0)
		return ST_INVALID;
	if (n > LIVE_BEAT_MAX)
		return ST_TOO_LARGE;
	if (l->nodes.count >= l->nodes.capacity)
		return ST_TOO_LARGE;
	struct node_slot *s = &l->node_slots[node_slot_lock(l, node_id, true)];
	LIVE_FIRST(s->beat_size = 0);
	memcpy(s->beat, json, n);
	s->beat_size = (uint32_t)n;
	pthread_mutex_unlock(&s->lock);
	return ST_OK;
}

status live_beat_get(struct live *l, const void *ctx, const char *node_id, char **json)
{
	uint32_t slot = live_key_fits(node_id) ? node_slot_lock(l, node_id, false) : LIVE_NO_SLOT;
	if (slot == LIVE_NO_SLOT)
		return ST_NOT_FOUND;
	struct node_slot *s = &l->node_slots[slot];
	size_t n = s->beat_size;
	if (n > 0)
		*json = mem_strndup(ctx, s->beat, n);
	pthread_mutex_unlock(&s->lock);
	return n > 0 ? ST_OK : ST_NOT_FOUND;
}

void live_history_limit(struct live *l, int64_t frames)
{
	l->history_limit = frames < 1 ? 1 : frames > UINT32_MAX ? UINT32_MAX : (uint32_t)frames;
}

status live_meter_remember(struct live *l, const char *node_id, json_object *frame, int64_t received_ms)
{
	if (!live_key_fits(node_id))
		return ST_INVALID;
	void *ctx = talloc_new(NULL);
	size_t n;
	const void *summary = meter_summary_pack(ctx, frame, received_ms, &n);
	uint32_t slot = node_slot_lock(l, node_id, true);
	struct node_slot *s = &l->node_slots[slot];
	status st = live_ring_add(&s->history, l->histories + (size_t)slot * LIVE_HISTORY_MAX, LIVE_HISTORY_MAX,
	                          summary, n, l->history_limit);
	pthread_mutex_unlock(&s->lock);
	talloc_free(ctx);
	return st;
}

static void collect_summary(void *arg, const void *data, size_t n)
{
	json_object_array_add(arg, meter_summary_unpack(data, n));
}

json_object *live_meter_history(struct live *l, const void *ctx, const char *node_id, size_t limit)
{
	json_object *frames = json_new_array(ctx);
	uint32_t slot = live_key_fits(node_id) ? node_slot_lock(l, node_id, false) : LIVE_NO_SLOT;
	if (slot == LIVE_NO_SLOT)
		return frames;
	struct node_slot *s = &l->node_slots[slot];
	live_ring_each(&s->history, l->histories + (size_t)slot * LIVE_HISTORY_MAX, LIVE_HISTORY_MAX,
	               limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit, collect_summary, frames);
	pthread_mutex_unlock(&s->lock);
	return frames;
}

status live_chunk_put(struct live *l, const char *node_id, const struct live_chunk *c)
{
	if (!live_key_fits(node_id) || c->size == 0)
		return ST_INVALID;
	if (c->size > LIVE_CHUNK_MAX)
		return ST_TOO_LARGE;
	uint32_t slot = node_slot_lock(l, node_id, true);
	struct node_slot *s = &l->node_slots[slot];
	LIVE_FIRST(s->chunk_size = 0);
	memcpy(l->chunks + (size_t)slot * LIVE_CHUNK_MAX, c->audio, c->size);
	memcpy(s->chunk_captured_at, c->captured_at, sizeof s->chunk_captured_at);
	s->chunk_captured_at[sizeof s->chunk_captured_at - 1] = '\0';
	s->chunk_duration_ms = c->duration_ms;
	s->chunk_received_ms = c->received_ms;
	s->chunk_size = (uint32_t)c->size;
	pthread_mutex_unlock(&s->lock);
	return ST_OK;
}

/* sound: the bytes too, into ctx. */
static status chunk_read(struct live *l, const void *ctx, const char *node_id, bool sound, struct live_chunk *c)
{
	uint32_t slot = live_key_fits(node_id) ? node_slot_lock(l, node_id, false) : LIVE_NO_SLOT;
	if (slot == LIVE_NO_SLOT)
		return ST_NOT_FOUND;
	struct node_slot *s = &l->node_slots[slot];
	size_t n = s->chunk_size;
	if (n > 0) {
		c->audio = sound ? mem_array(ctx, char, n) : NULL;
		if (sound)
			memcpy(c->audio, l->chunks + (size_t)slot * LIVE_CHUNK_MAX, n);
		c->size = n;
		memcpy(c->captured_at, s->chunk_captured_at, sizeof c->captured_at);
		c->duration_ms = s->chunk_duration_ms;
		c->received_ms = s->chunk_received_ms;
	}
	pthread_mutex_unlock(&s->lock);
	return n > 0 ? ST_OK : ST_NOT_FOUND;
}

status live_chunk_get(struct live *l, const void *ctx, const char *node_id, struct live_chunk *c)
{
	return chunk_read(l, ctx, node_id, true, c);
}

status live_chunk_look(struct live *l, const char *node_id, struct live_chunk *c)
{
	return chunk_read(l, NULL, node_id, false, c);
}

/* ---- listen sessions --------------------------------------------------------------------------------------------- */

status live_listen_put(struct live *l, const char *session_id, const char *json, size_t n)
{
	if (!live_key_fits(session_id) || n == 0)
		return ST_INVALID;
	if (n > LISTEN_JSON_MAX)
		return ST_TOO_LARGE;
	struct live_table *t = &l->listens;
	uint32_t hash = live_key_hash(l->seed, session_id);
	live_table_lock(t);
	uint32_t slot = live_table_find(t, hash, session_id);
	bool fresh = slot == LIVE_NO_SLOT;
	if (fresh)
		slot = live_table_free_slot(t);
	struct listen_slot *s = &l->listen_slots[slot];
	LIVE_FIRST(s->size = 0);
	memcpy(s->json, json, n);
	s->size = (uint32_t)n;
	if (fresh)
		live_table_insert(t, slot, hash, session_id);
	else
		live_table_touch(t, slot);
	live_table_unlock(t);
	return ST_OK;
}

status live_listen_get(struct live *l, const void *ctx, const char *session_id, int64_t ttl_seconds, json_object **doc)
{
	struct live_table *t = &l->listens;
	char *json = NULL;
	size_t n = 0;
	if (!live_key_fits(session_id))
		return ST_NOT_FOUND;
	live_table_lock(t);
	uint32_t slot = live_table_find(t, live_key_hash(l->seed, session_id), session_id);
	if (slot != LIVE_NO_SLOT) {
		struct listen_slot *s = &l->listen_slots[slot];
		int64_t idle_ms = clock_mono_ms() - t->entries[slot].touched_ms;
		n = s->size;
		if (n == 0 || idle_ms > ttl_seconds * 1000) {
			live_table_remove(t, slot);
		} else {
			json = mem_strndup(ctx, s->json, n);
			live_table_touch(t, slot);
		}
	}
	live_table_unlock(t);
	if (json == NULL)
		return ST_NOT_FOUND;
	return json_parse(ctx, json, n, doc) ? ST_OK : ST_INTERNAL;
}

status live_listen_remove(struct live *l, const char *session_id)
{
	struct live_table *t = &l->listens;
	if (!live_key_fits(session_id))
		return ST_NOT_FOUND;
	live_table_lock(t);
	uint32_t slot = live_table_find(t, live_key_hash(l->seed, session_id), session_id);
	if (slot != LIVE_NO_SLOT)
		live_table_remove(t, slot);
	live_table_unlock(t);
	return slot != LIVE_NO_SLOT ? ST_OK : ST_NOT_FOUND;
}

/* ---- last known credentials -------------------------------------------------------------------------------------- */

void live_credential_put(struct live *l, const char *token_hash, const char *node_id)
{
	if (!live_key_fits(token_hash) || !live_key_fits(node_id))
		return;
	struct live_table *t = &l->credentials;
	uint32_t hash = live_key_hash(l->seed, token_hash);
	live_table_lock(t);
	uint32_t slot = live_table_find(t, hash, token_hash);
	if (slot != LIVE_NO_SLOT && strcmp(l->credential_slots[slot].node_id, node_id) == 0) {
		l->credential_slots[slot].verified_ms = clock_mono_ms();
		live_table_touch(t, slot);
	} else {
		if (slot != LIVE_NO_SLOT)
			live_table_remove(t, slot);
		slot = live_table_free_slot(t);
		l->credential_slots[slot].verified_ms = clock_mono_ms();
		memcpy(l->credential_slots[slot].node_id, node_id, strlen(node_id) + 1);
		live_table_insert(t, slot, hash, token_hash);
	}
	live_table_unlock(t);
}

bool live_credential_get(struct live *l, const char *token_hash, char node_id[161], int64_t *verified_ms)
{
	if (!live_key_fits(token_hash))
		return false;
	struct live_table *t = &l->credentials;
	live_table_lock(t);
	uint32_t slot = live_table_find(t, live_key_hash(l->seed, token_hash), token_hash);
	if (slot != LIVE_NO_SLOT) {
		live_table_touch(t, slot);
		memcpy(node_id, l->credential_slots[slot].node_id, LIVE_KEY_SIZE);
		*verified_ms = l->credential_slots[slot].verified_ms;
	}
	live_table_unlock(t);
	return slot != LIVE_NO_SLOT;
}

/* node_id NULL: those of all nodes. */
static void forget_credentials(struct live *l, const char *node_id)
{
	struct live_table *t = &l->credentials;
	live_table_lock(t);
	for (uint32_t slot = 0; slot < t->high; slot++)
		if (t->entries[slot].used &&
		    (node_id == NULL || strcmp(l->credential_slots[slot].node_id, node_id) == 0))
			live_table_remove(t, slot);
	live_table_unlock(t);
}

void live_credential_forget_node(struct live *l, const char *node_id)
{
	forget_credentials(l, node_id);
}

void live_credential_forget_all(struct live *l)
{
	forget_credentials(l, NULL);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

/* The slot of key with the table locked, LIVE_NO_SLOT if it has none. */
static uint32_t attempt_lock(struct live *l, const char *key)
{
	live_table_lock(&l->attempts);
	return live_table_find(&l->attempts, live_key_hash(l->seed, key), key);
}

static uint32_t attempt_insert(struct live *l, const char *key, int64_t now_ms)
{
	uint32_t slot = live_table_free_slot(&l->attempts);
	l->attempt_slots[slot] = (struct attempt_slot){.began_ms = now_ms};
	live_table_insert(&l->attempts, slot, live_key_hash(l->seed, key), key);
	return slot;
}

int64_t live_attempt(struct live *l, const char *key, int64_t limit, int64_t window_ms)
{
	int64_t now_ms = clock_mono_ms(), wait_ms = 0;
	if (!live_key_fits(key))
		return 0;
	uint32_t slot = attempt_lock(l, key);
	if (slot == LIVE_NO_SLOT)
		slot = attempt_insert(l, key, now_ms);
	struct attempt_slot *a = &l->attempt_slots[slot];
	if (now_ms - a->began_ms >= window_ms)
		*a = (struct attempt_slot){.began_ms = now_ms};
	if (a->count < limit)
		a->count++;
	else
		wait_ms = a->began_ms + window_ms - now_ms;
	live_table_touch(&l->attempts, slot);
	live_table_unlock(&l->attempts);
	return wait_ms;
}

void live_attempt_return(struct live *l, const char *key)
{
	if (!live_key_fits(key))
		return;
	uint32_t slot = attempt_lock(l, key);
	if (slot != LIVE_NO_SLOT && l->attempt_slots[slot].count > 0)
		l->attempt_slots[slot].count--;
	live_table_unlock(&l->attempts);
}

void live_attempt_forget(struct live *l, const char *key)
{
	if (!live_key_fits(key))
		return;
	uint32_t slot = attempt_lock(l, key);
	if (slot != LIVE_NO_SLOT)
		live_table_remove(&l->attempts, slot);
	live_table_unlock(&l->attempts);
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

#define COST_WEIGHT 8

void live_cost_note(struct live *l, enum live_cost kind, int64_t us)
{
	int64_t mean = l->costs[kind];
	l->costs[kind] = mean == 0 ? us : mean + (us - mean) / COST_WEIGHT;
}

int64_t live_cost(const struct live *l, enum live_cost kind)
{
	return l->costs[kind];
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

void live_count(struct live *l, enum live_counter c, int64_t delta)
{
	atomic_fetch_add_explicit(&l->counters[c], delta, memory_order_relaxed);
}

void live_set(struct live *l, enum live_counter c, int64_t value)
{
	atomic_store_explicit(&l->counters[c], value, memory_order_relaxed);
}

int64_t live_read(const struct live *l, enum live_counter c)
{
	return atomic_load_explicit(&l->counters[c], memory_order_relaxed);
}

int64_t live_swap(struct live *l, enum live_counter c, int64_t value)
{
	return atomic_exchange(&l->counters[c], value);
}

/* ---- while the database is away ---------------------------------------------------------------------------------- */

void live_recall_open(struct live *l, size_t answer_bytes)
{
	l->answers = recall_create(answer_bytes);
	l->sessions = recall_create(SESSION_BYTES);
}

struct recall *live_answers(const struct live *l)
{
	return l->answers;
}

struct recall *live_sessions(const struct live *l)
{
	return l->sessions;
}

bool live_waiting_begin(struct live *l)
{
	int rc = pthread_mutex_trylock(&l->waiting);

	if (rc == EOWNERDEAD)
		pthread_mutex_consistent(&l->waiting);
	return rc == 0 || rc == EOWNERDEAD;
}

void live_waiting_end(struct live *l)
{
	pthread_mutex_unlock(&l->waiting);
}
