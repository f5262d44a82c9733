/*
 * The stream process: long-lived responses. Each client has a small thread that mostly sleeps; the store is not
 * thread-safe, so one lock serialises everything that uses it. Bytes are written without the lock: a slow client holds
 * up nobody but itself.
 */
#include "process/child.h"

#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/gateway.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN_DESCRIPTORS 32        /* database, signals, ...: not for clients */
#define THREAD_STACK (256 * 1024) /* reserved, not used: only touched pages count */
#define TICK_MS 1000
#define WRITE_SECONDS 10 /* a client that takes nothing for so long is given up */
#define IDLE_WAKE_MS 30000
#define FAILED_WAIT_MS 100
#define LEAVE_MS 5000 /* for the threads to end */

struct stream_server {
	struct app app;
	pthread_mutex_t store_lock;
	pthread_attr_t thread;
	atomic_int clients;
	int64_t max_clients;
	int ending_fd; /* readable as soon as this process ends */
	int listen_fd;
};

struct stream_client {
	struct stream_server *server;
	FCGX_Request fcgi;
};

/* Reads away what nginx may still send; false once the connection is closed or broken. */
static bool client_drain(int fd)
{
	char trash[1024];
	for (;;) {
		ssize_t n = recv(fd, trash, sizeof trash, MSG_DONTWAIT);
		if (n > 0)
			continue;
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	}
}

/* Sleeps to the next tick; false when the client has gone or the process ends. */
static bool client_wait(struct stream_client *c)
{
	int64_t until = clock_mono_ms() + TICK_MS;
	for (;;) {
		int64_t left = until - clock_mono_ms();
		if (left <= 0)
			return true;
		struct pollfd fds[] = {{.fd = c->fcgi.ipcFd, .events = POLLIN},
		                       {.fd = c->server->ending_fd, .events = POLLIN}};
		int n = poll(fds, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return false;
		if (n <= 0)
			continue;
		if (fds[1].revents != 0 || !client_drain(c->fcgi.ipcFd))
			return false;
	}
}

static void client_stream(struct stream_client *c, struct gateway_stream *stream)
{
	struct stream_server *s = c->server;
	for (bool more = true; more;) {
		const char *data = NULL;
		size_t n = 0;
		pthread_mutex_lock(&s->store_lock);
		more = gateway_stream_next(&s->app, stream, &data, &n);
		pthread_mutex_unlock(&s->store_lock);
		if (n > 0 && !gateway_stream_write(&c->fcgi, data, n))
			break;
		if (more && !client_wait(c))
			break;
	}
	pthread_mutex_lock(&s->store_lock);
	gateway_stream_end(stream);
	pthread_mutex_unlock(&s->store_lock);
}

static void client_free(struct stream_client *c)
{
	struct stream_server *s = c->server;
	FCGX_Finish_r(&c->fcgi);
	free(c);
	atomic_fetch_sub(&s->clients, 1);
}

static void *client_main(void *arg)
{
	struct stream_client *c = arg;
	struct stream_server *s = c->server;
	struct gateway_stream *stream = NULL;
	struct timeval patience = {.tv_sec = WRITE_SECONDS};
	setsockopt(c->fcgi.ipcFd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	pthread_mutex_lock(&s->store_lock);
	enum gateway_result result = gateway_serve(&s->app, &c->fcgi, true, &stream);
	pthread_mutex_unlock(&s->store_lock);
	if (result == GATEWAY_STREAM)
		client_stream(c, stream);
	client_free(c);
	return NULL;
}

/* Turns a client away without the store. */
static void client_refuse(struct stream_client *c)
{
	static const char reply[] =
	    "Status: 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 10\r\n\r\n"
	    "{\"error\":\"Too many streams\",\"reason\":\"stream_limit\"}";
	FCGX_PutStr(reply, (int)sizeof reply - 1, c->fcgi.out);
	client_free(c);
}

/* Accepts one client and starts its thread. */
static enum accept_result server_accept(struct stream_server *s)
{
	struct stream_client *c = calloc(1, sizeof *c);
	if (c == NULL)
		mem_exhausted();
	c->server = s;
	enum accept_result result = ACCEPT_FAILED;
	if (FCGX_InitRequest(&c->fcgi, s->listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) == 0)
		result = child_accept(&c->fcgi);
	if (result != ACCEPT_GOT) {
		free(c);
		return result;
	}
	pthread_t thread;
	if (atomic_fetch_add(&s->clients, 1) >= s->max_clients ||
	    pthread_create(&thread, &s->thread, client_main, c) != 0)
		client_refuse(c);
	return result;
}

static int server_loop(struct stream_server *s, struct child_waiter *waiter)
{
	while (child_order() == CHILD_RUN) {
		switch (server_accept(s)) {
		case ACCEPT_GOT:
			break;
		case ACCEPT_NONE:
			child_wait(waiter, IDLE_WAKE_MS);
			malloc_trim(0);
			break;
		case ACCEPT_FAILED:
			child_sleep(FAILED_WAIT_MS);
			break;
		}
	}
	/* Streams end at the boundary of an event; their clients connect again. */
	eventfd_write(s->ending_fd, 1);
	for (int64_t until = clock_mono_ms() + LEAVE_MS; s->clients > 0 && clock_mono_ms() < until;)
		poll(NULL, 0, 20);
	return EXIT_SUCCESS;
}

/* As many clients as configured and as descriptors can be had for. */
static int64_t clients_allowed(const struct config *c)
{
	int64_t n = config_int(c, CFG_STREAM_CLIENTS);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return n;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur != RLIM_INFINITY && (int64_t)limit.rlim_cur - OWN_DESCRIPTORS < n)
		return (int64_t)limit.rlim_cur - OWN_DESCRIPTORS;
	return n;
}

int stream_run(const struct child_setup *setup)
{
	child_begin(setup, "stream");
	mallopt(M_ARENA_MAX, 2);
	void *mem = talloc_named_const(NULL, 0, "stream");
	const char *error = NULL;
	struct stream_server s = {
	    .app = {.config = setup->config, .live = setup->live},
	    .max_clients = clients_allowed(setup->config),
	    .ending_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	    .listen_fd = setup->listen_fd[SOCKET_STREAM],
	};
	struct child_waiter waiter;
	s.app.store = store_open(mem, setup->config, &error);
	if (s.app.store == NULL) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	store_attach(s.app.store, setup->live);
	pthread_mutex_init(&s.store_lock, NULL);
	pthread_attr_init(&s.thread);
	pthread_attr_setstacksize(&s.thread, THREAD_STACK);
	pthread_attr_setdetachstate(&s.thread, PTHREAD_CREATE_DETACHED);
	if (s.ending_fd < 0 || FCGX_Init() != 0 || !child_waiter_init(&waiter, s.listen_fd))
		return EXIT_FAILURE;
	child_ready(setup);
	int rc = server_loop(&s, &waiter);
	if (s.clients > 0)
		_exit(rc); /* threads still use the store */
	talloc_free(mem);
	return rc;
}
