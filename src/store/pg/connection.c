/* One libpq connection a store handle: made when first needed, replaced when broken, never waited for long. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MOST_MS 1000

bool connection_url_valid(const char *url)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &message);

	PQfreemem(message); /* not shown: it may quote a part of the password */
	if (options == NULL)
		return false;
	PQconninfoFree(options);
	return true;
}

static int64_t deadline(const struct pg *p, int64_t limit_ms)
{
	int64_t at = clock_mono_ms() + limit_ms;

	return p->deadline_ms != 0 && p->deadline_ms < at ? p->deadline_ms : at;
}

static bool wait_socket(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = deadline_ms - clock_mono_ms();
		int n;

		if (left <= 0)
			return false;
		n = poll(&pfd, 1, (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

bool connection_wait(const struct pg *p, short events, int64_t deadline_ms)
{
	return wait_socket(PQsocket(p->conn), events, deadline_ms);
}

static void ignore_notice(void *arg, const PGresult *r)
{
	(void)arg;
	log_debug("postgres: %s", PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
}

static PGconn *start(const char *url)
{
	/* Names in front of dbname are defaults that the address may override. */
	static const char *const names[] = {
	    "fallback_application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
	    "tcp_user_timeout",          "dbname",          "client_encoding",     NULL};
	const char *values[] = {"rakkr-fcgi", "30", "5", "3", "20000", url, "UTF8", NULL};

	return PQconnectStartParams(names, values, 1);
}

/* Drives the connection attempt; true when it stands. */
static bool finish(PGconn *conn, int64_t until)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	if (conn == NULL || PQstatus(conn) == CONNECTION_BAD)
		return false;
	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED)
			return false;
		if (!wait_socket(PQsocket(conn), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
			return false;
		state = PQconnectPoll(conn);
	}
	return true;
}

static void log_failure(const struct pg *p)
{
	const char *text = p->conn != NULL ? PQerrorMessage(p->conn) : "";
	size_t n = strcspn(text, "\n");

	log_warn("database: no connection: %.*s", (int)(n > 0 ? n : 9), n > 0 ? text : "timed out");
}

status connection_open(struct pg *p)
{
	int64_t begun = clock_mono_ms();

	if (p->conn != NULL && PQstatus(p->conn) == CONNECTION_OK)
		return ST_OK;
	connection_drop(p);
	if (p->failed != ST_OK)
		return p->failed;
	if (begun < p->next_try_ms || (p->deadline_ms != 0 && begun >= p->deadline_ms))
		return ST_UNAVAILABLE;
	p->conn = start(p->url);
	if (finish(p->conn, deadline(p, PG_CONNECT_MS))) {
		PQsetNoticeReceiver(p->conn, ignore_notice, NULL);
		if (PQsetnonblocking(p->conn, 1) == 0 && PQenterPipelineMode(p->conn) == 1 && session_begin(p)) {
			if (p->backoff_ms > 0)
				log_info("database: connected again");
			p->backoff_ms = 0;
			return ST_OK;
		}
	}
	if (p->backoff_ms == 0)
		log_failure(p);
	connection_drop(p);
	p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
	if (p->backoff_ms > BACKOFF_MOST_MS)
		p->backoff_ms = BACKOFF_MOST_MS;
	/* An attempt that took long must not be followed by the next one at once: requests would only ever wait. */
	p->next_try_ms = clock_mono_ms() + p->backoff_ms + (clock_mono_ms() - begun);
	return ST_UNAVAILABLE;
}

void connection_drop(struct pg *p)
{
	if (p->conn != NULL)
		PQfinish(p->conn);
	p->conn = NULL;
	p->runner = false;
	statement_cache_reset(p);
	if (p->unit && p->failed == ST_OK)
		p->failed = ST_UNAVAILABLE;
}
