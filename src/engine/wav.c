#include "engine/wav.h"

#include <string.h>

#define WAV_BLOCK 65536
#define WAV_MIN_SIZE 44
#define WAV_FMT_SIZE 16
#define PCM_FORMAT 1

/* A forward window over the source, so that walking many small chunks costs no more than reading the file once. */
struct reader {
	const struct wav_source *source;
	int64_t start; /* offset of block[0] */
	size_t filled;
	unsigned char block[WAV_BLOCK];
};

/* Makes n bytes (at most WAV_BLOCK) at offset available; NULL if they cannot be had. */
static const unsigned char *reader_at(struct reader *r, int64_t offset, size_t n)
{
	if (offset < r->start || offset > r->start + (int64_t)r->filled) {
		r->start = offset;
		r->filled = 0;
	}
	if (offset + (int64_t)n > r->start + (int64_t)r->filled) {
		size_t keep = (size_t)(r->start + (int64_t)r->filled - offset);

		memmove(r->block, r->block + (r->filled - keep), keep);
		r->start = offset;
		r->filled = keep;
		while (r->filled < n) {
			long got = r->source->read_at(r->source->arg, r->start + (int64_t)r->filled,
			                              r->block + r->filled, WAV_BLOCK - r->filled);

			if (got <= 0)
				return NULL;
			r->filled += (size_t)got;
		}
	}
	return r->block + (offset - r->start);
}

static uint32_t le16(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const unsigned char *p)
{
	return le16(p) | le16(p + 2) << 16;
}

struct layout {
	bool supported;
	uint32_t channels, rate;
	int64_t data, bytes; /* offset and length of the samples that are there */
};

/* Walks the chunks; the last "fmt " and the last "data" count, in whatever order. */
static bool find_chunks(struct reader *r, struct layout *w)
{
	int64_t size = r->source->size;
	int64_t offset = 12;
	const unsigned char *p;

	*w = (struct layout){0};
	if (size < WAV_MIN_SIZE || (p = reader_at(r, 0, 12)) == NULL)
		return false;
	if (memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WAVE", 4) != 0)
		return false;
	while (offset + 8 <= size) {
		int64_t start = offset + 8, n;
		bool fmt, data;

		p = reader_at(r, offset, 8);
		if (p == NULL)
			return false;
		fmt = memcmp(p, "fmt ", 4) == 0;
		data = memcmp(p, "data", 4) == 0;
		n = (int64_t)le32(p + 4);
		if (fmt && n >= WAV_FMT_SIZE) {
			if (start + WAV_FMT_SIZE > size || (p = reader_at(r, start, WAV_FMT_SIZE)) == NULL)
				return false;
			w->supported = le16(p) == PCM_FORMAT && le16(p + 14) == 16;
			w->channels = le16(p + 2);
			w->rate = le32(p + 4);
		} else if (data) {
			w->data = start;
			w->bytes = n < size - start ? n : size - start;
		}
		offset = start + n + n % 2;
	}
	return w->supported && w->channels > 0 && w->rate > 0 && w->bytes > 0;
}

/* Highest absolute sample value of n little-endian 16-bit samples, 0..32768. */
static int loudest(const unsigned char *p, size_t n, int so_far)
{
	for (size_t i = 0; i < n; i++, p += 2) {
		int value = (int16_t)le16(p);

		if (value < 0)
			value = -value;
		if (value > so_far)
			so_far = value;
	}
	return so_far;
}

/* Highest value of the samples in [offset, end); false if they cannot be read. */
static bool bin_peak(struct reader *r, int64_t offset, int64_t end, int *peak)
{
	*peak = 0;
	while (offset < end) {
		size_t n = end - offset < WAV_BLOCK ? (size_t)(end - offset) : WAV_BLOCK;
		const unsigned char *p = reader_at(r, offset, n);

		if (p == NULL)
			return false;
		*peak = loudest(p, n / 2, *peak);
		offset += (int64_t)n;
	}
	return true;
}

bool wav_analyse(const struct wav_source *source, struct wav_info *info)
{
	struct reader r = {.source = source};
	struct layout w;
	int64_t frame, bins;

	memset(info, 0, sizeof(*info));
	if (!find_chunks(&r, &w))
		return false;
	frame = 2 * (int64_t)w.channels;
	info->channels = w.channels;
	info->rate = w.rate;
	info->frames = w.bytes / frame;
	bins = info->frames < WAV_PEAKS ? info->frames : WAV_PEAKS;
	info->peak_count = (unsigned)bins;
	for (int64_t i = 0; i < bins; i++) {
		int64_t first = i * info->frames / bins;
		int64_t last = (i + 1) * info->frames / bins;
		int peak;

		if (!bin_peak(&r, w.data + first * frame, w.data + last * frame, &peak))
			return false;
		info->peaks[i] = (uint16_t)((1000 * peak + 16384) / 32768);
	}
	return bins > 0;
}

int64_t wav_seconds(const struct wav_info *info)
{
	int64_t seconds;

	if (info->rate == 0)
		return 1;
	seconds = (2 * info->frames + (int64_t)info->rate) / (2 * (int64_t)info->rate);
	if (seconds < 1)
		return 1;
	return seconds < INT32_MAX ? seconds : INT32_MAX;
}
