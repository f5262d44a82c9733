/*
 * Texts that clients choose, in places where a text could do harm: cells that a spreadsheet would run (09 D-76), header
 * lines that a name could add, cells that break a CSV apart (09 15.1).
 */
#include "http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

struct csv {
	char **cells;
	size_t rows, columns;
};

/* One cell at *at; the end of its row in *last. */
static char *csv_cell(const char **at, bool *last)
{
	const char *p = *at;
	char *out = calloc(1, strlen(p) + 1), *o = out;

	if (*p == '"') {
		for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
			p += *p == '"';
			*o++ = *p;
		}
		p += *p == '"';
	} else {
		while (*p != '\0' && *p != ',' && *p != '\n')
			*o++ = *p++;
	}
	cr_assert(*p == ',' || *p == '\n' || *p == '\0', "not CSV at: %.40s", p);
	*last = *p != ',';
	*at = *p == '\0' ? p : p + 1;
	return out;
}

/* Every row must have as many cells as the first. */
static struct csv csv_parse(const char *text)
{
	struct csv c = {.cells = calloc(strlen(text) + 2, sizeof(char *))};
	const char *at = text;
	size_t column = 0;

	for (bool last = true; !last || *at != '\0';) {
		c.cells[c.rows * c.columns + column++] = csv_cell(&at, &last);
		if (!last)
			continue;
		if (c.rows == 0)
			c.columns = column;
		cr_assert_eq(column, c.columns, "row %zu has %zu cells instead of %zu", c.rows, column, c.columns);
		c.rows++;
		column = 0;
	}
	return c;
}

/* The cell of a column in the row that has `id` in some cell; NULL if there is none. */
static const char *csv_find(const struct csv *c, const char *id, const char *column)
{
	size_t at = 0;

	while (at < c->columns && strcmp(c->cells[at], column) != 0)
		at++;
	cr_assert_lt(at, c->columns, "no column %s", column);
	for (size_t row = 1; row < c->rows; row++)
		for (size_t i = 0; i < c->columns; i++)
			if (strcmp(c->cells[row * c->columns + i], id) == 0)
				return c->cells[row * c->columns + at];
	return NULL;
}

static struct csv export_of(const char *path, const char *body)
{
	struct response r = body != NULL ? post(path, admin(), "%s", body) : get(path, admin());

	must(r, 200);
	return csv_parse(r.body);
}

/* No cell of any export begins with what a spreadsheet takes for a formula. */
static void expect_harmless(const struct csv *c, const char *what)
{
	for (size_t i = c->columns; i < c->rows * c->columns; i++)
		cr_expect_null(strchr("=+-@\t\r", c->cells[i][0] != '\0' ? c->cells[i][0] : 'x'), "%s: %.60s", what,
		               c->cells[i]);
}

static void expect_cell(const struct csv *c, const char *id, const char *column, const char *want)
{
	const char *cell = csv_find(c, id, column);

	cr_assert_not_null(cell, "%s is not exported", id);
	cr_expect_str_eq(cell, want, "%s: %s", column, cell);
}

/* Fields that requests trim cannot begin with TAB or CR; rows of an adopted database can. */
static void store_name(const char *table, const char *column, const char *id, const char *name)
{
	if (on_postgres())
		sql("update %s set %s = E'%s' where id = '%s' returning 1", table, column, name, id);
}

static const char *const formulas[] = {"=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)"};

Test(text_safety, node_exports)
{
	struct node nodes[LENGTH(formulas)], tab = enroll_node("Tab"), harmless = enroll_node("a=b, \\\"c\\\"");
	struct csv c;

	for (size_t i = 0; i < LENGTH(formulas); i++) {
		nodes[i] = enroll_node(formulas[i]);
		must(patch(nodes[i].path, admin(),
		           "{\"tags\":[\"%s\"],\"notes\":\"%s\",\"location\":{\"site\":\"%s\"}}", formulas[i],
		           formulas[i], formulas[i]),
		     200);
	}
	store_name("nodes", "alias", tab.id, "\\t=1");
	c = export_of("/api/v1/nodes/export", NULL);
	expect_harmless(&c, "nodes");
	for (size_t i = 0; i < LENGTH(formulas); i++) {
		expect_cell(&c, nodes[i].id, "alias", fmt("'%s", formulas[i]));
		expect_cell(&c, nodes[i].id, "site", fmt("'%s", formulas[i]));
	}
	expect_cell(&c, tab.id, "alias", on_postgres() ? "'\t=1" : "Tab");
	expect_cell(&c, harmless.id, "alias", "a=b, \"c\"");
	c = export_of("/api/v1/nodes/export", fmt("{\"nodeIds\":[\"%s\"]}", nodes[0].id));
	expect_cell(&c, nodes[0].id, "alias", fmt("'%s", formulas[0]));
}

Test(text_safety, recording_and_job_exports)
{
	struct node n = enroll_node("Export");
	struct take t = start_recording(&n);
	struct csv c;

	for (size_t i = 0; i < LENGTH(formulas); i++) {
		must(patch(fmt("%s/metadata", t.recording_path), admin(),
		           "{\"name\":\"%s\",\"folder\":\"%s\",\"tags\":[\"%s\"]}", formulas[i], formulas[i],
		           formulas[i]),
		     200);
		c = export_of(fmt("/api/v1/recordings/export?limit=200"), NULL);
		expect_harmless(&c, "recordings");
		expect_cell(&c, t.recording_id, "name", fmt("'%s", formulas[i]));
	}
	store_name("recordings", "name", t.recording_id, "\\r=1");
	c = export_of("/api/v1/recordings/export", fmt("{\"recordingIds\":[\"%s\"]}", t.recording_id));
	expect_harmless(&c, "selected recordings");
	cr_assert_str_eq(claim_next(&n), t.job_id);
	must(http("POST", fmt("%s/failed", t.job_path), n.token,
	          (const char *const[]){"x-rakkr-reason: =HYPERLINK(1)", NULL}, NULL, 0),
	     200);
	c = export_of("/api/v1/recording-jobs/export?limit=500", NULL);
	expect_harmless(&c, "jobs");
	expect_cell(&c, t.job_id, "failureReason", "'=HYPERLINK(1)");
}

Test(text_safety, audit_export)
{
	struct response r = get("/api/v1/nodes/%3Dcmd%2Cx%22%0Ay", admin());
	struct csv c;

	must(r, 404);
	must(get("/api/v1/nodes/%40x", admin()), 404);
	must(get("/api/v1/nodes/%09x", admin()), 404);
	c = export_of("/api/v1/audit-events/export?limit=500&action=nodes.detail.read", NULL);
	expect_harmless(&c, "audit");
	expect_cell(&c, "'=cmd,x\"\ny", "targetType", "node");
	expect_cell(&c, "'@x", "targetType", "node");
	expect_cell(&c, "'\tx", "targetType", "node");
}

/* What is not a formula comes out as it went in, whatever CSV makes of it. */
Test(text_safety, cells_survive_the_round_trip)
{
	static const struct {
		const char *json, *text;
	} names[] = {
	    {"a,b", "a,b"},
	    {"a\\\"b", "a\"b"},
	    {"\\\"", "\""},
	    {"\\\",\\\"\\n\\\"", "\",\"\n\""},
	    {"a\\r\\nb", "a\r\nb"},
	    {"a;b\\tc", "a;b\tc"},
	    {"\\u00fc \\u4f60", "ü 你"},
	    {"1-2=3", "1-2=3"},
	};
	struct node n = enroll_node("Round trip");
	struct take t = start_recording(&n);

	for (size_t i = 0; i < LENGTH(names); i++) {
		struct csv c;

		must(patch(fmt("%s/metadata", t.recording_path), admin(), "{\"name\":\"%s\"}", names[i].json), 200);
		c = export_of("/api/v1/recordings/export", fmt("{\"recordingIds\":[\"%s\"]}", t.recording_id));
		cr_assert_eq(c.rows, 2, "%s: %zu rows", names[i].json, c.rows);
		expect_cell(&c, t.recording_id, "name", names[i].text);
	}
}

/* ---- audit ------------------------------------------------------------------------------------------------------- */

static const char *run_of(char c, size_t n)
{
	char *s = malloc(n + 1);

	memset(s, c, n);
	s[n] = '\0';
	return s;
}

/* 01 T5, 09 D-48: events about what is too long for a column, or for the disk, are cut and written. */
Test(text_safety, long_texts_of_strangers_are_cut)
{
	struct node n = enroll_node("Mark");
	const char *mark = fmt("%s-%s", n.id, run_of('x', 100)), *id = fmt("%s%s", mark, run_of('y', 5000));
	const char *const headers[] = {fmt("User-Agent: %s", run_of('u', 9000)),
	                               fmt("X-Rakkr-Session-Id: %s", run_of('s', 9000)), NULL};
	const char *email = fmt("%s%s@example.org", n.id, run_of('e', 400));
	struct response r = http("GET", fmt("/api/v1/nodes/%s", id), NULL, headers, NULL, 0);
	json_object *event;

	must(r, 401);
	r = get(fmt("/api/v1/audit-events?action=nodes.detail.read&target=%s", mark), admin());
	must(r, 200);
	cr_assert_eq(j_count(r.json, "data"), 1, "%s", r.body);
	event = j_at(r.json, "data.0");
	cr_expect_str_eq(j_str(event, "target.id"), fmt("%.160s", id));
	cr_expect_str_eq(j_str(event, "details.path"), fmt("%.2000s", fmt("/api/v1/nodes/%s", id)));
	cr_expect_str_eq(j_str(event, "actorContext.userAgent"), run_of('u', 2000));
	cr_expect_str_eq(j_str(event, "actorContext.sessionId"), run_of('s', 2000));
	cr_expect_str_eq(j_str(event, "outcome"), "denied");
	must(post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"wrong\"}", email), 401);
	r = get(fmt("/api/v1/audit-events?action=auth.login.failed&target=%s", n.id), admin());
	must(r, 200);
	cr_assert_eq(j_count(r.json, "data"), 1, "%s", r.body);
	cr_expect_str_eq(j_str(r.json, "data.0.target.name"), fmt("%.160s", email));
	cr_expect_str_eq(j_str(r.json, "data.0.details.email"), email);
	email = fmt("%s%s@example.org", n.id, run_of('e', 50000));
	r = post("/api/v1/auth/login", NULL, "{\"email\":\"%s\",\"password\":\"wrong\"}", email);
	cr_expect(r.status == 401 || r.status == 400, "%d", r.status);
	event = j_at(get(fmt("/api/v1/audit-events?action=auth.login.failed&limit=1"), admin()).json, "data.0");
	cr_expect_leq(strlen(j_str(event, "details.email")), 2000);
	must(get("/api/v1/nodes", admin()), 200);
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

/* Nothing of a name becomes a header, or ends them. */
static void expect_whole(const struct response *r, const char *what)
{
	cr_expect_null(header(r, "X-Injected"), "%s: %s", what, r->headers);
	cr_expect_null(strstr(r->headers, "\nX-Injected"), "%s", what);
	cr_expect_null(strstr(r->headers, "\nSet-Cookie"), "%s", what);
	cr_expect_eq(strncmp(r->body, "RIFF", 4), 0, "%s: the body begins with %.20s", what, r->body);
}

static void upload(const struct node *n, const struct take *t, const char *file_name)
{
	struct blob file = wav(1, 8000, 0.1);
	const char *const headers[] = {"Content-Type: audio/wav", fmt("x-rakkr-recording-job-id: %s", t->job_id),
	                               fmt("x-rakkr-checksum: sha256:%s", sha256(file.data, file.len)),
	                               fmt("x-rakkr-file-name: %s", file_name), NULL};

	must(http("PUT", fmt("%s/cache-file", t->recording_path), n->token, headers, file.data, file.len), 201);
}

Test(text_safety, names_of_recordings_add_no_headers)
{
	static const char *const names[] = {
	    "a\\r\\nX-Injected: 1",        "a\\nX-Injected: 1\\n\\n<html>", "a\\\"; filename=\\\"b.exe",
	    "a\\u000b\\u0007\\u007fb",     "a\\u2028X-Injected: 1",         "a%0d%0aX-Injected: 1",
	    "\\u010d\\u010aX-Injected: 1", /* whose low bytes are CR and LF */
	};
	struct node n = enroll_node("Names");
	struct take t = start_recording(&n);

	cr_assert_str_eq(claim_next(&n), t.job_id);
	upload(&n, &t, "take\tone\"; filename=\"two.wav");
	for (size_t i = 0; i < LENGTH(names); i++) {
		struct response r = patch(fmt("%s/metadata", t.recording_path), admin(), "{\"name\":\"%s\"}", names[i]);
		const char *disposition, *quote;

		must(r, 200);
		r = get(fmt("%s/file", t.recording_path), admin());
		must(r, 200);
		expect_whole(&r, names[i]);
		disposition = header(&r, "Content-Disposition");
		cr_assert_not_null(disposition, "%s", names[i]);
		quote = strstr(disposition, "filename=\"");
		cr_assert_not_null(quote, "%s", disposition);
		/* one quoted name, and behind it nothing but the encoded one */
		quote = strchr(quote + 10, '"');
		cr_assert_not_null(quote, "%s", disposition);
		cr_expect(quote[1] == '\0' || strncmp(quote + 1, "; filename*=UTF-8''", 19) == 0, "%s", disposition);
		cr_expect_null(strchr(quote + 1, '"'), "%s", disposition);
		r = get(fmt("%s/stream", t.recording_path), admin());
		must(r, 200);
		expect_whole(&r, names[i]);
	}
}

/* Values of requests that come back in headers. */
Test(text_safety, requests_add_no_headers)
{
	static const char *const paths[] = {
	    "/api/v1/auth/oidc/login?returnTo=%2F%0d%0aX-Injected:%201",
	    "/api/v1/nodes/a%0d%0aX-Injected:%201",
	    "/api/v1/recordings/a%0aX-Injected:%201/file",
	    "/api/v1/audit-events/export?id=a%0d%0aX-Injected:%201",
	};
	static const char *const origins[] = {"Origin: http://evil.example\tX-Injected: 1", NULL};
	struct response r;

	for (size_t i = 0; i < LENGTH(paths); i++) {
		r = get(paths[i], admin());
		cr_expect_gt(r.status, 0, "%s", paths[i]);
		cr_expect_null(strstr(r.headers, "\nX-Injected"), "%s: %s", paths[i], r.headers);
	}
	r = http("GET", "/api/v1/auth/me", admin(), origins, NULL, 0);
	cr_expect_null(header(&r, "Access-Control-Allow-Origin"));
}
