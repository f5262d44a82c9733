#include "engine/meter_summary.h"

#include "base/mem.h"

#include <string.h>

enum { CLIPPING = 1, QUALITY = 2, SPEECH_LIKE = 4 };

struct level {
	double peak, rms, noise, speech;
	int64_t channel;
	uint64_t flags;
};

struct summary {
	int64_t received_ms;
	struct level levels[];
};

static struct level pack_level(json_object *o)
{
	json_object *quality = json_object_at(o, "quality");
	struct level l = {.channel = json_int(o, "channelIndex", 0)};

	l.peak = json_double(o, "peakDbfs", -160);
	l.rms = json_double(o, "rmsDbfs", -160);
	if (json_flag(o, "clipping", false))
		l.flags |= CLIPPING;
	if (quality == NULL)
		return l;
	l.flags |= json_flag(quality, "speechLike", false) ? QUALITY | SPEECH_LIKE : QUALITY;
	l.noise = json_double(quality, "noiseScore", 0);
	l.speech = json_double(quality, "speechScore", 0);
	return l;
}

void *meter_summary_pack(const void *ctx, json_object *frame, int64_t received_ms, size_t *n)
{
	json_object *levels = json_array(frame, "levels");
	size_t count = levels != NULL ? json_object_array_length(levels) : 0;
	struct summary *s;

	*n = sizeof(*s) + count * sizeof(s->levels[0]);
	s = mem_zero(ctx, *n, "meter summary");
	s->received_ms = received_ms;
	for (size_t i = 0; i < count; i++)
		s->levels[i] = pack_level(json_object_array_get_idx(levels, i));
	return s;
}

static json_object *unpack_level(const struct level *l)
{
	json_object *o = json_object_new_object(), *quality;

	json_set_int(o, "channelIndex", l->channel);
	json_set_bool(o, "clipping", (l->flags & CLIPPING) != 0);
	json_object_object_add(o, "peakDbfs", json_number(l->peak));
	if (l->flags & QUALITY) {
		quality = json_object_new_object();
		json_object_object_add(quality, "noiseScore", json_number(l->noise));
		json_set_bool(quality, "speechLike", (l->flags & SPEECH_LIKE) != 0);
		json_object_object_add(quality, "speechScore", json_number(l->speech));
		json_object_object_add(o, "quality", quality);
	}
	json_object_object_add(o, "rmsDbfs", json_number(l->rms));
	return o;
}

json_object *meter_summary_unpack(const void *data, size_t n)
{
	json_object *o = json_object_new_object(), *levels = json_object_new_array();
	int64_t received_ms;

	memcpy(&received_ms, data, sizeof(received_ms));
	for (size_t at = sizeof(struct summary); at + sizeof(struct level) <= n; at += sizeof(struct level)) {
		struct level l;

		memcpy(&l, (const char *)data + at, sizeof(l));
		json_object_array_add(levels, unpack_level(&l));
	}
	json_object_object_add(o, "levels", levels);
	json_set_iso(o, "receivedAt", received_ms);
	return o;
}
