/*
 * The audit log: one event a line, oldest first, only ever appended to (contract 01 15).
 *
 * Lines are written under a lock of the file itself and cut off again when the disk is full, so that a line is torn
 * only by a loss of power: such a one is skipped when read, and ended before the next is appended. Reading goes
 * backwards in blocks of the file, never through a mapping: a writer may shorten the file at any time.
 */
#include "store/file/file.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/self.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS 5000
#define PENDING_MAX (4u * 1024 * 1024)
#define BLOCK 65536u

/* Events stand in the order of their commits; createdAt may be older than a neighbour's by the length of a request. */
#define DISORDER_MS 3600000

/* A machine that started without the right time has events between the others that are as old as its clock was. */
#define BEYOND_ENOUGH 1000

/* ---- appending ---------------------------------------------------------------------------------- */

/* The event with its texts cut to the columns of a database (01 15.2). */
static void add_line(struct buf *lines, json_object *event)
{
	const struct model *m = &model_audit_events;
	void *ctx = talloc_new(NULL);
	json_object *copy = NULL;
	size_t n;
	char *text;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];
		json_object *v = f->max > 0 ? model_value(event, f) : NULL;
		const char *s, *cut;

		if (!json_is_str(v))
			continue;
		s = json_object_get_string(v);
		if (strlen(s) <= (size_t)f->max)
			continue;
		cut = text_cut(ctx, s, (size_t)f->max);
		if (copy == NULL)
			copy = json_clone(ctx, event);
		model_set(copy, f, json_object_new_string(cut));
	}
	text = json_compact(ctx, copy != NULL ? copy : event, &n);
	buf_add(lines, text, n);
	buf_putc(lines, '\n');
	talloc_free(ctx);
}

static void close_log(struct audit_log *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

/* True if path is still the file that is open: not after a log rotation. Its state goes to st. */
static bool is_current(const struct audit_log *a, struct stat *st)
{
	struct stat open_one;

	return fstat(a->fd, &open_one) == 0 && stat(a->path, st) == 0 && open_one.st_ino == st->st_ino &&
	       open_one.st_dev == st->st_dev;
}

/* Opens the file unless this process has opened it already. */
static bool open_log(struct audit_log *a)
{
	if (a->fd >= 0 && a->owner != process_self())
		close_log(a);
	if (a->fd < 0) {
		a->fd = open(a->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		a->owner = process_self();
		a->synced = -1;
	}
	return a->fd >= 0;
}

/* True if the file ends in the middle of a line. */
static bool is_torn(int fd, off_t size)
{
	char last;

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* To a file of that size. All or nothing; errno. */
static bool append_bytes(int fd, off_t size, const char *data, size_t n)
{
	int error;

	if (is_torn(fd, size) && write(fd, "\n", 1) != 1)
		return false;
	if (io_write(fd, data, n))
		return true;
	error = errno;
	if (ftruncate(fd, size) != 0)
		log_warn("the audit log ends in a torn line: %s", strerror(errno));
	errno = error;
	return false;
}

/*
 * The lock of the file that is at the path: while it was waited for, the log may have been replaced by a shorter one.
 * *size: of the file.
 */
static status lock_log(struct audit_log *a, off_t *size)
{
	struct stat named;

	for (;;) {
		status st;

		if (!open_log(a))
			return fs_failed("open", a->path, errno);
		st = fs_lock(a->fd, LOCK_WAIT_MS);
		if (st != ST_OK)
			return st == ST_CONFLICT ? fs_failed("lock", a->path, ETIMEDOUT) : st;
		if (is_current(a, &named)) {
			*size = named.st_size;
			return ST_OK;
		}
		close_log(a);
	}
}

status audit_lock(struct file_store *s)
{
	off_t size;

	return lock_log(&s->audit, &size);
}

void audit_unlock(struct file_store *s)
{
	fs_unlock(s->audit.fd);
}

static status append_locked(struct audit_log *a, const char *data, size_t n)
{
	off_t size;
	status st;

	TRY(lock_log(a, &size));
	st = append_bytes(a->fd, size, data, n) ? ST_OK : fs_failed("write", a->path, errno);
	fs_unlock(a->fd);
	return st;
}

/* Lines that could not be written are kept as long as they are not too many. */
static void keep_pending(struct audit_log *a, const char *lines, size_t n)
{
	if (a->pending_len + n > PENDING_MAX) {
		log_error("%zu bytes of audit events of refused requests are given up: %s", n, a->path);
		return;
	}
	a->pending = mem_grow(NULL, a->pending, char, a->pending_len + n);
	memcpy(a->pending + a->pending_len, lines, n);
	a->pending_len += n;
}

char *audit_lines(const void *ctx, json_object *events, size_t *n)
{
	size_t count = events == NULL ? 0 : json_object_array_length(events);
	struct buf lines;

	buf_init(&lines, ctx);
	buf_puts(&lines, "");
	for (size_t i = 0; i < count; i++)
		add_line(&lines, json_object_array_get_idx(events, i));
	*n = lines.len;
	return lines.data;
}

status audit_put(struct file_store *s, const char *lines, size_t n, bool durable)
{
	struct audit_log *a = &s->audit;

	if (a->pending_len > 0) {
		TRY(append_locked(a, a->pending, a->pending_len));
		log_info("the audit log %s can be written again", a->path);
		talloc_free(a->pending);
		a->pending = NULL;
		a->pending_len = 0;
	}
	if (n > 0)
		TRY(append_locked(a, lines, n));
	return durable ? audit_sync(s) : ST_OK;
}

status audit_append(struct file_store *s, json_object *events, bool durable)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	char *lines = audit_lines(ctx, events, &n);
	status st = n == 0 && s->audit.pending_len == 0 ? ST_OK : audit_put(s, lines, n, false);

	if (st != ST_OK && n > 0)
		keep_pending(&s->audit, lines, n);
	talloc_free(ctx);
	return st == ST_OK && durable && n > 0 ? audit_sync(s) : st;
}

int64_t audit_size(const struct file_store *s)
{
	struct fs_version v;

	return fs_look(s->audit.path, &v) == ST_OK ? (int64_t)v.size : 0;
}

status audit_sync(struct file_store *s)
{
	struct audit_log *a = &s->audit;
	struct stat st;

	if (a->fd >= 0 && (a->owner != process_self() || !is_current(a, &st)))
		close_log(a);
	if (a->fd < 0) {
		if (stat(a->path, &st) != 0 && errno == ENOENT)
			return ST_OK;
		if (!open_log(a) || fstat(a->fd, &st) != 0)
			return fs_failed("open", a->path, errno);
	}
	if (st.st_size == a->synced)
		return ST_OK;
	if (fdatasync(a->fd) != 0)
		return fs_failed("sync", a->path, errno);
	if (a->synced < 0) { /* a file just made has a name to be kept, too */
		char *folder = fs_folder(NULL, a->path);
		status done = fs_sync_folder(folder);

		talloc_free(folder);
		TRY(done);
	}
	a->synced = st.st_size;
	return ST_OK;
}

/* ---- a commit that was cut off ------------------------------------------------------------------ */

/* How far back the lines are looked for when the log was replaced meanwhile. */
#define TAIL_MAX (8 * 1024 * 1024)

static bool has_lines(const struct audit_log *a, off_t end, off_t offset, const char *lines, size_t n)
{
	char *data;
	size_t size, got = 0;
	bool found;

	if (offset > end)
		offset = end > TAIL_MAX ? end - TAIL_MAX : 0;
	size = (size_t)(end - offset);
	data = mem_array(NULL, char, size + 1);
	while (got < size) {
		ssize_t part = pread(a->fd, data + got, size - got, offset + (off_t)got);

		if (part <= 0)
			break;
		got += (size_t)part;
	}
	found = memmem(data, got, lines, n) != NULL;
	talloc_free(data);
	return found;
}

status audit_complete(struct file_store *s, int64_t offset, const char *lines, size_t n)
{
	struct audit_log *a = &s->audit;
	status st = ST_OK;
	off_t size;

	if (n == 0)
		return ST_OK;
	TRY(lock_log(a, &size));
	if (!has_lines(a, size, (off_t)offset, lines, n) && !append_bytes(a->fd, size, lines, n))
		st = fs_failed("write", a->path, errno);
	fs_unlock(a->fd);
	return st == ST_OK ? audit_sync(s) : st;
}

/* ---- reading backwards -------------------------------------------------------------------------- */

struct reader {
	void *ctx;
	int fd;
	off_t start; /* offset of data[0] in the file */
	char *data;
	size_t room;
	size_t end; /* the next line ends before data[end] */
};

/* False (nothing to read) with errno 0 when there is no log yet. */
static bool reader_open(struct reader *r, void *ctx, const char *path)
{
	struct stat st;

	memset(r, 0, sizeof(*r));
	r->ctx = ctx;
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0) {
		if (errno == ENOENT)
			errno = 0;
		return false;
	}
	if (fstat(r->fd, &st) != 0) {
		close(r->fd);
		return false;
	}
	r->start = st.st_size;
	return true;
}

/* Puts the block before data[0] in front of what is left; false at the beginning of the file, or on an error. */
static bool read_before(struct reader *r)
{
	size_t n = r->start > (off_t)BLOCK ? BLOCK : (size_t)r->start;
	size_t got = 0;

	if (n == 0)
		return false;
	if (r->end + n > r->room) {
		r->room = (r->end + n) * 2;
		r->data = mem_grow(r->ctx, r->data, char, r->room);
	}
	memmove(r->data + n, r->data, r->end);
	while (got < n) {
		ssize_t part = pread(r->fd, r->data + got, n - got, r->start - (off_t)n + (off_t)got);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0) /* shortened meanwhile */
			return false;
		got += (size_t)part;
	}
	r->start -= (off_t)n;
	r->end += n;
	return true;
}

/* The line before the last one given. What follows the last line feed of the file is a torn line, or not yet whole. */
static bool reader_next(struct reader *r, char **line, size_t *n)
{
	static const char feed = '\n';
	size_t seen = 0;

	for (;;) {
		char *at = r->end > seen ? memrchr(r->data, feed, r->end - seen) : NULL;

		if (at != NULL) {
			*line = at + 1;
			*n = r->end - (size_t)(*line - r->data);
			r->end = (size_t)(at - r->data);
			return true;
		}
		seen = r->end;
		if (!read_before(r))
			break;
	}
	if (r->end == 0 || r->start > 0)
		return false;
	*line = r->data;
	*n = r->end;
	r->end = 0;
	return true;
}

/* ---- scanning ----------------------------------------------------------------------------------- */

struct scan {
	struct matcher matcher;
	const char *needles[QUERY_MAX_FILTERS]; /* texts that a line must have to be worth parsing */
	size_t needle_count;
	int64_t oldest_ms; /* events older than this cannot match, nor any before BEYOND_ENOUGH of them */
	int beyond;        /* so many of them in a row */
};

/* Texts whose JSON form is themselves. */
static bool is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e || *s == '"' || *s == '\\')
			return false;
	return true;
}

static status scan_init(struct scan *s, void *ctx, const struct query *q)
{
	memset(s, 0, sizeof(*s));
	s->oldest_ms = INT64_MIN;
	TRY(matcher_init(&s->matcher, &model_audit_events, q));
	for (size_t i = 0; i < q->filter_count; i++) {
		const struct condition *c = &s->matcher.conditions[i];
		const struct filter *f = c->filter;

		if (f->op == Q_EQ && c->field->type != M_TIME && is_plain(f->value))
			s->needles[s->needle_count++] = c->field->type == M_UUID ? text_lower(ctx, f->value) : f->value;
		if ((f->op == Q_GE || f->op == Q_GT) && c->field->type == M_TIME && c->usable &&
		    c->ms - DISORDER_MS > s->oldest_ms)
			s->oldest_ms = c->ms - DISORDER_MS;
	}
	return ST_OK;
}

static bool worth_parsing(const struct scan *s, const char *line, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < s->needle_count; i++)
		if (memmem(line, n, s->needles[i], strlen(s->needles[i])) == NULL)
			return false;
	return true;
}

static json_object *parse_event(void *ctx, const char *line, size_t n)
{
	const struct model *m = &model_audit_events;
	json_object *doc;

	if (!json_parse(ctx, line, n, &doc) || !json_object_is_type(doc, json_type_object) ||
	    (m->accept != NULL && !m->accept(doc)))
		return NULL;
	if (m->repair != NULL)
		m->repair(doc);
	return doc;
}

/* Can nothing before the event match any more? */
static bool is_beyond(struct scan *s, json_object *event)
{
	int64_t ms;

	if (s->oldest_ms != INT64_MIN && clock_parse(json_str(event, "createdAt"), CLOCK_LENIENT, &ms) &&
	    ms < s->oldest_ms)
		s->beyond++;
	else
		s->beyond = 0;
	return s->beyond >= BEYOND_ENOUGH;
}

status audit_scan(struct file_store *store, const struct query *q, document_fn each, void *state)
{
	void *ctx = talloc_new(NULL);
	struct scan s;
	struct reader r;
	char *line;
	size_t n;
	status st = scan_init(&s, ctx, q);
	bool more = st == ST_OK;

	if (more && !reader_open(&r, ctx, store->audit.path)) {
		if (errno != 0)
			st = fs_failed("read", store->audit.path, errno);
		more = false;
	}
	if (!more) {
		talloc_free(ctx);
		return st;
	}
	if (!reader_next(&r, &line, &n)) /* the rest after the last line feed */
		more = false;
	while (more && reader_next(&r, &line, &n)) {
		void *tmp;
		json_object *event;

		if (!worth_parsing(&s, line, n))
			continue;
		tmp = talloc_new(NULL);
		event = parse_event(tmp, line, n);
		if (event != NULL && matcher_holds(&s.matcher, event)) {
			s.beyond = 0;
			more = each(state, event);
		} else if (event != NULL) {
			more = !is_beyond(&s, event);
		}
		talloc_free(tmp);
	}
	close(r.fd);
	talloc_free(ctx);
	return st;
}

/* ---- operations --------------------------------------------------------------------------------- */

struct listing {
	const struct query *query;
	struct page *page;
	int64_t matched;
};

static bool take_event(void *state, json_object *event)
{
	struct listing *l = state;
	const struct query *q = l->query;
	int64_t offset = q->offset > 0 ? q->offset : 0;

	if (l->matched++ >= offset && (q->limit < 0 || l->page->count < (uint64_t)q->limit)) {
		json_push_ref(l->page->docs, event);
		l->page->count++;
	}
	return q->want_total || q->limit < 0 || l->page->count < (uint64_t)q->limit;
}

status audit_list(struct file_store *s, const void *ctx, const struct query *q, struct page *out)
{
	struct listing l = {.query = q, .page = out};
	status st = ST_OK;

	out->docs = json_new_array(ctx);
	out->count = 0;
	if (q->limit != 0 || q->want_total)
		st = audit_scan(s, q, take_event, &l);
	out->total = q->want_total ? l.matched : -1;
	return st;
}

status audit_get(struct file_store *s, const void *ctx, const char *id, json_object **doc)
{
	struct page page;
	struct query q;

	query_init(&q);
	query_where(&q, "id", Q_EQ, id);
	q.limit = 1;
	TRY(audit_list(s, ctx, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	*doc = json_object_array_get_idx(page.docs, 0);
	return ST_OK;
}

struct tally {
	const struct query *query;
	const struct model_field *field;
	json_object *counts;
	int64_t matched, counted;
};

static bool count_event(void *state, json_object *event)
{
	struct tally *t = state;
	const struct query *q = t->query;

	if (t->matched++ >= q->offset && (q->limit < 0 || t->counted < q->limit)) {
		count_values(t->counts, t->field, event);
		t->counted++;
	}
	return q->limit < 0 || t->counted < q->limit;
}

status audit_count_by(struct file_store *s, const void *ctx, const struct query *q, const char *field,
                      json_object **out)
{
	void *tmp = talloc_new(NULL);
	struct tally t = {.query = q, .field = model_field_find(&model_audit_events, field)};
	status st = t.field == NULL ? ST_INTERNAL : ST_OK;

	t.counts = json_new_object(tmp);
	if (st == ST_OK)
		st = audit_scan(s, q, count_event, &t);
	if (st == ST_OK)
		*out = count_list(ctx, t.counts);
	talloc_free(tmp);
	return st;
}
