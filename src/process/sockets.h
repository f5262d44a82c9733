/* The run directory (RAKKR_RUN_DIR): one controller at a time, its pid file and its unix sockets. */
#ifndef RAKKR_PROCESS_SOCKETS_H
#define RAKKR_PROCESS_SOCKETS_H

#include "base/config.h"

#define PID_FILE "rakkr.pid"

/* The sockets that the front server connects to, each served by processes of its own. */
enum socket {
	SOCKET_REQUESTS, /* rakkr.sock: the workers */
	SOCKET_STREAM,   /* stream.sock: server-sent events */
	SOCKET_LOGIN,    /* login.sock: sign-ins with a password */
	SOCKET_UPLOAD,   /* upload.sock: files of recordings */
	SOCKETS
};

#define SOCKET_NAME_MAX 11 /* characters of the longest name */

struct run_dir {
	const char *path;
	int pid_fd; /* holds the lock of the pid file */
	int fd[SOCKETS];
};

/*
 * Creates the directory if needed, takes the lock of its pid file, removes what a killed predecessor left and listens
 * on the sockets (mode 0660, group RAKKR_SOCKET_GROUP if set, non-blocking). False with one clear line in *error,
 * owned by ctx.
 */
bool run_dir_open(const void *ctx, const struct config *c, struct run_dir *d, const char **error);

/* Removes the names of the sockets: nobody connects any more, what is connected stays. */
void run_dir_unlink_sockets(struct run_dir *d);

/* Removes the pid file and closes everything. */
void run_dir_close(struct run_dir *d);

/* Creates path and its parents with mode; true if it is a directory afterwards. errno tells why not. */
bool directory_make(const char *path, unsigned mode);

#endif
