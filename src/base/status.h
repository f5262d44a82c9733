/* The one result type from store to reply. */
#ifndef RAKKR_BASE_STATUS_H
#define RAKKR_BASE_STATUS_H

typedef enum status {
	ST_OK = 0,
	ST_NOT_FOUND,   /* no such record */
	ST_CONFLICT,    /* it exists already, or a guard did not hold */
	ST_UNAVAILABLE, /* the database (or a broken store file) cannot be used now: 503 database_unavailable */
	ST_NO_SPACE,    /* disk full or quota: 507 */
	ST_TOO_LARGE,   /* body over its limit: 413 */
	ST_INVALID,     /* a value the store cannot hold (SQLSTATE 22*, 23*): this request only, never a mode change */
	ST_INTERNAL,    /* anything else: 500, logged where it happened */
} status;

/* Returns from the calling function with a status that is not ST_OK. */
#define TRY(expr)                                                                                                      \
	do {                                                                                                           \
		status try_status_ = (expr);                                                                           \
		if (try_status_ != ST_OK)                                                                              \
			return try_status_;                                                                            \
	} while (0)

/* "ok", "not_found", ... for logs. */
const char *status_name(status s);

#endif
