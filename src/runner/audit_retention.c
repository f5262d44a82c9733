#include "runner/audit_retention.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/system_event.h"

#define DAY_MS 86400000LL
#define BETWEEN_PASSES_MS 3600000

/* How many there are to go. Flat files find out while they delete. */
static status count_old(struct app *app, const void *ctx, int64_t older_than_ms, int64_t *count)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "createdAt", Q_LT, clock_iso_dup(ctx, older_than_ms));
	q.limit = 0;
	q.want_total = true;
	TRY(store_list(app->store, ctx, &model_audit_events, &q, &page));
	*count = page.total;
	return ST_OK;
}

static json_object *pass_event(struct app *app, const void *ctx, int64_t older_than_ms, int64_t count)
{
	json_object *details = json_new_object(ctx), *events = json_new_array(ctx);
	struct system_event e = {
	    .actor_id = "system:audit_retention",
	    .actor_name = "Audit retention",
	    .action = "audit.retention.succeeded",
	    .permission = PERM_NONE,
	    .target = {.type = "controller"},
	    .details = details,
	};

	if (count >= 0)
		json_set_int(details, "deletedCount", count);
	json_set_iso(details, "olderThan", older_than_ms);
	json_set_int(details, "retentionDays", config_int(app->config, CFG_AUDIT_RETENTION_DAYS));
	json_push_ref(events, system_event(ctx, clock_now_ms(), &e));
	return events;
}

static status first_batch(struct app *app, const void *ctx, struct audit_retention *state, int64_t *removed)
{
	int64_t older_than_ms = clock_now_ms() - config_int(app->config, CFG_AUDIT_RETENTION_DAYS) * DAY_MS;
	int64_t count = -1;

	*removed = 0;
	if (store_is_database(app->store)) {
		TRY(count_old(app, ctx, older_than_ms, &count));
		if (count == 0)
			return ST_OK;
	}
	TRY(store_audit_prune(app->store, older_than_ms, AUDIT_RETENTION_BATCH,
	                      pass_event(app, ctx, older_than_ms, count), removed));
	state->older_than_ms = older_than_ms;
	return ST_OK;
}

status audit_retention_tick(struct app *app, struct audit_retention *state)
{
	void *ctx;
	int64_t removed;
	status st;

	if (config_int(app->config, CFG_AUDIT_RETENTION_DAYS) == 0 ||
	    (state->older_than_ms == 0 && clock_mono_ms() < state->next_pass_ms))
		return ST_OK;
	ctx = talloc_new(NULL);
	st = state->older_than_ms == 0
	         ? first_batch(app, ctx, state, &removed)
	         : store_audit_prune(app->store, state->older_than_ms, AUDIT_RETENTION_BATCH, NULL, &removed);
	talloc_free(ctx);
	if (st == ST_OK && removed > 0)
		log_info("audit retention: %lld events deleted", (long long)removed);
	if (st != ST_OK || removed < AUDIT_RETENTION_BATCH || !store_is_database(app->store)) {
		state->older_than_ms = 0;
		state->next_pass_ms = clock_mono_ms() + BETWEEN_PASSES_MS;
	}
	return st;
}
