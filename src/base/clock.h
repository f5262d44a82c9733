/* Time: milliseconds since the epoch everywhere; ISO 8601 with three fraction digits on the wire (contract 07 0). */
#ifndef RAKKR_BASE_CLOCK_H
#define RAKKR_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_ISO_SIZE 25 /* "2026-06-20T09:15:04.120Z" + NUL */

/* Wall clock, ms since the epoch. */
int64_t clock_now_ms(void);

/* Monotonic clock in ms, for deadlines. */
int64_t clock_mono_ms(void);

/* Writes the ISO form of ms (years 0001..9999) and returns out. */
const char *clock_iso(char out[CLOCK_ISO_SIZE], int64_t ms);

/* The same, allocated in ctx. */
char *clock_iso_dup(const void *ctx, int64_t ms);

enum clock_form {
	CLOCK_ISO_Z,      /* 02 1.6 "iso-z": YYYY-MM-DDTHH:MM[:SS[.f*]]Z, real date, upper-case T and Z, not trimmed */
	CLOCK_ISO_OFFSET, /* the same, or +HH:MM / -HH:MM */
	CLOCK_LENIENT,    /* what 03 3.3.1 demands: YYYY, YYYY-MM, YYYY-MM-DD, date-time with Z, offset or none (read as
	                     UTC, D-51); trimmed */
};

/*
 * Parses s; years outside 0001..9999 are refused (D-50); fractions beyond milliseconds are cut.
 * Returns false and leaves *ms alone if s does not have the form.
 */
bool clock_parse(const char *s, enum clock_form form, int64_t *ms);

/* Parses Postgres' text form of timestamptz with TimeZone UTC ("2026-06-20 09:15:04.12+00"); microseconds are cut. */
bool clock_parse_pg(const char *s, int64_t *ms);

#endif
