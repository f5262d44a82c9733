/* The write side of the node inventory (contract 02 8). */
#ifndef RAKKR_API_NODE_EDIT_H
#define RAKKR_API_NODE_EDIT_H

#include "api/request.h"
#include "model/schema.h"

/* Rules that bodies of users and of agents share. */
extern const struct schema node_runtime_schema;
extern const struct schema_field node_address_item; /* one of ipAddresses */
extern const char *const node_statuses[];

/* What a body of POST /nodes/enroll must be (02 8.1). */
extern const struct schema node_enroll_schema;

/* The document of a new node, from input that fits node_enroll_schema. Owned by ctx. */
json_object *node_new(const void *ctx, int64_t now_ms, json_object *input);

/*
 * A new credential: the document for the store, and its envelope with the clear token for the one answer. created_by:
 * the user's id, kept if it is one of a stored user; may be NULL. Both owned by ctx.
 */
json_object *node_new_credential(const void *ctx, int64_t now_ms, const char *node_id, const char *created_by,
                                 json_object **envelope);

/* The "node snapshot" of 02 8, for audit events. Owned by ctx. */
json_object *node_snapshot(const void *ctx, json_object *node);

/* Handlers. */
status node_enroll(struct request *r);         /* POST /nodes/enroll */
status node_update(struct request *r);         /* PATCH /nodes/:nodeId */
status node_interface_edit(struct request *r); /* PATCH /nodes/:nodeId/interfaces/:interfaceId */
status node_rotate(struct request *r);         /* POST /nodes/:nodeId/credentials/rotate */

#endif
