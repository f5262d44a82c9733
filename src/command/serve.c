#include "command/command.h"

#include "base/mem.h"
#include "process/child.h"
#include "process/master.h"
#include "process/prepare.h"
#include "store/store.h"

#include <getopt.h>
#include <stdio.h>

#define PREPARE_LIMIT_MS 10000

static void usage(FILE *out)
{
	fputs(
	    "usage: rakkr-fcgi serve [-c FILE]\n"
	    "  runs the controller until SIGTERM or SIGINT; SIGHUP reads FILE again\n"
	    "  -c, --config FILE  read settings from FILE (default: the environment, ./.env)\n"
	    "exit status: 0 ended by a signal, 1 could not start, 2 usage, 3 schema is newer, 4 schema is not known\n",
	    out);
}

/* False if the options are wrong (said on stderr); *help if that is what was asked for. */
static bool options(int argc, char **argv, const char **file, bool *help)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"foreground", no_argument, NULL, 'f'}, /* the only way there is */
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	optind = 1;
	for (int o; (o = getopt_long(argc, argv, "c:fh", known, NULL)) != -1;) {
		if (o == 'c')
			*file = optarg;
		else if (o == 'h')
			*help = true;
		else if (o != 'f')
			return false;
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "serve: unknown argument %s\n", argv[optind]);
	return false;
}

/* True if the store of c can be opened at all; says why not. */
static bool store_usable(void *ctx, const struct config *c)
{
	const char *error = NULL;
	struct store *s = store_open(ctx, c, &error);
	if (s == NULL)
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	talloc_free(s);
	return s != NULL;
}

/* Brings the database's schema up to date; the exit status if the program must not start, else -1. */
static int prepare(const struct config *c)
{
	const char *url = config_str(c, CFG_DATABASE_URL);
	if (url == NULL || url[0] == '\0')
		return -1;
	process_log_init(c, "master");
	switch (prepare_database_apart(c, PREPARE_LIMIT_MS)) {
	case MIGRATE_OK:
		return -1;
	case MIGRATE_UNREACHABLE:
		fprintf(stderr, "rakkr-fcgi: the database cannot be used yet; starting without it, trying again\n");
		return -1;
	case MIGRATE_REFUSED_NEWER:
		return MIGRATE_REFUSED_NEWER;
	case MIGRATE_REFUSED_DAMAGED:
		return MIGRATE_REFUSED_DAMAGED;
	default:
		return EXIT_PROBLEM;
	}
}

int command_serve(int argc, char **argv)
{
	const char *file = NULL, *error = NULL;
	bool help = false;
	if (!options(argc, argv, &file, &help))
		return EXIT_USAGE;
	if (help) {
		usage(stdout);
		return EXIT_FINE;
	}
	void *ctx = talloc_named_const(NULL, 0, "serve");
	const struct config *c = config_load(ctx, file, &error);
	int rc = EXIT_PROBLEM;
	if (c == NULL) {
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	} else if (store_usable(ctx, c)) {
		rc = prepare(c);
		if (rc < 0)
			rc = master_run(ctx, file, c);
	}
	talloc_free(ctx);
	return rc;
}
