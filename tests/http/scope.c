/* Resource scope through the routes: each level of a grant, seen in lists and in details (contract 01 11, 09 D-45). */
#include "http/harness.h"

/* A node in a room of its own, with a recording and its job, and one of somebody else. */
struct house {
	struct node mine, other;
	struct take take, other_take;
	const char *site, *room;
};

static struct house build(void)
{
	struct house h = {.mine = enroll_node("Mine"), .other = enroll_node("Other")};
	struct response r;

	h.take = start_recording(&h.mine);
	h.other_take = start_recording(&h.other);
	/* harness nodes share a site: give this one its own */
	h.site = fmt("Site %s", h.mine.id);
	h.room = fmt("Room %s", h.mine.id);
	r = patch(h.mine.path, admin(), "{\"location\":{\"site\":\"%s\",\"room\":\"%s\"}}", h.site, h.room);
	must(r, 200);
	return h;
}

static struct user user_with(const char *role, const char *type, const char *id)
{
	return create_user(role, fmt("[{\"resourceType\":\"%s\",\"resourceId\":\"%s\"}]", type, id));
}

static void expect(const struct user *u, const char *path, bool visible, const char *what)
{
	struct response r = get(path, u->token);

	cr_expect_eq(r.status, visible ? 200 : 403, "%s: %s answers %d", what, r.asked, r.status);
}

static void expect_listed(const struct user *u, const char *path, const char *id, bool visible, const char *what)
{
	struct response r = get(path, u->token);

	must(r, 200);
	cr_expect_eq(j_find(r.json, "data", "id", id) != NULL, visible, "%s: %s", what, path);
}

static void expect_all(const struct user *u, const struct house *h, bool node, bool recording, const char *what)
{
	expect(u, h->mine.path, node, what);
	expect(u, fmt("%s/actions", h->mine.path), node, what);
	expect(u, h->take.recording_path, recording, what);
	expect(u, fmt("%s/actions", h->take.recording_path), recording, what);
	expect(u, h->take.job_path, recording, what);
	expect_listed(u, "/api/v1/nodes", h->mine.id, node, what);
	expect_listed(u, "/api/v1/recordings?limit=200", h->take.recording_id, recording, what);
	expect_listed(u, "/api/v1/recording-jobs?limit=200", h->take.job_id, recording, what);
	expect(u, h->other.path, false, what);
	expect(u, h->other_take.recording_path, false, what);
	expect(u, h->other_take.job_path, false, what);
	expect_listed(u, "/api/v1/nodes", h->other.id, false, what);
	expect_listed(u, "/api/v1/recordings?limit=200", h->other_take.recording_id, false, what);
	expect_listed(u, "/api/v1/recording-jobs?limit=200", h->other_take.job_id, false, what);
}

Test(scope, each_level_of_a_grant)
{
	struct house h = build();
	const struct {
		const char *type, *id;
		bool node, recording;
	} levels[] = {
	    {"site", h.site, true, true},
	    {"room", h.room, true, true},
	    {"room", fmt("%s/%s", h.site, h.room), true, true},
	    {"node", h.mine.id, true, true},
	    {"*", h.mine.id, true, true},
	    {"recording", h.take.recording_id, false, true},
	    {"interface", h.mine.interface_id, false, false},
	    {"schedule", "*", false, false},
	    {"site", h.room, false, false},
	    {"room", h.site, false, false},
	    {"node", "node", false, false},
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct user u = user_with("operator", levels[i].type, levels[i].id);

		expect_all(&u, &h, levels[i].node, levels[i].recording, fmt("%s %s", levels[i].type, levels[i].id));
	}
}

Test(scope, no_grant_and_all_grants)
{
	struct house h = build();
	struct user nobody = create_user("operator", NULL), everybody = user_with("viewer", "*", "*");
	struct user boss = create_user("admin", NULL);

	expect_all(&nobody, &h, false, false, "no grant");
	expect(&everybody, h.other.path, true, "wildcard");
	expect(&everybody, h.other_take.recording_path, true, "wildcard");
	expect(&boss, h.other.path, true, "admin");
	expect(&boss, h.other_take.recording_path, true, "admin");
	/* 01 T12: what does not exist is forbidden to some and missing to others */
	cr_expect_eq(get("/api/v1/nodes/nothing", nobody.token).status, 403);
	cr_expect_eq(get("/api/v1/nodes/nothing", boss.token).status, 404);
}

/* A grant gives no permission (01 11.1), a permission gives no scope. */
Test(scope, permission_and_scope_are_two_conditions)
{
	struct house h = build();
	struct user auditor = user_with("auditor", "node", h.mine.id);
	struct response r = get(h.mine.path, auditor.token);
	json_object *event;

	must(r, 403);
	cr_expect_str_eq(r.body, "{\"error\":\"Forbidden\",\"permission\":\"node:read\"}");
	r = get(fmt("/api/v1/audit-events?actor=%s&action=nodes.detail.read", auditor.id), admin());
	cr_expect_str_eq(j_str(r.json, "data.0.reason"), "missing_permission");
	must(get(h.other.path, auditor.token), 403);
	r = get(fmt("/api/v1/audit-events?actor=%s&action=nodes.detail.read&target=%s", auditor.id, h.other.id),
	        admin());
	event = j_at(r.json, "data.0");
	cr_expect_str_eq(j_str(event, "reason"), "missing_permission");
	cr_expect_str_eq(j_str(event, "details.resourceScopeDecision"), "missing_resource_scope");
	must(get(h.take.recording_path, auditor.token), 200);
	must(get(h.other_take.recording_path, auditor.token), 403);
}

/* 01 T14: exports and bulk routes ask about a collection, which a room does not give. */
Test(scope, collections)
{
	struct house h = build();
	struct user room = user_with("operator", "room", h.room);
	struct user all = user_with("operator", "recording_collection", "recording_collection");

	must(get("/api/v1/recordings/export", room.token), 403);
	must(get("/api/v1/recordings/export", all.token), 200);
	must(get("/api/v1/nodes/export", room.token), 200);
}
