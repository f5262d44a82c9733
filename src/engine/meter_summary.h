/*
 * What is kept of a meter frame that is not the newest one: the levels and the scores that watchdog calibration asks
 * for (contract 06 7), in a tenth of the space of the frame's JSON.
 */
#ifndef RAKKR_ENGINE_METER_SUMMARY_H
#define RAKKR_ENGINE_METER_SUMMARY_H

#include "base/json.h"

/* Packs a checked frame; *n bytes owned by ctx. */
void *meter_summary_pack(const void *ctx, json_object *frame, int64_t received_ms, size_t *n);

/*
 * {"levels":[{"channelIndex","clipping","peakDbfs","quality"?:{"noiseScore","speechLike","speechScore"},"rmsDbfs"}],
 * "receivedAt"}: numbers exactly as they were received. The caller owns the reference.
 */
json_object *meter_summary_unpack(const void *data, size_t n);

#endif
