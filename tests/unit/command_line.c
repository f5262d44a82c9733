/*
 * The command line as the manual describes it: help, values that make no sense, streams that are closed, whose the
 * files are. The program is RAKKR_TEST_PROGRAM (tests/run sets it); each test has a folder of its own, and no database.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64]; /* of the test; the working directory of the program */
static char text[65536];

static void start(void)
{
	if (getenv("RAKKR_TEST_PROGRAM") == NULL)
		cr_skip_test("RAKKR_TEST_PROGRAM is not set");
	snprintf(folder, sizeof folder, "/tmp/rakkr-command-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	setenv("PROGRAM", getenv("RAKKR_TEST_PROGRAM"), 1);
	setenv("RAKKR_RUN_DIR", folder, 1);
	setenv("RAKKR_LOCAL_ADMIN_PASSWORD", "command test password", 1);
	unsetenv("DATABASE_URL");
	unsetenv("RAKKR_ANSIBLE_RUNNER_URL"); /* the environment wins over files, and tests/run sets this one */
}

static void stop(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	if (folder[0] != '\0' && system(command) != 0)
		perror(command);
}

TestSuite(command_line, .init = start, .fini = stop, .timeout = 60);

/* What is in the file, in text. */
static const char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

/* The exit status of a line of shell; what it writes to both streams goes to text. */
static int __attribute__((format(printf, 1, 2))) shell(const char *fmt, ...)
{
	char line[1024], command[1100];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	snprintf(command, sizeof command, "{ %s\n} >out 2>&1", line);
	int how = system(command);
	slurp("out");
	return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static bool wait_for(const char *path, const char *words)
{
	for (int i = 0; i < 5000; i++, usleep(2000))
		if (strstr(slurp(path), words) != NULL)
			return true;
	return false;
}

/* The controller, started by a line of shell that becomes it. */
static pid_t serve(const char *line)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl("/bin/sh", "sh", "-c", line, NULL);
	_exit(127);
}

static int end(pid_t pid)
{
	int how;
	kill(pid, SIGTERM);
	cr_assert_eq(waitpid(pid, &how, 0), pid);
	return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

Test(command_line, every_command_has_help)
{
	static const char *const commands[] = {"serve",  "migrate", "verify", "check", "import",
	                                       "export", "audit",   "user",   "node"};
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		for (int brief = 0; brief < 2; brief++) {
			cr_expect_eq(shell("\"$PROGRAM\" %s %s 2>/dev/null", commands[i], brief ? "-h" : "--help"), 0,
			             "%s", commands[i]);
			cr_expect_eq(strncmp(text, "usage: rakkr-fcgi ", 18), 0, "%s: %s", commands[i], text);
			cr_expect_not_null(strstr(text, "-c"), "%s", commands[i]);
		}
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static const char *const senseless[] = {
    "RAKKR_LOG_LEVEL=loud",
    "RAKKR_AUDIT_READS=STRICT",
    "RAKKR_PASSWORD_FORMAT=bcrypt",
    "RAKKR_ORPHAN_SWEEP=delete",
    "RAKKR_WORKERS=lots",
    "RAKKR_SEED_DEMO_DATA=no",
    "RAKKR_DEV_DEFAULT_PASSWORD=yes",
    "RAKKR_RECORDING_JOB_LEASE_RUNNER_ENABLED=false",
    "RAKKR_OIDC_ENABLED=maybe",
    "RAKKR_DEMO_METER_DBFS=loud",
    "RAKKR_LOCAL_ADMIN_ROLE=viewr",
    "RAKKR_LOCAL_ADMIN_ID=me",
    "RAKKR_LOCAL_ADMIN_GROUPS=[1",
    "RAKKR_LOCAL_RESOURCE_GRANTS=[]",
    "RAKKR_LOCAL_RESOURCE_GRANTS={\"node\":\"a\"}",
    "RAKKR_LOCAL_ACCESS_POLICIES={",
    "RAKKR_LOCAL_ACCESS_POLICIES=[{\"effect\":\"deni\"}]",
    "RAKKR_FFMPEG_ARGS_PREFIX=[\"a\"",
    "RAKKR_FFPROBE_ARGS_PREFIX=[1]",
    "RAKKR_ANSIBLE_RUNNER_URL=runner",
    "RAKKR_WEB_ORIGIN=https://rakkr.example.org/console",
};

#define SENSELESS (sizeof senseless / sizeof senseless[0])

/* The name in front of the "=". */
static const char *name_of(const char *setting)
{
	static char name[64];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(setting, "="), setting);
	return name;
}

Test(command_line, check_finds_every_value_that_makes_no_sense)
{
	cr_expect_eq(shell("\"$PROGRAM\" check 2>/dev/null"), 0, "%s", text);
	for (size_t i = 0; i < SENSELESS; i++) {
		cr_expect_eq(shell("env '%s' \"$PROGRAM\" check 2>/dev/null", senseless[i]), 1, "%s", senseless[i]);
		const char *problem = strstr(text, "problem ");
		const char *named = problem != NULL ? strstr(problem, name_of(senseless[i])) : NULL;
		cr_expect(named != NULL && memchr(problem, '\n', (size_t)(named - problem)) == NULL, "%s: %s",
		          senseless[i], text);
	}
}

Test(command_line, values_with_sense_are_no_problem)
{
	cr_expect_eq(shell("env RAKKR_SEED_DEMO_DATA=1 RAKKR_DEV_DEFAULT_PASSWORD=0 RAKKR_OIDC_ENABLED=off "
	                   "RAKKR_DEMO_METER_DBFS=-20.5 RAKKR_LOCAL_ADMIN_ROLE=admin RAKKR_WEB_ORIGIN='*' "
	                   "RAKKR_LOCAL_ADMIN_GROUPS='a, b' RAKKR_LOCAL_RESOURCE_GRANTS='{\"node\":[\"*\"]}' "
	                   "RAKKR_LOCAL_ACCESS_POLICIES='[]' RAKKR_ANSIBLE_RUNNER_URL=http://127.0.0.1:9 "
	                   "RAKKR_FFMPEG_ARGS_PREFIX='[\"-x\"]' RAKKR_FFPROBE_ARGS_PREFIX='-a -b' "
	                   "\"$PROGRAM\" check 2>&1"),
	             0, "%s", text);
}

/* Started all the same: the log says at once what does not count. */
Test(command_line, serve_says_which_values_make_no_sense)
{
	FILE *f = fopen("config", "w");
	for (size_t i = 0; i < SENSELESS; i++)
		if (strchr(senseless[i], '\'') == NULL)
			fprintf(f, "%s\n", senseless[i]);
	fclose(f);
	pid_t pid = serve("exec \"$PROGRAM\" serve -c config 2>log");
	cr_assert(wait_for("log", "master") && wait_for("log", ": ready"), "%s", text);
	for (size_t i = 0; i < SENSELESS; i++)
		cr_expect_not_null(strstr(text, name_of(senseless[i])), "%s", senseless[i]);
	cr_expect_eq(end(pid), 0);
}

/* What was opened at the start stays, and it is said; a folder that changed under requests in flight would be two. */
Test(command_line, reload_keeps_the_folders)
{
	FILE *f = fopen("config", "w");
	fputs("RAKKR_DATA_DIR=one\nRAKKR_RECORDING_METADATA_STORE_PATH=one/r.json\n", f);
	fclose(f);
	pid_t pid = serve("exec \"$PROGRAM\" serve -c config 2>log");
	cr_assert(wait_for("log", ": ready"), "%s", text);
	f = fopen("config", "w");
	fputs("RAKKR_DATA_DIR=two\nRAKKR_RECORDING_METADATA_STORE_PATH=two/r.json\n", f);
	fclose(f);
	kill(pid, SIGHUP);
	cr_assert(wait_for("log", ": reloaded"), "%s", text);
	cr_expect_not_null(strstr(text, "RAKKR_DATA_DIR changed"), "%s", text);
	cr_expect_not_null(strstr(text, "RAKKR_RECORDING_METADATA_STORE_PATH changed"), "%s", text);
	cr_expect_eq(access("two", F_OK), -1);
	cr_expect_eq(end(pid), 0);
}

Test(command_line, a_folder_is_no_configuration)
{
	cr_expect_eq(shell("\"$PROGRAM\" migrate -c /tmp"), 1);
	cr_expect_not_null(strstr(text, "Is a directory"), "%s", text);
}

/* An address that libpq cannot take apart: one line that names the variable, and nothing of the password in it. */
Test(command_line, an_address_that_is_none_is_not_shown)
{
	static const char *const addresses[] = {"postgres://u:secret%zz@h/x", "postgres://u:secret@[::1/x",
	                                        "mysql://u:secret@h/x", "secret"};
	static const char *const commands[] = {
	    "check", "migrate",   "migrate -n",  "verify", "import --from-files from", "export --to-files new",
	    "serve", "user list", "audit export"};
	cr_assert_eq(shell("mkdir from && echo '{\"users\":[]}' >from/users.json"), 0);
	for (size_t a = 0; a < sizeof addresses / sizeof addresses[0]; a++)
		for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
			cr_expect_eq(shell("DATABASE_URL='%s' timeout 20 \"$PROGRAM\" %s", addresses[a], commands[i]),
			             1, "%s", commands[i]);
			cr_expect_null(strstr(text, "secret"), "%s: %s", commands[i], text);
			cr_expect_not_null(strstr(text, "DATABASE_URL"), "%s: %s", commands[i], text);
		}
}

/* Said once, not once for each of the files that would be in it. */
Test(command_line, a_folder_that_cannot_be_made_is_one_line)
{
	int lines = 0;
	shell("touch file; RAKKR_DATA_DIR=file/x \"$PROGRAM\" user list");
	for (const char *at = text; (at = strstr(at, "file/x: ")) != NULL; at++)
		lines++;
	cr_expect_eq(lines, 1, "%s", text);
}

/* ---- streams and files ------------------------------------------------------------------------------------------- */

/* Levels as the journal wants them, and as people do in a file or a terminal that a service started. */
Test(command_line, the_log_knows_the_journal)
{
	shell("touch file; RAKKR_DATA_DIR=file/x JOURNAL_STREAM=$(stat -L -c %%d:%%i out) \"$PROGRAM\" "
	      "user list");
	cr_expect_eq(strncmp(text, "<3>cli[", 7), 0, "%s", text);
	shell("RAKKR_DATA_DIR=file/x JOURNAL_STREAM=1:1 \"$PROGRAM\" user list");
	cr_expect_eq(strncmp(text, "error rakkr-fcgi cli[", 21), 0, "%s", text);
}

/* What would be written to a closed stream must not end in whatever was opened in its place. */
Test(command_line, closed_streams_stay_closed)
{
	cr_expect_eq(shell("echo 'command test password' >word; \"$PROGRAM\" user add --role viewer --password-stdin "
	                   "ann@example.org <word >&- && \"$PROGRAM\" user list >&-"),
	             0, "%s", text);
	cr_expect_eq(shell("! \"$PROGRAM\" user add --role viewer --password-stdin none <word >&- 2>&-"), 0);
	cr_expect_neq(shell("\"$PROGRAM\" audit export >&-"), 0, "what nobody got was exported");
	cr_expect_str_eq(slurp("data/.lock"), "");
	char *rest = NULL;
	slurp("data/audit-events.jsonl");
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		cr_expect_eq(line[0], '{', "%s", line);
	pid_t pid = serve("exec \"$PROGRAM\" serve <&- >&- 2>&-");
	char expected[32];
	snprintf(expected, sizeof expected, "%d\n", (int)pid);
	cr_assert(wait_for("rakkr.pid", expected));
	kill(pid, SIGHUP); /* it has something to say then */
	char path[64];
	for (int fd = 0; fd < 3; fd++) {
		char target[256] = "";
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
		cr_expect_gt(readlink(path, target, sizeof target - 1), 0);
		cr_expect_str_eq(target, "/dev/null");
	}
	cr_expect_eq(end(pid), 0);
}

/* They hold hashes of passwords and tokens (rakkr-fcgi(8), FILES). */
Test(command_line, files_are_for_their_owner_only)
{
	cr_expect_eq(shell("umask 022; echo 'command test password' | \"$PROGRAM\" user add --role viewer "
	                   "--password-stdin ann@example.org && \"$PROGRAM\" user disable ann@example.org"),
	             0, "%s", text);
	cr_expect_eq(shell("\"$PROGRAM\" node enroll --alias A --site S --room R"), 0, "%s", text);
	shell("find data -type f -perm /077");
	cr_expect_str_eq(text, "");
	shell("find data -type f | wc -l");
	cr_expect_gt(atoi(text), 3, "nothing to look at");
}

/* As "user" and "node" do: no file that the controller cannot read. */
Test(command_line, root_leaves_no_file_of_its_own)
{
	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	cr_assert_eq(shell("chmod 755 . && mkdir data && chown nobody data && \"$PROGRAM\" audit export"), 0, "%s",
	             text);
	shell("find data ! -user nobody");
	cr_expect_str_eq(text, "");
	shell("find data -name .lock");
	cr_expect_str_neq(text, "", "nothing to look at");
}
