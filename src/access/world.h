/*
 * Nodes and schedules, loaded once, and the expansion of contract 01 11.2 over them: for decisions about many targets,
 * where a question to the store for each would be too many.
 */
#ifndef RAKKR_ACCESS_WORLD_H
#define RAKKR_ACCESS_WORLD_H

#include "access/principal.h"

struct world {
	json_object *nodes; /* array, in list order, with the demo node if it is part of the list */
	json_object *nodes_by_id;
	json_object *schedules; /* array */
	json_object *schedules_by_id;
	/* Filled by world_load(), by id. */
	json_object *recordings, *jobs, *events;
};

/* Loads nodes and schedules; everything is owned by ctx. */
status world_open(const void *ctx, struct store *s, const struct principal *p, struct world *w);

/* Loads the recordings, jobs and health events that the targets name or lead to; three queries at most. */
status world_load(const void *ctx, struct store *s, struct world *w, const struct target *targets, size_t count);

/* Adds N(node), S(schedule), R(recording) of an id; nothing for an unknown one. */
void world_node(const void *ctx, const struct world *w, const char *id, struct targets *t);
void world_schedule(const void *ctx, const struct world *w, const char *id, struct targets *t);
void world_recording(const void *ctx, const struct world *w, const char *id, struct targets *t);

/* Everything that (type, id) expands to, itself first. */
void world_expand(const void *ctx, const struct world *w, const char *type, const char *id, struct targets *t);

#endif
