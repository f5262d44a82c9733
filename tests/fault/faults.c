/*
 * Things die in the middle of load. Every acknowledged write is noted, and afterwards compared with what is stored:
 * acknowledged and missing must be 0, and so must be audit events that are missing.
 *
 * Runs alone on its instance (other tests would see the faults): needs RAKKR_TEST_DIR for the process ids, and for the
 * full disk the right to mount.
 */
#include "http/outage.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(faults, .timeout = 180);

#define WRITERS 6

/* ---- processes of the instance ----------------------------------------------------------------------------------- */

static char *read_small(const char *path)
{
	static char text[512];
	FILE *f = fopen(path, "re");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	text[n] = '\0';
	return text;
}

static pid_t pool_pid(void)
{
	return (pid_t)atoi(read_small(fmt("%s/pid/pool", instance_dir())));
}

/* Process ids of the pool's children called name ("rakkr-worker", ...). */
static size_t children(const char *name, pid_t pids[64])
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	size_t n = 0;
	pid_t pool = pool_pid();

	while ((e = readdir(proc)) != NULL && n < 64) {
		char comm[64];
		char *text = read_small(fmt("/proc/%s/stat", e->d_name));
		char *end = strrchr(text, ')');
		int parent;

		if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1 || parent != pool)
			continue;
		snprintf(comm, sizeof(comm), "%.*s", (int)(end - strchr(text, '(') - 1), strchr(text, '(') + 1);
		if (strcmp(comm, name) == 0)
			pids[n++] = (pid_t)atoi(e->d_name);
	}
	closedir(proc);
	return n;
}

static void kill_one(const char *name, unsigned *seed)
{
	pid_t pids[64];
	size_t n = children(name, pids);

	if (n > 0)
		kill(pids[(size_t)rand_r(seed) % n], SIGKILL);
}

/* ---- load -------------------------------------------------------------------------------------------------------- */

struct writer {
	struct node node;
	int tried, acknowledged; /* the last number sent, the last one answered with 200 */
	int acknowledgements;
	int beats, lost_beats;
};

struct load {
	struct writer writers[WRITERS];
	volatile bool stop;
};

static void *write_on(void *arg)
{
	struct writer *w = ((void **)arg)[0];
	struct load *l = ((void **)arg)[1];

	while (!l->stop && w->tried < 400) {
		struct response r = patch(w->node.path, admin(), "{\"notes\":\"n%d\"}", ++w->tried);

		if (r.status == 200) {
			w->acknowledged = w->tried;
			w->acknowledgements++;
		}
		r = post(fmt("%s/heartbeat", w->node.path), w->node.token,
		         "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h%d\",\"ipAddresses\":[]}", w->tried);
		w->beats++;
		/* a killed worker may cost the request in flight; nothing else may fail a heartbeat */
		if (r.status != 202)
			w->lost_beats++;
	}
	return NULL;
}

static pthread_t threads[WRITERS];
static void *thread_args[WRITERS][2];

static void load_start(struct load *l)
{
	memset(l, 0, sizeof(*l));
	admin();
	for (int i = 0; i < WRITERS; i++) {
		l->writers[i].node = enroll_node(fmt("Fault %d", i));
		thread_args[i][0] = &l->writers[i];
		thread_args[i][1] = l;
		pthread_create(&threads[i], NULL, write_on, thread_args[i]);
	}
}

static int64_t stored_updates(const struct node *n)
{
	struct response r;

	if (on_postgres())
		return atoll(sql("SELECT count(*) FROM audit_events WHERE action = 'nodes.update.succeeded'"
		                 " AND target_id = '%s'",
		                 n->id));
	r = get(fmt("/api/v1/audit-events?action=nodes.update.succeeded&target=%s&limit=500", n->id), admin());
	must(r, 200);
	return (int64_t)j_count(r.json, "data");
}

static bool usable(void *arg)
{
	(void)arg;
	return get("/readyz", NULL).status == 200 && get("/api/v1/auth/me", admin()).status == 200;
}

static bool audit_complete(void *arg)
{
	struct writer *w = arg;

	return stored_updates(&w->node) >= w->acknowledgements;
}

/* Ends the load and compares what was answered with what is there. Returns the number of lost heartbeats. */
static int load_check(struct load *l)
{
	int missing = 0, missing_audit = 0, acknowledged = 0, lost_beats = 0, beats = 0;

	l->stop = true;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	cr_assert(wait_until(usable, NULL, 10000), "the controller did not come back");
	for (int i = 0; i < WRITERS; i++) {
		struct writer *w = &l->writers[i];
		struct response r = get(w->node.path, admin());
		int stored;

		must(r, 200);
		stored = atoi(j_str(r.json, "data.notes")[0] == 'n' ? j_str(r.json, "data.notes") + 1 : "0");
		missing += stored < w->acknowledged;
		cr_expect_leq(stored, w->tried);
		if (!wait_until(audit_complete, w, 10000))
			missing_audit += w->acknowledgements - (int)stored_updates(&w->node);
		acknowledged += w->acknowledgements;
		beats += w->beats;
		lost_beats += w->lost_beats;
	}
	fprintf(stderr, "acknowledged %d, missing %d, audit events missing %d, heartbeats %d, not answered 202: %d\n",
	        acknowledged, missing, missing_audit, beats, lost_beats);
	cr_expect_eq(missing, 0, "%d acknowledged writes are missing", missing);
	cr_expect_eq(missing_audit, 0, "%d audit events are missing", missing_audit);
	cr_expect_gt(acknowledged, 10, "the load did nothing");
	return lost_beats;
}

/* ---- processes killed -------------------------------------------------------------------------------------------- */

Test(faults, workers_killed_during_requests)
{
	static struct load l;
	unsigned seed = 1;
	int kills = 20;

	load_start(&l);
	for (int i = 0; i < kills; i++) {
		nap(150);
		kill_one("rakkr-worker", &seed);
	}
	/* two requests of a writer can be in the worker that dies */
	cr_expect_leq(load_check(&l), 2 * kills);
}

Test(faults, runner_and_stream_killed)
{
	static struct load l;
	unsigned seed = 2;

	load_start(&l);
	for (int i = 0; i < 6; i++) {
		nap(200);
		kill_one(i % 2 ? "rakkr-runner" : "rakkr-stream", &seed);
	}
	cr_expect_eq(load_check(&l), 0, "a heartbeat depends on runner or stream");
}

static bool same_worker_count(void *arg)
{
	pid_t pids[64];

	return children("rakkr-worker", pids) == *(size_t *)arg;
}

static const char *cache_dir(void)
{
	return fmt("%s/data/recordings", instance_dir());
}

/* Files below folder that do not belong to a finished recording. */
static int strange_files(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || strcmp(e->d_name, "..") == 0))
			continue;
		if (e->d_type == DT_DIR)
			n += strange_files(fmt("%s/%s", folder, e->d_name));
		else
			n += strncmp(e->d_name, "rec_", 4) != 0;
	}
	if (d != NULL)
		closedir(d);
	return n;
}

struct upload {
	const struct node *node;
	const struct take *take;
	struct blob file;
	int status;
};

static void *upload(void *arg)
{
	struct upload *u = arg;
	const char *headers[] = {"Content-Type: audio/wav", fmt("x-rakkr-recording-job-id: %s", u->take->job_id),
	                         "x-rakkr-file-name: a.wav", NULL};

	u->status = http("PUT", fmt("%s/cache-file", u->take->recording_path), u->node->token, headers, u->file.data,
	                 u->file.len)
	                .status;
	return NULL;
}

Test(faults, worker_killed_during_an_upload)
{
	struct node n = enroll_node("Upload killed");
	struct take t = start_recording(&n);
	struct upload u = {.node = &n, .take = &t, .file = wav(2, 48000, 400)}; /* 77 MB */
	pthread_t thread;
	pid_t pids[64];
	size_t workers = children("rakkr-worker", pids);
	struct response r;
	int strange = strange_files(cache_dir());

	cr_assert_gt(workers, 0);
	claim_next(&n);
	pthread_create(&thread, NULL, upload, &u);
	for (int i = 0; i < 60; i++) {
		size_t count = children("rakkr-worker", pids);

		nap(20);
		for (size_t k = 0; k < count; k++)
			kill(pids[k], SIGKILL);
	}
	pthread_join(thread, NULL);
	cr_assert(wait_until(usable, NULL, 20000));
	cr_assert(wait_until(same_worker_count, &workers, 20000), "a worker was not replaced");
	r = get(t.recording_path, admin());
	must(r, 200);
	if (u.status != 201) {
		cr_expect_str_eq(j_str(r.json, "data.status"), "recording", "nothing was acknowledged");
		cr_expect(!j_has(r.json, "data.cachePath"));
	}
	cr_expect_eq(strange_files(cache_dir()), strange, "a half file was left");
	upload(&u);
	cr_expect_eq(u.status, 201, "the upload repeated: %d", u.status);
	r = get(t.recording_path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "cached");
	cr_expect_str_eq(j_str(r.json, "data.checksum"), fmt("sha256:%s", sha256(u.file.data, u.file.len)));
}

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

Test(faults, disk_full_while_uploading)
{
	struct node n = enroll_node("Disk full");
	struct take t = start_recording(&n);
	struct upload u = {.node = &n, .take = &t, .file = wav(2, 48000, 60)}; /* 11.5 MB */
	struct response r;
	int files;

	claim_next(&n);
	mkdir(cache_dir(), 0750);
	if (mount("none", cache_dir(), "tmpfs", 0, "size=4m,mode=0755") != 0)
		cr_skip_test("cannot mount a small file system: %s", strerror(errno));
	upload(&u);
	files = strange_files(cache_dir());
	r = get(t.job_path, n.token);
	umount2(cache_dir(), MNT_DETACH);
	cr_expect(u.status == 507 || u.status == 503, "answered %d", u.status);
	cr_expect_eq(files, 0, "a half file was left");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.status"), "running", "the job must not be completed");
	r = get(t.recording_path, admin());
	cr_expect(!j_has(r.json, "data.cachePath"));
	upload(&u);
	cr_expect_eq(u.status, 201, "with space again: %d", u.status);
}

/* ---- Postgres ---------------------------------------------------------------------------------------------------- */

Test(faults, database_refuses_connections_under_load)
{
	static struct load l;

	prepare();
	load_start(&l);
	for (int i = 0; i < 3; i++) {
		struct response r;

		nap(400);
		take_away();
		nap(600);
		r = get("/healthz", NULL);
		must(r, 200);
		r = get("/readyz", NULL);
		must(r, 503);
		r = patch(l.writers[0].node.path, admin(), "{\"notes\":\"x\"}");
		must(r, 503);
		bring_back();
		cr_assert(wait_until(usable, NULL, 5000), "not back within 5 s");
	}
	cr_expect_eq(load_check(&l), 0, "a heartbeat failed because the database did");
}

static bool server_up(void *arg)
{
	PGconn **c = arg;

	PQreset(*c);
	return PQstatus(*c) == CONNECTION_OK;
}

static pid_t victim;

/* A crash may be noticed only after usable() was true again: connections, ours and the controller's, end once more. */
static bool backend_of_ours(void *arg)
{
	PGconn **c = arg;
	PGresult *r;

	if (!server_up(c))
		return false;
	r = PQexec(*c, "SELECT pid FROM pg_stat_activity WHERE application_name = 'rakkr-fcgi' LIMIT 1");
	victim = PQntuples(r) == 1 ? (pid_t)atoi(PQgetvalue(r, 0, 0)) : 0;
	PQclear(r);
	return victim > 0;
}

Test(faults, database_crashes_under_load)
{
	static struct load l;

	prepare();
	load_start(&l);
	for (int i = 0; i < 2; i++) {
		nap(500);
		/* A backend that dies makes the whole server restart with crash recovery. */
		cr_assert(wait_until(backend_of_ours, &other, 60000), "no backend of ours");
		if (kill(victim, SIGKILL) != 0)
			cr_skip_test("no right to kill the server's processes");
		cr_assert(wait_until(server_up, &other, 60000), "Postgres did not come back");
		cr_assert(wait_until(usable, NULL, 5000), "not back within 5 s");
	}
	load_check(&l);
}
