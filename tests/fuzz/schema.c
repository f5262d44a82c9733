/* The validation engine on arbitrary JSON, with one table that uses every kind of rule. */
#include "base/mem.h"
#include "model/schema.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const colours[] = {"red", "blue", NULL};
static const struct schema_field word = {.type = V_STR, .flags = S_TRIM, .min = 1, .max = 8};
static const struct schema_field inner_fields[] = {
    {.name = "index", .type = V_INT, .flags = S_REQUIRED | S_COERCE, .min = 1, .max = 256},
    {.name = "note", .type = V_STR, .flags = S_NULLABLE | S_TRIM, .max = 20},
};
static const struct schema inner = SCHEMA(inner_fields, S_STRICT, NULL);
static const struct schema_field each = {.type = V_OBJECT, .sub = &inner};
static const struct schema_field fields[] = {
    {.name = "name", .type = V_STR, .flags = S_REQUIRED | S_TRIM, .min = 1, .max = 16},
    {.name = "mail", .type = V_EMAIL, .max = 32},
    {.name = "count", .type = V_INT, .flags = S_COERCE, .min = 0, .max = 10},
    {.name = "level", .type = V_NUM, .min = -160, .max = 24},
    {.name = "on", .type = V_BOOL},
    {.name = "colour", .type = V_ENUM, .values = colours, .dflt = "\"red\""},
    {.name = "at", .type = V_ISO},
    {.name = "day", .type = V_DATE, .message = "Expected ISO date-time"},
    {.name = "words", .type = V_ARRAY, .max = 3, .item = &word},
    {.name = "parts", .type = V_ARRAY, .max = 3, .item = &each},
    {.name = "any", .type = V_ANY_OBJECT},
};
static const struct schema all = SCHEMA(fields, S_STRICT, NULL);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	json_object *in, *out = NULL, *issues = NULL;

	if (json_parse(mem, (const char *)data, size, &in)) {
		if (schema_check(mem, &all, in, &out, &issues)) {
			if (!json_object_is_type(out, json_type_object))
				abort();
		} else if (json_object_array_length(issues) == 0) {
			abort();
		}
	}
	talloc_free(mem);
	return 0;
}
