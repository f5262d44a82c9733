#include "command/secret.h"

#include "base/mem.h"
#include "base/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line without its end; NULL at the end of the input. */
static const char *read_line(const void *ctx)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n = getline(&line, &size, stdin);
	const char *text = NULL;

	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	if (n >= 0)
		text = text_scrub(ctx, line, (size_t)n);
	free(line);
	return text;
}

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
	interrupted = number;
}

/* Asks at the terminal without showing what is typed. Ended by a signal, it leaves a terminal that shows it again. */
static const char *ask_secret(const void *ctx, const char *prompt)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
	const struct sigaction note = {.sa_handler = note_signal}; /* reading does not go on after it */
	struct sigaction usual[sizeof(signals) / sizeof(signals[0])];
	struct termios before, silent;
	const char *text;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &note, &usual[i]);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fputs(prompt, stderr);
	text = interrupted == 0 ? read_line(ctx) : NULL;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &usual[i], NULL);
	if (interrupted != 0)
		raise(interrupted);
	return text;
}

static const char *refuse(const char *why)
{
	fprintf(stderr, "rakkr-fcgi: %s\n", why);
	return NULL;
}

const char *secret_new(const void *ctx, bool from_input)
{
	const char *first, *second;

	if (from_input) {
		first = read_line(ctx);
		return first != NULL ? first : refuse("there is no password on standard input");
	}
	if (!isatty(STDIN_FILENO))
		return refuse("nobody can be asked for a password here: say --password-stdin");
	first = ask_secret(ctx, "New password: ");
	second = first != NULL ? ask_secret(ctx, "Again: ") : NULL;
	return second != NULL && strcmp(first, second) == 0 ? first : refuse("these are not the same");
}
