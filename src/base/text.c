#include "base/text.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/ucasemap.h>
#include <unicode/ucol.h>
#include <unicode/uiter.h>

/* Decodes one code point of s (n bytes left, n > 0); returns its length in bytes, 0 if the sequence is not UTF-8. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len;
	uint32_t c;

	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		c = s[0] & 0x1fu;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		c = s[0] & 0x0fu;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		c = s[0] & 0x07u;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

bool text_valid_utf8(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t cp;

	while (n > 0) {
		size_t len = decode(p, n, &cp);

		if (len == 0)
			return false;
		p += len;
		n -= len;
	}
	return true;
}

size_t text_utf16_len(const char *s)
{
	size_t units = 0;

	/* Every lead byte starts one code point; those of four bytes need a surrogate pair. */
	for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++)
		if ((*p & 0xc0) != 0x80)
			units += *p >= 0xf0 ? 2 : 1;
	return units;
}

static bool is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xfeff;
}

/* Finds the part of s without white space at both ends. */
static const char *trimmed(const char *s, size_t *len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = strlen(s);
	const unsigned char *end;
	uint32_t cp;
	size_t step;

	while (n > 0 && (step = decode(p, n, &cp)) > 0 && is_space(cp)) {
		p += step;
		n -= step;
	}
	end = p + n;
	while (end > p) {
		const unsigned char *last = end - 1;

		while (last > p && (*last & 0xc0) == 0x80)
			last--;
		if (decode(last, (size_t)(end - last), &cp) == 0 || !is_space(cp))
			break;
		end = last;
	}
	*len = (size_t)(end - p);
	return (const char *)p;
}

char *text_trim(const void *ctx, const char *s)
{
	size_t n;
	const char *p = trimmed(s, &n);

	return mem_strndup(ctx, p, n);
}

bool text_blank(const char *s)
{
	size_t n;

	if (s == NULL)
		return true;
	trimmed(s, &n);
	return n == 0;
}

char *text_cut(const void *ctx, const char *s, size_t max)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t count = 0;

	for (; *p != '\0'; p++)
		if ((*p & 0xc0) != 0x80 && count++ == max)
			break;
	return mem_strndup(ctx, s, (size_t)(p - (const unsigned char *)s));
}

static bool ascii_only(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

char *text_lower(const void *ctx, const char *s)
{
	static UCaseMap *map;
	UErrorCode err = U_ZERO_ERROR;
	size_t cap = strlen(s) * 3 + 1;
	char *out;
	int32_t n;

	if (ascii_only(s)) {
		out = mem_strdup(ctx, s);
		for (char *p = out; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		return out;
	}
	if (map == NULL)
		map = ucasemap_open("", 0, &err);
	if (U_FAILURE(err) || cap > INT32_MAX)
		return mem_strdup(ctx, s);
	out = mem_array(ctx, char, cap);
	n = ucasemap_utf8ToLower(map, out, (int32_t)cap - 1, s, -1, &err);
	if (U_FAILURE(err))
		return mem_strdup(ctx, s);
	out[n] = '\0';
	return out;
}

bool text_contains_ci(const char *hay, const char *needle)
{
	char *h, *n;
	bool found;

	if (ascii_only(hay) && ascii_only(needle))
		return strcasestr(hay, needle) != NULL;
	h = text_lower(NULL, hay);
	n = text_lower(NULL, needle);
	found = strstr(h, n) != NULL;
	talloc_free(h);
	talloc_free(n);
	return found;
}

int text_collate(const char *a, const char *b)
{
	static UCollator *root;
	UErrorCode err = U_ZERO_ERROR;
	UCollationResult r;

	if (root == NULL) {
		root = ucol_open("", &err);
		if (U_FAILURE(err)) {
			log_error("no collation data: %s", u_errorName(err));
			abort();
		}
	}
	r = ucol_strcollUTF8(root, a, -1, b, -1, &err);
	if (U_FAILURE(err))
		return strcmp(a, b);
	return r == UCOL_LESS ? -1 : r == UCOL_GREATER ? 1 : 0;
}

bool text_equal_ci(const char *a, const char *b)
{
	char *la, *lb;
	bool same;

	if (ascii_only(a) && ascii_only(b))
		return strcasecmp(a, b) == 0;
	la = text_lower(NULL, a);
	lb = text_lower(NULL, b);
	same = strcmp(la, lb) == 0;
	talloc_free(la);
	talloc_free(lb);
	return same;
}

bool text_is_uuid(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0' && i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (!isxdigit((unsigned char)s[i])) {
			return false;
		}
	}
	return i == 36 && s[36] == '\0';
}

char *text_scrub(const void *ctx, const char *s, size_t n)
{
	struct buf b;
	const unsigned char *p = (const unsigned char *)s;
	uint32_t cp;

	buf_init(&b, ctx);
	while (n > 0) {
		size_t len = decode(p, n, &cp);

		if (len == 0) {
			buf_puts(&b, "\xef\xbf\xbd");
			len = 1;
		} else if (cp != 0) {
			buf_add(&b, p, len);
		}
		p += len;
		n -= len;
	}
	return b.data;
}

char *text_uri_component(const void *ctx, const char *s)
{
	struct buf b;

	buf_init(&b, ctx);
	for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
		if (isalnum(*p) || strchr("-_.!~*'()", *p) != NULL)
			buf_putc(&b, (char)*p);
		else
			buf_printf(&b, "%%%02X", *p);
	}
	return b.data;
}

char *text_no_controls(const void *ctx, const char *s)
{
	char *out = mem_strdup(ctx, s);

	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return out;
}

bool text_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}
