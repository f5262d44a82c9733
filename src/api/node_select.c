#include "api/node_select.h"

#include "api/csv.h"
#include "api/list_reply.h"
#include "api/node_filter.h"
#include "api/node_lookup.h"
#include "base/mem.h"

#define FEW 2000 /* nodes that are answered from memory */

struct matching {
	struct request *r;
	const struct node_selection *selection;
	document_fn each; /* NULL: only counted */
	void *state;
	int64_t count;
};

static bool match(void *state, json_object *node)
{
	struct matching *m = state;
	void *ctx = talloc_new(NULL);
	bool more = true;

	if (node_matches(ctx, node, m->selection->filters)) {
		m->count++;
		more = m->each == NULL || m->each(m->state, node);
	}
	talloc_free(ctx);
	return more;
}

static status each_matching(struct request *r, void *selection, document_fn each, void *state)
{
	struct matching m = {.r = r, .selection = selection, .each = each, .state = state};

	return node_each_visible(r, match, &m);
}

status node_select(struct request *r, json_object *filters, struct node_selection **out)
{
	struct node_selection *s = mem_new(r->mem, struct node_selection);
	struct matching counted = {.r = r, .selection = s};
	json_object *nodes;

	*out = s;
	s->filters = filters;
	TRY(node_list_visible_few(r, FEW, &nodes));
	if (nodes != NULL) {
		s->nodes = node_filter(r->mem, nodes, filters);
		s->count = (int64_t)json_object_array_length(s->nodes);
		return ST_OK;
	}
	TRY(node_each_visible(r, match, &counted));
	s->count = counted.count;
	return ST_OK;
}

status node_select_json(struct request *r, const struct node_selection *s)
{
	const struct list_reply list = {
	    .model = &model_nodes, .data = s->nodes, .each = each_matching, .each_state = (void *)s};

	return list_send(r, &list, NULL);
}

static bool add_row(void *state, json_object *node)
{
	struct csv_stream *s = state;
	void *ctx = talloc_new(NULL);

	node_csv_row(&s->csv, ctx, node);
	talloc_free(ctx);
	return csv_stream_row(s);
}

static status add_rows(struct csv_stream *s, void *selection)
{
	return each_matching(s->r, selection, add_row, s);
}

status node_select_csv(struct request *r, struct node_selection *s)
{
	if (s->nodes != NULL)
		return node_csv_reply(r, s->nodes);
	return csv_stream_reply(r, csv_file_name(r, "rakkr-nodes", false), true, CSV_QUOTE_NEEDED, node_csv_columns,
	                        NODE_CSV_COLUMNS, add_rows, s);
}
