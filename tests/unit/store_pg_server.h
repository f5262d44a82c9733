/*
 * A Postgres store on the test server, and a second connection that looks at tables and breaks things.
 * RAKKR_TEST_DATABASE_URL names a migrated database of its own whose rows may go, of a role that may create triggers
 * and end other connections; without it every test is skipped.
 */
#ifndef RAKKR_TESTS_STORE_PG_SERVER_H
#define RAKKR_TESTS_STORE_PG_SERVER_H

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

static inline void sql(const char *text)
{
	PGresult *r = PQexec(admin, text);

	cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", text,
	          PQerrorMessage(admin));
	PQclear(r);
}

static inline const char *sql_text(const void *ctx, const char *text)
{
	PGresult *r = PQexec(admin, text);
	char *out;

	cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(admin));
	out = mem_strdup(ctx, PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	return out;
}

static inline void sqlf(const void *ctx, const char *fmt, const char *value)
{
	sql(mem_printf(ctx, "%.*s%s%s", (int)(strchr(fmt, '?') - fmt), fmt, value, strchr(fmt, '?') + 1));
}

static inline struct store *open_another(void)
{
	const char *error = NULL;
	struct store *s = store_open(NULL, conf, &error);

	cr_assert(s != NULL, "%s", error);
	cr_assert(store_is_database(s));
	return s;
}

static inline struct store *store_pg_open(void)
{
	const char *url = getenv("RAKKR_TEST_DATABASE_URL");

	if (url == NULL)
		cr_skip_test("RAKKR_TEST_DATABASE_URL is not set");
	log_init("test", LOG_LEVEL_ERROR);
	admin = PQconnectdb(url);
	for (int i = 0; PQstatus(admin) != CONNECTION_OK && i < 300; i++) { /* another test keeps everybody out */
		PQfinish(admin);
		usleep(100000);
		admin = PQconnectdb(url);
	}
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

static inline void store_pg_close(struct store *s)
{
	cr_expect_eq(system(mem_printf(conf, "rm -rf '%s'", folder)), 0);
	talloc_free(s);
	talloc_free(conf);
	PQfinish(admin);
}

static inline void end_connections(void)
{
	sql("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = 'rakkr-fcgi'"
	    " AND datname = current_database()");
}

/* Nobody can connect any more; undone by allow(). Another database must exist to do it from. */
static inline void allow(bool yes)
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

static inline int spool_files(void)
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

#endif
