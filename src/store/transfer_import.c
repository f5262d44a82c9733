/* Flat files into Postgres: store by store, in batches that are each one transaction. */
#include "store/transfer.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/permission.h"
#include "store/file/installation.h"
#include "store/migrate.h"
#include "store/pg/pg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH 500

struct import {
	struct transfer *t;
	struct file_store *from;
	struct pg *to;
	json_object *bookkeeping; /* "<store>\n<id>" -> members that the contract's files do not have */
};

/* What others refer to comes first. */
static const struct model *const first[] = {&model_access_groups, &model_users, &model_nodes, NULL};

/* ---- documents made fit for the database ------------------------------------------------------------------------- */

static bool is_first(const struct model *m)
{
	for (size_t i = 0; first[i] != NULL; i++)
		if (first[i] == m)
			return true;
	return false;
}

static void adapt_id(json_object *o, const char *key)
{
	const char *id = json_str(o, key);
	char uuid[UUID_SIZE];

	if (id == NULL || text_is_uuid(id))
		return;
	transfer_uuid(uuid, id);
	json_set_str(o, key, uuid);
}

/* Interfaces as their rows will read: every one has a UUID and a system reference. */
static void adapt_interfaces(json_object *node)
{
	json_object *list = json_array(node, "interfaces");

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *o = json_object_array_get_idx(list, i);
		char *name = mem_printf(NULL, "%s/%zu", json_str_or(node, "id", ""), i);

		if (json_str(o, "id") == NULL)
			json_set_str(o, "id", name);
		adapt_id(o, "id");
		if (json_str(o, "systemRef") == NULL)
			json_set_copy(o, "systemRef", json_get(o, "systemName"));
		talloc_free(name);
	}
}

/* Roles that do not exist vanish, as they do when they are read. */
static bool is_role(json_object *item)
{
	return json_is_str(item) && role_parse(json_object_get_string(item)) != ROLE_COUNT;
}

static void adapt_roles(json_object *user)
{
	json_object *kept = json_object_new_array(), *roles = json_array(user, "roles");

	for (size_t i = 0; roles != NULL && i < json_object_array_length(roles); i++)
		if (is_role(json_object_array_get_idx(roles, i)))
			json_object_array_add(kept, json_object_get(json_object_array_get_idx(roles, i)));
	json_object_object_add(user, "roles", kept);
}

/* The contract's files keep their order by the place of an element: newest first. */
static void adapt_order(const struct model *m, json_object *doc, int64_t newest_ms, size_t place)
{
	const struct model_field *f = model_field_find(m, "createdAt");

	if (f != NULL && (f->flags & M_HIDDEN) && json_get(doc, "createdAt") == NULL)
		json_set_iso(doc, "createdAt", newest_ms - (int64_t)place);
}

static json_object *adapted(const struct import *im, const void *ctx, const struct collection *c,
                            const struct element *e, int64_t newest_ms, size_t place)
{
	const struct model *m = c->model;
	json_object *doc = element_document(ctx, c, e), *more;
	const struct model_field *id = model_field_find(m, m->id);
	char *key;

	if (id->type == M_UUID)
		adapt_id(doc, m->id);
	key = mem_printf(ctx, "%s\n%s", m->name, json_str_or(doc, m->id, ""));
	more = json_get(im->bookkeeping, key);
	if (more != NULL)
		json_merge(doc, more, false);
	if (m == &model_nodes)
		adapt_interfaces(doc);
	if (m == &model_users)
		adapt_roles(doc);
	adapt_order(m, doc, newest_ms, place);
	return doc;
}

/* Members that have no column are said once a store. */
static void report_unknown(struct import *im, const struct model *m, json_object *doc, json_object *said)
{
	json_object_object_foreach(doc, key, value)
	{
		size_t n = strlen(key);
		bool known = false;

		(void)value;
		for (size_t i = 0; !known && i < m->count; i++)
			known = strncmp(m->fields[i].name, key, n) == 0 &&
			        (m->fields[i].name[n] == '\0' || m->fields[i].name[n] == '.');
		if (known || json_has(said, key))
			continue;
		json_set_bool(said, key, true);
		fprintf(im->t->out, "%s: member \"%s\" has no place in the database and is not kept\n", m->name, key);
	}
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static status insert_user(struct pg *p, const void *ctx, json_object *doc)
{
	const char *id = json_str(doc, "id");
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	TRY(pg_insert(p, ctx, &model_users, doc, NULL));
	TRY(pg_access_write(p, ctx, id, json_get(doc, "roles"), json_get(doc, "resourceGrants"),
	                    json_get(doc, "groups")));
	if (json_get(doc, "updatedAt") == NULL)
		return ST_OK;
	json_set_ref(patch, "updatedAt", json_get(doc, "updatedAt"));
	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	return pg_update(p, ctx, &model_users, &q, patch, &page, NULL);
}

static status insert_node(struct pg *p, const void *ctx, json_object *doc)
{
	struct batch b;

	TRY(pg_insert(p, ctx, &model_nodes, doc, NULL));
	batch_init(&b, ctx);
	node_add_interfaces(&b, json_str(doc, "id"), json_get(doc, "interfaces"),
	                    json_str_or(doc, "createdAt", param_time(ctx, clock_now_ms())));
	return b.count == 0 ? ST_OK : pg_write(p, &b);
}

static status insert_document(struct pg *p, const void *ctx, const struct model *m, json_object *doc)
{
	if (m == &model_users)
		return insert_user(p, ctx, doc);
	if (m == &model_nodes)
		return insert_node(p, ctx, doc);
	return pg_insert(p, ctx, m, doc, NULL);
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
	bool wanted[BATCH];  /* not there yet */
	bool replace[BATCH]; /* a built-in one gives way */
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
	return insert_document(im->to, w->ctx, w->model, w->docs[i]);
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
	json_object *said = json_object_new_object();
	status st = ST_OK;
	int64_t done = 0;

	for (size_t i = 0; i < t->count; i++)
		t->at[i]->hidden ? n->left++ : n->source++;
	for (size_t i = 0; st == ST_OK && i < t->count; i++) {
		if (t->at[i]->hidden)
			continue;
		w.docs[w.count] = adapted(im, w.ctx, c, t->at[i], in->changed_ms, i);
		report_unknown(im, c->model, w.docs[w.count], said);
		if (++w.count == BATCH)
			st = flush(im, &w);
		transfer_progress(im->t, n, ++done);
	}
	if (st == ST_OK)
		st = flush(im, &w);
	json_object_put(said);
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
	status st = ST_OK;

	for (size_t i = 0; i < t->count; i++)
		t->at[i]->hidden ? n->left++ : n->source++;
	n->in_place = same_file(c->file->path, collection_of(im->to->inner, c->model)->file->path);
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

/* Members of rows that an export wrote beside the contract's files. */
static void read_bookkeeping(struct import *im, const void *ctx)
{
	FILE *f = fopen(mem_printf(ctx, "%s/%s", im->from->folder, TRANSFER_BOOKKEEPING), "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	im->bookkeeping = json_new_object(ctx);
	while (f != NULL && (n = getline(&line, &room, f)) > 0) {
		void *tmp = talloc_new(NULL);
		json_object *o;

		if (json_parse(tmp, line, (size_t)n, &o) && json_object_at(o, "members") != NULL)
			json_set_copy(im->bookkeeping,
			              mem_printf(tmp, "%s\n%s", json_str_or(o, "store", ""), json_str_or(o, "id", "")),
			              json_object_at(o, "members"));
		talloc_free(tmp);
	}
	free(line);
	if (f != NULL)
		fclose(f);
}

/* ---- audit events ------------------------------------------------------------------------------------------------ */

static status flush_events(struct import *im, struct work *w)
{
	struct batch b;
	struct page page;
	json_object *there, *fresh[BATCH];
	size_t n = 0;

	if (w->count == 0)
		return ST_OK;
	TRY(find_existing(im, w, &page));
	there = json_new_object(w->ctx);
	for (size_t i = 0; i < page.count; i++)
		json_set_bool(there, json_str_or(json_object_array_get_idx(page.docs, i), "id", ""), true);
	for (size_t i = 0; i < w->count; i++)
		if (!json_has(there, id_of(w, i)))
			fresh[n++] = w->docs[i];
	batch_init(&b, w->ctx);
	audit_add_inserts(&b, fresh, n, true);
	b.begin = b.commit = true;
	if (n > 0)
		TRY(pg_run(im->to, &b));
	w->n->added += (int64_t)n;
	TRY(count_there(im, w));
	w->count = 0;
	talloc_free_children(w->ctx);
	return ST_OK;
}

static status import_lines(struct import *im, struct transfer_count *n, FILE *f)
{
	struct work w = {.model = &model_audit_events, .n = n, .ctx = talloc_new(NULL)};
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	status st = ST_OK;

	while (st == ST_OK && (len = getline(&line, &room, f)) > 0) {
		json_object *doc;

		if (!json_parse(w.ctx, line, (size_t)len, &doc) || !model_audit_events.accept(doc)) {
			n->left += len > 1;
			continue;
		}
		n->source++;
		adapt_id(doc, "id");
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

static bool import_all(struct import *im, const void *ctx)
{
	read_bookkeeping(im, ctx);
	for (size_t i = 0; first[i] != NULL; i++)
		if (!import_collection(im, first[i]))
			return false;
	for (size_t i = 0; models[i] != NULL; i++)
		if (!is_first(models[i]) && models[i] != &model_audit_events && !import_collection(im, models[i]))
			return false;
	forget_demo(im, ctx);
	return import_audit(im);
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
