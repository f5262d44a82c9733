/* Exports of any length: made while they are sent, and never taken for whole when they are not. Postgres only. */
#include "http/harness.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(fault_export, .timeout = 120);

#define ROWS 40000

struct download {
	long status;
	CURLcode code;
	size_t lines, bytes;
	curl_off_t bytes_a_second; /* 0 = as fast as it goes */
};

static size_t count(char *data, size_t size, size_t n, void *arg)
{
	struct download *d = arg;

	for (size_t i = 0; i < size * n; i++)
		d->lines += data[i] == '\n';
	d->bytes += size * n;
	return size * n;
}

static void *download(void *arg)
{
	struct download *d = arg;
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, fmt("Authorization: Bearer %s", admin()));

	curl_easy_setopt(curl, CURLOPT_URL, fmt("%s/api/v1/recordings/export", test_url()));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, d->bytes_a_second);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
	d->code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &d->status);
	curl_easy_cleanup(curl);
	return NULL;
}

static bool cursor_ended(void *arg)
{
	(void)arg;
	return sql("SELECT 1 FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ="
	           " 'rakkr-fcgi' AND query LIKE 'FETCH%%' AND datname = current_database()) x") != NULL;
}

Test(fault_export, is_whole_or_broken_off)
{
	struct download whole = {0}, cut = {.bytes_a_second = 4000000};
	pthread_t thread;
	int64_t there;

	if (!on_postgres())
		cr_skip_test("flat files");
	there = atoll(sql("SELECT count(*) FROM recordings"));
	sql("INSERT INTO recordings (folder, id, metadata, name, recorded_at, source, status) SELECT 'Export',"
	    " 'rec_export_' || i, '{\"cached\":false}', 'Take ' || i, now(), 'ad_hoc', 'completed'"
	    " FROM generate_series(1, %d) i",
	    ROWS);
	download(&whole);
	pthread_create(&thread, NULL, download, &cut);
	cr_expect(wait_until(cursor_ended, NULL, 20000), "no export was under way");
	pthread_join(thread, NULL);
	sql("DELETE FROM recordings WHERE id LIKE 'rec_export_%%'");
	cr_expect_eq(whole.status, 200);
	cr_expect_eq(whole.code, CURLE_OK);
	/* a quoted cell of an earlier test may hold line breaks */
	cr_expect_geq((int64_t)whole.lines, ROWS + there, "%zu lines", whole.lines);
	cr_expect_neq(cut.code, CURLE_OK, "the half was taken for the whole");
	cr_expect_lt(cut.bytes, whole.bytes);
}

#define NODES 3000 /* more than are answered from memory */

/* A large inventory is read again while it is sent: all of it, filtered, with the numbers that the audit log says. */
Test(fault_export, of_a_large_inventory)
{
	struct response list, csv, some;
	json_object *data;
	size_t lines = 0;
	int total;

	if (!on_postgres())
		cr_skip_test("flat files");
	sql("INSERT INTO nodes (agent_version, alias, hostname, id) SELECT '0.1.0', 'Wide inventory ' || i, 'h',"
	    " 'node_export_' || i FROM generate_series(1, %d) i",
	    NODES);
	total = atoi(sql("SELECT count(*) + 1 FROM nodes WHERE id <> 'node_x32_test'")); /* and the demo node */
	list = get("/api/v1/nodes", admin());
	csv = get("/api/v1/nodes/export", admin());
	some = get("/api/v1/nodes/export?q=inventory%2012", admin());
	sql("DELETE FROM nodes WHERE id LIKE 'node_export_%%'");
	cr_assert_eq(list.status, 200);
	data = j_at(list.json, "data");
	cr_expect_eq((int)json_object_array_length(data), total);
	cr_expect_str_eq(j_str(json_object_array_get_idx(data, (size_t)total - 1), "id"), "node_x32_test");
	cr_expect_eq(csv.status, 200);
	for (const char *at = csv.body; (at = strstr(at, "Wide inventory ")) != NULL; at++)
		lines++;
	cr_expect_eq(lines, NODES);
	lines = 0;
	for (const char *at = some.body; (at = strstr(at, "Wide inventory 12")) != NULL; at++)
		lines++;
	cr_expect_eq(lines, 111); /* 12, 120 to 129, 1200 to 1299 */
	cr_expect_eq(j_int(audit_last("nodes.export.succeeded", "node_collection"), "details.exportedCount"), 111);
}
