/* Recording files from nodes: any bytes, and a size that lies. */
#include "engine/wav.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *at;
	size_t n;
};

static long read_at(void *arg, int64_t offset, void *buf, size_t n)
{
	const struct bytes *b = arg;

	if (offset < 0)
		abort();
	if ((uint64_t)offset >= b->n)
		return 0;
	if (n > b->n - (size_t)offset)
		n = b->n - (size_t)offset;
	memcpy(buf, b->at + offset, n);
	return (long)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = {data, size};
	struct wav_source source = {.size = (int64_t)size, .read_at = read_at, .arg = &b};
	struct wav_info info;

	for (int lie = 0; lie < 2; lie++) {
		if (wav_analyse(&source, &info)) {
			if (info.channels == 0 || info.rate == 0 || info.frames <= 0 || info.peak_count > WAV_PEAKS)
				abort();
			for (unsigned i = 0; i < info.peak_count; i++)
				if (info.peaks[i] > 1000)
					abort();
		}
		source.size += 1000;
	}
	return 0;
}
