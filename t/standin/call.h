/*
 * call.h - one call of a model, from its request to its end, whatever protocol it speaks.
 */
#ifndef STANDIN_CALL_H
#define STANDIN_CALL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "directive.h"
#include "http.h"
#include "text.h"

#define STANDIN_SECRET "upstream-secret-that-must-not-leak" /* in every text that a caller of the daemon must never see */

struct event;
struct event_base;
struct protocol;

struct call {
	struct http_conn *conn;
	const struct protocol *protocol;
	struct plan plan;
	char *model, *id;         /* id: the caller's own, "" where it gave none */
	long number;              /* counts the calls */
	bool stream;
	bool include_usage;       /* OpenAI: stream_options.include_usage */
	char *tool;               /* Anthropic: the tool that must be used; NULL: none */
	long max_tokens;          /* 0: not given */
	struct json_object *schema; /* of the answer, inside the request; NULL: free text */
	struct text said;         /* all texts of the messages */
	long prompt_tokens;

	struct text reply;        /* a reply that is given, not words; empty else */
	long pieces, sent;
	long text_bytes;          /* of the pieces sent */
	size_t reply_at;
	bool opened, released;
	struct event *timer;
	TAILQ_ENTRY(call) gate;
	bool gated;
};

/* What makes a protocol. Texts are written to `out`: events whole, each with its empty line. */
struct protocol {
	const char *path;
	bool (*authorized)(const struct http_request *request, const char *key);
	void (*read)(struct call *call, struct json_object *request); /* said, schema, max_tokens, include_usage, tool */
	void (*print_plain)(const struct call *call, const char *reply, size_t n, struct text *out);
	void (*print_open)(const struct call *call, struct text *out);
	void (*print_piece)(const struct call *call, const char *piece, size_t n, struct text *out);
	void (*print_close)(const struct call *call, struct text *out);
	void (*print_error)(int status, const char *message, struct text *out); /* the body of an answer that is an error */
};

extern const struct protocol openai_protocol, anthropic_protocol;

struct call_defaults {
	struct event_base *base;
	const char *key; /* NULL: everybody is let in */
	struct plan plan;
	long piece_ms; /* pause between the pieces of a stream whose plan names none */
};

void call_setup(const struct call_defaults *defaults);
void call_begin(struct http_conn *conn, const struct http_request *request, const struct protocol *protocol);

/* The next `calls` calls go as `words` say, before their own directives. False where the words mean nothing. */
bool call_next(long calls, const char *words);

/* Lets everything that waits at a gate go on. */
void call_release_all(void);

/* What a protocol reports and how a call ended, for the printers. */
long call_completion_tokens(const struct call *call);
bool call_cut_short(const struct call *call); /* max_tokens ended it */

/* Adds the text of a message's content: a string, or an array of parts with a text. */
void call_add_content(struct call *call, struct json_object *content);

#endif
