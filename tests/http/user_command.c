/* rakkr-fcgi user: accounts of a running controller from the terminal, in both stores (contract 01 12, 13). */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct ran {
	int code;
	char text[20000]; /* standard output, then errors */
};

/* The program with these words of a shell, as an administrator of the instance would run it. */
static struct ran user(const char *input, const char *words)
{
	static struct ran r;
	bool database = on_postgres();
	FILE *out = popen(fmt("cd '%s' && printf '%s' | %s%s%s '%s' user %s 2>&1", instance_dir(), input,
	                      database ? "DATABASE_URL='" : "", database ? getenv("RAKKR_TEST_DATABASE_URL") : "",
	                      database ? "'" : "", getenv("RAKKR_TEST_PROGRAM"), words),
	                  "r");

	cr_assert_not_null(out);
	r.text[fread(r.text, 1, sizeof(r.text) - 1, out)] = '\0';
	r.code = WEXITSTATUS(pclose(out));
	return r;
}

static void expect_done(struct ran r, const char *what)
{
	cr_assert_eq(r.code, 0, "%s: %d %s", what, r.code, r.text);
	cr_expect_str_eq(r.text, "", "%s", what);
}

static void expect_refused(struct ran r, int code, const char *text)
{
	cr_expect_eq(r.code, code, "%s: %d %s", text, r.code, r.text);
	cr_expect_not_null(strstr(r.text, text), "\"%s\" is not in \"%s\"", text, r.text);
}

static const char *fresh_email(void)
{
	static int count;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return fmt("c%d-%lx-%x@example.org", ++count, t.tv_nsec, (unsigned)getpid());
}

static struct user added(const char *options)
{
	struct user u = {.email = fresh_email(), .password = "from the terminal"};

	expect_done(user("from the terminal\\n", fmt("add %s --password-stdin %s", options, u.email)), "add");
	u.token = login(u.email, u.password);
	u.id = j_str(get("/api/v1/auth/me", u.token).json, "data.id");
	return u;
}

static int me(const char *token)
{
	return get("/api/v1/auth/me", token).status;
}

static json_object *cli_event(const char *action, const char *id)
{
	json_object *event = audit_last(action, id);

	cr_expect_str_eq(j_str(event, "actor.id"), "system:cli");
	cr_expect_str_eq(j_str(event, "actor.type"), "system");
	cr_expect_str_neq(j_str(event, "actor.name"), "");
	cr_expect_eq(j_count(event, "actor.roles"), 0);
	cr_expect_str_eq(j_str(event, "permission"), "auth:manage");
	return event;
}

Test(user_command, add_makes_an_account)
{
	struct user u = added("--role operator --role viewer --name 'Ann O.' --group av --resource room:HQ/Hall "
	                      "--resource node:a:b");
	struct response r = get("/api/v1/auth/me", u.token);
	json_object *event = cli_event("auth.users.create.succeeded", u.id);

	cr_expect_str_eq(j_str(r.json, "data.name"), "Ann O.");
	cr_expect_str_eq(j_str(r.json, "data.roles.0"), "operator");
	cr_expect_str_eq(j_str(r.json, "data.groups.0.id"), "av");
	cr_expect_str_eq(j_str(j_find(r.json, "data.resourceGrants", "resourceType", "room"), "resourceId"), "HQ/Hall");
	cr_expect_str_eq(j_str(j_find(r.json, "data.resourceGrants", "resourceType", "node"), "resourceId"), "a:b");
	cr_expect_eq(j_count(event, "after.roles"), 2);
	cr_expect_null(strstr(json_object_to_json_string(event), u.password));
	expect_refused(user("from the terminal\\n", fmt("add --role viewer --password-stdin %s", u.email)), 1,
	               "Local user already exists");
	cr_expect_str_eq(j_str(audit_last("auth.users.create.failed", NULL), "actor.id"), "system:cli");
}

Test(user_command, what_is_refused)
{
	struct user u = added("--role viewer");

	expect_refused(user("", "add --role viewer --password-stdin new@example.org"), 1, "no password");
	expect_refused(user("from the terminal\\n", "add --password-stdin new@example.org"), 2, "--role is missing");
	expect_refused(user("from the terminal\\n", "add --role boss --password-stdin new@example.org"), 1, "roles");
	expect_refused(user("from the terminal\\n", "add --role viewer --password-stdin nobody"), 1, "email");
	expect_refused(user("short\\n", fmt("passwd --password-stdin %s", u.email)), 1, "password");
	expect_refused(user("", fmt("passwd %s", u.email)), 1, "--password-stdin");
	expect_refused(user("", "disable nobody@example.org"), 1, "there is no account");
	expect_refused(user("", fmt("delete %s", u.email)), 1, "--yes");
	expect_refused(user("", fmt("grant %s", u.email)), 2, "nothing is named");
	expect_refused(user("", fmt("grant --revoke --role viewer %s", u.email)), 1, "roles");
	expect_refused(user("", "disable admin@rakkr.local"), 1, "Cannot disable the bootstrap local admin");
	expect_refused(user("", "delete --yes admin@rakkr.local"), 1, "Cannot delete the bootstrap local admin");
	expect_refused(user("", "frobnicate"), 2, "usage:");
	cr_expect_eq(me(u.token), 200);
}

Test(user_command, list_shows_accounts)
{
	struct user u = added("--role auditor --name Lister");
	struct ran r = user("", "list");

	cr_assert_eq(r.code, 0, "%s", r.text);
	cr_expect_not_null(strstr(r.text, fmt("%s\tenabled\tlocal\tauditor\t%s\tLister\n", u.id, u.email)), "%s",
	                   r.text);
	cr_expect_not_null(strstr(r.text, "admin@rakkr.local"), "%s", r.text);
}

/* What the terminal changes counts at once, in every worker. */
Test(user_command, a_new_password_ends_sessions)
{
	struct user u = added("--role viewer");

	expect_done(user("a new password\\n", fmt("passwd --password-stdin %s", u.email)), "passwd");
	cr_expect_eq(me(u.token), 401);
	cli_event("auth.users.password.reset.succeeded", u.id);
	login(u.email, "a new password");
}

Test(user_command, disable_and_enable)
{
	struct user u = added("--role viewer");

	expect_done(user("", fmt("disable %s", u.id)), "disable");
	cr_expect_eq(me(u.token), 401);
	cr_expect(j_has(cli_event("auth.users.status.update.succeeded", u.id), "after.disabledAt"));
	expect_done(user("", fmt("enable %s", u.email)), "enable");
	login(u.email, u.password);
	cr_expect_not(j_has(cli_event("auth.users.status.update.succeeded", u.id), "after.disabledAt"));
}

Test(user_command, grant_adds_and_takes_away)
{
	struct node n = enroll_node("Granted");
	struct user u = added("--role viewer");

	must(get(n.path, u.token), 403);
	expect_done(user("", fmt("grant --role auditor --group choir --resource node:%s %s", n.id, u.email)), "grant");
	must(get(n.path, u.token), 200);
	json_object *event = cli_event("auth.users.access.update.succeeded", u.id);
	cr_expect_eq(j_count(event, "before.roles"), 1);
	cr_expect_eq(j_count(event, "after.roles"), 2);
	cr_expect_str_eq(j_str(event, "after.groups.0.id"), "choir");
	expect_done(user("", fmt("grant --revoke --role auditor --group choir --resource node:%s %s", n.id, u.email)),
	            "revoke");
	must(get(n.path, u.token), 403);
	struct response r = get("/api/v1/auth/me", u.token);
	cr_expect_eq(j_count(r.json, "data.roles"), 1);
	cr_expect_eq(j_count(r.json, "data.groups"), 0);
	cr_expect_eq(j_count(r.json, "data.resourceGrants"), 0);
}

Test(user_command, delete_takes_the_account)
{
	struct user u = added("--role viewer");

	expect_done(user("", fmt("delete --yes %s", u.email)), "delete");
	cr_expect_eq(me(u.token), 401);
	must(get(fmt("/api/v1/auth/users/%s", u.id), admin()), 404);
	cr_expect(j_has(cli_event("auth.users.delete.succeeded", u.id), "before.roles"));
	expect_refused(user("", fmt("delete --yes %s", u.email)), 1, "there is no account");
}

/* Beside the pool: nothing of either side is lost. */
static void add_one(int index, void *arg)
{
	const char **emails = arg;

	if (index % 2 == 0) {
		emails[index] = create_user("viewer", NULL).email;
		return;
	}
	emails[index] = fmt("p%d-%s", index, fresh_email());
	cr_expect_eq(system(fmt("cd '%s' && printf 'from the terminal\\n' | %s%s%s '%s' user add --role viewer "
	                        "--password-stdin %s",
	                        instance_dir(), on_postgres() ? "DATABASE_URL='" : "",
	                        on_postgres() ? getenv("RAKKR_TEST_DATABASE_URL") : "", on_postgres() ? "'" : "",
	                        getenv("RAKKR_TEST_PROGRAM"), emails[index])),
	             0);
}

Test(user_command, works_beside_the_running_pool)
{
	enum { ALL = 8 };
	const char *emails[ALL];
	struct response r;

	admin();
	parallel(ALL, add_one, emails);
	r = get("/api/v1/auth/users", admin());
	must(r, 200);
	for (int i = 0; i < ALL; i++)
		cr_expect_not_null(j_find(r.json, "data", "email", emails[i]), "%s is lost", emails[i]);
}
