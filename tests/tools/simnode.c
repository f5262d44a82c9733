/*
 * A recorder node without a microphone: beats, sends meters and monitored audio, reads its configuration, claims jobs,
 * uploads a generated WAV file for each, and stops when it is told to. It goes through the calls in the order of the
 * real agent (contract 08 A4, A8), one job at a time.
 *
 *	simnode [-k] [-i SECONDS] [-t SECONDS] [-n TICKS] URL NODE_ID TOKEN
 *
 * -k: do not verify the certificate; -i: time between ticks (5); -t: length of each take (5); -n: end after that many
 * ticks and an idle moment (default: run until killed). Prints a line for each thing that happens.
 */
#include <curl/curl.h>
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *base, *node_id, *token;
static bool insecure;
static double take_seconds = 5;

struct answer {
	long status;
	char *body;
	size_t len;
};

struct job {
	char id[200], recording[200];
	int channels, rate;
	double started;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

static size_t collect(char *data, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	size_t n = size * count;
	a->body = realloc(a->body, a->len + n + 1);
	memcpy(a->body + a->len, data, n);
	a->len += n;
	a->body[a->len] = '\0';
	return n;
}

/* One call on a connection of its own, as the agent does it; headers: lines ended by NULL. */
static struct answer call(const char *method, const char *path, const void *body, size_t len, ...)
{
	struct answer a = {.body = strdup("")};
	CURL *curl = curl_easy_init();
	char *url = NULL, *line = NULL;
	if (asprintf(&url, "%s/api/v1%s", base, path) < 0 || asprintf(&line, "Authorization: Bearer %s", token) < 0)
		abort();
	struct curl_slist *headers = curl_slist_append(curl_slist_append(NULL, "Expect:"), line);
	headers = curl_slist_append(headers, body != NULL ? "Accept: */*" : "Content-Type:");
	va_list ap;
	va_start(ap, len);
	for (const char *extra = va_arg(ap, const char *); extra != NULL; extra = va_arg(ap, const char *))
		headers = curl_slist_append(headers, extra);
	va_end(ap);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, insecure ? 0L : 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, insecure ? 0L : 2L);
	if (body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
	if (code != CURLE_OK || a.status >= 400)
		say("%s %s: %ld %s", method, path, a.status, code != CURLE_OK ? curl_easy_strerror(code) : a.body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(url);
	free(line);
	return a;
}

#define JSON "Content-Type: application/json"

static char *node_path(const char *rest)
{
	static char path[400];
	snprintf(path, sizeof(path), "/nodes/%s/%s", node_id, rest);
	return path;
}

/* ---- audio ------------------------------------------------------------------------------------------------------- */

static void put_le(unsigned char *at, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

static unsigned char *tone(int channels, int rate, double seconds, size_t *len)
{
	size_t frames = (size_t)(seconds * rate), size = frames * (size_t)channels * 2;
	unsigned char *wav = calloc(1, 44 + size);
	memcpy(wav, "RIFF____WAVEfmt ", 16);
	put_le(wav + 4, (uint32_t)(36 + size), 4);
	put_le(wav + 16, 16, 4);
	put_le(wav + 20, 1, 2);
	put_le(wav + 22, (uint32_t)channels, 2);
	put_le(wav + 24, (uint32_t)rate, 4);
	put_le(wav + 28, (uint32_t)(rate * channels * 2), 4);
	put_le(wav + 32, (uint32_t)(channels * 2), 2);
	put_le(wav + 34, 16, 2);
	memcpy(wav + 36, "data", 4);
	put_le(wav + 40, (uint32_t)size, 4);
	for (size_t i = 0; i < frames * (size_t)channels; i++) {
		double t = (double)(i / (size_t)channels) / rate;
		put_le(wav + 44 + 2 * i, (uint32_t)(int32_t)(12000 * sin(2 * M_PI * 440 * t)), 2);
	}
	*len = 44 + size;
	return wav;
}

/* ---- one tick ---------------------------------------------------------------------------------------------------- */

static void iso_now(char out[40])
{
	struct timespec t;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &utc);
	size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out + n, 40 - n, ".%09ldZ", t.tv_nsec);
}

static void report(int tick)
{
	char body[4000], at[40], captured[80];
	int n = snprintf(body, sizeof(body),
	                 "{\"agentVersion\":\"simnode\",\"hostname\":\"simnode\",\"ipAddresses\":[\"127.0.0.1\"],"
	                 "\"runtime\":{\"architecture\":\"x86_64\",\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":%d},"
	                 "\"status\":\"online\"}",
	                 tick);
	free(call("POST", node_path("heartbeat"), body, (size_t)n, JSON, NULL).body);
	iso_now(at);
	n = snprintf(body, sizeof(body),
	             "{\"capturedAt\":\"%s\",\"interfaceId\":\"iface_default_capture\",\"nodeId\":\"%s\",\"levels\":[",
	             at, node_id);
	for (int channel = 1; channel <= 2; channel++) {
		double phase = tick / 3.0 + 0.72 * channel, rms = -42 + 12 * sin(phase);
		n += snprintf(
		    body + n, sizeof(body) - (size_t)n,
		    "%s{\"channelIndex\":%d,\"clipping\":false,\"label\":\"Input %d\",\"peakDbfs\":%.1f,"
		    "\"quality\":{\"crestFactorDb\":16,\"noiseScore\":0.22,\"speechLike\":true,\"speechScore\":0.78,"
		    "\"zeroCrossingRate\":0.12},\"rmsDbfs\":%.1f}",
		    channel > 1 ? "," : "", channel, channel, rms + 14, rms);
	}
	n += snprintf(body + n, sizeof(body) - (size_t)n, "]}");
	free(call("POST", node_path("meter-frame"), body, (size_t)n, JSON, NULL).body);
	size_t len = 0;
	unsigned char *chunk = tone(1, 16000, 1, &len);
	snprintf(captured, sizeof(captured), "x-rakkr-captured-at: %s", at);
	free(call("POST", node_path("listen/chunk"), chunk, len, "Content-Type: audio/wav", captured,
	          "x-rakkr-duration-ms: 1000", NULL)
	         .body);
	free(chunk);
	free(call("GET", node_path("config"), NULL, 0, NULL).body);
}

static const char *text_at(json_object *o, const char *first, const char *second)
{
	json_object *v = NULL;
	if (!json_object_object_get_ex(o, first, &v) || (second != NULL && !json_object_object_get_ex(v, second, &v)))
		return "";
	return json_object_get_string(v);
}

static bool claim(struct job *job)
{
	char agent[300];
	snprintf(agent, sizeof(agent), "x-rakkr-agent-id: %s", node_id);
	struct answer a = call("POST", node_path("recording-jobs/claim-next"), NULL, 0, agent, NULL);
	json_object *reply = a.status == 200 ? json_tokener_parse(a.body) : NULL, *data = NULL, *command = NULL;
	free(a.body);
	if (reply == NULL || !json_object_object_get_ex(reply, "data", &data)) {
		json_object_put(reply);
		return false;
	}
	snprintf(job->id, sizeof(job->id), "%s", text_at(data, "id", NULL));
	snprintf(job->recording, sizeof(job->recording), "%s", text_at(data, "recordingId", NULL));
	json_object_object_get_ex(data, "command", &command);
	job->channels = atoi(text_at(command, "captureChannels", NULL));
	job->rate = atoi(text_at(command, "captureSampleRate", NULL));
	job->started = now();
	json_object_put(reply);
	say("claimed %s for %s: %d channels at %d Hz", job->id, job->recording, job->channels, job->rate);
	return true;
}

static void deliver(const struct job *job)
{
	char path[300], job_line[300], seconds_line[80];
	size_t len = 0;
	unsigned char *file = tone(job->channels, job->rate, take_seconds, &len);
	snprintf(path, sizeof(path), "/recordings/%s/cache-file", job->recording);
	snprintf(job_line, sizeof(job_line), "x-rakkr-recording-job-id: %s", job->id);
	snprintf(seconds_line, sizeof(seconds_line), "x-rakkr-duration-seconds: %.0f", take_seconds);
	struct answer a = call("PUT", path, file, len, "Content-Type: audio/wav", "x-rakkr-file-name: take.wav",
	                       job_line, seconds_line, NULL);
	say("uploaded %zu bytes: %ld", len, a.status);
	free(a.body);
	free(file);
}

/* True while the job goes on. */
static bool record(const struct job *job)
{
	char path[300];
	snprintf(path, sizeof(path), "/recording-jobs/%s/heartbeat", job->id);
	free(call("POST", path, NULL, 0, NULL).body);
	snprintf(path, sizeof(path), "/recording-jobs/%s", job->id);
	struct answer a = call("GET", path, NULL, 0, NULL);
	json_object *reply = json_tokener_parse(a.body);
	free(a.body);
	char status[40];
	snprintf(status, sizeof(status), "%s", text_at(reply, "data", "status"));
	json_object_put(reply);
	if (strcmp(status, "stop_requested") == 0 || strcmp(status, "cancelled") == 0) {
		snprintf(path, sizeof(path), "/recording-jobs/%s/cancelled", job->id);
		free(call("POST", path, NULL, 0, "x-rakkr-reason: controller_stop_requested", NULL).body);
		say("stopped %s", job->id);
		return false;
	}
	if (strcmp(status, "failed") == 0 || strcmp(status, "completed") == 0) {
		say("%s is %s", job->id, status);
		return false;
	}
	if (now() - job->started < take_seconds)
		return true;
	deliver(job);
	return false;
}

int main(int argc, char **argv)
{
	double interval = 5;
	int ticks = 0;
	for (int option; (option = getopt(argc, argv, "ki:t:n:")) != -1;) {
		if (option == 'k')
			insecure = true;
		else if (option == 'i')
			interval = atof(optarg);
		else if (option == 't')
			take_seconds = atof(optarg);
		else if (option == 'n')
			ticks = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 3) {
		fputs("usage: simnode [-k] [-i SECONDS] [-t SECONDS] [-n TICKS] URL NODE_ID TOKEN\n", stderr);
		return 2;
	}
	base = argv[optind];
	node_id = argv[optind + 1];
	token = argv[optind + 2];
	struct job job;
	bool busy = false;
	double next_tick = now();
	for (int tick = 0; ticks == 0 || tick < ticks || busy;) {
		if (now() >= next_tick) {
			report(++tick);
			next_tick += interval;
			if (!busy)
				busy = claim(&job);
		}
		if (busy)
			busy = record(&job);
		double pause = busy && next_tick - now() > 1 ? 1 : next_tick - now();
		if (pause > 0)
			nanosleep(&(struct timespec){(time_t)pause, (long)((pause - floor(pause)) * 1e9)}, NULL);
	}
	return 0;
}
