#include "api/audit_csv.h"

static const char *const columns[] = {"createdAt",      "actorType",  "actorId",  "actorName",  "actorRoles", "action",
                                      "permission",     "targetType", "targetId", "targetName", "outcome",    "reason",
                                      "correlationIds", "details",    "before",   "after"};

void audit_csv_header(struct csv *csv)
{
	csv_header(csv, columns, sizeof(columns) / sizeof(columns[0]));
}

void audit_csv_row(struct csv *csv, const void *ctx, json_object *event)
{
	json_object *actor = json_object_at(event, "actor"), *target = json_object_at(event, "target");

	csv_row(csv);
	csv_cell(csv, json_str(event, "createdAt"));
	csv_cell(csv, json_str(actor, "type"));
	csv_cell(csv, json_str(actor, "id"));
	csv_cell(csv, json_str(actor, "name"));
	csv_joined(csv, ctx, json_array(actor, "roles"), "|");
	csv_cell(csv, json_str(event, "action"));
	csv_cell(csv, json_str(event, "permission"));
	csv_cell(csv, json_str(target, "type"));
	csv_cell(csv, json_str(target, "id"));
	csv_cell(csv, json_str(target, "name"));
	csv_cell(csv, json_str(event, "outcome"));
	csv_cell(csv, json_str(event, "reason"));
	csv_member(csv, ctx, event, "correlationIds");
	csv_member(csv, ctx, event, "details");
	csv_member(csv, ctx, event, "before");
	csv_member(csv, ctx, event, "after");
}
