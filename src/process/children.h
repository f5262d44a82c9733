/* The master's table of children: start, respawn with back-off, orders, readiness. */
#ifndef RAKKR_PROCESS_CHILDREN_H
#define RAKKR_PROCESS_CHILDREN_H

#include "process/child.h"

#include <poll.h>

enum child_kind { KIND_WORKER, KIND_LOGIN, KIND_UPLOAD, KIND_STREAM, KIND_RUNNER };

struct child {
	enum child_kind kind;
	unsigned generation; /* counts reloads */
	const struct config *config;
	pid_t pid;    /* 0 = not running */
	int ready_fd; /* reading end; -1 once it is ready, or not running */
	bool ready;
	bool died_early;     /* it ended once before it was ready */
	bool leaving;        /* was told to leave: is not started again */
	int64_t started_ms;  /* monotonic */
	int64_t start_at_ms; /* when not running: the time of the next start */
	int64_t backoff_ms;  /* wait before the start after the next one */
	int64_t kill_at_ms;  /* leaving: SIGKILL at this time */
};

struct children {
	void *mem;
	struct child *at;
	size_t count, capacity;
	struct child_setup setup;    /* config is filled in per child */
	void (*in_child)(void *arg); /* closes what only the master needs */
	void *arg;
};

/*
 * Adds the children of a generation: RAKKR_WORKERS workers, login, RAKKR_UPLOAD_WORKERS upload processes, stream,
 * runner; they start at the next children_start().
 */
void children_add(struct children *c, const struct config *config, unsigned generation);

/* Starts every child that is due. */
void children_start(struct children *c, int64_t now_ms);

/* Collects dead children (call after SIGCHLD); leaving ones are forgotten, the others are due again by back-off. */
void children_reap(struct children *c, int64_t now_ms);

/* Tells the children of the generations first..last to leave: sends sig now, SIGKILL at kill_at_ms. */
void children_leave(struct children *c, unsigned first, unsigned last, int sig, int64_t kill_at_ms);

/* SIGKILL for leaving children whose time is over. */
void children_kill_late(struct children *c, int64_t now_ms);

/* The next time at which children_start() or children_kill_late() has work; INT64_MAX = none. */
int64_t children_next_ms(const struct children *c);

/* Fills fds (room for c->count) with the pipes of children that are not ready yet; returns their number. */
size_t children_poll(const struct children *c, struct pollfd *fds);

/* Reads the pipes of children that have something to say. */
void children_note_ready(struct children *c);

enum readiness { GENERATION_WAITING, GENERATION_READY, GENERATION_FAILED /* one died before it was ready */ };
enum readiness children_readiness(const struct children *c, unsigned generation);

#endif
