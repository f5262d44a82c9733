/* The database of an instance taken away and brought back, without harm to the server. */
#ifndef RAKKR_TESTS_FAULT_OUTAGE_H
#define RAKKR_TESTS_FAULT_OUTAGE_H

#include "http/harness.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACK_MS 5000 /* until everything must be as before */

static inline void nap(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* Another database of the server: what is done to ours does not touch it. */
static inline PGconn *server(void)
{
	PQconninfoOption *options = PQconninfoParse(getenv("RAKKR_TEST_DATABASE_URL"), NULL);
	const char *names[64], *values[64];
	int n = 0;
	PGconn *c;

	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL && n < 60; o++)
		if (o->val != NULL && strcmp(o->keyword, "dbname") != 0) {
			names[n] = o->keyword;
			values[n++] = o->val;
		}
	names[n] = "dbname";
	values[n++] = "postgres";
	names[n] = NULL;
	c = PQconnectdbParams(names, values, 0);
	cr_assert_eq(PQstatus(c), CONNECTION_OK, "%s", PQerrorMessage(c));
	return c;
}

static inline void server_do(PGconn *c, const char *statement)
{
	PGresult *r = PQexec(c, statement);

	cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", statement,
	          PQerrorMessage(c));
	PQclear(r);
}

static PGconn *other;
static const char *database;

static inline void bring_back(void)
{
	if (other != NULL && database != NULL)
		PQclear(PQexec(other, fmt("ALTER DATABASE \"%s\" ALLOW_CONNECTIONS true", database)));
}

static inline void prepare(void)
{
	if (!on_postgres())
		cr_skip_test("flat files");
	database = sql("SELECT current_database()");
	other = server();
	atexit(bring_back);
}

/* Every connection ends, and there is no new one. */
static inline void take_away(void)
{
	server_do(other, fmt("ALTER DATABASE \"%s\" ALLOW_CONNECTIONS false", database));
	server_do(other, fmt("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", database));
	nap(50);
}

static inline bool is_degraded(const struct response *r)
{
	const char *value = header(r, "x-rakkr-degraded");

	return value != NULL && strcmp(value, "database") == 0;
}

/* As before: many requests in a row, so that every worker has answered some of them. */
static inline bool back_to_normal(void *arg)
{
	(void)arg;
	for (int i = 0; i < 24; i++) {
		struct response r = get("/api/v1/nodes", admin());

		if (r.status != 200 || is_degraded(&r) || get("/readyz", NULL).status != 200)
			return false;
	}
	return true;
}

#endif
