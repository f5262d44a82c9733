/* Request targets and queries, decoded as the contract demands (01 2.1, 2.3). */
#ifndef RAKKR_HTTP_URI_H
#define RAKKR_HTTP_URI_H

#include "base/json.h"

/*
 * Decodes %XX. keep_reserved: like decodeURI, encoded ; / ? : @ & = + $ , # % stay encoded. Runs that are not UTF-8
 * stay as they are; an encoded NUL becomes U+FFFD, so it can match nothing.
 */
char *uri_decode(const void *ctx, const char *s, size_t n, bool keep_reserved);

/* Query string to an object of strings: + is a space, first value wins, empty keys are skipped. */
json_object *uri_query(const void *ctx, const char *query);

#endif
