/* rakkr-fcgi migrate: create, adopt or upgrade the database schema. */
#include "command/command.h"

#include "base/config.h"
#include "base/mem.h"
#include "store/migrate.h"

#include <getopt.h>

static void usage(FILE *out)
{
	fputs(
	    "usage: rakkr-fcgi migrate [-c FILE] [-n]\n"
	    "  -c, --config FILE  read settings from FILE (default: the environment, ./.env)\n"
	    "  -n, --status       only say what would be done; exit 1 if there is something\n"
	    "exit status: 0 up to date, 1 failed, 2 usage, 3 schema is newer, 4 schema is not known, 5 no connection\n",
	    out);
}

static int run(const char *file, bool status_only)
{
	void *mem = talloc_new(NULL);
	const char *error = NULL;
	const struct config *c = config_load(mem, file, &error);
	int code = MIGRATE_FAILED;
	if (c == NULL)
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	else if (config_str(c, CFG_DATABASE_URL) == NULL) {
		puts("no DATABASE_URL: flat files need no schema");
		code = MIGRATE_OK;
	} else if (status_only)
		code = migrate_status(config_str(c, CFG_DATABASE_URL), NULL, stdout);
	else
		code = migrate_run(config_str(c, CFG_DATABASE_URL), NULL, stdout);
	talloc_free(mem);
	return code;
}

int command_migrate(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	                                        {"status", no_argument, NULL, 'n'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {0}};
	const char *file = NULL;
	bool status_only = false;
	int opt;
	while ((opt = getopt_long(argc, argv, "c:nh", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'n':
			status_only = true;
			break;
		case 'h':
			usage(stdout);
			return MIGRATE_OK;
		default:
			usage(stderr);
			return MIGRATE_USAGE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return MIGRATE_USAGE;
	}
	return run(file, status_only);
}
