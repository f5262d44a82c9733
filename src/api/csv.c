#include "api/csv.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define PIECE 65536

void csv_init(struct csv *c, struct buf *out, enum csv_quoting quoting)
{
	c->out = out;
	c->quoting = quoting;
	c->row_empty = true;
	c->begun = false;
}

void csv_sent(struct csv *c)
{
	c->begun = c->begun || c->out->len > 0;
	c->out->len = 0;
}

void csv_row(struct csv *c)
{
	if (c->out->len > 0 || c->begun)
		buf_putc(c->out, '\n');
	c->row_empty = true;
}

static bool looks_like_formula(const char *text)
{
	return *text != '\0' && strchr("=+-@\t\r", *text) != NULL;
}

static void add_quoted(struct csv *c, const char *text)
{
	for (const char *quote = strchr(text, '"'); quote != NULL; quote = strchr(text, '"')) {
		buf_add(c->out, text, (size_t)(quote - text) + 1);
		buf_putc(c->out, '"');
		text = quote + 1;
	}
	buf_puts(c->out, text);
}

static void add_cell(struct csv *c, const char *text, bool formula)
{
	if (!c->row_empty)
		buf_putc(c->out, ',');
	c->row_empty = false;
	bool quoted = c->quoting == CSV_QUOTE_ALWAYS || strpbrk(text, "\",\r\n") != NULL;
	if (quoted)
		buf_putc(c->out, '"');
	if (formula)
		buf_putc(c->out, '\'');
	add_quoted(c, text);
	if (quoted)
		buf_putc(c->out, '"');
}

void csv_cell(struct csv *c, const char *text)
{
	if (text == NULL)
		text = "";
	add_cell(c, text, looks_like_formula(text));
}

void csv_int(struct csv *c, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRId64, value);
	add_cell(c, text, false);
}

void csv_bool(struct csv *c, bool value)
{
	add_cell(c, value ? "true" : "false", false);
}

void csv_member(struct csv *c, const void *ctx, json_object *doc, const char *key)
{
	json_object *value = json_get(doc, key);
	if (value == NULL || json_is_str(value))
		csv_cell(c, value != NULL ? json_object_get_string(value) : NULL);
	else
		add_cell(c, json_compact(ctx, value, NULL), false);
}

void csv_joined(struct csv *c, const void *ctx, json_object *array, const char *separator)
{
	struct buf text;
	buf_init(&text, ctx);
	size_t count = array != NULL ? json_object_array_length(array) : 0;
	for (size_t i = 0; i < count; i++) {
		const char *item = json_object_get_string(json_object_array_get_idx(array, i));
		if (i > 0)
			buf_puts(&text, separator);
		buf_puts(&text, item != NULL ? item : "");
	}
	csv_cell(c, text.len > 0 ? text.data : NULL);
}

void csv_header(struct csv *c, const char *const *names, size_t count)
{
	csv_row(c);
	for (size_t i = 0; i < count; i++)
		csv_cell(c, names[i]);
}

static void add_attachment(struct request *r, const char *file_name, bool no_store)
{
	reply_header(r, "Content-Disposition", mem_printf(r->mem, "attachment; filename=\"%s\"", file_name));
	if (no_store)
		reply_header(r, "Cache-Control", "no-store");
}

status csv_reply(struct request *r, const char *file_name, const struct buf *document, bool no_store)
{
	add_attachment(r, file_name, no_store);
	return reply_bytes(r, 200, "text/csv; charset=utf-8", document->len > 0 ? document->data : "", document->len);
}

static bool send_gathered(struct csv_stream *s)
{
	s->gone = s->gone || !s->put(s->r, s->out.data, s->out.len);
	csv_sent(&s->csv);
	return !s->gone;
}

bool csv_stream_row(struct csv_stream *s)
{
	return s->out.len < PIECE ? !s->gone : send_gathered(s);
}

static bool produce(struct request *r, bool (*put)(struct request *r, const char *data, size_t n))
{
	struct csv_stream *s = r->reply.produce_state;

	s->put = put;
	return s->rows(s, s->state) == ST_OK && send_gathered(s);
}

status csv_stream_reply(struct request *r, const char *file_name, bool no_store, enum csv_quoting quoting,
                        const char *const *names, size_t count, status (*rows)(struct csv_stream *s, void *state),
                        void *state)
{
	struct csv_stream *s = mem_new(r->mem, struct csv_stream);

	s->r = r;
	s->rows = rows;
	s->state = state;
	buf_init(&s->out, r->mem);
	csv_init(&s->csv, &s->out, quoting);
	csv_header(&s->csv, names, count);
	add_attachment(r, file_name, no_store);
	reply_bytes(r, 200, "text/csv; charset=utf-8", "", 0);
	r->reply.kind = REPLY_PRODUCED;
	r->reply.produce = produce;
	r->reply.produce_state = s;
	return ST_OK;
}

const char *csv_file_name(struct request *r, const char *stem, bool dot_too)
{
	char now[CLOCK_ISO_SIZE];
	clock_iso(now, r->now_ms);
	for (char *p = now; *p != '\0'; p++)
		if (*p == ':' || (dot_too && *p == '.'))
			*p = '-';
	return mem_printf(r->mem, "%s-%s.csv", stem, now);
}
