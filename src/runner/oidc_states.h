/*
 * Sign-ins at an OpenID provider that nobody came back from: their secrets do not stay where no other sign-in follows.
 */
#ifndef RAKKR_RUNNER_OIDC_STATES_H
#define RAKKR_RUNNER_OIDC_STATES_H

#include "store/app.h"

/* Removes those that are out of date. */
status oidc_states_tick(struct app *app);

#endif
