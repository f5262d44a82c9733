#include "api/oidc_flow.h"

#include "access/oidc_request.h"
#include "access/oidc_states.h"
#include "access/oidc_sync.h"
#include "access/oidc_token.h"
#include "access/sign_in.h"
#include "api/session.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define AUTH TARGET("auth", NULL, NULL)
#define STATE_COOKIE "rakkr_oidc_state"
#define CALLBACK_PATH "/api/v1/auth/oidc/callback"
#define LOGGED_MAX 80

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static int status_of(const char *reason)
{
	static const struct {
		const char *reason;
		int status;
	} known[] = {
	    {"oidc_disabled", 404},       {"oidc_not_configured", 400}, {"oidc_state_invalid", 400},
	    {"oidc_claims_invalid", 401}, {"oidc_email_conflict", 401}, {"user_disabled", 401},
	    {"rate_limited", 429},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].reason, reason) == 0)
			return known[i].status;
	return 502;
}

status oidc_refuse(struct request *r, const char *text, const char *reason)
{
	r->rollback = true;
	audit_add(r, &(struct audit){.outcome = "failed", .reason = reason, .target = AUTH});
	return reply_json(r, status_of(reason), details(r, "error", J_STR, text, "reason", J_STR, reason, NULL));
}

/* The browser only: no cache keeps an address with a state or a token in it. */
static status redirect(struct request *r, const char *url)
{
	reply_header(r, "Location", url);
	reply_header(r, "Cache-Control", "no-store");
	return reply_empty(r, 302);
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

static void set_state_cookie(struct request *r, const struct oidc *o, const char *state)
{
	bool secure = strncmp(o->redirect_uri, "https://", 8) == 0;

	reply_header(r, "Set-Cookie",
	             mem_printf(r->mem,
	                        STATE_COOKIE "=%s; Max-Age=%d; Path=" CALLBACK_PATH "; HttpOnly%s; SameSite=Lax", state,
	                        OIDC_STATE_SECONDS, secure ? "; Secure" : ""));
}

status oidc_login(struct request *r)
{
	static const char text[] = "OIDC login unavailable";
	const struct oidc_provider *provider;
	const char *return_to, *url, *reason;
	struct oidc_secrets secrets;
	struct oidc_visit visit;
	struct oidc o;
	int64_t retry_after;
	bool found;

	oidc_load(r->mem, r->config, &o);
	reason = oidc_unavailable(&o);
	if (reason != NULL)
		return oidc_refuse(r, text, reason);
	if (!sign_in_redirect_begin(r->mem, r->live, r->config, req_client_ip(r), &retry_after)) {
		reply_header(r, "Retry-After", mem_printf(r->mem, "%lld", (long long)retry_after));
		return oidc_refuse(r, text, "rate_limited");
	}
	oidc_visit_begin(&visit, &o, r->config);
	found = oidc_provider_get(r->mem, &visit, &provider);
	oidc_visit_end(&visit);
	return_to = oidc_return_url(r->mem, config_str(r->config, CFG_WEB_ORIGIN), req_query(r, "returnTo"));
	if (!found || return_to == NULL)
		return oidc_refuse(r, text, "unknown_oidc_error");
	oidc_secrets_make(r->mem, &secrets);
	url = oidc_authorization_url(r->mem, &o, provider->authorization_endpoint, &secrets);
	if (oidc_state_save(r->mem, r->store, r->config, &secrets, return_to, r->now_ms) != ST_OK)
		return oidc_refuse(r, text, "unknown_oidc_error");
	set_state_cookie(r, &o, secrets.state);
	audit_add(r, &(struct audit){.action = "auth.oidc.login.started",
	                             .outcome = "succeeded",
	                             .target = AUTH,
	                             .details = details(r, "issuer", J_STR, o.issuer, NULL)});
	return redirect(r, url);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

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

/* A wrong cookie does not use up the state. */
static status state_consume(struct request *r, json_object **saved)
{
	const char *state = req_query(r, "state"), *expected = cookie(r, STATE_COOKIE);

	if (state == NULL || state[0] == '\0' || expected == NULL || !crypto_equal(state, expected))
		return ST_NOT_FOUND;
	return oidc_state_take(r->mem, r->store, state, r->now_ms, saved);
}

/* ---- what the provider answered ---------------------------------------------------------------------------------- */

static bool repeats_parameters(const struct request *r)
{
	const char *p = r->raw_query;
	int pieces = 0;

	while (*p != '\0') {
		size_t n = strcspn(p, "&");

		pieces += n > 0 && *p != '=';
		p += n + (p[n] == '&');
	}
	return pieces != json_object_object_length(r->query);
}

/* NULL if the parameters are those of a successful authorization response, else what is wrong. */
static const char *parameters_refusal(struct request *r, const struct oidc_provider *p)
{
	const char *iss = req_query(r, "iss"), *error = req_query(r, "error");

	if (json_has(r->query, "response") || json_has(r->query, "id_token") || json_has(r->query, "token"))
		return "a response of another kind";
	if (repeats_parameters(r))
		return "a repeated parameter";
	if (iss != NULL ? strcmp(iss, p->issuer) != 0 : p->sends_issuer)
		return "a response of another issuer";
	if (error != NULL)
		return mem_printf(r->mem, "the provider says %s",
		                  text_no_controls(r->mem, text_cut(r->mem, error, LOGGED_MAX)));
	return text_blank(req_query(r, "code")) ? "a response without a code" : NULL;
}

/* Steps 3 to 9: NULL and the identity, or the reason of the refusal. */
static const char *identify(struct request *r, struct oidc_visit *v, json_object *saved, struct oidc_identity *id)
{
	const struct oidc_provider *p;
	const char *why, *token = NULL, *reason;
	json_object *claims = NULL;

	if (!oidc_provider_get(r->mem, v, &p))
		return "unknown_oidc_error";
	why = parameters_refusal(r, p);
	if (why == NULL &&
	    oidc_exchange(r->mem, v, p, req_query(r, "code"), json_str(saved, "codeVerifier"), &token, &why) &&
	    oidc_token_verify(r->mem, v, p, token, &claims, &why))
		why = oidc_claims_refusal(claims, p->issuer, v->o->client_id, json_str_or(saved, "nonce", ""),
		                          clock_now_ms());
	if (why != NULL) {
		log_warn("OIDC sign-in refused: %s", why);
		return "oidc_authorization_failed";
	}
	reason = oidc_identity_read(r->mem, claims, p->issuer, id);
	if (reason != NULL)
		log_warn("OIDC sign-in refused: the claims are not usable");
	return reason;
}

/* ---- callback ---------------------------------------------------------------------------------------------------- */

/* Once more when an account with this e-mail appeared between the look and the insert (09 D-105). */
static status sync_user(struct request *r, const struct oidc_identity *id, json_object **user, const char **refusal)
{
	status st = oidc_sync(r->mem, r->store, r->config, id, user, refusal);

	if (st != ST_CONFLICT)
		return st;
	store_rollback(r->store);
	return oidc_sync(r->mem, r->store, r->config, id, user, refusal);
}

static status sign_in(struct request *r, const struct oidc_identity *id, const char *return_to)
{
	static const char text[] = "OIDC callback failed";
	const char *refusal;
	struct principal actor;
	struct session session;
	json_object *user;
	status st = sync_user(r, id, &user, &refusal);

	if (st == ST_OK && refusal != NULL)
		return oidc_refuse(r, text, refusal);
	if (st == ST_OK) {
		user = user_wire(r->mem, r->config, user);
		st = session_create(r, user, NULL, &session);
	}
	if (st != ST_OK) {
		log_warn("OIDC sign-in: the account cannot be stored: %s", status_name(st));
		return oidc_refuse(r, text, "unknown_oidc_error");
	}
	principal_from_user(user, session.short_id, &actor);
	audit_add(r, &(struct audit){.target = TARGET("user", actor.id, actor.email), .actor = &actor});
	return redirect(r, oidc_return_with_token(r->mem, return_to, session.token, session.expires_at));
}

status oidc_callback(struct request *r)
{
	struct oidc_identity id;
	struct oidc_visit visit;
	json_object *saved;
	const char *reason;
	struct oidc o;
	status st;

	session_clear_state_cookie(r);
	st = state_consume(r, &saved);
	if (st == ST_NOT_FOUND)
		return oidc_refuse(r, "OIDC callback state is invalid", "oidc_state_invalid");
	oidc_load(r->mem, r->config, &o);
	reason = st != ST_OK ? "unknown_oidc_error" : oidc_unavailable(&o);
	if (reason == NULL) {
		oidc_visit_begin(&visit, &o, r->config);
		reason = identify(r, &visit, saved, &id);
		oidc_visit_end(&visit);
	}
	if (reason != NULL)
		return oidc_refuse(r, "OIDC callback failed", reason);
	return sign_in(r, &id, json_str_or(saved, "returnTo", config_str(r->config, CFG_WEB_ORIGIN)));
}
