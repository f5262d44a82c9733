#include "model/enums.h"

#include <stddef.h>
#include <string.h>

#define WORDS(name, ...) const char *const name[] = {__VA_ARGS__, NULL}

WORDS(enum_node_status, "online", "offline", "degraded", "recording", "alerting");
WORDS(enum_health_severity, "info", "warning", "critical");
WORDS(enum_health_status, "open", "acknowledged", "suppressed", "resolved");
WORDS(enum_recording_source, "ad_hoc", "schedule");
WORDS(enum_recording_status, "queued", "recording", "completed", "failed", "cached", "uploaded");
WORDS(enum_recording_health, "healthy", "warning", "critical", "unknown");
WORDS(enum_job_status, "queued", "running", "stop_requested", "cancelled", "completed", "failed");
WORDS(enum_upload_provider, "stub", "smb", "s3");
WORDS(enum_upload_queue_status, "queued", "retrying", "failed", "succeeded", "cancelled");
WORDS(enum_upload_trigger, "manual", "on_recording_cached");
WORDS(enum_retention_scope, "controller_cache", "recorder_cache");
WORDS(enum_retention_action, "keep", "delete_cache");
WORDS(enum_channel_mode, "mono", "stereo", "mono_to_stereo_mix", "multichannel");
WORDS(enum_capture_backend, "alsa", "jack", "pipewire");
WORDS(enum_interface_backend, "alsa", "jack", "pipewire", "unknown");
WORDS(enum_output_codec, "mp3", "flac", "wav");
WORDS(enum_assignment_target, "interface", "node");
WORDS(enum_plan_status, "applied", "cancelled", "pending");
WORDS(enum_day_of_week, "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday");
WORDS(enum_recurrence_mode, "manual", "once", "daily", "weekly", "monthly", "always_on");
WORDS(enum_watchdog_active, "always", "scheduled_recording", "recording");
WORDS(enum_watchdog_metric, "peak", "rms", "percentile_95");
WORDS(enum_waveform_source, "ffmpeg_decoded_peak", "wav_s16le_peak");
WORDS(enum_policy_effect, "allow", "deny");
WORDS(enum_policy_subject, "user", "group", "everyone");
WORDS(enum_audit_outcome, "allowed", "denied", "failed", "partial", "succeeded");
WORDS(enum_actor_type, "node", "system", "user");
WORDS(enum_user_provider, "local", "oidc");
WORDS(enum_lifecycle_action, "install_dependencies", "update_binary", "restart_service", "rotate_trust", "smoke_check");
WORDS(enum_lifecycle_status, "running", "succeeded", "failed");

bool enum_has(const char *const *values, const char *word)
{
	for (; word != NULL && *values != NULL; values++)
		if (strcmp(*values, word) == 0)
			return true;
	return false;
}
