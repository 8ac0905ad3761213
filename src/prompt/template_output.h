/*
 * template_output.h - what a rendering writes to: text, and beside it the marks where messages begin.
 *
 * A mark is an offset kept outside of the text. It stands on a NUL byte of its own in the text, which ends the message before it; that
 * byte says nothing by itself, so text may hold whatever it likes. Private to template*.c.
 */
#ifndef PROMPT_TEMPLATE_OUTPUT_H
#define PROMPT_TEMPLATE_OUTPUT_H

#include "prompt/message.h"

enum mark_kind { MARK_ROLE, MARK_HISTORY, MARK_SECTION };

struct mark {
	enum mark_kind kind;
	enum message_role role; /* of MARK_ROLE */
	size_t at;
};

struct output {
	struct buf text;
	struct mark *marks;
	size_t count, room;
};

void output_init(struct output *out, struct arena *arena, size_t max);

enum rc output_mark(struct output *out, enum mark_kind kind, enum message_role role) MUST_CHECK;

/* Puts `indent` before each line written since the text was `from` bytes and the marks `mark` in number, as Handlebars does for a partial
 * that stands alone on its line: every line but an empty last one. */
enum rc output_indent(struct output *out, size_t from, size_t mark, const char *indent, size_t len) MUST_CHECK;

/* Cuts it into messages, whose texts stay where they are. What stands before the first role is the user's; messages and parts of nothing but white
 * space are dropped; without a {{history}} the history goes before a user's last message, or else to the end. */
enum rc output_messages(struct output *out, const struct messages *history, struct messages *messages) MUST_CHECK;

#endif
