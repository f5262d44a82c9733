/*
 * Files that a change leaves without a recording: noted before the commit, removed after it, and by the runner if that
 * fails or never happens (transfer/leftovers.h; contract 03 T14, T36; 09 D-06, D-87).
 */
#ifndef RAKKR_API_RECORDING_UNLINK_H
#define RAKKR_API_RECORDING_UNLINK_H

#include "api/request.h"

struct unlink_file {
	const char *id, *path; /* recording and its cachePath */
};

struct unlink_list {
	struct unlink_file *at;
	size_t count;
};

/* Adds the file of a recording; nothing happens when path is NULL or "". */
void unlink_add(struct request *r, struct unlink_list *l, const char *id, const char *path);

/* Right before the commit. */
void unlink_note(struct request *r, const struct unlink_list *l);

/* After the commit, when nobody can be told any more: a file that stays is reported to the log. */
void unlink_now(struct request *r, const struct unlink_list *l);

/* All of it: notes, commits (recording_commit()), removes. */
status unlink_with_commit(struct request *r, const struct unlink_list *l);

#endif
