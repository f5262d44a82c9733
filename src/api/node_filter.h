/* The filters of the node list and its export (contract 02 7.1), and the CSV of a list of nodes (02 7.6). */
#ifndef RAKKR_API_NODE_FILTER_H
#define RAKKR_API_NODE_FILTER_H

#include "api/request.h"
#include "model/schema.h"

/* The query parameters; strict. */
extern const struct schema node_query_schema;

/* The nodes of array that match every filter of the checked query, in the same order. Owned by ctx. */
json_object *node_filter(const void *ctx, json_object *nodes, json_object *filters);

/* 200 with the nodes as CSV attachment. */
status node_csv_reply(struct request *r, json_object *nodes);

#endif
