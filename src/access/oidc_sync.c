#include "access/oidc_sync.h"

#include "access/principal.h"
#include "access/user_row.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

static status find_one(struct store *s, const void *ctx, const struct model *m, const char *field, const char *value,
                       json_object **doc)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, field, Q_EQ, value);
	q.limit = 1;
	TRY(store_list(s, ctx, m, &q, &page));
	*doc = page.count > 0 ? json_object_array_get_idx(page.docs, 0) : NULL;
	return ST_OK;
}

/* *doc NULL: no such document. */
static status get_or_none(struct store *s, const void *ctx, const struct model *m, const char *id, json_object **doc)
{
	status st = store_get(s, ctx, m, id, doc);

	if (st == ST_NOT_FOUND)
		*doc = NULL;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static bool same_user(json_object *a, json_object *b)
{
	return a != NULL && b != NULL && text_equal(json_str(a, "id"), json_str(b, "id"));
}

/* True if the e-mail is the built-in administrator's: the configured one, or that in its row. */
static status is_admin_email(struct store *s, const void *ctx, const struct config *c, const char *email, bool *is)
{
	json_object *row;

	TRY(get_or_none(s, ctx, &model_users, local_admin_id(ctx, c), &row));
	*is = text_equal_ci(email, config_str(c, CFG_LOCAL_ADMIN_EMAIL)) ||
	      (row != NULL && text_equal_ci(email, json_str_or(row, "email", "")));
	return ST_OK;
}

/* *mine: the account of the subject, or the one to adopt; NULL if there is neither. *conflict: it must not be taken. */
static status find_account(struct store *s, const void *ctx, const struct config *c, const struct oidc_identity *id,
                           json_object **mine, bool *known, bool *conflict)
{
	json_object *identity, *of_email, *other = NULL;

	*mine = NULL;
	TRY(is_admin_email(s, ctx, c, id->email, conflict));
	TRY(find_one(s, ctx, &model_external_identities, "subject", id->subject, &identity));
	*known = identity != NULL;
	if (*known)
		TRY(store_get(s, ctx, &model_users, json_str(identity, "userId"), mine));
	TRY(find_one(s, ctx, &model_users, "email", id->email, &of_email));
	if (!*known && of_email != NULL) {
		*mine = of_email;
		TRY(find_one(s, ctx, &model_external_identities, "userId", json_str(of_email, "id"), &other));
	}
	if (*mine == NULL)
		return ST_OK;
	*conflict = *conflict || other != NULL || (of_email != NULL && !same_user(*mine, of_email)) ||
	            !text_equal(json_str(*mine, "provider"), "oidc") ||
	            text_equal_ci(json_str_or(*mine, "id", ""), local_admin_id(ctx, c));
	return ST_OK;
}

/* Locks the account that was found; ST_CONFLICT if it is gone meanwhile, as for one that came. */
static status lock(struct store *s, const void *ctx, json_object **user)
{
	status st = user_row_lock(ctx, s, json_str(*user, "id"), user);

	return st == ST_NOT_FOUND ? ST_CONFLICT : st;
}

static status create(struct store *s, const void *ctx, const struct oidc_identity *id, json_object **user)
{
	json_object *doc = json_new_object(ctx);
	char uuid[UUID_SIZE];

	uuid_v4(uuid);
	json_set_str(doc, "id", uuid);
	json_set_str(doc, "email", id->email);
	json_set_str(doc, "name", id->name);
	json_set_str(doc, "provider", "oidc");
	json_set_ref(doc, "roles", id->roles);
	json_set_ref(doc, "groups", id->groups);
	json_set_ref(doc, "resourceGrants", json_new_array(ctx));
	return store_user_create(s, ctx, doc, user);
}

static status bring_in_line(struct store *s, const void *ctx, const struct oidc_identity *id, json_object **user)
{
	const char *user_id = json_str(*user, "id");
	json_object *patch = json_new_object(ctx);
	struct query q;
	struct page page;

	json_set_str(patch, "email", id->email);
	json_set_str(patch, "name", id->name);
	query_init(&q);
	query_where(&q, "id", Q_EQ, user_id);
	TRY(store_update(s, ctx, &model_users, &q, patch, &page, NULL));
	TRY(store_access_write(s, ctx, user_id, id->roles, json_new_array(ctx), id->groups));
	return store_get(s, ctx, &model_users, user_id, user);
}

static status claim(struct store *s, const void *ctx, const struct oidc_identity *id, json_object *user)
{
	json_object *identity = json_new_object(ctx);

	json_set_str(identity, "subject", id->subject);
	json_set_str(identity, "userId", json_str(user, "id"));
	return store_insert(s, ctx, &model_external_identities, identity, NULL);
}

status oidc_sync(const void *ctx, struct store *s, const struct config *c, const struct oidc_identity *id,
                 json_object **user, const char **refusal)
{
	bool known, conflict;

	*refusal = NULL;
	/* One at a time: first sign-ins of one person come in pairs when the browser restores its tabs. */
	TRY(store_lock(s, "oidc_sync"));
	TRY(find_account(s, ctx, c, id, user, &known, &conflict));
	/* or an account that is disabled at this moment would get a session behind the revocation of all others */
	if (*user != NULL && !conflict)
		TRY(lock(s, ctx, user));
	if (conflict)
		*refusal = "oidc_email_conflict";
	else if (*user != NULL && json_str(*user, "disabledAt") != NULL)
		*refusal = "user_disabled";
	if (*refusal != NULL)
		return ST_OK;
	TRY(*user == NULL ? create(s, ctx, id, user) : bring_in_line(s, ctx, id, user));
	return known ? ST_OK : claim(s, ctx, id, *user);
}
