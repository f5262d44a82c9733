/* What tests of sign-in with OpenID Connect share: a browser, and tokens of the provider (oidc_provider.h). */
#ifndef RAKKR_TESTS_HTTP_OIDC_BROWSER_H
#define RAKKR_TESTS_HTTP_OIDC_BROWSER_H

#include "http/harness.h"
#include "http/oidc_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OIDC "/api/v1/auth/oidc"
#define CONSOLE "https://console.example.org"

/* ---- a browser --------------------------------------------------------------------------------------------------- */

struct attempt {
	const char *location, *state, *nonce, *challenge, *cookie;
};

/* Value of a parameter of a URL, still encoded; fails the test if there is none. */
static inline const char *parameter(const char *url, const char *name)
{
	char *at = strstr(url, fmt("&%s=", name));
	if (at == NULL)
		at = strstr(url, fmt("?%s=", name));
	if (at == NULL)
		at = strstr(url, fmt("#%s=", name));
	cr_assert_not_null(at, "%s in %s", name, url);
	at += strlen(name) + 2;
	return fmt("%.*s", (int)strcspn(at, "&#"), at);
}

static inline struct attempt begin(const char *query)
{
	struct response r = get(fmt(OIDC "/login%s", query), NULL);
	must(r, 302);
	struct attempt a = {.location = header(&r, "location")};
	const char *set = header(&r, "set-cookie");
	cr_assert(a.location != NULL && set != NULL);
	a.state = parameter(a.location, "state");
	a.nonce = parameter(a.location, "nonce");
	a.challenge = parameter(a.location, "code_challenge");
	a.cookie = fmt("Cookie: other=1; %.*s", (int)strcspn(set, ";"), set);
	return a;
}

static inline struct response come_back(const struct attempt *a, const char *query)
{
	const char *headers[] = {a->cookie, NULL};
	return http("GET", fmt(OIDC "/callback?state=%s%s", a->state, query), NULL, headers, NULL, 0);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static inline int serial(void)
{
	static int n;
	return __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED);
}

/* The claims of an honest token, changed by patch (JSON object text; null takes a member away). */
static inline json_object *claims_for(const struct attempt *a, const char *patch)
{
	int64_t now = (int64_t)time(NULL);
	json_object *o = json_tokener_parse(fmt(
	    "{\"iss\":\"%s\",\"aud\":\"rakkr-test\",\"exp\":%lld,\"iat\":%lld,\"nonce\":\"%s\",\"sub\":\"subject-1\","
	    "\"email\":\"Ann@Example.org\",\"name\":\"Ann\",\"roles\":[\"viewer\"],\"groups\":[\"av-team\"]}",
	    provider_issuer(), (long long)now + 300, (long long)now, a->nonce));
	json_object *p = json_tokener_parse(patch == NULL ? "{}" : patch);
	cr_assert_not_null(p, "%s", patch);
	json_object_object_foreach(p, key, value)
	{
		/* "+N" stands for N seconds from now */
		const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
		if (value == NULL)
			json_object_object_del(o, key);
		else if ((text[0] == '+' || text[0] == '-') && text[1] >= '0' && text[1] <= '9')
			json_object_object_add(o, key, json_object_new_int64(now + atoi(text)));
		else
			json_object_object_add(o, key, json_object_get(value));
	}
	return o;
}

/* The whole way with an honest token but for patch. */
static inline struct response sign_in(const char *patch)
{
	struct attempt a = begin("");
	const char *code = fmt("code-%d", serial());
	provider_code(code, token_sign(KEY_RSA, "RS256", NULL, claims_for(&a, patch)), (struct says){0});
	return come_back(&a, fmt("&code=%s", code));
}

static inline const char *token_of(const struct response *r)
{
	must(*r, 302);
	return parameter(header(r, "location"), "rakkr_token");
}

static inline void must_refuse(const struct response *r, int status, const char *reason, const char *what)
{
	const char *set = header(r, "set-cookie");
	cr_expect_eq(r->status, status, "%s: %d: %s", what, r->status, r->body);
	cr_expect_str_eq(j_str(r->json, "reason"), reason, "%s: %s", what, r->body);
	cr_expect_str_eq(j_str(r->json, "error"),
	                 strcmp(reason, "oidc_state_invalid") == 0 ? "OIDC callback state is invalid"
	                                                           : "OIDC callback failed",
	                 "%s", what);
	cr_expect_str_eq(j_str(audit_last("auth.oidc.callback.failed", NULL), "reason"), reason, "%s", what);
	cr_expect(set != NULL &&
	              strcmp(set, "rakkr_oidc_state=; Max-Age=0; Path=" OIDC "/callback; HttpOnly; SameSite=Lax") == 0,
	          "%s: %s", what, set);
}

/* True if the instance's log has this text. */
static inline bool logged(const char *text)
{
	static char log[1 << 20];
	FILE *f = fopen(fmt("%s/log/rakkr.log", instance_dir()), "r");
	cr_assert_not_null(f);
	log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
	fclose(f);
	return strstr(log, text) != NULL;
}

#endif
