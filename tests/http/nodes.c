/* The node inventory for users: guards, enrollment, detail, actions, rotation, liveness (contract 02 7, 8). */
#include "http/harness.h"

#include <stdio.h>
#include <string.h>

/* Newest event of an action whose details.path is path; with this outcome and reason (NULL: whatever they are), since
   other tests may ask for the same path meanwhile. */
static json_object *audit_of(const char *action, const char *path, const char *outcome, const char *reason)
{
	struct response r = get(fmt("/api/v1/audit-events?limit=500&action=%s", action), admin());

	must(r, 200);
	for (size_t i = 0; i < j_count(r.json, "data"); i++) {
		json_object *event = j_at(r.json, fmt("data.%zu", i));

		if (strcmp(j_str(event, "action"), action) == 0 && strcmp(j_str(event, "details.path"), path) == 0 &&
		    (outcome == NULL || strcmp(j_str(event, "outcome"), outcome) == 0) &&
		    (reason == NULL || strcmp(j_str(event, "reason"), reason) == 0))
			return event;
	}
	cr_assert(false, "no audit event %s of %s", action, path);
	return NULL;
}

static json_object *audit_of_path(const char *action, const char *path)
{
	return audit_of(action, path, NULL, NULL);
}

/* ---- guards ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *method, *path, *permission, *action;
} routes[] = {
    {"GET", "/api/v1/nodes", "node:read", "nodes.read"},
    {"GET", "/api/v1/nodes/export", "node:read", "nodes.export"},
    {"POST", "/api/v1/nodes/export", "node:read", "nodes.export_selected"},
    {"GET", "/api/v1/nodes/%s", "node:read", "nodes.detail.read"},
    {"GET", "/api/v1/nodes/%s/actions", "node:read", "nodes.actions.read"},
    {"GET", "/api/v1/nodes/%s/lifecycle-jobs", "node:read", "nodes.lifecycle_jobs.read"},
    {"POST", "/api/v1/nodes/enroll", "node:manage", "nodes.enroll"},
    {"PATCH", "/api/v1/nodes/%s", "node:manage", "nodes.update"},
    {"PATCH", "/api/v1/nodes/%s/interfaces/x", "node:manage", "nodes.interfaces.update"},
    {"POST", "/api/v1/nodes/%s/credentials/rotate", "node:manage", "nodes.credentials.rotate"},
    {"GET", "/api/v1/nodes/%s/meters", "node:read", "meters.read"},
    {"POST", "/api/v1/nodes/%s/listen", "listen:monitor", "listen.monitor.start"},
    {"GET", "/api/v1/nodes/%s/listen/stream", "listen:monitor", "listen.monitor.stream"},
    {"DELETE", "/api/v1/nodes/%s/listen/x", "listen:monitor", "listen.monitor.stop"},
    {"GET", "/api/v1/status", "node:read", "status.read"},
};

static const char *route_path(size_t i, const char *id)
{
	const char *mark = strstr(routes[i].path, "%s");

	if (mark == NULL)
		return routes[i].path;
	return fmt("%.*s%s%s", (int)(mark - routes[i].path), routes[i].path, id, mark + 2);
}

Test(nodes, every_route_refuses_strangers)
{
	struct node n = enroll_node("Guarded");

	for (size_t i = 0; i < LENGTH(routes); i++) {
		const char *path = route_path(i, n.id);
		const char *const tokens[] = {NULL, "rakkr_nobody", n.token};

		for (size_t k = 0; k < LENGTH(tokens); k++) {
			struct response r = http(routes[i].method, path, tokens[k], NULL, NULL, 0);

			expect_refusal(&r, 401, "Unauthorized");
			cr_expect_str_eq(j_str(r.json, "permission"), routes[i].permission, "%s", r.asked);
		}
		json_object *event = audit_of(routes[i].action, path, "denied", "unauthenticated");

		cr_expect_str_eq(j_str(event, "actor.id"), "anonymous");
		cr_expect_str_eq(j_str(event, "details.requiredPermission"), routes[i].permission);
	}
}

Test(nodes, every_route_needs_its_permission)
{
	struct node n = enroll_node("Guarded");
	struct user auditor = create_user("auditor", "[{\"resourceType\":\"*\",\"resourceId\":\"*\"}]");

	for (size_t i = 0; i < LENGTH(routes); i++) {
		const char *path = route_path(i, n.id);
		struct response r = http(routes[i].method, path, auditor.token, NULL, NULL, 0);

		expect_refusal(&r, 403, "Forbidden");
		expect_event(audit_of(routes[i].action, path, "denied", "missing_permission"), "denied",
		             "missing_permission");
	}
}

Test(nodes, scope_hides_nodes)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct user viewer = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", mine.id));
	struct response r = get("/api/v1/nodes", viewer.token);

	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 1);
	cr_expect_str_eq(j_str(r.json, "data.0.id"), mine.id);
	r = get(mine.path, viewer.token);
	must(r, 200);
	r = get(other.path, viewer.token);
	expect_refusal(&r, 403, "Forbidden");
	expect_event(audit_last("nodes.detail.read", other.id), "denied", "missing_resource_scope");
	r = get("/api/v1/nodes/node_unknown", viewer.token); /* never 404 for those with a scope (02 T9) */
	expect_refusal(&r, 403, "Forbidden");
	r = post("/api/v1/nodes/export", viewer.token, "{\"nodeIds\":[\"%s\"]}", mine.id); /* 02 T8 */
	expect_refusal(&r, 403, "Forbidden");
	r = get("/api/v1/nodes/export", viewer.token);
	must(r, 200);
	cr_expect_not_null(strstr(r.body, mine.id));
	cr_expect_null(strstr(r.body, other.id));
	r = get("/api/v1/status", viewer.token);
	must(r, 200);
	cr_expect_eq(j_int(r.json, "nodeCount"), 1);
	cr_expect_eq(j_int(r.json, "offlineNodes"), 1);
	cr_expect_not(j_has(r.json, "recordingProfile"));
}

Test(nodes, a_room_grant_covers_its_nodes)
{
	struct node n = enroll_node("Roomed");
	struct response r = get(n.path, admin());
	const char *room = j_str(r.json, "data.location.room");
	const char *const ids[] = {room, fmt("Theatre/%s", room)};

	for (size_t i = 0; i < LENGTH(ids); i++) {
		struct user u =
		    create_user("viewer", fmt("[{\"resourceType\":\"room\",\"resourceId\":\"%s\"}]", ids[i]));

		r = get(n.path, u.token);
		must(r, 200);
	}
}

/* ---- enrollment -------------------------------------------------------------------------------------------------- */

#define PLACE "\"location\":{\"site\":\"Theatre\",\"room\":\"Booth\"}"

Test(nodes, enroll_stores_everything)
{
	struct response r =
	    post("/api/v1/nodes/enroll", admin(),
	         "{\"alias\":\"  Booth  \",\"hostname\":\"booth-1\",\"location\":{\"site\":\"Theatre\",\"room\":\"B1\","
	         "\"floor\":\"1\"},\"interfaces\":[{\"alias\":\"Box\",\"backend\":\"pipewire\",\"channelCount\":\"2\","
	         "\"systemName\":\"Stagebox\",\"sampleRates\":[44100,\"48000\"],\"extra\":1},{\"alias\":\"Desk\","
	         "\"channelCount\":8,\"systemName\":\"Desk 8\",\"systemRef\":\"hw:1\",\"serialNumber\":\"S1\","
	         "\"hardwarePath\":\"/sys/"
	         "x\",\"channels\":[{\"alias\":\"R\",\"index\":2},{\"alias\":\"L\",\"index\":true}]}],"
	         "\"notes\":\"\",\"audioDefaults\":{\"captureBackend\":\"jack\",\"captureChannels\":2},"
	         "\"recordingCapacity\":{\"maxConcurrentRecordings\":3},\"runtime\":{\"osName\":\"Debian\"},"
	         "\"tags\":[\"b\",\"a\",\"b\"]}");

	must(r, 201);
	json_object *node = j_at(r.json, "data.node");

	cr_expect_eq(strlen(j_str(node, "id")), 41);
	cr_expect_str_eq(j_str(node, "alias"), "Booth");
	cr_expect_str_eq(j_str(node, "agentVersion"), "unknown");
	cr_expect_str_eq(j_str(node, "status"), "offline");
	cr_expect(j_has(node, "lastSeenAt"));
	cr_expect_str_eq(j_str(node, "location.floor"), "1");
	cr_expect_not(j_has(node, "location.building"));
	cr_expect(j_has(node, "notes"));
	cr_expect_str_eq(j_str(node, "notes"), "");
	cr_expect_eq(j_int(node, "recordingCapacity.maxConcurrentRecordings"), 3);
	cr_expect_str_eq(j_str(node, "audioDefaults.captureBackend"), "jack");
	cr_expect_eq(j_count(node, "runtime.audioBackends"), 0);
	cr_expect(j_has(node, "runtime.audioBackends"));
	cr_expect_eq(j_count(node, "tags"), 3);
	cr_expect_str_eq(j_str(node, "tags.2"), "b");
	cr_expect_eq(j_int(node, "interfaces.0.channelCount"), 2);
	cr_expect_str_eq(j_str(node, "interfaces.0.systemRef"), "Stagebox");
	cr_expect_eq(j_int(node, "interfaces.0.sampleRates.1"), 48000);
	cr_expect_str_eq(j_str(node, "interfaces.0.channels.1.alias"), "Channel 2");
	cr_expect_not(j_has(node, "interfaces.0.extra"));
	cr_expect_str_eq(j_str(node, "interfaces.1.backend"), "unknown");
	cr_expect_eq(j_count(node, "interfaces.1.channels"), 2);
	cr_expect_str_eq(j_str(node, "interfaces.1.channels.0.alias"), "L");
	cr_expect_str_eq(j_str(node, "interfaces.1.hardwarePath"), "/sys/x");
	cr_expect_not(j_has(node, "createdAt"));
	cr_expect_not(j_has(node, "enrolledAt"));

	json_object *c = j_at(r.json, "data.credential");

	cr_expect_eq(strlen(j_str(c, "token")), 54);
	cr_expect_eq(strncmp(j_str(c, "token"), j_str(c, "tokenPrefix"), 24), 0);
	cr_expect_eq(strlen(j_str(c, "tokenPrefix")), 24);
	cr_expect_str_eq(j_str(c, "nodeId"), j_str(node, "id"));
	cr_expect_not(j_has(c, "tokenHash"));

	json_object *event = audit_last("nodes.enroll.succeeded", j_str(node, "id"));

	expect_event(event, "succeeded", "");
	cr_expect_eq(j_int(event, "after.interfaces"), 2);
	cr_expect_str_eq(j_str(event, "details.credentialId"), j_str(c, "id"));
	cr_expect_str_eq(j_str(event, "target.name"), "Booth");

	struct response again = get(fmt("/api/v1/nodes/%s", j_str(node, "id")), admin());

	must(again, 200);
	cr_expect(json_object_equal(node, j_at(again.json, "data")), "%s", again.body);
}

Test(nodes, enroll_refuses)
{
	static const struct {
		const char *body, *path, *code;
	} rows[] = {
	    {"", "alias", "invalid_type"},
	    {"{", "alias", "invalid_type"},
	    {"null", "", "invalid_type"},
	    {"[]", "", "invalid_type"},
	    {"{\"alias\":1,\"hostname\":\"h\"," PLACE "}", "alias", "invalid_type"},
	    {"{\"alias\":\" \",\"hostname\":\"h\"," PLACE "}", "alias", "too_small"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"}", "location", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\",\"location\":{\"site\":\"s\"}}", "location.room", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"x\":1}", "", "unrecognized_keys"},
	    {"{\"alias\":\"a\\u0000\",\"hostname\":\"h\"," PLACE "}", "alias", "custom"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"interfaces\":[{\"alias\":\"i\",\"systemName\":\"s\"}]}",
	     "interfaces.0.channelCount", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE
	     ",\"interfaces\":[{\"alias\":\"i\",\"systemName\":\"s\",\"channelCount\":257}]}",
	     "interfaces.0.channelCount", "too_big"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE
	     ",\"interfaces\":[{\"alias\":\"i\\u0000\",\"systemName\":\"s\",\"channelCount\":1}]}",
	     "interfaces.0.alias", "custom"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE
	     ",\"interfaces\":[{\"alias\":\"i\",\"systemName\":\"s\",\"channelCount\":1,\"sampleRates\":[0]}]}",
	     "interfaces.0.sampleRates.0", "too_small"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE
	     ",\"interfaces\":[{\"alias\":\"i\",\"systemName\":\"s\",\"channelCount\":1,\"channels\":[{\"alias\":\"c\","
	     "\"index\":0}]}]}",
	     "interfaces.0.channels.0.index", "too_small"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"recordingCapacity\":{\"maxConcurrentRecordings\":\"2\"}}",
	     "recordingCapacity.maxConcurrentRecordings", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"recordingCapacity\":{\"maxConcurrentRecordings\":129}}",
	     "recordingCapacity.maxConcurrentRecordings", "too_big"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"audioDefaults\":{\"captureBackend\":\"unknown\"}}",
	     "audioDefaults.captureBackend", "invalid_value"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"audioDefaults\":{\"captureChannels\":1.5}}",
	     "audioDefaults.captureChannels", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"tags\":[\"\"]}", "tags.0", "too_small"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"runtime\":{\"uptimeSeconds\":-1}}",
	     "runtime.uptimeSeconds", "too_small"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"notes\":null}", "notes", "invalid_type"},
	    {"{\"alias\":\"a\",\"hostname\":\"h\"," PLACE ",\"ipAddresses\":{}}", "ipAddresses", "invalid_type"},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = post("/api/v1/nodes/enroll", admin(), "%s", rows[i].body);
		char path[200] = "";

		expect_refusal(&r, 400, "Invalid node enrollment");
		for (size_t k = 0; k < j_count(r.json, "issues.0.path"); k++) {
			json_object *part = j_at(r.json, fmt("issues.0.path.%zu", k));

			strcat(strcat(path, k > 0 ? "." : ""), json_object_get_string(part));
		}
		cr_expect_str_eq(path, rows[i].path, "row %zu: %s", i, r.body);
		cr_expect_str_eq(j_str(r.json, "issues.0.code"), rows[i].code, "row %zu: %s", i, r.body);
		json_object *event = audit_last("nodes.enroll.failed", NULL);

		expect_event(event, "failed", "invalid_request");
		cr_expect_not(j_has(event, "target.id"));
	}
}

Test(nodes, enroll_limits_text_at_its_column)
{
	static const struct {
		const char *key;
		int max;
	} rows[] = {{"alias", 160}, {"hostname", 255}, {"agentVersion", 80}};

	for (size_t i = 0; i < LENGTH(rows); i++) {
		for (int extra = 0; extra < 2; extra++) {
			struct response r = post("/api/v1/nodes/enroll", admin(), "{\"%s\":\"%0*d\"%s%s," PLACE "}",
			                         rows[i].key, rows[i].max + extra, 0, i == 0 ? "" : ",\"alias\":\"a\"",
			                         i == 1 ? "" : ",\"hostname\":\"h\"");

			cr_expect_eq(r.status, extra ? 400 : 201, "%s of %d: %s", rows[i].key, rows[i].max + extra,
			             r.body);
		}
	}
}

/* ---- detail and actions ------------------------------------------------------------------------------------------ */

Test(nodes, detail)
{
	struct node n = enroll_node("Detail");
	struct response r = get(n.path, admin());

	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.id"), n.id);
	cr_expect_str_eq(j_str(audit_last("nodes.detail.read.succeeded", n.id), "details.status"), "offline");
	static const char *const unknown[] = {"node_no", "enroll", "a%2Fb", "%F0%9F%8E%99", "..%2f.."};

	for (size_t i = 0; i < LENGTH(unknown); i++) {
		r = get(fmt("/api/v1/nodes/%s", unknown[i]), admin());
		cr_expect_eq(r.status, 404, "%s: %d %s", unknown[i], r.status, r.body);
	}
	r = get("/api/v1/nodes/a%00b", admin()); /* the web server already refuses it */
	cr_expect(r.status == 400 || r.status == 404, "%d", r.status);
	r = get("/api/v1/nodes/node_no", admin());
	expect_refusal(&r, 404, "Node not found");
	json_object *event = audit_last("nodes.detail.read.failed", "node_no");

	expect_event(event, "failed", "node_not_found");
	cr_expect_str_eq(j_str(event, "details.nodeId"), "node_no");
}

static void beat(const struct node *n)
{
	struct response r = post(fmt("%s/heartbeat", n->path), n->token, "{\"agentVersion\":\"1\",\"hostname\":\"h\"}");

	must(r, 202);
}

Test(nodes, actions_follow_the_state)
{
	struct node n = enroll_node("Actions");
	const char *path = fmt("%s/actions", n.path);
	struct response r = get(path, admin());

	must(r, 200);
	cr_expect_eq(json_object_object_length(j_at(r.json, "data.actions")), 7);
	cr_expect_str_eq(j_str(r.json, "data.actions.listen.reason"), "node_offline");
	cr_expect_not(j_has(r.json, "data.actions.listen.href"));
	cr_expect_str_eq(j_str(r.json, "data.actions.meters.reason"), "node_offline");
	cr_expect_str_eq(j_str(r.json, "data.actions.rotateCredential.reason"), "node_not_persisted");
	cr_expect_not(j_true(r.json, "data.monitor.available"));
	cr_expect(j_has(r.json, "data.monitor.available"));
	cr_expect_str_eq(j_str(r.json, "data.links.interfaces.0.href"),
	                 fmt("%s/interfaces/%s", n.path, n.interface_id));
	beat(&n);
	r = get(path, admin());
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.listen.reason"), "monitor_source_unavailable");
	cr_expect_str_eq(j_str(r.json, "data.actions.meters.reason"), "meter_frame_not_found");
	cr_expect(j_true(r.json, "data.actions.startRecording.enabled"));
	r = post(fmt("%s/meter-frame", n.path), n.token,
	         "{\"capturedAt\":\"now\",\"interfaceId\":\"i\",\"levels\":[],\"nodeId\":\"%s\"}", n.id);
	must(r, 202);
	r = get(path, admin());
	cr_expect(j_true(r.json, "data.actions.listen.enabled"));
	cr_expect_str_eq(j_str(r.json, "data.actions.meters.href"), fmt("%s/meters", n.path));
	cr_expect_str_eq(j_str(r.json, "data.monitor.source"), "meter_frame");
	cr_expect_str_eq(j_str(r.json, "data.monitor.capturedAt"), "now");
	json_object *event = audit_last("nodes.actions.read.succeeded", n.id);

	cr_expect_str_eq(j_str(event, "details.monitorSource"), "meter_frame");
	cr_expect_eq(j_int(event, "details.visibleActionCount"), 7);
	cr_expect_not(j_has(event, "actorContext.sessionId"));
	struct user viewer = create_user("viewer", fmt("[{\"resourceType\":\"node\",\"resourceId\":\"%s\"}]", n.id));

	r = get(path, viewer.token);
	must(r, 200);
	cr_expect_str_eq(j_str(r.json, "data.actions.editNode.reason"), "missing_permission");
	cr_expect_str_eq(j_str(r.json, "data.actions.listen.reason"), "missing_permission");
	r = get("/api/v1/nodes/node_no/actions", admin());
	expect_refusal(&r, 404, "Node not found");
	expect_event(audit_last("nodes.actions.read.failed", "node_no"), "failed", "not_found");
}

Test(nodes, lifecycle_jobs_are_listed)
{
	struct node n = enroll_node("Jobs");
	struct response r = get(fmt("%s/lifecycle-jobs", n.path), admin());

	must(r, 200);
	cr_expect_eq(j_count(r.json, "data"), 0);
	cr_expect_eq(j_int(audit_last("nodes.lifecycle_jobs.read.succeeded", n.id), "details.jobCount"), 0);
	r = get("/api/v1/nodes/node_no/lifecycle-jobs", admin());
	expect_refusal(&r, 404, "Node not found");
	expect_event(audit_last("nodes.lifecycle_jobs.read.failed", "node_no"), "failed", "node_not_found");
}

/* ---- rotation ---------------------------------------------------------------------------------------------------- */

Test(nodes, rotation_ends_the_old_token)
{
	struct node n = enroll_node("Rotated");

	beat(&n);
	struct response r = post(fmt("%s/credentials/rotate", n.path), admin(), NULL);

	must(r, 201);
	const char *token = j_str(r.json, "data.credential.token");

	cr_expect_str_neq(token, n.token);
	cr_expect_str_eq(j_str(r.json, "data.node.id"), n.id);
	json_object *event = audit_last("nodes.credentials.rotate.succeeded", n.id);

	cr_expect_str_eq(j_str(event, "details.tokenPrefix"), fmt("%.24s", token));
	cr_expect(json_object_equal(j_at(event, "before"), j_at(event, "after")));
	r = get(fmt("%s/config", n.path), n.token);
	expect_refusal(&r, 401, "Invalid node credential");
	r = get(fmt("%s/config", n.path), token);
	must(r, 200);
	r = post("/api/v1/nodes/node_no/credentials/rotate", admin(), NULL);
	expect_refusal(&r, 404, "Node not found");
	event = audit_of_path("nodes.credentials.rotate.failed", "/api/v1/nodes/node_no/credentials/rotate");
	expect_event(event, "failed", "node_not_found");
	cr_expect_not(j_has(event, "target.id"));
	cr_expect_str_eq(j_str(event, "target.name"), "node_no");
}

static void rotate_once(int index, void *arg)
{
	struct response *all = arg, r = post(fmt("%s/credentials/rotate", all[12].asked), admin(), NULL);

	all[index] = r;
}

Test(nodes, rotations_at_once_leave_one_token)
{
	struct node n = enroll_node("Race");
	struct response all[13] = {[12] = {.asked = n.path}};
	int good = 0;

	admin();
	parallel(12, rotate_once, all);
	for (int i = 0; i < 12; i++) {
		must(all[i], 201);
		good += get(fmt("%s/config", n.path), j_str(all[i].json, "data.credential.token")).status == 200;
	}
	cr_expect_eq(good, 1);
	if (on_postgres())
		cr_expect_str_eq(
		    sql("SELECT count(*) FROM node_credentials WHERE node_id = '%s' AND revoked_at IS NULL", n.id),
		    "1");
}

/* ---- liveness ---------------------------------------------------------------------------------------------------- */

Test(nodes, a_silent_node_is_offline)
{
	struct node n = enroll_node("Silent");

	if (!on_postgres())
		cr_skip_test("needs SQL to shift the clock");
	beat(&n);
	sql("UPDATE nodes SET last_seen_at = now() - interval '118 seconds' WHERE id = '%s'", n.id);
	struct response r = get(n.path, admin());

	cr_expect_str_eq(j_str(r.json, "data.status"), "online");
	sql("UPDATE nodes SET last_seen_at = now() - interval '122 seconds' WHERE id = '%s'", n.id);
	r = get(n.path, admin());
	cr_expect_str_eq(j_str(r.json, "data.status"), "offline");
	cr_expect_str_eq(sql("SELECT status FROM nodes WHERE id = '%s'", n.id), "online");
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

Test(nodes, status_and_probes)
{
	struct response r = get("/healthz", NULL);

	must(r, 200);
	cr_expect(j_true(r.json, "ok"));
	cr_expect_str_eq(j_str(r.json, "service"), "rakkr-api");
	const char *started = j_str(r.json, "startedAt");

	cr_expect_null(header(&r, "Access-Control-Allow-Credentials"));
	r = get("/readyz", NULL);
	must(r, 200);
	cr_expect_str_eq(r.body, "{\"ok\":true}");
	r = get("/api/v1/status", admin());
	must(r, 200);
	static const char *const keys[] = {
	    "activeRecordings", "alertingNodes",    "acknowledgedAlerts", "cachedRecordings", "completedRecordings",
	    "criticalAlerts",   "degradedNodes",    "failedRecordings",   "nodeCount",        "offlineNodes",
	    "onlineNodes",      "openAlerts",       "queuedRecordings",   "recordingNodes",   "suppressedAlerts",
	    "totalRecordings",  "unresolvedAlerts", "uploadedRecordings", "warningAlerts",
	};
	for (size_t i = 0; i < LENGTH(keys); i++)
		cr_expect_geq(j_int(r.json, keys[i]), 0, "%s", keys[i]);
	cr_expect_str_eq(j_str(r.json, "startedAt"), started);
	cr_expect_str_eq(j_str(r.json, "recordingProfile.id"), "voice-mp3-vbr");
	cr_expect_str_eq(j_str(r.json, "watchdogPolicy.id"), "scheduled-voice-watchdog");
	json_object *event = audit_last("status.read.succeeded", NULL);

	cr_expect(j_has(event, "details.unresolvedAlerts"));
	cr_expect_not(j_has(event, "actorContext.sessionId"));
}

static void report(const struct node *n, const char *severity, const char *more)
{
	struct response r = post(fmt("%s/health-events", n->path), n->token,
	                         "{\"severity\":\"%s\",\"type\":\"agent.x\"%s}", severity, more);

	must(r, 201);
}

Test(nodes, status_counts_what_the_user_may_see)
{
	struct node mine = enroll_node("Mine"), other = enroll_node("Other");
	struct take t = start_recording(&mine), elsewhere = start_recording(&other);

	report(&mine, "warning", "");
	report(&mine, "critical", fmt(",\"recordingId\":\"%s\"", t.recording_id));
	report(&other, "critical", "");
	report(&other, "critical", fmt(",\"recordingId\":\"%s\"", elsewhere.recording_id));
	const struct {
		const char *type, *id;
		int nodes, recordings, critical, warning;
	} rows[] = {
	    {"node", mine.id, 1, 1, 1, 1},
	    {"recording", t.recording_id, 0, 1, 1, 0},
	    {"node", "nothing", 0, 0, 0, 0},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct user u = create_user(
		    "viewer", fmt("[{\"resourceType\":\"%s\",\"resourceId\":\"%s\"}]", rows[i].type, rows[i].id));
		struct response r = get("/api/v1/status", u.token);

		must(r, 200);
		cr_expect_eq(j_int(r.json, "nodeCount"), rows[i].nodes, "row %zu: %s", i, r.body);
		cr_expect_eq(j_int(r.json, "totalRecordings"), rows[i].recordings, "row %zu: %s", i, r.body);
		cr_expect_eq(j_int(r.json, "activeRecordings"), rows[i].recordings, "row %zu: %s", i, r.body);
		cr_expect_eq(j_int(r.json, "criticalAlerts"), rows[i].critical, "row %zu: %s", i, r.body);
		cr_expect_eq(j_int(r.json, "warningAlerts"), rows[i].warning, "row %zu: %s", i, r.body);
		cr_expect_eq(j_int(r.json, "unresolvedAlerts"), rows[i].critical + rows[i].warning);
		cr_expect_eq(j_int(r.json, "openAlerts"), rows[i].critical + rows[i].warning);
	}
}
