#include "api/selection.h"

#include "base/mem.h"
#include "base/text.h"

const struct schema_field selection_id = {.name = "id", .type = V_STR, .flags = S_TRIM, .min = 1, .max = 160};

static bool holds(json_object *array, const char *text)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (text_equal(json_object_get_string(json_object_array_get_idx(array, i)), text))
			return true;
	return false;
}

static json_object *without_repetition(struct request *r, json_object *ids)
{
	json_object *out = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));

		if (!holds(out, id))
			json_push_str(out, id);
	}
	return out;
}

static json_object *find_document(const struct model *m, json_object *docs, const char *id)
{
	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *doc = json_object_array_get_idx(docs, i);

		if (text_equal(json_str(doc, m->id), id))
			return doc;
	}
	return NULL;
}

status selection_load(struct request *r, const struct model *m, const struct row_scope *scope, json_object *ids,
                      bool lock, struct selection *out)
{
	const char **values;
	struct query q;
	struct page page;
	size_t n;

	out->requested = (int64_t)json_object_array_length(ids);
	out->ids = without_repetition(r, ids);
	out->docs = json_new_array(r->mem);
	out->hidden = json_new_array(r->mem);
	n = json_object_array_length(out->ids);
	values = mem_array(r->mem, const char *, n);
	for (size_t i = 0; i < n; i++)
		values[i] = json_object_get_string(json_object_array_get_idx(out->ids, i));
	query_init(&q);
	query_where_in(&q, m->id, values, n);
	q.scope = scope;
	q.lock = lock;
	TRY(store_list(r->store, r->mem, m, &q, &page));
	for (size_t i = 0; i < n; i++) {
		json_object *doc = find_document(m, page.docs, values[i]);

		if (doc != NULL)
			json_push_ref(out->docs, model_public(r->mem, m, doc));
		else
			json_push_str(out->hidden, values[i]);
	}
	return ST_OK;
}

json_object *selection_numbered(struct request *r, const char *prefix, json_object *ids)
{
	json_object *o = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(ids); i++)
		json_set_ref(o, mem_printf(r->mem, "%s%zu", prefix, i + 1), json_object_array_get_idx(ids, i));
	return o;
}

json_object *selection_members(struct request *r, json_object *docs, const char *key)
{
	json_object *out = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(docs); i++)
		json_push_ref(out, json_get(json_object_array_get_idx(docs, i), key));
	return out;
}
