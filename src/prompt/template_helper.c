/*
 * template_helper.c - the helpers there are, and whether a mustache calls one as it can be called.
 *
 * Handlebars fails at rendering, or renders nothing, where a helper is missing or misused; here such a file is refused at load.
 */
#include <string.h>

#include "prompt/template_node.h"

struct helper {
	const char *name;
	enum helper_kind kind;
	size_t args;
	unsigned uses;      /* bits of enum helper_use */
	size_t params;      /* most block parameters */
	const char *option; /* the hash argument it knows, or NULL */
	const char *usage;
};

#define INLINE (1u << USE_MUSTACHE)
#define BLOCK (1u << USE_BLOCK)
#define NESTED (1u << USE_SUBEXPRESSION)

static const struct helper helpers[] = {
	{"if", HELPER_IF, 1, BLOCK, 0, "includeZero", "{{#if value}}…{{else}}…{{/if}}"},
	{"unless", HELPER_UNLESS, 1, BLOCK, 0, "includeZero", "{{#unless value}}…{{/unless}}"},
	{"each", HELPER_EACH, 1, BLOCK, 32, NULL, "{{#each list}}{{this}}{{/each}}"},
	{"with", HELPER_WITH, 1, BLOCK, 32, NULL, "{{#with value}}…{{/with}}"},
	{"ifEquals", HELPER_IF_EQUALS, 2, BLOCK, 0, NULL, "{{#ifEquals a b}}…{{/ifEquals}}"},
	{"unlessEquals", HELPER_UNLESS_EQUALS, 2, BLOCK, 0, NULL, "{{#unlessEquals a b}}…{{/unlessEquals}}"},
	{"role", HELPER_ROLE, 1, INLINE, 0, NULL, "{{role \"system\"}}"},
	{"history", HELPER_HISTORY, 0, INLINE, 0, NULL, "{{history}}"},
	{"json", HELPER_JSON, 1, INLINE | NESTED, 0, "indent", "{{json value indent=2}}"},
	{"section", HELPER_SECTION, 1, INLINE, 0, NULL, "{{section \"name\"}}"},
	{"lookup", HELPER_LOOKUP, 2, INLINE | NESTED, 0, NULL, "{{lookup list key}}"},
};

/* Names that Handlebars or Dotprompt give a meaning that a text prompt has no use for. */
static const struct {
	const char *name, *why;
} refused[] = {
	{"media", "prompts are text here: images and sound are not supported"},
	{"log", "a prompt has nowhere to log to"},
	{"helperMissing", "Handlebars keeps this name for itself"},
	{"blockHelperMissing", "Handlebars keeps this name for itself"},
};

static bool slice_is(struct slice slice, const char *s)
{
	return strlen(s) == slice.len && memcmp(slice.text, s, slice.len) == 0;
}

static const struct helper *find_helper(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(helpers); i++)
		if (slice_is(name, helpers[i].name))
			return &helpers[i];
	return NULL;
}

static const char *why_refused(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		if (slice_is(name, refused[i].name))
			return refused[i].why;
	return NULL;
}

static enum rc fail_unknown(struct parser *p, const struct expr *name)
{
	static const char *const usual = "helpers are if, unless, each, with, ifEquals, unlessEquals, role, history, json, section, lookup";
	const char *names[COUNT_OF(helpers)], *hint = why_refused(name->original);
	const char *word = arena_strndup(parser_arena(p), name->original.text, name->original.len);

	for (size_t i = 0; i < COUNT_OF(helpers); i++)
		names[i] = helpers[i].name;
	if (word == NULL)
		return RC_NOMEM;
	if (hint == NULL)
		hint = diagnostics_suggest(parser_list(p), word, names, COUNT_OF(names), usual);
	return parser_fail(p, name->at, hint, "unknown helper \"%s\"", word);
}

static enum rc check_use(struct parser *p, const struct helper *helper, const struct call *call, enum helper_use use)
{
	static const char *const uses[] = {"a mustache by itself", "a block", "a subexpression"};
	const char *usage = helper->usage;
	size_t at = call->name->at;

	if (call->arg_count == 0 && call->hash_count == 0 && (helper->args != 0 || use != USE_MUSTACHE))
		usage = arena_printf(parser_arena(p), "write %s; a value of that name is {{this.%s}}", helper->usage, helper->name);
	if ((helper->uses & (1u << use)) == 0)
		return parser_fail(p, at, usage, "helper \"%s\" cannot be %s", helper->name, uses[use]);
	if (call->arg_count != helper->args)
		return parser_fail(p, at, usage, "helper \"%s\" takes %zu argument%s, not %zu", helper->name, helper->args, helper->args == 1 ? "" : "s",
		                   call->arg_count);
	if (call->param_count > helper->params)
		return parser_fail(p, at, usage, "helper \"%s\" has no block parameters", helper->name);
	for (size_t i = 0; i < call->hash_count; i++)
		if (helper->option == NULL || !slice_is(call->hash[i].key, helper->option))
			parser_warn(p, at, "helper \"%s\" does nothing with the argument \"%.*s\"", helper->name, (int)call->hash[i].key.len, call->hash[i].key.text);
	return RC_OK;
}

static bool is_simple(const struct expr *name)
{
	return name->kind == EXPR_PATH && name->count == 1 && name->depth == 0 && !name->scoped;
}

enum rc helper_resolve(struct parser *p, struct call *call, enum helper_use use)
{
	const struct expr *name = call->name;
	bool called = call->arg_count != 0 || call->hash_count != 0 || use == USE_SUBEXPRESSION;
	const struct helper *helper = is_simple(name) ? find_helper(name->parts[0]) : NULL;

	if (called && name->kind == EXPR_PARAM && name->count == 1)
		return parser_fail(p, name->at, NULL, "\"%.*s\" is a block parameter here, no helper", (int)name->original.len, name->original.text);
	if (helper == NULL && (called || (is_simple(name) && why_refused(name->parts[0]) != NULL)))
		return fail_unknown(p, name);
	if (helper == NULL && call->param_count != 0)
		return parser_fail(p, name->at, "write {{#each list as |item|}}", "a plain section has no block parameters");
	if (helper == NULL)
		return RC_OK;
	call->helper = helper->kind;
	return check_use(p, helper, call, use);
}

const struct expr *helper_option(const struct call *call, const char *name)
{
	for (size_t i = 0; i < call->hash_count; i++)
		if (slice_is(call->hash[i].key, name))
			return call->hash[i].value;
	return NULL;
}
