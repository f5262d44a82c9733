/*
 * Packets to the database vanish: no refusal, no reset, as behind a switch that lost power. Postgres only, as root; an
 * instance of its own reaches the server over a link that can be cut: a pair of network devices, one end of them in a
 * network namespace with a relay to the server's socket.
 */
#include "http/harness.h"
#include "http/instance.h"
#include "http/outage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(vanished, .timeout = 120);

#define RELAY_PORT 5432

/* ---- the relay, in its namespace --------------------------------------------------------------------------------- */

struct pipe_ends {
	int client, server;
	struct sockaddr_un address;
};

static bool pass_on(int from, int to)
{
	char block[65536];
	ssize_t n = read(from, block, sizeof(block));

	for (ssize_t done = 0; done < n;) {
		ssize_t put = write(to, block + done, (size_t)(n - done));

		if (put <= 0)
			return false;
		done += put;
	}
	return n > 0;
}

static void *serve(void *arg)
{
	struct pipe_ends *p = arg;
	struct pollfd both[] = {{p->client, POLLIN, 0}, {0, POLLIN, 0}};

	p->server = socket(AF_UNIX, SOCK_STREAM, 0);
	both[1].fd = p->server;
	if (connect(p->server, (struct sockaddr *)&p->address, sizeof(p->address)) == 0)
		while (poll(both, 2, -1) > 0 && (both[0].revents == 0 || pass_on(p->client, p->server)) &&
		       (both[1].revents == 0 || pass_on(p->server, p->client)))
			;
	close(p->client);
	close(p->server);
	free(p);
	return NULL;
}

/* Runs until it is killed. */
static void relay(const char *socket_path)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(RELAY_PORT)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 64) != 0)
		_exit(1);
	for (;;) {
		struct pipe_ends *p = calloc(1, sizeof(*p));
		pthread_t thread;

		p->client = accept(fd, NULL, NULL);
		p->address.sun_family = AF_UNIX;
		snprintf(p->address.sun_path, sizeof(p->address.sun_path), "%s", socket_path);
		if (p->client < 0 || pthread_create(&thread, NULL, serve, p) != 0)
			_exit(1);
		pthread_detach(thread);
	}
}

/* ---- the link ---------------------------------------------------------------------------------------------------- */

static pid_t relay_pid;
static char link_name[16], far_name[16];

static bool run(const char *command)
{
	return system(fmt("%s >/dev/null 2>&1", command)) == 0;
}

static void remove_link(void)
{
	if (relay_pid > 0) {
		kill(relay_pid, SIGKILL);
		waitpid(relay_pid, NULL, 0);
	}
	relay_pid = 0;
	run(fmt("ip link delete %s", link_name));
}

/* In the namespace: packets that arrive at a device that is down are gone, and the sender is not told. */
static bool set_link(bool up)
{
	return run(fmt("nsenter -t %d -n ip link set %s %s", relay_pid, far_name, up ? "up" : "down"));
}

/* The folder of the server's socket: "...?host=FOLDER&...". */
static const char *server_socket(void)
{
	const char *host = strstr(getenv("RAKKR_TEST_DATABASE_URL"), "host=");
	size_t n;

	cr_assert_not_null(host);
	n = strcspn(host + 5, "&");
	return fmt("%.*s/.s.PGSQL.5432", (int)n, host + 5);
}

static void start_relay(void)
{
	const char *path = server_socket();
	int ready[2];
	char byte;

	cr_assert_eq(pipe(ready), 0);
	relay_pid = fork();
	if (relay_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) != 0 || write(ready[1], "y", 1) != 1)
			_exit(1);
		close(ready[1]);
		relay(path);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		relay_pid = 0;
	close(ready[0]);
}

/* Of the near (1) or the far (2) end: a net of four addresses of this process' own. */
static char *end_address(int end)
{
	return fmt("10.231.%d.%d", getpid() / 64 % 256, getpid() % 64 * 4 + end);
}

/* False without the right to, or on a kernel without these devices. */
static bool make_link(void)
{
	snprintf(link_name, sizeof(link_name), "rk%dn", getpid() % 1000000);
	snprintf(far_name, sizeof(far_name), "rk%df", getpid() % 1000000);
	if (geteuid() != 0 || !run("ip -V") || !run("nsenter -V"))
		return false;
	start_relay();
	if (relay_pid <= 0)
		return false;
	atexit(remove_link);
	return run(fmt("ip link add %s type veth peer name %s netns %d", link_name, far_name, relay_pid)) &&
	       run(fmt("ip address add %s/30 dev %s && ip link set %s up", end_address(1), link_name, link_name)) &&
	       run(fmt("nsenter -t %d -n ip address add %s/30 dev %s", relay_pid, end_address(2), far_name)) &&
	       set_link(true);
}

Test(vanished, packets_to_the_database)
{
	struct response r;
	struct node n;

	if (!on_postgres())
		cr_skip_test("flat files");
	if (!make_link())
		cr_skip_test("no network devices of our own");
	own_start_through(end_address(2));
	n = enroll_node("Vanished");
	for (int i = 0; i < 6; i++) {
		must(post(fmt("%s/heartbeat", n.path), n.token, BEAT), 202);
		must(get(n.path, admin()), 200);
	}
	cr_assert(set_link(false));
	r = get("/readyz", NULL);
	cr_expect_eq(r.status, 503, "ready: %d", r.status);
	cr_expect_lt(r.seconds, 3.5, "readiness took %.1f s", r.seconds);
	r = get(n.path, admin());
	cr_expect_eq(r.status, 200, "%d %s", r.status, r.body);
	cr_expect(is_degraded(&r));
	expect_pace(&n, "vanished");
	cr_assert(set_link(true));
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS), "not as before within 5 s");
	own_end();
}
