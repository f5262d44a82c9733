#include "access/principal.h"

#include "access/expand.h"
#include "access/policy.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

/* Nodes call every few seconds: one that has not for so long was perhaps ended meanwhile. */
#define NODE_WINDOW_MS 15000

static bool same_id(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

void principal_anonymous(struct principal *p)
{
	/* One empty list a process, never freed. The stream process has threads, but serves requests one at a time. */
	static json_object *no_roles;

	if (no_roles == NULL)
		no_roles = json_object_new_array();
	*p = (struct principal){.kind = WHO_ANONYMOUS, .id = "anonymous", .name = "Anonymous", .roles = no_roles};
}

const char *bearer_token(const void *ctx, const char *authorization)
{
	const char *space, *token;
	size_t n;

	if (authorization == NULL)
		return NULL;
	space = strchr(authorization, ' ');
	if (space == NULL || space - authorization != 6 || strncasecmp(authorization, "bearer", 6) != 0)
		return NULL;
	token = space + 1;
	n = strcspn(token, " ");
	return n == 0 ? NULL : mem_strndup(ctx, token, n);
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

/* The known role names of roles without repetitions; a new reference. */
static json_object *known_roles(json_object *roles)
{
	json_object *out = json_object_new_array();
	uint32_t seen = 0;

	for (size_t i = 0; roles != NULL && i < json_object_array_length(roles); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(roles, i));
		enum role r = name != NULL ? role_parse(name) : ROLE_COUNT;

		if (r == ROLE_COUNT || (seen & (1u << r)) != 0)
			continue;
		seen |= 1u << r;
		json_push_str(out, name);
	}
	return out;
}

/* Permissions in role order, first occurrence kept; a new reference. *mask gets their union. */
static json_object *permissions_of(json_object *roles, uint32_t *mask)
{
	json_object *out = json_object_new_array();

	*mask = 0;
	for (size_t i = 0; roles != NULL && i < json_object_array_length(roles); i++) {
		uint32_t of_role =
		    role_permissions(role_parse(json_object_get_string(json_object_array_get_idx(roles, i))));

		for (int p = 0; p < PERM_COUNT; p++)
			if ((of_role & ~*mask & (1u << p)) != 0)
				json_push_str(out, permission_name((enum permission)p));
		*mask |= of_role;
	}
	return out;
}

/* Copies of the items of list with only the two given keys; a new reference. */
static json_object *pairs(json_object *list, const char *first, const char *second)
{
	json_object *out = json_object_new_array();

	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		json_object *item = json_object_array_get_idx(list, i), *pair = json_object_new_object();

		json_set_str_opt(pair, first, json_str(item, first));
		json_set_str_opt(pair, second, json_str(item, second));
		json_object_array_add(out, pair);
	}
	return out;
}

json_object *user_wire(const void *ctx, const struct config *c, json_object *user)
{
	json_object *wire = json_new_object(ctx), *roles = known_roles(json_array(user, "roles"));
	json_object *grants = json_array(user, "resourceGrants");
	bool admin = same_id(json_str(user, "id"), local_admin_id(ctx, c));
	uint32_t mask;

	/* 01 5.4 and T9: only the local admin has access that no row gives. */
	if (admin && json_object_array_length(roles) == 0) {
		json_push_str(roles, local_admin_role(c));
		if (grants == NULL || json_object_array_length(grants) == 0)
			grants = local_admin_grants(ctx, c);
	}
	json_set_str_opt(wire, "disabledAt", json_str(user, "disabledAt"));
	json_set_str(wire, "email", json_str_or(user, "email", ""));
	json_object_object_add(wire, "groups", pairs(json_array(user, "groups"), "id", "name"));
	json_set_str(wire, "id", json_str_or(user, "id", ""));
	json_set_str(wire, "name", json_str_or(user, "name", ""));
	json_object_object_add(wire, "permissions", permissions_of(roles, &mask));
	json_set_str(wire, "provider", text_equal(json_str(user, "provider"), "oidc") ? "oidc" : "local");
	json_object_object_add(wire, "resourceGrants", pairs(grants, "resourceId", "resourceType"));
	json_object_object_add(wire, "roles", roles);
	return wire;
}

void principal_from_user(json_object *user, const char *session_id, struct principal *p)
{
	*p = (struct principal){.kind = WHO_USER, .session_id = session_id, .user = user};
	p->id = json_str(user, "id");
	p->name = json_str(user, "name");
	p->email = json_str(user, "email");
	p->roles = json_array(user, "roles");
	json_object_put(permissions_of(p->roles, &p->permissions));
}

static bool is_unrestricted(json_object *roles)
{
	for (size_t i = 0; i < json_object_array_length(roles); i++) {
		enum role r = role_parse(json_object_get_string(json_object_array_get_idx(roles, i)));

		if (r == ROLE_OWNER || r == ROLE_ADMIN)
			return true;
	}
	return false;
}

static const char **group_ids(const void *ctx, json_object *groups, size_t *count)
{
	const char **ids;

	*count = groups != NULL ? json_object_array_length(groups) : 0;
	ids = mem_array(ctx, const char *, *count + 1);
	for (size_t i = 0; i < *count; i++)
		ids[i] = json_str_or(json_object_array_get_idx(groups, i), "id", "");
	return ids;
}

/* Those of the environment's policies whose subject is the user. */
static json_object *environment_policies(const void *ctx, const struct config *c, const struct principal *p)
{
	json_object *all = policies_from_environment(ctx, c), *mine = json_new_array(ctx);
	size_t groups;
	const char **ids = group_ids(ctx, json_array(p->user, "groups"), &groups);

	for (size_t i = 0; i < json_object_array_length(all); i++) {
		json_object *one = json_object_array_get_idx(all, i);

		if (policy_subject_matches(json_str(one, "subjectType"), json_str(one, "subjectId"), p->id, p->email,
		                           ids, groups))
			json_push_ref(mine, one);
	}
	return mine;
}

static void scope_fill(const void *ctx, struct principal *p, json_object *policies)
{
	json_object *grants = json_array(p->user, "resourceGrants");
	size_t grant_count = json_object_array_length(grants);
	size_t policy_count = policies != NULL ? json_object_array_length(policies) : 0;
	struct grant *g = mem_array(ctx, struct grant, grant_count + 1);
	struct policy *rules = mem_array(ctx, struct policy, policy_count + 1);

	for (size_t i = 0; i < grant_count; i++) {
		json_object *one = json_object_array_get_idx(grants, i);

		g[i] = (struct grant){.type = json_str_or(one, "resourceType", ""),
		                      .id = json_str_or(one, "resourceId", "")};
	}
	for (size_t i = 0; i < policy_count; i++) {
		json_object *one = json_object_array_get_idx(policies, i);

		rules[i] = (struct policy){.deny = text_equal(json_str(one, "effect"), "deny"),
		                           .type = json_str_or(one, "resourceType", ""),
		                           .id = json_str_or(one, "resourceId", "")};
	}
	p->scope = (struct scope_subject){.known = true,
	                                  .unrestricted = is_unrestricted(p->roles),
	                                  .grants = g,
	                                  .grant_count = grant_count,
	                                  .policies = rules,
	                                  .policy_count = policy_count};
}

status principal_from_session(const void *ctx, struct store *s, const struct config *c, const char *token,
                              int64_t now_ms, struct principal *p)
{
	char hash[SHA256_HEX_SIZE];
	json_object *found, *policies;
	status st;

	principal_anonymous(p);
	if (token == NULL)
		return ST_OK;
	crypto_sha256_hex(hash, token, strlen(token));
	st = store_session_find(s, ctx, hash, now_ms, &found);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st != ST_OK)
		return ST_UNAVAILABLE; /* never guess who is asking (01 T4) */
	principal_from_user(user_wire(ctx, c, json_object_at(found, "user")), json_str(found, "sessionId"), p);
	p->demo_node = store_is_database(s) && config_on(c, CFG_SEED_DEMO_DATA);
	policies =
	    json_flag(found, "policiesStored", false) ? json_array(found, "policies") : environment_policies(ctx, c, p);
	scope_fill(ctx, p, policies);
	return ST_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static void principal_node(const void *ctx, const char *node_id, struct principal *p)
{
	*p = (struct principal){.kind = WHO_NODE, .roles = json_new_array(ctx)};
	p->id = mem_strdup(ctx, node_id);
	p->name = p->id;
}

/*
 * True if a credential that cannot be looked up is as good as it was. Another host may have ended it unnoticed here; a
 * node that lives has called shortly before the database went away, and then goes on for as long as that lasts.
 */
static bool still_known(const struct config *c, const struct live *l, int64_t verified_ms)
{
	int64_t window = config_int(c, CFG_AUTH_STALE_SECONDS) * 1000, away = 0;

	if (verified_ms >= live_read(l, LIVE_ALONE_SINCE))
		return true;
	if (live_read(l, LIVE_DATABASE_DOWN) != 0)
		away = clock_now_ms() - live_read(l, LIVE_DATABASE_DOWN_SINCE);
	return verified_ms >= clock_mono_ms() - away - (window > NODE_WINDOW_MS ? window : NODE_WINDOW_MS);
}

status principal_from_node_token(const void *ctx, struct store *s, const struct config *c, struct live *l,
                                 const char *token, int64_t now_ms, struct principal *p)
{
	char hash[SHA256_HEX_SIZE], known[161];
	int64_t verified_ms;
	json_object *found;
	status st;

	principal_anonymous(p);
	if (token == NULL)
		return ST_NOT_FOUND;
	crypto_sha256_hex(hash, token, strlen(token));
	st = store_credential_find(s, ctx, hash, now_ms, &found);
	if (st == ST_OK) {
		principal_node(ctx, json_str_or(found, "nodeId", ""), p);
		live_credential_put(l, hash, p->id);
		return ST_OK;
	}
	if (!live_credential_get(l, hash, known, &verified_ms))
		return st;
	if (st == ST_NOT_FOUND) /* revoked meanwhile: an outage must not bring it back */
		live_credential_forget_node(l, known);
	if (st != ST_UNAVAILABLE || !still_known(c, l, verified_ms))
		return st;
	principal_node(ctx, known, p);
	store_degrade_note(s);
	return ST_OK;
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

bool principal_may(const struct principal *p, enum permission perm)
{
	return perm != PERM_NONE && (p->permissions & (1u << perm)) != 0;
}

static bool has_deny(const struct scope_subject *s)
{
	for (size_t i = 0; i < s->policy_count; i++)
		if (s->policies[i].deny)
			return true;
	return false;
}

/* True if the verdict over the target alone stays when its parents are added. */
static bool verdict_is_final(const struct scope_subject *s, enum scope_verdict alone)
{
	if (alone == SCOPE_POLICY_DENIED || alone == SCOPE_UNAUTHENTICATED)
		return true;
	if (alone == SCOPE_ALLOWED)
		return !has_deny(s);
	return s->grant_count == 0 && s->policy_count == 0;
}

bool principal_scope_alone(const struct principal *p, const struct target *t, enum scope_verdict *v)
{
	bool has_id = t->id != NULL && t->id[0] != '\0';

	*v = scope_decide(&p->scope, t, has_id ? 1 : 0);
	return !has_id || scope_is_total(&p->scope) || verdict_is_final(&p->scope, *v) || !expand_has_parents(t->type);
}

status principal_scope(const void *ctx, struct store *s, const struct principal *p, const struct target *t,
                       enum scope_verdict *v)
{
	struct targets expanded = {0};
	bool before;
	status st;

	if (principal_scope_alone(p, t, v))
		return ST_OK;
	before = store_degrade_access(s, true);
	st = expand_target(ctx, s, p, t->type, t->id, &expanded);
	store_degrade_access(s, before);
	TRY(st);
	*v = scope_decide(&p->scope, expanded.at, expanded.count);
	return ST_OK;
}
