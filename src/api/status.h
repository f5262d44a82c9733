/* Liveness, readiness and the status overview (contract 06 8; 09 D-73). */
#ifndef RAKKR_API_STATUS_H
#define RAKKR_API_STATUS_H

#include "api/route.h"

extern const struct route status_routes[];

#endif
