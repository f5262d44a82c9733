/* A growing byte buffer in an arena; always NUL-terminated, so .data is usable as a string when it holds text. */
#ifndef RAKKR_BASE_BUF_H
#define RAKKR_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	const void *ctx; /* owner of data */
	char *data;
	size_t len;
	size_t cap;
};

void buf_init(struct buf *b, const void *ctx);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3), nonnull(1, 2)));
/* Reserves n more bytes and returns where they start; the caller writes and then adds to len. */
char *buf_reserve(struct buf *b, size_t n);

#endif
