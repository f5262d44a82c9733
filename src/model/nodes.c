/* Recorder nodes with interfaces and channels, and their credentials (contract 02 3, 4; 07 2.7). */
#include "base/clock.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

/* Order of 02 3.5: interfaces by creation, channels by index. */
#define INTERFACES_SQL                                                                                                 \
	"coalesce((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object("                                             \
	"'alias', i.alias, 'backend', i.backend, 'channelCount', i.channel_count, 'channels', "                        \
	"coalesce((SELECT jsonb_agg(jsonb_build_object('alias', c.alias, 'index', c.channel_index) "                   \
	"ORDER BY c.channel_index, c.id) FROM audio_channels c WHERE c.interface_id = i.id), '[]'), "                  \
	"'hardwarePath', i.hardware_path, 'id', i.id, 'sampleRates', i.sample_rates, "                                 \
	"'serialNumber', i.serial_number, 'systemName', i.system_name, 'systemRef', i.system_ref)) "                   \
	"ORDER BY i.created_at, i.id) FROM audio_interfaces i WHERE i.node_id = t.id), '[]')"

static const struct model_field node_fields[] = {
    F_TEXT("agentVersion", "agent_version", 80, M_REQUIRED),
    F_TEXT("alias", "alias", 160, M_REQUIRED),
    F_KEY("audioDefaults", "metadata", "audioDefaults", M_JSON, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_KEY("enrolledAt", "metadata", "enrolledAt", M_TIME, M_HIDDEN | M_FIXED),
    F_TEXT("hostname", "hostname", 255, M_REQUIRED),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_DERIVED("interfaces", INTERFACES_SQL, M_JSON, 0, NULL),
    F_KEY("ipAddresses", "network", "ipAddresses", M_TEXTS, M_REQUIRED),
    F_TYPE("lastSeenAt", "last_seen_at", M_TIME, 0),
    F_TYPE("location", "location", M_JSON, M_REQUIRED | M_DEFAULT),
    F_TEXT("notes", "notes", 0, 0),
    F_KEY("recordingCapacity", "metadata", "recordingCapacity", M_JSON, 0),
    F_KEY("runtime", "metadata", "runtime", M_JSON, 0),
    F_ENUM("status", "status", enum_node_status, "node_status", M_REQUIRED | M_DEFAULT),
    F_TYPE("tags", "tags", M_TEXTS, M_REQUIRED | M_DEFAULT),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_HIDDEN | M_DEFAULT | M_TOUCH),
};

static bool is_backend(json_object *item)
{
	return json_is_str(item) && enum_has(enum_interface_backend, json_object_get_string(item));
}

static void repair_location(json_object *doc)
{
	mend_object_or_empty(doc, "location");
	json_object *location = json_object_at(doc, "location");
	mend_text(location, "building");
	mend_text(location, "floor");
	mend_text_or(location, "room", "Unknown Room");
	mend_text_or(location, "site", "Unknown Site");
}

static void repair_runtime(json_object *doc)
{
	mend_object(doc, "runtime");
	json_object *runtime = json_object_at(doc, "runtime");
	if (runtime == NULL)
		return;
	mend_text(runtime, "architecture");
	mend_text(runtime, "kernelRelease");
	mend_text(runtime, "osName");
	mend_items(runtime, "audioBackends", is_backend);
	mend_int(runtime, "uptimeSeconds", 0);
}

static void repair_audio_defaults(json_object *doc)
{
	mend_object(doc, "audioDefaults");
	json_object *defaults = json_object_at(doc, "audioDefaults");
	if (defaults == NULL)
		return;
	mend_text(defaults, "captureArgsTemplate");
	mend_word(defaults, "captureBackend", enum_capture_backend);
	mend_int(defaults, "captureChannels", 1);
	mend_text(defaults, "captureCommand");
	mend_text(defaults, "captureDevice");
	mend_text(defaults, "captureFormat");
	mend_int(defaults, "captureSampleRate", 1);
	mend_text(defaults, "meterArgsTemplate");
	if (json_object_object_length(defaults) == 0)
		json_object_object_del(doc, "audioDefaults");
}

static void repair_channel(json_object *interface, size_t index)
{
	json_object *channel = json_object_array_get_idx(json_array(interface, "channels"), index);
	char alias[32];
	mend_int_or(channel, "index", 1, (int64_t)index + 1);
	snprintf(alias, sizeof(alias), "Channel %lld", (long long)json_int(channel, "index", 1));
	mend_text_or(channel, "alias", alias);
}

static void repair_interface(json_object *interface)
{
	mend_word_or(interface, "backend", enum_interface_backend, "unknown");
	mend_int_or(interface, "channelCount", 0, 0);
	mend_items(interface, "channels", json_is_object);
	for (size_t i = 0; i < json_object_array_length(json_array(interface, "channels")); i++)
		repair_channel(interface, i);
	mend_items(interface, "sampleRates", json_is_num);
	mend_text(interface, "hardwarePath");
	mend_text(interface, "serialNumber");
	mend_text_or(interface, "alias", json_str_or(interface, "systemName", "Interface"));
	mend_text_or(interface, "systemName", json_str_or(interface, "alias", "Interface"));
}

static void repair_node(json_object *doc)
{
	mend_text_or(doc, "lastSeenAt", json_str_or(doc, "createdAt", "1970-01-01T00:00:00.000Z"));
	mend_texts(doc, "ipAddresses");
	mend_texts(doc, "tags");
	mend_word_or(doc, "status", enum_node_status, "offline");
	if (!json_is_str(json_get(doc, "notes")))
		json_object_object_del(doc, "notes");
	repair_location(doc);
	repair_runtime(doc);
	repair_audio_defaults(doc);
	mend_object(doc, "recordingCapacity");
	if (json_int(json_object_at(doc, "recordingCapacity"), "maxConcurrentRecordings", 0) < 1)
		json_object_object_del(doc, "recordingCapacity");
	mend_items(doc, "interfaces", json_is_object);
	json_object *interfaces = json_array(doc, "interfaces");
	for (size_t i = 0; i < json_object_array_length(interfaces); i++)
		repair_interface(json_object_array_get_idx(interfaces, i));
}

static bool accept_node(json_object *doc)
{
	static const char *const strings[] = {"agentVersion", "alias", "hostname", "id", NULL};
	return has_text(doc, "id") && has_strings(doc, strings);
}

static const char demo_node[] =
    "{\"agentVersion\":\"0.1.0\",\"alias\":\"Council Chamber Rack\",\"hostname\":\"rakkr-x32-01\","
    "\"id\":\"node_x32_test\",\"interfaces\":[{\"alias\":\"X32 USB\",\"backend\":\"alsa\",\"channelCount\":32,"
    "\"channels\":[{\"alias\":\"X32 Channel 1\",\"index\":1},{\"alias\":\"X32 Channel 2\",\"index\":2},"
    "{\"alias\":\"X32 Channel 3\",\"index\":3},{\"alias\":\"X32 Channel 4\",\"index\":4},"
    "{\"alias\":\"X32 Channel 5\",\"index\":5},{\"alias\":\"X32 Channel 6\",\"index\":6},"
    "{\"alias\":\"X32 Channel 7\",\"index\":7},{\"alias\":\"X32 Channel 8\",\"index\":8}],"
    "\"hardwarePath\":\"/proc/asound/card1/pcm0c\",\"id\":\"iface_x32_usb\",\"sampleRates\":[48000],"
    "\"serialNumber\":\"x32-rack-test-rig\",\"systemName\":\"Behringer X32 Rack USB\","
    "\"systemRef\":\"alsa:hw:X32,0\"}],\"ipAddresses\":[\"172.22.145.152\"],"
    "\"location\":{\"room\":\"Council Chamber\",\"site\":\"Main Office\"},"
    "\"notes\":\"Initial Debian test rig with X32 Rack over USB.\","
    "\"recordingCapacity\":{\"maxConcurrentRecordings\":8},\"runtime\":{\"architecture\":\"x86_64\","
    "\"audioBackends\":[\"alsa\"],\"kernelRelease\":\"test-rig-pending\",\"osName\":\"Debian\"},"
    "\"status\":\"online\",\"tags\":[\"x32\",\"voice\",\"test-rig\"]}";

/* lastSeenAt is the time of this call: callers that need a fixed one (02 13.2: the start) set it over. */
static void seed_node(json_object *array, bool demo)
{
	if (!demo)
		return;
	seed_text(array, demo_node);
	json_object *node = json_object_array_get_idx(array, json_object_array_length(array) - 1);
	json_set_iso(node, "lastSeenAt", clock_now_ms());
}

const struct model model_nodes = {
    .name = "nodes",
    .table = "nodes",
    .id = "id",
    FIELDS(node_fields),
    .order = {"createdAt", "id"},
    .path = CFG_NODES_PATH,
    .file_key = "nodes",
    .file_error = "node_store_invalid",
    .repair = repair_node,
    .accept = accept_node,
    .seed = seed_node,
};

static const struct model_field credential_fields[] = {
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("createdByUserId", "created_by_user_id", M_UUID, M_HIDDEN),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("lastUsedAt", "last_used_at", M_TIME, 0),
    F_TEXT("nodeId", "node_id", 160, M_REQUIRED | M_FIXED),
    F_TYPE("revokedAt", "revoked_at", M_TIME, 0),
    F_TEXT("tokenHash", "token_hash", 0, M_REQUIRED | M_HIDDEN | M_FIXED),
    F_TEXT("tokenPrefix", "token_prefix", 48, M_REQUIRED | M_FIXED),
};

const struct model model_credentials = {
    .name = "node_credentials",
    .table = "node_credentials",
    .id = "id",
    FIELDS(credential_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_KEY_COUNT,
    .accept = accept_id,
};
