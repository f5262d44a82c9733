/* What the values of the configuration mean, looked at before anything depends on them. */
#ifndef RAKKR_PROCESS_VALUES_H
#define RAKKR_PROCESS_VALUES_H

#include "base/config.h"

#include <stdio.h>

/*
 * Values that make no sense, one line each with the name of the variable and what counts instead (contract 01 3.2 says
 * that most are ignored; nobody should have to find that out). Numbers are config_check()'s. Returns how many.
 */
int values_check(const struct config *c, FILE *out);

/* The same as warnings in the log: at a start and a reload. */
void values_log(const struct config *c);

#endif
