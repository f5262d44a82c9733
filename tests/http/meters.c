/* Meters, the meter stream and listen-in, as users see them (contract 02 11, 12). */
#include "http/harness.h"
#include "http/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void send_frame(const struct node *n, const char *captured_at, const char *peak)
{
	struct response r =
	    post(fmt("%s/meter-frame", n->path), n->token,
	         "{\"capturedAt\":\"%s\",\"interfaceId\":\"i\",\"nodeId\":\"%s\",\"levels\":[{\"channelIndex\":"
	         "1,\"clipping\":false,\"label\":\"L\",\"peakDbfs\":%s,\"rmsDbfs\":-60}]}",
	         captured_at, n->id, peak);
	must(r, 202);
}

/* Now, moved by seconds, with nine fraction digits. */
static const char *moment(int seconds)
{
	char text[32];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += seconds;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime(&now.tv_sec));
	return fmt("%s.%09ldZ", text, now.tv_nsec);
}

static struct blob send_chunk(const struct node *n, const char *captured_at)
{
	struct blob audio = wav(1, 16000, 0.25);
	const char *const headers[] = {"Content-Type: audio/wav", fmt("x-rakkr-captured-at: %s", captured_at),
	                               "x-rakkr-duration-ms: 250", NULL};
	struct response r = http("POST", fmt("%s/listen/chunk", n->path), n->token, headers, audio.data, audio.len);

	must(r, 202);
	return audio;
}

/* ---- GET meters -------------------------------------------------------------------------------------------------- */

Test(meters, latest_frame)
{
	struct node n = enroll_node("Metered");
	const char *path = fmt("%s/meters", n.path);
	struct response r = get(path, admin());

	expect_refusal(&r, 409, "Meter data unavailable");
	json_object *event = audit_last("meters.read.failed", n.id);

	expect_event(event, "failed", "meter_node_mismatch");
	cr_expect_str_eq(j_str(event, "target.name"), "Metered");
	send_frame(&n, "a while ago", "-20");
	send_frame(&n, "1999-01-01T00:00:00.000000001Z", "-15.6");
	r = get(path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.capturedAt"), "1999-01-01T00:00:00.000000001Z");
	cr_expect_not_null(strstr(r.body, "\"peakDbfs\":-15.6"));
	cr_expect_not(j_has(r.json, "data.receivedAt"));
	event = audit_last("meters.read.succeeded", n.id);
	cr_expect_eq(j_int(event, "details.levelCount"), 1);
	cr_expect_str_eq(j_str(event, "details.interfaceId"), "i");
	r = get("/api/v1/nodes/node_no/meters", admin());
	expect_refusal(&r, 404, "Node not found");
	event = audit_last("meters.read.failed", "node_no");
	expect_event(event, "failed", "node_not_found");
	cr_expect_str_eq(j_str(event, "target.name"), "node_no");
}

Test(meters, every_worker_knows_the_frame)
{
	struct node n = enroll_node("Shared");

	send_frame(&n, "x", "-20");
	for (int i = 0; i < 20; i++) {
		struct response r = get(fmt("%s/meters", n.path), admin());

		must(r, 200);
	}
}

Test(meters, demo_node_has_a_synthetic_frame)
{
	struct response r = get("/api/v1/nodes/node_x32_test", admin());

	if (r.status == 404)
		cr_skip_test("no demo data");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
	cr_expect_eq(j_int(r.json, "data.interfaces.0.channelCount"), 32);
	cr_expect_eq(j_count(r.json, "data.interfaces.0.channels"), 8);
	struct response health = get("/healthz", NULL);

	cr_expect_str_eq(j_str(r.json, "data.lastSeenAt"), j_str(health.json, "startedAt"));
	r = get("/api/v1/nodes/node_x32_test/meters", admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.levels"), 8);
	cr_expect_str_eq(j_str(r.json, "data.levels.7.label"), "Ch 8");
	r = get("/api/v1/nodes", admin());
	size_t last = j_count(r.json, "data") - 1;

	cr_expect_str_eq(j_str(r.json, fmt("data.%zu.id", last)), "node_x32_test");
	if (on_postgres()) {
		r = patch("/api/v1/nodes/node_x32_test", admin(), "{\"notes\":\"x\"}");
		expect_refusal(&r, 404, "Node not found");
		r = post("/api/v1/nodes/node_x32_test/credentials/rotate", admin(), NULL);
		expect_refusal(&r, 404, "Node not found");
		r = patch("/api/v1/nodes/node_x32_test/interfaces/iface_x32_usb", admin(), "{\"alias\":\"x\"}");
		expect_refusal(&r, 404, "Interface not found");
	} else {
		r = patch("/api/v1/nodes/node_x32_test", admin(), "{\"notes\":\"edited\"}");
		must(r, 200);
		cr_expect_str_eq(j_str(r.json, "data.notes"), "edited");
	}
}

/* ---- GET meter-events -------------------------------------------------------------------------------------------- */

static struct raw *open_stream(const char *token)
{
	struct raw *c = raw_open();
	const char *request =
	    fmt("GET /api/v1/meter-events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n",
	        token);

	cr_assert(raw_send(c, request, strlen(request)));
	return c;
}

#define STREAM_MS 20000 /* the first events are there in a second, unless the machine is busy */

static const char *mark_of(const char *id)
{
	return fmt("\"nodeId\":\"%s\"", id);
}

static int events_of(const char *text, const char *id)
{
	int count = 0;
	const char *mark = mark_of(id);

	for (const char *at = text; (at = strstr(at, mark)) != NULL; at++)
		count++;
	return count;
}

Test(meters, stream_sends_visible_nodes_every_second)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct user u = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", mine.id));

	send_frame(&mine, "x", "-20");
	send_frame(&other, "x", "-20");
	struct raw *c = open_stream(u.token);
	double begun = now_seconds();
	struct response r = raw_until(c, STREAM_MS, mark_of(mine.id), 3);

	cr_expect_gt(now_seconds() - begun, 1.5, "no more than one a second");
	cr_expect_eq(r.status, 200);
	cr_expect_str_eq(header(&r, "Content-Type"), "text/event-stream");
	cr_expect_str_eq(header(&r, "Cache-Control"), "no-cache");
	cr_expect_geq(events_of(r.body, mine.id), 3, "%s", r.body);
	cr_expect_eq(events_of(r.body, other.id), 0);
	cr_expect_not_null(strstr(r.body, "event: meter\ndata: {\"capturedAt\":\"x\","), "%s", r.body);
	raw_close(c);
	cr_expect_str_eq(j_str(audit_last("meters.stream", NULL), "outcome"), "allowed");
}

Test(meters, stream_ends_with_the_session)
{
	struct node n = enroll_node("Revoked");
	struct user u = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));

	send_frame(&n, "x", "-20");
	struct raw *c = open_stream(u.token);
	struct response r = raw_until(c, STREAM_MS, mark_of(n.id), 1);

	cr_expect_gt(events_of(r.body, n.id), 0, "%s", r.body);
	r = patch(fmt("/api/v1/auth/users/%s/access", u.id), admin(), "{\"roles\":[\"viewer\"],\"resourceGrants\":[]}");
	must(r, 200);
	raw_answer(c, 3000); /* what was under way */
	r = raw_answer(c, 2200);
	cr_expect_null(strstr(r.headers, n.id), "%s", r.headers);
	r = post("/api/v1/auth/logout", u.token, NULL);
	double before = now_seconds();

	raw_answer(c, STREAM_MS);
	cr_expect_lt(now_seconds() - before, STREAM_MS / 1000.0, "it does not end");
	raw_close(c);
}

struct crowd {
	struct node node;
	const char *token;
	int seen[24];
};

static void watch(int index, void *arg)
{
	struct crowd *crowd = arg;
	struct raw *c = open_stream(crowd->token);

	crowd->seen[index] = events_of(raw_until(c, STREAM_MS, mark_of(crowd->node.id), 2).body, crowd->node.id);
	raw_close(c);
}

/* One process carries all of them, and other requests wait for none. */
Test(meters, many_viewers_at_once)
{
	static struct crowd crowd;

	crowd.node = enroll_node("Watched");
	crowd.token = admin();
	send_frame(&crowd.node, "x", "-20");
	parallel(24, watch, &crowd);
	for (int i = 0; i < 24; i++)
		cr_expect_geq(crowd.seen[i], 2, "viewer %d: %d events", i, crowd.seen[i]);
}

Test(meters, stream_needs_a_session)
{
	struct response r = get("/api/v1/meter-events", NULL);

	expect_refusal(&r, 401, "Unauthorized");
	r = get(fmt("/api/v1/meter-events?token=%s", admin()), NULL);
	expect_refusal(&r, 401, "Unauthorized");
}

/* ---- listen ------------------------------------------------------------------------------------------------------ */

Test(meters, listen_prefers_fresh_audio)
{
	struct node n = enroll_node("Heard");
	struct response r = post(fmt("%s/listen", n.path), admin(), NULL);

	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.mode"), "controller_meter_preview");
	cr_expect_eq(j_int(r.json, "data.targetLatencyMs"), 1500);
	const char *id = j_str(r.json, "data.sessionId"), *stream = j_str(r.json, "data.streamUrl");
	const char *stop = j_str(r.json, "data.stopUrl");

	cr_expect_str_eq(stream, fmt("%s/listen/stream?sessionId=%s", n.path, id));
	cr_expect_str_eq(stop, fmt("%s/listen/%s", n.path, id));
	cr_expect_str_eq(j_str(audit_last("listen.monitor.start.succeeded", n.id), "correlationIds.listenSessionId"),
	                 id);
	r = get(stream, admin());
	expect_refusal(&r, 409, "Monitor data unavailable");
	expect_event(audit_last("listen.monitor.stream.failed", n.id), "failed", "meter_frame_not_found");

	send_frame(&n, "then", "-20");
	r = get(stream, admin());
	must(r, 200);
	cr_expect_str_eq(sha256(r.body, r.len), "1ca4decdcbec6147ef1b8ff3b02215c9169fc2497ef88053152778ad23da918b");
	cr_expect_str_eq(header(&r, "Content-Type"), "audio/wav");
	cr_expect_str_eq(header(&r, "Content-Length"), "48044");
	cr_expect_str_eq(header(&r, "Cache-Control"), "no-store");
	cr_expect_str_eq(header(&r, "Content-Disposition"), fmt("inline; filename=\"%s-monitor.wav\"", n.id));
	json_object *event = audit_last("listen.monitor.stream.succeeded", n.id);

	cr_expect_str_eq(j_str(event, "details.mode"), "controller_meter_preview");
	cr_expect_str_eq(j_str(event, "details.sourceCapturedAt"), "then");

	send_chunk(&n, moment(-60)); /* stale, both ways */
	cr_expect_eq(get(stream, admin()).len, 48044);
	send_chunk(&n, moment(60));
	cr_expect_eq(get(stream, admin()).len, 48044);
	struct blob audio = send_chunk(&n, moment(0));

	r = get(stream, admin());
	must(r, 200);
	cr_expect_str_eq(sha256(r.body, r.len), sha256(audio.data, audio.len));
	event = audit_last("listen.monitor.stream.succeeded", n.id);
	cr_expect_str_eq(j_str(event, "details.mode"), "agent_audio_chunk");
	cr_expect_eq(j_int(event, "details.durationMs"), 250);
	r = post(fmt("%s/listen", n.path), admin(), NULL);
	cr_expect_str_eq(j_str(r.json, "data.mode"), "agent_audio_chunk");
	cr_expect_eq(j_int(r.json, "data.targetLatencyMs"), 250);
	r = get(fmt("%s/actions", n.path), admin());
	cr_expect_str_eq(j_str(r.json, "data.monitor.source"), "agent_audio_chunk");
	cr_expect_eq(j_int(r.json, "data.monitor.durationMs"), 250);

	r = del(stop, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.sessionId"), id);
	cr_expect(j_has(r.json, "data.endedAt"));
	cr_expect_str_eq(j_str(audit_last("listen.monitor.stop.succeeded", n.id), "correlationIds.listenSessionId"),
	                 id);
	r = get(stream, admin());
	expect_refusal(&r, 404, "Listen session not found");
	r = del(stop, admin());
	expect_refusal(&r, 404, "Listen session not found");
	expect_event(audit_last("listen.monitor.stop.failed", n.id), "failed", "session_not_found");
}

Test(meters, listen_refuses)
{
	struct node n = enroll_node("Heard"), other = enroll_node("Other");
	struct response r = post(fmt("%s/listen", n.path), admin(), "{\"ignored\":true}");

	must(r, 202);
	const char *id = j_str(r.json, "data.sessionId");
	const struct {
		const char *method, *path;
		int code;
		const char *text, *action, *target, *reason;
	} rows[] = {
	    {"POST", "/api/v1/nodes/node_no/listen", 404, "Node not found", "listen.monitor.start.failed", "node_no",
	     "node_not_found"},
	    {"GET", "/api/v1/nodes/node_no/listen/stream", 404, "Node not found", "listen.monitor.stream.failed",
	     "node_no", "node_not_found"},
	    {"DELETE", "/api/v1/nodes/node_no/listen/x", 404, "Node not found", "listen.monitor.stop.failed", "node_no",
	     "node_not_found"},
	    {"GET", fmt("%s/listen/stream", n.path), 400, "Listen session not found", "listen.monitor.stream.failed",
	     n.id, "session_required"},
	    {"GET", fmt("%s/listen/stream?sessionId=", n.path), 400, "Listen session not found",
	     "listen.monitor.stream.failed", n.id, "session_required"},
	    {"GET", fmt("%s/listen/stream?sessionId=no", n.path), 404, "Listen session not found",
	     "listen.monitor.stream.failed", n.id, "session_not_found"},
	    {"GET", fmt("%s/listen/stream?sessionId=%s", other.path, id), 404, "Listen session not found",
	     "listen.monitor.stream.failed", other.id, "session_not_found"},
	    {"DELETE", fmt("%s/listen/%s", other.path, id), 404, "Listen session not found",
	     "listen.monitor.stop.failed", other.id, "session_not_found"},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		r = http(rows[i].method, rows[i].path, admin(), NULL, NULL, 0);
		expect_refusal(&r, rows[i].code, rows[i].text);
		expect_event(audit_last(rows[i].action, rows[i].target), "failed", rows[i].reason);
	}
}

/* Sessions that nobody polls end; those that are polled do not, however long they last (02 T16). */
Test(meters, listen_sessions_expire, .timeout = 60)
{
	setenv("RAKKR_LISTEN_SESSION_TTL_SECONDS", "2", 1);
	own_start(false);
	struct node n = enroll_node("Forgotten");
	struct response left = post(fmt("%s/listen", n.path), admin(), NULL);
	struct response kept = post(fmt("%s/listen", n.path), admin(), NULL);

	must(left, 202);
	send_frame(&n, "x", "-20");
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		must(get(j_str(kept.json, "data.streamUrl"), admin()), 200);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 4);
	struct response r = get(j_str(left.json, "data.streamUrl"), admin());
	expect_refusal(&r, 404, "Listen session not found");
	r = del(j_str(left.json, "data.stopUrl"), admin());
	expect_refusal(&r, 404, "Listen session not found");
	must(del(j_str(kept.json, "data.stopUrl"), admin()), 200);
	own_end();
}
