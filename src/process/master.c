#include "process/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/children.h"
#include "process/notify.h"
#include "process/sockets.h"
#include "process/values.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RELOAD_WAIT_MS 15000 /* for the new generation to be ready */
/* A retired child may still move a large upload: as long as the web server waits for an answer (nginx/rakkr.conf). */
#define RETIRE_MS (15 * 60 * 1000)

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_RELOADING, MASTER_STOPPING };

struct master {
	void *mem;
	const char *config_file;
	const struct config *config;      /* of the present generation */
	const struct config *next_config; /* while reloading */
	struct run_dir run_dir;
	int signal_fd;
	struct children children;
	unsigned generation; /* the newest */
	enum master_state state;
	int64_t state_until_ms; /* reloading: give up then */
	int64_t alive_at_ms;    /* next sign of life for the watchdog */
	bool reload_again;      /* SIGHUP came during a reload */
};

static void close_in_child(void *arg)
{
	struct master *m = arg;
	close(m->signal_fd);
	close(m->run_dir.pid_fd);
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

/* Set in one configuration and not in the other, or to something else. */
static bool differs(const struct config *a, const struct config *b, enum config_key key)
{
	const char *x = config_str(a, key), *y = config_str(b, key);
	return strcmp(x != NULL ? x : "", y != NULL ? y : "") != 0;
}

static void keep(const struct config *old, struct config *next, enum config_key key)
{
	if (!differs(old, next, key))
		return;
	log_warn("%s changed: it takes effect at the next start, not by a reload", config_name(key));
	config_set(next, key, config_given(old, key) ? config_str(old, key) : NULL);
}

/*
 * What a reload cannot change, because it was used when the master started, or because requests in flight would write
 * to one place while new ones read another. A database may move, but not take the place of files.
 */
static void keep_fixed(const struct config *old, struct config *next)
{
	static const enum config_key fixed[] = {CFG_RUN_DIR,           CFG_SOCKET_GROUP, CFG_MAX_NODES_LIVE,
	                                        CFG_STALE_CACHE_BYTES, CFG_DATA_DIR,     CFG_RECORDING_CACHE_DIR};
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		keep(old, next, fixed[i]);
	for (enum config_key key = CFG_RECORDINGS_PATH; key <= CFG_AUDIT_PATH; key++)
		keep(old, next, key);
	if (config_given(old, CFG_DATABASE_URL) != config_given(next, CFG_DATABASE_URL))
		keep(old, next, CFG_DATABASE_URL);
}

static void reload_begin(struct master *m)
{
	const char *error = NULL;
	m->reload_again = false;
	struct config *next = (struct config *)config_load(m->mem, m->config_file, &error);
	if (next == NULL) {
		log_error("reload refused, the former configuration stays: %s", error);
		return;
	}
	notify_reloading();
	keep_fixed(m->config, next);
	values_log(next);
	m->next_config = next;
	m->state = MASTER_RELOADING;
	m->state_until_ms = clock_mono_ms() + RELOAD_WAIT_MS;
	children_add(&m->children, next, ++m->generation);
}

static void reload_end(struct master *m, bool good, int64_t now_ms)
{
	const struct config *over = good ? m->config : m->next_config;
	if (good) {
		children_leave(&m->children, 0, m->generation - 1, SIGUSR1, now_ms + RETIRE_MS);
		m->config = m->next_config;
		process_log_init(m->config, "master");
		live_history_limit(m->children.setup.live, config_int(m->config, CFG_METER_HISTORY_LIMIT));
		log_info("reloaded");
	} else {
		children_leave(&m->children, m->generation, m->generation, SIGUSR1, now_ms + RETIRE_MS);
		log_error("reload failed: the new processes do not start; the former configuration stays");
	}
	m->next_config = NULL;
	m->state = MASTER_RUNNING;
	notify_ready();
	/* Leaving children have their own copy; none of them is started again from here. */
	talloc_free((void *)(uintptr_t)over);
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

static void stop_begin(struct master *m, int64_t now_ms)
{
	if (m->state == MASTER_STOPPING)
		return;
	log_info("stopping");
	notify_stopping();
	m->state = MASTER_STOPPING;
	/* From here on nobody can connect; what is connected is served. */
	run_dir_unlink_sockets(&m->run_dir);
	int64_t seconds = config_int(m->config, CFG_SHUTDOWN_SECONDS);
	children_leave(&m->children, 0, m->generation, SIGTERM, now_ms + seconds * 1000);
}

/* Goes on where something was waited for. */
static void state_progress(struct master *m, int64_t now_ms)
{
	enum readiness r;
	switch (m->state) {
	case MASTER_STARTING:
		if (children_readiness(&m->children, m->generation) == GENERATION_WAITING)
			break;
		m->state = MASTER_RUNNING;
		log_info("ready");
		notify_ready();
		break;
	case MASTER_RELOADING:
		r = children_readiness(&m->children, m->generation);
		if (r != GENERATION_WAITING || now_ms >= m->state_until_ms)
			reload_end(m, r == GENERATION_READY, now_ms);
		break;
	case MASTER_RUNNING:
	case MASTER_STOPPING:
		break;
	}
	if (m->state == MASTER_RUNNING && m->reload_again)
		reload_begin(m);
}

static void take_signals(struct master *m, int64_t now_ms)
{
	struct signalfd_siginfo info;
	while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			stop_begin(m, now_ms);
			break;
		case SIGHUP:
			m->reload_again = true;
			break;
		default:
			break; /* SIGCHLD: children are reaped in any case */
		}
	}
}

static int64_t wait_ms(const struct master *m, int64_t now_ms)
{
	int64_t next = children_next_ms(&m->children);
	if (m->state == MASTER_RELOADING && m->state_until_ms < next)
		next = m->state_until_ms;
	if (m->alive_at_ms < next)
		next = m->alive_at_ms;
	if (next == INT64_MAX)
		return -1;
	if (next <= now_ms)
		return 0;
	return next - now_ms > INT_MAX ? INT_MAX : next - now_ms;
}

static void sign_of_life(struct master *m, int64_t now_ms)
{
	if (now_ms < m->alive_at_ms)
		return;
	notify_alive();
	m->alive_at_ms = now_ms + notify_watchdog_ms();
}

static void master_loop(struct master *m)
{
	m->alive_at_ms = notify_watchdog_ms() > 0 ? 0 : INT64_MAX;
	while (m->state != MASTER_STOPPING || m->children.count > 0) {
		int64_t now_ms = clock_mono_ms();
		sign_of_life(m, now_ms);
		if (m->state != MASTER_STOPPING)
			children_start(&m->children, now_ms);
		children_kill_late(&m->children, now_ms);
		struct pollfd *fds = mem_array(m->mem, struct pollfd, m->children.count + 1);
		fds[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
		size_t n = 1 + children_poll(&m->children, fds + 1);
		poll(fds, (nfds_t)n, (int)wait_ms(m, now_ms));
		talloc_free(fds);
		now_ms = clock_mono_ms();
		children_note_ready(&m->children);
		take_signals(m, now_ms);
		children_reap(&m->children, now_ms);
		state_progress(m, now_ms);
	}
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static bool signals_open(struct master *m)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGCHLD, SIG_DFL); /* an inherited "ignore" would hide the children's ends */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd >= 0 && sigprocmask(SIG_SETMASK, &set, NULL) == 0;
}

int master_run(void *ctx, const char *config_file, const struct config *config)
{
	struct master m = {.mem = ctx, .config_file = config_file, .config = config};
	const char *error = NULL;
	process_log_init(config, "master");
	values_log(config);
	notify_init();
	struct live *live = live_create(config_int(config, CFG_MAX_NODES_LIVE));
	if (live == NULL) {
		log_error("cannot reserve the shared memory: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	live_history_limit(live, config_int(config, CFG_METER_HISTORY_LIMIT));
	live_recall_open(live, (size_t)config_int(config, CFG_STALE_CACHE_BYTES));
	/* Before the pid file invites somebody to send some. */
	if (!signals_open(&m)) {
		log_error("cannot watch signals: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (!run_dir_open(ctx, config, &m.run_dir, &error)) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	m.children = (struct children){
	    .mem = ctx,
	    .setup = {.live = live, .listen_fd = m.run_dir.fd, .master = getpid()},
	    .in_child = close_in_child,
	    .arg = &m,
	};
	children_add(&m.children, config, m.generation);
	master_loop(&m);
	run_dir_close(&m.run_dir);
	log_info("stopped");
	return EXIT_SUCCESS;
}
