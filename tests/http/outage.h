/* What tests of a database that is away have in common. */
#ifndef RAKKR_TESTS_HTTP_OUTAGE_H
#define RAKKR_TESTS_HTTP_OUTAGE_H

#include "http/harness.h"

#define BACK_MS 5000 /* after which everything is as before */
#define BEAT "{\"agentVersion\":\"0.1.0\",\"hostname\":\"h\",\"ipAddresses\":[]}"

/* Was it answered from what was known? */
bool is_degraded(const struct response *r);

/* As before: many requests in a row, so that every worker has answered some of them. For wait_until(). */
bool back_to_normal(void *arg);

/*
 * Expects refused writes, reads from memory and signs of life to be quick, many of them from several clients at once.
 */
void expect_pace(const struct node *n, const char *when);

#endif
