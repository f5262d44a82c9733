#include "runner/lifecycle.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/system_event.h"

#define SLACK_MS 30000 /* between the end of a call and the job that says so */

bool lifecycle_lost(json_object *job, int64_t started_ms, int64_t timeout_ms, int64_t now_ms)
{
	int64_t requested;

	if (!text_equal(json_str(job, "status"), "running"))
		return false;
	if (!clock_parse(json_str_or(job, "requestedAt", ""), CLOCK_LENIENT, &requested))
		return true;
	return requested < started_ms || requested + timeout_ms + SLACK_MS < now_ms;
}

static json_object *event_of(const void *ctx, int64_t now_ms, json_object *job)
{
	json_object *details = json_new_object(ctx), *correlation = json_new_object(ctx);
	const char *action = json_str(job, "action");

	json_set_str(details, "action", action);
	json_set_str(details, "status", "failed");
	json_set_str_opt(details, "targetHost", json_str(job, "targetHost"));
	json_set_str_opt(correlation, "nodeLifecycleJobId", json_str(job, "id"));
	return system_event(
	    ctx, now_ms,
	    &(struct system_event){
	        .actor_id = "system:lifecycle-runner",
	        .actor_name = "Rakkr Lifecycle Runner",
	        .action = mem_printf(ctx, "nodes.lifecycle.%s.failed", action),
	        .outcome = "failed",
	        .reason = LIFECYCLE_INTERRUPTED,
	        .permission = PERM_NODE_MANAGE,
	        .target = {.type = "node", .id = json_str(job, "nodeId"), .name = json_str(job, "nodeAlias")},
	        .details = details,
	        .correlation = correlation,
	    });
}

static status end_job(struct app *app, const void *ctx, int64_t now_ms, json_object *job, json_object *events)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	json_set_iso(patch, "completedAt", now_ms);
	json_set_str(patch, "error", LIFECYCLE_INTERRUPTED);
	json_set_str(patch, "status", "failed");
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(job, "id"));
	query_where(&q, "status", Q_EQ, "running");
	TRY(store_update(app->store, ctx, &model_lifecycle_jobs, &q, patch, &page, NULL));
	if (page.count > 0)
		json_push_ref(events, event_of(ctx, now_ms, job));
	return ST_OK;
}

static status end_lost(struct app *app, const void *ctx, int64_t now_ms, json_object *events)
{
	int64_t timeout_ms = config_int(app->config, CFG_ANSIBLE_RUNNER_TIMEOUT_MS);
	int64_t started_ms = live_started_ms(app->live);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "status", Q_EQ, "running");
	TRY(store_list(app->store, ctx, &model_lifecycle_jobs, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		json_object *job = json_object_array_get_idx(page.docs, i);

		if (lifecycle_lost(job, started_ms, timeout_ms, now_ms))
			TRY(end_job(app, ctx, now_ms, job, events));
	}
	return ST_OK;
}

status lifecycle_tick(struct app *app)
{
	void *ctx = talloc_new(NULL);
	json_object *events = json_new_array(ctx);
	status st = end_lost(app, ctx, clock_now_ms(), events);
	size_t n = json_object_array_length(events);

	if (st == ST_OK && n > 0) {
		st = store_commit(app->store, events, true);
		log_warn("%zu lifecycle jobs had been interrupted: failed", n);
	} else {
		store_rollback(app->store);
	}
	talloc_free(ctx);
	return st;
}
