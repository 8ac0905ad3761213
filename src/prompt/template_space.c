/*
 * template_space.c - which white space around mustaches is not part of the text.
 *
 * Two rules of Handlebars: a ~ takes all white space next to it, and a block's tag, a comment or a partial that stands alone
 * on its line takes the line with it. The order of the steps shows in the result, so it follows Handlebars' own, inner blocks first.
 */
#include "prompt/template_lex.h"
#include "prompt/template_node.h"

/* What a node tells the program it stands in. */
struct edges {
	struct strip strip;
	bool alone;        /* a line of its own may go */
	bool opens_alone;  /* the opening tag is followed by a line's end */
	bool closes_alone; /* the closing tag is preceded by a line's start */
};

static void control(struct program *program, bool root);

static bool is_text(const struct node *node)
{
	return node != NULL && node->kind == NODE_TEXT;
}

static struct node *node_at(const struct program *program, size_t i)
{
	return i < program->count ? program->nodes[i] : NULL;
}

/* Whether the white space that `s` ends with has a line's end in it (or, where `edge`, is all there is). */
static bool ends_line(struct slice s, bool edge)
{
	size_t n = s.len;

	for (size_t len; (len = lexer_space_before(s.text, n)) != 0; n -= len)
		if (s.text[n - 1] == '\n')
			return true;
	return edge && n == 0;
}

static bool begins_line(struct slice s, bool edge)
{
	size_t at = 0;

	for (size_t len; (len = lexer_space(s.text + at, s.len - at)) != 0; at += len)
		if (s.text[at] == '\n')
			return true;
	return edge && at == s.len;
}

/* Whether the line up to node i (up to the program's end, where i is its count) holds nothing. */
static bool blank_before(const struct program *program, size_t i, bool root)
{
	if (i == 0)
		return root;
	return is_text(program->nodes[i - 1]) && ends_line(program->nodes[i - 1]->u.text.original, root && i == 1);
}

/* Whether the line from node i on holds nothing. */
static bool blank_from(const struct program *program, size_t i, bool root)
{
	const struct node *next = node_at(program, i);

	if (next == NULL)
		return root;
	return is_text(next) && begins_line(next->u.text.original, root && i + 1 == program->count);
}

/* Takes the start of node i's text: all white space, or blanks up to and with one line's end. */
static void strip_start(struct program *program, size_t i, bool all)
{
	struct node *node = node_at(program, i);
	struct slice *value;
	size_t at = 0;

	if (!is_text(node) || (!all && node->u.text.right_stripped))
		return;
	value = &node->u.text.value;
	if (all) {
		for (size_t len; (len = lexer_space(value->text + at, value->len - at)) != 0;)
			at += len;
	} else {
		while (at < value->len && (value->text[at] == ' ' || value->text[at] == '\t'))
			at++;
		at += at < value->len && value->text[at] == '\r';
		at += at < value->len && value->text[at] == '\n';
	}
	value->text += at;
	value->len -= at;
	node->u.text.right_stripped = at != 0;
}

/* Takes the end of the text before node i: all white space, or blanks. Whether there were any. */
static bool strip_end(struct program *program, size_t i, bool all)
{
	struct node *node = i == 0 ? NULL : program->nodes[i - 1];
	struct slice *value;
	size_t n;

	if (!is_text(node) || (!all && node->u.text.left_stripped))
		return false;
	value = &node->u.text.value;
	n = value->len;
	if (all) {
		for (size_t len; (len = lexer_space_before(value->text, n)) != 0;)
			n -= len;
	} else {
		while (n > 0 && (value->text[n - 1] == ' ' || value->text[n - 1] == '\t'))
			n--;
	}
	node->u.text.left_stripped = n != value->len;
	value->len = n;
	return node->u.text.left_stripped;
}

/* An {{else}} between two branches: its ~, or its line. */
static void control_middle(struct program *first, struct program *second, const struct node *block)
{
	if (block->u.block.middle.before)
		strip_end(first, first->count, true);
	if (block->u.block.middle.after)
		strip_start(second, 0, true);
	if (block->u.block.close.before)
		strip_end(second, second->count, true);
	if (blank_before(first, first->count, false) && blank_from(second, 0, false)) {
		strip_end(first, first->count, false);
		strip_start(second, 0, false);
	}
}

static struct edges control_block(struct node *block)
{
	struct program *program = block->u.block.program, *inverse = block->u.block.inverse;
	struct program *first = program != NULL ? program : inverse, *second = program != NULL ? inverse : NULL;
	struct edges edges = {.strip = {block->open.before, block->u.block.close.after}};

	if (program != NULL)
		control(program, false);
	if (inverse != NULL)
		control(inverse, false);
	if (second != NULL && second->chained)
		second = second->nodes[0]->u.block.program;
	edges.opens_alone = blank_from(first, 0, false);
	edges.closes_alone = second != NULL ? blank_before(second, second->count, false) : blank_before(first, first->count, false);
	if (block->open.after)
		strip_start(first, 0, true);
	if (second != NULL)
		control_middle(first, second, block);
	else if (block->u.block.close.before)
		strip_end(first, first->count, true);
	return edges;
}

static struct edges control_node(struct node *node)
{
	struct edges edges = {.strip = node->open};

	if (node->kind == NODE_BLOCK)
		return control_block(node);
	edges.alone = node->kind == NODE_COMMENT || node->kind == NODE_PARTIAL;
	return edges;
}

/* The blanks that the text before node i ends with: what a partial's lines are indented by. */
static struct slice indent_before(const struct program *program, size_t i)
{
	struct slice text = program->nodes[i - 1]->u.text.original;
	size_t n = text.len;

	while (n > 0 && (text.text[n - 1] == ' ' || text.text[n - 1] == '\t'))
		n--;
	return (struct slice){text.text + n, text.len - n};
}

static void drop_line(struct program *program, size_t i)
{
	struct node *node = program->nodes[i];

	strip_start(program, i + 1, false);
	if (strip_end(program, i, false) && node->kind == NODE_PARTIAL)
		node->u.partial.indent = indent_before(program, i);
}

static void control(struct program *program, bool root)
{
	for (size_t i = 0; i < program->count; i++) {
		struct node *node = program->nodes[i];
		struct edges edges;
		bool before, after;

		if (node->kind == NODE_TEXT)
			continue;
		edges = control_node(node);
		before = blank_before(program, i, root);
		after = blank_from(program, i + 1, root);
		if (edges.strip.after)
			strip_start(program, i + 1, true);
		if (edges.strip.before)
			strip_end(program, i, true);
		if (edges.alone && before && after)
			drop_line(program, i);
		if (edges.opens_alone && before) {
			strip_start(node->u.block.program != NULL ? node->u.block.program : node->u.block.inverse, 0, false);
			strip_end(program, i, false);
		}
		if (edges.closes_alone && after) {
			struct program *last = node->u.block.inverse != NULL ? node->u.block.inverse : node->u.block.program;

			strip_start(program, i + 1, false);
			strip_end(last, last->count, false);
		}
	}
}

void space_control(struct program *root)
{
	control(root, true);
}
