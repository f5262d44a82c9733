/* The two ends of an OpenID Connect sign-in (contract 01 14.3 - 14.6; rows 43 and 44), and how its routes refuse. */
#ifndef RAKKR_API_OIDC_FLOW_H
#define RAKKR_API_OIDC_FLOW_H

#include "api/request.h"

status oidc_login(struct request *r);
status oidc_callback(struct request *r);

/* {"error": text, "reason": reason} with the status of the reason, and the route's failed event; nothing is written. */
status oidc_refuse(struct request *r, const char *text, const char *reason);

#endif
