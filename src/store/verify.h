/*
 * The schema compared: SQL files, model tables, schema-facts.json and the live database must all say the same.
 */
#ifndef RAKKR_STORE_VERIFY_H
#define RAKKR_STORE_VERIFY_H

#include "store/catalog.h"

/*
 * Compares the model tables with the catalogs: every column declared, types, widths, nullability, defaults, words of
 * enumerations in order; every derived expression is accepted by the server. One line a difference behind prefix.
 * Returns their number.
 */
size_t verify_models(PGconn *db, const struct catalog *actual, const char *prefix, FILE *out);

/*
 * Replays the SQL files of sqldir (NULL: catalog_dir()) into a database rakkr_verify_<pid> on the server of url, which
 * is dropped afterwards, and compares that and the database of url with the facts and with the models. Every difference
 * is a line on out. Returns 0 if there is none, else 1. A role that may not create databases gets a note, and only the
 * live database is compared.
 */
int verify_run(const char *url, const char *sqldir, FILE *out);

#endif
