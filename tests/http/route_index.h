/*
 * The route index of contract 01 1 as a table: what the routes of the program are compared with, row by row
 * (tests/unit/routes.c), and walked by (tests/http/route_walk.c).
 */
#ifndef RAKKR_TESTS_HTTP_ROUTE_INDEX_H
#define RAKKR_TESTS_HTTP_ROUTE_INDEX_H

#include <stddef.h>

/* What the permission is asked about. */
enum index_target {
	NO_TARGET,
	WITHOUT_ID,   /* {type} */
	FIXED,        /* {value, type} */
	BY_PARAMETER, /* {:value, type} */
	BY_PLAN,      /* a hidden target of the plan, or the plan */
	BY_HEALTH,    /* recordingId, scheduleId or nodeId of the query, or {health} */
	BY_JOB,       /* the job's recording, or the job */
	BY_QUEUE,     /* the queue item's recording, or the item */
	BY_START,     /* the body's node, or an impossible one */
};

struct index_row {
	int number;
	const char *method, *path;
	char auth;              /* U user, N node credential, P public, S reads the session itself, D dual */
	const char *permission; /* a label only for N and D; NULL for P and S */
	const char *action;     /* M(action); prefix of the events for N, D, P, S */
	enum index_target target;
	const char *type, *value;
};

/* Rows whose handlers are still to be written. May only fall. */
#define ROWS_NOT_SERVED_MAX 68

/* clang-format off */
static const struct index_row route_index[] = {
    {1, "GET", "/metrics", 'U', "metrics:read", "metrics.read", WITHOUT_ID, "controller", NULL},
    {2, "GET", "/healthz", 'P', NULL, NULL, NO_TARGET, NULL, NULL},
    {3, "GET", "/api/v1/status", 'U', "node:read", "status.read", WITHOUT_ID, "controller", NULL},
    {4, "GET", "/api/v1/settings/recording-profiles", 'U', "settings:read", "settings.recording_profiles.read", WITHOUT_ID, "settings", NULL},
    {5, "GET", "/api/v1/settings/watchdog-policies", 'U', "settings:read", "settings.watchdog_policies.read", WITHOUT_ID, "settings", NULL},
    {6, "GET", "/api/v1/settings/channel-map-templates", 'U', "settings:read", "settings.channel_map_templates.read", WITHOUT_ID, "settings", NULL},
    {7, "GET", "/api/v1/settings/channel-map-assignments", 'U', "settings:read", "settings.channel_map_assignments.read", WITHOUT_ID, "settings", NULL},
    {8, "GET", "/api/v1/settings/channel-map-assignment-plans", 'U', "settings:read", "settings.channel_map_assignment_plans.read", WITHOUT_ID, "settings", NULL},
    {9, "GET", "/api/v1/settings/upload-providers", 'U', "settings:read", "settings.upload_providers.read", WITHOUT_ID, "settings", NULL},
    {10, "GET", "/api/v1/settings/upload-policies", 'U', "settings:read", "settings.upload_policies.read", WITHOUT_ID, "settings", NULL},
    {11, "GET", "/api/v1/settings/recording-profiles/:profileId", 'U', "settings:read", "settings.recording_profiles.detail.read", BY_PARAMETER, "recording_profile", "profileId"},
    {12, "GET", "/api/v1/settings/watchdog-policies/:policyId", 'U', "settings:read", "settings.watchdog_policies.detail.read", BY_PARAMETER, "watchdog_policy", "policyId"},
    {13, "GET", "/api/v1/settings/channel-map-templates/:templateId", 'U', "settings:read", "settings.channel_map_templates.detail.read", BY_PARAMETER, "channel_map_template", "templateId"},
    {14, "GET", "/api/v1/settings/channel-map-assignment-plans/:planId", 'U', "settings:read", "settings.channel_map_assignment_plans.detail.read", BY_PLAN, NULL, NULL},
    {15, "GET", "/api/v1/settings/upload-providers/:provider", 'U', "settings:read", "settings.upload_providers.detail.read", BY_PARAMETER, "upload_provider", "provider"},
    {16, "GET", "/api/v1/settings/upload-policies/:policyId", 'U', "settings:read", "settings.upload_policies.detail.read", BY_PARAMETER, "upload_policy", "policyId"},
    {17, "GET", "/api/v1/settings/recording-profiles/:profileId/actions", 'U', "settings:read", "settings.recording_profiles.actions.read", BY_PARAMETER, "recording_profile", "profileId"},
    {18, "GET", "/api/v1/settings/watchdog-policies/:policyId/actions", 'U', "settings:read", "settings.watchdog_policies.actions.read", BY_PARAMETER, "watchdog_policy", "policyId"},
    {19, "GET", "/api/v1/settings/channel-map-templates/:templateId/actions", 'U', "settings:read", "settings.channel_map_templates.actions.read", BY_PARAMETER, "channel_map_template", "templateId"},
    {20, "GET", "/api/v1/settings/channel-map-assignment-plans/:planId/actions", 'U', "settings:read", "settings.channel_map_assignment_plans.actions.read", BY_PLAN, NULL, NULL},
    {21, "GET", "/api/v1/settings/upload-providers/:provider/actions", 'U', "settings:read", "settings.upload_providers.actions.read", BY_PARAMETER, "upload_provider", "provider"},
    {22, "GET", "/api/v1/settings/upload-policies/:policyId/actions", 'U', "settings:read", "settings.upload_policies.actions.read", BY_PARAMETER, "upload_policy", "policyId"},
    {23, "POST", "/api/v1/settings/upload-policies", 'U', "settings:manage", "settings.upload_policies.create", WITHOUT_ID, "settings", NULL},
    {24, "PATCH", "/api/v1/settings/upload-policies/:policyId", 'U', "settings:manage", "settings.upload_policies.update", BY_PARAMETER, "upload_policy", "policyId"},
    {25, "PATCH", "/api/v1/settings/recording-profiles/:profileId", 'U', "settings:manage", "settings.recording_profiles.update", BY_PARAMETER, "recording_profile", "profileId"},
    {26, "PATCH", "/api/v1/settings/watchdog-policies/:policyId", 'U', "settings:manage", "settings.watchdog_policies.update", BY_PARAMETER, "watchdog_policy", "policyId"},
    {27, "PATCH", "/api/v1/settings/upload-providers/:provider", 'U', "settings:manage", "settings.upload_providers.update", BY_PARAMETER, "upload_provider", "provider"},
    {28, "POST", "/api/v1/settings/channel-map-templates", 'U', "settings:manage", "settings.channel_map_templates.create", WITHOUT_ID, "settings", NULL},
    {29, "PATCH", "/api/v1/settings/channel-map-templates/:templateId", 'U', "settings:manage", "settings.channel_map_templates.update", BY_PARAMETER, "channel_map_template", "templateId"},
    {30, "PUT", "/api/v1/settings/channel-map-assignments", 'U', "settings:manage", "settings.channel_map_assignments.update", WITHOUT_ID, "settings", NULL},
    {31, "PUT", "/api/v1/settings/channel-map-assignments/bulk", 'U', "settings:manage", "settings.channel_map_assignments.bulk_update", WITHOUT_ID, "settings", NULL},
    {32, "POST", "/api/v1/settings/channel-map-assignment-plans", 'U', "settings:manage", "settings.channel_map_assignment_plans.create", WITHOUT_ID, "settings", NULL},
    {33, "POST", "/api/v1/settings/channel-map-assignment-plans/:planId/apply", 'U', "settings:manage", "settings.channel_map_assignment_plans.apply", BY_PLAN, NULL, NULL},
    {34, "POST", "/api/v1/settings/channel-map-assignments/rollback", 'U', "settings:manage", "settings.channel_map_assignments.rollback", WITHOUT_ID, "settings", NULL},
    {35, "POST", "/api/v1/settings/watchdog-policies/:policyId/calibrations", 'U', "settings:manage", "settings.watchdog_policies.calibrate", BY_PARAMETER, "watchdog_policy", "policyId"},
    {36, "GET", "/api/v1/settings/retention-policies", 'U', "settings:read", "settings.retention_policies.read", WITHOUT_ID, "settings", NULL},
    {37, "GET", "/api/v1/settings/retention-policies/:policyId/actions", 'U', "settings:read", "settings.retention_policies.actions.read", BY_PARAMETER, "retention_policy", "policyId"},
    {38, "GET", "/api/v1/settings/retention-policies/:policyId", 'U', "settings:read", "settings.retention_policies.detail.read", BY_PARAMETER, "retention_policy", "policyId"},
    {39, "POST", "/api/v1/settings/retention-policies", 'U', "settings:manage", "settings.retention_policies.create", WITHOUT_ID, "settings", NULL},
    {40, "PATCH", "/api/v1/settings/retention-policies/:policyId", 'U', "settings:manage", "settings.retention_policies.update", BY_PARAMETER, "retention_policy", "policyId"},
    {41, "GET", "/api/v1/auth/oidc/config", 'P', NULL, "auth.oidc.config.read", WITHOUT_ID, "auth", NULL},
    {42, "GET", "/api/v1/auth/oidc/actions", 'P', NULL, "auth.oidc.actions.read", WITHOUT_ID, "auth", NULL},
    {43, "GET", "/api/v1/auth/oidc/login", 'P', NULL, "auth.oidc.login", WITHOUT_ID, "auth", NULL},
    {44, "GET", "/api/v1/auth/oidc/callback", 'P', NULL, "auth.oidc.callback", NO_TARGET, "user", NULL},
    {45, "GET", "/api/v1/auth/oidc/discovery/actions", 'U', "auth:manage", "auth.oidc.discovery.actions.read", WITHOUT_ID, "auth", NULL},
    {46, "GET", "/api/v1/auth/oidc/discovery", 'U', "auth:manage", "auth.oidc.discovery.read", WITHOUT_ID, "auth", NULL},
    {47, "POST", "/api/v1/auth/login", 'P', NULL, "auth.login", WITHOUT_ID, "user", NULL},
    {48, "POST", "/api/v1/auth/logout", 'S', NULL, "auth.logout", WITHOUT_ID, "user", NULL},
    {49, "GET", "/api/v1/auth/me", 'S', NULL, "auth.me.read", WITHOUT_ID, "user", NULL},
    {50, "GET", "/api/v1/auth/actions", 'U', "auth:manage", "auth.actions.read", WITHOUT_ID, "auth", NULL},
    {51, "GET", "/api/v1/auth/groups", 'U', "auth:manage", "auth.groups.read", WITHOUT_ID, "auth", NULL},
    {52, "GET", "/api/v1/auth/users", 'U', "auth:manage", "auth.users.read", WITHOUT_ID, "auth", NULL},
    {53, "POST", "/api/v1/auth/users", 'U', "auth:manage", "auth.users.create", WITHOUT_ID, "auth", NULL},
    {54, "GET", "/api/v1/auth/users/:userId", 'U', "auth:manage", "auth.users.detail.read", BY_PARAMETER, "user", "userId"},
    {55, "GET", "/api/v1/auth/users/:userId/actions", 'U', "auth:manage", "auth.users.actions.read", BY_PARAMETER, "user", "userId"},
    {56, "GET", "/api/v1/auth/access-policies", 'U', "auth:manage", "auth.access_policies.read", WITHOUT_ID, "auth", NULL},
    {57, "GET", "/api/v1/auth/access-policies/actions", 'U', "auth:manage", "auth.access_policies.actions.read", WITHOUT_ID, "auth", NULL},
    {58, "PATCH", "/api/v1/auth/access-policies", 'U', "auth:manage", "auth.access_policies.update", WITHOUT_ID, "auth", NULL},
    {59, "PATCH", "/api/v1/auth/users/:userId/access", 'U', "auth:manage", "auth.users.access.update", BY_PARAMETER, "user", "userId"},
    {60, "PATCH", "/api/v1/auth/users/:userId/password", 'U', "auth:manage", "auth.users.password.reset", BY_PARAMETER, "user", "userId"},
    {61, "PATCH", "/api/v1/auth/users/:userId/status", 'U', "auth:manage", "auth.users.status.update", BY_PARAMETER, "user", "userId"},
    {62, "DELETE", "/api/v1/auth/users/:userId", 'U', "auth:manage", "auth.users.delete", BY_PARAMETER, "user", "userId"},
    {63, "GET", "/api/v1/audit-events/export", 'U', "audit:read", "audit.events.export", WITHOUT_ID, "controller", NULL},
    {64, "POST", "/api/v1/audit-events/export", 'U', "audit:read", "audit.events.export_selected", WITHOUT_ID, "controller", NULL},
    {65, "GET", "/api/v1/audit-events/facets", 'U', "audit:read", "audit.events.facets.read", WITHOUT_ID, "controller", NULL},
    {66, "GET", "/api/v1/audit-events/:eventId/actions", 'U', "audit:read", "audit.events.actions.read", WITHOUT_ID, "controller", NULL},
    {67, "GET", "/api/v1/audit-events/:eventId", 'U', "audit:read", "audit.events.detail.read", WITHOUT_ID, "controller", NULL},
    {68, "GET", "/api/v1/audit-events", 'U', "audit:read", "audit.events.read", WITHOUT_ID, "controller", NULL},
    {69, "GET", "/api/v1/nodes", 'U', "node:read", "nodes.read", WITHOUT_ID, "controller", NULL},
    {70, "GET", "/api/v1/nodes/export", 'U', "node:read", "nodes.export", WITHOUT_ID, "controller", NULL},
    {71, "POST", "/api/v1/nodes/export", 'U', "node:read", "nodes.export_selected", FIXED, "node_collection", "node_collection"},
    {72, "GET", "/api/v1/nodes/:nodeId", 'U', "node:read", "nodes.detail.read", BY_PARAMETER, "node", "nodeId"},
    {73, "GET", "/api/v1/nodes/:nodeId/actions", 'U', "node:read", "nodes.actions.read", BY_PARAMETER, "node", "nodeId"},
    {74, "GET", "/api/v1/nodes/:nodeId/lifecycle-jobs", 'U', "node:read", "nodes.lifecycle_jobs.read", BY_PARAMETER, "node", "nodeId"},
    {75, "POST", "/api/v1/nodes/:nodeId/lifecycle/:action", 'U', "node:manage", "nodes.lifecycle.run", BY_PARAMETER, "node", "nodeId"},
    {76, "POST", "/api/v1/nodes/enroll", 'U', "node:manage", "nodes.enroll", WITHOUT_ID, "node", NULL},
    {77, "PATCH", "/api/v1/nodes/:nodeId", 'U', "node:manage", "nodes.update", BY_PARAMETER, "node", "nodeId"},
    {78, "PATCH", "/api/v1/nodes/:nodeId/interfaces/:interfaceId", 'U', "node:manage", "nodes.interfaces.update", BY_PARAMETER, "interface", "interfaceId"},
    {79, "POST", "/api/v1/nodes/:nodeId/credentials/rotate", 'U', "node:manage", "nodes.credentials.rotate", BY_PARAMETER, "node", "nodeId"},
    {80, "GET", "/api/v1/nodes/:nodeId/meters", 'U', "node:read", "meters.read", BY_PARAMETER, "node", "nodeId"},
    {81, "POST", "/api/v1/nodes/:nodeId/listen", 'U', "listen:monitor", "listen.monitor.start", BY_PARAMETER, "node", "nodeId"},
    {82, "GET", "/api/v1/nodes/:nodeId/listen/stream", 'U', "listen:monitor", "listen.monitor.stream", BY_PARAMETER, "node", "nodeId"},
    {83, "DELETE", "/api/v1/nodes/:nodeId/listen/:sessionId", 'U', "listen:monitor", "listen.monitor.stop", BY_PARAMETER, "node", "nodeId"},
    {84, "GET", "/api/v1/meter-events", 'U', "node:read", "meters.stream", WITHOUT_ID, "controller", NULL},
    {85, "GET", "/api/v1/schedules", 'U', "schedule:read", "schedules.read", WITHOUT_ID, "controller", NULL},
    {86, "GET", "/api/v1/schedules/export", 'U', "schedule:read", "schedules.export", FIXED, "schedule_collection", "schedule_collection"},
    {87, "POST", "/api/v1/schedules/export", 'U', "schedule:read", "schedules.export_selected", FIXED, "schedule_collection", "schedule_collection"},
    {88, "GET", "/api/v1/schedules/:scheduleId", 'U', "schedule:read", "schedules.detail.read", BY_PARAMETER, "schedule", "scheduleId"},
    {89, "GET", "/api/v1/schedules/:scheduleId/actions", 'U', "schedule:read", "schedules.actions.read", BY_PARAMETER, "schedule", "scheduleId"},
    {90, "GET", "/api/v1/schedules/:scheduleId/occurrences", 'U', "schedule:read", "schedules.occurrences.read", BY_PARAMETER, "schedule", "scheduleId"},
    {91, "POST", "/api/v1/schedules", 'U', "schedule:manage", "schedules.create", WITHOUT_ID, "schedule", NULL},
    {92, "PATCH", "/api/v1/schedules/:scheduleId", 'U', "schedule:manage", "schedules.update", BY_PARAMETER, "schedule", "scheduleId"},
    {93, "POST", "/api/v1/schedules/:scheduleId/run-now", 'U', "schedule:manage", "schedules.run_now", BY_PARAMETER, "schedule", "scheduleId"},
    {94, "POST", "/api/v1/schedules/:scheduleId/skip-next", 'U', "schedule:manage", "schedules.skip_next", BY_PARAMETER, "schedule", "scheduleId"},
    {95, "DELETE", "/api/v1/schedules/:scheduleId", 'U', "schedule:manage", "schedules.delete", BY_PARAMETER, "schedule", "scheduleId"},
    {96, "POST", "/api/v1/nodes/:nodeId/listen/chunk", 'N', "node:control", "nodes.listen_monitor.chunk.ingest", BY_PARAMETER, "node", "nodeId"},
    {97, "GET", "/api/v1/nodes/:nodeId/config", 'N', "node:control", "nodes.config.read", BY_PARAMETER, "node", "nodeId"},
    {98, "POST", "/api/v1/nodes/:nodeId/meter-frame", 'N', "node:control", "nodes.meter_frame.ingest", BY_PARAMETER, "node", "nodeId"},
    {99, "GET", "/api/v1/nodes/:nodeId/channel-map-assignments", 'N', "node:control", "nodes.channel_map_assignments.read", BY_PARAMETER, "node", "nodeId"},
    {100, "POST", "/api/v1/nodes/:nodeId/heartbeat", 'N', "node:control", "nodes.heartbeat", BY_PARAMETER, "node", "nodeId"},
    {101, "POST", "/api/v1/nodes/:nodeId/health-events", 'N', "health:acknowledge", "nodes.health_events.sync", BY_PARAMETER, "node", "nodeId"},
    {102, "GET", "/api/v1/nodes/:nodeId/recording-jobs/next", 'N', "recording:control", "recording_jobs.next", BY_PARAMETER, "node", "nodeId"},
    {103, "POST", "/api/v1/nodes/:nodeId/recording-jobs/claim-next", 'N', "recording:control", "recording_jobs.claim_next", BY_PARAMETER, "node", "nodeId"},
    {104, "POST", "/api/v1/recording-jobs/:jobId/claim", 'N', "recording:control", "recording_jobs.claim", BY_PARAMETER, "recording_job", "jobId"},
    {105, "POST", "/api/v1/recording-jobs/:jobId/heartbeat", 'N', "recording:control", "recording_jobs.heartbeat", BY_PARAMETER, "recording_job", "jobId"},
    {106, "GET", "/api/v1/recording-jobs/:jobId", 'D', "recording:control", "recording_jobs.read_one", BY_PARAMETER, "recording_job", "jobId"},
    {107, "POST", "/api/v1/recording-jobs/:jobId/cancelled", 'N', "recording:control", "recording_jobs.cancelled", BY_PARAMETER, "recording_job", "jobId"},
    {108, "POST", "/api/v1/recording-jobs/:jobId/failed", 'N', "recording:control", "recording_jobs.failed", BY_PARAMETER, "recording_job", "jobId"},
    {109, "PUT", "/api/v1/recordings/:recordingId/cache-file", 'N', "recording:control", "recordings.cache_file.attach", BY_PARAMETER, "recording", "recordingId"},
    {110, "GET", "/api/v1/health-events/:eventId/actions", 'U', "health:read", "health.events.actions.read", BY_PARAMETER, "health_event", "eventId"},
    {111, "GET", "/api/v1/health-events/export", 'U', "health:read", "health.events.export", BY_HEALTH, NULL, NULL},
    {112, "POST", "/api/v1/health-events/export", 'U', "health:read", "health.events.export_selected", WITHOUT_ID, "health", NULL},
    {113, "GET", "/api/v1/health-events", 'U', "health:read", "health.events.read", BY_HEALTH, NULL, NULL},
    {114, "GET", "/api/v1/health-events/:eventId", 'U', "health:read", "health.events.detail.read", BY_PARAMETER, "health_event", "eventId"},
    {115, "POST", "/api/v1/health-events", 'U', "health:acknowledge", "health.events.create", WITHOUT_ID, "health", NULL},
    {116, "POST", "/api/v1/health-events/bulk-lifecycle", 'U', "health:acknowledge", "health.events.bulk_lifecycle", WITHOUT_ID, "health", NULL},
    {117, "POST", "/api/v1/health-events/:eventId/acknowledge", 'U', "health:acknowledge", "health.events.acknowledge", BY_PARAMETER, "health_event", "eventId"},
    {118, "POST", "/api/v1/health-events/:eventId/suppress", 'U', "health:acknowledge", "health.events.suppress", BY_PARAMETER, "health_event", "eventId"},
    {119, "POST", "/api/v1/health-events/:eventId/resolve", 'U', "health:acknowledge", "health.events.resolve", BY_PARAMETER, "health_event", "eventId"},
    {120, "POST", "/api/v1/health-events/:eventId/reopen", 'U', "health:acknowledge", "health.events.reopen", BY_PARAMETER, "health_event", "eventId"},
    {121, "GET", "/api/v1/recordings/export", 'U', "recording:read", "recordings.export", FIXED, "recording_collection", "recording_collection"},
    {122, "POST", "/api/v1/recordings/export", 'U', "recording:read", "recordings.export_selected", FIXED, "recording_collection", "recording_collection"},
    {123, "GET", "/api/v1/recordings", 'U', "recording:read", "recordings.read", WITHOUT_ID, "controller", NULL},
    {124, "GET", "/api/v1/recordings/facets", 'U', "recording:read", "recordings.facets.read", WITHOUT_ID, "controller", NULL},
    {125, "GET", "/api/v1/recordings/:recordingId", 'U', "recording:read", "recordings.detail.read", BY_PARAMETER, "recording", "recordingId"},
    {126, "GET", "/api/v1/recordings/:recordingId/context", 'U', "recording:read", "recordings.context.read", BY_PARAMETER, "recording", "recordingId"},
    {127, "GET", "/api/v1/recordings/:recordingId/actions", 'U', "recording:read", "recordings.actions.read", BY_PARAMETER, "recording", "recordingId"},
    {128, "GET", "/api/v1/recording-jobs/:jobId/actions", 'U', "recording:read", "recording_jobs.actions.read", BY_JOB, NULL, NULL},
    {129, "GET", "/api/v1/recording-jobs", 'U', "recording:read", "recording_jobs.read", WITHOUT_ID, "controller", NULL},
    {130, "GET", "/api/v1/recording-jobs/export", 'U', "recording:read", "recording_jobs.export", FIXED, "recording_collection", "recording_job_collection"},
    {131, "POST", "/api/v1/recording-jobs/export", 'U', "recording:read", "recording_jobs.export_selected", FIXED, "recording_collection", "recording_job_collection"},
    {132, "GET", "/api/v1/recording-jobs/:jobId", 'U', "recording:read", "recording_jobs.detail.read", BY_JOB, NULL, NULL},
    {133, "POST", "/api/v1/recording-jobs/bulk-retry", 'U', "recording:control", "recording_jobs.bulk_retry", FIXED, "recording_collection", "recording_job_collection"},
    {134, "POST", "/api/v1/recording-jobs/bulk-stop", 'U', "recording:control", "recording_jobs.bulk_stop", FIXED, "recording_collection", "recording_job_collection"},
    {135, "POST", "/api/v1/recording-jobs/:jobId/retry", 'U', "recording:control", "recording_jobs.retry", BY_JOB, NULL, NULL},
    {136, "GET", "/api/v1/upload-queue", 'U', "recording:read", "recordings.upload_queue.read", WITHOUT_ID, "controller", NULL},
    {137, "GET", "/api/v1/upload-queue/:itemId", 'U', "recording:read", "recordings.upload_queue.detail.read", BY_QUEUE, NULL, NULL},
    {138, "GET", "/api/v1/upload-queue/:itemId/actions", 'U', "recording:read", "recordings.upload_queue.actions.read", BY_QUEUE, NULL, NULL},
    {139, "POST", "/api/v1/recordings/:recordingId/upload-queue", 'U', "recording:control", "recordings.upload_queue.enqueue", BY_PARAMETER, "recording", "recordingId"},
    {140, "POST", "/api/v1/recordings/bulk-upload-queue", 'U', "recording:control", "recordings.upload_queue.bulk_enqueue", FIXED, "recording_collection", "recording_collection"},
    {141, "POST", "/api/v1/upload-queue/:itemId/retry", 'U', "recording:control", "recordings.upload_queue.retry", BY_QUEUE, NULL, NULL},
    {142, "POST", "/api/v1/recordings/:recordingId/playback", 'U', "recording:playback", "recordings.playback.start", BY_PARAMETER, "recording", "recordingId"},
    {143, "POST", "/api/v1/recordings/:recordingId/download", 'U', "recording:download", "recordings.download.prepare", BY_PARAMETER, "recording", "recordingId"},
    {144, "GET", "/api/v1/recordings/:recordingId/stream", 'U', "recording:playback", "recordings.playback.stream", BY_PARAMETER, "recording", "recordingId"},
    {145, "GET", "/api/v1/recordings/:recordingId/file", 'U', "recording:download", "recordings.download.file", BY_PARAMETER, "recording", "recordingId"},
    {146, "PATCH", "/api/v1/recordings/bulk-metadata", 'U', "recording:edit", "recordings.metadata.bulk_update", FIXED, "recording_collection", "recording_collection"},
    {147, "POST", "/api/v1/recordings/bulk-delete", 'U', "recording:delete", "recordings.bulk_delete", FIXED, "recording_collection", "recording_collection"},
    {148, "PATCH", "/api/v1/recordings/:recordingId/metadata", 'U', "recording:edit", "recordings.metadata.update", BY_PARAMETER, "recording", "recordingId"},
    {149, "DELETE", "/api/v1/recordings/:recordingId", 'U', "recording:delete", "recordings.delete", BY_PARAMETER, "recording", "recordingId"},
    {150, "POST", "/api/v1/recordings", 'U', "recording:create", "recordings.start", BY_START, NULL, NULL},
    {151, "POST", "/api/v1/recordings/:recordingId/stop", 'U', "recording:control", "recordings.stop", BY_PARAMETER, "recording", "recordingId"},
    {152, "GET", "/api/v1/upload-runner", 'U', "recording:read", "recordings.upload_runner.read", WITHOUT_ID, "upload_runner", NULL},
    {153, "GET", "/api/v1/upload-runner/actions", 'U', "recording:read", "recordings.upload_runner.actions.read", WITHOUT_ID, "upload_runner", NULL},
    {154, "POST", "/api/v1/upload-runner/run", 'U', "recording:control", "recordings.upload_runner.run", WITHOUT_ID, "upload_runner", NULL},
};
/* clang-format on */

#define ROUTE_INDEX_COUNT (sizeof(route_index) / sizeof(route_index[0]))

#endif
