#include "store/file/file.h"

#include "base/buf.h"
#include "base/mem.h"

#include <json-c/linkhash.h>
#include <string.h>

struct element *element_new(const struct collection *c, json_object *doc)
{
	struct element *e = mem_new(NULL, struct element);

	e->refs = 1;
	e->doc = doc;
	e->id = json_str(doc, c->model->id);
	e->key = c->key_field == NULL ? NULL : json_str(doc, c->key_field);
	return e;
}

static struct element *element_get(struct element *e)
{
	e->refs++;
	return e;
}

void element_put(struct element *e)
{
	if (--e->refs > 0)
		return;
	json_object_put(e->doc);
	talloc_free(e);
}

const char *element_text(struct element *e)
{
	struct buf b;
	size_t n;
	char *flat;
	const char *line;

	if (e->text != NULL)
		return e->text;
	flat = json_pretty(NULL, e->doc, &n);
	buf_init(&b, e);
	line = flat;
	/* Strings hold no raw line feeds, so that every one of them is layout. The last one ends the text. */
	for (const char *end; (end = memchr(line, '\n', n - (size_t)(line - flat))) != NULL; line = end + 1) {
		if (line > flat)
			buf_puts(&b, "\n    ");
		buf_add(&b, line, (size_t)(end - line));
	}
	talloc_free(flat);
	e->text_len = b.len;
	e->text = b.data;
	return e->text;
}

void element_lighten(const struct collection *c, struct element *e)
{
	if (c->heavy == NULL || e->hidden || e->partial || e->text == NULL || !json_has(e->doc, c->heavy))
		return;
	json_object_object_del(e->doc, c->heavy);
	e->partial = true;
}

json_object *element_document(const void *ctx, const struct collection *c, const struct element *e)
{
	json_object *doc;

	if (!e->partial || !json_parse(ctx, e->text, e->text_len, &doc))
		return json_clone(ctx, e->doc);
	if (c->model->accept != NULL)
		c->model->accept(doc); /* it may mend; that it accepts is known */
	if (c->model->repair != NULL)
		c->model->repair(doc);
	return doc;
}

static int table_free(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->at[i] != NULL)
			element_put(t->at[i]);
	lh_table_free(t->by_id);
	lh_table_free(t->by_key);
	return 0;
}

static struct lh_table *index_new(size_t size)
{
	struct lh_table *index = lh_kchar_table_new((int)(size * 2 + 16), NULL);

	if (index == NULL)
		mem_exhausted();
	return index;
}

static struct table *table_sized(size_t size)
{
	struct table *t = mem_new(NULL, struct table);

	t->room = size;
	t->at = mem_array(t, struct element *, size);
	t->by_id = index_new(size);
	t->by_key = index_new(0);
	talloc_set_destructor(t, table_free);
	return t;
}

struct table *table_new(void)
{
	return table_sized(16);
}

static void index_add(struct table *t, struct element *e)
{
	if (e->hidden)
		return;
	if (lh_table_insert(t->by_id, e->id, e) != 0)
		mem_exhausted();
	if (e->key != NULL && lh_table_insert(t->by_key, e->key, e) != 0)
		mem_exhausted();
}

static void index_drop(struct table *t, struct element *e)
{
	if (e->hidden)
		return;
	lh_table_delete(t->by_id, e->id);
	if (e->key != NULL && table_find_key(t, e->key) == e)
		lh_table_delete(t->by_key, e->key);
}

struct table *table_copy(const struct table *t)
{
	struct table *copy = table_sized(t->count + 16);

	for (size_t i = 0; i < t->count; i++) {
		copy->at[i] = element_get(t->at[i]);
		index_add(copy, copy->at[i]);
	}
	copy->count = t->count;
	return copy;
}

static void make_room(struct table *t)
{
	if (t->count < t->room)
		return;
	t->room *= 2;
	t->at = mem_grow(t, t->at, struct element *, t->room);
}

void table_push_back(struct table *t, struct element *e)
{
	make_room(t);
	if (e->id == NULL || table_find(t, e->id) != NULL)
		e->hidden = true;
	t->at[t->count++] = e;
	index_add(t, e);
}

void table_push_front(struct table *t, struct element *e)
{
	make_room(t);
	if (e->id == NULL || table_find(t, e->id) != NULL)
		e->hidden = true;
	memmove(t->at + 1, t->at, t->count * sizeof(t->at[0]));
	t->at[0] = e;
	t->count++;
	index_add(t, e);
}

void table_replace(struct table *t, size_t place, struct element *e)
{
	struct element *old = t->at[place];

	index_drop(t, old);
	t->at[place] = e;
	index_add(t, e);
	element_put(old);
}

void table_clear(struct table *t, size_t place)
{
	index_drop(t, t->at[place]);
	element_put(t->at[place]);
	t->at[place] = NULL;
}

void table_close_gaps(struct table *t)
{
	size_t to = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->at[i] != NULL)
			t->at[to++] = t->at[i];
	t->count = to;
}

static struct element *index_find(struct lh_table *index, const char *key)
{
	struct lh_entry *entry = key == NULL ? NULL : lh_table_lookup_entry(index, key);

	return entry == NULL ? NULL : lh_entry_v(entry);
}

struct element *table_find(const struct table *t, const char *id)
{
	return index_find(t->by_id, id);
}

struct element *table_find_key(const struct table *t, const char *key)
{
	return index_find(t->by_key, key);
}

size_t table_place(const struct table *t, const struct element *e)
{
	size_t i = 0;

	while (i < t->count && t->at[i] != e)
		i++;
	return i;
}
