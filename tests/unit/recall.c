/* What was last known: a ring in shared memory, compared with a plain model of it; changes; the death of a writer. */
#include "store/recall.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct recall_key key_of(unsigned n)
{
	struct recall_key k;

	for (size_t i = 0; i < sizeof(k.bytes); i++)
		k.bytes[i] = (unsigned char)((n * 2654435761u) >> (8 * (i % 4)));
	memcpy(k.bytes + 8, &n, sizeof(n));
	return k;
}

static void keep(struct recall *r, unsigned n, const char *text, int64_t ms)
{
	struct recall_key k = key_of(n);

	recall_put(r, &k, &(struct recall_note){.topics = 1, .asked = recall_clock(r), .owner = n % 3, .mono_ms = ms},
	           text, strlen(text));
}

/* The text of n, NULL if it is not known since then. */
static const char *known(struct recall *r, const void *ctx, unsigned n, int64_t since_ms)
{
	struct recall_key k = key_of(n);
	int64_t ms;
	char *data;
	size_t len;

	if (!recall_get(r, ctx, &k, since_ms, &data, &len, &ms))
		return NULL;
	cr_expect_eq(data[len], '\0');
	return data;
}

Test(recall, the_last_answer_counts)
{
	struct recall *r = recall_create(65536);
	void *ctx = talloc_new(NULL);

	cr_assert_not_null(r);
	cr_expect_null(known(r, ctx, 1, 0));
	keep(r, 1, "one", 100);
	keep(r, 2, "two", 100);
	cr_expect_str_eq(known(r, ctx, 1, 0), "one");
	keep(r, 1, "uno", 200);
	cr_expect_str_eq(known(r, ctx, 1, 0), "uno");
	cr_expect_str_eq(known(r, ctx, 2, 0), "two");
	keep(r, 3, "", 100);
	cr_expect_str_eq(known(r, ctx, 3, 0), "");
	talloc_free(ctx);
}

Test(recall, age_has_a_limit)
{
	struct recall *r = recall_create(65536);
	void *ctx = talloc_new(NULL);

	keep(r, 1, "one", 100);
	cr_expect_str_eq(known(r, ctx, 1, 100), "one");
	cr_expect_null(known(r, ctx, 1, 101));
	keep(r, 1, "one", 300); /* the same text, known later */
	cr_expect_str_eq(known(r, ctx, 1, 300), "one");
	talloc_free(ctx);
}

Test(recall, nothing_is_kept_without_memory)
{
	cr_expect_null(recall_create(0));
}

Test(recall, a_change_ends_what_was_known)
{
	struct recall *r = recall_create(65536);
	void *ctx = talloc_new(NULL);
	struct recall_key k = key_of(1), other = key_of(2);
	struct recall_note note = {.topics = 1, .asked = recall_clock(r), .mono_ms = 1}, two = note;

	two.topics = 2;
	recall_put(r, &k, &note, "old", 3);
	recall_put(r, &other, &two, "other", 5);
	recall_changed(r, 1);
	cr_expect_null(known(r, ctx, 1, 0));
	cr_expect_str_eq(known(r, ctx, 2, 0), "other", "its topic did not change");
	/* an answer that was under way while the change happened */
	recall_put(r, &k, &note, "old", 3);
	cr_expect_null(known(r, ctx, 1, 0));
	note.asked = recall_clock(r);
	recall_put(r, &k, &note, "new", 3);
	cr_expect_str_eq(known(r, ctx, 1, 0), "new");
	talloc_free(ctx);
}

Test(recall, forgetting)
{
	struct recall *r = recall_create(65536);
	void *ctx = talloc_new(NULL);
	struct recall_key k = key_of(7);
	struct recall_note before = {.asked = recall_clock(r), .owner = 7 % 3, .mono_ms = 1};

	for (unsigned i = 0; i < 9; i++)
		keep(r, i, "x", 1);
	recall_forget(r, &k);
	cr_expect_null(known(r, ctx, 7, 0));
	cr_expect_str_eq(known(r, ctx, 4, 0), "x");
	recall_forget_owner(r, 0);
	for (unsigned i = 0; i < 9; i++)
		cr_expect_eq(known(r, ctx, i, 0) == NULL, i % 3 == 0 || i == 7, "%u", i);
	recall_put(r, &k, &before, "asked before", 12);
	cr_expect_null(known(r, ctx, 7, 0));
	recall_forget_all(r);
	for (unsigned i = 0; i < 9; i++)
		cr_expect_null(known(r, ctx, i, 0));
	keep(r, 7, "again", 1);
	cr_expect_str_eq(known(r, ctx, 7, 0), "again");
	talloc_free(ctx);
}

#define KEYS 400

/* Texts of every length at random: whatever is known is the last text of its key, and the newest are known. */
Test(recall, bounded_and_never_wrong)
{
	struct recall *r = recall_create(20000);
	static char *model[KEYS];
	unsigned seed = 1, newest[8] = {0};

	for (int round = 0; round < 60000; round++) {
		void *ctx = talloc_new(NULL);
		unsigned n = (unsigned)rand_r(&seed) % KEYS, check = (unsigned)rand_r(&seed) % KEYS;
		size_t len = (size_t)rand_r(&seed) % (round % 50 == 0 ? 6000 : 300);
		const char *text;

		free(model[n]);
		model[n] = malloc(len + 1);
		memset(model[n], 'a' + round % 26, len);
		model[n][len] = '\0';
		keep(r, n, model[n], round);
		text = known(r, ctx, n, 0);
		if (len <= recall_longest(r))
			cr_assert(text != NULL && strcmp(text, model[n]) == 0, "round %d", round);
		newest[round % 8] = n;
		for (int i = 0; round % 997 > 8 && round % 50 > 10 && i < 8; i++)
			cr_assert_not_null(known(r, ctx, newest[i], 0), "round %d", round);
		text = known(r, ctx, check, 0);
		if (text != NULL && strlen(model[check]) <= recall_longest(r))
			cr_assert_str_eq(text, model[check], "round %d", round);
		if (round % 997 == 0)
			recall_forget_owner(r, (unsigned)round % 3);
		talloc_free(ctx);
	}
}

/* A text that is too long ends what was known of its key instead of leaving an older one. */
Test(recall, too_long_is_not_kept)
{
	struct recall *r = recall_create(8192);
	void *ctx = talloc_new(NULL);
	char *text = mem_array(ctx, char, 8193);

	memset(text, 'x', 8192);
	keep(r, 1, "short", 1);
	keep(r, 1, text, 2);
	cr_expect_null(known(r, ctx, 1, 0));
	talloc_free(ctx);
}

static void write_on(struct recall *r)
{
	static char text[3000];

	for (unsigned i = 0;; i++) {
		memset(text, 'a' + (int)(i % 26), sizeof(text) - 1);
		text[i * 37 % sizeof(text)] = '\0';
		keep(r, i % 50, text, 1);
		if (i % 100 == 0)
			recall_forget_owner(r, 1);
	}
}

/* Killed at any instant: what is known is whole, and the ring goes on. */
Test(recall, writers_are_killed, .timeout = 60)
{
	struct recall *r = recall_create(40000);
	unsigned seed = 3;

	for (int round = 0; round < 100; round++) {
		void *ctx = talloc_new(NULL);
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			write_on(r);
		}
		usleep(1000 + (useconds_t)rand_r(&seed) % 4000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (unsigned i = 0; i < 50; i++) {
			const char *text = known(r, ctx, i, 0);

			for (size_t k = 0; text != NULL && text[k] != '\0'; k++)
				cr_assert_eq(text[k], text[0], "torn in round %d", round);
		}
		keep(r, 1000, "alive", 1);
		cr_assert_str_eq(known(r, ctx, 1000, 0), "alive");
		talloc_free(ctx);
	}
}
