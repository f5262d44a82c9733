/*
 * What GET /metrics counts in both stores: counters of all time never fall, whatever happens to what they count, and
 * they are there after a restart (09 D-98). Postgres: RAKKR_TEST_DATABASE_URL.
 */
#include "unit/store_pg_server.h"

#include "engine/tally.h"
#include "store/metrics.h"

static void *mem;
static bool on_files;

static struct store *open_files(void)
{
	const char *error = NULL;
	struct store *s = store_open(mem, conf, &error);

	cr_assert_not_null(s, "%s", error);
	return s;
}

static struct store *begin(bool files)
{
	mem = talloc_new(NULL);
	on_files = files;
	if (!files)
		return store_pg_open();
	log_init("test", LOG_LEVEL_ERROR);
	snprintf(folder, sizeof(folder), "/tmp/rakkr-metrics-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	conf = config_defaults(mem);
	config_set(conf, CFG_DATA_DIR, mem_printf(conf, "%s/data", folder));
	config_set(conf, CFG_SEED_DEMO_DATA, "0");
	return open_files();
}

static void end(struct store *s)
{
	if (on_files) {
		talloc_free(s);
		cr_expect_eq(system(mem_printf(mem, "rm -rf '%s'", folder)), 0);
	} else {
		store_pg_close(s);
	}
	talloc_free(mem);
}

static struct store *restarted(struct store *s)
{
	talloc_free(s);
	return on_files ? open_files() : open_another();
}

struct counts {
	json_object *tally[METRICS_TALLIES];
};

static struct counts count(struct store *s, bool parts)
{
	const struct metrics_question q = {.parts = parts};
	struct counts c = {{NULL}};

	cr_assert_eq(store_metrics(s, mem, &q, c.tally), ST_OK);
	return c;
}

#define GET(c, which, ...)                                                                                             \
	tally_get((c).tally[which], (const char *const[]){__VA_ARGS__},                                                \
	          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* No number of a counter is less than it was, and none is gone. */
static void expect_not_fallen(struct counts before, struct counts after, const char *when)
{
	static const enum metrics_tally counters[] = {METRICS_HEALTH_EVER, METRICS_UPLOAD_FAILURES, METRICS_AUDIT};

	for (size_t i = 0; i < 3; i++) {
		json_object_object_foreach(before.tally[counters[i]], key, n)
		{
			json_object *now = json_get(after.tally[counters[i]], key);

			cr_expect(now != NULL && json_object_get_int64(now) >= json_object_get_int64(n),
			          "%s: %s was %s, is %s", when, key, json_object_get_string(n),
			          now != NULL ? json_object_get_string(now) : "gone");
		}
	}
}

static void commit(struct store *s)
{
	cr_assert_eq(store_commit(s, NULL, true), ST_OK);
}

static json_object *patched(struct store *s, const struct model *m, const char *id, const char *patch)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	cr_assert_eq(store_update(s, mem, m, &q, parse(mem, patch), &page, NULL), ST_OK);
	cr_assert_eq(page.count, 1);
	commit(s);
	return json_object_array_get_idx(page.docs, 0);
}

static void removed(struct store *s, const struct model *m, const char *id)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	cr_assert_eq(store_remove(s, mem, m, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	commit(s);
}

/* ---- health events ----------------------------------------------------------------------------------------------- */

#define TYPE "device.xrun.test"

static const char *add_event(struct store *s, const char *type, const char *more)
{
	char id[UUID_SIZE];

	uuid_v4(id);
	cr_assert_eq(store_insert(s, mem, &model_health_events,
	                          parse(mem, mem_printf(mem,
	                                                "{\"details\":{},\"id\":\"%s\",\"openedAt\":\"2031-01-01T00:00:"
	                                                "00.000Z\",\"severity\":\"warning\",\"status\":\"open\","
	                                                "\"type\":\"%s\"%s}",
	                                                id, type, more)),
	                          NULL),
	             ST_OK);
	commit(s);
	return mem_strdup(mem, id);
}

static void health_counters(bool files)
{
	struct store *s = begin(files);
	struct counts before = count(s, false), c;
	const char *one = add_event(s, TYPE, ""), *two = add_event(s, TYPE, ""), *critical = "critical";

	c = count(s, false);
	expect_not_fallen(before, c, "two events");
	int64_t base = GET(before, METRICS_HEALTH_EVER, "warning", "", TYPE);
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, "warning", "open", TYPE), base + 2);
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, "warning", "", TYPE), base + 2);
	cr_expect_eq(GET(c, METRICS_HEALTH, TYPE, "warning", "open", ""), 2);
	before = c;
	patched(s, &model_health_events, one, "{\"status\":\"resolved\"}");
	patched(s, &model_health_events, one, "{\"details\":{\"n\":1}}");
	c = count(s, false);
	expect_not_fallen(before, c, "resolved");
	cr_expect_eq(GET(c, METRICS_HEALTH, TYPE, "warning", "open", ""), 1);
	cr_expect_eq(GET(c, METRICS_HEALTH, TYPE, "warning", "resolved", ""), 1);
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, "warning", "", TYPE), base + 2, "the same events");
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, "warning", "resolved", TYPE),
	             GET(before, METRICS_HEALTH_EVER, "warning", "resolved", TYPE) + 1);
	before = c;
	patched(s, &model_health_events, one, "{\"status\":\"open\"}");
	patched(s, &model_health_events, two, "{\"severity\":\"critical\"}");
	c = count(s, false);
	expect_not_fallen(before, c, "reopened, worse");
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, "warning", "open", TYPE), base + 3);
	cr_expect_eq(GET(c, METRICS_HEALTH_EVER, critical, "", TYPE),
	             GET(before, METRICS_HEALTH_EVER, critical, "", TYPE) + 1);
	before = c;
	removed(s, &model_health_events, one);
	removed(s, &model_health_events, two);
	c = count(s, false);
	expect_not_fallen(before, c, "removed");
	cr_expect_eq(GET(c, METRICS_HEALTH, TYPE, "warning", "open", ""), 0);
	s = restarted(s);
	expect_not_fallen(before, count(s, false), "restarted");
	end(s);
}

/* Counted as soon as it is committed, never before. */
static void rolled_back(bool files)
{
	struct store *s = begin(files);
	struct counts before = count(s, false);
	char id[UUID_SIZE];

	uuid_v4(id);
	cr_assert_eq(store_insert(s, mem, &model_health_events,
	                          parse(mem, mem_printf(mem,
	                                                "{\"details\":{},\"id\":\"%s\",\"openedAt\":\"2031-01-01T00:00:"
	                                                "00.000Z\",\"severity\":\"info\",\"status\":\"open\",\"type\":"
	                                                "\"never\"}",
	                                                id)),
	                          NULL),
	             ST_OK);
	store_rollback(s);
	struct counts after = count(s, false);
	cr_expect_eq(GET(after, METRICS_HEALTH_EVER, "info", "", "never"),
	             GET(before, METRICS_HEALTH_EVER, "info", "", "never"));
	end(s);
}

/* Labels that a caller with a narrow scope is judged by. */
static void parts(bool files)
{
	struct store *s = begin(files);
	const char *id;
	struct counts c;

	cr_assert_eq(store_insert(s, mem, &model_recordings,
	                          a_recording(mem, "rec_part", "node_part", "2031-01-01T00:00:00.000Z",
	                                      ",\"scheduleId\":\"sched_part\""),
	                          NULL),
	             ST_OK);
	add_event(s, "part", ",\"recordingId\":\"rec_part\",\"nodeId\":\"node_event\"");
	id = add_event(s, "part", "");
	c = count(s, true);
	cr_expect_eq(GET(c, METRICS_HEALTH, "part", "warning", "open", "node_event", "", "", "rec_part", "sched_part",
	                 "node_part"),
	             1, "%s", json_object_to_json_string(c.tally[METRICS_HEALTH]));
	cr_expect_eq(GET(c, METRICS_HEALTH, "part", "warning", "open", "", "", id, "", "", ""), 1,
	             "an event about nothing is known by its id");
	cr_expect_null(c.tally[METRICS_HEALTH_EVER]);
	cr_expect_null(c.tally[METRICS_UPLOAD_FAILURES]);
	end(s);
}

/* ---- uploads ----------------------------------------------------------------------------------------------------- */

static void upload_counters(bool files)
{
	struct store *s = begin(files);
	struct counts start, before, c;
	const char *item = mem_printf(mem, "upload_%lld", (long long)clock_now_ms());

	start = before = count(s, false);
	cr_assert_eq(
	    store_insert(s, mem, &model_upload_queue,
	                 parse(mem, mem_printf(mem,
	                                       "{\"attemptCount\":0,\"createdAt\":\"2031-01-01T00:00:00.000Z\","
	                                       "\"fileName\":\"a.wav\",\"id\":\"%s\",\"lastError\":"
	                                       "\"provider_not_configured\",\"maxAttempts\":5,"
	                                       "\"nextAttemptAt\":\"2001-01-01T00:00:00.000Z\",\"provider\":"
	                                       "\"smb\",\"recordingId\":\"rec_upload\",\"status\":\"queued\","
	                                       "\"updatedAt\":\"2031-01-01T00:00:00.000Z\"}",
	                                       item)),
	                 NULL),
	    ST_OK);
	commit(s);
	c = count(s, false);
	cr_expect_eq(GET(c, METRICS_UPLOADS, "smb", "queued"), GET(before, METRICS_UPLOADS, "smb", "queued") + 1);
	cr_expect_eq(GET(c, METRICS_UPLOAD_DUE, "smb", "queued"), 978307200000);
	cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "smb"), GET(start, METRICS_UPLOAD_FAILURES, "smb"));
	for (int attempt = 1; attempt <= 5; attempt++) { /* contract 05 2.4, 2.6 */
		before = c;
		patched(s, &model_upload_queue, item,
		        mem_printf(mem, "{\"attemptCount\":%d,\"lastError\":null,\"status\":\"retrying\"}", attempt));
		c = count(s, false);
		cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "smb"), GET(before, METRICS_UPLOAD_FAILURES, "smb"),
		             "an attempt under way");
		patched(s, &model_upload_queue, item,
		        mem_printf(mem, "{\"lastError\":\"unreachable\",\"status\":\"%s\"}",
		                   attempt < 5 ? "retrying" : "failed"));
		c = count(s, false);
		expect_not_fallen(before, c, "a failed attempt");
		patched(s, &model_upload_queue, item, "{\"lastError\":\"unreachable, still\"}");
		c = count(s, false);
		cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "smb"),
		             GET(start, METRICS_UPLOAD_FAILURES, "smb") + attempt);
	}
	before = c;
	patched(s, &model_upload_queue, item, /* 2.7: nothing was attempted */
	        "{\"attemptCount\":6,\"lastError\":\"provider_not_configured\",\"status\":\"failed\"}");
	patched(s, &model_upload_queue, item, "{\"attemptCount\":0,\"lastError\":null,\"status\":\"queued\"}");
	c = count(s, false);
	expect_not_fallen(before, c, "retried by hand");
	cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "smb"), GET(start, METRICS_UPLOAD_FAILURES, "smb") + 5);
	removed(s, &model_upload_queue, item);
	s = restarted(s);
	c = count(s, false);
	expect_not_fallen(before, c, "removed, restarted");
	end(s);
}

/* An installation of earlier, whose items were tried already. */
Test(store_metrics, stored_items_count, .timeout = 60)
{
	struct store *s = begin(true);
	FILE *f;
	struct counts c;

	cr_assert_eq(talloc_free(s), 0);
	f = fopen(config_str(conf, CFG_UPLOAD_QUEUE_PATH), "w");
	cr_assert_not_null(f, "%s", config_str(conf, CFG_UPLOAD_QUEUE_PATH));
	fputs(
	    "{\"items\":[{\"id\":\"a\",\"attemptCount\":5,\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"nextAttemptAt\":"
	    "\"2026-01-01T00:00:00.000Z\",\"recordingId\":\"r\",\"updatedAt\":\"2026-01-01T00:00:00.000Z\","
	    "\"provider\":"
	    "\"s3\",\"status\":\"failed\",\"lastError\":\"x\",\"fileName\":\"x\",\"maxAttempts\":5},{\"id\":\"b\","
	    "\"attemptCount\":0,\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"nextAttemptAt\":"
	    "\"2026-01-01T00:00:00.000Z\",\"recordingId\":\"r\",\"updatedAt\":\"2026-01-01T00:00:00.000Z\","
	    "\"provider\":"
	    "\"s3\",\"status\":\"failed\",\"fileName\":\"x\",\"maxAttempts\":5}]}",
	    f);
	fclose(f);
	s = open_files();
	c = count(s, false);
	cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "s3"), 6, "%s",
	             json_object_to_json_string(c.tally[METRICS_UPLOAD_FAILURES]));
	patched(s, &model_upload_queue, "a", "{\"attemptCount\":0,\"lastError\":null,\"status\":\"queued\"}");
	patched(s, &model_upload_queue, "a", "{\"attemptCount\":1,\"lastError\":\"y\",\"status\":\"retrying\"}");
	c = count(s, false);
	cr_expect_eq(GET(c, METRICS_UPLOAD_FAILURES, "s3"), 7);
	end(s);
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

static void add_audit(struct store *s, const char *action, const char *target, int64_t ms)
{
	json_object *events = json_new_array(mem);
	char id[UUID_SIZE];

	uuid_v7(id, ms);
	json_push_ref(events,
	              parse(mem, mem_printf(mem,
	                                    "{\"action\":\"%s\",\"actor\":{\"id\":\"u\",\"name\":\"U\",\"roles\":["
	                                    "],\"type\":\"user\"},\"actorContext\":{},\"createdAt\":\"%s\","
	                                    "\"details\":{},\"id\":\"%s\",\"outcome\":\"allowed\",\"permission\":"
	                                    "\"node:read\",\"target\":%s}",
	                                    action, clock_iso_dup(mem, ms), id, target)));
	cr_assert_eq(store_commit(s, events, true), ST_OK);
}

#define THING(c) GET(c, METRICS_AUDIT, "metrics.test", "user", "allowed", "node:read", METRICS_ABOUT)
#define NOTHING(c) GET(c, METRICS_AUDIT, "metrics.test", "user", "allowed", "node:read", "")

static void audit_counters(bool files)
{
	struct store *s = begin(files);
	int64_t now = clock_now_ms(), removed_events;
	struct counts before = count(s, false), c, narrow;
	int64_t things = THING(before), nothings = NOTHING(before);

	for (int i = 0; i < 20; i++)
		add_audit(s, "metrics.test",
		          i % 4 == 0 ? "{\"id\":\"node_metrics\",\"type\":\"node\"}" : "{\"type\":\"controller\"}",
		          i < 10 ? now - 40 * (int64_t)DAY_MS + i : now);
	c = count(s, false);
	expect_not_fallen(before, c, "20 events");
	cr_expect_eq(THING(c), things + 5);
	cr_expect_eq(NOTHING(c), nothings + 15);
	narrow = count(s, true);
	cr_expect_geq(
	    GET(narrow, METRICS_AUDIT_RECENT, "metrics.test", "user", "allowed", "node:read", "node", "node_metrics"),
	    5);
	if (!files)
		for (int i = 0; i < 3; i++)
			sql(i < 2 ? "SELECT rakkr_fcgi.audit_fold(4)" : "SELECT rakkr_fcgi.audit_fold(1000000)");
	expect_not_fallen(c, count(s, false), "folded");
	cr_expect_eq(THING(count(s, false)), things + 5, "each once");
	cr_assert_eq(store_audit_prune(s, now - 30 * (int64_t)DAY_MS, 100000, NULL, &removed_events), ST_OK);
	cr_expect_geq(removed_events, 10);
	expect_not_fallen(c, count(s, false), "old ones removed");
	cr_expect_eq(THING(count(s, false)), things + 5, "each once");
	if (!files) {
		sql("DELETE FROM audit_events WHERE action = 'metrics.test' AND target_type = 'node'");
		expect_not_fallen(c, count(s, false), "deleted before they were folded");
		sql("TRUNCATE audit_events");
		expect_not_fallen(c, count(s, false), "all gone");
	} else {
		cr_assert_eq(store_audit_prune(s, now + DAY_MS, 100000, NULL, &removed_events), ST_OK);
		expect_not_fallen(c, count(s, false), "all gone");
		add_audit(s, "metrics.test", "{\"type\":\"controller\"}", now);
	}
	s = restarted(s);
	expect_not_fallen(c, count(s, false), "restarted");
	cr_expect_eq(THING(count(s, false)), things + 5, "each once");
	cr_expect_eq(NOTHING(count(s, false)), nothings + 15 + files);
	end(s);
}

/* A large log is not counted anew by everybody: what was counted is kept beside it, and is no more than a short cut. */
Test(store_metrics, what_was_counted_is_kept, .timeout = 60)
{
	static const char line[] =
	    "{\"action\":\"metrics.test\",\"actor\":{\"type\":\"user\"},\"createdAt\":\"2026-01-01T"
	    "00:00:00.000Z\",\"id\":\"%08d-0000-4000-8000-000000000000\",\"outcome\":\"allowed\","
	    "\"permission\":\"node:read\",\"target\":{\"type\":\"controller\"}}\n";
	struct store *s = begin(true);
	const char *log = mem_printf(mem, "%s/data/audit-events.jsonl", folder);
	const char *kept = mem_printf(mem, "%s.counted", log);
	FILE *f = fopen(log, "w");
	const int lines = 30000;

	for (int i = 0; i < lines; i++)
		fprintf(f, line, i);
	fclose(f);
	cr_expect_eq(NOTHING(count(s, false)), lines);
	cr_assert_eq(access(kept, R_OK), 0, "%s", kept);
	add_audit(s, "metrics.test", "{\"type\":\"controller\"}", clock_now_ms());
	s = restarted(s);
	cr_expect_eq(NOTHING(count(s, false)), lines + 1);
	/* it is used ... */
	cr_assert_eq(system(mem_printf(mem, "sed -i 's/:%d/:99000/' '%s'", lines, kept)), 0);
	s = restarted(s);
	cr_expect_eq(NOTHING(count(s, false)), 99001);
	/* ... unless it is torn, or of another log */
	cr_assert_eq(truncate(kept, 40), 0);
	s = restarted(s);
	cr_expect_eq(NOTHING(count(s, false)), lines + 1);
	cr_assert_eq(access(kept, R_OK), 0);
	cr_assert_eq(system(mem_printf(mem, "sed -i 's/000000000000/000000000001/' '%s'", log)), 0);
	s = restarted(s);
	cr_expect_eq(NOTHING(count(s, false)), lines + 1);
	end(s);
}

/* ---- recordings -------------------------------------------------------------------------------------------------- */

struct seen {
	int passes[2];
	char order[2][64];
};

static bool see(void *state, int pass, const struct metrics_recording *r)
{
	struct seen *seen = state;

	if (strncmp(r->id, "rec_m", 5) != 0)
		return true;
	seen->passes[pass]++;
	strncat(seen->order[pass], r->id + 5, 8);
	if (strcmp(r->id, "rec_m1") == 0) {
		cr_expect_str_eq(r->node_id, "node_m");
		cr_expect_str_eq(r->source, "ad_hoc");
		cr_expect_str_eq(r->status, "completed");
		cr_expect_str_eq(r->cache_path, "ad-hoc/x.wav");
		cr_expect_eq(r->duration_seconds, 60);
	}
	return true;
}

static void library(bool files)
{
	const char *allowed[] = {"node_m"}, *none[] = {"node_elsewhere"};
	const struct row_scope mine = {.allow_nodes = {.ids = allowed, .count = 1}};
	const struct row_scope others = {.allow_nodes = {.ids = none, .count = 1}};
	struct store *s = begin(files);
	struct seen seen = {0};
	struct counts c;

	for (int i = 0; i < 3; i++) {
		const char *id = mem_printf(mem, "rec_m%d", i);
		json_object *doc = a_recording(mem, id, "node_m", mem_printf(mem, "2031-01-01T00:00:0%d.000Z", i),
		                               i == 1 ? ",\"cachePath\":\"ad-hoc/x.wav\"" : "");

		json_set_bool(doc, "cached", i == 1);
		if (i == 2)
			json_set_str(doc, "status", "recording");
		cr_assert_eq(store_insert(s, mem, &model_recordings, doc, NULL), ST_OK);
		cr_assert_eq(
		    store_insert(s, mem, &model_jobs,
		                 a_job(mem, mem_printf(mem, "job_m%d", i), "node_m", id, "2031-01-01T00:00:00.000Z"),
		                 NULL),
		    ST_OK);
	}
	commit(s);
	patched(s, &model_jobs, "job_m1", "{\"status\":\"running\"}");
	patched(s, &model_jobs, "job_m2", "{\"status\":\"stop_requested\"}");
	c = count(s, false);
	cr_expect_eq(GET(c, METRICS_RECORDINGS, "node_m", "true"), 1);
	cr_expect_eq(GET(c, METRICS_RECORDINGS, "node_m", "false"), 2);
	cr_expect_eq(GET(c, METRICS_ACTIVE, "node_m"), 2, "a recording and its job are one");
	cr_expect_eq(GET(c, METRICS_JOBS, "node_m", "queued"), 1);
	cr_expect_eq(GET(c, METRICS_JOBS, "node_m", "running"), 1);
	cr_assert_eq(store_metrics_recordings(s, &mine, 2, see, &seen), ST_OK);
	cr_expect_str_eq(seen.order[0], "210", "newest first");
	cr_expect_str_eq(seen.order[1], "210");
	seen = (struct seen){0};
	cr_assert_eq(store_metrics_recordings(s, &others, 2, see, &seen), ST_OK);
	cr_expect_eq(seen.passes[0] + seen.passes[1], 0);
	const struct metrics_question q = {.recordings = &others, .parts = true};
	json_object *tally[METRICS_TALLIES];
	cr_assert_eq(store_metrics(s, mem, &q, tally), ST_OK);
	cr_expect_eq(tally_sum(tally[METRICS_RECORDINGS]), 0);
	cr_expect_eq(tally_sum(tally[METRICS_JOBS]), 0);
	cr_expect_eq(tally_sum(tally[METRICS_ACTIVE]), 0);
	end(s);
}

#define BOTH(name)                                                                                                     \
	Test(store_metrics, name##_on_files, .timeout = 60)                                                            \
	{                                                                                                              \
		name(true);                                                                                            \
	}                                                                                                              \
	Test(store_metrics, name##_on_postgres, .timeout = 60)                                                         \
	{                                                                                                              \
		name(false);                                                                                           \
	}

BOTH(health_counters)
BOTH(rolled_back)
BOTH(parts)
BOTH(upload_counters)
BOTH(audit_counters)
BOTH(library)

/* ---- Postgres only ----------------------------------------------------------------------------------------------- */

/* The database and the program agree on what a resource is. */
Test(store_metrics, same_types_in_the_database, .timeout = 60)
{
	struct store *s = begin(false);

	for (size_t i = 0; i < METRICS_ABOUT_TYPES; i++)
		cr_expect_str_eq(
		    sql_text(mem, mem_printf(mem,
		                             "SELECT (rakkr_fcgi.audit_labels('a', 'user', 'allowed', NULL,"
		                             " '%s', 'id'))[5]",
		                             metrics_about[i])),
		    METRICS_ABOUT, "%s", metrics_about[i]);
	cr_expect_str_eq(
	    sql_text(mem, "SELECT (rakkr_fcgi.audit_labels('a', 'user', 'allowed', NULL, 'user', 'id'))[5]"), "");
	cr_expect_str_eq(sql_text(mem, "SELECT (rakkr_fcgi.audit_labels('a', 'user', 'allowed', NULL, 'node', ''))[5]"),
	                 "");
	end(s);
}

/* One question that cannot be answered takes no other with it (09 D-96). */
Test(store_metrics, one_broken_table, .timeout = 60)
{
	struct store *s = begin(false);
	struct counts c;

	sql("ALTER TABLE rakkr_fcgi.counters RENAME TO counters_away");
	sql("ALTER TABLE rakkr_fcgi.audit_folded RENAME TO audit_folded_away");
	c = count(s, false);
	sql("ALTER TABLE rakkr_fcgi.counters_away RENAME TO counters");
	sql("ALTER TABLE rakkr_fcgi.audit_folded_away RENAME TO audit_folded");
	cr_expect_null(c.tally[METRICS_AUDIT]);
	cr_expect_not_null(c.tally[METRICS_RECORDINGS]);
	cr_expect_not_null(c.tally[METRICS_HEALTH]);
	cr_expect_not_null(count(s, false).tally[METRICS_AUDIT]);
	end(s);
}
