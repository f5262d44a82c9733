/*
 * The nodes that a list or an export is about (contract 02 7.1, 7.2): few are in memory, many are counted for the audit
 * event and then read again while the answer is sent, so that memory does not grow with the inventory.
 */
#ifndef RAKKR_API_NODE_SELECT_H
#define RAKKR_API_NODE_SELECT_H

#include "api/request.h"

struct node_selection {
	json_object *filters; /* checked by node_query_schema */
	json_object *nodes;   /* in their wire form; NULL: they are many */
	int64_t count;
};

/* The visible nodes that match filters; *out is owned by r->mem. */
status node_select(struct request *r, json_object *filters, struct node_selection **out);

/* 200 with {"data":[...]}. */
status node_select_json(struct request *r, const struct node_selection *s);

/* 200 with the nodes as CSV attachment (02 7.6). */
status node_select_csv(struct request *r, struct node_selection *s);

#endif
