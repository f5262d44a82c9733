/* Sign-ins at a provider cost anybody nothing to begin: how many there may be of an address and in all. */
#include "http/harness.h"
#include "http/oidc_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OIDC "/api/v1/auth/oidc"

TestSuite(oidc_limit, .fini = instance_stop, .timeout = 120);

struct begun {
	const char *state, *nonce, *cookie;
};

static const char *parameter(const char *url, const char *name)
{
	char *at = strstr(url, fmt("&%s=", name));

	cr_assert_not_null(at, "%s in %s", name, url);
	at += strlen(name) + 2;
	return fmt("%.*s", (int)strcspn(at, "&#"), at);
}

static struct begun begin(void)
{
	struct response r = get(OIDC "/login", NULL);
	const char *location = header(&r, "location");

	must(r, 302);
	return (struct begun){.state = parameter(location, "state"),
	                      .nonce = parameter(location, "nonce"),
	                      .cookie = fmt("Cookie: rakkr_oidc_state=%s", parameter(location, "state"))};
}

/* Comes back from the provider with an honest token. */
static struct response come_back(const struct begun *b)
{
	const char *headers[] = {b->cookie, NULL}, *code = fmt("code-%s", b->state);
	long long now = (long long)time(NULL);
	json_object *claims = json_tokener_parse(fmt(
	    "{\"iss\":\"%s\",\"aud\":\"rakkr-test\",\"exp\":%lld,\"iat\":%lld,\"nonce\":\"%s\",\"sub\":\"subject-1\","
	    "\"email\":\"ann@example.org\",\"roles\":[\"viewer\"]}",
	    provider_issuer(), now + 300, now, b->nonce));

	provider_code(code, token_sign(KEY_RSA, "RS256", NULL, claims), (struct says){0});
	return http("GET", fmt(OIDC "/callback?state=%s&code=%s", b->state, code), NULL, headers, NULL, 0);
}

/* The states that are kept now. */
static int states_kept(void)
{
	char text[1 << 16];
	json_object *all;
	FILE *f;

	if (on_postgres())
		return atoi(sql("select count(*) from oidc_login_states"));
	f = fopen(fmt("%s/data/oidc-states.json", instance_dir()), "r");
	cr_assert_not_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	all = json_tokener_parse(text);
	cr_assert_not_null(all, "%s", text);
	json_object_object_foreach(all, key, value)
	{
		if (json_object_is_type(value, json_type_array))
			return (int)json_object_array_length(value);
		cr_expect_not_null(key);
	}
	return -1;
}

Test(oidc_limit, an_address_begins_so_many)
{
	static const char *const env[] = {"RAKKR_OIDC_ATTEMPTS=5", NULL};
	struct response r;
	json_object *event;
	int asked;

	instance_start(NULL, env);
	http_from("127.9.8.7");
	for (int i = 0; i < 5; i++)
		must(get(OIDC "/login", NULL), 302);
	asked = provider_asked(DISCOVERY);
	for (int i = 0; i < 20; i++) {
		r = get(OIDC "/login", NULL);
		must(r, 429);
	}
	cr_expect_str_eq(r.body, "{\"error\":\"OIDC login unavailable\",\"reason\":\"rate_limited\"}");
	cr_assert_not_null(header(&r, "Retry-After"));
	cr_expect(atoi(header(&r, "Retry-After")) >= 1 && atoi(header(&r, "Retry-After")) <= 60);
	cr_expect_null(header(&r, "Set-Cookie"));
	cr_expect_eq(provider_asked(DISCOVERY), asked, "the provider is not asked for one that is refused");
	cr_expect_eq(states_kept(), 5);
	event = audit_last("auth.oidc.login.failed", NULL);
	cr_expect_str_eq(j_str(event, "reason"), "rate_limited");
	cr_expect_str_eq(j_str(event, "outcome"), "failed");
	/* nobody else is kept out */
	http_from("127.9.8.8");
	must(get(OIDC "/login", NULL), 302);
}

/* The default never meets a whole office that opens the console at once. */
Test(oidc_limit, an_office_signs_in)
{
	instance_start(NULL, NULL);
	for (int i = 0; i < 60; i++)
		must(get(OIDC "/login", NULL), 302);
}

Test(oidc_limit, all_of_them_are_bounded)
{
	static const char *const env[] = {"RAKKR_OIDC_STATES_MAX=10", "RAKKR_OIDC_ATTEMPTS=0", NULL};
	struct begun begun[25];
	struct response r;

	instance_start(NULL, env);
	for (int i = 0; i < 25; i++) {
		begun[i] = begin();
		cr_expect_leq(states_kept(), 10, "after %d: %d", i, states_kept());
	}
	r = come_back(&begun[0]);
	must(r, 400);
	cr_expect_str_eq(j_str(r.json, "reason"), "oidc_state_invalid");
	/* those that came last are not shut out */
	r = come_back(&begun[24]);
	must(r, 302);
	cr_expect_not_null(strstr(header(&r, "location"), "rakkr_token="));
	r = come_back(&begun[18]);
	must(r, 302);
}
