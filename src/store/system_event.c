#include "store/system_event.h"

#include "base/crypto.h"

json_object *system_event(const void *ctx, int64_t now_ms, const struct system_event *e)
{
	json_object *event = json_new_object(ctx), *actor = json_object_new_object();
	json_object *target = json_object_new_object();
	char id[UUID_SIZE];

	uuid_v7(id, now_ms);
	json_set_str(event, "action", e->action);
	json_set_str(actor, "id", e->actor_id);
	json_set_str(actor, "name", e->actor_name);
	json_object_object_add(actor, "roles", json_object_new_array());
	json_set_str(actor, "type", "system");
	json_object_object_add(event, "actor", actor);
	json_object_object_add(event, "actorContext", json_object_new_object());
	json_set_ref(event, "after", e->after);
	json_set_ref(event, "before", e->before);
	json_set_ref(event, "correlationIds", e->correlation);
	json_set_iso(event, "createdAt", now_ms);
	if (e->details != NULL)
		json_set_ref(event, "details", e->details);
	else
		json_object_object_add(event, "details", json_object_new_object());
	json_set_str(event, "id", id);
	json_set_str(event, "outcome", e->outcome != NULL ? e->outcome : "succeeded");
	json_set_str_opt(event, "permission", permission_name(e->permission));
	json_set_str_opt(event, "reason", e->reason);
	json_set_str_opt(target, "id", e->target.id);
	json_set_str_opt(target, "name", e->target.name);
	json_set_str(target, "type", e->target.type);
	json_object_object_add(event, "target", target);
	return event;
}
