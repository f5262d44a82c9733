/*
 * The processes of a running controller, seen from its socket: start, death of each of them, reload, drain. The program
 * is RAKKR_TEST_PROGRAM (tests/run sets it); it runs on flat files in a folder of its own. Requests are spoken to it in
 * FastCGI directly, so that a request can be held half sent, which keeps a worker busy.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FCGI_BEGIN 1
#define FCGI_PARAMS 4
#define FCGI_STDIN 5
#define FCGI_STDOUT 6

static char folder[64]; /* of the test; the working directory of the controller */
static pid_t master;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- FastCGI ----------------------------------------------------------------------------------------------------- */

static int connect_to(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", folder, name);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_record(int fd, int type, const void *data, size_t n)
{
	unsigned char record[8 + 4096] = {1, (unsigned char)type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n};
	memcpy(record + 8, data, n);
	return send(fd, record, 8 + n, MSG_NOSIGNAL) == (ssize_t)(8 + n);
}

static size_t add_param(char *to, const char *name, const char *value)
{
	size_t a = strlen(name), b = strlen(value); /* both shorter than 128 */
	to[0] = (char)a;
	to[1] = (char)b;
	memcpy(to + 2, name, a);
	memcpy(to + 2 + a, value, b);
	return 2 + a + b;
}

/* Sends everything but the end of the body; the worker that takes it now waits for that. */
static int begin_request(const char *socket_name, const char *path)
{
	char params[1024];
	size_t n = add_param(params, "REQUEST_METHOD", "GET");
	n += add_param(params + n, "REQUEST_URI", path);
	int fd = connect_to(socket_name);
	if (fd < 0)
		return -1;
	if (send_record(fd, FCGI_BEGIN, "\0\1\0\0\0\0\0", 8) && send_record(fd, FCGI_PARAMS, params, n) &&
	    send_record(fd, FCGI_PARAMS, "", 0))
		return fd;
	close(fd);
	return -1;
}

/* Ends the request and returns its status; 0 = no whole answer. */
static int end_request(int fd)
{
	char text[65536];
	size_t n = 0;
	int status = 0;
	if (fd < 0)
		return 0;
	if (send_record(fd, FCGI_STDIN, "", 0))
		for (ssize_t got; n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
			n += (size_t)got;
	close(fd);
	text[n] = '\0';
	if (n > 16 && text[1] == FCGI_STDOUT)
		sscanf(text + 8, "Status: %d", &status);
	return status;
}

static int request(const char *path)
{
	return end_request(begin_request("rakkr.sock", path));
}

/* ---- the controller ---------------------------------------------------------------------------------------------- */

static pid_t launch(void)
{
	const char *program = getenv("RAKKR_TEST_PROGRAM");
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	setenv("RAKKR_RUN_DIR", folder, 1);
	setenv("RAKKR_SHUTDOWN_SECONDS", "2", 1);
	setenv("RAKKR_LOCAL_ADMIN_PASSWORD", "process test password", 1);
	unsetenv("DATABASE_URL");
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execl(program, program, "serve", "--config", "config", NULL);
	_exit(127);
}

/* Until the first answer; other children may still be starting: see wait_children(). */
static void wait_answer(void)
{
	for (double until = now() + 10; now() < until; usleep(1000))
		if (request("/healthz") == 200)
			return;
	cr_assert_fail("no answer within 10 s");
}

static void start(void)
{
	if (getenv("RAKKR_TEST_PROGRAM") == NULL)
		cr_skip_test("RAKKR_TEST_PROGRAM is not set");
	snprintf(folder, sizeof folder, "/tmp/rakkr-master-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	FILE *f = fopen("config", "w");
	fputs("RAKKR_WORKERS=3\n", f);
	fclose(f);
	master = launch();
	wait_answer();
}

static bool alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Exit status, or -1 if it does not end within the time. */
static int wait_end(pid_t pid, double seconds)
{
	int how;
	for (double until = now() + seconds; now() < until; usleep(2000))
		if (waitpid(pid, &how, WNOHANG) == pid)
			return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + WTERMSIG(how);
	return -1;
}

static void stop(void)
{
	if (folder[0] == '\0')
		return;
	if (master > 0 && alive(master)) {
		kill(master, SIGTERM);
		wait_end(master, 10);
	}
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	if (system(command) != 0)
		perror(command);
}

/* Process ids of the master's children called name ("rakkr-worker"); returns their number. */
static int children(const char *name, pid_t *pids, int max)
{
	char path[64], line[64];
	int n = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)master, (int)master);
	FILE *list = fopen(path, "r");
	for (int pid; list != NULL && n < max && fscanf(list, "%d", &pid) == 1;) {
		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		FILE *f = fopen(path, "r");
		if (f != NULL && fgets(line, sizeof line, f) != NULL && strncmp(line, name, strlen(name)) == 0)
			pids[n++] = pid;
		if (f != NULL)
			fclose(f);
	}
	if (list != NULL)
		fclose(list);
	return n;
}

static void wait_children(const char *name, int wanted)
{
	pid_t pids[16];
	int n = 0;
	for (double until = now() + 10; now() < until; usleep(2000))
		if ((n = children(name, pids, 16)) == wanted)
			return;
	cr_assert_fail("%d %s instead of %d", n, name, wanted);
}

static void wait_gone(pid_t pid)
{
	for (double until = now() + 10; kill(pid, 0) == 0 && now() < until;)
		usleep(2000);
	cr_assert_neq(kill(pid, 0), 0, "%d is still there", (int)pid);
}

static bool log_has(const char *words)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("log", "r");
	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
		found = strstr(line, words) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

TestSuite(master, .init = start, .fini = stop, .timeout = 60);

/* ---- start ------------------------------------------------------------------------------------------------------- */

Test(master, sockets_are_for_owner_and_group_only)
{
	struct stat st;
	cr_assert_eq(stat("rakkr.sock", &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0660, "%o", st.st_mode);
	cr_assert_eq(stat("stream.sock", &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0660);
	wait_children("rakkr-worker", 3);
	wait_children("rakkr-stream", 1);
	wait_children("rakkr-runner", 1);
}

Test(master, a_second_one_in_the_same_folder_is_refused)
{
	pid_t second = launch();
	cr_assert_eq(wait_end(second, 5), 1);
	cr_assert(log_has("serves"), "no clear line");
	cr_assert_eq(request("/healthz"), 200);
}

Test(master, starts_again_after_its_predecessor_was_killed)
{
	kill(master, SIGKILL);
	waitpid(master, NULL, 0);
	cr_assert_eq(access("rakkr.sock", F_OK), 0, "nothing stale to test with");
	master = launch();
	wait_answer();
	wait_children("rakkr-worker", 3);
}

/* ---- death ------------------------------------------------------------------------------------------------------- */

Test(master, every_killed_child_comes_back)
{
	static const struct {
		const char *name;
		int count;
	} kinds[] = {
	    {"rakkr-worker", 3}, {"rakkr-login", 1}, {"rakkr-upload", 2}, {"rakkr-stream", 1}, {"rakkr-runner", 1}};
	pid_t before[16], after[16];
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		wait_children(kinds[k].name, kinds[k].count);
		children(kinds[k].name, before, 16);
		for (int i = 0; i < kinds[k].count; i++)
			kill(before[i], SIGKILL);
		for (int i = 0; i < kinds[k].count; i++)
			wait_gone(before[i]);
		wait_children(kinds[k].name, kinds[k].count);
		children(kinds[k].name, after, 16);
		cr_assert_neq(before[0], after[0]);
	}
	cr_assert_eq(request("/healthz"), 200);
	cr_assert(alive(master));
}

Test(master, a_worker_killed_in_a_request_costs_that_request_only)
{
	pid_t pids[16];
	wait_children("rakkr-worker", 3);
	int held = begin_request("rakkr.sock", "/healthz");
	usleep(50000);
	int n = children("rakkr-worker", pids, 16);
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	cr_assert_eq(end_request(held), 0);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(request("/healthz"), 200);
}

Test(master, children_follow_a_killed_master_after_their_request)
{
	pid_t pids[16];
	int held = begin_request("rakkr.sock", "/healthz");
	usleep(50000);
	wait_children("rakkr-", 8);
	int n = children("rakkr-", pids, 16);
	kill(master, SIGKILL);
	waitpid(master, NULL, 0);
	master = 0;
	usleep(100000);
	cr_assert_eq(end_request(held), 200);
	for (int i = 0; i < n; i++)
		wait_gone(pids[i]);
}

/* ---- stop -------------------------------------------------------------------------------------------------------- */

Test(master, sigterm_lets_requests_finish)
{
	int held[8]; /* more than workers: some only wait in the backlog */
	for (int i = 0; i < 8; i++)
		held[i] = begin_request("rakkr.sock", "/healthz");
	usleep(50000);
	kill(master, SIGTERM);
	usleep(200000);
	cr_assert_lt(connect_to("rakkr.sock"), 0);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(end_request(held[i]), 200, "request %d", i);
	cr_assert_eq(wait_end(master, 5), 0);
	master = 0;
	cr_assert_neq(access("rakkr.pid", F_OK), 0);
	cr_assert_neq(access("stream.sock", F_OK), 0);
}

Test(master, a_request_that_never_ends_is_cut_after_the_limit)
{
	int held = begin_request("rakkr.sock", "/healthz");
	usleep(50000);
	double t = now();
	kill(master, SIGTERM);
	cr_assert_eq(wait_end(master, 10), 0);
	master = 0;
	t = now() - t;
	cr_assert(t > 1.5 && t < 4, "%.1f s", t);
	close(held);
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static void load(int result)
{
	int good = 0, bad = 0;
	for (double until = now() + 4; now() < until;) {
		if (request("/healthz") == 200)
			good++;
		else
			bad++;
	}
	dprintf(result, "%d %d\n", good, bad);
	_exit(0);
}

Test(master, reloads_lose_no_request)
{
	int ends[2], good, bad;
	pid_t before[16], after[16];
	wait_children("rakkr-worker", 3);
	children("rakkr-worker", before, 16);
	cr_assert_eq(pipe(ends), 0);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			load(ends[1]);
	close(ends[1]);
	for (int i = 0; i < 6; i++) {
		usleep(500000);
		kill(master, SIGHUP);
	}
	FILE *f = fdopen(ends[0], "r");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(fscanf(f, "%d %d", &good, &bad), 2);
		cr_assert_eq(bad, 0, "%d of %d failed", bad, good + bad);
		cr_assert_gt(good, 50);
	}
	wait_children("rakkr-worker", 3);
	children("rakkr-worker", after, 16);
	cr_assert_neq(before[0], after[0]);
}

Test(master, a_reload_takes_the_new_configuration_and_keeps_requests)
{
	int held = begin_request("rakkr.sock", "/healthz");
	usleep(50000);
	FILE *f = fopen("config", "w");
	fputs("RAKKR_WORKERS=5\n", f);
	fclose(f);
	kill(master, SIGHUP);
	wait_children("rakkr-worker", 6); /* five new ones, and the one with a request in hand */
	cr_assert_eq(end_request(held), 200);
	wait_children("rakkr-worker", 5);
}

Test(master, an_unreadable_configuration_changes_nothing)
{
	pid_t before[16], after[16];
	wait_children("rakkr-worker", 3);
	int n = children("rakkr-worker", before, 16);
	unlink("config");
	kill(master, SIGHUP);
	for (double until = now() + 5; !log_has("reload refused") && now() < until;)
		usleep(2000);
	cr_assert(log_has("reload refused"));
	cr_assert_eq(children("rakkr-worker", after, 16), n);
	cr_assert_eq(memcmp(before, after, (size_t)n * sizeof before[0]), 0);
	cr_assert_eq(request("/healthz"), 200);
}
