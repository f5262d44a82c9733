#include "engine/exposition.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>

void exposition_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct buf *out, const char *value)
{
	for (const char *c = value; *c != '\0'; c++) {
		if (*c == '\n')
			buf_puts(out, "\\n");
		else if (*c == '\\' || *c == '"')
			buf_add(out, (const char[]){'\\', *c}, 2);
		else
			buf_putc(out, (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
	}
}

static void put_series(struct buf *out, const char *name, const struct exposition_label *labels, size_t count)
{
	char separator = '{';

	buf_puts(out, name);
	for (size_t i = 0; i < count; i++) {
		if (labels[i].value == NULL || labels[i].value[0] == '\0')
			continue;
		buf_putc(out, separator);
		buf_puts(out, labels[i].name);
		buf_puts(out, "=\"");
		put_value(out, labels[i].value);
		buf_putc(out, '"');
		separator = ',';
	}
	buf_puts(out, separator == ',' ? "} " : " ");
}

void exposition_sample(struct buf *out, const char *name, const struct exposition_label *labels, size_t count,
                       double value)
{
	json_object *number = isfinite(value) ? json_number(value) : NULL;
	char *text = number != NULL ? json_compact(out->ctx, number, NULL) : NULL;

	put_series(out, name, labels, count);
	buf_printf(out, "%s\n", text != NULL ? text : "NaN");
	talloc_free(text);
	json_object_put(number);
}

void exposition_count(struct buf *out, const char *name, const struct exposition_label *labels, size_t count,
                      int64_t value)
{
	put_series(out, name, labels, count);
	buf_printf(out, "%" PRId64 "\n", value);
}
