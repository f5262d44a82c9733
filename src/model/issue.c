#include "model/issue.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/schema.h"

static json_object *place_json(const struct place *at)
{
	json_object *path = json_object_new_array();
	size_t depth = 0;
	for (const struct place *p = at; p != NULL; p = p->up)
		depth++;
	for (const struct place *p = at; p != NULL; p = p->up)
		json_object_array_put_idx(
		    path, --depth, p->key != NULL ? json_object_new_string(p->key) : json_object_new_int(p->index));
	return path;
}

/* Ends an issue whose leading members are in `issue`: path and message come last everywhere. Takes the reference. */
static enum verdict issue_add(struct check *c, const struct place *at, json_object *issue, const char *message)
{
	c->found++;
	if (json_object_array_length(c->issues) >= MAX_ISSUES) {
		json_object_put(issue);
		return REFUSED;
	}
	json_object_object_add(issue, "path", place_json(at));
	json_set_str(issue, "message", message);
	json_object_array_add(c->issues, issue);
	return REFUSED;
}

const char *issue_type_name(json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "boolean";
	case json_type_double:
	case json_type_int:
		return "number";
	case json_type_string:
		return "string";
	case json_type_array:
		return "array";
	case json_type_object:
		break;
	}
	return "object";
}

enum verdict issue_type(struct check *c, const struct place *at, const char *expected, const char *received,
                        const char *detail)
{
	json_object *issue = json_object_new_object();
	json_set_str(issue, "expected", expected);
	json_set_str(issue, "code", "invalid_type");
	json_set_str_opt(issue, "received", detail);
	return issue_add(c, at, issue,
	                 mem_printf(c->ctx, "Invalid input: expected %s, received %s", expected, received));
}

enum verdict issue_not_integer(struct check *c, const struct place *at)
{
	json_object *issue = json_object_new_object();
	json_set_str(issue, "expected", "int");
	json_set_str(issue, "format", "safeint");
	json_set_str(issue, "code", "invalid_type");
	return issue_add(c, at, issue, "Invalid input: expected int, received number");
}

enum verdict issue_unsafe_integer(struct check *c, const struct place *at, bool below)
{
	double limit = (double)JSON_SAFE_INT;
	json_object *issue = json_object_new_object();
	json_set_str(issue, "code", below ? "too_small" : "too_big");
	json_object_object_add(issue, below ? "minimum" : "maximum", json_number(below ? -limit : limit));
	json_set_str(issue, "note", "Integers must be within the safe integer range.");
	json_set_str(issue, "origin", "int");
	json_set_bool(issue, "inclusive", true);
	return issue_add(c, at, issue,
	                 mem_printf(c->ctx, "Too %s: expected int to be %s%lld", below ? "small" : "big",
	                            below ? ">=-" : "<=", JSON_SAFE_INT));
}

enum verdict issue_bound(struct check *c, const struct place *at, const char *origin, bool below, double bound,
                         bool inclusive)
{
	json_object *issue = json_object_new_object();
	json_set_str(issue, "origin", origin);
	json_set_str(issue, "code", below ? "too_small" : "too_big");
	json_object_object_add(issue, below ? "minimum" : "maximum", json_number(bound));
	json_set_bool(issue, "inclusive", inclusive);
	const char *sign = below ? ">" : "<";
	const char *equal = inclusive ? "=" : "";
	const char *word = below ? "small" : "big";
	const char *text;
	if (strcmp(origin, "number") == 0)
		text = mem_printf(c->ctx, "Too %s: expected number to be %s%s%.15g", word, sign, equal, bound);
	else
		text = mem_printf(c->ctx, "Too %s: expected %s to have %s%s%.0f %s", word, origin, sign, equal, bound,
		                  strcmp(origin, "array") == 0 ? "items" : "characters");
	return issue_add(c, at, issue, text);
}

enum verdict issue_option(struct check *c, const struct place *at, const char *const *values, bool literal)
{
	json_object *list = json_object_new_array();
	struct buf text;
	buf_init(&text, c->ctx);
	buf_puts(&text, literal ? "Invalid input: expected " : "Invalid option: expected one of ");
	for (size_t i = 0; values[i] != NULL && (i == 0 || !literal); i++) {
		json_push_str(list, values[i]);
		buf_printf(&text, "%s\"%s\"", i == 0 ? "" : "|", values[i]);
	}
	json_object *issue = json_object_new_object();
	json_set_str(issue, "code", "invalid_value");
	json_object_object_add(issue, "values", list);
	return issue_add(c, at, issue, text.data);
}

enum verdict issue_format(struct check *c, const struct place *at, const char *format, const char *pattern,
                          const char *message)
{
	json_object *issue = json_object_new_object();
	json_set_str(issue, "origin", "string");
	json_set_str(issue, "code", "invalid_format");
	json_set_str(issue, "format", format);
	json_set_str(issue, "pattern", pattern);
	return issue_add(c, at, issue, message);
}

enum verdict issue_custom(struct check *c, const struct place *at, const char *message)
{
	json_object *issue = json_object_new_object();
	json_set_str(issue, "code", "custom");
	return issue_add(c, at, issue, message);
}

enum verdict issue_unknown_keys(struct check *c, const struct place *at, json_object *keys, const char *list)
{
	bool several = json_object_array_length(keys) > 1;
	json_object *issue = json_object_new_object();
	json_set_str(issue, "code", "unrecognized_keys");
	json_object_object_add(issue, "keys", keys);
	return issue_add(c, at, issue, mem_printf(c->ctx, "Unrecognized key%s: %s", several ? "s" : "", list));
}

void schema_custom_issue(json_object *issues, const char *path, const char *message)
{
	json_object *issue = json_object_new_object();
	json_object *list = json_object_new_array();
	if (path != NULL && *path != '\0')
		json_push_str(list, path);
	json_set_str(issue, "code", "custom");
	json_object_object_add(issue, "path", list);
	json_set_str(issue, "message", message);
	json_object_array_add(issues, issue);
}
