/*
 * Commands change accounts and nodes while the controller runs, and then the database goes away: what they ended is not
 * answered from memory, at once, and what they left alone still is. Postgres only, alone on its instance.
 */
#include "http/outage.h"

#include <string.h>
#include <sys/wait.h>

TestSuite(outside, .timeout = 120);

#define BEAT "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[]}"

/* A command as an administrator of the instance would run it. */
static void command(const char *words)
{
	int rc = system(fmt("cd '%s' && DATABASE_URL='%s' '%s' %s >/dev/null", instance_dir(),
	                    getenv("RAKKR_TEST_DATABASE_URL"), getenv("RAKKR_TEST_PROGRAM"), words));

	cr_assert_eq(WEXITSTATUS(rc), 0, "%s", words);
}

static int beat(const struct node *n)
{
	return post(fmt("%s/heartbeat", n->path), n->token, BEAT).status;
}

/* Often enough that every worker has answered some. */
static void expect_all(const char *token, int status, const char *who)
{
	for (int i = 0; i < 12; i++)
		cr_expect_eq(get("/api/v1/status", token).status, status, "%s", who);
}

Test(outside, a_command_ends_what_is_known)
{
	struct user disabled, deleted, granted, good;
	struct node rotated, left;

	prepare();
	disabled = create_user("viewer", NULL);
	deleted = create_user("viewer", NULL);
	granted = create_user("viewer", NULL);
	good = create_user("viewer", NULL);
	rotated = enroll_node("Rotated by a command");
	left = enroll_node("Left alone");
	for (int i = 0; i < 12; i++) {
		must(get("/api/v1/status", disabled.token), 200);
		must(get("/api/v1/status", deleted.token), 200);
		must(get("/api/v1/status", granted.token), 200);
		must(get("/api/v1/status", good.token), 200);
		cr_assert_eq(beat(&rotated), 202);
		cr_assert_eq(beat(&left), 202);
	}
	command(fmt("user disable %s", disabled.email));
	command(fmt("user delete --yes %s", deleted.email));
	command(fmt("user grant --role operator %s", granted.email));
	command(fmt("node rotate %s", rotated.id));
	/* nothing was asked since: all that is known is from before */
	take_away();
	expect_all(disabled.token, 503, "disabled");
	expect_all(deleted.token, 503, "deleted");
	expect_all(granted.token, 503, "other rights");
	cr_expect_eq(beat(&rotated), 503);
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS));
	cr_expect_eq(get("/api/v1/status", disabled.token).status, 401);
	/* what was verified after the change is known again */
	for (int i = 0; i < 12; i++) {
		must(get("/api/v1/status", good.token), 200);
		cr_assert_eq(beat(&left), 202);
	}
	take_away();
	expect_all(good.token, 200, "left alone");
	cr_expect_eq(beat(&left), 202);
	expect_all(disabled.token, 503, "disabled");
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS));
}

/* ---- a rotation under way ---------------------------------------------------------------------------------------- */

static void end_slow(void)
{
	sql("DROP FUNCTION IF EXISTS public.test_slow() CASCADE");
}

static bool is_sleeping(void *arg)
{
	(void)arg;
	return strcmp(sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), "1") == 0;
}

/* 0 rotates, and its commit takes a second; 1 is the node, which calls once more meanwhile. */
static void rotate_and_beat(int index, void *arg)
{
	const struct node *n = arg;

	if (index == 0)
		must(post(fmt("%s/credentials/rotate", n->path), admin(), NULL), 201);
	else if (wait_until(is_sleeping, NULL, 5000))
		cr_expect_eq(beat(n), 202, "the old token is good until the commit");
	else
		cr_assert_fail("the rotation did not begin");
}

Test(outside, a_call_during_a_rotation_does_not_bring_the_old_token_back)
{
	struct node n;

	prepare();
	end_slow();
	atexit(end_slow);
	admin();
	n = enroll_node("Rotated while it calls");
	sql("CREATE FUNCTION public.test_slow() RETURNS trigger LANGUAGE plpgsql AS"
	    " $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$");
	sql("CREATE TRIGGER a_test_slow BEFORE INSERT ON audit_events FOR EACH ROW"
	    " WHEN (NEW.action = 'nodes.credentials.rotate.succeeded') EXECUTE FUNCTION test_slow()");
	parallel(2, rotate_and_beat, &n);
	take_away();
	cr_expect_eq(beat(&n), 503, "answered from memory");
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS));
	cr_expect_eq(beat(&n), 401);
}
