/*
 * Load from many clients that writes down what was acknowledged, and the comparison with what is stored afterwards.
 * Run by tests/fault/run, which kills things meanwhile; the instance is named as for the harness.
 *
 *	fault-storm load LEDGER SECONDS
 *	fault-storm verify LEDGER AUDIT.csv       (AUDIT.csv: output of "rakkr-fcgi audit export")
 *
 * Exit status of verify: 0 if nothing is missing or there twice.
 */
#include "http/harness.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EDITORS 3
#define CLAIMERS 2
#define OTHERS 3 /* enrolling, users, starting */
#define NODES_MOST 60
#define USERS_MOST 150

static void nap(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- the ledger -------------------------------------------------------------------------------------------------- */

static int ledger;

/* One line in one write. "tried" lines say what may be there, the others what must be. */
static void note(const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(ledger, line, (size_t)n) != n) {
		perror("ledger");
		exit(2);
	}
}

/* ---- load -------------------------------------------------------------------------------------------------------- */

static time_t until;
static char *admin_token, *run_name;
static long requests, failures; /* not 2xx, 204 and 409 aside */

static void forget(struct response *r)
{
	free(r->body);
	free(r->headers);
	free((char *)r->asked);
	json_object_put(r->json);
}

static bool answered(const struct response *r, int status)
{
	__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
	if (r->status == status)
		return true;
	if (r->status != 204 && r->status != 409)
		__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	if (r->status == 0 || r->status >= 500) /* nobody there: do not spin */
		nap(50);
	return false;
}

static bool going_on(void)
{
	return time(NULL) < until;
}

static bool sign_in(void)
{
	struct response r = post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}",
	                         getenv("RAKKR_TEST_ADMIN_EMAIL"), getenv("RAKKR_TEST_ADMIN_PASSWORD"));

	if (r.status == 200)
		admin_token = strdup(j_str(r.json, "data.token"));
	forget(&r);
	return admin_token != NULL;
}

struct box {
	char id[64], token[80];
};

static bool enroll(struct box *n, const char *alias)
{
	struct response r =
	    post("/api/v1/nodes/enroll", admin_token,
	         "{\"alias\":\"%s\",\"hostname\":\"storm\",\"agentVersion\":\"1\",\"location\":{\"site\":"
	         "\"S\",\"room\":\"R\"},\"recordingCapacity\":{\"maxConcurrentRecordings\":64},"
	         "\"interfaces\":[{\"alias\":\"D\",\"backend\":\"alsa\",\"channelCount\":1,"
	         "\"systemName\":\"X\",\"sampleRates\":[48000]}]}",
	         alias);
	bool good = answered(&r, 201);

	if (good) {
		snprintf(n->id, sizeof(n->id), "%s", j_str(r.json, "data.node.id"));
		snprintf(n->token, sizeof(n->token), "%s", j_str(r.json, "data.credential.token"));
		note("node %s %s", n->id, alias);
	}
	forget(&r);
	return good;
}

static void enroll_some(struct box *n, const char *what, int number)
{
	for (int k = 0; going_on(); k++) {
		char *alias = fmt("%s-%s-%d-%d", run_name, what, number, k);
		bool good = enroll(n, alias);

		free(alias);
		if (good)
			return;
	}
}

static void heartbeat(const struct box *n)
{
	char *path = fmt("/api/v1/nodes/%s/heartbeat", n->id);
	struct response r = post(path, n->token, "{\"agentVersion\":\"1\",\"hostname\":\"storm\",\"ipAddresses\":[]}");

	answered(&r, 202);
	forget(&r);
	free(path);
}

static void *edit(void *arg)
{
	struct box n;
	char *path;
	int k = 0;

	enroll_some(&n, "edit", (int)(intptr_t)arg);
	path = fmt("/api/v1/nodes/%s", n.id);
	while (going_on()) {
		struct response r;

		note("tried-notes %s %d", n.id, ++k);
		r = patch(path, admin_token, "{\"notes\":\"n%d\"}", k);
		if (answered(&r, 200))
			note("notes %s %d", n.id, k);
		forget(&r);
		heartbeat(&n);
	}
	free(path);
	return NULL;
}

static void *enroll_on(void *arg)
{
	struct box n;

	(void)arg;
	for (int i = 0; going_on() && i < NODES_MOST; i++) {
		enroll_some(&n, "node", i);
		nap(200);
	}
	return NULL;
}

static void *add_users(void *arg)
{
	(void)arg;
	for (int i = 0; going_on() && i < USERS_MOST; i++) {
		char *email = fmt("%s-%d@example.org", run_name, i);
		struct response r = post("/api/v1/auth/users", admin_token,
		                         "{\"email\":\"%s\",\"name\":\"Storm\",\"password\":\"correct horse battery\","
		                         "\"roles\":[\"viewer\"],\"resourceGrants\":[]}",
		                         email);

		if (answered(&r, 201))
			note("user %s %s", j_str(r.json, "data.id"), email);
		forget(&r);
		free(email);
		nap(100);
	}
	return NULL;
}

static struct box recorder;

static void *start_on(void *arg)
{
	(void)arg;
	for (int i = 0; going_on(); i++) {
		struct response r = post("/api/v1/recordings", admin_token,
		                         "{\"nodeId\":\"%s\",\"name\":\"%s take %d\"}", recorder.id, run_name, i);

		if (answered(&r, 202))
			note("recording %s %s", j_str(r.json, "data.id"), j_str(r.json, "job.id"));
		forget(&r);
		nap(30);
	}
	return NULL;
}

/* Until it is acknowledged: the same file any number of times. */
static void deliver(const char *recording, const char *job, unsigned *seed)
{
	struct blob file = wav(1, 8000, 0.1);
	char *path = fmt("/api/v1/recordings/%s/cache-file", recording),
	     *header = fmt("x-rakkr-recording-job-id: %s", job);
	const char *headers[] = {"Content-Type: audio/wav", "x-rakkr-file-name: a.wav", header, NULL};
	bool good = false;

	for (size_t i = 44; i < file.len; i++)
		file.data[i] = (unsigned char)rand_r(seed);
	for (int i = 0; i < 8 && !good && going_on(); i++) {
		struct response r = http("PUT", path, recorder.token, headers, file.data, file.len);

		good = answered(&r, 201);
		if (!good && r.status >= 400 && r.status < 500) /* its lease ran out meanwhile */
			i = 8;
		forget(&r);
	}
	if (good)
		note("upload %s sha256:%s", recording, sha256(file.data, file.len));
	free(file.data);
	free(header);
	free(path);
}

static void *claim_on(void *arg)
{
	unsigned seed = (unsigned)(intptr_t)arg + 77;
	char *path = fmt("/api/v1/nodes/%s/recording-jobs/claim-next", recorder.id);

	while (going_on()) {
		struct response r = post(path, recorder.token, NULL);

		if (answered(&r, 200) && *j_str(r.json, "data.id") != '\0') {
			note("claim %s", j_str(r.json, "data.id"));
			deliver(j_str(r.json, "data.recordingId"), j_str(r.json, "data.id"), &seed);
		} else {
			nap(20);
		}
		forget(&r);
	}
	free(path);
	return NULL;
}

static int load(const char *path, int seconds)
{
	void *(*const others[OTHERS])(void *) = {enroll_on, add_users, start_on};
	pthread_t threads[EDITORS + CLAIMERS + OTHERS];
	int n = 0;

	ledger = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	until = time(NULL) + seconds;
	run_name = fmt("storm-%d", (int)getpid());
	while (going_on() && !sign_in())
		nap(100);
	enroll_some(&recorder, "recorder", 0);
	note("recorder %s", recorder.id);
	for (intptr_t i = 0; i < EDITORS; i++)
		pthread_create(&threads[n++], NULL, edit, (void *)i);
	for (intptr_t i = 0; i < CLAIMERS; i++)
		pthread_create(&threads[n++], NULL, claim_on, (void *)i);
	for (int i = 0; i < OTHERS; i++)
		pthread_create(&threads[n++], NULL, others[i], NULL);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%ld requests, %ld without the answer hoped for\n", requests, failures);
	return 0;
}

/* ---- what is stored ---------------------------------------------------------------------------------------------- */

/* Numbers by name. */
static int count_in(json_object *counts, const char *key)
{
	json_object *v;

	return json_object_object_get_ex(counts, key, &v) ? json_object_get_int(v) : 0;
}

static void add_to(json_object *counts, const char *key, int n)
{
	json_object_object_add(counts, key, json_object_new_int(count_in(counts, key) + n));
}

/* The cells of the next row; NULL at the end. All cells are quoted. */
static bool next_row(FILE *f, char *cells[16])
{
	int c = getc(f), n = 0;

	while (c == '"' && n < 16) {
		size_t len = 0, room = 256;
		char *cell = malloc(room);

		while ((c = getc(f)) != EOF) {
			if (c == '"' && (c = getc(f)) != '"')
				break;
			if (len + 2 > room)
				cell = realloc(cell, room *= 2);
			cell[len++] = (char)c;
		}
		cell[len] = '\0';
		cells[n++] = cell;
		if (c == ',')
			c = getc(f);
	}
	for (int i = n; i < 16; i++)
		cells[i] = NULL;
	return n == 16;
}

/* "action target" -> number of events. */
static json_object *read_audit(const char *path)
{
	json_object *counts = json_object_new_object();
	FILE *f = fopen(path, "re");
	char *cells[16];

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	while (next_row(f, cells)) {
		char *key = fmt("%s %s", cells[5], cells[8]);

		add_to(counts, key, 1);
		free(key);
		for (int i = 0; i < 16; i++)
			free(cells[i]);
	}
	fclose(f);
	return counts;
}

struct result {
	long acknowledged, missing, twice, events_missing, events_twice;
};

static json_object *audit;

static void wrong(const char *what, const char *id, const char *detail)
{
	static int lines;

	if (lines++ < 30)
		printf("  %s %s: %s\n", what, id, detail);
}

/* Exactly min..max events of action for id. */
static void expect_events(struct result *r, const char *action, const char *id, int min, int max)
{
	char *key = fmt("%s %s", action, id);
	int n = count_in(audit, key);

	if (n < min) {
		r->events_missing += min - n;
		wrong(action, id, "event missing");
	}
	if (n > max) {
		r->events_twice += n - max;
		wrong(action, id, "event twice");
	}
	free(key);
}

/* What is stored at path, or 404. Any other answer says nothing about what is missing. */
static struct response stored(const char *path)
{
	struct response r = get(path, admin_token);

	if (r.status != 200 && r.status != 404) {
		printf("cannot be verified, %s: %d %.200s\n", path, r.status, r.body == NULL ? "" : r.body);
		exit(2);
	}
	return r;
}

static json_object *everything(const char *path)
{
	return stored(path).json;
}

struct ledger_line {
	char what[24], id[64], more[128];
};

static void check_node(struct result *r, json_object *nodes, json_object *aliases, const struct ledger_line *l)
{
	r->acknowledged++;
	if (j_find(nodes, "data", "id", l->id) == NULL) {
		r->missing++;
		wrong("node", l->id, "missing");
	}
	if (count_in(aliases, l->more) > 1) {
		r->twice++;
		wrong("node", l->more, "twice");
	}
	expect_events(r, "nodes.enroll.succeeded", l->id, 1, 1);
}

static void check_user(struct result *r, json_object *users, json_object *emails, const struct ledger_line *l)
{
	r->acknowledged++;
	if (j_find(users, "data", "id", l->id) == NULL) {
		r->missing++;
		wrong("user", l->id, "missing");
	}
	if (count_in(emails, l->more) > 1) {
		r->twice++;
		wrong("user", l->more, "twice");
	}
	expect_events(r, "auth.users.create.succeeded", l->id, 1, 1);
}

static void check_recording(struct result *r, const struct ledger_line *l)
{
	char *path = fmt("/api/v1/recordings/%s", l->id);
	struct response one = stored(path);

	r->acknowledged++;
	if (one.status != 200) {
		r->missing++;
		wrong("recording", l->id, "missing");
	}
	expect_events(r, "recordings.start.succeeded", l->id, 1, 1);
	forget(&one);
	free(path);
}

static void check_claim(struct result *r, json_object *claims, const struct ledger_line *l)
{
	char *path = fmt("/api/v1/recording-jobs/%s", l->id);
	struct response one = stored(path);
	const char *status = j_str(one.json, "data.status");

	r->acknowledged++;
	if (one.status != 200 || strcmp(status, "queued") == 0) {
		r->missing++;
		wrong("claim", l->id, one.status == 200 ? "the job is still queued" : "no such job");
	}
	if (count_in(claims, l->id) > 1) {
		r->twice++;
		wrong("claim", l->id, "given out twice");
	}
	forget(&one);
	free(path);
}

static void check_upload(struct result *r, const struct ledger_line *l)
{
	char *path = fmt("/api/v1/recordings/%s", l->id);
	struct response one = stored(path), file;
	char *file_path = fmt("/api/v1/recordings/%s/file", l->id);

	r->acknowledged++;
	file = stored(file_path);
	if (strcmp(j_str(one.json, "data.checksum"), l->more) != 0 ||
	    strcmp(fmt("sha256:%s", sha256(file.body, file.len)), l->more) != 0) {
		r->missing++;
		wrong("upload", l->id, "the file is not what was delivered");
	}
	expect_events(r, "recordings.cache_file.attach.succeeded", l->id, 1, 8);
	forget(&one);
	forget(&file);
	free(path);
	free(file_path);
}

/* Notes count upwards: what is stored lies between the last acknowledged and the last tried. */
static void check_notes(struct result *r, json_object *nodes, json_object *acknowledged, json_object *last,
                        json_object *tried)
{
	json_object_object_foreach(tried, id, value)
	{
		const char *notes = j_str(j_find(nodes, "data", "id", id), "notes");
		int stored = notes[0] == 'n' ? atoi(notes + 1) : 0;

		r->acknowledged += count_in(acknowledged, id);
		if (stored < count_in(last, id) || stored > json_object_get_int(value)) {
			r->missing++;
			wrong("notes", id, notes);
		}
		expect_events(r, "nodes.update.succeeded", id, count_in(acknowledged, id), json_object_get_int(value));
	}
}

static json_object *tally(json_object *list, const char *key)
{
	json_object *counts = json_object_new_object();

	for (size_t i = 0; i < j_count(list, "data"); i++)
		add_to(counts, j_str(json_object_array_get_idx(j_at(list, "data"), i), key), 1);
	return counts;
}

static json_object *tally_claims(FILE *f)
{
	json_object *counts = json_object_new_object();
	struct ledger_line l;
	char line[512];

	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%23s %63s", l.what, l.id) == 2 && strcmp(l.what, "claim") == 0)
			add_to(counts, l.id, 1);
	rewind(f);
	return counts;
}

static void check_ledger(struct result *r, FILE *f)
{
	json_object *nodes = everything("/api/v1/nodes"), *users = everything("/api/v1/auth/users");
	json_object *aliases = tally(nodes, "alias"), *emails = tally(users, "email"), *claims = tally_claims(f);
	json_object *acknowledged = json_object_new_object(), *last = json_object_new_object(),
	            *tried = json_object_new_object();
	struct ledger_line l;
	char line[512];

	while (fgets(line, sizeof(line), f) != NULL) {
		l.more[0] = '\0';
		if (sscanf(line, "%23s %63s %127s", l.what, l.id, l.more) < 2)
			continue;
		if (strcmp(l.what, "node") == 0)
			check_node(r, nodes, aliases, &l);
		else if (strcmp(l.what, "user") == 0)
			check_user(r, users, emails, &l);
		else if (strcmp(l.what, "recording") == 0)
			check_recording(r, &l);
		else if (strcmp(l.what, "claim") == 0)
			check_claim(r, claims, &l);
		else if (strcmp(l.what, "upload") == 0)
			check_upload(r, &l);
		else if (strcmp(l.what, "recorder") == 0) /* claims, and questions that found no job */
			expect_events(r, "recording_jobs.claim_next.succeeded", l.id, json_object_object_length(claims),
			              1 << 30);
		else if (strcmp(l.what, "tried-notes") == 0)
			json_object_object_add(tried, l.id, json_object_new_int(atoi(l.more)));
		else if (strcmp(l.what, "notes") == 0) {
			add_to(acknowledged, l.id, 1);
			json_object_object_add(last, l.id, json_object_new_int(atoi(l.more)));
		}
	}
	check_notes(r, nodes, acknowledged, last, tried);
}

static int verify(const char *path, const char *csv)
{
	struct result r = {0};
	FILE *f = fopen(path, "re");

	if (f == NULL || !sign_in()) {
		fprintf(stderr, "%s, or no sign-in\n", path);
		return 2;
	}
	audit = read_audit(csv);
	check_ledger(&r, f);
	printf("acknowledged %ld, missing %ld, duplicated %ld, audit events missing %ld, duplicated %ld\n",
	       r.acknowledged, r.missing, r.twice, r.events_missing, r.events_twice);
	return r.acknowledged < 20 || r.missing + r.twice + r.events_missing + r.events_twice > 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "load") == 0)
		return load(argv[2], atoi(argv[3]));
	if (argc == 4 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2], argv[3]);
	fputs("usage: fault-storm load LEDGER SECONDS | verify LEDGER AUDIT.csv\n", stderr);
	return 2;
}
