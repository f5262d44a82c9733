/* What a stored audio file is: its length and a waveform to show (contract 03 3.13.6, 3.13.7). */
#ifndef RAKKR_TRANSFER_ANALYSIS_H
#define RAKKR_TRANSFER_ANALYSIS_H

#include "base/config.h"
#include "base/json.h"

struct analysis {
	int64_t seconds;       /* 0 = unknown */
	json_object *waveform; /* "waveformPreview" of the wire, owned by ctx; NULL = none */
};

/*
 * Analyses file. 16-bit WAV (wav set) is read here; anything else goes through ffprobe and ffmpeg, whose failure only
 * means that less is known: the call itself cannot fail. Takes up to twice RAKKR_AUDIO_TOOL_TIMEOUT_MS.
 */
void analyse_file(const void *ctx, const struct config *c, const char *file, bool wav, int64_t now_ms,
                  struct analysis *out);

#endif
