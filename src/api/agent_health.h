/* Health events that a recorder node reports (contract 06 4.1). */
#ifndef RAKKR_API_AGENT_HEALTH_H
#define RAKKR_API_AGENT_HEALTH_H

#include "api/route.h"

extern const struct route agent_health_routes[];

#endif
