/* The list of variables in the manual is the one of the program. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

/* Every run of white space becomes one blank: where lines break is the page's own business. */
static char *words(FILE *in)
{
	size_t n = 0, cap = 1 << 20;
	char *text = malloc(cap);
	for (int c; (c = getc(in)) != EOF && n + 1 < cap;)
		if (!isspace(c))
			text[n++] = (char)c;
		else if (n > 0 && text[n - 1] != ' ')
			text[n++] = ' ';
	text[n] = '\0';
	return text;
}

Test(manual, lists_every_variable_as_the_program_does)
{
	const char *root = getenv("srcdir");
	char path[4096];
	snprintf(path, sizeof(path), "%s/man/rakkr-fcgi.8", root != NULL ? root : ".");
	FILE *page = fopen(path, "r"), *list = tmpfile();
	cr_assert_not_null(page, "%s", path);
	config_write_mdoc(list);
	rewind(list);
	char *manual = words(page), *expected = words(list);
	for (char *item = strstr(expected, ".It Ev "), *next; item != NULL; item = next) {
		next = strstr(item + 1, ".It Ev ");
		if (next != NULL)
			next[-1] = '\0';
		cr_expect_not_null(strstr(manual, item), "the manual does not say: %s", item);
	}
}
