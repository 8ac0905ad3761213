/*
 * template_output.c - rendered text with its marks, and the messages that come of them.
 *
 * The rules are those of the reference Dotprompt, which splits its rendered text at markers; here nothing is searched for in the text, so no value
 * can be taken for a marker.
 */
#include "prompt/template_output.h"

#include <string.h>

#include "prompt/template_lex.h"

void output_init(struct output *out, struct arena *arena, size_t max)
{
	*out = (struct output){.marks = NULL};
	buf_init(&out->text, arena, max);
}

enum rc output_mark(struct output *out, enum mark_kind kind, enum message_role role)
{
	if (out->count == out->room) {
		size_t room = out->room == 0 ? 8 : out->room * 2;
		struct mark *marks = arena_grow(out->text.arena, out->marks, out->room * sizeof *marks, room * sizeof *marks);

		if (marks == NULL)
			return RC_NOMEM;
		out->marks = marks;
		out->room = room;
	}
	out->marks[out->count++] = (struct mark){kind, role, out->text.len};
	return buf_putc(&out->text, '\0');
}

/* Line starts in the text from `from` on that are not at its very end. */
static size_t count_lines(const struct buf *text, size_t from)
{
	size_t lines = 0;

	for (size_t at = from; at < text->len; lines++) {
		const char *end = memchr(text->data + at, '\n', text->len - at);

		at = end == NULL ? text->len : (size_t)(end - text->data) + 1;
	}
	return lines;
}

enum rc output_indent(struct output *out, size_t from, size_t mark, const char *indent, size_t len)
{
	size_t lines = count_lines(&out->text, from), source = out->text.len, target, m = out->count;
	char *text;

	for (size_t i = 0; i < lines; i++)
		buf_add(&out->text, indent, len);
	if (out->text.rc != RC_OK)
		return out->text.rc;
	text = out->text.data;
	target = out->text.len;
	while (source > from) { /* from the last line to the first, so that nothing is written over */
		size_t start = source - 1, n;

		while (start > from && text[start - 1] != '\n')
			start--;
		n = source - start;
		memmove(text + target - n, text + start, n);
		for (; m > mark && out->marks[m - 1].at >= start; m--)
			out->marks[m - 1].at += target - source;
		target -= n + len;
		memcpy(text + target, indent, len);
		source = start;
	}
	return RC_OK;
}

struct cutter {
	struct output *out;
	const struct messages *history;
	struct messages *messages;
	enum message_role role;
	size_t start;      /* of the piece that is open */
	size_t first_mark; /* the first mark inside of it: a section's */
	bool had_history;
};

static void add_message(struct cutter *c, enum message_role role, const char *text, size_t len)
{
	c->messages->items[c->messages->count++] = (struct message){role, text, len};
	c->messages->bytes += len;
}

static void add_history(struct cutter *c)
{
	for (size_t i = 0; c->history != NULL && i < c->history->count; i++) {
		add_message(c, c->history->items[i].role, c->history->items[i].text, c->history->items[i].len);
		c->had_history = true;
	}
}

/* Closes the gaps that sections leave, and drops blank parts between them; the bytes that become free end in a NUL. */
static size_t join_parts(struct cutter *c, size_t end, size_t mark)
{
	char *text = c->out->text.data;
	size_t at = c->start, n = 0;

	for (size_t m = c->first_mark; m <= mark; m++) {
		size_t part = (m == mark ? end : c->out->marks[m].at) - at;

		if (!lexer_blank(text + at, part)) {
			memmove(text + c->start + n, text + at, part);
			n += part;
		}
		at += part + 1;
	}
	text[c->start + n] = '\0';
	return n;
}

/* The piece that ends at `end`, where mark number `mark` stands (or the text's end). One of sections alone is a message without a text: it has its
 * say in where the history goes, and is dropped then. */
static void end_piece(struct cutter *c, size_t end, size_t mark)
{
	const char *text = c->out->text.data + c->start;
	size_t len = end - c->start;
	bool sections = mark > c->first_mark;

	if (sections)
		len = join_parts(c, end, mark);
	else if (lexer_blank(text, len))
		len = 0;
	if (len != 0 || sections)
		add_message(c, c->role, len == 0 ? NULL : text, len);
	c->start = end + 1;
	c->first_mark = mark + 1;
}

static void cut(struct cutter *c)
{
	for (size_t m = 0; m < c->out->count; m++) {
		const struct mark *mark = &c->out->marks[m];

		if (mark->kind == MARK_SECTION)
			continue;
		end_piece(c, mark->at, m);
		c->role = mark->kind == MARK_ROLE ? mark->role : ROLE_MODEL;
		if (mark->kind == MARK_HISTORY)
			add_history(c);
	}
	if (c->out->text.data != NULL)
		end_piece(c, c->out->text.len, c->out->count);
}

static void insert_history(struct cutter *c)
{
	struct messages *messages = c->messages;
	struct message last;

	if (messages->count == 0 || messages->items[messages->count - 1].role != ROLE_USER) {
		add_history(c);
		return;
	}
	last = messages->items[--messages->count];
	add_history(c);
	messages->items[messages->count++] = last;
}

static void drop_textless(struct messages *messages)
{
	size_t kept = 0;

	for (size_t i = 0; i < messages->count; i++)
		if (messages->items[i].text != NULL)
			messages->items[kept++] = messages->items[i];
	messages->count = kept;
}

enum rc output_messages(struct output *out, const struct messages *history, struct messages *messages)
{
	struct cutter c = {.out = out, .history = history, .messages = messages, .role = ROLE_USER};
	size_t inserts = 1, turns = history == NULL ? 0 : history->count, most;

	*messages = (struct messages){.items = NULL};
	if (out->text.rc != RC_OK)
		return out->text.rc;
	for (size_t m = 0; m < out->count; m++)
		inserts += out->marks[m].kind == MARK_HISTORY;
	if (__builtin_mul_overflow(inserts, turns, &most))
		return RC_NOMEM;
	messages->items = arena_array(out->text.arena, most + out->count + 1, sizeof *messages->items);
	if (messages->items == NULL)
		return RC_NOMEM;
	cut(&c);
	if (!c.had_history)
		insert_history(&c);
	drop_textless(messages);
	return RC_OK;
}
