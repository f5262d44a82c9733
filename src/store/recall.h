/*
 * What was last known, in memory shared by all processes: byte strings by key in a ring, where the newest take the
 * place of the oldest. Used while the database is away (contract 09 D-68), never to answer faster.
 *
 * Each string is about topics (bits of a mask). recall_changed() says that something about them was changed: what was
 * asked for before is worth nothing from then on, in every process. So that an answer that overtakes a change is not
 * kept, the caller notes recall_clock() before it asks, and gives it along.
 *
 * A process killed inside leaves an empty ring: it holds nothing that is not known better elsewhere.
 */
#ifndef RAKKR_STORE_RECALL_H
#define RAKKR_STORE_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECALL_TOPICS 64

struct recall;

struct recall_key {
	unsigned char bytes[32]; /* evenly distributed: a SHA-256 */
};

/*
 * A ring of about that many bytes, mapped for all processes that are forked later; untouched pages cost nothing.
 * NULL if bytes is 0 or the memory cannot be had. Never unmapped.
 */
struct recall *recall_create(size_t bytes);

/* Number of changes so far. */
uint64_t recall_clock(const struct recall *r);

/* Something about these topics was changed. */
void recall_changed(struct recall *r, uint64_t topics);

/* The longest string that is kept. */
size_t recall_longest(const struct recall *r);

struct recall_note {
	uint64_t topics;
	uint64_t asked;  /* recall_clock() before the answer was asked for */
	uint64_t owner;  /* for recall_forget_owner() */
	int64_t mono_ms; /* when it was known: monotonic clock */
};

/* Keeps n bytes for key, in place of what was kept for it. Not kept: what is too long, or asked before a change. */
void recall_put(struct recall *r, const struct recall_key *key, const struct recall_note *note, const void *data,
                size_t n);

/*
 * The string of key, copied into ctx, if it was known at since_ms or later and nothing changed after it was asked for.
 * *known_ms: when it was known.
 */
bool recall_get(struct recall *r, const void *ctx, const struct recall_key *key, int64_t since_ms, char **data,
                size_t *n, int64_t *known_ms);

/* True if there is a string of key, whatever it is worth. */
bool recall_holds(struct recall *r, const struct recall_key *key);

/* Forget one string, all of an owner, or everything; what was asked for before is not kept any more either. */
void recall_forget(struct recall *r, const struct recall_key *key);
void recall_forget_owner(struct recall *r, uint64_t owner);
void recall_forget_all(struct recall *r);

#endif
