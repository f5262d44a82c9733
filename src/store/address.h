/* Whether DATABASE_URL can be taken apart at all: looked at before libpq quotes a part of it in a message. */
#ifndef RAKKR_STORE_ADDRESS_H
#define RAKKR_STORE_ADDRESS_H

#include <stdbool.h>

/* What to say of one that cannot; without the address, which holds a password. */
extern const char address_invalid[];

/* True if url is a connection URL or conninfo string that libpq can use. */
bool address_valid(const char *url);

#endif
