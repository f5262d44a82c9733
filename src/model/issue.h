/* Inside the validation engine: where a value is, and the issues of contract 01 2.5, keys in the order given there. */
#ifndef RAKKR_MODEL_ISSUE_H
#define RAKKR_MODEL_ISSUE_H

#include "base/json.h"

/* A body of a few MiB may break a rule in every element of an array: no reply needs more issues than this. */
#define MAX_ISSUES 1000

/* Where the value under check is: a list from the leaf up to the root, on the stack. */
struct place {
	const struct place *up;
	const char *key; /* NULL: an array index */
	int index;
};

struct check {
	const void *ctx;
	json_object *issues;
	size_t found; /* issues found, also those beyond MAX_ISSUES */
	bool query;   /* every value is text */
};

enum verdict {
	REFUSED,  /* at least one issue was added */
	ABSENT,   /* not given and not needed */
	ACCEPTED, /* the value is the caller's reference */
};

/* "undefined" never comes from here: v is a value that was given. */
const char *issue_type_name(json_object *v);

/* Each adds one issue and returns REFUSED. */

/* received: what was found; detail: "NaN" or "Infinity" where the type alone does not say it, else NULL. */
enum verdict issue_type(struct check *c, const struct place *at, const char *expected, const char *received,
                        const char *detail);
enum verdict issue_not_integer(struct check *c, const struct place *at);
enum verdict issue_unsafe_integer(struct check *c, const struct place *at, bool below);
/* A bound that was not kept. origin "string", "array" or "number"; exclusive only occurs for minimum 0. */
enum verdict issue_bound(struct check *c, const struct place *at, const char *origin, bool below, double bound,
                         bool inclusive);
enum verdict issue_option(struct check *c, const struct place *at, const char *const *values, bool literal);
enum verdict issue_format(struct check *c, const struct place *at, const char *format, const char *pattern,
                          const char *message);
enum verdict issue_custom(struct check *c, const struct place *at, const char *message);
/* Takes the reference of keys. list: the keys as the message shows them. */
enum verdict issue_unknown_keys(struct check *c, const struct place *at, json_object *keys, const char *list);

#endif
