/*
 * The subcommands of the program; main.c picks one. argv[0] is the subcommand's name; each returns the exit status.
 * Errors are one clear line on stderr.
 */
#ifndef RAKKR_COMMAND_COMMAND_H
#define RAKKR_COMMAND_COMMAND_H

enum command_exit {
	EXIT_FINE = 0,
	EXIT_PROBLEM = 1, /* could not start, or something is wrong */
	EXIT_USAGE = 2,   /* wrong arguments */
};

/*
 * Runs the controller: serve [--config FILE] [--foreground]. Exit status: 0 after a stop by signal; 1 could not start;
 * 2 usage; 3 the database's schema is newer than the program; 4 it is damaged or unknown. A database that cannot be
 * reached is no reason not to start.
 */
int command_serve(int argc, char **argv);

/* Brings the schema up to date: see enum migrate_exit. */
int command_migrate(int argc, char **argv);

/* Compares the schema with the model. */
int command_verify(int argc, char **argv);

/*
 * Configuration and reachability: check [--config FILE]. One line for each thing looked at, "ok" or "problem" in front;
 * "note" where something optional is missing. Exit status: 0 no problem; 1 problems; 2 usage.
 */
int command_check(int argc, char **argv);

#endif
