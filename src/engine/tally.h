/*
 * Numbers by labels: a JSON object whose keys are the labels, joined by the unit separator (U+001F), and whose values
 * are integers. Tallies of stores are counted this way, kept this way in flat files, and shown as samples.
 */
#ifndef RAKKR_ENGINE_TALLY_H
#define RAKKR_ENGINE_TALLY_H

#include "base/json.h"

#define TALLY_LABELS 10

/* Adds n under count labels; NULL stands for "". A unit separator inside a label is replaced. */
void tally_add(json_object *tally, const char *const *labels, size_t count, int64_t n);

/* Adds every number of other. */
void tally_merge(json_object *tally, json_object *other);

int64_t tally_get(json_object *tally, const char *const *labels, size_t count);

/* The sum of all numbers; tally may be NULL. */
int64_t tally_sum(json_object *tally);

struct tally_row {
	const char *labels[TALLY_LABELS]; /* those that were not given are "" */
	int64_t n;
};

/* The rows of a tally in root-collation order of their labels, owned by ctx. tally may be NULL. */
struct tally_row *tally_rows(const void *ctx, json_object *tally, size_t *count);

#endif
