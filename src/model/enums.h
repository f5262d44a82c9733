/* The closed sets of words of contract 07 3.1, each NULL-terminated and in the contract's order. */
#ifndef RAKKR_MODEL_ENUMS_H
#define RAKKR_MODEL_ENUMS_H

#include <stdbool.h>

extern const char *const enum_node_status[];
extern const char *const enum_health_severity[];
extern const char *const enum_health_status[];
extern const char *const enum_recording_source[];
extern const char *const enum_recording_status[];
extern const char *const enum_recording_health[];
extern const char *const enum_job_status[];
extern const char *const enum_upload_provider[];
extern const char *const enum_upload_queue_status[];
extern const char *const enum_upload_trigger[];
extern const char *const enum_retention_scope[];
extern const char *const enum_retention_action[];
extern const char *const enum_channel_mode[];
extern const char *const enum_capture_backend[];
extern const char *const enum_interface_backend[];
extern const char *const enum_output_codec[];
extern const char *const enum_assignment_target[];
extern const char *const enum_plan_status[];
extern const char *const enum_day_of_week[];
extern const char *const enum_recurrence_mode[];
extern const char *const enum_watchdog_active[];
extern const char *const enum_watchdog_metric[];
extern const char *const enum_waveform_source[];
extern const char *const enum_policy_effect[];
extern const char *const enum_policy_subject[];
extern const char *const enum_audit_outcome[];
extern const char *const enum_actor_type[];
extern const char *const enum_user_provider[];
extern const char *const enum_lifecycle_action[];
extern const char *const enum_lifecycle_status[];

/* True if word is one of values; false for NULL. */
bool enum_has(const char *const *values, const char *word);

#endif
