/*
 * A strict reader of the text format, as the format's own description has it: every sample belongs to the family whose
 * HELP and TYPE stand right in front of its first one, no family comes twice, no series comes twice, nothing but the
 * three escapes in label values, no control characters anywhere.
 */
#ifndef RAKKR_TESTS_HTTP_EXPOSITION_PARSER_H
#define RAKKR_TESTS_HTTP_EXPOSITION_PARSER_H

#include "http/harness.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 200000
#define FAMILIES_MAX 64

struct scraped {
	struct {
		char *name, *type, *help;
		size_t samples;
	} families[FAMILIES_MAX];
	size_t family_count;
	struct {
		char *series; /* name{labels}, as it was sent */
		double value;
	} samples[SAMPLES_MAX];
	size_t sample_count;
};

static inline size_t name_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == ':')
		n++;
	return n > 0 && !isdigit((unsigned char)s[0]) ? n : 0;
}

/* Behind the labels; NULL if they are wrong. */
static inline const char *skip_labels(const char *s)
{
	if (*s != '{')
		return s;
	do {
		size_t n = name_length(++s);

		if (n == 0 || strncmp(s + n, "=\"", 2) != 0)
			return NULL;
		for (s += n + 2; *s != '"'; s++)
			if ((unsigned char)*s < 0x20 || *s == 0x7f || (*s == '\\' && strchr("\\\"n", *++s) == NULL))
				return NULL;
		s++;
	} while (*s == ',');
	return *s == '}' ? s + 1 : NULL;
}

static inline void take_sample(struct scraped *t, const char *line)
{
	size_t n = name_length(line);
	const char *end = skip_labels(line + n);
	char *rest;

	cr_assert(n > 0 && end != NULL && *end == ' ', "no sample: %s", line);
	cr_assert_gt(t->family_count, 0, "no family: %s", line);
	cr_assert(strlen(t->families[t->family_count - 1].name) == n &&
	              strncmp(t->families[t->family_count - 1].name, line, n) == 0,
	          "not of the family before it: %s", line);
	cr_assert_lt(t->sample_count, SAMPLES_MAX);
	t->samples[t->sample_count].series = strndup(line, (size_t)(end - line));
	t->samples[t->sample_count].value = strtod(end + 1, &rest);
	cr_assert(rest != end + 1 && *rest == '\0', "no number: %s", line);
	t->families[t->family_count - 1].samples++;
	t->sample_count++;
}

/* "# HELP name text" begins a family, "# TYPE name type" follows. */
static inline void take_comment(struct scraped *t, const char *line)
{
	size_t n = name_length(line + 7), at = t->family_count;

	cr_assert(n > 0 && line[7 + n] == ' ', "%s", line);
	if (strncmp(line, "# HELP ", 7) == 0) {
		cr_assert_lt(at, FAMILIES_MAX);
		cr_assert(at == 0 || t->families[at - 1].type != NULL, "no TYPE before %s", line);
		t->families[at].name = strndup(line + 7, n);
		t->families[at].help = strdup(line + 8 + n);
		for (size_t i = 0; i < at; i++)
			cr_assert_str_neq(t->families[i].name, t->families[at].name, "twice");
		t->family_count++;
		return;
	}
	cr_assert(strncmp(line, "# TYPE ", 7) == 0 && at > 0, "%s", line);
	cr_assert(strlen(t->families[at - 1].name) == n && strncmp(t->families[at - 1].name, line + 7, n) == 0 &&
	              t->families[at - 1].type == NULL && t->families[at - 1].samples == 0,
	          "%s", line);
	t->families[at - 1].type = strdup(line + 8 + n);
}

static inline int by_series(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Series are sorted afterwards. */
static inline struct scraped *parse_exposition(const struct response *r)
{
	struct scraped *t = calloc(1, sizeof(*t));
	char *text = strdup(r->body);

	cr_assert(r->len > 0 && strlen(r->body) == r->len && r->body[r->len - 1] == '\n', "%s: no last line end",
	          r->asked);
	for (char *line = text, *feed; *line != '\0'; line = feed + 1) {
		feed = strchr(line, '\n');
		*feed = '\0';
		cr_assert_neq(*line, '\0', "an empty line");
		for (const char *c = line; *c != '\0'; c++)
			cr_assert((unsigned char)*c >= 0x20 && *c != 0x7f, "control character in %s", line);
		if (*line == '#')
			take_comment(t, line);
		else
			take_sample(t, line);
	}
	qsort(t->samples, t->sample_count, sizeof(t->samples[0]), by_series);
	for (size_t i = 1; i < t->sample_count; i++)
		cr_assert_str_neq(t->samples[i].series, t->samples[i - 1].series, "twice: %s", t->samples[i].series);
	return t;
}

/* NAN if there is no such series. */
static inline double sample(const struct scraped *t, const char *series)
{
	const void *found = bsearch(&series, t->samples, t->sample_count, sizeof(t->samples[0]), by_series);

	return found != NULL
	           ? t->samples[((const char *)found - (const char *)t->samples) / sizeof(t->samples[0])].value
	           : (double)NAN;
}

static inline bool has_sample(const struct scraped *t, const char *series)
{
	return bsearch(&series, t->samples, t->sample_count, sizeof(t->samples[0]), by_series) != NULL;
}

/* ---- a scrape --------------------------------------------------------------------------------------------------- */

static struct response last; /* the answer of the last one */

static inline struct scraped *scrape_as(const char *token)
{
	last = get("/metrics", token);
	must(last, 200);
	return parse_exposition(&last);
}

static inline struct scraped *scrape(void)
{
	return scrape_as(admin());
}

#define expect_sample(t, expected, ...)                                                                                \
	do {                                                                                                           \
		const char *series_ = fmt(__VA_ARGS__);                                                                \
		double value_ = sample(t, series_);                                                                    \
		cr_expect(value_ == (expected), "%s is %g, not %g", series_, value_, (double)(expected));              \
	} while (0)
#define expect_none(t, ...)                                                                                            \
	do {                                                                                                           \
		const char *series_ = fmt(__VA_ARGS__);                                                                \
		cr_expect_not(has_sample(t, series_), "%s", series_);                                                  \
	} while (0)

static inline struct user viewer_of(const struct node *n)
{
	return create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n->id));
}

#endif
