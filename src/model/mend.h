/*
 * Repair of single members of a stored document: a value that does not fit is dropped or replaced, so that one bad
 * member never takes a document, let alone a list, away (contract 09 D-60). Also the macros that field tables use.
 */
#ifndef RAKKR_MODEL_MEND_H
#define RAKKR_MODEL_MEND_H

#include "base/buf.h"
#include "base/json.h"

/* One field of a table: name, column, then what the type needs. */
#define F_TEXT(n, c, width, fl)                                                                                        \
	{                                                                                                              \
		.name = (n), .column = (c), .type = M_TEXT, .max = (width), .flags = (fl)                              \
	}
#define F_TYPE(n, c, t, fl)                                                                                            \
	{                                                                                                              \
		.name = (n), .column = (c), .type = (t), .flags = (fl)                                                 \
	}
#define F_KEY(n, c, k, t, fl)                                                                                          \
	{                                                                                                              \
		.name = (n), .column = (c), .key = (k), .type = (t), .flags = (fl)                                     \
	}
#define F_ENUM(n, c, words, pg, fl)                                                                                    \
	{                                                                                                              \
		.name = (n), .column = (c), .type = M_ENUM, .values = (words), .pg_type = (pg), .flags = (fl)          \
	}
#define F_WORD(n, c, words, width, fl)                                                                                 \
	{                                                                                                              \
		.name = (n), .column = (c), .type = M_ENUM, .values = (words), .max = (width), .flags = (fl)           \
	}
#define F_DERIVED(n, e, t, fl, fn)                                                                                     \
	{                                                                                                              \
		.name = (n), .expr = (e), .type = (t), .flags = M_DERIVED | (fl), .derive = (fn)                       \
	}

#define FIELDS(table) .fields = (table), .count = sizeof(table) / sizeof((table)[0])

/* A string that is not blank stays as it is; anything else is removed, or replaced by fallback. */
void mend_text(json_object *o, const char *key);
void mend_text_or(json_object *o, const char *key, const char *fallback);

/* A word of values stays; anything else is removed, or replaced by fallback. */
void mend_word(json_object *o, const char *key, const char *const *values);
void mend_word_or(json_object *o, const char *key, const char *const *values, const char *fallback);

/* An integer of at least min stays; anything else is removed, or replaced by fallback. */
void mend_int(json_object *o, const char *key, int64_t min);
void mend_int_or(json_object *o, const char *key, int64_t min, int64_t fallback);

/* A number is cut to min..max; a value of another type is removed. */
void mend_range(json_object *o, const char *key, double min, double max);

void mend_bool(json_object *o, const char *key);
void mend_bool_or(json_object *o, const char *key, bool fallback);

/* Keeps the string items of an array; anything else becomes []. */
void mend_texts(json_object *o, const char *key);

/* Keeps the items of an array that keep() accepts; anything else becomes []. */
void mend_items(json_object *o, const char *key, bool (*keep)(json_object *item));

/* Anything but an object is removed, or becomes {}. */
void mend_object(json_object *o, const char *key);
void mend_object_or_empty(json_object *o, const char *key);

/* Makes sure the keys are there, as JSON null if need be; the list ends with NULL. */
void mend_nulls(json_object *o, const char *const *keys);

/* True if doc is an object whose member key is a non-empty string. */
bool has_text(json_object *doc, const char *key);

/* True if every key (the list ends with NULL) is a string, maybe an empty one: the predicates of contract 07 2.2. */
bool has_strings(json_object *doc, const char *const *keys);

/* True if member key is absent or a string. */
bool absent_or_string(json_object *doc, const char *key);

/* True if member key is an array of strings. */
bool all_strings(json_object *doc, const char *key);

/* True if v is an object; for mend_items(). */
bool json_is_object(json_object *v);

/* Appends word behind a space; nothing for NULL or "": the joined texts that lists are searched in. */
void add_word(struct buf *b, const char *word);

/* Appends the document that text (a constant) holds. */
void seed_text(json_object *array, const char *text);

/* The least that a settings element needs: an object with an id; repair sees to the rest. */
bool accept_id(json_object *doc);

#endif
