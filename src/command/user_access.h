/* What the options of the user command make of somebody's roles, groups and grants. */
#ifndef RAKKR_COMMAND_USER_ACCESS_H
#define RAKKR_COMMAND_USER_ACCESS_H

#include "base/json.h"

#define WORDS_MAX 64

struct words {
	const char *at[WORDS_MAX];
	size_t count;
};

struct access_change {
	const void *ctx;
	struct words roles, groups, grants; /* grants: "TYPE:ID"; types have no colon, ids may */
	bool revoke;                        /* what is named is taken away instead of added */
};

/* Body of the access route (contract 01 12.7): what a user (CurrentUser object; NULL = nobody) has, changed. */
json_object *access_changed(const struct access_change *c, json_object *wire);

#endif
