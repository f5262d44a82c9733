/*
 * What a recorder learns of its cache: policies in its configuration, limits in a job, the same in every answer that
 * carries the job (contract 02 10.3 and T28, 03 3.10.2 and trap 7, 08 A6.5, A6.6).
 */
#include "http/agent_wire.h"
#include "http/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLICY(id, name, scope, enabled, days, bytes, percent)                                                         \
	"{\"action\":\"delete_cache\",\"deleteOnlyAfterUploaded\":true,\"enabled\":" enabled ",\"id\":\"" id           \
	"\",\"maxAgeDays\":" days ",\"maxBytes\":" bytes ",\"minFreeDiskPercent\":" percent ",\"name\":\"" name        \
	"\",\"preserveTagged\":true,\"scope\":\"" scope "\",\"updatedAt\":\"2027-03-04T05:06:07.000Z\"}"

/* In another order than that of the names, which is not that of the bytes either. */
/* clang-format off */
static const char policies[] = "{\"policies\":["
	POLICY("limited", "rack", "recorder_cache", "true", "7", "null", "10") ","
	POLICY("at-once", "Box", "recorder_cache", "true", "null", "null", "null") ","
	POLICY("huge", "ärger", "recorder_cache", "true", "null", "9007199254740991", "null") ","
	POLICY("off", "x", "recorder_cache", "false", "1", "null", "null") ","
	POLICY("controller", "y", "controller_cache", "true", "1", "null", "null")
	"],\"updatedAt\":\"2027-03-04T05:06:07.000Z\",\"version\":1}";
/* clang-format on */

static const char limited[] =
    "{\"deleteAfterUpload\":false,\"maxAgeDays\":7,\"maxBytes\":null,\"minFreeDiskPercent\":10,"
    "\"policyId\":\"limited\"}";
static const char at_once[] = "{\"deleteAfterUpload\":true,\"maxAgeDays\":null,\"maxBytes\":null,"
                              "\"minFreeDiskPercent\":null,\"policyId\":\"at-once\"}";
static const char huge[] = "{\"deleteAfterUpload\":false,\"maxAgeDays\":null,\"maxBytes\":9007199254740991,"
                           "\"minFreeDiskPercent\":null,\"policyId\":\"huge\"}";

static void expect_json(json_object *got, const char *want)
{
	json_object *wanted = json_tokener_parse(want);

	cr_expect(json_object_equal(got, wanted), "%s instead of %s", json_object_to_json_string(got), want);
}

static void start_with_policies(void)
{
	setenv("RAKKR_RETENTION_POLICY_STORE_PATH", fmt("%s/retention-%d.json", instance_dir(), getpid()), 1);
	FILE *f = fopen(getenv("RAKKR_RETENTION_POLICY_STORE_PATH"), "w");
	cr_assert_not_null(f);
	fputs(policies, f);
	fclose(f);
	chmod(getenv("RAKKR_RETENTION_POLICY_STORE_PATH"), 0666);
	own_start(true);
}

static struct response start(const struct node *n, const char *policy)
{
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"retentionPolicyId\":\"%s\"}", n->id, policy);
	must(r, 202);
	return r;
}

static json_object *retention(json_object *job)
{
	return j_at(job, "command.recorderCacheRetention");
}

/* The job of r in the start's answer, at the claim, at a heartbeat, when read by its node and by a user, and when it is
 * tried again. */
static void expect_in_every_answer(const struct node *n, struct response r, const char *want)
{
	const char *id = j_str(r.json, "job.id"), *path = fmt("/api/v1/recording-jobs/%s", id);

	expect_json(retention(j_at(r.json, "job")), want);
	r = agent_post_empty(n, fmt("%s/recording-jobs/claim-next", n->path), fmt("x-rakkr-agent-id: %s", n->id));
	must(r, 200);
	cr_assert_str_eq(j_str(r.json, "data.id"), id);
	expect_json(retention(decode_job(&r)), want);
	r = agent_post_empty(n, fmt("%s/heartbeat", path), fmt("x-rakkr-agent-id: %s", n->id));
	must(r, 200);
	expect_json(retention(decode_job(&r)), want);
	r = agent_get(n, path);
	must(r, 200);
	expect_json(retention(decode_job(&r)), want);
	must(agent_post_empty(n, fmt("%s/failed", path), "x-rakkr-reason: insufficient_capture_disk_space"), 200);
	r = post(fmt("%s/retry", path), admin(), NULL);
	must(r, 201);
	expect_json(retention(j_at(r.json, "data")), want);
	path = fmt("/api/v1/recording-jobs/%s", j_str(r.json, "data.id"));
	r = get(path, admin());
	must(r, 200);
	expect_json(retention(j_at(r.json, "data")), want);
	must(agent_post_empty(n, fmt("%s/cancelled", path), "x-rakkr-reason: controller_stop_requested"), 200);
}

Test(recorder_cache, limits_reach_the_recorder, .timeout = 120)
{
	start_with_policies();
	struct node n = enroll_node("Cache");
	struct response r = agent_get(&n, fmt("%s/config", n.path));
	must(r, 200);
	json_object *sent = j_at(decode_config(&r), "recorderCachePolicies");
	cr_assert_eq(json_object_array_length(sent), 3, "%s", r.body);
	expect_json(j_at(sent, "0"), huge); /* the order of the names: ärger, Box, rack */
	expect_json(j_at(sent, "1"), at_once);
	expect_json(j_at(sent, "2"), limited);
	cr_expect_eq(j_int(audit_last("nodes.config.read.succeeded", n.id), "details.recorderCachePolicyCount"), 3);

	expect_in_every_answer(&n, start(&n, "limited"), limited);
	expect_in_every_answer(&n, start(&n, "at-once"), at_once);
	expect_in_every_answer(&n, start(&n, "huge"), huge);
	r = start(&n, "off"); /* accepted, and of no effect */
	cr_expect_not(j_has(r.json, "job.command.recorderCacheRetention"), "%s", r.body);
	must(
	    agent_post_empty(&n, fmt("/api/v1/recording-jobs/%s/failed", j_str(r.json, "job.id")), "x-rakkr-reason: x"),
	    200);
	r = start(&n, "controller");
	cr_expect_not(j_has(r.json, "job.command.recorderCacheRetention"), "%s", r.body);
	own_end();
	remove(getenv("RAKKR_RETENTION_POLICY_STORE_PATH"));
}
