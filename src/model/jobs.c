/* Recording jobs and their capture commands (contract 03 3.1.2, 3.1.3, 3.1.5; 07 2.9). */
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

/* What the job search looks in, joined by single spaces, empty parts left out (03 3.12.1). */
#define SEARCH_SQL                                                                                                     \
	"concat_ws(' ', nullif(t.claimed_by, ''), nullif(t.command->>'captureBackend', ''), "                          \
	"nullif(t.command->>'captureDevice', ''), nullif(t.command->>'captureFormat', ''), "                           \
	"nullif(t.command->>'captureInterfaceId', ''), nullif(t.command->'channelMap'->>'templateName', ''), "         \
	"nullif(t.command->>'outputFileName', ''), nullif(t.failure_reason, ''), t.id, nullif(t.node_id, ''), "        \
	"nullif(t.recording_id, ''), t.status::text)"

static json_object *search_text(json_object *doc)
{
	json_object *command = json_object_at(doc, "command");
	void *mem = talloc_new(NULL);
	struct buf b;
	buf_init(&b, mem);
	add_word(&b, json_str(doc, "claimedBy"));
	add_word(&b, json_str(command, "captureBackend"));
	add_word(&b, json_str(command, "captureDevice"));
	add_word(&b, json_str(command, "captureFormat"));
	add_word(&b, json_str(command, "captureInterfaceId"));
	add_word(&b, json_str(json_object_at(command, "channelMap"), "templateName"));
	add_word(&b, json_str(command, "outputFileName"));
	add_word(&b, json_str(doc, "failureReason"));
	add_word(&b, json_str(doc, "id"));
	add_word(&b, json_str(doc, "nodeId"));
	add_word(&b, json_str(doc, "recordingId"));
	add_word(&b, json_str(doc, "status"));
	json_object *text = json_object_new_string_len(b.len > 0 ? b.data : "", (int)b.len);
	talloc_free(mem);
	return text;
}

static json_object *command_text(json_object *doc, const char *key)
{
	const char *s = json_str(json_object_at(doc, "command"), key);
	return text_blank(s) ? NULL : json_object_new_string(s);
}

static json_object *track_group(json_object *doc)
{
	return command_text(doc, "trackGroupId");
}

static json_object *interface_id(json_object *doc)
{
	return command_text(doc, "captureInterfaceId");
}

static json_object *track_index(json_object *doc)
{
	int64_t index = json_int(json_object_at(doc, "command"), "trackIndex", 0);
	return json_object_new_int64(index < 0 || index > INT32_MAX ? 0 : index);
}

static json_object *backend(json_object *doc)
{
	const char *s = json_str(json_object_at(doc, "command"), "captureBackend");
	return json_object_new_string(enum_has(enum_capture_backend, s) ? s : "alsa");
}

static const struct model_field fields[] = {
    F_TEXT("claimedBy", "claimed_by", 160, 0),
    F_TYPE("command", "command", M_JSON, M_REQUIRED),
    F_TYPE("completedAt", "completed_at", M_TIME, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_FIXED),
    F_TEXT("failureReason", "failure_reason", 0, 0),
    F_TEXT("id", "id", 120, M_REQUIRED | M_FIXED),
    F_TYPE("lastHeartbeatAt", "last_heartbeat_at", M_TIME, 0),
    F_TYPE("leaseExpiresAt", "lease_expires_at", M_TIME, 0),
    F_TEXT("nodeId", "node_id", 160, M_REQUIRED),
    F_TEXT("recordingId", "recording_id", 160, M_REQUIRED),
    F_TYPE("startedAt", "started_at", M_TIME, 0),
    F_ENUM("status", "status", enum_job_status, "recording_job_status", M_REQUIRED),
    F_TYPE("stopRequestedAt", "stop_requested_at", M_TIME, 0),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_HIDDEN | M_DEFAULT | M_TOUCH),
    /* filters and orders of 03 3.11.7 and 3.12.1; a junk index counts as 0, an unknown backend as alsa */
    F_DERIVED("trackGroupId", "nullif(btrim(t.command->>'trackGroupId'), '')", M_TEXT, M_HIDDEN, track_group),
    F_DERIVED("trackIndex",
              "CASE WHEN t.command->>'trackIndex' ~ '^[0-9]{1,9}$' THEN (t.command->>'trackIndex')::integer ELSE 0 END",
              M_INT, M_HIDDEN, track_index),
    F_DERIVED("captureBackend",
              "CASE WHEN t.command->>'captureBackend' IN ('jack', 'pipewire') THEN t.command->>'captureBackend' "
              "ELSE 'alsa' END",
              M_TEXT, M_HIDDEN, backend),
    F_DERIVED("captureInterfaceId", "t.command->>'captureInterfaceId'", M_TEXT, M_HIDDEN, interface_id),
    F_DERIVED("searchText", SEARCH_SQL, M_TEXT, M_HIDDEN | M_SEARCH, search_text),
};

static void mend_entry(json_object *entry)
{
	json_set_bool(entry, "included", json_flag(entry, "included", false));
	mend_int_or(entry, "sourceChannelIndex", 1, 1);
	mend_int(entry, "outputChannelIndex", INT64_MIN);
	char label[40];
	snprintf(label, sizeof(label), "Channel %lld", (long long)json_int(entry, "sourceChannelIndex", 1));
	mend_text_or(entry, "label", label);
}

/* Entries for a map that lost its own: every source channel to the output of the same number. */
static json_object *straight_entries(int64_t channels)
{
	json_object *entries = json_object_new_array();
	for (int64_t i = 1; i <= channels; i++) {
		json_object *entry = json_object_new_object();
		char label[40];
		snprintf(label, sizeof(label), "Channel %lld", (long long)i);
		json_set_bool(entry, "included", true);
		json_set_str(entry, "label", label);
		json_set_int(entry, "outputChannelIndex", i);
		json_set_int(entry, "sourceChannelIndex", i);
		json_object_array_add(entries, entry);
	}
	return entries;
}

/* More channels than any device has: a stored count beyond this is junk and must not fill the memory. */
#define CHANNELS_MAX 1024

static void mend_channel_map(json_object *command)
{
	json_object *map = json_object_at(command, "channelMap");
	int64_t channels = json_int(map, "sourceChannels", 0);
	if (channels < 1 || channels > CHANNELS_MAX) {
		json_object_object_del(command, "channelMap");
		return;
	}
	mend_text_or(map, "assignmentId", "unknown_assignment");
	mend_text_or(map, "targetId", "unknown_target");
	mend_text_or(map, "templateId", "unknown_template");
	mend_text_or(map, "templateName", "Unknown Template");
	mend_word_or(map, "channelMode", enum_channel_mode, "mono_to_stereo_mix");
	mend_word_or(map, "targetType", enum_assignment_target, "node");
	if (json_array(map, "entries") == NULL) {
		json_object_object_add(map, "entries", straight_entries(channels));
		return;
	}
	mend_items(map, "entries", json_is_object);
	json_object *entries = json_array(map, "entries");
	for (size_t i = 0; i < json_object_array_length(entries); i++)
		mend_entry(json_object_array_get_idx(entries, i));
}

/* Kept with all five keys (03 Trap 7); without its two mandatory ones the agent must not see it. */
static void mend_retention(json_object *command)
{
	json_object *retention = json_object_at(command, "recorderCacheRetention");
	const char *policy = json_str(retention, "policyId");
	if (text_blank(policy) || !json_object_is_type(json_get(retention, "deleteAfterUpload"), json_type_boolean)) {
		json_object_object_del(command, "recorderCacheRetention");
		return;
	}
	static const char *const limits[] = {"maxAgeDays", "maxBytes", "minFreeDiskPercent"};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (json_get(retention, limits[i]) != NULL)
			mend_int(retention, limits[i], i == 2 ? 0 : 1);
}

static void repair(json_object *doc)
{
	mend_object_or_empty(doc, "command");
	json_object *command = json_object_at(doc, "command");
	json_set_str(command, "type", "alsa_capture");
	mend_int_or(command, "captureChannels", 1, 2);
	mend_int_or(command, "captureSampleRate", 1, 48000);
	mend_int_or(command, "durationSeconds", 1, 3600);
	mend_text_or(command, "captureDevice", "default");
	mend_text_or(command, "captureFormat", "S16_LE");
	mend_text_or(command, "outputFileName", "recording.wav");
	mend_word(command, "captureBackend", enum_capture_backend);
	mend_word(command, "outputCodec", enum_output_codec);
	mend_text(command, "captureInterfaceId");
	mend_text(command, "trackGroupId");
	mend_int(command, "outputBitrateKbps", 1);
	mend_int(command, "trackIndex", 1);
	mend_int(command, "trackTotal", 1);
	mend_bool(command, "outputVbr");
	mend_channel_map(command);
	mend_retention(command);
}

/* The predicate of contract 07 2.9. */
static bool accept(json_object *doc)
{
	static const char *const strings[] = {"id", "createdAt", "nodeId", "recordingId", NULL};
	static const char *const words[] = {"captureDevice", "captureFormat", "outputFileName", "type", NULL};
	json_object *command = json_object_at(doc, "command");
	return has_strings(doc, strings) && enum_has(enum_job_status, json_str(doc, "status")) && command != NULL &&
	       json_is_num(json_get(command, "captureChannels")) &&
	       json_is_num(json_get(command, "captureSampleRate")) &&
	       json_is_num(json_get(command, "durationSeconds")) && has_strings(command, words) &&
	       text_equal(json_str(command, "type"), "alsa_capture") &&
	       (!json_has(command, "captureBackend") ||
	        enum_has(enum_capture_backend, json_str(command, "captureBackend")));
}

const struct model model_jobs = {
    .name = "recording_jobs",
    .table = "recording_jobs",
    .id = "id",
    FIELDS(fields),
    .order = {"-createdAt", "id"},
    .path = CFG_JOBS_PATH,
    .file_key = "jobs",
    .file_error = "recording_job_store_invalid",
    .repair = repair,
    .accept = accept,
};
