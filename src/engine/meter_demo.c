#include "engine/meter_demo.h"

#include "base/clock.h"
#include "base/text.h"
#include "model/format.h"

#include <math.h>
#include <stdio.h>

#define CHANNELS 8

static double clamp(double v, double low, double high)
{
	return fmin(fmax(v, low), high);
}

bool meter_demo_override(const char *text, double *dbfs)
{
	double v;

	if (text_blank(text) || !js_number(text, &v) || !isfinite(v))
		return false;
	*dbfs = clamp(v, -160, 24);
	return true;
}

double meter_demo_round(double v, int decimals)
{
	static const double scales[] = {1, 10, 100, 1000};
	double scale = scales[decimals], a = fabs(v);
	double product = a * scale;
	double error = fma(a, scale, -product); /* what the multiplication lost, exactly */
	double whole = floor(product), rest = product - whole;

	if (rest > 0.5 || (rest == 0.5 && error >= 0))
		whole += 1;
	if (whole == 0)
		return 0; /* never a negative zero */
	return copysign(whole / scale, v);
}

static void set_rounded(json_object *o, const char *key, double v, int decimals)
{
	json_object_object_add(o, key, json_number(meter_demo_round(v, decimals)));
}

static json_object *quality(double rms, double peak, double w, double b)
{
	json_object *o = json_object_new_object();
	double noise = fmax(0, 0.3 - 0.12 * fabs(w));
	double speech = clamp((rms + 65) / 35, 0, 1);
	double snr = fmax(0, 30 * (speech - noise));
	double broad = fmax(0, 1.4 * noise * (1 - speech));
	double intelligible = speech * (0.5 + 0.35 * fmin(1, snr / 24)) * (1 - 0.55 * noise);

	set_rounded(o, "broadbandNoiseScore", fmin(1, broad), 2);
	/* A fixed level above -3 dBFS would give a negative crest, which ingest refuses (contract 02 T30). */
	set_rounded(o, "crestFactorDb", fmax(0, peak - rms), 2);
	set_rounded(o, "estimatedSnrDb", snr, 1);
	set_rounded(o, "humScore", 0.09 * fabs(b), 2);
	set_rounded(o, "intelligibilityScore", clamp(intelligible, 0, 1), 2);
	set_rounded(o, "noiseScore", noise, 2);
	json_set_bool(o, "speechLike", rms > -55);
	set_rounded(o, "speechScore", speech, 2);
	set_rounded(o, "staticScore", 0.06 * fabs(w), 2);
	set_rounded(o, "zeroCrossingRate", 0.08 + 0.08 * fabs(b), 2);
	return o;
}

static json_object *level(double phase, int k, const double *fixed)
{
	json_object *o = json_object_new_object();
	double w = sin(phase + 0.58 * k), b = cos(phase / 2 + 0.23 * k);
	double rms = fixed != NULL ? *fixed : fmax(-72, -42 + 12 * w + 5 * b);
	double peak = fmin(-3, rms + 11 + 6 * fabs(w));
	char label[16];

	snprintf(label, sizeof(label), "Ch %d", k + 1);
	json_set_int(o, "channelIndex", k + 1);
	json_set_bool(o, "clipping", peak > -1);
	json_set_str(o, "label", label);
	set_rounded(o, "peakDbfs", peak, 1);
	json_object_object_add(o, "quality", quality(rms, peak, w, b));
	set_rounded(o, "rmsDbfs", rms, 1);
	return o;
}

json_object *meter_demo_frame(const void *ctx, int64_t now_ms, const double *rms_dbfs)
{
	json_object *frame = json_new_object(ctx), *levels = json_object_new_array();
	double phase = (double)now_ms / 650;

	for (int k = 0; k < CHANNELS; k++)
		json_object_array_add(levels, level(phase, k, rms_dbfs));
	json_set_iso(frame, "capturedAt", now_ms);
	json_set_str(frame, "interfaceId", METER_DEMO_INTERFACE);
	json_object_object_add(frame, "levels", levels);
	json_set_str(frame, "nodeId", METER_DEMO_NODE);
	return frame;
}
