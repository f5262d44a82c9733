/* Listen-in: sessions, and what can be heard of a node now (contract 02 12). */
#ifndef RAKKR_API_LISTEN_H
#define RAKKR_API_LISTEN_H

#include "api/route.h"

extern const struct route listen_routes[];

/* The best source of sound of a node. */
struct monitor {
	enum { MONITOR_NONE, MONITOR_CHUNK, MONITOR_FRAME } source;
	struct live_chunk chunk; /* MONITOR_CHUNK */
	json_object *frame;      /* MONITOR_FRAME: a stored frame */
	const char *captured_at; /* of either */
};

/* Finds it: a fresh chunk (12.5), else a stored meter frame of any age. Owned by r->mem. */
status monitor_find(struct request *r, const char *node_id, struct monitor *m);

#endif
