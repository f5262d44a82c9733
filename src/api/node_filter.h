/* The filters of the node list and its export (contract 02 7.1), and the CSV of a list of nodes (02 7.6). */
#ifndef RAKKR_API_NODE_FILTER_H
#define RAKKR_API_NODE_FILTER_H

#include "api/csv.h"
#include "api/request.h"
#include "model/schema.h"

/* The query parameters; strict. */
extern const struct schema node_query_schema;

/* The nodes of array that match every filter of the checked query, in the same order. Owned by ctx. */
json_object *node_filter(const void *ctx, json_object *nodes, json_object *filters);

/* True if node matches all of them. */
bool node_matches(const void *ctx, json_object *node, json_object *filters);

/* The CSV of nodes: header, row, and 200 with a list of them as attachment. */
#define NODE_CSV_COLUMNS 20
extern const char *const node_csv_columns[NODE_CSV_COLUMNS];
void node_csv_row(struct csv *c, const void *ctx, json_object *node);
status node_csv_reply(struct request *r, json_object *nodes);

#endif
