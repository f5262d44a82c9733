/* Bodies, texts, numbers and files that no sound client sends: each gets a clear answer, and nothing behind breaks. */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *repeat(const char *text, size_t times)
{
	size_t n = strlen(text);
	char *out = malloc(n * times + 1);
	for (size_t i = 0; i < times; i++)
		memcpy(out + i * n, text, n);
	out[n * times] = '\0';
	return out;
}

/* The instance still answers and still writes its audit log. */
static void still_sound(void)
{
	must(get("/api/v1/auth/me", admin()), 200);
	const char *ghost = fmt("ghost_%p_%d", (void *)&ghost, rand());
	must(get(fmt("/api/v1/nodes/%s", ghost), admin()), 404);
	cr_expect_not_null(audit_find("nodes.detail.read", ghost));
}

static struct response enroll(const char *body, size_t len)
{
	return http("POST", "/api/v1/nodes/enroll", admin(), NULL, body, len);
}

/* 400 with a non-empty issues array whose members have code, path and message. */
static void expect_issues(const struct response *r)
{
	must(*r, 400);
	cr_assert(j_count(r->json, "issues") > 0, "%s: %s", r->asked, r->body);
	cr_expect_str_neq(j_str(r->json, "issues.0.code"), "", "%s", r->body);
	cr_expect_str_neq(j_str(r->json, "issues.0.message"), "", "%s", r->body);
	cr_expect(j_has(r->json, "issues.0.path"), "%s", r->body);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

Test(bad_input, text_that_is_no_json_counts_as_an_empty_object)
{
	static const char *const bodies[] = {
	    "",
	    "{\"alias\":\"x\"",
	    "{\"alias\":\"x\",}",
	    "{'alias':'x'}",
	    "nonsense",
	    "{} {}",
	    "{\"alias\":NaN}",
	    "{\"alias\":Infinity}",
	    "{\"alias\":\"\xff\xfe\"}",
	    "{\"alias\":\"\xc0\xaf\"}",
	    "{\"a\":01}",
	    "{\"alias\":\"\x01\"}",
	    "{\"alias\":\"\xed\xa0\x80\"}",
	    "/* */{}",
	    "\xef\xbb\xbf{}",
	};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = enroll(bodies[i], strlen(bodies[i]));
		expect_issues(&r);
		cr_expect_str_eq(j_str(r.json, "issues.0.message"),
		                 "Invalid input: expected string, received undefined", "%s: %s", bodies[i], r.body);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid node enrollment");
	}
	still_sound();
}

Test(bad_input, json_that_is_no_object)
{
	static const char *const bodies[][2] = {
	    {"null", "null"}, {"[]", "array"}, {"7", "number"}, {"\"x\"", "string"}, {"true", "boolean"}};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = enroll(bodies[i][0], strlen(bodies[i][0]));
		must(r, 400);
		cr_expect_eq(j_count(r.json, "issues"), 1, "%s", r.body);
		cr_expect_eq(j_count(r.json, "issues.0.path"), 0);
		cr_expect_str_eq(j_str(r.json, "issues.0.message"),
		                 fmt("Invalid input: expected object, received %s", bodies[i][1]));
	}
}

Test(bad_input, nesting_beyond_measure)
{
	char *open = repeat("[", 100000), *close = repeat("]", 100000);
	char *body = fmt("{\"alias\":%s%s}", open, close);
	struct response r = enroll(body, strlen(body));
	expect_issues(&r);
	body = fmt("{\"alias\":%s", repeat("{\"a\":", 100000));
	r = enroll(body, strlen(body));
	expect_issues(&r);
	still_sound();
}

Test(bad_input, a_body_over_the_limit)
{
	char *body = fmt("{\"alias\":\"%s\"}", repeat("x", 5 << 20));
	struct response r = enroll(body, strlen(body));
	must(r, 413);
	r = http("POST", "/api/v1/auth/login", NULL, NULL, body, strlen(body));
	must(r, 413);
	still_sound();
}

Test(bad_input, the_last_of_duplicate_keys_wins)
{
	struct node n = enroll_node("Twice");
	struct response r = patch(n.path, admin(), "{\"alias\":\"First\",\"alias\":\"Second\"}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Second");
}

Test(bad_input, wrong_types_and_unknown_keys)
{
	static const struct {
		const char *body, *path, *code;
	} bodies[] = {
	    {"{\"alias\":5}", "alias", "invalid_type"},
	    {"{\"alias\":null}", "alias", "invalid_type"},
	    {"{\"alias\":{}}", "alias", "invalid_type"},
	    {"{\"alias\":\"\"}", "alias", "too_small"},
	    {"{\"alias\":\" \\u3000 \"}", "alias", "too_small"},
	    {"{\"alias\":\"a\\u0000b\"}", "alias", "custom"},
	    {"{\"tags\":\"x\"}", "tags", "invalid_type"},
	    {"{\"tags\":[1]}", "tags", "invalid_type"},
	    {"{\"location\":[]}", "location", "invalid_type"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":0}}", "recordingCapacity", "too_small"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":-9007199254740993}}", "recordingCapacity",
	     "too_small"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":1.5}}", "recordingCapacity", "invalid_type"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":1e999}}", "recordingCapacity", "invalid_type"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":\"2\"}}", "recordingCapacity", "invalid_type"},
	    {"{\"recordingCapacity\":{\"maxConcurrentRecordings\":1e30}}", "recordingCapacity", "too_big"},
	};
	struct node n = enroll_node("Types");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response r = patch(n.path, admin(), "%s", bodies[i].body);
		expect_issues(&r);
		cr_expect_str_eq(j_str(r.json, "issues.0.path.0"), bodies[i].path, "%s: %s", bodies[i].body, r.body);
		cr_expect_str_eq(j_str(r.json, "issues.0.code"), bodies[i].code, "%s: %s", bodies[i].body, r.body);
	}
	struct response r = patch(n.path, admin(), "{\"status\":\"online\",\"x\":1}");
	expect_issues(&r);
	cr_expect_str_eq(j_str(r.json, "issues.0.message"), "Unrecognized keys: \"status\", \"x\"");
	r = get(n.path, admin());
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Types");
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Every text of an enrollment at its limit, in characters of two bytes and in surrogate pairs, and one over it. */
Test(bad_input, text_at_and_over_the_width_of_its_column)
{
	static const struct {
		const char *body; /* %s is the text */
		size_t limit;
	} fields[] = {
	    {"{\"alias\":\"%s\"}", 160},
	    {"{\"hostname\":\"%s\"}", 255},
	    {"{\"ipAddresses\":[\"%s\"]}", 120},
	    {"{\"location\":{\"site\":\"%s\"}}", 160},
	    {"{\"location\":{\"room\":\"%s\"}}", 160},
	    {"{\"location\":{\"building\":\"%s\"}}", 120},
	    {"{\"location\":{\"floor\":\"%s\"}}", 80},
	    {"{\"notes\":\"%s\"}", 2000},
	    {"{\"tags\":[\"%s\"]}", 48},
	};
	struct node n = enroll_node("Widths");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		char *wide = fmt(fields[i].body, repeat("é", fields[i].limit));
		char *pairs = fmt(fields[i].body, repeat("\U0001F3A4", fields[i].limit / 2));
		char *over = fmt(fields[i].body, repeat("é", fields[i].limit + 1));
#pragma GCC diagnostic pop
		must(patch(n.path, admin(), "%s", wide), 200);
		must(patch(n.path, admin(), "%s", pairs), 200);
		struct response r = patch(n.path, admin(), "%s", over);
		expect_issues(&r);
		cr_expect_str_eq(j_str(r.json, "issues.0.code"), "too_big", "%s", fields[i].body);
		cr_expect_eq(j_int(r.json, "issues.0.maximum"), (int64_t)fields[i].limit);
	}
	still_sound();
}

Test(bad_input, a_name_wider_than_the_audit_columns)
{
	struct node n = enroll_node("Long name");
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"%s\"}", n.id, repeat("ü", 240));
	must(r, 202);
	const char *id = j_str(r.json, "data.id");
	must(get(fmt("/api/v1/recordings/%s", id), admin()), 200);
	cr_expect_not_null(audit_find("recordings.detail.read.succeeded", id));
	must(post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"%s\"}", n.id, repeat("ü", 241)), 400);
	must(get(fmt("/api/v1/nodes/%s", repeat("n", 200)), admin()), 404);
	must(get(fmt("/api/v1/nodes/%s", repeat("n", 200)), NULL), 401);
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s@example.org\",\"password\":\"x\"}", repeat("e", 433)),
	     401);
	const char *const proxies[] = {fmt("X-Forwarded-For: %s203.0.113.9", repeat("203.0.113.10, ", 12)), NULL};
	const char *body = "{\"email\":\"nobody@example.org\",\"password\":\"x\"}";
	must(http("POST", "/api/v1/auth/login", NULL, proxies, body, strlen(body)), 401);
	still_sound();
}

Test(bad_input, nul_and_surrogates_in_free_objects)
{
	struct node n = enroll_node("Surrogates");
	const char *path = fmt("%s/health-events", n.path);
	must(post(path, n.token, "{\"type\":\"agent.x\",\"severity\":\"info\",\"details\":{\"a\":\"x\\u0000y\"}}"),
	     201);
	must(post(path, n.token, "{\"type\":\"agent.x\",\"severity\":\"info\",\"details\":{\"a\":\"\\ud800\"}}"), 201);
	must(post(path, n.token, "{\"type\":\"agent.x\",\"severity\":\"info\",\"details\":{\"a\":\"after\"}}"), 201);
	struct response r = patch(n.path, admin(), "{\"alias\":\"a\\ud800b\"}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.alias"), "a\xef\xbf\xbd"
	                                              "b");
	still_sound();
}

/* A key with U+0000 in it is a key of its own, not the known one that it begins with. */
Test(bad_input, nul_in_keys)
{
	struct node n = enroll_node("Keys");
	const char *path = fmt("%s/health-events", n.path);
	struct response r = patch(n.path, admin(), "{\"alias\" : \"A\",\"tags\\u0000\" : [\"x\"]}");

	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "issues.0.code"), "unrecognized_keys", "%s", r.body);
	r = patch(n.path, admin(), "{\"alias\\u0000\":\"\\\\u0000\"}");
	must(r, 400);
	r = post(path, n.token,
	         "{\"type\":\"agent.x\",\"severity\":\"info\",\"details\":{\"a\":1,\"a\\u0000\":2,\"\\\\u0000\":3}}");
	must(r, 201);
	cr_expect_eq(j_int(r.json, "data.details.a"), 1, "%s", r.body);
	cr_expect_eq(j_int(r.json, "data.details.a\xef\xbf\xbd"), 2, "%s", r.body);
	cr_expect_eq(j_int(r.json, "data.details.\\u0000"), 3, "%s", r.body);
	still_sound();
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

Test(bad_input, meter_frames_with_impossible_numbers)
{
	static const char *const levels[] = {
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":1e999,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-1e999,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":NaN,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-160.1,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":24.01}",
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":\"-15\",\"rmsDbfs\":-30}",
	    "{\"channelIndex\":0,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1.5,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":-9223372036854775809,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":-"
	    "30}",
	    "{\"channelIndex\":1e300,\"clipping\":false,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":-30}",
	    "{\"channelIndex\":1,\"clipping\":0,\"label\":\"1\",\"peakDbfs\":-15,\"rmsDbfs\":-30}",
	};
	struct node n = enroll_node("Numbers");
	const char *path = fmt("%s/meter-frame", n.path);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct response r = post(
		    path, n.token, "{\"capturedAt\":\"now\",\"interfaceId\":\"i\",\"nodeId\":\"%s\",\"levels\":[%s]}",
		    n.id, levels[i]);
		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid meter frame");
		cr_expect(j_count(r.json, "issues") > 0);
	}
	must(get(fmt("%s/meters", n.path), admin()), 409);
}

Test(bad_input, meter_frames_of_any_size)
{
	struct node n = enroll_node("Frames");
	const char *path = fmt("%s/meter-frame", n.path);
	const char *level =
	    "{\"channelIndex\":1,\"clipping\":false,\"label\":\"Input 1\",\"peakDbfs\":-15,\"rmsDbfs\":-30},";
	for (int over = 0; over < 2; over++) {
		char *levels = repeat(level, 512 + (size_t)over);
		levels[strlen(levels) - 1] = '\0';
		must(post(path, n.token,
		          "{\"capturedAt\":\"now\",\"interfaceId\":\"i\",\"nodeId\":\"%s\",\"levels\":[%s]}", n.id,
		          levels),
		     over ? 400 : 202);
	}
	struct response r = get(fmt("%s/meters", n.path), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data.levels"), 512);
	must(post(path, n.token, "{\"capturedAt\":\"now\",\"interfaceId\":\"i\",\"nodeId\":\"other\",\"levels\":[]}"),
	     403);
}

Test(bad_input, numbers_in_queries)
{
	static const struct {
		const char *query;
		int status;
		size_t issues;
	} queries[] = {
	    {"limit=1e2", 200, 0},
	    {"limit=0x10", 200, 0},
	    {"limit=%20%207%20", 200, 0},
	    {"limit=", 200, 0},
	    {"limit=2&limit=abc", 200, 0},
	    {"limit=5&offset=9007199254740991", 200, 0},
	    {"limit=abc", 400, 1},
	    {"limit=1.5", 400, 1},
	    {"limit=0", 400, 1},
	    {"limit=201", 400, 1},
	    {"limit=-3", 400, 2},
	    {"limit=NaN", 400, 1},
	    {"limit=Infinity", 400, 1},
	    {"limit=1e999", 400, 1},
	    {"limit=1_0", 400, 1},
	    {"offset=-1", 400, 1},
	    {"offset=1e300", 400, 1},
	    {"recordedFrom=2026-13-01", 400, 1},
	    {"recordedFrom=%2B275000-01-01T00:00:00Z", 400, 1},
	    {"recordedFrom=2026", 200, 0},
	    {"status=nope", 400, 1},
	    {"limit=abc&offset=abc", 400, 2},
	    {"search=%ff%fe", 200, 0},
	    {"search=%25_%5c", 200, 0},
	    {"sortBy=name&sortOrder=down", 400, 1},
	};
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct response r = get(fmt("/api/v1/recordings?%s", queries[i].query), admin());
		must(r, queries[i].status);
		cr_expect_eq(j_count(r.json, "issues"), queries[i].issues, "%s: %s", queries[i].query, r.body);
	}
	struct response r = get("/api/v1/recordings?limit=5&offset=9007199254740991", admin());
	cr_expect_eq(j_count(r.json, "data"), 0);
	cr_expect(j_true(r.json, "meta.hasPreviousPage"));
	must(get("/api/v1/audit-events?from=%2B275000-01-01T00:00:00Z", admin()), 400);
	still_sound();
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static struct response upload(const struct node *n, const struct take *t, const char *extra, const void *data,
                              size_t len)
{
	const char *const headers[] = {"Content-Type: audio/wav", "x-rakkr-file-name: x.wav", extra, NULL};
	return http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, data, len);
}

Test(bad_input, audio_that_lies_about_itself)
{
	struct node n = enroll_node("Liar");
	struct take t = start_recording(&n);
	struct blob honest = wav(2, 16000, 2);
	static const struct {
		size_t at, count;
		unsigned char value;
		int seconds; /* -1: the file is taken, but nothing is known about it */
	} lies[] = {
	    {40, 4, 0xff, 2},                     /* data length of a stream that was never closed */
	    {4, 4, 0xff, 2},                      /* RIFF length: nobody reads it */
	    {4, 4, 0x00, 2},   {40, 4, 0x00, -1}, /* no data at all */
	    {16, 4, 0xff, -1},                    /* a format chunk longer than the file */
	    {22, 2, 0x00, -1},                    /* no channels */
	    {24, 4, 0x00, -1},                    /* no sample rate */
	    {0, 4, 'x', -1},                      /* no WAV file */
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct blob file = {malloc(honest.len), honest.len};
		memcpy(file.data, honest.data, honest.len);
		memset(file.data + lies[i].at, lies[i].value, lies[i].count);
		struct response r = upload(&n, &t, NULL, file.data, file.len);
		must(r, 201);
		cr_expect_eq(j_int(r.json, "data.file.size"), (int64_t)file.len);
		if (lies[i].seconds >= 0)
			cr_expect_eq(j_int(r.json, "data.file.durationSeconds"), lies[i].seconds, "lie %zu: %s", i,
			             r.body);
	}
	must(upload(&n, &t, NULL, "R", 1), 201);
	struct response r = upload(&n, &t, NULL, "", 0);
	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "error"), "Recording cache file cannot be empty");
	still_sound();
}

Test(bad_input, duration_headers)
{
	static const char *const good[][2] = {{"1e3", "1000"}, {"0x10", "16"}, {"1.5", "2"}, {"0", "0"}, {" 7 ", "7"}};
	static const char *const bad[] = {"abc", "-1", "1e999", "NaN", "Infinity", "1;2"};
	struct node n = enroll_node("Durations");
	struct take t = start_recording(&n);
	struct blob file = wav(1, 8000, 1);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		file = wav(1, 8000, 1 + 0.1 * (double)i); /* the same bytes again would change nothing */
		struct response r =
		    upload(&n, &t, fmt("x-rakkr-duration-seconds: %s", good[i][0]), file.data, file.len);
		must(r, 201);
		cr_expect_eq(j_int(r.json, "data.file.durationSeconds"), atoi(good[i][1]), "%s: %s", good[i][0],
		             r.body);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct response r = upload(&n, &t, fmt("x-rakkr-duration-seconds: %s", bad[i]), file.data, file.len);
		must(r, 400);
		cr_expect_str_eq(j_str(r.json, "error"), "Invalid x-rakkr-duration-seconds header");
	}
}

Test(bad_input, file_names_only_give_an_extension)
{
	static const char *const names[][2] = {{"../../../etc/x.wav", ".wav"},
	                                       {"a.b.FLAC", ".flac"},
	                                       {".wav", ".wav"},
	                                       {"x.mp3/", ".mp3"},
	                                       {"x.exe", ".wav"},
	                                       {"%2e%2e%2fx", ".wav"}};
	struct node n = enroll_node("Names");
	struct take t = start_recording(&n);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct blob file = wav(1, 8000, 1 + 0.1 * (double)i);
		const char *const headers[] = {"Content-Type: audio/wav", fmt("x-rakkr-file-name: %s", names[i][0]),
		                               NULL};
		struct response r =
		    http("PUT", fmt("%s/cache-file", t.recording_path), n.token, headers, file.data, file.len);
		must(r, 201);
		cr_expect_str_eq(j_str(r.json, "data.file.cachePath"), fmt("ad-hoc/%s%s", t.recording_id, names[i][1]),
		                 "%s", names[i][0]);
	}
}

Test(bad_input, an_upload_that_breaks_off)
{
	struct node n = enroll_node("Cut");
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	struct raw *c = raw_open();
	char *head =
	    fmt("PUT %s/cache-file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: audio/wav\r\n"
	        "x-rakkr-file-name: x.wav\r\nContent-Length: 1000000\r\n\r\n",
	        t.recording_path, n.token);
	cr_assert(raw_send(c, head, strlen(head)));
	cr_assert(raw_send(c, repeat("x", 50000), 50000));
	raw_close(c);
	struct response r = get(t.recording_path, admin());
	must(r, 200);
	cr_expect_not(j_true(r.json, "data.cached"));
	r = get(t.job_path, n.token);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running");
	struct blob file = wav(1, 8000, 1);
	must(upload(&n, &t, NULL, file.data, file.len), 201);
}

Test(bad_input, an_upload_without_a_length)
{
	struct node n = enroll_node("Chunked");
	struct take t = start_recording(&n);
	struct blob file = wav(2, 48000, 4);
	struct response r = upload(&n, &t, "Transfer-Encoding: chunked", file.data, file.len);
	must(r, 201);
	cr_expect_str_eq(j_str(r.json, "data.file.checksum"), fmt("sha256:%s", sha256(file.data, file.len)));
}
