/*
 * Nodes as they leave the store: with derived liveness (contract 02 3.4), without hidden fields, and with the demo node
 * (02 13). Scope is decided in memory from the node itself: no call per node.
 */
#ifndef RAKKR_API_NODE_LOOKUP_H
#define RAKKR_API_NODE_LOOKUP_H

#include "api/request.h"
#include "engine/meter_demo.h"

#define NODE_DEMO_ID METER_DEMO_NODE

/* The node called id in its wire form; ST_NOT_FOUND. Scope is not looked at. Owned by r->mem. */
status node_find(struct request *r, const char *id, json_object **node);

/* Every node in its wire form, ordered by creation and id, the demo node last. Scope is not looked at. */
status node_list_all(struct request *r, json_object **array);

/* The same restricted to what r->who may see (02 1.2); a node outside the scope is ST_NOT_FOUND. */
status node_find_visible(struct request *r, const char *id, json_object **node);
status node_list_visible(struct request *r, json_object **array);

/* The same if there are at most that many nodes, else *array is NULL. */
status node_list_visible_few(struct request *r, int64_t most, json_object **array);

/* Those of them whose id is in ids; perhaps the demo node too. */
status node_list_visible_among(struct request *r, json_object *ids, json_object **array);

/* Gives all of them in that order to each, until it returns false; memory does not grow with their number. */
status node_each_visible(struct request *r, document_fn each, void *state);

/* As node_list_all for callers without a request. Owned by ctx. */
status node_list(const void *ctx, const struct app *app, int64_t now_ms, json_object **array);

/* True if the node's own targets (01 11.2 N(node)) are in the subject's scope. */
bool node_in_scope(const void *ctx, const struct scope_subject *subject, json_object *node);

/* A stored document in its wire form: hidden fields removed, lastSeenAt filled in, liveness applied. Owned by ctx. */
json_object *node_wire(const void *ctx, const struct app *app, int64_t now_ms, json_object *stored);

/* The same of a document that beats_take() returned: before or after that beat, whatever has come since. */
json_object *node_wire_of_beat(const void *ctx, const struct app *app, int64_t now_ms, json_object *current);

/* True if the node of the wire form has been silent longer than RAKKR_NODE_OFFLINE_AFTER_SECONDS; the demo node too. */
bool node_is_stale(const struct app *app, int64_t now_ms, json_object *node);

/* The interface called id of a node, or NULL. */
json_object *node_interface(json_object *node, const char *id);

/* recordingCapacity of a node, {"maxConcurrentRecordings":1} if it has none. Owned by ctx. */
json_object *node_capacity(const void *ctx, json_object *node);

#endif
