/* Login, logout and who am I (contract 01 8, 9; rows 47-49). */
#include "api/route.h"
#include "api/session.h"
#include "access/password.h"
#include "access/sign_in.h"
#include "access/user_row.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/schema.h"

#include <string.h>
#include <time.h>

#define SESSION_MS (INT64_C(12) * 60 * 60 * 1000)
#define IP_MAX 120
#define AGENT_MAX 1000

/* How long /auth/me waits for the account store: the console takes any other answer for a logout (D-68). */
#define ME_PATIENCE_MS 5000
#define ME_PAUSE_MS 250

/* The password that older documentation published; opens nothing unless a development switch is set (D-47). */
static const char published_password[] = "rakkr-local-dev-password";

static const struct schema_field login_fields[] = {
    {.name = "email", .type = V_EMAIL, .flags = S_REQUIRED},
    {.name = "password", .type = V_STR, .flags = S_REQUIRED, .min = 1},
};
static const struct schema login_schema = SCHEMA(login_fields, 0, NULL);

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

status session_create(struct request *r, json_object *user, const char *password_hash, struct session *out)
{
	json_object *row = json_clone(r->mem, user), *session = json_new_object(r->mem);
	const char *ip = req_client_ip(r), *agent = req_header(r, "user-agent"), *id;
	char hash[SHA256_HEX_SIZE];

	out->token = crypto_token(r->mem, "rakkr_");
	crypto_sha256_hex(hash, out->token, strlen(out->token));
	out->short_id = mem_strndup(r->mem, hash, 16);
	out->expires_at = clock_iso_dup(r->mem, r->now_ms + SESSION_MS);
	/* Roles are rows only once an administrator gives them (01 6); until then the environment's role counts. */
	json_object_object_del(row, "roles");
	json_object_object_del(row, "permissions");
	json_set_str_opt(row, "passwordHash", password_hash);
	json_set_str(session, "tokenHash", hash);
	json_set_str(session, "userId", json_str(user, "id"));
	json_set_str(session, "expiresAt", out->expires_at);
	json_set_str_opt(session, "ipAddress", ip != NULL ? text_cut(r->mem, ip, IP_MAX) : NULL);
	json_set_str_opt(session, "userAgent", agent != NULL ? text_cut(r->mem, agent, AGENT_MAX) : NULL);
	return store_session_create(r->store, r->mem, row, session, &id);
}

void session_clear_state_cookie(struct request *r)
{
	reply_header(r, "Set-Cookie",
	             "rakkr_oidc_state=; Max-Age=0; Path=/api/v1/auth/oidc/callback; HttpOnly; SameSite=Lax");
}

static struct target user_target(const struct principal *who)
{
	if (who->kind != WHO_USER)
		return TARGET("user", NULL, NULL);
	return TARGET("user", who->id, who->email);
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

struct account {
	struct sign_in sign_in;
	json_object *row;          /* users row, or the local admin's document without one */
	bool stored;               /* it is a row */
	const char *password_hash; /* to be stored, NULL if the stored one stays */
	bool replace;              /* ... in a row that is there already, unless it changed meanwhile */
	const char *refusal;       /* audit reason; NULL = the password is right */
};

static status find_row(struct request *r, const char *field, const char *value, json_object **row)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, field, Q_EQ, value);
	q.limit = 1;
	TRY(store_list(r->store, r->mem, &model_users, &q, &page));
	*row = page.count > 0 ? json_object_array_get_idx(page.docs, 0) : NULL;
	return ST_OK;
}

/* True if the published password may be used: a development machine that says so. */
static bool published_allowed(const struct config *c)
{
	return config_on(c, CFG_DEV_DEFAULT_PASSWORD) && !text_equal(config_str(c, CFG_NODE_ENV), "production");
}

/* The password that opens the local admin's account while no hash is stored; NULL = none. */
static const char *environment_password(const struct config *c)
{
	if (config_str(c, CFG_LOCAL_ADMIN_PASSWORD) != NULL)
		return config_str(c, CFG_LOCAL_ADMIN_PASSWORD);
	return published_allowed(c) ? published_password : NULL;
}

static void refuse_without_password(struct request *r, struct account *a)
{
	log_warn("sign-in as %s refused: RAKKR_LOCAL_ADMIN_PASSWORD is not set",
	         config_str(r->config, CFG_LOCAL_ADMIN_EMAIL));
	a->refusal = "missing_local_password";
}

/* Local admin without a stored hash: the environment decides. */
static void check_environment(struct request *r, struct account *a, bool email_matches, const char *password)
{
	const char *expected = environment_password(r->config);

	(void)sign_in_check(&a->sign_in, NULL, password);
	if (!email_matches)
		a->refusal = "invalid_credentials";
	else if (expected == NULL)
		refuse_without_password(r, a);
	else if (!crypto_equal(password, expected))
		a->refusal = "invalid_credentials";
	else
		a->password_hash = password_hash(r->mem, r->config, password);
}

/*
 * A stored hash of the published password counts as none: it came from an installation that had no password of its own
 * (D-47). Otherwise the stored hash decides alone, so that a reset through the API stays (01 T3).
 */
static void check_local_admin(struct request *r, struct account *a, const char *hash, bool right, const char *password)
{
	const char *expected = environment_password(r->config);
	bool is_expected = expected != NULL && crypto_equal(password, expected);

	if (right && !is_expected && crypto_equal(password, published_password) && !published_allowed(r->config)) {
		refuse_without_password(r, a);
	} else if (!right && is_expected && sign_in_check(&a->sign_in, hash, published_password)) {
		a->password_hash = password_hash(r->mem, r->config, password);
		a->replace = true;
	} else if (!right) {
		a->refusal = "invalid_credentials";
	}
}

static void check_row(struct request *r, struct account *a, bool is_admin, const char *password)
{
	const char *hash = json_str(a->row, "passwordHash");
	bool right = sign_in_check(&a->sign_in, hash, password);

	if (json_str(a->row, "disabledAt") != NULL)
		a->refusal = "user_disabled";
	else if (is_admin && hash != NULL)
		check_local_admin(r, a, hash, right, password);
	else if (!right)
		a->refusal = "invalid_credentials";
	if (a->refusal == NULL && !a->replace && password_kind(r->config, hash) != PASSWORD_CURRENT) {
		/* Another form or cost than the configured one: now is when the password is known. */
		a->password_hash = password_hash(r->mem, r->config, password);
		a->replace = true;
	}
}

/* Finds the row for an e-mail; that of the local admin may carry an earlier one. *row NULL: none. */
static status account_row(struct request *r, const char *email, json_object **row)
{
	TRY(find_row(r, "email", text_lower(r->mem, email), row));
	if (*row != NULL || !text_equal_ci(email, config_str(r->config, CFG_LOCAL_ADMIN_EMAIL)))
		return ST_OK;
	return find_row(r, "id", local_admin_id(r->mem, r->config), row);
}

/*
 * Finds the account of an e-mail and checks the password. Every refusal spends one derivation and what it lacks to the
 * dearest one, so that its time does not tell whether the account exists, or how old its hash is (D-106).
 */
static status check_credentials(struct request *r, const char *email, const char *password, struct account *a)
{
	bool is_admin;

	TRY(account_row(r, email, &a->row));
	if (a->row == NULL) {
		check_environment(r, a, text_equal_ci(email, config_str(r->config, CFG_LOCAL_ADMIN_EMAIL)), password);
		a->row = local_admin(r->mem, r->config);
		return ST_OK;
	}
	a->stored = true;
	is_admin = text_equal(json_str(a->row, "id"), local_admin_id(r->mem, r->config)) &&
	           !text_equal(json_str(a->row, "provider"), "oidc");
	a->replace = is_admin && json_str(a->row, "passwordHash") == NULL && json_str(a->row, "disabledAt") == NULL;
	if (a->replace) /* made by an access update before its first login */
		check_environment(r, a, true, password);
	else
		check_row(r, a, is_admin, password);
	return ST_OK;
}

/* Replaces a hash that does not count or is not up to date, unless it changed meanwhile. */
static status store_new_hash(struct request *r, const struct account *a)
{
	const char *old = json_str(a->row, "passwordHash");
	json_object *patch = json_new_object(r->mem);
	struct query q;
	struct page page;

	if (!a->replace || a->password_hash == NULL)
		return ST_OK;
	query_init(&q);
	query_where(&q, "id", Q_EQ, json_str(a->row, "id"));
	query_where(&q, "passwordHash", old != NULL ? Q_EQ : Q_ABSENT, old);
	json_set_str(patch, "passwordHash", a->password_hash);
	return store_update(r->store, r->mem, &model_users, &q, patch, &page, NULL);
}

static status login_failed(struct request *r, int code, const char *text, const char *reason, const char *email)
{
	return fail(r, code, text, reason, TARGET("user", NULL, email), details(r, "email", J_STR, email, NULL));
}

static status too_many(struct request *r, const char *email, int64_t retry_after)
{
	reply_header(r, "Retry-After", mem_printf(r->mem, "%lld", (long long)retry_after));
	return login_failed(r, 429, "Too many sign-in attempts", "rate_limited", email);
}

/*
 * Looks again at the account, which stays locked until the session is stored: while the password was checked it may
 * have been given another one, or been disabled or deleted, and the session would outlive the revocation of all others.
 * Its groups and grants are stored with the session: those that were taken from it meanwhile must not come back.
 */
static status recheck(struct request *r, struct account *a, const char *password)
{
	const char *checked = json_str(a->row, "passwordHash"), *hash;
	json_object *row;
	status st = user_row_lock(r->mem, r->store, json_str(a->row, "id"), &row);

	if (st == ST_NOT_FOUND) {
		a->refusal = a->stored ? "invalid_credentials" : NULL;
		return ST_OK;
	}
	TRY(st);
	a->row = row;
	hash = json_str(row, "passwordHash");
	if (json_str(row, "disabledAt") != NULL)
		a->refusal = "user_disabled";
	else if (!text_equal(hash, checked)) { /* also by another sign-in that renewed it */
		a->replace = false;
		a->refusal = sign_in_check(&a->sign_in, hash, password) ? NULL : "invalid_credentials";
	}
	return ST_OK;
}

static status login_succeeded(struct request *r, const struct account *a)
{
	json_object *user = user_wire(r->mem, r->config, a->row), *data = json_new_object(r->mem);
	struct principal actor;
	struct session session;

	TRY(store_new_hash(r, a));
	TRY(session_create(r, user, a->password_hash, &session));
	principal_from_user(user, session.short_id, &actor);
	audit_add(r, &(struct audit){.target = user_target(&actor), .actor = &actor});
	json_set_str(data, "expiresAt", session.expires_at);
	json_set_str(data, "sessionId", session.short_id);
	json_set_str(data, "token", session.token);
	json_set_ref(data, "user", user);
	return reply_data(r, 200, data);
}

static status login(struct request *r)
{
	json_object *body, *input;
	struct account account = {.refusal = NULL};
	const char *email;
	int64_t retry_after;
	status st;

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &login_schema, body, &input, NULL))
		return fail(r, 400, "Invalid login request", "invalid_request", TARGET("user", NULL, NULL),
		            details(r, "reason", J_STR, "invalid_request", NULL));
	email = json_str(input, "email");
	if (!sign_in_begin(&account.sign_in, r->mem, r->live, r->config, email, req_client_ip(r), &retry_after))
		return too_many(r, email, retry_after);
	st = check_credentials(r, email, json_str(input, "password"), &account);
	if (st == ST_OK && account.refusal == NULL)
		st = recheck(r, &account, json_str(input, "password"));
	if (st == ST_OK && account.refusal != NULL) {
		sign_in_even_out(&account.sign_in);
		return login_failed(r, 401, "Invalid credentials", account.refusal, email);
	}
	if (st == ST_OK)
		st = login_succeeded(r, &account);
	if (st == ST_OK)
		sign_in_succeeded(&account.sign_in);
	else
		sign_in_uncounted(&account.sign_in);
	if (st == ST_UNAVAILABLE)
		return login_failed(r, 503, "Auth storage unavailable", "database_unavailable", email);
	return st;
}

/* ---- logout and me ----------------------------------------------------------------------------------------------- */

static status logout(struct request *r)
{
	const char *token = bearer_token(r->mem, req_header(r, "authorization"));
	char hash[SHA256_HEX_SIZE];

	if (token != NULL) {
		crypto_sha256_hex(hash, token, strlen(token));
		TRY(store_session_revoke(r->store, hash, r->now_ms));
	}
	session_clear_state_cookie(r);
	audit_ok(r, user_target(&r->who), NULL);
	return reply_empty(r, 204);
}

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static status me(struct request *r)
{
	const char *token = bearer_token(r->mem, req_header(r, "authorization"));
	int64_t deadline = clock_mono_ms() + ME_PATIENCE_MS;
	bool waits = false;
	status st;

	while ((st = principal_from_session(r->mem, r->store, r->config, token, r->now_ms, &r->who)) ==
	       ST_UNAVAILABLE) {
		/* one at a time: the other workers are for those who can be served (heartbeats) */
		if (!waits && !(waits = live_waiting_begin(r->live)))
			break;
		if (clock_mono_ms() + ME_PAUSE_MS > deadline)
			break;
		pause_ms(ME_PAUSE_MS);
	}
	if (waits)
		live_waiting_end(r->live);
	if (st == ST_UNAVAILABLE)
		return fail(r, 503, "Auth storage unavailable", "database_unavailable", TARGET("user", NULL, NULL),
		            NULL);
	TRY(st);
	if (r->who.kind == WHO_USER) {
		audit_ok(r, user_target(&r->who), NULL);
		return reply_data(r, 200, r->who.user);
	}
	audit_add(r,
	          &(struct audit){.outcome = "denied", .reason = "unauthorized", .target = TARGET("user", NULL, NULL)});
	return reply_error(r, 401, "Unauthorized");
}

const struct route auth_routes[] = {
    {.method = "POST",
     .path = "/api/v1/auth/login",
     .guard = GUARD_PUBLIC,
     .permission = PERM_NONE,
     .action = "auth.login",
     .target_type = "user",
     .handler = login},
    {.method = "POST",
     .path = "/api/v1/auth/logout",
     .guard = GUARD_SESSION,
     .permission = PERM_NONE,
     .action = "auth.logout",
     .target_type = "user",
     .handler = logout},
    /* public for the dispatcher: the handler reads the session itself, with patience */
    {.method = "GET",
     .path = "/api/v1/auth/me",
     .guard = GUARD_PUBLIC,
     .permission = PERM_NONE,
     .action = "auth.me.read",
     .target_type = "user",
     .handler = me},
    {.method = NULL},
};
