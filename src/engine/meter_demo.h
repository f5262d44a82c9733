/* The synthetic meter frame of the demo node (contract 02 13.3). */
#ifndef RAKKR_ENGINE_METER_DEMO_H
#define RAKKR_ENGINE_METER_DEMO_H

#include "base/json.h"

#define METER_DEMO_NODE "node_x32_test"
#define METER_DEMO_INTERFACE "iface_x32_usb"

/*
 * The value of RAKKR_DEMO_METER_DBFS as the level that replaces the synthetic one. Returns false (none) for NULL, a
 * blank text and anything that is no finite number; else *dbfs is clamped to -160..24.
 */
bool meter_demo_override(const char *text, double *dbfs);

/* The frame at now_ms, owned by ctx. rms_dbfs: fixed level, or NULL for the moving one. */
json_object *meter_demo_frame(const void *ctx, int64_t now_ms, const double *rms_dbfs);

/* v to `decimals` (0..3) places from its exact binary value, halves away from zero. */
double meter_demo_round(double v, int decimals);

#endif
