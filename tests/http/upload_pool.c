/*
 * Files that take long to look through: recordings that began together end together, and agents have no time-outs
 * (contract 08 A16). Nobody else may wait for them.
 */
#include "http/harness.h"
#include "http/instance.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPLOADS 6 /* more than there are processes for them, and workers together */
#define BOX "/tmp/rakkr-gate-XXXXXX"

static char gate[] = BOX;

/* A prober that says that it has begun, and goes on when the gate is open. */
static void set_slow_prober(void)
{
	memcpy(gate, BOX, sizeof(BOX));
	cr_assert_not_null(mkdtemp(gate));
	chmod(gate, 01777); /* the controller may run as somebody else */
	setenv("RAKKR_FFPROBE_COMMAND", "sh", 1);
	setenv("RAKKR_FFPROBE_ARGS_PREFIX",
	       fmt("[\"-c\",\"mktemp %s/begun-XXXXXX; while [ ! -e %s/open ]; do sleep 0.02; done\"]", gate, gate), 1);
	setenv("RAKKR_UPLOAD_WORKERS", "2", 1);
}

static int begun(void)
{
	DIR *dir = opendir(gate);
	int n = 0;

	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		n += strncmp(d->d_name, "begun", 5) == 0;
	closedir(dir);
	return n;
}

static bool both_at_work(void *arg)
{
	(void)arg;
	return begun() == 2;
}

static void remove_gate(void)
{
	DIR *dir = opendir(gate);

	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		unlink(fmt("%s/%s", gate, d->d_name));
	closedir(dir);
	rmdir(gate);
}

struct delivery {
	struct node node;
	struct take take[UPLOADS];
	int answered, accepted;
};

static void deliver(int index, void *arg)
{
	static const char *const headers[] = {"Content-Type: audio/mpeg", "x-rakkr-file-name: take.mp3", NULL};
	struct delivery *d = arg;
	char *path = fmt("%s/cache-file", d->take[index].recording_path);
	struct response r = http("PUT", path, d->node.token, headers, "not really MPEG audio", 21);

	__atomic_add_fetch(&d->answered, 1, __ATOMIC_SEQ_CST);
	if (r.status == 201)
		__atomic_add_fetch(&d->accepted, 1, __ATOMIC_SEQ_CST);
}

static void *deliver_all(void *arg)
{
	parallel(UPLOADS, deliver, arg);
	return NULL;
}

static struct delivery prepared(void)
{
	struct delivery d = {.node = enroll_node("Full")};

	must(patch(d.node.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":%d}}", UPLOADS), 200);
	for (int i = 0; i < UPLOADS; i++)
		d.take[i] = start_recording(&d.node);
	for (int i = 0; i < UPLOADS; i++)
		claim_next(&d.node);
	return d;
}

Test(upload_pool, nobody_waits_for_files_of_others, .timeout = 120)
{
	static struct delivery d;
	struct node other;
	pthread_t thread;

	set_slow_prober();
	own_start(true);
	d = prepared();
	other = enroll_node("Other");
	pthread_create(&thread, NULL, deliver_all, &d);
	cr_expect(wait_until(both_at_work, NULL, 20000), "%d uploads begun", begun());
	for (int i = 0; i < 20; i++) {
		must(post(fmt("%s/heartbeat", other.path), other.token,
		          "{\"agentVersion\":\"1\",\"hostname\":\"h\",\"ipAddresses\":[]}"),
		     202);
		must(get("/api/v1/recordings?limit=5", admin()), 200);
	}
	cr_expect_eq(__atomic_load_n(&d.answered, __ATOMIC_SEQ_CST), 0);
	cr_expect_eq(begun(), 2, "the others queue");
	fclose(fopen(fmt("%s/open", gate), "we"));
	pthread_join(thread, NULL);
	cr_expect_eq(d.accepted, UPLOADS);
	remove_gate();
	own_end();
}
