/* Handlers of the console's job routes that live in other files than the route table (contract 03 3.12). */
#ifndef RAKKR_API_JOBS_H
#define RAKKR_API_JOBS_H

#include "api/request.h"
#include "api/selection.h"

/* Filters of list and export out of the query; false with the issues set. */
bool job_filters(struct request *r, json_object **filters, json_object **issues);
/* The query that these filters mean, within the caller's scope. */
status job_query(struct request *r, json_object *filters, struct query *q);

/*
 * Body {jobIds} of the bulk routes, checked and loaded within the caller's scope. *good false when the request has been
 * answered (400 with the text invalid, or 404 for jobs that are not visible).
 */
status job_selection(struct request *r, const char *invalid, struct selection *sel, bool *good);

/* job_export.c */
status job_export(struct request *r);
status job_export_selected(struct request *r);

/* job_retry.c */
status job_retry_one(struct request *r);
status job_bulk_retry(struct request *r);
status job_bulk_stop(struct request *r);

#endif
