/* rakkr-fcgi verify: compare the SQL files, the model and the database. */
#include "command/command.h"

#include "base/config.h"
#include "base/mem.h"
#include "store/verify.h"

#include <getopt.h>

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi verify [-c FILE]\n"
	      "  -c, --config FILE  read settings from FILE (default: the environment, ./.env)\n"
	      "exit status: 0 no difference, 1 differences (one a line) or no connection, 2 usage\n",
	      out);
}

static int run(const char *file)
{
	void *mem = talloc_new(NULL);
	const char *error = NULL;
	const struct config *c = config_load(mem, file, &error);
	int code = EXIT_PROBLEM;
	if (c == NULL)
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	else if (config_str(c, CFG_DATABASE_URL) == NULL) {
		puts("no DATABASE_URL: flat files have no schema to compare");
		code = EXIT_FINE;
	} else {
		code = verify_run(config_str(c, CFG_DATABASE_URL), NULL, stdout);
		if (code == EXIT_FINE)
			puts("no difference");
	}
	talloc_free(mem);
	return code;
}

int command_verify(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *file = NULL;
	int opt;
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return EXIT_FINE;
		}
		if (opt != 'c') {
			usage(stderr);
			return EXIT_USAGE;
		}
		file = optarg;
	}
	if (optind != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return run(file);
}
