#include "transfer/ansible.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "transfer/http_client.h"

#include <string.h>

#define ANSWER_MAX (16 * 1024 * 1024)
#define ERROR_MAX 2000

static json_object *request_body(const void *ctx, const struct ansible_run *run)
{
	json_object *body = json_new_object(ctx), *target = json_object_new_object();

	json_set_str(body, "action", run->action);
	json_set_ref(body, "options", run->options);
	json_set_str(target, "host", run->host);
	json_set_str(target, "nodeAlias", run->node_alias);
	json_set_str(target, "nodeId", run->node_id);
	json_object_object_add(body, "target", target);
	return body;
}

/* One trailing slash goes, not more (02 T18). */
static char *runs_url(const void *ctx, const char *base)
{
	size_t n = strlen(base);

	if (n > 0 && base[n - 1] == '/')
		n--;
	return mem_printf(ctx, "%.*s/runs", (int)n, base);
}

static void send_run(const void *ctx, const struct config *c, const struct ansible_run *run, struct http_answer *a)
{
	const char *token = config_str(c, CFG_ANSIBLE_RUNNER_TOKEN), *headers[4] = {"Content-Type: application/json"};
	struct http_request q = {.method = "POST", .headers = headers, .max_bytes = ANSWER_MAX};

	if (token != NULL)
		headers[1] = mem_printf(ctx, "Authorization: Bearer %s", token);
	q.url = runs_url(ctx, config_str(c, CFG_ANSIBLE_RUNNER_URL));
	q.body = json_compact(ctx, request_body(ctx, run), &q.body_len);
	q.timeout_ms = (long)config_int(c, CFG_ANSIBLE_RUNNER_TIMEOUT_MS);
	http_send(ctx, &q, a);
	if (a->outcome != HTTP_ANSWERED)
		log_warn("lifecycle runner: %s", a->error);
}

/* The last bytes of text, from the beginning of a character on. */
static void set_output(json_object *patch, const char *key, json_object *value)
{
	if (!json_is_str(value))
		return;
	const char *text = json_object_get_string(value);
	size_t n = (size_t)json_object_get_string_len(value),
	       from = n > ANSIBLE_OUTPUT_MAX ? n - ANSIBLE_OUTPUT_MAX : 0;

	while (from > 0 && from < n && ((unsigned char)text[from] & 0xC0) == 0x80)
		from++;
	json_object_object_add(patch, key, json_object_new_string_len(text + from, (int)(n - from)));
}

/* As JavaScript sees it: null, false, 0 and "" are nothing. */
static bool truthy(json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_null:
		return false;
	case json_type_boolean:
		return json_object_get_boolean(v);
	case json_type_int:
	case json_type_double:
		return json_object_get_double(v) != 0;
	case json_type_string:
		return json_object_get_string_len(v) > 0;
	default:
		return true;
	}
}

static void set_result(json_object *patch, json_object *data)
{
	json_object *code = json_get(data, "exitCode");
	const char *host = json_str(data, "targetHost");

	if (json_is_int(code))
		json_set_ref(patch, "exitCode", code);
	json_set_str_opt(patch, "runnerRunId", json_str(data, "runId"));
	set_output(patch, "stderr", json_get(data, "stderr"));
	set_output(patch, "stdout", json_get(data, "stdout"));
	if (host != NULL && host[0] != '\0')
		json_set_str(patch, "targetHost", host);
	json_set_str(patch, "status", json_is_int(code) && json_object_get_int64(code) == 0 ? "succeeded" : "failed");
}

static void set_error(const void *ctx, json_object *patch, const char *error)
{
	json_set_str(patch, "error", text_cut(ctx, error, ERROR_MAX));
	json_set_str(patch, "status", "failed");
}

static void read_answer(const void *ctx, const struct http_answer *a, json_object *patch)
{
	json_object *body = NULL;
	const char *error;

	if (a->outcome != HTTP_ANSWERED || !json_parse(ctx, a->body, a->body_len, &body))
		body = NULL;
	if (a->status >= 200 && a->status < 300 && truthy(json_get(body, "data"))) {
		set_result(patch, json_get(body, "data"));
		return;
	}
	error = json_str(body, "error");
	if (error == NULL || error[0] == '\0')
		error = mem_printf(ctx, "ansible_runner_%d", a->status);
	set_error(ctx, patch, error);
}

json_object *ansible_run(const void *ctx, const struct config *c, const struct ansible_run *run)
{
	json_object *patch = json_new_object(ctx);
	struct http_answer a;

	if (config_str(c, CFG_ANSIBLE_RUNNER_URL) == NULL) {
		set_error(ctx, patch, "ansible_runner_unconfigured");
		return patch;
	}
	send_run(ctx, c, run, &a);
	if (a.outcome == HTTP_TIMED_OUT)
		set_error(ctx, patch, "The operation was aborted due to timeout");
	else if (a.outcome == HTTP_NO_CONTACT)
		set_error(ctx, patch, "fetch failed");
	else if (a.outcome == HTTP_UNUSABLE)
		set_error(ctx, patch, a.error);
	else
		read_answer(ctx, &a, patch);
	return patch;
}
