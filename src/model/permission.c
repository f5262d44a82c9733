#include "model/permission.h"

#include <stddef.h>
#include <string.h>

#define BIT(p) (1u << (p))
#define ALL_PERMISSIONS (BIT(PERM_COUNT) - 1u)

static const char *const permission_names[PERM_COUNT] = {
    [PERM_AUDIT_READ] = "audit:read",
    [PERM_AUTH_MANAGE] = "auth:manage",
    [PERM_HEALTH_ACKNOWLEDGE] = "health:acknowledge",
    [PERM_HEALTH_READ] = "health:read",
    [PERM_LISTEN_MONITOR] = "listen:monitor",
    [PERM_METRICS_READ] = "metrics:read",
    [PERM_NODE_CONTROL] = "node:control",
    [PERM_NODE_MANAGE] = "node:manage",
    [PERM_NODE_READ] = "node:read",
    [PERM_RECORDING_CONTROL] = "recording:control",
    [PERM_RECORDING_CREATE] = "recording:create",
    [PERM_RECORDING_DELETE] = "recording:delete",
    [PERM_RECORDING_DOWNLOAD] = "recording:download",
    [PERM_RECORDING_EDIT] = "recording:edit",
    [PERM_RECORDING_PLAYBACK] = "recording:playback",
    [PERM_RECORDING_READ] = "recording:read",
    [PERM_SCHEDULE_MANAGE] = "schedule:manage",
    [PERM_SCHEDULE_READ] = "schedule:read",
    [PERM_SETTINGS_MANAGE] = "settings:manage",
    [PERM_SETTINGS_READ] = "settings:read",
    [PERM_SYSTEM_ADMIN] = "system:admin",
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_OWNER] = "owner",   [ROLE_ADMIN] = "admin",     [ROLE_OPERATOR] = "operator",
    [ROLE_VIEWER] = "viewer", [ROLE_AUDITOR] = "auditor",
};

static const uint32_t role_masks[ROLE_COUNT] = {
    [ROLE_OWNER] = ALL_PERMISSIONS,
    [ROLE_ADMIN] = ALL_PERMISSIONS & ~BIT(PERM_SYSTEM_ADMIN),
    [ROLE_OPERATOR] = BIT(PERM_HEALTH_ACKNOWLEDGE) | BIT(PERM_HEALTH_READ) | BIT(PERM_LISTEN_MONITOR) |
                      BIT(PERM_METRICS_READ) | BIT(PERM_NODE_CONTROL) | BIT(PERM_NODE_READ) |
                      BIT(PERM_RECORDING_CONTROL) | BIT(PERM_RECORDING_CREATE) | BIT(PERM_RECORDING_DOWNLOAD) |
                      BIT(PERM_RECORDING_EDIT) | BIT(PERM_RECORDING_PLAYBACK) | BIT(PERM_RECORDING_READ) |
                      BIT(PERM_SCHEDULE_MANAGE) | BIT(PERM_SCHEDULE_READ) | BIT(PERM_SETTINGS_READ),
    [ROLE_VIEWER] = BIT(PERM_HEALTH_READ) | BIT(PERM_METRICS_READ) | BIT(PERM_NODE_READ) |
                    BIT(PERM_RECORDING_DOWNLOAD) | BIT(PERM_RECORDING_PLAYBACK) | BIT(PERM_RECORDING_READ) |
                    BIT(PERM_SCHEDULE_READ) | BIT(PERM_SETTINGS_READ),
    [ROLE_AUDITOR] = BIT(PERM_AUDIT_READ) | BIT(PERM_HEALTH_READ) | BIT(PERM_METRICS_READ) | BIT(PERM_RECORDING_READ),
};

const char *permission_name(enum permission p)
{
	return p < PERM_COUNT ? permission_names[p] : NULL;
}

enum permission permission_parse(const char *name)
{
	for (unsigned p = 0; name != NULL && p < PERM_COUNT; p++)
		if (strcmp(permission_names[p], name) == 0)
			return (enum permission)p;
	return PERM_NONE;
}

const char *role_name(enum role r)
{
	return r < ROLE_COUNT ? role_names[r] : NULL;
}

enum role role_parse(const char *name)
{
	for (unsigned r = 0; name != NULL && r < ROLE_COUNT; r++)
		if (strcmp(role_names[r], name) == 0)
			return (enum role)r;
	return ROLE_COUNT;
}

uint32_t role_permissions(enum role r)
{
	return r < ROLE_COUNT ? role_masks[r] : 0;
}
