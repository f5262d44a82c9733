/*
 * What contract 01 10 and 11 expect of every row of the route index for every kind of caller: a small model of its own,
 * which shares nothing with the program. For route_walk.c.
 */
#ifndef RAKKR_TESTS_HTTP_ROUTE_MODEL_H
#define RAKKR_TESTS_HTTP_ROUTE_MODEL_H

#include "http/harness.h"
#include "http/route_index.h"

#include <string.h>
#include <time.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define NO_SUCH_UUID "6f0d2c1e-0000-4000-8000-00000000dead"

/* ---- roles and permissions (01 5.3) ------------------------------------------------------------------------------ */

enum { OWNER, ADMIN, OPERATOR, VIEWER, AUDITOR, ROLES };
static const char *const role_names[ROLES] = {"owner", "admin", "operator", "viewer", "auditor"};

static const struct {
	const char *permission, *roles; /* who has it, as in the columns of the contract's matrix */
} matrix[] = {
    {"audit:read", "xx..x"},         {"auth:manage", "xx..."},      {"health:acknowledge", "xxx.."},
    {"health:read", "xxxxx"},        {"listen:monitor", "xxx.."},   {"metrics:read", "xxxxx"},
    {"node:control", "xxx.."},       {"node:manage", "xx..."},      {"node:read", "xxxx."},
    {"recording:control", "xxx.."},  {"recording:create", "xxx.."}, {"recording:delete", "xx..."},
    {"recording:download", "xxxx."}, {"recording:edit", "xxx.."},   {"recording:playback", "xxxx."},
    {"recording:read", "xxxxx"},     {"schedule:manage", "xxx.."},  {"schedule:read", "xxxx."},
    {"settings:manage", "xx..."},    {"settings:read", "xxxx."},    {"system:admin", "x...."},
};

static bool role_has(int role, const char *permission)
{
	for (size_t i = 0; i < LENGTH(matrix); i++)
		if (strcmp(matrix[i].permission, permission) == 0)
			return matrix[i].roles[role] == 'x';
	cr_assert_fail("%s is no permission", permission);
	return false;
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

/*
 * A node in a room and a site of its own, a recording on it with its job, and a schedule for it (once they are served).
 */
struct stage {
	struct node node;
	struct take take;
	const char *site, *room, *place; /* place: "site/room" */
	const char *schedule;
	bool has_schedule;
};

static bool not_served(const struct response *r)
{
	return r->status == 404 && strcmp(r->body, "404 Not Found") == 0;
}

static struct stage stage_set(void)
{
	struct stage s = {.node = enroll_node("Walk")};
	struct response r;

	s.site = fmt("Site %s", s.node.id);
	s.room = fmt("Room %s", s.node.id);
	s.place = fmt("%s/%s", s.site, s.room);
	s.schedule = fmt("sched_%s", s.node.id);
	r = patch(s.node.path, admin(), "{\"location\":{\"site\":\"%s\",\"room\":\"%s\"}}", s.site, s.room);
	must(r, 200);
	s.take = start_recording(&s.node);
	r = post("/api/v1/schedules", admin(),
	         "{\"id\":\"%s\",\"name\":\"Walk\",\"nodeId\":\"%s\",\"room\":\"%s\",\"enabled\":false,"
	         "\"folderTemplate\":\"x\",\"titleTemplate\":\"x\",\"timezone\":\"UTC\","
	         "\"recordingProfileId\":\"voice-mp3-vbr\",\"watchdogPolicyId\":\"scheduled-voice-watchdog\"}",
	         s.schedule, s.node.id, s.room);
	s.has_schedule = r.status == 201;
	cr_assert(s.has_schedule || not_served(&r), "%d %s", r.status, r.body);
	return s;
}

/* ---- who asks ---------------------------------------------------------------------------------------------------- */

struct rule {
	const char *type, *id; /* type NULL: none */
};

struct caller {
	enum { NOBODY, STRANGER, USER, OWN_NODE, OTHER_NODE } kind;
	const char *label;
	const char *id, *token;
	int role;
	struct rule grant, deny;
	const char *agent; /* its User-Agent: what its events are known by */
};

static bool is_node(const struct caller *c)
{
	return c->kind == OWN_NODE || c->kind == OTHER_NODE;
}

static const char *now_iso(void)
{
	struct timespec now;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime(&now.tv_sec));
	return fmt("%s.%03ldZ", text, now.tv_nsec / 1000000);
}

/* ---- the model: scope (01 11) ------------------------------------------------------------------------------------ */

#define EXPANDED_MAX 12

struct expansion {
	struct rule at[EXPANDED_MAX];
	size_t count;
};

static void expand(struct expansion *e, const char *type, const char *id)
{
	e->at[e->count++] = (struct rule){type, id};
}

static void expand_node(struct expansion *e, const struct stage *s)
{
	expand(e, "node", s->node.id);
	expand(e, "site", s->site);
	expand(e, "room", s->room);
	expand(e, "room", s->place);
}

static struct expansion expansion_of(const struct stage *s, const char *type, const char *id)
{
	struct expansion e = {.count = 0};
	bool recording = strcmp(type, "recording") == 0 && strcmp(id, s->take.recording_id) == 0;

	expand(&e, type, id);
	if (strcmp(type, "node") == 0 && strcmp(id, s->node.id) == 0)
		expand_node(&e, s);
	else if (strcmp(type, "interface") == 0 && strcmp(id, s->node.interface_id) == 0)
		expand_node(&e, s);
	else if (recording)
		expand_node(&e, s);
	else if (strcmp(type, "schedule") == 0 && s->has_schedule && strcmp(id, s->schedule) == 0)
		expand_node(&e, s);
	return e;
}

static bool rule_hits(const struct rule *rule, const struct expansion *e)
{
	for (size_t i = 0; rule->type != NULL && i < e->count; i++)
		if ((strcmp(rule->type, "*") == 0 || strcmp(rule->type, e->at[i].type) == 0) &&
		    (strcmp(rule->id, "*") == 0 || strcmp(rule->id, e->at[i].id) == 0))
			return true;
	return false;
}

/* NULL = allowed, else the reason. */
static const char *scope_of(const struct caller *c, const struct stage *s, const struct rule *target)
{
	struct expansion e;

	if (c->kind != USER)
		return "unauthenticated";
	if (target->id == NULL)
		return NULL;
	e = expansion_of(s, target->type, target->id);
	if (rule_hits(&c->deny, &e))
		return "access_policy_denied";
	if (c->role == OWNER || c->role == ADMIN || rule_hits(&c->grant, &e))
		return NULL;
	return "missing_resource_scope";
}

/* ---- the model: routes ------------------------------------------------------------------------------------------- */

static const struct index_row *row_number(int number)
{
	return &route_index[number - 1];
}

static bool row_is(const struct index_row *row, const char *method, const char *path)
{
	return strcmp(row->method, method) == 0 && strcmp(row->path, path) == 0;
}

/* The row that answers: row 106 takes the paths of 130 and 132 for nodes and for whoever has no token at all. */
static const struct index_row *row_answering(const struct index_row *row, const struct caller *c)
{
	bool job = row_is(row, "GET", "/api/v1/recording-jobs/:jobId");

	if (!job && !row_is(row, "GET", "/api/v1/recording-jobs/export"))
		return row;
	if (c->kind == NOBODY || is_node(c))
		return row_number(106);
	return job ? row_number(132) : row;
}

static const char *parameter(const struct stage *s, const char *name, size_t n)
{
	const struct {
		const char *name, *value;
	} values[] = {
	    {"nodeId", s->node.id},    {"interfaceId", s->node.interface_id}, {"recordingId", s->take.recording_id},
	    {"jobId", s->take.job_id}, {"scheduleId", s->schedule},           {"userId", NO_SUCH_UUID},
	    {"eventId", NO_SUCH_UUID},
	};

	for (size_t i = 0; i < LENGTH(values); i++)
		if (strlen(values[i].name) == n && strncmp(values[i].name, name, n) == 0)
			return values[i].value;
	return "walk-none";
}

/* The row's path with its parameters filled in. */
static const char *path_of(const struct index_row *row, const struct stage *s)
{
	char *out = strdup("");

	for (const char *at = row->path; *at != '\0';) {
		size_t n = at[0] == ':' ? strcspn(at, "/") : strcspn(at, ":");

		out = at[0] == ':' ? fmt("%s%s", out, parameter(s, at + 1, n - 1)) : fmt("%s%.*s", out, (int)n, at);
		at += n;
	}
	return out;
}

static struct rule target_of(const struct index_row *row, const struct stage *s)
{
	switch (row->target) {
	case FIXED:
		return (struct rule){row->type, row->value};
	case BY_PARAMETER:
		return (struct rule){row->type, parameter(s, row->value, strlen(row->value))};
	case BY_PLAN:
		return (struct rule){"channel_map_assignment_plan", "walk-none"};
	case BY_HEALTH: /* asked with ?nodeId= */
	case BY_START:
		return (struct rule){"node", s->node.id};
	case BY_JOB:
		return (struct rule){"recording", s->take.recording_id};
	case BY_QUEUE:
		return (struct rule){"upload_queue", "walk-none"};
	default:
		return (struct rule){row->type, NULL};
	}
}

struct expected {
	int status;         /* 0: whatever the handler says, but no refusal of the guard */
	const char *body;   /* of a refusal */
	const char *action; /* of the event; NULL: none is looked for */
	bool prefix;        /* action may go on */
	const char *outcome, *reason, *decision;
	const char *permission;
	struct rule target;
	bool check_target;
};

static struct expected expect_user_row(const struct index_row *row, const struct caller *c, const struct stage *s)
{
	struct expected x = {.action = row->action, .permission = row->permission, .check_target = true};
	bool permitted = c->kind == USER && role_has(c->role, row->permission);

	x.target = target_of(row, s);
	x.decision = scope_of(c, s, &x.target);
	x.outcome = permitted && x.decision == NULL ? "allowed" : "denied";
	if (c->kind != USER) {
		x.status = 401;
		x.body = fmt("{\"error\":\"Unauthorized\",\"permission\":\"%s\"}", row->permission);
		x.reason = "unauthenticated";
	} else if (!permitted || x.decision != NULL) {
		x.status = 403;
		x.body = fmt("{\"error\":\"Forbidden\",\"permission\":\"%s\"}", row->permission);
		x.reason = permitted ? x.decision : "missing_permission";
	}
	return x;
}

static struct expected expect_node_row(const struct index_row *row, const struct caller *c)
{
	struct expected x = {.action = fmt("%s.failed", row->action), .permission = row->permission};

	if (c->kind == NOBODY) {
		x.status = 401;
		x.body = "{\"error\":\"Node credential required\"}";
		x.outcome = "denied";
		x.reason = "missing_node_token";
	} else if (!is_node(c)) {
		x.status = 401;
		x.body = "{\"error\":\"Invalid node credential\"}";
		x.outcome = "denied";
		x.reason = "invalid_node_token";
	} else if (c->kind == OTHER_NODE && strstr(row->path, ":nodeId") != NULL) {
		x.status = 403;
		x.body = "{\"error\":\"Node credential cannot access this node\"}";
		x.outcome = "failed";
		x.reason = "node_scope_denied";
	} else {
		x.action = row->action;
		x.prefix = true;
	}
	return x;
}

static struct expected expect_row(const struct index_row *row, const struct caller *c, const struct stage *s)
{
	struct expected x = {.action = row->action, .prefix = true};

	if (row->auth == 'U')
		return expect_user_row(row, c, s);
	if (row->auth == 'N' || row->auth == 'D')
		return expect_node_row(row, c);
	if (strcmp(row->path, "/api/v1/auth/me") == 0 && c->kind != USER) {
		x.status = 401;
		x.body = "{\"error\":\"Unauthorized\"}";
		x.outcome = "denied";
		x.reason = "unauthorized";
	}
	return x;
}

#endif
