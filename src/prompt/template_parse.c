/*
 * template_parse.c - tokens into the tree of template_node.h, and everything refused that could not be rendered.
 *
 * A syntax error ends the file; a wrong helper or argument is noted and the reading goes on, so that lint names them all at once.
 */
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "prompt/template_parse.h"

static enum rc parse_program(struct parser *p, struct program **out);

struct arena *parser_arena(struct parser *p)
{
	return p->arena;
}

struct diagnostics *parser_list(struct parser *p)
{
	return p->loading->list;
}

/* Only for those that are kept: each is a walk through the text. */
void parser_locate(const struct parser *p, size_t at, unsigned *line, unsigned *column)
{
	size_t end = diagnostics_full(p->loading->list) ? 0 : at < p->lexer.len ? at : p->lexer.len;

	*line = p->first_line;
	*column = p->first_column;
	for (size_t i = 0; i < end; i++) {
		const char *c = &p->lexer.text[i];

		if (*c == '\n' || (*c == '\r' && (i + 1 == p->lexer.len || c[1] != '\n'))) {
			++*line;
			*column = 1;
		} else {
			*column += ((unsigned char)*c & 0xC0) != 0x80;
		}
	}
}

enum rc parser_fail(struct parser *p, size_t at, const char *hint, const char *format, ...)
{
	unsigned line, column;
	const char *message;
	va_list ap;

	parser_locate(p, at, &line, &column);
	va_start(ap, format);
	message = arena_vprintf(p->arena, format, ap);
	va_end(ap);
	return diagnostics_error(p->loading->list, line, column, hint, "%s", message == NULL ? "out of memory" : message);
}

void parser_warn(struct parser *p, size_t at, const char *format, ...)
{
	unsigned line, column;
	const char *message;
	va_list ap;

	parser_locate(p, at, &line, &column);
	va_start(ap, format);
	message = arena_vprintf(p->arena, format, ap);
	va_end(ap);
	(void)diagnostics_warning(p->loading->list, line, column, NULL, "%s", message == NULL ? "out of memory" : message);
}

enum rc parser_next(struct parser *p)
{
	enum rc rc = lexer_next(&p->lexer, &p->token);

	return rc == RC_INVALID ? parser_fail(p, p->lexer.bad_at, p->lexer.hint, "%s", p->lexer.reason) : rc;
}

void *parser_push(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
	size_t more = *room == 0 ? 4 : *room * 2;

	if (count < *room)
		return array;
	array = arena_grow(arena, array, *room * size, more * size);
	if (array != NULL)
		*room = more;
	return array;
}

static struct node *add_node(struct parser *p, struct program *program, enum node_kind kind)
{
	struct node **nodes = parser_push(p->arena, program->nodes, program->count, &program->room, sizeof *nodes);
	struct node *node = arena_alloc(p->arena, sizeof *node);

	if (nodes == NULL || node == NULL)
		return NULL;
	node->kind = kind;
	node->open = (struct strip){p->token.strip_before, p->token.strip_after};
	program->nodes = nodes;
	nodes[program->count++] = node;
	return node;
}

static enum rc parse_text(struct parser *p, struct program *program)
{
	struct node *node = add_node(p, program, p->token.kind == TOKEN_TEXT ? NODE_TEXT : NODE_COMMENT);

	if (node == NULL)
		return RC_NOMEM;
	if (node->kind == NODE_TEXT)
		node->u.text.original = node->u.text.value = (struct slice){p->token.text, p->token.len};
	return parser_next(p);
}

/* The }} of what was opened; its ~ goes to `after`. */
static enum rc parse_close(struct parser *p, enum token_kind kind, bool *after)
{
	if (p->token.kind == TOKEN_CLOSE_TRIPLE && kind == TOKEN_CLOSE)
		return parser_fail(p, p->token.at, "put a blank between the mustache and a } that is meant as text", "}}} closes a mustache that {{ opened");
	if (p->token.kind != kind)
		return parser_fail(p, p->token.at, NULL, "this does not belong here: %s is expected", kind == TOKEN_CLOSE ? "}}" : "}}}");
	*after = p->token.strip_after;
	return parser_next(p);
}

static enum rc check_role(struct parser *p, struct node *node)
{
	const struct expr *name = node->u.mustache.call->args[0];

	if (name->kind != EXPR_LITERAL || name->literal == NULL || name->literal->type != VALUE_STRING)
		return parser_fail(p, name->at, "write {{role \"user\"}}; the turns of a conversation come in through {{history}}",
		                   "a role is named in the file, never by a value");
	if (message_role_parse(name->literal->u.string.text, &node->u.mustache.role) != RC_OK)
		return parser_fail(p, name->at, "roles are system, user and model", "unknown role \"%s\"", name->literal->u.string.text);
	return RC_OK;
}

static enum rc parse_mustache(struct parser *p, struct program *program)
{
	enum token_kind close = p->token.kind == TOKEN_OPEN_TRIPLE ? TOKEN_CLOSE_TRIPLE : TOKEN_CLOSE;
	struct node *node = add_node(p, program, NODE_MUSTACHE);
	struct call *call;
	enum rc rc;

	if (node == NULL)
		return RC_NOMEM;
	rc = parser_next(p);
	if (rc == RC_OK)
		rc = parse_call(p, &node->u.mustache.call);
	if (rc == RC_OK)
		rc = parse_close(p, close, &node->open.after);
	if (rc != RC_OK)
		return rc;
	call = node->u.mustache.call;
	if (call->param_count != 0)
		return parser_fail(p, call->name->at, NULL, "only a block can have parameters (as |item|)");
	rc = helper_resolve(p, call, USE_MUSTACHE);
	if (rc == RC_OK && call->helper == HELPER_ROLE)
		rc = check_role(p, node);
	p->loading->has_history |= call->helper == HELPER_HISTORY;
	return rc == RC_INVALID ? RC_OK : rc; /* reported; the rest is still read */
}

static bool enter(struct parser *p)
{
	return ++p->nest <= TEMPLATE_NEST_MAX;
}

/* `{{#name …}}`, `{{^name …}}` or `{{else name …}}` up to its }}, and the program behind it. */
static enum rc parse_opening(struct parser *p, struct node *node, struct program **body)
{
	size_t at = p->token.at;
	struct names names = {.up = p->names};
	struct call *call;
	enum rc rc = parser_next(p);

	if (!enter(p))
		return parser_fail(p, at, NULL, "blocks are nested more than %u deep", TEMPLATE_NEST_MAX);
	if (rc == RC_OK)
		rc = parse_call(p, &node->u.block.call);
	if (rc == RC_OK)
		rc = parse_close(p, TOKEN_CLOSE, &node->open.after);
	if (rc != RC_OK)
		return rc;
	call = node->u.block.call;
	rc = helper_resolve(p, call, USE_BLOCK);
	if (rc != RC_OK && rc != RC_INVALID)
		return rc;
	names.params = call->params;
	names.count = call->param_count;
	if (names.count != 0)
		p->names = &names;
	rc = parse_program(p, body);
	p->names = names.up;
	return rc;
}

static enum rc parse_else(struct parser *p, struct node *block, struct program **other);

/* `{{else if x}}…`: a program that holds nothing but that block. It has no closing tag of its own. */
static enum rc parse_chain(struct parser *p, struct node *block, struct program **other)
{
	struct program *chained = arena_alloc(p->arena, sizeof *chained);
	struct node *node = chained == NULL ? NULL : add_node(p, chained, NODE_BLOCK);
	enum rc rc;

	if (node == NULL)
		return RC_NOMEM;
	chained->chained = true;
	*other = chained;
	rc = parse_opening(p, node, &node->u.block.program);
	block->u.block.middle = node->u.block.close = node->open;
	if (rc == RC_OK)
		rc = parse_else(p, node, &node->u.block.inverse);
	p->nest--;
	return rc;
}

/* What follows a block's first branch, if it is an else. */
static enum rc parse_else(struct parser *p, struct node *block, struct program **other)
{
	enum rc rc;

	if (p->token.kind == TOKEN_OPEN_CHAIN)
		return parse_chain(p, block, other);
	if (p->token.kind != TOKEN_ELSE)
		return RC_OK;
	block->u.block.middle = (struct strip){p->token.strip_before, p->token.strip_after};
	rc = parser_next(p);
	return rc == RC_OK ? parse_program(p, other) : rc;
}

static enum rc parse_end(struct parser *p, struct node *block)
{
	const struct expr *open = block->u.block.call->name;
	struct expr *close;
	enum rc rc;

	if (p->token.kind == TOKEN_END)
		return parser_fail(p, open->at, NULL, "block \"%.*s\" is not closed: {{/%.*s}} is missing", (int)open->original.len, open->original.text,
		                   (int)open->original.len, open->original.text);
	if (p->token.kind != TOKEN_OPEN_CLOSE)
		return parser_fail(p, p->token.at, "a block has one {{else}}, as its last branch, and {{^name}} knows no {{else if}}",
		                   "this {{else}} does not belong here");
	block->u.block.close.before = p->token.strip_before;
	rc = parser_next(p);
	if (rc == RC_OK)
		rc = parse_name(p, &close);
	if (rc != RC_OK)
		return rc;
	if (close->original.len != open->original.len || memcmp(close->original.text, open->original.text, open->original.len) != 0)
		return parser_fail(p, close->at, NULL, "{{/%.*s}} closes a block that \"%.*s\" opened", (int)close->original.len, close->original.text,
		                   (int)open->original.len, open->original.text);
	return parse_close(p, TOKEN_CLOSE, &block->u.block.close.after);
}

static enum rc parse_block(struct parser *p, struct program *program)
{
	bool inverted = p->token.kind == TOKEN_OPEN_INVERSE;
	struct node *node = add_node(p, program, NODE_BLOCK);
	struct program *first = NULL, *other = NULL;
	enum rc rc;

	if (node == NULL)
		return RC_NOMEM;
	p->blocks++;
	rc = parse_opening(p, node, &first);
	if (rc == RC_OK && !(inverted && p->token.kind == TOKEN_OPEN_CHAIN))
		rc = parse_else(p, node, &other);
	if (rc == RC_OK)
		rc = parse_end(p, node);
	p->nest--;
	p->blocks--;
	if (rc != RC_OK)
		return rc;
	if (inverted && node->u.block.call->param_count != 0)
		return parser_fail(p, node->u.block.call->name->at, NULL, "{{^name}} has no block parameters");
	if (other != NULL && other->chained)
		other->nodes[0]->u.block.close = node->u.block.close;
	node->u.block.program = inverted ? other : first;
	node->u.block.inverse = inverted ? first : other;
	return RC_OK;
}

static enum rc parse_partial(struct parser *p, struct program *program)
{
	struct node *node = add_node(p, program, NODE_PARTIAL);
	enum rc rc;

	if (node == NULL)
		return RC_NOMEM;
	rc = parser_next(p);
	if (rc == RC_OK && p->token.kind == TOKEN_PAREN_OPEN)
		return parser_fail(p, p->token.at, "name the partial, and choose between several with {{#if}}", "dynamic partials are not supported");
	if (rc == RC_OK)
		rc = parse_call(p, &node->u.partial.call);
	if (rc == RC_OK)
		rc = parse_close(p, TOKEN_CLOSE, &node->open.after);
	if (rc != RC_OK)
		return rc;
	rc = partial_resolve(p, node);
	return rc == RC_INVALID ? RC_OK : rc; /* reported; the rest is still read */
}

static enum rc parse_program(struct parser *p, struct program **out)
{
	struct program *program = *out = arena_alloc(p->arena, sizeof *program);
	enum rc rc = program == NULL ? RC_NOMEM : RC_OK;

	while (rc == RC_OK) {
		switch (p->token.kind) {
		case TOKEN_TEXT:
		case TOKEN_COMMENT:
			rc = parse_text(p, program);
			break;
		case TOKEN_OPEN:
		case TOKEN_OPEN_TRIPLE:
			rc = parse_mustache(p, program);
			break;
		case TOKEN_OPEN_BLOCK:
		case TOKEN_OPEN_INVERSE:
			rc = parse_block(p, program);
			break;
		case TOKEN_OPEN_PARTIAL:
			rc = parse_partial(p, program);
			break;
		default:
			return RC_OK;
		}
	}
	return rc;
}

enum rc parse_file(struct parser *p, struct program **out)
{
	const char *text = p->lexer.text;
	enum rc rc;

	if (memchr(text, '\0', p->lexer.len) != NULL || !str_utf8_valid(text, p->lexer.len))
		return diagnostics_error(p->loading->list, 0, 0, NULL, "the text is not well-formed UTF-8, or holds a NUL");
	rc = parser_next(p);
	if (rc == RC_OK)
		rc = parse_program(p, out);
	if (rc == RC_OK && p->token.kind == TOKEN_OPEN_CLOSE)
		return parser_fail(p, p->token.at, NULL, "this closes a block that was never opened");
	if (rc == RC_OK && p->token.kind != TOKEN_END)
		return parser_fail(p, p->token.at, NULL, "{{else}} outside of a block");
	if (rc == RC_OK)
		space_control(*out);
	return rc;
}

enum rc template_compile(struct arena *arena, const char *text, size_t n, unsigned first_line, unsigned first_column, const struct template_partials *partials,
                         struct template **out, struct diagnostics *list)
{
	struct loading loading = {.source = partials, .list = list};
	struct parser parser = {.arena = arena, .loading = &loading, .first_line = first_line, .first_column = first_column};
	struct template *template = arena_alloc(arena, sizeof *template);
	char *copy = arena_strndup(arena, text, n);
	unsigned errors = list->errors;
	enum rc rc;

	if (template == NULL || copy == NULL)
		return RC_NOMEM;
	lexer_init(&parser.lexer, arena, copy, n);
	rc = parse_file(&parser, &template->program);
	if (rc == RC_OK)
		rc = partial_check_circles(&loading);
	if (rc == RC_OK && list->errors != errors)
		rc = RC_INVALID;
	template->has_history = loading.has_history;
	if (rc == RC_OK)
		*out = template;
	return rc;
}

bool template_has_history(const struct template *template)
{
	return template->has_history;
}
