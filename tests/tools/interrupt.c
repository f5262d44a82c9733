/*
 * Preloaded library that disturbs one system call on the files of a folder: the k-th one fails, is cut short, or the
 * process dies before it. Any program will do:
 *
 *	cc -shared -fPIC -o interrupt.so tests/tools/interrupt.c -ldl
 *	INTERRUPT_DIR=/srv/data INTERRUPT_AT=17 INTERRUPT_HOW=kill LD_PRELOAD=./interrupt.so rakkr-fcgi serve
 *
 * INTERRUPT_HOW: kill (before the call), torn (a write puts half of it, then the process dies), enospc, eio (the call
 * fails), full (this call and all later ones that need room fail with ENOSPC). INTERRUPT_COUNT names a file that gets
 *the number of calls when the process ends by itself. A program may say when to begin by setting the global
 * `interrupt_armed`; INTERRUPT_WAIT=1 waits for that.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int interrupt_armed;

static const char *folder, *how, *count_file;
static long at, calls;
static bool waits;

__attribute__((constructor)) static void begin(void)
{
	folder = getenv("INTERRUPT_DIR");
	how = getenv("INTERRUPT_HOW");
	count_file = getenv("INTERRUPT_COUNT");
	at = getenv("INTERRUPT_AT") != NULL ? atol(getenv("INTERRUPT_AT")) : 0;
	waits = getenv("INTERRUPT_WAIT") != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((destructor)) static void end(void)
{
	char text[32];
	int fd, n = snprintf(text, sizeof(text), "%ld\n", calls);

	folder = NULL;
	if (count_file == NULL || (fd = REAL(open)(count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
		return;
	if (REAL(write)(fd, text, (size_t)n) != n)
		abort();
	close(fd);
}

static bool inside(const char *path)
{
	size_t n = folder == NULL ? 0 : strlen(folder);

	return n > 0 && (!waits || interrupt_armed) && strncmp(path, folder, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0');
}

static bool fd_inside(int fd)
{
	char name[64], path[4096];
	ssize_t n;

	if (folder == NULL)
		return false;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return inside(path);
}

enum { GO_ON, FAIL, TEAR };

/* Counts a call; what is to become of it. errno is set for FAIL. */
static int disturb(bool is_write, bool needs_room)
{
	long k = ++calls;
	bool full = how != NULL && strcmp(how, "full") == 0;

	if (how == NULL || at == 0 || (full ? k < at || !needs_room : k != at))
		return GO_ON;
	if (strcmp(how, "torn") == 0 && is_write)
		return TEAR;
	if (strcmp(how, "kill") == 0 || strcmp(how, "torn") == 0)
		kill(getpid(), SIGKILL);
	errno = strcmp(how, "eio") == 0 ? EIO : ENOSPC;
	return FAIL;
}

static int open_mode(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, int) : 0;
}

#define OPEN(name)                                                                                                     \
	int name(const char *path, int flags, ...)                                                                     \
	{                                                                                                              \
		va_list ap;                                                                                            \
		int mode;                                                                                              \
                                                                                                                       \
		va_start(ap, flags);                                                                                   \
		mode = open_mode(flags, ap);                                                                           \
		va_end(ap);                                                                                            \
		if (inside(path) && disturb(false, (flags & O_CREAT) != 0) == FAIL)                                    \
			return -1;                                                                                     \
		return REAL(name)(path, flags, mode);                                                                  \
	}
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                                                    \
	FILE *name(const char *path, const char *mode)                                                                 \
	{                                                                                                              \
		if (inside(path) && disturb(false, mode[0] != 'r') == FAIL)                                            \
			return NULL;                                                                                   \
		return REAL(name)(path, mode);                                                                         \
	}
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t n)
{
	if (fd_inside(fd)) {
		int what = disturb(true, true);

		if (what == FAIL)
			return -1;
		if (what == TEAR) {
			if (REAL(write)(fd, data, n / 2) < 0)
				abort();
			kill(getpid(), SIGKILL);
		}
	}
	return REAL(write)(fd, data, n);
}

#define ON_FD(name, needs_room)                                                                                        \
	int name(int fd)                                                                                               \
	{                                                                                                              \
		if (fd_inside(fd) && disturb(false, needs_room) == FAIL)                                               \
			return -1;                                                                                     \
		return REAL(name)(fd);                                                                                 \
	}
ON_FD(fsync, true)
ON_FD(fdatasync, true)

#define ON_PATH(name, arguments, passed, needs_room)                                                                   \
	int name arguments                                                                                             \
	{                                                                                                              \
		if (inside(path) && disturb(false, needs_room) == FAIL)                                                \
			return -1;                                                                                     \
		return REAL(name) passed;                                                                              \
	}
ON_PATH(rename, (const char *path, const char *to), (path, to), true)
ON_PATH(unlink, (const char *path), (path), false)
ON_PATH(truncate, (const char *path, off_t size), (path, size), false)
ON_PATH(truncate64, (const char *path, off64_t size), (path, size), false)
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), true)

#define ON_FD_SIZE(name, type)                                                                                         \
	int name(int fd, type size)                                                                                    \
	{                                                                                                              \
		if (fd_inside(fd) && disturb(false, false) == FAIL)                                                    \
			return -1;                                                                                     \
		return REAL(name)(fd, size);                                                                           \
	}
ON_FD_SIZE(ftruncate, off_t)
ON_FD_SIZE(ftruncate64, off64_t)

int futimens(int fd, const struct timespec times[2])
{
	if (fd_inside(fd) && disturb(false, false) == FAIL)
		return -1;
	return REAL(futimens)(fd, times);
}
