#include "model/mend.h"

#include "base/log.h"
#include "base/text.h"
#include "model/enums.h"

#include <stdlib.h>

static bool is_text(json_object *v)
{
	return json_is_str(v) && !text_blank(json_object_get_string(v));
}

/* True if o has a string of values under key. */
static bool is_word(json_object *o, const char *key, const char *const *values)
{
	return enum_has(values, json_str(o, key));
}

static bool is_int_from(json_object *v, int64_t min)
{
	return json_is_int(v) && json_object_get_double(v) >= (double)min &&
	       json_object_get_double(v) <= (double)JSON_SAFE_INT;
}

void mend_text(json_object *o, const char *key)
{
	if (!is_text(json_get(o, key)))
		json_object_object_del(o, key);
}

void mend_text_or(json_object *o, const char *key, const char *fallback)
{
	if (!is_text(json_get(o, key)))
		json_set_str(o, key, fallback);
}

void mend_word(json_object *o, const char *key, const char *const *values)
{
	if (!is_word(o, key, values))
		json_object_object_del(o, key);
}

void mend_word_or(json_object *o, const char *key, const char *const *values, const char *fallback)
{
	if (!is_word(o, key, values))
		json_set_str(o, key, fallback);
}

void mend_int(json_object *o, const char *key, int64_t min)
{
	if (!is_int_from(json_get(o, key), min))
		json_object_object_del(o, key);
}

void mend_int_or(json_object *o, const char *key, int64_t min, int64_t fallback)
{
	if (!is_int_from(json_get(o, key), min))
		json_set_int(o, key, fallback);
}

void mend_range(json_object *o, const char *key, double min, double max)
{
	json_object *v = json_get(o, key);
	if (!json_is_num(v)) {
		json_object_object_del(o, key);
		return;
	}
	double n = json_object_get_double(v);
	if (n < min || n > max)
		json_object_object_add(o, key, json_number(n < min ? min : max));
}

void mend_bool(json_object *o, const char *key)
{
	if (!json_object_is_type(json_get(o, key), json_type_boolean))
		json_object_object_del(o, key);
}

void mend_bool_or(json_object *o, const char *key, bool fallback)
{
	if (!json_object_is_type(json_get(o, key), json_type_boolean))
		json_set_bool(o, key, fallback);
}

void mend_items(json_object *o, const char *key, bool (*keep)(json_object *item))
{
	json_object *array = json_array(o, key);
	if (array == NULL) {
		json_object_object_add(o, key, json_object_new_array());
		return;
	}
	for (size_t i = json_object_array_length(array); i-- > 0;)
		if (!keep(json_object_array_get_idx(array, i)))
			json_object_array_del_idx(array, i, 1);
}

void mend_texts(json_object *o, const char *key)
{
	mend_items(o, key, json_is_str);
}

void mend_object(json_object *o, const char *key)
{
	if (json_object_at(o, key) == NULL)
		json_object_object_del(o, key);
}

void mend_object_or_empty(json_object *o, const char *key)
{
	if (json_object_at(o, key) == NULL)
		json_object_object_add(o, key, json_object_new_object());
}

void mend_nulls(json_object *o, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		if (!json_has(o, *keys))
			json_set_null(o, *keys);
}

bool has_text(json_object *doc, const char *key)
{
	const char *s = json_str(doc, key);
	return s != NULL && *s != '\0';
}

bool has_strings(json_object *doc, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		if (json_str(doc, *keys) == NULL)
			return false;
	return true;
}

bool absent_or_string(json_object *doc, const char *key)
{
	return !json_has(doc, key) || json_str(doc, key) != NULL;
}

bool all_strings(json_object *doc, const char *key)
{
	json_object *array = json_array(doc, key);
	if (array == NULL)
		return false;
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (!json_is_str(json_object_array_get_idx(array, i)))
			return false;
	return true;
}

bool json_is_object(json_object *v)
{
	return json_object_is_type(v, json_type_object);
}

void add_word(struct buf *b, const char *word)
{
	if (word == NULL || *word == '\0')
		return;
	if (b->len > 0)
		buf_putc(b, ' ');
	buf_puts(b, word);
}

void seed_text(json_object *array, const char *text)
{
	json_object *doc = json_tokener_parse(text);
	if (doc == NULL) { /* a programming error: the texts are constants */
		log_error("built-in document is no JSON: %.60s", text);
		abort();
	}
	json_object_array_add(array, doc);
}

bool accept_id(json_object *doc)
{
	return has_text(doc, "id");
}
