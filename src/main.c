/* The command line: picks a command, nothing else. */
#include "command/command.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
    {"serve", command_serve, "run the controller (foreground)"},
    {"migrate", command_migrate, "create, adopt or upgrade the database schema"},
    {"verify", command_verify, "compare the database with the declared model"},
    {"check", command_check, "check configuration and reachability"},
    {"import", command_import, "move a flat-file installation into the database"},
    {"export", command_export, "write the database as flat files"},
    {"audit", command_audit, "export the audit log"},
    {"user", command_user, "list, add, change and delete accounts"},
    {"node", command_node, "list, enroll, rotate or remove recorder nodes"},
};

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi [--help | --version] command [options]\n\ncommands:\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n\"rakkr-fcgi command --help\" shows a command's options; see rakkr-fcgi(8).\n", out);
}

/*
 * A stream that the caller closed must not become whatever is opened next, or messages end up in it. What is put in its
 * place is open the wrong way round: reading and writing go on failing, and a lost export is not taken for a good one.
 */
static bool streams_occupy(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	if (!streams_occupy())
		return 1;
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts(PACKAGE_NAME " " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "rakkr-fcgi: unknown command \"%s\"\n", argv[1]);
	usage(stderr);
	return 2;
}
