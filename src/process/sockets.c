#include "process/sockets.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const names[SOCKETS] = {
    [SOCKET_REQUESTS] = "rakkr.sock",
    [SOCKET_STREAM] = "stream.sock",
    [SOCKET_LOGIN] = "login.sock",
    [SOCKET_UPLOAD] = "upload.sock",
};

bool directory_make(const char *path, unsigned mode)
{
	char part[4096];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof part) {
		errno = n == 0 ? ENOENT : ENAMETOOLONG;
		return false;
	}
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST)
			return false;
		part[i] = path[i];
	}
	struct stat st;
	if (stat(path, &st) != 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode);
}

/* The lock is a record lock: children do not inherit it, and it ends with the process whatever happens. */
static bool pid_file_take(const void *ctx, struct run_dir *d, const char **error)
{
	const char *path = mem_printf(ctx, "%s/" PID_FILE, d->path);
	d->pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (d->pid_fd < 0) {
		*error = mem_printf(ctx, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(d->pid_fd, F_SETLK, &lock) != 0) {
		fcntl(d->pid_fd, F_GETLK, &lock);
		*error = mem_printf(ctx, "another rakkr-fcgi (pid %d) serves %s already", (int)lock.l_pid, d->path);
		return false;
	}
	const char *text = mem_printf(ctx, "%d\n", (int)getpid());
	if (ftruncate(d->pid_fd, 0) != 0 || write(d->pid_fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		*error = mem_printf(ctx, "cannot write %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static bool socket_group(const void *ctx, const char *path, const char *group, const char **error)
{
	struct group *g = getgrnam(group);
	if (g == NULL) {
		*error = mem_printf(ctx, "RAKKR_SOCKET_GROUP: there is no group %s", group);
		return false;
	}
	if (chown(path, (uid_t)-1, g->gr_gid) != 0) {
		*error = mem_printf(ctx, "cannot give %s to group %s: %s", path, group, strerror(errno));
		return false;
	}
	return true;
}

/* Listens on <dir>/<name>; -1 with *error. The pid file's lock is held, so an old socket there has no owner. */
static int socket_listen(const void *ctx, const struct config *c, const struct run_dir *d, const char *name,
                         const char **error)
{
	const char *path = mem_printf(ctx, "%s/%s", d->path, name);
	const char *group = config_str(c, CFG_SOCKET_GROUP);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		*error = mem_printf(ctx, "RAKKR_RUN_DIR: %s is too long for a unix socket (at most %zu characters)",
		                    path, sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0117); /* never wider than 0660, not even for a moment */
	if (unlink(path) != 0 && errno != ENOENT)
		*error = mem_printf(ctx, "cannot remove the old %s: %s", path, strerror(errno));
	else if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, SOMAXCONN) != 0)
		*error = mem_printf(ctx, "cannot listen on %s: %s", path, strerror(errno));
	umask(mask);
	if (*error == NULL && group != NULL && group[0] != '\0')
		socket_group(ctx, path, group, error);
	if (*error == NULL)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool run_dir_open(const void *ctx, const struct config *c, struct run_dir *d, const char **error)
{
	*d = (struct run_dir){.path = mem_strdup(ctx, config_str(c, CFG_RUN_DIR)), .pid_fd = -1};
	for (int i = 0; i < SOCKETS; i++)
		d->fd[i] = -1;
	*error = NULL;
	if (!directory_make(d->path, 0755)) {
		*error = mem_printf(ctx, "cannot create the run directory %s: %s", d->path, strerror(errno));
		return false;
	}
	if (!pid_file_take(ctx, d, error))
		return false;
	for (int i = 0; i < SOCKETS && *error == NULL; i++)
		d->fd[i] = socket_listen(ctx, c, d, names[i], error);
	if (*error == NULL)
		return true;
	run_dir_unlink_sockets(d);
	run_dir_close(d);
	return false;
}

static void run_dir_unlink(const struct run_dir *d, const char *name)
{
	char path[4096 + SOCKET_NAME_MAX + 2];
	int n = snprintf(path, sizeof path, "%s/%s", d->path, name);
	if (n > 0 && (size_t)n < sizeof path)
		unlink(path);
}

void run_dir_unlink_sockets(struct run_dir *d)
{
	for (int i = 0; i < SOCKETS; i++)
		run_dir_unlink(d, names[i]);
}

void run_dir_close(struct run_dir *d)
{
	for (int i = 0; i < SOCKETS; i++)
		if (d->fd[i] >= 0)
			close(d->fd[i]);
	run_dir_unlink(d, PID_FILE);
	close(d->pid_fd);
}
