/* The store handle: forwards each call to its backend (backend.h). */
#include "store/store.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/metrics.h"

struct store {
	const struct backend *ops;
	void *b;
	struct degrade degrade;
};

struct store *store_open(const void *ctx, const struct config *c, const char **error)
{
	struct store *s = mem_new(ctx, struct store);

	if (config_str(c, CFG_DATABASE_URL) != NULL) {
		s->ops = &backend_pg;
		s->b = pg_open(s, c, error);
	} else {
		s->ops = &backend_file;
		s->b = file_open(s, c, error);
	}
	if (s->b == NULL) {
		if (*error != NULL)
			*error = mem_strdup(ctx, *error);
		talloc_free(s);
		return NULL;
	}
	return s;
}

bool store_is_database(const struct store *s)
{
	return s->ops->database;
}

void store_attach(struct store *s, struct live *l)
{
	if (s->ops->attach != NULL)
		s->ops->attach(s->b, l, &s->degrade);
}

void store_degrade_begin(struct store *s, bool allowed)
{
	s->degrade = (struct degrade){.allowed = allowed};
}

bool store_degrade_access(struct store *s, bool on)
{
	bool before = s->degrade.access;

	s->degrade.access = on;
	return before;
}

void store_degrade_note(struct store *s)
{
	s->degrade.noted = true;
}

bool store_degraded(const struct store *s, int64_t *age_ms)
{
	*age_ms = s->degrade.recalled ? clock_mono_ms() - s->degrade.known_ms : 0;
	return s->degrade.recalled || s->degrade.noted;
}

void store_hint(struct store *s, const struct model *m, const char *id)
{
	if (s->ops->hint != NULL)
		s->ops->hint(s->b, m, id);
}

bool store_dirty(const struct store *s)
{
	return s->ops->dirty(s->b);
}

status store_ping(struct store *s, const char **reason)
{
	return s->ops->ping(s->b, reason);
}

status store_get(struct store *s, const void *ctx, const struct model *m, const char *id, json_object **doc)
{
	return s->ops->get(s->b, ctx, m, id, doc);
}

status store_list(struct store *s, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	return s->ops->list(s->b, ctx, m, q, out);
}

status store_count_by(struct store *s, const void *ctx, const struct model *m, const struct query *q, const char *field,
                      json_object **out)
{
	return s->ops->count_by(s->b, ctx, m, q, field, out);
}

status store_counts(struct store *s, const void *ctx, const struct model *m, const struct query *q,
                    const char *const *fields, size_t n, json_object **out)
{
	if (s->ops->counts != NULL)
		return s->ops->counts(s->b, ctx, m, q, fields, n, out);
	for (size_t i = 0; i < n; i++)
		TRY(s->ops->count_by(s->b, ctx, m, q, fields[i], &out[i]));
	return ST_OK;
}

status store_insert(struct store *s, const void *ctx, const struct model *m, json_object *doc, json_object **stored)
{
	return s->ops->insert(s->b, ctx, m, doc, stored);
}

status store_update(struct store *s, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                    struct page *out, json_object **before)
{
	return s->ops->update(s->b, ctx, m, q, patch, out, before);
}

status store_remove(struct store *s, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	return s->ops->remove(s->b, ctx, m, q, out);
}

status store_lock(struct store *s, const char *name)
{
	return s->ops->lock(s->b, name);
}

status store_session_find(struct store *s, const void *ctx, const char *token_hash, int64_t now_ms, json_object **out)
{
	return s->ops->session_find(s->b, ctx, token_hash, now_ms, out);
}

status store_session_create(struct store *s, const void *ctx, json_object *user, json_object *session,
                            const char **session_id)
{
	return s->ops->session_create(s->b, ctx, user, session, session_id);
}

status store_session_revoke(struct store *s, const char *token_hash, int64_t now_ms)
{
	return s->ops->session_revoke(s->b, token_hash, now_ms);
}

status store_sessions_revoke_user(struct store *s, const char *user_id, int64_t now_ms)
{
	return s->ops->sessions_revoke_user(s->b, user_id, now_ms);
}

status store_access_write(struct store *s, const void *ctx, const char *user_id, json_object *roles,
                          json_object *grants, json_object *groups)
{
	return s->ops->access_write(s->b, ctx, user_id, roles, grants, groups);
}

status store_user_create(struct store *s, const void *ctx, json_object *doc, json_object **stored)
{
	return s->ops->user_create(s->b, ctx, doc, stored);
}

status store_policies_replace(struct store *s, const void *ctx, json_object *policies, const char *created_by)
{
	return s->ops->policies_replace(s->b, ctx, policies, created_by);
}

status store_expand(struct store *s, const void *ctx, const char *type, const char *id, struct targets *t)
{
	return s->ops->expand(s->b, ctx, type, id, t);
}

status store_credential_find(struct store *s, const void *ctx, const char *token_hash, int64_t now_ms,
                             json_object **out)
{
	return s->ops->credential_find(s->b, ctx, token_hash, now_ms, out);
}

status store_node_enroll(struct store *s, const void *ctx, json_object *node, json_object *credential,
                         json_object **stored)
{
	return s->ops->node_enroll(s->b, ctx, node, credential, stored);
}

status store_node_heartbeat(struct store *s, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                            json_object **before, json_object **after)
{
	return s->ops->node_heartbeat(s->b, ctx, node_id, beat, now_ms, before, after);
}

status store_interface_update(struct store *s, const void *ctx, const char *node_id, const char *interface_id,
                              json_object *patch, int64_t now_ms, json_object **after)
{
	return s->ops->interface_update(s->b, ctx, node_id, interface_id, patch, now_ms, after);
}

status store_credential_rotate(struct store *s, const void *ctx, const char *node_id, json_object *credential,
                               int64_t now_ms)
{
	return s->ops->credential_rotate(s->b, ctx, node_id, credential, now_ms);
}

status store_health_sync(struct store *s, const void *ctx, const char *recording_id, json_object **doc)
{
	return s->ops->health_sync(s->b, ctx, recording_id, doc);
}

status store_commit(struct store *s, json_object *events, bool durable)
{
	return s->ops->commit(s->b, events, durable);
}

void store_rollback(struct store *s)
{
	s->ops->rollback(s->b);
}

status store_audit_maintain(struct store *s, int64_t *moved)
{
	return s->ops->audit_maintain(s->b, moved);
}

status store_audit_prune(struct store *s, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed)
{
	return s->ops->audit_prune(s->b, before_ms, limit, events, removed);
}

status store_each(struct store *s, const struct model *m, const struct query *q, document_fn each, void *state)
{
	return s->ops->each(s->b, m, q, each, state);
}

bool store_runner_lock(struct store *s)
{
	return s->ops->runner_lock(s->b);
}

status store_metrics(struct store *s, const void *ctx, const struct metrics_question *q,
                     json_object *out[METRICS_TALLIES])
{
	return s->ops->metrics(s->b, ctx, q, out);
}

status store_metrics_recordings(struct store *s, const struct row_scope *scope, int passes, metrics_recording_fn each,
                                void *state)
{
	return s->ops->metrics_recordings(s->b, scope, passes, each, state);
}
