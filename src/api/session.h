/* Sessions as the login routes hand them out (contract 01 8.2); used by password login and by the OIDC callback. */
#ifndef RAKKR_API_SESSION_H
#define RAKKR_API_SESSION_H

#include "api/request.h"

struct session {
	const char *token;      /* for the client, nowhere stored */
	const char *short_id;   /* first 16 hex digits of its hash */
	const char *expires_at; /* ISO */
};

/*
 * Creates a session of user (CurrentUser object) and, when the user has no row, the row with password_hash (may be
 * NULL). Owned by r->mem. Errors: those of the store.
 */
status session_create(struct request *r, json_object *user, const char *password_hash, struct session *out);

/* Adds the header that clears the OIDC state cookie (01 14.4); on logout and on every callback answer. */
void session_clear_state_cookie(struct request *r);

#endif
