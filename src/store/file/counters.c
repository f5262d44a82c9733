/*
 * Counters that never fall, in flat files: what health events and upload attempts have been is kept beside what they
 * are. A family begins, with the first change after the program learned to count, with what was stored then.
 */
#include "store/file/file.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/tally.h"
#include "store/metrics.h"

#include <string.h>

static const struct model_field fields[] = {
    {.name = "family", .type = M_TEXT, .flags = M_REQUIRED | M_FIXED},
    {.name = "numbers", .type = M_JSON, .flags = M_REQUIRED},
};

static bool accept(json_object *doc)
{
	return json_str(doc, "family") != NULL && json_object_at(doc, "numbers") != NULL;
}

const struct model counters_model = {
    .name = "counters",
    .id = "family",
    .fields = fields,
    .count = sizeof(fields) / sizeof(fields[0]),
    .order = {"family", NULL},
    .path = CFG_KEY_COUNT,
    .accept = accept,
};

/* ---- what counts ------------------------------------------------------------------------------------------------- */

static void add_health(json_object *tally, json_object *event, const char *health_status)
{
	const char *labels[] = {json_str(event, "severity"), health_status, json_str(event, "type")};

	tally_add(tally, labels, 3, 1);
}

/* The event itself under no status, and each time that it comes into one. */
static void count_health(json_object *tally, json_object *before, json_object *after)
{
	bool same_kind = before != NULL && text_equal(json_str(before, "severity"), json_str(after, "severity")) &&
	                 text_equal(json_str(before, "type"), json_str(after, "type"));

	if (!same_kind)
		add_health(tally, after, NULL);
	if (!same_kind || !text_equal(json_str(before, "status"), json_str(after, "status")))
		add_health(tally, after, json_str(after, "status"));
}

static void count_upload(json_object *tally, json_object *before, json_object *after)
{
	const char *provider = json_str(after, "provider");
	int64_t n;

	if (before == NULL)
		n = metrics_upload_tries(json_str(after, "status"), json_int(after, "attemptCount", 0),
		                         json_str(after, "lastError"));
	else
		n = metrics_upload_failed(before, after);
	if (n > 0)
		tally_add(tally, &provider, 1, n);
}

static const struct family {
	const char *name;
	const struct model *model;
	void (*count)(json_object *tally, json_object *before, json_object *after);
} families[] = {
    {COUNTER_HEALTH, &model_health_events, count_health},
    {COUNTER_UPLOADS, &model_upload_queue, count_upload},
};

static const struct family *family_of(const struct model *m, const char *name)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i].model == m || text_equal(families[i].name, name))
			return &families[i];
	return NULL;
}

/* ---- keeping ----------------------------------------------------------------------------------------------------- */

/* What is stored, as the file says. */
static void count_stored(const struct table *t, const struct family *f, json_object *tally)
{
	for (size_t i = 0; t != NULL && i < t->count; i++)
		if (!t->at[i]->hidden)
			f->count(tally, NULL, t->at[i]->doc);
}

/* Any first change begins the family, also one that counts nothing: it may take away what is stored. */
static status keep(struct file_store *s, void *ctx, const struct family *f, json_object *changes)
{
	struct collection *c = collection_of(s, &counters_model);
	json_object *doc = json_new_object(ctx), *numbers = json_object_new_object();
	const struct element *e;
	struct table *t;

	json_object_object_add(doc, "numbers", numbers);
	TRY(collection_read(s, c, &t));
	e = table_find(t, f->name);
	if (e != NULL && json_object_object_length(changes) == 0)
		return ST_OK;
	if (e != NULL) {
		tally_merge(numbers, json_object_at(e->doc, "numbers"));
		tally_merge(numbers, changes);
		return document_change(c, table_place(t, e), doc, NULL);
	}
	count_stored(collection_of(s, f->model)->current, f, numbers);
	tally_merge(numbers, changes);
	json_set_str(doc, "family", f->name);
	return document_add(s, &counters_model, doc, NULL);
}

void counters_note(struct file_store *s, const struct collection *c, json_object *before, json_object *after)
{
	const struct family *f = family_of(c->model, NULL);
	json_object *changes;
	void *ctx;

	if (f == NULL)
		return;
	ctx = talloc_new(NULL);
	changes = json_new_object(ctx);
	f->count(changes, before, after);
	if (keep(s, ctx, f, changes) != ST_OK)
		log_warn("the counters of %s could not be kept", c->model->name);
	talloc_free(ctx);
}

status counters_read(struct file_store *s, const void *ctx, const char *family, json_object **tally)
{
	const struct family *f = family_of(NULL, family);
	const struct element *e;
	struct table *t;

	TRY(collection_read(s, collection_of(s, &counters_model), &t));
	*tally = json_new_object(ctx);
	e = table_find(t, family);
	if (e != NULL) {
		tally_merge(*tally, json_object_at(e->doc, "numbers"));
		return ST_OK;
	}
	TRY(collection_read(s, collection_of(s, f->model), &t));
	count_stored(t, f, *tally);
	return ST_OK;
}
