/*
 * A job whose lease is over and that no pass has ended yet: whatever looks at jobs ends it first, then decides
 * (contract 03 3.11.2). The runner's pass is off here, so that nothing else does it.
 */
#include "http/harness.h"
#include "http/instance.h"

#include <stdlib.h>
#include <string.h>

#define JOBS "/api/v1/recording-jobs"

/* A claimed job; its lease lasts one second. */
static struct take claimed(const struct node *n)
{
	struct take t = start_recording(n);
	cr_assert_str_eq(claim_next(n), t.job_id);
	return t;
}

static bool lease_is_over(void *take)
{
	const struct take *t = take;
	struct response r = get(t->recording_path, admin());
	return r.status == 200 && strcmp(j_str(r.json, "data.status"), "recording") != 0;
}

/* Until the time of its lease has passed: nothing that looks at recordings ends a job. */
static struct take overdue(void)
{
	struct node n = enroll_node("Overdue");
	struct take t = claimed(&n);
	cr_assert_not(wait_until(lease_is_over, &t, 1200));
	return t;
}

static const char *by_id(const struct take *t)
{
	return fmt("{\"jobIds\":[\"%s\"]}", t->job_id);
}

static void expect_failed(const struct take *t)
{
	struct response r = get(t->recording_path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "failed", "%s", r.body);
	cr_expect_str_eq(j_str(r.json, "data.healthStatus"), "critical", "%s", r.body);
}

static void retries(void)
{
	struct take t = overdue();
	must(post(fmt(JOBS "/%s/retry", t.job_id), admin(), NULL), 201);
	t = overdue();
	must(post(JOBS "/bulk-retry", admin(), "%s", by_id(&t)), 201);
}

/* The job has failed: a refusal says so, and the failure stays. */
static void stop(void)
{
	struct take t = overdue();
	struct response r = post(JOBS "/bulk-stop", admin(), "%s", by_id(&t));
	must(r, 409);
	cr_expect_str_eq(j_str(r.json, "error"), "One or more recording jobs cannot be stopped");
	expect_failed(&t);
}

static void selected_export(void)
{
	struct take t = overdue();
	struct response r = post(JOBS "/export", admin(), "%s", by_id(&t));
	must(r, 200);
	cr_expect_not_null(strstr(r.body, ",failed,"), "%s", r.body);
	expect_failed(&t);
}

static bool exported_as_failed(void *take)
{
	const struct take *t = take;
	struct response r = get(JOBS "/export?status=failed", admin());
	return r.status == 200 && strstr(r.body, t->job_id) != NULL;
}

/* Lists and their exports look once a second. */
static void filtered_export(void)
{
	struct take t = overdue();
	cr_expect(wait_until(exported_as_failed, &t, 10000));
}

Test(lease_over, what_decides_by_a_jobs_state_ends_its_lease_first)
{
	setenv("RAKKR_RECORDING_JOB_LEASE_SECONDS", "1", 1);
	setenv("RAKKR_RECORDING_JOB_LEASE_RUNNER_ENABLED", "0", 1);
	own_start(true);
	retries();
	stop();
	selected_export();
	filtered_export();
	own_end();
}
