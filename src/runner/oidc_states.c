#include "runner/oidc_states.h"

#include "access/oidc_states.h"
#include "base/clock.h"
#include "base/mem.h"

status oidc_states_tick(struct app *app)
{
	void *ctx = talloc_new(NULL);
	status st = oidc_states_purge(ctx, app->store, clock_now_ms());

	if (st == ST_OK)
		st = store_commit(app->store, NULL, true);
	else
		store_rollback(app->store);
	talloc_free(ctx);
	return st;
}
