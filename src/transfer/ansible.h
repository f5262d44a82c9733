/* The runner that carries out lifecycle actions on nodes, as its client (contract 02 9.4, 9.5). */
#ifndef RAKKR_TRANSFER_ANSIBLE_H
#define RAKKR_TRANSFER_ANSIBLE_H

#include "base/config.h"
#include "base/json.h"

#define ANSIBLE_OUTPUT_MAX (64 * 1024) /* bytes kept of stdout and of stderr: the last ones (09 D-44) */

struct ansible_run {
	const char *action, *host, *node_alias, *node_id;
	json_object *options; /* {"agentVersion"?,"sshUser"?} */
};

/*
 * Asks the runner and waits for its answer, at most RAKKR_ANSIBLE_RUNNER_TIMEOUT_MS. The result is what the job is to
 * be changed by, owned by ctx: status "succeeded" or "failed", and those of error, exitCode, runnerRunId, stdout,
 * stderr, targetHost that there are.
 */
json_object *ansible_run(const void *ctx, const struct config *c, const struct ansible_run *run);

#endif
