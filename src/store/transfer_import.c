/* Flat files into Postgres: store by store, in batches that are each one transaction. */

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/migrate.h"
#include "store/transfer_import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH 500

/* What others refer to comes first. */
static const struct model *const first[] = {&model_access_groups, &model_users, &model_nodes, NULL};

static bool is_first(const struct model *m)
{
	for (size_t i = 0; first[i] != NULL; i++)
		if (first[i] == m)
			return true;
	return false;
}

static status remove_document(struct pg *p, const void *ctx, const struct model *m, const char *id)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, m->id, Q_EQ, id);
	return backend_pg.remove(p, ctx, m, &q, &page);
}

/* ---- one batch --------------------------------------------------------------------------------------------------- */

struct work {
	const struct model *model;
	struct transfer_count *n;
	json_object *docs[BATCH];
	json_object *lines[BATCH]; /* of the export's bookkeeping, or NULL */
	bool wanted[BATCH];        /* not there yet */
	bool replace[BATCH];       /* a built-in one gives way */
	size_t count;
	void *ctx;
};

static const char *id_of(const struct work *w, size_t i)
{
	return json_str_or(w->docs[i], w->model->id, "");
}

static const char **ids_of(const struct work *w)
{
	const char **ids = mem_array(w->ctx, const char *, w->count + 1);

	for (size_t i = 0; i < w->count; i++)
		ids[i] = id_of(w, i);
	return ids;
}

static status find_existing(struct import *im, struct work *w, struct page *page)
{
	struct query q;

	query_init(&q);
	query_where_in(&q, w->model->id, ids_of(w), w->count);
	return backend_pg.list(im->to, w->ctx, w->model, &q, page);
}

static void compare(struct import *im, struct work *w, size_t i, json_object *there)
{
	const struct model *m = w->model;
	json_object *builtin;

	w->wanted[i] = false;
	if (transfer_same(m, w->docs[i], there))
		return;
	builtin = m->seed == NULL ? NULL : model_builtin(w->ctx, m, id_of(w, i));
	if (builtin != NULL && transfer_same(m, builtin, there)) {
		w->wanted[i] = w->replace[i] = true;
		return;
	}
	w->n->different++;
	transfer_complain(im->t, m->name, id_of(w, i), "is in the database with other contents; left as it is there");
}

static status note_existing(struct import *im, struct work *w)
{
	struct page page;

	for (size_t i = 0; i < w->count; i++) {
		w->wanted[i] = true;
		w->replace[i] = false;
	}
	TRY(find_existing(im, w, &page));
	for (size_t k = 0; k < page.count; k++) {
		json_object *there = json_object_array_get_idx(page.docs, k);

		for (size_t i = 0; i < w->count; i++)
			if (text_equal_ci(id_of(w, i), json_str_or(there, w->model->id, "")))
				compare(im, w, i, there);
	}
	return ST_OK;
}

static status put_one(struct import *im, struct work *w, size_t i)
{
	if (w->replace[i])
		TRY(remove_document(im->to, w->ctx, w->model, id_of(w, i)));
	return import_insert(im->to, w->ctx, w->model, w->docs[i], w->lines[i]);
}

/* Documents with one time keep their order: microseconds tell them apart, which no document shows. */
static status spread(struct import *im, struct work *w)
{
	const char *order = w->model->order[0];
	bool desc = order[0] == '-';
	const struct model_field *f = model_field_find(w->model, order + desc);
	const struct model_field *id = model_field_find(w->model, w->model->id);
	const char **ids = mem_array(w->ctx, const char *, w->count + 1), *values[1];
	bool ties = false;
	struct batch b;
	size_t n = 0;

	if (f->type != M_TIME || f->key != NULL)
		return ST_OK;
	for (size_t i = 0; i < w->count; i++) {
		size_t at = desc ? w->count - 1 - i : i;

		ties = ties || (i > 0 && text_equal(json_str(w->docs[i], f->name), json_str(w->docs[i - 1], f->name)));
		if (w->wanted[at])
			ids[n++] = id_of(w, at);
	}
	if (!ties || n == 0)
		return ST_OK;
	values[0] = param_array(w->ctx, ids, n);
	batch_init(&b, w->ctx);
	batch_add(&b,
	          mem_printf(w->ctx,
	                     "UPDATE %s t SET %s = date_trunc('milliseconds', t.%s) + o.n * interval '1 microsecond'"
	                     " FROM unnest($1::text[]) WITH ORDINALITY AS o(id, n) WHERE t.%s = o.id::%s",
	                     w->model->table, f->column, f->column, id->column, id->type == M_UUID ? "uuid" : "text"),
	          values, 1);
	return pg_write(im->to, &b);
}

static status put_all(struct import *im, struct work *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->wanted[i])
			TRY(put_one(im, w, i));
	TRY(spread(im, w));
	for (size_t i = 0; i < w->count; i++)
		if (w->wanted[i])
			TRY(rest_apply(im->to, w->ctx, w->model, w->docs[i], w->lines[i]));
	return pg_commit(im->to, NULL, true);
}

/* One by one, after one of them was refused. */
static status put_each(struct import *im, struct work *w)
{
	for (size_t i = 0; i < w->count; i++) {
		status st;

		if (!w->wanted[i])
			continue;
		st = put_one(im, w, i);
		if (st == ST_OK)
			st = rest_apply(im->to, w->ctx, w->model, w->docs[i], w->lines[i]);
		if (st == ST_OK)
			st = pg_commit(im->to, NULL, true);
		else
			pg_unit_rollback(im->to);
		if (st == ST_UNAVAILABLE)
			return st;
		if (st == ST_OK)
			continue;
		w->wanted[i] = false;
		w->n->refused++;
		transfer_complain(im->t, w->model->name, id_of(w, i),
		                  st == ST_CONFLICT ? "another row has what must be unique (e-mail, token)"
		                                    : "the database cannot hold it (see the log line before)");
	}
	return ST_OK;
}

/* Counts in the database, whoever put them there. */
static status count_there(struct import *im, struct work *w)
{
	const struct model_field *id = model_field_find(w->model, w->model->id);
	const char *values[] = {param_array(w->ctx, ids_of(w), w->count)};
	struct batch b;

	batch_init(&b, w->ctx);
	batch_add(&b,
	          mem_printf(w->ctx, "SELECT count(*) FROM %s WHERE %s = ANY($1::%s[])", w->model->table, id->column,
	                     id->type == M_UUID ? "uuid" : "text"),
	          values, 1);
	TRY(pg_read(im->to, &b));
	w->n->target += strtoll(batch_cell(&b, 0, 0, 0), NULL, 10);
	return ST_OK;
}

static status flush(struct import *im, struct work *w)
{
	status st;

	if (w->count == 0)
		return ST_OK;
	TRY(note_existing(im, w));
	st = put_all(im, w);
	if (st != ST_OK) {
		pg_unit_rollback(im->to);
		st = st == ST_UNAVAILABLE ? st : put_each(im, w);
	}
	TRY(st);
	for (size_t i = 0; i < w->count; i++)
		w->n->added += w->wanted[i];
	TRY(count_there(im, w));
	w->count = 0;
	talloc_free_children(w->ctx);
	return ST_OK;
}

static status import_table(struct import *im, const struct collection *c, const struct contents *in, struct table *t,
                           struct transfer_count *n)
{
	struct work w = {.model = c->model, .n = n, .ctx = talloc_new(NULL)};
	status st = ST_OK;
	int64_t done = 0;

	for (size_t i = 0; i < t->count; i++)
		t->at[i]->hidden ? n->left++ : n->source++;
	for (size_t i = 0; st == ST_OK && i < t->count; i++) {
		if (t->at[i]->hidden)
			continue;
		w.docs[w.count] = import_adapted(im, w.ctx, c, t->at[i], in->changed_ms, i, &w.lines[w.count]);
		if (++w.count == BATCH)
			st = flush(im, &w);
		transfer_progress(im->t, n, ++done);
	}
	if (st == ST_OK)
		st = flush(im, &w);
	talloc_free(w.ctx);
	return st;
}

/* ---- stores that are files in both modes ------------------------------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static status put_file_document(struct import *im, const void *ctx, const struct model *m, json_object *doc,
                                struct transfer_count *n)
{
	const char *id = json_str_or(doc, m->id, "");
	json_object *there, *builtin;
	struct query q;
	struct page page;
	status st = backend_file.get(im->to->inner, ctx, m, id, &there);

	if (st == ST_NOT_FOUND) {
		n->added++;
		return backend_file.insert(im->to->inner, ctx, m, doc, NULL);
	}
	TRY(st);
	if (transfer_same(m, doc, there))
		return ST_OK;
	builtin = m->seed == NULL ? NULL : model_builtin(ctx, m, id);
	if (builtin != NULL && transfer_same(m, builtin, there)) {
		query_init(&q);
		query_where(&q, m->id, Q_EQ, id);
		n->added++;
		return backend_file.update(im->to->inner, ctx, m, &q, doc, &page, NULL);
	}
	n->different++;
	transfer_complain(im->t, m->name, id, "is there with other contents; left as it is");
	return ST_OK;
}

static status import_file_table(struct import *im, const struct collection *c, struct table *t,
                                struct transfer_count *n)
{
	void *ctx = talloc_new(NULL);
	json_object *there;
	struct collection *to = collection_of(im->to->inner, c->model);
	status st = ST_OK;

	for (size_t i = 0; i < t->count; i++)
		t->at[i]->hidden ? n->left++ : n->source++;
	to->keeps_unknown = true;
	n->in_place = same_file(c->file->path, to->file->path);
	if (n->in_place)
		n->target = n->source;
	for (size_t i = t->count; !n->in_place && st == ST_OK && i-- > 0;) /* each is put in front of the others */
		if (!t->at[i]->hidden)
			st = put_file_document(im, ctx, c->model, element_document(ctx, c, t->at[i]), n);
	if (st == ST_OK)
		st = backend_file.commit(im->to->inner, NULL, true);
	else
		backend_file.rollback(im->to->inner);
	for (size_t i = 0; !n->in_place && st == ST_OK && i < t->count; i++)
		if (!t->at[i]->hidden)
			n->target += backend_file.get(im->to->inner, ctx, c->model, t->at[i]->id, &there) == ST_OK;
	talloc_free(ctx);
	return st;
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

static bool import_collection(struct import *im, const struct model *m)
{
	struct collection *c = collection_of(im->from, m);
	struct transfer_count *n = transfer_store(im->t, m->name);
	const char *reason = NULL;
	struct contents in;
	size_t place = 0;
	status st = contents_read(c->file, &in, &reason);

	if (st == ST_NOT_FOUND)
		return true;
	if (st != ST_OK)
		return transfer_fail(im->t, c->file->path, reason);
	while (c->file->collections[place] != c)
		place++;
	st = m->table != NULL ? import_table(im, c, &in, in.tables[place], n)
	                      : import_file_table(im, c, in.tables[place], n);
	contents_free(c->file, &in);
	return st == ST_OK || transfer_fail(im->t, m->name, status_name(st));
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

/* An event's time as the row had it, before it is inserted: it is found by that. */
static void restore_time(json_object *event, json_object *line)
{
	json_object *columns = json_object_at(line, "columns"), *exact = json_get(columns, "created_at");

	if (exact == NULL ||
	    !transfer_same_value(&model_audit_events, model_field_find(&model_audit_events, "createdAt"),
	                         json_get(event, "createdAt"), json_get(json_object_at(line, "was"), "createdAt")))
		return;
	json_set_ref(event, "createdAt", exact);
	json_object_object_del(columns, "created_at");
}

static status complete_event(struct import *im, const void *ctx, json_object *event, json_object *line)
{
	TRY(rest_apply(im->to, ctx, &model_audit_events, event, line));
	return rest_keep_unplaced(im->to, ctx, &model_audit_events, event);
}

static status flush_events(struct import *im, struct work *w)
{
	struct batch b;
	struct page page;
	json_object *there, *fresh[BATCH], *lines[BATCH];
	size_t n = 0;
	status st = ST_OK;

	if (w->count == 0)
		return ST_OK;
	TRY(find_existing(im, w, &page));
	there = json_new_object(w->ctx);
	for (size_t i = 0; i < page.count; i++)
		json_set_bool(there, json_str_or(json_object_array_get_idx(page.docs, i), "id", ""), true);
	for (size_t i = 0; i < w->count; i++)
		if (!json_has(there, id_of(w, i))) {
			lines[n] = rest_find(im->rest, w->ctx, w->model->name, id_of(w, i));
			restore_time(w->docs[i], lines[n]);
			fresh[n++] = w->docs[i];
		}
	batch_init(&b, w->ctx);
	audit_add_inserts(&b, fresh, n, true);
	b.changes = TOPICS_NONE;
	if (n > 0) {
		st = pg_write(im->to, &b);
		for (size_t i = 0; st == ST_OK && i < n; i++)
			st = complete_event(im, w->ctx, fresh[i], lines[i]);
		if (st == ST_OK)
			st = pg_commit(im->to, NULL, true);
		else
			pg_unit_rollback(im->to);
	}
	TRY(st);
	w->n->added += (int64_t)n;
	TRY(count_there(im, w));
	w->count = 0;
	talloc_free_children(w->ctx);
	return ST_OK;
}

static int64_t count_lines(FILE *f)
{
	char data[65536];
	int64_t lines = 0;
	size_t n;

	while ((n = fread(data, 1, sizeof(data), f)) > 0)
		for (size_t i = 0; i < n; i++)
			lines += data[i] == '\n';
	rewind(f);
	return lines;
}

static status import_lines(struct import *im, struct transfer_count *n, FILE *f)
{
	struct work w = {.model = &model_audit_events, .n = n, .ctx = talloc_new(NULL)};
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	status st = ST_OK;

	n->expected = count_lines(f);
	while (st == ST_OK && (len = getline(&line, &room, f)) > 0) {
		json_object *doc;

		if (!json_parse(w.ctx, line, (size_t)len, &doc) || !model_audit_events.accept(doc)) {
			n->left += len > 1;
			continue;
		}
		n->source++;
		import_adapt_id(doc, "id");
		w.docs[w.count] = doc;
		if (++w.count == BATCH) {
			st = flush_events(im, &w);
			transfer_progress(im->t, n, n->target);
		}
	}
	if (st == ST_OK)
		st = flush_events(im, &w);
	if (ferror(f))
		st = ST_UNAVAILABLE;
	free(line);
	talloc_free(w.ctx);
	return st;
}

static bool import_audit(struct import *im)
{
	struct transfer_count *n = transfer_store(im->t, model_audit_events.name);
	FILE *f = fopen(im->from->audit.path, "re");
	status st;

	if (f == NULL)
		return errno == ENOENT || transfer_fail(im->t, im->from->audit.path, strerror(errno));
	st = import_lines(im, n, f);
	fclose(f);
	return st == ST_OK || transfer_fail(im->t, n->store, status_name(st));
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* The demo documents of the files were moved, or were deleted there: the database's own are not offered any more. */
static void forget_demo(struct import *im, const void *ctx)
{
	struct batch b;

	batch_init(&b, ctx);
	batch_add(&b, "INSERT INTO rakkr_fcgi.seeded (name) VALUES ('demo') ON CONFLICT DO NOTHING", NULL, 0);
	b.begin = b.commit = true;
	pg_run(im->to, &b);
}

/* The planner's numbers of tables that were empty a moment ago; that they are missing is no failure. */
static void analyze(struct import *im, const void *ctx)
{
	struct batch b;

	batch_init(&b, ctx);
	batch_add_once(&b, "ANALYZE");
	pg_run(im->to, &b);
}

static bool import_all(struct import *im, const void *ctx)
{
	if (!import_rest(im, ctx) || !import_bare(im, true))
		return false;
	for (size_t i = 0; first[i] != NULL; i++)
		if (!import_collection(im, first[i]))
			return false;
	for (size_t i = 0; models[i] != NULL; i++)
		if (!is_first(models[i]) && models[i] != &model_audit_events && !import_collection(im, models[i]))
			return false;
	forget_demo(im, ctx);
	if (!import_bare(im, false) || !import_audit(im))
		return false;
	analyze(im, ctx);
	return true;
}

bool transfer_import(struct transfer *t, const struct config *c, const char *dir)
{
	void *ctx = talloc_new(NULL);
	struct import im = {.t = t};
	const char *error = "cannot be opened";
	bool good = false;

	im.from = installation_open(ctx, dir, &error);
	if (im.from == NULL || !installation_in(ctx, dir))
		transfer_fail(t, "import",
		              im.from == NULL ? error : "there are no files of a controller in that folder");
	else if (migrate_run(config_str(c, CFG_DATABASE_URL), NULL, t->out) != MIGRATE_OK)
		transfer_fail(t, "import", "the schema of the database cannot be brought up to date");
	else if ((im.to = pg_open(ctx, c, &error)) == NULL)
		transfer_fail(t, "database", error);
	else
		good = import_all(&im, ctx) && transfer_complete(t);
	talloc_free(ctx);
	return good;
}
