#include "runner/lease.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "runner/job_terminal.h"
#include "transfer/cache.h"

#define PASS_PAUSE_MS 1000
#define SWEEP_PAUSE_MS (60 * 1000)
#define SWEEP_KEPT_SECONDS 3600

static const char *const leased[] = {"running", "stop_requested"};

int64_t lease_ms(const struct config *c)
{
	return config_int(c, CFG_JOB_LEASE_SECONDS) * 1000;
}

/* A stored time; false if the job has none that can be read. */
static bool job_time(json_object *job, const char *key, int64_t *ms)
{
	const char *text = json_str(job, key);

	return text != NULL && clock_parse(text, CLOCK_LENIENT, ms);
}

static bool running(json_object *job)
{
	return text_equal(json_str(job, "status"), "running");
}

bool lease_over(const struct config *c, json_object *job, int64_t now_ms)
{
	static const char *const anchors[] = {"lastHeartbeatAt", "startedAt", "createdAt"};
	int64_t at;

	if (text_equal(json_str(job, "status"), "stop_requested"))
		return job_time(job, "stopRequestedAt", &at) && at + lease_ms(c) <= now_ms;
	if (!running(job))
		return false;
	if (job_time(job, "leaseExpiresAt", &at))
		return at <= now_ms;
	for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++)
		if (job_time(job, anchors[i], &at))
			return at + lease_ms(c) <= now_ms;
	return false;
}

/* Matches the job only as long as no heartbeat or other end has come in between. */
static void guard(const struct config *c, const void *ctx, int64_t now_ms, struct query *q, json_object *job)
{
	const char *now = clock_iso_dup(ctx, now_ms);

	query_init(q);
	query_where(q, "id", Q_EQ, json_str_or(job, "id", ""));
	if (!running(job)) {
		query_where(q, "status", Q_EQ, "stop_requested");
		query_where(q, "stopRequestedAt", Q_LE, clock_iso_dup(ctx, now_ms - lease_ms(c)));
		return;
	}
	query_where(q, "status", Q_EQ, "running");
	if (json_str(job, "leaseExpiresAt") != NULL)
		query_where(q, "leaseExpiresAt", Q_LE, now);
	else
		query_where(q, "leaseExpiresAt", Q_ABSENT, NULL);
}

status lease_expire(struct store *s, const struct config *c, const void *ctx, int64_t now_ms, json_object *job,
                    bool *ended)
{
	bool was_running = running(job);
	struct job_terminal result;
	struct query q;
	struct page page;
	json_object *patch;

	*ended = false;
	if (!lease_over(c, job, now_ms))
		return ST_OK;
	patch = json_new_object(ctx);
	json_set_iso(patch, "completedAt", now_ms);
	json_set_str(patch, "failureReason", was_running ? "lease_expired" : "stop_request_lease_expired");
	json_set_str(patch, "status", was_running ? "failed" : "cancelled");
	guard(c, ctx, now_ms, &q, job);
	TRY(store_update(s, ctx, &model_jobs, &q, patch, &page, NULL));
	if (page.count == 0)
		return ST_OK;
	*ended = true;
	return job_terminal(s, ctx, now_ms, json_object_array_get_idx(page.docs, 0), &result);
}

status lease_expire_all(struct store *s, const struct config *c, const void *ctx, int64_t now_ms, size_t *ended)
{
	struct query q;
	struct page page;

	*ended = 0;
	query_init(&q);
	query_where_in(&q, "status", leased, sizeof(leased) / sizeof(leased[0]));
	TRY(store_list(s, ctx, &model_jobs, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		bool over;

		TRY(lease_expire(s, c, ctx, now_ms, json_object_array_get_idx(page.docs, i), &over));
		*ended += over;
	}
	return ST_OK;
}

status lease_expire_often(struct store *s, const struct config *c, const void *ctx, int64_t now_ms)
{
	static int64_t last = -PASS_PAUSE_MS;
	int64_t now = clock_mono_ms();
	size_t ended;

	if (now - last < PASS_PAUSE_MS)
		return ST_OK;
	last = now;
	return lease_expire_all(s, c, ctx, now_ms, &ended);
}

static void sweep(const struct config *c)
{
	static int64_t next;
	int64_t now = clock_mono_ms();
	int swept;

	if (now < next)
		return;
	next = now + SWEEP_PAUSE_MS;
	swept = cache_sweep(config_str(c, CFG_RECORDING_CACHE_DIR), SWEEP_KEPT_SECONDS);
	if (swept > 0)
		log_info("removed the remains of %d interrupted uploads", swept);
}

status lease_tick(struct app *app)
{
	void *ctx = talloc_new(NULL);
	size_t ended;
	status result = lease_expire_all(app->store, app->config, ctx, clock_now_ms(), &ended);

	if (result == ST_OK)
		result = store_commit(app->store, NULL, true);
	else
		store_rollback(app->store);
	if (result != ST_OK)
		log_warn("job lease pass: %s", status_name(result));
	talloc_free(ctx);
	sweep(app->config);
	return result;
}
