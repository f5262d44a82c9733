/*
 * The recorder agent's life, replayed byte for byte: start, ticks, job worker, restart recovery, and each scenario of
 * its smoke test as far as the controller takes part in it (contract 08 A3, A4, A8, A9, A15).
 */
#include "http/agent_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLAIM_LINE(n) fmt("x-rakkr-agent-id: %s", (n)->id)

/* ---- what the agent says ----------------------------------------------------------------------------------------- */

/* Now, with 0 to 9 digits of fraction as the agent's library prints them. */
static const char *timestamp(int digits)
{
	struct timespec t;
	struct tm utc;
	char text[64], fraction[16];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(fraction, sizeof(fraction), ".%09ld", t.tv_nsec);
	fraction[digits > 0 ? digits + 1 : 0] = '\0';
	return fmt("%s%sZ", text, fraction);
}

/* A health event; recording NULL: of the node. It is accepted whatever its type and details. */
static void event(const struct node *n, const char *type, const char *severity, const char *recording,
                  const char *details)
{
	const char *at = timestamp(9);
	char *mark = fmt("%s", at);

	for (char *c = mark; *c != '\0'; c++)
		if (*c == ':' || *c == '.')
			*c = '-';
	const char *owner = recording != NULL ? fmt("\"recordingId\":\"%s\",", recording) : "";
	struct response r =
	    agent_post_json(n, fmt("%s/health-events", n->path),
	                    fmt("{\"details\":%s,\"id\":\"node_event_%s_%s\",\"openedAt\":\"%s\",%s\"severity\":\"%s\","
	                        "\"type\":\"%s\"}",
	                        details, n->id, mark, at, owner, severity, type));
	cr_assert_eq(r.status, 201, "%s: %d: %s", type, r.status, r.body);
}

static void job_event(const struct node *n, const char *type, const char *severity, const struct take *t,
                      const char *more)
{
	event(n, fmt("agent.recording_job.%s", type), severity, t->recording_id,
	      fmt("{%s%s\"jobId\":\"%s\",\"recordingId\":\"%s\"}", more, *more != '\0' ? "," : "", t->job_id,
	          t->recording_id));
}

/* The newest health event that the controller has of this type, NULL if there is none. */
static json_object *stored_event(const char *type, const char *node_id)
{
	struct response r = get("/api/v1/health-events?limit=200", admin());

	if (r.status != 200)
		return NULL;
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		json_object *e = j_at(r.json, fmt("data.%zu", i));

		if (strcmp(j_str(e, "type"), type) == 0 && strcmp(j_str(e, "nodeId"), node_id) == 0)
			return e;
	}
	return NULL;
}

/* ---- start and ticks --------------------------------------------------------------------------------------------- */

static void started(const struct node *n)
{
	event(n, "agent.started", "info", NULL,
	      fmt("{\"alias\":\"Local Recorder Node\",\"controllerUrl\":\"%s\",\"meterBackend\":\"synthetic\","
	          "\"nodeId\":\"%s\"}",
	          test_url(), n->id));
}

static struct response heartbeat(const struct node *n, const char *addresses)
{
	return agent_post_json(
	    n, fmt("%s/heartbeat", n->path),
	    fmt("{\"agentVersion\":\"0.1.0\",\"alias\":\"Local Recorder Node\",\"hostname\":\"rack-7\",\"id\":\"%s\","
	        "\"interfaces\":[{\"alias\":\"Default Capture Interface\",\"backend\":\"unknown\",\"channelCount\":2,"
	        "\"channels\":[{\"alias\":\"Input 1\",\"index\":1},{\"alias\":\"Input 2\",\"index\":2}],\"id\":"
	        "\"iface_default_capture\",\"sampleRates\":[48000],\"systemName\":\"Audio backend discovery "
	        "pending\"}],"
	        "\"ipAddresses\":[%s],\"lastSeenAt\":\"%s\",\"location\":{\"room\":\"Unassigned Room\",\"site\":"
	        "\"Unassigned Site\"},\"runtime\":{\"architecture\":\"x86_64\",\"audioBackends\":[\"unknown\"],"
	        "\"kernelRelease\":\"6.1.0\",\"osName\":\"Debian GNU/Linux 12\",\"uptimeSeconds\":5321},\"status\":"
	        "\"online\",\"tags\":[\"recorder-agent\"]}",
	        n->id, addresses, timestamp(9)));
}

/* The agent compares this header with its own clock; a second one would be undefined. */
static void expect_date(const struct response *r)
{
	const char *date = header(r, "date"), *first = strcasestr(r->headers, "\r\ndate:");
	struct tm utc = {0};

	cr_assert_not_null(date);
	cr_expect_null(strcasestr(first + 2, "\r\ndate:"), "two Date headers");
	cr_assert_not_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &utc), "%s", date);
	cr_expect_leq(labs((long)(timegm(&utc) - time(NULL))), 5, "clock skew: %s", date);
}

static void meter_frame(const struct node *n, const char *at)
{
	struct response r = agent_post_json(
	    n, fmt("%s/meter-frame", n->path),
	    fmt("{\"capturedAt\":\"%s\",\"interfaceId\":\"iface_default_capture\",\"levels\":[{\"channelIndex\":1,"
	        "\"clipping\":false,\"label\":\"Input 1\",\"peakDbfs\":-15.6,\"quality\":{\"broadbandNoiseScore\":0.16,"
	        "\"crestFactorDb\":15.98,\"estimatedSnrDb\":19.9,\"humScore\":0.06,\"intelligibilityScore\":0.61,"
	        "\"noiseScore\":0.22,\"speechLike\":true,\"speechScore\":0.78,\"staticScore\":0.07,"
	        "\"zeroCrossingRate\":"
	        "0.12},\"rmsDbfs\":-31.6},{\"channelIndex\":2,\"clipping\":false,\"label\":\"Input 2\",\"peakDbfs\":"
	        "-160.0,\"quality\":{\"channelCorrelation\":{\"peerChannelIndex\":1,\"phase\":\"inverted\",\"score\":"
	        "-0.83},\"broadbandNoiseScore\":0.0,\"crestFactorDb\":0.0,\"estimatedSnrDb\":0.0,\"humScore\":0.0,"
	        "\"intelligibilityScore\":0.0,\"noiseScore\":0.0,\"speechLike\":false,\"speechScore\":0.0,"
	        "\"staticScore\":0.0,\"zeroCrossingRate\":0.0},\"rmsDbfs\":-160.0}],\"nodeId\":\"%s\"}",
	        at, n->id));
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.frame.capturedAt"), at);
	cr_expect_not_null(strstr(r.body, "\"peakDbfs\":-15.6"), "%s", r.body);
	cr_expect_not_null(strstr(r.body, "\"peakDbfs\":-160,"), "%s", r.body);
}

static void monitor_chunk(const struct node *n, const char *at)
{
	struct blob tone = wav(1, 16000, 1);
	const char *const lines[] = {"content-type: audio/wav", fmt("x-rakkr-captured-at: %s", at),
	                             "x-rakkr-duration-ms: 1000", NULL};

	cr_assert_eq(tone.len, 32044);
	struct response r = agent_call(n, "POST", fmt("%s/listen/chunk", n->path), lines, tone.data, tone.len);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.capturedAt"), at);
}

static json_object *read_config(const struct node *n)
{
	struct response r = agent_get(n, fmt("%s/config", n->path));

	must(r, 200);
	return decode_config(&r);
}

static void nothing_to_do(const struct node *n)
{
	struct response r = agent_post_empty(n, fmt("%s/recording-jobs/claim-next", n->path), CLAIM_LINE(n));

	must(r, 204);
	cr_expect_eq(r.len, 0, "a body with 204");
}

/* The calls of one tick, except the claim (A4 steps 6 to 9). */
static void tick(const struct node *n, int fraction_digits)
{
	const char *at = timestamp(fraction_digits);
	struct response r = heartbeat(n, "\"192.0.2.10\"");

	must(r, 202);
	expect_date(&r);
	meter_frame(n, at);
	monitor_chunk(n, at);
	read_config(n);
}

Test(agent_daemon, starts_and_ticks)
{
	struct node n = enroll_node("Daemon");

	started(&n); /* before the first heartbeat */
	for (int digits = 0; digits <= 9; digits += 3) {
		tick(&n, digits);
		nothing_to_do(&n);
	}
	struct response r = get(n.path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Daemon", "a heartbeat renames nothing");
	cr_expect_str_eq(j_str(r.json, "data.interfaces.0.alias"), "Desk");
	r = post(fmt("%s/listen", n.path), admin(), NULL);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.mode"), "agent_audio_chunk", "nanoseconds must not spoil the freshness");
}

/* Hosts with containers have more addresses than the contract's 16 (Trap 15), or none at all. */
Test(agent_daemon, any_number_of_addresses)
{
	struct node n = enroll_node("Addresses");
	char many[2000] = "";

	for (int i = 0; i < 40; i++)
		sprintf(many + strlen(many), "%s\"172.17.0.%d\"", i > 0 ? "," : "", i);
	must(heartbeat(&n, many), 202);
	must(heartbeat(&n, ""), 202);
}

/* After a stall the missed ticks come at once (Trap 8). */
static void burst(int index, void *arg)
{
	(void)index;
	for (int i = 0; i < 3; i++)
		tick(arg, 9);
}

Test(agent_daemon, missed_ticks_come_back_to_back)
{
	struct node n = enroll_node("Burst");

	parallel(4, burst, &n);
}

Test(agent_daemon, a_wrong_token_is_401_on_every_call)
{
	struct node n = enroll_node("Wrong"), wrong = n;

	wrong.token = "rakkr_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	must(heartbeat(&wrong, ""), 401);
	must(agent_get(&wrong, fmt("%s/config", n.path)), 401);
	must(agent_post_empty(&wrong, fmt("%s/recording-jobs/claim-next", n.path), CLAIM_LINE(&n)), 401);
	tick(&n, 9); /* and then the right one again */
}

/* ---- the job worker ---------------------------------------------------------------------------------------------- */

/* Claims the job of t as the worker does: the claim, and the channel maps unless the job brings its own (A8.1). */
static json_object *claim(const struct node *n, const struct take *t)
{
	struct response r = agent_post_empty(n, fmt("%s/recording-jobs/claim-next", n->path), CLAIM_LINE(n));
	must(r, 200);
	json_object *job = decode_job(&r);

	cr_assert_str_eq(j_str(job, "id"), t->job_id);
	cr_assert_str_eq(j_str(job, "recordingId"), t->recording_id);
	cr_assert_str_eq(j_str(job, "nodeId"), n->id);
	cr_assert_str_eq(j_str(job, "status"), "running");
	if (j_at(job, "command.channelMap") == NULL) {
		r = agent_get(n, fmt("%s/channel-map-assignments", n->path));
		must(r, 200);
		decode_assignments(&r);
	}
	return job;
}

/* One round of the poll loop (A8.2); what the job read says. */
static const char *poll_job(const struct node *n, const struct take *t)
{
	struct response r = agent_post_empty(n, fmt("%s/heartbeat", t->job_path), CLAIM_LINE(n));
	must(r, 200);
	decode_job(&r);
	r = agent_get(n, t->job_path);
	must(r, 200);
	return j_str(decode_job(&r), "status");
}

static void upload(const struct node *n, const struct take *t, const char *type, const char *name, const char *seconds)
{
	struct blob file = wav(1, 48000, 1);
	const char *lines[6] = {fmt("content-type: %s", type), fmt("x-rakkr-file-name: %s", name),
	                        fmt("x-rakkr-recording-job-id: %s", t->job_id)};

	if (seconds != NULL)
		lines[3] = fmt("x-rakkr-duration-seconds: %s", seconds);
	struct response r = agent_call(n, "PUT", fmt("%s/cache-file", t->recording_path), lines, file.data, file.len);
	must(r, 201);
}

static void expect_end(const struct take *t, const char *job, const char *recording)
{
	struct response r = get(t->job_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), job, "%s", r.body);
	r = get(t->recording_path, admin());
	json_object *data = j_has(r.json, "data.recording") ? j_at(r.json, "data.recording") : j_at(r.json, "data");
	cr_expect_str_eq(j_str(data, "status"), recording, "%s", r.body);
}

static void fail_job(const struct node *n, const struct take *t, const char *reason)
{
	struct response r = agent_post_empty(n, fmt("%s/failed", t->job_path), fmt("x-rakkr-reason: %s", reason));
	must(r, 200);
}

static const char *const rendered =
    "\"channelMap\":null,\"outputBitrateKbps\":128,\"outputCodec\":\"mp3\",\"outputVbr\":true,\"rawOutputPath\":"
    "\"data/recordings/local-captures/take.raw.wav\",\"renderedOutputPath\":\"data/recordings/local-captures/"
    "take.mp3\"";

static void deliver(const struct node *n, const struct take *t)
{
	job_event(n, "output_rendered", "info", t, rendered);
	upload(n, t, "audio/mpeg", "take.mp3", "1");
	job_event(n, "recorder_cache_deleted", "info", t, "\"deletedPaths\":[\"a\",\"b\"],\"policyId\":\"p\"");
}

Test(agent_daemon, completed)
{
	struct node n = enroll_node("Completed");
	struct take t = start_recording(&n);

	claim(&n, &t);
	for (int i = 0; i < 3; i++)
		cr_expect_str_eq(poll_job(&n, &t), "running");
	deliver(&n, &t);
	expect_end(&t, "completed", "cached");
	nothing_to_do(&n);
}

Test(agent_daemon, claim_next_failure)
{
	struct node n = enroll_node("Claim fails");

	event(&n, "agent.recording_job.claim_next_failed", "warning", NULL,
	      fmt("{\"error\":\"controller rejected next job claim with 503 Service Unavailable: "
	          "{\\\"error\\\":\\\"busy\\\"}\","
	          "\"nodeId\":\"%s\"}",
	          n.id));
	nothing_to_do(&n);
}

/* The upload is lost on the way: the job stays, and recovery delivers it with what the checkpoint knew. */
Test(agent_daemon, cache_upload_failure_and_upload_pending_recovery)
{
	struct node n = enroll_node("Upload fails");
	struct take t = start_recording(&n);

	claim(&n, &t);
	cr_expect_str_eq(poll_job(&n, &t), "running");
	job_event(&n, "output_rendered", "info", &t, rendered);
	job_event(&n, "cache_upload_failed", "warning", &t,
	          "\"contentType\":\"audio/mpeg\",\"durationSeconds\":1,\"error\":\"send cache file to controller\","
	          "\"fileName\":\"take.mp3\",\"outputBitrateKbps\":128,\"outputBytes\":96044,\"outputCodec\":\"mp3\","
	          "\"outputPath\":\"take.mp3\",\"outputVbr\":true");
	expect_end(&t, "running", "recording");

	started(&n);
	job_event(
	    &n, "recovered_after_restart", "warning", &t,
	    fmt("\"nodeId\":\"%s\",\"outputBytes\":96044,\"outputPath\":\"take.mp3\",\"previousStatus\":"
	        "\"upload_pending\",\"recoveredSegmentCount\":0,\"recoveredSegments\":[],\"stateUpdatedAt\":\"%s\","
	        "\"willUpload\":true",
	        n.id, timestamp(9)));
	upload(&n, &t, "audio/mpeg", "take.mp3", "1");
	expect_end(&t, "completed", "cached");
	tick(&n, 9);
	nothing_to_do(&n);
}

Test(agent_daemon, controller_stop_requested)
{
	struct node n = enroll_node("Stopped");
	struct take t = start_recording(&n);

	claim(&n, &t);
	cr_expect_str_eq(poll_job(&n, &t), "running");
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	/* The stop shows as 409 on the heartbeat first (Trap 5). */
	struct response r = agent_post_empty(&n, fmt("%s/heartbeat", t.job_path), CLAIM_LINE(&n));
	must(r, 409);
	job_event(&n, "control_plane_failed", "warning", &t,
	          "\"error\":\"controller rejected job heartbeat with 409 Conflict: {}\"");
	r = agent_get(&n, t.job_path);
	cr_expect_str_eq(j_str(decode_job(&r), "status"), "stop_requested");
	for (int again = 0; again < 2; again++) /* also when it is cancelled already (Trap 17) */
		must(agent_post_empty(&n, fmt("%s/cancelled", t.job_path), "x-rakkr-reason: controller_stop_requested"),
		     200);
	r = agent_get(&n, t.job_path);
	cr_expect_str_eq(j_str(decode_job(&r), "status"), "cancelled");
	expect_end(&t, "cancelled", "completed");
	nothing_to_do(&n);
}

/* A status that ended elsewhere is read with its reason; the agent calls nothing back. */
Test(agent_daemon, controller_terminal)
{
	struct node n = enroll_node("Terminal");
	struct take t = start_recording(&n);

	claim(&n, &t);
	upload(&n, &t, "audio/wav", "early.wav", NULL);
	struct response r = agent_get(&n, t.job_path);
	cr_expect_str_eq(j_str(decode_job(&r), "status"), "completed");
	must(agent_post_empty(&n, fmt("%s/heartbeat", t.job_path), CLAIM_LINE(&n)), 409);

	t = start_recording(&n);
	claim(&n, &t);
	fail_job(&n, &t, "lost elsewhere");
	r = agent_get(&n, t.job_path);
	cr_expect_str_eq(j_str(decode_job(&r), "status"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "lost elsewhere");
}

/* capture-start-failure, capture-failure, tiny-capture-failure, stalled-capture, render-failure, full disks */
static const struct {
	const char *reason, *type, *details;
} local_failures[] = {
    {"run capture command /nowhere/arecord", "capture_start_failed",
     "\"channelMap\":null,\"command\":\"/nowhere/"
     "arecord\",\"device\":\"fake-device\",\"error\":\"e\",\"outputPath\":\"p\""},
    {"capture command ./fake failed with status exit status: 43", "capture_failed",
     "\"channelMap\":null,\"device\":\"fake-device\",\"error\":\"exit status: 43\",\"outputPath\":\"p\""},
    {"capture output is too small: take.raw.wav has 4 bytes, expected at least 44", "capture_failed",
     "\"channelMap\":null,\"device\":\"fake-device\",\"error\":\"too small\",\"outputPath\":\"p\""},
    {"capture output stalled: size=Some(4) age=31.002s unchanged=30.5s", "capture_output_stalled",
     "\"channelMap\":null,\"device\":\"d\",\"error\":\"e\",\"growthAgeSeconds\":31.00200080871582,"
     "\"growthGraceSeconds\":10,"
     "\"lastGrowthSecondsAgo\":30,\"outputPath\":\"p\",\"sizeBytes\":4,\"stalledSeconds\":30"},
    {"capture output stalled: size=None", "capture_output_stalled",
     "\"channelMap\":null,\"device\":\"d\",\"error\":\"e\",\"growthAgeSeconds\":0.23000000417232513,"
     "\"growthGraceSeconds\":0,"
     "\"lastGrowthSecondsAgo\":null,\"outputPath\":\"p\",\"sizeBytes\":null,\"stalledSeconds\":1"},
    {"recording render command ./render failed with status exit status: 42: größer als gedacht", "output_render_failed",
     "\"channelMap\":null,\"error\":\"e\",\"outputBitrateKbps\":128,\"outputCodec\":\"mp3\",\"outputVbr\":true,"
     "\"rawOutputBytes\":96044,\"rawOutputPath\":\"r\",\"renderCommand\":\"./render\",\"renderedOutputPath\":\"o\""},
    {"insufficient_capture_disk_space", "disk_space_insufficient",
     "\"freeBytes\":1024,\"outputPath\":\"p\",\"requiredBytes\":691204096,\"systemHealthDiskPath\":\".\","
     "\"totalBytes\":"
     "9007199254740991,\"usedPercent\":99.5"},
    {"capture_disk_space_exhausted: required 4096 remaining bytes but only 12 bytes free", "disk_space_exhausted",
     "\"estimatedCaptureBytes\":1,\"freeBytes\":12,\"growthAgeSeconds\":1.5,\"outputPath\":\"p\",\"remainingBytes\":"
     "4096,"
     "\"systemHealthDiskPath\":\".\",\"writtenBytes\":0"},
};

Test(agent_daemon, local_failures_end_the_job)
{
	struct node n = enroll_node("Local failures");

	for (size_t i = 0; i < LENGTH(local_failures); i++) {
		struct take t = start_recording(&n);

		claim(&n, &t);
		fail_job(&n, &t, local_failures[i].reason);
		job_event(&n, local_failures[i].type, "critical", &t, local_failures[i].details);
		struct response r = get(t.job_path, admin());
		cr_expect_str_eq(j_str(r.json, "data.failureReason"), local_failures[i].reason);
		expect_end(&t, "failed", "failed");
		nothing_to_do(&n);
	}
}

/* A reason of several KB, as ffmpeg writes them into one line. */
Test(agent_daemon, a_long_reason)
{
	struct node n = enroll_node("Long reason");
	struct take t = start_recording(&n);
	char *reason = calloc(1, 6001);

	memset(reason, 'x', 6000);
	claim(&n, &t);
	fail_job(&n, &t, reason);
	expect_end(&t, "failed", "failed");
}

static void device_lost(const struct node *n, const struct take *t, int attempt)
{
	job_event(
	    n, "capture_device_lost", "warning", t,
	    fmt("\"attempt\":%d,\"backend\":\"alsa\",\"device\":\"fake-device\",\"error\":\"Input/output error\","
	        "\"nextAttempt\":%d,\"outputBytes\":4096,\"outputPath\":\"p\",\"retryAttempts\":3,\"segmentPath\":"
	        "\"p.segment-%d.wav\",\"willRetry\":true",
	        attempt, attempt + 1, attempt));
	job_event(n, "capture_runtime_restarted", "info", t,
	          fmt("\"attempt\":%d,\"device\":\"fake-device\",\"outputPath\":\"p\"", attempt + 1));
}

Test(agent_daemon, capture_device_lost)
{
	struct node n = enroll_node("Device lost");
	struct take t = start_recording(&n);

	claim(&n, &t);
	device_lost(&n, &t, 1);
	cr_expect_str_eq(poll_job(&n, &t), "running");
	device_lost(&n, &t, 2);
	fail_job(&n, &t, "capture command ./fake failed with status exit status: 1: Input/output error");
	job_event(
	    &n, "capture_device_lost", "critical", &t,
	    "\"backend\":\"alsa\",\"device\":\"fake-device\",\"error\":\"Input/output error\",\"outputPath\":\"p\"");
	expect_end(&t, "failed", "failed");
}

Test(agent_daemon, capture_device_recovered)
{
	struct node n = enroll_node("Device recovered");
	struct take t = start_recording(&n);

	claim(&n, &t);
	job_event(&n, "capture_device_refreshed", "info", &t,
	          "\"captureInterfaceId\":\"alsa_card_smoke_dev_0\",\"previousDevice\":\"hw:CARD=OLD,DEV=0\","
	          "\"refreshedDevice\":\"hw:CARD=SMOKE,DEV=0\"");
	device_lost(&n, &t, 1);
	cr_expect_str_eq(poll_job(&n, &t), "running");
	job_event(&n, "capture_segments_stitched", "info", &t,
	          "\"attempts\":2,\"finalCapturePath\":\"p\",\"gapCount\":1,\"segmentBytes\":4096,\"segmentCount\":1,"
	          "\"segmentPaths\":[\"p.segment-1.wav\"],\"stitchedBytes\":100140,\"stitchedOutputPath\":\"q\"");
	deliver(&n, &t);
	expect_end(&t, "completed", "cached");
}

/*
 * control-plane-failure, status-poll-failure, channel-map-failure, recorder-cache-track-failure, both disk recoveries
 */
static const struct {
	const char *type, *severity, *details;
} hiccups[] = {
    {"control_plane_failed", "warning",
     "\"error\":\"controller rejected job heartbeat with 503 Service Unavailable: busy\""},
    {"control_plane_recovered", "info", ""},
    {"status_poll_failed", "warning", "\"error\":\"fetch recording job status\""},
    {"channel_map_lookup_failed", "warning", "\"error\":\"decode channel map assignments\""},
    {"disk_space_cleanup_skipped", "warning",
     "\"error\":\"e\",\"freeBytes\":1,\"outputPath\":\"p\",\"requiredBytes\":2,\"systemHealthDiskPath\":\".\""},
    {"disk_space_cleanup_attempted", "info",
     "\"deleted\":1,\"errors\":0,\"freeBytes\":1,\"items\":[{\"errors\":[],\"policyId\":\"p\",\"reason\":\"max_bytes\","
     "\"recordingId\":\"r\",\"status\":\"deleted\"}],\"outputPath\":\"p\",\"requiredBytes\":2,\"scanned\":1,"
     "\"systemHealthDiskPath\":\".\""},
    {"disk_space_recovered", "info",
     "\"freeBytes\":3,\"initialFreeBytes\":1,\"outputPath\":\"p\",\"requiredBytes\":2,\"systemHealthDiskPath\":\".\""},
    {"disk_space_exhausted", "warning",
     "\"estimatedCaptureBytes\":1,\"freeBytes\":1,\"growthAgeSeconds\":1.25,\"outputPath\":\"p\",\"remainingBytes\":4,"
     "\"systemHealthDiskPath\":\".\",\"willRetry\":true,\"writtenBytes\":0"},
    {"disk_space_runtime_recovered", "info",
     "\"estimatedCaptureBytes\":1,\"freeBytes\":9,\"outputPath\":\"p\",\"remainingBytes\":1,\"requiredBytes\":1,"
     "\"systemHealthDiskPath\":\".\",\"writtenBytes\":1"},
    {"capture_device_unavailable", "warning", "\"attempt\":1,\"device\":\"d\",\"error\":\"e\",\"retryAttempts\":3"},
    {"capture_device_recovered", "info", "\"attempt\":2,\"device\":\"d\""},
    {"capture_segments_stitch_failed", "warning",
     "\"error\":\"e\",\"finalCapturePath\":\"p\",\"segmentCount\":1,\"segmentPaths\":[\"s\"]"},
    {"recorder_cache_tracked", "info", "\"maxAgeDays\":7,\"maxBytes\":null,\"policyId\":\"p\""},
    {"recorder_cache_track_failed", "warning", "\"error\":\"Is a directory\",\"policyId\":\"p\""},
    {"recorder_cache_delete_failed", "warning", "\"deletedPaths\":[],\"errors\":[\"e\"],\"policyId\":\"p\""},
};

Test(agent_daemon, hiccups_do_not_end_a_recording)
{
	struct node n = enroll_node("Hiccups");
	struct take t = start_recording(&n);

	claim(&n, &t);
	for (size_t i = 0; i < LENGTH(hiccups); i++) {
		job_event(&n, hiccups[i].type, hiccups[i].severity, &t, hiccups[i].details);
		cr_expect_str_eq(poll_job(&n, &t), "running", "%s", hiccups[i].type);
	}
	deliver(&n, &t);
	expect_end(&t, "completed", "cached");
}

/* concurrent: the node says how many it can record at once */
Test(agent_daemon, concurrent)
{
	struct node n = enroll_node("Concurrent");

	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":2}}"), 200);
	cr_expect_eq(j_int(read_config(&n), "recordingCapacity.maxConcurrentRecordings"), 2);
	struct take first = start_recording(&n), second = start_recording(&n);
	claim(&n, &first);
	claim(&n, &second);
	nothing_to_do(&n);
	tick(&n, 9);
	cr_expect_str_eq(poll_job(&n, &first), "running");
	cr_expect_str_eq(poll_job(&n, &second), "running");
	deliver(&n, &second);
	cr_expect_str_eq(poll_job(&n, &first), "running", "the other one goes on");
	deliver(&n, &first);
	expect_end(&first, "completed", "cached");
	expect_end(&second, "completed", "cached");
}

/* ---- the node's configuration ------------------------------------------------------------------------------------ */

Test(agent_daemon, the_configuration_can_be_decoded_in_every_form)
{
	static const char *const forms[] = {
	    "{\"audioDefaults\":{\"captureBackend\":\"pipewire\",\"captureSampleRate\":48000,\"captureChannels\":8,"
	    "\"captureDevice\":\"hw:CARD=XUSB,DEV=0\"}}",
	    "{\"audioDefaults\":{}}",
	    "{\"recordingCapacity\":{\"maxConcurrentRecordings\":3}}",
	    "{\"audioDefaults\":{\"captureArgsTemplate\":\"-D {device} {output}\",\"captureFormat\":\"S24_3LE\"}}",
	};
	struct node n = enroll_node("Configured");

	for (size_t i = 0; i < LENGTH(forms); i++) {
		must(patch(n.path, admin(), "%s", forms[i]), 200);
		json_object *config = read_config(&n);

		cr_expect_eq(j_has(config, "audioDefaults"), i != 1 && i != 2, "%zu: %s", i,
		             json_object_to_json_string(config));
	}
	/* and the job that is made from it */
	struct take t = start_recording(&n);
	json_object *job = claim(&n, &t);
	cr_expect_str_eq(j_str(job, "command.captureFormat"), "S24_3LE");
}

/* channel-map-applied: only where the settings can be edited */
Test(agent_daemon, channel_maps)
{
	struct node n = enroll_node("Mapped");
	struct response r =
	    post("/api/v1/settings/channel-map-templates", admin(),
	         "{\"name\":\"Smoke\",\"channelMode\":\"stereo\",\"entries\":[{\"included\":true,\"label\":\"L\","
	         "\"outputChannelIndex\":1,\"sourceChannelIndex\":1},{\"included\":false,\"label\":\"Spare\","
	         "\"sourceChannelIndex\":2}],\"tags\":[]}");
	if (r.status == 404)
		cr_skip_test("there are no routes for channel maps");
	must(r, 201);
	r = put("/api/v1/settings/channel-map-assignments", admin(),
	        "{\"targetId\":\"%s\",\"targetType\":\"interface\",\"templateId\":\"%s\"}", n.interface_id,
	        j_str(r.json, "data.id"));
	cr_assert(r.status == 200 || r.status == 201, "%s", r.body);
	r = agent_get(&n, fmt("%s/channel-map-assignments", n.path));
	must(r, 200);
	json_object *maps = decode_assignments(&r);
	cr_assert_eq(json_object_array_length(maps), 1);
	cr_expect_str_eq(j_str(maps, "0.assignment.targetId"), n.interface_id);
	struct take t = start_recording(&n);
	claim(&n, &t);
	job_event(&n, "channel_map_applied", "info", &t,
	          fmt("\"assignmentId\":\"%s\",\"captureChannels\":2,\"channelMode\":\"stereo\","
	              "\"configuredCaptureChannels\":1,"
	              "\"entryCount\":2,\"targetId\":\"%s\",\"targetType\":\"interface\",\"templateId\":\"%s\","
	              "\"templateName\":\"Smoke\"",
	              j_str(maps, "0.assignment.id"), n.interface_id, j_str(maps, "0.template.id")));
	deliver(&n, &t);
	expect_end(&t, "completed", "cached");
}

/* ---- restart recovery -------------------------------------------------------------------------------------------- */

static void recovered(const struct node *n, const struct take *t, const char *status, const char *more)
{
	started(n);
	job_event(n, "recovered_after_restart", "warning", t,
	          fmt("\"nodeId\":\"%s\",\"outputPath\":\"p\",\"previousStatus\":\"%s\",\"stateUpdatedAt\":\"%s\",%s",
	              n->id, status, timestamp(9), more));
}

Test(agent_daemon, restart_recovery)
{
	struct node n = enroll_node("Restart");
	struct take t = start_recording(&n);

	claim(&n, &t);
	recovered(
	    &n, &t, "running",
	    "\"outputBytes\":96044,\"recoveredSegmentCount\":1,\"recoveredSegments\":[{\"attempt\":1,\"bytes\":4096,"
	    "\"path\":\"p.segment-1.wav\"}],\"willUpload\":true");
	upload(&n, &t, "audio/wav", "take.raw.wav", NULL);
	expect_end(&t, "completed", "cached");
	upload(&n, &t, "audio/wav", "take.raw.wav", NULL); /* once more is no harm (Trap 17) */
	expect_end(&t, "completed", "cached");
	tick(&n, 9);
}

Test(agent_daemon, power_loss_with_a_tiny_partial_file)
{
	struct node n = enroll_node("Power loss");
	struct take t = start_recording(&n);

	claim(&n, &t);
	recovered(&n, &t, "running", "\"outputBytes\":4,\"willUpload\":false");
	fail_job(&n, &t, "agent_restarted_during_recording");
	expect_end(&t, "failed", "failed");
	fail_job(&n, &t, "agent_restarted_during_recording"); /* must be 2xx, or recovery stays pending */
}

Test(agent_daemon, uploaded_recovery)
{
	struct node n = enroll_node("Uploaded");
	struct take t = start_recording(&n);

	claim(&n, &t);
	upload(&n, &t, "audio/mpeg", "take.mp3", "1");
	recovered(&n, &t, "uploaded", "\"rawOutputPath\":\"r\",\"uploadAlreadyAccepted\":true,\"willUpload\":false");
	job_event(&n, "recorder_cache_deleted", "info", &t,
	          "\"deletedPaths\":[\"a\"],\"policyId\":\"p\",\"recoveredAfterRestart\":true");
	expect_end(&t, "completed", "cached");
}

/* ---- events of the node ------------------------------------------------------------------------------------------ */

#define QUALITY                                                                                                        \
	"\"quality\":{\"maxBroadbandNoiseScore\":0.23000000417232513,\"maxHumScore\":0.0,\"maxNoiseScore\":0."         \
	"2199999988079071,"                                                                                            \
	"\"maxSpeechScore\":0.7799999713897705,\"maxStaticScore\":0.07,\"minEstimatedSnrDb\":19.899999618530273,"      \
	"\"minIntelligibilityScore\":0.61}"
#define SYNC(extra) "{\"capturedAt\":\"2027-03-04T05:06:07.5Z\",\"interfaceId\":\"i\",\"nodeId\":\"n\"" extra "}"

static const struct {
	const char *type, *severity, *details;
} node_events[] = {
    {"agent.node_heartbeat.sync_failed", "warning",
     "{\"alias\":\"a\",\"audioBackends\":[\"alsa\"],\"error\":\"controller rejected node heartbeat with 503 Service "
     "Unavailable: "
     "{}\",\"hostname\":\"h\",\"interfaceCount\":1,\"lastSeenAt\":\"2027-03-04T05:06:07Z\",\"nodeId\":\"n\",\"status\":"
     "\"online\"}"},
    {"agent.node_heartbeat.sync_recovered", "info",
     "{\"alias\":\"a\",\"audioBackends\":[\"alsa\"],\"error\":null,\"hostname\":\"h\",\"interfaceCount\":1,"
     "\"lastSeenAt\":"
     "\"2027-03-04T05:06:07.1Z\",\"nodeId\":\"n\",\"status\":\"online\"}"},
    {"agent.meter_frame.sync_failed", "warning",
     SYNC(",\"channelCount\":2,\"error\":\"post meter frame to controller\"")},
    {"agent.meter_frame.sync_recovered", "info", SYNC(",\"channelCount\":2")},
    {"agent.listen_monitor.chunk_sync_failed", "warning",
     SYNC(",\"contentType\":\"audio/wav\",\"durationMs\":1000,\"error\":\"e\",\"monitorBytes\":32044")},
    {"agent.listen_monitor.chunk_sync_recovered", "info",
     SYNC(",\"contentType\":\"audio/wav\",\"durationMs\":1000,\"error\":null,\"monitorBytes\":32044")},
    {"agent.node_config.sync_failed", "warning",
     "{\"audioDefaultsConfigured\":null,\"error\":\"decode node "
     "config\",\"maxConcurrentRecordings\":1,\"nodeId\":\"n\","
     "\"recorderCachePolicyCount\":null}"},
    {"agent.node_config.sync_recovered", "info",
     "{\"audioDefaultsConfigured\":false,\"error\":null,\"maxConcurrentRecordings\":1,\"nodeId\":\"n\","
     "\"recorderCachePolicyCount\":0}"},
    {"agent.system.clock_skew", "warning",
     "{\"absoluteSkewSeconds\":10,\"nodeId\":\"n\",\"skewSeconds\":-10,\"warningSeconds\":5}"},
    {"agent.system.clock_skew_recovered", "info", "{\"absoluteSkewSeconds\":0,\"nodeId\":\"n\",\"skewSeconds\":0}"},
    {"agent.system.disk_pressure", "critical",
     "{\"criticalPercent\":95.0,\"nodeId\":\"n\",\"path\":\".\",\"usedPercent\":96.5,\"warningPercent\":85.0}"},
    {"agent.system.disk_recovered", "info",
     "{\"criticalPercent\":95.0,\"nodeId\":\"n\",\"path\":\".\",\"usedPercent\":10.0,\"warningPercent\":85.0}"},
    {"agent.system.cpu_pressure", "warning",
     "{\"cores\":4,\"criticalLoadPerCore\":4.0,\"loadAverageOneMinute\":12.5,\"loadPerCore\":3.125,\"nodeId\":\"n\","
     "\"warningLoadPerCore\":2.0}"},
    {"agent.system.cpu_recovered", "info",
     "{\"cores\":4,\"criticalLoadPerCore\":4.0,\"loadAverageOneMinute\":0.0,\"loadPerCore\":0.0,\"nodeId\":\"n\","
     "\"warningLoadPerCore\":2.0}"},
    {"agent.audio_backend.unavailable", "warning",
     "{\"audioBackends\":[\"unknown\"],\"availableInterfaces\":0,\"backendCount\":0,\"interfaces\":[],\"nodeId\":"
     "\"n\"}"},
    {"agent.audio_backend.recovered", "info",
     "{\"audioBackends\":[\"alsa\"],\"availableInterfaces\":1,\"backendCount\":1,\"interfaces\":[{\"id\":\"i\"}],"
     "\"nodeId\":\"n\"}"},
    {"agent.meter.capture_failed", "warning",
     "{\"backend\":\"alsa\",\"classification\":\"capture_failed\",\"device\":\"d\",\"error\":\"e\",\"format\":\"S16_"
     "LE\","
     "\"nodeId\":\"n\",\"usingSyntheticFallback\":true}"},
    {"agent.meter.device_unavailable", "critical",
     "{\"backend\":\"alsa\",\"classification\":\"device_unavailable\",\"device\":\"d\",\"error\":\"e\",\"format\":"
     "\"S16_LE\","
     "\"nodeId\":\"n\",\"usingSyntheticFallback\":true}"},
    {"agent.meter.xrun", "warning",
     "{\"backend\":\"alsa\",\"classification\":\"xrun\",\"device\":\"d\",\"error\":\"e\",\"format\":\"S16_LE\","
     "\"nodeId\":\"n\","
     "\"usingSyntheticFallback\":true}"},
    {"agent.meter.capture_recovered", "info",
     "{\"backend\":\"alsa\",\"device\":\"d\",\"format\":\"S16_LE\",\"nodeId\":\"n\",\"previousKind\":\"xrun\","
     "\"previousType\":"
     "\"agent.meter.xrun\"}"},
    {"agent.meter.channel_correlation", "warning",
     SYNC(",\"correlationAbsScore\":0.9900000095367432,\"faultScore\":0.5,\"pairs\":[{\"left\":1,\"right\":2}]"
          "," QUALITY)},
    {"agent.meter.channel_correlation_recovered", "info", SYNC("")},
    {"agent.meter.clipping", "warning", SYNC(",\"channels\":[1],\"clipDbfs\":-1.0,\"faultScore\":0.5," QUALITY)},
    {"agent.meter.clipping_recovered", "info", SYNC("")},
    {"agent.meter.flatline", "warning", SYNC(",\"faultScore\":1.0,\"flatlineDbfs\":-120.0,\"maxRmsDbfs\":-160.0")},
    {"agent.meter.flatline_recovered", "info", SYNC(",\"maxRmsDbfs\":-31.600000381469727," QUALITY)},
    {"agent.meter.low_signal", "warning",
     SYNC(",\"faultScore\":0.5,\"lowSignalDbfs\":-55.0,\"maxRmsDbfs\":-60.0,\"maxSpeechScore\":0.0," QUALITY)},
    {"agent.meter.low_signal_recovered", "info", SYNC(",\"maxRmsDbfs\":-30.0,\"maxSpeechScore\":0.5," QUALITY)},
    {"agent.recorder_cache.sweep_completed", "info",
     "{\"deleted\":1,\"errors\":0,\"items\":[{\"errors\":[],\"policyId\":\"p\",\"reason\":\"min_free_disk\","
     "\"recordingId\":\"r\","
     "\"status\":\"deleted\"}],\"scanned\":2}"},
    {"agent.recording_job.restart_recovery_synced", "info", "{\"nodeId\":\"n\"}"},
};

Test(agent_daemon, every_event_of_a_node_is_taken)
{
	struct node n = enroll_node("Events");

	for (size_t i = 0; i < LENGTH(node_events); i++)
		event(&n, node_events[i].type, node_events[i].severity, NULL, node_events[i].details);
	json_object *stored = stored_event("agent.meter.clipping", n.id);
	if (stored != NULL) /* the route for users may not be there */
		cr_expect_float_eq(j_num(stored, "details.quality.maxNoiseScore"), 0.2199999988079071, 1e-15);
}

/* ---- the decoder itself ------------------------------------------------------------------------------------------ */

Test(agent_daemon, the_decoder_is_strict)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "{\"data\":null}",
	    "{\"data\":{\"recorderCachePolicies\":null}}",
	    "{\"data\":{\"recordingCapacity\":{}}}",
	    "{\"data\":{\"recordingCapacity\":{\"maxConcurrentRecordings\":2.0}}}",
	    "{\"data\":{\"recordingCapacity\":{\"maxConcurrentRecordings\":2e0}}}",
	    "{\"data\":{\"recordingCapacity\":{\"maxConcurrentRecordings\":\"2\"}}}",
	    "{\"data\":{\"recordingCapacity\":{\"maxConcurrentRecordings\":-1}}}",
	    "{\"data\":{\"audioDefaults\":{\"captureBackend\":\"unknown\"}}}",
	    "{\"data\":{\"audioDefaults\":{\"captureChannels\":65536}}}",
	    "{\"data\":{\"recorderCachePolicies\":[{\"deleteAfterUpload\":null,\"policyId\":\"p\"}]}}",
	    "{\"data\":{\"recorderCachePolicies\":[{\"deleteAfterUpload\":true,\"policyId\":\"p\","
	    "\"minFreeDiskPercent\":256}]}}",
	    "{\"data\":{\"recordingCapacity\":{\"maxConcurrentRecordings\":1,\"maxConcurrentRecordings\":1}}}",
	};
	static const char *const good[] = {
	    "{\"data\":{}}",
	    "{\"data\":{\"audioDefaults\":null,\"recorderCachePolicies\":[],\"recordingCapacity\":null,\"more\":[1.5]}"
	    "}",
	    "{\"data\":{\"recorderCachePolicies\":[{\"deleteAfterUpload\":true,\"policyId\":\"p\",\"maxBytes\":null}]}"
	    "}",
	};

	for (size_t i = 0; i < LENGTH(bad); i++)
		cr_expect_not_null(config_problem(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < LENGTH(good); i++)
		cr_expect_null(config_problem(good[i]), "%s: %s", good[i], config_problem(good[i]));
}
