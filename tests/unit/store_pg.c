/*
 * The Postgres store against a real server: what it shares with flat files, and what only a database can do to it.
 * RAKKR_TEST_DATABASE_URL names a migrated database of its own whose rows may go, of a role that may create triggers
 * and end other connections; without it every test here is skipped.
 */
#include "unit/store_common.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static PGconn *admin; /* beside the store: looks at tables, breaks things; its lock makes tests go one by one */
static char folder[64];
static struct config *conf;

static void sql(const char *text)
{
	PGresult *r = PQexec(admin, text);

	cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", text,
	          PQerrorMessage(admin));
	PQclear(r);
}

static const char *sql_text(const void *ctx, const char *text)
{
	PGresult *r = PQexec(admin, text);
	char *out;

	cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(admin));
	out = mem_strdup(ctx, PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	return out;
}

static void sqlf(const void *ctx, const char *fmt, const char *value)
{
	sql(mem_printf(ctx, "%.*s%s%s", (int)(strchr(fmt, '?') - fmt), fmt, value, strchr(fmt, '?') + 1));
}

static struct store *open_another(void)
{
	const char *error = NULL;
	struct store *s = store_open(NULL, conf, &error);

	cr_assert(s != NULL, "%s", error);
	cr_assert(store_is_database(s));
	return s;
}

static struct store *store_pg_open(void)
{
	const char *url = getenv("RAKKR_TEST_DATABASE_URL");

	if (url == NULL)
		cr_skip_test("RAKKR_TEST_DATABASE_URL is not set");
	log_init("test", LOG_LEVEL_ERROR);
	admin = PQconnectdb(url);
	cr_assert_eq(PQstatus(admin), CONNECTION_OK, "%s", PQerrorMessage(admin));
	sql("SET client_min_messages TO error");
	sql("SELECT pg_advisory_lock(4711)");
	sql("TRUNCATE users, access_groups, access_policies, auth_sessions, nodes, node_credentials, recordings,"
	    " recording_jobs, schedules, health_events, audit_events, template_assignments, watchdog_policies CASCADE");
	snprintf(folder, sizeof(folder), "/tmp/rakkr-store-pg-XXXXXX");
	cr_assert(mkdtemp(folder) != NULL);
	cr_assert_eq(chdir(folder), 0); /* the default paths of flat files are relative */
	conf = config_defaults(NULL);
	config_set(conf, CFG_DATABASE_URL, url);
	config_set(conf, CFG_DATA_DIR, mem_printf(conf, "%s/data", folder));
	return open_another();
}

static void store_pg_close(struct store *s)
{
	cr_expect_eq(system(mem_printf(conf, "rm -rf '%s'", folder)), 0);
	talloc_free(s);
	talloc_free(conf);
	PQfinish(admin);
}

STORE_COMMON_TESTS(store_pg)

/* ---- the connection ---------------------------------------------------------------------------------------------- */

static void end_connections(void)
{
	sql("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = 'rakkr-fcgi'"
	    " AND datname = current_database()");
}

Test(store_pg, address_that_can_never_work)
{
	const char *error = NULL;
	struct config *c = config_defaults(NULL);

	config_set(c, CFG_DATABASE_URL, "postgres://u:secret@h/d?nonsense=1");
	cr_expect(store_open(c, c, &error) == NULL);
	cr_assert(error != NULL);
	cr_expect(strstr(error, "secret") == NULL);
	talloc_free(c);
}

Test(store_pg, connection_lost_between_requests)
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

Test(store_pg, connection_lost_inside_a_unit)
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

/* Nobody can connect any more; undone by allow(). Another database must exist to do it from. */
static void allow(bool yes)
{
	void *ctx = talloc_new(NULL);
	const char *name = PQdb(admin);
	PGconn *other;
	PGresult *r;

	const char *names[] = {"host", "port", "user", "password", "dbname", NULL};
	const char *values[] = {PQhost(admin), PQport(admin), PQuser(admin), PQpass(admin), "postgres", NULL};

	other = PQconnectdbParams(names, values, 0);
	cr_assert_eq(PQstatus(other), CONNECTION_OK, "%s", PQerrorMessage(other));
	r = PQexec(other, mem_printf(ctx, "ALTER DATABASE %s ALLOW_CONNECTIONS %s", name, yes ? "true" : "false"));
	cr_assert_eq(PQresultStatus(r), PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
	PQclear(r);
	PQfinish(other);
	talloc_free(ctx);
}

static int spool_files(void)
{
	char path[128];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/data/audit-spool", folder);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".jsonl") != NULL;
	closedir(d);
	return n;
}

Test(store_pg, outage_and_recovery)
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
Test(store_pg, silent_server)
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
Test(store_pg, outage_leaves_files_alone)
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

Test(store_pg, spool_of_killed_processes)
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
Test(store_pg, spool_goes_past_a_refused_event)
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
Test(store_pg, spool_survives_kills)
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

		sql(round % 2 == 0 ? "SELECT pg_advisory_unlock_all(), pg_advisory_lock(4711)"
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
Test(store_pg, spool_written_while_moved)
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

Test(store_pg, failures_by_class)
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
Test(store_pg, failure_after_a_write)
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
Test(store_pg, audit_never_fails_a_request)
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
