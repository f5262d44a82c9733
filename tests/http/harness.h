/*
 * What tests against a running instance need: an HTTP client, JSON getters, accounts, nodes, audio, threads, the
 * database. Every Criterion test is a process of its own, so nothing here is ever freed.
 *
 * The instance is named by the environment: RAKKR_TEST_URL (https://127.0.0.1:PORT), RAKKR_TEST_ADMIN_EMAIL,
 * RAKKR_TEST_ADMIN_PASSWORD, RAKKR_TEST_STORE (file or postgres), RAKKR_TEST_DATABASE_URL (postgres only),
 * RAKKR_TEST_DIR (folder of the instance). Its certificate is self-signed and not verified.
 *
 *	Test(nodes, a_patch_changes_the_alias)
 *	{
 *		struct node n = enroll_node("Booth");
 *		struct response r = patch(n.path, admin(), "{\"alias\":\"%s\"}", "Stage");
 *		must(r, 200);
 *		cr_assert_str_eq(j_str(r.json, "data.alias"), "Stage");
 *		cr_assert_str_eq(j_str(audit_last("nodes.update.succeeded", n.id), "outcome"), "succeeded");
 *	}
 *
 * Tests may run at the same time as others on the same instance: use nodes and users of your own, and look for what you
 * made instead of counting everything.
 */
#ifndef RAKKR_TESTS_HTTP_HARNESS_H
#define RAKKR_TESTS_HTTP_HARNESS_H

#include <stdarg.h>
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- requests ---------------------------------------------------------------------------------------------------- */

struct response {
	int status; /* 0: no answer (connection broken) */
	char *body; /* NUL-terminated, never NULL */
	size_t len;
	char *headers;     /* all response header lines */
	json_object *json; /* the body, if it is JSON */
	double seconds;
	const char *asked; /* "POST /api/v1/...", for messages */
};

/*
 * One request. path is sent as it is (dots and percent signs are not touched). token NULL: no Authorization header.
 * headers: NULL-terminated lines "Name: value", or NULL. body NULL: no body and no Content-Length, whatever the method.
 */
struct response http(const char *method, const char *path, const char *token, const char *const *headers,
                     const void *body, size_t len);

/* The client's own address for all later requests of this process, e.g. "127.1.2.3"; NULL = the usual one. */
void http_from(const char *address);

/* Without a body. */
struct response get(const char *path, const char *token);
struct response del(const char *path, const char *token);
/* With a JSON body from a printf format; json NULL = no body at all. */
struct response post(const char *path, const char *token, const char *json, ...) __attribute__((format(printf, 3, 4)));
struct response patch(const char *path, const char *token, const char *json, ...) __attribute__((format(printf, 3, 4)));
struct response put(const char *path, const char *token, const char *json, ...) __attribute__((format(printf, 3, 4)));

/* Stops the test unless r has this status; shows what was asked and answered. */
#define must(r, code)                                                                                                  \
	cr_assert_eq((r).status, (code), "%s: %d instead of %d: %.600s", (r).asked, (r).status, (code), (r).body)

/* An error: its status and text. */
void expect_refusal(const struct response *r, int code, const char *text);

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* "https://127.0.0.1:PORT" */
const char *test_url(void);

/* Value of a response header (name in any case), or NULL. */
const char *header(const struct response *r, const char *name);

/* A string like printf; paths are made with it: fmt("/api/v1/nodes/%s", id). */
char *fmt(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *format_list(const char *format, va_list ap);

/* Since some time in the past. */
double now_seconds(void);

/* A TLS connection for requests that no client library would send. */
struct raw;
struct raw *raw_open(void);
bool raw_send(struct raw *c, const void *data, size_t n);
/* Everything until the other side closes or timeout_ms pass. */
struct response raw_answer(struct raw *c, int timeout_ms);
/* The same, or until mark has been seen count times. */
struct response raw_until(struct raw *c, int timeout_ms, const char *mark, int count);
/* One whole answer on a connection that stays open (by Content-Length; without one, the head alone). */
struct response raw_reply(struct raw *c, int timeout_ms);
void raw_close(struct raw *c);

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

/* Members by dotted path, numbers are indexes: j_at(r.json, "data.interfaces.0.id"). NULL if there is none. */
json_object *j_at(json_object *o, const char *path);
/* "" if there is no such string. */
const char *j_str(json_object *o, const char *path);
/* -1 if there is no such number. */
int64_t j_int(json_object *o, const char *path);
double j_num(json_object *o, const char *path);
bool j_true(json_object *o, const char *path);
bool j_has(json_object *o, const char *path);
/* Length of an array; 0 if there is none. */
size_t j_count(json_object *o, const char *path);
/* The element of the array at path whose member key is value, or NULL. */
json_object *j_find(json_object *o, const char *path, const char *key, const char *value);

/* ---- accounts and nodes ------------------------------------------------------------------------------------------ */

/* Session token of the local admin; signed in once per process. */
const char *admin(void);
/* Session token; fails the test unless the sign-in works. */
const char *login(const char *email, const char *password);

struct user {
	const char *id, *email, *password, *token;
};
/* A new signed-in user. grants: JSON array like [{"resourceType":"node","resourceId":"x"}], or NULL. */
struct user create_user(const char *role, const char *grants);

struct node {
	const char *id, *token, *alias;
	const char *interface_id; /* its only interface: ALSA, 2 channels */
	const char *path;         /* "/api/v1/nodes/<id>" */
};
struct node enroll_node(const char *alias);

/* A recording started on n, and its job. */
struct take {
	const char *recording_id, *job_id, *recording_path, *job_path;
};
struct take start_recording(const struct node *n);
/* The next job of n is claimed by it; its id ("" if there is none). */
const char *claim_next(const struct node *n);

/* Newest audit event of an action, for a target id unless that is NULL; fails the test if there is none. */
json_object *audit_last(const char *action, const char *target_id);
/* The same, NULL if there is none. */
json_object *audit_find(const char *action, const char *target_id);
void expect_event(json_object *event, const char *outcome, const char *reason);
/* There is one for this reason: of events of one millisecond, written by several processes, none need be the newest. */
void expect_audited(const char *action, const char *target_id, const char *reason);

/* ---- audio ------------------------------------------------------------------------------------------------------- */

struct blob {
	unsigned char *data;
	size_t len;
};
/* A 16-bit PCM WAV file of a 440 Hz tone. */
struct blob wav(int channels, int sample_rate, double seconds);
/* Lower-case hex. */
const char *sha256(const void *data, size_t n);

/* ---- time and threads -------------------------------------------------------------------------------------------- */

/* Runs work(0..n-1) in n threads that start together, and waits for all. */
void parallel(int n, void (*work)(int index, void *arg), void *arg);

/* Asks until done(arg) is true; false if that takes longer than timeout_ms. */
bool wait_until(bool (*done)(void *arg), void *arg, int timeout_ms);

/* ---- the store behind -------------------------------------------------------------------------------------------- */

/* True if the instance runs on Postgres. */
bool on_postgres(void);
/* First column of the first row, NULL if there is no row; fails the test on an SQL error. Postgres only. */
const char *sql(const char *statement, ...) __attribute__((format(printf, 1, 2)));
/* RAKKR_TEST_DIR. */
const char *instance_dir(void);

#endif
