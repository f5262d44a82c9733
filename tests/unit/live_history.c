/* Meter history: the ring, what is kept of a frame, and both together in live memory (contract 02 11.1, 06 7). */
#include "base/mem.h"
#include "engine/meter_summary.h"
#include "store/live.h"
#include "store/live_ring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AREA 256

/* ---- the ring ---------------------------------------------------------------------------------------------------- */

struct seen {
	int count;
	char first[64]; /* of each record, newest first */
	size_t bytes;
	bool whole; /* every record is one letter repeated */
};

static void look(void *arg, const void *data, size_t n)
{
	struct seen *s = arg;
	const char *text = data;

	for (size_t i = 1; i < n; i++)
		s->whole = s->whole && text[i] == text[0];
	s->first[s->count++ % 64] = text[0];
	s->bytes += n;
}

static struct seen look_at(const struct live_ring *r, const char *area, uint32_t limit)
{
	struct seen s = {.whole = true};

	live_ring_each(r, area, AREA, limit, look, &s);
	return s;
}

static status add(struct live_ring *r, char *area, char letter, size_t n, uint32_t most)
{
	char data[AREA * 2];

	memset(data, letter, sizeof data);
	return live_ring_add(r, area, AREA, data, n, most);
}

Test(live_ring, the_newest_come_first_and_the_oldest_go)
{
	struct live_ring r = {0};
	char area[AREA] = {0};

	cr_assert_eq(look_at(&r, area, 10).count, 0);
	for (char c = 'a'; c <= 'e'; c++)
		cr_assert_eq(add(&r, area, c, 10, 3), ST_OK);
	struct seen s = look_at(&r, area, 10);
	cr_assert_eq(s.count, 3);
	cr_assert_eq(memcmp(s.first, "edc", 3), 0);
	cr_assert_eq(look_at(&r, area, 2).count, 2);
	live_ring_reset(&r);
	cr_assert_eq(look_at(&r, area, 10).count, 0);
}

Test(live_ring, the_bytes_are_bounded)
{
	struct live_ring r = {0};
	char area[AREA] = {0};

	cr_assert_eq(add(&r, area, 'x', AREA, 100), ST_TOO_LARGE);
	cr_assert_eq(add(&r, area, 'x', AREA - 8, 100), ST_OK);
	cr_assert_eq(look_at(&r, area, 10).bytes, AREA - 8);
	cr_assert_eq(add(&r, area, 'y', 1, 100), ST_OK);
	cr_assert_eq(look_at(&r, area, 10).bytes, 1);
}

/* Lengths that do not divide the area: every record crosses its end sooner or later. */
Test(live_ring, records_survive_the_wrap)
{
	struct live_ring r = {0};
	char area[AREA + 1] = {0};

	area[AREA] = 'G';
	for (int i = 0; i < 5000; i++) {
		size_t n = (size_t)(i * 7 % 61);

		cr_assert_eq(add(&r, area, (char)('a' + i % 26), n, 100), ST_OK);
		struct seen s = look_at(&r, area, 100);
		cr_assert(s.whole, "%d", i);
		cr_assert_leq(s.bytes + (size_t)s.count * 8, AREA);
		if (n > 0)
			cr_assert_eq(s.first[0], 'a' + i % 26);
	}
	cr_assert_eq(area[AREA], 'G');
}

/* A smaller limit (a reload) takes hold with the next record. */
Test(live_ring, a_smaller_limit)
{
	struct live_ring r = {0};
	char area[AREA] = {0};

	for (char c = 'a'; c <= 'j'; c++)
		add(&r, area, c, 4, 100);
	cr_assert_eq(look_at(&r, area, 100).count, 10);
	add(&r, area, 'k', 4, 2);
	cr_assert_eq(look_at(&r, area, 100).count, 2);
}

/* ---- summaries --------------------------------------------------------------------------------------------------- */

static json_object *frame(const void *ctx, double rms, int channels)
{
	json_object *f = json_new_object(ctx), *levels = json_object_new_array();

	for (int i = 1; i <= channels; i++) {
		json_object *l = json_object_new_object(), *q = json_object_new_object();

		json_set_int(l, "channelIndex", i);
		json_set_bool(l, "clipping", i == 2);
		json_set_str(l, "label", "Input");
		json_object_object_add(l, "peakDbfs", json_number(rms + 13.7));
		json_object_object_add(q, "noiseScore", json_number(0.22));
		json_set_bool(q, "speechLike", i == 1);
		json_object_object_add(q, "speechScore", json_number(0.78));
		if (i != 3)
			json_object_object_add(l, "quality", q);
		else
			json_object_put(q);
		json_object_object_add(l, "rmsDbfs", json_number(rms));
		json_object_array_add(levels, l);
	}
	json_object_object_add(f, "levels", levels);
	return f;
}

Test(meter_summary, keeps_numbers_as_they_are)
{
	void *mem = talloc_new(NULL);
	size_t n;
	void *packed = meter_summary_pack(mem, frame(mem, -31.6, 3), 1750000000000, &n);
	json_object *o = json_own(mem, meter_summary_unpack(packed, n));

	cr_assert_str_eq(json_compact(mem, o, NULL),
	                 "{\"levels\":["
	                 "{\"channelIndex\":1,\"clipping\":false,\"peakDbfs\":-17.900000000000002,\"quality\":"
	                 "{\"noiseScore\":0.22,\"speechLike\":true,\"speechScore\":0.78},\"rmsDbfs\":-31.6},"
	                 "{\"channelIndex\":2,\"clipping\":true,\"peakDbfs\":-17.900000000000002,\"quality\":"
	                 "{\"noiseScore\":0.22,\"speechLike\":false,\"speechScore\":0.78},\"rmsDbfs\":-31.6},"
	                 "{\"channelIndex\":3,\"clipping\":false,\"peakDbfs\":-17.900000000000002,\"rmsDbfs\":-31.6}],"
	                 "\"receivedAt\":\"2025-06-15T15:06:40.000Z\"}");
	packed = meter_summary_pack(mem, json_new_object(mem), 0, &n);
	o = json_own(mem, meter_summary_unpack(packed, n));
	cr_assert_eq(json_object_array_length(json_array(o, "levels")), 0);
	talloc_free(mem);
}

/* ---- live memory ------------------------------------------------------------------------------------------------- */

static double rms_at(json_object *frames, size_t i)
{
	json_object *levels = json_array(json_object_array_get_idx(frames, i), "levels");

	return json_double(json_object_array_get_idx(levels, 0), "rmsDbfs", 1);
}

Test(live_history, newest_first_up_to_the_limit)
{
	void *mem = talloc_new(NULL);
	struct live *l = live_create(2);

	cr_assert_eq(json_object_array_length(live_meter_history(l, mem, "a", 10)), 0);
	for (int i = 0; i < 700; i++)
		cr_assert_eq(live_meter_remember(l, "a", frame(mem, -i / 10.0, 2), i), ST_OK);
	live_meter_remember(l, "b", frame(mem, -5, 1), 0);
	json_object *frames = live_meter_history(l, mem, "a", 1000);
	cr_assert_eq(json_object_array_length(frames), 600);
	cr_assert_eq(rms_at(frames, 0), -69.9);
	cr_assert_eq(rms_at(frames, 599), -10);
	cr_assert_eq(json_object_array_length(live_meter_history(l, mem, "a", 120)), 120);
	cr_assert_eq(json_object_array_length(live_meter_history(l, mem, "b", 120)), 1);
	live_history_limit(l, 5);
	live_meter_remember(l, "a", frame(mem, -1, 1), 0);
	cr_assert_eq(json_object_array_length(live_meter_history(l, mem, "a", 120)), 5);
	talloc_free(mem);
}

Test(live_history, wide_frames_stay_within_the_bytes)
{
	void *mem = talloc_new(NULL);
	struct live *l = live_create(1);
	json_object *wide = frame(mem, -20, 512);

	for (int i = 0; i < 100; i++)
		cr_assert_eq(live_meter_remember(l, "a", wide, i), ST_OK);
	json_object *frames = live_meter_history(l, mem, "a", 1000);
	size_t n = json_object_array_length(frames);
	cr_assert(n > 10 && n < 100, "%zu", n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(json_object_array_length(json_array(json_object_array_get_idx(frames, i), "levels")), 512);
	talloc_free(mem);
}

/* The node that was not heard of for longest gives its place away, and its history with it. */
Test(live_history, a_place_that_is_taken_over_is_empty)
{
	void *mem = talloc_new(NULL);
	struct live *l = live_create(1);

	live_meter_remember(l, "a", frame(mem, -1, 1), 0);
	live_meter_remember(l, "b", frame(mem, -2, 1), 0);
	cr_assert_eq(json_object_array_length(live_meter_history(l, mem, "a", 10)), 0);
	json_object *frames = live_meter_history(l, mem, "b", 10);
	cr_assert_eq(json_object_array_length(frames), 1);
	cr_assert_eq(rms_at(frames, 0), -2);
	talloc_free(mem);
}

static void remember_for_ever(struct live *l)
{
	void *mem = talloc_new(NULL);
	json_object *f = frame(mem, -20, 32);

	for (;;)
		live_meter_remember(l, "a", f, 0);
}

/* Killed at any instruction, the writer leaves whole frames or none. */
Test(live_history, survives_dying_writers)
{
	struct live *l = live_create(1);

	for (int i = 0; i < 30; i++) {
		void *mem = talloc_new(NULL);
		pid_t pid = fork();

		if (pid == 0)
			remember_for_ever(l);
		usleep((useconds_t)(1000 + i * 331));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		json_object *frames = live_meter_history(l, mem, "a", 1000);
		for (size_t k = 0; k < json_object_array_length(frames); k++)
			cr_assert_eq(
			    json_object_array_length(json_array(json_object_array_get_idx(frames, k), "levels")), 32);
		cr_assert_eq(live_meter_remember(l, "a", frame(mem, -1, 32), 0), ST_OK);
		talloc_free(mem);
	}
}
