/* Does a document meet a query? The same meaning as in SQL: an absent value meets only Q_ABSENT and the negations. */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_FORM (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

json_object *field_read(const struct model_field *f, json_object *doc, json_object **made)
{
	*made = NULL;
	if ((f->flags & M_DERIVED) == 0 || f->derive == NULL)
		return model_value(doc, f);
	return *made = f->derive(doc);
}

static const struct model_field *find_field(const struct model *model, const char *name)
{
	const struct model_field *f = model_field_find(model, name);

	if (f == NULL)
		log_error("query of %s: no field %s", model->name, name);
	return f;
}

static bool parse_number(const char *text, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return end != text && *end == '\0';
}

static void prepare_value(struct condition *c)
{
	const char *value = c->filter->value;

	c->usable = true;
	if (value == NULL)
		return;
	if (c->field->type == M_INT)
		c->usable = parse_number(value, &c->number);
	else if (c->field->type == M_TIME)
		c->usable = clock_parse(value, CLOCK_LENIENT, &c->ms);
}

status matcher_init(struct matcher *m, const struct model *model, const struct query *q)
{
	m->model = model;
	m->query = q;
	m->recordings = m->schedules = m->nodes = NULL;
	for (size_t i = 0; i < q->filter_count; i++) {
		m->conditions[i] = (struct condition){.filter = &q->filters[i]};
		m->conditions[i].field = find_field(model, q->filters[i].field);
		if (m->conditions[i].field == NULL)
			return ST_INTERNAL;
		prepare_value(&m->conditions[i]);
	}
	for (size_t i = 0; i < q->any_count; i++)
		for (size_t k = 0; k < q->any[i].count; k++) {
			m->any[i][k] = find_field(model, q->any[i].fields[k]);
			if (m->any[i][k] == NULL)
				return ST_INTERNAL;
		}
	return ST_OK;
}

/* ---- values ------------------------------------------------------------------------------------- */

static bool same_text(const struct model_field *f, const char *a, const char *b)
{
	return f->type == M_UUID ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

static const char *text_of(json_object *v)
{
	return json_object_is_type(v, json_type_string) ? json_object_get_string(v)
	                                                : json_object_to_json_string_ext(v, TEXT_FORM);
}

/* Compares a value with that of the filter: <0, 0, >0. False if they cannot be compared. */
static bool compare(const struct condition *c, json_object *v, const char *with, int *order)
{
	struct condition other = *c;
	struct filter filter = {.value = with};

	if (with != c->filter->value) { /* one of the values of Q_IN */
		other.filter = &filter;
		prepare_value(&other);
	}
	if (!other.usable)
		return false;
	switch (c->field->type) {
	case M_INT: {
		double have;

		if (!json_is_num(v))
			return false;
		have = json_object_get_double(v);
		*order = have < other.number ? -1 : have > other.number;
		return true;
	}
	case M_TIME: {
		int64_t have;

		if (!json_is_str(v) || !clock_parse(json_object_get_string(v), CLOCK_LENIENT, &have))
			return false;
		*order = have < other.ms ? -1 : have > other.ms;
		return true;
	}
	default:
		*order = same_text(c->field, text_of(v), with) ? 0 : strcmp(text_of(v), with);
		return true;
	}
}

static bool equal(const struct condition *c, json_object *v, const char *with)
{
	int order;

	return compare(c, v, with, &order) && order == 0;
}

static bool one_of(const struct condition *c, json_object *v)
{
	for (size_t i = 0; i < c->filter->value_count; i++)
		if (equal(c, v, c->filter->values[i]))
			return true;
	return false;
}

/* Arrays: some element passes. */
static bool contains(json_object *v, const char *needle, bool (*test)(const char *, const char *))
{
	if (!json_object_is_type(v, json_type_array))
		return test(text_of(v), needle);
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		json_object *item = json_object_array_get_idx(v, i);

		if (item != NULL && test(text_of(item), needle))
			return true;
	}
	return false;
}

static bool meets(const struct condition *c, json_object *v)
{
	const struct filter *f = c->filter;
	int order = 0;

	if (v == NULL)
		return f->op == Q_ABSENT || f->op == Q_NE || f->op == Q_NOT_IN;
	switch (f->op) {
	case Q_ABSENT:
		return false;
	case Q_PRESENT:
		return true;
	case Q_EQ:
		return equal(c, v, f->value);
	case Q_NE:
		return !equal(c, v, f->value);
	case Q_IN:
		return one_of(c, v);
	case Q_NOT_IN:
		return !one_of(c, v);
	case Q_CONTAINS:
		return contains(v, f->value, text_contains_ci);
	case Q_HAS_CI:
		return contains(v, f->value, text_equal_ci);
	case Q_LT:
		return compare(c, v, f->value, &order) && order < 0;
	case Q_LE:
		return compare(c, v, f->value, &order) && order <= 0;
	case Q_GT:
		return compare(c, v, f->value, &order) && order > 0;
	case Q_GE:
		return compare(c, v, f->value, &order) && order >= 0;
	}
	return false;
}

static bool field_contains(const struct model_field *f, json_object *doc, const char *needle)
{
	json_object *made;
	json_object *v = field_read(f, doc, &made);
	bool found = v != NULL && contains(v, needle, text_contains_ci);

	json_object_put(made);
	return found;
}

static bool found_by_search(const struct model *m, json_object *doc, const char *needle)
{
	for (size_t i = 0; i < m->count; i++)
		if ((m->fields[i].flags & M_SEARCH) && field_contains(&m->fields[i], doc, needle))
			return true;
	return false;
}

/* ---- scope (contract 01 11, 03 3.0.2) ----------------------------------------------------------- */

/* "All" means every id that is there: one whose document is gone is none (parents NULL: no such question). */
static bool in_set(const struct id_set *set, const char *id, const struct table *parents)
{
	if (id == NULL)
		return false;
	if (set->all)
		return parents == NULL || table_find(parents, id) != NULL;
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->ids[i], id) == 0)
			return true;
	return false;
}

static bool in_scope(const struct matcher *m, json_object *doc)
{
	const struct row_scope *scope = m->query->scope;
	const char *recording, *schedule, *node;

	if (m->recordings != NULL) {
		const struct element *e = table_find(m->recordings, json_str(doc, "recordingId"));

		if (e == NULL)
			return false;
		doc = e->doc;
	}
	recording = json_str(doc, "id");
	schedule = json_str(doc, "scheduleId");
	node = json_str(doc, "nodeId");
	if (scope->deny_all || in_set(&scope->deny_recordings, recording, NULL) ||
	    in_set(&scope->deny_schedules, schedule, m->schedules) || in_set(&scope->deny_nodes, node, m->nodes))
		return false;
	return scope->allow_all || in_set(&scope->allow_recordings, recording, NULL) ||
	       in_set(&scope->allow_schedules, schedule, m->schedules) || in_set(&scope->allow_nodes, node, m->nodes);
}

bool matcher_holds(const struct matcher *m, json_object *doc)
{
	const struct query *q = m->query;

	for (size_t i = 0; i < q->filter_count; i++) {
		json_object *made;
		json_object *v = field_read(m->conditions[i].field, doc, &made);
		bool holds = meets(&m->conditions[i], v);

		json_object_put(made);
		if (!holds)
			return false;
	}
	for (size_t i = 0; i < q->any_count; i++) {
		bool found = false;

		for (size_t k = 0; !found && k < q->any[i].count; k++)
			found = field_contains(m->any[i][k], doc, q->any[i].value);
		if (!found)
			return false;
	}
	if (q->search != NULL && !found_by_search(m->model, doc, q->search))
		return false;
	return q->scope == NULL || in_scope(m, doc);
}
