#include "http/instance.h"

#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char own[200], database[40];

const char *own_dir(void)
{
	return own;
}

static void own_command(const char *what)
{
	int rc = system(fmt("'%s/bootstrap' %s --dir '%s' >>'%s.log' 2>&1", getenv("srcdir"), what, own, own));
	cr_assert_eq(rc, 0, "%s: see %s.log", what, own);
}

/* The URL of the tests' database with another name: "postgresql:///NAME?host=...". */
static const char *own_database(void)
{
	const char *url = getenv("RAKKR_TEST_DATABASE_URL"), *options = strchr(url, '?');

	cr_assert_not_null(options, "%s", url);
	if (database[0] == '\0') {
		snprintf(database, sizeof(database), "own_%d", getpid());
		sql("CREATE DATABASE %s TEMPLATE template0", database);
	}
	return fmt("postgresql:///%s%s", database, options);
}

/* url NULL: on flat files. */
static void start_on(const char *url)
{
	int port = 30000 + getpid() % 9000;

	if (own[0] == '\0')
		snprintf(own, sizeof(own), "%s/own-%d", instance_dir(), getpid());
	setenv("RAKKR_LOCAL_ADMIN_PASSWORD", "test-administrator", 1);
	unsetenv("DATABASE_URL");
	own_command(fmt("run --background --program '%s' --https-port %d%s", getenv("RAKKR_TEST_PROGRAM"), port,
	                url != NULL ? fmt(" --database-url '%s'", url) : ""));
	setenv("RAKKR_TEST_URL", fmt("https://127.0.0.1:%d", port), 1);
}

void own_start(bool with_database)
{
	start_on(with_database && on_postgres() ? own_database() : NULL);
}

void own_join(void)
{
	start_on(getenv("RAKKR_TEST_DATABASE_URL"));
}

void own_stop(void)
{
	own_command("stop");
}

void own_end(void)
{
	own_stop();
	if (database[0] != '\0')
		sql("DROP DATABASE %s WITH (FORCE)", database);
	if (system(fmt("rm -rf '%s' '%s.log'", own, own)) != 0)
		cr_log_warn("cannot remove %s", own);
}
