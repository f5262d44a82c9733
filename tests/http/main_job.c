/* A room gets recorded: the whole way from sign-in to the file on a user's disk, as the agent and the console go it. */
#include "http/harness.h"

#include <string.h>

#define HEARTBEAT                                                                                                      \
	"{\"agentVersion\":\"0.4.3\",\"hostname\":\"rec-1\",\"ipAddresses\":[\"192.0.2.8\"],\"alias\":\"ignored\","    \
	"\"runtime\":{\"architecture\":\"x86_64\",\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":42},"                 \
	"\"status\":\"online\"}"

#define METER_FRAME                                                                                                    \
	"{\"capturedAt\":\"2031-03-04T05:06:05.512345678Z\",\"interfaceId\":\"iface_default_capture\","                \
	"\"levels\":[{\"channelIndex\":1,\"clipping\":false,\"label\":\"Input 1\",\"peakDbfs\":-15.6,"                 \
	"\"quality\":{\"broadbandNoiseScore\":0.16,\"crestFactorDb\":15.98,\"estimatedSnrDb\":19.9,\"humScore\":0.06," \
	"\"intelligibilityScore\":0.61,\"noiseScore\":0.22,\"speechLike\":true,\"speechScore\":0.78,"                  \
	"\"staticScore\":0.07,\"zeroCrossingRate\":0.12},\"rmsDbfs\":-31.6}],\"nodeId\":\"%s\"}"

static struct response upload(const struct node *n, const struct take *t, const struct blob *file)
{
	const char *const headers[] = {"Content-Type: audio/wav", "x-rakkr-file-name: take.wav",
	                               fmt("x-rakkr-recording-job-id: %s", t->job_id), NULL};
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file->data, file->len);
}

/* A recording with its file, ready to be played. */
static struct take cached_take(const struct node *n, const struct blob *file)
{
	struct take t = start_recording(n);
	cr_assert_str_eq(claim_next(n), t.job_id);
	struct response r = upload(n, &t, file);
	must(r, 201);
	return t;
}

static void expect_audit(const char *action, const char *target_id, const char *actor_type)
{
	json_object *event = audit_last(action, target_id);
	cr_expect_str_eq(j_str(event, "actor.type"), actor_type, "%s", action);
	cr_expect_str_eq(j_str(event, "outcome"), "succeeded", "%s", action);
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static void node_reports(const struct node *n)
{
	struct response r = post(fmt("%s/heartbeat", n->path), n->token, HEARTBEAT);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
	cr_expect_str_eq(j_str(r.json, "data.agentVersion"), "0.4.3");
	cr_expect_str_eq(j_str(r.json, "data.alias"), n->alias);
	cr_expect_not_null(header(&r, "Date"));
	cr_expect(j_true(audit_last("nodes.heartbeat.succeeded", n->id), "details.changed"));

	r = post(fmt("%s/meter-frame", n->path), n->token, METER_FRAME, n->id);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.frame.capturedAt"), "2031-03-04T05:06:05.512345678Z");
	cr_expect_eq(j_int(audit_last("nodes.meter_frame.ingest.succeeded", n->id), "details.levelCount"), 1);
	r = get(fmt("%s/meters", n->path), admin());
	must(r, 200);
	cr_expect_not_null(strstr(r.body, "\"peakDbfs\":-15.6"), "%s", r.body);

	r = get(fmt("%s/config", n->path), n->token);
	must(r, 200);
	cr_expect_eq(j_int(r.json, "data.recordingCapacity.maxConcurrentRecordings"), 1);
	cr_expect(j_has(r.json, "data.recorderCachePolicies"));
	expect_audit("nodes.config.read.succeeded", n->id, "node");
	r = get(fmt("%s/channel-map-assignments", n->path), n->token);
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 0);
	expect_audit("nodes.channel_map_assignments.read.succeeded", n->id, "node");
}

static struct take recording_starts(const struct node *n)
{
	struct response r = post(fmt("%s/recording-jobs/claim-next", n->path), n->token, NULL);
	must(r, 204);
	cr_expect_eq(r.len, 0);
	r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"Site: visit\",\"tags\":[\"visit\"]}",
	         n->id);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.status"), "recording");
	cr_expect_str_eq(j_str(r.json, "data.source"), "ad_hoc");
	cr_expect_str_eq(j_str(r.json, "job.status"), "queued");
	cr_expect_str_eq(j_str(r.json, "job.nodeId"), n->id);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	cr_expect_str_eq(j_str(audit_last("recordings.start", n->id), "outcome"), "allowed");
	json_object *event = audit_last("recordings.start.succeeded", t.recording_id);
	cr_expect_str_eq(j_str(event, "correlationIds.jobId"), t.job_id);
	r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", n->id);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "reason"), "active_recording_job_exists");
	return t;
}

static void node_records(const struct node *n, const struct take *t)
{
	struct response r = get(fmt("%s/recording-jobs/next", n->path), n->token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), t->job_id);
	r = post(fmt("%s/recording-jobs/claim-next", n->path), n->token, NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), t->job_id);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running");
	cr_expect_str_eq(j_str(r.json, "data.claimedBy"), n->id);
	cr_expect(j_int(r.json, "data.command.captureChannels") > 0);
	cr_expect(j_int(r.json, "data.command.captureSampleRate") > 0);
	cr_expect(j_int(r.json, "data.command.durationSeconds") > 0);
	cr_expect_str_neq(j_str(r.json, "data.command.outputFileName"), "");
	expect_audit("recording_jobs.claim_next.succeeded", t->job_id, "node");
	r = post(fmt("%s/recording-jobs/claim-next", n->path), n->token, NULL);
	must(r, 204);

	r = post(fmt("%s/heartbeat", t->job_path), n->token, NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running");
	expect_audit("recording_jobs.heartbeat.succeeded", t->job_id, "node");
	r = get(t->job_path, n->token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), t->job_id);
	expect_audit("recording_jobs.read_one.succeeded", t->job_id, "node");
	r = get(t->job_path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running");
}

static void expect_waveform(json_object *preview, int channels, int sample_rate, int64_t frames)
{
	cr_expect_eq(j_int(preview, "channelCount"), channels);
	cr_expect_eq(j_int(preview, "sampleRate"), sample_rate);
	cr_expect_eq(j_int(preview, "sampleCount"), frames);
	cr_expect_eq(j_count(preview, "peaks"), 96);
	cr_expect_float_eq(j_num(preview, "peaks.40"), 0.5, 0.002);
	cr_expect_str_eq(j_str(preview, "source"), "wav_s16le_peak");
}

static void node_delivers(const struct node *n, const struct take *t, const struct blob *file)
{
	struct response r = upload(n, t, file);
	must(r, 201);
	const char *checksum = fmt("sha256:%s", sha256(file->data, file->len));
	cr_expect_str_eq(j_str(r.json, "data.file.checksum"), checksum);
	cr_expect_eq(j_int(r.json, "data.file.size"), (int64_t)file->len);
	cr_expect_eq(j_int(r.json, "data.file.durationSeconds"), 2);
	cr_expect_str_eq(j_str(r.json, "data.file.mimeType"), "audio/wav");
	cr_expect_str_eq(j_str(r.json, "data.file.fileName"), "Site_ visit.wav");
	json_object *event = audit_last("recordings.cache_file.attach.succeeded", t->recording_id);
	cr_expect_str_eq(j_str(event, "details.jobStatus"), "completed");
	cr_expect_str_eq(j_str(event, "actor.id"), n->id);

	r = get(t->recording_path, admin());
	must(r, 200);
	json_object *recording =
	    j_has(r.json, "data.recording") ? j_at(r.json, "data.recording") : j_at(r.json, "data");
	cr_expect_str_eq(j_str(recording, "status"), "cached");
	cr_expect(j_true(recording, "cached"));
	cr_expect_str_eq(j_str(recording, "checksum"), checksum);
	cr_expect_eq(j_int(recording, "durationSeconds"), 2);
	cr_expect_str_eq(j_str(recording, "cachePath"), fmt("ad-hoc/%s.wav", t->recording_id));
	expect_waveform(j_at(recording, "waveformPreview"), 2, 48000, 96000);
	r = get(t->job_path, n->token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
	cr_expect(j_has(r.json, "data.completedAt"));
}

static void user_listens(const struct take *t, const struct blob *file)
{
	struct response r = post(fmt("%s/playback", t->recording_path), admin(), NULL);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.mode"), "controller_cache");
	expect_audit("recordings.playback.started", t->recording_id, "user");
	r = get(j_str(r.json, "data.streamUrl"), admin());
	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Type"), "audio/wav");
	cr_expect_str_eq(header(&r, "Content-Disposition"), "inline; filename=\"Site_ visit.wav\"");
	cr_expect(r.len == file->len && memcmp(r.body, file->data, file->len) == 0);
	expect_audit("recordings.playback.stream.succeeded", t->recording_id, "user");

	r = post(fmt("%s/download", t->recording_path), admin(), NULL);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.fileName"), "Site_ visit.wav");
	expect_audit("recordings.download.prepared", t->recording_id, "user");
	r = get(j_str(r.json, "data.url"), admin());
	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Disposition"), "attachment; filename=\"Site_ visit.wav\"");
	cr_expect(r.len == file->len && memcmp(r.body, file->data, file->len) == 0);
	expect_audit("recordings.download.file.succeeded", t->recording_id, "user");
}

Test(main_job, a_room_gets_recorded)
{
	struct blob file = wav(2, 48000, 2);
	struct node n = enroll_node("Booth");
	expect_audit("auth.login.succeeded", NULL, "user");
	expect_audit("nodes.enroll.succeeded", n.id, "user");
	node_reports(&n);
	struct take t = recording_starts(&n);
	node_records(&n, &t);
	node_delivers(&n, &t, &file);
	user_listens(&t, &file);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

Test(main_job, ranges_etag_and_head)
{
	struct blob file = wav(1, 16000, 1);
	struct node n = enroll_node("Ranges");
	struct take t = cached_take(&n, &file);
	const char *path = fmt("%s/file", t.recording_path);

	struct response r = http("HEAD", path, admin(), NULL, NULL, 0);
	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Length"), fmt("%zu", file.len));
	cr_expect_str_eq(header(&r, "Content-Type"), "audio/wav");
	cr_expect_eq(r.len, 0);
	const char *tag = header(&r, "ETag");
	cr_assert_not_null(tag);
	cr_expect_str_eq(j_str(audit_last("recordings.download.file.succeeded", t.recording_id), "details.method"),
	                 "HEAD");

	r = http("GET", path, admin(), (const char *const[]){"Range: bytes=44-143", NULL}, NULL, 0);
	must(r, 206);
	cr_expect_str_eq(header(&r, "Content-Range"), fmt("bytes 44-143/%zu", file.len));
	cr_expect(r.len == 100 && memcmp(r.body, file.data + 44, 100) == 0);
	r = http("GET", path, admin(), (const char *const[]){"Range: bytes=-10", NULL}, NULL, 0);
	must(r, 206);
	cr_expect(r.len == 10 && memcmp(r.body, file.data + file.len - 10, 10) == 0);
	r = http("GET", path, admin(), (const char *const[]){"Range: bytes=9999999-", NULL}, NULL, 0);
	must(r, 416);
	r = http("GET", path, admin(), (const char *const[]){fmt("If-None-Match: %s", tag), NULL}, NULL, 0);
	must(r, 304);
	r = http("GET", path, NULL, (const char *const[]){"Range: bytes=0-9", NULL}, NULL, 0);
	must(r, 401);
}

Test(main_job, the_cache_is_not_reachable_around_the_application)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Closed");
	struct take t = cached_take(&n, &file);
	struct response r = get(fmt("/_rakkr_cache/ad-hoc/%s.wav", t.recording_id), admin());
	cr_expect_neq(r.status, 200);
	cr_expect(r.len != file.len);
}

Test(main_job, a_second_upload_replaces_the_file)
{
	struct blob first = wav(1, 8000, 1), second = wav(2, 16000, 3);
	struct node n = enroll_node("Again");
	struct take t = cached_take(&n, &first);
	struct response r = upload(&n, &t, &second);
	must(r, 201);
	r = get(fmt("%s/file", t.recording_path), admin());
	must(r, 200);
	cr_expect(r.len == second.len && memcmp(r.body, second.data, second.len) == 0);
	r = get(t.recording_path, admin());
	cr_expect_not_null(strstr(r.body, sha256(second.data, second.len)));
}

/* ---- the ways a take ends without a file ------------------------------------------------------------------------- */

Test(main_job, stop_while_it_records)
{
	struct node n = enroll_node("Stop");
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	struct response r = post(fmt("%s/stop", t.recording_path), admin(), NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
	cr_expect_eq(j_int(r.json, "data.durationSeconds"), 1);
	cr_expect_str_eq(j_str(audit_last("recordings.stop.succeeded", t.recording_id), "details.jobStatus"),
	                 "stop_requested");

	r = post(fmt("%s/heartbeat", t.job_path), n.token, NULL);
	must(r, 409);
	r = get(t.job_path, n.token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "stop_requested");
	const char *const reason[] = {"x-rakkr-reason: controller_stop_requested", NULL};
	r = http("POST", fmt("%s/cancelled", t.job_path), n.token, reason, NULL, 0);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "cancelled");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "controller_stop_requested");
	json_object *event = audit_last("recording_jobs.cancelled.succeeded", t.job_id);
	cr_expect_str_eq(j_str(event, "details.recordingStatus"), "completed");
	cr_expect_not(j_has(event, "details.healthEventId"));

	r = post(fmt("%s/playback", t.recording_path), admin(), NULL);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "Recording is not ready for playback");
	must(post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", n.id), 202);
}

Test(main_job, stop_before_anyone_claims)
{
	struct node n = enroll_node("Early stop");
	struct take t = start_recording(&n);
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	cr_expect_str_eq(claim_next(&n), "");
	must(post(fmt("%s/claim", t.job_path), n.token, NULL), 409);
	struct response r = post(fmt("%s/stop", t.recording_path), admin(), NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(audit_last("recordings.stop.succeeded", t.recording_id), "details.jobStatus"),
	                 "no_active_job");
}

Test(main_job, the_agent_gives_up)
{
	struct node n = enroll_node("Failure");
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	const char *const reason[] = {"x-rakkr-reason: capture output stalled: size=Some(4) äöü", NULL};
	struct response r = http("POST", fmt("%s/failed", t.job_path), n.token, reason, NULL, 0);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "capture output stalled: size=Some(4) äöü");
	json_object *event = audit_last("recording_jobs.failed.succeeded", t.job_id);
	cr_expect_str_eq(j_str(event, "details.recordingStatus"), "failed");
	cr_expect(j_has(event, "details.healthEventId"));
	r = get(t.recording_path, admin());
	must(r, 200);
	cr_expect_not_null(strstr(r.body, "\"healthStatus\":\"critical\""), "%s", r.body);
}

/* Never refused because of the job's state (contract 09 D-10); what was settled stays settled. */
Test(main_job, a_file_is_welcome_in_any_job_state)
{
	static const char *const ends[][2] = {{"failed", "failed"}, {"cancelled", "cancelled"}};
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Late file");
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct take t = start_recording(&n);
		must(post(fmt("%s/%s", t.job_path, ends[i][0]), n.token, NULL), 200);
		struct response r = upload(&n, &t, &file);
		must(r, 201);
		cr_expect_str_eq(j_str(r.json, "data.recording.status"), "cached");
		r = get(t.job_path, n.token);
		cr_expect_str_eq(j_str(r.json, "data.status"), ends[i][1]);
	}
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	struct response r = upload(&n, &t, &file);
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.recording.status"), "cached");
	r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
	t = start_recording(&n);
	must(upload(&n, &t, &file), 201);
	cr_expect_str_eq(claim_next(&n), t.job_id, "a queued job is still to be done");
}

/* The agent is silent while it renders and uploads (contract 08 Trap 4). */
Test(main_job, a_file_after_the_lease_is_over)
{
	if (!on_postgres())
		cr_skip_test("a lease can only be moved in a database");
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Silent");
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	sql("UPDATE recording_jobs SET lease_expires_at = now() - interval '1 second' WHERE id = '%s'", t.job_id);
	struct response r = get(t.job_path, n.token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	cr_expect_str_eq(j_str(r.json, "data.failureReason"), "lease_expired");
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	must(upload(&n, &t, &file), 201);
	r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "cached");
}

/* ---- the library ------------------------------------------------------------------------------------------------- */

Test(main_job, the_library_finds_it)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Library");
	struct take t = cached_take(&n, &file);
	struct response r = get(fmt("/api/v1/recordings?nodeId=%s&limit=10", n.id), admin());
	must(r, 200);
	cr_expect_eq(j_int(r.json, "meta.total"), 1);
	cr_expect_str_eq(j_str(r.json, "data.0.id"), t.recording_id);
	r = get(fmt("/api/v1/recordings?nodeId=%s&cacheState=missing", n.id), admin());
	must(r, 200);
	cr_expect_eq(j_int(r.json, "meta.total"), 0);
	r = get(fmt("/api/v1/recording-jobs?nodeId=%s&status=completed", n.id), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 1);
}

Test(main_job, a_granted_operator_sees_only_that_node)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct user u = create_user("operator", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", mine.id));
	struct response r = get("/api/v1/nodes", u.token);
	must(r, 200);
	cr_expect_not_null(j_find(r.json, "data", "id", mine.id));
	cr_expect_null(j_find(r.json, "data", "id", other.id));
	r = post("/api/v1/recordings", u.token, "{\"nodeId\":\"%s\"}", mine.id);
	must(r, 202);
	const char *recording = fmt("/api/v1/recordings/%s", j_str(r.json, "data.id"));
	must(get(recording, u.token), 200);
	must(post("/api/v1/recordings", u.token, "{\"nodeId\":\"%s\"}", other.id), 403);
	struct take hidden = start_recording(&other);
	r = get(hidden.recording_path, u.token);
	must(r, 403);
	cr_expect_str_eq(j_str(audit_last("recordings.detail.read", hidden.recording_id), "reason"),
	                 "missing_resource_scope");
	struct user viewer = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", mine.id));
	must(post(fmt("%s/stop", recording), viewer.token, NULL), 403);
}
