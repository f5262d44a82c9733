/* The flat-file store: layouts, unknown and broken content, several processes, kill -9, full disks, the audit log. */
#include "unit/store_common.h"

#include "store/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPS backend_file

static void *mem;
static char folder[64];
static struct config *config;

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

static char *in_folder(const char *name)
{
	return mem_printf(mem, "%s/%s", folder, name);
}

static void setup(void)
{
	mem = talloc_new(NULL);
	strcpy(folder, "/tmp/rakkr-store-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	config = config_defaults(mem);
	config_set(config, CFG_DATA_DIR, folder);
	for (size_t i = 0; i < sizeof(contract_files) / sizeof(contract_files[0]); i++)
		config_set(config, contract_files[i].key, in_folder(contract_files[i].name));
}

static void empty_folder(void)
{
	DIR *dir = opendir(folder);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
		unlink(in_folder(d->d_name));
	if (dir != NULL)
		closedir(dir);
}

static void teardown(void)
{
	empty_folder();
	rmdir(folder);
	talloc_free(mem);
}

TestSuite(store_file, .init = setup, .fini = teardown, .timeout = 120);

static void *open_store(void)
{
	const char *error = NULL;
	void *s = file_open(mem, config, &error);

	cr_assert_not_null(s, "%s", error);
	return s;
}

/* ---- what both backends do alike ---------------------------------------------------------------- */

static struct store *store_file_open(void)
{
	const char *error = NULL;
	struct store *s = store_open(mem, config, &error);

	cr_assert_not_null(s, "%s", error);
	cr_assert_not(store_is_database(s));
	return s;
}

static void store_file_close(struct store *s)
{
	talloc_free(s);
}

STORE_COMMON_TESTS(store_file)

/* ---- files -------------------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	char *data = mem_array(mem, char, 1 << 22);
	size_t got;

	if (f == NULL)
		return NULL;
	got = fread(data, 1, (1 << 22) - 1, f);
	fclose(f);
	if (n != NULL)
		*n = got;
	return data;
}

static void spill(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	fclose(f);
}

static const char *fixtures(void)
{
	const char *root = getenv("srcdir");

	return mem_printf(mem, "%s/tests/fixtures/existing-files", root != NULL ? root : ".");
}

static void copy_fixtures(void)
{
	for (size_t i = 0; i < sizeof(contract_files) / sizeof(contract_files[0]); i++) {
		char *text = slurp(mem_printf(mem, "%s/%s", fixtures(), contract_files[i].name), NULL);

		if (text != NULL)
			spill(in_folder(contract_files[i].name), text);
	}
}

static json_object *from_json(const char *text)
{
	json_object *o = NULL;

	cr_assert(json_parse(mem, text, strlen(text), &o), "%s", text);
	return o;
}

static json_object *schedule(const char *id, const char *name)
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

static json_object *recording(const char *id)
{
	json_object *o =
	    from_json("{\"cached\":false,\"durationSeconds\":0,\"folder\":\"F\",\"healthStatus\":\"unknown\","
	              "\"id\":\"\",\"name\":\"R\",\"nodeId\":\"n1\",\"recordedAt\":\"2026-01-02T03:04:05.000Z\","
	              "\"source\":\"ad_hoc\",\"status\":\"recording\",\"tags\":[]}");

	json_set_str(o, "id", id);
	return o;
}

static json_object *job(const char *id, const char *recording_id)
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

static size_t count_all(void *s, const struct model *m)
{
	struct query q;
	struct page page;

	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, m, &q, &page), ST_OK);
	return page.count;
}

static status update_one(void *s, const struct model *m, const char *id, const char *patch, struct page *out)
{
	struct query q;

	query_init(&q);
	query_where(&q, m->id, Q_EQ, id);
	return OPS.update(s, mem, m, &q, from_json(patch), out, NULL);
}

/* The text of a file without the line of its "updatedAt" of the file itself. */
static char *without_stamp(char *text)
{
	char *at = strstr(text, "\n  \"updatedAt\": ");
	char *end;

	cr_assert_not_null(at, "%s", text);
	end = strchr(at + 1, '\n');
	memmove(at, end, strlen(end) + 1);
	return text;
}

/* ---- layout ------------------------------------------------------------------------------------- */

/*
 * Every file of an existing installation, written again after a change that is taken back, is the same but its stamp.
 */
Test(store_file, existing_files_keep_every_byte)
{
	static const struct {
		const struct model *model;
		const char *patch;
	} touches[] = {
	    {&model_recordings, "{\"folder\":\"%s\"}"},
	    {&model_schedules, "{\"name\":\"%s\"}"},
	    {&model_profiles, "{\"name\":\"%s\"}"},
	    {&model_watchdog_policies, "{\"name\":\"%s\"}"},
	    {&model_channel_map_templates, "{\"name\":\"%s\"}"},
	    {&model_upload_policies, "{\"name\":\"%s\"}"},
	    {&model_retention_policies, "{\"name\":\"%s\"}"},
	};
	copy_fixtures();

	for (size_t i = 0; i < sizeof(touches) / sizeof(touches[0]); i++) {
		const struct model *m = touches[i].model;
		const char *path = config_str(config, m->path);
		char *before = slurp(path, NULL);
		void *s = open_store();
		struct query q;
		struct page page, changed;
		const char *id, *member = m == &model_recordings ? "folder" : "name";
		json_object *back = json_new_object(mem);

		query_init(&q);
		cr_assert_eq(OPS.list(s, mem, m, &q, &page), ST_OK);
		cr_assert_gt(page.count, 0, "%s", m->name);
		id = json_str(json_object_array_get_idx(page.docs, 0), m->id);
		json_set_copy(back, member, json_get(json_object_array_get_idx(page.docs, 0), member));
		cr_assert_eq(update_one(s, m, id, mem_printf(mem, touches[i].patch, "changed"), &changed), ST_OK);
		cr_assert_eq(changed.count, 1);
		cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
		cr_assert_str_neq(without_stamp(slurp(path, NULL)), without_stamp(mem_strdup(mem, before)));
		cr_assert_eq(update_one(s, m, id, json_compact(mem, back, NULL), &changed), ST_OK);
		cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
		cr_assert_str_eq(without_stamp(slurp(path, NULL)), without_stamp(mem_strdup(mem, before)), "%s", path);
	}
}

Test(store_file, new_documents_go_in_front_in_the_contracts_layout)
{
	void *s = open_store();
	json_object *stored;
	char *text;
	struct stat st;

	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("a", "First"), NULL), ST_OK);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("b", "Zweite \"ö\""), &stored), ST_OK);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("b", "Again"), NULL), ST_CONFLICT);
	cr_assert_str_eq(json_str(stored, "name"), "Zweite \"ö\"");
	cr_assert(OPS.dirty(s));
	cr_assert_eq(access(in_folder("schedules.json"), F_OK), -1);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_not(OPS.dirty(s));
	text = slurp(in_folder("schedules.json"), NULL);
	cr_assert_eq(
	    strncmp(text,
	            "{\n  \"schedules\": [\n    {\n      \"enabled\": true,\n      \"folderTemplate\": \"F\",\n"
	            "      \"id\": \"b\",\n      \"name\": \"Zweite \\\"ö\\\"\",\n",
	            100),
	    0, "%s", text);
	cr_assert_not_null(strstr(text, "      \"tags\": [],\n"));
	cr_assert_not_null(strstr(text, "\"id\": \"sched_council_weekly\""), "the seed becomes part of the file");
	cr_assert_null(strstr(text, "createdAt"));
	cr_assert_str_eq(text + strlen(text) - 18, "\n  \"version\": 1\n}\n");
	stat(in_folder("schedules.json"), &st);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(store_file, empty_stores_are_written_as_empty_arrays)
{
	void *s = open_store();
	struct query q;
	struct page page;

	query_init(&q);
	cr_assert_eq(OPS.insert(s, mem, &model_jobs, job("j", "r"), NULL), ST_OK);
	cr_assert_eq(OPS.remove(s, mem, &model_jobs, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(
	    strncmp(slurp(in_folder("recording-jobs.json"), NULL), "{\n  \"jobs\": [],\n  \"updatedAt\": \"", 31), 0);
}

Test(store_file, a_bare_array_is_read_and_unknown_members_stay)
{
	void *s;
	json_object *doc;
	struct page page;
	char *text;

	spill(in_folder("recordings-metadata.json"),
	      "[{\"id\":\"r1\",\"name\":\"A\",\"folder\":\"F\",\"recordedAt\":\"2026-01-01T00:00:00.000Z\","
	      "\"durationSeconds\":12,\"cached\":false,\"healthStatus\":\"unknown\",\"source\":\"ad_hoc\","
	      "\"status\":\"completed\",\"tags\":[],\"x-own\":{\"a\":[1.50,2]}},\n\"junk\",{\"id\":\"r2\",\"odd\":true}"
	      "]");
	s = open_store();
	cr_assert_eq(count_all(s, &model_recordings), 1);
	cr_assert_eq(OPS.get(s, mem, &model_recordings, "r2", &doc), ST_NOT_FOUND);
	cr_assert_eq(update_one(s, &model_recordings, "r1", "{\"name\":\"B\"}", &page), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	text = slurp(in_folder("recordings-metadata.json"), NULL);
	cr_assert_not_null(
	    strstr(text, "\"x-own\": {\n        \"a\": [\n          1.5,\n          2\n        ]\n      }"), "%s",
	    text);
	cr_assert_not_null(
	    strstr(text, "\n    \"junk\",\n    {\n      \"id\": \"r2\",\n      \"odd\": true\n    }\n  ],\n"), "%s",
	    text);
	/* what we wrote reads the same, by the fast way too */
	s = open_store();
	cr_assert_eq(count_all(s, &model_recordings), 1);
	cr_assert_eq(OPS.get(s, mem, &model_recordings, "r1", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "name"), "B");
}

Test(store_file, refused_elements_stay_where_they_are)
{
	void *s;
	char *before, *after;

	copy_fixtures();
	s = open_store();
	cr_assert_eq(OPS.insert(s, mem, &model_recordings, recording("rec_new"), NULL), ST_OK);
	OPS.rollback(s);
	before = slurp(in_folder("recordings-metadata.json"), NULL);
	before = without_stamp(before);
	/* a document that this version does not understand */
	spill(in_folder("recordings-metadata.json"),
	      mem_printf(mem,
	                 "{\n  \"recordings\": [\n    {\n      \"id\": \"future\",\n      \"status\": \"dreaming\"\n"
	                 "    },\n%s",
	                 before + strlen("{\n  \"recordings\": [\n")));
	cr_assert_eq(OPS.insert(s, mem, &model_recordings, recording("rec_new"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	after = slurp(in_folder("recordings-metadata.json"), NULL);
	cr_assert_not_null(
	    strstr(after, "    },\n    {\n      \"id\": \"future\",\n      \"status\": \"dreaming\"\n    },\n"));
	cr_assert_eq(count_all(s, &model_recordings), count_all(open_store(), &model_recordings));
}

Test(store_file, later_policies_win_and_built_in_ones_are_there)
{
	void *s;
	json_object *doc;
	struct query q;
	struct page page;

	spill(in_folder("retention-policies.json"), "{\"policies\":[{\"id\":\"p\",\"name\":\"Old\"},{\"id\":\"q\","
	                                            "\"name\":\"Q\"},{\"id\":\"p\",\"name\":\"New\"}]}");
	s = open_store();
	cr_assert_eq(OPS.get(s, mem, &model_retention_policies, "p", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "name"), "New");
	cr_assert(json_has(doc, "maxBytes"));
	cr_assert_eq(OPS.get(s, mem, &model_retention_policies, "retention-keep-controller-cache", &doc), ST_OK);
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_retention_policies, &q, &page), ST_OK);
	cr_assert_eq(page.count, 3);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "name"), "New"); /* by name: Keep, New, Q */
	cr_assert_eq(count_all(s, &model_upload_providers), 3);
	cr_assert_eq(count_all(s, &model_upload_policies), 1);
}

/* Waveforms are most of a recording and are not kept in memory; nobody may notice. */
Test(store_file, waveforms_come_back)
{
	static const char waveform[] =
	    "{\"channelCount\":2,\"generatedAt\":\"2026-01-02T03:04:05.000Z\",\"peaks\":[0,0.125,"
	    "1],\"sampleCount\":96000,\"sampleRate\":48000,\"source\":\"wav_s16le_peak\"}";
	void *s = open_store(), *other = open_store();
	json_object *o = recording("r"), *doc;
	struct query q;
	struct page page;

	json_object_object_add(o, "waveformPreview", json_object_get(from_json(waveform)));
	cr_assert_eq(OPS.insert(s, mem, &model_recordings, o, NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(OPS.get(i == 1 ? other : s, mem, &model_recordings, "r", &doc), ST_OK);
		cr_assert_str_eq(json_compact(mem, json_get(doc, "waveformPreview"), NULL), waveform);
		cr_assert_eq(update_one(i == 2 ? other : s, &model_recordings, "r",
		                        mem_printf(mem, "{\"name\":\"N%d\"}", i), &page),
		             ST_OK);
		doc = json_object_array_get_idx(page.docs, 0);
		cr_assert_str_eq(json_compact(mem, json_get(doc, "waveformPreview"), NULL), waveform);
		cr_assert_eq(OPS.commit(i == 2 ? other : s, NULL, true), ST_OK);
	}
	query_init(&q);
	query_where(&q, "name", Q_EQ, "N2");
	cr_assert_eq(OPS.remove(s, mem, &model_recordings, &q, &page), ST_OK);
	doc = json_object_array_get_idx(page.docs, 0);
	cr_assert_str_eq(json_compact(mem, json_get(doc, "waveformPreview"), NULL), waveform);
}

/* ---- broken files ------------------------------------------------------------------------------- */

Test(store_file, a_broken_file_is_left_alone_and_stops_nothing_else)
{
	static const char *const broken[] = {"{\"schedules\": [ {\"id\": \"a\", ", "", "{\"other\": []}", "[1,2",
	                                     "null"};
	void *s = open_store();
	struct query q;
	struct page page;
	json_object *doc;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		query_init(&q);
		spill(in_folder("schedules.json"), broken[i]);
		cr_assert_eq(OPS.list(s, mem, &model_schedules, &q, &page), ST_UNAVAILABLE, "%s", broken[i]);
		cr_assert_eq(OPS.get(s, mem, &model_schedules, "a", &doc), ST_UNAVAILABLE);
		cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("n", "N"), NULL), ST_UNAVAILABLE);
		OPS.rollback(s);
		cr_assert_eq(OPS.insert(s, mem, &model_recordings, recording(mem_printf(mem, "r%zu", i)), NULL), ST_OK);
		cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
		cr_assert_str_eq(slurp(in_folder("schedules.json"), NULL), broken[i]);
	}
	spill(in_folder("schedules.json"), "{\"schedules\": []}");
	cr_assert_eq(count_all(s, &model_schedules), 0);
	cr_assert_eq(count_all(s, &model_recordings), 6);
}

Test(store_file, changes_by_others_are_seen)
{
	void *a = open_store(), *b = open_store();
	json_object *doc;

	cr_assert_eq(OPS.insert(a, mem, &model_schedules, schedule("x", "One"), NULL), ST_OK);
	cr_assert_eq(OPS.get(b, mem, &model_schedules, "x", &doc), ST_NOT_FOUND);
	cr_assert_eq(OPS.get(a, mem, &model_schedules, "x", &doc), ST_OK);
	cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
	/* the same size and inode are possible: only the time tells these apart */
	for (int i = 0; i < 200; i++) {
		struct page page;
		char *name = mem_printf(mem, "{\"name\":\"N%03d\"}", i);

		cr_assert_eq(update_one(a, &model_schedules, "x", name, &page), ST_OK);
		cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
		cr_assert_eq(OPS.get(b, mem, &model_schedules, "x", &doc), ST_OK);
		cr_assert_str_eq(json_str(doc, "name"), mem_printf(mem, "N%03d", i));
	}
	OPS.insert(a, mem, &model_schedules, schedule("y", "Two"), NULL);
	OPS.rollback(a);
	cr_assert_eq(OPS.get(a, mem, &model_schedules, "y", &doc), ST_NOT_FOUND);
}

Test(store_file, unusable_values_are_refused)
{
	void *s = open_store();
	json_object *o = schedule("long", "x");
	struct page page;
	char wide[200];

	memset(wide, 'x', sizeof(wide));
	wide[161] = '\0';
	json_set_str(o, "name", wide);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, o, NULL), ST_INVALID);
	wide[160] = '\0';
	json_set_str(o, "name", wide);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, o, NULL), ST_OK);
	cr_assert_eq(update_one(s, &model_schedules, "long", "{\"nextRunAt\":\"soon\"}", &page), ST_INVALID);
	cr_assert_eq(update_one(s, &model_schedules, "long", "{\"name\":null}", &page), ST_INVALID);
	cr_assert_eq(update_one(s, &model_schedules, "long", "{\"nextRunAt\":\"2026-07-05T16:00:00Z\"}", &page), ST_OK);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "nextRunAt"), "2026-07-05T16:00:00.000Z");
	cr_assert_eq(update_one(s, &model_schedules, "long", "{\"nextRunAt\":null,\"id\":\"other\"}", &page), ST_OK);
	cr_assert_not(json_has(json_object_array_get_idx(page.docs, 0), "nextRunAt"));
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "id"), "long");
}

/* ---- queries ------------------------------------------------------------------------------------ */

static void check_ids(const struct page *page, const char *expected)
{
	char *ids = mem_strdup(mem, "");

	for (size_t i = 0; i < page->count; i++)
		ids = mem_printf(mem, "%s%s%s", ids, i > 0 ? " " : "",
		                 json_str(json_object_array_get_idx(page->docs, i), "id"));
	cr_assert_str_eq(ids, expected);
}

static void *store_with_recordings(void)
{
	static const char *const names[] = {"beta", "Alpha", "álpha", "100%", "50_5", "C:\\te", "it's", "alpha"};
	void *s;

	spill(in_folder("recordings-metadata.json"), "{\"recordings\":[]}");
	s = open_store();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_object *o = recording(mem_printf(mem, "r%zu", i));

		json_set_str(o, "name", names[i]);
		json_set_int(o, "durationSeconds", (int64_t)(i * 37 % 8));
		json_set_str(o, "recordedAt", mem_printf(mem, "2026-01-%02zuT00:00:00.000Z", 20 - i));
		json_set_str(o, "scheduleId", i % 2 == 0 ? "s1" : "s2");
		json_set_str(o, "nodeId", i < 4 ? "n1" : "n2");
		if (i == 2)
			json_object_object_add(o, "tags", json_object_get(from_json("[\"Voice\",\"x\"]")));
		cr_assert_eq(OPS.insert(s, mem, &model_recordings, o, NULL), ST_OK);
	}
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	return s;
}

Test(store_file, queries_filter_sort_and_page)
{
	void *s = store_with_recordings();
	struct query q;
	struct page page;
	json_object *counts;
	static const char *const literal[] = {"%", "_", "\\", "'", "C:\\TE"};
	static const char *const hits[] = {"r3", "r4", "r5", "r6", "r5"};

	query_init(&q);
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r7 r6 r5 r4 r3 r2 r1 r0");
	q.limit = 3;
	q.offset = 2;
	q.want_total = true;
	query_sort(&q, "name", false);
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r7 r1 r2");
	cr_assert_eq(page.total, 8);
	query_init(&q);
	query_sort(&q, "durationSeconds", true);
	q.limit = 2;
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r3 r6");
	for (size_t i = 0; i < 5; i++) {
		query_init(&q);
		query_where(&q, "name", Q_CONTAINS, literal[i]);
		OPS.list(s, mem, &model_recordings, &q, &page);
		check_ids(&page, hits[i]);
	}
	query_init(&q);
	query_where(&q, "recordedAt", Q_GE, "2026-01-14");
	query_where(&q, "recordedAt", Q_LE, "2026-01-16T00:00:00.000Z");
	query_where(&q, "nodeId", Q_NE, "n1");
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r6 r5 r4");
	query_init(&q);
	query_where(&q, "tags", Q_HAS_CI, "voice");
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2");
	query_init(&q);
	query_where(&q, "notes", Q_ABSENT, NULL);
	q.search = "ÁLP";
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2");
	query_init(&q);
	OPS.count_by(s, mem, &model_recordings, &q, "nodeId", &counts);
	cr_assert_str_eq(json_compact(mem, counts, NULL),
	                 "[{\"value\":\"n2\",\"count\":4},{\"value\":\"n1\",\"count\":4}]");
	query_where(&q, "nowhere", Q_EQ, "x");
	cr_assert_eq(OPS.list(s, mem, &model_recordings, &q, &page), ST_INTERNAL);
}

Test(store_file, scopes_cut_recordings_and_jobs)
{
	void *s = store_with_recordings();
	const char *schedules[] = {"s1"}, *nodes[] = {"n2"};
	struct row_scope scope = {.allow_schedules = {.ids = schedules, .count = 1},
	                          .deny_nodes = {.ids = nodes, .count = 1}};
	struct query q;
	struct page page;

	query_init(&q);
	q.scope = &scope;
	OPS.list(s, mem, &model_recordings, &q, &page);
	check_ids(&page, "r2 r0");
	OPS.insert(s, mem, &model_jobs, job("j1", "r2"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j2", "r1"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j3", "gone"), NULL);
	OPS.list(s, mem, &model_jobs, &q, &page);
	check_ids(&page, "j1");
	scope = (struct row_scope){.allow_all = true};
	OPS.list(s, mem, &model_jobs, &q, &page);
	check_ids(&page, "j2 j1");
	scope = (struct row_scope){.allow_schedules = {.all = true}};
	OPS.list(s, mem, &model_recordings, &q, &page);
	cr_assert_eq(page.count, 0, "the schedules are gone");
	scope.deny_all = scope.allow_all = true;
	OPS.list(s, mem, &model_recordings, &q, &page);
	cr_assert_eq(page.count, 0);
}

/* ---- accounts and nodes ------------------------------------------------------------------------- */

#define USER_ID "6f0d2c1e-5b7a-4e43-9a51-0c1d2e3f4a5b"

static const char *sign_in(void *s, const char *hash, int64_t expires_ms)
{
	json_object *user =
	    from_json("{\"id\":\"" USER_ID "\",\"email\":\"ann@example.org\",\"name\":\"Ann\","
	              "\"provider\":\"local\",\"passwordHash\":\"h\",\"groups\":[{\"id\":\"av\",\"name\":\"av\"}],"
	              "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"X\"}]}");
	json_object *session = json_new_object(mem);
	const char *id = NULL;

	json_set_str(session, "tokenHash", hash);
	json_set_str(session, "userId", USER_ID);
	json_set_iso(session, "expiresAt", expires_ms);
	cr_assert_eq(OPS.session_create(s, mem, user, session, &id), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	return id;
}

Test(store_file, sessions_live_and_end)
{
	void *a = open_store(), *b = open_store();
	int64_t now = clock_now_ms();
	json_object *found;
	const char *id = sign_in(a, "hash1", now + 60000);
	struct page page;

	cr_assert_eq(OPS.session_find(b, mem, "hash1", now, &found), ST_OK);
	cr_assert_str_eq(json_str(found, "sessionId"), id);
	cr_assert_str_eq(json_compact(mem, json_get(found, "user"), NULL),
	                 "{\"id\":\"" USER_ID
	                 "\",\"email\":\"ann@example.org\",\"name\":\"Ann\",\"provider\":\"local\","
	                 "\"roles\":[],\"groups\":[{\"id\":\"av\",\"name\":\"av\"}],"
	                 "\"resourceGrants\":[{\"resourceType\":\"room\",\"resourceId\":\"X\"}]}");
	cr_assert_not(json_flag(found, "roleRows", true));
	cr_assert_not(json_flag(found, "policiesStored", true));
	cr_assert_eq(OPS.session_find(b, mem, "hash1", now + 60000, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.session_find(b, mem, "hash2", now, &found), ST_NOT_FOUND);
	cr_assert_eq(count_all(b, &model_access_groups), 1);
	sign_in(b, "hash2", now + 60000);
	cr_assert_eq(OPS.session_revoke(a, "hash1", now), ST_OK);
	cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(b, mem, "hash1", now, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.session_find(b, mem, "hash2", now, &found), ST_OK);
	cr_assert_eq(update_one(b, &model_users, USER_ID, "{\"disabledAt\":\"2026-01-01T00:00:00.000Z\"}", &page),
	             ST_OK);
	cr_assert_eq(OPS.commit(b, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(a, mem, "hash2", now, &found), ST_NOT_FOUND);
	sign_in(a, "hash3", now + 60000);
	cr_assert_eq(count_all(a, &model_sessions), 2, "the revoked one is gone");
	cr_assert_eq(OPS.sessions_revoke_user(a, USER_ID, now), ST_OK);
	cr_assert_eq(OPS.commit(a, NULL, true), ST_OK);
	cr_assert_null(strstr(slurp(in_folder("users.json"), NULL), "hash1"));
	sign_in(a, "hash4", now - 1);
	cr_assert_eq(count_all(a, &model_sessions), 1);
}

Test(store_file, access_and_policies)
{
	void *s = open_store();
	int64_t now = clock_now_ms();
	json_object *found, *user, *stored;
	struct query q;
	struct page page;

	sign_in(s, "hash", now + 60000);
	cr_assert_eq(OPS.access_write(s, mem, USER_ID, from_json("[\"viewer\",\"viewer\"]"), from_json("[]"),
	                              from_json("[{\"id\":\"av\",\"name\":\"av\"},{\"id\":\"g2\",\"name\":\"g2\"}]")),
	             ST_OK);
	cr_assert_eq(OPS.access_write(s, mem, "nobody", from_json("[]"), from_json("[]"), from_json("[]")),
	             ST_NOT_FOUND);
	cr_assert_eq(
	    OPS.policies_replace(s, mem,
	                         from_json("[{\"effect\":\"deny\",\"subjectType\":\"group\",\"subjectId\":\"g2\","
	                                   "\"resourceType\":\"node\",\"resourceId\":\"n1\"},"
	                                   "{\"effect\":\"allow\",\"subjectType\":\"user\",\"subjectId\":\"x\","
	                                   "\"resourceType\":\"*\",\"resourceId\":\"*\"}]"),
	                         USER_ID),
	    ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.session_find(s, mem, "hash", now, &found), ST_OK);
	cr_assert(json_flag(found, "roleRows", false));
	cr_assert(json_flag(found, "policiesStored", false));
	cr_assert_str_eq(json_compact(mem, json_get(found, "policies"), NULL),
	                 "[{\"effect\":\"deny\",\"resourceType\":\"node\",\"resourceId\":\"n1\"}]");
	cr_assert_str_eq(json_compact(mem, json_get(json_get(found, "user"), "roles"), NULL), "[\"viewer\"]");
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_access_policies, &q, &page), ST_OK);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "effect"), "deny");
	cr_assert_eq(OPS.policies_replace(s, mem, from_json("[]"), NULL), ST_OK);
	user =
	    from_json("{\"email\":\"ann@example.org\",\"name\":\"Other\",\"provider\":\"local\",\"passwordHash\":\"p\","
	              "\"roles\":[\"admin\"],\"groups\":[],\"resourceGrants\":[]}");
	cr_assert_eq(OPS.user_create(s, mem, user, NULL), ST_CONFLICT);
	json_set_str(user, "email", "bob@example.org");
	cr_assert_eq(OPS.user_create(s, mem, user, &stored), ST_OK);
	cr_assert_eq(strlen(json_str(stored, "id")), 36);
	cr_assert_str_eq(json_str(stored, "passwordHash"), "p");
	query_init(&q);
	query_where(&q, "id", Q_EQ, USER_ID);
	cr_assert_eq(OPS.remove(s, mem, &model_users, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(count_all(s, &model_sessions), 0, "removed with the user");
}

static json_object *enroll_node(void *s, const char *id, const char *hash)
{
	json_object *node =
	    from_json("{\"agentVersion\":\"1\",\"alias\":\"A\",\"hostname\":\"h\",\"interfaces\":[{\"alias\":\"I\","
	              "\"backend\":\"alsa\",\"channelCount\":2,\"channels\":[],\"id\":\"if1\",\"sampleRates\":[],"
	              "\"systemName\":\"sys\"}],\"ipAddresses\":[],\"location\":{\"room\":\"R\",\"site\":\"S\"},"
	              "\"status\":\"offline\",\"tags\":[]}");
	json_object *credential = json_new_object(mem), *stored;

	json_set_str(node, "id", id);
	json_set_str(credential, "nodeId", id);
	json_set_str(credential, "tokenHash", hash);
	json_set_str(credential, "tokenPrefix", "rakkr_node_AAAA");
	cr_assert_eq(OPS.node_enroll(s, mem, node, credential, &stored), ST_OK);
	return stored;
}

Test(store_file, nodes_and_credentials)
{
	void *s = open_store();
	json_object *node = enroll_node(s, "n1", "h1"), *before, *after, *found;
	struct targets t = {0};
	struct query q;
	struct page page;

	cr_assert_eq(json_object_array_length(
	                 json_array(json_object_array_get_idx(json_array(node, "interfaces"), 0), "channels")),
	             2);
	cr_assert_not_null(json_str(node, "lastSeenAt"));
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h1", 0, &found), ST_OK);
	cr_assert_str_eq(json_str(found, "nodeId"), "n1");
	cr_assert_eq(OPS.node_heartbeat(s, mem, "n1",
	                                from_json("{\"agentVersion\":\"2\",\"hostname\":\"h2\",\"ipAddresses\":"
	                                          "[\"10.0.0.1\"],\"status\":\"online\",\"alias\":\"no\"}"),
	                                1750000000000, &before, &after),
	             ST_OK);
	cr_assert_str_eq(json_str(before, "status"), "offline");
	cr_assert_str_eq(json_str(after, "status"), "online");
	cr_assert_str_eq(json_str(after, "alias"), "A");
	cr_assert_str_eq(json_str(after, "lastSeenAt"), "2025-06-15T15:06:40.000Z");
	cr_assert_eq(OPS.node_heartbeat(s, mem, "nx", from_json("{}"), 0, &before, &after), ST_NOT_FOUND);
	cr_assert_eq(
	    OPS.interface_update(s, mem, "n1", "if1",
	                         from_json("{\"alias\":\"Box\",\"serialNumber\":null,\"channels\":[{\"index\":2,"
	                                   "\"alias\":\"Right\"},{\"index\":9,\"alias\":\"No\"}]}"),
	                         0, &after),
	    ST_OK);
	node = json_object_array_get_idx(json_array(after, "interfaces"), 0);
	cr_assert_str_eq(json_str(node, "alias"), "Box");
	cr_assert_str_eq(json_compact(mem, json_array(node, "channels"), NULL),
	                 "[{\"alias\":\"Channel 1\",\"index\":1},{\"alias\":\"Right\",\"index\":2}]");
	cr_assert_eq(OPS.interface_update(s, mem, "n1", "if9", from_json("{}"), 0, &after), ST_NOT_FOUND);
	cr_assert_eq(OPS.expand(s, mem, "channel", "if1:2", &t), ST_OK);
	cr_assert_eq(t.count, 6, "channel, interface, node, site, room, site/room");
	cr_assert_eq(OPS.credential_rotate(s, mem, "n1",
	                                   from_json("{\"nodeId\":\"n1\",\"tokenHash\":\"h2\",\"tokenPrefix\":\"p\"}"),
	                                   1750000000000),
	             ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h1", 0, &found), ST_NOT_FOUND);
	cr_assert_eq(OPS.credential_find(s, mem, "h2", 0, &found), ST_OK);
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_nodes, &q, &page), ST_OK);
	check_ids(&page, "n1 node_x32_test");
	query_where(&q, "id", Q_EQ, "n1");
	cr_assert_eq(OPS.remove(s, mem, &model_nodes, &q, &page), ST_OK);
	cr_assert_eq(OPS.credential_find(s, mem, "h2", 0, &found), ST_NOT_FOUND);
}

Test(store_file, health_follows_the_unresolved_events)
{
	void *s = open_store();
	json_object *doc, *event;
	struct page page;

	OPS.insert(s, mem, &model_recordings, recording("r"), NULL);
	cr_assert_eq(OPS.health_sync(s, mem, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "healthy");
	cr_assert_eq(
	    OPS.insert(s, mem, &model_health_events,
	               from_json("{\"type\":\"t\",\"severity\":\"critical\",\"recordingId\":\"r\",\"status\":\"open\","
	                         "\"openedAt\":\"2026-01-01T00:00:00Z\"}"),
	               &event),
	    ST_OK);
	cr_assert(json_has(event, "resolvedAt"));
	cr_assert_eq(OPS.health_sync(s, mem, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "critical");
	cr_assert_eq(update_one(s, &model_health_events, json_str(event, "id"),
	                        "{\"status\":\"resolved\",\"resolvedAt\":\"2026-01-01T00:00:01.000Z\"}", &page),
	             ST_OK);
	cr_assert_eq(OPS.health_sync(s, mem, "r", NULL), ST_OK);
	cr_assert_eq(OPS.get(s, mem, &model_recordings, "r", &doc), ST_OK);
	cr_assert_str_eq(json_str(doc, "healthStatus"), "healthy");
	cr_assert_eq(OPS.health_sync(s, mem, "gone", NULL), ST_NOT_FOUND);
}

/* ---- several processes -------------------------------------------------------------------------- */

static void wait_all(int children)
{
	for (int i = 0; i < children; i++) {
		int code;

		wait(&code);
		cr_assert(WIFEXITED(code) && WEXITSTATUS(code) == 0, "a process failed");
	}
}

Test(store_file, four_processes_create_two_hundred)
{
	spill(in_folder("schedules.json"), "{\"schedules\":[]}");
	for (int p = 0; p < 4; p++)
		if (fork() == 0) {
			void *s = open_store();

			for (int i = 0; i < 50; i++) {
				char *id = mem_printf(mem, "s%d_%d", p, i);

				if (OPS.insert(s, mem, &model_schedules, schedule(id, id), NULL) != ST_OK ||
				    OPS.commit(s, NULL, true) != ST_OK)
					_exit(1);
			}
			_exit(0);
		}
	wait_all(4);
	cr_assert_eq(count_all(open_store(), &model_schedules), 200);
}

Test(store_file, one_of_fifty_claims_wins)
{
	void *s = open_store();
	int won = 0;

	OPS.insert(s, mem, &model_jobs, job("j", "r"), NULL);
	OPS.commit(s, NULL, true);
	for (int p = 0; p < 50; p++)
		if (fork() == 0) {
			void *mine = open_store();
			struct query q;
			struct page page;

			query_init(&q);
			query_where(&q, "status", Q_EQ, "queued");
			q.limit = 1;
			if (OPS.update(mine, mem, &model_jobs, &q, from_json("{\"status\":\"running\"}"), &page,
			               NULL) != ST_OK ||
			    OPS.commit(mine, NULL, true) != ST_OK)
				_exit(2);
			_exit(page.count == 1);
		}
	for (int p = 0; p < 50; p++) {
		int code;

		wait(&code);
		cr_assert(WIFEXITED(code) && WEXITSTATUS(code) < 2);
		won += WEXITSTATUS(code);
	}
	cr_assert_eq(won, 1);
}

/* A writer of two files that belong together: recording and job with one number, one more in each commit. */
static void write_pairs(int acknowledge)
{
	void *s = open_store();

	for (int i = (int)count_all(s, &model_jobs);; i++) {
		char *id = mem_printf(mem, "x%06d", i);

		if (OPS.insert(s, mem, &model_recordings, recording(id), NULL) != ST_OK ||
		    OPS.insert(s, mem, &model_jobs, job(id, id), NULL) != ST_OK || OPS.commit(s, NULL, true) != ST_OK)
			_exit(1);
		if (write(acknowledge, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static bool is_left_over(const char *name)
{
	return strstr(name, ".tmp") != NULL;
}

Test(store_file, kill_9_loses_no_acknowledged_commit)
{
	int last = -1;

	spill(in_folder("recordings-metadata.json"), "{\"recordings\":[]}");
	for (int round = 0; round < 60; round++) {
		int fds[2], seen;
		pid_t child;
		void *s;
		DIR *dir;

		cr_assert_eq(pipe(fds), 0);
		child = fork();
		if (child == 0)
			write_pairs(fds[1]);
		close(fds[1]);
		if (read(fds[0], &seen, sizeof(seen)) == sizeof(seen)) /* it is under way */
			last = seen;
		usleep((useconds_t)(rand() % 8000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(fds[0], &seen, sizeof(seen)) == sizeof(seen))
			last = seen;
		close(fds[0]);
		s = open_store(); /* finishes what was cut off */
		cr_assert_eq(count_all(s, &model_recordings), count_all(s, &model_jobs), "round %d", round);
		cr_assert_geq((int)count_all(s, &model_jobs), last + 1, "round %d", round);
		dir = opendir(folder);
		for (struct dirent *d; (d = readdir(dir)) != NULL;)
			cr_assert_not(is_left_over(d->d_name), "%s", d->d_name);
		closedir(dir);
		talloc_free(s);
	}
	cr_assert_geq(last, 59, "the writers came to nothing: %d", last);
}

/* A commit that stands: the journal as a writer leaves it that dies behind it. */
static void spill_journal(const char *renames, const char *audit, long long offset)
{
	json_object *o = json_new_object(mem);
	char hex[SHA256_HEX_SIZE];
	size_t n;
	char *text;

	json_object_object_add(o, "renames", json_object_get(from_json(renames)));
	json_set_str(o, "audit", audit);
	json_set_int(o, "auditOffset", offset);
	text = json_compact(mem, o, &n);
	crypto_sha256_hex(hex, text, n);
	spill(in_folder(".commit"), mem_printf(mem, "%s\n%s", hex, text));
}

static long long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long long)st.st_size : -1;
}

Test(store_file, a_journal_is_finished_by_the_next_writer)
{
	static const char line[] = "{\"action\":\"x.done\",\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":"
	                           "\"01890000-0000-7000-8000-000000000001\"}\n";
	void *s = open_store();
	char *jobs, *recordings, *log = in_folder("audit-events.jsonl");
	int64_t moved = 1;

	OPS.insert(s, mem, &model_recordings, recording("r"), NULL);
	OPS.insert(s, mem, &model_jobs, job("j", "r"), NULL);
	OPS.commit(s, NULL, true);
	jobs = in_folder("recording-jobs.json.0123456789abcdef.tmp");
	recordings = in_folder("recordings-metadata.json.0123456789abcdef.tmp");
	/* died after the first rename: the file of recordings is in place, that of jobs is not, nor is the event */
	spill(jobs, "{\"jobs\":[]}");
	spill(in_folder("evil"), "x");
	spill_journal(mem_printf(mem,
	                         "[{\"tmp\":\"%s\",\"final\":\"%s\"},{\"tmp\":\"%s\",\"final\":\"%s\"},"
	                         "{\"tmp\":\"%s\",\"final\":\"%s/other\"}]",
	                         recordings, in_folder("recordings-metadata.json"), jobs,
	                         in_folder("recording-jobs.json"), in_folder("evil"), folder),
	              line, 0);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("s", "S"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
	cr_assert_eq(count_all(s, &model_jobs), 0);
	cr_assert_eq(count_all(s, &model_recordings), 2);
	cr_assert_str_eq(slurp(log, NULL), line);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_eq(access(in_folder("other"), F_OK), -1, "only our own files are renamed");
	/* the runner's tick does it as well; an event that is in the log is not put there twice */
	spill_journal("[]", line, 0);
	cr_assert_eq(OPS.audit_maintain(s, &moved), ST_OK);
	cr_assert_eq(moved, 0);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_str_eq(slurp(log, NULL), line);
	/* torn: it never stood */
	spill(jobs, "{\"jobs\":[]}");
	spill(in_folder(".commit"), "0123[{");
	cr_assert_eq(OPS.lock(s, "x"), ST_OK);
	cr_assert_leq(size_of(in_folder(".commit")), 0);
	cr_assert_eq(access(jobs, F_OK), 0);
	OPS.rollback(s);
	talloc_free(s);
	s = open_store();
	cr_assert_eq(access(jobs, F_OK), -1, "left over, and removed at the next start");
}

Test(store_file, the_lock_is_waited_for_only_so_long, .timeout = 30)
{
	void *a = open_store(), *b = open_store();
	int64_t from;

	cr_assert_eq(OPS.lock(a, "x"), ST_OK);
	from = clock_mono_ms();
	cr_assert_eq(OPS.insert(b, mem, &model_schedules, schedule("s", "S"), NULL), ST_UNAVAILABLE);
	cr_assert(clock_mono_ms() - from >= 4900 && clock_mono_ms() - from < 7000);
	OPS.rollback(a);
	cr_assert_eq(OPS.insert(b, mem, &model_schedules, schedule("s", "S"), NULL), ST_OK);
	OPS.rollback(b);
	cr_assert(OPS.runner_lock(a));
	cr_assert(OPS.runner_lock(a));
	cr_assert_not(OPS.runner_lock(b));
	talloc_free(a);
	cr_assert(OPS.runner_lock(b));
}

/* ---- no room ------------------------------------------------------------------------------------ */

Test(store_file, a_full_disk_changes_nothing)
{
	struct rlimit limit = {.rlim_cur = 3000, .rlim_max = RLIM_INFINITY}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	void *s = open_store();
	char *before;
	size_t n = 0;
	status st = ST_OK;
	json_object *doc;
	DIR *dir;

	signal(SIGXFSZ, SIG_IGN);
	OPS.insert(s, mem, &model_schedules, schedule("s", "S"), NULL);
	OPS.commit(s, NULL, true);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (n = 0; st == ST_OK && n < 100; n++) {
		char *id = mem_printf(mem, "s%zu", n);

		before = slurp(in_folder("schedules.json"), NULL);
		OPS.insert(s, mem, &model_schedules, schedule(id, id), NULL);
		OPS.insert(s, mem, &model_jobs, job(id, id), NULL);
		st = OPS.commit(s, NULL, true);
	}
	cr_assert_eq(st, ST_NO_SPACE);
	cr_assert_str_eq(slurp(in_folder("schedules.json"), NULL), before);
	cr_assert_eq(OPS.get(s, mem, &model_schedules, mem_printf(mem, "s%zu", n - 1), &doc), ST_NOT_FOUND);
	dir = opendir(folder);
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		cr_assert_not(is_left_over(d->d_name), "%s", d->d_name);
	closedir(dir);
	setrlimit(RLIMIT_FSIZE, &unlimited);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("last", "L"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, NULL, true), ST_OK);
}

/* ---- audit -------------------------------------------------------------------------------------- */

static json_object *event(int i, const char *action, const char *actor)
{
	json_object *o = from_json(
	    "{\"action\":\"\",\"actor\":{\"id\":\"\",\"name\":\"Ann\",\"roles\":[\"owner\"],\"type\":\"user\"},"
	    "\"actorContext\":{},\"createdAt\":\"\",\"details\":{\"method\":\"GET\"},\"id\":\"\","
	    "\"outcome\":\"succeeded\",\"target\":{\"type\":\"controller\"}}");
	char id[UUID_SIZE];

	uuid_v7(id, 1750000000000 + i * 1000);
	json_set_str(o, "id", id);
	json_set_str(o, "action", action);
	json_set_str(json_get(o, "actor"), "id", actor);
	json_set_iso(o, "createdAt", 1750000000000 + i * 1000);
	return o;
}

static void append(void *s, json_object *e, bool durable)
{
	json_object *events = json_new_array(mem);

	json_push_ref(events, e);
	cr_assert_eq(OPS.commit(s, events, durable), ST_OK);
}

Test(store_file, audit_events_are_appended_and_listed)
{
	void *s = open_store(), *other = open_store();
	struct query q;
	struct page page;
	json_object *doc, *counts, *last = NULL;
	int64_t moved;

	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 0);
	for (int i = 0; i < 1500; i++)
		append(i % 2 == 0 ? s : other, last = event(i, i % 3 == 0 ? "nodes.read" : "jobs.read", "u1"),
		       i % 500 == 0);
	cr_assert_eq(OPS.audit_maintain(s, &moved), ST_OK);
	q.limit = 2;
	q.want_total = true;
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 2);
	cr_assert_eq(page.total, 1500, "no cap at 500");
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 0), "id"), json_str(last, "id"));
	query_where(&q, "action", Q_CONTAINS, "NODES");
	query_where(&q, "createdAt", Q_LE, "2025-06-15T15:07:00.000Z");
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.total, 7);
	query_init(&q);
	query_where(&q, "createdAt", Q_GE, "2025-06-15T15:31:30.000Z");
	cr_assert_eq(OPS.count_by(s, mem, &model_audit_events, &q, "action", &counts), ST_OK);
	cr_assert_str_eq(json_compact(mem, counts, NULL),
	                 "[{\"value\":\"jobs.read\",\"count\":7},{\"value\":\"nodes.read\",\"count\":3}]");
	cr_assert_eq(OPS.get(other, mem, &model_audit_events, json_str(last, "id"), &doc), ST_OK);
	cr_assert_eq(OPS.get(other, mem, &model_audit_events, USER_ID, &doc), ST_NOT_FOUND);
	cr_assert(json_has(doc, "correlationIds") || doc == NULL);
}

Test(store_file, a_torn_audit_line_is_skipped_and_long_texts_are_cut)
{
	void *s = open_store();
	json_object *e = event(1, "a", "u");
	struct query q;
	struct page page;
	char wide[400];
	FILE *f;

	memset(wide, 'w', sizeof(wide));
	wide[399] = '\0';
	append(s, event(0, "first", "u"), true);
	f = fopen(in_folder("audit-events.jsonl"), "ae");
	fputs("{\"action\":\"torn\",\"id\":\"", f);
	fclose(f);
	query_init(&q);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 1);
	json_set_str(json_get(e, "target"), "id", wide);
	append(s, e, true);
	append(s, event(2, "third", "u"), true);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 3);
	e = json_object_array_get_idx(page.docs, 1);
	cr_assert_eq(strlen(json_str(json_get(e, "target"), "id")), 160);
	/* lines longer than a block of the reader */
	e = event(3, "big", "u");
	json_set_str(json_get(e, "details"), "text", mem_printf(mem, "%0200000d", 7));
	append(s, e, true);
	append(s, event(4, "after", "u"), true);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 5);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "action"), "big");
	/* rotated away: the next event starts a new log */
	rename(in_folder("audit-events.jsonl"), in_folder("audit-events.jsonl.1"));
	append(s, event(5, "new", "u"), false);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 1);
}

Test(store_file, audit_events_survive_a_full_disk)
{
	struct rlimit limit = {.rlim_cur = 700, .rlim_max = RLIM_INFINITY}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	void *s = open_store();
	struct query q;
	struct page page;
	int failed = 0;
	size_t n;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 5; i++)
		failed += OPS.commit(s, list_of(mem, event(i, "x", "u")), true) == ST_NO_SPACE;
	cr_assert_geq(failed, 2, "what is not on disk is not acknowledged");
	slurp(in_folder("audit-events.jsonl"), &n);
	setrlimit(RLIMIT_FSIZE, &unlimited);
	cr_assert_lt(n, 701);
	cr_assert_eq(slurp(in_folder("audit-events.jsonl"), NULL)[n - 1], '\n', "no torn line");
	append(s, event(9, "x", "u"), true);
	query_init(&q);
	OPS.list(s, mem, &model_audit_events, &q, &page);
	cr_assert_eq(page.count, 6);
}

Test(store_file, no_write_is_left_without_its_event)
{
	char *log = in_folder("audit-events.jsonl");
	void *s = open_store();
	struct query q;
	struct page page;

	cr_assert_eq(mkdir(log, 0700), 0);
	/* The journal, which has the event, is on disk: acknowledged. */
	OPS.insert(s, mem, &model_schedules, schedule("one", "One"), NULL);
	cr_assert_eq(OPS.commit(s, list_of(mem, event(1, "one", "u")), true), ST_OK);
	/* There is room for one such commit; until it is carried out, no other. */
	cr_assert_neq(OPS.insert(s, mem, &model_schedules, schedule("two", "Two"), NULL), ST_OK);
	OPS.rollback(s);
	cr_assert_neq(OPS.commit(s, list_of(mem, event(2, "read", "u")), true), ST_OK);
	cr_assert_eq(rmdir(log), 0);
	cr_assert_eq(OPS.insert(s, mem, &model_schedules, schedule("three", "Three"), NULL), ST_OK);
	cr_assert_eq(OPS.commit(s, list_of(mem, event(3, "three", "u")), true), ST_OK);
	query_init(&q);
	query_where(&q, "action", Q_EQ, "one");
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 1);
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 3);
}

Test(store_file, old_audit_events_are_removed)
{
	void *s = open_store(), *other = open_store();
	struct query q;
	struct page page;
	int64_t removed;

	for (int i = 0; i < 100; i++)
		append(i % 2 ? s : other, event(i, "x", "u"), false);
	cr_assert_eq(
	    OPS.audit_prune(s, 1750000000000 + 60 * 1000, 10, list_of(mem, event(100, "pruned", "u")), &removed),
	    ST_OK);
	cr_assert_eq(removed, 60);
	append(other, event(101, "x", "u"), true); /* that one has the old log open */
	query_init(&q);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 42);
	cr_assert_str_eq(json_str(json_object_array_get_idx(page.docs, 1), "action"), "pruned");
	cr_assert_eq(
	    OPS.audit_prune(s, 1750000000000 + 60 * 1000, 10, list_of(mem, event(102, "pruned", "u")), &removed),
	    ST_OK);
	cr_assert_eq(removed, 0);
	cr_assert_eq(OPS.list(s, mem, &model_audit_events, &q, &page), ST_OK);
	cr_assert_eq(page.count, 42, "nothing removed, no event");
}

/* ---- configuration and speed -------------------------------------------------------------------- */

Test(store_file, two_stores_in_one_file_are_refused)
{
	const char *error = NULL;

	config_set(config, CFG_JOBS_PATH, in_folder("schedules.json"));
	cr_assert_null(file_open(mem, config, &error));
	cr_assert_not_null(strstr(error, "schedules.json"), "%s", error);
}

/*
 * What an authenticated read costs in one process: session, document, audit line. Well over 20000 a second when quiet.
 */
Test(store_file, an_authenticated_read_is_cheap)
{
	void *s = open_store();
	int64_t now = clock_now_ms(), from;
	json_object *e = event(0, "recordings.read", USER_ID);
	int n = 20000;

	sign_in(s, "hash", now + 600000);
	OPS.insert(s, mem, &model_recordings, recording("r"), NULL);
	OPS.commit(s, NULL, true);
	from = clock_mono_ms();
	for (int i = 0; i < n; i++) {
		void *arena = talloc_new(mem);
		json_object *session, *doc, *events = json_new_array(arena);

		json_push_ref(events, e);
		cr_assert(OPS.session_find(s, arena, "hash", now, &session) == ST_OK &&
		          OPS.get(s, arena, &model_recordings, "r", &doc) == ST_OK &&
		          OPS.commit(s, events, false) == ST_OK);
		talloc_free(arena);
	}
	from = clock_mono_ms() - from;
	fprintf(stderr, "session + document + audit line: %lld a second\n",
	        (long long)n * 1000 / (long long)(from + 1));
	cr_assert_lt(from, 20000, "%lld ms", (long long)from);
}
