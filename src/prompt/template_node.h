/*
 * template_node.h - a compiled template: the tree that the parser builds, white-space control trims and rendering walks.
 *
 * Private to template*.c. The tree is const once template_compile returns; its texts point into one copy of the source.
 */
#ifndef PROMPT_TEMPLATE_NODE_H
#define PROMPT_TEMPLATE_NODE_H

#include "prompt/template.h"

/* Blocks within blocks, `else if` links and partials within partials, counted together: at load and again when rendering. */
#define TEMPLATE_NEST_MAX TEMPLATE_DEPTH_MAX
#define TEMPLATE_PARTIALS_MAX 64u

struct slice {
	const char *text;
	size_t len;
};

enum helper_kind {
	HELPER_NONE, /* a value, or a plain section */
	HELPER_IF,
	HELPER_UNLESS,
	HELPER_EACH,
	HELPER_WITH,
	HELPER_IF_EQUALS,
	HELPER_UNLESS_EQUALS,
	HELPER_ROLE,
	HELPER_HISTORY,
	HELPER_JSON,
	HELPER_SECTION,
	HELPER_LOOKUP,
};

enum expr_kind { EXPR_LITERAL, EXPR_PATH, EXPR_DATA, EXPR_PARAM, EXPR_CALL };

struct expr {
	enum expr_kind kind;
	size_t at;                   /* offset in the source */
	const struct value *literal; /* EXPR_LITERAL; NULL is undefined */
	const struct call *call;     /* EXPR_CALL */
	unsigned depth;              /* ../ that lead EXPR_PATH and EXPR_DATA */
	unsigned level, index;       /* EXPR_PARAM: which scope outwards, which of its parameters */
	struct slice *parts;         /* the names to look up, in order; EXPR_PARAM's first one is the parameter itself */
	size_t count;
	struct slice original;       /* as it was written, without brackets and quotes */
	bool scoped;                 /* begins with ./ or this: neither a helper nor a block parameter */
};

struct argument {
	struct slice key;
	struct expr *value;
};

/* What stands in a mustache: a name, and perhaps what goes to it. */
struct call {
	struct expr *name;
	enum helper_kind helper;
	struct expr **args;
	size_t arg_count;
	struct argument *hash;
	size_t hash_count;
	struct slice *params; /* as |item index| */
	size_t param_count;
};

struct strip {
	bool before, after; /* {{~ and ~}} */
};

enum node_kind { NODE_TEXT, NODE_COMMENT, NODE_MUSTACHE, NODE_BLOCK, NODE_PARTIAL };

struct node {
	enum node_kind kind;
	struct strip open;
	union {
		struct {
			struct slice original, value;        /* before and after white-space control */
			bool right_stripped, left_stripped;
		} text;
		struct {
			struct call *call;
			enum message_role role; /* of HELPER_ROLE */
		} mustache;
		struct {
			struct call *call;
			struct program *program, *inverse; /* either may be NULL */
			struct strip middle, close;        /* of the {{else}} and of the {{/name}} */
		} block;
		struct {
			struct call *call;       /* its name is the partial's */
			struct partial *partial;
			struct slice indent;     /* of a partial that stands alone on its line */
		} partial;
	} u;
};

/* A run of nodes: a whole file, or one branch of a block. */
struct program {
	struct node **nodes;
	size_t count, room;
	bool chained; /* holds nothing but the block of an `{{else if}}` */
};

struct partial {
	const char *name;
	struct program *program; /* NULL while it is being read */
	const char *file;        /* where it is included first */
	unsigned line, column;
	struct partial **always; /* those it includes outside of any block */
	size_t always_count, always_room;
	enum { PARTIAL_UNSEEN, PARTIAL_OPEN, PARTIAL_SEEN } mark; /* of the search for cycles */
	struct partial *next;
};

struct template {
	struct program *program;
	bool has_history;
};

/* template_parse.c, the compiler's state, for those who report errors at an offset of the source. */
struct parser;

/* Reports an error at the offset: line and column are worked out here. Returns RC_INVALID. */
enum rc parser_fail(struct parser *parser, size_t at, const char *hint, const char *format, ...) PRINTF_LIKE(4, 5);
void parser_warn(struct parser *parser, size_t at, const char *format, ...) PRINTF_LIKE(3, 4);

/* The line and column that it would be reported with. */
void parser_locate(const struct parser *parser, size_t at, unsigned *line, unsigned *column);
struct arena *parser_arena(struct parser *parser);
struct diagnostics *parser_list(struct parser *parser);

/* template_space.c: applies ~ and drops the lines that only hold a block's tag, a comment or a partial. */
void space_control(struct program *root);

/* template_helper.c */
enum helper_use { USE_MUSTACHE, USE_BLOCK, USE_SUBEXPRESSION };

/* Decides what the call is, as Handlebars does with its knownHelpersOnly, and refuses what could not work. Sets call->helper. */
enum rc helper_resolve(struct parser *parser, struct call *call, enum helper_use use) MUST_CHECK;

/* The hash argument of that name, or NULL. */
const struct expr *helper_option(const struct call *call, const char *name);

#endif
