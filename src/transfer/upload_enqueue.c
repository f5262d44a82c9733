#include "transfer/upload_enqueue.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "transfer/cache.h"

static const char *const unsettled[] = {"queued", "retrying", "failed"};

status upload_policy_of(struct store *s, const void *ctx, json_object *recording, json_object **policy)
{
	const char *id = json_str(recording, "uploadPolicyId");
	status result = id != NULL ? store_get(s, ctx, &model_upload_policies, id, policy) : ST_NOT_FOUND;

	if (result == ST_NOT_FOUND) {
		/* Editing the built-in policy does not affect recordings without a policy (05 T5). */
		*policy = model_builtin(ctx, &model_upload_policies, UPLOAD_BUILTIN_POLICY);
		return ST_OK;
	}
	return result;
}

static json_object *new_item(const void *ctx, int64_t now_ms, json_object *recording, const char *reason)
{
	json_object *item = json_new_object(ctx);
	const char *path = json_str(recording, "cachePath"), *id = json_str_or(recording, "id", "");

	json_set_int(item, "attemptCount", 0);
	json_set_str_opt(item, "cachePath", path);
	json_set_str_opt(item, "checksum", json_str(recording, "checksum"));
	json_set_iso(item, "createdAt", now_ms);
	json_set_str(item, "fileName", cache_file_name(ctx, json_str_or(recording, "name", ""), id, path));
	json_set_str(item, "id", id_new(ctx, "upload_"));
	json_set_str(item, "lastError", reason);
	json_set_iso(item, "nextAttemptAt", now_ms);
	json_set_str(item, "recordingId", id);
	json_set_str(item, "status", "queued");
	json_set_iso(item, "updatedAt", now_ms);
	return item;
}

static bool same(json_object *a, const char *a_key, json_object *b, const char *b_key)
{
	return text_equal(json_str(a, a_key), json_str(b, b_key));
}

static bool delivered(json_object *item, json_object *recording, json_object *policy)
{
	return text_equal(json_str(item, "status"), "succeeded") && same(item, "cachePath", recording, "cachePath") &&
	       same(item, "checksum", recording, "checksum") && same(item, "target", policy, "target") &&
	       same(item, "uploadPolicyId", policy, "id");
}

/* A fresh budget, due now, for what the policy says today. */
static status revive(struct store *s, const void *ctx, int64_t now_ms, json_object *recording, json_object *policy,
                     json_object **item)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(*item, "id", ""));
	query_where(&q, "status", Q_EQ, "failed");
	json_set_int(patch, "attemptCount", 0);
	json_set_str_opt(patch, "cachePath", json_str(recording, "cachePath"));
	json_set_str_opt(patch, "checksum", json_str(recording, "checksum"));
	json_set_int(patch, "maxAttempts", json_int(policy, "maxAttempts", 5));
	json_set_iso(patch, "nextAttemptAt", now_ms);
	json_set_str(patch, "status", "retrying");
	if (json_str(policy, "target") != NULL)
		json_set_str(patch, "target", json_str(policy, "target"));
	else
		json_set_null(patch, "target");
	json_set_iso(patch, "updatedAt", now_ms);
	json_set_str_opt(patch, "uploadPolicyId", json_str(policy, "id"));
	TRY(store_update(s, ctx, &model_upload_queue, &q, patch, &page, NULL));
	if (page.count > 0)
		*item = json_object_array_get_idx(page.docs, 0);
	return ST_OK;
}

status upload_enqueue(struct store *s, const void *ctx, int64_t now_ms, json_object *recording, json_object *policy,
                      const char *reason, json_object **item)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, json_str_or(recording, "id", ""));
	query_where(&q, "provider", Q_EQ, json_str_or(policy, "provider", "stub"));
	TRY(store_list(s, ctx, &model_upload_queue, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		const char *state;

		*item = json_object_array_get_idx(page.docs, i);
		state = json_str_or(*item, "status", "");
		if (text_equal(state, "failed"))
			return revive(s, ctx, now_ms, recording, policy, item);
		if (text_equal(state, "queued") || text_equal(state, "retrying") || delivered(*item, recording, policy))
			return ST_OK;
	}
	*item = new_item(ctx, now_ms, recording, reason);
	json_set_int(*item, "maxAttempts", json_int(policy, "maxAttempts", 5));
	json_set_str(*item, "provider", json_str_or(policy, "provider", "stub"));
	json_set_str_opt(*item, "target", json_str(policy, "target"));
	json_set_str_opt(*item, "uploadPolicyId", json_str(policy, "id"));
	return store_insert(s, ctx, &model_upload_queue, *item, NULL);
}

/* Cancels one item if it is still unsettled; *done tells. */
static status cancel(struct store *s, const void *ctx, int64_t now_ms, json_object *item, bool *done)
{
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str_or(item, "id", ""));
	query_where_in(&q, "status", unsettled, sizeof(unsettled) / sizeof(unsettled[0]));
	json_set_str(patch, "status", "cancelled");
	json_set_iso(patch, "updatedAt", now_ms);
	TRY(store_update(s, ctx, &model_upload_queue, &q, patch, &page, NULL));
	*done = page.count > 0;
	return ST_OK;
}

status upload_supersede(struct store *s, const void *ctx, int64_t now_ms, json_object *recording)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "recordingId", Q_EQ, json_str_or(recording, "id", ""));
	query_where_in(&q, "status", unsettled, sizeof(unsettled) / sizeof(unsettled[0]));
	TRY(store_list(s, ctx, &model_upload_queue, &q, &page));
	for (size_t i = 0; i < page.count; i++) {
		json_object *old = json_object_array_get_idx(page.docs, i), *next;
		bool done;

		if (same(old, "cachePath", recording, "cachePath") && same(old, "checksum", recording, "checksum"))
			continue;
		TRY(cancel(s, ctx, now_ms, old, &done));
		if (!done)
			continue;
		next = new_item(ctx, now_ms, recording, json_str_or(old, "lastError", "provider_not_configured"));
		json_set_int(next, "maxAttempts", json_int(old, "maxAttempts", 5));
		json_set_str(next, "provider", json_str_or(old, "provider", "stub"));
		json_set_str_opt(next, "target", json_str(old, "target"));
		json_set_str_opt(next, "uploadPolicyId", json_str(old, "uploadPolicyId"));
		TRY(store_insert(s, ctx, &model_upload_queue, next, NULL));
	}
	return ST_OK;
}
