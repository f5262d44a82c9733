/*
 * Validation of bodies and queries by constant tables, with the contract's issues (01 2.5, 02 1.4, 03 3.0.4).
 * Fields are checked in table order; the result holds only known keys, trimmed, coerced and with defaults applied.
 */
#ifndef RAKKR_MODEL_SCHEMA_H
#define RAKKR_MODEL_SCHEMA_H

#include "base/json.h"

enum schema_type {
	V_STR, /* min..max UTF-16 units after trimming if S_TRIM */
	V_INT, /* safe integer in min..max */
	V_NUM, /* finite number in min..max */
	V_BOOL,
	V_ENUM,       /* one of values */
	V_LITERAL,    /* exactly values[0] */
	V_EMAIL,      /* 01 2.3; max characters from `max` if > 0 */
	V_ISO,        /* strict date-time, CLOCK_ISO_OFFSET unless S_ZULU; stays text as given */
	V_DATE,       /* CLOCK_LENIENT date; issue "custom" with `message`; result is the ISO form in ms */
	V_OBJECT,     /* fields of `sub` */
	V_ANY_OBJECT, /* any JSON object; NUL and lone surrogates stripped from its strings (D-49) */
	V_ARRAY,      /* min..max items of `item` */
};

enum schema_flag {
	S_REQUIRED = 1, /* missing is an error (else absent stays absent, or takes dflt) */
	S_NULLABLE = 2, /* JSON null passes and stays null */
	S_TRIM = 4,
	S_COERCE = 8,         /* 02 1.5: JSON value -> number */
	S_ZULU = 16,          /* V_ISO: only the Z suffix */
	S_BLANK_ABSENT = 32,  /* query text: blank counts as not given (checked before everything else) */
	S_POSITIVE = 64,      /* V_INT/V_NUM: "> 0" issue form instead of a minimum */
	S_STRICT = 128,       /* on a schema or V_OBJECT field: unknown keys are an issue */
	S_LENIENT_TYPE = 256, /* any non-string counts as absent (06 3.7) */
	S_UNLIMITED = 512,    /* V_ARRAY/V_STR: no maximum although max is 0 */
};

struct schema;

struct schema_field {
	const char *name;
	enum schema_type type;
	unsigned flags;
	double min, max;                 /* lengths, item counts or numbers; max 0 with type V_STR/V_ARRAY = no maximum;
	                                    V_INT/V_NUM: a max that is not above min = no maximum */
	const char *const *values;       /* NULL-terminated */
	const struct schema *sub;        /* V_OBJECT */
	const struct schema_field *item; /* V_ARRAY: rule of each item (its name is ignored) */
	const char *dflt;                /* JSON text used when absent */
	const char *message;             /* V_DATE and custom rules */
	/* Extra rule on the accepted value; returns the message of a "custom" issue or NULL. */
	const char *(*rule)(json_object *value);
};

struct schema {
	const struct schema_field *fields;
	size_t count;
	unsigned flags; /* S_STRICT */
	/* Object-level rule, checked only when nothing else failed: returns a message (path []), or NULL. */
	const char *(*rule)(json_object *value);
};

#define SCHEMA(fields_, flags_, rule_)                                                                                 \
	{                                                                                                              \
		(fields_), sizeof(fields_) / sizeof((fields_)[0]), (flags_), (rule_)                                   \
	}

/*
 * Checks in (may be NULL = JSON null) against s. On success *out is the cleaned object. On failure returns false and
 * *issues is the non-empty array of the contract. Both owned by ctx.
 */
bool schema_check(const void *ctx, const struct schema *s, json_object *in, json_object **out, json_object **issues);

/*
 * The same for a decoded query: every value is a string, numbers are converted like JavaScript Number() (3 T31).
 */
bool schema_check_query(const void *ctx, const struct schema *s, json_object *query, json_object **out,
                        json_object **issues);

/* One issue of code "custom" appended to issues. */
void schema_custom_issue(json_object *issues, const char *path, const char *message);

#endif
