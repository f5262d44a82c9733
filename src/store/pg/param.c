/* Values on their way to Postgres: what it cannot hold is cut, mended or refused here (contract 09 D-48..D-50, 17). */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

int param_add(struct params *p, const char *value)
{
	if (p->count == p->cap) {
		p->cap = p->cap == 0 ? 16 : p->cap * 2;
		p->values = mem_grow(p->ctx, p->values, const char *, (size_t)p->cap);
	}
	p->values[p->count++] = value;
	return p->count;
}

const char *param_text(const void *ctx, const char *s)
{
	if (s == NULL || text_valid_utf8(s, strlen(s)))
		return s;
	return text_scrub(ctx, s, strlen(s));
}

const char *param_cut(const void *ctx, const char *s, size_t max)
{
	return s == NULL ? NULL : text_cut(ctx, param_text(ctx, s), max);
}

/* Removes the escape of U+0000 from JSON text in place; every backslash in it begins an escape. */
static void drop_nul_escapes(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (*s != '\\') {
			*to++ = *s++;
		} else if (strncmp(s, "\\u0000", 6) == 0) {
			s += 6;
		} else {
			*to++ = *s++;
			*to++ = *s++;
		}
	}
	*to = '\0';
}

const char *param_json(const void *ctx, json_object *o)
{
	char *text;

	if (o == NULL)
		return NULL;
	text = json_compact(ctx, o, NULL);
	if (strstr(text, "\\u0000") != NULL)
		drop_nul_escapes(text);
	return param_text(ctx, text);
}

const char *param_array(const void *ctx, const char *const *values, size_t count)
{
	struct buf b;

	buf_init(&b, ctx);
	buf_putc(&b, '{');
	for (size_t i = 0; i < count; i++) {
		buf_puts(&b, i > 0 ? ",\"" : "\"");
		for (const char *s = param_text(ctx, values[i]); *s != '\0'; s++) {
			if (*s == '"' || *s == '\\')
				buf_putc(&b, '\\');
			buf_putc(&b, *s);
		}
		buf_putc(&b, '"');
	}
	buf_putc(&b, '}');
	return b.data;
}

const char *param_time(const void *ctx, int64_t ms)
{
	return clock_iso_dup(ctx, ms);
}

const char *param_uuid(const char *s)
{
	return s != NULL && text_is_uuid(s) ? s : NULL;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* A string without U+0000, which json-c can hold and C strings cannot. */
static const char *string_of(const void *ctx, json_object *value)
{
	size_t n = (size_t)json_object_get_string_len(value);
	const char *s = json_object_get_string(value);
	char *copy;
	size_t len = 0;

	if (strlen(s) == n)
		return param_text(ctx, s);
	copy = mem_strndup(ctx, "", 0);
	copy = mem_grow(ctx, copy, char, n + 1);
	for (size_t i = 0; i < n; i++)
		if (s[i] != '\0')
			copy[len++] = s[i];
	copy[len] = '\0';
	return param_text(ctx, copy);
}

static bool word_of(const struct model_field *f, const char *word)
{
	for (const char *const *v = f->values; v != NULL && *v != NULL; v++)
		if (strcmp(*v, word) == 0)
			return true;
	return f->values == NULL;
}

static status text_value(const void *ctx, const struct model_field *f, json_object *value, const char **out)
{
	int64_t ms;

	if (!json_is_str(value))
		return ST_INVALID;
	*out = string_of(ctx, value);
	switch (f->type) {
	case M_ENUM:
		return word_of(f, *out) ? ST_OK : ST_INVALID;
	case M_UUID:
		*out = param_uuid(*out);
		return ST_OK;
	case M_TIME:
		if (!clock_parse(*out, CLOCK_LENIENT, &ms))
			return ST_INVALID;
		*out = param_time(ctx, ms);
		return ST_OK;
	default:
		return f->max > 0 && characters(*out) > (size_t)f->max ? ST_INVALID : ST_OK;
	}
}

status param_value(const void *ctx, const struct model_field *f, json_object *value, const char **out)
{
	int64_t n;

	*out = NULL;
	if (value == NULL)
		return ST_OK;
	switch (f->type) {
	case M_INT:
		if (!json_is_int(value))
			return ST_INVALID;
		n = json_object_get_int64(value);
		if (n < INT32_MIN || n > INT32_MAX) /* every integer column is int4 */
			return ST_INVALID;
		*out = mem_printf(ctx, "%" PRId64, n);
		return ST_OK;
	case M_BOOL:
		if (!json_object_is_type(value, json_type_boolean))
			return ST_INVALID;
		*out = json_object_get_boolean(value) ? "true" : "false";
		return ST_OK;
	case M_TEXTS:
		if (!json_object_is_type(value, json_type_array))
			return ST_INVALID;
		*out = param_json(ctx, value);
		return ST_OK;
	case M_JSON:
		*out = param_json(ctx, value);
		return ST_OK;
	default:
		return text_value(ctx, f, value, out);
	}
}
