/*
 * The unit of work of the flat-file store.
 *
 * Commit: every changed file is written beside the old one and made durable. One file is then renamed into place. For
 * several, the list of renames (the journal) is made durable first; from then on the commit has happened, and whoever
 * takes the store lock next finishes it if its writer died on the way.
 */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LOCK_WAIT_MS 5000
#define MARK_DIGITS 16 /* temporary files: <path>.<16 hex digits>.tmp */

/* ---- lock files --------------------------------------------------------------------------------- */

status lock_take(struct lock_file *l, int64_t wait_ms)
{
	status st;

	if (l->fd >= 0 && l->owner != getpid()) { /* inherited over a fork: the lock would be shared with the parent */
		close(l->fd);
		l->fd = -1;
		l->held = false;
	}
	if (l->held)
		return ST_OK;
	if (l->fd < 0) {
		l->fd = fs_lock_open(l->path);
		if (l->fd < 0)
			return fs_failed("open lock file", l->path, errno);
		l->owner = getpid();
	}
	st = fs_lock(l->fd, wait_ms);
	l->held = st == ST_OK;
	return st;
}

void lock_release(struct lock_file *l)
{
	if (l->held && l->owner == getpid())
		fs_unlock(l->fd);
	l->held = false;
}

/* ---- a commit that was cut off ------------------------------------------------------------------ */

static bool is_temporary_of(const char *name, const char *final)
{
	size_t n = strlen(final);

	if (strncmp(name, final, n) != 0 || name[n] != '.' || strlen(name) != n + 1 + MARK_DIGITS + 4)
		return false;
	for (size_t i = 0; i < MARK_DIGITS; i++)
		if (!isxdigit((unsigned char)name[n + 1 + i]))
			return false;
	return strcmp(name + n + 1 + MARK_DIGITS, ".tmp") == 0;
}

/* Only files of this configuration are ever renamed, whatever a journal says. */
static const struct data_file *file_of(const struct file_store *s, const char *tmp, const char *final)
{
	for (size_t i = 0; i < s->file_count; i++)
		if (final != NULL && strcmp(s->files[i].path, final) == 0 && tmp != NULL && is_temporary_of(tmp, final))
			return &s->files[i];
	return NULL;
}

static status finish_rename(const struct file_store *s, json_object *entry)
{
	const char *tmp = json_str(entry, "tmp"), *final = json_str(entry, "final");
	const struct data_file *f = file_of(s, tmp, final);

	if (f == NULL) {
		log_error("%s names %s, which is none of our files; skipped", s->journal, final == NULL ? "?" : final);
		return ST_OK;
	}
	if (access(tmp, F_OK) == 0) {
		log_warn("finishing the interrupted commit of %s", final);
		TRY(fs_rename(tmp, final));
	}
	return fs_sync_folder(f->folder);
}

/* Finishes the commit of the journal, if there is one. The store lock is held. */
static status finish_commit(struct file_store *s)
{
	void *ctx;
	struct fs_version v;
	json_object *list;
	char *data;
	size_t n;
	status st;

	if (access(s->journal, F_OK) != 0)
		return ST_OK;
	ctx = talloc_new(NULL);
	st = fs_read(ctx, s->journal, &data, &n, &v);
	if (st == ST_UNAVAILABLE)
		fs_failed("read", s->journal, errno);
	if (st == ST_OK && (!json_parse(ctx, data, n, &list) || !json_object_is_type(list, json_type_array))) {
		/* It was made durable before it got this name, so this is damage; nothing was acknowledged for it. */
		char *aside = mem_printf(ctx, "%s.damaged", s->journal);

		log_error("%s is damaged; it is set aside as %s", s->journal, aside);
		st = fs_rename(s->journal, aside);
	} else if (st == ST_OK) {
		for (size_t i = 0; st == ST_OK && i < json_object_array_length(list); i++)
			st = finish_rename(s, json_object_array_get_idx(list, i));
		if (st == ST_OK)
			fs_remove(s->journal);
	}
	talloc_free(ctx);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Temporary files of writers that died before their commit. */
static void remove_left_over(const char *path)
{
	void *ctx = talloc_new(NULL);
	const char *folder = fs_folder(ctx, path);
	const char *base = path + strlen(folder) + 1;
	DIR *dir = opendir(folder);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
		if (is_temporary_of(d->d_name, base))
			fs_remove(mem_printf(ctx, "%s/%s", folder, d->d_name));
	if (dir != NULL)
		closedir(dir);
	talloc_free(ctx);
}

void unit_recover(struct file_store *s, bool start)
{
	if (s->lock.held || (!start && access(s->journal, F_OK) != 0))
		return;
	if (lock_take(&s->lock, 0) != ST_OK)
		return;
	if (finish_commit(s) == ST_OK && start) {
		for (size_t i = 0; i < s->file_count; i++)
			remove_left_over(s->files[i].path);
		remove_left_over(s->journal);
	}
	lock_release(&s->lock);
}

/* ---- the unit ----------------------------------------------------------------------------------- */

status unit_begin(struct file_store *s)
{
	status st;

	if (s->lock.held && s->lock.owner == getpid())
		return ST_OK;
	st = lock_take(&s->lock, LOCK_WAIT_MS);
	if (st == ST_CONFLICT) {
		log_error("the store lock %s was not to be had for %d s", s->lock.path, LOCK_WAIT_MS / 1000);
		return ST_UNAVAILABLE;
	}
	if (st != ST_OK)
		return st;
	st = finish_commit(s);
	if (st != ST_OK)
		lock_release(&s->lock);
	return st;
}

void unit_rollback(struct file_store *s)
{
	for (size_t i = 0; i < s->collection_count; i++)
		collection_forget(&s->collections[i]);
	lock_release(&s->lock);
}

struct change {
	struct data_file *file;
	char *tmp;
	struct fs_version version;
	bool written;
};

static bool changed(const struct data_file *f)
{
	for (size_t i = 0; i < f->collection_count; i++)
		if (f->collections[i]->work != NULL)
			return true;
	return false;
}

static char *temporary_name(const void *ctx, const char *path)
{
	uint64_t mark;

	crypto_random(&mark, sizeof(mark));
	return mem_printf(ctx, "%s.%016llx.tmp", path, (unsigned long long)mark);
}

static status write_change(void *ctx, struct change *c)
{
	size_t n;
	char *text = layout_write(ctx, c->file, clock_now_ms(), &n);
	status st;

	if (c->file->state == FILE_ABSENT)
		TRY(fs_make_folder(c->file->folder));
	c->tmp = temporary_name(ctx, c->file->path);
	st = fs_write_new(c->tmp, text, n, c->file->version.mtime_ns, &c->version);
	c->written = st == ST_OK;
	talloc_free(text);
	return st;
}

static status sync_folders(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(changes[i].file->folder, changes[i - 1].file->folder) != 0)
			TRY(fs_sync_folder(changes[i].file->folder));
	return ST_OK;
}

static status write_journal(void *ctx, struct file_store *s, const struct change *changes, size_t count)
{
	json_object *list = json_new_array(ctx);
	char *tmp = temporary_name(ctx, s->journal);
	struct fs_version v;
	size_t n;
	char *text;
	status st;

	for (size_t i = 0; i < count; i++) {
		json_object *entry = json_object_new_object();

		json_set_str(entry, "tmp", changes[i].tmp);
		json_set_str(entry, "final", changes[i].file->path);
		json_object_array_add(list, entry);
	}
	text = json_pretty(ctx, list, &n);
	/* The names in the journal must be durable before it is: a missing file counts as renamed already. */
	TRY(sync_folders(changes, count));
	TRY(fs_write_new(tmp, text, n, 0, &v));
	st = fs_rename(tmp, s->journal);
	if (st != ST_OK) {
		fs_remove(tmp);
		return st;
	}
	return fs_sync_folder(s->folder);
}

static status rename_all(struct file_store *s, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		TRY(fs_rename(changes[i].tmp, changes[i].file->path));
	TRY(sync_folders(changes, count));
	if (count > 1)
		fs_remove(s->journal);
	return ST_OK;
}

static status write_all(void *ctx, struct file_store *s)
{
	struct change *changes = mem_array(ctx, struct change, s->file_count);
	size_t count = 0;
	status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < s->file_count; i++) {
		if (!changed(&s->files[i]))
			continue;
		changes[count].file = &s->files[i];
		st = write_change(ctx, &changes[count++]);
	}
	if (st == ST_OK && count > 1) {
		st = write_journal(ctx, s, changes, count);
		if (st != ST_OK)
			fs_remove(s->journal);
	}
	if (st == ST_OK) {
		status renamed = rename_all(s, changes, count);

		/* Once the journal stands the commit has happened: it is tried again now, or else by the next writer.
		 */
		if (count == 1)
			st = renamed;
		else if (renamed != ST_OK)
			finish_commit(s);
	}
	for (size_t i = 0; i < count; i++) {
		if (st == ST_OK)
			collection_publish(s, changes[i].file, &changes[i].version);
		else if (changes[i].written)
			fs_remove(changes[i].tmp);
	}
	return st;
}

status unit_commit(struct file_store *s)
{
	void *ctx = talloc_new(NULL);
	status st = write_all(ctx, s);

	talloc_free(ctx);
	unit_rollback(s); /* what was published is no working copy any more; the lock goes */
	return st;
}
