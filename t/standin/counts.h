/*
 * counts.h - what the stand-in saw, by name, and who waits for it.
 */
#ifndef STANDIN_COUNTS_H
#define STANDIN_COUNTS_H

#include "text.h"

enum count {
	REQUESTS,          /* calls of /v1/…, whatever became of them */
	PLAIN,             /* of these: let in and well-formed, one answer asked for */
	STREAMS,           /* likewise, a stream asked for */
	FINISHED,          /* answered whole */
	FAILED,            /* ended by request with an error, garbage or a cut */
	CANCELLED,         /* left by the caller before the end */
	UNAUTHORIZED,      /* no key or a wrong one */
	OPEN,              /* in hand now */
	OPEN_PEAK,         /* most in hand at once */
	GATED,             /* waiting at a gate now */
	PIECES,            /* pieces of streams sent */
	PROMPT_TOKENS,     /* over the finished calls whose usage was told */
	CACHED_TOKENS,     /* likewise: the part of the prompt read from the provider's cache */
	COMPLETION_TOKENS, /* likewise */
	CONNECTIONS,       /* accepted */
	CONNECTIONS_OPEN,
	COUNT_KINDS
};

void counts_add(enum count kind, long n);
void counts_status(int status);
long counts_value(enum count kind);

/* COUNT_KINDS where no count has that name. */
enum count counts_find(const char *name, size_t n);

/* Zeroes all but what is about now (open, gated, connections_open). */
void counts_reset(void);

/* As one JSON object, with by_status. */
void counts_print(struct text *out);

/* `changed` is called after each change. */
void counts_watch(void (*changed)(void));

#endif
