/* Cache files without a recording: the list of leftovers and the sweep (contract 09 D-06, D-87). */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "runner/orphans.h"
#include "store/store.h"
#include "transfer/leftovers.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void *mem;
static char root[] = "/tmp/rakkr-orphans-XXXXXX";
static struct config *config;

static char *in_root(const char *name)
{
	return mem_printf(mem, "%s/%s", root, name);
}

static void setup(void)
{
	mem = talloc_new(NULL);
	log_init("test", LOG_LEVEL_ERROR);
	/* root may write everywhere: only somebody else sees a folder refuse */
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	cr_assert_not_null(mkdtemp(root));
	config = config_defaults(mem);
	config_set(config, CFG_DATA_DIR, in_root("data"));
	config_set(config, CFG_RECORDING_CACHE_DIR, in_root("cache"));
	config_set(config, CFG_RECORDINGS_PATH, in_root("recordings.json"));
	config_set(config, CFG_ORPHAN_SWEEP, "off");
	config_set(config, CFG_ORPHAN_AGE_SECONDS, "0");
	cr_assert(mkdir(in_root("data"), 0700) == 0 && mkdir(in_root("cache"), 0700) == 0 &&
	          mkdir(in_root("cache/ad-hoc"), 0700) == 0 && mkdir(in_root("cache/scheduled"), 0700) == 0);
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
	talloc_free(mem);
}

TestSuite(orphans, .init = setup, .fini = teardown, .timeout = 60);

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_root(name), "w");

	cr_assert_not_null(f, "%s", name);
	fputs(text, f);
	fclose(f);
}

static void make_file(const char *path)
{
	write_file(mem_printf(mem, "cache/%s", path), "audio");
}

static bool is_there(const char *path)
{
	return access(in_root(mem_printf(mem, "cache/%s", path)), F_OK) == 0;
}

/* Recordings "id path id path ... NULL"; path "" = without a file. */
static void have_recordings(const char *const *rows)
{
	char *text = mem_strdup(mem, "{\"recordings\":[");

	for (size_t i = 0; rows[i] != NULL; i += 2)
		text = mem_printf(
		    mem,
		    "%s%s{\"id\":\"%s\",\"name\":\"n\",\"folder\":\"f\",\"recordedAt\":\"2026-01-01T00:00:00.000Z\","
		    "\"durationSeconds\":1,\"cached\":true,\"tags\":[],\"healthStatus\":\"unknown\",\"source\":"
		    "\"ad_hoc\",\"status\":\"cached\"%s%s%s}",
		    text, i > 0 ? "," : "", rows[i], *rows[i + 1] != '\0' ? ",\"cachePath\":\"" : "", rows[i + 1],
		    *rows[i + 1] != '\0' ? "\"" : "");
	write_file("recordings.json", mem_printf(mem, "%s],\"version\":1}", text));
}

/* Ticks of the runner in a process of its own, as after a restart. */
static void run_ticks(int n)
{
	int how = 0;
	pid_t pid = fork();

	if (pid == 0) {
		const char *error = NULL;
		struct app app = {.config = config, .store = store_open(mem, config, &error)};
		bool good = app.store != NULL;

		for (int i = 0; i < n; i++)
			good = good && orphans_tick(&app) == ST_OK && leftovers_tick(&app) == ST_OK;
		_exit(good ? 0 : 1);
	}
	waitpid(pid, &how, 0);
	cr_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the pass failed");
}

static void note(const char *id, const char *path, int64_t age_ms)
{
	struct leftover file = {.id = id, .path = path, .at_ms = clock_now_ms() - age_ms};

	cr_assert(leftovers_add(config, &file, 1));
}

static char *list_text(void)
{
	char *text = mem_array(mem, char, 65536);
	FILE *f = fopen(in_root("data/leftover-files.jsonl"), "r");

	if (f != NULL) {
		text[fread(text, 1, 65535, f)] = '\0';
		fclose(f);
	}
	return text;
}

/* ---- leftovers --------------------------------------------------------------------------------------------------- */

Test(orphans, a_failed_removal_is_tried_again)
{
	have_recordings((const char *const[]){NULL});
	make_file("ad-hoc/rec_1.wav");
	note("rec_1", "ad-hoc/rec_1.wav", 0);
	cr_assert_eq(chmod(in_root("cache/ad-hoc"), 0500), 0);
	run_ticks(1);
	cr_expect(is_there("ad-hoc/rec_1.wav"));
	cr_expect_not_null(strstr(list_text(), "ad-hoc/rec_1.wav"), "it is not forgotten");
	cr_assert_eq(chmod(in_root("cache/ad-hoc"), 0700), 0);
	run_ticks(1);
	cr_expect_not(is_there("ad-hoc/rec_1.wav"));
	cr_expect_str_eq(list_text(), "");
}

/* A worker that died between the note and the commit: the recording is still there. */
Test(orphans, what_was_not_deleted_after_all_stays)
{
	have_recordings((const char *const[]){"rec_1", "ad-hoc/rec_1.wav", "rec_2", "ad-hoc/rec_2.wav", NULL});
	make_file("ad-hoc/rec_1.wav");
	make_file("ad-hoc/rec_2.wav");
	note("rec_1", "ad-hoc/rec_1.wav", 0);
	note("rec_2", "ad-hoc/rec_2.wav", 3600000);
	run_ticks(1);
	cr_expect(is_there("ad-hoc/rec_1.wav") && is_there("ad-hoc/rec_2.wav"));
	cr_expect_not_null(strstr(list_text(), "rec_1"), "a deletion may still be on its way");
	cr_expect_null(strstr(list_text(), "rec_2"), "it never was");
}

Test(orphans, a_file_of_another_kind_goes_the_recording_stays)
{
	have_recordings((const char *const[]){"rec_1", "ad-hoc/rec_1.mp3", "rec_2", "", NULL});
	make_file("ad-hoc/rec_1.mp3");
	make_file("ad-hoc/rec_1.wav");
	make_file("ad-hoc/rec_2.wav");
	note("rec_1", "ad-hoc/rec_1.wav", 0);
	note("rec_2", "ad-hoc/rec_2.wav", 0);
	run_ticks(1);
	cr_expect(is_there("ad-hoc/rec_1.mp3"));
	cr_expect_not(is_there("ad-hoc/rec_1.wav") || is_there("ad-hoc/rec_2.wav"));
}

/* Names that say nothing of their recording, paths that lead out, lines cut off, files that are gone. */
Test(orphans, odd_entries)
{
	have_recordings((const char *const[]){"rec_1", "ad-hoc/shared.wav", NULL});
	make_file("ad-hoc/shared.wav");
	write_file("outside.wav", "mine");
	note("rec_9", "ad-hoc/shared.wav", 0);
	note("rec_8", "../outside.wav", 0);
	note("rec_7", "ad-hoc/gone.wav", 0);
	note("rec_\"\n", "ad-hoc/\xC3\xBC \"\\.wav", 0);
	int fd = open(in_root("data/leftover-files.jsonl"), O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "{\"at\":\"2026", 11), 11);
	close(fd);
	run_ticks(1);
	cr_expect(is_there("ad-hoc/shared.wav"), "another recording has it");
	cr_expect_eq(access(in_root("outside.wav"), F_OK), 0);
	char *left = list_text();
	cr_expect_not_null(strstr(left, "shared.wav"));
	cr_expect_null(strstr(left, "outside"));
	cr_expect_null(strstr(left, "gone"));
	cr_expect_eq(strchr(left, '\n'), left + strlen(left) - 1, "one line is left: %s", left);
}

static bool keep_all(void *arg, const struct leftover *file)
{
	(void)file;
	++*(int *)arg;
	return false;
}

static bool drop_even(void *arg, const struct leftover *file)
{
	(void)arg;
	return (file->id[strlen(file->id) - 1] - '0') % 2 == 0;
}

/* Others add while the list is worked on: no line is lost. */
Test(orphans, adding_beside_settling)
{
	int seen = 0;
	pid_t pid[4];

	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] > 0)
			continue;
		for (int k = 0; k < 100; k++) {
			struct leftover file = {.id = mem_printf(mem, "p%d_%d", i, k), .path = "ad-hoc/x.wav"};

			if (!leftovers_add(config, &file, 1))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < 50; i++)
		cr_expect(leftovers_settle(config, drop_even, NULL));
	for (int i = 0; i < 4; i++) {
		int how = 0;

		waitpid(pid[i], &how, 0);
		cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 0);
	}
	cr_expect(leftovers_settle(config, drop_even, NULL));
	cr_expect(leftovers_settle(config, keep_all, &seen));
	cr_expect_eq(seen, 200, "%d lines instead of the 200 odd ones", seen);
}

/* ---- sweep ------------------------------------------------------------------------------------------------------- */

static const char *const library[] = {"rec_1", "ad-hoc/rec_1.wav", "rec_2", "scheduled/rec_2.mp3", "rec_3", "", NULL};

static void have_library(void)
{
	have_recordings(library);
	make_file("ad-hoc/rec_1.wav");
	make_file("ad-hoc/rec_1.mp3"); /* an extension that it had once */
	make_file("scheduled/rec_2.mp3");
	make_file("ad-hoc/rec_3.wav"); /* of a recording without one */
	make_file("ad-hoc/rec_4.wav"); /* of none */
	make_file("ad-hoc/.incoming-x-rec_5.wav");
	cr_assert_eq(mkdir(in_root("cache/ad-hoc/rec_6.wav"), 0700), 0);
}

Test(orphans, a_sweep_only_tells)
{
	have_library();
	config_set(config, CFG_ORPHAN_SWEEP, "log");
	run_ticks(3);
	cr_expect(is_there("ad-hoc/rec_1.mp3") && is_there("ad-hoc/rec_3.wav") && is_there("ad-hoc/rec_4.wav"));
}

Test(orphans, a_sweep_that_removes)
{
	have_library();
	config_set(config, CFG_ORPHAN_SWEEP, "remove");
	config_set(config, CFG_ORPHAN_AGE_SECONDS, "3600");
	run_ticks(3);
	cr_expect(is_there("ad-hoc/rec_4.wav"), "too young");
	config_set(config, CFG_ORPHAN_AGE_SECONDS, "0");
	run_ticks(3);
	cr_expect(is_there("ad-hoc/rec_1.wav") && is_there("scheduled/rec_2.mp3"));
	cr_expect_not(is_there("ad-hoc/rec_1.mp3"));
	cr_expect_not(is_there("ad-hoc/rec_3.wav"));
	cr_expect_not(is_there("ad-hoc/rec_4.wav"));
	cr_expect(is_there("ad-hoc/.incoming-x-rec_5.wav"), "an upload under way");
	cr_expect(is_there("ad-hoc/rec_6.wav"), "a folder");
}

/* The database of another installation, or none of its rows: this is not the moment to remove everything. */
Test(orphans, a_cache_that_belongs_to_others)
{
	have_recordings(library);
	config_set(config, CFG_ORPHAN_SWEEP, "remove");
	for (int i = 0; i < 30; i++)
		make_file(mem_printf(mem, "scheduled/other_%d.wav", i));
	run_ticks(3);
	for (int i = 0; i < 30; i++)
		cr_expect(is_there(mem_printf(mem, "scheduled/other_%d.wav", i)));
}

/* More files than one tick looks at. */
Test(orphans, many_files)
{
	const char **rows = mem_array(mem, const char *, 9001);
	int left = 0;

	for (int i = 0; i < 4500; i++) {
		rows[2 * i] = mem_printf(mem, "rec_%d", i);
		rows[2 * i + 1] = mem_printf(mem, "scheduled/rec_%d.wav", i);
		make_file(rows[2 * i + 1]);
	}
	have_recordings(rows);
	for (int i = 0; i < 100; i++)
		make_file(mem_printf(mem, "scheduled/lost_%d.wav", i));
	config_set(config, CFG_ORPHAN_SWEEP, "remove");
	run_ticks(1);
	for (int i = 0; i < 100; i++)
		left += is_there(mem_printf(mem, "scheduled/lost_%d.wav", i));
	cr_expect_eq(left, 100, "the first round only counts");
	run_ticks(4);
	for (int i = 0; i < 100; i++)
		cr_expect_not(is_there(mem_printf(mem, "scheduled/lost_%d.wav", i)));
	for (int i = 0; i < 4500; i++)
		cr_expect(is_there(rows[2 * i + 1]));
}
