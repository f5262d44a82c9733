/* Handlers of the life cycle routes, listed in the table of users.c (contract 01 13). */
#ifndef RAKKR_API_USER_LIFECYCLE_H
#define RAKKR_API_USER_LIFECYCLE_H

#include "api/request.h"

/* New password: ends all sessions of the user. */
status user_password_reset(struct request *r);
/* {"disabled": bool}; disabling ends all sessions. */
status user_status_update(struct request *r);
status user_delete(struct request *r);

#endif
