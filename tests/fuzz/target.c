/* Request targets, queries, times and numbers from outside. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/uri.h"
#include "model/format.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	char *s = mem_strndup(mem, (const char *)data, size);
	char *decoded = uri_decode(mem, s, strlen(s), true);
	int64_t ms;
	double number;

	if (!text_valid_utf8(decoded, strlen(decoded)))
		abort();
	uri_decode(mem, s, strlen(s), false);
	uri_query(mem, s);
	for (enum clock_form form = CLOCK_ISO_Z; form <= CLOCK_LENIENT; form++)
		if (clock_parse(s, form, &ms)) {
			char iso[CLOCK_ISO_SIZE];
			int64_t back;

			if (!clock_parse(clock_iso(iso, ms), CLOCK_ISO_Z, &back) || back != ms)
				abort();
		}
	js_number(s, &number);
	email_valid(decoded);
	text_trim(mem, decoded);
	text_lower(mem, decoded);
	text_cut(mem, decoded, 5);
	talloc_free(mem);
	return 0;
}
