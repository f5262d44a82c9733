/* The provider that lies on demand, and the instance that trusts it. */
#include "http/oidc_provider.h"

#include <arpa/inet.h>
#include <cjose/cjose.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CODES_MAX 256
#define HUGE (300 * 1024)

static struct {
	pthread_mutex_t lock;
	char *issuer, *form;
	struct says says[ENDPOINTS];
	int asked[ENDPOINTS];
	struct {
		char *code, *token;
		struct says says;
	} codes[CODES_MAX];
	int code_count;
	cjose_jwk_t *keys[4];
	bool rotated;
} provider = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
	nanosleep(&t, NULL);
}

/* ---- keys and tokens --------------------------------------------------------------------------------------------- */

static void make_keys(void)
{
	static const uint8_t exponent[] = {1, 0, 1};
	static const char *const names[] = {"rsa-1", "ec-1", "rsa-1", "rsa-2"};
	for (int i = 0; i < 4; i++) {
		cjose_err err;
		provider.keys[i] = i == KEY_EC ? cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &err)
		                               : cjose_jwk_create_RSA_random(2048, exponent, sizeof(exponent), &err);
		cr_assert_not_null(provider.keys[i]);
		cr_assert(cjose_jwk_set_kid(provider.keys[i], names[i], strlen(names[i]), &err));
	}
}

static char *public_key(enum key k)
{
	cjose_err err;
	return cjose_jwk_to_json(provider.keys[k], false, &err);
}

static char *base64url(const void *data, size_t n)
{
	char *out = NULL;
	size_t len;
	cjose_err err;
	cr_assert(cjose_base64url_encode(data, n, &out, &len, &err));
	return fmt("%.*s", (int)len, out);
}

const char *token_sign(enum key k, const char *alg, const char *header, json_object *claims)
{
	cjose_err err;
	cjose_header_t *h = cjose_header_new(&err);
	json_object *more = header == NULL ? NULL : json_tokener_parse(header);
	cr_assert(cjose_header_set(h, "alg", alg, &err));
	cr_assert(cjose_header_set(h, "kid", cjose_jwk_get_kid(provider.keys[k], &err), &err));
	if (more != NULL) {
		json_object_object_foreach(more, key, value)
		{
			if (json_object_is_type(value, json_type_string))
				cr_assert(cjose_header_set(h, key, json_object_get_string(value), &err));
			else
				cr_assert(cjose_header_set_raw(h, key, json_object_to_json_string(value), &err));
		}
	}
	const char *payload = json_object_to_json_string(claims), *text = NULL;
	cjose_jws_t *jws = cjose_jws_sign(provider.keys[k], h, (const uint8_t *)payload, strlen(payload), &err);
	cr_assert_not_null(jws, "%s", alg);
	cr_assert(cjose_jws_export(jws, &text, &err));
	return text;
}

static char *unsigned_token(const char *header, json_object *claims)
{
	const char *payload = json_object_to_json_string(claims);
	return fmt("%s.%s", base64url(header, strlen(header)), base64url(payload, strlen(payload)));
}

const char *token_none(json_object *claims)
{
	return fmt("%s.", unsigned_token("{\"alg\":\"none\"}", claims));
}

const char *token_hmac(json_object *claims)
{
	char *text = unsigned_token("{\"alg\":\"HS256\",\"kid\":\"rsa-1\"}", claims), *secret = public_key(KEY_RSA);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)text, strlen(text), mac, &n);
	return fmt("%s.%s", text, base64url(mac, n));
}

void provider_rotate(void)
{
	pthread_mutex_lock(&provider.lock);
	provider.rotated = true;
	pthread_mutex_unlock(&provider.lock);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static char *truth(enum endpoint e)
{
	if (e == KEYS)
		return fmt("{\"keys\":[%s,%s]}", public_key(provider.rotated ? KEY_NEXT : KEY_RSA), public_key(KEY_EC));
	if (e == TOKEN)
		return fmt("{\"error\":\"invalid_grant\"}");
	return fmt(
	    "{\"issuer\":\"%s\",\"authorization_endpoint\":\"%s/authorize?realm=x\",\"token_endpoint\":\"%s/token\","
	    "\"jwks_uri\":\"%s/keys\",\"id_token_signing_alg_values_supported\":[\"RS256\",\"RS512\",\"ES256\","
	    "\"HS256\",\"none\"]}",
	    provider.issuer, provider.issuer, provider.issuer, provider.issuer);
}

/* The answer to a token request: what was agreed on for its code. */
static struct says token_answer(const char *form)
{
	const char *code = strstr(form, "&code=");
	for (int i = 0; code != NULL && i < provider.code_count; i++) {
		size_t n = strlen(provider.codes[i].code);
		if (strncmp(code + 6, provider.codes[i].code, n) != 0 || code[6 + n] != '&')
			continue;
		struct says s = provider.codes[i].says;
		if (s.body == NULL)
			s.body = fmt("{\"access_token\":\"at\",\"token_type\":\"Bearer\",\"expires_in\":300,\"id_"
			             "token\":\"%s\"}",
			             provider.codes[i].token);
		return s;
	}
	return (struct says){.status = 400};
}

static struct says answer_of(enum endpoint e, const char *form)
{
	pthread_mutex_lock(&provider.lock);
	provider.asked[e]++;
	struct says s = provider.says[e];
	if (e == TOKEN) {
		provider.form = strdup(form);
		if (s.body == NULL && s.status == 0)
			s = token_answer(form);
	}
	if (s.body == NULL)
		s.body = truth(e);
	pthread_mutex_unlock(&provider.lock);
	return s;
}

static void transmit(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		data += sent;
		n -= (size_t)sent;
	}
}

static void answer(int fd, const struct says *s)
{
	size_t n = strlen(s->body);
	char *head = fmt(
	    "HTTP/1.1 %d Whatever\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s%s%s\r\n",
	    s->status == 0 ? 200 : s->status, s->type == NULL ? "application/json" : s->type, n + (s->huge ? HUGE : 0),
	    s->location == NULL ? "" : "Location: ", s->location == NULL ? "" : s->location,
	    s->location == NULL ? "" : "\r\n");
	transmit(fd, head, strlen(head));
	if (s->huge) {
		char *blanks = fmt("%*s", HUGE, "");
		transmit(fd, blanks, HUGE);
	}
	for (size_t i = 0; s->drips && i < n; i++) {
		transmit(fd, s->body + i, 1);
		pause_ms(200);
	}
	if (!s->drips)
		transmit(fd, s->body, n);
}

static const char *body_of(int fd, char *request, size_t size)
{
	size_t n = 0;
	request[0] = '\0';
	for (;;) {
		char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
		if (end != NULL && (length == NULL || strlen(end + 4) >= strtoul(length + 15, NULL, 10)))
			return end + 4;
		ssize_t got = n + 1 < size ? recv(fd, request + n, size - n - 1, 0) : 0;
		if (got <= 0)
			return NULL;
		n += (size_t)got;
		request[n] = '\0';
	}
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[65536];
	const char *body = body_of(fd, request, sizeof(request));
	struct says s = {.status = 404, .body = "{}"};
	if (body != NULL && strstr(request, "/.well-known/openid-configuration "))
		s = answer_of(DISCOVERY, "");
	else if (body != NULL && strncmp(request, "GET /moved ", 11) == 0)
		s = (struct says){.body = truth(DISCOVERY)};
	else if (body != NULL && strncmp(request, "GET /keys ", 10) == 0)
		s = answer_of(KEYS, "");
	else if (body != NULL && strncmp(request, "POST /token ", 12) == 0)
		s = answer_of(TOKEN, body);
	answer(fd, &s);
	shutdown(fd, SHUT_WR);
	while (recv(fd, request, sizeof(request), 0) > 0)
		;
	close(fd);
	return NULL;
}

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg;
	for (;;) {
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0 && pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

void provider_start(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	pthread_t thread;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(listener, (struct sockaddr *)&a, n) == 0 && listen(listener, 64) == 0);
	getsockname(listener, (struct sockaddr *)&a, &n);
	provider.issuer = fmt("http://127.0.0.1:%d", ntohs(a.sin_port));
	make_keys();
	cr_assert(pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener) == 0);
}

const char *provider_issuer(void)
{
	return provider.issuer;
}

void provider_says(enum endpoint e, struct says s)
{
	pthread_mutex_lock(&provider.lock);
	provider.says[e] = s;
	pthread_mutex_unlock(&provider.lock);
}

int provider_asked(enum endpoint e)
{
	pthread_mutex_lock(&provider.lock);
	int n = provider.asked[e];
	pthread_mutex_unlock(&provider.lock);
	return n;
}

const char *provider_form(void)
{
	return provider.form;
}

void provider_code(const char *code, const char *token, struct says s)
{
	pthread_mutex_lock(&provider.lock);
	cr_assert_lt(provider.code_count, CODES_MAX);
	provider.codes[provider.code_count].code = strdup(code);
	provider.codes[provider.code_count].token = strdup(token == NULL ? "" : token);
	provider.codes[provider.code_count++].says = s;
	pthread_mutex_unlock(&provider.lock);
}

/* ---- the instance ------------------------------------------------------------------------------------------------ */

static struct {
	char *dir, *database, *common_url;
	pid_t pid;
} instance;

static void on_common_database(const char *statement)
{
	PGconn *db = PQconnectdb(instance.common_url);
	PGresult *r = PQexec(db, statement);
	cr_assert_eq(PQresultStatus(r), PGRES_COMMAND_OK, "%s", PQerrorMessage(db));
	PQclear(r);
	PQfinish(db);
}

/* A database beside the common one, whose name stands between the slashes and the question mark. */
static void make_database(void)
{
	instance.common_url = strdup(getenv("RAKKR_TEST_DATABASE_URL"));
	char *mark = strchr(instance.common_url, '?'), *slash = mark;
	cr_assert_not_null(mark);
	while (slash > instance.common_url && *slash != '/')
		slash--;
	instance.database = fmt("oidc_%d", (int)getpid());
	on_common_database(fmt("CREATE DATABASE %s TEMPLATE template0", instance.database));
	setenv("RAKKR_TEST_DATABASE_URL",
	       fmt("%.*s/%s%s", (int)(slash - instance.common_url), instance.common_url, instance.database, mark), 1);
}

static void run_command(const char *const *argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(126);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %s", argv[0], argv[1]);
}

static void add_accounts(const struct account *accounts)
{
	json_object *users = json_object_new_array();
	if (on_postgres()) {
		setenv("DATABASE_URL", getenv("RAKKR_TEST_DATABASE_URL"), 1);
		run_command((const char *const[]){getenv("RAKKR_TEST_PROGRAM"), "migrate", NULL});
		unsetenv("DATABASE_URL");
	}
	for (int i = 0; accounts != NULL && accounts[i].email != NULL; i++) {
		const struct account *a = &accounts[i];
		const char *id = a->id != NULL ? a->id : fmt("00000000-0000-4000-8000-0000000001%02d", i);

		if (on_postgres()) {
			sql("insert into users (id, email, name, provider, password_hash) values ('%s', '%s', '%s', "
			    "'%s',"
			    " nullif('%s', '')) returning id",
			    id, a->email, a->name, a->provider, a->hash != NULL ? a->hash : "");
			continue;
		}
		json_object_array_add(
		    users, json_tokener_parse(fmt(
		               "{\"id\":\"%s\",\"email\":\"%s\",\"name\":\"%s\",\"provider\":\"%s\"%s}", id, a->email,
		               a->name, a->provider, a->hash != NULL ? fmt(",\"passwordHash\":\"%s\"", a->hash) : "")));
	}
	if (!on_postgres()) {
		run_command((const char *const[]){"/bin/mkdir", "-p", fmt("%s/data", instance.dir), NULL});
		FILE *f = fopen(fmt("%s/data/users.json", instance.dir), "w");
		cr_assert_not_null(f);
		fprintf(f, "{\"users\":%s}\n", json_object_to_json_string(users));
		fclose(f);
	}
}

static void set_environment(const char *const *env, const char *url)
{
	setenv("RAKKR_OIDC_ENABLED", "yes", 1);
	setenv("RAKKR_OIDC_ISSUER", provider.issuer, 1);
	setenv("RAKKR_OIDC_CLIENT_ID", "rakkr-test", 1);
	setenv("RAKKR_OIDC_CLIENT_SECRET", "a secret & more", 1);
	setenv("RAKKR_OIDC_REDIRECT_URI", fmt("%s/api/v1/auth/oidc/callback", url), 1);
	setenv("RAKKR_OIDC_ALLOW_INSECURE", "1", 1);
	setenv("RAKKR_WEB_ORIGIN", "https://console.example.org", 1);
	setenv("RAKKR_LOCAL_ADMIN_PASSWORD", getenv("RAKKR_TEST_ADMIN_PASSWORD"), 1);
	for (; env != NULL && *env != NULL; env++) {
		const char *mark = strstr(*env, "@URL@") != NULL ? strstr(*env, "@URL@") : strstr(*env, "@DIR@");
		if (mark == NULL)
			putenv(strdup(*env));
		else
			putenv(fmt("%.*s%s%s", (int)(mark - *env), *env,
			           strncmp(mark, "@URL@", 5) == 0 ? url : instance.dir, mark + 5));
	}
}

/* Ends with this process, whatever becomes of it. */
static pid_t spawn(const char *port, int out)
{
	const char *root = getenv("srcdir") == NULL ? "." : getenv("srcdir");
	const char *argv[] = {fmt("%s/bootstrap", root),
	                      "run",
	                      "--program",
	                      getenv("RAKKR_TEST_PROGRAM"),
	                      "--dir",
	                      instance.dir,
	                      "--https-port",
	                      port,
	                      on_postgres() ? "--database-url" : NULL,
	                      getenv("RAKKR_TEST_DATABASE_URL"),
	                      NULL};
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(out, 1);
		dup2(out, 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

/* True once it says "ready". */
static bool wait_ready(int in)
{
	static char said[16384];
	size_t n = 0;
	ssize_t got;
	while ((got = read(in, said + n, sizeof(said) - n - 1)) > 0) {
		n += (size_t)got;
		said[n] = '\0';
		if (strstr(said, "ready https://") != NULL)
			return true;
	}
	fprintf(stderr, "%s\n", said);
	return false;
}

void instance_start(const struct account *accounts, const char *const *env)
{
	char dir[] = "/tmp/rakkr-oidc-XXXXXX";
	int pipes[2], port = 30000 + (int)(getpid() % 2000);
	provider_start();
	cr_assert_not_null(mkdtemp(dir));
	instance.dir = strdup(dir);
	chmod(dir, 0711);
	if (on_postgres())
		make_database();
	add_accounts(accounts);
	for (int tries = 0; tries < 5; tries++, port += 2000) {
		char *url = fmt("https://127.0.0.1:%d", port);
		set_environment(env, url);
		setenv("RAKKR_TEST_URL", url, 1);
		setenv("RAKKR_TEST_DIR", instance.dir, 1);
		cr_assert(pipe(pipes) == 0);
		instance.pid = spawn(fmt("%d", port), pipes[1]);
		close(pipes[1]);
		bool ready = wait_ready(pipes[0]);
		if (ready)
			return;
		close(pipes[0]);
		waitpid(instance.pid, NULL, 0);
	}
	cr_assert_fail("the instance does not start");
}

void instance_stop(void)
{
	if (instance.pid > 0) {
		kill(instance.pid, SIGTERM);
		waitpid(instance.pid, NULL, 0);
	}
	if (instance.database != NULL)
		on_common_database(fmt("DROP DATABASE %s WITH (FORCE)", instance.database));
	if (instance.dir != NULL)
		run_command((const char *const[]){"/bin/rm", "-rf", instance.dir, NULL});
}
