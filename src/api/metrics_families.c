/* The families of GET /metrics, in the order of contract 06 9.3; grouped, as strict parsers want them (06 T22). */
#include "api/metrics.h"

#include "base/mem.h"
#include "base/text.h"
#include "engine/exposition.h"
#include "engine/tally.h"
#include "model/enums.h"

#include <math.h>
#include <string.h>

#define LOW_SIGNAL "watchdog.scheduled_low_signal"
#define NODE_OFFLINE "watchdog.node_offline"

static const char *const job_statuses[] = {"queued", "running", "stop_requested", "cancelled", "completed", "failed"};
static const char *const severities[] = {"info", "warning", "critical"};
static const char *const alarms[] = {"warning", "critical"};
static const char *const unresolved[] = {"open", "acknowledged", "suppressed"};
static const char *const providers[] = {"stub", "smb", "s3"};
static const char *const depths[] = {"queued", "retrying", "failed"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FOR_EACH(word, array) for (const char *const *word = (array); word < (array) + COUNT(array); word++)
/* A family and its samples with whole numbers. */
#define LABEL(name_, value_) ((struct exposition_label){(name_), (value_)})
#define LABELS(...) ((const struct exposition_label[]){__VA_ARGS__})

static void put_count(struct buf *out, const char *name, const struct exposition_label *labels, size_t n, int64_t value)
{
	exposition_count(out, name, labels, n, value);
}

static void gauge(struct buf *out, const char *name, const char *help)
{
	exposition_family(out, name, "gauge", help);
}

static void counter(struct buf *out, const char *name, const char *help)
{
	exposition_family(out, name, "counter", help);
}

static size_t node_count(const struct scrape *s)
{
	return s->nodes != NULL ? json_object_array_length(s->nodes) : 0;
}

static const char *node_id(const struct scrape *s, size_t i)
{
	return json_str(json_object_array_get_idx(s->nodes, i), "id");
}

/* ---- 1 to 4 ------------------------------------------------------------------------------------------------------ */

void family_started(struct request *r, struct buf *out)
{
	static const char name[] = "rakkr_controller_started_at_seconds";

	gauge(out, name, "Controller process start timestamp.");
	exposition_sample(out, name, NULL, 0, (double)live_started_ms(r->live) / 1000);
}

void family_database(bool unavailable, struct buf *out)
{
	static const char name[] = "rakkr_database_unavailable";

	gauge(out, name, "Whether the controller cannot use its database.");
	put_count(out, name, NULL, 0, unavailable);
}

static void family_online(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_node_online";

	gauge(out, name, "Whether a recorder node is reachable.");
	for (size_t i = 0; i < node_count(s); i++) {
		json_object *node = json_object_array_get_idx(s->nodes, i);
		json_object *place = json_object_at(node, "location");
		const char *state = json_str(node, "status");

		put_count(out, name,
		          LABELS(LABEL("alias", json_str(node, "alias")), LABEL("node_id", json_str(node, "id")),
		                 LABEL("room", json_str(place, "room")), LABEL("site", json_str(place, "site")),
		                 LABEL("status", state)),
		          5, !text_equal(state, "offline"));
	}
}

/* One sample a node, of tally[node, second]; second may be NULL. */
static void family_by_node(const struct scrape *s, json_object *tally, const char *second, const char *name,
                           const char *help, struct buf *out)
{
	if (tally == NULL)
		return;
	gauge(out, name, help);
	for (size_t i = 0; i < node_count(s); i++) {
		const char *key[] = {node_id(s, i), second};

		put_count(out, name, LABELS(LABEL("node_id", key[0])), 1,
		          tally_get(tally, key, second != NULL ? 2 : 1));
	}
}

void families_before_recordings(struct request *r, const struct scrape *s, struct buf *out)
{
	family_started(r, out);
	if (s->nodes == NULL)
		return;
	family_online(s, out);
	family_by_node(s, s->active, NULL, "rakkr_recording_active", "Active recording jobs by recorder node.", out);
	family_by_node(s, s->recordings, "true", "rakkr_recording_cached", "Cached recordings by recorder node.", out);
}

/* ---- 7 ----------------------------------------------------------------------------------------------------------- */

static void family_jobs(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_recording_jobs";

	if (s->nodes == NULL || s->jobs == NULL)
		return;
	gauge(out, name, "Recording jobs by recorder node and status.");
	for (size_t i = 0; i < node_count(s); i++) {
		FOR_EACH(job, job_statuses)
		{
			const char *key[] = {node_id(s, i), *job};

			put_count(out, name, LABELS(LABEL("node_id", key[0]), LABEL("status", key[1])), 2,
			          tally_get(s->jobs, key, 2));
		}
	}
}

/* ---- 8 to 18: levels --------------------------------------------------------------------------------------------- */

enum level_place { IN_LEVEL, IN_QUALITY, IN_CORRELATION };

static const struct level_family {
	const char *name, *help, *key;
	enum level_place place;
} level_families[] = {
    {"rakkr_input_rms_dbfs", "Latest RMS input level by audio channel.", "rmsDbfs", IN_LEVEL},
    {"rakkr_input_peak_dbfs", "Latest peak input level by audio channel.", "peakDbfs", IN_LEVEL},
    {"rakkr_input_clipping_ratio", "Latest clipping state by audio channel.", "clipping", IN_LEVEL},
    {"rakkr_input_speech_score", "Latest local speech-likelihood score by channel.", "speechScore", IN_QUALITY},
    {"rakkr_input_noise_score", "Latest local non-speech noise score by channel.", "noiseScore", IN_QUALITY},
    {"rakkr_input_broadband_noise_score", "Latest local broadband-noise likelihood score by channel.",
     "broadbandNoiseScore", IN_QUALITY},
    {"rakkr_input_hum_score", "Latest local hum-likelihood score by channel.", "humScore", IN_QUALITY},
    {"rakkr_input_static_score", "Latest local static-likelihood score by channel.", "staticScore", IN_QUALITY},
    {"rakkr_input_estimated_snr_db", "Latest estimated signal-to-noise ratio by channel.", "estimatedSnrDb",
     IN_QUALITY},
    {"rakkr_input_intelligibility_score", "Latest first-pass voice intelligibility score by channel.",
     "intelligibilityScore", IN_QUALITY},
    {"rakkr_input_channel_correlation_score", "Latest strongest same-interface channel correlation score by channel.",
     "score", IN_CORRELATION},
};

/* The value of a family in a level; NULL if it has none. */
static json_object *level_value(const struct level_family *f, json_object *level, json_object **correlation)
{
	json_object *quality = json_object_at(level, "quality");

	*correlation = json_object_at(quality, "channelCorrelation");
	return json_get(f->place == IN_LEVEL ? level : f->place == IN_QUALITY ? quality : *correlation, f->key);
}

static double as_number(json_object *v)
{
	return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : json_object_get_double(v);
}

static void put_level(const struct level_family *f, json_object *frame, json_object *level, struct buf *out)
{
	json_object *correlation, *value = level_value(f, level, &correlation);
	json_object *channel = json_get(level, "channelIndex"), *peer = json_get(correlation, "peerChannelIndex");
	bool related = f->place == IN_CORRELATION;

	if (value == NULL)
		return;
	exposition_sample(out, f->name,
	                  LABELS(LABEL("channel", channel != NULL ? json_object_get_string(channel) : NULL),
	                         LABEL("interface_id", json_str(frame, "interfaceId")),
	                         LABEL("node_id", json_str(frame, "nodeId")),
	                         LABEL("peer_channel", related && peer != NULL ? json_object_get_string(peer) : NULL),
	                         LABEL("phase", related ? json_str(correlation, "phase") : NULL)),
	                  5, as_number(value));
}

/* True if an earlier level of the frame is of the same channel: a series must not come twice. */
static bool is_again(json_object *levels, size_t at)
{
	int64_t channel = json_int(json_object_array_get_idx(levels, at), "channelIndex", -1);

	for (size_t i = 0; i < at; i++)
		if (json_int(json_object_array_get_idx(levels, i), "channelIndex", -1) == channel)
			return true;
	return false;
}

static void families_levels(const struct scrape *s, struct buf *out)
{
	for (size_t k = 0; k < COUNT(level_families); k++) {
		gauge(out, level_families[k].name, level_families[k].help);
		for (size_t i = 0; i < s->frame_count; i++) {
			json_object *levels = json_array(s->frames[i], "levels");

			for (size_t c = 0; levels != NULL && c < json_object_array_length(levels); c++)
				if (!is_again(levels, c))
					put_level(&level_families[k], s->frames[i],
					          json_object_array_get_idx(levels, c), out);
		}
	}
}

/* ---- 19, 20 ------------------------------------------------------------------------------------------------------ */

static void families_chunks(const struct scrape *s, struct buf *out)
{
	static const char age[] = "rakkr_listen_monitor_chunk_age_seconds";
	static const char duration[] = "rakkr_listen_monitor_chunk_duration_seconds";

	gauge(out, age, "Latest listen-monitor audio chunk age by node.");
	for (size_t i = 0; i < s->chunk_count; i++)
		put_count(out, age,
		          LABELS(LABEL("node_id", s->chunks[i].node_id), LABEL("source", "agent_audio_chunk")), 2,
		          s->chunks[i].age_seconds);
	gauge(out, duration, "Latest listen-monitor audio chunk duration by node.");
	for (size_t i = 0; i < s->chunk_count; i++)
		exposition_sample(out, duration,
		                  LABELS(LABEL("node_id", s->chunks[i].node_id), LABEL("source", "agent_audio_chunk")),
		                  2, (double)s->chunks[i].duration_ms / 1000);
}

/* ---- 21 ---------------------------------------------------------------------------------------------------------- */

static void family_audit(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_audit_events_total";
	size_t n;
	struct tally_row *rows = tally_rows(out->ctx, s->audit, &n);

	if (s->audit == NULL)
		return;
	counter(out, name, "Audit events by action, outcome, permission, and actor type.");
	for (size_t i = 0; i < n; i++)
		put_count(out, name,
		          LABELS(LABEL("action", rows[i].labels[0]), LABEL("actor_type", rows[i].labels[1]),
		                 LABEL("outcome", rows[i].labels[2]), LABEL("permission", rows[i].labels[3])),
		          4, rows[i].n);
}

/* ---- 22 to 28 ---------------------------------------------------------------------------------------------------- */

static bool is_xrun(const char *type)
{
	return strstr(type, "xrun") != NULL;
}

/* What the gauges of health events show of the unresolved ones. */
struct unresolved {
	json_object *all;     /* severity, status */
	json_object *silent;  /* severity */
	json_object *offline; /* node, severity, status */
	int64_t xruns;
};

static struct unresolved count_unresolved(const void *ctx, json_object *health)
{
	struct unresolved u = {json_new_object(ctx), json_new_object(ctx), json_new_object(ctx), 0};
	size_t n;
	struct tally_row *rows = tally_rows(ctx, health, &n);

	for (size_t i = 0; i < n; i++) {
		const char *type = rows[i].labels[0];
		const char *key[] = {rows[i].labels[3], rows[i].labels[1], rows[i].labels[2]};

		if (strcmp(key[2], "resolved") == 0)
			continue;
		tally_add(u.all, key + 1, 2, rows[i].n);
		if (strcmp(type, LOW_SIGNAL) == 0)
			tally_add(u.silent, key + 1, 1, rows[i].n);
		if (strcmp(type, NODE_OFFLINE) == 0)
			tally_add(u.offline, key, 3, rows[i].n);
		if (is_xrun(type))
			u.xruns += rows[i].n;
	}
	return u;
}

static void family_health_active(const struct unresolved *u, struct buf *out)
{
	static const char name[] = "rakkr_health_events_active";

	gauge(out, name, "Unresolved health events by severity and status.");
	FOR_EACH(severity, severities)
	{
		FOR_EACH(state, unresolved)
		{
			const char *key[] = {*severity, *state};

			put_count(out, name, LABELS(LABEL("severity", key[0]), LABEL("status", key[1])), 2,
			          tally_get(u->all, key, 2));
		}
	}
}

static void family_health_total(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_health_events_total";
	json_object *tally = json_new_object(out->ctx);
	size_t n;
	struct tally_row *rows = tally_rows(out->ctx, s->health_ever, &n);

	if (s->health_ever == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		/* nodes choose the types: those that look the same are one series */
		const char *key[] = {text_no_controls(out->ctx, rows[i].labels[2]), rows[i].labels[0],
		                     rows[i].labels[1]};

		if (key[2][0] != '\0')
			tally_add(tally, key, 3, rows[i].n);
	}
	counter(out, name, "Health events by event type, severity, and status.");
	rows = tally_rows(out->ctx, tally, &n);
	for (size_t i = 0; i < n; i++)
		put_count(out, name,
		          LABELS(LABEL("event_type", rows[i].labels[0]), LABEL("severity", rows[i].labels[1]),
		                 LABEL("status", rows[i].labels[2])),
		          3, rows[i].n);
}

static bool is_low_signal(const char *type)
{
	return strcmp(type, LOW_SIGNAL) == 0;
}

/* Events of some types that there have been, by severity. */
static void family_ever(const struct scrape *s, bool (*wanted)(const char *type), const char *const *words,
                        size_t count, const char *name, const char *help, struct buf *out)
{
	json_object *tally = json_new_object(out->ctx);
	size_t n;
	struct tally_row *rows = tally_rows(out->ctx, s->health_ever, &n);

	if (s->health_ever == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		if (rows[i].labels[1][0] == '\0' && wanted(rows[i].labels[2]))
			tally_add(tally, rows[i].labels, 1, rows[i].n);
	counter(out, name, help);
	for (size_t i = 0; i < count; i++)
		put_count(out, name, LABELS(LABEL("severity", words[i])), 1, tally_get(tally, &words[i], 1));
}

static void family_offline(const struct scrape *s, const struct unresolved *u, struct buf *out)
{
	static const char name[] = "rakkr_node_offline_alerts_active";

	if (s->nodes == NULL)
		return;
	gauge(out, name, "Unresolved node-offline health events.");
	for (size_t i = 0; i < node_count(s); i++) {
		FOR_EACH(severity, alarms)
		{
			FOR_EACH(state, unresolved)
			{
				const char *key[] = {node_id(s, i), *severity, *state};

				put_count(out, name,
				          LABELS(LABEL("node_id", key[0]), LABEL("severity", key[1]),
				                 LABEL("status", key[2])),
				          3, tally_get(u->offline, key, 3));
			}
		}
	}
}

static void family_silent(const struct unresolved *u, struct buf *out)
{
	static const char name[] = "rakkr_recording_watchdog_alerts_active";

	gauge(out, name, "Unresolved watchdog health events.");
	FOR_EACH(severity, alarms)
	{
		put_count(out, name, LABELS(LABEL("severity", *severity)), 1, tally_get(u->silent, severity, 1));
	}
}

static void family_xruns(const struct unresolved *u, struct buf *out)
{
	static const char name[] = "rakkr_device_xruns_active";

	gauge(out, name, "Unresolved audio xrun health events.");
	put_count(out, name, NULL, 0, u->xruns);
}

static void families_health(const struct scrape *s, struct buf *out)
{
	struct unresolved u = count_unresolved(out->ctx, s->health);
	bool known = s->health != NULL;

	if (known)
		family_health_active(&u, out);
	family_health_total(s, out);
	if (known)
		family_silent(&u, out);
	family_ever(s, is_low_signal, alarms, COUNT(alarms), "rakkr_recording_watchdog_alerts_total",
	            "Watchdog health events.", out);
	if (known) {
		family_offline(s, &u, out);
		family_xruns(&u, out);
	}
	family_ever(s, is_xrun, severities, COUNT(severities), "rakkr_device_xruns_total", "Audio xrun health events.",
	            out);
}

/* ---- 29 to 31 ---------------------------------------------------------------------------------------------------- */

static void family_depth(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_upload_queue_depth";

	if (s->uploads == NULL)
		return;
	gauge(out, name, "Upload queue items by provider and status.");
	FOR_EACH(provider, providers)
	{
		FOR_EACH(state, depths)
		{
			const char *key[] = {*provider, *state};

			put_count(out, name, LABELS(LABEL("provider", key[0]), LABEL("status", key[1])), 2,
			          tally_get(s->uploads, key, 2));
		}
	}
}

static void family_overdue(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_upload_queue_oldest_due_seconds";

	if (s->uploads_due == NULL)
		return;
	gauge(out, name, "Oldest overdue upload queue item age by provider and status.");
	FOR_EACH(provider, providers)
	{
		for (size_t i = 0; i < 2; i++) { /* a failed one is not due */
			const char *key[] = {*provider, depths[i]};
			int64_t due = tally_get(s->uploads_due, key, 2);

			put_count(out, name, LABELS(LABEL("provider", key[0]), LABEL("status", key[1])), 2,
			          due != 0 && due < s->now_ms ? (s->now_ms - due) / 1000 : 0);
		}
	}
}

static void family_upload_failures(const struct scrape *s, struct buf *out)
{
	static const char name[] = "rakkr_upload_failures_total";

	if (s->upload_failures == NULL)
		return;
	counter(out, name, "Failed upload queue attempts.");
	FOR_EACH(provider, providers)
	{
		put_count(out, name, LABELS(LABEL("provider", *provider)), 1,
		          tally_get(s->upload_failures, provider, 1));
	}
}

void families_after_recordings(const struct scrape *s, struct buf *out)
{
	family_jobs(s, out);
	if (s->nodes != NULL) {
		families_levels(s, out);
		families_chunks(s, out);
	}
	family_audit(s, out);
	families_health(s, out);
	family_depth(s, out);
	family_overdue(s, out);
	family_upload_failures(s, out);
	family_database(false, out);
}
