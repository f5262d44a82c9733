/*
 * Many recorder nodes at the real agent's traffic: five calls every period, one after the other, each on a new TLS
 * connection (contract 08 A2, A4), while viewers stream meter-events. Each node has an address of its own in
 *127.0.0.0/8.
 *
 *	nodes [-n NODES] [-v VIEWERS] [-s SECONDS] [-p PERIOD] PORT TOKEN     the nodes; TOKEN is an administrator's
 *	nodes -x CONNECTIONS [-s SECONDS] PORT                                as many new connections for /index.html as
 *go
 *
 * One thread for the nodes, one for the viewers, both with epoll. Prints a line for each kind of call and one for all:
 * "NAME CALLS PER_SECOND FAILED MEDIAN_MS P99_MS MAX_MS", for the viewers "viewers VIEWERS EVENTS_PER_SECOND
 *MIB_PER_SECOND SILENT" (viewers that got nothing for more than three seconds). Exit status 1 if a call failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define STEPS 5
#define ANSWER_MAX 65536
#define CHUNK_BYTES 32044
#define SILENCE 3.0

static const char *const step_names[STEPS + 1] = {"heartbeat", "meter-frame", "listen-chunk",
                                                  "config",    "claim-next",  "all"};
static const int step_status[STEPS] = {202, 202, 202, 200, 204};

static int port, nodes = 1000, viewers = 50, closed_loop;
static double seconds = 15, period = 5;
static const char *admin_token;
static SSL_CTX *tls;
static char *chunk; /* one second of sound */
static volatile bool over;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "nodes: %s\n", what);
	exit(2);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static struct samples {
	float *ms;
	size_t count, room;
	long failed;
} samples[STEPS];

static void sample(int step, double ms, bool good)
{
	struct samples *s = &samples[step];
	if (s->count == s->room)
		s->ms = realloc(s->ms, (s->room = s->room * 2 + 4096) * sizeof(*s->ms));
	s->ms[s->count++] = (float)ms;
	s->failed += !good;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s, double spent)
{
	qsort(s->ms, s->count, sizeof(*s->ms), by_value);
	if (s->count > 0)
		printf("%-14s %7zu %8.1f/s %5ld failed %8.1f %8.1f %8.1f ms\n", name, s->count,
		       (double)s->count / spent, s->failed, (double)s->ms[s->count / 2],
		       (double)s->ms[s->count * 99 / 100], (double)s->ms[s->count - 1]);
}

/* ---- one connection ---------------------------------------------------------------------------------------------- */

struct link {
	int fd;
	SSL *ssl;
	bool up; /* the handshake is done */
	const char *out;
	size_t out_len, sent;
	char *in;
	size_t got;
};

static void link_close(struct link *l, int epoll)
{
	if (l->fd < 0)
		return;
	epoll_ctl(epoll, EPOLL_CTL_DEL, l->fd, NULL);
	SSL_free(l->ssl);
	close(l->fd);
	l->fd = -1;
}

static bool link_open(struct link *l, int epoll, void *owner, uint32_t source)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
	int yes = 1;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	l->up = false;
	l->sent = l->got = 0;
	if (l->fd < 0)
		return false;
	setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	l->ssl = SSL_new(tls);
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = owner};
	if (bind(l->fd, (struct sockaddr *)&from, sizeof(from)) == 0 && SSL_set_fd(l->ssl, l->fd) == 1 &&
	    (connect(l->fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS) &&
	    epoll_ctl(epoll, EPOLL_CTL_ADD, l->fd, &e) == 0) {
		SSL_set_connect_state(l->ssl);
		return true;
	}
	SSL_free(l->ssl);
	close(l->fd);
	l->fd = -1;
	return false;
}

static bool would_block(SSL *ssl, int rc)
{
	int error = SSL_get_error(ssl, rc);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Shakes hands and sends, as far as it goes; false when the connection is broken. */
static bool link_push(struct link *l)
{
	if (!l->up) {
		int rc = SSL_do_handshake(l->ssl);
		if (rc != 1)
			return would_block(l->ssl, rc);
		l->up = true;
	}
	while (l->sent < l->out_len) {
		int rc = SSL_write(l->ssl, l->out + l->sent, (int)(l->out_len - l->sent));
		if (rc <= 0)
			return would_block(l->ssl, rc);
		l->sent += (size_t)rc;
	}
	return true;
}

/* Status of the answer once all of it is there; 0 = not yet, -1 = it will never be. */
static int link_pull(struct link *l)
{
	for (;;) {
		int rc = SSL_read(l->ssl, l->in + l->got, (int)(ANSWER_MAX - 1 - l->got));
		if (rc <= 0 && would_block(l->ssl, rc))
			break;
		if (rc <= 0)
			return -1;
		l->got += (size_t)rc;
		if (l->got >= ANSWER_MAX - 1)
			return -1;
	}
	l->in[l->got] = '\0';
	char *end = strstr(l->in, "\r\n\r\n"), *length = strcasestr(l->in, "\r\ncontent-length:");
	if (end == NULL)
		return 0;
	size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
	return l->got >= (size_t)(end + 4 - l->in) + body ? atoi(l->in + 9) : 0;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

struct node {
	struct link link;
	char id[64], token[80];
	char *request;
	uint32_t address;
	int step;
	long ticks;
	double due, started;
	bool busy;
};

static struct node *all_nodes;

static void iso_now(char out[40])
{
	struct timespec t;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &utc);
	size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out + n, 40 - n, ".%09ldZ", t.tv_nsec);
}

static size_t put_request(struct node *n, const char *method, const char *rest, const char *lines, const char *body,
                          size_t len)
{
	int head = sprintf(
	    n->request,
	    "%s /api/v1/nodes/%s/%s HTTP/1.1\r\nauthorization: Bearer %s\r\n%saccept: */*\r\nhost: 127.0.0.1:%d\r\n",
	    method, n->id, rest, n->token, lines, port);
	head += body != NULL ? sprintf(n->request + head, "content-length: %zu\r\n\r\n", len)
	                     : sprintf(n->request + head, "\r\n");
	memcpy(n->request + head, body, body != NULL ? len : 0);
	return (size_t)head + (body != NULL ? len : 0);
}

#define JSON_LINE "content-type: application/json\r\n"
#define LEVEL(n, rms)                                                                                                  \
	"{\"channelIndex\":" n ",\"clipping\":false,\"label\":\"Input " n "\",\"peakDbfs\":-15.6,\"quality\":{"        \
	"\"broadbandNoiseScore\":0.16,\"crestFactorDb\":15.98,\"estimatedSnrDb\":19.9,\"humScore\":0.06,"              \
	"\"intelligibilityScore\":0.61,\"noiseScore\":0.22,\"speechLike\":true,\"speechScore\":0.78,\"staticScore\":"  \
	"0.07,"                                                                                                        \
	"\"zeroCrossingRate\":0.12},\"rmsDbfs\":" rms "}"

static size_t make_request(struct node *n)
{
	char body[2000], at[40], lines[200];
	int len;
	iso_now(at);
	switch (n->step) {
	case 0:
		len = sprintf(
		    body,
		    "{\"agentVersion\":\"0.1.0\",\"alias\":\"Local Recorder "
		    "Node\",\"hostname\":\"rack-7\",\"id\":\"%s\","
		    "\"interfaces\":[{\"alias\":\"Default Capture "
		    "Interface\",\"backend\":\"unknown\",\"channelCount\":2,"
		    "\"channels\":[{\"alias\":\"Input 1\",\"index\":1},{\"alias\":\"Input 2\",\"index\":2}],\"id\":"
		    "\"iface_default_capture\",\"sampleRates\":[48000],\"systemName\":\"pending\"}],\"ipAddresses\":["
		    "\"192.0.2.10\"],\"lastSeenAt\":\"%s\",\"location\":{\"room\":\"R\",\"site\":\"S\"},\"runtime\":{"
		    "\"architecture\":\"x86_64\",\"audioBackends\":[\"unknown\"],\"kernelRelease\":\"6.1.0\","
		    "\"osName\":"
		    "\"Debian GNU/Linux "
		    "12\",\"uptimeSeconds\":%ld},\"status\":\"online\",\"tags\":[\"recorder-agent\"]}",
		    n->id, at, n->ticks * 5);
		return put_request(n, "POST", "heartbeat", JSON_LINE, body, (size_t)len);
	case 1:
		len = sprintf(body,
		              "{\"capturedAt\":\"%s\",\"interfaceId\":\"iface_default_capture\",\"levels\":[" LEVEL(
		                  "1", "-31.6") "," LEVEL("2", "-33.1") "],\"nodeId\":\"%s\"}",
		              at, n->id);
		return put_request(n, "POST", "meter-frame", JSON_LINE, body, (size_t)len);
	case 2:
		sprintf(lines, "content-type: audio/wav\r\nx-rakkr-captured-at: %s\r\nx-rakkr-duration-ms: 1000\r\n",
		        at);
		return put_request(n, "POST", "listen/chunk", lines, chunk, CHUNK_BYTES);
	case 3:
		return put_request(n, "GET", "config", "", NULL, 0);
	default:
		sprintf(lines, "x-rakkr-agent-id: %s\r\n", n->id);
		return put_request(n, "POST", "recording-jobs/claim-next", lines, NULL, 0);
	}
}

static void call_end(struct node *n, int epoll, int status)
{
	if (status != step_status[n->step] && samples[n->step].failed < 3)
		fprintf(stderr, "%s: %d %.200s\n", step_names[n->step], status, n->link.got > 0 ? n->link.in : "");
	sample(n->step, (now() - n->started) * 1000, status == step_status[n->step]);
	link_close(&n->link, epoll);
	n->busy = false;
	if (++n->step < STEPS)
		return;
	n->step = 0;
	n->ticks++;
	n->due += period; /* missed ticks come back to back */
}

static void call_begin(struct node *n, int epoll)
{
	n->started = now();
	n->busy = true;
	n->link.out = n->request;
	n->link.out_len = make_request(n);
	if (!link_open(&n->link, epoll, n, n->address))
		call_end(n, epoll, -2);
}

static void call_go_on(struct node *n, int epoll)
{
	int status;
	if (n->link.fd < 0)
		return;
	if (!link_push(&n->link) || (n->link.up && (status = link_pull(&n->link)) < 0))
		call_end(n, epoll, -1);
	else if (n->link.up && status > 0)
		call_end(n, epoll, status);
}

static void run_nodes(void)
{
	struct epoll_event events[256];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	double begin = now(), end = begin + seconds;
	for (int i = 0; i < nodes; i++)
		all_nodes[i].due = begin + period * (double)random() / RAND_MAX;
	for (double t = begin; t < end; t = now()) {
		int n = epoll_wait(epoll, events, 256, 1);
		for (int i = 0; i < n; i++)
			call_go_on(events[i].data.ptr, epoll);
		for (int i = 0; i < nodes; i++)
			if (!all_nodes[i].busy && (all_nodes[i].step > 0 || all_nodes[i].due <= t))
				call_begin(&all_nodes[i], epoll);
	}
	/* what is under way counts too: an answer that never comes is a failed call */
	for (double limit = now() + 10; now() < limit;) {
		int n = epoll_wait(epoll, events, 256, 10), busy = 0;
		for (int i = 0; i < n; i++)
			call_go_on(events[i].data.ptr, epoll);
		for (int i = 0; i < nodes; i++)
			busy += all_nodes[i].busy;
		if (busy == 0)
			break;
	}
	for (int i = 0; i < nodes; i++)
		if (all_nodes[i].busy)
			call_end(&all_nodes[i], epoll, 0);
	close(epoll);
}

/* ---- viewers ----------------------------------------------------------------------------------------------------- */

struct viewer {
	struct link link;
	double last;
	bool silent, answered;
};

static long events_seen, bytes_seen;

static void view(struct viewer *v, int epoll)
{
	char *in = v->link.in;
	if (v->link.fd < 0)
		return;
	bool good = link_push(&v->link);
	for (int rc = 1; good && v->link.up && rc > 0;) {
		rc = SSL_read(v->link.ssl, in, ANSWER_MAX - 1);
		if (rc <= 0) {
			good = would_block(v->link.ssl, rc);
			break;
		}
		in[rc] = '\0';
		bytes_seen += rc;
		v->last = now();
		v->answered = v->answered || strncmp(in, "HTTP/1.1 200", 12) == 0;
		for (char *at = in; (at = strstr(at, "event: meter")) != NULL; at++)
			events_seen++; /* one that is split between two reads is not counted */
	}
	if (!good && !over) {
		v->silent = true;
		link_close(&v->link, epoll);
	}
}

static void *run_viewers(void *arg)
{
	struct viewer *v = arg;
	struct epoll_event events[64];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char request[600];
	int len = sprintf(request,
	                  "GET /api/v1/meter-events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n",
	                  port, admin_token);
	for (int i = 0; i < viewers; i++) {
		v[i].link.in = malloc(ANSWER_MAX);
		v[i].link.out = request;
		v[i].link.out_len = (size_t)len;
		v[i].last = now();
		v[i].silent = !link_open(&v[i].link, epoll, &v[i], INADDR_LOOPBACK);
		usleep(20000); /* people do not come at the same instant */
	}
	while (!over) {
		int n = epoll_wait(epoll, events, 64, 100);
		for (int i = 0; i < n; i++)
			view(events[i].data.ptr, epoll);
		for (int i = 0; i < viewers; i++)
			v[i].silent = v[i].silent || now() - v[i].last > SILENCE;
	}
	for (int i = 0; i < viewers; i++)
		link_close(&v[i].link, epoll);
	return NULL;
}

/* ---- enrollment -------------------------------------------------------------------------------------------------- */

static void text_after(const char *answer, const char *key, char *out, size_t size)
{
	const char *at = strstr(answer, key);
	snprintf(out, size, "%.*s", at != NULL ? (int)strcspn(at + strlen(key), "\"") : 0,
	         at != NULL ? at + strlen(key) : "");
}

/* One blocking connection for all of them. */
static void enroll_all(void)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	struct link l = {.fd = fd, .in = malloc(ANSWER_MAX), .ssl = SSL_new(tls)};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || SSL_set_fd(l.ssl, fd) != 1 ||
	    SSL_connect(l.ssl) != 1)
		die("cannot connect");
	for (int i = 0; i < nodes; i++) {
		char body[600], request[1200];
		int n = sprintf(
		    body,
		    "{\"alias\":\"Bench %d\",\"hostname\":\"bench\",\"location\":{\"site\":\"Bench\",\"room\":\"%d\"},"
		    "\"interfaces\":[{\"alias\":\"Desk\",\"backend\":\"alsa\",\"channelCount\":2,\"systemName\":\"d\"}]"
		    "}",
		    i, i);
		n = sprintf(
		    request,
		    "POST /api/v1/nodes/enroll HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n" JSON_LINE
		    "content-length: %d\r\n\r\n%s",
		    port, admin_token, n, body);
		if (SSL_write(l.ssl, request, n) != n)
			die("enrollment broke off");
		int status = 0;
		for (l.got = 0; status == 0;) {
			int rc = SSL_read(l.ssl, l.in + l.got, (int)(ANSWER_MAX - 1 - l.got));
			if (rc <= 0)
				die("enrollment broke off");
			l.in[l.got += (size_t)rc] = '\0';
			char *end = strstr(l.in, "\r\n\r\n"), *length = strcasestr(l.in, "content-length:");
			if (end != NULL && length != NULL &&
			    l.got >= (size_t)(end + 4 - l.in) + strtoul(length + 15, NULL, 10))
				status = atoi(l.in + 9);
		}
		if (status != 201)
			die("enrollment was refused");
		text_after(l.in, "\"nodeId\":\"", all_nodes[i].id, sizeof(all_nodes[i].id));
		text_after(l.in, "\"token\":\"", all_nodes[i].token, sizeof(all_nodes[i].token));
	}
	SSL_free(l.ssl);
	close(fd);
}

static void make_nodes(void)
{
	all_nodes = calloc((size_t)nodes, sizeof(*all_nodes));
	for (int i = 0; i < nodes; i++) {
		all_nodes[i].link.fd = -1;
		all_nodes[i].link.in = malloc(ANSWER_MAX);
		all_nodes[i].request = malloc(CHUNK_BYTES + 2048);
		all_nodes[i].address = (127u << 24) + (1u << 16) + (uint32_t)(i / 250) * 256 + (uint32_t)(i % 250) + 1;
	}
	chunk = calloc(1, CHUNK_BYTES);
	memcpy(chunk, "RIFF$}\0\0WAVEfmt \20\0\0\0\1\0\1\0\200>\0\0\0}\0\0\2\0\20\0data\0}\0\0", 44);
}

/* ---- nginx alone ------------------------------------------------------------------------------------------------- */

static int run_closed_loop(void)
{
	static const char request[] = "GET /index.html HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n";
	struct node *c = calloc((size_t)closed_loop, sizeof(*c));
	struct epoll_event events[256];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	double begin = now();
	for (int i = 0; i < closed_loop; i++)
		c[i].link =
		    (struct link){.fd = -1, .in = malloc(ANSWER_MAX), .out = request, .out_len = sizeof(request) - 1};
	for (double t = begin; t < begin + seconds; t = now()) {
		for (int i = 0; i < closed_loop; i++)
			if (c[i].link.fd < 0) {
				c[i].started = now();
				link_open(&c[i].link, epoll, &c[i],
				          (127u << 24) + (2u << 16) + (uint32_t)(random() % 60000) + 1);
			}
		int n = epoll_wait(epoll, events, 256, 10);
		for (int i = 0; i < n; i++) {
			struct node *at = events[i].data.ptr;
			int status = at->link.fd < 0 || !link_push(&at->link) ? -1
			             : at->link.up                            ? link_pull(&at->link)
			                                                      : 0;
			if (at->link.fd < 0 || status == 0)
				continue;
			sample(0, (now() - at->started) * 1000, status == 200);
			link_close(&at->link, epoll);
		}
	}
	print_samples("nginx alone", &samples[0], now() - begin);
	return samples[0].failed > 0;
}

static int print_all(const struct viewer *v, double spent)
{
	struct samples all = {0};
	int silent = 0;
	for (int i = 0; i < STEPS; i++) {
		print_samples(step_names[i], &samples[i], spent);
		all.ms = realloc(all.ms, (all.count + samples[i].count + 1) * sizeof(*all.ms));
		memcpy(all.ms + all.count, samples[i].ms, samples[i].count * sizeof(*all.ms));
		all.count += samples[i].count;
		all.failed += samples[i].failed;
	}
	print_samples(step_names[STEPS], &all, spent);
	for (int i = 0; i < viewers; i++)
		silent += v[i].silent || !v[i].answered;
	printf("viewers %d, %.0f events/s, %.1f MiB/s, %d silent\n", viewers, (double)events_seen / spent,
	       (double)bytes_seen / spent / 1048576, silent);
	return all.failed > 0 || silent > 0;
}

int main(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "n:v:s:p:x:")) != -1;) {
		if (option == 'n')
			nodes = atoi(optarg);
		else if (option == 'v')
			viewers = atoi(optarg);
		else if (option == 's')
			seconds = atof(optarg);
		else if (option == 'p')
			period = atof(optarg);
		else if (option == 'x')
			closed_loop = atoi(optarg);
		else
			die("unknown option");
	}
	if (argc - optind != (closed_loop > 0 ? 1 : 2) || nodes < 1 || nodes > 60000 || viewers < 0)
		die("usage: see the top of nodes.c");
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	port = atoi(argv[optind]);
	tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (closed_loop > 0)
		return run_closed_loop();
	admin_token = argv[optind + 1];
	make_nodes();
	enroll_all();
	struct viewer *v = calloc((size_t)viewers + 1, sizeof(*v));
	pthread_t thread;
	pthread_create(&thread, NULL, run_viewers, v);
	double begin = now();
	run_nodes();
	double spent = now() - begin;
	over = true;
	pthread_join(thread, NULL);
	return print_all(v, spent);
}
