/* Password hashes: vectors of contract 01 7 and 07 2.3, other forms, defects (09 D-62), cost (D-106). */
#include "access/password.h"
#include "base/clock.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config *conf;

static void setup(void)
{
	conf = config_defaults(NULL);
}

TestSuite(password, .init = setup);

static const struct {
	const char *encoded, *password;
	bool want;
} cases[] = {
    {"scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-"
     "NXPXDrJbLObnPw0lrG7Skde5o4g",
     "correct horse", true},
    {"scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-"
     "NXPXDrJbLObnPw0lrG7Skde5o4g$ignored$too",
     "correct horse", true},
    {"scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-"
     "NXPXDrJbLObnPw0lrG7Skde5o4g",
     "correct horsf", false},
    {"scrypt$16384$8$1$i6V-dd0p_EAok89-gbSacQ$G7UuHtPh_eGhLDJvTHr6-5WZXBDGTZh6Ar43AOP8dQx9uqBGQ61uwd018WMvUAab8MOZo"
     "C17vsY9h2dvg0dmaA",
     "rakkr-local-dev-password", true},
    /* a cut key */
    {"scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-",
     "correct horse", false},
    /* bcrypt and SHA-512 crypt, as crypt(3) makes them */
    {"$2b$04$abcdefghijklmnopqrstuuWEd8cEFkOkuNWkT3cqqzxS3CvPZgIcm", "not this", false},
    /* defects: never a match, never a crash */
    {NULL, "x", false},
    {"", "", false},
    {"x", "x", false},
    {"$", "x", false},
    {"$1", "x", false},
    {"scrypt", "x", false},
    {"scrypt$", "x", false},
    {"scrypt$0$8$1$x$y", "x", false},
    {"scrypt$1$8$1$x$y", "x", false},
    {"scrypt$16383$8$1$x$y", "x", false},
    {"scrypt$16384$0$1$x$y", "x", false},
    {"scrypt$16384$8$0$x$y", "x", false},
    {"scrypt$16384$8$1000000$x$y", "x", false},
    {"scrypt$131072$8$1$x$y", "x", false},
    {"scrypt$18446744073709551616$8$1$x$y", "x", false},
    {"scrypt$-16384$8$1$x$y", "x", false},
    {"scrypt$16384$8$1$$", "x", false},
    {"scrypt$16384$8$1$x$", "x", false},
    {"scrypt$16384$8$1$$y", "x", false},
    {"scrypt$16384$8$1$x", "x", false},
    {"scrypt$abc$8$1$x$y", "x", false},
    {"$argon2id$v=19$m=4194304,t=1,p=1$YWJjZGVmZ2g$YWJj", "x", false},
    {"$argon2id$v=19$m=64,t=1,p=1$$", "x", false},
    {"$argon2id$", "x", false},
    {"$argon2x$v=19$m=64,t=1,p=1$YWJjZGVmZ2g$YWJj", "x", false},
    {"$2b$31$abcdefghijklmnopqrstuuWEd8cEFkOkuNWkT3cqqzxS3CvPZgIcm", "x", false},
    {"$6$rounds=999999999$salt$hash", "x", false},
    {"$y$", "x", false},
};

Test(password, vectors_and_defects)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(password_verify(conf, cases[i].encoded, cases[i].password), cases[i].want, "case %zu", i);
}

static void round_trip(const char *prefix)
{
	static const char *const passwords[] = {"12345678", "p\xc3\xa4ssw\xc3\xb6rd \xf0\x9f\x94\x91",
	                                        "  spaces kept  "};

	for (size_t i = 0; i < 3; i++) {
		char *a = password_hash(conf, conf, passwords[i]), *b = password_hash(conf, conf, passwords[i]);

		cr_expect_eq(strncmp(a, prefix, strlen(prefix)), 0, "%s", a);
		cr_expect_str_neq(a, b, "every hash has its own salt");
		cr_expect(password_verify(conf, a, passwords[i]));
		cr_expect(password_verify(conf, b, passwords[i]));
		cr_expect_not(password_verify(conf, a, "12345679"));
		cr_expect_not(password_verify(conf, a, ""));
	}
}

Test(password, argon2id_is_the_default)
{
	round_trip("$argon2id$v=19$");
}

Test(password, scrypt_on_request)
{
	config_set(conf, CFG_PASSWORD_FORMAT, "scrypt");
	round_trip("scrypt$16384$8$1$");
	cr_expect_eq(strlen(password_hash(conf, conf, "x")), strlen("scrypt$16384$8$1$") + 22 + 1 + 86);
}

Test(password, crypt_strings)
{
	/* made with crypt(3): $2b$ cost 4, $6$ with 1000 rounds, $y$ */
	extern char *crypt(const char *, const char *);
	static const char *const settings[] = {"$2b$04$abcdefghijklmnopqrstuu", "$6$rounds=1000$saltsalt",
	                                       "$5$saltsalt", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1"};

	for (size_t i = 0; i < 4; i++) {
		char *encoded = mem_strdup(conf, crypt("open sesame", settings[i]));

		cr_expect(password_verify(conf, encoded, "open sesame"), "%s", encoded);
		cr_expect_not(password_verify(conf, encoded, "open sesam"), "%s", encoded);
	}
}

static int64_t spent(const char *encoded)
{
	int64_t start = clock_mono_ms();

	for (int i = 0; i < 8; i++) {
		if (encoded == NULL)
			password_decoy(conf, "some password");
		else
			password_verify(conf, encoded, "some password");
	}
	return clock_mono_ms() - start;
}

/* Coarse on purpose: a missing derivation is a factor of fifty. */
Test(password, unknown_accounts_cost_the_same)
{
	int64_t known = spent(password_hash(conf, conf, "another password")), decoy = spent(NULL);
	int64_t defect = spent("scrypt$0$8$1$x$y");

	cr_expect_gt(decoy, known / 3, "known %lld decoy %lld", (long long)known, (long long)decoy);
	cr_expect_gt(known, decoy / 3, "known %lld decoy %lld", (long long)known, (long long)decoy);
	cr_expect_gt(defect, known / 3, "known %lld defect %lld", (long long)known, (long long)defect);
}

Test(password, configured_cost)
{
	config_set(conf, CFG_ARGON2_MEMORY_KIB, "256");
	config_set(conf, CFG_ARGON2_PASSES, "3");
	round_trip("$argon2id$v=19$m=256,t=3,p=1$");
}

Test(password, kinds)
{
	const char *fresh = password_hash(conf, conf, "x");
	const struct {
		const char *encoded;
		enum password_kind argon2id, scrypt; /* by the configured format */
	} kinds[] = {
	    {fresh, PASSWORD_CURRENT, PASSWORD_ARGON2},
	    {password_scrypt_sample, PASSWORD_SCRYPT, PASSWORD_CURRENT},
	    {"scrypt$32768$8$1$x$y", PASSWORD_SCRYPT, PASSWORD_SCRYPT},
	    {"$argon2id$v=19$m=27648,t=3,p=1$x$y", PASSWORD_ARGON2, PASSWORD_ARGON2},
	    {"$argon2id$v=19$m=27647,t=2,p=1$x$y", PASSWORD_ARGON2, PASSWORD_ARGON2},
	    {"$argon2id$v=19$m=27648,t=2,p=2$x$y", PASSWORD_ARGON2, PASSWORD_ARGON2},
	    {"$argon2i$v=19$m=27648,t=2,p=1$x$y", PASSWORD_ARGON2, PASSWORD_ARGON2},
	    {"$2b$10$abcdefghijklmnopqrstuu", PASSWORD_CRYPT, PASSWORD_CRYPT},
	    {"plain", PASSWORD_NONE, PASSWORD_NONE},
	    {NULL, PASSWORD_NONE, PASSWORD_NONE},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		config_set(conf, CFG_PASSWORD_FORMAT, NULL);
		cr_expect_eq(password_kind(conf, kinds[i].encoded), kinds[i].argon2id, "case %zu", i);
		config_set(conf, CFG_PASSWORD_FORMAT, "scrypt");
		cr_expect_eq(password_kind(conf, kinds[i].encoded), kinds[i].scrypt, "case %zu", i);
	}
	cr_expect_not(password_verify(conf, password_scrypt_sample, ""));
}
