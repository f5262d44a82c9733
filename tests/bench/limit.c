/*
 * How fast this machine can be at all: a bare libfcgi loop in N processes behind the same nginx. With a database each
 * request costs one pipelined round trip, a SELECT of the session and an INSERT of an audit event, and nothing else.
 *
 *	limit SOCKET WORKERS none
 *	limit SOCKET WORKERS async|durable DATABASE_URL TOKEN
 *
 * async commits with synchronous_commit=off, durable waits for the disk. Ends with SIGTERM.
 */
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char select_session[] =
    "SELECT s.id, u.id, u.email, u.name, u.provider FROM auth_sessions s JOIN users u ON u.id = s.user_id "
    "WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL";
static const char insert_event[] =
    "INSERT INTO audit_events (action, actor_type, actor_id, actor_display_name, actor_roles, actor_context, details, "
    "outcome, permission_id, target_id, target_type) VALUES ('bench.limit', 'user', $1, 'Local Admin', '[\"owner\"]', "
    "'{\"ipAddress\":\"127.0.0.1\"}', '{\"method\":\"GET\",\"path\":\"/api/v1/auth/me\"}', 'succeeded', 'node:read', "
    "$1, "
    "'user')";

static const char answer[] =
    "Status: 200 OK\r\nContent-Type: application/json\r\nVary: Origin\r\nAccess-Control-Allow-Credentials: true\r\n\r\n"
    "{\"data\":{\"email\":\"admin@rakkr.local\",\"groups\":[],\"id\":\"00000000-0000-4000-8000-000000000001\",\"name\":"
    "\"Local Admin\",\"permissions\":[\"audit:read\",\"auth:manage\",\"health:acknowledge\",\"health:read\","
    "\"listen:monitor\",\"metrics:read\",\"node:control\",\"node:manage\",\"node:read\",\"recording:control\"],"
    "\"provider\":\"local\",\"resourceGrants\":[],\"roles\":[\"owner\"]}}";

static void die(const char *what, const char *why)
{
	fprintf(stderr, "limit: %s: %s\n", what, why);
	exit(1);
}

static void hash_token(char out[65], const char *token)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)token, strlen(token), digest);
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

static PGconn *connect_database(const char *url, int durable)
{
	PGconn *db = PQconnectdb(url);
	if (PQstatus(db) != CONNECTION_OK)
		die("database", PQerrorMessage(db));
	PQclear(PQexec(db, durable ? "SET synchronous_commit = on" : "SET synchronous_commit = off"));
	PQclear(PQprepare(db, "session", select_session, 1, NULL));
	PQclear(PQprepare(db, "event", insert_event, 1, NULL));
	if (PQenterPipelineMode(db) != 1)
		die("pipeline", PQerrorMessage(db));
	return db;
}

/* Both statements in one round trip and one transaction; every result must be good. */
static void ask(PGconn *db, const char *hash)
{
	static const char *const actor = "00000000-0000-4000-8000-000000000001";
	PQsendQueryPrepared(db, "session", 1, &hash, NULL, NULL, 0);
	PQsendQueryPrepared(db, "event", 1, &actor, NULL, NULL, 0);
	PQpipelineSync(db);
	for (int synced = 0, ended = 0; !synced && ended < 8;) {
		PGresult *result = PQgetResult(db);
		if (result == NULL) {
			ended++;
			continue;
		}
		ExecStatusType status = PQresultStatus(result);
		synced = status == PGRES_PIPELINE_SYNC;
		if (status == PGRES_TUPLES_OK ? PQntuples(result) != 1 : status != PGRES_COMMAND_OK && !synced)
			die("statement", status == PGRES_TUPLES_OK ? "no such session" : PQresultErrorMessage(result));
		PQclear(result);
	}
}

static void serve(int listener, PGconn *db, const char *hash)
{
	FCGX_Request request;
	char body[4096];
	FCGX_Init();
	FCGX_InitRequest(&request, listener, 0);
	while (FCGX_Accept_r(&request) == 0) {
		while (FCGX_GetStr(body, sizeof(body), request.in) > 0)
			continue;
		if (db != NULL)
			ask(db, hash);
		FCGX_PutStr(answer, sizeof(answer) - 1, request.out);
		FCGX_Finish_r(&request);
	}
}

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

int main(int argc, char **argv)
{
	int with_database = argc == 6 && strcmp(argv[3], "none") != 0;
	if (argc != 4 && argc != 6)
		die("usage", "limit SOCKET WORKERS none | limit SOCKET WORKERS async|durable DATABASE_URL TOKEN");
	int workers = atoi(argv[2]);
	FCGX_Init();
	unlink(argv[1]);
	int listener = FCGX_OpenSocket(argv[1], 128);
	if (listener < 0 || chmod(argv[1], 0666) != 0)
		die(argv[1], "cannot listen");
	char hash[65] = "";
	if (with_database)
		hash_token(hash, argv[5]);
	pid_t group[64];
	for (int i = 0; i < workers && i < 64; i++) {
		group[i] = fork();
		if (group[i] == 0) {
			serve(listener,
			      with_database ? connect_database(argv[4], strcmp(argv[3], "durable") == 0) : NULL, hash);
			_exit(0);
		}
	}
	struct sigaction action = {.sa_handler = stop};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (!stopped)
		pause();
	for (int i = 0; i < workers && i < 64; i++)
		kill(group[i], SIGTERM);
	while (wait(NULL) > 0)
		continue;
	unlink(argv[1]);
	return 0;
}
