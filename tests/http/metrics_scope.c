/*
 * GET /metrics: alarms, what a narrow scope sees, counters, many recordings (contract 06 9; 09 D-97, D-98). What
 * happens to counters across a restart and with retention: tests/unit/store_metrics.c.
 */
#include "http/exposition_parser.h"

/* ---- health ------------------------------------------------------------------------------------------------------ */

static void add_event(const struct node *n, const char *type, const char *severity)
{
	must(post(fmt("%s/health-events", n->path), n->token, "{\"severity\":\"%s\",\"type\":\"%s\"}", severity, type),
	     201);
}

/* 09 D-97: every unresolved event counts, not only the newest 500. */
Test(metrics, six_hundred_open_events, .timeout = 120)
{
	struct node n = enroll_node("Noisy");
	struct user viewer = viewer_of(&n);
	struct scraped *t;

	if (on_postgres())
		sql("WITH x AS (INSERT INTO health_events (node_id, opened_at, severity, type, details) SELECT '%s', "
		    "now() -"
		    " i * interval '1 hour', 'critical', 'watchdog.node_offline', '{}' FROM generate_series(1, 600) i"
		    " RETURNING 1) SELECT count(*) FROM x",
		    n.id);
	else
		for (int i = 0; i < 600; i++)
			add_event(&n, "device.fan", "critical");
	t = scrape_as(viewer.token);
	expect_sample(t, 600, "rakkr_health_events_active{severity=\"critical\",status=\"open\"}");
	expect_sample(t, 600, "rakkr_health_events_total{event_type=\"%s\",severity=\"critical\",status=\"open\"}",
	              on_postgres() ? "watchdog.node_offline" : "device.fan");
	t = scrape();
	expect_sample(t, on_postgres() ? 600 : 0,
	              "rakkr_node_offline_alerts_active{node_id=\"%s\",severity=\"critical\",status=\"open\"}", n.id);
	expect_sample(
	    t, 0, "rakkr_node_offline_alerts_active{node_id=\"%s\",severity=\"warning\",status=\"suppressed\"}", n.id);
}

/* What differs in control characters only must not become one series twice. */
Test(metrics, types_that_look_the_same)
{
	struct node n = enroll_node("Same");
	struct scraped *t;

	add_event(&n, "a\\rb", "info");
	add_event(&n, "a\\u0001b", "info");
	t = scrape_as(viewer_of(&n).token);
	expect_sample(t, 2, "rakkr_health_events_total{event_type=\"a b\",severity=\"info\",status=\"open\"}");
}

Test(metrics, xruns)
{
	struct node n = enroll_node("Xruns");
	struct user viewer = viewer_of(&n);
	struct scraped *t;

	add_event(&n, "audio.xrun.burst", "warning");
	add_event(&n, "audio.xrun", "info");
	add_event(&n, "audio.XRUN", "info");
	t = scrape_as(viewer.token);
	expect_sample(t, 2, "rakkr_device_xruns_active");
	expect_sample(t, 1, "rakkr_device_xruns_total{severity=\"warning\"}");
	expect_sample(t, 1, "rakkr_device_xruns_total{severity=\"info\"}");
	expect_sample(t, 0, "rakkr_device_xruns_total{severity=\"critical\"}");
	expect_sample(t, 2, "rakkr_health_events_active{severity=\"info\",status=\"open\"}");
}

/* ---- scope ------------------------------------------------------------------------------------------------------- */

Test(metrics, only_what_is_in_scope)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct user viewer = viewer_of(&mine), nobody = create_user("viewer", "[]");
	struct take take = start_recording(&mine), others = start_recording(&other);
	struct scraped *t, *all;
	static const char *const renamed = "rakkr_audit_events_total{action=\"nodes.update.succeeded\",actor_type="
	                                   "\"user\",outcome=\"succeeded\",permission="
	                                   "\"node:manage\"}";

	add_event(&mine, "device.fan", "info");
	add_event(&other, "device.fan", "info");
	must(patch(other.path, admin(), "{\"notes\":\"of the scope test\"}"), 200);
	t = scrape_as(viewer.token);
	all = scrape();
	for (size_t i = 0; i < t->sample_count; i++) {
		cr_expect_null(strstr(t->samples[i].series, other.id), "%s", t->samples[i].series);
		cr_expect_null(strstr(t->samples[i].series, others.recording_id), "%s", t->samples[i].series);
	}
	expect_sample(t, 0,
	              "rakkr_recording_duration_seconds{node_id=\"%s\",recording_id=\"%s\",source=\"ad_hoc\",status="
	              "\"recording\"}",
	              mine.id, take.recording_id);
	expect_sample(t, 1, "rakkr_recording_jobs{node_id=\"%s\",status=\"queued\"}", mine.id);
	expect_sample(all, 1, "rakkr_recording_jobs{node_id=\"%s\",status=\"queued\"}", other.id);
	expect_sample(t, 1, "rakkr_health_events_active{severity=\"info\",status=\"open\"}");
	expect_sample(t, 1, "rakkr_health_events_total{event_type=\"device.fan\",severity=\"info\",status=\"open\"}");
	cr_expect_not(has_sample(t, renamed), "of other nodes");
	cr_expect(has_sample(all, renamed));
	must(patch(mine.path, admin(), "{\"notes\":\"of the scope test\"}"), 200);
	t = scrape_as(viewer.token);
	expect_sample(t, 1, "%s", renamed);
	t = scrape_as(nobody.token);
	for (size_t i = 0; i < t->sample_count; i++)
		cr_expect_null(strstr(t->samples[i].series, "node_id="), "%s", t->samples[i].series);
	expect_sample(t, 0, "rakkr_health_events_active{severity=\"info\",status=\"open\"}");
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

static void expect_not_fallen(const struct scraped *before, const struct scraped *after)
{
	for (size_t i = 0; i < before->sample_count; i++) {
		const char *series = before->samples[i].series;
		size_t n = strcspn(series, "{");

		if (n < 6 || strncmp(series + n - 6, "_total", 6) != 0)
			continue;
		cr_expect(sample(after, series) >= before->samples[i].value, "%s was %g, is %g", series,
		          before->samples[i].value, sample(after, series));
	}
}

/* 09 D-98. */
Test(metrics, counters_never_fall, .timeout = 120)
{
	struct node n = enroll_node("Counted");
	struct user prometheus = create_user("viewer", "[{\"resourceType\":\"*\",\"resourceId\":\"*\"}]");
	struct scraped *before = scrape_as(prometheus.token), *now;

	cr_expect(has_sample(before,
	                     "rakkr_audit_events_total{action=\"auth.login.succeeded\",actor_type=\"user\",outcome="
	                     "\"succeeded\",permission=\"none\"}"),
	          "who was granted everything sees counters of all time");
	for (int i = 0; i < 260; i++)
		must(get(n.path, prometheus.token), 200);
	now = scrape_as(prometheus.token);
	expect_not_fallen(before, now);
	before = now;
	add_event(&n, "device.fan", "critical");
	now = scrape_as(prometheus.token);
	expect_not_fallen(before, now);
	before = now;
	if (on_postgres()) {
		sql("UPDATE health_events SET status = 'resolved', resolved_at = now() WHERE node_id = '%s' RETURNING "
		    "1",
		    n.id);
		sql("DELETE FROM health_events WHERE node_id = '%s' RETURNING 1", n.id);
		sql("WITH x AS (DELETE FROM audit_events WHERE target_id = '%s' RETURNING 1) SELECT count(*) FROM x",
		    n.id);
		sql("INSERT INTO upload_queue_items (id, attempt_count, created_at, file_name, max_attempts, "
		    "next_attempt_at,"
		    " provider, recording_id, status, updated_at, last_error) VALUES ('m_%s', 3, now(), 'a', 3, now() -"
		    " interval '1000 seconds', 's3', 'rec_gone', 'failed', now(), 'x') RETURNING 1",
		    n.id);
		now = scrape_as(prometheus.token);
		expect_not_fallen(before, now);
		cr_expect_geq(sample(now, "rakkr_upload_failures_total{provider=\"s3\"}"),
		              sample(before, "rakkr_upload_failures_total{provider=\"s3\"}") + 3);
		cr_expect_geq(sample(now, "rakkr_upload_queue_depth{provider=\"s3\",status=\"failed\"}"), 1);
		before = now;
		sql("UPDATE upload_queue_items SET status = 'queued', attempt_count = 0, last_error = NULL WHERE id = "
		    "'m_%s'"
		    " RETURNING 1",
		    n.id);
		now = scrape_as(prometheus.token);
		expect_not_fallen(before, now);
		cr_expect_geq(sample(now, "rakkr_upload_queue_oldest_due_seconds{provider=\"s3\",status=\"queued\"}"),
		              1000);
		before = now;
		sql("DELETE FROM upload_queue_items WHERE id = 'm_%s' RETURNING 1", n.id);
	}
	expect_not_fallen(before, scrape_as(prometheus.token));
}

/* ---- many recordings --------------------------------------------------------------------------------------------- */

/* More than are answered from memory: produced while they are sent, and audited all the same. */
Test(metrics, many_recordings, .timeout = 120)
{
	struct node n = enroll_node("Archive");
	struct user viewer = viewer_of(&n);
	struct scraped *t;
	json_object *event;
	struct response r;

	if (!on_postgres())
		cr_skip_test("rows are made by SQL");
	sql("WITH x AS (INSERT INTO recordings (id, name, folder, node_id, source, status, recorded_at, "
	    "duration_seconds)"
	    " SELECT 'rec_%s_' || i, 'x', 'metrics', '%s', 'ad_hoc', 'failed', now() - i * interval '1 minute', i FROM"
	    " generate_series(1, 5000) i RETURNING 1) SELECT count(*) FROM x",
	    n.id, n.id);
	t = scrape_as(viewer.token);
	cr_expect_null(header(&last, "content-length"), "its length is not known before");
	cr_assert_eq(t->family_count, 32);
	cr_expect_eq(t->families[4].samples, 5000);
	cr_expect_eq(t->families[5].samples, 5000);
	expect_sample(
	    t, 4711,
	    "rakkr_recording_duration_seconds{node_id=\"%s\",recording_id=\"rec_%s_4711\",source=\"ad_hoc\",status="
	    "\"failed\"}",
	    n.id, n.id);
	r = get(fmt("/api/v1/audit-events?limit=5&action=metrics.read.succeeded&actor=%s", viewer.id), admin());
	must(r, 200);
	event = j_at(r.json, "data.0");
	cr_expect_eq(j_count(r.json, "data"), 1);
	cr_expect_eq(j_int(event, "details.recordingCount"), 5000);
	r = http("HEAD", "/metrics", viewer.token, NULL, NULL, 0);
	must(r, 200);
	sql("WITH x AS (DELETE FROM recordings WHERE folder = 'metrics' AND node_id = '%s' RETURNING 1) SELECT count(*)"
	    " FROM x",
	    n.id);
}
