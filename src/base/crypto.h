/* Hashes, tokens and comparisons on OpenSSL libcrypto. */
#ifndef RAKKR_BASE_CRYPTO_H
#define RAKKR_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_SIZE 65
#define UUID_SIZE 37

/* Lower-case hex SHA-256 of n bytes. */
void crypto_sha256_hex(char out[SHA256_HEX_SIZE], const void *data, size_t n);

/* The 32 bytes of the same. */
void crypto_sha256(unsigned char out[32], const void *data, size_t n);

/* prefix + base64url (no padding) of 32 random bytes; owned by ctx (contract 01 8.1, 02 4). */
char *crypto_token(const void *ctx, const char *prefix);

/* Cryptographic random bytes; aborts if the system has none. */
void crypto_random(void *out, size_t n);

/* base64url without padding; owned by ctx. */
char *crypto_base64url(const void *ctx, const void *data, size_t n);

/* Constant-time equality of two strings (by comparing their digests). */
bool crypto_equal(const char *a, const char *b);

/* Lower-case UUID v4. */
void uuid_v4(char out[UUID_SIZE]);

/*
 * Lower-case UUID v7 (RFC 9562) for now_ms; strictly increasing within one process, so that "created_at, id" is the
 * order of insertion even within a millisecond.
 */
void uuid_v7(char out[UUID_SIZE], int64_t now_ms);

/* prefix + uuid_v4, owned by ctx, e.g. id_new(ctx, "rec_"). */
char *id_new(const void *ctx, const char *prefix);

#endif
