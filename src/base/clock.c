#include "base/clock.h"

#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t clock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int *y, int *m, int *d)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

const char *clock_iso(char out[CLOCK_ISO_SIZE], int64_t ms)
{
	int64_t days = ms >= 0 ? ms / 86400000 : -((-ms + 86399999) / 86400000);
	int64_t rest = ms - days * 86400000;
	char text[64];
	int y, m, d;

	civil_from_days(days, &y, &m, &d);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", y, m, d, (int)(rest / 3600000),
	         (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
	memcpy(out, text, CLOCK_ISO_SIZE - 1);
	out[CLOCK_ISO_SIZE - 1] = '\0';
	return out;
}

char *clock_iso_dup(const void *ctx, int64_t ms)
{
	char iso[CLOCK_ISO_SIZE];

	return mem_strdup(ctx, clock_iso(iso, ms));
}

/* Reads exactly n digits at *p and moves on. */
static bool digits(const char **p, int n, int *value)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*value = v;
	return true;
}

static bool real_date(int y, int m, int d)
{
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= length[m - 1] + (m == 2 && leap);
}

/* [.fraction] at *p; milliseconds, the rest is cut. */
static bool fraction(const char **p, int *ms)
{
	int scale = 100;

	*ms = 0;
	if (**p != '.')
		return true;
	(*p)++;
	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++, scale /= 10)
		*ms += (**p - '0') * scale;
	return true;
}

/* HH:MM[:SS[.f]] at *p, as ms of the day. */
static bool time_of_day(const char **p, int64_t *ms)
{
	int h, min, s = 0, f = 0;

	if (!digits(p, 2, &h) || *(*p)++ != ':' || !digits(p, 2, &min))
		return false;
	if (**p == ':') {
		(*p)++;
		if (!digits(p, 2, &s) || !fraction(p, &f))
			return false;
	}
	if (h > 23 || min > 59 || s > 59)
		return false;
	*ms = ((int64_t)h * 3600 + min * 60 + s) * 1000 + f;
	return true;
}

/* Z or (+|-)HH:MM at *p, as ms east of UTC. */
static bool zone(const char **p, bool offset_allowed, int64_t *ms)
{
	int h, m, sign;

	*ms = 0;
	if (**p == 'Z') {
		(*p)++;
		return true;
	}
	if (!offset_allowed || (**p != '+' && **p != '-'))
		return false;
	sign = *(*p)++ == '+' ? 1 : -1;
	if (!digits(p, 2, &h) || *(*p)++ != ':' || !digits(p, 2, &m) || h > 23 || m > 59)
		return false;
	*ms = sign * ((int64_t)h * 60 + m) * 60000;
	return true;
}

static bool in_range(int64_t ms)
{
	return ms >= -62135596800000LL && ms <= 253402300799999LL; /* 0001-01-01 .. 9999-12-31 */
}

static bool parse_lenient(const char *p, int64_t *out)
{
	int y, m = 1, d = 1;
	int64_t tod = 0, east = 0;

	if (!digits(&p, 4, &y))
		return false;
	if (*p == '-') {
		p++;
		if (!digits(&p, 2, &m))
			return false;
		if (*p == '-') {
			p++;
			if (!digits(&p, 2, &d))
				return false;
		}
	}
	if (!real_date(y, m, d))
		return false;
	if (*p == 'T' || *p == 't' || *p == ' ') {
		p++;
		if (!time_of_day(&p, &tod))
			return false;
		if (*p != '\0' && !zone(&p, true, &east))
			return false;
	}
	if (*p != '\0')
		return false;
	*out = days_from_civil(y, m, d) * 86400000 + tod - east;
	return true;
}

static bool parse_strict(const char *p, bool offset_allowed, int64_t *out)
{
	int y, m, d;
	int64_t tod, east;

	if (!digits(&p, 4, &y) || *p++ != '-' || !digits(&p, 2, &m) || *p++ != '-' || !digits(&p, 2, &d) ||
	    *p++ != 'T' || !time_of_day(&p, &tod) || !zone(&p, offset_allowed, &east) || *p != '\0')
		return false;
	if (!real_date(y, m, d))
		return false;
	*out = days_from_civil(y, m, d) * 86400000 + tod - east;
	return true;
}

bool clock_parse(const char *s, enum clock_form form, int64_t *ms)
{
	int64_t value;
	bool ok;

	if (form == CLOCK_LENIENT) {
		char *t = text_trim(NULL, s);

		ok = parse_lenient(t, &value);
		talloc_free(t);
	} else {
		ok = parse_strict(s, form == CLOCK_ISO_OFFSET, &value);
	}
	if (!ok || !in_range(value))
		return false;
	*ms = value;
	return true;
}

bool clock_parse_pg(const char *s, int64_t *ms)
{
	int y, m, d;
	int64_t tod;

	if (!digits(&s, 4, &y) || *s++ != '-' || !digits(&s, 2, &m) || *s++ != '-' || !digits(&s, 2, &d) ||
	    *s++ != ' ' || !time_of_day(&s, &tod) || strcmp(s, "+00") != 0 || !real_date(y, m, d))
		return false;
	*ms = days_from_civil(y, m, d) * 86400000 + tod;
	return true;
}
