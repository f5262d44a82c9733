/* The row of a user that is about to be changed, or to get a session. */
#ifndef RAKKR_ACCESS_USER_ROW_H
#define RAKKR_ACCESS_USER_ROW_H

#include "store/store.h"

/*
 * Locks a row until the end of the unit of work and reads it as it is then; id in lower case, *row owned by ctx.
 * ST_NOT_FOUND: there is no such row.
 */
status user_row_lock(const void *ctx, struct store *s, const char *id, json_object **row);

#endif
