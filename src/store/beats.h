/*
 * Heartbeats without a database. A thousand nodes beat two hundred times a second, and each beat on its own would write
 * the whole file of nodes anew. So a beat goes into live memory, where every process sees it at once, and reaches the
 * file together with those of all other nodes, a few seconds later; at a stop, before the controller ends. A crash of
 * the whole controller loses those few seconds, and each node says the same again with its next beat.
 *
 * With a database, or when live memory has no room for the node, each beat is stored before the answer.
 */
#ifndef RAKKR_STORE_BEATS_H
#define RAKKR_STORE_BEATS_H

#include "store/app.h"

/* As store_node_heartbeat(). */
status beats_take(const struct app *app, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                  json_object **before, json_object **after);

/* The stored node after the last beat that is newer than what is stored: stored itself, or a copy owned by ctx. */
json_object *beats_current(const struct app *app, const void *ctx, json_object *stored);

/* Writes the beats that wait in live memory to the file, as one unit of work; called by the runner. */
status beats_flush(const struct app *app);

#endif
