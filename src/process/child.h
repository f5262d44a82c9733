/*
 * What the child processes (workers, login, upload, stream, runner) have in common. A child blocks all signals for its
 * whole life and looks for orders only between two pieces of work, so a request in flight is never disturbed: SIGTERM =
 * drain (also sent by the kernel when the master dies), SIGUSR1 = retire.
 */
#ifndef RAKKR_PROCESS_CHILD_H
#define RAKKR_PROCESS_CHILD_H

#include "base/config.h"
#include "process/sockets.h"
#include "store/live.h"

#include <fcgiapp.h>
#include <sys/types.h>

/* What the master hands to a child. */
struct child_setup {
	const struct config *config;
	struct live *live;
	const int *listen_fd; /* by enum socket: listening, non-blocking, shared by the processes of one kind */
	int ready_fd;         /* takes one byte when the child can serve */
	pid_t master;
};

enum child_order {
	CHILD_RUN,
	CHILD_DRAIN,  /* serve what has been connected already, then leave: the sockets are gone */
	CHILD_RETIRE, /* leave after the work in hand: successors share the sockets */
};

/* Sets log role and level of this process from the configuration. role is kept by pointer. */
void process_log_init(const struct config *c, const char *role);

/* Prepares a freshly forked process: signals, death with its master, name. Leaves (exit 1) if the master is gone. */
void child_begin(const struct child_setup *setup, const char *role);

/* Tells the master that this child can serve. */
void child_ready(const struct child_setup *setup);

/* The order given so far; costs one system call. */
enum child_order child_order(void);

/* Sleeps until an order comes, at most ms; returns the order. */
enum child_order child_sleep(int64_t ms);

/* A listening socket together with the orders; see child_wait(). */
struct child_waiter {
	int epoll_fd;
	int signal_fd;
};

/* False (logged) if the kernel refuses. listen_fd must be non-blocking. */
bool child_waiter_init(struct child_waiter *w, int listen_fd);

/* Sleeps until a connection or an order may be there, at most timeout_ms. One connection wakes one of the processes. */
void child_wait(struct child_waiter *w, int timeout_ms);

enum accept_result { ACCEPT_GOT, ACCEPT_NONE, ACCEPT_FAILED };

/* Accepts one request if there is one; never blocks on the listening socket. ACCEPT_FAILED is logged. */
enum accept_result child_accept(FCGX_Request *fcgi);

/* The processes; each returns its exit status. setup lives longer. */
int worker_run(const struct child_setup *setup);
int login_run(const struct child_setup *setup);
int upload_run(const struct child_setup *setup);
int stream_run(const struct child_setup *setup);
int runner_run(const struct child_setup *setup);

#endif
