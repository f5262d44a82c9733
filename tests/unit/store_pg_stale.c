/* The Postgres store while the database is away: what is answered from memory, and what never is. */
#include "unit/store_pg_server.h"

#include "store/live.h"

#include <fcntl.h>

#define MEMORY (256 * 1024)

static struct live *live;

/* Another store handle, as another worker has one. */
static struct store *worker(void)
{
	struct store *s = open_another();

	store_attach(s, live);
	return s;
}

static struct store *begin(void)
{
	struct store *s = store_pg_open();

	live = live_create(4);
	cr_assert_not_null(live);
	live_recall_open(live, MEMORY);
	store_attach(s, live);
	return s;
}

static void go_away(void)
{
	allow(false);
	end_connections();
}

/* A request that only reads begins. */
static void reading(struct store *s)
{
	store_degrade_begin(s, true);
}

static bool degraded(struct store *s)
{
	int64_t age;

	return store_degraded(s, &age);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

Test(store_pg_stale, every_kind_of_read_is_answered)
{
	struct store *s = begin(), *other = worker();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	json_object *stored = enroll(s, ctx, "hash"), *doc, *before, *counts;
	struct query q = of_node(node);
	struct targets targets = {0};
	struct page page;
	int64_t age = -1;

	reading(s);
	q.want_total = true;
	q.limit = 2;
	page = list_ok(s, ctx, &model_recordings, &q);
	cr_assert_eq(store_get(s, ctx, &model_nodes, json_str(stored, "id"), &before), ST_OK);
	cr_assert_eq(store_count_by(s, ctx, &model_recordings, &q, "status", &counts), ST_OK);
	cr_assert_eq(store_expand(s, ctx, "node", json_str(stored, "id"), &targets), ST_OK);
	cr_expect_not(degraded(s));
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 0);
	go_away();
	/* what one worker learnt, another one knows */
	reading(other);
	{
		struct targets again = {0};
		json_object *counts_again;
		struct page page_again;

		cr_expect_eq(store_list(other, ctx, &model_recordings, &q, &page_again), ST_OK);
		cr_expect(degraded(other));
		cr_expect(json_same(page_again.docs, page.docs));
		cr_expect_eq(page_again.total, 5);
		cr_expect_eq(store_get(other, ctx, &model_nodes, json_str(stored, "id"), &doc), ST_OK);
		cr_expect(json_same(doc, before));
		cr_expect_eq(store_count_by(other, ctx, &model_recordings, &q, "status", &counts_again), ST_OK);
		cr_expect(json_same(counts, counts_again));
		cr_expect_eq(store_expand(other, ctx, "node", json_str(stored, "id"), &again), ST_OK);
		cr_expect_eq(again.count, targets.count);
	}
	cr_expect(store_degraded(other, &age));
	cr_expect(age >= 0 && age < 20000);
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 1);
	/* what nobody asked for is not made up */
	q.limit = 3;
	cr_expect_eq(store_list(other, ctx, &model_recordings, &q, &page), ST_UNAVAILABLE);
	cr_expect_eq(store_get(other, ctx, &model_nodes, "node_other", &doc), ST_UNAVAILABLE);
	/* the next request has to say again that it only reads */
	store_degrade_begin(other, false);
	cr_expect_not(degraded(other));
	cr_expect_eq(store_get(other, ctx, &model_nodes, json_str(stored, "id"), &doc), ST_UNAVAILABLE);
	allow(true);
	talloc_free(ctx);
	talloc_free(other);
	store_pg_close(s);
}

Test(store_pg_stale, nothing_is_answered_without_memory)
{
	struct store *s = begin(), *alone = open_another(), *none = open_another();
	void *ctx = talloc_new(NULL);
	struct live *empty = live_create(1);
	json_object *stored = enroll(s, ctx, "hash"), *doc;
	struct store *all[] = {alone, none};

	live_recall_open(empty, 0);
	store_attach(none, empty);
	for (size_t i = 0; i < 2; i++) {
		reading(all[i]);
		cr_expect_eq(store_get(all[i], ctx, &model_nodes, json_str(stored, "id"), &doc), ST_OK);
	}
	go_away();
	for (size_t i = 0; i < 2; i++)
		cr_expect_eq(store_get(all[i], ctx, &model_nodes, json_str(stored, "id"), &doc), ST_UNAVAILABLE);
	allow(true);
	talloc_free(ctx);
	talloc_free(alone);
	talloc_free(none);
	store_pg_close(s);
}

/* The hint of a request is answered too, and a record known to be missing stays missing. */
Test(store_pg_stale, announced_and_missing_documents)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	json_object *doc;
	struct query q = of_node(node);

	for (int i = 0; i < 2; i++) {
		struct page page;

		reading(s);
		store_hint(s, &model_recordings, mem_printf(ctx, "%s_a", prefix));
		cr_expect_eq(store_list(s, ctx, &model_recordings, &q, &page), ST_OK);
		cr_expect_eq(store_get(s, ctx, &model_recordings, mem_printf(ctx, "%s_a", prefix), &doc), ST_OK);
		cr_expect_eq(store_get(s, ctx, &model_recordings, "rec_none", &doc), ST_NOT_FOUND);
		cr_expect_eq(degraded(s), i == 1);
		cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.read")), false), ST_OK);
		if (i == 0)
			go_away();
	}
	cr_expect_eq(spool_files(), 1, "the event of a degraded read is kept");
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}

static void rename_node(struct store *s, const void *ctx, const char *id, const char *alias)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	json_set_str(patch, "alias", alias);
	cr_assert_eq(store_update(s, ctx, &model_nodes, &q, patch, &page, NULL), ST_OK);
}

/* An answer that is older than an acknowledged write is never given again. */
Test(store_pg_stale, a_write_ends_what_was_known)
{
	struct store *s = begin(), *other = worker();
	void *ctx = talloc_new(NULL);
	json_object *one = enroll(s, ctx, "hash"), *beat, *doc, *before, *after;
	const char *prefix, *id = json_str(one, "id"), *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_expect_eq(list_ok(s, ctx, &model_recordings, &q).count, 5);
	/* dropped: nothing changed, but nobody has to know that */
	store_degrade_begin(other, false);
	rename_node(other, ctx, id, "Dropped");
	store_rollback(other);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	/* a sign of life that says nothing new leaves it alone */
	beat = parse(ctx, "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[],\"status\":\"online\"}");
	cr_assert_eq(store_node_heartbeat(other, ctx, id, beat, clock_now_ms(), &before, &after), ST_OK);
	commit_ok(other);
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_assert_eq(store_node_heartbeat(other, ctx, id, beat, clock_now_ms(), &before, &after), ST_OK);
	commit_ok(other);
	go_away();
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_expect(degraded(s));
	allow(true);
	reading(s);
	for (int i = 0; i < 100 && store_get(s, ctx, &model_nodes, id, &doc) != ST_OK; i++)
		usleep(50000);
	while (store_get(other, ctx, &model_nodes, id, &doc) != ST_OK)
		usleep(50000);
	rename_node(other, ctx, id, "Renamed");
	commit_ok(other);
	go_away();
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_UNAVAILABLE, "the old alias was given");
	cr_expect_eq(store_list(s, ctx, &model_recordings, &q, &(struct page){0}), ST_OK, "recordings did not change");
	allow(true);
	talloc_free(ctx);
	talloc_free(other);
	store_pg_close(s);
}

/* The database comes back in the middle of a request that was answered from memory: it may not write on that ground. */
Test(store_pg_stale, no_write_after_an_answer_from_memory)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	json_object *one = enroll(s, ctx, "hash"), *doc, *patch = json_new_object(ctx);
	const char *id = json_str(one, "id"), *reason;
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	json_set_str(patch, "alias", "Guessed");
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	go_away();
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_expect(degraded(s));
	allow(true);
	for (int i = 0; i < 100 && store_ping(s, &reason) != ST_OK; i++)
		usleep(50000);
	cr_expect_eq(store_update(s, ctx, &model_nodes, &q, patch, &page, NULL), ST_UNAVAILABLE);
	store_rollback(s);
	store_degrade_begin(s, false);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_expect_str_neq(json_str(doc, "alias"), "Guessed");
	cr_expect_eq(store_update(s, ctx, &model_nodes, &q, patch, &page, NULL), ST_OK);
	/* inside a unit of work nothing comes from memory */
	go_away();
	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_UNAVAILABLE);
	cr_expect_not(degraded(s));
	store_rollback(s);
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}

/* A statement that fails is not an outage (D-66): a locked table is not answered from memory. */
Test(store_pg_stale, a_failing_statement_is_not_an_outage)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	json_object *one = enroll(s, ctx, "hash"), *doc;
	int64_t begun;

	reading(s);
	cr_expect_eq(store_get(s, ctx, &model_nodes, json_str(one, "id"), &doc), ST_OK);
	sql("BEGIN");
	sql("LOCK TABLE nodes");
	begun = clock_mono_ms();
	cr_expect_eq(store_get(s, ctx, &model_nodes, json_str(one, "id"), &doc), ST_UNAVAILABLE);
	cr_expect(clock_mono_ms() - begun < 7000);
	sql("COMMIT");
	cr_expect_not(degraded(s));
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 0);
	cr_expect_eq(store_get(s, ctx, &model_nodes, json_str(one, "id"), &doc), ST_OK);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- access ------------------------------------------------------------------------------------------------------ */

static status who(struct store *s, const void *ctx, const char *hash, int64_t now_ms)
{
	json_object *out;
	status st;

	reading(s);
	st = store_session_find(s, ctx, hash, now_ms, &out);
	return st;
}

static void set_user(struct store *s, const void *ctx, json_object *user, const char *field, const char *value)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user, "id"));
	json_set_str(patch, field, value);
	cr_assert_eq(store_update(s, ctx, &model_users, &q, patch, &page, NULL), ST_OK);
	cr_assert_eq(page.count, 1);
	commit_ok(s);
}

#define HOUR_MS 3600000

Test(store_pg_stale, sessions_verified_a_moment_ago)
{
	enum { GOOD, LOGGED_OUT, OF_USER, DISABLED, RESET, ACCESS, DELETED, EXPIRED, NEVER_SEEN, COUNT };
	struct store *s = begin(), *other = worker();
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user[COUNT], *first, *again;
	const char *hash[COUNT];
	struct query q;
	struct page page;

	for (int i = 0; i < COUNT; i++) {
		user[i] = new_user(s, ctx);
		hash[i] = log_in(s, ctx, user[i], now + (i == EXPIRED ? 1000 : HOUR_MS));
	}
	for (int i = 0; i < COUNT; i++)
		if (i != NEVER_SEEN)
			cr_assert_eq(who(s, ctx, hash[i], now), ST_OK);
	reading(s);
	cr_assert_eq(store_session_find(s, ctx, hash[GOOD], now, &first), ST_OK);
	/* every way in which a session ends, on another worker */
	cr_expect_eq(store_session_revoke(other, hash[LOGGED_OUT], now), ST_OK);
	commit_ok(other);
	cr_expect_eq(store_sessions_revoke_user(other, json_str(user[OF_USER], "id"), now), ST_OK);
	commit_ok(other);
	set_user(other, ctx, user[DISABLED], "disabledAt", "2031-01-01T00:00:00.000Z");
	set_user(other, ctx, user[RESET], "passwordHash", "other");
	cr_expect_eq(store_access_write(other, ctx, json_str(user[ACCESS], "id"), parse(ctx, "[\"auditor\"]"),
	                                parse(ctx, "[]"), parse(ctx, "[]")),
	             ST_OK);
	commit_ok(other);
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user[DELETED], "id"));
	cr_expect_eq(store_remove(other, ctx, &model_users, &q, &page), ST_OK);
	commit_ok(other);
	go_away();
	for (int i = 0; i < COUNT; i++)
		cr_expect_eq(who(s, ctx, hash[i], now + (i == EXPIRED ? 2000 : 0)), i == GOOD ? ST_OK : ST_UNAVAILABLE,
		             "case %d", i);
	/* the same as it was verified */
	reading(other);
	cr_expect_eq(store_session_find(other, ctx, hash[GOOD], now, &again), ST_OK);
	cr_expect(json_same(first, again));
	cr_expect(degraded(other));
	/* only for reads */
	store_degrade_begin(other, false);
	cr_expect_eq(store_session_find(other, ctx, hash[GOOD], now, &again), ST_UNAVAILABLE);
	/* accounts and policies are not kept at all */
	reading(other);
	query_init(&q);
	cr_expect_eq(store_list(other, ctx, &model_users, &q, &page), ST_UNAVAILABLE);
	cr_expect_eq(store_list(other, ctx, &model_access_policies, &q, &page), ST_UNAVAILABLE);
	allow(true);
	talloc_free(ctx);
	talloc_free(other);
	store_pg_close(s);
}

Test(store_pg_stale, policies_end_every_verified_session)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *out;
	const char *hash = log_in(s, ctx, user, now + HOUR_MS);
	const char *policy = "[{\"effect\":\"deny\",\"subjectType\":\"everyone\",\"resourceType\":\"node\","
	                     "\"resourceId\":\"n\"}]";

	cr_assert_eq(who(s, ctx, hash, now), ST_OK);
	cr_assert_eq(store_policies_replace(s, ctx, parse(ctx, policy), NULL), ST_OK);
	commit_ok(s);
	go_away();
	cr_expect_eq(who(s, ctx, hash, now), ST_UNAVAILABLE);
	allow(true);
	for (int i = 0; i < 100 && who(s, ctx, hash, now) != ST_OK; i++)
		usleep(50000);
	go_away();
	reading(s);
	cr_assert_eq(store_session_find(s, ctx, hash, now, &out), ST_OK);
	cr_expect_eq(json_object_array_length(json_array(out, "policies")), 1, "the deny is gone");
	cr_expect(json_flag(out, "policiesStored", false));
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}

/* Access decisions end with their time; what is merely shown does not. */
Test(store_pg_stale, access_has_a_time_limit)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *node = enroll(s, ctx, "hash"), *doc;
	const char *hash = log_in(s, ctx, user, now + HOUR_MS);
	struct targets t = {0};

	config_set(conf, CFG_AUTH_STALE_SECONDS, "1");
	cr_assert_eq(who(s, ctx, hash, now), ST_OK);
	cr_assert_eq(store_get(s, ctx, &model_nodes, json_str(node, "id"), &doc), ST_OK);
	cr_assert_eq(store_expand(s, ctx, "node", json_str(node, "id"), &t), ST_OK);
	go_away();
	cr_expect_eq(who(s, ctx, hash, now), ST_OK);
	store_degrade_access(s, true);
	cr_expect_eq(store_expand(s, ctx, "node", json_str(node, "id"), &t), ST_OK);
	usleep(1100000);
	cr_expect_eq(who(s, ctx, hash, now), ST_UNAVAILABLE);
	cr_expect_not(store_degrade_access(s, true));
	cr_expect_eq(store_expand(s, ctx, "node", json_str(node, "id"), &t), ST_UNAVAILABLE);
	cr_expect(store_degrade_access(s, false));
	cr_expect_eq(store_get(s, ctx, &model_nodes, json_str(node, "id"), &doc), ST_OK);
	config_set(conf, CFG_AUTH_STALE_SECONDS, "0");
	cr_expect_eq(who(s, ctx, hash, now), ST_UNAVAILABLE);
	allow(true);
	config_set(conf, CFG_AUTH_STALE_SECONDS, "0");
	for (int i = 0; i < 100 && who(s, ctx, hash, now) != ST_OK; i++)
		usleep(50000);
	go_away();
	cr_expect_eq(who(s, ctx, hash, now), ST_UNAVAILABLE, "0 means never");
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- a server that hangs ----------------------------------------------------------------------------------------- */

static pid_t frozen[32];
static size_t frozen_count;

static pid_t parent_of(int pid)
{
	char path[64], text[512] = "";
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL || sscanf(strrchr(text, ')') + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

static void thaw(void)
{
	for (size_t i = 0; i < frozen_count; i++)
		kill(frozen[i], SIGCONT);
	frozen_count = 0;
}

/* Stops the server's main process and the connections of stores; false without the right to. */
static bool freeze(const void *ctx)
{
	char *pids =
	    mem_strdup(ctx, sql_text(ctx, "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE"
	                                  " application_name = 'rakkr-fcgi' AND datname = current_database()"));

	if (PQhost(admin)[0] != '/')
		return false;
	atexit(thaw);
	frozen[frozen_count++] = parent_of(atoi(sql_text(ctx, "SELECT pg_backend_pid()")));
	for (char *at = strtok(pids, " "); at != NULL && frozen_count < 32; at = strtok(NULL, " "))
		frozen[frozen_count++] = atoi(at);
	for (size_t i = 0; i < frozen_count; i++)
		if (frozen[i] <= 1 || kill(frozen[i], SIGSTOP) != 0) {
			thaw();
			return false;
		}
	return true;
}

Test(store_pg_stale, a_hanging_server_is_given_up_once, .timeout = 300)
{
	struct store *s = begin(), *other = worker();
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, "hash"), *doc;
	const char *id = json_str(node, "id"), *reason;
	int64_t begun, slowest = 0;
	bool good = true;

	reading(s);
	cr_assert_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_assert_eq(store_ping(other, &reason), ST_OK);
	if (!freeze(ctx))
		cr_skip_test("the server is not on this machine");
	begun = clock_mono_ms();
	cr_expect_eq(store_get(s, ctx, &model_nodes, id, &doc), ST_OK);
	cr_expect(degraded(s));
	cr_expect(clock_mono_ms() - begun < 4000, "took %d ms", (int)(clock_mono_ms() - begun));
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 1);
	/* from now on nobody waits, the other worker neither */
	for (int i = 0; i < 20; i++) {
		begun = clock_mono_ms();
		store_degrade_begin(other, false);
		store_degrade_begin(s, false);
		good = good && store_get(other, ctx, &model_nodes, id, &doc) == ST_UNAVAILABLE;
		good = good && store_get(s, ctx, &model_nodes, id, &doc) == ST_UNAVAILABLE;
		good = good && store_ping(s, &reason) == ST_UNAVAILABLE;
		good = good && store_commit(s, list_of(ctx, an_event(ctx, "test.hang")), true) == ST_OK;
		if (clock_mono_ms() - begun > slowest)
			slowest = clock_mono_ms() - begun;
		usleep(100000);
	}
	thaw();
	begun = clock_mono_ms();
	cr_expect(good);
	cr_expect_lt(slowest, 500, "four calls on two workers took %d ms", (int)slowest);
	while (clock_mono_ms() - begun < 10000 && (store_get(s, ctx, &model_nodes, id, &doc) != ST_OK ||
	                                           store_get(other, ctx, &model_nodes, id, &doc) != ST_OK))
		usleep(20000);
	cr_expect_lt(clock_mono_ms() - begun, 5000, "not back in time");
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 0);
	talloc_free(ctx);
	talloc_free(other);
	store_pg_close(s);
}

/* A slow statement of a server that is there is waited for. */
Test(store_pg_stale, a_slow_statement_is_no_hang, .timeout = 300)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, "hash");

	sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(4); RETURN NEW; END "
	    "$$");
	sql("CREATE TRIGGER slow BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION slow()");
	rename_node(s, ctx, json_str(node, "id"), "Slow");
	commit_ok(s);
	sql("DROP FUNCTION slow() CASCADE");
	cr_expect_eq(live_read(live, LIVE_DATABASE_DOWN), 0);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- files and their audit events -------------------------------------------------------------------------------- */

static json_object *a_plan(const void *ctx)
{
	return parse(ctx, mem_printf(ctx,
	                             "{\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"%s\",\"status\":"
	                             "\"pending\",\"targets\":[],\"templateId\":\"t\"}",
	                             id_new(ctx, "channel_map_plan_")));
}

/* What is written to files has its event, or is not written: also with the database away and no room for the spool. */
Test(store_pg_stale, no_write_without_its_event)
{
	struct store *s = begin();
	void *ctx = talloc_new(NULL);
	char path[160];
	struct query q;
	int fd;

	query_init(&q);
	insert_ok(s, ctx, &model_channel_map_plans, a_plan(ctx));
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.plan")), true), ST_OK);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.plan'"), "1");
	go_away();
	/* a file stands where the spool's folder would be */
	snprintf(path, sizeof(path), "%s/data", folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/data/audit-spool", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert(fd >= 0);
	close(fd);
	insert_ok(s, ctx, &model_channel_map_plans, a_plan(ctx));
	cr_expect_neq(store_commit(s, list_of(ctx, an_event(ctx, "test.plan")), true), ST_OK);
	cr_expect_eq(count_of(s, ctx, &model_channel_map_plans, &q), 1, "written without its event");
	cr_expect_neq(store_commit(s, list_of(ctx, an_event(ctx, "test.plan")), false), ST_OK);
	unlink(path);
	insert_ok(s, ctx, &model_channel_map_plans, a_plan(ctx));
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.plan")), true), ST_OK);
	cr_expect_eq(count_of(s, ctx, &model_channel_map_plans, &q), 2);
	cr_expect_eq(spool_files(), 1);
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}
