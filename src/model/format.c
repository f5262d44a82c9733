#include "model/format.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Value of the digit c in any base up to 16, or 99. */
static unsigned digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

static bool parse_radix(const char *digits, unsigned radix, double *out)
{
	if (*digits == '\0')
		return false;
	double value = 0;
	for (const char *p = digits; *p != '\0'; p++) {
		unsigned v = digit_value(*p);
		if (v >= radix)
			return false;
		value = value * radix + v;
	}
	*out = value;
	return true;
}

/* True if s is digits[.digits][e[+-]digits] or .digits[e[+-]digits]: exactly what strtod may be given. */
static bool is_decimal(const char *s)
{
	size_t digits = 0;
	for (; is_digit(*s); s++)
		digits++;
	if (*s == '.')
		for (s++; is_digit(*s); s++)
			digits++;
	if (digits == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '+' || *s == '-')
			s++;
		if (!is_digit(*s))
			return false;
		while (is_digit(*s))
			s++;
	}
	return *s == '\0';
}

static bool parse_trimmed(const char *s, double *out)
{
	if (*s == '\0') {
		*out = 0;
		return true;
	}
	if (s[0] == '0' && s[1] != '\0') {
		if (s[1] == 'x' || s[1] == 'X')
			return parse_radix(s + 2, 16, out);
		if (s[1] == 'o' || s[1] == 'O')
			return parse_radix(s + 2, 8, out);
		if (s[1] == 'b' || s[1] == 'B')
			return parse_radix(s + 2, 2, out);
	}
	const char *number = *s == '+' || *s == '-' ? s + 1 : s;
	if (strcmp(number, "Infinity") == 0)
		*out = INFINITY;
	else if (is_decimal(number))
		*out = strtod(number, NULL);
	else
		return false;
	if (*s == '-')
		*out = -*out;
	return true;
}

bool js_number(const char *text, double *out)
{
	char *trimmed = text_trim(NULL, text);
	bool ok = parse_trimmed(trimmed, out);
	talloc_free(trimmed);
	return ok;
}

const char email_pattern[] = "/^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@"
                             "([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$/";

static bool local_part_valid(const char *s, size_t n)
{
	if (n == 0 || s[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		if (is_letter(s[i]) || is_digit(s[i]) || strchr("_+-", s[i]) != NULL)
			continue;
		if (last || strchr("'.", s[i]) == NULL)
			return false;
	}
	return true;
}

static bool domain_label_valid(const char *s, size_t n)
{
	if (n == 0 || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool top_domain_valid(const char *s)
{
	size_t n = 0;
	for (; s[n] != '\0'; n++)
		if (!is_letter(s[n]))
			return false;
	return n >= 2;
}

bool email_valid(const char *text)
{
	const char *at = strchr(text, '@');
	if (at == NULL || strstr(text, "..") != NULL || !local_part_valid(text, (size_t)(at - text)))
		return false;
	const char *label = at + 1;
	size_t labels = 0;
	for (const char *dot = strchr(label, '.'); dot != NULL; dot = strchr(label, '.')) {
		if (!domain_label_valid(label, (size_t)(dot - label)))
			return false;
		label = dot + 1;
		labels++;
	}
	return labels > 0 && top_domain_valid(label);
}
