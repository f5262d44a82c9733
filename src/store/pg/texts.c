/* Searches in the texts that triggers keep of recordings and jobs (sql/0005_library.sql). */
#include "store/pg/pg.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

/* The signs that rakkr_fcgi.packed() leaves out: all of ASCII, and with them the wildcards of LIKE. */
static bool is_sign(char c)
{
	return c >= ' ' && c < 0x7f && strchr(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c) != NULL;
}

static char *packed(const void *ctx, const char *text)
{
	char *out = mem_strdup(ctx, text), *to = out;

	for (; *text != '\0'; text++)
		if (!is_sign(*text))
			*to++ = *text;
	*to = '\0';
	return out;
}

/* Three letters or digits in a row make a trigram. */
bool like_indexable(const char *value)
{
	int run = 0;

	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		bool word = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		/* a character beyond ASCII has several bytes and may be none of a word */
		run = !word ? 0 : c >= 0x80 ? run : run + 1;
		if (run == 3)
			return true;
	}
	return false;
}

struct text_needle text_needle(const void *ctx, const char *value)
{
	const char *folded = text_lower(ctx, param_text(ctx, value)), *short_form = packed(ctx, folded);

	return (struct text_needle){
	    .pattern = like_pattern(ctx, value),
	    .packed = like_indexable(short_form) ? like_pattern(ctx, short_form) : NULL,
	    .gram = text_utf16_len(folded) <= 2 ? folded : NULL,
	};
}

void sql_text_has(struct sql *s, const char *column, const struct text_needle *n, bool indexed)
{
	indexed = indexed && n->packed != NULL;
	if (indexed) {
		sql_printf(s, "(x.%s_packed LIKE ", column);
		sql_param(s, n->packed, "text");
		sql_put(s, " AND ");
	}
	sql_printf(s, "x.%s LIKE ", column);
	sql_param(s, n->pattern, "text");
	sql_put(s, indexed ? ")" : "");
}

void sql_recording_has(struct sql *s, const struct text_needle *n, bool indexed)
{
	sql_put(s, "(");
	sql_text_has(s, "common", n, indexed);
	sql_put(s, " OR ");
	sql_text_has(s, "own", n, indexed);
	sql_put(s, ")");
}

bool sql_text_search(struct sql *s, const struct model *m, const char *text)
{
	struct text_needle n = text_needle(s->text.ctx, text);

	if (!s->texts || strchr(text, '\001') != NULL) /* which divides the texts of a recording */
		return false;
	if (m == &model_jobs) {
		sql_put(s, "t.id IN (SELECT x.id FROM rakkr_fcgi.job_texts x WHERE ");
		sql_text_has(s, "text", &n, true);
	} else if (m == &model_recordings) {
		sql_put(s, "t.id IN (SELECT x.id FROM rakkr_fcgi.recording_texts x WHERE ");
		sql_recording_has(s, &n, true);
	} else {
		return false;
	}
	/* One search, not a look at the text of every row on the way through a list. */
	sql_put(s, " OFFSET 0)");
	return true;
}
