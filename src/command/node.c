/* rakkr-fcgi node: recorder nodes from the terminal, in whichever store is configured. */
#include "command/command.h"
#include "command/owner.h"

#include "api/node_edit.h"
#include "api/node_lookup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/system_event.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNELS_DEFAULT 2
#define INTERFACES_MAX 32

struct node_command {
	void *mem;
	struct app app;
	int64_t now_ms;
	/* options */
	const char *config_file, *alias, *hostname, *site, *room, *url;
	const char *interfaces[INTERFACES_MAX];
	size_t interface_count;
	bool yes;
	const char *id;
};

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi node list   [-c FILE]\n"
	      "       rakkr-fcgi node enroll [-c FILE] --alias NAME --site NAME --room NAME [--hostname NAME]\n"
	      "                              [--interface NAME[:CHANNELS]]... [--url URL]\n"
	      "       rakkr-fcgi node rotate [-c FILE] [--url URL] NODE\n"
	      "       rakkr-fcgi node remove [-c FILE] [--yes] NODE\n"
	      "  -c, --config FILE   read settings from FILE (default: the environment, ./.env)\n"
	      "  --hostname NAME     default: the alias\n"
	      "  --interface NAME    an ALSA interface of CHANNELS (2) channels; default: one called \"default\"\n"
	      "  --url URL           address of the controller, for the agent's command line\n"
	      "  -y, --yes           do not ask\n",
	      out);
}

static int problem(const struct node_command *n, status st)
{
	switch (st) {
	case ST_NOT_FOUND:
		fprintf(stderr, "rakkr-fcgi: there is no node %s\n", n->id);
		break;
	case ST_UNAVAILABLE:
		fputs("rakkr-fcgi: the store cannot be used now\n", stderr);
		break;
	default:
		fprintf(stderr, "rakkr-fcgi: failed: %s\n", status_name(st));
	}
	return EXIT_PROBLEM;
}

/* Ends the unit of work together with the event that tells of it. */
static status commit(struct node_command *n, struct system_event *e)
{
	json_object *events = json_new_array(n->mem);

	e->actor_id = "system:cli";
	e->actor_name = "Rakkr Command Line";
	e->permission = PERM_NODE_MANAGE;
	json_push_ref(events, system_event(n->mem, n->now_ms, e));
	return store_commit(n->app.store, events, true);
}

static json_object *credential_details(struct node_command *n, json_object *envelope)
{
	json_object *d = json_new_object(n->mem);

	json_set_str(d, "credentialId", json_str(envelope, "id"));
	json_set_str(d, "tokenPrefix", json_str(envelope, "tokenPrefix"));
	return d;
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* As one word of a shell. */
static const char *quoted(const void *ctx, const char *text)
{
	const char *harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
	struct buf out;

	if (text[0] != '\0' && text[strspn(text, harmless)] == '\0')
		return text;
	buf_init(&out, ctx);
	buf_putc(&out, '\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			buf_puts(&out, "'\\''");
		else
			buf_putc(&out, *text);
	buf_putc(&out, '\'');
	return out.data;
}

/* The one time that the token is seen, and how the agent is started with it. */
static void print_credential(struct node_command *n, json_object *node, const char *token)
{
	json_object *location = json_object_at(node, "location");

	printf("node     %s\n", json_str(node, "id"));
	printf("token    %s (not shown again)\n", token);
	printf("agent    RAKKR_CONTROLLER_TOKEN=%s rakkr-recorder-agent --controller-url %s --node-id %s --alias %s "
	       "--site %s --room %s\n",
	       token, quoted(n->mem, n->url != NULL ? n->url : "https://CONTROLLER"), json_str(node, "id"),
	       quoted(n->mem, json_str_or(node, "alias", "")), quoted(n->mem, json_str_or(location, "site", "")),
	       quoted(n->mem, json_str_or(location, "room", "")));
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static status stored_nodes(struct node_command *n, struct page *page)
{
	struct query q;

	query_init(&q);
	query_sort(&q, "createdAt", false);
	query_sort(&q, "id", false);
	return store_list(n->app.store, n->mem, &model_nodes, &q, page);
}

static int run_list(struct node_command *n)
{
	struct page page;
	status st = stored_nodes(n, &page);

	if (st != ST_OK)
		return problem(n, st);
	for (size_t i = 0; i < page.count; i++) {
		json_object *node = json_object_array_get_idx(page.docs, i);
		json_object *location = json_object_at(node, "location");
		bool stale = node_is_stale(&n->app, n->now_ms, node);

		printf("%s\t%s\t%s\t%s\t%s\t%s\n", json_str(node, "id"),
		       stale ? "offline" : json_str_or(node, "status", ""), json_str_or(node, "lastSeenAt", "never"),
		       text_no_controls(n->mem, json_str_or(node, "alias", "")),
		       text_no_controls(n->mem, json_str_or(location, "site", "")),
		       text_no_controls(n->mem, json_str_or(location, "room", "")));
	}
	return EXIT_FINE;
}

/* ---- enroll ------------------------------------------------------------------------------------------------------ */

/* "NAME:CHANNELS": the colon that counts is the last one, if digits follow (names like hw:CARD=X have colons). */
static json_object *interface_of(struct node_command *n, const char *text)
{
	json_object *o = json_object_new_object(), *rates = json_object_new_array();
	const char *colon = strrchr(text, ':');
	int64_t channels = CHANNELS_DEFAULT;
	size_t len = strlen(text);

	if (colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		channels = strtoll(colon + 1, NULL, 10);
		len = (size_t)(colon - text);
	}
	const char *name = mem_strndup(n->mem, text, len);

	json_set_str(o, "alias", name);
	json_set_str(o, "backend", "alsa");
	json_set_int(o, "channelCount", channels);
	json_object_array_add(rates, json_object_new_int(48000));
	json_object_object_add(o, "sampleRates", rates);
	json_set_str(o, "systemName", name);
	json_set_str(o, "systemRef", name);
	return o;
}

static json_object *enroll_body(struct node_command *n)
{
	json_object *body = json_new_object(n->mem), *interfaces = json_object_new_array();
	json_object *location = json_object_new_object();

	json_set_str_opt(body, "alias", n->alias);
	json_set_str_opt(body, "hostname", n->hostname != NULL ? n->hostname : n->alias);
	if (n->interface_count == 0)
		n->interfaces[n->interface_count++] = "default";
	for (size_t i = 0; i < n->interface_count; i++)
		json_object_array_add(interfaces, interface_of(n, n->interfaces[i]));
	json_object_object_add(body, "interfaces", interfaces);
	json_set_str_opt(location, "room", n->room);
	json_set_str_opt(location, "site", n->site);
	json_object_object_add(body, "location", location);
	return body;
}

/* The first thing that is wrong with what was given, by the rules of the route. */
static void print_issue(json_object *issues)
{
	json_object *issue = json_object_array_get_idx(issues, 0), *path = json_array(issue, "path");

	fputs("rakkr-fcgi: ", stderr);
	for (size_t i = 0; path != NULL && i < json_object_array_length(path); i++)
		fprintf(stderr, "%s%s", i > 0 ? "." : "", json_object_get_string(json_object_array_get_idx(path, i)));
	fprintf(stderr, ": %s\n", json_str_or(issue, "message", "not valid"));
}

static int run_enroll(struct node_command *n)
{
	json_object *input, *issues, *envelope, *node;

	if (!schema_check(n->mem, &node_enroll_schema, enroll_body(n), &input, &issues)) {
		print_issue(issues);
		return EXIT_USAGE;
	}
	node = node_new(n->mem, n->now_ms, input);
	json_object *credential = node_new_credential(n->mem, n->now_ms, json_str(node, "id"), NULL, &envelope);
	status st = store_node_enroll(n->app.store, n->mem, node, credential, &node);

	if (st == ST_OK)
		st = commit(n, &(struct system_event){
		                   .action = "nodes.enroll.succeeded",
		                   .target = {.type = "node", .id = json_str(node, "id"), .name = n->alias},
		                   .after = node_snapshot(n->mem, node),
		                   .details = credential_details(n, envelope),
		               });
	if (st != ST_OK)
		return problem(n, st);
	print_credential(n, node, json_str(envelope, "token"));
	return EXIT_FINE;
}

/* ---- rotate ------------------------------------------------------------------------------------------------------ */

static int run_rotate(struct node_command *n)
{
	json_object *node, *envelope;
	status st = store_get(n->app.store, n->mem, &model_nodes, n->id, &node);

	if (st == ST_OK)
		st = store_credential_rotate(n->app.store, n->mem, n->id,
		                             node_new_credential(n->mem, n->now_ms, n->id, NULL, &envelope), n->now_ms);
	if (st == ST_OK)
		st = commit(n, &(struct system_event){
		                   .action = "nodes.credentials.rotate.succeeded",
		                   .target = {.type = "node", .id = n->id, .name = json_str(node, "alias")},
		                   .before = node_snapshot(n->mem, node),
		                   .after = node_snapshot(n->mem, node),
		                   .details = credential_details(n, envelope),
		               });
	if (st != ST_OK)
		return problem(n, st);
	print_credential(n, node, json_str(envelope, "token"));
	return EXIT_FINE;
}

/* ---- remove ------------------------------------------------------------------------------------------------------ */

static bool confirmed(const struct node_command *n, json_object *node)
{
	char answer[16];

	if (n->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fputs("rakkr-fcgi: nobody can be asked here: say --yes\n", stderr);
		return false;
	}
	printf("Remove %s (%s) and its credentials? Its recordings stay. [y/N] ", n->id,
	       json_str_or(node, "alias", ""));
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL && tolower((unsigned char)answer[0]) == 'y';
}

/* A node at work is not taken away. */
static status idle(struct node_command *n, bool *is)
{
	static const char *const open_states[] = {"queued", "running", "stop_requested"};
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, n->id);
	query_where_in(&q, "status", open_states, sizeof(open_states) / sizeof(open_states[0]));
	q.limit = 1;
	TRY(store_list(n->app.store, n->mem, &model_jobs, &q, &page));
	*is = page.count == 0;
	if (!*is)
		fprintf(stderr, "rakkr-fcgi: %s has an unfinished job, %s: stop the recording first\n", n->id,
		        json_str_or(json_object_array_get_idx(page.docs, 0), "id", ""));
	return ST_OK;
}

static status remove_node(struct node_command *n, json_object *node)
{
	struct query q;
	struct page page;

	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, n->id);
	TRY(store_remove(n->app.store, n->mem, &model_credentials, &q, &page));
	query_init(&q);
	query_where(&q, "id", Q_EQ, n->id);
	TRY(store_remove(n->app.store, n->mem, &model_nodes, &q, &page));
	if (page.count == 0)
		return ST_NOT_FOUND;
	return commit(n, &(struct system_event){
	                     .action = "nodes.remove.succeeded",
	                     .target = {.type = "node", .id = n->id, .name = json_str(node, "alias")},
	                     .before = node_snapshot(n->mem, node),
	                 });
}

static int run_remove(struct node_command *n)
{
	json_object *node;
	bool may = false;
	status st = store_get(n->app.store, n->mem, &model_nodes, n->id, &node);

	if (st == ST_OK)
		st = idle(n, &may);
	if (st != ST_OK)
		return problem(n, st);
	if (!may || !confirmed(n, node))
		return EXIT_PROBLEM;
	/* What a queued job waits for must not vanish between the look and the removal. */
	st = store_lock(n->app.store, mem_printf(n->mem, "node:%s", n->id));
	if (st == ST_OK)
		st = idle(n, &may);
	if (st == ST_OK && may)
		st = remove_node(n, node);
	store_rollback(n->app.store);
	if (st != ST_OK)
		return problem(n, st);
	if (!may)
		return EXIT_PROBLEM;
	printf("removed  %s\n", n->id);
	return EXIT_FINE;
}

/* ---- command line ------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct node_command *n);
	int arguments;
} verbs[] = {{"list", run_list, 0}, {"enroll", run_enroll, 0}, {"rotate", run_rotate, 1}, {"remove", run_remove, 1}};

/* False if they make no sense; 'h' in *opt if help was asked for. */
static bool options(struct node_command *n, int argc, char **argv, int *opt)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'},   {"alias", required_argument, NULL, 'a'},
	    {"hostname", required_argument, NULL, 'H'}, {"site", required_argument, NULL, 's'},
	    {"room", required_argument, NULL, 'r'},     {"interface", required_argument, NULL, 'i'},
	    {"url", required_argument, NULL, 'u'},      {"yes", no_argument, NULL, 'y'},
	    {"help", no_argument, NULL, 'h'},           {0}};

	while ((*opt = getopt_long(argc, argv, "c:yh", known, NULL)) != -1) {
		const char **value = *opt == 'c'   ? &n->config_file
		                     : *opt == 'a' ? &n->alias
		                     : *opt == 'H' ? &n->hostname
		                     : *opt == 's' ? &n->site
		                     : *opt == 'r' ? &n->room
		                     : *opt == 'u' ? &n->url
		                                   : NULL;

		if (*opt == 'y')
			n->yes = true;
		else if (*opt == 'i' && n->interface_count < INTERFACES_MAX)
			n->interfaces[n->interface_count++] = optarg;
		else if (value != NULL)
			*value = optarg;
		else
			return *opt == 'h';
	}
	return true;
}

static int run_verb(struct node_command *n, int (*verb)(struct node_command *n))
{
	const char *error = NULL;

	n->now_ms = clock_now_ms();
	n->app.config = config_load(n->mem, n->config_file, &error);
	if (n->app.config != NULL && owner_become(n->app.config, &error))
		n->app.store = store_open(n->mem, n->app.config, &error);
	if (n->app.store != NULL)
		return verb(n);
	fprintf(stderr, "rakkr-fcgi: %s\n", error);
	return EXIT_PROBLEM;
}

int command_node(int argc, char **argv)
{
	struct node_command n = {.mem = NULL};
	size_t verb = 0, verbs_count = sizeof(verbs) / sizeof(verbs[0]);
	int opt = 0, code = EXIT_USAGE;

	if (!options(&n, argc, argv, &opt) || opt == 'h') {
		usage(opt == 'h' ? stdout : stderr);
		return opt == 'h' ? EXIT_FINE : EXIT_USAGE;
	}
	while (optind < argc && verb < verbs_count && strcmp(verbs[verb].name, argv[optind]) != 0)
		verb++;
	if (optind == argc || verb == verbs_count || argc - optind - 1 != verbs[verb].arguments) {
		usage(stderr);
		return EXIT_USAGE;
	}
	n.id = argv[optind + 1];
	n.mem = talloc_new(NULL);
	code = run_verb(&n, verbs[verb].run);
	talloc_free(n.mem);
	return code;
}
