/* Documents on their way into the store and out of it: checked as columns would check them, mended, completed. */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

/* ---- out ---------------------------------------------------------------------------------------- */

/* What a document has outside the store and not inside. */
static json_object *complete(const struct model *m, json_object *doc)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *value;

		if ((f->flags & M_NULL) && !model_has(doc, f, &value))
			model_set(doc, f, NULL);
		if ((f->flags & (M_DERIVED | M_HIDDEN)) == M_DERIVED && f->derive != NULL) {
			value = f->derive(doc);
			if (value != NULL)
				model_set(doc, f, value);
		}
	}
	return doc;
}

json_object *document_out(const void *ctx, const struct model *m, json_object *doc)
{
	return complete(m, json_clone(ctx, doc));
}

json_object *element_out(const void *ctx, const struct collection *c, const struct element *e)
{
	return complete(c->model, e->partial ? element_document(ctx, c, e) : json_shallow(ctx, e->doc));
}

/* ---- in ----------------------------------------------------------------------------------------- */

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool word_of(const char *const *words, const char *word)
{
	for (; *words != NULL; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static json_object *lower_uuid(const char *text)
{
	char uuid[UUID_SIZE];

	for (size_t i = 0; i < sizeof(uuid); i++)
		uuid[i] = (char)tolower((unsigned char)text[i]);
	return json_object_new_string(uuid);
}

static json_object *copy_of(json_object *v)
{
	json_object *copy = NULL;

	if (json_object_deep_copy(v, &copy, NULL) != 0)
		mem_exhausted();
	return copy;
}

static bool has_type(const struct model_field *f, json_object *v)
{
	switch (f->type) {
	case M_INT:
		return json_is_int(v);
	case M_BOOL:
		return json_object_is_type(v, json_type_boolean);
	case M_TEXTS:
		return json_object_is_type(v, json_type_array);
	case M_JSON:
		return true;
	default:
		return json_is_str(v);
	}
}

/*
 * The form in which value v of f is stored, as a database column would hold it: *out is a new reference, or NULL when
 * the value vanishes (an id that is no UUID).
 */
static status store_form(const struct model *m, const struct model_field *f, json_object *v, json_object **out)
{
	int64_t ms;

	*out = NULL;
	if (!has_type(f, v))
		return ST_INVALID;
	if (f->type == M_TIME) {
		char iso[CLOCK_ISO_SIZE];

		if (!clock_parse(json_object_get_string(v), CLOCK_LENIENT, &ms))
			return ST_INVALID;
		*out = json_object_new_string(clock_iso(iso, ms));
	} else if (f->type == M_UUID) {
		const char *text = json_object_get_string(v);

		if (text_is_uuid(text))
			*out = lower_uuid(text);
		else if (strcmp(f->name, m->id) == 0) /* the contract's files hold ids of other forms */
			*out = json_object_get(v);
	} else {
		if (f->max > 0 && json_is_str(v) && characters(json_object_get_string(v)) > (size_t)f->max)
			return ST_INVALID;
		if (f->type == M_ENUM && f->values != NULL && !word_of(f->values, json_object_get_string(v)))
			return ST_INVALID;
		*out = copy_of(v);
	}
	return ST_OK;
}

static bool is_stored(const struct model_field *f)
{
	return f->constant == NULL && ((f->flags & M_DERIVED) == 0 || f->derive == NULL);
}

/* True for bookkeeping members that the contract's files do not have. */
static bool is_left_out(const struct collection *c, const struct model_field *f)
{
	return c->foreign && (f->flags & M_HIDDEN);
}

static json_object *now_text(void)
{
	char iso[CLOCK_ISO_SIZE];

	return json_object_new_string(clock_iso(iso, clock_now_ms()));
}

/* What the column's default would give; NULL for those that repair() gives. */
static json_object *default_value(const struct collection *c, const struct model_field *f)
{
	char uuid[UUID_SIZE];

	if ((f->flags & M_DEFAULT) == 0 || is_left_out(c, f))
		return NULL;
	if (f->type == M_TIME)
		return now_text();
	if (f->type != M_UUID)
		return NULL;
	uuid_v4(uuid);
	return json_object_new_string(uuid);
}

static status set_member(const struct collection *c, json_object *doc, const struct model_field *f, json_object *v)
{
	json_object *form;

	if (v != NULL) {
		TRY(store_form(c->model, f, v, &form));
		if (form != NULL) {
			model_set(doc, f, form);
			return ST_OK;
		}
	}
	if (f->flags & M_NULL)
		model_set(doc, f, NULL);
	else if ((f->flags & M_REQUIRED) && (f->flags & M_DEFAULT) == 0)
		return ST_INVALID;
	else
		model_unset(doc, f);
	return ST_OK;
}

static status add_member(const struct collection *c, json_object *doc, const struct model_field *f, json_object *given)
{
	json_object *v, *dflt;

	if (model_has(given, f, &v) && v != NULL)
		return set_member(c, doc, f, v);
	dflt = default_value(c, f);
	if (dflt == NULL)
		return set_member(c, doc, f, NULL);
	model_set(doc, f, dflt);
	return ST_OK;
}

/* A document that would not be shown any more must not be stored. */
static status finish_document(const struct collection *c, json_object *doc, json_object **out)
{
	if (c->model->accept != NULL && !c->model->accept(doc)) {
		json_object_put(doc);
		return ST_INVALID;
	}
	if (c->model->repair != NULL)
		c->model->repair(doc);
	*out = doc;
	return ST_OK;
}

status document_in(const struct collection *c, json_object *given, json_object **out)
{
	const struct model *m = c->model;
	json_object *doc = json_object_new_object();

	for (size_t i = 0; i < m->count; i++) {
		status st = is_stored(&m->fields[i]) ? add_member(c, doc, &m->fields[i], given) : ST_OK;

		if (st != ST_OK) {
			log_warn("%s: member %s does not fit", m->name, m->fields[i].name);
			json_object_put(doc);
			return st;
		}
	}
	if (c->keeps_unknown) {
		void *ctx = talloc_new(NULL);

		model_add_unknown(doc, model_unknown(ctx, m, given));
		talloc_free(ctx);
	}
	return finish_document(c, doc, out);
}

/* The members of doc in the model's order, unknown ones last; takes over the reference of doc. */
static json_object *in_model_order(const struct model *m, json_object *doc)
{
	json_object *ordered = json_object_new_object();

	for (size_t i = 0; i < m->count; i++) {
		json_object *v;

		if (strchr(m->fields[i].name, '.') == NULL && json_object_object_get_ex(doc, m->fields[i].name, &v))
			json_object_object_add(ordered, m->fields[i].name, json_object_get(v));
	}
	json_object_object_foreach(doc, key, value)
	{
		if (!json_has(ordered, key))
			json_object_object_add(ordered, key, json_object_get(value));
	}
	json_object_put(doc);
	return ordered;
}

static status patch_member(const struct collection *c, json_object *doc, const struct model_field *f,
                           json_object *patch)
{
	json_object *v;

	if (!is_stored(f) || (f->flags & M_FIXED))
		return ST_OK;
	if (model_has(patch, f, &v))
		return set_member(c, doc, f, v);
	if ((f->flags & M_TOUCH) && !is_left_out(c, f))
		model_set(doc, f, now_text());
	return ST_OK;
}

status document_patch(const struct collection *c, const struct element *before, json_object *patch, json_object **after)
{
	const struct model *m = c->model;
	void *ctx = talloc_new(NULL);
	json_object *doc = json_object_get(element_document(ctx, c, before));

	talloc_free(ctx);
	for (size_t i = 0; i < m->count; i++) {
		status st = patch_member(c, doc, &m->fields[i], patch);

		if (st != ST_OK) {
			log_warn("%s: member %s does not fit", m->name, m->fields[i].name);
			json_object_put(doc);
			return st;
		}
	}
	return finish_document(c, in_model_order(m, doc), after);
}
