#include "transfer/cache.h"

#include "base/buf.h"
#include "base/crypto.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BLOCK (256 * 1024)
#define HIDDEN_PREFIX ".incoming-"
#define KEPT_SUFFIX ".previous"

static const char *const folders[] = {"ad-hoc", "scheduled"};

const char *cache_folder(size_t i)
{
	return i < sizeof(folders) / sizeof(folders[0]) ? folders[i] : NULL;
}

struct cache_upload {
	char *folder; /* of temp, kept and final */
	char *temp;   /* hidden name; NULL once it has been moved */
	char *final;
	char *kept; /* the file that was there before; NULL if none */
	bool published;
	int fd; /* of the hidden file, locked: the sign that somebody is at work */
	int64_t size;
	char checksum[CACHE_CHECKSUM_SIZE];
};

const char *cache_upload_file(const struct cache_upload *u)
{
	return u->temp != NULL ? u->temp : u->final;
}

const char *cache_upload_checksum(const struct cache_upload *u)
{
	return u->checksum;
}

int64_t cache_upload_size(const struct cache_upload *u)
{
	return u->size;
}

static int upload_destroy(struct cache_upload *u)
{
	if (u->temp != NULL)
		unlink(u->temp);
	if (u->fd >= 0)
		close(u->fd);
	return 0;
}

/* Makes a rename or a link in folder durable. */
static bool sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return good;
}

static status system_failure(const void *ctx, const char *what, int error, const char **reason)
{
	*reason = mem_printf(ctx, "%s: %s", what, strerror(error));
	log_error("recording cache: %s", *reason);
	return error == ENOSPC || error == EDQUOT ? ST_NO_SPACE : ST_INTERNAL;
}

/* Id of a group, or -1 (= leave it) if there is none of that name. */
static gid_t group_id(const char *group)
{
	struct group *g = group != NULL && group[0] != '\0' ? getgrnam(group) : NULL;

	return g != NULL ? g->gr_gid : (gid_t)-1;
}

/* A folder of our own; it is the web server's to read too. One that is there already is left as it is. */
static bool make_folder(const void *ctx, const char *path, gid_t group)
{
	struct stat st;

	if (mkdir(path, 0750) != 0)
		return errno == EEXIST;
	if (!sync_folder(mem_printf(ctx, "%s/..", path)))
		return false;
	if (chown(path, (uid_t)-1, group) != 0)
		log_debug("%s keeps its group: %s", path, strerror(errno));
	return stat(path, &st) == 0 && chmod(path, (st.st_mode & 07777) | 0750) == 0;
}

/* Creates path and what is above it. */
static bool make_folders(const void *ctx, const char *path, gid_t group)
{
	char *copy = mem_strdup(ctx, path);

	for (char *p = copy + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (!make_folder(ctx, copy, group))
			return false;
		*p = '/';
	}
	return make_folder(ctx, copy, group);
}

/* True if path, with links followed, is root or below it. *real is the followed path, owned by ctx. */
static bool inside_root(const void *ctx, const char *root, const char *path, char **real)
{
	char root_real[PATH_MAX], path_real[PATH_MAX];
	size_t n;

	if (realpath(root, root_real) == NULL || realpath(path, path_real) == NULL)
		return false;
	n = strlen(root_real);
	if (strncmp(root_real, path_real, n) != 0 || (path_real[n] != '/' && path_real[n] != '\0' && n > 1)) {
		errno = EXDEV;
		return false;
	}
	*real = mem_strdup(ctx, path_real[n] == '/' ? path_real + n + 1 : path_real + n);
	return true;
}

/* The file that receives the bytes: without a name where the file system can do that, so that a kill leaves nothing. */
static bool open_incoming(struct cache_upload *u)
{
	u->fd = open(u->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
	if (u->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		u->fd = open(u->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
	return u->fd >= 0 && flock(u->fd, LOCK_EX | LOCK_NB) == 0;
}

/* Copies the body into the file and hashes it. */
static status receive_body(struct cache_upload *u, const struct cache_reader *reader, int64_t max, const char **reason)
{
	char *block = mem_array(u, char, RECEIVE_BLOCK);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;
	status s = ST_OK;
	long n = 0;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		mem_exhausted();
	while (s == ST_OK && (n = reader->read(reader->arg, block, RECEIVE_BLOCK)) > 0) {
		u->size += n;
		if (u->size > max)
			s = ST_TOO_LARGE;
		else if (EVP_DigestUpdate(md, block, (size_t)n) != 1 || !io_write(u->fd, block, (size_t)n))
			s = system_failure(u, "write", errno, reason);
	}
	if (s == ST_OK && n < 0)
		s = ST_INVALID;
	if (s == ST_OK && EVP_DigestFinal_ex(md, digest, &digest_len) == 1) {
		int at = snprintf(u->checksum, sizeof(u->checksum), "sha256:");

		for (unsigned int i = 0; i < digest_len; i++)
			at += snprintf(u->checksum + at, sizeof(u->checksum) - (size_t)at, "%02x", digest[i]);
	}
	EVP_MD_CTX_free(md);
	talloc_free(block);
	return s;
}

/* Gives the nameless file its hidden name. Already named on file systems without nameless files. */
static bool name_incoming(const struct cache_upload *u)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", u->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, u->temp, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST;
}

/* Folder and names of an upload; the folder is created. */
static status prepare(struct cache_upload *u, const char *root, gid_t group, const char *path, const char **reason)
{
	const char *slash = strrchr(path, '/');
	char id[UUID_SIZE], *real;

	u->folder = mem_printf(u, "%s/%.*s", root, (int)(slash - path), path);
	u->final = mem_printf(u, "%s/%s", root, path);
	uuid_v4(id);
	u->temp = mem_printf(u, "%s/" HIDDEN_PREFIX "%s-%s", u->folder, id, slash + 1);
	if (!make_folders(u, u->folder, group))
		return system_failure(u, u->folder, errno, reason);
	if (!inside_root(u, root, u->folder, &real)) {
		*reason = CACHE_OUTSIDE_ROOT;
		return ST_INTERNAL;
	}
	return ST_OK;
}

/* The name is given last: what can be seen is complete, readable, and on disk. */
static bool finish_incoming(const struct cache_upload *u, gid_t group)
{
	if (group != (gid_t)-1 && fchown(u->fd, (uid_t)-1, group) != 0)
		log_debug("%s keeps its group: %s", u->temp, strerror(errno));
	return fchmod(u->fd, 0640) == 0 && fsync(u->fd) == 0 && name_incoming(u);
}

status cache_receive(const void *ctx, const char *root, const char *group, const char *cache_path,
                     const struct cache_reader *reader, int64_t max, struct cache_upload **out, const char **reason)
{
	gid_t gid = group_id(group);
	struct cache_upload *u = mem_new(ctx, struct cache_upload);
	status s;

	*reason = NULL;
	u->fd = -1;
	TRY(prepare(u, root, gid, cache_path, reason));
	talloc_set_destructor(u, upload_destroy);
	if (!open_incoming(u))
		s = system_failure(u, u->folder, errno, reason);
	else
		s = receive_body(u, reader, max, reason);
	if (s == ST_OK && u->size > 0 && !finish_incoming(u, gid))
		s = system_failure(u, u->temp, errno, reason);
	if (s != ST_OK) {
		if (*reason != NULL)
			*reason = mem_strdup(ctx, *reason);
		talloc_free(u);
		return s;
	}
	*out = u;
	return ST_OK;
}

/* The web server's ETag is made of size and second of change: a file and its successor must differ in one of them. */
static void tell_apart(const struct cache_upload *u, const struct stat *previous)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = previous->st_mtime + 1}};
	struct stat st;

	if (lstat(u->temp, &st) == 0 && st.st_size == previous->st_size && st.st_mtime <= previous->st_mtime)
		utimensat(AT_FDCWD, u->temp, times, AT_SYMLINK_NOFOLLOW);
}

/*
 * Gives the file that is there, if any, a second name. Not every file system has those: there it is moved out of the
 * way, and its name is without a file for an instant.
 */
static bool keep_previous(struct cache_upload *u)
{
	char *kept = mem_printf(u, "%s" KEPT_SUFFIX, u->temp);
	struct stat st;

	if (lstat(u->final, &st) != 0)
		return errno == ENOENT;
	if (link(u->final, kept) != 0 && (!S_ISREG(st.st_mode) || rename(u->final, kept) != 0))
		return errno == ENOENT;
	u->kept = kept;
	tell_apart(u, &st);
	return true;
}

/* Takes back keep_previous(). */
static void restore_previous(struct cache_upload *u)
{
	if (u->kept == NULL)
		return;
	rename(u->kept, u->final); /* does nothing if they are names of one file */
	unlink(u->kept);
	u->kept = NULL;
}

status cache_publish(struct cache_upload *u, const char **reason)
{
	if (!keep_previous(u))
		return system_failure(u, "keep the previous file", errno, reason);
	if (rename(u->temp, u->final) != 0) {
		status s = system_failure(u, "rename", errno, reason);

		restore_previous(u);
		return s;
	}
	talloc_free(u->temp);
	u->temp = NULL;
	u->published = true;
	if (!sync_folder(u->folder)) {
		status s = system_failure(u, u->folder, errno, reason);

		cache_settle(u, false);
		return s;
	}
	return ST_OK;
}

void cache_settle(struct cache_upload *u, bool good)
{
	if (!u->published)
		return;
	if (good && u->kept != NULL)
		unlink(u->kept);
	else if (!good && u->kept != NULL)
		rename(u->kept, u->final);
	else if (!good)
		unlink(u->final);
	if (!good)
		sync_folder(u->folder);
	u->published = false;
	u->kept = NULL;
}

bool cache_locate(const void *ctx, const char *root, const char *stored, char **file, char **relative, int64_t *size,
                  const char **reason)
{
	char *path = mem_printf(ctx, "%s/%s", root, stored);
	struct stat st;

	for (char *p = path + strlen(root); *p != '\0'; p++)
		if (*p == '\\')
			*p = '/';
	if (!inside_root(ctx, root, path, relative)) {
		if (errno == EXDEV)
			*reason = CACHE_OUTSIDE_ROOT;
		else
			*reason =
			    errno == ENOENT || errno == ENOTDIR ? CACHE_FILE_MISSING : mem_strdup(ctx, strerror(errno));
		return false;
	}
	*file = mem_printf(ctx, "%s/%s", root, *relative);
	if (stat(*file, &st) != 0 || !S_ISREG(st.st_mode)) {
		*reason = CACHE_FILE_MISSING;
		return false;
	}
	if (access(*file, R_OK) != 0) {
		*reason = mem_strdup(ctx, strerror(errno));
		return false;
	}
	*size = (int64_t)st.st_size;
	return true;
}

bool cache_remove(const void *ctx, const char *root, const char *stored, bool *removed, const char **reason)
{
	char *file, *relative;
	int64_t size;

	*removed = false;
	if (!cache_locate(ctx, root, stored, &file, &relative, &size, reason))
		return strcmp(*reason, CACHE_FILE_MISSING) == 0;
	if (unlink(file) != 0 && errno != ENOENT) {
		*reason = mem_strdup(ctx, strerror(errno));
		return false;
	}
	*removed = true;
	return true;
}

/* True if a hidden file has been left behind. */
static bool abandoned(int dir, const char *name, time_t oldest_kept)
{
	size_t n = strlen(name), suffix = sizeof(KEPT_SUFFIX) - 1;
	struct stat st;
	bool free_lock;
	int fd;

	if (strncmp(name, HIDDEN_PREFIX, sizeof(HIDDEN_PREFIX) - 1) != 0)
		return false;
	if (n > suffix && strcmp(name + n - suffix, KEPT_SUFFIX) == 0)
		return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ctime < oldest_kept;
	fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC); /* on NFS only a writer can lock out others */
	free_lock = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (fd >= 0)
		close(fd);
	return free_lock;
}

int cache_sweep(const char *root, int64_t kept_seconds)
{
	time_t oldest_kept = time(NULL) - (time_t)kept_seconds;
	int swept = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char path[PATH_MAX];
		struct dirent *entry;
		DIR *dir;

		if (snprintf(path, sizeof(path), "%s/%s", root, folders[i]) >= (int)sizeof(path) ||
		    (dir = opendir(path)) == NULL)
			continue;
		while ((entry = readdir(dir)) != NULL)
			if (abandoned(dirfd(dir), entry->d_name, oldest_kept) &&
			    unlinkat(dirfd(dir), entry->d_name, 0) == 0)
				swept++;
		closedir(dir);
	}
	return swept;
}
