/*
 * Every row of the route index, asked by everybody: status, body and audit event are compared with what a small model
 * of contract 01 10 and 11 expects (09 D-45, D-46). Bodies are ones that no handler accepts, so that being let through
 * changes nothing. A row that is not served yet must answer as an unknown path does; such rows are counted aloud.
 */
#include "http/route_model.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STREAM_MS 20000
#define EVENTS_EVERY 60 /* rows */

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static const char *body_of(const struct index_row *row, const struct stage *s)
{
	if (strcmp(row->method, "GET") == 0 || strcmp(row->method, "DELETE") == 0)
		return NULL;
	/* valid JSON of a kind that every schema refuses */
	return row->target == BY_START ? fmt("{\"nodeId\":\"%s\",\"name\":5}", s->node.id) : "[]";
}

static struct response ask_stream(const char *path, const struct caller *c)
{
	struct raw *raw = raw_open();
	const char *text = fmt("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: %s\r\n%s%s%s\r\n", path,
	                       c->agent, c->token != NULL ? "Authorization: Bearer " : "",
	                       c->token != NULL ? c->token : "", c->token != NULL ? "\r\n" : "");
	struct response r;

	cr_assert(raw_send(raw, text, strlen(text)));
	/* a stream does not end, all other answers do */
	r = raw_until(raw, STREAM_MS, "text/event-stream", 1);
	raw_close(raw);
	return r;
}

static struct response ask(const struct index_row *row, const struct caller *c, const struct stage *s)
{
	const char *const headers[] = {fmt("User-Agent: %s", c->agent), NULL};
	const char *body = body_of(row, s), *path = path_of(row, s);

	if (row->number == 84)
		return ask_stream(path, c);
	if (row->target == BY_HEALTH)
		path = fmt("%s?nodeId=%s", path, s->node.id);
	return http(row->method, path, c->token, headers, body, body != NULL ? strlen(body) : 0);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* Adds the events of an actor between two times, as admin sees them. */
static void collect_events(json_object *all, const char *actor, const char *from, const char *to)
{
	struct response r = get(fmt("/api/v1/audit-events?limit=500&actor=%s&from=%s&to=%s", actor, from, to), admin());

	must(r, 200);
	cr_assert_lt(j_count(r.json, "data"), 500, "more events of %s than one page shows", actor);
	for (size_t i = 0; i < j_count(r.json, "data"); i++)
		json_object_array_add(all, json_object_get(j_at(r.json, fmt("data.%zu", i))));
}

/* The events of the caller's requests; times are when every EVENTS_EVERY rows began, and the end. */
static json_object *events_of(const struct caller *c, const char *const *times, size_t count)
{
	json_object *all = json_object_new_array();

	for (size_t i = 0; i + 1 < count; i++) {
		if (c->id != NULL)
			collect_events(all, c->id, times[i], times[i + 1]);
		collect_events(all, "anonymous", times[i], times[i + 1]);
	}
	return all;
}

static bool is_of_request(json_object *event, const struct caller *c, const struct index_row *row, const char *path)
{
	return strcmp(j_str(event, "actorContext.userAgent"), c->agent) == 0 &&
	       strcmp(j_str(event, "details.method"), row->method) == 0 &&
	       strcmp(j_str(event, "details.path"), path) == 0;
}

static bool is_action(const char *name, const char *action, bool prefix)
{
	size_t n = strlen(action);

	return strncmp(name, action, n) == 0 && name[n] == (prefix ? '.' : '\0');
}

/* The event of a request with this action (NULL: any), or with one that goes on behind it. */
static json_object *event_of(json_object *events, const struct caller *c, const struct index_row *row, const char *path,
                             const char *action, bool prefix)
{
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i);

		if (is_of_request(event, c, row, path) &&
		    (action == NULL || is_action(j_str(event, "action"), action, prefix)))
			return event;
	}
	return NULL;
}

/* True if there is an event of the request beside the guard's. */
static bool has_other_event(json_object *events, const struct caller *c, const struct index_row *row, const char *path,
                            const char *action)
{
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i);

		if (is_of_request(event, c, row, path) && strcmp(j_str(event, "action"), action) != 0)
			return true;
	}
	return false;
}

static void compare(json_object *event, const char *member, const char *want, const char *what)
{
	cr_expect_str_eq(j_str(event, member), want != NULL ? want : "", "%s: %s is \"%s\", not \"%s\"", what, member,
	                 j_str(event, member), want != NULL ? want : "");
}

static void compare_event(json_object *event, const struct expected *x, const struct caller *c, const char *what)
{
	if (x->outcome != NULL) {
		compare(event, "outcome", x->outcome, what);
		compare(event, "reason", x->reason, what);
	}
	compare(event, "permission", x->permission, what);
	if (!x->check_target)
		return;
	compare(event, "target.type", x->target.type, what);
	compare(event, "target.id", x->target.id, what);
	compare(event, "details.requiredPermission", x->permission, what);
	compare(event, "details.resourceScope.type", x->target.type, what);
	compare(event, "details.resourceScope.id", x->target.id, what);
	compare(event, "details.resourceScopeDecision", x->decision, what);
	cr_expect_eq(j_count(event, "details.roles"), c->kind == USER ? 1 : 0, "%s: details.roles", what);
	if (c->kind == USER)
		compare(event, "details.roles.0", role_names[c->role], what);
}

static void compare_answer(const struct response *r, const struct expected *x, const char *what)
{
	if (x->status != 0) {
		cr_expect_eq(r->status, x->status, "%s: %d instead of %d: %.200s", what, r->status, x->status, r->body);
		cr_expect_str_eq(r->body, x->body, "%s: %.200s", what, r->body);
		return;
	}
	cr_expect(r->status >= 200 && r->status < 500 && r->status != 401, "%s: %d %.200s", what, r->status, r->body);
	cr_expect(r->status != 403 || x->prefix, "%s: %d %.200s", what, r->status, r->body);
}

/* ---- walking ----------------------------------------------------------------------------------------------------- */

static bool missing[ROUTE_INDEX_COUNT];

/* Everything but signing in and out, which would end the walk or be slowed. */
static bool is_walked(const struct index_row *row, const struct caller *c)
{
	return c->kind != USER || (row->auth != 'P' && strcmp(row->path, "/api/v1/auth/logout") != 0);
}

static void check_row(const struct index_row *row, struct response *r, json_object *events, const struct caller *c,
                      const struct stage *s)
{
	const struct index_row *answering = row_answering(row, c);
	const char *path = path_of(row, s),
	           *what = fmt("row %d %s %s as %s", row->number, row->method, row->path, c->label);
	struct expected x = expect_row(answering, c, s);
	json_object *event;

	if (not_served(r)) {
		missing[row->number - 1] = true;
		cr_expect_null(event_of(events, c, row, path, NULL, false), "%s: an unknown path has an event", what);
		return;
	}
	cr_expect_not(missing[row->number - 1], "%s: served only to some", what);
	compare_answer(r, &x, what);
	if (x.action == NULL)
		return;
	event = event_of(events, c, row, path, x.action, x.prefix);
	cr_expect_not_null(event, "%s: no event %s", what, x.action);
	if (event != NULL)
		compare_event(event, &x, c, what);
	/* who was let through is heard of again, by the handler; who was not, is not */
	if (answering->auth == 'U' && row->number != 84)
		cr_expect_eq(has_other_event(events, c, row, path, answering->action), x.status == 0,
		             "%s: event of the handler", what);
}

static void set_policies(const char *policies)
{
	struct response r = patch("/api/v1/auth/access-policies", admin(), "{\"policies\":[%s]}", policies);

	must(r, 200);
}

static void walk(struct caller *c, const struct stage *s)
{
	struct response answers[ROUTE_INDEX_COUNT];
	const char *times[ROUTE_INDEX_COUNT / EVENTS_EVERY + 2];
	size_t count = 0;
	json_object *events;

	c->agent = fmt("walk-%d-%s", (int)getpid(), now_iso());
	for (size_t i = 0; i < ROUTE_INDEX_COUNT; i++) {
		if (i % EVENTS_EVERY == 0)
			times[count++] = now_iso();
		if (is_walked(&route_index[i], c))
			answers[i] = ask(&route_index[i], c, s);
	}
	times[count++] = now_iso();
	/* who is denied a resource is denied its events, the reader of them included */
	if (c->deny.type != NULL)
		set_policies("");
	events = events_of(c, times, count);
	for (size_t i = 0; i < ROUTE_INDEX_COUNT; i++)
		if (is_walked(&route_index[i], c))
			check_row(&route_index[i], &answers[i], events, c, s);
}

static void tell_missing(void)
{
	size_t count = 0;

	for (size_t i = 0; i < ROUTE_INDEX_COUNT; i++)
		count += missing[i];
	if (count > 0)
		fprintf(stderr, "%zu rows not served yet\n", count);
	cr_expect_leq(count, ROWS_NOT_SERVED_MAX, "%zu rows are not served, there were %d", count, ROWS_NOT_SERVED_MAX);
}

Test(route_walk, nobody_strangers_and_nodes, .timeout = 300)
{
	struct stage s = stage_set();
	struct node other = enroll_node("Other");
	struct caller callers[] = {
	    {.kind = NOBODY, .label = "nobody"},
	    {.kind = STRANGER, .label = "a stranger", .token = "rakkr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	    {.kind = OTHER_NODE, .label = "another node", .id = other.id, .token = other.token},
	    {.kind = OWN_NODE, .label = "the node", .id = s.node.id, .token = s.node.token},
	};

	for (size_t i = 0; i < LENGTH(callers); i++)
		walk(&callers[i], &s);
	tell_missing();
}

/* Gives the user one role and at most one grant; counts with the next request. */
static void set_access(struct caller *c, int role, struct rule grant)
{
	struct response r = patch(
	    fmt("/api/v1/auth/users/%s/access", c->id), admin(), "{\"roles\":[\"%s\"],\"resourceGrants\":[%s]}",
	    role_names[role],
	    grant.type == NULL ? "" : fmt("{\"resourceType\":\"%s\",\"resourceId\":\"%s\"}", grant.type, grant.id));

	must(r, 200);
	c->role = role;
	c->grant = grant;
}

static struct caller new_caller(void)
{
	struct user u = create_user("viewer", NULL);

	return (struct caller){.kind = USER, .id = u.id, .token = u.token};
}

enum level {
	NONE,
	NODE,
	ROOM,
	SITE,
	PLACE,
	SCHEDULE,
	RECORDING,
	INTERFACE,
	CHANNEL,
	COLLECTION,
	JOBS,
	EVERYTHING,
	LEVELS
};

static struct rule rule_of(enum level level, const struct stage *s)
{
	const struct rule rules[LEVELS] = {
	    [NODE] = {"node", s->node.id},
	    [ROOM] = {"room", s->room},
	    [SITE] = {"site", s->site},
	    [PLACE] = {"room", s->place},
	    [SCHEDULE] = {"schedule", s->schedule},
	    [RECORDING] = {"recording", s->take.recording_id},
	    [INTERFACE] = {"interface", s->node.interface_id},
	    [CHANNEL] = {"channel", fmt("%s:1", s->node.interface_id)},
	    [COLLECTION] = {"recording_collection", "recording_collection"},
	    [JOBS] = {"recording_collection", "recording_job_collection"},
	    [EVERYTHING] = {"*", "*"},
	};

	return rules[level];
}

static const char *rule_text(const struct rule *rule)
{
	return rule->type != NULL ? fmt("%s %s", rule->type, rule->id) : "nothing";
}

/* D-45: role x grant level x every route. */
Test(route_walk, each_role_with_each_grant, .timeout = 300)
{
	struct caller c = new_caller();

	for (int role = 0; role < ROLES; role++) {
		for (enum level level = NONE; level < LEVELS; level++) {
			struct stage s;

			/* grants give an owner nothing: one stands for all */
			if ((role == OWNER || role == ADMIN) && level != NONE && level != RECORDING)
				continue;
			s = stage_set();
			set_access(&c, role, rule_of(level, &s));
			c.label = fmt("%s with %s", role_names[role], rule_text(&c.grant));
			walk(&c, &s);
		}
	}
	tell_missing();
}

static void set_deny(struct caller *c, struct rule deny, const char *subject_type, const char *subject_id)
{
	set_policies(fmt("{\"effect\":\"deny\",\"resourceType\":\"%s\",\"resourceId\":\"%s\",\"subjectType\":\"%s\","
	                 "\"subjectId\":\"%s\"},{\"effect\":\"allow\",\"resourceType\":\"*\",\"resourceId\":\"*\","
	                 "\"subjectType\":\"user\",\"subjectId\":\"%s\"}",
	                 deny.type, deny.id, subject_type, subject_id, c->id));
	c->deny = deny;
}

/* D-45: a denial at each level beats allow, grant and owner (01 T13). */
static void deny_each_level(void)
{
	struct caller c = new_caller();

	for (int role = 0; role < ROLES; role++) {
		for (enum level level = NODE; level < LEVELS; level++) {
			struct stage s = stage_set();

			set_access(&c, role, (struct rule){"*", "*"});
			set_deny(&c, rule_of(level, &s), "user", c.id);
			c.label = fmt("%s denied %s", role_names[role], rule_text(&c.deny));
			walk(&c, &s);
		}
	}
}

/* The same rule for everyone, for a group of the user's, and for somebody else. */
static void deny_each_kind_of_subject(void)
{
	struct caller c = new_caller();
	struct stage s = stage_set();
	struct response r = patch(fmt("/api/v1/auth/users/%s/access", c.id), admin(),
	                          "{\"roles\":[\"admin\"],\"groupIds\":[\"walkers %s\"]}", c.id);
	const struct {
		const char *type, *id;
		bool meant;
	} subjects[] = {
	    {"everyone", "", true},
	    {"group", fmt("walkers %s", c.id), true},
	    {"group", "walkers", false},
	    {"user", NO_SUCH_UUID, false},
	};

	must(r, 200);
	c.role = ADMIN;
	for (size_t i = 0; i < LENGTH(subjects); i++) {
		s = stage_set();
		set_deny(&c, rule_of(SITE, &s), subjects[i].type, subjects[i].id);
		if (!subjects[i].meant)
			c.deny = (struct rule){NULL, NULL};
		c.label = fmt("admin, denied to %s %s", subjects[i].type, subjects[i].id);
		walk(&c, &s);
	}
}

/* One test: there is one list of policies. */
Test(route_walk, a_denial_beats_role_grant_and_allow, .timeout = 500)
{
	deny_each_level();
	deny_each_kind_of_subject();
	set_policies("");
	tell_missing();
}

/* ---- what action summaries promise (09 15.1) --------------------------------------------------------------------- */

/* Calls every enabled action of a summary, deletions last; bodies are ones that change nothing. */
static void call_actions(const char *path, bool deletions)
{
	struct response r = get(path, admin());
	json_object *actions;

	if (not_served(&r))
		return;
	must(r, 200);
	actions = j_at(r.json, "data.actions");
	if (actions == NULL)
		actions = j_at(r.json, "data");
	json_object_object_foreach(actions, name, action)
	{
		const char *method = j_str(action, "method"), *href = j_str(action, "href");
		bool reads = strcmp(method, "GET") == 0, deletes = strcmp(method, "DELETE") == 0;
		struct response called;

		if (!j_true(action, "enabled") || deletes != deletions)
			continue;
		called = http(method, href, admin(), NULL, reads || deletes ? NULL : "[]", reads || deletes ? 0 : 2);
		cr_expect(not_served(&called) || (called.status < 500 && called.status != 401 && called.status != 403 &&
		                                  called.status != 404 && called.status != 405),
		          "%s of %s: %s answers %d %.200s", name, path, called.asked, called.status, called.body);
	}
}

Test(route_walk, what_is_offered_can_be_called, .timeout = 120)
{
	struct stage s = stage_set();
	struct user u = create_user("viewer", NULL);
	const char *event = j_str(audit_last("nodes.enroll.succeeded", s.node.id), "id");
	const char *const paths[] = {
	    "/api/v1/auth/actions",
	    "/api/v1/auth/access-policies/actions",
	    "/api/v1/auth/oidc/actions",
	    "/api/v1/auth/oidc/discovery/actions",
	    fmt("/api/v1/auth/users/%s/actions", u.id),
	    fmt("/api/v1/audit-events/%s/actions", event),
	    fmt("%s/actions", s.take.job_path),
	    fmt("%s/actions", s.take.recording_path),
	    fmt("%s/actions", s.node.path),
	    fmt("/api/v1/schedules/%s/actions", s.schedule),
	    "/api/v1/upload-runner/actions",
	};

	for (int deletions = 0; deletions < 2; deletions++)
		for (size_t i = 0; i < LENGTH(paths); i++)
			call_actions(paths[i], deletions != 0);
}
