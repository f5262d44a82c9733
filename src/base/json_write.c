/* Serialisation as JavaScript's JSON.stringify does it; json-c would print 2.0 and keep the digits of the input. */
#include "base/json.h"

#include "base/buf.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_string(struct buf *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	buf_putc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char esc[7] = "\\u00";

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s + from, i - from);
		from = i + 1;
		switch (c) {
		case '"':
			buf_puts(b, "\\\"");
			break;
		case '\\':
			buf_puts(b, "\\\\");
			break;
		case '\n':
			buf_puts(b, "\\n");
			break;
		case '\r':
			buf_puts(b, "\\r");
			break;
		case '\t':
			buf_puts(b, "\\t");
			break;
		case '\b':
			buf_puts(b, "\\b");
			break;
		case '\f':
			buf_puts(b, "\\f");
			break;
		default:
			esc[4] = hex[c >> 4];
			esc[5] = hex[c & 15];
			buf_add(b, esc, 6);
		}
	}
	buf_add(b, s + from, n - from);
	buf_putc(b, '"');
}

/* ECMAScript Number::toString: decimal notation for 1e-6 <= |v| < 1e21, else exponent without leading zeros. */
static void write_double(struct buf *b, double v)
{
	char text[32];
	char digits[20];
	int precision;
	int exponent;
	int n = 0;

	if (!isfinite(v)) {
		buf_puts(b, "null");
		return;
	}
	if (v == 0) {
		buf_putc(b, '0');
		return;
	}
	if (v < 0) {
		buf_putc(b, '-');
		v = -v;
	}
	for (precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	for (const char *p = text; *p != 'e'; p++)
		if (*p != '.')
			digits[n++] = *p;
	exponent = atoi(strchr(text, 'e') + 1);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	if (exponent >= 21 || exponent < -6) {
		buf_putc(b, digits[0]);
		if (n > 1) {
			buf_putc(b, '.');
			buf_puts(b, digits + 1);
		}
		buf_printf(b, "e%c%d", exponent < 0 ? '-' : '+', abs(exponent));
	} else if (exponent < 0) {
		buf_puts(b, "0.");
		for (int i = -1; i > exponent; i--)
			buf_putc(b, '0');
		buf_puts(b, digits);
	} else {
		for (int i = 0; i < n || i <= exponent; i++) {
			if (i == exponent + 1)
				buf_putc(b, '.');
			buf_putc(b, i < n ? digits[i] : '0');
		}
	}
}

static void newline(struct buf *b, int depth)
{
	if (depth < 0)
		return;
	buf_putc(b, '\n');
	for (int i = 0; i < depth; i++)
		buf_puts(b, "  ");
}

/* depth < 0: compact. */
static void write_value(struct buf *b, json_object *o, int depth)
{
	bool first = true;

	switch (json_object_get_type(o)) {
	case json_type_null:
		buf_puts(b, "null");
		break;
	case json_type_boolean:
		buf_puts(b, json_object_get_boolean(o) ? "true" : "false");
		break;
	case json_type_int: {
		int64_t v = json_object_get_int64(o);

		if (v == INT64_MAX)
			buf_printf(b, "%llu", (unsigned long long)json_object_get_uint64(o));
		else
			buf_printf(b, "%lld", (long long)v);
		break;
	}
	case json_type_double:
		write_double(b, json_object_get_double(o));
		break;
	case json_type_string:
		write_string(b, json_object_get_string(o), (size_t)json_object_get_string_len(o));
		break;
	case json_type_array:
		buf_putc(b, '[');
		for (size_t i = 0; i < json_object_array_length(o); i++) {
			if (i > 0)
				buf_putc(b, ',');
			newline(b, depth < 0 ? depth : depth + 1);
			write_value(b, json_object_array_get_idx(o, i), depth < 0 ? depth : depth + 1);
		}
		if (json_object_array_length(o) > 0)
			newline(b, depth);
		buf_putc(b, ']');
		break;
	case json_type_object:
		buf_putc(b, '{');
		json_object_object_foreach(o, key, value)
		{
			if (!first)
				buf_putc(b, ',');
			first = false;
			newline(b, depth < 0 ? depth : depth + 1);
			write_string(b, key, strlen(key));
			buf_puts(b, depth < 0 ? ":" : ": ");
			write_value(b, value, depth < 0 ? depth : depth + 1);
		}
		if (!first)
			newline(b, depth);
		buf_putc(b, '}');
		break;
	}
}

char *json_compact(const void *ctx, json_object *o, size_t *len)
{
	struct buf b;

	buf_init(&b, ctx);
	write_value(&b, o, -1);
	if (len != NULL)
		*len = b.len;
	return b.data;
}

char *json_pretty(const void *ctx, json_object *o, size_t *len)
{
	struct buf b;

	buf_init(&b, ctx);
	write_value(&b, o, 0);
	buf_putc(&b, '\n');
	if (len != NULL)
		*len = b.len;
	return b.data;
}
