#include "api/request.h"

#include "api/route.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

#define AUDIT_TEXT_MAX 2000 /* characters of a text in the details or the context of an event */

/* ---- input ------------------------------------------------------------------------------------------------------- */

const char *req_param(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->param_count; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return "";
}

const char *req_header(struct request *r, const char *name)
{
	const char *value = r->header(r, name);

	if (value == NULL || text_valid_utf8(value, strlen(value)))
		return value;
	return text_scrub(r->mem, value, strlen(value));
}

const char *req_query(const struct request *r, const char *key)
{
	return json_str(r->query, key);
}

status req_bytes(struct request *r, size_t max, char **data, size_t *n)
{
	struct buf b;

	r->body_read = true;
	if (r->content_length > 0 && (uint64_t)r->content_length > max)
		return ST_TOO_LARGE;
	buf_init(&b, r->mem);
	for (;;) {
		size_t want = max + 1 - b.len < 65536 ? max + 1 - b.len : 65536;
		long got = r->read(r, buf_reserve(&b, want), want);

		if (got < 0)
			return ST_INVALID;
		if (got == 0)
			break;
		b.len += (size_t)got;
		if (b.len > max)
			return ST_TOO_LARGE;
	}
	if (r->content_length > 0 && (uint64_t)r->content_length != b.len)
		return ST_INVALID; /* the client broke off */
	b.data[b.len] = '\0';
	*data = b.data;
	*n = b.len;
	return ST_OK;
}

/* Parses the body once; a malformed one is kept as "no object" (body_status ST_CONFLICT marks it). */
static void read_json(struct request *r)
{
	char *data;
	size_t n;

	r->body_status = req_bytes(r, (size_t)config_int(r->config, CFG_MAX_JSON_BYTES), &data, &n);
	if (r->body_status != ST_OK)
		return;
	if (n == 0)
		r->body = json_new_object(r->mem);
	else if (!json_parse(r->mem, data, n, &r->body)) {
		r->body = json_new_object(r->mem);
		r->body_status = ST_CONFLICT;
	}
}

status req_json(struct request *r, json_object **out, bool *malformed)
{
	if (!r->body_read)
		read_json(r);
	if (malformed != NULL)
		*malformed = r->body_status == ST_CONFLICT;
	*out = r->body;
	return r->body_status == ST_CONFLICT ? ST_OK : r->body_status;
}

const char *req_client_ip(struct request *r)
{
	const char *ip = req_header(r, "x-forwarded-for");

	return ip != NULL ? ip : req_header(r, "x-real-ip");
}

/* ---- reply ------------------------------------------------------------------------------------------------------- */

static status reply_set(struct request *r, int status_code, const char *content_type, const char *body, size_t n)
{
	r->reply.kind = REPLY_BODY;
	r->reply.status = status_code;
	r->reply.content_type = content_type;
	r->reply.body = body;
	r->reply.body_len = n;
	return ST_OK;
}

status reply_json(struct request *r, int status_code, json_object *body)
{
	size_t n;
	char *text = json_compact(r->mem, body, &n);

	return reply_set(r, status_code, "application/json", text, n);
}

status reply_data(struct request *r, int status_code, json_object *data)
{
	json_object *body = json_new_object(r->mem);

	json_object_object_add(body, "data", json_object_get(data));
	return reply_json(r, status_code, body);
}

status reply_error(struct request *r, int status_code, const char *text)
{
	json_object *body = json_new_object(r->mem);

	json_set_str(body, "error", text);
	return reply_json(r, status_code, body);
}

status reply_issues(struct request *r, const char *text, json_object *issues)
{
	json_object *body = json_new_object(r->mem);

	json_set_str(body, "error", text);
	json_set_ref(body, "issues", issues);
	return reply_json(r, 400, body);
}

status reply_text(struct request *r, int status_code, const char *text)
{
	return reply_set(r, status_code, "text/plain; charset=UTF-8", text, strlen(text));
}

status reply_empty(struct request *r, int status_code)
{
	return reply_set(r, status_code, NULL, "", 0);
}

status reply_bytes(struct request *r, int status_code, const char *content_type, const void *data, size_t n)
{
	return reply_set(r, status_code, content_type, data, n);
}

void reply_header(struct request *r, const char *name, const char *value)
{
	struct reply *p = &r->reply;

	if (p->header_count < sizeof(p->headers) / sizeof(p->headers[0]))
		p->headers[p->header_count++] = (struct header){name, text_no_controls(r->mem, value)};
}

/* ---- audit ------------------------------------------------------------------------------------------------------- */

/* A member that o does not have yet; key is a literal. Every request makes events: this spares them copies of keys. */
static void put(json_object *o, const char *key, json_object *value)
{
	unsigned how = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY;

	if (json_object_object_add_ex(o, key, value, how) != 0)
		mem_exhausted();
}

static void put_str(json_object *o, const char *key, const char *value)
{
	if (value != NULL)
		put(o, key, json_object_new_string(value));
}

static json_object *actor_of(const struct principal *who)
{
	bool known = who != NULL && who->kind != WHO_ANONYMOUS;
	json_object *actor = json_object_new_object();

	put_str(actor, "id", known ? who->id : "anonymous");
	put_str(actor, "name", known ? who->name : "Anonymous");
	put(actor, "roles", known && who->roles != NULL ? json_object_get(who->roles) : json_object_new_array());
	put_str(actor, "type",
	        known && who->kind == WHO_NODE     ? "node"
	        : known && who->kind == WHO_SYSTEM ? "system"
	                                           : "user");
	return actor;
}

/* What strangers send along is kept as far as it can mean anything: nobody fills the disk with it. */
static void put_cut(struct request *r, json_object *o, const char *key, const char *text)
{
	if (text != NULL)
		put_str(o, key, text_cut(r->mem, text, AUDIT_TEXT_MAX));
}

/* The same for the texts of details. */
static void cut_texts(struct request *r, json_object *all)
{
	json_object_object_foreach(all, key, value)
	{
		if (json_is_str(value) && (size_t)json_object_get_string_len(value) > AUDIT_TEXT_MAX)
			json_set_str(all, key, text_cut(r->mem, json_object_get_string(value), AUDIT_TEXT_MAX));
	}
}

static json_object *context_of(struct request *r, const struct audit *a, const struct principal *who)
{
	json_object *context = json_object_new_object();
	const char *session = who != NULL && !a->no_session ? who->session_id : NULL;

	put_cut(r, context, "ipAddress", req_client_ip(r));
	put_cut(r, context, "sessionId", session != NULL ? session : req_header(r, "x-rakkr-session-id"));
	put_cut(r, context, "userAgent", req_header(r, "user-agent"));
	return context;
}

static json_object *target_of(struct target t)
{
	json_object *o = json_object_new_object();

	put_str(o, "id", t.id != NULL && t.id[0] != '\0' ? t.id : NULL);
	put_str(o, "name", t.name);
	put_str(o, "type", t.type);
	return o;
}

static const char *action_of(struct request *r, const struct audit *a, const char *outcome)
{
	bool good = strcmp(outcome, "succeeded") == 0;

	if (a->action != NULL)
		return a->action;
	return mem_printf(r->mem, "%s.%s", r->route->action, good ? "succeeded" : "failed");
}

void audit_add(struct request *r, const struct audit *a)
{
	const struct principal *who = a->anonymous ? NULL : a->actor != NULL ? a->actor : &r->who;
	const char *outcome = a->outcome != NULL ? a->outcome : "succeeded";
	const char *permission = a->permission != NULL ? a->permission : permission_name(r->route->permission);
	json_object *event = json_object_new_object();
	json_object *all = json_object_new_object();
	char id[UUID_SIZE], created[CLOCK_ISO_SIZE];

	uuid_v7(id, r->now_ms);
	put_str(event, "action", action_of(r, a, outcome));
	put(event, "actor", actor_of(who));
	put(event, "actorContext", context_of(r, a, who));
	json_set_ref(event, "after", a->after);
	json_set_ref(event, "before", a->before);
	json_set_ref(event, "correlationIds", a->correlation);
	put_str(event, "createdAt", clock_iso(created, r->now_ms));
	put_str(all, "method", r->method);
	put_str(all, "path", r->path);
	if (a->details != NULL)
		json_merge(all, a->details, false);
	cut_texts(r, all);
	put(event, "details", all);
	put_str(event, "id", id);
	put_str(event, "outcome", outcome);
	put_str(event, "permission", permission != NULL && permission[0] != '\0' ? permission : NULL);
	put_str(event, "reason", a->reason);
	put(event, "target", target_of(a->target));
	if (r->audit == NULL)
		r->audit = json_new_array(r->mem);
	json_object_array_add(r->audit, event);
	if (strcmp(outcome, "succeeded") != 0 && strcmp(outcome, "allowed") != 0)
		r->audit_denied = true;
}

void audit_ok(struct request *r, struct target target, json_object *details_)
{
	audit_add(r, &(struct audit){.target = target, .details = details_});
}

status fail(struct request *r, int status_code, const char *text, const char *reason, struct target target,
            json_object *details_)
{
	audit_add(r, &(struct audit){.outcome = "failed", .reason = reason, .target = target, .details = details_});
	r->rollback = true;
	return reply_error(r, status_code, text);
}

status fail_issues(struct request *r, const char *text, json_object *issues, const char *reason, struct target target,
                   json_object *details_)
{
	audit_add(r, &(struct audit){.outcome = "failed", .reason = reason, .target = target, .details = details_});
	r->rollback = true;
	return reply_issues(r, text, issues);
}

json_object *details(struct request *r, ...)
{
	json_object *o = json_new_object(r->mem);
	const char *key;
	va_list ap;

	va_start(ap, r);
	while ((key = va_arg(ap, const char *)) != NULL) {
		switch (va_arg(ap, int)) {
		case J_STR:
			json_set_str_opt(o, key, va_arg(ap, const char *));
			break;
		case J_INT:
			json_set_int(o, key, va_arg(ap, int64_t));
			break;
		case J_BOOL:
			json_set_bool(o, key, va_arg(ap, int));
			break;
		case J_REF:
			json_set_ref(o, key, va_arg(ap, json_object *));
			break;
		default:
			json_set_null(o, key);
		}
	}
	va_end(ap);
	return o;
}

json_object *action_state(struct request *r, enum permission perm, const char *method, const char *href, bool ready,
                          const char *reason, json_object *payload)
{
	json_object *o = json_new_object(r->mem);
	bool missing = perm != PERM_NONE && !principal_may(&r->who, perm);

	json_set_bool(o, "enabled", ready && !missing);
	if (ready && !missing)
		json_set_str(o, "href", href);
	json_set_str(o, "method", method);
	if (!missing)
		json_set_ref(o, "payload", payload);
	json_set_str_opt(o, "permission", permission_name(perm));
	if (missing)
		json_set_str(o, "reason", "missing_permission");
	else if (!ready)
		json_set_str_opt(o, "reason", reason);
	return o;
}
