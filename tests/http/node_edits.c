/* Edits of nodes and their interfaces (contract 02 8.2, 8.3). */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- edits ------------------------------------------------------------------------------------------------------- */

Test(node_edits, patch_merges_location_and_replaces_the_rest)
{
	struct node n = enroll_node("Before");
	struct response r =
	    patch(n.path, admin(),
	          "{\"alias\":\" After \",\"location\":{\"building\":\"B\",\"floor\":\"F\"},\"notes\":\"n\","
	          "\"audioDefaults\":{\"captureBackend\":\"jack\",\"captureChannels\":4},"
	          "\"recordingCapacity\":{\"maxConcurrentRecordings\":5},\"tags\":[\"z\"],\"ipAddresses\":[]}");
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.alias"), "After");
	cr_expect_str_eq(j_str(r.json, "data.hostname"), "rec-1");
	cr_expect_str_eq(j_str(r.json, "data.location.building"), "B");
	cr_expect_str_eq(j_str(r.json, "data.location.site"), "Theatre");
	cr_expect_eq(j_count(r.json, "data.ipAddresses"), 0);
	cr_expect_str_eq(j_str(r.json, "data.tags.0"), "z");
	cr_expect_eq(j_count(r.json, "data.interfaces"), 1);
	json_object *event = audit_last("nodes.update.succeeded", n.id);

	cr_expect_str_eq(j_str(event, "before.alias"), "Before");
	cr_expect_str_eq(j_str(event, "after.alias"), "After");
	cr_expect_eq(j_int(event, "before.recordingCapacity.maxConcurrentRecordings"), 1);
	cr_expect_str_eq(j_str(event, "target.name"), "After");

	r = patch(n.path, admin(),
	          "{\"location\":{\"building\":null,\"room\":\"R2\"},\"audioDefaults\":{\"captureDevice\":\"hw:0\"},"
	          "\"notes\":null}");
	must(r, 200);
	cr_expect_not(j_has(r.json, "data.location.building"));
	cr_expect_str_eq(j_str(r.json, "data.location.floor"), "F");
	cr_expect_str_eq(j_str(r.json, "data.location.room"), "R2");
	cr_expect_not(j_has(r.json, "data.notes"));
	cr_expect_not(j_has(r.json, "data.audioDefaults.captureBackend"));
	cr_expect_eq(j_int(r.json, "data.recordingCapacity.maxConcurrentRecordings"), 5);

	r = patch(n.path, admin(), "{\"audioDefaults\":{},\"notes\":\"\"}"); /* clears (02 T6) */
	must(r, 200);
	cr_expect_not(j_has(r.json, "data.audioDefaults"));
	cr_expect(j_has(r.json, "data.notes"));
	struct response again = get(n.path, admin());

	cr_expect(json_object_equal(j_at(again.json, "data"), j_at(r.json, "data")), "%s", again.body);
}

Test(node_edits, patch_refuses)
{
	struct node n = enroll_node("Kept");
	static const char *const bodies[] = {
	    "",
	    "{}",
	    "{\"location\":{}}",
	    "{\"alias\":null}",
	    "{\"alias\":\"\"}",
	    "{\"status\":\"online\"}",
	    "{\"runtime\":{}}",
	    "{\"location\":{\"x\":1}}",
	    "{\"location\":{\"room\":null}}",
	    "{\"tags\":\"a\"}",
	    "{\"recordingCapacity\":null}",
	    "{\"notes\":\"a\\u0000b\"}",
	    "[]",
	    "not json",
	};
	for (size_t i = 0; i < LENGTH(bodies); i++) {
		struct response r = patch(n.path, admin(), "%s", bodies[i]);

		expect_refusal(&r, 400, "Invalid node update");
		cr_expect_gt(j_count(r.json, "issues"), 0);
		json_object *event = audit_last("nodes.update.failed", n.id);

		expect_event(event, "failed", "invalid_request");
		cr_expect_str_eq(j_str(event, "target.name"), n.id);
	}
	struct response r = patch(n.path, admin(), "{}");

	cr_expect_str_eq(j_str(r.json, "issues.0.message"), "At least one node field is required");
	r = patch("/api/v1/nodes/node_no", admin(), "{}"); /* the body comes first (02 T24) */
	expect_refusal(&r, 400, "Invalid node update");
	r = patch("/api/v1/nodes/node_no", admin(), "{\"alias\":\"a\"}");
	expect_refusal(&r, 404, "Node not found");
	expect_event(audit_last("nodes.update.failed", "node_no"), "failed", "node_not_found");
	r = get(n.path, admin());
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Kept");
}

static void edit_part(int index, void *arg)
{
	static const char *const bodies[] = {
	    "{\"location\":{\"building\":\"B\"}}",
	    "{\"location\":{\"floor\":\"F\"}}",
	    "{\"notes\":\"N\"}",
	    "{\"recordingCapacity\":{\"maxConcurrentRecordings\":7}}",
	};
	const struct node *n = arg;

	if (index < (int)LENGTH(bodies))
		patch(n->path, admin(), "%s", bodies[index]);
	else
		post(fmt("%s/heartbeat", n->path), n->token,
		     "{\"agentVersion\":\"9\",\"hostname\":\"h\",\"runtime\":{\"uptimeSeconds\":%d}}", index);
}

Test(node_edits, edits_and_heartbeats_at_once_lose_nothing)
{
	struct node n = enroll_node("Busy");

	parallel(12, edit_part, &n);
	struct response r = get(n.path, admin());

	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.location.building"), "B");
	cr_expect_str_eq(j_str(r.json, "data.location.floor"), "F");
	cr_expect_str_eq(j_str(r.json, "data.notes"), "N");
	cr_expect_eq(j_int(r.json, "data.recordingCapacity.maxConcurrentRecordings"), 7);
	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
}

Test(node_edits, interface_patch)
{
	struct node n = enroll_node("Faces");
	const char *path = fmt("%s/interfaces/%s", n.path, n.interface_id);
	struct response r =
	    patch(path, admin(),
	          "{\"alias\":\"Box\",\"channels\":[{\"index\":\"1\",\"alias\":\"Old\"},{\"index\":1,\"alias\":"
	          "\"Left\"},{\"index\":9,\"alias\":\"No\"}],\"serialNumber\":\"S\",\"hardwarePath\":\"/p\","
	          "\"sampleRates\":[\"96000\"]}");
	must(r, 200);
	json_object *face = j_find(r.json, "data.interfaces", "id", n.interface_id);

	cr_expect_str_eq(j_str(face, "alias"), "Box");
	cr_expect_str_eq(j_str(face, "backend"), "alsa");
	cr_expect_eq(j_count(face, "channels"), 2);
	cr_expect_str_eq(j_str(face, "channels.0.alias"), "Left");
	cr_expect_str_eq(j_str(face, "channels.1.alias"), "Channel 2");
	cr_expect_eq(j_int(face, "sampleRates.0"), 96000);
	cr_expect_str_eq(j_str(face, "serialNumber"), "S");
	json_object *event = audit_last("nodes.interfaces.update.succeeded", n.interface_id);

	cr_expect_str_eq(j_str(event, "before.alias"), "Desk");
	cr_expect_str_eq(j_str(event, "after.channels.0.alias"), "Left");
	cr_expect_str_eq(j_str(event, "details.nodeId"), n.id);
	cr_expect_str_eq(j_str(event, "target.type"), "interface");
	r = patch(path, admin(), "{\"serialNumber\":null,\"hardwarePath\":null}");
	must(r, 200);
	face = j_find(r.json, "data.interfaces", "id", n.interface_id);
	cr_expect_not(j_has(face, "serialNumber"));
	cr_expect_not(j_has(face, "hardwarePath"));
	cr_expect_str_eq(j_str(face, "channels.0.alias"), "Left");
}

Test(node_edits, interface_patch_refuses)
{
	struct node n = enroll_node("Faces"), other = enroll_node("Other");
	const char *path = fmt("%s/interfaces/%s", n.path, n.interface_id);
	static const char *const bodies[] = {"",
	                                     "{}",
	                                     "{\"backend\":\"alsa\"}",
	                                     "{\"alias\":null}",
	                                     "{\"channels\":[{\"index\":257,\"alias\":\"a\"}]}",
	                                     "{\"sampleRates\":[-1]}"};

	for (size_t i = 0; i < LENGTH(bodies); i++) {
		struct response r = patch(path, admin(), "%s", bodies[i]);

		expect_refusal(&r, 400, "Invalid node interface update");
		expect_event(audit_last("nodes.interfaces.update.failed", n.interface_id), "failed", "invalid_request");
	}
	struct response r =
	    patch(fmt("/api/v1/nodes/node_no/interfaces/%s", n.interface_id), admin(), "{\"alias\":\"a\"}");

	expect_refusal(&r, 404, "Node not found");
	json_object *event = audit_last("nodes.interfaces.update.failed", n.interface_id);

	expect_event(event, "failed", "node_not_found");
	cr_expect_str_eq(j_str(event, "target.name"), "node_no");
	r = patch(fmt("%s/interfaces/%s", other.path, n.interface_id), admin(), "{\"alias\":\"a\"}");
	expect_refusal(&r, 404, "Interface not found");
	event = audit_last("nodes.interfaces.update.failed", n.interface_id);
	expect_event(event, "failed", "interface_not_found");
	cr_expect_str_eq(j_str(event, "target.name"), "Other");
	r = patch(fmt("%s/interfaces/no-uuid", n.path), admin(), "{\"alias\":\"a\"}");
	expect_refusal(&r, 404, "Interface not found");
}
