/* The flat-file store: layouts, unknown and broken content, configuration. */
#include "unit/store_file.h"

#include <sys/stat.h>

TestSuite(store_file, .init = setup, .fini = teardown, .timeout = 120);

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

/* ---- layout ------------------------------------------------------------------------------------- */

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

/* ---- configuration -------------------------------------------------------------------- */

Test(store_file, two_stores_in_one_file_are_refused)
{
	const char *error = NULL;

	config_set(config, CFG_JOBS_PATH, in_folder("schedules.json"));
	cr_assert_null(file_open(mem, config, &error));
	cr_assert_not_null(strstr(error, "schedules.json"), "%s", error);
}
