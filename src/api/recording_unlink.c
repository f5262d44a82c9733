#include "api/recording_unlink.h"

#include "api/recording_lookup.h"
#include "base/log.h"
#include "base/mem.h"
#include "transfer/cache.h"
#include "transfer/leftovers.h"

void unlink_add(struct request *r, struct unlink_list *l, const char *id, const char *path)
{
	if (path == NULL || path[0] == '\0')
		return;
	l->at = mem_grow(r->mem, l->at, struct unlink_file, l->count + 1);
	l->at[l->count++] = (struct unlink_file){.id = id, .path = path};
}

void unlink_note(struct request *r, const struct unlink_list *l)
{
	struct leftover *files = mem_array(r->mem, struct leftover, l->count);

	for (size_t i = 0; i < l->count; i++)
		files[i] = (struct leftover){.id = l->at[i].id, .path = l->at[i].path, .at_ms = r->now_ms};
	leftovers_add(r->config, files, l->count);
}

void unlink_now(struct request *r, const struct unlink_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const char *reason;
		bool removed;

		if (!cache_remove(r->mem, config_str(r->config, CFG_RECORDING_CACHE_DIR), l->at[i].path, &removed,
		                  &reason))
			log_warn("cache file %s of recording %s stays for now: %s", l->at[i].path, l->at[i].id, reason);
	}
}

status unlink_with_commit(struct request *r, const struct unlink_list *l)
{
	unlink_note(r, l);
	TRY(recording_commit(r));
	unlink_now(r, l);
	return ST_OK;
}
