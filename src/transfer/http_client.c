#include "transfer/http_client.h"

#include "base/buf.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <string.h>

struct exchange {
	const struct http_request *q;
	CURL *curl;
	struct buf body;
	long status; /* of the final head; 0 until it is complete */
	bool too_large;
};

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	long status = 0;

	/* The empty line ends a head; 1xx heads are followed by another one. */
	if (size * count <= 2 && line[0] != ' ') {
		curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
		x->status = status >= 200 ? status : 0;
	}
	return size * count;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	size_t n = size * count;

	x->too_large = n > x->q->max_bytes - x->body.len;
	if (x->too_large)
		return 0;
	buf_add(&x->body, data, n);
	return n;
}

/* NULL if a line is none; freed by curl_slist_free_all(). */
static bool add_headers(const char *const *lines, struct curl_slist **list)
{
	*list = curl_slist_append(NULL, "Expect:");
	for (; lines != NULL && *lines != NULL; lines++) {
		struct curl_slist *longer = strpbrk(*lines, "\r\n") == NULL ? curl_slist_append(*list, *lines) : NULL;

		if (longer == NULL)
			return false;
		*list = longer;
	}
	return *list != NULL;
}

static void set_options(struct exchange *x, struct curl_slist *headers)
{
	const struct http_request *q = x->q;
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_URL, q->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, q->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	if (q->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
	}
}

static enum http_outcome outcome_of(const struct exchange *x, CURLcode code)
{
	if (x->status != 0)
		return code == CURLE_OK ? HTTP_ANSWERED : HTTP_CUT;
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMED_OUT;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return HTTP_UNUSABLE;
	default:
		return HTTP_NO_CONTACT;
	}
}

static void perform(const void *ctx, struct exchange *x, struct http_answer *a)
{
	struct curl_slist *headers;
	CURLcode code;

	if (!add_headers(x->q->headers, &headers)) {
		curl_slist_free_all(headers);
		a->error = "a request header is not usable";
		return;
	}
	set_options(x, headers);
	code = curl_easy_perform(x->curl);
	curl_slist_free_all(headers);
	a->outcome = outcome_of(x, code);
	a->error = x->too_large ? "the answer is too large" : mem_strdup(ctx, curl_easy_strerror(code));
	if (a->outcome == HTTP_ANSWERED || a->outcome == HTTP_CUT)
		a->status = (int)x->status;
	if (a->outcome == HTTP_ANSWERED) {
		a->body = x->body.data;
		a->body_len = x->body.len;
	}
}

void http_send(const void *ctx, const struct http_request *q, struct http_answer *a)
{
	struct exchange x = {.q = q, .curl = curl_easy_init()};

	*a = (struct http_answer){.outcome = HTTP_UNUSABLE, .body = mem_strdup(ctx, ""), .error = "no memory"};
	if (x.curl == NULL)
		return;
	buf_init(&x.body, ctx);
	buf_puts(&x.body, "");
	perform(ctx, &x, a);
	curl_easy_cleanup(x.curl);
}
