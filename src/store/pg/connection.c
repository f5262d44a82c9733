/* One libpq connection a store handle: made when first needed, replaced when broken, never waited for long. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MOST_MS 1000

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

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

enum progress { ATTEMPT_UP, ATTEMPT_FAILED, ATTEMPT_OPEN };

static bool attempt_begin(struct attempt *a, const char *url)
{
	a->conn = start(url);
	a->state = PGRES_POLLING_WRITING;
	a->until_ms = clock_mono_ms() + PG_CONNECT_MS;
	return a->conn != NULL && PQstatus(a->conn) != CONNECTION_BAD;
}

static void attempt_end(struct attempt *a)
{
	PQfinish(a->conn);
	a->conn = NULL;
}

/* Goes on with an attempt; one that gets somewhere is given more time. */
static enum progress attempt_drive(struct attempt *a, int64_t until)
{
	while (a->state != PGRES_POLLING_OK) {
		if (a->state == PGRES_POLLING_FAILED)
			return ATTEMPT_FAILED;
		if (!wait_socket(PQsocket(a->conn), a->state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
			return ATTEMPT_OPEN;
		a->state = PQconnectPoll(a->conn);
		a->until_ms = clock_mono_ms() + PG_CONNECT_MS;
	}
	return ATTEMPT_UP;
}

/* True unless the server has nothing to say to a new connection either: whatever it answers, it is there. */
static bool server_answers(const struct pg *p)
{
	struct attempt a;
	bool answers = true;

	if (attempt_begin(&a, p->url))
		answers = attempt_drive(&a, clock_mono_ms() + OUTAGE_PROBE_MS) != ATTEMPT_OPEN;
	attempt_end(&a);
	return answers;
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * A statement may take its time, and a server may hang. After a while without an answer a second connection tells the
 * two apart, so that a worker is not held up for as long as the slowest statement may take.
 */
bool connection_wait(struct pg *p, short events, int64_t deadline_ms)
{
	int64_t until = p->budget_until_ms > 0 ? earlier(deadline_ms, p->budget_until_ms) : deadline_ms;
	int fd = PQsocket(p->conn);

	if (wait_socket(fd, events, earlier(until, clock_mono_ms() + OUTAGE_SUSPECT_MS)))
		return true;
	if (clock_mono_ms() >= until)
		return false;
	if (!p->probed && !server_answers(p)) {
		if (wait_socket(fd, events, clock_mono_ms() + 1))
			return true;
		outage_begin(p, "the server does not answer");
		return false;
	}
	p->probed = true;
	return wait_socket(fd, events, until);
}

/* ---- the connection ---------------------------------------------------------------------------------------------- */

/* Why there is no connection. */
static void report(struct pg *p, const PGconn *conn, bool refused)
{
	const char *text = refused && conn != NULL ? PQerrorMessage(conn) : "";
	char why[160];

	snprintf(why, sizeof(why), "%.*s", (int)strcspn(text, "\n"), text);
	outage_begin(p, why[0] != '\0' ? why : "no connection in time");
}

/* An attempt that took long must not be followed by the next one at once: requests would only ever wait. */
static status back_off(struct pg *p, int64_t begun_ms)
{
	int64_t now = clock_mono_ms();

	p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : earlier(p->backoff_ms * 2, BACKOFF_MOST_MS);
	p->next_try_ms = now + p->backoff_ms + earlier(now - begun_ms, BACKOFF_MOST_MS);
	return ST_UNAVAILABLE;
}

/* Takes over a connection that stands; false if it cannot be used. */
static bool adopt(struct pg *p)
{
	p->conn = p->attempt.conn;
	p->attempt.conn = NULL;
	PQsetNoticeReceiver(p->conn, ignore_notice, NULL);
	p->budget_until_ms = outage_known(p) ? clock_mono_ms() + OUTAGE_SUSPECT_MS : 0;
	if (PQsetnonblocking(p->conn, 1) != 0 || PQenterPipelineMode(p->conn) != 1 || !session_begin(p)) {
		report(p, p->conn, true);
		connection_drop(p);
		return false;
	}
	if (p->backoff_ms > 0)
		log_debug("database: connected again");
	p->backoff_ms = 0;
	return true;
}

/* A new connection, or a step towards one: while the database is known to be away, no request waits for it for long. */
static status connect_some(struct pg *p)
{
	int64_t begun = clock_mono_ms();
	enum progress progress = ATTEMPT_FAILED;

	if (p->attempt.conn != NULL && begun >= p->attempt.until_ms)
		attempt_end(&p->attempt);
	if (p->attempt.conn != NULL || attempt_begin(&p->attempt, p->url))
		progress =
		    attempt_drive(&p->attempt, deadline(p, outage_known(p) ? OUTAGE_PATIENCE_MS : PG_CONNECT_MS));
	if (progress == ATTEMPT_UP)
		return adopt(p) ? ST_OK : back_off(p, begun);
	report(p, p->attempt.conn, progress == ATTEMPT_FAILED);
	if (progress == ATTEMPT_FAILED)
		attempt_end(&p->attempt);
	return back_off(p, begun);
}

status connection_open(struct pg *p)
{
	int64_t now = clock_mono_ms();

	if (p->conn != NULL && PQstatus(p->conn) == CONNECTION_OK) {
		p->budget_until_ms = outage_known(p) ? now + OUTAGE_PATIENCE_MS : 0;
		return ST_OK;
	}
	connection_drop(p);
	if (p->failed != ST_OK)
		return p->failed;
	if ((now < p->next_try_ms && outage_known(p)) || (p->deadline_ms != 0 && now >= p->deadline_ms))
		return ST_UNAVAILABLE;
	return connect_some(p);
}

void connection_good(struct pg *p)
{
	p->probed = false;
	p->budget_until_ms = 0;
	outage_end(p);
}

void connection_rest(struct pg *p)
{
	p->next_try_ms = clock_mono_ms() + BACKOFF_FIRST_MS;
}

void connection_drop(struct pg *p)
{
	if (p->conn != NULL)
		PQfinish(p->conn);
	p->conn = NULL;
	p->runner = p->present = false;
	statement_cache_reset(p);
	if (p->unit && p->failed == ST_OK)
		p->failed = ST_UNAVAILABLE;
}
