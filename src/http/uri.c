#include "http/uri.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of the run of %XX triples at s. */
static size_t run_length(const char *s, size_t n)
{
	size_t i = 0;

	while (i + 2 < n && s[i] == '%' && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0)
		i += 3;
	return i;
}

static void decode_run(struct buf *b, const char *s, size_t n, bool keep_reserved)
{
	struct buf bytes;

	buf_init(&bytes, b->ctx);
	for (size_t i = 0; i < n; i += 3)
		buf_putc(&bytes, (char)(hex_digit(s[i + 1]) << 4 | hex_digit(s[i + 2])));
	if (!text_valid_utf8(bytes.data, bytes.len)) {
		buf_add(b, s, n);
		return;
	}
	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.data[i];

		if (c == '\0')
			buf_puts(b, "\xef\xbf\xbd");
		else if (keep_reserved && strchr(";/?:@&=+$,#%", c) != NULL)
			buf_add(b, s + 3 * i, 3);
		else
			buf_putc(b, c);
	}
}

char *uri_decode(const void *ctx, const char *s, size_t n, bool keep_reserved)
{
	struct buf b;

	buf_init(&b, ctx);
	for (size_t i = 0; i < n;) {
		size_t run = run_length(s + i, n - i);

		if (run > 0) {
			decode_run(&b, s + i, run, keep_reserved);
			i += run;
		} else {
			buf_putc(&b, s[i++]);
		}
	}
	if (text_valid_utf8(b.data, b.len))
		return b.data;
	return text_scrub(ctx, b.data, b.len);
}

static char *decode_form(const void *ctx, const char *s, size_t n)
{
	char *copy = mem_strndup(ctx, s, n);

	for (char *p = copy; *p != '\0'; p++)
		if (*p == '+')
			*p = ' ';
	return uri_decode(ctx, copy, strlen(copy), false);
}

json_object *uri_query(const void *ctx, const char *query)
{
	json_object *o = json_new_object(ctx);

	while (*query != '\0') {
		size_t n = strcspn(query, "&");
		size_t k = strcspn(query, "=&");
		char *key = decode_form(ctx, query, k < n ? k : n);

		if (key[0] != '\0' && !json_has(o, key))
			json_set_str(o, key, k < n ? decode_form(ctx, query + k + 1, n - k - 1) : "");
		query += n;
		if (*query == '&')
			query++;
	}
	return o;
}
