/* The service manager: sd_notify(3) when built with libsystemd and started by it, else nothing. */
#ifndef RAKKR_PROCESS_NOTIFY_H
#define RAKKR_PROCESS_NOTIFY_H

#include <stdint.h>

/* Finds out whether the service manager wants signs of life. */
void notify_init(void);

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* How often notify_alive() must be called, in ms; 0 = no watchdog. */
int64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
