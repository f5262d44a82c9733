/* Live data in shared memory: what several processes, and the death of one at any instant, may do to it. */
#include "store/live.h"

#include "base/clock.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_SIZE 100000

/* A frame whose bytes are all the same: a mixture of two writers shows. */
static int64_t verified_ms;
static void put_uniform(struct live *l, const char *node, int seed, size_t size)
{
	char *frame = malloc(size);
	memset(frame, 'a' + seed % 26, size);
	cr_assert_eq(live_meter_put(l, node, frame, size, seed), ST_OK);
	free(frame);
}

/* True if the node's frame, if there is one, is whole. */
static bool is_uniform(struct live *l, const char *node)
{
	void *mem = talloc_new(NULL);
	char *frame = NULL;
	int64_t received = 0;
	bool good = true;
	if (live_meter_get(l, mem, node, &frame, &received) == ST_OK) {
		size_t n = strlen(frame);
		good = n > 0 && frame[0] == 'a' + (char)(received % 26);
		for (size_t i = 1; i < n && good; i++)
			good = frame[i] == frame[0];
	}
	talloc_free(mem);
	return good;
}

static pid_t start(void (*work)(struct live *l, int seed), struct live *l, int seed)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(l, seed);
	_exit(0);
}

static void kill_after(pid_t pid, useconds_t us)
{
	usleep(us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(live, frames_are_kept_verbatim)
{
	struct live *l = live_create(4);
	void *mem = talloc_new(NULL);
	char *frame = NULL;
	int64_t at = 0;
	cr_assert_eq(live_meter_get(l, mem, "node_1", &frame, &at), ST_NOT_FOUND);
	cr_assert_eq(live_meter_put(l, "node_1", "{\"a\":1}", 7, 1234), ST_OK);
	cr_assert_eq(live_meter_put(l, "node_2", "{\"b\":22}", 8, 1235), ST_OK);
	cr_assert_eq(live_meter_get(l, mem, "node_1", &frame, &at), ST_OK);
	cr_assert_str_eq(frame, "{\"a\":1}");
	cr_assert_eq(at, 1234);
	cr_assert_eq(live_meter_put(l, "node_1", "{}", 2, 1236), ST_OK);
	cr_assert_eq(live_meter_get(l, mem, "node_1", &frame, NULL), ST_OK);
	cr_assert_str_eq(frame, "{}");
	talloc_free(mem);
}

Test(live, sizes_are_bounded)
{
	struct live *l = live_create(1);
	char *big = calloc(1, LIVE_CHUNK_MAX + 1);
	memset(big, 'x', LIVE_CHUNK_MAX + 1);
	cr_assert_eq(live_meter_put(l, "n", big, LIVE_FRAME_MAX, 1), ST_OK);
	cr_assert_eq(live_meter_put(l, "n", big, LIVE_FRAME_MAX + 1, 1), ST_TOO_LARGE);
	struct live_chunk c = {.audio = big, .size = LIVE_CHUNK_MAX, .captured_at = "t"};
	cr_assert_eq(live_chunk_put(l, "n", &c), ST_OK);
	c.size++;
	cr_assert_eq(live_chunk_put(l, "n", &c), ST_TOO_LARGE);
	char id[200];
	memset(id, 'i', sizeof id);
	id[161] = '\0';
	cr_assert_eq(live_meter_put(l, id, "{}", 2, 1), ST_INVALID);
	id[160] = '\0';
	cr_assert_eq(live_meter_put(l, id, "{}", 2, 1), ST_OK);
	cr_assert_eq(live_meter_put(l, "", "{}", 2, 1), ST_INVALID);
	free(big);
}

Test(live, a_chunk_comes_back_with_its_facts)
{
	struct live *l = live_create(4);
	void *mem = talloc_new(NULL);
	char audio[] = "RIFF\0\1\2";
	struct live_chunk in = {.audio = audio,
	                        .size = sizeof audio,
	                        .captured_at = "2026-03-02T09:15:04.131Z",
	                        .duration_ms = 500,
	                        .received_ms = 99};
	struct live_chunk out;
	cr_assert_eq(live_chunk_get(l, mem, "n", &out), ST_NOT_FOUND);
	live_meter_put(l, "n", "{}", 2, 1);
	cr_assert_eq(live_chunk_get(l, mem, "n", &out), ST_NOT_FOUND);
	cr_assert_eq(live_chunk_put(l, "n", &in), ST_OK);
	cr_assert_eq(live_chunk_get(l, mem, "n", &out), ST_OK);
	cr_assert_eq(out.size, sizeof audio);
	cr_assert_eq(memcmp(out.audio, audio, sizeof audio), 0);
	cr_assert_str_eq(out.captured_at, in.captured_at);
	cr_assert_eq(out.duration_ms, 500);
	cr_assert_eq(out.received_ms, 99);
	talloc_free(mem);
}

Test(live, the_least_recently_used_node_makes_room)
{
	struct live *l = live_create(3);
	void *mem = talloc_new(NULL);
	char *frame;
	char id[16];
	live_meter_put(l, "a", "A", 1, 1);
	live_meter_put(l, "b", "B", 1, 1);
	live_meter_put(l, "c", "C", 1, 1);
	cr_assert_eq(live_meter_get(l, mem, "a", &frame, NULL), ST_OK);
	live_meter_put(l, "d", "D", 1, 1);
	cr_assert_eq(live_meter_get(l, mem, "b", &frame, NULL), ST_NOT_FOUND);
	cr_assert_eq(live_meter_get(l, mem, "a", &frame, NULL), ST_OK);
	cr_assert_str_eq(frame, "A");
	cr_assert_eq(live_meter_get(l, mem, "d", &frame, NULL), ST_OK);
	cr_assert_str_eq(frame, "D");
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof id, "n%d", i);
		live_meter_put(l, id, id, strlen(id), i);
		cr_assert_eq(live_meter_get(l, mem, id, &frame, NULL), ST_OK);
		cr_assert_str_eq(frame, id);
	}
	cr_assert_eq(live_meter_get(l, mem, "n996", &frame, NULL), ST_NOT_FOUND);
	cr_assert_eq(live_meter_get(l, mem, "n997", &frame, NULL), ST_OK);
	talloc_free(mem);
}

Test(live, a_new_node_never_sees_the_data_of_the_replaced_one)
{
	struct live *l = live_create(1);
	void *mem = talloc_new(NULL);
	char audio[] = "secret";
	struct live_chunk c = {.audio = audio, .size = sizeof audio};
	char *frame;
	live_meter_put(l, "old", "F", 1, 1);
	live_chunk_put(l, "old", &c);
	live_meter_put(l, "new", "G", 1, 1);
	cr_assert_eq(live_chunk_get(l, mem, "new", &c), ST_NOT_FOUND);
	live_chunk_put(l, "newer", &c);
	cr_assert_eq(live_meter_get(l, mem, "newer", &frame, NULL), ST_NOT_FOUND);
	talloc_free(mem);
}

Test(live, untouched_memory_costs_nothing)
{
	char line[256];
	long kib = -1;
	cr_assert_not_null(live_create(1024));
	FILE *f = fopen("/proc/self/status", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		sscanf(line, "RssShmem: %ld", &kib);
	fclose(f);
	cr_assert(kib >= 0 && kib < 512, "%ld KiB", kib);
}

Test(live, listen_sessions_end_when_nobody_asks)
{
	struct live *l = live_create(1);
	void *mem = talloc_new(NULL);
	json_object *doc = NULL;
	cr_assert_eq(live_listen_put(l, "s1", "{\"nodeId\":\"n\"}", 14), ST_OK);
	cr_assert_eq(live_listen_get(l, mem, "s1", 1, &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "nodeId"), "n");
	for (int i = 0; i < 4; i++) { /* each get renews it */
		usleep(400000);
		cr_assert_eq(live_listen_get(l, mem, "s1", 1, &doc), ST_OK);
	}
	usleep(1100000);
	cr_assert_eq(live_listen_get(l, mem, "s1", 1, &doc), ST_NOT_FOUND);
	cr_assert_eq(live_listen_get(l, mem, "s1", 3600, &doc), ST_NOT_FOUND);
	live_listen_put(l, "s2", "{}", 2);
	cr_assert_eq(live_listen_remove(l, "s2"), ST_OK);
	cr_assert_eq(live_listen_remove(l, "s2"), ST_NOT_FOUND);
	cr_assert_eq(live_listen_get(l, mem, "s2", 300, &doc), ST_NOT_FOUND);
	talloc_free(mem);
}

Test(live, a_hundred_thousand_listen_sessions_stay_bounded)
{
	struct live *l = live_create(1);
	void *mem = talloc_new(NULL);
	json_object *doc = NULL;
	char id[32];
	int there = 0;
	for (int i = 0; i < 100000; i++) {
		snprintf(id, sizeof id, "listen_%d", i);
		cr_assert_eq(live_listen_put(l, id, "{}", 2), ST_OK);
	}
	for (int i = 90000; i < 100000; i++) {
		snprintf(id, sizeof id, "listen_%d", i);
		there += live_listen_get(l, mem, id, 300, &doc) == ST_OK;
	}
	cr_assert_eq(there, 4096);
	talloc_free(mem);
}

Test(live, credentials)
{
	struct live *l = live_create(2);
	char node[161];
	char hash[65];
	cr_assert_not(live_credential_get(l, "h1", node, &verified_ms));
	live_credential_put(l, "h1", "node_a");
	live_credential_put(l, "h2", "node_a");
	live_credential_put(l, "h3", "node_b");
	cr_assert(live_credential_get(l, "h1", node, &verified_ms));
	cr_assert_str_eq(node, "node_a");
	live_credential_put(l, "h3", "node_c"); /* belongs to another node now */
	cr_assert(live_credential_get(l, "h3", node, &verified_ms));
	cr_assert_str_eq(node, "node_c");
	live_credential_forget_node(l, "node_a");
	cr_assert_not(live_credential_get(l, "h1", node, &verified_ms));
	cr_assert_not(live_credential_get(l, "h2", node, &verified_ms));
	cr_assert(live_credential_get(l, "h3", node, &verified_ms));
	for (int i = 0; i < 8; i++) {
		snprintf(hash, sizeof hash, "%064d", i);
		live_credential_put(l, hash, "node_d");
	}
	for (int i = 0; i < 8; i++) {
		snprintf(hash, sizeof hash, "%064d", i);
		cr_assert(live_credential_get(l, hash, node, &verified_ms), "%d", i);
	}
	cr_assert_not(live_credential_get(l, "h3", node, &verified_ms));
}

Test(live, counters)
{
	struct live *l = live_create(1);
	live_count(l, LIVE_REQUESTS, 2);
	live_count(l, LIVE_REQUESTS, 3);
	live_set(l, LIVE_SPOOLED, 7);
	cr_assert_eq(live_read(l, LIVE_REQUESTS), 5);
	cr_assert_eq(live_read(l, LIVE_SPOOLED), 7);
	cr_assert_eq(live_read(l, LIVE_DATABASE_DOWN), 0);
	cr_assert_leq(clock_now_ms() - live_started_ms(l), 5000);
}

/* ---- several processes ------------------------------------------------------------------------------------------- */

static void hammer(struct live *l, int seed)
{
	char id[16];
	char node[161];
	int64_t until = clock_mono_ms() + 1500;
	for (int i = 0; clock_mono_ms() < until; i++) {
		snprintf(id, sizeof id, "n%d", (i * 7 + seed) % 24); /* more nodes than room */
		put_uniform(l, id, i * 4 + seed, 500 + (size_t)(i % 50) * 100);
		if (!is_uniform(l, id))
			_exit(1);
		live_credential_put(l, id, id);
		if (live_credential_get(l, id, node, &verified_ms) && strcmp(node, id) != 0)
			_exit(2);
		if (i % 16 == 0)
			live_credential_forget_node(l, id);
		live_listen_put(l, id, "{}", 2);
		live_listen_remove(l, id);
		live_count(l, LIVE_REQUESTS, 1);
	}
}

Test(live, four_processes_at_once)
{
	struct live *l = live_create(16);
	pid_t pids[4];
	int how;
	for (int i = 0; i < 4; i++)
		pids[i] = start(hammer, l, i);
	for (int i = 0; i < 4; i++) {
		waitpid(pids[i], &how, 0);
		cr_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0, "process %d: %x", i, how);
	}
	cr_assert_gt(live_read(l, LIVE_REQUESTS), 100);
}

static void write_for_ever(struct live *l, int seed)
{
	for (int i = seed;; i++)
		put_uniform(l, "n", i, FRAME_SIZE + (size_t)(i % 10));
}

Test(live, a_writer_killed_inside_leaves_a_whole_frame_or_none, .timeout = 60)
{
	struct live *l = live_create(2);
	int absent = 0;
	for (int i = 0; i < 300; i++) {
		kill_after(start(write_for_ever, l, i), 500 + (useconds_t)(i * 37 % 1500));
		cr_assert(is_uniform(l, "n"), "torn after kill %d", i);
		void *mem = talloc_new(NULL);
		char *frame;
		absent += live_meter_get(l, mem, "n", &frame, NULL) != ST_OK;
		talloc_free(mem);
		put_uniform(l, "n", i, 100);
		cr_assert(is_uniform(l, "n"));
	}
	/* Some of the kills must have hit the inside, or this test shows nothing. */
	cr_assert_gt(absent, 0);
}

/* ---- killed at every instruction --------------------------------------------------------------------------------- */

static void fill(struct live *l, const char *prefix)
{
	char id[16];
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof id, "%s%d", prefix, i);
		cr_assert_eq(live_meter_put(l, id, id, strlen(id), 0), ST_OK);
		live_credential_put(l, id, id);
		cr_assert_eq(live_listen_put(l, id, id, strlen(id)), ST_OK);
	}
}

/* Number of the four nodes and credentials that are there; what is there must be right. */
static int count_right(struct live *l, const char *prefix)
{
	void *mem = talloc_new(NULL);
	int n = 0;
	for (int i = 0; i < 4; i++) {
		char id[16], node[161], *frame;
		snprintf(id, sizeof id, "%s%d", prefix, i);
		if (live_meter_get(l, mem, id, &frame, NULL) == ST_OK) {
			cr_assert_str_eq(frame, id);
			n++;
		}
		if (live_credential_get(l, id, node, &verified_ms)) {
			cr_assert_str_eq(node, id);
			n++;
		}
	}
	talloc_free(mem);
	return n;
}

static void replace_node(struct live *l)
{
	live_meter_put(l, "x1", "x1", 2, 0);
}

static void replace_credential(struct live *l)
{
	live_credential_put(l, "x1", "x1");
}

static void move_credential(struct live *l)
{
	live_credential_forget_node(l, "a1");
	live_credential_put(l, "x1", "x1");
}

static void change_listen(struct live *l)
{
	live_listen_remove(l, "a1");
	live_listen_put(l, "x1", "{}", 2);
}

/* Runs work in a process that is killed after so many instructions; true if it had come to its end by then. */
static bool run_steps(struct live *l, void (*work)(struct live *l), long steps)
{
	int how;
	pid_t pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		raise(SIGSTOP);
		work(l);
		_exit(0);
	}
	waitpid(pid, &how, 0);
	if (WIFEXITED(how))
		cr_skip_test("ptrace is not allowed here");
	while (steps-- > 0 && WIFSTOPPED(how)) {
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
		waitpid(pid, &how, 0);
	}
	if (WIFEXITED(how))
		return true;
	kill(pid, SIGKILL);
	waitpid(pid, &how, 0);
	return false;
}

/* Instructions between two places to be killed at; sanitizers multiply the instructions. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 131
#else
#define STRIDE 17
#endif

static void kill_everywhere(void (*work)(struct live *l))
{
	struct live *l = live_create(4);
	bool ended = false;
	for (long steps = 0; !ended; steps += STRIDE) {
		fill(l, "a");
		ended = run_steps(l, work, steps);
		count_right(l, "a");
		count_right(l, "x");
		fill(l, "b");
		/* 4 nodes fit, 16 credentials fit: all must be found again. */
		cr_assert_eq(count_right(l, "b"), 8, "killed after %ld instructions", steps);
	}
}

Test(live, killed_while_replacing_a_node, .timeout = 120)
{
	kill_everywhere(replace_node);
}

Test(live, killed_while_adding_a_credential, .timeout = 120)
{
	kill_everywhere(replace_credential);
}

Test(live, killed_while_moving_a_credential, .timeout = 120)
{
	kill_everywhere(move_credential);
}

Test(live, killed_while_changing_a_listen_session, .timeout = 120)
{
	kill_everywhere(change_listen);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

#define WINDOW_MS 200

Test(live, attempts_are_counted_in_windows)
{
	struct live *l = live_create(1);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(live_attempt(l, "a", 3, WINDOW_MS), 0);
	int64_t wait_ms = live_attempt(l, "a", 3, WINDOW_MS);
	cr_expect(wait_ms > 0 && wait_ms <= WINDOW_MS, "%lld", (long long)wait_ms);
	cr_expect_eq(live_attempt(l, "b", 3, WINDOW_MS), 0, "keys are apart");
	live_attempt_return(l, "a");
	cr_expect_eq(live_attempt(l, "a", 3, WINDOW_MS), 0);
	cr_expect_gt(live_attempt(l, "a", 3, WINDOW_MS), 0);
	live_attempt_forget(l, "a");
	for (int i = 0; i < 3; i++)
		cr_expect_eq(live_attempt(l, "a", 3, WINDOW_MS), 0);
	cr_expect_gt(live_attempt(l, "a", 3, WINDOW_MS), 0, "what is refused does not prolong");
	usleep((WINDOW_MS + 20) * 1000);
	cr_expect_eq(live_attempt(l, "a", 3, WINDOW_MS), 0);
	live_attempt_return(l, "nothing");
	live_attempt_forget(l, "nothing");
}

/* More keys than are kept: the oldest go, the newest count on. */
Test(live, attempts_of_many_keys)
{
	struct live *l = live_create(1);
	char key[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		cr_assert_eq(live_attempt(l, key, 1, 60000), 0);
	}
	cr_expect_gt(live_attempt(l, key, 1, 60000), 0);
	cr_expect_eq(live_attempt(l, "key 0", 1, 60000), 0, "forgotten");
}

Test(live, costs_are_running_means)
{
	struct live *l = live_create(1);

	cr_expect_eq(live_cost(l, LIVE_COST_SCRYPT), 0);
	live_cost_note(l, LIVE_COST_SCRYPT, 1000);
	cr_expect_eq(live_cost(l, LIVE_COST_SCRYPT), 1000);
	live_cost_note(l, LIVE_COST_SCRYPT, 1800);
	cr_expect_eq(live_cost(l, LIVE_COST_SCRYPT), 1100);
	cr_expect_eq(live_cost(l, LIVE_COST_CURRENT), 0);
}
