/*
 * Lists that the contract returns whole, however long they are (03 3.3.1 without limit, 3.12.1): a short one is an
 * ordinary reply, a long one is produced while it is sent, so that memory does not grow with it.
 */
#ifndef RAKKR_API_LIST_REPLY_H
#define RAKKR_API_LIST_REPLY_H

#include "api/request.h"

struct list_reply {
	json_object *data; /* of a short list: documents in wire form */
	int64_t count;     /* number of documents in it, whatever the length */
	int64_t total;     /* number of those that match, before limit and offset */
	const struct model *model;
	const struct query *query; /* in r->mem */
	/* Gives the documents of a long list instead of the store, if it is set: those that the handler counted. */
	status (*each)(struct request *r, void *each_state, document_fn each, void *state);
	void *each_state;
};

/*
 * Reads the list of q: a page with its total if it has a limit; else the documents, or their number if they are many.
 */
status list_read(struct request *r, const struct model *m, const struct query *q, struct list_reply *out);

/* 200 with {"data":[...]}, and "meta" unless it is NULL. data NULL: the list is long. */
status list_send(struct request *r, const struct list_reply *l, json_object *meta);

#endif
