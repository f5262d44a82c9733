/*
 * Sign-ins with a password: slowed per account and per client address, and refused in the same time whatever the
 * account (contract 01 9.1, 09 D-106). The counters are those of this host's live memory.
 */
#ifndef RAKKR_ACCESS_SIGN_IN_H
#define RAKKR_ACCESS_SIGN_IN_H

#include "base/config.h"
#include "store/live.h"

struct sign_in {
	struct live *live;
	const struct config *config;
	const char *account, *address; /* keys of the counters */
	int64_t spent_us;              /* on derivations so far */
};

/*
 * Begins an attempt and counts it for the account and the address (NULL = unknown: none is counted). False when there
 * were too many in the present window (RAKKR_LOGIN_ATTEMPTS, RAKKR_LOGIN_WINDOW_SECONDS): *retry_after is the seconds
 * until it ends. Strings of s belong to ctx. An IPv6 address counts as its /64 network.
 */
bool sign_in_begin(struct sign_in *s, const void *ctx, struct live *l, const struct config *c, const char *email,
                   const char *address, int64_t *retry_after);

/*
 * Counts the beginning of a sign-in at an OpenID provider for the address, in the same window. False when there were
 * too many (RAKKR_OIDC_ATTEMPTS).
 */
bool sign_in_redirect_begin(const void *ctx, struct live *l, const struct config *c, const char *address,
                            int64_t *retry_after);

/* password_verify() of a stored hash, or with NULL the work of it; measures what it takes. */
bool sign_in_check(struct sign_in *s, const char *encoded, const char *password);

/* The password was right: its account starts anew, and the address gets the attempt back. */
void sign_in_succeeded(struct sign_in *s);

/* The store could not say whether it was right: the attempt does not count. */
void sign_in_uncounted(struct sign_in *s);

/*
 * Before a refusal: works on until as much processor time is spent as checking the dearest kind of hash takes that this
 * installation is known to hold. Without it an account with an old hash would answer sooner or later than others do.
 */
void sign_in_even_out(struct sign_in *s);

#endif
