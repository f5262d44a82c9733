/*
 * A commit of the flat-file store interrupted at every system call: whatever happens, the files say the old or the new,
 * all of them the same, the events of the audit log go with them, and what was acknowledged is there.
 *
 * This program runs itself with the preloaded library tests/tools/interrupt.c (RAKKR_TEST_INTERRUPT names it), once for
 * every call and every way to interrupt it.
 */
#include "unit/store_samples.h"

#include "base/log.h"
#include "store/backend.h"

#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void *mem;

/* ---- what is interrupted ----------------------------------------------------------------------------------------- */

static struct config *config_of(const void *ctx, const char *folder)
{
	struct config *c = config_defaults(ctx);

	config_set(c, CFG_DATA_DIR, folder);
	for (int i = 0; models[i] != NULL; i++)
		if (models[i]->path != CFG_KEY_COUNT && config_str(c, models[i]->path) != NULL)
			config_set(c, models[i]->path, mem_printf(c, "%s/%s.json", folder, models[i]->name));
	return c;
}

static struct store *open_store(const char *folder)
{
	const char *error;
	struct store *s = store_open(mem, config_of(mem, folder), &error);

	if (s == NULL)
		abort();
	return s;
}

static json_object *named_event(const char *action)
{
	json_object *e = an_event(mem, action);

	return list_of(mem, e);
}

/* One file, no event. */
static status one_file(struct store *s, const char *name)
{
	TRY(store_insert(s, mem, &model_recordings, a_recording(mem, name, "n", "2031-01-01T00:00:00.000Z", ""), NULL));
	return store_commit(s, NULL, true);
}

static status one_file_and_event(struct store *s, const char *name)
{
	TRY(store_insert(s, mem, &model_recordings, a_recording(mem, name, "n", "2031-01-01T00:00:00.000Z", ""), NULL));
	return store_commit(s, named_event(name), true);
}

static status two_files_and_event(struct store *s, const char *name)
{
	TRY(store_insert(s, mem, &model_recordings, a_recording(mem, name, "n", "2031-01-01T00:00:00.000Z", ""), NULL));
	TRY(store_insert(s, mem, &model_jobs, a_job(mem, name, "n", name, "2031-01-01T00:00:00.000Z"), NULL));
	return store_commit(s, named_event(name), true);
}

static status event_alone(struct store *s, const char *name)
{
	return store_commit(s, named_event(name), true);
}

static status cut_log(struct store *s, const char *name)
{
	int64_t removed;

	return store_audit_prune(s, clock_now_ms() + 1000, 10, named_event(name), &removed);
}

static const struct scenario {
	const char *name;
	status (*run)(struct store *s, const char *name);
	bool recording, job, event;
} scenarios[] = {
    {"one_file", one_file, true, false, false},
    {"one_file_and_event", one_file_and_event, true, false, true},
    {"two_files_and_event", two_files_and_event, true, true, true},
    {"event_alone", event_alone, false, false, true},
    {"cut_log", cut_log, false, false, true},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* The other half: this program as the one that is interrupted. Exit status 0: acknowledged; 1: refused. */
__attribute__((constructor)) static void be_interrupted(void)
{
	const char *name = getenv("INTERRUPT_SCENARIO");
	int *armed = dlsym(RTLD_DEFAULT, "interrupt_armed");
	struct store *s;
	status st = ST_INTERNAL;

	if (name == NULL)
		return;
	mem = talloc_new(NULL);
	log_init("interrupted", LOG_LEVEL_ERROR);
	s = open_store(getenv("INTERRUPT_DIR"));
	if (armed != NULL)
		*armed = 1;
	for (size_t i = 0; i < SCENARIOS; i++)
		if (strcmp(scenarios[i].name, name) == 0)
			st = scenarios[i].run(s, "new");
	if (armed != NULL)
		*armed = 0;
	talloc_free(s);
	exit(st == ST_OK ? 0 : 1);
}

/* ---- the interrupting half --------------------------------------------------------------------------------------- */

struct outcome {
	bool killed, acknowledged;
	long calls; /* -1: killed */
};

static struct outcome interrupt(const char *folder, const struct scenario *s, const char *how, long at)
{
	const char *count = mem_printf(mem, "%s.count", folder);
	struct outcome o = {.calls = -1};
	char **env = mem_array(mem, char *, 256);
	char *argv[] = {"interrupted", NULL};
	size_t n = 0;
	int wait_status;
	pid_t pid;
	FILE *f;

	for (char **e = environ; *e != NULL && n < 240; e++)
		if (strncmp(*e, "LD_PRELOAD=", 11) != 0 && strncmp(*e, "ASAN_OPTIONS=", 13) != 0)
			env[n++] = *e;
	env[n++] = mem_printf(mem, "LD_PRELOAD=%s", getenv("RAKKR_TEST_INTERRUPT"));
	env[n++] = mem_strdup(mem, "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0");
	env[n++] = mem_printf(mem, "INTERRUPT_SCENARIO=%s", s->name);
	env[n++] = mem_printf(mem, "INTERRUPT_DIR=%s", folder);
	env[n++] = mem_printf(mem, "INTERRUPT_HOW=%s", how);
	env[n++] = mem_printf(mem, "INTERRUPT_AT=%ld", at);
	env[n++] = mem_printf(mem, "INTERRUPT_COUNT=%s", count);
	env[n++] = mem_strdup(mem, "INTERRUPT_WAIT=1");
	unlink(count);
	cr_assert_eq(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, env), 0);
	waitpid(pid, &wait_status, 0);
	o.killed = WIFSIGNALED(wait_status);
	cr_assert(!o.killed || WTERMSIG(wait_status) == SIGKILL, "%s %s %ld: signal %d", s->name, how, at,
	          WTERMSIG(wait_status));
	o.acknowledged = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	f = fopen(count, "r");
	if (f != NULL) {
		cr_assert_eq(fscanf(f, "%ld", &o.calls), 1);
		fclose(f);
		unlink(count);
	}
	return o;
}

static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
		unlink(mem_printf(mem, "%s/%s", folder, d->d_name));
	if (dir != NULL)
		closedir(dir);
	rmdir(folder);
}

static bool is_there(struct store *s, const struct model *m, const char *id)
{
	json_object *doc;
	status st = store_get(s, mem, m, id, &doc);

	cr_assert(st == ST_OK || st == ST_NOT_FOUND, "%s cannot be read", m->name);
	return st == ST_OK;
}

static int events_called(struct store *s, const char *action)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "action", Q_EQ, action);
	cr_assert_eq(store_list(s, mem, &model_audit_events, &q, &page), ST_OK);
	return (int)page.count;
}

/* After the interruption: a controller starts on the folder. */
static void examine(const char *folder, const struct scenario *sc, const char *what, struct outcome o)
{
	struct store *s = open_store(folder);
	int events = events_called(s, "new");
	bool recording = is_there(s, &model_recordings, "new"), job = is_there(s, &model_jobs, "new");
	bool new = sc->recording ? recording : events > 0;

	cr_expect(is_there(s, &model_recordings, "old") && is_there(s, &model_jobs, "old"), "%s: the old is gone",
	          what);
	cr_expect_leq(events, 1, "%s: an event stands there twice", what);
	if (sc->job)
		cr_expect_eq(recording, job, "%s: one file is new, the other old", what);
	if (sc->recording && sc->event)
		cr_expect_eq(recording, events == 1, "%s: the write and its event are not together", what);
	if (sc->run == cut_log)
		cr_expect_eq(events_called(s, "old"), events == 1 ? 0 : 2, "%s: events lost", what);
	else
		cr_expect_eq(events_called(s, "old"), 2, "%s: events lost", what);
	cr_expect(new || !o.acknowledged, "%s: acknowledged and gone", what);
	cr_expect(!new || o.acknowledged || o.killed || strcmp(sc->name, "event_alone") == 0 || sc->run == cut_log ||
	              sc->run == one_file,
	          "%s: refused, and yet it is there", what);
	/* and it goes on */
	cr_expect_eq(one_file_and_event(s, "later"), ST_OK, "%s: the store takes no writes any more", what);
	cr_expect(is_there(s, &model_recordings, "later"), "%s", what);
	talloc_free(s);
}

static char *prepare(void)
{
	char *folder = mem_strdup(mem, "/tmp/rakkr-interrupt-XXXXXX");
	struct store *s;

	cr_assert_not_null(mkdtemp(folder));
	s = open_store(folder);
	cr_assert_eq(two_files_and_event(s, "old"), ST_OK);
	cr_assert_eq(store_commit(s, named_event("old"), true), ST_OK);
	talloc_free(s);
	return folder;
}

/* Every call, one after the other, until one run gets through undisturbed. Returns the number of calls. */
static long every_call(const struct scenario *sc, const char *how)
{
	for (long at = 1;; at++) {
		char *folder = prepare();
		struct outcome o = interrupt(folder, sc, how, at);
		const char *what = mem_printf(mem, "%s, %s at call %ld", sc->name, how, at);
		bool through = !o.killed && o.calls >= 0 && o.calls < at;

		examine(folder, sc, what, o);
		cr_expect(!through || o.acknowledged, "%s: undisturbed and refused", what);
		remove_folder(folder);
		if (through)
			return at - 1;
		cr_assert_lt(at, 200, "%s does not end", what);
	}
}

static void setup(void)
{
	if (getenv("RAKKR_TEST_INTERRUPT") == NULL)
		cr_skip_test("RAKKR_TEST_INTERRUPT is not set: the library tests/tools/interrupt.c");
	mem = talloc_new(NULL);
	log_init("test", LOG_LEVEL_ERROR);
	if (freopen("/dev/null", "w", stderr) == NULL) /* what the store logs about it is right */
		abort();
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(store_file_interrupt, .init = setup, .fini = teardown, .timeout = 120);

#define INTERRUPTED(how)                                                                                               \
	Test(store_file_interrupt, how)                                                                                \
	{                                                                                                              \
		long calls = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < SCENARIOS; i++) {                                                               \
			long n = every_call(&scenarios[i], #how);                                                      \
                                                                                                                       \
			cr_expect_geq(n, 2, "%s: %ld calls", scenarios[i].name, n);                                    \
			calls += n;                                                                                    \
		}                                                                                                      \
		printf("%s at each of %ld calls\n", #how, calls);                                                      \
	}

INTERRUPTED(kill)
INTERRUPTED(torn)
INTERRUPTED(enospc)
INTERRUPTED(eio)
INTERRUPTED(full)
