/*
 * The runner: background work, one process a host. Of several hosts on one database only the holder of the runner lock
 * acts; the audit spool is every host's own business. What fails is logged, and the loop goes on (09 D-70).
 */
#include "process/child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/prepare.h"
#include "runner/audit_retention.h"
#include "runner/lease.h"
#include "runner/lifecycle.h"
#include "runner/oidc_states.h"
#include "runner/orphans.h"
#include "store/app.h"
#include "store/beats.h"

#include <malloc.h>
#include <stdlib.h>

#define LOOP_MS 1000
#define PREPARE_RETRY_MS 3000
#define TRIM_MS 60000
#define LIFECYCLE_MS 5000
#define BEATS_MS 5000
#define STATES_MS 60000

struct runner {
	struct app app;
	bool prepared;      /* the schema is there */
	int prepare_result; /* of the last try: the same failure is logged once */
	int64_t prepare_at_ms;
	int64_t lease_at_ms;
	int64_t lifecycle_at_ms;
	int64_t beats_at_ms;
	int64_t states_at_ms;
	int64_t trim_at_ms;
	struct audit_retention audit_retention;
	status retention_status;
	status leftovers_status;
	status orphans_status;
	status states_status;
	status spool_status, beats_status, lifecycle_status,
	    lease_status; /* of the last pass: a lasting failure is logged once */
};

/* Once at the start, and again until it worked if the database was away then. */
static bool prepare_due(struct runner *r, int64_t now_ms)
{
	if (r->prepared || !store_is_database(r->app.store))
		return true;
	if (now_ms < r->prepare_at_ms)
		return false;
	int result = prepare_database(r->app.config, r->prepare_result != MIGRATE_OK);
	r->prepared = result == MIGRATE_OK;
	if (r->prepared && r->prepare_result != MIGRATE_OK)
		log_info("database: ready");
	r->prepare_result = result;
	r->prepare_at_ms = clock_mono_ms() + PREPARE_RETRY_MS;
	return r->prepared;
}

/* Logs the first failure of a row of them, and its end. */
static void note(const char *what, status *last, status now)
{
	if (now != ST_OK && *last == ST_OK)
		log_warn("%s: %s", what, status_name(now));
	else if (now == ST_OK && *last != ST_OK)
		log_info("%s: works again", what);
	*last = now;
}

static void tick(struct runner *r, int64_t now_ms)
{
	int64_t moved = 0;
	note("audit spool", &r->spool_status, store_audit_maintain(r->app.store, &moved));
	if (now_ms >= r->beats_at_ms) {
		note("heartbeats", &r->beats_status, beats_flush(&r->app));
		r->beats_at_ms = now_ms + BEATS_MS;
	}
	if (now_ms >= r->lifecycle_at_ms) { /* a file of this host, whoever holds the runner lock */
		note("lifecycle pass", &r->lifecycle_status, lifecycle_tick(&r->app));
		r->lifecycle_at_ms = now_ms + LIFECYCLE_MS;
	}
	note("files of deleted recordings", &r->leftovers_status, leftovers_tick(&r->app)); /* this host's list */
	if (!store_runner_lock(r->app.store))
		return;
	note("audit retention", &r->retention_status, audit_retention_tick(&r->app, &r->audit_retention));
	if (now_ms >= r->states_at_ms) {
		note("OpenID Connect sign-ins out of date", &r->states_status, oidc_states_tick(&r->app));
		r->states_at_ms = now_ms + STATES_MS;
	}
	if (config_on(r->app.config, CFG_JOB_LEASE_RUNNER_ENABLED) && now_ms >= r->lease_at_ms) {
		note("lease pass", &r->lease_status, lease_tick(&r->app));
		r->lease_at_ms = now_ms + config_int(r->app.config, CFG_JOB_LEASE_RUNNER_INTERVAL) * 1000;
	}
	note("files without a recording", &r->orphans_status, orphans_tick(&r->app));
}

static void trim(struct runner *r, int64_t now_ms)
{
	if (now_ms < r->trim_at_ms)
		return;
	malloc_trim(0);
	r->trim_at_ms = now_ms + TRIM_MS;
}

int runner_run(const struct child_setup *setup)
{
	child_begin(setup, "runner");
	mallopt(M_ARENA_MAX, 1);
	void *mem = talloc_named_const(NULL, 0, "runner");
	const char *error = NULL;
	struct runner r = {
	    .app = {.config = setup->config, .live = setup->live},
	    .prepare_result = MIGRATE_OK,
	};
	r.app.store = store_open(mem, setup->config, &error);
	if (r.app.store == NULL) {
		log_error("%s", error);
		talloc_free(mem);
		return EXIT_FAILURE;
	}
	store_attach(r.app.store, setup->live);
	child_ready(setup);
	do {
		int64_t now_ms = clock_mono_ms();
		if (prepare_due(&r, now_ms))
			tick(&r, now_ms);
		trim(&r, now_ms);
	} while (child_sleep(LOOP_MS) == CHILD_RUN);
	note("heartbeats", &r.beats_status, beats_flush(&r.app));
	talloc_free(mem);
	return EXIT_SUCCESS;
}
