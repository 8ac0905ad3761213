/*
 * template_parse.h - the parser's inside: its state, and what its three files (statements, what stands in a mustache, partials) ask of each other.
 *
 * Private to template_parse.c, template_expr.c and template_partial.c.
 */
#ifndef PROMPT_TEMPLATE_PARSE_H
#define PROMPT_TEMPLATE_PARSE_H

#include "prompt/template_lex.h"
#include "prompt/template_node.h"

/* The block parameters in sight. */
struct names {
	const struct slice *params;
	size_t count;
	const struct names *up;
};

/* One call of template_compile: shared by the parsers of all its files. */
struct loading {
	const struct template_partials *source;
	struct partial *partials; /* the last found first */
	unsigned count;
	bool has_history;
	struct diagnostics *list;
};

struct parser {
	struct arena *arena;
	struct loading *loading;
	struct lexer lexer;
	struct token token; /* the one that is looked at */
	unsigned first_line, first_column;
	const struct names *names;
	unsigned nest;           /* blocks, `else if` links and subexpressions that are open */
	unsigned blocks;         /* blocks that are open */
	unsigned files;          /* partials that are being read */
	struct partial *partial; /* the one that this is the text of; NULL for the file itself */
};

/* Moves on to the next token. RC_INVALID is reported already. */
enum rc parser_next(struct parser *parser) MUST_CHECK;

/* Makes room for one more element; the array, moved perhaps, or NULL when out of memory. */
void *parser_push(struct arena *arena, void *array, size_t count, size_t *room, size_t size) MUST_CHECK;

/* template_parse.c: a whole text that the lexer was given, white space under control. */
enum rc parse_file(struct parser *parser, struct program **out) MUST_CHECK;

/* template_partial.c: checks {{> name …}} and finds its partial, reading it if this is its first use. */
enum rc partial_resolve(struct parser *parser, struct node *node) MUST_CHECK;

/* Refuses partials that include themselves outside of any block. */
enum rc partial_check_circles(const struct loading *loading) MUST_CHECK;

/* template_expr.c: a name, what goes to it, and block parameters, up to what closes the mustache. */
enum rc parse_call(struct parser *parser, struct call **out) MUST_CHECK;

/* A path, an @ value or a literal that is used as a name. */
enum rc parse_name(struct parser *parser, struct expr **out) MUST_CHECK;

#endif
