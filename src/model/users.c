/* Users, groups, external identities, access policies, sessions, OIDC login states (contract 01 4, 07 2.3 - 2.6). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

#define ROLES_SQL                                                                                                      \
	"coalesce((SELECT jsonb_agg(r.role_id ORDER BY array_position("                                                \
	"ARRAY['owner', 'admin', 'operator', 'viewer', 'auditor'], r.role_id::text), r.role_id) "                      \
	"FROM user_roles r WHERE r.user_id = t.id), '[]')"
#define GROUPS_SQL                                                                                                     \
	"coalesce((SELECT jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.id) "                    \
	"FROM user_access_groups m JOIN access_groups g ON g.id = m.group_id WHERE m.user_id = t.id), '[]')"
#define GRANTS_SQL                                                                                                     \
	"coalesce((SELECT jsonb_agg(jsonb_build_object('resourceId', g.resource_id, 'resourceType', g.resource_type) " \
	"ORDER BY g.created_at, g.resource_type, g.resource_id) "                                                      \
	"FROM user_resource_grants g WHERE g.user_id = t.id), '[]')"

static const struct model_field user_fields[] = {
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TYPE("disabledAt", "disabled_at", M_TIME, 0),
    F_TEXT("email", "email", 320, M_REQUIRED | M_SEARCH),
    F_DERIVED("groups", GROUPS_SQL, M_JSON, 0, NULL),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TEXT("name", "name", 160, M_REQUIRED | M_SEARCH),
    F_TEXT("passwordHash", "password_hash", 0, M_HIDDEN),
    F_WORD("provider", "provider", enum_user_provider, 16, M_REQUIRED | M_DEFAULT),
    F_DERIVED("resourceGrants", GRANTS_SQL, M_JSON, 0, NULL),
    F_DERIVED("roles", ROLES_SQL, M_TEXTS, 0, NULL),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_HIDDEN | M_DEFAULT | M_TOUCH),
};

static bool is_group(json_object *item)
{
	return has_text(item, "id") && has_text(item, "name");
}

static bool is_grant(json_object *item)
{
	return has_text(item, "resourceId") && has_text(item, "resourceType");
}

static void repair_user(json_object *doc)
{
	mend_word_or(doc, "provider", enum_user_provider, "local");
	mend_items(doc, "groups", is_group);
	mend_items(doc, "resourceGrants", is_grant);
	mend_texts(doc, "roles");
}

static bool accept_user(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "email") && has_text(doc, "name");
}

const struct model model_users = {
    .name = "users",
    .table = "users",
    .id = "id",
    FIELDS(user_fields),
    .order = {"createdAt", "id"},
    .path = CFG_USERS_PATH,
    .file_key = "users",
    .file_error = "user_store_invalid",
    .repair = repair_user,
    .accept = accept_user,
};

static const struct model_field group_fields[] = {
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TEXT("description", "description", 0, M_HIDDEN),
    F_TEXT("id", "id", 120, M_REQUIRED | M_FIXED),
    F_TEXT("name", "name", 160, M_REQUIRED),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_HIDDEN | M_DEFAULT | M_TOUCH),
};

const struct model model_access_groups = {
    .name = "access_groups",
    .table = "access_groups",
    .id = "id",
    FIELDS(group_fields),
    .order = {"id", NULL},
    .path = CFG_KEY_COUNT,
    .accept = accept_id,
};

/* Ours alone: the earlier controller knows accounts of the provider by their e-mail (09 D-103). */
static const struct model_field identity_fields[] = {
    F_TEXT("subject", "subject", 320, M_REQUIRED | M_FIXED),
    F_TYPE("userId", "user_id", M_UUID, M_REQUIRED | M_FIXED),
};

static bool accept_identity(json_object *doc)
{
	return has_text(doc, "subject") && has_text(doc, "userId");
}

const struct model model_external_identities = {
    .name = "external_identities",
    .table = "rakkr_fcgi.external_identities",
    .id = "subject",
    FIELDS(identity_fields),
    .order = {"subject", NULL},
    .path = CFG_KEY_COUNT,
    .accept = accept_identity,
};

static const struct model_field policy_fields[] = {
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TYPE("createdByUserId", "created_by_user_id", M_UUID, M_HIDDEN),
    F_ENUM("effect", "effect", enum_policy_effect, "access_policy_effect", M_REQUIRED),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TEXT("reason", "reason", 0, 0),
    F_TEXT("resourceId", "resource_id", 160, M_REQUIRED),
    F_TEXT("resourceType", "resource_type", 80, M_REQUIRED),
    F_TEXT("subjectId", "subject_id", 160, 0),
    F_ENUM("subjectType", "subject_type", enum_policy_subject, "access_policy_subject_type", M_REQUIRED),
};

/* A policy that cannot be understood must not stand in the list as if it were in force. */
static bool accept_policy(json_object *doc)
{
	return enum_has(enum_policy_effect, json_str(doc, "effect")) &&
	       enum_has(enum_policy_subject, json_str(doc, "subjectType")) && has_text(doc, "resourceId") &&
	       has_text(doc, "resourceType");
}

const struct model model_access_policies = {
    .name = "access_policies",
    .table = "access_policies",
    .id = "id",
    FIELDS(policy_fields),
    .order = {"createdAt", "id"},
    .path = CFG_ACCESS_POLICIES_PATH,
    .file_key = "policies",
    .file_error = "access_policy_store_invalid",
    .accept = accept_policy,
};

static const struct model_field session_fields[] = {
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TYPE("expiresAt", "expires_at", M_TIME, M_REQUIRED),
    F_TYPE("id", "id", M_UUID, M_REQUIRED | M_FIXED | M_DEFAULT),
    F_TEXT("ipAddress", "ip_address", 120, 0),
    F_TYPE("lastSeenAt", "last_seen_at", M_TIME, M_REQUIRED | M_DEFAULT),
    F_TYPE("revokedAt", "revoked_at", M_TIME, 0),
    F_TEXT("tokenHash", "token_hash", 0, M_REQUIRED | M_HIDDEN | M_FIXED),
    F_TEXT("userAgent", "user_agent", 0, 0),
    F_TYPE("userId", "user_id", M_UUID, M_REQUIRED | M_FIXED),
};

static bool accept_session(json_object *doc)
{
	return has_text(doc, "id") && has_text(doc, "tokenHash") && has_text(doc, "userId") &&
	       has_text(doc, "expiresAt");
}

const struct model model_sessions = {
    .name = "sessions",
    .table = "auth_sessions",
    .id = "id",
    FIELDS(session_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_SESSIONS_PATH,
    .file_key = "sessions",
    .file_error = "session_store_invalid",
    .accept = accept_session,
};

static const struct model_field state_fields[] = {
    F_TEXT("codeVerifier", "code_verifier", 0, M_REQUIRED),
    F_TYPE("consumedAt", "consumed_at", M_TIME, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_DEFAULT),
    F_TYPE("expiresAt", "expires_at", M_TIME, M_REQUIRED),
    F_TEXT("nonce", "nonce", 0, M_REQUIRED),
    F_TEXT("returnTo", "return_to", 0, 0),
    F_TEXT("stateHash", "state_hash", 0, M_REQUIRED | M_FIXED),
};

static bool accept_state(json_object *doc)
{
	return has_text(doc, "stateHash") && has_text(doc, "codeVerifier") && has_text(doc, "nonce") &&
	       has_text(doc, "expiresAt");
}

const struct model model_oidc_states = {
    .name = "oidc_states",
    .table = "oidc_login_states",
    .id = "stateHash",
    FIELDS(state_fields),
    .order = {"createdAt", "stateHash"},
    .path = CFG_OIDC_STATES_PATH,
    .file_key = "states",
    .file_error = "oidc_state_store_invalid",
    .accept = accept_state,
};
