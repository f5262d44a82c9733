/* Users, sessions and access policies (contract 01 4 - 8, 11; 07 2.3 - 2.5). */
#include "store/file/file.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

/* Widths of columns that hold text from a request's headers: cut, never refused (09 17.1, 17.2). */
#define IP_ADDRESS_MAX 120
#define USER_AGENT_MAX 1000
#define NAME_MAX_CHARACTERS 160
#define GROUP_ID_MAX 120

static status read_table(struct file_store *s, const struct model *m, struct table **t)
{
	return collection_read(s, collection_of(s, m), t);
}

/* ---- finding a session -------------------------------------------------------------------------- */

static bool session_lives(json_object *session, int64_t now_ms)
{
	const char *expires = json_str(session, "expiresAt");
	int64_t at;

	return json_get(session, "revokedAt") == NULL && expires != NULL && clock_parse(expires, CLOCK_LENIENT, &at) &&
	       at > now_ms;
}

static json_object *array_or_empty(json_object *o, const char *key)
{
	json_object *a = json_array(o, key);

	return a != NULL ? json_object_get(a) : json_object_new_array();
}

/* Ids of the user's groups, for matching policies. */
static const char **group_ids(void *ctx, json_object *user, size_t *count)
{
	json_object *groups = json_array(user, "groups");
	size_t n = groups == NULL ? 0 : json_object_array_length(groups);
	const char **ids = mem_array(ctx, const char *, n);

	*count = 0;
	for (size_t i = 0; i < n; i++) {
		const char *id = json_str(json_object_array_get_idx(groups, i), "id");

		if (id != NULL)
			ids[(*count)++] = id;
	}
	return ids;
}

static void add_policies(json_object *out, const struct table *t, json_object *user)
{
	json_object *list = json_object_new_array();
	void *ctx = talloc_new(NULL);
	bool stored = false;
	size_t count;
	const char **groups = group_ids(ctx, user, &count);

	for (size_t i = 0; i < t->count; i++) {
		json_object *policy = t->at[i]->doc, *match;

		if (t->at[i]->hidden)
			continue;
		stored = true;
		if (!policy_subject_matches(json_str(policy, "subjectType"), json_str(policy, "subjectId"),
		                            json_str(user, "id"), json_str(user, "email"), groups, count))
			continue;
		match = json_object_new_object();
		json_set_ref(match, "effect", json_get(policy, "effect"));
		json_set_ref(match, "resourceType", json_get(policy, "resourceType"));
		json_set_ref(match, "resourceId", json_get(policy, "resourceId"));
		json_object_array_add(list, match);
	}
	json_set_bool(out, "policiesStored", stored);
	json_object_object_add(out, "policies", list);
	talloc_free(ctx);
}

static void add_user(json_object *out, json_object *user)
{
	static const char *const scalars[] = {"id", "email", "name", "provider"};
	static const char *const lists[] = {"roles", "groups", "resourceGrants"};
	json_object *copy = json_object_new_object(), *roles = json_array(user, "roles");

	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
		json_set_copy(copy, scalars[i], json_get(user, scalars[i]));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		json_object *list = array_or_empty(user, lists[i]);

		json_set_copy(copy, lists[i], list);
		json_object_put(list);
	}
	json_object_object_add(out, "user", copy);
	json_set_bool(out, "roleRows", roles != NULL && json_object_array_length(roles) > 0);
}

status file_session_find(void *b, const void *ctx, const char *hash, int64_t now_ms, json_object **out)
{
	struct file_store *s = file_enter(b);
	struct table *sessions, *users, *policies;
	const struct element *session, *user;

	TRY(read_table(s, &model_sessions, &sessions));
	session = table_find_key(sessions, hash);
	if (session == NULL || !session_lives(session->doc, now_ms))
		return ST_NOT_FOUND;
	TRY(read_table(s, &model_users, &users));
	user = table_find(users, json_str(session->doc, "userId"));
	if (user == NULL || json_get(user->doc, "disabledAt") != NULL)
		return ST_NOT_FOUND;
	TRY(read_table(s, &model_access_policies, &policies));
	*out = json_new_object(ctx);
	json_set_str(*out, "sessionId", session->id);
	add_user(*out, user->doc);
	add_policies(*out, policies, user->doc);
	return ST_OK;
}

/* ---- groups, grants, roles ---------------------------------------------------------------------- */

static bool same_members(json_object *a, json_object *b, const char *k1, const char *k2)
{
	return text_equal(json_str(a, k1), json_str(b, k1)) &&
	       (k2 == NULL || text_equal(json_str(a, k2), json_str(b, k2)));
}

/* Adds the items of more that list lacks by the members k1 and k2; copies. */
static void add_missing(json_object *list, json_object *more, const char *k1, const char *k2)
{
	for (size_t i = 0; more != NULL && i < json_object_array_length(more); i++) {
		json_object *item = json_object_array_get_idx(more, i), *copy = NULL;
		bool there = false;

		if (json_str(item, k1) == NULL || (k2 != NULL && json_str(item, k2) == NULL))
			continue;
		for (size_t k = 0; !there && k < json_object_array_length(list); k++)
			there = same_members(json_object_array_get_idx(list, k), item, k1, k2);
		if (!there && json_object_deep_copy(item, &copy, NULL) == 0)
			json_object_array_add(list, copy);
	}
}

static json_object *distinct(json_object *list, const char *k1, const char *k2)
{
	json_object *out = json_object_new_array();

	add_missing(out, list, k1, k2);
	return out;
}

static json_object *distinct_texts(json_object *list)
{
	json_object *out = json_object_new_array();

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *item = json_object_array_get_idx(list, i);
		bool there = !json_is_str(item);

		for (size_t k = 0; !there && k < json_object_array_length(out); k++)
			there = json_same(json_object_array_get_idx(out, k), item);
		if (!there)
			json_object_array_add(out, json_object_get(item));
	}
	return out;
}

/* Makes the groups known (contract 07 2.3 write access); a name that changed is taken over. */
static status keep_groups(struct file_store *s, json_object *groups)
{
	for (size_t i = 0; groups != NULL && i < json_object_array_length(groups); i++) {
		json_object *group = json_object_array_get_idx(groups, i);
		struct collection *c = collection_of(s, &model_access_groups);
		struct table *t;
		struct element *e;
		status st = ST_OK;

		if (text_blank(json_str(group, "id")))
			continue;
		TRY(collection_read(s, c, &t));
		e = table_find(t, json_str(group, "id"));
		if (e == NULL)
			st = document_add(s, &model_access_groups, group, NULL);
		else if (!text_equal(json_str(e->doc, "name"), json_str(group, "name")))
			st = document_change(c, table_place(t, e), group, NULL);
		if (st != ST_OK && st != ST_INVALID) /* an over-long group of a provider is skipped, and was logged */
			return st;
	}
	return ST_OK;
}

/* Replaces the access lists in patch by distinct ones; lists that are absent stay so. */
static void tidy_access(json_object *patch)
{
	if (json_has(patch, "roles"))
		json_object_object_add(patch, "roles", distinct_texts(json_array(patch, "roles")));
	if (json_has(patch, "resourceGrants"))
		json_object_object_add(patch, "resourceGrants",
		                       distinct(json_array(patch, "resourceGrants"), "resourceType", "resourceId"));
	if (json_has(patch, "groups"))
		json_object_object_add(patch, "groups", distinct(json_array(patch, "groups"), "id", NULL));
}

/* Over-long ids would be refused by a database; the request was checked before, so this is a caller's mistake. */
static bool access_fits(json_object *patch)
{
	static const struct {
		const char *list, *member;
		size_t max;
	} widths[] = {{"resourceGrants", "resourceType", 80},
	              {"resourceGrants", "resourceId", 160},
	              {"groups", "id", GROUP_ID_MAX},
	              {"groups", "name", NAME_MAX_CHARACTERS}};
	void *ctx = talloc_new(NULL);
	bool fits = true;

	for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
		json_object *list = json_array(patch, widths[w].list);

		for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
			const char *v = json_str_or(json_object_array_get_idx(list, i), widths[w].member, "");

			fits = fits && strcmp(text_cut(ctx, v, widths[w].max), v) == 0;
		}
	}
	talloc_free(ctx);
	return fits;
}

status file_access_write(void *b, const void *ctx, const char *user_id, json_object *roles, json_object *grants,
                         json_object *groups)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_users);
	json_object *patch;
	struct table *t;
	struct element *e;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	e = table_find(t, user_id);
	if (e == NULL)
		return ST_NOT_FOUND;
	patch = json_new_object(ctx);
	json_object_object_add(patch, "roles", distinct_texts(roles));
	json_object_object_add(patch, "resourceGrants", distinct(grants, "resourceType", "resourceId"));
	json_object_object_add(patch, "groups", distinct(groups, "id", NULL));
	if (!access_fits(patch))
		return ST_INVALID;
	TRY(document_change(c, table_place(t, e), patch, NULL));
	return keep_groups(s, groups);
}

status file_user_create(void *b, const void *ctx, json_object *doc, json_object **stored)
{
	struct file_store *s = file_enter(b);
	json_object *copy = json_clone(ctx, doc), *added;

	tidy_access(copy);
	if (!access_fits(copy))
		return ST_INVALID;
	TRY(document_add(s, &model_users, copy, &added));
	if (stored != NULL)
		*stored = document_out(ctx, &model_users, added);
	return keep_groups(s, json_array(copy, "groups"));
}

/* ---- sessions ----------------------------------------------------------------------------------- */

/* Sessions that can never be used again go with the next login. */
static status prune_sessions(struct file_store *s, int64_t now_ms)
{
	struct collection *c = collection_of(s, &model_sessions);
	struct table *t;
	bool found = false;

	TRY(collection_read(s, c, &t));
	for (size_t i = 0; i < t->count; i++) {
		if (t->at[i]->hidden || session_lives(t->at[i]->doc, now_ms))
			continue;
		found = true;
		t = collection_work(c);
		table_clear(t, i);
	}
	if (found)
		table_close_gaps(t);
	return ST_OK;
}

static status make_user(struct file_store *s, const void *ctx, json_object *user)
{
	json_object *copy = json_clone(ctx, user);

	tidy_access(copy);
	json_set_str(copy, "name", text_cut(ctx, json_str_or(user, "name", ""), NAME_MAX_CHARACTERS));
	return document_add(s, &model_users, copy, NULL);
}

/* Groups and grants that the stored user lacks. */
static status complete_user(const void *ctx, struct collection *c, struct table *t, struct element *e,
                            json_object *user)
{
	json_object *patch = json_new_object(ctx);
	json_object *groups = distinct(json_array(e->doc, "groups"), "id", NULL);
	json_object *grants = distinct(json_array(e->doc, "resourceGrants"), "resourceType", "resourceId");
	size_t before = json_object_array_length(groups) + json_object_array_length(grants);

	json_object_object_add(patch, "groups", groups);
	json_object_object_add(patch, "resourceGrants", grants);
	add_missing(groups, json_array(user, "groups"), "id", NULL);
	add_missing(grants, json_array(user, "resourceGrants"), "resourceType", "resourceId");
	if (json_object_array_length(groups) + json_object_array_length(grants) == before)
		return ST_OK;
	return document_change(c, table_place(t, e), patch, NULL);
}

static json_object *session_document(const void *ctx, json_object *session, const char *user_id)
{
	json_object *doc = json_clone(ctx, session);
	const char *address = json_str(session, "ipAddress"), *agent = json_str(session, "userAgent");
	char id[UUID_SIZE];

	uuid_v4(id);
	json_set_str(doc, "id", id);
	json_set_str(doc, "userId", user_id);
	if (address != NULL)
		json_set_str(doc, "ipAddress", text_cut(ctx, address, IP_ADDRESS_MAX));
	if (agent != NULL)
		json_set_str(doc, "userAgent", text_cut(ctx, agent, USER_AGENT_MAX));
	return doc;
}

status file_session_create(void *b, const void *ctx, json_object *user, json_object *session, const char **id)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_users);
	const char *user_id = json_str_or(user, "id", "");
	json_object *stored;
	struct table *t;
	struct element *e;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	e = table_find(t, user_id);
	if (e == NULL && text_is_uuid(user_id))
		e = table_find(t, text_lower(ctx, user_id));
	if (e == NULL)
		TRY(make_user(s, ctx, user));
	else
		TRY(complete_user(ctx, c, t, e, user));
	TRY(keep_groups(s, json_array(user, "groups")));
	TRY(prune_sessions(s, clock_now_ms()));
	TRY(document_add(s, &model_sessions, session_document(ctx, session, user_id), &stored));
	if (id != NULL)
		*id = mem_strdup(ctx, json_str_or(stored, "id", ""));
	return ST_OK;
}

static status revoke(struct file_store *s, size_t place, int64_t now_ms)
{
	json_object *patch = json_object_new_object();
	status st;

	json_set_iso(patch, "revokedAt", now_ms);
	st = document_change(collection_of(s, &model_sessions), place, patch, NULL);
	json_object_put(patch);
	return st;
}

status file_session_revoke(void *b, const char *hash, int64_t now_ms)
{
	struct file_store *s = file_enter(b);
	struct element *e;
	struct table *t;

	TRY(unit_begin(s));
	TRY(read_table(s, &model_sessions, &t));
	e = table_find_key(t, hash);
	if (e == NULL || json_get(e->doc, "revokedAt") != NULL)
		return ST_OK;
	return revoke(s, table_place(t, e), now_ms);
}

status file_sessions_revoke_user(void *b, const char *user_id, int64_t now_ms)
{
	struct file_store *s = file_enter(b);
	struct table *t;

	TRY(unit_begin(s));
	TRY(read_table(s, &model_sessions, &t));
	for (size_t i = 0; i < t->count; i++) {
		json_object *doc = t->at[i]->doc;

		if (t->at[i]->hidden || json_get(doc, "revokedAt") != NULL ||
		    !text_equal(json_str(doc, "userId"), user_id))
			continue;
		TRY(revoke(s, i, now_ms));
		t = collection_of(s, &model_sessions)->work;
	}
	return ST_OK;
}

/* ---- policies ----------------------------------------------------------------------------------- */

static status make_policy(const struct collection *c, json_object *input, const char *created_by, struct element **e)
{
	json_object *copy = NULL, *doc;
	char id[UUID_SIZE];
	status st;

	if (json_object_deep_copy(input, &copy, NULL) != 0)
		mem_exhausted();
	uuid_v4(id);
	json_set_str(copy, "id", id);
	json_object_object_del(copy, "createdAt");
	json_object_object_del(copy, "createdByUserId");
	json_set_str_opt(copy, "createdByUserId", created_by);
	st = document_in(c, copy, &doc);
	json_object_put(copy);
	if (st == ST_OK)
		*e = element_new(c, doc);
	return st;
}

status file_policies_replace(void *b, const void *ctx, json_object *policies, const char *created_by)
{
	struct file_store *s = file_enter(b);
	struct collection *c = collection_of(s, &model_access_policies);
	size_t count = json_object_array_length(policies), made = 0;
	struct element **elements = mem_array(ctx, struct element *, count);
	status st = ST_OK;
	struct table *t;

	TRY(unit_begin(s));
	TRY(collection_read(s, c, &t));
	while (st == ST_OK && made < count) {
		st = make_policy(c, json_object_array_get_idx(policies, made), created_by, &elements[made]);
		made += st == ST_OK;
	}
	if (st == ST_OK) {
		t = collection_work(c);
		for (size_t i = 0; i < t->count; i++)
			if (!t->at[i]->hidden)
				table_clear(t, i);
		table_close_gaps(t);
		for (size_t i = 0; i < count; i++)
			table_push_back(t, elements[i]);
		return ST_OK;
	}
	for (size_t i = 0; i < made; i++)
		element_put(elements[i]);
	return st;
}
