#include "engine/track_plan.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400
#define FALLBACK "Scheduled Recording"

/* ---- length ------------------------------------------------------------------------------------------------------ */

/* Seconds of "HH:MM" since midnight, -1 if it is no such text. Hours and minutes beyond the clock count as they are. */
static int64_t day_seconds(const char *text)
{
	char *end;
	long hours, minutes;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	hours = strtol(text, &end, 10);
	if (*end != ':' || end[1] < '0' || end[1] > '9' || hours > 99)
		return -1;
	minutes = strtol(end + 1, &end, 10);
	return *end == '\0' && minutes <= 99 ? hours * 3600 + minutes * 60 : -1;
}

int64_t track_run_seconds(json_object *recurrence)
{
	static const char *const modes[] = {"daily", "weekly", "monthly"};
	int64_t start = day_seconds(json_str(recurrence, "startTime")),
	        end = day_seconds(json_str(recurrence, "endTime"));
	int64_t range;
	bool timed = false;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		timed = timed || text_equal(json_str(recurrence, "mode"), modes[i]);
	if (!timed || start < 0 || end < 0)
		return TRACK_SECONDS_UNKNOWN;
	range = end > start ? end - start : end + DAY - start;
	if (range < 1)
		range = 1;
	return range + json_int(recurrence, "startEarlySeconds", 0) + json_int(recurrence, "stopLateSeconds", 0);
}

/* ---- division ---------------------------------------------------------------------------------------------------- */

struct track_plan track_plan(const void *ctx, int64_t run_seconds, int64_t max_seconds)
{
	bool divided = run_seconds > 0 && max_seconds > 0 && run_seconds > max_seconds;
	int64_t n = divided ? (run_seconds - 1) / max_seconds + 1 : 1;
	struct track_plan plan = {.at = mem_array(ctx, struct track, (size_t)n), .count = (size_t)n};

	if (!divided) {
		plan.at[0] = (struct track){.seconds = run_seconds > 0 ? run_seconds : TRACK_SECONDS_UNKNOWN};
		return plan;
	}
	for (int64_t i = 0; i < n; i++) {
		int64_t left = run_seconds - i * max_seconds;

		plan.at[i] = (struct track){.offset_seconds = i * max_seconds,
		                            .seconds = left < max_seconds ? left : max_seconds,
		                            .index = i + 1,
		                            .total = n};
	}
	return plan;
}

/* ---- templates --------------------------------------------------------------------------------------------------- */

static const char *word_value(const struct track_words *w, const char *key)
{
	const struct {
		const char *key, *value;
	} known[] = {{"date", w->date},
	             {"time", w->time},
	             {"timestamp", w->timestamp},
	             {"node.alias", w->node_alias},
	             {"node.hostname", w->node_hostname},
	             {"node.id", w->node_id},
	             {"room", w->room},
	             {"site", w->site},
	             {"schedule.id", w->schedule_id},
	             {"schedule.name", w->schedule_name}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].key, key) == 0)
			return known[i].value;
	return NULL;
}

char *track_render(const void *ctx, const char *template, const struct track_words *words)
{
	struct buf out;

	buf_init(&out, ctx);
	buf_puts(&out, "");
	while (*template != '\0') {
		size_t n = strncmp(template, "{{", 2) == 0 ? strcspn(template + 2, "}") : 0;
		const char *value;

		if (n == 0 || strncmp(template + 2 + n, "}}", 2) != 0) {
			buf_putc(&out, *template ++);
			continue;
		}
		value = word_value(words, text_trim(ctx, mem_strndup(ctx, template + 2, n)));
		if (value != NULL)
			buf_puts(&out, value);
		template += n + 4;
	}
	return out.data;
}

/* ---- safe text --------------------------------------------------------------------------------------------------- */

/* Bytes of the character at s; a broken one is taken as what is left of it. */
static size_t character(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xC0) == 0x80)
		n++;
	return n;
}

/* True for a character of n bytes that ECMAScript calls white space. */
static bool is_space(const char *s, size_t n)
{
	char one[8];

	if (n == 1)
		return *s == ' ' || (*s >= '\t' && *s <= '\r');
	if (n >= sizeof(one))
		return false;
	memcpy(one, s, n);
	one[n] = '\0';
	return text_blank(one);
}

char *track_safe_text(const void *ctx, const char *text)
{
	static const char disliked[] = "<>:\"\\|?*";
	struct buf out;
	char *trimmed;

	buf_init(&out, ctx);
	buf_puts(&out, "");
	while (*text != '\0') {
		size_t n = character(text);

		if (strchr(disliked, *text) != NULL) {
			buf_putc(&out, '-');
			text += strspn(text, disliked);
		} else if (is_space(text, n)) {
			buf_putc(&out, ' ');
			for (; *text != '\0' && is_space(text, character(text)); text += character(text))
				continue;
		} else {
			buf_add(&out, text, n);
			text += n;
		}
	}
	trimmed = text_trim(ctx, out.data);
	return *trimmed != '\0' ? trimmed : mem_strdup(ctx, FALLBACK);
}

char *track_safe_path(const void *ctx, const char *path)
{
	static const char separators[] = "/\\";
	struct buf out;

	buf_init(&out, ctx);
	for (;;) {
		size_t n = strcspn(path, separators);

		buf_puts(&out, track_safe_text(ctx, mem_strndup(ctx, path, n)));
		path += n;
		if (*path == '\0')
			return out.data;
		buf_putc(&out, '/');
		path += strspn(path, separators);
	}
}

char *track_name(const void *ctx, const char *title_template, const struct track_words *words, const struct track *t)
{
	char *name = track_safe_text(ctx, track_render(ctx, title_template, words));

	if (t->total == 0)
		return name;
	return mem_printf(ctx, "%s - Track %" PRId64 " of %" PRId64, name, t->index, t->total);
}

char *track_folder(const void *ctx, const char *folder_template, const struct track_words *words)
{
	return track_safe_path(ctx, track_render(ctx, folder_template, words));
}

json_object *track_tags(const void *ctx, json_object *tags)
{
	json_object *out = json_new_array(ctx);

	for (size_t i = 0; tags != NULL && i < json_object_array_length(tags); i++) {
		json_object *item = json_object_array_get_idx(tags, i);
		char *tag = json_is_str(item) ? text_trim(ctx, json_object_get_string(item)) : NULL;
		bool seen = tag == NULL || *tag == '\0';

		for (size_t k = 0; k < json_object_array_length(out) && !seen; k++)
			seen = text_equal(tag, json_object_get_string(json_object_array_get_idx(out, k)));
		if (!seen)
			json_push_str(out, tag);
	}
	return out;
}
