#include "store/file/file.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

struct collection *collection_of(struct file_store *s, const struct model *m)
{
	for (size_t i = 0; i < s->collection_count; i++)
		if (s->collections[i].model == m)
			return &s->collections[i];
	return NULL;
}

/* Replaced tables live on until the running operation is over: it may hold documents of them. */
static void replace_current(struct file_store *s, struct collection *c, struct table *t)
{
	if (c->current != NULL)
		talloc_steal(s->retired, c->current);
	c->current = t;
}

/* Adds the built-in documents that t lacks, in front, in their own order. */
static void add_built_in(const struct collection *c, struct table *t, bool demo)
{
	json_object *seeds = json_object_new_array();
	size_t n;

	c->model->seed(seeds, demo);
	n = json_object_array_length(seeds);
	while (n-- > 0) {
		json_object *doc = json_object_array_get_idx(seeds, n);

		if (table_find(t, json_str(doc, c->model->id)) == NULL)
			table_push_front(t, element_new(c, json_object_get(doc)));
	}
	json_object_put(seeds);
}

static void set_absent(struct file_store *s, struct data_file *f)
{
	if (f->state == FILE_READ)
		log_warn("%s is gone; its documents are the built-in ones until it is written again", f->path);
	for (size_t i = 0; i < f->collection_count; i++) {
		struct collection *c = f->collections[i];
		struct table *t = table_new();

		if (c->model->seed != NULL)
			add_built_in(c, t, true);
		replace_current(s, c, t);
	}
	f->state = FILE_ABSENT;
	memset(&f->version, 0, sizeof(f->version));
}

/* Says so once for each version and cause. */
static status set_broken(struct data_file *f, const struct fs_version *v, int error, const char *reason)
{
	if (f->state != FILE_BROKEN || f->broken_errno != error || !fs_same(&f->version, v))
		log_error("%s cannot be used: %s; it is left untouched, and this store answers 503 until it is mended",
		          f->path, reason);
	f->state = FILE_BROKEN;
	f->broken_errno = error;
	f->version = *v;
	return ST_UNAVAILABLE;
}

static status load(struct file_store *s, struct data_file *f)
{
	struct fs_version v = {0};
	struct table *tables[COLLECTIONS_MAX];
	const char *reason = NULL;
	void *ctx = talloc_new(NULL);
	char *data;
	size_t n;
	status st = fs_read(ctx, f->path, &data, &n, &v);

	if (st == ST_NOT_FOUND) {
		set_absent(s, f);
		st = ST_OK;
	} else if (st != ST_OK) {
		int error = errno;

		st = set_broken(f, &v, error, strerror(error));
	} else if (!layout_parse(f, data, n, tables, &reason)) {
		st = set_broken(f, &v, 0, reason);
	} else {
		for (size_t i = 0; i < f->collection_count; i++) {
			struct collection *c = f->collections[i];

			if (c->always_seeded)
				add_built_in(c, tables[i], false);
			replace_current(s, c, tables[i]);
		}
		f->state = FILE_READ;
		f->version = v;
	}
	talloc_free(ctx);
	return st;
}

static status refresh(struct file_store *s, struct data_file *f)
{
	struct fs_version v;
	status st = fs_look(f->path, &v);

	if (st == ST_NOT_FOUND && f->state == FILE_ABSENT)
		return ST_OK;
	if (st == ST_OK && f->state == FILE_READ && fs_same(&v, &f->version))
		return ST_OK;
	if (st == ST_OK && f->state == FILE_BROKEN && f->broken_errno == 0 && fs_same(&v, &f->version))
		return ST_UNAVAILABLE;
	return load(s, f);
}

static bool has_work(const struct data_file *f)
{
	for (size_t i = 0; i < f->collection_count; i++)
		if (f->collections[i]->work != NULL)
			return true;
	return false;
}

status collection_read(struct file_store *s, struct collection *c, struct table **t)
{
	if (!has_work(c->file)) /* else the store lock is held, and ours is the newest version */
		TRY(refresh(s, c->file));
	*t = c->work != NULL ? c->work : c->current;
	return ST_OK;
}

struct table *collection_work(struct collection *c)
{
	if (c->work == NULL)
		c->work = table_copy(c->current);
	return c->work;
}

void collection_forget(struct collection *c)
{
	talloc_free(c->work);
	c->work = NULL;
}

void collection_publish(struct file_store *s, struct data_file *f, const struct fs_version *v)
{
	for (size_t i = 0; i < f->collection_count; i++) {
		struct collection *c = f->collections[i];

		if (c->work == NULL)
			continue;
		for (size_t k = 0; k < c->work->count; k++)
			element_lighten(c, c->work->at[k]);
		replace_current(s, c, c->work);
		c->work = NULL;
	}
	f->state = FILE_READ;
	f->version = *v;
}
