/*
 * Lists and exports of many rows (contract 03 3.3.1 without limit, 3.4, 3.12.1, 3.12.4; 09 D-78): complete, in order,
 * and without memory that grows with them, straight after they were loaded in one statement.
 */
#include "http/harness.h"
#include "http/pool_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 20000
#define WORKER_MAX_KB (64 * 1024)

static struct node fill(void)
{
	struct node n = enroll_node("Long");
	sql("INSERT INTO recordings (id, name, folder, tags, status, source, recorded_at, node_id, metadata)"
	    " SELECT '%s_' || lpad(i::text, 6, '0'), 'Take, ' || i, 'Long/\"' || i %% 7, '[\"a\",\"b\"]', 'completed',"
	    " 'ad_hoc', timestamptz '2020-01-01' + i * interval '1 minute', '%s', '{\"notes\":\"=SUM(A1)\"}'"
	    " FROM generate_series(1, %d) i",
	    n.id, n.id, ROWS);
	sql("INSERT INTO recording_jobs (id, recording_id, node_id, status, command, created_at)"
	    " SELECT 'job_' || id, id, node_id, 'completed', '{\"type\":\"alsa_capture\",\"captureDevice\":\"hw:0\","
	    "\"captureFormat\":\"S16_LE\",\"captureChannels\":2,\"captureSampleRate\":48000,\"durationSeconds\":60,"
	    "\"outputFileName\":\"x.mp3\"}', recorded_at FROM recordings WHERE node_id = '%s'",
	    n.id);
	return n;
}

static void clear(const struct node *n)
{
	sql("DELETE FROM recording_jobs WHERE node_id = '%s'", n->id);
	sql("DELETE FROM recordings WHERE node_id = '%s'", n->id);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static struct response read_whole(const char *path)
{
	pool_forget_peaks();
	struct response r = get(path, admin());
	must(r, 200);
	pool_check_peaks(WORKER_MAX_KB, path);
	return r;
}

/* Ids from the newest on, each once. */
static void check_ids(struct response *r, const char *prefix)
{
	json_object *data = j_at(r->json, "data");
	cr_assert_eq(j_count(r->json, "data"), ROWS, "%zu of %d", j_count(r->json, "data"), ROWS);
	for (int i = 0; i < ROWS; i++) {
		const char *id = j_str(json_object_array_get_idx(data, (size_t)i), "id");
		if (strcmp(id, fmt("%s_%06d", prefix, ROWS - i)) != 0)
			cr_assert_fail("place %d: %s", i, id);
	}
}

static int count_lines(const char *text)
{
	int n = 1;
	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

/* A viewer gets what he may see, whole as well. */
static void for_scoped_users(const struct node *n)
{
	struct user u = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n->id));
	struct user none = create_user("viewer", NULL);
	struct response r = get("/api/v1/recording-jobs", u.token);
	must(r, 200);
	check_ids(&r, fmt("job_%s", n->id));
	r = get("/api/v1/recordings", u.token);
	must(r, 200);
	check_ids(&r, n->id);
	r = get("/api/v1/recording-jobs", none.token);
	must(r, 200);
	cr_expect_str_eq(r.body, "{\"data\":[]}");
}

Test(long_lists, whole_and_exported, .timeout = 120)
{
	if (!on_postgres())
		cr_skip_test("the rows are made in a database");
	struct node n = fill();
	/* the planner knows at once: otherwise lists of scoped users take minutes */
	cr_expect(atof(sql("SELECT reltuples FROM pg_class WHERE oid = 'recordings'::regclass")) >= ROWS);
	cr_expect(atof(sql("SELECT reltuples FROM pg_class WHERE oid = 'recording_jobs'::regclass")) >= ROWS);
	struct response r = read_whole(fmt("/api/v1/recording-jobs?nodeId=%s", n.id));
	check_ids(&r, fmt("job_%s", n.id));
	cr_expect_eq(
	    j_int(audit_last("recording_jobs.read.succeeded", "recording_job_collection"), "details.returnedCount"),
	    ROWS);
	r = read_whole(fmt("/api/v1/recordings?nodeId=%s&offset=3", n.id));
	check_ids(&r, n.id);
	cr_expect_eq(j_int(r.json, "meta.total"), ROWS);
	cr_expect_eq(j_int(r.json, "meta.returned"), ROWS);
	cr_expect_eq(j_int(r.json, "meta.offset"), 3);
	cr_expect(j_true(r.json, "meta.hasPreviousPage"));
	cr_expect_not(j_has(r.json, "meta.limit"));
	r = read_whole(fmt("/api/v1/recordings/export?nodeId=%s", n.id));
	cr_expect_eq(count_lines(r.body), ROWS + 1);
	cr_expect_not_null(strstr(r.body, fmt("\n%s_%06d,\"Take, %d\",'=SUM(A1),,\"Long/\"\"%d\",a;b,completed,", n.id,
	                                      ROWS, ROWS, ROWS % 7)));
	r = read_whole(fmt("/api/v1/recording-jobs/export?nodeId=%s", n.id));
	cr_expect_eq(count_lines(r.body), ROWS + 1);
	r = http("HEAD", fmt("/api/v1/recording-jobs?nodeId=%s", n.id), admin(), NULL, NULL, 0);
	must(r, 200);
	for_scoped_users(&n);
	clear(&n);
}
