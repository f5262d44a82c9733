#include "access/oidc_token.h"

#include "access/oidc_request.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

#define ERROR_CODE_MAX 60

/* ---- the token request ------------------------------------------------------------------------------------------- */

/* The fields in the contract's order; the secret goes in the body, never as Basic. */
static const char *token_form(const void *ctx, const struct oidc *o, const char *code, const char *verifier)
{
	struct buf form;

	buf_init(&form, ctx);
	oidc_form_add(&form, "redirect_uri", o->redirect_uri);
	oidc_form_add(&form, "code", code);
	oidc_form_add(&form, "code_verifier", verifier);
	oidc_form_add(&form, "grant_type", "authorization_code");
	oidc_form_add(&form, "client_id", o->client_id);
	if (o->client_secret != NULL)
		oidc_form_add(&form, "client_secret", o->client_secret);
	return form.data;
}

static bool absent_or_text(json_object *o, const char *key)
{
	return !json_has(o, key) || json_is_str(json_get(o, key));
}

static bool absent_or_duration(json_object *o, const char *key)
{
	json_object *v = json_get(o, key);

	return !json_has(o, key) || (json_is_num(v) && json_object_get_double(v) >= 0);
}

static bool token_response_valid(json_object *o)
{
	const char *type = oidc_text(json_get(o, "token_type"));

	return oidc_text(json_get(o, "access_token")) != NULL && type != NULL &&
	       (strcasecmp(type, "bearer") == 0 || strcasecmp(type, "dpop") == 0) &&
	       absent_or_duration(o, "expires_in") && absent_or_text(o, "refresh_token") && absent_or_text(o, "scope");
}

/* "invalid_grant" and the like; providers answer errors as JSON. */
static const char *error_code(const void *ctx, const struct oidc_answer *a)
{
	json_object *o;

	if (!json_parse(ctx, a->body, a->len, &o))
		return "";
	return text_no_controls(ctx, text_cut(ctx, json_str_or(o, "error", ""), ERROR_CODE_MAX));
}

bool oidc_exchange(const void *ctx, struct oidc_visit *v, const struct oidc_provider *p, const char *code,
                   const char *verifier, const char **id_token, const char **why)
{
	struct oidc_answer a;
	json_object *o;

	if (!oidc_call(ctx, v, p->token_endpoint, token_form(ctx, v->o, code, verifier), 0, &a)) {
		*why = mem_printf(ctx, "token request: %s", a.error);
		return false;
	}
	if (a.status != 200) {
		*why = mem_printf(ctx, "token request: HTTP status %ld %s", a.status, error_code(ctx, &a));
		return false;
	}
	o = strcmp(a.type, "application/json") == 0 ? oidc_answer_json(ctx, &a) : NULL;
	*id_token = oidc_text(json_get(o, "id_token"));
	if (o == NULL || !token_response_valid(o) || *id_token == NULL) {
		*why = "token request: the answer is invalid or has no ID token";
		return false;
	}
	return true;
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

/* issuer with the tenant in place of "{tenantid}". */
static const char *issuer_for(const void *ctx, const char *issuer, const char *tenant)
{
	static const char mark[] = "{tenantid}";
	const char *at = strstr(issuer, mark);

	if (at == NULL || tenant == NULL)
		return issuer;
	return mem_printf(ctx, "%.*s%s%s", (int)(at - issuer), issuer, tenant, at + strlen(mark));
}

static bool audience_is(json_object *claims, const char *client_id)
{
	json_object *aud = json_get(claims, "aud");
	size_t n;
	bool found = false;

	if (json_is_str(aud))
		return text_equal(oidc_text(aud), client_id);
	if (!json_object_is_type(aud, json_type_array))
		return false;
	n = json_object_array_length(aud);
	for (size_t i = 0; i < n; i++)
		found = found || text_equal(oidc_text(json_object_array_get_idx(aud, i)), client_id);
	return found && (n == 1 || text_equal(oidc_text(json_get(claims, "azp")), client_id));
}

static const char *times_refusal(json_object *claims, int64_t now_ms)
{
	double now = (double)(now_ms / 1000);
	json_object *exp = json_get(claims, "exp"), *nbf = json_get(claims, "nbf");

	if (!json_is_num(json_get(claims, "iat")))
		return "iat is no number";
	if (!json_is_num(exp) || !(json_object_get_double(exp) > now - OIDC_LEEWAY_SECONDS))
		return "it has expired";
	if (json_has(claims, "nbf") &&
	    (!json_is_num(nbf) || !(json_object_get_double(nbf) <= now + OIDC_LEEWAY_SECONDS)))
		return "it is not valid yet";
	return absent_or_duration(claims, "auth_time") ? NULL : "auth_time is invalid";
}

const char *oidc_claims_refusal(json_object *claims, const char *issuer, const char *client_id, const char *nonce,
                                int64_t now_ms)
{
	const char *iss = oidc_text(json_get(claims, "iss")), *given = oidc_text(json_get(claims, "nonce"));
	void *tmp = talloc_new(NULL);
	const char *refusal = NULL;

	if (iss == NULL || !text_equal(iss, issuer_for(tmp, issuer, oidc_text(json_get(claims, "tid")))))
		refusal = "it was issued by another issuer";
	else if (!audience_is(claims, client_id))
		refusal = "it is meant for another client";
	else if (oidc_text(json_get(claims, "sub")) == NULL)
		refusal = "it has no subject";
	else if (given == NULL || !crypto_equal(given, nonce))
		refusal = "its nonce is that of another sign-in";
	else
		refusal = times_refusal(claims, now_ms);
	talloc_free(tmp);
	return refusal;
}
