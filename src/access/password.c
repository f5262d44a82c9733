#include "access/password.h"

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"

#include <argon2.h>
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/*
 * New hashes: 27 MiB and two passes take as long as the scrypt hashes of an existing installation, so that the
 * answer to a wrong password does not tell which kind of account it was (D-106). Memory is bounded by the number of
 * workers: each derives one hash at a time.
 */
#define ARGON2_PASSES 2
#define ARGON2_KIB (27 * 1024)
#define ARGON2_LANES 1
#define ARGON2_KEY 32
#define SALT_BYTES 16

/* Bounds of what a stored argon2 string may demand. */
#define STORED_MAX_KIB (256 * 1024)
#define STORED_MAX_PASSES 32
#define STORED_MAX_LANES 16

/* scrypt of contract 01 7. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_KEY 64
#define SCRYPT_MAX_BYTES (UINT64_C(64) * 1024 * 1024)
#define SCRYPT_MAX_P 16
/* OpenSSL counts its work buffers too. */
#define SCRYPT_LIBRARY_LIMIT (SCRYPT_MAX_BYTES + UINT64_C(4) * 1024 * 1024)

/* What crypt(3) strings may cost. */
#define BCRYPT_MAX_COST 15
#define SHA_CRYPT_MAX_ROUNDS 1000000

struct scrypt_cost {
	uint64_t n, r, p;
};

static const char decoy_salt[] = "AAAAAAAAAAAAAAAAAAAAAA";

static bool uses_scrypt(const struct config *c)
{
	const char *format = config_str(c, CFG_PASSWORD_FORMAT);

	return format != NULL && strcmp(format, "scrypt") == 0;
}

/* The salt is the text itself, not what it decodes to (01 T26). */
static bool scrypt_derive(const char *password, const char *salt, const struct scrypt_cost *cost,
                          unsigned char key[SCRYPT_KEY])
{
	return EVP_PBE_scrypt(password, strlen(password), (const unsigned char *)salt, strlen(salt), cost->n, cost->r,
	                      cost->p, SCRYPT_LIBRARY_LIMIT, key, SCRYPT_KEY) == 1;
}

static char *scrypt_text(const void *ctx, const char *password)
{
	static const struct scrypt_cost cost = {SCRYPT_N, SCRYPT_R, SCRYPT_P};
	unsigned char random[SALT_BYTES], key[SCRYPT_KEY];
	char *salt, *encoded;

	crypto_random(random, sizeof(random));
	salt = crypto_base64url(ctx, random, sizeof(random));
	if (!scrypt_derive(password, salt, &cost, key))
		mem_exhausted(); /* constant, valid parameters: only memory can be missing */
	encoded = mem_printf(ctx, "scrypt$%d$%d$%d$%s$%s", SCRYPT_N, SCRYPT_R, SCRYPT_P, salt,
	                     crypto_base64url(ctx, key, sizeof(key)));
	OPENSSL_cleanse(key, sizeof(key));
	return encoded;
}

static char *argon2id_text(const void *ctx, const char *password)
{
	unsigned char salt[SALT_BYTES];
	size_t size = argon2_encodedlen(ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES, SALT_BYTES, ARGON2_KEY, Argon2_id);
	char *encoded = mem_array(ctx, char, size);

	crypto_random(salt, sizeof(salt));
	if (argon2id_hash_encoded(ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES, password, strlen(password), salt,
	                          sizeof(salt), ARGON2_KEY, encoded, size) != ARGON2_OK)
		mem_exhausted();
	return encoded;
}

char *password_hash(const void *ctx, const struct config *c, const char *password)
{
	return uses_scrypt(c) ? scrypt_text(ctx, password) : argon2id_text(ctx, password);
}

void password_decoy(const struct config *c, const char *password)
{
	static const struct scrypt_cost cost = {SCRYPT_N, SCRYPT_R, SCRYPT_P};
	unsigned char key[SCRYPT_KEY];

	if (uses_scrypt(c))
		(void)scrypt_derive(password, decoy_salt, &cost, key);
	else
		(void)argon2id_hash_raw(ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES, password, strlen(password), decoy_salt,
		                        SALT_BYTES, key, ARGON2_KEY);
	OPENSSL_cleanse(key, sizeof(key));
}

/* A decimal number of at most `max`, ending at *end. */
static bool read_number(const char *s, uint64_t max, uint64_t *value, const char **end)
{
	char *stop;

	if (s[0] < '0' || s[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(s, &stop, 10);
	*end = stop;
	return errno == 0 && *value <= max;
}

static bool scrypt_cost_sound(const struct scrypt_cost *cost)
{
	if (cost->n < 2 || (cost->n & (cost->n - 1)) != 0 || cost->r == 0 || cost->p == 0)
		return false;
	return cost->n <= SCRYPT_MAX_BYTES / 128 / cost->r;
}

enum verdict { DEFECT, MISMATCH, MATCH };

/* s is what follows "scrypt$": N$r$p$salt$key, further fields ignored. */
static enum verdict scrypt_verify(const void *ctx, const char *s, const char *password)
{
	struct scrypt_cost cost;
	unsigned char key[SCRYPT_KEY];
	const char *salt, *end;
	char *text;
	bool same;

	if (!read_number(s, UINT32_MAX, &cost.n, &s) || *s++ != '$' || !read_number(s, UINT32_MAX, &cost.r, &s) ||
	    *s++ != '$' || !read_number(s, SCRYPT_MAX_P, &cost.p, &s) || *s++ != '$')
		return DEFECT;
	end = strchr(s, '$');
	if (!scrypt_cost_sound(&cost) || end == NULL || end == s || end[1] == '\0' || end[1] == '$')
		return DEFECT;
	salt = mem_strndup(ctx, s, (size_t)(end - s));
	text = mem_strndup(ctx, end + 1, strcspn(end + 1, "$="));
	if (!scrypt_derive(password, salt, &cost, key))
		return DEFECT;
	/* Comparing the texts also refuses keys of any other length. */
	same = crypto_equal(crypto_base64url(ctx, key, sizeof(key)), text);
	OPENSSL_cleanse(key, sizeof(key));
	return same ? MATCH : MISMATCH;
}

/* The number behind "name" in an argon2 parameter list such as m=19456,t=2,p=1. */
static bool argon2_parameter(const char *encoded, const char *name, uint64_t max)
{
	const char *at = strstr(encoded, name), *end;
	uint64_t value;

	return at != NULL && read_number(at + strlen(name), max, &value, &end) && value > 0;
}

static enum verdict argon2_string_verify(const char *encoded, const char *password)
{
	argon2_type type = Argon2_d;
	int rc;

	if (strncmp(encoded, "$argon2id$", 10) == 0)
		type = Argon2_id;
	else if (strncmp(encoded, "$argon2i$", 9) == 0)
		type = Argon2_i;
	if (!argon2_parameter(encoded, "$m=", STORED_MAX_KIB) || !argon2_parameter(encoded, ",t=", STORED_MAX_PASSES) ||
	    !argon2_parameter(encoded, ",p=", STORED_MAX_LANES))
		return DEFECT;
	rc = argon2_verify(encoded, password, strlen(password), type);
	if (rc == ARGON2_OK)
		return MATCH;
	return rc == ARGON2_VERIFY_MISMATCH ? MISMATCH : DEFECT;
}

/* A stored setting that would keep a worker busy for minutes counts as a defect. */
static bool crypt_cost_sound(const char *encoded)
{
	uint64_t value;
	const char *end;

	if (encoded[1] == '2')
		return strlen(encoded) > 6 && encoded[3] == '$' &&
		       read_number(encoded + 4, BCRYPT_MAX_COST, &value, &end);
	if (strncmp(encoded + 2, "$rounds=", 8) == 0)
		return read_number(encoded + 10, SHA_CRYPT_MAX_ROUNDS, &value, &end);
	return true;
}

static enum verdict crypt_verify(const void *ctx, const char *encoded, const char *password)
{
	struct crypt_data *data = mem_new(ctx, struct crypt_data);
	const char *result;

	if (encoded[1] == '\0' || encoded[2] == '\0' || !crypt_cost_sound(encoded))
		return DEFECT;
	result = crypt_r(password, encoded, data);
	if (result == NULL || result[0] == '*')
		return DEFECT;
	return crypto_equal(result, encoded) ? MATCH : MISMATCH;
}

static enum verdict verify(const void *ctx, const char *encoded, const char *password)
{
	if (encoded == NULL)
		return DEFECT;
	if (strncmp(encoded, "scrypt$", 7) == 0)
		return scrypt_verify(ctx, encoded + 7, password);
	if (strncmp(encoded, "$argon2", 7) == 0)
		return argon2_string_verify(encoded, password);
	if (encoded[0] == '$')
		return crypt_verify(ctx, encoded, password);
	return DEFECT;
}

bool password_verify(const struct config *c, const char *encoded, const char *password)
{
	void *mem = talloc_new(NULL);
	enum verdict v = verify(mem, encoded, password);

	talloc_free(mem);
	if (v == DEFECT) {
		if (encoded != NULL)
			log_warn("a stored password hash has no usable form");
		password_decoy(c, password);
	}
	return v == MATCH;
}
