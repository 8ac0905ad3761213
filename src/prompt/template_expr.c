/*
 * template_expr.c - the grammar of what stands in a mustache: paths, literals, arguments, subexpressions, block parameters.
 */
#include "prompt/template_parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 32u
#define ARGS_MAX 32u
#define NUMBER_TEXT_MAX 64u

static struct slice token_slice(const struct token *token)
{
	return (struct slice){token->text, token->len};
}

static bool slice_is(struct slice slice, const char *s)
{
	return strlen(s) == slice.len && memcmp(slice.text, s, slice.len) == 0;
}

static struct expr *new_expr(struct parser *p, enum expr_kind kind)
{
	struct expr *expr = arena_alloc(p->arena, sizeof *expr);

	if (expr != NULL) {
		expr->kind = kind;
		expr->at = p->token.at;
	}
	return expr;
}

/* Begins with a dot, or has a `this` that ends a word: Handlebars looks neither helper nor block parameter up for those. */
static bool is_scoped(struct slice original)
{
	const char *s = original.text;

	if (original.len != 0 && s[0] == '.')
		return true;
	for (size_t i = 0; i + 4 <= original.len; i++) {
		if (memcmp(s + i, "this", 4) == 0) {
			char c = i + 4 < original.len ? s[i + 4] : ' ';

			if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
				return true;
		}
	}
	return false;
}

/* Whether the path's first part is a block parameter in sight: its scope, counted outwards, and its place there. */
static bool find_param(const struct parser *p, struct expr *expr)
{
	unsigned level = 0;

	for (const struct names *names = p->names; names != NULL; names = names->up, level++) {
		for (size_t i = 0; i < names->count; i++) {
			if (names->params[i].len == expr->parts[0].len && memcmp(names->params[i].text, expr->parts[0].text, expr->parts[0].len) == 0) {
				expr->level = level;
				expr->index = (unsigned)i;
				return true;
			}
		}
	}
	return false;
}

/* One segment: `..` and `this` may only lead. */
static enum rc add_segment(struct parser *p, struct expr *expr)
{
	struct slice part = token_slice(&p->token);
	bool up = !p->token.bracketed && slice_is(part, "..");

	if (p->token.kind != TOKEN_ID)
		return parser_fail(p, p->token.at, "a name that is a number or a keyword is written in brackets: {{list.[0]}}", "a name is expected here");
	if (up || (!p->token.bracketed && (slice_is(part, ".") || slice_is(part, "this")))) {
		if (expr->count != 0)
			return parser_fail(p, p->token.at, NULL, "%.*s can only stand at the start of a path", (int)part.len, part.text);
		expr->depth += up;
	} else if (expr->count == PARTS_MAX) {
		return parser_fail(p, p->token.at, NULL, "path has more than %u parts", PARTS_MAX);
	} else {
		expr->parts[expr->count++] = part;
	}
	return parser_next(p);
}

static enum rc parse_path(struct parser *p, struct expr *expr)
{
	struct slice parts[PARTS_MAX];
	struct buf original;
	enum rc rc = RC_OK;

	buf_init(&original, p->arena, p->lexer.len + 1);
	expr->parts = parts;
	if (expr->kind == EXPR_DATA)
		buf_putc(&original, '@');
	for (;;) {
		buf_add(&original, p->token.text, p->token.len);
		rc = add_segment(p, expr);
		if (rc != RC_OK || p->token.kind != TOKEN_SEPARATOR)
			break;
		buf_add(&original, p->token.text, p->token.len);
		rc = parser_next(p);
		if (rc != RC_OK)
			break;
	}
	expr->parts = arena_array(p->arena, expr->count, sizeof *parts);
	if (rc != RC_OK || expr->parts == NULL || original.rc != RC_OK)
		return rc != RC_OK ? rc : RC_NOMEM;
	if (expr->count != 0)
		memcpy(expr->parts, parts, expr->count * sizeof *parts);
	expr->original = (struct slice){buf_text(&original), original.len};
	expr->scoped = is_scoped(expr->original);
	if (expr->kind == EXPR_DATA && expr->count == 0)
		return parser_fail(p, expr->at, "@root, @index, @key, @first, @last, or a value of the context", "@ needs a name");
	if (expr->kind == EXPR_PATH && expr->depth == 0 && expr->count != 0 && !expr->scoped && find_param(p, expr))
		expr->kind = EXPR_PARAM;
	return RC_OK;
}

static const struct value *number_value(struct parser *p)
{
	char text[NUMBER_TEXT_MAX];
	double number;

	if (p->token.len >= sizeof text)
		return NULL;
	memcpy(text, p->token.text, p->token.len);
	text[p->token.len] = '\0';
	number = strtod(text, NULL);
	if (number == floor(number) && fabs(number) <= 9007199254740991.0)
		return value_int(p->arena, (int64_t)number);
	return value_number(p->arena, number);
}

static enum rc parse_literal(struct parser *p, struct expr **out)
{
	struct expr *expr = *out = new_expr(p, EXPR_LITERAL);
	enum token_kind kind = p->token.kind;

	if (expr == NULL)
		return RC_NOMEM;
	expr->original = token_slice(&p->token);
	if (kind == TOKEN_STRING)
		expr->literal = value_string(p->arena, p->token.text, p->token.len);
	else if (kind == TOKEN_NUMBER && p->token.len >= NUMBER_TEXT_MAX)
		return parser_fail(p, p->token.at, NULL, "number is too long");
	else if (kind == TOKEN_NUMBER)
		expr->literal = number_value(p);
	else if (kind == TOKEN_TRUE || kind == TOKEN_FALSE)
		expr->literal = value_bool(p->arena, kind == TOKEN_TRUE);
	else if (kind == TOKEN_NULL)
		expr->literal = value_null(p->arena);
	if (expr->literal == NULL && kind != TOKEN_UNDEFINED)
		return RC_NOMEM;
	return parser_next(p);
}

/* A path, an @ value or a literal. */
static enum rc parse_operand(struct parser *p, struct expr **out)
{
	enum rc rc = RC_OK;

	switch (p->token.kind) {
	case TOKEN_STRING:
	case TOKEN_NUMBER:
	case TOKEN_TRUE:
	case TOKEN_FALSE:
	case TOKEN_NULL:
	case TOKEN_UNDEFINED:
		return parse_literal(p, out);
	case TOKEN_DATA:
	case TOKEN_ID:
		*out = new_expr(p, p->token.kind == TOKEN_DATA ? EXPR_DATA : EXPR_PATH);
		if (*out == NULL)
			return RC_NOMEM;
		if (p->token.kind == TOKEN_DATA)
			rc = parser_next(p);
		return rc == RC_OK ? parse_path(p, *out) : rc;
	default:
		return parser_fail(p, p->token.at, NULL, "a name or a value is expected here");
	}
}

/* A literal as a name is the member of that name: {{"odd key"}}, {{12}}. */
enum rc parse_name(struct parser *p, struct expr **out)
{
	enum rc rc = parse_operand(p, out);
	struct expr *expr = *out;
	struct buf text;

	if (rc != RC_OK || expr->kind != EXPR_LITERAL)
		return rc;
	if (expr->literal != NULL && (expr->literal->type == VALUE_INT || expr->literal->type == VALUE_NUMBER)) {
		buf_init(&text, p->arena, NUMBER_TEXT_MAX);
		if (value_write(&text, expr->literal, 0) != RC_OK)
			return RC_NOMEM;
		expr->original = (struct slice){buf_text(&text), text.len};
	}
	expr->parts = arena_alloc(p->arena, sizeof *expr->parts);
	if (expr->parts == NULL)
		return RC_NOMEM;
	expr->kind = EXPR_PATH;
	expr->parts[0] = expr->original;
	expr->count = 1;
	expr->scoped = is_scoped(expr->original);
	if (!expr->scoped && find_param(p, expr))
		expr->kind = EXPR_PARAM;
	return RC_OK;
}

static enum rc parse_subexpression(struct parser *p, struct expr **out)
{
	struct expr *expr = *out = new_expr(p, EXPR_CALL);
	struct call *call;
	enum rc rc;

	if (expr == NULL)
		return RC_NOMEM;
	if (++p->nest > TEMPLATE_NEST_MAX)
		return parser_fail(p, p->token.at, NULL, "subexpressions are nested more than %u deep", TEMPLATE_NEST_MAX);
	rc = parser_next(p);
	if (rc == RC_OK)
		rc = parse_call(p, &call);
	if (rc != RC_OK)
		return rc;
	if (p->token.kind != TOKEN_PAREN_CLOSE || call->param_count != 0)
		return parser_fail(p, p->token.at, NULL, "this does not belong here: ) is expected");
	p->nest--;
	expr->call = call;
	rc = helper_resolve(p, call, USE_SUBEXPRESSION);
	return rc == RC_OK || rc == RC_INVALID ? parser_next(p) : rc;
}

static enum rc parse_argument(struct parser *p, struct expr **out)
{
	return p->token.kind == TOKEN_PAREN_OPEN ? parse_subexpression(p, out) : parse_operand(p, out);
}

/* Whether the ID that is looked at is the key of `key=value`. */
static bool is_key(struct parser *p)
{
	struct lexer ahead = p->lexer;
	struct token token;

	return p->token.kind == TOKEN_ID && lexer_next(&ahead, &token) == RC_OK && token.kind == TOKEN_EQUALS;
}

static bool has_key(const struct call *call, struct slice key)
{
	for (size_t i = 0; i < call->hash_count; i++)
		if (call->hash[i].key.len == key.len && memcmp(call->hash[i].key.text, key.text, key.len) == 0)
			return true;
	return false;
}

static enum rc parse_hash(struct parser *p, struct call *call)
{
	struct argument hash[ARGS_MAX];
	enum rc rc = RC_OK;

	call->hash = hash;
	while (rc == RC_OK && is_key(p)) {
		hash[call->hash_count].key = token_slice(&p->token);
		if (call->hash_count == ARGS_MAX - 1 || has_key(call, token_slice(&p->token)))
			return parser_fail(p, p->token.at, NULL, "%s", call->hash_count == ARGS_MAX - 1 ? "too many arguments" : "this argument is given twice");
		rc = parser_next(p);
		if (rc == RC_OK)
			rc = parser_next(p);
		if (rc == RC_OK)
			rc = parse_argument(p, &hash[call->hash_count].value);
		call->hash_count++;
	}
	call->hash = arena_array(p->arena, call->hash_count, sizeof *hash);
	if (call->hash == NULL)
		return RC_NOMEM;
	if (call->hash_count != 0)
		memcpy(call->hash, hash, call->hash_count * sizeof *hash);
	return rc;
}

static enum rc parse_args(struct parser *p, struct call *call)
{
	struct expr *args[ARGS_MAX];
	enum rc rc = RC_OK;

	while (rc == RC_OK && p->token.kind != TOKEN_CLOSE && p->token.kind != TOKEN_CLOSE_TRIPLE && p->token.kind != TOKEN_AS &&
	       p->token.kind != TOKEN_PAREN_CLOSE && !is_key(p)) {
		if (call->arg_count == ARGS_MAX)
			return parser_fail(p, p->token.at, NULL, "too many arguments");
		rc = parse_argument(p, &args[call->arg_count]);
		call->arg_count += rc == RC_OK;
	}
	call->args = arena_array(p->arena, call->arg_count, sizeof *args);
	if (rc != RC_OK || call->args == NULL)
		return rc != RC_OK ? rc : RC_NOMEM;
	if (call->arg_count != 0)
		memcpy(call->args, args, call->arg_count * sizeof *args);
	return parse_hash(p, call);
}

/* as |item index| */
static enum rc parse_params(struct parser *p, struct call *call)
{
	struct slice params[ARGS_MAX];
	enum rc rc = parser_next(p);

	while (rc == RC_OK && p->token.kind == TOKEN_ID && call->param_count < ARGS_MAX) {
		params[call->param_count++] = token_slice(&p->token);
		rc = parser_next(p);
	}
	if (rc != RC_OK)
		return rc;
	if (p->token.kind != TOKEN_BAR || call->param_count == 0)
		return parser_fail(p, p->token.at, "write {{#each list as |item index|}}", "block parameters are names between bars");
	call->params = arena_array(p->arena, call->param_count, sizeof *params);
	if (call->params == NULL)
		return RC_NOMEM;
	memcpy(call->params, params, call->param_count * sizeof *params);
	return parser_next(p);
}

enum rc parse_call(struct parser *p, struct call **out)
{
	struct call *call = *out = arena_alloc(p->arena, sizeof *call);
	enum rc rc = call == NULL ? RC_NOMEM : parse_name(p, &call->name);

	if (rc == RC_OK)
		rc = parse_args(p, call);
	if (rc == RC_OK && p->token.kind == TOKEN_AS)
		rc = parse_params(p, call);
	return rc;
}
