/* Recording profiles and watchdog policies (contract 07 2.13, 3.5, 3.7, 3.13). */
#include "model/enums.h"
#include "model/mend.h"
#include "model/model.h"

static const struct model_field profile_fields[] = {
    F_TYPE("bitrateKbps", "bitrate_kbps", M_INT, M_REQUIRED),
    F_WORD("channelMode", "channel_mode", enum_channel_mode, 64, M_REQUIRED),
    F_WORD("codec", "codec", enum_output_codec, 32, M_REQUIRED),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    F_KEY("maxTrackSeconds", "settings", "maxTrackSeconds", M_INT, 0),
    F_TEXT("name", "name", 160, M_REQUIRED),
    F_TYPE("silenceDetectionEnabled", "silence_detection_enabled", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_TYPE("silenceSkipEnabled", "silence_skip_enabled", M_BOOL, M_REQUIRED | M_DEFAULT),
    F_TYPE("vbr", "vbr", M_BOOL, M_REQUIRED | M_DEFAULT),
};

static void repair_profile(json_object *doc)
{
	mend_int_or(doc, "bitrateKbps", 1, 128);
	mend_word_or(doc, "channelMode", enum_channel_mode, "mono_to_stereo_mix");
	mend_word_or(doc, "codec", enum_output_codec, "mp3");
	mend_int(doc, "maxTrackSeconds", 1);
	mend_text_or(doc, "name", json_str_or(doc, "id", "Profile"));
	mend_bool_or(doc, "silenceDetectionEnabled", false);
	mend_bool_or(doc, "silenceSkipEnabled", false);
	mend_bool_or(doc, "vbr", true);
}

static void seed_profile(json_object *array, bool demo)
{
	(void)demo; /* schedules and starts need a profile, demo or not */
	seed_text(array, "{\"bitrateKbps\":128,\"channelMode\":\"mono_to_stereo_mix\",\"codec\":\"mp3\","
	                 "\"id\":\"voice-mp3-vbr\",\"name\":\"Voice MP3 VBR\",\"silenceDetectionEnabled\":false,"
	                 "\"silenceSkipEnabled\":false,\"vbr\":true}");
}

const struct model model_profiles = {
    .name = "recording_profiles",
    .table = "recording_profiles",
    .id = "id",
    FIELDS(profile_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_PROFILES_PATH,
    .file_key = "profiles",
    .file_error = "recording_profile_store_invalid",
    .repair = repair_profile,
    .accept = accept_id,
    .seed = seed_profile,
};

/*
 * A member of the column rules. A row reads as the default policy overlaid with its rules, so a missing rule has the
 * default policy's value; rules that the default policy lacks (RULE) stay absent.
 */
#define RULE(n, t) F_KEY(n, "rules", n, t, 0)
#define RULE_DEFAULT(n, value)                                                                                         \
	{                                                                                                              \
		.name = (n), .column = "rules", .key = (n), .expr = "coalesce(t.rules->'" n "', '" value "'::jsonb)",  \
		.type = M_JSON                                                                                         \
	}

static const struct model_field watchdog_fields[] = {
    RULE_DEFAULT("activeDuring", "\"scheduled_recording\""),
    RULE_DEFAULT("broadbandNoiseScoreThreshold", "0.85"),
    RULE_DEFAULT("channelCorrelationMode", "\"alert_on_high\""),
    RULE_DEFAULT("channelCorrelationThreshold", "0.98"),
    RULE_DEFAULT("clippingMode", "\"alert_on_clipping\""),
    F_TYPE("createdAt", "created_at", M_TIME, M_REQUIRED | M_HIDDEN | M_FIXED | M_DEFAULT),
    RULE_DEFAULT("flatlineMode", "\"alert_on_flatline\""),
    RULE_DEFAULT("flatlineThresholdDbfs", "-100"),
    RULE_DEFAULT("graceSeconds", "300"),
    RULE_DEFAULT("humScoreThreshold", "0.8"),
    F_TEXT("id", "id", 160, M_REQUIRED | M_FIXED),
    RULE_DEFAULT("metric", "\"rms\""),
    RULE_DEFAULT("minCumulativeChannelCorrelationSeconds", "10"),
    RULE_DEFAULT("minCumulativeClippingSeconds", "1"),
    RULE_DEFAULT("minCumulativeFlatlineSeconds", "10"),
    RULE_DEFAULT("minCumulativeQualitySeconds", "10"),
    RULE_DEFAULT("minCumulativeSecondsAboveThreshold", "10"),
    RULE("minCumulativeSpeechSeconds", M_JSON),
    RULE("minSpeechScore", M_JSON),
    F_TEXT("name", "name", 160, M_REQUIRED),
    RULE_DEFAULT("noiseScoreThreshold", "0.9"),
    RULE_DEFAULT("qualityAlertMode", "\"alert_on_noise_hum_static\""),
    RULE("qualityMode", M_JSON),
    RULE_DEFAULT("repeatEverySeconds", "900"),
    RULE_DEFAULT("severity", "\"critical\""),
    RULE_DEFAULT("staticScoreThreshold", "0.8"),
    RULE_DEFAULT("thresholdDbfs", "-45"),
    RULE_DEFAULT("windowSeconds", "900"),
};

#define UNLIMITED ((double)JSON_SAFE_INT)
#define DBFS_MIN (-160)
#define DBFS_MAX 24

static const struct range {
	const char *key;
	double min, max;
	const char *fallback; /* of a mandatory number, as JSON; NULL = optional */
	bool integer;
} watchdog_ranges[] = {
    {"broadbandNoiseScoreThreshold", 0, 1, NULL, false},
    {"channelCorrelationThreshold", 0, 1, NULL, false},
    {"flatlineThresholdDbfs", DBFS_MIN, DBFS_MAX, NULL, false},
    {"graceSeconds", 0, UNLIMITED, "300", true},
    {"humScoreThreshold", 0, 1, NULL, false},
    {"minCumulativeChannelCorrelationSeconds", 0, UNLIMITED, NULL, false},
    {"minCumulativeClippingSeconds", 0, UNLIMITED, NULL, false},
    {"minCumulativeFlatlineSeconds", 0, UNLIMITED, NULL, false},
    {"minCumulativeQualitySeconds", 0, UNLIMITED, NULL, false},
    {"minCumulativeSecondsAboveThreshold", 0, UNLIMITED, "10", false},
    {"minCumulativeSpeechSeconds", 0, UNLIMITED, NULL, false},
    {"minSpeechScore", 0, 1, NULL, false},
    {"noiseScoreThreshold", 0, 1, NULL, false},
    {"repeatEverySeconds", 1, UNLIMITED, "900", true},
    {"staticScoreThreshold", 0, 1, NULL, false},
    {"thresholdDbfs", DBFS_MIN, DBFS_MAX, "-45", false},
    {"windowSeconds", 1, UNLIMITED, "900", true},
};

static void mend_rule(json_object *doc, const struct range *r)
{
	mend_range(doc, r->key, r->min, r->max);
	json_object *v = json_get(doc, r->key);
	if (v != NULL && r->integer && !json_is_int(v)) {
		double whole = (double)(int64_t)json_object_get_double(v);
		json_object_object_add(doc, r->key, json_number(whole < r->min ? r->min : whole));
	}
	if (v == NULL && r->fallback != NULL)
		json_object_object_add(doc, r->key, json_tokener_parse(r->fallback));
}

static void repair_watchdog(json_object *doc)
{
	static const char *const correlation[] = {"off", "alert_on_high", NULL};
	static const char *const clipping[] = {"off", "alert_on_clipping", NULL};
	static const char *const flatline[] = {"off", "alert_on_flatline", NULL};
	static const char *const alert[] = {"off", "alert_on_noise_hum_static", NULL};
	static const char *const quality[] = {"signal_only", "speech_required", NULL};
	mend_word_or(doc, "activeDuring", enum_watchdog_active, "scheduled_recording");
	mend_word_or(doc, "metric", enum_watchdog_metric, "rms");
	mend_word_or(doc, "severity", enum_health_severity, "critical");
	mend_word(doc, "channelCorrelationMode", correlation);
	mend_word(doc, "clippingMode", clipping);
	mend_word(doc, "flatlineMode", flatline);
	mend_word(doc, "qualityAlertMode", alert);
	mend_word(doc, "qualityMode", quality);
	for (size_t i = 0; i < sizeof(watchdog_ranges) / sizeof(watchdog_ranges[0]); i++)
		mend_rule(doc, &watchdog_ranges[i]);
	mend_text_or(doc, "name", json_str_or(doc, "id", "Watchdog"));
}

static void seed_watchdog(json_object *array, bool demo)
{
	(void)demo; /* as the profile */
	seed_text(
	    array,
	    "{\"activeDuring\":\"scheduled_recording\",\"broadbandNoiseScoreThreshold\":0.85,"
	    "\"channelCorrelationMode\":\"alert_on_high\",\"channelCorrelationThreshold\":0.98,"
	    "\"clippingMode\":\"alert_on_clipping\",\"flatlineMode\":\"alert_on_flatline\","
	    "\"flatlineThresholdDbfs\":-100,\"graceSeconds\":300,\"humScoreThreshold\":0.8,"
	    "\"id\":\"scheduled-voice-watchdog\",\"metric\":\"rms\",\"minCumulativeChannelCorrelationSeconds\":10,"
	    "\"minCumulativeClippingSeconds\":1,\"minCumulativeFlatlineSeconds\":10,"
	    "\"minCumulativeQualitySeconds\":10,\"minCumulativeSecondsAboveThreshold\":10,"
	    "\"name\":\"Scheduled Voice Watchdog\",\"noiseScoreThreshold\":0.9,"
	    "\"qualityAlertMode\":\"alert_on_noise_hum_static\",\"repeatEverySeconds\":900,"
	    "\"severity\":\"critical\",\"staticScoreThreshold\":0.8,\"thresholdDbfs\":-45,\"windowSeconds\":900}");
}

const struct model model_watchdog_policies = {
    .name = "watchdog_policies",
    .table = "watchdog_policies",
    .id = "id",
    FIELDS(watchdog_fields),
    .order = {"-createdAt", "id"},
    .path = CFG_WATCHDOG_POLICIES_PATH,
    .file_key = "policies",
    .file_error = "watchdog_policy_store_invalid",
    .repair = repair_watchdog,
    .accept = accept_id,
    .seed = seed_watchdog,
};
