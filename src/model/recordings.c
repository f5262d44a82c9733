/* Recordings (contract 03 3.1, 07 2.8). */
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

#include <string.h>

#define SNIPPETS_MAX 20
#define SNIPPET_UNITS_MAX 500
#define PEAKS_MAX 256

static json_object *has_file(json_object *doc)
{
	return json_object_new_boolean(has_text(doc, "cachePath"));
}

static const struct model_field fields[] = {
    F_KEY("cached", "metadata", "cached", M_BOOL, M_REQUIRED),
    F_TEXT("cachePath", "cache_path", 0, 0),
    F_TEXT("checksum", "checksum", 160, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TYPE("durationSeconds", "duration_seconds", M_INT, M_REQUIRED | M_DEFAULT),
    F_TEXT("folder", "folder", 0, M_REQUIRED | M_SEARCH),
    F_WORD("healthStatus", "health_status", enum_recording_health, 32, M_REQUIRED | M_DEFAULT),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED | M_SEARCH),
    F_TEXT("name", "name", 0, M_REQUIRED | M_SEARCH),
    F_TEXT("nodeId", "node_id", 160, M_SEARCH),
    F_KEY("notes", "metadata", "notes", M_TEXT, M_SEARCH),
    F_TYPE("recordedAt", "recorded_at", M_TIME, M_REQUIRED),
    F_KEY("recordingProfileId", "metadata", "recordingProfileId", M_TEXT, M_SEARCH),
    F_KEY("retentionPolicyId", "metadata", "retentionPolicyId", M_TEXT, 0),
    F_TEXT("scheduleId", "schedule_id", 160, M_SEARCH),
    F_ENUM("source", "source", enum_recording_source, "recording_source", M_REQUIRED | M_SEARCH),
    F_ENUM("status", "status", enum_recording_status, "recording_status", M_REQUIRED | M_SEARCH),
    F_TYPE("tags", "tags", M_TEXTS, M_REQUIRED | M_DEFAULT | M_SEARCH),
    F_KEY("trackGroupId", "metadata", "trackGroupId", M_TEXT, M_SEARCH),
    F_KEY("trackIndex", "metadata", "trackIndex", M_INT, 0),
    F_KEY("trackTotal", "metadata", "trackTotal", M_INT, 0),
    F_KEY("transcriptSnippets", "metadata", "transcriptSnippets", M_TEXTS, M_SEARCH),
    F_KEY("uploadPolicyId", "metadata", "uploadPolicyId", M_TEXT, M_SEARCH),
    F_KEY("watchdogPolicyId", "metadata", "watchdogPolicyId", M_TEXT, 0),
    F_KEY("waveformPreview", "metadata", "waveformPreview", M_JSON, 0),
    /* HASFILE of 03 3.1.1: a cache path makes a recording read as cached, so the path alone decides */
    F_DERIVED("hasFile", "coalesce(t.cache_path, '') <> ''", M_BOOL, M_HIDDEN, has_file),
};

/* Cached with a path, whatever the flag says; without one an uploaded recording is not (05 T8). */
static void mend_cached(json_object *doc)
{
	const char *status = json_str_or(doc, "status", "");
	bool cached = has_text(doc, "cachePath") || strcmp(status, "cached") == 0 ||
	              (strcmp(status, "uploaded") != 0 && json_flag(doc, "cached", false));
	json_set_bool(doc, "cached", cached);
}

/* Trims the snippets; the whole list goes when one of them is not 1..500 characters then. */
static void mend_snippets(json_object *doc)
{
	json_object *list = json_array(doc, "transcriptSnippets");
	if (list == NULL || json_object_array_length(list) > SNIPPETS_MAX) {
		json_object_object_del(doc, "transcriptSnippets");
		return;
	}
	json_object *trimmed = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *item = json_object_array_get_idx(list, i);
		char *text = json_is_str(item) ? text_trim(NULL, json_object_get_string(item)) : NULL;
		if (text == NULL || *text == '\0' || text_utf16_len(text) > SNIPPET_UNITS_MAX) {
			talloc_free(text);
			json_object_put(trimmed);
			json_object_object_del(doc, "transcriptSnippets");
			return;
		}
		json_object_array_add(trimmed, json_object_new_string(text));
		talloc_free(text);
	}
	json_object_object_add(doc, "transcriptSnippets", trimmed);
}

static bool waveform_valid(json_object *w)
{
	json_object *peaks = json_array(w, "peaks");
	if (peaks == NULL || !has_text(w, "generatedAt") || !enum_has(enum_waveform_source, json_str(w, "source")))
		return false;
	static const char *const counts[] = {"channelCount", "sampleCount", "sampleRate"};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (json_int(w, counts[i], 0) < 1)
			return false;
	size_t n = json_object_array_length(peaks);
	for (size_t i = 0; i < n; i++) {
		json_object *peak = json_object_array_get_idx(peaks, i);
		if (!json_is_num(peak) || json_object_get_double(peak) < 0 || json_object_get_double(peak) > 1)
			return false;
	}
	return n >= 1 && n <= PEAKS_MAX;
}

static void repair(json_object *doc)
{
	static const char *const texts[] = {"notes",        "recordingProfileId", "retentionPolicyId",
	                                    "trackGroupId", "uploadPolicyId",     "watchdogPolicyId"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		mend_text(doc, texts[i]);
	mend_int(doc, "trackIndex", 1);
	mend_int(doc, "trackTotal", 1);
	mend_int_or(doc, "durationSeconds", 0, 0);
	mend_word_or(doc, "healthStatus", enum_recording_health, "unknown");
	mend_texts(doc, "tags");
	mend_snippets(doc);
	if (!waveform_valid(json_get(doc, "waveformPreview")))
		json_object_object_del(doc, "waveformPreview");
	mend_cached(doc);
}

/* Predicate R of contract 07 2.8. */
static bool accept(json_object *doc)
{
	static const char *const strings[] = {"id", "name", "folder", "recordedAt", NULL};
	return has_strings(doc, strings) && json_is_num(json_get(doc, "durationSeconds")) &&
	       json_object_is_type(json_get(doc, "cached"), json_type_boolean) && all_strings(doc, "tags") &&
	       absent_or_string(doc, "recordingProfileId") && absent_or_string(doc, "retentionPolicyId") &&
	       absent_or_string(doc, "uploadPolicyId") && absent_or_string(doc, "watchdogPolicyId") &&
	       enum_has(enum_recording_health, json_str(doc, "healthStatus")) &&
	       enum_has(enum_recording_source, json_str(doc, "source")) &&
	       enum_has(enum_recording_status, json_str(doc, "status"));
}

static const char demo_recording[] =
    "{\"cached\":false,\"durationSeconds\":3720,\"folder\":\"Meetings/2026/06/Council Meeting\","
    "\"healthStatus\":\"unknown\",\"id\":\"rec_demo_001\","
    "\"name\":\"2026-06-15_0900_Council Meeting_Council Chamber Rack\",\"nodeId\":\"node_x32_test\","
    "\"recordedAt\":\"2026-06-15T04:00:00.000Z\",\"recordingProfileId\":\"voice-mp3-vbr\","
    "\"retentionPolicyId\":\"retention-keep-controller-cache\",\"scheduleId\":\"sched_council_weekly\","
    "\"source\":\"schedule\",\"status\":\"completed\",\"tags\":[\"council\",\"voice\"],"
    "\"transcriptSnippets\":[\"Call to order and roll call.\",\"Motion approved for the June finance packet.\"],"
    "\"uploadPolicyId\":\"upload-policy-stub\",\"watchdogPolicyId\":\"scheduled-voice-watchdog\"}";

static void seed(json_object *array, bool demo)
{
	if (demo)
		seed_text(array, demo_recording);
}

const struct model model_recordings = {
    .name = "recordings",
    .table = "recordings",
    .id = "id",
    FIELDS(fields),
    .order = {"-recordedAt", "id"},
    .path = CFG_RECORDINGS_PATH,
    .file_key = "recordings",
    .file_error = "recording_metadata_store_invalid",
    .repair = repair,
    .accept = accept,
    .seed = seed,
};
