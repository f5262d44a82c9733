/* Retention policies: a flat file in both modes (contract 07 2.18, 3.12). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

#define NEVER "1970-01-01T00:00:00.000Z"

static const struct model_field fields[] = {
    F_WORD("action", NULL, enum_retention_action, 0, M_REQUIRED),
    F_TYPE("deleteOnlyAfterUploaded", NULL, M_BOOL, M_REQUIRED),
    F_TYPE("enabled", NULL, M_BOOL, M_REQUIRED),
    F_TEXT("id", NULL, 0, M_REQUIRED | M_FIXED),
    F_TYPE("maxAgeDays", NULL, M_INT, M_NULL),
    F_TYPE("maxBytes", NULL, M_INT, M_NULL),
    F_TYPE("minFreeDiskPercent", NULL, M_INT, M_NULL),
    F_TEXT("name", NULL, 0, M_REQUIRED),
    F_TYPE("preserveTagged", NULL, M_BOOL, M_REQUIRED),
    F_WORD("scope", NULL, enum_retention_scope, 0, M_REQUIRED),
    F_TYPE("updatedAt", NULL, M_TIME, M_REQUIRED),
};

/* A limit that cannot be read must not read as "no limit", which deletes more: the policy is switched off instead. */
static void mend_limit(json_object *doc, const char *key, int64_t min)
{
	if (json_get(doc, key) == NULL)
		return;
	mend_int(doc, key, min);
	if (!json_has(doc, key))
		json_set_bool(doc, "enabled", false);
}

static void repair(json_object *doc)
{
	static const char *const limits[] = {"maxAgeDays", "maxBytes", "minFreeDiskPercent", NULL};
	mend_word_or(doc, "action", enum_retention_action, "keep");
	mend_word_or(doc, "scope", enum_retention_scope, "controller_cache");
	mend_bool_or(doc, "deleteOnlyAfterUploaded", true);
	mend_bool_or(doc, "enabled", false);
	mend_bool_or(doc, "preserveTagged", true);
	mend_limit(doc, "maxAgeDays", 1);
	mend_limit(doc, "maxBytes", 1);
	mend_limit(doc, "minFreeDiskPercent", 0);
	mend_nulls(doc, limits);
	mend_text_or(doc, "name", json_str_or(doc, "id", "Retention policy"));
	mend_text_or(doc, "updatedAt", NEVER);
}

static void seed(json_object *array, bool demo)
{
	(void)demo;
	seed_text(array, "{\"action\":\"keep\",\"deleteOnlyAfterUploaded\":true,\"enabled\":true,"
	                 "\"id\":\"retention-keep-controller-cache\",\"maxAgeDays\":null,\"maxBytes\":null,"
	                 "\"minFreeDiskPercent\":null,\"name\":\"Keep Controller Cache\",\"preserveTagged\":true,"
	                 "\"scope\":\"controller_cache\",\"updatedAt\":\"" NEVER "\"}");
}

const struct model model_retention_policies = {
    .name = "retention_policies",
    .id = "id",
    FIELDS(fields),
    .order = {"name", "id"},
    .path = CFG_RETENTION_POLICIES_PATH,
    .file_key = "policies",
    .file_error = "retention_policy_store_invalid",
    .repair = repair,
    .accept = accept_id,
    .seed = seed,
};
