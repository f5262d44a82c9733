#include "store/metrics.h"

#include "base/text.h"

const char *const metrics_about[METRICS_ABOUT_TYPES + 1] = {"channel",
                                                            "channel_map_assignment_plan",
                                                            "channel_map_template",
                                                            "health_event",
                                                            "interface",
                                                            "node",
                                                            "recording",
                                                            "recording_job",
                                                            "recording_profile",
                                                            "retention_policy",
                                                            "room",
                                                            "schedule",
                                                            "upload_policy",
                                                            "upload_provider",
                                                            "watchdog_policy",
                                                            NULL};

static bool is_about(const char *type, const char *id)
{
	if (id == NULL || id[0] == '\0')
		return false;
	for (size_t i = 0; i < METRICS_ABOUT_TYPES; i++)
		if (text_equal(metrics_about[i], type))
			return true;
	return false;
}

void metrics_audit_labels(json_object *event, const char *labels[5])
{
	json_object *target = json_object_at(event, "target");

	labels[0] = json_str_or(event, "action", "");
	labels[1] = json_str_or(json_object_at(event, "actor"), "type", "");
	labels[2] = json_str_or(event, "outcome", "");
	labels[3] = json_str_or(event, "permission", "");
	labels[4] = is_about(json_str(target, "type"), json_str(target, "id")) ? METRICS_ABOUT : "";
}

int64_t metrics_upload_tries(const char *item_status, int64_t attempts, const char *last_error)
{
	if (text_equal(item_status, "failed"))
		return attempts > 1 ? attempts : 1;
	return text_equal(item_status, "retrying") && last_error != NULL ? attempts : 0;
}

bool metrics_upload_failed(json_object *before, json_object *after)
{
	const char *was = json_str(before, "lastError"), *is = json_str(after, "lastError");
	int64_t tried = json_int(before, "attemptCount", 0), tries = json_int(after, "attemptCount", 0);

	if (is == NULL || tries < 1 || tries < tried)
		return false;
	if (tries == tried)
		return was == NULL;
	return !text_equal(is, "provider_not_configured");
}
