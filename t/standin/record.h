/*
 * record.h - what became of each call, one by one, for tests that hold the ledger against it. Kept only where --record asks for it: a measurement makes millions
 * of calls.
 */
#ifndef STANDIN_RECORD_H
#define STANDIN_RECORD_H

#include <stdbool.h>

#include "text.h"

/* One call that is over. */
struct record {
	const char *id;    /* the caller's X-Client-Request-Id; "" where it gave none. Copied. */
	const char *how;   /* finished, failed, cancelled (the caller left), refused (before it was a call) */
	long status;
	bool stream;
	long pieces, text_bytes; /* of the reply, that were written; a caller may have taken less */
	long said_bytes;         /* all texts of the messages */
	long prompt, cached, completion; /* the usage that was told whole; 0 where it was not */
	bool told;
};

void record_start(void);
void record_add(const struct record *record);
void record_reset(void);

/* A line of names, then a line for each, tabs between. */
void record_print(struct text *out);

#endif
