/* Accounts, nodes, audio, threads and the store behind, for tests against a running instance. */
#include "http/harness.h"

#include <libpq-fe.h>
#include <math.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	cr_assert(value != NULL && *value != '\0', "%s is not set: these tests need a running instance (tests/run)",
	          name);
	return value;
}

const char *test_url(void)
{
	return environment("RAKKR_TEST_URL");
}

/* ---- accounts and nodes ------------------------------------------------------------------------------------------ */

const char *login(const char *email, const char *password)
{
	struct response r = post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
	must(r, 200);
	cr_assert(strncmp(j_str(r.json, "data.token"), "rakkr_", 6) == 0, "%s", r.body);
	return j_str(r.json, "data.token");
}

const char *admin(void)
{
	static const char *token;
	if (token == NULL)
		token = login(environment("RAKKR_TEST_ADMIN_EMAIL"), environment("RAKKR_TEST_ADMIN_PASSWORD"));
	return token;
}

/* A word that no other test, process or run uses. */
static const char *unique(void)
{
	static int count;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return fmt("%lx%lx-%x-%x", (long)t.tv_sec, t.tv_nsec, (unsigned)getpid(),
	           (unsigned)__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
}

struct user create_user(const char *role, const char *grants)
{
	struct user u = {.email = fmt("u%s@example.org", unique()), .password = "correct horse battery"};
	struct response r = post("/api/v1/auth/users", admin(),
	                         "{\"email\":\"%s\",\"name\":\"Test %s\",\"password\":\"%s\",\"roles\":[\"%s\"],"
	                         "\"resourceGrants\":%s}",
	                         u.email, role, u.password, role, grants != NULL ? grants : "[]");
	must(r, 201);
	u.id = j_str(r.json, "data.id");
	u.token = login(u.email, u.password);
	return u;
}

struct node enroll_node(const char *alias)
{
	struct response r =
	    post("/api/v1/nodes/enroll", admin(),
	         "{\"alias\":\"%s\",\"hostname\":\"rec-1\",\"agentVersion\":\"0.4.2\","
	         "\"location\":{\"site\":\"Theatre\",\"room\":\"%s\"},\"interfaces\":[{\"alias\":\"Desk\","
	         "\"backend\":\"alsa\",\"channelCount\":2,\"systemName\":\"XUSB\",\"systemRef\":\"hw:CARD=XUSB,DEV=0\","
	         "\"sampleRates\":[48000]}],\"ipAddresses\":[\"192.0.2.7\"],\"tags\":[\"test\"]}",
	         alias, unique());
	must(r, 201);
	struct node n = {.id = j_str(r.json, "data.node.id"),
	                 .token = j_str(r.json, "data.credential.token"),
	                 .alias = strdup(alias),
	                 .interface_id = j_str(r.json, "data.node.interfaces.0.id")};
	cr_assert(*n.id != '\0' && *n.token != '\0', "%s", r.body);
	n.path = fmt("/api/v1/nodes/%s", n.id);
	return n;
}

struct take start_recording(const struct node *n)
{
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"Take %s\"}", n->id, unique());
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	return t;
}

const char *claim_next(const struct node *n)
{
	struct response r = post(fmt("%s/recording-jobs/claim-next", n->path), n->token, NULL);
	if (r.status != 204)
		must(r, 200);
	return j_str(r.json, "data.id");
}

/* Any text as part of a query. */
static const char *encode(const char *text)
{
	char *out = calloc(strlen(text) * 3 + 1, 1), *at = out;
	for (; *text != '\0'; text++)
		at += sprintf(at, "%%%02X", (unsigned char)*text);
	return out;
}

/* reason NULL: whatever it is. */
static json_object *find_event(const char *action, const char *target_id, const char *reason)
{
	struct response r = get(fmt("/api/v1/audit-events?limit=500&action=%s%s%s", action,
	                            target_id != NULL ? "&target=" : "", target_id != NULL ? encode(target_id) : ""),
	                        admin());
	must(r, 200);
	json_object *events = j_at(r.json, "data");
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		json_object *event = json_object_array_get_idx(events, i);
		if (strcmp(j_str(event, "action"), action) == 0 &&
		    (target_id == NULL || strcmp(j_str(event, "target.id"), target_id) == 0) &&
		    (reason == NULL || strcmp(j_str(event, "reason"), reason) == 0))
			return event;
	}
	return NULL;
}

json_object *audit_find(const char *action, const char *target_id)
{
	return find_event(action, target_id, NULL);
}

void expect_audited(const char *action, const char *target_id, const char *reason)
{
	cr_expect_not_null(find_event(action, target_id, reason), "no audit event %s of %s for %s", action, target_id,
	                   reason);
}

json_object *audit_last(const char *action, const char *target_id)
{
	json_object *event = audit_find(action, target_id);
	cr_assert_not_null(event, "no audit event %s of %s", action, target_id != NULL ? target_id : "any target");
	return event;
}

void expect_event(json_object *event, const char *outcome, const char *reason)
{
	cr_expect_str_eq(j_str(event, "outcome"), outcome, "%s", json_object_to_json_string(event));
	cr_expect_str_eq(j_str(event, "reason"), reason, "%s", json_object_to_json_string(event));
}

void expect_refusal(const struct response *r, int code, const char *text)
{
	cr_expect_eq(r->status, code, "%s: %d instead of %d: %s", r->asked, r->status, code, r->body);
	cr_expect_str_eq(j_str(r->json, "error"), text, "%s", r->asked);
}

/* ---- audio ------------------------------------------------------------------------------------------------------- */

static void put_le(unsigned char *at, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

struct blob wav(int channels, int sample_rate, double seconds)
{
	size_t frames = (size_t)(seconds * sample_rate), size = frames * (size_t)channels * 2;
	struct blob b = {malloc(44 + size), 44 + size};
	memcpy(b.data, "RIFF____WAVEfmt ", 16);
	put_le(b.data + 4, (uint32_t)(36 + size), 4);
	put_le(b.data + 16, 16, 4);
	put_le(b.data + 20, 1, 2);
	put_le(b.data + 22, (uint32_t)channels, 2);
	put_le(b.data + 24, (uint32_t)sample_rate, 4);
	put_le(b.data + 28, (uint32_t)(sample_rate * channels * 2), 4);
	put_le(b.data + 32, (uint32_t)(channels * 2), 2);
	put_le(b.data + 34, 16, 2);
	memcpy(b.data + 36, "data", 4);
	put_le(b.data + 40, (uint32_t)size, 4);
	for (size_t i = 0; i < frames * (size_t)channels; i++) {
		double t = (double)(i / (size_t)channels) / sample_rate;
		put_le(b.data + 44 + 2 * i, (uint32_t)(int32_t)(16384 * sin(2 * M_PI * 440 * t)), 2);
	}
	return b;
}

const char *sha256(const void *data, size_t n)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	char *hex = calloc(65, 1);
	EVP_Digest(data, n, digest, &size, EVP_sha256(), NULL);
	for (unsigned i = 0; i < size; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return hex;
}

/* ---- time and threads -------------------------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	void (*work)(int, void *);
	void *arg;
	int index;
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	pthread_barrier_wait(w->start);
	w->work(w->index, w->arg);
	return NULL;
}

void parallel(int n, void (*work)(int index, void *arg), void *arg)
{
	struct worker *workers = calloc((size_t)n, sizeof(*workers));
	pthread_barrier_t start;
	test_url();
	pthread_barrier_init(&start, NULL, (unsigned)n);
	for (int i = 0; i < n; i++) {
		workers[i] = (struct worker){.start = &start, .work = work, .arg = arg, .index = i};
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
	}
	for (int i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&start);
	free(workers);
}

bool wait_until(bool (*done)(void *arg), void *arg, int timeout_ms)
{
	double deadline = now_seconds() + timeout_ms / 1000.0;
	while (!done(arg)) {
		if (now_seconds() > deadline)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return true;
}

/* ---- the store behind -------------------------------------------------------------------------------------------- */

bool on_postgres(void)
{
	return strcmp(environment("RAKKR_TEST_STORE"), "postgres") == 0;
}

/* The server went away, or has just told this connection that it will. */
static bool is_lost(PGconn *connection, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	ExecStatusType code = PQresultStatus(result);
	bool good = code == PGRES_TUPLES_OK || code == PGRES_COMMAND_OK;
	return PQstatus(connection) == CONNECTION_BAD || (!good && (state == NULL || strncmp(state, "57P", 3) == 0));
}

const char *sql(const char *statement, ...)
{
	static PGconn *connection;
	if (connection == NULL)
		connection = PQconnectdb(environment("RAKKR_TEST_DATABASE_URL"));
	va_list ap;
	va_start(ap, statement);
	char *text = format_list(statement, ap);
	va_end(ap);
	PGresult *result = PQexec(connection, text);
	/* a fault test took it away, and the server may still be recovering */
	for (double until = now_seconds() + 20; is_lost(connection, result) && now_seconds() < until;) {
		PQclear(result);
		PQreset(connection);
		result = PQexec(connection, text);
	}
	ExecStatusType code = PQresultStatus(result);
	cr_assert(code == PGRES_TUPLES_OK || code == PGRES_COMMAND_OK, "%s: %s", text, PQerrorMessage(connection));
	bool found = PQntuples(result) > 0 && PQnfields(result) > 0;
	const char *value = found ? strdup(PQgetvalue(result, 0, 0)) : NULL;
	PQclear(result);
	return value;
}

const char *instance_dir(void)
{
	return environment("RAKKR_TEST_DIR");
}
