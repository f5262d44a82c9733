/*
 * The database goes away: what each family of routes answers meanwhile, how fast, and that everything is as before when
 * it is back. Postgres only. Runs alone on its instance (other tests would see the faults).
 */
#include "http/outage.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(degraded, .timeout = 240);

#define FAST_SECONDS 0.25

static int stale_seconds(void)
{
	const char *given = getenv("RAKKR_TEST_AUTH_STALE_SECONDS");

	return given != NULL ? atoi(given) : 60;
}

static int compare_seconds(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *seconds, size_t n)
{
	qsort(seconds, n, sizeof(*seconds), compare_seconds);
	return seconds[n / 2];
}

/* ---- files of the instance --------------------------------------------------------------------------------------- */

static void digest_folder(const char *folder, char *out, size_t size)
{
	struct dirent **list = NULL;
	int n = scandir(folder, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		char *path = fmt("%s/%s", folder, name);
		size_t len = strlen(name), used = strlen(out);

		if (list[i]->d_type == DT_DIR && name[0] != '.' && strcmp(name, "audit-spool") != 0)
			digest_folder(path, out, size);
		if (len < 5 || strcmp(name + len - 5, ".json") != 0)
			continue;
		FILE *f = fopen(path, "re");
		static char text[4 << 20];
		size_t got = f != NULL ? fread(text, 1, sizeof(text), f) : 0;

		if (f != NULL)
			fclose(f);
		snprintf(out + used, size - used, "%s %s\n", path, sha256(text, got));
	}
}

/* Path and checksum of every JSON file below the data folder. */
static char *json_files(void)
{
	char *out = calloc(1, 65536);

	digest_folder(fmt("%s/data", instance_dir()), out, 65536);
	return out;
}

/* ---- one request a family ---------------------------------------------------------------------------------------- */

enum who { NOBODY, ADMIN, VIEWER, STRANGER, NODE, STRANGE_NODE };

/* What a request is answered: while access was verified a moment ago, and when that is too long ago. */
struct expectation {
	const char *method, *path, *body; /* %n node, %r recording, %j job */
	enum who who;
	int status, later;
	bool degraded, later_degraded;
	const char *error; /* of the later answer, if it is none of success */
};

#define AUTH "Auth storage unavailable"
#define AWAY "Service temporarily unavailable"
#define READ(path_)                                                                                                    \
	{                                                                                                              \
		"GET", path_, NULL, ADMIN, 200, 503, true, false, AUTH                                                 \
	}
#define WRITE(method_, path_, body_)                                                                                   \
	{                                                                                                              \
		method_, path_, body_, ADMIN, 503, 503, false, false, AUTH                                             \
	}
#define BEAT "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[]}"
#define FRAME                                                                                                          \
	"{\"capturedAt\":\"2031-01-01T00:00:00.000Z\",\"interfaceId\":\"i\",\"levels\":[{\"channelIndex\":1,"          \
	"\"clipping\":false,\"label\":\"L\",\"peakDbfs\":-3,\"rmsDbfs\":-9}],\"nodeId\":\"%n\"}"

static const struct expectation expectations[] = {
    {"GET", "/healthz", NULL, NOBODY, 200, 200, false, false, NULL},
    {"GET", "/readyz", NULL, NOBODY, 503, 503, false, false, NULL},
    READ("/api/v1/auth/me"),
    READ("/api/v1/status"),
    READ("/api/v1/nodes"),
    READ("/api/v1/nodes/%n"),
    READ("/api/v1/nodes/%n/meters"),
    READ("/api/v1/recordings?limit=5"),
    READ("/api/v1/recordings/%r"),
    READ("/api/v1/recording-jobs"),
    READ("/api/v1/recording-jobs/%j"),
    READ("/api/v1/schedules"),
    READ("/api/v1/health-events"),
    READ("/api/v1/audit-events?limit=5&action=nodes.enroll.succeeded"),
    READ("/api/v1/settings/recording-profiles"),
    READ("/api/v1/settings/watchdog-policies"),
    READ("/api/v1/settings/channel-map-templates"),
    READ("/api/v1/settings/upload-policies"),
    READ("/api/v1/settings/retention-policies"),
    READ("/api/v1/upload-queue"),
    {"HEAD", "/api/v1/nodes/%n", NULL, ADMIN, 200, 503, true, false, NULL},
    /* a decision from memory may be a refusal */
    {"GET", "/api/v1/audit-events", NULL, VIEWER, 403, 503, true, false, AUTH},
    /* never known, never guessed */
    {"GET", "/api/v1/nodes", NULL, STRANGER, 503, 503, false, false, AUTH},
    {"GET", "/api/v1/auth/users", NULL, ADMIN, 503, 503, false, false, AUTH},
    {"GET", "/api/v1/auth/access-policies", NULL, ADMIN, 503, 503, false, false, AUTH},
    /* what needs the database */
    WRITE("PATCH", "/api/v1/nodes/%n", "{\"notes\":\"x\"}"),
    WRITE("POST", "/api/v1/nodes/enroll", "{\"alias\":\"x\",\"interfaces\":[]}"),
    WRITE("POST", "/api/v1/recordings", "{\"nodeId\":\"%n\",\"name\":\"x\"}"),
    WRITE("PATCH", "/api/v1/recordings/%r/metadata", "{\"notes\":\"x\"}"),
    WRITE("POST", "/api/v1/recordings/%r/stop", NULL),
    WRITE("PATCH", "/api/v1/auth/access-policies", "{\"policies\":[]}"),
    WRITE("POST", "/api/v1/auth/logout", NULL),
    {"POST", "/api/v1/auth/login", "{\"email\":\"admin@rakkr.local\",\"password\":\"wrong\"}", NOBODY, 503, 503, false,
     false, AUTH},
    /* recorder nodes go on */
    {"POST", "/api/v1/nodes/%n/heartbeat", BEAT, NODE, 202, 202, true, true, NULL},
    {"POST", "/api/v1/nodes/%n/meter-frame", FRAME, NODE, 202, 202, true, true, NULL},
    {"GET", "/api/v1/nodes/%n/config", NULL, NODE, 200, 200, true, true, NULL},
    {"GET", "/api/v1/recording-jobs/%j", NULL, NODE, 200, 200, true, true, NULL},
    {"POST", "/api/v1/recording-jobs/%j/heartbeat", NULL, NODE, 503, 503, false, false, AWAY},
    {"POST", "/api/v1/nodes/%n/recording-jobs/claim-next", NULL, NODE, 503, 503, false, false, AWAY},
    {"POST", "/api/v1/nodes/%n/heartbeat", BEAT, STRANGE_NODE, 503, 503, false, false, AWAY},
};

struct cast {
	struct node node;
	struct take take;
	struct user viewer;
};

static char *filled(const struct cast *c, const char *text)
{
	char *out = calloc(1, 4096), *at = out;

	for (; text != NULL && *text != '\0'; text++) {
		if (*text != '%') {
			*at++ = *text;
			continue;
		}
		text++;
		at = stpcpy(at, *text == 'n' ? c->node.id : *text == 'r' ? c->take.recording_id : c->take.job_id);
	}
	return out;
}

static const char *token_of(const struct cast *c, enum who who)
{
	switch (who) {
	case ADMIN:
		return admin();
	case VIEWER:
		return c->viewer.token;
	case STRANGER:
		return "rakkr_unheard_of";
	case NODE:
		return c->node.token;
	case STRANGE_NODE:
		return "rakkr_node_unheard_of";
	default:
		return NULL;
	}
}

static struct response ask(const struct cast *c, const struct expectation *e)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	char *body = e->body != NULL ? filled(c, e->body) : NULL;

	return http(e->method, filled(c, e->path), token_of(c, e->who), body != NULL ? json : NULL, body,
	            body != NULL ? strlen(body) : 0);
}

static bool is_read(const struct expectation *e)
{
	return strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0;
}

/* Times are volatile in what is otherwise the same. */
static bool same_answer(const struct response *a, const struct response *b)
{
	return a->len == b->len;
}

static void expect_first(const struct expectation *e, const struct response *before, const struct response *r)
{
	cr_expect_eq(r->status, e->status, "%s: %d instead of %d: %.300s", r->asked, r->status, e->status, r->body);
	cr_expect_eq(is_degraded(r), e->degraded, "%s: marked %d", r->asked, is_degraded(r));
	if (e->degraded && e->status == 200 && is_read(e))
		cr_expect(same_answer(before, r), "%s: another answer: %.300s", r->asked, r->body);
	if (e->status == 503 && !is_read(e))
		cr_expect(strstr(r->body, "database_unavailable") != NULL || e->who == NOBODY, "%s: %s", r->asked,
		          r->body);
}

static void expect_later(const struct expectation *e, const struct response *r)
{
	cr_expect_eq(r->status, e->later, "later, %s: %d instead of %d: %.300s", r->asked, r->status, e->later,
	             r->body);
	cr_expect_eq(is_degraded(r), e->later_degraded, "later, %s: marked %d", r->asked, is_degraded(r));
	if (e->error != NULL && strcmp(e->method, "HEAD") != 0)
		cr_expect_str_eq(j_str(r->json, "error"), e->error, "later, %s: %s", r->asked, r->body);
}

/* Monitored audio flows on; it never was in the database. */
static void send_chunk(const struct node *n)
{
	static const char *const headers[] = {"Content-Type: audio/wav",
	                                      "x-rakkr-captured-at: 2031-01-01T00:00:00.000Z",
	                                      "x-rakkr-duration-ms: 250", NULL};
	struct blob audio = wav(1, 16000, 0.25);
	struct response r = http("POST", fmt("%s/listen/chunk", n->path), n->token, headers, audio.data, audio.len);

	cr_expect_eq(r.status, 202, "%s: %d %s", r.asked, r.status, r.body);
}

static bool events_moved(void *arg)
{
	const struct cast *c = arg;

	return atoi(sql("SELECT count(*) FROM audit_events WHERE action = 'nodes.detail.read.succeeded'"
	                " AND target_id = '%s'",
	                c->node.id)) >= 3;
}

Test(degraded, every_family_of_routes)
{
	static struct response before[LENGTH(expectations)];
	struct cast c;
	char *files;

	prepare();
	c.node = enroll_node("Degraded");
	c.take = start_recording(&c.node);
	c.viewer = create_user("viewer", NULL);
	/* recordings that other tests left behind end when they like: that would change what is known of jobs */
	sql("UPDATE recording_jobs SET lease_expires_at = now() + interval '1 hour',"
	    " stop_requested_at = CASE WHEN stop_requested_at IS NOT NULL THEN now() END"
	    " WHERE status IN ('running', 'stop_requested')");
	files = json_files();
	for (int round = 0; round < 2; round++) /* the second one right before: nothing is older than a moment */
		for (size_t i = 0; i < LENGTH(expectations); i++)
			if (is_read(&expectations[i]) || expectations[i].who == NODE)
				before[i] = ask(&c, &expectations[i]);
	/* what another program wrote last is not known here, and must not be overwritten with what is */
	sql("UPDATE nodes SET notes = 'by another program' WHERE id = '%s'", c.node.id);
	take_away();
	for (size_t i = 0; i < LENGTH(expectations); i++) {
		const struct expectation *e = &expectations[i];
		struct response r;

		if (before[i].status == 404 || before[i].status == 501) {
			fprintf(stderr, "not served yet: %s\n", e->path);
			continue;
		}
		cr_expect(!is_read(e) || !e->degraded || before[i].status == e->status, "before, %s: %d %s", e->path,
		          before[i].status, before[i].body);
		r = ask(&c, e);
		expect_first(e, &before[i], &r);
	}
	send_chunk(&c.node);
	nap(stale_seconds() * 1000 + 500);
	send_chunk(&c.node);
	for (size_t i = 0; i < LENGTH(expectations); i++)
		if (before[i].status != 404 && before[i].status != 501) {
			struct response r = ask(&c, &expectations[i]);

			expect_later(&expectations[i], &r);
		}
	cr_expect_str_eq(json_files(), files, "a JSON file was changed by the outage");
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS), "not as before within 5 s");
	for (size_t i = 0; i < LENGTH(expectations); i++)
		if (expectations[i].degraded && is_read(&expectations[i]) && before[i].status < 300) {
			struct response r = ask(&c, &expectations[i]);

			cr_expect_eq(r.status, before[i].status, "%s: %d", r.asked, r.status);
			cr_expect_not(is_degraded(&r));
		}
	cr_expect_str_eq(sql("SELECT notes FROM nodes WHERE id = '%s'", c.node.id), "by another program");
	cr_expect_eq(atoi(sql("SELECT count(*) FROM nodes WHERE notes = 'x'")), 0, "a refused write took effect");
	/* twice before, once meanwhile, once afterwards; HEAD counts as well */
	cr_expect(wait_until(events_moved, &c, 10000), "audit events of degraded reads are missing");
}

/* ---- sessions that ended ----------------------------------------------------------------------------------------- */

Test(degraded, what_was_revoked_stays_revoked)
{
	struct user gone, disabled, reset, deleted, good;
	struct response r;

	prepare();
	gone = create_user("viewer", NULL);
	disabled = create_user("viewer", NULL);
	reset = create_user("viewer", NULL);
	deleted = create_user("viewer", NULL);
	good = create_user("viewer", NULL);
	const struct user *all[] = {&gone, &disabled, &reset, &deleted, &good};

	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < LENGTH(all); i++)
			must(get("/api/v1/nodes", all[i]->token), 200);
	must(post("/api/v1/auth/logout", gone.token, NULL), 204);
	r = patch(fmt("/api/v1/auth/users/%s/status", disabled.id), admin(), "{\"disabled\":true}");
	cr_expect(r.status / 100 == 2, "%s %d %s", r.asked, r.status, r.body);
	r = patch(fmt("/api/v1/auth/users/%s/password", reset.id), admin(), "{\"password\":\"another password 1\"}");
	cr_expect(r.status / 100 == 2, "%s %d %s", r.asked, r.status, r.body);
	r = del(fmt("/api/v1/auth/users/%s", deleted.id), admin());
	cr_expect(r.status / 100 == 2, "%s %d %s", r.asked, r.status, r.body);
	/* at once, on every worker */
	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < 4; i++)
			cr_expect_eq(get("/api/v1/nodes", all[i]->token).status, 401, "user %zu", i);
	must(get("/api/v1/nodes", good.token), 200);
	take_away();
	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < 5; i++) {
			r = get("/api/v1/nodes", all[i]->token);
			cr_expect_eq(r.status, i == 4 ? 200 : 503, "user %zu: %d", i, r.status);
		}
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS));
	cr_expect_eq(get("/api/v1/nodes", gone.token).status, 401);
}

/* ---- how fast ---------------------------------------------------------------------------------------------------- */

#define CLIENTS 4
#define TRIES 41

/* A refused write, a read from memory and a sign of life, many times, from several clients at once. */
struct pace {
	const struct node *node;
	double writes[CLIENTS * TRIES], reads[CLIENTS * TRIES], beats[CLIENTS * TRIES];
	int wrong[CLIENTS];
};

static void keep_pace(int index, void *arg)
{
	struct pace *p = arg;

	for (int i = 0; i < TRIES; i++) {
		struct response r = patch(p->node->path, admin(), "{\"notes\":\"x\"}");

		p->writes[index * TRIES + i] = r.seconds;
		p->wrong[index] += r.status != 503;
		r = get(p->node->path, admin());
		p->reads[index * TRIES + i] = r.seconds;
		/* verified when the database was there; 503 when that is too long ago */
		p->wrong[index] += r.status != 200 && r.status != 503;
		r = post(fmt("%s/heartbeat", p->node->path), p->node->token, BEAT);
		p->beats[index * TRIES + i] = r.seconds;
		p->wrong[index] += r.status != 202;
	}
}

static void expect_pace(const struct node *n, const char *when)
{
	static struct pace p;
	double writes, reads, beats;

	memset(&p, 0, sizeof(p));
	p.node = n;
	parallel(CLIENTS, keep_pace, &p);
	writes = median(p.writes, CLIENTS * TRIES);
	reads = median(p.reads, CLIENTS * TRIES);
	beats = median(p.beats, CLIENTS * TRIES);
	fprintf(stderr,
	        "%s: medians of 4 clients: write refused %.0f ms, read %.0f ms, heartbeat %.0f ms; slowest %.0f ms\n",
	        when, writes * 1e3, reads * 1e3, beats * 1e3, p.writes[CLIENTS * TRIES - 1] * 1e3);
	cr_expect_lt(writes, FAST_SECONDS, "%s: a write is refused in %.0f ms", when, writes * 1e3);
	cr_expect_lt(reads, FAST_SECONDS, "%s: a read takes %.0f ms", when, reads * 1e3);
	cr_expect_lt(beats, FAST_SECONDS, "%s: a heartbeat takes %.0f ms", when, beats * 1e3);
	/* four clients take turns on three workers: even the slowest one was not held up for long */
	cr_expect_lt(p.writes[CLIENTS * TRIES - 1], 2.0, "%s: one took %.1f s", when, p.writes[CLIENTS * TRIES - 1]);
	for (int i = 0; i < CLIENTS; i++)
		cr_expect_eq(p.wrong[i], 0, "%s: %d unexpected answers", when, p.wrong[i]);
}

Test(degraded, refused_at_once_when_the_server_refuses)
{
	struct node n;

	prepare();
	n = enroll_node("Refused");
	must(post(fmt("%s/heartbeat", n.path), n.token, BEAT), 202);
	must(get(n.path, admin()), 200);
	take_away();
	expect_pace(&n, "refusing");
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS), "not as before within 5 s");
}

/* ---- a server that says nothing ---------------------------------------------------------------------------------- */

static pid_t stopped[256];
static size_t stopped_count;

static pid_t parent_of(const char *pid)
{
	char text[512] = "", *end;
	FILE *f = fopen(fmt("/proc/%s/stat", pid), "re");
	int parent = 0;

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL || (end = strrchr(text, ')')) == NULL ||
	    sscanf(end + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

static void go_on(void)
{
	for (size_t i = 0; i < stopped_count; i++)
		kill(stopped[i], SIGCONT);
	stopped_count = 0;
}

/* Stops the main process of the server and all others of it; false without the right to. */
static bool hang(void)
{
	pid_t main_process = parent_of(fmt("%d", PQbackendPID(other)));
	struct dirent *e;
	DIR *proc;

	if (main_process <= 1)
		return false;
	atexit(go_on);
	stopped[stopped_count++] = main_process;
	proc = opendir("/proc");
	while ((e = readdir(proc)) != NULL && stopped_count < LENGTH(stopped))
		if (isdigit((unsigned char)e->d_name[0]) && parent_of(e->d_name) == main_process)
			stopped[stopped_count++] = (pid_t)atoi(e->d_name);
	closedir(proc);
	for (size_t i = 0; i < stopped_count; i++)
		if (kill(stopped[i], SIGSTOP) != 0) {
			go_on();
			return false;
		}
	return true;
}

Test(degraded, a_hanging_server_holds_nobody_up)
{
	struct response r;
	struct node n;

	prepare();
	n = enroll_node("Hanging");
	for (int i = 0; i < 6; i++) {
		must(post(fmt("%s/heartbeat", n.path), n.token, BEAT), 202);
		must(get(n.path, admin()), 200);
	}
	if (!hang())
		cr_skip_test("no right to stop the server's processes");
	r = get("/readyz", NULL);
	cr_expect_eq(r.status, 503, "ready: %d", r.status);
	cr_expect_lt(r.seconds, 3.5, "readiness took %.1f s", r.seconds);
	cr_expect_str_eq(j_str(r.json, "reason"), "database_unavailable");
	r = get(n.path, admin());
	cr_expect_eq(r.status, 200, "%d %s", r.status, r.body);
	cr_expect(is_degraded(&r));
	expect_pace(&n, "hanging");
	r = get("/healthz", NULL);
	cr_expect_eq(r.status, 200);
	go_on();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS), "not as before within 5 s");
}

/* ---- no room for the audit events -------------------------------------------------------------------------------- */

static const char *spool_dir(void)
{
	return fmt("%s/data/audit-spool", instance_dir());
}

static void release_spool(void)
{
	umount2(spool_dir(), MNT_DETACH);
}

/* Puts a full file system in the spool's place. */
static bool fill_spool(void)
{
	char block[4096] = "";
	int fd;

	mkdir(spool_dir(), 0700);
	if (mount("none", spool_dir(), "tmpfs", 0, "size=16k,mode=0777") != 0)
		return false;
	atexit(release_spool);
	fd = open(fmt("%s/filler", spool_dir()), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (fd >= 0 && write(fd, block, sizeof(block)) > 0)
		;
	if (fd >= 0)
		close(fd);
	return true;
}

Test(degraded, nothing_passes_unaudited)
{
	struct response r;
	struct node n;

	prepare();
	n = enroll_node("Unaudited");
	must(post(fmt("%s/heartbeat", n.path), n.token, BEAT), 202);
	must(get(n.path, admin()), 200);
	take_away();
	r = get(n.path, admin());
	cr_expect_eq(r.status, 200, "%d %s", r.status, r.body);
	if (!fill_spool())
		cr_skip_test("cannot mount a small file system: %s", strerror(errno));
	for (int i = 0; i < 6; i++) {
		r = get(n.path, admin());
		cr_expect(r.status == 507 || r.status == 503, "read without a trace: %d %s", r.status, r.body);
		cr_expect(strstr(r.body, n.alias) == NULL);
		/* what is refused does not reach the spool, and is no less refused */
		r = patch(n.path, admin(), "{\"notes\":\"x\"}");
		cr_expect_eq(r.status / 100, 5, "%d %s", r.status, r.body);
		/* a recording is worth more than the note of its heartbeat */
		r = post(fmt("%s/heartbeat", n.path), n.token, BEAT);
		cr_expect_eq(r.status, 202, "%d %s", r.status, r.body);
	}
	release_spool();
	r = get(n.path, admin());
	cr_expect_eq(r.status, 200, "%d %s", r.status, r.body);
	bring_back();
	cr_expect(wait_until(back_to_normal, NULL, BACK_MS), "not as before within 5 s");
}
