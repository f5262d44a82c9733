/*
 * The building blocks of live memory (live.c): robust locks, and tables of keys to slots that survive the death of a
 * writer at any instruction. All of it lives in a mapping shared by all processes at one address.
 */
#ifndef RAKKR_STORE_LIVE_TABLE_H
#define RAKKR_STORE_LIVE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVE_KEY_SIZE 161 /* the widest id of the schema is varchar(160) */
#define LIVE_NO_SLOT UINT32_MAX

/* A store that the compiler may not move behind later ones: their order is what a dying writer leaves behind. */
#define LIVE_FIRST(store)                                                                                              \
	do {                                                                                                           \
		store;                                                                                                 \
		atomic_signal_fence(memory_order_seq_cst);                                                             \
	} while (0)

struct live_entry {
	_Atomic uint32_t used; /* set last, cleared first */
	uint32_t hash;
	uint64_t tick; /* of the last use; the smallest is replaced first */
	int64_t touched_ms;
	char key[LIVE_KEY_SIZE];
};

/* Keys to slots: an open-addressing index over entries, both guarded by lock. */
struct live_table {
	pthread_mutex_t lock;
	uint32_t capacity;
	uint32_t mask; /* index places - 1 */
	uint32_t high; /* slots ever used; those beyond were never touched */
	uint32_t count;
	uint64_t tick;
	atomic_bool changing;
	uint32_t *index; /* slot + 1; 0 = free place */
	struct live_entry *entries;
};

/* A lock that processes share and whose owner may die. */
bool live_lock_init(pthread_mutex_t *m);
/* Takes m; true if its last owner died inside. */
bool live_lock_take(pthread_mutex_t *m);

uint32_t live_key_hash(uint32_t seed, const char *key);
/* True if key can be a key at all: not empty, shorter than LIVE_KEY_SIZE. */
bool live_key_fits(const char *key);

/* Everything below is called between these two; taking the lock repairs what a dead owner left. */
void live_table_lock(struct live_table *t);
void live_table_unlock(struct live_table *t);

/* The slot of key, LIVE_NO_SLOT if it has none. */
uint32_t live_table_find(struct live_table *t, uint32_t hash, const char *key);
/* Notes a use: the least recently used key is the first to be replaced. */
void live_table_touch(struct live_table *t, uint32_t slot);
void live_table_remove(struct live_table *t, uint32_t slot);
/* A slot without a key: a fresh one, a freed one, or that of the least recently used key, which is dropped. */
uint32_t live_table_free_slot(struct live_table *t);
/* Gives slot (of live_table_free_slot) to key. The caller has put the slot's data in order before. */
void live_table_insert(struct live_table *t, uint32_t slot, uint32_t hash, const char *key);

/* Reserves n bytes at *at of the mapping, page aligned; base NULL only adds up and returns NULL. */
void *live_reserve(char *base, size_t *at, size_t n);
/* Reserves what a table of that capacity needs and, unless base is NULL, sets it up but for its lock. */
void live_table_carve(struct live_table *t, uint32_t capacity, char *base, size_t *at);

#endif
