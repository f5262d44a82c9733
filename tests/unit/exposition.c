#include "engine/exposition.h"

#include "base/mem.h"
#include "engine/tally.h"

#include <criterion/criterion.h>
#include <math.h>

static void *mem;
static struct buf out;

static void setup(void)
{
	mem = talloc_new(NULL);
	buf_init(&out, mem);
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(exposition, .init = setup, .fini = teardown);

Test(exposition, family)
{
	exposition_family(&out, "rakkr_x", "gauge", "What it is.");
	cr_expect_str_eq(out.data, "# HELP rakkr_x What it is.\n# TYPE rakkr_x gauge\n");
}

static const struct {
	const char *value, *shown;
} labels[] = {
    {"plain", "{l=\"plain\"} 1\n"},
    {"Hall \"A\"", "{l=\"Hall \\\"A\\\"\"} 1\n"},
    {"a\\b", "{l=\"a\\\\b\"} 1\n"},
    {"a\nb", "{l=\"a\\nb\"} 1\n"},
    {"\\n", "{l=\"\\\\n\"} 1\n"},
    {"a\rb\ac\td\x7f", "{l=\"a b c d \"} 1\n"},
    {"\xc3\xa9", "{l=\"\xc3\xa9\"} 1\n"},
    {"{x=\"y\"}", "{l=\"{x=\\\"y\\\"}\"} 1\n"},
    {"", " 1\n"},
    {NULL, " 1\n"},
};

Test(exposition, labels_are_escaped)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		struct exposition_label l = {"l", labels[i].value};

		out.len = 0;
		exposition_count(&out, "m", &l, 1, 1);
		cr_expect_str_eq(out.data + 1, labels[i].shown);
	}
}

Test(exposition, labels_without_value_are_left_out)
{
	const struct exposition_label l[] = {{"a", NULL}, {"b", "1"}, {"c", NULL}, {"d", "2"}};

	exposition_count(&out, "m", l, 4, -3);
	cr_expect_str_eq(out.data, "m{b=\"1\",d=\"2\"} -3\n");
}

static const struct {
	double value;
	const char *shown;
} numbers[] = {
    {0, "m 0\n"},           {-0.0, "m 0\n"},  {1795475375.693, "m 1795475375.693\n"},
    {-18.5, "m -18.5\n"},   {0.1, "m 0.1\n"}, {3600, "m 3600\n"},
    {1e21, "m 1e+21\n"},    {NAN, "m NaN\n"}, {INFINITY, "m NaN\n"},
    {-INFINITY, "m NaN\n"},
};

Test(exposition, numbers)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		out.len = 0;
		exposition_sample(&out, "m", NULL, 0, numbers[i].value);
		cr_expect_str_eq(out.data, numbers[i].shown);
	}
	out.len = 0;
	exposition_count(&out, "m", NULL, 0, INT64_C(9007199254740993));
	cr_expect_str_eq(out.data, "m 9007199254740993\n");
}

/* ---- tallies ----------------------------------------------------------------------------------------------------- */

Test(exposition, tallies_add_up_and_come_in_order)
{
	json_object *t = json_new_object(mem), *other = json_new_object(mem);
	const char *a[] = {"nodes.read", NULL, "allowed"}, *b[] = {"nodes_read", "x", "allowed"};
	const char *odd[] = {"a\037b", "", ""};
	struct tally_row *rows;
	size_t n;

	tally_add(t, b, 3, 2);
	tally_add(t, a, 3, 5);
	tally_add(other, a, 3, INT64_C(5000000000));
	tally_add(other, odd, 3, 1);
	tally_merge(t, other);
	cr_expect_eq(tally_get(t, a, 3), INT64_C(5000000005));
	cr_expect_eq(tally_get(t, a, 2), 0);
	cr_expect_eq(tally_sum(t), INT64_C(5000000008));
	cr_expect_eq(tally_sum(NULL), 0);
	rows = tally_rows(mem, t, &n);
	cr_assert_eq(n, 3);
	cr_expect_str_eq(rows[0].labels[0], "a b", "a separator inside a label must not make two");
	cr_expect_str_eq(rows[1].labels[0], "nodes_read", "the contract's order: _ before .");
	cr_expect_str_eq(rows[2].labels[0], "nodes.read");
	cr_expect_str_eq(rows[2].labels[1], "");
	cr_expect_str_eq(rows[2].labels[2], "allowed");
	cr_expect_str_eq(rows[2].labels[3], "");
	tally_rows(mem, NULL, &n);
	cr_expect_eq(n, 0);
}
