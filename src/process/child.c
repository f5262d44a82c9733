#include "process/child.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static enum child_order order_given = CHILD_RUN;

void process_log_init(const struct config *c, const char *role)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	enum log_level level = LOG_LEVEL_INFO;
	const char *wanted = config_str(c, CFG_LOG_LEVEL);
	for (int i = LOG_LEVEL_ERROR; wanted != NULL && i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(wanted, names[i]) == 0)
			level = (enum log_level)i;
	log_init(role, level);
}

static void order_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGUSR1);
}

void child_begin(const struct child_setup *setup, const char *role)
{
	process_log_init(setup->config, role);
	char name[16];
	snprintf(name, sizeof name, "rakkr-%s", role);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	/* The terminal's Ctrl-C and a lost session are the master's business; a lost client is an error of write(). */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit shows as EFBIG, and the store answers for it */
	sigset_t set;
	order_signals(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != setup->master)
		exit(EXIT_FAILURE);
}

void child_ready(const struct child_setup *setup)
{
	if (write(setup->ready_fd, "", 1) < 0)
		log_debug("master does not listen: %s", strerror(errno));
	close(setup->ready_fd);
}

static void order_take(int sig)
{
	if (sig == SIGTERM)
		order_given = CHILD_DRAIN;
	else if (sig == SIGUSR1 && order_given == CHILD_RUN)
		order_given = CHILD_RETIRE;
}

enum child_order child_sleep(int64_t ms)
{
	sigset_t set;
	order_signals(&set);
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
	order_take(sigtimedwait(&set, NULL, &t));
	return order_given;
}

enum child_order child_order(void)
{
	return child_sleep(0);
}

static bool watch(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

bool child_waiter_init(struct child_waiter *w, int listen_fd)
{
	sigset_t set;
	order_signals(&set);
	w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->signal_fd < 0 || w->epoll_fd < 0 || !watch(w->epoll_fd, w->signal_fd, EPOLLIN) ||
	    !watch(w->epoll_fd, listen_fd, EPOLLIN | EPOLLEXCLUSIVE)) {
		log_error("cannot watch the listening socket: %s", strerror(errno));
		return false;
	}
	return true;
}

void child_wait(struct child_waiter *w, int timeout_ms)
{
	struct epoll_event e;
	epoll_wait(w->epoll_fd, &e, 1, timeout_ms);
}

enum accept_result child_accept(FCGX_Request *fcgi)
{
	int rc = FCGX_Accept_r(fcgi);
	if (rc == 0)
		return ACCEPT_GOT;
	if (rc == -EAGAIN || rc == -EWOULDBLOCK || rc == -EINTR || rc == -ECONNABORTED)
		return ACCEPT_NONE;
	log_error("accept: %s", rc > -4096 ? strerror(-rc) : "failed");
	return ACCEPT_FAILED;
}
