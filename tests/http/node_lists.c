/* Lists and exports of the node inventory (contract 02 7.1, 7.2). */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A word for names that no other test uses. */
static const char *word(void)
{
	return strrchr(enroll_node("word").id, '-') + 1;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static bool listed(const char *query, const char *id)
{
	struct response r = get(fmt("/api/v1/nodes?%s", query), admin());

	must(r, 200);
	return j_find(r.json, "data", "id", id) != NULL;
}

Test(node_lists, list_filters)
{
	const char *w = word();
	struct response r =
	    post("/api/v1/nodes/enroll", admin(),
	         "{\"alias\":\"Ünit %s\",\"hostname\":\"host-%s\",\"location\":{\"site\":\"Site %s\",\"room\":\"Room\","
	         "\"building\":\"Annex\"},\"interfaces\":[{\"alias\":\"Box\",\"backend\":\"jack\",\"channelCount\":1,"
	         "\"systemName\":\"Sys\"}],\"runtime\":{\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":8123},"
	         "\"ipAddresses\":[\"192.0.2.99\"],\"tags\":[\"stage-%s\"]}",
	         w, w, w, w);
	must(r, 201);
	const char *id = j_str(r.json, "data.node.id");
	const struct {
		const char *query;
		bool match;
	} rows[] = {
	    {"", true},
	    {"backend=jack", true},
	    {"backend=alsa", true},
	    {"backend=pipewire", false},
	    {"building=%20annex%20", true},
	    {"building=ann", false},
	    {"floor=1", false},
	    {"floor=", true},
	    {"status=offline", true},
	    {"status=online", false},
	    {"status=offline&status=bad", true},
	    {fmt("site=site+%s", w), true},
	    {fmt("q=%%C3%%BCNIT+%s", w), true},
	    {fmt("q=%s+HOST-%s", w, w), true}, /* across fields */
	    {"q=192.0.2.99+stage", true},
	    {"q=annex+room", true},
	    {"q=8123+box+jack+1", true},
	    {"q=channel+1+1", true},
	    {"q=%25", false},
	    {"q=%20", true},
	    {"lastSeenFrom=2020-01-01T10:00Z", true},
	    {"lastSeenTo=2020-01-01T10:00:00.5Z", false},
	    {"lastSeenFrom=2999-01-01T10:00:00%2B02:00", false},
	    {"lastSeenTo=2999-01-01T10:00:00-02:00&lastSeenFrom=", true},
	};
	for (size_t i = 0; i < LENGTH(rows); i++)
		cr_expect_eq(listed(rows[i].query, id), rows[i].match, "%s", rows[i].query);
	r = get(fmt("/api/v1/nodes?q=%%20stage-%s%%20&status=offline&floor=", w), admin());
	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 1);
	json_object *event = audit_last("nodes.read.succeeded", "node_collection");

	cr_expect_str_eq(j_str(event, "details.filters.q"), fmt("stage-%s", w));
	cr_expect_not(j_has(event, "details.filters.floor"));
	cr_expect_eq(j_int(event, "details.returnedCount"), 1);
}

Test(node_lists, list_refuses_bad_filters)
{
	static const char *const queries[] = {
	    "backend=",
	    "backend=oss",
	    "status=",
	    "status=idle",
	    "foo=1",
	    "lastSeenFrom=2031-01-01",
	    "lastSeenFrom=2031-01-01T10:00:00+02:00",
	    "lastSeenFrom=2031-01-01T10:00:00%2B0200",
	    "lastSeenTo=2031-02-30T10:00:00Z",
	    "lastSeenTo=2031-01-01t10:00:00z",
	    "lastSeenTo=2031-01-01T24:00:00Z",
	};
	for (size_t i = 0; i < LENGTH(queries); i++) {
		struct response r = get(fmt("/api/v1/nodes?%s", queries[i]), admin());

		expect_refusal(&r, 400, "Invalid node filters");
		cr_expect_eq(j_count(r.json, "issues"), 1, "%s", r.body);
		json_object *event = audit_last("nodes.read.failed", "node_collection");

		expect_event(event, "failed", "invalid_filters");
		cr_expect_eq(j_int(event, "details.issueCount"), 1);
		r = get(fmt("/api/v1/nodes/export?%s", queries[i]), admin());
		expect_refusal(&r, 400, "Invalid node filters");
	}
	struct response r = get("/api/v1/nodes?foo=1&bar=2", admin());

	cr_expect_str_eq(j_str(r.json, "issues.0.message"), "Unrecognized keys: \"foo\", \"bar\"");
	cr_expect_null(audit_find("nodes.export.failed", NULL));
}

Test(node_lists, list_is_in_order_of_creation)
{
	struct node first = enroll_node("First"), second = enroll_node("Second");
	struct response r =
	    post(fmt("%s/heartbeat", first.path), first.token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}");
	size_t at_first = 0, at_second = 0;

	must(r, 202);
	r = get("/api/v1/nodes", admin());
	must(r, 200);
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		const char *id = j_str(r.json, fmt("data.%zu.id", i));

		at_first = strcmp(id, first.id) == 0 ? i : at_first;
		at_second = strcmp(id, second.id) == 0 ? i : at_second;
	}
	cr_expect_lt(at_first, at_second);
}

/* ---- exports ----------------------------------------------------------------------------------------------------- */

#define HEADER                                                                                                         \
	"id,alias,status,site,building,floor,room,hostname,ip_addresses,agent_version,last_seen_at,os_name,"           \
	"kernel_release,architecture,audio_backends,max_concurrent_recordings,interface_count,interfaces,tags,notes"

static const char *enroll_for_csv(const char *alias, const char *notes, const char *tag, const char **seen)
{
	struct response r =
	    post("/api/v1/nodes/enroll", admin(),
	         "{\"agentVersion\":\"0.4.2\",\"alias\":\"%s\",\"hostname\":\"booth\",\"ipAddresses\":"
	         "[\"10.20.0.17\",\"fd00::17\"],\"location\":{\"building\":\"Annex\",\"floor\":\"1\",\"room\":"
	         "\"Booth\",\"site\":\"Theatre\"},\"runtime\":{\"architecture\":\"aarch64\",\"audioBackends\":"
	         "[\"pipewire\"],\"kernelRelease\":\"6.6\",\"osName\":\"Debian\"},\"interfaces\":[{\"alias\":"
	         "\"Stage box\",\"backend\":\"pipewire\",\"channelCount\":2,\"systemName\":\"Stagebox\","
	         "\"sampleRates\":[44100,48000],\"serialNumber\":\"SB-1\",\"hardwarePath\":\"/sys/1\"}],"
	         "\"tags\":[\"%s\",\"voice\"],\"notes\":\"%s\",\"recordingCapacity\":{\"maxConcurrentRecordings\":2}}",
	         alias, tag, notes);
	must(r, 201);
	*seen = j_str(r.json, "data.node.lastSeenAt");
	return j_str(r.json, "data.node.id");
}

Test(node_lists, selected_export_has_the_contract_form)
{
	const char *seen_a, *seen_b;
	const char *a = enroll_for_csv("Booth, \\\"A\\\"", "Under\\nit", "=cmd", &seen_a);
	const char *b = enroll_for_csv("=1+1", "@x", "t", &seen_b);
	struct response r = post("/api/v1/nodes/export", admin(), "{\"nodeIds\":[\"%s\",\" %s \",\"%s\"]}", b, a, b);

	must(r, 200);
	cr_expect_str_eq(header(&r, "Content-Type"), "text/csv; charset=utf-8");
	cr_expect_str_eq(header(&r, "Cache-Control"), "no-store");
	const char *disposition = header(&r, "Content-Disposition");

	cr_expect_eq(strncmp(disposition, "attachment; filename=\"rakkr-nodes-2", 35), 0, "%s", disposition);
	cr_expect_eq(strlen(disposition), strlen("attachment; filename=\"rakkr-nodes-2031-03-04T05-06-07.089Z.csv\""));
	cr_expect_str_eq(
	    r.body,
	    fmt(HEADER "\n%s,'=1+1,offline,Theatre,Annex,1,Booth,booth,10.20.0.17; fd00::17,0.4.2,%s,Debian,6.6,"
	               "aarch64,pipewire,2,1,Stage box [pipewire] Stagebox channels=2 rates=44100/48000 serial=SB-1 "
	               "path=/sys/1,t; voice,'@x"
	               "\n%s,\"Booth, \"\"A\"\"\",offline,Theatre,Annex,1,Booth,booth,10.20.0.17; fd00::17,0.4.2,%s,"
	               "Debian,6.6,aarch64,pipewire,2,1,Stage box [pipewire] Stagebox channels=2 rates=44100/48000 "
	               "serial=SB-1 path=/sys/1,'=cmd; voice,\"Under\nit\"",
	        b, seen_b, a, seen_a));
	json_object *event = audit_last("nodes.export_selected.succeeded", "node_collection");

	cr_expect_str_eq(j_str(event, "correlationIds.nodeId1"), b);
	cr_expect_str_eq(j_str(event, "correlationIds.nodeId2"), a);
	cr_expect_eq(j_int(event, "details.exportedCount"), 2);
	cr_expect_eq(j_int(event, "details.requestedCount"), 3);
}

Test(node_lists, selected_export_refuses)
{
	struct node n = enroll_node("Seen");
	static const char *const bodies[] = {
	    "", "{}", "{\"nodeIds\":[]}", "{\"nodeIds\":[1]}", "{\"nodeIds\":[\"\"]}", "{\"nodeIds\":[\"a\"],\"x\":1}"};

	for (size_t i = 0; i < LENGTH(bodies); i++) {
		struct response r = post("/api/v1/nodes/export", admin(), "%s", bodies[i]);

		expect_refusal(&r, 400, "Invalid node export request");
		expect_event(audit_last("nodes.export_selected.failed", "node_collection"), "failed",
		             "invalid_request");
	}
	struct response r = post("/api/v1/nodes/export", admin(), "{\"nodeIds\":[\"%s\",\"no\",\"no\"]}", n.id);

	expect_refusal(&r, 404, "One or more nodes are not visible");
	json_object *event = audit_last("nodes.export_selected.failed", "node_collection");

	expect_event(event, "denied", "node_not_visible");
	cr_expect_eq(j_count(event, "details.hiddenIds"), 1);
	cr_expect_eq(j_count(event, "details.nodeIds"), 2);
}

Test(node_lists, filtered_export)
{
	const char *seen, *w = word(), *id = enroll_for_csv(fmt("Filtered %s", w), "n", "t", &seen);
	struct response r = get(fmt("/api/v1/nodes/export?q=filtered+%s", w), admin());

	must(r, 200);
	cr_expect_eq(strncmp(r.body, HEADER "\n", strlen(HEADER) + 1), 0);
	cr_expect_not_null(strstr(r.body, id));
	json_object *event = audit_last("nodes.export.succeeded", "node_collection");

	cr_expect_eq(j_int(event, "details.exportedCount"), 1);
	r = get("/api/v1/nodes/export?q=nothing-is-called-this", admin());
	must(r, 200);
	cr_expect_str_eq(r.body, HEADER);
}
