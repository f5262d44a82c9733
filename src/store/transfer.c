/* What import and export have in common: counts, progress, comparing. */
#include "store/transfer.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define PROGRESS_MS 1000
#define COMPLAINTS_MAX 100

/* ---- counts ------------------------------------------------------------------------------------------------------ */

struct transfer_count *transfer_store(struct transfer *t, const char *store)
{
	struct transfer_count *n = &t->counts[t->count++];

	memset(n, 0, sizeof(*n));
	n->store = store;
	return n;
}

void transfer_progress(struct transfer *t, const struct transfer_count *n, int64_t done)
{
	int64_t now = clock_mono_ms();

	if (t->shown_ms == 0)
		t->shown_ms = now;
	if (now < t->shown_ms + PROGRESS_MS)
		return;
	t->shown_ms = now;
	fprintf(t->out, "%s: %lld of %lld\n", n->store, (long long)done,
	        (long long)(n->expected > 0 ? n->expected : n->source));
	fflush(t->out);
}

void transfer_complain(struct transfer *t, const char *store, const char *id, const char *what)
{
	if (t->complaints++ < COMPLAINTS_MAX)
		fprintf(t->out, "%s %s: %s\n", store, id == NULL ? "(no id)" : id, what);
	else if (t->complaints == COMPLAINTS_MAX + 1)
		fprintf(t->out, "further lines of this kind are left out\n");
}

bool transfer_fail(struct transfer *t, const char *what, const char *why)
{
	fprintf(t->out, "%s: %s\n", what, why);
	t->failed = true;
	return false;
}

static bool is_complete(const struct transfer_count *n)
{
	return n->source == n->target && n->different == 0 && n->refused == 0;
}

bool transfer_complete(const struct transfer *t)
{
	bool complete = !t->failed;

	for (size_t i = 0; i < t->count; i++)
		complete = complete && is_complete(&t->counts[i]);
	return complete;
}

void transfer_write_table(const struct transfer *t, FILE *out)
{
	fprintf(out, "%-28s %10s %10s %10s %10s %10s\n", "store", "source", "target", "new", "different", "refused");
	for (size_t i = 0; i < t->count; i++) {
		const struct transfer_count *n = &t->counts[i];

		fprintf(out, "%-28s %10lld %10lld %10lld %10lld %10lld", n->store, (long long)n->source,
		        (long long)n->target, (long long)n->added, (long long)n->different, (long long)n->refused);
		if (!is_complete(n))
			fputs("  MISMATCH", out);
		else if (n->in_place)
			fputs("  (the same file)", out);
		if (n->left > 0)
			fprintf(out, "  (%lld not accepted by any controller)", (long long)n->left);
		fputc('\n', out);
	}
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

void transfer_uuid(char out[37], const char *text)
{
	static const size_t dashes[] = {8, 13, 18, 23};
	size_t n = strlen(text), at = 0;
	char hex[SHA256_HEX_SIZE];
	void *ctx;

	if (n >= 36 && text_is_uuid(text + n - 36)) {
		ctx = talloc_new(NULL);
		memcpy(out, text_lower(ctx, text + n - 36), 37);
		talloc_free(ctx);
		return;
	}
	crypto_sha256_hex(hex, text, n);
	hex[12] = '8'; /* a version for "made by a rule of one's own" */
	hex[16] = 'a';
	for (size_t i = 0, d = 0; i < 36; i++) {
		bool dash = d < 4 && i == dashes[d];

		d += dash;
		out[i] = dash ? '-' : hex[at++];
	}
	out[36] = '\0';
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool same_time(json_object *a, json_object *b)
{
	int64_t x, y;

	return json_is_str(a) && json_is_str(b) && clock_parse(json_object_get_string(a), CLOCK_LENIENT, &x) &&
	       clock_parse(json_object_get_string(b), CLOCK_LENIENT, &y) && x == y;
}

static bool has_item(json_object *array, json_object *item)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (json_same(json_object_array_get_idx(array, i), item))
			return true;
	return false;
}

static bool same_set(json_object *a, json_object *b)
{
	if (!json_object_is_type(a, json_type_array) || !json_object_is_type(b, json_type_array))
		return json_same(a, b);
	for (size_t i = 0; i < json_object_array_length(a); i++)
		if (!has_item(b, json_object_array_get_idx(a, i)))
			return false;
	for (size_t i = 0; i < json_object_array_length(b); i++)
		if (!has_item(a, json_object_array_get_idx(b, i)))
			return false;
	return true;
}

bool transfer_same_value(const struct model *m, const struct model_field *f, json_object *a, json_object *b)
{
	/* What the database fills in, and references to users that are gone, are not contents. */
	bool soft = (f->flags & (M_HIDDEN | M_DEFAULT)) != 0 || f->expr != NULL;

	if (a == NULL && b == NULL)
		return true;
	if (a == NULL || b == NULL)
		return soft || json_object_is_type(a != NULL ? a : b, json_type_null);
	if (f->type == M_TIME)
		return same_time(a, b) || json_same(a, b);
	if (f->type == M_UUID)
		return text_equal_ci(json_object_get_string(a), json_object_get_string(b));
	if (m == &model_users && (f->flags & M_DERIVED))
		return same_set(a, b);
	return json_same(a, b);
}

bool transfer_same(const struct model *m, json_object *a, json_object *b)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct model_field *f = &m->fields[i];

		if (f->constant != NULL || ((f->flags & M_DERIVED) && f->derive != NULL) ||
		    (f->flags & (M_DERIVED | M_HIDDEN)) == (M_DERIVED | M_HIDDEN))
			continue;
		if (!transfer_same_value(m, f, model_value(a, f), model_value(b, f)))
			return false;
	}
	return true;
}
