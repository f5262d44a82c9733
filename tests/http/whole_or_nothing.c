/*
 * A write that fails half-way leaves everything as it was, and writes at once lose nothing of each other (contract 09
 * D-05, D-07, D-09, D-12, D-23, D-30, D-38, D-94, D-107). The faults are triggers on rows of the test's own.
 */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void needs_database(void)
{
	if (!on_postgres())
		cr_skip_test("only a database can be made to refuse");
}

TestSuite(whole_or_nothing, .init = needs_database, .timeout = 60);

static const char *faulty; /* the table with the trigger */

/* body: of a trigger function; rows: a condition on OLD and NEW. */
static void disturb(const char *table, const char *operation, const char *rows, const char *body)
{
	faulty = table;
	sql("CREATE FUNCTION disturb_%d() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN %s END$$", getpid(), body);
	sql("CREATE TRIGGER disturb_%d BEFORE %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION disturb_%d()", getpid(),
	    operation, table, rows, getpid());
}

static void refuse(const char *table, const char *operation, const char *rows)
{
	disturb(table, operation, rows, "RAISE EXCEPTION 'refused by a test';");
}

static void leave_alone(void)
{
	sql("DROP TRIGGER disturb_%d ON %s", getpid(), faulty);
	sql("DROP FUNCTION disturb_%d()", getpid());
}

/* The request fails while the fault is there; works afterwards are the caller's. */
#define EXPECT_FAULT(request)                                                                                          \
	do {                                                                                                           \
		struct response fault_ = (request);                                                                    \
		leave_alone();                                                                                         \
		cr_assert_geq(fault_.status, 500, "%s: %d %s", fault_.asked, fault_.status, fault_.body);              \
	} while (0)

/* Rows whose column has the value; where: the column, with what else must hold before it. */
static long count(const char *table, const char *where, const char *value)
{
	return atol(sql("SELECT count(*) FROM %s WHERE %s = '%s'", table, where, value));
}

/* ---- recordings and jobs ----------------------------------------------------------------------------------------- */

static struct node wide(const char *alias)
{
	struct node n = enroll_node(alias);
	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":8}}"), 200);
	return n;
}

static struct response deliver(const struct node *n, const struct take *t, double seconds)
{
	struct blob file = wav(1, 8000, seconds);
	const char *const headers[] = {"x-rakkr-file-name: x.wav", NULL};
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file.data, file.len);
}

static struct take cached(const struct node *n)
{
	struct take t = start_recording(n);
	cr_assert_str_eq(claim_next(n), t.job_id);
	must(deliver(n, &t, 1), 201);
	return t;
}

static struct take failed(const struct node *n)
{
	struct take t = start_recording(n);
	must(post(fmt("%s/failed", t.job_path), n->token, NULL), 200);
	return t;
}

static const char *state(const char *path)
{
	return j_str(get(path, admin()).json, "data.status");
}

Test(whole_or_nothing, a_start)
{
	struct node n = wide("Start");

	refuse("recording_jobs", "INSERT", fmt("NEW.node_id = '%s'", n.id));
	EXPECT_FAULT(post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", n.id));
	cr_expect_eq(count("recordings", "node_id", n.id), 0);
	cr_expect_null(audit_find("recordings.start.succeeded", n.id));
	start_recording(&n);
	cr_expect_eq(count("recordings", "node_id", n.id), 1);
}

Test(whole_or_nothing, a_retry)
{
	struct node n = wide("Retry");
	struct take t = failed(&n);
	const char *before = get(t.recording_path, admin()).body;

	refuse("recordings", "UPDATE", fmt("NEW.id = '%s'", t.recording_id));
	EXPECT_FAULT(post(fmt("%s/retry", t.job_path), admin(), NULL));
	cr_expect_str_eq(get(t.recording_path, admin()).body, before);
	cr_expect_eq(count("recording_jobs", "recording_id", t.recording_id), 1);
	must(post(fmt("%s/retry", t.job_path), admin(), NULL), 201);
}

Test(whole_or_nothing, bulk_retry)
{
	struct node n = wide("Bulk retry");
	struct take a = failed(&n), b = failed(&n), c = failed(&n);

	refuse("recording_jobs", "INSERT", fmt("NEW.recording_id = '%s'", b.recording_id));
	EXPECT_FAULT(post("/api/v1/recording-jobs/bulk-retry", admin(), "{\"jobIds\":[\"%s\",\"%s\",\"%s\"]}", a.job_id,
	                  b.job_id, c.job_id));
	cr_expect_eq(count("recording_jobs", "node_id", n.id), 3);
	cr_expect_str_eq(state(a.recording_path), "failed");
	cr_expect_str_eq(state(c.recording_path), "failed");
}

Test(whole_or_nothing, bulk_stop)
{
	struct node n = wide("Bulk stop");
	struct take a = start_recording(&n), b = start_recording(&n);

	claim_next(&n);
	claim_next(&n);
	refuse("recording_jobs", "UPDATE", fmt("NEW.id = '%s'", b.job_id));
	EXPECT_FAULT(
	    post("/api/v1/recording-jobs/bulk-stop", admin(), "{\"jobIds\":[\"%s\",\"%s\"]}", a.job_id, b.job_id));
	cr_expect_str_eq(state(a.job_path), "running");
	cr_expect_str_eq(state(a.recording_path), "recording");
}

Test(whole_or_nothing, bulk_edit)
{
	struct node n = wide("Bulk edit");
	struct take a = failed(&n), b = failed(&n);

	refuse("recordings", "UPDATE", fmt("NEW.id = '%s'", b.recording_id));
	EXPECT_FAULT(patch("/api/v1/recordings/bulk-metadata", admin(),
	                   "{\"recordingIds\":[\"%s\",\"%s\"],\"folder\":\"Elsewhere\"}", a.recording_id,
	                   b.recording_id));
	cr_expect_str_neq(j_str(get(a.recording_path, admin()).json, "data.folder"), "Elsewhere");
}

Test(whole_or_nothing, bulk_delete)
{
	struct node n = wide("Bulk delete");
	struct take t[] = {cached(&n), cached(&n), cached(&n)};

	refuse("recordings", "DELETE", fmt("OLD.id = '%s'", t[1].recording_id));
	EXPECT_FAULT(post("/api/v1/recordings/bulk-delete", admin(), "{\"recordingIds\":[\"%s\",\"%s\",\"%s\"]}",
	                  t[0].recording_id, t[1].recording_id, t[2].recording_id));
	for (size_t i = 0; i < 3; i++)
		must(get(fmt("%s/file", t[i].recording_path), admin()), 200);
	json_object *event = audit_find("recordings.bulk_delete.failed", "recording_collection");
	cr_expect(event == NULL || strcmp(j_str(event, "outcome"), "partial") != 0);
}

/* The row first, then the file: neither can leave the other behind. */
Test(whole_or_nothing, a_deletion)
{
	struct node n = wide("Delete");
	struct take t = cached(&n);

	refuse("recordings", "DELETE", fmt("OLD.id = '%s'", t.recording_id));
	EXPECT_FAULT(del(t.recording_path, admin()));
	must(get(fmt("%s/file", t.recording_path), admin()), 200);

	const char *file =
	    fmt("%s/data/recordings/%s", instance_dir(), j_str(get(t.recording_path, admin()).json, "data.cachePath"));
	cr_assert_eq(remove(file), 0, "%s", file);
	cr_assert_eq(mkdir(file, 0755), 0); /* cannot be unlinked, not even by root */
	must(del(t.recording_path, admin()), 204);
	cr_expect_eq(count("recordings", "id", t.recording_id), 0);
	rmdir(file);
}

/* The first take's upload is called off with the retry, and the second take's is queued. */
Test(whole_or_nothing, a_retry_calls_uploads_off)
{
	struct node n = wide("Uploads");
	const char *policy = fmt("policy_%s", n.id);
	sql("INSERT INTO upload_policies (id, name, provider, \"trigger\", enabled, max_attempts, target, updated_at) "
	    "VALUES ('%s', 'p', 'smb', 'on_recording_cached', true, 3, '/mnt/archive', now())",
	    policy);
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"uploadPolicyId\":\"%s\"}", n.id, policy);
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	must(deliver(&n, &t, 1), 201); /* a late file */
	sql("UPDATE recording_jobs SET status = 'failed' WHERE id = '%s'", t.job_id);
	cr_assert_eq(count("upload_queue_items", "status = 'queued' AND recording_id", t.recording_id), 1);
	must(post(fmt("%s/retry", t.job_path), admin(), NULL), 201);
	cr_expect_eq(count("upload_queue_items", "status <> 'cancelled' AND recording_id", t.recording_id), 0);
	claim_next(&n);
	r = deliver(&n, &t, 2);
	must(r, 201);
	cr_expect_eq(count("upload_queue_items", "status = 'queued' AND recording_id", t.recording_id), 1);
	cr_expect_str_eq(sql("SELECT checksum FROM upload_queue_items WHERE recording_id = '%s' AND status = 'queued'",
	                     t.recording_id),
	                 j_str(r.json, "data.file.checksum"));
	sql("UPDATE upload_queue_items SET status = 'cancelled' WHERE recording_id = '%s'", t.recording_id);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct response enroll_as(const char *name)
{
	return post(
	    "/api/v1/nodes/enroll", admin(),
	    "{\"alias\":\"%s\",\"hostname\":\"%s\",\"location\":{\"room\":\"r\",\"site\":\"s\"},\"interfaces\":[{"
	    "\"alias\":\"i\",\"backend\":\"alsa\",\"channelCount\":1,\"channels\":[{\"alias\":\"%s\",\"index\":1}"
	    "],\"systemName\":\"n\"}]}",
	    name, name, name);
}

Test(whole_or_nothing, an_enrollment)
{
	const char *name = fmt("half_%d", getpid());

	refuse("audio_channels", "INSERT", fmt("NEW.alias = '%s'", name));
	EXPECT_FAULT(enroll_as(name));
	cr_expect_eq(count("nodes", "hostname", name), 0);
	must(enroll_as(name), 201);
}

static struct response beat(const struct node *n)
{
	return post(fmt("%s/heartbeat", n->path), n->token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}");
}

Test(whole_or_nothing, a_rotation)
{
	struct node n = enroll_node("Rotated");

	refuse("node_credentials", "INSERT", fmt("NEW.node_id = '%s'", n.id));
	EXPECT_FAULT(post(fmt("%s/credentials/rotate", n.path), admin(), NULL));
	must(beat(&n), 202);
	cr_expect_eq(count("node_credentials", "revoked_at IS NULL AND node_id", n.id), 1);
}

/* ---- at once ----------------------------------------------------------------------------------------------------- */

#define SLOWLY "PERFORM pg_sleep(0.05); RETURN NEW;"

struct crowd {
	struct node node;
	struct take take;
};

static void write_recording(int index, void *arg)
{
	const struct crowd *c = arg;
	const char *metadata = fmt("%s/metadata", c->take.recording_path);

	if (index == 0)
		must(deliver(&c->node, &c->take, 1), 201);
	else if (index == 1)
		must(patch(metadata, admin(), "{\"notes\":\"a note\"}"), 200);
	else if (index == 2)
		must(patch(metadata, admin(), "{\"tags\":[\"a tag\"]}"), 200);
	else
		must(post(fmt("%s/health-events", c->node.path), c->node.token,
		          "{\"details\":{},\"openedAt\":\"2027-03-04T05:06:07Z\",\"recordingId\":\"%s\",\"severity\":"
		          "\"critical\",\"type\":\"agent.recording_job.capture_failed\"}",
		          c->take.recording_id),
		     201);
}

Test(whole_or_nothing, writes_of_a_recording_at_once)
{
	struct crowd c = {.node = wide("At once")};

	admin();
	for (int round = 0; round < 3; round++) {
		c.take = start_recording(&c.node);
		claim_next(&c.node);
		disturb("recordings", "UPDATE", fmt("NEW.id = '%s'", c.take.recording_id), SLOWLY);
		parallel(4, write_recording, &c);
		leave_alone();
		json_object *r = get(c.take.recording_path, admin()).json;
		cr_expect_str_eq(j_str(r, "data.status"), "cached");
		cr_expect_str_eq(j_str(r, "data.notes"), "a note");
		cr_expect_str_eq(j_str(r, "data.tags.0"), "a tag");
		cr_expect_str_eq(j_str(r, "data.healthStatus"), "critical");
	}
}

static void write_node(int index, void *arg)
{
	const struct node *n = arg;

	if (index == 0)
		must(patch(n->path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":7}}"), 200);
	else
		must(post(fmt("%s/heartbeat", n->path), n->token,
		          "{\"agentVersion\":\"1\",\"hostname\":\"h\",\"runtime\":{\"uptimeSeconds\":%d}}", index),
		     202);
}

Test(whole_or_nothing, an_edit_among_heartbeats)
{
	admin();
	for (int round = 0; round < 3; round++) {
		struct node n = enroll_node("Edited");
		disturb("nodes", "UPDATE", fmt("NEW.id = '%s'", n.id), SLOWLY);
		parallel(9, write_node, &n);
		leave_alone();
		json_object *r = get(n.path, admin()).json;
		cr_expect_eq(j_int(r, "data.recordingCapacity.maxConcurrentRecordings"), 7);
		cr_expect_geq(j_int(r, "data.runtime.uptimeSeconds"), 1);
	}
}

/* ---- the badge --------------------------------------------------------------------------------------------------- */

/* An old trouble is not forgotten behind many newer notes. */
Test(whole_or_nothing, the_badge_looks_at_all_events)
{
	struct node n = wide("Badge");
	struct take t = failed(&n); /* opens a critical one */

	sql("INSERT INTO health_events (recording_id, node_id, type, severity, status, opened_at, details) "
	    "SELECT '%s', '%s', 'agent.note', 'info', 'open', now() + i * interval '1 second', '{}' "
	    "FROM generate_series(1, 600) i",
	    t.recording_id, n.id);
	must(post(fmt("%s/health-events", n.path), n.token,
	          "{\"details\":{},\"openedAt\":\"2027-03-04T05:06:07Z\",\"recordingId\":\"%s\",\"severity\":\"info\","
	          "\"type\":\"agent.recording_job.control_plane_recovered\"}",
	          t.recording_id),
	     201);
	cr_expect_str_eq(j_str(get(t.recording_path, admin()).json, "data.healthStatus"), "critical");
}
