#include "access/scope_cache.h"

#include "access/expand.h"
#include "access/world.h"
#include "base/mem.h"

struct scope_cache {
	struct store *store;
	const struct principal *who;
	json_object *known; /* "type id" -> verdict */
	struct world world;
	bool open;
};

struct scope_cache *scope_cache_new(const void *ctx, struct store *s, const struct principal *p)
{
	struct scope_cache *c = mem_new(ctx, struct scope_cache);

	c->store = s;
	c->who = p;
	c->known = json_new_object(c);
	return c;
}

static const char *key_of(const void *tmp, const struct target *t)
{
	return mem_printf(tmp, "%s %s", t->type, t->id);
}

static void remember(struct scope_cache *c, const char *key, enum scope_verdict v)
{
	json_set_int(c->known, key, v);
}

/* Decides what needs no parents; the others go to open, *count of them. */
static struct target *undecided(struct scope_cache *c, const void *tmp, const struct target *targets, size_t all,
                                size_t *count)
{
	struct target *open = mem_array(tmp, struct target, all + 1);

	*count = 0;
	for (size_t i = 0; i < all; i++) {
		const struct target *t = &targets[i];
		enum scope_verdict v;
		const char *key;

		if (t->id == NULL || t->id[0] == '\0' || json_has(c->known, key = key_of(tmp, t)))
			continue;
		if (principal_scope_alone(c->who, t, &v))
			remember(c, key, v);
		else
			open[(*count)++] = *t;
	}
	return open;
}

static status decide_with_parents(struct scope_cache *c, const void *tmp, const struct target *open, size_t count)
{
	if (count == 0)
		return ST_OK;
	if (!c->open)
		TRY(world_open(c, c->store, c->who, &c->world));
	c->open = true;
	TRY(world_load(tmp, c->store, &c->world, open, count));
	for (size_t i = 0; i < count; i++) {
		struct targets expanded = {0};

		world_expand(tmp, &c->world, open[i].type, open[i].id, &expanded);
		remember(c, key_of(tmp, &open[i]), scope_decide(&c->who->scope, expanded.at, expanded.count));
	}
	return ST_OK;
}

status scope_cache_decide(struct scope_cache *c, const void *tmp, const struct target *targets, size_t count,
                          enum scope_verdict *verdicts)
{
	size_t open_count;
	const struct target *open = undecided(c, tmp, targets, count, &open_count);

	TRY(decide_with_parents(c, tmp, open, open_count));
	for (size_t i = 0; i < count; i++) {
		if (targets[i].id == NULL || targets[i].id[0] == '\0')
			verdicts[i] = scope_decide(&c->who->scope, NULL, 0);
		else
			verdicts[i] = (enum scope_verdict)json_int(c->known, key_of(tmp, &targets[i]), SCOPE_MISSING);
	}
	return ST_OK;
}
