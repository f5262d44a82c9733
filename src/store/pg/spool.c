/*
 * The audit spool: events that the database could not take, one JSON line each, in files of which each has one writer:
 * <RAKKR_DATA_DIR>/audit-spool/<pid>-<start ms>.jsonl. A line is acknowledged only when it is on disk.
 *
 * Moving: under the file's lock it is renamed to *.moving, which its writer notices (the path is no longer its file)
 * and starts a new one. What a mover leaves behind when it is killed is a *.moving file, read again by the next one;
 * lines that are in the database already are ignored there by their id.
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "store/file/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".jsonl"
#define MOVING ".jsonl.moving"

void spool_init(struct spool *s, const void *ctx, const struct config *c)
{
	*s = (struct spool){.fd = -1, .before = -1};
	s->folder = mem_printf(ctx, "%s/audit-spool", config_str(c, CFG_DATA_DIR));
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* A start time that no other file of this process has. */
static int64_t unique_start(void)
{
	static _Atomic int64_t last;
	int64_t before = atomic_load(&last), start;

	do {
		start = clock_now_ms();
		if (start <= before)
			start = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, start));
	return start;
}

void spool_close(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	talloc_free(s->path);
	s->path = NULL;
}

static status open_file(struct spool *s)
{
	TRY(fs_make_folder(s->folder));
	s->path = mem_printf(s->folder, "%s/%ld-%" PRId64 SUFFIX, s->folder, (long)getpid(), unique_start());
	s->fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		status st = fs_failed("cannot create", s->path, errno);

		spool_close(s);
		return st;
	}
	return fs_sync_folder(s->folder);
}

/* True if the open file is still the one at its path. */
static bool is_ours(const struct spool *s)
{
	struct stat at_path, open_one;

	return stat(s->path, &at_path) == 0 && fstat(s->fd, &open_one) == 0 && at_path.st_ino == open_one.st_ino &&
	       at_path.st_dev == open_one.st_dev;
}

/* Opens and locks the file of this handle; a file that was taken away is followed by a new one. */
static status lock_file(struct spool *s)
{
	for (;;) {
		if (s->fd < 0)
			TRY(open_file(s));
		while (flock(s->fd, LOCK_EX) != 0)
			if (errno != EINTR)
				return fs_failed("cannot lock", s->path, errno);
		if (is_ours(s))
			return ST_OK;
		spool_close(s);
	}
}

static status append(struct spool *s, const char *data, size_t n)
{
	off_t end = lseek(s->fd, 0, SEEK_END);
	int error;

	s->before = end;
	if (io_write(s->fd, data, n) && fdatasync(s->fd) == 0)
		return ST_OK;
	error = errno;
	s->before = -1;
	/* No half line may stand in front of the next one. */
	if (end < 0 || ftruncate(s->fd, end) != 0)
		log_error("cannot cut %s: %s", s->path, strerror(errno));
	return fs_failed("cannot write", s->path, error);
}

status spool_append(struct spool *s, json_object *events)
{
	void *ctx = talloc_new(NULL);
	struct buf lines;
	status st;

	buf_init(&lines, ctx);
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		buf_puts(&lines, json_compact(ctx, json_object_array_get_idx(events, i), NULL));
		buf_putc(&lines, '\n');
	}
	s->before = -1;
	st = lock_file(s);
	if (st == ST_OK) {
		st = append(s, lines.data, lines.len);
		flock(s->fd, LOCK_UN);
	}
	talloc_free(ctx);
	return st;
}

void spool_take_back(struct spool *s)
{
	if (s->before < 0 || s->fd < 0)
		return;
	while (flock(s->fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return;
	if (is_ours(s) && (ftruncate(s->fd, s->before) != 0 || fdatasync(s->fd) != 0))
		log_error("cannot cut %s: %s", s->path, strerror(errno));
	flock(s->fd, LOCK_UN);
	s->before = -1;
}

/* ---- moving ------------------------------------------------------------------------------------------------------ */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static bool is_spool_name(const char *name)
{
	const char *dash = strchr(name, '-');

	return dash != NULL && (ends_with(name, SUFFIX) || ends_with(name, MOVING));
}

static int64_t start_of(const char *name)
{
	const char *dash = strchr(name, '-');

	return dash == NULL ? 0 : strtoll(dash + 1, NULL, 10);
}

/* The file name of the folder with the earliest start, NULL if there is none. */
static char *oldest(const char *folder, const void *ctx)
{
	DIR *d = opendir(folder);
	char *name = NULL;
	struct dirent *e;

	if (d == NULL)
		return NULL;
	while ((e = readdir(d)) != NULL) {
		if (!is_spool_name(e->d_name))
			continue;
		if (name == NULL || start_of(e->d_name) < start_of(name) ||
		    (start_of(e->d_name) == start_of(name) && strcmp(e->d_name, name) < 0))
			name = mem_strdup(ctx, e->d_name);
	}
	closedir(d);
	return name;
}

int spool_lock(const struct spool *s)
{
	void *ctx = talloc_new(NULL);
	bool empty = oldest(s->folder, ctx) == NULL;
	int fd = -1;

	if (!empty)
		fd = open(mem_printf(ctx, "%s/lock", s->folder), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	talloc_free(ctx);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Renames a file under its lock, so that its writer is not in the middle of a line. */
static bool take_away(const char *from, const char *to)
{
	int fd = open(from, O_RDWR | O_CLOEXEC);
	bool done = false;

	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		done = rename(from, to) == 0;
	if (!done)
		log_warn("cannot take %s: %s", from, strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}

char *spool_next(const struct spool *s, const void *ctx)
{
	char *name = oldest(s->folder, ctx), *path, *moving;

	if (name == NULL)
		return NULL;
	path = mem_printf(ctx, "%s/%s", s->folder, name);
	if (ends_with(name, MOVING))
		return path;
	moving = mem_printf(ctx, "%s.moving", path);
	return take_away(path, moving) ? moving : NULL;
}

void spool_done(const char *path)
{
	if (unlink(path) != 0)
		log_warn("cannot remove %s: %s", path, strerror(errno));
}

status spool_reject(const struct spool *s, const char *line, size_t n)
{
	void *ctx = talloc_new(NULL);
	char *path = mem_printf(ctx, "%s/rejected", s->folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	status st = ST_OK;

	if (fd < 0 || !io_write(fd, line, n) || fdatasync(fd) != 0)
		st = fs_failed("cannot write", path, errno);
	else
		log_error("an audit event that the database refuses was put into %s", path);
	if (fd >= 0)
		close(fd);
	talloc_free(ctx);
	return st;
}
