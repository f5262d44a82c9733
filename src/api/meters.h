/* Meter frames as readers see them (contract 02 11). */
#ifndef RAKKR_API_METERS_H
#define RAKKR_API_METERS_H

#include "api/route.h"

extern const struct route meters_routes[];

/* Latest stored frame of a node, of any age; ST_NOT_FOUND. Owned by ctx. */
status meter_stored(const void *ctx, const struct app *app, const char *node_id, json_object **frame);

/* The same, and for the demo node without one its synthetic frame of now_ms. */
status meter_latest(const void *ctx, const struct app *app, const char *node_id, int64_t now_ms, json_object **frame);

#endif
