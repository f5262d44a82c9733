/* Heartbeats of the flat-file store: at once in live memory, soon in the file (store/beats.h). */
#include "base/clock.h"
#include "base/mem.h"
#include "store/beats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/beats-XXXXXX";
static void *mem;
static struct app app;

static void open_store(int64_t places)
{
	mem = talloc_new(NULL);
	struct config *c = config_defaults(mem);
	const char *error = NULL;

	cr_assert_not_null(mkdtemp(folder));
	config_set(c, CFG_DATA_DIR, folder);
	cr_assert_eq(chdir(folder), 0); /* the other files are relative to it */
	app = (struct app){.config = c, .live = live_create(places), .store = store_open(mem, c, &error)};
	cr_assert_not_null(app.store, "%s", error);
}

static void close_store(void)
{
	char command[64];

	talloc_free(mem);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		cr_log_warn("cannot remove %s", folder);
}

TestSuite(beats, .fini = close_store);

static json_object *parse(const char *text)
{
	json_object *o;

	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

/* A node enrolled (and thus written) an hour ago. */
static void add_node(const char *id, int64_t now_ms)
{
	json_object *node =
	    parse("{\"agentVersion\":\"unknown\",\"alias\":\"A\",\"hostname\":\"h\",\"interfaces\":[],"
	          "\"ipAddresses\":[],\"location\":{\"site\":\"S\",\"room\":\"R\"},\"status\":\"offline\","
	          "\"tags\":[]}");
	json_object *credential = json_new_object(mem), *stored;

	json_set_str(node, "id", id);
	json_set_iso(node, "createdAt", now_ms);
	json_set_iso(node, "updatedAt", now_ms);
	json_set_str(credential, "id", id);
	json_set_str(credential, "nodeId", id);
	json_set_str(credential, "tokenHash", id);
	json_set_str(credential, "tokenPrefix", "rakkr_node_A");
	json_set_iso(credential, "createdAt", now_ms);
	cr_assert_eq(store_node_enroll(app.store, mem, node, credential, &stored), ST_OK);
	cr_assert_eq(store_commit(app.store, NULL, true), ST_OK);
}

static json_object *stored_node(const char *id)
{
	json_object *node;

	cr_assert_eq(store_get(app.store, mem, &model_nodes, id, &node), ST_OK);
	return node;
}

/* The node as everybody sees it. */
static json_object *seen_node(const char *id)
{
	return beats_current(&app, mem, stored_node(id));
}

static json_object *beat(const char *id, const char *host, int uptime, int64_t now_ms, json_object **before)
{
	char text[300];
	json_object *after;

	snprintf(text, sizeof(text),
	         "{\"agentVersion\":\"1\",\"hostname\":\"%s\",\"ipAddresses\":[\"192.0.2.1\"],\"status\":\"online\","
	         "\"runtime\":{\"uptimeSeconds\":%d}}",
	         host, uptime);
	cr_assert_eq(beats_take(&app, mem, id, parse(text), now_ms, before, &after), ST_OK);
	return after;
}

Test(beats, are_seen_at_once_and_written_together)
{
	int64_t now_ms = clock_now_ms() + 10;
	json_object *before, *after;

	open_store(8);
	add_node("a", now_ms - 10);
	add_node("b", now_ms - 10);
	after = beat("a", "rack", 5, now_ms, &before);
	cr_expect_not(store_dirty(app.store), "nothing to commit");
	cr_expect_str_eq(json_str(before, "status"), "offline");
	cr_expect_str_eq(json_str(after, "status"), "online");
	cr_expect_str_eq(json_str(after, "hostname"), "rack");
	cr_expect_str_eq(json_str(after, "alias"), "A");
	after = beat("a", "rack", 10, now_ms + 5, &before);
	cr_expect_eq(json_int(json_object_at(before, "runtime"), "uptimeSeconds", 0), 5);
	cr_expect_eq(json_int(json_object_at(after, "runtime"), "uptimeSeconds", 0), 10);
	cr_expect_str_eq(json_str(stored_node("a"), "status"), "offline", "not in the file yet");
	cr_expect(json_same(json_get(seen_node("a"), "ipAddresses"), json_get(after, "ipAddresses")));

	cr_assert_eq(beats_flush(&app), ST_OK);
	json_object *node = stored_node("a");
	cr_expect_str_eq(json_str(node, "status"), "online");
	cr_expect_str_eq(json_str(node, "hostname"), "rack");
	cr_expect_str_eq(json_str(node, "lastSeenAt"), json_str(after, "lastSeenAt"));
	cr_expect_eq(json_int(json_object_at(node, "runtime"), "uptimeSeconds", 0), 10);
	cr_expect_str_eq(json_str(stored_node("b"), "status"), "offline");
	cr_assert_eq(beats_flush(&app), ST_OK);
}

Test(beats, a_beat_without_runtime_keeps_the_old_one)
{
	int64_t now_ms = clock_now_ms() + 10;
	json_object *before, *after;

	open_store(8);
	add_node("a", now_ms - 10);
	beat("a", "rack", 5, now_ms, &before);
	json_object *bare =
	    parse("{\"agentVersion\":\"1\",\"hostname\":\"h\",\"ipAddresses\":[],\"status\":\"online\"}");
	cr_assert_eq(beats_take(&app, mem, "a", bare, now_ms + 5, &before, &after), ST_OK);
	cr_expect_eq(json_int(json_object_at(after, "runtime"), "uptimeSeconds", 0), 5);
}

/* What a user changes holds until the next beat, as it does with a database. */
Test(beats, a_later_edit_is_not_hidden)
{
	int64_t now_ms = clock_now_ms();
	json_object *before;
	struct query q;
	struct page page;

	open_store(8);
	add_node("a", now_ms - 1000);
	beat("a", "rack", 5, now_ms - 500, &before);
	query_init(&q);
	query_where(&q, "id", Q_EQ, "a");
	cr_assert_eq(store_update(app.store, mem, &model_nodes, &q, parse("{\"hostname\":\"edited\"}"), &page, NULL),
	             ST_OK);
	cr_assert_eq(store_commit(app.store, NULL, true), ST_OK);
	cr_expect_str_eq(json_str(seen_node("a"), "hostname"), "edited");
	cr_expect_str_eq(json_str(seen_node("a"), "status"), "online", "an edit hides no sign of life");
	cr_assert_eq(beats_flush(&app), ST_OK);
	cr_expect_str_eq(json_str(stored_node("a"), "status"), "online");
	cr_expect_str_eq(json_str(seen_node("a"), "hostname"), "edited");
	beat("a", "rack", 6, clock_now_ms() + 10, &before);
	cr_expect_str_eq(json_str(seen_node("a"), "hostname"), "rack");
}

/* No room in live memory, or a clock that was set back: stored before the answer. */
Test(beats, without_room_they_are_stored)
{
	int64_t now_ms = clock_now_ms() + 10;
	json_object *before;

	open_store(1);
	add_node("a", now_ms - 10);
	cr_assert_eq(live_meter_put(app.live, "other", "{}", 2, 0), ST_OK);
	beat("a", "rack", 5, now_ms, &before);
	cr_expect(store_dirty(app.store));
	cr_assert_eq(store_commit(app.store, NULL, true), ST_OK);
	cr_expect_str_eq(json_str(stored_node("a"), "status"), "online");
	beat("a", "again", 5, now_ms - 3600000, &before); /* the clock was set back */
	cr_expect(store_dirty(app.store));
	store_rollback(app.store);
}

Test(beats, of_nobody)
{
	json_object *before, *after;

	open_store(8);
	cr_assert_eq(beats_take(&app, mem, "nobody", parse("{}"), 1, &before, &after), ST_NOT_FOUND);
	cr_assert_eq(beats_flush(&app), ST_OK);
}
