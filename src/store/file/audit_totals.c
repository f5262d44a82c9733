/*
 * How many audit events of each kind there have ever been: counted from the log, where each process goes on from where
 * it was the last time. Events that are cut off for their age leave their numbers in the first line of the log, which
 * is replaced in the same step.
 */
#include "store/file/file.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/tally.h"
#include "store/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOTALS "auditTotals" /* a line that is no event */

void audit_totals_add(json_object *tally, const char *line, size_t n)
{
	void *ctx = talloc_new(NULL);
	json_object *event;

	if (json_parse(ctx, line, n, &event) && json_object_is_type(event, json_type_object)) {
		const char *labels[5];

		tally_merge(tally, json_object_at(event, TOTALS));
		metrics_audit_labels(event, labels);
		if (model_audit_events.accept(event))
			tally_add(tally, labels, 5, 1);
	}
	talloc_free(ctx);
}

char *audit_totals_line(const void *ctx, json_object *tally)
{
	json_object *line = json_new_object(ctx);

	json_set_ref(line, TOTALS, tally);
	return mem_printf(ctx, "%s\n", json_compact(ctx, line, NULL));
}

void audit_totals_forget(struct audit_log *a)
{
	json_object_put(a->counted.tally);
	a->counted = (struct audit_counted){.tally = NULL};
}

/* True if f is the file that was counted, and has only grown. */
static bool goes_on(const struct audit_counted *c, FILE *f, const struct stat *st)
{
	char head[sizeof(c->head)];

	return c->tally != NULL && c->dev == st->st_dev && c->ino == st->st_ino && c->upto <= st->st_size &&
	       pread(fileno(f), head, c->head_len, 0) == (ssize_t)c->head_len &&
	       memcmp(head, c->head, c->head_len) == 0;
}

/* ---- what was counted, for whoever counts next ------------------------------------------------------------------- */

#define SAVE_EVERY (4 * 1024 * 1024) /* bytes of the log */

static char *saved_path(const void *ctx, const struct audit_log *a)
{
	return mem_printf(ctx, "%s.counted", a->path);
}

/* Only a short cut: a file that is missing, torn or of another log is none. */
static void load_saved(struct audit_log *a, off_t size)
{
	struct audit_counted *c = &a->counted;
	void *ctx = talloc_new(NULL);
	struct fs_version v;
	json_object *saved;
	size_t n;
	char *text;

	if (c->head_len > 0 && fs_read(ctx, saved_path(ctx, a), &text, &n, &v) == ST_OK &&
	    json_parse(ctx, text, n, &saved) && json_object_at(saved, TOTALS) != NULL &&
	    json_int(saved, "device", -1) == (int64_t)c->dev && json_int(saved, "inode", -1) == (int64_t)c->ino &&
	    json_int(saved, "upto", 0) > 0 && json_int(saved, "upto", 0) <= size &&
	    text_equal(json_str(saved, "head"), text_scrub(ctx, c->head, c->head_len))) {
		c->upto = c->saved = (off_t)json_int(saved, "upto", 0);
		tally_merge(c->tally, json_object_at(saved, TOTALS));
	}
	talloc_free(ctx);
}

static void save(struct audit_log *a)
{
	struct audit_counted *c = &a->counted;
	void *ctx = talloc_new(NULL);
	json_object *saved = json_new_object(ctx);
	char *path = saved_path(ctx, a), *temporary = mem_printf(ctx, "%s.%d.tmp", path, (int)getpid()), *text;
	struct fs_version v;
	size_t n;

	json_set_int(saved, "device", (int64_t)c->dev);
	json_set_int(saved, "inode", (int64_t)c->ino);
	json_set_int(saved, "upto", (int64_t)c->upto);
	json_set_str(saved, "head", text_scrub(ctx, c->head, c->head_len));
	json_set_ref(saved, TOTALS, c->tally);
	text = json_compact(ctx, saved, &n);
	c->saved = c->upto;   /* should it fail: the next try is as far away */
	fs_remove(temporary); /* of one that was killed */
	if (fs_write_new(temporary, text, n, 0, &v) == ST_OK && fs_rename(temporary, path) != ST_OK)
		fs_remove(temporary);
	talloc_free(ctx);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

/* Begins anew; false if the file cannot be read. */
static bool begin(struct audit_log *a, FILE *f, const struct stat *st)
{
	ssize_t n;

	audit_totals_forget(a);
	n = pread(fileno(f), a->counted.head, sizeof(a->counted.head), 0);
	if (n < 0)
		return false;
	/* a head that may still grow is none */
	a->counted.head_len = n == (ssize_t)sizeof(a->counted.head) ? sizeof(a->counted.head) : 0;
	a->counted.dev = st->st_dev;
	a->counted.ino = st->st_ino;
	a->counted.tally = json_object_new_object();
	load_saved(a, st->st_size);
	return true;
}

/* Whole lines from where it was left. */
static bool count_lines(struct audit_counted *c, FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok = fseeko(f, c->upto, SEEK_SET) == 0;

	while (ok && (n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		audit_totals_add(c->tally, line, (size_t)n - 1);
		c->upto += n;
	}
	free(line);
	return ok && !ferror(f);
}

status audit_totals(struct file_store *s, json_object **tally)
{
	struct audit_log *a = &s->audit;
	FILE *f = fopen(a->path, "re");
	struct stat st;
	bool ok;

	if (f == NULL && errno == ENOENT) {
		if (a->counted.tally == NULL)
			a->counted.tally = json_object_new_object();
		*tally = a->counted.tally;
		return ST_OK;
	}
	ok = f != NULL && fstat(fileno(f), &st) == 0 && (goes_on(&a->counted, f, &st) || begin(a, f, &st)) &&
	     count_lines(&a->counted, f);
	if (!ok)
		fs_failed("read", a->path, errno);
	else if (a->counted.head_len > 0 && a->counted.upto - a->counted.saved > SAVE_EVERY)
		save(a);
	if (f != NULL)
		fclose(f);
	*tally = a->counted.tally;
	return ok ? ST_OK : ST_UNAVAILABLE;
}
