/* rakkr-fcgi user: accounts of a running controller from the terminal, in both stores (contract 01 12, 13). */
#include "http/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
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

struct asked {
	const char *token;
	int status[12];
};

static void ask_me(int index, void *arg)
{
	struct asked *a = arg;

	a->status[index] = get("/api/v1/auth/me", a->token).status;
}

/* What every worker says of a session: more requests at once than there are workers; -1 if they differ. */
static int me(const char *token)
{
	struct asked a = {.token = token};

	parallel(12, ask_me, &a);
	for (int i = 1; i < 12; i++)
		if (a.status[i] != a.status[0])
			return -1;
	return a.status[0];
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

/* What is not named stays as it is, whatever its type is called. */
Test(user_command, grants_that_are_not_named_stay)
{
	struct user u = create_user("viewer", "[{\"resourceType\":\"a:b\",\"resourceId\":\"c:d\"}]");
	struct response r;

	expect_done(user("", fmt("grant --resource room:x %s", u.id)), "grant");
	expect_done(user("", fmt("grant --revoke --resource room:x --resource b:c %s", u.id)), "revoke");
	r = get("/api/v1/auth/me", u.token);
	cr_expect_eq(j_count(r.json, "data.resourceGrants"), 1);
	cr_expect_str_eq(j_str(r.json, "data.resourceGrants.0.resourceType"), "a:b");
	cr_expect_str_eq(j_str(r.json, "data.resourceGrants.0.resourceId"), "c:d");
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

/* ---- at a terminal ----------------------------------------------------------------------------------------------- */

/* Waits until the terminal has shown a text; all it has shown so far is in shown. */
static bool wait_for(int terminal, char *shown, size_t size, const char *text)
{
	struct pollfd p = {.fd = terminal, .events = POLLIN};
	size_t n = strlen(shown);

	while (strstr(shown, text) == NULL) {
		ssize_t got;

		if (n + 1 >= size || poll(&p, 1, 20000) <= 0 || (got = read(terminal, shown + n, size - n - 1)) <= 0)
			return false;
		n += (size_t)got;
		shown[n] = '\0';
	}
	return true;
}

static pid_t passwd_at_terminal(const char *email, int *terminal)
{
	pid_t pid = forkpty(terminal, NULL, NULL, NULL);

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (on_postgres())
			setenv("DATABASE_URL", getenv("RAKKR_TEST_DATABASE_URL"), 1);
		if (chdir(instance_dir()) == 0)
			execl(getenv("RAKKR_TEST_PROGRAM"), "rakkr-fcgi", "user", "passwd", email, NULL);
		_exit(127);
	}
	return pid;
}

static bool echoes(int terminal)
{
	struct termios t;

	cr_assert_eq(tcgetattr(terminal, &t), 0);
	return (t.c_lflag & ECHO) != 0;
}

static void type(int terminal, const char *text)
{
	cr_assert_eq(write(terminal, text, strlen(text)), (ssize_t)strlen(text));
}

Test(user_command, a_password_is_asked_for_without_showing_it, .timeout = 60)
{
	struct user u = added("--role viewer");
	char shown[4096] = "";
	int terminal, status;
	pid_t pid = passwd_at_terminal(u.email, &terminal);

	cr_assert(wait_for(terminal, shown, sizeof(shown), "New password: "), "%s", shown);
	cr_expect_not(echoes(terminal));
	type(terminal, "typed by hand\n");
	cr_assert(wait_for(terminal, shown, sizeof(shown), "Again: "), "%s", shown);
	type(terminal, "typed by hand\n");
	while (wait_for(terminal, shown, sizeof(shown), "no such text"))
		;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "%s", shown);
	cr_expect_null(strstr(shown, "typed"), "%s", shown);
	cr_expect_eq(me(u.token), 401);
	login(u.email, "typed by hand");
}

Test(user_command, an_interrupted_question_leaves_a_usable_terminal, .timeout = 60)
{
	struct user u = added("--role viewer");
	char shown[4096] = "";
	int terminal, status, keeper;
	pid_t pid = passwd_at_terminal(u.email, &terminal);

	keeper = open(ptsname(terminal), O_RDWR | O_NOCTTY); /* the terminal outlives the command */
	cr_assert_geq(keeper, 0);
	cr_assert(wait_for(terminal, shown, sizeof(shown), "New password: "), "%s", shown);
	cr_expect_not(echoes(terminal));
	type(terminal, "half a pass\003");
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%d %s", status, shown);
	cr_expect(echoes(terminal));
	cr_expect_eq(me(u.token), 200);
	close(keeper);
}

/* Root's command leaves nothing that the owner of the folder cannot read. */
Test(user_command, root_goes_on_as_the_owner_of_the_folder)
{
	char dir[] = "/tmp/rakkr-owner-XXXXXX";
	struct stat st;

	if (geteuid() != 0)
		cr_skip_test("this is not root");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert(chmod(dir, 0755) == 0 && mkdir(fmt("%s/data", dir), 0700) == 0 &&
	          chown(fmt("%s/data", dir), 65534, 65534) == 0);
	cr_expect_eq(system(fmt("cd %s && echo a new password | env -u DATABASE_URL '%s' user add --role viewer"
	                        " --password-stdin ann@example.org",
	                        dir, getenv("RAKKR_TEST_PROGRAM"))),
	             0);
	cr_assert_eq(stat(fmt("%s/data/users.json", dir), &st), 0);
	cr_expect_eq(st.st_uid, 65534);
	cr_expect_eq(system(fmt("test -z \"$(find %s/data -uid 0)\"", dir)), 0, "files of root's");
	cr_expect_eq(system(fmt("rm -rf %s", dir)), 0);
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
