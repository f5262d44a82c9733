/* A record is its length, its bytes, and its length again, so that the ring can be walked from both ends. */
#include "store/live_ring.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>

#define MARK ((uint32_t)sizeof(uint32_t))

static uint32_t wrap(uint32_t at, uint32_t size)
{
	return at >= size ? at - size : at;
}

static void put(char *area, uint32_t size, uint32_t at, const void *data, uint32_t n)
{
	uint32_t first = n < size - at ? n : size - at;

	memcpy(area + at, data, first);
	memcpy(area, (const char *)data + first, n - first);
}

static void take(const char *area, uint32_t size, uint32_t at, void *data, uint32_t n)
{
	uint32_t first = n < size - at ? n : size - at;

	memcpy(data, area + at, first);
	memcpy((char *)data + first, area, n - first);
}

void live_ring_reset(struct live_ring *r)
{
	r->count = 0;
	atomic_signal_fence(memory_order_seq_cst);
	r->head = r->used = 0;
}

status live_ring_add(struct live_ring *r, char *area, uint32_t size, const void *data, size_t n, uint32_t most)
{
	uint32_t len = (uint32_t)n, whole = len + 2 * MARK, count = r->count, used = count > 0 ? r->used : 0;
	uint32_t head = count > 0 ? r->head : 0;

	if (n > size || n + 2 * MARK > size)
		return ST_TOO_LARGE;
	r->count = 0; /* until everything fits together again */
	atomic_signal_fence(memory_order_seq_cst);
	while (count > 0 && (used + whole > size || count >= most)) {
		uint32_t oldest;

		take(area, size, wrap(head + size - used, size), &oldest, MARK);
		used -= oldest + 2 * MARK;
		count--;
	}
	put(area, size, head, &len, MARK);
	put(area, size, wrap(head + MARK, size), data, len);
	put(area, size, wrap(head + MARK + len, size), &len, MARK);
	r->head = wrap(head + whole, size);
	r->used = used + whole;
	atomic_signal_fence(memory_order_seq_cst);
	r->count = count + 1;
	return ST_OK;
}

void live_ring_each(const struct live_ring *r, const char *area, uint32_t size, uint32_t limit,
                    void (*each)(void *arg, const void *data, size_t n), void *arg)
{
	uint32_t end = r->head, n = r->count < limit ? r->count : limit;
	void *ctx = talloc_new(NULL);

	for (; n > 0; n--) {
		uint32_t len;

		take(area, size, wrap(end + size - MARK, size), &len, MARK);
		char *record = mem_array(ctx, char, len + 1);
		end = wrap(end + size - len - 2 * MARK, size);
		take(area, size, wrap(end + MARK, size), record, len);
		each(arg, record, len);
		talloc_free(record);
	}
	talloc_free(ctx);
}
