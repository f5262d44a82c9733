/*
 * The store: one interface, two backends (Postgres, flat files), chosen by DATABASE_URL.
 *
 * Unit of work: reads may be called at any time. The first writing call opens a unit of work (a transaction; in flat
 * files the store lock with working copies). store_commit() makes all its writes and the audit events given to it
 * durable together and closes it; store_rollback() drops the writes. A worker that dies inside loses all or nothing.
 *
 * Every call takes the arena that owns its results. One store handle belongs to one thread at a time.
 */
#ifndef RAKKR_STORE_STORE_H
#define RAKKR_STORE_STORE_H

#include "base/config.h"
#include "base/status.h"
#include "engine/scope.h"
#include "store/query.h"

struct store;

/*
 * Opens the store of c. Postgres: does not connect yet. Flat files: creates the data folders. Fails (NULL, one clear
 * line in *error owned by ctx) only on a configuration that can never work. Freed with ctx.
 */
struct store *store_open(const void *ctx, const struct config *c, const char **error);

/* True if a database is configured. */
bool store_is_database(const struct store *s);

/* ---- while the database is away (01 T4, 09 D-68) ----------------------------------------------------------------- */

struct live;

/*
 * Shares with the other processes, in live memory, what was last known of the database and whether it is there. Without
 * it (commands) nothing is answered from memory. Called once, after store_open(); flat files need none of it.
 */
void store_attach(struct store *s, struct live *l);

/*
 * A request begins; of the one before nothing is remembered. allowed: reads that fail because the database is away may
 * be answered from what was last known (GET, HEAD). Once one was, every write of the request is ST_UNAVAILABLE: a guard
 * must not rest on what is known no better. Sessions, and whatever is read between store_degrade_access(true) and
 * (false), must have been known RAKKR_AUTH_STALE_SECONDS ago or later. Accounts and policies themselves are not kept.
 */
void store_degrade_begin(struct store *s, bool allowed);
/* Returns what it was before. */
bool store_degrade_access(struct store *s, bool on);
/* The caller answered from its own last knowledge (node credentials). */
void store_degrade_note(struct store *s);
/* True if something was so answered since store_degrade_begin(). *age_ms: of the oldest answer used. */
bool store_degraded(const struct store *s, int64_t *age_ms);

/* ST_OK when usable now; bounded to about 3 s (readiness, D-73). *reason gets a short text when not. */
status store_ping(struct store *s, const char **reason);

/* ---- generic documents ------------------------------------------------------------------------------------------ */

/* One document by id; ST_NOT_FOUND. Reads inside a unit of work see its writes. */
status store_get(struct store *s, const void *ctx, const struct model *m, const char *id, json_object **doc);

/*
 * Announces that (m, id) will be wanted: Postgres sends it with the next statement in one round trip and store_get
 * answers from it. Dropped by store_commit()/store_rollback() and by any write. id is copied.
 */
void store_hint(struct store *s, const struct model *m, const char *id);

/*
 * Gives every document that q matches to each, in q's order, until it returns false; memory does not grow with their
 * number (flat files: with that of the model's, which are in memory anyway). One state of the store is read from the
 * first to the last; a document lives until each returns. each must not call the store. q->limit and q->offset of audit
 * events do not count. Not inside a unit of work.
 */
typedef bool (*document_fn)(void *state, json_object *doc);
status store_each(struct store *s, const struct model *m, const struct query *q, document_fn each, void *state);

status store_list(struct store *s, const void *ctx, const struct model *m, const struct query *q, struct page *out);

/* Number of documents by value of a field (contract facets, status counts): array of {"value","count"}, unordered. */
status store_count_by(struct store *s, const void *ctx, const struct model *m, const struct query *q, const char *field,
                      json_object **out);

/* The same for n fields at once; out[i] belongs to fields[i]. */
status store_counts(struct store *s, const void *ctx, const struct model *m, const struct query *q,
                    const char *const *fields, size_t n, json_object **out);

/*
 * Inserts doc. ST_CONFLICT if the id exists (nothing changes). Text longer than a column is ST_INVALID.
 * *stored (may be NULL) is the document as it reads back.
 */
status store_insert(struct store *s, const void *ctx, const struct model *m, json_object *doc, json_object **stored);

/*
 * Updates every document that q matches (filters, limit and sort count; use limit 1 + sort to take the first) in one
 * conditional step: members of patch replace fields, JSON null clears them, fields not in patch stay.
 * out->docs are the documents after the update; out->count 0 is not an error.
 * before (may be NULL): the documents as they were, in the same order.
 */
status store_update(struct store *s, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                    struct page *out, json_object **before);

/* Removes every document that q matches; out->docs are the removed ones. */
status store_remove(struct store *s, const void *ctx, const struct model *m, const struct query *q, struct page *out);

/* Serialises with everyone else who locks the same name until the end of the unit of work (node capacity, ...). */
status store_lock(struct store *s, const char *name);

/* ---- access ------------------------------------------------------------------------------------------------------ */

/*
 * The session of a token hash: not revoked, not expired at now_ms, user not disabled; ST_NOT_FOUND otherwise.
 * *out =
 * {"sessionId","user":{id,email,name,provider,roles[],groups[{id,name}],resourceGrants[{resourceType,resourceId}]},
 *         "roleRows":bool, "policiesStored":bool, "policies":[{effect,resourceType,resourceId}] (subject matches the
 * user)} Notes last use (throttled, never fails the call).
 */
status store_session_find(struct store *s, const void *ctx, const char *token_hash, int64_t now_ms, json_object **out);

/*
 * Login: creates the user row when user.id has none ({id,email,name,provider,passwordHash?}), then the session
 * {tokenHash,userId,expiresAt,ipAddress?,userAgent?}. groups/grants of user are inserted if missing. *session_id: row
 * id.
 */
status store_session_create(struct store *s, const void *ctx, json_object *user, json_object *session,
                            const char **session_id);

/* Revokes one session by hash, or all of a user. */
status store_session_revoke(struct store *s, const char *token_hash, int64_t now_ms);
status store_sessions_revoke_user(struct store *s, const char *user_id, int64_t now_ms);

/* Replaces roles, grants and groups of a user row in one step (contract 07 2.3 write access). ST_NOT_FOUND: no row. */
status store_access_write(struct store *s, const void *ctx, const char *user_id, json_object *roles,
                          json_object *grants, json_object *groups);

/* Inserts a user with roles, grants, groups; ST_CONFLICT if the e-mail is taken. doc has passwordHash. */
status store_user_create(struct store *s, const void *ctx, json_object *doc, json_object **stored);

/* Replaces the whole policy list (array of inputs); created_by may be NULL. */
status store_policies_replace(struct store *s, const void *ctx, json_object *policies, const char *created_by);

/*
 * Adds to t every target of contract 01 11.2 that (type, id) expands to, itself first. One round trip.
 */
status store_expand(struct store *s, const void *ctx, const char *type, const char *id, struct targets *t);

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* Node credential by token hash, unrevoked: {"id","nodeId"}; ST_NOT_FOUND. Notes last use (throttled). */
status store_credential_find(struct store *s, const void *ctx, const char *token_hash, int64_t now_ms,
                             json_object **out);

/*
 * Enrolls in one step: node document (with interfaces and channels, ids given), credential {id,nodeId,tokenHash,
 * tokenPrefix,createdAt,createdByUserId?}. *node is the record as it reads back.
 */
status store_node_enroll(struct store *s, const void *ctx, json_object *node, json_object *credential,
                         json_object **stored);

/*
 * Heartbeat: beat {agentVersion,hostname,ipAddresses[],status,runtime?}; last seen = now_ms. Only these fields change
 * (D-23). ST_NOT_FOUND: no such node. *before and *after are full node documents (stored status, no liveness).
 */
status store_node_heartbeat(struct store *s, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                            json_object **before, json_object **after);

/*
 * Interface edit: patch as store_update plus "channels" [{index,alias}] that rename existing channels.
 * ST_NOT_FOUND: the node has no such interface. *after is the whole node.
 */
status store_interface_update(struct store *s, const void *ctx, const char *node_id, const char *interface_id,
                              json_object *patch, int64_t now_ms, json_object **after);

/* Rotation: locks the node, revokes all its credentials, inserts the new one. ST_NOT_FOUND: no such node. */
status store_credential_rotate(struct store *s, const void *ctx, const char *node_id, json_object *credential,
                               int64_t now_ms);

/* ---- recordings -------------------------------------------------------------------------------------------------- */

/*
 * healthStatus of a recording from its unresolved events (D-94): critical, warning or healthy; written only if
 * different. *doc (may be NULL) is the recording afterwards; ST_NOT_FOUND: no such recording.
 */
status store_health_sync(struct store *s, const void *ctx, const char *recording_id, json_object **doc);

/* ---- audit ------------------------------------------------------------------------------------------------------- */

/* An audit event is a document of model_audit_events: id (uuid v7), createdAt (ISO ms) and the rest of 01 15.1. */

/*
 * Ends the unit of work: commits its writes together with the events (array, may be NULL or empty), in order.
 * durable: on disk before the call returns (always true when there were writes). Without writes and with durable
 * false the events may reach the disk up to a second later.
 * When the database cannot take the events and nothing was written, they go to the durable spool and the call is ST_OK.
 * When writes cannot be committed: ST_UNAVAILABLE and the events go to the spool only if keep_events_on_failure.
 */
status store_commit(struct store *s, json_object *events, bool durable);
void store_rollback(struct store *s);

/* True while a unit of work is open (something was written). */
bool store_dirty(const struct store *s);

/*
 * Moves spooled audit events into the database, in order, exactly once, and brings what lists go by up to date; called
 * by the runner. *moved: number of events.
 * Flat files: makes buffered audit lines durable.
 */
status store_audit_maintain(struct store *s, int64_t *moved);

/*
 * Removes audit events older than before_ms, oldest first, at most limit of them (flat files: all), and stores events
 * (array, may be NULL) in the same step. *removed: how many went; when there was nothing to remove, events are not
 * stored either. Flat files put the number into details.deletedCount of the events. Durable.
 */
status store_audit_prune(struct store *s, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed);

/* True if this process may act as the runner now (Postgres: session advisory lock; files: lock file). */
bool store_runner_lock(struct store *s);

#endif
