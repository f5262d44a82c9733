#include "store/recall.h"

#include "base/mem.h"
#include "store/live_table.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES_LEAST 4096
#define BYTES_MOST (1u << 30)
#define BYTES_A_PLACE 256 /* of the ring, for each place of the index */

/*
 * The ring is a row of records, from tail (the oldest) to head, without gaps: a record that does not fit behind the
 * last one goes to the front, and a dead record (or, if there is no room even for that, nothing) fills the rest.
 */
struct record {
	uint32_t size; /* of all, a multiple of its alignment */
	uint32_t length;
	uint32_t dead;
	struct recall_key key;
	struct recall_note note;
	char data[];
};

struct recall {
	pthread_mutex_t lock;
	_Atomic uint64_t clock;
	_Atomic uint64_t changed[RECALL_TOPICS]; /* clock of the last change */
	uint64_t forgotten;                      /* clock of the last recall_forget...() */
	uint32_t capacity, mask;                 /* bytes of the ring; places of the index - 1 */
	uint32_t head, tail, used;
	uint32_t count;  /* records in the index */
	uint32_t *index; /* offset / RECORD_ALIGN + 1; 0 = free. Mapped at the same address in every process */
	char *ring;
};

#define RECORD_ALIGN _Alignof(struct record)

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t ring_bytes(size_t bytes)
{
	if (bytes == 0)
		return 0;
	if (bytes < BYTES_LEAST)
		bytes = BYTES_LEAST;
	if (bytes > BYTES_MOST)
		bytes = BYTES_MOST;
	return round_up(bytes, 64);
}

static size_t places_for(size_t bytes)
{
	size_t places = 16;

	while (places < bytes / BYTES_A_PLACE)
		places *= 2;
	return places;
}

struct recall *recall_create(size_t bytes)
{
	size_t n = ring_bytes(bytes), places = places_for(n);
	size_t index_at = round_up(sizeof(struct recall), 64);
	size_t ring_at = index_at + round_up(places * sizeof(uint32_t), 64);
	struct recall *r;

	if (n == 0)
		return NULL;
	r = mmap(NULL, ring_at + n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	madvise(r, ring_at + n, MADV_DONTDUMP); /* what people recorded does not belong into core dumps */
	if (!live_lock_init(&r->lock)) {
		munmap(r, ring_at + n);
		return NULL;
	}
	r->capacity = (uint32_t)n;
	r->mask = (uint32_t)places - 1;
	r->index = (uint32_t *)((char *)r + index_at);
	r->ring = (char *)r + ring_at;
	return r;
}

static void clear(struct recall *r)
{
	memset(r->index, 0, ((size_t)r->mask + 1) * sizeof(*r->index));
	r->head = r->tail = r->used = r->count = 0;
}

static void enter(struct recall *r)
{
	if (live_lock_take(&r->lock))
		clear(r);
}

static void leave(struct recall *r)
{
	pthread_mutex_unlock(&r->lock);
}

/* ---- index ------------------------------------------------------------------------------------------------------- */

static struct record *at(const struct recall *r, uint32_t offset)
{
	return (struct record *)(r->ring + offset);
}

static struct record *in_place(const struct recall *r, uint32_t place)
{
	return at(r, (r->index[place] - 1) * (uint32_t)RECORD_ALIGN);
}

static uint32_t home_of(const struct recall *r, const struct recall_key *key)
{
	uint32_t h;

	memcpy(&h, key->bytes, sizeof(h));
	return h & r->mask;
}

/* Where key is, or the free place where it would be. */
static uint32_t find(const struct recall *r, const struct recall_key *key)
{
	uint32_t i = home_of(r, key);

	while (r->index[i] != 0 && memcmp(&in_place(r, i)->key, key, sizeof(*key)) != 0)
		i = (i + 1) & r->mask;
	return i;
}

/* Takes a record out of the index; later members of its run move up, so that no tombstones are needed. */
static void bury(struct recall *r, struct record *e)
{
	uint32_t hole = find(r, &e->key);

	e->dead = 1;
	r->count--;
	r->index[hole] = 0;
	for (uint32_t i = (hole + 1) & r->mask; r->index[i] != 0; i = (i + 1) & r->mask) {
		uint32_t home = home_of(r, &in_place(r, i)->key);

		if (((i - home) & r->mask) < ((i - hole) & r->mask))
			continue; /* its home lies behind the hole */
		r->index[hole] = r->index[i];
		r->index[i] = 0;
		hole = i;
	}
}

/* ---- ring -------------------------------------------------------------------------------------------------------- */

/* Offset behind the record at offset; a rest that is too short for a record is jumped over. *size: what was passed. */
static uint32_t next_offset(const struct recall *r, uint32_t offset, uint32_t *size)
{
	uint32_t end;

	*size = at(r, offset)->size;
	end = offset + *size;
	if (r->capacity - end >= sizeof(struct record))
		return end;
	*size += r->capacity - end;
	return 0;
}

static void drop_oldest(struct recall *r)
{
	struct record *e = at(r, r->tail);
	uint32_t size;

	if (!e->dead)
		bury(r, e);
	r->tail = next_offset(r, r->tail, &size);
	r->used -= size;
	if (r->used == 0)
		r->head = r->tail = 0;
}

/* A place for size bytes behind the newest record. */
static struct record *take(struct recall *r, uint32_t size)
{
	struct record *e;
	uint32_t passed;

	while (r->count * 4 >= (r->mask + 1) * 3)
		drop_oldest(r);
	if (size > r->capacity - r->head) { /* head leaves room for a record head at least */
		uint32_t rest = r->capacity - r->head;

		while (r->used + rest > r->capacity)
			drop_oldest(r);
		if (r->used > 0) {
			*at(r, r->head) = (struct record){.size = rest, .dead = 1};
			r->used += rest;
		}
		r->head = 0;
	}
	while (r->used + size > r->capacity)
		drop_oldest(r);
	e = at(r, r->head);
	*e = (struct record){.size = size, .dead = 1};
	r->head = next_offset(r, r->head, &passed);
	r->used += passed;
	return e;
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

uint64_t recall_clock(const struct recall *r)
{
	return atomic_load(&r->clock);
}

void recall_changed(struct recall *r, uint64_t topics)
{
	uint64_t now = atomic_fetch_add(&r->clock, 1) + 1;

	for (unsigned i = 0; i < RECALL_TOPICS; i++) {
		uint64_t before = atomic_load(&r->changed[i]);

		if (!(topics & (UINT64_C(1) << i)))
			continue;
		while (before < now && !atomic_compare_exchange_weak(&r->changed[i], &before, now))
			;
	}
}

size_t recall_longest(const struct recall *r)
{
	return r->capacity / 4 - sizeof(struct record);
}

static bool is_outdated(const struct recall *r, const struct recall_note *note)
{
	for (unsigned i = 0; i < RECALL_TOPICS; i++)
		if ((note->topics & (UINT64_C(1) << i)) != 0 && atomic_load(&r->changed[i]) > note->asked)
			return true;
	return false;
}

void recall_put(struct recall *r, const struct recall_key *key, const struct recall_note *note, const void *data,
                size_t n)
{
	struct record *old, *e;
	uint32_t place;

	enter(r);
	if (r->forgotten > note->asked || is_outdated(r, note)) {
		leave(r);
		return;
	}
	place = find(r, key);
	old = r->index[place] != 0 ? in_place(r, place) : NULL;
	if (old != NULL && old->length == n && memcmp(old->data, data, n) == 0) {
		old->note = *note; /* still the same: only known later */
		leave(r);
		return;
	}
	if (old != NULL)
		bury(r, old);
	if (n > recall_longest(r)) {
		leave(r);
		return;
	}
	e = take(r, (uint32_t)round_up(sizeof(*e) + n, RECORD_ALIGN));
	e->key = *key;
	e->note = *note;
	e->length = (uint32_t)n;
	memcpy(e->data, data, n);
	e->dead = 0;
	r->index[find(r, key)] = (uint32_t)(((char *)e - r->ring) / (ptrdiff_t)RECORD_ALIGN) + 1;
	r->count++;
	leave(r);
}

bool recall_get(struct recall *r, const void *ctx, const struct recall_key *key, int64_t since_ms, char **data,
                size_t *n, int64_t *known_ms)
{
	const struct record *e;
	uint32_t place;
	bool good;

	enter(r);
	place = find(r, key);
	e = r->index[place] != 0 ? in_place(r, place) : NULL;
	good = e != NULL && e->note.mono_ms >= since_ms && !is_outdated(r, &e->note);
	if (good) {
		*data = mem_array(ctx, char, e->length + 1);
		memcpy(*data, e->data, e->length);
		*n = e->length;
		*known_ms = e->note.mono_ms;
	}
	leave(r);
	return good;
}

bool recall_holds(struct recall *r, const struct recall_key *key)
{
	bool holds;

	enter(r);
	holds = r->index[find(r, key)] != 0;
	leave(r);
	return holds;
}

/* Inside the lock: answers under way are not kept any more. */
static void note_forgetting(struct recall *r)
{
	r->forgotten = atomic_fetch_add(&r->clock, 1) + 1;
}

void recall_forget(struct recall *r, const struct recall_key *key)
{
	uint32_t place;

	enter(r);
	note_forgetting(r);
	place = find(r, key);
	if (r->index[place] != 0)
		bury(r, in_place(r, place));
	leave(r);
}

void recall_forget_owner(struct recall *r, uint64_t owner)
{
	uint32_t offset, passed, size;

	enter(r);
	note_forgetting(r);
	offset = r->tail;
	for (passed = 0; passed < r->used; passed += size) {
		struct record *e = at(r, offset);

		if (!e->dead && e->note.owner == owner)
			bury(r, e);
		offset = next_offset(r, offset, &size);
	}
	leave(r);
}

void recall_forget_all(struct recall *r)
{
	enter(r);
	note_forgetting(r);
	clear(r);
	leave(r);
}
