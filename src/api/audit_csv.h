/* Audit events as CSV (contract 01 15.7): the routes and the command write the same. */
#ifndef RAKKR_API_AUDIT_CSV_H
#define RAKKR_API_AUDIT_CSV_H

#include "api/csv.h"

/* The header line of a document that csv_init() started with CSV_QUOTE_ALWAYS. */
void audit_csv_header(struct csv *csv);

/* One event; ctx owns what is only needed on the way. */
void audit_csv_row(struct csv *csv, const void *ctx, json_object *event);

#endif
