#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "api/csv.h"
#include "base/mem.h"

/* Reads back what was written, as any RFC 4180 reader does; cells is filled row by row. */
static size_t parse(const char *text, char cells[16][64])
{
	size_t count = 0, len = 0;
	bool quoted = false;
	for (const char *p = text;; p++) {
		if (*p == '"' && quoted && p[1] == '"')
			cells[count][len++] = *p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (quoted || (*p != ',' && *p != '\n' && *p != '\0'))
			cells[count][len++] = *p;
		else {
			cells[count++][len] = '\0';
			len = 0;
			if (*p == '\0')
				return count;
		}
	}
}

static void write_rows(struct buf *out, void *mem, enum csv_quoting quoting, const char *const *cells, size_t count)
{
	static const char *const names[] = {"id", "name"};
	struct csv c;
	buf_init(out, mem);
	csv_init(&c, out, quoting);
	csv_header(&c, names, 2);
	csv_row(&c);
	for (size_t i = 0; i < count; i++)
		csv_cell(&c, cells[i]);
}

Test(csv, quoting_when_needed)
{
	static const char *const cells[] = {"plain", "a,b", "say \"x\"", "two\nlines", "cr\rlf", NULL, "a b"};
	void *mem = talloc_new(NULL);
	struct buf out;
	write_rows(&out, mem, CSV_QUOTE_NEEDED, cells, 7);
	cr_expect_str_eq(out.data, "id,name\nplain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\rlf\",,a b");
	talloc_free(mem);
}

Test(csv, quoting_always)
{
	static const char *const cells[] = {"plain", "say \"x\"", NULL};
	void *mem = talloc_new(NULL);
	struct buf out;
	write_rows(&out, mem, CSV_QUOTE_ALWAYS, cells, 3);
	cr_expect_str_eq(out.data, "\"id\",\"name\"\n\"plain\",\"say \"\"x\"\"\",\"\"");
	talloc_free(mem);
}

Test(csv, formulas_are_made_harmless)
{
	static const char *const cells[] = {"=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=1", "'=1"};
	void *mem = talloc_new(NULL);
	for (int always = 0; always < 2; always++) {
		struct buf out;
		char parsed[16][64];
		write_rows(&out, mem, always ? CSV_QUOTE_ALWAYS : CSV_QUOTE_NEEDED, cells, 8);
		cr_assert_eq(parse(out.data, parsed), 10);
		for (size_t i = 0; i < 6; i++) {
			cr_expect_eq(parsed[2 + i][0], '\'', "%s", cells[i]);
			cr_expect_str_eq(parsed[2 + i] + 1, cells[i]);
		}
		cr_expect_str_eq(parsed[8], "a=1");
		cr_expect_str_eq(parsed[9], "'=1");
	}
	talloc_free(mem);
}

Test(csv, any_mixture_reads_back)
{
	static const char alphabet[] = "\",\r\n ab";
	void *mem = talloc_new(NULL);
	srand(7);
	for (int round = 0; round < 2000; round++) {
		char text[5][12], parsed[16][64];
		const char *cells[5];
		for (size_t i = 0; i < 5; i++) {
			size_t n = (size_t)(rand() % 11);
			for (size_t k = 0; k < n; k++)
				text[i][k] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
			text[i][n] = '\0';
			cells[i] = text[i];
		}
		struct buf out;
		write_rows(&out, mem, round % 2 ? CSV_QUOTE_ALWAYS : CSV_QUOTE_NEEDED, cells, 5);
		cr_assert_eq(parse(out.data, parsed), 7);
		for (size_t i = 0; i < 5; i++)
			cr_assert_str_eq(parsed[2 + i] + (text[i][0] == '\r'), text[i]);
	}
	talloc_free(mem);
}

Test(csv, members_and_lists)
{
	void *mem = talloc_new(NULL);
	json_object *doc = NULL;
	const char *text = "{\"s\":\"x\",\"n\":7,\"o\":{\"a\":1},\"z\":null,\"t\":[\"a\",\"b\"],\"r\":[44100,48000]}";
	cr_assert(json_parse(mem, text, strlen(text), &doc));
	struct buf out;
	struct csv c;
	buf_init(&out, mem);
	csv_init(&c, &out, CSV_QUOTE_NEEDED);
	csv_row(&c);
	csv_member(&c, mem, doc, "s");
	csv_member(&c, mem, doc, "n");
	csv_member(&c, mem, doc, "o");
	csv_member(&c, mem, doc, "z");
	csv_member(&c, mem, doc, "missing");
	csv_joined(&c, mem, json_array(doc, "t"), "; ");
	csv_joined(&c, mem, json_array(doc, "r"), "/");
	csv_joined(&c, mem, NULL, "/");
	csv_int(&c, -5);
	csv_bool(&c, true);
	cr_expect_str_eq(out.data, "x,7,\"{\"\"a\"\":1}\",,,a; b,44100/48000,,-5,true");
	talloc_free(mem);
}
