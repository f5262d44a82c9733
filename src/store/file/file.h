/*
 * The flat-file store, inside: elements in tables, tables in collections, collections in files, and the unit of work.
 *
 * One JSON file holds the documents of one model (users.json and nodes.json those of two). Each process keeps the
 * parsed file and reads it again when its version (fs.h) has changed. Readers take no lock: a file is only ever
 * replaced by rename. Writers hold the store lock from their first write to the commit and change copies of tables.
 */
#ifndef RAKKR_STORE_FILE_FILE_H
#define RAKKR_STORE_FILE_FILE_H

#include "store/backend.h"
#include "store/file/fs.h"

#include <sys/types.h>

struct lh_table;

/* ---- elements and tables (table.c) -------------------------------------------------------------- */

/* One element of a file's array. Never changed once it is in a table; shared by a table and its working copy. */
struct element {
	unsigned refs;
	bool hidden;      /* not accepted by the model, or a duplicate: kept in the file, never shown */
	bool partial;     /* doc lacks the collection's heavy member, which text has */
	json_object *doc; /* accepted and repaired */
	const char *id;   /* inside doc; NULL if it has none */
	const char *key;  /* inside doc: value of the collection's second index, or NULL */
	char *text;       /* as it stands in a file, without the indentation of its first line; NULL = not yet needed */
	size_t text_len;
};

struct table {
	struct element **at; /* in the order of the file */
	size_t count, room;
	struct lh_table *by_id, *by_key; /* visible elements */
};

struct collection;

/* A new element, one reference, that takes over the reference of doc. */
struct element *element_new(const struct collection *c, json_object *doc);
void element_put(struct element *e);
/* The text of e, made on first use. */
const char *element_text(struct element *e);
/* Drops the heavy member from memory; nobody else may hold e's document. The text of e must have been made. */
void element_lighten(const struct collection *c, struct element *e);
/* The whole document of e, to be changed freely; owned by ctx. */
json_object *element_document(const void *ctx, const struct collection *c, const struct element *e);

struct table *table_new(void);
/* A copy with the same elements in the same places. Freed with talloc_free(). */
struct table *table_copy(const struct table *t);
/* These take over the caller's reference of e. An id that is taken makes the added element hidden. */
void table_push_back(struct table *t, struct element *e);
void table_push_front(struct table *t, struct element *e);
void table_replace(struct table *t, size_t place, struct element *e);
/* Empties one place; table_close_gaps() afterwards, before anything else is done with t. */
void table_clear(struct table *t, size_t place);
void table_close_gaps(struct table *t);
struct element *table_find(const struct table *t, const char *id);
struct element *table_find_key(const struct table *t, const char *key);
/* Where e is in t; t->count if it is not there. */
size_t table_place(const struct table *t, const struct element *e);

/* ---- collections and files (collection.c, layout.c) --------------------------------------------- */

#define COLLECTIONS_MAX 4 /* that share a file */

struct data_file {
	char *path; /* absolute */
	char *folder;
	enum { FILE_UNREAD, FILE_READ, FILE_ABSENT, FILE_BROKEN } state;
	struct fs_version version;
	int broken_errno; /* FILE_BROKEN: it could not be read (else: it makes no sense) */
	struct collection *collections[COLLECTIONS_MAX];
	size_t collection_count;
};

struct collection {
	const struct model *model;
	const char *file_key;  /* name of the array in the file */
	const char *key_field; /* field of the second index, unique; or NULL */
	const char *heavy;     /* member that is most of a document and that no query asks for; or NULL */
	struct data_file *file;
	struct table *current; /* what the file says */
	struct table *work;    /* with the writes of the open unit of work; NULL if it wrote nothing here */
	bool later_wins;       /* of elements with one id the last counts, in the first one's place (07 2.16, 2.18) */
	bool always_seeded;    /* built-in documents are there even if the file lacks them (07 2.15, 2.16, 2.18) */
	bool keeps_unknown;    /* new documents keep the members that the model does not know: import and export */
	bool foreign;          /* the file's layout is the contract's: no members of our own are added */
};

/* What this process has counted of the log so far. */
struct audit_counted {
	dev_t dev;
	ino_t ino;
	char head[128]; /* how that file begins: an inode may be taken again */
	size_t head_len;
	off_t upto, saved;  /* counted up to; that is on disk for others up to */
	json_object *tally; /* engine/tally.h; NULL = nothing yet */
};

struct audit_log {
	char *path;
	int fd;        /* -1 = closed */
	pid_t owner;   /* the process that opened fd: locks must not be shared over a fork */
	char *pending; /* lines that the disk had no room for; tried again with the next ones */
	size_t pending_len;
	off_t synced; /* length of the file when it was last made durable by us */
	struct audit_counted counted;
};

struct lock_file {
	char *path;
	int fd;
	pid_t owner;
	bool held;
};

struct file_store {
	const struct config *config;
	char *folder;  /* RAKKR_DATA_DIR, absolute */
	char *journal; /* a commit to be finished, see unit.c; empty = none */
	struct data_file *files;
	size_t file_count;
	struct collection *collections;
	size_t collection_count;
	struct lock_file lock, runner;
	struct audit_log audit;
	void *retired; /* tables that were replaced during the running call; freed by the next one */
};

/* What every operation of the backend does first. */
struct file_store *file_enter(void *b);

/* The collection of m, or NULL (audit events). */
struct collection *collection_of(struct file_store *s, const struct model *m);

/*
 * The documents of c as they are now, with the writes of the open unit of work. ST_UNAVAILABLE when the file is broken.
 * The table stays valid until the next operation of the backend (file_enter) or write.
 */
status collection_read(struct file_store *s, struct collection *c, struct table **t);

/* The working copy of c, for changes; the unit of work must be open and c have been read in it. */
struct table *collection_work(struct collection *c);

/* Drops the working copy, or makes it current as version v of the file. */
void collection_forget(struct collection *c);
void collection_publish(struct file_store *s, struct data_file *f, const struct fs_version *v);

/*
 * Splits the text of a file into one table for each of its collections, reusing elements of the current ones whose text
 * did not change. data is changed on the way. Returns NULL and leaves nothing behind when it is no such file:
 * *reason says why.
 */
bool layout_parse(struct data_file *f, char *data, size_t n, struct table *tables[], const char **reason);

/* The text of the file with the working copies of its collections (contract 07 2.1 rule 6); owned by ctx. */
char *layout_write(const void *ctx, const struct data_file *f, int64_t now_ms, size_t *len);

/* ---- unit of work (unit.c) ---------------------------------------------------------------------- */

/* Opens a unit of work: takes the store lock and finishes a commit that was cut off. Nothing if one is open. */
status unit_begin(struct file_store *s);
/* Writes everything together with the audit events (array, may be NULL) and closes the unit; on failure nothing was
   changed, and it is closed too. */
status unit_commit(struct file_store *s, json_object *events);
void unit_rollback(struct file_store *s);
/*
 * At start, and now and then: finishes a cut-off commit if nobody holds the lock. start: removes left-over files too.
 */
void unit_recover(struct file_store *s, bool start);

/* Takes a lock file; ST_CONFLICT after wait_ms. */
status lock_take(struct lock_file *l, int64_t wait_ms);
void lock_release(struct lock_file *l);

/* ---- queries (select.c, match.c) ---------------------------------------------------------------- */

/* A filter, prepared for many documents. */
struct condition {
	const struct model_field *field;
	const struct filter *filter;
	double number;
	int64_t ms;
	bool usable; /* the value has the form of the field's type; else nothing matches */
};

struct matcher {
	const struct model *model;
	const struct query *query;
	struct condition conditions[QUERY_MAX_FILTERS];
	const struct model_field *any[2][4];
	/* for the scope: jobs are visible through their recording; the parents of recordings */
	struct table *recordings, *schedules, *nodes;
};

/* ST_INTERNAL (logged) for a field that the model does not have. */
status matcher_init(struct matcher *m, const struct model *model, const struct query *q);
/* True if doc passes filters, search and scope. */
bool matcher_holds(const struct matcher *m, json_object *doc);

/* The value of f in doc, or NULL; *made is a reference that the caller must put (derived fields), or NULL. */
json_object *field_read(const struct model_field *f, json_object *doc, json_object **made);

struct selection {
	size_t *places; /* in the table, in the order of the query; owned by the ctx given */
	size_t count;
	int64_t total; /* before limit and offset; -1 unless wanted */
};

status select_places(struct file_store *s, const void *ctx, const struct collection *c, const struct table *t,
                     const struct query *q, struct selection *out);

/* Adds the values of a field of doc to counts (field value text -> number), arrays element by element. */
void count_values(json_object *counts, const struct model_field *f, json_object *doc);
/* counts as [{"value","count"}], owned by ctx. */
json_object *count_list(const void *ctx, json_object *counts);

/* ---- documents (document_form.c, documents.c) --------------------------------------------------- */

/* A copy of doc as it leaves the store, owned by ctx: nullable fields present, derived ones computed. */
json_object *document_out(const void *ctx, const struct model *m, json_object *doc);

/* The same of an element, with whose document it shares its members: they must not be changed in place. */
json_object *element_out(const void *ctx, const struct collection *c, const struct element *e);

/*
 * A new document of c from what a caller gave: known members first, in the model's order; times in the one form;
 * derived members left out. ST_INVALID when Postgres could not hold it either. *out: one reference, the caller's.
 */
status document_in(const struct collection *c, json_object *given, json_object **out);

/* The document of before with the members of patch; *after: one reference, the caller's. */
status document_patch(const struct collection *c, const struct element *before, json_object *patch,
                      json_object **after);

/* Puts a new document in front. ST_CONFLICT if its id, or the second index, is taken. *doc (may be NULL): borrowed. */
status document_add(struct file_store *s, const struct model *m, json_object *given, json_object **doc);

/* Changes the document at place, of the table that collection_read gave, by patch; *after borrowed, may be NULL. */
status document_change(struct collection *c, size_t place, json_object *patch, json_object **after);

/* Removes what depends on document id of m: sessions of a user, credentials of a node. */
status document_cascade(struct file_store *s, const struct model *m, const char *id);

status file_get(void *b, const void *ctx, const struct model *m, const char *id, json_object **doc);
status file_list(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);
status file_count_by(void *b, const void *ctx, const struct model *m, const struct query *q, const char *field,
                     json_object **out);
status file_insert(void *b, const void *ctx, const struct model *m, json_object *doc, json_object **stored);
status file_update(void *b, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                   struct page *out, json_object **before);
status file_remove(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out);

/* ---- accounts (accounts.c) ---------------------------------------------------------------------- */

status file_session_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
status file_session_create(void *b, const void *ctx, json_object *user, json_object *session, const char **id);
status file_session_revoke(void *b, const char *hash, int64_t now_ms);
status file_sessions_revoke_user(void *b, const char *user_id, int64_t now_ms);
status file_access_write(void *b, const void *ctx, const char *user_id, json_object *roles, json_object *grants,
                         json_object *groups);
status file_user_create(void *b, const void *ctx, json_object *doc, json_object **stored);
status file_policies_replace(void *b, const void *ctx, json_object *policies, const char *created_by);

/* ---- nodes (inventory.c), scope and health (relations.c) ---------------------------------------- */

status file_credential_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out);
status file_node_enroll(void *b, const void *ctx, json_object *node, json_object *credential, json_object **stored);
status file_node_heartbeat(void *b, const void *ctx, const char *node_id, json_object *beat, int64_t now_ms,
                           json_object **before, json_object **after);
status file_interface_update(void *b, const void *ctx, const char *node_id, const char *interface_id,
                             json_object *patch, int64_t now_ms, json_object **after);
status file_credential_rotate(void *b, const void *ctx, const char *node_id, json_object *credential, int64_t now_ms);
status file_expand(void *b, const void *ctx, const char *type, const char *id, struct targets *t);
status file_health_sync(void *b, const void *ctx, const char *recording_id, json_object **doc);

/* ---- audit log (audit_log.c) -------------------------------------------------------------------- */

/* Events (array, may be NULL) as the lines of the log; owned by ctx. */
char *audit_lines(const void *ctx, json_object *events, size_t *n);
/* Appends lines; durable: on disk before it returns. On failure nothing was appended; logged. */
status audit_put(struct file_store *s, const char *lines, size_t n, bool durable);
/* Appends events in order. Those that cannot be written are kept and tried again with the next ones, but the call
   fails: what is not in the log must not be answered. */
status audit_append(struct file_store *s, json_object *events, bool durable);
/* The lock of the log itself, which writers hold while they append. */
status audit_lock(struct file_store *s);
void audit_unlock(struct file_store *s);
/* Length of the log now. */
int64_t audit_size(const struct file_store *s);
/* Appends lines, durably, unless they stand in the log already, at or behind offset. */
status audit_complete(struct file_store *s, int64_t offset, const char *lines, size_t n);
/* Gives every event that q matches to each, newest first, until it returns false; q's limit and offset do not count. */
status audit_scan(struct file_store *s, const struct query *q, document_fn each, void *state);
/* Removes the oldest events up to the first one that is not older than before_ms, and appends events, if there are any
   to remove. The store lock is held. */
status audit_cut(struct file_store *s, int64_t before_ms, json_object *events, int64_t *removed);
/* Makes appended lines durable, whoever wrote them. */
status audit_sync(struct file_store *s);
status audit_get(struct file_store *s, const void *ctx, const char *id, json_object **doc);
/* Newest first. */
status audit_list(struct file_store *s, const void *ctx, const struct query *q, struct page *out);
status audit_count_by(struct file_store *s, const void *ctx, const struct query *q, const char *field,
                      json_object **out);

/* ---- metrics: counters.c, audit_totals.c, metrics.c ---------------------------------------------- */

/* Counters of all time that the files themselves do not tell, one document a family, beside the health events. */
extern const struct model counters_model;
#define COUNTER_HEALTH "health"
#define COUNTER_UPLOADS "upload_failures"

/*
 * Counts what a change of a document of c means; before NULL: it is new. Part of the unit of work; what cannot be
 * counted is logged, and fails nothing.
 */
void counters_note(struct file_store *s, const struct collection *c, json_object *before, json_object *after);
/* The tally of a family, owned by ctx: as it was kept, or of what is stored, if nothing was kept yet. */
status counters_read(struct file_store *s, const void *ctx, const char *family, json_object **tally);

/* All events that ever were in the log (METRICS_AUDIT), borrowed until the next call. Reads what is new since then. */
status audit_totals(struct file_store *s, json_object **tally);
/* Adds a line of the log to a tally: an event, or what was counted of events that are gone. */
void audit_totals_add(json_object *tally, const char *line, size_t n);
/* That line, with its line feed; owned by ctx. */
char *audit_totals_line(const void *ctx, json_object *tally);
void audit_totals_forget(struct audit_log *a);

status file_metrics(void *b, const void *ctx, const struct metrics_question *q, json_object *out[]);
status file_metrics_recordings(void *b, const struct row_scope *scope, int passes,
                               bool (*each)(void *state, int pass, const struct metrics_recording *r), void *state);

#endif
