#include "transfer/analysis.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/wav.h"
#include "transfer/tool.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_OUTPUT_MAX (1024 * 1024)
#define PROBE_GRACE_MS 50
#define PASS_BLOCK 65536

static json_object *waveform(const void *ctx, const struct wav_info *w, const char *source, int64_t now_ms)
{
	json_object *o = json_new_object(ctx);
	json_object *peaks = json_new_array(ctx);

	for (unsigned i = 0; i < w->peak_count; i++)
		json_object_array_add(peaks, json_number(w->peaks[i] / 1000.0));
	json_set_int(o, "channelCount", w->channels);
	json_set_iso(o, "generatedAt", now_ms);
	json_set_ref(o, "peaks", peaks);
	json_set_int(o, "sampleCount", w->frames);
	json_set_int(o, "sampleRate", w->rate);
	json_set_str(o, "source", source);
	return o;
}

static long read_file_at(void *arg, int64_t offset, void *buf, size_t n)
{
	return (long)pread(*(int *)arg, buf, n, (off_t)offset);
}

static bool analyse_wav(const char *file, struct wav_info *info)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct wav_source source = {.read_at = read_file_at, .arg = &fd};
	struct stat st;
	bool good;

	if (fd < 0)
		return false;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	good = fstat(fd, &st) == 0;
	source.size = good ? (int64_t)st.st_size : 0;
	good = good && wav_analyse(&source, info);
	close(fd);
	return good;
}

/* A decoder's output as a source: it only goes forward. */
struct decoded {
	struct tool tool;
	int64_t offset;
};

static long read_decoded_at(void *arg, int64_t offset, void *buf, size_t n)
{
	struct decoded *d = arg;
	long got;

	if (offset < d->offset)
		return -1;
	while (d->offset < offset) {
		int64_t skip = offset - d->offset;

		got = tool_read(&d->tool, buf, skip < (int64_t)n ? (size_t)skip : n);
		if (got <= 0)
			return got;
		d->offset += got;
	}
	got = tool_read(&d->tool, buf, n);
	if (got > 0)
		d->offset += got;
	return got;
}

/* Reads the rest of the output; false when it is cut off. max 0 = no limit. */
static bool drain(struct decoded *d, int64_t max)
{
	char block[PASS_BLOCK];
	long got;

	while ((got = tool_read(&d->tool, block, sizeof(block))) > 0) {
		d->offset += got;
		if (max > 0 && d->offset > max)
			d->tool.broken = true;
	}
	return got == 0;
}

static const char **decode_arguments(const void *ctx, const struct config *c, const char *file)
{
	const char *const args[] = {"-hide_banner", "-loglevel", "error", "-i",  file, "-map", "0:a:0",
	                            "-acodec",      "pcm_s16le", "-f",    "wav", "-",  NULL};

	return tool_arguments(ctx, config_str(c, CFG_FFMPEG_COMMAND), config_str(c, CFG_FFMPEG_ARGS_PREFIX), args);
}

static bool start_probe(const void *ctx, const struct config *c, const char *file, struct tool *t)
{
	const char *const args[] = {"-v", "error", "-show_entries", "format=duration", "-of", "json", file, NULL};

	return tool_start(
	    t, tool_arguments(ctx, config_str(c, CFG_FFPROBE_COMMAND), config_str(c, CFG_FFPROBE_ARGS_PREFIX), args),
	    config_int(c, CFG_AUDIO_TOOL_TIMEOUT_MS));
}

/* Whole seconds out of ffprobe's answer; 0 if there are none. */
static int64_t probed_seconds(const void *ctx, const char *text, size_t n)
{
	json_object *answer, *value;
	double seconds;

	if (!json_parse(ctx, text, n, &answer))
		return 0;
	value = json_get(json_object_at(answer, "format"), "duration");
	if (json_is_str(value)) {
		char *end;

		seconds = strtod(json_object_get_string(value), &end);
		if (*end != '\0')
			return 0;
	} else {
		seconds = json_is_num(value) ? json_object_get_double(value) : 0;
	}
	if (!isfinite(seconds) || seconds <= 0)
		return 0;
	seconds = floor(seconds + 0.5);
	if (seconds > INT32_MAX)
		return INT32_MAX;
	return seconds < 1 ? 1 : (int64_t)seconds;
}

static int64_t finish_probe(const void *ctx, struct tool *t)
{
	char *text = mem_array(ctx, char, 4096);
	size_t size = 0, room = 4096;
	int64_t soon = clock_mono_ms() + PROBE_GRACE_MS;
	long got;

	if (t->deadline < soon)
		t->deadline = soon; /* it ran beside the decoder and may have answered long ago */
	while ((got = tool_read(t, text + size, room - size)) > 0) {
		size += (size_t)got;
		if (size == PROBE_OUTPUT_MAX)
			t->broken = true;
		else if (size == room)
			text = mem_grow(ctx, text, char, room *= 2);
	}
	return tool_finish(t) ? probed_seconds(ctx, text, size) : 0;
}

/*
 * Peaks of a decoder's output. Where the bins lie depends on the number of frames, which a stream does not tell before
 * it ends; so it is decoded twice, first for its length, and never kept.
 */
static bool analyse_decoded(const struct config *c, const char **argv, struct decoded *first, struct wav_info *info)
{
	struct decoded second = {.offset = 0};
	struct wav_source source = {.read_at = read_decoded_at, .arg = &second};
	/* The limit guards memory in a decoder that keeps its output; here it only counts if somebody set it. */
	int64_t max = config_given(c, CFG_AUDIO_PREVIEW_MAX_BYTES) ? config_int(c, CFG_AUDIO_PREVIEW_MAX_BYTES) : 0;
	bool good = drain(first, max);

	good = tool_finish(&first->tool) && good;
	if (!good || !tool_start(&second.tool, argv, config_int(c, CFG_AUDIO_TOOL_TIMEOUT_MS)))
		return false;
	source.size = first->offset;
	good = wav_analyse(&source, info);
	good = drain(&second, 0) && good;
	return tool_finish(&second.tool) && good && second.offset == first->offset;
}

void analyse_file(const void *ctx, const struct config *c, const char *file, bool wav, int64_t now_ms,
                  struct analysis *out)
{
	const char **argv;
	struct wav_info info;
	struct decoded first = {.offset = 0};
	struct tool probe;
	bool probing, decoding;

	*out = (struct analysis){0};
	if (wav && analyse_wav(file, &info)) {
		out->seconds = wav_seconds(&info);
		out->waveform = waveform(ctx, &info, "wav_s16le_peak", now_ms);
		return;
	}
	argv = decode_arguments(ctx, c, file);
	probing = start_probe(ctx, c, file, &probe);
	decoding = tool_start(&first.tool, argv, config_int(c, CFG_AUDIO_TOOL_TIMEOUT_MS));
	if (decoding && analyse_decoded(c, argv, &first, &info))
		out->waveform = waveform(ctx, &info, "ffmpeg_decoded_peak", now_ms);
	if (probing)
		out->seconds = finish_probe(ctx, &probe);
}
