#include "engine/capture.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static const char *const backends[] = {"alsa", "jack", "pipewire"};

/* The text if it is one of the capture backends, else NULL. */
static const char *known_backend(const char *name)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (text_equal(name, backends[i]))
			return backends[i];
	return NULL;
}

/* The element of an array whose member `key` is value, or NULL. */
static json_object *find_by(json_object *array, const char *key, const char *value)
{
	size_t n = array != NULL && value != NULL ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++) {
		json_object *item = json_object_array_get_idx(array, i);

		if (text_equal(json_str(item, key), value) && value[0] != '\0')
			return item;
	}
	return NULL;
}

json_object *capture_interface(json_object *node, const char *interface_id)
{
	return find_by(json_array(node, "interfaces"), "id", interface_id);
}

const char *capture_interface_id(json_object *node, const char *asked, const char *configured)
{
	json_object *interfaces = json_array(node, "interfaces");

	if (asked != NULL)
		return asked;
	if (capture_interface(node, configured) != NULL)
		return configured;
	if (interfaces == NULL || json_object_array_length(interfaces) == 0)
		return NULL;
	return json_str(json_object_array_get_idx(interfaces, 0), "id");
}

static json_object *assignment_of(json_object *assignments, const char *type, const char *id)
{
	size_t n = assignments != NULL && id != NULL ? json_object_array_length(assignments) : 0;

	for (size_t i = 0; i < n; i++) {
		json_object *a = json_object_array_get_idx(assignments, i);

		if (text_equal(json_str(a, "targetType"), type) && text_equal(json_str(a, "targetId"), id))
			return a;
	}
	return NULL;
}

json_object *capture_assignment(json_object *assignments, const char *interface_id, const char *node_id)
{
	json_object *a = assignment_of(assignments, "interface", interface_id);

	return a != NULL ? a : assignment_of(assignments, "node", node_id);
}

/* Highest source channel of the included entries; 0 if none is included. */
static int64_t source_channels(json_object *entries)
{
	size_t n = entries != NULL ? json_object_array_length(entries) : 0;
	int64_t highest = 0;

	for (size_t i = 0; i < n; i++) {
		json_object *e = json_object_array_get_idx(entries, i);
		int64_t channel = json_int(e, "sourceChannelIndex", 0);

		if (json_flag(e, "included", false) && channel > highest)
			highest = channel;
	}
	return highest;
}

static json_object *channel_map(const void *ctx, const struct capture_input *in, const char *interface_id)
{
	json_object *a = capture_assignment(in->assignments, interface_id, json_str(in->node, "id"));
	json_object *t = find_by(in->templates, "id", json_str(a, "templateId"));
	json_object *entries = json_array(t, "entries");
	int64_t channels = source_channels(entries);
	json_object *map;

	if (channels == 0)
		return NULL;
	map = json_new_object(ctx);
	json_set_str_opt(map, "assignmentId", json_str(a, "id"));
	json_set_str(map, "channelMode", json_str_or(t, "channelMode", "mono_to_stereo_mix"));
	json_set_copy(map, "entries", entries);
	json_set_int(map, "sourceChannels", channels);
	json_set_str_opt(map, "targetId", json_str(a, "targetId"));
	json_set_str_opt(map, "targetType", json_str(a, "targetType"));
	json_set_str_opt(map, "templateId", json_str(t, "id"));
	json_set_str_opt(map, "templateName", json_str(t, "name"));
	return map;
}

/* ALSA interfaces are addressed by their hardware name where they have one. */
static const char *interface_device(json_object *iface)
{
	const char *ref = json_str(iface, "systemRef");

	if (text_equal(json_str(iface, "backend"), "alsa") && ref != NULL) {
		if (strncmp(ref, "alsa:", 5) == 0)
			ref += 5;
		if (strncmp(ref, "hw:", 3) == 0 || strncmp(ref, "plughw:", 7) == 0)
			return ref;
	}
	return json_str(iface, "systemName");
}

/* A text that is not blank, else the next one. */
static const char *first_text(const char *a, const char *b, const char *c)
{
	if (!text_blank(a))
		return a;
	return !text_blank(b) ? b : c;
}

static int64_t first_positive(int64_t a, int64_t b)
{
	return a > 0 ? a : b;
}

/* Limits of the recorder's own cache, when the recording's policy is about that cache. */
static json_object *recorder_retention(const void *ctx, json_object *policy)
{
	static const char *const limits[] = {"maxAgeDays", "maxBytes", "minFreeDiskPercent"};
	json_object *out;
	bool limited = false;

	if (!json_flag(policy, "enabled", false) || !text_equal(json_str(policy, "scope"), "recorder_cache") ||
	    !text_equal(json_str(policy, "action"), "delete_cache"))
		return NULL;
	out = json_new_object(ctx);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		limited = limited || json_get(policy, limits[i]) != NULL;
	json_set_bool(out, "deleteAfterUpload", !limited);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (json_get(policy, limits[i]) != NULL)
			json_set_copy(out, limits[i], json_get(policy, limits[i]));
		else
			json_set_null(out, limits[i]);
	}
	json_set_str(out, "policyId", json_str_or(policy, "id", ""));
	return out;
}

/* Device, format, channels and rate. */
static void add_source(json_object *c, const struct capture_input *in, json_object *iface, json_object *map)
{
	json_object *audio = json_object_at(in->node, "audioDefaults");
	const struct capture_defaults *d = &in->defaults;
	const char *backend = in->backend != NULL ? in->backend : known_backend(json_str(iface, "backend"));
	const char *device = iface != NULL ? interface_device(iface) : json_str(audio, "captureDevice");
	int64_t channels = json_int(map, "sourceChannels", 0);

	if (backend == NULL)
		backend = known_backend(json_str(audio, "captureBackend"));
	json_set_str_opt(c, "captureBackend", backend);
	channels = first_positive(channels, json_int(audio, "captureChannels", 0));
	json_set_int(c, "captureChannels", first_positive(channels, d->channels));
	json_set_str(c, "captureDevice", first_text(device, d->device, "default"));
	json_set_str(c, "captureFormat", first_text(json_str(audio, "captureFormat"), d->format, "S16_LE"));
	json_set_int(c, "captureSampleRate", first_positive(json_int(audio, "captureSampleRate", 0), d->sample_rate));
}

/* Codec and file name. */
static void add_output(const void *ctx, json_object *c, const struct capture_input *in)
{
	const char *codec = json_str_or(in->profile, "codec", "mp3");

	json_set_int(c, "outputBitrateKbps", json_int(in->profile, "bitrateKbps", 128));
	json_set_str(c, "outputCodec", codec);
	json_set_bool(c, "outputVbr", json_flag(in->profile, "vbr", true));
	json_set_str(c, "outputFileName",
	             mem_printf(ctx, "%s.%s", json_str_or(in->recording, "id", "recording"), codec));
}

json_object *capture_command(const void *ctx, const struct capture_input *in)
{
	static const char *const track[] = {"trackGroupId", "trackIndex", "trackTotal"};
	const char *interface_id = capture_interface_id(in->node, in->interface_id, in->defaults.interface_id);
	json_object *map = channel_map(ctx, in, interface_id);
	json_object *c = json_new_object(ctx);

	add_source(c, in, capture_interface(in->node, interface_id), map);
	json_set_str_opt(c, "captureInterfaceId", interface_id);
	json_set_ref(c, "channelMap", map);
	json_set_int(c, "durationSeconds", first_positive(in->seconds, in->defaults.seconds));
	add_output(ctx, c, in);
	json_set_ref(c, "recorderCacheRetention", recorder_retention(ctx, in->retention));
	for (size_t i = 0; i < sizeof(track) / sizeof(track[0]); i++)
		json_set_copy(c, track[i], json_get(in->recording, track[i]));
	json_set_str(c, "type", "alsa_capture");
	return c;
}
