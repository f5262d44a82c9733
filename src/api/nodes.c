#include "api/nodes.h"

#include "api/lifecycle.h"
#include "api/listen.h"
#include "api/node_edit.h"
#include "api/node_filter.h"
#include "api/node_lookup.h"
#include "api/node_select.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define COLLECTION TARGET("node_collection", "node_collection", NULL)

static int64_t length_of(json_object *array)
{
	return (int64_t)json_object_array_length(array);
}

/* ---- list and exports ----------------------------------------------------------------------------------------------
 */

static status nodes_read(struct request *r)
{
	json_object *filters, *issues;
	struct node_selection *nodes;

	if (!schema_check_query(r->mem, &node_query_schema, r->query, &filters, &issues))
		return fail_issues(r, "Invalid node filters", issues, "invalid_filters", COLLECTION,
		                   details(r, "issueCount", J_INT, length_of(issues), NULL));
	TRY(node_select(r, filters, &nodes));
	audit_ok(r, COLLECTION, details(r, "filters", J_REF, filters, "returnedCount", J_INT, nodes->count, NULL));
	return node_select_json(r, nodes);
}

static status nodes_export(struct request *r)
{
	json_object *filters, *issues;
	struct node_selection *nodes;

	if (!schema_check_query(r->mem, &node_query_schema, r->query, &filters, &issues))
		return reply_issues(r, "Invalid node filters", issues); /* no event of its own (02 7.2) */
	TRY(node_select(r, filters, &nodes));
	audit_ok(r, COLLECTION, details(r, "exportedCount", J_INT, nodes->count, "filters", J_REF, filters, NULL));
	return node_select_csv(r, nodes);
}

static const struct schema_field id_item = {.type = V_STR, .flags = S_TRIM, .min = 1, .max = 160};
static const struct schema_field selection_fields[] = {
    {.name = "nodeIds", .type = V_ARRAY, .flags = S_REQUIRED, .min = 1, .max = 200, .item = &id_item},
};
static const struct schema selection_schema = SCHEMA(selection_fields, S_STRICT, NULL);

/* Picks the ids (first of equal ones) out of nodes; ids that are not there go to hidden. */
static json_object *select_nodes(struct request *r, json_object *nodes, json_object *ids, json_object *unique,
                                 json_object *hidden)
{
	json_object *picked = json_new_array(r->mem), *seen = json_new_object(r->mem), *by_id = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		json_object *node = json_object_array_get_idx(nodes, i);

		json_set_ref(by_id, json_str(node, "id"), node);
	}
	for (size_t i = 0; i < json_object_array_length(ids); i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(ids, i));
		json_object *node = json_get(by_id, id);

		if (json_has(seen, id))
			continue;
		json_set_bool(seen, id, true);
		json_push_str(unique, id);
		if (node != NULL)
			json_push_ref(picked, node);
		else
			json_push_str(hidden, id);
	}
	return picked;
}

static json_object *numbered_ids(struct request *r, json_object *ids)
{
	json_object *o = json_new_object(r->mem);

	for (size_t i = 0; i < json_object_array_length(ids); i++)
		json_set_ref(o, mem_printf(r->mem, "nodeId%zu", i + 1), json_object_array_get_idx(ids, i));
	return o;
}

static status nodes_export_selected(struct request *r)
{
	json_object *body, *input, *issues, *nodes, *unique = json_new_array(r->mem), *hidden = json_new_array(r->mem);

	TRY(req_json(r, &body, NULL));
	if (!schema_check(r->mem, &selection_schema, body, &input, &issues))
		return fail_issues(r, "Invalid node export request", issues, "invalid_request", COLLECTION, NULL);
	json_object *ids = json_array(input, "nodeIds");

	TRY(node_list_visible_among(r, ids, &nodes));
	nodes = select_nodes(r, nodes, ids, unique, hidden);
	if (json_object_array_length(hidden) > 0) {
		audit_add(r, &(struct audit){
		                 .action = "nodes.export_selected.failed",
		                 .outcome = "denied",
		                 .reason = "node_not_visible",
		                 .target = COLLECTION,
		                 .details = details(r, "hiddenIds", J_REF, hidden, "nodeIds", J_REF, unique, NULL)});
		return reply_error(r, 404, "One or more nodes are not visible");
	}
	audit_add(r, &(struct audit){.target = COLLECTION,
	                             .correlation = numbered_ids(r, unique),
	                             .details = details(r, "exportedCount", J_INT, length_of(nodes), "requestedCount",
	                                                J_INT, length_of(ids), NULL)});
	return node_csv_reply(r, nodes);
}

/* ---- one node ------------------------------------------------------------------------------------------------------
 */

static status node_detail(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, NULL),
		            details(r, "nodeId", J_STR, id, NULL));
	TRY(st);
	audit_ok(r, TARGET("node", id, json_str(node, "alias")),
	         details(r, "alias", J_STR, json_str(node, "alias"), "status", J_STR, json_str(node, "status"), NULL));
	return reply_data(r, 200, node);
}

static json_object *monitor_wire(struct request *r, const struct monitor *m)
{
	json_object *o = json_new_object(r->mem);

	json_set_bool(o, "available", m->source != MONITOR_NONE);
	json_set_str_opt(o, "capturedAt", m->source != MONITOR_NONE ? m->captured_at : NULL);
	if (m->source == MONITOR_CHUNK) {
		json_set_str(o, "contentType", "audio/wav");
		json_set_int(o, "durationMs", m->chunk.duration_ms);
		json_set_str(o, "source", "agent_audio_chunk");
	} else if (m->source == MONITOR_FRAME) {
		json_set_str(o, "source", "meter_frame");
	}
	return o;
}

static json_object *node_links(struct request *r, json_object *node, const char *self, const char *health)
{
	json_object *o = json_new_object(r->mem), *list = json_object_new_array();
	json_object *interfaces = json_array(node, "interfaces");

	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++) {
		const char *id = json_str_or(json_object_array_get_idx(interfaces, i), "id", "");
		json_object *link = json_object_new_object();

		json_set_str(link, "href", mem_printf(r->mem, "%s/interfaces/%s", self, id));
		json_set_str(link, "id", id);
		json_object_array_add(list, link);
	}
	json_set_str(o, "credentialsRotate", mem_printf(r->mem, "%s/credentials/rotate", self));
	json_set_str(o, "detail", self);
	json_set_str(o, "healthEvents", health);
	json_object_object_add(o, "interfaces", list);
	json_set_str(o, "listenStart", mem_printf(r->mem, "%s/listen", self));
	json_set_str(o, "meters", mem_printf(r->mem, "%s/meters", self));
	json_set_str(o, "recordingStart", "/api/v1/recordings");
	json_set_str(o, "update", self);
	return o;
}

static json_object *node_action_states(struct request *r, json_object *node, const struct monitor *m,
                                       json_object *links)
{
	json_object *o = json_new_object(r->mem);
	bool on = !text_equal(json_str(node, "status"), "offline"), framed = m->source == MONITOR_FRAME;
	const char *self = json_str(links, "detail"), *id = json_str(node, "id");
	char *text;

	if (m->source == MONITOR_CHUNK) /* the chunk hides whether there is a frame too */
		framed = live_meter_get(r->live, r->mem, id, &text, NULL) == ST_OK;
	json_set_ref(o, "detail", action_state(r, PERM_NODE_READ, "GET", self, true, NULL, NULL));
	json_set_ref(o, "editNode", action_state(r, PERM_NODE_MANAGE, "PATCH", self, true, NULL, NULL));
	json_set_ref(o, "health",
	             action_state(r, PERM_HEALTH_READ, "GET", json_str(links, "healthEvents"), true, NULL, NULL));
	json_set_ref(o, "listen",
	             action_state(r, PERM_LISTEN_MONITOR, "POST", json_str(links, "listenStart"),
	                          on && m->source != MONITOR_NONE, on ? "monitor_source_unavailable" : "node_offline",
	                          NULL));
	json_set_ref(o, "meters",
	             action_state(r, PERM_NODE_READ, "GET", json_str(links, "meters"), on && framed,
	                          on ? "meter_frame_not_found" : "node_offline", NULL));
	/* The form of the id decides, although rotation works for every stored node (02 T7): kept for the console. */
	json_set_ref(o, "rotateCredential",
	             action_state(r, PERM_NODE_MANAGE, "POST", json_str(links, "credentialsRotate"), text_is_uuid(id),
	                          "node_not_persisted", NULL));
	json_set_ref(o, "startRecording",
	             action_state(r, PERM_RECORDING_CREATE, "POST", "/api/v1/recordings", on, "node_offline", NULL));
	return o;
}

static status node_actions(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node, *data = json_new_object(r->mem);
	struct monitor m;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND) {
		audit_add(r, &(struct audit){.outcome = "failed",
		                             .reason = "not_found",
		                             .target = TARGET("node", id, NULL),
		                             .no_session = true});
		return reply_error(r, 404, "Node not found");
	}
	TRY(st);
	TRY(monitor_find(r, id, &m));
	json_object *monitor = monitor_wire(r, &m);
	json_object *links =
	    node_links(r, node, mem_printf(r->mem, "/api/v1/nodes/%s", id),
	               mem_printf(r->mem, "/api/v1/health-events?nodeId=%s", text_uri_component(r->mem, id)));
	json_object *actions = node_action_states(r, node, &m, links);

	json_set_ref(data, "actions", actions);
	json_set_ref(data, "links", links);
	json_set_ref(data, "monitor", monitor);
	json_set_ref(data, "node", node);
	audit_add(r, &(struct audit){.target = TARGET("node", id, json_str(node, "alias")),
	                             .no_session = true,
	                             .details = details(r, "monitorAvailable", J_BOOL, (int)(m.source != MONITOR_NONE),
	                                                "monitorSource", J_STR, json_str(monitor, "source"),
	                                                "visibleActionCount", J_INT,
	                                                (int64_t)json_object_object_length(actions), NULL)});
	return reply_data(r, 200, data);
}

/* What the runner printed is for those who may run it (09 D-44). */
static json_object *lifecycle_jobs_wire(struct request *r, json_object *docs)
{
	json_object *jobs = json_new_array(r->mem);
	bool output = principal_may(&r->who, PERM_NODE_MANAGE);

	for (size_t i = 0; i < json_object_array_length(docs); i++) {
		json_object *job = model_public(r->mem, &model_lifecycle_jobs, json_object_array_get_idx(docs, i));

		if (!output) {
			json_object_object_del(job, "stdout");
			json_object_object_del(job, "stderr");
		}
		json_push_ref(jobs, job);
	}
	return jobs;
}

static status node_lifecycle_jobs(struct request *r)
{
	const char *id = req_param(r, "nodeId");
	json_object *node;
	struct query q;
	struct page page;
	status st = node_find_visible(r, id, &node);

	if (st == ST_NOT_FOUND)
		return fail(r, 404, "Node not found", "node_not_found", TARGET("node", id, NULL), NULL);
	TRY(st);
	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, id);
	TRY(store_list(r->store, r->mem, &model_lifecycle_jobs, &q, &page));
	audit_ok(r, TARGET("node", id, json_str(node, "alias")),
	         details(r, "jobCount", J_INT, (int64_t)page.count, NULL));
	return reply_data(r, 200, lifecycle_jobs_wire(r, page.docs));
}

/* ---- routes --------------------------------------------------------------------------------------------------------
 */

#define NODE_ROW(method_, path_, permission_, action_, handler_)                                                       \
	{                                                                                                              \
		(method_), (path_), GUARD_USER, (permission_), (action_),                                              \
		    .target_type = "node", .target_param = "nodeId", .handler = (handler_), .prefetch = &model_nodes,  \
		    .prefetch_param = "nodeId"                                                                         \
	}

const struct route nodes_routes[] = {
    {"GET", "/api/v1/nodes", GUARD_USER, PERM_NODE_READ, "nodes.read", .target_type = "controller",
     .handler = nodes_read},
    {"GET", "/api/v1/nodes/export", GUARD_USER, PERM_NODE_READ, "nodes.export", .target_type = "controller",
     .handler = nodes_export},
    {"POST", "/api/v1/nodes/export", GUARD_USER, PERM_NODE_READ, "nodes.export_selected",
     .target_type = "node_collection", .target_id = "node_collection", .handler = nodes_export_selected},
    NODE_ROW("GET", "/api/v1/nodes/:nodeId", PERM_NODE_READ, "nodes.detail.read", node_detail),
    NODE_ROW("GET", "/api/v1/nodes/:nodeId/actions", PERM_NODE_READ, "nodes.actions.read", node_actions),
    NODE_ROW("GET", "/api/v1/nodes/:nodeId/lifecycle-jobs", PERM_NODE_READ, "nodes.lifecycle_jobs.read",
             node_lifecycle_jobs),
    NODE_ROW("POST", "/api/v1/nodes/:nodeId/lifecycle/:action", PERM_NODE_MANAGE, "nodes.lifecycle.run",
             node_lifecycle_run),
    {"POST", "/api/v1/nodes/enroll", GUARD_USER, PERM_NODE_MANAGE, "nodes.enroll", .target_type = "node",
     .handler = node_enroll},
    NODE_ROW("PATCH", "/api/v1/nodes/:nodeId", PERM_NODE_MANAGE, "nodes.update", node_update),
    {"PATCH", "/api/v1/nodes/:nodeId/interfaces/:interfaceId", GUARD_USER, PERM_NODE_MANAGE, "nodes.interfaces.update",
     .target_type = "interface", .target_param = "interfaceId", .handler = node_interface_edit,
     .prefetch = &model_nodes, .prefetch_param = "nodeId"},
    NODE_ROW("POST", "/api/v1/nodes/:nodeId/credentials/rotate", PERM_NODE_MANAGE, "nodes.credentials.rotate",
             node_rotate),
    {.method = NULL},
};
