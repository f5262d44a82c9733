#include "base/json.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

struct holder {
	json_object *o;
};

static int holder_free(struct holder *h)
{
	json_object_put(h->o);
	return 0;
}

json_object *json_own(const void *ctx, json_object *o)
{
	struct holder *h;

	if (o == NULL)
		return NULL;
	h = mem_new(ctx, struct holder);
	h->o = o;
	talloc_set_destructor(h, holder_free);
	return o;
}

json_object *json_new_object(const void *ctx)
{
	json_object *o = json_object_new_object();

	if (o == NULL)
		mem_exhausted();
	return json_own(ctx, o);
}

json_object *json_new_array(const void *ctx)
{
	json_object *o = json_object_new_array_ext(8);

	if (o == NULL)
		mem_exhausted();
	return json_own(ctx, o);
}

/* The end of the string that begins at text[i], behind its closing quote. text is well formed. */
static size_t string_end(const char *text, size_t i)
{
	for (i++; text[i] != '"'; i++)
		i += text[i] == '\\';
	return i + 1;
}

/*
 * json-c cuts integers beyond 64 bits to the largest one; JavaScript reads them as doubles. Appends ".0" to integers of
 * more than 18 digits, so that both agree. Returns text itself when there is none. text is well formed.
 */
static const char *widen_integers(const void *ctx, const char *text, size_t *n)
{
	struct buf b = {0};
	size_t done = 0;

	for (size_t i = 0; i < *n;) {
		size_t start = i;

		if (text[i] == '"') {
			i = string_end(text, i);
			continue;
		}
		if (!isdigit((unsigned char)text[i])) {
			i++;
			continue;
		}
		while (i < *n && isdigit((unsigned char)text[i]))
			i++;
		if (i - start > 18 && (i == *n || strchr(".eE", text[i]) == NULL)) {
			if (b.data == NULL)
				buf_init(&b, ctx);
			buf_add(&b, text + done, i - done);
			buf_puts(&b, ".0");
			done = i;
		}
		while (i < *n &&
		       (isdigit((unsigned char)text[i]) || (text[i] != '\0' && strchr(".eE+-", text[i]) != NULL)))
			i++;
	}
	if (b.data == NULL)
		return text;
	buf_add(&b, text + done, *n - done);
	*n = b.len;
	return b.data;
}

/*
 * json-c ends a key at U+0000, which makes another key of it, maybe a known one. Such a character becomes U+FFFD, as an
 * unpaired surrogate does; in values it is left for whoever checks them. Returns text itself when there is none.
 */
static const char *keep_keys_whole(const void *ctx, const char *text, size_t n)
{
	static const char nul[] = "\\u0000", instead[] = "\\ufffd";
	size_t size = sizeof(nul) - 1;
	char *copy;

	if (memmem(text, n, nul, size) == NULL)
		return text;
	copy = mem_strndup(ctx, text, n);
	for (size_t i = 0, end; i < n; i = end) {
		end = copy[i] == '"' ? string_end(copy, i) : i + 1;
		if (copy[i] != '"' || copy[end + strspn(copy + end, " \t\r\n")] != ':')
			continue;
		for (size_t k = i + 1; k < end; k++) {
			if (copy[k] != '\\')
				continue;
			if (strncmp(copy + k, nul, size) == 0)
				memcpy(copy + k, instead, size);
			k++;
		}
	}
	return copy;
}

bool json_parse(const void *ctx, const char *text, size_t n, json_object **out)
{
	struct json_tokener *tok;
	json_object *o;
	enum json_tokener_error err;

	*out = NULL;
	if (n == 2 && (memcmp(text, "{}", 2) == 0 || memcmp(text, "[]", 2) == 0)) { /* what many columns hold */
		*out = text[0] == '{' ? json_new_object(ctx) : json_new_array(ctx);
		return true;
	}
	if (n > INT32_MAX / 2 || !text_valid_utf8(text, n) || !json_well_formed(text, n))
		return false;
	text = widen_integers(ctx, keep_keys_whole(ctx, text, n), &n);
	tok = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
	if (tok == NULL)
		mem_exhausted();
	o = json_tokener_parse_ex(tok, text, (int)n);
	if (json_tokener_get_error(tok) == json_tokener_continue) /* a bare number or word ends with the text */
		o = json_tokener_parse_ex(tok, "", 1);
	err = json_tokener_get_error(tok);
	json_tokener_free(tok);
	if (err != json_tokener_success) {
		json_object_put(o);
		return false;
	}
	*out = json_own(ctx, o);
	return true;
}

json_object *json_number(double v)
{
	if (isfinite(v) && v == floor(v) && fabs(v) <= (double)JSON_SAFE_INT)
		return json_object_new_int64((int64_t)v);
	return json_object_new_double(v);
}

void json_set_str(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

void json_set_str_opt(json_object *o, const char *key, const char *value)
{
	if (value != NULL)
		json_set_str(o, key, value);
}

void json_set_int(json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

void json_set_bool(json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

void json_set_null(json_object *o, const char *key)
{
	json_object_object_add(o, key, NULL);
}

void json_set_ref(json_object *o, const char *key, json_object *value)
{
	if (value != NULL)
		json_object_object_add(o, key, json_object_get(value));
}

void json_set_copy(json_object *o, const char *key, json_object *value)
{
	json_object *copy = NULL;

	if (value == NULL)
		return;
	if (json_object_deep_copy(value, &copy, NULL) != 0)
		mem_exhausted();
	json_object_object_add(o, key, copy);
}

void json_set_iso(json_object *o, const char *key, int64_t ms)
{
	char iso[CLOCK_ISO_SIZE];

	json_set_str(o, key, clock_iso(iso, ms));
}

void json_push_str(json_object *array, const char *value)
{
	json_object_array_add(array, json_object_new_string(value));
}

void json_push_ref(json_object *array, json_object *value)
{
	json_object_array_add(array, json_object_get(value));
}

json_object *json_get(json_object *o, const char *key)
{
	json_object *v = NULL;

	if (o == NULL || !json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_get_ex(o, key, &v);
	return v;
}

const char *json_str_or(json_object *o, const char *key, const char *fallback)
{
	json_object *v = json_get(o, key);

	return json_is_str(v) ? json_object_get_string(v) : fallback;
}

const char *json_str(json_object *o, const char *key)
{
	return json_str_or(o, key, NULL);
}

bool json_is_str(json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_string);
}

bool json_is_num(json_object *v)
{
	return v != NULL && (json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double));
}

bool json_is_int(json_object *v)
{
	double d;

	if (v == NULL)
		return false;
	if (json_object_is_type(v, json_type_int))
		return true;
	if (!json_object_is_type(v, json_type_double))
		return false;
	d = json_object_get_double(v);
	return isfinite(d) && d == floor(d) && fabs(d) < 9.2e18;
}

int64_t json_int(json_object *o, const char *key, int64_t fallback)
{
	json_object *v = json_get(o, key);

	if (!json_is_int(v))
		return fallback;
	if (json_object_is_type(v, json_type_int))
		return json_object_get_int64(v);
	return (int64_t)json_object_get_double(v);
}

double json_double(json_object *o, const char *key, double fallback)
{
	json_object *v = json_get(o, key);

	return json_is_num(v) ? json_object_get_double(v) : fallback;
}

bool json_flag(json_object *o, const char *key, bool fallback)
{
	json_object *v = json_get(o, key);

	return v != NULL && json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : fallback;
}

json_object *json_array(json_object *o, const char *key)
{
	json_object *v = json_get(o, key);

	return v != NULL && json_object_is_type(v, json_type_array) ? v : NULL;
}

json_object *json_object_at(json_object *o, const char *key)
{
	json_object *v = json_get(o, key);

	return v != NULL && json_object_is_type(v, json_type_object) ? v : NULL;
}

bool json_has(json_object *o, const char *key)
{
	return o != NULL && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, NULL);
}

json_object *json_clone(const void *ctx, json_object *o)
{
	json_object *copy = NULL;

	if (o == NULL)
		return NULL;
	if (json_object_deep_copy(o, &copy, NULL) != 0)
		mem_exhausted();
	return json_own(ctx, copy);
}

json_object *json_shallow(const void *ctx, json_object *o)
{
	json_object *copy = json_new_object(ctx);

	json_object_object_foreach(o, key, value)
	{
		if (json_object_object_add_ex(copy, key, json_object_get(value), JSON_C_OBJECT_ADD_KEY_IS_NEW) != 0)
			mem_exhausted();
	}
	return copy;
}

static bool same_object(json_object *a, json_object *b)
{
	if (json_object_object_length(a) != json_object_object_length(b))
		return false;
	json_object_object_foreach(a, key, value)
	{
		json_object *other;

		if (!json_object_object_get_ex(b, key, &other) || !json_same(value, other))
			return false;
	}
	return true;
}

bool json_same(json_object *a, json_object *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL)
		return false;
	if (json_is_num(a) && json_is_num(b))
		return json_object_get_double(a) == json_object_get_double(b) &&
		       (!json_object_is_type(a, json_type_int) || !json_object_is_type(b, json_type_int) ||
		        json_object_get_int64(a) == json_object_get_int64(b));
	if (json_object_get_type(a) != json_object_get_type(b))
		return false;
	switch (json_object_get_type(a)) {
	case json_type_boolean:
		return json_object_get_boolean(a) == json_object_get_boolean(b);
	case json_type_string:
		return json_object_get_string_len(a) == json_object_get_string_len(b) &&
		       memcmp(json_object_get_string(a), json_object_get_string(b),
		              (size_t)json_object_get_string_len(a)) == 0;
	case json_type_array:
		if (json_object_array_length(a) != json_object_array_length(b))
			return false;
		for (size_t i = 0; i < json_object_array_length(a); i++)
			if (!json_same(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i)))
				return false;
		return true;
	case json_type_object:
		return same_object(a, b);
	default:
		return true;
	}
}

void json_merge(json_object *o, json_object *patch, bool remove_null)
{
	json_object_object_foreach(patch, key, value)
	{
		if (value == NULL && remove_null)
			json_object_object_del(o, key);
		else if (value == NULL)
			json_set_null(o, key);
		else
			json_set_copy(o, key, value);
	}
}
