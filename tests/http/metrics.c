/* GET /metrics (contract 06 9; 09 D-96 to D-99). With the database away: tests/fault/degraded.c. */
#include "http/exposition_parser.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- the answer as a whole --------------------------------------------------------------------------------------- */

/* Contract 06 9.3, in order. */
static const struct {
	const char *name, *type;
} families[] = {
    {"rakkr_controller_started_at_seconds", "gauge"},
    {"rakkr_node_online", "gauge"},
    {"rakkr_recording_active", "gauge"},
    {"rakkr_recording_cached", "gauge"},
    {"rakkr_recording_duration_seconds", "gauge"},
    {"rakkr_recording_bytes_written", "gauge"},
    {"rakkr_recording_jobs", "gauge"},
    {"rakkr_input_rms_dbfs", "gauge"},
    {"rakkr_input_peak_dbfs", "gauge"},
    {"rakkr_input_clipping_ratio", "gauge"},
    {"rakkr_input_speech_score", "gauge"},
    {"rakkr_input_noise_score", "gauge"},
    {"rakkr_input_broadband_noise_score", "gauge"},
    {"rakkr_input_hum_score", "gauge"},
    {"rakkr_input_static_score", "gauge"},
    {"rakkr_input_estimated_snr_db", "gauge"},
    {"rakkr_input_intelligibility_score", "gauge"},
    {"rakkr_input_channel_correlation_score", "gauge"},
    {"rakkr_listen_monitor_chunk_age_seconds", "gauge"},
    {"rakkr_listen_monitor_chunk_duration_seconds", "gauge"},
    {"rakkr_audit_events_total", "counter"},
    {"rakkr_health_events_active", "gauge"},
    {"rakkr_health_events_total", "counter"},
    {"rakkr_recording_watchdog_alerts_active", "gauge"},
    {"rakkr_recording_watchdog_alerts_total", "counter"},
    {"rakkr_node_offline_alerts_active", "gauge"},
    {"rakkr_device_xruns_active", "gauge"},
    {"rakkr_device_xruns_total", "counter"},
    {"rakkr_upload_queue_depth", "gauge"},
    {"rakkr_upload_queue_oldest_due_seconds", "gauge"},
    {"rakkr_upload_failures_total", "counter"},
    {"rakkr_database_unavailable", "gauge"},
};

Test(metrics, every_family_in_order)
{
	struct scraped *t = scrape();
	struct response health = get("/healthz", NULL);

	cr_expect_str_eq(header(&last, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
	cr_expect_null(header(&last, "access-control-allow-credentials"), "no CORS outside /api/ (01 2.2)");
	cr_assert_eq(t->family_count, LENGTH(families));
	for (size_t i = 0; i < LENGTH(families); i++) {
		cr_expect_str_eq(t->families[i].name, families[i].name);
		cr_expect_str_eq(t->families[i].type, families[i].type, "%s", families[i].name);
		cr_expect_gt(strlen(t->families[i].help), 10);
	}
	cr_expect_str_eq(t->families[1].help, "Whether a recorder node is reachable.");
	cr_expect_eq(sample(t, "rakkr_database_unavailable"), 0);
	/* the same moment as /healthz shows */
	struct tm tm = {0};
	const char *fraction = strptime(j_str(health.json, "startedAt"), "%Y-%m-%dT%H:%M:%S", &tm);
	cr_assert_not_null(fraction);
	cr_expect_float_eq(sample(t, "rakkr_controller_started_at_seconds"), (double)timegm(&tm) + atof(fraction),
	                   0.0005);
	for (int i = 0; i < 9; i++) {
		static const char *const s[] = {"info", "warning", "critical"}, *const p[] = {"stub", "smb", "s3"};
		static const char *const d[] = {"queued", "retrying", "failed"};
		static const char *const u[] = {"open", "acknowledged", "suppressed"};

		cr_expect(has_sample(
		    t, fmt("rakkr_health_events_active{severity=\"%s\",status=\"%s\"}", s[i / 3], u[i % 3])));
		cr_expect(
		    has_sample(t, fmt("rakkr_upload_queue_depth{provider=\"%s\",status=\"%s\"}", p[i / 3], d[i % 3])));
		cr_expect(has_sample(t, fmt("rakkr_device_xruns_total{severity=\"%s\"}", s[i / 3])));
		cr_expect(has_sample(t, fmt("rakkr_upload_failures_total{provider=\"%s\"}", p[i / 3])));
	}
}

Test(metrics, who_may_scrape)
{
	struct user auditor = create_user("auditor", NULL);
	struct response r = get("/metrics", NULL);

	must(r, 401);
	cr_expect_str_eq(j_str(r.json, "error"), "Unauthorized");
	cr_expect_str_eq(j_str(r.json, "permission"), "metrics:read");
	must(get("/metrics", "rakkr_unheard_of"), 401);
	must(get("/metrics", auditor.token), 200);
	must(get("/metrics/", admin()), 200); /* the console's, not ours */
	cr_expect_null(strstr(get("/metrics/", admin()).body, "rakkr_node_online"));
	must(http("POST", "/metrics", admin(), NULL, NULL, 0), 404);
	r = http("HEAD", "/metrics", admin(), NULL, NULL, 0);
	must(r, 200);
	cr_expect_eq(r.len, 0);
}

Test(metrics, what_is_audited)
{
	struct node n = enroll_node("Audited");
	struct user viewer = viewer_of(&n);
	struct take take = start_recording(&n);
	struct scraped *t = scrape_as(viewer.token);
	json_object *event = NULL, *guard = NULL;
	struct response r = get(fmt("/api/v1/audit-events?limit=500&action=metrics.read&actor=%s", viewer.id), admin());

	must(r, 200);
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		json_object *e = j_at(r.json, fmt("data.%zu", i));

		if (strcmp(j_str(e, "action"), "metrics.read") == 0)
			guard = e;
		else if (strcmp(j_str(e, "action"), "metrics.read.succeeded") == 0)
			event = e;
	}
	cr_assert_not_null(guard);
	cr_assert_not_null(event);
	cr_expect_str_eq(j_str(guard, "outcome"), "allowed");
	cr_expect_str_eq(j_str(guard, "target.type"), "controller");
	cr_expect_str_eq(j_str(event, "outcome"), "succeeded");
	cr_expect_str_eq(j_str(event, "permission"), "metrics:read");
	cr_expect_str_eq(j_str(event, "target.type"), "controller");
	cr_expect_not(j_has(event, "target.id"));
	cr_expect_not(j_has(event, "actorContext.sessionId"));
	cr_expect_str_eq(j_str(event, "details.method"), "GET");
	cr_expect_str_eq(j_str(event, "details.path"), "/metrics");
	cr_expect_eq(j_int(event, "details.nodeCount"), 1);
	cr_expect_eq(j_int(event, "details.recordingCount"), 1);
	cr_expect_eq(j_int(event, "details.recordingJobCount"), 1);
	cr_expect_eq(j_int(event, "details.recordingCacheBytes"), 0);
	cr_expect_eq(j_int(event, "details.meterFrameCount"), 0);
	cr_expect_eq(j_int(event, "details.listenMonitorChunkCount"), 0);
	cr_expect_eq(j_int(event, "details.healthEventCount"), 0);
	cr_expect_eq(j_int(event, "details.uploadQueueItemCount"), 0);
	cr_expect_gt(j_int(event, "details.auditEventCount"), 0);
	(void)t;
	(void)take;
}

/* The guard's own event is in the answer; its twin of success comes with the next one (06 9.1). */
Test(metrics, a_scrape_counts_itself)
{
	static const char own[] =
	    "rakkr_audit_events_total{action=\"metrics.read\",actor_type=\"user\",outcome=\"allowed\",permission="
	    "\"metrics:read\"}";
	static const char succeeded[] =
	    "rakkr_audit_events_total{action=\"metrics.read.succeeded\",actor_type=\"user\",outcome=\"succeeded\","
	    "permission=\"metrics:read\"}";
	double first = sample(scrape(), own);
	struct scraped *t = scrape();

	cr_expect_geq(sample(t, own), first + 1);
	cr_expect_geq(sample(t, succeeded), 1);
	cr_expect_geq(sample(t, own), sample(t, succeeded) + 1);
}

/* ---- nodes and recordings ---------------------------------------------------------------------------------------- */

static struct response upload(const struct node *n, const struct take *t, const struct blob *file)
{
	static const char *const headers[] = {"x-rakkr-file-name: a.wav", NULL};

	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file->data, file->len);
}

static void expect_jobs(const struct scraped *t, const struct node *n, const char *status)
{
	static const char *const all[] = {"queued", "running", "stop_requested", "cancelled", "completed", "failed"};

	for (size_t i = 0; i < LENGTH(all); i++)
		expect_sample(t, strcmp(all[i], status) == 0, "rakkr_recording_jobs{node_id=\"%s\",status=\"%s\"}",
		              n->id, all[i]);
}

static void beat(const struct node *n, const char *status)
{
	must(post(fmt("%s/heartbeat", n->path), n->token,
	          "{\"agentVersion\":\"1\",\"hostname\":\"h\",\"ipAddresses\":[],\"status\":\"%s\"}", status),
	     202);
}

Test(metrics, a_recording_from_start_to_file)
{
	struct node n = enroll_node("Hall \\\"A\\\"");
	struct blob file = wav(1, 16000, 2);
	struct scraped *t;
	struct take take;

	must(patch(n.path, admin(), "{\"location\":{\"site\":\"Campus\",\"room\":\"Hall A\"}}"), 200);
	beat(&n, "online");
	t = scrape();
	expect_sample(t, 1,
	              "rakkr_node_online{alias=\"Hall \\\"A\\\"\",node_id=\"%s\",room=\"Hall "
	              "A\",site=\"Campus\",status=\"online\"}",
	              n.id);
	expect_sample(t, 0, "rakkr_recording_active{node_id=\"%s\"}", n.id);
	take = start_recording(&n);
	t = scrape();
	expect_jobs(t, &n, "queued");
	cr_assert_str_eq(claim_next(&n), take.job_id);
	t = scrape();
	expect_sample(t, 1, "rakkr_recording_active{node_id=\"%s\"}", n.id);
	expect_sample(t, 0, "rakkr_recording_cached{node_id=\"%s\"}", n.id);
	expect_sample(t, 0,
	              "rakkr_recording_bytes_written{node_id=\"%s\",recording_id=\"%s\",source=\"ad_hoc\",status="
	              "\"recording\"}",
	              n.id, take.recording_id);
	expect_jobs(t, &n, "running");
	must(upload(&n, &take, &file), 201);
	t = scrape();
	expect_sample(t, 1, "rakkr_recording_cached{node_id=\"%s\"}", n.id);
	expect_sample(t, (double)file.len,
	              "rakkr_recording_bytes_written{node_id=\"%s\",recording_id=\"%s\",source=\"ad_hoc\",status="
	              "\"cached\"}",
	              n.id, take.recording_id);
	expect_sample(t, 2,
	              "rakkr_recording_duration_seconds{node_id=\"%s\",recording_id=\"%s\",source=\"ad_hoc\",status="
	              "\"cached\"}",
	              n.id, take.recording_id);
	if (!on_postgres())
		return;
	sql("UPDATE nodes SET last_seen_at = now() - interval '1 hour' WHERE id = '%s' RETURNING 1", n.id);
	t = scrape();
	expect_sample(t, 0,
	              "rakkr_node_online{alias=\"Hall \\\"A\\\"\",node_id=\"%s\",room=\"Hall "
	              "A\",site=\"Campus\",status=\"offline\"}",
	              n.id);
}

/* 09 D-99: whatever an alias is made of, strict parsers (ours is one) take the scrape. */
Test(metrics, control_characters_in_an_alias)
{
	struct node n = enroll_node("plain");
	const char *alias = "a\\rb\\nc\\\"d\\\\e\\u0007f\\tg";
	struct response r = patch(n.path, admin(), "{\"alias\":\"%s\"}", alias);
	struct scraped *t;
	const char *shown = "a b\\nc\\\"d\\\\e f g";

	must(r, 200);
	t = scrape();
	for (size_t i = 0; i < t->sample_count; i++)
		if (strstr(t->samples[i].series, "rakkr_node_online{") != NULL &&
		    strstr(t->samples[i].series, n.id) != NULL)
			cr_expect_not_null(strstr(t->samples[i].series, fmt("alias=\"%s\"", shown)), "%s",
			                   t->samples[i].series);
}

/* 09 D-96: a path that leads out of the cache, a file that is gone, a link to somewhere else: 0 bytes each. */
Test(metrics, poisoned_cache_paths)
{
	struct blob file = wav(1, 16000, 0.5);
	const char *ids[3];
	struct scraped *t;

	for (int i = 0; i < 3; i++) {
		struct node n = enroll_node("Poisoned");
		struct take take = start_recording(&n);

		claim_next(&n);
		must(upload(&n, &take, &file), 201);
		ids[i] = take.recording_id;
	}
	if (on_postgres()) {
		sql("UPDATE recordings SET cache_path = '../../../../../../etc/passwd' WHERE id = '%s' RETURNING 1",
		    ids[0]);
		sql("UPDATE recordings SET cache_path = E'ad-hoc/\\\\..\\\\..' WHERE id = '%s' RETURNING 1", ids[1]);
		sql("UPDATE recordings SET cache_path = 'ad-hoc/nothing.wav' WHERE id = '%s' RETURNING 1", ids[2]);
	} else {
		FILE *found = popen(
		    fmt("find '%s' -name '%s*' -o -name '%s*' -o -name '%s*'", instance_dir(), ids[0], ids[1], ids[2]),
		    "r");
		char path[512];

		cr_assert_not_null(found);
		for (int i = 0; i < 3; i++) {
			cr_assert_not_null(fgets(path, sizeof(path), found), "only %d files", i);
			path[strcspn(path, "\n")] = '\0';
			cr_assert_eq(unlink(path), 0, "%s", path);
			if (strstr(path, ids[0]) != NULL)
				cr_assert_eq(symlink("/etc/passwd", path), 0);
		}
		pclose(found);
	}
	t = scrape();
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < t->sample_count; k++)
			if (strncmp(t->samples[k].series, "rakkr_recording_bytes_written", 29) == 0 &&
			    strstr(t->samples[k].series, ids[i]) != NULL)
				cr_expect_eq(t->samples[k].value, 0, "%s", t->samples[k].series);
}

/* ---- live data --------------------------------------------------------------------------------------------------- */

static const char *moment(int seconds)
{
	char text[32];
	time_t t = time(NULL) + seconds;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", gmtime(&t));
	return strdup(text);
}

static const struct {
	const char *name;
	double first, second; /* of channel 1 and 2; NAN = no sample */
} scores[] = {
    {"rms_dbfs", -18.5, -60},        {"peak_dbfs", -2.1, -50},
    {"clipping_ratio", 1, 0},        {"speech_score", 0.75, NAN},
    {"noise_score", 0.25, NAN},      {"broadband_noise_score", 0.1, NAN},
    {"hum_score", 0.2, NAN},         {"static_score", 0.3, NAN},
    {"estimated_snr_db", 24.5, NAN}, {"intelligibility_score", 0.6, NAN},
};

Test(metrics, levels)
{
	struct node n = enroll_node("Levels");
	struct response r = post(
	    fmt("%s/meter-frame", n.path), n.token,
	    "{\"capturedAt\":\"%s\",\"interfaceId\":\"iface_1\",\"nodeId\":\"%s\",\"levels\":[{\"channelIndex\":1,"
	    "\"clipping\":true,\"label\":\"L\",\"peakDbfs\":-2.1,\"rmsDbfs\":-18.5,\"quality\":{\"channelCorrelation\":"
	    "{"
	    "\"peerChannelIndex\":2,\"phase\":\"inverted\",\"score\":-0.99},\"broadbandNoiseScore\":0.1,"
	    "\"crestFactorDb\":10,\"estimatedSnrDb\":24.5,\"humScore\":0.2,\"intelligibilityScore\":0.6,"
	    "\"noiseScore\":0.25,\"speechLike\":true,\"speechScore\":0.75,\"staticScore\":0.3,\"zeroCrossingRate\":"
	    "0.1}},{\"channelIndex\":2,\"clipping\":false,\"label\":\"R\",\"peakDbfs\":-50,\"rmsDbfs\":-60}]}",
	    moment(0), n.id);
	struct scraped *t;

	must(r, 202);
	t = scrape_as(viewer_of(&n).token);
	for (size_t i = 0; i < LENGTH(scores); i++) {
		const char *labels = fmt("interface_id=\"iface_1\",node_id=\"%s\"", n.id);

		expect_sample(t, scores[i].first, "rakkr_input_%s{channel=\"1\",%s}", scores[i].name, labels);
		if (!isnan(scores[i].second))
			expect_sample(t, scores[i].second, "rakkr_input_%s{channel=\"2\",%s}", scores[i].name, labels);
		else
			expect_none(t, "rakkr_input_%s{channel=\"2\",%s}", scores[i].name, labels);
	}
	expect_sample(t, -0.99,
	              "rakkr_input_channel_correlation_score{channel=\"1\",interface_id=\"iface_1\",node_id=\"%s\","
	              "peer_channel=\"2\",phase=\"inverted\"}",
	              n.id);
}

/* A channel that a frame has twice is shown once. */
Test(metrics, a_channel_twice)
{
	struct node n = enroll_node("Twice");
	struct scraped *t;

	must(post(fmt("%s/meter-frame", n.path), n.token,
	          "{\"capturedAt\":\"%s\",\"interfaceId\":\"i\",\"nodeId\":\"%s\",\"levels\":[{\"channelIndex\":1,"
	          "\"clipping\":false,\"label\":\"L\",\"peakDbfs\":-1,\"rmsDbfs\":-2},{\"channelIndex\":1,"
	          "\"clipping\":false,\"label\":\"R\",\"peakDbfs\":-3,\"rmsDbfs\":-4}]}",
	          moment(0), n.id),
	     202);
	t = scrape();
	expect_sample(t, -1, "rakkr_input_peak_dbfs{channel=\"1\",interface_id=\"i\",node_id=\"%s\"}", n.id);
}

static void send_chunk(const struct node *n, const char *captured_at)
{
	struct blob audio = wav(1, 16000, 0.25);
	const char *const headers[] = {"Content-Type: audio/wav", fmt("x-rakkr-captured-at: %s", captured_at),
	                               "x-rakkr-duration-ms: 250", NULL};

	must(http("POST", fmt("%s/listen/chunk", n->path), n->token, headers, audio.data, audio.len), 202);
}

Test(metrics, monitor_chunks)
{
	struct node old = enroll_node("Old chunk"), future = enroll_node("Future chunk");
	struct scraped *t;
	double age;

	send_chunk(&old, moment(-100));
	send_chunk(&future, moment(3600));
	t = scrape();
	age = sample(
	    t, fmt("rakkr_listen_monitor_chunk_age_seconds{node_id=\"%s\",source=\"agent_audio_chunk\"}", old.id));
	cr_expect(age >= 100 && age < 200 && age == floor(age), "%g", age);
	expect_sample(t, 0, "rakkr_listen_monitor_chunk_age_seconds{node_id=\"%s\",source=\"agent_audio_chunk\"}",
	              future.id);
	expect_sample(t, 0.25,
	              "rakkr_listen_monitor_chunk_duration_seconds{node_id=\"%s\",source=\"agent_audio_chunk\"}",
	              old.id);
}
