/* Finding audit events that a user may see (contract 01 15.4, 15.5). */
#ifndef RAKKR_API_AUDIT_EVENTS_H
#define RAKKR_API_AUDIT_EVENTS_H

#include "api/request.h"

/*
 * The newest `limit` events that match the filters (01 15.4, checked) and that r->who may see, newest first, in their
 * wire form. Visibility comes before the limit (09 D-77). Owned by r->mem.
 */
status audit_events_find(struct request *r, json_object *filters, int64_t limit, json_object **events);

/*
 * The events of ids (array of distinct texts) in that order; *missing is the first id without a visible one, or NULL.
 */
status audit_events_pick(struct request *r, json_object *ids, json_object **events, const char **missing);

/* One event in its wire form; ST_NOT_FOUND: unknown, or not visible. */
status audit_event_find(struct request *r, const char *id, json_object **event);

#endif
