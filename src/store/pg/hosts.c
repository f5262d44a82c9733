/*
 * Several hosts may share one database. A change that another one makes does not end the answers kept here (stale.c),
 * so it has to be known whether there are others: the runner of each host holds an advisory lock with the host's
 * number, which goes with its connection, and looks for the numbers of others.
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "store/live.h"

#include <inttypes.h>
#include <string.h>

#define LOOKS 10 /* in a row that must find nobody; there is one a second */
#define CLASS "hashtext('rakkr host')"

static const char look_sql[] = "SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                               " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted"
                               " AND l.objsubid = 2 AND l.classid = " CLASS "::oid AND l.objid <> $1::integer::oid)";

/* A host that is gone without a word is forgotten by the server as soon as an answer to it is lost. */
static const char tell_sql[] = "SELECT pg_advisory_lock_shared(" CLASS ", $1::integer),"
                               " set_config('tcp_user_timeout', '20s', false)";

/* Positive, random, the same for all processes of this host. */
static int64_t own_number(struct live *l)
{
	uint32_t n;

	if (live_read(l, LIVE_HOST_NUMBER) == 0) {
		crypto_random(&n, sizeof(n));
		live_set(l, LIVE_HOST_NUMBER, (n & INT32_MAX) | 1);
	}
	return live_read(l, LIVE_HOST_NUMBER);
}

/* After an outage not everybody is back at once. */
static void note(struct pg *p, bool others)
{
	struct live *l = p->outage.live;
	bool before = live_read(l, LIVE_ALONE_SINCE) == INT64_MAX;

	p->alone_looks = others ? 0 : p->alone_looks + 1;
	if (others == before || (!others && p->alone_looks < LOOKS))
		return;
	live_set(l, LIVE_ALONE_SINCE, others ? INT64_MAX : clock_mono_ms());
	log_info(others ? "another host uses this database" : "no other host uses this database any more");
}

void hosts_look(struct pg *p)
{
	struct live *l = p->outage.live;
	const char *values[1];
	struct batch b;
	size_t call;
	void *ctx;
	bool tell;

	if (l == NULL || p->unit)
		return;
	ctx = talloc_new(NULL);
	values[0] = mem_printf(ctx, "%" PRId64, own_number(l));
	batch_init(&b, ctx);
	call = batch_add(&b, look_sql, values, 1);
	tell = !p->present;
	if (tell)
		batch_add(&b, tell_sql, values, 1);
	if (pg_run(p, &b) == ST_OK) {
		p->present |= tell; /* pg_run() may have made a new connection */
		note(p, strcmp(batch_cell(&b, call, 0, 0), "t") == 0);
	}
	talloc_free(ctx);
}

int64_t hosts_alone_since(const struct pg *p)
{
	return p->outage.live != NULL ? live_read(p->outage.live, LIVE_ALONE_SINCE) : 0;
}
