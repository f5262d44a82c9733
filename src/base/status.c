#include "base/status.h"

const char *status_name(status s)
{
	static const char *const names[] = {
	    [ST_OK] = "ok",
	    [ST_NOT_FOUND] = "not_found",
	    [ST_CONFLICT] = "conflict",
	    [ST_UNAVAILABLE] = "unavailable",
	    [ST_NO_SPACE] = "no_space",
	    [ST_TOO_LARGE] = "too_large",
	    [ST_INVALID] = "invalid",
	    [ST_INTERNAL] = "internal",
	};

	return s <= ST_INTERNAL ? names[s] : "unknown";
}
