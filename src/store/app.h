/* What a process needs to do its work: configuration, store and live memory. Made by process/, handed downwards. */
#ifndef RAKKR_STORE_APP_H
#define RAKKR_STORE_APP_H

#include "base/config.h"
#include "store/live.h"
#include "store/store.h"

struct app {
	const struct config *config;
	struct store *store;
	struct live *live;
};

#endif
