/*
 * What a node is told to record: the capture command of a job, built from the node, the recording's profile, channel
 * map and retention policy (contract 03 3.10.1, 3.10.2; 09 D-65). Pure.
 */
#ifndef RAKKR_ENGINE_CAPTURE_H
#define RAKKR_ENGINE_CAPTURE_H

#include "base/json.h"

/* The controller's own defaults: RAKKR_AGENT_CAPTURE_*. */
struct capture_defaults {
	int64_t channels, sample_rate, seconds;
	const char *device, *format;
	const char *interface_id; /* used only by nodes that have it; may be NULL */
};

struct capture_input {
	json_object *node;
	json_object *recording;   /* id, trackGroupId, trackIndex, trackTotal are used */
	const char *backend;      /* as asked for; NULL = by the interface or the node */
	const char *interface_id; /* as asked for; NULL = capture_interface_id() */
	int64_t seconds;          /* planned length; 0 = the default */
	json_object *profile;     /* NULL = mp3, 128 kbit/s, variable */
	json_object *retention;   /* policy of the recording; may be NULL */
	json_object *assignments; /* array of channel-map assignments that may concern this node; may be NULL */
	json_object *templates;   /* array of channel-map templates; may be NULL */
	struct capture_defaults defaults;
};

/* The node's interface with this id, or NULL. */
json_object *capture_interface(json_object *node, const char *interface_id);

/*
 * The interface a capture uses: the one asked for, else the configured one if the node has it, else the node's first.
 * NULL if the node has none. The text lives as long as its owner (asked, configured or node).
 */
const char *capture_interface_id(json_object *node, const char *asked, const char *configured);

/*
 * The assignment that counts for an interface of a node: the first for the interface, else the first for the node.
 * NULL if there is none.
 */
json_object *capture_assignment(json_object *assignments, const char *interface_id, const char *node_id);

/* The command object of a new job, owned by ctx. */
json_object *capture_command(const void *ctx, const struct capture_input *in);

#endif
