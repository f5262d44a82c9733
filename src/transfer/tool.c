#include "transfer/tool.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TERM_GRACE_MS 1000
#define REAP_STEP_MS 5

extern char **environ;

struct vector {
	const void *ctx;
	const char **at;
	size_t count;
};

static void vector_add(struct vector *v, const char *word)
{
	v->at = mem_grow(v->ctx, v->at, const char *, v->count + 2);
	v->at[v->count++] = word;
	v->at[v->count] = NULL;
}

static void add_json(struct vector *v, const char *text)
{
	json_object *array;

	if (!json_parse(v->ctx, text, strlen(text), &array) || !json_object_is_type(array, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *item = json_object_array_get_idx(array, i);

		if (json_is_str(item))
			vector_add(v, json_object_get_string(item));
	}
}

static void add_words(struct vector *v, const char *text)
{
	char *copy = mem_strdup(v->ctx, text), *rest = NULL;

	for (char *word = strtok_r(copy, " \t\n\v\f\r", &rest); word != NULL;
	     word = strtok_r(NULL, " \t\n\v\f\r", &rest))
		vector_add(v, word);
}

const char **tool_arguments(const void *ctx, const char *command, const char *prefix, const char *const *args)
{
	struct vector v = {.ctx = ctx};

	vector_add(&v, command);
	if (prefix != NULL) {
		char *trimmed = text_trim(ctx, prefix);

		if (trimmed[0] == '[')
			add_json(&v, trimmed);
		else
			add_words(&v, trimmed);
	}
	for (; *args != NULL; args++)
		vector_add(&v, *args);
	return v.at;
}

/* Own process group, default signals, /dev/null but for standard output, no other descriptor. */
static int spawn(pid_t *pid, int out, const char *const *argv)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	error = posix_spawnp(pid, argv[0], &files, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

bool tool_start(struct tool *t, const char *const *argv, int64_t timeout_ms)
{
	int fds[2], error;

	*t = (struct tool){.out = -1};
	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	error = spawn(&t->pid, fds[1], argv);
	close(fds[1]);
	if (error != 0) {
		log_debug("%s: %s", argv[0], strerror(error));
		close(fds[0]);
		t->pid = 0;
		return false;
	}
	t->out = fds[0];
	t->deadline = clock_mono_ms() + timeout_ms;
	return true;
}

long tool_read(struct tool *t, void *buf, size_t n)
{
	while (!t->broken) {
		struct pollfd p = {.fd = t->out, .events = POLLIN};
		int64_t left = t->deadline - clock_mono_ms();
		ssize_t got;

		if (left <= 0 || (poll(&p, 1, (int)(left < 60000 ? left : 60000)) < 0 && errno != EINTR))
			break;
		if (p.revents == 0)
			continue;
		got = read(t->out, buf, n);
		if (got >= 0)
			return (long)got;
		if (errno != EINTR)
			break;
	}
	t->broken = true;
	return -1;
}

/* True when the tool has ended, with *code its wait status. */
static bool reap_until(pid_t pid, int64_t deadline, int *code)
{
	const struct timespec step = {.tv_nsec = REAP_STEP_MS * 1000000L};

	for (;;) {
		pid_t done = waitpid(pid, code, WNOHANG);

		if (done == pid)
			return true;
		if (done < 0 && errno != EINTR) {
			*code = -1;
			return true;
		}
		if (clock_mono_ms() >= deadline)
			return false;
		nanosleep(&step, NULL);
	}
}

bool tool_finish(struct tool *t)
{
	int code = -1;
	int64_t now = clock_mono_ms();

	if (t->pid == 0)
		return false;
	close(t->out);
	if (t->broken || !reap_until(t->pid, t->deadline > now ? t->deadline : now, &code)) {
		t->broken = true;
		kill(-t->pid, SIGTERM);
		if (!reap_until(t->pid, clock_mono_ms() + TERM_GRACE_MS, &code)) {
			kill(-t->pid, SIGKILL);
			waitpid(t->pid, &code, 0);
		}
	}
	kill(-t->pid, SIGKILL); /* what a wrapper may have left behind */
	t->pid = 0;
	return !t->broken && code == 0;
}
