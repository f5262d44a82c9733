/*
 * Grammar of RFC 8259, checked in one pass before json-c builds the value: json-c is more liberal (single quotes, NaN,
 * odd numbers), and JavaScript's JSON.parse, which the contract goes by, is not. No recursion.
 */
#include "base/json.h"

#include <ctype.h>
#include <string.h>

struct scan {
	const unsigned char *p, *end;
};

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool scan_digits(struct scan *s)
{
	if (!is_digit(s))
		return false;
	while (is_digit(s))
		s->p++;
	return true;
}

static bool scan_number(struct scan *s)
{
	if (s->p < s->end && *s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!scan_digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!scan_digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		return scan_digits(s);
	}
	return true;
}

static bool scan_escape(struct scan *s)
{
	if (s->p == s->end)
		return false;
	if (*s->p == 'u') {
		s->p++;
		for (int i = 0; i < 4; i++, s->p++)
			if (s->p == s->end || !isxdigit(*s->p))
				return false;
		return true;
	}
	return *s->p != '\0' && strchr("\"\\/bfnrt", *s->p++) != NULL;
}

static bool scan_string(struct scan *s)
{
	if (s->p == s->end || *s->p != '"')
		return false;
	for (s->p++; s->p < s->end;) {
		unsigned char c = *s->p++;

		if (c == '"')
			return true;
		if (c < 0x20 || (c == '\\' && !scan_escape(s)))
			return false;
	}
	return false;
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool scan_scalar(struct scan *s)
{
	switch (s->p < s->end ? *s->p : '\0') {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

static bool scan_key(struct scan *s)
{
	skip_space(s);
	if (!scan_string(s))
		return false;
	skip_space(s);
	return s->p < s->end && *s->p++ == ':';
}

bool json_well_formed(const char *text, size_t n)
{
	struct scan s = {(const unsigned char *)text, (const unsigned char *)text + n};
	char stack[JSON_MAX_DEPTH]; /* the closing character of each open level */
	size_t depth = 0;

	for (;;) {
		bool opened = false;

		skip_space(&s);
		if (s.p < s.end && (*s.p == '{' || *s.p == '[')) {
			if (depth == sizeof(stack))
				return false;
			stack[depth++] = *s.p++ == '{' ? '}' : ']';
			opened = true;
			skip_space(&s);
			if (s.p == s.end || *s.p != stack[depth - 1]) {
				if (stack[depth - 1] == '}' && !scan_key(&s))
					return false;
				continue;
			}
		}
		if (!opened && !scan_scalar(&s))
			return false;
		/* after a value, or at the end of an empty level: close levels, then expect a comma or the end */
		for (;;) {
			skip_space(&s);
			if (depth == 0)
				return s.p == s.end;
			if (s.p == s.end)
				return false;
			if (*s.p != stack[depth - 1])
				break;
			s.p++;
			depth--;
		}
		if (*s.p++ != ',')
			return false;
		if (stack[depth - 1] == '}' && !scan_key(&s))
			return false;
	}
}
