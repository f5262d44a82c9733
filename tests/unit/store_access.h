/* What both store backends must do alike for accounts, nodes, scope and audit. */
#ifndef RAKKR_TESTS_STORE_ACCESS_H
#define RAKKR_TESTS_STORE_ACCESS_H

#include "unit/store_samples.h"

/* ---- access ------------------------------------------------------------------------------------------------------ */

static inline json_object *new_user(struct store *s, const void *ctx)
{
	char *email = mem_printf(ctx, "%s@example.org", id_new(ctx, "u"));
	json_object *stored;

	cr_assert_eq(
	    store_user_create(s, ctx,
	                      parse(ctx, mem_printf(ctx,
	                                            "{\"email\":\"%s\",\"name\":\"Ann\",\"passwordHash\":\"h\","
	                                            "\"provider\":\"local\",\"roles\":[\"operator\",\"viewer\"],"
	                                            "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":"
	                                            "\"Hall\"}],\"groups\":[{\"id\":\"choir\",\"name\":\"Choir\"}]}",
	                                            email)),
	                      &stored),
	    ST_OK);
	commit_ok(s);
	return stored;
}

/* Logs the user in; returns the token's hash. */
static inline const char *log_in(struct store *s, const void *ctx, json_object *user, int64_t expires_ms)
{
	const char *hash = id_new(ctx, "hash_"), *id;
	json_object *session = json_new_object(ctx);

	json_set_str(session, "tokenHash", hash);
	json_set_str(session, "userId", json_str(user, "id"));
	json_set_iso(session, "expiresAt", expires_ms);
	json_set_str(session, "userAgent", "test");
	cr_assert_eq(store_session_create(s, ctx, user, session, &id), ST_OK);
	commit_ok(s);
	cr_expect(id != NULL);
	return hash;
}

static inline void common_users(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *user = new_user(s, ctx), *again, *got;
	struct query q;
	struct page page;

	cr_expect_str_eq(json_str(user, "passwordHash"), "h");
	cr_expect_str_eq(json_compact(ctx, json_get(user, "roles"), NULL), "[\"operator\",\"viewer\"]");
	cr_expect_eq(json_object_array_length(json_array(user, "resourceGrants")), 1);
	again = json_clone(ctx, user);
	json_object_object_del(again, "id");
	cr_expect_eq(store_user_create(s, ctx, again, &got), ST_CONFLICT);
	store_rollback(s);
	query_init(&q);
	query_where(&q, "email", Q_EQ, json_str(user, "email"));
	page = list_ok(s, ctx, &model_users, &q);
	cr_expect_eq(page.count, 1);
	cr_assert_eq(store_access_write(s, ctx, json_str(user, "id"), parse(ctx, "[\"auditor\"]"), parse(ctx, "[]"),
	                                parse(ctx, "[{\"id\":\"staff\",\"name\":\"Staff\"}]")),
	             ST_OK);
	commit_ok(s);
	cr_assert_eq(store_get(s, ctx, &model_users, json_str(user, "id"), &got), ST_OK);
	cr_expect_str_eq(json_compact(ctx, json_get(got, "roles"), NULL), "[\"auditor\"]");
	cr_expect_eq(json_object_array_length(json_array(got, "resourceGrants")), 0);
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(got, "groups"), 0), "name"), "Staff");
	cr_expect_eq(store_access_write(s, ctx, "00000000-0000-4000-8000-00000000dead", parse(ctx, "[]"),
	                                parse(ctx, "[]"), parse(ctx, "[]")),
	             ST_NOT_FOUND);
	cr_expect_eq(store_access_write(s, ctx, "not a uuid", NULL, NULL, NULL), ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_sessions(struct store *s)
{
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *found, *u;
	const char *hash = log_in(s, ctx, user, now + DAY_MS), *second = log_in(s, ctx, user, now + DAY_MS);
	const char *expired = log_in(s, ctx, user, now - 1);

	cr_assert_eq(store_session_find(s, ctx, hash, now, &found), ST_OK);
	u = json_get(found, "user");
	cr_expect_str_eq(json_str(u, "id"), json_str(user, "id"));
	cr_expect_str_eq(json_str(u, "email"), json_str(user, "email"));
	cr_expect_eq(json_object_array_length(json_array(u, "roles")), 2);
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(u, "groups"), 0), "id"), "choir");
	cr_expect_str_eq(json_str(json_object_array_get_idx(json_array(u, "resourceGrants"), 0), "resourceType"),
	                 "room");
	cr_expect(json_str(found, "sessionId") != NULL);
	cr_expect_not(json_has(u, "passwordHash"));
	cr_expect_eq(store_session_find(s, ctx, expired, now, &found), ST_NOT_FOUND);
	cr_assert_eq(store_session_revoke(s, hash, now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	cr_expect_eq(store_session_find(s, ctx, second, now, &found), ST_OK);
	cr_assert_eq(store_sessions_revoke_user(s, json_str(user, "id"), now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, second, now, &found), ST_NOT_FOUND);
	talloc_free(ctx);
}

static inline void common_disabled_user(struct store *s)
{
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	json_object *user = new_user(s, ctx), *found;
	const char *hash = log_in(s, ctx, user, now + DAY_MS);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(user, "id"));
	cr_assert_eq(store_update(s, ctx, &model_users, &q, parse(ctx, "{\"disabledAt\":\"2031-01-01T00:00:00.000Z\"}"),
	                          &page, NULL),
	             ST_OK);
	cr_expect_eq(page.count, 1);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	cr_assert_eq(store_update(s, ctx, &model_users, &q, parse(ctx, "{\"disabledAt\":null}"), &page, NULL), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_OK);
	cr_assert_eq(store_remove(s, ctx, &model_users, &q, &page), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_session_find(s, ctx, hash, now, &found), ST_NOT_FOUND);
	talloc_free(ctx);
}

/* A user whose row is made by the login itself (the administrator of the environment). */
static inline void common_first_login(struct store *s)
{
	void *ctx = talloc_new(NULL);
	char id[UUID_SIZE];
	json_object *user, *found;
	const char *hash;

	uuid_v4(id);
	user = parse(ctx, mem_printf(ctx,
	                             "{\"email\":\"%s@x\",\"id\":\"%s\",\"name\":\"Root\",\"passwordHash\":\"first\","
	                             "\"provider\":\"local\"}",
	                             id, id));
	hash = log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect_not(json_flag(found, "roleRows", true));
	json_set_str(user, "passwordHash", "second");
	log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	cr_assert_eq(store_get(s, ctx, &model_users, id, &found), ST_OK);
	cr_expect_str_eq(json_str(found, "passwordHash"), "first"); /* 07 Trap 9 */
	talloc_free(ctx);
}

static inline void common_policies(struct store *s)
{
	void *ctx = talloc_new(NULL);
	static const char *const order[] = {"a", "b", "*", "c"};
	json_object *user = new_user(s, ctx), *found, *list;
	const char *hash = log_in(s, ctx, user, clock_now_ms() + DAY_MS);
	struct query q;
	struct page page;

	list = parse(
	    ctx, mem_printf(ctx,
	                    "[{\"effect\":\"deny\",\"subjectType\":\"group\",\"subjectId\":\"choir\",\"resourceType\":"
	                    "\"node\",\"resourceId\":\"a\"},{\"effect\":\"allow\",\"subjectType\":\"user\","
	                    "\"subjectId\":\"%s\",\"resourceType\":\"node\",\"resourceId\":\"b\",\"reason\":\"r\"},"
	                    "{\"effect\":\"allow\",\"subjectType\":\"user\",\"subjectId\":\"someone\","
	                    "\"resourceType\":\"*\",\"resourceId\":\"*\"},{\"effect\":\"allow\",\"subjectType\":"
	                    "\"everyone\",\"resourceType\":\"room\",\"resourceId\":\"c\"}]",
	                    json_str(user, "email")));
	cr_assert_eq(store_policies_replace(s, ctx, list, json_str(user, "id")), ST_OK);
	commit_ok(s);
	query_init(&q);
	page = list_ok(s, ctx, &model_access_policies, &q);
	cr_assert_eq(page.count, 4);
	for (size_t i = 0; i < 4; i++) /* the order given */
		cr_expect_str_eq(json_str(json_object_array_get_idx(page.docs, i), "resourceId"), order[i]);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect(json_flag(found, "policiesStored", false));
	cr_expect_eq(json_object_array_length(json_array(found, "policies")), 3);
	/* All or nothing (D-29). */
	list = parse(
	    ctx, "[{\"effect\":\"maybe\",\"subjectType\":\"everyone\",\"resourceType\":\"x\",\"resourceId\":\"y\"}]");
	cr_expect_neq(store_policies_replace(s, ctx, list, NULL), ST_OK);
	store_rollback(s);
	page = list_ok(s, ctx, &model_access_policies, &q);
	cr_expect_eq(page.count, 4);
	cr_assert_eq(store_policies_replace(s, ctx, parse(ctx, "[]"), NULL), ST_OK);
	commit_ok(s);
	cr_assert_eq(store_session_find(s, ctx, hash, clock_now_ms(), &found), ST_OK);
	cr_expect_not(json_flag(found, "policiesStored", true));
	talloc_free(ctx);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static inline json_object *enroll(struct store *s, const void *ctx, const char *hash)
{
	const char *id = id_new(ctx, "node_");
	json_object *stored;

	cr_assert_eq(store_node_enroll(s, ctx, a_node(ctx, id), a_credential(ctx, id, hash), &stored), ST_OK);
	commit_ok(s);
	return stored;
}

static inline void common_nodes(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *hash = id_new(ctx, "hash_");
	json_object *node = enroll(s, ctx, hash), *found, *before, *after, *interface;
	const char *id = json_str(node, "id");
	int64_t now = clock_now_ms();

	cr_assert_eq(json_object_array_length(json_array(node, "interfaces")), 2);
	interface = json_object_array_get_idx(json_array(node, "interfaces"), 0);
	cr_expect_str_eq(json_str(interface, "alias"), "Second"); /* as given, not sorted */
	cr_expect_eq(json_object_array_length(json_array(interface, "channels")), 2);
	cr_assert_eq(store_credential_find(s, ctx, hash, now, &found), ST_OK);
	cr_expect_str_eq(json_str(found, "nodeId"), id);

	cr_assert_eq(store_node_heartbeat(s, ctx, id,
	                                  parse(ctx, "{\"agentVersion\":\"2.0\",\"hostname\":\"h2\",\"ipAddresses\":[],"
	                                             "\"status\":\"online\",\"runtime\":{\"audioBackends\":[\"alsa\"],"
	                                             "\"uptimeSeconds\":5}}"),
	                                  now, &before, &after),
	             ST_OK);
	commit_ok(s);
	cr_expect_str_eq(json_str(before, "agentVersion"), "1.0");
	cr_expect_str_eq(json_str(after, "agentVersion"), "2.0");
	cr_expect_str_eq(json_str(after, "status"), "online");
	cr_expect_str_eq(json_str(after, "lastSeenAt"), clock_iso_dup(ctx, now));
	cr_expect_eq(json_object_array_length(json_array(after, "ipAddresses")), 0);
	cr_expect_eq(json_object_array_length(json_array(after, "interfaces")), 2);
	cr_expect_eq(json_int(json_get(after, "recordingCapacity"), "maxConcurrentRecordings", 0), 4);
	cr_expect_eq(json_int(json_get(after, "runtime"), "uptimeSeconds", 0), 5);
	cr_expect_eq(
	    store_node_heartbeat(s, ctx, "node_none", parse(ctx, "{\"agentVersion\":\"2\"}"), now, &before, &after),
	    ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_interfaces(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, id_new(ctx, "hash_")), *after, *interface, *channels;
	const char *id = json_str(node, "id");
	const char *interface_id = json_str(json_object_array_get_idx(json_array(node, "interfaces"), 0), "id");

	cr_assert_eq(
	    store_interface_update(s, ctx, id, interface_id,
	                           parse(ctx, "{\"alias\":\"Box\",\"serialNumber\":null,\"channels\":[{\"index\":2,"
	                                      "\"alias\":\"no\"},{\"index\":2,\"alias\":\"Right\"},{\"index\":9,"
	                                      "\"alias\":\"none\"}]}"),
	                           clock_now_ms(), &after),
	    ST_OK);
	commit_ok(s);
	interface = json_object_array_get_idx(json_array(after, "interfaces"), 0);
	cr_expect_str_eq(json_str(interface, "alias"), "Box");
	cr_expect_not(json_has(interface, "serialNumber"));
	channels = json_array(interface, "channels");
	cr_expect_eq(json_object_array_length(channels), 2);
	cr_expect_str_eq(json_str(json_object_array_get_idx(channels, 0), "alias"), "Channel 1");
	cr_expect_str_eq(json_str(json_object_array_get_idx(channels, 1), "alias"), "Right");
	cr_expect_eq(store_interface_update(s, ctx, "node_other", interface_id, parse(ctx, "{\"alias\":\"x\"}"),
	                                    clock_now_ms(), &after),
	             ST_NOT_FOUND);
	store_rollback(s);
	cr_expect_eq(
	    store_interface_update(s, ctx, id, "iface", parse(ctx, "{\"alias\":\"x\"}"), clock_now_ms(), &after),
	    ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

static inline void common_credentials(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *first = id_new(ctx, "hash_"), *second = id_new(ctx, "hash_");
	json_object *node = enroll(s, ctx, first), *found;
	const char *id = json_str(node, "id");
	int64_t now = clock_now_ms();

	cr_assert_eq(store_credential_rotate(s, ctx, id, a_credential(ctx, id, second), now), ST_OK);
	commit_ok(s);
	cr_expect_eq(store_credential_find(s, ctx, first, now, &found), ST_NOT_FOUND);
	cr_expect_eq(store_credential_find(s, ctx, second, now, &found), ST_OK);
	cr_expect_eq(
	    store_credential_rotate(s, ctx, "node_none", a_credential(ctx, "node_none", id_new(ctx, "hash_")), now),
	    ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

/* ---- expansion, badge -------------------------------------------------------------------------------------------- */

static inline bool has_target(const struct targets *t, const char *type, const char *id)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->at[i].type, type) == 0 && strcmp(t->at[i].id, id) == 0)
			return true;
	return false;
}

static inline struct targets expand_ok(struct store *s, const void *ctx, const char *type, const char *id)
{
	struct targets t = {0};

	cr_assert_eq(store_expand(s, ctx, type, id, &t), ST_OK);
	cr_expect(has_target(&t, type, id));
	return t;
}

static inline void expect_node_targets(const struct targets *t, const char *node)
{
	cr_expect(has_target(t, "node", node));
	cr_expect(has_target(t, "site", "HQ"));
	cr_expect(has_target(t, "room", "Hall"));
	cr_expect(has_target(t, "room", "HQ/Hall"));
}

static inline void common_expand(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *node = enroll(s, ctx, id_new(ctx, "hash_"));
	const char *node_id = json_str(node, "id"), *schedule = id_new(ctx, "sched_"), *recording = id_new(ctx, "rec_");
	const char *job = id_new(ctx, "job_");
	const char *interface = json_str(json_object_array_get_idx(json_array(node, "interfaces"), 0), "id");
	char event[UUID_SIZE];
	struct targets t;

	uuid_v4(event);
	insert_ok(s, ctx, &model_schedules,
	          parse(ctx, mem_printf(
	                         ctx,
	                         "{\"enabled\":true,\"folderTemplate\":\"f\",\"id\":\"%s\",\"name\":\"n\",\"nodeId\":"
	                         "\"%s\",\"recordingProfileId\":\"voice-mp3-vbr\",\"recurrence\":{\"mode\":\"manual\"},"
	                         "\"retentionPolicyId\":\"r\",\"room\":\"Crypt\",\"tags\":[],\"timezone\":\"UTC\","
	                         "\"titleTemplate\":\"t\",\"uploadPolicyId\":\"u\",\"watchdogPolicyId\":\"w\"}",
	                         schedule, node_id)));
	insert_ok(s, ctx, &model_recordings,
	          a_recording(ctx, recording, "node_gone", "2031-01-01T00:00:00.000Z",
	                      mem_printf(ctx, ",\"scheduleId\":\"%s\"", schedule)));
	insert_ok(s, ctx, &model_jobs, a_job(ctx, job, node_id, "rec_gone", "2031-01-01T00:00:00.000Z"));
	insert_ok(
	    s, ctx, &model_health_events,
	    parse(ctx,
	          mem_printf(ctx,
	                     "{\"acknowledgedAt\":null,\"details\":{},\"id\":\"%s\",\"openedAt\":"
	                     "\"2031-01-01T00:00:00.000Z\",\"recordingId\":\"rec_gone\",\"resolvedAt\":null,"
	                     "\"scheduleId\":\"%s\",\"severity\":\"info\",\"status\":\"open\",\"suppressedAt\":null,"
	                     "\"suppressedUntil\":null,\"type\":\"x\"}",
	                     event, schedule)));
	commit_ok(s);

	t = expand_ok(s, ctx, "node", node_id);
	expect_node_targets(&t, node_id);
	cr_expect_eq(t.count, 4);
	t = expand_ok(s, ctx, "interface", interface);
	expect_node_targets(&t, node_id);
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:2", interface));
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "interface", interface));
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:%s:1", node_id, interface));
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "channel", mem_printf(ctx, "%s:1", interface)));
	t = expand_ok(s, ctx, "channel", mem_printf(ctx, "%s:3", interface));
	cr_expect_eq(t.count, 1);
	t = expand_ok(s, ctx, "schedule", schedule);
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "room", "Crypt"));
	t = expand_ok(s, ctx, "recording", recording);
	expect_node_targets(&t, node_id);
	cr_expect(has_target(&t, "schedule", schedule));
	cr_expect_not(has_target(&t, "node", "node_gone"));
	t = expand_ok(s, ctx, "recording_job", job);
	expect_node_targets(&t, node_id);
	cr_expect_not(has_target(&t, "recording", "rec_gone"));
	t = expand_ok(s, ctx, "health_event", event);
	cr_expect(has_target(&t, "recording", "rec_gone"));
	cr_expect(has_target(&t, "schedule", schedule));
	t = expand_ok(s, ctx, "recording", "rec_none");
	cr_expect_eq(t.count, 1);
	t = expand_ok(s, ctx, "health_event", "no uuid");
	cr_expect_eq(t.count, 1);
	talloc_free(ctx);
}

static inline void add_health_event(struct store *s, const void *ctx, const char *recording, const char *severity,
                                    const char *state)
{
	char id[UUID_SIZE];

	uuid_v4(id);
	insert_ok(
	    s, ctx, &model_health_events,
	    parse(ctx,
	          mem_printf(ctx,
	                     "{\"acknowledgedAt\":null,\"details\":{},\"id\":\"%s\",\"openedAt\":"
	                     "\"2031-01-01T00:00:00.000Z\",\"recordingId\":\"%s\",\"resolvedAt\":null,\"severity\":"
	                     "\"%s\",\"status\":\"%s\",\"suppressedAt\":null,\"suppressedUntil\":null,\"type\":\"x\"}",
	                     id, recording, severity, state)));
}

static inline void expect_badge(struct store *s, const void *ctx, const char *recording, const char *badge)
{
	json_object *doc;

	cr_assert_eq(store_health_sync(s, ctx, recording, &doc), ST_OK);
	cr_expect_str_eq(json_str(doc, "healthStatus"), badge);
}

static inline void common_health_badge(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *id = id_new(ctx, "rec_");

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	expect_badge(s, ctx, id, "healthy");
	add_health_event(s, ctx, id, "critical", "resolved");
	add_health_event(s, ctx, id, "info", "open");
	expect_badge(s, ctx, id, "healthy");
	add_health_event(s, ctx, id, "warning", "suppressed");
	expect_badge(s, ctx, id, "warning");
	add_health_event(s, ctx, id, "critical", "acknowledged");
	expect_badge(s, ctx, id, "critical");
	commit_ok(s);
	cr_expect_eq(store_health_sync(s, ctx, "rec_none", NULL), ST_NOT_FOUND);
	store_rollback(s);
	talloc_free(ctx);
}

/* ---- audit ------------------------------------------------------------------------------------------------------- */

static inline void common_audit(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *action = id_new(ctx, "test.");
	json_object *first = an_event(ctx, action), *second = an_event(ctx, action), *events = list_of(ctx, first),
	            *got;
	struct query q;
	struct page page;

	json_set_str(second, "createdAt", json_str(first, "createdAt"));
	json_set_str(second, "reason", "why");
	json_push_ref(events, second);
	cr_assert_eq(store_commit(s, events, false), ST_OK);
	query_init(&q);
	query_where(&q, "action", Q_CONTAINS, action);
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_assert_eq(page.count, 2);
	got = json_object_array_get_idx(page.docs, 0); /* the later one first, within a millisecond too */
	cr_expect_str_eq(json_str(got, "id"), json_str(second, "id"));
	cr_expect_str_eq(json_str(json_get(got, "actor"), "name"), "Anonymous");
	cr_expect_str_eq(json_str(json_get(got, "target"), "type"), "controller");
	cr_expect_str_eq(json_str(got, "createdAt"), json_str(first, "createdAt"));
	query_where(&q, "reason", Q_CONTAINS, "WH");
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_expect_eq(page.count, 1);
	q.filter_count = 1;
	q.any_count = 1;
	q.any[0] = (struct any_contains){.fields = {"actor.id", "actor.name"}, .count = 2, .value = "ANONYM"};
	page = list_ok(s, ctx, &model_audit_events, &q);
	cr_expect_eq(page.count, 2);
	cr_expect_eq(store_get(s, ctx, &model_audit_events, json_str(first, "id"), &got), ST_OK);
	cr_expect_eq(store_get(s, ctx, &model_audit_events, "audit_x", &got), ST_NOT_FOUND);
	talloc_free(ctx);
}

/* Writes and events are one: both there after a commit, neither after a rollback. */
static inline void common_audit_with_writes(struct store *s)
{
	void *ctx = talloc_new(NULL);
	const char *action = id_new(ctx, "test."), *id = id_new(ctx, "rec_");
	json_object *event = an_event(ctx, action), *got;

	insert_ok(s, ctx, &model_recordings, a_recording(ctx, id, "n", "2031-01-01T00:00:00.000Z", ""));
	cr_assert_eq(store_commit(s, list_of(ctx, event), true), ST_OK);
	cr_expect_not(store_dirty(s));
	cr_expect_eq(store_get(s, ctx, &model_audit_events, json_str(event, "id"), &got), ST_OK);
	cr_expect_eq(store_get(s, ctx, &model_recordings, id, &got), ST_OK);
	talloc_free(ctx);
}

static inline void common_audit_oversized(struct store *s)
{
	void *ctx = talloc_new(NULL);
	json_object *event = an_event(ctx, "test.wide"), *got;
	char *wide = mem_strdup(ctx, "");

	for (int i = 0; i < 200; i++)
		wide = mem_printf(ctx, "%sé", wide);
	json_set_str(json_get(event, "target"), "id", wide);
	json_set_str(json_get(event, "actor"), "id", "00000000-0000-4000-8000-00000000beef"); /* nobody's */
	json_set_ref(event, "details", parse(ctx, "{\"a\":\"\\u0000b\",\"c\\u0000\":1}"));
	cr_assert_eq(store_commit(s, list_of(ctx, event), true), ST_OK);
	cr_assert_eq(store_get(s, ctx, &model_audit_events, json_str(event, "id"), &got), ST_OK);
	cr_expect_str_eq(json_str(json_get(got, "actor"), "id"), "00000000-0000-4000-8000-00000000beef");
	cr_expect_eq(strlen(json_str(json_get(got, "target"), "id")), 160 * strlen("é"));
	talloc_free(ctx);
}

#endif
