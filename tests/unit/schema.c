#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/format.h"
#include "model/schema.h"

static const char *at_least_one(json_object *o)
{
	return json_object_object_length(o) == 0 ? "At least one node field is required" : NULL;
}

static const char *page_limit(json_object *v)
{
	double n = json_object_get_double(v);
	return n < 1 || n > 200 ? "Expected limit between 1 and 200" : NULL;
}

static const char *const colours[] = {"red", "blue", NULL};
static const char *const one[] = {"x", NULL};
static const struct schema_field inner_fields[] = {
    {.name = "room", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = 5},
    {.name = "floor", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 80},
};
static const struct schema inner = SCHEMA(inner_fields, 0, NULL);
static const struct schema_field tag = {.type = V_STR, .flags = S_TRIM, .min = 1, .max = 3};
static const struct schema_field rate = {.type = V_INT, .flags = S_COERCE | S_POSITIVE};
static const struct schema_field fields[] = {
    {.name = "text", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 4},
    {.name = "raw", .type = V_STR, .min = 2},
    {.name = "count", .type = V_INT, .min = 1, .max = 8},
    {.name = "free", .type = V_INT, .min = 0},
    {.name = "level", .type = V_NUM, .min = -160, .max = 24},
    {.name = "window", .type = V_INT, .flags = S_POSITIVE, .max = 86400},
    {.name = "given", .type = V_INT, .flags = S_COERCE, .min = 0, .max = 256},
    {.name = "on", .type = V_BOOL},
    {.name = "colour", .type = V_ENUM, .values = colours},
    {.name = "kind", .type = V_LITERAL, .values = one},
    {.name = "email", .type = V_EMAIL, .max = 20},
    {.name = "when", .type = V_ISO, .flags = S_ZULU},
    {.name = "since", .type = V_DATE, .message = "Expected ISO date-time"},
    {.name = "place", .type = V_OBJECT, .sub = &inner},
    {.name = "strict", .type = V_OBJECT, .flags = S_STRICT, .sub = &inner},
    {.name = "details", .type = V_ANY_OBJECT},
    {.name = "tags", .type = V_ARRAY, .min = 1, .max = 2, .item = &tag},
    {.name = "rates", .type = V_ARRAY, .item = &rate},
    {.name = "note", .type = V_STR, .flags = S_TRIM | S_NULLABLE, .max = 9},
    {.name = "node", .type = V_STR, .flags = S_TRIM | S_BLANK_ABSENT | S_LENIENT_TYPE, .min = 1, .max = 9},
};
static const struct schema rules = SCHEMA(fields, S_STRICT, at_least_one);

static const struct schema_field needed_fields[] = {
    {.name = "a", .type = V_STR, .flags = S_REQUIRED},
    {.name = "b", .type = V_INT, .flags = S_REQUIRED},
    {.name = "c", .type = V_INT, .flags = S_REQUIRED | S_COERCE},
    {.name = "d", .type = V_ENUM, .flags = S_REQUIRED, .values = colours},
    {.name = "e", .type = V_ARRAY, .flags = S_REQUIRED, .item = &tag},
    {.name = "f", .type = V_OBJECT, .flags = S_REQUIRED, .sub = &inner},
    {.name = "g", .type = V_STR, .dflt = "\"unknown\""},
    {.name = "h", .type = V_ARRAY, .item = &tag, .dflt = "[]"},
};
static const struct schema needed = SCHEMA(needed_fields, 0, NULL);

static const struct schema_field query_fields[] = {
    {.name = "limit", .type = V_INT, .flags = S_BLANK_ABSENT, .min = 0, .rule = page_limit},
    {.name = "offset", .type = V_INT, .flags = S_BLANK_ABSENT, .min = 0},
    {.name = "q", .type = V_STR, .flags = S_BLANK_ABSENT | S_TRIM, .min = 1, .max = 240},
    {.name = "all", .type = V_BOOL, .flags = S_BLANK_ABSENT},
    {.name = "from", .type = V_DATE, .flags = S_BLANK_ABSENT},
};
static const struct schema query = SCHEMA(query_fields, 0, NULL);

/* issues: the whole array as compact JSON; result: the cleaned object. Exactly one of them is set. */
struct sample {
	const struct schema *schema;
	bool is_query;
	const char *in, *result, *issues;
};

#define TYPE(expected, key, received)                                                                                  \
	"[{\"expected\":\"" expected "\",\"code\":\"invalid_type\",\"path\":[\"" key                                   \
	"\"],\"message\":\"Invalid input: expected " expected ", received " received "\"}]"
#define NOT_A_NUMBER(key)                                                                                              \
	"[{\"expected\":\"number\",\"code\":\"invalid_type\",\"received\":\"NaN\",\"path\":[\"" key                    \
	"\"],\"message\":\"Invalid input: expected number, received NaN\"}]"

static const struct sample samples[] = {
    {&rules, false, "{\"text\":\"  ab\\u00a0\\ufeff\"}", "{\"text\":\"ab\"}", NULL},
    {&rules, false, "{\"text\":\"\\ud83c\\udfa4\\ud83c\\udfa4\"}", "{\"text\":\"\xf0\x9f\x8e\xa4\xf0\x9f\x8e\xa4\"}",
     NULL},
    {&rules, false, "{\"text\":\"\\ud83c\\udfa4\\ud83c\\udfa4a\"}", NULL,
     "[{\"origin\":\"string\",\"code\":\"too_big\",\"maximum\":4,\"inclusive\":true,\"path\":[\"text\"],"
     "\"message\":\"Too big: expected string to have <=4 characters\"}]"},
    {&rules, false, "{\"text\":\"  \"}", NULL,
     "[{\"origin\":\"string\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":[\"text\"],"
     "\"message\":\"Too small: expected string to have >=1 characters\"}]"},
    {&rules, false, "{\"text\":5}", NULL, TYPE("string", "text", "number")},
    {&rules, false, "{\"text\":null}", NULL, TYPE("string", "text", "null")},
    {&rules, false, "{\"text\":[]}", NULL, TYPE("string", "text", "array")},
    {&rules, false, "{\"text\":{}}", NULL, TYPE("string", "text", "object")},
    {&rules, false, "{\"text\":true}", NULL, TYPE("string", "text", "boolean")},
    {&rules, false, "{\"text\":\"a\\u0000b\"}", NULL,
     "[{\"code\":\"custom\",\"path\":[\"text\"],\"message\":\"Invalid string: must not contain U+0000\"}]"},
    {&rules, false, "{\"raw\":\" a\"}", "{\"raw\":\" a\"}", NULL},
    {&rules, false, "{\"count\":2.0}", "{\"count\":2}", NULL},
    {&rules, false, "{\"count\":1.5}", NULL,
     "[{\"expected\":\"int\",\"format\":\"safeint\",\"code\":\"invalid_type\",\"path\":[\"count\"],"
     "\"message\":\"Invalid input: expected int, received number\"}]"},
    {&rules, false, "{\"count\":\"2\"}", NULL, TYPE("number", "count", "string")},
    {&rules, false, "{\"count\":0}", NULL,
     "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":[\"count\"],"
     "\"message\":\"Too small: expected number to be >=1\"}]"},
    {&rules, false, "{\"count\":1e999}", NULL,
     "[{\"expected\":\"number\",\"code\":\"invalid_type\",\"received\":\"Infinity\",\"path\":[\"count\"],"
     "\"message\":\"Invalid input: expected number, received number\"}]"},
    {&rules, false, "{\"free\":9007199254740991}", "{\"free\":9007199254740991}", NULL},
    {&rules, false, "{\"free\":1e300}", NULL,
     "[{\"code\":\"too_big\",\"maximum\":9007199254740991,\"note\":\"Integers must be within the safe integer "
     "range.\",\"origin\":\"int\",\"inclusive\":true,\"path\":[\"free\"],\"message\":\"Too big: expected int to be "
     "<=9007199254740991\"}]"},
    {&rules, false, "{\"count\":9007199254740993}", NULL,
     "[{\"code\":\"too_big\",\"maximum\":9007199254740991,\"note\":\"Integers must be within the safe integer "
     "range.\",\"origin\":\"int\",\"inclusive\":true,\"path\":[\"count\"],\"message\":\"Too big: expected int to be "
     "<=9007199254740991\"},{\"origin\":\"number\",\"code\":\"too_big\",\"maximum\":8,\"inclusive\":true,\"path\":"
     "[\"count\"],\"message\":\"Too big: expected number to be <=8\"}]"},
    {&rules, false, "{\"level\":-160}", "{\"level\":-160}", NULL},
    {&rules, false, "{\"level\":24.5}", NULL,
     "[{\"origin\":\"number\",\"code\":\"too_big\",\"maximum\":24,\"inclusive\":true,\"path\":[\"level\"],"
     "\"message\":\"Too big: expected number to be <=24\"}]"},
    {&rules, false, "{\"window\":0}", NULL,
     "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":0,\"inclusive\":false,\"path\":[\"window\"],"
     "\"message\":\"Too small: expected number to be >0\"}]"},
    {&rules, false, "{\"given\":\" 0x10 \"}", "{\"given\":16}", NULL},
    {&rules, false, "{\"given\":true}", "{\"given\":1}", NULL},
    {&rules, false, "{\"given\":null}", "{\"given\":0}", NULL},
    {&rules, false, "{\"given\":[[\"7\"]]}", "{\"given\":7}", NULL},
    {&rules, false, "{\"given\":[]}", "{\"given\":0}", NULL},
    {&rules, false, "{\"given\":{}}", NULL, NOT_A_NUMBER("given")},
    {&rules, false, "{\"given\":[1,2]}", NULL, NOT_A_NUMBER("given")},
    {&rules, false, "{\"given\":\"ten\"}", NULL, NOT_A_NUMBER("given")},
    {&rules, false, "{\"on\":false}", "{\"on\":false}", NULL},
    {&rules, false, "{\"on\":\"true\"}", NULL, TYPE("boolean", "on", "string")},
    {&rules, false, "{\"colour\":\"blue\"}", "{\"colour\":\"blue\"}", NULL},
    {&rules, false, "{\"colour\":\"blue \"}", NULL,
     "[{\"code\":\"invalid_value\",\"values\":[\"red\",\"blue\"],\"path\":[\"colour\"],"
     "\"message\":\"Invalid option: expected one of \\\"red\\\"|\\\"blue\\\"\"}]"},
    {&rules, false, "{\"kind\":1}", NULL,
     "[{\"code\":\"invalid_value\",\"values\":[\"x\"],\"path\":[\"kind\"],\"message\":\"Invalid input: expected "
     "\\\"x\\\"\"}]"},
    {&rules, false, "{\"email\":\"a@b.cc\"}", "{\"email\":\"a@b.cc\"}", NULL},
    {&rules, false, "{\"when\":\"2027-02-28T10:00Z\"}", "{\"when\":\"2027-02-28T10:00Z\"}", NULL},
    {&rules, false, "{\"since\":\" 2026-06 \"}", "{\"since\":\"2026-06-01T00:00:00.000Z\"}", NULL},
    {&rules, false, "{\"since\":\"+275000-01-01T00:00:00Z\"}", NULL,
     "[{\"code\":\"custom\",\"path\":[\"since\"],\"message\":\"Expected ISO date-time\"}]"},
    {&rules, false, "{\"place\":{\"floor\":\" 2 \",\"room\":\" r \",\"x\":1}}",
     "{\"place\":{\"room\":\"r\",\"floor\":\"2\"}}", NULL},
    {&rules, false, "{\"place\":{}}", NULL,
     "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"place\",\"room\"],\"message\":\"Invalid input: "
     "expected string, received undefined\"}]"},
    {&rules, false, "{\"strict\":{\"room\":\"r\",\"z\":1,\"y\":2}}", NULL,
     "[{\"code\":\"unrecognized_keys\",\"keys\":[\"z\",\"y\"],\"path\":[\"strict\"],\"message\":\"Unrecognized keys: "
     "\\\"z\\\", \\\"y\\\"\"}]"},
    {&rules, false, "{\"details\":{\"a\":[\"x\\u0000y\",{\"b\":\"\\u0000\"}],\"c\":null}}",
     "{\"details\":{\"a\":[\"xy\",{\"b\":\"\"}],\"c\":null}}", NULL},
    {&rules, false, "{\"details\":[]}", NULL, TYPE("object", "details", "array")},
    {&rules, false, "{\"tags\":[\" a \",\"b\"]}", "{\"tags\":[\"a\",\"b\"]}", NULL},
    {&rules, false, "{\"tags\":[\"a\",7,\"abcd\"]}", NULL,
     "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"tags\",1],\"message\":\"Invalid input: expected "
     "string, received number\"},{\"origin\":\"string\",\"code\":\"too_big\",\"maximum\":3,\"inclusive\":true,\"path\":"
     "[\"tags\",2],\"message\":\"Too big: expected string to have <=3 characters\"},{\"origin\":\"array\",\"code\":"
     "\"too_big\",\"maximum\":2,\"inclusive\":true,\"path\":[\"tags\"],\"message\":\"Too big: expected array to have "
     "<=2 items\"}]"},
    {&rules, false, "{\"tags\":[]}", NULL,
     "[{\"origin\":\"array\",\"code\":\"too_small\",\"minimum\":1,\"inclusive\":true,\"path\":[\"tags\"],\"message\":"
     "\"Too small: expected array to have >=1 items\"}]"},
    {&rules, false, "{\"rates\":[\"44100\",48000]}", "{\"rates\":[44100,48000]}", NULL},
    {&rules, false, "{\"note\":null}", "{\"note\":null}", NULL},
    {&rules, false, "{\"node\":5,\"on\":true}", "{\"on\":true}", NULL},
    {&rules, false, "{\"node\":\" \",\"on\":true}", "{\"on\":true}", NULL},
    {&rules, false, "{}", NULL,
     "[{\"code\":\"custom\",\"path\":[],\"message\":\"At least one node field is required\"}]"},
    {&rules, false, "{\"x\":1}", NULL,
     "[{\"code\":\"unrecognized_keys\",\"keys\":[\"x\"],\"path\":[],\"message\":\"Unrecognized key: \\\"x\\\"\"}]"},
    {&rules, false, "null", NULL,
     "[{\"expected\":\"object\",\"code\":\"invalid_type\",\"path\":[],\"message\":\"Invalid input: expected object, "
     "received null\"}]"},
    {&needed, false, "{\"a\":\"\",\"b\":-1,\"c\":\"\",\"d\":\"red\",\"e\":[],\"f\":{\"room\":\"r\"}}", NULL,
     "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":0,\"inclusive\":true,\"path\":[\"b\"],\"message\":"
     "\"Too "
     "small: expected number to be >=0\"}]"},
    {&needed, false, "{\"a\":\"\",\"b\":1,\"c\":\"\",\"d\":\"red\",\"e\":[],\"f\":{\"room\":\"r\"}}",
     "{\"a\":\"\",\"b\":1,\"c\":0,\"d\":\"red\",\"e\":[],\"f\":{\"room\":\"r\"},\"g\":\"unknown\",\"h\":[]}", NULL},
    {&needed, false, "{}", NULL,
     "[{\"expected\":\"string\",\"code\":\"invalid_type\",\"path\":[\"a\"],\"message\":\"Invalid input: expected "
     "string, "
     "received undefined\"},{\"expected\":\"number\",\"code\":\"invalid_type\",\"path\":[\"b\"],\"message\":\"Invalid "
     "input: expected number, received undefined\"},{\"expected\":\"number\",\"code\":\"invalid_type\",\"received\":"
     "\"NaN\",\"path\":[\"c\"],\"message\":\"Invalid input: expected number, received NaN\"},{\"code\":"
     "\"invalid_value\",\"values\":[\"red\",\"blue\"],\"path\":[\"d\"],\"message\":\"Invalid option: expected one of "
     "\\\"red\\\"|\\\"blue\\\"\"},{\"expected\":\"array\",\"code\":\"invalid_type\",\"path\":[\"e\"],\"message\":"
     "\"Invalid input: expected array, received undefined\"},{\"expected\":\"object\",\"code\":\"invalid_type\","
     "\"path\":[\"f\"],\"message\":\"Invalid input: expected object, received undefined\"}]"},
    {&query, true, "{\"limit\":\" 1e2 \",\"offset\":\"0x10\",\"q\":\" a \",\"other\":\"1\",\"all\":\"true\"}",
     "{\"limit\":100,\"offset\":16,\"q\":\"a\",\"all\":true}", NULL},
    {&query, true, "{\"limit\":\" \",\"q\":\"\"}", "{}", NULL},
    {&query, true, "{\"limit\":\"-3\"}", NULL,
     "[{\"origin\":\"number\",\"code\":\"too_small\",\"minimum\":0,\"inclusive\":true,\"path\":[\"limit\"],\"message\":"
     "\"Too small: expected number to be >=0\"},{\"code\":\"custom\",\"path\":[\"limit\"],\"message\":\"Expected limit "
     "between 1 and 200\"}]"},
    {&query, true, "{\"limit\":\"0\"}", NULL,
     "[{\"code\":\"custom\",\"path\":[\"limit\"],\"message\":\"Expected limit between 1 and 200\"}]"},
    {&query, true, "{\"offset\":\"abc\"}", NULL, NOT_A_NUMBER("offset")},
    {&query, true, "{\"offset\":\"9007199254740991\"}", "{\"offset\":9007199254740991}", NULL},
    {&query, true, "{\"from\":\"soon\"}", NULL,
     "[{\"code\":\"custom\",\"path\":[\"from\"],\"message\":\"Expected an ISO date/time value\"}]"},
};

Test(schema, samples)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		void *mem = talloc_new(NULL);
		json_object *in = NULL, *out = NULL, *issues = NULL;
		cr_assert(json_parse(mem, s->in, strlen(s->in), &in), "sample is no JSON: %s", s->in);
		bool ok = s->is_query ? schema_check_query(mem, s->schema, in, &out, &issues)
		                      : schema_check(mem, s->schema, in, &out, &issues);
		cr_expect_eq(ok, s->result != NULL, "%s", s->in);
		const char *got = json_compact(mem, ok ? out : issues, NULL);
		cr_expect_str_eq(got, ok ? s->result : s->issues, "%s\n got %s", s->in, got);
		talloc_free(mem);
	}
}

Test(schema, issues_are_bounded)
{
	void *mem = talloc_new(NULL);
	json_object *in = json_new_object(mem), *rates = json_object_new_array(), *out = NULL, *issues = NULL;
	for (int i = 0; i < 5000; i++)
		json_object_array_add(rates, json_object_new_int(-1));
	json_object_object_add(in, "rates", rates);
	cr_expect_not(schema_check(mem, &rules, in, &out, &issues));
	cr_expect_eq(json_object_array_length(issues), 1000);
	talloc_free(mem);
}

Test(schema, the_input_stays_as_it_was)
{
	void *mem = talloc_new(NULL);
	const char *text = "{\"text\":\" a \",\"place\":{\"room\":\" r \"}}";
	json_object *in = NULL, *out = NULL, *issues = NULL;
	cr_assert(json_parse(mem, text, strlen(text), &in));
	cr_expect(schema_check(mem, &rules, in, &out, &issues));
	cr_expect_str_eq(json_compact(mem, in, NULL), text);
	talloc_free(mem);
}

Test(format, numbers_as_javascript_reads_them)
{
	static const struct {
		const char *text;
		double value; /* NAN: no number */
	} numbers[] = {
	    {"", 0},
	    {" \t\n", 0},
	    {"1", 1},
	    {" 12 ", 12},
	    {"1e2", 100},
	    {"1E+2", 100},
	    {".5", 0.5},
	    {"5.", 5},
	    {"-0.25", -0.25},
	    {"+7", 7},
	    {"0x10", 16},
	    {"0XfF", 255},
	    {"0o17", 15},
	    {"0b101", 5},
	    {"007", 7},
	    {"Infinity", INFINITY},
	    {"-Infinity", -INFINITY},
	    {"1e999", INFINITY},
	    {"\xc2\xa0"
	     "3",
	     3},
	    {"abc", NAN},
	    {"1 2", NAN},
	    {"1_0", NAN},
	    {"-0x10", NAN},
	    {"0x", NAN},
	    {"0b2", NAN},
	    {"0o8", NAN},
	    {".", NAN},
	    {"e5", NAN},
	    {"1e", NAN},
	    {"infinity", NAN},
	    {"NaN", NAN},
	    {"nan", NAN},
	    {"inf", NAN},
	    {"0x1p3", NAN},
	    {"+", NAN},
	    {"--1", NAN},
	    {"1n", NAN},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		double value = 0;
		bool ok = js_number(numbers[i].text, &value);
		cr_expect_eq(ok, !isnan(numbers[i].value), "%s", numbers[i].text);
		if (ok)
			cr_expect(value == numbers[i].value, "%s gives %g", numbers[i].text, value);
	}
}

Test(format, email_addresses)
{
	static const char *const good[] = {"a@b.cc", "O'Neil+x@sub.example.org", "_a-b.c@1x-.de", "a@b.c.dd"};
	static const char *const bad[] = {"",         "a",         "@b.cc",   "a@b",      "a@b.c",         ".a@b.cc",
	                                  "a.@b.cc",  "a..b@c.dd", "a@b..cc", "a@-b.cc",  "a'@b.cc",       "a@b.c1",
	                                  "a b@c.dd", " a@b.cc",   "a@b.cc ", "a@b@c.dd", "\xc3\xa4@b.cc", "a@b_c.dd",
	                                  "a@.cc"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(email_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(email_valid(bad[i]), "%s", bad[i]);
}
