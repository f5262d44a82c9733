/* Playback, download and the file itself, which nginx sends (contract 03 3.7). */
#include "api/recording_lookup.h"
#include "api/recordings.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "transfer/cache.h"

#include <string.h>

#define TICKET_MS (600 * 1000)
#define ACCEL_ROOT "/_rakkr_cache/"

/* The failures of this chapter's routes, whose events do not all start with the route's own action. */
static status refuse(struct request *r, const char *action, int code, const char *text, const char *reason,
                     struct target target)
{
	audit_add(r, &(struct audit){.action = action, .outcome = "failed", .reason = reason, .target = target});
	return reply_error(r, code, text);
}

/* Finds the recording and makes sure that it has a file; *doc NULL when the request has been answered. */
static status find_cached(struct request *r, const char *failed_action, const char *text, json_object **doc)
{
	const char *id = req_param(r, "recordingId");
	status s = recording_find(r, id, doc);

	if (s == ST_NOT_FOUND) {
		*doc = NULL;
		return refuse(r, failed_action, 404, "Recording not found", "recording_not_found",
		              TARGET("recording", id, NULL));
	}
	if (s != ST_OK)
		return s;
	if (!recording_has_file(*doc)) {
		s = refuse(r, failed_action, 409, text, "recording_not_cached", recording_target(*doc));
		*doc = NULL;
	}
	return s;
}

static const char *file_name(struct request *r, json_object *doc)
{
	return cache_file_name(r->mem, json_str_or(doc, "name", ""), json_str_or(doc, "id", ""),
	                       json_str(doc, "cachePath"));
}

static const char *file_url(struct request *r, json_object *doc, const char *what)
{
	return mem_printf(r->mem, "/api/v1/recordings/%s/%s", json_str_or(doc, "id", ""), what);
}

status recording_playback(struct request *r)
{
	const char *session = id_new(r->mem, "playback_");
	json_object *doc, *data;

	TRY(find_cached(r, "recordings.playback.failed", "Recording is not ready for playback", &doc));
	if (doc == NULL)
		return ST_OK;
	data = details(r, "mode", J_STR, "controller_cache", "recordingId", J_STR, json_str(doc, "id"), "sessionId",
	               J_STR, session, "startedAt", J_STR, clock_iso_dup(r->mem, r->now_ms), "streamUrl", J_STR,
	               file_url(r, doc, "stream"), NULL);
	audit_add(r, &(struct audit){.action = "recordings.playback.started",
	                             .target = recording_target(doc),
	                             .correlation = details(r, "playbackSessionId", J_STR, session, "recordingId",
	                                                    J_STR, json_str(doc, "id"), NULL),
	                             .details = details(r, "mode", J_STR, "controller_cache", "source", J_STR,
	                                                json_str(doc, "source"), NULL)});
	return reply_data(r, 202, data);
}

status recording_download(struct request *r)
{
	const char *download = id_new(r->mem, "download_");
	const char *name;
	json_object *doc, *data;

	TRY(find_cached(r, "recordings.download.failed", "Recording is not ready for download", &doc));
	if (doc == NULL)
		return ST_OK;
	name = file_name(r, doc);
	data =
	    details(r, "downloadId", J_STR, download, "expiresAt", J_STR, clock_iso_dup(r->mem, r->now_ms + TICKET_MS),
	            "fileName", J_STR, name, "mode", J_STR, "controller_cache", "recordingId", J_STR,
	            json_str(doc, "id"), "url", J_STR, file_url(r, doc, "file"), NULL);
	audit_add(r, &(struct audit){
	                 .action = "recordings.download.prepared",
	                 .target = recording_target(doc),
	                 .correlation =
	                     details(r, "downloadId", J_STR, download, "recordingId", J_STR, json_str(doc, "id"), NULL),
	                 .details = details(r, "fileName", J_STR, name, "mode", J_STR, "controller_cache", NULL)});
	return reply_data(r, 202, data);
}

static bool is_ascii(const char *text)
{
	while (*text != '\0')
		if (*text++ & 0x80)
			return false;
	return true;
}

/* The plain name in the quoted form that the console reads; a name in another script in UTF-8 too (RFC 6266). */
static void add_disposition(struct request *r, json_object *doc, const char *disposition, const char *name)
{
	const char *full = cache_file_name_utf8(r->mem, json_str_or(doc, "name", ""), json_str_or(doc, "id", ""),
	                                        json_str(doc, "cachePath"));
	char *safe = mem_strdup(r->mem, name);
	char *value;

	for (char *p = safe; *p != '\0'; p++)
		if (*p == '"' || *p == '\\') /* only a stored path's extension can bring them here */
			*p = '_';
	value = mem_printf(r->mem, "%s; filename=\"%s\"", disposition, safe);
	if (!is_ascii(full))
		value = mem_printf(r->mem, "%s; filename*=UTF-8''%s", value, text_uri_component(r->mem, full));
	reply_header(r, "Content-Disposition", value);
}

/* Every segment of a path below the cache, percent-encoded for the internal redirect. */
static const char *accel_path(struct request *r, const char *relative)
{
	char *copy = mem_strdup(r->mem, relative), *rest = NULL;
	char *path = mem_strdup(r->mem, ACCEL_ROOT);
	const char *separator = "";

	for (char *part = strtok_r(copy, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
		path = mem_printf(r->mem, "%s%s%s", path, separator, text_uri_component(r->mem, part));
		separator = "/";
	}
	return path;
}

static status send_file(struct request *r, const char *disposition)
{
	const char *failed = mem_printf(r->mem, "%s.failed", r->route->action);
	char *file, *relative;
	const char *reason, *name;
	int64_t size;
	json_object *doc;

	TRY(find_cached(r, failed, "Recording is not cached", &doc));
	if (doc == NULL)
		return ST_OK;
	if (!cache_locate(r->mem, config_str(r->config, CFG_RECORDING_CACHE_DIR), json_str(doc, "cachePath"), &file,
	                  &relative, &size, &reason))
		return refuse(r, failed, 409, "Recording cache file is unavailable", reason, recording_target(doc));
	name = file_name(r, doc);
	audit_ok(r, recording_target(doc),
	         details(r, "disposition", J_STR, disposition, "fileName", J_STR, name, "size", J_INT, size, NULL));
	add_disposition(r, doc, disposition, name);
	r->reply.kind = REPLY_FILE;
	r->reply.status = 200;
	r->reply.content_type = cache_mime(relative);
	r->reply.accel_path = accel_path(r, relative);
	return ST_OK;
}

status recording_stream(struct request *r)
{
	return send_file(r, "inline");
}

status recording_file(struct request *r)
{
	return send_file(r, "attachment");
}
