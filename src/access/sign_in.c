#include "access/sign_in.h"

#include "access/password.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_FACTOR 10

/* A key of any text: texts may be long, and an e-mail address does not belong into memory that outlives the request. */
static const char *counter_key(const void *ctx, const char *kind, const char *text)
{
	char hash[SHA256_HEX_SIZE];

	crypto_sha256_hex(hash, text, strlen(text));
	return mem_printf(ctx, "%s:%s", kind, hash);
}

/* The key of whoever is behind an address: of IPv6 a whole network, as one machine has as many addresses of it as it
 * likes. */
static const char *address_key(const void *ctx, const char *kind, const char *address)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, address, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a)) {
		char network[INET6_ADDRSTRLEN];

		memset(&a.s6_addr[8], 0, 8);
		address = mem_strdup(ctx, inet_ntop(AF_INET6, &a, network, sizeof(network)));
	}
	return counter_key(ctx, kind, address);
}

/* In whole seconds, for Retry-After. */
static int64_t seconds_of(int64_t wait_ms)
{
	return (wait_ms + 999) / 1000;
}

bool sign_in_begin(struct sign_in *s, const void *ctx, struct live *l, const struct config *c, const char *email,
                   const char *address, int64_t *retry_after)
{
	int64_t limit = config_int(c, CFG_LOGIN_ATTEMPTS), window_ms = config_int(c, CFG_LOGIN_WINDOW) * 1000;
	int64_t wait_ms = 0;

	*s = (struct sign_in){.live = l, .config = c};
	s->account = counter_key(ctx, "account", text_lower(ctx, email));
	if (address != NULL)
		s->address = address_key(ctx, "address", address);
	if (limit == 0)
		return true;
	if (s->address != NULL)
		wait_ms = live_attempt(l, s->address, limit * ADDRESS_FACTOR, window_ms);
	if (wait_ms == 0) {
		wait_ms = live_attempt(l, s->account, limit, window_ms);
		/* One account that is refused must not use up what a whole office has. */
		if (wait_ms > 0 && s->address != NULL)
			live_attempt_return(l, s->address);
	}
	*retry_after = seconds_of(wait_ms);
	return wait_ms == 0;
}

bool sign_in_redirect_begin(const void *ctx, struct live *l, const struct config *c, const char *address,
                            int64_t *retry_after)
{
	int64_t limit = config_int(c, CFG_OIDC_ATTEMPTS), wait_ms = 0;

	if (limit > 0 && address != NULL)
		wait_ms = live_attempt(l, address_key(ctx, "redirect", address), limit,
		                       config_int(c, CFG_LOGIN_WINDOW) * 1000);
	*retry_after = seconds_of(wait_ms);
	return wait_ms == 0;
}

static enum live_cost cost_of(enum password_kind kind)
{
	switch (kind) {
	case PASSWORD_SCRYPT:
		return LIVE_COST_SCRYPT;
	case PASSWORD_ARGON2:
		return LIVE_COST_ARGON2;
	case PASSWORD_CRYPT:
		return LIVE_COST_CRYPT;
	case PASSWORD_CURRENT:
	case PASSWORD_NONE: /* checked by the work of a current one */
		break;
	}
	return LIVE_COST_CURRENT;
}

bool sign_in_check(struct sign_in *s, const char *encoded, const char *password)
{
	int64_t began_us = password_cpu_us(), us;
	bool right = false;

	if (encoded == NULL)
		password_decoy(s->config, password);
	else
		right = password_verify(s->config, encoded, password);
	us = password_cpu_us() - began_us;
	s->spent_us += us;
	live_cost_note(s->live, cost_of(password_kind(s->config, encoded)), us);
	return right;
}

void sign_in_succeeded(struct sign_in *s)
{
	live_attempt_forget(s->live, s->account);
	if (s->address != NULL)
		live_attempt_return(s->live, s->address);
}

void sign_in_uncounted(struct sign_in *s)
{
	live_attempt_return(s->live, s->account);
	if (s->address != NULL)
		live_attempt_return(s->live, s->address);
}

/* The kinds that every installation has to reckon with are measured before the first answer depends on them. */
static int64_t dearest_us(struct sign_in *s)
{
	int64_t most = 0;

	if (live_cost(s->live, LIVE_COST_CURRENT) == 0)
		(void)sign_in_check(s, NULL, "");
	if (live_cost(s->live, LIVE_COST_SCRYPT) == 0 &&
	    cost_of(password_kind(s->config, password_scrypt_sample)) == LIVE_COST_SCRYPT)
		(void)sign_in_check(s, password_scrypt_sample, "");
	for (int kind = 0; kind < LIVE_COSTS; kind++)
		if (live_cost(s->live, (enum live_cost)kind) > most)
			most = live_cost(s->live, (enum live_cost)kind);
	return most;
}

void sign_in_even_out(struct sign_in *s)
{
	int64_t missing_us = dearest_us(s) - s->spent_us;

	if (missing_us > 0)
		password_spend(missing_us);
}
