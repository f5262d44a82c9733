/*
 * A flat-file installation in one folder, under the usual names, read and written as a whole: for import and export.
 * Nothing built-in is added: what is read is what stands in the files.
 */
#ifndef RAKKR_STORE_FILE_INSTALLATION_H
#define RAKKR_STORE_FILE_INSTALLATION_H

#include "store/file/file.h"

#include <stdio.h>

/*
 * Opens folder dir (which must exist) and finishes a commit that was cut off. NULL and *error if a controller runs on
 * it. Nobody else may open it until it is freed with ctx.
 */
struct file_store *installation_open(const void *ctx, const char *dir, const char **error);

/* True if folder dir holds any file of an installation. */
bool installation_in(const void *ctx, const char *dir);

/* What stands in a file. */
struct contents {
	struct table *tables[COLLECTIONS_MAX]; /* of f->collections */
	int64_t changed_ms;                    /* when it was written */
};

/*
 * ST_NOT_FOUND: no such file. ST_UNAVAILABLE: it cannot be read, or makes no sense; *reason. Freed by contents_free().
 */
status contents_read(struct data_file *f, struct contents *out, const char **reason);
void contents_free(struct data_file *f, struct contents *c);

/* One file of the installation, written element by element. */
struct file_writer {
	struct data_file *file;
	void *ctx;
	char *tmp;
	FILE *out;
	size_t elements; /* of the array that is open */
};

status writer_open(struct file_writer *w, const void *ctx, struct data_file *f);
/* The array of collection c starts; the earlier one ends. In the order of f->collections. */
void writer_collection(struct file_writer *w, const struct collection *c);
/* Adds doc; ST_INVALID when no flat-file store could hold it. */
status writer_add(struct file_writer *w, const struct collection *c, json_object *doc);
/* Puts the file in its place, durably. Whatever comes out, the writer is closed. */
status writer_close(struct file_writer *w);
void writer_abandon(struct file_writer *w);

#endif
