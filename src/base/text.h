/* Text as the contract counts, trims, folds and orders it (contract 01 2.3, 03 3.0.5, 07 0). All strings are UTF-8. */
#ifndef RAKKR_BASE_TEXT_H
#define RAKKR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * True if the n bytes are well-formed UTF-8 (no surrogates, no overlong forms, <= U+10FFFF). NUL bytes count as valid.
 */
bool text_valid_utf8(const char *s, size_t n);

/* Length in UTF-16 code units of valid UTF-8. */
size_t text_utf16_len(const char *s);

/* Copy without leading and trailing ECMAScript white space. */
char *text_trim(const void *ctx, const char *s);

/* True if nothing remains after text_trim, or s is NULL. */
bool text_blank(const char *s);

/* Copy cut to at most max characters (code points), on a character boundary; contract 09 17 "cut". */
char *text_cut(const void *ctx, const char *s, size_t max);

/* Full Unicode lower case copy (locale independent). */
char *text_lower(const void *ctx, const char *s);

/* True if needle occurs in hay, both lower-cased. An empty needle is contained in everything. */
bool text_contains_ci(const char *hay, const char *needle);

/* Root-collation comparison as of contract 03 3.0.5: <0, 0, >0. */
int text_collate(const char *a, const char *b);

/* Case-insensitive equality (full lower-casing of both). */
bool text_equal_ci(const char *a, const char *b);

/* 8-4-4-4-12 hex digits, any case, any version (contract 01 2.3). */
bool text_is_uuid(const char *s);

/* Copy with every invalid UTF-8 sequence replaced by U+FFFD and NUL impossible by type. */
char *text_scrub(const void *ctx, const char *s, size_t n);

/* encodeURIComponent of s. */
char *text_uri_component(const void *ctx, const char *s);

/* Copy in which control characters (< 0x20, 0x7f) are spaces; for header values and logs. */
char *text_no_controls(const void *ctx, const char *s);

/* NULL-safe equality: two NULLs are equal. */
bool text_equal(const char *a, const char *b);

#endif
