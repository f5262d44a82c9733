/*
 * How one run of a schedule becomes recordings: its length, its division into tracks, their names and folders
 * (contract 03 3.10.3; 04 3.9 to 3.11). Pure: local date and time of a track come from the caller.
 */
#ifndef RAKKR_ENGINE_TRACK_PLAN_H
#define RAKKR_ENGINE_TRACK_PLAN_H

#include "base/json.h"

#define TRACK_SECONDS_UNKNOWN 0 /* the run has no planned length: the capture's default counts */

/*
 * Planned length of a run in seconds: the time range of a daily, weekly or monthly recurrence with what it starts early
 * and stops late. TRACK_SECONDS_UNKNOWN for the other modes, or if the times cannot be read.
 */
int64_t track_run_seconds(json_object *recurrence);

struct track {
	int64_t offset_seconds; /* from the start of the run */
	int64_t seconds;        /* TRACK_SECONDS_UNKNOWN if the run's length is */
	int64_t index, total;   /* from 1; 0 = the run is not divided */
};

struct track_plan {
	struct track *at;
	size_t count; /* at least 1 */
};

/*
 * Divides a run of run_seconds into tracks of at most max_seconds (the profile's maxTrackSeconds; 0 = no limit). Both
 * may be TRACK_SECONDS_UNKNOWN. Owned by ctx.
 */
struct track_plan track_plan(const void *ctx, int64_t run_seconds, int64_t max_seconds);

/* What a template may name; NULL is empty. */
struct track_words {
	const char *date, *time; /* of the track's start in the schedule's zone: YYYY-MM-DD, HHMM */
	const char *timestamp;   /* of the track's start, ISO UTC */
	const char *node_alias, *node_hostname, *node_id;
	const char *room, *site;
	const char *schedule_id, *schedule_name;
};

/* template with every {{ word }} replaced; unknown words by nothing. Owned by ctx. */
char *track_render(const void *ctx, const char *template, const struct track_words *words);

/* Text without characters that file systems dislike, in single spaces; "Scheduled Recording" if nothing is left. */
char *track_safe_text(const void *ctx, const char *text);

/* The same for each part of a path; parts are divided by '/' or '\', runs of them count as one. */
char *track_safe_path(const void *ctx, const char *path);

/* Name and folder of a track's recording. Owned by ctx. */
char *track_name(const void *ctx, const char *title_template, const struct track_words *words, const struct track *t);
char *track_folder(const void *ctx, const char *folder_template, const struct track_words *words);

/* The schedule's tags, trimmed, without blank ones and repetitions (exact ones). Array owned by ctx. */
json_object *track_tags(const void *ctx, json_object *tags);

#endif
