/* Finds the row that answers a request (contract 01 2.1). */
#ifndef RAKKR_HTTP_ROUTER_H
#define RAKKR_HTTP_ROUTER_H

#include "api/route.h"

/* Compiles the route tables; once a process, before the first match. */
void router_init(void);

/*
 * The first row at or after *from that matches r->method and path (still percent-encoded segments); fills r->params
 * and sets *from behind it, so that a dual row can fall through. NULL when none is left. HEAD matches GET rows.
 */
const struct route *router_match(struct request *r, const char *path, size_t *from);

/* Number of rows and row i, for tests and the route listing. */
size_t router_count(void);
const struct route *router_row(size_t i);

#endif
