/* Demo data and its switch (contract 02 13.1, 03 3.2.1; README: what is built in exists all the same). */
#include "http/harness.h"
#include "http/instance.h"

#include <stdlib.h>

#define DEMO_NODE "node_x32_test"
#define DEMO_RECORDING "rec_demo_001"

static bool listed(const char *path, const char *id)
{
	struct response r = get(path, admin());

	must(r, 200);
	return j_find(r.json, "data", "id", id) != NULL;
}

static void expect_built_in(void)
{
	struct node n = enroll_node("Real");
	struct take t = start_recording(&n); /* with the default profile and policies */
	struct response r = get(t.recording_path, admin());

	cr_expect_str_eq(j_str(r.json, "data.recordingProfileId"), "voice-mp3-vbr");
	cr_expect(listed("/api/v1/nodes", n.id));
	cr_expect(listed("/api/v1/recordings", t.recording_id));
}

/* Without a database the demo documents are what a missing file starts with, whatever the switch says (02 T20). */
Test(demo_data, switched_off, .timeout = 120)
{
	bool there = !on_postgres();

	setenv("RAKKR_SEED_DEMO_DATA", "0", 1);
	own_start(true);
	cr_expect_eq(listed("/api/v1/nodes", DEMO_NODE), there);
	cr_expect_eq(get("/api/v1/nodes/" DEMO_NODE, admin()).status, there ? 200 : 404);
	cr_expect_eq(get("/api/v1/nodes/" DEMO_NODE "/meters", admin()).status, there ? 200 : 404);
	cr_expect_eq(listed("/api/v1/recordings", DEMO_RECORDING), there);
	expect_built_in();
	own_end();
}

/* The node is in no table, cannot be edited there and has no credential; the recording is a row that may be deleted. */
Test(demo_data, on_unless_switched_off, .timeout = 120)
{
	unsetenv("RAKKR_SEED_DEMO_DATA");
	own_start(true);
	for (int again = 0; again < 2; again++) {
		cr_expect(listed("/api/v1/nodes", DEMO_NODE));
		cr_expect(listed("/api/v1/recordings", DEMO_RECORDING));
		struct response r = get("/api/v1/recordings?search=rec_demo", admin());
		cr_expect_eq(j_int(r.json, "meta.total"), 1, "once");
		must(get("/api/v1/nodes/" DEMO_NODE "/meters", admin()), 200);
		r = patch("/api/v1/nodes/" DEMO_NODE, admin(), "{\"alias\":\"Renamed\"}");
		must(r, on_postgres() ? 404 : 200);
		if (on_postgres())
			must(post("/api/v1/nodes/" DEMO_NODE "/credentials/rotate", admin(), NULL), 404);
		own_stop();
		own_start(true);
	}
	expect_built_in();
	must(del("/api/v1/recordings/" DEMO_RECORDING, admin()), 204);
	own_stop();
	own_start(true);
	cr_expect_not(listed("/api/v1/recordings", DEMO_RECORDING), "it came back");
	own_end();
}
