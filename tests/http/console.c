/*
 * What breaks the console if it is otherwise: members that must be there, nulls that must not, dates, unique ids, names
 * of downloads, limits of selections (contract 08 B4, B9 and Traps 22, 26 to 31).
 */
#include "http/harness.h"

#include <stdlib.h>
#include <string.h>

/* ---- documents --------------------------------------------------------------------------------------------------- */

/* Only these may be null (B9.3). */
static bool may_be_null(const char *key)
{
	static const char *const keys[] = {"acknowledgedAt", "resolvedAt", "suppressedAt",       "suppressedUntil",
	                                   "maxAgeDays",     "maxBytes",   "minFreeDiskPercent", NULL};
	for (size_t i = 0; keys[i] != NULL; i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* "2027-03-04T05:06:07.089Z"; what agents call capturedAt is theirs. */
static bool is_date(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";
	size_t i = 0;
	for (; form[i] != '\0' && text[i] != '\0'; i++)
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return form[i] == text[i];
}

static void expect_sound(json_object *value, const char *key, const char *where)
{
	if (value == NULL) {
		cr_expect(may_be_null(key), "%s: %s is null", where, key);
	} else if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, name, member)
		{
			expect_sound(member, name, where);
		}
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			expect_sound(json_object_array_get_idx(value, i), "an element", where);
	} else if (strlen(key) > 2 && strcmp(key + strlen(key) - 2, "At") == 0 && strcmp(key, "capturedAt") != 0) {
		cr_expect(is_date(json_object_get_string(value)), "%s: %s is %s", where, key,
		          json_object_get_string(value));
	}
}

static void expect_members(json_object *doc, const char *const *members, json_type type, const char *where)
{
	for (; *members != NULL; members++)
		cr_expect(json_object_is_type(j_at(doc, *members), type), "%s: %s: %s", where, *members,
		          json_object_to_json_string(doc));
}

static const struct {
	const char *path;
	const char *dates[4], *arrays[4], *objects[3];
} lists[] = {
    {"/api/v1/nodes", {"lastSeenAt"}, {"ipAddresses", "interfaces", "tags"}, {"location"}},
    {"/api/v1/recordings", {"recordedAt"}, {"tags"}, {NULL}},
    {"/api/v1/recordings?limit=200&sortBy=name", {"recordedAt"}, {"tags"}, {NULL}},
    {"/api/v1/recording-jobs", {"createdAt"}, {NULL}, {"command"}},
    {"/api/v1/audit-events?limit=100", {"createdAt"}, {"actor.roles"}, {"target", "actor"}},
};

/* Something of every kind: a cached recording, a stopped one, one that waits, a beating node with meters. */
static struct node populate(void)
{
	struct node n = enroll_node("Console");
	struct blob file = wav(1, 8000, 1);

	must(post(fmt("%s/heartbeat", n.path), n.token,
	          "{\"agentVersion\":\"1\",\"hostname\":\"h\",\"runtime\":{\"architecture\":\"x86_64\","
	          "\"audioBackends\":[]}}"),
	     202);
	must(post(fmt("%s/meter-frame", n.path), n.token,
	          "{\"capturedAt\":\"x\",\"interfaceId\":\"i\",\"levels\":[{\"channelIndex\":1,\"clipping\":false,"
	          "\"label\":\"l\",\"peakDbfs\":-3,\"rmsDbfs\":-9}],\"nodeId\":\"%s\"}",
	          n.id),
	     202);
	struct take t = start_recording(&n);
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(http("PUT", fmt("%s/cache-file", t.recording_path), n.token, NULL, file.data, file.len), 201);
	t = start_recording(&n);
	must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	start_recording(&n);
	return n;
}

static void expect_unique_ids(json_object *data, const char *where)
{
	json_object *seen = json_object_new_object();
	for (size_t i = 0; i < json_object_array_length(data); i++) {
		const char *id = j_str(json_object_array_get_idx(data, i), "id");
		cr_expect(*id != '\0' && !json_object_object_get_ex(seen, id, NULL), "%s: %s", where, id);
		json_object_object_add(seen, id, json_object_new_boolean(1));
	}
}

Test(console, lists_have_what_pages_need)
{
	populate();
	for (size_t i = 0; i < LENGTH(lists); i++) {
		struct response r = get(lists[i].path, admin());
		must(r, 200);
		json_object *data = j_at(r.json, "data");
		cr_assert_gt(j_count(r.json, "data"), 0, "%s", lists[i].path);
		if (strstr(lists[i].path, "audit") == NULL) /* what it describes may be null there */
			expect_sound(data, "data", lists[i].path);
		expect_unique_ids(data, lists[i].path);
		for (size_t k = 0; k < json_object_array_length(data); k++) {
			json_object *doc = json_object_array_get_idx(data, k);
			expect_members(doc, lists[i].dates, json_type_string, lists[i].path);
			expect_members(doc, lists[i].arrays, json_type_array, lists[i].path);
			expect_members(doc, lists[i].objects, json_type_object, lists[i].path);
			for (size_t m = 0; lists[i].dates[m] != NULL; m++)
				cr_expect(is_date(j_str(doc, lists[i].dates[m])), "%s", lists[i].path);
		}
	}
}

Test(console, other_answers_have_what_pages_need)
{
	static const char *const facets[] = {"folders",        "nodes", "recordingProfiles", "tags", "trackGroups",
	                                     "uploadPolicies", NULL};
	static const char *const user[] = {"permissions", "roles", NULL};
	struct node n = populate();
	struct response r = get("/api/v1/recordings/facets", admin());

	must(r, 200);
	expect_members(j_at(r.json, "data"), facets, json_type_array, "facets");
	r = get("/api/v1/auth/me", admin());
	must(r, 200);
	expect_members(j_has(r.json, "data.user") ? j_at(r.json, "data.user") : j_at(r.json, "data"), user,
	               json_type_array, "me");
	r = get("/api/v1/status", admin()); /* no envelope (Trap 27) */
	must(r, 200);
	cr_expect_not(j_has(r.json, "data"));
	cr_expect(j_has(r.json, "nodeCount"));
	r = get(fmt("%s/meters", n.path), admin());
	must(r, 200);
	cr_expect(json_object_is_type(j_at(r.json, "data.levels.0.rmsDbfs"), json_type_int) ||
	          json_object_is_type(j_at(r.json, "data.levels.0.rmsDbfs"), json_type_double));
	cr_expect_not(j_has(r.json, "data.levels.0.quality"), "absent, not null");
	expect_sound(j_at(r.json, "data"), "data", "meters");
	r = get(fmt("%s/actions", n.path), admin());
	expect_sound(j_at(r.json, "data"), "data", "actions");
}

/* ---- downloads --------------------------------------------------------------------------------------------------- */

/* The console takes the name from filename="...", and "recording.mp3" if there is none (Trap 29). */
Test(console, every_download_has_a_name)
{
	struct node n = populate();
	struct take t = {.recording_id = j_str(
	                     get(fmt("/api/v1/recordings?nodeId=%s&status=cached", n.id), admin()).json, "data.0.id")};
	const char *job = j_str(get(fmt("/api/v1/recording-jobs?nodeId=%s", n.id), admin()).json, "data.0.id");
	const struct {
		const char *method, *path, *body, *start;
	} rows[] = {
	    {"GET", "/api/v1/nodes/export", NULL, "rakkr-nodes-"},
	    {"POST", "/api/v1/nodes/export", fmt("{\"nodeIds\":[\"%s\"]}", n.id), "rakkr-nodes-"},
	    {"GET", fmt("/api/v1/recordings/export?nodeId=%s", n.id), NULL, "rakkr-recordings-"},
	    {"POST", "/api/v1/recordings/export", fmt("{\"recordingIds\":[\"%s\"]}", t.recording_id),
	     "rakkr-recordings-"},
	    {"GET", fmt("/api/v1/recording-jobs/export?nodeId=%s", n.id), NULL, "rakkr-recording-jobs-"},
	    {"POST", "/api/v1/recording-jobs/export", fmt("{\"jobIds\":[\"%s\"]}", job), "rakkr-recording-jobs-"},
	    {"GET", fmt("/api/v1/recordings/%s/file", t.recording_id), NULL, ""},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct response r = http(rows[i].method, rows[i].path, admin(), NULL, rows[i].body,
		                         rows[i].body != NULL ? strlen(rows[i].body) : 0);
		must(r, 200);
		const char *line = header(&r, "Content-Disposition"),
		           *start = fmt("attachment; filename=\"%s", rows[i].start);
		cr_assert_not_null(line, "%s", rows[i].path);
		cr_expect_eq(strncmp(line, start, strlen(start)), 0, "%s: %s", rows[i].path, line);
		const char *end = strchr(line + strlen(start), '"');
		cr_expect(end != NULL && end > line + strlen(start), "%s: %s", rows[i].path, line);
	}
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static const char *selection(const char *key, const char *more, int count)
{
	char *body = fmt("{%s\"%s\":[", more, key);
	for (int i = 0; i < count; i++)
		body = fmt("%s%s\"none_%d\"", body, i > 0 ? "," : "", i);
	return fmt("%s]}", body);
}

/* As many as the contract says are taken (and not found here), one more is refused (Trap 28). */
Test(console, limits_of_selections)
{
	static const struct {
		const char *method, *path, *key, *more;
		int most;
	} rows[] = {
	    {"POST", "/api/v1/nodes/export", "nodeIds", "", 200},
	    {"POST", "/api/v1/recordings/export", "recordingIds", "", 200},
	    {"POST", "/api/v1/recordings/bulk-delete", "recordingIds", "", 200},
	    {"PATCH", "/api/v1/recordings/bulk-metadata", "recordingIds", "\"folder\":\"f\",", 100},
	    {"POST", "/api/v1/recording-jobs/export", "jobIds", "", 200},
	    {"POST", "/api/v1/recording-jobs/bulk-retry", "jobIds", "", 200},
	    {"POST", "/api/v1/recording-jobs/bulk-stop", "jobIds", "", 200},
	};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		for (int extra = 0; extra < 2; extra++) {
			const char *body = selection(rows[i].key, rows[i].more, rows[i].most + extra);
			struct response r = http(rows[i].method, rows[i].path, admin(), NULL, body, strlen(body));
			cr_expect_eq(r.status, extra ? 400 : 404, "%s of %d: %d %.200s", rows[i].path,
			             rows[i].most + extra, r.status, r.body);
		}
	}
}

/* The pages of Health and Jobs ask for 500; the contract's answer is 400 (Trap 22). */
Test(console, limits_of_pages)
{
	must(get("/api/v1/recordings?limit=200", admin()), 200);
	must(get("/api/v1/recordings?limit=500", admin()), 400);
}
