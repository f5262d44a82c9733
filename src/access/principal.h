/* Who is asking: a user session, a node credential, or nobody (contract 01 5, 8, 10; 02 5). */
#ifndef RAKKR_ACCESS_PRINCIPAL_H
#define RAKKR_ACCESS_PRINCIPAL_H

#include "base/config.h"
#include "engine/scope.h"
#include "model/permission.h"
#include "store/live.h"
#include "store/store.h"

struct principal {
	enum { WHO_ANONYMOUS, WHO_USER, WHO_NODE, WHO_SYSTEM /* a command of the terminal */ } kind;
	const char *id; /* user id, node id, "system:cli" */
	const char *name;
	const char *email;      /* users */
	const char *session_id; /* users; NULL otherwise */
	json_object *user;      /* CurrentUser wire object (01 5.1), users only */
	json_object *roles;     /* array of role names, never NULL */
	uint32_t permissions;   /* mask; 0 unless a user */
	struct scope_subject scope;
	bool demo_node; /* the node list has the built-in demo node that is no row (07 4.2) */
};

/* An anonymous principal. */
void principal_anonymous(struct principal *p);

/* A signed-in user from its CurrentUser object, without scope: the actor of login and callback events. */
void principal_from_user(json_object *user, const char *session_id, struct principal *p);

/* Token of an Authorization header value (01 8.3: split at single spaces, scheme in any case); NULL or "" = none. */
const char *bearer_token(const void *ctx, const char *authorization);

/*
 * User session of a bearer token. ST_OK with p anonymous when the token is none of ours; ST_UNAVAILABLE when sessions
 * cannot be read (answer 503, never guess). A request that only reads may get what was verified at most
 * RAKKR_AUTH_STALE_SECONDS ago (store_degrade_begin).
 */
status principal_from_session(const void *ctx, struct store *s, const struct config *c, const char *token,
                              int64_t now_ms, struct principal *p);

/*
 * Node credential of a bearer token: ST_OK (kind WHO_NODE), ST_NOT_FOUND, or ST_UNAVAILABLE. With the database away a
 * token that was valid before is still accepted (live memory).
 */
status principal_from_node_token(const void *ctx, struct store *s, const struct config *c, struct live *l,
                                 const char *token, int64_t now_ms, struct principal *p);

/* CurrentUser object from {id,email,name,provider,disabledAt?,roles,groups,resourceGrants}; applies 01 5.4 and T9. */
json_object *user_wire(const void *ctx, const struct config *c, json_object *user);

/* The environment's local admin as the same kind of input document (01 6). */
json_object *local_admin(const void *ctx, const struct config *c);
/* Its id, lower case. */
const char *local_admin_id(const void *ctx, const struct config *c);
/* Parts of it: the configured role, groups [{id,name}], grants [{resourceId,resourceType}]. */
const char *local_admin_role(const struct config *c);
json_object *local_admin_groups(const void *ctx, const struct config *c);
json_object *local_admin_grants(const void *ctx, const struct config *c);

bool principal_may(const struct principal *p, enum permission perm);

/*
 * Scope decision for a target: expands it through the store only when the answer depends on it. Target without id:
 * allowed for every known user.
 */
status principal_scope(const void *ctx, struct store *s, const struct principal *p, const struct target *t,
                       enum scope_verdict *v);

/* The same without the store: false if the answer depends on what the target stands for. */
bool principal_scope_alone(const struct principal *p, const struct target *t, enum scope_verdict *v);

/* The row scope of a user for recordings and jobs; *out NULL when unrestricted. Owned by ctx. */
status principal_row_scope(const void *ctx, struct store *s, const struct principal *p, const struct row_scope **out);

#endif
