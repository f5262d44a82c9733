/*
 * Packets between the controller and a database on another host vanish: nothing is refused, nothing is closed, nobody
 * answers. Postgres only, with an instance of its own. The database's host is a network namespace with a relay in it,
 * whose packets go into a black hole; without the right to make one, a relay that is stopped stands in for it.
 */
#include "http/outage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(vanish, .timeout = 240);

#define FAST_SECONDS 0.25
#define BEAT "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[]}"
#define TRIES 40

static char *dir, *space;
static pid_t relay;

static int run(const char *command)
{
	return system(fmt("%s >>'%s.log' 2>&1", command, dir));
}

static const char *bootstrap(void)
{
	const char *root = getenv("srcdir");

	return fmt("'%s/bootstrap'", root != NULL ? root : ".");
}

static void clean(void)
{
	if (relay > 0)
		kill(relay, SIGCONT);
	run(fmt("%s stop --dir '%s'", bootstrap(), dir));
	if (relay > 0) {
		kill(relay, SIGKILL);
		waitpid(relay, NULL, 0);
	}
	if (space != NULL)
		run(fmt("ip netns del %s", space));
	*strrchr(dir, '/') = '\0';
	if (system(fmt("rm -rf '%s'", dir)) != 0)
		fprintf(stderr, "%s cannot be removed\n", dir);
}

/* ---- the other host ---------------------------------------------------------------------------------------------- */

/* Addresses of this end and of the other one, from a range for tests of networks (RFC 2544). */
static char *address(int end)
{
	return fmt("198.18.%d.%d", getpid() % 250 + 1, end);
}

static bool make_space(void)
{
	char *name = fmt("rakkr%d", getpid());

	if (run(fmt("ip netns add %s", name)) != 0)
		return false;
	space = name;
	return run(fmt("ip link add rk%d type veth peer name far netns %s &&"
	               " ip addr add %s/30 dev rk%d && ip link set rk%d up &&"
	               " ip -n %s addr add %s/30 dev far && ip -n %s link set far up",
	               getpid(), name, address(1), getpid(), getpid(), name, address(2), name)) == 0;
}

static const char *server_socket(void)
{
	const char *folder = sql("SELECT split_part(setting, ',', 1) FROM pg_settings"
	                         " WHERE name = 'unix_socket_directories'");

	return fmt("%s/.s.PGSQL.%s", folder, sql("SHOW port"));
}

static void start_relay(const char *host, const char *port)
{
	const char *program = getenv("RAKKR_TEST_PROGRAM");
	const char *tool = fmt("%.*stests/tool-relay", (int)(strrchr(program, '/') + 1 - program), program);
	const char *socket_path = server_socket();

	relay = fork();
	if (relay == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (space != NULL)
			execlp("ip", "ip", "netns", "exec", space, tool, host, port, socket_path, NULL);
		else
			execl(tool, tool, host, port, socket_path, NULL);
		_exit(127);
	}
}

static void vanish(bool yes)
{
	if (space == NULL)
		kill(relay, yes ? SIGSTOP : SIGCONT);
	else
		cr_assert_eq(run(fmt("ip -n %s route %s blackhole %s/32", space, yes ? "add" : "del", address(1))), 0);
}

/* ---- the instance ------------------------------------------------------------------------------------------------ */

static bool started(void *arg)
{
	return run(arg) == 0;
}

static void start_instance(void)
{
	char name[] = "/tmp/rakkr-vanish-XXXXXX";
	char *port = fmt("%d", 24000 + getpid() % 900);
	char *https = fmt("%d", 31000 + getpid() % 900);
	const char *host;

	cr_assert_not_null(mkdtemp(name));
	cr_assert_eq(chmod(name, 0711), 0);
	dir = fmt("%s/run", name);
	atexit(clean);
	if (!make_space())
		fprintf(stderr, "no right to make a network: a stopped relay stands in for it\n");
	host = space != NULL ? address(2) : "127.0.0.1";
	database = fmt("vanish_%d", getpid());
	sql("CREATE DATABASE %s", database);
	start_relay(host, port);
	setenv("RAKKR_LOCAL_ADMIN_PASSWORD", getenv("RAKKR_TEST_ADMIN_PASSWORD"), 1);
	cr_assert(wait_until(started,
	                     fmt("%s run --background --program '%s' --dir '%s' --https-port %s --database-url"
	                         " 'postgresql://%s@%s:%s/%s'",
	                         bootstrap(), getenv("RAKKR_TEST_PROGRAM"), dir, https, sql("SELECT current_user"),
	                         host, port, database),
	                     60000),
	          "see %s.log", dir);
	setenv("RAKKR_TEST_URL", fmt("https://127.0.0.1:%s", https), 1);
	setenv("RAKKR_TEST_DIR", dir, 1);
	setenv("RAKKR_TEST_DATABASE_URL",
	       fmt("host=%s port=%s user=%s dbname=%s", host, port, sql("SELECT current_user"), database), 1);
}

/* ---- the test ---------------------------------------------------------------------------------------------------- */

/* Many requests in a row, so that every worker has answered some of them; a write, too. */
static bool writes_again(void *node)
{
	const struct node *n = node;

	for (int i = 0; i < 24; i++) {
		struct response r = get(n->path, admin());

		if (r.status != 200 || is_degraded(&r) || get("/readyz", NULL).status != 200)
			return false;
	}
	return patch(n->path, admin(), "{\"notes\":\"back\"}").status == 200;
}

static bool noticed(void *node)
{
	const struct node *n = node;
	struct response r = patch(n->path, admin(), "{\"notes\":\"lost\"}");

	return r.status == 503;
}

static void expect_fast(const struct node *n)
{
	double slowest = 0;

	for (int i = 0; i < TRIES; i++) {
		struct response r = patch(n->path, admin(), "{\"notes\":\"lost\"}");

		cr_expect_eq(r.status, 503, "%s: %d %s", r.asked, r.status, r.body);
		cr_expect(strstr(r.body, "database_unavailable") != NULL, "%s", r.body);
		slowest = r.seconds > slowest ? r.seconds : slowest;
		r = get(n->path, admin());
		cr_expect_eq(r.status, 200, "%s: %d %s", r.asked, r.status, r.body);
		cr_expect(is_degraded(&r));
		slowest = r.seconds > slowest ? r.seconds : slowest;
		r = post(fmt("%s/heartbeat", n->path), n->token, BEAT);
		cr_expect_eq(r.status, 202, "%s: %d %s", r.asked, r.status, r.body);
		slowest = r.seconds > slowest ? r.seconds : slowest;
	}
	fprintf(stderr, "%s: slowest of %d writes, reads and heartbeats %.0f ms\n",
	        space != NULL ? "packets vanish" : "silence", 3 * TRIES, slowest * 1e3);
	cr_expect_lt(slowest, FAST_SECONDS, "one took %.0f ms", slowest * 1e3);
}

Test(vanish, packets_to_the_database)
{
	struct response r;
	struct node n;
	double first;

	if (!on_postgres())
		cr_skip_test("flat files");
	start_instance();
	n = enroll_node("Vanishing");
	for (int i = 0; i < 12; i++) { /* every worker has a connection */
		must(post(fmt("%s/heartbeat", n.path), n.token, BEAT), 202);
		must(get(n.path, admin()), 200);
	}
	for (int round = 0; round < 2; round++) {
		must(get(n.path, admin()), 200);
		vanish(true);
		r = patch(n.path, admin(), "{\"notes\":\"lost\"}");
		first = r.seconds;
		cr_expect_eq(r.status, 503, "%s: %d %s", r.asked, r.status, r.body);
		fprintf(stderr, "the first write is refused after %.0f ms\n", first * 1e3);
		cr_expect_lt(first, 4.0, "the first one waited %.1f s", first);
		cr_expect(wait_until(noticed, &n, 4000));
		r = get("/readyz", NULL);
		cr_expect_eq(r.status, 503);
		cr_expect_lt(r.seconds, 3.5, "readiness took %.1f s", r.seconds);
		cr_expect_str_eq(j_str(r.json, "reason"), "database_unavailable");
		cr_expect_eq(get("/healthz", NULL).status, 200);
		expect_fast(&n);
		vanish(false);
		cr_expect(wait_until(writes_again, &n, BACK_MS), "not as before within 5 s");
		cr_expect_str_eq(j_str(get(n.path, admin()).json, "data.notes"), "back", "a refused write took effect");
	}
}
