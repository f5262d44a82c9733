/*
 * While the database is away: how it is noticed, what all processes know about it, and reads answered from what was
 * last known (contract 01 T4, 07 2, 09 D-68, D-74).
 */
#ifndef RAKKR_STORE_PG_OUTAGE_H
#define RAKKR_STORE_PG_OUTAGE_H

#include "base/json.h"
#include "base/status.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTAGE_SUSPECT_MS 1000 /* without any answer: look whether the server is still there */
#define OUTAGE_PROBE_MS 1500   /* so long it may take to greet a new connection */
#define OUTAGE_PATIENCE_MS 150 /* what one attempt may cost a request while the database is known to be away */
#define OUTAGE_REVOKED 8

struct pg;
struct batch;
struct live;
struct degrade;
struct recall_key;
struct query;

/* A session that ends with the unit of work: of one token hash, of one user, or every one. */
struct revoked {
	enum { REVOKED_TOKEN = 1, REVOKED_USER, REVOKED_ALL } what;
	char id[65];
};

struct outage {
	struct live *live; /* NULL: this process is on its own */
	struct degrade *how;
	bool wrote;       /* the unit of work wrote something */
	bool told;        /* that outside_mark() failed */
	bool down;        /* what this process thinks, without live memory */
	uint64_t reading; /* topics of the read under way: what pg_read() gets for it is kept */
	uint64_t changed; /* topics that the open unit of work changed */
	struct revoked revoked[OUTAGE_REVOKED];
	size_t revoked_count;
};

/* ---- outage.c: is it there? -------------------------------------------------------------------------------------- */

void pg_attach(void *backend, struct live *l, struct degrade *how);

/* True while the database is known to be away, in whatever process that was found out. */
bool outage_known(const struct pg *p);

/* It cannot be used; why is a short text. Logged at the edge, once for all processes. */
void outage_begin(struct pg *p, const char *why);
/* It answered. */
void outage_end(struct pg *p);

/* ---- stale.c: what was last known -------------------------------------------------------------------------------- */

/*
 * What a read is about, or a write changes. Reads of accounts, sessions, credentials and policies are about nothing:
 * they are not kept.
 */
uint64_t topic_of(const struct model *m);
#define TOPICS_NONE UINT64_C(0)
#define TOPICS_ALL UINT64_MAX
/* The topics of a list: rows of some models are chosen by their recording. */
uint64_t topics_of_query(const struct model *m, const struct query *q);
/* What an update changes: nothing, if it is but a sign of life (heartbeats), which no reader has to know at once. */
uint64_t topics_of_patch(const struct model *m, json_object *patch);

/* Number of changes so far, to be noted before a read is sent. */
uint64_t stale_clock(const struct pg *p);

/* Keeps the results of a successful read. */
void stale_keep(struct pg *p, const struct batch *b, uint64_t asked);

/* Puts the last known results into a batch that failed; false if one of them is not known, or may not be used. */
bool stale_recall(struct pg *p, struct batch *b);

/* The same for a verified session; expires: as Postgres writes it. */
uint64_t stale_session_clock(const struct pg *p);
void stale_session_keep(struct pg *p, const char *token_hash, json_object *session, const char *expires,
                        uint64_t asked);
/* The database does not know this session (any more): somebody ended it, perhaps on another host. */
void stale_session_gone(struct pg *p, const char *token_hash);
bool stale_session_recall(struct pg *p, const void *ctx, const char *token_hash, int64_t now_ms, json_object **session);

/* False once the request was answered from memory: nothing may be written any more. */
bool stale_may_write(const struct pg *p);

/* A write of the unit of work changes these topics. Known answers about them end now, and again when it ends. */
void stale_changed(struct pg *p, uint64_t topics);
/* Sessions end now, and again when the unit of work does. id NULL: REVOKED_ALL. */
void stale_revoke(struct pg *p, int what, const char *id);
/* The same for whatever an update or removal of documents of m means to sessions. */
void stale_revoke_documents(struct pg *p, const struct model *m, json_object *docs);
/* The unit of work is over, in whatever way. */
void stale_settle(struct pg *p);

/* ---- hosts.c: other controllers on the same database ------------------------------------------------------------- */

/* Tells the others that this host is there, and looks for them. Called by the runner. */
void hosts_look(struct pg *p);
/* Monotonic time since when nobody else has been there: 0 = always, INT64_MAX = somebody is. */
int64_t hosts_alone_since(const struct pg *p);

/* ---- outside.c: processes that have no part in live memory ------------------------------------------------------- */

/* A process without live memory (a command) begins to write, or has written. */
void outside_mark(struct pg *p);
/* Ends what is kept if such a process has written since it was looked at last. Before anything kept is used. */
void outside_look(struct pg *p);

#endif
