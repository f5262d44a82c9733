/* The flat-file store: several processes, kill -9, full disks. */
#include "unit/store_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(store_file_crash, .init = setup, .fini = teardown, .timeout = 120);

/* ---- several processes -------------------------------------------------------------------------- */

static void wait_all(int children)
{
	for (int i = 0; i < children; i++) {
		int code;

		wait(&code);
		cr_assert(WIFEXITED(code) && WEXITSTATUS(code) == 0, "a process failed");
	}
}

Test(store_file_crash, four_processes_create_two_hundred)
{
	spill(in_folder("schedules.json"), "{\"schedules\":[]}");
	for (int p = 0; p < 4; p++)
		if (fork() == 0) {
			void *s = open_store();

			for (int i = 0; i < 50; i++) {
				char *id = mem_printf(mem, "s%d_%d", p, i);

				if (OPS.insert(s, mem, &model_schedules, schedule(id, id), NULL) != ST_OK ||
				    OPS.commit(s, NULL, true) != ST_OK)
					_exit(1);
			}
			_exit(0);
		}
	wait_all(4);
	cr_assert_eq(count_all(open_store(), &model_schedules), 200);
}

Test(store_file_crash, one_of_fifty_claims_wins)
{
	void *s = open_store();
	int won = 0;

	OPS.insert(s, mem, &model_jobs, job("j", "r"), NULL);
	OPS.commit(s, NULL, true);
	for (int p = 0; p < 50; p++)
		if (fork() == 0) {
			void *mine = open_store();
			struct query q;
			struct page page;

			query_init(&q);
			query_where(&q, "status", Q_EQ, "queued");
			q.limit = 1;
			if (OPS.update(mine, mem, &model_jobs, &q, from_json("{\"status\":\"running\"}"), &page,
			               NULL) != ST_OK ||
			    OPS.commit(mine, NULL, true) != ST_OK)
				_exit(2);
			_exit(page.count == 1);
		}
	for (int p = 0; p < 50; p++) {
		int code;

		wait(&code);
		cr_assert(WIFEXITED(code) && WEXITSTATUS(code) < 2);
		won += WEXITSTATUS(code);
	}
	cr_assert_eq(won, 1);
}

/* A writer of two files that belong together: recording and job with one number, one more in each commit. */
static void write_pairs(int acknowledge)
{
	void *s = open_store();

	for (int i = (int)count_all(s, &model_jobs);; i++) {
		char *id = mem_printf(mem, "x%06d", i);

		if (OPS.insert(s, mem, &model_recordings, recording(id), NULL) != ST_OK ||
		    OPS.insert(s, mem, &model_jobs, job(id, id), NULL) != ST_OK || OPS.commit(s, NULL, true) != ST_OK)
			_exit(1);
		if (write(acknowledge, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static bool is_left_over(const char *name)
{
	return strstr(name, ".tmp") != NULL;
}

Test(store_file_crash, kill_9_loses_no_acknowledged_commit)
{
	int last = -1;

	spill(in_folder("recordings-metadata.json"), "{\"recordings\":[]}");
	for (int round = 0; round < 60; round++) {
		int fds[2], seen;
		pid_t child;
		void *s;
		DIR *dir;

		cr_assert_eq(pipe(fds), 0);
		child = fork();
		if (child == 0)
			write_pairs(fds[1]);
		close(fds[1]);
		if (read(fds[0], &seen, sizeof(seen)) == sizeof(seen)) /* it is under way */
			last = seen;
		usleep((useconds_t)(rand() % 8000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(fds[0], &seen, sizeof(seen)) == sizeof(seen))
			last = seen;
		close(fds[0]);
		s = open_store(); /* finishes what was cut off */
		cr_assert_eq(count_all(s, &model_recordings), count_all(s, &model_jobs), "round %d", round);
		cr_assert_geq((int)count_all(s, &model_jobs), last + 1, "round %d", round);
		dir = opendir(folder);
		for (struct dirent *d; (d = readdir(dir)) != NULL;)
			cr_assert_not(is_left_over(d->d_name), "%s", d->d_name);
		closedir(dir);
		talloc_free(s);
	}
	cr_assert_geq(last, 59, "the writers came to nothing: %d", last);
}

/* A commit that stands: the journal as a writer leaves it that dies behind it. */
static void spill_journal(const char *renames, const char *audit, long long offset)
{
	json_object *o = json_new_object(mem);
	char hex[SHA256_HEX_SIZE];
	size_t n;
	char *text;

	json_object_object_add(o, "renames", json_object_get(from_json(renames)));
	json_set_str(o, "audit", audit);
	json_set_int(o, "auditOffset", offset);
	text = json_compact(mem, o, &n);
	crypto_sha256_hex(hex, text, n);
	spill(in_folder(".commit"), mem_printf(mem, "%s\n%s", hex, text));
}

static long long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long long)st.st_size : -1;
}

Test(store_file_crash, a_journal_is_finished_by_the_next_writer)
{
	static const char line[] = "{\"action\":\"x.done\",\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":"
	                           "\"01890000-0000-7000-8000-000000000001\"}\n";
	void *s = open_store();
	char *jobs, *recordings, *log = in_folder("audit-events.jsonl");
	int64_t moved = 1;

	OPS.insert(s, mem, &model_recordings, recording("r"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j", "r"), NULL);
	OPS.commit(s, NULL, true);
	jobs = in_folder("recording-jobs.json.0123456789abcdef.tmp");
	recordings = in_folder("recordings-metadata.json.0123456789abcdef.tmp");
	/* died after the first rename: the file of recordings is in place, that of jobs is not, nor is the event */
	spill(jobs, "{\"jobs\":[]}");
	spill(in_folder("evil"), "x");
	spill_journal(mem_printf(mem,
	                         "[{\"tmp\":\"%s\",\"final\":\"%s\"},{\"tmp\":\"%s\",\"final\":\"%s\"},"
	                         "{\"tmp\":\"%s\",\"final\":\"%s/other\"}]",
	                         recordings, in_folder("recordings-metadata.json"), jobs,
	                         in_folder("recording-jobs.json"), in_folder("evil"), folder),
	              line, 0);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("s", "S"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(count_all(s, &model_jobs), 0);
	cr_assert_eq(count_all(s, &model_recordings), 2);
	cr_assert_str_eq(slurp(log, NULL), line);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_eq(access(in_folder("other"), F_OK), -1, "only our own files are renamed");
	/* the runner's tick does it as well; an event that is in the log is not put there twice */
	spill_journal("[]", line, 0);
	cr_assert_eq(OPS.audit_maintain(s, &moved), ST_OK);
	cr_assert_eq(moved, 0);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_str_eq(slurp(log, NULL), line);
	/* torn: it never stood */
	spill(jobs, "{\"jobs\":[]}");
	spill(in_folder(".commit"), "0123[{");
	cr_assert_eq(OPS.lock(s, "x"), ST_OK);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_eq(access(jobs, F_OK), 0);
	OPS.rollback(s);
	talloc_free(s);
	s = open_store();
	cr_assert_eq(access(jobs, F_OK), -1, "left over, and removed at the next start");
}

Test(store_file_crash, the_lock_is_waited_for_only_so_long, .timeout = 30)
{
	void *a = open_store(), *b = open_store();
	int64_t from;

	cr_assert_eq(OPS.lock(a, "x"), ST_OK);
	from = clock_mono_ms();
	cr_assert_eq(OPS.insert(b, mem, &model_schedules, schedule("s", "S"), NULL), ST_UNAVAILABLE);
	cr_assert(clock_mono_ms() - from >= 4900 && clock_mono_ms() - from < 7000);
	OPS.rollback(a);
	cr_assert_eq(OPS.insert(b, mem, &model_schedules, schedule("s", "S"), NULL), ST_OK);
	OPS.rollback(b);
	cr_assert(OPS.runner_lock(a));
	cr_assert(OPS.runner_lock(a));
	cr_assert_not(OPS.runner_lock(b));
	talloc_free(a);
	cr_assert(OPS.runner_lock(b));
}

/* ---- no room ------------------------------------------------------------------------------------ */

Test(store_file_crash, a_full_disk_changes_nothing)
{
	struct rlimit limit = {.rlim_cur = 3000, .rlim_max = RLIM_INFINITY}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	void *s = open_store();
	char *before;
	size_t n = 0;
	status st = ST_OK;
	json_object *doc;
	DIR *dir;

	signal(SIGXFSZ, SIG_IGN);
	OPS.insert(s, mem, &model_schedules, schedule("s", "S"), NULL);
	OPS.commit(s, NULL, true);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (n = 0; st == ST_OK && n < 100; n++) {
		char *id = mem_printf(mem, "s%zu", n);

		before = slurp(in_folder("schedules.json"), NULL);
		OPS.insert(s, mem, &model_schedules, schedule(id, id), NULL);
		OPS.insert(s, mem, &model_jobs, job(id, id), NULL);
		st = OPS.commit(s, NULL, true);
	}
	cr_assert_eq(st, ST_NO_SPACE);
	cr_assert_str_eq(slurp(in_folder("schedules.json"), NULL), before);
	cr_assert_eq(OPS.get(s, mem, &model_schedules, mem_printf(mem, "s%zu", n - 1), &doc), ST_NOT_FOUND);
	dir = opendir(folder);
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		cr_assert_not(is_left_over(d->d_name), "%s", d->d_name);
	closedir(dir);
	setrlimit(RLIMIT_FSIZE, &unlimited);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("last", "L"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
}
