/* Access policies (contract 01 12.6; rows 56-58). */
#include "api/access_schema.h"
#include "api/route.h"
#include "access/policy.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/schema.h"

#define AUTH TARGET("auth", NULL, NULL)

/* Everyone who replaces the list takes this lock: two lists must not end up mixed (D-29). */
#define POLICIES_LOCK "access_policies"

static const struct schema_field input_fields[] = {
    {.name = "effect", .type = V_ENUM, .flags = S_REQUIRED, .values = enum_policy_effect},
    {.name = "reason", .type = V_STR, .max = REASON_MAX},
    {.name = "resourceId", .type = V_STR, .flags = S_REQUIRED, .min = 1, .max = RESOURCE_ID_MAX},
    {.name = "resourceType", .type = V_STR, .flags = S_REQUIRED, .min = 1, .max = RESOURCE_TYPE_MAX},
    {.name = "subjectId", .type = V_STR, .max = SUBJECT_ID_MAX},
    {.name = "subjectType", .type = V_ENUM, .flags = S_REQUIRED, .values = enum_policy_subject},
};
static const struct schema input_schema = SCHEMA(input_fields, 0, NULL);
static const struct schema_field input_item = {.type = V_OBJECT, .sub = &input_schema};
static const struct schema_field update_fields[] = {
    {.name = "policies", .type = V_ARRAY, .max = RULES_MAX, .item = &input_item, .dflt = "[]"},
};
static const struct schema update_schema = SCHEMA(update_fields, 0, NULL);

static json_object *policy_wire(json_object *doc)
{
	static const char *const keys[] = {"effect",       "id",        "reason",     "resourceId",
	                                   "resourceType", "subjectId", "subjectType"};
	json_object *o = json_object_new_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_set_str_opt(o, keys[i], json_str(doc, keys[i]));
	return o;
}

/* The list in force: the stored one, or the environment's while none is stored. */
static status policies_current(struct request *r, json_object **list)
{
	struct query q;
	struct page page;

	query_init(&q);
	TRY(store_list(r->store, r->mem, &model_access_policies, &q, &page));
	if (page.count == 0) {
		*list = policies_with_ids(r->mem, policies_from_environment(r->mem, r->config));
		return ST_OK;
	}
	*list = json_new_array(r->mem);
	for (size_t i = 0; i < page.count; i++)
		json_object_array_add(*list, policy_wire(json_object_array_get_idx(page.docs, i)));
	return ST_OK;
}

static status policies_read(struct request *r)
{
	json_object *list;

	TRY(policies_current(r, &list));
	audit_ok(r, AUTH, details(r, "count", J_INT, (int64_t)json_object_array_length(list), NULL));
	return reply_data(r, 200, list);
}

static status policies_actions(struct request *r)
{
	json_object *list, *data = json_new_object(r->mem), *actions = json_new_object(r->mem);

	TRY(policies_current(r, &list));
	json_set_ref(actions, "read", action_state(r, PERM_AUTH_MANAGE, "GET", POLICIES_PATH, true, NULL, NULL));
	json_set_ref(actions, "update", action_state(r, PERM_AUTH_MANAGE, "PATCH", POLICIES_PATH, true, NULL, NULL));
	json_set_ref(data, "actions", actions);
	json_set_ref(data, "links",
	             details(r, "actions", J_STR, POLICIES_PATH "/actions", "detail", J_STR, POLICIES_PATH, "update",
	                     J_STR, POLICIES_PATH, NULL));
	json_set_ref(data, "policies", list);
	audit_ok(r, AUTH,
	         details(r, "policyCount", J_INT, (int64_t)json_object_array_length(list), "visibleActionCount", J_INT,
	                 (int64_t)2, NULL));
	return reply_data(r, 200, data);
}

static status policies_invalid(struct request *r, json_object *issues)
{
	return fail_issues(r, "Invalid access policies", issues, "invalid_request", AUTH, NULL);
}

/* Replaces the list; *before and *after are what events show. */
static status policies_replace(struct request *r, json_object *inputs, json_object **before, json_object **after)
{
	json_object *unique = policies_unique(r->mem, inputs);

	TRY(store_lock(r->store, POLICIES_LOCK));
	TRY(policies_current(r, before));
	TRY(store_policies_replace(r->store, r->mem, unique, text_is_uuid(r->who.id) ? r->who.id : NULL));
	/* without a stored one the environment's are in force: what is answered is what decides from now on */
	if (json_object_array_length(unique) == 0)
		unique = policies_from_environment(r->mem, r->config);
	*after = policies_with_ids(r->mem, unique);
	return ST_OK;
}

static status policies_update(struct request *r)
{
	json_object *body, *input, *issues = json_new_array(r->mem), *before, *after;
	bool malformed;
	status st;

	TRY(req_json(r, &body, &malformed));
	/* Nothing or nonsense must not count as "no policies" and delete them all (01 T2). */
	if (malformed || r->content_length <= 0) {
		schema_custom_issue(issues, "", "Expected a JSON body");
		return policies_invalid(r, issues);
	}
	if (!schema_check(r->mem, &update_schema, body, &input, &issues))
		return policies_invalid(r, issues);
	st = policies_replace(r, json_array(input, "policies"), &before, &after);
	if (st != ST_OK)
		return fail(r, 503, "Access policies unavailable",
		            st == ST_UNAVAILABLE ? "database_unavailable" : "unknown_access_policies_error", AUTH,
		            NULL);
	audit_add(r, &(struct audit){.target = AUTH,
	                             .before = details(r, "policies", J_REF, before, NULL),
	                             .after = details(r, "policies", J_REF, after, NULL)});
	return reply_data(r, 200, after);
}

const struct route policies_routes[] = {
    {.method = "GET",
     .path = POLICIES_PATH,
     .guard = GUARD_USER,
     .permission = PERM_AUTH_MANAGE,
     .action = "auth.access_policies.read",
     .target_type = "auth",
     .handler = policies_read},
    {.method = "GET",
     .path = POLICIES_PATH "/actions",
     .guard = GUARD_USER,
     .permission = PERM_AUTH_MANAGE,
     .action = "auth.access_policies.actions.read",
     .target_type = "auth",
     .handler = policies_actions},
    {.method = "PATCH",
     .path = POLICIES_PATH,
     .guard = GUARD_USER,
     .permission = PERM_AUTH_MANAGE,
     .action = "auth.access_policies.update",
     .target_type = "auth",
     .handler = policies_update},
    {.method = NULL},
};
