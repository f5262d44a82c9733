#include "api/list_reply.h"

#include "base/mem.h"

#define SHORT 2000        /* documents that are answered from memory */
#define PIECE (64 * 1024) /* bytes that are gathered before they are sent */

struct list_stream {
	struct request *r;
	struct list_reply list;
	const char *tail; /* what follows the documents */
	bool (*put)(struct request *r, const char *data, size_t n);
	struct buf out;
	bool begun; /* a document has been added */
	bool gone;  /* nobody listens any more */
};

static status count_long(struct request *r, struct list_reply *l)
{
	struct query q = *l->query;
	struct page page;

	q.limit = 0;
	q.want_total = true;
	TRY(store_list(r->store, r->mem, l->model, &q, &page));
	l->data = NULL;
	l->count = l->total = page.total;
	return ST_OK;
}

status list_read(struct request *r, const struct model *m, const struct query *q, struct list_reply *out)
{
	bool whole = q->limit < 0;
	struct query first = *q;
	struct page page;

	*out = (struct list_reply){.model = m, .query = q, .data = json_new_array(r->mem)};
	if (whole)
		first.limit = SHORT + 1;
	first.want_total = !whole;
	TRY(store_list(r->store, r->mem, m, &first, &page));
	if (whole && page.count > SHORT)
		return count_long(r, out);
	out->count = (int64_t)page.count;
	out->total = whole ? out->count : page.total;
	for (size_t i = 0; i < page.count; i++)
		json_push_ref(out->data, model_public(r->mem, m, json_object_array_get_idx(page.docs, i)));
	return ST_OK;
}

static bool send_gathered(struct list_stream *s)
{
	s->gone = s->gone || !s->put(s->r, s->out.data, s->out.len);
	s->out.len = 0;
	return !s->gone;
}

static bool add_document(void *state, json_object *doc)
{
	struct list_stream *s = state;
	void *ctx = talloc_new(NULL);
	size_t n;
	const char *text = json_compact(ctx, model_public(ctx, s->list.model, doc), &n);

	if (s->begun)
		buf_putc(&s->out, ',');
	s->begun = true;
	buf_add(&s->out, text, n);
	talloc_free(ctx);
	return s->out.len < PIECE ? !s->gone : send_gathered(s);
}

static bool produce(struct request *r, bool (*put)(struct request *r, const char *data, size_t n))
{
	struct list_stream *s = r->reply.produce_state;
	const struct list_reply *l = &s->list;
	status st;

	s->put = put;
	buf_puts(&s->out, "{\"data\":[");
	st = l->each != NULL ? l->each(r, l->each_state, add_document, s)
	                     : store_each(r->store, l->model, l->query, add_document, s);
	if (st != ST_OK)
		return false;
	buf_puts(&s->out, s->tail);
	return send_gathered(s);
}

static status send_long(struct request *r, const struct list_reply *l, json_object *meta)
{
	struct list_stream *s = mem_new(r->mem, struct list_stream);

	s->r = r;
	s->list = *l;
	s->tail = meta != NULL ? mem_printf(r->mem, "],\"meta\":%s}", json_compact(r->mem, meta, NULL)) : "]}";
	buf_init(&s->out, r->mem);
	reply_bytes(r, 200, "application/json", "", 0);
	r->reply.kind = REPLY_PRODUCED;
	r->reply.produce = produce;
	r->reply.produce_state = s;
	return ST_OK;
}

status list_send(struct request *r, const struct list_reply *l, json_object *meta)
{
	json_object *body;

	if (l->data == NULL)
		return send_long(r, l, meta);
	body = json_new_object(r->mem);
	json_set_ref(body, "data", l->data);
	json_set_ref(body, "meta", meta);
	return reply_json(r, 200, body);
}
