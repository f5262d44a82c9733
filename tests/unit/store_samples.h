/* Sample documents, and short forms of store calls that must succeed, for the tests of both store backends. */
#ifndef RAKKR_TESTS_STORE_SAMPLES_H
#define RAKKR_TESTS_STORE_SAMPLES_H

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/store.h"

#include <criterion/criterion.h>
#include <string.h>

#define DAY_MS 86400000

static inline json_object *parse(const void *ctx, const char *text)
{
	json_object *o;

	cr_assert(json_parse(ctx, text, strlen(text), &o), "test document: %s", text);
	return o;
}

/* A recording; more is further members, each with a comma in front, or "". */
static inline json_object *a_recording(const void *ctx, const char *id, const char *node, const char *recorded_at,
                                       const char *more)
{
	return parse(ctx,
	             mem_printf(ctx,
	                        "{\"cached\":false,\"durationSeconds\":60,\"folder\":\"Music\",\"healthStatus\":"
	                        "\"unknown\",\"id\":\"%s\",\"name\":\"%s\",\"nodeId\":\"%s\",\"recordedAt\":\"%s\","
	                        "\"source\":\"ad_hoc\",\"status\":\"completed\",\"tags\":[]%s}",
	                        id, id, node, recorded_at, more));
}

static inline json_object *a_job(const void *ctx, const char *id, const char *node, const char *recording,
                                 const char *created_at)
{
	return parse(ctx, mem_printf(ctx,
	                             "{\"command\":{\"captureChannels\":2,\"captureDevice\":\"hw:1\",\"captureFormat\":"
	                             "\"S16_LE\",\"captureSampleRate\":48000,\"durationSeconds\":60,\"outputFileName\":"
	                             "\"x.wav\",\"type\":\"alsa_capture\"},\"createdAt\":\"%s\",\"id\":\"%s\","
	                             "\"nodeId\":\"%s\",\"recordingId\":\"%s\",\"status\":\"queued\"}",
	                             created_at, id, node, recording));
}

static inline json_object *a_node(const void *ctx, const char *id)
{
	char one[UUID_SIZE], two[UUID_SIZE];

	uuid_v4(one);
	uuid_v4(two);
	return parse(
	    ctx,
	    mem_printf(ctx,
	               "{\"agentVersion\":\"1.0\",\"alias\":\"Rack\",\"createdAt\":\"2031-01-01T00:00:00.000Z\","
	               "\"enrolledAt\":\"2031-01-01T00:00:00.000Z\",\"hostname\":\"rack\",\"id\":\"%s\","
	               "\"interfaces\":[{\"alias\":\"Second\",\"backend\":\"alsa\",\"channelCount\":2,"
	               "\"channels\":[{\"alias\":\"Channel 1\",\"index\":1},{\"alias\":\"Channel 2\",\"index\":2}],"
	               "\"id\":\"%s\",\"sampleRates\":[48000],\"serialNumber\":\"sn\",\"systemName\":\"b\","
	               "\"systemRef\":\"b\"},{\"alias\":\"First\",\"backend\":\"jack\",\"channelCount\":0,"
	               "\"channels\":[],\"id\":\"%s\",\"sampleRates\":[],\"systemName\":\"a\",\"systemRef\":\"a\"}],"
	               "\"ipAddresses\":[\"10.0.0.1\"],\"location\":{\"room\":\"Hall\",\"site\":\"HQ\"},"
	               "\"recordingCapacity\":{\"maxConcurrentRecordings\":4},\"status\":\"offline\",\"tags\":[]}",
	               id, one, two));
}

static inline json_object *a_credential(const void *ctx, const char *node, const char *hash)
{
	char id[UUID_SIZE];

	uuid_v4(id);
	return parse(ctx, mem_printf(ctx,
	                             "{\"createdAt\":\"2031-01-01T00:00:00.000Z\",\"id\":\"%s\",\"nodeId\":\"%s\","
	                             "\"tokenHash\":\"%s\",\"tokenPrefix\":\"rakkr_node_AAAAAAAAAAAAA\"}",
	                             id, node, hash));
}

static inline json_object *an_event(const void *ctx, const char *action)
{
	char id[UUID_SIZE];

	uuid_v7(id, clock_now_ms());
	return parse(
	    ctx,
	    mem_printf(ctx,
	               "{\"action\":\"%s\",\"actor\":{\"id\":\"anonymous\",\"name\":\"Anonymous\",\"roles\":[],"
	               "\"type\":\"user\"},\"actorContext\":{},\"createdAt\":\"%s\",\"details\":{\"path\":\"/x\"},"
	               "\"id\":\"%s\",\"outcome\":\"succeeded\",\"target\":{\"id\":\"t\",\"type\":\"controller\"}}",
	               action, clock_iso_dup(ctx, clock_now_ms()), id));
}

static inline json_object *list_of(const void *ctx, json_object *one)
{
	json_object *a = json_new_array(ctx);

	json_push_ref(a, one);
	return a;
}

static inline void insert_ok(struct store *s, const void *ctx, const struct model *m, json_object *doc)
{
	cr_assert_eq(store_insert(s, ctx, m, doc, NULL), ST_OK);
}

static inline void commit_ok(struct store *s)
{
	cr_assert_eq(store_commit(s, NULL, true), ST_OK);
}

static inline struct page list_ok(struct store *s, const void *ctx, const struct model *m, const struct query *q)
{
	struct page page;

	cr_assert_eq(store_list(s, ctx, m, q, &page), ST_OK);
	return page;
}

/* The ids of a page joined by blanks. */
static inline const char *ids_of(const void *ctx, const struct page *page)
{
	char *out = mem_strdup(ctx, "");

	for (size_t i = 0; i < page->count; i++)
		out = mem_printf(ctx, "%s%s%s", out, i > 0 ? " " : "",
		                 json_str_or(json_object_array_get_idx(page->docs, i), "id", "?"));
	return out;
}

/* A query for the recordings of one node. */
static inline struct query of_node(const char *node)
{
	struct query q;

	query_init(&q);
	query_where(&q, "nodeId", Q_EQ, node);
	return q;
}

static inline int64_t count_of(struct store *s, const void *ctx, const struct model *m, const struct query *q)
{
	struct query counting = *q;
	struct page page;

	counting.limit = 0;
	counting.want_total = true;
	page = list_ok(s, ctx, m, &counting);
	cr_assert_eq(page.count, 0);
	return page.total;
}

#endif
