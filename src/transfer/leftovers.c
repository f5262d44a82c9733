#include "transfer/leftovers.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MAX (64 * 1024 * 1024)

static const char *list_path(const void *ctx, const struct config *c)
{
	return mem_printf(ctx, "%s/leftover-files.jsonl", config_str(c, CFG_DATA_DIR));
}

static bool complain(const char *path)
{
	log_error("%s: %s", path, strerror(errno));
	return false;
}

/* The list, locked; -1 with errno. A list that was replaced while we waited for its lock is not the list any more. */
static int open_locked(const char *path, int flags)
{
	struct stat ours, current;

	for (;;) {
		int fd = open(path, flags | O_CLOEXEC, 0600);

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &ours) == 0 && stat(path, &current) == 0 &&
		    ours.st_ino == current.st_ino && ours.st_dev == current.st_dev)
			return fd;
		close(fd);
	}
}

bool leftovers_add(const struct config *c, const struct leftover *files, size_t n)
{
	void *ctx = talloc_new(NULL);
	const char *path = list_path(ctx, c);
	struct buf b;
	bool good;
	int fd;

	buf_init(&b, ctx);
	for (size_t i = 0; i < n; i++) {
		json_object *line = json_new_object(ctx);

		json_set_iso(line, "at", files[i].at_ms);
		json_set_str(line, "id", files[i].id);
		json_set_str(line, "path", files[i].path);
		buf_puts(&b, json_compact(ctx, line, NULL));
		buf_putc(&b, '\n');
	}
	fd = b.len > 0 ? open_locked(path, O_WRONLY | O_APPEND | O_CREAT) : -1;
	good = b.len == 0 || (fd >= 0 && io_write(fd, b.data, b.len) && fdatasync(fd) == 0) || complain(path);
	if (fd >= 0)
		close(fd);
	talloc_free(ctx);
	return good;
}

/* ---- settling ---------------------------------------------------------------------------------------------------- */

/* All of the open list from its beginning; NULL with errno. */
static char *read_list(const void *ctx, int fd, size_t *n)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0)
		return NULL;
	if (st.st_size > LIST_MAX) {
		errno = EFBIG;
		return NULL;
	}
	text = mem_array(ctx, char, (size_t)st.st_size + 1);
	for (*n = 0; *n < (size_t)st.st_size;) {
		ssize_t got = pread(fd, text + *n, (size_t)st.st_size - *n, (off_t)*n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return NULL;
		if (got == 0)
			break;
		*n += (size_t)got;
	}
	text[*n] = '\0';
	return text;
}

/* A line that says nothing (cut off by a crash) is forgotten. */
static bool parse_line(const void *ctx, const char *line, size_t n, struct leftover *file)
{
	json_object *o;

	if (!json_parse(ctx, line, n, &o))
		return false;
	file->id = json_str(o, "id");
	file->path = json_str(o, "path");
	return file->id != NULL && file->path != NULL && json_str(o, "at") != NULL &&
	       clock_parse(json_str(o, "at"), CLOCK_LENIENT, &file->at_ms);
}

/* Appends to kept the lines of text that are not settled. */
static void sift(const char *text, bool (*settled)(void *, const struct leftover *), void *arg, struct buf *kept)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		void *ctx = talloc_new(NULL);
		struct leftover file;

		if (parse_line(ctx, text, n, &file) && !settled(arg, &file)) {
			buf_add(kept, text, n);
			buf_putc(kept, '\n');
		}
		talloc_free(ctx);
		text += n + (text[n] == '\n');
	}
}

/* Puts kept, and what others have added behind the first `seen` bytes, in the place of the list. */
static bool replace(const void *ctx, const char *path, size_t seen, struct buf *kept)
{
	const char *temp = mem_printf(ctx, "%s.new", path);
	int list = open_locked(path, O_RDONLY), fd = -1;
	char *text = NULL;
	size_t n = 0;
	bool good;

	if (list >= 0)
		text = read_list(ctx, list, &n);
	if (text != NULL && n > seen)
		buf_add(kept, text + seen, n - seen);
	if (text != NULL)
		fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	good = fd >= 0 && io_write(fd, kept->data != NULL ? kept->data : "", kept->len) && fdatasync(fd) == 0 &&
	       rename(temp, path) == 0;
	if (!good)
		complain(path);
	if (fd >= 0)
		close(fd);
	if (list >= 0)
		close(list);
	return good;
}

bool leftovers_settle(const struct config *c, bool (*settled)(void *arg, const struct leftover *file), void *arg)
{
	void *ctx = talloc_new(NULL);
	const char *path = list_path(ctx, c);
	char *text = NULL;
	struct buf kept;
	bool good = true;
	size_t n = 0;
	int fd = open_locked(path, O_RDONLY);

	buf_init(&kept, ctx);
	if (fd >= 0) {
		text = read_list(ctx, fd, &n);
		good = text != NULL || complain(path);
		close(fd); /* what is done about a file may take long; nobody waits for it */
	} else if (errno != ENOENT) {
		good = complain(path);
	}
	if (text != NULL && n > 0) {
		sift(text, settled, arg, &kept);
		if (kept.len < n)
			good = replace(ctx, path, n, &kept);
	}
	talloc_free(ctx);
	return good;
}
