/* Routes are data: one row a route, tried in the order of contract 01 1. The dispatcher guards every row. */
#ifndef RAKKR_API_ROUTE_H
#define RAKKR_API_ROUTE_H

#include "api/request.h"

enum guard {
	GUARD_USER = 1, /* session -> permission -> scope -> audit M(action) (01 10) */
	GUARD_NODE,     /* node credential; :nodeId, if the path has it, must be its node (02 5) */
	GUARD_PUBLIC,   /* none; r->who is anonymous */
	GUARD_SESSION,  /* reads the session, anonymous allowed (S rows) */
	GUARD_DUAL,     /* row 106: node credential, else fall through to the next matching row */
};

/* What the permission is asked about. Fills t; may read body, query and store. */
typedef status (*target_fn)(struct request *r, struct target *t);
/* Sets a reply and returns ST_OK, or returns what went wrong (the dispatcher answers). */
typedef status (*handler_fn)(struct request *r);

struct route {
	const char *method; /* GET also answers HEAD */
	const char *path;   /* "/api/v1/nodes/:nodeId" */
	enum guard guard;
	enum permission permission; /* label only for node rows; PERM_NONE for public rows */
	const char *action;         /* M(action); for node rows the prefix of events */
	/* target: fixed type and id, or id from a parameter, or a resolver */
	const char *target_type;
	const char *target_id;    /* fixed id */
	const char *target_param; /* id = this path parameter */
	target_fn target;         /* overrides the above */
	handler_fn handler;
	const struct model *prefetch; /* this document (id = prefetch_param) will be read: one round trip less */
	const char *prefetch_param;
	bool stream;    /* belongs to the stream process (long-lived) */
	bool telemetry; /* may leave nothing in the store: its audit events may then reach the disk up to 1 s later */
	bool
	    unfailing; /* a node's sign of life: answered as taken even when the store is lost at the end (08 Trap 1) */
};

/* Tables of api/<family>.c, each ending with a row whose method is NULL, in the order in which they are tried. */
extern const struct route *const route_tables[];

#endif
