/* Unit tests of base/: text, clock, JSON, tokens, configuration, and of the request-target decoding. */
#include "base/clock.h"
#include "base/config.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/uri.h"

#include <criterion/criterion.h>
#include <stdlib.h>
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

TestSuite(base, .init = setup, .fini = teardown);

Test(base, utf8_is_checked)
{
	static const struct {
		const char *bytes;
		bool valid;
	} cases[] = {
	    {"plain", true},     {"\xc3\xa9", true},      {"\xf0\x9f\x8e\x99", true},
	    {"\xc0\x80", false}, {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false},
	    {"\xe2\x82", false}, {"\xff", false},         {"\xe0\x80\x80", false},
	    {"a\x80", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(text_valid_utf8(cases[i].bytes, strlen(cases[i].bytes)), cases[i].valid, "case %zu", i);
}

Test(base, lengths_count_utf16_units)
{
	cr_assert_eq(text_utf16_len("abc"), 3);
	cr_assert_eq(text_utf16_len("\xc3\xa9"), 1);
	cr_assert_eq(text_utf16_len("\xf0\x9f\x8e\x99"), 2);
}

Test(base, trim_removes_ecmascript_space_only)
{
	cr_assert_str_eq(text_trim(mem, " \t\xc2\xa0x\xef\xbb\xbf\xe2\x80\xa8"), "x");
	cr_assert_str_eq(text_trim(mem, "\xc2\x85x"), "\xc2\x85x", "U+0085 is no ECMAScript space");
	cr_assert_str_eq(text_trim(mem, "   "), "");
	cr_assert(text_blank("\xe3\x80\x80"));
	cr_assert(text_blank(NULL));
	cr_assert(!text_blank(" a "));
}

Test(base, cut_keeps_characters_whole)
{
	cr_assert_str_eq(text_cut(mem, "a\xc3\xa9\xf0\x9f\x8e\x99z", 3), "a\xc3\xa9\xf0\x9f\x8e\x99");
	cr_assert_str_eq(text_cut(mem, "abc", 10), "abc");
	cr_assert_str_eq(text_cut(mem, "abc", 0), "");
}

Test(base, case_folding_is_unicode)
{
	cr_assert(text_contains_ci("Sitzung \"\xc3\x96"
	                           "ffentlich\"",
	                           "\xc3\xb6"
	                           "FF"));
	cr_assert(text_contains_ci("anything", ""));
	cr_assert(!text_contains_ci("a_b", "a%b"));
	cr_assert(text_equal_ci("\xc3\x89t\xc3\xa9", "\xc3\xa9T\xc3\x89"));
}

Test(base, collation_is_the_contracts_order)
{
	/* contract 07 0, "Locale sort" */
	static const char *const sorted[] = {" z", "_x",       "-q", "1",           "10",
	                                     "9",  "a",        "A",  "b",           "B",
	                                     "e",  "\xc3\xa9", "f",  "stub upload", "Stub Upload Queue"};

	for (size_t i = 0; i + 1 < sizeof(sorted) / sizeof(sorted[0]); i++)
		cr_assert_lt(text_collate(sorted[i], sorted[i + 1]), 0, "%s < %s", sorted[i], sorted[i + 1]);
}

Test(base, uuid_form)
{
	cr_assert(text_is_uuid("00000000-0000-4000-8000-000000000001"));
	cr_assert(text_is_uuid("ABCDEF00-0000-0000-0000-00000000000f"));
	cr_assert(!text_is_uuid("00000000-0000-4000-8000-00000000000"));
	cr_assert(!text_is_uuid("00000000-0000-4000-8000-0000000000011"));
	cr_assert(!text_is_uuid("g0000000-0000-4000-8000-000000000001"));
}

Test(base, iso_times)
{
	char iso[CLOCK_ISO_SIZE];
	int64_t ms = 0;

	cr_assert_str_eq(clock_iso(iso, 0), "1970-01-01T00:00:00.000Z");
	cr_assert_str_eq(clock_iso(iso, 1750000000000), "2025-06-15T15:06:40.000Z");
	cr_assert_str_eq(clock_iso(iso, -1), "1969-12-31T23:59:59.999Z");
	cr_assert(clock_parse("2031-01-01T10:00Z", CLOCK_ISO_OFFSET, &ms));
	cr_assert(clock_parse("2031-01-01T10:00:00+02:00", CLOCK_ISO_OFFSET, &ms));
	cr_assert_str_eq(clock_iso(iso, ms), "2031-01-01T08:00:00.000Z");
	cr_assert(clock_parse("2026-09-01T10:00:00.123456789Z", CLOCK_ISO_Z, &ms));
	cr_assert_str_eq(clock_iso(iso, ms), "2026-09-01T10:00:00.123Z");
	cr_assert(clock_parse(" 2026-02 ", CLOCK_LENIENT, &ms));
	cr_assert_str_eq(clock_iso(iso, ms), "2026-02-01T00:00:00.000Z");
	cr_assert(clock_parse("2026-02-03T04:05", CLOCK_LENIENT, &ms));
	cr_assert_str_eq(clock_iso(iso, ms), "2026-02-03T04:05:00.000Z");
	cr_assert(clock_parse_pg("2026-06-20 09:15:04.129999+00", &ms));
	cr_assert_str_eq(clock_iso(iso, ms), "2026-06-20T09:15:04.129Z");
}

Test(base, iso_times_refused)
{
	static const char *const strict[] = {
	    "2031-01-01",           "2031-01-01T10:00:00 02:00", "2031-01-01T10:00:00+0200", "2031-01-01t10:00:00Z",
	    "2031-01-01T10:00:00z", "2031-02-30T10:00Z",         "2031-01-01T24:00Z",        "",
	    "2031-01-01T10:00",     "0000-01-01T00:00Z",         "2031-01-01T10:00Zx",       "+275000-01-01T00:00:00Z",
	    "2031-01-01T10:60Z"};
	int64_t ms = 7;

	for (size_t i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		cr_assert(!clock_parse(strict[i], CLOCK_ISO_OFFSET, &ms), "%s", strict[i]);
	cr_assert(!clock_parse("2031-01-01T10:00+02:00", CLOCK_ISO_Z, &ms));
	cr_assert(!clock_parse("abc", CLOCK_LENIENT, &ms));
	cr_assert_eq(ms, 7, "left alone");
}

Test(base, json_is_parsed_strictly)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
	    {"{}", true},          {" [1,2] \n", true},    {"null", true},
	    {"12", true},          {"\"x\"", true},        {"", false},
	    {"{", false},          {"{}x", false},         {"{'a':1}", false},
	    {"[1,]", false},       {"NaN", false},         {"[NaN]", false},
	    {"[Infinity]", false}, {"[-Infinity]", false}, {"1e999", true},
	    {"/* c */ {}", false}, {"\"\xff\"", false},    {"tru", false},
	    {"01", false},         {"1.", false},          {"-", false},
	    {".5", false},         {"[\"a\tb\"]", false},  {"{\"a\":{}}", true},
	    {"[[],{}]", true},     {"{\"a\"}", false},     {"{,}", false},
	    {"[1 2]", false},      {"\"\\ud800\"", true},
	};
	json_object *o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(json_parse(mem, cases[i].text, strlen(cases[i].text), &o), cases[i].ok, "%s",
		             cases[i].text);
}

Test(base, json_depth_is_limited)
{
	char deep[200001];
	json_object *o;

	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	cr_assert(!json_parse(mem, deep, 200000, &o));
	memset(deep + 400, ']', 400);
	cr_assert(json_parse(mem, deep, 0, &o) == false);
	memset(deep, '[', 400);
	cr_assert(json_parse(mem, deep, 800, &o));
}

Test(base, json_prints_numbers_like_javascript)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = {{2.0, "2"},
	             {-0.0, "0"},
	             {0.1, "0.1"},
	             {0.063, "0.063"},
	             {1e21, "1e+21"},
	             {1e-7, "1e-7"},
	             {1e-6, "0.000001"},
	             {123456789012345680000.0, "123456789012345680000"},
	             {0.23000000417232513, "0.23000000417232513"},
	             {-31.6, "-31.6"},
	             {1.5e300, "1.5e+300"},
	             {5e-324, "5e-324"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *o = json_own(mem, json_object_new_double(cases[i].v));

		cr_assert_str_eq(json_compact(mem, o, NULL), cases[i].text);
	}
}

Test(base, json_round_trip_and_layout)
{
	const char *text = "{\"a\":[],\"b\":{},\"c\":[1,{\"d\":\"\\u00e9\\n\\u0001\"}],\"a\":[true,null]}";
	json_object *o;

	cr_assert(json_parse(mem, text, strlen(text), &o));
	cr_assert_str_eq(json_compact(mem, o, NULL),
	                 "{\"a\":[true,null],\"b\":{},\"c\":[1,{\"d\":\"\xc3\xa9\\n\\u0001\"}]}");
	cr_assert(json_parse(mem, "{\"x\":[],\"y\":{\"z\":1}}x", 21, &o) == false);
	cr_assert(json_parse(mem, "{\"x\":[],\"y\":{\"z\":1}}", 20, &o));
	cr_assert_str_eq(json_pretty(mem, o, NULL), "{\n  \"x\": [],\n  \"y\": {\n    \"z\": 1\n  }\n}\n");
}

Test(base, json_equality_ignores_key_order_only)
{
	json_object *a, *b, *c;

	json_parse(mem, "{\"x\":2,\"y\":[1,2]}", 17, &a);
	json_parse(mem, "{\"y\":[1,2.0],\"x\":2}", 19, &b);
	json_parse(mem, "{\"y\":[2,1],\"x\":2}", 17, &c);
	cr_assert(json_same(a, b));
	cr_assert(!json_same(a, c));
}

Test(base, token_vectors)
{
	char hash[SHA256_HEX_SIZE];
	const char *user = "rakkr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	const char *node = "rakkr_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	char *token = crypto_token(mem, "rakkr_");

	crypto_sha256_hex(hash, user, strlen(user));
	cr_assert_str_eq(hash, "4174cdba66be73c86cb5e2410a874fc3ca5a9f2095ba6b25e72061cb1356c9ed");
	crypto_sha256_hex(hash, node, strlen(node));
	cr_assert_str_eq(hash, "388272d68c0af0147121edab29298d6e17c9f3e8a51ea12c0ccccd9d3340a6c8");
	cr_assert_eq(strlen(token), 49);
	cr_assert(crypto_equal("a", "a"));
	cr_assert(!crypto_equal("a", "ab"));
}

Test(base, uuid_v7_is_strictly_increasing)
{
	char last[UUID_SIZE] = "", next[UUID_SIZE];

	for (int i = 0; i < 10000; i++) {
		uuid_v7(next, 1750000000000 + i / 5000);
		cr_assert(text_is_uuid(next));
		cr_assert_lt(strcmp(last, next), 0);
		memcpy(last, next, sizeof(last));
	}
}

Test(base, targets_are_decoded_like_the_contract_says)
{
	static const struct {
		const char *in, *keep, *full;
	} cases[] = {
	    {"a%2Fb", "a%2Fb", "a/b"},
	    {"a%20b", "a b", "a b"},
	    {"%25", "%25", "%"},
	    {"%zz", "%zz", "%zz"},
	    {"%ff", "%ff", "%ff"},
	    {"%C3%A9", "\xc3\xa9", "\xc3\xa9"},
	    {"x%00y", "x\xef\xbf\xbdy", "x\xef\xbf\xbdy"},
	    {"a+b", "a+b", "a+b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_str_eq(uri_decode(mem, cases[i].in, strlen(cases[i].in), true), cases[i].keep);
		cr_assert_str_eq(uri_decode(mem, cases[i].in, strlen(cases[i].in), false), cases[i].full);
	}
}

Test(base, queries_take_the_first_value)
{
	json_object *q = uri_query(mem, "a=1&a=2&b&=x&c=a+b%2Bc&&d=");

	cr_assert_str_eq(json_compact(mem, q, NULL), "{\"a\":\"1\",\"b\":\"\",\"c\":\"a b+c\",\"d\":\"\"}");
}

Test(base, configuration_falls_back_on_bad_numbers)
{
	static const char *const bad[] = {"abc", "-1", "1e9x", "", "99999999999999999999"};
	struct config *c = config_defaults(mem);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config_set(c, CFG_JOB_LEASE_SECONDS, bad[i]);
		cr_assert_eq(config_int(c, CFG_JOB_LEASE_SECONDS), 30, "%s", bad[i]);
	}
	config_set(c, CFG_JOB_LEASE_SECONDS, "45");
	cr_assert_eq(config_int(c, CFG_JOB_LEASE_SECONDS), 45);
	config_set(c, CFG_MAX_UPLOAD_BYTES, "8589934593");
	cr_assert_eq(config_int(c, CFG_MAX_UPLOAD_BYTES), 8589934593LL);
	config_set(c, CFG_SEED_DEMO_DATA, "0");
	cr_assert(!config_on(c, CFG_SEED_DEMO_DATA));
	config_set(c, CFG_SEED_DEMO_DATA, "no");
	cr_assert(config_on(c, CFG_SEED_DEMO_DATA));
	config_set(c, CFG_DATABASE_URL, "");
	cr_assert_null(config_str(c, CFG_DATABASE_URL));
}
