/* One run of a schedule: length, tracks, names (contract 03 3.10.3; 04 3.9 to 3.11). */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "engine/track_plan.h"

#include <string.h>

static void *mem;

static void setup(void)
{
	mem = talloc_new(NULL);
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(track_plan, .init = setup, .fini = teardown);

static json_object *parse(const char *text)
{
	json_object *o = NULL;

	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

Test(track_plan, run_length)
{
	static const struct {
		const char *recurrence;
		int64_t seconds;
	} rows[] = {
	    {"{\"mode\":\"daily\",\"startTime\":\"09:00\",\"endTime\":\"11:00\"}", 7200},
	    {"{\"mode\":\"weekly\",\"startTime\":\"22:30\",\"endTime\":\"01:00\"}", 9000},
	    {"{\"mode\":\"monthly\",\"startTime\":\"10:00\",\"endTime\":\"10:00\"}", 86400},
	    {"{\"mode\":\"daily\",\"startTime\":\"09:00\",\"endTime\":\"09:01\",\"startEarlySeconds\":30,"
	     "\"stopLateSeconds\":15}",
	     105},
	    {"{\"mode\":\"daily\",\"startTime\":\"25:70\",\"endTime\":\"00:00\"}", 1}, /* past the end of the day */
	    {"{\"mode\":\"daily\",\"startTime\":\"9\",\"endTime\":\"10:00\"}", 0},
	    {"{\"mode\":\"daily\",\"endTime\":\"10:00\"}", 0},
	    {"{\"mode\":\"once\",\"startTime\":\"09:00\",\"endTime\":\"11:00\",\"startEarlySeconds\":30}", 0},
	    {"{\"mode\":\"manual\"}", 0},
	    {"{\"mode\":\"always_on\"}", 0},
	    {"{}", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(track_run_seconds(parse(rows[i].recurrence)), rows[i].seconds, "%s: %lld",
		             rows[i].recurrence, (long long)track_run_seconds(parse(rows[i].recurrence)));
	cr_expect_eq(track_run_seconds(NULL), 0);
}

Test(track_plan, undivided)
{
	static const int64_t rows[][2] = {{7200, 0}, {7200, 7200}, {7200, 7201}, {0, 600}, {0, 0}, {1, 1}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct track_plan p = track_plan(mem, rows[i][0], rows[i][1]);

		cr_expect_eq(p.count, 1);
		cr_expect_eq(p.at[0].offset_seconds, 0);
		cr_expect_eq(p.at[0].seconds, rows[i][0]);
		cr_expect_eq(p.at[0].index, 0);
		cr_expect_eq(p.at[0].total, 0);
	}
}

/* Every division: no gap, no overlap, nothing lost, the last track may be short. */
Test(track_plan, divided)
{
	for (int64_t run = 1; run < 200; run++)
		for (int64_t most = 1; most < run; most++) {
			struct track_plan p = track_plan(mem, run, most);
			int64_t at = 0;

			cr_assert_eq(p.count, (size_t)((run + most - 1) / most));
			for (size_t i = 0; i < p.count; i++) {
				cr_assert_eq(p.at[i].offset_seconds, at);
				cr_assert(p.at[i].seconds >= 1 && p.at[i].seconds <= most);
				cr_assert(i + 1 == p.count || p.at[i].seconds == most);
				cr_assert_eq(p.at[i].index, (int64_t)i + 1);
				cr_assert_eq(p.at[i].total, (int64_t)p.count);
				at += p.at[i].seconds;
			}
			cr_assert_eq(at, run);
		}
}

static const struct track_words words = {
    .date = "2026-06-17",
    .time = "2304",
    .timestamp = "2026-06-18T03:04:05.678Z",
    .node_alias = "A/B \\C",
    .node_hostname = "rack",
    .node_id = "node_1",
    .room = "Sched Room",
    .schedule_id = "sched_1",
    .schedule_name = "N: 1",
};

Test(track_plan, rendering)
{
	static const char *const rows[][2] = {
	    {"{{date}}_{{ time }}", "2026-06-17_2304"},
	    {"{{\n\tdate\n}}", "2026-06-17"},
	    {"{{timestamp}}", "2026-06-18T03:04:05.678Z"},
	    {"{{node.alias}}|{{node.hostname}}|{{node.id}}", "A/B \\C|rack|node_1"},
	    {"{{schedule.id}} {{schedule.name}} {{room}} [{{site}}]", "sched_1 N: 1 Sched Room []"},
	    {"{{Date}}{{nope}}{{ }}", ""},
	    {"{{{date}}}", "}"},
	    {"{{a}b}}", "{{a}b}}"},
	    {"{{}} {date} {{date}", "{{}} {date} {{date}"},
	    {"{{{{date}}", ""},
	    {"", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(track_render(mem, rows[i][0], &words), rows[i][1], "%s: %s", rows[i][0],
		                 track_render(mem, rows[i][0], &words));
}

Test(track_plan, names)
{
	static const char *const rows[][2] = {
	    {"{{date}}_{{time}}_{{schedule.name}}_{{node.alias}}", "2026-06-17_2304_N- 1_A/B -C"},
	    {"{{timestamp}}", "2026-06-18T03-04-05.678Z"},
	    {"/a/{{nope}}:<x>\t {{time}}", "/a/-x- 2304"},
	    {"{{nope}}", "Scheduled Recording"},
	    {" \n \xC2\xA0\xE2\x80\xA8 ", "Scheduled Recording"},
	    {"a \xC2\xA0\xE3\x80\x80 b", "a b"},
	    {"M\xC3\xBCller \xF0\x9F\x8E\xA4?", "M\xC3\xBCller \xF0\x9F\x8E\xA4-"},
	};
	struct track whole = {0}, second = {.index = 2, .total = 3};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(track_name(mem, rows[i][0], &words, &whole), rows[i][1], "%s: %s", rows[i][0],
		                 track_name(mem, rows[i][0], &words, &whole));
	cr_expect_str_eq(track_name(mem, "{{room}}", &words, &second), "Sched Room - Track 2 of 3");
}

Test(track_plan, folders)
{
	static const char *const rows[][2] = {
	    {"/A//{{ room }}/{{nope}}/../B", "Scheduled Recording/A/Sched Room/../B"},
	    {"{{nope}}", "Scheduled Recording"},
	    {"a\\b/c", "a/b/c"},
	    {"a<>b:c", "a-b-c"},
	    {"a/\\/b/", "a/b/Scheduled Recording"},
	    {"a/ /b", "a/Scheduled Recording/b"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(track_folder(mem, rows[i][0], &words), rows[i][1], "%s: %s", rows[i][0],
		                 track_folder(mem, rows[i][0], &words));
}

Test(track_plan, tags)
{
	json_object *out = track_tags(mem, parse("[\" a \",\"a\",\"A\",\"\",\"  \",3,null,\"b\"]"));

	cr_expect(json_same(out, parse("[\"a\",\"A\",\"b\"]")), "%s", json_compact(mem, out, NULL));
	cr_expect_eq(json_object_array_length(track_tags(mem, NULL)), 0);
}
