/*
 * Changes that commands make while a controller runs on this host. They have no part in live memory, so what is kept
 * there of sessions, credentials and answers does not end with them. They leave a mark in the data folder instead,
 * before the first write and after the commit; whoever is about to use what is kept looks at it first, and the runner
 * now and then, so that what is read after the change is known again before it is needed.
 */
#include "store/pg/pg.h"

#include "base/log.h"
#include "store/live.h"
#include "store/recall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *mark_path(const void *ctx, const struct pg *p)
{
	return mem_printf(ctx, "%s/.changed", config_str(p->config, CFG_DATA_DIR));
}

static bool leave_mark(const char *path)
{
	char *fresh = mem_printf(NULL, "%s.%ld", path, (long)getpid());
	int fd = open(fresh, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	bool good = fd >= 0 && rename(fresh, path) == 0;

	if (fd >= 0)
		close(fd);
	talloc_free(fresh);
	return good || errno == ENOENT; /* no data folder: no controller has run here */
}

void outside_mark(struct pg *p)
{
	void *ctx;

	if (p->outage.live != NULL)
		return;
	ctx = talloc_new(NULL);
	if (!leave_mark(mark_path(ctx, p)) && !p->outage.told) {
		p->outage.told = true;
		log_warn(
		    "%s: %s; if the database goes away now, a controller that runs may answer from what it knew before"
		    " this change for RAKKR_AUTH_STALE_SECONDS",
		    mark_path(ctx, p), strerror(errno));
	}
	talloc_free(ctx);
}

/* What tells one mark from another; 0 = there is none. */
static int64_t mark_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec + (int64_t)st.st_ino;
}

void outside_look(struct pg *p)
{
	struct live *l = p->outage.live;
	void *ctx;
	int64_t mark;

	if (l == NULL)
		return;
	ctx = talloc_new(NULL);
	mark = mark_of(mark_path(ctx, p));
	talloc_free(ctx);
	if (mark == live_read(l, LIVE_OUTSIDE_MARK))
		return;
	if (live_answers(l) != NULL)
		recall_changed(live_answers(l), TOPICS_ALL);
	if (live_sessions(l) != NULL)
		recall_forget_all(live_sessions(l));
	live_credential_forget_all(l);
	live_set(l, LIVE_OUTSIDE_MARK, mark); /* last: nobody may think that it is done before */
}
