/* Attempts to sign in are counted for whoever is behind an address; sign-ins under way are few, and end. */
#include <criterion/criterion.h>

#include "access/oidc_states.h"
#include "access/sign_in.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "runner/oidc_states.h"
#include "store/app.h"
#include "store/store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static void *mem;
static struct config *config;
static struct live *live;
static char root[] = "/tmp/rakkr-sign-in-XXXXXX";

static void setup(void)
{
	mem = talloc_new(NULL);
	log_init("test", LOG_LEVEL_ERROR);
	config = config_defaults(mem);
	live = live_create(1);
	cr_assert_not_null(mkdtemp(root));
	config_set(config, CFG_DATA_DIR, root);
	config_set(config, CFG_OIDC_ATTEMPTS, "3");
	config_set(config, CFG_OIDC_STATES_MAX, "10");
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
	talloc_free(mem);
}

TestSuite(sign_in, .init = setup, .fini = teardown, .timeout = 30);

static bool may_begin(const char *address)
{
	int64_t retry_after;

	return sign_in_redirect_begin(mem, live, config, address, &retry_after);
}

Test(sign_in, an_ipv6_network_is_one_address)
{
	cr_expect(may_begin("2001:db8:1:2::1"));
	cr_expect(may_begin("2001:db8:1:2:ffff::1"));
	cr_expect(may_begin("2001:DB8:1:2:0:0:0:7"));
	cr_expect_not(may_begin("2001:db8:1:2:a:b:c:d"));
	cr_expect(may_begin("2001:db8:1:3::1"), "the next network");
	for (int i = 0; i < 3; i++) {
		cr_expect(may_begin("192.0.2.1"));
		cr_expect(may_begin("::ffff:192.0.2.2"));
		cr_expect(may_begin("::ffff:192.0.2.3"));
		cr_expect(may_begin("no address"));
		cr_expect(may_begin(NULL));
	}
	cr_expect_not(may_begin("192.0.2.1"));
	cr_expect_not(may_begin("::ffff:192.0.2.2"));
	cr_expect_not(may_begin("no address"));
	cr_expect(may_begin("192.0.2.2"));
	cr_expect(may_begin(NULL), "nobody is known by no address");
}

/* Passwords are counted alike: ten times what an account takes. */
Test(sign_in, passwords_from_an_ipv6_network)
{
	struct sign_in s;
	int64_t retry_after;
	int let = 0;

	config_set(config, CFG_LOGIN_ATTEMPTS, "2");
	for (int i = 0; i < 30; i++)
		let += sign_in_begin(&s, mem, live, config, mem_printf(mem, "a%d@example.org", i),
		                     mem_printf(mem, "2001:db8::%x", i), &retry_after);
	cr_expect_eq(let, 20);
	cr_expect(retry_after >= 1 && retry_after <= 60);
}

static int64_t kept(struct store *s)
{
	struct query q;
	struct page page;

	query_init(&q);
	cr_assert_eq(store_list(s, mem, &model_oidc_states, &q, &page), ST_OK);
	return (int64_t)page.count;
}

static const char *save(struct store *s, int64_t now_ms)
{
	struct oidc_secrets secrets;

	oidc_secrets_make(mem, &secrets);
	cr_assert_eq(oidc_state_save(mem, s, config, &secrets, "https://x/", now_ms), ST_OK);
	cr_assert_eq(store_commit(s, NULL, true), ST_OK);
	return secrets.state;
}

/* No other sign-in has to follow for one to be forgotten. */
Test(sign_in, what_nobody_came_back_for_is_swept)
{
	const char *error = NULL, *state;
	struct app app = {.config = config, .live = live, .store = store_open(mem, config, &error)};
	int64_t now_ms = clock_now_ms(), minutes = 60000;
	json_object *saved;

	cr_assert_not_null(app.store, "%s", error);
	save(app.store, now_ms - 12 * minutes);
	cr_expect_eq(kept(app.store), 1);
	cr_expect_eq(oidc_states_tick(&app), ST_OK);
	cr_expect_eq(kept(app.store), 0);
	state = save(app.store, now_ms - 9 * minutes);
	cr_expect_eq(oidc_states_tick(&app), ST_OK);
	cr_expect_eq(kept(app.store), 1, "it is not over yet");
	cr_expect_eq(oidc_state_take(mem, app.store, state, now_ms, &saved), ST_OK);
	cr_expect_eq(oidc_state_take(mem, app.store, state, now_ms, &saved), ST_NOT_FOUND, "used up");
	for (int i = 0; i < 40; i++)
		save(app.store, now_ms + i);
	cr_expect_eq(kept(app.store), 10);
	state = save(app.store, now_ms);
	cr_expect_eq(oidc_state_take(mem, app.store, state, now_ms + 11 * minutes, &saved), ST_NOT_FOUND, "too late");
	cr_expect_eq(kept(app.store), 0);
}
