#include "http/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAST_SECONDS 0.25
#define CLIENTS 4
#define TRIES 41

bool is_degraded(const struct response *r)
{
	const char *value = header(r, "x-rakkr-degraded");

	return value != NULL && strcmp(value, "database") == 0;
}

bool back_to_normal(void *arg)
{
	(void)arg;
	for (int i = 0; i < 24; i++) {
		struct response r = get("/api/v1/nodes", admin());

		if (r.status != 200 || is_degraded(&r) || get("/readyz", NULL).status != 200)
			return false;
	}
	return true;
}

static int compare_seconds(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *seconds, size_t n)
{
	qsort(seconds, n, sizeof(*seconds), compare_seconds);
	return seconds[n / 2];
}

/* A refused write, a read from memory and a sign of life, many times, from several clients at once. */
struct pace {
	const struct node *node;
	double writes[CLIENTS * TRIES], reads[CLIENTS * TRIES], beats[CLIENTS * TRIES];
	int wrong[CLIENTS];
};

static void keep_pace(int index, void *arg)
{
	struct pace *p = arg;

	for (int i = 0; i < TRIES; i++) {
		struct response r = patch(p->node->path, admin(), "{\"notes\":\"x\"}");

		p->writes[index * TRIES + i] = r.seconds;
		p->wrong[index] += r.status != 503;
		r = get(p->node->path, admin());
		p->reads[index * TRIES + i] = r.seconds;
		/* verified when the database was there; 503 when that is too long ago */
		p->wrong[index] += r.status != 200 && r.status != 503;
		r = post(fmt("%s/heartbeat", p->node->path), p->node->token, BEAT);
		p->beats[index * TRIES + i] = r.seconds;
		p->wrong[index] += r.status != 202;
	}
}

void expect_pace(const struct node *n, const char *when)
{
	static struct pace p;
	double writes, reads, beats;

	memset(&p, 0, sizeof(p));
	p.node = n;
	parallel(CLIENTS, keep_pace, &p);
	writes = median(p.writes, CLIENTS * TRIES);
	reads = median(p.reads, CLIENTS * TRIES);
	beats = median(p.beats, CLIENTS * TRIES);
	fprintf(stderr,
	        "%s: medians of 4 clients: write refused %.0f ms, read %.0f ms, heartbeat %.0f ms; slowest %.0f ms\n",
	        when, writes * 1e3, reads * 1e3, beats * 1e3, p.writes[CLIENTS * TRIES - 1] * 1e3);
	cr_expect_lt(writes, FAST_SECONDS, "%s: a write is refused in %.0f ms", when, writes * 1e3);
	cr_expect_lt(reads, FAST_SECONDS, "%s: a read takes %.0f ms", when, reads * 1e3);
	cr_expect_lt(beats, FAST_SECONDS, "%s: a heartbeat takes %.0f ms", when, beats * 1e3);
	/* four clients take turns on three workers: even the slowest one was not held up for long */
	cr_expect_lt(p.writes[CLIENTS * TRIES - 1], 2.0, "%s: one took %.1f s", when, p.writes[CLIENTS * TRIES - 1]);
	for (int i = 0; i < CLIENTS; i++)
		cr_expect_eq(p.wrong[i], 0, "%s: %d unexpected answers", when, p.wrong[i]);
}
