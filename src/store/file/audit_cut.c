/* The oldest part of the audit log removed: what is kept is copied behind the log's lock, then renamed over it. */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1 << 20)

/*
 * Where the first event stands that is not older than before_ms; lines that are no events go with those before. totals
 * gets what goes.
 */
static bool find_cut(FILE *f, int64_t before_ms, json_object *totals, int64_t *removed, off_t *cut)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok;

	*removed = 0;
	*cut = 0;
	while ((n = getline(&line, &room, f)) > 0) {
		void *ctx = talloc_new(NULL);
		json_object *event;
		int64_t ms;
		bool is_event = json_parse(ctx, line, (size_t)n, &event) &&
		                clock_parse(json_str_or(event, "createdAt", ""), CLOCK_LENIENT, &ms);

		talloc_free(ctx);
		if (is_event && ms >= before_ms)
			break;
		*cut += n;
		*removed += is_event;
		audit_totals_add(totals, line, (size_t)n);
	}
	ok = !ferror(f);
	free(line);
	return ok;
}

static bool copy_rest(FILE *from, off_t at, FILE *to)
{
	char *block = mem_array(NULL, char, BLOCK);
	size_t n = 0;
	bool ok = fseeko(from, at, SEEK_SET) == 0;

	while (ok && (n = fread(block, 1, BLOCK, from)) > 0)
		ok = fwrite(block, 1, n, to) == n;
	talloc_free(block);
	return ok && !ferror(from);
}

/* The new log beside the old one, durable. It begins with what was counted of the events that are gone. */
static status write_rest(FILE *log, off_t cut, const char *path, const char *head, const char *lines, size_t n)
{
	FILE *f = fopen(path, "wxe");
	bool ok;
	int error;

	if (f == NULL)
		return fs_failed("create", path, errno);
	ok = fchmod(fileno(f), 0600) == 0 && fputs(head, f) >= 0 && copy_rest(log, cut, f) &&
	     fwrite(lines, 1, n, f) == n && fflush(f) == 0 && fsync(fileno(f)) == 0;
	error = errno;
	if (fclose(f) != 0 && ok) {
		ok = false;
		error = errno;
	}
	if (ok)
		return ST_OK;
	fs_remove(path);
	return fs_failed("write", path, error);
}

static status replace_log(struct file_store *s, void *ctx, FILE *log, off_t cut, json_object *totals, int64_t removed,
                          json_object *events)
{
	char *path = mem_printf(ctx, "%s.cut", s->audit.path), *folder = fs_folder(ctx, path);
	size_t n;
	char *lines;

	for (size_t i = 0; events != NULL && i < json_object_array_length(events); i++)
		json_set_int(json_object_at(json_object_array_get_idx(events, i), "details"), "deletedCount", removed);
	lines = audit_lines(ctx, events, &n);

	fs_remove(path); /* of one that was killed */
	TRY(write_rest(log, cut, path, audit_totals_line(ctx, totals), lines, n));
	if (fs_rename(path, s->audit.path) != ST_OK) {
		fs_remove(path);
		return ST_UNAVAILABLE;
	}
	return fs_sync_folder(folder);
}

status audit_cut(struct file_store *s, int64_t before_ms, json_object *events, int64_t *removed)
{
	void *ctx = talloc_new(NULL);
	json_object *totals = json_new_object(ctx);
	FILE *log = NULL;
	off_t cut = 0;
	status st = audit_lock(s);

	*removed = 0;
	if (st == ST_OK) {
		log = fopen(s->audit.path, "re");
		if (log == NULL || !find_cut(log, before_ms, totals, removed, &cut))
			st = fs_failed("read", s->audit.path, errno);
		else if (*removed > 0)
			st = replace_log(s, ctx, log, cut, totals, *removed, events);
		audit_unlock(s);
	}
	if (log != NULL)
		fclose(log);
	if (st != ST_OK)
		*removed = 0;
	talloc_free(ctx);
	return st;
}
