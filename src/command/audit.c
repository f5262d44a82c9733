/* rakkr-fcgi audit: the audit log from the terminal. */
#include "command/command.h"
#include "command/owner.h"

#include "api/audit_csv.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define PIECE 65536

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi audit export [-c FILE] [--from TIME] [--to TIME]\n"
	      "  writes audit events as CSV to standard output, newest first\n"
	      "  -c, --config FILE  read settings from FILE (default: the environment, ./.env)\n"
	      "      --from TIME    events at or after TIME (ISO 8601, e.g. 2026-06-20 or 2026-06-20T09:00:00Z)\n"
	      "      --to TIME      events at or before TIME\n"
	      "exit status: 0, 1 it did not work, 2 usage\n",
	      out);
}

struct writing {
	struct csv csv;
	struct buf out;
	bool failed;
};

static bool write_out(struct writing *w)
{
	w->failed = w->failed || fwrite(w->out.data, 1, w->out.len, stdout) != w->out.len;
	csv_sent(&w->csv);
	return !w->failed;
}

static bool write_event(void *state, json_object *event)
{
	struct writing *w = state;
	void *ctx = talloc_new(NULL);

	audit_csv_row(&w->csv, ctx, event);
	talloc_free(ctx);
	return w->out.len < PIECE || write_out(w);
}

static int export_events(const void *mem, struct store *s, const struct query *q)
{
	struct writing w = {.failed = false};
	status st;

	buf_init(&w.out, mem);
	csv_init(&w.csv, &w.out, CSV_QUOTE_ALWAYS);
	audit_csv_header(&w.csv);
	st = store_each(s, &model_audit_events, q, write_event, &w);
	if (st == ST_OK && write_out(&w) && putchar('\n') != EOF && fflush(stdout) == 0)
		return EXIT_FINE;
	fprintf(stderr, "rakkr-fcgi: the export is not complete: %s\n",
	        st != ST_OK ? status_name(st) : strerror(errno));
	return EXIT_PROBLEM;
}

static int run(const char *file, const struct query *q)
{
	void *mem = talloc_new(NULL);
	const char *error = NULL;
	const struct config *c = config_load(mem, file, &error);
	struct store *s = c == NULL || !owner_become(c, &error) ? NULL : store_open(mem, c, &error);
	int code = EXIT_PROBLEM;

	log_init("audit", LOG_LEVEL_WARN);
	if (s == NULL)
		fprintf(stderr, "rakkr-fcgi: %s\n", error);
	else
		code = export_events(mem, s, q);
	talloc_free(mem);
	return code;
}

static bool add_time(struct query *q, enum query_op op, const char *text, char iso[CLOCK_ISO_SIZE])
{
	int64_t ms;

	if (!clock_parse(text, CLOCK_LENIENT, &ms)) {
		fprintf(stderr, "rakkr-fcgi: \"%s\" is no ISO 8601 time\n", text);
		return false;
	}
	query_where(q, "createdAt", op, clock_iso(iso, ms));
	return true;
}

int command_audit(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	                                        {"from", required_argument, NULL, 'f'},
	                                        {"to", required_argument, NULL, 't'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {0}};
	char from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE];
	const char *file = NULL;
	struct query q;
	int opt;

	query_init(&q);
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return EXIT_FINE;
		}
		if (opt == 'c')
			file = optarg;
		else if (opt == '?')
			break;
		else if (!add_time(&q, opt == 'f' ? Q_GE : Q_LE, optarg, opt == 'f' ? from : to))
			return EXIT_USAGE;
	}
	if (opt != -1 || optind + 1 != argc || strcmp(argv[optind], "export") != 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return run(file, &q);
}
