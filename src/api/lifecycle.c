#include "api/lifecycle.h"

#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/enums.h"
#include "model/schema.h"
#include "runner/lifecycle.h"
#include "transfer/ansible.h"

static const struct schema_field option_fields[] = {
    {.name = "agentVersion", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 80},
    {.name = "sshUser", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 80},
};
static const struct schema option_schema = SCHEMA(option_fields, S_STRICT, NULL);

/* The first address that says something, else the host name. */
static const char *target_host(json_object *node)
{
	json_object *addresses = json_array(node, "ipAddresses");

	for (size_t i = 0; addresses != NULL && i < json_object_array_length(addresses); i++) {
		json_object *address = json_object_array_get_idx(addresses, i);

		if (json_is_str(address) && !text_blank(json_object_get_string(address)))
			return json_object_get_string(address);
	}
	return json_str_or(node, "hostname", "");
}

static json_object *new_job(struct request *r, json_object *node, const char *action)
{
	json_object *job = json_new_object(r->mem);

	json_set_str(job, "action", action);
	json_set_str(job, "id", id_new(r->mem, "node_lifecycle_"));
	json_set_str(job, "nodeAlias", json_str_or(node, "alias", ""));
	json_set_str(job, "nodeId", json_str(node, "id"));
	json_set_iso(job, "requestedAt", r->now_ms);
	json_set_str(job, "requestedBy", r->who.id);
	json_set_iso(job, "startedAt", r->now_ms);
	json_set_str(job, "status", "running");
	json_set_str(job, "targetHost", target_host(node));
	return job;
}

/*
 * Each run keeps a worker busy until the runner has answered, which may take minutes. One worker at least stays for
 * everybody else: a node whose heartbeat nobody answers cuts its recording short (08 Trap 1).
 */
static status has_room(struct request *r, bool *room)
{
	int64_t timeout_ms = config_int(r->config, CFG_ANSIBLE_RUNNER_TIMEOUT_MS), running = 0;
	int64_t most = config_int(r->config, CFG_WORKERS) - 1;
	struct query q;
	struct page page;

	TRY(store_lock(r->store, "lifecycle"));
	query_init(&q);
	query_where(&q, "status", Q_EQ, "running");
	TRY(store_list(r->store, r->mem, &model_lifecycle_jobs, &q, &page));
	for (size_t i = 0; i < page.count; i++)
		running += !lifecycle_lost(json_object_array_get_idx(page.docs, i), live_started_ms(r->live),
		                           timeout_ms, r->now_ms);
	*room = running < (most > 1 ? most : 1);
	return ST_OK;
}

/* The job must be on disk before the runner begins, so the first half of the request is a unit of work of its own. */
static status save_running(struct request *r, json_object *job)
{
	TRY(store_insert(r->store, r->mem, &model_lifecycle_jobs, job, NULL));
	TRY(store_commit(r->store, r->audit, true));
	r->audit = NULL;
	return ST_OK;
}

static status save_result(struct request *r, json_object *job, json_object *patch, json_object **after)
{
	struct query q;
	struct page page;

	r->now_ms = clock_now_ms();
	json_set_iso(patch, "completedAt", r->now_ms);
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(job, "id"));
	TRY(store_update(r->store, r->mem, &model_lifecycle_jobs, &q, patch, &page, NULL));
	*after = page.count > 0 ? json_object_array_get_idx(page.docs, 0) : job;
	return ST_OK;
}

static status reply_job(struct request *r, struct target target, json_object *job)
{
	bool good = text_equal(json_str(job, "status"), "succeeded");
	const char *action = json_str(job, "action"), *end = good ? "succeeded" : "failed", *reason = NULL;
	json_object *d = details(r, "action", J_STR, action, "exitCode", J_REF, json_get(job, "exitCode"),
	                         "runnerRunId", J_STR, json_str(job, "runnerRunId"), "status", J_STR,
	                         json_str(job, "status"), "targetHost", J_STR, json_str(job, "targetHost"), NULL);

	if (!good)
		reason = json_str_or(job, "error", "ansible_lifecycle_failed");
	audit_add(r, &(struct audit){
	                 .action = mem_printf(r->mem, "nodes.lifecycle.%s.%s", action, end),
	                 .outcome = end,
	                 .reason = reason,
	                 .target = target,
	                 .correlation = details(r, "nodeLifecycleJobId", J_STR, json_str(job, "id"), NULL),
	                 .details = d,
	             });
	return reply_data(r, good ? 202 : 502, model_public(r->mem, &model_lifecycle_jobs, job));
}

static status run(struct request *r, json_object *node, const char *action, json_object *options)
{
	struct target target = TARGET("node", json_str(node, "id"), json_str(node, "alias"));
	json_object *job = new_job(r, node, action), *patch;
	bool room;

	TRY(has_room(r, &room));
	if (!room)
		return fail(r, 503, "Too many node lifecycle runs", "lifecycle_busy", target, NULL);
	TRY(save_running(r, job));
	patch = ansible_run(r->mem, r->config,
	                    &(struct ansible_run){
	                        .action = action,
	                        .host = json_str(job, "targetHost"),
	                        .node_alias = json_str(job, "nodeAlias"),
	                        .node_id = json_str(job, "nodeId"),
	                        .options = options,
	                    });
	TRY(save_result(r, job, patch, &job));
	return reply_job(r, target, job);
}

status node_lifecycle_run(struct request *r)
{
	const char *id = req_param(r, "nodeId"), *action = req_param(r, "action");
	json_object *body, *options, *issues, *node;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &option_schema, body, &options, &issues) || !enum_has(enum_lifecycle_action, action))
		return fail(r, 400, "Invalid node lifecycle request", "invalid_request", TARGET("node", id, NULL),
		            NULL);
	status st = node_find_visible(r, id, &node);
	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, NULL), NULL);
	TRY(st);
	return run(r, node, action, options);
}
