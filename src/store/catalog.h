/*
 * The schema as a list of facts, one a line: "column recordings.folder: text". The same list is made from the installed
 * schema-facts.json (what must be) and from the catalogs of a database (what is), so that comparing is comparing lists.
 */
#ifndef RAKKR_STORE_CATALOG_H
#define RAKKR_STORE_CATALOG_H

#include "base/json.h"

#include <libpq-fe.h>
#include <stdio.h>

/* kind "column", key "recordings.folder", text "text". */
struct catalog_item {
	const char *kind, *key, *text;
};

struct catalog {
	const void *ctx;
	struct catalog_item *at;
	size_t count, cap;
};

/* A step of the existing controller's migration tool (contract 07 1.5). */
struct catalog_step {
	const char *tag, *hash;
	const char *created_at; /* decimal ms */
};

struct facts {
	struct catalog catalog;
	struct catalog_step *steps; /* in order */
	size_t step_count;
	const char **tables;
	size_t table_count;
};

/*
 * Directory of the SQL files and of schema-facts.json: dir if given, else RAKKR_SQL_DIR of the environment, else where
 * they were installed.
 */
const char *catalog_dir(const char *dir);

/* Reads schema-facts.json of dir; NULL after one line on out. Owned by ctx. */
struct facts *facts_load(const void *ctx, const char *dir, FILE *out);

/*
 * Reads the catalogs of the database: schema public and the bookkeeping table. Objects of ours (rakkr_fcgi_...) and of
 * extensions are left out. Sets the session's search_path to public. False after one line on out.
 */
bool catalog_read(PGconn *db, struct catalog *c, FILE *out);

/* The text of (kind, key), or NULL. */
const char *catalog_text(const struct catalog *c, const char *kind, const char *key);

struct catalog_diff {
	size_t count;  /* differences */
	size_t broken; /* those that the program cannot work with */
};

/* Compares; every difference is a line on out behind prefix (out may be NULL). */
struct catalog_diff catalog_compare(const struct catalog *expected, const struct catalog *actual, const char *prefix,
                                    FILE *out);

#endif
