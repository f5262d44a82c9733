#include "runner/orphans.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "transfer/cache.h"
#include "transfer/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LEFTOVERS_MS 30000        /* between two looks at the leftovers */
#define UNDECIDED_MS (10 * 60000) /* a deletion that was not committed by then never will be */
#define BATCH 200                 /* files that are looked up together */
#define STEPS 20                  /* batches a tick */
#define NAMED_MOST 20             /* files that a sweep names in the log */
#define STRANGE_LEAST 20          /* files from which on a sweep wonders whether it is in the right cache */

static const char *cache_root(const struct app *app)
{
	return config_str(app->config, CFG_RECORDING_CACHE_DIR);
}

/* ---- removing one file ------------------------------------------------------------------------------------------- */

/* True if the recording called id has this file, or (thorough) any. */
static status has_owner(struct app *app, const void *ctx, const char *id, const char *path, bool thorough, bool *owned)
{
	json_object *doc;
	struct query q;
	struct page page;
	status s = store_get(app->store, ctx, &model_recordings, id, &doc);

	*owned = s == ST_OK && text_equal(json_str(doc, "cachePath"), path);
	if ((s != ST_OK && s != ST_NOT_FOUND) || *owned)
		return s;
	if (!thorough)
		return ST_OK;
	query_init(&q);
	query_where(&q, "cachePath", Q_EQ, path);
	q.limit = 1;
	TRY(store_list(app->store, ctx, &model_recordings, &q, &page));
	*owned = page.count > 0;
	return ST_OK;
}

/*
 * Removes a file unless a recording has it; nobody can give it to one meanwhile, because uploads hold the same lock.
 * *removed is true if it is gone, whoever removed it.
 */
static status remove_unowned(struct app *app, const void *ctx, const char *id, const char *path, bool thorough,
                             bool *owned, bool *removed)
{
	const char *reason;
	bool did;
	status s;

	*owned = *removed = false;
	s = store_lock(app->store, mem_printf(ctx, "recording:%s", id));
	if (s == ST_OK)
		s = has_owner(app, ctx, id, path, thorough, owned);
	if (s == ST_OK && !*owned) {
		*removed = cache_remove(ctx, cache_root(app), path, &did, &reason);
		if (!*removed && strcmp(reason, CACHE_OUTSIDE_ROOT) == 0)
			*removed = true; /* none of ours: nothing to wait for */
		else if (!*removed)
			log_debug("%s stays: %s", path, reason);
		else if (did)
			log_info("removed %s, which no recording has", path);
	}
	store_rollback(app->store);
	return s;
}

/* ---- leftovers --------------------------------------------------------------------------------------------------- */

struct settling {
	struct app *app;
	int64_t now_ms;
	status result;
	size_t left;
};

static bool settled(void *arg, const struct leftover *file)
{
	struct settling *x = arg;
	void *ctx = talloc_new(NULL);
	bool owned = true, removed = false;
	bool named = strcmp(cache_path_id(ctx, file->path), file->id) == 0; /* else anybody may have it */

	if (x->result == ST_OK)
		x->result = remove_unowned(x->app, ctx, file->id, file->path, !named, &owned, &removed);
	if (owned && x->result == ST_OK)
		removed = x->now_ms - file->at_ms > UNDECIDED_MS;
	x->left += !removed && !owned;
	talloc_free(ctx);
	return removed;
}

static status settle_leftovers(struct app *app)
{
	static size_t left_before;
	struct settling x = {.app = app, .now_ms = clock_now_ms(), .result = ST_OK};

	if (!leftovers_settle(app->config, settled, &x) && x.result == ST_OK)
		x.result = ST_INTERNAL;
	if (x.left > 0 && x.left != left_before && x.result == ST_OK)
		log_warn("%zu files of deleted recordings cannot be removed yet", x.left);
	left_before = x.left;
	return x.result;
}

/* ---- sweep ------------------------------------------------------------------------------------------------------- */

/* One goes on over many ticks, a few batches each, so that the other passes of the runner are not held up. */
struct sweep {
	struct app *app;
	bool running;
	bool remove;
	bool counting; /* the first of the two rounds of one that removes: is this the right cache at all? */
	size_t folder; /* number of the folder that is read; dir is NULL before its first entry */
	DIR *dir;
	time_t newest; /* files changed later are left alone */
	size_t seen, orphans, removed;
};

struct batch {
	void *ctx;
	const char *paths[BATCH], *ids[BATCH];
	size_t count;
};

static bool owned_by(json_object *docs, const char *id, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *doc = json_object_array_get_idx(docs, i);

		if (text_equal(json_str(doc, "id"), id) && text_equal(json_str(doc, "cachePath"), path))
			return true;
	}
	return false;
}

static status orphan_found(struct sweep *w, const void *ctx, const char *id, const char *path)
{
	bool owned, removed;

	w->orphans++;
	if (w->counting)
		return ST_OK;
	if (!w->remove) {
		if (w->orphans <= NAMED_MOST)
			log_warn("no recording has the file %s", path);
		return ST_OK;
	}
	/* rows made by others may name a file as they like */
	TRY(remove_unowned(w->app, ctx, id, path, true, &owned, &removed));
	w->orphans -= owned;
	w->removed += removed;
	return ST_OK;
}

static status judge(struct sweep *w, struct batch *b)
{
	struct query q;
	struct page page;

	if (b->count == 0)
		return ST_OK;
	query_init(&q);
	query_where_in(&q, "id", b->ids, b->count);
	TRY(store_list(w->app->store, b->ctx, &model_recordings, &q, &page));
	for (size_t i = 0; i < b->count; i++)
		if (!owned_by(page.docs, b->ids[i], b->paths[i]))
			TRY(orphan_found(w, b->ctx, b->ids[i], b->paths[i]));
	return ST_OK;
}

static void look_at(struct sweep *w, const char *name, struct batch *b)
{
	struct stat st;

	/* uploads under way have hidden names */
	if (name[0] == '.' || fstatat(dirfd(w->dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	w->seen++;
	if (st.st_mtime > w->newest || st.st_ctime > w->newest)
		return;
	b->paths[b->count] = mem_printf(b->ctx, "%s/%s", cache_folder(w->folder), name);
	b->ids[b->count] = cache_path_id(b->ctx, b->paths[b->count]);
	b->count++;
}

/* The next files of the folder; the end of it opens the next one. False after the last. */
static bool gather(struct sweep *w, struct batch *b)
{
	struct dirent *entry;

	if (w->dir == NULL)
		w->dir = opendir(mem_printf(b->ctx, "%s/%s", cache_root(w->app), cache_folder(w->folder)));
	while (b->count < BATCH && w->dir != NULL && (entry = readdir(w->dir)) != NULL)
		look_at(w, entry->d_name, b);
	if (b->count == BATCH)
		return true;
	if (w->dir != NULL)
		closedir(w->dir);
	w->dir = NULL;
	w->folder++;
	return cache_folder(w->folder) != NULL;
}

static void begin_round(struct sweep *w)
{
	w->folder = w->seen = w->orphans = w->removed = 0;
	w->dir = NULL;
}

/* A cache most of whose files are nobody's is rather another installation's, or the database is. */
static void end_counting(struct sweep *w)
{
	w->counting = false;
	if (w->seen >= STRANGE_LEAST && w->orphans > w->seen / 2) {
		log_error("%zu of %zu files of the recording cache have no recording: nothing is removed", w->orphans,
		          w->seen);
		w->remove = false;
	}
	begin_round(w);
}

static void end_round(struct sweep *w)
{
	if (w->counting) {
		end_counting(w);
		return;
	}
	w->running = false;
	if (w->orphans > 0)
		log_warn("%zu of %zu cache files have no recording; %zu were removed", w->orphans, w->seen, w->removed);
}

static status step(struct sweep *w)
{
	struct batch b = {.ctx = talloc_new(NULL)};
	bool more = gather(w, &b);
	status s = judge(w, &b);

	talloc_free(b.ctx);
	if (s == ST_OK && !more)
		end_round(w);
	return s;
}

static void begin_sweep(struct sweep *w, struct app *app)
{
	int64_t age = config_int(app->config, CFG_ORPHAN_AGE_SECONDS);

	*w = (struct sweep){.app = app, .running = true, .newest = (time_t)(clock_now_ms() / 1000 - age)};
	w->remove = w->counting = text_equal(config_str(app->config, CFG_ORPHAN_SWEEP), "remove");
	begin_round(w);
}

/* A failure ends the sweep; the next one begins anew. */
static status go_on(struct sweep *w)
{
	status s = ST_OK;

	for (int i = 0; i < STEPS && w->running && s == ST_OK; i++)
		s = step(w);
	if (s != ST_OK) {
		if (w->dir != NULL)
			closedir(w->dir);
		w->running = false;
	}
	return s;
}

status leftovers_tick(struct app *app)
{
	static int64_t due_at;
	int64_t now = clock_mono_ms();

	if (now < due_at)
		return ST_OK;
	due_at = now + LEFTOVERS_MS;
	return settle_leftovers(app);
}

status orphans_tick(struct app *app)
{
	static int64_t sweep_at;
	static struct sweep w;
	int64_t now = clock_mono_ms();

	if (!w.running && now >= sweep_at && !text_equal(config_str(app->config, CFG_ORPHAN_SWEEP), "off")) {
		sweep_at = now + config_int(app->config, CFG_ORPHAN_SWEEP_INTERVAL) * 1000;
		begin_sweep(&w, app);
	}
	return go_on(&w);
}
