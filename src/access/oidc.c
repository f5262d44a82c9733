#include "access/oidc.h"

#include "base/mem.h"
#include "base/text.h"

#include <curl/curl.h>
#include <string.h>

static const char default_scopes[] = "openid profile email";

static const char *url_part(const void *ctx, CURLU *u, CURLUPart part, unsigned flags)
{
	char *text;
	const char *copy;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = mem_strdup(ctx, text);
	curl_free(text);
	return copy;
}

/* The URL of u, written out again with its host in lower case and without a port that the scheme implies. */
static char *url_write(const void *ctx, CURLU *u)
{
	const char *scheme = url_part(ctx, u, CURLUPART_SCHEME, 0), *host = url_part(ctx, u, CURLUPART_HOST, 0);
	const char *port = url_part(ctx, u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	const char *path = url_part(ctx, u, CURLUPART_PATH, 0), *query = url_part(ctx, u, CURLUPART_QUERY, 0);
	char *url;
	size_t n;

	if (scheme == NULL || host == NULL || path == NULL)
		return NULL;
	if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		return NULL;
	url = mem_printf(ctx, "%s://%s%s%s%s%s%s", scheme, text_lower(ctx, host), port != NULL ? ":" : "",
	                 port != NULL ? port : "", path, query != NULL ? "?" : "", query != NULL ? query : "");
	n = strlen(url);
	if (url[n - 1] == '/')
		url[n - 1] = '\0';
	return url;
}

char *oidc_url(const void *ctx, const char *text)
{
	CURLU *u = curl_url();
	char *url = NULL;

	if (u == NULL)
		mem_exhausted();
	if (text != NULL && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK)
		url = url_write(ctx, u);
	curl_url_cleanup(u);
	return url;
}

const char *oidc_text(json_object *v)
{
	const char *text = json_is_str(v) ? json_object_get_string(v) : NULL;

	return text != NULL && strlen(text) == (size_t)json_object_get_string_len(v) ? text : NULL;
}

/* The trimmed value, NULL if nothing is left. */
static const char *trimmed(const void *ctx, const struct config *c, enum config_key k)
{
	const char *value = config_str(c, k);

	return text_blank(value) ? NULL : text_trim(ctx, value);
}

static bool switched_on(const void *ctx, const struct config *c)
{
	static const char *const words[] = {"1", "on", "true", "yes"};
	const char *value = trimmed(ctx, c, CFG_OIDC_ENABLED);

	for (size_t i = 0; value != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text_lower(ctx, value), words[i]) == 0)
			return true;
	return false;
}

static json_object *scopes_of(const void *ctx, const char *text)
{
	json_object *scopes = json_new_array(ctx);
	char *list = mem_strdup(ctx, text), *save = NULL;

	for (char *one = strtok_r(list, ", \t\r\n\v\f", &save); one != NULL;
	     one = strtok_r(NULL, ", \t\r\n\v\f", &save))
		json_push_str(scopes, one);
	return scopes;
}

void oidc_load(const void *ctx, const struct config *c, struct oidc *o)
{
	const char *issuer = trimmed(ctx, c, CFG_OIDC_ISSUER), *tenant = trimmed(ctx, c, CFG_OIDC_AZURE_TENANT_ID);
	const char *scopes = trimmed(ctx, c, CFG_OIDC_SCOPES);

	memset(o, 0, sizeof(*o));
	o->enabled = switched_on(ctx, c);
	if (issuer == NULL && tenant != NULL)
		issuer = mem_printf(ctx, "https://login.microsoftonline.com/%s/v2.0", tenant);
	o->issuer = oidc_url(ctx, issuer);
	if (o->issuer != NULL)
		o->discovery_url = mem_printf(ctx, "%s/.well-known/openid-configuration", o->issuer);
	o->client_id = trimmed(ctx, c, CFG_OIDC_CLIENT_ID);
	o->client_secret = trimmed(ctx, c, CFG_OIDC_CLIENT_SECRET);
	o->redirect_uri = oidc_url(ctx, trimmed(ctx, c, CFG_OIDC_REDIRECT_URI));
	o->scopes = scopes_of(ctx, scopes != NULL ? scopes : default_scopes);
	if (json_object_array_length(o->scopes) == 0)
		o->scopes = scopes_of(ctx, default_scopes);
	o->missing = json_new_array(ctx);
	if (o->enabled && o->issuer == NULL)
		json_push_str(o->missing, "issuer");
	if (o->enabled && o->client_id == NULL)
		json_push_str(o->missing, "clientId");
	if (o->enabled && o->redirect_uri == NULL)
		json_push_str(o->missing, "redirectUri");
	o->allow_insecure = config_on(c, CFG_OIDC_ALLOW_INSECURE);
	o->ca_file = trimmed(ctx, c, CFG_OIDC_CA_FILE);
	o->configured = o->enabled && json_object_array_length(o->missing) == 0;
}

const char *oidc_unavailable(const struct oidc *o)
{
	if (o->configured)
		return NULL;
	return o->enabled ? "oidc_not_configured" : "oidc_disabled";
}

json_object *oidc_public(const void *ctx, const struct oidc *o)
{
	json_object *out = json_new_object(ctx);

	json_set_str_opt(out, "clientId", o->client_id);
	json_set_bool(out, "configured", o->configured);
	json_set_str_opt(out, "discoveryUrl", o->discovery_url);
	json_set_bool(out, "enabled", o->enabled);
	json_set_str_opt(out, "issuer", o->issuer);
	json_set_bool(out, "loginAvailable", o->configured);
	json_set_ref(out, "missingFields", o->missing);
	json_set_str(out, "provider", "azure_ad");
	json_set_str_opt(out, "redirectUri", o->redirect_uri);
	json_set_ref(out, "scopes", o->scopes);
	return out;
}
