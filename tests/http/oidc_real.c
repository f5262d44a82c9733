/* The whole sign-in against a provider that others made: glewlwyd, set up by tests/tools/glewlwyd. */
#include "http/harness.h"
#include "http/oidc_provider.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define OIDC "/api/v1/auth/oidc"
#define SECRET "a secret & more"

static pid_t server;

static void stop(void)
{
	if (server > 0) {
		kill(server, SIGTERM);
		waitpid(server, NULL, 0);
	}
	instance_stop();
}

TestSuite(oidc_real, .fini = stop, .timeout = 120);

/* Waits until it says that it is ready. */
static void start_glewlwyd(int port)
{
	const char *root = getenv("srcdir") == NULL ? "." : getenv("srcdir");
	const char *argv[] = {fmt("%s/tests/tools/glewlwyd", root),
	                      fmt("%s/glewlwyd", instance_dir()),
	                      fmt("%d", port),
	                      "rakkr-test",
	                      SECRET,
	                      fmt("%s" OIDC "/callback", test_url()),
	                      NULL};
	char said[4096] = "";
	int pipes[2];
	cr_assert(pipe(pipes) == 0);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(pipes[1]);
	for (size_t n = 0; strstr(said, "ready") == NULL;) {
		ssize_t got = read(pipes[0], said + n, sizeof(said) - n - 1);
		cr_assert_gt(got, 0, "glewlwyd: %s", said);
		n += (size_t)got;
	}
}

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

/* What the person's browser does at the provider; returns where it is sent, or "". body NULL: GET. */
static const char *browse(CURL *browser, const char *method, const char *url, const char *body, long expected)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *location = NULL;
	long code = 0;
	curl_easy_reset(browser); /* keeps the cookies */
	curl_easy_setopt(browser, CURLOPT_COOKIEFILE, "");
	curl_easy_setopt(browser, CURLOPT_PROXY, "");
	curl_easy_setopt(browser, CURLOPT_URL, url);
	curl_easy_setopt(browser, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(browser, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(browser, CURLOPT_TIMEOUT, 20L);
	if (body != NULL)
		curl_easy_setopt(browser, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(browser, CURLOPT_CUSTOMREQUEST, method);
	CURLcode rc = curl_easy_perform(browser);
	cr_assert_eq(rc, CURLE_OK, "%s: %s", url, curl_easy_strerror(rc));
	curl_easy_getinfo(browser, CURLINFO_RESPONSE_CODE, &code);
	curl_easy_getinfo(browser, CURLINFO_REDIRECT_URL, &location);
	cr_assert_eq(code, expected, "%s %s: %ld", method, url, code);
	const char *copy = strdup(location == NULL ? "" : location);
	curl_slist_free_all(headers);
	return copy;
}

/* From our login route to our callback's answer. */
static struct response sign_in(CURL *browser, const char *api)
{
	struct response r = get(OIDC "/login?returnTo=%2Frecordings", NULL);
	must(r, 302);
	const char *set = header(&r, "set-cookie"),
	           *headers[] = {fmt("Cookie: %.*s", (int)strcspn(set, ";"), set), NULL};
	const char *authorize = header(&r, "location");
	cr_assert_not_null(strstr(browse(browser, "GET", authorize, NULL, 302), "/login.html?"));
	browse(browser, "POST", fmt("%s/auth/", api), "{\"username\":\"ann\",\"password\":\"ann password\"}", 200);
	browse(browser, "PUT", fmt("%s/auth/grant/rakkr-test", api), "{\"scope\":\"openid\"}", 200);
	const char *back = browse(browser, "GET", fmt("%s&g_continue", authorize), NULL, 302);
	cr_assert_eq(strncmp(back, test_url(), strlen(test_url())), 0, "%s", back);
	return http("GET", back + strlen(test_url()), NULL, headers, NULL, 0);
}

Test(oidc_real, a_person_signs_in)
{
	if (access("/usr/bin/glewlwyd", X_OK) != 0)
		cr_skip_test("glewlwyd is not installed");
	int port = 38000 + (int)(getpid() % 2000);
	const char *api = fmt("http://localhost:%d/api", port), *ids[2];
	instance_start(NULL,
	               (const char *const[]){fmt("RAKKR_OIDC_ISSUER=%s/oidc", api), "RAKKR_OIDC_CLIENT_SECRET=" SECRET,
	                                     "RAKKR_OIDC_SCOPES=openid", NULL});
	start_glewlwyd(port);
	struct response r = get(OIDC "/discovery", admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.issuer"), fmt("%s/oidc", api));
	for (int i = 0; i < 2; i++) {
		CURL *browser = curl_easy_init();
		r = sign_in(browser, api);
		must(r, 302);
		const char *location = header(&r, "location"), *token = strstr(location, "&rakkr_token=");
		cr_assert(token != NULL && strncmp(location, "https://console.example.org/recordings#", 39) == 0, "%s",
		          location);
		r = get("/api/v1/auth/me", token + 13);
		must(r, 200);
		cr_expect_str_eq(j_str(r.json, "data.email"), "ann@example.org");
		cr_expect_str_eq(j_str(r.json, "data.name"), "Ann");
		cr_expect_str_eq(j_str(r.json, "data.provider"), "oidc");
		ids[i] = j_str(r.json, "data.id");
		curl_easy_cleanup(browser);
	}
	cr_expect_str_eq(ids[0], ids[1]);
}
