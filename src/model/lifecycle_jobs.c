/* Node lifecycle jobs: a flat file in both modes (contract 07 2.19). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

static const struct model_field fields[] = {
    F_WORD("action", NULL, enum_lifecycle_action, 0, M_REQUIRED | M_FIXED),
    F_TYPE("completedAt", NULL, M_TIME, 0),
    F_TEXT("error", NULL, 0, 0),
    F_TYPE("exitCode", NULL, M_INT, 0),
    F_TEXT("id", NULL, 0, M_REQUIRED | M_FIXED),
    F_TEXT("nodeAlias", NULL, 0, M_REQUIRED | M_FIXED),
    F_TEXT("nodeId", NULL, 0, M_REQUIRED | M_FIXED),
    F_TYPE("requestedAt", NULL, M_TIME, M_REQUIRED | M_FIXED),
    F_TEXT("requestedBy", NULL, 0, M_REQUIRED | M_FIXED),
    F_TEXT("runnerRunId", NULL, 0, 0),
    F_TYPE("startedAt", NULL, M_TIME, 0),
    F_WORD("status", NULL, enum_lifecycle_status, 0, M_REQUIRED),
    F_TEXT("stderr", NULL, 0, 0),
    F_TEXT("stdout", NULL, 0, 0),
    F_TEXT("targetHost", NULL, 0, M_REQUIRED),
};

/* The predicate of contract 07 2.19. */
static bool accept(json_object *doc)
{
	static const char *const strings[] = {"id",          "nodeId",     "nodeAlias", "requestedAt",
	                                      "requestedBy", "targetHost", NULL};
	return has_strings(doc, strings) && enum_has(enum_lifecycle_action, json_str(doc, "action")) &&
	       enum_has(enum_lifecycle_status, json_str(doc, "status"));
}

const struct model model_lifecycle_jobs = {
    .name = "lifecycle_jobs",
    .id = "id",
    FIELDS(fields),
    .order = {"-requestedAt", "id"},
    .path = CFG_LIFECYCLE_JOBS_PATH,
    .file_key = "jobs",
    .file_error = "node_lifecycle_store_invalid",
    .accept = accept,
};
