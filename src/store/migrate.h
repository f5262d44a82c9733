/*
 * The database schema: created, adopted or brought up to date (contract 07 1.5, 1.6; 09 D-75). Everything happens under
 * one advisory lock, so that any number of processes and hosts may ask for it at once; each step is one transaction.
 */
#ifndef RAKKR_STORE_MIGRATE_H
#define RAKKR_STORE_MIGRATE_H

#include "store/catalog.h"

enum migrate_state {
	MIGRATE_EMPTY,      /* none of our tables: create everything */
	MIGRATE_CURRENT,    /* the schema of this version, with bookkeeping: adopt as it is */
	MIGRATE_OLDER,      /* an earlier step of the existing controller: apply the later ones */
	MIGRATE_UNRECORDED, /* exactly the schema of this version, without bookkeeping rows: add them */
	MIGRATE_NEWER,      /* a later schema than this program knows: refused */
	MIGRATE_DAMAGED,    /* tables that are not what the bookkeeping says, or of unknown origin: refused */
	MIGRATE_ERROR,      /* could not be read */
};

/* Results, and exit statuses of `rakkr-fcgi migrate`. */
enum migrate_exit {
	MIGRATE_OK = 0,
	MIGRATE_FAILED = 1,          /* a statement failed, a file is missing or was changed; the step left no trace */
	MIGRATE_USAGE = 2,           /* wrong arguments */
	MIGRATE_REFUSED_NEWER = 3,   /* the schema is newer than this program */
	MIGRATE_REFUSED_DAMAGED = 4, /* the schema is damaged or not known */
	MIGRATE_UNREACHABLE = 5,     /* no connection, or it broke: nothing is known about the schema */
};

/*
 * Says what the database is; changes nothing. Differences that make it MIGRATE_DAMAGED, and harmless ones behind
 * "note: ", are lines on out. *older_than (may be NULL) is the first step that an older one lacks.
 */
enum migrate_state migrate_inspect(PGconn *db, const struct facts *facts, FILE *out, size_t *older_than);

/*
 * Brings the database of url to the schema of this program: contract 07 1.5, then the numbered files of sqldir (NULL:
 * catalog_dir()). Idempotent; waits while another process does the same. One line a step on out.
 */
int migrate_run(const char *url, const char *sqldir, FILE *out);

/* As migrate_run, but only says what it would do. MIGRATE_FAILED if there is something to do. */
int migrate_status(const char *url, const char *sqldir, FILE *out);

/*
 * Rows that a new installation starts with: default profile and watchdog policy while their tables are empty; with demo
 * once the demo schedule and the demo recording, if their tables are empty then. MIGRATE_OK or MIGRATE_FAILED.
 */
int migrate_seed(PGconn *db, bool demo, FILE *out);

/* migrate_run and migrate_seed: what `rakkr-fcgi serve` does before it takes requests. */
int migrate_prepare(const char *url, const char *sqldir, bool demo, FILE *out);

#endif
