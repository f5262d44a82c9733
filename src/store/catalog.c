#include "store/catalog.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define FACTS_FILE "schema-facts.json"
#define FACTS_MAX (4 * 1024 * 1024)

const char *catalog_dir(const char *dir)
{
	if (dir != NULL && *dir != '\0')
		return dir;
	const char *given = getenv("RAKKR_SQL_DIR");
	return given != NULL && *given != '\0' ? given : RAKKR_SQLDIR;
}

static void add(struct catalog *c, const char *kind, const char *key, const char *text)
{
	if (c->count == c->cap) {
		c->cap = c->cap == 0 ? 1024 : c->cap * 2;
		c->at = mem_grow(c->ctx, c->at, struct catalog_item, c->cap);
	}
	c->at[c->count++] = (struct catalog_item){
	    .kind = mem_strdup(c->ctx, kind), .key = mem_strdup(c->ctx, key), .text = mem_strdup(c->ctx, text)};
}

/* ---- from the file ----------------------------------------------------------------------------------------------- */

/* "a, b, c" of an array of strings, or of one member of an array of objects. */
static const char *joined(const void *ctx, json_object *array, const char *member, const char *behind)
{
	struct buf b;
	buf_init(&b, ctx);
	for (size_t i = 0; array != NULL && i < json_object_array_length(array); i++) {
		json_object *item = json_object_array_get_idx(array, i);
		const char *word = member == NULL ? json_object_get_string(item) : json_str_or(item, member, "");
		buf_printf(&b, "%s%s%s", i > 0 ? ", " : "", word, behind);
	}
	return b.len > 0 ? b.data : "";
}

static void add_columns(struct catalog *c, const char *table, json_object *columns)
{
	json_object_object_foreach(columns, name, column)
	{
		const char *key = mem_printf(c->ctx, "%s.%s", table, name);
		add(c, "column", key, json_str_or(column, "type", ""));
		add(c, "nullable", key, json_flag(column, "nullable", true) ? "null" : "not null");
		add(c, "default", key, json_str_or(column, "default", "none"));
	}
}

static void add_constraints(struct catalog *c, const char *table, json_object *facts)
{
	json_object *key = json_object_at(facts, "primaryKey");
	add(c, "primary key", table,
	    mem_printf(c->ctx, "%s (%s)", json_str_or(key, "name", ""),
	               joined(c->ctx, json_array(key, "columns"), NULL, "")));
	json_object *uniques = json_array(facts, "uniqueConstraints");
	for (size_t i = 0; uniques != NULL && i < json_object_array_length(uniques); i++) {
		json_object *u = json_object_array_get_idx(uniques, i);
		add(c, "unique", json_str_or(u, "name", ""),
		    mem_printf(c->ctx, "%s (%s)", table, joined(c->ctx, json_array(u, "columns"), NULL, "")));
	}
	json_object *foreign = json_array(facts, "foreignKeys");
	for (size_t i = 0; foreign != NULL && i < json_object_array_length(foreign); i++) {
		json_object *f = json_object_array_get_idx(foreign, i);
		add(c, "foreign key", json_str_or(f, "name", ""),
		    mem_printf(c->ctx, "%s (%s) references %s (%s) on delete %s on update %s", table,
		               joined(c->ctx, json_array(f, "columns"), NULL, ""), json_str_or(f, "refTable", ""),
		               joined(c->ctx, json_array(f, "refColumns"), NULL, ""), json_str_or(f, "onDelete", ""),
		               json_str_or(f, "onUpdate", "")));
	}
}

static void add_indexes(struct catalog *c, json_object *indexes)
{
	json_object_object_foreach(indexes, name, index)
	{
		if (json_flag(index, "backsConstraint", false))
			continue;
		add(c, "index", name,
		    mem_printf(c->ctx, "%s%s using %s (%s)", json_str_or(index, "table", ""),
		               json_flag(index, "unique", false) ? " unique" : "", json_str_or(index, "method", ""),
		               joined(c->ctx, json_array(index, "columns"), "column", " asc nulls last")));
	}
}

static void add_bookkeeping(struct facts *f, json_object *bookkeeping)
{
	struct catalog *c = &f->catalog;
	json_object_object_foreach(json_object_at(bookkeeping, "columns"), name, column)
	{
		add(c, "bookkeeping", name,
		    mem_printf(c->ctx, "%s %s default %s", json_str_or(column, "type", ""),
		               json_flag(column, "nullable", true) ? "null" : "not null",
		               json_str_or(column, "default", "none")));
	}
	json_object *rows = json_array(bookkeeping, "rows");
	f->step_count = rows == NULL ? 0 : json_object_array_length(rows);
	f->steps = mem_array(c->ctx, struct catalog_step, f->step_count);
	for (size_t i = 0; i < f->step_count; i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		f->steps[i] = (struct catalog_step){
		    .tag = json_str_or(row, "tag", ""),
		    .hash = json_str_or(row, "sha256", ""),
		    .created_at = mem_printf(c->ctx, "%lld", (long long)json_int(row, "createdAt", 0))};
		add(c, "step", f->steps[i].created_at, f->steps[i].tag);
	}
}

static bool fill(struct facts *f, json_object *root)
{
	struct catalog *c = &f->catalog;
	json_object *enums = json_object_at(root, "enums"), *tables = json_object_at(root, "tables");
	json_object *indexes = json_object_at(root, "indexes"), *bookkeeping = json_object_at(root, "migrationTable");
	if (enums == NULL || tables == NULL || indexes == NULL || json_object_at(bookkeeping, "columns") == NULL)
		return false;
	json_object_object_foreach(enums, type, words)
	{
		add(c, "enum", type, joined(c->ctx, words, NULL, ""));
	}
	f->tables = mem_array(c->ctx, const char *, (size_t)json_object_object_length(tables));
	json_object_object_foreach(tables, table, facts)
	{
		f->tables[f->table_count++] = table;
		add(c, "table", table, "");
		add_columns(c, table, json_object_at(facts, "columns"));
		add_constraints(c, table, facts);
	}
	add_indexes(c, indexes);
	add_bookkeeping(f, bookkeeping);
	return f->step_count > 0;
}

struct facts *facts_load(const void *ctx, const char *dir, FILE *out)
{
	const char *path = mem_printf(ctx, "%s/%s", dir, FACTS_FILE);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		fprintf(out, "cannot read %s: %s\n", path, strerror(errno));
		return NULL;
	}
	char *text = mem_array(ctx, char, FACTS_MAX);
	size_t n = fread(text, 1, FACTS_MAX, file);
	fclose(file);
	struct facts *f = mem_new(ctx, struct facts);
	f->catalog.ctx = f;
	json_object *root = NULL;
	if (!json_parse(ctx, text, n, &root) || !fill(f, root)) {
		fprintf(out, "%s does not describe a schema\n", path);
		return NULL;
	}
	talloc_free(text);
	return f;
}

/* ---- from the database ------------------------------------------------------------------------------------------- */

#define OURS(name) name " NOT LIKE 'rakkr\\_fcgi\\_%'"
#define COLUMNS_OF(key, table)                                                                                         \
	"(SELECT string_agg(a.attname, ', ' ORDER BY u.n) FROM unnest(" key ") WITH ORDINALITY AS u(num, n) "          \
	"JOIN pg_attribute a ON a.attrelid = " table " AND a.attnum = u.num)"
#define ACTION(column)                                                                                                 \
	"CASE " column " WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' "                  \
	"WHEN 'n' THEN 'set null' ELSE 'set default' END"

static const char objects_sql[] =
    "WITH rel AS (SELECT c.oid, c.relname, c.relkind FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace "
    "AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND " OURS(
        "c.relname") " AND NOT EXISTS (SELECT FROM pg_depend d "
                     "WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')), "
                     "col AS (SELECT r.relname || '.' || a.attname AS key, a.*, pg_get_expr(d.adbin, d.adrelid) AS "
                     "dflt FROM rel r "
                     "JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped "
                     "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE r.relkind IN ('r', "
                     "'p')) "
                     "SELECT 'enum' AS kind, t.typname::text AS key, string_agg(e.enumlabel, ', ' ORDER BY "
                     "e.enumsortorder) AS text "
                     "FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = "
                     "'public'::regnamespace "
                     "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = "
                     "t.oid "
                     "AND d.deptype = 'e') GROUP BY t.typname "
                     "UNION ALL SELECT CASE WHEN r.relkind IN ('r', 'p') THEN 'table' WHEN r.relkind = 'S' THEN "
                     "'sequence' ELSE 'view' END, "
                     "r.relname, '' FROM rel r "
                     "UNION ALL SELECT 'column', key, format_type(atttypid, atttypmod) FROM col "
                     "UNION ALL SELECT 'nullable', key, CASE WHEN attnotnull THEN 'not null' ELSE 'null' END FROM col "
                     "UNION ALL SELECT 'default', key, coalesce(dflt, 'none') FROM col "
                     "UNION ALL SELECT CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN "
                     "'foreign key' "
                     "WHEN 'c' THEN 'check' ELSE 'constraint' END, CASE k.contype WHEN 'p' THEN r.relname ELSE "
                     "k.conname END, "
                     "CASE k.contype WHEN 'p' THEN k.conname || ' (' || " COLUMNS_OF(
                         "k.conkey",
                         "k.conrelid") " || ')' "
                                       "WHEN 'u' THEN r.relname || ' (' || " COLUMNS_OF(
                                           "k.conkey",
                                           "k.conrelid") " || ')' "
                                                         "WHEN 'f' THEN r.relname || ' (' || " COLUMNS_OF(
                                                             "k.conkey",
                                                             "k.conrelid") " || ') references ' || "
                                                                           "(SELECT x.relname FROM pg_class x WHERE "
                                                                           "x.oid = k.confrelid) || ' (' "
                                                                           "|| " COLUMNS_OF("k.confkey", "k.confrelid") " || ') on delete ' || " ACTION("k.confdeltype") " || ' on update ' || " ACTION(
                                                                               "k.confupdtype") " "
                                                                                                "ELSE r.relname || ' ' "
                                                                                                "|| "
                                                                                                "pg_get_constraintdef("
                                                                                                "k.oid) END "
                                                                                                "FROM pg_constraint k "
                                                                                                "JOIN rel r ON r.oid = "
                                                                                                "k.conrelid WHERE "
                                                                                                "k.contype IN ('p', "
                                                                                                "'u', 'f', 'c', 'x') "
                                                                                                "UNION ALL SELECT "
                                                                                                "'index', ic.relname, "
                                                                                                "r.relname || CASE "
                                                                                                "WHEN i.indisunique "
                                                                                                "THEN ' unique' ELSE "
                                                                                                "'' END || ' using ' "
                                                                                                "|| m.amname || ' (' "
                                                                                                "|| (SELECT "
                                                                                                "string_agg(pg_get_"
                                                                                                "indexdef(i.indexrelid,"
                                                                                                " n, true) "
                                                                                                "|| CASE WHEN "
                                                                                                "i.indoption[n - 1] & "
                                                                                                "1 = 1 THEN ' desc' "
                                                                                                "ELSE ' asc' END "
                                                                                                "|| CASE WHEN "
                                                                                                "i.indoption[n - 1] & "
                                                                                                "2 = 2 THEN ' nulls "
                                                                                                "first' ELSE ' nulls "
                                                                                                "last' END, ', ' ORDER "
                                                                                                "BY n) "
                                                                                                "FROM "
                                                                                                "generate_series(1, "
                                                                                                "i.indnkeyatts) AS n) "
                                                                                                "|| ')' "
                                                                                                "|| coalesce(' where ' "
                                                                                                "|| "
                                                                                                "pg_get_expr(i.indpred,"
                                                                                                " i.indrelid), '') || "
                                                                                                "CASE WHEN "
                                                                                                "i.indisvalid THEN '' "
                                                                                                "ELSE ' invalid' END "
                                                                                                "FROM pg_index i JOIN "
                                                                                                "pg_class ic ON ic.oid "
                                                                                                "= i.indexrelid JOIN "
                                                                                                "rel r ON r.oid = "
                                                                                                "i.indrelid JOIN pg_am "
                                                                                                "m "
                                                                                                "ON m.oid = ic.relam "
                                                                                                "WHERE " OURS(
                                                                                                    "ic.relname") " AND"
                                                                                                                  " NOT"
                                                                                                                  " EXI"
                                                                                                                  "STS "
                                                                                                                  "(SEL"
                                                                                                                  "ECT "
                                                                                                                  "FROM"
                                                                                                                  " pg_"
                                                                                                                  "cons"
                                                                                                                  "trai"
                                                                                                                  "nt "
                                                                                                                  "k "
                                                                                                                  "WHER"
                                                                                                                  "E "
                                                                                                                  "k."
                                                                                                                  "coni"
                                                                                                                  "ndid"
                                                                                                                  " = "
                                                                                                                  "i."
                                                                                                                  "inde"
                                                                                                                  "xrel"
                                                                                                                  "id "
                                                                                                                  "AND "
                                                                                                                  "k."
                                                                                                                  "cont"
                                                                                                                  "ype "
                                                                                                                  "IN "
                                                                                                                  "('p'"
                                                                                                                  ", "
                                                                                                                  "'u',"
                                                                                                                  " 'x'"
                                                                                                                  ")) "
                                                                                                                  "UNIO"
                                                                                                                  "N "
                                                                                                                  "ALL "
                                                                                                                  "SELE"
                                                                                                                  "CT "
                                                                                                                  "'tri"
                                                                                                                  "gger"
                                                                                                                  "', "
                                                                                                                  "g."
                                                                                                                  "tgna"
                                                                                                                  "me, "
                                                                                                                  "r."
                                                                                                                  "reln"
                                                                                                                  "ame "
                                                                                                                  "FROM"
                                                                                                                  " pg_"
                                                                                                                  "trig"
                                                                                                                  "ger "
                                                                                                                  "g "
                                                                                                                  "JOIN"
                                                                                                                  " rel"
                                                                                                                  " r "
                                                                                                                  "ON "
                                                                                                                  "r."
                                                                                                                  "oid "
                                                                                                                  "= "
                                                                                                                  "g."
                                                                                                                  "tgre"
                                                                                                                  "lid "
                                                                                                                  "WHER"
                                                                                                                  "E "
                                                                                                                  "NOT "
                                                                                                                  "g."
                                                                                                                  "tgis"
                                                                                                                  "inte"
                                                                                                                  "rnal"
                                                                                                                  " AND"
                                                                                                                  " " OURS(
                                                                                                                      "g.tgname") " "
                                                                                                                                  "UNION ALL SELECT 'bookkeeping', a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull "
                                                                                                                                  "THEN ' not null' ELSE ' null' END || ' default ' || coalesce(pg_get_expr(d.adbin, d.adrelid), 'none') "
                                                                                                                                  "FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
                                                                                                                                  "WHERE a.attrelid = to_regclass('drizzle.__drizzle_migrations') AND a.attnum > 0 AND NOT a.attisdropped "
                                                                                                                                  "ORDER BY 1, 2, 3";

static const char steps_sql[] = "SELECT 'step', coalesce(created_at, 0)::text, '' FROM drizzle.__drizzle_migrations "
                                "ORDER BY created_at, id";

/* Adds the rows (kind, key, text) of a query. */
static bool add_rows(PGconn *db, struct catalog *c, const char *sql, FILE *out)
{
	PGresult *r = PQexec(db, sql);
	bool good = PQresultStatus(r) == PGRES_TUPLES_OK;
	if (!good)
		fprintf(out, "cannot read the catalogs: %s", PQerrorMessage(db));
	for (int i = 0; good && i < PQntuples(r); i++)
		add(c, PQgetvalue(r, i, 0), PQgetvalue(r, i, 1), PQgetvalue(r, i, 2));
	PQclear(r);
	return good;
}

static bool exec(PGconn *db, const char *sql)
{
	PGresult *r = PQexec(db, sql);
	bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
	PQclear(r);
	return good;
}

bool catalog_read(PGconn *db, struct catalog *c, FILE *out)
{
	if (!exec(db, "SET search_path = public")) {
		fprintf(out, "cannot read the catalogs: %s", PQerrorMessage(db));
		return false;
	}
	if (!add_rows(db, c, objects_sql, out))
		return false;
	return catalog_text(c, "bookkeeping", "created_at") == NULL || add_rows(db, c, steps_sql, out);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

const char *catalog_text(const struct catalog *c, const char *kind, const char *key)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->at[i].key, key) == 0 && strcmp(c->at[i].kind, kind) == 0)
			return c->at[i].text;
	return NULL;
}

static bool is(const struct catalog_item *item, const char *kind)
{
	return strcmp(item->kind, kind) == 0;
}

/* True if the table that a column belongs to is not in c. */
static bool table_missing(const struct catalog *c, const char *key)
{
	char table[128];
	snprintf(table, sizeof(table), "%.*s", (int)strcspn(key, "."), key);
	return catalog_text(c, "table", table) == NULL;
}

/* True if item only repeats that its table or its column is not in c. */
static bool follows(const struct catalog *c, const struct catalog_item *item)
{
	if (is(item, "column") || is(item, "primary key"))
		return table_missing(c, item->key);
	if (is(item, "nullable") || is(item, "default"))
		return catalog_text(c, "column", item->key) == NULL;
	if (is(item, "index") || is(item, "unique") || is(item, "foreign key") || is(item, "trigger")) {
		char table[128];
		snprintf(table, sizeof(table), "%.*s", (int)strcspn(item->text, " "), item->text);
		return catalog_text(c, "table", table) == NULL;
	}
	return false;
}

/* True if the program cannot work where item is found as `found` (NULL: not at all). */
static bool breaks(const struct catalog_item *item, const char *found)
{
	if (is(item, "enum") || is(item, "table") || is(item, "column") || is(item, "primary key") ||
	    is(item, "unique") || is(item, "bookkeeping"))
		return true;
	if (is(item, "nullable")) /* a column that must be filled where we leave it empty */
		return strcmp(item->text, "null") == 0;
	if (is(item, "default"))
		return strcmp(item->text, "none") != 0 && found != NULL && strcmp(found, "none") == 0;
	return false;
}

/* An additional column is in the way only if every insert has to fill it. */
static bool unexpected_breaks(const struct catalog *actual, const struct catalog_item *item)
{
	if (!is(item, "column"))
		return false;
	return strcmp(catalog_text(actual, "nullable", item->key), "not null") == 0 &&
	       strcmp(catalog_text(actual, "default", item->key), "none") == 0;
}

static void report(struct catalog_diff *d, const char *prefix, FILE *out, const struct catalog_item *item,
                   const char *found)
{
	d->count++;
	if (out == NULL)
		return;
	const char *colon = *item->text == '\0' ? "" : ": ";
	if (found == NULL)
		fprintf(out, "%smissing %s %s%s%s\n", prefix, item->kind, item->key, colon, item->text);
	else
		fprintf(out, "%s%s %s is %s, expected %s\n", prefix, item->kind, item->key, found, item->text);
}

struct catalog_diff catalog_compare(const struct catalog *expected, const struct catalog *actual, const char *prefix,
                                    FILE *out)
{
	struct catalog_diff d = {0};
	for (size_t i = 0; i < expected->count; i++) {
		const struct catalog_item *item = &expected->at[i];
		const char *found = catalog_text(actual, item->kind, item->key);
		if (found != NULL && (is(item, "step") || strcmp(found, item->text) == 0))
			continue;
		if (found == NULL && follows(actual, item))
			continue;
		report(&d, prefix, out, item, found);
		d.broken += breaks(item, found);
	}
	for (size_t i = 0; i < actual->count; i++) {
		const struct catalog_item *item = &actual->at[i];
		if (catalog_text(expected, item->kind, item->key) != NULL || follows(expected, item))
			continue;
		d.count++;
		d.broken += unexpected_breaks(actual, item);
		if (out != NULL)
			fprintf(out, "%sunexpected %s %s%s%s\n", prefix, item->kind, item->key,
			        *item->text == '\0' ? "" : ": ", item->text);
	}
	return d;
}
