#include "api/recording_lookup.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

status recording_find(struct request *r, const char *id, json_object **doc)
{
	json_object *stored;

	TRY(store_get(r->store, r->mem, &model_recordings, id, &stored));
	*doc = model_public(r->mem, &model_recordings, stored);
	return ST_OK;
}

bool recording_has_file(json_object *doc)
{
	const char *state = json_str(doc, "status");

	return json_str_or(doc, "cachePath", "")[0] != '\0' &&
	       (json_flag(doc, "cached", false) || text_equal(state, "cached") || text_equal(state, "uploaded"));
}

bool recording_is_active(json_object *doc)
{
	const char *state = json_str(doc, "status");

	return text_equal(state, "queued") || text_equal(state, "recording");
}

struct target recording_target(json_object *doc)
{
	return TARGET("recording", json_str(doc, "id"), json_str(doc, "name"));
}

status recording_scope(struct request *r, const struct row_scope **scope)
{
	return principal_row_scope(r->mem, r->store, &r->who, scope);
}

void recording_guard(struct query *q, const char *id, const char *const *states, size_t count)
{
	query_init(q);
	query_where(q, "id", Q_EQ, id);
	if (count > 0)
		query_where_in(q, "status", states, count);
}

status recording_commit(struct request *r)
{
	json_object *events = r->audit;

	r->audit = NULL; /* written here, or as little true as the writes they speak of */
	return store_commit(r->store, events, true);
}

json_object *recording_unique(struct request *r, json_object *texts)
{
	json_object *out = json_new_array(r->mem);

	for (size_t i = 0; i < json_object_array_length(texts); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(texts, i));
		bool seen = false;

		for (size_t k = 0; k < json_object_array_length(out) && !seen; k++)
			seen = text_equal_ci(text, json_object_get_string(json_object_array_get_idx(out, k)));
		if (!seen)
			json_push_str(out, text);
	}
	return out;
}

status recording_lock_one(struct request *r, const char *id)
{
	return store_lock(r->store, mem_printf(r->mem, "recording:%s", id));
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

status recording_lock(struct request *r, json_object *ids)
{
	size_t n = json_object_array_length(ids);
	const char **sorted = mem_array(r->mem, const char *, n);

	for (size_t i = 0; i < n; i++)
		sorted[i] = json_object_get_string(json_object_array_get_idx(ids, i));
	qsort(sorted, n, sizeof(sorted[0]), compare_ids);
	for (size_t i = 0; i < n; i++)
		TRY(recording_lock_one(r, sorted[i]));
	return ST_OK;
}
