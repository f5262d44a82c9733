/*
 * When the audit event of an allowed read reaches the disk: within a second, or with RAKKR_AUDIT_READS=strict before.
 */
#include "unit/store_samples.h"

#include "api/request.h"
#include "base/log.h"
#include "http/dispatch.h"
#include "http/router.h"

#include <stdlib.h>
#include <unistd.h>

static int synced;

/* Instead of the C library's: the only call that makes the audit log durable. */
int fdatasync(int fd)
{
	(void)fd;
	synced++;
	return 0;
}

static const char token[] = "rakkr_test";
static void *mem;
static char folder[] = "/tmp/rakkr-reads-XXXXXX";

static const char *header_of(struct request *r, const char *name)
{
	(void)r;
	return strcmp(name, "authorization") == 0 ? mem_printf(mem, "Bearer %s", token) : NULL;
}

static long no_body(struct request *r, void *buf, size_t n)
{
	(void)r;
	(void)buf;
	(void)n;
	return 0;
}

static int status_of(struct app *app, const char *path)
{
	struct request *r = mem_new(mem, struct request);

	r->mem = talloc_new(mem);
	r->app = app;
	r->config = app->config;
	r->store = app->store;
	r->live = app->live;
	r->now_ms = clock_now_ms();
	r->method = "GET";
	r->path = path;
	r->raw_query = "";
	r->query = json_new_object(r->mem);
	r->content_length = -1;
	r->header = header_of;
	r->read = no_body;
	router_init();
	dispatch(r, path, false);
	return r->reply.status;
}

static void sign_in(struct app *app)
{
	char hash[SHA256_HEX_SIZE], iso[CLOCK_ISO_SIZE], id[UUID_SIZE];
	json_object *session, *user;
	const char *session_id;

	uuid_v4(id);
	crypto_sha256_hex(hash, token, strlen(token));
	user = parse(
	    mem,
	    mem_printf(mem, "{\"id\":\"%s\",\"email\":\"a@example.org\",\"name\":\"A\",\"provider\":\"local\"}", id));
	session = parse(mem, mem_printf(mem, "{\"tokenHash\":\"%s\",\"userId\":\"%s\",\"expiresAt\":\"%s\"}", hash, id,
	                                clock_iso(iso, clock_now_ms() + DAY_MS)));
	cr_assert_eq(store_session_create(app->store, mem, user, session, &session_id), ST_OK);
	cr_assert_eq(
	    store_access_write(app->store, mem, id, parse(mem, "[\"owner\"]"), parse(mem, "[]"), parse(mem, "[]")),
	    ST_OK);
	commit_ok(app->store);
}

/* How often the log is made durable by one allowed read. */
static int syncs_of_a_read(const char *reads)
{
	struct config *c = config_defaults(mem);
	struct app app = {.config = c, .live = live_create(16)};
	const char *error;
	int n;

	log_init("test", LOG_LEVEL_WARN);
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	config_set(c, CFG_AUDIT_READS, reads);
	app.store = store_open(mem, c, &error);
	sign_in(&app);
	cr_assert_eq(status_of(&app, "/api/v1/nodes"), 200);
	synced = 0;
	cr_assert_eq(status_of(&app, "/api/v1/nodes"), 200);
	n = synced;
	talloc_free(app.store);
	cr_assert_eq(system(mem_printf(mem, "rm -rf '%s'", folder)), 0);
	return n;
}

static void setup(void)
{
	mem = talloc_new(NULL);
}

static void teardown(void)
{
	talloc_free(mem);
}

TestSuite(audit_reads, .init = setup, .fini = teardown);

Test(audit_reads, relaxed_ones_do_not_wait)
{
	cr_expect_eq(syncs_of_a_read("relaxed"), 0);
}

Test(audit_reads, strict_ones_are_on_disk_before_the_answer)
{
	cr_expect_geq(syncs_of_a_read("strict"), 1);
}
