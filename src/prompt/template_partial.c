/*
 * template_partial.c - partials: which file a name stands for, reading it, and whether they include each other without end.
 *
 * Every partial is read once, however often it is included. One that includes itself inside a block may come to an end, and the depth of
 * rendering is capped; one that does so outside of any block cannot.
 */
#include <string.h>

#include "prompt/template_parse.h"

#define FILES_MAX 16u /* of partials being read within each other */

static bool is_partial_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || (c == '.' && i != 0)))
			return false;
	}
	return name.len != 0 && name.len <= 64;
}

/* `dir/_name.prompt`, where the file that is being read is `dir/…`: for the errors in it. */
static const char *partial_file(const struct loading *loading, const char *name)
{
	const char *slash = loading->list->file == NULL ? NULL : strrchr(loading->list->file, '/');

	if (slash == NULL)
		return arena_printf(loading->list->arena, "_%s.prompt", name);
	return arena_printf(loading->list->arena, "%.*s/_%s.prompt", (int)(slash - loading->list->file), loading->list->file, name);
}

static enum rc load_partial(struct parser *p, struct partial *partial, size_t at)
{
	const struct template_partials *source = p->loading->source;
	struct parser inner = {.arena = p->arena, .loading = p->loading, .first_line = 1, .first_column = 1, .partial = partial, .files = p->files + 1};
	const char *usual = p->loading->list->file, *file = partial_file(p->loading, partial->name), *text;
	size_t len;
	enum rc rc;

	if (inner.files > FILES_MAX)
		return parser_fail(p, at, NULL, "partials within partials, more than %u deep", FILES_MAX);
	rc = source == NULL ? RC_NOTFOUND : source->read(source->user, p->arena, partial->name, &text, &len);
	if (rc == RC_NOTFOUND)
		return parser_fail(p, at, "{{> name}} is the file _name.prompt beside this one", "there is no partial \"%s\"", partial->name);
	if (rc != RC_OK || file == NULL)
		return rc != RC_OK ? rc : RC_NOMEM;
	p->loading->list->file = file;
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* as Windows editors write */
		text += 3;
		len -= 3;
	}
	lexer_init(&inner.lexer, p->arena, text, len);
	rc = parse_file(&inner, &partial->program);
	p->loading->list->file = usual;
	return rc;
}

/* The partial of that name, read if this is its first use. */
static enum rc find_partial(struct parser *p, struct slice name, size_t at, struct partial **out)
{
	struct loading *loading = p->loading;
	struct partial *partial;

	for (partial = loading->partials; partial != NULL; partial = partial->next) {
		if (strlen(partial->name) == name.len && memcmp(partial->name, name.text, name.len) == 0) {
			*out = partial;
			return RC_OK;
		}
	}
	if (loading->count++ == TEMPLATE_PARTIALS_MAX)
		return parser_fail(p, at, NULL, "more than %u partials", TEMPLATE_PARTIALS_MAX);
	*out = partial = arena_alloc(p->arena, sizeof *partial);
	if (partial == NULL || (partial->name = arena_strndup(p->arena, name.text, name.len)) == NULL)
		return RC_NOMEM;
	partial->file = loading->list->file;
	parser_locate(p, at, &partial->line, &partial->column);
	partial->next = loading->partials;
	loading->partials = partial;
	return load_partial(p, partial, at);
}

/* Partials included outside of any block are remembered: a circle of those could never end. */
static enum rc note_always(struct parser *p, struct partial *partial)
{
	struct partial *owner = p->partial;
	struct partial **always;

	if (owner == NULL || p->blocks != 0)
		return RC_OK;
	always = parser_push(p->arena, owner->always, owner->always_count, &owner->always_room, sizeof *always);
	if (always == NULL)
		return RC_NOMEM;
	owner->always = always;
	always[owner->always_count++] = partial;
	return RC_OK;
}

enum rc partial_resolve(struct parser *p, struct node *node)
{
	const struct call *call = node->u.partial.call;
	enum rc rc;

	if (call->name->kind != EXPR_PATH || !is_partial_name(call->name->original))
		return parser_fail(p, call->name->at, "a partial's name is letters, digits, -, _ and .: {{> name}} is the file _name.prompt",
		                   "a partial cannot be named \"%.*s\"", (int)call->name->original.len, call->name->original.text);
	if (call->arg_count > 1 || call->param_count != 0)
		return parser_fail(p, call->name->at, "write {{> name context key=value}}", "a partial takes one context at most");
	rc = find_partial(p, call->name->original, call->name->at, &node->u.partial.partial);
	return rc == RC_OK ? note_always(p, node->u.partial.partial) : rc;
}

/* Whether a circle of unconditional inclusions can be reached from here. */
static bool goes_round(struct partial *partial)
{
	bool round = partial->mark == PARTIAL_OPEN;

	if (partial->mark != PARTIAL_UNSEEN)
		return round;
	partial->mark = PARTIAL_OPEN;
	for (size_t i = 0; i < partial->always_count && !round; i++)
		round = goes_round(partial->always[i]);
	partial->mark = PARTIAL_SEEN;
	return round;
}

static enum rc fail_round(const struct loading *loading, const struct partial *partial)
{
	const char *usual = loading->list->file;

	loading->list->file = partial->file;
	diagnostics_error(loading->list, partial->line, partial->column, "include it inside an {{#if}} or {{#each}} that comes to an end",
	                  "partial \"%s\" includes itself without end", partial->name);
	loading->list->file = usual;
	return RC_INVALID;
}

enum rc partial_check_circles(const struct loading *loading)
{
	for (struct partial *partial = loading->partials; partial != NULL; partial = partial->next)
		if (goes_round(partial))
			return fail_round(loading, partial);
	return RC_OK;
}
