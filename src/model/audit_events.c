/* Audit events (contract 01 15.1, 15.2; 07 2.12): actor and target are nested objects with a column a member. */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"
#include "model/permission.h"

static const struct model_field fields[] = {
    F_TEXT("action", "action", 160, M_REQUIRED | M_FIXED),
    F_TEXT("actor.id", "actor_id", 160, M_FIXED),
    F_TEXT("actor.name", "actor_display_name", 160, M_FIXED),
    F_TYPE("actor.roles", "actor_roles", M_TEXTS, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_WORD("actor.type", "actor_type", enum_actor_type, 40, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("actorContext", "actor_context", M_JSON, M_REQUIRED | M_FIXED | M_DEFAULT),
    /* the actor if it is a row of users, else null: the column is a foreign key */
    F_TYPE("actorUserId", "actor_user_id", M_UUID, M_HIDDEN | M_FIXED),
    F_TYPE("after", "after", M_JSON, M_FIXED),
    F_TYPE("before", "before", M_JSON, M_FIXED),
    F_TYPE("correlationIds", "correlation_ids", M_JSON, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("details", "details", M_JSON, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_ENUM("outcome", "outcome", enum_audit_outcome, "audit_outcome", M_REQUIRED | M_FIXED),
    F_TEXT("permission", "permission_id", 120, M_FIXED),
    F_TEXT("reason", "reason", 0, M_FIXED),
    F_TEXT("target.id", "target_id", 160, M_FIXED),
    F_TEXT("target.name", "target_name", 160, M_FIXED),
    F_TEXT("target.type", "target_type", 160, M_FIXED),
};

static bool is_role(json_object *item)
{
	return json_is_str(item) && role_parse(json_object_get_string(item)) != ROLE_COUNT;
}

static void repair_actor(json_object *doc)
{
	mend_object_or_empty(doc, "actor");
	json_object *actor = json_object_at(doc, "actor");
	mend_text_or(actor, "name", json_str_or(actor, "id", "Unknown actor"));
	mend_text_or(actor, "id", json_str_or(doc, "actorUserId", "unknown"));
	mend_items(actor, "roles", is_role);
	mend_word_or(actor, "type", enum_actor_type, "user");
}

/* Drops the values that are no strings. */
static void repair_correlation(json_object *doc)
{
	mend_object_or_empty(doc, "correlationIds");
	json_object *kept = json_object_new_object();
	json_object_object_foreach(json_object_at(doc, "correlationIds"), key, value)
	{
		if (json_is_str(value))
			json_object_object_add(kept, key, json_object_get(value));
	}
	json_object_object_add(doc, "correlationIds", kept);
}

static void repair(json_object *doc)
{
	repair_actor(doc);
	repair_correlation(doc);
	mend_object_or_empty(doc, "actorContext");
	mend_object_or_empty(doc, "details");
	mend_object(doc, "after");
	mend_object(doc, "before");
	if (permission_parse(json_str(doc, "permission")) == PERM_NONE)
		json_object_object_del(doc, "permission");
	mend_object_or_empty(doc, "target");
	mend_text_or(json_object_at(doc, "target"), "type", "unknown");
}

static bool accept(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "action") && has_text(doc, "createdAt");
}

const struct model model_audit_events = {
    .name = "audit_events",
    .table = "audit_events",
    .id = "id",
    FIELDS(fields),
    .order = {"-createdAt", "-id"},
    .path = CFG_AUDIT_PATH,
    .file_error = "audit_store_invalid",
    .repair = repair,
    .accept = accept,
};
