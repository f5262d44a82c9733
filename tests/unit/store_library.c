/*
 * What triggers keep of recordings and jobs against the tables themselves: numbers, texts, and every list and count
 * that is answered out of them, compared with the same by a store that does without.
 */
#include "unit/store_pg_server.h"

#include "store/query.h"

#define ROWS 7000 /* more than what a list sorts instead of walking */

static struct store *plain; /* answers from the tables alone */

/* Recordings of many kinds: odd names and tags, missing values, equal times, several days, one rare folder. */
static void fill(const void *ctx)
{
	sql("INSERT INTO nodes (id, alias, hostname, agent_version) SELECT 'n' || i, 'A', 'h', '1' FROM "
	    "generate_series(0, 3) i");
	sql("INSERT INTO schedules (id, name, recurrence, timezone, folder_template, title_template) "
	    "SELECT 's' || i, 'S', '{}', 'UTC', 'f', 't' FROM generate_series(0, 3) i");
	sql(mem_printf(
	    ctx,
	    "INSERT INTO recordings (id, name, folder, tags, status, source, recorded_at, duration_seconds, "
	    "health_status,"
	    " cache_path, node_id, schedule_id, metadata) "
	    "SELECT 'rec_' || substr(md5(i::text), 1, 12), "
	    "(ARRAY['Take', 'St\xC3\xA4ndchen', 'take %% _ \\ x', '\xC4\xB0stanbul', 'budget 2026'])[1 + i %% 5] || ' "
	    "' "
	    "|| i,"
	    "CASE WHEN i %% 1000 = 7 THEN 'Rare/\xC3\x89t\xC3\xA9' ELSE 'Meetings/' || i %% 12 END, "
	    "(ARRAY['[]', '[\"Voice\",\"a b\"]', '[\"voice\",\"%%\",7,null]', '[\"\xC3\x89t\xC3\xA9\"]', '{}'])[1 + i "
	    "%% 5]::jsonb,"
	    "(ARRAY['queued', 'recording', 'completed', 'failed', 'cached', 'uploaded'])[1 + i %% "
	    "6]::recording_status, "
	    "(ARRAY['ad_hoc', 'schedule'])[1 + i %% 2]::recording_source, "
	    "timestamptz '2026-01-01 00:00:00.0005+00' + (i / 3) * interval '7 minutes', i %% 11, "
	    "(ARRAY['healthy', 'warning', 'critical', 'unknown', 'odd'])[1 + i %% 5], "
	    "(ARRAY[NULL, '', 'ad-hoc/x.wav'])[1 + i %% 3], (ARRAY[NULL, 'n0', 'n1', 'n9'])[1 + i %% 4], "
	    "(ARRAY[NULL, 's0', 's9'])[1 + i %% 3], jsonb_strip_nulls(jsonb_build_object('cached', i %% 2 = 0,"
	    "'notes', CASE WHEN i %% 500 = 3 THEN 'Mikrofon No ' || i END, "
	    "'recordingProfileId', CASE WHEN i %% 3 = 0 THEN 'p1' END, "
	    "'uploadPolicyId', CASE WHEN i %% 7 = 0 THEN 'u1' END, "
	    "'transcriptSnippets', CASE WHEN i %% 700 = 5 THEN '[\"Antrag angenommen\", 3]'::jsonb END, "
	    "'trackGroupId', CASE WHEN i %% 20 = 0 THEN 'track_' || i / 40 END)) "
	    "FROM generate_series(1, %d) i",
	    ROWS));
}

/* Writes of every kind, by one and by many, undone in part. */
static void stir(void)
{
	sql("BEGIN");
	sql("UPDATE recordings SET status = 'uploaded', metadata = metadata || '{\"notes\":\"Neue Notiz\"}' WHERE "
	    "duration_seconds = 3");
	sql("SAVEPOINT a");
	sql("DELETE FROM recordings WHERE duration_seconds < 8");
	sql("ROLLBACK TO a");
	sql("DELETE FROM recordings WHERE duration_seconds = 10");
	sql("COMMIT");
	sql("UPDATE recordings SET id = id || '_moved', recorded_at = recorded_at - interval '3 days' WHERE "
	    "duration_seconds = 9 AND node_id = 'n0'");
	sql("UPDATE recordings SET tags = '[\"solo\"]' WHERE id = (SELECT min(id) FROM recordings)");
	sql("INSERT INTO recordings (id, name, folder, recorded_at, source, status) SELECT id, 'again', 'Again', "
	    "now(), "
	    "'ad_hoc'::recording_source, 'cached'::recording_status FROM recordings WHERE duration_seconds = 1 UNION "
	    "ALL SELECT 'fresh', 'x', 'Again', "
	    "now(), "
	    "'ad_hoc', 'queued' ON CONFLICT (id) DO UPDATE SET name = excluded.name, folder = excluded.folder");
	sql("UPDATE recordings SET name = name");
	sql("BEGIN; TRUNCATE recordings; ROLLBACK");
}

/* Both directions of a difference between what is kept and what it should be; "0" is right. */
#define SAME(a, b) "SELECT count(*) FROM ((" a " EXCEPT ALL " b ") UNION ALL (" b " EXCEPT ALL " a ")) x"
#define KEPT(columns, table) "SELECT " columns ", sum(n) FROM " table " GROUP BY " columns " HAVING sum(n) <> 0"
#define BOTH(columns, table)                                                                                           \
	"(SELECT " columns ", n FROM rakkr_fcgi." table " UNION ALL SELECT " columns                                   \
	", n FROM rakkr_fcgi.recording_changes) t"
#define CELL "folder, tags, status, source, health_status, node_id, schedule_id"

static const char *const kept[] = {
    SAME(KEPT(CELL, BOTH(CELL, "recording_cells")), "SELECT folder, tags, status, source, health_status::text, "
                                                    "node_id::text, schedule_id::text, count(*)::numeric FROM "
                                                    "recordings GROUP BY 1, 2, 3, 4, 5, 6, 7"),
    SAME(KEPT("words", BOTH("words", "recording_cells")),
         "SELECT rakkr_fcgi.recording_words(name, folder, node_id, schedule_id, source, status, tags, metadata), "
         "count(*)::numeric FROM recordings GROUP BY 1"),
    SAME(KEPT("day", BOTH("day", "recording_days")),
         "SELECT (recorded_at AT TIME ZONE 'UTC')::date, count(*)::numeric FROM recordings GROUP BY 1"),
    SAME("SELECT id, recorded_at, cell, common, own FROM rakkr_fcgi.recording_texts",
         "SELECT r.id, r.recorded_at, c.key, rakkr_fcgi.common_text(r.name, r.folder, r.node_id, r.schedule_id, "
         "r.source, "
         "r.status, r.tags, r.metadata), rakkr_fcgi.own_text(r.id, r.metadata) FROM recordings r CROSS JOIN LATERAL "
         "rakkr_fcgi.cell_of(r.name, r.folder, r.tags, r.status, r.source, r.health_status, r.node_id, r.schedule_id, "
         "r.cache_path, r.metadata) c"),
    SAME(KEPT("key", BOTH("key", "recording_cells")),
         "SELECT cell, count(*)::numeric FROM rakkr_fcgi.recording_texts GROUP BY 1"),
    SAME("SELECT track_group, sum(n) FROM (SELECT track_group, n FROM rakkr_fcgi.recording_tracks UNION ALL SELECT "
         "track_group, n FROM rakkr_fcgi.recording_changes WHERE track_group IS NOT NULL) t GROUP BY 1 HAVING sum(n) "
         "<> 0",
         "SELECT metadata->>'trackGroupId', count(*)::numeric FROM recordings WHERE metadata->>'trackGroupId' IS NOT "
         "NULL "
         "GROUP BY 1"),
    SAME("SELECT id, text FROM rakkr_fcgi.job_texts",
         "SELECT id, rakkr_fcgi.job_text(claimed_by, command, failure_reason, id, node_id, recording_id, status) FROM "
         "recording_jobs"),
    SAME("SELECT g.day, e.key, e.value::bigint FROM rakkr_fcgi.recording_grams g, jsonb_each_text(g.counts) e WHERE "
         "g.day NOT IN (SELECT day FROM rakkr_fcgi.recording_days_changed)",
         "SELECT rakkr_fcgi.utc_day(t.recorded_at), x, count(*) FROM rakkr_fcgi.recording_texts t, "
         "rakkr_fcgi.grams_of(t.common || t.own) x WHERE rakkr_fcgi.utc_day(t.recorded_at) NOT IN (SELECT day FROM "
         "rakkr_fcgi.recording_days_changed) GROUP BY 1, 2"),
    /* a bound is never below the newest recording */
    "SELECT count(*) FROM recordings r WHERE NOT EXISTS (SELECT FROM (SELECT folder, newest FROM "
    "rakkr_fcgi.recording_cells UNION ALL SELECT folder, newest FROM rakkr_fcgi.recording_changes) c WHERE c.folder = "
    "r.folder AND c.newest >= r.recorded_at)",
};

static void expect_kept(const void *ctx, const char *when)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		cr_expect_str_eq(sql_text(ctx, kept[i]), "0", "%s: %s", when, kept[i]);
}

/* A store that has found out that there are no texts does without all of this for a minute. */
static void be_plain(const void *ctx)
{
	struct query q;
	struct page page;

	query_init(&q);
	q.search = "x";
	q.limit = 0;
	sql("ALTER TABLE rakkr_fcgi.recording_texts RENAME TO texts_away");
	cr_assert_eq(store_list(plain, ctx, &model_recordings, &q, &page), ST_OK);
	sql("ALTER TABLE rakkr_fcgi.texts_away RENAME TO recording_texts");
}

static void begin(void **ctx, struct store **s)
{
	*s = store_pg_open();
	*ctx = talloc_new(NULL);
	fill(*ctx);
	plain = open_another();
	be_plain(*ctx);
}

static void end(void *ctx, struct store *s)
{
	talloc_free(plain);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- kept numbers ------------------------------------------------------------------------------------------------ */

Test(store_library, what_is_kept_is_exact)
{
	struct store *s;
	void *ctx;

	begin(&ctx, &s);
	expect_kept(ctx, "filled");
	stir();
	expect_kept(ctx, "stirred");
	sql("SELECT rakkr_fcgi.fold_recordings()");
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM rakkr_fcgi.recording_changes"), "0");
	expect_kept(ctx, "folded");
	cr_expect_str_neq(sql_text(ctx, "SELECT rakkr_fcgi.count_grams(1000)"), "0");
	cr_expect_str_eq(sql_text(ctx, "SELECT rakkr_fcgi.count_grams(1000)"), "0");
	expect_kept(ctx, "counted");
	sql("DELETE FROM recordings WHERE status = 'cached'");
	expect_kept(ctx, "deleted");
	sql("SELECT rakkr_fcgi.fold_recordings()");
	sql("SELECT rakkr_fcgi.count_grams(3)");
	expect_kept(ctx, "folded again");
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM rakkr_fcgi.recording_cells WHERE n <= 0"), "0");
	sql("TRUNCATE recordings");
	expect_kept(ctx, "truncated");
	end(ctx, s);
}

/* Writers and folders at once, one of four rolled back: nobody waits for another, nothing is counted twice. */
static int writer(int number)
{
	PGconn *c = PQconnectdb(getenv("RAKKR_TEST_DATABASE_URL"));
	void *ctx = talloc_new(NULL);
	int bad = PQstatus(c) != CONNECTION_OK;

	PQclear(PQexec(c, "SET lock_timeout = '5s'"));
	for (int i = 0; i < 60 && !bad; i++) {
		const char *steps[] = {
		    "BEGIN",
		    mem_printf(
		        ctx,
		        "INSERT INTO recordings (id, name, folder, recorded_at, source, status) VALUES ('w%d_%d', "
		        "'Take %d', 'Shared', '2026-01-02', 'ad_hoc', 'recording')",
		        number, i, i),
		    i % 5 == 2   ? "SELECT rakkr_fcgi.fold_recordings()"
		    : i % 5 == 4 ? "SELECT rakkr_fcgi.count_grams(2)"
		                 : "SELECT 1",
		    mem_printf(ctx, "UPDATE recordings SET status = 'cached' WHERE id = 'w%d_%d'", number, i - i % 2),
		    i % 7 == 3 ? mem_printf(ctx, "DELETE FROM recordings WHERE id = 'w%d_%d'", number, i - 1)
		               : "SELECT 1",
		    i % 4 == 3 ? "ROLLBACK" : "COMMIT"};

		for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
			PGresult *r = PQexec(c, steps[k]);

			bad |= PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK;
			PQclear(r);
		}
	}
	PQfinish(c);
	talloc_free(ctx);
	return bad;
}

Test(store_library, many_writers_at_once)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	pid_t pid[6];

	for (int i = 0; i < 6; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(writer(i));
	}
	for (int i = 0; i < 6; i++) {
		int how = 0;

		waitpid(pid[i], &how, 0);
		cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 0, "writer %d", i);
	}
	expect_kept(ctx, "after writers");
	sql("SELECT rakkr_fcgi.fold_recordings()");
	expect_kept(ctx, "after writers and a fold");
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_library, texts_of_jobs)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *at;

	sql("INSERT INTO recording_jobs (id, recording_id, node_id, status, command, created_at) SELECT 'j' || i, 'r', "
	    "'n', "
	    "'queued', '{\"captureDevice\":\"hw:1,0\",\"captureFormat\":\"S16_LE\"}', now() FROM generate_series(1, "
	    "50) i");
	expect_kept(ctx, "queued");
	at = sql_text(ctx, "SELECT ctid FROM rakkr_fcgi.job_texts WHERE id = 'j1'");
	sql("UPDATE recording_jobs SET last_heartbeat_at = now(), lease_expires_at = now(), updated_at = now()");
	cr_expect_str_eq(sql_text(ctx, "SELECT ctid FROM rakkr_fcgi.job_texts WHERE id = 'j1'"), at,
	                 "heartbeats do not touch the texts");
	sql("UPDATE recording_jobs SET status = 'failed', failure_reason = 'L\xC3\x84RM' WHERE id < 'j3'");
	sql("UPDATE recording_jobs SET id = 'moved' WHERE id = 'j9'");
	sql("DELETE FROM recording_jobs WHERE id = 'j8'");
	expect_kept(ctx, "changed");
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static const char *page_ids(const void *ctx, const struct page *page)
{
	json_object *ids = json_new_array(ctx);

	for (size_t i = 0; i < page->count; i++)
		json_push_str(ids, json_str_or(json_object_array_get_idx(page->docs, i), "id", "?"));
	return json_compact(ctx, ids, NULL);
}

static size_t compared;

/* The same page and the same total from both stores. */
static void compare(struct store *s, struct query *q, const char *what)
{
	static const int64_t pages[][2] = {{5, 0}, {5, 3}, {3, 100000}, {0, 0}};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		void *ctx = talloc_new(NULL);
		struct page ours, theirs;

		q->limit = pages[i][0];
		q->offset = pages[i][1];
		q->want_total = true;
		cr_assert_eq(store_list(s, ctx, &model_recordings, q, &ours), ST_OK, "%s", what);
		cr_assert_eq(store_list(plain, ctx, &model_recordings, q, &theirs), ST_OK, "%s", what);
		cr_expect_eq(ours.total, theirs.total, "%s: %lld instead of %lld", what, (long long)ours.total,
		             (long long)theirs.total);
		cr_expect_str_eq(page_ids(ctx, &ours), page_ids(ctx, &theirs), "%s, page %zu", what, i);
		compared++;
		talloc_free(ctx);
	}
}

static const struct filter filters[] = {
    {.field = "hasFile", .op = Q_EQ, .value = "true"},
    {.field = "hasFile", .op = Q_EQ, .value = "false"},
    {.field = "folder", .op = Q_CONTAINS, .value = "meetings"},
    {.field = "folder", .op = Q_CONTAINS, .value = "rare/\xC3\xA9T"},
    {.field = "folder", .op = Q_CONTAINS, .value = "/1"},
    {.field = "folder", .op = Q_CONTAINS, .value = "nowhere"},
    {.field = "healthStatus", .op = Q_EQ, .value = "critical"},
    {.field = "nodeId", .op = Q_EQ, .value = "n1"},
    {.field = "nodeId", .op = Q_EQ, .value = "none"},
    {.field = "scheduleId", .op = Q_EQ, .value = "s0"},
    {.field = "status", .op = Q_EQ, .value = "uploaded"},
    {.field = "tags", .op = Q_HAS_CI, .value = "VOICE"},
    {.field = "tags", .op = Q_HAS_CI, .value = "%"},
    {.field = "tags", .op = Q_HAS_CI, .value = "\xC3\xA9t\xC3\xA9"},
    {.field = "tags", .op = Q_HAS_CI, .value = "solo"},
    {.field = "tags", .op = Q_HAS_CI, .value = "7"},
    {.field = "recordingProfileId", .op = Q_EQ, .value = "p1"},
    {.field = "uploadPolicyId", .op = Q_EQ, .value = "u1"},
    {.field = "trackGroupId", .op = Q_EQ, .value = "track_3"},
    {.field = "recordedAt", .op = Q_GE, .value = "2026-01-03T10:20:30.000Z"},
    {.field = "recordedAt", .op = Q_GE, .value = "2026-01-03T00:00:00.000Z"},
    {.field = "recordedAt", .op = Q_LE, .value = "2026-01-05T00:00:00.000Z"},
    {.field = "recordedAt", .op = Q_LE, .value = "2026-01-05T09:34:00.000Z"},
};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static const char *const searches[] = {"take",
                                       "TAKE 7",
                                       "st\xC3\x84nd",
                                       "i\xCC\x87stanbul",
                                       "%",
                                       "\\ x",
                                       "budget",
                                       "2026",
                                       "a",
                                       "ro",
                                       "mikrofon",
                                       "no 3",
                                       "antrag",
                                       "neue",
                                       "n1",
                                       "voice",
                                       "rec_c4ca",
                                       "ab",
                                       "xyzzy",
                                       "track_3",
                                       "cached",
                                       "\xC3\xA9t\xC3\xA9",
                                       "meetings/1",
                                       "take-7",
                                       "e 7",
                                       "e7",
                                       "1_",
                                       "_",
                                       " ",
                                       "17",
                                       "7",
                                       "\xC3\xA9",
                                       "t\xC3\xA4",
                                       "zz",
                                       "\xF0\x9F\x8E\x99",
                                       "-"};
#define SEARCHES (sizeof(searches) / sizeof(searches[0]))

static void compare_searches(struct store *s, const struct row_scope *scope)
{
	struct query q;

	be_plain(conf);
	for (size_t i = 0; i < SEARCHES; i++) {
		query_init(&q);
		q.scope = scope;
		q.search = searches[i];
		compare(s, &q, searches[i]);
		q.filters[q.filter_count++] = filters[(i * 5) % FILTERS];
		compare(s, &q, mem_printf(conf, "%s, %s", searches[i], q.filters[0].field));
		query_sort(&q, i % 2 == 0 ? "name" : "status", i % 3 == 0);
		query_sort(&q, "id", false);
		compare(s, &q, mem_printf(conf, "%s, %s, sorted", searches[i], q.filters[0].field));
	}
}

static void compare_all(struct store *s, const struct row_scope *scope)
{
	struct query q;

	be_plain(conf);
	query_init(&q);
	q.scope = scope;
	compare(s, &q, "all");
	for (size_t i = 0; i < FILTERS; i++)
		for (size_t k = i; k < FILTERS; k += 1 + k % 4) {
			query_init(&q);
			q.scope = scope;
			q.filters[q.filter_count++] = filters[i];
			if (k > i)
				q.filters[q.filter_count++] = filters[k];
			compare(s, &q,
			        mem_printf(conf, "%s %s, %s %s", filters[i].field, filters[i].value, filters[k].field,
			                   filters[k].value));
		}
	compare_searches(s, scope);
}

static const struct {
	const char *name;
	struct row_scope scope;
} scopes[] = {
    {"nodes", {.allow_nodes = {.ids = (const char *[]){"n0", "n9"}, .count = 2}}},
    {"schedules but nodes",
     {.allow_schedules = {.ids = (const char *[]){"s0"}, .count = 1},
      .deny_nodes = {.ids = (const char *[]){"n1"}, .count = 1}}},
    {"any node", {.allow_nodes = {.all = true}}},
    {"named",
     {.allow_nodes = {.ids = (const char *[]){"n0"}, .count = 1},
      .allow_recordings = {.ids = (const char *[]){"rec_c4ca4238a0b9", "rec_c81e728d9d4c", "rec_none"}, .count = 3},
      .deny_recordings = {.ids = (const char *[]){"rec_eccbc87e4b5c", "rec_c4ca4238a0b9", "rec_a87ff679a2f3"},
                          .count = 3}}},
    {"all but named",
     {.allow_all = true,
      .deny_recordings = {.ids = (const char *[]){"rec_c4ca4238a0b9", "rec_a87ff679a2f3"}, .count = 2}}},
    {"nothing", {.deny_all = true}},
};

Test(store_library, lists_say_the_same, .timeout = 600)
{
	struct store *s;
	void *ctx;

	begin(&ctx, &s);
	stir();
	compare_all(s, NULL);
	sql("SELECT rakkr_fcgi.fold_recordings(), rakkr_fcgi.count_grams(1000)");
	compare_all(s, NULL);
	stir();
	compare_searches(s, NULL);
	cr_expect_gt(compared, 1000);
	end(ctx, s);
}

Test(store_library, scoped_lists_say_the_same, .timeout = 600)
{
	struct store *s;
	void *ctx;

	begin(&ctx, &s);
	stir();
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		compare_all(s, &scopes[i].scope);
	end(ctx, s);
}

Test(store_library, orders_say_the_same)
{
	static const char *const fields[] = {"durationSeconds", "folder", "healthStatus", "name",
	                                     "recordedAt",      "source", "status"};
	struct store *s;
	void *ctx;

	begin(&ctx, &s);
	for (size_t i = 0; i < 4 * sizeof(fields) / sizeof(fields[0]); i++) {
		struct query q;

		query_init(&q);
		query_sort(&q, fields[i / 4], i % 2 == 1);
		query_sort(&q, "id", false);
		if (i % 4 > 1)
			q.filters[q.filter_count++] = filters[i % FILTERS];
		compare(s, &q, fields[i / 4]);
	}
	end(ctx, s);
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	return strcmp(json_str_or(*(json_object *const *)a, "value", ""),
	              json_str_or(*(json_object *const *)b, "value", ""));
}

static const char *sorted(const void *ctx, json_object *counts)
{
	json_object_array_sort(counts, by_value);
	return json_compact(ctx, counts, NULL);
}

static const char *const counted_fields[] = {"folder",         "nodeId",       "recordingProfileId",
                                             "tags",           "trackGroupId", "status",
                                             "uploadPolicyId", "source",       "healthStatus"};
#define COUNTED (sizeof(counted_fields) / sizeof(counted_fields[0]))

static void compare_counts(struct store *s, const struct query *q, const char *what)
{
	void *ctx = talloc_new(NULL);
	json_object *ours[COUNTED], *theirs[COUNTED];

	cr_assert_eq(store_counts(s, ctx, &model_recordings, q, counted_fields, COUNTED, ours), ST_OK, "%s", what);
	cr_assert_eq(store_counts(plain, ctx, &model_recordings, q, counted_fields, COUNTED, theirs), ST_OK, "%s",
	             what);
	for (size_t i = 0; i < COUNTED; i++)
		cr_expect_str_eq(sorted(ctx, ours[i]), sorted(ctx, theirs[i]), "%s: %s", what, counted_fields[i]);
	talloc_free(ctx);
}

Test(store_library, counts_say_the_same)
{
	struct store *s;
	struct query q;
	void *ctx;

	begin(&ctx, &s);
	stir();
	for (int folded = 0; folded < 2; folded++) {
		query_init(&q);
		compare_counts(s, &q, "all");
		for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
			q.scope = &scopes[i].scope;
			compare_counts(s, &q, scopes[i].name);
		}
		query_init(&q);
		q.filters[q.filter_count++] = filters[2];
		compare_counts(s, &q, "a folder");
		sql("SELECT rakkr_fcgi.fold_recordings()");
	}
	end(ctx, s);
}
