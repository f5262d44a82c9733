/* Password hashes: argon2id for new ones; scrypt (01 7), argon2, bcrypt and crypt(3) strings are verified. */
#ifndef RAKKR_ACCESS_PASSWORD_H
#define RAKKR_ACCESS_PASSWORD_H

#include "base/config.h"

/* New encoded hash in the configured format (RAKKR_PASSWORD_FORMAT); owned by ctx. */
char *password_hash(const void *ctx, const struct config *c, const char *password);

/* True if password matches encoded. Any defect of encoded (or NULL) = false, after the work of one derivation (D-62,
 * D-106). */
bool password_verify(const struct config *c, const char *encoded, const char *password);

/* Spends the time of one verification: for unknown, disabled and OIDC-only accounts. */
void password_decoy(const struct config *c, const char *password);

#endif
