/* Passwords that somebody at a terminal gives to a command. */
#ifndef RAKKR_COMMAND_SECRET_H
#define RAKKR_COMMAND_SECRET_H

#include <stdbool.h>

/*
 * A new password: asked for twice without echo, or the first line of standard input. NULL after saying why there is
 * none. Owned by ctx.
 */
const char *secret_new(const void *ctx, bool from_input);

#endif
