/* The database of an instance taken away and brought back, without harm to the server. */
#ifndef RAKKR_TESTS_HTTP_OUTAGE_H
#define RAKKR_TESTS_HTTP_OUTAGE_H

#include "http/harness.h"

#include <libpq-fe.h>

#define BACK_MS 5000 /* until everything must be as before */

extern PGconn *other;        /* to another database of the server */
extern const char *database; /* name of the instance's */

void nap(int ms);

/* Connects, skips the test on flat files, and has the database brought back when the test ends. */
void prepare(void);
/* Every connection ends, and there is no new one. */
void take_away(void);
void bring_back(void);

bool is_degraded(const struct response *r);
/* As before: many requests in a row, so that every worker has answered some of them. For wait_until(). */
bool back_to_normal(void *arg);

#endif
