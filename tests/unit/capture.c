/* The capture command against contract 03 3.10. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "engine/capture.h"

#include <string.h>

static void *mem;
static struct capture_input in;

static json_object *parse(const char *text)
{
	json_object *o = NULL;

	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

static void setup(void)
{
	mem = talloc_new(NULL);
	in = (struct capture_input){
	    .node = parse("{\"id\":\"n1\",\"interfaces\":["
	                  "{\"id\":\"i1\",\"backend\":\"alsa\",\"systemName\":\"X\",\"systemRef\":\"alsa:hw:2,0\"},"
	                  "{\"id\":\"i2\",\"backend\":\"jack\",\"systemName\":\"J\",\"systemRef\":\"hw:9\"},"
	                  "{\"id\":\"i3\",\"backend\":\"unknown\",\"systemName\":\"U\",\"systemRef\":\"plughw:1\"},"
	                  "{\"id\":\"i4\",\"backend\":\"alsa\",\"systemName\":\"Y\",\"systemRef\":\"card 3\"}]}"),
	    .recording = parse("{\"id\":\"rec_1\"}"),
	    .defaults = {.channels = 2, .sample_rate = 48000, .seconds = 3600, .device = "default", .format = "S16_LE"},
	};
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(capture, .init = setup, .fini = teardown);

static void expect(const char *want)
{
	json_object *got = capture_command(mem, &in);

	cr_assert(json_same(got, parse(want)), "got %s", json_compact(mem, got, NULL));
}

Test(capture, plain_node)
{
	in.node = parse("{\"id\":\"n1\",\"interfaces\":[]}");
	expect("{\"captureChannels\":2,\"captureDevice\":\"default\",\"captureFormat\":\"S16_LE\","
	       "\"captureSampleRate\":48000,\"durationSeconds\":3600,\"outputBitrateKbps\":128,\"outputCodec\":\"mp3\","
	       "\"outputFileName\":\"rec_1.mp3\",\"outputVbr\":true,\"type\":\"alsa_capture\"}");
}

Test(capture, node_defaults_and_profile)
{
	in.node = parse("{\"id\":\"n1\",\"audioDefaults\":{\"captureBackend\":\"pipewire\",\"captureChannels\":6,"
	                "\"captureDevice\":\"mic\",\"captureFormat\":\"S24_LE\",\"captureSampleRate\":96000}}");
	in.profile = parse("{\"codec\":\"flac\",\"bitrateKbps\":64,\"vbr\":false}");
	in.recording = parse("{\"id\":\"rec_2\",\"trackGroupId\":\"track_1\",\"trackIndex\":2,\"trackTotal\":3}");
	in.seconds = 90;
	expect("{\"captureBackend\":\"pipewire\",\"captureChannels\":6,\"captureDevice\":\"mic\","
	       "\"captureFormat\":\"S24_LE\",\"captureSampleRate\":96000,\"durationSeconds\":90,"
	       "\"outputBitrateKbps\":64,\"outputCodec\":\"flac\",\"outputFileName\":\"rec_2.flac\","
	       "\"outputVbr\":false,\"trackGroupId\":\"track_1\",\"trackIndex\":2,\"trackTotal\":3,"
	       "\"type\":\"alsa_capture\"}");
}

static void expect_device(const char *interface_id, const char *backend, const char *device)
{
	json_object *c;

	in.interface_id = interface_id;
	c = capture_command(mem, &in);
	cr_assert_str_eq(json_str(c, "captureDevice"), device);
	cr_assert_str_eq(json_str(c, "captureInterfaceId"), interface_id);
	cr_assert(backend == NULL ? !json_has(c, "captureBackend")
	                          : strcmp(json_str_or(c, "captureBackend", ""), backend) == 0);
}

Test(capture, device_of_the_interface)
{
	expect_device("i1", "alsa", "hw:2,0");
	expect_device("i2", "jack", "J");
	expect_device("i3", NULL, "U");
	expect_device("i4", "alsa", "Y");
	expect_device("gone", NULL, "default");
}

Test(capture, asked_backend_does_not_change_the_device)
{
	in.backend = "jack";
	expect_device("i1", "jack", "hw:2,0");
}

/* 09 D-65 */
Test(capture, configured_interface_only_if_the_node_has_it)
{
	cr_assert_str_eq(capture_interface_id(in.node, NULL, "nope"), "i1");
	cr_assert_str_eq(capture_interface_id(in.node, NULL, "i2"), "i2");
	cr_assert_str_eq(capture_interface_id(in.node, "i4", "i2"), "i4");
	cr_assert_str_eq(capture_interface_id(in.node, NULL, NULL), "i1");
	cr_assert_null(capture_interface_id(parse("{\"interfaces\":[]}"), NULL, "i1"));
	in.defaults.interface_id = "nope";
	cr_assert_str_eq(json_str(capture_command(mem, &in), "captureInterfaceId"), "i1");
}

static void add_maps(void)
{
	in.assignments =
	    parse("[{\"id\":\"a0\",\"targetType\":\"node\",\"targetId\":\"n1\",\"templateId\":\"t0\"},"
	          "{\"id\":\"a1\",\"targetType\":\"interface\",\"targetId\":\"i1\",\"templateId\":\"t1\"},"
	          "{\"id\":\"a2\",\"targetType\":\"interface\",\"targetId\":\"i1\",\"templateId\":\"t0\"}]");
	in.templates =
	    parse("[{\"id\":\"t0\",\"name\":\"None\",\"channelMode\":\"mono\",\"entries\":["
	          "{\"included\":false,\"label\":\"x\",\"sourceChannelIndex\":7}]},"
	          "{\"id\":\"t1\",\"name\":\"Council\",\"channelMode\":\"stereo\",\"entries\":["
	          "{\"included\":true,\"label\":\"Chair\",\"outputChannelIndex\":1,\"sourceChannelIndex\":3},"
	          "{\"included\":false,\"label\":\"Spare\",\"sourceChannelIndex\":9},"
	          "{\"included\":true,\"label\":\"Desk\",\"sourceChannelIndex\":2}]}]");
}

Test(capture, channel_map)
{
	json_object *c;

	add_maps();
	c = capture_command(mem, &in);
	cr_assert_eq(json_int(c, "captureChannels", 0), 3);
	cr_assert(
	    json_same(json_get(c, "channelMap"),
	              parse("{\"assignmentId\":\"a1\",\"channelMode\":\"stereo\",\"entries\":["
	                    "{\"included\":true,\"label\":\"Chair\",\"outputChannelIndex\":1,\"sourceChannelIndex\":3},"
	                    "{\"included\":false,\"label\":\"Spare\",\"sourceChannelIndex\":9},"
	                    "{\"included\":true,\"label\":\"Desk\",\"sourceChannelIndex\":2}],\"sourceChannels\":3,"
	                    "\"targetId\":\"i1\",\"targetType\":\"interface\",\"templateId\":\"t1\","
	                    "\"templateName\":\"Council\"}")));
	in.interface_id = "i2"; /* falls back to the node's, which includes nothing */
	cr_assert_not(json_has(capture_command(mem, &in), "channelMap"));
	in.templates = parse("[]");
	in.interface_id = "i1";
	cr_assert_not(json_has(capture_command(mem, &in), "channelMap"));
}

static const char *retention(const char *policy)
{
	json_object *kept;

	in.retention = parse(policy);
	kept = json_get(capture_command(mem, &in), "recorderCacheRetention");
	return kept != NULL ? json_compact(mem, kept, NULL) : "none";
}

Test(capture, recorder_retention)
{
	json_object *all;

	cr_assert_str_eq(
	    retention("{\"id\":\"p\",\"enabled\":false,\"scope\":\"recorder_cache\",\"action\":\"delete_cache\"}"),
	    "none");
	cr_assert_str_eq(
	    retention("{\"id\":\"p\",\"enabled\":true,\"scope\":\"controller_cache\",\"action\":\"delete_cache\"}"),
	    "none");
	cr_assert_str_eq(retention("{\"id\":\"p\",\"enabled\":true,\"scope\":\"recorder_cache\",\"action\":\"keep\"}"),
	                 "none");
	all = parse(retention("{\"id\":\"p\",\"enabled\":true,\"scope\":\"recorder_cache\",\"action\":\"delete_cache\","
	                      "\"maxAgeDays\":7,\"maxBytes\":null,\"minFreeDiskPercent\":10}"));
	cr_assert(json_same(all, parse("{\"deleteAfterUpload\":false,\"maxAgeDays\":7,\"maxBytes\":null,"
	                               "\"minFreeDiskPercent\":10,\"policyId\":\"p\"}")));
	all = parse(retention("{\"id\":\"p\",\"enabled\":true,\"scope\":\"recorder_cache\",\"action\":\"delete_cache\","
	                      "\"maxAgeDays\":null,\"maxBytes\":null,\"minFreeDiskPercent\":null}"));
	cr_assert(json_flag(all, "deleteAfterUpload", false));
}
