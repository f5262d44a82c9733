/* Postgres into flat files: one state of the database, file by file; each is put in its place when it is whole. */
#include "store/transfer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/file/installation.h"
#include "store/migrate.h"
#include "store/transfer_rest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK ".export" /* names the database that the folder was exported from */

struct export
{
	struct transfer *t;
	struct pg *from;
	struct file_store *to;
	FILE *bookkeeping;
	char *bookkeeping_path;
};

/* ---- the folder belongs to one database -------------------------------------------------------------------------- */

static status database_name(struct export *x, const void *ctx, const char **name)
{
	struct batch b;

	batch_init(&b, ctx);
	batch_add_once(&b, "SELECT system_identifier || '/' || current_database() FROM pg_control_system()");
	TRY(pg_read(x->from, &b));
	*name = mem_strdup(ctx, batch_cell(&b, 0, 0, 0));
	return ST_OK;
}

/* An earlier run's folder may be written again; another installation's never. */
static bool claim_folder(struct export *x, const void *ctx, const char *dir)
{
	const char *mark = mem_printf(ctx, "%s/%s", dir, MARK), *name;
	struct fs_version v;
	char *data;
	size_t n;
	status st = database_name(x, ctx, &name);

	if (st != ST_OK)
		return transfer_fail(x->t, "database", status_name(st));
	if (fs_read(ctx, mark, &data, &n, &v) == ST_OK) {
		data[strcspn(data, "\n")] = '\0';
		if (strcmp(data, name) == 0)
			return true;
		return transfer_fail(x->t, dir, "holds the export of another database");
	}
	if (installation_in(ctx, dir))
		return transfer_fail(x->t, dir, "holds files of a controller already; choose an empty folder");
	name = mem_printf(ctx, "%s\n", name);
	return fs_overwrite(mark, name, strlen(name)) == ST_OK || transfer_fail(x->t, mark, strerror(errno));
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

/* What a row has and the file has no place for. */
static void keep_bookkeeping(struct export *x, const struct model *m, bool foreign, json_object *doc,
                             const char *const *more)
{
	void *ctx = talloc_new(NULL);
	json_object *members = json_new_object(ctx), *line = json_new_object(ctx);

	for (size_t i = 0; foreign && i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *v = (f->flags & M_HIDDEN) && !(f->flags & M_DERIVED) && f->constant == NULL
		                     ? model_value(doc, f)
		                     : NULL;

		json_set_ref(members, f->name, v);
	}
	json_set_str(line, "store", m->name);
	json_set_str(line, "id", json_str_or(doc, m->id, ""));
	if (json_object_object_length(members) > 0)
		json_set_ref(line, "members", members);
	rest_note(line, m, doc, more);
	if (json_object_object_length(line) > 2)
		fprintf(x->bookkeeping, "%s\n", json_compact(ctx, line, NULL));
	talloc_free(ctx);
}

struct copying {
	struct export *x;
	struct file_writer *w;
	const struct collection *c;
	struct transfer_count *n;
	int64_t done;
};

static bool copy_document(void *state, json_object *doc, const char *const *more)
{
	struct copying *copying = state;
	const struct model *m = copying->c->model;
	void *ctx = talloc_new(NULL);

	keep_bookkeeping(copying->x, m, copying->c->foreign, doc, more);
	model_add_unknown(doc, rest_unplaced(ctx, more));
	if (m == &model_channel_map_assignments) /* the form that the file has them in (07, conventions) */
		json_set_str(doc, "id", mem_printf(ctx, "assignment_%s", json_str_or(doc, "id", "")));
	if (writer_add(copying->w, copying->c, doc) != ST_OK) {
		copying->n->refused++;
		transfer_complain(copying->x->t, m->name, json_str(doc, m->id), "cannot be kept in a flat file");
	}
	transfer_progress(copying->x->t, copying->n, ++copying->done);
	talloc_free(ctx);
	return true;
}

static status count_rows(struct export *x, const struct model *m, int64_t *count)
{
	void *ctx = talloc_new(NULL);
	struct batch b;
	struct sql s;
	status st;

	sql_init(&s, ctx);
	sql_printf(&s, "SELECT count(*) FROM %s t", m->table);
	sql_constant(&s, m, " WHERE ");
	batch_init(&b, ctx);
	batch_add(&b, s.text.data, s.params.values, s.params.count);
	st = pg_run(x->from, &b);
	if (st == ST_OK)
		*count = strtoll(batch_cell(&b, 0, 0, 0), NULL, 10);
	talloc_free(ctx);
	return st;
}

static status write_table(struct export *x, struct file_writer *w, const struct collection *c, struct transfer_count *n)
{
	struct copying copying = {.x = x, .w = w, .c = c, .n = n};
	struct query q;

	TRY(count_rows(x, c->model, &n->source));
	writer_collection(w, c);
	query_init(&q);
	return pg_each_row(x->from, c->model, &q, rest_columns(w->ctx, c->model), copy_document, &copying);
}

/* ---- tables without documents ----------------------------------------------------------------------------------- */

static bool export_bare(struct export *x, const struct bare_table *t)
{
	struct transfer_count *n = transfer_store(x->t, t->name);
	void *ctx = talloc_new(NULL);
	struct batch b;
	status st;

	batch_init(&b, ctx);
	batch_add_once(&b, mem_printf(ctx, "SELECT to_jsonb(t) FROM %s t WHERE %s", t->name,
	                              t->where != NULL ? t->where : "true"));
	st = pg_run(x->from, &b);
	for (int i = 0; st == ST_OK && i < batch_rows(&b, 0); i++, n->source++, n->target++, n->added++)
		fprintf(x->bookkeeping, "{\"table\":\"%s\",\"row\":%s}\n", t->name, batch_cell(&b, 0, i, 0));
	talloc_free(ctx);
	return st == ST_OK || transfer_fail(x->t, t->name, status_name(st));
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* Counts what a controller will read. */
static bool count_file(struct export *x, struct data_file *f, struct transfer_count *counts[])
{
	const char *reason = "it is gone";
	struct contents there;

	if (contents_read(f, &there, &reason) != ST_OK)
		return transfer_fail(x->t, f->path, reason);
	for (size_t i = 0; i < f->collection_count; i++) {
		for (size_t k = 0; counts[i] != NULL && k < there.tables[i]->count; k++)
			counts[i]->target += !there.tables[i]->at[k]->hidden;
		if (counts[i] != NULL)
			counts[i]->added = counts[i]->target;
	}
	contents_free(f, &there);
	return true;
}

static bool export_rows(struct export *x, struct data_file *f)
{
	struct transfer_count *counts[COLLECTIONS_MAX];
	struct file_writer w;
	status st = writer_open(&w, NULL, f);

	for (size_t i = 0; i < f->collection_count; i++) {
		counts[i] = NULL;
		if (f->collections[i]->model->table == NULL) /* counters begin anew, with what is stored */
			continue;
		counts[i] = transfer_store(x->t, f->collections[i]->model->name);
		if (st == ST_OK)
			st = write_table(x, &w, f->collections[i], counts[i]);
	}
	if (st == ST_OK)
		st = writer_close(&w);
	else
		writer_abandon(&w);
	return st == ST_OK ? count_file(x, f, counts) : transfer_fail(x->t, f->path, status_name(st));
}

/* A store that is a file in both modes. */
static bool export_file(struct export *x, struct data_file *f)
{
	struct collection *c = f->collections[0], *from = collection_of(x->from->inner, c->model);
	struct transfer_count *n = transfer_store(x->t, c->model->name);
	const char *reason = NULL;
	struct contents in;
	struct file_writer w;
	status st = contents_read(from->file, &in, &reason);

	if (st == ST_NOT_FOUND)
		return true;
	if (st != ST_OK)
		return transfer_fail(x->t, from->file->path, reason);
	n->in_place = strcmp(from->file->path, f->path) == 0;
	st = writer_open(&w, NULL, f);
	if (st == ST_OK)
		writer_collection(&w, c);
	for (size_t i = 0; st == ST_OK && i < in.tables[0]->count; i++) {
		const struct element *e = in.tables[0]->at[i];

		if (e->hidden) {
			n->left++;
			continue;
		}
		n->source++;
		if (writer_add(&w, c, element_document(w.ctx, from, e)) != ST_OK)
			n->refused++;
	}
	contents_free(from->file, &in);
	if (st != ST_OK || n->in_place)
		writer_abandon(&w);
	else
		st = writer_close(&w);
	return st == ST_OK ? count_file(x, f, &n) : transfer_fail(x->t, f->path, status_name(st));
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

struct lines {
	struct export *x;
	struct transfer_count *n;
	FILE *out;
	const char *last; /* go on behind this one; NULL = from the first */
	int64_t written;
};

static bool write_event(void *state, json_object *event, const char *const *more)
{
	struct lines *l = state;
	void *ctx = talloc_new(NULL);

	keep_bookkeeping(l->x, &model_audit_events, false, event, more);
	model_add_unknown(event, rest_unplaced(ctx, more));
	if (l->last != NULL) {
		if (text_equal(l->last, json_str(event, "id")))
			l->last = NULL;
	} else {
		json_object_object_del(event, "actorUserId");
		fprintf(l->out, "%s\n", json_compact(ctx, event, NULL));
		transfer_progress(l->x->t, l->n, ++l->written);
	}
	talloc_free(ctx);
	return true;
}

/* The lines that an earlier run wrote, a torn last one removed; the last event's id. */
static int64_t earlier_lines(FILE *f, const void *ctx, const char **id)
{
	void *last = talloc_new(ctx);
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int64_t count = 0;
	off_t end = 0;

	while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		void *tmp = talloc_new(NULL);
		json_object *o;

		if (!json_parse(tmp, line, (size_t)n, &o) || json_str(o, "id") == NULL) {
			talloc_free(tmp);
			break;
		}
		talloc_free_children(last);
		*id = mem_strdup(last, json_str(o, "id"));
		talloc_free(tmp);
		count++;
		end += n;
	}
	free(line);
	return fflush(f) == 0 && ftruncate(fileno(f), end) == 0 && fseeko(f, end, SEEK_SET) == 0 ? count : -1;
}

static status write_events(struct export *x, struct transfer_count *n, FILE *f, bool again)
{
	void *ctx = talloc_new(NULL);
	const char *id = NULL;
	struct lines l = {.x = x, .n = n, .out = f};
	off_t kept = ftello(x->bookkeeping);
	struct query q;
	status st;

	rewind(f);
	n->target = again ? (ftruncate(fileno(f), 0) == 0 ? 0 : -1) : earlier_lines(f, ctx, &id);
	query_init(&q);
	query_sort(&q, "createdAt", false);
	query_sort(&q, "id", false);
	l.last = id;
	st = n->target < 0 ? fs_failed("write", x->to->audit.path, errno)
	                   : pg_each_row(x->from, &model_audit_events, &q, rest_columns(ctx, &model_audit_events),
	                                 write_event, &l);
	if (st == ST_OK && (fflush(f) != 0 || fsync(fileno(f)) != 0))
		st = fs_failed("write", x->to->audit.path, errno);
	n->added = l.written;
	n->target += l.written;
	/* said again by the second attempt */
	if (n->target != n->source && (fflush(x->bookkeeping) != 0 || ftruncate(fileno(x->bookkeeping), kept) != 0 ||
	                               fseeko(x->bookkeeping, kept, SEEK_SET) != 0))
		st = fs_failed("write", x->bookkeeping_path, errno);
	talloc_free(ctx);
	return st;
}

static bool export_audit(struct export *x)
{
	struct transfer_count *n = transfer_store(x->t, model_audit_events.name);
	int fd = open(x->to->audit.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");
	status st;

	if (f == NULL)
		return transfer_fail(x->t, x->to->audit.path, strerror(errno));
	st = count_rows(x, &model_audit_events, &n->source);
	if (st == ST_OK)
		st = write_events(x, n, f, false);
	/* What the earlier run wrote is not the beginning of what is there now. */
	if (st == ST_OK && n->target != n->source)
		st = write_events(x, n, f, true);
	fclose(f);
	if (st == ST_OK)
		st = fs_sync_folder(x->to->folder);
	return st == ST_OK || transfer_fail(x->t, n->store, status_name(st));
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static bool export_all(struct export *x)
{
	struct file_store *s = x->to;

	for (size_t i = 0; i < s->file_count; i++) {
		struct data_file *f = &s->files[i];

		if (!(f->collections[0]->model->table != NULL ? export_rows(x, f) : export_file(x, f)))
			return false;
	}
	for (const struct bare_table *t = bare_tables; t->name != NULL; t++)
		if (!export_bare(x, t))
			return false;
	return export_audit(x);
}

static bool run_export(struct export *x, const void *ctx)
{
	bool good;

	x->bookkeeping_path = mem_printf(ctx, "%s/%s", x->to->folder, TRANSFER_BOOKKEEPING);
	x->bookkeeping = fopen(x->bookkeeping_path, "we");
	if (x->bookkeeping == NULL || fchmod(fileno(x->bookkeeping), 0600) != 0)
		return transfer_fail(x->t, x->bookkeeping_path, strerror(errno));
	if (pg_snapshot(x->from) != ST_OK) {
		fclose(x->bookkeeping);
		return transfer_fail(x->t, "database", "cannot be read");
	}
	good = export_all(x);
	pg_unit_rollback(x->from);
	if (fflush(x->bookkeeping) != 0 || fsync(fileno(x->bookkeeping)) != 0)
		good = transfer_fail(x->t, x->bookkeeping_path, strerror(errno));
	fclose(x->bookkeeping);
	return good;
}

/* Events that wait for the database belong to it. */
static bool empty_spool(struct export *x)
{
	int64_t moved;
	status st = pg_audit_maintain(x->from, &moved);

	return st == ST_OK || transfer_fail(x->t, "audit spool", status_name(st));
}

bool transfer_export(struct transfer *t, const struct config *c, const char *dir)
{
	void *ctx = talloc_new(NULL);
	struct export x = {.t = t};
	const char *error = "cannot be opened";
	bool good = false;

	if (fs_make_folder(dir) != ST_OK)
		transfer_fail(t, dir, "cannot be made");
	else if (migrate_status(config_str(c, CFG_DATABASE_URL), NULL, t->out) != MIGRATE_OK)
		transfer_fail(t, "export", "the schema of the database is not this program's; see rakkr-fcgi migrate");
	else if ((x.from = pg_open(ctx, c, &error)) == NULL)
		transfer_fail(t, "database", error);
	else if (claim_folder(&x, ctx, dir)) {
		x.to = installation_open(ctx, dir, &error);
		if (x.to == NULL)
			transfer_fail(t, "export", error);
		else
			good = empty_spool(&x) && run_export(&x, ctx) && transfer_complete(t);
	}
	talloc_free(ctx);
	return good;
}
