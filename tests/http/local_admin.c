/*
 * The built-in administrator, and rules that come from the environment (contract 01 3.2, 6, 12.6, 16 T3, T25; 09 D-47).
 */
#include "http/harness.h"
#include "http/oidc_provider.h"

#include <stdlib.h>
#include <string.h>

TestSuite(local_admin, .fini = instance_stop, .timeout = 120);

#define ADMIN_ID "00000000-0000-4000-8000-000000000001"
#define PUBLISHED "rakkr-local-dev-password"
#define POLICIES "/api/v1/auth/access-policies"

/* What an installation of the earlier controller has that was never given a password of its own. */
static const struct account adopted[] = {
    {"admin@rakkr.local", "Local Admin", "local",
     "scrypt$16384$8$1$i6V-dd0p_EAok89-gbSacQ$G7UuHtPh_eGhLDJvTHr6-5WZXBDGTZh6Ar43AOP8dQx9uqBGQ61uwd018WMvUAab8MOZo"
     "C17vsY9h2dvg0dmaA",
     ADMIN_ID},
    {NULL, NULL, NULL, NULL, NULL},
};

static struct response sign_in(const char *email, const char *password)
{
	return post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
}

/* A reset stays: neither the next sign-in nor the environment brings the old password back. */
Test(local_admin, a_reset_stays)
{
	const char *token;

	instance_start(NULL, NULL);
	token = admin();
	must(patch("/api/v1/auth/users/" ADMIN_ID "/password", token, "{\"password\":\"another password\"}"), 200);
	must(get("/api/v1/auth/me", token), 401);
	for (int i = 0; i < 3; i++) {
		must(sign_in("admin@rakkr.local", getenv("RAKKR_TEST_ADMIN_PASSWORD")), 401);
		must(sign_in("admin@rakkr.local", "another password"), 200);
	}
}

Test(local_admin, the_published_password_opens_nothing)
{
	struct response r;

	instance_start(adopted, NULL);
	r = sign_in("admin@rakkr.local", PUBLISHED);
	must(r, 401);
	cr_expect_str_eq(r.body, "{\"error\":\"Invalid credentials\"}");
	must(sign_in("admin@rakkr.local", getenv("RAKKR_TEST_ADMIN_PASSWORD")), 200);
	cr_expect_str_eq(j_str(audit_last("auth.login.failed", NULL), "reason"), "missing_local_password");
	must(sign_in("admin@rakkr.local", PUBLISHED), 401);
	must(sign_in("admin@rakkr.local", getenv("RAKKR_TEST_ADMIN_PASSWORD")), 200);
}

Test(local_admin, the_published_password_on_a_development_machine)
{
	static const char *const env[] = {"RAKKR_DEV_DEFAULT_PASSWORD=1", NULL};

	instance_start(adopted, env);
	must(sign_in("admin@rakkr.local", PUBLISHED), 200);
}

Test(local_admin, never_the_published_password_in_production)
{
	static const char *const env[] = {"RAKKR_DEV_DEFAULT_PASSWORD=1", "NODE_ENV=production", NULL};

	instance_start(adopted, env);
	must(sign_in("admin@rakkr.local", PUBLISHED), 401);
}

/* 01 T25: the account is known by its id, whatever address its row bears. */
Test(local_admin, a_new_address)
{
	static const char *const env[] = {"RAKKR_LOCAL_ADMIN_EMAIL=Chief@example.org", NULL};
	static const struct account old[] = {
	    {"admin@rakkr.local", "Local Admin", "local",
	     "scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-"
	     "NXPXDrJbLObnPw0lrG7Skde5o4g",
	     ADMIN_ID},
	    {NULL, NULL, NULL, NULL, NULL},
	};
	struct response r;

	instance_start(old, env);
	r = sign_in("chief@example.org", "correct horse");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.user.id"), ADMIN_ID);
	cr_expect_str_eq(j_str(r.json, "data.user.roles.0"), "owner");
	must(get("/api/v1/auth/users", j_str(r.json, "data.token")), 200);
}

static const char *first_effect(const char *token)
{
	struct response r = get(POLICIES, token);

	must(r, 200);
	cr_assert_eq(j_count(r.json, "data"), 1, "%s", r.body);
	return j_str(r.json, "data.0.effect");
}

/* The environment's rules are in force while none are stored; what is answered is what is in force. */
Test(local_admin, rules_of_the_environment)
{
	static const char *const env[] = {"RAKKR_LOCAL_ACCESS_POLICIES=[{\"effect\":\"deny\",\"resourceId\":\"" ADMIN_ID
	                                  "\",\"resourceType\":\"user\","
	                                  "\"subjectType\":\"everyone\"}]",
	                                  NULL};
	struct response r;

	instance_start(NULL, env);
	cr_expect_str_eq(first_effect(admin()), "deny");
	must(get("/api/v1/auth/users/" ADMIN_ID, admin()), 403);
	r = patch(POLICIES, admin(),
	          "{\"policies\":[{\"effect\":\"allow\",\"resourceId\":\"x\",\"resourceType\":\"node\","
	          "\"subjectType\":\"everyone\"}]}");
	must(r, 200);
	cr_expect_str_eq(first_effect(admin()), "allow");
	must(get("/api/v1/auth/users/" ADMIN_ID, admin()), 200);
	r = patch(POLICIES, admin(), "{}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.0.effect"), "deny", "%s", r.body);
	cr_expect_eq(j_count(audit_last("auth.access_policies.update.succeeded", NULL), "after.policies"), 1);
	cr_expect_str_eq(first_effect(admin()), "deny");
	must(get("/api/v1/auth/users/" ADMIN_ID, admin()), 403);
}
