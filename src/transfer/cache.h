/*
 * The recording cache: files below RAKKR_RECORDING_CACHE_DIR (contract 03 3.13.2 to 3.13.5). A file arrives under no
 * name or a hidden one, complete and on disk, before it takes the place of an older one; a worker that dies on the way
 * leaves the old file as it was (09 D-15).
 */
#ifndef RAKKR_TRANSFER_CACHE_H
#define RAKKR_TRANSFER_CACHE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_CHECKSUM_SIZE 72 /* "sha256:" + 64 hex digits + NUL */
#define CACHE_OUTSIDE_ROOT "recording_cache_path_outside_root"
#define CACHE_FILE_MISSING "recording_cache_file_missing"

/* ".flac", ".mp3" or ".wav" for an upload, by its file name, else its media type (both may be NULL). */
const char *cache_extension(const void *ctx, const char *file_name, const char *content_type);

/*
 * "scheduled/<id><ext>" or "ad-hoc/<id><ext>", owned by ctx; NULL if the id cannot be a file name.
 */
char *cache_path(const void *ctx, bool scheduled, const char *recording_id, const char *extension);

/* Folders of the cache by number, from 0; NULL after the last. */
const char *cache_folder(size_t i);

/* The recording id in a path made by cache_path(): its last component without the extension. Owned by ctx. */
char *cache_path_id(const void *ctx, const char *path);

/* "audio/flac", "audio/wav", else "audio/mpeg", by the path's extension in any case. */
const char *cache_mime(const char *path);

/*
 * The name under which people get a recording: name in ASCII, or the id, with the path's extension (03 3.13.3; 05 1.3).
 * path may be NULL. Owned by ctx.
 */
char *cache_file_name(const void *ctx, const char *name, const char *recording_id, const char *path);

/* The same with the name's own characters, for RFC 6266 filename*; not yet percent-encoded. Owned by ctx. */
char *cache_file_name_utf8(const void *ctx, const char *name, const char *recording_id, const char *path);

/*
 * The regular file that a stored cachePath means: *file is its path for open(2) and *relative the path below the root
 * ('\' read as '/', resolved), both owned by ctx. False with *reason set when it is missing, is no readable file, or
 * lies outside the root after symbolic links are followed.
 */
bool cache_locate(const void *ctx, const char *root, const char *cache_path, char **file, char **relative,
                  int64_t *size, const char **reason);

/*
 * Sizes of many files: a folder's place is looked at once, not for each file in it. Owned by ctx.
 */
struct cache_sizes *cache_sizes_open(const void *ctx, const char *root);
/* 0 for "", for a file that is missing, or that cannot or must not be looked at (09 D-96). */
int64_t cache_size(struct cache_sizes *c, const char *cache_path);

/* Removes the file of a cachePath; one that is gone already is fine (*removed false). False with *reason set. */
bool cache_remove(const void *ctx, const char *root, const char *cache_path, bool *removed, const char **reason);

/*
 * Where the bytes of an upload come from: fills buf, returns their number, 0 at the end, -1 when the sender broke off.
 */
struct cache_reader {
	long (*read)(void *arg, void *buf, size_t n);
	void *arg;
};

struct cache_upload;

/*
 * Receives a file for cache_path (made by cache_path()) into its folder, hashing on the way, and makes it durable under
 * a hidden name, readable by group (the web server's; NULL = that of the process) whatever the umask. ST_INVALID: the
 * sender broke off; ST_TOO_LARGE: more than max bytes; ST_NO_SPACE; ST_INTERNAL with *reason. An empty body is ST_OK
 * with size 0. The result belongs to ctx; freeing it removes an unpublished file.
 */
status cache_receive(const void *ctx, const char *root, const char *group, const char *cache_path,
                     const struct cache_reader *reader, int64_t max, struct cache_upload **out, const char **reason);

const char *cache_upload_file(const struct cache_upload *u);     /* path for open(2) */
const char *cache_upload_checksum(const struct cache_upload *u); /* "sha256:..." */
int64_t cache_upload_size(const struct cache_upload *u);

/*
 * Moves the file to its place and makes that durable; a file that was there is kept aside until cache_settle().
 * The caller has locked the recording.
 */
status cache_publish(struct cache_upload *u, const char **reason);

/* After the commit: forgets the file kept aside (good), or puts it back (not good: also removes the new one). */
void cache_settle(struct cache_upload *u, bool good);

/*
 * Removes hidden files of uploads whose worker was killed: nobody holds their lock any more. Files kept aside by such a
 * worker go after kept_seconds. Returns the number of files removed.
 */
int cache_sweep(const char *root, int64_t kept_seconds);

#endif
