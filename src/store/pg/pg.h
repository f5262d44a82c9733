/*
 * The Postgres store, inside: a connection that heals itself, batches of statements that travel in one round trip,
 * the unit of work, SQL text built from the model tables, rows read back as documents.
 *
 * Texts are built from constant names only and are prepared once a connection; every value is a parameter.
 */
#ifndef RAKKR_STORE_PG_PG_H
#define RAKKR_STORE_PG_PG_H

#include "base/buf.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/pg/outage.h"

#include <libpq-fe.h>
#include <sys/types.h>

#define PG_HINTS 4
#define PG_STATEMENTS 256     /* prepared statements kept; at one more all are given up */
#define PG_CONNECT_MS 3000    /* D-74 */
#define PG_EXCHANGE_MS 20000  /* longer than the server's own statement time-out (15 s) */
#define PG_PING_MS 2800       /* D-73: readiness answers within 3 s */
#define PG_TOUCH_MS 30000     /* last_seen_at, last_used_at are written at most this often */
#define PG_SESSION_IP_MAX 120 /* widths of contract 09 17.1 */
#define PG_SESSION_AGENT_MAX 1000
#define PG_USER_NAME_MAX 160

struct statement_cache;

/* A connection attempt under way: it may take more than one request (connection.c). */
struct attempt {
	PGconn *conn;
	PostgresPollingStatusType state;
	int64_t until_ms; /* monotonic */
};

struct hint {
	const struct model *model;
	char *id;
	bool fetched;
	json_object *doc; /* NULL: there is no such row */
};

struct spool {
	const char *folder;
	int fd; /* -1 = closed */
	char *path;
	off_t before; /* size before the last spool_append(); -1 = nothing to take back */
};

struct call {
	const char *sql;
	const char *const *values;
	int count;
	bool once;        /* sent unprepared: seldom, or in a transaction that takes nothing else (ROLLBACK) */
	bool optional;    /* its failure fails nothing; only behind all other calls of a batch */
	uint64_t reads;   /* topics (outage.h), beside those of the operation (struct outage) */
	PGresult *result; /* NULL unless it succeeded; freed with the batch's arena */
	void (*row)(void *state, const PGresult *one); /* called for each row as it arrives; result has none then */
	void *row_state;
};

/* Statements that travel together: one round trip, one transaction (implicit unless begin or an open unit). */
struct batch {
	const void *ctx;
	struct call *calls;
	size_t count, cap;
	bool begin;       /* BEGIN in front, durable; with commit, the implicit transaction is made durable */
	bool commit;      /* COMMIT behind */
	uint64_t changes; /* topics (outage.h) that pg_write() changes; TOPICS_ALL unless set */
	size_t failed_at; /* call that failed; count = COMMIT */
	char state[6];    /* its SQLSTATE */
};

struct pg {
	const struct config *config;
	const char *url;
	PGconn *conn;
	struct statement_cache *cache; /* belongs to conn */
	int64_t next_try_ms;           /* monotonic; before it a connection is not tried */
	int64_t backoff_ms;
	struct attempt attempt;
	int64_t budget_until_ms; /* monotonic; while the database is known to be away: no answer is waited for longer */
	bool probed;             /* it was looked at whether the server is there since it answered last */
	int64_t deadline_ms;     /* monotonic; 0 = the usual limits */

	bool timed_out; /* the last exchange got no answer; whoever asked has waited long enough */

	bool unit;     /* a transaction is open */
	status failed; /* why the unit of work can only be rolled back */

	/*
	 * Writes whose result is known beforehand, put off until commit so that they travel with the events. Flushed
	 * before any other write; their memory is deferred_ctx.
	 */
	void *deferred_ctx;
	struct batch deferred;

	void *hint_ctx;
	struct hint hints[PG_HINTS];
	size_t hint_count;

	struct access_cache *access;
	struct outage outage;
	void *inner; /* flat files: models without a table */
	struct spool spool;
	bool runner;               /* this connection holds the runner lock */
	bool present;              /* and the lock that says that this host is there */
	int alone_looks;           /* hosts.c: looks in a row that found no other host */
	int64_t no_tally_until_ms; /* monotonic; the tally table is missing */
	int64_t no_finds_until_ms; /* monotonic; audit_find.c: what events are found by is missing */
	int64_t fold_at_ms;        /* monotonic; audit_find.c: events are folded again then */
	int64_t count_at_ms;       /* monotonic; short.c: the next day is counted then */
};

/* ---- connection.c ------------------------------------------------------------------------------------------------ */

/* Makes sure there is a connection. ST_UNAVAILABLE at once while an earlier failure is fresh. */
status connection_open(struct pg *p);

/* The server answered. */
void connection_good(struct pg *p);

/* Gives the connection up; an open unit of work fails. */
void connection_drop(struct pg *p);

/* The server was silent for as long as a request may wait: this one does not look for it again. */
void connection_rest(struct pg *p);

/*
 * Waits for the socket; false at the deadline (monotonic ms), or as soon as it is clear that the server says nothing to
 * anybody. events as poll(2).
 */
bool connection_wait(struct pg *p, short events, int64_t deadline_ms);

/* ---- statement.c ------------------------------------------------------------------------------------------------- */

void batch_init(struct batch *b, const void *ctx);

/* Adds a call; values (count of them) must live as long as the batch. Returns its index. */
size_t batch_add(struct batch *b, const char *sql, const char *const *values, int count);
size_t batch_add_once(struct batch *b, const char *sql);
size_t batch_add_optional(struct batch *b, const char *sql, const char *const *values, int count);
/*
 * Adds a call whose rows are given to row one by one: memory does not grow with their number. Only in an open unit of
 * work, where nothing is repeated.
 */
size_t batch_add_stream(struct batch *b, const char *sql, const char *const *values, int count,
                        void (*row)(void *state, const PGresult *one), void *state);

enum exchange {
	EXCHANGE_OK,
	EXCHANGE_LOST,  /* the connection is gone or of no use: a new one may do */
	EXCHANGE_AGAIN, /* the transaction lost a race: the same statements may do */
	EXCHANGE_ERROR, /* the statement is refused */
};

/* Sends b and reads all results. *st says what a failure means. Optional calls may fail under EXCHANGE_OK. */
enum exchange batch_exchange(struct pg *p, struct batch *b, status *st);

/* Settings of a fresh connection; true if it is ready. */
bool session_begin(struct pg *p);

/* Forgets what is prepared (the connection is gone). */
void statement_cache_reset(struct pg *p);
struct statement_cache *statement_cache_new(const void *ctx);

/* Ties r to the arena ctx; returns r. */
PGresult *keep_result(const void *ctx, PGresult *r);

int batch_rows(const struct batch *b, size_t call);
/* Rows that a call changed. */
int64_t batch_affected(const struct batch *b, size_t call);
/* NULL for SQL NULL or when the call has no result. */
const char *batch_cell(const struct batch *b, size_t call, int row, int column);

/* ---- access_cache.c ---------------------------------------------------------------------------------------------- */

struct access_cache *access_cache_new(const void *ctx);

/*
 * {roleRows, roles, resourceGrants, groups, policiesStored, policies} of a user, from memory if generation (text of
 * rakkr_fcgi.access_generation as just read; NULL = unknown) is what it was made from, else read. Not to be changed.
 */
status access_find(struct pg *p, const void *ctx, const char *user_id, const char *email, const char *generation,
                   json_object **access);

/* ---- unit.c ------------------------------------------------------------------------------------------------------ */

/* Runs reads; outside a unit of work a lost connection is replaced once. Announced documents are fetched along. */
status pg_read(struct pg *p, struct batch *b);

/* Runs writes: opens the unit of work with them if there is none. Drops announced documents. */
status pg_write(struct pg *p, struct batch *b);

/* Forgets what was put off. */
void deferred_drop(struct pg *p);

/* Notes something on the side (last use); outside a unit of work only, and its failure fails nothing. */
void pg_touch(struct pg *p, const void *ctx, const char *sql, const char *const *values, int count);

/* As pg_write, but nothing is announced and nothing opened: used by commit. */
status pg_run(struct pg *p, struct batch *b);

void pg_unit_rollback(struct pg *p);
status pg_lock(void *backend, const char *name);

void pg_hint(void *backend, const struct model *m, const char *id);
void hint_drop(struct pg *p);
/* The announced document, if it was fetched. */
const struct hint *hint_find(const struct pg *p, const struct model *m, const char *id);

/* ---- param.c ----------------------------------------------------------------------------------------------------- */

struct params {
	const void *ctx;
	const char **values;
	int count, cap;
};

/* Adds a value (NULL = SQL NULL); returns its number, from 1. */
int param_add(struct params *p, const char *value);

/* s without what Postgres cannot hold: invalid UTF-8 becomes U+FFFD. NULL stays NULL. */
const char *param_text(const void *ctx, const char *s);
/* The same cut to max characters. */
const char *param_cut(const void *ctx, const char *s, size_t max);
/* Compact JSON without U+0000 (D-49). NULL (JSON null) gives NULL. */
const char *param_json(const void *ctx, json_object *o);
/* Array literal of texts. */
const char *param_array(const void *ctx, const char *const *values, size_t count);
const char *param_time(const void *ctx, int64_t ms);
/* s if it is a UUID, else NULL. */
const char *param_uuid(const char *s);

/* The text of a document's value for its column. ST_INVALID if the column cannot hold it. JSON null gives NULL. */
status param_value(const void *ctx, const struct model_field *f, json_object *value, const char **out);

/* ---- sql.c ------------------------------------------------------------------------------------------------------- */

struct sql {
	struct buf text;
	struct params params;
	bool texts; /* searches may use what triggers keep of recordings and jobs */
};

void sql_init(struct sql *s, const void *ctx);
void sql_put(struct sql *s, const char *text);
void sql_printf(struct sql *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends "$n::type" for a new parameter. */
void sql_param(struct sql *s, const char *value, const char *type);

/* SELECT list of m for row_document(), alias t; with a prefix the columns are called <prefix>0, <prefix>1, ... */
void sql_columns(struct sql *s, const struct model *m, const char *prefix);
/* Those names: "<prefix>0, <prefix>1, ..." */
void sql_column_names(struct sql *s, const struct model *m, const char *prefix);
int sql_column_count(const struct model *m);

/* " ORDER BY ..." */
void sql_order(struct sql *s, const struct model *m, const struct query *q);

/* What that order goes by. */
struct order_key {
	const struct model_field *field;
	bool desc;
	bool plain; /* in the column's own collation */
};
struct order_keys {
	struct order_key at[4];
	size_t count;
};
struct order_keys sql_order_keys(const struct model *m, const struct query *q);
/* The value that a key compares, alias t. */
void sql_order_value(struct sql *s, const struct order_key *key);
/* " LIMIT ... OFFSET ..." */
void sql_limit(struct sql *s, const struct query *q);
/* "limit + offset" of q: how many rows there are up to the end of its page. q has a limit. */
void sql_page_end(struct sql *s, const struct query *q);
/* " FOR UPDATE OF t ...", or the weaker lock that suits the table */
void sql_lock(struct sql *s, const struct model *m, const struct query *q);
/* The field as a value of sql_type(), alias t. A stored member of another JSON type is NULL. */
void sql_value(struct sql *s, const struct model_field *f);
/* The field as text, alias t. */
void sql_field_text(struct sql *s, const struct model_field *f);
/* The jsonb array of an M_TEXTS field ([] for anything else). */
void sql_field_array(struct sql *s, const struct model_field *f);
/* SQL type of the field's value, for casts. */
const char *sql_type(const struct model_field *f);
/* The contract's text order and case folding (03 3.0.5), whatever collation the database was created with. */
#define SQL_ROOT " COLLATE \"und-x-icu\""

/* ---- where.c ----------------------------------------------------------------------------------------------------- */

/* " WHERE ..." of q over alias t; nothing if there is no condition. */
void sql_where(struct sql *s, const struct model *m, const struct query *q);
/* The same behind a condition that is there already: " AND ..." */
void sql_and(struct sql *s, const struct model *m, const struct query *q);
/* LIKE pattern for texts in lower case that contain value in any case. */
const char *like_pattern(const void *ctx, const char *value);
/* Conditions on the model's constant columns, if it has any, behind separator (" WHERE ", " AND "). */
void sql_constant(struct sql *s, const struct model *m, const char *separator);

/* ---- texts.c ----------------------------------------------------------------------------------------------------- */

/* What is looked for in texts that are kept in lower case, in the forms that they are kept in. */
struct text_needle {
	const char *pattern; /* of LIKE */
	const char *packed;  /* the same for texts without signs; NULL if no trigram of it could be looked up */
	const char *gram;    /* in lower case, if it is no longer than two characters; else NULL */
};
struct text_needle text_needle(const void *ctx, const char *value);
/* True if a trigram of value can be looked up. */
bool like_indexable(const char *value);

/* The text in a column of x contains n; indexed: found by the index, if it knows n. Else row by row. */
void sql_text_has(struct sql *s, const char *column, const struct text_needle *n, bool indexed);
/* The same for any text of the recording that x belongs to. */
void sql_recording_has(struct sql *s, const struct text_needle *n, bool indexed);
/* The condition that t contains text; false if no texts of m are kept, or none that can be used. */
bool sql_text_search(struct sql *s, const struct model *m, const char *text);

/* ---- scope.c ----------------------------------------------------------------------------------------------------- */

/* Condition: the row's recording (alias) is visible in scope. */
void sql_row_scope(struct sql *s, const struct row_scope *scope, const char *alias);

/* ---- row.c ------------------------------------------------------------------------------------------------------- */

/* The document in a row, from column first on. Owned by ctx. */
json_object *row_document(const void *ctx, const struct model *m, const PGresult *r, int row, int first);
/* All rows as an array, from column first on. */
json_object *row_documents(const void *ctx, const struct model *m, const PGresult *r, int first);
/* The JSON of a cell owned by ctx; NULL for SQL NULL. */
json_object *row_json(const void *ctx, const char *text);

/* Rows of (value, number) as an array of {"value","count"}, owned by ctx. */
json_object *row_counts(const void *ctx, const struct batch *b, size_t call);

/* True if documents have the field in Postgres (helpers for filters only are not read). */
bool row_has_field(const struct model_field *f);

/* ---- library.c --------------------------------------------------------------------------------------------------- */

/*
 * Lists and counts of recordings out of what triggers keep (sql/0005_library.sql), where that is the faster way. False:
 * it is not, or what is kept is missing (library_there() is false then for a while); the tables themselves must answer.
 */
bool library_there(const struct pg *p);
/* Notes that a statement failed because of that; true if it did. */
bool library_missing(struct pg *p, const struct batch *b, status st);
bool library_list(struct pg *p, const void *ctx, const struct model *m, const struct query *q, struct page *out,
                  status *result);
bool library_counts(struct pg *p, const void *ctx, const struct model *m, const struct query *q,
                    const char *const *fields, size_t n, json_object **out, status *result);

/* ---- audit_find.c ------------------------------------------------------------------------------------------------ */

/*
 * The list of audit events that q asks for, out of what sql/0004_audit.sql keeps; false if it cannot tell, or not
 * faster than the table itself.
 */
bool audit_find_list(struct pg *p, const void *ctx, const struct model *m, const struct query *q, struct page *out,
                     status *result);
/* Puts events into what they are found by; a few seconds of work at most. Failure only makes lists slower. */
void audit_fold(struct pg *p);

/* ---- short.c ----------------------------------------------------------------------------------------------------- */

/* Now and then: counts anew what short searches go by, for one of the days that changed. */
void short_count(struct pg *p);

/* ---- generic.c, write.c ------------------------------------------------------------------------------------------ */

status pg_get(void *b, const void *ctx, const struct model *m, const char *id, json_object **doc);
status pg_list(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);
status pg_counts(void *b, const void *ctx, const struct model *m, const struct query *q, const char *const *fields,
                 size_t n, json_object **out);
status pg_count_by(void *b, const void *ctx, const struct model *m, const struct query *q, const char *field,
                   json_object **out);
/* ST_INTERNAL, logged, if q names a field that m does not have. */
status query_check(const struct model *m, const struct query *q);
/* Adds the SELECT of one document to batch; false if no row can have that id. */
bool get_add(struct batch *batch, const struct model *m, const char *id, bool optional, size_t *call);

status pg_insert(void *b, const void *ctx, const struct model *m, json_object *doc, json_object **stored);
status pg_update(void *b, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                 struct page *out, json_object **before);
status pg_remove(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);
/* All members of the jsonb column of fields[head] that doc has, owned by ctx. */
json_object *insert_members(const void *ctx, const struct model *m, size_t head, json_object *doc);
/* True if documents are written to the column of fields[i], and no earlier field stands for it. */
bool insert_heads_column(const struct model *m, size_t i);
/* INSERT of doc without conflict handling to s, without RETURNING; ST_INVALID. */
status insert_build(struct sql *s, const struct model *m, json_object *doc);

/* ---- access.c, session.c, nodes.c, expand.c ---------------------------------------------------------------------- */

status pg_session_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
status pg_session_create(void *b, const void *ctx, json_object *user, json_object *session, const char **id);
status pg_session_revoke(void *b, const char *hash, int64_t now_ms);
status pg_sessions_revoke_user(void *b, const char *user_id, int64_t now_ms);
status pg_access_write(void *b, const void *ctx, const char *user_id, json_object *roles, json_object *grants,
                       json_object *groups);
status pg_user_create(void *b, const void *ctx, json_object *doc, json_object **stored);
status pg_policies_replace(void *b, const void *ctx, json_object *policies, const char *created_by);
/* Grants and groups of a user row, added to what is there (login) or after everything was deleted (access write). */
status access_add_grants(struct batch *batch, const char *user_id, json_object *grants);
void access_add_groups(struct batch *batch, const char *user_id, json_object *groups);

status pg_expand(void *b, const void *ctx, const char *type, const char *id, struct targets *t);

status pg_credential_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
/* Adds the INSERTs of interfaces and channels of a node to batch; every interface has an id. now: ISO. */
void node_add_interfaces(struct batch *b, const char *node_id, json_object *interfaces, const char *now);
status pg_node_enroll(void *b, const void *ctx, json_object *node, json_object *credential, json_object **stored);
status pg_node_heartbeat(void *b, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                         json_object **before, json_object **after);
status pg_interface_update(void *b, const void *ctx, const char *node_id, const char *interface_id, json_object *patch,
                           int64_t now_ms, json_object **after);
status pg_credential_rotate(void *b, const void *ctx, const char *node_id, json_object *credential, int64_t now_ms);
status pg_health_sync(void *b, const void *ctx, const char *recording_id, json_object **doc);

/* ---- stream.c ---------------------------------------------------------------------------------------------------- */

/* Opens a unit of work that only reads and sees one state of the database; ended by pg_unit_rollback(). */
status pg_snapshot(struct pg *p);
status pg_each(void *b, const struct model *m, const struct query *q, document_fn each, void *state);
/*
 * The same for tables, with further columns (SQL over alias t; NULL: none) behind those of the document; cells of more
 * are NULL for SQL NULL.
 */
typedef bool (*row_fn)(void *state, json_object *doc, const char *const *more);
status pg_each_row(struct pg *p, const struct model *m, const struct query *q, const char *columns, row_fn each,
                   void *state);
status pg_audit_prune(void *b, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed);

/* ---- metrics.c --------------------------------------------------------------------------------------------------- */

status pg_metrics(void *b, const void *ctx, const struct metrics_question *q, json_object *out[]);
status pg_metrics_recordings(void *b, const struct row_scope *scope, int passes,
                             bool (*each)(void *state, int pass, const struct metrics_recording *r), void *state);

/* ---- audit.c, spool.c -------------------------------------------------------------------------------------------- */

/*
 * Adds the INSERTs of n events (contract 01 15.2) to batch, a few events in each. checked: an actor without a user row
 * is stored as null; without, such an event fails with 23503.
 */
void audit_add_inserts(struct batch *batch, json_object *const *events, size_t n, bool checked);
status pg_commit(void *b, json_object *events, bool durable);
status pg_audit_maintain(void *b, int64_t *moved);

void spool_init(struct spool *s, const void *ctx, const struct config *c);
void spool_close(struct spool *s);
/* Appends events; they are on disk when it returns ST_OK. ST_NO_SPACE, ST_UNAVAILABLE. */
status spool_append(struct spool *s, json_object *events);
/* Undoes the last spool_append(), if it added something that was not moved yet: what they tell of did not happen. */
void spool_take_back(struct spool *s);

/* Keeps other movers away until the descriptor is closed; -1 if there is nothing to move or another one is at it. */
int spool_lock(const struct spool *s);
/* The oldest file, taken away from its writer; NULL if none is left. Owned by ctx. */
char *spool_next(const struct spool *s, const void *ctx);
/* Removes a file whose lines are all in the database. */
void spool_done(const char *path);
/* Sets a line that the database refuses aside. */
status spool_reject(const struct spool *s, const char *line, size_t n);

#endif
