/* The Postgres store when things go wrong: lost connections, outages, refused statements, the audit spool. */
#include "unit/store_pg_server.h"

/* ---- the connection ---------------------------------------------------------------------------------------------- */

Test(store_pg_faults, address_that_can_never_work)
{
	const char *error = NULL;
	struct config *c = config_defaults(NULL);

	config_set(c, CFG_DATABASE_URL, "postgres://u:secret@h/d?nonsense=1");
	cr_expect(store_open(c, c, &error) == NULL);
	cr_assert(error != NULL);
	cr_expect(strstr(error, "secret") == NULL);
	talloc_free(c);
}

/* What a role's settings say must not decide which tables are read, nor whether two writers may meet. */
Test(store_pg_faults, settings_of_the_role_are_not_ours)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node, *role;
	struct query q;

	role = sql_text(ctx, "SELECT format('ALTER ROLE CURRENT_USER IN DATABASE %I ', current_database())");
	sql("CREATE SCHEMA decoy CREATE TABLE recordings (id text)");
	sql(mem_printf(ctx, "%s SET search_path = decoy, public", role));
	sql(mem_printf(ctx, "%s SET default_transaction_isolation = 'serializable'", role));
	end_connections();
	node = five_recordings(s, ctx, &prefix);
	q = of_node(node);
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM decoy.recordings"), "0");
	cr_expect_eq(store_lock(s, "isolation"), ST_OK);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'"), "0");
	cr_expect_eq(store_commit(s, NULL, true), ST_OK);
	sql(mem_printf(ctx, "%s RESET ALL", role));
	sql("DROP SCHEMA decoy CASCADE");
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_pg_faults, connection_lost_between_requests)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	end_connections();
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5);
	end_connections();
	insert_ok(s, ctx, &model_recordings,
	          a_recording(ctx, id_new(ctx, "rec_"), node, "2031-01-01T00:00:00.000Z", ""));
	commit_ok(s);
	end_connections();
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.reconnect")), false), ST_OK);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.reconnect'"), "1");
	cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 6);
	talloc_free(ctx);
	store_pg_close(s);
}

Test(store_pg_faults, connection_lost_inside_a_unit)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	end_connections();
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_UNAVAILABLE);
	cr_expect_eq(store_insert(s, ctx, &model_recordings,
	                          a_recording(ctx, id_new(ctx, "rec_"), "n", "2031-01-01T00:00:00.000Z", ""), NULL),
	             ST_UNAVAILABLE);
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.lost")), true), ST_UNAVAILABLE);
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_NOT_FOUND);
	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	end_connections();
	cr_expect_eq(store_commit(s, NULL, true), ST_UNAVAILABLE);
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_NOT_FOUND);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- outage ------------------------------------------------------------------------------------------------------ */

Test(store_pg_faults, outage_and_recovery)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix), *reason;
	struct query q = of_node(node);
	struct page page;
	json_object *events = json_new_array(ctx);
	int64_t begun, moved;

	allow(false);
	end_connections();
	begun = clock_mono_ms();
	cr_expect_eq(store_list(s, ctx, &model_recordings, &q, &page), ST_UNAVAILABLE);
	cr_expect_eq(store_insert(s, ctx, &model_recordings, a_recording(ctx, "rec_x", "n", "2031-01-01", ""), NULL),
	             ST_UNAVAILABLE);
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_ping(s, &reason), ST_UNAVAILABLE);
	cr_expect(reason != NULL);
	for (int i = 0; i < 250; i++)
		json_push_ref(events, an_event(ctx, "test.outage"));
	cr_expect_eq(store_commit(s, events, false), ST_OK);
	cr_expect_eq(store_commit(s, list_of(ctx, json_object_array_get_idx(events, 0)), true), ST_OK); /* twice */
	cr_expect_lt(clock_mono_ms() - begun, 1500);
	cr_expect_eq(store_audit_maintain(s, &moved), ST_UNAVAILABLE);
	cr_expect_eq(spool_files(), 1);

	allow(true);
	begun = clock_mono_ms();
	while (store_list(s, ctx, &model_recordings, &q, &page) != ST_OK && clock_mono_ms() - begun < 5000)
		usleep(20000);
	cr_expect_lt(clock_mono_ms() - begun, 2500);
	cr_expect_eq(page.count, 5);
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(moved, 251);
	cr_expect_eq(spool_files(), 0);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.outage'"), "250");
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(moved, 0);
	talloc_free(ctx);
	store_pg_close(s);
}

/* The server is there but says nothing: readiness within its bound (D-73), and nobody hangs. */
Test(store_pg_faults, silent_server)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *reason;
	int64_t begun;
	int pid;

	cr_assert_eq(store_ping(s, &reason), ST_OK);
	pid = atoi(sql_text(ctx, "SELECT pid FROM pg_stat_activity WHERE application_name = 'rakkr-fcgi'"
	                         " AND datname = current_database()"));
	if (PQhost(admin)[0] != '/' || pid <= 0 || kill(pid, SIGSTOP) != 0)
		cr_skip_test("the server is not on this machine");
	begun = clock_mono_ms();
	cr_expect_eq(store_ping(s, &reason), ST_UNAVAILABLE);
	cr_expect_lt(clock_mono_ms() - begun, 3300);
	cr_expect_eq(store_ping(s, &reason), ST_OK); /* on a new connection */
	kill(pid, SIGCONT);
	talloc_free(ctx);
	store_pg_close(s);
}

/* Models of files go on while the database is away. */
Test(store_pg_faults, outage_leaves_files_alone)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);

	allow(false);
	end_connections();
	insert_ok(s, ctx, &model_channel_map_plans,
	          parse(ctx, "{\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"channel_map_plan_1\",\"status\":"
	                     "\"pending\",\"targets\":[],\"templateId\":\"t\"}"));
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.file")), true), ST_OK);
	cr_expect_eq(spool_files(), 1);
	allow(true);
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- the spool --------------------------------------------------------------------------------------------------- */

static void write_spool(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/data/audit-spool", folder);
	if (mkdir(path, 0700) != 0)
		cr_assert_eq(errno, EEXIST);
	snprintf(path, sizeof(path), "%s/data/audit-spool/%s", folder, name);
	f = fopen(path, "w");
	cr_assert(f != NULL);
	fputs(text, f);
	fclose(f);
}

Test(store_pg_faults, spool_of_killed_processes)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	char rejected[160];
	struct stat st;
	const char *one = json_compact(ctx, an_event(ctx, "test.spool"), NULL);
	const char *two = json_compact(ctx, an_event(ctx, "test.spool"), NULL);
	const char *three = json_compact(ctx, an_event(ctx, "test.spool"), NULL);
	int64_t moved;

	/* Killed while moving: some lines are in the database already. */
	write_spool("1-1000.jsonl.moving", mem_printf(ctx, "%s\n%s\n", one, two));
	cr_assert_eq(store_commit(s, list_of(ctx, parse(ctx, one)), true), ST_OK);
	/* Killed while writing, and a line that is no event. */
	write_spool("2-2000.jsonl", mem_printf(ctx, "not json\n%s\n%.40s", three, one));
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(moved, 3);
	cr_expect_eq(spool_files(), 0);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.spool'"), "3");
	snprintf(rejected, sizeof(rejected), "%s/data/audit-spool/rejected", folder);
	cr_assert_eq(stat(rejected, &st), 0);
	cr_expect_eq(st.st_size, strlen("not json\n"));
	talloc_free(ctx);
	store_pg_close(s);
}

/* An event that the database refuses for good does not hold up the ones behind it. */
Test(store_pg_faults, spool_goes_past_a_refused_event)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	int64_t moved;

	sql("CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.action = 'test.bad' "
	    "THEN"
	    " RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$");
	sql("CREATE TRIGGER refuse_event BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse_event()");
	write_spool("1-1.jsonl", mem_printf(ctx, "%s\n%s\n%s\n", json_compact(ctx, an_event(ctx, "test.good"), NULL),
	                                    json_compact(ctx, an_event(ctx, "test.bad"), NULL),
	                                    json_compact(ctx, an_event(ctx, "test.good"), NULL)));
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(moved, 2);
	cr_expect_eq(spool_files(), 0);
	sql("DROP FUNCTION refuse_event() CASCADE");
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.good'"), "2");
	talloc_free(ctx);
	store_pg_close(s);
}

/* kill -9 at any moment of writing or moving: every acknowledged event is there once in the end. */
Test(store_pg_faults, spool_survives_kills)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	int acknowledged[2], count = 0;
	int64_t moved;
	char byte;

	sql("CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.reason = 'writer' AND"
	    " NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4713) THEN"
	    " RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$");
	sql("CREATE TRIGGER refuse_event BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse_event()");
	cr_assert_eq(pipe(acknowledged), 0);
	for (int round = 0; round < 20; round++) {
		pid_t child;

		sql(round % 2 == 0 ? "SELECT pg_advisory_unlock(4713)"
		                   : "SELECT pg_advisory_lock(4713)"); /* odd rounds may move */
		fflush(NULL);
		child = fork();
		if (child == 0) {
			struct store *own = open_another();

			for (int i = 0; round % 2 == 0; i++) {
				json_object *event = an_event(ctx, "test.kill");

				json_set_str(event, "reason", "writer");
				if (store_commit(own, list_of(ctx, event), false) == ST_OK)
					cr_assert_eq(write(acknowledged[1], "x", 1), 1);
			}
			while (store_audit_maintain(own, &moved) == ST_OK)
				;
			_exit(1);
		}
		usleep((useconds_t)(30000 + round * 3000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	close(acknowledged[1]);
	while (read(acknowledged[0], &byte, 1) == 1)
		count++;
	sql("SELECT pg_advisory_lock(4713)");
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(spool_files(), 0);
	sql("DROP FUNCTION refuse_event() CASCADE");
	cr_expect_gt(count, 10);
	/* The one that was being written may be there without having been acknowledged. */
	cr_expect_geq(atoi(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.kill'")), count);
	cr_expect_leq(atoi(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.kill'")), count + 10);
	talloc_free(ctx);
	store_pg_close(s);
}

/* One writes while another moves: nothing gets lost between them. */
Test(store_pg_faults, spool_written_while_moved)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	int64_t moved, all = 0;
	int state = 0;
	pid_t child;

	sql("CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
	    " IF current_setting('application_name') = 'rakkr-fcgi' AND NEW.reason = 'writer' AND"
	    " NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712) THEN"
	    " RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$");
	sql("CREATE TRIGGER refuse_event BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse_event()");
	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct store *writer = open_another();

		for (int i = 0; i < 100; i++) {
			json_object *event = an_event(ctx, "test.race");

			json_set_str(event, "reason", "writer");
			if (store_commit(writer, list_of(ctx, event), false) != ST_OK)
				_exit(1);
		}
		_exit(0);
	}
	sql("SELECT pg_advisory_lock(4712)");
	while (waitpid(child, &state, WNOHANG) == 0) {
		cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
		all += moved;
	}
	cr_expect_eq(state, 0);
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	sql("DROP FUNCTION refuse_event() CASCADE");
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.race'"), "100");
	talloc_free(ctx);
	store_pg_close(s);
}

/* ---- statements that fail (D-66) --------------------------------------------------------------------------------- */

/* Makes every insert of a recording fail with the given SQLSTATE until fix(). */
static void break_with(const void *ctx, const char *table, const char *state)
{
	sqlf(ctx,
	     "CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'"
	     " USING ERRCODE = '?'; END $$",
	     state);
	sqlf(ctx, "CREATE TRIGGER broken BEFORE INSERT ON ? FOR EACH ROW EXECUTE FUNCTION broken()", table);
}

static void fix(void)
{
	sql("DROP FUNCTION broken() CASCADE");
}

/* Two hosts spool through one outage and move at the same time; one of them is started again with what it left. */
Test(store_pg_faults, spools_of_two_hosts)
{
	struct store *hosts[2];
	void *ctx = talloc_new(NULL);
	int64_t moved, all = 0;
	pid_t child;
	int state;

	hosts[0] = store_pg_open();
	config_set(conf, CFG_DATA_DIR, mem_printf(conf, "%s/other", folder));
	hosts[1] = open_another();
	allow(false);
	end_connections();
	for (int i = 0; i < 20; i++)
		for (int h = 0; h < 2; h++)
			cr_assert_eq(store_commit(hosts[h], list_of(ctx, an_event(ctx, "test.hosts")), true), ST_OK);
	allow(true);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.hosts'"), "0");
	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct store *again = open_another();

		_exit(store_audit_maintain(again, &moved) == ST_OK && moved == 20 ? 0 : 1);
	}
	for (int tries = 0; all < 20 && tries < 100; tries++) { /* it may hold off connecting for a moment */
		if (store_audit_maintain(hosts[0], &moved) == ST_OK)
			all += moved;
		usleep(100000);
	}
	cr_assert_eq(waitpid(child, &state, 0), child);
	cr_expect_eq(state, 0);
	cr_expect_eq(all, 20);
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.hosts'"), "40");
	talloc_free(hosts[1]);
	talloc_free(ctx);
	store_pg_close(hosts[0]);
}

Test(store_pg_faults, failures_by_class)
{
	static const struct {
		const char *state;
		status st;
	} cases[] = {
	    {"08006", ST_UNAVAILABLE}, {"57P01", ST_UNAVAILABLE}, {"53300", ST_UNAVAILABLE}, {"53100", ST_NO_SPACE},
	    {"40001", ST_UNAVAILABLE}, {"40P01", ST_UNAVAILABLE}, {"22003", ST_INVALID},     {"23514", ST_INVALID},
	    {"23505", ST_CONFLICT},    {"57014", ST_UNAVAILABLE}, {"55P03", ST_UNAVAILABLE}, {"P0001", ST_INTERNAL},
	    {"42P01", ST_UNAVAILABLE}, {"42501", ST_INTERNAL},
	};
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *prefix, *node = five_recordings(s, ctx, &prefix);
	struct query q = of_node(node);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		break_with(ctx, "recordings", cases[i].state);
		cr_expect_eq(store_insert(s, ctx, &model_recordings,
		                          a_recording(ctx, id_new(ctx, "rec_"), node, "2031-01-01T00:00:00.000Z", ""),
		                          NULL),
		             cases[i].st, "%s", cases[i].state);
		fix();
		/* Only that request: reads go on, and the unit of work is usable at once, as nothing was written. */
		cr_expect_eq(count_of(s, ctx, &model_recordings, &q), 5 + (int64_t)i);
		insert_ok(s, ctx, &model_recordings,
		          a_recording(ctx, id_new(ctx, "rec_"), node, "2031-01-01T00:00:00.000Z", ""));
		cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.class")), true), ST_OK);
	}
	cr_expect_str_eq(sql_text(ctx, "SELECT count(*) FROM audit_events WHERE action = 'test.class'"), "14");
	talloc_free(ctx);
	store_pg_close(s);
}

/* A failure after a write: the whole unit is lost, and says so until it is ended. */
Test(store_pg_faults, failure_after_a_write)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *first = id_new(ctx, "rec_");
	json_object *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, first, "n", "2031-01-01T00:00:00.000Z", ""));
	break_with(ctx, "schedules", "22003");
	cr_expect_eq(
	    store_insert(s, ctx, &model_schedules,
	                 parse(ctx, "{\"enabled\":true,\"folderTemplate\":\"f\",\"id\":\"s\",\"name\":\"n\","
	                            "\"recurrence\":{},\"room\":\"r\",\"timezone\":\"UTC\",\"titleTemplate\":\"t\"}"),
	                 NULL),
	    ST_INVALID);
	cr_expect_eq(store_get(s, ctx, &model_recordings, first, &got), ST_INVALID);
	cr_expect_eq(store_commit(s, NULL, true), ST_INVALID);
	fix();
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_get(s, ctx, &model_recordings, first, &got), ST_NOT_FOUND);
	talloc_free(ctx);
	store_pg_close(s);
}

/* The audit table refuses: the writes are committed all the same, the events are kept. */
Test(store_pg_faults, audit_never_fails_a_request)
{
	struct store *s = store_pg_open();
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");
	json_object *got;
	int64_t moved;

	break_with(ctx, "audit_events", "P0001");
	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.refused")), true), ST_OK);
	cr_expect_eq(store_commit(s, list_of(ctx, an_event(ctx, "test.refused")), false), ST_OK);
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	cr_expect_eq(spool_files(), 1);
	cr_expect_neq(store_audit_maintain(s, &moved), ST_OK);
	fix();
	cr_expect_eq(store_audit_maintain(s, &moved), ST_OK);
	cr_expect_eq(moved, 2);
	talloc_free(ctx);
	store_pg_close(s);
}
