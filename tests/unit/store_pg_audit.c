/* Finding audit events out of what is folded (sql/0004_audit.sql): the same answers as the table
 * itself gives. */
#include "unit/store_pg_server.h"

static struct store *open_empty(void)
{
	struct store *s = store_pg_open();

	sql("TRUNCATE rakkr_fcgi.audit_finds, rakkr_fcgi.audit_words, rakkr_fcgi.audit_late");
	sql("UPDATE rakkr_fcgi.audit_folded SET upto = '-infinity', n = 0");
	return s;
}

/* Events of the last two hours, one a second: some with texts that are hard to fold, some without texts. */
static void seed(void)
{
	sql("INSERT INTO audit_events (id, created_at, action, actor_type, actor_id, actor_display_name, outcome,"
	    " permission_id, reason, target_id, target_name, target_type)"
	    " SELECT gen_random_uuid(), date_trunc('second', now()) - (i / 2) * interval '1 second',"
	    " CASE WHEN i % 1000 = 7 THEN 'Rare.Action' ELSE 'usual.action_' || i % 3 END, 'user',"
	    " CASE WHEN i % 500 = 9 THEN NULL ELSE 'actor_' || i % 700 END,"
	    " CASE WHEN i % 900 = 11 THEN 'Zo\u00cb 100%_' WHEN i % 500 = 9 THEN NULL ELSE 'Name ' || i % 700 END,"
	    " (CASE WHEN i % 800 = 5 THEN 'denied' ELSE 'allowed' END)::audit_outcome,"
	    " CASE WHEN i % 2 = 0 THEN 'node:read' WHEN i % 601 = 0 THEN 'auth:manage' END,"
	    " CASE WHEN i % 800 = 5 THEN 'Missing_Scope' END,"
	    " CASE WHEN i % 300 = 1 THEN 'x_100%\\y' WHEN i % 400 <> 3 THEN 'target_' || i % 650 END,"
	    " CASE WHEN i % 777 = 0 THEN 'K\u00dcCHE' END, CASE WHEN i % 400 <> 4 THEN 'node' END"
	    " FROM generate_series(1, 6000) i");
}

static void fold(const char *most)
{
	sql(mem_printf(conf, "SELECT rakkr_fcgi.audit_fold(%s)", most));
}

struct question {
	const char *action, *actor, *target, *reason, *outcome, *permission, *since, *before;
	int64_t limit, offset;
};

static struct query query_of(const struct question *w)
{
	struct query q;

	query_init(&q);
	query_where(&q, "action", Q_CONTAINS, w->action);
	query_where(&q, "reason", Q_CONTAINS, w->reason);
	query_where(&q, "outcome", Q_EQ, w->outcome);
	query_where(&q, "permission", Q_EQ, w->permission);
	query_where(&q, "createdAt", Q_GE, w->since);
	query_where(&q, "createdAt", Q_LT, w->before);
	if (w->actor != NULL)
		q.any[q.any_count++] =
		    (struct any_contains){.fields = {"actor.id", "actor.name"}, .count = 2, .value = w->actor};
	if (w->target != NULL)
		q.any[q.any_count++] = (struct any_contains){
		    .fields = {"target.id", "target.name", "target.type"}, .count = 3, .value = w->target};
	q.limit = w->limit != 0 ? w->limit : 10;
	q.offset = w->offset;
	return q;
}

static const char *page_ids(const void *ctx, struct page page)
{
	char *out = mem_strdup(ctx, "");

	for (size_t i = 0; i < page.count; i++)
		out = mem_printf(ctx, "%s %s", out, json_str(json_object_array_get_idx(page.docs, i), "id"));
	return out;
}

/* A total is never told out of what is folded: with it the table itself answers. */
static size_t compare(struct store *s, const struct question *w, size_t number)
{
	void *ctx = talloc_new(NULL);
	struct query q = query_of(w);
	struct page found = list_ok(s, ctx, &model_audit_events, &q), all;
	size_t count = found.count;

	q.want_total = true;
	all = list_ok(s, ctx, &model_audit_events, &q);
	cr_expect_str_eq(page_ids(ctx, found), page_ids(ctx, all), "question %zu", number);
	talloc_free(ctx);
	return count;
}

static const struct question questions[] = {
    {.action = "RARE"},
    {.action = "rare", .limit = 3, .offset = 2},
    {.action = "usual", .limit = 25},
    {.action = "nothing"},
    {.actor = "actor_333"},
    {.actor = "name 12", .limit = 5},
    {.actor = "zo\u00eb"},
    {.actor = "100%_"},
    {.actor = "_3"},
    {.actor = "actor_1name"}, /* not over the two */
    {.target = "target_77"},
    {.target = "X_100%\\"},
    {.target = "k\u00fcche"},
    {.target = "node", .limit = 4},
    {.reason = "missing_scope"},
    {.reason = "%"},
    {.outcome = "denied"},
    {.outcome = "denied", .limit = 2, .offset = 3},
    {.outcome = "partial"},
    {.outcome = "allowed"},
    {.permission = "auth:manage"},
    {.permission = "audit:read"},
    {.action = "rare", .outcome = "denied"},
    {.outcome = "denied", .actor = "actor_6"},
    {.target = "target_5", .permission = "node:read", .limit = 100},
    {.action = "rare", .since = "2000-01-01T00:00:00.000Z", .before = "2100-01-01T00:00:00.000Z"},
};

static size_t compare_all(struct store *s)
{
	size_t found = 0;

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		found += compare(s, &questions[i], i);
	return found;
}

Test(store_pg_audit, the_same_answers_at_every_stage)
{
	struct store *s = open_empty();
	size_t found;

	seed();
	found = compare_all(s);
	for (int step = 0; step < 3; step++) {
		fold("1500");
		cr_expect_eq(compare_all(s), found, "after %d steps", step + 1);
	}
	fold("100000");
	cr_expect_eq(compare_all(s), found);
	/* what is a minute old and more */
	cr_expect_str_eq(sql_text(conf, "SELECT count(*) BETWEEN 5700 AND 5900 FROM rakkr_fcgi.audit_finds"), "t");
	cr_expect_str_eq(sql_text(conf, "SELECT sum(n) = (SELECT count(*) FROM rakkr_fcgi.audit_finds) FROM"
	                                " rakkr_fcgi.audit_words WHERE kind = 'a'"),
	                 "t");
	/* the short way was taken for what is rare */
	cr_expect_str_eq(
	    sql_text(conf, "SELECT count(upto) FROM rakkr_fcgi.audit_page('%rare%', NULL, NULL, NULL, NULL, NULL,"
	                   " NULL, NULL, 10)"),
	    "1");
	cr_expect_str_eq(
	    sql_text(conf, "SELECT count(upto) FROM rakkr_fcgi.audit_page('%usual%', NULL, NULL, NULL, NULL, NULL,"
	                   " NULL, NULL, 10)"),
	    "0");
	store_pg_close(s);
}

static const char newest_sql[] =
    "WITH w AS (SELECT array_agg(id ORDER BY newest DESC) AS ids, array_agg(newest ORDER BY newest DESC) AS times"
    " FROM rakkr_fcgi.audit_words WHERE kind = '%c' AND id %% 11 <> 5),"
    " b (since, before) AS (SELECT %s),"
    " x AS (SELECT n.id FROM w, b, rakkr_fcgi.audit_newest('%s', w.ids, w.times, '%s', '{}', b.since, b.before, %d)"
    " WITH ORDINALITY n (id, at) ORDER BY n.at),"
    " y AS (SELECT f.id FROM rakkr_fcgi.audit_finds f, w, b WHERE f.%s = ANY (w.ids)%s AND f.created_at >="
    " coalesce(b.since::timestamptz, '-infinity') AND f.created_at < coalesce(b.before::timestamptz, 'infinity')"
    " ORDER BY f.created_at DESC, f.id DESC LIMIT %d)"
    " SELECT (SELECT array_agg(id) FROM x) IS NOT DISTINCT FROM (SELECT array_agg(id) FROM y)";

/*
 * The newest events of very many words, with and without further conditions, against all of them sorted. Steps of the
 * search end where the time of a word's newest event is not that of one that is left, or that meets the conditions.
 */
Test(store_pg_audit, the_newest_of_many_words)
{
	static const char *const conditions[] = {"", " AND f.action % 3 = 0", " AND f.created_at < ''-infinity''"};
	static const char *const bounds[] = {"NULL::timestamptz, NULL::timestamptz",
	                                     "NULL::timestamptz, now() - interval '25 minutes'",
	                                     "now() - interval '20 minutes', NULL::timestamptz",
	                                     "now() - interval '40 minutes', now() - interval '10 minutes'"};
	static const char *const columns[] = {"target", "actor", "action"};
	static const int mosts[] = {1, 2, 7, 60, 100000};
	struct store *s = open_empty();

	seed();
	fold("2500");
	fold("100000");
	sql("DELETE FROM audit_events WHERE created_at > (SELECT max(created_at) - interval '3 minutes' FROM"
	    " rakkr_fcgi.audit_finds) AND target_id LIKE '%7'");
	cr_expect_str_eq(sql_text(conf,
	                          "SELECT bool_and(f.created_at <= w.newest) FROM rakkr_fcgi.audit_finds f JOIN"
	                          " rakkr_fcgi.audit_words w ON w.id IN (f.target, f.actor, f.action, f.outcome)"),
	                 "t");
	for (int k = 0; k < 3 * 3 * 4 * 5; k++) {
		const char *column = columns[k % 3], *condition = conditions[k / 3 % 3], *bound = bounds[k / 9 % 4];
		const char *text = mem_printf(conf, newest_sql, "tca"[k % 3], bound, column, condition, mosts[k / 36],
		                              column, k / 3 % 3 == 2 ? " AND false" : condition, mosts[k / 36]);

		cr_expect_str_eq(sql_text(conf, text), "t", "%s", text);
	}
	store_pg_close(s);
}

/* More texts than can be listed: with a rarer condition beside them, and alone; and so many events that a walk is
 * short. */
Test(store_pg_audit, more_texts_than_can_be_listed)
{
	static const struct question rare[] = {
	    {.target = "many", .actor = "someone", .limit = 5},
	    {.target = "many", .actor = "someone", .outcome = "allowed"},
	    {.target = "many_1", .actor = "someone", .action = "thing", .limit = 50},
	    {.target = "MANY", .limit = 1},
	    {.target = "many", .reason = "Missing", .limit = 3},
	    {.target = "many_", .action = "usual"},
	};
	struct store *s = open_empty();

	sql("INSERT INTO audit_events (id, created_at, action, actor_type, actor_id, outcome, target_id, target_type)"
	    " SELECT gen_random_uuid(), now() - interval '3 hours' - i * interval '1 second', 'thing.done', 'user',"
	    " CASE WHEN i % 97 = 0 THEN 'someone' ELSE 'nobody' END, 'allowed', 'many_' || i, 'room'"
	    " FROM generate_series(1, 5500) i");
	seed();
	fold("100000");
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++)
		compare(s, &rare[i], 1000 + i);
	cr_expect_gt(compare(s, &rare[0], 0), 0);
	cr_expect_gt(compare(s, &rare[2], 0), 0);
	/* a total of two millions: the page leads through all those texts, or through someone's events */
	sql("UPDATE rakkr_fcgi.audit_folded SET n = 2000000000");
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
		cr_expect_str_eq(sql_text(conf, "SELECT count(upto) FROM rakkr_fcgi.audit_page(NULL, NULL, '%many%',"
		                                " NULL, NULL, NULL, NULL, NULL, 10)"),
		                 "1");
		compare(s, &rare[i], 2000 + i);
	}
	store_pg_close(s);
}

/* Written long after their time: an upload of minutes, events from the spool. Never missed, never twice. */
Test(store_pg_audit, late_events)
{
	static const char insert[] =
	    "INSERT INTO audit_events (id, created_at, action, actor_type, outcome, target_type)"
	    " SELECT gen_random_uuid(), now() - i * interval '7 minutes', 'late.one', 'user', 'allowed', 'node'"
	    " FROM generate_series(1, 5) i";
	static const struct question late = {.action = "late.one"};
	struct store *s = open_empty();

	seed();
	sql(insert);
	cr_expect_eq(compare(s, &late, 0), 5, "before anything is folded");
	for (int i = 0; i < 3; i++) {
		fold("100000");
		cr_expect_eq(compare(s, &late, 1), 5);
	}
	sql(insert);
	cr_expect_eq(compare(s, &late, 2), 10, "not folded yet");
	for (int i = 0; i < 3; i++) {
		fold("100000");
		cr_expect_eq(compare(s, &late, 3), 10);
	}
	cr_expect_str_eq(sql_text(conf, "SELECT count(*) FROM rakkr_fcgi.audit_late"), "0");
	cr_expect_str_eq(sql_text(conf, "SELECT count(*) = count(DISTINCT id) FROM rakkr_fcgi.audit_finds"), "t");
	store_pg_close(s);
}

/* What is deleted is not found, and does not stand in the way of what is left. */
Test(store_pg_audit, deleted_events)
{
	static const struct question rare = {.action = "rare", .limit = 2};
	struct store *s = open_empty();

	seed();
	fold("100000");
	cr_expect_eq(compare(s, &rare, 0), 2);
	sql("DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE action = 'Rare.Action'"
	    " ORDER BY created_at DESC LIMIT 3)");
	cr_expect_eq(compare(s, &rare, 1), 2);
	sql("DELETE FROM audit_events WHERE created_at < now() - interval '30 minutes'");
	compare_all(s);
	cr_expect_str_eq(sql_text(conf, "SELECT count(*) FROM rakkr_fcgi.audit_finds f WHERE NOT EXISTS (SELECT FROM"
	                                " audit_events e WHERE e.id = f.id)"),
	                 "0");
	cr_expect_str_eq(sql_text(conf, "SELECT f.n = (SELECT count(*) FROM rakkr_fcgi.audit_finds) FROM"
	                                " rakkr_fcgi.audit_folded f"),
	                 "t");
	cr_expect_str_eq(sql_text(conf,
	                          "SELECT bool_and(n > 0 AND n = (SELECT count(*) FROM rakkr_fcgi.audit_finds f WHERE"
	                          " w.id IN (f.action, f.actor, f.target, f.reason, f.outcome, f.permission)))"
	                          " FROM rakkr_fcgi.audit_words w WHERE kind IN ('a', 'r', 'o')"),
	                 "t");
	sql("TRUNCATE audit_events");
	cr_expect_str_eq(sql_text(conf, "SELECT count(*) FROM rakkr_fcgi.audit_words"), "0");
	store_pg_close(s);
}

/* Without what is folded the table answers. */
Test(store_pg_audit, nothing_folded_is_needed)
{
	struct store *s = open_empty();
	size_t found;

	seed();
	found = compare_all(s);
	sql("ALTER TABLE rakkr_fcgi.audit_words RENAME TO audit_words_away");
	cr_expect_eq(compare_all(s), found);
	sql("ALTER TABLE rakkr_fcgi.audit_words_away RENAME TO audit_words");
	store_pg_close(s);
}
