/*
 * Access policies as inputs (contract 01 12.6): {effect, reason?, resourceId, resourceType, subjectId?, subjectType}.
 * Stored policies are documents of model_access_policies; the environment's are used while none are stored (01 4.2).
 */
#ifndef RAKKR_ACCESS_POLICY_H
#define RAKKR_ACCESS_POLICY_H

#include "base/config.h"
#include "base/json.h"

/* The array of RAKKR_LOCAL_ACCESS_POLICIES, owned by ctx; empty if unset, or if any element is invalid (01 3.2). */
json_object *policies_from_environment(const void *ctx, const struct config *c);

/* inputs without repetitions of the same rule for the same subject: position of the first, content of the last. */
json_object *policies_unique(const void *ctx, json_object *inputs);

/* Copies of inputs, each with its id policy_<16 hex of SHA-256>_<index>. */
json_object *policies_with_ids(const void *ctx, json_object *inputs);

#endif
