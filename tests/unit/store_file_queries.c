/* The flat-file store: queries, accounts and nodes. */
#include "unit/store_file.h"

TestSuite(store_file_queries, .init = setup, .fini = teardown, .timeout = 120);

/* ---- queries ------------------------------------------------------------------------------------ */

static void check_ids(const struct page *page, const char *expected)
{
	char *ids = mem_strdup(mem, "");

	for (size_t i = 0; i < page->count; i++)
		ids = mem_printf(mem, "%s%s%s", ids, i > 0 ? " " : "",
		                 json_str(json_object_array_get_idx(page->docs, i), "id"));
	cr_assert_str_eq(ids, expected);
}

static void *store_with_recordings(void)
{
	static const char *const names[] = {"beta", "Alpha", "álpha", "100%", "50_5", "C:\\te", "it's", "alpha"};
	void *s;

	spill(in_folder("recordings-metadata.json"), "{\"recordings\":[]}");
	s = open_store();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_object *o = recording(mem_printf(mem, "r%zu", i));

		json_set_str(o, "name", names[i]);
		json_set_int(o, "durationSeconds", (int64_t)(i * 37 % 8));
		json_set_str(o, "recordedAt", mem_printf(mem, "2026-01-%02zuT00:00:00.000Z", 20 - i));
		json_set_str(o, "scheduleId", i % 2 == 0 ? "s1" : "s2");
		json_set_str(o, "nodeId", i < 4 ? "n1" : "n2");
		if (i == 2)
			json_object_object_add(o, "tags", json_object_get(from_json("[\"Voice\",\"x\"]")));
		cr_assert_eq(OPS.insert(s, mem, &model_recordings, o, NULL), ST_OK);
	}
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	return s;
}

Test(store_file_queries, queries_filter_sort_and_page)
{
	void *s = store_with_recordings();
	struct query q;
	struct page page;
	json_object *counts;
	static const char *const literal[] = {"%", "_", "\\", "'", "C:\\TE"};
	static const char *const hits[] = {"r3", "r4", "r5", "r6", "r5"};

	query_init(&q);
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r7 r6 r5 r4 r3 r2 r1 r0");
	q.limit = 3;
	q.offset = 2;
	q.want_total = true;
	query_sort(&q, "name", false);
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r7 r1 r2");
	cr_assert_eq(page.total, 8);
	query_init(&q);
	query_sort(&q, "durationSeconds", true);
	q.limit = 2;
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r3 r6");
	for (size_t i = 0; i < 5; i++) {
		query_init(&q);
		query_where(&q, "name", Q_CONTAINS, literal[i]);
		OPS.list(s, mem, &model_recordings, &q, &page);
		check_ids(&page, hits[i]);
	}
	query_init(&q);
	query_where(&q, "recordedAt", Q_GE, "2026-01-14");
	query_where(&q, "recordedAt", Q_LE, "2026-01-16T00:00:00.000Z");
	query_where(&q, "nodeId", Q_NE, "n1");
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r6 r5 r4");
	query_init(&q);
	query_where(&q, "tags", Q_HAS_CI, "voice");
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2");
	query_init(&q);
	query_where(&q, "notes", Q_ABSENT, NULL);
	q.search = "ÁLP";
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2");
	query_init(&q);
	OPS.count_by(s, mem, &model_recordings, &q, "nodeId", &counts);
	cr_assert_str_eq(json_compact(mem, counts, NULL),
	                 "[{\"value\":\"n2\",\"count\":4},{\"value\":\"n1\",\"count\":4}]");
	query_where(&q, "nowhere", Q_EQ, "x");
	cr_assert_eq(OPS.list(s, mem, &model_recordings, &q, &page), ST_INTERNAL);
}

Test(store_file_queries, scopes_cut_recordings_and_jobs)
{
	void *s = store_with_recordings();
	const char *schedules[] = {"s1"}, *nodes[] = {"n2"};
	struct row_scope scope = {.allow_schedules = {.ids = schedules, .count = 1},
	                          .deny_nodes = {.ids = nodes, .count = 1}};
	struct query q;
	struct page page;

	query_init(&q);
	q.scope = &scope;
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2 r0");
	OPS.insert(s, mem, &model_jobs, job("j1", "r2"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j2", "r1"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j3", "gone"), NULL);
	OPS.list(s, mem, &model_jobs, &q, &page);
	check_ids(&page, "j1");
	scope = (struct row_scope){.allow_all = true};
	OPS.list(s, mem, &model_jobs, &q, &page);
	check_ids(&page, "j2 j1");
	scope = (struct row_scope){.allow_schedules = {.all = true}};
	OPS.list(s, mem, &model_recordings, &q, &page);
	cr_assert_eq(page.count, 0, "the schedules are gone");
	scope.deny_all = scope.allow_all = true;
	OPS.list(s, mem, &model_recordings, &q, &page);
	cr_assert_eq(page.count, 0);
}

/* ---- accounts and nodes ------------------------------------------------------------------------- */

static const char *sign_in(void *s, const char *hash, int64_t expires_ms)
{
	json_object *user =
	    from_json("{\"id\":\"" USER_ID "\",\"email\":\"ann@example.org\",\"name\":\"Ann\","
	              "\"provider\":\"local\",\"passwordHash\":\"h\",\"groups\":[{\"id\":\"av\",\"name\":\"av\"}],"
	              "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"X\"}]}");
	json_object *session = json_new_object(mem);
	const char *id = NULL;

	json_set_str(session, "tokenHash", hash);
	json_set_str(session, "userId", USER_ID);
	json_set_iso(session, "expiresAt", expires_ms);
	cr_assert_eq(OPS.session_create(s, mem, user, session, &id), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	return id;
}

Test(store_file_queries, sessions_live_and_end)
{
	void *a = open_store(), *b = open_store();
	int64_t now = clock_now_ms();
	json_object *found;
	const char *id = sign_in(a, "hash1", now + 60000);
	struct page page;

	cr_assert_eq(OPS.session_find(b, mem, "hash1", now, &found), ST_OK);
	cr_assert_str_eq(json_str(found, "sessionId"), id);
	cr_assert_str_eq(json_compact(mem, json_get(found, "user"), NULL),
	                 "{\"id\":\"" USER_ID
	                 "\",\"email\":\"ann@example.org\",\"name\":\"Ann\",\"provider\":\"local\","
	                 "\"roles\":[],\"groups\":[{\"id\":\"av\",\"name\":\"av\"}],"
	                 "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"X\"}]}");
	cr_assert_not(json_flag(found, "roleRows", true));
	cr_assert_not(json_flag(found, "policiesStored", true));
	cr_assert_eq(OPS.session_find(b, mem, "hash1", now + 60000, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.session_find(b, mem, "hash2", now, &found), ST_NOT_FOUND);
	cr_assert_eq(count_all(b, &model_access_groups), 1);
	sign_in(b, "hash2", now + 60000);
	cr_assert_eq(OPS.session_revoke(a, "hash1", now), ST_OK);
	cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(b, mem, "hash1", now, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.session_find(b, mem, "hash2", now, &found), ST_OK);
	cr_assert_eq(update_one(b, &model_users, USER_ID, "{\"disabledAt\":\"2026-01-01T00:00:00.000Z\"}", &page),
	             ST_OK);
	cr_assert_eq(OPS.commit(b, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(a, mem, "hash2", now, &found), ST_NOT_FOUND);
	sign_in(a, "hash3", now + 60000);
	cr_assert_eq(count_all(a, &model_sessions), 2, "the revoked one is gone");
	cr_assert_eq(OPS.sessions_revoke_user(a, USER_ID, now), ST_OK);
	cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
	cr_assert_null(strstr(slurp(in_folder("users.json"), NULL), "hash1"));
	sign_in(a, "hash4", now - 1);
	cr_assert_eq(count_all(a, &model_sessions), 1);
}

Test(store_file_queries, access_and_policies)
{
	void *s = open_store();
	int64_t now = clock_now_ms();
	json_object *found, *user, *stored;
	struct query q;
	struct page page;

	sign_in(s, "hash", now + 60000);
	cr_assert_eq(OPS.access_write(s, mem, USER_ID, from_json("[\"viewer\",\"viewer\"]"), from_json("[]"),
	                              from_json("[{\"id\":\"av\",\"name\":\"av\"},{\"id\":\"g2\",\"name\":\"g2\"}]")),
	             ST_OK);
	cr_assert_eq(OPS.access_write(s, mem, "nobody", from_json("[]"), from_json("[]"), from_json("[]")),
	             ST_NOT_FOUND);
	cr_assert_eq(
	    OPS.policies_replace(s, mem,
	                         from_json("[{\"effect\":\"deny\",\"subjectType\":\"group\",\"subjectId\":\"g2\","
	                                   "\"resourceType\":\"node\",\"resourceId\":\"n1\"},"
	                                   "{\"effect\":\"allow\",\"subjectType\":\"user\",\"subjectId\":\"x\","
	                                   "\"resourceType\":\"*\",\"resourceId\":\"*\"}]"),
	                         USER_ID),
	    ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(s, mem, "hash", now, &found), ST_OK);
	cr_assert(json_flag(found, "roleRows", false));
	cr_assert(json_flag(found, "policiesStored", false));
	cr_assert_str_eq(json_compact(mem, json_get(found, "policies"), NULL),
	                 "[{\"effect\":\"deny\",\"resourceType\":\"node\",\"resourceId\":\"n1\"}]");
	cr_assert_str_eq(json_compact(mem, json_get(json_get(found, "user"), "roles"), NULL), "[\"viewer\"]");
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_access_policies, &q, &page), ST_OK);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "effect"), "deny");
	cr_assert_eq(OPS.policies_replace(s, mem, from_json("[]"), NULL), ST_OK);
	user =
	    from_json("{\"email\":\"ann@example.org\",\"name\":\"Other\",\"provider\":\"local\",\"passwordHash\":\"p\","
	              "\"roles\":[\"admin\"],\"groups\":[],\"resourceGrants\":[]}");
	cr_assert_eq(OPS.user_create(s, mem, user, NULL), ST_CONFLICT);
	json_set_str(user, "email", "bob@example.org");
	cr_assert_eq(OPS.user_create(s, mem, user, &stored), ST_OK);
	cr_assert_eq(strlen(json_str(stored, "id")), 36);
	cr_assert_str_eq(json_str(stored, "passwordHash"), "p");
	query_init(&q);
	query_where(&q, "id", Q_EQ, USER_ID);
	cr_assert_eq(OPS.remove(s, mem, &model_users, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(count_all(s, &model_sessions), 0, "removed with the user");
}

static json_object *enroll_node(void *s, const char *id, const char *hash)
{
	json_object *node =
	    from_json("{\"agentVersion\":\"1\",\"alias\":\"A\",\"hostname\":\"h\",\"interfaces\":[{\"alias\":\"I\","
	              "\"backend\":\"alsa\",\"channelCount\":2,\"channels\":[],\"id\":\"if1\",\"sampleRates\":[],"
	              "\"systemName\":\"sys\"}],\"ipAddresses\":[],\"location\":{\"room\":\"R\",\"site\":\"S\"},"
	              "\"status\":\"offline\",\"tags\":[]}");
	json_object *credential = json_new_object(mem), *stored;

	json_set_str(node, "id", id);
	json_set_str(credential, "nodeId", id);
	json_set_str(credential, "tokenHash", hash);
	json_set_str(credential, "tokenPrefix", "rakkr_node_AAAA");
	cr_assert_eq(OPS.node_enroll(s, mem, node, credential, &stored), ST_OK);
	return stored;
}

Test(store_file_queries, nodes_and_credentials)
{
	void *s = open_store();
	json_object *node = enroll_node(s, "n1", "h1"), *before, *after, *found;
	struct targets t = {0};
	struct query q;
	struct page page;

	cr_assert_eq(json_object_array_length(
	                 json_array(json_object_array_get_idx(json_array(node, "interfaces"), 0), "channels")),
	             2);
	cr_assert_not_null(json_str(node, "lastSeenAt"));
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h1", 0, &found), ST_OK);
	cr_assert_str_eq(json_str(found, "nodeId"), "n1");
	cr_assert_eq(OPS.node_heartbeat(s, mem, "n1",
	                                from_json("{\"agentVersion\":\"2\",\"hostname\":\"h2\",\"ipAddresses\":"
	                                          "[\"10.0.0.1\"],\"status\":\"online\",\"alias\":\"no\"}"),
	                                1750000000000, &before, &after),
	             ST_OK);
	cr_assert_str_eq(json_str(before, "status"), "offline");
	cr_assert_str_eq(json_str(after, "status"), "online");
	cr_assert_str_eq(json_str(after, "alias"), "A");
	cr_assert_str_eq(json_str(after, "lastSeenAt"), "2025-06-15T15:06:40.000Z");
	cr_assert_eq(OPS.node_heartbeat(s, mem, "nx", from_json("{}"), 0, &before, &after), ST_NOT_FOUND);
	cr_assert_eq(
	    OPS.interface_update(s, mem, "n1", "if1",
	                         from_json("{\"alias\":\"Box\",\"serialNumber\":null,\"channels\":[{\"index\":2,"
	                                   "\"alias\":\"Right\"},{\"index\":9,\"alias\":\"No\"}]}"),
	                         0, &after),
	    ST_OK);
	node = json_object_array_get_idx(json_array(after, "interfaces"), 0);
	cr_assert_str_eq(json_str(node, "alias"), "Box");
	cr_assert_str_eq(json_compact(mem, json_array(node, "channels"), NULL),
	                 "[{\"alias\":\"Channel 1\",\"index\":1},{\"alias\":\"Right\",\"index\":2}]");
	cr_assert_eq(OPS.interface_update(s, mem, "n1", "if9", from_json("{}"), 0, &after), ST_NOT_FOUND);
	cr_assert_eq(OPS.expand(s, mem, "channel", "if1:2", &t), ST_OK);
	cr_assert_eq(t.count, 6, "channel, interface, node, site, room, site/room");
	cr_assert_eq(OPS.credential_rotate(s, mem, "n1",
	                                   from_json("{\"nodeId\":\"n1\",\"tokenHash\":\"h2\",\"tokenPrefix\":\"p\"}"),
	                                   1750000000000),
	             ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h1", 0, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.credential_find(s, mem, "h2", 0, &found), ST_OK);
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_nodes, &q, &page), ST_OK);
	check_ids(&page, "n1 node_x32_test");
	query_where(&q, "id", Q_EQ, "n1");
	cr_assert_eq(OPS.remove(s, mem, &model_nodes, &q, &page), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h2", 0, &found), ST_NOT_FOUND);
}

Test(store_file_queries, health_follows_the_unresolved_events)
{
	void *s = open_store();
	json_object *doc, *event;
	struct page page;

	OPS.insert(s, mem, &model_recordings, recording("r"), NULL);
	cr_assert_eq(OPS.health_sync(s, mem, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "healthy");
	cr_assert_eq(
	    OPS.insert(s, mem, &model_health_events,
	               from_json("{\"type\":\"t\",\"severity\":\"critical\",\"recordingId\":\"r\",\"status\":\"open\","
	                         "\"openedAt\":\"2026-01-01T00:00:00Z\"}"),
	               &event),
	    ST_OK);
	cr_assert(json_has(event, "resolvedAt"));
	cr_assert_eq(OPS.health_sync(s, mem, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "critical");
	cr_assert_eq(update_one(s, &model_health_events, json_str(event, "id"),
	                        "{\"status\":\"resolved\",\"resolvedAt\":\"2026-01-01T00:00:01.000Z\"}", &page),
	             ST_OK);
	cr_assert_eq(OPS.health_sync(s, mem, "r", NULL), ST_OK);
	cr_assert_eq(OPS.get(s, mem, &model_recordings, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "healthy");
	cr_assert_eq(OPS.health_sync(s, mem, "gone", NULL), ST_NOT_FOUND);
}
