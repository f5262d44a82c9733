/*
 * A flat-file installation with generated documents in every store, moved into Postgres and back: nothing is lost in
 * either direction, an interrupted run goes on, and what cannot be kept is said. Needs RAKKR_TEST_DATABASE_URL.
 */
#include "unit/store_pg_server.h"

#include "base/buf.h"
#include "base/text.h"
#include "store/file/installation.h"
#include "store/transfer.h"

#include <sys/stat.h>

#define EACH 37 /* documents a store */

static unsigned seed = 20260620;
static void *mem;
static char files[80], back[80];
static const char *users[EACH], *nodes[EACH];

/* ---- generated documents ----------------------------------------------------------------------------------------- */

static unsigned any(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static const char *some_text(int max)
{
	static const char *const words[] = {"Chapel", "Ärger \"quoted\"", "line\nbreak", "back\\slash", "=1+1",
	                                    "日本語", "tab\there",        "😀",           "' or 1=1 --"};
	const char *text = mem_printf(mem, "%s %u", words[any(9)], any(1000));
	struct buf b;

	if (max > 0 && any(5) == 0) { /* as wide as it may be: characters of one, two, three and four bytes */
		static const char *const wide[] = {"x", "é", "語", "😀"};

		buf_init(&b, mem);
		for (int i = 0; i < max; i++)
			buf_puts(&b, wide[any(4)]);
		return b.data;
	}
	return max > 0 && max < 40 ? mem_printf(mem, "w%u", any(100000)) : text;
}

static const char *some_time(void)
{
	return clock_iso_dup(mem, 1750000000000 + (int64_t)any(1000000) * 1000 + any(1000));
}

static json_object *some_object(void)
{
	return parse(mem,
	             mem_printf(mem, "{\"n\":%u,\"deep\":[{\"a\":null,\"b\":[1.5,true,\"x\"]}],\"text\":%s}", any(100),
	                        json_compact(mem, json_own(mem, json_object_new_string(some_text(0))), NULL)));
}

/* Values of members that have a form of their own. */
static json_object *formed(const struct model *m, const char *name, int i)
{
	static const struct {
		const char *name, *text;
	} forms[] = {
	    {"command",
	     "{\"captureBackend\":\"alsa\",\"captureChannels\":2,\"captureDevice\":\"hw:1\",\"captureFormat\":\"S16_"
	     "LE\","
	     "\"captureSampleRate\":48000,\"channelMap\":{\"assignmentId\":\"a\",\"channelMode\":\"mono\",\"entries\":"
	     "[{\"included\":true,\"label\":\"L\",\"outputChannelIndex\":1,\"sourceChannelIndex\":2}],"
	     "\"sourceChannels\":2,"
	     "\"targetId\":\"t\",\"targetType\":\"node\",\"templateId\":\"x\",\"templateName\":\"X\"},"
	     "\"durationSeconds\":60,\"outputFileName\":\"x.wav\",\"recorderCacheRetention\":{\"deleteAfterUpload\":"
	     "true,"
	     "\"maxAgeDays\":3,\"maxBytes\":5000000000,\"minFreeDiskPercent\":0,\"policyId\":\"p\"},"
	     "\"type\":\"alsa_capture\"}"},
	    {"recurrence", "{\"daysOfWeek\":[\"monday\",\"sunday\"],\"endTime\":\"11:00\",\"interval\":2,"
	                   "\"mode\":\"weekly\",\"startTime\":\"09:00\"}"},
	    {"location", "{\"building\":\"North\",\"room\":\"Hall\",\"site\":\"HQ\"}"},
	    {"audioDefaults", "{\"captureBackend\":\"jack\",\"captureChannels\":4}"},
	    {"recordingCapacity", "{\"maxConcurrentRecordings\":4}"},
	    {"runtime", "{\"architecture\":\"x86_64\",\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":12}"},
	    {"entries", "[{\"included\":true,\"label\":\"L\",\"outputChannelIndex\":1,\"sourceChannelIndex\":2}]"},
	    {"history", "[{\"changedAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"e\",\"nextTemplateId\":\"x\","
	                "\"reason\":\"assigned\"}]"},
	    {"targets", "[{\"targetId\":\"n\",\"targetType\":\"node\"}]"},
	    {"waveformPreview", "{\"channelCount\":2,\"generatedAt\":\"2026-07-01T09:00:00.000Z\",\"peaks\":[0.1,0.42],"
	                        "\"sampleCount\":96000,\"sampleRate\":48000,\"source\":\"wav_s16le_peak\"}"},
	    {"correlationIds", "{\"recordingId\":\"rec_1\"}"},
	    {"roles", "[\"operator\",\"viewer\"]"},
	    {"actor.roles", "[\"owner\"]"},
	    {"groups", "[{\"id\":\"ops\",\"name\":\"Operators\"}]"},
	    {"resourceGrants", "[{\"resourceId\":\"n1\",\"resourceType\":\"node\"},{\"resourceId\":\"*\","
	                       "\"resourceType\":\"room\"}]"},
	};

	(void)m;
	if (strcmp(name, "interfaces") == 0)
		return json_get(a_node(mem, "x"), "interfaces");
	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++)
		if (strcmp(forms[k].name, name) == 0)
			return parse(mem, forms[k].text);
	(void)i;
	return NULL;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static json_object *string(const char *s)
{
	return json_object_new_string(s);
}

static json_object *value_for(const struct model *m, const struct model_field *f, int i)
{
	char uuid[UUID_SIZE];
	json_object *o = formed(m, f->name, i);
	size_t n = 0;

	if (o != NULL)
		return json_object_get(o);
	uuid_v4(uuid);
	if (strcmp(f->name, m->id) == 0)
		return m == &model_upload_providers
		           ? string(f->values[i % 3])
		           : string(f->type == M_UUID ? uuid : mem_printf(mem, "%s_%d_%s", m->name, i, uuid));
	if (m == &model_external_identities && strcmp(f->name, "userId") == 0)
		return string(users[i]);
	if (ends_with(f->name, "serId") && m != &model_channel_map_plans)
		return string(users[any(EACH)]);
	if (strcmp(f->name, "nodeId") == 0)
		return string(nodes[m == &model_credentials ? i : (int)any(EACH)]);
	if (strcmp(f->name, "email") == 0)
		return string(mem_printf(mem, "user%d@example.org", i));
	if (ends_with(f->name, "Hash"))
		return string(mem_printf(mem, "hash-%s", uuid));
	if (strcmp(f->name, "permission") == 0)
		return string("node:read");
	switch (f->type) {
	case M_ENUM:
		while (f->values[n] != NULL)
			n++;
		return string(f->values[any((unsigned)n)]);
	case M_INT:
		return json_object_new_int64(1 + any(90));
	case M_BOOL:
		return json_object_new_boolean(any(2));
	case M_TIME:
		return string(some_time());
	case M_UUID:
		return string(uuid);
	case M_TEXTS:
		o = json_object_new_array();
		for (unsigned k = 0; k < any(3); k++)
			json_push_str(o, some_text(0));
		return o;
	case M_JSON:
		return m == &model_watchdog_policies ? NULL : json_object_get(some_object());
	default:
		return string(some_text(f->max));
	}
}

static json_object *document(const struct model *m, int i)
{
	json_object *doc = json_new_object(mem);

	for (size_t k = 0; k < m->count; k++) {
		const struct model_field *f = &m->fields[k];
		json_object *v;

		if (f->constant != NULL || ((f->flags & M_DERIVED) && (f->derive != NULL || (f->flags & M_HIDDEN))))
			continue;
		if (m != &model_schedules && m != &model_audit_events && (f->flags & M_REQUIRED) == 0 &&
		    strcmp(f->name, m->id) != 0 && any(4) == 0)
			continue;
		v = value_for(m, f, i);
		if (v != NULL)
			model_set(doc, f, v);
	}
	if (any(2) == 0) { /* members that no controller knows */
		json_set_ref(doc, "ownMember", some_object());
		json_set_null(doc, "leer");
		json_set_str(doc, "schlüssel", some_text(0));
	}
	if (m == &model_audit_events)
		json_set_str(json_object_at(doc, "actor"), "badge", some_text(0));
	return doc;
}

static json_object *without_id(json_object *doc)
{
	json_object_object_del(doc, "id");
	return doc;
}

static int number_of(const struct model *m)
{
	return m == &model_upload_providers ? 3 : EACH;
}

static void put(struct file_store *s, const struct model *m, json_object *doc)
{
	cr_assert_eq(backend_file.insert(s, mem, m, doc, NULL), ST_OK, "%s: %s", m->name, json_compact(mem, doc, NULL));
}

static void generate(struct file_store *s)
{
	json_object *events = json_new_array(mem), *group = parse(mem, "{\"id\":\"ops\",\"name\":\"Operators\","
	                                                               "\"description\":\"who operates\"}");

	for (int i = 0; i < EACH; i++) {
		char uuid[UUID_SIZE];

		uuid_v4(uuid);
		users[i] = mem_strdup(mem, uuid);
		nodes[i] = mem_printf(mem, "node_%s", uuid);
	}
	put(s, &model_access_groups, group);
	for (int k = 0; models[k] != NULL; k++) {
		const struct model *m = models[k];

		for (int i = 0; i < number_of(m) && m != &model_access_groups; i++) {
			json_object *doc = document(m, i);

			if (m == &model_users)
				json_set_str(doc, "id", users[i]);
			if (m == &model_nodes)
				json_set_str(doc, "id", nodes[i]);
			if (m == &model_upload_providers ||
			    m == &model_access_policies) /* in one moment, in this order */
				json_set_str(doc, "createdAt", "2031-01-01T00:00:00.000Z");
			if (m == &model_watchdog_policies) /* what a row lacks reads as the built-in value */
				json_merge(doc, without_id(model_builtin(mem, m, NULL)), false);
			if (m == &model_audit_events)
				json_set_iso(doc, "createdAt", 1750000000000 + i);
			if (m == &model_audit_events)
				json_push_ref(events, doc);
			else if (m == &model_upload_providers)
				backend_file.update(s, mem, m, &(struct query){.limit = -1},
				                    parse(mem, "{\"target\":\"x\"}"), NULL, NULL);
			else
				put(s, m, doc);
		}
	}
	cr_assert_eq(backend_file.commit(s, events, true), ST_OK);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static const char *error;

static struct file_store *open_files(const char *dir)
{
	struct file_store *s = installation_open(mem, dir, &error);

	cr_assert_not_null(s, "%s", error);
	return s;
}

static void put_prefix(json_object *doc)
{
	const char *id = json_str(doc, "id");

	if (text_is_uuid(id))
		json_set_str(doc, "id", mem_printf(mem, "assignment_%s", id));
}

/* Every document of a is in b with the same contents. */
static void expect_in(struct file_store *a, struct file_store *b, const struct model *m)
{
	struct page one, other;
	struct query q;
	int unknown = 0;

	query_init(&q);
	if (m != &model_access_policies &&
	    m != &model_audit_events) /* the others' order is not theirs, but the model's */
		query_sort(&q, m->id, false);
	cr_assert_eq(backend_file.list(a, mem, m, &q, &one), ST_OK);
	cr_assert_eq(backend_file.list(b, mem, m, &q, &other), ST_OK);
	cr_expect_eq(one.count, other.count, "%s: %zu and %zu", m->name, one.count, other.count);
	for (size_t i = 0; i < one.count && i < other.count; i++) {
		json_object *x = json_object_array_get_idx(one.docs, i);
		json_object *y = json_object_array_get_idx(other.docs, i);

		if (text_equal(json_str(x, "id"), "node_x32_test")) { /* an id that is no UUID has become one */
			char uuid[UUID_SIZE];

			transfer_uuid(uuid, "iface_x32_usb");
			json_set_str(json_object_array_get_idx(json_get(x, "interfaces"), 0), "id", uuid);
		}
		if (m == &model_channel_map_assignments) {
			put_prefix(x);
			put_prefix(y);
		}
		cr_expect(transfer_same(m, x, y) && text_equal(json_str(x, m->id), json_str(y, m->id)),
		          "%s, number %zu:\n%s\n%s", m->name, i, json_compact(mem, x, NULL),
		          json_compact(mem, y, NULL));
		unknown += model_unknown(mem, m, x) != NULL;
		cr_expect(json_same(model_unknown(mem, m, x), model_unknown(mem, m, y)),
		          "%s, unknown members of number %zu:\n%s\n%s", m->name, i, json_compact(mem, x, NULL),
		          json_compact(mem, y, NULL));
	}
	if (m != &model_upload_providers && m != &model_access_groups)
		cr_expect_gt(unknown, 0, "%s", m->name);
}

/* Every row of every table, exactly; of the role catalogue what is in schema was (an import completes it). */
static const char *exact_rows(const char *catalogue)
{
	sql("CREATE OR REPLACE FUNCTION pg_temp.exact(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN"
	    " EXECUTE format($q$ SELECT string_agg(to_jsonb(t)::text, chr(10) ORDER BY to_jsonb(t)::text)"
	    " FROM %s t $q$, t) INTO r; RETURN t || ':' || chr(10) || coalesce(r, ''); END $$");
	return sql_text(mem, mem_printf(mem,
	                                "SELECT string_agg(pg_temp.exact(CASE WHEN table_name ~ '^(roles|permissions|"
	                                "role_permissions)$' THEN format('(%s TABLE %%1$I)', table_name)"
	                                " ELSE table_name::text END), chr(10)"
	                                " ORDER BY table_name) FROM information_schema.tables"
	                                " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
	                                catalogue));
}

static void load_odd_rows(void)
{
	const char *root = getenv("srcdir");
	const char *path = mem_printf(mem, "%s/tests/fixtures/odd-rows.sql", root != NULL ? root : ".");
	FILE *f = fopen(path, "re");
	static char text[65536];
	size_t n;

	cr_assert_not_null(f, "%s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	cr_assert_lt(n, sizeof(text) - 1);
	text[n] = '\0';
	fclose(f);
	sql(text);
}

/* All rows as text, times to the millisecond, without what no document has. */
static const char *all_rows(void)
{
	sql("CREATE OR REPLACE FUNCTION pg_temp.rows(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN"
	    " EXECUTE format($q$ SELECT string_agg(x, chr(10) ORDER BY x) FROM (SELECT regexp_replace((to_jsonb(t) -"
	    " CASE %L WHEN 'audio_channels' THEN 'id' WHEN 'user_resource_grants' THEN 'created_at' ELSE '' END)::text,"
	    " '(\\.\\d{3})\\d*\\+', '\\1+', 'g') AS x FROM %I t) y $q$, t, t) INTO r;"
	    " RETURN t || ':' || chr(10) || coalesce(r, ''); END $$");
	return sql_text(mem,
	                "SELECT string_agg(pg_temp.rows(table_name), chr(10) ORDER BY table_name)"
	                " FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'");
}

static void expect_same_lines(const char *a, const char *b)
{
	for (int line = 1; *a != '\0' || *b != '\0'; line++) {
		size_t n = strcspn(a, "\n"), k = strcspn(b, "\n");

		cr_assert(n == k && memcmp(a, b, n) == 0, "line %d:\n%.*s\n%.*s", line, (int)n, a, (int)k, b);
		a += n + (a[n] == '\n');
		b += k + (b[k] == '\n');
	}
}

static void empty_database(void)
{
	sql("DO $$ DECLARE t text; BEGIN FOR t IN SELECT quote_ident(table_schema) || '.' || quote_ident(table_name)"
	    " FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' LOOP"
	    " EXECUTE 'TRUNCATE ' || t || ' CASCADE'; END LOOP; END $$");
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static struct store *store;

static void setup(void)
{
	mem = talloc_new(NULL);
	store = store_pg_open();
	empty_database();
	snprintf(files, sizeof(files), "%s/files", folder);
	snprintf(back, sizeof(back), "%s/back", folder);
	cr_assert_eq(mkdir(files, 0700), 0);
}

static void teardown(void)
{
	store_pg_close(store);
	talloc_free(mem);
}

TestSuite(import_export, .init = setup, .fini = teardown, .timeout = 120);

static struct transfer *moved(bool (*run)(struct transfer *t, const struct config *c, const char *dir), const char *dir,
                              bool expected)
{
	struct transfer *t = mem_new(mem, struct transfer);
	char *text = NULL;
	size_t n;
	bool good;

	t->out = open_memstream(&text, &n);
	good = run(t, conf, dir);
	transfer_write_table(t, t->out);
	fclose(t->out);
	cr_assert_eq(good, expected, "%s", text);
	free(text);
	return t;
}

static struct transfer_count *count_of_store(struct transfer *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->counts[i].store, name) == 0)
			return &t->counts[i];
	cr_assert_fail("no count of %s", name);
	return NULL;
}

Test(import_export, every_store_comes_back_as_it_was)
{
	struct file_store *s = open_files(files), *there;
	struct transfer *t;
	const char *rows;

	generate(s);
	talloc_free(s);
	t = moved(transfer_import, files, true);
	for (int i = 0; models[i] != NULL; i++) {
		const struct transfer_count *n = count_of_store(t, models[i]->name);

		cr_expect_geq(n->source,
		              number_of(models[i]) == 3           ? 3
		              : models[i] == &model_access_groups ? 1
		                                                  : EACH,
		              "%s", n->store);
	}
	rows = all_rows();
	t = moved(transfer_export, back, true);
	s = open_files(files);
	there = open_files(back);
	for (int i = 0; models[i] != NULL; i++)
		expect_in(s, there, models[i]);
	talloc_free(s);
	talloc_free(there);
	/* and into an empty database again */
	empty_database();
	moved(transfer_import, back, true);
	expect_same_lines(rows, all_rows());
}

/* Columns, tables, members and microseconds that no document of ours knows. */
Test(import_export, a_foreign_database_comes_back_as_it_was)
{
	const char *rows;

	load_odd_rows();
	sql("DROP SCHEMA IF EXISTS was CASCADE; CREATE SCHEMA was; CREATE TABLE was.roles AS TABLE roles;"
	    " CREATE TABLE was.permissions AS TABLE permissions;"
	    " CREATE TABLE was.role_permissions AS TABLE role_permissions");
	rows = exact_rows("SELECT * FROM was.%1$I INTERSECT");
	moved(transfer_export, back, true);
	moved(transfer_export, back, true); /* again, as after an interruption */
	empty_database();
	moved(transfer_import, back, true);
	expect_same_lines(rows, exact_rows("SELECT * FROM was.%1$I INTERSECT"));
	moved(transfer_import, back, true);
	expect_same_lines(rows, exact_rows("SELECT * FROM was.%1$I INTERSECT"));
	sql("DROP SCHEMA was CASCADE");
}

Test(import_export, an_interrupted_run_goes_on)
{
	struct file_store *s = open_files(files);
	struct transfer *t;

	generate(s);
	talloc_free(s);
	moved(transfer_import, files, true);
	sql("DELETE FROM recordings WHERE id IN (SELECT id FROM recordings ORDER BY id LIMIT 20)");
	sql("DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events ORDER BY id LIMIT 11)");
	t = moved(transfer_import, files, true);
	cr_expect_eq(count_of_store(t, "recordings")->added, 20);
	cr_expect_eq(count_of_store(t, "audit_events")->added, 11);
	cr_expect_eq(count_of_store(t, "users")->added, 0);
	moved(transfer_export, back, true);
	/* cut off: the last line is torn, events came since */
	cr_assert_eq(truncate(mem_printf(mem, "%s/audit-events.jsonl", back), 3000), 0);
	cr_assert_eq(unlink(mem_printf(mem, "%s/schedules.json", back)), 0);
	cr_assert_eq(store_commit(store, list_of(mem, an_event(mem, "later")), true), ST_OK);
	t = moved(transfer_export, back, true);
	cr_expect_eq(count_of_store(t, "audit_events")->target, EACH + 1);
	cr_expect_lt(count_of_store(t, "audit_events")->added, EACH + 1, "it went on behind what was there");
}

Test(import_export, what_differs_or_does_not_fit_is_said)
{
	struct file_store *s = open_files(files);
	struct transfer *t;

	put(s, &model_recordings, a_recording(mem, "rec_1", "n", "2031-01-01T00:00:00.000Z", ""));
	put(s, &model_sessions,
	    parse(mem, "{\"id\":\"7d0d7b9a-4d0b-4a2e-8b6c-5e0d9a0e2222\",\"tokenHash\":\"h\",\"userId\":"
	               "\"7d0d7b9a-4d0b-4a2e-8b6c-5e0d9a0e3333\",\"expiresAt\":\"2031-01-01T00:00:00.000Z\"}"));
	cr_assert_eq(backend_file.commit(s, NULL, true), ST_OK);
	talloc_free(s);
	t = moved(transfer_import, files, false);
	cr_expect_eq(count_of_store(t, "recordings")->target, 2, "with the demo recording of a new file");
	cr_expect_eq(count_of_store(t, "sessions")->refused, 1, "its user is nowhere");
	sql("UPDATE recordings SET name = 'changed since' WHERE id = 'rec_1'");
	t = moved(transfer_import, files, false);
	cr_expect_eq(count_of_store(t, "recordings")->different, 1);
	cr_expect_str_eq(sql_text(mem, "SELECT name FROM recordings WHERE id = 'rec_1'"), "changed since",
	                 "never overwritten");
}

Test(import_export, built_in_rows_give_way)
{
	struct file_store *s = open_files(files);
	struct query q;
	struct page page;

	query_init(&q);
	cr_assert_eq(backend_file.update(s, mem, &model_profiles, &q, parse(mem, "{\"bitrateKbps\":64}"), &page, NULL),
	             ST_OK);
	cr_assert_eq(backend_file.commit(s, NULL, true), ST_OK);
	talloc_free(s);
	cr_assert_eq(store_insert(store, mem, &model_profiles, model_builtin(mem, &model_profiles, NULL), NULL), ST_OK);
	commit_ok(store);
	moved(transfer_import, files, true);
	cr_expect_str_eq(sql_text(mem, "SELECT bitrate_kbps FROM recording_profiles"), "64");
}

Test(import_export, files_of_the_earlier_controller)
{
	const char *root = getenv("srcdir");

	cr_assert_eq(system(mem_printf(mem, "cp '%s'/tests/fixtures/existing-files/*.json '%s'",
	                               root != NULL ? root : ".", files)),
	             0);
	struct transfer *t = moved(transfer_import, files, true);
	cr_expect_gt(count_of_store(t, "recordings")->added, 0);
	cr_expect_gt(count_of_store(t, "schedules")->added, 0);
	moved(transfer_import, files, true);
	moved(transfer_export, back, true);
}

Test(import_export, folders_of_others_are_left_alone)
{
	struct file_store *s = open_files(files), *running;

	put(s, &model_recordings, a_recording(mem, "rec_1", "n", "2031-01-01T00:00:00.000Z", ""));
	cr_assert_eq(backend_file.commit(s, NULL, true), ST_OK);
	moved(transfer_export, files, false);
	/* a controller runs on them: somebody holds the runner lock */
	running = s;
	moved(transfer_import, files, false);
	talloc_free(running);
	moved(transfer_import, files, true);
	moved(transfer_import, folder, false);
}
