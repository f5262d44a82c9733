#include "process/values.h"

#include "access/policy.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/permission.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct values {
	const struct config *config;
	void *mem;
	FILE *out;
	int problems;
};

static void __attribute__((format(printf, 3, 4))) say(struct values *v, enum config_key key, const char *fmt, ...)
{
	va_list ap;

	fprintf(v->out, "%s=%s ", config_name(key), config_str(v->config, key));
	va_start(ap, fmt);
	vfprintf(v->out, fmt, ap);
	va_end(ap);
	fputc('\n', v->out);
	v->problems++;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static const struct {
	enum config_key key;
	const char *words[5]; /* the first one counts in place of others */
} choices[] = {
    {CFG_LOG_LEVEL, {"info", "error", "warn", "debug"}},
    {CFG_AUDIT_READS, {"relaxed", "strict"}},
    {CFG_PASSWORD_FORMAT, {"argon2id", "scrypt"}},
    {CFG_ORPHAN_SWEEP, {"log", "remove", "off"}},
};

static void check_choice(struct values *v, enum config_key key, const char *const words[5])
{
	const char *value = config_str(v->config, key);
	char *known = mem_strdup(v->mem, words[0]);

	for (size_t i = 0; i < 5 && words[i] != NULL; i++) {
		if (strcmp(words[i], value) == 0)
			return;
		if (i > 0)
			known = mem_printf(v->mem, "%s, %s", known, words[i]);
	}
	say(v, key, "is none of %s: %s counts", known, words[0]);
}

static void check_switches(struct values *v)
{
	for (enum config_key k = 0; k < CFG_KEY_COUNT; k++) {
		const char *value = config_str(v->config, k);

		if (config_is_switch(k) && config_given(v->config, k) && strcmp(value, "0") != 0 &&
		    strcmp(value, "1") != 0)
			say(v, k, "is neither 0 nor 1: it counts as %d", config_on(v->config, k));
	}
}

static void check_oidc_switch(struct values *v)
{
	static const char *const words[] = {"1", "on", "true", "yes", "0", "off", "false", "no", ""};
	const char *value = config_str(v->config, CFG_OIDC_ENABLED);
	char *lower = value == NULL ? NULL : text_lower(v->mem, text_trim(v->mem, value));

	for (size_t i = 0; lower != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(lower, words[i]) == 0)
			return;
	if (lower != NULL)
		say(v, CFG_OIDC_ENABLED, "is neither on nor off: it counts as off");
}

static void check_level(struct values *v)
{
	const char *value = config_str(v->config, CFG_DEMO_METER_DBFS);
	char *end;
	double level;

	if (text_blank(value))
		return;
	level = strtod(value, &end);
	if (!text_blank(end) || !(level >= -160 && level <= 24))
		say(v, CFG_DEMO_METER_DBFS, "is not a number from -160 to 24");
}

/* ---- the built-in administrator ---------------------------------------------------------------------------------- */

/* The value as JSON of that type; NULL if it is something else, which is a problem. */
static json_object *json_of(struct values *v, enum config_key key, json_type type, const char *what)
{
	const char *value = config_str(v->config, key);
	json_object *parsed = NULL;

	if (json_parse(v->mem, value, strlen(value), &parsed) && json_object_is_type(parsed, type))
		return parsed;
	say(v, key, "is no JSON %s", what);
	return NULL;
}

static bool all_texts(json_object *array)
{
	if (!json_object_is_type(array, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (!json_is_str(json_object_array_get_idx(array, i)))
			return false;
	return true;
}

/* A comma list, or words; or a JSON array if it begins like one. */
static void check_list(struct values *v, enum config_key key)
{
	const char *value = config_str(v->config, key);
	json_object *parsed;

	if (text_blank(value) || text_trim(v->mem, value)[0] != '[')
		return;
	parsed = json_of(v, key, json_type_array, "array");
	if (parsed != NULL && !all_texts(parsed))
		say(v, key, "has members that are no texts: they do not count");
}

static void check_grants(struct values *v)
{
	json_object *parsed = NULL;

	if (!text_blank(config_str(v->config, CFG_LOCAL_RESOURCE_GRANTS)))
		parsed = json_of(v, CFG_LOCAL_RESOURCE_GRANTS, json_type_object, "object");
	if (parsed == NULL)
		return;
	json_object_object_foreach(parsed, type, ids)
	{
		if (!all_texts(ids))
			say(v, CFG_LOCAL_RESOURCE_GRANTS, "has no list of ids under \"%s\": it does not count", type);
	}
}

static void check_policies(struct values *v)
{
	json_object *parsed = NULL;

	if (!text_blank(config_str(v->config, CFG_LOCAL_ACCESS_POLICIES)))
		parsed = json_of(v, CFG_LOCAL_ACCESS_POLICIES, json_type_array, "array");
	if (parsed != NULL &&
	    json_object_array_length(parsed) != json_object_array_length(policies_from_environment(v->mem, v->config)))
		say(v, CFG_LOCAL_ACCESS_POLICIES, "has a member that is no access policy: none of them counts");
}

static void check_administrator(struct values *v)
{
	const char *role = config_str(v->config, CFG_LOCAL_ADMIN_ROLE);

	if (role_parse(role) == ROLE_COUNT)
		say(v, CFG_LOCAL_ADMIN_ROLE, "is no role: owner counts");
	if (!text_is_uuid(config_str(v->config, CFG_LOCAL_ADMIN_ID)))
		say(v, CFG_LOCAL_ADMIN_ID, "is no UUID: the default counts");
	if (strlen(config_str(v->config, CFG_LOCAL_ADMIN_EMAIL)) > 320)
		say(v, CFG_LOCAL_ADMIN_EMAIL, "is longer than 320 characters");
	check_list(v, CFG_LOCAL_ADMIN_GROUPS);
	check_grants(v);
	check_policies(v);
	if (!config_given(v->config, CFG_LOCAL_ADMIN_PASSWORD) && !config_on(v->config, CFG_DEV_DEFAULT_PASSWORD)) {
		fputs("RAKKR_LOCAL_ADMIN_PASSWORD is not set: the built-in administrator cannot sign in\n", v->out);
		v->problems++;
	}
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

/* What follows "http://" or "https://"; NULL if it is no such URL. */
static const char *after_scheme(const char *url)
{
	const char *rest = strncmp(url, "http://", 7) == 0    ? url + 7
	                   : strncmp(url, "https://", 8) == 0 ? url + 8
	                                                      : NULL;

	return rest != NULL && rest[0] != '\0' ? rest : NULL;
}

static void check_urls(struct values *v)
{
	const char *origin = config_str(v->config, CFG_WEB_ORIGIN), *rest = after_scheme(origin);
	const char *runner = config_str(v->config, CFG_ANSIBLE_RUNNER_URL);

	if (strcmp(origin, "*") != 0 && (rest == NULL || strpbrk(rest, "/?#") != NULL))
		say(v, CFG_WEB_ORIGIN, "is no origin, such as https://rakkr.example.org: it will match no browser");
	if (runner != NULL && after_scheme(text_trim(v->mem, runner)) == NULL)
		say(v, CFG_ANSIBLE_RUNNER_URL, "is no http or https URL");
}

int values_check(const struct config *c, FILE *out)
{
	struct values v = {.config = c, .mem = talloc_new(NULL), .out = out};

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		check_choice(&v, choices[i].key, choices[i].words);
	check_switches(&v);
	check_oidc_switch(&v);
	check_level(&v);
	check_administrator(&v);
	check_list(&v, CFG_FFMPEG_ARGS_PREFIX);
	check_list(&v, CFG_FFPROBE_ARGS_PREFIX);
	check_urls(&v);
	talloc_free(v.mem);
	return v.problems;
}

void values_log(const struct config *c)
{
	char *text = NULL, *rest = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (out == NULL)
		return;
	values_check(c, out);
	if (fclose(out) == 0)
		for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
			log_warn("%s", line);
	free(text);
}
