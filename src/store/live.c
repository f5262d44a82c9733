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

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_SIZE 161 /* the widest id of the schema is varchar(160) */
#define NODES_LIMIT 65536
#define LISTEN_SESSIONS 4096
#define LISTEN_JSON_MAX 4088
#define CREDENTIALS_PER_NODE 4

#define NO_SLOT UINT32_MAX

/* A store that the compiler may not move behind later ones: their order is what a dying writer leaves behind. */
#define FIRST(store)                                                                                                   \
	do {                                                                                                           \
		store;                                                                                                 \
		atomic_signal_fence(memory_order_seq_cst);                                                             \
	} while (0)

struct entry {
	_Atomic uint32_t used; /* set last, cleared first */
	uint32_t hash;
	uint64_t tick; /* of the last use; the smallest is replaced first */
	int64_t touched_ms;
	char key[KEY_SIZE];
};

/* Keys to slots: an open-addressing index over entries, both guarded by lock. */
struct table {
	pthread_mutex_t lock;
	uint32_t capacity;
	uint32_t mask; /* index places - 1 */
	uint32_t high; /* slots ever used; those beyond were never touched */
	uint32_t count;
	uint64_t tick;
	atomic_bool changing;
	uint32_t *index; /* slot + 1; 0 = free place */
	struct entry *entries;
};

/* Guarded by lock, which is only taken while the table's lock is held (it may be kept longer). */
struct node_slot {
	pthread_mutex_t lock;
	_Atomic uint32_t frame_size; /* 0 = no frame */
	int64_t frame_received_ms;
	_Atomic uint32_t chunk_size; /* 0 = no chunk */
	int64_t chunk_duration_ms;
	int64_t chunk_received_ms;
	char chunk_captured_at[64];
};

struct listen_slot {
	_Atomic uint32_t size; /* 0 = no document */
	char json[LISTEN_JSON_MAX];
};

struct credential_slot {
	char node_id[KEY_SIZE];
};

struct live {
	int64_t started_ms;
	uint32_t seed;
	_Atomic int64_t counters[LIVE_COUNTERS];
	struct table nodes, credentials, listens;
	struct node_slot *node_slots;
	struct credential_slot *credential_slots;
	struct listen_slot *listen_slots;
	char *frames; /* LIVE_FRAME_MAX each */
	char *chunks; /* LIVE_CHUNK_MAX each */
};

/* ---- robust locks ------------------------------------------------------------------------------------------------ */

static bool lock_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	if (pthread_mutexattr_init(&a) != 0)
		return false;
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	int rc = pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
	return rc == 0;
}

/* Takes m; true if its last owner died inside. */
static bool lock_take(pthread_mutex_t *m)
{
	int rc = pthread_mutex_lock(m);
	if (rc == 0)
		return false;
	if (rc != EOWNERDEAD)
		abort(); /* a broken lock: end this process rather than run on unguarded */
	pthread_mutex_consistent(m);
	return true;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static uint32_t key_hash(uint32_t seed, const char *key)
{
	uint32_t h = seed ^ 2166136261u;
	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h ^ (h >> 15);
}

static void index_insert(struct table *t, uint32_t slot)
{
	uint32_t i = t->entries[slot].hash & t->mask;
	while (t->index[i] != 0)
		i = (i + 1) & t->mask;
	t->index[i] = slot + 1;
}

/* Takes slot out of the index; later members of its run move up, so that no tombstones are needed. */
static void index_remove(struct table *t, uint32_t slot)
{
	uint32_t hole = t->entries[slot].hash & t->mask;
	while (t->index[hole] != slot + 1) {
		if (t->index[hole] == 0)
			return;
		hole = (hole + 1) & t->mask;
	}
	t->index[hole] = 0;
	for (uint32_t i = (hole + 1) & t->mask; t->index[i] != 0; i = (i + 1) & t->mask) {
		uint32_t home = t->entries[t->index[i] - 1].hash & t->mask;
		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue; /* its home lies after the hole */
		t->index[hole] = t->index[i];
		t->index[i] = 0;
		hole = i;
	}
}

/* After the death of a writer: the entries that are whole are the truth. */
static void table_rebuild(struct table *t)
{
	memset(t->index, 0, ((size_t)t->mask + 1) * sizeof *t->index);
	t->count = 0;
	for (uint32_t slot = 0; slot < t->high; slot++) {
		if (!t->entries[slot].used)
			continue;
		index_insert(t, slot);
		t->count++;
	}
	t->changing = false;
}

static void table_lock(struct table *t)
{
	if (lock_take(&t->lock) && t->changing)
		table_rebuild(t);
}

static void table_unlock(struct table *t)
{
	pthread_mutex_unlock(&t->lock);
}

static void table_touch(struct table *t, uint32_t slot)
{
	t->entries[slot].tick = ++t->tick;
	t->entries[slot].touched_ms = clock_mono_ms();
}

static uint32_t table_find(struct table *t, uint32_t hash, const char *key)
{
	for (uint32_t i = hash & t->mask; t->index[i] != 0; i = (i + 1) & t->mask) {
		uint32_t slot = t->index[i] - 1;
		if (t->entries[slot].hash == hash && strcmp(t->entries[slot].key, key) == 0)
			return slot;
	}
	return NO_SLOT;
}

static void table_remove(struct table *t, uint32_t slot)
{
	FIRST(t->changing = true);
	FIRST(t->entries[slot].used = 0);
	index_remove(t, slot);
	t->count--;
	t->changing = false;
}

/* A slot without a key: a fresh one, a freed one, or that of the least recently used key, which is dropped. */
static uint32_t table_free_slot(struct table *t)
{
	if (t->count == t->high && t->high < t->capacity)
		return t->high;
	uint32_t oldest = 0;
	for (uint32_t slot = 0; slot < t->high; slot++) {
		if (!t->entries[slot].used)
			return slot;
		if (t->entries[slot].tick < t->entries[oldest].tick)
			oldest = slot;
	}
	table_remove(t, oldest);
	return oldest;
}

/* Gives slot (of table_free_slot) to key. The caller has put the slot's data in order before. */
static void table_insert(struct table *t, uint32_t slot, uint32_t hash, const char *key)
{
	struct entry *e = &t->entries[slot];
	FIRST(t->changing = true);
	e->hash = hash;
	memcpy(e->key, key, strlen(key) + 1);
	table_touch(t, slot);
	e->used = 1;
	if (slot == t->high)
		t->high++;
	t->count++;
	index_insert(t, slot);
	t->changing = false;
}

static bool key_fits(const char *key)
{
	return key[0] != '\0' && strnlen(key, KEY_SIZE) < KEY_SIZE;
}

/* ---- the mapping ------------------------------------------------------------------------------------------------- */

/* Reserves n bytes, page aligned; base NULL only adds up. */
static void *carve(char *base, size_t *at, size_t n)
{
	void *p = base != NULL ? base + *at : NULL;
	*at += (n + 4095) & ~(size_t)4095;
	return p;
}

static void table_carve(struct table *t, uint32_t capacity, char *base, size_t *at)
{
	uint32_t places = 16;
	while (places < capacity * 2)
		places *= 2;
	uint32_t *index = carve(base, at, places * sizeof(uint32_t));
	struct entry *entries = carve(base, at, capacity * sizeof(struct entry));
	if (base == NULL)
		return;
	t->capacity = capacity;
	t->mask = places - 1;
	t->index = index;
	t->entries = entries;
}

/* Lays everything out; base NULL: returns only the size needed. */
static size_t live_carve(char *base, uint32_t max_nodes)
{
	struct live unplaced = {0};
	size_t at = 0;
	struct live *l = carve(base, &at, sizeof *l);
	if (l == NULL)
		l = &unplaced;
	table_carve(&l->nodes, max_nodes, base, &at);
	table_carve(&l->credentials, max_nodes * CREDENTIALS_PER_NODE, base, &at);
	table_carve(&l->listens, LISTEN_SESSIONS, base, &at);
	l->node_slots = carve(base, &at, max_nodes * sizeof *l->node_slots);
	l->credential_slots = carve(base, &at, (size_t)max_nodes * CREDENTIALS_PER_NODE * sizeof *l->credential_slots);
	l->listen_slots = carve(base, &at, LISTEN_SESSIONS * sizeof *l->listen_slots);
	l->frames = carve(base, &at, (size_t)max_nodes * LIVE_FRAME_MAX);
	l->chunks = carve(base, &at, (size_t)max_nodes * LIVE_CHUNK_MAX);
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
	if (!lock_init(&l->nodes.lock) || !lock_init(&l->credentials.lock) || !lock_init(&l->listens.lock)) {
		munmap(map, size);
		return NULL;
	}
	crypto_random(&l->seed, sizeof l->seed);
	l->started_ms = clock_now_ms();
	return l;
}

int64_t live_started_ms(const struct live *l)
{
	return l->started_ms;
}

/* ---- meter frames and listen chunks ------------------------------------------------------------------------------ */

/* Locks the slot of node_id; NO_SLOT if it has none and create is not set. */
static uint32_t node_slot_lock(struct live *l, const char *node_id, bool create)
{
	struct table *t = &l->nodes;
	uint32_t hash = key_hash(l->seed, node_id);
	table_lock(t);
	uint32_t slot = table_find(t, hash, node_id);
	if (slot != NO_SLOT) {
		table_touch(t, slot);
		lock_take(&l->node_slots[slot].lock);
	} else if (create) {
		slot = table_free_slot(t);
		struct node_slot *n = &l->node_slots[slot];
		if (slot == t->high && !lock_init(&n->lock))
			abort();
		lock_take(&n->lock);
		FIRST(n->frame_size = 0);
		FIRST(n->chunk_size = 0);
		table_insert(t, slot, hash, node_id);
	}
	table_unlock(t);
	return slot;
}

status live_meter_put(struct live *l, const char *node_id, const char *frame, size_t n, int64_t received_ms)
{
	if (!key_fits(node_id) || n == 0)
		return ST_INVALID;
	if (n > LIVE_FRAME_MAX)
		return ST_TOO_LARGE;
	uint32_t slot = node_slot_lock(l, node_id, true);
	struct node_slot *s = &l->node_slots[slot];
	FIRST(s->frame_size = 0);
	memcpy(l->frames + (size_t)slot * LIVE_FRAME_MAX, frame, n);
	s->frame_received_ms = received_ms;
	s->frame_size = (uint32_t)n;
	pthread_mutex_unlock(&s->lock);
	return ST_OK;
}

status live_meter_get(struct live *l, const void *ctx, const char *node_id, char **frame, int64_t *received_ms)
{
	uint32_t slot = key_fits(node_id) ? node_slot_lock(l, node_id, false) : NO_SLOT;
	if (slot == NO_SLOT)
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

status live_chunk_put(struct live *l, const char *node_id, const struct live_chunk *c)
{
	if (!key_fits(node_id) || c->size == 0)
		return ST_INVALID;
	if (c->size > LIVE_CHUNK_MAX)
		return ST_TOO_LARGE;
	uint32_t slot = node_slot_lock(l, node_id, true);
	struct node_slot *s = &l->node_slots[slot];
	FIRST(s->chunk_size = 0);
	memcpy(l->chunks + (size_t)slot * LIVE_CHUNK_MAX, c->audio, c->size);
	memcpy(s->chunk_captured_at, c->captured_at, sizeof s->chunk_captured_at);
	s->chunk_captured_at[sizeof s->chunk_captured_at - 1] = '\0';
	s->chunk_duration_ms = c->duration_ms;
	s->chunk_received_ms = c->received_ms;
	s->chunk_size = (uint32_t)c->size;
	pthread_mutex_unlock(&s->lock);
	return ST_OK;
}

status live_chunk_get(struct live *l, const void *ctx, const char *node_id, struct live_chunk *c)
{
	uint32_t slot = key_fits(node_id) ? node_slot_lock(l, node_id, false) : NO_SLOT;
	if (slot == NO_SLOT)
		return ST_NOT_FOUND;
	struct node_slot *s = &l->node_slots[slot];
	size_t n = s->chunk_size;
	if (n > 0) {
		c->audio = mem_array(ctx, char, n);
		memcpy(c->audio, l->chunks + (size_t)slot * LIVE_CHUNK_MAX, n);
		c->size = n;
		memcpy(c->captured_at, s->chunk_captured_at, sizeof c->captured_at);
		c->duration_ms = s->chunk_duration_ms;
		c->received_ms = s->chunk_received_ms;
	}
	pthread_mutex_unlock(&s->lock);
	return n > 0 ? ST_OK : ST_NOT_FOUND;
}

/* ---- listen sessions --------------------------------------------------------------------------------------------- */

status live_listen_put(struct live *l, const char *session_id, const char *json, size_t n)
{
	if (!key_fits(session_id) || n == 0)
		return ST_INVALID;
	if (n > LISTEN_JSON_MAX)
		return ST_TOO_LARGE;
	struct table *t = &l->listens;
	uint32_t hash = key_hash(l->seed, session_id);
	table_lock(t);
	uint32_t slot = table_find(t, hash, session_id);
	bool fresh = slot == NO_SLOT;
	if (fresh)
		slot = table_free_slot(t);
	struct listen_slot *s = &l->listen_slots[slot];
	FIRST(s->size = 0);
	memcpy(s->json, json, n);
	s->size = (uint32_t)n;
	if (fresh)
		table_insert(t, slot, hash, session_id);
	else
		table_touch(t, slot);
	table_unlock(t);
	return ST_OK;
}

status live_listen_get(struct live *l, const void *ctx, const char *session_id, int64_t ttl_seconds, json_object **doc)
{
	struct table *t = &l->listens;
	char *json = NULL;
	size_t n = 0;
	if (!key_fits(session_id))
		return ST_NOT_FOUND;
	table_lock(t);
	uint32_t slot = table_find(t, key_hash(l->seed, session_id), session_id);
	if (slot != NO_SLOT) {
		struct listen_slot *s = &l->listen_slots[slot];
		int64_t idle_ms = clock_mono_ms() - t->entries[slot].touched_ms;
		n = s->size;
		if (n == 0 || idle_ms > ttl_seconds * 1000) {
			table_remove(t, slot);
		} else {
			json = mem_strndup(ctx, s->json, n);
			table_touch(t, slot);
		}
	}
	table_unlock(t);
	if (json == NULL)
		return ST_NOT_FOUND;
	return json_parse(ctx, json, n, doc) ? ST_OK : ST_INTERNAL;
}

status live_listen_remove(struct live *l, const char *session_id)
{
	struct table *t = &l->listens;
	if (!key_fits(session_id))
		return ST_NOT_FOUND;
	table_lock(t);
	uint32_t slot = table_find(t, key_hash(l->seed, session_id), session_id);
	if (slot != NO_SLOT)
		table_remove(t, slot);
	table_unlock(t);
	return slot != NO_SLOT ? ST_OK : ST_NOT_FOUND;
}

/* ---- last known credentials -------------------------------------------------------------------------------------- */

void live_credential_put(struct live *l, const char *token_hash, const char *node_id)
{
	if (!key_fits(token_hash) || !key_fits(node_id))
		return;
	struct table *t = &l->credentials;
	uint32_t hash = key_hash(l->seed, token_hash);
	table_lock(t);
	uint32_t slot = table_find(t, hash, token_hash);
	if (slot != NO_SLOT && strcmp(l->credential_slots[slot].node_id, node_id) == 0) {
		table_touch(t, slot);
	} else {
		if (slot != NO_SLOT)
			table_remove(t, slot);
		slot = table_free_slot(t);
		memcpy(l->credential_slots[slot].node_id, node_id, strlen(node_id) + 1);
		table_insert(t, slot, hash, token_hash);
	}
	table_unlock(t);
}

bool live_credential_get(struct live *l, const char *token_hash, char node_id[161])
{
	if (!key_fits(token_hash))
		return false;
	struct table *t = &l->credentials;
	table_lock(t);
	uint32_t slot = table_find(t, key_hash(l->seed, token_hash), token_hash);
	if (slot != NO_SLOT) {
		table_touch(t, slot);
		memcpy(node_id, l->credential_slots[slot].node_id, KEY_SIZE);
	}
	table_unlock(t);
	return slot != NO_SLOT;
}

void live_credential_forget_node(struct live *l, const char *node_id)
{
	struct table *t = &l->credentials;
	table_lock(t);
	for (uint32_t slot = 0; slot < t->high; slot++)
		if (t->entries[slot].used && strcmp(l->credential_slots[slot].node_id, node_id) == 0)
			table_remove(t, slot);
	table_unlock(t);
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
