/*
 * The system calls of the flat-file store, all in one place: what may fail, and how a failure is named.
 * Functions that return a status have logged the failure, with the path.
 */
#ifndef RAKKR_STORE_FILE_FS_H
#define RAKKR_STORE_FILE_FS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Which version of a file was seen. Every writer of ours makes mtime larger than that of the version it replaces. */
struct fs_version {
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
};

/* ST_NO_SPACE for a full or read-only file system, quotas and size limits; ST_UNAVAILABLE for everything else. */
status fs_status(int error);

/* Logs "<what> <path>: <error text>" and returns fs_status(error). */
status fs_failed(const char *what, const char *path, int error);

/* Path of the folder of path, owned by ctx; "." if it has none. */
char *fs_folder(const void *ctx, const char *path);

/* Makes a folder and all its parents, mode 0750. ST_OK if it is there already. */
status fs_make_folder(const char *path);

/* The version of the file that is at path now; ST_NOT_FOUND (not logged) if there is none, errno says why otherwise. */
status fs_look(const char *path, struct fs_version *v);

bool fs_same(const struct fs_version *a, const struct fs_version *b);

/* Reads a whole file; *data is owned by ctx. On failure (not logged) errno says why. */
status fs_read(const void *ctx, const char *path, char **data, size_t *size, struct fs_version *v);

/*
 * Creates path (which must not exist, mode 0600), writes n bytes and makes them durable. Its mtime is now, but later
 * than after_ns. Nothing is left behind on failure.
 */
status fs_write_new(const char *path, const char *data, size_t n, int64_t after_ns, struct fs_version *v);

/* Replaces the contents of path (made if it is not there, mode 0600) in place and makes them durable. */
status fs_overwrite(const char *path, const char *data, size_t n);

/* Takes the contents of a file away, not durably; not being there is no failure. */
void fs_empty(const char *path);

/* Renames within one folder; the folder is not yet synced. */
status fs_rename(const char *from, const char *to);

/* Makes the entries of a folder durable. */
status fs_sync_folder(const char *folder);

/* Removes a file; not being there is no failure. */
void fs_remove(const char *path);

/* Opens (and makes, mode 0600) a lock file; -1 with errno. */
int fs_lock_open(const char *path);

/*
 * Takes the exclusive lock of fd, across processes, waiting at most wait_ms (0 = try once).
 * ST_CONFLICT (not logged) when somebody else holds it for that long.
 */
status fs_lock(int fd, int64_t wait_ms);

void fs_unlock(int fd);

#endif
