/* Audit events of what no request caused: background passes and commands of the terminal (contract 05, 01 15.1). */
#ifndef RAKKR_STORE_SYSTEM_EVENT_H
#define RAKKR_STORE_SYSTEM_EVENT_H

#include "base/json.h"
#include "base/json.h"
#include "engine/scope.h"
#include "model/permission.h"

struct system_event {
	const char *actor_id, *actor_name; /* "system:scheduler", "Rakkr Scheduler" */
	const char *action;
	const char *outcome; /* NULL: "succeeded" */
	const char *reason;
	enum permission permission;
	struct target target;
	json_object *details, *before, *after, *correlation; /* each may be NULL */
};

/* The event, owned by ctx, to be put into the array that store_commit() takes. */
json_object *system_event(const void *ctx, int64_t now_ms, const struct system_event *e);

#endif
