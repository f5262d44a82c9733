/* Starting and stopping a recording by hand (contract 03 3.8 to 3.10; 09 D-09, D-11, D-17, D-34). */
#include "api/job_lookup.h"
#include "api/node_lookup.h"
#include "api/recording_lookup.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/capture.h"
#include "model/enums.h"
#include "model/schema.h"
#include "runner/lease.h"

#include <string.h>

#define DEFAULT_PROFILE "voice-mp3-vbr"
#define DEFAULT_RETENTION "retention-keep-controller-cache"
#define DEFAULT_UPLOAD "upload-policy-stub"
#define CAPACITY_MAX 128

/* ---- body -------------------------------------------------------------------------------------------------------- */

#define BODY_TEXT(n, length, extra)                                                                                    \
	{                                                                                                              \
		.name = (n), .type = V_STR, .flags = S_TRIM | (extra), .min = 1, .max = (length)                       \
	}

static const struct schema_field tag = BODY_TEXT("tag", 48, 0);
static const struct schema_field body_fields[] = {
    {.name = "captureBackend", .type = V_ENUM, .values = enum_capture_backend},
    BODY_TEXT("captureInterfaceId", 160, 0),
    BODY_TEXT("folder", 240, 0),
    BODY_TEXT("name", 240, 0),
    BODY_TEXT("nodeId", 160, S_REQUIRED),
    BODY_TEXT("recordingProfileId", 160, 0),
    BODY_TEXT("retentionPolicyId", 160, 0),
    {.name = "tags", .type = V_ARRAY, .max = 32, .item = &tag},
    BODY_TEXT("uploadPolicyId", 160, 0),
};
static const struct schema body_schema = SCHEMA(body_fields, S_STRICT, NULL);

static const struct schema_field node_fields[] = {BODY_TEXT("nodeId", 160, S_REQUIRED)};
static const struct schema node_schema = SCHEMA(node_fields, 0, NULL);

/* The node that the body names, before anybody knows whether the rest of it is right (01 1 "start"). */
static status start_target(struct request *r, struct target *t)
{
	json_object *body, *clean, *issues;

	TRY(req_json(r, &body, NULL));
	*t = TARGET("node", "__invalid_node__", NULL);
	if (schema_check(r->mem, &node_schema, body, &clean, &issues))
		t->id = json_str(clean, "nodeId");
	return ST_OK;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* Everything a start needs to know, collected check by check. */
struct start {
	json_object *body, *node;
	struct target node_target;
	json_object *profile, *retention;
	bool answered; /* a check failed and the reply is set */
};

/* Answers a failed check. */
static status refuse(struct request *r, struct start *w, int code, const char *text, const char *reason,
                     struct target target)
{
	w->answered = true;
	return fail(r, code, text, reason, target, NULL);
}

/* A stored document or the built-in one of that id; *doc NULL if there is neither. */
static status find_setting(struct request *r, const struct model *m, const char *id, json_object **doc)
{
	status s = store_get(r->store, r->mem, m, id, doc);

	if (s == ST_NOT_FOUND)
		*doc = model_builtin(r->mem, m, id);
	return s == ST_NOT_FOUND ? ST_OK : s;
}

/* One id of the body: it exists, and if it was given it is in the caller's scope (09 D-40). */
struct reference {
	const struct model *model;
	const char *key, *fallback, *type, *missing, *reason;
	bool optional; /* the default need not exist */
};

static status check_reference(struct request *r, struct start *w, const struct reference *ref, json_object **doc)
{
	const char *given = json_str(w->body, ref->key);
	const char *id = given != NULL ? given : ref->fallback;
	enum scope_verdict verdict;
	struct target target;

	TRY(find_setting(r, ref->model, id, doc));
	if (*doc == NULL && (given != NULL || !ref->optional))
		return refuse(r, w, 404, ref->missing, ref->reason, w->node_target);
	if (given == NULL)
		return ST_OK;
	target = TARGET(ref->type, id, json_str(*doc, "name"));
	TRY(principal_scope(r->mem, r->store, &r->who, &target, &verdict));
	if (verdict == SCOPE_ALLOWED)
		return ST_OK;
	w->answered = true;
	audit_add(r, &(struct audit){.action = "recordings.start.failed",
	                             .outcome = "denied",
	                             .reason = "missing_resource_scope",
	                             .target = target});
	r->rollback = true;
	return reply_json(r, 403,
	                  details(r, "error", J_STR, "Forbidden", "permission", J_STR, "recording:create", NULL));
}

static const struct reference profile_reference = {&model_profiles,
                                                   "recordingProfileId",
                                                   DEFAULT_PROFILE,
                                                   "recording_profile",
                                                   "Recording profile not found",
                                                   "recording_profile_not_found",
                                                   false};
static const struct reference upload_reference = {&model_upload_policies,
                                                  "uploadPolicyId",
                                                  DEFAULT_UPLOAD,
                                                  "upload_policy",
                                                  "Upload policy not found",
                                                  "upload_policy_not_found",
                                                  true};
static const struct reference retention_reference = {&model_retention_policies,
                                                     "retentionPolicyId",
                                                     DEFAULT_RETENTION,
                                                     "retention_policy",
                                                     "Retention policy not found",
                                                     "retention_policy_not_found",
                                                     true};

static status find_node(struct request *r, struct start *w)
{
	const char *id = json_str(w->body, "nodeId");
	status s = node_find_visible(r, id, &w->node);

	if (s == ST_NOT_FOUND)
		return refuse(r, w, 404, "Node not found", "node_not_found", TARGET("node", id, NULL));
	return s;
}

static status check_node(struct request *r, struct start *w)
{
	const char *id = json_str(w->body, "nodeId");
	const char *interface_id = json_str(w->body, "captureInterfaceId");

	TRY(find_node(r, w));
	if (w->answered)
		return ST_OK;
	w->node_target = TARGET("node", id, json_str(w->node, "alias"));
	if (interface_id != NULL && capture_interface(w->node, interface_id) == NULL)
		return refuse(r, w, 409, "Recording interface not found", "recording_interface_not_found",
		              w->node_target);
	return ST_OK;
}

static status check_references(struct request *r, struct start *w)
{
	json_object *upload;

	TRY(check_reference(r, w, &profile_reference, &w->profile));
	if (!w->answered)
		TRY(check_reference(r, w, &upload_reference, &upload));
	if (!w->answered)
		TRY(check_reference(r, w, &retention_reference, &w->retention));
	return ST_OK;
}

/* ---- capacity ---------------------------------------------------------------------------------------------------- */

/* The node's active jobs, newest first, after the end of those whose lease is over. */
static status busy_jobs(struct request *r, const char *node_id, const char **first, int64_t *count)
{
	struct query q;
	struct page page;

	*first = NULL;
	*count = 0;
	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, node_id);
	query_where_in(&q, "status", job_active_states, 3);
	TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		json_object *job = json_object_array_get_idx(page.docs, i);
		bool ended;

		TRY(lease_expire(r->store, r->config, r->mem, r->now_ms, job, &ended));
		if (ended)
			continue;
		if (*first == NULL)
			*first = json_str(job, "id");
		(*count)++;
	}
	return ST_OK;
}

/*
 * Counts and starts of one node come one after the other: the lock is held until the start is committed (D-17). The
 * node is looked at again under it, for a job of one that has been removed would wait for ever.
 */
static status check_capacity(struct request *r, struct start *w)
{
	const char *node_id = json_str_or(w->node, "id", ""), *first;
	int64_t max, busy;

	TRY(store_lock(r->store, mem_printf(r->mem, "node:%s", node_id)));
	TRY(find_node(r, w));
	if (w->answered)
		return ST_OK;
	max = json_int(node_capacity(r->mem, w->node), "maxConcurrentRecordings", 1);
	max = max < 1 ? 1 : max > CAPACITY_MAX ? CAPACITY_MAX : max;
	TRY(busy_jobs(r, node_id, &first, &busy));
	if (busy < max)
		return ST_OK;
	w->answered = true;
	fail(r, 409, "", "active_recording_job_exists", TARGET("recording_job", first, NULL), NULL);
	return reply_json(r, 409,
	                  details(r, "error", J_STR, "Recorder node already has an active recording job",
	                          "activeJobCount", J_INT, busy, "jobId", J_STR, first, "maxConcurrentRecordings",
	                          J_INT, max, "reason", J_STR, "active_recording_job_exists", NULL));
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static json_object *start_tags(struct request *r, json_object *body)
{
	json_object *tags = json_array(body, "tags");

	if (tags != NULL)
		return recording_unique(r, tags);
	tags = json_new_array(r->mem);
	json_push_str(tags, "ad-hoc");
	json_push_str(tags, "voice");
	return tags;
}

static json_object *new_recording(struct request *r, const struct start *w)
{
	json_object *doc = json_new_object(r->mem);
	const char *now = clock_iso_dup(r->mem, r->now_ms); /* 2026-06-20T09:15:04.120Z */
	const char *room = json_str_or(json_object_at(w->node, "location"), "room", "");
	const char *folder = json_str(w->body, "folder"), *name = json_str(w->body, "name");

	if (folder == NULL)
		folder = mem_printf(r->mem, "Ad Hoc/%.4s/%.2s/%s", now, now + 5, room);
	if (name == NULL)
		name = mem_printf(r->mem, "%.10s_%.5s_Ad Hoc_%s", now, now + 11, json_str_or(w->node, "alias", ""));
	json_set_bool(doc, "cached", false);
	json_set_int(doc, "durationSeconds", 0);
	json_set_str(doc, "folder", folder);
	json_set_str(doc, "healthStatus", "unknown");
	json_set_str(doc, "id", id_new(r->mem, "rec_"));
	json_set_str(doc, "name", name);
	json_set_str_opt(doc, "nodeId", json_str(w->node, "id"));
	json_set_str(doc, "recordedAt", now);
	json_set_str(doc, "recordingProfileId", json_str_or(w->body, "recordingProfileId", DEFAULT_PROFILE));
	json_set_str(doc, "retentionPolicyId", json_str_or(w->body, "retentionPolicyId", DEFAULT_RETENTION));
	json_set_str(doc, "source", "ad_hoc");
	json_set_str(doc, "status", "recording");
	json_set_ref(doc, "tags", start_tags(r, w->body));
	json_set_str(doc, "uploadPolicyId", json_str_or(w->body, "uploadPolicyId", DEFAULT_UPLOAD));
	return doc;
}

static struct capture_defaults capture_defaults(const struct config *c)
{
	return (struct capture_defaults){
	    .channels = config_int(c, CFG_CAPTURE_CHANNELS),
	    .sample_rate = config_int(c, CFG_CAPTURE_SAMPLE_RATE),
	    .seconds = config_int(c, CFG_CAPTURE_SECONDS),
	    .device = config_str(c, CFG_CAPTURE_DEVICE),
	    .format = config_str(c, CFG_CAPTURE_FORMAT),
	    .interface_id = config_str(c, CFG_CAPTURE_INTERFACE_ID),
	};
}

/*
 * The assignment that concerns this capture, and its template, as the one-element lists that the command is built of.
 */
static status load_channel_map(struct request *r, struct capture_input *in)
{
	const char *node_id = json_str_or(in->node, "id", "");
	const char *interface_id = capture_interface_id(in->node, in->interface_id, in->defaults.interface_id);
	const char *targets[] = {node_id, interface_id};
	json_object *assignment, *template;
	struct query q;
	struct page page;
	status s;

	query_init(&q);
	query_where_in(&q, "targetId", targets, interface_id != NULL ? 2 : 1);
	TRY(store_list(r->store, r->mem, &model_channel_map_assignments, &q, &page));
	in->assignments = page.docs;
	assignment = capture_assignment(page.docs, interface_id, node_id);
	if (assignment == NULL)
		return ST_OK;
	s = store_get(r->store, r->mem, &model_channel_map_templates, json_str_or(assignment, "templateId", ""),
	              &template);
	if (s == ST_OK) {
		in->templates = json_new_array(r->mem);
		json_push_ref(in->templates, template);
	}
	return s == ST_NOT_FOUND ? ST_OK : s;
}

static json_object *new_job(struct request *r, json_object *recording, json_object *command)
{
	json_object *job = json_new_object(r->mem);

	json_set_ref(job, "command", command);
	json_set_iso(job, "createdAt", r->now_ms);
	json_set_str(job, "id", id_new(r->mem, "job_"));
	json_set_str(job, "nodeId", json_str_or(recording, "nodeId", NODE_DEMO_ID));
	json_set_str_opt(job, "recordingId", json_str(recording, "id"));
	json_set_str(job, "status", "queued");
	return job;
}

static void audit_start(struct request *r, const struct start *w, json_object *recording, json_object *job)
{
	json_object *d = details(r, "captureBackend", J_STR, json_str(w->body, "captureBackend"), "captureInterfaceId",
	                         J_STR, json_str(w->body, "captureInterfaceId"), "jobCommand", J_REF,
	                         json_get(job, "command"), "jobStatus", J_STR, "queued", "profileId", J_STR,
	                         json_str(recording, "recordingProfileId"), "source", J_STR, "ad_hoc", NULL);

	audit_add(r, &(struct audit){.target = recording_target(recording),
	                             .details = d,
	                             .correlation = details(r, "jobId", J_STR, json_str(job, "id"), "recordingId",
	                                                    J_STR, json_str(recording, "id"), NULL)});
}

static status start_checked(struct request *r, struct start *w)
{
	json_object *recording = new_recording(r, w), *job, *reply = json_new_object(r->mem);
	struct capture_input in = {
	    .node = w->node,
	    .recording = recording,
	    .backend = json_str(w->body, "captureBackend"),
	    .interface_id = json_str(w->body, "captureInterfaceId"),
	    .profile = w->profile,
	    .retention = w->retention,
	    .defaults = capture_defaults(r->config),
	};

	TRY(load_channel_map(r, &in));
	TRY(check_capacity(r, w));
	if (w->answered)
		return ST_OK;
	job = new_job(r, recording, capture_command(r->mem, &in));
	TRY(store_insert(r->store, r->mem, &model_recordings, recording, NULL));
	TRY(store_insert(r->store, r->mem, &model_jobs, job, NULL));
	audit_start(r, w, recording, job);
	json_set_ref(reply, "data", recording);
	json_set_ref(reply, "job", job);
	return reply_json(r, 202, reply);
}

static status start(struct request *r)
{
	struct start w = {.answered = false};
	json_object *body, *issues;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &body_schema, body, &w.body, &issues))
		return fail_issues(r, "Invalid recording start request", issues, "invalid_request",
		                   TARGET("node", NULL, NULL), NULL);
	TRY(check_node(r, &w));
	if (!w.answered)
		TRY(check_references(r, &w));
	return w.answered ? ST_OK : start_checked(r, &w);
}

/* ---- stop -------------------------------------------------------------------------------------------------------- */

#define STOP_TRIES 3

/* Stops the newest job of the recording that can be stopped; *job NULL if there is none. */
static status stop_newest_job(struct request *r, const char *recording_id, json_object **job)
{
	static const char *const stoppable[] = {"queued", "running"};
	struct query q;
	struct page page;

	*job = NULL;
	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, recording_id);
	query_where_in(&q, "status", stoppable, 2);
	q.limit = 1;
	for (int i = 0; i < STOP_TRIES; i++) { /* it may be claimed, or end, between the look and the step */
		status s;

		TRY(store_list(r->store, r->mem, &model_jobs, &q, &page));
		if (page.count == 0)
			return ST_OK;
		s = job_stop(r, json_object_array_get_idx(page.docs, 0), job);
		if (s != ST_CONFLICT)
			return s;
	}
	return ST_OK;
}

static json_object *stop_state(struct request *r, json_object *recording)
{
	return details(r, "cached", J_BOOL, json_flag(recording, "cached", false), "status", J_STR,
	               json_str(recording, "status"), NULL);
}

static status stop(struct request *r)
{
	const char *id = req_param(r, "recordingId");
	json_object *before, *after, *job;
	status s = recording_find(r, id, &before);

	if (s == ST_NOT_FOUND)
		return fail(r, 404, "Recording not found", "recording_not_found", TARGET("recording", id, NULL), NULL);
	if (s != ST_OK)
		return s;
	TRY(stop_newest_job(r, id, &job));
	TRY(job_stop_recording(r, id, &after));
	audit_add(
	    r, &(struct audit){
	           .target = recording_target(after),
	           .before = stop_state(r, before),
	           .after = stop_state(r, after),
	           .correlation = details(r, "jobId", J_STR, json_str(job, "id"), "recordingId", J_STR, id, NULL),
	           .details = details(r, "jobStatus", J_STR, job != NULL ? "stop_requested" : "no_active_job", NULL)});
	return reply_data(r, 200, after);
}

const struct route recording_start_routes[] = {
    {.method = "POST",
     .path = "/api/v1/recordings",
     .guard = GUARD_USER,
     .permission = PERM_RECORDING_CREATE,
     .action = "recordings.start",
     .target_type = "node",
     .target = start_target,
     .handler = start},
    {.method = "POST",
     .path = "/api/v1/recordings/:recordingId/stop",
     .guard = GUARD_USER,
     .permission = PERM_RECORDING_CONTROL,
     .action = "recordings.stop",
     .target_type = "recording",
     .target_param = "recordingId",
     .handler = stop,
     .prefetch = &model_recordings,
     .prefetch_param = "recordingId"},
    {0},
};
