/* A flat-file store in a folder of its own, for the tests of it. */
#ifndef RAKKR_TESTS_STORE_FILE_H
#define RAKKR_TESTS_STORE_FILE_H

#include "unit/store_common.h"

#include "store/backend.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPS backend_file

static void *mem;
static char folder[64];
static struct config *config;

#define USER_ID "6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b"

/* ---- a store in a folder of its own ------------------------------------------------------------- */

static const struct {
	enum config_key key;
	const char *name;
} contract_files[] = {
    {CFG_RECORDINGS_PATH, "recordings-metadata.json"},
    {CFG_JOBS_PATH, "recording-jobs.json"},
    {CFG_SCHEDULES_PATH, "schedules.json"},
    {CFG_PROFILES_PATH, "recording-profiles.json"},
    {CFG_WATCHDOG_POLICIES_PATH, "watchdog-policies.json"},
    {CFG_CHANNEL_MAP_TEMPLATES_PATH, "channel-map-templates.json"},
    {CFG_CHANNEL_MAP_ASSIGNMENTS_PATH, "channel-map-assignments.json"},
    {CFG_CHANNEL_MAP_PLANS_PATH, "channel-map-assignment-plans.json"},
    {CFG_UPLOAD_PROVIDERS_PATH, "upload-providers.json"},
    {CFG_UPLOAD_POLICIES_PATH, "upload-policies.json"},
    {CFG_UPLOAD_QUEUE_PATH, "upload-queue.json"},
    {CFG_RETENTION_POLICIES_PATH, "retention-policies.json"},
    {CFG_LIFECYCLE_JOBS_PATH, "node-lifecycle-jobs.json"},
};

static inline char *in_folder(const char *name)
{
	return mem_printf(mem, "%s/%s", folder, name);
}

static inline void setup(void)
{
	mem = talloc_new(NULL);
	strcpy(folder, "/tmp/rakkr-store-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	config = config_defaults(mem);
	config_set(config, CFG_DATA_DIR, folder);
	for (size_t i = 0; i < sizeof(contract_files) / sizeof(contract_files[0]); i++)
		config_set(config, contract_files[i].key, in_folder(contract_files[i].name));
}

static inline void empty_folder(void)
{
	DIR *dir = opendir(folder);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
		unlink(in_folder(d->d_name));
	if (dir != NULL)
		closedir(dir);
}

static inline void teardown(void)
{
	empty_folder();
	rmdir(folder);
	talloc_free(mem);
}

static inline void *open_store(void)
{
	const char *error = NULL;
	void *s = file_open(mem, config, &error);

	cr_assert_not_null(s, "%s", error);
	return s;
}

static inline char *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	char *data = mem_array(mem, char, 1 << 22);
	size_t got = f != NULL ? fread(data, 1, (1 << 22) - 1, f) : 0;

	if (n != NULL)
		*n = got;
	if (f == NULL)
		return NULL;
	fclose(f);
	return data;
}

static inline void spill(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	fclose(f);
}

static inline json_object *from_json(const char *text)
{
	json_object *o = NULL;

	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

static inline json_object *schedule(const char *id, const char *name)
{
	json_object *o =
	    from_json("{\"enabled\":true,\"folderTemplate\":\"F\",\"id\":\"\",\"name\":\"\",\"nodeId\":\"n1\","
	              "\"recurrence\":{\"mode\":\"manual\"},\"recordingProfileId\":\"voice-mp3-vbr\","
	              "\"retentionPolicyId\":\"r\",\"room\":\"Hall\",\"tags\":[],\"timezone\":\"UTC\","
	              "\"titleTemplate\":\"T\",\"uploadPolicyId\":\"u\",\"watchdogPolicyId\":\"w\"}");

	json_set_str(o, "id", id);
	json_set_str(o, "name", name);
	return o;
}

static inline json_object *recording(const char *id)
{
	json_object *o =
	    from_json("{\"cached\":false,\"durationSeconds\":0,\"folder\":\"F\",\"healthStatus\":\"unknown\","
	              "\"id\":\"\",\"name\":\"R\",\"nodeId\":\"n1\",\"recordedAt\":\"2026-01-02T03:04:05.000Z\","
	              "\"source\":\"ad_hoc\",\"status\":\"recording\",\"tags\":[]}");

	json_set_str(o, "id", id);
	return o;
}

static inline json_object *job(const char *id, const char *recording_id)
{
	json_object *o =
	    from_json("{\"command\":{\"captureChannels\":2,\"captureDevice\":\"d\",\"captureFormat\":\"S16_LE\","
	              "\"captureSampleRate\":48000,\"durationSeconds\":60,\"outputFileName\":\"a.wav\","
	              "\"type\":\"alsa_capture\"},\"createdAt\":\"2026-01-02T03:04:05.000Z\",\"id\":\"\","
	              "\"nodeId\":\"n1\",\"recordingId\":\"\",\"status\":\"queued\"}");

	json_set_str(o, "id", id);
	json_set_str(o, "recordingId", recording_id);
	return o;
}

static inline size_t count_all(void *s, const struct model *m)
{
	struct query q;
	struct page page;

	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, m, &q, &page), ST_OK);
	return page.count;
}

static inline status update_one(void *s, const struct model *m, const char *id, const char *patch, struct page *out)
{
	struct query q;

	query_init(&q);
	query_where(&q, m->id, Q_EQ, id);
	return OPS.update(s, mem, m, &q, from_json(patch), out, NULL);
}

#endif
