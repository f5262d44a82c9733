/* The model tables: permissions, dotted names, repair, acceptance, built-in documents. */
#include "base/mem.h"
#include "model/enums.h"
#include "model/model.h"
#include "model/permission.h"

#include <criterion/criterion.h>
#include <string.h>

#ifndef RAKKR_TEST_FIXTURES
#define RAKKR_TEST_FIXTURES "tests/fixtures"
#endif

static json_object *doc(const char *text)
{
	json_object *o = json_tokener_parse(text);
	cr_assert_not_null(o, "%s", text);
	return o;
}

/* Repairs `in` and compares the member `key` with the JSON text `want` (NULL: absent). */
static void expect_member(const struct model *m, const char *in, const char *key, const char *want)
{
	json_object *o = doc(in);
	m->repair(o);
	json_object *wanted = want == NULL ? NULL : json_tokener_parse(want);
	if (want == NULL)
		cr_expect_not(json_has(o, key), "%s: %s stays in %s", m->name, key, in);
	else
		cr_expect(json_has(o, key) && json_same(json_get(o, key), wanted), "%s: %s of %s is %s, expected %s",
		          m->name, key, in, json_object_to_json_string(json_get(o, key)), want);
	json_object_put(wanted);
	json_object_put(o);
}

struct member_case {
	const struct model *m;
	const char *in, *key, *want;
};

static int bits(uint32_t mask)
{
	return __builtin_popcount(mask);
}

Test(permissions, matrix)
{
	static const char matrix[PERM_COUNT][ROLE_COUNT + 1] = {
	    "xx..x", "xx...", "xxx..", "xxxxx", "xxx..", "xxxxx", "xxx..", "xx...", "xxxx.", "xxx..", "xxx..",
	    "xx...", "xxxx.", "xxx..", "xxxx.", "xxxxx", "xxx..", "xxxx.", "xx...", "xxxx.", "x....",
	};
	static const int counts[ROLE_COUNT] = {21, 20, 15, 8, 4};
	for (unsigned r = 0; r < ROLE_COUNT; r++) {
		cr_expect_eq(bits(role_permissions(r)), counts[r], "%s", role_name(r));
		for (unsigned p = 0; p < PERM_COUNT; p++)
			cr_expect_eq((role_permissions(r) >> p) & 1u, matrix[p][r] == 'x', "%s of %s",
			             permission_name(p), role_name(r));
	}
}

Test(permissions, names)
{
	for (unsigned p = 0; p < PERM_COUNT; p++) {
		cr_expect_eq(permission_parse(permission_name(p)), p);
		if (p > 0)
			cr_expect_lt(strcmp(permission_name(p - 1), permission_name(p)), 0, "canonical order");
	}
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		cr_expect_eq(role_parse(role_name(r)), r);
	cr_expect_eq(permission_parse("audit:write"), PERM_NONE);
	cr_expect_eq(permission_parse(NULL), PERM_NONE);
	cr_expect_eq(role_parse("Owner"), ROLE_COUNT);
	cr_expect_null(permission_name(PERM_NONE));
	cr_expect_eq(role_permissions(ROLE_COUNT), 0);
}

Test(fields, tables_are_sound)
{
	for (size_t i = 0; models[i] != NULL; i++) {
		const struct model *m = models[i];
		cr_expect_not_null(model_field_find(m, m->id), "%s has its id", m->name);
		for (size_t k = 0; k < 2; k++)
			if (m->order[k] != NULL)
				cr_expect_not_null(model_field_find(m, m->order[k] + (m->order[k][0] == '-')),
				                   "%s order", m->name);
		for (size_t k = 0; k < m->count; k++) {
			const struct model_field *f = &m->fields[k];
			cr_expect_eq(model_field_find(m, f->name), f, "%s.%s once", m->name, f->name);
			cr_expect_eq(f->type == M_ENUM, f->values != NULL, "%s.%s words", m->name, f->name);
			if (m->table != NULL)
				cr_expect_neq(f->column == NULL, (f->flags & M_DERIVED) == 0, "%s.%s column", m->name,
				              f->name);
		}
		cr_expect_not_null(m->accept, "%s", m->name);
		cr_expect(m->file_error != NULL || m->path == CFG_KEY_COUNT, "%s", m->name);
	}
}

Test(fields, dotted_names)
{
	const struct model_field *id = model_field_find(&model_audit_events, "actor.id");
	const struct model_field *name = model_field_find(&model_audit_events, "actor.name");
	json_object *o = json_object_new_object(), *value;
	cr_expect_null(model_value(o, id));
	model_set(o, id, json_object_new_string("u1"));
	model_set(o, name, NULL);
	cr_expect_str_eq(json_str(json_object_at(o, "actor"), "id"), "u1");
	cr_expect_str_eq(json_object_get_string(model_value(o, id)), "u1");
	cr_expect(model_has(o, name, &value) && value == NULL, "JSON null is there");
	model_unset(o, name);
	cr_expect_not(model_has(o, name, &value));
	model_unset(o, id);
	cr_expect_not(json_has(o, "actor"), "an empty object goes");
	json_object_put(o);
}

Test(fields, public_copy)
{
	void *mem = talloc_new(NULL);
	json_object *user = json_own(
	    mem, doc("{\"id\":\"u\",\"passwordHash\":\"secret\",\"createdAt\":\"t\",\"name\":\"Ann\",\"roles\":[]}"));
	json_object *copy = model_public(mem, &model_users, user);
	cr_expect_not(json_has(copy, "passwordHash"));
	cr_expect_not(json_has(copy, "createdAt"));
	cr_expect_str_eq(json_str(copy, "name"), "Ann");
	cr_expect(json_has(user, "passwordHash"), "the original stays");
	talloc_free(mem);
}

Test(repair, recordings)
{
	static const struct member_case cases[] = {
	    {&model_recordings, "{\"status\":\"completed\",\"cachePath\":\"a/b.mp3\"}", "cached", "true"},
	    {&model_recordings, "{\"status\":\"cached\",\"cached\":false}", "cached", "true"},
	    {&model_recordings, "{\"status\":\"uploaded\",\"cached\":true}", "cached", "false"},
	    {&model_recordings, "{\"status\":\"uploaded\",\"cachePath\":\"x\"}", "cached", "true"},
	    {&model_recordings, "{\"status\":\"completed\",\"cached\":true}", "cached", "true"},
	    {&model_recordings, "{\"status\":\"completed\"}", "cached", "false"},
	    {&model_recordings, "{\"healthStatus\":\"sick\"}", "healthStatus", "\"unknown\""},
	    {&model_recordings, "{\"tags\":[\"a\",1,null,\"b\"]}", "tags", "[\"a\",\"b\"]"},
	    {&model_recordings, "{\"tags\":\"a\"}", "tags", "[]"},
	    {&model_recordings, "{\"notes\":\"  \"}", "notes", NULL},
	    {&model_recordings, "{\"notes\":\" x \"}", "notes", "\" x \""},
	    {&model_recordings, "{\"trackIndex\":0}", "trackIndex", NULL},
	    {&model_recordings, "{\"trackIndex\":2.0}", "trackIndex", "2"},
	    {&model_recordings, "{\"trackTotal\":\"2\"}", "trackTotal", NULL},
	    {&model_recordings, "{\"uploadPolicyId\":7}", "uploadPolicyId", NULL},
	    {&model_recordings, "{\"transcriptSnippets\":[\" a \",\"b\"]}", "transcriptSnippets", "[\"a\",\"b\"]"},
	    {&model_recordings, "{\"transcriptSnippets\":[\"a\",\" \"]}", "transcriptSnippets", NULL},
	    {&model_recordings, "{\"transcriptSnippets\":\"a\"}", "transcriptSnippets", NULL},
	    {&model_recordings, "{\"waveformPreview\":{\"peaks\":[0.5]}}", "waveformPreview", NULL},
	    {&model_recordings, "{\"foreign\":{\"kept\":1}}", "foreign", "{\"kept\":1}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_member(cases[i].m, cases[i].in, cases[i].key, cases[i].want);
}

Test(repair, waveform_limits)
{
	static const char good[] = "{\"waveformPreview\":{\"channelCount\":2,\"generatedAt\":\"t\",\"peaks\":[0,1],"
	                           "\"sampleCount\":9,\"sampleRate\":8000,\"source\":\"wav_s16le_peak\"}}";
	json_object *o = doc(good);
	model_recordings.repair(o);
	cr_expect(json_has(o, "waveformPreview"));
	json_object *peaks = json_array(json_object_at(o, "waveformPreview"), "peaks");
	json_object_array_add(peaks, json_object_new_double(1.01));
	model_recordings.repair(o);
	cr_expect_not(json_has(o, "waveformPreview"), "a peak over 1 drops the whole preview");
	json_object_put(o);
}

static void expect_command(const char *command, const char *key, const char *want)
{
	json_object *o = json_object_new_object();
	json_object_object_add(o, "command", command == NULL ? NULL : doc(command));
	model_jobs.repair(o);
	json_object *c = json_object_at(o, "command"), *wanted = want == NULL ? NULL : json_tokener_parse(want);
	if (want == NULL)
		cr_expect_not(json_has(c, key), "%s of %s", key, command);
	else
		cr_expect(json_same(json_get(c, key), wanted), "%s of %s is %s", key, command,
		          json_object_to_json_string(json_get(c, key)));
	json_object_put(wanted);
	json_object_put(o);
}

Test(repair, job_command)
{
	expect_command(NULL, "type", "\"alsa_capture\"");
	expect_command("{\"captureChannels\":0}", "captureChannels", "2");
	expect_command("{\"captureChannels\":1.5}", "captureChannels", "2");
	expect_command("{\"captureSampleRate\":\"x\"}", "captureSampleRate", "48000");
	expect_command("{\"durationSeconds\":-1}", "durationSeconds", "3600");
	expect_command("{\"captureDevice\":\" \"}", "captureDevice", "\"default\"");
	expect_command("{\"captureFormat\":\"S24_LE\"}", "captureFormat", "\"S24_LE\"");
	expect_command("{}", "outputFileName", "\"recording.wav\"");
	expect_command("{\"captureBackend\":\"oss\"}", "captureBackend", NULL);
	expect_command("{\"outputVbr\":1}", "outputVbr", NULL);
	expect_command("{\"foreign\":1}", "foreign", "1");
	expect_command("{\"recorderCacheRetention\":{\"policyId\":\"p\"}}", "recorderCacheRetention", NULL);
	expect_command("{\"recorderCacheRetention\":{\"deleteAfterUpload\":false,\"maxAgeDays\":7,\"maxBytes\":null,"
	               "\"minFreeDiskPercent\":10,\"policyId\":\"p\"}}",
	               "recorderCacheRetention",
	               "{\"deleteAfterUpload\":false,\"maxAgeDays\":7,\"maxBytes\":null,\"minFreeDiskPercent\":10,"
	               "\"policyId\":\"p\"}");
	expect_command("{\"channelMap\":{\"sourceChannels\":0}}", "channelMap", NULL);
	expect_command("{\"channelMap\":{\"sourceChannels\":100000000}}", "channelMap", NULL);
	expect_command(
	    "{\"channelMap\":{\"sourceChannels\":2,\"targetType\":\"x\"}}", "channelMap",
	    "{\"sourceChannels\":2,\"targetType\":\"node\",\"assignmentId\":\"unknown_assignment\","
	    "\"targetId\":\"unknown_target\",\"templateId\":\"unknown_template\","
	    "\"templateName\":\"Unknown Template\",\"channelMode\":\"mono_to_stereo_mix\",\"entries\":["
	    "{\"included\":true,\"label\":\"Channel 1\",\"outputChannelIndex\":1,\"sourceChannelIndex\":1},"
	    "{\"included\":true,\"label\":\"Channel 2\",\"outputChannelIndex\":2,\"sourceChannelIndex\":2}]}");
	expect_command(
	    "{\"channelMap\":{\"sourceChannels\":1,\"entries\":[5,{\"included\":\"yes\",\"label\":\"\","
	    "\"sourceChannelIndex\":0,\"outputChannelIndex\":-3}],\"assignmentId\":\"a\",\"targetId\":\"t\","
	    "\"templateId\":\"m\",\"templateName\":\"n\",\"channelMode\":\"mono\",\"targetType\":\"interface\"}}",
	    "channelMap",
	    "{\"sourceChannels\":1,\"entries\":[{\"included\":false,\"label\":\"Channel 1\","
	    "\"sourceChannelIndex\":1,\"outputChannelIndex\":-3}],\"assignmentId\":\"a\",\"targetId\":\"t\","
	    "\"templateId\":\"m\",\"templateName\":\"n\",\"channelMode\":\"mono\",\"targetType\":\"interface\"}");
}

Test(repair, nodes)
{
	static const struct member_case cases[] = {
	    {&model_nodes, "{\"createdAt\":\"c\"}", "lastSeenAt", "\"c\""},
	    {&model_nodes, "{\"lastSeenAt\":\"s\",\"createdAt\":\"c\"}", "lastSeenAt", "\"s\""},
	    {&model_nodes, "{\"ipAddresses\":[1,\"10.0.0.1\"]}", "ipAddresses", "[\"10.0.0.1\"]"},
	    {&model_nodes, "{}", "location", "{\"room\":\"Unknown Room\",\"site\":\"Unknown Site\"}"},
	    {&model_nodes, "{\"location\":{\"floor\":\" \",\"building\":\"B\",\"room\":\"R\",\"site\":\"S\",\"x\":1}}",
	     "location", "{\"building\":\"B\",\"room\":\"R\",\"site\":\"S\",\"x\":1}"},
	    {&model_nodes, "{\"notes\":\"\"}", "notes", "\"\""},
	    {&model_nodes, "{\"runtime\":[]}", "runtime", NULL},
	    {&model_nodes, "{\"runtime\":{\"audioBackends\":[\"alsa\",\"oss\"],\"uptimeSeconds\":-1,\"osName\":\"\"}}",
	     "runtime", "{\"audioBackends\":[\"alsa\"]}"},
	    {&model_nodes, "{\"recordingCapacity\":{\"maxConcurrentRecordings\":0}}", "recordingCapacity", NULL},
	    {&model_nodes, "{\"recordingCapacity\":{\"maxConcurrentRecordings\":500}}", "recordingCapacity",
	     "{\"maxConcurrentRecordings\":500}"},
	    {&model_nodes, "{\"audioDefaults\":{\"captureBackend\":\"unknown\",\"captureChannels\":0}}",
	     "audioDefaults", NULL},
	    {&model_nodes, "{\"audioDefaults\":{\"captureDevice\":\"hw:2\",\"captureSampleRate\":48000}}",
	     "audioDefaults", "{\"captureDevice\":\"hw:2\",\"captureSampleRate\":48000}"},
	    {&model_nodes,
	     "{\"interfaces\":[{\"id\":\"i\",\"alias\":\"A\",\"systemName\":\"S\",\"backend\":\"oss\",\"channelCount\":"
	     "2,"
	     "\"sampleRates\":[48000,\"x\"],\"channels\":[{\"alias\":\"L\",\"index\":1}]}]}",
	     "interfaces",
	     "[{\"id\":\"i\",\"alias\":\"A\",\"systemName\":\"S\",\"backend\":\"unknown\",\"channelCount\":2,"
	     "\"sampleRates\":[48000],\"channels\":[{\"alias\":\"L\",\"index\":1}]}]"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_member(cases[i].m, cases[i].in, cases[i].key, cases[i].want);
}

Test(repair, single_bad_members)
{
	static const struct member_case cases[] = {
	    {&model_profiles, "{\"codec\":\"ogg\"}", "codec", "\"mp3\""},
	    {&model_profiles, "{\"bitrateKbps\":9000}", "bitrateKbps", "9000"},
	    {&model_profiles, "{\"bitrateKbps\":0}", "bitrateKbps", "128"},
	    {&model_profiles, "{\"maxTrackSeconds\":null}", "maxTrackSeconds", NULL},
	    {&model_watchdog_policies, "{\"thresholdDbfs\":99}", "thresholdDbfs", "24"},
	    {&model_watchdog_policies, "{\"thresholdDbfs\":-200}", "thresholdDbfs", "-160"},
	    {&model_watchdog_policies, "{\"thresholdDbfs\":\"loud\"}", "thresholdDbfs", "-45"},
	    {&model_watchdog_policies, "{\"graceSeconds\":1.7}", "graceSeconds", "1"},
	    {&model_watchdog_policies, "{\"windowSeconds\":0.4}", "windowSeconds", "1"},
	    {&model_watchdog_policies, "{\"humScoreThreshold\":7}", "humScoreThreshold", "1"},
	    {&model_watchdog_policies, "{}", "humScoreThreshold", NULL},
	    {&model_watchdog_policies, "{\"severity\":\"fatal\"}", "severity", "\"critical\""},
	    {&model_watchdog_policies, "{\"flatlineMode\":\"maybe\"}", "flatlineMode", NULL},
	    {&model_schedules, "{\"recurrence\":{\"mode\":\"weekly\"}}", "recurrence", "{\"mode\":\"manual\"}"},
	    {&model_schedules, "{\"recurrence\":{\"mode\":\"once\",\"startsAt\":\"x\",\"foreign\":1}}", "recurrence",
	     "{\"mode\":\"once\",\"startsAt\":\"x\",\"foreign\":1}"},
	    {&model_schedules, "{}", "nodeId", "\"unassigned\""},
	    {&model_schedules, "{}", "uploadPolicyId", "\"upload-policy-stub\""},
	    {&model_schedules, "{\"captureBackend\":\"oss\"}", "captureBackend", NULL},
	    {&model_health_events, "{\"status\":\"gone\"}", "status", "\"open\""},
	    {&model_health_events, "{\"details\":[1]}", "details", "{}"},
	    {&model_health_events, "{}", "suppressedUntil", "null"},
	    {&model_channel_map_templates, "{\"revision\":0}", "revision", "1"},
	    {&model_channel_map_assignments, "{\"history\":null}", "history", "[]"},
	    {&model_channel_map_plans, "{\"status\":\"odd\"}", "status", "\"cancelled\""},
	    {&model_upload_policies, "{\"maxAttempts\":0}", "maxAttempts", "5"},
	    {&model_upload_queue, "{\"status\":\"odd\"}", "status", "\"failed\""},
	    {&model_retention_policies, "{\"action\":\"delete_cache\",\"enabled\":true,\"maxAgeDays\":\"7\"}",
	     "enabled", "false"},
	    {&model_retention_policies, "{\"enabled\":true}", "maxBytes", "null"},
	    {&model_users, "{\"provider\":\"ldap\"}", "provider", "\"local\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_member(cases[i].m, cases[i].in, cases[i].key, cases[i].want);
}

Test(repair, audit)
{
	static const struct member_case cases[] = {
	    {&model_audit_events, "{\"actorUserId\":\"u\"}", "actor",
	     "{\"id\":\"u\",\"name\":\"Unknown actor\",\"roles\":[],\"type\":\"user\"}"},
	    {&model_audit_events, "{\"actor\":{\"id\":\"n1\",\"type\":\"robot\",\"roles\":[\"owner\",\"king\"]}}",
	     "actor", "{\"id\":\"n1\",\"name\":\"n1\",\"roles\":[\"owner\"],\"type\":\"user\"}"},
	    {&model_audit_events, "{}", "target", "{\"type\":\"unknown\"}"},
	    {&model_audit_events, "{}", "correlationIds", "{}"},
	    {&model_audit_events, "{\"correlationIds\":{\"a\":\"1\",\"b\":2}}", "correlationIds", "{\"a\":\"1\"}"},
	    {&model_audit_events, "{\"permission\":\"made:up\"}", "permission", NULL},
	    {&model_audit_events, "{\"before\":[1]}", "before", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_member(cases[i].m, cases[i].in, cases[i].key, cases[i].want);
}

Test(repair, recurrence_forms)
{
	static const struct {
		const char *r;
		bool good;
	} cases[] = {
	    {"{\"mode\":\"manual\"}", true},
	    {"{\"mode\":\"always_on\",\"startEarlySeconds\":86400}", true},
	    {"{\"mode\":\"always_on\",\"startEarlySeconds\":86401}", false},
	    {"{\"mode\":\"once\"}", false},
	    {"{\"mode\":\"daily\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":1}", true},
	    {"{\"mode\":\"daily\",\"startTime\":\"9:00\",\"endTime\":\"10:00\",\"interval\":1}", false},
	    {"{\"mode\":\"daily\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":0}", false},
	    {"{\"mode\":\"weekly\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":1,\"daysOfWeek\":[]}",
	     false},
	    {"{\"mode\":\"weekly\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":1,\"daysOfWeek\":["
	     "\"monday\"]}",
	     true},
	    {"{\"mode\":\"monthly\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":1,\"dayOfMonth\":32}",
	     false},
	    {"{\"mode\":\"monthly\",\"startTime\":\"09:00\",\"endTime\":\"10:00\",\"interval\":1,\"dayOfMonth\":31}",
	     true},
	    {"{\"mode\":\"manual\",\"exceptions\":[{\"action\":\"skip\",\"date\":\"2026-01-02\"}]}", true},
	    {"{\"mode\":\"manual\",\"exceptions\":[{\"action\":\"skip\"}]}", false},
	    {"{\"mode\":\"manual\",\"exceptions\":[{\"action\":\"pause\",\"startDate\":\"2026-02-01\",\"endDate\":"
	     "\"2026-01-01\"}]}",
	     false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *o = json_object_new_object(), *given = doc(cases[i].r);
		json_object_object_add(o, "recurrence", doc(cases[i].r));
		model_schedules.repair(o);
		bool kept = json_same(json_get(o, "recurrence"), given);
		cr_expect_eq(kept, cases[i].good || strcmp(cases[i].r, "{\"mode\":\"manual\"}") == 0, "%s", cases[i].r);
		json_object_put(given);
		json_object_put(o);
	}
}

Test(accept, predicates)
{
	static const char schedule[] =
	    "{\"enabled\":true,\"folderTemplate\":\"f\",\"id\":\"s\",\"name\":\"n\","
	    "\"nodeId\":\"x\",\"recordingProfileId\":\"p\",\"room\":\"r\",\"tags\":[],"
	    "\"timezone\":\"UTC\",\"titleTemplate\":\"t\",\"watchdogPolicyId\":\"w\","
	    "\"recurrence\":{\"mode\":\"weekly\"},\"nextRunAt\":\"2026-07-05T16:00:00.000Z\"}";
	json_object *o = doc(schedule), *once = doc("{\"mode\":\"once\",\"startsAt\":\"2026-07-05T16:00:00.000Z\"}");
	cr_expect(model_schedules.accept(o));
	cr_expect(json_same(json_get(o, "recurrence"), once), "the next run becomes the only one");
	json_set_int(o, "room", 1);
	cr_expect_not(model_schedules.accept(o));
	json_object_put(o);
	json_object_put(once);

	static const struct {
		const struct model *m;
		const char *in;
		bool good;
	} cases[] = {
	    {&model_recordings,
	     "{\"id\":\"r\",\"name\":\"n\",\"folder\":\"f\",\"recordedAt\":\"t\",\"durationSeconds\":1.5,\"cached\":"
	     "false,"
	     "\"tags\":[],\"healthStatus\":\"unknown\",\"source\":\"ad_hoc\",\"status\":\"queued\"}",
	     true},
	    {&model_recordings,
	     "{\"id\":\"r\",\"name\":\"n\",\"folder\":\"f\",\"recordedAt\":\"t\",\"durationSeconds\":1,\"cached\":"
	     "false,"
	     "\"tags\":[1],\"healthStatus\":\"unknown\",\"source\":\"ad_hoc\",\"status\":\"queued\"}",
	     false},
	    {&model_recordings,
	     "{\"id\":\"r\",\"name\":\"n\",\"folder\":\"f\",\"recordedAt\":\"t\",\"durationSeconds\":1,\"cached\":"
	     "false,"
	     "\"tags\":[],\"healthStatus\":\"unknown\",\"source\":\"ad_hoc\",\"status\":\"lost\"}",
	     false},
	    {&model_jobs,
	     "{\"id\":\"j\",\"createdAt\":\"t\",\"nodeId\":\"n\",\"recordingId\":\"r\",\"status\":\"queued\","
	     "\"command\":{"
	     "\"captureChannels\":2,\"captureSampleRate\":1,\"durationSeconds\":1,\"captureDevice\":\"\","
	     "\"captureFormat\":\"\",\"outputFileName\":\"\",\"type\":\"alsa_capture\"}}",
	     true},
	    {&model_jobs,
	     "{\"id\":\"j\",\"createdAt\":\"t\",\"nodeId\":\"n\",\"recordingId\":\"r\",\"status\":\"queued\","
	     "\"command\":{"
	     "\"captureChannels\":2,\"captureSampleRate\":1,\"durationSeconds\":1,\"captureDevice\":\"\","
	     "\"captureFormat\":\"\",\"outputFileName\":\"\",\"type\":\"jack_capture\"}}",
	     false},
	    {&model_lifecycle_jobs,
	     "{\"id\":\"l\",\"nodeId\":\"n\",\"nodeAlias\":\"a\",\"requestedAt\":\"t\",\"requestedBy\":\"u\","
	     "\"targetHost\":\"h\",\"action\":\"smoke_check\",\"status\":\"running\"}",
	     true},
	    {&model_lifecycle_jobs, "{\"id\":\"l\"}", false},
	    {&model_profiles, "[]", false},
	    {&model_profiles, "{\"id\":\"\"}", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *in = doc(cases[i].in);
		cr_expect_eq(cases[i].m->accept(in), cases[i].good, "%s: %s", cases[i].m->name, cases[i].in);
		json_object_put(in);
	}
}

/* Every built-in document is accepted, is not changed by repair, and has only declared members. */
Test(seeds, are_sound)
{
	static const struct {
		const struct model *m;
		size_t plain, demo;
	} counts[] = {
	    {&model_nodes, 0, 1},           {&model_recordings, 0, 1},         {&model_schedules, 0, 1},
	    {&model_profiles, 1, 1},        {&model_watchdog_policies, 1, 1},  {&model_upload_providers, 3, 3},
	    {&model_upload_policies, 1, 1}, {&model_retention_policies, 1, 1},
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct model *m = counts[i].m;
		json_object *plain = json_object_new_array(), *demo = json_object_new_array();
		m->seed(plain, false);
		m->seed(demo, true);
		cr_expect_eq(json_object_array_length(plain), counts[i].plain, "%s", m->name);
		cr_expect_eq(json_object_array_length(demo), counts[i].demo, "%s", m->name);
		for (size_t k = 0; k < json_object_array_length(demo); k++) {
			json_object *o = json_object_array_get_idx(demo, k);
			json_object *before = doc(json_object_to_json_string(o));
			cr_expect(m->accept(o), "%s", m->name);
			m->repair(o);
			cr_expect(json_same(o, before), "%s: %s", m->name, json_object_to_json_string(o));
			json_object_object_foreach(o, key, value)
			{
				(void)value;
				cr_expect_not_null(model_field_find(m, key), "%s.%s is declared", m->name, key);
			}
			json_object_put(before);
		}
		json_object_put(plain);
		json_object_put(demo);
	}
}

Test(seeds, by_id)
{
	void *mem = talloc_new(NULL);
	json_object *smb = model_builtin(mem, &model_upload_providers, "smb");
	cr_expect_str_eq(json_str(smb, "displayName"), "SMB Share");
	cr_expect_null(model_builtin(mem, &model_upload_providers, "ftp"));
	cr_expect_str_eq(json_str(model_builtin(mem, &model_profiles, NULL), "id"), "voice-mp3-vbr");
	cr_expect_null(model_builtin(mem, &model_jobs, NULL));
	talloc_free(mem);
}

static json_object *derived(const struct model *m, const char *field, json_object *o)
{
	const struct model_field *f = model_field_find(m, field);
	cr_assert(f != NULL && f->derive != NULL, "%s", field);
	return f->derive(o);
}

Test(derived, helpers)
{
	json_object *o =
	    doc("{\"id\":\"job_1\",\"nodeId\":\"n\",\"recordingId\":\"r\",\"status\":\"queued\",\"command\":{"
	        "\"captureDevice\":\"hw:1,0\",\"captureFormat\":\"S16_LE\",\"trackIndex\":3,"
	        "\"trackGroupId\":\"g\",\"channelMap\":{\"templateName\":\"Desk\"}}}");
	static const struct {
		const char *field, *want;
	} cases[] = {
	    {"captureBackend", "alsa"},
	    {"trackIndex", "3"},
	    {"trackGroupId", "g"},
	    {"searchText", "hw:1,0 S16_LE Desk job_1 n r queued"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *v = derived(&model_jobs, cases[i].field, o);
		cr_expect_str_eq(json_object_get_string(v), cases[i].want);
		json_object_put(v);
	}
	cr_expect_null(derived(&model_jobs, "captureInterfaceId", o));
	json_object_put(o);
	json_object *r = doc("{\"cachePath\":\"\"}"), *v = derived(&model_recordings, "hasFile", r);
	cr_expect_not(json_object_get_boolean(v));
	json_object_put(v);
	json_object_put(r);
}

/* What the existing controller wrote is accepted and read back as it is. */
Test(fixtures, files_read_back_unchanged)
{
	static const struct {
		const struct model *m;
		const char *file;
	} files[] = {
	    {&model_recordings, "existing-files/recordings-metadata.json"},
	    {&model_jobs, "existing-files/recording-jobs.json"},
	    {&model_schedules, "existing-files/schedules.json"},
	    {&model_profiles, "existing-files/recording-profiles.json"},
	    {&model_watchdog_policies, "existing-files/watchdog-policies.json"},
	    {&model_channel_map_templates, "existing-files/channel-map-templates.json"},
	    {&model_channel_map_assignments, "existing-files/channel-map-assignments.json"},
	    {&model_channel_map_plans, "existing-files/channel-map-assignment-plans.json"},
	    {&model_upload_providers, "existing-files/upload-providers.json"},
	    {&model_upload_policies, "existing-files/upload-policies.json"},
	    {&model_retention_policies, "existing-files/retention-policies.json"},
	    {&model_retention_policies, "existing-database-files/retention-policies.json"},
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", RAKKR_TEST_FIXTURES, files[i].file);
		json_object *root = json_object_from_file(path);
		json_object *docs = json_array(root, files[i].m->file_key);
		cr_assert(docs != NULL && json_object_array_length(docs) > 0, "%s", path);
		for (size_t k = 0; k < json_object_array_length(docs); k++) {
			json_object *o = json_object_array_get_idx(docs, k);
			json_object *before = doc(json_object_to_json_string(o));
			cr_expect(files[i].m->accept(o), "%s %zu", path, k);
			if (files[i].m->repair != NULL)
				files[i].m->repair(o);
			cr_expect(json_same(o, before), "%s: %s became %s", path, json_object_to_json_string(before),
			          json_object_to_json_string(o));
			json_object_put(before);
		}
		json_object_put(root);
	}
}
