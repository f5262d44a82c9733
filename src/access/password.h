/* Password hashes: argon2id for new ones; scrypt (01 7), argon2, bcrypt and crypt(3) strings are verified. */
#ifndef RAKKR_ACCESS_PASSWORD_H
#define RAKKR_ACCESS_PASSWORD_H

#include "base/config.h"

/*
 * New encoded hash; owned by ctx. Form and cost are the configured ones: RAKKR_PASSWORD_FORMAT,
 * RAKKR_ARGON2_MEMORY_KIB, RAKKR_ARGON2_PASSES.
 */
char *password_hash(const void *ctx, const struct config *c, const char *password);

/* True if password matches encoded. Any defect of encoded (or NULL) = false, after the work of one derivation (D-62,
 * D-106). */
bool password_verify(const struct config *c, const char *encoded, const char *password);

/* Spends the time of one verification: for unknown, disabled and OIDC-only accounts. */
void password_decoy(const struct config *c, const char *password);

/* What a stored hash is, as far as the time of checking it goes. */
enum password_kind {
	PASSWORD_CURRENT, /* what password_hash() makes now */
	PASSWORD_SCRYPT,  /* of the earlier controller */
	PASSWORD_ARGON2,  /* with another cost */
	PASSWORD_CRYPT,   /* bcrypt and other forms of crypt(3) */
	PASSWORD_NONE,    /* NULL, or of no known form */
};
enum password_kind password_kind(const struct config *c, const char *encoded);

/* A hash of PASSWORD_SCRYPT with the earlier controller's cost, to measure that. */
extern const char password_scrypt_sample[];

/* Processor time of this thread so far; spends us more of it, a millisecond more or less. Microseconds. */
int64_t password_cpu_us(void);
void password_spend(int64_t us);

#endif
