#include "base/crypto.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/self.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void crypto_sha256_hex(char out[SHA256_HEX_SIZE], const void *data, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256(data, n, digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[SHA256_HEX_SIZE - 1] = '\0';
}

void crypto_sha256(unsigned char out[32], const void *data, size_t n)
{
	SHA256(data, n, out);
}

void crypto_random(void *out, size_t n)
{
	if (n > INT32_MAX || RAND_bytes(out, (int)n) != 1) {
		log_error("no cryptographic random numbers available");
		abort();
	}
}

char *crypto_base64url(const void *ctx, const void *data, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *in = data;
	char *out = mem_array(ctx, char, (n + 2) / 3 * 4 + 1);
	size_t o = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;
		size_t left = n - i;

		if (left > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		out[o++] = digits[v >> 18];
		out[o++] = digits[(v >> 12) & 63];
		if (left > 1)
			out[o++] = digits[(v >> 6) & 63];
		if (left > 2)
			out[o++] = digits[v & 63];
	}
	out[o] = '\0';
	return out;
}

char *crypto_token(const void *ctx, const char *prefix)
{
	unsigned char secret[32];
	char *text;
	char *token;

	crypto_random(secret, sizeof(secret));
	text = crypto_base64url(NULL, secret, sizeof(secret));
	token = mem_printf(ctx, "%s%s", prefix, text);
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(text, strlen(text));
	talloc_free(text);
	return token;
}

bool crypto_equal(const char *a, const char *b)
{
	unsigned char da[SHA256_DIGEST_LENGTH], db[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)a, strlen(a), da);
	SHA256((const unsigned char *)b, strlen(b), db);
	return CRYPTO_memcmp(da, db, sizeof(da)) == 0;
}

static void uuid_format(char out[UUID_SIZE], const unsigned char b[16])
{
	static const char hex[] = "0123456789abcdef";
	size_t o = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[o++] = '-';
		out[o++] = hex[b[i] >> 4];
		out[o++] = hex[b[i] & 15];
	}
	out[o] = '\0';
}

/*
 * Random bytes of ids, which are no secrets: taken from the generator in portions, because asking it costs more than
 * the rest of a short request's id. A fork must not repeat them.
 */
static void id_random(unsigned char *out, size_t n)
{
	static unsigned char portion[512];
	static size_t left;
	static pid_t owner;

	if (left < n || owner != process_self()) {
		crypto_random(portion, sizeof(portion));
		left = sizeof(portion);
		owner = process_self();
	}
	left -= n;
	memcpy(out, portion + left, n);
}

void uuid_v4(char out[UUID_SIZE])
{
	unsigned char b[16];

	id_random(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	uuid_format(out, b);
}

void uuid_v7(char out[UUID_SIZE], int64_t now_ms)
{
	/* 48 bits of time, 12 bits of sequence within the millisecond, 62 random bits. A full sequence borrows the next
	   millisecond, so the order never breaks. */
	static int64_t last_ms;
	static unsigned sequence;
	unsigned char b[16];

	if (now_ms > last_ms) {
		last_ms = now_ms;
		sequence = 0;
	} else if (++sequence > 0xfff) {
		last_ms++;
		sequence = 0;
	}
	id_random(b + 8, 8);
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)((uint64_t)last_ms >> (40 - 8 * i));
	b[6] = (unsigned char)(0x70 | (sequence >> 8));
	b[7] = (unsigned char)(sequence & 0xff);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	uuid_format(out, b);
}

char *id_new(const void *ctx, const char *prefix)
{
	char uuid[UUID_SIZE];

	uuid_v4(uuid);
	return mem_printf(ctx, "%s%s", prefix, uuid);
}
