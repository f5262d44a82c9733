/*
 * Migration and verification against a real server: RAKKR_TEST_DATABASE_URL is a superuser's URL of a private Postgres.
 * Every test makes databases of its own. Skipped without the variable.
 */
#include "base/mem.h"
#include "store/migrate.h"
#include "store/verify.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RAKKR_TEST_SQLDIR
#define RAKKR_TEST_SQLDIR "sql"
#endif
#ifndef RAKKR_TEST_FIXTURES
#define RAKKR_TEST_FIXTURES "tests/fixtures"
#endif

#define CURRENT_STEP "1781994170113"

extern char **environ;

static void *mem;
static char *name; /* the test's database */
static char *url;
static PGconn *db;

static const char *server(void)
{
	const char *s = getenv("RAKKR_TEST_DATABASE_URL");
	return s != NULL && *s != '\0' ? s : NULL;
}

static PGconn *connect_db(const char *dbname)
{
	const char *keys[] = {"dbname", "dbname", NULL};
	const char *values[] = {server(), dbname, NULL};
	PGconn *c = PQconnectdbParams(keys, values, 1);
	cr_assert_eq(PQstatus(c), CONNECTION_OK, "%s", PQerrorMessage(c));
	return c;
}

static void run_on(PGconn *c, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", sql,
	          PQerrorMessage(c));
	PQclear(r);
}

/* First value of a query; "" for NULL or no row. */
static const char *value_on(PGconn *c, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(c));
	const char *v = PQntuples(r) > 0 ? mem_strdup(mem, PQgetvalue(r, 0, 0)) : "";
	PQclear(r);
	return v;
}

static const char *value(const char *sql)
{
	return value_on(db, sql);
}

static void admin(const char *sql)
{
	PGconn *c = connect_db("postgres");
	run_on(c, sql);
	PQfinish(c);
}

static void setup(void)
{
	mem = talloc_new(NULL);
	if (server() == NULL)
		return;
	name = mem_printf(mem, "rakkr_test_%ld", (long)getpid());
	admin(mem_printf(mem, "CREATE DATABASE %s TEMPLATE template0", name));
	db = connect_db(name);
	/* the same server under another database name, as a keyword string */
	PQconninfoOption *options = PQconninfo(db);
	url = mem_printf(mem, "dbname=%s", name);
	for (PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (o->val != NULL && (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "port") == 0 ||
		                       strcmp(o->keyword, "user") == 0 || strcmp(o->keyword, "password") == 0))
			url = mem_printf(mem, "%s %s='%s'", url, o->keyword, o->val);
	PQconninfoFree(options);
}

static void teardown(void)
{
	if (db != NULL) {
		PQfinish(db);
		admin(mem_printf(mem, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name));
	}
	talloc_free(mem);
}

TestSuite(migrate, .init = setup, .fini = teardown, .timeout = 120);

#define NEED_SERVER()                                                                                                  \
	do {                                                                                                           \
		if (server() == NULL)                                                                                  \
			cr_skip("RAKKR_TEST_DATABASE_URL is not set");                                                 \
	} while (0)

/* What the last call wrote. */
static char *said;

static int with_output(int (*call)(FILE *out))
{
	size_t n = 0;
	free(said);
	FILE *out = open_memstream(&said, &n);
	int code = call(out);
	fclose(out);
	return code;
}

static int do_migrate(FILE *out)
{
	return migrate_run(url, RAKKR_TEST_SQLDIR, out);
}

static int do_status(FILE *out)
{
	return migrate_status(url, RAKKR_TEST_SQLDIR, out);
}

static int do_prepare(FILE *out)
{
	return migrate_prepare(url, RAKKR_TEST_SQLDIR, true, out);
}

static int do_prepare_plain(FILE *out)
{
	return migrate_prepare(url, RAKKR_TEST_SQLDIR, false, out);
}

static int do_verify(FILE *out)
{
	return verify_run(url, RAKKR_TEST_SQLDIR, out);
}

#define EXPECT(call, code) cr_expect_eq(with_output(call), (code), "%s", said)
#define ASSERT(call, code) cr_assert_eq(with_output(call), (code), "%s", said)

/* Runs a file with psql: dumps hold COPY data. */
static void load(const char *file)
{
	const char *path = mem_printf(mem, "%s/%s", RAKKR_TEST_FIXTURES, file);
	char *argv[] = {"psql", "-qXo", "/dev/null", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", (char *)path, NULL};
	pid_t pid;
	int how;
	cr_assert_eq(posix_spawnp(&pid, "psql", NULL, NULL, argv, environ), 0);
	waitpid(pid, &how, 0);
	cr_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0, "psql -f %s", path);
}

/* Runs call in n processes at once; each must end with 0. */
static void at_once(int n, int (*call)(FILE *out))
{
	pid_t pids[16];
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(call(stderr));
	}
	for (int i = 0; i < n; i++) {
		int how;
		waitpid(pids[i], &how, 0);
		cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 0, "process %d", i);
	}
}

static struct facts *facts(void)
{
	struct facts *f = facts_load(mem, RAKKR_TEST_SQLDIR, stderr);
	cr_assert_not_null(f);
	return f;
}

/* One checksum a table over all its rows. */
static const char *rows_sum(void)
{
	struct facts *f = facts();
	const char *sum = "";
	for (size_t i = 0; i < f->table_count; i++)
		sum = mem_printf(
		    mem, "%s%s=%s ", sum, f->tables[i],
		    value(mem_printf(mem,
		                     "SELECT md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) "
		                     "FROM public.%s t",
		                     f->tables[i])));
	return sum;
}

/* "1,2,...": the steps that there are. */
static const char *all_versions(void)
{
	glob_t files;
	const char *list = "";

	cr_assert_eq(glob(RAKKR_TEST_SQLDIR "/[0-9]*.sql", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		list = mem_printf(mem, "%s%s%d", list, i > 0 ? "," : "", atoi(strrchr(files.gl_pathv[i], '/') + 1));
	globfree(&files);
	return list;
}

static void expect_complete(void)
{
	cr_expect_str_eq(value("SELECT count(*) FROM drizzle.__drizzle_migrations"), "26");
	cr_expect_str_eq(value("SELECT max(created_at) FROM drizzle.__drizzle_migrations"), CURRENT_STEP);
	cr_expect_str_eq(value("SELECT string_agg(version::text, ',' ORDER BY version) FROM rakkr_fcgi.migrations"),
	                 all_versions());
	cr_expect_str_eq(value("SELECT count(*) >= 3 FROM pg_trigger WHERE tgname LIKE 'rakkr\\_fcgi\\_tally\\_%' AND "
	                       "NOT tgisinternal"),
	                 "t");
	EXPECT(do_status, MIGRATE_OK);
}

Test(migrate, empty_then_again)
{
	NEED_SERVER();
	EXPECT(do_status, MIGRATE_FAILED);
	cr_expect_not_null(strstr(said, "pending: the database is empty"), "%s", said);
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_not_null(strstr(said, "created"), "%s", said);
	expect_complete();
	cr_expect_str_eq(value("SELECT max(id) FROM drizzle.__drizzle_migrations"), "26");
	cr_expect_str_eq(value("SELECT nextval('drizzle.__drizzle_migrations_id_seq')"), "27");
	const char *before = value("SELECT string_agg(m::text, ' ' ORDER BY version) FROM rakkr_fcgi.migrations m");
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_str_eq(said, "");
	cr_expect_str_eq(value("SELECT string_agg(m::text, ' ' ORDER BY version) FROM rakkr_fcgi.migrations m"),
	                 before);
}

Test(migrate, two_at_once)
{
	NEED_SERVER();
	at_once(2, do_migrate);
	expect_complete();
}

Test(migrate, five_at_once_with_seeds)
{
	NEED_SERVER();
	at_once(5, do_prepare);
	expect_complete();
	cr_expect_str_eq(value("SELECT count(*) FROM recordings"), "1");
	cr_expect_str_eq(value("SELECT count(*) FROM schedules"), "1");
	cr_expect_str_eq(value("SELECT count(*) FROM recording_profiles"), "1");
	cr_expect_str_eq(value("SELECT count(*) FROM watchdog_policies"), "1");
}

Test(migrate, five_at_once_on_an_older_database)
{
	NEED_SERVER();
	load("upstream-0000.sql");
	run_on(db,
	       "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT "
	       "NULL, created_at bigint); INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES "
	       "('x', 1781705740754)");
	at_once(5, do_migrate);
	expect_complete();
}

Test(migrate, seeds)
{
	NEED_SERVER();
	ASSERT(do_prepare_plain, MIGRATE_OK);
	cr_expect_str_eq(value("SELECT count(*) FROM recordings"), "0");
	cr_expect_str_eq(value("SELECT rules->>'thresholdDbfs' FROM watchdog_policies"), "-45");
	cr_expect_str_eq(value("SELECT settings::text FROM recording_profiles"), "{}");
	ASSERT(do_prepare, MIGRATE_OK);
	cr_expect_str_eq(value("SELECT name FROM recordings"), "2026-06-15_0900_Council Meeting_Council Chamber Rack");
	cr_expect_str_eq(value("SELECT metadata->>'cached' FROM recordings"), "false");
	cr_expect_str_eq(value("SELECT metadata->>'uploadPolicyId' FROM recordings"), "upload-policy-stub");
	cr_expect_str_eq(value("SELECT jsonb_array_length(metadata->'transcriptSnippets') FROM recordings"), "2");
	cr_expect_str_eq(value("SELECT recurrence->>'mode' FROM schedules"), "weekly");
	cr_expect_str_eq(value("SELECT sum(n) FROM rakkr_fcgi.tally WHERE name = 'recordings'"), "1");
	run_on(db, "DELETE FROM recordings; DELETE FROM schedules; DELETE FROM recording_profiles");
	ASSERT(do_prepare, MIGRATE_OK);
	cr_expect_str_eq(value("SELECT count(*) FROM recordings"), "0", "demo rows do not come back");
	cr_expect_str_eq(value("SELECT count(*) FROM recording_profiles"), "1", "the default profile does");
}

Test(migrate, adopts_an_existing_database)
{
	NEED_SERVER();
	load("existing-database.sql");
	const char *before = rows_sum();
	const char *bookkeeping =
	    value("SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM drizzle.__drizzle_migrations m");
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_str_eq(rows_sum(), before);
	cr_expect_str_eq(value("SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM drizzle.__drizzle_migrations m"),
	                 bookkeeping);
	expect_complete();
	cr_expect_str_eq(value("SELECT sum(n) = (SELECT count(*) FROM recordings) FROM rakkr_fcgi.tally"), "t");
	EXPECT(do_verify, 0);
}

Test(migrate, adopts_without_bookkeeping_only_when_equal)
{
	NEED_SERVER();
	load("existing-database.sql");
	run_on(db, "DROP SCHEMA drizzle CASCADE; CREATE TABLE public.stranger (id integer)");
	ASSERT(do_migrate, MIGRATE_REFUSED_DAMAGED);
	cr_expect_not_null(strstr(said, "unexpected table stranger"), "%s", said);
	run_on(db, "DROP TABLE public.stranger");
	const char *before = rows_sum();
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_str_eq(rows_sum(), before);
	expect_complete();
}

Test(migrate, refuses_a_newer_database)
{
	NEED_SERVER();
	load("existing-database.sql");
	run_on(db, "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', " CURRENT_STEP " + 1)");
	const char *before = rows_sum();
	ASSERT(do_migrate, MIGRATE_REFUSED_NEWER);
	cr_expect_str_eq(rows_sum(), before);
	cr_expect_str_eq(value("SELECT to_regclass('rakkr_fcgi.migrations')"), "");
}

Test(migrate, refuses_what_a_newer_program_applied)
{
	NEED_SERVER();
	ASSERT(do_migrate, MIGRATE_OK);
	run_on(db, "INSERT INTO rakkr_fcgi.migrations (version, name, sha256) VALUES (99, '0099_later.sql', 'x')");
	EXPECT(do_migrate, MIGRATE_REFUSED_NEWER);
}

Test(migrate, refuses_a_changed_file)
{
	NEED_SERVER();
	ASSERT(do_migrate, MIGRATE_OK);
	run_on(db, "UPDATE rakkr_fcgi.migrations SET sha256 = 'x' WHERE version = 2");
	EXPECT(do_migrate, MIGRATE_FAILED);
	cr_expect_not_null(strstr(said, "checksum"), "%s", said);
}

struct damage {
	const char *sql, *line;
};

Test(migrate, refuses_a_damaged_database)
{
	NEED_SERVER();
	static const struct damage cases[] = {
	    {"DROP TABLE upload_queue_items", "missing table upload_queue_items"},
	    {"ALTER TABLE recordings DROP COLUMN folder", "missing column recordings.folder: text"},
	    {"ALTER TABLE recordings ALTER COLUMN checksum TYPE text", "column recordings.checksum is text"},
	    {"ALTER TABLE users DROP CONSTRAINT users_email_unique", "missing unique users_email_unique"},
	    {"ALTER TYPE node_status RENAME VALUE 'degraded' TO 'tired'", "enum node_status is online, offline, tired"},
	    {"ALTER TABLE schedules ALTER COLUMN node_id SET NOT NULL", "nullable schedules.node_id is not null"},
	    {"ALTER TABLE nodes ADD COLUMN colour text NOT NULL", "unexpected column nodes.colour"},
	    {"DELETE FROM drizzle.__drizzle_migrations WHERE created_at > 1781941420876; "
	     "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', 1781941420877)",
	     "a step that nobody made"},
	};
	load("existing-database.sql");
	run_on(db,
	       "DELETE FROM schedules WHERE node_id IS NULL; DELETE FROM audio_channels; DELETE FROM audio_interfaces; "
	       "DELETE FROM node_credentials; DELETE FROM nodes");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *copy = mem_printf(mem, "%s_%zu", name, i);
		PQfinish(db);
		admin(mem_printf(mem, "CREATE DATABASE %s TEMPLATE %s", copy, name));
		db = connect_db(copy);
		run_on(db, cases[i].sql);
		char *own = url;
		url = mem_printf(mem, "%s dbname=%s", url, copy);
		EXPECT(do_migrate, MIGRATE_REFUSED_DAMAGED);
		cr_expect_not_null(strstr(said, cases[i].line), "%s: %s", cases[i].sql, said);
		cr_expect_str_eq(value("SELECT to_regclass('rakkr_fcgi.migrations')"), "");
		url = own;
		PQfinish(db);
		admin(mem_printf(mem, "DROP DATABASE %s", copy));
		db = connect_db(name);
	}
}

Test(migrate, notes_harmless_differences)
{
	NEED_SERVER();
	load("existing-database.sql");
	run_on(db, "DROP INDEX users_email_idx; ALTER TABLE nodes ADD COLUMN colour text");
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_not_null(strstr(said, "note: missing index users_email_idx"), "%s", said);
	cr_expect_not_null(strstr(said, "note: unexpected column nodes.colour: text"), "%s", said);
}

/* From the first step with rows in it; every later step is applied by the program. */
Test(migrate, upgrades_an_older_database)
{
	NEED_SERVER();
	load("upstream-0000.sql");
	run_on(db, "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text "
	           "NOT NULL, "
	           "created_at bigint); INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', "
	           "1781705740754);"
	           "INSERT INTO nodes (id, agent_version, alias, hostname) VALUES "
	           "('5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a10', '1', "
	           "'a', 'h'); INSERT INTO schedules (id, folder_template, name, node_id, recurrence, timezone, "
	           "title_template) "
	           "VALUES ('5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a11', 'f', 'n', '5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a10', "
	           "'{}', 'UTC', "
	           "'t'); INSERT INTO recordings (id, folder, name, recorded_at, source, status) VALUES "
	           "('5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a12', 'f', 'n', now(), 'ad_hoc', 'queued'); "
	           "INSERT INTO health_events (recording_id, opened_at, severity, type) VALUES "
	           "('5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a12', now(), 'info', 'x'); INSERT INTO audit_events (action) "
	           "VALUES ('a')");
	EXPECT(do_status, MIGRATE_FAILED);
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_not_null(strstr(said, "upgraded from step 0000_bored_nick_fury"), "%s", said);
	expect_complete();
	cr_expect_str_eq(value("SELECT node_id || ' ' || room FROM schedules"),
	                 "5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a10 Unknown Room");
	cr_expect_str_eq(value("SELECT recording_id || ' ' || status FROM health_events"),
	                 "5b1f9f70-52c1-4a6b-8e2f-0f8c2f4f7a12 open");
	cr_expect_str_eq(value("SELECT outcome FROM audit_events"), "succeeded");
	EXPECT(do_verify, 0);
}

Test(migrate, failed_upgrade_leaves_nothing)
{
	NEED_SERVER();
	load("upstream-0000.sql");
	run_on(db,
	       "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT "
	       "NULL, created_at bigint); INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES "
	       "('x', 1781705740754); DROP INDEX users_email_idx; ALTER TABLE users RENAME COLUMN name TO title");
	ASSERT(do_migrate, MIGRATE_REFUSED_DAMAGED);
	cr_expect_not_null(strstr(said, "missing column users.name"), "%s", said);
	cr_expect_str_eq(value("SELECT count(*) FROM drizzle.__drizzle_migrations"), "1");
	cr_expect_str_eq(value("SELECT to_regclass('public.upload_policies')"), "");
}

Test(migrate, keeps_the_newest_credential)
{
	NEED_SERVER();
	load("existing-database.sql");
	run_on(db, "INSERT INTO nodes (id, agent_version, alias, hostname) VALUES ('n_many', '1', 'a', 'h'); "
	           "INSERT INTO node_credentials (node_id, token_hash, token_prefix, created_at) "
	           "SELECT 'n_many', 'hash' || i, 'p', now() - i * interval '1 hour' FROM generate_series(1, 4) AS i");
	ASSERT(do_migrate, MIGRATE_OK);
	cr_expect_str_eq(value("SELECT string_agg(token_hash, ',') FROM node_credentials WHERE node_id = 'n_many' AND "
	                       "revoked_at IS NULL"),
	                 "hash1");
	PGresult *r =
	    PQexec(db, "INSERT INTO node_credentials (node_id, token_hash, token_prefix) VALUES ('n_many', 'x', 'p')");
	cr_expect_str_eq(PQresultErrorField(r, PG_DIAG_SQLSTATE), "23505");
	PQclear(r);
}

Test(migrate, encodings_that_are_not_utf8)
{
	NEED_SERVER();
	PQfinish(db);
	admin(mem_printf(mem, "DROP DATABASE %s", name));
	admin(mem_printf(mem, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'", name));
	db = connect_db(name);
	EXPECT(do_migrate, MIGRATE_FAILED);
	cr_expect_not_null(strstr(said, "SQL_ASCII"), "%s", said);
	cr_expect_str_eq(value("SELECT count(*) FROM pg_namespace WHERE nspname IN ('drizzle', 'rakkr_fcgi')"), "0");
	PQfinish(db);
	admin(mem_printf(mem, "DROP DATABASE %s", name));
	admin(mem_printf(mem, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'", name));
	db = connect_db(name);
	EXPECT(do_migrate, MIGRATE_OK);
	cr_expect_not_null(strstr(said, "LATIN1"), "%s", said);
}

Test(migrate, unreachable_server)
{
	NEED_SERVER();
	url = "host=/nonexistent dbname=x";
	EXPECT(do_migrate, MIGRATE_UNREACHABLE);
	cr_expect_not_null(strstr(said, "cannot connect"), "%s", said);
}

Test(facts, one_and_the_same)
{
	void *ctx = talloc_new(NULL);
	struct facts *installed = facts_load(ctx, RAKKR_TEST_SQLDIR, stderr);
	struct facts *fixture = facts_load(ctx, RAKKR_TEST_FIXTURES, stderr);
	cr_assert(installed != NULL && fixture != NULL);
	cr_expect_eq(catalog_compare(&fixture->catalog, &installed->catalog, "", stderr).count, 0);
	cr_expect_eq(installed->step_count, 26);
	cr_expect_eq(installed->table_count, 27);
	talloc_free(ctx);
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

Test(migrate, verify_finds_planted_differences)
{
	NEED_SERVER();
	ASSERT(do_migrate, MIGRATE_OK);
	EXPECT(do_verify, 0);
	cr_expect_str_eq(said, "");
	static const struct damage cases[] = {
	    {"ALTER TABLE nodes ALTER COLUMN alias TYPE varchar(80)",
	     "database: column nodes.alias is character varying(80), expected character varying(160)"},
	    {"DROP INDEX nodes_alias_idx", "database: missing index nodes_alias_idx"},
	    {"ALTER TABLE nodes ADD COLUMN colour text", "database: model nodes: column nodes.colour is not declared"},
	    {"ALTER TYPE health_severity ADD VALUE 'fatal'",
	     "database: enum health_severity is info, warning, critical, fatal"},
	    {"ALTER TABLE users DROP COLUMN provider", "database: model users: provider has no column users.provider"},
	    {"CREATE INDEX stray ON users (name)", "database: unexpected index stray"},
	    {"DELETE FROM drizzle.__drizzle_migrations WHERE created_at = 1781705740754",
	     "database: missing step 1781705740754: 0000_bored_nick_fury"},
	    {"ALTER TABLE users ALTER COLUMN updated_at DROP DEFAULT", "database: default users.updated_at is none"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_on(db, cases[i].sql);
		EXPECT(do_verify, 1);
		cr_expect_not_null(strstr(said, cases[i].line), "%s: %s", cases[i].sql, said);
	}
	cr_expect_str_eq(value("SELECT count(*) FROM pg_database WHERE datname = 'rakkr_verify_' || "
	                       "regexp_replace(current_database(), '\\D', '', 'g')"),
	                 "0", "the throwaway database is gone");
}

/* ---- tally ------------------------------------------------------------------------------------------------------- */

static void expect_tally(void)
{
	cr_expect_str_eq(value("SELECT sum(n) - (SELECT count(*) FROM recordings) FROM rakkr_fcgi.tally WHERE name = "
	                       "'recordings'"),
	                 "0");
}

#define ROWS "INSERT INTO recordings (id, folder, name, recorded_at, source, status) SELECT "

/* Inserts, upserts, deletes, rollbacks and savepoints of one writer. */
static int tally_writer(FILE *out)
{
	(void)out;
	PGconn *c = connect_db(name);
	for (int i = 0; i < 40; i++) {
		char *id = mem_printf(mem, "'r%d_%d_' || g", (int)getpid(), i);
		run_on(c, "BEGIN");
		run_on(c, mem_printf(
		              mem, ROWS "%s, 'f', 'n', now(), 'ad_hoc', 'queued' FROM generate_series(1, 5) AS g", id));
		run_on(c, "SAVEPOINT s");
		run_on(c, mem_printf(
		              mem, ROWS "%s, 'f', 'n', now(), 'ad_hoc', 'queued' FROM generate_series(6, 9) AS g", id));
		run_on(c, i % 2 ? "ROLLBACK TO s" : "RELEASE s");
		run_on(c, mem_printf(mem,
		                     ROWS "%s, 'f', 'n', now(), 'ad_hoc', 'queued' FROM generate_series(4, 7) AS g "
		                          "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
		                     id));
		run_on(c, mem_printf(mem, "DELETE FROM recordings WHERE id LIKE 'r%d\\_%d\\_%%' AND id LIKE '%%3'",
		                     (int)getpid(), i));
		run_on(c, i % 5 == 4 ? "ROLLBACK" : "COMMIT");
	}
	PQfinish(c);
	return 0;
}

Test(migrate, tally_is_exact)
{
	NEED_SERVER();
	load("existing-database.sql");
	ASSERT(do_migrate, MIGRATE_OK);
	expect_tally();
	at_once(8, tally_writer);
	expect_tally();
	cr_expect_str_neq(value("SELECT count(*) FROM recordings"), "6");
	run_on(db, "BEGIN; TRUNCATE recordings; ROLLBACK");
	expect_tally();
	run_on(db, "TRUNCATE recordings");
	expect_tally();
	at_once(2, tally_writer);
	expect_tally();
}

/* Writers that hold the same bucket never wait for each other. */
Test(migrate, tally_does_not_block)
{
	NEED_SERVER();
	ASSERT(do_migrate, MIGRATE_OK);
	PGconn *c[6];
	for (int i = 0; i < 6; i++) {
		c[i] = connect_db(name);
		run_on(c[i], "SET lock_timeout = '500ms'; BEGIN");
		for (int k = 0; k < 3; k++)
			run_on(c[i], mem_printf(mem, ROWS "'b%d_%d', 'f', 'n', now(), 'ad_hoc', 'queued'", i, k));
	}
	for (int i = 0; i < 6; i++) {
		run_on(c[i], i % 2 ? "COMMIT" : "ROLLBACK");
		PQfinish(c[i]);
	}
	expect_tally();
	cr_expect_str_eq(value("SELECT count(*) FROM recordings"), "9");
}

/* The existing controller's role knows nothing of our schema. */
Test(migrate, triggers_need_no_privileges)
{
	NEED_SERVER();
	ASSERT(do_migrate, MIGRATE_OK);
	char *role = mem_printf(mem, "rakkr_role_%ld", (long)getpid());
	run_on(db, mem_printf(mem, "CREATE ROLE %s; GRANT SELECT, INSERT, DELETE, TRUNCATE ON recordings TO %s", role,
	                      role));
	run_on(db, "REVOKE ALL ON SCHEMA rakkr_fcgi FROM PUBLIC");
	run_on(db, mem_printf(mem, "SET ROLE %s", role));
	run_on(db, ROWS "'x', 'f', 'n', now(), 'ad_hoc', 'queued'");
	run_on(db, ROWS "'y', 'f', 'n', now(), 'ad_hoc', 'queued'");
	run_on(db, "DELETE FROM recordings WHERE id = 'x'");
	run_on(db, "RESET ROLE");
	expect_tally();
	cr_expect_str_eq(value("SELECT count(*) FROM recordings"), "1");
	run_on(db, mem_printf(mem, "SET ROLE %s", role));
	run_on(db, "TRUNCATE recordings");
	run_on(db, "RESET ROLE");
	expect_tally();
	run_on(db, mem_printf(mem, "DROP OWNED BY %s; DROP ROLE %s", role, role));
}
