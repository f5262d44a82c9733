/*
 * Files of any size through nginx and TLS (contract 09 D-89; 03 3.7, 3.13): 100 MiB always, 3 GiB and a body of three
 * minutes with RAKKR_TEST_LARGE=1. Bodies are made while they are sent and checked while they arrive, so that neither
 * this program nor, as it shows, the pool holds one in memory.
 */
#include "http/harness.h"
#include "http/pool_memory.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024LL)
#define WAV_HEAD 44
#define POOL_MAX_KB (64 * 1024) /* no process of the pool needs more, whatever the size of a file */

static bool large(void)
{
	const char *wanted = getenv("RAKKR_TEST_LARGE");
	return wanted != NULL && strcmp(wanted, "1") == 0;
}

/* ---- a file that is nowhere -------------------------------------------------------------------------------------- */

struct source {
	int64_t size, sent, received;
	int64_t per_second; /* 0 = as fast as it goes */
	bool wrong;         /* something else came back */
	int64_t offset;     /* of the first byte that is expected back */
	EVP_MD_CTX *sum;
	struct timespec began;
};

static void put_u32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

/* A WAV file of 48 kHz, 16 bits, 2 channels whose samples follow from their place. */
static void make_bytes(const struct source *s, int64_t at, unsigned char *out, size_t n)
{
	unsigned char head[WAV_HEAD] = "RIFF....WAVEfmt \x10\0\0\0\1\0\2\0....\0\xee\2\0\4\0\x10\0data....";
	put_u32(head + 4, (uint32_t)(s->size - 8));
	put_u32(head + 24, 48000);
	put_u32(head + 28, 48000 * 4);
	put_u32(head + 40, (uint32_t)(s->size - WAV_HEAD));
	for (size_t i = 0; i < n; i++, at++)
		out[i] = at < WAV_HEAD ? head[at] : (unsigned char)((at * 31 + (at >> 16) * 7) & 0xff);
}

static void wait_for_turn(struct source *s)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double due = (double)s->sent / (double)s->per_second;
	double passed = (double)(now.tv_sec - s->began.tv_sec) + (double)(now.tv_nsec - s->began.tv_nsec) / 1e9;
	if (due > passed)
		usleep((useconds_t)((due - passed) * 1e6));
}

static size_t send_piece(char *buf, size_t size, size_t count, void *arg)
{
	struct source *s = arg;
	int64_t n = (int64_t)(size * count);
	if (n > s->size - s->sent)
		n = s->size - s->sent;
	if (s->per_second > 0) {
		if (n > s->per_second / 8)
			n = s->per_second / 8;
		wait_for_turn(s);
	}
	make_bytes(s, s->sent, (unsigned char *)buf, (size_t)n);
	EVP_DigestUpdate(s->sum, buf, (size_t)n);
	s->sent += n;
	return (size_t)n;
}

static size_t check_piece(char *buf, size_t size, size_t count, void *arg)
{
	static _Thread_local unsigned char expected[CURL_MAX_WRITE_SIZE];
	struct source *s = arg;
	size_t n = size * count;
	make_bytes(s, s->offset + s->received, expected, n);
	s->wrong |= memcmp(buf, expected, n) != 0;
	s->received += (int64_t)n;
	return n;
}

/* ---- transfers --------------------------------------------------------------------------------------------------- */

struct answer {
	long status;
	char body[4096];
	size_t len;
	double seconds;
};

static size_t keep_start(char *buf, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	size_t n = size * count, room = sizeof(a->body) - 1 - a->len;
	memcpy(a->body + a->len, buf, n < room ? n : room);
	a->len += n < room ? n : room;
	return n;
}

static CURL *transfer(const char *path, const char *token, struct curl_slist **headers)
{
	CURL *curl = curl_easy_init();
	*headers = curl_slist_append(*headers, fmt("Authorization: Bearer %s", token));
	*headers = curl_slist_append(*headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, fmt("%s%s", test_url(), path));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512 * 1024L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512 * 1024L);
	return curl;
}

static void finish(CURL *curl, struct curl_slist *headers, struct answer *a)
{
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &a->seconds);
	if (code != CURLE_OK)
		snprintf(a->body, sizeof(a->body), "%s", curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

static struct answer upload(const struct node *n, const struct take *t, struct source *s)
{
	struct answer a = {0};
	struct curl_slist *headers = curl_slist_append(NULL, "x-rakkr-file-name: long.wav");
	headers = curl_slist_append(headers, fmt("x-rakkr-recording-job-id: %s", t->job_id));
	CURL *curl = transfer(fmt("%s/cache-file", t->recording_path), n->token, &headers);
	s->sum = EVP_MD_CTX_new();
	EVP_DigestInit_ex(s->sum, EVP_sha256(), NULL);
	clock_gettime(CLOCK_MONOTONIC, &s->began);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->size);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, send_piece);
	curl_easy_setopt(curl, CURLOPT_READDATA, s);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_start);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	finish(curl, headers, &a);
	return a;
}

/* range: "44-143", or NULL for the whole file. */
static struct answer download(const char *path, const char *range, struct source *s)
{
	struct answer a = {0};
	struct curl_slist *headers = NULL;
	CURL *curl = transfer(path, admin(), &headers);
	s->received = 0;
	s->offset = range != NULL ? strtoll(range, NULL, 10) : 0;
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, check_piece);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, s);
	if (range != NULL)
		curl_easy_setopt(curl, CURLOPT_RANGE, range);
	finish(curl, headers, &a);
	return a;
}

/* "sha256:..." of what was sent. */
static const char *checksum(struct source *s)
{
	unsigned char digest[32];
	static _Thread_local char text[80];
	int at = snprintf(text, sizeof(text), "sha256:");
	EVP_DigestFinal_ex(s->sum, digest, NULL);
	for (size_t i = 0; i < sizeof(digest); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x", digest[i]);
	return text;
}

/* ---- there and back ---------------------------------------------------------------------------------------------- */

static void there_and_back(int64_t size)
{
	struct node n = enroll_node("Large");
	struct take t = start_recording(&n);
	struct source s = {.size = size};
	char *what = fmt("%lld MiB", (long long)(size / MIB));
	cr_assert_str_eq(claim_next(&n), t.job_id);
	pool_forget_peaks();
	struct answer a = upload(&n, &t, &s);
	cr_assert_eq(a.status, 201, "%s: %ld %s", what, a.status, a.body);
	json_object *reply = json_tokener_parse(a.body);
	cr_expect_str_eq(j_str(reply, "data.recording.checksum"), checksum(&s), "%s", what);
	cr_expect_eq(j_int(reply, "data.file.size"), size);
	cr_expect_str_eq(j_str(reply, "data.file.waveformPreview.source"), "wav_s16le_peak");
	cr_expect_eq(j_int(reply, "data.file.durationSeconds"), (size - WAV_HEAD + 96000) / 192000);

	const char *path = fmt("%s/file", t.recording_path);
	a = download(path, NULL, &s);
	cr_expect(a.status == 200 && s.received == size && !s.wrong, "%s: %ld, %lld bytes%s", what, a.status,
	          (long long)s.received, s.wrong ? ", other ones" : "");
	a = download(path, fmt("%lld-%lld", (long long)(size - 1000), (long long)(size - 1)), &s);
	cr_expect(a.status == 206 && s.received == 1000 && !s.wrong, "%s: end %ld, %lld bytes", what, a.status,
	          (long long)s.received);
	a = download(path, fmt("%lld-", (long long)(size / 3 * 2)), &s); /* what a broken download goes on with */
	cr_expect(a.status == 206 && s.received == size - size / 3 * 2 && !s.wrong, "%s: rest %ld, %lld bytes", what,
	          a.status, (long long)s.received);
	pool_check_peaks(POOL_MAX_KB, what);
	must(del(t.recording_path, admin()), 204);
}

Test(large_files, a_hundred_mebibytes, .timeout = 300)
{
	there_and_back(100 * MIB);
}

Test(large_files, three_gibibytes, .timeout = 1800)
{
	if (!large())
		cr_skip_test("RAKKR_TEST_LARGE=1 sends 3 GiB");
	there_and_back(3 * 1024 * MIB);
}

/* ---- slow bodies ------------------------------------------------------------------------------------------------- */

struct slow {
	struct node node;
	struct take take;
	int64_t size;
	struct answer answer;
	bool right;
};

static void send_slowly(int index, void *arg)
{
	struct slow *w = (struct slow *)arg + index;
	struct source s = {.size = w->size, .per_second = MIB};
	w->answer = upload(&w->node, &w->take, &s);
	json_object *reply = json_tokener_parse(w->answer.body);
	w->right = strcmp(j_str(reply, "data.recording.checksum"), checksum(&s)) == 0;
}

/* Several recorders at 1 MiB/s, more than there are workers, and somebody who wants an answer meanwhile. */
#define SLOW 8

static void send_or_ask(int index, void *arg)
{
	if (index < SLOW) {
		send_slowly(index, arg);
		return;
	}
	for (int i = 0; i < 10; i++) {
		struct response r = get("/api/v1/auth/me", admin());
		cr_expect_eq(r.status, 200);
		cr_expect_lt(r.seconds, 1.0, "slow bodies hold the pool up: %.1f s", r.seconds);
		usleep(200000);
	}
}

Test(large_files, slow_bodies_hold_nobody_up, .timeout = 600)
{
	struct slow work[SLOW];
	int64_t seconds = large() ? 180 : 3;
	admin();
	for (int i = 0; i < SLOW; i++) {
		work[i] = (struct slow){.node = enroll_node("Slow"), .size = seconds * MIB};
		work[i].take = start_recording(&work[i].node);
		cr_assert_str_eq(claim_next(&work[i].node), work[i].take.job_id);
	}
	parallel(SLOW + 1, send_or_ask, work);
	for (int i = 0; i < SLOW; i++) {
		cr_expect_eq(work[i].answer.status, 201, "%ld %s", work[i].answer.status, work[i].answer.body);
		cr_expect(work[i].right);
		cr_expect_gt(work[i].answer.seconds, (double)seconds - 1, "it was not sent slowly");
		must(del(work[i].take.recording_path, admin()), 204);
	}
}

/* Whoever breaks off leaves nothing: no file, no change. */
static size_t break_off(char *buf, size_t size, size_t count, void *arg)
{
	struct source *s = arg;
	return s->sent >= s->size / 2 ? CURL_READFUNC_ABORT : send_piece(buf, size, count, arg);
}

Test(large_files, a_body_that_breaks_off)
{
	struct node n = enroll_node("Broken");
	struct take t = start_recording(&n);
	struct source s = {.size = 20 * MIB, .sum = EVP_MD_CTX_new()};
	struct curl_slist *headers = curl_slist_append(NULL, "x-rakkr-file-name: long.wav");
	struct answer a = {0};
	EVP_DigestInit_ex(s.sum, EVP_sha256(), NULL);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	CURL *curl = transfer(fmt("%s/cache-file", t.recording_path), n.token, &headers);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s.size);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, break_off);
	curl_easy_setopt(curl, CURLOPT_READDATA, &s);
	finish(curl, headers, &a);
	struct response r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "recording");
	cr_expect_not(j_has(r.json, "data.cachePath"));
	s = (struct source){.size = MIB};
	cr_expect_eq(upload(&n, &t, &s).status, 201);
}

/* ---- what browsers ask for --------------------------------------------------------------------------------------- */

static struct take cached(const struct node *n, const char *name, int64_t size)
{
	struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"%s\"}", n->id, name);
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	cr_assert_str_eq(claim_next(n), t.job_id);
	struct source s = {.size = size};
	cr_assert_eq(upload(n, &t, &s).status, 201);
	return t;
}

static struct response ask(const char *method, const char *path, const char *one, const char *two)
{
	const char *const headers[] = {one, two, NULL};
	return http(method, path, admin(), headers, NULL, 0);
}

Test(large_files, conditions)
{
	struct node n = enroll_node("Conditions");
	struct take t = cached(&n, "Plain", 200000);
	static const char *const tails[] = {"file", "stream"};
	for (size_t i = 0; i < 2; i++) {
		const char *path = fmt("%s/%s", t.recording_path, tails[i]);
		struct response r = get(path, admin());
		must(r, 200);
		const char *tag = fmt("%s", header(&r, "ETag")), *modified = fmt("%s", header(&r, "Last-Modified"));
		cr_expect_eq(r.len, 200000);
		cr_expect_str_eq(header(&r, "Accept-Ranges"), "bytes");
		cr_expect_eq(*tag, '"', "a strong tag, or ranges could not be put together: %s", tag);
		const struct {
			const char *one, *two;
			int status;
			size_t len;
		} rows[] = {
		    {fmt("If-None-Match: %s", tag), NULL, 304, 0},
		    {fmt("If-None-Match: \"other\", %s", tag), NULL, 304, 0},
		    {"If-None-Match: *", NULL, 304, 0},
		    {"If-None-Match: \"other\"", NULL, 200, 200000},
		    {fmt("If-Modified-Since: %s", modified), NULL, 304, 0},
		    {"If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT", NULL, 200, 200000},
		    {"If-Match: \"other\"", NULL, 412, 0},
		    {"Range: bytes=0-0", NULL, 206, 1},
		    {"Range: bytes=199990-", NULL, 206, 10},
		    {"Range: bytes=-7", NULL, 206, 7},
		    {"Range: bytes=199999-300000", NULL, 206, 1},
		    {"Range: bytes=200000-", NULL, 416, 0},
		    {"Range: seconds=1-2", NULL, 200, 200000},
		    {"Range: bytes=0-99", fmt("If-Range: %s", tag), 206, 100},
		    {"Range: bytes=0-99", fmt("If-Range: %s", modified), 206, 100},
		    {"Range: bytes=0-99", "If-Range: \"other\"", 200, 200000},
		    {"Range: bytes=0-99", fmt("If-None-Match: %s", tag), 304, 0},
		};
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			r = ask("GET", path, rows[k].one, rows[k].two);
			cr_expect_eq(r.status, rows[k].status, "%s, %s: %d", rows[k].one,
			             rows[k].two ? rows[k].two : "", r.status);
			if (rows[k].len > 0)
				cr_expect_eq(r.len, rows[k].len, "%s: %zu bytes", rows[k].one, r.len);
			struct response h = ask("HEAD", path, rows[k].one, rows[k].two);
			cr_expect_eq(h.status, rows[k].status, "HEAD, %s: %d", rows[k].one, h.status);
			cr_expect_eq(h.len, 0);
			if (rows[k].len > 0)
				cr_expect_str_eq(header(&h, "Content-Length"), header(&r, "Content-Length"));
		}
		r = ask("GET", path, "Range: bytes=0-9,100-109", NULL);
		must(r, 206);
		cr_expect_eq(strncmp(header(&r, "Content-Type"), "multipart/byteranges", 20), 0);
	}
}

Test(large_files, names)
{
	static const struct {
		const char *name, *disposition; /* name as in JSON */
	} rows[] = {
	    {"Site visit", "attachment; filename=\"Site visit.wav\""},
	    {"2026-11-23_22:55_Ad Hoc_Rack/One", "attachment; filename=\"2026-11-23_22_55_Ad Hoc_Rack_One.wav\""},
	    {"a;b=c,d", "attachment; filename=\"a_b_c_d.wav\""},
	    {"../../etc/passwd", "attachment; filename=\".._.._etc_passwd.wav\""},
	    {"\\\"quoted\\\" \\\\ back", "attachment; filename=\"_quoted_ _ back.wav\""},
	    {"\xc3\x9c"
	     "ber 100 %",
	     "attachment; filename=\"_ber 100 _.wav\"; filename*=UTF-8''%C3%9Cber%20100%20%25.wav"},
	    {"\xe4\xbc\x9a\xe8\xad\xb0 1",
	     "attachment; filename=\"__ 1.wav\"; filename*=UTF-8''%E4%BC%9A%E8%AD%B0%201.wav"},
	    {"\xf0\x9f\x8e\xa4", "attachment; filename=\"__.wav\"; filename*=UTF-8''%F0%9F%8E%A4.wav"},
	    {"line\\nfeed", "attachment; filename=\"line_feed.wav\""},
	};
	struct node n = enroll_node("Names");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct take t = cached(&n, rows[i].name, 20000);
		struct response r = ask("HEAD", fmt("%s/file", t.recording_path), NULL, NULL);
		must(r, 200);
		cr_expect_str_eq(header(&r, "Content-Disposition"), rows[i].disposition, "%s: %s", rows[i].name,
		                 header(&r, "Content-Disposition"));
		r = ask("HEAD", fmt("%s/stream", t.recording_path), NULL, NULL);
		cr_expect_str_eq(header(&r, "Content-Disposition"), fmt("inline%s", rows[i].disposition + 10));
	}
}
