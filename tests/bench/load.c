/*
 * Load over TLS with kept connections: one thread a connection, each sends the same request again as soon as it has the
 * whole answer.
 *
 *	load [-c CONNECTIONS] [-s SECONDS | -n REQUESTS] [-m METHOD] [-H "Name: value"]... [-b BODY] [-e STATUS] URL
 *	load -f FILE [-c ...] [-s ...] [-m METHOD] URL
 *	load -w SECONDS URL -- COMMAND...
 *
 * Prints "REQUESTS_PER_SECOND MEDIAN_MS P99_MS REQUESTS FAILED". -e: the status that counts as good (default 200).
 * With -f each connection takes a line of its own of FILE, "TOKEN<tab>PATH<tab>BODY", in turn: many nodes at once.
 * With -w it starts COMMAND and prints the milliseconds from its exec to the first answer with status 200, then ends
 *it.
 */
#include <netdb.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 2000000

static const char *host = "127.0.0.1", *port = "443", *path = "/", *method = "GET", *body = "", *headers = "";
static int connections = 24, good_status = 200;
static double seconds = 5;
static long requests; /* 0: until the time is over */

static double deadline;
static long started, finished, failed;
static struct {
	char *token, *path, *body;
} lines[1024];
static size_t line_count, next_line;
static float *samples; /* ms */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static SSL *dial(SSL_CTX *tls)
{
	struct addrinfo *address = NULL, hints = {.ai_socktype = SOCK_STREAM};
	if (getaddrinfo(host, port, &hints, &address) != 0)
		return NULL;
	int fd = socket(address->ai_family, SOCK_STREAM, 0);
	bool ok = connect(fd, address->ai_addr, address->ai_addrlen) == 0;
	freeaddrinfo(address);
	SSL *ssl = ok ? SSL_new(tls) : NULL;
	if (ssl == NULL) {
		close(fd);
		return NULL;
	}
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	close(fd);
	return NULL;
}

static void hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);
	SSL_free(ssl);
	close(fd);
}

/* Length of the whole answer in the first n bytes of b, 0 if it is not there yet. */
static size_t answer_length(const char *b, size_t n)
{
	const char *end = memmem(b, n, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	size_t head = (size_t)(end - b) + 4;
	for (const char *line = b; line < end; line = memchr(line, '\n', (size_t)(end + 4 - line)) + 1) {
		if (strncasecmp(line, "content-length:", 15) == 0) {
			size_t whole = head + strtoul(line + 15, NULL, 10);
			return n >= whole ? whole : 0;
		}
		if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
			return n >= head + 5 && memcmp(b + n - 5, "0\r\n\r\n", 5) == 0 ? n : 0;
	}
	return head;
}

/* One request; the status, or 0 if the connection broke. */
static int exchange(SSL *ssl, const char *request, size_t length, char **buffer, size_t *size)
{
	size_t n = 0;
	if (SSL_write(ssl, request, (int)length) <= 0)
		return 0;
	for (;;) {
		if (*size - n < 65536)
			*buffer = realloc(*buffer, *size *= 2);
		int got = SSL_read(ssl, *buffer + n, (int)(*size - n - 1));
		if (got <= 0)
			return 0;
		n += (size_t)got;
		(*buffer)[n] = '\0';
		if (answer_length(*buffer, n) > 0)
			return atoi(*buffer + 9);
	}
}

/* The request of one connection; its length. */
static int make_request(char **request)
{
	const char *own_path = path, *own_body = body, *token = NULL;
	char length_line[96] = "";
	if (line_count > 0) {
		size_t i = __atomic_fetch_add(&next_line, 1, __ATOMIC_RELAXED) % line_count;
		token = lines[i].token;
		own_path = lines[i].path;
		own_body = lines[i].body;
	}
	if (*own_body != '\0')
		snprintf(length_line, sizeof(length_line), "Content-Type: application/json\r\nContent-Length: %zu\r\n",
		         strlen(own_body));
	return asprintf(request, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n%s%s%s%s%s\r\n%s", method, own_path, host, port,
	                token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
	                token != NULL ? "\r\n" : "", headers, length_line, own_body);
}

static void *connection(void *arg)
{
	SSL_CTX *tls = arg;
	char *request = NULL, *buffer = malloc(131072);
	size_t size = 131072;
	int length = make_request(&request);
	SSL *ssl = dial(tls);
	while (now() < deadline) {
		if (requests > 0 && __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED) >= requests)
			break;
		double start = now();
		int status = ssl != NULL ? exchange(ssl, request, (size_t)length, &buffer, &size) : 0;
		long index = __atomic_fetch_add(&finished, 1, __ATOMIC_RELAXED);
		if (index < MAX_SAMPLES)
			samples[index] = (float)((now() - start) * 1000);
		if (status != good_status)
			__atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
		if (status != 0 && strcasestr(buffer, "\r\nconnection: close") == NULL)
			continue;
		if (ssl != NULL)
			hang_up(ssl);
		ssl = dial(tls);
	}
	if (ssl != NULL)
		hang_up(ssl);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void run_load(SSL_CTX *tls)
{
	pthread_t threads[1024];
	samples = calloc(MAX_SAMPLES, sizeof(*samples));
	double start = now();
	deadline = start + (requests > 0 ? 3600 : seconds);
	for (int i = 0; i < connections; i++)
		pthread_create(&threads[i], NULL, connection, tls);
	for (int i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	double spent = now() - start;
	size_t n = (size_t)(finished < MAX_SAMPLES ? finished : MAX_SAMPLES);
	qsort(samples, n, sizeof(*samples), by_value);
	printf("%.0f %.3f %.3f %ld %ld\n", (double)finished / spent, n > 0 ? (double)samples[n / 2] : 0,
	       n > 0 ? (double)samples[n * 99 / 100] : 0, finished, failed);
}

static void run_first_answer(SSL_CTX *tls, char **command)
{
	char *buffer = malloc(131072), *request = NULL;
	size_t size = 131072;
	int length = asprintf(&request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers);
	double start = now();
	pid_t child = fork();
	if (child == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	int status = 0;
	while (status != 200 && now() - start < seconds) {
		SSL *ssl = dial(tls);
		status = ssl != NULL ? exchange(ssl, request, (size_t)length, &buffer, &size) : 0;
		if (ssl != NULL)
			hang_up(ssl);
		if (status != 200)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	double spent = now() - start;
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	if (status != 200)
		die("no answer");
	printf("%.1f\n", spent * 1000);
}

static void read_lines(const char *file)
{
	FILE *in = fopen(file, "r");
	char *line = NULL;
	size_t size = 0;
	if (in == NULL)
		die("cannot read the file of -f");
	while (line_count < sizeof(lines) / sizeof(lines[0]) && getline(&line, &size, in) > 0) {
		char *rest = line;
		line[strcspn(line, "\n")] = '\0';
		lines[line_count].token = strdup(strsep(&rest, "\t"));
		lines[line_count].path = strdup(rest != NULL ? strsep(&rest, "\t") : "/");
		lines[line_count++].body = strdup(rest != NULL ? rest : "");
	}
	free(line);
	fclose(in);
}

static void parse_url(char *url)
{
	if (strncmp(url, "https://", 8) != 0)
		die("the URL must begin with https://");
	url += 8;
	char *slash = strchr(url, '/');
	if (slash != NULL) {
		path = strdup(slash);
		*slash = '\0';
	}
	char *colon = strrchr(url, ':');
	if (colon != NULL) {
		*colon = '\0';
		port = colon + 1;
	}
	host = url;
}

int main(int argc, char **argv)
{
	bool first = false;
	for (int option; (option = getopt(argc, argv, "c:s:n:m:H:b:e:w:f:")) != -1;) {
		if (option == 'c')
			connections = atoi(optarg);
		else if (option == 's' || option == 'w')
			seconds = atof(optarg), first |= option == 'w';
		else if (option == 'n')
			requests = atol(optarg);
		else if (option == 'm')
			method = optarg;
		else if (option == 'b')
			body = optarg;
		else if (option == 'f')
			read_lines(optarg);
		else if (option == 'e')
			good_status = atoi(optarg);
		else if (option != 'H')
			die("unknown option");
		else if (asprintf((char **)&headers, "%s%s\r\n", headers, optarg) < 0)
			die("no memory");
	}
	if (optind >= argc || connections < 1 || connections > 1024)
		die("usage: see the top of load.c");
	parse_url(argv[optind]);
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	if (first)
		run_first_answer(tls, argv + optind + 1);
	else
		run_load(tls);
	return 0;
}
