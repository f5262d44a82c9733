#include "process/prepare.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 5

/* What was done is a line each. Of a failure the last line says it all; details before it are what "verify" shows. */
static void log_lines(char *text, bool good)
{
	char *rest = NULL;
	char *line = strtok_r(text, "\n", &rest);
	while (line != NULL) {
		char *next = strtok_r(NULL, "\n", &rest);
		if (good)
			log_info("database: %s", line);
		else if (next != NULL)
			log_debug("database: %s", line);
		else
			log_error("database: %s", line);
		line = next;
	}
}

int prepare_database(const struct config *c, bool quiet)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	if (out == NULL)
		return MIGRATE_FAILED;
	int result = migrate_prepare(config_str(c, CFG_DATABASE_URL), NULL, config_on(c, CFG_SEED_DEMO_DATA), out);
	if (fclose(out) == 0 && (result == MIGRATE_OK || !quiet))
		log_lines(text, result == MIGRATE_OK);
	free(text);
	return result;
}

/* True once pid has ended; *how is its wait status. */
static bool child_ended(pid_t pid, int *how, int64_t limit_ms)
{
	for (int64_t until = clock_mono_ms() + limit_ms;;) {
		pid_t got = waitpid(pid, how, WNOHANG);
		if (got == pid)
			return true;
		if ((got < 0 && errno != EINTR) || clock_mono_ms() >= until)
			return false;
		poll(NULL, 0, LOOK_MS);
	}
}

int prepare_database_apart(const struct config *c, int64_t limit_ms)
{
	int how = 0;
	pid_t master = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		log_error("cannot start the preparation of the database: %s", strerror(errno));
		return MIGRATE_FAILED;
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit(getppid() == master ? prepare_database(c, false) : MIGRATE_FAILED);
	}
	if (child_ended(pid, &how, limit_ms))
		return WIFEXITED(how) ? WEXITSTATUS(how) : MIGRATE_FAILED;
	kill(pid, SIGKILL);
	waitpid(pid, &how, 0);
	log_warn("the preparation of the database takes longer than %lld s", (long long)(limit_ms / 1000));
	return MIGRATE_UNREACHABLE;
}
