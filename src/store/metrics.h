/*
 * What GET /metrics counts in a store (contract 06 9.1, 09 D-97, D-98, D-100): a fixed number of questions, whatever
 * the number of rows.
 *
 * Counters of all time never fall. They count what has been, not what is there: an audit event that was deleted for its
 * age, a health event that was resolved since, a failed upload attempt whose item was retried go on counting.
 */
#ifndef RAKKR_STORE_METRICS_H
#define RAKKR_STORE_METRICS_H

#include "store/store.h"

/* Tallies (engine/tally.h) by these labels. NULL: this one could not be counted. */
enum metrics_tally {
	/* of all callers; recordings and jobs by their scope */
	METRICS_RECORDINGS, /* node ("" = none), "true"/"false": cached */
	METRICS_ACTIVE,     /* node: recordings that are recorded, or have a job that is running or being stopped */
	METRICS_JOBS,       /* node, status */

	/*
	 * what is stored now: with parts, each thing by what its visibility depends on, behind its other labels:
	 * recording, schedule and node of the recording
	 */
	METRICS_HEALTH,       /* type, severity, status, node; with parts: schedule of the event, its id if it is about
	                         nothing       else or named, recording, ... */
	METRICS_UPLOADS,      /* provider, status; ... */
	METRICS_UPLOAD_DUE,   /* the same; the earliest time, in ms, at which an attempt is due */
	METRICS_UPLOAD_TRIES, /* provider; ...: failed attempts of the items that are stored */

	/* of all time */
	METRICS_HEALTH_EVER, /* severity, status, type: events that came into that status; without status: that appeared
	                      */
	METRICS_UPLOAD_FAILURES, /* provider: failed attempts */
	METRICS_AUDIT,           /* action, actor type, outcome, permission, METRICS_ABOUT if it is about a resource */

	/* with parts only: the newest events about resources */
	METRICS_AUDIT_RECENT, /* action, actor type, outcome, permission, target type, target id */
	METRICS_TALLIES
};

/* Fifth label of METRICS_AUDIT: the target has an id and is of a type whose scope is looked at (06 9.1). */
#define METRICS_ABOUT "resource"
#define METRICS_RECENT 500 /* events of METRICS_AUDIT_RECENT */

/* Those types, NULL-terminated; METRICS_ABOUT_TYPES of them. */
#define METRICS_ABOUT_TYPES 15
extern const char *const metrics_about[METRICS_ABOUT_TYPES + 1];

/* The labels of METRICS_AUDIT of an event. */
void metrics_audit_labels(json_object *event, const char *labels[5]);

struct metrics_question {
	const struct row_scope *recordings; /* NULL: all of them */
	bool parts;                         /* visibility of other things has to be decided one by one */
	const char *const *named_events;    /* ids of health events that rules name */
	size_t named_count;
};

status store_metrics(struct store *s, const void *ctx, const struct metrics_question *q,
                     json_object *out[METRICS_TALLIES]);

/* A recording as samples need it; valid until the next one. */
struct metrics_recording {
	const char *id, *node_id, *source, *status; /* node_id "" = none */
	const char *cache_path;                     /* "" unless cached */
	int64_t duration_seconds;
};

/* False: enough. */
typedef bool (*metrics_recording_fn)(void *state, int pass, const struct metrics_recording *r);

/*
 * Gives every recording in scope (NULL: all) to each, in the store's order, `passes` times over one state of the store;
 * memory does not grow with their number. each must not call the store.
 */
status store_metrics_recordings(struct store *s, const struct row_scope *scope, int passes, metrics_recording_fn each,
                                void *state);

/* Failed attempts of an upload queue item that is new to the store (contract 05 2, 06 9.3 family 31). */
int64_t metrics_upload_tries(const char *item_status, int64_t attempts, const char *last_error);

/*
 * True if the change of an item is a failed attempt: the attempt begins with an item without error (2.4) and ends with
 * one that has it (2.6), or both in one step. A retry by hand attempts nothing (2.7).
 */
bool metrics_upload_failed(json_object *before, json_object *after);

#endif
