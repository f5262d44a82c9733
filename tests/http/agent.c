/* What a recorder node calls: credentials, config, heartbeat, meter frame, chunk, health events (02 5, 10; 06 4.1). */
#include "http/harness.h"

#include <stdlib.h>
#include <string.h>

/* Path of the first issue, dotted. */
static const char *issue_path(const struct response *r)
{
	char *path = "";

	for (size_t k = 0; k < j_count(r->json, "issues.0.path"); k++)
		path = fmt("%s%s%s", path, k > 0 ? "." : "",
		           json_object_get_string(j_at(r->json, fmt("issues.0.path.%zu", k))));
	return path;
}

/* ---- credentials ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *method, *tail, *permission, *action;
} routes[] = {
    {"POST", "listen/chunk", "node:control", "nodes.listen_monitor.chunk.ingest.failed"},
    {"GET", "config", "node:control", "nodes.config.read.failed"},
    {"POST", "meter-frame", "node:control", "nodes.meter_frame.ingest.failed"},
    {"GET", "channel-map-assignments", "node:control", "nodes.channel_map_assignments.read.failed"},
    {"POST", "heartbeat", "node:control", "nodes.heartbeat.failed"},
    {"POST", "health-events", "health:acknowledge", "nodes.health_events.sync.failed"},
};

static struct response ask(size_t i, const struct node *n, const char *authorization)
{
	const char *const headers[] = {authorization, NULL};

	return http(routes[i].method, fmt("%s/%s", n->path, routes[i].tail), NULL, headers, NULL, 0);
}

Test(agent, every_route_needs_a_credential)
{
	struct node n = enroll_node("Guarded");
	static const char *const none[] = {"X: y", "Authorization: Basic abc", "Authorization: Bearer",
	                                   "Authorization: Bearer  two-spaces"};

	for (size_t i = 0; i < LENGTH(routes); i++) {
		for (size_t k = 0; k < LENGTH(none); k++) {
			struct response r = ask(i, &n, none[k]);

			expect_refusal(&r, 401, "Node credential required");
		}
		json_object *event = audit_last(routes[i].action, n.id);

		expect_event(event, "denied", "missing_node_token");
		cr_expect_str_eq(j_str(event, "actor.id"), "anonymous");
		cr_expect_str_eq(j_str(event, "permission"), routes[i].permission);
		struct response r = ask(i, &n, fmt("Authorization: Bearer %s", admin()));

		expect_refusal(&r, 401, "Invalid node credential");
		event = audit_last(routes[i].action, n.id);
		expect_event(event, "denied", "invalid_node_token");
		cr_expect_str_eq(j_str(event, "actor.id"), "anonymous");
	}
}

Test(agent, a_credential_is_for_one_node)
{
	struct node n = enroll_node("Mine"), other = enroll_node("Other");

	for (size_t i = 0; i < LENGTH(routes); i++) {
		struct response r = ask(i, &other, fmt("Authorization: Bearer %s", n.token));

		expect_refusal(&r, 403, "Node credential cannot access this node");
		json_object *event = audit_last(routes[i].action, other.id);

		expect_event(event, "failed", "node_scope_denied");
		cr_expect_str_eq(j_str(event, "actor.id"), n.id);
		cr_expect_str_eq(j_str(event, "actor.type"), "node");
	}
	struct response r = http("GET", fmt("%s/config", n.path), NULL,
	                         (const char *const[]){fmt("Authorization: BEARER %s extra", n.token), NULL}, NULL, 0);
	must(r, 200);
}

/* ---- config ------------------------------------------------------------------------------------------------------ */

Test(agent, config_follows_the_node)
{
	struct node n = enroll_node("Config");
	struct response r = get(fmt("%s/config", n.path), n.token);

	must(r, 200);
	cr_expect_not(j_has(r.json, "data.audioDefaults"));
	cr_expect(json_object_is_type(j_at(r.json, "data.recorderCachePolicies"), json_type_array));
	cr_expect_eq(j_int(r.json, "data.recordingCapacity.maxConcurrentRecordings"), 1);
	json_object *event = audit_last("nodes.config.read.succeeded", n.id);

	cr_expect_not(j_true(event, "details.audioDefaultsConfigured"));
	cr_expect_str_eq(j_str(event, "actor.id"), n.id);
	cr_expect_str_eq(j_str(event, "permission"), "node:control");
	r = patch(n.path, admin(),
	          "{\"audioDefaults\":{\"captureBackend\":\"alsa\",\"captureSampleRate\":48000},"
	          "\"recordingCapacity\":{\"maxConcurrentRecordings\":2}}");
	must(r, 200);
	r = get(fmt("%s/config", n.path), n.token);
	cr_expect_eq(j_int(r.json, "data.audioDefaults.captureSampleRate"), 48000);
	cr_expect_eq(j_int(r.json, "data.recordingCapacity.maxConcurrentRecordings"), 2);
	cr_expect(j_true(audit_last("nodes.config.read.succeeded", n.id), "details.audioDefaultsConfigured"));
}

/* ---- heartbeat --------------------------------------------------------------------------------------------------- */

#define BEAT "\"agentVersion\":\"0.5\",\"hostname\":\"h\""

Test(agent, heartbeat_reports_the_node)
{
	struct node n = enroll_node("Beating");
	const char *path = fmt("%s/heartbeat", n.path);
	struct response r =
	    post(path, n.token,
	         "{" BEAT ",\"alias\":\"x\",\"id\":\"x\",\"interfaces\":[],\"location\":{\"room\":\"x\","
	         "\"site\":\"x\"},\"tags\":[\"x\"],\"lastSeenAt\":\"x\",\"ipAddresses\":[\"192.0.2.1\"],"
	         "\"runtime\":{\"audioBackends\":[\"alsa\"],\"osName\":\"a\\u0000b\",\"uptimeSeconds\":1,"
	         "\"other\":1},\"status\":\"online\"}");
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Beating");
	cr_expect_str_eq(j_str(r.json, "data.location.site"), "Theatre");
	cr_expect_eq(j_count(r.json, "data.interfaces"), 1);
	cr_expect_str_eq(j_str(r.json, "data.tags.0"), "test");
	cr_expect_str_eq(j_str(r.json, "data.ipAddresses.0"), "192.0.2.1");
	cr_expect_str_eq(j_str(r.json, "data.runtime.osName"), "ab");
	cr_expect_not(j_has(r.json, "data.runtime.other"));
	json_object *event = audit_last("nodes.heartbeat.succeeded", n.id);

	cr_expect(j_true(event, "details.changed"));
	cr_expect_str_eq(j_str(event, "before.status"), "offline");
	cr_expect_str_eq(j_str(event, "after.status"), "online");
	cr_expect_str_eq(j_str(event, "target.name"), "Beating");

	r = post(path, n.token, "{" BEAT "}"); /* addresses are reset, the runtime is kept (02 T5) */
	must(r, 202);
	cr_expect_eq(j_count(r.json, "data.ipAddresses"), 0);
	cr_expect_eq(j_int(r.json, "data.runtime.uptimeSeconds"), 1);
	r = post(path, n.token, "{" BEAT "}");
	must(r, 202);
	event = audit_last("nodes.heartbeat.succeeded", n.id);
	cr_expect_not(j_true(event, "details.changed"));
	cr_expect_not(j_has(event, "before"));
}

Test(agent, heartbeat_status)
{
	struct node n = enroll_node("States");
	static const struct {
		const char *sent, *stored;
	} rows[] = {
	    {"degraded", "degraded"}, {"recording", "recording"}, {"alerting", "alerting"}, {"offline", "online"}};

	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r =
		    post(fmt("%s/heartbeat", n.path), n.token, "{" BEAT ",\"status\":\"%s\"}", rows[i].sent);

		must(r, 202);
		cr_expect_str_eq(j_str(r.json, "data.status"), rows[i].stored);
		r = get(n.path, admin());
		cr_expect_str_eq(j_str(r.json, "data.status"), rows[i].stored);
	}
}

Test(agent, heartbeat_keeps_sixteen_addresses)
{
	struct node n = enroll_node("Containers");
	char *list = "";

	for (int i = 0; i < 40; i++)
		list = fmt("%s%s\"10.0.0.%d\"", list, i > 0 ? "," : "", i);
	struct response r = post(fmt("%s/heartbeat", n.path), n.token, "{" BEAT ",\"ipAddresses\":[%s]}", list);

	must(r, 202);
	cr_expect_eq(j_count(r.json, "data.ipAddresses"), 16);
	cr_expect_str_eq(j_str(r.json, "data.ipAddresses.15"), "10.0.0.15");
	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
}

Test(agent, heartbeat_refuses)
{
	struct node n = enroll_node("Refused");
	static const struct {
		const char *body, *path;
	} rows[] = {
	    {"", "agentVersion"},
	    {"{\"hostname\":\"h\"}", "agentVersion"},
	    {"{\"agentVersion\":\" \",\"hostname\":\"h\"}", "agentVersion"},
	    {"{\"agentVersion\":\"1\",\"hostname\":2}", "hostname"},
	    {"{" BEAT ",\"status\":\"idle\"}", "status"},
	    {"{" BEAT ",\"ipAddresses\":null}", "ipAddresses"},
	    {"{" BEAT ",\"ipAddresses\":[\"\"]}", "ipAddresses.0"},
	    {"{" BEAT ",\"runtime\":{\"audioBackends\":[\"oss\"]}}", "runtime.audioBackends.0"},
	    {"{" BEAT ",\"runtime\":{\"uptimeSeconds\":\"1\"}}", "runtime.uptimeSeconds"},
	    {"{" BEAT ",\"runtime\":null}", "runtime"},
	    {"null", ""},
	    {"[1]", ""},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = post(fmt("%s/heartbeat", n.path), n.token, "%s", rows[i].body);

		expect_refusal(&r, 400, "Invalid node heartbeat");
		cr_expect_str_eq(issue_path(&r), rows[i].path, "row %zu: %s", i, r.body);
		expect_event(audit_last("nodes.heartbeat.failed", n.id), "failed", "invalid_request");
	}
}

/* ---- meter frame ------------------------------------------------------------------------------------------------- */

#define LEVEL(more)                                                                                                    \
	"{\"channelIndex\":1,\"clipping\":false,\"label\":\"Input 1\",\"peakDbfs\":-14.2,\"rmsDbfs\":-27.9" more "}"
#define QUALITY(more)                                                                                                  \
	",\"quality\":{\"crestFactorDb\":13.7,\"noiseScore\":0.2,\"speechLike\":true,\"speechScore\":0.81,"            \
	"\"zeroCrossingRate\":0.09" more "}"

static struct response send_frame(const struct node *n, const char *levels)
{
	return post(
	    fmt("%s/meter-frame", n->path), n->token,
	    "{\"capturedAt\":\"2031-03-04T05:06:05.512345678Z\",\"interfaceId\":\"alsa_hw_1_0\",\"nodeId\":\"%s\","
	    "\"levels\":%s,\"extra\":1}",
	    n->id, levels);
}

Test(agent, meter_frame_is_kept)
{
	struct node n = enroll_node("Metered");
	struct response r =
	    send_frame(&n, "[" LEVEL(QUALITY(",\"channelCorrelation\":{\"peerChannelIndex\":2,\"phase\":\"same\","
	                                     "\"score\":-1},\"x\":1")) "," LEVEL(",\"clipping\":true") "]");

	must(r, 202);
	cr_expect_eq(j_num(r.json, "data.frame.levels.0.peakDbfs"), -14.2);
	cr_expect_eq(j_int(r.json, "data.frame.levels.0.quality.channelCorrelation.score"), -1);
	cr_expect_not(j_has(r.json, "data.frame.extra"));
	cr_expect_not(j_has(r.json, "data.frame.levels.0.quality.x"));
	cr_expect(j_has(r.json, "data.receivedAt"));
	json_object *event = audit_last("nodes.meter_frame.ingest.succeeded", n.id);

	cr_expect_eq(j_int(event, "details.levelCount"), 2);
	cr_expect_eq(j_int(event, "details.clippingCount"), 1);
	cr_expect_eq(j_int(event, "details.qualityLevelCount"), 1);
	cr_expect_str_eq(j_str(event, "details.capturedAt"), "2031-03-04T05:06:05.512345678Z");
	cr_expect_not(j_has(event, "target.name"));
	struct response meters = get(fmt("%s/meters", n.path), admin());

	must(meters, 200);
	cr_expect(json_object_equal(j_at(meters.json, "data"), j_at(r.json, "data.frame")));
	r = get(n.path, admin()); /* not a sign of life (02 T31) */
	cr_expect_str_eq(j_str(r.json, "data.status"), "offline");
}

Test(agent, meter_frame_refuses)
{
	struct node n = enroll_node("Strict");
	static const struct {
		const char *levels, *path;
	} rows[] = {
	    {"null", "levels"},
	    {"[1]", "levels.0"},
	    {"[{}]", "levels.0.channelIndex"},
	    {"[" LEVEL(",\"channelIndex\":0") "]", "levels.0.channelIndex"},
	    {"[" LEVEL(",\"channelIndex\":1.5") "]", "levels.0.channelIndex"},
	    {"[" LEVEL(",\"clipping\":0") "]", "levels.0.clipping"},
	    {"[" LEVEL(",\"label\":\"\"") "]", "levels.0.label"},
	    {"[" LEVEL(",\"label\":\"a\\u0000\"") "]", "levels.0.label"},
	    {"[" LEVEL(",\"peakDbfs\":24.1") "]", "levels.0.peakDbfs"},
	    {"[" LEVEL(",\"rmsDbfs\":-160.1") "]", "levels.0.rmsDbfs"},
	    {"[" LEVEL(",\"rmsDbfs\":\"-20\"") "]", "levels.0.rmsDbfs"},
	    {"[" LEVEL(",\"rmsDbfs\":1e999") "]", ""},
	    {"[" LEVEL(",\"quality\":null") "]", "levels.0.quality"},
	    {"[" LEVEL(",\"quality\":{}") "]", "levels.0.quality.crestFactorDb"},
	    {"[" LEVEL(QUALITY(",\"humScore\":1.1")) "]", "levels.0.quality.humScore"},
	    {"[" LEVEL(QUALITY(",\"estimatedSnrDb\":81")) "]", "levels.0.quality.estimatedSnrDb"},
	    {"[" LEVEL(QUALITY(",\"channelCorrelation\":{\"peerChannelIndex\":1,\"phase\":\"out\",\"score\":0}")) "]",
	     "levels.0.quality.channelCorrelation.phase"},
	    {"[" LEVEL(
	         QUALITY(",\"channelCorrelation\":{\"peerChannelIndex\":1,\"phase\":\"same\",\"score\":1.1}")) "]",
	     "levels.0.quality.channelCorrelation.score"},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = send_frame(&n, rows[i].levels);

		expect_refusal(&r, 400, "Invalid meter frame");
		if (*rows[i].path != '\0')
			cr_expect_str_eq(issue_path(&r), rows[i].path, "row %zu: %s", i, r.body);
		expect_event(audit_last("nodes.meter_frame.ingest.failed", n.id), "failed", "invalid_request");
	}
	struct response r = post(fmt("%s/meter-frame", n.path), n.token,
	                         "{\"capturedAt\":\"x\",\"interfaceId\":\"i\",\"nodeId\":\"other\",\"levels\":[]}");

	expect_refusal(&r, 403, "Meter frame node mismatch");
	expect_event(audit_last("nodes.meter_frame.ingest.failed", "other"), "failed", "node_scope_denied");
	r = get(fmt("%s/meters", n.path), admin());
	cr_expect_eq(r.status, 409);
}

static const char *levels_of(int count)
{
	char *text = malloc((size_t)count * 120 + 3), *at = text;

	*at++ = '[';
	for (int i = 0; i < count; i++) {
		if (i > 0)
			*at++ = ',';
		at = stpcpy(at, LEVEL(""));
	}
	strcpy(at, "]");
	return text;
}

Test(agent, meter_frame_has_at_most_512_levels)
{
	struct node n = enroll_node("Wide");
	struct response r = send_frame(&n, levels_of(512));

	must(r, 202);
	r = send_frame(&n, levels_of(513));
	expect_refusal(&r, 400, "Invalid meter frame");
	r = get(fmt("%s/meters", n.path), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.levels"), 512);
	r = send_frame(&n, "[]");
	must(r, 202);
}

Test(agent, bodies_have_a_limit)
{
	struct node n = enroll_node("Big");
	size_t size = 5 * 1024 * 1024;
	char *body = malloc(size);

	memset(body, ' ', size);
	static const char *const tails[] = {"heartbeat", "meter-frame", "health-events"};

	for (size_t i = 0; i < LENGTH(tails); i++) {
		struct response r = http("POST", fmt("%s/%s", n.path, tails[i]), n.token, NULL, body, size);

		cr_expect_eq(r.status, 413, "%s: %d", tails[i], r.status);
	}
	memset(body, '[', size);
	struct response r = http("POST", fmt("%s/heartbeat", n.path), n.token, NULL, body, 200000);

	expect_refusal(&r, 400, "Invalid node heartbeat");
	static const char invalid[] = "{\"agentVersion\":\"\xff\",\"hostname\":\"h\"}";

	r = http("POST", fmt("%s/heartbeat", n.path), n.token, NULL, invalid, sizeof(invalid) - 1);
	expect_refusal(&r, 400, "Invalid node heartbeat");
}

/* ---- listen chunk ------------------------------------------------------------------------------------------------ */

static struct response send_chunk(const struct node *n, const char *type, const char *captured, const char *duration,
                                  size_t size)
{
	const char *headers[4] = {NULL};
	size_t count = 0;
	static char bytes[600000];

	if (type != NULL)
		headers[count++] = fmt("Content-Type: %s", type);
	if (captured != NULL)
		headers[count++] = fmt("x-rakkr-captured-at: %s", captured);
	if (duration != NULL)
		headers[count++] = fmt("x-rakkr-duration-ms: %s", duration);
	return http("POST", fmt("%s/listen/chunk", n->path), n->token, headers, bytes, size);
}

Test(agent, chunk_is_accepted)
{
	struct node n = enroll_node("Heard");
	struct response r = send_chunk(&n, "Audio/WAV; rate=1", "2031-03-04T05:06:05.512345678Z", "1000", 44);

	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.capturedAt"), "2031-03-04T05:06:05.512345678Z");
	cr_expect_eq(j_int(r.json, "data.durationMs"), 1000);
	cr_expect_str_eq(j_str(r.json, "data.nodeId"), n.id);
	cr_expect_str_eq(j_str(r.json, "data.source"), "agent_audio_chunk");
	json_object *event = audit_last("nodes.listen_monitor.chunk.ingest.succeeded", n.id);

	cr_expect_eq(j_int(event, "details.sizeBytes"), 44);
	r = send_chunk(&n, "audio/wav", NULL, "1e3", 524288);
	must(r, 202);
	cr_expect_eq(strlen(j_str(r.json, "data.capturedAt")), 24);
}

Test(agent, chunk_refuses)
{
	struct node n = enroll_node("Unheard");
	static const struct {
		const char *type, *captured, *duration, *path;
	} rows[] = {
	    {NULL, NULL, "1000", "contentType"},
	    {"audio/mpeg", NULL, "1000", "contentType"},
	    {"audio/wav", "2031-03-04T05:06:05+00:00", "1000", "capturedAt"},
	    {"audio/wav", "2031-03-04", "1000", "capturedAt"},
	    {"audio/wav", NULL, NULL, "durationMs"},
	    {"audio/wav", NULL, "x", "durationMs"},
	    {"audio/wav", NULL, "0", "durationMs"},
	    {"audio/wav", NULL, "10001", "durationMs"},
	    {"audio/wav", NULL, "1.5", "durationMs"},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = send_chunk(&n, rows[i].type, rows[i].captured, rows[i].duration, 100);

		expect_refusal(&r, 400, "Invalid monitor chunk headers");
		cr_expect_str_eq(issue_path(&r), rows[i].path, "row %zu: %s", i, r.body);
		expect_event(audit_last("nodes.listen_monitor.chunk.ingest.failed", n.id), "failed", "invalid_request");
	}
	static const size_t sizes[] = {0, 43, 524289};

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		struct response r = send_chunk(&n, "audio/wav", NULL, "1000", sizes[i]);

		expect_refusal(&r, 400, "Invalid monitor chunk size");
		cr_expect_not(j_has(r.json, "issues"));
		expect_event(audit_last("nodes.listen_monitor.chunk.ingest.failed", n.id), "failed", "invalid_request");
	}
}

/* ---- health events ----------------------------------------------------------------------------------------------- */

#define EVENT "\"severity\":\"warning\",\"type\":\"agent.meter.low_signal\""

Test(agent, health_event_is_stored_before_the_first_heartbeat)
{
	struct node n = enroll_node("Sick");
	struct response r = post(
	    fmt("%s/health-events", n.path), n.token,
	    "{\"details\":{\"maxRmsDbfs\":0.23000000417232513,\"x\":null,\"s\":\"a\\u0000\\ud800\","
	    "\"localEventId\":\"mine\"},\"id\":\"node_event_1\",\"openedAt\":\"2026-09-01T10:00:00.123456789Z\"," EVENT
	    "}");
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.openedAt"), "2026-09-01T10:00:00.123Z");
	cr_expect_str_eq(j_str(r.json, "data.details.localEventId"), "node_event_1");
	cr_expect_str_eq(j_str(r.json, "data.details.s"), "a\xef\xbf\xbd");
	cr_expect(j_has(r.json, "data.details.x"));
	cr_expect_eq(j_num(r.json, "data.details.maxRmsDbfs"), 0.23000000417232513);
	cr_expect_str_eq(j_str(r.json, "data.nodeId"), n.id);
	cr_expect_str_eq(j_str(r.json, "data.status"), "open");
	cr_expect(j_has(r.json, "data.acknowledgedAt"));
	cr_expect_not(j_has(r.json, "data.recordingId"));
	json_object *event = audit_last("nodes.health_events.sync.succeeded", j_str(r.json, "data.id"));

	cr_expect_str_eq(j_str(event, "details.localEventId"), "node_event_1");
	cr_expect_str_eq(j_str(event, "after.severity"), "warning");
	cr_expect_str_eq(j_str(event, "permission"), "health:acknowledge");
	cr_expect_str_eq(j_str(event, "target.name"), "agent.meter.low_signal");
	r = post(fmt("%s/health-events", n.path), n.token, "{\"details\":{\"localEventId\":\"mine\"}," EVENT "}");
	must(r, 201);
	cr_expect_not(j_has(r.json, "data.details.localEventId"));
	cr_expect_eq(strlen(j_str(r.json, "data.openedAt")), 24);
}

Test(agent, health_event_refuses)
{
	struct node n = enroll_node("Wrong");
	static const struct {
		const char *body, *path;
	} rows[] = {
	    {"", "severity"},
	    {"{\"severity\":\"warning\",\"type\":\"\"}", "type"},
	    {"{\"severity\":\"bad\",\"type\":\"agent.x\"}", "severity"},
	    {"{\"severity\":\"info\",\"type\":\"watchdog.node_offline\"}", "type"},
	    {"{\"severity\":\"info\",\"type\":\" controller.x\"}", "type"},
	    {"{" EVENT ",\"details\":[]}", "details"},
	    {"{" EVENT ",\"details\":null}", "details"},
	    {"{" EVENT ",\"openedAt\":null}", "openedAt"},
	    {"{" EVENT ",\"openedAt\":\"soon\"}", "openedAt"},
	    {"{" EVENT ",\"openedAt\":\"+275000-01-01T00:00:00Z\"}", "openedAt"},
	    {"{" EVENT ",\"id\":\"\"}", "id"},
	    {"{" EVENT ",\"nodeId\":\"x\"}", ""},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = post(fmt("%s/health-events", n.path), n.token, "%s", rows[i].body);

		expect_refusal(&r, 400, "Invalid node health event");
		cr_expect_str_eq(issue_path(&r), rows[i].path, "row %zu: %s", i, r.body);
		expect_event(audit_last("nodes.health_events.sync.failed", n.id), "failed", "invalid_request");
	}
	struct response r =
	    post(fmt("%s/health-events", n.path), n.token, "{\"severity\":\"info\",\"type\":\"agent.watchdog.x\"}");

	must(r, 201);
}

Test(agent, health_event_of_a_recording_reaches_its_badge)
{
	struct node n = enroll_node("Rec"), other = enroll_node("Other");
	struct take t = start_recording(&n);
	const char *path = fmt("%s/health-events", n.path);
	struct response r = post(path, n.token, "{" EVENT ",\"recordingId\":\"%s\"}", t.recording_id);

	must(r, 201);
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.healthStatus"), "warning", "%s", r.body);
	r = post(path, n.token, "{" EVENT ",\"recordingId\":\"rec_no\"}");
	expect_refusal(&r, 404, "Recording not found");
	json_object *event = audit_last("nodes.health_events.sync.failed", "rec_no");

	expect_event(event, "failed", "recording_not_found");
	cr_expect_str_eq(j_str(event, "target.type"), "recording");
	r = post(fmt("%s/health-events", other.path), other.token, "{" EVENT ",\"recordingId\":\"%s\"}",
	         t.recording_id);
	expect_refusal(&r, 403, "Node credential cannot access this recording");
	expect_event(audit_last("nodes.health_events.sync.failed", t.recording_id), "failed", "node_scope_denied");
	r = post(path, n.token, "{" EVENT ",\"scheduleId\":\"sched_no\"}");
	expect_refusal(&r, 404, "Schedule not found");
	expect_event(audit_last("nodes.health_events.sync.failed", "sched_no"), "failed", "schedule_not_found");
}
