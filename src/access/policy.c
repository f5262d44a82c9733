#include "access/policy.h"

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/enums.h"

#include <string.h>

static bool absent_or_text(json_object *o, const char *key)
{
	return !json_has(o, key) || json_str(o, key) != NULL;
}

/* No maximum here: an operator's own over-long deny must not switch off the rest of the list. */
static bool input_valid(json_object *o)
{
	return enum_has(enum_policy_effect, json_str(o, "effect")) &&
	       enum_has(enum_policy_subject, json_str(o, "subjectType")) &&
	       json_str_or(o, "resourceId", "")[0] != '\0' && json_str_or(o, "resourceType", "")[0] != '\0' &&
	       absent_or_text(o, "reason") && absent_or_text(o, "subjectId");
}

/* The known keys in the order over which the id is computed; a new reference. */
static json_object *canonical(json_object *p)
{
	static const char *const keys[] = {"effect",       "reason",    "resourceId",
	                                   "resourceType", "subjectId", "subjectType"};
	json_object *o = json_object_new_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_set_str_opt(o, keys[i], json_str(p, keys[i]));
	return o;
}

json_object *policies_from_environment(const void *ctx, const struct config *c)
{
	static bool warned;
	const char *text = config_str(c, CFG_LOCAL_ACCESS_POLICIES);
	json_object *parsed = NULL, *out = json_new_array(ctx);
	bool valid;

	if (text == NULL || text[0] == '\0')
		return out;
	valid = json_parse(ctx, text, strlen(text), &parsed) && json_object_is_type(parsed, json_type_array);
	for (size_t i = 0; valid && i < json_object_array_length(parsed); i++)
		valid = input_valid(json_object_array_get_idx(parsed, i));
	if (!valid) {
		if (!warned)
			log_warn("RAKKR_LOCAL_ACCESS_POLICIES is no array of access policies: ignored");
		warned = true;
		return out;
	}
	for (size_t i = 0; i < json_object_array_length(parsed); i++)
		json_object_array_add(out, canonical(json_object_array_get_idx(parsed, i)));
	return out;
}

json_object *policies_unique(const void *ctx, json_object *inputs)
{
	json_object *seen = json_new_object(ctx), *out = json_new_array(ctx);

	for (size_t i = 0; i < json_object_array_length(inputs); i++) {
		json_object *p = json_object_array_get_idx(inputs, i);
		const char *key =
		    mem_printf(ctx, "%s:%s:%s:%s:%s", json_str(p, "effect"), json_str(p, "subjectType"),
		               json_str_or(p, "subjectId", ""), json_str(p, "resourceType"), json_str(p, "resourceId"));
		int64_t at = json_int(seen, key, -1);

		if (at < 0) {
			json_set_int(seen, key, (int64_t)json_object_array_length(out));
			json_object_array_add(out, canonical(p));
		} else {
			json_object_array_put_idx(out, (size_t)at, canonical(p));
		}
	}
	return out;
}

json_object *policies_with_ids(const void *ctx, json_object *inputs)
{
	json_object *out = json_new_array(ctx);

	for (size_t i = 0; i < json_object_array_length(inputs); i++) {
		json_object *p = canonical(json_object_array_get_idx(inputs, i));
		char hash[SHA256_HEX_SIZE];
		const char *text;
		size_t n;

		json_object_array_add(out, p);
		text = json_compact(ctx, p, &n);
		crypto_sha256_hex(hash, text, n);
		json_set_str(p, "id", mem_printf(ctx, "policy_%.16s_%zu", hash, i));
	}
	return out;
}
