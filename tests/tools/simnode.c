/*
 * A recorder node without a microphone: beats, sends meters and monitored audio, reads its configuration, claims jobs,
 * uploads a generated WAV file for each, and stops when it is told to. It goes through the calls in the order of the
 * real agent (contract 08 A3, A4, A8), one job at a time, each on a connection of its own.
 *
 *	simnode [-k | -c FILE] [-i SECONDS] [-t SECONDS] [-n TICKS] URL NODE_ID TOKEN
 *	simnode ... -e ALIAS [-s SITE] [-f FILE] [-r SECONDS [-o SECONDS]] URL USER
 *
 * -k: do not verify the certificate; -c: verify it with this one; -i: time between ticks (5); -t: length of each take
 * (5); -n: end after that many ticks and an idle moment (default: run until killed).
 * -e: enroll as a node of that name, in a room of that name; the password of USER is in SIMNODE_PASSWORD. With -f the
 * credential is kept in FILE, and the same node comes back at the next start. -r: as that user, start a recording of
 *this node every so many seconds, the first one after the seconds of -o (0). Prints a line for each thing that happens.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CALL_SECONDS 120L

static const char *base, *node_id, *token;
static const char *certificate; /* NULL: those of the system */
static bool insecure;
static double take_seconds = 5;

/* The user that enrolls the node and starts its recordings; NULL if it is enrolled already. */
static struct {
	const char *email, *token;
	const char *alias, *site, *credential_file;
	double every, next_start; /* seconds; every 0: starts no recordings */
} user = {.site = "Simulation"};

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

/* One call on a connection of its own, as the agent does it; headers: lines ended by NULL. bearer NULL: nobody's. */
static struct answer call_as(const char *bearer, const char *method, const char *path, const void *body, size_t len,
                             va_list ap)
{
	struct answer a = {.body = strdup("")};
	CURL *curl = curl_easy_init();
	char *url = NULL, *line = NULL;
	if (asprintf(&url, "%s/api/v1%s", base, path) < 0 ||
	    asprintf(&line, "Authorization:%s%s", bearer != NULL ? " Bearer " : "", bearer != NULL ? bearer : "") < 0)
		abort();
	struct curl_slist *headers = curl_slist_append(curl_slist_append(NULL, "Expect:"), line);
	headers = curl_slist_append(headers, body != NULL ? "Accept: */*" : "Content-Type:");
	for (const char *extra = va_arg(ap, const char *); extra != NULL; extra = va_arg(ap, const char *))
		headers = curl_slist_append(headers, extra);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, CALL_SECONDS);
	if (certificate != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, certificate);
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

/* As the node. */
static struct answer call(const char *method, const char *path, const void *body, size_t len, ...)
{
	va_list ap;
	va_start(ap, len);
	struct answer a = call_as(token, method, path, body, len, ap);
	va_end(ap);
	return a;
}

/* As the user. */
static struct answer ask(const char *path, const char *body, ...)
{
	va_list ap;
	va_start(ap, body);
	struct answer a = call_as(user.token, "POST", path, body, strlen(body), ap);
	va_end(ap);
	return a;
}

#define JSON "Content-Type: application/json"

static const char *text_at(json_object *o, const char *first, const char *second)
{
	json_object *v = NULL;
	if (!json_object_object_get_ex(o, first, &v) || (second != NULL && !json_object_object_get_ex(v, second, &v)))
		return "";
	return json_object_get_string(v);
}

static void pause_for(double seconds)
{
	if (seconds > 0)
		nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)}, NULL);
}

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

/* The agent's first words (A3). */
static void announce(void)
{
	char body[1000], at[40], id[100];
	iso_now(at);
	snprintf(id, sizeof(id), "%s", at);
	for (char *c = id; *c != '\0'; c++)
		if (*c == ':' || *c == '.')
			*c = '-';
	int n = snprintf(body, sizeof(body),
	                 "{\"details\":{\"alias\":\"simnode\",\"nodeId\":\"%s\"},\"id\":\"node_event_%s_%s\","
	                 "\"openedAt\":\"%s\",\"severity\":\"info\",\"type\":\"agent.started\"}",
	                 node_id, node_id, id, at);
	free(call("POST", node_path("health-events"), body, (size_t)n, JSON, NULL).body);
}

/* One tick up to the claim; the status of the heartbeat. */
static long report(int tick)
{
	char body[4000], at[40], captured[80];
	int n = snprintf(body, sizeof(body),
	                 "{\"agentVersion\":\"simnode\",\"hostname\":\"simnode\",\"ipAddresses\":[\"127.0.0.1\"],"
	                 "\"runtime\":{\"architecture\":\"x86_64\",\"audioBackends\":[\"alsa\"],\"uptimeSeconds\":%d},"
	                 "\"status\":\"online\"}",
	                 tick);
	struct answer beat = call("POST", node_path("heartbeat"), body, (size_t)n, JSON, NULL);
	free(beat.body);
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
	return beat.status;
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

/* ---- the user ---------------------------------------------------------------------------------------------------- */

static bool sign_in(void)
{
	json_object *body = json_object_new_object();
	json_object_object_add(body, "email", json_object_new_string(user.email));
	json_object_object_add(body, "password", json_object_new_string(getenv("SIMNODE_PASSWORD")));
	user.token = NULL;
	struct answer a = ask("/auth/login", json_object_to_json_string(body), JSON, NULL);
	json_object *reply = a.status == 200 ? json_tokener_parse(a.body) : NULL;
	if (reply != NULL)
		user.token = strdup(text_at(reply, "data", "token"));
	json_object_put(reply);
	json_object_put(body);
	free(a.body);
	return user.token != NULL;
}

static bool load_credential(void)
{
	json_object *o = user.credential_file != NULL ? json_object_from_file(user.credential_file) : NULL;
	if (o == NULL)
		return false;
	node_id = strdup(text_at(o, "nodeId", NULL));
	token = strdup(text_at(o, "token", NULL));
	json_object_put(o);
	return *node_id != '\0' && *token != '\0';
}

static void save_credential(void)
{
	json_object *o = json_object_new_object();
	json_object_object_add(o, "nodeId", json_object_new_string(node_id));
	json_object_object_add(o, "token", json_object_new_string(token));
	umask(077);
	if (json_object_to_file(user.credential_file, o) != 0)
		say("cannot write %s", user.credential_file);
	json_object_put(o);
}

static json_object *enrollment(void)
{
	json_object *o =
	    json_tokener_parse("{\"agentVersion\":\"simnode\",\"interfaces\":[{\"alias\":\"Simulated desk\","
	                       "\"backend\":\"alsa\",\"channelCount\":2,\"sampleRates\":[48000],"
	                       "\"systemName\":\"default\"}],\"location\":{},\"tags\":[\"simulated\"]}");
	json_object *location = NULL;
	json_object_object_get_ex(o, "location", &location);
	json_object_object_add(location, "room", json_object_new_string(user.alias));
	json_object_object_add(location, "site", json_object_new_string(user.site));
	json_object_object_add(o, "alias", json_object_new_string(user.alias));
	json_object_object_add(o, "hostname", json_object_new_string("simnode"));
	return o;
}

static bool enroll(void)
{
	if (user.token == NULL && !sign_in())
		return false;
	json_object *body = enrollment(), *data = NULL, *reply = NULL;
	struct answer a = ask("/nodes/enroll", json_object_to_json_string(body), JSON, NULL);
	if (a.status == 201)
		reply = json_tokener_parse(a.body);
	if (json_object_object_get_ex(reply, "data", &data)) {
		node_id = strdup(text_at(data, "credential", "nodeId"));
		token = strdup(text_at(data, "credential", "token"));
		say("enrolled %s as %s", user.alias, node_id);
		if (user.credential_file != NULL)
			save_credential();
	}
	json_object_put(reply);
	json_object_put(body);
	free(a.body);
	return data != NULL;
}

/* A recording of this node, when it is time for one. */
static void start_recording(void)
{
	if (user.every <= 0 || now() < user.next_start)
		return;
	user.next_start += user.every;
	json_object *body = json_object_new_object();
	json_object_object_add(body, "nodeId", json_object_new_string(node_id));
	struct answer a = {.status = 401, .body = NULL};
	for (int attempt = 0; attempt < 2 && a.status == 401; attempt++) { /* sessions end */
		free(a.body);
		a.body = NULL;
		if ((user.token == NULL || attempt > 0) && !sign_in())
			break;
		a = ask("/recordings", json_object_to_json_string(body), JSON, NULL);
	}
	if (a.status == 202)
		say("a recording of %s was started", user.alias);
	free(a.body);
	json_object_put(body);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void run(double interval, int ticks)
{
	struct job job;
	bool busy = false;
	double next_tick = now();
	announce();
	for (int tick = 0; ticks == 0 || tick < ticks || busy;) {
		if (now() >= next_tick) {
			if (report(++tick) == 401 && user.email != NULL && enroll()) /* of another database */
				continue;
			next_tick += interval;
			start_recording();
			if (!busy)
				busy = claim(&job);
		}
		if (busy)
			busy = record(&job);
		double pause = next_tick - now();
		pause_for(busy && pause > 1 ? 1 : pause);
	}
}

static int usage(void)
{
	fputs("usage: simnode [-k | -c FILE] [-i SECONDS] [-t SECONDS] [-n TICKS] URL NODE_ID TOKEN\n"
	      "       simnode ... -e ALIAS [-s SITE] [-f FILE] [-r SECONDS [-o SECONDS]] URL USER\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	double interval = 5, offset = 0;
	int ticks = 0;
	for (int option; (option = getopt(argc, argv, "kc:i:t:n:e:s:f:r:o:")) != -1;) {
		switch (option) {
		case 'k':
			insecure = true;
			break;
		case 'c':
			certificate = optarg;
			break;
		case 'i':
			interval = atof(optarg);
			break;
		case 't':
			take_seconds = atof(optarg);
			break;
		case 'n':
			ticks = atoi(optarg);
			break;
		case 'e':
			user.alias = optarg;
			break;
		case 's':
			user.site = optarg;
			break;
		case 'f':
			user.credential_file = optarg;
			break;
		case 'r':
			user.every = atof(optarg);
			break;
		case 'o':
			offset = atof(optarg);
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != (user.alias != NULL ? 2 : 3) || (user.alias != NULL && getenv("SIMNODE_PASSWORD") == NULL))
		return usage();
	base = argv[optind];
	if (user.alias == NULL) {
		node_id = argv[optind + 1];
		token = argv[optind + 2];
	} else {
		user.email = argv[optind + 1];
		user.next_start = now() + offset;
		while (!load_credential() && !enroll())
			pause_for(interval);
	}
	run(interval, ticks);
	return 0;
}
