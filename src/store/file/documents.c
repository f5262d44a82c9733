/* Changes of documents, and the generic operations of backend.h. */
#include "store/file/file.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- changes ------------------------------------------------------------------------------------ */

static bool key_taken(const struct table *t, const struct element *e, const struct element *except)
{
	const struct element *other = e->key == NULL ? NULL : table_find_key(t, e->key);

	return other != NULL && other != except;
}

status document_add(struct file_store *s, const struct model *m, json_object *given, json_object **doc)
{
	struct collection *c = collection_of(s, m);
	struct table *t;
	json_object *made;
	struct element *e;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	TRY(document_in(c, given, &made));
	e = element_new(c, made);
	if (e->id == NULL || table_find(t, e->id) != NULL || key_taken(t, e, NULL)) {
		status st = e->id == NULL ? ST_INVALID : ST_CONFLICT;

		element_put(e);
		return st;
	}
	table_push_front(collection_work(c), e);
	if (doc != NULL)
		*doc = e->doc;
	counters_note(s, c, NULL, e->doc);
	return ST_OK;
}

status document_change(struct collection *c, size_t place, json_object *patch, json_object **after)
{
	struct table *t = collection_work(c);
	json_object *doc;
	struct element *e;

	TRY(document_patch(c, t->at[place], patch, &doc));
	e = element_new(c, doc);
	if (key_taken(t, e, t->at[place])) {
		element_put(e);
		return ST_CONFLICT;
	}
	table_replace(t, place, e);
	if (after != NULL)
		*after = doc;
	return ST_OK;
}

static status remove_where(struct file_store *s, const struct model *m, const char *field, const char *value)
{
	struct collection *c = collection_of(s, m);
	struct table *t;
	bool found = false;

	TRY(collection_read(s, c, &t));
	for (size_t i = 0; i < t->count; i++) {
		if (t->at[i]->hidden || !text_equal(json_str(t->at[i]->doc, field), value))
			continue;
		found = true;
		t = collection_work(c);
		table_clear(t, i);
	}
	if (found)
		table_close_gaps(t);
	return ST_OK;
}

status document_cascade(struct file_store *s, const struct model *m, const char *id)
{
	if (m == &model_users) {
		TRY(remove_where(s, &model_external_identities, "userId", id));
		return remove_where(s, &model_sessions, "userId", id);
	}
	if (m == &model_nodes)
		return remove_where(s, &model_credentials, "nodeId", id);
	return ST_OK;
}

/* ---- operations --------------------------------------------------------------------------------- */

static void page_start(const void *ctx, struct page *out)
{
	out->docs = json_new_array(ctx);
	out->count = 0;
	out->total = -1;
}

static void page_add(const void *ctx, const struct collection *c, struct page *out, const struct element *e)
{
	json_push_ref(out->docs, element_out(ctx, c, e));
	out->count++;
}

status file_get(void *b, const void *ctx, const struct model *m, const char *id, json_object **doc)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	struct table *t;
	const struct element *e;

	*doc = NULL;
	if (c == NULL)
		return audit_get(s, ctx, id, doc);
	TRY(collection_read(s, c, &t));
	e = table_find(t, id);
	if (e == NULL && text_is_uuid(id)) { /* UUIDs are stored in lower case */
		char *lower = text_lower(ctx, id);

		e = table_find(t, lower);
	}
	if (e == NULL)
		return ST_NOT_FOUND;
	*doc = element_out(ctx, c, e);
	return ST_OK;
}

status file_list(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	struct selection rows;
	struct table *t;
	void *tmp;
	status st;

	if (c == NULL)
		return audit_list(s, ctx, q, out);
	if (q->lock)
		TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	tmp = talloc_new(NULL);
	st = select_places(s, tmp, c, t, q, &rows);
	if (st == ST_OK) {
		page_start(ctx, out);
		for (size_t i = 0; i < rows.count; i++)
			page_add(ctx, c, out, t->at[rows.places[i]]);
		out->total = rows.total;
	}
	talloc_free(tmp);
	return st;
}

status file_count_by(void *b, const void *ctx, const struct model *m, const struct query *q, const char *field,
                     json_object **out)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	const struct model_field *f = model_field_find(m, field);
	struct selection rows;
	struct table *t;
	void *tmp;
	status st;

	if (f == NULL) {
		log_error("count of %s: no field %s", m->name, field);
		return ST_INTERNAL;
	}
	if (c == NULL)
		return audit_count_by(s, ctx, q, field, out);
	TRY(collection_read(s, c, &t));
	tmp = talloc_new(NULL);
	st = select_places(s, tmp, c, t, q, &rows);
	if (st == ST_OK) {
		json_object *counts = json_new_object(tmp);

		for (size_t i = 0; i < rows.count; i++)
			count_values(counts, f, t->at[rows.places[i]]->doc);
		*out = count_list(ctx, counts);
	}
	talloc_free(tmp);
	return st;
}

status file_insert(void *b, const void *ctx, const struct model *m, json_object *doc, json_object **stored)
{
	struct file_store *s = file_enter(b);
	json_object *added;

	TRY(document_add(s, m, doc, &added));
	if (stored != NULL)
		*stored = document_out(ctx, m, added);
	return ST_OK;
}

/* The documents that q picks, after patch; nothing is changed unless all of them can be. */
static status patch_all(const struct collection *c, const struct table *t, const struct selection *rows,
                        json_object *patch, struct element **after)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct element *before = t->at[rows->places[i]];
		json_object *doc;
		status st = document_patch(c, before, patch, &doc);

		if (st == ST_OK) {
			after[i] = element_new(c, doc);
			if (key_taken(t, after[i], before))
				st = ST_CONFLICT;
		}
		if (st == ST_OK)
			continue;
		for (size_t k = 0; k <= i; k++)
			if (after[k] != NULL)
				element_put(after[k]);
		return st;
	}
	return ST_OK;
}

static status update_rows(struct file_store *s, const void *ctx, void *tmp, struct collection *c, const struct query *q,
                          json_object *patch, struct page *out, json_object **before)
{
	struct selection rows;
	struct element **after;
	struct table *t;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	TRY(select_places(s, tmp, c, t, q, &rows));
	after = mem_array(tmp, struct element *, rows.count);
	TRY(patch_all(c, t, &rows, patch, after));
	page_start(ctx, out);
	out->total = rows.total;
	if (before != NULL)
		*before = json_new_array(ctx);
	if (rows.count > 0)
		t = collection_work(c);
	for (size_t i = 0; i < rows.count; i++) {
		if (before != NULL)
			json_push_ref(*before, element_out(ctx, c, t->at[rows.places[i]]));
		counters_note(s, c, t->at[rows.places[i]]->doc, after[i]->doc);
		table_replace(t, rows.places[i], after[i]);
		page_add(ctx, c, out, after[i]);
	}
	return ST_OK;
}

status file_update(void *b, const void *ctx, const struct model *m, const struct query *q, json_object *patch,
                   struct page *out, json_object **before)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	void *tmp = talloc_new(NULL);
	struct page ignored;
	status st = c == NULL ? ST_INTERNAL /* audit events are never changed */
	                      : update_rows(s, ctx, tmp, c, q, patch, out == NULL ? &ignored : out, before);

	talloc_free(tmp);
	return st;
}

static status remove_rows(struct file_store *s, const void *ctx, void *tmp, struct collection *c, const struct query *q,
                          struct page *out)
{
	struct selection rows;
	struct table *t;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	TRY(select_places(s, tmp, c, t, q, &rows));
	page_start(ctx, out);
	out->total = rows.total;
	for (size_t i = 0; i < rows.count; i++)
		TRY(document_cascade(s, c->model, t->at[rows.places[i]]->id));
	if (rows.count == 0)
		return ST_OK;
	t = collection_work(c);
	for (size_t i = 0; i < rows.count; i++) {
		page_add(ctx, c, out, t->at[rows.places[i]]);
		table_clear(t, rows.places[i]);
	}
	table_close_gaps(t);
	return ST_OK;
}

status file_remove(void *b, const void *ctx, const struct model *m, const struct query *q, struct page *out)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	void *tmp = talloc_new(NULL);
	struct page ignored;
	status st = c == NULL ? ST_INTERNAL : remove_rows(s, ctx, tmp, c, q, out == NULL ? &ignored : out);

	talloc_free(tmp);
	return st;
}
