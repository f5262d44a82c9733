/*
 * GET /metrics (contract 06 9, 09 D-96 to D-100), inside: what was gathered for one scrape, and the families that are
 * made from it.
 */
#ifndef RAKKR_API_METRICS_H
#define RAKKR_API_METRICS_H

#include "api/request.h"
#include "store/metrics.h"

/* A tally is NULL if it could not be counted: its families are left out (D-96). */
struct scrape {
	json_object *nodes;            /* visible ones, wire form */
	const struct row_scope *scope; /* of recordings; NULL = all */
	bool all_time;                 /* the caller sees everything: counters of all time, not of what is in scope */
	int64_t now_ms;

	json_object *recordings;      /* node, "true"/"false": cached */
	json_object *active;          /* node */
	json_object *jobs;            /* node, status */
	json_object *health;          /* type, severity, status, node: those that are stored */
	json_object *health_ever;     /* severity, status, type (METRICS_HEALTH_EVER), or the like of what is stored */
	json_object *uploads;         /* provider, status */
	json_object *uploads_due;     /* provider, status: ms */
	json_object *upload_failures; /* provider */
	json_object *audit;           /* action, actor type, outcome, permission */

	json_object **frames; /* of visible nodes */
	size_t frame_count;
	struct scrape_chunk {
		const char *node_id;
		int64_t age_seconds, duration_ms;
	} * chunks;
	size_t chunk_count;
};

/* Reads everything but the recordings themselves. ST_UNAVAILABLE: the database is away. */
status scrape_gather(struct request *r, struct scrape *s);

/* Families 1 to 4, and from 7 on (06 9.3). */
void families_before_recordings(struct request *r, const struct scrape *s, struct buf *out);
void families_after_recordings(const struct scrape *s, struct buf *out);

/* The added family (D-96). */
void family_database(bool unavailable, struct buf *out);
void family_started(struct request *r, struct buf *out);

#endif
