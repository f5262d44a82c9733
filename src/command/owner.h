/*
 * Commands that an administrator runs beside the controller write into the same folder. Run as root they would leave
 * files there that the controller cannot read, and follow links that somebody else may have put there.
 */
#ifndef RAKKR_COMMAND_OWNER_H
#define RAKKR_COMMAND_OWNER_H

#include "base/config.h"

/*
 * If this is root and the data folder is somebody else's, goes on as that one, for good; before any store is opened.
 * False, with *error: it cannot.
 */
bool owner_become(const struct config *c, const char **error);

#endif
