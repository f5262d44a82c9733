/* The write side of the node inventory (contract 02 8). */
#ifndef RAKKR_API_NODE_EDIT_H
#define RAKKR_API_NODE_EDIT_H

#include "api/request.h"
#include "model/schema.h"

/* Rules that bodies of users and of agents share. */
extern const struct schema node_runtime_schema;
extern const struct schema_field node_address_item; /* one of ipAddresses */
extern const char *const node_statuses[];

/* Handlers. */
status node_enroll(struct request *r);         /* POST /nodes/enroll */
status node_update(struct request *r);         /* PATCH /nodes/:nodeId */
status node_interface_edit(struct request *r); /* PATCH /nodes/:nodeId/interfaces/:interfaceId */
status node_rotate(struct request *r);         /* POST /nodes/:nodeId/credentials/rotate */

#endif
