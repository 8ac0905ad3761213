/*
 * template_render.c - walks the tree with a caller's values and writes messages.
 *
 * What a name means follows from four lists, innermost first: the contexts (../), the loops (@index), the block parameters, and the nesting that
 * is capped. They live on the stack of the walk.
 */
#include <string.h>

#include "prompt/template_node.h"
#include "prompt/template_output.h"
#include "prompt/template_value.h"

struct context {
	const struct value *value;
	const struct context *up;
};

struct loop {
	struct value index, key, first, last;
	const struct loop *up;
};

struct params {
	const struct value *values[2];
	size_t count;
	const struct params *up;
};

/* What a program sees. Handlebars opens a context only where it differs (by ==) from the one around it: so `value` and contexts->value
 * can be two. */
struct scope {
	const struct value *value;
	const struct context *contexts;
	const struct loop *loops;
	const struct params *params;
};

struct render {
	struct arena *arena;
	const struct template_data *data;
	struct output out;
	struct buf scratch;
	const struct value *metadata; /* made when it is first asked for */
	unsigned depth, loops;
	enum rc rc; /* the first failure of an evaluation */
};

/* What helpers see as their context where there is none. */
static const struct value nothing_object = {.type = VALUE_OBJECT};

static const struct value *evaluate(struct render *r, const struct scope *scope, const struct expr *expr);
static enum rc run(struct render *r, const struct program *program, const struct scope *scope);

static const struct value *get(struct render *r, const struct value *v, struct slice key)
{
	return js_get(r->arena, v, key.text, key.len);
}

/* Follows names from the one at `from` on; null and undefined stay what they are. */
static const struct value *follow(struct render *r, const struct value *v, const struct expr *expr, size_t from)
{
	for (size_t i = from; i < expr->count && !js_nothing(v); i++)
		v = get(r, v, expr->parts[i]);
	return v;
}

static const struct value *context_at(const struct scope *scope, unsigned depth)
{
	const struct context *context = scope->contexts;

	if (depth == 0)
		return scope->value;
	while (context != NULL && depth-- > 0)
		context = context->up;
	return context == NULL ? NULL : context->value;
}

/* The turns so far, in Dotprompt's form: [{role, content: [{text}]}]. */
static struct value *history_value(struct arena *arena, const struct messages *history)
{
	struct value *turns = value_array(arena);

	for (size_t i = 0; i < history->count; i++) {
		const struct message *m = &history->items[i];
		const char *role = message_role_name(m->role);
		struct value *turn = value_object(arena), *content = value_array(arena), *part = value_object(arena);

		if (value_set(arena, part, "text", 4, value_string(arena, m->text, m->len)) != RC_OK || value_push(arena, content, part) != RC_OK ||
		    value_set(arena, turn, "role", 4, value_string(arena, role, strlen(role))) != RC_OK ||
		    value_set(arena, turn, "content", 7, content) != RC_OK || value_push(arena, turns, turn) != RC_OK)
			return NULL;
	}
	return turns;
}

/* {prompt, messages}. */
static const struct value *metadata(struct render *r)
{
	struct value *object = r->metadata == NULL ? value_object(r->arena) : NULL, *prompt = (struct value *)(uintptr_t)r->data->prompt;

	if (r->metadata != NULL)
		return r->metadata;
	if (object == NULL || (prompt != NULL && value_set(r->arena, object, "prompt", 6, prompt) != RC_OK) ||
	    (r->data->history != NULL && value_set(r->arena, object, "messages", 8, history_value(r->arena, r->data->history)) != RC_OK))
		r->rc = RC_NOMEM;
	r->metadata = object;
	return object;
}

static bool is_name(struct slice name, const char *s)
{
	return name.len == strlen(s) && memcmp(name.text, s, name.len) == 0;
}

/* @name: of the loop `depth` loops out, else of the caller's context values. */
static const struct value *data_value(struct render *r, const struct scope *scope, unsigned depth, struct slice name)
{
	static const char *const names[] = {"index", "key", "first", "last"};
	const struct loop *loop = scope->loops;
	const struct value *v = value_getn(r->data->context, name.text, name.len);

	while (depth > 0 && loop != NULL) {
		loop = loop->up;
		depth--;
	}
	for (size_t i = 0; loop != NULL && i < COUNT_OF(names); i++) {
		const struct value *const values[] = {&loop->index, &loop->key, &loop->first, &loop->last};

		if (is_name(name, names[i]))
			return values[i];
	}
	if (depth > 1)
		return NULL;
	if (v == NULL && depth == 0 && is_name(name, "root"))
		return r->data->input == NULL ? &nothing_object : r->data->input;
	return v == NULL && is_name(name, "metadata") ? metadata(r) : v;
}

/* In an @ path it is any falsy value that ends the walk, and is what it comes to. */
static const struct value *evaluate_data(struct render *r, const struct scope *scope, const struct expr *expr)
{
	const struct value *v = data_value(r, scope, expr->depth, expr->parts[0]);

	for (size_t i = 1; i < expr->count && js_truthy(v); i++)
		v = get(r, v, expr->parts[i]);
	return v;
}

static const struct value *evaluate_param(struct render *r, const struct scope *scope, const struct expr *expr)
{
	const struct params *params = scope->params;

	for (unsigned level = expr->level; level > 0 && params != NULL; level--)
		params = params->up;
	if (params == NULL || expr->index >= params->count)
		return NULL;
	return follow(r, params->values[expr->index], expr, 1);
}

static const struct value *look_up(struct render *r, const struct scope *scope, const struct call *call)
{
	const struct value *v = evaluate(r, scope, call->args[0]), *key = evaluate(r, scope, call->args[1]);
	struct buf text;

	if (!js_truthy(v))
		return v;
	if (key != NULL && key->type == VALUE_STRING)
		return js_get(r->arena, v, key->u.string.text, key->u.string.len);
	buf_init(&text, r->arena, TEMPLATE_OUTPUT_MAX);
	if (key == NULL || key->type == VALUE_NULL)
		buf_puts(&text, key == NULL ? "undefined" : "null");
	js_text(&text, key);
	if (text.rc != RC_OK)
		r->rc = text.rc;
	return js_get(r->arena, v, buf_text(&text), text.len);
}

/* JSON.stringify's third argument: up to ten blanks, or the first ten characters of a string. */
static struct slice json_gap(const struct value *indent)
{
	static const char blanks[] = "          ";
	double n = 0;
	size_t at = 0;

	if (indent != NULL && indent->type == VALUE_STRING) {
		for (size_t units = 0; at < indent->u.string.len && units < 10; units++)
			do
				at++;
			while (at < indent->u.string.len && ((unsigned char)indent->u.string.text[at] & 0xC0) == 0x80);
		return (struct slice){indent->u.string.text, at};
	}
	if (indent != NULL && indent->type == VALUE_INT)
		n = (double)indent->u.integer;
	else if (indent != NULL && indent->type == VALUE_NUMBER)
		n = indent->u.number;
	return (struct slice){blanks, n < 1 ? 0 : n > 10 ? 10 : (size_t)n};
}

static void write_json(struct render *r, const struct scope *scope, const struct call *call, struct buf *buf)
{
	const struct expr *option = helper_option(call, "indent");
	struct slice gap = json_gap(option == NULL ? NULL : evaluate(r, scope, option));

	(void)js_json(buf, evaluate(r, scope, call->args[0]), gap.text, gap.len);
}

static const struct value *evaluate_call(struct render *r, const struct scope *scope, const struct call *call)
{
	struct value *text;
	struct buf buf;

	if (call->helper == HELPER_LOOKUP)
		return look_up(r, scope, call);
	buf_init(&buf, r->arena, TEMPLATE_OUTPUT_MAX);
	write_json(r, scope, call, &buf);
	text = value_string(r->arena, buf_text(&buf), buf.len);
	if (buf.rc != RC_OK || text == NULL)
		r->rc = buf.rc != RC_OK ? buf.rc : RC_NOMEM;
	return text;
}

static const struct value *evaluate(struct render *r, const struct scope *scope, const struct expr *expr)
{
	switch (expr->kind) {
	case EXPR_LITERAL:
		return expr->literal;
	case EXPR_PATH:
		return follow(r, context_at(scope, expr->depth), expr, 0);
	case EXPR_DATA:
		return evaluate_data(r, scope, expr);
	case EXPR_PARAM:
		return evaluate_param(r, scope, expr);
	case EXPR_CALL:
		return evaluate_call(r, scope, expr->call);
	}
	return NULL;
}

static enum rc run_mustache(struct render *r, const struct node *node, const struct scope *scope)
{
	const struct call *call = node->u.mustache.call;

	switch (call->helper) {
	case HELPER_ROLE:
		return output_mark(&r->out, MARK_ROLE, node->u.mustache.role);
	case HELPER_HISTORY:
		return output_mark(&r->out, MARK_HISTORY, ROLE_MODEL);
	case HELPER_SECTION:
		return output_mark(&r->out, MARK_SECTION, ROLE_USER);
	case HELPER_JSON:
		write_json(r, scope, call, &r->out.text);
		break;
	case HELPER_LOOKUP:
		js_text(&r->out.text, look_up(r, scope, call));
		break;
	default:
		js_text(&r->out.text, evaluate(r, scope, call->name));
	}
	return r->out.text.rc;
}

/* Runs a program with `value` as its context; a missing program is nothing. */
static enum rc enter(struct render *r, const struct program *program, const struct scope *scope, const struct value *value)
{
	struct scope inner = *scope;
	struct context context = {value, scope->contexts};
	const struct value *around = scope->contexts->value;
	enum rc rc;

	if (program == NULL || program->count == 0)
		return RC_OK;
	if (++r->depth > TEMPLATE_NEST_MAX)
		return RC_TOOBIG;
	inner.value = value;
	if (value != around && !(value == &nothing_object && around != NULL && around->type == VALUE_NULL) && !js_equal(value, around, &r->scratch))
		inner.contexts = &context;
	rc = r->scratch.rc == RC_NOMEM ? RC_NOMEM : run(r, program, &inner);
	r->depth--;
	return rc;
}

/* The context as a helper hands it on to its block. */
static const struct value *helper_context(const struct scope *scope)
{
	return js_nothing(scope->value) ? &nothing_object : scope->value;
}

struct each {
	const struct node *block;
	struct scope scope;
	struct loop loop;
	struct params params;
	bool has_params;
};

static enum rc run_item(struct render *r, struct each *each, const struct value *value, const struct value *key, size_t i, size_t count)
{
	if (++r->loops > TEMPLATE_LOOPS_MAX)
		return RC_TOOBIG;
	each->loop.index = (struct value){.type = VALUE_INT, .u.integer = (int64_t)i};
	each->loop.key = key == NULL ? each->loop.index : *key;
	each->loop.first = (struct value){.type = VALUE_BOOL, .u.boolean = i == 0};
	each->loop.last = (struct value){.type = VALUE_BOOL, .u.boolean = i + 1 == count};
	each->params.values[0] = value;
	each->params.values[1] = &each->loop.key;
	return enter(r, each->block->u.block.program, &each->scope, value);
}

static enum rc run_members(struct render *r, struct each *each, const struct value *object)
{
	const struct value_member *members = js_members(r->arena, object);
	enum rc rc = members == NULL && object->u.object.count != 0 ? RC_NOMEM : RC_OK;

	for (size_t i = 0; i < object->u.object.count && rc == RC_OK; i++) {
		struct value key = {.type = VALUE_STRING, .u.string = {members[i].key, members[i].key_len}};

		rc = run_item(r, each, members[i].value, &key, i, object->u.object.count);
	}
	return rc;
}

static enum rc run_each(struct render *r, const struct node *node, const struct scope *scope, const struct value *list)
{
	struct each each = {.block = node, .scope = *scope, .loop = {.up = scope->loops}, .params = {.count = 2, .up = scope->params}};
	enum rc rc = RC_OK;

	each.scope.loops = &each.loop;
	if (node->u.block.call->param_count != 0)
		each.scope.params = &each.params;
	if (list != NULL && list->type == VALUE_OBJECT && list->u.object.count != 0)
		return run_members(r, &each, list);
	if (list == NULL || list->type != VALUE_ARRAY || list->u.array.count == 0)
		return enter(r, node->u.block.inverse, scope, helper_context(scope));
	for (size_t i = 0; i < list->u.array.count && rc == RC_OK; i++)
		rc = run_item(r, &each, list->u.array.items[i], NULL, i, list->u.array.count);
	return rc;
}

static enum rc run_with(struct render *r, const struct node *node, const struct scope *scope, const struct value *value)
{
	struct params params = {.values = {value}, .count = 1, .up = scope->params};
	struct scope inner = *scope;

	if (js_empty(value))
		return enter(r, node->u.block.inverse, scope, helper_context(scope));
	if (node->u.block.call->param_count != 0)
		inner.params = &params;
	return enter(r, node->u.block.program, &inner, value);
}

/* {{#name}}: a list is walked, true shows the block, any other value becomes its context, and what is missing or false shows the inverse. */
static enum rc run_section(struct render *r, const struct node *node, const struct scope *scope, const struct value *value)
{
	if (js_nothing(value) || (value->type == VALUE_BOOL && !value->u.boolean) || (value->type == VALUE_ARRAY && value->u.array.count == 0))
		return enter(r, node->u.block.inverse, scope, scope->value);
	if (value->type == VALUE_ARRAY)
		return run_each(r, node, scope, value);
	return enter(r, node->u.block.program, scope, value->type == VALUE_BOOL ? scope->value : value);
}

static bool condition(struct render *r, const struct call *call, const struct scope *scope, const struct value *value)
{
	const struct expr *option = helper_option(call, "includeZero");
	bool yes = !js_empty(value);

	if (call->helper == HELPER_IF_EQUALS || call->helper == HELPER_UNLESS_EQUALS)
		return js_same(value, evaluate(r, scope, call->args[1])) == (call->helper == HELPER_IF_EQUALS);
	if (option == NULL || !js_truthy(evaluate(r, scope, option)))
		yes = yes && js_truthy(value);
	return yes == (call->helper == HELPER_IF);
}

static enum rc run_block(struct render *r, const struct node *node, const struct scope *scope)
{
	const struct call *call = node->u.block.call;
	const struct value *value = evaluate(r, scope, call->helper == HELPER_NONE ? call->name : call->args[0]);

	switch (call->helper) {
	case HELPER_NONE:
		return run_section(r, node, scope, value);
	case HELPER_EACH:
		return run_each(r, node, scope, value);
	case HELPER_WITH:
		return run_with(r, node, scope, value);
	default:
		return enter(r, condition(r, call, scope, value) ? node->u.block.program : node->u.block.inverse, scope, helper_context(scope));
	}
}

/* The context a partial gets: the one named or the one around, with the hash arguments over a copy of it. */
static const struct value *partial_context(struct render *r, const struct call *call, const struct scope *scope)
{
	const struct value *value = call->arg_count == 0 ? scope->value : evaluate(r, scope, call->args[0]);
	struct value *copy;

	if (call->hash_count == 0)
		return value;
	copy = js_copy(r->arena, value, call->hash_count);
	if (copy == NULL) {
		r->rc = RC_NOMEM;
		return NULL;
	}
	for (size_t i = call->hash_count; i-- > 0;) { /* Handlebars takes them from the last to the first, and `key=undefined` as not given */
		const struct argument *argument = &call->hash[i];

		if (argument->value->kind != EXPR_LITERAL || argument->value->literal != NULL)
			js_set(copy, argument->key.text, argument->key.len, evaluate(r, scope, argument->value));
	}
	return copy;
}

static enum rc run_partial(struct render *r, const struct node *node, const struct scope *scope)
{
	struct context context = {.value = partial_context(r, node->u.partial.call, scope)};
	struct scope inner = {.value = context.value, .contexts = &context, .loops = scope->loops};
	size_t from = r->out.text.len, mark = r->out.count;
	enum rc rc;

	if (r->rc != RC_OK)
		return r->rc;
	if (++r->loops > TEMPLATE_LOOPS_MAX || ++r->depth > TEMPLATE_NEST_MAX)
		return RC_TOOBIG;
	rc = run(r, node->u.partial.partial->program, &inner);
	r->depth--;
	if (rc == RC_OK && node->u.partial.indent.len != 0)
		rc = output_indent(&r->out, from, mark, node->u.partial.indent.text, node->u.partial.indent.len);
	return rc;
}

static enum rc run_node(struct render *r, const struct node *node, const struct scope *scope)
{
	switch (node->kind) {
	case NODE_TEXT:
		return buf_add(&r->out.text, node->u.text.value.text, node->u.text.value.len);
	case NODE_COMMENT:
		return RC_OK;
	case NODE_MUSTACHE:
		return run_mustache(r, node, scope);
	case NODE_BLOCK:
		return run_block(r, node, scope);
	case NODE_PARTIAL:
		return run_partial(r, node, scope);
	}
	return RC_OK;
}

static enum rc run(struct render *r, const struct program *program, const struct scope *scope)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < program->count && rc == RC_OK; i++) {
		rc = run_node(r, program->nodes[i], scope);
		if (rc == RC_OK)
			rc = r->rc;
	}
	return rc;
}

enum rc template_render(const struct template *template, struct arena *arena, const struct template_data *data, struct messages *out)
{
	struct render r = {.arena = arena, .data = data};
	struct context context = {.value = data->input == NULL ? &nothing_object : data->input};
	struct scope scope = {.value = context.value, .contexts = &context};
	enum rc rc;

	output_init(&r.out, arena, TEMPLATE_OUTPUT_MAX);
	buf_init(&r.scratch, arena, TEMPLATE_OUTPUT_MAX);
	rc = run(&r, template->program, &scope);
	return rc == RC_OK ? output_messages(&r.out, data->history, out) : rc;
}
