#include "store/verify.h"

#include "base/mem.h"
#include "model/model.h"
#include "store/address.h"
#include "store/migrate.h"

#include <string.h>
#include <unistd.h>

/* ---- models ------------------------------------------------------------------------------------------------------ */

struct finding {
	size_t count;
	const char *prefix;
	FILE *out;
};

static void found(struct finding *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void found(struct finding *x, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs(x->prefix, x->out);
	vfprintf(x->out, fmt, ap);
	va_end(ap);
	x->count++;
}

/* The type that the column of f must have, as the catalogs spell it. */
static const char *column_type(const void *ctx, const struct model_field *f)
{
	if (f->key != NULL)
		return "jsonb";
	switch (f->type) {
	case M_TEXT:
	case M_ENUM:
		if (f->pg_type != NULL)
			return f->pg_type;
		return f->max > 0 ? mem_printf(ctx, "character varying(%d)", f->max) : "text";
	case M_INT:
		return "integer";
	case M_BOOL:
		return "boolean";
	case M_TIME:
		return "timestamp with time zone";
	case M_UUID:
		return "uuid";
	default:
		return "jsonb";
	}
}

static const char *words(const void *ctx, const char *const *values)
{
	const char *text = "";
	for (size_t i = 0; values[i] != NULL; i++)
		text = mem_printf(ctx, "%s%s%s", text, i > 0 ? ", " : "", values[i]);
	return text;
}

static void check_field(struct finding *x, const void *ctx, const struct catalog *c, const struct model *m,
                        const struct model_field *f)
{
	const char *key = mem_printf(ctx, "%s.%s", m->table, f->column);
	const char *type = catalog_text(c, "column", key), *wanted = column_type(ctx, f);
	if (type == NULL) {
		found(x, "model %s: %s has no column %s\n", m->name, f->name, key);
		return;
	}
	if (strcmp(type, wanted) != 0)
		found(x, "model %s: column %s is %s, declared %s\n", m->name, key, type, wanted);
	if (f->pg_type != NULL) {
		const char *have = catalog_text(c, "enum", f->pg_type);
		const char *declared = words(ctx, f->values);
		if (have == NULL || strcmp(have, declared) != 0)
			found(x, "model %s: enum %s is (%s), declared (%s)\n", m->name, f->pg_type,
			      have == NULL ? "missing" : have, declared);
	}
	if (f->key != NULL) /* a member of a jsonb column says nothing about the column's null */
		return;
	bool required = strcmp(catalog_text(c, "nullable", key), "not null") == 0;
	bool has_default = strcmp(catalog_text(c, "default", key), "none") != 0;
	if (required != ((f->flags & M_REQUIRED) != 0))
		found(x, "model %s: column %s is %s, declared otherwise\n", m->name, key,
		      required ? "not null" : "null");
	if (has_default != ((f->flags & M_DEFAULT) != 0))
		found(x, "model %s: column %s has %s default, declared otherwise\n", m->name, key,
		      has_default ? "a" : "no");
}

static bool declared(const struct model *m, const char *column)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->fields[i].column != NULL && strcmp(m->fields[i].column, column) == 0)
			return true;
	return false;
}

static void check_columns(struct finding *x, const struct catalog *c, const struct model *m)
{
	size_t n = strlen(m->table);
	for (size_t i = 0; i < c->count; i++) {
		const struct catalog_item *item = &c->at[i];
		if (strcmp(item->kind, "column") == 0 && strncmp(item->key, m->table, n) == 0 && item->key[n] == '.' &&
		    !declared(m, item->key + n + 1))
			found(x, "model %s: column %s is not declared\n", m->name, item->key);
	}
}

/* The server must take every expression; LIMIT 0 reads nothing. */
static void check_expression(struct finding *x, const void *ctx, PGconn *db, const struct model *m,
                             const struct model_field *f)
{
	PGresult *r = PQexec(db, mem_printf(ctx, "SELECT (%s) FROM public.%s AS t LIMIT 0", f->expr, m->table));
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		found(x, "model %s: expression of %s: %s\n", m->name, f->name,
		      PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
	PQclear(r);
}

/* Tables in a schema of our own are not in the catalog of the public ones; their columns must be there. */
static void check_own(struct finding *x, const void *ctx, PGconn *db, const struct model *m)
{
	for (size_t k = 0; k < m->count; k++) {
		PGresult *r = PQexec(db, mem_printf(ctx, "SELECT %s::%s FROM %s LIMIT 0", m->fields[k].column,
		                                    column_type(ctx, &m->fields[k]), m->table));
		if (PQresultStatus(r) != PGRES_TUPLES_OK)
			found(x, "model %s: %s: %s\n", m->name, m->fields[k].name,
			      PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
		PQclear(r);
	}
}

size_t verify_models(PGconn *db, const struct catalog *actual, const char *prefix, FILE *out)
{
	struct finding x = {.prefix = prefix, .out = out};
	void *mem = talloc_new(NULL);
	for (size_t i = 0; models[i] != NULL; i++) {
		const struct model *m = models[i];
		if (m->table == NULL)
			continue;
		if (strchr(m->table, '.') != NULL) {
			check_own(&x, mem, db, m);
			continue;
		}
		check_columns(&x, actual, m);
		for (size_t k = 0; k < m->count; k++) {
			if (m->fields[k].column != NULL)
				check_field(&x, mem, actual, m, &m->fields[k]);
			if (m->fields[k].expr != NULL)
				check_expression(&x, mem, db, m, &m->fields[k]);
		}
	}
	talloc_free(mem);
	return x.count;
}

/* ---- databases --------------------------------------------------------------------------------------------------- */

/* Connects to url, with another database name if dbname is not NULL. */
static PGconn *connect_to(const char *url, const char *dbname, FILE *out)
{
	const char *const keys[] = {"connect_timeout", "application_name", "dbname", dbname != NULL ? "dbname" : NULL,
	                            NULL};
	const char *const values[] = {"10", "rakkr-fcgi verify", url, dbname, NULL};
	if (!address_valid(url)) {
		fprintf(out, "%s\n", address_invalid);
		return NULL;
	}
	PGconn *db = PQconnectdbParams(keys, values, 1);
	if (PQstatus(db) == CONNECTION_OK)
		return db;
	fprintf(out, "cannot connect to the database: %.*s\n", (int)strcspn(PQerrorMessage(db), "\n"),
	        PQerrorMessage(db));
	PQfinish(db);
	return NULL;
}

/* Differences of one database, 1 if it cannot be read. */
static size_t compare(const char *url, const char *dbname, const struct facts *facts, const char *prefix, FILE *out)
{
	PGconn *db = connect_to(url, dbname, out);
	if (db == NULL)
		return 1;
	void *mem = talloc_new(NULL);
	struct catalog actual = {.ctx = mem};
	size_t count = 1;
	if (catalog_read(db, &actual, out)) {
		count = catalog_compare(&facts->catalog, &actual, prefix, out).count;
		count += verify_models(db, &actual, prefix, out);
	}
	talloc_free(mem);
	PQfinish(db);
	return count;
}

/* The url with another database, in a form that migrate_run takes. */
static char *url_of(const void *ctx, PGconn *db, const char *dbname)
{
	static const char *const keys[] = {"host",    "hostaddr",    "port",    "user",  "password",
	                                   "sslmode", "sslrootcert", "sslcert", "sslkey"};
	char *text = mem_printf(ctx, "dbname='%s'", dbname);
	PQconninfoOption *options = PQconninfo(db);
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			if (strcmp(o->keyword, keys[i]) != 0 || o->val == NULL || *o->val == '\0')
				continue;
			text = mem_printf(ctx, "%s %s='", text, o->keyword);
			for (const char *p = o->val; *p != '\0'; p++)
				text = mem_printf(ctx, "%s%s%c", text, *p == '\'' || *p == '\\' ? "\\" : "", *p);
			text = mem_printf(ctx, "%s'", text);
		}
	PQconninfoFree(options);
	return text;
}

static bool run(PGconn *db, const char *sql, const char *note, FILE *out)
{
	PGresult *r = PQexec(db, sql);
	bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
	if (!good)
		fprintf(out, "%s: %s", note, PQresultErrorMessage(r));
	PQclear(r);
	return good;
}

/* Differences of a database made from the SQL files alone. */
static size_t replay(PGconn *db, const char *url, const char *sqldir, const struct facts *facts, FILE *out)
{
	void *mem = talloc_new(NULL);
	const char *name = mem_printf(mem, "rakkr_verify_%ld", (long)getpid());
	size_t count = 0;
	if (run(db, mem_printf(mem, "CREATE DATABASE %s TEMPLATE template0", name),
	        "note: the SQL files were not replayed", out)) {
		char *text = NULL;
		size_t n = 0;
		FILE *log = open_memstream(&text, &n);
		int code = migrate_run(url_of(mem, db, name), sqldir, log);
		fclose(log);
		if (code != MIGRATE_OK) {
			fprintf(out, "SQL files: %s", text);
			count = 1;
		} else
			count = compare(url, name, facts, "SQL files: ", out);
		free(text);
		run(db, mem_printf(mem, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name),
		    "note: the throwaway database is left", out);
	}
	talloc_free(mem);
	return count;
}

int verify_run(const char *url, const char *sqldir, FILE *out)
{
	void *mem = talloc_new(NULL);
	const char *dir = catalog_dir(sqldir);
	struct facts *facts = facts_load(mem, dir, out);
	PGconn *db = facts == NULL ? NULL : connect_to(url, NULL, out);
	size_t count = 1;
	if (db != NULL) {
		count = replay(db, url, dir, facts, out);
		count += compare(url, NULL, facts, "database: ", out);
		PQfinish(db);
	}
	talloc_free(mem);
	return count == 0 ? 0 : 1;
}
