#include "process/children.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define BACKOFF_RESET_MS 30000 /* who lived so long starts anew at once */

static const struct {
	const char *name;
	int (*run)(const struct child_setup *setup);
} kinds[] = {
    [KIND_WORKER] = {"worker", worker_run}, [KIND_LOGIN] = {"login", login_run},
    [KIND_UPLOAD] = {"upload", upload_run}, [KIND_STREAM] = {"stream", stream_run},
    [KIND_RUNNER] = {"runner", runner_run},
};

static void add(struct children *c, enum child_kind kind, const struct config *config, unsigned generation)
{
	if (c->count == c->capacity) {
		c->capacity = c->capacity * 2 + 16;
		c->at = mem_grow(c->mem, c->at, struct child, c->capacity);
	}
	c->at[c->count++] = (struct child){.kind = kind, .generation = generation, .config = config, .ready_fd = -1};
}

void children_add(struct children *c, const struct config *config, unsigned generation)
{
	for (int64_t i = config_int(config, CFG_WORKERS); i > 0; i--)
		add(c, KIND_WORKER, config, generation);
	add(c, KIND_LOGIN, config, generation);
	for (int64_t i = config_int(config, CFG_UPLOAD_WORKERS); i > 0; i--)
		add(c, KIND_UPLOAD, config, generation);
	add(c, KIND_STREAM, config, generation);
	add(c, KIND_RUNNER, config, generation);
}

static void not_ready(struct child *child)
{
	if (child->ready_fd >= 0)
		close(child->ready_fd);
	child->ready_fd = -1;
	child->ready = false;
}

/* Sets the time of the next start: at once after a long life or for the first time, then later and later. */
static void schedule_start(struct child *child, int64_t now_ms)
{
	if (now_ms - child->started_ms >= BACKOFF_RESET_MS)
		child->backoff_ms = 0;
	child->start_at_ms = now_ms + child->backoff_ms;
	if (child->backoff_ms == 0)
		child->backoff_ms = BACKOFF_FIRST_MS;
	else if (child->backoff_ms < BACKOFF_MAX_MS)
		child->backoff_ms = child->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : child->backoff_ms * 2;
}

/* The new process; never returns. */
static void __attribute__((noreturn)) child_main(struct children *c, const struct child *child, int ready_fd)
{
	struct child_setup setup = c->setup;
	setup.config = child->config;
	setup.ready_fd = ready_fd;
	for (size_t i = 0; i < c->count; i++)
		if (c->at[i].ready_fd >= 0)
			close(c->at[i].ready_fd);
	c->in_child(c->arg);
	exit(kinds[child->kind].run(&setup));
}

static void start(struct children *c, struct child *child, int64_t now_ms)
{
	int ends[2];
	child->started_ms = now_ms;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		log_error("cannot start a %s: %s", kinds[child->kind].name, strerror(errno));
		schedule_start(child, now_ms);
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		child_main(c, child, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		log_error("cannot start a %s: %s", kinds[child->kind].name, strerror(errno));
		close(ends[0]);
		schedule_start(child, now_ms);
		return;
	}
	child->pid = pid;
	child->ready_fd = ends[0];
	log_debug("started %s %d", kinds[child->kind].name, (int)pid);
}

void children_start(struct children *c, int64_t now_ms)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->at[i].pid == 0 && c->at[i].start_at_ms <= now_ms)
			start(c, &c->at[i], now_ms);
}

static void forget(struct children *c, size_t i)
{
	not_ready(&c->at[i]);
	c->at[i] = c->at[--c->count];
}

/* Says how a child ended; a leaving one that ended well is not worth a line. */
static void log_end(const struct child *child, pid_t pid, int how)
{
	const char *kind = kinds[child->kind].name;
	if (WIFSIGNALED(how))
		log_warn("%s %d was killed by signal %d (%s)", kind, (int)pid, WTERMSIG(how), strsignal(WTERMSIG(how)));
	else if (WEXITSTATUS(how) != 0)
		log_warn("%s %d ended with status %d", kind, (int)pid, WEXITSTATUS(how));
	else if (!child->leaving)
		log_info("%s %d ended", kind, (int)pid);
}

void children_reap(struct children *c, int64_t now_ms)
{
	int how;
	for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
		for (size_t i = 0; i < c->count; i++) {
			struct child *child = &c->at[i];
			if (child->pid != pid)
				continue;
			log_end(child, pid, how);
			child->pid = 0;
			if (child->leaving) {
				forget(c, i);
				break;
			}
			child->died_early |= !child->ready;
			not_ready(child);
			schedule_start(child, now_ms);
			break;
		}
	}
}

void children_leave(struct children *c, unsigned first, unsigned last, int sig, int64_t kill_at_ms)
{
	for (size_t i = c->count; i-- > 0;) {
		struct child *child = &c->at[i];
		if (child->generation < first || child->generation > last)
			continue;
		if (child->pid == 0) {
			forget(c, i);
			continue;
		}
		child->leaving = true;
		child->kill_at_ms = kill_at_ms;
		kill(child->pid, sig);
	}
}

void children_kill_late(struct children *c, int64_t now_ms)
{
	for (size_t i = 0; i < c->count; i++) {
		struct child *child = &c->at[i];
		if (!child->leaving || child->pid == 0 || child->kill_at_ms > now_ms)
			continue;
		log_warn("%s %d does not leave: killed", kinds[child->kind].name, (int)child->pid);
		kill(child->pid, SIGKILL);
		child->kill_at_ms = INT64_MAX;
	}
}

int64_t children_next_ms(const struct children *c)
{
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < c->count; i++) {
		const struct child *child = &c->at[i];
		int64_t at = INT64_MAX;
		if (child->pid == 0)
			at = child->start_at_ms;
		else if (child->leaving)
			at = child->kill_at_ms;
		if (at < next)
			next = at;
	}
	return next;
}

size_t children_poll(const struct children *c, struct pollfd *fds)
{
	size_t n = 0;
	for (size_t i = 0; i < c->count; i++)
		if (c->at[i].ready_fd >= 0)
			fds[n++] = (struct pollfd){.fd = c->at[i].ready_fd, .events = POLLIN};
	return n;
}

void children_note_ready(struct children *c)
{
	char byte;
	for (size_t i = 0; i < c->count; i++) {
		struct child *child = &c->at[i];
		if (child->ready_fd < 0)
			continue;
		ssize_t n = read(child->ready_fd, &byte, 1);
		if (n < 0)
			continue;
		/* End of file without a byte: it is about to be reaped. */
		close(child->ready_fd);
		child->ready_fd = -1;
		child->ready = n == 1;
	}
}

enum readiness children_readiness(const struct children *c, unsigned generation)
{
	enum readiness r = GENERATION_READY;
	for (size_t i = 0; i < c->count; i++) {
		if (c->at[i].generation != generation)
			continue;
		if (c->at[i].died_early)
			return GENERATION_FAILED;
		if (!c->at[i].ready)
			r = GENERATION_WAITING;
	}
	return r;
}
