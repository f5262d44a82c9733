/* Putting a cached recording into the upload queue (contract 05 1.3, 2.1; 03 3.15; 09 D-05, D-32). */
#ifndef RAKKR_TRANSFER_UPLOAD_ENQUEUE_H
#define RAKKR_TRANSFER_UPLOAD_ENQUEUE_H

#include "store/store.h"

#define UPLOAD_BUILTIN_POLICY "upload-policy-stub"

/* The upload policy of a recording: its own if that exists, else the built-in one; never NULL. Owned by ctx. */
status upload_policy_of(struct store *s, const void *ctx, json_object *recording, json_object **policy);

/*
 * The item that carries the recording to the policy's provider: one that is on its way or has succeeded with the same
 * file, target and policy is returned as it is; one that has failed for good is revived for this policy; else a new
 * one. reason goes into lastError. Part of the caller's unit of work.
 */
status upload_enqueue(struct store *s, const void *ctx, int64_t now_ms, json_object *recording, json_object *policy,
                      const char *reason, json_object **item);

/*
 * The recording has a new file: items that still wait for the old one are cancelled, and new ones take their place with
 * the same provider, target and policy. Part of the caller's unit of work.
 */
status upload_supersede(struct store *s, const void *ctx, int64_t now_ms, json_object *recording);

#endif
