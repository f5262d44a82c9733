/* Finding jobs: each text that a search looks at and how they are joined, bounds of times, the export
 * (03 3.12.1, 3.12.4). */
#include "http/harness.h"

#include <string.h>

static bool found(const struct node *n, const char *query)
{
	struct response r = get(fmt("/api/v1/recording-jobs?nodeId=%s&%s", n->id, query), admin());

	must(r, 200);
	cr_assert_leq(j_count(r.json, "data"), 1);
	return j_count(r.json, "data") == 1;
}

/* A node with one job, claimed and failed. */
static struct take failed_job(struct node *n)
{
	const char *const reason[] = {"x-rakkr-reason: Größe unbekannt: 100%_weg", NULL};

	*n = enroll_node("Job list");
	must(patch(n->path, admin(), "{\"audioDefaults\":{\"captureFormat\":\"S24_3LE\"}}"), 200);
	struct take t = start_recording(n);
	cr_assert_str_eq(claim_next(n), t.job_id);
	must(http("POST", fmt("%s/failed", t.job_path), n->token, reason, NULL, 0), 200);
	return t;
}

Test(job_list, search_looks_at_every_text_of_the_contract)
{
	struct node n;
	struct take t = failed_job(&n);
	struct response r = get(t.job_path, admin());
	const char *command = "data.command", *device = j_str(r.json, fmt("%s.captureDevice", command));
	const struct {
		const char *text;
		bool found;
	} rows[] = {
	    {"gr%C3%96SSE+unbekannt", false}, /* sharp s has no upper case of its own here */
	    {"gr%C3%96%C3%9Fe+unbekannt", true},
	    {"100%25_weg", true},
	    {"100%25%25weg", false}, /* no wildcards */
	    {"s24_3LE", true},
	    {device, true},
	    {fmt("%s+s24_3le", device), true}, /* one text, joined by single spaces */
	    {fmt("%s++s24_3le", device), false},
	    {fmt("s24_3le+%s", n.interface_id), true},
	    {fmt("%s.mp3", t.recording_id), true},
	    {fmt("weg+%s+%s+%s+failed", t.job_id, n.id, t.recording_id),
	     true},                       /* reason, id, node, recording, status */
	    {fmt("%s+alsa", n.id), true}, /* claimed by, backend */
	    {"alsa_capture", false},
	    {"48000", false},
	    {"agent_failed", false},
	};

	must(r, 200);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(found(&n, fmt("search=%s", rows[i].text)), rows[i].found, "%s", rows[i].text);
	if (!on_postgres())
		return; /* a job with a map needs the settings' routes there */
	sql("UPDATE recording_jobs SET command = command || '{\"channelMap\":{\"templateName\":\"Ratssaal\","
	    "\"templateId\":\"tpl_x\",\"sourceChannels\":1,\"entries\":[]}}' WHERE id = '%s'",
	    t.job_id);
	cr_expect(found(&n, fmt("search=%s+RATSSAAL+%s.mp3", n.interface_id, t.recording_id)));
	cr_expect_not(found(&n, "search=tpl_x"));
}

Test(job_list, filters_are_joined_and_bounds_inclusive)
{
	struct node n;
	struct take t = failed_job(&n);
	const char *created = j_str(get(t.job_path, admin()).json, "data.createdAt");
	const struct {
		const char *query;
		bool found;
	} rows[] = {
	    {fmt("createdFrom=%s&createdTo=%s", created, created), true},
	    {"createdFrom=2999-01-01T00:00:00Z", false},
	    {"createdTo=2001-01-01T00:00:00.5%2B02:00", false},
	    {fmt("status=failed&captureBackend=alsa&captureInterfaceId=%s&search=weg", n.interface_id), true},
	    {"status=failed&captureBackend=jack", false},
	    {"status=failed&captureBackend=pipewire", false},
	    {"captureInterfaceId=%20&search=%20&status=&captureBackend=", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(found(&n, rows[i].query), rows[i].found, "%s", rows[i].query);
	static const char *const words[] = {"queued", "running", "stop_requested", "cancelled", "completed", "failed"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_expect_eq(found(&n, fmt("status=%s", words[i])), strcmp(words[i], "failed") == 0, "%s", words[i]);
}

#define HEADER                                                                                                         \
	"id,recordingId,nodeId,status,claimedBy,createdAt,startedAt,lastHeartbeatAt,leaseExpiresAt,stopRequestedAt,"   \
	"completedAt,failureReason,captureBackend,captureDevice,captureInterfaceId,captureFormat,captureSampleRate,"   \
	"captureChannels,durationSeconds,outputCodec,outputBitrateKbps,outputVbr,outputFileName"

Test(job_list, the_export_has_every_column)
{
	struct node n;
	struct take t = failed_job(&n);
	json_object *job = j_at(get(t.job_path, admin()).json, "data"), *c = j_at(job, "command");
	struct response r = get(fmt("/api/v1/recording-jobs/export?nodeId=%s&status=failed", n.id), admin());

	must(r, 200);
	cr_expect_str_eq(r.body,
	                 fmt(HEADER "\n%s,%s,%s,failed,%s,%s,%s,%s,%s,,%s,Größe unbekannt: 100%%_weg,alsa,\"%s\",%s,"
	                            "S24_3LE,%d,%d,%d,mp3,128,true,%s.mp3",
	                     t.job_id, t.recording_id, n.id, n.id, j_str(job, "createdAt"), j_str(job, "startedAt"),
	                     j_str(job, "lastHeartbeatAt"), j_str(job, "leaseExpiresAt"), j_str(job, "completedAt"),
	                     j_str(c, "captureDevice"), n.interface_id, (int)j_int(c, "captureSampleRate"),
	                     (int)j_int(c, "captureChannels"), (int)j_int(c, "durationSeconds"), t.recording_id));
	const char *name = strstr(header(&r, "Content-Disposition"), "rakkr-recording-jobs-");
	cr_assert_not_null(name);
	cr_expect_eq(strlen(name), strlen("rakkr-recording-jobs-2026-09-03T07-30-00.214Z.csv\""), "%s", name);
	cr_expect_eq(name[strlen("rakkr-recording-jobs-2026-09-03T07-30-00")], '.', "%s", name);
}
