/* The 21 permissions, the five roles and who has what (contract 01 5.2, 5.3). Fixed in code; tables never decide. */
#ifndef RAKKR_MODEL_PERMISSION_H
#define RAKKR_MODEL_PERMISSION_H

#include <stdbool.h>
#include <stdint.h>

/* In canonical order; the bit of permission p in a mask is 1u << p. */
enum permission {
	PERM_AUDIT_READ,
	PERM_AUTH_MANAGE,
	PERM_HEALTH_ACKNOWLEDGE,
	PERM_HEALTH_READ,
	PERM_LISTEN_MONITOR,
	PERM_METRICS_READ,
	PERM_NODE_CONTROL,
	PERM_NODE_MANAGE,
	PERM_NODE_READ,
	PERM_RECORDING_CONTROL,
	PERM_RECORDING_CREATE,
	PERM_RECORDING_DELETE,
	PERM_RECORDING_DOWNLOAD,
	PERM_RECORDING_EDIT,
	PERM_RECORDING_PLAYBACK,
	PERM_RECORDING_READ,
	PERM_SCHEDULE_MANAGE,
	PERM_SCHEDULE_READ,
	PERM_SETTINGS_MANAGE,
	PERM_SETTINGS_READ,
	PERM_SYSTEM_ADMIN,
	PERM_COUNT,
	PERM_NONE = PERM_COUNT
};

enum role { ROLE_OWNER, ROLE_ADMIN, ROLE_OPERATOR, ROLE_VIEWER, ROLE_AUDITOR, ROLE_COUNT };

/* "audit:read"; NULL for PERM_NONE. */
const char *permission_name(enum permission p);
/* PERM_NONE if unknown. */
enum permission permission_parse(const char *name);
/* "owner" ... */
const char *role_name(enum role r);
/* ROLE_COUNT if unknown; exact. */
enum role role_parse(const char *name);
/* Mask of the role's permissions. */
uint32_t role_permissions(enum role r);

#endif
