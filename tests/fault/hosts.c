/*
 * Two hosts on one database: what one does, the other knows, also when the database goes away then. Postgres only,
 * alone on its instance, which is the first host; the second one is started here.
 */
#include "http/instance.h"
#include "http/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

TestSuite(hosts, .timeout = 180);

#define BEAT "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[]}"
#define KNOWN_MS 20000
#define LEFTOVERS_MS 90000 /* the runner looks every 30 seconds */

static const char *first, *second;

/* Requests go to this host from now on. */
static void at(const char *url)
{
	setenv("RAKKR_TEST_URL", url, 1);
}

static bool is_in_log(void *text)
{
	return system(fmt("grep -q '%s' '%s/log/rakkr.log'", (char *)text, own_dir())) == 0;
}

/* Both run, and the second one knows of the first. */
static void two_hosts(const char *stale_seconds)
{
	prepare();
	first = strdup(test_url());
	admin();
	setenv("RAKKR_AUTH_STALE_SECONDS", stale_seconds, 1);
	own_join();
	second = strdup(test_url());
	cr_assert(wait_until(is_in_log, "another host uses this database", KNOWN_MS));
}

static void end(void)
{
	bring_back();
	own_end();
	at(first);
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS));
}

/* Often enough that every worker has answered some. */
static void expect_all(const char *path, const char *token, int status, const char *what)
{
	for (int i = 0; i < 12; i++)
		cr_expect_eq(get(path, token).status, status, "%s", what);
}

static int beat(const struct node *n)
{
	return post(fmt("%s/heartbeat", n->path), n->token, BEAT).status;
}

/* ---- the database goes away -------------------------------------------------------------------------------------- */

Test(hosts, a_session_that_another_host_ended_is_forgotten)
{
	struct user left, good;

	two_hosts("60");
	left = create_user("viewer", NULL);
	good = create_user("viewer", NULL);
	expect_all("/api/v1/status", left.token, 200, "before");
	expect_all("/api/v1/status", good.token, 200, "before");
	at(first);
	must(post("/api/v1/auth/logout", left.token, NULL), 204);
	at(second);
	cr_expect_eq(get("/api/v1/status", left.token).status, 401);
	take_away();
	expect_all("/api/v1/status", left.token, 503, "known to have ended");
	expect_all("/api/v1/status", good.token, 200, "left alone");
	end();
}

static bool seconds_over(void *since)
{
	/* the session stays known, the answer that is looked at does not */
	must(get("/api/v1/status", admin()), 200);
	return time(NULL) - *(time_t *)since > 3;
}

Test(hosts, what_another_host_changed_is_not_answered_for_long)
{
	struct node changed, fresh;
	struct response r;
	time_t since;

	two_hosts("2");
	changed = enroll_node("Before");
	fresh = enroll_node("Fresh");
	for (int i = 0; i < 12; i++) {
		must(get(changed.path, admin()), 200);
		cr_assert_eq(beat(&changed), 202);
	}
	at(first);
	must(patch(changed.path, admin(), "{\"alias\":\"After\"}"), 200);
	at(second);
	since = time(NULL);
	cr_assert(wait_until(seconds_over, &since, KNOWN_MS));
	for (int i = 0; i < 12; i++)
		must(get(fresh.path, admin()), 200);
	take_away();
	r = get(fresh.path, admin());
	must(r, 200);
	cr_expect(is_degraded(&r));
	r = get(changed.path, admin());
	cr_expect_eq(r.status, 503, "%s", r.body);
	cr_expect_eq(beat(&changed), 202);
	end();
}

static bool is_silent_for_long(void *since)
{
	must(get("/api/v1/status", admin()), 200);
	return time(NULL) - *(time_t *)since > 16;
}

Test(hosts, a_token_that_another_host_replaced_is_not_good_for_long)
{
	struct node rotated, left;
	time_t since;

	two_hosts("2");
	rotated = enroll_node("Rotated on the other host");
	left = enroll_node("Left alone");
	cr_assert_eq(beat(&rotated), 202);
	at(first);
	must(post(fmt("%s/credentials/rotate", rotated.path), admin(), NULL), 201);
	at(second);
	since = time(NULL);
	cr_assert(wait_until(is_silent_for_long, &since, 40000));
	cr_assert_eq(beat(&left), 202);
	take_away();
	for (int i = 0; i < 12; i++) {
		cr_expect_eq(beat(&rotated), 503);
		cr_expect_eq(beat(&left), 202);
	}
	/* however long it is away, a node that lives goes on */
	since = time(NULL);
	while (time(NULL) - since < 17)
		nap(1000);
	cr_expect_eq(beat(&left), 202);
	end();
}

/* ---- background work --------------------------------------------------------------------------------------------- */

static bool is_gone(void *path)
{
	return access(path, F_OK) != 0;
}

Test(hosts, each_host_removes_its_own_leftovers)
{
	const char *path = "ad-hoc/rec_00000000-0000-4000-8000-00000000dead.wav", *file, *list;
	FILE *f;

	two_hosts("60");
	file = fmt("%s/data/recordings/%s", own_dir(), path);
	list = fmt("%s/data/leftover-files.jsonl", own_dir());
	cr_assert_eq(system(fmt("mkdir -p '%s/data/recordings/ad-hoc' && echo audio >'%s'", own_dir(), file)), 0);
	f = fopen(list, "a");
	cr_assert_not_null(f);
	fprintf(f, "{\"at\":\"2026-01-01T00:00:00.000Z\",\"id\":\"%.*s\",\"path\":\"%s\"}\n", 40, path + 7, path);
	cr_assert_eq(fclose(f), 0);
	cr_expect(wait_until(is_gone, (void *)file, LEFTOVERS_MS), "only the first host, which holds the runner lock,"
	                                                           " looks at its own");
	end();
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* Started on one, claimed on the other, delivered there, heard and deleted on the first. */
Test(hosts, a_recording_over_a_shared_cache)
{
	struct blob file = wav(2, 48000, 0.5);
	const char *cache;
	struct node n;
	struct take t;
	struct response r;

	cache = fmt("%s/data/recordings", instance_dir());
	setenv("RAKKR_RECORDING_CACHE_DIR", cache, 1);
	two_hosts("60");
	n = enroll_node("Between two hosts");
	at(first);
	t = start_recording(&n);
	at(second);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	r = http("PUT", fmt("%s/cache-file", t.recording_path), n.token,
	         (const char *const[]){"content-type: audio/wav", "x-rakkr-file-name: take.wav", NULL}, file.data,
	         file.len);
	must(r, 201);
	for (int i = 0; i < 2; i++) {
		r = get(fmt("%s/file", t.recording_path), admin());
		must(r, 200);
		cr_expect_eq(r.len, file.len);
		at(first);
	}
	must(del(t.recording_path, admin()), 204);
	cr_expect_neq(system(fmt("find '%s' | grep -q '%s'", cache, t.recording_id)), 0, "its file is still there");
	end();
}

/* ---- a host that is gone without a word -------------------------------------------------------------------------- */

static void end_spy(void)
{
	sql("DROP FUNCTION IF EXISTS public.test_spy() CASCADE");
	sql("DROP TABLE IF EXISTS public.test_spy");
}

/* What it held must not stay locked until the server's system gives its connections up, which takes hours. */
Test(hosts, the_server_is_told_to_look_for_dead_hosts)
{
	prepare();
	end_spy();
	atexit(end_spy);
	sql("CREATE TABLE public.test_spy (name text, setting text, source text)");
	sql("CREATE FUNCTION public.test_spy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
	    " INSERT INTO public.test_spy SELECT name, setting, source FROM pg_settings"
	    " WHERE name ~ 'tcp_keep|idle_in_transaction'; RETURN NEW; END $$");
	sql("CREATE TRIGGER a_test_spy BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION test_spy()");
	must(get("/api/v1/nodes", admin()), 200);
	/* on a Unix socket the system's values cannot be set, only asked for */
	cr_expect_str_eq(sql("SELECT count(DISTINCT name) FROM test_spy WHERE name ~ 'keep' AND source = 'session'"),
	                 "3");
	cr_expect_str_eq(sql("SELECT max(setting) FROM test_spy WHERE name ~ 'idle_in_tr'"), "60000");
}
