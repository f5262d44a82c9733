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
#include <time.h>

/*
 * New hashes have one lane: what a lane more would cost an attacker, a pass or memory cost as well. The default of 27
 * MiB and two passes takes about as long as the scrypt hashes of an existing installation. Memory is bounded by the
 * number of processes: each derives one hash at a time.
 */
#define ARGON2_LANES 1
#define ARGON2_KEY 32
#define SALT_BYTES 16
#define SPEND_KIB 256

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

struct argon2_cost {
	uint32_t passes, kib;
};

/* Of a password that nobody has. */
const char password_scrypt_sample[] =
    "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static const char decoy_salt[] = "AAAAAAAAAAAAAAAAAAAAAA";

static bool uses_scrypt(const struct config *c)
{
	const char *format = config_str(c, CFG_PASSWORD_FORMAT);

	return format != NULL && strcmp(format, "scrypt") == 0;
}

static struct argon2_cost argon2_cost(const struct config *c)
{
	return (struct argon2_cost){.passes = (uint32_t)config_int(c, CFG_ARGON2_PASSES),
	                            .kib = (uint32_t)config_int(c, CFG_ARGON2_MEMORY_KIB)};
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

static char *argon2id_text(const void *ctx, const struct config *c, const char *password)
{
	struct argon2_cost cost = argon2_cost(c);
	unsigned char salt[SALT_BYTES];
	size_t size = argon2_encodedlen(cost.passes, cost.kib, ARGON2_LANES, SALT_BYTES, ARGON2_KEY, Argon2_id);
	char *encoded = mem_array(ctx, char, size);

	crypto_random(salt, sizeof(salt));
	if (argon2id_hash_encoded(cost.passes, cost.kib, ARGON2_LANES, password, strlen(password), salt, sizeof(salt),
	                          ARGON2_KEY, encoded, size) != ARGON2_OK)
		mem_exhausted();
	return encoded;
}

char *password_hash(const void *ctx, const struct config *c, const char *password)
{
	return uses_scrypt(c) ? scrypt_text(ctx, password) : argon2id_text(ctx, c, password);
}

void password_decoy(const struct config *c, const char *password)
{
	static const struct scrypt_cost cost = {SCRYPT_N, SCRYPT_R, SCRYPT_P};
	struct argon2_cost argon2 = argon2_cost(c);
	unsigned char key[SCRYPT_KEY];

	if (uses_scrypt(c))
		(void)scrypt_derive(password, decoy_salt, &cost, key);
	else
		(void)argon2id_hash_raw(argon2.passes, argon2.kib, ARGON2_LANES, password, strlen(password), decoy_salt,
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

/* The number behind "name" in an argon2 parameter list such as m=19456,t=2,p=1; 0 if it is not there or over max. */
static uint64_t argon2_parameter(const char *encoded, const char *name, uint64_t max)
{
	const char *at = strstr(encoded, name), *end;
	uint64_t value;

	return at != NULL && read_number(at + strlen(name), max, &value, &end) ? value : 0;
}

static enum verdict argon2_string_verify(const char *encoded, const char *password)
{
	argon2_type type = Argon2_d;
	int rc;

	if (strncmp(encoded, "$argon2id$", 10) == 0)
		type = Argon2_id;
	else if (strncmp(encoded, "$argon2i$", 9) == 0)
		type = Argon2_i;
	if (argon2_parameter(encoded, "$m=", STORED_MAX_KIB) == 0 ||
	    argon2_parameter(encoded, ",t=", STORED_MAX_PASSES) == 0 ||
	    argon2_parameter(encoded, ",p=", STORED_MAX_LANES) == 0)
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

/* ---- kinds and costs --------------------------------------------------------------------------------------------- */

static bool is_current_argon2(const struct config *c, const char *encoded)
{
	struct argon2_cost cost = argon2_cost(c);

	return strncmp(encoded, "$argon2id$v=19$", 15) == 0 &&
	       argon2_parameter(encoded, "$m=", STORED_MAX_KIB) == cost.kib &&
	       argon2_parameter(encoded, ",t=", STORED_MAX_PASSES) == cost.passes &&
	       argon2_parameter(encoded, ",p=", STORED_MAX_LANES) == ARGON2_LANES;
}

enum password_kind password_kind(const struct config *c, const char *encoded)
{
	if (encoded == NULL)
		return PASSWORD_NONE;
	if (strncmp(encoded, "scrypt$", 7) == 0) {
		bool usual = strncmp(encoded, password_scrypt_sample, strlen("scrypt$16384$8$1$")) == 0;

		return uses_scrypt(c) && usual ? PASSWORD_CURRENT : PASSWORD_SCRYPT;
	}
	if (strncmp(encoded, "$argon2", 7) == 0)
		return !uses_scrypt(c) && is_current_argon2(c, encoded) ? PASSWORD_CURRENT : PASSWORD_ARGON2;
	return encoded[0] == '$' ? PASSWORD_CRYPT : PASSWORD_NONE;
}

int64_t password_cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

void password_spend(int64_t us)
{
	int64_t until = password_cpu_us() + us;
	unsigned char key[ARGON2_KEY];

	/* The same kind of work as a derivation, in small pieces, so that it slows down with the machine as that does.
	 */
	while (password_cpu_us() < until)
		(void)argon2id_hash_raw(1, SPEND_KIB, 1, decoy_salt, SALT_BYTES, decoy_salt, SALT_BYTES, key,
		                        sizeof(key));
}
