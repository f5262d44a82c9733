#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *log_role = "cli";
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_journal = -1; /* -1 = not looked up yet */

void log_init(const char *role, enum log_level level)
{
	log_role = role;
	log_max = level;
}

/* Standard error is the journal, and not merely inherited from somebody whose it was (systemd.exec(5)). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return stream != NULL && sscanf(stream, "%ju:%ju", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

/* One write() a line, so that lines of several processes never mix. */
static void log_line(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const words[] = {"error", "warning", "info", "debug"};
	static const int priorities[] = {3, 4, 6, 7}; /* sd-daemon(3) */
	char line[2048];
	int n;
	int m;

	if (level > log_max)
		return;
	if (log_journal < 0)
		log_journal = is_journal();
	if (log_journal)
		n = snprintf(line, sizeof(line), "<%d>%s[%d]: ", priorities[level], log_role, (int)getpid());
	else
		n = snprintf(line, sizeof(line), "%s rakkr-fcgi %s[%d]: ", words[level], log_role, (int)getpid());
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to complain */
}

#define LOG_AT(name, level)                                                                                            \
	void name(const char *fmt, ...)                                                                                \
	{                                                                                                              \
		va_list ap;                                                                                            \
                                                                                                                       \
		va_start(ap, fmt);                                                                                     \
		log_line(level, fmt, ap);                                                                              \
		va_end(ap);                                                                                            \
	}

LOG_AT(log_error, LOG_LEVEL_ERROR)
LOG_AT(log_warn, LOG_LEVEL_WARN)
LOG_AT(log_info, LOG_LEVEL_INFO)
LOG_AT(log_debug, LOG_LEVEL_DEBUG)
