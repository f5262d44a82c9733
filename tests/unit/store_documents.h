/* What both store backends must do alike with documents of any model: queries, changes, units of work. */
#ifndef RAKKR_TESTS_STORE_DOCUMENTS_H
#define RAKKR_TESTS_STORE_DOCUMENTS_H

#include "unit/store_samples.h"

/* ---- documents --------------------------------------------------------------------------------------------------- */

static inline void common_insert_and_get(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *doc =
	    a_recording(ctx, id, "n1", "2031-02-03T04:05:06.789Z",
	                ",\"notes\":\"Grüße\",\"trackIndex\":1,\"transcriptSnippets\":[\"one\",\"two\"]");
	json_object *stored, *got;

	cr_assert_eq(store_insert(s, ctx, &model_recordings, doc, &stored), ST_OK);
	cr_expect_str_eq(json_str(stored, "recordedAt"), "2031-02-03T04:05:06.789Z");
	cr_expect(store_dirty(s));
	commit_ok(s);
	cr_expect_not(store_dirty(s));
	cr_assert_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	json_object_object_del(stored, "createdAt");
	json_object_object_del(got, "createdAt");
	cr_expect(json_same(stored, got));
	json_object_object_del(got, "hasFile");
	cr_expect(json_same(doc, got), "%s", json_compact(ctx, got, NULL));
	cr_expect_eq(store_get(s, ctx, &model_recordings, "rec_none", &got), ST_NOT_FOUND);
	cr_expect_eq(store_get(s, ctx, &model_health_events, "no uuid", &got), ST_NOT_FOUND);
	cr_expect_eq(store_get(s, ctx, &model_recordings, "\xff\xfe", &got), ST_NOT_FOUND);
	talloc_free(ctx);
}

static inline void common_insert_conflict(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "first", "2031-01-01T00:00:00.000Z", ""));
	cr_expect_eq(store_insert(s, ctx, &model_recordings,
	                          a_recording(ctx, id, "second", "2031-01-01T00:00:00.000Z", ""), NULL),
	             ST_CONFLICT);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	cr_expect_str_eq(json_str(got, "nodeId"), "first");
	talloc_free(ctx);
}

static inline void common_invalid_values(struct store *s)
{
	void *ctx = talloc_new(NULL);
	char *wide = mem_strdup(ctx, "");

	for (int i = 0; i < 161; i++)
		wide = mem_printf(ctx, "%sä", wide);
	cr_expect_eq(store_insert(s, ctx, &model_recordings,
	                          a_recording(ctx, id_new(ctx, "rec_"), wide, "2031-01-01T00:00:00.000Z", ""), NULL),
	             ST_INVALID);
	cr_expect_eq(
	    store_insert(s, ctx, &model_recordings, a_recording(ctx, id_new(ctx, "rec_"), "n", "yesterday", ""), NULL),
	    ST_INVALID);
	store_rollback(s);
	/* The store goes on, and takes what just fits. */
	wide[160 * strlen("ä")] = '\0';
	insert_ok(s, ctx, &model_recordings,
	          a_recording(ctx, id_new(ctx, "rec_"), wide, "2031-01-01T00:00:00.000Z", ""));
	commit_ok(s);
	talloc_free(ctx);
}

static inline void common_nul_and_surrogates(struct store *s)
{
	void *ctx = talloc_new(NULL);
	char id[UUID_SIZE];
	json_object *event, *got;

	uuid_v4(id);
	event = parse(ctx, mem_printf(ctx,
	                              "{\"acknowledgedAt\":null,\"details\":{\"a\":\"x\\u0000y\",\"b\":\"\\\\u0000\"},"
	                              "\"id\":\"%s\",\"openedAt\":\"2031-01-01T00:00:00.000Z\",\"resolvedAt\":null,"
	                              "\"severity\":\"info\",\"status\":\"open\",\"suppressedAt\":null,"
	                              "\"suppressedUntil\":null,\"type\":\"agent.test\"}",
	                              id));
	insert_ok(s, ctx, &model_health_events, event);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_health_events, id, &got), ST_OK);
	cr_expect_str_eq(json_str(json_get(got, "details"), "b"), "\\u0000");
	cr_expect(json_has(got, "resolvedAt") && json_get(got, "resolvedAt") == NULL);
	talloc_free(ctx);
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* Five recordings a..e of a node of their own; returns the node. */
static inline const char *five_recordings(struct store *s, const void *ctx, const char **prefix)
{
	static const char *const more[] = {
	    ",\"notes\":\"100% sure\",\"scheduleId\":\"sched_1\"",
	    ",\"notes\":\"C:\\\\te_st\",\"trackTotal\":2",
	    ",\"trackIndex\":1,\"cachePath\":\"a/c.wav\"",
	    ",\"transcriptSnippets\":[\"Amen\",\"ÉGLISE\",\"\u212ailo\",\"n\\\"q\"]",
	    ",\"uploadPolicyId\":\"it's\"",
	};
	static const char *const names[] = {"beta", "Alpha", "álpha", "_x", "10"};
	const char *node = id_new(ctx, "node_");

	*prefix = id_new(ctx, "rec_");
	for (int i = 0; i < 5; i++) {
		json_object *doc = a_recording(
		    ctx, mem_printf(ctx, "%s_%c", *prefix, 'a' + i), node,
		    i < 3 ? "2031-01-01T00:00:00.000Z" : mem_printf(ctx, "2031-01-0%dT00:00:00.000Z", i), more[i]);

		json_set_str(doc, "name", names[i]);
		json_set_int(doc, "durationSeconds", 10 - i);
		if (i == 2)
			json_set_ref(doc, "tags", parse(ctx, "[\"Voice\",\"choir\"]"));
		json_set_str(doc, "status", i == 4 ? "failed" : "completed");
		insert_ok(s, ctx, &model_recordings, doc);
	}
	commit_ok(s);
	return node;
}

/* Expects the letters of the recordings that q finds, in its order. */
#define EXPECT_LETTERS(q, letters)                                                                                     \
	do {                                                                                                           \
		struct page page_ = list_ok(s, ctx, &model_recordings, (q));                                           \
		char got_[8] = "";                                                                                     \
		for (size_t i_ = 0; i_ < page_.count && i_ < 7; i_++) {                                                \
			const char *id_ = json_str(json_object_array_get_idx(page_.docs, i_), "id");                   \
			got_[i_] = id_[strlen(id_) - 1];                                                               \
			got_[i_ + 1] = '\0';                                                                           \
		}                                                                                                      \
		cr_expect_str_eq(got_, (letters));                                                                     \
	} while (0)

static inline void common_filters(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	static const struct {
		const char *field;
		enum query_op op;
		const char *value;
		const char *letters; /* sorted by id */
	} cases[] = {
	    {"status", Q_EQ, "failed", "e"},
	    {"status", Q_NE, "failed", "abcd"},
	    {"status", Q_EQ, "no such status", ""},
	    {"status", Q_NE, "no such status", "abcde"},
	    {"recordedAt", Q_GE, "2031-01-03T00:00:00.000Z", "de"},
	    {"recordedAt", Q_GT, "2031-01-03T00:00:00.000Z", "e"},
	    {"recordedAt", Q_LE, "2031-01-03", "abcd"},
	    {"recordedAt", Q_LT, "2031-01-03T01:00:00+01:00", "abc"},
	    {"recordedAt", Q_EQ, "2031-01-04T00:00:00.000Z", "e"},
	    {"durationSeconds", Q_GE, "9", "ab"},
	    {"durationSeconds", Q_EQ, "7", "d"},
	    {"name", Q_CONTAINS, "ALPHA", "b"},
	    {"name", Q_CONTAINS, "ÁLPHA", "c"},
	    {"notes", Q_CONTAINS, "%", "a"},
	    {"notes", Q_CONTAINS, "_", "b"},
	    {"notes", Q_CONTAINS, "\\", "b"},
	    {"notes", Q_CONTAINS, "c:\\TE", "b"},
	    {"notes", Q_ABSENT, NULL, "cde"},
	    {"notes", Q_PRESENT, NULL, "ab"},
	    {"trackIndex", Q_EQ, "1", "c"},
	    {"trackTotal", Q_PRESENT, NULL, "b"},
	    {"tags", Q_HAS_CI, "voice", "c"},
	    {"tags", Q_HAS_CI, "voic", ""},
	    {"tags", Q_HAS_CI, "vo\"ice", ""},
	    {"scheduleId", Q_NE, "sched_1", "bcde"},
	    {"uploadPolicyId", Q_EQ, "it's", "e"},
	    {"hasFile", Q_EQ, "true", "c"},
	    {"hasFile", Q_EQ, "false", "abde"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct query q = of_node(node);

		query_where(&q, cases[i].field, cases[i].op, cases[i].value);
		if (cases[i].value == NULL) {
			q.filter_count = 1;
			q.filters[q.filter_count++] = (struct filter){.field = cases[i].field, .op = cases[i].op};
		}
		query_sort(&q, "id", false);
		EXPECT_LETTERS(&q, cases[i].letters);
		cr_expect_eq(count_of(s, ctx, &model_recordings, &q), (int64_t)strlen(cases[i].letters));
	}
	talloc_free(ctx);
}

static inline void common_membership_and_search(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	const char *statuses[] = {"failed", "uploaded", "nonsense"};
	const char *schedules[] = {"sched_1"};
	struct query q = of_node(node);

	query_sort(&q, "id", false);
	query_where_in(&q, "status", statuses, 3);
	EXPECT_LETTERS(&q, "e");
	q.filters[1].op = Q_NOT_IN;
	EXPECT_LETTERS(&q, "abcd");
	q.filters[1] = (struct filter){.field = "scheduleId", .op = Q_NOT_IN, .values = schedules, .value_count = 1};
	EXPECT_LETTERS(&q, "bcde");
	q.filters[1].value_count = 0;
	EXPECT_LETTERS(&q, "abcde");
	q.filters[1].op = Q_IN;
	EXPECT_LETTERS(&q, "");
	q.filter_count = 1;
	q.search = "église";
	EXPECT_LETTERS(&q, "d");
	q.search = "CHOIR";
	EXPECT_LETTERS(&q, "c");
	q.search = "100%";
	EXPECT_LETTERS(&q, "a");
	q.search = "\\te_S";
	EXPECT_LETTERS(&q, "b");
	q.search = "kIlo"; /* the Kelvin sign folds to k */
	EXPECT_LETTERS(&q, "d");
	q.search = "\"Amen";
	EXPECT_LETTERS(&q, "");
	q.search = "n\"q";
	EXPECT_LETTERS(&q, "d");
	q.search = NULL;
	q.any_count = 1;
	q.any[0] = (struct any_contains){.fields = {"name", "scheduleId"}, .count = 2, .value = "SCHED_1"};
	EXPECT_LETTERS(&q, "a");
	talloc_free(ctx);
}

static inline void common_sort_and_page(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);
	struct page page;

	query_sort(&q, "name", false);
	EXPECT_LETTERS(&q, "debca"); /* _x 10 Alpha álpha beta */
	q.sort[0].desc = true;
	EXPECT_LETTERS(&q, "acbed");
	q.sort[0].field = "durationSeconds";
	EXPECT_LETTERS(&q, "abcde");
	q.limit = 2;
	q.offset = 1;
	q.want_total = true;
	EXPECT_LETTERS(&q, "bc");
	page = list_ok(s, ctx, &model_recordings, &q);
	cr_expect_eq(page.total, 5);
	q.offset = 9;
	page = list_ok(s, ctx, &model_recordings, &q);
	cr_expect_eq(page.count, 0);
	cr_expect_eq(page.total, 5);
	talloc_free(ctx);
}

static inline void common_total_without_filter(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix;
	struct query q;
	int64_t before;

	query_init(&q);
	before = count_of(s, ctx, &model_recordings, &q);
	five_recordings(s, ctx, &prefix);
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), before + 5);
	insert_ok(s, ctx, &model_recordings,
	          a_recording(ctx, id_new(ctx, "rec_"), "n", "2031-01-01T00:00:00.000Z", ""));
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), before + 6); /* own writes count */
	store_rollback(s);
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), before + 5);
	talloc_free(ctx);
}

static inline void common_count_by(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);
	json_object *counts;
	int64_t seen = 0;

	cr_assert_eq(store_count_by(s, ctx, &model_recordings, &q, "status", &counts), ST_OK);
	for (size_t i = 0; i < json_object_array_length(counts); i++) {
		json_object *one = json_object_array_get_idx(counts, i);

		seen += json_int(one, "count", 0) * (strcmp(json_str(one, "value"), "completed") == 0 ? 10 : 1);
	}
	cr_expect_eq(seen, 41);
	cr_assert_eq(store_count_by(s, ctx, &model_recordings, &q, "tags", &counts), ST_OK);
	cr_expect_eq(json_object_array_length(counts), 2);
	cr_assert_eq(store_count_by(s, ctx, &model_recordings, &q, "scheduleId", &counts), ST_OK);
	cr_expect_eq(json_object_array_length(counts), 1);
	talloc_free(ctx);
}

static inline void common_row_scope(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	const char *two[] = {mem_printf(ctx, "%s_b", prefix), mem_printf(ctx, "%s_d", prefix)};
	const char *schedule[] = {"sched_1"};
	struct row_scope scope = {.allow_recordings = {.ids = two, .count = 2}};
	struct query q = of_node(node);
	struct page page;

	query_sort(&q, "id", false);
	q.scope = &scope;
	EXPECT_LETTERS(&q, "bd");
	scope.allow_schedules = (struct id_set){.ids = schedule, .count = 1};
	EXPECT_LETTERS(&q, "abd");
	scope.allow_nodes = (struct id_set){.ids = &node, .count = 1};
	EXPECT_LETTERS(&q, "abcde");
	scope.deny_schedules = scope.allow_schedules;
	EXPECT_LETTERS(&q, "bcde");
	scope.deny_recordings = scope.allow_recordings;
	EXPECT_LETTERS(&q, "ce");
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 2);
	scope.deny_all = true;
	EXPECT_LETTERS(&q, "");
	scope = (struct row_scope){0};
	EXPECT_LETTERS(&q, "");
	scope.allow_all = true;
	EXPECT_LETTERS(&q, "abcde");

	/* Jobs are seen through their recording; without one by nobody. */
	insert_ok(s, ctx, &model_jobs, a_job(ctx, id_new(ctx, "job_"), node, two[0], "2031-01-01T00:00:00.000Z"));
	insert_ok(s, ctx, &model_jobs, a_job(ctx, id_new(ctx, "job_"), node, "rec_gone", "2031-01-01T00:00:00.000Z"));
	commit_ok(s);
	q = of_node(node);
	page = list_ok(s, ctx, &model_jobs, &q);
	cr_expect_eq(page.count, 2);
	q.scope = &scope;
	page = list_ok(s, ctx, &model_jobs, &q);
	cr_expect_eq(page.count, 1);
	scope.deny_recordings = (struct id_set){.ids = two, .count = 1};
	page = list_ok(s, ctx, &model_jobs, &q);
	cr_expect_eq(page.count, 0);
	talloc_free(ctx);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static inline void common_update(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *before, *doc;
	struct query q;
	struct page page;

	insert_ok(s, ctx, &model_recordings,
	          a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ",\"notes\":\"old\",\"trackIndex\":3"));
	commit_ok(s);
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	query_where(&q, "status", Q_EQ, "completed");
	cr_assert_eq(store_update(s, ctx, &model_recordings, &q,
	                          parse(ctx, "{\"name\":\"new\",\"nodeId\":null,\"notes\":null,\"status\":\"failed\","
	                                     "\"uploadPolicyId\":\"p\"}"),
	                          &page, &before),
	             ST_OK);
	cr_assert_eq(page.count, 1);
	doc = json_object_array_get_idx(page.docs, 0);
	cr_expect_str_eq(json_str(doc, "name"), "new");
	cr_expect_str_eq(json_str(doc, "status"), "failed");
	cr_expect_str_eq(json_str(doc, "uploadPolicyId"), "p");
	cr_expect_not(json_has(doc, "nodeId"));
	cr_expect_not(json_has(doc, "notes"));
	cr_expect_eq(json_int(doc, "trackIndex", 0), 3);
	doc = json_object_array_get_idx(before, 0);
	cr_expect_str_eq(json_str(doc, "notes"), "old");
	cr_expect_str_eq(json_str(doc, "status"), "completed");
	/* The guard does not hold any more. */
	cr_assert_eq(store_update(s, ctx, &model_recordings, &q, parse(ctx, "{\"name\":\"again\"}"), &page, NULL),
	             ST_OK);
	cr_expect_eq(page.count, 0);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_recordings, id, &doc), ST_OK);
	cr_expect_str_eq(json_str(doc, "name"), "new");
	talloc_free(ctx);
}

static inline void common_update_first(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *node = id_new(ctx, "node_");
	json_object *patch = parse(ctx, "{\"status\":\"running\"}"), *before;
	struct query q = of_node(node);
	struct page page;

	for (int i = 3; i > 0; i--)
		insert_ok(s, ctx, &model_jobs,
		          a_job(ctx, mem_printf(ctx, "%s_%d", node, i), node, "r",
		                mem_printf(ctx, "2031-01-0%dT00:00:00.000Z", i)));
	commit_ok(s);
	query_where(&q, "status", Q_EQ, "queued");
	query_sort(&q, "createdAt", false);
	q.limit = 1;
	q.skip_locked = true;
	for (int i = 1; i <= 3; i++) {
		cr_assert_eq(store_update(s, ctx, &model_jobs, &q, patch, &page, &before), ST_OK);
		cr_assert_eq(page.count, 1);
		cr_expect_str_eq(ids_of(ctx, &page), mem_printf(ctx, "%s_%d", node, i));
		cr_expect_str_eq(json_str(json_object_array_get_idx(before, 0), "status"), "queued");
		commit_ok(s);
	}
	cr_assert_eq(store_update(s, ctx, &model_jobs, &q, patch, &page, NULL), ST_OK);
	cr_expect_eq(page.count, 0);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_update_many(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);
	json_object *before;
	struct page page;

	query_where(&q, "status", Q_EQ, "completed");
	query_sort(&q, "id", true);
	cr_assert_eq(store_update(s, ctx, &model_recordings, &q, parse(ctx, "{\"folder\":\"F\"}"), &page, &before),
	             ST_OK);
	cr_expect_eq(page.count, 4);
	for (size_t i = 0; i < page.count; i++) {
		cr_expect_str_eq(json_str(json_object_array_get_idx(page.docs, i), "id"),
		                 mem_printf(ctx, "%s_%c", prefix, (char)('d' - i)));
		cr_expect_str_eq(json_str(json_object_array_get_idx(before, i), "id"),
		                 json_str(json_object_array_get_idx(page.docs, i), "id"));
	}
	commit_ok(s);
	talloc_free(ctx);
}

static inline void common_remove(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);
	struct page page;

	query_where(&q, "status", Q_EQ, "completed");
	query_sort(&q, "id", false);
	q.limit = 1;
	cr_assert_eq(store_remove(s, ctx, &model_recordings, &q, &page), ST_OK);
	cr_expect_str_eq(ids_of(ctx, &page), mem_printf(ctx, "%s_a", prefix));
	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, node);
	query_where(&q, "status", Q_EQ, "failed");
	cr_assert_eq(store_remove(s, ctx, &model_recordings, &q, &page), ST_OK);
	cr_expect_eq(page.count, 1);
	commit_ok(s);
	q = of_node(node);
	query_sort(&q, "id", false);
	EXPECT_LETTERS(&q, "bcd");
	talloc_free(ctx);
}

static inline void common_rollback(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *got;
	struct query q;
	struct page page;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK); /* reads see the unit's writes */
	store_rollback(s);
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_NOT_FOUND);
	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	commit_ok(s);
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	cr_assert_eq(store_update(s, ctx, &model_recordings, &q, parse(ctx, "{\"name\":\"x\"}"), &page, NULL), ST_OK);
	cr_assert_eq(store_remove(s, ctx, &model_recordings, &q, &page), ST_OK);
	store_rollback(s);
	cr_assert_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	cr_expect_str_eq(json_str(got, "name"), id);
	talloc_free(ctx);
}

static inline void common_hint(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	commit_ok(s);
	store_hint(s, &model_recordings, id);
	store_hint(s, &model_recordings, "rec_none");
	cr_expect_eq(store_session_find(s, ctx, "no such hash", clock_now_ms(), &got), ST_NOT_FOUND);
	cr_assert_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	cr_expect_str_eq(json_str(got, "id"), id);
	cr_expect_eq(store_get(s, ctx, &model_recordings, "rec_none", &got), ST_NOT_FOUND);
	commit_ok(s);
	talloc_free(ctx);
}

/* Models without a table are files in both modes, inside the same unit of work. */
static inline void common_file_models(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "channel_map_plan_");
	json_object *plan =
	    parse(ctx, mem_printf(ctx,
	                          "{\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"%s\",\"status\":"
	                          "\"pending\",\"targets\":[{\"targetId\":\"n\",\"targetType\":\"node\"}],"
	                          "\"templateId\":\"t\"}",
	                          id));
	json_object *got;

	insert_ok(s, ctx, &model_channel_map_plans, plan);
	store_rollback(s);
	cr_expect_eq(store_get(s, ctx, &model_channel_map_plans, id, &got), ST_NOT_FOUND);
	insert_ok(s, ctx, &model_channel_map_plans, plan);
	cr_expect(store_dirty(s));
	commit_ok(s);
	cr_expect_eq(store_get(s, ctx, &model_channel_map_plans, id, &got), ST_OK);
	talloc_free(ctx);
}

static inline void common_assignment(struct store *s)
{
	void *ctx = talloc_new(NULL);
	char id[UUID_SIZE], nobody[UUID_SIZE];
	json_object *got;

	uuid_v4(id);
	uuid_v4(nobody);
	insert_ok(s, ctx, &model_channel_map_assignments,
	          parse(ctx, mem_printf(ctx,
	                                "{\"assignedAt\":\"2031-01-01T00:00:00.000Z\",\"assignedByUserId\":\"%s\","
	                                "\"history\":[{\"reason\":\"assigned\"}],\"id\":\"%s\",\"targetId\":\"n\","
	                                "\"targetType\":\"node\",\"templateId\":\"t\"}",
	                                nobody, id)));
	commit_ok(s); /* a user without a row is no reason to fail (07 Trap 35) */
	cr_assert_eq(store_get(s, ctx, &model_channel_map_assignments, id, &got), ST_OK);
	cr_expect_eq(json_object_array_length(json_array(got, "history")), 1);
	talloc_free(ctx);
}

static inline void common_watchdog_rules(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "policy_");
	json_object *got;
	struct query q;
	struct page page;

	insert_ok(s, ctx, &model_watchdog_policies,
	          parse(ctx, mem_printf(ctx, "{\"graceSeconds\":7,\"id\":\"%s\",\"name\":\"P\",\"minSpeechScore\":0.5}",
	                                id)));
	commit_ok(s);
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	cr_assert_eq(store_update(s, ctx, &model_watchdog_policies, &q,
	                          parse(ctx, "{\"windowSeconds\":1001,\"minSpeechScore\":null}"), &page, NULL),
	             ST_OK);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_watchdog_policies, id, &got), ST_OK);
	cr_expect_eq(json_int(got, "graceSeconds", 0), 7);
	cr_expect_eq(json_int(got, "windowSeconds", 0), 1001);
	cr_expect_not(json_has(got, "minSpeechScore"));
	talloc_free(ctx);
}

#endif
