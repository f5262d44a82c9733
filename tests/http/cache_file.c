/*
 * The upload of a recording's file over HTTP: who may, what is checked, what becomes of it (contract 03 3.13 to 3.15).
 */
#include "http/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct extra {
	const char *name, *type, *seconds, *job;
};

static struct response upload(const struct node *n, const struct take *t, struct blob file, struct extra x)
{
	const char *headers[5] = {NULL};
	int count = 0;
	if (x.name != NULL)
		headers[count++] = fmt("x-rakkr-file-name: %s", x.name);
	if (x.type != NULL)
		headers[count++] = fmt("Content-Type: %s", x.type);
	if (x.seconds != NULL)
		headers[count++] = fmt("x-rakkr-duration-seconds: %s", x.seconds);
	if (x.job != NULL)
		headers[count++] = fmt("x-rakkr-recording-job-id: %s", x.job);
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file.data, file.len);
}

static struct response recording(const struct take *t)
{
	struct response r = get(t->recording_path, admin());
	must(r, 200);
	return r;
}

static struct take claimed(const struct node *n)
{
	struct take t = start_recording(n);
	cr_assert_str_eq(claim_next(n), t.job_id);
	return t;
}

static const char *failure_reason(const struct take *t)
{
	return j_str(audit_last("recordings.cache_file.attach.failed", t->recording_id), "reason");
}

/* ---- gates ------------------------------------------------------------------------------------------------------- */

Test(cache_file, only_its_own_node)
{
	struct blob file = wav(1, 8000, 1);
	struct node n = enroll_node("Mine"), other = enroll_node("Not mine");
	struct take t = claimed(&n), foreign = start_recording(&other);
	struct node stranger = {.token = NULL};
	struct response r = upload(&stranger, &t, file, (struct extra){.name = "x.wav"});
	must(r, 401);
	cr_expect_str_eq(r.body, "{\"error\":\"Node credential required\"}");
	cr_expect_str_eq(failure_reason(&t), "missing_node_token");
	stranger.token = admin();
	must(upload(&stranger, &t, file, (struct extra){0}), 401);
	r = upload(&other, &t, file, (struct extra){0});
	must(r, 403);
	cr_expect_str_eq(r.body, "{\"error\":\"Node credential cannot access this recording\"}");
	struct take none = {.recording_path = "/api/v1/recordings/rec_none"};
	r = upload(&n, &none, file, (struct extra){0});
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording not found\"}");
	r = upload(&n, &t, file, (struct extra){.job = "job_none"});
	must(r, 404);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job not found\"}");
	r = upload(&n, &t, file, (struct extra){.job = foreign.job_id});
	must(r, 403);
	cr_expect_str_eq(r.body, "{\"error\":\"Node credential cannot access this job\"}");
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	struct take next = start_recording(&n);
	r = upload(&n, &t, file, (struct extra){.job = next.job_id});
	must(r, 403);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording job does not match this recording\"}");
	json_object *event = audit_last("recordings.cache_file.attach.failed", next.job_id);
	cr_expect_str_eq(j_str(event, "target.type"), "recording_job");
	cr_expect_str_eq(j_str(event, "reason"), "recording_job_scope_denied");
	cr_expect_str_eq(j_str(recording(&t).json, "data.cachePath"), "");
}

Test(cache_file, empty_files_and_bad_lengths_show_on_the_badge)
{
	struct node n = enroll_node("Badge");
	struct take t = claimed(&n);
	struct blob file = wav(1, 8000, 1), empty = {.data = (unsigned char *)"", .len = 0};
	struct response r = upload(&n, &t, file, (struct extra){.seconds = "soon"});
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Invalid x-rakkr-duration-seconds header\"}");
	cr_expect_str_eq(j_str(recording(&t).json, "data.healthStatus"), "warning");
	r = upload(&n, &t, empty, (struct extra){.seconds = "soon"});
	must(r, 400);
	cr_expect_str_eq(r.body, "{\"error\":\"Recording cache file cannot be empty\"}");
	cr_expect_str_eq(j_str(recording(&t).json, "data.healthStatus"), "critical");
	json_object *event = audit_last("recordings.cache_file.attach.failed", t.recording_id);
	cr_expect_str_eq(j_str(event, "reason"), "empty_file");
	cr_expect_str_neq(j_str(event, "details.healthEventId"), "");
	cr_expect_str_eq(j_str(recording(&t).json, "data.status"), "recording");
	r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.type"), "controller.recording.cache_file_failed");
	cr_expect_str_eq(j_str(r.json, "data.healthEvents.0.details.source"), "cache_file_attach");
}

/* ---- what is stored ---------------------------------------------------------------------------------------------- */

Test(cache_file, durations)
{
	static const struct {
		const char *header;
		int64_t seconds;
	} cases[] = {{NULL, 2}, {"7", 7}, {"1e2", 100}, {"0x10", 16}, {"1.5", 2}, {"0", 0}, {"3000000000", 2147483647}};
	struct node n = enroll_node("Durations");
	struct take t = claimed(&n);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response r =
		    upload(&n, &t, wav(1, 8000, 2), (struct extra){"x.wav", NULL, cases[i].header, NULL});
		must(r, 201);
		cr_expect_eq(j_int(r.json, "data.recording.durationSeconds"), cases[i].seconds, "case %zu", i);
		cr_expect_eq(j_int(r.json, "data.file.durationSeconds"), cases[i].seconds, "case %zu", i);
	}
}

Test(cache_file, repeated_upload_changes_nothing)
{
	struct blob file = wav(2, 16000, 1);
	struct node n = enroll_node("Twice");
	struct take t = claimed(&n);
	struct extra x = {.name = "x.wav", .seconds = "9", .job = t.job_id};
	struct response first = upload(&n, &t, file, x), again = upload(&n, &t, file, x);
	must(first, 201);
	must(again, 201);
	cr_expect(json_object_equal(j_at(first.json, "data"), j_at(again.json, "data")), "%s\n%s", first.body,
	          again.body);
	json_object *event = audit_last("recordings.cache_file.attach.succeeded", t.recording_id);
	cr_expect_str_eq(j_str(event, "details.jobId"), t.job_id);
	cr_expect_str_eq(j_str(event, "details.jobStatus"), "completed");
	cr_expect_eq(j_int(event, "details.waveformPeaks"), 96);
	cr_expect_eq(j_int(event, "before.waveformPeaks"), 96);
	cr_expect_eq(j_int(event, "details.size"), (int64_t)file.len);
}

static struct blob read_file(const char *path)
{
	struct blob b = {.data = malloc(1 << 20)};
	FILE *f = fopen(path, "rb");
	cr_assert_not_null(f, "%s", path);
	b.len = fread(b.data, 1, 1 << 20, f);
	fclose(f);
	return b;
}

/* A second of tone as ffmpeg makes it; skips the test where there is no ffmpeg. */
static struct blob encoded(const char *extension)
{
	char dir[] = "/tmp/rakkr-audio-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	const char *path = fmt("%s/x.%s", dir, extension);
	if (system(fmt("ffmpeg -v error -f lavfi -i sine=duration=3.2 %s </dev/null 2>/dev/null", path)) != 0)
		cr_skip_test("there is no ffmpeg");
	struct blob b = read_file(path);
	unlink(path);
	rmdir(dir);
	return b;
}

Test(cache_file, other_formats_go_through_ffmpeg)
{
	static const struct {
		const char *extension, *mime;
	} cases[] = {{"mp3", "audio/mpeg"}, {"flac", "audio/flac"}};
	struct node n = enroll_node("Formats");
	for (size_t i = 0; i < 2; i++) {
		struct take t = claimed(&n);
		struct blob file = encoded(cases[i].extension);
		struct response r = upload(&n, &t, file, (struct extra){.name = fmt("take.%s", cases[i].extension)});
		must(r, 201);
		cr_expect_str_eq(j_str(r.json, "data.file.mimeType"), cases[i].mime);
		cr_expect_eq(j_int(r.json, "data.file.durationSeconds"), 3);
		cr_expect_str_eq(j_str(r.json, "data.file.waveformPreview.source"), "ffmpeg_decoded_peak");
		cr_expect_eq(j_int(r.json, "data.file.waveformPreview.channelCount"), 1);
		cr_expect_eq(j_count(r.json, "data.file.waveformPreview.peaks"), 96);
		cr_expect_float_eq(j_num(r.json, "data.file.waveformPreview.peaks.50"), 0.125, 0.03);
		r = get(fmt("%s/file", t.recording_path), admin());
		cr_expect_str_eq(header(&r, "Content-Type"), cases[i].mime);
		cr_expect(r.len == file.len && memcmp(r.body, file.data, file.len) == 0);
	}
}

Test(cache_file, what_is_no_audio_is_kept_all_the_same)
{
	struct node n = enroll_node("Rubbish");
	struct take t = claimed(&n);
	struct blob file = {.data = (unsigned char *)"this is no audio at all", .len = 23};
	struct response r = upload(&n, &t, file, (struct extra){.name = "x.mp3"});
	must(r, 201);
	cr_expect_not(j_has(r.json, "data.file.durationSeconds") || j_has(r.json, "data.file.waveformPreview"));
	cr_expect_eq(j_int(r.json, "data.recording.durationSeconds"), 1);
	cr_expect_str_eq(j_str(r.json, "data.recording.status"), "cached");
}

/* Files of this recording in the cache folder, whatever their extension; hidden ones too. */
static int files_of(const struct take *t)
{
	const char *folder = getenv("RAKKR_RECORDING_CACHE_DIR");
	DIR *dir =
	    opendir(folder != NULL ? fmt("%s/ad-hoc", folder) : fmt("%s/data/recordings/ad-hoc", instance_dir()));
	struct dirent *entry;
	int n = 0;
	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, t->recording_id) != NULL;
	closedir(dir);
	return n;
}

/* 03 T14, 09 D-87 */
Test(cache_file, another_extension_replaces_the_file)
{
	struct node n = enroll_node("Extension");
	struct take t = claimed(&n);
	struct blob file = wav(1, 8000, 1);
	must(upload(&n, &t, file, (struct extra){.name = "x.wav"}), 201);
	struct response r = upload(&n, &t, file, (struct extra){.name = "x.mp3"});
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.recording.cachePath"), fmt("ad-hoc/%s.mp3", t.recording_id));
	int files = files_of(&t);
	cr_expect(files == 1 || files == -1, "%d files", files);
	must(del(t.recording_path, admin()), 204);
	files = files_of(&t);
	cr_expect(files <= 0, "%d files", files);
}

Test(cache_file, scheduled_recordings_have_their_own_folder)
{
	if (!on_postgres())
		cr_skip_test("a scheduled recording is made by hand in a database");
	struct node n = enroll_node("Scheduled");
	struct take t = claimed(&n);
	sql("UPDATE recordings SET source = 'schedule' WHERE id = '%s'", t.recording_id);
	struct response r = upload(&n, &t, wav(1, 8000, 1), (struct extra){.type = "audio/x-wav"});
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.file.cachePath"), fmt("scheduled/%s.wav", t.recording_id));
	must(get(fmt("%s/file", t.recording_path), admin()), 200);
}

/* ---- upload queue ------------------------------------------------------------------------------------------------ */

static struct take start_with_policy(const struct node *n, const char *policy)
{
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"uploadPolicyId\":\"%s\"}", n->id, policy);
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	cr_assert_str_eq(claim_next(n), t.job_id);
	return t;
}

Test(cache_file, queued_by_policy_and_superseded)
{
	if (!on_postgres())
		cr_skip_test("the policy is made by hand in a database");
	struct node n = enroll_node("Policy");
	const char *policy = fmt("policy_%s", n.id);
	sql("INSERT INTO upload_policies (id, name, provider, \"trigger\", enabled, max_attempts, target, updated_at) "
	    "VALUES ('%s', 'p', 'smb', 'on_recording_cached', true, 3, '/mnt/archive', now())",
	    policy);
	struct take t = start_with_policy(&n, policy);
	struct blob first = wav(1, 8000, 1), second = wav(1, 8000, 2);
	struct response r = upload(&n, &t, first, (struct extra){.name = "x.wav"});
	must(r, 201);
	const char *item = j_str(r.json, "data.uploadQueueItem.id");
	cr_expect_eq(strncmp(item, "upload_", 7), 0);
	cr_expect_str_eq(j_str(r.json, "data.uploadQueueItem.lastError"), "policy_on_recording_cached");
	cr_expect_str_eq(j_str(r.json, "data.uploadQueueItem.target"), "/mnt/archive");
	cr_expect_eq(j_int(r.json, "data.uploadQueueItem.maxAttempts"), 3);
	cr_expect_str_eq(j_str(r.json, "data.uploadQueueItem.status"), "queued");
	json_object *event = audit_last("recordings.upload_queue.auto_enqueue.succeeded", t.recording_id);
	cr_expect_str_eq(j_str(event, "correlationIds.uploadQueueItemId"), item);
	cr_expect_str_eq(j_str(event, "details.trigger"), "on_recording_cached");
	r = upload(&n, &t, first, (struct extra){.name = "x.wav"});
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.uploadQueueItem.id"), item, "the same file, the same item");
	r = upload(&n, &t, second, (struct extra){.name = "x.wav"});
	must(r, 201);
	cr_expect_str_neq(j_str(r.json, "data.uploadQueueItem.id"), item);
	cr_expect_str_eq(j_str(r.json, "data.uploadQueueItem.checksum"), j_str(r.json, "data.file.checksum"));
	cr_expect_str_eq(sql("SELECT status FROM upload_queue_items WHERE id = '%s'", item), "cancelled");
	r = get(fmt("%s/context", t.recording_path), admin());
	cr_expect_eq(j_count(r.json, "data.uploadQueueItems"), 2);
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	must(del(t.recording_path, admin()), 204);
	cr_expect_str_eq(
	    sql("SELECT count(*) FROM upload_queue_items WHERE recording_id = '%s' AND status <> 'cancelled'",
	        t.recording_id),
	    "0");
}

/* The queue refuses, the file stays (03 3.15 step 5). */
Test(cache_file, a_queue_that_refuses)
{
	if (!on_postgres())
		cr_skip_test("only a database can be made to refuse");
	struct node n = enroll_node("Refusing queue");
	const char *policy = fmt("policy_%s", n.id);
	sql("INSERT INTO upload_policies (id, name, provider, \"trigger\", enabled, max_attempts, updated_at) "
	    "VALUES ('%s', 'p', 's3', 'on_recording_cached', true, 3, now())",
	    policy);
	struct take t = start_with_policy(&n, policy);
	sql("ALTER TABLE upload_queue_items ADD CONSTRAINT refuse_%d CHECK (recording_id <> '%s') NOT VALID",
	    (int)getpid(), t.recording_id);
	struct response r = upload(&n, &t, wav(1, 8000, 1), (struct extra){.name = "x.wav"});
	sql("ALTER TABLE upload_queue_items DROP CONSTRAINT refuse_%d", (int)getpid());
	must(r, 201);
	cr_expect_not(j_has(r.json, "data.uploadQueueItem"));
	cr_expect_str_eq(j_str(r.json, "data.recording.status"), "cached");
	cr_expect_str_eq(j_str(r.json, "data.recording.healthStatus"), "warning");
	json_object *event = audit_last("recordings.upload_queue.auto_enqueue.failed", t.recording_id);
	cr_expect_str_eq(j_str(event, "details.uploadPolicyId"), policy);
	cr_expect_str_neq(j_str(event, "details.healthEventId"), "");
	must(get(fmt("%s/file", t.recording_path), admin()), 200);
	r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "completed");
}

/* 09 D-15: the rows cannot be written, so the old file and its rows stay as they are */
Test(cache_file, a_database_that_refuses_keeps_the_old_file)
{
	if (!on_postgres())
		cr_skip_test("only a database can be made to refuse");
	struct node n = enroll_node("Refusing rows");
	struct take t = claimed(&n);
	struct blob first = wav(1, 8000, 1), second = wav(1, 8000, 2);
	must(upload(&n, &t, first, (struct extra){.name = "x.wav"}), 201);
	sql("ALTER TABLE recordings ADD CONSTRAINT refuse_%d CHECK (id <> '%s' OR checksum = 'sha256:%s') NOT VALID",
	    (int)getpid(), t.recording_id, sha256(first.data, first.len));
	struct response r = upload(&n, &t, second, (struct extra){.name = "x.wav"});
	sql("ALTER TABLE recordings DROP CONSTRAINT refuse_%d", (int)getpid());
	cr_expect_geq(r.status, 400);
	r = get(fmt("%s/file", t.recording_path), admin());
	must(r, 200);
	cr_expect(r.len == first.len && memcmp(r.body, first.data, first.len) == 0);
	int files = files_of(&t);
	cr_expect(files == 1 || files == -1, "%d files", files);
	must(upload(&n, &t, second, (struct extra){.name = "x.wav"}), 201);
}
