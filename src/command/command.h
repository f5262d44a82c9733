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

/*
 * A flat-file installation into the database: import --from-files DIR; and back: export --to-files DIR. Progress and
 * problems on stderr, at the end a table of counts on stdout. Exit status: 0 everything is there; 1 not; 2 usage.
 */
int command_import(int argc, char **argv);
int command_export(int argc, char **argv);

/*
 * audit export: all audit events, newest first, as CSV on stdout, in memory of constant size. Exit status: 0; 1 it did
 * not work; 2 usage.
 */
int command_audit(int argc, char **argv);

/*
 * Recorder nodes: node list|enroll|rotate|remove, in the configured store, whether or not the controller runs. What it
 * changes is audited with the actor system:cli. Exit status: 0; 1 it did not work; 2 usage.
 */
int command_node(int argc, char **argv);

/*
 * Accounts: user list|add|passwd|disable|enable|delete|grant, in the configured store, whether or not the controller
 * runs. Passwords are asked for without echo, or read from standard input. Audited with the actor system:cli and the
 * login name of who ran it. Exit status: 0; 1 it did not work; 2 usage.
 */
int command_user(int argc, char **argv);

#endif
