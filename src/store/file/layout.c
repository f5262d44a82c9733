/* Between the text of a file and its elements (contract 07 2.1 rules 3 and 6). */
#include "store/file/file.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* How far ahead an unchanged element is looked for when some in front of it are gone. */
#define LOOK_AHEAD 16

struct slice {
	char *at;
	size_t len;
};

/* One parse: the file's elements as pieces of its text, and the rest of it with a running number for each. */
struct splitter {
	void *ctx;
	struct slice *slices;
	size_t count, room;
	struct buf rest;
};

static void add_slice(struct splitter *s, char *at, size_t len)
{
	if (s->count == s->room) {
		s->room = s->room * 2 + 64;
		s->slices = mem_grow(s->ctx, s->slices, struct slice, s->room);
	}
	s->slices[s->count++] = (struct slice){at, len};
}

/*
 * Cuts a file in our own layout into elements without parsing them: they are what stands between a line "    {" and
 * the next line "    }". False if the text has another layout. (A string cannot hold a raw line feed, so a line is
 * always layout.)
 */
static bool split(struct splitter *s, char *data, size_t n)
{
	char *line = data, *end = data + n;

	while (line < end) {
		char *feed = memchr(line, '\n', (size_t)(end - line));
		size_t len;
		char *stop;

		if (feed == NULL)
			feed = end;
		len = (size_t)(feed - line);
		if (len < 5 || memcmp(line, "    {", 5) != 0) {
			buf_add(&s->rest, line, len);
			buf_putc(&s->rest, '\n');
			line = feed + 1;
			continue;
		}
		if (len == 5) {
			stop = memmem(feed, (size_t)(end - feed), "\n    }", 6);
			stop = stop == NULL ? NULL : stop + 6;
		} else {
			stop = line[5] == '}' ? line + 6 : NULL;
		}
		if (stop == NULL || stop >= end || (*stop != ',' && *stop != '\n'))
			return false;
		buf_printf(&s->rest, "%zu", s->count);
		add_slice(s, line + 4, (size_t)(stop - line - 4));
		line = stop;
	}
	return true;
}

/* The array of collection i in root; the first may be the whole file. NULL if there is none. */
static json_object *array_of(const struct data_file *f, size_t i, json_object *root)
{
	if (i == 0 && json_object_is_type(root, json_type_array))
		return root;
	return json_array(root, f->collections[i]->file_key);
}

/* True if every element of the file's arrays is a slice, in order. */
static bool covers(const struct splitter *s, const struct data_file *f, json_object *rest)
{
	int64_t next = 0;

	for (size_t i = 0; i < f->collection_count; i++) {
		json_object *array = array_of(f, i, rest);

		for (size_t k = 0; array != NULL && k < json_object_array_length(array); k++) {
			json_object *v = json_object_array_get_idx(array, k);

			if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) != next++)
				return false;
		}
	}
	return (size_t)next == s->count;
}

/* Takes over the reference of doc. text NULL: made now, because mending must not change what stands in the file. */
static struct element *read_element(const struct collection *c, json_object *doc, const struct slice *text)
{
	const struct model *m = c->model;
	struct element *e = element_new(c, doc);
	bool good;

	if (text != NULL) {
		e->text = mem_strndup(e, text->at, text->len);
		e->text_len = text->len;
	} else {
		element_text(e);
	}
	good = json_object_is_type(doc, json_type_object) && (m->accept == NULL || m->accept(doc));
	if (good && m->repair != NULL)
		m->repair(doc);
	e->hidden = !good;
	e->id = json_str(doc, m->id); /* mending may have replaced them */
	e->key = c->key_field == NULL ? NULL : json_str(doc, c->key_field);
	element_lighten(c, e);
	return e;
}

static void place_element(const struct collection *c, struct table *t, struct element *e)
{
	struct element *other = c->later_wins && !e->hidden ? table_find(t, e->id) : NULL;

	if (other != NULL)
		table_replace(t, table_place(t, other), e);
	else
		table_push_back(t, e);
}

/* The element of the current table that stands in the file as text; *from moves along with the file. */
static struct element *unchanged(const struct table *old, size_t *from, const struct slice *text)
{
	for (size_t i = *from; old != NULL && i < old->count && i < *from + LOOK_AHEAD; i++) {
		struct element *e = old->at[i];

		if (!e->hidden && e->text_len == text->len && e->text != NULL &&
		    memcmp(e->text, text->at, text->len) == 0) {
			*from = i + 1;
			e->refs++;
			return e;
		}
	}
	return NULL;
}

static bool table_from_slices(const struct collection *c, struct table *t, const struct slice *slices, size_t count)
{
	size_t from = 0;

	for (size_t i = 0; i < count; i++) {
		struct element *e = unchanged(c->current, &from, &slices[i]);

		if (e == NULL) {
			void *tmp = talloc_new(NULL);
			json_object *doc;

			if (!json_parse(tmp, slices[i].at, slices[i].len, &doc)) {
				talloc_free(tmp);
				return false;
			}
			e = read_element(c, json_object_get(doc), &slices[i]);
			talloc_free(tmp);
			if (c->current != NULL && from < c->current->count && e->id != NULL &&
			    c->current->at[from]->id != NULL && strcmp(e->id, c->current->at[from]->id) == 0)
				from++; /* the same element, changed */
		}
		place_element(c, t, e);
	}
	return true;
}

static bool parse_split(void *ctx, struct data_file *f, char *data, size_t n, struct table *tables[])
{
	struct splitter s = {.ctx = ctx};
	json_object *rest;
	size_t from = 0;

	buf_init(&s.rest, ctx);
	if (!split(&s, data, n) || !json_parse(ctx, s.rest.data, s.rest.len, &rest) || array_of(f, 0, rest) == NULL ||
	    !covers(&s, f, rest))
		return false;
	for (size_t i = 0; i < f->collection_count; i++) {
		json_object *array = array_of(f, i, rest);
		size_t count = array == NULL ? 0 : json_object_array_length(array);

		if (!table_from_slices(f->collections[i], tables[i], s.slices + from, count))
			return false;
		from += count;
	}
	return true;
}

static bool parse_whole(void *ctx, struct data_file *f, const char *data, size_t n, struct table *tables[],
                        const char **reason)
{
	json_object *root;

	if (!json_parse(ctx, data, n, &root)) {
		*reason = n == 0 ? "it is empty" : "it is not JSON";
		return false;
	}
	if (array_of(f, 0, root) == NULL) {
		*reason = f->collections[0]->model->file_error;
		if (*reason == NULL)
			*reason = "it has no array of documents";
		return false;
	}
	for (size_t i = 0; i < f->collection_count; i++) {
		json_object *array = array_of(f, i, root);

		for (size_t k = 0; array != NULL && k < json_object_array_length(array); k++)
			place_element(f->collections[i], tables[i],
			              read_element(f->collections[i],
			                           json_object_get(json_object_array_get_idx(array, k)), NULL));
	}
	return true;
}

static void tables_new(const struct data_file *f, struct table *tables[])
{
	for (size_t i = 0; i < f->collection_count; i++)
		tables[i] = table_new();
}

static void tables_free(const struct data_file *f, struct table *tables[])
{
	for (size_t i = 0; i < f->collection_count; i++)
		talloc_free(tables[i]);
}

bool layout_parse(struct data_file *f, char *data, size_t n, struct table *tables[], const char **reason)
{
	void *ctx = talloc_new(NULL);
	bool ok;

	tables_new(f, tables);
	ok = parse_split(ctx, f, data, n, tables);
	if (!ok) {
		tables_free(f, tables);
		tables_new(f, tables);
		ok = parse_whole(ctx, f, data, n, tables, reason);
		if (!ok)
			tables_free(f, tables);
	}
	talloc_free(ctx);
	return ok;
}

char *layout_write(const void *ctx, const struct data_file *f, int64_t now_ms, size_t *len)
{
	char iso[CLOCK_ISO_SIZE];
	struct buf b;

	buf_init(&b, ctx);
	buf_puts(&b, "{\n");
	for (size_t i = 0; i < f->collection_count; i++) {
		const struct collection *c = f->collections[i];
		const struct table *t = c->work != NULL ? c->work : c->current;

		buf_printf(&b, "  \"%s\": [", c->file_key);
		for (size_t k = 0; k < t->count; k++) {
			buf_puts(&b, k == 0 ? "\n    " : ",\n    ");
			element_text(t->at[k]);
			buf_add(&b, t->at[k]->text, t->at[k]->text_len);
		}
		buf_puts(&b, t->count == 0 ? "],\n" : "\n  ],\n");
	}
	buf_printf(&b, "  \"updatedAt\": \"%s\",\n  \"version\": 1\n}\n", clock_iso(iso, now_ms));
	*len = b.len;
	return b.data;
}
