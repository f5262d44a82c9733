#include "http/agent_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void append(char **at, const char *text)
{
	*at = stpcpy(*at, text);
}

/* The order of the agent's HTTP library: its own headers as they were set, then accept, host, content-length. */
static char *request_head(const struct node *n, const char *method, const char *path, const char *const *extra,
                          const void *body, size_t len)
{
	char *head = calloc(1, 64 * 1024), *at = head;

	append(&at, fmt("%s %s HTTP/1.1\r\nauthorization: Bearer %s\r\n", method, path, n->token));
	for (; extra != NULL && *extra != NULL; extra++)
		append(&at, fmt("%s\r\n", *extra));
	append(&at, fmt("accept: */*\r\nhost: %s\r\n", strstr(test_url(), "://") + 3));
	if (body != NULL)
		append(&at, fmt("content-length: %zu\r\n", len));
	append(&at, "\r\n");
	return head;
}

struct response agent_call(const struct node *n, const char *method, const char *path, const char *const *extra,
                           const void *body, size_t len)
{
	struct raw *c = raw_open();
	const char *head = request_head(n, method, path, extra, body, len);

	cr_assert(raw_send(c, head, strlen(head)), "%s %s: cannot send", method, path);
	if (body != NULL && len > 0)
		cr_assert(raw_send(c, body, len), "%s %s: cannot send the body", method, path);
	struct response r = raw_reply(c, 30000);
	r.asked = fmt("%s %s", method, path);
	cr_assert_neq(r.status, 0, "%s: no answer", r.asked);
	/* The agent follows redirects, and turns a POST into a GET: there must be none. */
	cr_assert(r.status < 300 || r.status >= 400, "%s: %d", r.asked, r.status);
	cr_assert_null(header(&r, "content-encoding"), "%s: the agent decodes nothing", r.asked);
	raw_close(c);
	return r;
}

struct response agent_get(const struct node *n, const char *path)
{
	return agent_call(n, "GET", path, NULL, NULL, 0);
}

struct response agent_post_empty(const struct node *n, const char *path, const char *header_line)
{
	return agent_call(n, "POST", path, (const char *const[]){header_line, NULL}, NULL, 0);
}

struct response agent_post_json(const struct node *n, const char *path, const char *json)
{
	return agent_call(n, "POST", path, (const char *const[]){"content-type: application/json", NULL}, json,
	                  strlen(json));
}

/* ---- the strict decoder: what JSON libraries forgive ------------------------------------------------------------- */

/* Finds a key that an object has twice. The text is JSON already. */
static const char *skip_string(const char *at)
{
	for (at++; *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at + 1;
}

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *scan_value(const char *at, const char **twice);

static const char *scan_object(const char *at, const char **twice)
{
	const char *keys[200];
	size_t lengths[200], count = 0;

	for (at = skip_space(at + 1); *at == '"' && count < 200; at = skip_space(at)) {
		const char *end = skip_string(at);

		keys[count] = at;
		lengths[count] = (size_t)(end - at);
		for (size_t i = 0; i < count; i++)
			if (lengths[i] == lengths[count] && memcmp(keys[i], at, lengths[i]) == 0)
				*twice = strndup(at, lengths[i]);
		count++;
		at = scan_value(skip_space(skip_space(end) + 1), twice);
		at = skip_space(at);
		if (*at == ',')
			at++;
	}
	return skip_space(at) + 1;
}

static const char *scan_value(const char *at, const char **twice)
{
	at = skip_space(at);
	if (*at == '{')
		return scan_object(at, twice);
	if (*at == '"')
		return skip_string(at);
	if (*at != '[')
		return at + strcspn(at, ",]} \t\r\n");
	for (at = skip_space(at + 1); *at != ']'; at = skip_space(at)) {
		at = skip_space(scan_value(at, twice));
		if (*at == ',')
			at++;
	}
	return at + 1;
}

/* ---- the strict decoder: types ----------------------------------------------------------------------------------- */

enum kind { TEXT, INTEGER, SWITCH, WORD, RECORD, LIST };

struct rule {
	const char *name;
	enum kind kind;
	enum { REQUIRED, OPTIONAL, NOT_NULL /* may be absent */ } presence;
	int64_t min, max; /* INTEGER */
	const char *const *words;
	const struct rule *of; /* RECORD, LIST of records: ends with a nameless one */
};

static const char *problem_of(json_object *o, const struct rule *rules);

static const char *value_problem(json_object *v, const struct rule *r)
{
	switch (r->kind) {
	case TEXT:
		return json_object_is_type(v, json_type_string) ? NULL : "not a string";
	case SWITCH:
		return json_object_is_type(v, json_type_boolean) ? NULL : "not a boolean";
	case INTEGER:
		if (!json_object_is_type(v, json_type_int)) /* 2.0 and 1e3 are none */
			return "not an integer";
		return json_object_get_int64(v) >= r->min && json_object_get_int64(v) <= r->max ? NULL : "out of range";
	case WORD:
		for (const char *const *w = r->words; *w != NULL; w++)
			if (json_object_is_type(v, json_type_string) && strcmp(*w, json_object_get_string(v)) == 0)
				return NULL;
		return "an unknown word";
	case RECORD:
		return problem_of(v, r->of);
	case LIST:
		if (!json_object_is_type(v, json_type_array))
			return "not an array";
		for (size_t i = 0; i < json_object_array_length(v); i++) {
			const char *problem = problem_of(json_object_array_get_idx(v, i), r->of);

			if (problem != NULL)
				return fmt("[%zu].%s", i, problem);
		}
		return NULL;
	}
	return "?";
}

static const char *problem_of(json_object *o, const struct rule *rules)
{
	if (!json_object_is_type(o, json_type_object))
		return "not an object";
	for (const struct rule *r = rules; r->name != NULL; r++) {
		json_object *v = NULL;
		bool there = json_object_object_get_ex(o, r->name, &v);
		const char *problem;

		if (!there && r->presence == REQUIRED)
			return fmt("%s is missing", r->name);
		if (!there || (v == NULL && r->presence == OPTIONAL))
			continue;
		problem = v == NULL ? "null" : value_problem(v, r);
		if (problem != NULL)
			return fmt("%s: %s", r->name, problem);
	}
	return NULL;
}

#define ANY_INT .min = 0, .max = INT64_MAX
#define U16 .min = 0, .max = 65535
#define U32 .min = 0, .max = 4294967295

static const char *const backends[] = {"alsa", "jack", "pipewire", NULL};

static const struct rule audio_defaults[] = {
    {.name = "captureArgsTemplate", .kind = TEXT, .presence = OPTIONAL},
    {.name = "captureCommand", .kind = TEXT, .presence = OPTIONAL},
    {.name = "captureDevice", .kind = TEXT, .presence = OPTIONAL},
    {.name = "captureFormat", .kind = TEXT, .presence = OPTIONAL},
    {.name = "meterArgsTemplate", .kind = TEXT, .presence = OPTIONAL},
    {.name = "captureBackend", .kind = WORD, .presence = OPTIONAL, .words = backends},
    {.name = "captureChannels", .kind = INTEGER, .presence = OPTIONAL, U16},
    {.name = "captureSampleRate", .kind = INTEGER, .presence = OPTIONAL, U32},
    {.name = NULL},
};
static const struct rule cache_policy[] = {
    {.name = "deleteAfterUpload", .kind = SWITCH, .presence = REQUIRED},
    {.name = "policyId", .kind = TEXT, .presence = REQUIRED},
    {.name = "maxAgeDays", .kind = INTEGER, .presence = OPTIONAL, ANY_INT},
    {.name = "maxBytes", .kind = INTEGER, .presence = OPTIONAL, ANY_INT},
    {.name = "minFreeDiskPercent", .kind = INTEGER, .presence = OPTIONAL, .min = 0, .max = 255},
    {.name = NULL},
};
static const struct rule capacity[] = {
    {.name = "maxConcurrentRecordings", .kind = INTEGER, .presence = REQUIRED, ANY_INT}, {.name = NULL}};
static const struct rule config[] = {
    {.name = "audioDefaults", .kind = RECORD, .presence = OPTIONAL, .of = audio_defaults},
    {.name = "recorderCachePolicies", .kind = LIST, .presence = NOT_NULL, .of = cache_policy},
    {.name = "recordingCapacity", .kind = RECORD, .presence = OPTIONAL, .of = capacity},
    {.name = NULL},
};
static const struct rule map_entry[] = {
    {.name = "included", .kind = SWITCH, .presence = REQUIRED},
    {.name = "label", .kind = TEXT, .presence = REQUIRED},
    {.name = "sourceChannelIndex", .kind = INTEGER, .presence = REQUIRED, U16},
    {.name = "outputChannelIndex", .kind = INTEGER, .presence = OPTIONAL, U16},
    {.name = NULL},
};
static const struct rule channel_map[] = {
    {.name = "assignmentId", .kind = TEXT, .presence = REQUIRED},
    {.name = "channelMode", .kind = TEXT, .presence = REQUIRED},
    {.name = "entries", .kind = LIST, .presence = REQUIRED, .of = map_entry},
    {.name = "sourceChannels", .kind = INTEGER, .presence = REQUIRED, U16},
    {.name = "targetId", .kind = TEXT, .presence = REQUIRED},
    {.name = "targetType", .kind = TEXT, .presence = REQUIRED},
    {.name = "templateId", .kind = TEXT, .presence = REQUIRED},
    {.name = "templateName", .kind = TEXT, .presence = REQUIRED},
    {.name = NULL},
};
static const struct rule command[] = {
    {.name = "captureBackend", .kind = WORD, .presence = OPTIONAL, .words = backends},
    {.name = "captureChannels", .kind = INTEGER, .presence = REQUIRED, .min = 1, .max = 65535},
    {.name = "captureDevice", .kind = TEXT, .presence = REQUIRED},
    {.name = "captureFormat", .kind = TEXT, .presence = REQUIRED},
    {.name = "outputFileName", .kind = TEXT, .presence = REQUIRED},
    {.name = "captureInterfaceId", .kind = TEXT, .presence = OPTIONAL},
    {.name = "captureSampleRate", .kind = INTEGER, .presence = REQUIRED, U32},
    {.name = "durationSeconds", .kind = INTEGER, .presence = REQUIRED, .min = 1, .max = INT64_MAX},
    {.name = "channelMap", .kind = RECORD, .presence = OPTIONAL, .of = channel_map},
    {.name = "outputBitrateKbps", .kind = INTEGER, .presence = OPTIONAL, U32},
    {.name = "outputCodec", .kind = TEXT, .presence = OPTIONAL},
    {.name = "outputVbr", .kind = SWITCH, .presence = OPTIONAL},
    {.name = "recorderCacheRetention", .kind = RECORD, .presence = OPTIONAL, .of = cache_policy},
    {.name = "trackGroupId", .kind = TEXT, .presence = OPTIONAL},
    {.name = "trackIndex", .kind = INTEGER, .presence = OPTIONAL, U32},
    {.name = "trackTotal", .kind = INTEGER, .presence = OPTIONAL, U32},
    {.name = NULL},
};
static const struct rule job[] = {
    {.name = "id", .kind = TEXT, .presence = REQUIRED},
    {.name = "nodeId", .kind = TEXT, .presence = REQUIRED},
    {.name = "recordingId", .kind = TEXT, .presence = REQUIRED},
    {.name = "status", .kind = TEXT, .presence = REQUIRED},
    {.name = "failureReason", .kind = TEXT, .presence = OPTIONAL},
    {.name = "command", .kind = RECORD, .presence = REQUIRED, .of = command},
    {.name = NULL},
};
static const struct rule assignment[] = {
    {.name = "assignedAt", .kind = TEXT, .presence = REQUIRED},
    {.name = "id", .kind = TEXT, .presence = REQUIRED},
    {.name = "targetId", .kind = TEXT, .presence = REQUIRED},
    {.name = "targetType", .kind = TEXT, .presence = REQUIRED},
    {.name = "templateId", .kind = TEXT, .presence = REQUIRED},
    {.name = NULL},
};
static const struct rule map_template[] = {
    {.name = "channelMode", .kind = TEXT, .presence = REQUIRED},
    {.name = "entries", .kind = LIST, .presence = REQUIRED, .of = map_entry},
    {.name = "id", .kind = TEXT, .presence = REQUIRED},
    {.name = "name", .kind = TEXT, .presence = REQUIRED},
    {.name = NULL},
};
static const struct rule pair[] = {
    {.name = "assignment", .kind = RECORD, .presence = REQUIRED, .of = assignment},
    {.name = "template", .kind = RECORD, .presence = REQUIRED, .of = map_template},
    {.name = NULL},
};

static const struct rule config_answer[] = {{.name = "data", .kind = RECORD, .presence = REQUIRED, .of = config},
                                            {.name = NULL}};
static const struct rule job_answer[] = {{.name = "data", .kind = RECORD, .presence = REQUIRED, .of = job},
                                         {.name = NULL}};
static const struct rule assignments_answer[] = {{.name = "data", .kind = LIST, .presence = REQUIRED, .of = pair},
                                                 {.name = NULL}};

static const char *answer_problem(const char *text, const struct rule *rules)
{
	json_object *o = json_tokener_parse(text);
	const char *twice = NULL;

	if (o == NULL)
		return "not JSON";
	scan_value(text, &twice);
	return twice != NULL ? fmt("%s twice", twice) : problem_of(o, rules);
}

static json_object *decode(const struct response *r, const struct rule *rules)
{
	const char *problem = answer_problem(r->body, rules);

	cr_assert(r->status >= 200 && r->status < 300, "%s: %d: %s", r->asked, r->status, r->body);
	cr_assert_null(problem, "the agent cannot decode %s: %s: %s", r->asked, problem, r->body);
	return j_at(r->json, "data");
}

json_object *decode_config(const struct response *r)
{
	return decode(r, config_answer);
}

json_object *decode_job(const struct response *r)
{
	return decode(r, job_answer);
}

json_object *decode_assignments(const struct response *r)
{
	json_object *data = decode(r, assignments_answer);

	for (size_t i = 0; i < json_object_array_length(data); i++)
		cr_assert(json_object_is_type(j_at(data, fmt("%zu.template.tags", i)), json_type_array), "%s", r->body);
	return data;
}

const char *config_problem(const char *text)
{
	return answer_problem(text, config_answer);
}
