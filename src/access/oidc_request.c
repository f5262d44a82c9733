#include "access/oidc_request.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

#define RETURN_URL_MAX 2000 /* contract 09 17.2 */

/* ---- form encoding ----------------------------------------------------------------------------------------------- */

static void form_put(struct buf *b, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (isalnum(*p) || strchr("*-._", *p) != NULL)
			buf_putc(b, (char)*p);
		else if (*p == ' ')
			buf_putc(b, '+');
		else
			buf_printf(b, "%%%02X", *p);
	}
}

void oidc_form_add(struct buf *b, const char *name, const char *value)
{
	if (b->len > 0)
		buf_putc(b, '&');
	form_put(b, name);
	buf_putc(b, '=');
	form_put(b, value);
}

/* ---- return URL -------------------------------------------------------------------------------------------------- */

/* "scheme://host[:port]" of an absolute http(s) URL without credentials, NULL of anything else. */
static char *origin_of(const void *ctx, const char *text)
{
	const char *url = oidc_url(ctx, text), *host;

	if (url == NULL || strchr(text, '@') != NULL)
		return NULL;
	host = strstr(url, "://") + 3;
	return mem_strndup(ctx, url, (size_t)(host - url) + strcspn(host, "/?#"));
}

/*
 * Text as a browser reads a URL: without surrounding blanks and control characters, tabs and line breaks; '\' in front
 * of the query is '/'.
 */
static char *as_browser(const void *ctx, const char *text)
{
	size_t n = strlen(text), o = 0;
	char *out = mem_array(ctx, char, n + 1);
	bool path = true;

	while (*text != '\0' && (unsigned char)*text <= ' ')
		text++;
	n = strlen(text);
	while (n > 0 && (unsigned char)text[n - 1] <= ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\t' || text[i] == '\n' || text[i] == '\r')
			continue;
		path = path && text[i] != '?' && text[i] != '#';
		out[o++] = path && text[i] == '\\' ? '/' : text[i];
	}
	out[o] = '\0';
	return out;
}

/* Path, query and hash of an address, with what may not stand in a header or a URL escaped. */
static char *escaped(const void *ctx, const char *rest)
{
	struct buf b;

	buf_init(&b, ctx);
	if (*rest != '/')
		buf_putc(&b, '/');
	for (const unsigned char *p = (const unsigned char *)rest; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`{|}", *p) != NULL)
			buf_printf(&b, "%%%02X", *p);
		else
			buf_putc(&b, (char)*p);
	}
	return b.data;
}

/* Path, query and hash of wanted if it lies in origin, NULL otherwise. */
static const char *inside(const void *ctx, const char *origin, const char *wanted)
{
	const char *host, *rest;

	if (wanted[0] == '/')
		return wanted[1] == '/' ? NULL : wanted;
	host = strstr(wanted, "://");
	if (host == NULL)
		return NULL;
	rest = host + 3 + strcspn(host + 3, "/?#");
	return text_equal(origin_of(ctx, mem_strndup(ctx, wanted, (size_t)(rest - wanted))), origin) ? rest : NULL;
}

char *oidc_return_url(const void *ctx, const char *web_origin, const char *wanted)
{
	const char *origin = origin_of(ctx, web_origin), *rest = NULL;
	char *url;

	if (origin == NULL)
		return NULL;
	if (wanted != NULL && wanted[0] != '\0')
		rest = inside(ctx, origin, as_browser(ctx, wanted));
	if (rest != NULL) {
		url = mem_printf(ctx, "%s%s", origin, escaped(ctx, rest));
		if (strlen(url) <= RETURN_URL_MAX)
			return url;
	}
	url = oidc_url(ctx, web_origin);
	return strcmp(url, origin) == 0 ? mem_printf(ctx, "%s/", origin) : url;
}

char *oidc_return_with_token(const void *ctx, const char *url, const char *token, const char *expires_at)
{
	struct buf hash;

	buf_init(&hash, ctx);
	oidc_form_add(&hash, "rakkr_expires_at", expires_at);
	oidc_form_add(&hash, "rakkr_provider", "oidc");
	oidc_form_add(&hash, "rakkr_token", token);
	return mem_printf(ctx, "%.*s#%s", (int)strcspn(url, "#"), url, hash.data);
}

/* ---- authorization request --------------------------------------------------------------------------------------- */

void oidc_secrets_make(const void *ctx, struct oidc_secrets *s)
{
	s->state = crypto_token(ctx, "");
	s->nonce = crypto_token(ctx, "");
	s->verifier = crypto_token(ctx, "");
}

static const char *joined(const void *ctx, json_object *words)
{
	struct buf b;

	buf_init(&b, ctx);
	for (size_t i = 0; i < json_object_array_length(words); i++) {
		if (i > 0)
			buf_putc(&b, ' ');
		buf_puts(&b, json_object_get_string(json_object_array_get_idx(words, i)));
	}
	return b.data;
}

char *oidc_authorization_url(const void *ctx, const struct oidc *o, const char *endpoint, const struct oidc_secrets *s)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t n = strcspn(endpoint, "#");
	char *base = mem_strndup(ctx, endpoint, n);
	const char *separator = "?";
	struct buf b;

	if (strchr(base, '?') != NULL)
		separator = base[n - 1] == '?' || base[n - 1] == '&' ? "" : "&";
	SHA256((const unsigned char *)s->verifier, strlen(s->verifier), digest);
	buf_init(&b, ctx);
	oidc_form_add(&b, "code_challenge", crypto_base64url(ctx, digest, sizeof(digest)));
	oidc_form_add(&b, "code_challenge_method", "S256");
	oidc_form_add(&b, "nonce", s->nonce);
	oidc_form_add(&b, "redirect_uri", o->redirect_uri);
	oidc_form_add(&b, "scope", joined(ctx, o->scopes));
	oidc_form_add(&b, "state", s->state);
	oidc_form_add(&b, "client_id", o->client_id);
	oidc_form_add(&b, "response_type", "code");
	return mem_printf(ctx, "%s%s%s", base, separator, b.data);
}
