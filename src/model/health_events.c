/* Health events (contract 07 2.11, 3.12). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

static const struct model_field fields[] = {
    F_TYPE("acknowledgedAt", "acknowledged_at", M_TIME, M_NULL),
    F_TEXT("acknowledgedBy", "acknowledged_by", 160, 0),
    F_TYPE("details", "details", M_JSON, M_REQUIRED | M_DEFAULT | M_SEARCH),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TEXT("nodeId", "node_id", 160, M_SEARCH),
    F_TYPE("openedAt", "opened_at", M_TIME, M_REQUIRED),
    F_TEXT("recordingId", "recording_id", 160, M_SEARCH),
    F_TYPE("resolvedAt", "resolved_at", M_TIME, M_NULL),
    F_TEXT("resolvedBy", "resolved_by", 160, 0),
    F_TEXT("scheduleId", "schedule_id", 160, M_SEARCH),
    F_ENUM("severity", "severity", enum_health_severity, "health_severity", M_REQUIRED),
    F_WORD("status", "status", enum_health_status, 32, M_REQUIRED | M_DEFAULT),
    F_TYPE("suppressedAt", "suppressed_at", M_TIME, M_NULL),
    F_TEXT("suppressedBy", "suppressed_by", 160, 0),
    F_TYPE("suppressedUntil", "suppressed_until", M_TIME, M_NULL),
    F_TEXT("type", "type", 160, M_REQUIRED | M_SEARCH),
};

static void repair(json_object *doc)
{
	static const char *const times[] = {"acknowledgedAt", "resolvedAt", "suppressedAt", "suppressedUntil", NULL};
	mend_object_or_empty(doc, "details");
	mend_word_or(doc, "status", enum_health_status, "open");
	mend_word_or(doc, "severity", enum_health_severity, "warning");
	mend_nulls(doc, times);
}

static bool accept(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "type") && has_text(doc, "openedAt");
}

const struct model model_health_events = {
    .name = "health_events",
    .table = "health_events",
    .id = "id",
    FIELDS(fields),
    .order = {"-openedAt", "id"},
    .path = CFG_HEALTH_EVENTS_PATH,
    .file_key = "events",
    .file_error = "health_event_store_invalid",
    .repair = repair,
    .accept = accept,
};
