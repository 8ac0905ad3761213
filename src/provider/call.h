/*
 * call.h - what all providers that are reached over HTTP share: the exchange itself, the status told as a fault, text passed on with its checks.
 *
 * A provider knows its protocol's paths, bodies and events, and nothing of connections; the first failure is latched in the result.
 */
#ifndef PROVIDER_CALL_H
#define PROVIDER_CALL_H

#include "provider/provider.h"
#include "provider/sse.h"

#define CALL_BODY_MAX (16u << 20) /* bytes of a request: a rendered prompt with every byte escaped, and its schema */

struct call {
	const struct provider_access *access;
	const struct provider_request *request;
	struct provider_result *result;
	struct arena *arena;
	sse_handler *on_event; /* of a streamed answer; its `user` is the call. The data is never blank, has no white space around it, and no NUL behind it. */
	void *protocol;        /* the provider's own */
	struct arena *scratch; /* what call_parse has parsed, and whatever else is of use no longer than that */
	bool complete;         /* set by the provider: the text is whole, whatever becomes of the connection */
	struct buf answer;     /* of a plain one */

	/* call.c's own */
	struct sse sse;
	size_t rested_bytes; /* of the text: gone out */
	int64_t started_us;
	enum rc rc;
};

/* Empties the result and starts the clock. */
void call_begin(struct call *call, const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                struct provider_result *result);

/* Appends the words that ask a model for JSON, after a schema or any (NULL). */
enum rc call_ask_for_json(struct buf *buf, const struct schema *output);

/* Posts to base_url + path. RC_OK: status 200, and the body came to its end (or the call is complete); else the fault is in the result. */
enum rc call_post(struct call *call, const char *path, const struct http_header *headers, size_t header_count, const struct buf *body) MUST_CHECK;

/* A whole answer, where JSON was asked for and stands in a Markdown fence: what is within. The text is NUL-terminated. */
void call_unfence(const struct call *call, const char **text, size_t *n);

/* Parses JSON of the upstream into memory that lasts until the next is parsed: an answer has thousands of events. What is none, or no object, is FAULT_BROKEN. */
enum rc call_parse(struct call *call, const char *text, size_t n, struct value **out) MUST_CHECK;

/* Hands text to the request. Malformed UTF-8 and NULs are FAULT_BROKEN, text past PROVIDER_TEXT_MAX is FAULT_OURS. */
enum rc call_deliver(struct call *call, const char *text, size_t n) MUST_CHECK;

/* The same of a string value; anything else is no text. */
enum rc call_deliver_value(struct call *call, const struct value *value) MUST_CHECK;

/* Tells the request that no more text is at hand, where it was handed any since the last time; call_post does it by itself. */
enum rc call_rest(struct call *call) MUST_CHECK;

/* Latches a fault, unless there is one. Returns the first one's rc. `detail` is static. */
enum rc call_fail(struct call *call, enum provider_fault fault, enum rc rc, const char *detail);

#endif
