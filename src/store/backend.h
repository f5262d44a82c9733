/* What a store backend provides; same contracts as store.h. */
#ifndef RAKKR_STORE_BACKEND_H
#define RAKKR_STORE_BACKEND_H

#include "store/store.h"

/* How the present request stands to what was last known; set by store.c, marked by the backend. */
struct degrade {
	bool allowed, access; /* see store_degrade_begin() */
	bool recalled;        /* a read was answered from memory */
	bool noted;           /* something beside the store was */
	int64_t known_ms;     /* monotonic: when the oldest answer used was known */
};

struct metrics_question;
struct metrics_recording;

struct backend {
	const char *name;
	bool database;
	void (*attach)(void *b, struct live *l, struct degrade *how); /* may be NULL */
	status (*ping)(void *b, const char **reason);
	status (*get)(void *b, const void *ctx, const struct model *m, const char *id, json_object **doc);
	void (*hint)(void *b, const struct model *m, const char *id); /* may be NULL */
	status (*list)(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);
	status (*count_by)(void *b, const void *ctx, const struct model *m, const struct query *q, const char *field,
	                   json_object **out);
	/* several fields at once; may be NULL */
	status (*counts)(void *b, const void *ctx, const struct model *m, const struct query *q,
	                 const char *const *fields, size_t n, json_object **out);
	status (*insert)(void *b, const void *ctx, const struct model *m, json_object *doc, json_object **stored);
	status (*update)(void *b, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
	                 struct page *out, json_object **before);
	status (*remove)(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);
	status (*lock)(void *b, const char *name);
	status (*session_find)(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
	status (*session_create)(void *b, const void *ctx, json_object *user, json_object *session, const char **id);
	status (*session_revoke)(void *b, const char *hash, int64_t now_ms);
	status (*sessions_revoke_user)(void *b, const char *user_id, int64_t now_ms);
	status (*access_write)(void *b, const void *ctx, const char *user_id, json_object *roles, json_object *grants,
	                       json_object *groups);
	status (*user_create)(void *b, const void *ctx, json_object *doc, json_object **stored);
	status (*policies_replace)(void *b, const void *ctx, json_object *policies, const char *created_by);
	status (*expand)(void *b, const void *ctx, const char *type, const char *id, struct targets *t);
	status (*credential_find)(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
	status (*node_enroll)(void *b, const void *ctx, json_object *node, json_object *credential,
	                      json_object **stored);
	status (*node_heartbeat)(void *b, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
	                         json_object **before, json_object **after);
	status (*interface_update)(void *b, const void *ctx, const char *node_id, const char *interface_id,
	                           json_object *patch, int64_t now_ms, json_object **after);
	status (*credential_rotate)(void *b, const void *ctx, const char *node_id, json_object *credential,
	                            int64_t now_ms);
	status (*health_sync)(void *b, const void *ctx, const char *recording_id, json_object **doc);
	status (*commit)(void *b, json_object *events, bool durable);
	void (*rollback)(void *b);
	bool (*dirty)(void *b);
	status (*audit_maintain)(void *b, int64_t *moved);
	status (*audit_prune)(void *b, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed);
	status (*each)(void *b, const struct model *m, const struct query *q, document_fn each, void *state);
	bool (*runner_lock)(void *b);
	/* metrics.h */
	status (*metrics)(void *b, const void *ctx, const struct metrics_question *q, json_object *out[]);
	status (*metrics_recordings)(void *b, const struct row_scope *scope, int passes,
	                             bool (*each)(void *state, int pass, const struct metrics_recording *r),
	                             void *state);
};

extern const struct backend backend_pg;
extern const struct backend backend_file;

/* Constructors; NULL and *error on a configuration that can never work. */
void *pg_open(const void *ctx, const struct config *c, const char **error);
void *file_open(const void *ctx, const struct config *c, const char **error);

/* Models without a table (plans, retention policies, lifecycle jobs) live in flat files in both modes: the Postgres
   store forwards them to a file backend of its own. */

#endif
