/* Resource scope (contract 01 11, 09 D-45): grant level x deny level x role, against each expanded target. */
#include "base/mem.h"
#include "engine/scope.h"
#include "model/permission.h"

#include <criterion/criterion.h>
#include <string.h>

/* What each kind of target expands to: node_a (site HQ, room Hall), sched_1 (room Hall, node_a), rec_9 of both. */
static const struct target node_a[] = {
    {.type = "node", .id = "node_a"},
    {.type = "site", .id = "HQ"},
    {.type = "room", .id = "Hall"},
    {.type = "room", .id = "HQ/Hall"},
};
static const struct target interface_a[] = {
    {.type = "interface", .id = "if_1"}, {.type = "node", .id = "node_a"},  {.type = "site", .id = "HQ"},
    {.type = "room", .id = "Hall"},      {.type = "room", .id = "HQ/Hall"},
};
static const struct target channel_a[] = {
    {.type = "channel", .id = "if_1:2"}, {.type = "interface", .id = "if_1"}, {.type = "node", .id = "node_a"},
    {.type = "site", .id = "HQ"},        {.type = "room", .id = "Hall"},      {.type = "room", .id = "HQ/Hall"},
};
static const struct target schedule_a[] = {
    {.type = "schedule", .id = "sched_1"}, {.type = "room", .id = "Hall"},    {.type = "node", .id = "node_a"},
    {.type = "site", .id = "HQ"},          {.type = "room", .id = "HQ/Hall"},
};
static const struct target recording_a[] = {
    {.type = "recording", .id = "rec_9"}, {.type = "schedule", .id = "sched_1"}, {.type = "room", .id = "Hall"},
    {.type = "node", .id = "node_a"},     {.type = "site", .id = "HQ"},          {.type = "room", .id = "HQ/Hall"},
};
static const struct target job_a[] = {
    {.type = "recording_job", .id = "job_3"}, {.type = "recording", .id = "rec_9"},
    {.type = "schedule", .id = "sched_1"},    {.type = "room", .id = "Hall"},
    {.type = "node", .id = "node_a"},         {.type = "site", .id = "HQ"},
    {.type = "room", .id = "HQ/Hall"},
};
static const struct target event_a[] = {
    {.type = "health_event", .id = "ev_5"}, {.type = "recording", .id = "rec_9"}, {.type = "schedule", .id = "sched_1"},
    {.type = "room", .id = "Hall"},         {.type = "node", .id = "node_a"},     {.type = "site", .id = "HQ"},
    {.type = "room", .id = "HQ/Hall"},
};
static const struct target collection_a[] = {{.type = "recording_collection", .id = "recording_collection"}};
static const struct target profile_a[] = {{.type = "recording_profile", .id = "p1"}};

#define EXPANDED(name)                                                                                                 \
	{                                                                                                              \
#name, name, sizeof(name) / sizeof(name[0])                                                            \
	}
static const struct {
	const char *name;
	const struct target *at;
	size_t count;
} targets[] = {EXPANDED(node_a),     EXPANDED(interface_a), EXPANDED(channel_a),
               EXPANDED(schedule_a), EXPANDED(recording_a), EXPANDED(profile_a),
               EXPANDED(job_a),      EXPANDED(event_a),     EXPANDED(collection_a)};

/* Rules, and which of the targets above each one matches (n i c s r p, job, event, collection as k). */
static const struct {
	struct grant rule;
	const char *matches;
} rules[] = {
    {{"site", "HQ"}, "nicsrje"},
    {{"room", "Hall"}, "nicsrje"},
    {{"room", "HQ/Hall"}, "nicsrje"},
    {{"node", "node_a"}, "nicsrje"},
    {{"interface", "if_1"}, "ic"},
    {{"channel", "if_1:2"}, "c"},
    {{"schedule", "sched_1"}, "srje"},
    {{"recording", "rec_9"}, "rje"},
    {{"recording_profile", "p1"}, "p"},
    {{"*", "*"}, "nicsrpjek"},
    {{"node", "*"}, "nicsrje"},
    {{"*", "HQ"}, "nicsrje"},
    {{"*", "rec_9"}, "rje"},
    {{"recording", "*"}, "rje"},
    {{"site", "H"}, ""},     /* no prefixes */
    {{"site", "hq"}, ""},    /* case counts */
    {{"room", "HQ"}, ""},    /* the type counts */
    {{"building", "B"}, ""}, /* building and floor are no scopes */
    {{"node", "node_ab"}, ""},
    {{"recording_job", "job_3"}, "j"},
    {{"health_event", "*"}, "e"},
    {{"recording_collection", "recording_collection"}, "k"},
    {{"*", "recording_collection"}, "k"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const char letters[] = "nicsrpjek";

static bool expected(size_t rule, size_t target)
{
	return strchr(rules[rule].matches, letters[target]) != NULL;
}

Test(scope, one_grant_decides_for_a_restricted_user)
{
	for (size_t g = 0; g < COUNT(rules); g++) {
		for (size_t t = 0; t < COUNT(targets); t++) {
			struct scope_subject s = {.known = true, .grants = &rules[g].rule, .grant_count = 1};
			enum scope_verdict want = expected(g, t) ? SCOPE_ALLOWED : SCOPE_MISSING;

			cr_expect_eq(scope_decide(&s, targets[t].at, targets[t].count), want, "grant %s:%s on %s",
			             rules[g].rule.type, rules[g].rule.id, targets[t].name);
		}
	}
}

Test(scope, allow_policy_is_like_a_grant)
{
	for (size_t g = 0; g < COUNT(rules); g++) {
		for (size_t t = 0; t < COUNT(targets); t++) {
			struct policy p = {.deny = false, .type = rules[g].rule.type, .id = rules[g].rule.id};
			struct scope_subject s = {.known = true, .policies = &p, .policy_count = 1};
			enum scope_verdict want = expected(g, t) ? SCOPE_ALLOWED : SCOPE_MISSING;

			cr_expect_eq(scope_decide(&s, targets[t].at, targets[t].count), want);
		}
	}
}

/* The whole matrix: deny beats allow, grant and owner, at every level. */
Test(scope, deny_beats_everything)
{
	for (size_t d = 0; d < COUNT(rules); d++) {
		for (size_t g = 0; g < COUNT(rules); g++) {
			for (size_t t = 0; t < COUNT(targets); t++) {
				for (int owner = 0; owner < 2; owner++) {
					struct policy p[2] = {
					    {.deny = false, .type = rules[g].rule.type, .id = rules[g].rule.id},
					    {.deny = true, .type = rules[d].rule.type, .id = rules[d].rule.id},
					};
					struct scope_subject s = {.known = true,
					                          .unrestricted = owner != 0,
					                          .grants = &rules[g].rule,
					                          .grant_count = 1,
					                          .policies = p,
					                          .policy_count = 2};
					enum scope_verdict want = SCOPE_MISSING;

					if (expected(d, t))
						want = SCOPE_POLICY_DENIED;
					else if (owner || expected(g, t))
						want = SCOPE_ALLOWED;
					cr_expect_eq(scope_decide(&s, targets[t].at, targets[t].count), want,
					             "deny %s:%s, grant %s:%s, owner %d, on %s", rules[d].rule.type,
					             rules[d].rule.id, rules[g].rule.type, rules[g].rule.id, owner,
					             targets[t].name);
				}
			}
		}
	}
}

/* Who has what: columns owner, admin, operator, viewer, auditor of contract 01 5.3. */
static const char *const matrix[PERM_COUNT] = {
    [PERM_AUDIT_READ] = "xx..x",         [PERM_AUTH_MANAGE] = "xx...",      [PERM_HEALTH_ACKNOWLEDGE] = "xxx..",
    [PERM_HEALTH_READ] = "xxxxx",        [PERM_LISTEN_MONITOR] = "xxx..",   [PERM_METRICS_READ] = "xxxxx",
    [PERM_NODE_CONTROL] = "xxx..",       [PERM_NODE_MANAGE] = "xx...",      [PERM_NODE_READ] = "xxxx.",
    [PERM_RECORDING_CONTROL] = "xxx..",  [PERM_RECORDING_CREATE] = "xxx..", [PERM_RECORDING_DELETE] = "xx...",
    [PERM_RECORDING_DOWNLOAD] = "xxxx.", [PERM_RECORDING_EDIT] = "xxx..",   [PERM_RECORDING_PLAYBACK] = "xxxx.",
    [PERM_RECORDING_READ] = "xxxxx",     [PERM_SCHEDULE_MANAGE] = "xxx..",  [PERM_SCHEDULE_READ] = "xxxx.",
    [PERM_SETTINGS_MANAGE] = "xx...",    [PERM_SETTINGS_READ] = "xxxx.",    [PERM_SYSTEM_ADMIN] = "x....",
};

static enum scope_verdict decide(enum role role, size_t grant, size_t deny, size_t target)
{
	struct policy p = {.deny = true, .type = rules[deny].rule.type, .id = rules[deny].rule.id};
	struct scope_subject s = {.known = true,
	                          .unrestricted = role == ROLE_OWNER || role == ROLE_ADMIN,
	                          .grants = &rules[grant].rule,
	                          .grant_count = 1,
	                          .policies = &p,
	                          .policy_count = 1};

	return scope_decide(&s, targets[target].at, targets[target].count);
}

/* role x permission x grant x denial x target: both conditions must hold, and neither makes up for the other. */
Test(scope, permission_and_scope_for_every_role)
{
	for (enum role role = 0; role < ROLE_COUNT; role++)
		for (size_t g = 0; g < COUNT(rules); g++)
			for (size_t d = 0; d < COUNT(rules); d++)
				for (size_t t = 0; t < COUNT(targets); t++) {
					bool in_scope = (role <= ROLE_ADMIN || expected(g, t)) && !expected(d, t);

					cr_expect_eq(decide(role, g, d, t) == SCOPE_ALLOWED, in_scope);
					for (int p = 0; p < PERM_COUNT; p++) {
						bool has = (role_permissions(role) & (1u << p)) != 0;

						if (has != (matrix[p][role] == 'x'))
							cr_assert_fail("%s of %s", permission_name((enum permission)p),
							               role_name(role));
					}
				}
}

Test(scope, nobody_and_no_id)
{
	struct policy everything = {.deny = true, .type = "*", .id = "*"};
	struct scope_subject nobody = {.known = false};
	struct scope_subject denied = {.known = true, .policies = &everything, .policy_count = 1};

	cr_expect_eq(scope_decide(&nobody, node_a, COUNT(node_a)), SCOPE_UNAUTHENTICATED);
	cr_expect_eq(scope_decide(&nobody, NULL, 0), SCOPE_UNAUTHENTICATED);
	cr_expect_eq(scope_decide(&denied, NULL, 0), SCOPE_ALLOWED, "policies are not consulted without an id");
	cr_expect_null(scope_reason(SCOPE_ALLOWED));
	cr_expect_str_eq(scope_reason(SCOPE_UNAUTHENTICATED), "unauthenticated");
	cr_expect_str_eq(scope_reason(SCOPE_POLICY_DENIED), "access_policy_denied");
	cr_expect_str_eq(scope_reason(SCOPE_MISSING), "missing_resource_scope");
}

Test(scope, total_only_without_denies)
{
	struct policy allow = {.deny = false, .type = "*", .id = "*"};
	struct policy deny = {.deny = true, .type = "node", .id = "x"};
	struct scope_subject s = {.known = true, .unrestricted = true};

	cr_expect(scope_is_total(&s));
	s.policies = &allow;
	s.policy_count = 1;
	cr_expect(scope_is_total(&s));
	s.policies = &deny;
	cr_expect_not(scope_is_total(&s));
	s.policy_count = 0;
	s.unrestricted = false;
	cr_expect_not(scope_is_total(&s));
}

Test(scope, targets_are_unique_and_have_ids)
{
	void *mem = talloc_new(NULL);
	struct targets t = {0};

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++)
			targets_add(mem, &t, i % 2 ? "room" : "site", mem_printf(mem, "id%d", i / 2));
		targets_add(mem, &t, "room", "");
		targets_add(mem, &t, "room", NULL);
	}
	cr_assert_eq(t.count, 20);
	cr_expect_str_eq(t.at[0].type, "site");
	cr_expect_str_eq(t.at[19].id, "id9");
	talloc_free(mem);
}

Test(scope, policy_subjects)
{
	static const char *const groups[] = {"av-team", "choir"};
	static const struct {
		const char *type, *id;
		bool want;
	} cases[] = {
	    {"everyone", NULL, true},
	    {"everyone", "x", true},
	    {"user", "u-1", true},
	    {"user", "ann@example.org", true},
	    {"user", "Ann@example.org", false},
	    {"user", "U-1", false},
	    {"user", NULL, false},
	    {"user", "", false},
	    {"user", "av-team", false},
	    {"group", "choir", true},
	    {"group", "Choir", false},
	    {"group", NULL, false},
	    {"group", "", false},
	    {"group", "u-1", false},
	    {"robot", "u-1", false},
	    {NULL, "u-1", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_eq(policy_subject_matches(cases[i].type, cases[i].id, "u-1", "ann@example.org", groups, 2),
		             cases[i].want, "case %zu", i);
}
