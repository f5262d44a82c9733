/* Channel-map templates, their assignments, and assignment plans (contract 07 2.13, 2.14, 3.6). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

static const struct model_field template_fields[] = {
    F_WORD("channelMode", "channel_mode", enum_channel_mode, 64, M_REQUIRED),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TYPE("entries", "entries", M_JSON, M_REQUIRED | M_DEFAULT),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_TEXT("name", "name", 160, M_REQUIRED),
    F_KEY("promotedAt", "metadata", "promotedAt", M_TIME, 0),
    F_KEY("promotedFromTemplateId", "metadata", "promotedFromTemplateId", M_TEXT, 0),
    F_KEY("revision", "metadata", "revision", M_INT, 0),
    F_TYPE("tags", "tags", M_TEXTS, M_REQUIRED | M_DEFAULT),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_HIDDEN | M_DEFAULT | M_TOUCH),
};

static void mend_entry(json_object *entry)
{
	mend_bool_or(entry, "included", false);
	mend_int_or(entry, "sourceChannelIndex", 1, 1);
	mend_int(entry, "outputChannelIndex", 1);
	char label[40];
	snprintf(label, sizeof(label), "Channel %lld", (long long)json_int(entry, "sourceChannelIndex", 1));
	mend_text_or(entry, "label", label);
}

static void repair_template(json_object *doc)
{
	mend_word_or(doc, "channelMode", enum_channel_mode, "mono_to_stereo_mix");
	mend_items(doc, "entries", json_is_object);
	json_object *entries = json_array(doc, "entries");
	for (size_t i = 0; i < json_object_array_length(entries); i++)
		mend_entry(json_object_array_get_idx(entries, i));
	mend_text_or(doc, "name", json_str_or(doc, "id", "Template"));
	mend_text(doc, "promotedAt");
	mend_text(doc, "promotedFromTemplateId");
	mend_int_or(doc, "revision", 1, 1);
	mend_texts(doc, "tags");
}

const struct model model_channel_map_templates = {
    .name = "channel_map_templates",
    .table = "channel_map_templates",
    .id = "id",
    FIELDS(template_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_CHANNEL_MAP_TEMPLATES_PATH,
    .file_key = "templates",
    .file_error = "channel_map_template_store_invalid",
    .repair = repair_template,
    .accept = accept_id,
};

static const struct model_field assignment_fields[] = {
    F_TYPE("assignedAt", "assigned_at", M_TIME, M_REQUIRED | M_DEFAULT),
    F_TYPE("assignedByUserId", "assigned_by_user_id", M_UUID, M_HIDDEN),
    F_KEY("history", "metadata", "history", M_JSON, 0),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TEXT("targetId", "target_id", 160, M_REQUIRED),
    F_WORD("targetType", "target_type", enum_assignment_target, 40, M_REQUIRED),
    F_TEXT("templateId", "template_id", 160, M_REQUIRED),
    {.name = "templateKind",
     .column = "template_kind",
     .type = M_TEXT,
     .flags = M_REQUIRED | M_HIDDEN | M_FIXED,
     .max = 80,
     .constant = "channel_map"},
};

static void repair_assignment(json_object *doc)
{
	mend_items(doc, "history", json_is_object);
	mend_word_or(doc, "targetType", enum_assignment_target, "node");
}

static bool accept_assignment(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "targetId") && has_text(doc, "templateId");
}

const struct model model_channel_map_assignments = {
    .name = "channel_map_assignments",
    .table = "template_assignments",
    .id = "id",
    FIELDS(assignment_fields),
    .order = {"-assignedAt", "id"},
    .path = CFG_CHANNEL_MAP_ASSIGNMENTS_PATH,
    .file_key = "assignments",
    .file_error = "channel_map_assignment_store_invalid",
    .repair = repair_assignment,
    .accept = accept_assignment,
};

static const struct model_field plan_fields[] = {
    F_TYPE("appliedAt", NULL, M_TIME, 0),
    F_TEXT("appliedByUserId", NULL, 0, 0),
    F_TYPE("cancelledAt", NULL, M_TIME, 0),
    F_TYPE("createdAt", NULL, M_TIME, M_REQUIRED | M_FIXED),
    F_TEXT("createdByUserId", NULL, 0, 0),
    F_TEXT("id", NULL, 0, M_REQUIRED | M_FIXED),
    F_TEXT("note", NULL, 0, 0),
    F_WORD("status", NULL, enum_plan_status, 0, M_REQUIRED),
    F_TYPE("targets", NULL, M_JSON, M_REQUIRED),
    F_TEXT("templateId", NULL, 0, M_REQUIRED),
};

static bool is_target(json_object *item)
{
	return has_text(item, "targetId") && enum_has(enum_assignment_target, json_str(item, "targetType"));
}

static void repair_plan(json_object *doc)
{
	mend_items(doc, "targets", is_target);
	/* a plan in an unknown state must not be applied */
	mend_word_or(doc, "status", enum_plan_status, "cancelled");
}

static bool accept_plan(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "createdAt") && has_text(doc, "templateId");
}

const struct model model_channel_map_plans = {
    .name = "channel_map_plans",
    .id = "id",
    FIELDS(plan_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_CHANNEL_MAP_PLANS_PATH,
    .file_key = "plans",
    .file_error = "channel_map_assignment_plan_store_invalid",
    .repair = repair_plan,
    .accept = accept_plan,
};
