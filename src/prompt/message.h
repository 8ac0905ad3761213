/*
 * message.h - the messages that a rendered prompt consists of.
 *
 * They are assembled out of band: the template engine opens a message when it executes a role helper, and text of a caller only ever
 * goes into the one that is open. There is no marker in the text that could be forged.
 */
#ifndef PROMPT_MESSAGE_H
#define PROMPT_MESSAGE_H

#include "base/value.h"

enum message_role { ROLE_SYSTEM, ROLE_USER, ROLE_MODEL };

struct message {
	enum message_role role;
	const char *text; /* UTF-8, NUL-terminated */
	size_t len;
};

struct messages {
	struct message *items;
	size_t count;
	size_t bytes; /* of all texts together: what bounds the prompt tokens */
};

/* "system", "user", "model". Static storage. */
const char *message_role_name(enum message_role role);

/* "system", "user", "model", and "assistant" for model; RC_INVALID else. */
enum rc message_role_parse(const char *name, enum message_role *role) MUST_CHECK;

/* Appends [{"role": "user", "content": "…"}, …]. `assistant` prints ROLE_MODEL as "assistant", as OpenAI's protocol has it. */
enum rc message_write(struct buf *buf, const struct messages *messages, bool assistant);

/* Reads the same form, as a caller's history or promptctl's input has it: content is a string, or an array of {"text": "…"} parts.
 * RC_INVALID with *reason (static), RC_NOMEM. */
enum rc message_read(struct arena *arena, const struct value *array, struct messages *out, const char **reason) MUST_CHECK;

#endif
