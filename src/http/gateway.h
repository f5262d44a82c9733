/*
 * The gateway: one FastCGI request in, one reply out. Builds struct request from the FastCGI environment, dispatches
 * it and writes the reply.
 */
#ifndef RAKKR_HTTP_GATEWAY_H
#define RAKKR_HTTP_GATEWAY_H

#include "api/request.h"

#include <fcgiapp.h>

enum gateway_result {
	GATEWAY_DONE,   /* answered; the caller finishes the FastCGI request */
	GATEWAY_STREAM, /* response headers are out; go on with gateway_stream_tick once a second */
};

/* A long-lived response; owns its request's arena. */
struct gateway_stream;

/*
 * Serves one accepted request with app. *stream is set for GATEWAY_STREAM. The caller must hold whatever serialises
 * app->store (one thread uses a store at a time). stream_process: this process may open streams; elsewhere a stream
 * route answers 503.
 */
enum gateway_result gateway_serve(struct app *app, FCGX_Request *fcgi, bool stream_process,
                                  struct gateway_stream **stream);

/*
 * Computes the next piece of a stream. Needs app->store, so the caller holds its lock; the bytes are in *data (owned
 * by the stream until the next call). Returns false when the stream is over.
 */
bool gateway_stream_next(struct app *app, struct gateway_stream *stream, const char **data, size_t *n);

/*
 * Writes bytes to the client and flushes; no store involved, call it without the lock. False when the client is gone.
 */
bool gateway_stream_write(FCGX_Request *fcgi, const char *data, size_t n);

/* Frees the stream and its arena. */
void gateway_stream_end(struct gateway_stream *stream);

#endif
