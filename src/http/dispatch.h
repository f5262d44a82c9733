/* The one place that guards: authenticate, permission, scope, audit, handler, commit (contract 01 10; 02 5). */
#ifndef RAKKR_HTTP_DISPATCH_H
#define RAKKR_HTTP_DISPATCH_H

#include "api/request.h"

/*
 * Answers r: sets r->reply whatever happens. path is the request path decoded like decodeURI. streams: this process
 * may serve long-lived routes.
 */
void dispatch(struct request *r, const char *path, bool streams);

#endif
