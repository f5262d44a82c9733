/* The flat-file backend: its start, its end, and the table of its operations. */
#include "store/file/file.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files of our own that have no path of their own in the configuration stand in RAKKR_DATA_DIR. */
static const struct {
	enum config_key key;
	const char *name;
} own_files[] = {
    {CFG_NODES_PATH, "nodes.json"},
    {CFG_USERS_PATH, "users.json"},
    {CFG_SESSIONS_PATH, "sessions.json"},
    {CFG_ACCESS_POLICIES_PATH, "access-policies.json"},
    {CFG_HEALTH_EVENTS_PATH, "health-events.json"},
    {CFG_OIDC_STATES_PATH, "oidc-states.json"},
    {CFG_AUDIT_PATH, "audit-events.jsonl"},
};

/* Models without a file of their own live in that of another one, under a key of their own. */
static const struct {
	const struct model *model, *host;
	const char *file_key;
} guests[] = {
    {&model_access_groups, &model_users, "groups"},
    {&model_external_identities, &model_users, "externalIdentities"},
    {&model_credentials, &model_nodes, "credentials"},
    {&counters_model, &model_health_events, "counters"},
};

/* The field of the second index: what documents are looked up by beside their id; unique. */
static const struct {
	const struct model *model;
	const char *field;
} second_index[] = {
    {&model_users, "email"},
    {&model_external_identities, "userId"},
    {&model_sessions, "tokenHash"},
    {&model_credentials, "tokenHash"},
};

static const char *own_name(enum config_key key)
{
	for (size_t i = 0; i < sizeof(own_files) / sizeof(own_files[0]); i++)
		if (own_files[i].key == key)
			return own_files[i].name;
	return NULL;
}

/* An absolute path: the working directory may change later. */
static char *absolute(const void *ctx, const char *path)
{
	char *cwd, *out;

	if (path[0] == '/')
		return mem_strdup(ctx, path);
	cwd = getcwd(NULL, 0);
	out = mem_printf(ctx, "%s/%s", cwd == NULL ? "" : cwd, path);
	free(cwd);
	return out;
}

static char *configured_path(const struct file_store *s, const void *ctx, enum config_key key)
{
	const char *path = config_str(s->config, key);

	if (path == NULL || path[0] == '\0')
		return mem_printf(ctx, "%s/%s", s->folder, own_name(key));
	return absolute(ctx, path);
}

static const struct model *host_of(const struct model *m, const char **file_key)
{
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		if (guests[i].model == m) {
			*file_key = guests[i].file_key;
			return guests[i].host;
		}
	*file_key = m->file_key;
	return m;
}

static struct data_file *file_at(struct file_store *s, const char *path)
{
	for (size_t i = 0; i < s->file_count; i++)
		if (strcmp(s->files[i].path, path) == 0)
			return &s->files[i];
	return NULL;
}

static struct data_file *file_add(struct file_store *s, char *path)
{
	struct data_file *f = &s->files[s->file_count++];

	f->path = path;
	f->folder = fs_folder(s, path);
	return f;
}

/* Two stores in one file would destroy each other. */
static const char *add_collection(struct file_store *s, const struct model *m)
{
	struct collection *c = &s->collections[s->collection_count++];
	const struct model *host = host_of(m, &c->file_key);
	char *path = configured_path(s, s, host->path);
	struct data_file *f = file_at(s, path);

	if (!text_valid_utf8(path, strlen(path))) /* the commit journal is JSON and names it */
		return mem_printf(s, "the path of %s is not valid UTF-8", m->name);
	if (f != NULL && host == m)
		return mem_printf(s, "%s and %s are both to be kept in %s", f->collections[0]->model->name, m->name,
		                  path);
	if (f == NULL)
		f = file_add(s, path);
	c->model = m;
	c->file = f;
	c->foreign = own_name(host->path) == NULL;
	c->heavy = m == &model_recordings ? "waveformPreview" : NULL;
	c->later_wins = m == &model_upload_policies || m == &model_retention_policies;
	c->always_seeded = c->later_wins || m == &model_upload_providers;
	for (size_t i = 0; i < sizeof(second_index) / sizeof(second_index[0]); i++)
		if (second_index[i].model == m)
			c->key_field = second_index[i].field;
	f->collections[f->collection_count++] = c;
	return NULL;
}

/* Hosts come first, so that their array is the first one in the file. */
static const char *add_collections(struct file_store *s)
{
	size_t n = 0;
	const char *problem = NULL, *file_key;

	while (models[n] != NULL)
		n++;
	s->files = mem_array(s, struct data_file, n);
	s->collections = mem_array(s, struct collection, n + 1);
	for (int guest = 0; guest < 2; guest++)
		for (size_t i = 0; problem == NULL && i < n; i++)
			if (models[i] != &model_audit_events &&
			    (host_of(models[i], &file_key) != models[i]) == (guest == 1))
				problem = add_collection(s, models[i]);
	if (problem == NULL)
		problem = add_collection(s, &counters_model);
	if (problem == NULL && file_at(s, s->audit.path) != NULL)
		problem = mem_printf(s, "the audit log and %s are both to be kept in %s",
		                     file_at(s, s->audit.path)->collections[0]->model->name, s->audit.path);
	return problem;
}

static void close_lock(struct lock_file *l)
{
	lock_release(l);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static int file_close(struct file_store *s)
{
	audit_append(s, NULL, true); /* a last try for what is pending */
	for (size_t i = 0; i < s->collection_count; i++) {
		collection_forget(&s->collections[i]);
		talloc_free(s->collections[i].current);
	}
	talloc_free(s->retired);
	talloc_free(s->audit.pending);
	audit_totals_forget(&s->audit);
	close_lock(&s->lock);
	close_lock(&s->runner);
	if (s->audit.fd >= 0)
		close(s->audit.fd);
	return 0;
}

/* True if a file before this one stands in the same folder. */
static bool folder_seen(const struct file_store *s, size_t file)
{
	for (size_t i = 0; i < file; i++)
		if (strcmp(s->files[i].folder, s->files[file].folder) == 0)
			return true;
	return false;
}

/* Each folder once: one that cannot be made now is said by the log, and by every write until it is there. */
static bool make_folders(const struct file_store *s)
{
	char *folder = fs_folder(NULL, s->audit.path);
	bool ours = fs_make_folder(s->folder) == ST_OK;

	if (strcmp(folder, s->folder) != 0)
		fs_make_folder(folder);
	for (size_t i = 0; i < s->file_count; i++)
		if (!folder_seen(s, i) && strcmp(s->files[i].folder, s->folder) != 0 &&
		    strcmp(s->files[i].folder, folder) != 0)
			fs_make_folder(s->files[i].folder);
	talloc_free(folder);
	return ours;
}

void *file_open(const void *ctx, const struct config *c, const char **error)
{
	struct file_store *s = mem_new(ctx, struct file_store);
	const char *problem;

	s->config = c;
	s->folder = absolute(s, config_str(c, CFG_DATA_DIR));
	s->journal = mem_printf(s, "%s/.commit", s->folder);
	s->lock = (struct lock_file){.path = mem_printf(s, "%s/.lock", s->folder), .fd = -1};
	s->runner = (struct lock_file){.path = mem_printf(s, "%s/.runner", s->folder), .fd = -1};
	s->audit = (struct audit_log){.path = configured_path(s, s, CFG_AUDIT_PATH), .fd = -1};
	s->retired = talloc_new(NULL);
	talloc_set_destructor(s, file_close);
	problem = add_collections(s);
	if (problem != NULL) {
		*error = mem_strdup(ctx, problem);
		talloc_free(s);
		return NULL;
	}
	if (make_folders(s))
		unit_recover(s, true);
	return s;
}

struct file_store *file_enter(void *b)
{
	struct file_store *s = b;

	talloc_free_children(s->retired);
	return s;
}

static status file_ping(void *b, const char **reason)
{
	(void)b;
	(void)reason;
	return ST_OK; /* a broken file makes one store unusable, not the controller (09 D-73) */
}

static status file_lock(void *b, const char *name)
{
	(void)name; /* there is one lock, and it serves all names */
	return unit_begin(file_enter(b));
}

static status file_commit(void *b, json_object *events, bool durable)
{
	struct file_store *s = file_enter(b);

	return s->lock.held ? unit_commit(s, events) : audit_append(s, events, durable);
}

static void file_rollback(void *b)
{
	unit_rollback(file_enter(b));
}

static bool file_dirty(void *b)
{
	const struct file_store *s = b;

	return s->lock.held;
}

static status file_audit_maintain(void *b, int64_t *moved)
{
	struct file_store *s = file_enter(b);

	*moved = 0;
	unit_recover(s, false);
	TRY(audit_append(s, NULL, false));
	return audit_sync(s);
}

/* Only when there is something to remove: the log is rewritten as a whole. */
static status file_audit_prune(void *b, int64_t before_ms, int64_t limit, json_object *events, int64_t *removed)
{
	struct file_store *s = file_enter(b);
	status st;

	(void)limit;
	*removed = 0;
	TRY(unit_begin(s));
	st = audit_cut(s, before_ms, events, removed);
	unit_rollback(s);
	return st;
}

static status file_each(void *b, const struct model *m, const struct query *q, document_fn each, void *state)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, m);
	struct selection rows;
	struct table *t;
	void *tmp;
	status st;

	if (c == NULL)
		return audit_scan(s, q, each, state);
	TRY(collection_read(s, c, &t));
	tmp = talloc_new(NULL);
	st = select_places(s, tmp, c, t, q, &rows);
	for (size_t i = 0; st == ST_OK && i < rows.count; i++) {
		void *row = talloc_new(NULL);
		bool more = each(state, element_out(row, c, t->at[rows.places[i]]));

		talloc_free(row);
		if (!more)
			break;
	}
	talloc_free(tmp);
	return st;
}

static bool file_runner_lock(void *b)
{
	struct file_store *s = b;

	return lock_take(&s->runner, 0) == ST_OK;
}

const struct backend backend_file = {
    .name = "files",
    .database = false,
    .ping = file_ping,
    .get = file_get,
    .hint = NULL,
    .list = file_list,
    .count_by = file_count_by,
    .insert = file_insert,
    .update = file_update,
    .remove = file_remove,
    .lock = file_lock,
    .session_find = file_session_find,
    .session_create = file_session_create,
    .session_revoke = file_session_revoke,
    .sessions_revoke_user = file_sessions_revoke_user,
    .access_write = file_access_write,
    .user_create = file_user_create,
    .policies_replace = file_policies_replace,
    .expand = file_expand,
    .credential_find = file_credential_find,
    .node_enroll = file_node_enroll,
    .node_heartbeat = file_node_heartbeat,
    .interface_update = file_interface_update,
    .credential_rotate = file_credential_rotate,
    .health_sync = file_health_sync,
    .commit = file_commit,
    .rollback = file_rollback,
    .dirty = file_dirty,
    .audit_maintain = file_audit_maintain,
    .audit_prune = file_audit_prune,
    .each = file_each,
    .runner_lock = file_runner_lock,
    .metrics = file_metrics,
    .metrics_recordings = file_metrics_recordings,
};
