#include "process/notify.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#ifdef HAVE_SYSTEMD

#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static uint64_t watchdog_us;

void notify_init(void)
{
	if (sd_watchdog_enabled(0, &watchdog_us) <= 0)
		watchdog_us = 0;
}

void notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	           (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

int64_t notify_watchdog_ms(void)
{
	return (int64_t)(watchdog_us / 2000); /* twice as often as asked */
}

void notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

#else

void notify_init(void)
{
}

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

int64_t notify_watchdog_ms(void)
{
	return 0;
}

void notify_alive(void)
{
}

#endif
