/*
 * The recording library over HTTP: start, list, facets, detail, edit, delete, exports, files (contract 03 3.3 to 3.9).
 */
#include "http/harness.h"

#include <string.h>

static struct response upload(const struct node *n, const struct take *t, const struct blob *file, const char *name)
{
	const char *const headers[] = {fmt("x-rakkr-file-name: %s", name), NULL};
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file->data, file->len);
}

static struct take start_with(const struct node *n, const char *more)
{
	struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"%s}", n->id, more);
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	return t;
}

static struct node wide_node(const char *alias, int capacity)
{
	struct node n = enroll_node(alias);
	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":%d}}", capacity), 200);
	return n;
}

/* ---- who may ----------------------------------------------------------------------------------------------------- */

static const char *const rows[][3] = {
    {"GET", "", "recording:read"},
    {"GET", "/facets", "recording:read"},
    {"GET", "/export", "recording:read"},
    {"POST", "/export", "recording:read"},
    {"GET", "/rec_none", "recording:read"},
    {"GET", "/rec_none/context", "recording:read"},
    {"GET", "/rec_none/actions", "recording:read"},
    {"POST", "/rec_none/playback", "recording:playback"},
    {"POST", "/rec_none/download", "recording:download"},
    {"GET", "/rec_none/stream", "recording:playback"},
    {"GET", "/rec_none/file", "recording:download"},
    {"PATCH", "/bulk-metadata", "recording:edit"},
    {"POST", "/bulk-delete", "recording:delete"},
    {"PATCH", "/rec_none/metadata", "recording:edit"},
    {"DELETE", "/rec_none", "recording:delete"},
    {"POST", "", "recording:create"},
    {"POST", "/rec_none/stop", "recording:control"},
};

Test(recordings, every_route_refuses_strangers)
{
	struct user nobody = create_user("auditor", NULL);
	struct user viewer = create_user("viewer", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *path = fmt("/api/v1/recordings%s", rows[i][1]);
		struct response r = http(rows[i][0], path, NULL, NULL, NULL, 0);
		must(r, 401);
		cr_expect_str_eq(j_str(r.json, "permission"), rows[i][2], "%s", r.asked);
		bool listed = strcmp(rows[i][1], "") == 0 || strcmp(rows[i][1], "/facets") == 0;
		bool reads = strcmp(rows[i][2], "recording:read") == 0;
		if (listed && reads)
			continue; /* filtered, never forbidden */
		r = http(rows[i][0], path, viewer.token, NULL, NULL, 0);
		must(r, 403);
		if (!reads)
			must(http(rows[i][0], path, nobody.token, NULL, NULL, 0), 403);
	}
}

Test(recordings, unknown_ids)
{
	for (size_t i = 4; i < 15; i++) {
		if (strstr(rows[i][1], "bulk") != NULL)
			continue;
		struct response r =
		    http(rows[i][0], fmt("/api/v1/recordings%s", rows[i][1]), admin(), NULL, "{\"name\":\"x\"}", 12);
		must(r, 404);
		cr_expect_str_eq(r.body, "{\"error\":\"Recording not found\"}");
	}
	must(post("/api/v1/recordings/rec_none/stop", admin(), NULL), 404);
	cr_expect_str_eq(j_str(audit_last("recordings.stop.failed", "rec_none"), "reason"), "recording_not_found");
	must(get(fmt("/api/v1/recordings/%0300d", 1), admin()), 404);
	must(get("/api/v1/recordings/..%2f..%2fetc%2fpasswd/file", admin()), 404);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

Test(recordings, start_with_defaults)
{
	struct node n = enroll_node("Defaults");
	struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\" %s \"}", n.id);
	must(r, 202);
	json_object *rec = j_at(r.json, "data"), *job = j_at(r.json, "job");
	cr_expect_eq(strncmp(j_str(rec, "id"), "rec_", 4), 0);
	cr_expect_eq(strncmp(j_str(job, "id"), "job_", 4), 0);
	cr_expect_not_null(strstr(j_str(rec, "name"), "_Ad Hoc_Defaults"), "%s", j_str(rec, "name"));
	cr_expect_eq(strncmp(j_str(rec, "folder"), "Ad Hoc/20", 9), 0, "%s", j_str(rec, "folder"));
	cr_expect_str_eq(j_str(rec, "recordingProfileId"), "voice-mp3-vbr");
	cr_expect_str_eq(j_str(rec, "retentionPolicyId"), "retention-keep-controller-cache");
	cr_expect_str_eq(j_str(rec, "uploadPolicyId"), "upload-policy-stub");
	cr_expect_str_eq(json_object_to_json_string_ext(j_at(rec, "tags"), JSON_C_TO_STRING_PLAIN),
	                 "[\"ad-hoc\",\"voice\"]");
	cr_expect_eq(j_int(rec, "durationSeconds"), 0);
	cr_expect_str_eq(j_str(rec, "healthStatus"), "unknown");
	cr_expect_not(j_has(rec, "createdAt"));
	cr_expect_str_eq(j_str(job, "command.type"), "alsa_capture");
	cr_expect_str_eq(j_str(job, "command.captureInterfaceId"), n.interface_id);
	cr_expect_str_eq(j_str(job, "command.captureBackend"), "alsa");
	cr_expect_str_eq(j_str(job, "command.outputFileName"), fmt("%s.mp3", j_str(rec, "id")));
	cr_expect_eq(j_int(job, "command.outputBitrateKbps"), 128);
	cr_expect(j_true(job, "command.outputVbr"));
	cr_expect_eq(j_int(job, "command.durationSeconds"), 3600);
	json_object *event = audit_last("recordings.start.succeeded", j_str(rec, "id"));
	cr_expect_str_eq(j_str(event, "details.profileId"), "voice-mp3-vbr");
	cr_expect_str_eq(j_str(event, "details.jobStatus"), "queued");
	cr_expect_not(j_has(event, "details.captureBackend"));
	cr_expect_str_eq(j_str(event, "correlationIds.recordingId"), j_str(rec, "id"));
	struct response stored = get(fmt("/api/v1/recordings/%s", j_str(rec, "id")), admin());
	must(stored, 200);
	cr_expect(json_object_equal(j_at(stored.json, "data"), rec), "%s", stored.body);
}

Test(recordings, start_with_everything)
{
	struct node n = enroll_node("Everything");
	struct response r =
	    post("/api/v1/recordings", admin(),
	         "{\"nodeId\":\"%s\",\"captureBackend\":\"jack\",\"captureInterfaceId\":\"%s\",\"folder\":\" A/B "
	         "\",\"name\":\" Site \",\"recordingProfileId\":\"voice-mp3-vbr\",\"retentionPolicyId\":"
	         "\"retention-keep-controller-cache\",\"tags\":[\"Voice\",\"voice\",\"x\"],"
	         "\"uploadPolicyId\":\"upload-policy-stub\"}",
	         n.id, n.interface_id);
	must(r, 202);
	cr_expect_str_eq(j_str(r.json, "data.name"), "Site");
	cr_expect_str_eq(j_str(r.json, "data.folder"), "A/B");
	cr_expect_eq(j_count(r.json, "data.tags"), 2);
	cr_expect_str_eq(j_str(r.json, "data.tags.0"), "Voice");
	cr_expect_str_eq(j_str(r.json, "job.command.captureBackend"), "jack");
	cr_expect_str_eq(
	    j_str(audit_last("recordings.start.succeeded", j_str(r.json, "data.id")), "details.captureBackend"),
	    "jack");
	must(post(fmt("/api/v1/recordings/%s/stop", j_str(r.json, "data.id")), admin(), NULL), 200);
	r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"tags\":[]}", n.id);
	must(r, 202);
	cr_expect_eq(j_count(r.json, "data.tags"), 0);
}

Test(recordings, start_refuses)
{
	struct node n = enroll_node("Refusals");
	static const struct {
		const char *more;
		int status;
		const char *error, *reason;
	} cases[] = {
	    {",\"extra\":1", 400, "Invalid recording start request", "invalid_request"},
	    {",\"tags\":[\"\"]", 400, "Invalid recording start request", "invalid_request"},
	    {",\"captureBackend\":\"oss\"", 400, "Invalid recording start request", "invalid_request"},
	    {",\"name\":\" \"", 400, "Invalid recording start request", "invalid_request"},
	    {",\"captureInterfaceId\":\"nope\"", 409, "Recording interface not found", "recording_interface_not_found"},
	    {",\"recordingProfileId\":\"nope\"", 404, "Recording profile not found", "recording_profile_not_found"},
	    {",\"uploadPolicyId\":\"nope\"", 404, "Upload policy not found", "upload_policy_not_found"},
	    {",\"retentionPolicyId\":\"nope\"", 404, "Retention policy not found", "retention_policy_not_found"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"%s}", n.id, cases[i].more);
		must(r, cases[i].status);
		cr_expect_str_eq(j_str(r.json, "error"), cases[i].error);
		cr_expect_eq(j_has(r.json, "issues"), cases[i].status == 400);
		if (cases[i].status != 400)
			cr_expect_str_eq(j_str(audit_last("recordings.start.failed", n.id), "reason"), cases[i].reason);
	}
	must(post("/api/v1/recordings", admin(), "{\"nodeId\":\"nope\"}"), 404);
	struct response r = get(fmt("/api/v1/recordings?nodeId=%s", n.id), admin());
	cr_expect_eq(j_int(r.json, "meta.total"), 0, "a refused start leaves nothing");
	struct user u = create_user("operator", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));
	must(post("/api/v1/recordings", u.token, "[]"), 403);
	must(post("/api/v1/recordings", admin(), "[]"), 400);
	r = post("/api/v1/recordings", u.token, "{\"nodeId\":\"%s\",\"recordingProfileId\":\"voice-mp3-vbr\"}", n.id);
	must(r, 403);
	cr_expect_str_eq(r.body, "{\"error\":\"Forbidden\",\"permission\":\"recording:create\"}");
	json_object *event = audit_last("recordings.start.failed", "voice-mp3-vbr");
	cr_expect_str_eq(j_str(event, "outcome"), "denied");
	cr_expect_str_eq(j_str(event, "target.type"), "recording_profile");
}

struct starts {
	const struct node *node;
	int started, refused, count_two;
};

static void start_one(int index, void *arg)
{
	struct starts *s = arg;
	(void)index;
	struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", s->node->id);
	__atomic_add_fetch(&s->started, r.status == 202, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->refused, r.status == 409, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->count_two, j_int(r.json, "activeJobCount") == 2, __ATOMIC_RELAXED);
}

/* 09 D-17 */
Test(recordings, eight_starts_on_capacity_two)
{
	struct node n = wide_node("Two", 2);
	struct starts s = {.node = &n};
	admin();
	parallel(8, start_one, &s);
	cr_expect_eq(s.started, 2);
	cr_expect_eq(s.refused, 6);
	cr_expect_eq(s.count_two, 6);
	struct response r = get(fmt("/api/v1/recordings?nodeId=%s", n.id), admin());
	cr_expect_eq(j_int(r.json, "meta.total"), 2);
	r = get(fmt("/api/v1/recording-jobs?nodeId=%s", n.id), admin());
	cr_expect_eq(j_count(r.json, "data"), 2);
}

/* 09 D-34: the stop of a queued job frees the node at once, without an incident */
Test(recordings, stop_and_start_again)
{
	struct node n = enroll_node("Restart");
	struct take t = start_with(&n, "");
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);
	start_with(&n, "");
	struct response r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.healthStatus"), "unknown");
	r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "cancelled");
}

/* 09 D-11: what is secured stays secured */
Test(recordings, nothing_downgrades_a_cached_recording)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Secured");
	struct take t = start_with(&n, "");
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(upload(&n, &t, &file, "x.wav"), 201);
	struct response r = post(fmt("%s/stop", t.recording_path), admin(), NULL);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "cached");
	json_object *event = audit_last("recordings.stop.succeeded", t.recording_id);
	cr_expect_str_eq(j_str(event, "before.status"), "cached");
	cr_expect_str_eq(j_str(event, "after.status"), "cached");
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	event = audit_last("recording_jobs.failed.succeeded", t.job_id);
	cr_expect_not(j_has(event, "details.healthEventId"));
	if (on_postgres()) {
		sql("UPDATE recording_jobs SET status = 'running', lease_expires_at = now() - interval '1 minute' "
		    "WHERE id = '%s'",
		    t.job_id);
		r = get(t.job_path, n.token);
		cr_expect_str_eq(j_str(r.json, "data.status"), "failed");
	}
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "cached");
	cr_expect_str_eq(j_str(r.json, "data.healthStatus"), "healthy");
	must(get(fmt("%s/file", t.recording_path), admin()), 200);
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static const char *ids(const struct response *r)
{
	char *out = fmt("%s", "");
	for (size_t i = 0; i < j_count(r->json, "data"); i++)
		out = fmt("%s%s%s", out, i > 0 ? " " : "", j_str(r->json, fmt("data.%zu.name", i)));
	return out;
}

static struct response listed(const struct node *n, const char *query)
{
	struct response r = get(fmt("/api/v1/recordings?nodeId=%s%s", n->id, query), admin());
	must(r, 200);
	return r;
}

static void expect_list(const struct node *n, const char *query, const char *want)
{
	struct response r = listed(n, query);
	cr_expect_str_eq(ids(&r), want, "%s", query);
}

Test(recordings, filters_and_order)
{
	struct blob file = wav(1, 8000, 2);
	struct node n = wide_node("Filters", 8);
	start_with(&n, ",\"name\":\"b1\",\"folder\":\"Alpha/One\",\"tags\":[\"Red\"]");
	start_with(&n, ",\"name\":\"A2\",\"folder\":\"alpha/two\",\"tags\":[\"red\",\"blue\"]");
	struct take c = start_with(&n, ",\"name\":\"_3\",\"folder\":\"50%_x\\\\y\",\"tags\":[]");
	must(post(fmt("%s/cancelled", c.job_path), n.token, NULL), 200);
	must(upload(&n, &c, &file, "x.wav"), 201);
	expect_list(&n, "&sortBy=name", "_3 A2 b1");
	expect_list(&n, "&sortBy=name&sortOrder=desc", "b1 A2 _3");
	expect_list(&n, "&sortBy=recordedAt&sortOrder=asc", "b1 A2 _3");
	expect_list(&n, "", "_3 A2 b1");
	expect_list(&n, "&sortOrder=asc", "_3 A2 b1");
	expect_list(&n, "&sortBy=durationSeconds&limit=1", "_3");
	expect_list(&n, "&folder=ALPHA&sortBy=name", "A2 b1");
	expect_list(&n, "&folder=%25_", "_3");
	expect_list(&n, "&search=%5Cy", "_3");
	expect_list(&n, "&tag=RED&sortBy=name", "A2 b1");
	expect_list(&n, "&tag=re", "");
	expect_list(&n, "&search=BLU", "A2");
	expect_list(&n, "&cacheState=cached", "_3");
	expect_list(&n, "&cacheState=missing&sortBy=name", "A2 b1");
	expect_list(&n, "&status=cached", "_3");
	expect_list(&n, "&healthStatus=warning", "_3");
	expect_list(&n, "&recordedFrom=2999", "");
	expect_list(&n, "&recordedTo=2999-01-01&sortBy=name", "_3 A2 b1");
	expect_list(&n, "&recordedFrom=%202001-02-03T04:05:06%2B02:00&sortBy=name", "_3 A2 b1");
	expect_list(&n, "&folder=%20%20&search=&sortBy=name", "_3 A2 b1");
	expect_list(&n, "&uploadPolicyId=upload-policy-stub&recordingProfileId=voice-mp3-vbr&sortBy=name", "_3 A2 b1");
	expect_list(&n, "&scheduleId=none", "");
	expect_list(&n, "&trackGroupId=none", "");
}

Test(recordings, pages)
{
	struct node n = wide_node("Pages", 8);
	for (int i = 0; i < 5; i++)
		start_with(&n, fmt(",\"name\":\"p%d\"", i));
	struct response r = listed(&n, "&limit=2&offset=2&sortBy=name");
	cr_expect_str_eq(ids(&r), "p2 p3");
	cr_expect(j_true(r.json, "meta.hasNextPage") && j_true(r.json, "meta.hasPreviousPage"));
	cr_expect_eq(j_int(r.json, "meta.limit"), 2);
	cr_expect_eq(j_int(r.json, "meta.offset"), 2);
	cr_expect_eq(j_int(r.json, "meta.returned"), 2);
	cr_expect_eq(j_int(r.json, "meta.total"), 5);
	r = listed(&n, "&limit=0x2&offset=4&sortBy=name");
	cr_expect_str_eq(ids(&r), "p4");
	cr_expect_not(j_true(r.json, "meta.hasNextPage"));
	r = listed(&n, "&limit=2&offset=90");
	cr_expect_eq(j_int(r.json, "meta.returned"), 0);
	cr_expect_eq(j_int(r.json, "meta.total"), 5);
	r = listed(&n, "&offset=3&sortBy=name");
	cr_expect_str_eq(ids(&r), "p0 p1 p2 p3 p4");
	cr_expect_not(j_has(r.json, "meta.limit"));
	cr_expect(j_true(r.json, "meta.hasPreviousPage"));
	json_object *event = audit_last("recordings.read.succeeded", "recording_collection");
	cr_expect(j_has(event, "details.totalCount"));
}

Test(recordings, filters_that_are_refused)
{
	static const struct {
		const char *query;
		size_t issues;
	} cases[] = {
	    {"sortOrder=up&healthStatus=fine", 2}, /* not among the last: events of one millisecond have no order */
	    {"limit=0", 1},
	    {"limit=201", 1},
	    {"limit=-3", 2},
	    {"limit=1.5", 1},
	    {"limit=abc", 1},
	    {"offset=-1", 1},
	    {"cacheState=cached%20", 1},
	    {"status=done", 1},
	    {"sortBy=id", 1},
	    {"recordedFrom=soon", 1},
	    {"recordedTo=%2B275000-01-01T00:00:00Z", 1}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response r = get(fmt("/api/v1/recordings?%s", cases[i].query), admin());
		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid recording filters");
		cr_expect_eq(j_count(r.json, "issues"), cases[i].issues, "%s: %s", cases[i].query, r.body);
	}
	struct response r = get(fmt("/api/v1/recordings?search=%0241d", 1), admin());
	must(r, 400);
	cr_expect_eq(j_int(audit_last("recordings.read.failed", "recording_collection"), "details.issueCount"), 1);
	must(get("/api/v1/recordings/export?limit=0", admin()), 400);
}

Test(recordings, facets)
{
	struct node n = wide_node("Facets", 8);
	const char *folder = fmt("Facets %s", n.id), *tag = fmt("t%.40s", n.id);
	start_with(&n, fmt(",\"folder\":\"%s\",\"tags\":[\"%s\"]", folder, tag));
	start_with(&n, fmt(",\"folder\":\"%s\",\"tags\":[\"%s\",\"other\"]", folder, tag));
	struct response r = get("/api/v1/recordings/facets", admin());
	must(r, 200);
	cr_expect_eq(j_int(j_find(r.json, "data.folders", "value", folder), "count"), 2);
	cr_expect_eq(j_int(j_find(r.json, "data.nodes", "value", n.id), "count"), 2);
	cr_expect_eq(j_int(j_find(r.json, "data.tags", "value", tag), "count"), 2);
	cr_expect(j_has(r.json, "data.trackGroups"));
	cr_expect_geq(j_int(j_find(r.json, "data.recordingProfiles", "value", "voice-mp3-vbr"), "count"), 2);
	for (size_t i = 1; i < j_count(r.json, "data.tags"); i++)
		cr_expect_geq(j_int(r.json, fmt("data.tags.%zu.count", i - 1)),
		              j_int(r.json, fmt("data.tags.%zu.count", i)));
	json_object *event = audit_last("recordings.facets.read.succeeded", "recording_collection");
	cr_expect_eq(j_int(event, "details.folderCount"), (int64_t)j_count(r.json, "data.folders"));
	struct user u = create_user("operator", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));
	r = get("/api/v1/recordings/facets", u.token);
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.nodes"), 1);
	cr_expect_eq(j_int(r.json, "data.nodes.0.count"), 2);
	r = get("/api/v1/recordings?limit=50", u.token);
	cr_expect_eq(j_int(r.json, "meta.total"), 2);
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

Test(recordings, context_and_actions)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Actions");
	struct take t = start_with(&n, "");
	struct response r = get(fmt("%s/actions", t.recording_path), admin());
	must(r, 200);
	cr_expect_not(j_true(r.json, "data.actions.delete.enabled"));
	cr_expect_str_eq(j_str(r.json, "data.actions.delete.reason"), "recording_active");
	cr_expect_str_eq(j_str(r.json, "data.actions.playback.reason"), "recording_not_cached");
	cr_expect_str_eq(j_str(r.json, "data.actions.stop.href"), fmt("%s/stop", t.recording_path));
	cr_expect_str_eq(j_str(r.json, "data.actions.retryJob.reason"), "active_job_exists");
	cr_expect_str_eq(j_str(r.json, "data.jobs.active.id"), t.job_id);
	cr_expect_not(j_has(r.json, "data.jobs.retryable"));
	cr_expect_str_eq(j_str(r.json, "data.links.uploadQueue"), fmt("%s/upload-queue", t.recording_path));
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	r = get(fmt("%s/actions", t.recording_path), admin());
	cr_expect_str_eq(j_str(r.json, "data.actions.retryJob.href"), fmt("%s/retry", t.job_path));
	cr_expect_str_eq(j_str(r.json, "data.links.retryJob"), fmt("%s/retry", t.job_path));
	must(upload(&n, &t, &file, "x.wav"), 201);
	struct user viewer = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));
	r = get(fmt("%s/actions", t.recording_path), viewer.token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.delete.reason"), "missing_permission");
	cr_expect_eq(
	    j_int(audit_last("recordings.actions.read.succeeded", t.recording_id), "details.visibleActionCount"), 7);
	r = get(fmt("%s/context", t.recording_path), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.jobs"), 1);
	cr_expect_eq(j_count(r.json, "data.healthEvents"), 1);
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.type"), "controller.recording.job_failed");
	cr_expect(j_has(r.json, "data.healthEvents.0.resolvedAt"));
	cr_expect_str_eq(j_str(r.json, "data.recording.id"), t.recording_id);
}

Test(recordings, edit)
{
	struct node n = enroll_node("Edit");
	struct take t = start_with(&n, ",\"name\":\"Old\",\"tags\":[\"a\"]");
	const char *path = fmt("%s/metadata", t.recording_path);
	struct response r = patch(path, admin(),
	                          "{\"name\":\" New \",\"notes\":\" n \",\"tags\":[\"x\",\"X\",\"y\"],"
	                          "\"transcriptSnippets\":[\"s\",\"S\"]}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.name"), "New");
	cr_expect_str_eq(j_str(r.json, "data.notes"), "n");
	cr_expect_eq(j_count(r.json, "data.tags"), 2);
	cr_expect_eq(j_count(r.json, "data.transcriptSnippets"), 1);
	json_object *event = audit_last("recordings.metadata.update.succeeded", t.recording_id);
	cr_expect_str_eq(j_str(event, "before.name"), "Old");
	cr_expect_str_eq(j_str(event, "after.name"), "New");
	cr_expect_str_eq(json_object_to_json_string_ext(j_at(event, "details.fields"), JSON_C_TO_STRING_PLAIN),
	                 "[\"name\",\"notes\",\"tags\",\"transcriptSnippets\"]");
	r = patch(path, admin(), "{\"notes\":null,\"tags\":[],\"transcriptSnippets\":null}");
	must(r, 200);
	cr_expect_not(j_has(r.json, "data.notes") || j_has(r.json, "data.transcriptSnippets"));
	cr_expect_eq(j_count(r.json, "data.tags"), 0);
	cr_expect_str_eq(j_str(r.json, "data.name"), "New");
	must(patch(path, admin(), "{}"), 400);
	must(patch(path, admin(), "{\"name\":\"x\",\"status\":\"cached\"}"), 400);
	must(patch(path, admin(), "{\"notes\":\"%02001d\"}", 1), 400);
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "recording");
}

Test(recordings, bulk_edit)
{
	struct node n = wide_node("Bulk", 8);
	struct take a = start_with(&n, ",\"tags\":[\"One\",\"two\"]"), b = start_with(&n, ",\"tags\":[]");
	const char *path = "/api/v1/recordings/bulk-metadata";
	struct response r = patch(path, admin(),
	                          "{\"recordingIds\":[\"%s\",\"%s\",\"%s\"],\"addTags\":[\"new\",\"TWO\"],"
	                          "\"removeTags\":[\"ONE\"],\"folder\":\"F\"}",
	                          a.recording_id, b.recording_id, a.recording_id);
	must(r, 200);
	cr_expect_eq(j_int(r.json, "meta.updatedCount"), 2);
	cr_expect_str_eq(json_object_to_json_string_ext(j_at(r.json, "data.0.tags"), JSON_C_TO_STRING_PLAIN),
	                 "[\"two\",\"new\"]");
	cr_expect_str_eq(json_object_to_json_string_ext(j_at(r.json, "data.1.tags"), JSON_C_TO_STRING_PLAIN),
	                 "[\"new\",\"TWO\"]");
	cr_expect_str_eq(j_str(r.json, "data.1.folder"), "F");
	json_object *event = audit_last("recordings.metadata.bulk_update.succeeded", "recording_collection");
	cr_expect(j_has(event, "correlationIds.recordingId1"));
	r = patch(path, admin(), "{\"recordingIds\":[\"%s\",\"nope\"],\"replaceTags\":[]}", a.recording_id);
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"One or more recordings are not visible\"}");
	r = get(a.recording_path, admin());
	cr_expect_eq(j_count(r.json, "data.tags"), 2);
	must(patch(path, admin(), "{\"recordingIds\":[\"x\"]}"), 400);
	must(patch(path, admin(), "{\"recordingIds\":[\"x\"],\"replaceTags\":[],\"addTags\":[]}"), 400);
	must(patch(path, admin(), "{\"recordingIds\":[],\"folder\":\"x\"}"), 400);
}

Test(recordings, delete_takes_everything_along)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = wide_node("Delete", 4);
	struct take t = start_with(&n, "");
	must(del(t.recording_path, admin()), 409);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(upload(&n, &t, &file, "x.wav"), 201);
	must(del(t.recording_path, admin()), 204);
	must(get(t.recording_path, admin()), 404);
	must(del(t.recording_path, admin()), 404);
	json_object *event = audit_last("recordings.delete.succeeded", t.recording_id);
	cr_expect(j_true(event, "details.cacheDeleted"));
	cr_expect_str_eq(j_str(event, "before.recording.status"), "cached");
	must(get(t.job_path, admin()), 404);

	struct take a = start_with(&n, ""), b = start_with(&n, "");
	must(post(fmt("%s/failed", a.job_path), n.token, NULL), 200);
	struct response r = post("/api/v1/recordings/bulk-delete", admin(), "{\"recordingIds\":[\"%s\",\"%s\"]}",
	                         a.recording_id, b.recording_id);
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "Active recordings cannot be deleted");
	must(get(a.recording_path, admin()), 200);
	must(post(fmt("%s/failed", b.job_path), n.token, NULL), 200);
	r = post("/api/v1/recordings/bulk-delete", admin(), "{\"recordingIds\":[\"%s\",\"%s\"]}", a.recording_id,
	         b.recording_id);
	must(r, 200);
	cr_expect_eq(j_int(r.json, "meta.deletedCount"), 2);
	cr_expect_eq(j_int(r.json, "meta.cacheDeletedCount"), 0);
	must(get(b.recording_path, admin()), 404);
	must(post("/api/v1/recordings/bulk-delete", admin(), "{\"recordingIds\":[\"%s\"]}", a.recording_id), 404);
}

Test(recordings, exports)
{
	struct node n = wide_node("Export", 4);
	struct take a = start_with(&n, ",\"name\":\"=1+1, \\\"q\\\"\",\"tags\":[\"x\",\"y\"]"), b = start_with(&n, "");
	struct response r = get(fmt("/api/v1/recordings/export?nodeId=%s&limit=1", n.id), admin());
	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Type"), "text/csv; charset=utf-8");
	cr_expect_not_null(strstr(header(&r, "Content-Disposition"), "attachment; filename=\"rakkr-recordings-20"));
	cr_expect_eq(strncmp(r.body, "id,name,notes,transcriptSnippets,folder,tags,status,", 51), 0);
	cr_expect_not_null(strstr(r.body, b.recording_id), "limit is not applied");
	cr_expect_not_null(strstr(r.body, fmt("\n%s,\"'=1+1, \"\"q\"\"\",,,", a.recording_id)), "%s", r.body);
	cr_expect_not_null(strstr(r.body, ",x;y,recording,unknown,ad_hoc,"), "%s", r.body);
	r = post("/api/v1/recordings/export", admin(), "{\"recordingIds\":[\"%s\",\"%s\",\"%s\"]}", b.recording_id,
	         a.recording_id, b.recording_id);
	must(r, 200);
	cr_expect_lt(strstr(r.body, b.recording_id), strstr(r.body, a.recording_id));
	json_object *event = audit_last("recordings.export_selected.succeeded", "recording_collection");
	cr_expect_eq(j_int(event, "details.requestedCount"), 3);
	cr_expect_eq(j_int(event, "details.exportedCount"), 2);
	r = post("/api/v1/recordings/export", admin(), "{\"recordingIds\":[\"nope\"]}");
	must(r, 404);
	event = audit_last("recordings.export_selected.failed", "recording_collection");
	cr_expect_str_eq(j_str(event, "outcome"), "denied");
	cr_expect_str_eq(j_str(event, "details.hiddenIds.0"), "nope");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

Test(recordings, file_names)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Names");
	struct take t = start_with(&n, ",\"name\":\"Gemeinde\\\"rat: \xc3\xbc\xf0\x9f\x98\x80\"");
	must(upload(&n, &t, &file, "x.WAV"), 201);
	struct response r = get(fmt("%s/file", t.recording_path), admin());
	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Disposition"),
	                 "attachment; filename=\"Gemeinde_rat_ ___.wav\"; "
	                 "filename*=UTF-8''Gemeinde%22rat%3A%20%C3%BC%F0%9F%98%80.wav");
	r = get(fmt("%s/stream", t.recording_path), admin());
	cr_expect_str_eq(header(&r, "Content-Type"), "audio/wav");
	cr_expect_eq(r.len, file.len);
}

Test(recordings, a_file_that_is_gone_or_outside)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Outside");
	struct take t = start_with(&n, "");
	struct response r = get(fmt("%s/file", t.recording_path), admin());
	must(r, 409);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording is not cached\"}");
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(upload(&n, &t, &file, "x.wav"), 201);
	if (!on_postgres())
		return;
	static const char *const paths[][2] = {{"../../../../../../etc/passwd", "recording_cache_path_outside_root"},
	                                       {"ad-hoc/gone.wav", "recording_cache_file_missing"}};
	for (size_t i = 0; i < 2; i++) {
		sql("UPDATE recordings SET cache_path = '%s' WHERE id = '%s'", paths[i][0], t.recording_id);
		r = get(fmt("%s/file", t.recording_path), admin());
		must(r, 409);
		cr_expect_str_eq(r.body, "{\"error\":\"Recording cache file is unavailable\"}");
		cr_expect_str_eq(j_str(audit_last("recordings.download.file.failed", t.recording_id), "reason"),
		                 paths[i][1]);
	}
	must(del(t.recording_path, admin()), 204);
}
