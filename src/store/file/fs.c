#include "store/file/fs.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

status fs_status(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case EFBIG:
		return ST_NO_SPACE;
	default:
		return ST_UNAVAILABLE;
	}
}

status fs_failed(const char *what, const char *path, int error)
{
	log_error("cannot %s %s: %s", what, path, strerror(error));
	return fs_status(error);
}

char *fs_folder(const void *ctx, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(ctx, ".");
	return mem_strndup(ctx, path, slash == path ? 1 : (size_t)(slash - path));
}

/* A folder that was just made must not be lost with what is put into it. */
static void sync_parent(const char *path)
{
	char *parent = fs_folder(NULL, path);

	fs_sync_folder(parent);
	talloc_free(parent);
}

status fs_make_folder(const char *path)
{
	char *part = mem_strdup(NULL, path);
	size_t n = strlen(part);
	int error = 0;

	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0750) == 0)
			sync_parent(part);
		else if (errno != EEXIST)
			error = errno;
		part[i] = path[i];
	}
	if (error != 0) { /* a parent that may not be written is no failure as long as the folder itself is there */
		struct stat st;

		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			error = 0;
	}
	talloc_free(part);
	return error == 0 ? ST_OK : fs_failed("make folder", path, error);
}

static void version_of(struct fs_version *v, const struct stat *st)
{
	v->dev = st->st_dev;
	v->ino = st->st_ino;
	v->size = st->st_size;
	v->mtime_ns = (int64_t)st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

status fs_look(const char *path, struct fs_version *v)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_UNAVAILABLE;
	version_of(v, &st);
	return ST_OK;
}

bool fs_same(const struct fs_version *a, const struct fs_version *b)
{
	return a->ino == b->ino && a->mtime_ns == b->mtime_ns && a->size == b->size && a->dev == b->dev;
}

static bool read_all(int fd, char *data, size_t size, size_t *got)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = read(fd, data + *got, size - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return true;
}

status fs_read(const void *ctx, const char *path, char **data, size_t *size, struct fs_version *v)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok;
	int error;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_UNAVAILABLE;
	ok = fstat(fd, &st) == 0;
	if (ok && !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		ok = false;
	}
	if (ok) {
		version_of(v, &st);
		*data = mem_array(ctx, char, (size_t)st.st_size + 1);
		ok = read_all(fd, *data, (size_t)st.st_size, size);
	}
	error = errno;
	close(fd);
	errno = error;
	return ok ? ST_OK : ST_UNAVAILABLE;
}

/* Two versions of a file may share inode and size, and the file system's clock ticks in milliseconds only. */
static bool set_mtime(int fd, int64_t after_ns)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
	if (ns <= after_ns)
		ns = after_ns + 1;
	const struct timespec times[2] = {
	    {.tv_nsec = UTIME_OMIT},
	    {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)},
	};
	return futimens(fd, times) == 0;
}

status fs_write_new(const char *path, const char *data, size_t n, int64_t after_ns, struct fs_version *v)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	int error = 0;

	if (fd < 0)
		return fs_failed("create", path, errno);
	if (!io_write(fd, data, n) || !set_mtime(fd, after_ns) || fsync(fd) != 0 || fstat(fd, &st) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error != 0) {
		fs_remove(path);
		return fs_failed("write", path, error);
	}
	version_of(v, &st);
	return ST_OK;
}

status fs_overwrite(const char *path, const char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	bool fresh = fd < 0 && errno == ENOENT;
	int error = 0;

	if (fresh)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fs_failed("write", path, errno);
	if (!io_write(fd, data, n) || fdatasync(fd) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error != 0)
		return fs_failed("write", path, error);
	if (fresh) {
		char *folder = fs_folder(NULL, path);
		status st = fs_sync_folder(folder);

		talloc_free(folder);
		return st;
	}
	return ST_OK;
}

void fs_empty(const char *path)
{
	if (truncate(path, 0) != 0 && errno != ENOENT)
		fs_failed("empty", path, errno);
}

status fs_rename(const char *from, const char *to)
{
	return rename(from, to) == 0 ? ST_OK : fs_failed("replace", to, errno);
}

status fs_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return fs_failed("open folder", folder, errno);
	if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system without it */
		error = errno;
	close(fd);
	return error == 0 ? ST_OK : fs_failed("sync folder", folder, error);
}

void fs_remove(const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		fs_failed("remove", path, errno);
}

int fs_lock_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = open(path, O_RDONLY | O_CLOEXEC); /* enough to lock it; the write to come says what is wrong */
	return fd;
}

status fs_lock(int fd, int64_t wait_ms)
{
	int64_t deadline = clock_mono_ms() + wait_ms;
	struct timespec pause = {.tv_nsec = 100000};

	/* flock() itself has no time limit, so it is asked again and again, ever less often. */
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fs_failed("lock", "the store", errno);
		if (clock_mono_ms() >= deadline)
			return ST_CONFLICT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 5000000)
			pause.tv_nsec += pause.tv_nsec / 2;
	}
	return ST_OK;
}

void fs_unlock(int fd)
{
	flock(fd, LOCK_UN);
}
