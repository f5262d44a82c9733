/* Requests that meet at the same instant: exactly one wins, and nothing is left in between. */
#include "http/harness.h"

#include <string.h>

struct claims {
	const struct node *node;
	const struct take *take;
	bool by_id;
	int won, lost, other;
};

static void claim(int index, void *arg)
{
	struct claims *c = arg;
	(void)index;
	struct response r = c->by_id ? post(fmt("%s/claim", c->take->job_path), c->node->token, NULL)
	                             : post(fmt("%s/recording-jobs/claim-next", c->node->path), c->node->token, NULL);
	bool won = r.status == 200 && strcmp(j_str(r.json, "data.id"), c->take->job_id) == 0;
	bool lost = r.status == (c->by_id ? 409 : 204);
	__atomic_add_fetch(won ? &c->won : lost ? &c->lost : &c->other, 1, __ATOMIC_RELAXED);
}

Test(races, fifty_claims_of_one_job)
{
	struct node n = enroll_node("Claims");
	for (int by_id = 0; by_id < 2; by_id++) {
		struct take t = start_recording(&n);
		struct claims c = {.node = &n, .take = &t, .by_id = by_id};
		parallel(50, claim, &c);
		cr_expect_eq(c.won, 1, "%d claims won", c.won);
		cr_expect_eq(c.lost, 49, "%d lost, %d neither", c.lost, c.other);
		must(post(fmt("%s/failed", t.job_path), n.token, NULL), 200);
	}
}

struct starts {
	const struct node *node;
	int started, refused;
};

static void start(int index, void *arg)
{
	struct starts *s = arg;
	(void)index;
	struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", s->node->id);
	__atomic_add_fetch(r.status == 202 ? &s->started : &s->refused, r.status == 202 || r.status == 409,
	                   __ATOMIC_RELAXED);
}

Test(races, a_node_never_gets_more_than_it_can_record)
{
	struct node n = enroll_node("Capacity");
	struct starts s = {.node = &n};
	admin();
	parallel(20, start, &s);
	cr_expect_eq(s.started, 1, "%d recordings started", s.started);
	cr_expect_eq(s.refused, 19, "%d refused", s.refused);
}

struct uploads {
	const struct node *node;
	const struct take *take;
	struct blob file[8];
	int status[8];
};

static void upload(int index, void *arg)
{
	struct uploads *u = arg;
	const char *const headers[] = {"x-rakkr-file-name: x.wav", NULL};
	u->status[index] = http("PUT", fmt("%s/cache-file", u->take->recording_path), u->node->token, headers,
	                        u->file[index].data, u->file[index].len)
	                       .status;
}

Test(races, uploads_of_one_recording_at_once)
{
	struct node n = enroll_node("Uploads");
	struct take t = start_recording(&n);
	struct uploads u = {.node = &n, .take = &t};
	cr_assert_str_eq(claim_next(&n), t.job_id);
	for (int i = 0; i < 8; i++)
		u.file[i] = wav(1, 8000, 1 + i);
	parallel(8, upload, &u);
	for (int i = 0; i < 8; i++)
		cr_expect_eq(u.status[i], 201, "upload %d: %d", i, u.status[i]);
	struct response recording = get(t.recording_path, admin());
	struct response file = get(fmt("%s/file", t.recording_path), admin());
	must(file, 200);
	int winner = -1;
	for (int i = 0; i < 8; i++)
		if (file.len == u.file[i].len && memcmp(file.body, u.file[i].data, file.len) == 0)
			winner = i;
	cr_assert(winner >= 0, "the file is a mixture of %zu bytes", file.len);
	cr_expect_str_eq(j_str(recording.json, "data.checksum"), fmt("sha256:%s", sha256(file.body, file.len)),
	                 "record and file are not from the same upload");
	cr_expect_eq(j_int(recording.json, "data.durationSeconds"), 1 + winner);
}

struct beats {
	const struct node *node;
	int accepted, edited;
};

static void beat(int index, void *arg)
{
	struct beats *b = arg;
	struct response r = post(fmt("%s/heartbeat", b->node->path), b->node->token,
	                         "{\"agentVersion\":\"1.%d\",\"hostname\":\"rec\",\"status\":\"online\"}", index);
	__atomic_add_fetch(&b->accepted, r.status == 202, __ATOMIC_RELAXED);
}

static void rename_node(int index, void *arg)
{
	struct beats *b = arg;
	if (index > 0)
		beat(index, arg);
	else
		b->edited = patch(b->node->path, admin(), "{\"alias\":\"Renamed\",\"tags\":[\"kept\"]}").status;
}

Test(races, heartbeats_do_not_undo_an_edit)
{
	struct node n = enroll_node("Edited");
	struct beats b = {.node = &n};
	admin();
	parallel(12, rename_node, &b);
	cr_expect_eq(b.accepted, 11);
	cr_expect_eq(b.edited, 200);
	struct response r = get(n.path, admin());
	cr_expect_str_eq(j_str(r.json, "data.alias"), "Renamed");
	cr_expect_str_eq(j_str(r.json, "data.tags.0"), "kept");
}

/* ---- a node that goes while a recording starts ------------------------------------------------------------------- */

static bool somebody_waits(void *arg)
{
	(void)arg;
	return strcmp(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
	                  " (SELECT oid FROM pg_database WHERE datname = current_database())"),
	              "0") != 0;
}

/* 0 starts a recording on the node; 1 removes the node, whose lock it has, as soon as the start waits for that. */
static void start_and_remove(int index, void *arg)
{
	const struct node *n = arg;

	if (index == 0) {
		struct response r = post("/api/v1/recordings", admin(), "{\"nodeId\":\"%s\"}", n->id);
		must(r, 404);
		cr_expect_str_eq(j_str(r.json, "error"), "Node not found");
		return;
	}
	cr_expect(wait_until(somebody_waits, NULL, 5000), "the start does not lock the node");
	sql("DELETE FROM nodes WHERE id = '%s'", n->id);
	sql("SELECT pg_advisory_unlock(hashtextextended('node:%s', 0))", n->id);
}

/* A job that no node can ever claim would keep its recording at work for ever. */
Test(races, no_recording_starts_on_a_node_that_is_being_removed)
{
	if (!on_postgres())
		cr_skip_test("a lock can only be held in a database");
	struct node n = enroll_node("Removed");
	admin();
	sql("SELECT pg_advisory_lock(hashtextextended('node:%s', 0))", n.id);
	parallel(2, start_and_remove, &n);
	cr_expect_str_eq(sql("SELECT count(*) FROM recording_jobs WHERE node_id = '%s'", n.id), "0");
	cr_expect_str_eq(j_str(audit_last("recordings.start.failed", n.id), "reason"), "node_not_found");
}

/* ---- administrators who change each other ------------------------------------------------------------------------ */

struct bosses {
	struct user at[2];
	int changed;
};

static void change_the_other(int index, void *arg)
{
	struct bosses *b = arg;
	const char *path = fmt("/api/v1/auth/users/%s", b->at[1 - index].id);
	for (int i = 0; i < 30; i++) {
		struct response r = patch(fmt("%s/access", path), b->at[index].token, "{\"roles\":[\"owner\"]}");
		__atomic_add_fetch(&b->changed, r.status == 200, __ATOMIC_RELAXED);
		r = patch(fmt("%s/status", path), b->at[index].token, "{\"disabled\":false}");
		__atomic_add_fetch(&b->changed, r.status == 200, __ATOMIC_RELAXED);
	}
}

/* The event of each change refers to the account that the other one is changing. */
Test(races, administrators_who_change_each_other, .timeout = 120)
{
	struct bosses b = {.at = {create_user("owner", NULL), create_user("owner", NULL)}};
	parallel(2, change_the_other, &b);
	cr_expect_eq(b.changed, 120, "%d of 120", b.changed);
}
