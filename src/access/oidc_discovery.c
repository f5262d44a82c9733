#include "access/oidc_discovery.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define FRESH_MS (INT64_C(60) * 60 * 1000)
#define USABLE_MS (INT64_C(24) * 60 * 60 * 1000)
#define RETRY_MS (INT64_C(60) * 1000)

/* ---- the document ------------------------------------------------------------------------------------------------ */

/* The member as text if it is a valid URL, NULL otherwise. */
static const char *url_member(const void *ctx, json_object *document, const char *key)
{
	const char *text = oidc_text(json_get(document, key));

	return text != NULL && oidc_url(ctx, text) != NULL ? mem_strdup(ctx, text) : NULL;
}

bool oidc_provider_parse(const void *ctx, json_object *document, struct oidc_provider *p)
{
	json_object *algorithms = json_array(document, "id_token_signing_alg_values_supported");

	*p = (struct oidc_provider){.issuer = url_member(ctx, document, "issuer"),
	                            .authorization_endpoint = url_member(ctx, document, "authorization_endpoint"),
	                            .token_endpoint = url_member(ctx, document, "token_endpoint"),
	                            .jwks_uri = url_member(ctx, document, "jwks_uri"),
	                            .userinfo_endpoint = url_member(ctx, document, "userinfo_endpoint"),
	                            .algorithms = algorithms != NULL ? json_clone(ctx, algorithms) : NULL,
	                            .sends_issuer =
	                                json_flag(document, "authorization_response_iss_parameter_supported", false)};
	if (json_has(document, "userinfo_endpoint") && p->userinfo_endpoint == NULL)
		return false;
	return p->issuer != NULL && p->authorization_endpoint != NULL && p->token_endpoint != NULL &&
	       p->jwks_uri != NULL;
}

static bool is_issuer(const void *ctx, const struct oidc *o, const struct oidc_provider *p)
{
	return text_equal(oidc_url(ctx, p->issuer), o->issuer);
}

/* ---- for administrators ------------------------------------------------------------------------------------------ */

const char *oidc_discovery_read(const void *ctx, struct oidc_visit *v, struct oidc_provider *p, const char **text)
{
	struct oidc_answer a;
	json_object *document;

	if (!oidc_call(ctx, v, v->o->discovery_url, NULL, OIDC_FOLLOW, &a)) {
		*text = a.error;
		return "oidc_discovery_failed";
	}
	if (a.status < 200 || a.status > 299) {
		*text = mem_printf(ctx, "OIDC discovery returned HTTP %ld", a.status);
		return "oidc_discovery_failed";
	}
	if (!json_parse(ctx, a.body, a.len, &document)) {
		*text = "OIDC discovery failed";
		return "unknown_oidc_error";
	}
	if (!oidc_provider_parse(ctx, document, p) || !is_issuer(ctx, v->o, p)) {
		*text = "OIDC discovery document is invalid";
		return "oidc_invalid_discovery_document";
	}
	return NULL;
}

/* ---- for sign-ins ------------------------------------------------------------------------------------------------ */

/* Providers of many tenants name their issuer in a general form (01 14.3 step 3). */
static bool may_differ(const char *issuer)
{
	static const char shared[] = "https://login.microsoftonline.com/", suffix[] = ".b2clogin.com";
	const char *host = strstr(issuer, "://");
	size_t n;

	if (strncmp(issuer, shared, strlen(shared)) == 0)
		return true;
	host = host == NULL ? issuer : host + 3;
	n = strcspn(host, "/:?");
	return n > strlen(suffix) && strncmp(host + n - strlen(suffix), suffix, strlen(suffix)) == 0;
}

/* NULL if a sign-in can use the document, else what is wrong with it. The provider is owned by mem. */
static const char *fetch(const void *ctx, const void *mem, struct oidc_visit *v, struct oidc_provider *p)
{
	struct oidc_answer a;
	json_object *document;

	if (!oidc_call(ctx, v, v->o->discovery_url, NULL, 0, &a))
		return a.error;
	if (a.status != 200)
		return mem_printf(ctx, "HTTP status %ld", a.status);
	document = oidc_answer_json(ctx, &a);
	if (document == NULL || !oidc_provider_parse(mem, document, p))
		return "the document is invalid";
	if (!is_issuer(ctx, v->o, p) && !may_differ(v->o->issuer))
		return "the document is that of another issuer";
	if (!oidc_url_allowed(v->o, p->authorization_endpoint) || !oidc_url_allowed(v->o, p->token_endpoint) ||
	    !oidc_url_allowed(v->o, p->jwks_uri))
		return "an endpoint is not an https URL";
	return NULL;
}

/* Of this process, which has one configuration from start to end. */
static struct {
	void *mem; /* NULL = nothing is remembered */
	char *key;
	struct oidc_provider provider;
	int64_t fetched_ms, next_ms; /* monotonic */
} cache;

static char *cache_key(const void *ctx, const struct oidc *o)
{
	return mem_printf(ctx, "%s\n%s\n%s\n%d", o->issuer, o->client_id, o->redirect_uri, o->client_secret != NULL);
}

static void keep(void *mem, const struct oidc *o, const struct oidc_provider *p)
{
	talloc_free(cache.mem);
	cache.mem = mem;
	cache.key = cache_key(mem, o);
	cache.provider = *p;
	cache.fetched_ms = clock_mono_ms();
	cache.next_ms = cache.fetched_ms + FRESH_MS;
}

bool oidc_provider_get(const void *ctx, struct oidc_visit *v, const struct oidc_provider **p)
{
	bool known = cache.mem != NULL && strcmp(cache.key, cache_key(ctx, v->o)) == 0;
	struct oidc_provider fetched;
	const char *problem;
	void *mem;

	*p = &cache.provider;
	if (known && clock_mono_ms() < cache.next_ms)
		return true;
	mem = talloc_named_const(NULL, 0, "oidc provider");
	problem = fetch(ctx, mem, v, &fetched);
	if (problem == NULL) {
		keep(mem, v->o, &fetched);
		return true;
	}
	log_warn("OIDC discovery at %s: %s", v->o->discovery_url, problem);
	talloc_free(mem);
	cache.next_ms = clock_mono_ms() + RETRY_MS;
	return known && clock_mono_ms() - cache.fetched_ms < USABLE_MS;
}
