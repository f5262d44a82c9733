/* HTTP client and JSON getters of the harness. */
#include "http/harness.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

double now_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

char *format_list(const char *format, va_list ap)
{
	char *text = NULL;
	if (vasprintf(&text, format, ap) < 0)
		abort();
	return text;
}

char *fmt(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	char *text = format_list(format, ap);
	va_end(ap);
	return text;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

struct bytes {
	char *data;
	size_t len;
};

static size_t collect(char *data, size_t size, size_t count, void *arg)
{
	struct bytes *b = arg;
	size_t n = size * count;
	b->data = realloc(b->data, b->len + n + 1);
	if (b->data == NULL)
		abort();
	memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return n;
}

static const char *own_address;

void http_from(const char *address)
{
	own_address = address;
}

/* One connection a thread, kept alive between requests. */
static CURL *client(void)
{
	static _Thread_local CURL *curl;
	if (curl == NULL)
		curl = curl_easy_init();
	else
		curl_easy_reset(curl);
	cr_assert_not_null(curl);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
	if (own_address != NULL) {
		curl_easy_setopt(curl, CURLOPT_INTERFACE, own_address);
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	}
	return curl;
}

static struct curl_slist *header_list(const char *token, const char *const *headers, bool body)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	bool typed = false;
	if (token != NULL)
		list = curl_slist_append(list, fmt("Authorization: Bearer %s", token));
	for (; headers != NULL && *headers != NULL; headers++) {
		list = curl_slist_append(list, *headers);
		typed |= strncasecmp(*headers, "content-type:", 13) == 0;
	}
	if (body && !typed)
		list = curl_slist_append(list, "Content-Type:");
	return list;
}

struct response http(const char *method, const char *path, const char *token, const char *const *headers,
                     const void *body, size_t len)
{
	CURL *curl = client();
	struct bytes answer = {strdup(""), 0}, lines = {strdup(""), 0};
	struct curl_slist *list = header_list(token, headers, body != NULL);
	curl_easy_setopt(curl, CURLOPT_URL, fmt("%s%s", test_url(), path));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &lines);
	if (body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	struct response r = {.asked = fmt("%s %.300s", method, path)};
	double start = now_seconds();
	long code = 0;
	curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	r.seconds = now_seconds() - start;
	curl_slist_free_all(list);
	r.status = (int)code;
	r.body = answer.data;
	r.len = answer.len;
	r.headers = lines.data;
	r.json = json_tokener_parse(r.body);
	return r;
}

struct response get(const char *path, const char *token)
{
	return http("GET", path, token, NULL, NULL, 0);
}

struct response del(const char *path, const char *token)
{
	return http("DELETE", path, token, NULL, NULL, 0);
}

static struct response send_json(const char *method, const char *path, const char *token, const char *json, va_list ap)
{
	if (json == NULL)
		return http(method, path, token, NULL, NULL, 0);
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	char *body = format_list(json, ap);
	return http(method, path, token, headers, body, strlen(body));
}

#define SEND_JSON(method)                                                                                              \
	va_list ap;                                                                                                    \
	va_start(ap, json);                                                                                            \
	struct response r = send_json(method, path, token, json, ap);                                                  \
	va_end(ap);                                                                                                    \
	return r

struct response post(const char *path, const char *token, const char *json, ...)
{
	SEND_JSON("POST");
}

struct response patch(const char *path, const char *token, const char *json, ...)
{
	SEND_JSON("PATCH");
}

struct response put(const char *path, const char *token, const char *json, ...)
{
	SEND_JSON("PUT");
}

const char *header(const struct response *r, const char *name)
{
	size_t n = strlen(name);
	for (const char *line = r->headers; line != NULL && *line != '\0';) {
		const char *end = strchr(line, '\n');
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *value = line + n + 1 + strspn(line + n + 1, " ");
			return strndup(value, strcspn(value, "\r\n"));
		}
		line = end != NULL ? end + 1 : NULL;
	}
	return NULL;
}

struct raw {
	CURL *curl;
	curl_socket_t socket;
};

struct raw *raw_open(void)
{
	struct raw *c = calloc(1, sizeof(*c));
	c->curl = curl_easy_init();
	curl_easy_setopt(c->curl, CURLOPT_URL, test_url());
	curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_CONNECT_ONLY, 1L);
	cr_assert_eq(curl_easy_perform(c->curl), CURLE_OK, "cannot connect");
	curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &c->socket);
	return c;
}

bool raw_send(struct raw *c, const void *data, size_t n)
{
	const char *at = data;
	while (n > 0) {
		size_t sent = 0;
		CURLcode code = curl_easy_send(c->curl, at, n, &sent);
		if (code == CURLE_AGAIN)
			poll(&(struct pollfd){.fd = c->socket, .events = POLLOUT}, 1, 1000);
		else if (code != CURLE_OK)
			return false;
		at += sent;
		n -= sent;
	}
	return true;
}

static struct response raw_read(struct raw *c, int timeout_ms, bool (*whole)(const struct bytes *all, void *arg),
                                void *arg)
{
	struct bytes all = {strdup(""), 0};
	char chunk[16384];
	double deadline = now_seconds() + timeout_ms / 1000.0;
	for (double left = timeout_ms; left > 0; left = (deadline - now_seconds()) * 1000) {
		size_t n = 0;
		CURLcode code = curl_easy_recv(c->curl, chunk, sizeof(chunk), &n);
		if (code == CURLE_AGAIN)
			poll(&(struct pollfd){.fd = c->socket, .events = POLLIN}, 1, (int)left + 1);
		else if (code != CURLE_OK || n == 0)
			break;
		collect(chunk, 1, n, &all);
		if (whole(&all, arg))
			break;
	}
	char *end = strstr(all.data, "\r\n\r\n");
	struct response r = {.asked = "raw request", .headers = all.data, .body = strdup("")};
	if (end != NULL) {
		r.body = end + 4;
		end[2] = '\0';
		r.len = all.len - (size_t)(r.body - all.data);
		r.json = json_tokener_parse(r.body);
	}
	if (sscanf(all.data, "HTTP/%*s %d", &r.status) != 1)
		r.status = 0;
	return r;
}

static bool never(const struct bytes *all, void *arg)
{
	(void)all;
	(void)arg;
	return false;
}

struct response raw_answer(struct raw *c, int timeout_ms)
{
	return raw_read(c, timeout_ms, never, NULL);
}

struct marks {
	const char *mark;
	int count;
};

static bool all_marks(const struct bytes *all, void *arg)
{
	const struct marks *m = arg;
	int seen = 0;
	for (const char *at = all->data; (at = strstr(at, m->mark)) != NULL; at += strlen(m->mark))
		seen++;
	return seen >= m->count;
}

struct response raw_until(struct raw *c, int timeout_ms, const char *mark, int count)
{
	struct marks m = {mark, count};
	return raw_read(c, timeout_ms, all_marks, &m);
}

static bool one_answer(const struct bytes *all, void *arg)
{
	(void)arg;
	const char *end = strstr(all->data, "\r\n\r\n"), *length = strcasestr(all->data, "\r\ncontent-length:");
	size_t body = length != NULL && end != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
	return end != NULL && all->len >= (size_t)(end + 4 - all->data) + body;
}

struct response raw_reply(struct raw *c, int timeout_ms)
{
	return raw_read(c, timeout_ms, one_answer, NULL);
}

void raw_close(struct raw *c)
{
	curl_easy_cleanup(c->curl);
	free(c);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

/* Walks to the member at path; false if it is not there. *found may be NULL (JSON null). */
static bool walk(json_object *o, const char *path, json_object **found)
{
	char *copy = strdup(path), *rest = copy;
	for (char *part = strsep(&rest, "."); part != NULL; part = strsep(&rest, ".")) {
		bool ok = false;
		if (json_object_is_type(o, json_type_array)) {
			size_t index = strtoul(part, NULL, 10);
			ok = index < json_object_array_length(o);
			o = ok ? json_object_array_get_idx(o, index) : NULL;
		} else if (json_object_is_type(o, json_type_object)) {
			ok = json_object_object_get_ex(o, part, &o);
		}
		if (!ok) {
			free(copy);
			return false;
		}
	}
	free(copy);
	*found = o;
	return true;
}

json_object *j_at(json_object *o, const char *path)
{
	json_object *found = NULL;
	return walk(o, path, &found) ? found : NULL;
}

const char *j_str(json_object *o, const char *path)
{
	json_object *v = j_at(o, path);
	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

int64_t j_int(json_object *o, const char *path)
{
	json_object *v = j_at(o, path);
	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
}

double j_num(json_object *o, const char *path)
{
	json_object *v = j_at(o, path);
	bool number = json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
	return number ? json_object_get_double(v) : -1;
}

bool j_true(json_object *o, const char *path)
{
	json_object *v = j_at(o, path);
	return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

bool j_has(json_object *o, const char *path)
{
	json_object *found;
	return walk(o, path, &found);
}

size_t j_count(json_object *o, const char *path)
{
	json_object *v = j_at(o, path);
	return json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
}

json_object *j_find(json_object *o, const char *path, const char *key, const char *value)
{
	json_object *array = j_at(o, path);
	for (size_t i = 0; i < j_count(o, path); i++) {
		json_object *element = json_object_array_get_idx(array, i);
		if (strcmp(j_str(element, key), value) == 0)
			return element;
	}
	return NULL;
}
