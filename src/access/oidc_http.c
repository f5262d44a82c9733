#include "access/oidc_http.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REDIRECTS_MAX 5
#define HEADERS_MAX (64 * 1024)
#define PLACE_WAIT_MS 1000
#define PLACE_PAUSE_MS 20

/* ---- visits ------------------------------------------------------------------------------------------------------ */

void oidc_visit_begin(struct oidc_visit *v, const struct oidc *o, const struct config *c)
{
	*v = (struct oidc_visit){.o = o, .config = c, .deadline_ms = clock_mono_ms() + OIDC_VISIT_MS, .place = -1};
}

void oidc_visit_end(struct oidc_visit *v)
{
	if (v->place >= 0)
		close(v->place); /* the lock goes with it */
	v->place = -1;
}

/* Takes any of the places, each one byte of the file; the kernel gives them back whatever becomes of this process. */
static bool place_lock(int fd, int64_t places)
{
	for (int64_t i = 0; i < places; i++) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)i, .l_len = 1};

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return true;
	}
	return false;
}

/* One worker always stays free. False if the others are all at the provider already. */
static bool place_take(const void *ctx, struct oidc_visit *v)
{
	static const struct timespec pause = {.tv_nsec = PLACE_PAUSE_MS * 1000000L};
	const char *path = mem_printf(ctx, "%s/oidc.lock", config_str(v->config, CFG_DATA_DIR));
	int64_t workers = config_int(v->config, CFG_WORKERS), until = clock_mono_ms() + PLACE_WAIT_MS;

	if (v->place >= 0)
		return true;
	v->place = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (v->place < 0) { /* better too many than no sign-in at all */
		log_warn("OIDC: cannot open %s: %s", path, strerror(errno));
		return true;
	}
	while (!place_lock(v->place, workers > 1 ? workers - 1 : 1)) {
		if (clock_mono_ms() >= until) {
			oidc_visit_end(v);
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static char *url_part(const void *ctx, const char *url, CURLUPart part)
{
	CURLU *u = curl_url();
	char *text = NULL, *copy = NULL;

	if (u == NULL)
		mem_exhausted();
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, part, &text, 0) == CURLUE_OK)
		copy = text_lower(ctx, text);
	curl_free(text);
	curl_url_cleanup(u);
	return copy;
}

static bool is_this_machine(const char *host)
{
	return host != NULL &&
	       (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0);
}

bool oidc_url_allowed(const struct oidc *o, const char *url)
{
	void *tmp = talloc_new(NULL);
	const char *scheme = url_part(tmp, url, CURLUPART_SCHEME);
	bool allowed = false;

	if (scheme != NULL && strcmp(scheme, "https") == 0)
		allowed = true;
	else if (scheme != NULL && strcmp(scheme, "http") == 0)
		allowed = o->allow_insecure && is_this_machine(url_part(tmp, url, CURLUPART_HOST));
	talloc_free(tmp);
	return allowed;
}

/* ---- one exchange ------------------------------------------------------------------------------------------------ */

struct reading {
	struct buf body;
	size_t headers;
	bool too_large;
};

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct reading *in = arg;
	size_t n = size * count;

	if (n > OIDC_BODY_MAX - in->body.len) {
		in->too_large = true;
		return 0;
	}
	buf_add(&in->body, data, n);
	return n;
}

static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
	struct reading *in = arg;

	(void)data;
	in->headers += size * count;
	in->too_large = in->too_large || in->headers > HEADERS_MAX;
	return in->too_large ? 0 : size * count;
}

static void set_options(CURL *curl, const void *ctx, const struct oidc_visit *v, const char *url, const char *form,
                        struct reading *in)
{
	int64_t left = v->deadline_ms - clock_mono_ms();

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, v->o->allow_insecure ? "http,https" : "https");
	if (is_this_machine(url_part(ctx, url, CURLUPART_HOST)))
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (v->o->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, v->o->ca_file);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "rakkr-fcgi");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a resolver that hangs */
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)OIDC_CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left < OIDC_CALL_MS ? left : OIDC_CALL_MS));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
	if (form != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
}

/* The media type without parameters. */
static const char *media_type(const void *ctx, const char *header)
{
	if (header == NULL)
		return "";
	return text_lower(ctx, text_trim(ctx, mem_strndup(ctx, header, strcspn(header, ";"))));
}

/* *location: where a redirect leads, NULL if the answer is none. */
static void exchange(const void *ctx, const struct oidc_visit *v, const char *url, const char *form,
                     struct oidc_answer *out, const char **location)
{
	char error[CURL_ERROR_SIZE] = "", *text = NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	struct reading in = {.headers = 0};
	CURL *curl = curl_easy_init();
	CURLcode code;

	if (curl == NULL || headers == NULL)
		mem_exhausted();
	buf_init(&in.body, ctx);
	set_options(curl, ctx, v, url, form, &in);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
	if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &text) == CURLE_OK && text != NULL)
		*location = mem_strdup(ctx, text);
	text = NULL;
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &text);
	out->type = media_type(ctx, text);
	out->body = in.body.data;
	out->len = in.body.len;
	if (in.too_large)
		out->error = "the answer is too large";
	else if (code != CURLE_OK)
		out->error = text_no_controls(ctx, error[0] != '\0' ? error : curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

bool oidc_call(const void *ctx, struct oidc_visit *v, const char *url, const char *form, unsigned flags,
               struct oidc_answer *out)
{
	const char *next = url;

	if (!place_take(ctx, v)) {
		*out = (struct oidc_answer){.type = "", .body = "", .error = "too many sign-ins at the same time"};
		return false;
	}
	for (int i = 0; i <= REDIRECTS_MAX && next != NULL; i++) {
		const char *here = next;

		next = NULL;
		*out = (struct oidc_answer){.type = "", .body = ""};
		if (!oidc_url_allowed(v->o, here)) {
			out->error = "the provider's address is not an https URL";
			return false;
		}
		if (v->deadline_ms <= clock_mono_ms()) {
			out->error = "the provider took too long";
			return false;
		}
		exchange(ctx, v, here, form, out, &next);
		if (out->error != NULL)
			return false;
		if (!(flags & OIDC_FOLLOW))
			next = NULL;
	}
	if (next != NULL)
		out->error = "too many redirects";
	return next == NULL;
}

json_object *oidc_answer_json(const void *ctx, const struct oidc_answer *a)
{
	json_object *o;

	if (a->error != NULL || a->status != 200)
		return NULL;
	if (strcmp(a->type, "application/json") != 0 && strcmp(a->type, "application/jwk-set+json") != 0)
		return NULL;
	if (!json_parse(ctx, a->body, a->len, &o) || !json_object_is_type(o, json_type_object))
		return NULL;
	return o;
}
