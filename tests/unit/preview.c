#include "engine/preview.h"

#include "base/crypto.h"
#include "base/mem.h"

#include <criterion/criterion.h>

static const struct {
	double peak;
	int16_t first[8];
	const char *sha256;
} vectors[] = {
    {-34, {0, 113, 222, 325, 418, 498, 564, 613}, "ebeddef35f73f5f6de9b9dfc7a0cc39483461fcd4bb9e18f8dffe066acab69f5"},
    {-90, {0, 113, 222, 325, 418, 498, 564, 613}, "ebeddef35f73f5f6de9b9dfc7a0cc39483461fcd4bb9e18f8dffe066acab69f5"},
    {-20,
     {0, 563, 1110, 1623, 2089, 2492, 2820, 3065},
     "1ca4decdcbec6147ef1b8ff3b02215c9169fc2497ef88053152778ad23da918b"},
    {-3.5,
     {0, 1408, 2775, 4059, 5222, 6229, 7051, 7663},
     "fc653bb7bbc839c9b9fad11b50bc1f3f87d38d9219cb708359e4c59fc17ad91b"},
};

Test(preview, contract_vectors)
{
	static unsigned char wav[PREVIEW_BYTES];
	char digest[SHA256_HEX_SIZE];

	for (size_t v = 0; v < sizeof(vectors) / sizeof(vectors[0]); v++) {
		preview_wav(wav, vectors[v].peak);
		for (size_t i = 0; i < 8; i++)
			cr_expect_eq((int16_t)(wav[44 + 2 * i] | wav[45 + 2 * i] << 8), vectors[v].first[i],
			             "peak %g sample %zu", vectors[v].peak, i);
		crypto_sha256_hex(digest, wav, sizeof(wav));
		cr_expect_str_eq(digest, vectors[v].sha256, "peak %g", vectors[v].peak);
	}
}

Test(preview, loudest_level_counts)
{
	static const char text[] = "{\"levels\":[{\"peakDbfs\":-40},{\"peakDbfs\":-12.5},{\"peakDbfs\":-160}]}";
	void *arena = talloc_new(NULL);
	json_object *frame;

	cr_assert(json_parse(arena, text, sizeof(text) - 1, &frame));
	cr_expect_eq(preview_peak(frame), -12.5);
	cr_assert(json_parse(arena, "{\"levels\":[]}", 13, &frame));
	cr_expect_eq(preview_peak(frame), -90);
	cr_expect_eq(preview_peak(NULL), -90);
	talloc_free(arena);
}
