/*
 * WAV files: parsing and peaks, bit for bit as contract 03 3.13.7 wants them, in constant memory for any size. Pure:
 * the bytes come from a callback, so the same code reads a stored file, a decoder's output, and whatever a fuzzer makes
 * up.
 */
#ifndef RAKKR_ENGINE_WAV_H
#define RAKKR_ENGINE_WAV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAV_PEAKS 96

struct wav_source {
	int64_t size; /* of the whole stream, known beforehand */
	/*
	 * Reads up to n bytes at offset; returns their number, 0 at the end, -1 when that is not possible. Offsets only
	 * go forward unless a file has several chunks of one kind or samples in front of their format.
	 */
	long (*read_at)(void *arg, int64_t offset, void *buf, size_t n);
	void *arg;
};

struct wav_info {
	uint32_t channels;
	uint32_t rate;             /* Hz */
	int64_t frames;            /* "sampleCount" on the wire */
	unsigned peak_count;       /* min(WAV_PEAKS, frames) */
	uint16_t peaks[WAV_PEAKS]; /* thousandths of full scale, 0..1000 */
};

/*
 * Analyses 16-bit PCM. False for anything else: too short, no RIFF/WAVE, another encoding, no frame, a format chunk
 * that is cut off (trap 17), or bytes that end before the source's size says so.
 */
bool wav_analyse(const struct wav_source *source, struct wav_info *info);

/* Length in whole seconds, at least 1, rounded half up, at most 2147483647 (contract 03 3.13.6, 09 D-14). */
int64_t wav_seconds(const struct wav_info *info);

#endif
