/* OpenID Connect sign-in (contract 01 14; rows 41-46). */
#include "access/oidc.h"
#include "api/route.h"
#include "api/session.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define AUTH TARGET("auth", NULL, NULL)
#define OIDC_PATH "/api/v1/auth/oidc"

/* ---- config and actions ------------------------------------------------------------------------------------------ */

/* Public routes answer and record everybody alike, signed in or not. */
static void audit_public(struct request *r, json_object *details_)
{
	audit_add(r, &(struct audit){.permission = "", .anonymous = true, .target = AUTH, .details = details_});
}

static json_object *links(struct request *r)
{
	return details(r, "actions", J_STR, OIDC_PATH "/actions", "callback", J_STR, OIDC_PATH "/callback", "config",
	               J_STR, OIDC_PATH "/config", "discovery", J_STR, OIDC_PATH "/discovery", "discoveryActions",
	               J_STR, OIDC_PATH "/discovery/actions", "login", J_STR, OIDC_PATH "/login", NULL);
}

static json_object *state_details(struct request *r, const struct oidc *o)
{
	return details(r, "configured", J_BOOL, o->configured, "enabled", J_BOOL, o->enabled, "loginAvailable", J_BOOL,
	               o->configured, NULL);
}

static status oidc_config(struct request *r)
{
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	audit_public(r, state_details(r, &o));
	return reply_data(r, 200, oidc_public(r->mem, &o));
}

static status reply_actions(struct request *r, const struct oidc *o, json_object *actions)
{
	json_object *data = json_new_object(r->mem);

	json_set_ref(data, "actions", actions);
	json_set_ref(data, "config", oidc_public(r->mem, o));
	json_set_ref(data, "links", links(r));
	return reply_data(r, 200, data);
}

static status oidc_actions(struct request *r)
{
	json_object *actions = json_new_object(r->mem), *seen;
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	json_set_ref(actions, "config", action_state(r, PERM_NONE, "GET", OIDC_PATH "/config", true, NULL, NULL));
	json_set_ref(actions, "login",
	             action_state(r, PERM_NONE, "GET", OIDC_PATH "/login", o.configured, oidc_unavailable(&o), NULL));
	seen = state_details(r, &o);
	json_set_int(seen, "visibleActionCount", 2);
	audit_public(r, seen);
	return reply_actions(r, &o, actions);
}

static status discovery_actions(struct request *r)
{
	json_object *actions = json_new_object(r->mem);
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	json_set_ref(
	    actions, "discovery",
	    action_state(r, PERM_AUTH_MANAGE, "GET", OIDC_PATH "/discovery", o.configured, oidc_unavailable(&o), NULL));
	audit_ok(r, AUTH,
	         details(r, "configured", J_BOOL, o.configured, "discoveryAvailable", J_BOOL, o.discovery_url != NULL,
	                 "enabled", J_BOOL, o.enabled, "loginAvailable", J_BOOL, o.configured, NULL));
	return reply_actions(r, &o, actions);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static int status_of(const char *reason)
{
	if (strcmp(reason, "oidc_disabled") == 0)
		return 404;
	if (strcmp(reason, "oidc_not_configured") == 0 || strcmp(reason, "oidc_state_invalid") == 0)
		return 400;
	return 502;
}

/*
 * {"error","reason"} with the status of the reason, and the route's failed event. What was written stays: a state that
 * a refused callback presented is used up.
 */
static status refuse(struct request *r, const char *text, const char *reason)
{
	audit_add(r, &(struct audit){.outcome = "failed", .reason = reason, .target = AUTH});
	return reply_json(r, status_of(reason), details(r, "error", J_STR, text, "reason", J_STR, reason, NULL));
}

/* ---- discovery, login, callback ---------------------------------------------------------------------------------- */

static status discovery(struct request *r)
{
	const char *reason;
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	reason = oidc_unavailable(&o);
	if (reason == NULL)
		return refuse(r, "OIDC discovery failed", "unknown_oidc_error");
	return refuse(r, o.enabled ? "OIDC is not configured" : "OIDC is disabled", reason);
}

static status oidc_login(struct request *r)
{
	const char *reason;
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	reason = oidc_unavailable(&o);
	return refuse(r, "OIDC login unavailable", reason != NULL ? reason : "unknown_oidc_error");
}

/* Value of a cookie of the request, NULL if it has none of that name. */
static const char *cookie(struct request *r, const char *name)
{
	const char *all = req_header(r, "cookie");
	size_t n = strlen(name);
	char *save = NULL;

	if (all == NULL)
		return NULL;
	for (char *one = strtok_r(mem_strdup(r->mem, all), ";", &save); one != NULL; one = strtok_r(NULL, ";", &save)) {
		one += strspn(one, " \t");
		if (strncmp(one, name, n) == 0 && one[n] == '=')
			return one + n + 1;
	}
	return NULL;
}

/* Takes the saved state out of the store: single use, also when it has expired. ST_NOT_FOUND: none in force. */
static status state_consume(struct request *r, const char *state, json_object **saved)
{
	char hash[SHA256_HEX_SIZE];
	int64_t expires = 0;
	struct query q;
	struct page page;

	crypto_sha256_hex(hash, state, strlen(state));
	query_init(&q);
	query_where(&q, "stateHash", Q_EQ, hash);
	TRY(store_remove(r->store, r->mem, &model_oidc_states, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*saved = json_object_array_get_idx(page.docs, 0);
	if (!clock_parse(json_str_or(*saved, "expiresAt", ""), CLOCK_ISO_Z, &expires) || expires <= r->now_ms)
		return ST_NOT_FOUND;
	return ST_OK;
}

static status oidc_callback(struct request *r)
{
	const char *state = req_query(r, "state"), *expected = cookie(r, "rakkr_oidc_state"), *reason;
	json_object *saved;
	struct oidc o;
	status st = ST_NOT_FOUND;

	session_clear_state_cookie(r);
	/* A wrong cookie does not use up the state. */
	if (state != NULL && state[0] != '\0' && expected != NULL && crypto_equal(state, expected))
		st = state_consume(r, state, &saved);
	if (st == ST_NOT_FOUND)
		return refuse(r, "OIDC callback state is invalid", "oidc_state_invalid");
	oidc_load(r->mem, r->config, &o);
	reason = oidc_unavailable(&o);
	return refuse(r, "OIDC callback failed", st == ST_OK && reason != NULL ? reason : "unknown_oidc_error");
}

#define PUBLIC_ROUTE(path_, action_, handler_)                                                                         \
	{                                                                                                              \
		.method = "GET", .path = OIDC_PATH path_, .guard = GUARD_PUBLIC, .permission = PERM_NONE,              \
		.action = action_, .target_type = "auth", .handler = handler_                                          \
	}
#define MANAGED_ROUTE(path_, action_, handler_)                                                                        \
	{                                                                                                              \
		.method = "GET", .path = OIDC_PATH path_, .guard = GUARD_USER, .permission = PERM_AUTH_MANAGE,         \
		.action = action_, .target_type = "auth", .handler = handler_                                          \
	}

const struct route oidc_routes[] = {
    PUBLIC_ROUTE("/config", "auth.oidc.config.read", oidc_config),
    PUBLIC_ROUTE("/actions", "auth.oidc.actions.read", oidc_actions),
    PUBLIC_ROUTE("/login", "auth.oidc.login", oidc_login),
    PUBLIC_ROUTE("/callback", "auth.oidc.callback", oidc_callback),
    MANAGED_ROUTE("/discovery/actions", "auth.oidc.discovery.actions.read", discovery_actions),
    MANAGED_ROUTE("/discovery", "auth.oidc.discovery.read", discovery),
    {.method = NULL},
};
