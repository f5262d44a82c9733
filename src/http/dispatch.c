#include "http/dispatch.h"

#include "api/route.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/router.h"

#include <inttypes.h>
#include <string.h>

static bool is_api(const char *path)
{
	return strncmp(path, "/api/", 5) == 0;
}

/* 01 2.2; on every answer below /api/, whatever its status. */
static void add_cors(struct request *r, bool preflight)
{
	const char *allowed = config_str(r->config, CFG_WEB_ORIGIN);
	const char *origin = req_header(r, "origin");
	bool any = strcmp(allowed, "*") == 0;

	if (any)
		reply_header(r, "Access-Control-Allow-Origin", "*");
	else if (origin != NULL && strcmp(origin, allowed) == 0)
		reply_header(r, "Access-Control-Allow-Origin", origin);
	reply_header(r, "Access-Control-Allow-Credentials", "true");
	if (preflight) {
		reply_header(r, "Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,OPTIONS");
		reply_header(r, "Access-Control-Allow-Headers", "Content-Type,Authorization");
		reply_header(r, "Vary",
		             any ? "Access-Control-Request-Headers" : "Origin, Access-Control-Request-Headers");
	} else if (!any) {
		reply_header(r, "Vary", "Origin");
	}
}

/* What a status that reached the dispatcher means to the client. */
static void reply_status(struct request *r, status s)
{
	json_object *body;

	switch (s) {
	case ST_UNAVAILABLE:
		body = json_new_object(r->mem);
		json_set_str(body, "error", "Service temporarily unavailable");
		json_set_str(body, "reason", "database_unavailable");
		reply_json(r, 503, body);
		break;
	case ST_NO_SPACE:
		body = json_new_object(r->mem);
		json_set_str(body, "error", "Insufficient storage");
		json_set_str(body, "reason", "no_space");
		reply_json(r, 507, body);
		break;
	case ST_TOO_LARGE:
		reply_error(r, 413, "Request body too large");
		break;
	case ST_INVALID:
		reply_error(r, 400, "Invalid request");
		break;
	default:
		log_error("%s %s: %s", r->method, r->path, status_name(s));
		reply_text(r, 500, "Internal Server Error");
	}
}

static status find_target(struct request *r, struct target *t)
{
	const struct route *row = r->route;

	memset(t, 0, sizeof(*t));
	t->type = row->target_type;
	t->id = row->target_param != NULL ? req_param(r, row->target_param) : row->target_id;
	return row->target != NULL ? row->target(r, t) : ST_OK;
}

static json_object *target_object(struct request *r, const struct target *t)
{
	json_object *o = json_new_object(r->mem);

	if (t->id != NULL && t->id[0] != '\0')
		json_set_str(o, "id", t->id);
	json_set_str_opt(o, "name", t->name);
	json_set_str(o, "type", t->type);
	return o;
}

/* The middleware's event M (01 10). */
static void audit_guard(struct request *r, const struct target *t, bool permitted, enum scope_verdict v)
{
	bool allowed = permitted && v == SCOPE_ALLOWED;
	const char *reason = NULL;

	if (r->who.kind != WHO_USER)
		reason = "unauthenticated";
	else if (!permitted)
		reason = "missing_permission";
	else if (v != SCOPE_ALLOWED)
		reason = scope_reason(v);
	audit_add(
	    r, &(struct audit){.action = r->route->action,
	                       .outcome = allowed ? "allowed" : "denied",
	                       .reason = reason,
	                       .target = *t,
	                       .details = details(r, "requiredPermission", J_STR, permission_name(r->route->permission),
	                                          "resourceScope", J_REF, target_object(r, t), "resourceScopeDecision",
	                                          J_STR, scope_reason(v), "roles", J_REF, r->who.roles, NULL)});
}

static void refuse(struct request *r, int code, const char *text)
{
	json_object *body = json_new_object(r->mem);

	json_set_str(body, "error", text);
	json_set_str(body, "permission", permission_name(r->route->permission));
	reply_json(r, code, body);
}

static status load_session(struct request *r)
{
	const char *token = bearer_token(r->mem, req_header(r, "authorization"));

	if (r->route->prefetch != NULL && r->route->prefetch_param != NULL)
		store_hint(r->store, r->route->prefetch, req_param(r, r->route->prefetch_param));
	if (token == NULL || token[0] == '\0')
		return ST_OK;
	return principal_from_session(r->mem, r->store, r->config, token, r->now_ms, &r->who);
}

static bool only_reads(const struct request *r)
{
	return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

/* Who is asking, or what he may do, cannot be read: closed, never guessed (01 T4). */
static status refuse_unverified(struct request *r)
{
	json_object *body = json_new_object(r->mem);

	json_set_str(body, "error", "Auth storage unavailable");
	if (!only_reads(r))
		json_set_str(body, "reason", "database_unavailable");
	return reply_json(r, 503, body);
}

static status guard_user(struct request *r)
{
	enum scope_verdict verdict = SCOPE_UNAUTHENTICATED;
	struct target target;
	bool permitted;
	status s = load_session(r);

	if (s == ST_UNAVAILABLE)
		return refuse_unverified(r);
	if (s != ST_OK)
		return s;
	TRY(find_target(r, &target));
	permitted = principal_may(&r->who, r->route->permission);
	s = principal_scope(r->mem, r->store, &r->who, &target, &verdict);
	if (s == ST_UNAVAILABLE)
		return refuse_unverified(r);
	if (s != ST_OK)
		return s;
	audit_guard(r, &target, permitted, verdict);
	if (r->who.kind != WHO_USER)
		refuse(r, 401, "Unauthorized");
	else if (!permitted || verdict != SCOPE_ALLOWED)
		refuse(r, 403, "Forbidden");
	else
		return r->route->handler(r);
	return ST_OK;
}

static status refuse_node(struct request *r, int code, const char *text, const char *outcome, const char *reason)
{
	struct target target;

	TRY(find_target(r, &target));
	target.name = NULL;
	audit_add(r, &(struct audit){.outcome = outcome, .reason = reason, .target = target});
	return reply_error(r, code, text);
}

static status guard_node(struct request *r)
{
	const char *token = bearer_token(r->mem, req_header(r, "authorization"));
	const char *node_id = req_param(r, "nodeId");
	status s;

	if (token == NULL || token[0] == '\0')
		return refuse_node(r, 401, "Node credential required", "denied", "missing_node_token");
	if (r->route->prefetch != NULL && r->route->prefetch_param != NULL)
		store_hint(r->store, r->route->prefetch, req_param(r, r->route->prefetch_param));
	s = principal_from_node_token(r->mem, r->store, r->config, r->live, token, r->now_ms, &r->who);
	if (s == ST_NOT_FOUND)
		return refuse_node(r, 401, "Invalid node credential", "denied", "invalid_node_token");
	if (s != ST_OK)
		return s;
	if (node_id[0] != '\0' && strcmp(node_id, r->who.id) != 0)
		return refuse_node(r, 403, "Node credential cannot access this node", "failed", "node_scope_denied");
	return r->route->handler(r);
}

/* Row 106: true when the row answered (or failed with *s), false when the next matching row has to. */
static bool guard_dual(struct request *r, status *s)
{
	const char *token = bearer_token(r->mem, req_header(r, "authorization"));

	if (token == NULL || token[0] == '\0') {
		*s = refuse_node(r, 401, "Node credential required", "denied", "missing_node_token");
		return true;
	}
	*s = principal_from_node_token(r->mem, r->store, r->config, r->live, token, r->now_ms, &r->who);
	if (*s != ST_OK) {
		principal_anonymous(&r->who);
		*s = ST_OK;
		return false;
	}
	*s = r->route->handler(r);
	return true;
}

static status run_route(struct request *r, bool streams, bool *answered)
{
	status s = ST_OK;

	*answered = true;
	if (r->route->stream && !streams)
		return reply_error(r, 503, "Streams are served on their own socket");
	switch (r->route->guard) {
	case GUARD_USER:
		return guard_user(r);
	case GUARD_NODE:
		return guard_node(r);
	case GUARD_SESSION:
		s = load_session(r);
		if (s == ST_UNAVAILABLE)
			return refuse_unverified(r);
		return s != ST_OK ? s : r->route->handler(r);
	case GUARD_PUBLIC:
		return r->route->handler(r);
	case GUARD_DUAL:
		*answered = guard_dual(r, &s);
		return s;
	}
	return ST_INTERNAL;
}

/*
 * Ends the unit of work: the writes of the request and its audit events become durable together, before the answer.
 * What a node reports is never refused because of its audit event (08 Trap 1, 33); it is logged instead.
 */
static void finish(struct request *r)
{
	bool durable, wrote;
	status s;

	if (r->rollback)
		store_rollback(r->store);
	wrote = store_dirty(r->store);
	durable = wrote || r->audit_denied || strcmp(config_str(r->config, CFG_AUDIT_READS), "strict") == 0 ||
	          (!only_reads(r) && (r->route == NULL || !r->route->telemetry));
	s = store_commit(r->store, r->audit, durable);
	if (s == ST_OK)
		return;
	log_warn("%s %s: cannot commit: %s", r->method, r->path, status_name(s));
	if (r->who.kind == WHO_NODE && (!wrote || r->route->unfailing)) {
		if (wrote && store_commit(r->store, r->audit, true) != ST_OK) /* the events alone can go to the spool */
			log_error("%s %s: its audit events are lost", r->method, r->path);
		return;
	}
	r->reply.header_count = 0;
	reply_status(r, s);
}

/* Says that an answer rests on what was last known, and how old that is. */
static void mark_degraded(struct request *r)
{
	int64_t age_ms;
	bool degraded = store_degraded(r->store, &age_ms);

	store_degrade_begin(r->store, false);
	if (!degraded || r->reply.status >= 500)
		return;
	live_count(r->live, LIVE_DEGRADED, 1);
	reply_header(r, "X-Rakkr-Degraded", "database");
	reply_header(r, "Age", mem_printf(r->mem, "%" PRId64, age_ms / 1000));
}

void dispatch(struct request *r, const char *path, bool streams)
{
	bool preflight = strcmp(r->method, "OPTIONS") == 0 && is_api(path);
	bool answered = preflight;
	size_t from = 0;
	status s = ST_OK;

	principal_anonymous(&r->who);
	store_degrade_begin(r->store, only_reads(r));
	if (preflight)
		reply_empty(r, 204);
	while (!answered && s == ST_OK && (r->route = router_match(r, path, &from)) != NULL)
		s = run_route(r, streams, &answered);
	if (s != ST_OK) {
		r->rollback = true;
		reply_status(r, s);
	} else if (r->reply.status == 0) {
		reply_text(r, answered ? 500 : 404, answered ? "Internal Server Error" : "404 Not Found");
	}
	if (r->route != NULL)
		finish(r);
	mark_degraded(r);
	if (is_api(path))
		add_cors(r, preflight);
}
