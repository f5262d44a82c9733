#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, const void *ctx)
{
	b->ctx = ctx;
	b->cap = 256;
	b->len = 0;
	b->data = mem_array(ctx, char, b->cap);
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, (size_t)1, &need))
		mem_exhausted();
	if (need > b->cap) {
		size_t cap = b->cap;

		while (cap < need)
			if (__builtin_mul_overflow(cap, (size_t)2, &cap))
				mem_exhausted();
		b->data = mem_grow(b->ctx, b->data, char, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	char *at = buf_reserve(b, n);

	if (n > 0)
		memcpy(at, data, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	char *at = b->len + 1 < b->cap ? b->data + b->len : buf_reserve(b, 1);

	at[0] = c;
	at[1] = '\0';
	b->len++;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t room;
	char *at = buf_reserve(b, 0);
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	room = b->cap - b->len;
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n >= room) {
		at = buf_reserve(b, (size_t)n);
		vsnprintf(at, (size_t)n + 1, fmt, again);
	}
	if (n > 0)
		b->len += (size_t)n;
	va_end(again);
}
