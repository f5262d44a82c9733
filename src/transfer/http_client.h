/*
 * One HTTP request to a service beside us (libcurl), blocking, with limits on time and size. Redirects are not followed
 * and proxies of the environment are not used: these are internal services whose address an administrator wrote down.
 * A body is sent with Content-Length, never chunked and without "Expect". Nothing is kept between calls.
 * (Sign-in with OpenID Connect has a client of its own: access/ lies below this folder.)
 */
#ifndef RAKKR_TRANSFER_HTTP_CLIENT_H
#define RAKKR_TRANSFER_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct http_request {
	const char *method;
	const char *url;            /* http or https */
	const char *const *headers; /* lines "Name: value", NULL-terminated; may be NULL. CR and LF are refused */
	const char *body;           /* may be NULL: no body */
	size_t body_len;
	long timeout_ms;  /* of the whole exchange */
	size_t max_bytes; /* of the answer's body */
};

enum http_outcome {
	HTTP_ANSWERED,   /* status, and the whole body */
	HTTP_CUT,        /* status, but the body broke off, timed out or was too large */
	HTTP_TIMED_OUT,  /* before the head of the answer was there */
	HTTP_NO_CONTACT, /* connection refused or reset, name unknown, certificate refused, no HTTP */
	HTTP_UNUSABLE,   /* the request itself makes no sense (URL, header) */
};

struct http_answer {
	enum http_outcome outcome;
	int status; /* HTTP_ANSWERED, HTTP_CUT */
	char *body; /* NUL-terminated, owned by ctx; "" unless HTTP_ANSWERED */
	size_t body_len;
	const char *error; /* text of the failure, never NULL; for the log */
};

void http_send(const void *ctx, const struct http_request *q, struct http_answer *a);

#endif
