/*
 * A helper program (ffmpeg, ffprobe) run without a shell: arguments as a vector, nothing inherited but its standard
 * output, which is read here, under a deadline. Each process of the tool's group is gone when tool_finish() returns.
 */
#ifndef RAKKR_TRANSFER_TOOL_H
#define RAKKR_TRANSFER_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tool {
	pid_t pid;        /* 0 = not running */
	int out;          /* read end of its standard output */
	int64_t deadline; /* monotonic ms */
	bool broken;      /* timed out, or its output could not be read */
};

/*
 * The argument vector of a tool: command, the arguments of prefix (a JSON array of strings if it starts with '[', else
 * words split at white space; may be NULL), then args (NULL-terminated). Owned by ctx, NULL-terminated.
 */
const char **tool_arguments(const void *ctx, const char *command, const char *prefix, const char *const *args);

/* Starts argv[0], found along PATH; it may run for timeout_ms. False if it cannot be started. */
bool tool_start(struct tool *t, const char *const *argv, int64_t timeout_ms);

/* Bytes of its output: their number, 0 at the end, -1 when the deadline has passed. */
long tool_read(struct tool *t, void *buf, size_t n);

/* Stops reading; ends the tool if it still runs, and reaps it. True if it ended by itself with status 0. */
bool tool_finish(struct tool *t);

#endif
