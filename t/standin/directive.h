/*
 * directive.h - how one call is to go: the defaults, and what "[[standin …]]" in the text of its messages asks for.
 *
 * A directive is words and name=value pairs: [[standin pieces=20 delay_ms=50 tokens=17]]. The table in directive.c says what each means.
 */
#ifndef STANDIN_DIRECTIVE_H
#define STANDIN_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>

struct plan {
	long start_ms;             /* pause before the answer, or before a stream's first piece */
	long delay_ms;             /* pause between pieces, or before a plain answer; -1: the stand-in's own */
	long pieces;
	long tokens, prompt, cached; /* usage to report; -1: counted (cached: 0) */
	long status;               /* answer with this error; 0: none */
	long times;                /* the error is for so many calls of a request, which then goes well; 0: for all */
	long retry_after;          /* seconds, with the error; -1: no header */
	long silence;              /* say nothing more after so many pieces; -1: never */
	long cut, reset;           /* close after so many pieces, cleanly or by RST */
	long end;                  /* end the stream in good form, but without its last events, after so many pieces */
	long error;                /* an error event after so many pieces */
	long garbage;              /* what is not JSON, after so many pieces */
	long gate;                 /* wait for POST /_release after so many pieces */
	long huge;                 /* a piece of so many bytes; 0: none */
	long split;                /* bytes of a chunk; 0: an event a chunk */
	long nousage;              /* report no usage */
	long nostamp;              /* no <t=…> before each piece */
	long bom, crlf, comment;   /* a stream's byte order mark, line ends, comments between events */
	char *finish;              /* OpenAI's finish reason; NULL: stop, or length */
	char *text;                /* the whole reply; NULL: words */
	char *model;               /* directives hold only for a call of this model; NULL: any */
};

/* The plan with nothing asked for. */
void plan_init(struct plan *plan);

/* Takes every directive in `text`; those that name another model are passed over. False where one cannot be understood. */
bool plan_read(struct plan *plan, const char *text, const char *model);

/* Takes the inside of one directive, `words`. */
bool plan_take(struct plan *plan, const char *words, const char *model);

void plan_free(struct plan *plan);

#endif
