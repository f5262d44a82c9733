/* rakkr-fcgi node: the nodes of a running controller from the terminal, in both stores. */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct ran {
	int code;
	char *text; /* standard output and errors */
};

/* The program with these words of a shell, as an administrator of the instance would run it. */
static struct ran node(const char *words)
{
	enum { MOST = 4 << 20 }; /* the instance is shared: a list shows everybody's nodes */
	struct ran r = {.text = malloc(MOST)};
	FILE *out =
	    popen(fmt("cd '%s' && %s%s%s '%s' node %s 2>&1 </dev/null", instance_dir(),
	              on_postgres() ? "DATABASE_URL='" : "", on_postgres() ? getenv("RAKKR_TEST_DATABASE_URL") : "",
	              on_postgres() ? "'" : "", getenv("RAKKR_TEST_PROGRAM"), words),
	          "r");

	cr_assert_not_null(out);
	r.text[fread(r.text, 1, MOST - 1, out)] = '\0';
	r.code = WEXITSTATUS(pclose(out));
	return r;
}

/* The word behind label at the beginning of a line. */
static const char *word(const char *text, const char *label)
{
	const char *line = strstr(text, label);

	cr_assert_not_null(line, "%s in %s", label, text);
	line += strlen(label);
	line += strspn(line, " ");
	return strndup(line, strcspn(line, " \n"));
}

static struct node enroll(void)
{
	struct ran r = node(
	    "enroll --alias \"O'Hara\" --site Theatre --room Booth --interface hw:CARD=X:8 --url https://c.example");

	cr_assert_eq(r.code, 0, "%s", r.text);
	struct node n = {.id = word(r.text, "node "), .token = word(r.text, "token ")};
	n.path = fmt("/api/v1/nodes/%s", n.id);
	cr_expect_not_null(strstr(r.text, fmt("RAKKR_CONTROLLER_TOKEN=%s rakkr-recorder-agent --controller-url "
	                                      "https://c.example --node-id %s --alias 'O'\\''Hara' --site Theatre "
	                                      "--room Booth\n",
	                                      n.token, n.id)),
	                   "%s", r.text);
	return n;
}

static json_object *cli_event(const char *action, const char *id)
{
	json_object *event = audit_last(action, id);

	cr_expect_str_eq(j_str(event, "actor.id"), "system:cli");
	cr_expect_str_eq(j_str(event, "actor.type"), "system");
	cr_expect_str_eq(j_str(event, "outcome"), "succeeded");
	cr_expect_str_eq(j_str(event, "permission"), "node:manage");
	cr_expect_str_eq(j_str(event, "target.name"), "O'Hara");
	return event;
}

/* Without a database a heartbeat reaches the file within five seconds. */
static bool listed_online(void *id)
{
	struct ran list = node("list");
	const char *line = strstr(list.text, id);

	return line != NULL && strncmp(line + strlen(id), "\tonline\t2", 9) == 0;
}

Test(node_command, a_node_enrolled_here_works_at_once)
{
	struct node n = enroll();
	must(post(fmt("%s/heartbeat", n.path), n.token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}"), 202);
	struct response r = get(n.path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.location.site"), "Theatre");
	cr_expect_eq(j_int(r.json, "data.interfaces.0.channelCount"), 8);
	cr_expect_str_eq(j_str(r.json, "data.interfaces.0.systemRef"), "hw:CARD=X");
	json_object *event = cli_event("nodes.enroll.succeeded", n.id);
	cr_expect_str_eq(j_str(event, "details.tokenPrefix"), strndup(n.token, 24));
	cr_expect_null(strstr(json_object_to_json_string(event), n.token), "a token in the audit log");

	cr_expect(wait_until(listed_online, (void *)n.id, 10000), "%s", node("list").text);
}

Test(node_command, rotation_ends_the_old_token)
{
	struct node n = enroll();
	struct ran r = node(fmt("rotate %s", n.id));
	cr_assert_eq(r.code, 0, "%s", r.text);
	const char *token = word(r.text, "token ");
	must(get(fmt("%s/config", n.path), n.token), 401);
	must(get(fmt("%s/config", n.path), token), 200);
	cli_event("nodes.credentials.rotate.succeeded", n.id);
}

Test(node_command, removal)
{
	struct node n = enroll();
	struct ran r = node(fmt("remove %s", n.id));
	cr_expect_eq(r.code, 1, "nobody is there to be asked: %s", r.text);
	must(get(n.path, admin()), 200);

	struct take t = start_recording(&n);
	r = node(fmt("remove --yes %s", n.id));
	cr_expect_eq(r.code, 1);
	cr_expect_not_null(strstr(r.text, t.job_id), "it says which job is in the way: %s", r.text);
	must(post(fmt("%s/stop", t.recording_path), admin(), NULL), 200);

	r = node(fmt("remove --yes %s", n.id));
	cr_expect_eq(r.code, 0, "%s", r.text);
	must(get(n.path, admin()), 404);
	must(get(fmt("%s/config", n.path), n.token), 401);
	must(get(t.recording_path, admin()), 200);
	cli_event("nodes.remove.succeeded", n.id);
	cr_expect_eq(node(fmt("remove --yes %s", n.id)).code, 1, "there is none any more");
	if (on_postgres())
		cr_expect_str_eq(sql("SELECT count(*) FROM node_credentials WHERE node_id = '%s'", n.id), "0");
}

Test(node_command, wrong_arguments)
{
	static const char *const words[] = {"",
	                                    "dance",
	                                    "list extra",
	                                    "rotate",
	                                    "remove",
	                                    "--nothing",
	                                    "enroll --alias only",
	                                    "enroll --alias x --site s "
	                                    "--room r --interface y:999"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_expect_eq(node(words[i]).code, 2, "%s", words[i]);
	cr_expect_eq(node("--help").code, 0);
	cr_expect_eq(node("rotate node_nobody").code, 1);
	cr_expect_eq(node("list --config /nowhere").code, 1);
}
