/*
 * Calls to the OpenID provider: bounded in time and size, over TLS. One visit is all that one request of ours asks of
 * the provider: it has one deadline, and the visits of all workers together never hold all of them, so that a provider
 * that hangs cannot stop the controller.
 */
#ifndef RAKKR_ACCESS_OIDC_HTTP_H
#define RAKKR_ACCESS_OIDC_HTTP_H

#include "access/oidc.h"

#define OIDC_CONNECT_MS 5000
#define OIDC_CALL_MS 10000
#define OIDC_VISIT_MS 15000
#define OIDC_BODY_MAX (256 * 1024)

struct oidc_visit {
	const struct oidc *o;
	const struct config *config;
	int64_t deadline_ms; /* monotonic */
	int place;           /* descriptor of the lock that stands for the place taken; -1 = none yet */
};

/* o and c must live as long as the visit. Nothing is taken before the first call. */
void oidc_visit_begin(struct oidc_visit *v, const struct oidc *o, const struct config *c);
void oidc_visit_end(struct oidc_visit *v);

struct oidc_answer {
	long status;      /* 0 = none came */
	const char *type; /* media type in lower case, without parameters; "" if there is none */
	const char *body;
	size_t len;
	const char *error; /* why no (whole) answer came; NULL if one did */
};

enum { OIDC_FOLLOW = 1 /* follow up to five redirects */ };

/*
 * GET, or POST of form (application/x-www-form-urlencoded) unless that is NULL. Everything is owned by ctx. False if no
 * whole answer came: out->error says why.
 */
bool oidc_call(const void *ctx, struct oidc_visit *v, const char *url, const char *form, unsigned flags,
               struct oidc_answer *out);

/* True if an address of the provider may be used: https, or http to this machine where that is allowed. */
bool oidc_url_allowed(const struct oidc *o, const char *url);

/* The JSON object of an answer with status 200 and a JSON media type, owned by ctx; NULL otherwise. */
json_object *oidc_answer_json(const void *ctx, const struct oidc_answer *a);

#endif
