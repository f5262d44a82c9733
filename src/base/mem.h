/*
 * Memory: every request runs in one talloc arena that is freed at its end, so no code path frees single objects and no
 * error path can leak. Allocation failure ends the process (the master starts a new worker); nothing below checks it.
 */
#ifndef RAKKR_BASE_MEM_H
#define RAKKR_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <talloc.h>

/* A zeroed object or array of `type`, owned by `ctx`. */
#define mem_new(ctx, type) ((type *)mem_zero((ctx), sizeof(type), #type))
#define mem_array(ctx, type, n) ((type *)mem_array_zero((ctx), sizeof(type), (n), #type))

/* Grows (or first allocates, p NULL) an array to n elements; new elements are not zeroed. */
#define mem_grow(ctx, p, type, n) ((type *)mem_regrow((ctx), (p), sizeof(type), (n), #type))

void *mem_zero(const void *ctx, size_t size, const char *name) __attribute__((returns_nonnull));
void *mem_array_zero(const void *ctx, size_t size, size_t n, const char *name) __attribute__((returns_nonnull));
void *mem_regrow(const void *ctx, void *p, size_t size, size_t n, const char *name) __attribute__((returns_nonnull));
char *mem_strdup(const void *ctx, const char *s) __attribute__((returns_nonnull, nonnull(2)));
char *mem_strndup(const void *ctx, const char *s, size_t n) __attribute__((returns_nonnull, nonnull(2)));
char *mem_printf(const void *ctx, const char *fmt, ...) __attribute__((returns_nonnull, format(printf, 2, 3)));
char *mem_vprintf(const void *ctx, const char *fmt, va_list ap) __attribute__((returns_nonnull, format(printf, 2, 0)));

/* Logs and aborts; called when memory is exhausted. */
void mem_exhausted(void) __attribute__((noreturn, cold));

#endif
