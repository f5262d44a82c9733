#include "store/migrate.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "store/address.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Key of the advisory lock: "rakkrsql" as a number, so that nothing else takes it by chance. */
#define LOCK_SQL "SELECT pg_advisory_lock(x'72616b6b7273716c'::bigint)"
#define TRY_LOCK_SQL "SELECT pg_try_advisory_lock(x'72616b6b7273716c'::bigint)"

#define SQL_FILE_MAX (1024 * 1024)
#define BASE_VERSION 1 /* 0001: the tables of the existing controller; adopted databases have them already */

struct sql_file {
	int version;
	const char *name; /* "0002_additions.sql" */
	const char *text;
	char sha256[SHA256_HEX_SIZE];
};

struct run {
	void *mem;
	PGconn *db;
	const char *dir;
	FILE *out;
	const struct facts *facts;
	struct sql_file *files;
	size_t file_count;
};

/* ---- statements -------------------------------------------------------------------------------------------------- */

static void say_error(struct run *r, const char *what, const PGresult *result)
{
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	if (text == NULL)
		fprintf(r->out, "%s: the connection to the database broke\n", what);
	else
		fprintf(r->out, "%s: %s%s%s\n", what, text, detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

/* Runs sql, which may be many statements without parameters. */
static bool exec(struct run *r, const char *what, const char *sql)
{
	PGresult *result = PQexec(r->db, sql);
	ExecStatusType kind = PQresultStatus(result);
	bool good = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK || kind == PGRES_EMPTY_QUERY;
	if (!good)
		say_error(r, what, result);
	PQclear(result);
	return good;
}

static bool exec_params(struct run *r, const char *what, const char *sql, int n, const char *const *values)
{
	PGresult *result = PQexecParams(r->db, sql, n, NULL, values, NULL, NULL, 0);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!good)
		say_error(r, what, result);
	PQclear(result);
	return good;
}

static bool rollback(struct run *r)
{
	PQclear(PQexec(r->db, "ROLLBACK"));
	return false;
}

static int failure(struct run *r)
{
	return PQstatus(r->db) == CONNECTION_OK ? MIGRATE_FAILED : MIGRATE_UNREACHABLE;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static const char *read_sql(struct run *r, const char *name)
{
	const char *path = mem_printf(r->mem, "%s/%s", r->dir, name);
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		fprintf(r->out, "cannot read %s: %s\n", path, strerror(errno));
		return NULL;
	}
	char *text = mem_array(r->mem, char, SQL_FILE_MAX + 1);
	size_t n = fread(text, 1, SQL_FILE_MAX, f);
	bool whole = feof(f) && !ferror(f);
	fclose(f);
	if (!whole || strlen(text) != n) {
		fprintf(r->out, "cannot read %s: not a text of at most %d bytes\n", path, SQL_FILE_MAX);
		return NULL;
	}
	return text;
}

/* NNNN_name.sql */
static int is_sql_file(const struct dirent *e)
{
	const char *s = e->d_name;
	size_t n = strlen(s);
	for (int i = 0; i < 4; i++)
		if (!isdigit((unsigned char)s[i]))
			return 0;
	return s[4] == '_' && n > 9 && strcmp(s + n - 4, ".sql") == 0;
}

static bool load_files(struct run *r)
{
	struct dirent **found = NULL;
	int n = scandir(r->dir, &found, is_sql_file, alphasort);
	bool good = n > 0;
	if (!good)
		fprintf(r->out, "no SQL files in %s\n", r->dir);
	r->files = mem_array(r->mem, struct sql_file, n > 0 ? (size_t)n : 1);
	for (int i = 0; i < n; i++) {
		struct sql_file *f = &r->files[r->file_count];
		f->name = mem_strdup(r->mem, found[i]->d_name);
		f->version = (int)strtol(f->name, NULL, 10);
		free(found[i]);
		f->text = good ? read_sql(r, f->name) : NULL;
		if (f->text == NULL) {
			good = false;
			continue;
		}
		crypto_sha256_hex(f->sha256, f->text, strlen(f->text));
		r->file_count++;
	}
	free(found);
	for (size_t i = 0; good && i < r->file_count; i++)
		if (i == 0 ? r->files[i].version != BASE_VERSION : r->files[i].version <= r->files[i - 1].version) {
			fprintf(r->out, "%s: the SQL files do not each have a number of their own, from 1 on\n",
			        r->dir);
			good = false;
		}
	return good;
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

static bool any_table(const struct facts *facts, const struct catalog *c)
{
	for (size_t i = 0; i < facts->table_count; i++)
		if (catalog_text(c, "table", facts->tables[i]) != NULL)
			return true;
	return false;
}

/* The greatest created_at of the bookkeeping, as text; NULL without rows. steps_sql orders them. */
static const char *last_step(const struct catalog *c)
{
	const char *last = NULL;
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->at[i].kind, "step") == 0)
			last = c->at[i].key;
	return last;
}

static enum migrate_state judge_whole(const struct facts *facts, const struct catalog *c, FILE *out)
{
	struct catalog_diff d = catalog_compare(&facts->catalog, c, NULL, NULL);
	if (d.count == 0)
		return MIGRATE_CURRENT;
	catalog_compare(&facts->catalog, c, d.broken > 0 ? "" : "note: ", out);
	return d.broken > 0 ? MIGRATE_DAMAGED : MIGRATE_CURRENT;
}

/* Tables without bookkeeping rows: fine only if nothing but those rows is missing. */
static enum migrate_state judge_unrecorded(const struct facts *facts, struct catalog *c, FILE *out)
{
	struct catalog expected = facts->catalog;
	expected.at = mem_array(c->ctx, struct catalog_item, facts->catalog.count);
	expected.count = 0;
	bool has_table = catalog_text(c, "bookkeeping", "created_at") != NULL;
	for (size_t i = 0; i < facts->catalog.count; i++) {
		const struct catalog_item *item = &facts->catalog.at[i];
		if (strcmp(item->kind, "step") == 0 || (!has_table && strcmp(item->kind, "bookkeeping") == 0))
			continue;
		expected.at[expected.count++] = *item;
	}
	return catalog_compare(&expected, c, "", out).count == 0 ? MIGRATE_UNRECORDED : MIGRATE_DAMAGED;
}

static enum migrate_state judge(const struct facts *facts, struct catalog *c, FILE *out, size_t *older_than)
{
	const char *last = last_step(c);
	if (last == NULL)
		return any_table(facts, c) ? judge_unrecorded(facts, c, out) : MIGRATE_EMPTY;
	for (size_t i = 0; i < facts->step_count; i++) {
		if (strcmp(facts->steps[i].created_at, last) != 0)
			continue;
		if (older_than != NULL)
			*older_than = i + 1;
		return i + 1 < facts->step_count ? MIGRATE_OLDER : judge_whole(facts, c, out);
	}
	if (strtoll(last, NULL, 10) > strtoll(facts->steps[facts->step_count - 1].created_at, NULL, 10))
		return MIGRATE_NEWER;
	fprintf(out, "the bookkeeping ends with a step that nobody made: created_at %s\n", last);
	return MIGRATE_DAMAGED;
}

enum migrate_state migrate_inspect(PGconn *db, const struct facts *facts, FILE *out, size_t *older_than)
{
	void *mem = talloc_new(NULL);
	struct catalog c = {.ctx = mem};
	enum migrate_state state = MIGRATE_ERROR;
	if (catalog_read(db, &c, out))
		state = judge(facts, &c, out, older_than);
	talloc_free(mem);
	return state;
}

/* ---- the tables of the existing controller ----------------------------------------------------------------------- */

static bool record_step(struct run *r, const struct catalog_step *s)
{
	const char *values[] = {s->hash, s->created_at};
	return exec_params(r, s->tag, "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ($1, $2)", 2,
	                   values);
}

static int create_base(struct run *r)
{
	const struct sql_file *base = &r->files[BASE_VERSION - 1];
	if (!exec(r, base->name, "BEGIN") || !exec(r, base->name, base->text) || !exec(r, base->name, "COMMIT")) {
		int code = failure(r);
		rollback(r);
		return code;
	}
	fprintf(r->out, "database schema created\n");
	return MIGRATE_OK;
}

static bool apply_steps(struct run *r, size_t from)
{
	for (size_t i = from; i < r->facts->step_count; i++) {
		const struct catalog_step *s = &r->facts->steps[i];
		const char *text = read_sql(r, mem_printf(r->mem, "upstream/%s.sql", s->tag));
		if (text == NULL || !exec(r, s->tag, text) || !record_step(r, s))
			return false;
	}
	return true;
}

/* The later steps in one transaction, kept only if the result is the schema that it should be. */
static int upgrade(struct run *r, size_t from)
{
	int code = MIGRATE_OK;
	if (!exec(r, "upgrade", "BEGIN") || !apply_steps(r, from))
		code = failure(r);
	else if (migrate_inspect(r->db, r->facts, r->out, NULL) != MIGRATE_CURRENT)
		code = PQstatus(r->db) == CONNECTION_OK ? MIGRATE_REFUSED_DAMAGED : MIGRATE_UNREACHABLE;
	else if (!exec(r, "upgrade", "COMMIT"))
		code = failure(r);
	if (code != MIGRATE_OK) {
		rollback(r);
		fprintf(r->out, "the database was left as it was, at step %s\n", r->facts->steps[from - 1].tag);
		return code;
	}
	fprintf(r->out, "database schema upgraded from step %s to %s\n", r->facts->steps[from - 1].tag,
	        r->facts->steps[r->facts->step_count - 1].tag);
	return MIGRATE_OK;
}

static const char bookkeeping_sql[] = "BEGIN; CREATE SCHEMA IF NOT EXISTS drizzle; "
                                      "CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations ("
                                      "id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)";

/* Tables that are exactly right but have no bookkeeping rows. */
static int record_all(struct run *r)
{
	bool good = exec(r, "bookkeeping", bookkeeping_sql);
	for (size_t i = 0; good && i < r->facts->step_count; i++)
		good = record_step(r, &r->facts->steps[i]);
	if (!good || !exec(r, "bookkeeping", "COMMIT")) {
		int code = failure(r);
		rollback(r);
		return code;
	}
	fprintf(r->out, "database schema adopted, bookkeeping added\n");
	return MIGRATE_OK;
}

static int refuse(struct run *r, enum migrate_state state)
{
	if (state == MIGRATE_ERROR)
		return failure(r);
	if (state == MIGRATE_NEWER) {
		fprintf(r->out, "refused: the database schema is newer than this program\n");
		return MIGRATE_REFUSED_NEWER;
	}
	fprintf(r->out, "refused: the database holds tables that are not those of this program; nothing was changed\n");
	return MIGRATE_REFUSED_DAMAGED;
}

static int settle_base(struct run *r)
{
	size_t from = 0;
	enum migrate_state state = migrate_inspect(r->db, r->facts, r->out, &from);
	switch (state) {
	case MIGRATE_EMPTY:
		return create_base(r);
	case MIGRATE_OLDER:
		return upgrade(r, from);
	case MIGRATE_UNRECORDED:
		return record_all(r);
	case MIGRATE_CURRENT:
		return MIGRATE_OK;
	default:
		return refuse(r, state);
	}
}

/* ---- our own additions ------------------------------------------------------------------------------------------- */

/* Index of the file with that number; file_count if there is none. */
static size_t file_index(const struct run *r, long version)
{
	size_t i = 0;
	while (i < r->file_count && r->files[i].version != version)
		i++;
	return i;
}

/* The versions that were applied, in *applied (one flag a file); compares the checksums. */
static int read_applied(struct run *r, bool *applied)
{
	PGresult *p = PQexec(r->db, "SELECT to_regclass('rakkr_fcgi.migrations')");
	bool none = PQresultStatus(p) == PGRES_TUPLES_OK && PQgetisnull(p, 0, 0);
	PQclear(p);
	if (none)
		return MIGRATE_OK;
	p = PQexec(r->db, "SELECT version, name, sha256 FROM rakkr_fcgi.migrations ORDER BY version");
	int code = MIGRATE_OK;
	if (PQresultStatus(p) != PGRES_TUPLES_OK) {
		say_error(r, "rakkr_fcgi.migrations", p);
		code = failure(r);
	}
	for (int i = 0; code == MIGRATE_OK && i < PQntuples(p); i++) {
		size_t at = file_index(r, strtol(PQgetvalue(p, i, 0), NULL, 10));
		if (at == r->file_count) {
			fprintf(r->out, "refused: %s was applied by a newer version of this program\n",
			        PQgetvalue(p, i, 1));
			code = MIGRATE_REFUSED_NEWER;
		} else if (strcmp(r->files[at].sha256, PQgetvalue(p, i, 2)) != 0) {
			fprintf(r->out, "%s is not the file that was applied to this database: its checksum differs\n",
			        r->files[at].name);
			code = MIGRATE_FAILED;
		} else
			applied[at] = true;
	}
	PQclear(p);
	return code;
}

static bool record_file(struct run *r, const struct sql_file *f)
{
	const char *values[] = {mem_printf(r->mem, "%d", f->version), f->name, f->sha256};
	return exec_params(r, f->name, "INSERT INTO rakkr_fcgi.migrations (version, name, sha256) VALUES ($1, $2, $3)",
	                   3, values);
}

/* One file in one transaction. The base is recorded with the first file after it, which makes the table for that. */
static int apply_file(struct run *r, const struct sql_file *f, bool with_base)
{
	bool good = exec(r, f->name, "BEGIN") && exec(r, f->name, f->text) &&
	            (!with_base || record_file(r, &r->files[BASE_VERSION - 1])) && record_file(r, f) &&
	            exec(r, f->name, "COMMIT");
	if (!good) {
		int code = failure(r);
		rollback(r);
		return code;
	}
	fprintf(r->out, "applied %s\n", f->name);
	return MIGRATE_OK;
}

static int settle_additions(struct run *r)
{
	bool *applied = mem_array(r->mem, bool, r->file_count);
	int code = read_applied(r, applied);
	for (size_t i = BASE_VERSION; code == MIGRATE_OK && i < r->file_count; i++) {
		if (applied[i])
			continue;
		code = apply_file(r, &r->files[i], !applied[BASE_VERSION - 1]);
		applied[BASE_VERSION - 1] = true;
	}
	return code;
}

/* Searches work without their indexes too: what is missing for them is only said. */
static void settle_search(struct run *r)
{
	PGresult *p = PQexec(r->db, "SELECT rakkr_fcgi.index_texts()");
	if (PQresultStatus(p) != PGRES_TUPLES_OK || strcmp(PQgetvalue(p, 0, 0), "t") != 0)
		fprintf(r->out,
		        "note: without the extension pg_trgm, which this role cannot create, searches of a large "
		        "library are slow\n");
	PQclear(p);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

static bool lock(struct run *r)
{
	PGresult *p = PQexec(r->db, TRY_LOCK_SQL);
	bool mine = PQresultStatus(p) == PGRES_TUPLES_OK && strcmp(PQgetvalue(p, 0, 0), "t") == 0;
	PQclear(p);
	if (mine)
		return true;
	fprintf(r->out, "waiting for another process that looks after the schema\n");
	return exec(r, "lock", LOCK_SQL);
}

/* Waiting for the lock may take as long as it takes, waiting for a table that somebody holds must not. */
static const char session_sql[] = "SET statement_timeout = 0; SET lock_timeout = 0; SET client_min_messages = warning; "
                                  "SET TimeZone = 'UTC'; SET search_path = public; "
                                  "SET default_transaction_read_only = off";

/* Said before anything is changed: the texts of other encodings cannot be trusted, or not all texts can be kept. */
static bool encoding_usable(struct run *r)
{
	const char *name = PQparameterStatus(r->db, "server_encoding");
	if (name == NULL || strcmp(name, "UTF8") == 0)
		return true;
	if (strcmp(name, "SQL_ASCII") == 0) {
		fprintf(r->out, "the database has the encoding SQL_ASCII, which is none: it must be UTF8\n");
		return false;
	}
	fprintf(r->out, "note: the database has the encoding %s, not UTF8: texts with other characters are refused\n",
	        name);
	return true;
}

static int open_run(struct run *r, const char *url, const char *sqldir, FILE *out)
{
	static const char *const keys[] = {"connect_timeout", "application_name", "dbname", NULL};
	const char *values[] = {"10", "rakkr-fcgi migrate", url, NULL};
	*r = (struct run){.mem = talloc_new(NULL), .out = out, .dir = catalog_dir(sqldir)};
	r->facts = facts_load(r->mem, r->dir, out);
	if (r->facts == NULL || !load_files(r))
		return MIGRATE_FAILED;
	if (!address_valid(url)) {
		fprintf(out, "%s\n", address_invalid);
		return MIGRATE_FAILED;
	}
	r->db = PQconnectdbParams(keys, values, 1);
	if (PQstatus(r->db) != CONNECTION_OK) {
		const char *text = PQerrorMessage(r->db);
		fprintf(out, "cannot connect to the database: %.*s\n", (int)strcspn(text, "\n"), text);
		return MIGRATE_UNREACHABLE;
	}
	PQsetNoticeReceiver(r->db, ignore_notice, NULL);
	if (!encoding_usable(r))
		return MIGRATE_FAILED;
	if (!exec(r, "session", session_sql) || !lock(r) || !exec(r, "session", "SET lock_timeout = '60s'"))
		return failure(r);
	return MIGRATE_OK;
}

static int close_run(struct run *r, int code)
{
	PQfinish(r->db); /* releases the lock */
	talloc_free(r->mem);
	return code;
}

int migrate_run(const char *url, const char *sqldir, FILE *out)
{
	struct run r;
	int code = open_run(&r, url, sqldir, out);
	if (code == MIGRATE_OK)
		code = settle_base(&r);
	if (code == MIGRATE_OK)
		code = settle_additions(&r);
	if (code == MIGRATE_OK)
		settle_search(&r);
	return close_run(&r, code);
}

int migrate_prepare(const char *url, const char *sqldir, bool demo, FILE *out)
{
	struct run r;
	int code = open_run(&r, url, sqldir, out);
	if (code == MIGRATE_OK)
		code = settle_base(&r);
	if (code == MIGRATE_OK)
		code = settle_additions(&r);
	if (code == MIGRATE_OK)
		settle_search(&r);
	if (code == MIGRATE_OK && migrate_seed(r.db, demo, out) != MIGRATE_OK)
		code = failure(&r);
	return close_run(&r, code);
}

static int status_of_additions(struct run *r)
{
	bool *applied = mem_array(r->mem, bool, r->file_count);
	int code = read_applied(r, applied);
	bool pending = false;
	for (size_t i = BASE_VERSION; code == MIGRATE_OK && i < r->file_count; i++)
		if (!applied[i]) {
			fprintf(r->out, "pending: %s\n", r->files[i].name);
			pending = true;
		}
	return code == MIGRATE_OK && pending ? MIGRATE_FAILED : code;
}

static int status_of_base(struct run *r)
{
	size_t from = 0;
	enum migrate_state state = migrate_inspect(r->db, r->facts, r->out, &from);
	if (state == MIGRATE_EMPTY)
		fprintf(r->out, "pending: the database is empty\n");
	else if (state == MIGRATE_OLDER)
		fprintf(r->out, "pending: the database schema is at step %s\n", r->facts->steps[from - 1].tag);
	else if (state == MIGRATE_UNRECORDED)
		fprintf(r->out, "pending: the schema is right but has no bookkeeping\n");
	else if (state != MIGRATE_CURRENT)
		return refuse(r, state);
	return state == MIGRATE_CURRENT ? MIGRATE_OK : MIGRATE_FAILED;
}

int migrate_status(const char *url, const char *sqldir, FILE *out)
{
	struct run r;
	int code = open_run(&r, url, sqldir, out);
	if (code == MIGRATE_OK) {
		code = status_of_base(&r);
		int additions = code <= MIGRATE_FAILED ? status_of_additions(&r) : MIGRATE_OK;
		code = additions > code ? additions : code;
		if (code == MIGRATE_OK)
			fprintf(out, "the database schema is up to date\n");
	}
	return close_run(&r, code);
}
