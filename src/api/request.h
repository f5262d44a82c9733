/*
 * One request and its reply, as handlers see them. The gateway (http/) fills it, the dispatcher guards it, handlers
 * read it, set a reply and return a status; the gateway writes the reply. Everything lives in r->mem.
 */
#ifndef RAKKR_API_REQUEST_H
#define RAKKR_API_REQUEST_H

#include "access/principal.h"
#include "base/buf.h"
#include "base/config.h"
#include "base/status.h"
#include "store/app.h"
#include "store/live.h"
#include "store/store.h"

struct request;
struct route;

struct header {
	const char *name, *value;
};

enum reply_kind {
	REPLY_BODY,     /* status + headers + body (may be empty) */
	REPLY_FILE,     /* status + headers; nginx sends the file (X-Accel-Redirect) */
	REPLY_PRODUCED, /* status + headers; the body is made while it is sent, its length is not known before */
	REPLY_STREAM,   /* server-sent events: the stream process goes on with r->reply.stream */
};

struct reply {
	enum reply_kind kind;
	int status;               /* 0 = nothing set yet */
	const char *content_type; /* NULL = none */
	const char *body;
	size_t body_len;
	struct header headers[12];
	size_t header_count;
	const char *accel_path; /* REPLY_FILE: internal path for nginx */
	/* REPLY_STREAM: called once a second until it returns false or the client is gone; appends bytes to out. */
	bool (*stream)(struct app *app, void *state, struct buf *out);
	void *stream_state; /* owned by r->mem */
	/* REPLY_PRODUCED: called once, after the commit; gives the body to put() in pieces. put() is false when the
	   client is gone. False: it cannot go on; the connection is broken off, so that nobody takes the half for the
	   whole. */
	bool (*produce)(struct request *r, bool (*put)(struct request *r, const char *data, size_t n));
	void *produce_state; /* owned by r->mem */
};

struct request {
	void *mem;
	struct app *app;
	const struct config *config; /* = app->config */
	struct store *store;         /* = app->store */
	struct live *live;           /* = app->live */
	int64_t now_ms;              /* one "now" for the whole request */
	const char *method;          /* as received: GET, HEAD, ... */
	const char *path;            /* decoded like decodeURI, no query: what audit shows */
	const char *raw_query;       /* undecoded, "" if none */
	const struct route *route;
	struct {
		const char *name, *value; /* decoded :param */
	} params[4];
	size_t param_count;
	struct principal who;
	json_object *query;     /* decoded query as an object of strings, first value wins */
	int64_t content_length; /* -1 = none given */
	struct reply reply;
	json_object *audit; /* array of events to be written at the end */
	bool audit_denied;  /* some event is denied or failed: make it durable */
	bool rollback;      /* a failure was answered: drop the writes of this request */
	/* gateway callbacks */
	const char *(*header)(struct request *r, const char *name); /* lower-case wire name, e.g. "x-real-ip"; NULL */
	long (*read)(struct request *r, void *buf, size_t n);       /* body bytes; 0 = end, -1 = broken off */
	void *gateway;
	bool body_read;    /* the body was consumed by body_json or body_bytes */
	json_object *body; /* cache of body_json */
	status body_status;
};

/* ---- input ------------------------------------------------------------------------------------------------------- */

/* Decoded path parameter, "" if there is none of that name. */
const char *req_param(const struct request *r, const char *name);
/* Request header by its lower-case name, NULL if absent; scrubbed to valid UTF-8. */
const char *req_header(struct request *r, const char *name);
/* First query value of key, NULL if absent. */
const char *req_query(const struct request *r, const char *key);

/*
 * JSON body (cached). Missing, empty or malformed = empty object, with *malformed set for malformed (may be NULL).
 * ST_TOO_LARGE over RAKKR_MAX_JSON_BYTES; ST_INVALID when the client broke off.
 * *out NULL = JSON null.
 */
status req_json(struct request *r, json_object **out, bool *malformed);

/* Body as bytes, at most max; ST_TOO_LARGE beyond (the rest is not read). */
status req_bytes(struct request *r, size_t max, char **data, size_t *n);

/* 01 2.7: X-Forwarded-For as received, else X-Real-IP, else NULL. */
const char *req_client_ip(struct request *r);

/* ---- reply: each returns ST_OK so that handlers can `return reply_...` ------------------------------------------- */

status reply_json(struct request *r, int status_code, json_object *body);
/* {"data": data}; takes a new reference of data. */
status reply_data(struct request *r, int status_code, json_object *data);
/* {"error": text} */
status reply_error(struct request *r, int status_code, const char *text);
/* {"error": text, "issues": issues} with 400 */
status reply_issues(struct request *r, const char *text, json_object *issues);
status reply_text(struct request *r, int status_code, const char *text);
status reply_empty(struct request *r, int status_code);
status reply_bytes(struct request *r, int status_code, const char *content_type, const void *data, size_t n);
/* Adds a header; control characters in value become spaces. */
void reply_header(struct request *r, const char *name, const char *value);

/* ---- audit ------------------------------------------------------------------------------------------------------- */

struct audit {
	const char *action;  /* NULL: route action + ".succeeded" or ".failed" by outcome */
	const char *outcome; /* NULL: "succeeded"; "failed", "denied", "partial", "allowed" */
	const char *reason;
	const char *permission; /* NULL: the route's; "" = none */
	struct target target;
	json_object *details; /* extra members; method and path are added in front; long texts are cut. May be NULL */
	json_object *before, *after, *correlation;
	bool anonymous;                /* actor anonymous even if someone is signed in */
	bool no_session;               /* leave the session id out of actorContext (falls back to x-rakkr-session-id) */
	const struct principal *actor; /* NULL: r->who */
};

/* Queues one event; it is written when the request ends, with the writes of the request. */
void audit_add(struct request *r, const struct audit *a);

/* ".succeeded" of the route's action. details may be NULL. */
void audit_ok(struct request *r, struct target target, json_object *details);

/* Queues ".failed" (outcome failed) of the route's action, marks the request for rollback, answers {"error": text}. */
status fail(struct request *r, int status_code, const char *text, const char *reason, struct target target,
            json_object *details);

/* The same with issues (400). */
status fail_issues(struct request *r, const char *text, json_object *issues, const char *reason, struct target target,
                   json_object *details);

/* Shorthands. */
#define TARGET(type_, id_, name_) ((struct target){.type = (type_), .id = (id_), .name = (name_)})
/* Object with the given members, owned by r->mem: details(r, "count", J_INT, (int64_t)3, "name", J_STR, "x", NULL). */
enum { J_STR = 1, J_INT, J_BOOL, J_REF, J_NULL };
json_object *details(struct request *r, ...);

/* 2.6 action state objects: {"enabled":...}. href is used when ready; reason when not; payload may be NULL. */
json_object *action_state(struct request *r, enum permission perm, const char *method, const char *href, bool ready,
                          const char *reason, json_object *payload);

#endif
