#include "access/oidc_claims.h"

#include "access/oidc.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/format.h"
#include "model/permission.h"

#include <string.h>

#define EMAIL_MAX 320
#define NAME_MAX_CHARACTERS 160
#define GROUP_ID_MAX 120
#define SUBJECT_MAX 320

static bool fits(const void *ctx, const char *text, size_t max)
{
	return strcmp(text_cut(ctx, text, max), text) == 0;
}

/* ---- claims schema ----------------------------------------------------------------------------------------------- */

/* *text: the trimmed claim, NULL if it is absent. False if it is there and no text, or blank. */
static bool claim_text(const void *ctx, json_object *claims, const char *key, const char **text)
{
	const char *value = oidc_text(json_get(claims, key));

	*text = value != NULL ? text_trim(ctx, value) : NULL;
	return !json_has(claims, key) || (*text != NULL && **text != '\0');
}

/* *list: the trimmed texts of the claim, each once; empty if it is absent. False if it is no array of such texts. */
static bool claim_texts(const void *ctx, json_object *claims, const char *key, json_object **list)
{
	json_object *array = json_array(claims, key), *seen = json_new_object(ctx);

	*list = json_new_array(ctx);
	if (array == NULL)
		return !json_has(claims, key);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		const char *text = oidc_text(json_object_array_get_idx(array, i));

		if (text == NULL || text_blank(text))
			return false;
		text = text_trim(ctx, text);
		if (json_has(seen, text))
			continue;
		json_set_bool(seen, text, true);
		json_push_str(*list, text);
	}
	return true;
}

/* ---- identity ---------------------------------------------------------------------------------------------------- */

/* The first usable address; *any tells if there was one that is none (01 T21). */
static const char *find_email(const void *ctx, json_object *claims, bool *any)
{
	static const char *const keys[] = {"email", "preferred_username", "upn"};

	*any = false;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = oidc_text(json_get(claims, keys[i]));

		if (!json_has(claims, keys[i]))
			continue;
		*any = true;
		if (value != NULL && email_valid(value))
			return text_lower(ctx, value);
	}
	return NULL;
}

static bool is_unverified(json_object *claims)
{
	json_object *v = json_get(claims, "email_verified");

	if (json_object_is_type(v, json_type_boolean))
		return !json_object_get_boolean(v);
	return json_is_str(v) && text_equal_ci(json_object_get_string(v), "false");
}

/* Directory object before token subject, which may differ between applications; a tenant's ids are its own. */
static const char *subject_of(const void *ctx, const char *issuer, const char *tenant, const char *oid, const char *sub)
{
	const char *text = mem_printf(ctx, "%s#%s", tenant != NULL ? tenant : issuer, oid != NULL ? oid : sub);
	char hash[SHA256_HEX_SIZE];

	if (fits(ctx, text, SUBJECT_MAX))
		return text;
	crypto_sha256_hex(hash, text, strlen(text));
	return mem_printf(ctx, "sha256:%s", hash);
}

static json_object *known_roles(const void *ctx, json_object *names)
{
	json_object *roles = json_new_array(ctx);

	for (size_t i = 0; i < json_object_array_length(names); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		if (role_parse(name) != ROLE_COUNT)
			json_push_str(roles, name);
	}
	return roles;
}

static json_object *groups_of(const void *ctx, json_object *ids)
{
	json_object *groups = json_new_array(ctx);
	size_t left_out = 0;

	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		json_object *group;

		if (!fits(ctx, id, GROUP_ID_MAX)) {
			left_out++;
			continue;
		}
		group = json_new_object(ctx);
		json_set_str(group, "id", id);
		json_set_str(group, "name", id);
		json_push_ref(groups, group);
	}
	if (left_out > 0)
		log_warn("OIDC: %zu groups with more than %d characters are left out", left_out, GROUP_ID_MAX);
	return groups;
}

const char *oidc_identity_read(const void *ctx, json_object *claims, const char *issuer, struct oidc_identity *id)
{
	const char *sub, *oid, *tenant, *name;
	json_object *roles, *groups;
	bool any_email;

	if (!claim_text(ctx, claims, "sub", &sub) || sub == NULL || !claim_text(ctx, claims, "oid", &oid) ||
	    !claim_text(ctx, claims, "tid", &tenant) || !claim_text(ctx, claims, "name", &name) ||
	    !claim_texts(ctx, claims, "roles", &roles) || !claim_texts(ctx, claims, "groups", &groups) ||
	    is_unverified(claims))
		return "oidc_claims_invalid";
	id->email = find_email(ctx, claims, &any_email);
	if (id->email == NULL)
		return any_email ? "oidc_claims_invalid" : "unknown_oidc_error";
	if (!fits(ctx, id->email, EMAIL_MAX))
		return "oidc_claims_invalid";
	id->name = text_cut(ctx, name != NULL ? name : id->email, NAME_MAX_CHARACTERS);
	id->subject = subject_of(ctx, issuer, tenant, oid, sub);
	id->roles = known_roles(ctx, roles);
	id->groups = groups_of(ctx, groups);
	return NULL;
}
