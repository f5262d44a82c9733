#include "engine/tally.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define SEPARATOR '\037'
#define KEY_ROOM 512 /* of keys that need no memory of their own */

/* The labels as a key: in room if they fit, else in memory of ctx. */
static char *join(const void *ctx, char room[KEY_ROOM], const char *const *labels, size_t count)
{
	size_t need = count + 1, at = 0;
	char *key;

	for (size_t i = 0; i < count; i++)
		need += labels[i] == NULL ? 0 : strlen(labels[i]);
	key = need <= KEY_ROOM ? room : mem_array(ctx, char, need);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			key[at++] = SEPARATOR;
		for (const char *s = labels[i]; s != NULL && *s != '\0'; s++)
			key[at++] = *s == SEPARATOR ? ' ' : *s;
	}
	key[at] = '\0';
	return key;
}

static void add_key(json_object *tally, const char *key, int64_t n)
{
	json_object *known;

	if (json_object_object_get_ex(tally, key, &known))
		json_object_set_int64(known, json_object_get_int64(known) + n);
	else
		json_object_object_add(tally, key, json_object_new_int64(n));
}

void tally_add(json_object *tally, const char *const *labels, size_t count, int64_t n)
{
	void *ctx = talloc_new(NULL);
	char room[KEY_ROOM];

	add_key(tally, join(ctx, room, labels, count), n);
	talloc_free(ctx);
}

void tally_merge(json_object *tally, json_object *other)
{
	if (!json_object_is_type(other, json_type_object))
		return;
	json_object_object_foreach(other, key, n)
	{
		if (json_is_int(n))
			add_key(tally, key, json_object_get_int64(n));
	}
}

int64_t tally_get(json_object *tally, const char *const *labels, size_t count)
{
	void *ctx = talloc_new(NULL);
	char room[KEY_ROOM];
	int64_t n = json_int(tally, join(ctx, room, labels, count), 0);

	talloc_free(ctx);
	return n;
}

int64_t tally_sum(json_object *tally)
{
	int64_t sum = 0;

	if (tally == NULL)
		return 0;
	json_object_object_foreach(tally, key, n)
	{
		(void)key;
		sum += json_object_get_int64(n);
	}
	return sum;
}

static int compare(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;

	for (size_t i = 0; i < TALLY_LABELS; i++) {
		int order = strcmp(x->labels[i], y->labels[i]) == 0 ? 0 : text_collate(x->labels[i], y->labels[i]);

		if (order != 0)
			return order;
	}
	return 0;
}

static void split(const void *ctx, const char *key, struct tally_row *row)
{
	char *copy = mem_strdup(ctx, key), *separator;
	size_t i = 0;

	while (i < TALLY_LABELS - 1 && (separator = strchr(copy, SEPARATOR)) != NULL) {
		*separator = '\0';
		row->labels[i++] = copy;
		copy = separator + 1;
	}
	row->labels[i++] = copy;
	while (i < TALLY_LABELS)
		row->labels[i++] = "";
}

struct tally_row *tally_rows(const void *ctx, json_object *tally, size_t *count)
{
	struct tally_row *rows;
	size_t n = 0;

	*count = tally == NULL ? 0 : (size_t)json_object_object_length(tally);
	rows = mem_array(ctx, struct tally_row, *count + 1);
	if (*count == 0)
		return rows;
	json_object_object_foreach(tally, key, value)
	{
		split(rows, key, &rows[n]);
		rows[n++].n = json_object_get_int64(value);
	}
	qsort(rows, n, sizeof(*rows), compare);
	return rows;
}
