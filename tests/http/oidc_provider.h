/*
 * A provider of OpenID Connect inside the test, which lies on demand, and an instance of the controller of the test's
 * own that is configured to trust it (its configuration is that of a process, so the common instance will not do).
 */
#ifndef RAKKR_TESTS_HTTP_OIDC_PROVIDER_H
#define RAKKR_TESTS_HTTP_OIDC_PROVIDER_H

#include "http/harness.h"

enum endpoint { DISCOVERY, KEYS, TOKEN, ENDPOINTS };

/* What an endpoint answers; all zero = the truth. */
struct says {
	int status;       /* 0 = 200 */
	const char *type; /* NULL = application/json */
	const char *body; /* NULL = the truth */
	const char *location;
	bool drips; /* one byte of the body each 200 ms */
	bool huge;  /* 300 KiB of blanks in front of the body */
};

/* Starts it on a free port of 127.0.0.1; provider_issuer() is then its URL. */
void provider_start(void);
const char *provider_issuer(void);
void provider_says(enum endpoint e, struct says s);
/* How often an endpoint was asked, and the last form that the token endpoint got. */
int provider_asked(enum endpoint e);
const char *provider_form(void);

/* The answer of the token endpoint to this code; NULL body = {"access_token", "id_token", "token_type"} with token. */
void provider_code(const char *code, const char *token, struct says s);

/* ---- tokens: everything is signed as the test wants it ----------------------------------------------------------- */

enum key { KEY_RSA, KEY_EC, KEY_STRANGER /* RSA, never published */, KEY_NEXT /* RSA, after provider_rotate() */ };

/*
 * A compact token. header: further members as JSON object text, or NULL; the kid is that of the key unless it is there.
 */
const char *token_sign(enum key k, const char *alg, const char *header, json_object *claims);
/* The same without a signature, or with an HMAC whose secret is the public key: what must never be taken. */
const char *token_none(json_object *claims);
const char *token_hmac(json_object *claims);
/* KEY_NEXT takes the place of KEY_RSA. */
void provider_rotate(void);

/* ---- the instance ------------------------------------------------------------------------------------------------ */

/*
 * Starts it on the store of RAKKR_TEST_STORE (Postgres: a database of its own); the harness then talks to it. users:
 * lines of accounts that are there before, or NULL. env: NULL-terminated "NAME=value" beside the obvious, or NULL;
 * "@URL@" stands for the instance's URL, "@DIR@" for its folder.
 */
struct account {
	const char *email, *name, *provider;
	const char *hash; /* of the password; NULL = none */
	const char *id;   /* NULL = any */
};
void instance_start(const struct account *accounts, const char *const *env);
void instance_stop(void);

#endif
