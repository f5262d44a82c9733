/*
 * The unit of work of the flat-file store.
 *
 * Commit: every changed file is written beside the old one and made durable. Then the journal is: the list of renames
 * and the audit lines that belong to them. From then on the commit has happened, and whoever takes the store lock next
 * finishes it if its writer died on the way. A single file without audit lines is just renamed into place.
 */
#include "store/file/file.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/self.h"

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

	if (l->fd >= 0 &&
	    l->owner != process_self()) { /* inherited over a fork: the lock would be shared with the parent */
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
		l->owner = process_self();
	}
	st = fs_lock(l->fd, wait_ms);
	l->held = st == ST_OK;
	return st;
}

void lock_release(struct lock_file *l)
{
	if (l->held && l->owner == process_self())
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

/* The journal's text behind its checksum; NULL if it was torn: it never stood, and nothing was acknowledged for it. */
static json_object *journal_parse(void *ctx, char *data, size_t n)
{
	char hex[SHA256_HEX_SIZE];
	json_object *journal;

	if (n <= SHA256_HEX_SIZE || data[SHA256_HEX_SIZE - 1] != '\n')
		return NULL;
	crypto_sha256_hex(hex, data + SHA256_HEX_SIZE, n - SHA256_HEX_SIZE);
	if (memcmp(hex, data, SHA256_HEX_SIZE - 1) != 0 ||
	    !json_parse(ctx, data + SHA256_HEX_SIZE, n - SHA256_HEX_SIZE, &journal))
		return NULL;
	return journal;
}

static status finish_journal(struct file_store *s, json_object *journal)
{
	json_object *renames = json_array(journal, "renames");
	const char *lines = json_str_or(journal, "audit", "");

	for (size_t i = 0; renames != NULL && i < json_object_array_length(renames); i++)
		TRY(finish_rename(s, json_object_array_get_idx(renames, i)));
	return audit_complete(s, json_int(journal, "auditOffset", 0), lines, strlen(lines));
}

static bool journal_stands(const struct file_store *s)
{
	struct fs_version v;

	return fs_look(s->journal, &v) == ST_OK && v.size > 0;
}

/* Finishes the commit of the journal, if there is one. The store lock is held. */
static status finish_commit(struct file_store *s)
{
	void *ctx;
	struct fs_version v;
	json_object *journal;
	char *data;
	size_t n;
	status st;

	if (!journal_stands(s))
		return ST_OK;
	ctx = talloc_new(NULL);
	st = fs_read(ctx, s->journal, &data, &n, &v);
	if (st == ST_UNAVAILABLE)
		fs_failed("read", s->journal, errno);
	if (st == ST_OK) {
		journal = journal_parse(ctx, data, n);
		if (journal == NULL)
			log_warn("%s was cut off while it was written: its commit did not take place", s->journal);
		else
			st = finish_journal(s, journal);
		if (st == ST_OK)
			fs_empty(s->journal);
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
	if (s->lock.held || (!start && !journal_stands(s)))
		return;
	if (lock_take(&s->lock, 0) != ST_OK)
		return;
	if (finish_commit(s) == ST_OK && start)
		for (size_t i = 0; i < s->file_count; i++)
			remove_left_over(s->files[i].path);
	lock_release(&s->lock);
}

/* ---- the unit ----------------------------------------------------------------------------------- */

status unit_begin(struct file_store *s)
{
	status st;

	if (s->lock.held && s->lock.owner == process_self())
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

/*
 * The journal is written in place, with a checksum: one that is torn never stood. It names temporary files whose
 * contents are durable; should a crash of the machine lose such a name, the commit cannot be finished, but then it was
 * not acknowledged either.
 */
static status write_journal(void *ctx, struct file_store *s, const struct change *changes, size_t count,
                            const char *lines)
{
	json_object *journal = json_new_object(ctx), *renames = json_object_new_array();
	char hex[SHA256_HEX_SIZE];
	struct buf b;
	char *text;
	size_t n;

	for (size_t i = 0; i < count; i++) {
		json_object *entry = json_object_new_object();

		json_set_str(entry, "tmp", changes[i].tmp);
		json_set_str(entry, "final", changes[i].file->path);
		json_object_array_add(renames, entry);
	}
	json_object_object_add(journal, "renames", renames);
	json_set_str(journal, "audit", lines);
	json_set_int(journal, "auditOffset", audit_size(s));
	text = json_compact(ctx, journal, &n);
	crypto_sha256_hex(hex, text, n);
	buf_init(&b, ctx);
	buf_printf(&b, "%s\n", hex);
	buf_add(&b, text, n);
	return fs_overwrite(s->journal, b.data, b.len);
}

static status rename_all(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		TRY(fs_rename(changes[i].tmp, changes[i].file->path));
	return sync_folders(changes, count);
}

/* The journal stands: the commit has happened, and whoever takes the lock next finishes what fails here. */
static void carry_out(struct file_store *s, const struct change *changes, size_t count, const char *lines, size_t n)
{
	if (rename_all(changes, count) == ST_OK && (n == 0 || audit_put(s, lines, n, true) == ST_OK))
		fs_empty(s->journal);
	else
		log_error("the commit of %s stands, but could not be carried out yet", s->journal);
}

static size_t write_changes(void *ctx, struct file_store *s, struct change *changes, status *st)
{
	size_t count = 0;

	*st = ST_OK;
	for (size_t i = 0; *st == ST_OK && i < s->file_count; i++) {
		if (!changed(&s->files[i]))
			continue;
		changes[count].file = &s->files[i];
		*st = write_change(ctx, &changes[count++]);
	}
	return count;
}

static status write_all(void *ctx, struct file_store *s, const char *lines, size_t n)
{
	struct change *changes = mem_array(ctx, struct change, s->file_count);
	status st;
	size_t count = write_changes(ctx, s, changes, &st);

	if (st == ST_OK && count == 0)
		return n == 0 ? ST_OK : audit_put(s, lines, n, true);
	if (st == ST_OK && count == 1 && n == 0) { /* one rename is all or nothing by itself */
		st = rename_all(changes, count);
	} else if (st == ST_OK) {
		st = write_journal(ctx, s, changes, count, lines);
		if (st == ST_OK)
			carry_out(s, changes, count, lines, n);
		else
			fs_empty(s->journal);
	}
	for (size_t i = 0; i < count; i++) {
		if (st == ST_OK)
			collection_publish(s, changes[i].file, &changes[i].version);
		else if (changes[i].written)
			fs_remove(changes[i].tmp);
	}
	return st;
}

status unit_commit(struct file_store *s, json_object *events)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	char *lines = audit_lines(ctx, events, &n);
	status st = write_all(ctx, s, lines, n);

	talloc_free(ctx);
	unit_rollback(s); /* what was published is no working copy any more; the lock goes */
	return st;
}
