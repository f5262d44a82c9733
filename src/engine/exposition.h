/* The text format in which metrics are shown (contract 06 9.2, 09 D-99). */
#ifndef RAKKR_ENGINE_EXPOSITION_H
#define RAKKR_ENGINE_EXPOSITION_H

#include "base/buf.h"

#include <stdint.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* "# HELP ..." and "# TYPE ..." of a family; type is "gauge" or "counter". */
void exposition_family(struct buf *out, const char *name, const char *type, const char *help);

struct exposition_label {
	const char *name;
	const char *value; /* NULL or "": the label is left out */
};

/*
 * One sample. Label values: '\', line feed and '"' are escaped; other control characters, for which the format has no
 * escape, become spaces. The value is what JavaScript prints, a number that is not finite "NaN".
 */
void exposition_sample(struct buf *out, const char *name, const struct exposition_label *labels, size_t count,
                       double value);

/* The same with a whole number, which may be beyond what a double holds exactly. */
void exposition_count(struct buf *out, const char *name, const struct exposition_label *labels, size_t count,
                      int64_t value);

#endif
