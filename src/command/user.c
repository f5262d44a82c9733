/*
 * rakkr-fcgi user: accounts from the terminal, in whichever store is configured. Every change is made by the handler of
 * the route that makes it for the console, so checks, revoked sessions and events are the same; only who asks differs.
 */
#include "command/command.h"
#include "command/owner.h"
#include "command/secret.h"
#include "command/user_access.h"

#include "api/route.h"
#include "api/user_lookup.h"
#include "access/password.h"
#include "access/user_row.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct route users_routes[];

struct user_command {
	void *mem;
	struct app app;
	int64_t now_ms;
	const char *verb;
	const char *login; /* who is at the terminal */
	/* options */
	const char *config_file, *name;
	struct access_change access;
	bool password_stdin, yes;
	const char *who; /* e-mail or id */
};

static void usage(FILE *out)
{
	fputs("usage: rakkr-fcgi user list    [-c FILE]\n"
	      "       rakkr-fcgi user add     [-c FILE] --role ROLE... [--name NAME] [--group GROUP]...\n"
	      "                               [--resource TYPE:ID]... [--password-stdin] EMAIL\n"
	      "       rakkr-fcgi user passwd  [-c FILE] [--password-stdin] USER\n"
	      "       rakkr-fcgi user disable [-c FILE] USER\n"
	      "       rakkr-fcgi user enable  [-c FILE] USER\n"
	      "       rakkr-fcgi user delete  [-c FILE] [--yes] USER\n"
	      "       rakkr-fcgi user grant   [-c FILE] [--revoke] [--role ROLE]... [--group GROUP]...\n"
	      "                               [--resource TYPE:ID]... USER\n"
	      "  -c, --config FILE   read settings from FILE (default: the environment, ./.env)\n"
	      "  --role ROLE         owner, admin, operator, viewer or auditor\n"
	      "  --resource TYPE:ID  a grant, e.g. site:HQ, room:HQ/Hall, node:ID, *:*\n"
	      "  --password-stdin    take the password from the first line of standard input\n"
	      "  --revoke            take away what is named instead of adding it\n"
	      "  -y, --yes           do not ask\n"
	      "  USER                an e-mail address or an id\n",
	      out);
}

static int complain(const char *text)
{
	fprintf(stderr, "rakkr-fcgi: %s\n", text);
	return EXIT_PROBLEM;
}

static int store_problem(status st)
{
	return complain(st == ST_UNAVAILABLE ? "the store cannot be used now" : status_name(st));
}

/* ---- running a route's handler ----------------------------------------------------------------------------------- */

static const char *no_header(struct request *r, const char *name)
{
	(void)r;
	(void)name;
	return NULL;
}

/* The person at the terminal, also behind sudo. */
static const char *login_name(const void *ctx)
{
	char name[256];
	const struct passwd *p;

	if (getlogin_r(name, sizeof(name)) == 0 && name[0] != '\0')
		return text_scrub(ctx, name, strlen(name));
	p = getpwuid(getuid());
	return p != NULL ? mem_strdup(ctx, p->pw_name) : mem_printf(ctx, "uid %ld", (long)getuid());
}

static void request_init(struct user_command *u, struct request *r, const char *action, const char *id,
                         json_object *body)
{
	*r = (struct request){.mem = u->mem,
	                      .app = &u->app,
	                      .config = u->app.config,
	                      .store = u->app.store,
	                      .now_ms = u->now_ms,
	                      .method = "CLI",
	                      .path = mem_printf(u->mem, "user %s", u->verb),
	                      .raw_query = "",
	                      .header = no_header,
	                      .body_read = true,
	                      .body = body};
	r->who = (struct principal){.kind = WHO_SYSTEM, .id = "system:cli", .name = u->login};
	r->who.roles = json_new_array(u->mem);
	r->params[0].name = "userId";
	r->params[0].value = id;
	r->param_count = id != NULL ? 1 : 0;
	for (r->route = users_routes; strcmp(r->route->action, action) != 0;)
		r->route++;
}

/* Ends the unit of work as the dispatcher does. */
static status finish(struct request *r)
{
	if (r->rollback)
		store_rollback(r->store);
	return store_commit(r->store, r->audit, true);
}

/* "password: Too small: ..." of the first issue of an answer, if it has any. */
static void print_refusal(json_object *answer)
{
	json_object *issues = json_array(answer, "issues"), *issue, *path;

	fprintf(stderr, "rakkr-fcgi: %s", json_str_or(answer, "error", "refused"));
	if (issues != NULL && json_object_array_length(issues) > 0) {
		issue = json_object_array_get_idx(issues, 0);
		path = json_array(issue, "path");
		fputs(": ", stderr);
		for (size_t i = 0; path != NULL && i < json_object_array_length(path); i++)
			fprintf(stderr, "%s ", json_object_get_string(json_object_array_get_idx(path, i)));
		fputs(json_str_or(issue, "message", "not valid"), stderr);
	}
	fputc('\n', stderr);
}

/* Lets the handler of the route with this action do it. */
static int run_route(struct user_command *u, const char *action, const char *id, json_object *body)
{
	struct request r;
	json_object *answer;
	status st;

	request_init(u, &r, action, id, body);
	st = r.route->handler(&r);
	if (st != ST_OK)
		r.rollback = true;
	else
		st = finish(&r);
	if (st != ST_OK) {
		store_rollback(r.store);
		return store_problem(st);
	}
	if (r.reply.status < 300)
		return EXIT_FINE;
	if (json_parse(u->mem, r.reply.body, r.reply.body_len, &answer))
		print_refusal(answer);
	return EXIT_PROBLEM;
}

/* ---- finding accounts -------------------------------------------------------------------------------------------- */

/* The account that was named; *has_row false for the local admin before its first sign-in. Says if there is none. */
static status find(struct user_command *u, json_object **user, bool *has_row)
{
	struct request r = {.mem = u->mem, .config = u->app.config, .store = u->app.store};
	struct query q;
	struct page page;
	const char *id = u->who;
	status st;

	if (!text_is_uuid(id)) {
		query_init(&q);
		query_where(&q, "email", Q_EQ, text_lower(u->mem, id));
		TRY(store_list(u->app.store, u->mem, &model_users, &q, &page));
		if (page.count > 0)
			id = json_str(json_object_array_get_idx(page.docs, 0), "id");
		else if (text_equal_ci(id, config_str(u->app.config, CFG_LOCAL_ADMIN_EMAIL)))
			id = local_admin_id(u->mem, u->app.config);
	}
	st = user_find(&r, id, user, has_row);
	if (st == ST_NOT_FOUND)
		fprintf(stderr, "rakkr-fcgi: there is no account %s\n", u->who);
	else if (st != ST_OK)
		store_problem(st);
	return st;
}

static const char *joined(struct user_command *u, json_object *texts)
{
	char *out = mem_strdup(u->mem, "");

	for (size_t i = 0; i < json_object_array_length(texts); i++)
		out = mem_printf(u->mem, "%s%s%s", out, i > 0 ? "," : "",
		                 json_object_get_string(json_object_array_get_idx(texts, i)));
	return out[0] != '\0' ? out : "-";
}

static void print_user(struct user_command *u, json_object *user)
{
	json_object *wire = user_wire(u->mem, u->app.config, user);

	printf("%s\t%s\t%s\t%s\t%s\t%s\n", json_str(wire, "id"),
	       json_str(wire, "disabledAt") != NULL ? "disabled" : "enabled", json_str(wire, "provider"),
	       joined(u, json_array(wire, "roles")), text_no_controls(u->mem, json_str(wire, "email")),
	       text_no_controls(u->mem, json_str(wire, "name")));
}

static int run_list(struct user_command *u)
{
	struct query q;
	struct page page;
	bool admin_has_row = false;
	status st;

	query_init(&q);
	st = store_list(u->app.store, u->mem, &model_users, &q, &page);
	if (st != ST_OK)
		return store_problem(st);
	for (size_t i = 0; i < page.count; i++)
		admin_has_row |= text_equal_ci(json_str(json_object_array_get_idx(page.docs, i), "id"),
		                               local_admin_id(u->mem, u->app.config));
	if (!admin_has_row)
		print_user(u, local_admin(u->mem, u->app.config));
	for (size_t i = 0; i < page.count; i++)
		print_user(u, json_object_array_get_idx(page.docs, i));
	return EXIT_FINE;
}

/* ---- the verbs --------------------------------------------------------------------------------------------------- */

static int run_add(struct user_command *u)
{
	json_object *body = access_changed(&u->access, NULL);
	const char *password, *at = strchr(u->who, '@');

	if (u->access.roles.count == 0)
		return complain("user add: --role is missing"), EXIT_USAGE;
	json_set_str(body, "email", u->who);
	json_set_str(body, "name",
	             u->name != NULL ? u->name : mem_strndup(u->mem, u->who, at ? (size_t)(at - u->who) : SIZE_MAX));
	password = secret_new(u->mem, u->password_stdin);
	if (password == NULL)
		return EXIT_PROBLEM;
	json_set_str(body, "password", password);
	return run_route(u, "auth.users.create", NULL, body);
}

/* The local admin before its first sign-in: it gets its row here, and the environment's password ends. */
static int create_local_admin(struct user_command *u, json_object *user, const char *password)
{
	json_object *row = json_clone(u->mem, user), *stored;
	struct request r;
	status st;

	request_init(u, &r, "auth.users.password.reset", json_str(user, "id"), NULL);
	json_set_str(row, "passwordHash", password_hash(u->mem, u->app.config, password));
	json_set_iso(row, "createdAt", u->now_ms);
	st = store_user_create(u->app.store, u->mem, row, &stored);
	if (st == ST_OK)
		audit_add(&r, &(struct audit){.target = user_target(user),
		                              .details = details(&r, "sessionsRevoked", J_BOOL, 1, NULL)});
	r.rollback = st != ST_OK;
	if (st == ST_OK)
		st = finish(&r);
	return st == ST_OK ? EXIT_FINE : store_problem(st);
}

static int run_passwd(struct user_command *u)
{
	json_object *user, *body = json_new_object(u->mem);
	const char *password;
	bool has_row;

	if (find(u, &user, &has_row) != ST_OK || (password = secret_new(u->mem, u->password_stdin)) == NULL)
		return EXIT_PROBLEM;
	if (!has_row && text_utf16_len(password) >= PASSWORD_MIN && text_utf16_len(password) <= PASSWORD_MAX)
		return create_local_admin(u, user, password);
	json_set_str(body, "password", password);
	return run_route(u, "auth.users.password.reset", json_str(user, "id"), body);
}

static int run_status(struct user_command *u)
{
	json_object *user, *body = json_new_object(u->mem);
	bool has_row;

	if (find(u, &user, &has_row) != ST_OK)
		return EXIT_PROBLEM;
	json_set_bool(body, "disabled", strcmp(u->verb, "disable") == 0);
	return run_route(u, "auth.users.status.update", json_str(user, "id"), body);
}

static bool confirmed(const struct user_command *u, json_object *user)
{
	char answer[16];

	if (u->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		complain("nobody can be asked here: say --yes");
		return false;
	}
	printf("Delete the account %s (%s)? [y/N] ", json_str_or(user, "email", ""), json_str(user, "id"));
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL && tolower((unsigned char)answer[0]) == 'y';
}

static int run_delete(struct user_command *u)
{
	json_object *user;
	bool has_row;

	if (find(u, &user, &has_row) != ST_OK || !confirmed(u, user))
		return EXIT_PROBLEM;
	return run_route(u, "auth.users.delete", json_str(user, "id"), NULL);
}

static int run_grant(struct user_command *u)
{
	json_object *user;
	bool has_row;
	status st = ST_OK;

	if (u->access.roles.count + u->access.groups.count + u->access.grants.count == 0)
		return complain("user grant: nothing is named"), EXIT_USAGE;
	if (find(u, &user, &has_row) != ST_OK)
		return EXIT_PROBLEM;
	if (has_row) /* what is added to must still be so when it is written */
		st = user_row_lock(u->mem, u->app.store, json_str(user, "id"), &user);
	if (st != ST_OK)
		return store_problem(st);
	return run_route(u, "auth.users.access.update", json_str(user, "id"),
	                 access_changed(&u->access, user_wire(u->mem, u->app.config, user)));
}

/* ---- command line ------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct user_command *u);
	int arguments;
} verbs[] = {
    {"list", run_list, 0},     {"add", run_add, 1},       {"passwd", run_passwd, 1}, {"disable", run_status, 1},
    {"enable", run_status, 1}, {"delete", run_delete, 1}, {"grant", run_grant, 1},
};

static bool add_word(struct words *w, const char *text)
{
	if (w->count == WORDS_MAX) {
		complain("too many options of one kind");
		return false;
	}
	w->at[w->count++] = text;
	return true;
}

/* False if they make no sense; 'h' in *opt if help was asked for. */
static bool options(struct user_command *u, int argc, char **argv, int *opt)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'},   {"name", required_argument, NULL, 'n'},
	    {"role", required_argument, NULL, 'r'},     {"group", required_argument, NULL, 'g'},
	    {"resource", required_argument, NULL, 'R'}, {"password-stdin", no_argument, NULL, 'p'},
	    {"revoke", no_argument, NULL, 'x'},         {"yes", no_argument, NULL, 'y'},
	    {"help", no_argument, NULL, 'h'},           {0}};
	bool good = true;

	while (good && (*opt = getopt_long(argc, argv, "c:yh", known, NULL)) != -1) {
		switch (*opt) {
		case 'c':
			u->config_file = optarg;
			break;
		case 'n':
			u->name = optarg;
			break;
		case 'r':
			good = add_word(&u->access.roles, optarg);
			break;
		case 'g':
			good = add_word(&u->access.groups, optarg);
			break;
		case 'R':
			good = add_word(&u->access.grants, optarg);
			break;
		case 'p':
			u->password_stdin = true;
			break;
		case 'x':
			u->access.revoke = true;
			break;
		case 'y':
			u->yes = true;
			break;
		default:
			return *opt == 'h';
		}
	}
	return good;
}

static int run_verb(struct user_command *u, int (*verb)(struct user_command *u))
{
	const char *error = NULL;

	u->now_ms = clock_now_ms();
	u->login = login_name(u->mem);
	u->app.config = config_load(u->mem, u->config_file, &error);
	if (u->app.config != NULL && owner_become(u->app.config, &error))
		u->app.store = store_open(u->mem, u->app.config, &error);
	return u->app.store != NULL ? verb(u) : complain(error);
}

int command_user(int argc, char **argv)
{
	struct user_command u = {.mem = NULL};
	size_t verb = 0, count = sizeof(verbs) / sizeof(verbs[0]);
	int opt = 0, code;

	if (!options(&u, argc, argv, &opt) || opt == 'h') {
		usage(opt == 'h' ? stdout : stderr);
		return opt == 'h' ? EXIT_FINE : EXIT_USAGE;
	}
	while (optind < argc && verb < count && strcmp(verbs[verb].name, argv[optind]) != 0)
		verb++;
	if (optind == argc || verb == count || argc - optind - 1 != verbs[verb].arguments) {
		usage(stderr);
		return EXIT_USAGE;
	}
	u.verb = argv[optind];
	u.who = argv[optind + 1];
	u.mem = talloc_new(NULL);
	u.access.ctx = u.mem;
	code = run_verb(&u, verbs[verb].run);
	talloc_free(u.mem);
	return code;
}
