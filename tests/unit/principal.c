/* Who is asking: tokens, the environment's local admin, CurrentUser, policies, OIDC settings (contract 01 3, 5, 8). */
#include "access/oidc.h"
#include "access/policy.h"
#include "access/principal.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct config *conf;

static void setup(void)
{
	conf = config_defaults(NULL);
}

TestSuite(principal, .init = setup);

static const char *text_of(json_object *o)
{
	return json_compact(conf, o, NULL);
}

static json_object *parse(const char *text)
{
	json_object *o;

	cr_assert(json_parse(conf, text, strlen(text), &o), "%s", text);
	return o;
}

Test(principal, bearer)
{
	static const struct {
		const char *header, *token;
	} cases[] = {
	    {"Bearer abc", "abc"},  {"bearer abc", "abc"}, {"BEARER abc", "abc"}, {"Bearer abc def", "abc"},
	    {"Bearer abc ", "abc"}, {"Bearer  abc", NULL}, {"Bearer", NULL},      {"Bearer ", NULL},
	    {"Bearerabc", NULL},    {" Bearer abc", NULL}, {"Basic abc", NULL},   {"", NULL},
	    {NULL, NULL},           {"Bearer\tabc", NULL}, {"Bearers abc", NULL}, {"Bearer a\tb", "a\tb"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *token = bearer_token(conf, cases[i].header);

		if (cases[i].token == NULL)
			cr_expect_null(token, "case %zu", i);
		else
			cr_expect_str_eq(token, cases[i].token);
	}
}

Test(principal, local_admin_defaults)
{
	cr_expect_str_eq(text_of(local_admin(conf, conf)),
	                 "{\"id\":\"00000000-0000-4000-8000-000000000001\",\"email\":\"admin@rakkr.local\","
	                 "\"name\":\"Local Admin\",\"provider\":\"local\",\"roles\":[\"owner\"],\"groups\":[],"
	                 "\"resourceGrants\":[]}");
}

Test(principal, local_admin_id_and_role)
{
	static const struct {
		enum config_key key;
		const char *value, *want;
	} cases[] = {
	    {CFG_LOCAL_ADMIN_ID, "ABCDEF00-1111-2222-3333-444455556666", "abcdef00-1111-2222-3333-444455556666"},
	    {CFG_LOCAL_ADMIN_ID, "not-a-uuid", "00000000-0000-4000-8000-000000000001"},
	    {CFG_LOCAL_ADMIN_ROLE, "auditor", "auditor"},
	    {CFG_LOCAL_ADMIN_ROLE, "Owner", "owner"},
	    {CFG_LOCAL_ADMIN_ROLE, "viewer,auditor", "owner"},
	    {CFG_LOCAL_ADMIN_ROLE, "", "owner"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		config_set(conf, cases[i].key, cases[i].value);
		cr_expect_str_eq(cases[i].key == CFG_LOCAL_ADMIN_ID ? local_admin_id(conf, conf)
		                                                    : local_admin_role(conf),
		                 cases[i].want, "case %zu", i);
	}
}

Test(principal, local_admin_groups)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
	    {"a", "[{\"id\":\"a\",\"name\":\"a\"}]"},
	    {" a , b,,a ", "[{\"id\":\"a\",\"name\":\"a\"},{\"id\":\"b\",\"name\":\"b\"}]"},
	    {" [\"a\", 1, null, \" b \", \"\", \"a\"]",
	     "[{\"id\":\"a\",\"name\":\"a\"},{\"id\":\"b\",\"name\":\"b\"}]"},
	    {"[broken", "[]"},
	    {"  ", "[]"},
	    {"{\"a\":1}", "[{\"id\":\"{\\\"a\\\":1}\",\"name\":\"{\\\"a\\\":1}\"}]"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		config_set(conf, CFG_LOCAL_ADMIN_GROUPS, cases[i].value);
		cr_expect_str_eq(text_of(local_admin_groups(conf, conf)), cases[i].want);
	}
	config_set(conf, CFG_LOCAL_ADMIN_GROUPS, mem_printf(conf, "ok,%0121d", 1));
	cr_expect_eq(json_object_array_length(local_admin_groups(conf, conf)), 1, "an over-long group is left out");
}

Test(principal, local_admin_grants)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
	    {"{\"room\":[\"A\",\"B\"],\"site\":[\"HQ\"]}",
	     "[{\"resourceId\":\"A\",\"resourceType\":\"room\"},{\"resourceId\":\"B\",\"resourceType\":\"room\"},"
	     "{\"resourceId\":\"HQ\",\"resourceType\":\"site\"}]"},
	    {"{\"room\":\"A\",\"node\":[1,\"n\",null]}", "[{\"resourceId\":\"n\",\"resourceType\":\"node\"}]"},
	    {"[\"room\"]", "[]"},
	    {"nonsense", "[]"},
	    {"", "[]"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		config_set(conf, CFG_LOCAL_RESOURCE_GRANTS, cases[i].value);
		cr_expect_str_eq(text_of(local_admin_grants(conf, conf)), cases[i].want);
	}
}

Test(principal, current_user_keys_and_permissions)
{
	json_object *user = parse("{\"id\":\"6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b\",\"email\":\"ann@example.org\","
	                          "\"name\":\"Ann\",\"provider\":\"ldap\",\"passwordHash\":\"secret\","
	                          "\"roles\":[\"auditor\",\"nobody\",\"auditor\"],"
	                          "\"groups\":[{\"id\":\"av-team\",\"name\":\"av-team\",\"x\":1}],"
	                          "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"R\",\"at\":1}]}");

	cr_expect_str_eq(
	    text_of(user_wire(conf, conf, user)),
	    "{\"email\":\"ann@example.org\",\"groups\":[{\"id\":\"av-team\",\"name\":\"av-team\"}],"
	    "\"id\":\"6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b\",\"name\":\"Ann\",\"permissions\":[\"audit:read\","
	    "\"health:read\",\"metrics:read\",\"recording:read\"],\"provider\":\"local\","
	    "\"resourceGrants\":[{\"resourceId\":\"R\",\"resourceType\":\"room\"}],\"roles\":[\"auditor\"]}");
}

Test(principal, permissions_follow_the_order_of_roles)
{
	json_object *wire = user_wire(
	    conf, conf, parse("{\"id\":\"u\",\"email\":\"e\",\"name\":\"n\",\"roles\":[\"viewer\",\"auditor\"]}"));
	json_object *permissions = json_array(wire, "permissions");

	cr_assert_eq(json_object_array_length(permissions), 9);
	cr_expect_str_eq(json_object_get_string(json_object_array_get_idx(permissions, 0)), "health:read");
	cr_expect_str_eq(json_object_get_string(json_object_array_get_idx(permissions, 8)), "audit:read");
}

/* 01 5.4, T9. */
Test(principal, access_without_rows)
{
	static const char admin_id[] = "00000000-0000-4000-8000-000000000001";
	const char *form = "{\"id\":\"%s\",\"email\":\"e\",\"name\":\"n\",\"roles\":[%s],\"resourceGrants\":[%s]}";
	const char *grant = "{\"resourceType\":\"node\",\"resourceId\":\"n\"}";
	const struct {
		const char *id, *roles, *grants, *want_roles;
		size_t want_grants;
	} cases[] = {
	    {admin_id, "", "", "[\"admin\"]", 2},
	    {admin_id, "", grant, "[\"admin\"]", 1},
	    {admin_id, "\"viewer\"", "", "[\"viewer\"]", 0},
	    {admin_id, "\"nobody\"", "", "[\"admin\"]", 2},
	    {"6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b", "", grant, "[]", 1},
	    {"6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b", "", "", "[]", 0},
	};

	config_set(conf, CFG_LOCAL_ADMIN_ROLE, "admin");
	config_set(conf, CFG_LOCAL_RESOURCE_GRANTS, "{\"room\":[\"A\",\"B\"]}");
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_object *wire =
		    user_wire(conf, conf, parse(mem_printf(conf, form, cases[i].id, cases[i].roles, cases[i].grants)));

		cr_expect_str_eq(text_of(json_get(wire, "roles")), cases[i].want_roles, "case %zu", i);
		cr_expect_eq(json_object_array_length(json_array(wire, "resourceGrants")), cases[i].want_grants,
		             "case %zu", i);
	}
}

Test(principal, policies_of_the_environment)
{
	static const struct {
		const char *value;
		size_t want;
	} cases[] = {
	    {"[]", 0},
	    {"", 0},
	    {"nonsense", 0},
	    {"{}", 0},
	    {"[{\"effect\":\"deny\",\"resourceId\":\"x\",\"resourceType\":\"node\",\"subjectType\":\"everyone\"}]", 1},
	    {"[{\"effect\":\"deny\",\"resourceId\":\"x\",\"resourceType\":\"node\",\"subjectType\":\"everyone\"},"
	     "{\"effect\":\"deny\",\"resourceId\":\"\",\"resourceType\":\"node\",\"subjectType\":\"everyone\"}]",
	     0},
	    {"[{\"effect\":\"permit\",\"resourceId\":\"x\",\"resourceType\":\"node\",\"subjectType\":\"everyone\"}]",
	     0},
	    {"[{\"effect\":\"deny\",\"reason\":null,\"resourceId\":\"x\",\"resourceType\":\"node\","
	     "\"subjectType\":\"everyone\"}]",
	     0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		config_set(conf, CFG_LOCAL_ACCESS_POLICIES, cases[i].value);
		cr_expect_eq(json_object_array_length(policies_from_environment(conf, conf)), cases[i].want, "case %zu",
		             i);
	}
}

/* Vectors of 01 12.6 and 07 2.4. */
Test(principal, policy_ids)
{
	json_object *a = policies_with_ids(
	    conf, parse("[{\"subjectType\":\"everyone\",\"effect\":\"deny\",\"reason\":\"maintenance\","
	                "\"resourceId\":\"node_x32_test\",\"resourceType\":\"node\",\"extra\":1}]"));
	json_object *b = policies_with_ids(
	    conf, parse("[{\"effect\":\"allow\",\"reason\":\"r\",\"resourceId\":\"*\",\"resourceType\":\"node\","
	                "\"subjectType\":\"everyone\"}]"));

	cr_expect_str_eq(text_of(a),
	                 "[{\"effect\":\"deny\",\"reason\":\"maintenance\",\"resourceId\":\"node_x32_test\","
	                 "\"resourceType\":\"node\",\"subjectType\":\"everyone\","
	                 "\"id\":\"policy_8b8518a2ba0cc048_0\"}]");
	cr_expect_str_eq(json_str(json_object_array_get_idx(b, 0), "id"), "policy_815af80449094681_0");
}

Test(principal, policies_are_unique)
{
	json_object *out = policies_unique(
	    conf,
	    parse("[{\"effect\":\"deny\",\"reason\":\"1\",\"resourceId\":\"x\",\"resourceType\":\"node\","
	          "\"subjectType\":\"everyone\"},"
	          "{\"effect\":\"allow\",\"resourceId\":\"x\",\"resourceType\":\"node\",\"subjectType\":\"everyone\"},"
	          "{\"effect\":\"deny\",\"reason\":\"2\",\"resourceId\":\"x\",\"resourceType\":\"node\","
	          "\"subjectId\":\"\",\"subjectType\":\"everyone\"}]"));

	cr_assert_eq(json_object_array_length(out), 2);
	cr_expect_str_eq(json_str(json_object_array_get_idx(out, 0), "reason"), "2");
	cr_expect_str_eq(json_str(json_object_array_get_idx(out, 1), "effect"), "allow");
}

/* Decisions that need no store: it may not even be asked. */
Test(principal, scope_without_the_store)
{
	struct policy deny = {.deny = true, .type = "node", .id = "n"};
	struct grant grant = {.type = "recording", .id = "r"};
	struct principal p = {.kind = WHO_USER};
	enum scope_verdict v;

	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "node", .id = "n"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_UNAUTHENTICATED);
	p.scope.known = true;
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "node", .id = "n"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_MISSING, "nothing could ever allow it");
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "node"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_ALLOWED);
	p.scope.grants = &grant;
	p.scope.grant_count = 1;
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "recording", .id = "r"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_ALLOWED);
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "upload_policy", .id = "r"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_MISSING, "has no parents");
	p.scope.policies = &deny;
	p.scope.policy_count = 1;
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "node", .id = "n"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_POLICY_DENIED);
	p.scope.unrestricted = true;
	p.scope.policy_count = 0;
	cr_assert_eq(principal_scope(conf, NULL, &p, &(struct target){.type = "recording", .id = "x"}, &v), ST_OK);
	cr_expect_eq(v, SCOPE_ALLOWED);
}

Test(principal, row_scope_without_parents)
{
	struct policy rules[] = {{.deny = true, .type = "recording", .id = "r1"}, {.type = "recording", .id = "*"}};
	struct grant grant = {.type = "recording", .id = "r2"};
	struct principal p = {.kind = WHO_USER};
	const struct row_scope *rows;

	cr_assert_eq(principal_row_scope(conf, NULL, &p, &rows), ST_OK);
	cr_expect(rows->deny_all, "nobody sees nothing");
	p.scope = (struct scope_subject){.known = true, .unrestricted = true};
	cr_assert_eq(principal_row_scope(conf, NULL, &p, &rows), ST_OK);
	cr_expect_null(rows);
	p.scope = (struct scope_subject){.known = true};
	cr_assert_eq(principal_row_scope(conf, NULL, &p, &rows), ST_OK);
	cr_expect_not(rows->allow_all || rows->deny_all);
	p.scope.grants = &grant;
	p.scope.grant_count = 1;
	p.scope.policies = rules;
	p.scope.policy_count = 2;
	cr_assert_eq(principal_row_scope(conf, NULL, &p, &rows), ST_OK);
	cr_expect(rows->allow_all);
	cr_assert_eq(rows->deny_recordings.count, 1);
	cr_expect_str_eq(rows->deny_recordings.ids[0], "r1");
	cr_assert_eq(rows->allow_recordings.count, 1);
	cr_expect_str_eq(rows->allow_recordings.ids[0], "r2");
}

Test(principal, permission_mask)
{
	struct principal p;

	principal_from_user(user_wire(conf, conf, local_admin(conf, conf)), "s", &p);
	cr_expect(principal_may(&p, PERM_SYSTEM_ADMIN));
	cr_expect_not(principal_may(&p, PERM_NONE));
	principal_anonymous(&p);
	cr_expect_not(principal_may(&p, PERM_AUDIT_READ));
	cr_assert_not_null(p.roles);
	cr_expect_eq(json_object_array_length(p.roles), 0);
}

Test(principal, oidc_urls)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"https://login.example.org/", "https://login.example.org"},
	    {"HTTPS://Login.Example.ORG:443/t-1/v2.0/", "https://login.example.org/t-1/v2.0"},
	    {"http://localhost:8080/cb", "http://localhost:8080/cb"},
	    {"https://x.org/a//", "https://x.org/a/"},
	    {"https://x.org/a?b=C", "https://x.org/a?b=C"},
	    {"ftp://x.org/", NULL},
	    {"x.org", NULL},
	    {"", NULL},
	    {NULL, NULL},
	    {"https://", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *out = oidc_url(conf, cases[i].in);

		if (cases[i].out == NULL)
			cr_expect_null(out, "case %zu: %s", i, out);
		else
			cr_expect_str_eq(out != NULL ? out : "(none)", cases[i].out);
	}
}

Test(principal, oidc_config)
{
	struct oidc o;

	oidc_load(conf, conf, &o);
	cr_expect_str_eq(text_of(oidc_public(conf, &o)),
	                 "{\"configured\":false,\"enabled\":false,\"loginAvailable\":false,\"missingFields\":[],"
	                 "\"provider\":\"azure_ad\",\"scopes\":[\"openid\",\"profile\",\"email\"]}");
	cr_expect_str_eq(oidc_unavailable(&o), "oidc_disabled");
	config_set(conf, CFG_OIDC_ENABLED, " Yes ");
	oidc_load(conf, conf, &o);
	cr_expect_str_eq(text_of(o.missing), "[\"issuer\",\"clientId\",\"redirectUri\"]");
	cr_expect_str_eq(oidc_unavailable(&o), "oidc_not_configured");
	config_set(conf, CFG_OIDC_AZURE_TENANT_ID, "t-1");
	config_set(conf, CFG_OIDC_CLIENT_ID, " app-1 ");
	config_set(conf, CFG_OIDC_CLIENT_SECRET, "hidden");
	config_set(conf, CFG_OIDC_REDIRECT_URI, "https://rakkr.example.org/api/v1/auth/oidc/callback");
	oidc_load(conf, conf, &o);
	cr_expect_str_eq(
	    text_of(oidc_public(conf, &o)),
	    "{\"clientId\":\"app-1\",\"configured\":true,\"discoveryUrl\":\"https://login.microsoftonline.com/t-1/v2.0/"
	    ".well-known/openid-configuration\",\"enabled\":true,\"issuer\":\"https://login.microsoftonline.com/t-1/"
	    "v2.0\","
	    "\"loginAvailable\":true,\"missingFields\":[],\"provider\":\"azure_ad\",\"redirectUri\":"
	    "\"https://rakkr.example.org/api/v1/auth/oidc/callback\",\"scopes\":[\"openid\",\"profile\",\"email\"]}");
	cr_expect_null(oidc_unavailable(&o));
}
