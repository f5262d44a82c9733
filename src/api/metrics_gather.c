/*
 * What a scrape reads, reduced to what the caller may see. The store answers a fixed number of questions; what the
 * scope of a caller depends on is decided in memory (09 D-100).
 */
#include "api/metrics.h"

#include "access/world.h"
#include "api/meters.h"
#include "api/node_lookup.h"
#include "api/recording_lookup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/tally.h"
#include "model/enums.h"
#include "runner/lease.h"

#include <string.h>

/* ---- who asks ---------------------------------------------------------------------------------------------------- */

static bool is_any(const char *type, const char *id)
{
	return strcmp(type, "*") == 0 && strcmp(id, "*") == 0;
}

/* True if nothing can be out of scope: owners and admins, and who was granted everything; and no deny policy. */
static bool sees_all(const struct scope_subject *s)
{
	bool all = s->unrestricted;

	for (size_t i = 0; i < s->grant_count; i++)
		all = all || is_any(s->grants[i].type, s->grants[i].id);
	for (size_t i = 0; i < s->policy_count; i++) {
		if (s->policies[i].deny)
			return false;
		all = all || is_any(s->policies[i].type, s->policies[i].id);
	}
	return s->known && all;
}

/* Health events that rules name by id: they are decided one by one. */
static void name_events(struct request *r, struct metrics_question *q)
{
	const struct scope_subject *s = &r->who.scope;
	const char **ids = mem_array(r->mem, const char *, s->grant_count + s->policy_count + 1);
	size_t n = 0;

	for (size_t i = 0; i < s->grant_count; i++)
		ids[n++] = text_lower(r->mem, s->grants[i].id);
	for (size_t i = 0; i < s->policy_count; i++)
		ids[n++] = text_lower(r->mem, s->policies[i].id);
	q->named_events = ids;
	q->named_count = n;
}

/* ---- what may be seen of it -------------------------------------------------------------------------------------- */

struct judge {
	void *ctx;
	const struct scope_subject *subject;
	const struct world *world;
};

static bool allowed(const struct judge *j, const struct targets *t)
{
	return t->count > 0 && scope_decide(j->subject, t->at, t->count) == SCOPE_ALLOWED;
}

static void add_recording(const struct judge *j, struct targets *t, const char *id, const char *schedule,
                          const char *node)
{
	targets_add(j->ctx, t, "recording", id);
	world_schedule(j->ctx, j->world, schedule, t);
	world_node(j->ctx, j->world, node, t);
}

/* 06 2; a row of METRICS_HEALTH with parts. */
static bool event_visible(const struct judge *j, const char *const *labels)
{
	const char *node = labels[3], *schedule = labels[4], *id = labels[5], *recording = labels[6];
	struct targets all = {0}, of_recording = {0}, of_schedule = {0}, of_node = {0};

	targets_add(j->ctx, &all, "health_event", id[0] != '\0' ? id : "-"); /* one that no rule names */
	add_recording(j, &all, recording, labels[7], labels[8]);
	world_schedule(j->ctx, j->world, schedule, &all);
	world_node(j->ctx, j->world, node, &all);
	if (!allowed(j, &all))
		return false;
	if (recording[0] == '\0' && schedule[0] == '\0' && node[0] == '\0')
		return true;
	if (recording[0] != '\0')
		add_recording(j, &of_recording, recording, labels[7], labels[8]);
	targets_add(j->ctx, &of_schedule, "schedule", schedule);
	world_schedule(j->ctx, j->world, schedule, &of_schedule);
	targets_add(j->ctx, &of_node, "node", node);
	world_node(j->ctx, j->world, node, &of_node);
	return allowed(j, &of_recording) || allowed(j, &of_schedule) || allowed(j, &of_node);
}

/* An upload item: recording, and schedule and node of the recording. */
static bool item_visible(const struct judge *j, const char *const *parts)
{
	struct targets t = {0};

	add_recording(j, &t, parts[0], parts[1], parts[2]);
	return allowed(j, &t);
}

static json_object *visible_health(const struct judge *j, const void *ctx, json_object *tally)
{
	json_object *seen = json_new_object(ctx);
	size_t n;
	struct tally_row *rows = tally_rows(j->ctx, tally, &n);

	for (size_t i = 0; i < n; i++)
		if (event_visible(j, rows[i].labels))
			tally_add(seen, rows[i].labels, 4, rows[i].n);
	return tally != NULL ? seen : NULL;
}

/* Numbers of items by their first `labels` labels; added up, or the least of them. */
static json_object *visible_items(const struct judge *j, const void *ctx, json_object *tally, size_t labels, bool least)
{
	json_object *seen = json_new_object(ctx);
	size_t n;
	struct tally_row *rows = tally_rows(j->ctx, tally, &n);

	for (size_t i = 0; i < n; i++) {
		int64_t known = tally_get(seen, rows[i].labels, labels);

		if (!item_visible(j, rows[i].labels + labels))
			continue;
		if (!least)
			tally_add(seen, rows[i].labels, labels, rows[i].n);
		else if (known == 0 || rows[i].n < known)
			tally_add(seen, rows[i].labels, labels, rows[i].n - known);
	}
	return tally != NULL ? seen : NULL;
}

/* Unknown words as lists of events show them (model/audit_events.c). */
static void add_audit(json_object *tally, const char *const *labels, int64_t n)
{
	const char *shown[] = {labels[0], enum_has(enum_actor_type, labels[1]) ? labels[1] : "user", labels[2],
	                       permission_parse(labels[3]) != PERM_NONE ? labels[3] : "none"};

	tally_add(tally, shown, 4, n);
}

/* The events about resources in scope, of the newest ones. */
static status add_recent(const struct judge *j, struct request *r, struct world *w, json_object *recent,
                         json_object *tally)
{
	size_t n;
	struct tally_row *rows = tally_rows(r->mem, recent, &n);
	struct target *targets = mem_array(r->mem, struct target, n + 1);

	for (size_t i = 0; i < n; i++)
		targets[i] = TARGET(rows[i].labels[4], rows[i].labels[5], NULL);
	TRY(world_load(r->mem, r->store, w, targets, n));
	for (size_t i = 0; i < n; i++) {
		struct targets expanded = {0};

		world_expand(j->ctx, w, targets[i].type, targets[i].id, &expanded);
		if (allowed(j, &expanded))
			add_audit(tally, rows[i].labels, rows[i].n);
	}
	return ST_OK;
}

/* Counters over what is stored, for callers who do not see everything. */
static json_object *health_now(const void *ctx, json_object *health)
{
	json_object *now = json_new_object(ctx);
	size_t n;
	struct tally_row *rows = tally_rows(ctx, health, &n);

	for (size_t i = 0; i < n; i++) {
		const char *labels[] = {rows[i].labels[1], rows[i].labels[2], rows[i].labels[0]};
		const char *event[] = {labels[0], NULL, labels[2]};

		tally_add(now, labels, 3, rows[i].n);
		tally_add(now, event, 3, rows[i].n);
	}
	return health != NULL ? now : NULL;
}

static status reduce(struct request *r, struct scrape *s, json_object *const tally[METRICS_TALLIES])
{
	struct world world;
	const struct judge j = {talloc_new(r->mem), &r->who.scope, &world};

	TRY(world_open(r->mem, r->store, &r->who, &world));
	s->health = visible_health(&j, r->mem, tally[METRICS_HEALTH]);
	s->health_ever = health_now(r->mem, s->health);
	s->uploads = visible_items(&j, r->mem, tally[METRICS_UPLOADS], 2, false);
	s->uploads_due = visible_items(&j, r->mem, tally[METRICS_UPLOAD_DUE], 2, true);
	s->upload_failures = visible_items(&j, r->mem, tally[METRICS_UPLOAD_TRIES], 1, false);
	if (s->audit != NULL && tally[METRICS_AUDIT_RECENT] != NULL)
		TRY(add_recent(&j, r, &world, tally[METRICS_AUDIT_RECENT], s->audit));
	return ST_OK;
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

/* Of all time; with this request's own, which are not stored yet. */
static json_object *take_audit(struct request *r, bool all, json_object *stored)
{
	json_object *tally = json_new_object(r->mem);
	size_t n, own = r->audit != NULL ? json_object_array_length(r->audit) : 0;
	struct tally_row *rows = tally_rows(r->mem, stored, &n);

	for (size_t i = 0; i < n; i++)
		if (all || rows[i].labels[4][0] == '\0')
			add_audit(tally, rows[i].labels, rows[i].n);
	for (size_t i = 0; i < own; i++) {
		const char *labels[5];

		metrics_audit_labels(json_object_array_get_idx(r->audit, i), labels);
		add_audit(tally, labels, 1);
	}
	return stored != NULL ? tally : NULL;
}

/* ---- live data --------------------------------------------------------------------------------------------------- */

static int64_t chunk_age(const struct live_chunk *c, int64_t now_ms)
{
	int64_t captured;

	if (!clock_parse(c->captured_at, CLOCK_LENIENT, &captured) || captured >= now_ms)
		return 0;
	return (now_ms - captured + 500) / 1000;
}

static void gather_live(struct request *r, struct scrape *s)
{
	size_t n = s->nodes != NULL ? json_object_array_length(s->nodes) : 0;

	s->frames = mem_array(r->mem, json_object *, n + 1);
	s->chunks = mem_array(r->mem, struct scrape_chunk, n + 1);
	for (size_t i = 0; i < n; i++) {
		const char *id = json_str(json_object_array_get_idx(s->nodes, i), "id");
		struct live_chunk chunk;

		if (meter_stored(r->mem, r->app, id, &s->frames[s->frame_count]) == ST_OK)
			s->frame_count++;
		if (live_chunk_look(r->live, id, &chunk) == ST_OK)
			s->chunks[s->chunk_count++] =
			    (struct scrape_chunk){id, chunk_age(&chunk, r->now_ms), chunk.duration_ms};
	}
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* With flat files one that is broken takes its own families only. */
static status bearable(struct request *r, status st)
{
	return st == ST_UNAVAILABLE && !store_is_database(r->store) ? ST_OK : st;
}

static status gather(struct request *r, struct scrape *s)
{
	struct metrics_question q = {.parts = !sees_all(&r->who.scope)};
	json_object *tally[METRICS_TALLIES] = {NULL};

	s->now_ms = r->now_ms;
	s->all_time = !q.parts;
	TRY(bearable(r, lease_expire_often(r->store, r->config, r->mem, r->now_ms)));
	TRY(bearable(r, node_list_visible(r, &s->nodes)));
	TRY(recording_scope(r, &s->scope));
	q.recordings = s->scope;
	name_events(r, &q);
	TRY(store_metrics(r->store, r->mem, &q, tally));
	s->recordings = tally[METRICS_RECORDINGS];
	s->active = tally[METRICS_ACTIVE];
	s->jobs = tally[METRICS_JOBS];
	s->audit = take_audit(r, s->all_time, tally[METRICS_AUDIT]);
	s->health = tally[METRICS_HEALTH];
	s->health_ever = tally[METRICS_HEALTH_EVER];
	s->uploads = tally[METRICS_UPLOADS];
	s->uploads_due = tally[METRICS_UPLOAD_DUE];
	s->upload_failures = tally[METRICS_UPLOAD_FAILURES];
	if (!s->all_time)
		TRY(reduce(r, s, tally));
	gather_live(r, s);
	return ST_OK;
}

status scrape_gather(struct request *r, struct scrape *s)
{
	int64_t age_ms;
	status st = gather(r, s);

	/* What was last known is no measurement (D-96). */
	return st == ST_OK && store_degraded(r->store, &age_ms) ? ST_UNAVAILABLE : st;
}
