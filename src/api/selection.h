/*
 * Lists of ids in bodies: exports of a selection and bulk changes (contract 03 3.4.2, 3.5.2, 3.6.2, 3.12.4 to 3.12.8).
 */
#ifndef RAKKR_API_SELECTION_H
#define RAKKR_API_SELECTION_H

#include "api/request.h"
#include "model/schema.h"

/* Rule of one id in such a list: trimmed, 1..160. */
extern const struct schema_field selection_id;

struct selection {
	json_object *ids;    /* without repetition, order of the request */
	int64_t requested;   /* number of ids as sent */
	json_object *docs;   /* the documents in the order of ids, wire form */
	json_object *hidden; /* ids that do not exist or are out of scope */
};

/*
 * Loads the documents that the ids mean, within scope (NULL = everything). lock: they stay as they are until the end of
 * the unit of work.
 */
status selection_load(struct request *r, const struct model *m, const struct row_scope *scope, json_object *ids,
                      bool lock, struct selection *out);

/* {"<prefix>1": first, "<prefix>2": second, ...}: correlation ids of a bulk change. */
json_object *selection_numbered(struct request *r, const char *prefix, json_object *ids);

/* Array of the member `key` of each document. */
json_object *selection_members(struct request *r, json_object *docs, const char *key);

#endif
