/* POST /nodes/:nodeId/lifecycle/:action (contract 02 9.4). */
#ifndef RAKKR_API_LIFECYCLE_H
#define RAKKR_API_LIFECYCLE_H

#include "api/request.h"

/* Blocks until the runner has answered. */
status node_lifecycle_run(struct request *r);

#endif
