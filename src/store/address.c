#include "store/address.h"

#include <libpq-fe.h>
#include <stddef.h>

const char address_invalid[] =
    "DATABASE_URL is not an address that libpq takes: postgres://user:password@host:port/database"
    " (special characters of the password percent-encoded)";

bool address_valid(const char *url)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &message);

	PQfreemem(message); /* not shown: it may quote a part of the password */
	if (options == NULL)
		return false;
	PQconninfoFree(options);
	return true;
}
