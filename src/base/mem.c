#include "base/mem.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/*
 * Read by jemalloc if the program is linked with it: one arena (a process has one busy thread), memory given back soon.
 */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,tcache_max:65536,dirty_decay_ms:5000,muzzy_decay_ms:0";

void mem_exhausted(void)
{
	log_error("out of memory");
	abort();
}

void *mem_zero(const void *ctx, size_t size, const char *name)
{
	void *p = talloc_named_const(ctx, size, name);

	if (p == NULL)
		mem_exhausted();
	return memset(p, 0, size);
}

void *mem_array_zero(const void *ctx, size_t size, size_t n, const char *name)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(size, n, &bytes))
		mem_exhausted();
	p = talloc_named_const(ctx, bytes == 0 ? 1 : bytes, name);
	if (p == NULL)
		mem_exhausted();
	return memset(p, 0, bytes);
}

void *mem_regrow(const void *ctx, void *p, size_t size, size_t n, const char *name)
{
	size_t bytes;

	if (__builtin_mul_overflow(size, n, &bytes))
		mem_exhausted();
	p = talloc_realloc_size(ctx, p, bytes == 0 ? 1 : bytes);
	if (p == NULL)
		mem_exhausted();
	talloc_set_name_const(p, name);
	return p;
}

char *mem_strdup(const void *ctx, const char *s)
{
	char *copy = talloc_strdup(ctx, s);

	if (copy == NULL)
		mem_exhausted();
	return copy;
}

char *mem_strndup(const void *ctx, const char *s, size_t n)
{
	char *copy = talloc_strndup(ctx, s, n);

	if (copy == NULL)
		mem_exhausted();
	return copy;
}

char *mem_vprintf(const void *ctx, const char *fmt, va_list ap)
{
	char *s = talloc_vasprintf(ctx, fmt, ap);

	if (s == NULL)
		mem_exhausted();
	return s;
}

char *mem_printf(const void *ctx, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mem_vprintf(ctx, fmt, ap);
	va_end(ap);
	return s;
}
