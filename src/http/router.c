#include "http/router.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/uri.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SEGMENTS 10
#define MAX_ROUTES 256

/* A row with its path split at the slashes; segments point into the constant path text. */
struct compiled {
	const struct route *route;
	size_t count;
	struct segment {
		const char *at;
		size_t n;
	} segments[MAX_SEGMENTS];
};

static struct compiled table[MAX_ROUTES];
static size_t table_count;

/* Splits path behind its leading slash; false if it has none or too many segments. */
static bool split(const char *path, struct segment *out, size_t *count)
{
	*count = 0;
	if (*path != '/')
		return false;
	do {
		path++;
		if (*count == MAX_SEGMENTS)
			return false;
		out[*count].at = path;
		out[*count].n = strcspn(path, "/");
		path += out[(*count)++].n;
	} while (*path == '/');
	return true;
}

void router_init(void)
{
	if (table_count > 0)
		return;
	for (const struct route *const *t = route_tables; *t != NULL; t++)
		for (const struct route *row = *t; row->method != NULL; row++) {
			struct compiled *c = &table[table_count];

			if (table_count == MAX_ROUTES || !split(row->path, c->segments, &c->count)) {
				log_error("route table: cannot take %s %s", row->method, row->path);
				abort();
			}
			c->route = row;
			table_count++;
		}
}

size_t router_count(void)
{
	return table_count;
}

const struct route *router_row(size_t i)
{
	return table[i].route;
}

static bool method_matches(const char *row, const char *method)
{
	return strcmp(row, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(row, "GET") == 0);
}

static bool path_matches(const struct compiled *c, const struct segment *path, size_t count)
{
	if (c->count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &c->segments[i];

		if (s->n > 0 && s->at[0] == ':') {
			if (path[i].n == 0)
				return false;
		} else if (s->n != path[i].n || memcmp(s->at, path[i].at, s->n) != 0) {
			return false;
		}
	}
	return true;
}

static void take_params(struct request *r, const struct compiled *c, const struct segment *path)
{
	r->param_count = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct segment *s = &c->segments[i];

		if (s->n == 0 || s->at[0] != ':' || r->param_count == sizeof(r->params) / sizeof(r->params[0]))
			continue;
		r->params[r->param_count].name = mem_strndup(r->mem, s->at + 1, s->n - 1);
		r->params[r->param_count++].value = uri_decode(r->mem, path[i].at, path[i].n, false);
	}
}

const struct route *router_match(struct request *r, const char *path, size_t *from)
{
	struct segment segments[MAX_SEGMENTS];
	size_t count;

	if (!split(path, segments, &count))
		return NULL;
	for (size_t i = *from; i < table_count; i++)
		if (method_matches(table[i].route->method, r->method) && path_matches(&table[i], segments, count)) {
			take_params(r, &table[i], segments);
			*from = i + 1;
			return table[i].route;
		}
	return NULL;
}
