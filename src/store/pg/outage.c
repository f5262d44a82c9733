/* Whether the database is there: known to all processes, logged once an edge. */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/live.h"

#include <inttypes.h>

#define TELL_AGAIN_MS 5000

void pg_attach(void *backend, struct live *l, struct degrade *how)
{
	struct pg *p = backend;

	p->outage.live = l;
	p->outage.how = how;
}

bool outage_known(const struct pg *p)
{
	return p->outage.live != NULL ? live_read(p->outage.live, LIVE_DATABASE_DOWN) != 0 : p->outage.down;
}

/* Sets what is known; true for the one process that changed it. */
static bool turn(struct pg *p, bool down)
{
	bool before = p->outage.down;

	if (p->outage.live != NULL)
		return live_swap(p->outage.live, LIVE_DATABASE_DOWN, down) != down;
	p->outage.down = down;
	return before != down;
}

/*
 * Outages that follow each other closely (one process is refused, another is served) are told of once; one that lasts
 * is told of at last.
 */
static bool tell(const struct live *l, bool first, int64_t now)
{
	int64_t since = live_read(l, LIVE_DATABASE_DOWN_SINCE), told = live_read(l, LIVE_DATABASE_TOLD);

	return first ? now - told >= TELL_AGAIN_MS : told < since && now - since >= TELL_AGAIN_MS;
}

void outage_begin(struct pg *p, const char *why)
{
	struct live *l = p->outage.live;
	bool first = turn(p, true);
	int64_t now = clock_now_ms();

	if (l == NULL) {
		if (first)
			log_warn("database: away (%s)", why);
		return;
	}
	if (first)
		live_set(l, LIVE_DATABASE_DOWN_SINCE, now);
	if (!tell(l, first, now))
		return;
	live_set(l, LIVE_DATABASE_TOLD, now);
	log_warn("database: away (%s); reads are answered from what was last known, audit events are kept on disk",
	         why);
}

void outage_end(struct pg *p)
{
	struct live *l = p->outage.live;
	int64_t since;

	if (!outage_known(p) || !turn(p, false))
		return;
	if (l == NULL) {
		log_info("database: back");
		return;
	}
	since = live_read(l, LIVE_DATABASE_DOWN_SINCE);
	if (live_read(l, LIVE_DATABASE_TOLD) >= since)
		log_info("database: back after %" PRId64 " ms", clock_now_ms() - since);
}
