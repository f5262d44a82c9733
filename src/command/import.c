/* rakkr-fcgi import and export: a whole installation between flat files and Postgres. */
#include "command/command.h"
#include "command/owner.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/transfer.h"

#include <getopt.h>
#include <string.h>

struct move {
	const char *name;   /* of the command */
	const char *option; /* that names the folder */
	const char *what;
	bool (*run)(struct transfer *t, const struct config *c, const char *dir);
	bool as_owner; /* writes files of the controller */
};

static const struct move moves[] = {
    {"import", "from-files", "moves the flat files in DIR into the database", transfer_import, true},
    {"export", "to-files", "writes the database as flat files into DIR", transfer_export, false},
};

static void usage(const struct move *m, FILE *out)
{
	fprintf(out,
	        "usage: rakkr-fcgi %s --%s DIR [-c FILE] [-d URL]\n"
	        "  %s; run again, it goes on\n"
	        "  -c, --config FILE       read settings from FILE (default: the environment, ./.env)\n"
	        "  -d, --database-url URL  instead of DATABASE_URL\n"
	        "exit status: 0 everything is there, 1 something is missing or differs, 2 usage\n",
	        m->name, m->option, m->what);
}

static int run(const struct move *m, const char *file, const char *url, const char *dir)
{
	void *mem = talloc_new(NULL);
	struct transfer *t = mem_new(mem, struct transfer);
	const char *error = NULL;
	struct config *c = (struct config *)config_load(mem, file, &error);
	int code = EXIT_PROBLEM;

	t->out = stderr;
	if (c != NULL && url != NULL)
		config_set(c, CFG_DATABASE_URL, url);
	if (c == NULL || (m->as_owner && !owner_become(c, &error))) {
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	} else if (config_str(c, CFG_DATABASE_URL) == NULL) {
		fputs("rakkr-fcgi: no database: set DATABASE_URL or give --database-url\n", stderr);
		code = EXIT_USAGE;
	} else {
		log_init(m->name, LOG_LEVEL_WARN);
		if (m->run(t, c, dir))
			code = EXIT_FINE;
		transfer_write_table(t, stdout);
	}
	talloc_free(mem);
	return code;
}

static int command_move(const struct move *m, int argc, char **argv)
{
	const struct option options[] = {{m->option, required_argument, NULL, 'f'},
	                                 {"config", required_argument, NULL, 'c'},
	                                 {"database-url", required_argument, NULL, 'd'},
	                                 {"help", no_argument, NULL, 'h'},
	                                 {0}};
	const char *file = NULL, *url = NULL, *dir = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			dir = optarg;
			break;
		case 'c':
			file = optarg;
			break;
		case 'd':
			url = optarg;
			break;
		case 'h':
			usage(m, stdout);
			return EXIT_FINE;
		default:
			usage(m, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind != argc || dir == NULL) {
		usage(m, stderr);
		return EXIT_USAGE;
	}
	return run(m, file, url, dir);
}

int command_import(int argc, char **argv)
{
	return command_move(&moves[0], argc, argv);
}

int command_export(int argc, char **argv)
{
	return command_move(&moves[1], argc, argv);
}
