#include "engine/preview.h"

#include <math.h>
#include <string.h>

#define RATE 16000
#define SAMPLES 24000
#define TONE_HZ 440
#define HEADER 44

double preview_peak(json_object *frame)
{
	json_object *levels = json_array(frame, "levels");
	double peak = -90;

	for (size_t i = 0; levels != NULL && i < json_object_array_length(levels); i++)
		peak = fmax(peak, json_double(json_object_array_get_idx(levels, i), "peakDbfs", -90));
	return peak;
}

static unsigned char *put_tag(unsigned char *p, const char *tag)
{
	memcpy(p, tag, 4);
	return p + 4;
}

static unsigned char *put_le(unsigned char *p, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*p++ = (unsigned char)(v >> (8 * i));
	return p;
}

static unsigned char *put_header(unsigned char *p)
{
	p = put_tag(p, "RIFF");
	p = put_le(p, PREVIEW_BYTES - 8, 4);
	p = put_tag(p, "WAVE");
	p = put_tag(p, "fmt ");
	p = put_le(p, 16, 4); /* size of the format chunk */
	p = put_le(p, 1, 2);  /* PCM */
	p = put_le(p, 1, 2);  /* channels */
	p = put_le(p, RATE, 4);
	p = put_le(p, RATE * 2, 4); /* bytes a second */
	p = put_le(p, 2, 2);        /* bytes a frame */
	p = put_le(p, 16, 2);       /* bits a sample */
	p = put_tag(p, "data");
	return put_le(p, SAMPLES * 2, 4);
}

void preview_wav(unsigned char out[PREVIEW_BYTES], double peak_dbfs)
{
	double amplitude = fmin(fmax(pow(10, peak_dbfs / 20), 0.02), 0.25);
	unsigned char *p = put_header(out);

	for (int i = 0; i < SAMPLES; i++) {
		double angle = 2 * M_PI * TONE_HZ * i / RATE;
		/* volatile: a fused multiply-add would change the last bit on some processors */
		volatile double x = sin(angle) * amplitude * 32767;

		p = put_le(p, (uint32_t)(int32_t)floor(x + 0.5), 2);
	}
}
