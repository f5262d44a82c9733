#include "api/node_filter.h"

#include "api/csv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static const char *const backends[] = {"alsa", "jack", "pipewire", "unknown", NULL};
static const char *const statuses[] = {"online", "offline", "degraded", "recording", "alerting", NULL};

#define FILTER_TEXT(name_, max_)                                                                                       \
	{                                                                                                              \
		.name = (name_), .type = V_STR, .flags = S_BLANK_ABSENT | S_TRIM, .min = 1, .max = (max_)              \
	}

static const struct schema_field query_fields[] = {
    {.name = "backend", .type = V_ENUM, .values = backends},
    FILTER_TEXT("building", 160),
    FILTER_TEXT("floor", 160),
    {.name = "lastSeenFrom", .type = V_ISO, .flags = S_BLANK_ABSENT},
    {.name = "lastSeenTo", .type = V_ISO, .flags = S_BLANK_ABSENT},
    FILTER_TEXT("q", 200),
    FILTER_TEXT("room", 160),
    FILTER_TEXT("site", 160),
    {.name = "status", .type = V_ENUM, .values = statuses},
};
const struct schema node_query_schema = SCHEMA(query_fields, S_STRICT, NULL);

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static bool array_has(json_object *array, const char *text)
{
	for (size_t i = 0; array != NULL && i < json_object_array_length(array); i++) {
		json_object *v = json_object_array_get_idx(array, i);

		if (json_is_str(v) && strcmp(json_object_get_string(v), text) == 0)
			return true;
	}
	return false;
}

static bool has_backend(json_object *node, const char *backend)
{
	json_object *interfaces = json_array(node, "interfaces");

	if (array_has(json_array(json_object_at(node, "runtime"), "audioBackends"), backend))
		return true;
	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++)
		if (text_equal(json_str(json_object_array_get_idx(interfaces, i), "backend"), backend))
			return true;
	return false;
}

static bool place_matches(const void *ctx, json_object *node, json_object *filters)
{
	static const char *const parts[] = {"building", "floor", "room", "site"};
	json_object *location = json_object_at(node, "location");

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *want = json_str(filters, parts[i]), *have = json_str(location, parts[i]);

		if (want != NULL && (have == NULL || !text_equal_ci(text_trim(ctx, have), want)))
			return false;
	}
	return true;
}

static bool seen_between(json_object *node, const char *from, const char *to)
{
	int64_t seen, bound;

	if (from == NULL && to == NULL)
		return true;
	if (!clock_parse(json_str_or(node, "lastSeenAt", ""), CLOCK_ISO_OFFSET, &seen))
		return false;
	if (from != NULL && (!clock_parse(from, CLOCK_ISO_OFFSET, &bound) || seen < bound))
		return false;
	return to == NULL || (clock_parse(to, CLOCK_ISO_OFFSET, &bound) && seen <= bound);
}

/* ---- the text that q is looked for in -----------------------------------------------------------------------------
 */

static void add_text(struct buf *b, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	if (b->len > 0)
		buf_putc(b, ' ');
	buf_puts(b, text);
}

static void add_value(struct buf *b, json_object *v)
{
	if (json_is_str(v))
		add_text(b, json_object_get_string(v));
	else if (v != NULL)
		add_text(b, json_compact(b->ctx, v, NULL));
}

static void add_members(struct buf *b, json_object *o, const char *const *keys)
{
	for (; *keys != NULL; keys++) {
		json_object *v = json_get(o, *keys);

		if (!json_object_is_type(v, json_type_array)) {
			add_value(b, v);
			continue;
		}
		for (size_t i = 0; i < json_object_array_length(v); i++)
			add_value(b, json_object_array_get_idx(v, i));
	}
}

static void add_interface(struct buf *b, json_object *interface)
{
	static const char *const keys[] = {"alias",       "backend",      "channelCount", "hardwarePath", "id",
	                                   "sampleRates", "serialNumber", "systemName",   "systemRef",    NULL};
	static const char *const channel_keys[] = {"alias", "index", NULL};
	json_object *channels = json_array(interface, "channels");

	add_members(b, interface, keys);
	for (size_t i = 0; channels != NULL && i < json_object_array_length(channels); i++)
		add_members(b, json_object_array_get_idx(channels, i), channel_keys);
}

static const char *search_text(const void *ctx, json_object *node)
{
	static const char *const names[] = {"id", "alias", "hostname", "agentVersion", NULL};
	static const char *const audio[] = {"captureBackend", "captureCommand",    "captureDevice",
	                                    "captureFormat",  "captureSampleRate", NULL};
	static const char *const middle[] = {"status", "notes", "ipAddresses", "tags", NULL};
	static const char *const place[] = {"building", "floor", "room", "site", NULL};
	static const char *const runtime[] = {"architecture", "audioBackends", "kernelRelease",
	                                      "osName",       "uptimeSeconds", NULL};
	json_object *interfaces = json_array(node, "interfaces");
	struct buf b;

	buf_init(&b, ctx);
	add_members(&b, node, names);
	add_members(&b, json_object_at(node, "audioDefaults"), audio);
	add_members(&b, node, middle);
	add_members(&b, json_object_at(node, "location"), place);
	add_members(&b, json_object_at(node, "runtime"), runtime);
	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++)
		add_interface(&b, json_object_array_get_idx(interfaces, i));
	return b.data != NULL ? b.data : "";
}

bool node_matches(const void *ctx, json_object *node, json_object *filters)
{
	const char *backend = json_str(filters, "backend"), *wanted = json_str(filters, "status");
	const char *q = json_str(filters, "q");

	if (wanted != NULL && !text_equal(json_str(node, "status"), wanted))
		return false;
	if (backend != NULL && !has_backend(node, backend))
		return false;
	if (!place_matches(ctx, node, filters))
		return false;
	if (!seen_between(node, json_str(filters, "lastSeenFrom"), json_str(filters, "lastSeenTo")))
		return false;
	return q == NULL || text_contains_ci(search_text(ctx, node), q);
}

json_object *node_filter(const void *ctx, json_object *nodes, json_object *filters)
{
	json_object *kept = json_new_array(ctx);

	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		json_object *node = json_object_array_get_idx(nodes, i);

		if (node_matches(ctx, node, filters))
			json_push_ref(kept, node);
	}
	return kept;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

const char *const node_csv_columns[NODE_CSV_COLUMNS] = {
    "id",
    "alias",
    "status",
    "site",
    "building",
    "floor",
    "room",
    "hostname",
    "ip_addresses",
    "agent_version",
    "last_seen_at",
    "os_name",
    "kernel_release",
    "architecture",
    "audio_backends",
    "max_concurrent_recordings",
    "interface_count",
    "interfaces",
    "tags",
    "notes",
};

/* " <label><value>" if there is a value. */
static void add_labelled(struct buf *b, const char *label, const char *value)
{
	if (value != NULL && *value != '\0')
		buf_printf(b, "%s%s%s", b->len > 0 ? " " : "", label, value);
}

static void add_rates(struct buf *b, const void *ctx, json_object *rates)
{
	for (size_t i = 0; rates != NULL && i < json_object_array_length(rates); i++) {
		buf_puts(b, i == 0 ? " rates=" : "/");
		buf_puts(b, json_compact(ctx, json_object_array_get_idx(rates, i), NULL));
	}
}

static const char *interface_summary(const void *ctx, json_object *interface)
{
	struct buf b;

	buf_init(&b, ctx);
	buf_printf(&b, "%s [%s]", json_str_or(interface, "alias", ""), json_str_or(interface, "backend", "unknown"));
	add_labelled(&b, "", json_str(interface, "systemName"));
	buf_printf(&b, " channels=%lld", (long long)json_int(interface, "channelCount", 0));
	add_rates(&b, ctx, json_array(interface, "sampleRates"));
	add_labelled(&b, "serial=", json_str(interface, "serialNumber"));
	add_labelled(&b, "path=", json_str(interface, "hardwarePath"));
	return b.data;
}

static json_object *interface_summaries(const void *ctx, json_object *interfaces)
{
	json_object *summaries = json_new_array(ctx);

	for (size_t i = 0; interfaces != NULL && i < json_object_array_length(interfaces); i++)
		json_push_str(summaries, interface_summary(ctx, json_object_array_get_idx(interfaces, i)));
	return summaries;
}

static void csv_members(struct csv *c, const void *ctx, json_object *o, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		csv_member(c, ctx, o, *keys);
}

void node_csv_row(struct csv *c, const void *ctx, json_object *node)
{
	static const char *const names[] = {"id", "alias", "status", NULL};
	static const char *const place[] = {"site", "building", "floor", "room", NULL};
	static const char *const system[] = {"osName", "kernelRelease", "architecture", NULL};
	json_object *runtime = json_object_at(node, "runtime"), *interfaces = json_array(node, "interfaces");
	json_object *capacity = json_object_at(node, "recordingCapacity");

	csv_row(c);
	csv_members(c, ctx, node, names);
	csv_members(c, ctx, json_object_at(node, "location"), place);
	csv_member(c, ctx, node, "hostname");
	csv_joined(c, ctx, json_array(node, "ipAddresses"), "; ");
	csv_member(c, ctx, node, "agentVersion");
	csv_member(c, ctx, node, "lastSeenAt");
	csv_members(c, ctx, runtime, system);
	csv_joined(c, ctx, json_array(runtime, "audioBackends"), "; ");
	csv_int(c, json_int(capacity, "maxConcurrentRecordings", 1));
	csv_int(c, interfaces != NULL ? (int64_t)json_object_array_length(interfaces) : 0);
	csv_joined(c, ctx, interface_summaries(ctx, interfaces), "; ");
	csv_joined(c, ctx, json_array(node, "tags"), "; ");
	csv_member(c, ctx, node, "notes");
}

status node_csv_reply(struct request *r, json_object *nodes)
{
	struct buf document;
	struct csv csv;

	buf_init(&document, r->mem);
	csv_init(&csv, &document, CSV_QUOTE_NEEDED);
	csv_header(&csv, node_csv_columns, NODE_CSV_COLUMNS);
	for (size_t i = 0; i < json_object_array_length(nodes); i++)
		node_csv_row(&csv, r->mem, json_object_array_get_idx(nodes, i));
	return csv_reply(r, csv_file_name(r, "rakkr-nodes", false), &document, true);
}
