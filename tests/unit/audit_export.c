/*
 * "rakkr-fcgi audit export" in both stores: complete, newest first, in memory that does not grow with the number of
 * events. RAKKR_TEST_PROGRAM is the program; RAKKR_TEST_EVENTS (100000) the number of events; with a database in
 * RAKKR_TEST_DATABASE_URL, too.
 */
#include "unit/store_pg_server.h"

#include "runner/audit_retention.h"

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <sys/resource.h>

#define MEMORY_MAX_KIB (64 * 1024)

static void *mem;

static int64_t wanted_events(void)
{
	const char *text = getenv("RAKKR_TEST_EVENTS");

	return text != NULL ? atoll(text) : 100000;
}

struct run {
	int code;
	long peak_kib;
	int64_t lines;
	char first[256], second[256];
};

/* Runs the program in the store's folder; counts what it writes. */
static struct run export_audit(const char *url, const char *from, const char *to)
{
	const char *program = getenv("RAKKR_TEST_PROGRAM");
	char *argv[] = {"rakkr-fcgi", "audit", "export", "--from", (char *)from, "--to", (char *)to, NULL};
	struct run r = {.lines = 0};
	struct rusage usage;
	int fds[2], wait_status;
	char *line = NULL;
	size_t room = 0;
	pid_t pid;
	FILE *f;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		setenv("RAKKR_DATA_DIR", mem_printf(mem, "%s/data", folder), 1);
		if (url != NULL)
			setenv("DATABASE_URL", url, 1);
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execv(program, argv);
		_exit(127);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (getline(&line, &room, f) > 0) {
		if (r.lines == 0)
			snprintf(r.first, sizeof(r.first), "%.200s", line);
		if (r.lines == 1)
			snprintf(r.second, sizeof(r.second), "%.200s", line);
		r.lines++;
	}
	fclose(f);
	free(line);
	cr_assert_eq(wait4(pid, &wait_status, 0, &usage), pid);
	r.code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	r.peak_kib = usage.ru_maxrss;
	return r;
}

static void expect_all(const char *store, struct run r, int64_t events)
{
	fprintf(stderr, "%s: %" PRId64 " events as CSV, peak memory %ld KiB\n", store, events, r.peak_kib);
	cr_expect_eq(r.code, 0);
	cr_expect_eq(r.lines, events + 1);
	cr_expect(strncmp(r.first, "\"createdAt\",\"actorType\"", 23) == 0, "%s", r.first);
#ifndef __SANITIZE_ADDRESS__
	cr_expect_lt(r.peak_kib, MEMORY_MAX_KIB);
#endif
}

#define FIRST_MS 1750000000000

static void setup(void)
{
	if (getenv("RAKKR_TEST_PROGRAM") == NULL)
		cr_skip_test("RAKKR_TEST_PROGRAM is not set");
	mem = talloc_new(NULL);
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(audit_export, .init = setup, .fini = teardown, .timeout = 600);

Test(audit_export, flat_files)
{
	int64_t events = wanted_events();
	const char *log;
	struct run r;
	FILE *f;

	snprintf(folder, sizeof(folder), "/tmp/rakkr-audit-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	mkdir("data", 0700);
	log = "data/audit-events.jsonl";
	f = fopen(log, "w");
	for (int64_t i = 0; i < events; i++) {
		char id[UUID_SIZE], iso[CLOCK_ISO_SIZE];

		uuid_v7(id, FIRST_MS + i);
		fprintf(
		    f,
		    "{\"action\":\"nodes.read\",\"actor\":{\"id\":\"u\",\"name\":\"Ann\",\"roles\":[\"owner\"],"
		    "\"type\":\"user\"},\"actorContext\":{\"ipAddress\":\"192.0.2.1\"},\"createdAt\":\"%s\","
		    "\"details\":"
		    "{\"method\":\"GET\",\"path\":\"/api/v1/nodes\"},\"id\":\"%s\",\"outcome\":\"allowed\",\"target\":"
		    "{\"type\":\"controller\"}}\n",
		    clock_iso(iso, FIRST_MS + i), id);
	}
	fclose(f);
	r = export_audit(NULL, "2025-01-01", "2031-01-01");
	expect_all("flat files", r, events);
	cr_expect(strncmp(r.second + 1, clock_iso_dup(mem, FIRST_MS + events - 1), 24) == 0, "newest first: %s",
	          r.second);
	r = export_audit(NULL, clock_iso_dup(mem, FIRST_MS + 10), clock_iso_dup(mem, FIRST_MS + 19));
	cr_expect_eq(r.lines, 11, "both ends are included: %" PRId64, r.lines);
	cr_expect_eq(export_audit(NULL, "yesterday", "2031-01-01").code, 2);
	cr_expect_eq(system(mem_printf(mem, "rm -rf '%s'", folder)), 0);
}

Test(audit_export, postgres)
{
	struct store *s = store_pg_open();
	int64_t events = wanted_events();
	struct run r;

	sql(mem_printf(
	    mem,
	    "INSERT INTO audit_events (action, actor_id, actor_display_name, created_at, outcome, target_type,"
	    " details) SELECT 'nodes.read', 'u', 'Ann', to_timestamp(1750000000 + i / 1000.0), 'allowed',"
	    " 'controller', '{\"method\":\"GET\",\"path\":\"/api/v1/nodes\"}' FROM generate_series(1, %" PRId64 ") i",
	    events));
	r = export_audit(getenv("RAKKR_TEST_DATABASE_URL"), "2025-01-01", "2031-01-01");
	expect_all("postgres", r, events);
	cr_expect(strncmp(r.second + 1, clock_iso_dup(mem, FIRST_MS + events), 24) == 0, "newest first: %s", r.second);
	sql("TRUNCATE audit_events");
	store_pg_close(s);
}

/* ---- retention --------------------------------------------------------------------------------------------------- */

Test(audit_export, old_events_are_deleted_in_batches)
{
	struct store *s = store_pg_open();
	struct app app = {.config = conf, .store = s};
	struct audit_retention state = {0};

	sql("INSERT INTO audit_events (action, created_at, outcome) SELECT CASE WHEN i > 7000 THEN 'young' ELSE 'old' "
	    "END,"
	    " now() - CASE WHEN i > 7000 THEN interval '29 days' ELSE interval '31 days' END, 'allowed'"
	    " FROM generate_series(1, 7100) i");
	cr_assert_eq(audit_retention_tick(&app, &state), ST_OK);
	cr_expect_str_eq(sql_text(mem, "SELECT count(*) FROM audit_events"), "7100", "off unless asked for");
	config_set(conf, CFG_AUDIT_RETENTION_DAYS, "30");
	cr_assert_eq(audit_retention_tick(&app, &state), ST_OK);
	cr_expect_str_eq(sql_text(mem, "SELECT count(*) FROM audit_events WHERE action = 'old'"), "2000");
	cr_expect_str_eq(sql_text(mem, "SELECT details->>'deletedCount' FROM audit_events"
	                               " WHERE action = 'audit.retention.succeeded'"),
	                 "7000", "told with the first batch");
	cr_assert_eq(audit_retention_tick(&app, &state), ST_OK);
	cr_assert_eq(audit_retention_tick(&app, &state), ST_OK);
	cr_expect_str_eq(sql_text(mem, "SELECT count(*) FROM audit_events WHERE action = 'old'"), "0");
	cr_expect_str_eq(sql_text(mem, "SELECT count(*) FROM audit_events WHERE action = 'young'"), "100");
	cr_expect_str_eq(sql_text(mem,
	                          "SELECT count(*) || ' ' || min(actor_id) || ' ' || min(actor_display_name) || ' ' ||"
	                          " min(actor_type) FROM audit_events WHERE action LIKE 'audit.retention%'"),
	                 "1 system:audit_retention Audit retention system");
	store_pg_close(s);
}

Test(audit_export, old_lines_are_deleted)
{
	struct app app = {.config = NULL};
	struct audit_retention state = {0};
	struct config *c = config_defaults(mem);
	const char *error;
	struct query q;
	struct page page;
	char iso[CLOCK_ISO_SIZE];

	snprintf(folder, sizeof(folder), "/tmp/rakkr-audit-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	config_set(c, CFG_AUDIT_RETENTION_DAYS, "30");
	app.config = c;
	app.store = store_open(mem, c, &error);
	for (int i = 0; i < 10; i++) {
		json_object *e = an_event(mem, i < 6 ? "old" : "young");

		json_set_str(e, "createdAt", clock_iso(iso, clock_now_ms() - (i < 6 ? 31 : 29) * (int64_t)DAY_MS + i));
		cr_assert_eq(store_commit(app.store, list_of(mem, e), true), ST_OK);
	}
	cr_assert_eq(audit_retention_tick(&app, &state), ST_OK);
	query_init(&q);
	page = list_ok(app.store, mem, &model_audit_events, &q);
	cr_expect_eq(page.count, 5);
	cr_expect_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "action"), "audit.retention.succeeded");
	cr_expect_eq(json_int(json_object_at(json_object_array_get_idx(page.docs, 0), "details"), "deletedCount", 0),
	             6);
	cr_expect_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "action"), "young");
	talloc_free(app.store);
	cr_expect_eq(system(mem_printf(mem, "rm -rf '%s'", folder)), 0);
}
