/* OpenID Connect: configuration, actions, discovery; the table of all its routes (contract 01 14; rows 41-46). */
#include "access/oidc_discovery.h"
#include "api/oidc_flow.h"
#include "api/route.h"

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

/* ---- discovery --------------------------------------------------------------------------------------------------- */

static status discovery_succeeded(struct request *r, const struct oidc_provider *p)
{
	json_object *data = json_new_object(r->mem);

	json_set_str(data, "authorizationEndpoint", p->authorization_endpoint);
	json_set_str(data, "issuer", p->issuer);
	json_set_str(data, "jwksUri", p->jwks_uri);
	json_set_str(data, "tokenEndpoint", p->token_endpoint);
	json_set_str_opt(data, "userinfoEndpoint", p->userinfo_endpoint);
	audit_ok(r, AUTH,
	         details(r, "hasAuthorizationEndpoint", J_BOOL, 1, "hasJwksUri", J_BOOL, 1, "hasTokenEndpoint", J_BOOL,
	                 1, "issuer", J_STR, p->issuer, NULL));
	return reply_data(r, 200, data);
}

static status discovery(struct request *r)
{
	struct oidc_provider provider;
	struct oidc_visit visit;
	const char *reason, *text;
	struct oidc o;

	oidc_load(r->mem, r->config, &o);
	reason = oidc_unavailable(&o);
	if (reason != NULL)
		return oidc_refuse(r, o.enabled ? "OIDC is not configured" : "OIDC is disabled", reason);
	oidc_visit_begin(&visit, &o, r->config);
	reason = oidc_discovery_read(r->mem, &visit, &provider, &text);
	oidc_visit_end(&visit);
	return reason != NULL ? oidc_refuse(r, text, reason) : discovery_succeeded(r, &provider);
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
