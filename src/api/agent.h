/* What a recorder node calls, except for jobs and health events (contract 02 10). */
#ifndef RAKKR_API_AGENT_H
#define RAKKR_API_AGENT_H

#include "api/route.h"

extern const struct route agent_routes[];

#endif
