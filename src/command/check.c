#include "command/command.h"

#include "access/oidc_http.h"
#include "access/oidc_request.h"
#include "base/mem.h"
#include "process/sockets.h"
#include "process/values.h"
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct check {
	void *mem;
	const struct config *config;
	int problems;
	const char *seen[CFG_KEY_COUNT]; /* folders looked at */
	size_t seen_count;
};

enum finding { FINE, NOTE, PROBLEM };

static void __attribute__((format(printf, 3, 4))) say(struct check *c, enum finding f, const char *fmt, ...)
{
	static const char *const words[] = {"ok      ", "note    ", "problem "};
	va_list ap;
	va_start(ap, fmt);
	fputs(words[f], stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	if (f == PROBLEM)
		c->problems++;
}

/* Every line of text as a finding of its own. */
static void say_lines(struct check *c, enum finding f, const char *what, char *text)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		bool harmless = strncmp(line, "note: ", 6) == 0;
		say(c, harmless ? NOTE : f, "%s: %s", what, harmless ? line + 6 : line);
	}
}

static void check_values(struct check *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	if (out == NULL)
		return;
	int problems = config_check(c->config, out) + values_check(c->config, out);
	fclose(out);
	if (problems == 0)
		say(c, FINE, "configuration");
	else
		say_lines(c, PROBLEM, "configuration", text);
	free(text);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

/* The folder itself, or if it is not there yet, the nearest one above it that is. */
static const char *nearest(struct check *c, const char *path)
{
	char *p = mem_strdup(c->mem, path);
	while (access(p, F_OK) != 0 && errno == ENOENT) {
		char *slash = strrchr(p, '/');
		if (slash == NULL)
			return ".";
		if (slash == p)
			return "/";
		*slash = '\0';
	}
	return p;
}

static void check_folder(struct check *c, const char *what, const char *path)
{
	for (size_t i = 0; i < c->seen_count; i++)
		if (strcmp(c->seen[i], path) == 0)
			return;
	c->seen[c->seen_count++] = path;
	const char *there = nearest(c, path);
	bool exists = strcmp(there, path) == 0;
	struct stat st;
	if (stat(there, &st) != 0)
		say(c, PROBLEM, "%s %s: %s", what, path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		say(c, PROBLEM, "%s %s: %s is not a folder", what, path, there);
	else if (faccessat(AT_FDCWD, there, W_OK | X_OK, AT_EACCESS) != 0)
		say(c, PROBLEM, "%s %s: cannot write to %s: %s", what, path, there, strerror(errno));
	else
		say(c, FINE, "%s %s%s", what, path, exists ? "" : " (will be made)");
}

static void check_file_folder(struct check *c, enum config_key key)
{
	const char *path = config_str(c->config, key);
	if (path == NULL || path[0] == '\0')
		return; /* below RAKKR_DATA_DIR */
	const char *slash = strrchr(path, '/');
	const char *folder = ".";
	if (slash == path)
		folder = "/";
	else if (slash != NULL)
		folder = mem_strndup(c->mem, path, (size_t)(slash - path));
	check_folder(c, "store folder", folder);
}

static void check_folders(struct check *c, bool database)
{
	check_folder(c, "run folder", config_str(c->config, CFG_RUN_DIR));
	check_folder(c, "data folder", config_str(c->config, CFG_DATA_DIR));
	check_folder(c, "recordings folder", config_str(c->config, CFG_RECORDING_CACHE_DIR));
	if (database) {
		check_file_folder(c, CFG_CHANNEL_MAP_PLANS_PATH);
		check_file_folder(c, CFG_RETENTION_POLICIES_PATH);
		check_file_folder(c, CFG_LIFECYCLE_JOBS_PATH);
		return;
	}
	for (enum config_key key = CFG_RECORDINGS_PATH; key <= CFG_AUDIT_PATH; key++)
		check_file_folder(c, key);
}

static void check_sockets(struct check *c)
{
	const char *group = config_str(c->config, CFG_SOCKET_GROUP);
	struct sockaddr_un address;
	size_t n = strlen(config_str(c->config, CFG_RUN_DIR)) + strlen("/") + SOCKET_NAME_MAX;
	if (n >= sizeof address.sun_path)
		say(c, PROBLEM, "RAKKR_RUN_DIR is too long for unix sockets by %zu characters",
		    n - sizeof address.sun_path + 1);
	if (group == NULL || group[0] == '\0')
		return;
	if (getgrnam(group) == NULL)
		say(c, PROBLEM, "RAKKR_SOCKET_GROUP: there is no group %s", group);
	else
		say(c, FINE, "socket group %s", group);
}

/* ---- database ---------------------------------------------------------------------------------------------------- */

static void check_database(struct check *c, const char *url)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	if (out == NULL)
		return;
	int result = migrate_status(url, NULL, out);
	fclose(out);
	if (result != MIGRATE_OK && text[0] == '\0')
		say(c, PROBLEM, "database: cannot be used");
	say_lines(c, result == MIGRATE_OK ? FINE : PROBLEM, "database", text);
	free(text);
}

/* ---- audio tools ------------------------------------------------------------------------------------------------- */

static bool in_path(const char *command)
{
	if (strchr(command, '/') != NULL)
		return access(command, X_OK) == 0;
	const char *path = getenv("PATH");
	char candidate[4096];
	for (const char *p = path != NULL ? path : "/usr/bin:/bin"; *p != '\0';) {
		size_t n = strcspn(p, ":");
		int len = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)n, p, command);
		if (len > 0 && (size_t)len < sizeof candidate && access(candidate, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static void check_tool(struct check *c, enum config_key key, const char *purpose)
{
	const char *command = config_str(c->config, key);
	if (in_path(command))
		say(c, FINE, "%s", command);
	else
		say(c, config_given(c->config, key) ? PROBLEM : NOTE, "%s is not installed: no %s", command, purpose);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);
	return n >= k && strcmp(text + n - k, end) == 0;
}

/* What would keep people from signing in at the provider; whether it answers is for a sign-in to see. */
static void check_oidc(struct check *c)
{
	struct oidc o;
	oidc_load(c->mem, c->config, &o);
	if (!o.enabled)
		return;
	for (size_t i = 0; i < json_object_array_length(o.missing); i++)
		say(c, PROBLEM, "OpenID Connect is on, but %s is missing or no URL",
		    json_object_get_string(json_object_array_get_idx(o.missing, i)));
	if (o.issuer != NULL && !oidc_url_allowed(&o, o.issuer))
		say(c, PROBLEM, "RAKKR_OIDC_ISSUER: %s is no https URL", o.issuer);
	if (o.redirect_uri != NULL && !ends_with(o.redirect_uri, "/api/v1/auth/oidc/callback"))
		say(c, PROBLEM, "RAKKR_OIDC_REDIRECT_URI does not end with /api/v1/auth/oidc/callback");
	if (oidc_return_url(c->mem, config_str(c->config, CFG_WEB_ORIGIN), NULL) == NULL)
		say(c, PROBLEM, "RAKKR_WEB_ORIGIN is no URL: sign-ins cannot come back");
	if (o.ca_file != NULL && access(o.ca_file, R_OK) != 0)
		say(c, PROBLEM, "RAKKR_OIDC_CA_FILE: %s: %s", o.ca_file, strerror(errno));
	if (o.allow_insecure)
		say(c, NOTE, "RAKKR_OIDC_ALLOW_INSECURE is for tests");
	if (o.configured)
		say(c, FINE, "OpenID Connect at %s", o.issuer);
}

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi check [-c FILE]\n"
	      "  looks at the configuration, and at what it names\n"
	      "  -c, --config FILE  read settings from FILE (default: the environment, ./.env)\n"
	      "exit status: 0 no problem, 1 problems (one a line), 2 usage\n",
	      out);
}

/* False if the options are wrong (said on stderr); *help if that is what was asked for. */
static bool options(int argc, char **argv, const char **file, bool *help)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	optind = 1;
	for (int o; (o = getopt_long(argc, argv, "c:h", known, NULL)) != -1;) {
		if (o == 'h')
			*help = true;
		else if (o == 'c')
			*file = optarg;
		else
			return false;
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "check: unknown argument %s\n", argv[optind]);
	return false;
}

int command_check(int argc, char **argv)
{
	const char *file = NULL, *error = NULL;
	bool help = false;
	if (!options(argc, argv, &file, &help))
		return EXIT_USAGE;
	if (help) {
		usage(stdout);
		return EXIT_FINE;
	}
	struct check c = {.mem = talloc_named_const(NULL, 0, "check")};
	c.config = config_load(c.mem, file, &error);
	if (c.config == NULL) {
		say(&c, PROBLEM, "%s", error);
	} else {
		const char *url = config_str(c.config, CFG_DATABASE_URL);
		bool database = url != NULL && url[0] != '\0';
		check_values(&c);
		check_oidc(&c);
		check_sockets(&c);
		check_folders(&c, database);
		if (database)
			check_database(&c, url);
		else
			say(&c, FINE, "no database: flat files");
		check_tool(&c, CFG_FFPROBE_COMMAND, "durations of files other than WAV");
		check_tool(&c, CFG_FFMPEG_COMMAND, "waveforms of files other than WAV");
	}
	talloc_free(c.mem);
	return c.problems > 0 ? EXIT_PROBLEM : EXIT_FINE;
}
