#include "http/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void nap(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* Another database of the server: what is done to ours does not touch it. */
static PGconn *server(void)
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

static void server_do(PGconn *c, const char *statement)
{
	PGresult *r = PQexec(c, statement);

	cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", statement,
	          PQerrorMessage(c));
	PQclear(r);
}

PGconn *other;
const char *database;

void bring_back(void)
{
	if (other != NULL && database != NULL)
		PQclear(PQexec(other, fmt("ALTER DATABASE \"%s\" ALLOW_CONNECTIONS true", database)));
}

void prepare(void)
{
	if (!on_postgres())
		cr_skip_test("flat files");
	database = sql("SELECT current_database()");
	other = server();
	atexit(bring_back);
}

void take_away(void)
{
	server_do(other, fmt("ALTER DATABASE \"%s\" ALLOW_CONNECTIONS false", database));
	server_do(other, fmt("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", database));
	nap(50);
}

bool is_degraded(const struct response *r)
{
	const char *value = header(r, "x-rakkr-degraded");

	return value != NULL && strcmp(value, "database") == 0;
}

bool back_to_normal(void *arg)
{
	(void)arg;
	for (int i = 0; i < 24; i++) {
		struct response r = get("/api/v1/nodes", admin());

		if (r.status != 200 || is_degraded(&r) || get("/readyz", NULL).status != 200)
			return false;
	}
	return true;
}
