/* Upload providers, policies and queue (contract 05, 07 2.15 - 2.17, 3.11). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

#define NEVER "1970-01-01T00:00:00.000Z"

static const struct model_field provider_fields[] = {
    F_TEXT("credentialRef", "credential_ref", 0, 0),
    F_TEXT("displayName", "display_name", 160, M_REQUIRED),
    F_TYPE("enabled", "enabled", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_WORD("provider", "provider", enum_upload_provider, 32, M_REQUIRED | M_FIXED),
    F_TEXT("target", "target", 0, 0),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_DEFAULT),
};

static void repair_provider(json_object *doc)
{
	mend_text(doc, "credentialRef");
	mend_text(doc, "target");
	mend_text_or(doc, "displayName", json_str_or(doc, "provider", "Provider"));
	mend_bool_or(doc, "enabled", false);
	mend_text_or(doc, "updatedAt", NEVER);
}

static bool accept_provider(json_object *doc)
{
	return enum_has(enum_upload_provider, json_str(doc, "provider"));
}

static void seed_providers(json_object *array, bool demo)
{
	(void)demo;
	seed_text(array, "{\"displayName\":\"Stub Queue Provider\",\"enabled\":true,\"provider\":\"stub\","
	                 "\"target\":\"stub://queue-only\",\"updatedAt\":\"" NEVER "\"}");
	seed_text(array, "{\"displayName\":\"SMB Share\",\"enabled\":false,\"provider\":\"smb\","
	                 "\"updatedAt\":\"" NEVER "\"}");
	seed_text(array, "{\"displayName\":\"S3 Bucket\",\"enabled\":false,\"provider\":\"s3\","
	                 "\"updatedAt\":\"" NEVER "\"}");
}

const struct model model_upload_providers = {
    .name = "upload_providers",
    .table = "upload_providers",
    .id = "provider",
    FIELDS(provider_fields),
    .order = {"provider", NULL},
    .path = CFG_UPLOAD_PROVIDERS_PATH,
    .file_key = "providers",
    .file_error = "upload_provider_store_invalid",
    .repair = repair_provider,
    .accept = accept_provider,
    .seed = seed_providers,
};

static const struct model_field policy_fields[] = {
    F_TYPE("deleteCacheAfterUpload", "delete_cache_after_upload", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_TYPE("enabled", "enabled", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_TYPE("maxAttempts", "max_attempts", M_INT, M_REQUIRED | M_DEFAULT),
    F_TEXT("name", "name", 160, M_REQUIRED),
    F_WORD("provider", "provider", enum_upload_provider, 32, M_REQUIRED),
    F_TEXT("target", "target", 0, 0),
    F_WORD("trigger", "trigger", enum_upload_trigger, 40, M_REQUIRED),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED | M_DEFAULT),
};

static void repair_policy(json_object *doc)
{
	mend_bool_or(doc, "deleteCacheAfterUpload", false);
	mend_bool_or(doc, "enabled", false);
	mend_int_or(doc, "maxAttempts", 1, 5);
	mend_text_or(doc, "name", json_str_or(doc, "id", "Upload policy"));
	mend_word_or(doc, "provider", enum_upload_provider, "stub");
	mend_text(doc, "target");
	mend_word_or(doc, "trigger", enum_upload_trigger, "manual");
	mend_text_or(doc, "updatedAt", NEVER);
}

static void seed_policy(json_object *array, bool demo)
{
	(void)demo;
	seed_text(array, "{\"deleteCacheAfterUpload\":false,\"enabled\":true,\"id\":\"upload-policy-stub\","
	                 "\"maxAttempts\":5,\"name\":\"Stub Upload Queue\",\"provider\":\"stub\","
	                 "\"target\":\"stub://queue-only\",\"trigger\":\"manual\",\"updatedAt\":\"" NEVER "\"}");
}

const struct model model_upload_policies = {
    .name = "upload_policies",
    .table = "upload_policies",
    .id = "id",
    FIELDS(policy_fields),
    .order = {"name", "id"},
    .path = CFG_UPLOAD_POLICIES_PATH,
    .file_key = "policies",
    .file_error = "upload_policy_store_invalid",
    .repair = repair_policy,
    .accept = accept_id,
    .seed = seed_policy,
};

static const struct model_field queue_fields[] = {
    F_TYPE("attemptCount", "attempt_count", M_INT, M_REQUIRED | M_DEFAULT),
    F_TEXT("cachePath", "cache_path", 0, 0),
    F_TEXT("checksum", "checksum", 160, 0),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_FIXED),
    F_TEXT("fileName", "file_name", 0, M_REQUIRED),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_TEXT("lastError", "last_error", 0, 0),
    F_TYPE("maxAttempts", "max_attempts", M_INT, M_REQUIRED | M_DEFAULT),
    F_TYPE("nextAttemptAt", "next_attempt_at", M_TIME, M_REQUIRED),
    F_WORD("provider", "provider", enum_upload_provider, 32, M_REQUIRED),
    F_TEXT("recordingId", "recording_id", 160, M_REQUIRED),
    F_WORD("status", "status", enum_upload_queue_status, 32, M_REQUIRED),
    F_TEXT("target", "target", 0, 0),
    F_TYPE("updatedAt", "updated_at", M_TIME, M_REQUIRED),
    F_TEXT("uploadPolicyId", "upload_policy_id", 160, 0),
};

static void repair_item(json_object *doc)
{
	mend_int_or(doc, "attemptCount", 0, 0);
	mend_int_or(doc, "maxAttempts", 1, 5);
	mend_text(doc, "cachePath");
	mend_text(doc, "checksum");
	mend_text(doc, "fileName");
	mend_text(doc, "lastError");
	mend_text(doc, "target");
	mend_text(doc, "uploadPolicyId");
	mend_word_or(doc, "provider", enum_upload_provider, "stub");
	/* an unknown state must not start an upload by itself; a failed item can be retried by hand */
	mend_word_or(doc, "status", enum_upload_queue_status, "failed");
}

static bool accept_item(json_object *doc)
{
	static const char *const strings[] = {"id", "createdAt", "nextAttemptAt", "recordingId", "updatedAt"};
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (!has_text(doc, strings[i]))
			return false;
	return true;
}

const struct model model_upload_queue = {
    .name = "upload_queue",
    .table = "upload_queue_items",
    .id = "id",
    FIELDS(queue_fields),
    .order = {"nextAttemptAt", "id"},
    .path = CFG_UPLOAD_QUEUE_PATH,
    .file_key = "items",
    .file_error = "upload_queue_store_invalid",
    .repair = repair_item,
    .accept = accept_item,
};
