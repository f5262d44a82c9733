/* The node inventory for users (contract 02 7, 8, 9.3). */
#ifndef RAKKR_API_NODES_H
#define RAKKR_API_NODES_H

#include "api/route.h"

extern const struct route nodes_routes[];

#endif
