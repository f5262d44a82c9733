#include "engine/liveness.h"

#define CHUNK_FRESH_MS 5000

int64_t liveness_age_seconds(int64_t last_seen_ms, int64_t now_ms)
{
	int64_t age;

	if (now_ms <= last_seen_ms)
		return 0;
	age = now_ms - last_seen_ms;
	return age / 1000;
}

bool liveness_stale(int64_t last_seen_ms, int64_t now_ms, int64_t limit_seconds)
{
	return limit_seconds > 0 && liveness_age_seconds(last_seen_ms, now_ms) > limit_seconds;
}

bool liveness_chunk_fresh(int64_t captured_ms, int64_t now_ms)
{
	int64_t distance = now_ms > captured_ms ? now_ms - captured_ms : captured_ms - now_ms;

	return distance <= CHUNK_FRESH_MS;
}
