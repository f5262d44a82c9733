/* Schedules and their recurrence (contract 07 2.10, 3.8). */
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

#include <string.h>

#define EXCEPTIONS_MAX 366
#define REASON_UNITS_MAX 240
#define SHIFT_SECONDS_MAX 86400

/* What the schedule search looks in (contract 04), joined by single spaces, empty parts left out. */
#define SEARCH_SQL                                                                                                     \
	"concat_ws(' ', nullif(t.capture_backend, ''), nullif(t.capture_interface_id, ''), "                           \
	"nullif(t.folder_template, ''), t.id, nullif(t.name, ''), coalesce(t.node_id, 'unassigned'), "                 \
	"coalesce(t.recording_profile_id, 'voice-mp3-vbr'), "                                                          \
	"coalesce(t.retention_policy_id, 'retention-keep-controller-cache'), nullif(t.room, ''), "                     \
	"(SELECT string_agg(e.tag, ' ') FROM jsonb_array_elements_text("                                               \
	"CASE jsonb_typeof(t.tags) WHEN 'array' THEN t.tags ELSE '[]' END) AS e(tag)), "                               \
	"nullif(t.timezone, ''), nullif(t.title_template, ''), "                                                       \
	"coalesce(t.upload_policy_id, 'upload-policy-stub'), "                                                         \
	"coalesce(t.watchdog_policy_id, 'scheduled-voice-watchdog'))"

static json_object *search_text(json_object *doc)
{
	static const char *const before[] = {
	    "captureBackend", "captureInterfaceId", "folderTemplate",    "id",   "name",
	    "nodeId",         "recordingProfileId", "retentionPolicyId", "room", NULL};
	static const char *const after[] = {"timezone", "titleTemplate", "uploadPolicyId", "watchdogPolicyId", NULL};
	void *mem = talloc_new(NULL);
	struct buf b;
	buf_init(&b, mem);
	for (const char *const *key = before; *key != NULL; key++)
		add_word(&b, json_str(doc, *key));
	json_object *tags = json_array(doc, "tags");
	for (size_t i = 0; tags != NULL && i < json_object_array_length(tags); i++)
		add_word(&b, json_object_get_string(json_object_array_get_idx(tags, i)));
	for (const char *const *key = after; *key != NULL; key++)
		add_word(&b, json_str(doc, *key));
	json_object *text = json_object_new_string_len(b.len > 0 ? b.data : "", (int)b.len);
	talloc_free(mem);
	return text;
}

static const struct model_field fields[] = {
    F_WORD("captureBackend", "capture_backend", enum_capture_backend, 32, 0),
    F_TEXT("captureInterfaceId", "capture_interface_id", 160, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TYPE("enabled", "enabled", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_TEXT("folderTemplate", "folder_template", 0, M_REQUIRED),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_TEXT("name", "name", 160, M_REQUIRED),
    F_TYPE("nextRunAt", "next_run_at", M_TIME, 0),
    F_TEXT("nodeId", "node_id", 160, 0),
    F_TYPE("recurrence", "recurrence", M_JSON, M_REQUIRED),
    F_TEXT("recordingProfileId", "recording_profile_id", 160, 0),
    F_TEXT("retentionPolicyId", "retention_policy_id", 160, 0),
    F_TEXT("room", "room", 160, M_REQUIRED | M_DEFAULT),
    F_TYPE("tags", "tags", M_TEXTS, M_REQUIRED | M_DEFAULT),
    F_TEXT("timezone", "timezone", 80, M_REQUIRED),
    F_TEXT("titleTemplate", "title_template", 0, M_REQUIRED),
    F_TEXT("uploadPolicyId", "upload_policy_id", 160, 0),
    F_TEXT("watchdogPolicyId", "watchdog_policy_id", 160, 0),
    F_DERIVED("searchText", SEARCH_SQL, M_TEXT, M_HIDDEN | M_SEARCH, search_text),
};

/* pattern: 'd' stands for a digit, everything else for itself. */
static bool has_form(json_object *o, const char *key, const char *pattern)
{
	const char *s = json_str(o, key);
	if (s == NULL || strlen(s) != strlen(pattern))
		return false;
	for (size_t i = 0; pattern[i] != '\0'; i++)
		if (pattern[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != pattern[i])
			return false;
	return true;
}

static bool exception_valid(json_object *e)
{
	const char *reason = json_str(e, "reason");
	if (json_has(e, "reason")) {
		if (reason == NULL)
			return false;
		char *trimmed = text_trim(NULL, reason);
		size_t units = text_utf16_len(trimmed);
		talloc_free(trimmed);
		if (units > REASON_UNITS_MAX)
			return false;
	}
	const char *action = json_str(e, "action");
	if (text_equal(action, "skip"))
		return has_form(e, "date", "dddd-dd-dd");
	return text_equal(action, "pause") && has_form(e, "startDate", "dddd-dd-dd") &&
	       has_form(e, "endDate", "dddd-dd-dd") && strcmp(json_str(e, "startDate"), json_str(e, "endDate")) <= 0;
}

static bool exceptions_valid(json_object *r)
{
	if (!json_has(r, "exceptions"))
		return true;
	json_object *list = json_array(r, "exceptions");
	if (list == NULL || json_object_array_length(list) > EXCEPTIONS_MAX)
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!exception_valid(json_object_array_get_idx(list, i)))
			return false;
	return true;
}

static bool shift_valid(json_object *r, const char *key)
{
	int64_t seconds = json_int(r, key, -1);
	return !json_has(r, key) || (seconds >= 0 && seconds <= SHIFT_SECONDS_MAX);
}

static bool days_valid(json_object *r)
{
	json_object *days = json_array(r, "daysOfWeek");
	if (days == NULL || json_object_array_length(days) < 1 || json_object_array_length(days) > 7)
		return false;
	for (size_t i = 0; i < json_object_array_length(days); i++) {
		json_object *day = json_object_array_get_idx(days, i);
		if (!json_is_str(day) || !enum_has(enum_day_of_week, json_object_get_string(day)))
			return false;
	}
	return true;
}

/* The shape of contract 07 3.8. */
static bool recurrence_valid(json_object *r)
{
	const char *mode = json_str(r, "mode");
	if (!enum_has(enum_recurrence_mode, mode) || !exceptions_valid(r) || !shift_valid(r, "startEarlySeconds") ||
	    !shift_valid(r, "stopLateSeconds"))
		return false;
	if (strcmp(mode, "manual") == 0 || strcmp(mode, "always_on") == 0)
		return true;
	if (strcmp(mode, "once") == 0)
		return has_text(r, "startsAt");
	if (!has_form(r, "startTime", "dd:dd") || !has_form(r, "endTime", "dd:dd") || json_int(r, "interval", 0) < 1)
		return false;
	if (strcmp(mode, "weekly") == 0)
		return days_valid(r);
	int64_t day = json_int(r, "dayOfMonth", 0);
	return strcmp(mode, "daily") == 0 || (day >= 1 && day <= 31);
}

static void repair(json_object *doc)
{
	mend_text_or(doc, "nodeId", "unassigned");
	mend_text_or(doc, "recordingProfileId", "voice-mp3-vbr");
	mend_text_or(doc, "retentionPolicyId", "retention-keep-controller-cache");
	mend_text_or(doc, "uploadPolicyId", "upload-policy-stub");
	mend_text_or(doc, "watchdogPolicyId", "scheduled-voice-watchdog");
	mend_text_or(doc, "room", "Unknown Room");
	mend_bool_or(doc, "enabled", true);
	mend_word(doc, "captureBackend", enum_capture_backend);
	mend_text(doc, "captureInterfaceId");
	mend_text(doc, "nextRunAt");
	mend_texts(doc, "tags");
	if (!recurrence_valid(json_get(doc, "recurrence"))) {
		json_object *manual = json_object_new_object();
		json_set_str(manual, "mode", "manual");
		json_object_object_add(doc, "recurrence", manual);
	}
}

/*
 * The load repair of contract 07 2.10: a file of an early version names only the next run; that becomes a single
 * occurrence, where a bad recurrence would otherwise read as manual.
 */
static void mend_recurrence(json_object *doc)
{
	json_object *r = json_get(doc, "recurrence");
	const char *next = json_str(doc, "nextRunAt");
	if (!json_has(doc, "recurrence") || recurrence_valid(r) || text_equal(json_str(r, "mode"), "manual") ||
	    text_blank(next))
		return;
	json_object *once = json_object_new_object();
	json_set_str(once, "mode", "once");
	json_set_str(once, "startsAt", next);
	json_object_object_add(doc, "recurrence", once);
}

static bool accept(json_object *doc)
{
	static const char *const required[] = {"folderTemplate",     "id",   "name",     "nodeId",
	                                       "recordingProfileId", "room", "timezone", "titleTemplate",
	                                       "watchdogPolicyId"};
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (!has_text(doc, required[i]))
			return false;
	if (!json_object_is_type(json_get(doc, "enabled"), json_type_boolean) || !all_strings(doc, "tags"))
		return false;
	mend_recurrence(doc);
	return true;
}

static const char demo_schedule[] =
    "{\"enabled\":true,\"folderTemplate\":\"Meetings/{{date}}/{{schedule.name}}\",\"id\":\"sched_council_weekly\","
    "\"name\":\"Council Meeting\",\"nodeId\":\"node_x32_test\",\"recurrence\":{\"daysOfWeek\":[\"monday\"],"
    "\"endTime\":\"11:00\",\"interval\":1,\"mode\":\"weekly\",\"startTime\":\"09:00\"},"
    "\"recordingProfileId\":\"voice-mp3-vbr\",\"retentionPolicyId\":\"retention-keep-controller-cache\","
    "\"room\":\"Council Chamber\",\"tags\":[\"council\",\"scheduled\",\"voice\"],\"timezone\":\"Indian/Maldives\","
    "\"titleTemplate\":\"{{date}}_{{time}}_{{schedule.name}}_{{node.alias}}\","
    "\"uploadPolicyId\":\"upload-policy-stub\",\"watchdogPolicyId\":\"scheduled-voice-watchdog\"}";

static void seed(json_object *array, bool demo)
{
	if (demo)
		seed_text(array, demo_schedule);
}

const struct model model_schedules = {
    .name = "schedules",
    .table = "schedules",
    .id = "id",
    FIELDS(fields),
    .order = {"-createdAt", "id"},
    .path = CFG_SCHEDULES_PATH,
    .file_key = "schedules",
    .file_error = "schedule_store_invalid",
    .repair = repair,
    .accept = accept,
    .seed = seed,
};
