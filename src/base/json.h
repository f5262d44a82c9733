/*
 * JSON on top of json-c. Ownership: a root object is tied to an arena with json_own(); children belong to their parent
 * as json-c has it (json_object_object_add takes the reference).
 */
#ifndef RAKKR_BASE_JSON_H
#define RAKKR_BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 512 /* contract 09 D-58 */
#define JSON_SAFE_INT 9007199254740991LL

/* Drops one reference of o when ctx is freed; returns o. o may be NULL (JSON null). */
json_object *json_own(const void *ctx, json_object *o);

/* New empty object / array, owned by ctx. */
json_object *json_new_object(const void *ctx);
json_object *json_new_array(const void *ctx);

/*
 * Parses exactly one JSON value as JavaScript's JSON.parse does: no comments, no trailing bytes, no NaN; at most
 * JSON_MAX_DEPTH levels; text must be valid UTF-8. Lone surrogate escapes become U+FFFD. Duplicate keys: last wins.
 * Returns false if it is not JSON. *out (may be NULL for JSON null) is owned by ctx.
 */
bool json_parse(const void *ctx, const char *text, size_t n, json_object **out);

/* True if the n bytes are one JSON text of at most JSON_MAX_DEPTH levels; does not look at UTF-8 validity. */
bool json_well_formed(const char *text, size_t n);

/* Compact serialisation, numbers as JavaScript prints them (2.0 -> 2, -0 -> 0, shortest round trip). Owned by ctx. */
char *json_compact(const void *ctx, json_object *o, size_t *len);

/* Two-space indentation and "\n" at the end as contract 07 2.1 rule 6. Owned by ctx. */
char *json_pretty(const void *ctx, json_object *o, size_t *len);

/* Number of a double as JavaScript would print it: an int object when integral and safe, else a double. */
json_object *json_number(double v);

/* Setters on an object; the _opt forms do nothing for NULL. Values are copied. */
void json_set_str(json_object *o, const char *key, const char *value);
void json_set_str_opt(json_object *o, const char *key, const char *value);
void json_set_int(json_object *o, const char *key, int64_t value);
void json_set_bool(json_object *o, const char *key, bool value);
void json_set_null(json_object *o, const char *key);
/* Takes one new reference of value (value stays usable by its owner). NULL value does nothing. */
void json_set_ref(json_object *o, const char *key, json_object *value);
/* Deep copy of value into o. NULL value does nothing. */
void json_set_copy(json_object *o, const char *key, json_object *value);
void json_set_iso(json_object *o, const char *key, int64_t ms);
void json_push_str(json_object *array, const char *value);
void json_push_ref(json_object *array, json_object *value);

/* Getters; NULL o, a missing key, or another type give the fallback. */
json_object *json_get(json_object *o, const char *key);
const char *json_str(json_object *o, const char *key); /* else NULL */
const char *json_str_or(json_object *o, const char *key, const char *fallback);
int64_t json_int(json_object *o, const char *key, int64_t fallback); /* integral numbers only */
double json_double(json_object *o, const char *key, double fallback);
bool json_flag(json_object *o, const char *key, bool fallback);
json_object *json_array(json_object *o, const char *key);     /* an array, else NULL */
json_object *json_object_at(json_object *o, const char *key); /* an object, else NULL */
bool json_has(json_object *o, const char *key);               /* present, also when null */

/* True if v is a string / integral number / any number. */
bool json_is_str(json_object *v);
bool json_is_int(json_object *v);
bool json_is_num(json_object *v);

/* Deep copy owned by ctx. */
json_object *json_clone(const void *ctx, json_object *o);

/* A new object, owned by ctx, with the members of object o themselves: those must not be changed in place then. */
json_object *json_shallow(const void *ctx, json_object *o);

/* Deep equality; object key order does not matter, array order does; 2 equals 2.0. */
bool json_same(json_object *a, json_object *b);

/* Copies the members of patch over o; a JSON null member removes the key when remove_null is set. */
void json_merge(json_object *o, json_object *patch, bool remove_null);

/* json_object_object_foreach and friends may be used directly. */

#endif
