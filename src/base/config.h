/*
 * Configuration: environment variables, optionally preceded by a file of NAME=value lines (variables that are already
 * set in the environment win). Read once by the master at start and on SIGHUP; children inherit it.
 * One table row per variable (config.c) gives name, type, default, limits and the text of the manual page.
 */
#ifndef RAKKR_BASE_CONFIG_H
#define RAKKR_BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum config_key {
	CFG_DATABASE_URL,
	CFG_NODE_ENV,
	CFG_WEB_ORIGIN,
	CFG_SEED_DEMO_DATA,
	CFG_DEMO_METER_DBFS,
	/* processes */
	CFG_RUN_DIR,              /* RAKKR_RUN_DIR: sockets */
	CFG_DATA_DIR,             /* RAKKR_DATA_DIR: private flat files, audit spool; default "data" */
	CFG_WORKERS,              /* RAKKR_WORKERS, 3 */
	CFG_UPLOAD_WORKERS,       /* RAKKR_UPLOAD_WORKERS, 2 */
	CFG_STREAM_CLIENTS,       /* RAKKR_STREAM_CLIENTS, 256 */
	CFG_SOCKET_GROUP,         /* RAKKR_SOCKET_GROUP: group of the sockets, e.g. www-data */
	CFG_LOG_LEVEL,            /* RAKKR_LOG_LEVEL: error|warn|info|debug */
	CFG_SHUTDOWN_SECONDS,     /* RAKKR_SHUTDOWN_SECONDS, 30 */
	CFG_AUDIT_READS,          /* RAKKR_AUDIT_READS: relaxed | strict */
	CFG_AUDIT_RETENTION_DAYS, /* RAKKR_AUDIT_RETENTION_DAYS, 0 = for ever */
	CFG_MAX_NODES_LIVE,       /* RAKKR_LIVE_NODES, 1024: slots of live data in shared memory */
	/* limits */
	CFG_MAX_UPLOAD_BYTES, /* RAKKR_MAX_UPLOAD_BYTES, 8 GiB */
	CFG_MAX_JSON_BYTES,   /* RAKKR_MAX_JSON_BYTES, 4 MiB */
	/* accounts */
	CFG_LOCAL_ADMIN_EMAIL,
	CFG_LOCAL_ADMIN_NAME,
	CFG_LOCAL_ADMIN_PASSWORD,
	CFG_LOCAL_ADMIN_ID,
	CFG_LOCAL_ADMIN_ROLE,
	CFG_LOCAL_ADMIN_GROUPS,
	CFG_LOCAL_RESOURCE_GRANTS,
	CFG_LOCAL_ACCESS_POLICIES,
	CFG_DEV_DEFAULT_PASSWORD, /* RAKKR_DEV_DEFAULT_PASSWORD=1: accept the published built-in password (D-47) */
	CFG_PASSWORD_FORMAT,      /* RAKKR_PASSWORD_FORMAT: argon2id | scrypt */
	CFG_ARGON2_MEMORY_KIB,    /* RAKKR_ARGON2_MEMORY_KIB */
	CFG_ARGON2_PASSES,        /* RAKKR_ARGON2_PASSES */
	CFG_LOGIN_ATTEMPTS,       /* RAKKR_LOGIN_ATTEMPTS: of an account a window; ten times as many of an address */
	CFG_LOGIN_WINDOW,         /* RAKKR_LOGIN_WINDOW_SECONDS */
	/* OIDC */
	CFG_OIDC_ENABLED,
	CFG_OIDC_ISSUER,
	CFG_OIDC_AZURE_TENANT_ID,
	CFG_OIDC_CLIENT_ID,
	CFG_OIDC_CLIENT_SECRET,
	CFG_OIDC_REDIRECT_URI,
	CFG_OIDC_SCOPES,
	CFG_OIDC_CA_FILE,
	CFG_OIDC_ALLOW_INSECURE,
	CFG_OIDC_ATTEMPTS, /* RAKKR_OIDC_ATTEMPTS: of an address a window (CFG_LOGIN_WINDOW) */
	CFG_OIDC_STATES_MAX,
	/* flat files (contract 07 2.2) */
	CFG_RECORDINGS_PATH,
	CFG_JOBS_PATH,
	CFG_SCHEDULES_PATH,
	CFG_PROFILES_PATH,
	CFG_WATCHDOG_POLICIES_PATH,
	CFG_CHANNEL_MAP_TEMPLATES_PATH,
	CFG_CHANNEL_MAP_ASSIGNMENTS_PATH,
	CFG_CHANNEL_MAP_PLANS_PATH,
	CFG_UPLOAD_PROVIDERS_PATH,
	CFG_UPLOAD_POLICIES_PATH,
	CFG_UPLOAD_QUEUE_PATH,
	CFG_RETENTION_POLICIES_PATH,
	CFG_LIFECYCLE_JOBS_PATH,
	/* flat files of our own, below RAKKR_DATA_DIR unless set */
	CFG_NODES_PATH,
	CFG_USERS_PATH,
	CFG_SESSIONS_PATH,
	CFG_ACCESS_POLICIES_PATH,
	CFG_HEALTH_EVENTS_PATH,
	CFG_OIDC_STATES_PATH,
	CFG_AUDIT_PATH,
	/* recording cache and audio */
	CFG_RECORDING_CACHE_DIR,
	CFG_ORPHAN_SWEEP,          /* RAKKR_ORPHAN_SWEEP: log | remove | off */
	CFG_ORPHAN_AGE_SECONDS,    /* RAKKR_ORPHAN_AGE_SECONDS */
	CFG_ORPHAN_SWEEP_INTERVAL, /* RAKKR_ORPHAN_SWEEP_INTERVAL_SECONDS */
	CFG_AUDIO_PREVIEW_MAX_BYTES,
	CFG_AUDIO_TOOL_TIMEOUT_MS,
	CFG_FFMPEG_COMMAND,
	CFG_FFPROBE_COMMAND,
	CFG_FFMPEG_ARGS_PREFIX,
	CFG_FFPROBE_ARGS_PREFIX,
	/* capture defaults */
	CFG_CAPTURE_CHANNELS,
	CFG_CAPTURE_DEVICE,
	CFG_CAPTURE_FORMAT,
	CFG_CAPTURE_SAMPLE_RATE,
	CFG_CAPTURE_SECONDS,
	CFG_CAPTURE_INTERFACE_ID,
	/* jobs, nodes, meters, listen */
	CFG_JOB_LEASE_SECONDS,
	CFG_JOB_LEASE_RUNNER_ENABLED,
	CFG_JOB_LEASE_RUNNER_INTERVAL,
	CFG_NODE_OFFLINE_AFTER,
	CFG_METER_HISTORY_LIMIT,
	CFG_LISTEN_SESSION_TTL,
	/* while the database is away */
	CFG_AUTH_STALE_SECONDS, /* RAKKR_AUTH_STALE_SECONDS, 60; 0 = never */
	CFG_STALE_CACHE_BYTES,  /* RAKKR_STALE_CACHE_BYTES, 4 MiB; 0 = none */
	/* the runner of node lifecycle actions (contract 02 9.5) */
	CFG_ANSIBLE_RUNNER_URL,
	CFG_ANSIBLE_RUNNER_TOKEN,
	CFG_ANSIBLE_RUNNER_TIMEOUT_MS,
	CFG_KEY_COUNT
};

enum config_type {
	CONFIG_STR,
	CONFIG_INT,
	CONFIG_SWITCH /* on unless exactly "0" */,
	CONFIG_FLAG /* off unless "1" */
};

struct config;

/*
 * Loads file (may be NULL), then ./.env if present and file is NULL, then the environment. The result belongs to ctx.
 * Returns NULL after writing one clear line to *error (owned by ctx) when the file cannot be read.
 * A number that does not parse, or lies outside its limits, takes the default (D-61) and is warned about once.
 */
const struct config *config_load(const void *ctx, const char *file, const char **error);

/* The string value; "" and unset both give the default where the table says empty counts as unset. May be NULL. */
const char *config_str(const struct config *c, enum config_key k);
int64_t config_int(const struct config *c, enum config_key k);
bool config_on(const struct config *c, enum config_key k);

/* True if the variable was given a value (environment or file). */
bool config_given(const struct config *c, enum config_key k);

/* Sets one value by hand (command line options, unit tests). Copies value. */
void config_set(struct config *c, enum config_key k, const char *value);

/* A configuration of defaults only, for unit tests. */
struct config *config_defaults(const void *ctx);

/* Writes the mdoc(7) list of all variables, for the manual page. */
void config_write_mdoc(FILE *out);

/* The name of the variable. */
const char *config_name(enum config_key k);

/* True if only "0" and "1" make sense. */
bool config_is_switch(enum config_key k);

/* Numbers that took their default, one line each, for `rakkr-fcgi check`; returns how many. */
int config_check(const struct config *c, FILE *out);

#endif
