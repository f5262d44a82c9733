/* The WAV parser and its peaks against contract 03 3.13.7. */
#include <criterion/criterion.h>

#include "engine/wav.h"

#include <stdlib.h>
#include <string.h>

struct bytes {
	unsigned char at[1 << 20];
	size_t len;
};

static struct bytes file;

static void put(const void *data, size_t n)
{
	memmove(file.at + file.len, data, n);
	file.len += n;
}

static void put16(unsigned value)
{
	unsigned char b[2] = {(unsigned char)value, (unsigned char)(value >> 8)};

	put(b, 2);
}

static void put32(uint32_t value)
{
	put16(value & 0xffff);
	put16(value >> 16);
}

static void put_riff(void)
{
	file.len = 0;
	put("RIFF", 4);
	put32(0);
	put("WAVE", 4);
}

static void put_fmt(unsigned format, unsigned channels, uint32_t rate, unsigned bits)
{
	put("fmt ", 4);
	put32(16);
	put16(format);
	put16(channels);
	put32(rate);
	put32(rate * channels * bits / 8);
	put16(channels * bits / 8);
	put16(bits);
}

static void put_data(uint32_t claimed, const int16_t *samples, size_t n)
{
	put("data", 4);
	put32(claimed);
	for (size_t i = 0; i < n; i++)
		put16((uint16_t)samples[i]);
}

static long read_bytes(void *arg, int64_t offset, void *buf, size_t n)
{
	(void)arg;
	if (offset >= (int64_t)file.len)
		return 0;
	if (n > file.len - (size_t)offset)
		n = file.len - (size_t)offset;
	memcpy(buf, file.at + offset, n);
	return (long)n;
}

/* One byte a call, and only forward: a slow pipe. */
static long read_pipe(void *arg, int64_t offset, void *buf, size_t n)
{
	int64_t *at = arg;

	(void)n;
	if (offset < *at)
		return -1;
	if (read_bytes(NULL, offset, buf, 1) == 0)
		return 0;
	*at = offset + 1;
	return 1;
}

static bool analyse(struct wav_info *info)
{
	const struct wav_source source = {.size = (int64_t)file.len, .read_at = read_bytes};

	return wav_analyse(&source, info);
}

static void expect_peaks(const int16_t *samples, size_t n, const unsigned *peaks)
{
	struct wav_info info;

	put_riff();
	put_fmt(1, 1, 48000, 16);
	put_data((uint32_t)(2 * n), samples, n);
	cr_assert(analyse(&info));
	cr_assert_eq(info.peak_count, n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(info.peaks[i], peaks[i], "peak %zu is %u", i, info.peaks[i]);
}

Test(wav, contract_vectors)
{
	expect_peaks((int16_t[]){0, 16384, -32768, 8192}, 4, (unsigned[]){0, 500, 1000, 250});
	expect_peaks((int16_t[]){0, 12000, -24000, 6000}, 4, (unsigned[]){0, 366, 732, 183});
	/* rounds half up: 2048 is 62.5 thousandths; exact halves need multiples of 2048 */
	expect_peaks((int16_t[]){2048, -2048, 2047, 6144}, 4, (unsigned[]){63, 63, 62, 188});
	expect_peaks((int16_t[]){32767, 16, 17, -1}, 4, (unsigned[]){1000, 0, 1, 0});
}

Test(wav, frames_rate_and_seconds)
{
	static int16_t samples[48000];
	struct wav_info info;

	put_riff();
	put_fmt(1, 2, 16000, 16);
	put_data(sizeof(samples), samples, 48000);
	cr_assert(analyse(&info));
	cr_assert_eq(info.channels, 2);
	cr_assert_eq(info.rate, 16000);
	cr_assert_eq(info.frames, 24000);
	cr_assert_eq(info.peak_count, WAV_PEAKS);
	cr_assert_eq(wav_seconds(&info), 2, "1.5 rounds up");
	info.frames = 23999;
	cr_assert_eq(wav_seconds(&info), 1);
	info.frames = 1;
	cr_assert_eq(wav_seconds(&info), 1, "never less than one");
	info.frames = INT64_C(1) << 60;
	cr_assert_eq(wav_seconds(&info), INT32_MAX);
	info.rate = 0;
	cr_assert_eq(wav_seconds(&info), 1);
}

/* The bins as the contract words them, over all samples in memory. */
Test(wav, bins_are_those_of_the_contract)
{
	static const size_t lengths[] = {1, 2, 95, 96, 97, 191, 193, 1000, 9601, 100003};
	int16_t *samples = malloc(sizeof(int16_t) * 2 * 100003);

	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
		int64_t frames = (int64_t)lengths[l], bins = frames < 96 ? frames : 96;
		struct wav_info info;

		srand((unsigned)l);
		for (int64_t i = 0; i < 2 * frames; i++)
			samples[i] = (int16_t)(rand() % 65536 - 32768);
		put_riff();
		put_fmt(1, 2, 44100, 16);
		put_data((uint32_t)(4 * frames), samples, (size_t)(2 * frames));
		cr_assert(analyse(&info));
		cr_assert_eq(info.frames, frames);
		for (int64_t i = 0; i < bins; i++) {
			int64_t start = i * frames / bins, end = (i + 1) * frames / bins;
			int peak = 0;

			for (int64_t k = 2 * start; k < 2 * (end > start + 1 ? end : start + 1); k++)
				if (abs(samples[k]) > peak)
					peak = abs(samples[k]);
			cr_assert_eq(info.peaks[i], (1000 * peak + 16384) / 32768);
		}
	}
	free(samples);
}

Test(wav, lying_and_streamed_sizes)
{
	static const int16_t samples[] = {100, 16384, -100, 0};
	struct wav_info info;

	put_riff();
	put_fmt(1, 1, 8000, 16);
	put_data(0xffffffff, samples, 4);
	cr_assert(analyse(&info));
	cr_assert_eq(info.frames, 4, "what is there counts, not what the header claims");
	put_riff();
	put_fmt(1, 1, 8000, 16);
	put_data(0xffffffff, samples, 4);
	put("x", 1);
	cr_assert(analyse(&info));
	cr_assert_eq(info.frames, 4, "an odd byte is no frame");
	put_riff();
	put_fmt(1, 1, 8000, 16);
	put_data(4, samples, 4);
	put("    ", 4);
	cr_assert(analyse(&info));
	cr_assert_eq(info.frames, 2, "a short claim is believed");
}

Test(wav, chunk_order_and_repetition)
{
	static const int16_t first[] = {1, 2, 3, 4}, second[] = {16384, -32768};
	struct wav_info info;

	put_riff();
	put("LIST", 4);
	put32(3);
	put("abc\0", 4);
	put_data(8, first, 4);
	put_fmt(3, 1, 8000, 16);
	put_data(4, second, 2);
	put_fmt(1, 1, 16000, 16);
	cr_assert(analyse(&info));
	cr_assert_eq(info.rate, 16000, "the last format counts");
	cr_assert_eq(info.frames, 2, "the last data counts");
	cr_assert_eq(info.peaks[1], 1000);
}

Test(wav, what_is_refused)
{
	static const int16_t samples[] = {1, 2, 3, 4};
	static const struct {
		unsigned format, channels;
		uint32_t rate;
		unsigned bits;
	} bad[] = {{0xfffe, 2, 48000, 16}, {3, 2, 48000, 32}, {1, 2, 48000, 24}, {1, 0, 48000, 16}, {1, 2, 0, 16}};
	struct wav_info info;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_riff();
		put_fmt(bad[i].format, bad[i].channels, bad[i].rate, bad[i].bits);
		put_data(8, samples, 4);
		cr_assert_not(analyse(&info), "case %zu", i);
	}
	put_riff();
	put_fmt(1, 2, 48000, 16);
	put_data(0, samples, 0);
	cr_assert_not(analyse(&info), "no frame");
	put_riff();
	put_fmt(1, 300, 48000, 16);
	put_data(8, samples, 4);
	cr_assert_not(analyse(&info), "less than one frame");
	put_riff();
	put_data(8, samples, 4);
	put("fmt ", 4);
	put32(16);
	put16(1);
	put16(1);
	put32(48000);
	cr_assert_not(analyse(&info), "a format chunk that is cut off");
	file.len = 0;
	put("RIFX", 4);
	put(file.at, 60);
	cr_assert_not(analyse(&info));
}

Test(wav, size_that_is_not_there)
{
	static const int16_t samples[] = {1, 2, 3, 4};
	struct wav_source source = {.read_at = read_bytes};
	struct wav_info info;

	put_riff();
	put_fmt(1, 1, 48000, 16);
	put_data(0xffffffff, samples, 4);
	source.size = (int64_t)file.len + 1000;
	cr_assert_not(wav_analyse(&source, &info));
	source.size = INT64_C(1) << 40;
	cr_assert_not(wav_analyse(&source, &info));
}

Test(wav, pipe_gives_the_same)
{
	static int16_t samples[30000];
	struct wav_info whole, piped;
	int64_t at = 0;
	const struct wav_source source = {.size = 44 + sizeof(samples), .read_at = read_pipe, .arg = &at};

	for (size_t i = 0; i < 30000; i++)
		samples[i] = (int16_t)(i * 7919);
	put_riff();
	put_fmt(1, 3, 32000, 16);
	put_data(0xffffffff, samples, 30000);
	cr_assert(analyse(&whole));
	cr_assert(wav_analyse(&source, &piped));
	cr_assert_eq(memcmp(&whole, &piped, sizeof(whole)), 0);
}

/* Any bytes at all: no crash, no read outside, an end. */
Test(wav, rubbish)
{
	static const int16_t samples[] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct wav_info info;

	for (unsigned seed = 0; seed < 20000; seed++) {
		srand(seed);
		put_riff();
		put_fmt(1, 2, 48000, 16);
		put_data(seed % 3 == 0 ? 0xffffffff : 16, samples, 8);
		for (int i = 0; i < 6; i++)
			file.at[(size_t)rand() % file.len] = (unsigned char)rand();
		if (seed % 2 == 0)
			file.len = (size_t)rand() % file.len;
		if (analyse(&info))
			cr_assert(info.peak_count >= 1 && info.peak_count <= WAV_PEAKS && info.frames > 0);
	}
}
