/*
 * sse.h - Server-Sent Events, read: WHATWG HTML §9.2.6, "Interpreting an event stream".
 */
#ifndef PROVIDER_SSE_H
#define PROVIDER_SSE_H

#include <stdbool.h>

#include "base/buf.h"

/* Valid during the call only. */
struct sse_event {
	const char *name; /* of the `event` field; "message" where there was none */
	const char *data; /* the `data` lines with a newline between them; NUL-terminated */
	size_t len;
};

/* A result other than RC_OK ends the reading with it. */
typedef enum rc sse_handler(void *user, const struct sse_event *event);

struct sse {
	sse_handler *handler;
	void *user;
	struct buf line, name, data;
	bool begun;    /* past the place where a byte order mark may stand */
	bool after_cr; /* a line feed that comes next belongs to the line's end already seen */
	bool has_data;
};

/* `max` caps each line and each event's data, in bytes. */
void sse_init(struct sse *sse, struct arena *arena, size_t max, sse_handler *handler, void *user);

/* Takes the stream's next bytes, cut wherever they may be, and calls the handler for each event that they complete. What is incomplete at the
 * stream's end is dropped, as the standard has it. RC_TOOBIG past the cap, RC_NOMEM, or what the handler returned: feed nothing more then. */
enum rc sse_feed(struct sse *sse, const char *bytes, size_t n) MUST_CHECK;

#endif
