/* Picks the places of a table that a query asks for, in its order. */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct sort_key {
	const struct model_field *field;
	bool descending;
};

struct sorter {
	struct sort_key keys[3];
	size_t count;
	const struct model_field *id; /* breaks ties; NULL = the order of the file does */
};

/* One row with what it is sorted by. */
struct row {
	size_t place;
	const char *id;
	struct {
		bool present;
		double number;
		const char *text;
	} value[3];
};

/* The contract lists these in the order of the file, whatever the order in a database (07 2.2). */
static bool in_file_order(const struct model *m)
{
	return m == &model_recordings || m == &model_jobs || m == &model_channel_map_assignments ||
	       m == &model_lifecycle_jobs || m == &model_access_policies || m->order[0] == NULL;
}

static status add_key(struct sorter *s, const struct model *m, const char *field, bool descending)
{
	const struct model_field *f = model_field_find(m, field);

	if (f == NULL) {
		log_error("order of %s: no field %s", m->name, field);
		return ST_INTERNAL;
	}
	s->keys[s->count++] = (struct sort_key){f, descending};
	return ST_OK;
}

/* The order of q. *reversed: the file's own order backwards (which a sorter without keys does not say). */
static status sorter_init(struct sorter *s, const struct collection *c, const struct query *q, bool *reversed)
{
	const struct model *m = c->model;

	memset(s, 0, sizeof(*s));
	*reversed = false;
	for (size_t i = 0; i < q->sort_count; i++)
		TRY(add_key(s, m, q->sort[i].field, q->sort[i].desc));
	if (q->sort_count > 0) {
		s->id = model_field_find(m, m->id);
		return ST_OK;
	}
	if (in_file_order(m))
		return ST_OK;
	for (size_t i = 0; i < 2 && m->order[i] != NULL; i++) {
		const char *name = m->order[i];
		bool descending = name[0] == '-';
		const struct model_field *f = model_field_find(m, name + descending);

		if (i == 0 && c->foreign && f != NULL && (f->flags & M_HIDDEN)) {
			*reversed = !descending; /* the contract's files lack it; new elements are put in front */
			return ST_OK;
		}
		TRY(add_key(s, m, name + descending, descending));
	}
	return ST_OK;
}

static void read_key(void *ctx, const struct sort_key *key, json_object *doc, struct row *row, size_t i)
{
	json_object *made;
	json_object *v = field_read(key->field, doc, &made);
	int64_t ms;

	json_own(ctx, made);
	if (v == NULL)
		return;
	if (key->field->type == M_INT || key->field->type == M_BOOL) {
		row->value[i].present = true;
		row->value[i].number = json_object_get_double(v);
	} else if (key->field->type == M_TIME) {
		row->value[i].present = json_is_str(v) && clock_parse(json_object_get_string(v), CLOCK_LENIENT, &ms);
		if (row->value[i].present)
			row->value[i].number = (double)ms;
	} else {
		row->value[i].present = true;
		row->value[i].text = json_object_get_string(v);
	}
}

static int compare_value(const struct row *a, const struct row *b, size_t i)
{
	if (!a->value[i].present || !b->value[i].present) /* absent ones come last, first when descending */
		return (int)b->value[i].present - (int)a->value[i].present;
	if (a->value[i].text != NULL && b->value[i].text != NULL)
		return text_collate(a->value[i].text, b->value[i].text);
	return a->value[i].number < b->value[i].number ? -1 : a->value[i].number > b->value[i].number;
}

static int compare_rows(const void *pa, const void *pb, void *arg)
{
	const struct sorter *s = arg;
	const struct row *a = pa, *b = pb;

	for (size_t i = 0; i < s->count; i++) {
		int order = compare_value(a, b, i);

		if (order != 0)
			return s->keys[i].descending ? -order : order;
	}
	if (s->id != NULL && a->id != NULL && b->id != NULL) {
		int order = strcmp(a->id, b->id);

		if (order != 0)
			return order;
	}
	return a->place < b->place ? -1 : a->place > b->place;
}

static void sort_places(const struct sorter *s, const struct table *t, size_t *places, size_t count)
{
	void *ctx = talloc_new(NULL);
	struct row *rows = mem_array(ctx, struct row, count);

	for (size_t i = 0; i < count; i++) {
		const struct element *e = t->at[places[i]];

		rows[i].place = places[i];
		rows[i].id = e->id;
		for (size_t k = 0; k < s->count; k++)
			read_key(ctx, &s->keys[k], e->doc, &rows[i], k);
	}
	qsort_r(rows, count, sizeof(rows[0]), compare_rows, (void *)(uintptr_t)s);
	for (size_t i = 0; i < count; i++)
		places[i] = rows[i].place;
	talloc_free(ctx);
}

/* The one element that a filter on the id, or on the second index, leaves; *only false if there is no such filter. */
static const struct element *single(const struct collection *c, const struct table *t, const struct query *q,
                                    bool *only)
{
	for (size_t i = 0; i < q->filter_count; i++) {
		const struct filter *f = &q->filters[i];
		const struct model_field *field = model_field_find(c->model, f->field);

		/* UUIDs are equal without case, which an index cannot know. */
		if (f->op != Q_EQ || field->type == M_UUID)
			continue;
		*only = true;
		if (strcmp(f->field, c->model->id) == 0)
			return table_find(t, f->value);
		if (c->key_field != NULL && strcmp(f->field, c->key_field) == 0)
			return table_find_key(t, f->value);
		*only = false;
	}
	return NULL;
}

static void cut(const struct query *q, struct selection *out)
{
	size_t offset = q->offset > 0 ? (size_t)q->offset : 0;

	if (q->want_total)
		out->total = (int64_t)out->count;
	if (offset > out->count)
		offset = out->count;
	out->places += offset;
	out->count -= offset;
	if (q->limit >= 0 && out->count > (uint64_t)q->limit)
		out->count = (size_t)q->limit;
}

static void scan(const struct matcher *m, const struct table *t, bool reversed, size_t enough, struct selection *out)
{
	for (size_t i = 0; i < t->count && out->count < enough; i++) {
		size_t place = reversed ? t->count - 1 - i : i;

		if (!t->at[place]->hidden && matcher_holds(m, t->at[place]->doc))
			out->places[out->count++] = place;
	}
}

/* What the scope of q asks about beside the document itself. */
static status read_related(struct file_store *s, const struct model *model, struct matcher *m)
{
	const struct row_scope *scope = m->query->scope;

	if (model == &model_jobs)
		TRY(collection_read(s, collection_of(s, &model_recordings), &m->recordings));
	if (scope->allow_schedules.all || scope->deny_schedules.all)
		TRY(collection_read(s, collection_of(s, &model_schedules), &m->schedules));
	if (scope->allow_nodes.all || scope->deny_nodes.all)
		TRY(collection_read(s, collection_of(s, &model_nodes), &m->nodes));
	return ST_OK;
}

status select_places(struct file_store *s, const void *ctx, const struct collection *c, const struct table *t,
                     const struct query *q, struct selection *out)
{
	struct matcher m;
	struct sorter sorter;
	const struct element *e;
	bool reversed, only = false;
	size_t enough = SIZE_MAX;

	TRY(matcher_init(&m, c->model, q));
	TRY(sorter_init(&sorter, c, q, &reversed));
	if (q->scope != NULL)
		TRY(read_related(s, c->model, &m));
	out->total = -1;
	out->count = 0;
	e = single(c, t, q, &only);
	if (only) {
		out->places = mem_array(ctx, size_t, 1);
		if (e != NULL && matcher_holds(&m, e->doc))
			out->places[out->count++] = table_place(t, e);
	} else {
		if (sorter.count == 0 && !q->want_total && q->limit >= 0)
			enough = (size_t)q->limit + (size_t)(q->offset > 0 ? q->offset : 0);
		out->places = mem_array(ctx, size_t, t->count);
		scan(&m, t, reversed, enough, out);
		if (sorter.count > 0)
			sort_places(&sorter, t, out->places, out->count);
	}
	cut(q, out);
	return ST_OK;
}

/* ---- counts by value ---------------------------------------------------------------------------- */

static void count_one(json_object *counts, json_object *value)
{
	const char *text = json_object_get_string(value);

	json_set_int(counts, text, json_int(counts, text, 0) + 1);
}

void count_values(json_object *counts, const struct model_field *f, json_object *doc)
{
	json_object *made;
	json_object *v = field_read(f, doc, &made);

	if (v != NULL && json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++) {
			json_object *item = json_object_array_get_idx(v, i);

			if (item != NULL)
				count_one(counts, item);
		}
	} else if (v != NULL) {
		count_one(counts, v);
	}
	json_object_put(made);
}

json_object *count_list(const void *ctx, json_object *counts)
{
	json_object *list = json_new_array(ctx);

	json_object_object_foreach(counts, value, count)
	{
		json_object *entry = json_object_new_object();

		json_set_str(entry, "value", value);
		json_set_ref(entry, "count", count);
		json_object_array_add(list, entry);
	}
	return list;
}
