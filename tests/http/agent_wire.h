/*
 * The recorder agent's side of the wire, as its own code does it (contract 08 A2, A5, A7): the exact bytes it sends,
 * each call on a new connection, and a decoder as strict as its own.
 */
#ifndef RAKKR_TESTS_HTTP_AGENT_WIRE_H
#define RAKKR_TESTS_HTTP_AGENT_WIRE_H

#include "http/harness.h"

/*
 * One call. extra: header lines in lower case without line ends, NULL-terminated, or NULL. body NULL: no body, hence no
 * content-length and no content-type, also for POST. A JSON body brings its content-type in extra, as any other.
 */
struct response agent_call(const struct node *n, const char *method, const char *path, const char *const *extra,
                           const void *body, size_t len);

struct response agent_get(const struct node *n, const char *path);
struct response agent_post_empty(const struct node *n, const char *path, const char *header_line);
struct response agent_post_json(const struct node *n, const char *path, const char *json);

/* Decoders: fail the test, with what is wrong, unless the agent could decode the answer; return its "data". */
json_object *decode_config(const struct response *r);
json_object *decode_job(const struct response *r);
json_object *decode_assignments(const struct response *r);

/* What the strict decoder has against text as the answer of a config call; NULL if nothing (its own test). */
const char *config_problem(const char *text);

#endif
