#include "base/config.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct config {
	char *text[CFG_KEY_COUNT];     /* NULL = not given */
	int64_t number[CFG_KEY_COUNT]; /* CONFIG_INT, after limits */
	char *warned[CFG_KEY_COUNT];   /* the text that was replaced by the default */
};

struct config_row {
	const char *name;
	enum config_type type;
	const char *dflt; /* NULL = unset */
	int64_t min, max; /* CONFIG_INT */
	const char *doc;  /* manual page, mdoc text */
};

#define INT_MAX_ 2147483647LL

/* clang-format off */
static const struct config_row rows[CFG_KEY_COUNT] = {
[CFG_DATABASE_URL] = {"DATABASE_URL", CONFIG_STR, NULL, 0, 0, "Postgres connection URL or conninfo string. Unset or empty: flat files."},
[CFG_NODE_ENV] = {"NODE_ENV", CONFIG_STR, NULL, 0, 0, "With \"production\" the built-in administrator password is refused whatever else is set."},
[CFG_WEB_ORIGIN] = {"RAKKR_WEB_ORIGIN", CONFIG_STR, "http://localhost:5173", 0, 0, "Origin of the console, for CORS and sign-in redirects. No trailing slash."},
[CFG_SEED_DEMO_DATA] = {"RAKKR_SEED_DEMO_DATA", CONFIG_SWITCH, "1", 0, 0, "\"0\" turns demo node, schedule and recording off (with a database)."},
[CFG_DEMO_METER_DBFS] = {"RAKKR_DEMO_METER_DBFS", CONFIG_STR, NULL, 0, 0, "Fixed level of the demo node's meter frame, -160 to 24."},
[CFG_RUN_DIR] = {"RAKKR_RUN_DIR", CONFIG_STR, "/run/rakkr-fcgi", 0, 0, "Directory of the sockets and the process id file."},
[CFG_DATA_DIR] = {"RAKKR_DATA_DIR", CONFIG_STR, "data", 0, 0, "Directory of the controller's own files: accounts, nodes and audit without a database; the audit spool with one."},
[CFG_WORKERS] = {"RAKKR_WORKERS", CONFIG_INT, "3", 1, 256, "Worker processes, each with one database connection."},
[CFG_UPLOAD_WORKERS] = {"RAKKR_UPLOAD_WORKERS", CONFIG_INT, "2", 1, 64, "Processes that take in the files of recordings."},
[CFG_STREAM_CLIENTS] = {"RAKKR_STREAM_CLIENTS", CONFIG_INT, "256", 1, 4096, "Clients of server-sent events at the same time."},
[CFG_SOCKET_GROUP] = {"RAKKR_SOCKET_GROUP", CONFIG_STR, NULL, 0, 0, "Group that may connect to the sockets; the front server's."},
[CFG_LOG_LEVEL] = {"RAKKR_LOG_LEVEL", CONFIG_STR, "info", 0, 0, "\"error\", \"warn\", \"info\" or \"debug\"."},
[CFG_SHUTDOWN_SECONDS] = {"RAKKR_SHUTDOWN_SECONDS", CONFIG_INT, "30", 1, 3600, "How long requests in flight may take at a stop before they are cut."},
[CFG_AUDIT_READS] = {"RAKKR_AUDIT_READS", CONFIG_STR, "relaxed", 0, 0, "\"strict\": audit events of allowed reads, too, are on disk before the answer, not only up to a second later."},
[CFG_AUDIT_RETENTION_DAYS] = {"RAKKR_AUDIT_RETENTION_DAYS", CONFIG_INT, "0", 0, 36500, "Audit events older than this many days are deleted; 0 = never."},
[CFG_MAX_NODES_LIVE] = {"RAKKR_LIVE_NODES", CONFIG_INT, "1024", 1, 65536, "Nodes whose meters and audio are kept in shared memory."},
[CFG_MAX_UPLOAD_BYTES] = {"RAKKR_MAX_UPLOAD_BYTES", CONFIG_INT, "8589934592", 1, INT64_MAX, "Largest recording file accepted; the front server's limit must match."},
[CFG_MAX_JSON_BYTES] = {"RAKKR_MAX_JSON_BYTES", CONFIG_INT, "4194304", 1024, 1073741824, "Largest JSON body accepted."},
[CFG_LOCAL_ADMIN_EMAIL] = {"RAKKR_LOCAL_ADMIN_EMAIL", CONFIG_STR, "admin@rakkr.local", 0, 0, "E-mail of the built-in administrator."},
[CFG_LOCAL_ADMIN_NAME] = {"RAKKR_LOCAL_ADMIN_NAME", CONFIG_STR, "Local Admin", 0, 0, "Display name of the built-in administrator."},
[CFG_LOCAL_ADMIN_PASSWORD] = {"RAKKR_LOCAL_ADMIN_PASSWORD", CONFIG_STR, NULL, 0, 0, "Password of the built-in administrator. Without it the account cannot sign in."},
[CFG_LOCAL_ADMIN_ID] = {"RAKKR_LOCAL_ADMIN_ID", CONFIG_STR, "00000000-0000-4000-8000-000000000001", 0, 0, "Its user id, a UUID."},
[CFG_LOCAL_ADMIN_ROLE] = {"RAKKR_LOCAL_ADMIN_ROLE", CONFIG_STR, "owner", 0, 0, "Its role."},
[CFG_LOCAL_ADMIN_GROUPS] = {"RAKKR_LOCAL_ADMIN_GROUPS", CONFIG_STR, NULL, 0, 0, "Its groups: comma list or JSON array."},
[CFG_LOCAL_RESOURCE_GRANTS] = {"RAKKR_LOCAL_RESOURCE_GRANTS", CONFIG_STR, NULL, 0, 0, "Its grants: JSON object of type to list of ids."},
[CFG_LOCAL_ACCESS_POLICIES] = {"RAKKR_LOCAL_ACCESS_POLICIES", CONFIG_STR, NULL, 0, 0, "Access policies used while none are stored: JSON array."},
[CFG_DEV_DEFAULT_PASSWORD] = {"RAKKR_DEV_DEFAULT_PASSWORD", CONFIG_FLAG, "0", 0, 0, "\"1\" accepts the published development password of the built-in administrator. Never on a network."},
[CFG_PASSWORD_FORMAT] = {"RAKKR_PASSWORD_FORMAT", CONFIG_STR, "argon2id", 0, 0, "Form of new password hashes: \"argon2id\", or \"scrypt\" for a site that may go back to the earlier controller."},
[CFG_ARGON2_MEMORY_KIB] = {"RAKKR_ARGON2_MEMORY_KIB", CONFIG_INT, "27648", 64, 262144, "Memory of new argon2id hashes, in KiB. With the default, one check takes about 50 milliseconds. Hashes of another cost are renewed when their owner signs in."},
[CFG_ARGON2_PASSES] = {"RAKKR_ARGON2_PASSES", CONFIG_INT, "2", 1, 32, "Passes over that memory."},
[CFG_LOGIN_ATTEMPTS] = {"RAKKR_LOGIN_ATTEMPTS", CONFIG_INT, "10", 0, 1000000, "Wrong passwords that an account takes in RAKKR_LOGIN_WINDOW_SECONDS before sign-ins are refused until the window ends; a client address may make ten times as many over all accounts. 0 = no limit."},
[CFG_LOGIN_WINDOW] = {"RAKKR_LOGIN_WINDOW_SECONDS", CONFIG_INT, "60", 1, 86400, "Length of that window."},
[CFG_OIDC_ENABLED] = {"RAKKR_OIDC_ENABLED", CONFIG_STR, NULL, 0, 0, "\"1\", \"on\", \"true\" or \"yes\" turns OpenID Connect sign-in on."},
[CFG_OIDC_ISSUER] = {"RAKKR_OIDC_ISSUER", CONFIG_STR, NULL, 0, 0, "Issuer URL of the provider."},
[CFG_OIDC_AZURE_TENANT_ID] = {"RAKKR_OIDC_AZURE_TENANT_ID", CONFIG_STR, NULL, 0, 0, "Entra tenant; gives the issuer when that is unset."},
[CFG_OIDC_CLIENT_ID] = {"RAKKR_OIDC_CLIENT_ID", CONFIG_STR, NULL, 0, 0, "Client id at the provider."},
[CFG_OIDC_CLIENT_SECRET] = {"RAKKR_OIDC_CLIENT_SECRET", CONFIG_STR, NULL, 0, 0, "Client secret; unset for a public client."},
[CFG_OIDC_REDIRECT_URI] = {"RAKKR_OIDC_REDIRECT_URI", CONFIG_STR, NULL, 0, 0, "Redirect URI registered at the provider."},
[CFG_OIDC_SCOPES] = {"RAKKR_OIDC_SCOPES", CONFIG_STR, "openid profile email", 0, 0, "Scopes asked for."},
[CFG_OIDC_CA_FILE] = {"RAKKR_OIDC_CA_FILE", CONFIG_STR, NULL, 0, 0, "PEM file of the certification authorities that the provider's certificate is checked with, instead of the system's."},
[CFG_OIDC_ALLOW_INSECURE] = {"RAKKR_OIDC_ALLOW_INSECURE", CONFIG_FLAG, "0", 0, 0, "\"1\" allows a provider at an http URL of this machine (localhost, 127.0.0.1, [::1]), for tests."},
[CFG_OIDC_ATTEMPTS] = {"RAKKR_OIDC_ATTEMPTS", CONFIG_INT, "100", 0, 1000000, "Sign-ins at the provider that a client address may begin in RAKKR_LOGIN_WINDOW_SECONDS. 0 = no limit."},
[CFG_OIDC_STATES_MAX] = {"RAKKR_OIDC_STATES_MAX", CONFIG_INT, "2000", 10, 1000000, "Sign-ins at the provider that may be under way, of all addresses together; with one more, the oldest has to begin anew."},
[CFG_RECORDINGS_PATH] = {"RAKKR_RECORDING_METADATA_STORE_PATH", CONFIG_STR, "data/recordings-metadata.json", 0, 0, "Recordings (without a database)."},
[CFG_JOBS_PATH] = {"RAKKR_RECORDING_JOB_STORE_PATH", CONFIG_STR, "data/recording-jobs.json", 0, 0, "Recording jobs (without a database)."},
[CFG_SCHEDULES_PATH] = {"RAKKR_SCHEDULE_STORE_PATH", CONFIG_STR, "data/schedules.json", 0, 0, "Schedules (without a database)."},
[CFG_PROFILES_PATH] = {"RAKKR_RECORDING_PROFILE_STORE_PATH", CONFIG_STR, "data/recording-profiles.json", 0, 0, "Recording profiles (without a database)."},
[CFG_WATCHDOG_POLICIES_PATH] = {"RAKKR_WATCHDOG_POLICY_STORE_PATH", CONFIG_STR, "data/watchdog-policies.json", 0, 0, "Watchdog policies (without a database)."},
[CFG_CHANNEL_MAP_TEMPLATES_PATH] = {"RAKKR_CHANNEL_MAP_TEMPLATE_STORE_PATH", CONFIG_STR, "data/channel-map-templates.json", 0, 0, "Channel-map templates (without a database)."},
[CFG_CHANNEL_MAP_ASSIGNMENTS_PATH] = {"RAKKR_CHANNEL_MAP_ASSIGNMENT_STORE_PATH", CONFIG_STR, "data/channel-map-assignments.json", 0, 0, "Channel-map assignments (without a database)."},
[CFG_CHANNEL_MAP_PLANS_PATH] = {"RAKKR_CHANNEL_MAP_ASSIGNMENT_PLAN_STORE_PATH", CONFIG_STR, "data/channel-map-assignment-plans.json", 0, 0, "Channel-map assignment plans (always a file)."},
[CFG_UPLOAD_PROVIDERS_PATH] = {"RAKKR_UPLOAD_PROVIDER_STORE_PATH", CONFIG_STR, "data/upload-providers.json", 0, 0, "Upload providers (without a database)."},
[CFG_UPLOAD_POLICIES_PATH] = {"RAKKR_UPLOAD_POLICY_STORE_PATH", CONFIG_STR, "data/upload-policies.json", 0, 0, "Upload policies (without a database)."},
[CFG_UPLOAD_QUEUE_PATH] = {"RAKKR_UPLOAD_QUEUE_STORE_PATH", CONFIG_STR, "data/upload-queue.json", 0, 0, "Upload queue (without a database)."},
[CFG_RETENTION_POLICIES_PATH] = {"RAKKR_RETENTION_POLICY_STORE_PATH", CONFIG_STR, "data/retention-policies.json", 0, 0, "Retention policies (always a file)."},
[CFG_LIFECYCLE_JOBS_PATH] = {"RAKKR_NODE_LIFECYCLE_STORE_PATH", CONFIG_STR, "data/node-lifecycle-jobs.json", 0, 0, "Node lifecycle jobs (always a file)."},
[CFG_NODES_PATH] = {"RAKKR_NODE_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Nodes and node credentials (without a database). Default: nodes.json in RAKKR_DATA_DIR."},
[CFG_USERS_PATH] = {"RAKKR_USER_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Accounts (without a database). Default: users.json in RAKKR_DATA_DIR."},
[CFG_SESSIONS_PATH] = {"RAKKR_SESSION_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Sessions (without a database). Default: sessions.json in RAKKR_DATA_DIR."},
[CFG_ACCESS_POLICIES_PATH] = {"RAKKR_ACCESS_POLICY_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Access policies (without a database). Default: access-policies.json in RAKKR_DATA_DIR."},
[CFG_HEALTH_EVENTS_PATH] = {"RAKKR_HEALTH_EVENT_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Health events (without a database). Default: health-events.json in RAKKR_DATA_DIR."},
[CFG_OIDC_STATES_PATH] = {"RAKKR_OIDC_STATE_STORE_PATH", CONFIG_STR, NULL, 0, 0, "OpenID Connect sign-ins under way (without a database). Default: oidc-states.json in RAKKR_DATA_DIR."},
[CFG_AUDIT_PATH] = {"RAKKR_AUDIT_STORE_PATH", CONFIG_STR, NULL, 0, 0, "Audit events, JSON lines (without a database). Default: audit-events.jsonl in RAKKR_DATA_DIR."},
[CFG_RECORDING_CACHE_DIR] = {"RAKKR_RECORDING_CACHE_DIR", CONFIG_STR, "data/recordings", 0, 0, "Directory of the recording files."},
[CFG_ORPHAN_SWEEP] = {"RAKKR_ORPHAN_SWEEP", CONFIG_STR, "log", 0, 0, "Cache files without a recording: \"log\" names them in the log, \"remove\" removes them, \"off\" does not look for them."},
[CFG_ORPHAN_AGE_SECONDS] = {"RAKKR_ORPHAN_AGE_SECONDS", CONFIG_INT, "86400", 0, 31536000, "Age from which on such a file counts."},
[CFG_ORPHAN_SWEEP_INTERVAL] = {"RAKKR_ORPHAN_SWEEP_INTERVAL_SECONDS", CONFIG_INT, "86400", 1, 31536000, "Seconds between two searches for them."},
[CFG_AUDIO_PREVIEW_MAX_BYTES] = {"RAKKR_AUDIO_PREVIEW_MAX_BYTES", CONFIG_INT, "67108864", 1, INT64_MAX, "Most decoded audio read for one waveform preview of a compressed file."},
[CFG_AUDIO_TOOL_TIMEOUT_MS] = {"RAKKR_AUDIO_TOOL_TIMEOUT_MS", CONFIG_INT, "15000", 1, INT_MAX_, "Time limit of ffprobe and ffmpeg, in milliseconds."},
[CFG_FFMPEG_COMMAND] = {"RAKKR_FFMPEG_COMMAND", CONFIG_STR, "ffmpeg", 0, 0, "Decoder for waveform previews."},
[CFG_FFPROBE_COMMAND] = {"RAKKR_FFPROBE_COMMAND", CONFIG_STR, "ffprobe", 0, 0, "Prober for durations."},
[CFG_FFMPEG_ARGS_PREFIX] = {"RAKKR_FFMPEG_ARGS_PREFIX", CONFIG_STR, NULL, 0, 0, "Arguments put in front of ffmpeg's: words, or a JSON array."},
[CFG_FFPROBE_ARGS_PREFIX] = {"RAKKR_FFPROBE_ARGS_PREFIX", CONFIG_STR, NULL, 0, 0, "The same for ffprobe."},
[CFG_CAPTURE_CHANNELS] = {"RAKKR_AGENT_CAPTURE_CHANNELS", CONFIG_INT, "2", 1, 65535, "Channels captured when nothing else says."},
[CFG_CAPTURE_DEVICE] = {"RAKKR_AGENT_CAPTURE_DEVICE", CONFIG_STR, "default", 0, 0, "Capture device when nothing else says."},
[CFG_CAPTURE_FORMAT] = {"RAKKR_AGENT_CAPTURE_FORMAT", CONFIG_STR, "S16_LE", 0, 0, "Sample format when nothing else says."},
[CFG_CAPTURE_SAMPLE_RATE] = {"RAKKR_AGENT_CAPTURE_SAMPLE_RATE", CONFIG_INT, "48000", 1, INT_MAX_, "Sample rate when nothing else says."},
[CFG_CAPTURE_SECONDS] = {"RAKKR_AGENT_CAPTURE_SECONDS", CONFIG_INT, "3600", 1, INT_MAX_, "Length of an ad-hoc recording."},
[CFG_CAPTURE_INTERFACE_ID] = {"RAKKR_AGENT_CAPTURE_INTERFACE_ID", CONFIG_STR, NULL, 0, 0, "Interface preferred where a node has it."},
[CFG_JOB_LEASE_SECONDS] = {"RAKKR_RECORDING_JOB_LEASE_SECONDS", CONFIG_INT, "30", 1, 86400, "Seconds after which a job without a heartbeat is given up."},
[CFG_JOB_LEASE_RUNNER_ENABLED] = {"RAKKR_RECORDING_JOB_LEASE_RUNNER_ENABLED", CONFIG_SWITCH, "1", 0, 0, "\"0\" stops the pass that gives jobs up."},
[CFG_JOB_LEASE_RUNNER_INTERVAL] = {"RAKKR_RECORDING_JOB_LEASE_RUNNER_INTERVAL_SECONDS", CONFIG_INT, "10", 1, 86400, "Seconds between those passes."},
[CFG_NODE_OFFLINE_AFTER] = {"RAKKR_NODE_OFFLINE_AFTER_SECONDS", CONFIG_INT, "120", 0, INT_MAX_, "Seconds without a heartbeat after which a node counts as offline; 0 = never."},
[CFG_METER_HISTORY_LIMIT] = {"RAKKR_METER_HISTORY_LIMIT", CONFIG_INT, "600", 1, 100000, "Meter frames kept for each node."},
[CFG_ANSIBLE_RUNNER_URL] = {"RAKKR_ANSIBLE_RUNNER_URL", CONFIG_STR, NULL, 0, 0, "URL of the runner that carries out lifecycle actions on nodes; unset: they fail."},
[CFG_ANSIBLE_RUNNER_TOKEN] = {"RAKKR_ANSIBLE_RUNNER_TOKEN", CONFIG_STR, NULL, 0, 0, "Bearer token shown to that runner."},
[CFG_ANSIBLE_RUNNER_TIMEOUT_MS] = {"RAKKR_ANSIBLE_RUNNER_TIMEOUT_MS", CONFIG_INT, "120000", 1, 840000, "Time limit of one action, in milliseconds; shorter than the front server's."},
[CFG_LISTEN_SESSION_TTL] = {"RAKKR_LISTEN_SESSION_TTL_SECONDS", CONFIG_INT, "300", 1, 86400, "Seconds without a poll after which a listen session ends."},
[CFG_AUTH_STALE_SECONDS] = {"RAKKR_AUTH_STALE_SECONDS", CONFIG_INT, "60", 0, 3600, "While the database is away: how long ago, at most, a session and the access policies must have been read from it for its user to go on reading. 0: not at all."},
[CFG_STALE_CACHE_BYTES] = {"RAKKR_STALE_CACHE_BYTES", CONFIG_INT, "4194304", 0, 1073741824, "Shared memory for the last known answers, which are given while the database is away; read at start. 0: none."},
};
/* clang-format on */

/* "empty" is a value of its own for these two (contract 01 3.2); everywhere else it counts as unset. */
static bool empty_is_a_value(enum config_key k)
{
	return k == CFG_LOCAL_ADMIN_EMAIL || k == CFG_LOCAL_ADMIN_NAME;
}

static void apply_number(struct config *c, enum config_key k)
{
	const struct config_row *row = &rows[k];
	const char *text = c->text[k];
	char *end;
	double v;

	c->number[k] = strtoll(row->dflt, NULL, 10);
	talloc_free(c->warned[k]);
	c->warned[k] = NULL;
	if (text == NULL)
		return;
	errno = 0;
	v = strtod(text, &end);
	while (isspace((unsigned char)*end))
		end++;
	if (end == text || *end != '\0' || errno != 0 || !(v >= (double)row->min) || !(v <= (double)row->max)) {
		c->warned[k] = mem_strdup(c, text);
		return;
	}
	/* whole numbers keep all their digits; others are rounded down (02 3.4) */
	if (strpbrk(text, ".eExX") == NULL)
		c->number[k] = strtoll(text, NULL, 10);
	else
		c->number[k] = (int64_t)v;
}

void config_set(struct config *c, enum config_key k, const char *value)
{
	talloc_free(c->text[k]);
	c->text[k] = NULL;
	if (value != NULL && (value[0] != '\0' || empty_is_a_value(k)))
		c->text[k] = mem_strdup(c, value);
	if (rows[k].type == CONFIG_INT)
		apply_number(c, k);
}

struct config *config_defaults(const void *ctx)
{
	struct config *c = mem_new(ctx, struct config);

	for (enum config_key k = 0; k < CFG_KEY_COUNT; k++)
		config_set(c, k, NULL);
	return c;
}

static bool find_key(const char *name, size_t n, enum config_key *k)
{
	for (enum config_key i = 0; i < CFG_KEY_COUNT; i++)
		if (strncmp(rows[i].name, name, n) == 0 && rows[i].name[n] == '\0') {
			*k = i;
			return true;
		}
	return false;
}

/* One "NAME=value" line; quotes around the whole value are taken off. Unknown names are none of our business. */
static void read_line(struct config *c, char *line)
{
	char *eq, *value, *end;
	enum config_key k;

	while (isspace((unsigned char)*line))
		line++;
	if (strncmp(line, "export ", 7) == 0)
		line += 7;
	if (*line == '#' || (eq = strchr(line, '=')) == NULL)
		return;
	value = eq + 1;
	while (isspace((unsigned char)*value) && *value != '\n')
		value++;
	end = value + strlen(value);
	while (end > value && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
		end[-1] = '\0';
		value++;
	}
	while (eq > line && isspace((unsigned char)eq[-1]))
		eq--;
	if (find_key(line, (size_t)(eq - line), &k))
		config_set(c, k, value);
}

static bool read_file(struct config *c, const char *file, int *error)
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t cap = 0;

	if (f == NULL) {
		*error = errno;
		return false;
	}
	errno = 0;
	while (getline(&line, &cap, f) > 0)
		read_line(c, line);
	*error = ferror(f) ? errno : 0;
	free(line);
	fclose(f);
	return *error == 0;
}

const struct config *config_load(const void *ctx, const char *file, const char **error)
{
	struct config *c = config_defaults(ctx);
	int err = 0;

	if (!read_file(c, file != NULL ? file : ".env", &err) && (file != NULL || err != ENOENT)) {
		*error = mem_printf(ctx, "cannot read configuration file %s: %s", file != NULL ? file : ".env",
		                    strerror(err));
		talloc_free(c);
		return NULL;
	}
	for (enum config_key k = 0; k < CFG_KEY_COUNT; k++) {
		const char *value = getenv(rows[k].name);

		if (value != NULL)
			config_set(c, k, value);
		if (c->warned[k] != NULL)
			log_warn("%s=%s is not a number from %lld to %lld; using %s", rows[k].name, c->warned[k],
			         (long long)rows[k].min, (long long)rows[k].max, rows[k].dflt);
	}
	return c;
}

const char *config_str(const struct config *c, enum config_key k)
{
	return c->text[k] != NULL ? c->text[k] : rows[k].dflt;
}

int64_t config_int(const struct config *c, enum config_key k)
{
	return c->number[k];
}

bool config_on(const struct config *c, enum config_key k)
{
	const char *value = config_str(c, k);

	if (rows[k].type == CONFIG_FLAG)
		return value != NULL && strcmp(value, "1") == 0;
	return value == NULL || strcmp(value, "0") != 0;
}

bool config_given(const struct config *c, enum config_key k)
{
	return c->text[k] != NULL;
}

void config_write_mdoc(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (enum config_key k = 0; k < CFG_KEY_COUNT; k++) {
		fprintf(out, ".It Ev %s\n%s\n", rows[k].name, rows[k].doc);
		if (rows[k].dflt != NULL && rows[k].type != CONFIG_FLAG)
			fprintf(out, "Default: %s.\n", rows[k].dflt);
	}
	fputs(".El\n", out);
}

const char *config_name(enum config_key k)
{
	return rows[k].name;
}

bool config_is_switch(enum config_key k)
{
	return rows[k].type == CONFIG_SWITCH || rows[k].type == CONFIG_FLAG;
}

int config_check(const struct config *c, FILE *out)
{
	int problems = 0;

	for (enum config_key k = 0; k < CFG_KEY_COUNT; k++)
		if (c->warned[k] != NULL) {
			fprintf(out, "%s=%s is not a number from %lld to %lld\n", rows[k].name, c->warned[k],
			        (long long)rows[k].min, (long long)rows[k].max);
			problems++;
		}
	return problems;
}
