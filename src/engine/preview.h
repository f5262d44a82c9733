/* The tone that stands for a node's level while no live audio is there (contract 02 12.6). */
#ifndef RAKKR_ENGINE_PREVIEW_H
#define RAKKR_ENGINE_PREVIEW_H

#include "base/json.h"

#define PREVIEW_MS 1500
#define PREVIEW_BYTES 48044

/* Highest peakDbfs of a meter frame's levels, at least -90. */
double preview_peak(json_object *frame);

/* Fills out with a WAV file: 440 Hz, 16 kHz mono, 16 bit, 1.5 s, as loud as peak_dbfs (amplitude 0.02 to 0.25). */
void preview_wav(unsigned char out[PREVIEW_BYTES], double peak_dbfs);

#endif
