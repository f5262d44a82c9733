/* Users as the access routes look them up and show them in events (contract 01 12, 13). */
#ifndef RAKKR_API_USER_LOOKUP_H
#define RAKKR_API_USER_LOOKUP_H

#include "api/request.h"

#define PASSWORD_MIN 8
#define PASSWORD_MAX 200

/* True if id is that of the local admin, or of the caller; ids are compared without case (01 T25). */
bool user_is_local_admin(struct request *r, const char *id);
bool user_is_caller(struct request *r, const char *id);

/*
 * The stored document of a user (never send it: user_wire() makes what may leave). The local admin is there without a
 * row, too: *has_row false. ST_NOT_FOUND: no such user. Owned by r->mem.
 */
status user_find(struct request *r, const char *id, json_object **user, bool *has_row);

/* The same for what is about to be changed: the row, if there is one, is locked (user_row_lock()). */
status user_find_to_change(struct request *r, const char *id, json_object **user, bool *has_row);

/*
 * The :userId of the path in the one form that rules about users are compared with: whoever is denied a user must not
 * get at it by writing its id in other letters.
 */
const char *user_id_asked(struct request *r);

/* For struct route: the target of the routes of one user. */
status user_target_of_route(struct request *r, struct target *t);

/* Targets of events: the :userId of the path; a user with its e-mail as name. */
struct target user_target_asked(struct request *r);
struct target user_target(json_object *user);

/* {disabledAt?, groups, resourceGrants, roles} of a CurrentUser object: what events show before and after. */
json_object *user_snapshot(struct request *r, json_object *wire);

/* 404 "User not found" with its event; name is that of the target, or NULL. */
status user_not_found(struct request *r, const char *name);

/* 503 with the route's text; the event's reason is database_unavailable, or `other` for any other failure. */
status user_storage_failed(struct request *r, status st, const char *text, const char *other, struct target t);

#endif
