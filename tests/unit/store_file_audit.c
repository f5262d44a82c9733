/* The flat-file store: the audit log. */
#include "unit/store_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(store_file_audit, .init = setup, .fini = teardown, .timeout = 120);

/* ---- audit -------------------------------------------------------------------------------------- */

static json_object *event(int i, const char *action, const char *actor)
{
	json_object *o = from_json(
	    "{\"action\":\"\",\"actor\":{\"id\":\"\",\"name\":\"Ann\",\"roles\":[\"owner\"],\"type\":\"user\"},"
	    "\"actorContext\":{},\"createdAt\":\"\",\"details\":{\"method\":\"GET\"},\"id\":\"\","
	    "\"outcome\":\"succeeded\",\"target\":{\"type\":\"controller\"}}");
	char id[UUID_SIZE];

	uuid_v7(id, 1750000000000 + i * 1000);
	json_set_str(o, "id", id);
	json_set_str(o, "action", action);
	json_set_str(json_get(o, "actor"), "id", actor);
	json_set_iso(o, "createdAt", 1750000000000 + i * 1000);
	return o;
}

static void append(void *s, json_object *e, bool durable)
{
	json_object *events = json_new_array(mem);

	json_push_ref(events, e);
	cr_assert_eq(OPS.commit(s, events, durable), ST_OK);
}

Test(store_file_audit, audit_events_are_appended_and_listed)
{
	void *s = open_store(), *other = open_store();
	struct query q;
	struct page page;
	json_object *doc, *counts, *last = NULL;
	int64_t moved;

	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 0);
	for (int i = 0; i < 1500; i++)
		append(i % 2 == 0 ? s : other, last = event(i, i % 3 == 0 ? "nodes.read" : "jobs.read", "u1"),
		       i % 500 == 0);
	cr_assert_eq(OPS.audit_maintain(s, &moved), ST_OK);
	q.limit = 2;
	q.want_total = true;
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 2);
	cr_assert_eq(page.total, 1500, "no cap at 500");
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "id"), json_str(last, "id"));
	query_where(&q, "action", Q_CONTAINS, "NODES");
	query_where(&q, "createdAt", Q_LE, "2025-06-15T15:07:00.000Z");
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.total, 7);
	query_init(&q);
	query_where(&q, "createdAt", Q_GE, "2025-06-15T15:31:30.000Z");
	cr_assert_eq(OPS.count_by(s, mem, &model_audit_events, &q, "action", &counts), ST_OK);
	cr_assert_str_eq(json_compact(mem, counts, NULL),
	                 "[{\"value\":\"jobs.read\",\"count\":7},{\"value\":\"nodes.read\",\"count\":3}]");
	cr_assert_eq(OPS.get(other, mem, &model_audit_events, json_str(last, "id"), &doc), ST_OK);
	cr_assert_eq(OPS.get(other, mem, &model_audit_events, USER_ID, &doc), ST_NOT_FOUND);
	cr_assert(json_has(doc, "correlationIds") || doc == NULL);
}

Test(store_file_audit, a_torn_audit_line_is_skipped_and_long_texts_are_cut)
{
	void *s = open_store();
	json_object *e = event(1, "a", "u");
	struct query q;
	struct page page;
	char wide[400];
	FILE *f;

	memset(wide, 'w', sizeof(wide));
	wide[399] = '\0';
	append(s, event(0, "first", "u"), true);
	f = fopen(in_folder("audit-events.jsonl"), "ae");
	fputs("{\"action\":\"torn\",\"id\":\"", f);
	fclose(f);
	query_init(&q);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 1);
	json_set_str(json_get(e, "target"), "id", wide);
	append(s, e, true);
	append(s, event(2, "third", "u"), true);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 3);
	e = json_object_array_get_idx(page.docs, 1);
	cr_assert_eq(strlen(json_str(json_get(e, "target"), "id")), 160);
	/* lines longer than a block of the reader */
	e = event(3, "big", "u");
	json_set_str(json_get(e, "details"), "text", mem_printf(mem, "%0200000d", 7));
	append(s, e, true);
	append(s, event(4, "after", "u"), true);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 5);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "action"), "big");
	/* rotated away: the next event starts a new log */
	rename(in_folder("audit-events.jsonl"), in_folder("audit-events.jsonl.1"));
	append(s, event(5, "new", "u"), false);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 1);
}

Test(store_file_audit, audit_events_survive_a_full_disk)
{
	struct rlimit limit = {.rlim_cur = 700, .rlim_max = RLIM_INFINITY}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	void *s = open_store();
	struct query q;
	struct page page;
	int failed = 0;
	size_t n;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 5; i++)
		failed += OPS.commit(s, list_of(mem, event(i, "x", "u")), true) == ST_NO_SPACE;
	cr_assert_geq(failed, 2, "what is not on disk is not acknowledged");
	slurp(in_folder("audit-events.jsonl"), &n);
	setrlimit(RLIMIT_FSIZE, &unlimited);
	cr_assert_lt(n, 701);
	cr_assert_eq(slurp(in_folder("audit-events.jsonl"), NULL)[n - 1], '\n', "no torn line");
	append(s, event(9, "x", "u"), true);
	query_init(&q);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 6);
}

Test(store_file_audit, no_write_is_left_without_its_event)
{
	char *log = in_folder("audit-events.jsonl");
	void *s = open_store();
	struct query q;
	struct page page;

	cr_assert_eq(mkdir(log, 0700), 0);
	/* The journal, which has the event, is on disk: acknowledged. */
	OPS.insert(s, mem, &model_schedules, schedule("one", "One"), NULL);
	cr_assert_eq(OPS.commit(s, list_of(mem, event(1, "one", "u")), true), ST_OK);
	/* There is room for one such commit; until it is carried out, no other. */
	cr_assert_neq(OPS.insert(s, mem, &model_schedules, schedule("two", "Two"), NULL), ST_OK);
	OPS.rollback(s);
	cr_assert_neq(OPS.commit(s, list_of(mem, event(2, "read", "u")), true), ST_OK);
	cr_assert_eq(rmdir(log), 0);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("three", "Three"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, list_of(mem, event(3, "three", "u")), true), ST_OK);
	query_init(&q);
	query_where(&q, "action", Q_EQ, "one");
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 3);
}

Test(store_file_audit, old_audit_events_are_removed)
{
	void *s = open_store(), *other = open_store();
	struct query q;
	struct page page;
	int64_t removed;

	for (int i = 0; i < 100; i++)
		append(i % 2 ? s : other, event(i, "x", "u"), false);
	cr_assert_eq(
	    OPS.audit_prune(s, 1750000000000 + 60 * 1000, 10, list_of(mem, event(100, "pruned", "u")), &removed),
	    ST_OK);
	cr_assert_eq(removed, 60);
	append(other, event(101, "x", "u"), true); /* that one has the old log open */
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 42);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "action"), "pruned");
	cr_assert_eq(
	    OPS.audit_prune(s, 1750000000000 + 60 * 1000, 10, list_of(mem, event(102, "pruned", "u")), &removed),
	    ST_OK);
	cr_assert_eq(removed, 0);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 42, "nothing removed, no event");
}
