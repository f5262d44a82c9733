/*
 * An instance of a test's own, with an environment of its own: set RAKKR_* variables, own_start(), and the harness
 * talks to it from then on. One a test: its administrator signs in once.
 */
#ifndef RAKKR_TESTS_HTTP_INSTANCE_H
#define RAKKR_TESTS_HTTP_INSTANCE_H

#include <stdbool.h>

/* Starts it, or starts it again after own_stop(): in a new database if the tests run on Postgres and database is true,
 * else on flat files. */
void own_start(bool database);
/* The same as a second host on the database of the tests' instance (Postgres only). */
void own_join(void);
void own_stop(void);
/* Stops it and removes everything. */
void own_end(void);
/* Its folder. */
const char *own_dir(void);

#endif
