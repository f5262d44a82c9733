/* JSON text from outside: parse, print, parse again; both prints must agree. */
#include "base/json.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	json_object *o, *again;

	if (json_parse(mem, (const char *)data, size, &o)) {
		size_t n, m;
		char *text = json_compact(mem, o, &n);
		char *second;

		if (!json_parse(mem, text, n, &again))
			abort();
		second = json_compact(mem, again, &m);
		if (n != m || memcmp(text, second, n) != 0)
			abort();
	}
	talloc_free(mem);
	return 0;
}
