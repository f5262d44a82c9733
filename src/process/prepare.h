/* The database before it is used: schema brought up to date, first rows there (contract 09 D-75). */
#ifndef RAKKR_PROCESS_PREPARE_H
#define RAKKR_PROCESS_PREPARE_H

#include "base/config.h"
#include "store/migrate.h"

/*
 * Does it in this process; what was done is logged, what failed too unless quiet (it was said before). Returns an enum
 * migrate_exit.
 */
int prepare_database(const struct config *c, bool quiet);

/*
 * The same in a child process, so that the caller keeps no connection, for at most limit_ms. A child that takes longer
 * is killed (its step leaves no trace); the answer is then MIGRATE_UNREACHABLE.
 */
int prepare_database_apart(const struct config *c, int64_t limit_ms);

#endif
