/* Log lines to stderr, one line each: "<level> rakkr-fcgi[role pid] text"; under systemd with a <N> priority prefix. */
#ifndef RAKKR_BASE_LOG_H
#define RAKKR_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* role: "master", "worker", ...; kept by pointer. */
void log_init(const char *role, enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
