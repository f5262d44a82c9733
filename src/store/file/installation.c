#include "store/file/installation.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the folder -------------------------------------------------------------------------------------------------- */

/* A configuration that knows nothing but the folder. */
static struct config *config_of(const void *ctx, const char *dir)
{
	struct config *c = config_defaults(ctx);

	config_set(c, CFG_DATA_DIR, dir);
	for (size_t i = 0; models[i] != NULL; i++) {
		enum config_key key = models[i]->path;
		const char *usual = key == CFG_KEY_COUNT ? NULL : config_str(c, key);
		const char *slash = usual == NULL ? NULL : strrchr(usual, '/');

		if (usual != NULL)
			config_set(c, key, mem_printf(ctx, "%s/%s", dir, slash == NULL ? usual : slash + 1));
	}
	return c;
}

struct file_store *installation_open(const void *ctx, const char *dir, const char **error)
{
	char *path = realpath(dir, NULL);
	struct file_store *s;
	struct stat st;

	if (path == NULL || stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		*error = mem_printf(ctx, "%s: %s", dir, path == NULL ? strerror(errno) : "no folder");
		free(path);
		return NULL;
	}
	s = file_open(ctx, config_of(ctx, path), error);
	free(path);
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < s->collection_count; i++)
		s->collections[i].keeps_unknown = true;
	if (lock_take(&s->runner, 0) != ST_OK) {
		*error = mem_printf(ctx, "%s: a controller runs on these files; stop it first", dir);
		talloc_free(s);
		return NULL;
	}
	return s;
}

bool installation_in(const void *ctx, const char *dir)
{
	struct config *c = config_of(ctx, dir);
	bool found = access(mem_printf(ctx, "%s/audit-events.jsonl", dir), F_OK) == 0 ||
	             access(mem_printf(ctx, "%s/users.json", dir), F_OK) == 0 ||
	             access(mem_printf(ctx, "%s/nodes.json", dir), F_OK) == 0;

	for (size_t i = 0; models[i] != NULL; i++)
		if (models[i]->path != CFG_KEY_COUNT && config_str(c, models[i]->path) != NULL)
			found = found || access(config_str(c, models[i]->path), F_OK) == 0;
	return found;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

status contents_read(struct data_file *f, struct contents *out, const char **reason)
{
	void *ctx = talloc_new(NULL);
	struct fs_version v;
	char *data;
	size_t n;
	status st = fs_read(ctx, f->path, &data, &n, &v);

	memset(out, 0, sizeof(*out));
	if (st == ST_UNAVAILABLE)
		*reason = strerror(errno);
	if (st == ST_OK) {
		out->changed_ms = v.mtime_ns / 1000000;
		if (!layout_parse(f, data, n, out->tables, reason))
			st = ST_UNAVAILABLE;
	}
	talloc_free(ctx);
	return st;
}

void contents_free(struct data_file *f, struct contents *c)
{
	for (size_t i = 0; i < f->collection_count; i++)
		talloc_free(c->tables[i]);
	memset(c, 0, sizeof(*c));
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

status writer_open(struct file_writer *w, const void *ctx, struct data_file *f)
{
	memset(w, 0, sizeof(*w));
	w->file = f;
	w->ctx = talloc_new(ctx);
	w->tmp = mem_printf(w->ctx, "%s.new", f->path);
	fs_remove(w->tmp);
	w->out = fopen(w->tmp, "wxe");
	if (w->out == NULL || fchmod(fileno(w->out), 0600) != 0)
		return fs_failed("create", w->tmp, errno);
	fputs("{\n", w->out);
	return ST_OK;
}

static void end_array(struct file_writer *w)
{
	if (w->file != NULL && ftello(w->out) > 2)
		fputs(w->elements == 0 ? "],\n" : "\n  ],\n", w->out);
	w->elements = 0;
}

void writer_collection(struct file_writer *w, const struct collection *c)
{
	end_array(w);
	fprintf(w->out, "  \"%s\": [", c->file_key);
}

/* Bookkeeping members of the database stand in our own files only, the contract's have none. */
static void drop_bookkeeping(const struct collection *c, json_object *doc)
{
	for (size_t i = 0; c->foreign && i < c->model->count; i++)
		if (c->model->fields[i].flags & M_HIDDEN)
			model_unset(doc, &c->model->fields[i]);
}

status writer_add(struct file_writer *w, const struct collection *c, json_object *doc)
{
	json_object *made;
	struct element *e;

	TRY(document_in(c, doc, &made));
	drop_bookkeeping(c, made);
	e = element_new(c, made);
	element_text(e);
	fputs(w->elements++ == 0 ? "\n    " : ",\n    ", w->out);
	fwrite(e->text, 1, e->text_len, w->out);
	element_put(e);
	return ST_OK;
}

void writer_abandon(struct file_writer *w)
{
	if (w->out != NULL)
		fclose(w->out);
	fs_remove(w->tmp);
	talloc_free(w->ctx);
}

status writer_close(struct file_writer *w)
{
	char iso[CLOCK_ISO_SIZE];
	bool good;
	int error;
	status st = ST_OK;

	end_array(w);
	fprintf(w->out, "  \"updatedAt\": \"%s\",\n  \"version\": 1\n}\n", clock_iso(iso, clock_now_ms()));
	good = !ferror(w->out) && fflush(w->out) == 0 && fsync(fileno(w->out)) == 0;
	error = errno;
	if (fclose(w->out) != 0 && good) {
		good = false;
		error = errno;
	}
	w->out = NULL;
	if (!good)
		st = fs_failed("write", w->tmp, error);
	else
		st = fs_rename(w->tmp, w->file->path);
	if (st == ST_OK)
		st = fs_sync_folder(w->file->folder);
	else
		fs_remove(w->tmp);
	talloc_free(w->ctx);
	return st;
}
