/*
 * Heartbeats without a database. A thousand nodes beat two hundred times a second, and each beat on its own would write
 * the whole file of nodes anew. So a beat that says nothing new (only the time and the uptime have moved on) stays in
 * live memory, where every process sees it, and reaches the file with those of all other nodes, every few seconds. What
 * is news (a node's first beat, its return, another address, host name, version or state) is on disk before the answer,
 * as always.
 *
 * With a database every beat goes to it.
 */
#ifndef RAKKR_STORE_BEATS_H
#define RAKKR_STORE_BEATS_H

#include "store/app.h"

/* As store_node_heartbeat(). */
status beats_take(const struct app *app, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                  json_object **before, json_object **after);

/* Brings a stored node document, in place, up to its last beat. */
void beats_overlay(const struct app *app, json_object *node);

/* Writes the beats that wait in live memory to the file, as one unit of work; called by the runner. */
status beats_flush(const struct app *app);

#endif
