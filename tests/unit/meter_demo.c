#include "engine/meter_demo.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <math.h>

static void *arena;

static void open_arena(void)
{
	arena = talloc_new(NULL);
}

static void close_arena(void)
{
	talloc_free(arena);
}

TestSuite(meter_demo, .init = open_arena, .fini = close_arena);

Test(meter_demo, contract_vector)
{
	static const double want[8][6] = {
	    {-45.2, -32.2, 0.57, 0.26, 9.2, 13.04},  {-49.6, -33.8, 0.44, 0.2, 7.1, 15.8},
	    {-51, -34, 0.4, 0.18, 6.6, 16.99},       {-48.6, -32.4, 0.47, 0.2, 8.2, 16.22},
	    {-43.1, -29.3, 0.63, 0.25, 11.5, 13.75}, {-35.9, -24.3, 0.83, 0.29, 16.3, 11.63},
	    {-29.4, -14.6, 1, 0.22, 23.3, 14.79},    {-25.7, -8.9, 1, 0.19, 24.4, 16.72},
	};
	json_object *frame = meter_demo_frame(arena, 1750000000000, NULL), *levels = json_array(frame, "levels");

	cr_assert_str_eq(json_str(frame, "capturedAt"), "2025-06-15T15:06:40.000Z");
	cr_assert_str_eq(json_str(frame, "nodeId"), "node_x32_test");
	cr_assert_str_eq(json_str(frame, "interfaceId"), "iface_x32_usb");
	cr_assert_eq(json_object_array_length(levels), 8);
	for (size_t i = 0; i < 8; i++) {
		json_object *l = json_object_array_get_idx(levels, i), *q = json_object_at(l, "quality");

		cr_expect_eq(json_int(l, "channelIndex", 0), (int64_t)i + 1);
		cr_expect_eq(json_double(l, "rmsDbfs", 0), want[i][0], "rms of channel %zu", i + 1);
		cr_expect_eq(json_double(l, "peakDbfs", 0), want[i][1], "peak of channel %zu", i + 1);
		cr_expect_eq(json_double(q, "speechScore", 0), want[i][2], "speech of channel %zu", i + 1);
		cr_expect_eq(json_double(q, "noiseScore", 0), want[i][3], "noise of channel %zu", i + 1);
		cr_expect_eq(json_double(q, "estimatedSnrDb", 0), want[i][4], "snr of channel %zu", i + 1);
		cr_expect_eq(json_double(q, "crestFactorDb", 0), want[i][5], "crest of channel %zu", i + 1);
	}
}

Test(meter_demo, first_channel_in_full)
{
	json_object *frame = meter_demo_frame(arena, 1750000000000, NULL);
	json_object *first = json_object_array_get_idx(json_array(frame, "levels"), 0);

	cr_assert_str_eq(
	    json_compact(arena, first, NULL),
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"Ch 1\",\"peakDbfs\":-32.2,\"quality\":{"
	    "\"broadbandNoiseScore\":0.16,\"crestFactorDb\":13.04,\"estimatedSnrDb\":9.2,\"humScore\":0.02,"
	    "\"intelligibilityScore\":0.31,\"noiseScore\":0.26,\"speechLike\":true,\"speechScore\":0.57,"
	    "\"staticScore\":0.02,\"zeroCrossingRate\":0.09},\"rmsDbfs\":-45.2}");
}

Test(meter_demo, fixed_level)
{
	double fixed = 0;
	json_object *frame = meter_demo_frame(arena, 0, &fixed);
	json_object *first = json_object_array_get_idx(json_array(frame, "levels"), 0);

	cr_expect_eq(json_double(first, "rmsDbfs", 1), 0);
	cr_expect_eq(json_double(first, "peakDbfs", 1), -3);
	cr_expect_eq(json_double(json_object_at(first, "quality"), "crestFactorDb", 1), 0);
}

Test(meter_demo, override_text)
{
	static const struct {
		const char *text;
		bool given;
		double dbfs;
	} rows[] = {
	    {NULL, false, 0},         {"", false, 0},    {"  ", false, 0},  {"-20", true, -20},
	    {" -20.5 ", true, -20.5}, {"x", false, 0},   {"1x", false, 0},  {"-900", true, -160},
	    {"99", true, 24},         {"inf", false, 0}, {"nan", false, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double v = 0;

		cr_expect_eq(meter_demo_override(rows[i].text, &v), rows[i].given, "row %zu", i);
		cr_expect_eq(v, rows[i].dbfs, "row %zu", i);
	}
}

Test(meter_demo, rounding_is_from_the_exact_value)
{
	cr_expect_eq(meter_demo_round(0.25, 1), 0.3); /* an exact half goes away from zero */
	cr_expect_eq(meter_demo_round(-0.25, 1), -0.3);
	cr_expect_eq(meter_demo_round(1.005, 2), 1.0); /* binary value lies below the half */
	cr_expect_eq(meter_demo_round(0.145, 2), 0.14);
	cr_expect_eq(meter_demo_round(-0.04, 1), 0);
	cr_expect_not(signbit(meter_demo_round(-0.04, 1)));
	cr_expect_eq(meter_demo_round(-12.04, 1), -12);
}
