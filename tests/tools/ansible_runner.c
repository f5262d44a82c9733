/*
 * A runner of lifecycle actions that carries nothing out: it answers as the stock runner does, or badly in a way that
 *the request asks for (contract 02 9.5). HTTP/1.0, strictly by Content-Length.
 *
 *	ansible_runner PORT FOLDER
 *
 * The request, byte for byte, is kept as FOLDER/<nodeId> before it is answered. options.sshUser of the request says how
 * the answer is to be ("exit-4", "status-500", "slow", ...: see answers[]); anything else is answered with success.
 */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX (256 * 1024)
#define SLOW_SECONDS 20

static const char *folder;

struct answer {
	const char *name;
	int status;
	const char *body;
	enum { WHOLE, SLOW, SLOW_BODY, CUT_BODY, RESET, LONG_OUTPUT } manner;
};

#define DATA(exit_code)                                                                                                \
	"{\"data\":{" exit_code "\"runId\":\"ansible_77a0\",\"stderr\":\"warned\",\"stdout\":\"PLAY RECAP\","          \
	"\"targetHost\":\"10.9.9.9\"}}"

static const struct answer answers[] = {
    {"exit-4", 200, DATA("\"exitCode\":4,"), WHOLE},
    {"no-exit-code", 200, DATA(""), WHOLE},
    {"exit-text", 200, DATA("\"exitCode\":\"0\","), WHOLE},
    {"status-400", 400, "{\"error\":\"ssh_key_file_not_found\"}", WHOLE},
    {"status-500", 500, "no JSON", WHOLE},
    {"status-404", 404, "{\"error\":\"not_found\"}", WHOLE},
    {"status-302", 302, "", WHOLE},
    {"no-data", 200, "{\"data\":null}", WHOLE},
    {"empty", 200, "", WHOLE},
    {"odd-data", 200, "{\"data\":\"done\"}", WHOLE},
    {"error-with-200", 200, "{\"error\":\"unsupported_lifecycle_action\"}", WHOLE},
    {"slow", 200, DATA("\"exitCode\":0,"), SLOW},
    {"slow-body", 200, DATA("\"exitCode\":0,"), SLOW_BODY},
    {"cut-body", 200, DATA("\"exitCode\":0,"), CUT_BODY},
    {"reset", 200, "", RESET},
    {"long-output", 200, "", LONG_OUTPUT},
};
static const struct answer success = {"", 200, DATA("\"exitCode\":0,"), WHOLE};

static const struct answer *answer_for(const char *name)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(answers[i].name, name) == 0)
			return &answers[i];
	return &success;
}

/* The whole request; 0 if it breaks off or is none that the stock runner would understand. */
static size_t read_request(int fd, char *request, const char **body)
{
	size_t n = 0;
	while (n < REQUEST_MAX) {
		ssize_t got = recv(fd, request + n, REQUEST_MAX - n, 0);
		if (got <= 0)
			return 0;
		n += (size_t)got;
		request[n] = '\0';
		char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\ncontent-length:");
		if (end == NULL)
			continue;
		*body = end + 4;
		if (length == NULL || length > end || n >= (size_t)(end + 4 - request) + strtoul(length + 17, NULL, 10))
			return n;
	}
	return 0;
}

static const char *text_at(json_object *o, const char *first, const char *second)
{
	json_object *v = NULL;
	if (!json_object_object_get_ex(o, first, &v) || !json_object_object_get_ex(v, second, &v))
		return "";
	return json_object_get_string(v);
}

/* Written under another name first, so that who waits for the file sees all of it. */
static void keep(const char *node_id, const char *request, size_t n)
{
	char path[600], whole[600];
	if (*node_id == '\0' || strchr(node_id, '/') != NULL)
		return;
	snprintf(path, sizeof(path), "%s/.%s.%lx", folder, node_id, (unsigned long)pthread_self());
	snprintf(whole, sizeof(whole), "%s/%s", folder, node_id);
	FILE *f = fopen(path, "w");
	if (f == NULL)
		return;
	fwrite(request, 1, n, f);
	fclose(f);
	rename(path, whole);
}

static void send_text(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

/* 200 KiB of output that ends with a character of several bytes at every place. */
static char *long_output(void)
{
	size_t n = 200 * 1024;
	char *body = malloc(2 * n + 400), *at = body;
	at = stpcpy(at, "{\"data\":{\"exitCode\":0,\"runId\":\"ansible_long\",\"stdout\":\"");
	for (size_t i = 0; i < n / 2; i++)
		at = stpcpy(at, "\303\274");
	at = stpcpy(at, "END\",\"stderr\":\"");
	for (size_t i = 0; i < n; i++)
		*at++ = 'e';
	strcpy(at, "\"}}");
	return body;
}

static void send_answer(int fd, const struct answer *a)
{
	char head[200];
	char *body = a->manner == LONG_OUTPUT ? long_output() : strdup(a->body);
	int n = snprintf(head, sizeof(head),
	                 "HTTP/1.0 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n", a->status,
	                 strlen(body), a->status == 302 ? "Location: /elsewhere\r\n" : "");
	if (a->manner == RESET) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	} else {
		if (a->manner == SLOW)
			sleep(SLOW_SECONDS);
		send_text(fd, head, (size_t)n);
		if (a->manner == SLOW_BODY)
			sleep(SLOW_SECONDS);
		send_text(fd, body, a->manner == CUT_BODY ? strlen(body) / 2 : strlen(body));
	}
	free(body);
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	char *request = malloc(REQUEST_MAX + 1);
	const char *body = "";
	size_t n = read_request(fd, request, &body);
	static const struct answer refused = {"", 404, "{\"error\":\"not_found\"}", WHOLE};
	if (n > 0) {
		json_object *o = json_tokener_parse(body);
		const struct answer *a = answer_for(text_at(o, "options", "sshUser"));
		keep(text_at(o, "target", "nodeId"), request, n);
		send_answer(fd, strncmp(request, "POST /runs HTTP/", 16) == 0 ? a : &refused);
		json_object_put(o);
	}
	close(fd);
	free(request);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: ansible_runner PORT FOLDER\n", stderr);
		return 2;
	}
	folder = argv[2];
	signal(SIGPIPE, SIG_IGN);
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)atoi(argv[1])),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 64) != 0) {
		perror("ansible_runner");
		return 1;
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;
		if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0)
			pthread_detach(thread);
	}
}
