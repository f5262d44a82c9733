/* The Postgres store on a real server: what it shares with flat files, races, rows of the existing controller. */
#include "unit/store_pg_server.h"

STORE_COMMON_TESTS(store_pg)

/* ---- races ------------------------------------------------------------------------------------------------------- */

/* D-16: four processes claim thirty jobs; every job goes to one of them. */
Test(store_pg, parallel_claims)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	pid_t children[4];

	for (int i = 0; i < 30; i++)
		insert_ok(s, ctx, &model_jobs,
		          a_job(ctx, id_new(ctx, "job_"), "node_race", "r", "2031-01-01T00:00:00.000Z"));
	commit_ok(s);
	fflush(NULL);
	for (int c = 0; c < 4; c++) {
		struct query q = of_node("node_race");
		struct store *own;
		struct page page;
		int claimed = 0;

		children[c] = fork();
		if (children[c] != 0)
			continue;
		own = open_another();
		query_where(&q, "status", Q_EQ, "queued");
		query_sort(&q, "createdAt", false);
		q.limit = 1;
		q.skip_locked = true;
		for (;;) {
			json_object *patch = parse(ctx, "{\"status\":\"running\"}");

			json_set_str(patch, "claimedBy", mem_printf(ctx, "%d", c));
			if (store_update(own, ctx, &model_jobs, &q, patch, &page, NULL) != ST_OK)
				_exit(99);
			usleep(1000);
			if (store_commit(own, NULL, true) != ST_OK)
				_exit(98);
			if (page.count == 0)
				_exit(claimed);
			claimed++;
		}
	}
	int all = 0, state;

	for (int c = 0; c < 4; c++) {
		cr_assert_eq(waitpid(children[c], &state, 0), children[c]);
		all += WEXITSTATUS(state);
	}
	cr_expect_eq(all, 30);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM recording_jobs WHERE status = 'running'"), "30");
	talloc_free(ctx);
	store_pg_close(s);
}

/* D-24: two fields of one jsonb column changed at once; D-13: members that nobody knows stay. */
Test(store_pg, members_of_one_column)
{
	struct store *s = store_pg_open(), *other = open_another();
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, id_new(ctx, "hash_")), *got;
	struct query q;
	struct page page;

	sqlf(ctx, "UPDATE nodes SET metadata = metadata || '{\"foreign\": {\"kept\": 1}}' WHERE id = '?'",
	     json_str(node, "id"));
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(node, "id"));
	cr_assert_eq(store_update(s, ctx, &model_nodes, &q,
	                          parse(ctx, "{\"recordingCapacity\":{\"maxConcurrentRecordings\":9}}"), &page, NULL),
	             ST_OK);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) { /* waits for the row, then changes another member */
		struct store *own = open_another();

		if (store_update(own, ctx, &model_nodes, &q,
		                 parse(ctx, "{\"audioDefaults\":{\"captureDevice\":\"hw:9\"}}"), &page,
		                 NULL) != ST_OK ||
		    store_commit(own, NULL, true) != ST_OK)
			_exit(1);
		_exit(0);
	}
	usleep(200000);
	commit_ok(s);
	int state;
	waitpid(child, &state, 0);
	cr_expect_eq(state, 0);
	cr_assert_eq(store_get(other, ctx, &model_nodes, json_str(node, "id"), &got), ST_OK);
	cr_expect_eq(json_int(json_get(got, "recordingCapacity"), "maxConcurrentRecordings", 0), 9);
	cr_expect_str_eq(json_str(json_get(got, "audioDefaults"), "captureDevice"), "hw:9");
	cr_expect_str_eq(sql_text(ctx, "SELECT metadata->'foreign'->>'kept' FROM nodes"), "1");
	talloc_free(other);
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_pg, locks)
{
	struct store *s = store_pg_open(), *other = open_another();
	void *ctx = talloc_new(NULL);
	int64_t begun;

	cr_expect_eq(store_lock(s, "node:1"), ST_OK);
	cr_expect_eq(store_lock(other, "node:2"), ST_OK);
	begun = clock_mono_ms();
	cr_expect_eq(store_lock(other, "node:1"), ST_UNAVAILABLE); /* after the lock time-out (D-74) */
	cr_expect_geq(clock_mono_ms() - begun, 4000);
	cr_expect_lt(clock_mono_ms() - begun, 8000);
	store_rollback(other);
	store_rollback(s);
	cr_expect_eq(store_lock(other, "node:1"), ST_OK);
	store_rollback(other);
	cr_expect(store_runner_lock(s));
	cr_expect(store_runner_lock(s));
	cr_expect_not(store_runner_lock(other));
	end_connections();
	cr_expect(store_runner_lock(other));
	cr_expect_not(store_runner_lock(s));
	talloc_free(other); /* the server notices a moment later */
	begun = clock_mono_ms();
	while (!store_runner_lock(s) && clock_mono_ms() - begun < 5000)
		usleep(10000);
	cr_expect(store_runner_lock(s));
	talloc_free(ctx);
	store_pg_close(s);
}

/* D-101: the usual order is newest first, then id. */
Test(store_pg, usual_order)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	EXPECT_LETTERS(&q, "edabc");
	q.limit = 3;
	q.offset = 1;
	EXPECT_LETTERS(&q, "dab");
	talloc_free(ctx);
	store_pg_close(s);
}

/* Roles that nobody knows are no rows, and rows of the existing controller may hold them twice in a body. */
Test(store_pg, roles_are_known_ones)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	json_object *user = new_user(s, ctx), *got;

	cr_assert_eq(
	    store_access_write(s, ctx, json_str(user, "id"), parse(ctx, "[\"viewer\",\"viewer\",\"junk\"]"),
	                       parse(ctx, "[{\"resourceType\":\"room\",\"resourceId\":\"a\"},{\"resourceType\":"
	                                  "\"room\",\"resourceId\":\"a\"}]"),
	                       parse(ctx, "[\"g\",\"g\"]")),
	    ST_OK);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_users, json_str(user, "id"), &got), ST_OK);
	cr_expect_str_eq(json_compact(ctx, json_get(got, "roles"), NULL), "[\"viewer\"]");
	cr_expect_eq(json_object_array_length(json_array(got, "resourceGrants")), 1);
	cr_expect_eq(json_object_array_length(json_array(got, "groups")), 1);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) || '/' || (SELECT count(*) FROM permissions) || '/' ||"
	                               " (SELECT count(*) FROM role_permissions) FROM roles"),
	                 "5/21/68");
	cr_expect_str_eq(sql_text(ctx, "SELECT name FROM permissions WHERE id = 'recording:read'"), "Recording Read");
	/* A grant that does not fit changes nothing (D-28). */
	cr_expect_eq(store_access_write(
	                 s, ctx, json_str(user, "id"), parse(ctx, "[]"),
	                 parse(ctx, mem_printf(ctx, "[{\"resourceType\":\"room\",\"resourceId\":\"%0200d\"}]", 1)),
	                 parse(ctx, "[]")),
	             ST_INVALID);
	store_rollback(s);
	cr_assert_eq(store_get(s, ctx, &model_users, json_str(user, "id"), &got), ST_OK);
	cr_expect_eq(json_object_array_length(json_array(got, "roles")), 1);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- rows of the existing controller ----------------------------------------------------------------------------- */

Test(store_pg, microseconds)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	sqlf(ctx, "UPDATE recordings SET recorded_at = '2031-05-05 10:00:00.123999+00' WHERE id LIKE '?_a'", prefix);
	query_where(&q, "recordedAt", Q_EQ, "2031-05-05T10:00:00.123Z");
	EXPECT_LETTERS(&q, "a");
	q.filters[1].op = Q_LE;
	query_sort(&q, "id", false);
	EXPECT_LETTERS(&q, "abcde");
	q.filters[1].op = Q_GT;
	EXPECT_LETTERS(&q, "");
	q.filters[1].op = Q_GE;
	EXPECT_LETTERS(&q, "a");
	q.filters[1].op = Q_LT;
	EXPECT_LETTERS(&q, "bcde");
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_pg, last_use_is_throttled)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	json_object *user = new_user(s, ctx), *found;
	int64_t now = clock_now_ms();
	const char *hash = log_in(s, ctx, user, now + DAY_MS), *before, *after;

	before = sql_text(ctx, "SELECT last_seen_at FROM auth_sessions");
	cr_assert_eq(store_session_find(s, ctx, hash, now + 10000, &found), ST_OK);
	cr_expect_str_eq(sql_text(ctx, "SELECT last_seen_at FROM auth_sessions"), before);
	/* Held by somebody: the read does not wait. */
	sql("BEGIN");
	sql("SELECT 1 FROM auth_sessions FOR UPDATE");
	cr_assert_eq(store_session_find(s, ctx, hash, now + 60000, &found), ST_OK);
	sql("COMMIT");
	cr_expect_str_eq(sql_text(ctx, "SELECT last_seen_at FROM auth_sessions"), before);
	cr_assert_eq(store_session_find(s, ctx, hash, now + 60000, &found), ST_OK);
	after = sql_text(ctx, "SELECT last_seen_at FROM auth_sessions");
	cr_expect_str_neq(after, before);
	talloc_free(ctx);
	store_pg_close(s);
}

/* Every field under every operator, sorted and counted: whatever the tables say must be SQL. */
Test(store_pg, every_field_and_operator)
{
	static const char *const values[] = {
	    "1",      "2031-01-01T00:00:00.000Z", "true",
	    "queued", "it's \"\\ % _ i k",        "00000000-0000-4000-8000-000000000001"};
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	struct page page;
	json_object *counts;

	for (size_t i = 0; models[i] != NULL; i++)
		for (size_t k = 0; models[i]->table != NULL && k < models[i]->count; k++) {
			const char *name = models[i]->fields[k].name;

			for (size_t v = 0; v < 6 * (Q_PRESENT + 1); v++) {
				struct query q;

				query_init(&q);
				q.filters[q.filter_count++] = (struct filter){.field = name,
				                                              .op = (enum query_op)(v / 6),
				                                              .value = values[v % 6],
				                                              .values = values,
				                                              .value_count = 6};
				q.search = values[v % 6];
				query_sort(&q, name, v % 2 == 0);
				q.limit = 3;
				cr_expect_eq(store_list(s, ctx, models[i], &q, &page), ST_OK, "%s.%s %zu",
				             models[i]->name, name, v);
			}
			struct query all;

			query_init(&all);
			cr_expect_eq(store_count_by(s, ctx, models[i], &all, name, &counts), ST_OK, "%s.%s",
			             models[i]->name, name);
		}
	talloc_free(ctx);
	store_pg_close(s);
}

/* Another program holds the whole table: the answer comes in time, other tables go on (D-74). */
Test(store_pg, table_locked)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	int64_t begun = clock_mono_ms();
	struct query q;
	struct page page;

	sql("BEGIN");
	sql("LOCK TABLE recordings");
	query_init(&q);
	cr_expect_eq(store_list(s, ctx, &model_recordings, &q, &page), ST_UNAVAILABLE);
	cr_expect_lt(clock_mono_ms() - begun, 8000);
	cr_expect_eq(store_list(s, ctx, &model_nodes, &q, &page), ST_OK);
	sql("COMMIT");
	cr_expect_eq(store_list(s, ctx, &model_recordings, &q, &page), ST_OK);
	talloc_free(ctx);
	store_pg_close(s);
}

/* More shapes of statements than are kept prepared. */
Test(store_pg, statement_cache_overflow)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	static const char *const fields[] = {"name", "folder",      "status", "source", "durationSeconds",
	                                     "id",   "healthStatus"};

	for (int shape = 0; shape < 7 * 7 * 8; shape++) {
		struct query q = of_node(node);

		query_sort(&q, fields[shape % 7], shape % 3 == 0);
		query_sort(&q, fields[shape / 7 % 7], shape % 2 == 0);
		for (int i = 0; i < shape / 49; i++)
			query_where(&q, "name", Q_NE, "x");
		cr_assert_eq(list_ok(s, ctx, &model_recordings, &q).count, 5);
	}
	talloc_free(ctx);
	store_pg_close(s);
}

/* A prepared statement whose table was changed by a migration meanwhile. */
Test(store_pg, schema_changed_underneath)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	list_ok(s, ctx, &model_recordings, &q);
	sql("ALTER TABLE recordings ALTER checksum TYPE text");
	cr_expect_eq(list_ok(s, ctx, &model_recordings, &q).count, 5);
	sql("ALTER TABLE recordings ALTER checksum TYPE varchar(160)");
	cr_expect_eq(list_ok(s, ctx, &model_recordings, &q).count, 5);
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_pg, tally_missing)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix;
	struct query q;

	five_recordings(s, ctx, &prefix);
	query_init(&q);
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5);
	sql("ALTER TABLE rakkr_fcgi.tally RENAME TO tally_away");
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5);
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5);
	sql("ALTER TABLE rakkr_fcgi.tally_away RENAME TO tally");
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- durability -------------------------------------------------------------------------------------------------- */

/* Ends the unit of work with an event and tells what synchronous_commit was at that. */
static const char *commit_how(struct store *s, const void *ctx, const char *action, bool durable)
{
	cr_assert_eq(store_commit(s, list_of(ctx, an_event(ctx, action)), durable), ST_OK);
	return sql_text(ctx, mem_printf(ctx, "SELECT how FROM noted WHERE action = '%s'", action));
}

/* Events of allowed reads need not wait for the disk; every write does, however it travels. */
Test(store_pg, writes_wait_for_the_disk)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, "hash"), *found, *before, *after, *beat,
	            *patch = parse(ctx, "{\"alias\":\"B\"}");
	const char *id = json_str(node, "id");
	int64_t now = clock_now_ms();
	struct query q;
	struct page page;

	sql("CREATE TABLE noted (action text, how text)");
	sql("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted VALUES"
	    " (NEW.action, current_setting('synchronous_commit')); RETURN NULL; END $$");
	sql("CREATE TRIGGER note AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION note()");
	cr_expect_str_eq(commit_how(s, ctx, "test.read", false), "off");
	cr_expect_str_eq(commit_how(s, ctx, "test.denied", true), "on");
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	cr_assert_eq(store_update(s, ctx, &model_nodes, &q, patch, &page, NULL), ST_OK);
	cr_expect_str_eq(commit_how(s, ctx, "test.write", false), "on");
	/* one that came with its credential, and one that did not */
	beat = parse(ctx, "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[],\"status\":\"online\"}");
	for (int hinted = 0; hinted < 2; hinted++) {
		if (hinted)
			store_hint(s, &model_nodes, id);
		cr_assert_eq(store_credential_find(s, ctx, "hash", now, &found), ST_OK);
		cr_assert_eq(store_node_heartbeat(s, ctx, id, beat, now + hinted, &before, &after), ST_OK);
		cr_expect_str_eq(commit_how(s, ctx, hinted ? "test.beat" : "test.lone_beat", false), "on");
	}
	cr_expect_str_eq(sql_text(ctx, mem_printf(ctx, "SELECT status FROM nodes WHERE id = '%s'", id)), "online");
	/* that is over with the transaction */
	cr_expect_str_eq(commit_how(s, ctx, "test.later_read", false), "off");
	sql("DROP TABLE noted; DROP FUNCTION note CASCADE");
	talloc_free(ctx);
	store_pg_close(s);
}
