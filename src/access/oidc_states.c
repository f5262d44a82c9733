#include "access/oidc_states.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"

#include <string.h>

static status remove_until(const void *ctx, struct store *s, const char *expires_at)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "expiresAt", Q_LE, expires_at);
	return store_remove(s, ctx, &model_oidc_states, &q, &page);
}

status oidc_states_purge(const void *ctx, struct store *s, int64_t now_ms)
{
	return remove_until(ctx, s, clock_iso_dup(ctx, now_ms));
}

/*
 * Makes room for one more. The oldest go, not the new one: whoever means to shut others out would have to begin all of
 * them anew within the seconds that a person needs.
 */
static status make_room(const void *ctx, struct store *s, int64_t most)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_sort(&q, "expiresAt", true);
	q.offset = most - 1;
	q.limit = 1;
	TRY(store_list(s, ctx, &model_oidc_states, &q, &page));
	if (page.count == 0)
		return ST_OK;
	return remove_until(ctx, s, json_str_or(json_object_array_get_idx(page.docs, 0), "expiresAt", ""));
}

status oidc_state_save(const void *ctx, struct store *s, const struct config *c, const struct oidc_secrets *secrets,
                       const char *return_to, int64_t now_ms)
{
	json_object *doc = json_new_object(ctx);
	char hash[SHA256_HEX_SIZE];

	crypto_sha256_hex(hash, secrets->state, strlen(secrets->state));
	json_set_str(doc, "stateHash", hash);
	json_set_str(doc, "codeVerifier", secrets->verifier);
	json_set_str(doc, "nonce", secrets->nonce);
	json_set_str(doc, "returnTo", return_to);
	json_set_iso(doc, "createdAt", now_ms);
	json_set_iso(doc, "expiresAt", now_ms + OIDC_STATE_SECONDS * INT64_C(1000));
	TRY(oidc_states_purge(ctx, s, now_ms));
	TRY(make_room(ctx, s, config_int(c, CFG_OIDC_STATES_MAX)));
	return store_insert(s, ctx, &model_oidc_states, doc, NULL);
}

status oidc_state_take(const void *ctx, struct store *s, const char *state, int64_t now_ms, json_object **saved)
{
	char hash[SHA256_HEX_SIZE];
	int64_t expires = 0;
	struct query q;
	struct page page;

	crypto_sha256_hex(hash, state, strlen(state));
	query_init(&q);
	query_where(&q, "stateHash", Q_EQ, hash);
	TRY(store_remove(s, ctx, &model_oidc_states, &q, &page));
	TRY(oidc_states_purge(ctx, s, now_ms));
	TRY(store_commit(s, NULL, true));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*saved = json_object_array_get_idx(page.docs, 0);
	if (json_str(*saved, "consumedAt") != NULL ||
	    !clock_parse(json_str_or(*saved, "expiresAt", ""), CLOCK_ISO_Z, &expires) || expires <= now_ms)
		return ST_NOT_FOUND;
	return ST_OK;
}
