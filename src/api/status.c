#include "api/status.h"

#include "api/node_lookup.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

/* ---- GET /healthz, GET /readyz ----------------------------------------------------------------------------------- */

static status healthz(struct request *r)
{
	json_object *body = json_new_object(r->mem);

	json_set_bool(body, "ok", true);
	json_set_str(body, "service", "rakkr-api");
	json_set_iso(body, "startedAt", live_started_ms(r->live));
	return reply_json(r, 200, body);
}

static status readyz(struct request *r)
{
	json_object *body = json_new_object(r->mem);
	const char *reason = NULL;
	bool ready = store_ping(r->store, &reason) == ST_OK;

	json_set_bool(body, "ok", ready);
	if (!ready)
		json_set_str(body, "reason", reason != NULL ? reason : "database_unavailable");
	if (!ready && live_read(r->live, LIVE_DATABASE_DOWN) != 0)
		json_set_iso(body, "since", live_read(r->live, LIVE_DATABASE_DOWN_SINCE));
	return reply_json(r, ready ? 200 : 503, body);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

/* Numbers by value, {"online":2,...}. */
static void tally_add(json_object *tally, const char *value, int64_t n)
{
	if (value != NULL)
		json_set_int(tally, value, json_int(tally, value, 0) + n);
}

static int64_t tally_total(json_object *tally)
{
	int64_t total = 0;

	json_object_object_foreach(tally, value, n)
	{
		(void)value;
		total += json_object_get_int64(n);
	}
	return total;
}

/* Copies tally[value] to out[key] for pairs "key", "value", ..., NULL. */
static void copy_counts(json_object *out, json_object *tally, const char *const *pairs)
{
	for (; *pairs != NULL; pairs += 2)
		json_set_int(out, pairs[0], json_int(tally, pairs[1], 0));
}

static status tally_of(struct request *r, const struct model *m, const struct query *q, const char *field,
                       json_object **tally)
{
	json_object *counts;

	TRY(store_count_by(r->store, r->mem, m, q, field, &counts));
	*tally = json_new_object(r->mem);
	for (size_t i = 0; i < json_object_array_length(counts); i++) {
		json_object *c = json_object_array_get_idx(counts, i), *value = json_get(c, "value");

		/* booleans may come as such or as text; their text is the same */
		tally_add(*tally, value != NULL ? json_object_get_string(value) : "", json_int(c, "count", 0));
	}
	return ST_OK;
}

/* ---- nodes and recordings ---------------------------------------------------------------------------------------- */

static status count_nodes(struct request *r, json_object *out)
{
	static const char *const pairs[] = {
	    "alertingNodes", "alerting",       "degradedNodes", "degraded", "offlineNodes", "offline", "onlineNodes",
	    "online",        "recordingNodes", "recording",     NULL};
	json_object *nodes, *tally = json_new_object(r->mem);

	TRY(node_list_visible(r, &nodes));
	for (size_t i = 0; i < json_object_array_length(nodes); i++)
		tally_add(tally, json_str(json_object_array_get_idx(nodes, i), "status"), 1);
	json_set_int(out, "nodeCount", (int64_t)json_object_array_length(nodes));
	copy_counts(out, tally, pairs);
	return ST_OK;
}

static status count_recordings(struct request *r, const struct row_scope *scope, json_object *out)
{
	static const char *const pairs[] = {"activeRecordings",
	                                    "recording",
	                                    "completedRecordings",
	                                    "completed",
	                                    "failedRecordings",
	                                    "failed",
	                                    "queuedRecordings",
	                                    "queued",
	                                    "uploadedRecordings",
	                                    "uploaded",
	                                    NULL};
	json_object *by_status, *by_cached;
	struct query q;

	query_init(&q);
	q.scope = scope;
	TRY(tally_of(r, &model_recordings, &q, "status", &by_status));
	TRY(tally_of(r, &model_recordings, &q, "cached", &by_cached));
	copy_counts(out, by_status, pairs);
	json_set_int(out, "totalRecordings", tally_total(by_status));
	json_set_int(out, "cachedRecordings", json_int(by_cached, "true", 0));
	return ST_OK;
}

/* ---- alerts ------------------------------------------------------------------------------------------------------ */

static void set_alerts(json_object *out, json_object *by_status, json_object *by_severity)
{
	static const char *const statuses[] = {"acknowledgedAlerts", "acknowledged", "openAlerts", "open",
	                                       "suppressedAlerts",   "suppressed",   NULL};
	static const char *const severities[] = {"criticalAlerts", "critical", "warningAlerts", "warning", NULL};

	copy_counts(out, by_status, statuses);
	copy_counts(out, by_severity, severities);
	json_set_int(out, "unresolvedAlerts", tally_total(by_status));
}

static bool set_has(const struct id_set *set, const char *id)
{
	if (id == NULL)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->ids[i], id) == 0)
			return true;
	return set->all;
}

/* The recordings that the events name, by id. */
static status recordings_of(struct request *r, const struct page *events, json_object **by_id)
{
	json_object *seen = json_new_object(r->mem);
	const char **ids = mem_array(r->mem, const char *, events->count + 1);
	struct query q;
	struct page page;
	size_t n = 0;

	*by_id = json_new_object(r->mem);
	for (size_t i = 0; i < events->count; i++) {
		const char *id = json_str(json_object_array_get_idx(events->docs, i), "recordingId");

		if (id != NULL && !json_has(seen, id)) {
			json_set_bool(seen, id, true);
			ids[n++] = id;
		}
	}
	if (n == 0)
		return ST_OK;
	query_init(&q);
	query_where_in(&q, "id", ids, n);
	TRY(store_list(r->store, r->mem, &model_recordings, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		json_object *recording = json_object_array_get_idx(page.docs, i);

		json_set_ref(*by_id, json_str(recording, "id"), recording);
	}
	return ST_OK;
}

/*
 * Visibility of an event (06 2) by the sets of the row scope: the event's recording, schedule and node, and those of
 * its recording. An event without any of them is seen by those who may see the event itself.
 */
static bool event_visible(struct request *r, const struct row_scope *s, json_object *event, json_object *recordings)
{
	struct target self = TARGET("health_event", json_str(event, "id"), NULL);
	enum scope_verdict direct = scope_decide(&r->who.scope, &self, 1);
	const char *recording = json_str(event, "recordingId");
	const char *schedule = json_str(event, "scheduleId"), *node = json_str(event, "nodeId");
	json_object *owner = recording != NULL ? json_get(recordings, recording) : NULL;
	const char *its_schedule = json_str(owner, "scheduleId"), *its_node = json_str(owner, "nodeId");

	if (direct == SCOPE_POLICY_DENIED || s->deny_all)
		return false;
	if (recording == NULL && schedule == NULL && node == NULL)
		return direct == SCOPE_ALLOWED;
	if (set_has(&s->deny_recordings, recording) || set_has(&s->deny_schedules, schedule) ||
	    set_has(&s->deny_schedules, its_schedule) || set_has(&s->deny_nodes, node) ||
	    set_has(&s->deny_nodes, its_node))
		return false;
	return s->allow_all || set_has(&s->allow_recordings, recording) || set_has(&s->allow_schedules, schedule) ||
	       set_has(&s->allow_schedules, its_schedule) || set_has(&s->allow_nodes, node) ||
	       set_has(&s->allow_nodes, its_node);
}

static status count_scoped_alerts(struct request *r, const struct row_scope *scope, struct query *q, json_object *out)
{
	json_object *by_status = json_new_object(r->mem), *by_severity = json_new_object(r->mem), *recordings;
	struct page events;

	TRY(store_list(r->store, r->mem, &model_health_events, q, &events));
	TRY(recordings_of(r, &events, &recordings));
	for (size_t i = 0; i < events.count; i++) {
		json_object *event = json_object_array_get_idx(events.docs, i);

		if (!event_visible(r, scope, event, recordings))
			continue;
		tally_add(by_status, json_str(event, "status"), 1);
		tally_add(by_severity, json_str(event, "severity"), 1);
	}
	set_alerts(out, by_status, by_severity);
	return ST_OK;
}

/* Every figure is about unresolved events, and all of them count, not only the newest (09 D-97). */
static status count_alerts(struct request *r, const struct row_scope *scope, json_object *out)
{
	json_object *by_status, *by_severity;
	struct query q;

	query_init(&q);
	query_where(&q, "status", Q_NE, "resolved");
	if (scope != NULL)
		return count_scoped_alerts(r, scope, &q, out);
	TRY(tally_of(r, &model_health_events, &q, "status", &by_status));
	TRY(tally_of(r, &model_health_events, &q, "severity", &by_severity));
	set_alerts(out, by_status, by_severity);
	return ST_OK;
}

/* ---- the settings that the overview shows
 * ---------------------------------------------------------------------------- */

/* Of the documents in scope the preferred one, else the first; NULL if there is none. */
static status pick_setting(struct request *r, const struct model *m, const char *type, const char *preferred,
                           json_object **doc)
{
	struct query q;
	struct page page;

	*doc = NULL;
	query_init(&q);
	TRY(store_list(r->store, r->mem, m, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		json_object *d = json_object_array_get_idx(page.docs, i);
		struct target target = TARGET(type, json_str(d, "id"), NULL);

		if (scope_decide(&r->who.scope, &target, 1) != SCOPE_ALLOWED)
			continue;
		if (*doc == NULL || text_equal(target.id, preferred))
			*doc = d;
	}
	if (*doc != NULL)
		*doc = model_public(r->mem, m, *doc);
	return ST_OK;
}

static status add_settings(struct request *r, json_object *out)
{
	json_object *profile, *policy;

	if (!principal_may(&r->who, PERM_SETTINGS_READ))
		return ST_OK;
	TRY(pick_setting(r, &model_profiles, "recording_profile", "voice-mp3-vbr", &profile));
	TRY(pick_setting(r, &model_watchdog_policies, "watchdog_policy", "scheduled-voice-watchdog", &policy));
	json_set_ref(out, "recordingProfile", profile);
	json_set_ref(out, "watchdogPolicy", policy);
	return ST_OK;
}

/* ---- GET /api/v1/status ------------------------------------------------------------------------------------------ */

static void audit_status(struct request *r, json_object *out)
{
	static const char *const counts[] = {"activeRecordings", "criticalAlerts",  "nodeCount",
	                                     "openAlerts",       "totalRecordings", "unresolvedAlerts"};
	json_object *d = json_new_object(r->mem);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_set_ref(d, counts[i], json_get(out, counts[i]));
	json_set_bool(d, "canReadSettings", principal_may(&r->who, PERM_SETTINGS_READ));
	json_set_bool(d, "recordingProfileAvailable", json_has(out, "recordingProfile"));
	json_set_bool(d, "watchdogPolicyAvailable", json_has(out, "watchdogPolicy"));
	audit_add(r, &(struct audit){.target = TARGET("controller", NULL, NULL), .details = d, .no_session = true});
}

static status status_read(struct request *r)
{
	json_object *out = json_new_object(r->mem);
	const struct row_scope *scope;

	TRY(principal_row_scope(r->mem, r->store, &r->who, &scope));
	TRY(count_nodes(r, out));
	TRY(count_recordings(r, scope, out));
	TRY(count_alerts(r, scope, out));
	TRY(add_settings(r, out));
	json_set_iso(out, "startedAt", live_started_ms(r->live));
	audit_status(r, out);
	return reply_json(r, 200, out);
}

const struct route status_routes[] = {
    {"GET", "/healthz", GUARD_PUBLIC, PERM_NONE, NULL, .handler = healthz},
    {"GET", "/readyz", GUARD_PUBLIC, PERM_NONE, NULL, .handler = readyz},
    {"GET", "/api/v1/status", GUARD_USER, PERM_NODE_READ, "status.read", .target_type = "controller",
     .handler = status_read},
    {.method = NULL},
};
