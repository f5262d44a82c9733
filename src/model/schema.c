#include "model/schema.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/format.h"
#include "model/issue.h"

static const char date_time_pattern_z[] = "/^\\d{4}-\\d{2}-\\d{2}T([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d+)?)?Z$/";
static const char date_time_pattern_offset[] =
    "/^\\d{4}-\\d{2}-\\d{2}T([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d+)?)?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$/";

/* The field's extra rule on a value of the right type. */
static void apply_rule(struct check *c, const struct schema_field *f, const struct place *at, json_object *value)
{
	const char *message = f->rule != NULL ? f->rule(value) : NULL;
	if (message != NULL)
		issue_custom(c, at, message);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static bool holds_nul(json_object *s)
{
	return strlen(json_object_get_string(s)) != (size_t)json_object_get_string_len(s);
}

static void check_length(struct check *c, const struct schema_field *f, const struct place *at, const char *text)
{
	size_t units = text_utf16_len(text);
	if ((double)units < f->min)
		issue_bound(c, at, "string", true, f->min, true);
	if (f->max > 0 && (double)units > f->max)
		issue_bound(c, at, "string", false, f->max, true);
}

/* Form and length of a text; *text may be replaced by its canonical form. */
static void check_form(struct check *c, const struct schema_field *f, const struct place *at, const char **text)
{
	int64_t ms;
	bool zulu = f->flags & S_ZULU;
	switch (f->type) {
	case V_EMAIL:
		if (!email_valid(*text))
			issue_format(c, at, "email", email_pattern, "Invalid email address");
		check_length(c, f, at, *text);
		break;
	case V_ISO:
		if (!clock_parse(*text, zulu ? CLOCK_ISO_Z : CLOCK_ISO_OFFSET, &ms))
			issue_format(c, at, "datetime", zulu ? date_time_pattern_z : date_time_pattern_offset,
			             "Invalid ISO datetime");
		break;
	case V_DATE:
		if (clock_parse(*text, CLOCK_LENIENT, &ms))
			*text = clock_iso_dup(c->ctx, ms);
		else
			issue_custom(c, at, f->message != NULL ? f->message : "Expected an ISO date/time value");
		break;
	default:
		check_length(c, f, at, *text);
		break;
	}
}

static enum verdict check_text(struct check *c, const struct schema_field *f, const struct place *at, json_object *in,
                               json_object **out)
{
	if (!json_is_str(in))
		return issue_type(c, at, "string", issue_type_name(in), NULL);
	if (holds_nul(in))
		return issue_custom(c, at, "Invalid string: must not contain U+0000");
	const char *given = json_object_get_string(in);
	const char *text = f->flags & S_TRIM ? text_trim(c->ctx, given) : given;
	size_t before = c->found;
	check_form(c, f, at, &text);
	json_object *value = strcmp(text, given) == 0 ? json_object_get(in) : json_object_new_string(text);
	apply_rule(c, f, at, value);
	if (c->found != before) {
		json_object_put(value);
		return REFUSED;
	}
	*out = value;
	return ACCEPTED;
}

static enum verdict check_option(struct check *c, const struct schema_field *f, const struct place *at, json_object *in,
                                 json_object **out)
{
	bool literal = f->type == V_LITERAL;
	if (!json_is_str(in) || holds_nul(in))
		return issue_option(c, at, f->values, literal);
	const char *text = json_object_get_string(in);
	if (f->flags & S_TRIM)
		text = text_trim(c->ctx, text);
	for (size_t i = 0; f->values[i] != NULL && (i == 0 || !literal); i++) {
		if (strcmp(f->values[i], text) != 0)
			continue;
		*out = json_object_new_string(text);
		size_t before = c->found;
		apply_rule(c, f, at, *out);
		if (c->found == before)
			return ACCEPTED;
		json_object_put(*out);
		return REFUSED;
	}
	return issue_option(c, at, f->values, literal);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* 02 1.5: a JSON value as JavaScript converts it; NaN where it cannot. */
static double coerce(json_object *in)
{
	double value;
	switch (json_object_get_type(in)) {
	case json_type_null:
		return 0;
	case json_type_boolean:
		return json_object_get_boolean(in) ? 1 : 0;
	case json_type_int:
	case json_type_double:
		return json_object_get_double(in);
	case json_type_string:
		return !holds_nul(in) && js_number(json_object_get_string(in), &value) ? value : NAN;
	case json_type_array:
		if (json_object_array_length(in) == 0)
			return 0;
		return json_object_array_length(in) == 1 ? coerce(json_object_array_get_idx(in, 0)) : NAN;
	case json_type_object:
		break;
	}
	return NAN;
}

static void check_range(struct check *c, const struct schema_field *f, const struct place *at, double value)
{
	if (f->type == V_INT && fabs(value) > (double)JSON_SAFE_INT)
		issue_unsafe_integer(c, at, value < 0);
	if (f->flags & S_POSITIVE) {
		if (value <= 0)
			issue_bound(c, at, "number", true, 0, false);
	} else if (value < f->min) {
		issue_bound(c, at, "number", true, f->min, true);
	}
	if (f->max > f->min && value > f->max)
		issue_bound(c, at, "number", false, f->max, true);
}

static enum verdict check_number(struct check *c, const struct schema_field *f, const struct place *at, json_object *in,
                                 json_object **out)
{
	bool convert = c->query || (f->flags & S_COERCE);
	if (!convert && !json_is_num(in))
		return issue_type(c, at, "number", issue_type_name(in), NULL);
	double value = convert ? coerce(in) : json_object_get_double(in);
	if (isnan(value))
		return issue_type(c, at, "number", "NaN", "NaN");
	if (isinf(value))
		return issue_type(c, at, "number", "number", "Infinity");
	if (f->type == V_INT && value != trunc(value))
		return issue_not_integer(c, at);
	size_t before = c->found;
	check_range(c, f, at, value);
	json_object *number = json_number(value);
	apply_rule(c, f, at, number);
	if (c->found != before) {
		json_object_put(number);
		return REFUSED;
	}
	*out = number;
	return ACCEPTED;
}

static enum verdict check_bool(struct check *c, const struct schema_field *f, const struct place *at, json_object *in,
                               json_object **out)
{
	if (c->query && json_is_str(in)) {
		const char *text = json_object_get_string(in);
		bool yes = strcmp(text, "true") == 0;
		if (!yes && strcmp(text, "false") != 0)
			return issue_type(c, at, "boolean", "string", NULL);
		*out = json_object_new_boolean(yes);
		return ACCEPTED;
	}
	if (json_object_get_type(in) != json_type_boolean)
		return issue_type(c, at, "boolean", issue_type_name(in), NULL);
	size_t before = c->found;
	apply_rule(c, f, at, in);
	if (c->found != before)
		return REFUSED;
	*out = json_object_get(in);
	return ACCEPTED;
}

/* ---- objects and arrays ------------------------------------------------------------------------------------------ */

/* Depth of the recursion: that of the tables, or at most JSON_MAX_DEPTH in clean(). */
static enum verdict check_field(struct check *c, const struct schema_field *f, const struct place *at, bool given,
                                json_object *in, json_object **out);

static void check_unknown_keys(struct check *c, const struct schema *s, const struct place *at, json_object *in)
{
	json_object *keys = NULL;
	struct buf list;
	buf_init(&list, c->ctx);
	json_object_object_foreach(in, key, value)
	{
		(void)value;
		size_t i = 0;
		while (i < s->count && strcmp(s->fields[i].name, key) != 0)
			i++;
		if (i < s->count)
			continue;
		if (keys == NULL)
			keys = json_object_new_array();
		buf_printf(&list, "%s\"%s\"", json_object_array_length(keys) == 0 ? "" : ", ", key);
		json_push_str(keys, key);
	}
	if (keys == NULL)
		return;
	issue_unknown_keys(c, at, keys, list.data);
}

static enum verdict check_object(struct check *c, const struct schema *s, unsigned flags, const struct place *at,
                                 json_object *in, json_object **out)
{
	if (json_object_get_type(in) != json_type_object)
		return issue_type(c, at, "object", issue_type_name(in), NULL);
	size_t before = c->found;
	json_object *object = json_object_new_object();
	for (size_t i = 0; i < s->count; i++) {
		const struct schema_field *f = &s->fields[i];
		struct place here = {at, f->name, 0};
		json_object *member = NULL, *value = NULL;
		bool given = json_object_object_get_ex(in, f->name, &member);
		if (check_field(c, f, &here, given, member, &value) == ACCEPTED)
			json_object_object_add(object, f->name, value);
	}
	if ((s->flags | flags) & S_STRICT)
		check_unknown_keys(c, s, at, in);
	if (c->found == before && s->rule != NULL) {
		const char *message = s->rule(object);
		if (message != NULL)
			issue_custom(c, at, message);
	}
	if (c->found != before) {
		json_object_put(object);
		return REFUSED;
	}
	*out = object;
	return ACCEPTED;
}

static enum verdict check_sub_object(struct check *c, const struct schema_field *f, const struct place *at,
                                     json_object *in, json_object **out)
{
	if (check_object(c, f->sub, f->flags, at, in, out) != ACCEPTED)
		return REFUSED;
	size_t before = c->found;
	apply_rule(c, f, at, *out);
	if (c->found == before)
		return ACCEPTED;
	json_object_put(*out);
	return REFUSED;
}

static enum verdict check_array(struct check *c, const struct schema_field *f, const struct place *at, json_object *in,
                                json_object **out)
{
	if (json_object_get_type(in) != json_type_array)
		return issue_type(c, at, "array", issue_type_name(in), NULL);
	size_t before = c->found, count = json_object_array_length(in);
	json_object *array = json_object_new_array();
	for (size_t i = 0; i < count && c->found < MAX_ISSUES; i++) {
		struct place here = {at, NULL, (int)i};
		json_object *value = NULL;
		if (check_field(c, f->item, &here, true, json_object_array_get_idx(in, i), &value) == ACCEPTED)
			json_object_array_add(array, value);
	}
	if ((double)count < f->min)
		issue_bound(c, at, "array", true, f->min, true);
	if (f->max > 0 && (double)count > f->max)
		issue_bound(c, at, "array", false, f->max, true);
	if (c->found == before)
		apply_rule(c, f, at, array);
	if (c->found != before) {
		json_object_put(array);
		return REFUSED;
	}
	*out = array;
	return ACCEPTED;
}

/* Copy of any JSON value without U+0000 in its strings (keys cannot hold it). The caller owns the reference. */
static json_object *clean(json_object *in)
{
	if (json_is_str(in) && holds_nul(in)) {
		const char *text = json_object_get_string(in);
		size_t n = (size_t)json_object_get_string_len(in);
		struct buf kept;
		buf_init(&kept, NULL);
		for (size_t i = 0; i < n; i++)
			if (text[i] != '\0')
				buf_putc(&kept, text[i]);
		json_object *value = json_object_new_string_len(kept.len > 0 ? kept.data : "", (int)kept.len);
		talloc_free(kept.data);
		return value;
	}
	if (json_object_get_type(in) == json_type_array) {
		size_t count = json_object_array_length(in);
		json_object *array = json_object_new_array();
		for (size_t i = 0; i < count; i++)
			json_object_array_add(array, clean(json_object_array_get_idx(in, i)));
		return array;
	}
	if (json_object_get_type(in) == json_type_object) {
		json_object *object = json_object_new_object();
		json_object_object_foreach(in, key, value) json_object_object_add(object, key, clean(value));
		return object;
	}
	return json_object_get(in);
}

static enum verdict check_any_object(struct check *c, const struct schema_field *f, const struct place *at,
                                     json_object *in, json_object **out)
{
	if (json_object_get_type(in) != json_type_object)
		return issue_type(c, at, "object", issue_type_name(in), NULL);
	size_t before = c->found;
	*out = clean(in);
	apply_rule(c, f, at, *out);
	if (c->found == before)
		return ACCEPTED;
	json_object_put(*out);
	return REFUSED;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static enum verdict missing(struct check *c, const struct schema_field *f, const struct place *at, json_object **out)
{
	if (f->dflt != NULL) {
		json_object *value = NULL;
		if (!json_parse(c->ctx, f->dflt, strlen(f->dflt), &value))
			return issue_custom(c, at, "Invalid default");
		/* The parsed default belongs to the arena; the result shares it. */
		*out = json_object_get(value);
		return ACCEPTED;
	}
	if (!(f->flags & S_REQUIRED))
		return ABSENT;
	switch (f->type) {
	case V_ENUM:
	case V_LITERAL:
		return issue_option(c, at, f->values, f->type == V_LITERAL);
	case V_INT:
	case V_NUM:
		if (c->query || (f->flags & S_COERCE))
			return issue_type(c, at, "number", "NaN", "NaN");
		return issue_type(c, at, "number", "undefined", NULL);
	case V_BOOL:
		return issue_type(c, at, "boolean", "undefined", NULL);
	case V_OBJECT:
	case V_ANY_OBJECT:
		return issue_type(c, at, "object", "undefined", NULL);
	case V_ARRAY:
		return issue_type(c, at, "array", "undefined", NULL);
	case V_STR:
	case V_EMAIL:
	case V_ISO:
	case V_DATE:
		break;
	}
	return issue_type(c, at, "string", "undefined", NULL);
}

static enum verdict check_field(struct check *c, const struct schema_field *f, const struct place *at, bool given,
                                json_object *in, json_object **out)
{
	if (given && (f->flags & S_LENIENT_TYPE) && !json_is_str(in))
		given = false;
	if (given && (f->flags & S_BLANK_ABSENT) && json_is_str(in) && !holds_nul(in) &&
	    text_blank(json_object_get_string(in)))
		given = false;
	if (!given)
		return missing(c, f, at, out);
	if (in == NULL && (f->flags & S_NULLABLE)) {
		*out = NULL;
		return ACCEPTED;
	}
	switch (f->type) {
	case V_STR:
	case V_EMAIL:
	case V_ISO:
	case V_DATE:
		return check_text(c, f, at, in, out);
	case V_ENUM:
	case V_LITERAL:
		return check_option(c, f, at, in, out);
	case V_INT:
	case V_NUM:
		return check_number(c, f, at, in, out);
	case V_BOOL:
		return check_bool(c, f, at, in, out);
	case V_OBJECT:
		return check_sub_object(c, f, at, in, out);
	case V_ANY_OBJECT:
		return check_any_object(c, f, at, in, out);
	case V_ARRAY:
		return check_array(c, f, at, in, out);
	}
	return REFUSED;
}

static bool run(const void *ctx, const struct schema *s, bool query, json_object *in, json_object **out,
                json_object **issues)
{
	struct check c = {.ctx = ctx, .issues = json_new_array(ctx), .query = query};
	json_object *value = NULL;
	bool ok = check_object(&c, s, 0, NULL, in, &value) == ACCEPTED;
	*out = ok ? json_own(ctx, value) : NULL;
	if (issues != NULL)
		*issues = c.issues;
	return ok;
}

bool schema_check(const void *ctx, const struct schema *s, json_object *in, json_object **out, json_object **issues)
{
	return run(ctx, s, false, in, out, issues);
}

bool schema_check_query(const void *ctx, const struct schema *s, json_object *query, json_object **out,
                        json_object **issues)
{
	return run(ctx, s, true, query, out, issues);
}
