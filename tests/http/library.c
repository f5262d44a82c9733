/*
 * What the library can be searched, sorted and paged by: every field, both directions, text order, and pages that add
 * up to the whole (contract 03 3.0.5, 3.3.1; 08 Trap 36).
 */
#include "http/harness.h"

#include <stdio.h>
#include <string.h>

static struct node wide(const char *alias)
{
	struct node n = enroll_node(alias);
	must(patch(n.path, admin(), "{\"recordingCapacity\":{\"maxConcurrentRecordings\":32}}"), 200);
	return n;
}

static struct take begin(const struct node *n, const char *name, const char *more)
{
	struct response r =
	    post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\",\"name\":\"%s\"%s}", n->id, name, more);
	must(r, 202);
	struct take t = {.recording_id = j_str(r.json, "data.id"), .job_id = j_str(r.json, "job.id")};
	t.recording_path = fmt("/api/v1/recordings/%s", t.recording_id);
	t.job_path = fmt("/api/v1/recording-jobs/%s", t.job_id);
	return t;
}

/* The only job that is waiting. */
static void deliver(const struct node *n, const struct take *t, const char *seconds)
{
	cr_assert_str_eq(claim_next(n), t->job_id);
	struct blob file = wav(1, 8000, 1);
	const char *const headers[] = {"x-rakkr-file-name: x.wav", fmt("x-rakkr-duration-seconds: %s", seconds), NULL};
	must(http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file.data, file.len), 201);
}

static struct response list(const struct node *n, const char *query)
{
	struct response r = get(fmt("/api/v1/recordings?nodeId=%s&%s", n->id, query), admin());
	must(r, 200);
	return r;
}

/* The names of a list, each followed by a space. */
static const char *names(const struct node *n, const char *query)
{
	struct response r = list(n, query);
	char *out = fmt("%s", "");
	for (size_t i = 0; i < j_count(r.json, "data"); i++)
		out = fmt("%s%s ", out, j_str(r.json, fmt("data.%zu.name", i)));
	return out;
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

struct needle {
	const char *text; /* as in the query */
	bool found;
};

static void expect_found(const struct node *n, const struct needle *needles, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t hits = j_count(list(n, fmt("search=%s", needles[i].text)).json, "data");
		cr_expect_eq(hits, needles[i].found ? 1 : 0, "%s: %zu hits", needles[i].text, hits);
	}
}

static const struct needle everywhere[] = {
    {"sitzung+gro%C3%9F", true}, /* name; in whatever case, plus signs are spaces */
    {"SITZUNG%20GRO%C3%9F", true},
    {"%C3%84RA%2Fkeller", true}, /* folder */
    {"hinten+links", true},      /* notes */
    {"order.order", true},       /* a snippet */
    {"zweites", true},           /* another */
    {"protokoll_7", true},       /* a tag */
    {"voice-mp3", true},         /* profile */
    {"policy-stub", true},       /* upload policy */
    {"ad_hoc", true},            /* source */
    {"cached", true},            /* status */
    {"rec_", true},              /* id */
    {"gro%C3%9F+hinten", false}, /* each field by itself */
    {"keller+protokoll", false},
    {"healthy", false},
    {"sha256", false},
    {"ad-hoc%2Frec_", false}, /* cachePath */
    {"retention-keep", false},
    {"%25", false}, /* no wildcards */
    {"protokoll-7", false},
    {"order%5C.order", false},
};

static const struct needle scheduled[] = {
    {"sched_find_me", true}, {"track_find_me", true}, {"SCHEDULE", true}, {"watchdog_find_me", false}};

Test(library, search_looks_at_every_field_of_the_contract)
{
	struct node n = wide("Search");
	struct take t = begin(&n, "Sitzung Groß", ",\"folder\":\"Ära/Keller\",\"tags\":[\"a\",\"Protokoll_7\"]");
	must(patch(fmt("%s/metadata", t.recording_path), admin(),
	           "{\"notes\":\"Hinten links\",\"transcriptSnippets\":[\"Order.Order!\",\"Zweites\"]}"),
	     200);
	deliver(&n, &t, "1");
	expect_found(&n, everywhere, sizeof(everywhere) / sizeof(everywhere[0]));
	cr_expect_eq(j_count(list(&n, fmt("search=%s", n.id)).json, "data"), 1);
	cr_expect_eq(j_count(list(&n, fmt("search=%s", t.recording_id)).json, "data"), 1);
	if (!on_postgres())
		return; /* schedules make no recordings there yet */
	sql("UPDATE recordings SET source = 'schedule', schedule_id = 'sched_find_me', metadata = metadata || "
	    "'{\"trackGroupId\":\"track_find_me\",\"watchdogPolicyId\":\"watchdog_find_me\"}' WHERE id = '%s'",
	    t.recording_id);
	expect_found(&n, scheduled, sizeof(scheduled) / sizeof(scheduled[0]));
	cr_expect_eq(j_count(list(&n, "scheduleId=sched_find_me&trackGroupId=track_find_me").json, "data"), 1);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

Test(library, names_are_in_text_order)
{
	static const char *const in_order[] = {"_b", "-b", ",b", ".b", "(b", "10", "1b", "a",
	                                       "A",  "ab", "Ab", "b",  "e",  "é",  "f"};
	const size_t count = sizeof(in_order) / sizeof(in_order[0]);
	struct node n = wide("Text order");
	char *up = fmt("%s", ""), *down = up;

	for (size_t i = 0; i < count; i++) /* not in order */
		begin(&n, in_order[(i * 7) % count], "");
	for (size_t i = 0; i < count; i++) {
		up = fmt("%s%s ", up, in_order[i]);
		down = fmt("%s %s", in_order[i], down);
	}
	cr_expect_str_eq(names(&n, "sortBy=name"), up);
	cr_expect_str_eq(names(&n, "sortBy=name&sortOrder=desc"), down);
}

/* a: failed, folder Z, critical; b: cached, 5 s, folder y, healthy; c: recording, folder x; d: completed, 1 s */
static struct node four_kinds(void)
{
	struct node n = wide("Kinds");
	struct take a = begin(&n, "a", ",\"folder\":\"Z\""), b = begin(&n, "b", ",\"folder\":\"y\"");
	must(post(fmt("%s/failed", a.job_path), n.token, NULL), 200);
	deliver(&n, &b, "5");
	begin(&n, "c", ",\"folder\":\"x\"");
	struct take d = begin(&n, "d", ",\"folder\":\"X\"");
	must(post(fmt("%s/stop", d.recording_path), admin(), NULL), 200);
	return n;
}

Test(library, every_order)
{
	static const struct {
		const char *query, *want;
	} rows[] = {
	    {"sortBy=folder", "c d b a "},
	    {"sortBy=folder&sortOrder=desc", "a b d c "},
	    {"sortBy=status", "b d a c "},
	    {"sortBy=status&sortOrder=desc", "c a d b "},
	    {"sortBy=recordedAt", "d c b a "}, /* newest first */
	    {"sortBy=recordedAt&sortOrder=asc", "a b c d "},
	    {"sortBy=durationSeconds&limit=2", "b d "},
	    {"sortBy=healthStatus&limit=2", "a b "}, /* critical, healthy, unknown twice */
	    {"sortBy=healthStatus&sortOrder=desc&limit=2&offset=2", "b a "},
	};
	struct node n = four_kinds();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(names(&n, rows[i].query), rows[i].want, "%s", rows[i].query);
}

/* Ties are in the order of the ids, in both directions, whatever the page. */
static void expect_pages(const struct node *n, const char *order, bool tied)
{
	const char *whole = names(n, order);
	char *pages = fmt("%s", "");
	const char *last = "";

	for (int at = 0; at < 10; at += 3)
		pages = fmt("%s%s", pages, names(n, fmt("%s&limit=3&offset=%d", order, at)));
	cr_expect_str_eq(pages, whole, "%s", order);
	struct response r = list(n, order);
	cr_assert_eq(j_count(r.json, "data"), 10);
	for (size_t i = 0; tied && i < 10; i++) {
		const char *id = j_str(r.json, fmt("data.%zu.id", i));
		cr_expect(strcmp(last, id) < 0, "%s: %s before %s", order, last, id);
		last = id;
	}
}

Test(library, pages_add_up_to_the_whole)
{
	static const char *const fields[] = {"durationSeconds", "folder", "healthStatus", "name",
	                                     "recordedAt",      "source", "status"};
	struct node n = wide("Pages");

	for (int i = 0; i < 10; i++)
		begin(&n, fmt("n%d", i), ",\"folder\":\"same\"");
	expect_pages(&n, "", false);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		bool differs = strcmp(fields[i], "name") == 0 || strcmp(fields[i], "recordedAt") == 0;
		expect_pages(&n, fmt("sortBy=%s", fields[i]), !differs);
		expect_pages(&n, fmt("sortBy=%s&sortOrder=desc", fields[i]), !differs);
		expect_pages(&n, fmt("sortBy=%s&sortOrder=asc", fields[i]), !differs);
	}
}

/* ---- export ------------------------------------------------------------------------------------------------------ */

#define HEADER                                                                                                         \
	"id,name,notes,transcriptSnippets,folder,tags,status,healthStatus,source,recordedAt,durationSeconds,nodeId,"   \
	"scheduleId,recordingProfileId,uploadPolicyId,watchdogPolicyId,trackGroupId,trackIndex,trackTotal,cached,"     \
	"cachePath,checksum"

/* The export has the order and the filters of the list, every column, and no page. */
Test(library, the_export_is_the_list)
{
	struct node n = four_kinds();
	struct response r =
	    get(fmt("/api/v1/recordings/export?nodeId=%s&sortBy=folder&limit=1&offset=2", n.id), admin());

	must(r, 200);
	cr_expect_eq(strncmp(r.body, HEADER "\n", strlen(HEADER) + 1), 0, "%s", r.body);
	const char *at = r.body;
	for (const char *name = "cdba"; *name != '\0'; name++) {
		const char *next = strstr(r.body, fmt(",%c,,,", *name));
		cr_assert_not_null(next, "%c: %s", *name, r.body);
		cr_expect(next > at, "%c: %s", *name, r.body);
		at = next;
	}
	r = get(fmt("/api/v1/recordings/export?nodeId=%s&cacheState=cached", n.id), admin());
	struct response one = list(&n, "cacheState=cached");
	json_object *doc = j_at(one.json, "data.0");
	cr_expect_str_eq(r.body, fmt(HEADER "\n%s,b,,,y,ad-hoc;voice,cached,healthy,ad_hoc,%s,5,%s,,voice-mp3-vbr,"
	                                    "upload-policy-stub,,,,,true,%s,%s",
	                             j_str(doc, "id"), j_str(doc, "recordedAt"), n.id, j_str(doc, "cachePath"),
	                             j_str(doc, "checksum")));
	cr_expect_eq(j_int(audit_last("recordings.export.succeeded", "recording_collection"), "details.exportedCount"),
	             1);
}
