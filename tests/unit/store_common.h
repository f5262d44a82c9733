/*
 * What both store backends must do alike. A suite defines <suite>_open() and <suite>_close() for a store of its own and
 * then writes STORE_COMMON_TESTS(<suite>). Tests use ids of their own and do not mind other documents.
 */
#ifndef RAKKR_TESTS_STORE_COMMON_H
#define RAKKR_TESTS_STORE_COMMON_H

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/store.h"

#include <criterion/criterion.h>
#include <string.h>

#define DAY_MS 86400000

static inline json_object *parse(const void *ctx, const char *text)
{
	json_object *o;

	cr_assert(json_parse(ctx, text, strlen(text), &o), "test document: %s", text);
	return o;
}

/* A recording; more is further members, each with a comma in front, or "". */
static inline json_object *a_recording(const void *ctx, const char *id, const char *node, const char *recorded_at,
				       const char *more)
{
	return parse(ctx, mem_printf(ctx,
				     "{\"cached\":false,\"durationSeconds\":60,\"folder\":\"Music\",\"healthStatus\":"
				     "\"unknown\",\"id\":\"%s\",\"name\":\"%s\",\"nodeId\":\"%s\",\"recordedAt\":\"%s\","
				     "\"source\":\"ad_hoc\",\"status\":\"completed\",\"tags\":[]%s}",
				     id, id, node, recorded_at, more));
}

static inline json_object *a_job(const void *ctx, const char *id, const char *node, const char *recording,
				 const char *created_at)
{
	return parse(ctx, mem_printf(ctx,
				     "{\"command\":{\"captureChannels\":2,\"captureDevice\":\"hw:1\",\"captureFormat\":"
				     "\"S16_LE\",\"captureSampleRate\":48000,\"durationSeconds\":60,\"outputFileName\":"
				     "\"x.wav\",\"type\":\"alsa_capture\"},\"createdAt\":\"%s\",\"id\":\"%s\","
				     "\"nodeId\":\"%s\",\"recordingId\":\"%s\",\"status\":\"queued\"}",
				     created_at, id, node, recording));
}

static inline json_object *a_node(const void *ctx, const char *id)
{
	char one[UUID_SIZE], two[UUID_SIZE];

	uuid_v4(one);
	uuid_v4(two);
	return parse(ctx, mem_printf(ctx,
				     "{\"agentVersion\":\"1.0\",\"alias\":\"Rack\",\"createdAt\":\"2031-01-01T00:00:00.000Z\","
				     "\"enrolledAt\":\"2031-01-01T00:00:00.000Z\",\"hostname\":\"rack\",\"id\":\"%s\","
				     "\"interfaces\":[{\"alias\":\"Second\",\"backend\":\"alsa\",\"channelCount\":2,"
				     "\"channels\":[{\"alias\":\"Channel 1\",\"index\":1},{\"alias\":\"Channel 2\",\"index\":2}],"
				     "\"id\":\"%s\",\"sampleRates\":[48000],\"serialNumber\":\"sn\",\"systemName\":\"b\","
				     "\"systemRef\":\"b\"},{\"alias\":\"First\",\"backend\":\"jack\",\"channelCount\":0,"
				     "\"channels\":[],\"id\":\"%s\",\"sampleRates\":[],\"systemName\":\"a\",\"systemRef\":\"a\"}],"
				     "\"ipAddresses\":[\"10.0.0.1\"],\"location\":{\"room\":\"Hall\",\"site\":\"HQ\"},"
				     "\"recordingCapacity\":{\"maxConcurrentRecordings\":4},\"status\":\"offline\",\"tags\":[]}",
				     id, one, two));
}

static inline json_object *a_credential(const void *ctx, const char *node, const char *hash)
{
	char id[UUID_SIZE];

	uuid_v4(id);
	return parse(ctx, mem_printf(ctx,
				     "{\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"%s\",\"nodeId\":\"%s\","
				     "\"tokenHash\":\"%s\",\"tokenPrefix\":\"rakkr_node_AAAAAAAAAAAAA\"}",
				     id, node, hash));
}

static inline json_object *an_event(const void *ctx, const char *action)
{
	char id[UUID_SIZE];

	uuid_v7(id, clock_now_ms());
	return parse(ctx, mem_printf(ctx,
				     "{\"action\":\"%s\",\"actor\":{\"id\":\"anonymous\",\"name\":\"Anonymous\",\"roles\":[],"
				     "\"type\":\"user\"},\"actorContext\":{},\"createdAt\":\"%s\",\"details\":{\"path\":\"/x\"},"
				     "\"id\":\"%s\",\"outcome\":\"succeeded\",\"target\":{\"id\":\"t\",\"type\":\"controller\"}}",
				     action, clock_iso_dup(ctx, clock_now_ms()), id));
}

static inline json_object *list_of(const void *ctx, json_object *one)
{
	json_object *a = json_new_array(ctx);

	json_push_ref(a, one);
	return a;
}

static inline void insert_ok(struct store *s, const void *ctx, const struct model *m, json_object *doc)
{
	cr_assert_eq(store_insert(s, ctx, m, doc, NULL), ST_OK);
}

static inline void commit_ok(struct store *s)
{
	cr_assert_eq(store_commit(s, NULL, true), ST_OK);
}

static inline struct page list_ok(struct store *s, const void *ctx, const struct model *m, const struct query *q)
{
	struct page page;

	cr_assert_eq(store_list(s, ctx, m, q, &page), ST_OK);
	return page;
}

/* The ids of a page joined by blanks. */
static inline const char *ids_of(const void *ctx, const struct page *page)
{
	char *out = mem_strdup(ctx, "");

	for (size_t i = 0; i < page->count; i++)
		out = mem_printf(ctx, "%s%s%s", out, i > 0 ? " " : "",
				 json_str_or(json_object_array_get_idx(page->docs, i), "id", "?"));
	return out;
}

/* A query for the recordings of one node. */
static inline struct query of_node(const char *node)
{
	struct query q;

	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, node);
	return q;
}

static inline int64_t count_of(struct store *s, const void *ctx, const struct model *m, const struct query *q)
{
	struct query counting = *q;
	struct page page;

	counting.limit = 0;
	counting.want_total = true;
	page = list_ok(s, ctx, m, &counting);
	cr_assert_eq(page.count, 0);
	return page.total;
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

static inline void common_insert_and_get(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *doc = a_recording(ctx, id, "n1", "2031-02-03T04:05:06.789Z",
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
	cr_expect_eq(store_insert(s, ctx, &model_recordings, a_recording(ctx, id_new(ctx, "rec_"), "n", "yesterday", ""),
				  NULL),
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
		json_object *doc = a_recording(ctx, mem_printf(ctx, "%s_%c", *prefix, 'a' + i), node,
					       i < 3 ? "2031-01-01T00:00:00.000Z"
						     : mem_printf(ctx, "2031-01-0%dT00:00:00.000Z", i),
					       more[i]);

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
			q.filters[q.filter_count++] =
				(struct filter){.field = cases[i].field, .op = cases[i].op};
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
	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id_new(ctx, "rec_"), "n", "2031-01-01T00:00:00.000Z", ""));
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
	json_object *plan = parse(ctx, mem_printf(ctx,
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

/* ---- access ------------------------------------------------------------------------------------------------------ */

static inline json_object *new_user(struct store *s, const void *ctx)
{
	char *email = mem_printf(ctx, "%s@example.org", id_new(ctx, "u"));
	json_object *stored;

	cr_assert_eq(store_user_create(s, ctx,
				       parse(ctx, mem_printf(ctx,
							     "{\"email\":\"%s\",\"name\":\"Ann\",\"passwordHash\":\"h\","
							     "\"provider\":\"local\",\"roles\":[\"operator\",\"viewer\"],"
							     "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":"
							     "\"Hall\"}],\"groups\":[{\"id\":\"choir\",\"name\":\"Choir\"}]}",
							     email)),
				       &stored),
		     ST_OK);
	commit_ok(s);
	return stored;
}

/* Logs the user in; returns the token's hash. */
static inline const char *log_in(struct store *s, const void *ctx, json_object *user, int64_t expires_ms)
{
	const char *hash = id_new(ctx, "hash_"), *id;
	json_object *session = json_new_object(ctx);

	json_set_str(session, "tokenHash", hash);
	json_set_str(session, "userId", json_str(user, "id"));
	json_set_iso(session, "expiresAt", expires_ms);
	json_set_str(session, "userAgent", "test");
	cr_assert_eq(store_session_create(s, ctx, user, session, &id), ST_OK);
	commit_ok(s);
	cr_expect(id != NULL);
	return hash;
}

static inline void common_users(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *user = new_user(s, ctx), *again, *got;
	struct query q;
	struct page page;

	cr_expect_str_eq(json_str(user, "passwordHash"), "h");
	cr_expect_str_eq(json_compact(ctx, json_get(user, "roles"), NULL), "[\"operator\",\"viewer\"]");
	cr_expect_eq(json_object_array_length(json_array(user, "resourceGrants")), 1);
	again = json_clone(ctx, user);
	json_object_object_del(again, "id");
	cr_expect_eq(store_user_create(s, ctx, again, &got), ST_CONFLICT);
	store_rollback(s);
	query_init(&q);
	query_where(&q, "email", Q_EQ, json_str(user, "email"));
	page = list_ok(s, ctx, &model_users, &q);
	cr_expect_eq(page.count, 1);
	cr_assert_eq(store_access_write(s, ctx, json_str(user, "id"), parse(ctx, "[\"auditor\"]"),
					parse(ctx, "[]"), parse(ctx, "[{\"id\":\"staff\",\"name\":\"Staff\"}]")),
		     ST_OK);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_users, json_str(user, "id"), &got), ST_OK);
	cr_expect_str_eq(json_compact(ctx, json_get(got, "roles"), NULL), "[\"auditor\"]");
	cr_expect_eq(json_object_array_length(json_array(got, "resourceGrants")), 0);
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(got, "groups"), 0), "name"), "Staff");
	cr_expect_eq(store_access_write(s, ctx, "00000000-0000-4000-8000-00000000dead", parse(ctx, "[]"),
					parse(ctx, "[]"), parse(ctx, "[]")),
		     ST_NOT_FOUND);
	cr_expect_eq(store_access_write(s, ctx, "not a uuid", NULL, NULL, NULL), ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_sessions(struct store *s)
{
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *found, *u;
	const char *hash = log_in(s, ctx, user, now + DAY_MS), *second = log_in(s, ctx, user, now + DAY_MS);
	const char *expired = log_in(s, ctx, user, now - 1);

	cr_assert_eq(store_session_find(s, ctx, hash, now, &found), ST_OK);
	u = json_get(found, "user");
	cr_expect_str_eq(json_str(u, "id"), json_str(user, "id"));
	cr_expect_str_eq(json_str(u, "email"), json_str(user, "email"));
	cr_expect_eq(json_object_array_length(json_array(u, "roles")), 2);
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(u, "groups"), 0), "id"), "choir");
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(u, "resourceGrants"), 0), "resourceType"), "room");
	cr_expect(json_str(found, "sessionId") != NULL);
	cr_expect_not(json_has(u, "passwordHash"));
	cr_expect_eq(store_session_find(s, ctx, expired, now, &found), ST_NOT_FOUND);
	cr_assert_eq(store_session_revoke(s, hash, now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	cr_expect_eq(store_session_find(s, ctx, second, now, &found), ST_OK);
	cr_assert_eq(store_sessions_revoke_user(s, json_str(user, "id"), now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, second, now, &found), ST_NOT_FOUND);
	talloc_free(ctx);
}

static inline void common_disabled_user(struct store *s)
{
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *found;
	const char *hash = log_in(s, ctx, user, now + DAY_MS);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user, "id"));
	cr_assert_eq(store_update(s, ctx, &model_users, &q, parse(ctx, "{\"disabledAt\":\"2031-01-01T00:00:00.000Z\"}"),
				  &page, NULL),
		     ST_OK);
	cr_expect_eq(page.count, 1);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	cr_assert_eq(store_update(s, ctx, &model_users, &q, parse(ctx, "{\"disabledAt\":null}"), &page, NULL), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_OK);
	cr_assert_eq(store_remove(s, ctx, &model_users, &q, &page), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	talloc_free(ctx);
}

/* A user whose row is made by the login itself (the administrator of the environment). */
static inline void common_first_login(struct store *s)
{
	void *ctx = talloc_new(NULL);
	char id[UUID_SIZE];
	json_object *user, *found;
	const char *hash;

	uuid_v4(id);
	user = parse(ctx, mem_printf(ctx, "{\"email\":\"%s@x\",\"id\":\"%s\",\"name\":\"Root\",\"passwordHash\":\"first\","
					  "\"provider\":\"local\"}",
				     id, id));
	hash = log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect_not(json_flag(found, "roleRows", true));
	json_set_str(user, "passwordHash", "second");
	log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	cr_assert_eq(store_get(s, ctx, &model_users, id, &found), ST_OK);
	cr_expect_str_eq(json_str(found, "passwordHash"), "first"); /* 07 Trap 9 */
	talloc_free(ctx);
}

static inline void common_policies(struct store *s)
{
	void *ctx = talloc_new(NULL);
	static const char *const order[] = {"a", "b", "*", "c"};
	json_object *user = new_user(s, ctx), *found, *list;
	const char *hash = log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	struct query q;
	struct page page;

	list = parse(ctx, mem_printf(ctx,
				     "[{\"effect\":\"deny\",\"subjectType\":\"group\",\"subjectId\":\"choir\",\"resourceType\":"
				     "\"node\",\"resourceId\":\"a\"},{\"effect\":\"allow\",\"subjectType\":\"user\","
				     "\"subjectId\":\"%s\",\"resourceType\":\"node\",\"resourceId\":\"b\",\"reason\":\"r\"},"
				     "{\"effect\":\"allow\",\"subjectType\":\"user\",\"subjectId\":\"someone\","
				     "\"resourceType\":\"*\",\"resourceId\":\"*\"},{\"effect\":\"allow\",\"subjectType\":"
				     "\"everyone\",\"resourceType\":\"room\",\"resourceId\":\"c\"}]",
				     json_str(user, "email")));
	cr_assert_eq(store_policies_replace(s, ctx, list, json_str(user, "id")), ST_OK);
	commit_ok(s);
	query_init(&q);
	page = list_ok(s, ctx, &model_access_policies, &q);
	cr_assert_eq(page.count, 4);
	for (size_t i = 0; i < 4; i++) /* the order given */
		cr_expect_str_eq(json_str(json_object_array_get_idx(page.docs, i), "resourceId"), order[i]);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect(json_flag(found, "policiesStored", false));
	cr_expect_eq(json_object_array_length(json_array(found, "policies")), 3);
	/* All or nothing (D-29). */
	list = parse(ctx, "[{\"effect\":\"maybe\",\"subjectType\":\"everyone\",\"resourceType\":\"x\",\"resourceId\":\"y\"}]");
	cr_expect_neq(store_policies_replace(s, ctx, list, NULL), ST_OK);
	store_rollback(s);
	page = list_ok(s, ctx, &model_access_policies, &q);
	cr_expect_eq(page.count, 4);
	cr_assert_eq(store_policies_replace(s, ctx, parse(ctx, "[]"), NULL), ST_OK);
	commit_ok(s);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect_not(json_flag(found, "policiesStored", true));
	talloc_free(ctx);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static inline json_object *enroll(struct store *s, const void *ctx, const char *hash)
{
	const char *id = id_new(ctx, "node_");
	json_object *stored;

	cr_assert_eq(store_node_enroll(s, ctx, a_node(ctx, id), a_credential(ctx, id, hash), &stored), ST_OK);
	commit_ok(s);
	return stored;
}

static inline void common_nodes(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *hash = id_new(ctx, "hash_");
	json_object *node = enroll(s, ctx, hash), *found, *before, *after, *interface;
	const char *id = json_str(node, "id");
	int64_t now = clock_now_ms();

	cr_assert_eq(json_object_array_length(json_array(node, "interfaces")), 2);
	interface = json_object_array_get_idx(json_array(node, "interfaces"), 0);
	cr_expect_str_eq(json_str(interface, "alias"), "Second"); /* as given, not sorted */
	cr_expect_eq(json_object_array_length(json_array(interface, "channels")), 2);
	cr_assert_eq(store_credential_find(s, ctx, hash, now, &found), ST_OK);
	cr_expect_str_eq(json_str(found, "nodeId"), id);

	cr_assert_eq(store_node_heartbeat(s, ctx, id,
					  parse(ctx, "{\"agentVersion\":\"2.0\",\"hostname\":\"h2\",\"ipAddresses\":[],"
						     "\"status\":\"online\",\"runtime\":{\"audioBackends\":[\"alsa\"],"
						     "\"uptimeSeconds\":5}}"),
					  now, &before, &after),
		     ST_OK);
	commit_ok(s);
	cr_expect_str_eq(json_str(before, "agentVersion"), "1.0");
	cr_expect_str_eq(json_str(after, "agentVersion"), "2.0");
	cr_expect_str_eq(json_str(after, "status"), "online");
	cr_expect_str_eq(json_str(after, "lastSeenAt"), clock_iso_dup(ctx, now));
	cr_expect_eq(json_object_array_length(json_array(after, "ipAddresses")), 0);
	cr_expect_eq(json_object_array_length(json_array(after, "interfaces")), 2);
	cr_expect_eq(json_int(json_get(after, "recordingCapacity"), "maxConcurrentRecordings", 0), 4);
	cr_expect_eq(json_int(json_get(after, "runtime"), "uptimeSeconds", 0), 5);
	cr_expect_eq(store_node_heartbeat(s, ctx, "node_none", parse(ctx, "{\"agentVersion\":\"2\"}"), now, &before,
					  &after),
		     ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_interfaces(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, id_new(ctx, "hash_")), *after, *interface, *channels;
	const char *id = json_str(node, "id");
	const char *interface_id =
		json_str(json_object_array_get_idx(json_array(node, "interfaces"), 0), "id");

	cr_assert_eq(store_interface_update(s, ctx, id, interface_id,
					    parse(ctx, "{\"alias\":\"Box\",\"serialNumber\":null,\"channels\":[{\"index\":2,"
						       "\"alias\":\"no\"},{\"index\":2,\"alias\":\"Right\"},{\"index\":9,"
						       "\"alias\":\"none\"}]}"),
					    clock_now_ms(), &after),
		     ST_OK);
	commit_ok(s);
	interface = json_object_array_get_idx(json_array(after, "interfaces"), 0);
	cr_expect_str_eq(json_str(interface, "alias"), "Box");
	cr_expect_not(json_has(interface, "serialNumber"));
	channels = json_array(interface, "channels");
	cr_expect_eq(json_object_array_length(channels), 2);
	cr_expect_str_eq(json_str(json_object_array_get_idx(channels, 0), "alias"), "Channel 1");
	cr_expect_str_eq(json_str(json_object_array_get_idx(channels, 1), "alias"), "Right");
	cr_expect_eq(store_interface_update(s, ctx, "node_other", interface_id, parse(ctx, "{\"alias\":\"x\"}"),
					    clock_now_ms(), &after),
		     ST_NOT_FOUND);
	store_rollback(s);
	cr_expect_eq(store_interface_update(s, ctx, id, "iface", parse(ctx, "{\"alias\":\"x\"}"), clock_now_ms(), &after),
		     ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_credentials(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *first = id_new(ctx, "hash_"), *second = id_new(ctx, "hash_");
	json_object *node = enroll(s, ctx, first), *found;
	const char *id = json_str(node, "id");
	int64_t now = clock_now_ms();

	cr_assert_eq(store_credential_rotate(s, ctx, id, a_credential(ctx, id, second), now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_credential_find(s, ctx, first, now, &found), ST_NOT_FOUND);
	cr_expect_eq(store_credential_find(s, ctx, second, now, &found), ST_OK);
	cr_expect_eq(store_credential_rotate(s, ctx, "node_none",
					     a_credential(ctx, "node_none", id_new(ctx, "hash_")), now),
		     ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

/* ---- expansion, badge -------------------------------------------------------------------------------------------- */

static inline bool has_target(const struct targets *t, const char *type, const char *id)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->at[i].type, type) == 0 && strcmp(t->at[i].id, id) == 0)
			return true;
	return false;
}

static inline struct targets expand_ok(struct store *s, const void *ctx, const char *type, const char *id)
{
	struct targets t = {0};

	cr_assert_eq(store_expand(s, ctx, type, id, &t), ST_OK);
	cr_expect(has_target(&t, type, id));
	return t;
}

static inline void expect_node_targets(const struct targets *t, const char *node)
{
	cr_expect(has_target(t, "node", node));
	cr_expect(has_target(t, "site", "HQ"));
	cr_expect(has_target(t, "room", "Hall"));
	cr_expect(has_target(t, "room", "HQ/Hall"));
}

static inline void common_expand(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, id_new(ctx, "hash_"));
	const char *node_id = json_str(node, "id"), *schedule = id_new(ctx, "sched_"), *recording = id_new(ctx, "rec_");
	const char *job = id_new(ctx, "job_");
	const char *interface = json_str(json_object_array_get_idx(json_array(node, "interfaces"), 0), "id");
	char event[UUID_SIZE];
	struct targets t;

	uuid_v4(event);
	insert_ok(s, ctx, &model_schedules,
		  parse(ctx, mem_printf(ctx,
					"{\"enabled\":true,\"folderTemplate\":\"f\",\"id\":\"%s\",\"name\":\"n\",\"nodeId\":"
					"\"%s\",\"recordingProfileId\":\"voice-mp3-vbr\",\"recurrence\":{\"mode\":\"manual\"},"
					"\"retentionPolicyId\":\"r\",\"room\":\"Crypt\",\"tags\":[],\"timezone\":\"UTC\","
					"\"titleTemplate\":\"t\",\"uploadPolicyId\":\"u\",\"watchdogPolicyId\":\"w\"}",
					schedule, node_id)));
	insert_ok(s, ctx, &model_recordings,
		  a_recording(ctx, recording, "node_gone", "2031-01-01T00:00:00.000Z",
			      mem_printf(ctx, ",\"scheduleId\":\"%s\"", schedule)));
	insert_ok(s, ctx, &model_jobs, a_job(ctx, job, node_id, "rec_gone", "2031-01-01T00:00:00.000Z"));
	insert_ok(s, ctx, &model_health_events,
		  parse(ctx, mem_printf(ctx,
					"{\"acknowledgedAt\":null,\"details\":{},\"id\":\"%s\",\"openedAt\":"
					"\"2031-01-01T00:00:00.000Z\",\"recordingId\":\"rec_gone\",\"resolvedAt\":null,"
					"\"scheduleId\":\"%s\",\"severity\":\"info\",\"status\":\"open\",\"suppressedAt\":null,"
					"\"suppressedUntil\":null,\"type\":\"x\"}",
					event, schedule)));
	commit_ok(s);

	t = expand_ok(s, ctx, "node", node_id);
	expect_node_targets(&t, node_id);
	cr_expect_eq(t.count, 4);
	t = expand_ok(s, ctx, "interface", interface);
	expect_node_targets(&t, node_id);
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:2", interface));
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "interface", interface));
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:%s:1", node_id, interface));
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "channel", mem_printf(ctx, "%s:1", interface)));
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:3", interface));
	cr_expect_eq(t.count, 1);
	t = expand_ok(s, ctx, "schedule", schedule);
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "room", "Crypt"));
	t = expand_ok(s, ctx, "recording", recording);
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "schedule", schedule));
	cr_expect_not(has_target(&t, "node", "node_gone"));
	t = expand_ok(s, ctx, "recording_job", job);
	expect_node_targets(&t, node_id);
	cr_expect_not(has_target(&t, "recording", "rec_gone"));
	t = expand_ok(s, ctx, "health_event", event);
	cr_expect(has_target(&t, "recording", "rec_gone"));
	cr_expect(has_target(&t, "schedule", schedule));
	t = expand_ok(s, ctx, "recording", "rec_none");
	cr_expect_eq(t.count, 1);
	t = expand_ok(s, ctx, "health_event", "no uuid");
	cr_expect_eq(t.count, 1);
	talloc_free(ctx);
}

static inline void add_health_event(struct store *s, const void *ctx, const char *recording, const char *severity,
				    const char *state)
{
	char id[UUID_SIZE];

	uuid_v4(id);
	insert_ok(s, ctx, &model_health_events,
		  parse(ctx, mem_printf(ctx,
					"{\"acknowledgedAt\":null,\"details\":{},\"id\":\"%s\",\"openedAt\":"
					"\"2031-01-01T00:00:00.000Z\",\"recordingId\":\"%s\",\"resolvedAt\":null,\"severity\":"
					"\"%s\",\"status\":\"%s\",\"suppressedAt\":null,\"suppressedUntil\":null,\"type\":\"x\"}",
					id, recording, severity, state)));
}

static inline void expect_badge(struct store *s, const void *ctx, const char *recording, const char *badge)
{
	json_object *doc;

	cr_assert_eq(store_health_sync(s, ctx, recording, &doc), ST_OK);
	cr_expect_str_eq(json_str(doc, "healthStatus"), badge);
}

static inline void common_health_badge(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	expect_badge(s, ctx, id, "healthy");
	add_health_event(s, ctx, id, "critical", "resolved");
	add_health_event(s, ctx, id, "info", "open");
	expect_badge(s, ctx, id, "healthy");
	add_health_event(s, ctx, id, "warning", "suppressed");
	expect_badge(s, ctx, id, "warning");
	add_health_event(s, ctx, id, "critical", "acknowledged");
	expect_badge(s, ctx, id, "critical");
	commit_ok(s);
	cr_expect_eq(store_health_sync(s, ctx, "rec_none", NULL), ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

/* ---- audit ------------------------------------------------------------------------------------------------------- */

static inline void common_audit(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *action = id_new(ctx, "test.");
	json_object *first = an_event(ctx, action), *second = an_event(ctx, action), *events = list_of(ctx, first), *got;
	struct query q;
	struct page page;

	json_set_str(second, "createdAt", json_str(first, "createdAt"));
	json_set_str(second, "reason", "why");
	json_push_ref(events, second);
	cr_assert_eq(store_commit(s, events, false), ST_OK);
	query_init(&q);
	query_where(&q, "action", Q_CONTAINS, action);
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_assert_eq(page.count, 2);
	got = json_object_array_get_idx(page.docs, 0); /* the later one first, within a millisecond too */
	cr_expect_str_eq(json_str(got, "id"), json_str(second, "id"));
	cr_expect_str_eq(json_str(json_get(got, "actor"), "name"), "Anonymous");
	cr_expect_str_eq(json_str(json_get(got, "target"), "type"), "controller");
	cr_expect_str_eq(json_str(got, "createdAt"), json_str(first, "createdAt"));
	query_where(&q, "reason", Q_CONTAINS, "WH");
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_expect_eq(page.count, 1);
	q.filter_count = 1;
	q.any_count = 1;
	q.any[0] = (struct any_contains){.fields = {"actor.id", "actor.name"}, .count = 2, .value = "ANONYM"};
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_expect_eq(page.count, 2);
	cr_expect_eq(store_get(s, ctx, &model_audit_events, json_str(first, "id"), &got), ST_OK);
	cr_expect_eq(store_get(s, ctx, &model_audit_events, "audit_x", &got), ST_NOT_FOUND);
	talloc_free(ctx);
}

/* Writes and events are one: both there after a commit, neither after a rollback. */
static inline void common_audit_with_writes(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *action = id_new(ctx, "test."), *id = id_new(ctx, "rec_");
	json_object *event = an_event(ctx, action), *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	cr_assert_eq(store_commit(s, list_of(ctx, event), true), ST_OK);
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_get(s, ctx, &model_audit_events, json_str(event, "id"), &got), ST_OK);
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	talloc_free(ctx);
}

static inline void common_audit_oversized(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *event = an_event(ctx, "test.wide"), *got;
	char *wide = mem_strdup(ctx, "");

	for (int i = 0; i < 200; i++)
		wide = mem_printf(ctx, "%sé", wide);
	json_set_str(json_get(event, "target"), "id", wide);
	json_set_str(json_get(event, "actor"), "id", "00000000-0000-4000-8000-00000000beef"); /* nobody's */
	json_set_ref(event, "details", parse(ctx, "{\"a\":\"\\u0000b\",\"c\\u0000\":1}"));
	cr_assert_eq(store_commit(s, list_of(ctx, event), true), ST_OK);
	cr_assert_eq(store_get(s, ctx, &model_audit_events, json_str(event, "id"), &got), ST_OK);
	cr_expect_str_eq(json_str(json_get(got, "actor"), "id"), "00000000-0000-4000-8000-00000000beef");
	cr_expect_eq(strlen(json_str(json_get(got, "target"), "id")), 160 * strlen("é"));
	talloc_free(ctx);
}

#define STORE_COMMON_TEST(suite, name)                                                                                 \
	Test(suite, name)                                                                                              \
	{                                                                                                              \
		struct store *s = suite##_open();                                                                      \
		common_##name(s);                                                                                      \
		suite##_close(s);                                                                                      \
	}

#define STORE_COMMON_TESTS(suite)                                                                                      \
	STORE_COMMON_TEST(suite, insert_and_get)                                                                       \
	STORE_COMMON_TEST(suite, insert_conflict)                                                                      \
	STORE_COMMON_TEST(suite, invalid_values)                                                                       \
	STORE_COMMON_TEST(suite, nul_and_surrogates)                                                                   \
	STORE_COMMON_TEST(suite, filters)                                                                              \
	STORE_COMMON_TEST(suite, membership_and_search)                                                                \
	STORE_COMMON_TEST(suite, sort_and_page)                                                                        \
	STORE_COMMON_TEST(suite, total_without_filter)                                                                 \
	STORE_COMMON_TEST(suite, count_by)                                                                             \
	STORE_COMMON_TEST(suite, row_scope)                                                                            \
	STORE_COMMON_TEST(suite, update)                                                                               \
	STORE_COMMON_TEST(suite, update_first)                                                                         \
	STORE_COMMON_TEST(suite, update_many)                                                                          \
	STORE_COMMON_TEST(suite, remove)                                                                               \
	STORE_COMMON_TEST(suite, rollback)                                                                             \
	STORE_COMMON_TEST(suite, hint)                                                                                 \
	STORE_COMMON_TEST(suite, file_models)                                                                          \
	STORE_COMMON_TEST(suite, assignment)                                                                           \
	STORE_COMMON_TEST(suite, watchdog_rules)                                                                       \
	STORE_COMMON_TEST(suite, users)                                                                                \
	STORE_COMMON_TEST(suite, sessions)                                                                             \
	STORE_COMMON_TEST(suite, disabled_user)                                                                        \
	STORE_COMMON_TEST(suite, first_login)                                                                          \
	STORE_COMMON_TEST(suite, policies)                                                                             \
	STORE_COMMON_TEST(suite, nodes)                                                                                \
	STORE_COMMON_TEST(suite, interfaces)                                                                           \
	STORE_COMMON_TEST(suite, credentials)                                                                          \
	STORE_COMMON_TEST(suite, expand)                                                                               \
	STORE_COMMON_TEST(suite, health_badge)                                                                         \
	STORE_COMMON_TEST(suite, audit)                                                                                \
	STORE_COMMON_TEST(suite, audit_with_writes)                                                                    \
	STORE_COMMON_TEST(suite, audit_oversized)

#endif
