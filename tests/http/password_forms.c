/* Hashes of an adopted installation, in every form it may hold, and the one for a site that may go back (contract 01
 * 7). */
#include "http/harness.h"
#include "http/oidc_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(password_forms, .fini = instance_stop, .timeout = 120);

#define PASSWORD "correct horse"

static const struct account accounts[] = {
    {"scrypt@example.org", "A", "local",
     "scrypt$16384$8$1$AAECAwQFBgcICQoLDA0ODw$DlaJmKJwLCjqnhOmD9d_rY3bc7HcNUm4VQHBHg24p02eiWA4RXhL5Tbq2J-"
     "NXPXDrJbLObnPw0lrG7Skde5o4g",
     NULL},
    {"argon2id@example.org", "B", "local",
     "$argon2id$v=19$m=4096,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$mbR2mYdlv18OIKgXNAJA1Y45t2TIeaSTekH/sMqS2Kw", NULL},
    {"argon2i@example.org", "C", "local",
     "$argon2i$v=19$m=4096,t=3,p=1$c2l4dGVlbiBieXRlcyBvaw$GXn/pkicbH65m5hDerWSumS6tDgLpt6Z6clYel/lJ7U", NULL},
    {"argon2d@example.org", "D", "local",
     "$argon2d$v=19$m=2048,t=2,p=2$c2l4dGVlbiBieXRlcyBvaw$6iwiuRR/H7zEzkBD9xb/xzCWSiGhZARW", NULL},
    {"argon2-1.0@example.org", "E", "local",
     "$argon2id$v=16$m=2048,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$0bIwtWLXSxJKsGIqZ6NE1Ge/HF4fuyNz7YiCE8lOt/g", NULL},
    {"bcrypt@example.org", "F", "local", "$2b$10$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu", NULL},
    {"bcrypt-y@example.org", "G", "local", "$2y$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC", NULL},
    {"bcrypt-a@example.org", "H", "local", "$2a$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static struct response sign_in(const char *email, const char *password)
{
	return post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
}

static const char *stored_hash(const char *email)
{
	static char text[1 << 16];
	json_object *row;
	FILE *f;

	if (on_postgres())
		return sql("select password_hash from users where email = '%s'", email);
	f = fopen(fmt("%s/data/users.json", instance_dir()), "r");
	cr_assert_not_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	row = j_find(json_tokener_parse(text), "users", "email", email);
	cr_assert_not_null(row, "%s", email);
	return j_str(row, "passwordHash");
}

static void expect_form(const char *email, const char *form)
{
	const char *hash = stored_hash(email);

	cr_expect_eq(strncmp(hash, form, strlen(form)), 0, "%s: %s", email, hash);
}

/* Each opens its account, and is of the configured form then. */
static void open_all(const char *form)
{
	for (const struct account *a = accounts; a->email != NULL; a++) {
		must(sign_in(a->email, "correct horsf"), 401);
		cr_expect_str_eq(stored_hash(a->email), a->hash, "%s: a wrong password changes nothing", a->email);
		must(sign_in(a->email, PASSWORD), 200);
		expect_form(a->email, form);
		must(sign_in(a->email, PASSWORD), 200);
		must(sign_in(a->email, "correct horsf"), 401);
	}
}

Test(password_forms, every_form_opens_and_is_renewed)
{
	instance_start(accounts, NULL);
	open_all("$argon2id$v=19$m=27648,t=2,p=1$");
}

/* 09 D-62 */
Test(password_forms, defects_open_nothing)
{
	static const struct account broken[] = {
	    {"none@example.org", "A", "local", NULL, NULL},
	    {"zero@example.org", "B", "local", "scrypt$0$8$1$x$y", NULL},
	    {"empty@example.org", "C", "local", "scrypt$16384$8$1$$", NULL},
	    {"huge@example.org", "D", "local", "scrypt$1048576$8$1$AAECAwQFBgcICQoLDA0ODw$AAAA", NULL},
	    {"plain@example.org", "E", "local", PASSWORD, NULL},
	    {"argon2@example.org", "F", "local", "$argon2id$v=19$m=99999999,t=9,p=1$c2l4dGVlbg$AAAA", NULL},
	    {"provider@example.org", "G", "oidc", NULL, NULL},
	    {NULL, NULL, NULL, NULL, NULL},
	};

	instance_start(broken, NULL);
	for (const struct account *a = broken; a->email != NULL; a++) {
		struct response r = sign_in(a->email, PASSWORD);

		must(r, 401);
		cr_expect_str_eq(r.body, "{\"error\":\"Invalid credentials\"}", "%s", a->email);
		cr_expect_str_eq(j_str(audit_last("auth.login.failed", NULL), "reason"), "invalid_credentials");
		cr_expect_str_eq(j_str(audit_last("auth.login.failed", NULL), "details.email"), a->email);
	}
	must(get("/api/v1/auth/me", admin()), 200);
}

/* RAKKR_PASSWORD_FORMAT=scrypt: nothing is written that the earlier controller cannot read. */
Test(password_forms, the_earlier_form_for_a_site_that_may_go_back)
{
	static const char *const env[] = {"RAKKR_PASSWORD_FORMAT=scrypt", NULL};
	static const char form[] = "scrypt$16384$8$1$";
	struct user u;

	instance_start(accounts, env);
	open_all(form);
	u = create_user("viewer", NULL);
	expect_form(u.email, form);
	must(patch(fmt("/api/v1/auth/users/%s/password", u.id), admin(), "{\"password\":\"another password\"}"), 200);
	expect_form(u.email, form);
	must(sign_in(u.email, "another password"), 200);
	/* the local admin got its row at its first sign-in */
	expect_form("admin@rakkr.local", form);
}
