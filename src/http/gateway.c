#include "http/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/dispatch.h"
#include "http/router.h"
#include "http/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct gateway_stream {
	struct request *r;
	struct buf out;
};

/* "x-rakkr-reason" -> HTTP_X_RAKKR_REASON; the two that CGI names otherwise have no prefix. */
static const char *gateway_header(struct request *r, const char *name)
{
	FCGX_Request *fcgi = r->gateway;
	bool bare = strcmp(name, "content-type") == 0 || strcmp(name, "content-length") == 0;
	char variable[128];
	size_t n = 0;
	const char *value;

	if (!bare) {
		memcpy(variable, "HTTP_", 5);
		n = 5;
	}
	for (; *name != '\0' && n + 1 < sizeof(variable); name++)
		variable[n++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
	variable[n] = '\0';
	value = FCGX_GetParam(variable, fcgi->envp);
	return bare && value != NULL && value[0] == '\0' ? NULL : value;
}

static long gateway_read(struct request *r, void *buf, size_t n)
{
	FCGX_Request *fcgi = r->gateway;
	int got;

	if (n > INT32_MAX)
		n = INT32_MAX;
	got = FCGX_GetStr(buf, (int)n, fcgi->in);
	if (got == 0 && FCGX_GetError(fcgi->in) != 0)
		return -1;
	return got;
}

static int64_t body_length(FCGX_Request *fcgi)
{
	const char *text = FCGX_GetParam("CONTENT_LENGTH", fcgi->envp);
	char *end;
	long long n;

	if (text == NULL || text[0] == '\0')
		return -1;
	n = strtoll(text, &end, 10);
	return *end == '\0' && n >= 0 ? n : -1;
}

static const char *param(FCGX_Request *fcgi, const char *name, const char *fallback)
{
	const char *value = FCGX_GetParam(name, fcgi->envp);

	return value != NULL && value[0] != '\0' ? value : fallback;
}

/* The path comes from the raw request target, not from the front's normalised form (01 2.1). */
static struct request *new_request(struct app *app, FCGX_Request *fcgi)
{
	void *mem = talloc_named_const(NULL, 0, "request");
	struct request *r;
	const char *target = param(fcgi, "REQUEST_URI", "/");
	const char *authority = strstr(target, "://"); /* absolute form: "GET https://host/path" */
	size_t path_len;

	if (mem == NULL)
		mem_exhausted();
	r = mem_new(mem, struct request);
	r->mem = mem;
	r->app = app;
	r->config = app->config;
	r->store = app->store;
	r->live = app->live;
	r->now_ms = clock_now_ms();
	r->method = param(fcgi, "REQUEST_METHOD", "GET");
	if (target[0] != '/' && authority != NULL)
		target = strchr(authority + 3, '/') != NULL ? strchr(authority + 3, '/') : "/";
	path_len = strcspn(target, "?#");
	r->path = uri_decode(mem, target, path_len, true);
	r->raw_query = target[path_len] == '?' ? target + path_len + 1 : "";
	r->query = uri_query(mem, r->raw_query);
	r->content_length = body_length(fcgi);
	r->header = gateway_header;
	r->read = gateway_read;
	r->gateway = fcgi;
	return r;
}

static const char *reason_phrase(int code)
{
	static const struct {
		int code;
		const char *text;
	} known[] = {{200, "OK"},
	             {201, "Created"},
	             {202, "Accepted"},
	             {204, "No Content"},
	             {302, "Found"},
	             {400, "Bad Request"},
	             {401, "Unauthorized"},
	             {403, "Forbidden"},
	             {404, "Not Found"},
	             {409, "Conflict"},
	             {413, "Payload Too Large"},
	             {429, "Too Many Requests"},
	             {500, "Internal Server Error"},
	             {502, "Bad Gateway"},
	             {503, "Service Unavailable"},
	             {507, "Insufficient Storage"}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].code == code)
			return known[i].text;
	return "Status";
}

static void write_head(struct request *r, struct buf *b)
{
	const struct reply *p = &r->reply;

	buf_printf(b, "Status: %d %s\r\n", p->status, reason_phrase(p->status));
	if (p->content_type != NULL)
		buf_printf(b, "Content-Type: %s\r\n", p->content_type);
	for (size_t i = 0; i < p->header_count; i++)
		buf_printf(b, "%s: %s\r\n", p->headers[i].name, p->headers[i].value);
	if (p->kind == REPLY_FILE)
		buf_printf(b, "X-Accel-Redirect: %s\r\n", p->accel_path);
	else if (p->kind == REPLY_STREAM)
		buf_puts(b, "X-Accel-Buffering: no\r\n");
	else if (p->status != 204 && p->kind != REPLY_PRODUCED)
		buf_printf(b, "Content-Length: %zu\r\n", p->body_len);
	buf_puts(b, "\r\n");
}

/* Into the stream's buffer; what does not fit goes out. */
static bool put(FCGX_Request *fcgi, const char *data, size_t n)
{
	while (n > 0) {
		int part = n > INT32_MAX ? INT32_MAX : (int)n;

		if (FCGX_PutStr(data, part, fcgi->out) != part)
			return false;
		data += part;
		n -= (size_t)part;
	}
	return true;
}

static bool put_piece(struct request *r, const char *data, size_t n)
{
	return put(r->gateway, data, n);
}

/*
 * Nobody must take the half of an answer for the whole. A connection that just ends is no error to nginx, what is no
 * FastCGI record is: it breaks the client's connection off then.
 */
static void break_off(FCGX_Request *fcgi)
{
	static const unsigned char no_record[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	FCGX_FFlush(fcgi->out);
	send(fcgi->ipcFd, no_record, sizeof(no_record), MSG_NOSIGNAL);
	shutdown(fcgi->ipcFd, SHUT_RDWR);
}

static void produce(struct request *r, FCGX_Request *fcgi)
{
	if (r->reply.produce(r, put_piece))
		return;
	log_warn("%s %s: the answer was broken off", r->method, r->path);
	break_off(fcgi);
}

static void write_reply(struct request *r, FCGX_Request *fcgi)
{
	const struct reply *p = &r->reply;
	struct buf b;

	buf_init(&b, r->mem);
	write_head(r, &b);
	if (p->kind == REPLY_BODY && strcmp(r->method, "HEAD") != 0)
		buf_add(&b, p->body, p->body_len);
	/* Not flushed unless more comes later: the end of the request goes out in the same write. */
	if (!put(fcgi, b.data, b.len))
		return;
	if (p->kind == REPLY_STREAM)
		FCGX_FFlush(fcgi->out);
	else if (p->kind == REPLY_PRODUCED && strcmp(r->method, "HEAD") != 0)
		produce(r, fcgi);
}

/* An unread body must be taken off the socket, or the front sees a broken pipe instead of the answer. */
static void drain(FCGX_Request *fcgi)
{
	char scrap[16384];

	while (FCGX_GetStr(scrap, sizeof(scrap), fcgi->in) > 0)
		continue;
}

enum gateway_result gateway_serve(struct app *app, FCGX_Request *fcgi, bool stream_process,
                                  struct gateway_stream **stream)
{
	struct request *r;

	router_init();
	r = new_request(app, fcgi);
	dispatch(r, r->path, stream_process);
	live_count(app->live, LIVE_REQUESTS, 1);
	drain(fcgi);
	write_reply(r, fcgi);
	if (r->reply.kind == REPLY_STREAM && strcmp(r->method, "HEAD") != 0) {
		*stream = mem_new(r->mem, struct gateway_stream);
		(*stream)->r = r;
		return GATEWAY_STREAM;
	}
	talloc_free(r->mem);
	return GATEWAY_DONE;
}

bool gateway_stream_next(struct app *app, struct gateway_stream *stream, const char **data, size_t *n)
{
	struct request *r = stream->r;
	bool more;

	talloc_free(stream->out.data);
	buf_init(&stream->out, r->mem);
	more = r->reply.stream(app, r->reply.stream_state, &stream->out);
	*data = stream->out.data;
	*n = stream->out.len;
	return more;
}

bool gateway_stream_write(FCGX_Request *fcgi, const char *data, size_t n)
{
	return put(fcgi, data, n) && FCGX_FFlush(fcgi->out) == 0;
}

void gateway_stream_end(struct gateway_stream *stream)
{
	talloc_free(stream->r->mem);
}
