/*
 * The master: opens the sockets, makes the shared memory, starts and watches the children. It handles no request and
 * has no database connection, so that nothing can bring it down.
 *
 * Signals: SIGTERM and SIGINT drain (requests in flight finish, RAKKR_SHUTDOWN_SECONDS at most); SIGHUP reads the
 * configuration again and replaces the children, the new ones first.
 */
#ifndef RAKKR_PROCESS_MASTER_H
#define RAKKR_PROCESS_MASTER_H

#include "base/config.h"

/*
 * Runs until told to stop. config_file (may be NULL) is what SIGHUP reads again; config was loaded from it and is owned
 * by ctx. Returns the exit status of the program: 0 after a stop by signal, 1 if it could not start (logged).
 */
int master_run(void *ctx, const char *config_file, const struct config *config);

#endif
