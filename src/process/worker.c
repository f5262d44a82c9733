/*
 * A worker: one request at a time, one store (one database connection) of its own. The login process is a worker with a
 * socket of its own, where sign-ins queue: checking a password takes its time by intent, and however many are tried at
 * once, no more than one is being checked (memory) and none keeps a worker of the pool (contract 09 D-106). So are the
 * upload processes: an hour of sound is decoded for seconds, recordings that began together end together, and agents,
 * which have no time-outs, must not stop beating while their neighbours deliver.
 */
#include "process/child.h"

#include "api/request.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/gateway.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define TRIM_EVERY 1000    /* requests */
#define IDLE_WAKE_MS 30000 /* an idle worker looks around this often */
#define FAILED_WAIT_MS 100 /* between two failing accepts (out of descriptors, ...) */
#define UPLOAD_NICE 5

/*
 * Ends a request. When the body was read to its end nothing is left on the wire and the socket may simply be closed.
 * Else libfcgi must close carefully: it reads what nginx still sends, or nginx would take the lost rest for an error.
 */
static void request_finish(FCGX_Request *fcgi)
{
	if (FCGX_HasSeenEOF(fcgi->in) == EOF)
		FCGX_Detach(fcgi);
	FCGX_Finish_r(fcgi);
}

/* Gives memory that an exceptional request took back to the system. */
static void memory_trim(unsigned long served)
{
	if (served % TRIM_EVERY == 0)
		malloc_trim(0);
}

static void worker_serve(struct app *app, FCGX_Request *fcgi)
{
	struct gateway_stream *stream = NULL;
	if (gateway_serve(app, fcgi, false, &stream) == GATEWAY_STREAM)
		gateway_stream_end(stream);
	request_finish(fcgi);
}

static int worker_loop(const struct child_setup *setup, int listen_fd, struct app *app)
{
	struct child_waiter waiter;
	FCGX_Request fcgi;
	if (FCGX_Init() != 0 || FCGX_InitRequest(&fcgi, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0 ||
	    !child_waiter_init(&waiter, listen_fd))
		return EXIT_FAILURE;
	child_ready(setup);
	for (unsigned long served = 0;;) {
		enum child_order order = child_order();
		if (order == CHILD_RETIRE)
			return EXIT_SUCCESS;
		switch (child_accept(&fcgi)) {
		case ACCEPT_GOT:
			worker_serve(app, &fcgi);
			memory_trim(++served);
			break;
		case ACCEPT_NONE:
			if (order == CHILD_DRAIN)
				return EXIT_SUCCESS;
			child_wait(&waiter, IDLE_WAKE_MS);
			break;
		case ACCEPT_FAILED:
			if (order == CHILD_DRAIN)
				return EXIT_FAILURE;
			child_sleep(FAILED_WAIT_MS);
			break;
		}
	}
}

static int serve(const struct child_setup *setup, const char *role, int listen_fd)
{
	child_begin(setup, role);
	/* One thread: a second arena or a growing mmap threshold would only keep memory. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
	void *mem = talloc_named_const(NULL, 0, role);
	const char *error = NULL;
	struct app app = {.config = setup->config, .live = setup->live};
	app.store = store_open(mem, setup->config, &error);
	if (app.store == NULL) {
		log_error("%s", error);
		talloc_free(mem);
		return EXIT_FAILURE;
	}
	store_attach(app.store, setup->live);
	int rc = worker_loop(setup, listen_fd, &app);
	talloc_free(mem);
	return rc;
}

int worker_run(const struct child_setup *setup)
{
	return serve(setup, "worker", setup->listen_fd[SOCKET_REQUESTS]);
}

int login_run(const struct child_setup *setup)
{
	return serve(setup, "login", setup->listen_fd[SOCKET_LOGIN]);
}

int upload_run(const struct child_setup *setup)
{
	/* Decoders inherit it: whoever waits for an answer of the others comes first. */
	setpriority(PRIO_PROCESS, 0, UPLOAD_NICE);
	return serve(setup, "upload", setup->listen_fd[SOCKET_UPLOAD]);
}
