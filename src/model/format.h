/* Text forms that the contract takes from JavaScript: numbers (02 1.5, 03 T31) and e-mail addresses (01 2.3). */
#ifndef RAKKR_MODEL_FORMAT_H
#define RAKKR_MODEL_FORMAT_H

#include <stdbool.h>

/*
 * JavaScript Number(text): surrounding white space, empty = 0, decimals with exponent, 0x / 0o / 0b without a sign,
 * Infinity. Returns false where JavaScript says NaN; *out may be infinite.
 */
bool js_number(const char *text, double *out);

/* The pattern of 01 2.3; no maximum length, not trimmed. */
bool email_valid(const char *text);

/* The pattern as it stands in issues. */
extern const char email_pattern[];

#endif
