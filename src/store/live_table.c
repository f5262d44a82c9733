#include "store/live_table.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- robust locks ------------------------------------------------------------------------------------------------ */

bool live_lock_init(pthread_mutex_t *m)
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
bool live_lock_take(pthread_mutex_t *m)
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

uint32_t live_key_hash(uint32_t seed, const char *key)
{
	uint32_t h = seed ^ 2166136261u;
	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h ^ (h >> 15);
}

static void index_insert(struct live_table *t, uint32_t slot)
{
	uint32_t i = t->entries[slot].hash & t->mask;
	while (t->index[i] != 0)
		i = (i + 1) & t->mask;
	t->index[i] = slot + 1;
}

/* Takes slot out of the index; later members of its run move up, so that no tombstones are needed. */
static void index_remove(struct live_table *t, uint32_t slot)
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
static void table_rebuild(struct live_table *t)
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

void live_table_lock(struct live_table *t)
{
	if (live_lock_take(&t->lock) && t->changing)
		table_rebuild(t);
}

void live_table_unlock(struct live_table *t)
{
	pthread_mutex_unlock(&t->lock);
}

void live_table_touch(struct live_table *t, uint32_t slot)
{
	t->entries[slot].tick = ++t->tick;
	t->entries[slot].touched_ms = clock_mono_ms();
}

uint32_t live_table_find(struct live_table *t, uint32_t hash, const char *key)
{
	for (uint32_t i = hash & t->mask; t->index[i] != 0; i = (i + 1) & t->mask) {
		uint32_t slot = t->index[i] - 1;
		if (t->entries[slot].hash == hash && strcmp(t->entries[slot].key, key) == 0)
			return slot;
	}
	return LIVE_NO_SLOT;
}

void live_table_remove(struct live_table *t, uint32_t slot)
{
	LIVE_FIRST(t->changing = true);
	LIVE_FIRST(t->entries[slot].used = 0);
	index_remove(t, slot);
	t->count--;
	t->changing = false;
}

/* A slot without a key: a fresh one, a freed one, or that of the least recently used key, which is dropped. */
uint32_t live_table_free_slot(struct live_table *t)
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
	live_table_remove(t, oldest);
	return oldest;
}

/* Gives slot (of live_table_free_slot) to key. The caller has put the slot's data in order before. */
void live_table_insert(struct live_table *t, uint32_t slot, uint32_t hash, const char *key)
{
	struct live_entry *e = &t->entries[slot];
	LIVE_FIRST(t->changing = true);
	e->hash = hash;
	memcpy(e->key, key, strlen(key) + 1);
	live_table_touch(t, slot);
	e->used = 1;
	if (slot == t->high)
		t->high++;
	t->count++;
	index_insert(t, slot);
	t->changing = false;
}

bool live_key_fits(const char *key)
{
	return key[0] != '\0' && strnlen(key, LIVE_KEY_SIZE) < LIVE_KEY_SIZE;
}

/* ---- laying out -------------------------------------------------------------------------------------------------- */

/* Reserves n bytes, page aligned; base NULL only adds up. */
void *live_reserve(char *base, size_t *at, size_t n)
{
	void *p = base != NULL ? base + *at : NULL;
	*at += (n + 4095) & ~(size_t)4095;
	return p;
}

void live_table_carve(struct live_table *t, uint32_t capacity, char *base, size_t *at)
{
	uint32_t places = 16;
	while (places < capacity * 2)
		places *= 2;
	uint32_t *index = live_reserve(base, at, places * sizeof(uint32_t));
	struct live_entry *entries = live_reserve(base, at, capacity * sizeof(struct live_entry));
	if (base == NULL)
		return;
	t->capacity = capacity;
	t->mask = places - 1;
	t->index = index;
	t->entries = entries;
}
