/*
 * Finding nodes in the inventory: each text that a search looks at and each it does not, every derived status, the
 * bounds of times (contract 02 3.4, 7.1; 08 Trap 36).
 */
#include "http/harness.h"

#include <stdlib.h>
#include <string.h>

static bool found(const char *query, const char *id)
{
	struct response r = get(fmt("/api/v1/nodes?%s", query), admin());

	must(r, 200);
	return j_find(r.json, "data", "id", id) != NULL;
}

static const char *enroll_with_everything(void)
{
	struct response r = post(
	    "/api/v1/nodes/enroll", admin(),
	    "{\"agentVersion\":\"9.8.7-beta\",\"alias\":\"Hörsaal\",\"hostname\":\"rack-hall\",\"ipAddresses\":"
	    "[\"2001:db8::77\"],\"location\":{\"building\":\"Annex B\",\"floor\":\"Souterrain\",\"room\":\"Aula Ost\","
	    "\"site\":\"Campus Nord\"},\"notes\":\"Key at the porter\",\"tags\":[\"lecture\"],\"audioDefaults\":{"
	    "\"captureArgsTemplate\":\"argstemplate\",\"captureBackend\":\"pipewire\",\"captureChannels\":61,"
	    "\"captureCommand\":\"pw-rec\",\"captureDevice\":\"alsa_input.usb\",\"captureFormat\":\"S24_3LE\","
	    "\"captureSampleRate\":88200},\"recordingCapacity\":{\"maxConcurrentRecordings\":53},\"runtime\":{"
	    "\"architecture\":\"riscv64\",\"audioBackends\":[\"jack\"],\"kernelRelease\":\"6.99-rt\",\"osName\":"
	    "\"Plan Nine\",\"uptimeSeconds\":424242},\"interfaces\":[{\"alias\":\"Stage Box\",\"backend\":\"alsa\","
	    "\"channelCount\":37,\"channels\":[{\"alias\":\"Lectern\",\"index\":29}],\"hardwarePath\":\"/sys/usb7\","
	    "\"sampleRates\":[44100,192000],\"serialNumber\":\"SER-31\",\"systemName\":\"Stagebox 2x2\",\"systemRef\":"
	    "\"alsa:hw:STAGE,0\"}]}");

	must(r, 201);
	return j_str(r.json, "data.node.id");
}

Test(inventory, search_looks_at_every_text_of_the_contract)
{
	static const struct {
		const char *text;
		bool found;
	} rows[] = {
	    {"h%C3%96rsaal", true},    {"rack-HALL", true},      {"9.8.7-beta", true},   {"pipewire", true},
	    {"pw-rec", true},          {"alsa_input.usb", true}, {"s24_3le", true},      {"88200", true},
	    {"offline", true},         {"porter", true},         {"2001:db8::77", true}, {"lecture", true},
	    {"annex+b", true},         {"souterrain", true},     {"aula+ost", true},     {"campus+nord", true},
	    {"riscv64", true},         {"jack", true},           {"6.99-rt", true},      {"plan+nine", true},
	    {"424242", true},          {"stage+box", true},      {"37", true},           {"%2Fsys%2Fusb7", true},
	    {"192000", true},          {"ser-31", true},         {"stagebox+2x2", true}, {"alsa%3Ahw%3Astage,0", true},
	    {"lectern", true},         {"lectern+29", true}, /* fields are joined by one space */
	    {"souterrain+aula", true}, {"argstemplate", false},  {"pw-rec+61", false},   {"53", false},
	    {"porter++2001", false},   {"_ack-hall", false}, /* no wildcards */
	    {"%25hall", false},
	};
	const char *id = enroll_with_everything();
	struct response r = get(fmt("/api/v1/nodes/%s", id), admin());
	const char *ids = fmt("%s %s", id, j_str(r.json, "data.interfaces.0.id"));

	cr_expect(found(fmt("q=%s", id), id));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *query = fmt("q=%s", rows[i].text);

		if (rows[i].found || strstr(ids, rows[i].text) == NULL) /* "53" may be part of an id */
			cr_expect_eq(found(query, id), rows[i].found, "%s", query);
	}
}

Test(inventory, places_are_equal_but_for_case_and_blanks)
{
	static const struct {
		const char *query;
		bool found;
	} rows[] = {
	    {"room=%20AULA%20ost", true},
	    {"room=aula", false},
	    {"site=campus+nord&building=ANNEX+B&floor=souterrain&room=aula+ost&backend=alsa&status=offline", true},
	    {"site=campus+nord&room=aula+west", false},
	    {"site=&room=%20&q=", true},
	    {"backend=jack&q=riscv64", true},
	    {"backend=unknown", false},
	};
	const char *id = enroll_with_everything();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(found(rows[i].query, id), rows[i].found, "%s", rows[i].query);
}

static void beat(const struct node *n, const char *status)
{
	must(post(fmt("%s/heartbeat", n->path), n->token,
	          "{\"agentVersion\":\"1\",\"hostname\":\"h\",\"ipAddresses\":[],\"status\":\"%s\"}", status),
	     202);
}

/* What a node says of itself is what it is; "offline" only says the controller (09 D-43). */
Test(inventory, every_status)
{
	static const char *const statuses[] = {"alerting", "degraded", "offline", "online", "recording"};
	struct node n = enroll_node("Statuses"), silent = enroll_node("Silent");

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		cr_expect_eq(found(fmt("status=%s", statuses[i]), silent.id), strcmp(statuses[i], "offline") == 0);
		if (strcmp(statuses[i], "offline") == 0)
			continue;
		beat(&n, statuses[i]);
		cr_expect_str_eq(j_str(get(n.path, admin()).json, "data.status"), statuses[i]);
		for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++)
			cr_expect_eq(found(fmt("status=%s", statuses[k]), n.id), i == k, "%s: %s", statuses[i],
			             statuses[k]);
	}
}

Test(inventory, bounds_of_times_are_inclusive)
{
	struct node n = enroll_node("Bounds");
	beat(&n, "online");
	const char *seen = j_str(get(n.path, admin()).json, "data.lastSeenAt"), *digits = strchr(seen, '.');
	int ms = atoi(digits + 1), whole = (int)(digits - seen);

	cr_assert_eq(strlen(seen), strlen("2027-03-04T05:06:07.123Z"), "%s", seen);
	cr_expect(found(fmt("lastSeenFrom=%s&lastSeenTo=%s", seen, seen), n.id));
	if (ms < 999)
		cr_expect_not(found(fmt("lastSeenFrom=%.*s.%03dZ", whole, seen, ms + 1), n.id));
	if (ms > 0)
		cr_expect_not(found(fmt("lastSeenTo=%.*s.%03dZ", whole, seen, ms - 1), n.id));
	cr_expect_not(found("lastSeenFrom=2999-01-01T00:00:00Z&lastSeenTo=2001-01-01T00:00:00Z", n.id));
}

/* The filtered export has the rows of the filtered list. */
Test(inventory, the_export_is_the_list)
{
	const char *id = enroll_with_everything();
	struct response list = get("/api/v1/nodes?q=riscv64&room=aula+ost", admin());
	struct response csv = get("/api/v1/nodes/export?q=riscv64&room=aula+ost", admin());

	must(list, 200);
	must(csv, 200);
	cr_expect_not_null(strstr(csv.body, id));
	size_t lines = 0;
	for (const char *at = csv.body; (at = strstr(at, "\nnode_")) != NULL; at++)
		lines++;
	cr_expect_geq(lines, 1);
	cr_expect_eq(strncmp(header(&csv, "Content-Disposition"), "attachment; filename=\"rakkr-nodes-", 34), 0);
}
